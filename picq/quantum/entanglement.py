"""Figures of an entanglement link: visibility, CHSH, error rates and key, from the source's state and the chips.

Signal and idler each carry a qubit in two bins, of time or of frequency. An analyser is a matrix [outcome, bin] of
amplitudes, with a phase on the first bin. What the four detectors do with the full state (all orders of pairs, losses,
dark clicks) is ``detection.click_probabilities``; below are also the closed forms that hold at small mu.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr

from picq.errors import SpecError
from picq.quantum.detection import Detectors, click_probabilities
from picq.quantum.gaussian import GaussianState

_BELL = np.array([[0.0, -1.0], [0.0, 1.0], [2.0, -1.0], [2.0, 1.0]]) * np.pi / 4  # phases of CHSH's four settings
_PHASES = np.concatenate([[[0.0, 0.0], [np.pi, 0.0], [0.0, 0.0]], _BELL])  # both ends of the fringe; the best; CHSH


class Link(NamedTuple):
    """Figures of a link, scalars.

    Args:
        visibility: of the fringe of raw coincidences between the first outcomes of both sides, (max - min)/(max + min).
        chsh: S, at the best of phases; up to 2 sqrt(2), classical up to 2.
        qber_phase: share of wrong coincidences where bins interfere; a double click on one side is a coin's toss.
        qber_bins: the same where bins are told apart.
        gain_phase: probability per pump period that both sides click where bins interfere.
        gain_bins: the same where bins are told apart.
    """

    visibility: jax.Array
    chsh: jax.Array
    qber_phase: jax.Array
    qber_bins: jax.Array
    gain_phase: jax.Array
    gain_bins: jax.Array

    @property
    def qber(self) -> jax.Array:
        """Mean of both bases."""
        return (self.qber_phase + self.qber_bins) / 2


def time_slots(first: Any, arms: Any, second: Any) -> jax.Array:
    """An unbalanced Mach-Zehnder interferometer on light in two time bins that lie one delay apart.

    Args:
        first: amplitudes from the input to (short, long), [..., arm].
        arms: of the arms, with loss and phase, [..., arm].
        second: from the arms to the output ports, [..., port, arm].

    Returns:
        [..., port, slot, bin]: the early bin reaches slots 0 (short) and 1 (long), the late one 1 and 2.
    """
    paths = jnp.asarray(first)[..., None, :] * jnp.asarray(arms)[..., None, :] * jnp.asarray(second)
    place = np.zeros((3, 2, 2))  # slot, bin, arm
    for arm in range(2):
        for early_late in range(2):
            place[early_late + arm, early_late, arm] = 1.0
    return jnp.einsum("sba,...pa->...psb", place, paths)


def time_bin_link(state: GaussianState, alice: Any, bob: Any, efficiency: Any, dark: Any = 0.0, each: int = 1) -> Link:
    """Franson's interferometers behind a source that is pumped by two pulses (Brendel et al., PRL 82, 2594 (1999)).

    Bins interfere in the middle slot; the outer slots tell them apart, whichever port the photon takes.

    Args:
        state: modes (early, late) of the signal, then of the idler, ``each`` Schmidt modes in every one: as
            ``pairs(outer(mu of early and late, weights).ravel())`` has them.
        alice: her analyser, of two ports, ``time_slots`` [port, slot, bin], for the signal.
        bob: his, for the idler.
        efficiency: of detectors (Alice's port 0, 1, Bob's port 0, 1), [4] or scalar.
        dark: probability of a dark click per slot, [4] or scalar.
        each: Schmidt modes in each bin.

    Raises:
        SpecError: shapes do not fit, an efficiency or a probability lies outside [0, 1].
    """
    four = Detectors.on(range(4), efficiency, dark)

    slots = [jnp.asarray(s) for s in (alice, bob)]
    sides = tuple(zip(slots, (slice(2), slice(2, 4)), strict=True))
    # in an outer slot both ports see the same mode: as good as one detector, whose efficiency is put into the amplitude
    seen = [
        jnp.stack([four.efficiency[own] @ jnp.abs(s[:, t, b]) ** 2 for t, b in ((0, 0), (2, 1))]) for s, own in sides
    ]
    quiet = [1 - jnp.prod(1 - four.dark[own]) for _, own in sides]
    apart = Detectors.on(range(4), 1.0, jnp.repeat(jnp.stack(quiet), 2))
    outer = [jnp.diag(jnp.sqrt(power)) for power in seen]
    return _link(state, (slots[0][:, 1], slots[1][:, 1]), four, (outer[0], outer[1]), apart, each)


def frequency_bin_link(
    state: GaussianState,
    mixing: tuple[Any, Any],
    apart: tuple[Any, Any],
    efficiency: Any,
    dark: Any = 0.0,
    each: int = 1,
) -> Link:
    """Frequency bins that are mixed, by modulators or by a four-port, and detected (Lu et al., PRL 120, 030502 (2018)).

    Args:
        state: modes of the signal's bins, then of the idler's, ``each`` Schmidt modes in every one: as
            ``pairs(mu * abs(c)**2, angle(c))`` has them for amplitudes c of bins 1, 2, … pairwise.
        mixing: measured amplitudes [2 outcomes, bin] of Alice and Bob where bins interfere. More than two bins are
            crosstalk; phases are scanned on the first. Or [2 outcomes, way, bin], of ways to a detector that do not
            interfere, as those of light that has two frequencies when it gets there.
        apart: the same where bins are told apart: the demultiplexers, with their crosstalk.
        efficiency: of detectors (Alice's outcome 0, 1, Bob's outcome 0, 1), [4] or scalar.
        dark: probability of a dark click per window, [4] or scalar.
        each: Schmidt modes in each bin.

    Raises:
        SpecError: shapes do not fit, an efficiency or a probability lies outside [0, 1].
    """
    four = Detectors.on(range(4), efficiency, dark)
    (a, b), (c, d) = ([jnp.asarray(s) for s in pair] for pair in (mixing, apart))
    return _link(state, (a, b), four, (c, d), four, each)


def sifted(p: jax.Array, same: bool = True) -> tuple[jax.Array, jax.Array]:
    """(gain, error rate) from patterns [..., 2, 2, 2, 2] of (Alice's outcome 0, 1, Bob's outcome 0, 1).

    Gain: probability that both sides click. A double click on one side counts as half right: the random bit that
    security proofs ask for (Lutkenhaus, PRA 59, 3301 (1999)).

    Args:
        p: ``click_probabilities``.
        same: whether equal outcomes are right.
    """
    side = np.array([[0.0, -1.0], [1.0, 0.0]])  # [click of outcome 0, of outcome 1]
    any_click = np.array([[0.0, 1.0], [1.0, 1.0]])
    both = lambda w: jnp.einsum("...abcd,ab,cd->...", p, w, w)
    gain = both(any_click)
    return gain, (1 - (1 if same else -1) * both(side) / gain) / 2


def phase_average(value: Callable[[jax.Array], jax.Array], rms: Any, nodes: int = 12) -> jax.Array:
    """Mean of value(phase) over a normal phase of this rms, rad, by Gauss-Hermite quadrature.

    Twelve nodes are exact to 1e-12 for one period of a cosine at rms below 1.
    """
    at, weight = np.polynomial.hermite_e.hermegauss(nodes)
    return jnp.tensordot(jnp.asarray(weight / weight.sum()), jax.vmap(value)(jnp.asarray(at) * rms), 1)


def visibility_of_car(car: Any) -> jax.Array:
    """(CAR - 1)/(CAR + 1), of the raw CAR (accidentals included) at the fringe's maximum."""
    return (jnp.asarray(car) - 1) / (jnp.asarray(car) + 1)


