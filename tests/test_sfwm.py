"""Closed forms of pair sources against each other, against integrals and against published optima."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from picq.errors import SpecError
from picq.optics.resonator import build_up
from picq.quantum import sfwm

KAPPA = 2 * np.pi * 100e6


def test_the_rate_is_the_integral_of_the_langevin_spectrum():
    """Both Langevin equations solved in frequency: n_s(w) of the output into all channels, at x = 2G/kappa = 0.01."""
    kappa_s, kappa_i, mismatch = KAPPA, 1.7 * KAPPA, 0.4 * KAPPA
    g = 0.005 * KAPPA
    response = lambda w, k: 1 / (k / 2 - 1j * w)

    def spectrum(u):
        w = u * KAPPA
        s, i = response(w, kappa_s), response(mismatch - w, kappa_i)
        return KAPPA * g**2 * kappa_s * kappa_i * abs(s) ** 2 * abs(i) ** 2 / (2 * np.pi)

    total = quad(spectrum, -np.inf, np.inf, epsabs=0, epsrel=1e-11)[0]
    assert float(sfwm.pair_rate_hz(g, kappa_s, kappa_i, mismatch)) == pytest.approx(total, rel=1e-9)
    assert float(sfwm.pair_rate_hz(g, KAPPA, KAPPA)) == pytest.approx(2 * g**2 / KAPPA, rel=1e-14)


def test_below_threshold_all_orders():
    """x = 0.1: 5.0505e-3 of kappa; the equation of the second moments solved by a matrix, not by hand."""
    kappa_s, kappa_i, x = 1.0, 2.5, 0.4
    g = x * np.sqrt(kappa_s * kappa_i) / 2
    # unknown n_s, n_i, m: kappa n = 2 g m, and the equation of motion of m
    system = [[kappa_s, 0, -2 * g], [0, kappa_i, -2 * g], [-g, -g, (kappa_s + kappa_i) / 2]]
    n_s, _, _ = np.linalg.solve(system, [0, 0, g])
    assert float(sfwm.pair_rate_all_orders_hz(g, kappa_s, kappa_i)) == pytest.approx(kappa_s * n_s, rel=1e-12)
    assert float(sfwm.pair_rate_all_orders_hz(0.05, 1.0, 1.0)) == pytest.approx(5.0505e-3, rel=1e-5)
    small = sfwm.pair_rate_all_orders_hz(1e-5, 1.0, 2.0) / sfwm.pair_rate_hz(1e-5, 1.0, 2.0)
    assert float(small) == pytest.approx(1, abs=1e-9)
    assert np.isnan(sfwm.pair_rate_all_orders_hz(0.6, 1.0, 1.0))


def test_the_published_form_for_rings_and_its_scalings():
    """eta 2 G²/kappa at Q_c = 2 Q_L is Helt's formula, so P² and Q³/R² hold for both."""
    gamma, v_g, omega, q, radius, power = 200.0, 299792458 / 4.2, 2 * np.pi * 193.4e12, 1.1e4, 5e-6, 2e-4
    kappa, delay = omega / q, 2 * np.pi * radius / v_g
    drive = sfwm.drive(gamma, v_g, build_up(kappa / 2, kappa, delay) * power)
    own = 0.5 * sfwm.pair_rate_hz(drive, kappa, kappa)
    ring = {"gamma_w_m": gamma, "radius_m": radius, "q": q, "omega": omega, "group_velocity_m_s": v_g, "power_w": power}
    helt = lambda **changed: float(sfwm.helt_rate_hz(**(ring | changed)))
    assert helt() == pytest.approx(float(own), rel=1e-12)
    assert helt(power_w=3 * power) == pytest.approx(9 * helt(), rel=1e-12)
    assert helt(q=2 * q) == pytest.approx(8 * helt(), rel=1e-12)
    assert helt(radius_m=2 * radius) == pytest.approx(helt() / 4, rel=1e-12)


def test_spontaneous_is_stimulated_by_the_vacuum():
    """With a seed of hbar omega kappa/4 both are equal: the vacuum's half photon in the linewidth, twice."""
    omega, q = 2 * np.pi * 193.4e12, 3e5
    seed = sfwm.HBAR * omega * (omega / q) / 4
    assert float(sfwm.spontaneous_over_stimulated(omega, q, seed)) == pytest.approx(1, rel=1e-12)


def best(figure):
    return minimize_scalar(
        lambda e: -float(figure(e)), bounds=(0.01, 0.99), method="bounded", options={"xatol": 1e-9}
    ).x


@pytest.mark.parametrize(
    ("photons", "same", "pairs_free"), [(0, 2 / 5, None), (1, 1 / 2, 1 / 2), (2, 4 / 7, 2 / 3)],
    ids=["created", "singles", "coincidences"],
)  # fmt: skip
def test_couplings_that_maximise(photons, same, pairs_free):
    """Escape efficiency at the best coupling, pump and pairs alike, or with the pump held critical (Lukens 2025)."""
    kappa_i = 1.0

    def rate(escape, pump_escape):
        kappa, pump = kappa_i / (1 - escape), kappa_i / (1 - pump_escape)
        drive = sfwm.drive(1.0, 1.0, build_up(pump * pump_escape, pump, 1.0))
        return escape**photons * sfwm.pair_rate_hz(drive, kappa, kappa)

    assert best(lambda e: rate(e, e)) == pytest.approx(same, abs=1e-6)
    if pairs_free is not None:
        assert best(lambda e: rate(e, 0.5)) == pytest.approx(pairs_free, abs=1e-6)


