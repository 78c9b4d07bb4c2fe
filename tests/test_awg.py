"""The arrayed-waveguide grating as a device: five designs on the mask, refusals, trimming, variation of its arms."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from klayout import db
from test_devices import check_mask, drawn, shuffled

from picq import layout, pdk
from picq.components import Awg
from picq.design.figures import FIGURES, Comb, decibel
from picq.design.optimise import as_drawn, optimise
from picq.design.problem import Problem
from picq.design.spec import load_spec
from picq.design.tolerance import tolerance
from picq.design.variation import Variation, blocks_of
from picq.device import bounds
from picq.errors import SpecError
from picq.optics.diffraction import steps
from picq.optics.phase_shifter import thermal_resistance
from picq.sdict import dense, excess
from picq.signoff.extract import extract
from picq.technology import Process

DESIGNS = {
    "8x200": {"outputs": 8},
    "16x100": {"outputs": 16, "spacing_ghz": 100.0},
    "16x200": {"outputs": 16},
    "cwdm": {"outputs": 4, "spacing_nm": 20.0, "center_thz": 193.1},
    "32x100": {"outputs": 32, "spacing_ghz": 100.0},
}
LEVELS = [[], [pytest.mark.slow], [pytest.mark.slow, pytest.mark.exhaustive]]
FAST = {("soi220", "8x200"), ("soi220", "cwdm")}
FEW = {("sin800", "8x200"), ("sin800", "32x100"), *(("soi220", name) for name in DESIGNS)}
CASES = [
    pytest.param(tech, name, marks=LEVELS[((tech, name) not in FAST) + ((tech, name) not in FEW)])
    for tech in ("soi220", "sin400", "sin800")
    for name in DESIGNS
]


def measured(dev, tech, mask, cell):
    """(length, width) of every arm's sections on a mask."""
    segments = layout.segments(cell)
    guides = [db.Region(mask.top_cell().begin_shapes_rec(mask.layer(*layer))) for layer in tech.guide_layers]
    got = extract(guides, mask.dbu, segments)
    return {name: tuple(got.guide(name, segments[name])) for name in dev.paths(tech) if name.startswith("arm")}


@pytest.mark.parametrize(("tech", "name"), CASES)
def test_designs_are_clean_and_their_arms_are_on_the_mask(tech, name):
    """0.03 rad rms is what is asked of the mask on silicon; naive rounding gives 0.28."""
    tech = pdk.load(tech)
    dev = Awg.on(tech, **DESIGNS[name])
    check_mask(dev, tech)
    mask, cell = drawn(dev, tech)
    figures = dev.mask_figures(dev.as_measured(measured(dev, tech, mask, cell), tech), tech)
    assert figures["phase_error_rms_rad"] < 0.03
    assert abs(figures["comb_shift_ghz"]) < 0.5
    # a grid step on the increment is what the comb may be off by: f 0.5 nm/(n_g/n dL)
    peaks = dev.transfer(jnp.asarray(dev.comb.wl), tech)[:, 0, :]
    loss = -20 * np.log10(np.abs(np.diag(np.asarray(peaks))))
    assert loss.max() < 5.0
    assert np.all(np.abs(np.asarray(peaks)).argmax(axis=1) == np.arange(dev.outputs))


@pytest.mark.parametrize(
    "values",
    [
        {"port_pitch": 127.0},
        {"inputs": 16, "outputs": 1},
        {"array": "s_shaped"},
        {"array": "horseshoe", "port_pitch": 127.0},
        {"array": "horseshoe", "inputs": 8, "fsr_ghz": 1600.0},
        {"array": "horseshoe", "tilt_deg": 24.0},
        {"heaters": True, "length_heater": 60.0},
    ],
)
@pytest.mark.slow
def test_other_forms_are_clean(soi220, values):
    check_mask(Awg.on(soi220, **values), soi220)


@pytest.mark.parametrize("end", ["lower", "upper"])
@pytest.mark.parametrize("kind", ["mmi", "parabolic"])
def test_flat_top_inputs_are_clean_at_both_ends(soi220, kind, end):
    ends = {name: getattr(bounds(Awg, soi220)[name], end) for name in ("width_horn", "length_horn")}
    check_mask(Awg.on(soi220, flat_top=kind, **ends), soi220)


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
@pytest.mark.parametrize("name", VARIANTS)
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


