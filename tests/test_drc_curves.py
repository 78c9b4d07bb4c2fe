"""Design rule check: no false markers on curves, tapers and joints, and true ones on bends."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import klayout.db as kdb
import numpy as np
import pytest
from drc_sheet import SOI, Sheet, disk, draw_along, euler_centre_line

from picq.signoff.checks import distances
from picq.signoff.checks.mask import IGNORE_ANGLE
from picq.signoff.drc import check_layout, drc
from picq.signoff.rules import RuleDeck


def findings_of(*polygons: kdb.Polygon | kdb.Region, deck: RuleDeck = SOI) -> dict[str, int]:
    sheet = Sheet(deck)
    for polygon in polygons:
        sheet.shapes("waveguide").insert(polygon)
    return check_layout(sheet.layout, deck.for_device()).counts()


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("straights", [0.0, 10.0])
@pytest.mark.parametrize("angle", [0, 30, 45])
def test_bends_at_the_limits_are_clean(p: float, straights: float, angle: int) -> None:
    bend = draw_along(euler_centre_line(5.0, p), 0.35, straights, straights)
    assert findings_of(bend.transformed(kdb.ICplxTrans(1, angle, False, 0, 0))) == {}


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("straights", [0.0, 10.0])
def test_tighter_bends_are_found(p: float, straights: float) -> None:
    assert findings_of(draw_along(euler_centre_line(4.7, p), 0.45, straights, straights)) == {
        "waveguide.radius_strip": 1
    }


def test_a_bend_measures_its_radius() -> None:
    sheet = Sheet(SOI)
    sheet.shapes("waveguide").insert(draw_along(euler_centre_line(4.5, 0.5), 0.45))
    (finding,) = check_layout(sheet.layout, SOI.only(["bend_radius"])).findings
    assert finding.measured == pytest.approx(4.5, abs=0.002)
    assert (finding.limit, finding.unit) == (5.0, "um")


@pytest.mark.parametrize("radius", [5.0, 7.3, 10.0])
@pytest.mark.parametrize("count", [256, 720, 1001])
def test_ring_gap_at_the_limit_is_clean(radius: float, count: int) -> None:
    r = round(radius * 1000)
    ring = disk(r + 225, count) - disk(r - 225, count)
    bus = kdb.Region(kdb.Box(-20_000, -r - 875, 20_000, -r - 425))
    assert findings_of(ring, bus) == {}
    assert set(findings_of(ring, bus.moved(0, 3))) == {"waveguide.space"}


def test_tapers_mmis_couplers_and_gratings_are_clean() -> None:
    def s_bend(flip: int) -> list[tuple[float, float, float]]:
        phases = [math.pi * t / 100 for t in range(101)]
        slopes = [math.atan(math.pi / 10 * math.sin(a)) for a in phases]
        return [
            (10 * a / math.pi, flip * (1.325 - math.cos(a)), flip * slope)
            for a, slope in zip(phases, slopes, strict=True)
        ]

    coupler = [draw_along(s_bend(flip), 0.45, 15.0, 5.0) for flip in (1, -1)]
    away = kdb.Trans(0, 30_000)
    mmi = kdb.Region(kdb.Box(0, -1_250, 12_000, 1_250))
    for y in (-625, 625):
        taper = [(12_000, y - 500), (12_000, y + 500), (22_000, y + 225), (22_000, y - 225)]
        mmi.insert(kdb.Polygon([kdb.Point(px, py) for px, py in taper]))
        mmi.insert(kdb.Box(22_000, y - 225, 40_000, y + 225))
    teeth = kdb.Region()
    for n in range(20):
        teeth.insert(kdb.Box(60_000 + 630 * n, -5_000, 60_350 + 630 * n, 5_000))
    arcs = kdb.Region(kdb.Polygon([kdb.Point(0, 0), kdb.Point(60_000, 20_000), kdb.Point(60_000, -20_000)]))
    rings = kdb.Region()
    for n in range(10):
        rings += disk(20_000 + 700 * n, 2_000) - disk(19_600 + 700 * n, 2_000)
    focus = (rings & arcs).sized(0)
    tip = kdb.Polygon([kdb.Point(0, -300), kdb.Point(0, 300), kdb.Point(50_000, 175), kdb.Point(50_000, -175)])
    clean = findings_of(*coupler, mmi.transformed(away), teeth.transformed(away))
    assert clean == {}
    assert findings_of(focus, tip.moved(0, 50_000)) == {}


@pytest.mark.parametrize("angle", [0, 17, 30, 45, 81])
def test_joints_of_turned_waveguides_are_clean(angle: int) -> None:
    sheet = Sheet(SOI)
    cell, row = sheet.layout.create_cell("straight"), sheet.layout.create_cell("row")
    sheet.shapes("waveguide", cell).insert(kdb.Box(0, -225, 10_000, 225))
    for n in range(8):
        sheet.place(cell, kdb.ICplxTrans(1, 0, False, 10_000 * n, 0), into=row)
    sheet.place(row, kdb.ICplxTrans(1, angle, False, 0, 0))
    assert check_layout(sheet.layout, SOI.for_device()).findings == ()


@pytest.mark.parametrize(("step", "found"), [(2, False), (8, True)])
def test_steps_of_slanted_joints_have_a_tolerance(step: int, found: bool) -> None:
    """Ends that were snapped one by one miss each other by up to 2 nm."""
    sheet = Sheet(SOI)
    cell, row = sheet.layout.create_cell("straight"), sheet.layout.create_cell("row")
    sheet.shapes("waveguide", cell).insert(kdb.Box(0, -225, 10_000, 225))
    sheet.place(cell, into=row)
    sheet.place(cell, kdb.ICplxTrans(1, 0, False, 9_995, step), into=row)
    sheet.place(row, kdb.ICplxTrans(1, 30, False, 0, 0))
    counts = check_layout(sheet.layout, SOI.only(["joint_offset", "joint_width"])).counts()
    assert counts == ({"waveguide.joint_offset": 1} if found else {})


def test_joints_of_neighbours_do_not_hide_each_other() -> None:
    sheet = Sheet(SOI)
    for y, shift in ((0, 0), (700, 200)):
        sheet.box("waveguide", 0, y, 10_000 + shift, y + 450)
        sheet.box("waveguide", 10_000 + shift, y + 3, 20_000, y + 453)
    assert check_layout(sheet.layout, SOI.only(["joint_offset"])).counts() == {"waveguide.joint_offset": 2}


def test_subwavelength_and_bragg_gratings_are_no_joints() -> None:
    segments = [kdb.Polygon(kdb.Box(400 * n, -225, 400 * n + 200, 225)) for n in range(30)]
    bragg = [
        kdb.Polygon(kdb.Box(300 * n, 4_750 - 20 * (n % 2), 300 * (n + 1), 5_250 + 20 * (n % 2))) for n in range(30)
    ]
    ends = [kdb.Polygon(kdb.Box(-20_000, 4_750, 0, 5_250)), kdb.Polygon(kdb.Box(9_000, 4_750, 30_000, 5_250))]
    counts = findings_of(*segments, *bragg, *ends, deck=SOI.only(["joint_gap", "joint_offset", "joint_width"]))
    assert counts == {}


GDSFACTORY_CLEAN = (
    *("bend_euler", "bend_circular", "bend_s", "coupler", "ring_single", "ring_double", "mmi1x2", "mmi2x2", "mzi"),
    *("taper", "crossing", "spiral_racetrack", "grating_coupler_rectangular", "splitter_tree", "delay_snake", "disk"),
    "mzi_lattice",
)


DRAW = """
import sys
import gdsfactory as gf
from gdsfactory.gpdk import PDK
PDK.activate()
for name in sys.argv[2:]:
    for angle in (0, 30):
        turned = gf.Component()
        turned.add_ref_off_grid(getattr(gf.components, name)()).rotate(angle)
        turned.write_gds(f"{sys.argv[1]}/{name}.{angle}.gds", with_metadata=False)
