"""Bend radius and facets, measured on the outlines of the mask.

The radius that a foundry names is the nominal one of a bend: for a circular arc its radius, for a bend of varying
curvature (Euler, Bezier) the *effective* radius, that of the arc that turns as far between the same two tangents. An
Euler bend of effective radius R is locally tighter than R, down to 0.53 R for p = 1, and foundries draw theirs so.
Hence two demands: the effective radius keeps the limit, and no stretch is tighter than half of it.

A bend is a convex stretch of outline with a parallel concave one a waveguide's width inside of it; so corners of MMIs,
tapers, disks and rounded ends are none. Each cell is measured once, on its own shapes: a bend is drawn in one cell.
"""

import math
from collections.abc import Iterator

import klayout.db as kdb

from picq.signoff.checks.curves import (
    Curve,
    Point,
    along,
    chord_radius,
    circle,
    curves,
    effective_radius,
    hidden_length,
    point_at,
    tightest,
    turn_between,
    unit,
)
from picq.signoff.checks.mask import Mask
from picq.signoff.report import Finding
from picq.signoff.rules import Rule

ROUND_UM = 0.0015  # vertices of a circle lie this close to it
LOCAL_SHARE = 0.5  # of the limit, for the tightest stretch
SLACK = 0.01  # of the limit, where the ends of a bend are known no better
EXACT = 0.75  # database units, where they are known


