"""What a mask holds, read from its polygons: pieces of waveguide between planes, and their lengths.

Merged waveguide polygons of each layer are cut at planes that the design names (device ports and ends of segments).
What touches which plane is the mask's own netlist; area over width is the length of a piece. KLayout only, no
gdsfactory, no JAX.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from klayout import db

Plane = tuple[float, float, float, float]
"""x, y (um), outward angle (degrees), width (um)."""

_CUT_UM = 0.002  # thickness of a cut: two grid steps, one to each side of the plane
_FINER = 100  # than the mask's grid: on it the corners of a cut across a slanted guide would move its width by 0.3 nm
_FARTHEST = 10**9  # steps of it from the origin: KLayout's coordinates have 31 bits
_MARGIN_UM = 0.05  # how far a cut reaches beyond the guide; less than half of any allowed space


@dataclass(frozen=True)
class Face:
    """The mask just inside one plane of a segment.

    Attributes:
        piece: index of the piece of waveguide there, None where the mask is empty.
        low, high: its edges, um from the plane's centre along the plane.
    """

    piece: int | None
    low: float
    high: float


class Guide(NamedTuple):
    """A piece with two ends: mean length of its two side walls, and its area over that; um."""

    length: float
    width: float


@dataclass(frozen=True)
class Extraction:
    """Attributes:
    faces: by segment, one face a plane.
    polygons: outlines of the pieces, in um.
    """

    faces: dict[str, tuple[Face, ...]]
    polygons: tuple[db.DPolygon, ...]

    def area(self, segment: str, planes: tuple[Plane, ...]) -> float:
        """Area in um² of the piece at the segment's first plane, the cuts at all its planes put back."""
        piece = self.faces[segment][0].piece
        assert piece is not None
        return self.polygons[piece].area() + sum(plane[3] * _CUT_UM / 2 for plane in planes)

    def guide(self, segment: str, planes: tuple[Plane, ...]) -> Guide:
        """Length and width of a segment, apart from each other: the light counts them differently.

        Half the perimeter less the ends is the length.
        """
        piece = self.faces[segment][0].piece
        assert piece is not None
        polygon = self.polygons[piece]
        ends = sum(face.high - face.low for face in self.faces[segment])
        walls = (polygon.perimeter() - ends) / 2
        return Guide(walls + len(planes) * _CUT_UM / 2, polygon.area() / walls)


def extract(guides: Iterable[db.Region], dbu: float, segments: Mapping[str, tuple[Plane, ...]]) -> Extraction:
    """Cut ``guides`` (in dbu) at the planes of all segments and find what lies inside each.

    Args:
        guides: all shapes of each waveguide layer, in database units; layers that cross are not joined.
        dbu: the database unit in um.
        segments: planes by segment, in um.
    """
    layers = list(guides)
    reach = max(
        (max(abs(v) for v in (b.left, b.bottom, b.right, b.top)) for b in (r.bbox() for r in layers)), default=1
    )
    finer = max(min(_FINER, _FARTHEST // max(reach, 1)), 1)
    fine = dbu / finer
    cuts = db.Region()
    for plane in {_key(p) for planes in segments.values() for p in planes}:
        cuts.insert(_cut(plane, fine))
    shapes = db.Shapes()
    polygons = []
    scaled = (layer.transformed(db.ICplxTrans(finer)).merged() for layer in layers)
    for polygon in (polygon for layer in scaled for polygon in (layer - cuts).each()):
        shapes.insert(db.PolygonWithProperties(polygon, {0: len(polygons)}))
        polygons.append(polygon.to_dtype(fine))
    faces = {name: tuple(_face(p, shapes, fine) for p in planes) for name, planes in segments.items()}
    return Extraction(faces, tuple(polygons))


def length_tolerance(polygon: db.DPolygon, width: float, grid: float) -> float:
    """How far area over width may lie from the length of the centre line that was drawn, um.

    Every vertex of a slanted edge is off by a uniform error of one grid step, sigma = grid/sqrt(12), and moves the area
    by that times half of its slanted edges: four sigma of the sum. A chord is shorter than its arc by theta²/24 of its
    length. One grid step more for the ends.
    """
    corners = [(p.x, p.y) for p in polygon.each_point_hull()]
    variance = chords = 0.0
    for (x0, y0), (x1, y1), (x2, y2) in zip(
        corners[-1:] + corners[:-1], corners, corners[1:] + corners[:1], strict=True
    ):
        before, after = _slanted(x1 - x0, y1 - y0), _slanted(x2 - x1, y2 - y1)
        variance += (grid / math.sqrt(12) * (before + after) / 2) ** 2
        turn = abs(math.remainder(math.atan2(y2 - y1, x2 - x1) - math.atan2(y1 - y0, x1 - x0), 2 * math.pi))
        if turn < 0.5:
            # both outlines count one chord of the centre line; beside a straight edge the arc's own is the shorter
            chords += min(before, after) * turn**2 / 24 / 2
    return 4 * math.sqrt(variance) / width + chords + grid


def _slanted(dx: float, dy: float) -> float:
    """Length of an edge that does not run along the grid; edges along it are exact."""
    return math.hypot(dx, dy) if abs(dx) > 1e-9 and abs(dy) > 1e-9 else 0.0


def _key(plane: Plane) -> Plane:
    """The plane, however it is looked at: angles modulo 180 degrees, coordinates on a 0.1 nm raster."""
    x, y, angle, width = plane
    return (round(x, 4), round(y, 4), round(angle % 180.0, 4) % 180.0, round(width, 4))


def _cut(plane: Plane, dbu: float) -> db.Polygon:
    """What is taken out of the mask at a plane, in database units."""
    return _box(plane, -_CUT_UM / 2, _CUT_UM / 2, _MARGIN_UM).to_itype(dbu)


def _box(plane: Plane, start: float, stop: float, margin: float) -> db.DPolygon:
    """Rectangle from ``start`` to ``stop`` um along the outward direction, as wide as the plane plus margins."""
    x, y, angle, width = plane
    half = width / 2 + margin
    return db.DPolygon(db.DBox(start, -half, stop, half)).transformed(db.DCplxTrans(1.0, angle, False, x, y))


def _face(plane: Plane, shapes: db.Shapes, dbu: float) -> Face:
    """Which piece lies one cut's thickness inside the plane, and from where to where."""
    probe = _box(plane, -_CUT_UM, -_CUT_UM / 2, _MARGIN_UM).to_itype(dbu)
    back = db.DCplxTrans(1.0, plane[2], False, plane[0], plane[1]).inverted()
    best: tuple[float, Face] | None = None
    for shape in shapes.each_touching(probe.bbox()):
        found = db.Region(shape.polygon) & db.Region(probe)
        if found.is_empty():
            continue
        inside = [back * q for p in found.each() for q in p.to_dtype(dbu).each_point_hull()]
        low, high = min(q.y for q in inside), max(q.y for q in inside)
        if low <= 0 <= high and (best is None or found.area() > best[0]):
            best = (found.area(), Face(int(shape.property(0)), low, high))
    return best[1] if best else Face(None, 0.0, 0.0)
