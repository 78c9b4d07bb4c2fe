"""Combs of resonance pairs, qubits in two of them, and photons of two chips, as figures of a specification."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_ring import warmer

from picq import pdk
from picq.circuit import Circuit
from picq.components import RingAllPass, RingDualMzi
from picq.optics.resonator import emission
from picq.quantum import sfwm
from picq.quantum.apparatus import Detection
from picq.quantum.comb import (
    Comb,
    Filters,
    FrequencyBins,
    Pairs,
    comb_figures,
    continuous_overlap,
    continuous_pairs,
    correlations,
    frequency_bins,
    pulsed_pairs,
)
from picq.quantum.entanglement import frequency_bin_link, visibility_of_imbalance
from picq.quantum.gaussian import pairs
from picq.quantum.interference import indistinguishability, joined_grid
from picq.quantum.joint_spectrum import Lorentzian, joint_temporal_amplitude, tan_grid, time_grid
from picq.quantum.pair_amplitude import amplitudes
from picq.quantum.pump import Gaussian
from picq.quantum.schmidt import hom_visibility, purity
from picq.quantum.source import PairSource

LAYOUTS = Path(__file__).parents[1] / "layouts"
TECH = pdk.load("sin800")
OMEGA = 2 * np.pi * 193.4e12
PORTS = (("in", "ring,o1"), ("through", "ring,o2"), ("photons", "ring,o3"), ("other", "ring,o4"))


def uneven(powers=(150.0, 30.0, 110.0)):
    """Pairs 1, 2 and 3 of a ring whose buses are interferometers: linewidths of 0.7, 1.7 and 0.7 GHz, escapes of 0.3,
    0.16 and 0.3, mismatches of 0.5 GHz, 6 MHz and 0.5 GHz; a finesse of 60 and more."""
    ring = RingDualMzi.on(TECH, radius=60.0, length=30.0, gap=0.55, gap_drop=0.65)
    named = dict(zip(("power_mw", "power_bus_mw", "power_drop_mw"), powers, strict=True))
    return PairSource(
        Circuit({"ring": ring.replace(**named)}, (), PORTS), TECH, "ring", "in", "photons", "photons", OMEGA, 1, (2, 3)
    )


@pytest.fixture(scope="module")
def comb():
    """(source, its lines)."""
    source = uneven()
    return source, jax.jit(source.lines)()


def test_all_lines_are_those_of_the_circuit_at_their_own_resonances(comb):
    """Resonances by Newton's method on the circuit itself, and what leaves there, without any series. Their
    ends lie below 1e-10: rounding and what is left out move a resonance by 1e-8 of the distance to the next at most."""
    source, lines = comb

    @jax.jit
    def exact():
        found = source.resonances((1, 2, 3, -1, -2, -3))
        return found, source.parts(found.omega, (), ("photons",)).leave

    found, leave = exact()
    port = np.asarray(found.rate(jnp.abs(leave[:, 0, 0]) ** 2))
    for k, side in ((slice(3), lines.signals), (slice(3, 6), lines.idlers)):
        assert np.max(np.abs(side.omega - found.omega[k]) * side.delay_s) < 1e-8
        np.testing.assert_allclose(side.kappa, found.kappa[k], rtol=1e-8)
        np.testing.assert_allclose(side.kappa_port, port[k], rtol=1e-8)
    assert float(lines.signal.kappa) == float(lines.signals.kappa[0])
    assert float(lines.mismatch) == float(lines.mismatches[0])


@pytest.fixture(scope="module")
def steady(comb):
    """Inner products of the pairs' amplitudes S(w) I(2 wp - w) in continuous light, from transfer matrices, on
    frequencies that one shift of all signals brings together."""
    source, lines = comb
    n = 4000
    w = np.pi * 1e9 * np.tan(1.5 * (2 * (np.arange(n) + 0.5) / n - 1))
    centre = lines.signals.omega - lines.mismatches / 2

    @jax.jit
    def ways():
        at = (centre[:, None] + w).ravel()
        signal = emission(source.parts(at, (), ("photons",)))[:, 0, 0]
        return signal * emission(source.parts(2 * lines.pump.omega - at, (), ("photons",)))[:, 0, 0]

    psi = np.asarray(ways()).reshape(3, n) * np.sqrt(np.gradient(w))
    return psi.conj() @ psi.T


def parted(product):
    """(strengths over the first's, overlaps of forms)."""
    norm = np.sqrt(np.diag(product).real)
    return norm**2 / norm[0] ** 2, np.abs(product / norm[:, None] / norm)


def test_rates_and_forms_of_pairs_are_those_of_transfer_matrices(comb, steady):
    """Coupled modes hold to 1/finesse, up to 1/60: of that share a line's form, by 2 pi of it its strength."""
    made = continuous_pairs(comb[1], 1.0, 0.0, 0.0, Detection(window_s=1e-9))
    strengths, forms = parted(steady)
    assert forms[0, 1] < 0.9
    np.testing.assert_allclose(np.abs(made.overlap), forms, atol=1 / 60)
    np.testing.assert_allclose(made.out_hz / made.out_hz[0], strengths, rtol=2 * np.pi / 60)


def test_forms_of_continuous_light():
    """The closed form against a sum over frequencies; its phase too."""
    kappa_s, kappa_i, mismatch = np.array([1.0, 2.0, 0.7]), np.array([1.5, 0.8, 1.1]), np.array([0.0, 1.3, -0.6])
    theta = np.pi / 2 * (2 * (np.arange(4000) + 0.5) / 4000 - 1)
    u, weight = np.tan(theta), 1 / np.cos(theta) ** 2
    s, i = (Lorentzian(k[:, None], c[:, None]) for k, c in ((kappa_s, mismatch / 2), (kappa_i, mismatch / 2)))
    psi = np.asarray(s.response(u) * i.response(-u)) * np.sqrt(weight)
    product = psi.conj() @ psi.T
    norm = np.sqrt(np.diag(product).real)
    np.testing.assert_allclose(
        continuous_overlap(kappa_s, kappa_i, mismatch), product / norm[:, None] / norm, atol=1e-9
    )


def bins(mean=(1e-6, 1e-6), escape_s=(1.0, 1.0), escape_i=(1.0, 1.0), held=1.0, overlap=1.0):
    count = len(mean)
    eye = np.eye(count)
    return Pairs(*map(jnp.asarray, (mean, 1e9, escape_s, escape_i, np.full(count, held), eye + overlap * (1 - eye))))


def link(made, filters=None, mixing=None, detection=None, which=(0, 1)):
    asked = Comb(filters or Filters(), FrequencyBins(*which, mixing or Filters()))
    return jax.jit(lambda made: frequency_bins(made, asked, jnp.ones(1), detection or Detection()))(made)


def test_visibility_of_two_pairs():
    """Few pairs, m = 1e-6: strengths, ways out and windows make one imbalance, forms a factor; pairs cost 4 m."""
    made = bins((1e-6, 4e-7), (0.5, 0.9), (0.7, 0.4), overlap=0.8 * np.exp(0.4j))
    ratio = 4e-7 * 0.9 * 0.4 / (1e-6 * 0.5 * 0.7)
    want = 0.8 * float(visibility_of_imbalance(ratio))
    assert float(link(made).visibility) == pytest.approx(want, abs=4e-6)
    lossy = link(made, Filters(0.0, 0.3), Filters(0.0, 0.1), Detection(0.2))
    assert float(lossy.visibility) == pytest.approx(want, abs=4e-6)
    both = made.mean * made.escape_s * made.escape_i * 0.04
    assert float(lossy.gain_bins) == pytest.approx(float(jnp.sum(both)) * 0.3**2, rel=1e-5)
    assert float(lossy.gain_phase) == pytest.approx(float(jnp.sum(both)) * 0.1**2, rel=1e-5)


def test_phases_of_bins_do_not_matter_and_their_order_neither():
    made = bins((1e-6, 4e-7, 7e-7), (0.5, 0.9, 0.6), (0.7, 0.4, 0.8), overlap=0.8)
    turned = made._replace(overlap=made.overlap * jnp.exp(1j * jnp.array([[0, 1, 2], [-1, 0, 1], [-2, -1, 0]])))
    first, other, swapped = link(made), link(turned), link(made, which=(1, 0))
    np.testing.assert_allclose(first, other, rtol=1e-9)
    np.testing.assert_allclose(first, swapped, rtol=1e-5)


def test_a_window_that_misses_partners():
    """A share h of the pairs within: coincidences h m; the others' photons make accidental ones, (2 m)² in all: half of
    them in each basis wrong. To first order in m."""
    made = bins((1e-4, 1e-4), held=0.25)
    got = link(made, detection=Detection(0.01))
    wrong = 2 * 1e-8
    assert float(got.qber_bins) == pytest.approx(wrong / (2 * 0.25e-4), rel=0.01)
    assert float(got.gain_bins) == pytest.approx(2 * 0.25e-4 * 1e-4, rel=0.01)


def test_leaks_do_not_interfere():
    """Light of two frequencies in one output, and of a third pair: where bins are told apart wrong ones by shares of
    power alone, whatever the phases of bins."""
    x, mean = 0.02, np.array([1.0, 0.7, 0.5]) * 1e-7
    shares = np.full((2, 3), x)
    shares[[0, 1], [0, 1]] = 1 - 2 * x
    seen = np.einsum("ak,k,bk->ab", shares, mean, shares)
    for phase in (0.0, 2.0):
        turn = np.exp(1j * phase * np.arange(3))
        made = bins(mean, np.ones(3), np.ones(3))
        made = made._replace(overlap=jnp.asarray(np.conj(turn)[:, None] * turn))
        got = link(made, Filters(x), Filters(x))
        assert float(got.qber_bins) == pytest.approx((seen[0, 1] + seen[1, 0]) / seen.sum(), abs=1e-6)
        # half and half: the fringe of (1 - 2x)² and 2 x (1 - 2x) + x² of neighbouring outcomes, on what the third leaks
        own, cross, third = (1 - 2 * x), x, x**2 * mean[2]
        high, low = (np.abs(np.sqrt(mean[0]) + sign * np.sqrt(mean[1])) ** 2 / 4 for sign in (1, -1))
        top, bottom = ((own**2 + cross**2) * a + 2 * own * cross * b + third for a, b in ((high, low), (low, high)))
        assert float(got.visibility) == pytest.approx((top - bottom) / (top + bottom), abs=2e-6)


def test_ways_that_do_not_interfere_are_other_ways():
    """Filters that turn two bins alike on both sides leave their pairs as they are; as ways apart, powers add."""
    state = pairs(jnp.array([1e-7, 1e-7]))
    leak = np.sqrt([[0.9, 0.1], [0.1, 0.9]]) * [[1, 1], [-1, 1]]
    half = np.array([[1, 1], [1, -1]]) / 2**0.5
    one, two = (
        frequency_bin_link(state, (half, half), (apart, apart), 0.5) for apart in (leak, leak[:, :, None] * np.eye(2))
    )
    together = np.abs(leak @ leak.T) ** 2
    alone = leak**2 @ (leak**2).T
    for got, seen in ((one, together), (two, alone)):
        assert float(got.qber_bins) == pytest.approx(seen[0, 1] / seen[0].sum(), abs=1e-6)
    assert float(one.visibility) == pytest.approx(float(two.visibility), abs=1e-12)


def test_correlations_of_a_comb():
    """Equal pairs: matched over unlike ones is CAR and one more; with filters that leak x and few pairs, true ones of
    two pairs in the wrong outputs, 2 x (1 - 2 x) + x², over (1 - 2 x)² + 2 x²."""
    detection = Detection(0.1, 1e4, 3e-11, 1e-9)
    made = bins((1e-4,) * 3, (0.8,) * 3, (0.5,) * 3, held=0.9)
    found = comb_figures(made, Filters(), detection)
    car = sfwm.coincidence_to_accidental(1e-4 * 1e9, 0.08, 0.05, 1e4, 1e4, 1e-9, 0.9)
    assert float(found["comb_car"]) == pytest.approx(float(car) + 1, rel=1e-12)
    assert float(found["comb_rate_hz"]) == pytest.approx(3 * 1e-4 * 1e9 * 0.4)
    assert float(found["comb_uniformity_db"]) == pytest.approx(0.0, abs=1e-12)
    x = 0.01
    few = comb_figures(made._replace(mean=jnp.full(3, 1e-9)), Filters(x), Detection(0.1))
    want = ((1 - 2 * x) ** 2 + 2 * x**2) / (2 * x * (1 - 2 * x) + x**2)
    assert float(few["comb_car"]) == pytest.approx(want, rel=1e-5)
    uneven = comb_figures(bins((1e-4, 4e-5), (0.5, 1.0)), Filters(), Detection())
    assert float(uneven["comb_uniformity_db"]) == pytest.approx(10 * np.log10(5 / 4))
    lossless = correlations(bins((1e-9,) * 2), Filters(0.2, 0.5), Detection())
    assert float(lossless.sum()) == pytest.approx(2e-9 * 0.25, rel=1e-6)  # what leaks arrives elsewhere


@pytest.mark.parametrize("points", [64, 128])
@pytest.mark.parametrize("kappa", [1.0, 1.3])
def test_photons_of_two_lorentzian_lines(points, kappa):
    """Separable pairs: |k1 k2|/[((k1 + k2)/2)² + d²]. Grids end 200 linewidths from each line: what is beyond,
    2/(400 pi) of a norm, shows squared, 2.5e-6."""
    for apart in (0.0, 0.5, 3.0, 10.0, 30.0, 100.0, 300.0):
        grids = [tan_grid(k, points, reach=200.0) for k in (1.0, kappa)]
        both = joined_grid(*grids, jnp.asarray(apart))
        lines = Lorentzian(1.0), Lorentzian(kappa, apart)
        psi = [(line.response(both.w) * jnp.sqrt(both.weight))[:, None] for line in lines]
        want = kappa / (((1 + kappa) / 2) ** 2 + apart**2)
        assert float(hom_visibility(*psi)) == pytest.approx(want, abs=4 * 2.5e-6)


@pytest.fixture(scope="module")
def chips():
    """(lines of a chip and of the one as designed, their interference, the purity) of chips of one ring that are warmer
    and warmer, and the pulse."""
    ring = RingAllPass.on(TECH, radius=114.0).replace(gap=0.45)
    circuit = Circuit({"ring": ring}, (), PORTS[:2])

    def source(tech, circuit=circuit):
        return PairSource(circuit, tech, "ring", "in", "through", "through", OMEGA, 1)

    pulse = Gaussian(2e-10)

    @jax.jit
    def one(kelvin):
        made, designed = source(warmer(TECH, kelvin)), source(TECH)
        lines, other = made.lines_beside(designed)
        seen = indistinguishability((made.emitter(lines), designed.emitter(other)), pulse, 96)
        return lines, other, seen, purity(designed.amplitude(other, pulse, 1.0, 96).psi)

    return [one(kelvin) for kelvin in (0.0, 0.02, 0.05, 0.2)], pulse


def test_a_chip_as_designed_shows_the_purity(chips):
    (first, *_), _ = chips
    lines, other, seen, own = first
    assert float(lines.signal.omega) == float(other.signal.omega)
    assert float(seen) == pytest.approx(float(own), abs=1e-12)
    assert 0.5 < float(own) < 11 / 12 + 1e-3


def test_a_warmer_chip_against_amplitudes_in_time(chips):
    """rho of both from another solver, in time and for single resonances: it differs by 1/finesse in the forms, 1/250
    of what a line's shape changes. A resonance d away turns the signal by exp(-i d t)."""
    found, pulse = chips
    times = time_grid(2e-10, 40 / float(found[0][0].pump.kappa))
    apart = []
    for lines, other, seen, own in found:
        forms = []
        for one in (lines, other):
            centre = float(one.mismatch) / 2
            form = joint_temporal_amplitude(
                pulse,
                times,
                Lorentzian(one.pump.kappa, -centre),
                Lorentzian(one.signal.kappa),
                Lorentzian(one.idler.kappa),
            )
            forms.append(form * np.exp(-1j * float(one.signal.omega - other.signal.omega) * times.t)[:, None])
        want = float(hom_visibility(*forms))
        assert float(seen) == pytest.approx(want, abs=2e-3)
        apart.append(want / float(own))
    assert apart[0] == pytest.approx(1, abs=2e-3)
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] < 0.2  # the last lies several linewidths away


def test_pulses_of_several_pairs(comb, steady):
    """The first pair's number is that of its own amplitude on other frequencies. Of long pulses strengths and forms are
    those of continuous light, up to the square of the rms bandwidth of the squared field, 1.66/T, over the linewidth:
    in the limit a quarter for twice the length."""
    source, lines = comb
    kappa = float(jnp.min(lines.signals.kappa))

    @jax.jit
    def look(width):
        psi = amplitudes(source.emitter(lines), Gaussian(width), 1e-12, 256)
        return pulsed_pairs(lines, psi, 1e8, Detection()), source.amplitude(lines, Gaussian(width), 1e-12, 256).pairs

    strengths, forms = parted(steady)
    missed = []
    for length in (1, 4, 8):
        made, own = look(length / kappa)
        assert float(made.out_hz[0]) == pytest.approx(1e8 * float(own), rel=1e-3)
        off = [made.out_hz[1] / made.out_hz[0] / strengths[1] - 1, np.abs(made.overlap[0, 1]) / forms[0, 1] - 1]
        missed.append(np.abs(off))
        assert np.all(missed[-1] < (1.66 / length) ** 2)
    assert np.all(missed[2] < missed[1] / 2)