"""


@pytest.mark.slow
def test_gdsfactory_components_are_clean(tmp_path: Path) -> None:
    """Cells that picq did not draw, on their own layers, upright and turned: no findings but overlapping cells.

    Drawn in a process of its own: gdsfactory keeps cells by name, and other tests draw some of these with picq's PDK.
    """
    subprocess.run([sys.executable, "-c", DRAW, str(tmp_path), *GDSFACTORY_CLEAN], check=True, capture_output=True)
    layers = {**SOI.layers, "waveguide": (1, 0), "slab": (3, 0)}
    rules = tuple(r for r in SOI.for_device().rules if r.layers[:1] in (("waveguide",), ("slab",)))
    deck = replace(SOI, layers=layers, rules=rules)
    masks = sorted(tmp_path.glob("*.gds"))
    assert len(masks) == 2 * len(GDSFACTORY_CLEAN)
    for mask in masks:
        counts = drc(mask, deck).counts()
        assert set(counts) <= {"waveguide.overlapping_cells"}, (mask.name, counts)


def test_edges_do_not_face_each_other_through_their_own_shape():
    """A narrow arc that starts at a block sees the block's side only through itself; a real gap is still one."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 200)
    ring = lambda r: np.round(np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)).astype(int)
    arc = kdb.Polygon([kdb.Point(*p) for p in (*ring(15450).tolist(), *ring(14550)[::-1].tolist())])
    block = kdb.Box(-12000, -26450, 0, -14550)
    region = kdb.Region([arc, kdb.Polygon(block)]).merged()
    check = lambda shapes: shapes.space_check(10000, False, distances.EUCLID, IGNORE_ANGLE)
    assert check(region).count() > 0
    assert distances._across_gaps(region, check(region)).is_empty()
    apart = region + kdb.Region(kdb.Box(2000, -26000, 9000, -22000))
    found = distances._across_gaps(apart, check(apart))
    assert found.count() > 0
    assert all(pair.bbox().left >= 0 and pair.bbox().bottom <= -12000 for pair in found.each())
