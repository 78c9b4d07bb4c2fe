"""Specifications: what is understood; each wrong entry is told by place, value, what is allowed and a remedy."""

import numpy as np
import pytest

from picq.design.result import changed
from picq.design.spec import load_spec, parse_spec
from picq.design.statistics import Yield
from picq.design.yaml_source import Source
from picq.errors import SpecError

GOOD = """\
name: demux
technology: soi220
seed: 1
circuit:
  instances:
    s1: {device: lattice_filter, parameters: {coupler_lengths: [14, 14], delays: [178.5], powers_mw: [0]}}
  ports: {in: "s1,o1", ch1: "s1,o3", ch2: "s1,o4"}
wavelengths: {center_thz: 193.4, span_ghz: 600, step_ghz: 10}
channels: {center_thz: 193.4, spacing_ghz: 200, input: in, outputs: [ch1, ch2]}
variables:
  - {parameter: s1.coupler_lengths, lower: 0, upper: 30}
  - {parameter: "s1.delays[0]", lower: 177.5, upper: 179.5}
targets:
  - {figure: insertion_loss_db, max: 1.0}
  - {figure: adjacent_crosstalk_db, max: -10, band_ghz: 5}
  - {figure: passband_ghz, min: 80, drop_db: 1.0}
optimise: {method: adam, starts: 4, steps: 100}
tolerance: {samples: 100, trim: [s1.powers_mw]}
"""


def load(tmp_path, text: str):
    path = tmp_path / "chip.yaml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path)


def test_good_specification(tmp_path):
    spec = load(tmp_path, GOOD)
    assert np.allclose(spec.channels.ghz, [193300, 193500])
    assert np.allclose(np.diff(spec.wavelengths.ghz), 10)
    assert spec.wavelengths.ghz.size == 61
    assert spec.labels == ("insertion_loss_db", "adjacent_crosstalk_db", "passband_ghz")
    assert [t.bound for t in spec.targets] == [1.0, -10.0, 80.0]


def test_wavelength_form(tmp_path):
    grid = "{start_um: 1.546, stop_um: 1.554, points: 99}"
    text = GOOD.replace("{center_thz: 193.4, span_ghz: 600, step_ghz: 10}", grid)
    ghz = load(tmp_path, text).wavelengths.ghz
    assert ghz.size == 99
    assert np.allclose(299792.458 / ghz[[0, -1]], [1.554, 1.546])


def test_yaml_exponents_are_numbers(tmp_path):
    assert load(tmp_path, GOOD.replace("span_ghz: 600", "span_ghz: 6e2")).wavelengths.ghz.size == 61


def test_digest_sees_values_not_spelling(tmp_path):
    spec = load(tmp_path, GOOD)
    same = load(tmp_path, "# a comment\n" + GOOD.replace("max: 1.0", "max: 1"))
    other = load(tmp_path, GOOD.replace("max: 1.0", "max: 0.9"))
    sampled = load(tmp_path, GOOD.replace("samples: 100", "samples: 200"))
    assert spec.digest() == same.digest() != other.digest()
    assert spec.digest() != sampled.digest()
    assert spec.digest("design") == sampled.digest("design") != other.digest("design")
    untrimmed = load(tmp_path, GOOD.replace("trim: [s1.powers_mw]", "trim: []"))
    assert spec.digest("design") != untrimmed.digest("design")


def test_a_changed_specification_is_told_with_what_to_do():
    assert "--resume" in changed("checkpoint", {"seed": 1}, {"seed": 2}).remedy
    told = changed("design", {"seed": 1}, {"seed": 2})
    assert "seed: 1 -> 2" in str(told)
    assert "--resume" not in told.remedy
    assert "`optimise` again" in told.remedy


