"""Design rule check: waivers and decks."""

from pathlib import Path

import pytest
from drc_sheet import DECKS, SOI, many_cells

from picq.errors import SpecError
from picq.signoff.drc import Waiver, check_layout
from picq.signoff.rules import load_deck


def test_waivers_by_box_and_by_cell() -> None:
    sheet = many_cells()
    before = check_layout(sheet.layout, SOI.only(["width"]))
    by_cell = Waiver("waveguide.width", "drawn by the foundry", cell="narrow")
    after = check_layout(sheet.layout, SOI.only(["width"]), waivers=[by_cell])
    assert (before.passed, after.passed) == (False, True)
    assert len(after.waived) == len(before.findings)
    assert "drawn by the foundry" in after.waived[0].message
    one = before.findings[0].box
    by_box = Waiver("waveguide.width", "a test", box=one)
    other = Waiver("waveguide.width", "another place", box=(-9.0, -9.0, -8.0, -8.0))
    partly = check_layout(sheet.layout, SOI.only(["width"]), waivers=[by_box, other])
    assert len(partly.waived) >= 1
    assert len(partly.waived) + len(partly.findings) == len(before.findings)
    assert partly.figures["unused_waivers"] == ["waveguide.width"]


def test_waivers_that_name_nothing() -> None:
    sheet = many_cells()
    with pytest.raises(SpecError, match=r"did you mean 'waveguide\.width'"):
        check_layout(sheet.layout, SOI, waivers=[Waiver("waveguide.widht", "typo", cell="narrow")])
    with pytest.raises(SpecError, match="did you mean 'narrow'"):
        check_layout(sheet.layout, SOI, waivers=[Waiver("waveguide.width", "typo", cell="narow")])
    with pytest.raises(SpecError, match="no reason"):
        Waiver("waveguide.width", " ", cell="narrow")
    with pytest.raises(SpecError, match="either a box"):
        Waiver("waveguide.width", "everywhere")


# -- decks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{kind: widht, layers: [waveguide], value_um: 1, source: x}", "did you mean 'width'"),
        ("{kind: width, layers: [wavegide], value_um: 1, source: x}", "did you mean 'waveguide'"),
        ("{kind: width, layers: [waveguide], value_um: 1}", "has no source"),
        ("{kind: width, layers: [waveguide], value_um: 1, source: ' '}", "has no source"),
        ("{kind: width, layers: [waveguide], value: 1, source: x}", "did you mean 'value_um'"),
        ("{kind: width, layers: [waveguide], source: x}", "lacks value_um"),
        ("{kind: width, layers: [waveguide], value_um: -1, source: x}", "positive"),
        ("{kind: width, layers: [waveguide], value_um: wide, source: x}", "positive"),
        ("{kind: width, layers: [waveguide], value_um: 1, count: 2, source: x}", "count"),
        ("{kind: width, value_um: 1, source: x}", "layers of rule"),
        ("{kind: width, layers: [waveguide], value_um: 1, severity: fatal, source: x}", "severity"),
        ("{kind: top_cell, pattern: '(', source: x}", "regular expression"),
        ("{kind: floorplan_size, layers: [waveguide], sizes_um: [[1]], source: x}", "width, height"),
        ("width", "a mapping"),
    ],
)
def test_decks_are_read_strictly(rule: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "layers.yaml").write_text("waveguide: {layer: 3, datatype: 0}")
    (tmp_path / "rules.yaml").write_text(f"dbu_um: 0.001\nrules:\n  mine: {rule}\n")
    with pytest.raises(SpecError, match=message):
        load_deck(tmp_path)


@pytest.mark.parametrize(
    ("layers", "rules", "message"),
    [
        (None, "rules: {}", "cannot read"),
        ("waveguide: {layer: 3}", "rules: {}", "layer waveguide"),
        ("waveguide: {layer: 3, datatype: 0}", "dbu_um: 0.001", "has no rules"),
        ("waveguide: {layer: 3, datatype: 0}", "rules: {a: {kind: dbu, value_um: 1, source: x}}", "dbu_um"),
        ("waveguide: {layer: 3, datatype: 0}", "rulez: {}", "did you mean 'rules'"),
        ("waveguide: {layer: 3, datatype: 0}", "a: [", "is not YAML"),
        ("waveguide: {layer: 3, datatype: 0}", "[]", "holds no mapping"),
    ],
)
def test_broken_deck_files(layers: str | None, rules: str, message: str, tmp_path: Path) -> None:
    if layers is not None:
        (tmp_path / "layers.yaml").write_text(layers)
    (tmp_path / "rules.yaml").write_text(rules)
    with pytest.raises(SpecError, match=message):
        load_deck(tmp_path)


def test_every_rule_has_a_source_and_ours_say_so() -> None:
    for deck in DECKS.values():
        for rule in deck.rules:
            assert rule.source


def test_choosing_rules() -> None:
    assert {rule.kind for rule in SOI.only(["width", "space"]).rules} == {"width", "space"}
    assert {rule.kind for rule in SOI.rules} - {rule.kind for rule in SOI.for_device().rules} == {
        "top_cell", "floorplan_size", "inside_floorplan"
    }  # fmt: skip
    with pytest.raises(SpecError, match="did you mean 'width'"):
        SOI.only(["widths"])
