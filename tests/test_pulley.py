"""Guides of unequal width and the pulley coupler: closed forms, integration by SciPy, modes of the whole pair."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import brentq

from picq.components import PulleyCoupler, RingAddDrop, RingAllPass, RingCoupler
from picq.errors import SpecError
from picq.optics import modes
from picq.optics.bend import _widened
from picq.optics.coupler import half_ring, parting
from picq.optics.profile import Profile
from picq.optics.unequal import Narrowed, Turn, along, beside, radiation_decay, turn
from picq.pdk import load
from picq.sdict import power, reciprocity_error, unitarity_error

WL = jnp.linspace(1.53, 1.57, 3)
S_X, S_Y, S_Z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
MATCHED = 0.426  # um: width of the bus that is in phase with a silicon ring of 10 um at a gap of 0.2 um


def matrix(stretch):
    a, b = np.asarray(stretch.a), np.asarray(stretch.b)
    return np.array([[a, b], [-b.conj(), a.conj()]])


@pytest.mark.parametrize(("x", "z", "y"), [(0.3, -0.7, 0.2), (1e-7, 2e-7, -1e-7), (5.0, 12.0, 0.0)])
def test_a_turn_is_the_exponential(x, z, y):
    np.testing.assert_allclose(matrix(turn(x, z, y)), expm(1j * (x * S_X + y * S_Y + z * S_Z)), atol=1e-14)


def test_turns_compose_and_turn_back_as_matrices():
    one, two = turn(0.3, -0.7, 0.2), turn(1.1, 0.4, -0.5)
    np.testing.assert_allclose(matrix(one.then(two)), matrix(two) @ matrix(one), atol=1e-15)
    np.testing.assert_allclose(matrix(one.reversed()), matrix(one).T, atol=1e-15)
    np.testing.assert_allclose(matrix(Turn(1.01 * one.a, 1.01 * one.b).unit()), matrix(one), atol=1e-15)


def test_a_turn_has_finite_gradients_at_rest():
    slopes = jax.grad(lambda v: jnp.imag(turn(v[0], v[1]).b + turn(v[0], v[1]).a))(jnp.zeros(2))
    np.testing.assert_allclose(slopes, 1.0)


@partial(jax.jit, static_argnums=0)
def parted(steps, angle=0.3, detuned=0.4):
    """The product along guides that part, of a coupling that falls exponentially."""
    pieces = parting(0.2, 0.5, 0.42, 10.0, 10.0, angle, 1.2, steps)
    gaps, weights = (jnp.concatenate(f) for f in zip(*pieces, strict=True))
    kappa = 0.06 * jnp.exp(-8.0 * (gaps - 0.2))
    return along((kappa * weights)[None], (detuned * (1 + kappa) * weights)[None])


def test_steps_converge_to_the_fourth_order_and_devices_take_enough():
    """Against 128 steps a piece; devices take 16. Halved steps are 2⁴ times as good, at the least ten times here."""
    steps = {n: matrix(parted(n))[..., 0] for n in (4, 8, 16, 128)}
    errors = {n: np.abs(steps[n] - steps[128]).max() for n in (4, 8, 16)}
    assert errors[16] < 1e-6
    assert errors[4] / errors[8] > 10
    assert errors[8] / errors[16] > 10
    assert np.abs(steps[16].conj().T @ steps[16] - np.eye(2)).max() < 1e-14


def test_guides_that_part_against_an_integrator():
    """Geometry written once more: two circles up to the angle, then the bus's tangent."""
    angle, r, r_bus, w, w_bus = 0.3, 10.0, 10.0, 0.5, 0.42
    end = 1 / np.sqrt(1 / (4 * 1.2 * r) + 1 / r**2)

    def generator(s):
        theta = np.arcsin(s / r)
        theta_bus = min(np.arcsin(min(s / r_bus, 1.0)), angle)
        ring_up = (r + w / 2) * (1 - np.cos(theta))
        drop = r_bus * (1 - np.cos(theta_bus)) + max(s - r_bus * np.sin(angle), 0.0) * np.tan(angle)
        gap = 0.2 + ring_up + drop + w_bus / 2 * (1 - np.cos(theta_bus))
        kappa, path = 0.06 * np.exp(-8.0 * (gap - 0.2)), 1 / np.sqrt(np.cos(theta) * np.cos(theta_bus))
        return path * (kappa * S_X + 0.4 * (1 + kappa) * S_Z)

    field = np.eye(2, dtype=complex)
    for start, stop in ((0.0, r_bus * np.sin(angle)), (r_bus * np.sin(angle), end)):
        flow = lambda s, a: (1j * generator(s) @ a.reshape(2, 2)).reshape(-1)
        field = solve_ivp(flow, (start, stop), field.reshape(-1), rtol=1e-10, atol=1e-12).y[:, -1].reshape(2, 2)
    np.testing.assert_allclose(matrix(parted(16))[..., 0], field, atol=1e-6)


