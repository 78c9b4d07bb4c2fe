"""A free-form specification as something to be solved: simulation around the region, density within, targets.

All grids of a search are of the same place: the region about the origin, guides from its sides through the absorbing
layers, the room that the specification gives.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import jax
import numpy as np

from picq.errors import SpecError
from picq.inverse.condense import Condensed
from picq.inverse.density import Density, margin, orbit
from picq.inverse.factor import Backend
from picq.inverse.fdfd import Coefficients
from picq.inverse.grid import Box, Domain
from picq.inverse.objective import Target, Windows, windows
from picq.inverse.ports import Port
from picq.inverse.raster import Outlines, fractions, smoothed
from picq.inverse.simulation import Simulation
from picq.inverse.spec import SIDES, FreeFormSpec, PortSection
from picq.optics.profile import principal_indices
from picq.technology import Technology

_LANDING = (0.5, 1.0)
"""Depth and breadth beside a guide, in radii of the filter, of what is fixed where it meets the region.

Guides are drawn with sharp corners, the design with round ones: a wall along the border left an acute notch there.
"""


@dataclass(frozen=True)
class Problem:
    """A specification with its materials.

    Attributes:
        spec: what was asked.
        core, cladding: relative permittivities at the wavelengths, [wl].
        backend: of the field solver, see ``factor.solve``.
    """

    FILTER: ClassVar[float] = 1.5
    """Radius of the filter in length scales: Zhou et al., CMAME 293, 266 (2015), sec. 4, and usual since."""

    spec: FreeFormSpec
    core: np.ndarray
    cladding: np.ndarray
    backend: Backend = "superlu"

    @classmethod
    def of(cls, spec: FreeFormSpec, tech: Technology, backend: Backend = "superlu") -> "Problem":
        """The problem of a specification."""
        return cls(spec, *permittivities(spec, tech, np.array(spec.wl_um)), backend)

    def at(self, tech: Technology, index: float = 0.0, wl: np.ndarray | None = None) -> "Problem":
        """This problem on another chip, the core's index off by ``index``; at other wavelengths ``wl``, um."""
        spec = self.spec if wl is None else self.spec.model_copy(update={"wl_um": tuple(wl)})
        core, cladding = permittivities(spec, tech, np.array(spec.wl_um), index)
        return replace(self, spec=spec, core=core, cladding=cladding)

    @property
    def wl(self) -> np.ndarray:
        """Wavelengths, um."""
        return np.array(self.spec.wl_um)

    @property
    def box(self) -> Box:
        """The design region."""
        a, b = (length / 2 for length in self.spec.region.size)
        return Box(-a, -b, a, b)

    @property
    def radius(self) -> float:
        """Of the filter, um."""
        return self.FILTER * self.spec.length_scale

    @cached_property
    def room(self) -> Box:
        """What lies between the absorbing layers."""
        s, taken = self.spec.surroundings, {p.side for p in self.spec.ports.values()}
        beyond = {side: s.guide if side in taken else s.side for side in SIDES}
        left, bottom, right, top = self.box
        return Box(left - beyond["west"], bottom - beyond["south"], right + beyond["east"], top + beyond["north"])

    def guides(self, length: float) -> list[Box]:
        """The guides from the region's sides, ``length`` um of each."""
        return [self._guide(port, length) for port in self.spec.ports.values()]

    def _guide(self, port: PortSection, length: float) -> Box:
        left, bottom, right, top = self.box
        low, high = port.at - port.width / 2, port.at + port.width / 2
        return {
            "west": Box(left - length, low, left, high),
            "east": Box(right, low, right + length, high),
            "south": Box(low, bottom - length, high, bottom),
            "north": Box(low, top, high, top + length),
        }[port.side]

    def domain(self, step: float) -> Domain:
        """The grid of ``step`` um."""
        layer, (left, bottom, right, top) = self.spec.surroundings.pml_pixels * step, self.room
        size = (right - left + 2 * layer, top - bottom + 2 * layer)
        return Domain(size, step, (layer, layer), ((left + right) / 2, (bottom + top) / 2))

    def background(self, domain: Domain) -> np.ndarray:
        """What is drawn around the region, as filled fractions of pixels; the region is void."""
        far = 2 * max(domain.size)
        filled = np.zeros(domain.shape)
        for guide in self.guides(far):
            filled += np.outer(*(_covered(domain, axis, guide[axis], guide[axis + 2]) for axis in (0, 1)))
        return np.minimum(filled, 1.0)

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Lines across the guides, as far out as the specification says."""
        s, room, found = self.spec.surroundings, self.room, []
        places = {"west": room.left + s.port, "east": room.right - s.port}
        places |= {"south": room.bottom + s.port, "north": room.top - s.port}
        for name, port in self.spec.ports.items():
            at = (places[port.side], port.at) if port.side in ("west", "east") else (port.at, places[port.side])
            found.append(Port(name, at, SIDES[port.side], s.span, port.modes))  # pyright: ignore[reportArgumentType]
        return tuple(found)

    def matched(self, step: float) -> "Problem":
        """This problem in materials in which waves on a grid of ``step`` um are as long as those of the grid on which
        the finished mask is scored, in the mean over directions: a filter would else be another on every grid.

        Five points for the Laplacian have k^2 (1 - (k h)^2 / 16) for k^2 (Taflove and Hagness, Computational
        Electrodynamics, 3rd ed., sec. 4.5, expanded and averaged).
        """
        k0 = 2 * np.pi / self.wl
        part = lambda eps, h: 1 - eps * (k0 * h) ** 2 / 16
        core, cladding = (e * part(e, step) / part(e, self.spec.mask_step) for e in (self.core, self.cladding))
        return replace(self, core=core, cladding=cladding)

    def permittivity(self, filled: Any) -> Any:
        """Mean of pixels [nx, ny] that are ``filled`` to a fraction, [wl, nx, ny]."""
        core, cladding = (eps[:, None, None] for eps in (self.core, self.cladding))
        return cladding + (core - cladding) * filled

    def condensed(self, step: float) -> Condensed:
        """The region on a grid of ``step`` um, all else eliminated."""
        domain = self.domain(step)
        eps = self.permittivity(self.background(domain))
        return Condensed(self._simulation(domain, eps), self.box)

    def drawn(self, outlines: Outlines, step: float) -> Simulation:
        """The simulation of a mask: ``outlines`` of device and guides, which reach beyond the domain."""
        domain = self.domain(step)
        each = [
            smoothed(outlines, domain, float(core), float(cladding), self.spec.polarisation)
            for core, cladding in zip(self.core, self.cladding, strict=True)
        ]
        smooth = jax.tree.map(lambda *parts: np.stack(parts), *each)
        eps = self.permittivity(np.asarray(fractions(outlines, _corner(domain), step, domain.shape)))
        return self._simulation(domain, eps, smooth)

    def _simulation(self, domain: Domain, eps: np.ndarray, smooth: Coefficients | None = None) -> Simulation:
        return Simulation(domain, eps, self.spec.polarisation, self.ports, self.wl, smooth, self.backend)

    def density(self, step: float) -> Density:
        """How a latent density becomes material on a grid of ``step`` um."""
        domain = self.domain(step)
        need = margin(self.radius, step)
        cells = domain.cells(self.box)
        wide = [slice(c.start - need, c.stop + need) for c in cells]
        if min(w.start for w in wide) < 0 or any(w.stop > n for w, n in zip(wide, domain.shape, strict=True)):
            raise SpecError(
                "the filter reaches beyond the simulation",
                got=f"radius {self.radius:g} um",
                remedy="enlarge `surroundings.side`",
            )
        around = self.background(domain)[wide[0], wide[1]]
        shape = (cells[0].stop - cells[0].start, cells[1].stop - cells[1].start)
        return Density(shape, step, self.radius, around, self.spec.region.symmetries, *self._landings(domain, cells))

    def _landings(self, domain: Domain, cells: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of the region that continue the guides as solid, and what is beside them as void."""
        left, bottom, right, top = self.box
        middles = (
            low + (np.arange(c.stop - c.start) + 0.5) * domain.step
            for c, low in zip(cells, (left, bottom), strict=True)
        )
        x, y = np.meshgrid(*middles, indexing="ij")
        depth = {"west": x - left, "east": right - x, "south": y - bottom, "north": top - y}
        solid, near = np.zeros(x.shape, bool), np.zeros(x.shape, bool)
        deep, broad = (part * self.radius for part in _LANDING)
        for port in self.spec.ports.values():
            off = np.abs((y if port.side in ("west", "east") else x) - port.at) - port.width / 2
            at = depth[port.side] < deep
            solid |= at & (off < 0)
            near |= at & (off < broad)
        # pixels on a line, which rounding puts to one side here and to the other there
        images = orbit((len(x), len(y.T)), self.spec.region.symmetries)
        solid, near = (np.asarray(part.ravel()[images].any(axis=0)) for part in (solid, near))
        return solid, near & ~solid

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """Windows of power."""
        return tuple(
            Target(
                self.spec.channel(t.start, ("targets", i, "from")),
                self.spec.channel(t.to, ("targets", i, "to")),
                0.0 if t.min_db is None else 10 ** (t.min_db / 10),
                1.0 if t.max_db is None else 10 ** (t.max_db / 10),
                (0.0, np.inf) if t.wl_um is None else t.wl_um,
            )
            for i, t in enumerate(self.spec.targets)
        )

    @cached_property
    def windows(self) -> Windows:
        """The targets' rows in S."""
        names = tuple((name, order) for name, port in self.spec.ports.items() for order in port.modes)
        return windows(self.targets, names, self.wl)


