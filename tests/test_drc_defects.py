"""Design rule check: defects planted in a clean chip are found."""

from collections.abc import Callable

import klayout.db as kdb
import pytest
from drc_sheet import AT, SOI, Sheet, clean_chip, disk, guide

from picq.signoff.drc import check_layout


def planted_child(s: Sheet, mag: float = 1.0, twice: bool = False) -> None:
    cell = s.layout.create_cell("planted")
    s.shapes("waveguide", cell).insert(kdb.Box(0, 0, 20_000, 500))
    for _ in range(2 if twice else 1):
        s.place(cell, kdb.ICplxTrans(mag, 0, False, AT, AT))


def plant_slivers(s: Sheet) -> None:
    guide(s, 0, 0, 340, 340)


def plant_polygon(layer: str, *points: tuple[int, int]) -> Callable[[Sheet], None]:
    def plant(s: Sheet) -> None:
        s.shapes(layer).insert(kdb.SimplePolygon([kdb.Point(AT + x, AT + y) for x, y in points], True))

    return plant


def plant_guides(*guides: tuple[int, ...]) -> Callable[[Sheet], None]:
    def plant(s: Sheet) -> None:
        for each in guides:
            guide(s, *each)

    return plant


def plant_boxes(*boxes: tuple[str, int, int, int, int]) -> Callable[[Sheet], None]:
    def plant(s: Sheet) -> None:
        for layer, left, bottom, right, top in boxes:
            s.box(layer, AT + left, AT + bottom, AT + right, AT + top)

    return plant


def plant_bend(radius: int, count: int) -> Callable[[Sheet], None]:
    def plant(s: Sheet) -> None:
        quarter = kdb.Region(kdb.Box(0, 0, 2 * radius, 2 * radius))
        ring = disk(radius + 225, count) - disk(radius - 225, count)
        s.shapes("waveguide").insert((ring & quarter).moved(AT, AT))

    return plant


def plant_reference(s: Sheet) -> None:
    cell = s.layout.create_cell("missing")
    cell.ghost_cell = True
    s.place(cell)


def plant_fine_dbu(s: Sheet) -> None:
    s.layout.dbu = 0.0005
    s.layout.transform(kdb.ICplxTrans(2.0))
    s.top.shapes(s.layout.layer(3, 0)).insert(kdb.Box(2 * AT, 2 * AT, 2 * AT + 20_001, 2 * AT + 900))


def plant_dbu(s: Sheet) -> None:
    s.layout.dbu = 0.0007


def plant_overlap(s: Sheet) -> None:
    cell = s.layout.create_cell("planted")
    s.shapes("waveguide", cell).insert(kdb.Box(0, 0, 20_000, 500))
    s.place(cell, kdb.ICplxTrans(1, 0, False, AT, AT))
    s.place(cell, kdb.ICplxTrans(1, 0, False, AT + 5_000, AT + 200))


def plant_no_floorplan(s: Sheet) -> None:
    s.shapes("floorplan").clear()


def plant_long_polygon(s: Sheet) -> None:
    s.shapes("waveguide").insert(disk(200_000, 5_000, AT, AT))


def plant_top(s: Sheet) -> None:
    s.layout.create_cell("Cell0_second")


def plant_name(s: Sheet) -> None:
    s.layout.rename_cell(s.top.cell_index(), "chip_of_nobody")


def plant_unknown_layer(s: Sheet) -> None:
    s.top.shapes(s.layout.layer(77, 3)).insert(kdb.Box(AT, AT, AT + 1000, AT + 1000))


def plant_zero_width_path(s: Sheet) -> None:
    s.shapes("waveguide").insert(kdb.Path([kdb.Point(AT, AT), kdb.Point(AT + 9000, AT)], 0))


