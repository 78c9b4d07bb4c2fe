"""A circuit whose loops are cut, around a few frequencies, as series: nothing resonates in it, so few points tell all.

What a source needs of its chip lies within some hundred linewidths of three resonances: where exactly they are, their
linewidths, ways in and out at thousands of frequencies. All of it comes from one evaluation of the circuit at a few
dozen frequencies around each. That makes a chip's gradient a tenth of the work, for the machine and for the compiler.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.optics.resonator import Loops

NODES = 64
"""Frequencies at each centre: delays may be up to 64/reach, and differ by 20/reach between ways to one port."""
_ORDERS = 44  # of the series that are kept: what lies beyond is noise of the arithmetic, which slopes would amplify
_TAIL = 1e-10  # of the largest coefficient: a series that ends above it does not hold what is between its nodes


class Neighbourhood(NamedTuple):
    """The parts of an opened circuit within ``reach`` of each centre: a delay each, and the rest as Chebyshev series.

    Attributes:
        centre: angular frequencies, rad/s, [centre].
        reach: to both sides, rad/s, scalar.
        series: coefficients [centre, order, …].
        delay_s: taken out of the series, [centre, …].
    """

    centre: jax.Array
    reach: jax.Array
    series: Loops
    delay_s: Loops

    def at(self, k: int, w: jax.Array) -> Loops:
        """Parts at ``w`` (rad/s, [n]) from the centre of number ``k``; NaN out of reach."""
        x = jnp.asarray(w) / self.reach
        inside = jnp.abs(x) <= 1 + 1e-9
        angle = jnp.arccos(jnp.where(inside, x, 0.0) * (1 - 1e-9))
        powers = jnp.where(inside[:, None], jnp.cos(angle[:, None] * np.arange(_ORDERS)), jnp.nan)

        def part(series: jax.Array, delay_s: jax.Array) -> jax.Array:
            return jnp.tensordot(powers, series[k], 1) * jnp.exp(1j * jnp.multiply.outer(w, delay_s[k]))

        return jax.tree.map(part, self.series, self.delay_s)


def neighbourhood(parts: Callable[[jax.Array], Loops], centre: jax.Array, reach: jax.Array) -> Neighbourhood:
    """Evaluate ``parts`` (of angular frequencies [n]) around each centre, once for all.

    Series that have not ended after ``_ORDERS`` terms, because light takes too long past the loops, become NaN.

    Args:
        parts: of the opened circuit.
        centre: rad/s, [centre].
        reach: rad/s, scalar.
    """
    orders, count = np.arange(_ORDERS), centre.shape[0]
    angles = np.pi * (np.arange(NODES) + 0.5) / NODES
    transform = np.cos(np.outer(orders, angles)) * 2 / NODES  # values at the nodes to coefficients
    transform[0] /= 2
    w = reach * np.cos(angles) / (1 - 1e-9)
    values = jax.tree.map(
        lambda leaf: leaf.reshape(count, NODES, *leaf.shape[1:]), parts((centre[:, None] + w).reshape(-1))
    )

    def delay(leaf: jax.Array) -> jax.Array:
        """From node to node, weighted by power: where filters let nothing pass, phases mean nothing. Any number would
        do; this one leaves little to the series."""
        inner = slice(NODES // 4, 3 * NODES // 4)  # where the nodes are nearly equally far apart
        near = leaf[:, inner]
        turned = jnp.angle(jnp.sum(near[:, :-1] * jnp.conj(near[:, 1:]), 1))
        return jax.lax.stop_gradient(-turned / jnp.mean(jnp.diff(w[inner])))

    def expand(leaf: jax.Array, delay_s: jax.Array) -> jax.Array:
        still = leaf * jnp.exp(-1j * jnp.moveaxis(jnp.multiply.outer(w, delay_s), 0, 1))
        series = jnp.einsum("on,cn...->co...", transform, still)
        size = jnp.max(jnp.abs(jax.lax.stop_gradient(series)), axis=tuple(range(2, series.ndim)))
        ended = jnp.all(size[:, -2:] <= _TAIL * jnp.maximum(jnp.max(size), 1e-30))
        return jnp.where(ended, series, jnp.nan)

    delays = jax.tree.map(delay, values)
    return Neighbourhood(centre, reach, jax.tree.map(expand, values, delays), delays)
