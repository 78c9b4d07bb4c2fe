"""Sources of a circuit: transfer matrices against coupled modes, closed forms and hand-built states."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from picq import pdk
from picq.circuit import Circuit
from picq.components import RingAddDrop, RingAllPass, Straight
from picq.errors import SpecError
from picq.optics.operating_point import NITRIDE, operate
from picq.optics.resonator import fields
from picq.quantum import sfwm
from picq.quantum.figures import Detection, Drive, figures
from picq.quantum.pump import Gaussian
from picq.quantum.schmidt import broadband_purity, purity
from picq.quantum.source import PairSource

TECH = pdk.load("sin800")
OMEGA = 2 * np.pi * 193.4e12
RADIUS = 114.0


def alone(gap=0.5, tech=TECH, **values):
    """An all-pass ring with nothing around it."""
    ring = RingAllPass.on(tech, radius=RADIUS).replace(gap=gap, **values)
    chip = Circuit({"ring": ring}, (), (("in", "ring,o1"), ("out", "ring,o2")))
    return PairSource(chip, tech, "ring", "in", "out", "out", OMEGA, 1)


@jax.jit
def continuous(gap):
    """(lines, field in the ring, rate by coupled modes, rate by transfer matrices) at 0.1 mW."""
    source, power = alone(gap), 1e-4
    lines = source.lines()
    inside = fields(source.parts(lines.pump.omega[None], ("in",)))[0, 0]
    cavity = source.cavity(lines.pump)
    coupled = sfwm.drive(cavity.gamma_w_m, cavity.v_g, jnp.abs(inside[0]) ** 2 * power)
    s, i = lines.signal, lines.idler
    closed = sfwm.pair_rate_hz(coupled, s.kappa, i.kappa, lines.mismatch) * s.escape * i.escape
    reach = 0.6 * jnp.pi / s.delay_s  # short of the next resonances; the tails beyond fall with the fourth power
    angle = ((jnp.arange(2000) + 0.5) / 1000 - 1) * jnp.arctan(2 * reach / s.kappa)
    step = angle[1] - angle[0]
    density = source.spectral_rate(lines, power, s.omega + s.kappa / 2 * jnp.tan(angle))
    exact = jnp.sum(density * s.kappa / 2 / jnp.cos(angle) ** 2) * step / (2 * jnp.pi)
    return lines, inside, closed, exact


@pytest.mark.parametrize("length_um", [10.0, 8000.0, 20000.0])
def test_neighbourhoods_hold_the_circuit_between_their_nodes(length_um):
    """Over ± 100 GHz 64 nodes follow a delay of 64/(2 pi 100 GHz) = 102 ps. A guide of 8 mm takes 56 ps, one of 20 mm
    140 ps: its light would be taken for less delayed, so nothing is told."""
    guide = Straight.on(TECH, length=length_um)
    chip = Circuit(
        {"ring": RingAllPass.on(TECH, radius=RADIUS).replace(gap=0.35), "guide": guide},
        (("ring,o2", "guide,o1"),),
        (("in", "ring,o1"), ("out", "guide,o2")),
    )
    source = PairSource(chip, TECH, "ring", "in", "out", "out", OMEGA, 1)
    around = jax.jit(lambda: source.lines().around)()
    if length_um > 1e4:
        assert np.isnan(around.series.leave).all()
        return
    w = np.random.default_rng(1).uniform(-1, 1, 20) * float(around.reach)
    for k in range(3):
        exact = source.parts(around.centre[k] + w, ("in",), ("out",))
        for name, value in around.at(k, jnp.asarray(w))._asdict().items():
            np.testing.assert_allclose(value, getattr(exact, name), rtol=0, atol=1e-9)
    assert np.isnan(around.at(0, 1.1 * around.reach[None]).leave).all()


def test_rates_of_both_pictures_meet_at_high_finesse():
    """From F = 70 to 2000 they differ by what a round trip loses, 2 pi/F, at most: light is stronger behind the coupler
    than on the mean (0.6 % to 0.2 %)."""
    off = []
    for gap in (0.3, 0.45, 0.6):
        lines, inside, closed, exact = continuous(gap)
        finesse = 2 * np.pi / float(lines.pump.kappa * lines.pump.delay_s)
        off.append(abs(float(exact / closed) - 1) * finesse)
        assert abs(complex(inside[1])) == 0  # no light turns back
    assert max(off) < 2 * np.pi


def test_lines_against_the_transmission():
    """Escape and linewidth from kappas against the dip of |S21|²: depth and width measured on the spectrum."""
    source = alone(0.55)
    lines = jax.jit(source.lines)()
    p = lines.pump
    omega = p.omega + p.kappa * jnp.linspace(-3, 3, 601)
    through = (
        np.abs(np.asarray(source.circuit.transfer(2 * np.pi * 299792458e6 / omega, TECH, ("in",), ("out",))))[:, 0, 0]
        ** 2
    )
    x = np.linspace(-3, 3, 601)
    escape = float(p.escape)
    bus = float(10 ** (-0.1 * TECH.cross_section("strip").loss_db_cm * 1e-4 * 2 * RADIUS))
    lorentz = bus * (1 - 4 * escape * (1 - escape) / (1 + (2 * x) ** 2))
    np.testing.assert_allclose(through, lorentz, atol=2e-3)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_pulse_far_longer_than_the_ring_is_continuous_light():
    """Pairs per pulse over its duration: for a Gaussian, ∫P² dt = E²/(sqrt(2 pi) T), up to O((kappa T)^-2)."""
    source = alone(0.4)

    @jax.jit
    def both():
        lines = source.lines()
        cavity = source.cavity(lines.pump)
        long = 30 / lines.pump.kappa
        inside = jnp.abs(fields(source.parts(lines.pump.omega[None], ("in",)))[0, 0, 0]) ** 2
        energy = 1e-12
        made = source.amplitude(lines, Gaussian(long), energy, 256).pairs
        rate = lambda power: sfwm.pair_rate_hz(
            sfwm.drive(cavity.gamma_w_m, cavity.v_g, inside * power),
            lines.signal.kappa,
            lines.idler.kappa,
            lines.mismatch,
        )
        width = long / (2 * jnp.sqrt(jnp.log(2.0)))
        steady = rate(1.0) * energy**2 / (jnp.sqrt(2 * jnp.pi) * width) * lines.signal.escape * lines.idler.escape
        return made, steady

    made, steady = both()
    assert float(made) == pytest.approx(float(steady), rel=0.03)


def test_purity_of_a_short_pulse_is_the_closed_form():
    """kappa T = 0.1 of three lines whose widths differ by the coupler's dispersion: 5e-5 of the grid at 128."""
    source = alone(0.45)

    @jax.jit
    def both():
        lines = source.lines()
        made = source.amplitude(lines, Gaussian(0.1 / lines.pump.kappa), 1e-12, 128)
        return purity(made.psi), broadband_purity(lines.signal.kappa, lines.idler.kappa, lines.pump.kappa)

    got, limit = both()
    assert float(got) == pytest.approx(float(limit), abs=3e-4)
    assert float(limit) == pytest.approx(11 / 12, abs=1e-3)


