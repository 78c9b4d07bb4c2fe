"""Widths, gaps and distances between layers, measured by KLayout.

Curves: a width or gap drawn exactly at its limit comes out up to 2 nm short where vertices are snapped to the grid. So
where both edges are parallel to the axes the limit holds to the database unit, and elsewhere to within 2 nm.
"""

import math
from collections.abc import Iterator

import klayout.db as kdb

from picq.signoff.checks.mask import EXACT_RUN_UM, IGNORE_ANGLE, Mask
from picq.signoff.report import Finding
from picq.signoff.rules import Rule

EUCLID, PROJECTED = kdb.Metrics.Euclidian, kdb.Metrics.Projection
PARALLEL = 5.0  # degrees within which two edges run side by side
BLUNT = 45.0  # degrees between the edges of a corner from which it is no tip and no slit
_FILLED = 0.1  # of the space between two edges, from which they face each other through their own shape
FACING = 45.0  # degrees within which the end of a shape faces the edge that it crossed


def _certain(mask: Mask, pairs: kdb.EdgePairs, limit: int) -> Iterator[kdb.EdgePair]:
    """The pairs that violate a limit for sure, not by the snapping of a curve."""
    clear, close = pairs.split_with_distance(0, max(limit - mask.tolerance, 1))
    drawn = close.with_angle_both(kdb.Edges.OrthoEdges, False).with_length_both(mask.steps(EXACT_RUN_UM), None, False)
    for pair in clear.each():
        if _distance(pair) < max(limit - mask.tolerance, 1) and not _is_blunt_corner(pair):
            yield pair
    yield from drawn.each()


def _distance(pair: kdb.EdgePair) -> float:
    """Distance of the edges; KLayout gives zero where the violating part of one edge is a point."""
    for point, edge in ((pair.first, pair.second), (pair.second, pair.first)):
        if point.is_degenerate():
            return point.p1.distance(edge.p1) if edge.is_degenerate() else edge.euclidian_distance(point.p1)
    return pair.distance()


def _is_blunt_corner(pair: kdb.EdgePair) -> bool:
    """Two edges that meet in one corner: too near each other there at any angle, so only pointed ones count."""
    if pair.first.p1 != pair.second.p2 and pair.first.p2 != pair.second.p1:
        return False
    a, b = pair.first.d(), pair.second.d()
    return math.degrees(abs(math.atan2(a.x * b.y - a.y * b.x, -(a.x * b.x + a.y * b.y)))) >= BLUNT


def _across_gaps(region: kdb.Region, pairs: kdb.EdgePairs) -> kdb.EdgePairs:
    """The pairs with a gap between them.

    Where a narrow curve starts at a block, the block's edge sees the curve's far side through the curve itself.
    """
    gaps, shapes = kdb.EdgePairs(), kdb.Shapes()  # searched by place: a file with many violations is no slower
    if not pairs.is_empty():
        shapes.insert(region)
    for pair in pairs.each():
        between = pair.polygon(0)
        if between.area() <= between.perimeter():  # a sliver, whose overlap is lost in rounding: look at its middle
            middle = between.bbox().center()
            between = kdb.Polygon(kdb.Box(middle, middle).enlarged(2))
        near = kdb.Region([shape.polygon for shape in shapes.each_touching(between.bbox())])
        if (kdb.Region(between) & near).area() <= _FILLED * between.area():
            gaps.insert(pair)
    return gaps


def _report(mask: Mask, rule: Rule, what: str, pairs: kdb.EdgePairs) -> Iterator[Finding]:
    limit = rule.value_um
    for pair in _certain(mask, pairs, mask.steps(limit)):
        got = mask.um(_distance(pair))
        message = f"{what} {got:g} um, at least {limit:g} um"
        yield mask.finding(rule, message, pair, measured=got, limit=limit, unit="um")


