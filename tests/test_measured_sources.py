"""The table of published sources: how uncertainties are carried, scalings, sources of numbers. No rate is judged."""

import jax.numpy as jnp
import measured_sources as table
import numpy as np
import pytest
from measured_sources import FIGURES, SAMPLES, Number
from scipy.constants import c as C
from scipy.stats import norm

from picq.errors import NumericsError
from picq.quantum import sfwm
from picq.quantum.joint_spectrum import Lorentzian, joint_temporal_amplitude, time_grid
from picq.quantum.pump import Gaussian

DATA = table.data()
DEVICES = DATA["devices"]
NOISE = SAMPLES**-0.5  # of a correlation, and of a standard deviation times the square root of two
BASE = {
    **{"wavelength_um": 1.55, "radius_um": 100.0, "q": 1e6, "coupling": 1.0, "power_mw": 1e-7},
    **{"n_g": 2.1, "n2_m2_w": 2.4e-19, "a_eff_um2": 0.9, "share": 0.5, "repetition_mhz": 50.0, "pulse_ps": 100.0},
}


def certain(**changed):
    """Samples that all are alike, of the shape for which picq's functions are compiled anyway."""
    return {name: np.full(SAMPLES, value) for name, value in (BASE | changed).items()}


def one(figures):
    """The value that all samples have."""
    assert np.ptp(figures) <= 1e-12 * np.max(figures)
    return float(figures[0])


def test_the_page_is_what_the_script_makes():
    assert table.PAGE.read_text(encoding="utf-8") == table.page()


def every_number():
    for device in DEVICES:
        yield from ((name, device["name"], entry) for name, entry in device["inputs"].items())
        yield from ((entry["figure"], device["name"], entry) for entry in device["figures"])
    yield ("high_mw", "slope", DATA["slope"]["high_mw"])
    yield ("slope", "slope", DATA["slope"]["figure"])


@pytest.mark.parametrize(("name", "device", "entry"), list(every_number()))
def test_every_number_says_where_it_is_from(name, device, entry):
    n = table.number(name, entry)
    assert n.value > 0
    assert n.factor >= 1
    assert n.kind in ("read", "derived", "table", "recalled", "assumed")
    assert n.spread in ("stated", "derived", "assumed")
    assert len(n.source) > 3
    text = n.source.split(":")[0].split(";")[0]
    assert (text in DATA["texts"]) == (n.kind in ("read", "derived"))
    if n.kind in ("recalled", "assumed"):
        assert n.spread == "assumed"  # nobody stated it


def test_every_text_is_used_and_every_miss_explained():
    told = " ".join([e["source"] for _, _, e in every_number()] + [one["source"] for one in DATA["not_predicted"]])
    assert all(key in told for key in DATA["texts"])
    for device in DEVICES:
        for one in table.rows(device):
            assert one.note or table.verdict(one.ratio) == "within", (one.device, one.label)


@pytest.mark.parametrize("figure", ["created_hz", "leaving_hz"])
def test_scalings(figure):
    """P² and Q³/R² at critical coupling; at 0.1 nW the Kerr shift takes 2R/kappa, below 1e-13, from the rate."""
    rate = lambda **changed: one(FIGURES[figure].of(certain(**changed), "nitride"))
    assert rate(power_mw=3e-7) == pytest.approx(9 * rate(), rel=1e-10)
    assert rate(q=2e6) == pytest.approx(8 * rate(), rel=1e-10)
    assert rate(radius_um=200.0) == pytest.approx(rate() / 4, rel=1e-10)
    bright = lambda **changed: one(FIGURES["brightness"].of(certain(**changed), "nitride"))
    assert bright(q=2e6) == pytest.approx(16 * bright(), rel=1e-8)
    assert bright(power_mw=1.0) == bright()


def test_rates_are_those_of_the_published_form():
    """Helt's counts photons of one colour, of which a critically coupled ring lets out half: of pairs a quarter."""
    ring = table.cavity(BASE)
    want = sfwm.helt_rate_hz(ring.gamma_w_m, 1e-4, 1e6, ring.omega, ring.v_g, 1e-10)
    assert one(table.leaving_hz(certain(), "nitride")) == pytest.approx(float(want) / 2, rel=1e-10)


