"""Rings as transfer matrices against closed forms; resonances and dispersion against searches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from picq import pdk
from picq.circuit import Circuit
from picq.components import RingAddDrop, RingAllPass, RingCoupler, Straight
from picq.cut import opened
from picq.errors import SpecError
from picq.optics import resonator
from picq.optics.resonator import C_UM_HZ, closed, dispersion, emission, fields, loops, resonances, wavelength
from picq.sdict import power, unitarity_error

WL = jnp.linspace(1.5499, 1.5501, 41)
T, A = 0.985, 0.99


def invented(t, a, phase):
    """An all-pass ring by its numbers, cut at the end of its arc."""
    r = jnp.sqrt(1 - t**2)
    turn = a * jnp.exp(1j * phase)
    half = {
        ("o1", "o2"): t + 0j * phase,
        ("o1", "l1"): 1j * r * turn,
        ("l2", "o2"): 1j * r + 0j * phase,
        ("l2", "l1"): t * turn,
    }
    return {**half, **{(b, a): s for (a, b), s in half.items()}}


def lines(ring, tech, orders=(0,)):
    """Resonances of a ring near 193.4 THz, compiled."""
    return jax.jit(lambda: resonances(lambda w: ring.round_trip(w, tech), 2 * np.pi * 193.4e12, orders))()


def split(s):
    names = ("o1", "o2", "l1", "l2")
    rows = [names.index(p) for p in ("o1", "o2", "l2", "l1")]
    return loops(resonator.dense(s, names)[..., rows, :], 1)


def test_all_pass_ring_against_its_closed_forms():
    """Yariv 2000: transmission and enhancement; the field behind the cut is r a e^(i phi) times the coupler's."""
    phase = jnp.linspace(-0.5, 0.5, 101)
    opened_ring = invented(T, A, phase)
    s = closed(opened_ring, ("o1", "o2"), (("l1", "l2"),))
    turn = A * jnp.exp(1j * phase)
    np.testing.assert_allclose(s[("o1", "o2")], (T - turn) / (1 - T * turn), rtol=0, atol=1e-14)
    assert set(s) == {("o1", "o2"), ("o2", "o1")}
    parts = split(opened_ring)
    inside = fields(parts)[:, 0, 0]
    np.testing.assert_allclose(jnp.abs(inside) ** 2, (1 - T**2) * A**2 / jnp.abs(1 - T * turn) ** 2, rtol=1e-13)
    # reciprocity: the way out of light that goes on from the cut is the field of light that comes in the other way
    backwards = fields(parts)[:, 1, 1]
    np.testing.assert_allclose(emission(parts)[:, 0, 1], backwards, rtol=1e-13)


def test_build_up_in_both_pictures():
    """t = .985, a = .99: 48.217 by transfer matrices, 47.735 by coupled modes; they meet as 1/finesse, since light
    is strongest behind the coupler (the mean along the ring meets as 1/finesse²)."""
    gap = []
    for scale in (1.0, 0.25):
        t, a = T**scale, A**scale
        exact = (1 - t**2) / (1 - t * a) ** 2
        limit = resonator.build_up(-2 * np.log(t), -2 * np.log(t * a), 1.0)
        gap.append(exact / float(limit) - 1)
        if scale == 1:
            assert (exact, float(limit)) == pytest.approx((48.217, 47.735), abs=5e-4)
    assert gap[0] / gap[1] == pytest.approx(4, rel=0.05)


def test_resonances_against_a_search():
    """Newton on a round trip with dispersion against a bracketing search on a fine grid; widths against half maxima."""
    delay, bend = 5e-12, 2e-28

    def turn(omega):
        x = omega - 1.2e15
        return T * A * jnp.exp(1j * (0.7 + delay * x + bend * x**2))

    found = jax.jit(lambda: resonances(turn, 1.2e15, (-2, 0, 3)))()
    for k, order in enumerate((-2, 0, 3)):
        phase = float(jnp.angle(turn(found.omega)[k]))
        assert phase == pytest.approx(0, abs=1e-9)
        x = float(found.omega[k]) - 1.2e15
        assert 0.7 + delay * x + bend * x**2 == pytest.approx(2 * np.pi * order, abs=1e-6)
        assert float(found.delay_s[k]) == pytest.approx(delay + 2 * bend * x, rel=1e-9)
    half = float(found.omega[1]) + np.array([-0.5, 0.5]) * float(found.kappa[1])
    enhanced = 1 / np.abs(1 - np.asarray(turn(jnp.asarray([half[0], float(found.omega[1]), half[1]])))) ** 2
    assert enhanced[[0, 2]] / enhanced[1] == pytest.approx(0.5, abs=(np.pi / float(found.finesse[1])) ** 2)
    assert float(found.q[1]) == pytest.approx(float(found.omega[1] / found.kappa[1]))
    slope = jax.jit(jax.grad(lambda p: resonances(lambda w: turn(w) * jnp.exp(1j * p), 1.2e15).omega[0]))(0.0)
    assert float(slope) == pytest.approx(-1 / float(found.delay_s[1]), rel=1e-9)


