"""Heaters from geometry: the potential solver, the rise of guides, their crosstalk."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import dblquad, quad

from picq import pdk
from picq.components import LatticeFilter, Mzi, Straight, StraightHeater
from picq.errors import NumericsError, SpecError
from picq.optics import phase_shifter
from picq.optics.heat import HeaterStack, near, substrate_rise, substrate_rise_ring
from picq.optics.mesh import mesh
from picq.optics.potential import outflow, potential
from picq.technology import Process

LENGTH = 200.0  # of filaments, um


def heater_of(tech, cross_section):
    return HeaterStack.of(pdk.load(tech), cross_section)


def walls(grid):
    edge = np.zeros(grid.x.shape, bool)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    return edge


def central(f, x, h):
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


# --- the solver


def layers(lower, height, n=4):
    """Two layers between plates, on slanting lines: (mesh, coefficient, potential, charge on the upper plate)."""
    x = jnp.array([[0.0, 0.0, 0.0], [1.0, 1.2, 1.2], [3.0, 3.0, 3.0]])
    grid = mesh(x, jnp.stack([0.0, height, 2.0]), (n, n), (n, n), (False,) * 4)
    c = jnp.where(np.asarray(grid.row)[None, :] == 0, lower, 3.0) * jnp.ones(grid.width.shape)
    plates = np.zeros(grid.x.shape, bool)
    plates[:, [0, -1]] = True
    phi = potential(grid, (c, c), plates, np.linspace(0, 1, grid.y.size)[None, :] >= 1)
    return grid, c, phi, -jnp.sum(outflow(grid, (c, c), phi)[:, -1])


def test_parallel_plates_are_exact_and_so_are_their_derivatives():
    """Two layers in series, C = w/(d1/c1 + d2/c2); linear potentials are in the space of the elements."""
    closed = lambda v: 3 / (v[1] / v[0] + (2 - v[1]) / 3)
    at = jnp.array([2.0, 0.7])
    charge = lambda v: layers(v[0], v[1])[3]
    assert float(charge(at)) == pytest.approx(float(closed(at)), rel=1e-12)
    np.testing.assert_allclose(jax.grad(charge)(at), jax.grad(closed)(at), rtol=1e-10)
    np.testing.assert_allclose(jax.jit(jax.hessian(charge))(at), jax.hessian(closed)(at), rtol=1e-8)


def test_what_flows_in_flows_out():
    grid, c, phi, _ = layers(2.0, 0.7)
    out = outflow(grid, (c, c), phi)
    assert float(jnp.abs(out[:, 1:-1]).max()) < 1e-13
    assert float(jnp.sum(out)) == pytest.approx(0.0, abs=1e-13)


@pytest.mark.slow
def test_second_order_in_an_anisotropic_medium():
    """ln r of a line charge outside the domain, x and y scaled by the square roots of the coefficients."""
    exact = lambda x, y: jnp.log((x + 0.5) ** 2 / 2.0 + (y + 0.3) ** 2 / 5.0)
    errors = []
    for n in (8, 16, 32):
        x = jnp.array([[0.0, 0.0, 0.0], [0.8, 0.8, 1.0], [2.0, 2.0, 2.0]])
        grid = mesh(x, jnp.array([0.0, 0.6, 1.5]), (n, n), (n, n), (False,) * 4)
        value = exact(grid.x, grid.y[None, :])
        phi = potential(grid, (jnp.full(grid.width.shape, 2.0), jnp.full(grid.width.shape, 5.0)), walls(grid), value)
        errors.append(float(jnp.abs(phi - value).max()))
    assert np.log2(errors[0] / errors[1]) > 1.8
    assert np.log2(errors[1] / errors[2]) > 1.9


def test_reciprocity():
    """From A to B as from B to A, whatever lies between."""
    rng = np.random.default_rng(5)
    lines = lambda n: jnp.asarray(np.sort(rng.random(n)))
    x, y = lines(7), lines(9)
    grid = mesh(jnp.tile(x[:, None], (1, 9)), y, (2,) * 6, (2,) * 8, (False,) * 4)
    c = jnp.asarray(10 ** rng.uniform(-1, 2, (2, *grid.width.shape)))
    sink = np.zeros(grid.x.shape, bool)
    sink[:, 0] = True
    cells = [(2, 9), (9, 12)]
    rises = []
    for a, b in (cells, cells[::-1]):
        source = np.zeros(grid.width.shape)
        source[a] = 1 / (grid.width[a] * grid.height[0, a[1]])
        phi = potential(grid, (c[0], c[1]), sink, 0.0, source)
        rises.append(float(jnp.mean(phi[b[0] : b[0] + 2, b[1] : b[1] + 2])))
    assert rises[0] == pytest.approx(rises[1], rel=1e-12)


# --- heaters


def test_strip_over_a_sink():
    """One medium of height H under an insulating surface: images of a line source at the surface add up to
    ln((cosh X + cos S)/(cosh X - cos S))/(2 pi k), X = pi x/2H, S = pi s/2H at depth s; averaged over the filament."""
    k, width, height = 1.4, 0.9, 4.22
    stack = dataclasses.replace(
        heater_of("soi220", "strip"),
        k_core=k,
        k_cladding=k,
        k_box=k,
        k_metal=k,
        k_air=1e-9,
        metal=0.002,
        filament=width,
    )
    depth = 1.0 + 0.11
    distance = np.array([0.0, 2.0, 5.0, 12.0])
    within = (np.arange(200) + 0.5) / 200 - 0.5
    x = distance[:, None, None] + width * within[:, None] + stack.core * within[None, ::10]
    a, s = np.cosh(np.pi * x / 2 / height), np.cos(np.pi * depth / 2 / height)
    closed = 1e3 * np.mean(np.log((a + s) / (a - s)), axis=(1, 2)) / (2 * np.pi * k)
    # 2e-3 of the rise at the filament: what the extrapolation moves; the core's height adds 1e-4
    np.testing.assert_allclose(near(stack, distance), closed, rtol=5e-3, atol=2e-3 * closed[0] * 0.5)


def test_long_line_on_the_substrate():
    """The image series of a line on a slab, insulated above, held below: ln(coth(pi d/4t))/(pi k)."""
    for d in (1.0, 30.0, 300.0):
        closed = 1e3 * np.log(1 / np.tanh(np.pi * d / 4 / 725.0)) / np.pi / 148.0
        assert float(substrate_rise(d, 1e6, 0.0, 725.0, 148.0)) == pytest.approx(closed, rel=1e-3)


SPREAD, SUBSTRATE, K_SUBSTRATE = 8.0, 725.0, 148.0
GUIDES = [  # distance, filament, start and end of the guide
    (0.0, 100.0, 0.0, 100.0),
    (30.0, 100.0, 20.0, 50.0),
    (0.0, 100.0, -450.0, 550.0),
    (60.0, 150.0, -1200.0, 300.0),
    (30.0, 100.0, 500.0, 1500.0),
    (5.0, 40.0, -700.0, -300.0),
    (20.0, 300.0, 290.0, 310.0),
]


@pytest.mark.parametrize(("distance", "length", "start", "end"), GUIDES)
def test_guide_along_a_line_is_the_double_integral(distance, length, start, end):
    """1/(2 pi k L) times the integral of 1/|r| over filament and guide; that of the images is smooth, 40 x 40 nodes do.

    Half space: the quadrature's 1e-10; rounding 8 eps u²/(L (b - a)) with u the farthest apart, 1e-12; images 1e14 um
    away, 1e-11. With images: the series f = 1/(n t) per um of guide ends at n = 40, smoothed twice, which leaves
    f''/8 = 1/(4 t n³); n³ taken at 39, 8 % more."""
    scale = 1e3 / (2 * np.pi * K_SUBSTRATE * length)
    r = np.hypot(distance, SPREAD)
    direct = dblquad(lambda x, at: 1 / np.hypot(x - at, r), start, end, 0.0, length, epsabs=0.0, epsrel=1e-10)[0]
    guide = None if (start, end) == (0.0, length) else (start, end)
    rise = lambda thickness: float(substrate_rise(distance, length, SPREAD, thickness, K_SUBSTRATE, guide))
    assert rise(1e14) == pytest.approx(scale * direct, rel=2e-10)

    nodes, weights = np.polynomial.legendre.leggauss(40)
    x, at = length * (1 + nodes) / 2, start + (end - start) * (1 + nodes) / 2
    squared = (x[:, None] - at) ** 2 + r**2
    n = np.arange(1, 2001)
    sign = np.where(n % 2, -2.0, 2.0)
    sign[-1] /= 2  # the mean of the last two partial sums
    images = sum(s / np.sqrt(squared + (2 * m * SUBSTRATE) ** 2) for m, s in zip(n, sign, strict=True))
    want = scale * (direct + length * (end - start) / 4 * weights @ images @ weights)
    left = scale * length * (end - start) / (4 * SUBSTRATE * 40**3)
    assert rise(SUBSTRATE) == pytest.approx(want, rel=1e-9, abs=1.1 * left)


def test_long_guide_over_any_filament():
    """The substrate's line integral is that of a line source, whatever the filament's length: ln(coth(pi r/4t))/(pi k).
    Beyond 5 mm the rise falls by exp(-pi/2t) per um, 2e-5 of it; the images' end leaves 6e-9 per um, 6e-6 of it."""
    closed = 1e3 * np.log(1 / np.tanh(np.pi * SPREAD / 4 / SUBSTRATE)) / np.pi / K_SUBSTRATE
    for length in (20.0, 400.0):
        guide = (-5000.0, 5000.0 + length)
        got = substrate_rise(0.0, length, SPREAD, SUBSTRATE, K_SUBSTRATE, guide)
        assert float(got) == pytest.approx(closed, rel=3e-5)


