"""Combs, links by frequency bins and pairs of chips as figures of a specification."""

import copy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from one_ring import ONE_RING, changed, warmer

from picq import pdk
from picq.design.optimise import optimise
from picq.design.problem import Problem
from picq.design.spec import load_spec, parse_spec
from picq.design.yaml_source import Source
from picq.errors import SpecError
from picq.quantum import figures
from picq.quantum.source import PairSource

LAYOUTS = Path(__file__).parents[1] / "layouts"
TECH = pdk.load("sin800")


COMB = {
    **ONE_RING,
    "source": yaml.safe_load(
        """
ring: ring
pump: {port: in, power_mw: 0.2}
pairs: 2
signal: out
idler: out
detectors: {efficiency: 0.8, dark_hz: 100, jitter_ps: 30, window_ps: 2000}
demultiplexers: {crosstalk_db: -30, loss_db: 1}
link: {kind: frequency_bins, mixing: {crosstalk_db: -25, loss_db: 3}}
"""
    ),
}
PULSES = {"port": "in", "power_mw": 0.05, "shape": "gaussian", "fwhm_ps": 100, "repetition_mhz": 500}


def spec_of(*targets, **changes):
    return changed(COMB, **changes, **({"targets": list(targets)} if targets else {}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": 1}, "two or more different pairs"),
        ({"pairs": [1, 1]}, "two or more different pairs"),
        ({"pairs": [2, 0]}, "outside what is allowed"),
        ({"pairs": [2, 3]}, "none of the comb's"),
        ({"pairs": ()}, "two or more"),
        ({"link": {"kind": "frequency_bin"}}, "frequency_bins"),
        ({"link": {"kind": "frequency_bins", "bins": [1, 3]}}, "a bin is none of the comb's pairs"),
        ({"link": {"kind": "frequency_bins", "mixing": {"crosstalk_db": 3}}}, "outside what is allowed"),
        ({"pairs": 12, "demultiplexers": {"crosstalk_db": -10}}, "more light would leak than there is"),
        ({"demultiplexers": {"loss_db": -1}}, "outside what is allowed"),
    ],
)  # fmt: skip
def test_sections_that_make_no_sense(changes, message):
    with pytest.raises(SpecError, match=message):
        spec_of(**{f"source__{key}": value for key, value in changes.items()})


def test_a_link_wants_pairs():
    data = copy.deepcopy(COMB)
    del data["source"]["pairs"]
    with pytest.raises(SpecError, match="frequency bins are pairs of a comb"):
        parse_spec(Source(data=data))


@pytest.mark.parametrize(
    ("figure", "changes", "message"),
    [
        ("indistinguishability", {}, "only a pulsed pump"),
        ("brightness_hz_mw2_ghz", {"source__pump": PULSES}, "lacks a continuous pump"),
        ("comb_car", {"source__pairs": [1, 2], "source__link": None}, None),
        ("chsh", {"source__link": None}, "lacks time-bin analysers or a `link`"),
    ],
)  # fmt: skip
def test_targets_that_the_source_lacks(figure, changes, message, monkeypatch):
    monkeypatch.setattr("picq.design.source_problem.check_source", lambda *_: None)  # numbers do not matter here
    if message is None:
        assert figure in Problem(spec_of({"figure": figure}, **changes), resolved=True).source.available
        return
    with pytest.raises(SpecError, match=message):
        Problem(spec_of({"figure": figure}, **changes), resolved=True)


def test_a_comb_figure_wants_pairs(monkeypatch):
    monkeypatch.setattr("picq.design.source_problem.check_source", lambda *_: None)
    data = copy.deepcopy(COMB)
    del data["source"]["pairs"], data["source"]["link"]
    data["targets"] = [{"figure": "comb_rate_hz", "min": 1.0}]
    with pytest.raises(SpecError, match="lacks several `pairs`"):
        Problem(parse_spec(Source(data=data)), resolved=True)


def test_only_what_is_asked_is_traced(monkeypatch):
    """Compilation is what takes long: without a target of theirs neither comb nor link nor a second chip is traced."""
    monkeypatch.setattr("picq.design.source_problem.check_source", lambda *_: None)

    def traced(figure, **changes):
        called = []
        for name in ("comb_figures", "frequency_bins"):
            real = getattr(figures, name)
            monkeypatch.setattr(figures, name, lambda *a, name=name, real=real: called.append(name) or real(*a))
        real = PairSource.lines_beside
        monkeypatch.setattr(PairSource, "lines_beside", lambda *a: called.append("beside") or real(*a))
        problem = Problem(spec_of({"figure": figure}, **changes), resolved=True)

        def look(kelvin):
            return problem.source.results(problem.measured, warmer(problem.tech, kelvin))

        found = jax.eval_shape(look, 0.0)
        monkeypatch.undo()
        monkeypatch.setattr("picq.design.source_problem.check_source", lambda *_: None)
        return called, found

    called, found = traced("pair_rate_hz")
    assert not called
    assert "visibility" not in found
    assert "comb_car" not in found
    called, found = traced("comb_car", source__link=None)
    assert called == ["comb_figures"]
    called, found = traced("visibility")
    assert set(called) == {"comb_figures", "frequency_bins"}
    called, found = traced("indistinguishability", source__pump=PULSES)
    assert called == ["beside"]
    assert found["indistinguishability"].shape == ()


