"""Rings behind interferometers, and rings beside rings, against closed forms."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from picq.components import PhotonicMolecule, RingAllPass, RingCoupler, RingDualMzi
from picq.errors import SpecError
from picq.optics.coupler import half_ring
from picq.optics.resonator import C_UM_HZ, wavelength
from picq.optics.ring_pair import two_rings
from picq.sdict import dense, power, unitarity_error
from picq.technology import Process

WL = jnp.array([1.549, 1.55, 1.551])
DECAY = 8.95  # 1/um: Si 500 x 220 nm


@pytest.fixture(scope="module")
def lossless(soi220):
    return soi220.lossless()


@jax.jit
def biased(ring, tech, phases=(0.0, jnp.pi, 0.0)):
    return ring.biased(1.55, tech, phases)


@jax.jit
def past(ring, tech, omega):
    """Of a ring opened: (round trip, power from the ring to o2, to o3), shape [n] each."""
    s = ring.opened(wavelength(omega), tech)
    return s[("l2", "l1")], power(s, "l2", "o2"), power(s, "l2", "o3")


def lines(ring, tech):
    """Resonance at 1.55 um of a ring biased to it, and those beside: (wavelength, kappa, to o2, to o3), [3] each."""
    step = 1e9
    omega = np.full(3, 2 * np.pi * C_UM_HZ / 1.55)
    for _ in range(5):
        found = [np.asarray(past(ring, tech, omega + d)[0]) for d in (-step, 0.0, step)]
        delay = np.angle(found[2] / found[0]) / (2 * step)
        omega = omega - np.angle(found[1]) / delay if _ else omega + 2 * np.pi / delay * np.arange(-1, 2)
    turn, low, high = (np.asarray(v) for v in past(ring, tech, omega))
    assert np.angle(turn) == pytest.approx(0.0, abs=1e-6)
    return np.asarray(wavelength(omega)), -2 * np.log(np.abs(turn)) / delay, low, high


def apart(first, other):
    """Differences of phases, from -pi to pi."""
    return (np.asarray(first) - np.asarray(other) + np.pi) % (2 * np.pi) - np.pi


def test_two_couplers_take_what_interference_says(lossless):
    """1 - |t² - k e^(i theta)|² = 4 k (1 - k) cos²(theta/2), k of one coupler that stands alone."""
    ring = RingDualMzi.on(lossless, radius=10.0, length=3.0)
    k = float(power(RingCoupler(radius=10.0, gap=0.2, length=3.0).model(WL[1:2], lossless), "o1", "o4")[0])

    @jax.jit
    def seen(mw):
        heated = ring.replace(power_bus_mw=mw)
        return heated.phases(1.55, lossless)[0], power(heated.opened(WL[1:2], lossless), "l2", "o2")[0]

    for mw in (0.0, 4.0, 9.0):
        theta, taken = (float(v) for v in seen(mw))
        expected = 4 * k * (1 - k) * np.cos(theta / 2) ** 2
        assert expected == pytest.approx(1 - abs(1 - k - k * np.exp(1j * theta)) ** 2, rel=1e-12)
        assert taken == pytest.approx(expected, rel=1e-9)


def test_each_bus_serves_every_second_resonance(soi220):
    """At the pump's resonance the lower bus takes 4 k (1 - k) and the upper one nothing; one free spectral range away
    they have changed places. What is left: theta there is pi only up to what bends change in the group index, and the
    bus, which is longer, loses more than the ring's side."""
    ring = biased(RingDualMzi.on(soi220, radius=10.0), soi220)
    wl, _, low, high = lines(ring, soi220)
    assert wl[1] == pytest.approx(1.55, abs=1e-9)
    k = power(ring._coupler(ring.gap, soi220).model(jnp.asarray(wl), soi220), "o1", "o4")
    low, high = (np.asarray(v / (4 * k * (1 - k))) for v in (low, high))
    assert [low[1], high[0], high[2]] == pytest.approx([1.0] * 3, abs=0.02)
    assert max(high[1], low[0], low[2]) < 1e-4