def width(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Parts of a shape that are narrower than the limit."""
    region = mask.region(rule.layer)
    yield from _report(mask, rule, "width", region.width_check(mask.steps(rule.value_um), False, EUCLID, IGNORE_ANGLE))


def space(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Gaps and notches below the limit."""
    region = mask.region(rule.layer)
    pairs = region.space_check(mask.steps(rule.value_um), False, EUCLID, IGNORE_ANGLE)
    yield from _report(mask, rule, "space", _across_gaps(region, pairs))


def notch(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Notches of a shape below the limit."""
    region = mask.region(rule.layer)
    pairs = region.notch_check(mask.steps(rule.value_um), False, EUCLID, IGNORE_ANGLE)
    yield from _report(mask, rule, "notch", _across_gaps(region, pairs))


def separation(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Shapes of two layers closer than the limit, or overlapping."""
    first, other = (mask.region(name) for name in rule.layers)
    pairs = first.separation_check(other, mask.steps(rule.value_um), False, EUCLID, IGNORE_ANGLE)
    yield from _report(mask, rule, f"distance of {rule.layers[0]} from {rule.layers[1]}", pairs)
    yield from no_overlap(mask, rule)


def no_overlap(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Where two layers overlap."""
    for polygon in (mask.region(rule.layers[0]) & mask.region(rule.layers[1])).each_merged():
        yield mask.finding(rule, f"{rule.layers[0]} overlaps {rule.layers[1]}", polygon)


def enclosure(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Inner shapes outside an outer one, or closer than the limit to its edge."""
    inner, outer = (mask.region(name) for name in rule.layers)
    pairs = inner.enclosed_check(outer, mask.steps(rule.value_um), False, EUCLID, IGNORE_ANGLE)
    yield from _report(mask, rule, f"enclosure of {rule.layers[0]} by {rule.layers[1]}", pairs)
    for polygon in (inner - outer).each_merged():
        yield mask.finding(rule, f"{rule.layers[0]} outside {rule.layers[1]}", polygon)


def margin(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Places where an edge of outer runs along an edge of inner nearer than the limit."""
    outer, inner = (mask.region(name) for name in rule.layers)
    apart = kdb.Region.NeverIncludeZeroDistance  # edges on each other are the ends of both at a port
    pairs = outer.enclosing_check(
        inner, mask.steps(rule.value_um), False, PROJECTED, PARALLEL, zero_distance_mode=apart
    )
    yield from _report(mask, rule, f"margin of {rule.layers[0]} over {rule.layers[1]}", pairs)


def overlap(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Ends of a shape that reach less than the limit beyond the edge of the other layer that they crossed.

    A shape that lies inside the other layer crosses no edge and is free: "overlap" is not "inside".
    """
    first, other = (mask.region(name) for name in rule.layers)
    ends = first.edges().inside_part(other)
    crossed = other.edges().inside_part(first)
    pairs = ends.overlap_check(crossed, mask.steps(rule.value_um), False, PROJECTED, FACING)
    yield from _report(mask, rule, f"overlap of {rule.layers[0]} with {rule.layers[1]}", pairs)


def contacts(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Shapes that overlap fewer separate shapes of the other layer than they need."""
    first, other = (mask.region(name) for name in rule.layers)
    connected = first.overlapping(other, rule.count) if rule.count > 1 else first.overlapping(other)
    for polygon in (first - connected).each_merged():
        message = f"{rule.layers[0]} overlaps fewer than {rule.count} separate shapes of {rule.layers[1]}"
        yield mask.finding(rule, message, polygon, limit=rule.count)


def narrow_space_length(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Narrow gaps that are too long."""
    pairs = mask.region(rule.layer).space_check(mask.steps(rule.value_um), False, PROJECTED, IGNORE_ANGLE)
    yield from _too_long(mask, rule, "gap", pairs)


def narrow_width_length(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Narrow lines that are too long."""
    pairs = mask.region(rule.layer).width_check(mask.steps(rule.value_um), False, PROJECTED, IGNORE_ANGLE)
    yield from _too_long(mask, rule, "line", pairs)


def _too_long(mask: Mask, rule: Rule, what: str, pairs: kdb.EdgePairs) -> Iterator[Finding]:
    strips = kdb.Region()
    for pair in _certain(mask, pairs, mask.steps(rule.value_um)):
        strips.insert(pair.polygon(1))  # one database unit larger on each side, so that the facets of a curve join
    for polygon in strips.each_merged():
        half, area = polygon.perimeter() / 2, polygon.area()
        # the long side of the rectangle with this perimeter and area, exact when straight
        length = mask.um((half + math.sqrt(max(half * half - 4 * area, 0))) / 2 - 2)
        if length > rule.length_um + mask.dbu / 2:
            message = f"{what} below {rule.value_um:g} um is {length:g} um long, at most {rule.length_um:g} um"
            yield mask.finding(rule, message, polygon, measured=length, limit=rule.length_um, unit="um")


def parallel_run(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Long straight edges that face each other nearer than the limit."""
    length = mask.steps(rule.length_um)
    edges = mask.region(rule.layer).edges().with_length(length, None, False)
    pairs = edges.space_check(mask.steps(rule.value_um), False, PROJECTED, PARALLEL, length, None)
    for pair in pairs.each():
        got, run = mask.um(pair.distance()), mask.um(min(pair.first.length(), pair.second.length()))
        message = f"{run:g} um side by side at a distance of {got:g} um, at least {rule.value_um:g} um recommended"
        yield mask.finding(rule, message, pair, measured=got, limit=rule.value_um, unit="um")
