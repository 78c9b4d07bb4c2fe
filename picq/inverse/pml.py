"""Absorbing layers: the complex stretch of a coordinate (stretched-coordinate PML).

Chew and Weedon, Microw. Opt. Technol. Lett. 7, 599 (1994): d/dx becomes (1/s) d/dx with s = 1 + i sigma/(omega eps0),
for waves exp(i(k x - omega t)). The profile is that of Shin and Fan, J. Comput. Phys. 231, 3406 (2012), eq. 15,
sigma = sigma_max (l/d)^3 with sigma_max such that exp(-30) is left of a wave in vacuum that has gone through the layer
of thickness d and back. It is also ceviche's (0.1.3), whose layers lie one pixel further up along both axes.
"""

import numpy as np

_ORDER = 3
_ABSORPTION = 30.0  # -ln of the amplitude that comes back, before the grid's own reflection


def stretch(count: int, cells: int, step: float, wl: float) -> tuple[np.ndarray, np.ndarray]:
    """Factors s along one axis.

    Args:
        count: pixels along the axis.
        cells: pixels of the layer at each end.
        step: um.
        wl: wavelength, um.

    Returns:
        s at the centres of the pixels, shape [count], and on the lines between them and at both walls, [count + 1].
    """
    twice = np.arange(2 * count + 1) / 2  # lines at whole places, centres between them
    if not cells:
        return np.ones(count, complex), np.ones(count + 1, complex)
    depth = np.maximum(0, np.maximum(cells - twice, twice - (count - cells))) / cells
    strength = (_ORDER + 1) * _ABSORPTION / 2 / (2 * np.pi / wl * cells * step)
    s = 1 + 1j * strength * depth**_ORDER
    return s[1::2], s[::2]