def test_linewidths_of_pump_and_pairs_are_set_by_the_gaps(soi220):
    """rho = kappa_p/kappa from 1 beyond 3.667, where a purity of 99 % begins."""
    rho = []
    for gap in (0.2, 0.24, 0.3):
        ring = RingDualMzi.on(soi220, radius=10.0, length=8.0, gap_drop=gap)
        _, kappa, _, _ = lines(biased(ring, soi220), soi220)
        assert kappa[0] == pytest.approx(kappa[2], rel=0.1)  # signal and idler
        rho.append(kappa[1] / kappa[[0, 2]].mean())
    assert rho[0] == pytest.approx(1.0, abs=0.02)
    assert rho[0] < rho[1] < rho[2]
    assert rho[2] > 3.667


@pytest.mark.slow
def test_trimming_restores_three_phases(soi220):
    """On a chip all of whose places differ in width."""
    wanted = (0.3, 2.5, -1.0)
    ring = biased(RingDualMzi.on(soi220, radius=10.0), soi220, wanted)
    offsets = jnp.array([1.0, -0.5, 0.3, 0.8, -1.2, 0.6, -0.4, 0.9, -0.7, 0.2])
    chip = soi220.with_mismatch(jax.tree.map(lambda v: v + jnp.zeros(10), Process(width_nm=offsets)))

    @jax.jit
    def phases(ring, chip):
        """As designed, on the chip, and after trimming."""
        trimmed = ring.rebiased(1.55, chip, soi220)
        return ring.phases(1.55, soi220), ring.phases(1.55, chip), trimmed.phases(1.55, chip)

    designed, made, trimmed = phases(ring, chip)
    np.testing.assert_allclose(designed, wanted, atol=1e-9)
    assert np.abs(apart(made, wanted)).min() > 0.1
    np.testing.assert_allclose(trimmed, wanted, atol=1e-9)


def test_half_a_round_trip_is_the_default(soi220):
    ring = RingDualMzi.on(soi220, radius=10.0)
    half = ring.round_trip_um(soi220)[0] / 2
    assert half == pytest.approx(np.pi * 10 + 4 * 10 + 2 * 2.0 + 2 * 10 + 60.0)
    paths = ring.paths(soi220)
    bus = paths["bus/arm"] + paths["bus/first/ring"] / 2 + paths["bus/second/ring"] / 2
    side = paths["bus/side"] + paths["bus/first/bus"] / 2 + paths["bus/second/bus"] / 2
    assert bus - side == pytest.approx(half)
    total = sum(v for k, v in paths.items() if k in ("right", "left") or k.endswith(("/bus", "/side")))
    assert total == pytest.approx(2 * half)
    with pytest.raises(SpecError, match=r"allowed: above 24\.6"):
        RingDualMzi.on(soi220, radius=10.0, delta_length=30.0).replace(delta_length=24.0).paths(soi220)


