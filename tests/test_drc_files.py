"""Design rule check: modes, database units, files that others wrote or that are damaged."""

import random
import struct
from pathlib import Path

import klayout.db as kdb
import klayout.rdb as rdb
import pytest
from drc_sheet import BIG, SOI, Sheet, clean_chip, draw_width, guide, many_cells, one_rule

from picq.errors import LayoutError
from picq.signoff.drc import check_layout, drc


def test_deep_and_flat_agree() -> None:
    sheet = many_cells()
    deep, flat = (check_layout(sheet.layout, SOI.for_device(), deep=deep) for deep in (True, False))
    covered = []
    for report in (deep, flat):
        marked: dict[str, kdb.Region] = {}
        for finding in report.findings:
            if finding.box:
                box = kdb.DBox(*finding.box).to_itype(0.001).enlarged(1)
                marked.setdefault(finding.check, kdb.Region()).insert(box)
        covered.append({check: region.merged() for check, region in marked.items()})
    assert covered[0].keys() == covered[1].keys() >= {"waveguide.width", "waveguide.space", "waveguide.radius_strip"}
    for check, region in covered[0].items():
        assert (region ^ covered[1][check]).is_empty(), check


def test_the_mode_is_chosen_from_the_reuse() -> None:
    assert check_layout(many_cells().layout, SOI.only(["width"])).figures["deep"] is True
    flat = many_cells()
    flat.top.flatten(True)
    assert check_layout(flat.layout, SOI.only(["width"])).figures["deep"] is False


@pytest.mark.parametrize("dbu", [0.0005, 0.001, 0.005])
def test_limits_hold_in_the_files_own_database_unit(dbu: float, tmp_path: Path) -> None:
    for off, expected in ((0, {}), (1, {"waveguide.space": 1, "waveguide.width": 1})):
        sheet = Sheet(SOI, dbu)
        draw_width(sheet, SOI.rule("waveguide.width"), off)
        gap = sheet.steps(0.2) - off
        width = sheet.steps(0.35) - off
        sheet.box("waveguide", 0, width + gap, BIG, 3 * BIG)
        sheet.layout.write(str(tmp_path / "mask.gds"))
        assert drc(tmp_path / "mask.gds", SOI.only(["width", "space"])).counts() == expected


@pytest.mark.parametrize(
    ("dbu", "passed", "counts"), [(0.0005, True, 1), (0.005, True, 1), (0.0007, False, 1), (0.001, True, 0)]
)
def test_another_database_unit_is_reported(dbu: float, passed: bool, counts: int) -> None:
    report = check_layout(Sheet(SOI, dbu).layout, SOI.only(["dbu"]))
    assert (report.passed, len(report.findings)) == (passed, counts)


def test_a_value_between_two_steps_of_the_file_is_kept() -> None:
    """0.35 um is 500.0 steps of 0.7 nm and 0.2 um is 285.7: 286 steps keep it, 285 do not."""
    for gap, count in ((286, 0), (285, 1)):
        sheet = Sheet(SOI, 0.0007)
        sheet.box("waveguide", 0, -BIG, BIG, 0)
        sheet.box("waveguide", 0, gap, BIG, BIG)
        assert len(check_layout(sheet.layout, one_rule(SOI, SOI.rule("waveguide.space"))).findings) == count


def _record(kind: int, form: int, data: bytes = b"") -> bytes:
    return struct.pack(">HBB", 4 + len(data), kind, form) + data


def _gds(*cells: tuple[str, bytes]) -> bytes:
    """A GDSII stream of 1 nm written record by record, for what KLayout would not write."""
    units = bytes.fromhex("3e4189374bc6a7f0 3944b82fa09b5a54".replace(" ", ""))
    stream = (
        _record(0, 2, struct.pack(">h", 600)) + _record(1, 2, bytes(24)) + _record(2, 6, b"TEST") + _record(3, 5, units)
    )
    for name, body in cells:
        padded = name.encode() + b"\0" * (len(name) % 2)
        stream += _record(5, 2, bytes(24)) + _record(6, 6, padded) + body + _record(7, 0)
    return stream + _record(4, 0)


def _boundary(layer: int, *points: int) -> bytes:
    head = _record(8, 0) + _record(0x0D, 2, struct.pack(">h", layer)) + _record(0x0E, 2, struct.pack(">h", 0))
    return head + _record(0x10, 3, struct.pack(f">{len(points)}i", *points)) + _record(0x11, 0)