@pytest.mark.slow
def test_what_lies_behind_the_ring_counts():
    """A lossy guide behind the ring takes of both photons, one before it of the pump."""
    ring = RingAllPass.on(TECH, radius=RADIUS, gap=0.5)
    long = Straight.on(TECH, length=15000.0)
    before = Circuit({"ring": ring, "g": long}, (("g,o2", "ring,o1"),), (("in", "g,o1"), ("out", "ring,o2")))
    behind = Circuit({"ring": ring, "g": long}, (("ring,o2", "g,o1"),), (("in", "ring,o1"), ("out", "g,o2")))
    left = 10 ** (-0.1 * 1.5 * TECH.cross_section("strip").loss_db_cm)
    bare = jax.jit(alone().lines)()
    for chip, port, other in ((before, "pump", "signal"), (behind, "signal", "pump")):
        lines = jax.jit(PairSource(chip, TECH, "ring", "in", "out", "out", OMEGA, 1).lines)()
        got, reference = getattr(lines, port), getattr(bare, port)
        assert float(got.kappa_port / reference.kappa_port) == pytest.approx(left, rel=2e-3)
        assert float(getattr(lines, other).kappa_port / getattr(bare, other).kappa_port) == pytest.approx(1, rel=1e-9)
        assert float(got.kappa / reference.kappa) == pytest.approx(1, rel=1e-9)


