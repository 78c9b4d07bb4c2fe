"""Driven rings against closed forms, their own equations in plain numpy, cubics, and dense scans for steady states."""

from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.constants import c, hbar

from picq.errors import NumericsError, SpecError
from picq.optics.operating_point import (
    NITRIDE,
    SILICON,
    Cavity,
    Medium,
    bistability_w,
    check_operable,
    operate,
    opo_threshold_w,
    steady_states,
)

WL = 1.55e-6
OMEGA = 2 * np.pi * c / WL
LINEWIDTH = 2 * np.pi * 100e6
SIN = Cavity(OMEGA, LINEWIDTH / 2, LINEWIDTH / 2, LINEWIDTH, 2.1, 1e6 * c / 2.1 / 200e9, 1.0, 1.0, 0.5)  # 200 GHz
KAPPA = OMEGA / 1e5
SI = Cavity(OMEGA, KAPPA / 2, KAPPA / 2, KAPPA, 4.2, 2 * np.pi * 10, 304.0, 0.06, 5.0)  # R = 10 um
KERR = Medium(0.0, 0.0)
DRIVES = [(1e-4, None, 0.0), (1e-3, None, 0.0), (1e-3, 2 * KAPPA, None), (1e-3, None, -3 * KAPPA), (1e-2, -KAPPA, None)]


def own(cavity, medium, u):
    """Decay rate of the pump, what is added to the pairs', and the shifts (Kerr, carriers, heat), term by term."""
    v = c / cavity.n_g
    p = u * v / (1e-6 * cavity.length_um)
    i = p / (1e-12 * cavity.a_eff_um2)
    n = medium.lifetime_s * medium.tpa_m_w * i**2 / (2 * hbar * cavity.omega)
    tpa, fca = medium.tpa_m_w * i, 1.45e-21 * n
    index = -(8.8e-22 * (n / 1e6) + 8.5e-18 * (n / 1e6) ** 0.8)
    kelvin = 1e3 * cavity.thermal_k_mw * u * (medium.absorbed * cavity.kappa_i + v * (tpa + fca))
    kerr = -v * cavity.gamma_w_m * p  # phase per length times velocity
    moved = [-cavity.omega * dn / cavity.n_g for dn in (index, medium.dn_dt_k * kelvin)]
    return cavity.kappa + v * (tpa + fca), v * (2 * tpa + fca), np.array([kerr, *moved])


def test_nitride_threshold_and_shift():
    """Published with four digits; on resonance their product is kappa/2 whatever the ring, as n_p = 4 kappa_c P/(hbar w
    kappa²)."""
    shift = -float(operate(SIN, NITRIDE, 1e-3).pump.kerr) / (2e6 * np.pi)
    assert 1e3 * opo_threshold_w(SIN) == pytest.approx(3.457, abs=5e-4)
    assert shift == pytest.approx(14.46, abs=5e-3)
    product = 3.457 * 14.46  # of what is published, MHz
    assert product == pytest.approx(50.0, rel=5e-4 / 3.457 + 5e-3 / 14.46)
    for share in (0.1, 0.5, 0.9):
        ring = replace(SIN, kappa_c=share * SIN.kappa, kappa_i=(1 - share) * SIN.kappa)
        at = operate(ring, NITRIDE, opo_threshold_w(ring))
        assert -2 * float(at.pump.kerr) == pytest.approx(ring.kappa, rel=1e-12)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_threshold_is_that_of_the_textbook(share):
    ring = replace(SIN, kappa_c=share * SIN.kappa, kappa_i=(1 - share) * SIN.kappa)
    n2 = ring.gamma_w_m * c * 1e-12 * ring.a_eff_um2 / OMEGA
    volume = 1e-18 * ring.a_eff_um2 * ring.length_um
    q_c, q = OMEGA / ring.kappa_c, OMEGA / ring.kappa
    assert opo_threshold_w(ring) == pytest.approx(np.pi * ring.n_g**2 * volume * q_c / (4 * WL * n2 * q**3), rel=1e-12)


