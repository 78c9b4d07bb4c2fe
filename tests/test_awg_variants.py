"""Gratings of other forms: horseshoe arrays, heated arms, parabolic inputs."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awg_table import measured
from test_awg import LEVELS
from test_devices import check_mask, drawn, shuffled

from picq import layout, pdk
from picq.components import Awg
from picq.design.figures import FIGURES, Comb, decibel
from picq.design.problem import Problem
from picq.design.spec import load_spec
from picq.design.tolerance import tolerance
from picq.design.variation import Variation, blocks_of
from picq.device import bounds
from picq.optics.diffraction import steps
from picq.optics.phase_shifter import thermal_resistance
from picq.sdict import dense, excess
from picq.technology import Process


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param(name, values, marks=LEVELS[(name != "soi220" or "heaters" in values) + (name == "sin400")])
        for name in ("soi220", "sin400", "sin800")
        for values in ({"array": "horseshoe"}, {"heaters": True})
    ],
)
def test_horseshoes_and_heated_arms_are_clean_and_on_the_mask(name, values):
    """Narrow arms of silicon feel the mask's grid most: 0.034 rad rms, and the comb 0.6 GHz."""
    tech = pdk.load(name)
    dev = Awg.on(tech, **values)
    check_mask(dev, tech)
    mask, cell = drawn(dev, tech)
    figures = dev.mask_figures(dev.as_measured(measured(dev, tech, mask, cell), tech), tech)
    narrow = dev.array == "horseshoe" and name == "soi220"
    assert figures["phase_error_rms_rad"] < (0.04 if narrow else 0.03)
    assert abs(figures["comb_shift_ghz"]) < (1.0 if narrow else 0.5)
    assert len(cell.ports) == len(dev.ports) + (2 * dev.arms if dev.heaters else 0)


@pytest.mark.parametrize(
    "values", [{"array": "horseshoe"}, {"array": "horseshoe", "tilt_deg": 24.0}, {"heaters": True}, {}]
)
def test_arms_of_every_array_grow_by_whole_wavelengths(soi220, values):
    """What the grating is designed for: n dL = m wl at the middle of the comb, in all sections together."""
    dev = Awg.on(soi220, **values)
    wl0 = dev.comb.wl0
    paths = np.asarray(dev._arm_paths(jnp.asarray([wl0]), soi220))[0]
    assert np.abs(np.diff(paths) - dev.order * wl0).max() < 1e-5  # the increment is given to 1e-6 um


