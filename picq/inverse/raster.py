"""Polygons on the grid: the exact share of every cell, and coefficients smoothed with it and the walls' directions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq.errors import SpecError
from picq.inverse.fdfd import Coefficients, Polarisation
from picq.inverse.grid import Domain
from picq.inverse.pieces import Areas, Walls, summed

Outlines = Sequence[Any]
"""Closed ones, [n, 2] um each, NumPy or JAX: solid anticlockwise, holes clockwise, disjoint save for common edges."""

_CANCELLED = 0.01
"""Weight of the walls' own directions against that of their vector sum, see ``smoothed``."""

_BESIDE = 1e-12
"""Weight of walls beyond the cell: only direction there is where an edge lies on the cell's border."""

_COVERED = 1e-6
"""How far a share may be outside of 0 to 1 before outlines overlap: far above rounding."""

_ROUND = 256
"""Every number of edges would be compiled anew."""

_NOWHERE = 1e-30
"""Trace below which no wall is near: weights of 1e-9 of a cell, in cells that are solid or void to rounding."""


class Edges(NamedTuple):
    """Outlines as ``fractions`` and ``smoothed`` take them too: as one array, whose size seldom changes with them.

    Attributes:
        ends: of all edges, um, [edge, end, axis]; edge i starts at vertex i of all outlines. Then points, which are no
            walls, to a multiple of ``_ROUND``.
    """

    ends: Any

    @classmethod
    def of(cls, outlines: Outlines) -> "Edges":
        """Of at least one outline; numpy's unless one is traced."""
        lib: Any = jnp if any(isinstance(outline, Tracer) for outline in outlines) else np
        ends = [lib.stack([v, lib.roll(v, -1, axis=0)], axis=1) for v in map(lib.asarray, outlines)]
        return cls(lib.concatenate([*ends, np.zeros((-sum(map(len, outlines)) % _ROUND, 2, 2))]))


def fractions(
    outlines: Outlines | Edges, origin: tuple[float, float], step: float, shape: tuple[int, int]
) -> jax.Array:
    """Share of every cell of a grid that is solid, exact to rounding, [nx, ny].

    May be jitted, and differentiated once in either mode: the derivative is that of moving walls, and for a wall on a
    line of the grid the mean of both sides.

    Args:
        outlines: what is solid; may reach beyond the grid.
        origin: lower left corner of the grid, um.
        step: edge of a cell, um.
        shape: cells along x and y.

    Raises:
        SpecError: outlines that are none, overlap, or have their solid on the right; concrete ones only.
    """
    found = summed(_edges(outlines, origin, step), Areas, shape)
    if not isinstance(found, Tracer) and not (found.min() > -_COVERED and found.max() < 1 + _COVERED):
        raise SpecError(
            "outlines overlap, cross themselves or run the wrong way round",
            got=f"shares of {found.min():g} to {found.max():g} in cells of {step} um",
            allowed="0 to 1",
            remedy="merge them: solid anticlockwise, holes clockwise, nothing drawn twice",
        )
    return found


