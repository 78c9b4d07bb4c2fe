"""Clicks of threshold detectors on Gaussian light: probabilities of all patterns, and the ratios read from them.

No click on the detectors T: f(T) = prod(1 - dark) det(1 + D_T C)^(-1/2), with C = [[n, m], [m*, n*]] in normal order
and D_T the efficiencies of T. A pattern is an alternating sum of such numbers near one (inclusion and exclusion), which
loses what is small: a fourfold click of 1e-12 has four digits left. So it is never formed here:

- Light that did not click is Gaussian again. Taking a mode into T is one step of elimination: a change of rank two of
  the moments, and a factor of f. A binary tree over the detectors visits all T, and all that is near one is kept as its
  distance from one.
- With z(T) = f(T and d)/f(T) - 1, detector d clicks with the earlier ones as sum over patterns of f z: a product of set
  functions, written detector by detector so that only differences of the small z are taken.

Errors are 2e-16 of the probability that any detector clicks, instead of 1e-16 of one: at mu = 1e-3 and 10 % efficiency
a fourfold click of 3e-11 has 9 digits, a twofold one 14. ``tests/test_clicks.py`` measures against 50 digits.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq.errors import SpecError
from picq.quantum.gaussian import GaussianState

_MOST = 8  # detectors: 256 patterns

Beams = tuple[tuple[int, ...], ...]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Detectors:
    """Threshold detectors; make them by ``Detectors.on``.

    Args:
        efficiency: [..., detector].
        dark: probability of a click in the dark, per window, [..., detector].
        beams: the modes that each of them sees.
    """

    efficiency: jax.Array
    dark: jax.Array
    beams: Beams = dataclasses.field(metadata={"static": True})

    @classmethod
    def on(cls, beams: Sequence[int | Sequence[int]], efficiency: Any = 1.0, dark: Any = 0.0) -> "Detectors":
        """One detector on each beam: a mode, or several whose photons it counts alike (temporal or Schmidt modes).

        Args:
            beams: modes, each seen once at most.
            efficiency: in [0, 1], scalar or [..., detector]; traced values outside become NaN.
            dark: the same, for the probability of a dark click per window.

        Raises:
            SpecError: a concrete value lies outside [0, 1], a mode is negative or seen twice, or there are too many.
        """
        own = tuple((beam,) if isinstance(beam, int) else tuple(beam) for beam in beams)
        seen = [mode for beam in own for mode in beam]
        if len(own) > _MOST or len(set(seen)) < len(seen) or any(mode < 0 for mode in seen):
            raise SpecError(
                "detectors: modes must be seen once at most, by not too many detectors",
                got=f"{len(own)} detectors on {own}",
                allowed=f"different modes from 0 on, at most {_MOST} detectors",
                remedy="take detectors together, or compute independent parts alone",
            )
        return cls(_share(efficiency, len(own), "efficiency"), _share(dark, len(own), "dark click"), own)

    @property
    def modes(self) -> tuple[int, ...]:
        """All that are seen, sorted."""
        return tuple(sorted(mode for beam in self.beams for mode in beam))

    def only(self, *which: int) -> "Detectors":
        """Some of them, in this order; the others are not looked at."""
        at = np.array(which)
        return Detectors(self.efficiency[..., at], self.dark[..., at], tuple(self.beams[k] for k in which))


@jax.jit
def click_probabilities(state: GaussianState, detectors: Detectors) -> jax.Array:
    """Probabilities of all patterns, [..., 2, 2, ...]: one axis per detector, in their order; 1 is a click.

    Exact in all orders of pairs. What each detector does is one elimination of 2^k small matrices, and the gradient
    follows from the same matrices, without solving anything.

    Raises:
        SpecError: a detector looks at a mode that the state does not have.
    """
    ell, *_ = _silenced(state, detectors, detectors.modes)
    ratio = jnp.expm1(ell)
    p, count = jnp.ones((*ell.shape[:-1], 1)), len(detectors.beams)
    for k, detector in enumerate(reversed(range(count))):
        earlier = 2**k
        here, dark = ratio[..., earlier : 2 * earlier], detectors.dark[..., detector, None]
        click = -_weighted(p, here - dark * (1 + here), k)
        p = jnp.concatenate(jnp.broadcast_arrays(p - click, click), -1)
    return p.reshape(*p.shape[:-1], *(2,) * count)


def coincidence(state: GaussianState, detectors: Detectors, *which: int) -> jax.Array:
    """Probability that all of these detectors click, whatever the others do; [...]."""
    p = click_probabilities(state, detectors.only(*which))
    return p[(..., *(1,) * len(which))]


def no_click(state: GaussianState, detectors: Detectors, *which: int) -> jax.Array:
    """Probability that none of these detectors clicks, whatever the others do; [...]. Of all, when none is named."""
    own = detectors.only(*which) if which else detectors
    ell, *_ = _silenced(state, own, own.modes)
    chain = np.array([2 ** (k + 1) - 1 for k in range(len(own.beams))])  # each detector joins all before it
    return jnp.exp(jnp.sum(ell[..., chain], -1)) * jnp.prod(1 - own.dark, -1)


def car(state: GaussianState, detectors: Detectors, a: int, b: int) -> jax.Array:
    """Coincidences over accidentals, P(a and b)/(P(a) P(b)): raw, so 1 for independent light; [...].

    The true coincidences alone, eta_a eta_b mu/((eta_a mu + d_a)(eta_b mu + d_b)) at small mu, give 1 less.
    """
    single = coincidence(state, detectors, a) * coincidence(state, detectors, b)
    return coincidence(state, detectors, a, b) / single


def heralded_g2(state: GaussianState, detectors: Detectors, herald: int, a: int, b: int) -> jax.Array:
    """g2(0) as it is measured: P(h, a, b) P(h)/(P(h, a) P(h, b)), a and b behind a beam splitter; [...]."""
    both = coincidence(state, detectors, herald, a) * coincidence(state, detectors, herald, b)
    return coincidence(state, detectors, herald, a, b) * coincidence(state, detectors, herald) / both


@partial(jax.jit, static_argnames=("beam",))
def heralded_g2_of_photons(state: GaussianState, herald: Detectors, beam: tuple[int, ...]) -> jax.Array:
    """g2(0) of a beam's photons, <n (n - 1)>/<n>², given a click of the herald; [...].

    A click is what is left when light that did not click, which is Gaussian, is taken away. For pairs of purity P
    mu (1 + P)(2 - eta) at small mu.

    Args:
        state: of herald and beam.
        herald: one detector, with its dark clicks.
        beam: modes of the heralded light.
    """
    ell, n, m = _silenced(state, herald, tuple(range(state.modes)))
    at = np.array(beam)
    n, m = (a[..., at[:, None], at] for a in (n, m))  # [..., whatever the herald does or it is quiet, mode, mode]
    mean = jnp.real(jnp.trace(n, axis1=-2, axis2=-1))
    square = mean**2 + jnp.sum(jnp.abs(n) ** 2 + jnp.abs(m) ** 2, (-2, -1))
    less = jnp.expm1(ell[..., 1])
    click = herald.dark[..., 0] * (1 + less) - less
    left = lambda value: click * value[..., 0] + (1 - click) * (value[..., 0] - value[..., 1])
    return click * left(square) / left(mean) ** 2


def _share(value: Any, count: int, what: str) -> jax.Array:
    if not isinstance(value, Tracer):
        values = np.asarray(value, float)
        if not np.all((values >= 0) & (values <= 1)):
            raise SpecError(f"detectors: {what} is no probability", got=values, allowed="0 … 1")
        if np.ndim(values) and values.shape[-1] not in (1, count):
            raise SpecError(
                f"detectors: {what} has one value for each detector, or one for all",
                got=f"shape {values.shape}",
                allowed=f"[..., {count}]",
            )
    share = jnp.asarray(value, float)
    share = jnp.broadcast_to(share, jnp.broadcast_shapes(share.shape, (count,)))
    return jnp.where((share >= 0) & (share <= 1), share, jnp.nan)


@partial(jax.jit, static_argnames=("kept",))
def _silenced(
    state: GaussianState, detectors: Detectors, kept: tuple[int, ...]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The tree of ``_silence`` over the detectors, the last one first, and on these modes alone."""
    if any(not 0 <= mode < state.modes for beam in detectors.beams for mode in beam):
        raise SpecError(
            "detectors: they look at modes that the state does not have",
            got=f"{detectors.beams}",
            allowed=f"modes 0 … {state.modes - 1}",
        )
    at, n, m = np.array(kept), state.n, state.m
    if kept != tuple(range(state.modes)):
        n, m = n[..., at[:, None], at], m[..., at[:, None], at]
    beams, share = [], np.zeros((len(detectors.beams), len(kept)))
    for k in reversed(range(len(detectors.beams))):
        beams.append(tuple(kept.index(mode) for mode in detectors.beams[k]))
        share[k, list(beams[-1])] = 1.0
    efficiency = detectors.efficiency @ share
    lead = jnp.broadcast_shapes(n.shape[:-2], m.shape[:-2], efficiency.shape[:-1])
    n, m, efficiency = (jnp.broadcast_to(a, (*lead, *a.shape[-k:])) for a, k in ((n, 2), (m, 2), (efficiency, 1)))
    return _silence(n, m, efficiency, tuple(beams))


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _silence(n: jax.Array, m: jax.Array, efficiency: jax.Array, beams: Beams) -> tuple[jax.Array, jax.Array, jax.Array]:
    """For every set T of detectors, a binary number: ln f(T) less that of T without its highest detector, [..., T],
    and n and m of the light, given that none in T clicked, [..., T, mode, mode].

    Args:
        n, m: moments [..., mode, mode].
        efficiency: [..., mode].
        beams: modes of each detector.
    """
    ell, n, m = jnp.zeros((*n.shape[:-2], 1)), n[..., None, :, :], m[..., None, :, :]
    for beam in beams:

        def step(carry: tuple[jax.Array, ...], k: jax.Array) -> tuple[tuple[jax.Array, ...], None]:
            log, n, m = carry
            e, n_k, m_k = efficiency[..., None, k], n[..., k], m[..., k]
            own, squeezing = jnp.real(n_k[..., k]), m_k[..., k]
            # n and m apart: where signal and idler meet, the squeezing of a quadrature is sqrt(mu), and would drown mu
            less = 2 * e * own + e**2 * (own**2 - jnp.real(squeezing * jnp.conj(squeezing)))
            near, far = (e * (1 + e * own) / (1 + less))[..., None], (e**2 / (1 + less) * squeezing)[..., None]
            left, right = near * n_k - jnp.conj(far) * m_k, near * m_k - far * n_k
            out = lambda a, b: a[..., :, None] * b[..., None, :]
            n, m = (
                n - out(left, jnp.conj(n_k)) - out(right, jnp.conj(m_k)),
                m - out(left, m_k) - out(right, n_k),
            )
            return (log - jnp.log1p(less) / 2, n, m), None

        start = (jnp.zeros(ell.shape), n, m)
        (log, *quiet), _ = jax.lax.scan(step, start, jnp.array(beam))
        ell = jnp.concatenate([ell, log], -1)
        n, m = (jnp.concatenate(both, -3) for both in zip((n, m), quiet, strict=True))
    return ell, n, m