def test_silicon_losses_without_feedback():
    """XTPA 49.9/m and FCA 439/m at 1 mW, from 10 nW, where feedback is worth 3e-6; beta = 8e-12 m/W and 0.06 um² are
    what both numbers follow from at critical coupling. 46/m are 2 dB/cm."""
    medium, power = replace(SILICON, tpa_m_w=8e-12), 1e-8
    at = operate(SI, medium, power)
    pump, pair = float(at.kappa_pump - SI.kappa) / SI.v_g, float(at.added_pair) / SI.v_g
    xtpa, fca = 2 * (pair - pump) * 1e-3 / power, (2 * pump - pair) * (1e-3 / power) ** 2
    assert xtpa == pytest.approx(49.9, abs=0.05)
    assert fca == pytest.approx(439, abs=0.5)
    assert xtpa / fca == pytest.approx(0.11, abs=5e-3)
    assert np.sqrt(2 / 10 * np.log(10) * 100 / fca) == pytest.approx(0.32, abs=5e-3)


@pytest.mark.parametrize(("core", "ring", "picometres"), [(SILICON, SI, 68.6), (NITRIDE, SIN, 18.1)])
def test_heat_moves_the_wavelength(core, ring, picometres):
    at = operate(ring, replace(core, tpa_m_w=0.0), 1e-6)
    kelvin = 1e3 * ring.thermal_k_mw * core.absorbed * ring.kappa_i * float(at.u_j)
    assert -float(at.pump.heat) / OMEGA * WL / kelvin == pytest.approx(1e-12 * picometres, abs=0.05e-12)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_build_up_is_the_transfer_matrix_at_high_finesse(scale):
    """47.735 at t = .985, a = .99. Behind the coupler the power is 1 - ln a times its mean along the ring, and that is
    (sinh x/x)(sinh y/y)/(sinh z/z)² of ours, x = -ln t, y = -ln a, z = (x + y)/2: a difference of second order."""
    x, y = -scale * np.log(0.985), -scale * np.log(0.99)
    rate = 2 * SI.v_g / (1e-6 * SI.length_um)
    ring = replace(SI, kappa_c=rate * x, kappa_i=rate * y, kappa=rate * (x + y))
    got = float(operate(ring, KERR, 1e-3).build_up)
    assert scale * got == pytest.approx(47.735, abs=5e-4)
    behind = (1 - np.exp(-2 * x)) / (1 - np.exp(-x - y)) ** 2
    assert behind / got - 1 == pytest.approx(y, abs=(x + y) ** 2)
    assert behind * (1 - np.exp(-2 * y)) / (2 * y) == pytest.approx(got, rel=(x**2 + y**2) / 6)


@pytest.mark.parametrize(("power", "hot", "cold"), DRIVES)
def test_point_obeys_its_equations(power, hot, cold):
    at = operate(SI, SILICON, power, detuning_hot=hot, detuning_cold=cold)
    u = float(at.u_j)
    kappa, pair, shifts = own(SI, SILICON, u)
    away = cold - shifts.sum() if hot is None else hot
    assert u * (kappa**2 / 4 + away**2) == pytest.approx(SI.kappa_c * power, rel=1e-12)
    assert float(at.kappa_pump) == pytest.approx(kappa, rel=1e-12)
    assert float(at.added_pair) == pytest.approx(pair, rel=1e-10)  # left of kappa + added: a few digits less
    np.testing.assert_allclose(at.pump, shifts, rtol=1e-12)
    np.testing.assert_allclose(at.pair, shifts * [2, 1, 1], rtol=1e-12)
    assert float(at.p_circ_w) == pytest.approx(u * SI.v_g / (1e-6 * SI.length_um), rel=1e-12)
    assert float(at.build_up * power) == pytest.approx(float(at.p_circ_w), rel=1e-12)
    assert float(at.photons) == pytest.approx(u / (hbar * OMEGA), rel=1e-12)
    assert float(at.detuning_cold - at.detuning_hot) == pytest.approx(shifts.sum(), rel=1e-10)
    mismatch = 2 * (shifts @ [2, 1, 1]) - 2 * (away + shifts.sum())  # w_s + w_i less twice the laser
    assert float(at.mismatch) == pytest.approx(mismatch, rel=1e-10)
    assert at.pump.carriers > 0 > at.pump.heat


