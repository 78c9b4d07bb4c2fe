"""A free-form device in three dimensions: film, box and cladding on cubic cells, guides through the walls, ports.

Permittivities are averaged within cells: exactly for the film's faces and for walls along x and y. Of the tensor of a
slanted or curved wall only the diagonal is kept, which leaves an error of first order in the step. All wavelengths see
the indices at their middle: of a band of 40 nm at 1.55 um, silicon is off by 0.002 at the ends.
"""

from dataclasses import dataclass, replace

import numpy as np

from picq.errors import SpecError
from picq.inverse.contour import outlines
from picq.inverse.fdtd import Plane, Scene
from picq.inverse.grid import Domain
from picq.inverse.problem import Problem
from picq.inverse.raster import fractions, smoothed
from picq.inverse.reopened import mask, specification
from picq.inverse.saved import Saved
from picq.inverse.spec import SIDES, FreeFormSpec
from picq.optics.profile import principal_indices
from picq.technology import Technology

_LAYER = 10  # cells of the absorbing layer: a silicon guide is reflected by less than 1e-6 of its power
_ABOVE = {"hz": 0.7, "ez": 1.1}  # um of box and cladding before it: a silicon guide's field falls below 1 and 2 %
_SIDE = 0.6  # the same beside the region, at least
_GUIDE = 0.9  # from the region to the absorbing layer where there are guides
_PORT = 0.3  # from the region to the ports' planes
_ROOM = 0.8  # from a guide's wall to the ends of its plane, where no other guide is nearer
_BEFORE = 3  # cells from the absorbing layer to a source
_FAR = 100.0  # um of guide: beyond any grid
_SIDES = ("west", "south", "east", "north")  # in the order of Box


