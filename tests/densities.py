"""Design regions that several tests filter."""

import numpy as np

from picq.inverse.density import Density, Filtered, margin

R = 0.15
"""Radius of the filter, um."""


def free(shape=(24, 20), step=0.02, radius=0.09, around=0.0, **settings) -> Density:
    """A region in a uniform outside."""
    m = margin(radius, step)
    return Density(shape, step, radius, np.full((shape[0] + 2 * m, shape[1] + 2 * m), around), **settings)


def bar(width: float, step: float, span: float = 1.6, invert: bool = False) -> tuple[Density, Filtered]:
    """A bar along y (or a gap), ``width`` along x, that goes on outside; pixels on its edges in proportion."""
    m = margin(R, step)
    x = (np.arange(round(span / step) + 2 * m) + 0.5) * step - m * step - span / 2
    drawn = np.clip((width / 2 - np.abs(x)) / step + 0.5, 0, 1)[:, None] * np.ones(20 + 2 * m)
    drawn = 1 - drawn if invert else drawn
    density = Density((drawn.shape[0] - 2 * m, 20), step, R, drawn)
    return density, density.filtered(drawn[m:-m, m:-m])