def smoothed(
    outlines: Outlines | Edges,
    domain: Domain,
    inside: float | jax.Array,
    outside: float | jax.Array,
    polarisation: Polarisation,
    cells: tuple[slice, slice] | None = None,
) -> Coefficients:
    """Coefficients of second order for polygons, as ``Simulation.smooth`` or for ``scattering_of``.

    Ez has the mean permittivity of each pixel. Hz has, for a square of the size of a pixel about the place of each
    coefficient, the tensor 1/eps = P <1/eps> + (1 - P) / <eps> of Kottke, Farjadpour and Johnson, Phys. Rev. E 77,
    036611 (2008), eq. (14) for isotropic media, with P = n n' for a wall of normal n. Here

        P ~ N N' + L (T / 100),    N = sum(w l n),  T = sum(w l n n'),  L = sum(w l),    trace P = 1

    over the walls in the square, with weights w that fall to 0 at its border: so the coefficients are continuous in the
    vertices. All terms are L^2 n n' for one wall. N alone does not see common edges of abutting polygons, which are no
    walls; T is what is left of the two walls of a bar narrower than a pixel, whose N cancels.

    Args:
        outlines: what is ``inside``; may reach beyond the pixels. Guides that meet the domain's wall should end a pixel
            or more behind it: lines and corners on the wall see as far.
        domain: the grid.
        inside, outside: relative permittivities.
        polarisation: 'ez' or 'hz'.
        cells: pixels wanted, as ``Condensed.cells``; by default all.

    Returns:
        Coefficients of these pixels and of the lines and corners that touch them; without corners for Ez.

    Raises:
        SpecError: as for ``fractions``; permittivities that are not positive; an unknown polarisation.
    """
    if polarisation not in ("ez", "hz"):
        raise SpecError("unknown polarisation", got=polarisation, allowed="'ez' or 'hz'")
    for name, eps in (("inside", inside), ("outside", outside)):
        if not isinstance(eps, Tracer) and not (np.ndim(eps) == 0 and 0 < float(np.real(eps)) < np.inf):
            raise SpecError(
                f"the permittivity {name}", got=eps, allowed="one number above 0", remedy="metals are not modelled"
            )
    columns, rows = cells or (slice(0, domain.shape[0]), slice(0, domain.shape[1]))
    nx, ny = columns.stop - columns.start, rows.stop - rows.start
    corner = domain.place(0, columns.start), domain.place(1, rows.start)
    if polarisation == "ez":
        share = fractions(outlines, corner, domain.step, (nx, ny))
        return Coefficients(outside + (inside - outside) * share, jnp.ones((nx + 1, ny)), jnp.ones((nx, ny + 1)))
    # Cells of half a pixel and one pixel more around: every square wanted is four of them about one of their nodes.
    half, shape = domain.step / 2, (2 * nx + 4, 2 * ny + 4)
    origin = corner[0] - domain.step, corner[1] - domain.step
    quarters = fractions(outlines, origin, half, shape) / 4
    share = quarters[:-1, :-1] + quarters[1:, :-1] + quarters[:-1, 1:] + quarters[1:, 1:]
    pxx, pxy, pyy = _directions(summed(_edges(outlines, origin, half), Walls, shape))
    along, across = share / inside + (1 - share) / outside, 1 / (share * inside + (1 - share) * outside)
    lines, centres = (lambda n: slice(1, 2 * n + 2, 2)), (lambda n: slice(2, 2 * n + 1, 2))
    return Coefficients(
        point=jnp.ones((nx, ny)),
        across_x=(across + pyy * (along - across))[lines(nx), centres(ny)],
        across_y=(across + pxx * (along - across))[centres(nx), lines(ny)],
        corner=(-pxy * (along - across))[lines(nx), lines(ny)],
    )


def _directions(sums: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """P_xx, P_xy and P_yy of ``smoothed`` at all but the outermost nodes, from ``Walls``; 0 far from walls."""
    nx, ny, *own = (s[1:-1, 1:-1] for s in sums)
    wide = sums[2:, :-2] + 2 * sums[2:, 1:-1] + sums[2:, 2:]
    wide = wide[..., :-2] + 2 * wide[..., 1:-1] + wide[..., 2:]
    length, reached = own[0] + own[2], wide[0] + wide[2]
    vector = nx * nx, nx * ny, ny * ny
    p = [v + _CANCELLED * length * t + _BESIDE * reached * w for v, t, w in zip(vector, own, wide, strict=True)]
    trace = p[0] + p[2]
    near = trace > _NOWHERE
    xx, xy, yy = jnp.stack(p) * near / jnp.maximum(trace, _NOWHERE)
    return xx, xy, yy


def _edges(outlines: "Outlines | Edges", origin: tuple[float, float], step: float) -> jax.Array:
    """All edges in units of cells, [edge, end, axis]."""
    if isinstance(outlines, Edges):
        return (outlines.ends - np.array(origin)) / step
    for number, outline in enumerate(outlines):
        size = np.shape(outline)
        if len(size) != 2 or size[0] < 3 or size[1] != 2:
            raise SpecError(
                f"outline {number} is no polygon",
                got=f"shape {size}",
                allowed="[n, 2] with n from 3",
                remedy="give its vertices in um, without repeating the first",
            )
        if not isinstance(outline, Tracer) and not np.isfinite(np.asarray(outline)).all():
            raise SpecError(f"outline {number} is not finite", got=outline, allowed="vertices in um")
    return _edges(Edges.of(outlines), origin, step) if outlines else jnp.zeros((0, 2, 2))