def test_little_power_is_a_lorentzian():
    """Shifts go with the power: at 1 pW 1e-9 of the linewidth, of which twice moves U; at none nothing moves."""
    detunings = KAPPA * np.array([-20.0, -0.5, 0.0, 1.0, 1e3])
    want = SI.kappa_c / (KAPPA**2 / 4 + detunings**2)
    for which in ("detuning_hot", "detuning_cold"):
        at = operate(SI, SILICON, 1e-12, **{which: detunings})
        np.testing.assert_allclose(at.u_j / 1e-12, want, rtol=1e-8)
        dark = operate(SI, SILICON, 0.0, **{which: detunings})
        np.testing.assert_array_equal(dark.u_j, 0.0)
        np.testing.assert_allclose(dark.build_up, want * SI.v_g / (1e-6 * SI.length_um), rtol=1e-12)
        slope = jax.vmap(jax.grad(lambda p, d, which=which: operate(SI, SILICON, p, **{which: d}).u_j), (None, 0))
        np.testing.assert_allclose(slope(0.0, jnp.asarray(detunings)), want, rtol=1e-12)


def test_pair_rate_against_power():
    """(gamma P_circ)²/kappa: square without absorption by light; with it, less and less."""

    def slope(medium, power):
        def rate(ln_p):
            at = operate(SI, medium, jnp.exp(ln_p))
            return 2 * jnp.log(at.p_circ_w) - jnp.log(SI.kappa + at.added_pair)

        return jax.vmap(jax.grad(rate))(jnp.log(power))

    power = jnp.logspace(-6, -2, 9)
    np.testing.assert_allclose(slope(replace(SILICON, tpa_m_w=0.0), power), 2.0, rtol=1e-12)
    slopes = slope(SILICON, power)
    assert np.all(np.diff(slopes) < 0)
    assert 1.9 < slopes[0] < 2
    assert np.all(np.diff(operate(SI, SILICON, power).build_up) < 0)
    cold = float(operate(SI, SILICON, 0.0).build_up)
    assert float(operate(SI, SILICON, power).build_up[0]) < cold


HEAT = replace(SILICON, tpa_m_w=0.0)


@pytest.mark.parametrize(("ring", "medium"), [(SIN, KERR), (replace(SI, gamma_w_m=0.0), HEAT), (SI, HEAT)])
def test_bistability_begins_at_its_closed_form(ring, medium):
    """F² = (2 d/3)(1 + d²/9) passes the inflection y = 2 d/3, the only place where three states can first be; they are
    there when d > sqrt 3. At that, F² = 8 sqrt 3/9."""
    least = float(bistability_w(ring, medium))
    share = np.array([0.5, 0.999, 1.001, 2.0])
    d = np.sqrt(3) * share
    power = least * (2 * d / 3) * (1 + d**2 / 9) / (8 * np.sqrt(3) / 9)
    np.testing.assert_array_equal(steady_states(ring, medium, power, -d * ring.kappa / 2), [1, 1, 3, 3])
    every = -np.linspace(0, 6, 601) * ring.kappa / 2
    assert int(steady_states(ring, medium, 0.999 * least, every).max()) == 1
    assert int(steady_states(ring, medium, 1.1 * least, every).max()) == 3
    assert int(steady_states(ring, medium, 10 * least, -every).max()) == 1  # to the blue


