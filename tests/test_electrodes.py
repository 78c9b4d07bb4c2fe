"""Electrodes beside lithium niobate: the field between them, the shift of the index, published modulators."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ellipk

from picq import pdk
from picq.components import EoPhaseShifter, Straight
from picq.errors import NumericsError, SpecError
from picq.optics import phase_shifter
from picq.optics.electrodes import ElectrodeStack, metal_loss_db_cm, rf_field, shift
from picq.optics.material import MATERIALS
from picq.optics.modes import n_eff, solve
from picq.optics.profile import guide


def central(f, x, h):
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


@pytest.fixture(scope="module")
def electrodes():
    return ElectrodeStack.of(pdk.load("tfln600"), "rib")


field = jax.jit(rf_field, static_argnames="level")


def v_pi_l(stack, gap, width, level=4):
    """V_pi L of one arm, V cm."""
    mode = solve(stack.profile, 1.55, levels=(level,))
    return 1.55 / 2 / float(shift(mode, *field(stack, gap, width, level=level), stack.pockels_pm_v)) * 1e-4


def test_coplanar_strips(electrodes):
    """Thin strips in one medium, inner edges at a, outer ones at b: E = V/(2 a K(a/b)) midway (conformal mapping).

    1.5 %: strips of 20 nm instead of none, and walls at 40 um."""
    gap, width = 5.0, 15.0
    e = dict.fromkeys(("eps_box", "eps_cladding", "eps_substrate", "eps_air"), 4.0)
    stack = dataclasses.replace(electrodes, **e, eps_film=(4.0, 4.0), metal=0.02)
    grid, rf = field(stack, gap, width, level=4)
    level = float(stack.profile.y[3]) + stack.height + 0.01
    middle = float(jnp.interp(level, grid.centre[1][0], -rf[0]))
    a, b = gap / 2, gap / 2 + width
    assert middle == pytest.approx(1 / (2 * a * ellipk((a / b) ** 2)), rel=0.015)


def test_overlap_is_the_index_change_of_the_solver():
    """A uniform field changes both principal indices by -n³ r E/2; to second order in E, 1e-4."""
    r, no, ne = (30.8, 8.6), 2.2111, 2.1376
    make = lambda volt: guide(
        width=1.3, thickness=0.6, slab=0.3, sidewall_deg=77.0, cladding=1.444,
        core=(ne + ne**3 * r[0] * volt * 5e-7, no + no**3 * r[1] * volt * 5e-7, no + no**3 * r[1] * volt * 5e-7),
    )  # fmt: skip
    mode = solve(make(0.0), 1.55, levels=(2,))
    grid = mode.mesh
    slope = float(shift(mode, grid, -jnp.ones(grid.width.shape), r))
    moved = (n_eff(make(1.0), 1.55, levels=(2,)) - n_eff(make(-1.0), 1.55, levels=(2,))) / 2
    assert slope == pytest.approx(float(moved), rel=2e-3)  # e_z at centres, not on edges: 1e-3


def test_v_pi_l_of_published_modulators(electrodes):
    """Wang et al., Nature 562, 101 (2018): gold on the slab of a 600 nm film, gap 5 um, push-pull 2.2 to 2.8 V cm;
    twice that of one arm. r33 of films is uncertain by 10 %."""
    on_slab = dataclasses.replace(electrodes, height=-0.3)
    assert 0.9 * 4.4 < v_pi_l(on_slab, 5.0, 15.0) < 5.6


def test_v_pi_l_of_a_public_kit(electrodes):
    """Luxtelligence lnoi400, models.py: 2 x 3.3 V cm of one arm: 400 nm film, 200 nm slab, gap 5 um, metal 1 um above
    it."""
    profile = guide(
        width=1.0 + 0.2 / np.tan(np.deg2rad(77.0)), thickness=0.4, slab=0.2, sidewall_deg=77.0, cladding="SiO2",
        core=("LiNbO3_e", "LiNbO3_o", "LiNbO3_o"),
    )  # fmt: skip
    stack = dataclasses.replace(electrodes, profile=profile)
    assert v_pi_l(stack, 5.0, 15.0) == pytest.approx(6.6, rel=0.15)


def test_gradient_of_the_shift_to_the_gap(electrodes):
    mode = solve(electrodes.profile, 1.55, levels=(1,))
    f = jax.jit(lambda g: shift(mode, *rf_field(electrodes, g, 15.0, 1), (30.8, 8.6)) * 1e5)
    assert float(jax.grad(f)(5.0)) == pytest.approx(float(central(f, 5.0, 1e-3)), rel=1e-5)


def test_baked_electrodes_are_the_solved_ones(electrodes):
    """Between the nodes of the series; 1 %: levels (4,) against the extrapolated pair, 3e-3."""
    chip = pdk.load("tfln600")
    for gap, width in ((3.3, 8.0), (7.7, 31.0)):
        baked = 1.55 / 2 / float(phase_shifter.electro_optic(1.55, chip, "rib", gap, width)) * 1e-4
        assert baked == pytest.approx(v_pi_l(electrodes, gap, width), rel=0.01)


def test_metal_takes_nothing_at_the_smallest_gap(electrodes):
    mode = solve(electrodes.profile, 1.6, levels=(2,))
    loss = [float(metal_loss_db_cm(electrodes, mode, gap)) for gap in (2.0, 3.0, 4.0)]
    assert loss[1] < 1e-3 < 0.4  # dB/cm; the guide itself has 0.4
    assert loss[0] > loss[1] > loss[2]


def test_without_voltage_it_is_a_straight_and_with_it_the_phase_is_odd():
    chip, wl = pdk.load("tfln600"), jnp.linspace(1.54, 1.56, 3)
    device = EoPhaseShifter.on(chip, length=1010.0)
    amplitude = lambda volt: device.replace(voltage=volt).model(wl, chip)[("o1", "o2")]
    straight = Straight.on(chip, length=1010.0).model(wl, chip)[("o1", "o2")]
    np.testing.assert_allclose(amplitude(0.0), straight, atol=1e-12)
    turned = jnp.angle(amplitude(10.0) / straight)
    np.testing.assert_allclose(turned, -jnp.angle(amplitude(-10.0) / straight), rtol=1e-9)
    v_pi = 1.55 / (2 * phase_shifter.electro_optic(1.55, chip, "rib", device.gap, device.electrode_width) * 1000.0)
    assert float(turned[1]) == pytest.approx(float(jnp.pi * 10.0 / v_pi), rel=1e-9)


def test_electrodes_are_refused_where_there_are_none():
    with pytest.raises(SpecError, match="Pockels"):
        EoPhaseShifter.on(pdk.load("soi220"))
    with pytest.raises(SpecError, match="no electro-optic guide"):
        ElectrodeStack.of(pdk.load("soi220"), "rib")
    with pytest.raises(SpecError, match="knows no electrodes"):
        phase_shifter.electro_optic(1.55, pdk.load("soi220"), "rib", 5.0, 15.0)
    with pytest.raises(NumericsError, match="gap of the electrodes"):
        phase_shifter.electro_optic(1.55, pdk.load("tfln600"), "rib", 2.5, 15.0)
    assert MATERIALS["SiN"].pockels_pm_v == 0.0
