"""Maxwell's equations in two dimensions on a uniform grid, as one complex symmetric matrix.

With one field component F out of the plane, exp(-i omega t) and lengths in steps h of the grid, both polarisations are

    div (a grad F) + (k h)^2 p F = b,    Ez: F = E_z, a = 1, p = eps;    Hz: F = H_z, a = 1/eps, p = 1,

with F at the centres of pixels, p there too, and a on the lines between them, where E_y and E_x live in Hz (Yee, IEEE
Trans. Antennas Propag. 14, 302 (1966)). Row (i, j) is multiplied by the stretch s_x(i) s_y(j) of the absorbing layers,
which makes the matrix symmetric, so that one factorisation serves field and adjoint field. Outside the walls F = 0;
a line of the wall with a = 0 is a wall with dF/dn = 0 instead.

Where a slanted boundary is smoothed, 1/eps is a tensor (Kottke, Farjadpour and Johnson, Phys. Rev. E 77, 036611
(2008)), and so is a, with a_xx = (1/eps)_yy, a_yy = (1/eps)_xx, a_xy = -(1/eps)_xy. It lives at corners of pixels;
with d_x and d_y the mean differences there 2 a_xy d_x d_y = a_xy ((F_ne - F_sw)^2 - (F_se - F_nw)^2) / 2: two links
along the diagonals.
"""

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from jax.core import Tracer

from picq.errors import SpecError
from picq.inverse.grid import Domain
from picq.inverse.pml import stretch

Polarisation = Literal["ez", "hz"]


class Coefficients(NamedTuple):
    """What the matrix is linear in, for [nx, ny] pixels. Arrays of NumPy or JAX.

    Args:
        point: p at the centres of pixels, shape [nx, ny].
        across_x: a (a_xx) on the lines between neighbours along x, walls included, [nx + 1, ny].
        across_y: a (a_yy) on the lines between neighbours along y, [nx, ny + 1].
        corner: a_xy on the corners of pixels, [nx + 1, ny + 1]; None where no boundary is smoothed as a tensor.
    """

    point: Any
    across_x: Any
    across_y: Any
    corner: Any = None


def coefficients(eps: Any, polarisation: Polarisation, frame: tuple[Any, Any, Any, Any] | None = None) -> Coefficients:
    """Coefficients of uniform pixels.

    Hz takes the inverse of the mean permittivity of the two pixels at a line: E is parallel to the line there, so the
    mean is right to second order (Hwang and Cangellaris, IEEE Microw. Wirel. Compon. Lett. 11, 158 (2001)). For slanted
    and curved boundaries that is of first order, and ``Coefficients`` smoothed as a tensor are better.

    Args:
        eps: relative permittivity, shape [nx, ny].
        polarisation: 'ez' for E out of the plane, 'hz' for H.
        frame: permittivity of the pixels around: left [ny], right [ny], below [nx], above [nx]; by default as inside.
    """
    xp: Any = np if isinstance(eps, np.ndarray) else jnp
    if polarisation == "ez":
        nx, ny = eps.shape
        return Coefficients(eps, xp.ones((nx + 1, ny)), xp.ones((nx, ny + 1)))
    left, right, below, above = frame or (eps[0], eps[-1], eps[:, 0], eps[:, -1])
    wide = xp.concatenate([left[None], eps, right[None]], axis=0)
    tall = xp.concatenate([below[:, None], eps, above[:, None]], axis=1)
    return Coefficients(xp.ones_like(eps), 2 / (wide[1:] + wide[:-1]), 2 / (tall[:, 1:] + tall[:, :-1]))


def at_wavelength(c: Coefficients, w: int) -> Coefficients:
    """Coefficients of wavelength number ``w``, of those that may have a first axis of wavelengths."""
    return Coefficients(*(a if a is None or a.ndim == 2 else a[w] for a in c))


def check_eps(eps: Any, shape: tuple[int, int], what: str, wavelengths: int = 1) -> None:
    """Refuse a permittivity of the wrong shape, or a concrete one that is not positive and finite."""
    if np.shape(eps) not in (shape, (wavelengths, *shape)):
        raise SpecError(f"{what} has the wrong shape", got=np.shape(eps), allowed=shape, remedy="one value a pixel")
    if isinstance(eps, Tracer):
        return
    eps = np.asarray(eps)
    if not (np.isfinite(eps).all() and (eps.real > 0).all()):
        raise SpecError(
            f"{what} is not positive and finite everywhere",
            got=f"smallest {np.min(eps.real):g}",
            allowed="above 0",
            remedy="metals and gain are not modelled",
        )


def assemble(domain: Domain, c: Coefficients, wl: float) -> sp.csc_array:
    """The complex symmetric matrix; unknown (i, j) has number i * ny + j.

    Args:
        domain: the grid.
        c: coefficients of all its pixels.
        wl: wavelength, um.
    """
    nx, ny = domain.shape
    sx, sx_line = stretch(nx, domain.pml_cells[0], domain.step, wl)
    sy, sy_line = stretch(ny, domain.pml_cells[1], domain.step, wl)
    east = c.across_x * (sy / sx_line[:, None])
    north = c.across_y * (sx[:, None] / sy_line)
    middle = (2 * np.pi / wl * domain.step) ** 2 * c.point * (sx[:, None] * sy)
    middle = middle - east[1:] - east[:-1] - north[:, 1:] - north[:, :-1]
    bands = {ny: east[1:-1].ravel()}
    if ny > 1:
        bands[1] = _by_rows(north[:, 1:-1], 0, 1)[:-1]
    if c.corner is not None:
        link = c.corner / 2
        middle = middle - link[1:, 1:] - link[:-1, :-1] + link[1:, :-1] + link[:-1, 1:]
        bands[ny + 1] = _by_rows(link[1:-1, 1:-1], 0, 1)[:-1]
        bands[ny - 1] = -np.append(_by_rows(link[1:-1, 1:-1], 1, 0), 0)
    offsets: Any = [0, *bands, *(-offset for offset in bands)]
    diagonals = [middle.ravel(), *bands.values(), *bands.values()]
    return sp.csc_array(sp.diags_array(diagonals, offsets=offsets))


def _by_rows(links: np.ndarray, before: int, after: int) -> np.ndarray:
    """Links in the order of the unknowns, with none between one column's end and the next one's start."""
    return np.pad(links, ((0, 0), (before, after))).ravel()