SQUARE = _boundary(3, 0, 0, 0, 900, 900, 900, 900, 0, 0, 0)


def test_a_stream_that_others_wrote_is_read(tmp_path: Path) -> None:
    placed = (
        _record(0x0A, 0) + _record(0x12, 6, b"GONE") + _record(0x10, 3, struct.pack(">2i", 0, 0)) + _record(0x11, 0)
    )
    bow_tie = _boundary(3, 9000, 0, 18000, 9000, 18000, 0, 9000, 9000, 9000, 0)
    (tmp_path / "mask.gds").write_bytes(_gds(("TOP", SQUARE + bow_tie + placed)))
    report = drc(tmp_path / "mask.gds", SOI.for_device())
    assert report.figures["dbu_um"] == pytest.approx(0.001)
    assert {"file.self_intersection", "file.dangling_reference"} <= set(report.counts())


def test_duplicate_cell_names(tmp_path: Path) -> None:
    (tmp_path / "mask.gds").write_bytes(_gds(("A", SQUARE), ("A", SQUARE)))
    with pytest.raises(LayoutError, match="A cell with name A already exists"):
        drc(tmp_path / "mask.gds", SOI)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "no such mask file"),
        (b"", "is empty"),
        (b"no layout at all" * 20, "unknown format"),
        (_gds(("TOP", SQUARE))[:-40], "end-of-file"),
        (_gds(("TOP", SQUARE)).replace(b"TOP\0", b"\xff\xff\xff\xff", 1)[:80], "cannot read"),
        (_gds(), "no cells"),
    ],
)
def test_bad_files_raise_and_leave_nothing(data: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mask.gds"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(LayoutError, match=message) as caught:
        drc(path, SOI, lyrdb=tmp_path / "out" / "drc.lyrdb")
    assert str(path) in str(caught.value)
    assert caught.value.allowed
    assert not (tmp_path / "out").exists()


def test_damaged_files_raise_nothing_else(tmp_path: Path) -> None:
    clean_chip().layout.write(str(tmp_path / "mask.gds"))
    whole = (tmp_path / "mask.gds").read_bytes()
    damage = random.Random(11)
    refused = 0
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(damage.choice((1, 3, 20))):
            data[damage.randrange(len(data))] = damage.randrange(256)
        (tmp_path / "mask.gds").write_bytes(data)
        try:
            drc(tmp_path / "mask.gds", SOI)
        except LayoutError:
            refused += 1
    assert 0 < refused < 40


@pytest.mark.parametrize("dbu", [1e-7, 1.0])
def test_implausible_database_units_are_refused(dbu: float) -> None:
    with pytest.raises(LayoutError, match="implausible database unit"):
        check_layout(Sheet(SOI, dbu).layout, SOI)


def test_oasis_is_read(tmp_path: Path) -> None:
    many_cells().layout.write(str(tmp_path / "mask.oas"))
    assert "waveguide.width" in drc(tmp_path / "mask.oas", SOI).counts()


def test_marker_file(tmp_path: Path) -> None:
    mask, out = tmp_path / "mask.gds", tmp_path / "new" / "drc.lyrdb"
    sheet = clean_chip()
    guide(sheet, 0, 0, 20_000, 349)
    sheet.layout.write(str(mask))
    report = drc(mask, SOI, lyrdb=out)
    first = out.read_bytes()
    drc(mask, SOI, lyrdb=out)
    assert out.read_bytes() == first
    assert [path.name for path in out.parent.iterdir()] == ["drc.lyrdb"]
    database = rdb.ReportDatabase("read")
    database.load(str(out))
    assert database.num_items() == len(report.findings) == 1
    (finding,), (item,) = report.findings, database.each_item()
    assert database.category_by_id(item.category_id()).name() == finding.check == "waveguide.width"
    assert finding.box == (1000.0, 1000.0, 1020.0, 1000.349)
    assert (finding.measured, finding.limit) == (0.349, 0.35)


def test_a_marker_file_that_cannot_be_written(tmp_path: Path) -> None:
    clean_chip().layout.write(str(tmp_path / "mask.gds"))
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(LayoutError, match="cannot write the marker file"):
        drc(tmp_path / "mask.gds", SOI, lyrdb=tmp_path / "taken" / "drc.lyrdb")


def test_findings_are_the_same_every_time() -> None:
    assert check_layout(many_cells().layout, SOI).findings == check_layout(many_cells().layout, SOI).findings
