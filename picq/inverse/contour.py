"""From a filtered density to polygons on the mask's grid: where the field crosses its level there is an edge.

    field ─▶ marching squares ─▶ Douglas-Peucker ─▶ snapped, clipped to the box, merged with the guides ─▶ region

Regions are KLayout's, merged, in database units; boxes, steps and outlines in um.
"""

from collections import Counter
from collections.abc import Sequence

import klayout.db as kdb
import numpy as np
from contourpy import FillType, contour_generator
from numpy.typing import ArrayLike

from picq.errors import SpecError
from picq.inverse.grid import Box

_ON_GRID = 1e-6
"""Of a database unit: how far from its grid a box may lie. Sums of decimal lengths round at 1e-12."""

_BRIDGE = 2
"""Database units: half the side of the square that joins two corners which touch in one point."""


def outline(
    field: ArrayLike,
    step: float,
    box: Box,
    level: float = 0.5,
    guides: Sequence[Box] = (),
    dbu: float = 0.001,
    tolerance: float = 0.0005,
) -> kdb.Region:
    """The polygons where ``field`` is above ``level`` within ``box``, merged with the guides that lead there.

    Marching squares (Lorensen and Cline, SIGGRAPH 1987, in two dimensions), ambiguous squares by the mean of their
    corners, on straight lines between the centres of pixels: an edge is wrong by the field's curvature,
    f'' step^2 / (8 f'), 0.04 nm for straight edges under a cone of 0.15 um on pixels of 20 nm. Then vertices are left
    out that lie within ``tolerance`` of the remaining outline, and the rest snapped. Corners that would touch in a
    point are joined.

    Args:
        field: values at pixels' centres, [nx + 2m, ny + 2m], m >= 1: the pixels of the box, and m more on all four
            sides that continue the field, so that the outline runs on over the border and is cut there.
        step: edge of a pixel, um.
        box: the design region, um, nx by ny pixels.
        level: of the edge.
        guides: rectangles that touch or overlap the box, um. They should go on outside for the largest rule at least,
            so that a check sees how they join.
        dbu: database unit, um.
        tolerance: of the simplification, um; 0 keeps all vertices.

    Raises:
        SpecError: a field of the wrong shape or not finite; a box or guides off the grid of the mask; no solid at all.
    """
    field = np.asarray(field, float)
    m = _margin(field, step, box)
    frame, bars = on_mask(box, dbu), [on_mask(guide, dbu) for guide in guides]
    if not tolerance >= 0:
        raise SpecError("the tolerance of the outline", got=f"{tolerance} um", allowed="0 or more")
    if not np.max(field[m:-m, m:-m]) > level:
        raise SpecError(
            "the field is nowhere above its level: nothing is solid",
            got=f"at most {np.max(field[m:-m, m:-m]):g}",
            allowed=f"above {level:g} somewhere in the box",
            remedy="start from another density, or lower the level",
        )
    x, y = (low + (np.arange(n) - m + 0.5) * step for low, n in zip(box[:2], field.shape, strict=True))
    squares = contour_generator(x, y, field.T, name="serial", fill_type=FillType.OuterOffset)
    region = kdb.Region()
    for points, starts in zip(*squares.filled(level, np.inf), strict=True):
        rings = [simplified(ring[:-1], tolerance) for ring in np.split(points, starts[1:-1])]
        hull, *holes = [_snapped(ring, dbu) for ring in rings]
        polygon = kdb.Polygon(hull)
        for hole in holes:
            polygon.insert_hole(hole)
        region.insert(polygon)
    region &= kdb.Region(frame)
    for bar in bars:
        region.insert(bar)
    return joined(region, frame)


def _margin(field: np.ndarray, step: float, box: Box) -> int:
    """Pixels of ``field`` on each side of the box."""
    if not step > 0:
        raise SpecError("the step of the grid is not positive", got=step, remedy="give the pixel's edge in um")
    nx, ny = round((box.right - box.left) / step), round((box.top - box.bottom) / step)
    m = (field.shape[0] - nx) // 2 if field.ndim == 2 else 0
    if min(nx, ny, m) < 1 or field.shape != (nx + 2 * m, ny + 2 * m):
        raise SpecError(
            "the field does not fit around the box",
            got=f"shape {field.shape}",
            allowed=f"{(nx + 2, ny + 2)}, or larger by the same number of pixels on all four sides",
            remedy="filter the region together with the pixels around it, at least one on every side",
        )
    if abs(nx * step - (box.right - box.left)) + abs(ny * step - (box.top - box.bottom)) > _ON_GRID * step:
        raise SpecError("the box is no whole number of pixels", got=tuple(box), allowed=f"multiples of {step} um")
    if not np.all(np.isfinite(field)):
        raise SpecError("the field is not finite", got=f"{np.sum(~np.isfinite(field))} values", remedy="look for NaN")
    return m


