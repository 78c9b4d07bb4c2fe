"""Design rule check: every rule of every deck by a pair of shapes, planted defects, curves, units, bad files."""

import math
import random
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import klayout.db as kdb
import klayout.rdb as rdb
import pytest

from picq.errors import LayoutError, SpecError
from picq.signoff.checks import CHECKS
from picq.signoff.drc import Waiver, check_layout, drc
from picq.signoff.rules import KINDS, Rule, RuleDeck, load_deck

PDK = Path(__file__).parents[1] / "pdk"
DECKS = {path.parent.name: load_deck(path.parent) for path in sorted(PDK.glob("*/rules.yaml"))}
SOI = DECKS["soi220"]


@dataclass
class Sheet:
    """An empty mask to draw on, in database units."""

    deck: RuleDeck
    dbu: float = 0.001
    name: str = "Cell0_sheet"

    def __post_init__(self) -> None:
        self.layout = kdb.Layout()
        self.layout.dbu = self.dbu
        self.top = self.layout.create_cell(self.name)

    def steps(self, um: float) -> int:
        return round(um / self.dbu)

    def shapes(self, layer: str, cell: kdb.Cell | None = None) -> kdb.Shapes:
        return (cell or self.top).shapes(self.layout.layer(*self.deck.layers[layer]))

    def box(self, layer: str, left: int, bottom: int, right: int, top: int) -> None:
        self.shapes(layer).insert(kdb.Box(left, bottom, right, top))

    def polygon(self, layer: str, *points: tuple[int, int]) -> None:
        self.shapes(layer).insert(kdb.Polygon([kdb.Point(x, y) for x, y in points], True))

    def place(self, cell: kdb.Cell, trans: kdb.ICplxTrans | None = None, into: kdb.Cell | None = None) -> None:
        (into or self.top).insert(kdb.CellInstArray(cell.cell_index(), trans or kdb.ICplxTrans()))


# -- pairs of shapes: off = 0 draws at the limit, off = 1 violates it by one database unit -----------------------------

BIG = 60_000


def draw_width(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, 0, 0, BIG, s.steps(r.value_um) - off)


def draw_space(s: Sheet, r: Rule, off: int) -> None:
    gap = s.steps(r.value_um) - off
    s.box(r.layer, 0, -BIG, BIG, 0)
    s.box(r.layer, 0, gap, BIG, gap + BIG)


def draw_notch(s: Sheet, r: Rule, off: int) -> None:
    draw_space(s, r, off)
    s.box(r.layer, -BIG, -BIG, 0, s.steps(r.value_um) - off + BIG)


def draw_separation(s: Sheet, r: Rule, off: int) -> None:
    gap = s.steps(r.value_um) - off
    s.box(r.layers[0], 0, -BIG, BIG, 0)
    s.box(r.layers[1], 0, gap, BIG, gap + BIG)


def draw_no_overlap(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layers[0], 0, -BIG, BIG, 0)
    s.box(r.layers[1], 0, -off, BIG, BIG)


def draw_enclosure(s: Sheet, r: Rule, off: int) -> None:
    margin = s.steps(r.value_um)
    s.box(r.layers[0], 0, 0, BIG, BIG)
    s.box(r.layers[1], -margin, -margin, BIG + margin, BIG + margin - off)


def draw_not_enclosed(s: Sheet, r: Rule, off: int) -> None:
    draw_enclosure(s, r, 0)
    if off:
        s.box(r.layers[0], 3 * BIG, 0, 4 * BIG, BIG)


def draw_margin(s: Sheet, r: Rule, off: int) -> None:
    margin = s.steps(r.value_um)
    s.box(r.layers[1], 0, 0, BIG, 500)
    s.box(r.layers[0], 0, -margin, BIG, 500 + margin - off)


def draw_overlap(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layers[0], -BIG, 0, s.steps(r.value_um) - off, 900)
    s.box(r.layers[1], 0, -BIG, 3 * BIG, BIG)


