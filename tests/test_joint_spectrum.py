"""Joint spectra against closed forms, brute force in NumPy, and each other in time and frequency. Linewidths are 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from picq.errors import SpecError
from picq.quantum import joint_spectrum as js
from picq.quantum import pump, schmidt
from picq.quantum.joint_spectrum import Lorentzian

ONE = Lorentzian(1.0)
# the purities of reference for Gaussian pulses have five digits, of which the last is 4 too low: their grid was coarser
RING = {0.1: 0.91654, 0.3: 0.91497, 0.5: 0.91076, 1.0: 0.88994, 2.0: 0.82487, 5.0: 0.61901}
FINE = {0.1: 0.916584, 0.3: 0.915010, 0.5: 0.910799, 1.0: 0.889978, 2.0: 0.824905, 5.0: 0.619038}


def ring_in_time(fwhm, pump_line=ONE, signal=ONE, idler=ONE, n=400):
    return js.joint_temporal_amplitude(
        pump.Gaussian(fwhm), js.time_grid(fwhm, 40 + 3 * fwhm, n), pump_line, signal, idler
    )


@jax.jit
def ring_in_frequency(pulse, grids, pump_w, lines=(ONE, ONE, ONE)):
    responses = (line.response(grid.w) for line, grid in zip(lines[1:], grids, strict=True))
    return js.joint_amplitude(*responses, pulse.spectrum(pump_w) * lines[0].response(pump_w), *grids, pump_w)


def frequencies(fwhm):
    """Of the pump for pulses of 0.3 to 5 linewidths; always as many, so that one compilation serves all."""
    duration = 40.0 + 6 * fwhm
    return js.pump_grid(540 * np.pi / duration, duration)


def random_matrix(seed, shape):
    draw = np.random.default_rng(seed)
    return draw.normal(size=shape) + 1j * draw.normal(size=shape)


# --- purity of single rings


@pytest.mark.parametrize("fwhm", RING)
def test_ring_in_time(fwhm):
    """The table to its own accuracy; our digits to what n = 400 leaves, measured against 800: 2e-6 at 5, else 5e-7."""
    got = float(schmidt.purity(ring_in_time(fwhm)))
    assert got == pytest.approx(RING[fwhm], abs=5e-5)
    assert got == pytest.approx(FINE[fwhm], abs=3e-6)


@pytest.mark.parametrize("fwhm", [0.3, 1.0, 5.0])
def test_ring_in_frequency(fwhm):
    """Default grid: 2e-6 to 7e-6 too low. Energies are equal but for what the span leaves out, by Parseval (2 pi)²."""
    grid, pump_w = js.tan_grid(1.0), frequencies(fwhm)
    f = ring_in_frequency(pump.Gaussian(fwhm), (grid, grid), pump_w)
    assert float(schmidt.purity(f)) == pytest.approx(FINE[fwhm], abs=1e-5)
    energy = float(jnp.sum(jnp.abs(ring_in_time(fwhm)) ** 2))
    assert float(jnp.sum(jnp.abs(f) ** 2)) == pytest.approx((2 * np.pi) ** 2 * energy, rel=3e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "error"), [(64, 4e-4), (128, 5e-5), pytest.param(256, 7e-6, marks=pytest.mark.exhaustive)]
)
def test_frequencies_converge_as_documented(n, error):
    for fwhm, want in FINE.items():
        grid, pump_w = js.tan_grid(1.0, n), js.pump_grid(12.0 / fwhm, 40.0 + 6 * fwhm)
        got = float(schmidt.purity(ring_in_frequency(pump.Gaussian(fwhm), (grid, grid), pump_w)))
        assert got == pytest.approx(want, abs=error + 1e-6)


def test_times_converge_with_the_third_power():
    """What the term on the diagonal is for: without it, the second power and 2e-5 at n = 100."""
    purities = [float(schmidt.purity(ring_in_time(1.0, n=n))) for n in (100, 200, 400)]
    assert (purities[1] - purities[0]) / (purities[2] - purities[1]) == pytest.approx(8.0, rel=0.1)
    assert abs(purities[2] - purities[1]) < 2e-6


def test_short_pulses_reach_11_over_12_and_the_weights_of_bessel():
    """At a width of 0.001 P lies 1e-8 below; 200 times cost 3e-6, in the purity as in the weights."""
    f = ring_in_time(0.001, n=200)
    assert float(schmidt.purity(f)) == pytest.approx(schmidt.RING_PURITY, abs=5e-6)
    want = schmidt.ring_schmidt_weights(6)
    np.testing.assert_allclose(schmidt.schmidt_weights(f)[:6], want, atol=1e-5)
    many = schmidt.ring_schmidt_weights(1000)
    assert many.sum() == pytest.approx(1.0, abs=1e-9)
    assert (many**2).sum() == pytest.approx(11 / 12, abs=1e-12)


@pytest.mark.parametrize(("rho", "want"), [(2.0, 0.971429), (3.0, 0.985714), (5.0, 0.994318), (10.0, 0.998464)])
def test_broad_pump_resonance(rho, want):
    assert float(schmidt.broadband_purity(1.0, 1.0, rho)) == pytest.approx(want, abs=5e-7)
    got = float(schmidt.purity(ring_in_time(0.001, Lorentzian(rho))))
    assert got == pytest.approx(want, abs=2e-6)
    assert float(schmidt.linewidth_ratio_for_purity(want)) == pytest.approx(rho, rel=1e-3)


@pytest.mark.parametrize(("wanted", "rho"), [(0.95, 1.411), (0.99, 3.667), (0.999, 12.494)])
def test_ratio_for_a_purity(wanted, rho):
    got = schmidt.linewidth_ratio_for_purity(wanted)
    assert float(got) == pytest.approx(rho, abs=5e-4)
    assert float(schmidt.broadband_purity(2.0, 2.0, 2 * got)) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("kappas", [(1.0, 0.4, 1.5), (0.7, 2.0, 0.5), (1.0, 1.0, 1.0)])
def test_unequal_linewidths_by_brute_force(kappas):
    """NumPy on exp(-(s t1 + i t2)/2) ∫ exp((s + i)t/2 - p t), at the points of an exponential grid: the kink costs 2e-4
    at 400 points, of second order, which the extrapolation with 800 removes; measured: 2e-6."""
    s, i, p = kappas

    def at(n):
        u = np.linspace(-9.0, 3.9, n + 1)
        t, root = np.exp(u), np.sqrt(np.exp(u) * (u[1] - u[0]))
        rate = (s + i) / 2 - p
        first = np.minimum(t[:, None], t)
        made = np.expm1(rate * first) / rate if rate else first
        f = root[:, None] * np.exp(-s / 2 * t[:, None] - i / 2 * t) * made * root
        return np.sum((f @ f.T) ** 2) / np.sum(f**2) ** 2

    want = (4 * at(800) - at(400)) / 3
    assert float(schmidt.broadband_purity(s, i, p)) == pytest.approx(want, abs=1e-5)
    got = schmidt.purity(ring_in_time(0.001, Lorentzian(p), Lorentzian(s), Lorentzian(i)))
    assert float(got) == pytest.approx(float(schmidt.broadband_purity(s, i, p)), abs=5e-6)


@pytest.mark.parametrize(("delay", "want"), [(0.1, 0.99978), (0.5, 0.99472), (1.0, 0.98100)])
def test_two_pulses(delay, want):
    """Delta pulses by extrapolation over the width, whose next order is 1e-7; the table's last digit is 5e-6."""

    def at(width):
        pulse = pump.Pair(width, delay, -np.exp(-delay / 2))
        return float(
            schmidt.purity(
                js.joint_temporal_amplitude(pulse, js.time_grid(width, 40.0, 400, (0.0, delay)), ONE, ONE, ONE)
            )
        )

    assert 2 * at(0.005 * delay) - at(0.01 * delay) == pytest.approx(want, abs=7e-6)