def test_pump_and_photons_may_use_different_buses():
    """An add-drop ring pumped from below and emptied from above: two ports, two escapes, one ring loss."""
    ring = RingAddDrop.on(TECH, radius=RADIUS).replace(gap=0.6, gap_drop=0.45)
    chip = Circuit({"r": ring}, (), (("in", "r,o1"), ("through", "r,o2"), ("drop", "r,o3"), ("add", "r,o4")))
    source = PairSource(chip, TECH, "r", "in", "drop", "through", OMEGA, 1)
    lines = jax.jit(source.lines)()
    total = lines.signal.kappa_port + lines.idler.kappa_port + lines.pump.kappa_i
    assert float(total / lines.pump.kappa) == pytest.approx(1, abs=0.02)  # the lines' own widths differ by dispersion
    assert float(lines.signal.kappa_port) > 2 * float(lines.idler.kappa_port)
    assert float(lines.idler.kappa_port / lines.pump.kappa_port) == pytest.approx(1, abs=0.02)


DETECTION = Detection(0.8, 100.0, 30e-12, 2e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "drive",
    [
        pytest.param(Drive(2e-4), id="cw", marks=pytest.mark.exhaustive),
        pytest.param(Drive(1e-4, "gaussian", 0.3e-9, 1e8), id="pulses"),
    ],
)
def test_gradients_of_all_figures(drive):
    """Against central differences in gap and width of the process: 1e-5 of each figure's own scale."""

    def found(x):
        tech = dataclasses.replace(TECH, process=dataclasses.replace(TECH.process, width_nm=x[1]))
        source = alone(x[0], tech)
        return figures(source, source.lines(), drive, DETECTION, NITRIDE, None, 64)

    at = jnp.array([0.5, 1.0])
    compiled = jax.jit(found)
    exact = jax.jit(jax.jacfwd(found))(at)
    for k, h in enumerate((5e-3, 0.2)):  # lengths of the ring's guide: the FSR moves by 1e-6 of itself
        step = jnp.zeros(2).at[k].set(h)
        near, far = ([compiled(at + sign * m * step) for sign in (1, -1)] for m in (1, 2))
        for name, slope in exact.items():
            (a, b), (c, d) = ([float(r[name]) for r in pair] for pair in (near, far))
            numeric = (8 * (a - b) - (c - d)) / (12 * h)
            scale = max(abs(numeric), 1e-4 * abs(a))
            assert float(slope[k]) == pytest.approx(numeric, abs=1e-4 * scale), (name, k)


def test_figures_of_continuous_light_are_consistent():
    source = alone(0.5)
    found = jax.jit(lambda: figures(source, source.lines(), Drive(1e-4), DETECTION, NITRIDE))()
    lines = jax.jit(source.lines)()
    cavity = source.cavity(lines.pump)
    point = operate(cavity, NITRIDE, 1e-4)
    coupled = sfwm.drive(cavity.gamma_w_m, cavity.v_g, point.p_circ_w)
    mismatch = lines.mismatch + point.mismatch
    rate = sfwm.pair_rate_hz(coupled, lines.signal.kappa, lines.idler.kappa, mismatch)
    assert float(found["pair_rate_hz"]) == pytest.approx(float(rate), rel=1e-3)  # x² of all orders
    assert float(found["pair_rate_hz"]) > float(rate)
    assert float(found["pairs_out_hz"] / found["pair_rate_hz"]) == pytest.approx(
        float(found["heralding"]) ** 2, rel=0.02
    )
    half = jax.jit(lambda: figures(source, source.lines(), Drive(0.5e-4), DETECTION, NITRIDE))()
    assert float(found["pair_rate_hz"] / half["pair_rate_hz"]) == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Drive(-1e-3), "pump power"),
        (lambda: Drive(1e-3, "square"), "unknown shape"),
        (lambda: Drive(1e-3, "gaussian"), "width of the pulses.*missing"),
        (lambda: Drive(1e-3, "gaussian", 1e-10, -1.0), "repetition"),
        (lambda: Detection(1.3), "efficiency"),
        (lambda: Detection(window_s=0.0), "window"),
    ],
)  # fmt: skip
def test_impossible_requests_are_refused(call, message):
    with pytest.raises(SpecError, match=message):
        call()
