"""Delay spiral, time-bin analyser and pump filter: lengths on the mask, closed forms, what heaters and tolerance do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from klayout import db
from mismatch import at_sites

from picq import layout, pdk
from picq.components import DelaySpiral, PumpFilter, TimeBinAnalyser
from picq.errors import SpecError
from picq.sdict import excess, power

C_UM_PS = 299.792458
WL0 = 1.55
WL = jnp.linspace(1.545, 1.555, 7)
SIN800 = pdk.load("sin800")


@jax.jit
def light(dev, wl, tech):
    """An analyser's S-parameters, and its bins from o1."""
    return dev.model(wl, tech), dev.bins(wl, tech)


@jax.jit
def passed(dev, wl, tech):
    """Power that a filter passes, dB."""
    return 10 * jnp.log10(power(dev.model(wl, tech), "o1", "o2"))


@jax.jit
def turns(dev, tech):
    """Phases of an analyser's splitter and of its interferometer."""
    wl = jnp.asarray(WL0)
    (bottom, top), (short, long) = dev._splitter_arms(wl, tech), dev._arms(wl, tech)
    return jnp.angle(top / bottom), jnp.angle(short / long)


_balanced = jax.jit(lambda dev, tech: dev.balanced(WL0, tech))
_rebiased = jax.jit(lambda dev, chip, tech: dev.rebiased(WL0, chip, tech))


def balanced(dev, tech):
    """The analyser with balanced arms; its numbers are plain ones, so that ``light`` need not be compiled again."""
    return jax.tree.map(float, _balanced(dev, tech))


def rebiased(dev, chip, tech):
    """The device trimmed, likewise."""
    return jax.tree.map(float, _rebiased(dev, chip, tech))


def group_index(tech, wl=WL0):
    n, slope = jax.jvp(lambda w: tech.n_eff("strip", w), (jnp.asarray(wl),), (jnp.ones(()),))
    return float(n - wl * slope)


def guides(cell, tech):
    """The merged guide polygons of a cell, in its own database units."""
    layer = cell.kcl.layer(*tech.layer(tech.cross_section("strip").layer))
    return db.Region(cell.kdb_cell.begin_shapes_rec(layer)).merged()


@pytest.fixture(scope="module")
def analyser():
    """An analyser of 200 ps, the technology without losses, and wavelengths from WL0 on through two fringes."""
    dev = TimeBinAnalyser.on(SIN800, delay_um=28000.0, turns=4, core=60.0)
    period = WL0**2 / C_UM_PS / float(dev.delay_ps(WL0, SIN800))
    return dev, SIN800.lossless(), WL0 + period * jnp.linspace(0, 2, 201)


@pytest.fixture(scope="module")
def filtering(soi220):
    """A pump filter for channels 400 GHz off the pump; wavelengths of pump, signal, idler, and a band around them."""
    f0 = 1e3 * C_UM_PS / WL0
    wl = jnp.array([WL0, *(1e3 * C_UM_PS / (f0 + off) for off in (400.0, -400.0)), *np.linspace(1.54, 1.56, 37)])
    return PumpFilter.on(soi220).for_channels(WL0, 400.0, soi220), wl


# -- spiral --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "turns", "core"),
    [(2200.0, 1, 20.0), (6123.457, 2, 50.001), (28000.0, 4, 20.0), (28000.0, 8, 20.0), (59999.999, 8, 200.0)],
)
def test_the_mask_has_the_length(length, turns, core):
    """Area over width, end to end. All bends are rounded to the grid alike, so that their errors, of 0.3 nm, add up."""
    dev = DelaySpiral.on(SIN800, length=length, turns=turns, core=core)
    cell = layout.build(dev, SIN800)
    region = guides(cell, SIN800)
    assert region.count() == 1  # one guide: turns touch nowhere
    width = SIN800.cross_section("strip").width
    spiral = dev.spiral(SIN800)
    assert 1e-6 * region.area() / width == pytest.approx(length, abs=1e-3 + 0.5e-3 * spiral.bends)
    assert sum(section.length for section in spiral.sections()) == pytest.approx(length, abs=1.001e-3)
    assert sum(dev.paths(SIN800).values()) == pytest.approx(length, abs=1e-9)
    box = cell.dbbox()
    assert [box.width(), box.height()] == pytest.approx([float(v) for v in dev.extent(SIN800)], abs=0.05)
    assert cell.ports["o1"].center[1] == cell.ports["o2"].center[1]


def test_two_hundred_picoseconds_fit_into_half_a_square_millimetre():
    dev = DelaySpiral.on(SIN800, length=28000.0, turns=8)
    about = dev.about(SIN800)
    assert about["group_delay_ps"] == pytest.approx(198.5, abs=0.5)
    assert about["area_mm2"] < 0.5
    assert about["loss_db"] == pytest.approx(0.28, abs=0.01)  # 0.1 dB/cm


def test_group_delay_is_that_of_the_guide(soi220):
    """n_g L / c; bends add their index rise, 4e-5 of it here."""
    for tech, length in ((soi220, 5000.0), (SIN800, 9000.0)):
        dev = DelaySpiral.on(tech, length=length)
        assert float(dev.delay_ps(WL0, tech)) == pytest.approx(group_index(tech) * length / C_UM_PS, rel=1e-4)