# --- time against frequency


LINES = (Lorentzian(1.6, 0.3), Lorentzian(0.8, -0.5), Lorentzian(1.3, 0.9))


def test_frequency_is_the_transform_of_time():
    """Element by element, with detunings, a chirp and three linewidths: signs, phases and scale. Times end at 45/kappa,
    where exp(-0.8 x 45/2) = 1e-8 is left; the sums over time cost 1e-5 of the peak as in the purity."""
    pulse, times = pump.Gaussian(0.9, 0.4, 0.8), js.time_grid(0.9, 60.0)
    f = js.joint_temporal_amplitude(pulse, times, *LINES)
    grids, pump_w = (js.tan_grid(0.8), js.tan_grid(1.3, 256, 0.9)), frequencies(1.0)
    got = np.asarray(ring_in_frequency(pulse, grids, pump_w, LINES))
    waves = [np.exp(1j * np.outer(grid.w, times.t)) * np.sqrt(times.weight) for grid in grids]
    roots = [np.sqrt(np.asarray(grid.weight)) for grid in grids]
    want = roots[0][:, None] * (waves[0] @ np.asarray(f) @ waves[1].T) * roots[1]
    near = np.ix_(np.abs(grids[0].w) < 5, np.abs(grids[1].w) < 5)  # beyond, times do not resolve the oscillation
    assert np.sum(np.abs(got[near])) > 5 * np.abs(got).max()
    np.testing.assert_allclose(got[near], want[near], atol=2e-4 * np.abs(got).max())