def visibility_of_imbalance(e: Any) -> jax.Array:
    """2 sqrt(e)/(1 + e), where the two ways to a coincidence have probabilities in the ratio e."""
    return 2 * jnp.sqrt(e) / (1 + jnp.asarray(e))


def visibility_of_phase(rms: Any) -> jax.Array:
    """exp(-rms²/2) of a normally distributed phase, rad."""
    return jnp.exp(-(jnp.asarray(rms) ** 2) / 2)


def qber_of_visibility(visibility: Any) -> jax.Array:
    """(1 - V)/2."""
    return (1 - jnp.asarray(visibility)) / 2


def ma_fung_lo(mean: Any, alice: Any, bob: Any, dark: Any, misalignment: Any = 0.0) -> tuple[jax.Array, jax.Array]:
    """(gain, error rate) of polarisation-entangled pairs in closed form (Ma, Fung & Lo, PRA 76, 012307 (2007), eqs. for
    Q_lambda and E_lambda).

    Two squeezers of equal strength. A background click is half wrong, and misalignment takes the same share off
    whatever is better than chance: double clicks that they lead to are not followed one by one.

    Args:
        mean: lambda, mean pairs of one squeezer; the source has 2 lambda.
        alice: efficiency of her whole side.
        bob: of his.
        dark: probability of a dark click per window and detector; two detectors on a side.
        misalignment: probability that a photon goes to the wrong detector.
    """
    mean, quiet = jnp.asarray(mean), (1 - jnp.asarray(dark)) ** 2
    at_alice, at_bob = 1 + alice * mean, 1 + bob * mean
    at_both = at_alice + bob * mean - alice * bob * mean
    gain = 1 - quiet / at_alice**2 - quiet / at_bob**2 + quiet**2 / at_both**2
    right = 2 * (0.5 - misalignment) * alice * bob * mean * (1 + mean) / (at_alice * at_bob * at_both)
    return gain, 0.5 - right / gain


