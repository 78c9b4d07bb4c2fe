"""DRC of a hierarchical chip of 1,000 MZIs: picq's width and space rules against merging the whole mask flat.

Both sides run KLayout's width and space checks with the same limits and the same ignored angle, from the same layout in
memory. ``python benchmarks/bench_drc.py`` prints one line.
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import klayout.db as kdb
from row import row

from picq.signoff.drc import check_layout
from picq.signoff.rules import Rule, RuleDeck

WAVEGUIDE = (3, 0)
WIDTH_UM, SPACE_UM = 0.35, 0.2
DECK = RuleDeck(
    "bench",
    {"waveguide": WAVEGUIDE},
    (
        Rule("width", "width", "bench", ("waveguide",), value_um=WIDTH_UM),
        Rule("space", "space", "bench", ("waveguide",), value_um=SPACE_UM),
    ),
)
RUNS = 3


def chip(kinds: int = 20, count: int = 1000) -> kdb.Layout:
    """``count`` Mach-Zehnder interferometers of ``kinds`` different lengths, each made of four reused cells."""
    layout = kdb.Layout()
    layer = layout.layer(*WAVEGUIDE)
    bend = layout.create_cell("bend")
    bend.shapes(layer).insert(_arc(10_000, 450, 110))
    splitter = layout.create_cell("splitter")
    splitter.shapes(layer).insert(kdb.Box(0, -1_250, 12_000, 1_250))
    splitter.shapes(layer).insert(kdb.Box(-10_000, -225, 0, 225))
    for y in (-5_000, 5_000):
        splitter.shapes(layer).insert(_s_bend(12_000, y // 8, y, 30_000, 60))
    mzis = [_mzi(layout, layer, f"mzi_{n}", bend, splitter, 20_000 + 500 * n) for n in range(kinds)]
    top = layout.create_cell("chip")
    for n in range(count):
        at = kdb.Trans(kdb.Vector(250_000 * (n % 40), 100_000 * (n // 40)))
        top.insert(kdb.CellInstArray(mzis[n % kinds].cell_index(), at))
    return layout


def _mzi(layout: kdb.Layout, layer: int, name: str, bend: kdb.Cell, splitter: kdb.Cell, length: int) -> kdb.Cell:
    mzi = layout.create_cell(name)
    mzi.insert(kdb.CellInstArray(splitter.cell_index(), kdb.Trans(0, 0)))
    mzi.insert(kdb.CellInstArray(splitter.cell_index(), kdb.Trans(2, False, 124_000, 0)))
    for side, reach in ((1, length), (-1, 10_000)):
        mirror = kdb.Trans(0, side < 0, 0, 0)
        base = 5_000
        pieces = (
            kdb.Trans(0, False, 42_000, base),
            kdb.Trans(2, False, 62_000, base + 20_000 + reach),
            kdb.Trans(0, True, 62_000, base + 20_000 + reach),
            kdb.Trans(2, True, 82_000, base),
        )
        for trans in pieces:
            mzi.insert(kdb.CellInstArray(bend.cell_index(), mirror * trans))
        for x in (52_000, 72_000):
            arm = kdb.Box(x - 225, base + 10_000, x + 225, base + 10_000 + reach)
            mzi.shapes(layer).insert(arm.transformed(mirror))
    return mzi


def _arc(radius: int, width: int, count: int) -> kdb.Polygon:
    """A quarter of a ring that starts in the origin to the right and turns up."""
    angles = [math.pi / 2 * k / count for k in range(count + 1)]
    outer = [((radius + width / 2) * math.sin(a), radius - (radius + width / 2) * math.cos(a)) for a in angles]
    inner = [((radius - width / 2) * math.sin(a), radius - (radius - width / 2) * math.cos(a)) for a in angles]
    return kdb.Polygon([kdb.Point(round(x), round(y)) for x, y in [*outer, *reversed(inner)]])


def _s_bend(x: int, y0: int, y1: int, length: int, count: int) -> kdb.Polygon:
    shares = [k / count for k in range(count + 1)]
    middle = [(x + length * t, y0 + (y1 - y0) * (1 - math.cos(math.pi * t)) / 2) for t in shares]
    above = [kdb.Point(round(px), round(py + 225)) for px, py in middle]
    below = [kdb.Point(round(px), round(py - 225)) for px, py in reversed(middle)]
    return kdb.Polygon([*above, *below])


def merged_flat(layout: kdb.Layout) -> int:
    """Number of markers after merging the whole layer flat, once for both checks."""
    shapes = layout.top_cell().begin_shapes_rec(layout.layer(*WAVEGUIDE))
    region = kdb.Region(shapes).merged()
    found = 0
    for check, limit in ((region.width_check, WIDTH_UM), (region.space_check, SPACE_UM)):
        found += check(round(limit / layout.dbu), False, kdb.Region.Euclidian, 80.0).count()
    return found


def _median_time(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def run() -> list[dict[str, Any]]:
    """Measure CPU seconds of both sides; see ``row``."""
    layout = chip()
    report = check_layout(layout, DECK)
    if report.findings or merged_flat(layout):
        raise AssertionError(report.text())
    ours = _median_time(lambda: check_layout(layout, DECK))
    peer = _median_time(lambda: merged_flat(layout))
    vertices = report.figures["flat_vertices"] / 1e6
    name = f"DRC width + space, 1,000 MZIs, {vertices:.1f} M vertices"
    return [row(name, ours, "klayout, merged flat", peer, 10.0)]


if __name__ == "__main__":
    for entry in run():
        print(entry)