def test_slope_by_the_length_of_the_bus(soi220):
    """Not among the devices' own cases, where it has no value."""
    ring = RingDualMzi.on(soi220, radius=10.0)
    into = lambda delta: power(ring.replace(delta_length=delta).opened(WL, soi220), "o1", "o3")[1]
    both = jax.jit(jax.value_and_grad(into))
    at, h = 120.0, 1e-4
    below2, below, above, above2 = (float(both(at + k * h)[0]) for k in (-2, -1, 1, 2))
    numeric = (8 * (above - below) - (above2 - below2)) / (12 * h)
    assert float(both(at)[1]) == pytest.approx(numeric, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("radii", [(20.0, 17.5), (5.0, 40.0), (300.0, 300.0)])
def test_facing_rings_against_quadrature(radii):
    """Along the height s above the line through both centres, up to the lower ring."""
    places = two_rings(0.2, 0.5, radii[0], radii[1], 1.2)
    got = float(jnp.exp(-DECAY * (places.gaps - 0.2)) @ places.weights)

    def density(s):
        cosines = np.sqrt(1 - (s / np.array(radii)) ** 2)
        return np.exp(-DECAY * ((np.array(radii) + 0.25) @ (1 - cosines))) / np.sqrt(np.prod(cosines))

    top = min(radii) * (1 - 1e-9)
    ends = [0.0, 0.2 * top, top]
    whole = 2 * sum(quad(density, a, b, epsabs=1e-14)[0] for a, b in pairwise(ends))
    assert got == pytest.approx(whole, rel=1e-6)


def test_a_ring_beside_a_huge_one_is_a_ring_beside_a_bus():
    ring, bus = two_rings(0.2, 0.5, 10.0, 1e7, 1.2), half_ring(0.2, 0.5, 10.0, 1.2)
    integrals = [float(jnp.exp(-DECAY * (p.gaps - 0.2)) @ p.weights) for p in (ring, bus)]
    assert integrals[0] == pytest.approx(integrals[1], rel=1e-6)


def test_equal_rings_couple_by_less_than_a_ring_and_a_bus():
    """Gaussians: the walls part twice as fast, so the integral is smaller by sqrt(2), up to 1/(decay R)."""
    pair, bus = two_rings(0.2, 0.5, 300.0, 300.0, 1.2), half_ring(0.2, 0.5, 300.0, 1.2)
    ratio = [float(jnp.exp(-DECAY * (p.gaps - 0.2)) @ p.weights) for p in (pair, bus)]
    assert ratio[1] / ratio[0] == pytest.approx(np.sqrt(2), rel=1e-3)


def test_round_trips_of_equal_rings_split_by_the_coupling(lossless):
    """Eigenvalues exp(i (theta ± phi)), sin phi the amplitude from one ring to the other; no bus within reach."""
    molecule = PhotonicMolecule(radius=20.0, radius_aux=20.0, gap=2.0, gap_rings=0.2)
    s = molecule.opened(WL, lossless)
    around = np.asarray(dense(s, ("l1", "l2", "l3", "l4")))[:, [1, 3]][:, :, [0, 2]]
    assert float(jnp.max(jnp.abs(s[("l2", "l1")] - s[("l4", "l3")]))) < 1e-3
    eigen = np.linalg.eigvals(around)
    apart = np.abs(np.angle(eigen[:, 0] / eigen[:, 1]))
    phi = np.arcsin(np.abs(molecule._pair(WL, lossless)[2]))
    np.testing.assert_allclose(apart, 2 * phi, rtol=1e-3)


def test_resonances_split_where_both_rings_have_one(soi220):
    """Dips of equal rings lie phi/pi free spectral ranges apart; with the other ring half a range off there is one."""
    molecule = PhotonicMolecule.on(soi220, radius=20.0, radius_aux=20.0, gap=0.3, gap_rings=0.2)
    turn = float(molecule.phase_per_mw(1.55, soi220)[1])
    wl = jnp.linspace(1.5455, 1.5545, 9001)  # nearly two free spectral ranges
    through = jax.jit(lambda d: power(d.model(wl, soi220), "o1", "o2"))
    dips = []
    for mw in (np.pi / turn, 0.0):
        t = np.asarray(through(molecule.replace(power_aux_mw=mw)))
        # the other ring's own resonances leave dips of a hundredth
        dips.append(np.asarray(wl)[np.flatnonzero((t[1:-1] < t[:-2]) & (t[1:-1] < t[2:]) & (t[1:-1] < 0.5)) + 1])
    alone, split = dips
    phi = float(np.arcsin(np.abs(molecule._pair(jnp.array([1.55]), soi220)[2][0])))
    near = [split[np.argsort(abs(split - at))[:2]] for at in alone]  # both dips of every resonance
    assert len(alone) == 2
    for pair in near:
        assert np.ptp(pair) / np.ptp(alone) == pytest.approx(phi / np.pi, rel=0.02)


def test_without_the_other_ring_it_is_a_ring_at_a_bus(soi220):
    for mw in (0.0, 3.0):
        molecule = PhotonicMolecule(radius=20.0, radius_aux=17.5, gap=0.2, gap_rings=4.0, power_mw=mw)
        ring = RingAllPass(radius=20.0, gap=0.2, power_mw=mw)
        s, alone = molecule.model(WL, soi220), ring.model(WL, soi220)
        assert set(s) == set(alone)
        np.testing.assert_allclose(s[("o1", "o2")], alone[("o1", "o2")], atol=1e-12)


def test_molecule_conserves_energy_and_is_trimmed(soi220, lossless):
    molecule = PhotonicMolecule.on(soi220, power_mw=2.0, power_aux_mw=5.0, splitting_mhz=200.0)
    assert unitarity_error(molecule.model(WL, lossless)) < 1e-12
    offsets = jnp.array([1.0, -0.7, 0.4])
    chip = soi220.with_mismatch(jax.tree.map(lambda v: v + jnp.zeros(3), Process(width_nm=offsets)))
    trimmed = molecule.rebiased(1.55, chip, soi220)
    for pair in (("l2", "l1"), ("l4", "l3")):
        wanted, got = molecule.opened(WL, soi220)[pair][1], trimmed.opened(WL, chip)[pair][1]
        assert float(jnp.abs(jnp.angle(got / wanted))) < 1e-9