VARIANTS = {
    "horseshoe": ({"array": "horseshoe", "tilt_deg": 12.0}, ("tilt_deg", "half_span", "half_length", "focal_length")),
    "heated": ({"heaters": True, "arms": 12}, ("powers_mw", "length_heater", "delta_length")),
    "parabolic": ({"flat_top": "parabolic", "width_horn": 3.5}, ("width_horn", "length_horn", "width_io")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["horseshoe", "parabolic", pytest.param("heated", marks=pytest.mark.exhaustive)])
def test_variants_keep_the_contract(soi220, name):
    """Gradients are difference quotients (h as in the battery), no light is gained, compiled is eager."""
    values, names = VARIANTS[name]
    dev = Awg.on(soi220, **values)
    if dev.heaters:
        dev = dev.replace(powers_mw=tuple(1.0 + np.arange(dev.arms) % 3))
    wl = jnp.linspace(1.545, 1.555, 3)
    whole = jax.jit(lambda dev: dense(dev.model(wl, soi220), dev.ports))
    np.testing.assert_allclose(whole(dev), dense(dev.model(wl, soi220), dev.ports), atol=1e-11)
    assert excess(dev.model(wl, soi220)) < 1e-12
    felt = jax.jit(lambda values: shuffled(dev.replace(**values).model(wl, soi220), dev.ports))
    at = {n: getattr(dev, n) for n in names}
    leaves, treedef = jax.tree.flatten(at)
    for i, (value, slope) in enumerate(zip(leaves, jax.tree.leaves(jax.jit(jax.grad(felt))(at)), strict=True)):
        h = 1e-4 * min(value, 1.0) / max(1.0, abs(float(slope)) / 10)
        moved = [float(felt(jax.tree.unflatten(treedef, [*leaves[:i], v, *leaves[i + 1 :]])))
                 for v in (value - 2 * h, value - h, value + h, value + 2 * h)]  # fmt: skip
        numeric = (8 * (moved[2] - moved[1]) - (moved[3] - moved[0])) / (12 * h)
        assert float(slope) == pytest.approx(numeric, rel=1e-6, abs=1e-7), list(at)


def test_a_horseshoe_ends_level_in_its_mirror_plane(soi220):
    """Each arm, followed from its focus: straight, then around by its own arc."""
    dev = Awg.on(soi220, array="horseshoe", tilt_deg=24.0)
    table = jax.tree.map(np.asarray, dev.table(soi220))
    psi = np.pi / 2 + np.arcsin(steps(dev.arms) * dev.pitch / dev.focal_length) - np.deg2rad(24.0)
    straight = dev.focal_length + dev.length_taper + table.slant
    across = straight * np.cos(psi) + table.radius * np.sin(psi)
    assert across == pytest.approx(np.full(dev.arms, dev.half_span), abs=1e-9)
    assert table.arc == pytest.approx(table.radius * psi, abs=1e-9)
    assert table.height == pytest.approx(straight * np.sin(psi) + table.radius * (1 - np.cos(psi)), abs=1e-9)
    assert table.radius.min() >= soi220.cross_section("strip").radius
    points = table.half()  # distances against a brute force over all points of two neighbours
    nearest = min(
        np.hypot(*np.moveaxis(points[k + 1, 24:, None] - points[k, None], -1, 0)).min() for k in range(dev.arms - 1)
    )
    assert table.distances()["arcs"] == pytest.approx(nearest, rel=0.05)


@pytest.mark.slow
def test_a_horseshoe_is_smaller_where_bends_are_large():
    """By the outline, on nitride; what else is there a designer would use it for?"""
    tech = pdk.load("sin800")
    areas = [layout.build(Awg.on(tech, array=array), tech).dbbox().area() for array in ("rectangular", "horseshoe")]
    assert areas[1] < 0.8 * areas[0]


@pytest.mark.parametrize("values", [{}, {"array": "horseshoe"}, {"heaters": True}])
def test_the_extent_is_that_of_the_mask(soi220, values):
    """Arms are drawn about their axes: half a width more on each side; below the star couplers are the ports."""
    dev = Awg.on(soi220, dummies=0, port_pitch=2.0, **values)
    width, height = (float(v) for v in dev.extent(soi220))
    box = layout.build(dev, soi220).dbbox()
    half = dev.width_arm / 2
    if dev.array != "s_shaped":  # there the second star coupler lies on top, its ports above it
        assert box.top == pytest.approx(height + half, abs=0.2)
    assert box.width() == pytest.approx(width + 2 * half, abs=2.0 if dev.array == "horseshoe" else 0.2)
    slope = jax.grad(lambda p: jnp.prod(jnp.stack(dev.replace(focal_length=p).extent(soi220))))(dev.focal_length)
    area = lambda p: float(np.prod(dev.replace(focal_length=p).extent(soi220)))
    assert float(slope) == pytest.approx(
        (area(dev.focal_length + 1e-3) - area(dev.focal_length - 1e-3)) / 2e-3, rel=1e-5
    )


def test_a_heater_turns_its_own_arm(soi220):
    """2 pi/wl dn/dT theta P; the neighbours feel a hundredth of it, and less further away."""
    dev = Awg.on(soi220, heaters=True)
    wl = jnp.asarray([dev.comb.wl0])
    powers = tuple(1.0 if k == 20 else 0.0 for k in range(dev.arms))
    cold, warm = (np.asarray(d._arm_paths(wl, soi220))[0] for d in (dev, dev.replace(powers_mw=powers)))
    turned = 2 * np.pi / float(wl[0]) * (warm - cold)
    theta = float(thermal_resistance(soi220, "strip", dev.length_heater))
    slope = float(jax.grad(lambda t: soi220.at(Process(temperature_k=t)).n_eff("strip", wl[0], dev.width_arm))(0.0))
    # the arm's level is longer than the filament, and the substrate is warm beyond it: 2 % more
    assert turned[20] == pytest.approx(2 * np.pi / float(wl[0]) * slope * theta, rel=0.03)
    assert turned[20] > 2 * np.pi / float(wl[0]) * slope * theta
    assert np.all(np.delete(turned, 20) > 0)
    assert turned[[19, 21]].max() < 0.02 * turned[20]
    assert np.all(np.diff(turned[21:]) < 0)


def test_trimming_every_arm_puts_its_phase_back(soi220):
    """All but a straight line and a constant, which belong to the comb. Left: crosstalk of heat by the chip's own
    dn/dT against that which was solved for, and second orders."""
    dev = Awg.on(soi220, heaters=True)
    (block,) = blocks_of(soi220, dev)
    process, local = Variation.of(soi220).sample(jax.random.key(3), len(dev.sites), (block,))
    chip, wl0, k = soi220.at(process).with_mismatch(local), dev.comb.wl0, steps(dev.arms)
    paths = jax.jit(lambda d, c: d._arm_paths(jnp.asarray([wl0]), d._held(c))[0])

    def errors(device):
        off = np.asarray(paths(device, chip) - paths(dev, soi220)) * 2 * np.pi / wl0
        off = off - off.mean() - k * (off @ k) / (k @ k)
        return np.angle(np.exp(1j * off))

    trimmed = jax.jit(lambda c: dev.rebiased(wl0, c, soi220))(chip)
    powers = np.array([float(p) for p in trimmed.powers_mw])
    assert powers.min() == pytest.approx(0.0, abs=1e-9)
    assert powers.max() < bounds(Awg, soi220)["powers_mw"].upper
    assert errors(dev).std() > 0.5
    assert errors(dev.replace(powers_mw=tuple(powers))).std() < 0.005


def test_a_parabolic_horn_flattens_the_passband(soi220):
    """What it was published for (Okamoto & Sugita, Electron. Lett. 32, 1661 (1996)): a broader top for less than what
    a multimode section of the same bandwidth loses."""
    comb = Comb(193414 + np.arange(-950, 951, 5.0), 193414 + 200 * steps(8), 200.0)
    wl = jnp.asarray(299792.458 / comb.ghz)

    def seen(**values):
        dev = Awg.on(soi220, **values)
        db = decibel(jnp.abs(jax.jit(lambda wl: dev.transfer(wl, soi220))(wl)[:, 0, :].T) ** 2)
        top, loss = FIGURES["passband_ghz"](drop_db=1.0), FIGURES["insertion_loss_db"]()
        return float(top.measure(db, comb)[3]), float(loss.measure(db, comb).max())

    plain, horn = seen(), seen(flat_top="parabolic", width_horn=3.5, length_horn=10.0)
    section = seen(flat_top="mmi", width_horn=3.0, length_horn=6.0)
    assert horn[0] > 1.7 * plain[0]
    assert horn[0] > section[0]
    assert horn[1] < section[1] - 0.2


@pytest.mark.slow
@pytest.mark.exhaustive
def test_heaters_decide_about_the_yield_of_long_arms():
    """As fabricated no chip passes; with a heater on every arm nearly all do: intervals of 95 %."""
    problem = Problem(load_spec(Path(__file__).parent.parent / "layouts" / "awg_trimmed.yaml"))
    result = tolerance(problem, problem.measured, samples=30, chunk=30)
    assert [heat.unit for heat in result.heaters] == ["mW", "GHz"]
    assert result.trimmed.total.low > 0.7
    assert result.as_fabricated.total.high < 0.2
