"""Links against closed forms: visibility, CHSH, error rates, gain and key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from picq.errors import SpecError
from picq.quantum.detection import Detectors, car, click_probabilities
from picq.quantum.entanglement import (
    frequency_bin_link,
    key_rate,
    ma_fung_lo,
    phase_average,
    qber_of_visibility,
    sifted,
    time_bin_link,
    time_slots,
    visibility_of_car,
    visibility_of_imbalance,
    visibility_of_phase,
)
from picq.quantum.gaussian import pairs

HALF = np.array([[1, 1j], [1j, 1]]) / np.sqrt(2)


def analyser(phase=0.0, long=1.0):
    """Two halves, and a long arm of this transmission."""
    return time_slots(HALF[:, 0], jnp.stack([1.0, jnp.sqrt(long) * jnp.exp(1j * phase)]), HALF)


def franson(mu, *, long=1.0, efficiency=0.1, dark=0.0, weights=(1.0,), early=1.0):
    state = pairs(jnp.outer(mu * jnp.array([early, 1.0]), jnp.array(weights)).ravel(), 0.4)
    return time_bin_link(state, analyser(0.3, long), analyser(-1.1), efficiency, dark, len(weights))


LINK = jax.jit(franson)


def polarised(mean, alice, bob, dark, misalignment):
    """Two squeezers, |HV> - |VH>, and Alice's polarisers turned: patterns of the four detectors."""
    turn = np.arcsin(np.sqrt(misalignment))
    chip = np.eye(4)
    chip[:2, :2] = [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    state = pairs([mean, mean], [0.0, np.pi]).through(chip)
    return click_probabilities(state, Detectors.on(range(4), [alice, alice, bob, bob], dark))


def test_slots_of_an_interferometer():
    slots = np.asarray(analyser(0.7, 0.5))
    assert slots.shape == (2, 3, 2)
    np.testing.assert_allclose(slots[:, 0, 0], [0.5, 0.5j], atol=1e-15)  # port 0, port 1 by the short arm
    long = np.sqrt(0.5) * np.exp(0.7j) * np.array([-0.5, 0.5j])
    for slot, late in ((1, 0), (2, 1)):
        np.testing.assert_allclose(slots[:, slot, late], long, atol=1e-15)
    np.testing.assert_allclose(slots[:, 1, 1], slots[:, 0, 0], atol=1e-15)
    assert not slots[:, 2, 0].any()
    assert not slots[:, 0, 1].any()
    whole = np.asarray(analyser(0.7)).reshape(6, 2)
    np.testing.assert_allclose(whole.conj().T @ whole, np.eye(2), atol=1e-15)  # no light is lost


@pytest.mark.parametrize("mu", [1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("weights", [(1.0,), (0.7, 0.3)])
def test_visibility_falls_with_pairs(mu, weights):
    """<a†b†ab> = N_a N_b + |M|² with N = mu/2 and M from none to mu (1 + mu P)/4, for weak detectors: the next order is
    the efficiency times what mu costs."""
    purity = np.sum(np.square(weights))
    want = 2 * mu / (1 + mu * purity + 2 * mu)
    assert 1 - float(LINK(mu, efficiency=1e-3, weights=weights).visibility) == pytest.approx(want, rel=2e-3)


def test_visibility_is_that_of_car():
    """CAR at the maximum from one squeezer whose arms are the middle slots: full interference is one mode per side, of
    the same mean in that detector, and of all its coincidences."""
    mu, efficiency, dark = 1e-3, 0.1, 1e-6
    coherent = pairs([mu]).through(np.sqrt(0.5) * np.eye(2))
    want = visibility_of_car(car(coherent, Detectors.on([0, 1], efficiency, dark), 0, 1))
    assert float(LINK(mu, efficiency=efficiency, dark=dark).visibility) == pytest.approx(float(want), abs=10 * mu**2)


@pytest.mark.parametrize("e", [0.1, 0.5, 0.9])
def test_visibility_of_unequal_arms(e):
    """At mu = 1e-9 pairs cost 2e-9."""
    assert float(LINK(1e-9, long=e).visibility) == pytest.approx(float(visibility_of_imbalance(e)), abs=1e-8)
    assert float(LINK(1e-9, early=e).visibility) == pytest.approx(float(visibility_of_imbalance(e)), abs=1e-8)


@pytest.mark.parametrize("rms", [0.05, 0.3, 0.8])
def test_visibility_of_a_phase_that_shakes(rms):
    """Coincidences at both ends of the fringe, each as the mean over the phase, from the state behind the chips."""

    def ends(phase):
        state = pairs([1e-9, 1e-9])
        chip = np.zeros((2, 4), complex)
        chip[0, :2], chip[1, 2:] = [0.5, 0.5], [0.5, 0.5]
        turned = jnp.exp(1j * jnp.array([[phase], [phase + jnp.pi]])) * jnp.array([1.0, 0.0, 0.0, 0.0])
        still = jnp.array([0.0, 1.0, 1.0, 1.0])
        return click_probabilities(state.through(chip * (turned + still)[:, None, :]), Detectors.on([0, 1]))[:, 1, 1]

    high, low = phase_average(ends, rms)
    assert float((high - low) / (high + low)) == pytest.approx(float(visibility_of_phase(rms)), abs=1e-8)


@pytest.mark.parametrize("dark", [0.0, 1e-5, 1e-4])
def test_white_noise_by_dark_clicks(dark):
    """Dark clicks are white noise: S = 2 sqrt(2) V and QBER = (1 - V)/2, but for what double clicks do (mu, and d of
    each outcome's singles against the squash's)."""
    got = LINK(1e-5, dark=dark)
    share = 1e-3 * (1 - float(got.visibility)) + 2e-6 if dark == 0 else 0.06 * (1 - float(got.visibility))
    assert float(got.chsh) == pytest.approx(2 * np.sqrt(2) * float(got.visibility), abs=3 * share + 1e-5)
    assert float(got.qber_phase) == pytest.approx(float(qber_of_visibility(got.visibility)), abs=share + 1e-6)
    assert float(got.chsh) == pytest.approx(2 * np.sqrt(2) * (1 - 2 * float(got.qber_phase)), abs=1e-6)


def test_bell_is_classical_where_noise_wins():
    assert float(LINK(1e-6).chsh) == pytest.approx(2 * np.sqrt(2), abs=1e-5)
    assert 2.0 < float(LINK(0.1).chsh) < 2.5
    assert float(LINK(1.0).chsh) < 2.0


def test_chsh_settings_are_the_best():
    """Correlations by the sum of phases in steps of 2 pi/48, and all settings among them: sums x, y, z, y + z - x."""
    phases = jnp.exp(2j * jnp.pi * jnp.arange(48) / 48)
    turned = lambda slots: slots[:, 1] * jnp.stack([phases, jnp.ones(48)], -1)[:, None, :]
    still = jnp.broadcast_to(analyser(-1.1)[:, 1], (48, 2, 2))
    chips = jnp.einsum("stob,sr->tsorb", jnp.stack([turned(analyser(0.3, 0.6)), still]), jnp.eye(2))
    state = pairs([0.01, 0.01], 0.4).through(chips.reshape(48, 4, 4))
    e = 1 - 2 * np.asarray(sifted(click_probabilities(state, Detectors.on(range(4), 0.1)))[1])
    x, y, z = np.ogrid[:48, :48, :48]
    best = (e[x] + e[y] + e[z] - e[(y + z - x) % 48]).max()
    got = float(LINK(0.01, long=0.6).chsh)
    assert best - 1e-12 <= got <= best * (1 + np.pi**2 / 48**2 / 2)


def test_bins_err_by_accidentals_only():
    """Early with late is chance: P_a P_b twice, against two true ones of mu: mu/(1 + 2 mu) to first order in eta."""
    assert float(LINK(1e-3, efficiency=1e-3).qber_bins) == pytest.approx(1e-3 / 1.002, rel=3e-3)
    clean = LINK(1e-3)
    assert float(clean.qber) == pytest.approx((float(clean.qber_bins) + float(clean.qber_phase)) / 2, abs=1e-16)
    assert float(clean.gain_bins) == pytest.approx(float(clean.gain_phase), rel=1e-3)


@pytest.mark.slow
def test_imbalanced_bins_are_worth_balancing():
    """The gradient of S by the share of the early pulse vanishes where the late one's is the same."""
    s = jax.jit(lambda early: franson(1e-4, early=early).chsh)
    slope = jax.jit(jax.grad(s))
    assert float(slope(1.0)) == pytest.approx(0.0, abs=1e-3)
    h = 1e-4
    want = (s(0.5 + h) - s(0.5 - h)) / (2 * h)
    assert float(slope(0.5)) == pytest.approx(float(want), rel=1e-5)


def frequency(mu, c, mixing, apart, efficiency=0.1, dark=0.0):
    c = jnp.asarray(c)
    state = pairs(mu * jnp.abs(c) ** 2, jnp.angle(c))
    return frequency_bin_link(state, (mixing, mixing), (apart, apart), efficiency, dark)


def test_frequency_bins():
    """|c1|² : |c2|² and the mixer's imbalance together are one ratio of ways; phases do not matter."""
    even = frequency(1e-9, [1.0, 1j], HALF, np.eye(2))
    assert float(even.visibility) == pytest.approx(1.0, abs=1e-8)
    assert float(even.chsh) == pytest.approx(2 * np.sqrt(2), abs=1e-7)
    assert float(even.qber_bins) == pytest.approx(0.0, abs=1e-8)
    uneven = np.array([[np.sqrt(0.6), 1j * np.sqrt(0.4)], [1j * np.sqrt(0.4), np.sqrt(0.6)]])
    got = frequency(1e-9, np.sqrt([0.7, 0.3]), uneven, np.eye(2))
    ratio = 0.3 / 0.7 * (0.4 / 0.6) ** 2
    assert float(got.visibility) == pytest.approx(float(visibility_of_imbalance(ratio)), abs=1e-8)


def test_crosstalk_of_frequency_bins():
    """Few pairs: coincidences go as |W c Wᵀ|². Wrong ones where bins are told apart, the fringe by a scan of the phase,
    and what a third bin leaks into both outcomes."""
    leak = np.sqrt([[0.99, 0.01], [0.01, 0.99]]) * [[1, 1j], [1j, 1]]
    mixing = np.hstack([HALF * np.sqrt(0.95), np.sqrt([[0.02], [0.03]])])
    told = np.hstack([leak * np.sqrt(0.98), np.sqrt([[0.01], [0.0]])])
    c = np.array([1.0, 0.8, 0.7j])
    got = frequency(1e-9, c, mixing, told)
    seen = np.abs(told @ np.diag(c) @ told.T) ** 2
    assert float(got.qber_bins) == pytest.approx((seen[0, 1] + seen[1, 0]) / seen.sum(), abs=1e-8)
    phases = np.exp(1j * np.linspace(0, 2 * np.pi, 20001))
    ways = [mixing @ np.diag(c * [phase, 1, 1]) @ mixing.T for phase in phases]
    rates = np.abs(np.array(ways)) ** 2
    first = rates[:, 0, 0]
    want = (first.max() - first.min()) / (first.max() + first.min())
    assert float(got.visibility) == pytest.approx(want, abs=1e-7)
    right = np.einsum("tii->t", rates) - rates[:, 0, 1] - rates[:, 1, 0]
    best = np.argmax(right)
    assert float(got.qber_phase) == pytest.approx((1 - right[best] / rates[best].sum()) / 2, abs=1e-6)


@pytest.mark.parametrize(("mean", "alice", "bob"), [(0.05, 0.1, 0.2), (0.2, 0.5, 0.5), (1e-3, 0.01, 0.9)])
def test_polarised_pairs_are_those_of_ma_fung_lo(mean, alice, bob):
    """Gain: exact. Errors: exact without background, to the dark clicks' probability d with it (the closed form takes
    them as half wrong), and with misalignment to its product with the multiple pairs behind double clicks."""
    for dark, misalignment, apart in ((0.0, 0.0, 1e-11), (1e-5, 0.0, 1e-5), (1e-5, 0.03, 1e-5 + 0.03 * mean * 0.05)):
        gain, error = sifted(polarised(mean, alice, bob, dark, misalignment))
        want_gain, want_error = ma_fung_lo(mean, alice, bob, dark, misalignment)
        assert float(gain) == pytest.approx(float(want_gain), abs=1e-15)
        assert float(error) == pytest.approx(float(want_error), abs=apart)


def test_ma_fung_lo_at_few_pairs():
    """One pair in 2 lambda: error misalignment + lambda (1/2 - …); the gain 2 lambda times both efficiencies."""
    gain, error = ma_fung_lo(1e-9, 0.1, 0.2, 0.0, 0.015)
    assert float(gain) == pytest.approx(2e-9 * 0.02, rel=1e-6)
    assert float(error) == pytest.approx(0.015, abs=1e-6)


def test_sifted_tosses_for_double_clicks():
    """Alice's both detectors click, and Bob's first: half right."""
    p = np.zeros((2, 2, 2, 2))
    p[1, 1, 1, 0], p[1, 0, 1, 0], p[0, 1, 1, 0], p[0, 0, 1, 1] = 0.1, 0.2, 0.05, 0.3
    gain, error = sifted(jnp.asarray(p))
    assert float(gain) == pytest.approx(0.35)
    assert float(error) == pytest.approx((0.05 + 0.05) / 0.35)
    assert float(sifted(jnp.asarray(p), same=False)[1]) == pytest.approx(1 - 0.1 / 0.35)


def test_key():
    """1 - 2 H2(e) vanishes at 11.0028 %; no errors: half of the gain."""
    assert float(key_rate(1e-4, 0.0, 0.0)) == pytest.approx(5e-5)
    assert float(key_rate(1.0, 0.110028, 0.110028, 1.0, 1.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(key_rate(1.0, 0.2, 0.2)) < 0
    rate = lambda mu: key_rate(LINK(mu).gain_bins, LINK(mu).qber_bins, LINK(mu).qber_phase)
    low, best, high = (float(rate(mu)) for mu in (1e-3, 0.08, 0.3))
    assert low < best > high


@pytest.mark.slow
def test_links_are_differentiable_and_mapped():
    mus = jnp.array([1e-4, 1e-2])
    mapped = jax.jit(jax.vmap(franson))(mus)
    for k, mu in enumerate(mus):
        for got, want in zip(mapped, LINK(mu), strict=True):
            assert float(got[k]) == pytest.approx(float(want), abs=1e-14)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(jnp.stack(franson(x[0], long=x[1], efficiency=x[2], dark=x[3])))))
    point = jnp.array([0.01, 0.7, 0.3, 1e-3])
    value = jax.jit(lambda x: jnp.sum(jnp.stack(franson(x[0], long=x[1], efficiency=x[2], dark=x[3]))))
    want = [(value(point + s) - value(point - s)) / 2e-6 for s in 1e-6 * np.eye(4)]
    np.testing.assert_allclose(slope(point), want, rtol=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: time_bin_link(pairs([0.1]), analyser(), analyser(), 0.1),
        lambda: time_bin_link(pairs([0.1] * 4), analyser(), analyser(), 0.1),
        lambda: time_bin_link(pairs([0.1] * 2), analyser(), analyser(), 1.2),
        lambda: time_bin_link(pairs([0.1] * 2), analyser(), analyser(), 0.1, -1e-6),
        lambda: frequency(0.1, [1.0, 1.0], np.eye(3), np.eye(2)),
    ],
)
def test_refusals(call):
    with pytest.raises(SpecError, match="got:"):
        call()
