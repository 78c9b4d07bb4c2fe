"""Design centring: the best nominal design climbs once more, on the yield of fabricated chips.

A nominal optimum lies on the bounds that it was pushed to, and half of its chips miss them. A chip is the same
differentiable model with other dimensions, so the yield has a gradient once the step at each bound is smoothed: a
chip counts as the product over the bounds of Phi(-excess/h), with Phi the normal distribution and h the width of a
kernel estimate, 1.06 s n^(-1/5), from the spread s over n chips (Silverman, Density Estimation (1986), eq. 3.28).
Centring by gradients of smoothed yield: Styblinski and Opalski, IEEE Trans. CAD 5, 79 (1986). Aims pull no more: what
they had gained beyond the bounds is spent on yield.

Heaters follow the other variables (``Problem.retuned``): a micrometre more in both straights of a nitride racetrack is
2.4 resonances, and between them no chip passes that a slope could be taken of. Variables still differ in what they do,
so steps are those of the natural gradient (Amari, Neural Comput. 10, 251 (1998)), with the Fisher information of chips
that pass or fail: a direction in which many chips change sides is long, however variables are scaled or mixed. A step
that gains nothing is taken back.

The chips stay the same throughout, so it is deterministic; the tolerance analysis draws others. They come in pairs of
opposite offsets: with a mean of their own, a few dozen chips would teach the design to lean against it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr

from picq.design.progress import Progress, Report

if TYPE_CHECKING:
    from picq.design.optimise import Search

_LEAST = 1e-3
"""Least width of the kernel in scales of a figure, for bounds that no chip's dimensions reach."""

_SURE = 1e-9
"""Of the largest variance of a chip: those with less pass or fail for certain, with no say in how long a step is."""


class Centred(NamedTuple):
    """Where a climb ended.

    Attributes:
        x: the variables.
        before, after: smoothed yield of the start and of ``x``, 0 to 1.
    """

    x: np.ndarray
    before: float
    after: float


def centred(search: "Search", start: np.ndarray, report: Report) -> Centred:
    """The largest smoothed yield that a climb from ``start``, unbounded coordinates [variable], comes by.

    Chips whose figures or gradients are not finite (without resonances that one could name, say) fail and do not pull;
    where all fail, the climb ends where it began.
    """
    problem, options = search.problem, search.options
    numbers, chips = jnp.arange(options.chips), replace(search.chips, paired=True)
    whence = problem.device(np.asarray(search.bounded(start)))
    designed = lambda u: problem.retuned(search.bounded(u), whence)

    def excess(u: jax.Array, number: jax.Array) -> jax.Array:
        return search.on_chip(problem.excess_of, designed(u), chips, number)

    @jax.jit
    def look(u: jax.Array, width: np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array]:
        """(how far each chip passes [chip], the slopes of that [chip, variable], excesses [chip, bound])."""

        def passing(u: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
            found = excess(u, number)
            return jnp.exp(log_ndtr(-found / width).sum()), found

        one = lambda number: jax.value_and_grad(passing, has_aux=True)(u, number)
        (shares, found), slopes = jax.lax.map(one, numbers, batch_size=search.together)
        there = jnp.isfinite(shares) & jnp.isfinite(slopes).all(axis=1)
        return jnp.asarray(jnp.where(there, shares, 0)), jnp.asarray(jnp.where(there[:, None], slopes, 0)), found

    best = np.asarray(start)
    found = np.asarray(look(best, np.ones(jax.eval_shape(excess, best, numbers[0]).shape))[2])
    spread = np.ma.masked_invalid(found).std(axis=0).filled(0.0)
    width = np.fmax(1.06 * spread * options.chips**-0.2, _LEAST)
    shares, slopes, _ = (np.asarray(part) for part in look(best, width))
    before, length = float(shares.mean()), 1.0
    for step in range(options.centring):
        way = _natural(shares, slopes)
        u = best + length * way
        tried, after, _ = (np.asarray(part) for part in look(u, width))
        rise, left = (float(way @ each.mean(axis=0)) for each in (slopes, after))
        longer = np.clip(rise / (rise - left), 0.25, 2.0) if rise > left else 2.0  # to where the rise would end
        if tried.mean() > shares.mean():
            best, shares, slopes, length = u, tried, after, length * longer
        else:
            length *= min(longer, 0.5)
        report(Progress("centring", step + 1, options.centring, {"smoothed yield %": 100 * float(shares.mean())}))
    return Centred(np.asarray(problem.vector(designed(best))), before, float(shares.mean()))


def _natural(shares: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The natural gradient of the mean share, [variable]; no direction is longer than one in which only the chips that
    are in doubt change sides over the whole range."""
    variance = shares * (1 - shares)
    doubt = variance > _SURE * variance.max(initial=0.0)
    if not doubt.any():
        return np.zeros(slopes.shape[1])
    weighted = slopes[doubt] / variance[doubt, None]
    fisher = weighted.T @ slopes[doubt] / len(shares) + variance.mean() * np.eye(slopes.shape[1])
    return np.linalg.solve(fisher, slopes.mean(axis=0))