def key_rate(gain: Any, bit: Any, phase: Any, sifting: Any = 0.5, correction: Any = 1.16) -> jax.Array:
    """Secret bits per pump period of BBM92, asymptotically: q Q (1 - f H2(e_bit) - H2(e_phase)).

    A lower bound (Koashi & Preskill, PRL 90, 057902 (2003), with error correction as in Ma, Fung & Lo); where it is
    negative there is no key.

    Args:
        gain: Q, probability that both sides click.
        bit: error rate of the basis that makes the key.
        phase: error rate of the other one.
        sifting: q, share of coincidences in the key's basis.
        correction: f, bits that error correction discloses over Shannon's limit.
    """

    def entropy(e: Any) -> jax.Array:
        e = jnp.maximum(jnp.asarray(e, float), 0.0)  # a rate of rounding errors may be negative
        return (entr(e) + entr(1 - e)) / jnp.log(2.0)

    return jnp.asarray(sifting) * gain * (1 - correction * entropy(bit) - entropy(phase))


def _link(
    state: GaussianState,
    mixing: tuple[jax.Array, jax.Array],
    four: Detectors,
    apart: tuple[jax.Array, jax.Array],
    four_apart: Detectors,
    each: int,
) -> Link:
    for a in (*mixing, *apart):
        if a.ndim not in (2, 3) or a.shape[0] != 2 or 2 * a.shape[-1] * each != state.modes:
            raise SpecError(
                "link: an analyser does not fit the state",
                got=f"shape {a.shape}, {state.modes} modes",
                allowed=f"[2 outcomes, {state.modes / (2 * each):g} bins], ways to each outcome between them",
                remedy="the state has as many modes for the signal as for the idler, `each` in every bin",
            )

    ways = max(a.shape[1] if a.ndim == 3 else 1 for a in (*mixing, *apart))
    mixing, apart = ((_by_ways(one, ways), _by_ways(other, ways)) for one, other in (mixing, apart))
    beats = _beats(state, mixing, four.efficiency, each)
    signs = np.array([[1.0, -1.0], [-1.0, 1.0]])
    start = jnp.repeat(jnp.angle(jnp.stack([beats[0, 0], jnp.sum(signs * beats)])), np.array([2, 5]))
    phases = _PHASES - jnp.stack([start, jnp.zeros(7)], -1)
    bins = mixing[0].shape[-1]
    turn = jnp.where(np.arange(bins) == 0, jnp.exp(1j * phases[..., None]), 1.0)[:, :, None, None, :]
    chips = jnp.concatenate([turn * jnp.stack(mixing), jnp.stack(apart)[None].astype(complex)])
    chips = jnp.einsum("tsowb,sr->tsowrb", chips, jnp.eye(2)).reshape(8, 4 * ways, 2 * bins)  # setting, side, outcome …
    settings = lambda mixed, told: jnp.concatenate([jnp.broadcast_to(mixed, (7, 4)), told[None]])
    detectors = Detectors(
        settings(four.efficiency, four_apart.efficiency),
        settings(four.dark, four_apart.dark),
        tuple(tuple(range(k * ways * each, (k + 1) * ways * each)) for k in range(4)),
    )
    p = click_probabilities(state.through(chips, each), detectors)
    high, low = p[:2, 1, :, 1].sum((1, 2))
    gains, errors = sifted(p[2:])
    e = 1 - 2 * errors[1:5]
    return Link((high - low) / (high + low), e[0] + e[1] + e[2] - e[3], errors[0], errors[5], gains[0], gains[5])


def _by_ways(analyser: jax.Array, ways: int) -> jax.Array:
    """[outcome, way, bin], with ways that nothing takes to make up the number."""
    own = analyser if analyser.ndim == 3 else analyser[:, None]
    return jnp.pad(own, ((0, 0), (0, ways - own.shape[1]), (0, 0)))


def _beats(state: GaussianState, mixing: tuple[jax.Array, jax.Array], efficiency: jax.Array, each: int) -> jax.Array:
    """What turns with the sum of both phases in |<a b>|² between outcomes of Alice and Bob, [outcome, outcome].

    The first bins' amplitude times the conjugate of all others': exactly for pairs that share a bin, and where other
    moments of the state have no coherence between bins.
    """
    half = state.modes // 2
    bins = half // each
    m = state.m[:half, half:].reshape(bins, each, bins, each)
    m = jnp.einsum("iva,akbl,jwb->abivjwkl", mixing[0], m, mixing[1])
    own, rest = m[0, 0], m[1:, 1:].sum((0, 1))
    seen = efficiency[:2, None] * efficiency[None, 2:]
    return seen * jnp.einsum("ivjwkl,ivjwkl->ij", own, jnp.conj(rest))
