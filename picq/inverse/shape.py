"""Shapes with few parameters: outlines of tapers, multimode bodies and moved walls, and their S-parameters.

    parameters ─▶ outlines ─▶ exact shares and walls (``raster``) ─▶ coefficients of the region ─▶ S

Every step is differentiable, so a derivative of S is that of a device whose walls move. Outlines are [n, 2] um with the
solid on the left (of a drawn layer: ``contour.outlines``); what is concrete may be NumPy, what has parameters is JAX.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from scipy.interpolate import CubicSpline

from picq.errors import SpecError
from picq.inverse.condense import Condensed, scattering_of
from picq.inverse.factor import Backend
from picq.inverse.fdfd import Coefficients, Polarisation
from picq.inverse.grid import Domain
from picq.inverse.ports import Port
from picq.inverse.problem import Problem
from picq.inverse.raster import Outlines, smoothed
from picq.inverse.simulation import Simulation

_SHARP = 0.1
"""Least 1 + cos of a corner's turn for which its mitre is kept; beyond 154 degrees it is cut short."""


def taper(length: ArrayLike, widths: ArrayLike, start: tuple[float, float] = (0.0, 0.0), chords: int = 1) -> jax.Array:
    """A guide along +x whose width changes.

    Args:
        length: um.
        widths: at equal distances, both ends included, um, [n] with n from 2.
        start: middle of its left end, um.
        chords: straight pieces between neighbouring widths: 1 joins them by straight walls, more follow the natural
            cubic spline through them, which keeps a linear taper linear.

    Returns:
        Outline, [2 (chords (n - 1) + 1), 2].

    Raises:
        SpecError: fewer than two widths; lengths that are not positive.
    """
    widths = jnp.asarray(widths, float)
    if widths.ndim != 1 or widths.size < 2 or chords < 1:
        got = f"shape {widths.shape}, {chords} chords"
        raise SpecError("the widths of a taper", got=got, allowed="two or more, from 1 chord", remedy="give both ends")
    _check_positive("taper", length=length, widths=widths)
    knots = np.arange(widths.size)
    at = np.linspace(0, knots[-1], chords * knots[-1] + 1)
    spline = CubicSpline(knots, np.eye(knots.size), bc_type="natural")(at) if chords > 1 else np.eye(knots.size)
    x, half = start[0] + length * at / at[-1], spline @ widths / 2
    return jnp.stack([jnp.append(x, x[::-1]), start[1] + jnp.append(-half, half[::-1])], axis=1)


def mmi(
    width: ArrayLike,
    length: ArrayLike,
    left: Sequence[ArrayLike],
    right: Sequence[ArrayLike],
    port_width: ArrayLike,
    taper_length: ArrayLike,
    guide_width: ArrayLike,
    centre: tuple[float, float] = (0.0, 0.0),
) -> jax.Array:
    """A rectangle with linear tapers on its left and right sides, as one outline.

    Args:
        width, length: of the rectangle along y and x, um.
        left, right: y of the tapers less that of the centre, ascending, um.
        port_width: of the tapers at the rectangle, um.
        taper_length: um.
        guide_width: of the tapers at their far ends, um.
        centre: of the rectangle, um.

    Returns:
        Outline, [4 + 4 (left + right), 2].

    Raises:
        SpecError: tapers that overlap or leave the rectangle; lengths that are not positive.
    """
    sizes = {"length": length, "port_width": port_width, "taper_length": taper_length, "guide_width": guide_width}
    _check_positive("multimode body", width=width, **sizes)
    for side, ports in (("left", left), ("right", right)):
        ends = [-width / 2, *(y + s * port_width / 2 for y in ports for s in (-1, 1)), width / 2]  # pyright: ignore
        if not any(isinstance(e, Tracer) for e in ends) and np.any(np.diff(np.array(ends, float)) < 0):
            raise SpecError(
                f"the tapers on the {side} do not fit on the body",
                got=f"{port_width} um wide at {list(ports)} um on {width} um",
                allowed="ascending, apart from each other, within the width",
                remedy="widen the body, narrow the tapers or move them",
            )
    edge, port, guide = (jnp.asarray(v, float) / 2 for v in (length, port_width, guide_width))
    far = edge + taper_length
    corners = (edge, -port), (far, -guide), (far, guide), (edge, port)
    rise = [(x, y + across) for y in right for x, across in corners]
    fall = [(-x, y - across) for y in left[::-1] for x, across in corners]
    top = jnp.asarray(width, float) / 2
    points = [(-edge, -top), (edge, -top), *rise, (edge, top), (-edge, top), *fall]
    return jnp.stack([jnp.stack(jnp.broadcast_arrays(*p)) for p in points]) + jnp.array(centre)


def moved(outline: ArrayLike, offsets: ArrayLike) -> jax.Array:
    """An outline with every vertex moved outwards along its mitre: equal offsets move all walls by just as much.

    Args:
        outline: [n, 2] um, no two neighbours the same.
        offsets: of the vertices, [n] or one for all, um; outwards is out of the solid, for holes too.
    """
    v = jnp.asarray(outline, float)
    run = jnp.roll(v, -1, axis=0) - v
    out = jnp.stack([run[:, 1], -run[:, 0]], axis=1) / jnp.linalg.norm(run, axis=1, keepdims=True)
    before = jnp.roll(out, 1, axis=0)
    mitre = (before + out) / jnp.maximum(1 + jnp.sum(before * out, axis=1, keepdims=True), _SHARP)
    return v + jnp.broadcast_to(jnp.asarray(offsets, float), v.shape[:1])[:, None] * mitre