@pytest.mark.parametrize(("distance", "length", "start", "end"), GUIDES)
def test_filament_and_guide_change_places(distance, length, start, end):
    """Reciprocity: theta L is one double integral. Rounding 8 eps u²/(L (b - a)), 1e-12 at most."""
    chip = pdk.load("soi220")
    there = phase_shifter.thermal_resistance(chip, "strip", length, distance, (start, end))
    back = phase_shifter.thermal_resistance(chip, "strip", end - start, distance, (-start, length - start))
    assert float(there * length) == pytest.approx(float(back * (end - start)), rel=1e-12)


def test_guide_as_long_as_the_filament():
    """The same formula with its zeros left out; a few roundings."""
    chip = pdk.load("soi220")
    d = jnp.array([0.0, 3.0, 40.0, 900.0])
    for length in (1.0, LENGTH, 5000.0):
        plain = phase_shifter.thermal_resistance(chip, "strip", length, d)
        np.testing.assert_allclose(
            phase_shifter.thermal_resistance(chip, "strip", length, d, (0.0, length)), plain, rtol=1e-14
        )


def test_layers_above_the_substrate_warm_what_lies_beside_the_filament():
    """In proportion to the overlap; a longer guide gets no more of it."""
    chip = pdk.load("soi220")
    heater = chip.data["heater"]["strip"]
    spans = jnp.array([[-900.0, 900.0], [50.0, 100.0], [-30.0, 50.0], [150.0, 800.0], [200.0, 400.0], [-90.0, -1.0]])
    guide = (spans[:, 0], spans[:, 1])
    rest = substrate_rise(0.0, LENGTH, heater["spread_um"], heater["substrate_um"], heater["substrate_w_mk"], guide)
    got = phase_shifter.thermal_resistance(chip, "strip", LENGTH, 0.0, guide) - rest
    want = heater["near_k_um_mw"] * np.array([200.0, 50.0, 50.0, 50.0, 0.0, 0.0]) / LENGTH
    np.testing.assert_allclose(got, want, atol=1e-12 * heater["near_k_um_mw"])