def test_states_of_a_kerr_ring_are_roots_of_its_cubic():
    """y³ - 2 d y² + (1 + d²) y = F², with F² = P/P_th. A root's error is the coefficients', up to 100 times 1e-16, over
    its distance from another; nearer than 1e-3 they are not compared."""
    rng = np.random.default_rng(7)
    d, f2 = rng.uniform(-3, 9, 400), 10 ** rng.uniform(-2, 2, 400)
    power, cold = f2 * opo_threshold_w(SIN), -d * SIN.kappa / 2
    y = -np.asarray(operate(SIN, KERR, power, detuning_cold=cold).pump.kerr) / (SIN.kappa / 2)
    count = np.asarray(steady_states(SIN, KERR, power, cold))
    compared = np.zeros(4, int)
    for one, number, at, driven in zip(y, count, d, f2, strict=True):
        roots = np.roots([1, -2 * at, 1 + at**2, -driven])
        if np.min(np.abs(np.subtract.outer(roots, roots)[~np.eye(3, dtype=bool)])) < 1e-3:
            continue
        real = np.sort(roots[np.abs(roots.imag) < 1e-6].real)
        assert number == len(real)
        assert one == pytest.approx(real[0], rel=1e-10)
        compared[number] += 1
    assert compared[1] > 100
    assert compared[3] > 30


@pytest.mark.parametrize("lifetime", [1e-10, 1e-9, 1e-8])
def test_no_state_of_silicon_is_missed(lifetime):
    """A scan of 2e5 energies: the lowest lies between neighbours, 1.0001 apart."""
    medium = replace(SILICON, lifetime_s=lifetime)
    power, cold = (a.ravel() for a in np.meshgrid([1e-4, 1e-3, 1e-2], KAPPA * np.array([-30, -8, -3, -1, 0.5, 4, 20])))
    count, u = steady_states(SI, medium, power, cold), operate(SI, medium, power, detuning_cold=cold).u_j
    scan = np.geomspace(1e-21, 1e-11, 200_001)
    kappa, _, shifts = own(SI, medium, scan)
    seen = set()
    for p, d, number, one in zip(power, cold, count, u, strict=True):
        above = scan * (kappa**2 / 4 + (d - shifts.sum(0)) ** 2) > SI.kappa_c * p
        crossings = np.flatnonzero(np.diff(above))
        assert number == len(crossings)
        assert scan[crossings[0]] <= one <= scan[crossings[0] + 1]
        seen.add(int(number))
    assert len(seen) > 1


OPEN = replace(SI, kappa=1.2 * SI.kappa)  # one more coupler, so that every rate may move alone


INPUTS, TREE = jax.tree.flatten((OPEN, SILICON, 1e-3, KAPPA))


@pytest.mark.parametrize("which", ["detuning_hot", "detuning_cold"])
def test_derivatives_by_every_input(which):
    """Relative steps of 1e-5: truncation 1e-10 times third derivatives of up to 1e3, rounding 1e-10."""

    def values(x):
        cavity, medium, power, detuning = jax.tree.unflatten(TREE, x)
        point = operate(cavity, medium, power, **{which: detuning})
        rates = jnp.stack(jax.tree.leaves(point)[4:]) / KAPPA
        return jnp.concatenate([rates, jnp.stack([jnp.log(point.u_j), point.build_up / 100])])

    assert len(INPUTS) == len(fields(Cavity)) + len(fields(Medium)) + 2
    many, backward, forward = jax.jit(jax.vmap(values)), jax.jit(jax.jacrev(values)), jax.jit(jax.jacfwd(values))
    for detuning in (0.4, -8.0):
        at = jnp.asarray([*INPUTS[:-1], detuning * KAPPA], float)
        steps = 1e-5 * jnp.diag(at)
        up, down = jnp.split(many(jnp.concatenate([at + steps, at - steps])), 2)
        got = backward(at) * at
        np.testing.assert_allclose(got, (up - down).T / 2e-5, atol=1e-6, rtol=1e-6)
        np.testing.assert_allclose(forward(at) * at, got, rtol=1e-9, atol=1e-12)
        assert np.all(np.any(np.abs(got) > 1e-6, axis=0))


def test_derivatives_without_two_photon_absorption_are_numbers():
    tree = jax.grad(lambda *a: operate(*a, detuning_cold=0.0).photons, argnums=(0, 1, 2))(SIN, NITRIDE, 1e-3)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(tree))