def refined(outline: ArrayLike, spacing: float) -> np.ndarray:
    """The same outline with vertices at most ``spacing`` um apart, [m, 2]."""
    v = _concrete(outline)
    _check_positive("outline", spacing=spacing)
    ends = zip(v, np.roll(v, -1, axis=0), strict=True)
    counts = np.maximum(np.ceil(np.hypot(*(np.roll(v, -1, axis=0) - v).T) / spacing - 1e-9), 1).astype(int)
    return np.concatenate([a + (b - a) * np.arange(n)[:, None] / n for (a, b), n in zip(ends, counts, strict=True)])


def control_basis(outline: ArrayLike, spacing: float, held: np.ndarray | None = None) -> np.ndarray:
    """Hats along an outline, so that few numbers move many vertices: offsets = basis @ numbers.

    Args:
        outline: [n, 2] um; ``refined`` gives it enough vertices.
        spacing: of the hats' peaks along the outline, um; rounded so that they fit around it. At least two.
        held: vertices that stay where they are, boolean [n]; hats that move nothing are left out.

    Returns:
        [n, hats]; the rows of vertices that are not held add up to 1.
    """
    v = _concrete(outline)
    _check_positive("control basis", spacing=spacing)
    length = np.hypot(*(np.roll(v, -1, axis=0) - v).T)
    at = np.cumsum(length) - length
    count = max(round(length.sum() / spacing), 2)
    distance = (at[:, None] / length.sum() * count - np.arange(count) + count / 2) % count - count / 2
    basis = np.maximum(1 - np.abs(distance), 0)
    if held is not None:
        basis[held] = 0
    return basis[:, basis.any(axis=0)]


def drawn_simulation(
    domain: Domain,
    outlines: Outlines,
    inside: float,
    outside: float,
    polarisation: Polarisation,
    ports: tuple[Port, ...],
    wl: ArrayLike,
    backend: Backend = "superlu",
) -> Simulation:
    """A simulation of concrete polygons with smoothed walls; arguments as of ``smoothed`` and ``Simulation``."""
    of = lambda p: jax.tree.map(np.asarray, smoothed(outlines, domain, inside, outside, p))
    eps = of("ez").point
    return Simulation(domain, eps, polarisation, ports, np.asarray(wl), of(polarisation), backend)


@dataclass(frozen=True, eq=False)
class ShapeModel:
    """S-parameters of polygons that depend on parameters.

    Args:
        region: all that moves stays within it. Its simulation has the ``fixed`` polygons around, best smoothed as by
            ``drawn_simulation``.
        drawn: outlines of given parameters, any pytree; the same number of vertices always.
        inside, outside: relative permittivities, numbers or [wl].
        fixed: outlines that are there too, such as the guides. They may abut those that move, not overlap.
    """

    region: Condensed
    drawn: Callable[[Any], Outlines]
    inside: float | np.ndarray
    outside: float | np.ndarray
    fixed: Outlines = ()

    @classmethod
    def of(cls, problem: Problem, step: float, drawn: Callable[[Any], Outlines]) -> "ShapeModel":
        """Between the guides of a specification, in its materials on a grid of ``step`` um.

        ``drawn`` stays within the region and meets the guides at its sides.
        """
        far = 2 * max(problem.domain(step).size)
        guides = [
            np.array([(g.left, g.bottom), (g.right, g.bottom), (g.right, g.top), (g.left, g.top)])
            for g in problem.guides(far)
        ]
        here = problem.matched(step)
        return cls(Condensed(here.drawn(guides, step), problem.box), drawn, here.core, here.cladding, guides)

    def coefficients(self, params: Any) -> Coefficients:
        """Of the region's pixels, and of the lines and corners that touch them.

        Raises:
            SpecError: as for ``smoothed``, where the parameters are concrete.
        """
        sim, outlines = self.region.simulation, [*self.drawn(params), *self.fixed]
        of = lambda inside, outside: smoothed(
            outlines, sim.domain, inside, outside, sim.polarisation, self.region.cells
        )
        if np.ndim(self.inside) == 0:
            return of(self.inside, self.outside)
        return jax.vmap(of)(jnp.asarray(self.inside), jnp.asarray(self.outside))

    def scattering(self, params: Any) -> jax.Array:
        """S [wl, out, in] as ``Simulation.solve``; may be jitted, and differentiated once in either mode.

        Raises:
            SpecError: as for ``coefficients``.
        """
        return scattering_of(self.region, self.coefficients(params))


def _concrete(outline: ArrayLike) -> np.ndarray:
    v = np.asarray(outline, float)
    if v.ndim != 2 or v.shape[0] < 3 or v.shape[1] != 2 or not np.isfinite(v).all():
        raise SpecError("an outline", got=f"shape {v.shape}", allowed="[n, 2] with n from 3, finite", remedy="give um")
    return v


def _check_positive(what: str, **lengths: ArrayLike) -> None:
    for name, value in lengths.items():
        if not isinstance(value, Tracer) and not (np.all(np.asarray(value) > 0) and np.all(np.isfinite(value))):
            raise SpecError(f"{what}: {name}", got=value, allowed="above 0", remedy="give it in um")
