"""The pair of arms: its mask, its trimming, and the interferometer that it is a part of."""

import jax.numpy as jnp
import klayout.db as kdb
import numpy as np
import pytest
from mismatch import at_sites

from picq import drawing, layout, pdk
from picq.circuit import Circuit
from picq.components import ArmPair, Mmi1x2, Mzi
from picq.device import bounds
from picq.optics.coupler import pairing
from picq.optics.waveguide import BEND_P
from picq.technology import Process


@pytest.mark.parametrize("delay", [0.0, 60.002])
def test_mask_and_model_of_the_arms_have_one_length(soi220, delay):
    """Area over width of what is drawn; the ends stay where they are, and face each other's."""
    arms = ArmPair.on(soi220, delta_length=delay, pitch=1.0, power_mw=1.0)
    cell = layout.build(arms, soi220)
    lengths = arms.paths(soi220)
    assert lengths["top"] - lengths["bottom"] == pytest.approx(delay, abs=1e-12)
    region = kdb.Region(cell.kdb_cell.begin_shapes_rec(cell.kcl.layer(*soi220.layer("waveguide")))).merged()
    assert region.count() == 2
    assert region.area() * 1e-6 / 0.5 == pytest.approx(sum(lengths.values()), abs=2e-3)
    right = 120.0 + 4 * 10.0
    assert arms.length(soi220) == right
    expected = {"o1": (0.0, -0.5), "o2": (0.0, 0.5), "o3": (right, 0.5), "o4": (right, -0.5)}
    assert {p.name: tuple(np.round(p.center, 9)) for p in cell.ports if p.name in expected} == expected


def test_trimming_restores_the_phase_between_the_arms(soi220):
    """On a chip 5 nm too wide whose arms differ; the interferometer sees their ratio only."""
    arms = ArmPair.on(soi220, delta_length=89.3, power_mw=3.0)
    made = soi220.at(Process(width_nm=5.0)).with_mismatch(at_sites(2, width_nm=jnp.array([0.3, -0.2])))
    wl0 = 1.55

    def between(pair, tech):
        s = pair.model(jnp.asarray(wl0), tech)
        return complex(s["o2", "o3"] * jnp.conj(s["o1", "o4"]))

    trimmed = arms.rebiased(wl0, made, soi220)
    wanted, rough, found = between(arms, soi220), between(arms, made), between(trimmed, made)
    assert abs(np.angle(rough / wanted)) > 0.3
    assert abs(np.angle(found / wanted)) < 1e-9
    assert 0 < float(trimmed.power_mw) < 55.0
    warmer = between(arms.replace(power_mw=float(trimmed.power_mw) + 1.0), made)
    assert float(trimmed.power_mw) < 2 * np.pi / np.angle(warmer / found)  # the least: a turn less would be negative


def test_between_two_splitters_it_is_an_mzi(soi220):
    """As a circuit and as one device, each part with its own offset; the splitters of the model return nothing."""
    offsets = jnp.array([0.2, 0.5, -0.4, 0.1])  # splitter, top, bottom, combiner
    wl, whole = jnp.linspace(1.53, 1.57, 5), Mzi.on(soi220, delta_length=31.4, power_mw=4.0)
    expected = whole.model(wl, soi220.with_mismatch(at_sites(4, width_nm=offsets)))["o1", "o2"]
    mmi = Mmi1x2.on(soi220)
    chip = Circuit(
        {"a": mmi, "arms": ArmPair.on(soi220, delta_length=31.4, power_mw=4.0, pitch=mmi.pitch), "b": mmi},
        (("a,o2", "arms,o2"), ("a,o3", "arms,o1"), ("arms,o3", "b,o2"), ("arms,o4", "b,o3")),
        (("o1", "a,o1"), ("o2", "b,o1")),
    )
    found = chip.model(wl, soi220.with_mismatch(at_sites(4, width_nm=offsets)))["o1", "o2"]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.ptp(np.abs(expected)) > 0.3


GUIDES = [(tech, xs) for tech in map(pdk.load, pdk.names()) for xs in tech.couplers]


@pytest.mark.parametrize(("tech", "xs"), GUIDES, ids=[f"{tech.name}-{xs}" for tech, xs in GUIDES])
def test_at_the_least_pitch_little_couples_where_the_arms_part(tech, xs):
    """Less than -40 dB at either end, kappa summed along the drawn bends: what the model leaves out."""
    guide = tech.cross_section(xs)
    layout.activate(tech)
    bend = np.asarray(drawing.euler(guide.radius, 90.0, BEND_P).points)
    gaps = bounds(ArmPair, tech, xs)["pitch"].lower - guide.width + 2 * bend[:, 1]
    kappa = np.asarray(pairing(tech, xs, jnp.array([1.55])).kappa(jnp.asarray(gaps)))[0]
    steps = np.hypot(*np.diff(bend, axis=0).T)
    phase = np.sum(steps * (kappa[1:] + kappa[:-1]) / 2)
    assert 0 < np.sin(phase) ** 2 < 1e-4