def test_a_multimode_input_against_the_reference(soi220):
    """Reference design, 8x200 GHz on silicon: 3.58 dB, 104 GHz at -3 dB, adjacent -37.8 dB. The section's size is not
    told: one of 3 um by 4 um has the first two within 0.1 dB and 2 GHz, and the third is met."""
    dev = Awg.on(soi220, flat_top="mmi", width_horn=3.0, length_horn=4.0)
    comb = Comb(193414 + np.arange(-950, 951, 5.0), 193414 + 200 * steps(8), 200.0)
    wave = jax.jit(lambda wl: dev.transfer(wl, soi220))(jnp.asarray(299792.458 / comb.ghz))
    db = decibel(jnp.abs(wave[:, 0, :].T) ** 2)
    loss = float(FIGURES["insertion_loss_db"]().measure(db, comb).max())
    assert loss == pytest.approx(3.58, abs=0.1)
    assert float(FIGURES["passband_ghz"](drop_db=3.0).measure(db, comb)[3]) == pytest.approx(104, abs=2)
    assert float(FIGURES["adjacent_crosstalk_db"]().measure(db, comb).max()) < -37.8
    plain = Awg.on(soi220)
    narrow = decibel(jnp.abs(plain.transfer(jnp.asarray(299792.458 / comb.ghz), soi220)[:, 0, :].T) ** 2)
    assert float(FIGURES["passband_ghz"](drop_db=3.0).measure(narrow, comb)[3]) < 85


def test_a_router_is_cyclic(soi220):
    """Input i reaches output o with channel i + o, modulo N, where the free spectral range is N spacings."""
    dev = Awg.on(soi220, inputs=8, outputs=8, fsr_ghz=1600.0)
    t = np.abs(np.asarray(jax.jit(lambda wl: dev.transfer(wl, soi220))(jnp.asarray(dev.comb.wl)))) ** 2
    best = t.argmax(axis=2)  # [channel, input]
    channel, entry = np.mgrid[0:8, 0:8]
    assert np.array_equal(best, (channel - entry + 4) % 8)


def test_a_longer_arm_on_the_mask_is_found_and_changes_the_light(soi220):
    """50 nm more in the upright of one arm is 2 pi n/wl 0.05 um = 0.545 rad of that arm."""
    dev = Awg.on(soi220)
    mask, cell = drawn(dev, soi220)
    found = measured(dev, soi220, mask, cell)
    as_drawn = dev.as_measured(found, soi220)
    length, width = found["arm20/in_upright"]
    moved = dev.as_measured({**found, "arm20/in_upright": (length + 0.05, width)}, soi220)
    change = np.asarray(moved.offsets) - np.asarray(as_drawn.offsets)
    assert change[20] == pytest.approx(0.05, abs=1e-9)
    assert np.abs(np.delete(change, 20)).max() < 1e-12
    wl = jnp.asarray(dev.comb.wl)
    phases = [np.angle(np.asarray(d._arm_amplitudes(wl, soi220))) for d in (as_drawn, moved)]
    turned = (phases[1] - phases[0] + np.pi) % (2 * np.pi) - np.pi
    n = float(soi220.n_eff("strip", wl[3], 0.8))
    assert turned[3, 20] == pytest.approx(2 * np.pi * n * 0.05 / float(wl[3]), abs=1e-6)
    wider = dev.as_measured({**found, "arm20/in_upright": (length, width + 1e-3)}, soi220)
    slope = float(jax.grad(lambda w: soi220.n_eff("strip", wl[3], w))(0.8)) / n
    change = np.asarray(wider.offsets) - np.asarray(as_drawn.offsets)
    assert change[20] == pytest.approx(slope * 1e-3 * length, rel=0.01)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"fsr_ghz": 1000.0}, "free spectral range is smaller"),
        ({"arm_pitch": 8.0, "array": "rectangular"}, "distance of neighbouring levels"),
        ({"arm_pitch": 3.2, "length_taper": 80.0, "pitch": 2.6}, "straights behind the apertures"),
        ({"width_io": 2.7, "focal_length": 150.0}, "distance of neighbouring ports' apertures"),
        ({"outputs": 4, "spacing_nm": 20.0, "array": "rectangular"}, "distance of neighbouring levels"),
        ({"spacing_nm": 1.6, "spacing_ghz": 200.0}, "the spacing is given twice"),
        ({"array": "round"}, "unknown array"),
        ({"flat_top": "square"}, "unknown flat_top"),
        ({"flat_top": "mmi", "width_horn": 2.4, "width_io": 2.6}, "width of the horns"),
        ({"array": "horseshoe", "width_arm": 0.8}, "of one width"),
        ({"array": "horseshoe", "arm_pitch": 6.0}, "awg.arm_pitch is for"),
        ({"array": "horseshoe", "heaters": True}, "no straights for heaters"),
        ({"array": "horseshoe", "tilt_deg": 0.0, "half_span": 150.0, "half_length": 330.0}, "straights behind"),
        ({"array": "horseshoe", "tilt_deg": 0.0, "half_span": 40.0, "half_length": 300.0}, "radius of the arcs"),
        ({"array": "horseshoe", "outputs": 4, "spacing_nm": 20.0}, "no horseshoe"),
        ({"half_span": 100.0}, "awg.half_span is for"),
        ({"powers_mw": (1.0,) * 54}, "heaters: true"),
        ({"heaters": True, "array": "rectangular"}, "distance of neighbouring levels"),
        ({"arms": 3}, "awg.arms"),
        ({"outputs": 2.5}, "awg.outputs"),
        ({"offsets": (0.0,) * 10, "arms": 53}, "awg.offsets"),
        ({"width_arm": 1.2, "pitch": 1.4, "gap": 0.4}, "apertures of the array against the arms"),
    ],
)
def test_impossible_geometry_says_what_fails_by_how_much_and_what_helps(soi220, values, told):
    with pytest.raises(SpecError, match=told) as caught:
        Awg.on(soi220, **values)
    assert caught.value.got is not None
    assert caught.value.allowed is not None