def test_a_ring_is_the_same_in_every_source_s_numbers():
    """Length by FSR, kappa by linewidth or intrinsic Q, gamma itself; of two guides the pump's takes its share."""
    ring = table.cavity(BASE)
    fsr = 1e-3 * C / (2.1 * 2 * np.pi * 100)  # GHz
    other = {"fsr_ghz": fsr, "linewidth_ghz": ring.kappa / (2e9 * np.pi), "gamma_w_m": ring.gamma_w_m}
    kept = {name: BASE[name] for name in ("wavelength_um", "coupling", "n_g")}
    for x in (kept | other, {k: v for k, v in (kept | other | {"q_intrinsic": 2e6}).items() if k != "linewidth_ghz"}):
        same = table.cavity(x)
        for name in ("kappa_c", "kappa_i", "kappa", "length_um", "gamma_w_m"):
            assert getattr(same, name) == pytest.approx(getattr(ring, name), rel=1e-12)
    halved = table.cavity(BASE | {"one_guide": 0.5})
    assert halved.kappa_c == ring.kappa_c / 2
    assert halved.kappa_i == ring.kappa_i


def test_a_power_law_obeys_the_first_order_formula():
    """ln R is linear in the logarithms, so that its variance is 9 s_Q² + 4 s_P² + 4 s_R² up to the noise of samples:
    of the standard deviation 1/sqrt(2 N), of a share at most 2 sqrt(share)/sqrt(N)."""
    factors = {"q": 1.5, "power_mw": 1.3, "radius_um": 1.2}
    inputs = {name: Number(v, factors.get(name, 1.0), "assumed", "assumed", "") for name, v in BASE.items()}
    samples = table.draw(inputs, "a ring")
    found = table.spread(lambda x: table.created_hz(x, "nitride"), samples)
    powers = {"q": 3, "power_mw": 2, "radius_um": -2}
    parts = {name: power**2 * np.log(factors[name]) ** 2 for name, power in powers.items()}
    total = sum(parts.values())
    assert np.std(np.log(found)) == pytest.approx(np.sqrt(total), rel=4 * NOISE)
    middle, low, high = table.quantiles(found)
    sides = norm.ppf(0.84) * np.sqrt(total)
    noise = 4 * NOISE * np.sqrt(total) * np.sqrt(0.16 * 0.84) / norm.pdf(norm.ppf(0.84))
    assert np.log(middle / one(table.created_hz(certain(), "nitride"))) == pytest.approx(0, abs=noise)
    assert np.log([high / middle, middle / low]) == pytest.approx(sides, abs=1.5 * noise)
    got = table.shares(found, samples)
    assert got.keys() == powers.keys()
    for name, part in parts.items():
        assert got[name] == pytest.approx(part / total, abs=8 * NOISE * np.sqrt(part / total))


def test_samples_are_repeatable_independent_and_log_normal():
    n = Number(3.0, 1.4, "assumed", "assumed", "")
    once, again = (table.draw({"q": n, "n_g": n}, "one") for _ in range(2))
    other = table.draw({"q": n}, "other")
    np.testing.assert_array_equal(once["q"], again["q"])
    for different in (once["n_g"], other["q"]):
        assert abs(np.corrcoef(once["q"], different)[0, 1]) < 4 * NOISE
    assert np.mean(np.log(once["q"] / 3)) == pytest.approx(0, abs=4 * NOISE * np.log(1.4))
    assert np.std(np.log(once["q"])) == pytest.approx(np.log(1.4), rel=4 * NOISE)


@pytest.mark.parametrize(("sigmas", "want"), [(0.9, "within"), (-0.9, "within"), (1.1, "miss"), (-1.1, "miss")])
def test_verdicts(sigmas, want):
    """Between 16 and 84 % are 0.994 standard deviations; quantiles are uncertain by 0.015 of one."""
    noise = table.draw({"ratio": Number(1.0, np.e, "assumed", "assumed", "")}, "any")["ratio"]
    assert table.verdict(noise * np.exp(sigmas)) == want