WRONG = {
    "unknown name": ("max: 1.0", "maxx: 1.0", "chip.yaml:14: targets[0].maxx", "'maxx'", "did you mean 'max'"),
    "unknown section": ("seed: 1", "sed: 1", "chip.yaml:3: sed", "'sed'", "did you mean 'seed'"),
    "unknown figure": ("adjacent_crosstalk_db", "adjacent_crostalk", "targets[1].figure", "'adjacent_crostalk'",
                       "did you mean 'adjacent_crosstalk_db'"),
    "wrong unit": ("spacing_ghz: 200", "spacing_ghz: 0.2 THz", "channels.spacing_ghz", "'0.2 THz'", "write 200"),
    "text": ("lower: 0,", "lower: low,", "variables[0].lower", "'low'", "write a bare number"),
    "text in a list": ("lower: 0,", "lower: [0, x],", "variables[0].lower[1]", "'x'", "bare number"),
    "boolean": ("starts: 4", "starts: true", "optimise.starts", "True", "whole number >= 1"),
    "not whole": ("seed: 1", "seed: 1.5", "chip.yaml:3: seed", "1.5", "a whole number"),
    "centring without chips": ("starts: 4", "starts: 4, chips: 0, centring: 5", "optimise.centring", "chips 0",
                               "optimise.chips"),
    "outside": ("starts: 4", "starts: 0", "optimise.starts", "0", ">= 1"),
    "not finite": ("max: 1.0", "max: .nan", "targets[0].max", "nan", "a number"),
    "missing": ("technology: soi220\n", "", "technology", "missing", "add `technology:`"),
    "missing in a part": ("input: in, ", "", "chip.yaml:9: channels.input", "missing", "add `input:`"),
    "method": ("method: adam", "method: adm", "optimise.method", "'adm'", "did you mean 'adam'"),
    "twice in YAML": ("seed: 1\n", "seed: 1\nseed: 2\n", "chip.yaml:4: seed", "twice", "line 3"),
    "variable twice": ("s1.delays[0]", "s1.coupler_lengths[1]", "variables[1].parameter", "lengths[1]", "twice"),
    "no parameter": ('"s1.delays[0]"', "delays", "variables[1].parameter", "'delays'", "s1.delays[0]"),
    "bounds swapped": ("lower: 177.5", "lower: 180", "variables[1]", "180", "lower < upper"),
    "wrong side": ("min: 80", "max: 80", "targets[2]", "max", "write min"),
    "option of another": ("drop_db: 1.0", "band_ghz: 5", "targets[2].band_ghz", "5", "drop_db"),
    "gain": ("max: 1.0", "max: -1.0", "targets[0].max", "-1 dB", "passive"),
    "crosstalk above the signal": ("max: -10", "max: 3", "targets[1].max", "3 dB", "-120 … 0 dB"),
    "passband over spacing": ("min: 80", "min: 200", "targets[2].min", "200 GHz", "below spacing_ghz"),
    "bands overlap": ("band_ghz: 5", "band_ghz: 150", "targets[1].band_ghz", "150", "100 GHz"),
    "channels off the grid": ("span_ghz: 600", "span_ghz: 300", "chip.yaml:9: channels", "193200", "widen"),
    "steps": ("step_ghz: 10", "step_ghz: 7", "chip.yaml:8: wavelengths", "7 GHz", "whole steps"),
    "port twice": ("outputs: [ch1, ch2]", "outputs: [ch1, ch1]", "channels.outputs", "ch1", "distinct"),
    "crosstalk of one channel": ("outputs: [ch1, ch2]", "outputs: [ch1]", "chip.yaml:15: targets[1].figure",
                                 "adjacent_crosstalk_db", "2 outputs or more", "outputs of the other channels"),
    "no channels but neighbours": ("adjacent_crosstalk_db", "nonadjacent_crosstalk_db", "targets[1].figure",
                                   "nonadjacent_crosstalk_db", "2 in channels.outputs", "3 outputs or more"),
    "both circuits": ("seed: 1", "seed: 1\nlayout: a.py", "chip.yaml", "both", "layout"),
    "not YAML": ("[ch1, ch2]", "[ch1, ch2", "chip.yaml:", "not YAML", "got"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_entries_are_told(tmp_path, case):
    old, new, *parts = WRONG[case]
    assert GOOD.count(old) >= 1
    with pytest.raises(SpecError) as told:
        load(tmp_path, GOOD.replace(old, new, 1))
    for part in parts:
        assert part in str(told.value)


def test_several_errors_are_all_named(tmp_path):
    with pytest.raises(SpecError) as told:
        load(tmp_path, GOOD.replace("starts: 4", "starts: 0").replace("samples: 100", "samples: 1"))
    assert "optimise.starts" in str(told.value)
    assert "tolerance.samples" in str(told.value)


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_not_a_mapping(data):
    with pytest.raises(SpecError, match="mapping"):
        parse_spec(Source(data))


def test_missing_file(tmp_path):
    with pytest.raises(SpecError, match=r"nothing\.yaml"):
        load_spec(tmp_path / "nothing.yaml")


def test_yield_prints_its_interval():
    assert str(Yield.of(0, 100)) == "0.00 % (0.00 … 3.70 %)"