def test_the_comb_comes_back_by_temperature_and_by_light_that_follows(soi220):
    """1 nm of width moves the comb by f dn/n_g = 20 GHz; either way it is back within 0.2 GHz."""
    dev = Awg.on(soi220)
    chip = soi220.at(Process(width_nm=2.0, thickness_nm=-1.0))
    wl0 = dev.comb.wl0
    trimmed = dev.rebiased(wl0, chip, soi220)
    wl = jnp.asarray(299.792458 / (193.414 + 0.1 + np.linspace(-0.05, 0.05, 201)))

    def middle(device, tech):
        power = np.abs(np.asarray(jax.jit(lambda wl: device.transfer(wl, tech))(wl))[:, 0, 4]) ** 2
        fit = np.polyfit(np.linspace(-50, 50, 201), np.log(power), 2)
        return -fit[1] / (2 * fit[0])

    wanted = middle(dev, soi220)
    assert abs(float(trimmed.grid_ghz)) > 50
    for device in (
        dev.replace(grid_ghz=float(trimmed.grid_ghz)),
        dev.replace(setpoint_k=float(dev.rebiased(wl0, soi220.at(Process(width_nm=2.0)), soi220).setpoint_k)),
    ):
        tech = chip if device.grid_ghz else soi220.at(Process(width_nm=2.0))
        assert middle(device, tech) == pytest.approx(wanted, abs=0.2)


def test_arms_vary_as_means_of_a_field_over_their_paths(soi220):
    """Rough side walls leave sigma² 2 L_c/L in every arm by itself. A smooth field far longer than the array has the
    structure function 2 sigma² d/L_c between neighbours at the distance d: only 1e-4 of its variance."""
    dev = Awg.on(soi220)
    lengths = dev.table(soi220)
    (tracks,) = dev.tracks(soi220)
    points = np.stack(list(tracks.values()))
    length = np.hypot(*np.moveaxis(np.diff(points, axis=1), -1, 0)).sum(axis=1) * 32 / 31
    drawn_lengths = np.asarray(lengths.slant.sum(0) + lengths.upright.sum(0) + lengths.level)
    assert np.all(np.abs(length - drawn_lengths) < 100)  # less tapers and bends

    def factor(fields):
        platform = dataclasses.replace(soi220.platform, variation={"fields": {"width_nm": fields}})
        (block,) = blocks_of(dataclasses.replace(soi220, platform=platform), dev)
        return block.factors["width_nm"]

    a = factor([{"sigma": 2.0, "length_um": 0.05}])
    covariance = a @ a.T
    got = np.diag(covariance) / (2.0**2 * 2 * 0.05 / length)
    assert np.all(np.abs(got - 1) < 0.1)  # the common part, 1/53, is taken out
    a = factor([{"sigma": 1.0, "length_um": 10_000.0}])
    covariance = a @ a.T
    difference = covariance[20, 20] + covariance[21, 21] - 2 * covariance[20, 21]
    apart = np.hypot(*(points[20] - points[21]).T).mean()
    assert 0 < difference < 2 * apart / 10_000.0
    assert np.abs(covariance.sum(axis=0)).max() < 1e-9


