"""Design rule check: every rule of every deck by a pair of shapes, one dbu beyond the limit and at it."""

import math
import re
from collections.abc import Callable
from dataclasses import replace

import klayout.db as kdb
import pytest
from drc_sheet import BIG, DECKS, SOI, Sheet, disk, draw_width, one_rule

from picq.signoff.checks import CHECKS
from picq.signoff.drc import check_layout
from picq.signoff.rules import KINDS, Rule, RuleDeck


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
    s.shapes(next(iter(s.deck.layers))).insert(disk(1_000_000, count))


def draw_ring(s: Sheet, r: Rule, off: int) -> None:
    radius, half = s.steps(r.value_um) - off, s.steps(0.25)
    ring = disk(radius + half) - disk(radius - half)
    s.shapes(r.layer).insert(ring)
    if r.inside:
        s.shapes(r.inside).insert(ring.bbox())


def draw_arc(s: Sheet, r: Rule, off: int) -> None:
    radius, half = s.steps(r.value_um) - off, s.steps(0.25)
    quarter = kdb.Region(kdb.Box(0, 0, 2 * radius, 2 * radius))
    s.shapes(r.layer).insert((disk(radius + half) - disk(radius - half)) & quarter)
    if r.inside:
        s.shapes(r.inside).insert(quarter.bbox())


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
