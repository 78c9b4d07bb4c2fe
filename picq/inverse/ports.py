"""Ports of a simulation: guided modes of the grid itself, sources and overlaps, and S from what the ports see.

A port is a line of pixels across a straight guide that goes on to the domain's wall. On such a guide the discrete
equations separate: F = sum_m (a_m q_m^n + b_m q_m^-n) phi_m with n the column, q = exp(i theta),

    T phi + (k h)^2 p phi = 2 (1 - cos theta) a phi                     (T: differences along the line)

so phi, theta and everything below hold for the grid, not just in its limit. The source a phi on the line drives waves
away on both sides; overlap with the same vector gives Z_pq = u_p' A^-1 u_q, which is symmetric, so that S is reciprocal
to rounding and one solution a port gives S and its gradient. At the line the overlap is a + b, and the row of the line
itself ties a and b to the source's strength J: with r the reflection of what lies behind (b returns as r b),

    a = r b + (1 + r) J / (2i sin theta).

r is solved on the guide behind the port, where the equations are one-dimensional; so it is not in S.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.linalg import eigh_tridiagonal

from picq.errors import SpecError
from picq.inverse.fdfd import Coefficients
from picq.inverse.grid import Domain
from picq.inverse.pml import stretch

_UNIFORM = 1e-9  # relative: coefficients along a guide that come from the same polygon differ by rounding only


@dataclass(frozen=True)
class Port:
    """Where light enters and leaves.

    Args:
        name: of the port.
        centre: middle of its line, um; S refers to the coordinate along the guide exactly, and the line of the grid
            is the nearest one, in the middle of a pixel.
        orientation: direction out of the device, degrees: 0 (+x), 90 (+y), 180, 270; as in gdsfactory.
        span: length of its line, um; the field is cut off beyond. Whole guides with their tails.
        modes: orders of its modes, 0 being the one of highest n_eff. The lobe at the low end of the line is positive.
    """

    name: str
    centre: tuple[float, float]
    orientation: Literal[0, 90, 180, 270]
    span: float
    modes: tuple[int, ...] = (0,)


class Line(NamedTuple):
    """Pixels of a port: ``start`` to ``stop`` along the line, in column ``at``, ``outward`` towards the wall."""

    axis: int  # of the guide: 0 for x
    at: int
    start: int
    stop: int
    outward: int

    def numbers(self, shape: tuple[int, int]) -> np.ndarray:
        """Unknowns of the line."""
        along = np.arange(self.start, self.stop)
        return self.at * shape[1] + along if self.axis == 0 else along * shape[1] + self.at


class Modes(NamedTuple):
    """Guided modes of one port at one wavelength."""

    n_eff: np.ndarray  # [mode]
    profile: np.ndarray  # phi, [point, mode], with sum(a phi phi) = 1
    source: np.ndarray  # sqrt(sin theta) a phi, [point, mode]: waves of the same power in all ports
    behind: np.ndarray  # r, [mode]
    turn: np.ndarray  # exp(i theta n) over the n pixels outwards from the line to the port's exact place, [mode]


def line_of(domain: Domain, port: Port) -> Line:
    """Where ``port`` lies on the grid.

    Raises:
        SpecError: it is outside the domain, or in an absorbing layer.
    """
    if port.orientation not in (0, 90, 180, 270):
        raise SpecError(f"port {port.name}: orientation", got=port.orientation, allowed="0, 90, 180 or 270 degrees")
    if not port.modes or len(set(port.modes)) != len(port.modes) or min(port.modes) < 0:
        raise SpecError(f"port {port.name}: modes", got=port.modes, allowed="different orders from 0")
    axis = 0 if port.orientation in (0, 180) else 1
    across = 1 - axis
    at = int(np.floor(domain.pixel(axis, port.centre[axis])))
    if not domain.pml_cells[axis]:
        raise SpecError(
            f"port {port.name} looks at a bare wall",
            got=f"orientation {port.orientation}, no absorbing layer along {'xy'[axis]}",
            remedy="give the domain a layer there, 20 pixels thick or so",
        )
    ends = [domain.pixel(across, port.centre[across] + side * port.span / 2) for side in (-1, 1)]
    start, stop = round(ends[0]), round(ends[1])
    count, cells = domain.shape, domain.pml_cells
    inside = cells[axis] <= at < count[axis] - cells[axis]
    if not (inside and cells[across] <= start < stop <= count[across] - cells[across]):
        room = domain.interior
        outside = not (0 <= at < count[axis] and 0 <= start < stop <= count[across])
        raise SpecError(
            f"port {port.name} is {'outside the domain' if outside else 'in an absorbing layer'}",
            got=f"{port.span} um about {port.centre}, orientation {port.orientation}",
            allowed=f"the line within x {room.left:g} to {room.right:g}, y {room.bottom:g} to {room.top:g} um",
            remedy="move the port, shorten its span or enlarge the domain",
        )
    return Line(axis, at, start, stop, 1 if port.orientation in (0, 90) else -1)


def solve_modes(domain: Domain, c: Coefficients, port: Port, wl: float) -> Modes:
    """The modes of ``port``.

    Args:
        domain: the grid.
        c: coefficients of all its pixels.
        port: the port.
        wl: wavelength, um.

    Raises:
        SpecError: the port is outside or in a layer, its guide changes between line and wall, or does not guide
            one of the modes.
    """
    line = line_of(domain, port)
    point, ahead, across = _section(c, port, line)
    kh2 = (2 * np.pi / wl * domain.step) ** 2
    root = np.sqrt(ahead)
    main = (kh2 * point - across[1:] - across[:-1]) / ahead
    beside = across[1:-1] / (root[1:] * root[:-1])
    top, count = max(port.modes), point.size
    if top >= count:
        raise _unguided(port, top, wl, "the line has no more pixels")
    squares, vectors = eigh_tridiagonal(main, beside, select="i", select_range=(count - 1 - top, count - 1))
    squares, vectors = squares[::-1][list(port.modes)], vectors[:, ::-1][:, list(port.modes)]
    cladding = max(point[0] / ahead[0], point[-1] / ahead[-1])
    for order, square in zip(port.modes, squares, strict=True):
        if square <= kh2 * cladding:
            n = np.sqrt(max(square, 0) / kh2)
            raise _unguided(port, order, wl, f"n = {n:.4f}, cladding {np.sqrt(cladding):.4f}")
    if squares.max() >= 4:
        raise SpecError(
            f"port {port.name}: the grid is too coarse to carry the wave",
            got=f"step {domain.step} um at {wl} um",
            remedy="ten pixels a wavelength in the material are a start",
        )
    theta = np.arccos(1 - squares / 2)
    profile = vectors / root[:, None]
    first = np.argmax(np.abs(profile) > 1e-3 * np.abs(profile).max(axis=0), axis=0)
    profile = profile * np.sign(profile[first, np.arange(first.size)])
    exact = domain.pixel(line.axis, port.centre[line.axis])
    return Modes(
        n_eff=theta / np.sqrt(kh2),
        profile=profile,
        source=np.sqrt(np.sin(theta)) * ahead[:, None] * profile,
        behind=_reflection(domain, line, squares, theta, wl),
        turn=np.exp(1j * theta * line.outward * (exact - line.at - 0.5)),
    )


def _unguided(port: Port, order: int, wl: float, why: str) -> SpecError:
    return SpecError(
        f"port {port.name} guides no mode of order {order} at {wl:g} um",
        got=why,
        remedy="widen the guide or the span, check the permittivity at the port, or leave the mode or wavelength out",
    )


def _section(c: Coefficients, port: Port, line: Line) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p on the line, a ahead of it, and a between its points, of a guide that is the same up to the wall."""
    point, ahead, across = c[:3] if line.axis == 0 else (c.point.T, c.across_y.T, c.across_x.T)
    # One line further in as well: there the field is a + b too.
    columns = slice(line.at - 1, None) if line.outward > 0 else slice(0, line.at + 2)
    lines = slice(line.at, None) if line.outward > 0 else slice(0, line.at + 2)
    parts = point[columns, line.start : line.stop], ahead[lines, line.start : line.stop]
    parts = *parts, across[columns, line.start : line.stop + 1]
    tilted = c.corner is not None and np.any(
        (c.corner if line.axis == 0 else c.corner.T)[lines, line.start : line.stop + 1]
    )
    for part in parts:
        if tilted or np.imag(part).any() or np.ptp(part.real, axis=0).max() > _UNIFORM * np.abs(part).max():
            raise SpecError(
                f"port {port.name}: its guide is not a straight, lossless one from the port to the wall",
                got=f"it changes between the line at {port.centre} um and the wall it looks at",
                remedy="let the guide run through the absorbing layer, and nothing else cross the port's span",
            )
    return parts[0][0].real, parts[1][0].real, parts[2][0].real