def test_a_ring_of_a_technology_has_the_resonances_of_its_path():
    """omega n_eff L/c + bends + coupler: D1 is c/(n_g L) of the bent guide and D2 its dispersion, -v_g D1² beta_2."""
    tech = pdk.load("sin800").lossless()
    ring = RingAllPass.on(tech, radius=114.0, gap=0.8)
    found = lines(ring, tech, range(-3, 4))
    grid = dispersion(found.omega, range(-3, 4))
    length, guide = ring.round_trip_um(tech)[0], "strip"

    def wave_number(omega):
        return tech.n_eff(guide, wavelength(omega)) * omega / C_UM_HZ

    at = found.omega[3]
    beta1 = jax.grad(wave_number)(at)
    beta2 = jax.grad(jax.grad(wave_number))(at)
    # the bend's rise of the index adds one constant phase per wave number, the coupler's shift less than 1e-4 of it
    rise = tech.bend(guide).index_rise(1 / 114.0) / C_UM_HZ
    assert float(grid.d1) == pytest.approx(float(2 * np.pi / (length * (beta1 + rise))), rel=1e-4)
    assert float(grid.d2) == pytest.approx(float(-(grid.d1**2) * beta2 / beta1), rel=0.02)
    assert float(grid.integrated[3]) == 0
    assert np.asarray(grid.integrated) == pytest.approx(
        np.asarray(grid.d2) / 2 * np.arange(-3, 4) ** 2, rel=0.05, abs=1e4
    )
    assert not np.isnan(found.kappa).any()


def test_escape_and_extinction_of_a_ring(soi220):
    """Through light on resonance, (kappa_i - kappa_c)²/kappa² + O(1/finesse)."""
    ring = RingAllPass.on(soi220, radius=20.0, gap=0.24)
    lossless = soi220.lossless()
    found = lines(ring, soi220)
    coupled = -2 * jnp.log(jnp.abs(ring.round_trip(found.omega, lossless)))
    inner = found.loss - coupled
    through = power(ring.model(wavelength(found.omega), soi220), "o1", "o2")
    assert float(through[0]) == pytest.approx(
        float((inner - coupled)[0] ** 2 / found.loss[0] ** 2), rel=4 * np.pi / float(found.finesse[0])
    )


def test_add_drop_against_its_closed_form(soi220):
    """Drop on resonance, a (1 - t1²)(1 - t2²)/(1 - t1 t2 a)², of couplers that stand alone."""
    ring = RingAddDrop.on(soi220, radius=15.0, gap=0.2, gap_drop=0.24)
    at = lines(ring, soi220)
    wl = wavelength(at.omega)
    lossless = soi220.lossless()
    t1, t2 = (
        jnp.abs(RingCoupler(radius=15.0, gap=g).model(wl, lossless)[("o1", "o2")]) for g in (ring.gap, ring.gap_drop)
    )
    a = jnp.exp(-at.loss / 2) / (t1 * t2)
    buses = 10 ** (-0.1 * soi220.cross_section("strip").loss_db_cm * 1e-4 * 30.0)  # half of each
    wanted = buses * a * (1 - t1**2) * (1 - t2**2) / (1 - t1 * t2 * a) ** 2
    got = power(ring.model(wl, soi220), "o1", "o3")
    assert float(got[0]) == pytest.approx(float(wanted[0]), rel=1e-6)


def test_closing_is_what_a_circuit_does(soi220):
    """The ring as a circuit of a coupler and two arms, closed by the circuit's own elimination."""
    ring = RingAllPass.on(soi220, radius=15.0, gap=0.22, length=4.0)
    got = ring.model(WL, soi220)[("o1", "o2")]

    cut = ring.opened(WL, soi220)

    class Parts(Straight):
        """A stand-in with four ports: the opened ring."""

        name = "parts"
        ports = ("o1", "o2", "l1", "l2")

        def model(self, wl, tech):
            return cut

    bridge = Straight(length=0.01)
    unit = bridge.model(WL, soi220)[("o1", "o2")]
    chip = Circuit({"p": Parts(), "b": bridge}, (("p,l1", "b,o1"), ("b,o2", "p,l2")), (("i", "p,o1"), ("o", "p,o2")))
    longer = {pair: s * (unit if pair in (("o1", "l1"), ("l2", "l1")) else 1) for pair, s in cut.items()}
    wanted = closed(longer, ("o1", "o2"), ring.cuts)[("o1", "o2")]
    np.testing.assert_allclose(chip.model(WL, soi220)[("i", "o")], wanted, atol=1e-12)
    assert np.abs(wanted - got).max() > 1e-3


def test_backscattering_splits_resonances(soi220):
    """By the given frequency, measured between the two minima; no power is lost to it."""
    tech = soi220.lossless()
    ring = RingAddDrop.on(tech, radius=20.0, gap=0.3, gap_drop=0.3, splitting_mhz=30e3)
    at = lines(ring, tech)
    omega = at.omega[0] + 2 * np.pi * 1e9 * jnp.linspace(-40, 40, 4001)
    s = ring.model(wavelength(omega), tech)
    assert unitarity_error(s) < 1e-12
    inside = np.asarray(power(s, "o1", "o3"))
    peaks = np.flatnonzero((inside[1:-1] > inside[2:]) & (inside[1:-1] > inside[:-2])) + 1
    assert len(peaks) == 2
    apart = float(omega[peaks[1]] - omega[peaks[0]]) / 2e6 / np.pi
    width = float(at.kappa[0]) / 2e6 / np.pi
    # two Lorentzians of that width, d apart, have peaks sqrt(d² - w²) apart when they add up coherently
    assert apart == pytest.approx(np.sqrt(30e3**2 - width**2), rel=0.02)
    assert np.abs(np.asarray(s[("o1", "o1")])).max() > 0.1


def test_only_resonators_are_opened(soi220):
    ring = RingAllPass.on(soi220, radius=15.0)
    chip = Circuit({"r": ring, "s": Straight.on(soi220)}, (("r,o2", "s,o1"),), (("i", "r,o1"), ("o", "s,o2")))
    cut, cuts = opened(chip, "r")
    assert cuts == (("r.l1", "r.l2"),)
    assert set(cut.ports) == {"i", "o", "r.l1", "r.l2"}
    for name in ("s", "nothing"):
        with pytest.raises(SpecError, match=f"'{name}' is no resonator"):
            opened(chip, name)
