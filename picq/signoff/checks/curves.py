"""The convex curves of an outline and how tightly they turn, whatever the grid did to their vertices."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import klayout.db as kdb

Point = tuple[float, float]

CORNER = math.radians(25.0)  # a turn of this at one vertex ends a curve
LEAST_TURN = math.radians(10.0)  # curves that turn less are no bends
WOBBLE = math.radians(3.0)  # an outline without the points within the tolerance turns back by less than this


@dataclass(frozen=True)
class Curve:
    """A convex stretch of an outline: its points, and at both ends the direction of the tangent if it is known.

    An end is capped where the outline turns a corner there: then the end of the curve is known exactly. Where a
    straight edge follows, snapping hides in it how the curve begins.
    """

    points: list[Point]
    turn: float
    start: Point | None
    end: Point | None
    capped: tuple[bool, bool] = (False, False)


def curves(polygon: kdb.Polygon, limit: float, smoothing: int) -> Iterator[Curve]:
    """The convex curves of a merged polygon.

    Args:
        polygon: in database units.
        limit: the radius in question, database units; edges longer than a quarter of it are straight.
        smoothing: vertices this near to a straight outline are the grid's, database units.
    """
    thin = polygon.smooth(smoothing)
    if thin.holes() != polygon.holes():  # a hole too small to keep
        thin = polygon
    drawn = [(points, {point: n for n, point in enumerate(points)}) for points in _contours(polygon)]
    for vertices in _contours(thin):
        if len(vertices) < 6:
            continue
        # thinning may change the order of holes
        points, index = next(whole for whole in drawn if all(vertex in whole[1] for vertex in vertices))
        for curve in _convex_stretches(vertices, limit / 4):
            yield _as_drawn(curve, points, index[curve.points[0]], index[curve.points[-1]], limit)


def _contours(polygon: kdb.Polygon) -> Iterator[list[Point]]:
    """The outline, then every hole."""
    yield [(p.x, p.y) for p in polygon.each_point_hull()]
    for n in range(polygon.holes()):
        yield [(p.x, p.y) for p in polygon.each_point_hole(n)]


def _as_drawn(curve: Curve, points: list[Point], a: int, b: int, limit: float) -> Curve:
    """A curve of a thinned outline with all the drawn points, back to where the straight edges beside it really end."""
    b += len(points) if b <= a else 0
    drawn = sum(math.dist(points[k % len(points)], points[(k + 1) % len(points)]) for k in range(a, b))
    if drawn > 1.2 * along(curve.points)[-1]:
        return curve  # an outline that touches itself passes a point twice, so what lies between is not known
    start, end = curve.start, curve.end
    spare = len(points) - (b - a) - 2
    if start is not None and not curve.capped[0]:
        while spare > 0 and math.dist(points[a - 1], points[a]) < limit / 8:
            a, spare = a - 1, spare - 1
        start = _from_to(points[a - 1], points[a])
    if end is not None and not curve.capped[1]:
        while spare > 0 and math.dist(points[b % len(points)], points[(b + 1) % len(points)]) < limit / 8:
            b, spare = b + 1, spare - 1
        end = _from_to(points[b % len(points)], points[(b + 1) % len(points)])
    return replace(curve, points=[points[k % len(points)] for k in range(a, b + 1)], start=start, end=end)


def _convex_stretches(points: list[Point], straight: float) -> Iterator[Curve]:
    """Split an outline (material on its right) at corners, straight edges and inflections; give what turns right."""
    count = len(points)
    steps = [
        (points[(i + 1) % count][0] - points[i][0], points[(i + 1) % count][1] - points[i][1]) for i in range(count)
    ]
    lengths = [math.hypot(*step) for step in steps]
    turns = [turn_between(steps[i - 1], steps[i]) for i in range(count)]
    is_straight = [length >= straight for length in lengths]
    is_corner = [abs(turn) > CORNER for turn in turns]
    # begin where the outline is no curve for sure; a closed curve begins anywhere
    first = next((i for i in range(count) if is_corner[i] or is_straight[i - 1]), None)
    if first is None:
        if sum(turns) < 0:
            yield Curve([*points, points[0]], -sum(turns), None, None)
        return
    run: list[int] = []
    for i in ((first + k) % count for k in range(count + 1)):
        if run and (is_straight[run[-1]] or is_corner[i]):
            if is_corner[i] and not is_straight[run[-1]]:
                run.append(i)
            yield from _split(run, points, steps, turns, is_straight, is_corner)
            run = []
        run.append(i)


def _split(
    run: list[int],
    points: list[Point],
    steps: list[Point],
    turns: list[float],
    is_straight: list[bool],
    is_corner: list[bool],
) -> Iterator[Curve]:
    """The right-turning parts of one smooth run of vertices, parted where it turns back by more than a wobble."""
    if len(run) < 3:
        return
    heading, peak = 0.0, 0.0
    start = peak_at = 0
    parts: list[tuple[int, int]] = []
    sense = 0
    inner = [0.0 if is_corner[i] and k in (0, len(run) - 1) else turns[i] for k, i in enumerate(run)]
    for k, turn in enumerate(inner):
        heading += turn
        if sense == 0:
            if abs(heading) > WOBBLE:
                sense, peak, peak_at = (1 if heading > 0 else -1), heading, k
        elif (heading - peak) * sense >= 0:
            peak, peak_at = heading, k
        elif (peak - heading) * sense > WOBBLE:
            if sense < 0:
                parts.append((start, peak_at))
            start, sense, peak, peak_at = peak_at, -sense, heading, k
    if sense < 0:
        parts.append((start, len(run) - 1))
    for a, b in parts:
        total = -sum(inner[a : b + 1])
        if b - a < 2 or total < LEAST_TURN:
            continue
        begin = _tangent(run[a], -1, steps, turns, is_straight, is_corner) if a == 0 else None
        end = _tangent(run[b], +1, steps, turns, is_straight, is_corner) if b == len(run) - 1 else None
        yield Curve([points[i] for i in run[a : b + 1]], total, begin, end, (is_corner[run[a]], is_corner[run[b]]))


def _tangent(
    i: int, side: int, steps: list[Point], turns: list[float], is_straight: list[bool], is_corner: list[bool]
) -> Point | None:
    """Direction of the outline at the end of a curve, from the end cap or the straight edge beyond it."""
    beyond = steps[i - 1] if side < 0 else steps[i]
    if is_corner[i]:
        if abs(abs(turns[i]) - math.pi / 2) > math.radians(8):
            return None
        sign = math.copysign(1.0, turns[i]) * (1 if side < 0 else -1)
        return (-sign * beyond[1], sign * beyond[0])
    edge = i - 1 if side < 0 else i
    return beyond if is_straight[edge] else None


def tightest(points: list[Point], window: float) -> float:
    """Smallest radius through three points of the outline, half a window apart; snapping moves it by about 1 %."""
    run = along(points)
    half = min(window, run[-1]) / 2
    count = max(int((run[-1] - 2 * half) / (half / 4)), 0) + 1
    smallest = math.inf
    for k in range(count):
        middle = half if count == 1 else half + (run[-1] - 2 * half) * k / (count - 1)
        a, b, c = (point_at(points, run, s) for s in (middle - half, middle, middle + half))
        area = abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
        if area > 0:
            smallest = min(smallest, math.dist(a, b) * math.dist(b, c) * math.dist(a, c) / (2 * area))
    return smallest


def circle(points: list[Point]) -> tuple[Point, float, float]:
    """Centre and radius of the circle fitted to points (least squares in r²), and the worst misfit."""
    count = len(points)
    mx, my = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    sxx = sxy = syy = sxr = syr = srr = 0.0
    for px, py in points:
        x, y = px - mx, py - my
        r2 = x * x + y * y
        sxx, sxy, syy = sxx + x * x, sxy + x * y, syy + y * y
        sxr, syr, srr = sxr + x * r2, syr + y * r2, srr + r2
    determinant = sxx * syy - sxy * sxy
    if determinant <= 1e-9 * srr * srr:
        return (mx, my), math.inf, math.inf
    cx, cy = (sxr * syy - syr * sxy) / (2 * determinant), (syr * sxx - sxr * sxy) / (2 * determinant)
    radius = math.sqrt(cx * cx + cy * cy + srr / count)
    centre = (cx + mx, cy + my)
    return centre, radius, max(abs(math.dist(centre, point) - radius) for point in points)


def chord_radius(curve: Curve) -> float:
    """Radius of the arc between the ends of a curve that turns as far; zero from half a turn on."""
    (x0, y0), (x1, y1) = curve.points[0], curve.points[-1]
    if curve.turn >= math.pi:
        return 0.0
    return math.hypot(x1 - x0, y1 - y0) / (2 * math.sin(curve.turn / 2))


def effective_radius(curve: Curve, before: float = 0.0, after: float = 0.0) -> float | None:
    """Radius of the arc between the same tangents: distance of an end from their crossing / tan(θ/2).

    ``before`` and ``after``: how far the ends of the curve really lie beyond its first and last points.
    """
    if curve.start is None or curve.end is None:
        return None
    turn = -turn_between(curve.start, curve.end)
    if not LEAST_TURN < turn < math.radians(170):
        return None
    (x0, y0), (x1, y1) = curve.points[0], curve.points[-1]
    (ux, uy), (vx, vy) = (unit(curve.start), unit(curve.end))
    cross = ux * vy - uy * vx
    dx, dy = x1 - x0, y1 - y0
    ahead = (dx * vy - dy * vx) / cross + before  # from the first end to the crossing of the tangents
    behind = (ux * dy - uy * dx) / cross + after  # from the crossing to the last end
    return min(ahead, behind) / math.tan(turn / 2)


def hidden_length(curve: Curve, dbu: float, end: int) -> float:
    """How much of the beginning of a curve is hidden in the straight edge before it.

    A clothoid leaves its tangent with the cube of the length: where it is 8 and 64 nm away tells where it began. This
    overrates a rounder beginning, so at worst a bend is taken for wider than it is, by a few per cent.
    """
    points = curve.points if end == 0 else curve.points[::-1]
    tangent = curve.start if end == 0 else curve.end
    if tangent is None:
        return 0.0
    ux, uy = unit(tangent) if end == 0 else unit((-tangent[0], -tangent[1]))
    reached = [0.0, 0.0]
    for k, distance in enumerate((0.008 / dbu, 0.064 / dbu)):
        last = (0.0, 0.0)
        for x, y in points:
            dx, dy = x - points[0][0], y - points[0][1]
            along, aside = dx * ux + dy * uy, abs(dy * ux - dx * uy)
            if aside >= distance:
                reached[k] = last[0] + (along - last[0]) * (distance - last[1]) / (aside - last[1])
                break
            last = (along, aside)
    return max(reached[1] - 2 * reached[0], 0.0)


def along(points: list[Point]) -> list[float]:
    """Length along a line of points, at each of them."""
    run = [0.0]
    for (x0, y0), (x1, y1) in pairwise(points):
        run.append(run[-1] + math.hypot(x1 - x0, y1 - y0))
    return run


def point_at(points: list[Point], run: list[float], s: float) -> Point:
    """The point of a line of points at a length; ``run`` is what ``along`` gave."""
    low, high = 0, len(run) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if run[middle] <= s else (low, middle)
    share = (s - run[low]) / (run[high] - run[low])
    (x0, y0), (x1, y1) = points[low], points[high]
    return x0 + share * (x1 - x0), y0 + share * (y1 - y0)


def _from_to(a: Point, b: Point) -> Point:
    return b[0] - a[0], b[1] - a[1]


def turn_between(a: Point, b: Point) -> float:
    """Signed angle from one direction to another in radians, left turns positive."""
    return math.atan2(a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1])


def unit(vector: Point) -> Point:
    """A vector of length one."""
    length = math.hypot(*vector)
    return vector[0] / length, vector[1] / length