def test_what_is_no_number_is_refused():
    with pytest.raises(NumericsError, match="no figure"):
        table.spread(lambda x: x["q"] * jnp.nan, {"q": np.ones(SAMPLES)})


def test_short_and_long_pulses():
    """Short ones leave f = A(0)² min(t1, t2) exp(-(t1 + t2)/2), of norm A(0)⁴/2 and purity 11/12, to first order in the
    width; long ones twice the square of the quasi-static drive, to second order. Extrapolated, the next order is left:
    1e-5 at 0.004, and (20/30²)² at 30."""

    line = Lorentzian(1.0)

    def off(width, end, want):
        f = joint_temporal_amplitude(Gaussian(width), time_grid(width, end, 900), line, line, line)
        return float(jnp.sum(jnp.abs(f) ** 2)) / want(width / (2 * np.sqrt(np.log(2)))) - 1

    short = [off(w, 45.0, lambda t: (2 * np.sqrt(np.pi) * t) ** 2 / 2) for w in (0.004, 0.008)]
    assert short[0] < 0
    assert 2 * short[0] - short[1] == pytest.approx(0, abs=1e-5)
    long = [off(w, 5 * w + 40, lambda t: 32 / (np.sqrt(2 * np.pi) * t)) for w in (30.0, 60.0)]
    assert (4 * long[1] - long[0]) / 3 == pytest.approx(0, abs=5e-4)
    known = table.curves()
    assert np.exp(known.energy[0]) == pytest.approx((1 + short[0]) * np.pi * 0.004**2 / (2 * np.log(2)), rel=1e-5)
    assert float(np.exp(known.purity[0])) == pytest.approx(11 / 12, abs=1e-5)


def test_pairs_per_pulse_are_those_of_the_rate():
    """A long pulse is a rate r P² that follows the power: 32 ∫a⁴ of the curve's limit is what r says."""
    x = BASE | {"power_mw": 1.0}
    rate = one(table.created_hz(certain(), "nitride")) / 1e-20  # per W²
    energy = 1e-3 * 0.5 / 50e6
    limit = float(table.pairs_per_pulse(x, "nitride") / table.curve(x, "energy")) * 32
    assert limit == pytest.approx(rate * energy**2 * float(table.kappa(x)), rel=1e-9)


def test_car_of_pulses():
    """1/mu without dark counts; half the clicks dark: a quarter."""
    x = {"repetition_mhz": 50.0, "reported_pairs": 0.1, "coincidences_hz": 50.0, "dark_per_gate": 0.0}
    assert float(table.pulsed_car(x, "silicon")) == pytest.approx(10, rel=1e-12)
    dark = np.sqrt(50 / (0.1 * 50e6)) * 0.1
    assert float(table.pulsed_car(x | {"dark_per_gate": dark}, "silicon")) == pytest.approx(2.5, rel=1e-12)


def test_the_slope_is_two_without_absorption_and_falls_with_the_lifetime():
    """Without absorption R = R_0/(1 + 2 R_0/kappa), by the Kerr mismatch alone, and R_0 goes with P²."""
    of = DATA["slope"]
    samples = table.draw(table.numbers(of["inputs"]), of["name"]) | {"tpa_m_w": np.zeros(SAMPLES)}
    low, high = samples["power_mw"], of["high_mw"]["value"]
    rates = [np.asarray(table.created_hz(samples | {"power_mw": p}, "silicon")) for p in (low, high + 0 * low)]
    plain = [r / (1 - 2 * r / np.asarray(table.kappa(samples))) for r in rates]
    np.testing.assert_allclose(np.log(plain[1] / plain[0]) / np.log(high / low), 2.0, rtol=1e-9)
    every = [one.predicted for one in table.slope_rows(of)]
    assert np.all(np.diff(every, axis=0) < 0)