def test_without_an_angle_the_places_are_those_of_half_a_ring():
    """∫ of an exponential over both halves; 24 nodes there are good to 1e-6 (tests/test_couplers.py)."""
    arc, straight = parting(0.2, 0.5, 0.5, 10.0, 10.0, 0.0, 1.2)
    integral = lambda p: float(jnp.exp(-8.95 * p.gaps) @ p.weights)
    assert integral(arc) == 0.0
    assert 2 * integral(straight) == pytest.approx(integral(half_ring(0.2, 0.5, 10.0, 1.2)), rel=2e-6)


def unequal_pair(tech, cross_section, width, gap):
    """The upper half of both guides, side by side, for the mode solver."""
    own, thickness, margin = tech.cross_section(cross_section).width, tech.thickness, 3.0
    x = np.cumsum([-margin, margin, own, gap, width, margin])
    y, film = np.array([thickness / 2, thickness, thickness + margin]), tech.platform.film
    guide, beside = (film.core, film.cladding), (film.cladding, film.cladding)
    return Profile(
        x=jnp.asarray(np.repeat(x[:, None], 3, axis=1)), y=jnp.asarray(y), media=(beside, guide, beside, guide, beside),
        core=((1, 0), (3, 0)), cells_x=(8, 12, 8, 12, 8), cells_y=(6, 8), mirror="", halved=True,
    )  # fmt: skip


# measured: +0.35, +0.2 and +0.6 %: the larger the detuning against the coupling
@pytest.mark.parametrize(
    ("name", "width", "gap", "error"),
    [("soi220", 0.48, 0.2, 5e-3), ("sin800", 1.4, 0.5, 5e-3), ("sin800", 1.4, 0.3, 8e-3)],
)
def test_unequal_guides_against_the_modes_of_both(name, width, gap, error):
    """n_1 - n_2 of the supermodes is sqrt(detuning² + (2 kappa/k)²); without the shifts 0.2 to 0.6 % more."""
    tech, wl = load(name), jnp.array([1.55])
    profile = unequal_pair(tech, "strip", width, gap)
    first, second = (
        float(modes.n_eff(profile, 1.55, mode, temperature_k=tech.temperature_k, levels=(2, 3)))
        for mode in ("te0", "te1")
    )
    pair, gaps = beside(tech, "strip", wl, width), jnp.array([gap])
    detuned = tech.n_eff("strip", wl, width) - tech.n_eff("strip", wl) + 2 * pair.apart(gaps)[:, 0]
    coupled = 2 * pair.kappa(gaps)[:, 0] * wl / (2 * jnp.pi)
    assert 0.3 < float(-detuned[0] / coupled[0]) < 3.0
    assert float(jnp.hypot(detuned, coupled)[0]) == pytest.approx(first - second, rel=error)


def test_equal_guides_are_the_pair_of_before(soi220):
    gaps = jnp.array([0.2, 0.5, 1.5])
    one, two = (beside(soi220, "strip", WL, w) for w in (None, 0.5))
    for f, g in zip(one, two, strict=True):
        np.testing.assert_allclose(jnp.broadcast_to(f(gaps), (3, 3)), g(gaps), rtol=1e-12)


@pytest.mark.slow
def test_rise_of_a_narrowed_bend():
    """The cube of the width against the bent mode: 2 % off at 1174 nm; a power higher would be 20 % off."""
    tech, width, radius = load("sin800"), 1.174, 60.0
    profile = _widened(tech.profile("strip", width, whole=True), 4.0)  # a mesh that is symmetric about the core
    solved = lambda r: float(
        jnp.real(modes.n_eff(profile, 1.55, temperature_k=tech.temperature_k, radius=r, levels=(2,)))
    )
    rise = Narrowed(tech.bend("strip"), width / 1.5).index_rise(1 / radius)
    assert float(rise) == pytest.approx(solved(radius) - solved(None), rel=0.05)


def test_radiation_of_the_own_width_is_not_scaled(soi220):
    for name in ("strip", "rib"):
        np.testing.assert_allclose(radiation_decay(soi220, name, WL, soi220.cross_section(name).width), 1.0, rtol=1e-12)
    # a bend baked at 1015 nm has 0.842 of b
    assert float(radiation_decay(load("sin800"), "strip", WL, 1.015)[1]) == pytest.approx(0.842, rel=0.05)