@pytest.mark.parametrize("guide", [(20.0, 150.0), (-800.0, 1100.0), (-40.0, 60.0), (260.0, 900.0)])
def test_gradients_to_the_ends_of_a_guide(guide):
    """h = 0.1 um: (h/r)^4/30 of the slope, r at least 6 um, 2e-9; rounding 1e-13/h of the rise, at most 1e3 slopes."""
    chip = pdk.load("soi220")
    f = lambda start, end: phase_shifter.thermal_resistance(chip, "strip", LENGTH, 4.0, (start, end))
    slopes = jax.jit(jax.grad(f, (0, 1)))(*guide)
    assert float(slopes[0]) == pytest.approx(float(central(lambda v: f(v, guide[1]), guide[0], 0.1)), rel=1e-8)
    assert float(slopes[1]) == pytest.approx(float(central(lambda v: f(guide[0], v), guide[1], 0.1)), rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["height", "box", "filament", "k_core", "slab"])
def test_gradients_of_the_rise(name):
    """Geometry and conductivities; h = 1e-3 of the value. Rounding 1e-11/1e-3 of the rise; where a step moves a node of
    the mesh over an end of the neighbour's core the third derivative jumps, worth 5e-6."""
    stack = heater_of("soi220", "rib")
    f = lambda v: near(dataclasses.replace(stack, **{name: v}), np.array([0.0, 6.0]), (2,)).sum()
    at = float(getattr(stack, name))
    assert float(jax.grad(f)(at)) == pytest.approx(float(central(f, at, 1e-3 * at)), rel=1e-5)


