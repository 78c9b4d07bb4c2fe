"""The analytic lattice designs: closed forms, synthesis as the inverse of analysis, and the device as their twin."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from picq.components import Coupler, LatticeFilter
from picq.design.lattice import HORST, MAXIMALLY_FLAT, Lattice, flat_top, synthesise
from picq.errors import NumericsError


def test_maximally_flat_is_daubechies():
    root = np.sqrt(3)
    taps = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / 8
    bar, cross = MAXIMALLY_FLAT.polynomials()
    found = [np.abs(p) for p in (bar, cross)]
    assert any(np.allclose(p, np.abs(taps)) or np.allclose(p, np.abs(taps[::-1])) for p in found)
    assert MAXIMALLY_FLAT.couplings == pytest.approx((1 / 2, 3 / 4, (2 - root) / 4))


def test_maximally_flat_leak_is_of_sixth_order():
    """Four-tap Daubechies: amplitude has a double zero, so halving the detuning divides the leak by 2^4."""
    f = np.array([0.02, 0.01])
    leak = np.minimum(*MAXIMALLY_FLAT.power(f))
    assert leak[0] / leak[1] == pytest.approx(16, rel=0.02)


@pytest.mark.parametrize("half_band", [0.04, 0.0625, 0.1])
def test_flat_top_ripples_equally(half_band):
    """The least worst leak: as high at the centre as at the band's edge; the maximally flat one leaks far more."""
    f = np.linspace(0, half_band, 2001)
    leak = np.minimum(*flat_top(half_band).power(f))
    assert leak[0] == pytest.approx(leak[-1], rel=1e-3)
    assert leak.max() < np.minimum(*MAXIMALLY_FLAT.power(f)).max() / 3


def test_published_flat_top_is_one_of_the_family():
    """Its leak is 23 dB down at the centre, and the band that ripples equally with that height has its couplings."""
    leak = lambda design, f: np.minimum(*design.power(np.atleast_1d(f)))
    half_band = brentq(lambda f: (leak(HORST, f) - leak(HORST, 0.0))[0], 0.07, 0.12)
    assert flat_top(half_band).couplings == pytest.approx(HORST.couplings, abs=0.005)  # two decimals are published


def test_power_is_conserved():
    bar, cross = Lattice((0.3, 1.1, -0.4, 0.9), (1, 2, 3)).power(np.linspace(0, 1, 101))
    assert np.allclose(bar + cross, 1, atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_synthesis_inverts_analysis(seed):
    angles = np.random.default_rng(seed).uniform(0.1, 1.4, 6)
    made = synthesise(*Lattice(tuple(angles), (1,) * 5).polynomials())
    for got, wanted in zip(made.polynomials(), Lattice(tuple(angles), (1,) * 5).polynomials(), strict=True):
        assert np.allclose(got, wanted, atol=1e-12)


def test_synthesis_refuses_what_no_lossless_filter_has():
    with pytest.raises(NumericsError, match="power complementary"):
        synthesise(np.array([1.0, 0.5]), np.array([0.2, 0.1]))


def coupler_length(tech, wl0: float, angle: float) -> float:
    """Shortest straight length at which a coupler turns by ``angle`` at wl0; a negative angle is one of pi more."""
    through, cross = Coupler(length=0.0).amplitudes(jnp.array([wl0]), tech)
    bends = float(np.arctan(np.imag(cross / through)[0]))
    return float(np.mod(angle - bends, np.pi) / tech.kappa("strip", wl0, 0.2))


def test_device_is_the_twin_of_the_ideal_lattice(soi220):
    """LatticeFilter with the couplings of the paper follows the z-transform, but for the couplers' dispersion.

    Over one free spectral range (400 GHz, 3.2 nm) kappa changes by 3.2e-3 um * 4.35 per um = 1.4 %, so an angle below
    1 rad by less than 0.007 from the centre, and an amplitude by less than the sum of three such angles.
    """
    tech = soi220.lossless()
    wl0 = 1.55
    lengths = tuple(coupler_length(tech, wl0, a) for a in MAXIMALLY_FLAT.angles)
    n, n_group = float(tech.n_eff("strip", wl0)), 4.1962
    order = round(n * 178.6 / wl0)
    dev = LatticeFilter(lengths, (order * wl0 / n, 2 * order * wl0 / n), (0.0, 0.0))
    detuning = np.linspace(-0.5, 0.5, 41)
    fsr = 299792.458 / (n_group * order * wl0 / n)
    wl = 299792.458 / (299792.458 / wl0 + detuning * fsr)
    s = dev.model(jnp.asarray(wl), tech)
    got = np.abs(np.asarray(s[("o1", "o4")])) ** 2
    ideal, _ = MAXIMALLY_FLAT.power(detuning)
    assert np.abs(np.sqrt(got) - np.sqrt(ideal)).max() < 3 * 0.007
