"""Guides that part: integrals of the coupling against quadrature and closed forms, devices against published FDTD."""

from itertools import pairwise
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from picq.components import Coupler, RingCoupler
from picq.optics.coupler import half_ring, pairing, reach, s_bend, s_bends
from picq.sdict import excess, unitarity_error

WL = jnp.linspace(1.53, 1.57, 3)
DECAY, START = 8.95, 0.0413  # 1/um, rad/um at a gap of 0.2 um: Si 500 x 220 nm


def integral(places):
    """∫ kappa ds of a coupling that falls exponentially."""
    return float(START * jnp.exp(-DECAY * (places.gaps - 0.2)) @ places.weights)


@pytest.mark.parametrize("radius", [5.0, 40.0, 500.0])
def test_s_bends_against_quadrature(radius):
    offset = 1.6
    angle, length, extent = (float(v) for v in s_bend(offset, radius))
    assert (length, extent) == pytest.approx((2 * radius * angle, 2 * radius * np.sin(angle)))
    gap = lambda s: 0.2 + 2 * radius * (1 - np.cos(s / radius))
    near = quad(lambda s: START * np.exp(-DECAY * (gap(s) - 0.2)), 0, radius * angle, epsabs=1e-14)[0]
    far = quad(lambda s: START * np.exp(-DECAY * (2 * offset + 0.2 - gap(s))), 0, radius * angle, epsabs=1e-14)[0]
    assert integral(s_bends(0.2, offset, radius)) == pytest.approx(near + far, rel=1e-6)


@pytest.mark.parametrize("radius", [5.0, 18.0, 200.0])
def test_rings_against_quadrature(radius):
    """Stopped where kappa is exp(-8.95 * 2.4) = 5e-10 of its start: 1e-6 of the integral."""
    density = lambda t: START * np.exp(-DECAY * (radius + 0.25) * (1 - np.cos(t))) * radius * np.sqrt(np.cos(t))
    ends = [-np.pi / 2, -0.2, 0, 0.2, np.pi / 2]
    whole = sum(quad(density, a, b, epsabs=1e-14)[0] for a, b in pairwise(ends))
    assert integral(half_ring(0.2, 0.5, radius, 1.2)) == pytest.approx(whole, rel=1e-6)


def test_a_large_ring_is_a_gaussian():
    """kappa sqrt(2 pi R/decay), with a relative error of the order of 1/(decay R) = 1e-4."""
    got = integral(half_ring(0.2, 0.5, 1000.0, 1.2))
    assert got == pytest.approx(START * np.sqrt(2 * np.pi * 1000.0 / DECAY), rel=5e-4)


def test_a_wide_gap_does_not_couple():
    assert integral(half_ring(3.0, 0.5, 10.0, 4.0)) < 1e-10


def invented(width_nm=0.0):
    """A technology with closed forms, solved between 0.1 and 0.8 um of gap as fabricated."""
    made = lambda gap: gap - 1e-3 * width_nm
    wave = lambda wl: 1 + 4 * (jnp.asarray(wl) - 1.55)
    fallen = lambda gap: jnp.where(made(gap) < 0.8 + 1e-9, START * jnp.exp(-DECAY * (made(gap) - 0.2)), jnp.nan)
    kappa = lambda xs, wl, gap: wave(wl) * fallen(gap)
    return SimpleNamespace(
        coupler=lambda xs: SimpleNamespace(splitting=SimpleNamespace(ranges=SimpleNamespace(gap=(0.1, 0.8)))),
        process=SimpleNamespace(gap_nm=0.0, width_nm=width_nm),
        kappa=kappa,
        check_gap=lambda xs, wl, gap: None,
        pair_shift=lambda xs, wl, gap: kappa(xs, wl, gap) ** 2 / 10,
    )


@pytest.mark.parametrize("width_nm", [0.0, 10.0, -10.0])
def test_beyond_the_solved_gaps_coupling_goes_on_falling(width_nm):
    pair = pairing(invented(width_nm), "strip", WL)
    gaps = jnp.array([0.2, 0.79, 0.81, 1.2, 3.0])
    expected = (1 + 4 * (WL[:, None] - 1.55)) * START * jnp.exp(-DECAY * (gaps - 1e-3 * width_nm - 0.2))
    np.testing.assert_allclose(pair.kappa(gaps), expected, rtol=1e-9)
    solved = gaps < reach(invented(width_nm), "strip")
    np.testing.assert_allclose(pair.shift(gaps), np.where(solved, expected**2 / 10, 0.0), rtol=1e-9)


def test_published_straight_coupling(soi220):
    """SiEPIC's FDTD of the 200 nm coupler fits kappa 0.04010 /um; the supermodes' is 3 % higher."""
    assert float(soi220.kappa("strip", 1.55, 0.2)) == pytest.approx(0.04010, rel=0.04)