def test_as_many_turns_as_the_length_allows_and_no_more():
    dev = DelaySpiral.on(SIN800, length=28000.0)
    most = dev.spiral(SIN800).most_turns()
    areas = [np.prod(dev.replace(turns=k).extent(SIN800)) for k in range(1, most + 1)]
    assert areas == sorted(areas, reverse=True)
    wound = dev.replace(turns=most + 1)
    with pytest.raises(SpecError, match=rf"set turns to {most} or less") as caught:
        wound.model(WL, SIN800)
    assert "at least" in str(caught.value)
    with pytest.raises(SpecError, match="turns"):
        dev.replace(turns=0)


def test_extent_feels_length_and_pitch():
    slope = jax.grad(lambda v: jnp.prod(jnp.stack(DelaySpiral(v["L"], v["p"], 20.0, 4).extent(SIN800))))
    at = {"L": 28000.0, "p": 11.5}
    numeric = {}
    for name in at:
        up, down = (np.prod(DelaySpiral(*{**at, name: at[name] + h}.values(), 20.0, 4).extent(SIN800)) for h in _STEP)
        numeric[name] = (up - down) / (_STEP[0] - _STEP[1])
    assert {k: float(v) for k, v in slope(at).items()} == pytest.approx(numeric, rel=1e-6)


_STEP = (1e-3, -1e-3)


# -- analyser ------------------------------------------------------------------------------------------------------


def test_short_and_long_add_up_to_the_model(analyser):
    dev, tech, wl = analyser
    s, bins = light(dev.replace(split_power_mw=40.0, phase_power_mw=17.0), wl, tech)
    for port in ("o3", "o4"):
        np.testing.assert_allclose(bins[("short", port)] + bins[("long", port)], s[("o1", port)], atol=1e-13)


def test_the_mask_has_the_delay(soi220):
    """Long less short arm, in the lengths that LVS compares and on the polygons of the spiral."""
    dev = TimeBinAnalyser.on(soi220, delay_um=3210.987)
    paths = dev.paths(soi220)
    long = sum(v for k, v in paths.items() if k.startswith("long/"))
    assert long - paths["short"] == pytest.approx(3210.987, abs=1e-9)
    width, spiral = soi220.cross_section("strip").width, dev.spiral(soi220)
    drawn = 1e-6 * guides(layout.build(spiral, soi220), soi220).area() / width
    assert drawn == pytest.approx(long, abs=1e-3 + 0.5e-3 * spiral.spiral(soi220).bends)
    cell = layout.build(dev, soi220)
    assert guides(cell, soi220).count() == 1  # arms and couplers touch: nothing is open
    assert cell.ports["o3"].center[1] == cell.ports["o2"].center[1]


def test_delay_is_group_index_times_difference(analyser):
    """Bends of the spiral but for the short arm's four: 5e-5 of it."""
    dev, _, _ = analyser
    delay = float(dev.delay_ps(WL0, SIN800))
    assert delay == pytest.approx(group_index(SIN800) * dev.delay_um / C_UM_PS, rel=1e-4)
    assert delay == pytest.approx(198.5, abs=0.5)


def test_splitter_sweeps_all_of_the_light_from_long_to_short(analyser):
    dev, tech, wl = analyser
    half_wave = np.pi / float(dev._split_per_mw(jnp.asarray(WL0), tech))
    shares = []
    for share in (0.0, 0.5, 1.0):
        _, bins = light(dev.replace(split_power_mw=share * half_wave), wl, tech)
        long, short = (sum(abs(v[0]) ** 2 for k, v in bins.items() if k[0] == arm) for arm in ("long", "short"))
        shares.append(float(long / (long + short)))
    assert shares[0] > 0.999  # couplers of 0.2 dB imbalance leave 5e-4
    assert shares[1] == pytest.approx(0.5, abs=0.04)
    assert shares[2] < 1e-6


def test_balanced_arms_interfere_completely(analyser):
    """At the combiner both are alike; behind it each port sees them by its coupler's imbalance. The fringes have the
    period of the delay."""
    dev, tech, wl = analyser
    s, bins = light(balanced(dev, tech), wl, tech)
    size = {k: abs(complex(v[0])) for k, v in bins.items()}
    long, short = (size[(arm, "o3")] * size[(arm, "o4")] for arm in ("long", "short"))
    assert long == pytest.approx(short, rel=1e-9)
    for port in ("o3", "o4"):
        a, b = size[("short", port)], size[("long", port)]
        assert 2 * a * b / (a**2 + b**2) > 0.999
    t, other = (np.asarray(power(s, "o1", port)) for port in ("o3", "o4"))
    assert np.corrcoef(t[:100], t[100:200])[0, 1] > 0.9999
    assert np.corrcoef(t, other)[0, 1] < -0.999  # what one port misses the other has
    assert t.min() < 1e-3 * t.max()


