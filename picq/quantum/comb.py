"""Several resonance pairs of one pump: what each makes, how well they are told apart, and a qubit in two of them.

A signal in resonance +m has its idler in -m: coincidences of a signal's and an idler's resonance are a matrix whose
diagonal holds the pairs (Reimer et al., Science 351, 1176 (2016); Kues et al., Nature 546, 622 (2017)). Off it are
accidental coincidences and what filters leak. Pairs in m and another one than -m would miss energy by multiples of the
free spectral range and are not there, nor is light of the pump in other resonances than its own.

Two pairs are a qubit each of signal and idler, a frequency bin per resonance; see ``entanglement.frequency_bin_link``.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from picq.errors import SpecError
from picq.quantum import sfwm
from picq.quantum.apparatus import Detection
from picq.quantum.checks import check
from picq.quantum.entanglement import Link, frequency_bin_link, key_rate
from picq.quantum.gaussian import GaussianState, pairs
from picq.quantum.lines import Lines

_STRAY = 1e-12  # least share in which bins differ: the amplitude of what is not there has no slope


@dataclass(frozen=True)
class Filters:
    """What tells resonances apart, an output for each.

    Attributes:
        crosstalk: share of every other resonance's light that comes out of an output. It does not interfere: its
            frequency is another one.
        transmission: of all power.

    Raises:
        SpecError: a concrete number lies outside 0 … 1.
    """

    crosstalk: Any = 0.0
    transmission: Any = 1.0

    def __post_init__(self) -> None:
        """Check concrete numbers."""
        check("crosstalk", self.crosstalk, "", least=0, most=1)
        check("transmission", self.transmission, "", least=0, most=1)

    def shares(self, count: int) -> jax.Array:
        """Of power, [output, resonance].

        Raises:
            SpecError: more would leak than there is.
        """
        own = 1 - (count - 1) * self.crosstalk
        check("share of a resonance's light that stays in its output", own, "", least=0, most=1)
        return self.transmission * jnp.where(jnp.eye(count, dtype=bool), own, self.crosstalk)


@dataclass(frozen=True)
class FrequencyBins:
    """A qubit in two resonance pairs.

    Attributes:
        first, second: their numbers among the pairs, from 0.
        mixing: of the whole measurement in which the two bins interfere half and half.
    """

    first: int = 0
    second: int = 1
    mixing: Filters = Filters()


@dataclass(frozen=True)
class Comb:
    """What is asked of several pairs.

    Attributes:
        filters: of signals and of idlers, which tell pairs apart.
        bins: the two pairs that make a qubit; None where there is no link.
    """

    filters: Filters = Filters()
    bins: FrequencyBins | None = None


class Pairs(NamedTuple):
    """All pairs of a source, in the order of its lines.

    Attributes:
        mean: pairs created per trial: a window of continuous light, or a pulse; [pair].
        trials_hz: how many of them there are in a second.
        escape_s, escape_i: chances of the photons to arrive, [pair].
        held: share of the coincidences within the window, [pair].
        overlap: inner products of the joint amplitudes' forms, each of unit norm, with one another, [pair, pair].
    """

    mean: jax.Array
    trials_hz: Any
    escape_s: jax.Array
    escape_i: jax.Array
    held: jax.Array
    overlap: jax.Array

    @property
    def made_hz(self) -> jax.Array:
        """Pairs created in a second, [pair]."""
        return self.mean * self.trials_hz

    @property
    def out_hz(self) -> jax.Array:
        """Pairs of which both photons arrive, 1/s, [pair]."""
        return self.made_hz * self.escape_s * self.escape_i


def continuous_pairs(lines: Lines, coupled: Any, added: Any, shift: Any, detection: Detection) -> Pairs:
    """Pairs of continuous light in each window, at any gain below threshold.

    Args:
        lines: of the source.
        coupled: G of ``sfwm.drive``, rad/s.
        added: by light to all decay rates, rad/s.
        shift: by light of the mismatch, rad/s.
        detection: detectors; its window is a trial.
    """
    kappa_s, kappa_i = lines.signals.kappa + added, lines.idlers.kappa + added
    mismatch = lines.mismatches + shift
    rate = sfwm.pair_rate_all_orders_hz(coupled, kappa_s, kappa_i, mismatch)
    return Pairs(
        rate * detection.window_s,
        1 / detection.window_s,
        lines.signals.kappa_port / kappa_s,
        lines.idlers.kappa_port / kappa_i,
        _held(kappa_s, kappa_i, detection),
        continuous_overlap(kappa_s, kappa_i, mismatch),
    )


def continuous_overlap(kappa_s: Any, kappa_i: Any, mismatch: Any) -> jax.Array:
    """Inner products of pairs' amplitudes under continuous light, of unit norm, [pair, pair].

    With frequencies from points half a mismatch from both lines, which add up to twice the pump's, and which one shift
    of all signals brings together, psi(w) = 1/[(a - i w)(b + i w)], a = (kappa_s + i mismatch)/2, b likewise. In time
    it is exp(-a t) where the signal comes later and exp(b t) where it comes first, so that <1|2> is
    1/(a1* + a2) + 1/(b1* + b2) over the root of the product of both norms.

    Args:
        kappa_s, kappa_i, mismatch: rad/s, [pair].
    """
    a, b = (jnp.asarray(kappa) / 2 + 0.5j * jnp.asarray(mismatch) for kappa in (kappa_s, kappa_i))
    rows = lambda x: jnp.conj(x)[:, None] + x
    product = 1 / rows(a) + 1 / rows(b)
    # the phase of what comes before, 1/(a + b), counts
    turn = jnp.exp(-1j * jnp.angle(a + b))
    norm = jnp.sqrt(jnp.real(jnp.diagonal(product)))
    return product * jnp.conj(turn)[:, None] * turn / (norm[:, None] * norm)


def pulsed_pairs(lines: Lines, psi: jax.Array, pulses_hz: Any, detection: Detection) -> Pairs:
    """Pairs of each pulse, at low gain.

    Args:
        lines: of the source.
        psi: ``pair_amplitude.amplitudes``, [pair, ns, ni].
        pulses_hz: how many in a second.
        detection: detectors.
    """
    escape_s, escape_i = lines.signals.escape, lines.idlers.escape
    flat = psi.reshape(psi.shape[0], -1)
    product = jnp.conj(flat) @ flat.T
    out = jnp.real(jnp.diagonal(product))
    held = _held(lines.signals.kappa, lines.idlers.kappa, detection)
    overlap = product / jnp.sqrt(out[:, None] * out)
    return Pairs(out / (escape_s * escape_i), pulses_hz, escape_s, escape_i, held, overlap)


def correlations(made: Pairs, filters: Filters, detection: Detection) -> jax.Array:
    """Coincidences per trial between outputs of the signals' and of the idlers' filters, [signal, idler], raw: true
    ones, accidental ones, and what leaks; few pairs and clicks in a trial."""
    shares = filters.shares(made.mean.shape[0])
    seen_s, seen_i = (shares * detection.efficiency * escape for escape in (made.escape_s, made.escape_i))
    true = (seen_s * made.mean * made.held) @ seen_i.T
    dark = detection.dark_hz * detection.window_s
    clicks_s, clicks_i = seen_s @ made.mean + dark, seen_i @ made.mean + dark
    return true + clicks_s[:, None] * clicks_i


def comb_figures(made: Pairs, filters: Filters, detection: Detection) -> dict[str, jax.Array]:
    """Figures over all pairs; ``picq.design.source_figures`` says what each is.

    Raises:
        SpecError: there is only one pair.
    """
    count = made.mean.shape[0]
    if count < 2:
        raise SpecError("a comb of one resonance pair", allowed="2 and more", remedy="name several `pairs`")
    counts = correlations(made, filters, detection)
    matched = jnp.diagonal(counts)
    ratio = jnp.minimum(matched[:, None], matched) / counts
    out = made.out_hz
    return {
        "comb_rate_hz": jnp.sum(out),
        "comb_uniformity_db": 10 * jnp.log10(jnp.max(out) / jnp.min(out)),
        "comb_car": jnp.min(jnp.where(jnp.eye(count, dtype=bool), jnp.inf, ratio)),
    }


def frequency_bins(made: Pairs, comb: Comb, weights: jax.Array, detection: Detection) -> Link:
    """The link of two pairs: their strengths, forms and ways out, all orders of pairs, losses and dark counts.

    Where forms of both differ, the part of the second's that the first has not is light in a mode of its own. A pair
    of which the window holds only one photon counts as light without a partner, which is right for few pairs.

    Args:
        made: all pairs; those that are no bin count as far as they leak.
        comb: filters and bins.
        weights: of the temporal modes of a pair, [mode]; their sum is one. They decide only on bunching.
        detection: detectors.

    Raises:
        SpecError: the comb has no bins.
    """
    if comb.bins is None:
        raise SpecError("a link without bins", remedy="say which pairs are its bins")
    count, bins = made.mean.shape[0], comb.bins
    order = jnp.array([bins.first, bins.second, *(k for k in range(count) if k not in (bins.first, bins.second))])
    overlap = made.overlap[bins.first, order]
    stray = jnp.full(count, _STRAY).at[1].set(jnp.maximum(1 - jnp.abs(overlap[1]) ** 2, _STRAY))
    shares = jnp.concatenate([(1 - stray)[:, None] * weights, stray[:, None]], 1)
    each = shares.shape[1]
    state = pairs((made.mean[order, None] * shares).ravel(), jnp.repeat(jnp.angle(overlap), each))
    kept = jnp.tile(jnp.repeat(made.held[order] ** 0.25, each), 2)
    state = GaussianState(state.n, kept[:, None] * kept * state.m)

    half = jnp.eye(count).at[:2, :2].set(jnp.array([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5)  # [frequency after, bin]
    looks = (bins.mixing, half), (comb.filters, jnp.eye(count))
    escapes = [jnp.sqrt(escape[order]) for escape in (made.escape_s, made.escape_i)]
    mixing, apart = (
        (look * escapes[0], look * escapes[1])
        for look in (jnp.sqrt(filters.shares(count)[:2, :, None]) * before for filters, before in looks)
    )
    dark = -jnp.expm1(-jnp.asarray(detection.dark_hz) * detection.window_s)
    return frequency_bin_link(state, mixing, apart, detection.efficiency, dark, each)


def link_figures(link: Link, trials_hz: Any) -> dict[str, jax.Array]:
    """Figures of a link, whatever its bins are.

    Args:
        link: per trial.
        trials_hz: how many in a second.
    """
    return {
        "visibility": link.visibility,
        "chsh": link.chsh,
        "qber": link.qber,
        "key_rate_hz": trials_hz * key_rate(link.gain_bins, link.qber_bins, link.qber_phase),
    }


def _held(kappa_s: Any, kappa_i: Any, detection: Detection) -> jax.Array:
    return sfwm.window_fraction(kappa_s, kappa_i, detection.window_s, 2**0.5 * detection.jitter_s)