def test_published_3_db_length(soi220):
    """17.54 um straight between arcs of 5 um radius split equally in SiEPIC's FDTD: phi = pi/4. The arcs part so far
    that their end (at an offset of 2 um here) does not count. 2 %: less than kappa's 3 %, because the bends' phase,
    fitted to the same data, makes up for a part of it."""
    pair = pairing(soi220, "strip", jnp.array([1.55]))
    factor = soi220.cross_section("strip").bend.coupling_factor(1 / 5.0)
    gaps, weights = s_bends(0.2, 2.0, 5.0)
    phi = 17.54 * soi220.kappa("strip", 1.55, 0.2) + 2 * factor**2 * (pair.kappa(gaps) @ weights)[0]
    assert float(phi) == pytest.approx(np.pi / 4, rel=0.02)


FDTD = [  # gap, radius, length: SiEPIC's FDTD of half rings, cross power at 1.55 um; tolerance
    (0.20, 18.0, 0.0, 0.0219, 0.03),
    (0.20, 10.0, 4.0, 0.0741, 0.06),
    (0.15, 10.0, 0.0, 0.0299, 0.06),
    (0.10, 10.0, 0.0, 0.0761, 0.06),
    (0.10, 5.0, 0.0, 0.0414, 0.10),
]


@pytest.mark.parametrize(("gap", "radius", "length", "power", "tolerance"), FDTD)
def test_published_half_rings(soi220, gap, radius, length, power, tolerance):
    """At R = 18 um the model is 2.4 % high and at 10 um 2 to 3.6 %, where the same FDTD has two parallel straights 6 %
    low (kappa 3 %), so an agreement below that says nothing; with F = 1 the error would be -14 % at 5 um."""
    ring = RingCoupler(gap=gap, radius=radius, length=length)
    s = ring.model(jnp.array([1.55]), soi220.lossless())
    assert float(jnp.abs(s["o1", "o4"][0]) ** 2) == pytest.approx(power, rel=tolerance)


def test_coupler_transfers_sin_squared(soi220):
    """A longer straight adds kappa L to the angle, and n_eff + the pair's shift to the phase."""
    short, long = (Coupler.on(soi220, length=v).amplitudes(WL, soi220.lossless()) for v in (0.0, 7.0))
    angle = lambda pair: jnp.arctan2(jnp.abs(pair[1]), jnp.abs(pair[0]))
    np.testing.assert_allclose(angle(long) - angle(short), soi220.kappa("strip", WL, 0.2) * 7.0, rtol=1e-9)
    mean = lambda pair: pair[0] - 1j * pair[1]  # arm exp(-i phi) … with i sin: arm (cos + sin), phase of the arm
    index = soi220.n_eff("strip", WL) + soi220.pair_shift("strip", WL, 0.2)
    turn = jnp.exp(2j * jnp.pi * index * 7.0 / WL)
    np.testing.assert_allclose(jnp.angle(mean(long) / mean(short) / turn), 0.0, atol=1e-9)


def test_coupler_bends_lose_what_their_junctions_lose(soi220):
    """1 + 4 + 1 mismatches an S-bend; radiation at 10 um is below double precision."""
    coupler = Coupler.on(soi220)
    _, radius = coupler._bend(soi220)
    xs = soi220.cross_section("strip")
    through, cross = coupler.amplitudes(WL, soi220)
    _, bend_length, _ = s_bend(*coupler._bend(soi220))
    loss = -10 * jnp.log10(jnp.abs(through) ** 2 + jnp.abs(cross) ** 2)
    expected = 12 * xs.bend.mismatch_db(1 / radius) + 1e-4 * xs.loss_db_cm * (coupler.length + 2 * bend_length)
    np.testing.assert_allclose(loss, expected, rtol=1e-9)


@pytest.mark.parametrize("length", [0.0, 3.0])
def test_ring_coupler_conserves_power(soi220, length):
    ring = RingCoupler.on(soi220, length=length)
    assert unitarity_error(ring.model(WL, soi220.lossless())) < 1e-12
    assert excess(ring.model(WL, soi220)) < 0.0


def test_far_from_the_bus_bus_and_ring_are_guides(soi220):
    """Without coupling: phases of a straight, and of an arc whose index is c/R² higher. The table of the supermodes'
    mean index is good to 3e-5, which over some 4 um beside each other is 5e-4 rad."""
    ring, tech = RingCoupler(gap=1.2, radius=10.0), soi220.lossless()
    s, n = ring.model(WL, tech), tech.n_eff("strip", WL)
    rise = tech.cross_section("strip").bend.index_rise(0.1)
    expected = {("o1", "o2"): n * 20.0, ("o3", "o4"): (n + rise) * np.pi * 10.0}
    for ports, path in expected.items():
        np.testing.assert_allclose(s[ports] / jnp.exp(2j * jnp.pi * path / WL), 1.0, atol=5e-4)
    assert float(jnp.max(jnp.abs(s["o1", "o4"]))) < 1e-2


def test_ring_coupler_gradient(soi220):
    @jax.jit
    def power(values):
        gap, radius = values
        return jnp.abs(RingCoupler(gap=gap, radius=radius).model(WL, soi220)["o1", "o4"][1]) ** 2

    at, h = jnp.array([0.25, 11.0]), 1e-4
    for k, grad in enumerate(jax.grad(power)(at)):
        step = h * jnp.eye(2)[k]
        numeric = (8 * (power(at + step) - power(at - step)) - (power(at + 2 * step) - power(at - 2 * step))) / (12 * h)
        assert float(grad) == pytest.approx(float(numeric), rel=1e-6)
