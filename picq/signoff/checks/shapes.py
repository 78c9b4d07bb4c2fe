"""What a single drawn shape must not be: too small, pointed, self-crossing, empty or over-long."""

import math
from collections.abc import Iterator

import klayout.db as kdb

from picq.signoff.checks.mask import Mask
from picq.signoff.report import Finding
from picq.signoff.rules import Rule

SNAP_UM = 0.010  # shorter edges point anywhere, since their ends are snapped to the grid


def area(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Merged shapes below the smallest area."""
    unit = mask.dbu * mask.dbu
    for polygon in mask.region(rule.layer).with_area(0, math.ceil(rule.value_um2 / unit - 1e-3), False).each_merged():
        got = round(polygon.area() * unit, 9)
        message = f"area {got:g} um², at least {rule.value_um2:g} um²"
        yield mask.finding(rule, message, polygon, measured=got, limit=rule.value_um2, unit="um²")


def acute_angle(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Tips of merged shapes that are more pointed than the limit."""
    corners = mask.region(rule.layer).corners_edge_pairs(-180.0, rule.value_deg - 180.0, True, False)
    for corner in corners.with_length_both(mask.steps(SNAP_UM), None, False).each():
        into, out = corner.first.d(), corner.second.d()
        got = 180 - math.degrees(abs(math.atan2(into.x * out.y - into.y * out.x, into.x * out.x + into.y * out.y)))
        tip = kdb.Box(corner.first.p2, corner.first.p2).enlarged(mask.steps(0.1))
        message = f"tip of {got:.3g} degrees, at least {rule.value_deg:g} degrees"
        yield mask.finding(rule, message, tip, measured=round(got, 4), limit=rule.value_deg, unit="degrees")


def _drawn(mask: Mask) -> Iterator[tuple[kdb.Cell, int]]:
    for cell in mask.cells():
        for layer in mask.layout.layer_indexes():
            if not cell.shapes(layer).is_empty():
                yield cell, layer


def _where(mask: Mask, cell: kdb.Cell) -> tuple[kdb.ICplxTrans, str]:
    at, times = mask.placements(cell)
    return at, f"in cell {cell.name}" + (f", placed {times} times" if times > 1 else "")


def self_intersection(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Drawn outlines that cross or overlap themselves."""
    for cell, layer in _drawn(mask):
        drawn = kdb.Region(cell.shapes(layer))
        drawn.merged_semantics = False
        strange = drawn.strange_polygon_check()
        if strange.is_empty():
            continue
        at, where = _where(mask, cell)
        for polygon in strange.each():
            yield mask.finding(rule, f"outline crosses itself {where}", polygon.transformed(at))


def degenerate(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Drawn shapes without area and paths without width."""
    for cell, layer in _drawn(mask):
        for shape in cell.shapes(layer).each(kdb.Shapes.SBoxes | kdb.Shapes.SPolygons | kdb.Shapes.SPaths):
            what = "path of zero width" if shape.is_path() and shape.path_width == 0 else "shape of zero area"
            if shape.area() == 0:
                at, where = _where(mask, cell)
                yield mask.finding(rule, f"{what} {where}", shape.bbox().transformed(at))


def vertices(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Drawn polygons with more vertices than readers take."""
    for cell, layer in _drawn(mask):
        for shape in cell.shapes(layer).each(kdb.Shapes.SPolygons):
            if (number := shape.polygon.num_points()) > rule.count:
                at, where = _where(mask, cell)
                message = f"polygon of {number} vertices {where}, at most {rule.count}"
                yield mask.finding(rule, message, shape.bbox().transformed(at), measured=number, limit=rule.count)