def test_a_chip_on_its_nominal_technology_is_its_own_reference():
    """No second chip is computed; the figure is the purity to the bit."""
    problem = Problem(
        spec_of({"figure": "indistinguishability"}, {"figure": "purity"}, source__pump=PULSES, source__points=64),
        resolved=True,
    )
    one, other = np.asarray(problem.figures_array(problem.vector(problem.measured)))[:, 0]
    assert one == other
    assert 0.3 < one < 0.93


LINKED = ("visibility", "chsh", "qber", "key_rate_hz", "comb_rate_hz", "comb_uniformity_db", "comb_car")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "changes"),
    [
        pytest.param(LINKED, {}, id="continuous"),
        pytest.param(
            LINKED, {"source__pump": PULSES, "source__points": 64}, id="pulses", marks=pytest.mark.exhaustive
        ),
    ],
)  # fmt: skip
def test_gradients_of_combs_and_links(keys, changes):
    """To gap and temperature, against central differences of fourth order."""
    problem = Problem(spec_of(*({"figure": key} for key in keys), **changes), resolved=True)

    def found(x):
        circuit = problem.device(x[:1])
        tech = warmer(problem.tech, x[1])
        results = problem.source.results(circuit, tech)
        return jnp.stack([results[key] for key in keys])

    _against_differences(found, np.array([0.5, 1.0]), (1e-4, 0.1), keys)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_gradients_of_the_interference_of_two_chips():
    """On a chip that is 0.03 K warmer than the one beside; both have the gap."""
    asked = spec_of({"figure": "indistinguishability"}, source__pump=PULSES, source__points=96)
    problem = Problem(asked, resolved=True)

    def found(x):
        tech = warmer(problem.tech, x[1])
        return problem.source.results(problem.device(x[:1]), tech)["indistinguishability"][None]

    _against_differences(found, np.array([0.45, 0.03]), (1e-4, 1e-3), ["indistinguishability"])


def _against_differences(found, at, steps, keys):
    """1e-4 of each slope, and 1e-9 of a figure (of 4.3 dB) in a difference: series of the circuit leave out 1e-10."""
    exact, compiled = jax.jit(jax.jacfwd(found))(at), jax.jit(found)
    natural = [4.3 if key.endswith("_db") else abs(float(value)) for key, value in zip(keys, compiled(at), strict=True)]
    for k, h in enumerate(steps):
        step = h * np.eye(len(at))[k]
        near, far = (compiled(at + m * step) - compiled(at - m * step) for m in (1, 2))
        numeric = (8 * near - far) / (12 * h)
        for name, slope, want, size in zip(keys, exact[:, k], numeric, natural, strict=True):
            assert float(slope) == pytest.approx(float(want), abs=1e-4 * abs(float(want)) + 1e-9 * size / h), (name, k)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_chips_of_one_design_are_not_alike():
    """A chip whose walls turn light back beside the designed circuit, whose walls do not: not beside its own twin."""
    problem = Problem(
        spec_of({"figure": "indistinguishability"}, source__pump=PULSES, source__points=64), resolved=True
    )
    ring = problem.measured.instances["ring"]
    split = problem.measured.replace(instances={"ring": ring.replace(splitting_mhz=300.0)})
    look = jax.jit(lambda made, designed: problem.source.results(made, problem.tech, None, designed))
    same = look(problem.measured, problem.measured)
    assert float(same["indistinguishability"]) == pytest.approx(float(same["purity"]), abs=1e-12)
    other = look(split, problem.measured)
    assert float(other["indistinguishability"]) < float(same["indistinguishability"]) - 0.01


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_layout_with_frequency_bins():
    """Its targets are met, and more key is found than the layout's own values give."""
    problem = Problem(load_spec(LAYOUTS / "sfwm_frequency_bins.yaml"), resolved=True)
    design = optimise(problem)
    assert design.met
    start = float(problem.figures_array(problem.vector(problem.measured))[0, 0])
    assert design.figures["key_rate_hz"]["worst"] > start