@pytest.mark.parametrize("radius", [5.0, 20.0])
def test_without_an_angle_it_is_a_ring_coupler(soi220, radius):
    """The optical path that both gain ends where the table does, with a jump of 3e-5 at most: 3e-5 k over 1 um."""
    pulley, point = PulleyCoupler(gap=0.22, radius=radius, angle_deg=0.0), RingCoupler(gap=0.22, radius=radius)
    pulley, point = (jax.jit(lambda d: d.model(WL, soi220))(d) for d in (pulley, point))
    for ports, s in point.items():
        np.testing.assert_allclose(pulley[ports], s, atol=1e-4)
    np.testing.assert_allclose(power(pulley, "o1", "o4"), power(point, "o1", "o4"), rtol=1e-5)


def test_guides_in_phase_exchange_sin_squared():
    """sin²(kappa L + phi), phi that of both ends: from two angles, after which tight arcs have led the bus away."""
    tech, wl, gap, radius = load("soi220").lossless(), jnp.array([1.55]), 0.36, 60.0
    gaps, bend, about = jnp.array([gap]), tech.bend("strip"), lambda w: radius + 0.25 + gap + w / 2
    n = lambda w: tech.n_eff("strip", wl, w)[0] + 2 * beside(tech, "strip", wl, w).apart(gaps)[0, 0]
    width = brentq(lambda w: float(n(w) * about(w) - n(0.5) * radius), 0.45, 0.5)
    make = lambda angle: PulleyCoupler(gap=gap, radius=radius, angle_deg=angle, bus_width=width, radius_out=5.0)
    phase = lambda angle: float(jnp.arcsin(jnp.sqrt(power(make(angle).model(wl, tech), "o1", "o4")))[0])
    kappa = float(beside(tech, "strip", wl, width).kappa(gaps)[0, 0])
    factor = Narrowed(bend, width / 0.5).concentric(1 / about(width), 1 / radius)
    expected = factor * kappa * np.sqrt(radius * about(width)) * np.deg2rad(30.0)
    assert phase(80.0) - phase(50.0) == pytest.approx(float(expected), rel=3e-3)


@pytest.mark.parametrize("width", [None, MATCHED])
@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0])
def test_lossless_conserves_power(soi220, width, angle):
    pulley = PulleyCoupler(gap=0.2, radius=10.0, angle_deg=angle, bus_width=width)
    s = pulley.model(jnp.linspace(1.51, 1.59, 21), soi220.lossless())  # interpolated from seven wavelengths
    assert unitarity_error(s) < 1e-12
    assert reciprocity_error(s) < 1e-14


def test_only_a_bus_in_phase_gives_all_its_power(soi220):
    """kappa²/(kappa² + delta²) is the most that crosses, 0.11 for equal guides, gap 0.12 um, around 10 um."""
    angles, tech, wl = np.linspace(10.0, 90.0, 33), soi220.lossless(), jnp.array([1.55])
    crossed = jax.jit(
        jax.vmap(
            lambda a, w: power(
                PulleyCoupler(gap=0.12, radius=10.0, angle_deg=a, bus_width=w).model(wl, tech), "o1", "o4"
            )[0],
            (0, None),
        )
    )
    assert float(jnp.max(crossed(angles, 0.433))) > 0.99
    assert float(jnp.max(crossed(angles, 0.5))) < 0.12


def test_a_far_bus_and_ring_are_guides(soi220):
    """Phases of straights and arcs, the ring's index higher by c/R², the bus's by the cube of its width of that."""
    tech, angle, w = soi220.lossless(), np.deg2rad(40.0), 0.44
    pulley = PulleyCoupler(gap=1.5, radius=10.0, angle_deg=40.0, bus_width=w, radius_out=12.0)
    s, n, n_bus = pulley.model(WL, tech), tech.n_eff("strip", WL), tech.n_eff("strip", WL, w)
    rise, bus = tech.bend("strip").index_rise, Narrowed(tech.bend("strip"), w / 0.5).index_rise
    about = 10.0 + 0.25 + 1.5 + w / 2
    path = n_bus * (about + 12.0) * angle + (bus(1 / about) * about + bus(1 / 12.0) * 12.0) * angle
    path += n_bus * 20.0 * (1 - np.sin(angle / 2))
    expected = {("o1", "o2"): path, ("o3", "o4"): (n + rise(0.1)) * np.pi * 10.0}
    tapers = pulley._taper(WL, tech) ** 2
    for ports, p in expected.items():
        alone = jnp.exp(2j * jnp.pi * p / WL) * (tapers if ports == ("o1", "o2") else 1.0)
        np.testing.assert_allclose(s[ports] / alone, 1.0, atol=1e-3)