def draw_contacts(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layers[0], -BIG, 0, BIG * r.count, 900)
    for n in range(r.count - off):
        s.box(r.layers[1], n * BIG, -BIG, n * BIG + BIG // 2, BIG)
    s.box(r.layers[1], 0, 2 * BIG, BIG, 3 * BIG)


def draw_narrow_space(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, 0, -BIG, s.steps(r.length_um) + off, 0)
    s.box(r.layer, 0, s.steps(r.value_um) - 1, BIG, BIG)


def draw_long_space(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, 0, -BIG, BIG, 0)
    s.box(r.layer, 0, s.steps(r.value_um) - off, BIG, BIG)


def draw_narrow_width(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, 0, 0, s.steps(r.length_um) + off, s.steps(r.value_um) - 1)


def draw_long_width(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, 0, 0, s.steps(r.length_um) + 1, s.steps(r.value_um) - off)


def draw_parallel(s: Sheet, r: Rule, off: int) -> None:
    gap, length = s.steps(r.value_um) - off, s.steps(r.length_um)
    s.box(r.layer, 0, -500, length, 0)
    s.box(r.layer, 0, gap, length, gap + 500)


def draw_parallel_length(s: Sheet, r: Rule, off: int) -> None:
    gap, length = s.steps(r.value_um) - 1, s.steps(r.length_um) - 1 + off
    s.box(r.layer, 0, -500, length, 0)
    s.box(r.layer, 0, gap, length, gap + 500)


def draw_area(s: Sheet, r: Rule, off: int) -> None:
    whole = round(r.value_um2 / s.dbu**2)
    width = next(w for w in range(math.isqrt(whole), 0, -1) if whole % w == 0)
    s.box(r.layer, 0, 0, width, whole // width)
    if off:  # one square database unit less
        s.shapes(r.layer).clear()
        height = whole // width
        s.polygon(
            r.layer, (0, 0), (0, height), (width - 1, height), (width - 1, height - 1), (width, height - 1), (width, 0)
        )


def draw_tip(s: Sheet, r: Rule, off: int) -> None:
    rise = math.ceil(100_000 * math.tan(math.radians(r.value_deg)) - 1e-6) - off
    s.polygon(r.layer, (0, 0), (100_000, rise), (100_000, 0))


def draw_bow_tie(s: Sheet, r: Rule, off: int) -> None:
    points = [(0, 0), (0, 5000), (5000, 0), (5000, 5000)] if off else [(0, 0), (0, 5000), (5000, 5000), (5000, 0)]
    polygon = kdb.SimplePolygon([kdb.Point(x, y) for x, y in points], True)
    s.shapes(next(iter(s.deck.layers))).insert(polygon)


def draw_path(s: Sheet, r: Rule, off: int) -> None:
    points = [kdb.Point(0, 0), kdb.Point(5000, 0)]
    s.shapes(next(iter(s.deck.layers))).insert(kdb.Path(points, 0 if off else 2))


def draw_flat_box(s: Sheet, r: Rule, off: int) -> None:
    s.box(next(iter(s.deck.layers)), 0, 0, 5000, 1 - off)


def draw_vertices(s: Sheet, r: Rule, off: int) -> None:
    count = r.count + off
    disk = _disk(1_000_000, count)
    s.shapes(next(iter(s.deck.layers))).insert(disk)


def draw_ring(s: Sheet, r: Rule, off: int) -> None:
    radius, half = s.steps(r.value_um) - off, s.steps(0.25)
    ring = _disk(radius + half) - _disk(radius - half)
    s.shapes(r.layer).insert(ring)
    if r.inside:
        s.shapes(r.inside).insert(ring.bbox())


def draw_arc(s: Sheet, r: Rule, off: int) -> None:
    radius, half = s.steps(r.value_um) - off, s.steps(0.25)
    quarter = kdb.Region(kdb.Box(0, 0, 2 * radius, 2 * radius))
    s.shapes(r.layer).insert((_disk(radius + half) - _disk(radius - half)) & quarter)
    if r.inside:
        s.shapes(r.inside).insert(quarter.bbox())


def _disk(radius: int, count: int = 720, x: int = 0, y: int = 0) -> kdb.Region:
    angles = [2 * math.pi * k / count for k in range(count)]
    points = [kdb.Point(x + round(radius * math.cos(a)), y + round(radius * math.sin(a))) for a in angles]
    return kdb.Region(kdb.Polygon(points, True))


def draw_kink(s: Sheet, r: Rule, off: int) -> None:
    drop = math.floor(100_000 * math.tan(math.radians(r.value_deg)) + 1e-6) + off
    back = round(500 * math.tan(math.radians(r.value_deg) / 2))
    s.polygon(
        r.layer, (-BIG, 0), (0, 0), (100_000, -drop), (100_000 - back, -drop - 500), (-back, -500), (-BIG, -500)
    )  # fmt: skip


def draw_joint_gap(s: Sheet, r: Rule, off: int) -> None:
    gap = s.steps(r.value_um) - off
    s.box(r.layer, -20_000, 0, 0, 500)
    s.box(r.layer, gap, 0, gap + 20_000, 500)


def draw_touching_ends(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, -20_000, 0, 0, 500)
    s.box(r.layer, off, 0, off + 20_000, 500)


def draw_joint_offset(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, -20_000, 0, 0, 500)
    s.box(r.layer, 0, off, 20_000, 500 + off)


def draw_joint_width(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, -20_000, 0, 0, 500)
    s.box(r.layer, 0, 0, 20_000, 500 + off)


def draw_crossing(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, -20_000, 0, 20_000, 500)
    s.box(r.layer, 0, -20_000 if off else 0, 500, 20_000)


def draw_overlapping_cells(s: Sheet, r: Rule, off: int) -> None:
    cell = s.layout.create_cell("waveguide")
    s.shapes(r.layer, cell).insert(kdb.Box(0, 0, 20_000, 500))
    s.place(cell)
    s.place(cell, kdb.ICplxTrans(1, 0, False, 20_000 - s.steps(r.value_um) - off, 0))


def draw_dbu(s: Sheet, r: Rule, off: int) -> None:
    s.layout.dbu = r.value_um * (1 + off / 2)


def draw_grid(s: Sheet, r: Rule, off: int) -> None:
    s.layout.dbu = r.value_um / 2
    s.box(next(iter(s.deck.layers)), 0, 0, 10_000, 10_000 + off)


def draw_layer(s: Sheet, r: Rule, off: int) -> None:
    unknown = next(n for n in range(900, 1000) if (n, 0) not in s.deck.layers.values())
    layer = (unknown, 0) if off else next(iter(s.deck.layers.values()))
    s.top.shapes(s.layout.layer(*layer)).insert(kdb.Box(0, 0, 10_000, 10_000))


def draw_on_text_layer(s: Sheet, r: Rule, off: int) -> None:
    s.shapes(r.layer).insert(kdb.Text("picq", 0, 0))
    if off:
        s.box(r.layer, 0, 0, 1, 1)


def _matching_name(pattern: str, length: int) -> str:
    for start in ("Cell0_", "TOP_", "A", "a"):
        if re.fullmatch(pattern, name := start.ljust(length, "a")):
            return name
    raise AssertionError(f"no name found that matches {pattern}")


def draw_long_name(s: Sheet, r: Rule, off: int) -> None:
    s.layout.rename_cell(s.top.cell_index(), _matching_name(r.pattern, r.count + off))


def draw_bad_name(s: Sheet, r: Rule, off: int) -> None:
    s.layout.rename_cell(s.top.cell_index(), "not a name" if off else _matching_name(r.pattern, 12))


def draw_second_top(s: Sheet, r: Rule, off: int) -> None:
    draw_bad_name(s, r, 0)
    if off:
        s.layout.create_cell(_matching_name(r.pattern, 20))


def draw_reference(s: Sheet, r: Rule, off: int) -> None:
    cell = s.layout.create_cell("missing")
    cell.ghost_cell = bool(off)
    s.place(cell)


def draw_magnified(s: Sheet, r: Rule, off: int) -> None:
    cell = s.layout.create_cell("cell")
    s.shapes(next(iter(s.deck.layers)), cell).insert(kdb.Box(0, 0, 1000, 1000))
    s.place(cell, kdb.ICplxTrans(1 + off / 1000, 90, True, 0, 0))


def draw_twice(s: Sheet, r: Rule, off: int) -> None:
    cell = s.layout.create_cell("cell")
    s.shapes(next(iter(s.deck.layers)), cell).insert(kdb.Box(0, 0, 1000, 1000))
    s.place(cell)
    s.place(cell, kdb.ICplxTrans(1, 0, False, 1 - off, 0))


def draw_floorplan(s: Sheet, r: Rule, off: int) -> None:
    width, height = r.sizes_um[-1]
    s.box(r.layer, 0, 0, s.steps(width) + off, s.steps(height))


def draw_two_floorplans(s: Sheet, r: Rule, off: int) -> None:
    draw_floorplan(s, r, 0)
    if off:
        s.box(r.layer, -2000, -2000, -1000, -1000)


def draw_at_edge(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, 0, 0, BIG, BIG)
    s.box(next(name for name in s.deck.layers if name != r.layer), 1000, 1000, BIG + off, 2000)


Builder = Callable[[Sheet, Rule, int], None]
PAIRS: dict[str, list[Builder]] = {
    "width": [draw_width],
    "space": [draw_space, draw_notch],
    "notch": [draw_notch],
    "separation": [draw_separation],
    "no_overlap": [draw_no_overlap],
    "enclosure": [draw_enclosure, draw_not_enclosed],
    "margin": [draw_margin],
    "overlap": [draw_overlap],
    "contacts": [draw_contacts],
    "narrow_space_length": [draw_narrow_space, draw_long_space],
    "narrow_width_length": [draw_narrow_width, draw_long_width],
    "parallel_run": [draw_parallel, draw_parallel_length],
    "area": [draw_area],
    "acute_angle": [draw_tip],
    "self_intersection": [draw_bow_tie],
    "degenerate": [draw_path, draw_flat_box],
    "vertices": [draw_vertices],
    "bend_radius": [draw_ring, draw_arc],
    "facet": [draw_kink],
    "joint_gap": [draw_joint_gap, draw_touching_ends],
    "joint_offset": [draw_joint_offset],
    "joint_width": [draw_joint_width],
    "crossing": [draw_crossing],
    "overlapping_instances": [draw_overlapping_cells],
    "dbu": [draw_dbu],
    "grid": [draw_grid],
    "designated_layers": [draw_layer],
    "no_polygons": [draw_on_text_layer],
    "cell_name": [draw_long_name, draw_bad_name],
    "dangling_reference": [draw_reference],
    "magnification": [draw_magnified],
    "duplicate_instances": [draw_twice],
    "top_cell": [draw_bad_name, draw_second_top],
    "floorplan_size": [draw_floorplan, draw_two_floorplans],
    "inside_floorplan": [draw_at_edge],
}
# the kinds that no deck here uses yet, so that none goes untested
SPARE = replace(
    SOI,
    technology="spare",
    rules=(
        Rule("spare.notch", "notch", "test", ("waveguide",), value_um=0.3),
        Rule("spare.narrow", "narrow_width_length", "test", ("waveguide",), value_um=0.35, length_um=20),
    ),
)
ALL_RULES = [
    pytest.param(deck, rule, build, id=f"{deck.technology}-{rule.id}-{getattr(build, '__name__', 'none')}")
    for deck in (*DECKS.values(), SPARE)
    for rule in deck.rules
    for build in PAIRS.get(rule.kind, [None])
]


def one_rule(deck: RuleDeck, rule: Rule) -> RuleDeck:
    return replace(deck, rules=(rule,))


@pytest.mark.parametrize(("deck", "rule", "build"), ALL_RULES)
def test_rule_by_a_pair_of_shapes(deck: RuleDeck, rule: Rule, build: Builder | None) -> None:
    assert build is not None, f"draw a pair of shapes for rules of kind {rule.kind}"
    for deep in (False, True):
        at_limit, beyond = Sheet(deck), Sheet(deck)
        build(at_limit, rule, 0)
        build(beyond, rule, 1)
        passes = check_layout(at_limit.layout, one_rule(deck, rule), deep=deep)
        assert passes.counts() == {}, passes.text()
        fails = check_layout(beyond.layout, one_rule(deck, rule), deep=deep)
        assert set(fails.counts()) == {rule.id}
        assert fails.findings[0].source == rule.source
        assert passes.ran == fails.ran == (rule.id,)


def test_every_kind_has_a_check_and_a_pair() -> None:
    assert set(CHECKS) == set(KINDS) == set(PAIRS)
    used = {rule.kind for deck in (*DECKS.values(), SPARE) for rule in deck.rules}
    assert used == set(KINDS)


# -- planted defects: each is added to a clean chip --------------------------------------------------------------------


def clean_chip() -> Sheet:
    """A chip without findings: strip with bend, rib, heater with pads, grating, via, label."""
    s = Sheet(SOI, name="Cell0_picq")
    s.box("floorplan", 0, 0, 5_500_000, 4_900_000)
    strip = s.layout.create_cell("strip")
    s.shapes("waveguide", strip).insert(kdb.Box(0, 0, 50_000, 450))
    bend = s.layout.create_cell("bend")
    ring = (_disk(10_225) - _disk(9_775)) & kdb.Region(kdb.Box(0, -20_000, 20_000, 0))
    s.shapes("waveguide", bend).insert(ring.moved(0, 10_225))
    s.place(strip, kdb.ICplxTrans(1, 0, False, 100_000, 100_000))
    s.place(bend, kdb.ICplxTrans(1, 0, False, 150_000, 100_000))
    s.box("waveguide", 100_000, 200_000, 200_000, 200_450)
    s.box("slab", 100_000, 195_000, 200_000, 205_450)
    s.box("heater", 100_000, 300_000, 300_000, 300_900)
    for x in (90_000, 290_000):
        s.box("pad", x, 290_000, x + 20_000, 310_000)
    s.box("waveguide", 100_000, 400_000, 120_000, 410_000)
    for n in range(20):
        s.box("grating_etch", 101_000 + 630 * n, 399_000, 101_315 + 630 * n, 411_000)
    s.box("metal", 100_000, 500_000, 120_000, 520_000)
    s.box("via", 108_000, 508_000, 112_000, 512_000)
    s.shapes("label").insert(kdb.Text("picq", 100_000, 100_000))
    return s


AT = 1_000_000  # an empty place of the clean chip


def guide(s: Sheet, x: int, y: int, length: int = 20_000, width: int = 450) -> None:
    s.box("waveguide", AT + x, AT + y, AT + x + length, AT + y + width)


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
        ring = _disk(radius + 225, count) - _disk(radius - 225, count)
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
    s.shapes("waveguide").insert(_disk(200_000, 5_000, AT, AT))


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


# -- curves: no false markers ------------------------------------------------------------------------------------------


def euler_centre_line(radius: float, p: float, step: float = 0.02) -> list[tuple[float, float, float]]:
    """(x, y, heading) along a bend of 90 degrees of an effective radius, in um: clothoid, arc, clothoid."""
    turn = math.pi / 2
    length = 2 * p * turn  # of both clothoids together, at a smallest radius of 1
    arc = turn * (1 - p)
    total = length + arc
    x = y = heading = 0.0
    line = [(x, y, heading)]
    count = 20_000
    ds = total / count
    for k in range(count):
        s = (k + 0.5) * ds
        curvature = min(1.0, s / (length / 2), (total - s) / (length / 2)) if p else 1.0
        heading += curvature * ds / 2
        x, y = x + math.cos(heading) * ds, y + math.sin(heading) * ds
        heading += curvature * ds / 2
        line.append((x, y, heading))
    scale = radius / line[-1][0]
    keep = max(int(step / (ds * scale)), 1)
    return [(x * scale, y * scale, heading) for x, y, heading in (*line[:-1:keep], line[-1])]


def draw_along(
    line: list[tuple[float, float, float]], width: float, before: float = 0.0, after: float = 0.0
) -> kdb.Polygon:
    """A waveguide along a centre line in um, prolonged straight at both ends, as one polygon on a grid of 1 nm."""
    (x0, y0, h0), (x1, y1, h1) = line[0], line[-1]
    if before:
        line = [(x0 - before * math.cos(h0), y0 - before * math.sin(h0), h0), *line]
    if after:
        line = [*line, (x1 + after * math.cos(h1), y1 + after * math.sin(h1), h1)]
    half = width / 2
    left = [kdb.DPoint(x - half * math.sin(h), y + half * math.cos(h)) for x, y, h in line]
    right = [kdb.DPoint(x + half * math.sin(h), y - half * math.cos(h)) for x, y, h in line]
    return kdb.DPolygon([*left, *reversed(right)]).to_itype(0.001)


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
    ring = _disk(r + 225, count) - _disk(r - 225, count)
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
        rings += _disk(20_000 + 700 * n, 2_000) - _disk(19_600 + 700 * n, 2_000)
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


@pytest.mark.slow
def test_gdsfactory_components_are_clean(tmp_path: Path) -> None:
    """Cells that picq did not draw, on their own layers, upright and turned: no findings but overlapping cells."""
    gf = pytest.importorskip("gdsfactory")
    from gdsfactory.gpdk import PDK

    PDK.activate()
    layers = {**SOI.layers, "waveguide": (1, 0), "slab": (3, 0)}
    rules = tuple(r for r in SOI.for_device().rules if r.layers[:1] in (("waveguide",), ("slab",)))
    deck = replace(SOI, layers=layers, rules=rules)
    for name in GDSFACTORY_CLEAN:
        for angle in (0, 30):
            turned = gf.Component()
            turned.add_ref_off_grid(getattr(gf.components, name)()).rotate(angle)
            turned.write_gds(tmp_path / "mask.gds", with_metadata=False)
            counts = drc(tmp_path / "mask.gds", deck).counts()
            assert set(counts) <= {"waveguide.overlapping_cells"}, (name, angle, counts)


# -- modes, database units, files --------------------------------------------------------------------------------------


def many_cells() -> Sheet:
    """Cells with violations inside, across a joint and under rotation and mirroring, placed many times."""
    sheet = Sheet(SOI)
    cell = sheet.layout.create_cell("narrow")
    sheet.shapes("waveguide", cell).insert(kdb.Box(0, 0, 10_000, 340))
    sheet.shapes("waveguide", cell).insert(kdb.Box(0, 450, 10_000, 900))
    sheet.shapes("waveguide", cell).insert(draw_along(euler_centre_line(4.0, 0.5), 0.45).moved(0, 2_000))
    for n in range(24):
        sheet.place(cell, kdb.ICplxTrans(1, 90 * (n % 4), n % 2 == 0, 60_000 * (n % 6), 60_000 * (n // 6)))
        sheet.place(cell, kdb.ICplxTrans(1, 0, False, 60_000 * (n % 6) + 10_100 * (n % 3), 400_000 + 60_000 * (n // 6)))
    return sheet


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


# -- waivers -----------------------------------------------------------------------------------------------------------


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