def permittivities(
    spec: FreeFormSpec, tech: Technology, wl: np.ndarray, offset: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Relative permittivities of core and cladding, [wl] each.

    Without ``materials`` the core is the technology's film with its effective index, TE for Hz and TM for Ez (effective
    index method: Knox and Toulios, Symp. Submillimeter Waves (1970)), and the cladding what is left beside guides: the
    slab of a rib, or the medium of higher index above and below.

    Args:
        spec: says the materials, or the cross-section.
        tech: its technology.
        wl: um.
        offset: added to the core's index: of another thickness or temperature.
    """
    if spec.materials is not None:
        return (np.sqrt(np.full(wl.size, spec.materials.core)) + offset) ** 2, np.full(wl.size, spec.materials.cladding)
    film, point = tech.platform.film, tech.point(spec.cross_section)
    te = spec.polarisation == "hz"
    core = np.asarray(film.film_index(wl, point.thickness, point.temperature_k, te=te))
    if point.slab is not None:
        beside = np.asarray(film.film_index(wl, point.slab, point.temperature_k, te=te))
    else:
        media = (principal_indices(m, wl, point.temperature_k)[0] for m in (film.box, film.cladding))
        beside = np.maximum(*(np.broadcast_to(np.asarray(n), wl.shape) for n in media))
    return (core + offset) ** 2, beside**2


def _corner(domain: Domain) -> tuple[float, float]:
    return domain.place(0, 0), domain.place(1, 0)


def _covered(domain: Domain, axis: int, low: float, high: float) -> np.ndarray:
    """How much of each pixel along an axis lies between two places."""
    lines = np.arange(domain.shape[axis])
    ends = [domain.pixel(axis, at) for at in (low, high)]
    covered = np.clip(np.minimum(lines + 1, ends[1]) - np.maximum(lines, ends[0]), 0, 1)
    return np.where(covered > 1 - 1e-9, 1.0, np.where(covered < 1e-9, 0.0, covered))