def test_purities_of_time_and_frequency():
    pulse = pump.Gaussian(0.9, 0.4, 0.8)
    grids, pump_w = (js.tan_grid(0.8), js.tan_grid(1.3, 256, 0.9)), frequencies(1.0)
    in_w = schmidt.purity(ring_in_frequency(pulse, grids, pump_w, LINES))
    in_t = schmidt.purity(js.joint_temporal_amplitude(pulse, js.time_grid(0.9, 60.0), *LINES))
    assert float(in_w) == pytest.approx(float(in_t), abs=1e-5)


def test_pump_of_any_frequencies():
    """The same spectrum on frequencies that are not symmetric; the convolution in NumPy at the sums of two of them."""
    pump_w = np.linspace(-9.0, 14.0, 24 * 16)
    field = pump.Gaussian(0.9, 0.4, 0.8).spectrum(pump_w) * ONE.response(pump_w)
    picks, step = np.array([150, 180, 201]), pump_w[1] - pump_w[0]
    grid = js.Grid(jnp.asarray(pump_w[picks]), jnp.ones(3), 0.0, jnp.inf)
    got = js.joint_amplitude(jnp.ones(3), jnp.ones(3), field, grid, grid, pump_w)
    convolved = np.convolve(field, field) * step / (2 * np.pi)
    np.testing.assert_allclose(got, convolved[picks[:, None] + picks], atol=1e-12)


def test_beyond_the_pump_there_are_no_pairs():
    grid, pump_w = js.tan_grid(1.0), frequencies(1.0)
    f = np.asarray(ring_in_frequency(pump.Gaussian(0.2), (grid, grid), pump_w))
    assert np.all((f == 0) == (np.abs(grid.w[:, None] + grid.w) > 2 * pump_w[-1]))


def test_sections_add_up():
    """Amplitudes of two loops, the second with its own pump, are those of each, summed; one pump may serve both."""
    grid, pump_w = js.tan_grid(1.0, 16), js.pump_grid(8.0, 40.0)
    signals = jnp.stack([ONE.response(grid.w), 0.4j * Lorentzian(0.7, 1.0).response(grid.w)])
    idlers = jnp.stack([ONE.response(grid.w), Lorentzian(1.2).response(grid.w)])
    pumps = pump.Gaussian(1.0).spectrum(pump_w) * jnp.stack([ONE.response(pump_w), Lorentzian(2.0).response(pump_w)])
    one = lambda m, p: js.joint_amplitude(signals[m], idlers[m], p, grid, grid, pump_w)
    both = js.joint_amplitude(signals, idlers, pumps, grid, grid, pump_w)
    np.testing.assert_allclose(both, one(0, pumps[0]) + one(1, pumps[1]), atol=1e-13)
    shared = js.joint_amplitude(signals, idlers, pumps[0], grid, grid, pump_w)
    np.testing.assert_allclose(shared, one(0, pumps[0]) + one(1, pumps[0]), atol=1e-13)


# --- Schmidt decomposition


def test_separable_pairs_are_pure():
    f = np.outer(random_matrix(0, 30), random_matrix(1, 20))
    assert float(schmidt.purity(f)) == pytest.approx(1.0, abs=1e-13)
    assert float(schmidt.schmidt_number(np.eye(7) * 1e-9)) == pytest.approx(7.0, abs=1e-12)