@dataclass(frozen=True, eq=False)
class Space:
    """A device that can be built.

    Attributes:
        problem: at the wavelengths of ``scene``.
        outlines: the mask, with guides that go on beyond any grid.
        media: core, box and cladding.
        thickness, slab: of the film, and of what is left beside ribs (0 for strips), um.
        temperature_k: of all.
    """

    problem: Problem
    outlines: tuple[np.ndarray, ...]
    media: tuple[str, str, str]
    thickness: float
    slab: float
    temperature_k: float

    @classmethod
    def of(cls, saved: Saved, tech: Technology) -> "Space":
        """A finished device, at the ends and the middle of its targets' wavelengths.

        Raises:
            SpecError: what cannot be built in three dimensions.
        """
        if tech.name != saved.technology:
            raise SpecError("the device is of another technology", got=tech.name, allowed=saved.technology)
        spec = specification(saved)
        if not saved.film:
            raise _no_film(spec)
        empty = cls.planned(spec, tech)
        return replace(empty, outlines=tuple(outlines(mask(saved, empty.problem, _FAR))))

    @classmethod
    def planned(cls, spec: FreeFormSpec, tech: Technology) -> "Space":
        """A device that is not drawn yet: without outlines, for its cells to be counted.

        Raises:
            SpecError: what cannot be built in three dimensions.
        """
        if spec.materials is not None:
            raise _no_film(spec)
        film, point = tech.platform.film, tech.point(spec.cross_section)
        if not isinstance(film.core, str) or film.sidewall_deg != 90.0:
            raise SpecError(
                f"films like that of {tech.name} are not built in three dimensions",
                got=f"core {film.core}, walls at {film.sidewall_deg:g} degrees",
                allowed="an isotropic film with vertical walls",
                remedy="check the device by other means: the two-dimensional model ignores both too",
            )
        wl, kept = np.array(spec.wl_um), set()
        for target in spec.targets:
            low, high = target.wl_um or (0.0, np.inf)
            inside = wl[(wl >= low - 1e-9) & (wl <= high + 1e-9)]
            kept |= {float(v) for v in (inside[[0, inside.size // 2, -1]] if inside.size else ())}
        problem = Problem.of(spec.model_copy(update={"wl_um": tuple(sorted(kept))}), tech)
        media = (film.core, film.box, film.cladding)
        return cls(problem, (), media, float(point.thickness), float(point.slab or 0.0), float(point.temperature_k))

    def domain(self, step: float) -> Domain:
        """The floor plan, absorbing layers included; lines of the grid go through the origin."""
        spec = self.problem.spec
        taken, beside = {port.side for port in spec.ports.values()}, max(_SIDE, spec.surroundings.side)
        reach = [
            abs(at) + (_GUIDE if side in taken else beside) for side, at in zip(_SIDES, self.problem.box, strict=True)
        ]
        west, south, east, north = (int(np.ceil(r / step - 1e-9)) + _LAYER for r in reach)
        size, layer = ((west + east) * step, (south + north) * step), _LAYER * step
        return Domain(size, step, (layer, layer), ((east - west) * step / 2, (north - south) * step / 2))

    def heights(self, step: float) -> tuple[int, int]:
        """Cells below the film, and of the whole height."""
        above = int(np.ceil(_ABOVE[self.problem.spec.polarisation] / step - 1e-9)) + _LAYER
        return above, 2 * above + int(np.ceil(self.thickness / step - 1e-9))

    def empty(self, step: float) -> Scene:
        """The scene without its materials."""
        domain, (_, height) = self.domain(step), self.heights(step)
        wl = tuple(float(v) for v in self.problem.wl)
        return Scene(step, (*domain.shape, height), np.zeros((3, 0, 0, 0)), _LAYER, self._planes(domain, height), wl)

    def scene(self, step: float) -> Scene:
        """The device on a grid of cubic cells, ``step`` um."""
        made = self.empty(step)
        return replace(made, inverse=self._inverse(self.domain(step), self.heights(step), made.centre))

    def _inverse(self, domain: Domain, heights: tuple[int, int], wl: float) -> np.ndarray:
        """1/eps at the places of Ex, Ey and Ez, [3, nx, ny, nz].

        Along the film's faces permittivities are averaged, across them their inverses are, over a cell about the place
        (Farjadpour et al., Opt. Lett. 31, 2972 (2006)); ``raster.smoothed`` does the same for the walls.
        """
        (nx, ny), step, (below, height) = domain.shape, domain.step, heights
        core, box, cladding = (float(principal_indices(m, wl, self.temperature_k)[0]) ** 2 for m in self.media)
        walls = smoothed(self.outlines, domain, core, cladding, "hz")
        corner = domain.place(0, 0) - step / 2, domain.place(1, 0) - step / 2
        shares = np.asarray(fractions(self.outlines, corner, step, domain.shape))
        drawn = [1 / np.asarray(walls.across_y)[:, :ny], 1 / np.asarray(walls.across_x)[:nx]]
        drawn.append(cladding + (core - cladding) * shares)
        layers = [(-np.inf, 0.0, box), (0.0, self.slab, core), (self.slab, self.thickness, None)]
        layers.append((self.thickness, np.inf, cladding))
        inverse = np.zeros((3, nx, ny, height))
        for component in range(3):
            low = (np.arange(height) - below - (0.0 if component == 2 else 0.5)) * step
            for bottom, top, eps in layers:
                share = np.clip(np.minimum(low + step, top) - np.maximum(low, bottom), 0, None) / step
                value = drawn[component] if eps is None else np.full((nx, ny), eps)
                inverse[component] += share * (1 / value if component == 2 else value)[:, :, None]
        inverse[:2] = 1 / inverse[:2]
        return inverse

    def _planes(self, domain: Domain, height: int) -> tuple[Plane, ...]:
        spec, found = self.problem.spec, []
        ends: dict[str, float] = dict(zip(_SIDES, self.problem.box, strict=True))
        for name, port in spec.ports.items():
            axis, outward = (0 if port.side in ("west", "east") else 1), (1 if SIDES[port.side] in (0, 90) else -1)
            near = [abs(p.at - port.at) / 2 for n, p in spec.ports.items() if p.side == port.side and n != name]
            half = max(spec.surroundings.span / 2, min(port.width / 2 + _ROOM, *near, np.inf))
            low, high = (round(domain.pixel(1 - axis, port.at + s * half)) for s in (-1, 1))
            window = (max(low, _LAYER), min(high, domain.shape[1 - axis] - _LAYER)), (_LAYER, height - _LAYER)
            cell = round(domain.pixel(axis, ends[port.side] + outward * _PORT))
            away = _LAYER + _BEFORE
            source = domain.shape[axis] - 1 - away if outward > 0 else away
            found.append(Plane(name, axis, outward, cell, source, window, port.modes, spec.polarisation == "hz"))
        return tuple(found)


def _no_film(spec: FreeFormSpec) -> SpecError:
    return SpecError(
        f"the device '{spec.name}' has no third dimension",
        got="`materials`: permittivities of a two-dimensional exercise, which belong to no film",
        allowed="devices in the technology's film",
        remedy="design it without `materials`",
    )
