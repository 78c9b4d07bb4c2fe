"""Cross-sections of waveguides as patterns of bricks: what the mode solver meshes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq.errors import NumericsError, SpecError
from picq.optics.material import material
from picq.optics.mesh import Mesh, mesh

Medium = str | float | tuple[str | float, str | float, str | float]
"""A material's name, an index, or three of them along x, y, z."""
Layer = tuple[Medium, float | None]
"""A medium and its thickness in um; None for the outermost, which goes on to the domain's end."""

_CORE_CELLS, _OUTER_CELLS = 6, 8  # at level 1, of half a core and of a cladding


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Profile:
    """A pattern of bricks with its symmetries; a pytree whose leaves are the positions of the interfaces.

    Attributes:
        x: interfaces at each level, um, shape [columns + 1, rows + 1].
        y: levels, um, shape [rows + 1].
        media: medium of each brick, [column][row], static.
        core: bricks (column, row) that count as core, static.
        cells_x, cells_y: cells of each column and row at level 1, static.
        mirror: what the left end is: "single" (mid-plane of a guide), "pair" (mid-plane between two guides), or ""
            where the pattern is the whole cross-section, static.
        halved: whether the lower end is the film's mid-plane, static.
    """

    x: Any
    y: Any
    media: tuple[tuple[Medium, ...], ...] = field(metadata={"static": True})
    core: tuple[tuple[int, int], ...] = field(metadata={"static": True})
    cells_x: tuple[int, ...] = field(metadata={"static": True})
    cells_y: tuple[int, ...] = field(metadata={"static": True})
    mirror: str = field(metadata={"static": True})
    halved: bool = field(metadata={"static": True})

    def mesh(self, level: int) -> Mesh:
        """The mesh with ``level`` times the cells of level 1 in each direction."""
        times = lambda counts: tuple(level * n for n in counts)
        outer = (not self.mirror, True, not self.halved, True)
        return mesh(self.x, self.y, times(self.cells_x), times(self.cells_y), outer)

    def permittivity(self, grid: Mesh, wl: Any, temperature_k: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """(eps_xx, eps_yy, eps_zz) in each cell, shape [nx, ny]."""
        n = {m: principal_indices(m, wl, temperature_k) for m in {m for column in self.media for m in column}}
        table = jnp.stack([jnp.stack([jnp.stack(n[m]) for m in column]) for column in self.media])
        cells = table[np.asarray(grid.column)[:, None], np.asarray(grid.row)[None, :]] ** 2
        return cells[..., 0], cells[..., 1], cells[..., 2]

    def in_core(self, grid: Mesh) -> np.ndarray:
        """Which cells are core, shape [nx, ny]."""
        inside = np.zeros((len(self.media), len(self.media[0])), bool)
        for brick in self.core:
            inside[brick] = True
        return inside[np.asarray(grid.column)[:, None], np.asarray(grid.row)[None, :]]


def principal_indices(medium: Medium, wl: Any, temperature_k: Any) -> tuple[Any, Any, Any]:
    """Refractive indices along x, y, z of a medium."""
    axes = medium if isinstance(medium, tuple) else (medium,) * 3
    one = lambda m: material(m).index(wl, temperature_k) if isinstance(m, str) else jnp.asarray(m, float)
    a, b, c = (one(m) for m in axes)
    return a, b, c


def guide(
    *,
    width: Any,
    thickness: Any,
    core: Medium,
    cladding: Medium | Sequence[Layer],
    box: Medium | Sequence[Layer] | None = None,
    slab: Any = None,
    sidewall_deg: Any = 90.0,
    gap: Any = None,
    whole: bool = False,
    margin: float = 3.0,
    absorber: float = 2.0,
) -> Profile:
    """The profile of one guide, or of two equal guides side by side, etched into a film.

    ::

                 cladding
              ___________            y = thickness
             /   core    \\           width at half the etch depth
        ____/             \\____      y = slab (left under a rib; none under a strip)
                 core
        _______________________      y = 0
                  box

    Args:
        width: of the core at half the etched height, um.
        thickness: of the film, um.
        core: medium of the film.
        cladding: medium around and above, or layers from the film upwards; the first one surrounds the core.
        box: medium below, or layers from the film downwards; the cladding's by default.
        slab: thickness of the film left beside the core, um; None for a strip.
        sidewall_deg: angle of the side walls to the horizontal.
        gap: distance between two equal guides at half the etched height, um; None for one guide.
        whole: mesh both halves of a single guide (a bend has no mid-plane).
        margin: distance from the core to the ends of the domain, um.
        absorber: of a whole guide, extent of one more column on the right, um, where a bend's radiation is absorbed.

    Raises:
        NumericsError: a concrete length is not positive, or the side walls meet.
    """
    _check(width=width, thickness=thickness, slab=slab, gap=gap, margin=margin, sidewall_deg=sidewall_deg)
    above = _layers(cladding, margin, "cladding")
    below = _layers(above[0][0] if box is None else box, margin, "box")
    if core in (above[0][0], below[0][0]):
        raise SpecError("the core is of the medium that surrounds it", got=str(core), remedy="choose another cladding")
    upright = not isinstance(sidewall_deg, Tracer) and sidewall_deg == 90.0
    halved = slab is None and upright and len(above) == len(below) == 1 and above[0][0] == below[0][0]
    foot = 0.0 if slab is None else slab
    run = 0.0 if upright else (thickness - foot) / jnp.tan(jnp.deg2rad(sidewall_deg))
    _check_walls(width, gap, run, sidewall_deg)
    if slab is not None and not any(isinstance(v, Tracer) for v in (slab, thickness)) and slab >= thickness:
        raise NumericsError(
            "the slab beside a rib is as thick as its film",
            got=f"slab {float(slab):g} um, film {float(thickness):g} um",
            allowed="slab < thickness",
            remedy="etch deeper",
        )

    around = above[0][0]
    rows = [_Row(d, m, m, _OUTER_CELLS) for m, d in reversed(below)]  # upwards
    if slab is not None:
        rows.append(_Row(slab, core, core, _CORE_CELLS))
    ridge = len(rows)
    rows.append(_Row(thickness - foot, core, around, 2 * _CORE_CELLS if slab is None else 3 * _CORE_CELLS // 2))
    rows += [_Row(d, m, m, _OUTER_CELLS) for m, d in above]
    y: list[Any] = [-sum(d for _, d in below)]
    if halved:
        y, ridge = [thickness / 2], 0
        rows = [_Row(thickness / 2, core, around, _CORE_CELLS), rows[-1]]
    for row in rows:
        y.append(y[-1] + row.height)

    half = [(width + run) / 2 if j <= ridge else (width - run) / 2 for j in range(len(y))]  # of the core, by level
    level = lambda value: [value] * len(y)
    if gap is not None:
        middle = (gap + width) / 2
        x = [level(0.0), [middle - h for h in half], [middle + h for h in half], level(gap / 2 + width + margin)]
        mirror, inside, cells_x = "pair", (False, True, False), (_CORE_CELLS, 2 * _CORE_CELLS, _OUTER_CELLS)
    elif whole:
        end = width / 2 + margin
        x = [level(-end), [-h for h in half], half, level(end), level(end + absorber)]
        mirror, inside = "", (False, True, False, False)
        cells_x = (_OUTER_CELLS, 2 * _CORE_CELLS, _OUTER_CELLS, _OUTER_CELLS // 2)
    else:
        x = [level(0.0), half, level(width / 2 + margin)]
        mirror, inside, cells_x = "single", (True, False), (_CORE_CELLS, _OUTER_CELLS)

    core_rows = [j for j, row in enumerate(rows) if row.inside == core and (j == ridge or row.beside == core)]
    return Profile(
        x=jnp.stack([jnp.stack([jnp.asarray(v, float) for v in line]) for line in x]),
        y=jnp.stack([jnp.asarray(v, float) for v in y]),
        media=tuple(tuple(row.inside if core_column else row.beside for row in rows) for core_column in inside),
        core=tuple((i, j) for i, core_column in enumerate(inside) if core_column for j in core_rows),
        cells_x=cells_x,
        cells_y=tuple(row.cells for row in rows),
        mirror=mirror,
        halved=halved,
    )


class _Row(NamedTuple):
    """One row of bricks: height, medium in the core's column and beside it, cells."""

    height: Any
    inside: Medium
    beside: Medium
    cells: int


def _layers(media: Medium | Sequence[Layer], margin: float, what: str) -> list[tuple[Medium, float]]:
    """Layers outwards from the film; one medium alone goes on to the domain's end."""
    given: Any = media
    plain = (str, float, int)
    layers = ((given, None),) if isinstance(given, plain) or isinstance(given[0], plain) else given
    if layers[-1][1] is not None:
        raise SpecError(
            f"the outermost layer of the {what} has a thickness",
            got=f"{layers[-1][1]} um of {layers[-1][0]}",
            allowed="None: it goes on",
            remedy="add what lies behind it, e.g. ('air', None)",
        )
    for _, d in layers:
        _check(**{f"thickness of a layer of the {what}": d})
    return [(m, margin if d is None else d) for m, d in layers]


def _check_walls(width: Any, gap: Any, run: Any, sidewall_deg: Any) -> None:
    """``run``: how far both walls together lean over their height."""
    for name, value in (("width", width), ("gap", gap)):
        if value is None or any(isinstance(v, Tracer) for v in (value, run)) or float(value) > float(run):
            continue
        raise NumericsError(
            "the side walls of the core meet below its top" if name == "width" else "the feet of two cores meet",
            got=f"{name} {float(value):g} um at half the height, walls {float(sidewall_deg):g} degrees",
            allowed=f"{name} > {float(run):g} um",
            remedy=f"choose a larger {name} or steeper walls",
        )


def _check(**lengths: Any) -> None:
    for name, value in lengths.items():
        if value is None or isinstance(value, Tracer):
            continue
        upper = 90.0 if name == "sidewall_deg" else np.inf
        if not np.isfinite(value) or not 0.0 < float(value) <= upper:
            raise NumericsError(
                f"{name} of a waveguide's cross-section is out of range",
                got=f"{float(value):g}",
                allowed="0 < angle <= 90 degrees" if name == "sidewall_deg" else "a positive length in um",
                remedy="give the fabricated geometry; leave gap or slab out (None) where there is none",
            )