@pytest.mark.parametrize(("tech", "cross_section"), [("soi220", "strip"), ("tfln600", "rib")])
def test_baked_heater_is_the_solved_one(tech, cross_section):
    """At the heated guide to the rounding of the file; beside it within the error that the bake states."""
    chip, stack = pdk.load(tech), heater_of(tech, cross_section)
    baked = chip.data["heater"][cross_section]
    distance = np.array([0.0, 3.0, 7.0, 15.0])
    rest = substrate_rise(distance, LENGTH, stack.spread, stack.substrate, stack.k_substrate)
    got = phase_shifter.thermal_resistance(chip, cross_section, LENGTH, distance) - rest
    want = near(stack, distance)
    assert float(got[0]) == pytest.approx(float(want[0]), rel=1e-6)
    np.testing.assert_allclose(got, want, atol=1.5 * float(baked["fit_error"] * want[0]))
    assert baked["error"] < 3e-3


def test_p_pi_is_below_what_the_foundry_promises():
    chip = pdk.load("soi220")
    p_pi = float(phase_shifter.p_pi_mw(1.55, chip, "strip", LENGTH))
    assert 8.0 < p_pi < chip.data["heater"]["p_pi_mw"]
    assert float(phase_shifter.p_pi_mw(1.55, chip, "strip", 5 * LENGTH)) == pytest.approx(p_pi, rel=0.02)


@pytest.mark.parametrize("filament", [2.0, 3.0])
def test_p_pi_of_the_usual_heater(filament):
    """2 to 3 um of TiN, 2 um above 220 nm of silicon on 2 um of oxide: published ones need 20 to 30 mW without
    undercut. Up to 10 % less here, where neither contacts nor wires carry heat off. dn_eff/dT 2.0e-4
    (thermo_optic)."""
    stack = dataclasses.replace(heater_of("soi220", "strip"), box=2.0, height=2.0, filament=filament)
    rest = substrate_rise(0.0, LENGTH, stack.spread, stack.substrate, stack.k_substrate)
    assert 18.0 < 1.55 / 2 / 2.0e-4 / float(near(stack, np.zeros(1))[0] + rest) < 30.0


def test_p_pi_of_lithium_niobate_is_that_of_a_public_kit():
    """Luxtelligence's model has 67.5 mW for the same filament, oxides and metal on a film of 400 nm; the film's own
    conduction and confinement differ, 15 %."""
    chip = pdk.load("tfln600")
    p_pi = float(phase_shifter.p_pi_mw(1.55, chip, "rib", 700.0))
    assert p_pi == pytest.approx(chip.data["heater"]["p_pi_mw"], rel=0.15)


def test_crosstalk_falls_with_distance_and_its_slope_is_exact():
    chip = pdk.load("soi220")
    d = jnp.array([1.0, 3.0, 5.0, 10.0, 20.0, 21.0, 50.0, 100.0, 300.0, 1000.0])
    ratio = phase_shifter.crosstalk(d, chip, "strip", LENGTH)
    assert bool(jnp.all(jnp.diff(ratio) < 0))
    assert float(ratio[-1]) > 0
    assert float(phase_shifter.crosstalk(0.0, chip, "strip", LENGTH)) == pytest.approx(1.0, abs=1e-12)
    f = lambda v: phase_shifter.crosstalk(v, chip, "strip", LENGTH)
    for at in (0.5, 7.0, 80.0):
        assert float(jax.grad(f)(at)) == pytest.approx(float(central(f, at, 1e-3)), rel=1e-6)
    # far away the substrate alone is left: the half space, 1/(2 pi k r) at r >> length
    far = phase_shifter.thermal_resistance(pdk.load("soi220"), "strip", 1.0, 150.0)
    images = 1 / 150.0 + 2 * sum((-1) ** n / np.hypot(150.0, 1450.0 * n) for n in range(1, 20000))
    assert float(far) == pytest.approx(1e3 / (2 * np.pi * 148.0) * images, rel=5e-3)


