"""Design centring: the best nominal design descends once more, on the yield of fabricated chips.

A nominal optimum lies on the bounds that it was pushed to, and half of its chips miss them. A chip is the same
differentiable model with other dimensions, so the yield has a gradient once the step at each bound is smoothed: a
chip counts as the product over the bounds of Phi(-excess/h), with Phi the normal distribution and h the width of a
kernel estimate, 1.06 s n^(-1/5), from the spread s over n chips (Silverman, Density Estimation (1986), eq. 3.28).
Centring by gradients of smoothed yield: Styblinski and Opalski, IEEE Trans. CAD 5, 79 (1986). Aims pull no more: what
they had gained beyond the bounds is spent on yield.

The chips stay the same through the descent, so it is deterministic; the tolerance analysis draws others. They come in
pairs of opposite offsets: with a mean of their own, a few dozen chips would teach the design to lean against it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import log_ndtr

from picq.design.progress import Progress, Report

if TYPE_CHECKING:
    from picq.design.optimise import Search

_SLOWER = 0.1
"""Of the learning rate: at the steps of the search resonances leave their channels, and every chip with them."""

_FALLEN = 0.5
"""Of the best yield so far: what a step may lose before it is taken back."""

_LEAST = 1e-3
"""Least width of the kernel in scales of a figure, for bounds that no chip's dimensions reach."""


def centred(search: "Search", start: np.ndarray, report: Report) -> np.ndarray:
    """Unbounded coordinates, [variable], of the largest smoothed yield that the descent from ``start`` has seen.

    Chips whose figures or gradients are not finite (without resonances that one could name, say) fail and do not pull.
    """
    options = search.options
    numbers, chips = jnp.arange(options.chips), replace(search.chips, paired=True)

    def excess(u: jax.Array, number: jax.Array) -> jax.Array:
        return search.on_chip(search.problem.excess_of, u, chips, number)

    @jax.jit
    def look(u: jax.Array, width: np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array]:
        def passing(u: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
            found = excess(u, number)
            return jnp.exp(log_ndtr(-found / width).sum()), found

        one = lambda number: jax.value_and_grad(passing, has_aux=True)(u, number)
        (shares, found), slopes = jax.lax.map(one, numbers, batch_size=search.together)
        there = jnp.isfinite(shares) & jnp.isfinite(slopes).all(axis=1)
        shares, slopes = jnp.asarray(jnp.where(there, shares, 0)), jnp.asarray(jnp.where(there[:, None], slopes, 0))
        return shares.mean(), slopes.mean(axis=0), found

    u = jnp.asarray(start)
    found = np.asarray(look(u, np.ones(jax.eval_shape(excess, u, numbers[0]).shape))[2])
    spread = np.nanstd(np.where(np.isfinite(found), found, np.nan), axis=0)
    width = np.fmax(1.06 * spread * options.chips**-0.2, _LEAST)
    optimiser, rate = optax.scale_by_adam(), _SLOWER * options.learning_rate
    state, best, most, steepest = optimiser.init(u), u, -np.inf, u
    for step in range(options.centring):
        share, slope, _ = look(u, width)
        if share > most:
            best, most, steepest = u, float(share), slope
        elif share < _FALLEN * most:  # the step was beyond what the slope tells: back, and shorter ones
            u, slope, state, rate = best, steepest, optimiser.init(best), rate / 2
        change, state = optimiser.update(slope, state)
        u = u + rate * (1 + np.cos(np.pi * step / options.centring)) / 2 * jnp.asarray(change)
        report(Progress("centring", step + 1, options.centring, {"smoothed yield %": 100 * float(share)}))
    return np.asarray(best)
