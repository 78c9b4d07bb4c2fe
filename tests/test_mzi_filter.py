"""The chip of layouts/mzi_filter.yaml: its notches against closed forms, its rejection, its mask."""

import json
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import chebyshev

from picq.components import Coupler, Route, Straight
from picq.design.appraisal import as_drawn
from picq.design.spec import load_spec
from picq.errors import SpecError
from picq.job import Job
from picq.signoff.drc import drc

ROOT = Path(__file__).parents[1]
SPEC = ROOT / "layouts" / "mzi_filter.yaml"
SPLITTER = ROOT / "pdk" / "soi220" / "free_form" / "splitter.json"
C_UM_GHZ = 299792.458
CLASSICAL, QUANTUM, BAND, FSR = 193200.0, 193600.0, 12.5, 800.0  # GHz
NOTCHES = ("clean", "notch1", "notch2")
WL = np.linspace(1.52, 1.58, 61)


@pytest.fixture(scope="module")
def chip():
    """The layout script, as the specification reads it."""
    return SimpleNamespace(**runpy.run_path(str(SPEC.with_suffix(".py"))))


@pytest.fixture(scope="module")
def circuit(chip, soi220):
    """The chip without its fibre couplers, links of no length."""
    return chip.circuit(soi220).without("gc_*")


passed = jax.jit(lambda circuit, *args: circuit.transfer(*args), static_argnums=(3, 4))


def only(circuit, name):
    """One notch alone, from its input to its output, its parts without its name."""
    own = f"{name}_"
    parts = {k.removeprefix(own): v for k, v in circuit.instances.items() if k.startswith(own)}
    links = [(a.removeprefix(own), b.removeprefix(own)) for a, b in circuit.connections if a[: len(own)] == own]
    inside = tuple(link for link in links if {end.split(",")[0] for end in link} <= set(parts))
    return circuit.replace(instances=parts, connections=inside, exposed=(("in", "splitter,o1"), ("out", "combiner,o1")))


def through(notch, tech):
    """Its S at the wavelengths WL, [wl, in, out]."""
    return np.asarray(passed(notch, jnp.asarray(WL), tech, ("in", "out"), ("in", "out")))


def scattering(wl):
    """S of the splitter on the nominal chip, [wl, port, port], straight from its file."""
    saved = json.loads(SPLITTER.read_text())
    c = (np.array(saved["real"]) + 1j * np.array(saved["imaginary"])).reshape(saved["shape"])
    ends = [(v["lower"], v["upper"]) for v in saved["variables"]]
    at = [np.atleast_1d(wl), np.zeros(1), np.zeros(1)]  # wavelength, change of width, change of index
    bases = [
        chebyshev.chebvander((2 * x - a - b) / (b - a), n - 1)
        for x, (a, b), n in zip(at, ends, c.shape[:3], strict=True)
    ]
    return np.einsum("wi,j,k,ijkab->wab", bases[0], bases[1][0], bases[2][0], c)


def closed_form(arms, wl, tech):
    """(through, back) of two equal splitters back to back: t' D a and s11 + t' D R D a with a = (1 - R D R D)^-1 t; t
    leads into the arms, R is what turns back there, D are the arms as routes of their length."""
    s, radius = scattering(wl), tech.cross_section("strip").radius
    straights = [arms.length_x + 2 * arms.length_y + extra for extra in (arms.delta_length, 0.0)]
    assert float(arms.length(tech)) == arms.length_x + 4 * radius
    paths = [np.asarray(Route(length=v, bends=4).model(jnp.asarray(wl), tech)["o1", "o2"]) for v in straights]
    d = np.stack([np.diag(pair) for pair in zip(*paths, strict=True)])
    t, r = s[:, 1:, 0], s[:, 1:, 1:]
    arrived = d @ np.linalg.solve(np.eye(2) - r @ d @ r @ d, t[..., None])
    return (t[:, None] @ arrived)[:, 0, 0], s[:, 0, 0] + (t[:, None] @ d @ r @ arrived)[:, 0, 0]


@pytest.mark.parametrize("delay", [0.0, 89.3, 143.217])
def test_a_notch_is_its_splitters_and_arms(circuit, soi220, delay):
    notch = only(circuit, "clean")
    arms = notch.instances["arms"].replace(delta_length=delay)
    found = through(notch.replace(instances={**notch.instances, "arms": arms}), soi220)[:, 0]
    np.testing.assert_allclose(found[:, ::-1].T, closed_form(arms, WL, soi220), atol=1e-9)
    assert np.abs(found[:, 1]).max() > 0.97  # the light of both arms comes together again


def test_all_three_notches_are_equal_and_mirrored(circuit, soi220):
    clean, *others = (through(only(circuit, name), soi220) for name in NOTCHES)
    np.testing.assert_allclose(clean, clean[:, ::-1, ::-1], atol=1e-13)
    for other in others:
        np.testing.assert_allclose(other, clean, atol=1e-13)