def bend_radius(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Bends with an effective radius below the limit, or locally tighter than half of it."""
    index = mask.layer_index.get(rule.layer)
    if index is None or (rule.inside and mask.region(rule.inside).is_empty()):
        return
    limit, widest = rule.value_um / mask.dbu, rule.width_um / mask.dbu
    for cell in mask.cells():
        own = kdb.Region(cell.shapes(index)).merged()
        outline = kdb.Shapes()
        at: kdb.ICplxTrans | None = None
        times = 0
        for polygon in own.each():
            for curve in curves(polygon, limit, mask.tolerance):
                local = tightest(curve.points, 0.3 * limit)
                if min(local, chord_radius(curve)) >= 1.1 * limit + widest / 2:
                    continue
                if at is None:
                    at, times = mask.placements(cell)
                    outline.insert(own.edges())
                place = kdb.Polygon([kdb.Point(round(x), round(y)) for x, y in curve.points], True).transformed(at)
                if not _applies(mask, rule, curve, at):
                    continue
                if (bend := _measure(curve, local, outline, limit, widest, mask.dbu)) is not None:
                    radius, what = bend
                    got, least = round(radius * mask.dbu, 4), rule.value_um * (LOCAL_SHARE if what == "local" else 1.0)
                    where = f"in cell {cell.name}" + (f", placed {times} times" if times > 1 else "")
                    message = f"{what} bend radius {got:g} um {where}, at least {least:g} um"
                    yield mask.finding(rule, message, place, measured=got, limit=least, unit="um")


def _applies(mask: Mask, rule: Rule, curve: Curve, at: kdb.ICplxTrans) -> bool:
    """Whether the layers that the rule is bound to cover the middle of a curve."""
    x, y = curve.points[len(curve.points) // 2]
    spot = kdb.Box(kdb.Point(round(x), round(y)), kdb.Point(round(x), round(y))).transformed(at).enlarged(2)
    if rule.inside and kdb.Region(spot).interacting(mask.near(rule.inside, spot)).is_empty():
        return False
    return not rule.outside or kdb.Region(spot).interacting(mask.near(rule.outside, spot)).is_empty()


def _measure(
    curve: Curve, local: float, outline: kdb.Shapes, limit: float, widest: float, dbu: float
) -> tuple[float, str] | None:
    """The centre-line radius of a bend in database units and what radius that is; None when it keeps the limit."""
    sides = _opposite(curve.points, outline, widest)
    if sides is None:
        return None
    # a drawn width is a whole number of steps
    width = round(sum(_line_distance(point, edge) for point, edge in sides) / len(sides))
    if width > widest or along(curve.points)[-1] < width:
        return None
    centre, radius, misfit = circle(curve.points)
    on_axes = all(t is not None and (t[0] == 0 or t[1] == 0) for t in (curve.start, curve.end))
    ends_are_known = on_axes and all(curve.capped)
    if misfit <= ROUND_UM / dbu:
        what, slack = "circular", EXACT if curve.turn > math.radians(300) else SLACK * limit
        # vertices of both sides lie on circles, the middles of facets do not
        inner = [math.dist(centre, (p.x, p.y)) for _, edge in sides for p in (edge.p1, edge.p2)]
        width = radius - sum(inner) / len(inner)
        exact = effective_radius(curve) if ends_are_known else None
        if exact is not None:
            radius, width, slack = exact, round(width), EXACT
    elif local - width / 2 < LOCAL_SHARE * limit * (1 - 3 * SLACK):
        return local - width / 2, "local"
    else:
        what = "effective"
        hidden = [0.0 if capped else hidden_length(curve, dbu, end) for end, capped in enumerate(curve.capped)]
        radius = effective_radius(curve, *hidden)
        if radius is None:
            return None
        slack = EXACT if ends_are_known else 3 * SLACK * limit
    return (radius - width / 2, what) if radius - width / 2 < limit - slack else None


def _opposite(points: list[Point], outline: kdb.Shapes, widest: float) -> list[tuple[Point, kdb.Edge]] | None:
    """Vertices of a curve and the parallel edges across the waveguide from them; None where there is no waveguide."""
    run = along(points)
    reach = min(run[-1] / 10, 0.5 * widest)
    found = []
    for share in (0.5, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8):
        at = min(range(len(run)), key=lambda k: abs(run[k] - share * run[-1]))
        (x0, y0), (x1, y1) = (
            point_at(points, run, max(run[at] - reach, 0)),
            point_at(points, run, min(run[at] + reach, run[-1])),
        )
        edge = _across(points[at], unit((x1 - x0, y1 - y0)), outline, 1.3 * widest)
        if edge is None:
            return None
        found.append((points[at], edge))
    return found


def _across(point: Point, tangent: Point, outline: kdb.Shapes, reach: float) -> kdb.Edge | None:
    """The edge that a ray from a point of an outline into the material meets first, if it is about parallel."""
    (x, y), (ux, uy) = point, tangent
    vx, vy = uy, -ux  # material lies on the right
    nearest, found = reach, None
    ray = kdb.Edge(round(x), round(y), round(x + reach * vx), round(y + reach * vy))
    for shape in outline.each_touching(ray.bbox()):
        edge = shape.edge
        ex, ey = edge.dx(), edge.dy()
        wx, wy = edge.x1 - x, edge.y1 - y
        cross = vx * ey - vy * ex
        if cross != 0 and 0 <= (wx * vy - wy * vx) / cross <= 1 and 4 < (wx * ey - wy * ex) / cross < nearest:
            nearest, found = (wx * ey - wy * ex) / cross, edge
    if found is None:
        return None
    ex, ey = unit((found.dx(), found.dy()))
    return found if -(ux * ex + uy * ey) > math.cos(math.radians(20)) else None


def _line_distance(point: Point, edge: kdb.Edge) -> float:
    dx, dy = edge.dx(), edge.dy()
    return abs((point[0] - edge.x1) * dy - (point[1] - edge.y1) * dx) / math.hypot(dx, dy)


def facet(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Points where a waveguide turns by more than the limit: a kink at a joint, or a bend of too few facets."""
    region = mask.region(rule.layer)
    shortest = mask.steps(0.1)  # shorter edges point anywhere within a few degrees
    outer = region.corners_edge_pairs(-80.0, -rule.value_deg, True, False).with_length_both(shortest, None, False)
    if outer.is_empty():
        return
    inner = region.corners_edge_pairs(rule.value_deg / 2, 85.0).with_length_both(shortest // 2, None, False)
    widest = mask.steps(rule.width_um)
    cells: dict[tuple[int, int], list[kdb.EdgePair]] = {}
    for corner in inner.each():
        cells.setdefault((corner.first.p2.x // widest, corner.first.p2.y // widest), []).append(corner)
    for corner in outer.each():
        partner = _partner(corner, cells, widest)
        if partner is not None:
            got = round(-math.degrees(_corner_turn(corner)), 4)
            place = kdb.Box(corner.first.p2, partner.first.p2)
            message = f"waveguide turns by {got:.3g} degrees at one point, at most {rule.value_deg:g} degrees"
            yield mask.finding(rule, message, place, measured=got, limit=rule.value_deg, unit="degrees")


def _corner_turn(corner: kdb.EdgePair) -> float:
    into, out = corner.first.d(), corner.second.d()
    return turn_between((into.x, into.y), (out.x, out.y))


def _partner(
    corner: kdb.EdgePair, cells: dict[tuple[int, int], list[kdb.EdgePair]], widest: int
) -> kdb.EdgePair | None:
    """The concave corner on the other side of the waveguide that turns with a convex one."""
    at, turn = corner.first.p2, -_corner_turn(corner)
    ux, uy = unit((corner.first.dx(), corner.first.dy()))
    vx, vy = unit((corner.second.dx(), corner.second.dy()))
    inward = unit((uy + vy, -ux - vx))
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            for other in cells.get((at.x // widest + dx, at.y // widest + dy), []):
                reach = (other.first.p2.x - at.x, other.first.p2.y - at.y)
                distance = math.hypot(*reach)
                # across the waveguide: the corner may sit back by the mitre of the turn and half a facet
                across = reach[0] * inward[0] + reach[1] * inward[1] > 0.8 * distance
                if 0 < distance <= 1.2 * widest and across and _are_parallel(corner, other, 0.4 * turn):
                    return other
    return None


def _are_parallel(corner: kdb.EdgePair, other: kdb.EdgePair, within: float) -> bool:
    """Both sides of the waveguide run parallel before and after the turn."""
    pairs = ((corner.first, other.second), (corner.second, other.first))
    return all(abs(turn_between((a.dx(), a.dy()), (-b.dx(), -b.dy()))) < within for a, b in pairs)
