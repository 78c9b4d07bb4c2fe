"""Decks and an empty mask to draw on, for the tests of the design rule check."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import klayout.db as kdb

from picq.signoff.rules import Rule, RuleDeck, load_deck

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


BIG = 60_000
AT = 1_000_000  # an empty place of the clean chip


def disk(radius: int, count: int = 720, x: int = 0, y: int = 0) -> kdb.Region:
    angles = [2 * math.pi * k / count for k in range(count)]
    points = [kdb.Point(x + round(radius * math.cos(a)), y + round(radius * math.sin(a))) for a in angles]
    return kdb.Region(kdb.Polygon(points, True))


def draw_width(s: Sheet, r: Rule, off: int) -> None:
    s.box(r.layer, 0, 0, BIG, s.steps(r.value_um) - off)


def one_rule(deck: RuleDeck, rule: Rule) -> RuleDeck:
    return replace(deck, rules=(rule,))


def clean_chip() -> Sheet:
    """A chip without findings: strip with bend, rib, heater with pads, grating, via, label."""
    s = Sheet(SOI, name="Cell0_picq")
    s.box("floorplan", 0, 0, 5_500_000, 4_900_000)
    strip = s.layout.create_cell("strip")
    s.shapes("waveguide", strip).insert(kdb.Box(0, 0, 50_000, 450))
    bend = s.layout.create_cell("bend")
    ring = (disk(10_225) - disk(9_775)) & kdb.Region(kdb.Box(0, -20_000, 20_000, 0))
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


def guide(s: Sheet, x: int, y: int, length: int = 20_000, width: int = 450) -> None:
    s.box("waveguide", AT + x, AT + y, AT + x + length, AT + y + width)


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