# the defects that a photonic tape-out check should find, and the rule that finds each; None where a mask alone does not
# tell and the comparison with the schematic does
DEFECTS: dict[str, tuple[Callable[[Sheet], None] | None, str]] = {
    "width": (plant_guides((0, 0, 20_000, 349)), "waveguide.width"),
    "space": (plant_guides((0, 0), (0, 649)), "waveguide.space"),
    "notch": (plant_guides((0, 0), (0, 649), (0, 0, 450, 1_000)), "waveguide.space"),
    "acute angle": (plant_polygon("waveguide", (0, 0), (20_000, 9_000), (20_000, 0)), "waveguide.angle"),
    "off-grid or fine dbu": (plant_fine_dbu, "file.grid"),
    "slivers (area)": (plant_slivers, "waveguide.area"),
    "self-intersection": (
        plant_polygon("waveguide", (0, 0), (0, 9000), (9000, 0), (9000, 9000)),
        "file.self_intersection",
    ),
    "zero-area shapes": (plant_polygon("waveguide", (0, 0), (0, 9000), (0, 5000)), "file.degenerate"),
    "duplicate instance": (lambda s: planted_child(s, twice=True), "file.duplicate_instances"),
    "axial gap of 1 nm": (plant_guides((0, 0), (20_001, 0)), "waveguide.joint_gap"),
    "axial gap of 200 nm": (plant_guides((0, 0), (20_200, 0)), "waveguide.joint_gap"),
    "lateral offset of 1 nm": (plant_guides((0, 0), (20_000, 1)), "waveguide.joint_offset"),
    "width mismatch at a port": (plant_guides((0, 0), (20_000, -25, 20_000, 500)), "waveguide.joint_width"),
    "layer mismatch at a port": (None, "lvs"),
    "angle mismatch at a port": (
        plant_polygon("waveguide", (0, 0), (0, 450), (20_000, 450), (40_000, -3077), (39_922, -3521), (19_960, 0)),
        "waveguide.facet",
    ),
    "open port": (None, "lvs"),
    "unintended crossing": (plant_guides((0, 0), (9_000, -9_000, 450, 18_000)), "waveguide.crossing"),
    "long parallel run": (plant_guides((0, 0, 300_000), (0, 3_000, 300_000)), "waveguide.crosstalk"),
    "bend radius": (plant_bend(4_000, 720), "waveguide.radius_strip"),
    "faceted bend": (plant_bend(10_000, 36), "waveguide.facet"),
    "overlapping components": (plant_overlap, "waveguide.overlapping_cells"),
    "straddling the floorplan": (plant_boxes(("waveguide", -AT - 5_000, 0, -AT + 5_000, 450)), "chip.inside"),
    "leaving the floorplan": (plant_boxes(("waveguide", -AT - 5_000, 0, -AT - 500, 450)), "chip.inside"),
    "no floorplan": (plant_no_floorplan, "chip.floorplan"),
    "heater width": (
        plant_boxes(
            ("heater", 0, 0, 99_000, 599),
            ("pad", -9_000, -9_000, 10_000, 9_000),
            ("pad", 89_000, -9_000, 99_000, 9_000),
        ),
        "heater.width",
    ),
    "heater without pads": (plant_boxes(("heater", 0, 0, 99_000, 900)), "heater.contacts"),
    "metal short across a heater": (
        plant_boxes(("heater", 0, 0, 99_000, 900), ("pad", -10_000, -9_000, 110_000, 9_000)),
        "heater.contacts",
    ),
    "metal space": (plant_boxes(("metal", 0, 0, 9_000, 9_000), ("metal", 10_999, 0, 20_000, 9_000)), "metal.space"),
    "via not enclosed": (
        plant_boxes(("metal", 0, 0, 9_000, 9_000), ("via", 499, 3_000, 4_000, 6_000)),
        "via.enclosure",
    ),
    "metal over a grating": (
        plant_boxes(("pad", -AT + 90_000, -AT + 390_000, -AT + 130_000, -AT + 420_000)),
        "grating_etch.no_pad",
    ),
    "rib without slab margin": (
        plant_boxes(("waveguide", 0, 0, 20_000, 450), ("slab", 0, -5_000, 20_000, 2_000)),
        "slab.margin",
    ),
    "unknown layer": (plant_unknown_layer, "file.layers"),
    "geometry on the text layer": (plant_boxes(("label", 0, 0, 2_000, 2_000)), "file.label"),
    "several top cells": (plant_top, "chip.top_cell"),
    "wrong dbu": (plant_dbu, "file.dbu"),
    "over-long polygons": (plant_long_polygon, "file.vertices"),
    "fibre pitch": (None, "lvs"),
    "rotated grating": (None, "lvs"),
    "parameter differing from the schematic": (None, "lvs"),
    "narrow line longer than its conditional length": (
        plant_boxes(
            ("waveguide", 0, 0, 30_000, 9_000),
            ("grating_etch", 0, 4_000, 29_000, 5_000),
            ("grating_etch", 0, 5_300, 29_000, 6_000),
        ),
        "grating_etch.narrow_space",
    ),
    "zero-width path": (plant_zero_width_path, "file.degenerate"),
    "dangling reference": (plant_reference, "file.dangling_reference"),
    "magnified instance": (lambda s: planted_child(s, mag=1.01), "file.magnification"),
    "swapped ports": (None, "lvs"),
    "missing component": (None, "lvs"),
    "names": (plant_name, "chip.top_cell"),
}  # duplicate cell names stop KLayout's reader: test_duplicate_cell_names


def test_a_clean_chip_has_no_findings() -> None:
    report = check_layout(clean_chip().layout, SOI)
    assert report.findings == (), report.text()
    assert report.passed
    assert len(report.ran) == len(SOI.rules)


@pytest.mark.parametrize("name", [name for name, (plant, _) in DEFECTS.items() if plant])
def test_planted_defect_is_found(name: str) -> None:
    plant, expected = DEFECTS[name]
    assert plant is not None
    sheet = clean_chip()
    plant(sheet)
    assert expected in check_layout(sheet.layout, SOI).counts()


def test_how_many_defects_of_the_list_are_in_reach() -> None:
    assert len(DEFECTS) + 1 == 47
    assert sum(plant is not None for plant, _ in DEFECTS.values()) + 1 == 40


def test_an_overlap_is_not_an_enclosure() -> None:
    """Etch inside a waveguide, across it, and 200 nm into it keeps "must overlap by 200 nm"; beside it is a warning."""
    sheet = Sheet(SOI)
    sheet.box("waveguide", 0, 0, 20_000, 20_000)
    for left, bottom, right, top in (
        (2_000, 9_000, 5_000, 12_000),
        (8_000, -2_000, 10_000, 22_000),
        (19_800, 5_000, 25_000, 9_000),
    ):
        sheet.box("grating_etch", left, bottom, right, top)
    assert check_layout(sheet.layout, SOI.for_device()).findings == ()
    sheet.box("grating_etch", 30_000, 0, 31_000, 1_000)
    report = check_layout(sheet.layout, SOI.for_device())
    assert report.counts() == {"grating_etch.on_waveguide": 1}
    assert report.passed