@_silence.defjvp
def _silence_jvp(beams: Beams, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """d ln f = -tr[(D - D Y D) dC + Y dD]/2 and dY = (1 - Y D) dC (1 - D Y) - Y dD Y, where Y is C given no click in T:
    the tree's own matrices are enough."""
    efficiency, (dn, dm, d_efficiency) = primals[2], tangents
    ell, n, m = _silence(*primals, beams)
    sets = np.arange(2 ** len(beams))
    on = np.zeros((len(sets), efficiency.shape[-1]))
    for k, beam in enumerate(beams):
        on[:, list(beam)] = (sets >> k & 1)[:, None]
    below = np.array([t - (1 << int(t).bit_length() >> 1) if t else 0 for t in sets])
    d, dd = (on * value[..., None, :] for value in (efficiency, d_efficiency))
    p, q = jnp.eye(efficiency.shape[-1]) - n * d[..., None, :], -m * d[..., None, :]
    d_log = -jnp.real(
        jnp.einsum("...tj,...tjk,...kj->...t", d, p, dn)
        + jnp.einsum("...tj,...tjk,...kj->...t", d, q, jnp.conj(dm))
        + jnp.einsum("...tkk,...tk->...t", n, dd)
    )
    dn, dm, dd = dn[..., None, :, :], dm[..., None, :, :], dd[..., None, :]
    p_t, q_t = (jnp.swapaxes(a, -1, -2) for a in (p, q))
    first, second = p @ dn + q @ jnp.conj(dm), p @ dm + q @ jnp.conj(dn)
    d_n = first @ jnp.conj(p_t) + second @ jnp.conj(q_t) - (n * dd) @ n - (m * dd) @ jnp.conj(m)
    d_m = first @ q_t + second @ p_t - (n * dd) @ m - (m * dd) @ jnp.conj(n)
    return (ell, n, m), (d_log - d_log[..., below], d_n, d_m)


def _weighted(p: jax.Array, z: jax.Array, bits: int) -> jax.Array:
    """Patterns of f z from the patterns p of f, and z over the sets that are known not to click; all [..., 2^bits].

    For one detector p = (f1, f0 - f1), f1 with it among the silent ones: (f1 z1, (f0 - f1) z0 + f1 (z0 - z1)). That is
    three products of linear forms, and for more detectors all products of these.
    """
    forms = [[1, 0], [0, 1], [1, 0]], [[0, 1], [1, 0], [1, -1]], [[1, 0, 0], [0, 1, 1]]
    of_p, of_z, back = (reduce(np.kron, [np.array(form, float)] * bits, np.ones((1, 1))) for form in forms)
    return ((p @ of_p.T) * (z @ of_z.T)) @ back.T
