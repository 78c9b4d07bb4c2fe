"""What the eigenproblem of a mode is made of: coefficients of cells, unknowns, walls, and which mode is wanted."""

from dataclasses import dataclass
from typing import Any, NamedTuple


class Cells(NamedTuple):
    """Coefficients of the cells, arrays of shape [nx, ny] of JAX or NumPy; K and M are linear in them.

    Attributes:
        e11, e12, e22: k² eps of the transverse plane, in covariant components of the mesh lines.
        face: 1/mu_z over the cell's area.
        u11, u12, u22: 1/mu of the transverse plane, the same components.
        node: k² eps_z times the cell's area.
    """

    e11: Any
    e12: Any
    e22: Any
    face: Any
    u11: Any
    u12: Any
    u22: Any
    node: Any


class Field(NamedTuple):
    """e1 [nx, ny + 1], e2 [nx + 1, ny], q [nx + 1, ny + 1]; zero on electric walls."""

    e1: Any
    e2: Any
    q: Any


@dataclass(frozen=True)
class Walls:
    """What ends the domain on each side: True for an electric wall (E tangential = 0), False for a magnetic one."""

    left: bool
    right: bool
    bottom: bool
    top: bool


class Pick(NamedTuple):
    """Which mode of a class of symmetry, among those polarised like it.

    Attributes:
        te: whether E lies mainly along x.
        order: number by falling index, or None for the one nearest to the start value.
    """

    te: bool
    order: int | None