def _reflection(domain: Domain, line: Line, squares: np.ndarray, theta: np.ndarray, wl: float) -> np.ndarray:
    """What comes back from layer and wall behind the line, [mode], referred to the line."""
    count = domain.shape[line.axis]
    s, s_line = stretch(count, domain.pml_cells[line.axis], domain.step, wl)
    steps = line.at if line.outward < 0 else count - 1 - line.at  # the layers at both ends are the same
    outer, here = np.zeros(squares.shape, complex), np.ones(squares.shape, complex)
    for i in range(steps):
        outer, here = here, here + s_line[i + 1] * ((here - outer) / s_line[i] - s[i] * squares * here)
    q = np.exp(1j * theta)
    return -(outer - here * q) / (outer - here / q)


def scattering(z: np.ndarray, behind: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S of the ports, and the strengths of the sources that send in waves of unit power.

    Args:
        z: overlaps Z, [..., channel, channel].
        behind: r, [..., channel].
        turn: ``Modes.turn``, [..., channel].

    Returns:
        S [..., out, in], symmetric; J [..., source, in].
    """
    one = np.eye(z.shape[-1])
    seen = 2j * z / (1 + behind)[..., None]
    incoming = one + behind[..., None] * seen  # of sources of strength 2i
    strength = np.linalg.inv(incoming)
    s = (seen - one) @ strength
    return turn[..., None] * s * turn[..., None, :], 2j * strength * turn[..., None, :]
