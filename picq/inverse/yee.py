"""Guided modes of Yee's grid, and the waves of both directions in a field on it.

On a straight guide Yee's equations separate like those of ``ports``. With c = 1, and waves exp(i (beta w - omega t)),

    omega -> 2 sin(omega dt / 2) / dt,      beta -> 2 sin(beta h / 2) / h

and the cross-section is an eigenvalue problem of the grid for E across the guide (Zhu and Brown, Opt. Express 10, 853
(2002), here with a permittivity for each component at its place). E of a plane and H half a cell behind it have the
same places across the guide, and modes of the grid are orthogonal there, so that

    sum(E x h) = N (a + b),      sum(e x H) = N (a exp(i beta h / 2) - b exp(-i beta h / 2)),      N = sum(e x h)

give both waves where other modes and radiation may pass too; the power of a is |a|² N cos(beta h / 2).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import eigs

from picq.errors import NumericsError

_TAIL = 3e-2
"""Of the largest: field at the end of a cross-section, above which it cuts the mode; 1e-3 of the power."""


class GridMode(NamedTuple):
    """A mode of Yee's grid; see the module's docstring. E and H along u, v: cyclic to the axis."""

    e: np.ndarray  # [2, nu, nv]
    h: np.ndarray
    theta: float  # beta h
    norm: float


def grid_modes(
    inverse: np.ndarray, axis: int, step: float, omega: float, orders: Sequence[int], *, te: bool, name: str = "a guide"
) -> tuple[GridMode, ...]:
    """Modes of a cross-section on Yee's grid, by falling index among those of one polarisation.

    Args:
        inverse: 1/eps at the places of the field, [3, n, m], across the axes other than ``axis`` in their order.
        axis: along the guide, 0 or 1.
        step: um.
        omega: angular frequency over c, 1/um, as the grid's steps in time see it; 2 pi / wl where time is continuous.
        orders: 0 the fundamental one.
        te: whether E is mainly in the plane of the chip.
        name: for messages.

    Raises:
        NumericsError: there is no such mode, or the field does not end within the section.
    """
    u, v = (axis + 1) % 3, (axis + 2) % 3
    eps: Any = 1 / np.asarray(inverse, float)
    floor = omega**2 * float(eps[:, :, [0, -1]].max())  # of the media above and below
    if u > v:
        eps = eps.transpose(0, 2, 1)
    nu, nv = eps.shape[1:]
    forward = lambda n: (sp.eye(n, k=1) - sp.eye(n)) / step
    du = sp.kron(forward(nu), sp.eye(nv), format="csr")
    dv = sp.kron(sp.eye(nu), forward(nv), format="csr")
    bu, bv = -du.T, -dv.T
    eu, ev = sp.diags(eps[u].ravel()), sp.diags(eps[v].ravel())
    iw = sp.diags(1 / eps[axis].ravel())
    matrix: Any = sp.bmat(
        [
            [omega**2 * eu + bv @ dv + du @ iw @ bu @ eu, -bv @ du + du @ iw @ bv @ ev],
            [-bu @ dv + dv @ iw @ bu @ eu, omega**2 * ev + bu @ du + dv @ iw @ bv @ ev],
        ],
        format="csc",
    )
    start = np.random.default_rng(0).random(matrix.shape[0])
    count = min(2 * max(orders) + 4, matrix.shape[0] - 2)
    solved: Any = eigs(matrix, k=count, sigma=omega**2 * float(eps.max()), v0=start)
    flat = u // 2  # which of u, v lies in the plane of the chip
    squares, vectors = solved
    found: list[tuple[float, Any]] = []
    for k in np.argsort(-squares.real):
        e = vectors[:, k].reshape(2, nu, nv)
        e = (e / e.flat[np.argmax(np.abs(e))]).real
        share = np.sum(e[flat] ** 2) / np.sum(e**2)
        if squares[k].real > floor and (share > 0.5) == te:
            found.append((float(np.sqrt(squares[k].real)), e))
    modes = []
    for order in orders:
        if order >= len(found):
            raise NumericsError(
                f"{name} does not guide mode {'te' if te else 'tm'}{order} in three dimensions",
                got=f"{len(found)} such modes on cells of {step} um",
                remedy="widen the guide, or choose a lower mode",
            )
        beta, e = found[order]
        rim = max(float(np.abs(e[:, [0, -1]]).max()), float(np.abs(e[:, :, [0, -1]]).max()))
        if rim > _TAIL:
            raise NumericsError(
                f"the simulation cuts the mode of {name}",
                got=f"field {rim:.1e} of the largest at the end of its plane",
                allowed=f"{_TAIL:g}",
                remedy="enlarge `surroundings.span` and `surroundings.side`",
            )
        flat_u, flat_v = e.reshape(2, -1)
        ew = 1j / beta * (iw @ (bu @ (eu @ flat_u) + bv @ (ev @ flat_v)))
        hu = (dv @ ew - 1j * beta * flat_v) / (1j * omega)
        hv = (1j * beta * flat_u - du @ ew) / (1j * omega)
        h: Any = np.stack([hu, hv])
        h = h.real.reshape(2, nu, nv)
        modes.append(GridMode(e, h, float(2 * np.arcsin(beta * step / 2)), float(np.sum(e[0] * h[1] - e[1] * h[0]))))
    return tuple(modes)


def waves(mode: GridMode, e: np.ndarray, h: np.ndarray) -> tuple[complex, complex]:
    """Amplitudes along and against the axis, of power 1, from E of a plane and H half a cell behind it, [2, nu, nv]."""
    both = np.sum(e[0] * mode.h[1] - e[1] * mode.h[0]) / mode.norm
    turned = np.sum(mode.e[0] * h[1] - mode.e[1] * h[0]) / mode.norm
    q, scale = np.exp(0.5j * mode.theta), np.sqrt(mode.norm * np.cos(mode.theta / 2))
    a = (turned + both / q) / (q + 1 / q)
    return complex(scale * a), complex(scale * (both - a))