def whole(tech, ghz):
    """Length (um) near c/(n_g FSR) that holds a whole number of wavelengths at a frequency."""
    wl = C_UM_GHZ / ghz
    n, slope = jax.jvp(lambda at: tech.n_eff("strip", at), (jnp.asarray(wl),), (jnp.ones(()),))
    rough = C_UM_GHZ / (float(n - wl * slope) * FSR)
    return round(rough * float(n) / wl) * wl / float(n)


def designed(circuit, tech):
    """The chip by closed forms: half the power crosses each coupler, delays hold whole numbers of wavelengths."""
    coupler = lambda length: Coupler.on(tech, length=length).model(jnp.asarray(C_UM_GHZ / 193400.0), tech)["o1", "o3"]
    bends, longer = (np.arcsin(abs(complex(coupler(length)))) for length in (0.0, 10.0))
    half = 10.0 * (np.pi / 4 - bends) / (longer - bends)
    parts = dict(circuit.instances)
    parts["split"] = parts["split"].replace(coupler_lengths=(half, half), delays=(whole(tech, QUANTUM),))
    for name, ghz in (("clean", CLASSICAL), ("notch1", QUANTUM), ("notch2", QUANTUM)):
        parts[f"{name}_arms"] = parts[f"{name}_arms"].replace(delta_length=whole(tech, ghz))
    return circuit.replace(instances=parts).snapped()


def test_rejection_is_that_of_the_cascade(circuit, soi220):
    """Notches by their closed form. Into the interleaver's upper output go t² a + x² of the light, into its lower one
    t x (a + 1): t and x are its coupler's, a is a straight as long as its delay."""
    made = designed(circuit, soi220)
    wl = C_UM_GHZ / np.add.outer([CLASSICAL, QUANTUM], [-BAND, 0.0, BAND])
    amplitude = passed(made, jnp.asarray(wl), soi220, ("in",), ("classical", "quantum"))
    db = 20 * np.log10(np.abs(np.asarray(amplitude))[..., 0, :])  # [channel, offset, output]
    split = made.instances["split"]
    coupler = Coupler.on(soi220, length=split.coupler_lengths[0])
    t, x = (np.asarray(coupler.model(jnp.asarray(wl), soi220)["o1", port]) for port in ("o4", "o3"))
    delayed = np.asarray(Straight(length=split.delays[0]).model(jnp.asarray(wl), soi220)["o1", "o2"])
    pairs = (made.instances[f"{name}_arms"] for name in NOTCHES)
    (clean, _), (one, back), (two, again) = (
        (v.reshape(wl.shape) for v in closed_form(pair, wl.ravel(), soi220)) for pair in pairs
    )
    classical = (t**2 * delayed + x**2) * clean
    quantum = t * x * (delayed + 1) * one * two / (1 - back * again)  # what a notch stops, it partly returns
    ideal = 20 * np.log10(np.abs(np.stack([classical, quantum], axis=-1)))
    targets = {t.figure: t.bound for t in load_spec(SPEC).targets}
    for own, other in ((0, 1), (1, 0)):
        assert -db[own, :, own].min() < targets["insertion_loss_db"]
        assert db[other, :, own].max() - db[own, :, own].min() < targets["crosstalk_db"]
        # what all light loses is taken out
        leaked = lambda values, own=own, other=other: values[other, :, own] - values[own, 1, own]
        np.testing.assert_allclose(leaked(db), leaked(ideal), atol=0.1)


@pytest.mark.slow
def test_the_chip_is_drawn_and_signed_off(tmp_path, soi220):
    job = Job.read(SPEC)
    made = job.chip(None)
    gds, _ = made.write(tmp_path)
    rules = drc(gds, soi220.platform.rules, waivers=made.made.waivers)
    connections = made.lvs(gds)
    assert rules.passed, rules.findings
    assert connections.passed, connections.findings
    lengths = {row["segment"]: row for row in connections.figures["lengths"]}
    for name in NOTCHES:
        top, bottom = (lengths[f"{name}_arms/{arm}"]["mask_um"] for arm in ("top", "bottom"))
        delay = made.circuit.instances[f"{name}_arms"].delta_length
        assert top - bottom == pytest.approx(delay, abs=2e-3)


@pytest.mark.slow  # compiles the chip's loss
def test_a_design_holds_the_digest_of_its_splitters():
    problem = Job.read(SPEC).problem
    design = as_drawn(problem)
    kept = {name: values["sha256"] for name, values in design.parameters.items() if "sha256" in values}
    assert set(kept) == {
        f"{notch}_{end}" for notch in ("clean", "notch1", "notch2") for end in ("splitter", "combiner")
    }
    other = replace(design, parameters={**design.parameters, "clean_splitter": {"sha256": "0" * 16}})
    with pytest.raises(SpecError, match="another one than it was"):
        _ = other.circuit(problem).instances["clean_splitter"].saved