def test_a_lossy_delay_gets_so_much_more_light(analyser):
    """0.28 dB, the spiral's 28 mm more at 0.1 dB/cm: the splitter's cross to bar is cot of half its phase."""
    dev, ideal, _ = analyser
    per_mw = float(dev._split_per_mw(jnp.asarray(WL0), SIN800))
    shares = [np.tan(float(balanced(dev, tech).split_power_mw) * per_mw / 2) for tech in (ideal, SIN800)]
    assert 20 * np.log10(shares[0] / shares[1]) == pytest.approx(0.28, abs=0.005)


def test_each_bin_keeps_its_energy_without_losses(analyser):
    """Whatever the splitter is set to, all light from o1 is in the two bins, but for what ideal multimode couplers
    radiate, 1 % each and a little more or less with the phase of the two modes in them."""
    dev, tech, wl = analyser
    half_wave = np.pi / float(dev._split_per_mw(jnp.asarray(WL0), tech))
    for share in (0.0, 0.3, 0.7, 1.0):
        s, bins = light(dev.replace(split_power_mw=share * half_wave), wl, tech)
        short, long = (sum(abs(bins[(arm, port)]) ** 2 for port in ("o3", "o4")) for arm in ("short", "long"))
        total = np.asarray(short + long)
        assert (total > 0.965).all()
        assert (total < 1.0).all()
        np.testing.assert_allclose(short / total, np.sin(share * np.pi / 2) ** 2, atol=0.03)
        assert excess(s) < 1e-12


def test_heaters_restore_both_phases(analyser):
    dev, tech = analyser[0].replace(split_power_mw=40.0, phase_power_mw=20.0), SIN800
    offsets = jnp.array([0.0, 1.3, -0.8, 0.4, 0.6, -1.1, 0.2])
    chip = tech.with_mismatch(at_sites(len(offsets), width_nm=offsets, thickness_nm=0.3 * offsets))
    cases = ((dev, tech), (dev, chip), (rebiased(dev, chip, tech), chip))
    wanted, cold, got = (np.array(turns(*case)) for case in cases)
    assert (abs(np.angle(np.exp(1j * (cold - wanted)))) > 0.1).all()
    np.testing.assert_allclose(np.exp(1j * got), np.exp(1j * wanted), atol=1e-9)


# -- pump filter ---------------------------------------------------------------------------------------------------


def test_rejects_the_pump_and_passes_its_channels(filtering, soi220):
    dev, wl = filtering
    ideal, held = (np.asarray(passed(d, wl, soi220)) for d in (dev, dev.snapped()))
    assert ideal[0] < -150  # arms differ in loss, by 0.02 dB
    assert held[0] < -120  # 60 dB of reserve where the mask's grid has moved the null
    assert (held[1:3] > -0.4).all()
    assert (held[1:3] < 0.0).all()


def test_is_the_closed_form_without_losses(filtering, soi220):
    """Three equal lossless stages: (4 c² s² cos²(phi/2))³ with phi = 2 pi n dL / wl."""
    (dev, wl), ideal = filtering, soi220.lossless()
    s = jax.jit(lambda tech: dev._splitter(tech).model(wl, tech))(ideal)
    shares = power(s, "o1", "o4") * power(s, "o1", "o3")
    phase = 2 * jnp.pi * ideal.n_eff("strip", wl) * dev.delta_length / wl
    want = (4 * shares * jnp.cos(phase / 2) ** 2) ** dev.stages
    np.testing.assert_allclose(10 ** (passed(dev, wl, ideal) / 10), want, atol=1e-9)


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_a_wrong_coupler_leaves_the_null_and_costs_the_passband(filtering, soi220, share):
    dev, wl = filtering
    off = passed(dev.replace(coupler_length=dev.coupler_length * share), wl, soi220)
    assert off[0] < -150
    assert (off[1:3] < -2.0).all()


def test_unequal_couplers_and_arms_fill_the_null_until_heaters_restore_it(filtering, soi220):
    dev, wl = filtering
    assert len(dev.sites) == 4 * dev.stages
    offsets = jnp.array(np.random.default_rng(3).normal(size=len(dev.sites)))
    chip = soi220.with_mismatch(at_sites(len(offsets), width_nm=0.5 * offsets))
    cold, trimmed = (float(passed(d, wl, chip)[0]) for d in (dev, rebiased(dev, chip, soi220)))
    assert cold > -60.0
    assert trimmed < -90.0  # what is left: couplers of a stage that differ


def test_passband_feels_the_delay(filtering, soi220):
    dev, wl = filtering
    at = lambda v: passed(dev.replace(delta_length=v), wl, soi220)[5]
    got, h = float(jax.jvp(at, (dev.delta_length,), (1.0,))[1]), 1e-4
    want = float(at(dev.delta_length + h) - at(dev.delta_length - h)) / (2 * h)
    assert got == pytest.approx(want, rel=1e-5)


def test_stages_and_splitters_are_checked(soi220):
    with pytest.raises(SpecError, match="give 2 powers_mw"):
        PumpFilter.on(soi220, stages=2, powers_mw=(0.0,))
    with pytest.raises(SpecError, match="splitter"):
        PumpFilter.on(soi220, splitter="prism")
    assert "returns" in PumpFilter.on(soi220).notes(soi220)[0]
