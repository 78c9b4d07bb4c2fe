"""What a joint amplitude says about the photons of a pair: Schmidt weights, purity, interference of heralded photons.

A joint amplitude is a matrix f[signal, idler] of samples times the square roots of the weights of a quadrature on both
axes, so that sums over its elements are integrals. Its scale does not matter here. f = sum_n s_n u_n v_n' has the
Schmidt weights p_n = s_n²/sum s², and the heralded photon has the purity P = sum p_n².

P is a ratio of traces. It needs no singular vectors, and is as smooth as f where weights coincide.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from scipy.special import jn_zeros

from picq.errors import SpecError

RING_PURITY = 11 / 12  # of equal resonances driven by a pulse much shorter than their lifetimes


class Modes(NamedTuple):
    """f = scale * signal @ diag(sqrt(weights)) @ idler, by falling weight."""

    signal: jax.Array  # [ns, n]: columns, times the roots of the quadrature's weights
    weights: jax.Array  # [n]; their sum is 1
    idler: jax.Array  # [n, ni]: rows


@jax.jit
def purity(f: Any) -> jax.Array:
    """P = tr[(f f')²]/(tr f f')² of the signal or of the idler photon, in 0 … 1; shape [..., ns, ni] to [...]."""
    f = _matrix(f)
    f = f if f.shape[-2] <= f.shape[-1] else jnp.swapaxes(f, -1, -2)
    gram = product(f, jnp.conj(f))
    return _power(gram) / _power(f) ** 2


def schmidt_number(f: Any) -> jax.Array:
    """K = 1/P: the number of equally strong modes that would be as impure."""
    return 1 / purity(f)


def unheralded_g2(f: Any) -> jax.Array:
    """g²(0) = 1 + P of the signal alone, at low gain: 2 for one mode, which is thermal, 1 for many.

    Christ et al., New J. Phys. 13, 033027 (2011).
    """
    return 1 + purity(f)


@jax.jit
def schmidt_weights(f: Any) -> jax.Array:
    """Normalised squares of the singular values by falling weight, shape [..., ns, ni] to [..., min(ns, ni)].

    First derivatives are finite everywhere. Where weights coincide each of theirs depends on the vectors that LAPACK
    picks, but symmetric functions of the weights have the right ones.
    """
    squared = _singular_values(_matrix(f)) ** 2
    return squared / jnp.sum(squared, -1, keepdims=True)


def schmidt_modes(f: Any) -> Modes:
    """Modes and weights, for plots: vectors have no derivatives where weights coincide, so none are given."""
    u, s, v = jnp.linalg.svd(jax.lax.stop_gradient(_matrix(f)), full_matrices=False)
    return Modes(u, s**2 / jnp.sum(s**2, -1, keepdims=True), v)


@jax.jit
def hom_visibility(f1: Any, f2: Any) -> jax.Array:
    """Visibility tr(rho1 rho2) of the Hong-Ou-Mandel dip of the heralded signal photons of two sources, in 0 … 1.

    At low gain, with a balanced splitter; equal sources show their purity (Mosley et al., Phys. Rev. Lett. 100, 133601
    (2008)). The idlers herald and may lie on any grids; to interfere these, transpose both.

    Args:
        f1, f2: joint amplitudes of the sources, [..., ns, ni] and [..., ns, mi], on the same signal grid.

    Raises:
        SpecError: signals have different grids.
    """
    f1, f2 = _matrix(f1), _matrix(f2)
    if f1.shape[-2] != f2.shape[-2]:
        raise SpecError(
            "signals of two sources are sampled differently",
            got=f"{f1.shape[-2]} and {f2.shape[-2]} frequencies",
            remedy="compute both joint amplitudes on one signal grid",
        )
    overlaps = product(jnp.conj(jnp.swapaxes(f1, -1, -2)), jnp.swapaxes(f2, -1, -2))
    return _power(overlaps) / (_power(f1) * _power(f2))


def broadband_purity(kappa_s: Any, kappa_i: Any, kappa_p: Any) -> jax.Array:
    """Purity of Lorentzian resonances driven by a pulse much shorter than their lifetimes; linewidths in one unit.

    P = 11/12 for equal ones. A broader pump, by interferometric couplers, goes beyond (Vernon et al., Opt. Lett. 42,
    3638 (2017)).
    """
    s, i, p = (jnp.asarray(kappa) for kappa in (kappa_s, kappa_i, kappa_p))
    return 1 - s * i * (s + i + 4 * p) / ((i + 2 * p) * (s + 2 * p) * (s + i + 6 * p))


def linewidth_ratio_for_purity(wanted: Any) -> jax.Array:
    """kappa_p/kappa for that purity at equal linewidths of signal and idler: P = 1 - 1/((2 r + 1)(3 r + 1)).

    Raises:
        SpecError: a concrete purity is not within 0 … 1.
    """
    if not isinstance(wanted, Tracer) and not np.all((np.asarray(wanted) >= 0) & (np.asarray(wanted) < 1)):
        raise SpecError("no ratio of linewidths gives that purity", got=wanted, allowed="0 <= P < 1")
    return (jnp.sqrt(1 + 24 / (1 - jnp.asarray(wanted))) - 5) / 12


def ring_schmidt_weights(n: int) -> np.ndarray:
    """The n largest Schmidt weights 32/j_{0,k}⁴ of equal resonances and a short pulse; squares of all sum to 11/12."""
    return 32 / jn_zeros(0, n) ** 4


def comb_rates(blocks: Any) -> jax.Array:
    """Pairs in each pair of resonances of a comb: the matrix of its frequency correlations, in units of |f|².

    Args:
        blocks: joint amplitudes [..., m, n, ns, ni] of signal resonance m with idler resonance n.

    Returns:
        Shape [..., m, n]; with one narrow pump and energy conserved by pairs ±m, only m = n is large.
    """
    return _power(_matrix(blocks))


@jax.jit
def comb_amplitudes(blocks: Any) -> jax.Array:
    """Amplitudes c_m of the frequency-bin state sum_m c_m |m, -m>, of unit norm, shape [..., m, ns, ni] to [..., m].

    |c_m|² is the share of pairs. The phase is that of a bin's overlap with the first, which is what interference of
    bins shows as long as they have nearly the same shape. ``schmidt_number(jnp.diag(c))`` counts the bins entangled.

    Args:
        blocks: joint amplitudes of the resonance pairs ±m, each on grids that count from its own resonances.
    """
    blocks = _matrix(blocks)
    overlap = jnp.sum(jnp.conj(blocks[..., :1, :, :]) * blocks, (-2, -1))
    shares = _power(blocks) / jnp.sum(_power(blocks), -1, keepdims=True)
    return jnp.sqrt(shares) * jnp.exp(1j * jnp.angle(overlap))


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """a @ b' without conjugation, [..., m, k] and [..., n, k] to [..., m, n], by one product of real matrices: complex
    ones take XLA 2.5 times as long."""
    left, right = (jnp.concatenate([jnp.real(x), jnp.imag(x)], -2) for x in (a, b))
    parts, m, n = left @ jnp.swapaxes(right, -1, -2), a.shape[-2], b.shape[-2]
    return parts[..., :m, :n] - parts[..., m:, n:] + 1j * (parts[..., :m, n:] + parts[..., m:, :n])


def _matrix(f: Any) -> jax.Array:
    f = jnp.asarray(f)
    if f.ndim < 2:
        raise SpecError("a joint amplitude is a matrix", got=f"shape {f.shape}", allowed="[..., signal, idler]")
    return f


def _power(f: jax.Array) -> jax.Array:
    """Sum of the squares of each matrix; the root of it would have no derivative at zero."""
    return jnp.sum(jnp.real(f) ** 2 + jnp.imag(f) ** 2, (-2, -1))


@jax.custom_jvp
def _singular_values(f: jax.Array) -> jax.Array:
    return jnp.linalg.svd(f, compute_uv=False)


@_singular_values.defjvp
def _singular_values_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """ds = Re(u' df v): no differences of singular values, by which the derivatives of the vectors would divide."""
    u, s, v = jnp.linalg.svd(primals[0], full_matrices=False)
    return s, jnp.real(jnp.sum(jnp.conj(u) * (tangents[0] @ jnp.conj(jnp.swapaxes(v, -1, -2))), -2))