def on_mask(box: Box, dbu: float = 0.001) -> kdb.Box:
    """``box``, um, in database units.

    Raises:
        SpecError: it is empty, or its sides are not on the mask's grid.
    """
    sides = np.array(box) / dbu
    if not np.max(np.abs(sides - np.round(sides))) <= _ON_GRID or box.left >= box.right or box.bottom >= box.top:
        allowed = f"left < right, bottom < top, multiples of {dbu} um"
        raise SpecError("a box off the mask's grid", got=tuple(box), allowed=allowed, remedy="move its sides")
    return kdb.Box(*(round(side) for side in sides))


def simplified(ring: np.ndarray, tolerance: float) -> np.ndarray:
    """Vertices [n, 2] of a closed outline that Douglas and Peucker, Cartographica 10, 112 (1973), keep."""
    far = int(np.argmax(np.hypot(*(ring - ring[0]).T)))
    ends = np.concatenate([ring, ring[:1]])
    keep = np.zeros(len(ring), bool)
    keep[[0, far]] = True
    parts = [(0, far), (far, len(ring))]
    while parts:
        low, high = parts.pop()
        if high - low < 2:
            continue
        from_low, chord = ends[low + 1 : high] - ends[low], ends[high] - ends[low]
        along = np.clip(from_low @ chord / max(chord @ chord, 1e-300), 0, 1)
        off = np.hypot(*(from_low - along[:, None] * chord).T)
        if off.max() > tolerance:
            middle = low + 1 + int(np.argmax(off))
            keep[middle] = True
            parts += [(low, middle), (middle, high)]
    return ring[keep]


def _snapped(ring: np.ndarray, dbu: float) -> list[kdb.Point]:
    return [kdb.Point(x, y) for x, y in np.round(ring / dbu).astype(int).tolist()]


def joined(region: kdb.Region, frame: kdb.Box) -> kdb.Region:
    """``region`` merged, corners that touch in one point joined by squares of 4 database units within ``frame``.

    One point is neither joined nor apart: a mask writer may make either of it. Joined, it is a neck that the check
    finds by its width.
    """
    while True:
        region = region.merged()
        visits = Counter((edge.p1.x, edge.p1.y) for polygon in region.each() for edge in polygon.each_edge())
        bridges = kdb.Region()
        for (x, y), times in visits.items():
            if times > 1:
                bridges.insert(kdb.Box(x, y, x, y).enlarged(_BRIDGE) & frame)
        if (bridges - region).is_empty():
            return region
        region += bridges


def as_written(region: kdb.Region, frame: kdb.Box, dbu: float = 0.001) -> kdb.Region:
    """``region`` with what lies within ``frame`` as a mask file holds it.

    GDS and OASIS have no holes: polygons are cut open there, and where the cut meets a slanting wall between two points
    of the grid the wall gets a corner on one of them.
    """
    inner = region & kdb.Region(frame)
    while True:
        drawn = layout(inner, (1, 0), dbu)
        options = kdb.SaveLayoutOptions()
        options.format = "GDS2"
        back = kdb.Layout()
        back.read_bytes(drawn.write_bytes(options))
        written = kdb.Region(back.top_cell().begin_shapes_rec(back.layer(1, 0))).merged()
        if (written ^ inner).is_empty():
            return (written + (region - kdb.Region(frame))).merged()
        inner = written


def outlines(region: kdb.Region, dbu: float = 0.001) -> list[np.ndarray]:
    """Closed outlines of a merged region, each [n, 2] in um without the first point again.

    Anticlockwise around solid, clockwise around holes, so the solid is always on the left.
    """
    # KLayout runs around hulls clockwise and around holes anticlockwise
    rings = lambda p: (p.each_point_hull(), *(p.each_point_hole(hole) for hole in range(p.holes())))
    return [
        np.array([(point.x, point.y) for point in ring], float)[::-1] * dbu
        for polygon in region.each_merged()
        for ring in rings(polygon)
    ]


def layout(region: kdb.Region, layer: tuple[int, int], dbu: float = 0.001, name: str = "free_form") -> kdb.Layout:
    """A layout with one cell that holds ``region`` on the GDS ``layer`` (layer, datatype)."""
    found = kdb.Layout()
    found.dbu = dbu
    found.create_cell(name).shapes(found.layer(*layer)).insert(region.merged())
    return found
