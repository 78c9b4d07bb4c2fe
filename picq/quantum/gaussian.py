"""Gaussian states of light with zero mean, by their normally ordered moments, and what a passive chip does to them.

``n[j, k]`` = <a_k† a_j> is Hermitian, ``m[j, k]`` = <a_j a_k> symmetric. With the index of the annihilator first, a
chip b = S a turns n into S n S† and m into S m Sᵀ. In normal order vacuum counts nothing: inputs that are not listed
are vacuum, outputs that are not listed are lost, and S need be neither square nor unitary. All orders of pairs are
there.

All arrays may have leading axes, over which everything is done side by side.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq.errors import SpecError

_SLACK = 1e-6  # by which a concrete S may amplify: measured and interpolated ones are not passive to rounding


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GaussianState:
    """A zero-mean Gaussian state of some modes.

    Args:
        n: <a_k† a_j> at [..., j, k], complex.
        m: <a_j a_k> at [..., j, k], complex.
    """

    n: jax.Array
    m: jax.Array

    @property
    def modes(self) -> int:
        """How many."""
        return self.n.shape[-1]

    @property
    def photons(self) -> jax.Array:
        """Mean photon numbers, [..., mode]."""
        return jnp.real(jnp.diagonal(self.n, axis1=-2, axis2=-1))

    def through(self, s: Any, each: int = 1) -> "GaussianState":
        """The state behind a passive chip.

        Args:
            s: amplitudes [..., output, input]; one input for each mode, or for each ``each`` neighbouring modes.
            each: temporal (Schmidt) modes in each input, on all of which the chip acts alike; they are neighbours here
                and in the result.

        Raises:
            SpecError: the inputs are not the modes, or a concrete ``s`` amplifies.
        """
        if np.shape(s)[-1] * each != self.modes:
            raise SpecError(
                "transfer matrix: its inputs are not the modes of the state",
                got=f"{np.shape(s)[-1]} inputs of {each} modes",
                allowed=f"{self.modes} modes in all",
                remedy="give s as [output, input]; `scattering` turns what Circuit.transfer returns",
            )
        if not isinstance(s, Tracer):
            largest = float(np.max(np.linalg.norm(np.asarray(s), 2, axis=(-2, -1)), initial=0.0))
            if not largest <= 1 + _SLACK:
                raise SpecError(
                    "transfer matrix: it amplifies, which adds noise that this does not know",
                    got=f"largest singular value {largest:.9g}",
                    allowed="at most 1",
                )
        s = jnp.asarray(s)
        if each > 1:
            grown = jnp.einsum("...oi,kl->...okil", s, jnp.eye(each))
            s = grown.reshape(*s.shape[:-2], s.shape[-2] * each, s.shape[-1] * each)
        t = jnp.swapaxes(s, -1, -2)
        return GaussianState(s @ self.n @ jnp.conj(t), s @ self.m @ t)

    def g2(self, beams: Sequence[Sequence[int]] | None = None) -> jax.Array:
        """Second-order correlations at zero delay between beams, [..., beam, beam], by Wick's theorem.

        On the diagonal 1 + purity for one arm of a pair source; 2 + 1/mu between both arms of one squeezer.

        Args:
            beams: the modes that belong to each beam; None: every mode is one.
        """
        beams = [(j,) for j in range(self.modes)] if beams is None else beams
        share = jnp.array([[j in beam for j in range(self.modes)] for beam in beams], float)
        together = jnp.abs(self.n) ** 2 + jnp.abs(self.m) ** 2
        mean = self.photons @ share.T
        return 1 + (share @ together @ share.T) / (mean[..., :, None] * mean[..., None, :])


def vacuum(modes: int) -> GaussianState:
    """No light in so many modes."""
    return GaussianState(jnp.zeros((modes, modes), complex), jnp.zeros((modes, modes), complex))


def thermal(mean: Any) -> GaussianState:
    """Independent thermal modes of mean photon numbers ``mean``, [..., mode]."""
    n = _diagonal(jnp.asarray(mean, float)).astype(complex)
    return GaussianState(n, jnp.zeros_like(n))


def pairs(mu: Any, phase: Any = 0.0) -> GaussianState:
    """Two-mode squeezed vacua, one for each entry of ``mu``: its signals are the first modes, its idlers the last.

    A source with Schmidt weights w is ``pairs(mu * w)``; these are shares of the photons, which are those of the joint
    spectral intensity at low gain. Gradients want mu > 0, for the amplitude grows as its root; ``squeezed`` does not.

    Args:
        mu: mean number of pairs, [..., pair].
        phase: of <a_signal a_idler>, rad, broadcast against ``mu``.

    Raises:
        SpecError: a concrete ``mu`` is negative or no number.
    """
    if not isinstance(mu, Tracer) and not np.all(np.asarray(mu, float) >= 0):
        raise SpecError("mean number of pairs: negative or no number", got=np.asarray(mu), allowed="0 and above")
    mu, phase = jnp.broadcast_arrays(jnp.asarray(mu, float), jnp.asarray(phase, float))
    n, m = _diagonal(mu).astype(complex), _diagonal(jnp.sqrt(mu * (1 + mu)) * jnp.exp(1j * phase))
    return _twins(n, n, m)


def squeezed(f: Any) -> GaussianState:
    """exp(sum f[j, k] a_j† b_k† - h.c.) on vacuum; the modes are a (signal), then b (idler).

    The Heisenberg picture turns (a, b†) into exp([[0, f], [f†, 0]]) (a, b†): no Schmidt decomposition is needed, whose
    derivatives fail where weights are equal.

    Args:
        f: squeezing matrix [..., signal, idler]: the joint amplitude times the gain; complex.
    """
    f = jnp.asarray(f, complex)
    a, b = f.shape[-2:]
    f_dagger = jnp.conj(jnp.swapaxes(f, -1, -2))
    top = jnp.concatenate([jnp.zeros((*f.shape[:-1], a), complex), f], -1)
    grown = jax.scipy.linalg.expm(
        jnp.concatenate([top, jnp.concatenate([f_dagger, jnp.zeros((*f.shape[:-2], b, b), complex)], -1)], -2)
    )
    cosh, sinh = grown[..., :a, :a], grown[..., :a, a:]
    back = jnp.swapaxes(sinh, -1, -2)
    return _twins(sinh @ jnp.conj(back), back @ jnp.conj(sinh), cosh @ sinh)


def join(*states: GaussianState) -> GaussianState:
    """The tensor product: all modes side by side, in the order given."""
    return GaussianState(_side_by_side([s.n for s in states]), _side_by_side([s.m for s in states]))


def scattering(transfer: Any) -> jax.Array:
    """The S of ``GaussianState.through`` from amplitudes [..., wl, input, output] of ``Circuit.transfer``.

    Light of different wavelengths does not mix: modes are (wl, input) and (wl, output), wavelengths the slow index. For
    the signal's and the idler's wavelength that is the order of ``pairs``.

    Returns:
        Shape [..., wl x output, wl x input].
    """
    t = jnp.swapaxes(jnp.asarray(transfer), -1, -2)
    *lead, wl, outputs, inputs = t.shape
    return jnp.einsum("...woi,wv->...wovi", t, jnp.eye(wl)).reshape(*lead, wl * outputs, wl * inputs)


def _diagonal(values: jax.Array) -> jax.Array:
    return values[..., :, None] * jnp.eye(values.shape[-1])


def _twins(n_a: jax.Array, n_b: jax.Array, m_ab: jax.Array) -> GaussianState:
    """Two groups of modes, each without squeezing of its own."""
    nothing = jnp.zeros_like(m_ab)
    upper = jnp.concatenate([jnp.zeros_like(n_a), m_ab], -1)
    lower = jnp.concatenate([jnp.swapaxes(m_ab, -1, -2), jnp.zeros_like(n_b)], -1)
    mixed = [jnp.concatenate([n_a, nothing], -1), jnp.concatenate([jnp.swapaxes(nothing, -1, -2), n_b], -1)]
    return GaussianState(jnp.concatenate(mixed, -2), jnp.concatenate([upper, lower], -2))


def _side_by_side(blocks: Sequence[jax.Array]) -> jax.Array:
    lead = jnp.broadcast_shapes(*(b.shape[:-2] for b in blocks))
    size, first = sum(b.shape[-1] for b in blocks), 0
    out = jnp.zeros((*lead, size, size), complex)
    for block in blocks:
        own = slice(first, first + block.shape[-1])
        out, first = out.at[..., own, own].set(block), own.stop
    return out