def test_local_variation_of_arms_is_the_block_and_not_the_mismatch_of_separate_places(soi220):
    dev = Awg.on(soi220)
    (block,) = blocks_of(soi220, dev)
    sample = jax.jit(lambda key: Variation.of(soi220).sample(key, len(dev.sites), (block,))[1].thickness_nm)
    drawn_ones = np.stack([np.asarray(sample(jax.random.key(seed))) for seed in range(400)])
    a = block.factors["thickness_nm"]
    expected = np.sqrt(np.diag(a @ a.T))
    got = drawn_ones[:, block.places].std(axis=0)
    assert np.all(np.abs(got / expected - 1) < 5 / np.sqrt(2 * 400))  # five standard errors
    assert drawn_ones[:, 0].std() == pytest.approx(0.088, rel=0.15)  # the star coupler: local sigma


def test_arms_with_mismatch_equal_arms_of_that_width(soi220):
    """First order in local offsets: 0.1 nm against the tables themselves leaves k0 d2n/dw2 (0.1 nm)² L/2 < 1e-4 rad."""
    dev = Awg.on(soi220)
    wl = jnp.asarray(dev.comb.wl[:2])
    sites = len(dev.sites)
    local = Process(*(jnp.zeros(sites) for _ in range(5)))
    shifted = local.__class__(jnp.full(sites, 0.1), *(jnp.zeros(sites) for _ in range(4)))
    one = dev._arm_amplitudes(wl, soi220.with_mismatch(shifted))
    two = dev._arm_amplitudes(wl, soi220.at(Process(width_nm=0.1)))
    assert np.abs(np.angle(np.asarray(one / two))).max() < 1e-4
    assert np.array_equal(steps(3), [-1.0, 0.0, 1.0])


def test_about_tells_free_spectral_range_delay_and_polarisation(soi220):
    """Delay: group index times the mean length of arms and slabs over c, within what tapers and bends add (2 %)."""
    dev = Awg.on(soi220)
    about = dev.about(soi220)
    assert about["free_spectral_range_ghz"] == pytest.approx(3172, abs=1)  # the reference design
    table = dev.table(soi220)
    arms = float(np.mean(table.slant.sum(0) + table.upright.sum(0) + table.level + 2 * table.arc)) + 2 * (16.64 + 20)
    slabs = 2 * dev.focal_length * 3.6  # group index of the film
    assert about["group_delay_ps"] == pytest.approx((3.906 * arms + slabs) / 299.792458, rel=0.02)
    assert abs(about["polarisation_shift_ghz"]) < about["free_spectral_range_ghz"]
    assert about["arm_coupling_db"] < -100


@pytest.mark.slow
def test_heaters_decide_about_the_yield_of_long_arms():
    """As fabricated no chip passes; with a heater on every arm nearly all do: intervals of 95 %."""
    problem = Problem(load_spec(Path(__file__).parent.parent / "layouts" / "awg_trimmed.yaml"))
    result = tolerance(problem, problem.measured, samples=30, chunk=30)
    assert [heat.unit for heat in result.heaters] == ["mW", "GHz"]
    assert result.trimmed.total.low > 0.7
    assert result.as_fabricated.total.high < 0.2


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_joint_optimum_is_smaller_and_has_less_crosstalk_than_the_analytic_design():
    """Apertures, lengths of the arms, their pitch, tapers and focal length: 30 % smaller and 6 dB better at once."""
    problem = Problem(load_spec(Path(__file__).parent.parent / "layouts" / "awg_8x200_compact.yaml"))
    analytic, found = as_drawn(problem), optimise(problem)
    assert found.status == "met"
    assert found.figures["area_mm2"]["worst"] < 0.7 * analytic.figures["area_mm2"]["worst"]
    gained = [d.figures["nonadjacent_crosstalk_db"]["worst"] for d in (analytic, found)]
    assert gained[1] < gained[0] - 6.0
    check_mask(found.circuit(problem).instances["awg"], problem.tech)


@pytest.mark.slow
def test_optimised_apertures_beat_the_analytic_design_at_equal_area():
    """At least 6 dB less worst non-adjacent crosstalk; arms, their pitch and the focal length stay as they are."""
    problem = Problem(load_spec(Path(__file__).parent.parent / "layouts" / "awg_8x200.yaml"))
    analytic, found = as_drawn(problem), optimise(problem)
    gained = [d.figures["nonadjacent_crosstalk_db"]["worst"] for d in (analytic, found)]
    assert gained[1] < gained[0] - 6.0
    assert found.figures["adjacent_crosstalk_db"]["worst"] < -46
    assert found.figures["insertion_loss_db"]["worst"] < analytic.figures["insertion_loss_db"]["worst"] + 0.3
    boxes = [layout.build(c.instances["awg"], problem.tech).dbbox() for c in (problem.whole, found.circuit(problem))]
    assert boxes[1].area() == pytest.approx(boxes[0].area(), rel=1e-3)