def test_losses_are_those_of_guides_bends_junctions_and_tapers(soi220):
    """Uncoupled: 1 + 4 mismatches a side (both radii are nearly the same), propagation; radiation is nothing."""
    pulley = PulleyCoupler(gap=1.5, radius=10.0, angle_deg=40.0, radius_out=12.0)
    s, xs = pulley.model(WL, soi220), soi220.cross_section("strip")
    lost = -10 * jnp.log10(power(s, "o1", "o2"))
    expected = 10 * xs.bend.mismatch_db(1 / 12.0) + 1e-4 * xs.loss_db_cm * pulley.paths(soi220)["bus"]
    np.testing.assert_allclose(lost, expected, rtol=1e-8)


def test_gradients_by_bus_width_angle_and_radius_out(soi220):
    names = ("bus_width", "angle_deg", "radius_out", "gap", "taper_length")

    @jax.jit
    def figure(values):
        s = PulleyCoupler(radius=10.0, **dict(zip(names, values, strict=True))).model(WL, soi220)
        return jnp.real(s["o1", "o4"][1]) + jnp.imag(s["o1", "o2"][0])

    at, h = jnp.array([0.44, 25.0, 11.0, 0.21, 12.0]), 1e-4
    for k, grad in enumerate(jax.grad(figure)(at)):
        step = h * jnp.eye(len(names))[k]
        numeric = (8 * (figure(at + step) - figure(at - step)) - (figure(at + 2 * step) - figure(at - 2 * step))) / (
            12 * h
        )
        assert float(grad) == pytest.approx(float(numeric), rel=1e-6, abs=1e-8), names[k]


def taken(ring, tech):
    """Power that the coupler takes from a round trip."""
    return 1 - jnp.abs(ring.opened(jnp.array([1.55]), tech.lossless())["l2", "l1"][0]) ** 2


def test_a_pulley_couples_a_ring_more_strongly(soi220):
    """Q_c = 2 pi n_g L/(wl K): at the same gap K is 49 times as large, and 1.4 times with a straight narrow bus."""
    ring = RingAllPass(radius=10.0, gap=0.3)
    point, narrow, pulley = (
        float(taken(r, soi220))
        for r in (ring, ring.replace(bus_width=0.42), ring.replace(bus_width=0.42, angle_deg=60.0))
    )
    assert 1.2 * point < narrow < 2 * point
    assert pulley > 30 * point


@pytest.mark.parametrize("kind", [RingAllPass, RingAddDrop])
def test_ring_with_a_pulley_of_no_angle_is_the_ring(soi220, kind):
    ring = kind(radius=10.0, gap=0.22)
    s, t = (r.model(WL, soi220) for r in (ring, ring.replace(angle_deg=0.0)))
    for ports, value in s.items():
        np.testing.assert_allclose(t[ports], value, atol=1e-3)  # 1e-4 a round trip, ten of them
    assert ring.replace(angle_deg=30.0).round_trip_um(soi220) == ring.round_trip_um(soi220)


def test_a_trimmed_ring_with_a_pulley_has_its_phase_back(soi220):
    from picq.technology import Process

    ring = RingAllPass.on(soi220, radius=15.0, angle_deg=30.0, bus_width=0.44)
    chip = soi220.at(Process(width_nm=2.0))
    phase = lambda r, t: jnp.angle(r.opened(jnp.array([1.55]), t)["l2", "l1"][0])
    tuned = ring.rebiased(1.55, chip, soi220)
    apart = phase(tuned, chip) - phase(ring, soi220)
    assert float(tuned.power_mw) > 0.0
    assert float(jnp.abs(jnp.exp(1j * apart) - 1)) < 1e-6


@pytest.mark.parametrize("values", [{"angle_deg": 10.0}, {"bus_width": 0.44}])
def test_a_racetrack_has_no_pulley(soi220, values):
    ring = RingAllPass(radius=10.0, length=2.0, **values)
    with pytest.raises(SpecError, match="without straights"):
        ring.model(WL, soi220)
    got = jax.jit(lambda length: ring.replace(length=length).model(WL, soi220)["o1", "o2"])(2.0)
    assert bool(jnp.all(jnp.isnan(got)))