def test_compiled_and_mapped_is_one_by_one():
    power, cold = np.array([0.0, 1e-4, 1e-3, 1e-2]), KAPPA * np.array([0.0, -1.0, -3.0, -30.0])
    call = lambda p, d: operate(SI, SILICON, p, detuning_cold=d)
    at_once = call(power, cold)
    alone = [call(p, d) for p, d in zip(power, cold, strict=True)]
    for other in (
        jax.jit(call)(power, cold),
        jax.vmap(call)(power, cold),
        jax.tree.map(lambda *a: jnp.stack(a), *alone),
    ):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13), at_once, other)
    rings = replace(SI, a_eff_um2=np.array([[0.06], [0.1]]))
    assert {leaf.shape for leaf in jax.tree.leaves(operate(rings, SILICON, power))} == {(2, 4)}


BAD = [
    (name, value) for name in ("omega", "kappa_c", "kappa", "n_g", "length_um", "a_eff_um2") for value in (0.0, -1.0)
]
BAD += [(name, -1.0) for name in ("kappa_i", "gamma_w_m", "thermal_k_mw", "tpa_m_w", "fca_m2", "electrons", "holes")]
BAD += [("lifetime_s", -1.0), ("absorbed", 1.1), ("kappa_i", KAPPA), ("dn_dt_k", np.inf), ("kappa", np.nan)]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_what_is_no_ring_is_refused(name, value):
    change = lambda part, v: replace(part, **{name: v}) if name in vars(part) else part
    with pytest.raises(SpecError, match=r"out of bounds"):
        operate(change(SI, value), change(SILICON, value), 1e-3)
    with pytest.raises(SpecError, match=r"out of bounds"):
        bistability_w(change(SI, value), change(SILICON, value))


def test_what_is_no_ring_is_no_number_where_traced():
    parts = jax.tree.map(lambda leaf: np.full(len(BAD) + 1, leaf), (replace(SI, kappa_i=0.1 * KAPPA), SILICON))
    for case, (name, value) in enumerate(BAD):
        vars(parts[name not in vars(SI)])[name][case] = value
    at = jax.jit(lambda cavity, medium: operate(cavity, medium, 1e-3))(*parts)
    for leaf in (at.u_j, at.build_up, at.mismatch):
        np.testing.assert_array_equal(np.isnan(leaf), [True] * len(BAD) + [False])
    np.testing.assert_array_equal(jax.jit(steady_states)(*parts, 1e-3, 0.0), [0] * len(BAD) + [1])


@pytest.mark.parametrize(
    "drive", [{"power_w": -1e-3}, {"power_w": np.array([1e-3, np.nan])}, {"power_w": 1.0, "detuning_cold": np.inf}]
)
def test_what_is_no_drive_is_refused(drive):
    with pytest.raises(SpecError, match=r"out of bounds"):
        operate(SI, SILICON, **drive)


def test_linear_rings_have_no_thresholds():
    linear = replace(SIN, gamma_w_m=0.0)
    assert opo_threshold_w(linear) == bistability_w(linear, KERR) == np.inf
    check_operable(linear, KERR, 1e3, detuning_cold=0.0)


def test_one_detuning():
    with pytest.raises(SpecError, match="two detunings"):
        operate(SI, SILICON, 1e-3, detuning_hot=0.0, detuning_cold=0.0)
    with pytest.raises(SpecError, match="out of bounds"):
        opo_threshold_w(replace(SIN, kappa=-1.0))


def test_operable():
    threshold = opo_threshold_w(SIN)
    check_operable(SIN, NITRIDE, 0.999 * threshold)
    with pytest.raises(NumericsError, match=r"(?s)above OPO threshold.*3\.4602.*below 3\.45675 mW"):
        check_operable(SIN, NITRIDE, 1.001 * threshold)
    check_operable(SIN, NITRIDE, 1.001 * threshold, detuning_hot=SIN.kappa / 4)  # holds 4/5 of it
    check_operable(SI, SILICON, 5 * opo_threshold_w(SI))  # absorption by light outgrows the gain
    with pytest.raises(NumericsError, match=r"(?s)bistable region: 3 steady states.*lock"):
        check_operable(SI, SILICON, 1e-3, detuning_cold=-3 * KAPPA)
    check_operable(SI, SILICON, 1e-3, detuning_cold=-30 * KAPPA)