def test_purity_is_the_sum_of_squared_weights_for_either_photon():
    f = random_matrix(2, (3, 12, 7))
    weights = schmidt.schmidt_weights(f)
    np.testing.assert_allclose(jnp.sum(weights, -1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(schmidt.purity(f), jnp.sum(weights**2, -1), rtol=1e-13)
    np.testing.assert_allclose(schmidt.purity(f), schmidt.purity(jnp.swapaxes(f, -1, -2)), rtol=1e-13)
    np.testing.assert_allclose(schmidt.unheralded_g2(f), 1 + jnp.sum(weights**2, -1), rtol=1e-13)


def test_modes_compose_the_amplitude():
    f = random_matrix(3, (9, 6))
    modes = schmidt.schmidt_modes(f)
    again = modes.signal @ np.diag(np.sqrt(modes.weights)) @ modes.idler
    np.testing.assert_allclose(again * np.linalg.norm(f), f, atol=1e-13)


MATRICES = {
    "random": random_matrix(4, (4, 4)),
    "identity": np.eye(4) + 0j,
    "degenerate": np.diag([2.0, 1.0, 1.0, 0.5]) + 0j,
    "singular": np.diag([2.0, 1.0, 0.0, 0.0]) + 0j,
}


@jax.jit
def on_a_line(x, f, along):
    """Purity, the same by the weights, and the weights, of f + x along; and their derivatives, backwards."""

    def values(x):
        weights = schmidt.schmidt_weights(f + x * along)
        return jnp.concatenate([jnp.stack([schmidt.purity(f + x * along), jnp.sum(weights**2)]), weights])

    return values(x), jax.jacrev(values)(x)


@pytest.mark.parametrize("name", MATRICES)
def test_derivatives_are_differences(name):
    """h = 1e-4: truncation 1e-8, rounding 1e-12. Where weights coincide their own derivatives are not unique, but those
    of the sum of squares are."""
    f, along, h = MATRICES[name], random_matrix(5, (4, 4)), 1e-4
    slopes = on_a_line(0.0, f, along)[1]
    want = (on_a_line(h, f, along)[0] - on_a_line(-h, f, along)[0]) / (2 * h)
    assert np.all(np.isfinite(slopes))
    np.testing.assert_allclose(slopes[:2], want[:2], atol=1e-6)
    if name == "random":
        np.testing.assert_allclose(slopes, want, atol=1e-6)


def test_interference_of_heralded_photons():
    """Equal sources show their purity; orthogonal signals nothing; in between the trace of two density matrices."""
    f, g = random_matrix(7, (8, 6)), random_matrix(8, (8, 5))
    assert float(schmidt.hom_visibility(f, f)) == pytest.approx(float(schmidt.purity(f)), rel=1e-13)
    rho = [m @ m.conj().T / np.linalg.norm(m) ** 2 for m in (f, g)]
    assert float(schmidt.hom_visibility(f, g)) == pytest.approx(np.trace(rho[0] @ rho[1]).real, rel=1e-12)
    apart = np.concatenate([f, np.zeros((8, 6))]), np.concatenate([np.zeros((8, 5)), g])
    assert float(schmidt.hom_visibility(*apart)) == 0.0


def test_combs():
    """Three equal resonance pairs of known amplitudes; and a pump that also feeds neighbours."""
    c = np.array([0.8, 0.36 + 0.48j, -0.2j])
    blocks = c[:, None, None] * random_matrix(9, (5, 4))
    got = schmidt.comb_amplitudes(blocks)
    np.testing.assert_allclose(got, c / np.linalg.norm(c), atol=1e-14)
    same = schmidt.comb_amplitudes(np.stack([blocks[0]] * 3))
    assert float(schmidt.schmidt_number(jnp.diag(same))) == pytest.approx(3.0)
    rates = schmidt.comb_rates(c[:, None, None, None] * np.conj(c)[:, None, None] * np.ones((5, 4)))
    np.testing.assert_allclose(rates, 20 * np.outer(abs(c) ** 2, abs(c) ** 2), rtol=1e-13)


# --- the whole way


def purity_of(x):
    """Purity by nine numbers: three linewidths and detunings, and the pulse."""
    grid, pump_w = js.tan_grid(1.0, 32), js.pump_grid(10.0, 40.0)
    lines = [Lorentzian(x[k], x[k + 1]) for k in (0, 2, 4)]
    return schmidt.purity(ring_in_frequency(pump.Gaussian(x[6], x[7], x[8]), (grid, grid), pump_w, lines))


POINT = jnp.array([1.2, 0.1, 0.9, -0.3, 1.1, 0.2, 0.8, 0.4, 0.6])


def test_gradient_and_map_of_the_whole():
    """Differences of 1e-5: truncation 1e-10, rounding 1e-11. Mapped values are the single ones."""
    h, mapped, single = 1e-5, jax.jit(jax.vmap(purity_of)), jax.jit(jax.value_and_grad(purity_of))
    steps = h * jnp.eye(9)
    above, below = mapped(POINT + steps), mapped(POINT - steps)
    want = (above - below) / (2 * h)
    assert np.abs(want).min() > 1e-4
    np.testing.assert_allclose(single(POINT)[1], want, atol=1e-8)
    for k in (0, 4, 8):
        assert float(single(POINT + steps[k])[0]) == pytest.approx(float(above[k]), rel=1e-12)


@pytest.mark.slow
def test_compiled_values_are_the_same():
    with jax.disable_jit():
        eager = purity_of(POINT)
    assert float(jax.jit(purity_of)(POINT)) == pytest.approx(float(eager), rel=1e-12)


# --- grids


@pytest.mark.parametrize("reach", [None, 3.0])
def test_tan_grid_integrates_resonances(reach):
    """Whole: exponentially, to 1e-7 by the steps of 0.2. Truncated: (2/pi) atan(2 reach), steps² /24 of the slopes."""
    grid = js.tan_grid(1.0, 128, 5.0, reach)
    lorentz = np.abs(Lorentzian(1.0, 5.0).response(grid.w)) ** 2 / (2 * np.pi)
    want = 1.0 if reach is None else 2 / np.pi * np.arctan(2 * reach)
    assert float(np.sum(grid.weight * lorentz)) == pytest.approx(want, abs=1e-6 if reach is None else 1e-5)


@pytest.mark.parametrize("reach", [5.0, 20.0, 40.0])
def test_captured_fraction_of_separable_pairs(reach):
    """Closed: ((2/pi) atan(2 reach/kappa))². Tails of 1/(w² + kappa²/4) taken as 1/w² are 1/(6 reach²) off, and the law
    from the last node instead of the end another 1/(4 reach²) at most: of the 2/(pi reach) missing in both axes."""
    grid = js.tan_grid(1.0, 256, -2.0, reach)
    one = Lorentzian(1.0, -2.0).response(grid.w) * np.sqrt(grid.weight)
    fraction = float(js.captured_fraction(np.outer(one, one), grid, grid))
    want = (2 / np.pi * np.arctan(2 * reach)) ** 2
    assert fraction == pytest.approx(want, abs=2 / (np.pi * reach) * 0.42 / reach**2)
    if want < 0.99:
        with pytest.raises(SpecError, match=rf"miss part.*\n.*{100 * fraction:.3g} %(.|\n)*remedy"):
            js.check_captured(fraction)
        js.check_captured(fraction, allowed=0.8)


def test_captured_fraction_of_correlated_pairs_is_a_bound():
    """What is missing is overstated 3.7 times: three by the power of the tails, more by counting pairs on both axes."""
    pump_w, reach = frequencies(1.0), 4.0
    whole, part = js.tan_grid(1.0), js.tan_grid(1.0, 256, 0.0, reach)
    full = np.abs(ring_in_frequency(pump.Gaussian(1.0), (whole, whole), pump_w)) ** 2
    held = np.abs(np.asarray(ring_in_frequency(pump.Gaussian(1.0), (part, part), pump_w))) ** 2
    missing = 1 - held.sum() / full.sum()
    estimate = 1 - float(js.captured_fraction(np.sqrt(held), part, part))
    assert missing > 1e-3
    assert 3.0 < estimate / missing < 4.5
    assert float(js.captured_fraction(np.sqrt(full), whole, whole)) == 1.0


def test_marginals_are_densities():
    grid = js.tan_grid(1.0, 200)
    one = ONE.response(grid.w) * np.sqrt(grid.weight)
    for density in js.marginals(np.outer(one, 3j * one), grid, grid):
        np.testing.assert_allclose(density, np.abs(ONE.response(grid.w)) ** 2 / (2 * np.pi), rtol=1e-6)


def test_refusals():
    grid, bad = js.tan_grid(1.0, 8), np.array([0.0, 1.0, 3.0])
    pump_w = js.pump_grid(5.0, 30.0)
    cases = {
        "width of a Gaussian": lambda: pump.Gaussian(0.0),
        "width of a sech²": lambda: pump.Sech2(-1.0),
        "duration of a rect": lambda: pump.Rectangular(np.nan),
        "delay of a pair": lambda: pump.Pair(1.0, 0.0, 1.0),
        "not equally spaced": lambda: pump.Sampled(bad, bad),
        "one sample for each": lambda: pump.Sampled(np.arange(3.0), np.ones(4)),
        "holds no energy": lambda: pump.Sampled(np.arange(3.0), np.zeros(3)),
        "too coarse or too fine": lambda: js.pump_grid(1e9, 40.0),
        "begin before": lambda: js.time_grid(1.0, -1.0),
        "response of the idler": lambda: js.joint_amplitude(grid.w, grid.w[1:], pump_w, grid, grid, pump_w),
        "is a matrix": lambda: schmidt.purity(np.ones(3)),
        "sampled differently": lambda: schmidt.hom_visibility(np.ones((3, 3)), np.ones((4, 3))),
        "no ratio of linewidths": lambda: schmidt.linewidth_ratio_for_purity(1.0),
        "miss part": lambda: js.check_captured(np.nan),
    }
    for message, call in cases.items():
        with pytest.raises(SpecError, match=message):
            call()
