"""Interference of heralded photons of two sources: what a circuit of many chips asks of each.

Both joint amplitudes are needed at the same absolute frequencies of the photons that meet; those that herald may lie
anywhere. Lines of two chips may lie many linewidths apart, so the grid is that of both: each one's own points, whose
weights are shared by their densities.
"""

import jax
import jax.numpy as jnp

from picq.quantum.joint_spectrum import Grid
from picq.quantum.pair_amplitude import Emitter, amplitude, frame
from picq.quantum.pump import Pulse
from picq.quantum.schmidt import hom_visibility


def joined_grid(first: Grid, second: Grid, apart: jax.Array) -> Grid:
    """Frequencies of two grids by ``tan_grid`` from the reference of the first, in no order, [n1 + n2].

    A point's weight becomes 1/(density of both at it), so that it keeps the share of its own grid's density. These are
    smooth: midpoints still converge exponentially, and two equal grids are as good as one.

    Args:
        first, second: each from its own reference.
        apart: the second's reference from the first's.
    """
    w = jnp.concatenate([first.w, second.w + apart])
    return Grid(w, 1 / (1 / _step(first, w) + 1 / _step(second, w - apart)), 0.0, jnp.inf)


def indistinguishability(chips: tuple[Emitter, Emitter], pulse: Pulse, points: int = 128) -> jax.Array:
    """Visibility of the Hong-Ou-Mandel dip of heralded signals of two chips (``schmidt.hom_visibility``), scalar.

    Each is pumped by pulses of its own, centred on its own pumped resonance. Of two equal chips it is the purity.

    Args:
        chips: their sources.
        pulse: in the pump's port of each, times in s.
        points: frequencies of each photon of each.
    """
    frames = [frame(chip.lines, pulse, points) for chip in chips]
    apart = chips[1].lines.signal.omega - chips[0].lines.signal.omega
    both = joined_grid(frames[0].signal, frames[1].signal, apart)
    psi = []
    for chip, at, w in zip(chips, frames, (both.w, both.w - apart), strict=True):
        near = jnp.abs(w) <= at.signal.reach  # of what is beyond nothing is known, as in the purity
        there = at._replace(signal=both._replace(w=jnp.where(near, w, 0.0)))
        psi.append(jnp.where(near[:, None], amplitude(chip, pulse, 1.0, there), 0.0))
    return hom_visibility(*psi)


def _step(grid: Grid, w: jax.Array) -> jax.Array:
    """Distance of the points of a ``tan_grid`` at ``w``, also beyond them: a quadratic in w - centre."""
    x, middle = grid.w - grid.centre, grid.w.shape[0] // 2
    curve = (grid.weight[-1] - grid.weight[middle]) / (x[-1] ** 2 - x[middle] ** 2)
    return grid.weight[middle] + curve * ((w - grid.centre) ** 2 - x[middle] ** 2)