def test_phases_of_an_array():
    """Guides under heaters: symmetric, largest under their own heater."""
    chip = pdk.load("soi220")
    y = jnp.array([0.0, 20.0, 45.0])
    m = phase_shifter.phase_matrix(1.55, chip, "strip", LENGTH, y, y)
    np.testing.assert_allclose(m, m.T, rtol=1e-12)
    own = phase_shifter.phase_per_mw(1.55, chip, "strip", LENGTH)
    np.testing.assert_allclose(jnp.diag(m), own, rtol=1e-12)
    assert bool(jnp.all(m - jnp.diag(jnp.diag(m)) < own / 20))


@pytest.mark.parametrize("kind", [Mzi, LatticeFilter])
def test_trimming_counts_the_heat_that_reaches_the_other_arm(kind):
    """After trimming a stage has its nominal phase; without the neighbour's heat it would miss by P theta(d)."""
    nominal = pdk.load("soi220")
    chip = nominal.at(Process(width_nm=3.0, thickness_nm=-1.0))
    device = kind.on(nominal)
    trimmed = device.rebiased(1.55, chip, nominal)

    def arms(d, tech):
        if kind is Mzi:
            return d.arms(tech)
        return d._top(d.delays[0], d.powers_mw[0]), d._bottom(d.delays[0], d.powers_mw[0], tech)

    def stage(d, tech):
        (top, bottom), wl = arms(d, tech), jnp.array([1.55])
        return float(jnp.angle(top.amplitude(wl, tech) * jnp.conj(bottom.amplitude(wl, tech)))[0])

    off = stage(trimmed, chip) - stage(device, nominal)
    assert np.angle(np.exp(1j * off)) == pytest.approx(0.0, abs=1e-9)
    power = np.max(trimmed.powers_mw if kind is LatticeFilter else trimmed.power_mw)
    assert float(power * arms(trimmed, chip)[1].phase_per_mw(1.55, chip)) > 1e-3


def test_a_heater_without_power_is_a_straight():
    chip, wl = pdk.load("soi220"), jnp.linspace(1.54, 1.56, 3)
    cold = StraightHeater.on(chip, length=150.0).model(wl, chip)
    np.testing.assert_allclose(
        cold[("o1", "o2")], Straight.on(chip, length=150.0).model(wl, chip)[("o1", "o2")], atol=1e-12
    )


def test_heat_is_refused_where_it_is_not_known():
    with pytest.raises(SpecError, match="no heater above cross-section 'metal'"):
        phase_shifter.thermal_resistance(pdk.load("soi220"), "metal", LENGTH)
    with pytest.raises(NumericsError, match="distance from a heater"):
        phase_shifter.thermal_resistance(pdk.load("soi220"), "strip", LENGTH, 6000.0)
    with pytest.raises(NumericsError, match="length of a guide"):
        phase_shifter.thermal_resistance(pdk.load("soi220"), "strip", LENGTH, 5.0, (100.0, 50.0))


@pytest.mark.parametrize("perimeter", [60.0, 700.0])
def test_a_ring_is_warmed_by_all_of_a_filament_along_it(perimeter):
    """The integral over chords by quadrature, image by image: the closed form is an elliptic integral."""
    radius, spread, thickness, conductivity = perimeter / 2 / np.pi, 4.0, 725.0, 148.0
    total = 0.0
    for n in range(41):
        weight = {0: 1.0, 39: -1.5, 40: 0.5}.get(n, -2.0 if n % 2 else 2.0)
        r2 = spread**2 + (2 * n * thickness) ** 2
        chord = lambda half, r2=r2: radius / np.sqrt(4 * radius**2 * np.sin(half) ** 2 + r2)
        total += weight * 4 * quad(chord, 0, np.pi / 2, limit=200)[0]
    got = substrate_rise_ring(perimeter, spread, thickness, conductivity)
    assert float(got) == pytest.approx(1e3 * total / (2 * np.pi * conductivity), rel=1e-9)
