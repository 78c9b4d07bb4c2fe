"""Meshes that conform to a cross-section: trapezoidal bricks, divided into cells that crowd at the interfaces.

The number of cells and their fractions of a brick are static, so a node moves smoothly when an interface does and every
result is differentiable in the geometry; halving the cells keeps the same grading function, so the error has a clean
expansion in the cell size (Richardson's condition).
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_INNER, _OUTER = 2.0, 5.0  # ln(largest / smallest cell) between interfaces, and towards the outer walls


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mesh:
    """Quadrilateral cells between horizontal lines.

    Attributes:
        x: node positions, um, shape [nx + 1, ny + 1]; lines of constant first index may slant (side walls). Complex
            beyond the start of an absorbing layer (coordinate stretching).
        y: node positions, um, shape [ny + 1].
        column, row: brick of each cell column and each cell row, static.
    """

    x: jax.Array
    y: jax.Array
    column: tuple[int, ...] = field(metadata={"static": True})
    row: tuple[int, ...] = field(metadata={"static": True})

    @property
    def width(self) -> jax.Array:
        """Width of each cell at half its height, um, shape [nx, ny]."""
        steps = jnp.diff(self.x, axis=0)
        return (steps[:, 1:] + steps[:, :-1]) / 2

    @property
    def height(self) -> jax.Array:
        """Height of each cell row, um, shape [1, ny]."""
        return jnp.diff(self.y)[None, :]

    @property
    def slant(self) -> jax.Array:
        """dx/dy of the grid lines at the centre of each cell, shape [nx, ny]."""
        rise = jnp.diff(self.x, axis=1) / self.height
        return (rise[1:] + rise[:-1]) / 2

    @property
    def centre(self) -> tuple[jax.Array, jax.Array]:
        """(x, y) of the cell centres, um, each of shape [nx, ny]."""
        x = (self.x[1:, 1:] + self.x[:-1, 1:] + self.x[1:, :-1] + self.x[:-1, :-1]) / 4
        return x, jnp.broadcast_to((self.y[1:] + self.y[:-1]) / 2, x.shape)


def mesh(
    x: Any, y: Any, cells_x: tuple[int, ...], cells_y: tuple[int, ...], outer: tuple[bool, bool, bool, bool]
) -> Mesh:
    """The mesh of a pattern of bricks.

    Args:
        x: interfaces at each level, um, shape [columns + 1, rows + 1].
        y: levels, um, shape [rows + 1].
        cells_x, cells_y: cells of each column and each row.
        outer: whether the left, right, bottom, top end is an outer wall (cells grow towards it) and not a plane of
            symmetry or an interface.
    """
    fx = [_fractions(n, *_grading(i, len(cells_x), outer[:2])) for i, n in enumerate(cells_x)]
    fy = [_fractions(n, *_grading(j, len(cells_y), outer[2:])) for j, n in enumerate(cells_y)]
    y = jnp.asarray(y)
    levels = jnp.concatenate([y[j] + (y[j + 1] - y[j]) * f[:-1] for j, f in enumerate(fy)] + [y[-1:]])
    x = jnp.asarray(x)
    at_levels = jnp.concatenate(
        [x[:, j : j + 1] + (x[:, j + 1 : j + 2] - x[:, j : j + 1]) * f[None, :-1] for j, f in enumerate(fy)]
        + [x[:, -1:]],
        axis=1,
    )
    nodes = jnp.concatenate(
        [at_levels[i] + (at_levels[i + 1] - at_levels[i]) * f[:-1, None] for i, f in enumerate(fx)] + [at_levels[-1:]],
    )
    repeat = lambda counts: tuple(k for k, n in enumerate(counts) for _ in range(n))
    return Mesh(nodes, levels, repeat(cells_x), repeat(cells_y))


def _grading(i: int, count: int, outer: tuple[bool, bool]) -> tuple[float, float]:
    """Strengths with which cells crowd at the lower and the upper end of brick ``i``."""
    if i == 0 and outer[0]:
        return 0.0, _OUTER
    if i == count - 1 and outer[1]:
        return _OUTER, 0.0
    lower = 0.0 if i == 0 else _INNER  # a plane of symmetry needs no crowding
    upper = 0.0 if i == count - 1 else _INNER
    return lower, upper


def _fractions(n: int, lower: float, upper: float) -> np.ndarray:
    """n + 1 positions from 0 to 1 whose spacing shrinks exponentially towards the ends that have a strength."""
    t = np.linspace(0.0, 1.0, n + 1)
    if lower and upper:  # spacing ~ exp(-strength |t - 1/2| * 2) mirrored about the middle
        grow = lambda s: np.expm1(lower * s) / np.expm1(lower)
        return np.where(t <= 0.5, grow(2 * t) / 2, 1 - grow(2 * (1 - t)) / 2)
    if lower:
        return np.expm1(lower * t) / np.expm1(lower)
    if upper:
        return 1 - np.expm1(upper * (1 - t)) / np.expm1(upper)
    return t