@pytest.mark.parametrize("jitter", [0.0, 50e-12, 2e-9])
def test_window_against_quadrature(jitter):
    kappa_s, kappa_i, window = 2 * np.pi * 150e6, 2 * np.pi * 80e6, 3e-9

    def density(t):
        """Of the difference of times without jitter, per nanosecond."""
        rate = kappa_s if t > 0 else kappa_i
        return 1e-9 * kappa_s * kappa_i / (kappa_s + kappa_i) * np.exp(-rate * abs(t) * 1e-9)

    def held(t):
        """Chance that jitter leaves a pair at t ns within the window."""
        if jitter == 0:
            return float(abs(t) < window * 5e8)
        edge = lambda e: 0.5 * (1 + float(jax.lax.erf((e - t) / (jitter * 1e9 * np.sqrt(2)))))
        return edge(window * 5e8) - edge(-window * 5e8)

    ends = [-60, -10, -window * 5e8, 0, window * 5e8, 10, 60]
    total = sum(quad(lambda t: density(t) * held(t), a, b, epsabs=1e-12, limit=200)[0] for a, b in pairwise(ends))
    got = sfwm.window_fraction(kappa_s, kappa_i, window, jitter)
    assert float(got) == pytest.approx(total, abs=1e-9)


def test_window_of_equal_widths_and_its_limits():
    window = 2e-9
    assert float(sfwm.window_fraction(KAPPA, KAPPA, window)) == pytest.approx(
        1 - np.exp(-KAPPA * window / 2), rel=1e-12
    )
    assert float(sfwm.window_fraction(KAPPA, KAPPA, 1e-6, 1e-10)) == pytest.approx(1, abs=1e-12)
    assert float(sfwm.window_fraction(KAPPA, KAPPA, window, 1e-17)) == pytest.approx(
        float(sfwm.window_fraction(KAPPA, KAPPA, window)), rel=1e-9
    )
    slope = jax.grad(lambda j: sfwm.window_fraction(KAPPA, KAPPA, window, j))(1e-10)
    step = 1e-14
    numeric = (
        sfwm.window_fraction(KAPPA, KAPPA, window, 1e-10 + step)
        - sfwm.window_fraction(KAPPA, KAPPA, window, 1e-10 - step)
    ) / (2 * step)
    assert float(slope) == pytest.approx(float(numeric), rel=1e-6)


def test_car_is_largest_where_clicks_are_dark_counts():
    efficiency, dark, window, fraction = 0.1, 200.0, 1e-9, 0.9
    car = lambda log: sfwm.coincidence_to_accidental(jnp.exp(log), efficiency, efficiency, dark, dark, window, fraction)
    found = minimize_scalar(lambda x: -float(car(x)), bounds=(0, 15), method="bounded", options={"xatol": 1e-10})
    assert np.exp(found.x) * efficiency == pytest.approx(dark, rel=1e-5)
    assert float(car(found.x)) == pytest.approx(efficiency * fraction / (4 * dark * window), rel=1e-12)


def test_heralded_g2():
    """mu = .001 in one mode: the exact thermal sum 1.998e-3 for eta -> 0 is twice that of a perfect herald."""
    mu = 1e-3
    n = np.arange(60)
    thermal = mu**n / (1 + mu) ** (n + 1)
    for eta, bound in ((1e-6, 2e-5), (1.0, 3e-6)):
        click = 1 - (1 - eta) ** n
        exact = np.sum(thermal * click * n * (n - 1)) * np.sum(thermal * click) / np.sum(thermal * click * n) ** 2
        assert float(sfwm.heralded_g2(mu, 1.0, eta)) == pytest.approx(exact, abs=bound)


def test_cross_correlation_is_that_of_a_gaussian_state():
    """1 + |<a_s a_i>|²/(n_s n_i): at zero delay |m|² is that of the stationary state, n + 1/2 over its rate of x."""
    x, kappa = 0.01, 1.0
    rate = float(sfwm.pair_rate_all_orders_hz(x * kappa / 2, kappa, kappa))
    n, m = rate / kappa, rate / (x * kappa)
    assert float(sfwm.cross_correlation(kappa, rate)) == pytest.approx(1 + m**2 / n**2, rel=2 * x**2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sfwm.window_fraction(-1.0, 1.0, 1e-9), "kappa_s"),
        (lambda: sfwm.window_fraction(1.0, 1.0, 0.0), "window"),
        (lambda: sfwm.window_fraction(1.0, 1.0, 1e-9, -1e-12), "jitter"),
        (lambda: sfwm.coincidence_to_accidental(1e6, 1.2, 0.5, 0, 0, 1e-9, 1), "efficiency of the signal"),
        (lambda: sfwm.coincidence_to_accidental(1e6, 0.2, 0.5, 0, -1, 1e-9, 1), "dark counts of the idler"),
        (lambda: sfwm.heralded_g2(0.1, 1.5, 0.5), "purity"),
        (lambda: sfwm.heralded_g2(0.1, 0.5, float("nan")), "heralding"),
    ],
)  # fmt: skip
def test_impossible_numbers_are_refused_by_name(call, message):
    with pytest.raises(SpecError, match=message):
        call()
