"""Drawing on a cell: guides along paths, tapers, heaters, ports, and the segments that they are.

A *segment* is a stretch of waveguide between two or more planes (x, y, outward angle, width). Cells record theirs while
they draw; LVS cuts the written mask at these planes and measures what lies between.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import gdsfactory as gf
import kfactory as kf
import numpy as np

from picq.errors import LayoutError
from picq.optics.arm import Arm
from picq.optics.waveguide import BEND_P
from picq.outline import chord
from picq.technology import Technology

Plane = tuple[float, float, float, float]
Segments = dict[str, tuple[Plane, ...]]


def draw_path(
    c: gf.Component, path: gf.Path, tech: Technology, cross_section: str, *, segment: str, width: float | None = None
) -> tuple[Plane, Plane]:
    """Sweep a cross-section along ``path`` into ``c`` as one polygon a layer, and record the segment.

    Args:
        c: component to draw into.
        path: centre line, um.
        tech: gives the cross-section.
        cross_section: its name.
        segment: name of the segment, unique in ``c``.
        width: drawn width in um; the cross-section's own by default.

    Returns:
        The planes of the path's start and end.
    """
    xs = tech.cross_section(cross_section)
    width = xs.width if width is None else width
    points = np.asarray(path.points, float)
    c.add_polygon(_swept(points, path.start_angle, path.end_angle, width, 0.0), layer=tech.layer(xs.layer))
    for s in xs.sections:
        outline = _swept(points, path.start_angle, path.end_angle, s.width - xs.width + width, s.offset)
        c.add_polygon(outline, layer=tech.layer(s.layer))
    start = (*points[0], (path.start_angle + 180.0) % 360.0, width)
    end = (*points[-1], path.end_angle % 360.0, width)
    record(c, {segment: (start, end)})
    return start, end


def draw_taper(
    c: gf.Component,
    origin: tuple[float, float],
    length: float,
    width1: float,
    width2: float,
    tech: Technology,
    cross_section: str,
) -> tuple[Plane, Plane]:
    """Draw a linear taper that starts at ``origin`` and runs ``length`` um along x (backwards if negative).

    Returns:
        The planes of its narrow and wide end, in the order of ``width1``, ``width2``.
    """
    xs = tech.cross_section(cross_section)
    x, y = origin
    for layer, grow in ((xs.layer, 0.0), *((s.layer, s.width - xs.width) for s in xs.sections)):
        half1, half2 = (width1 + grow) / 2, (width2 + grow) / 2
        corners = [(x, y - half1), (x + length, y - half2), (x + length, y + half2), (x, y + half1)]
        c.add_polygon(corners, layer=tech.layer(layer))
    towards = 0.0 if length > 0 else 180.0
    return (x, y, 180.0 - towards, width1), (x + length, y, towards, width2)


def on_grid(value: Any) -> float:
    """``value`` (um) on the 1 nm grid."""
    return round(float(value), 3)


def split_on_grid(total: float, parts: int) -> list[float]:
    """``total`` (um) in nearly equal parts that lie on the grid and add up to it."""
    marks = [on_grid(total * i / parts) for i in range(parts)] + [total]
    return [round(b - a, 9) for a, b in pairwise(marks)]


def draw_box(c: gf.Component, box: tuple[float, float, float, float], layer: str, tech: Technology) -> None:
    """Draw the rectangle (left, bottom, right, top), um."""
    left, bottom, right, top = box
    c.add_polygon([(left, bottom), (right, bottom), (right, top), (left, top)], layer=tech.layer(layer))


def draw_outlines(c: gf.Component, outlines: Sequence[np.ndarray], layer: str, tech: Technology) -> None:
    """Draw closed outlines, um [n, 2] each: solid anticlockwise, holes in it clockwise."""
    polygons = [kf.kdb.DPolygon([kf.kdb.DPoint(x, y) for x, y in o]).to_itype(c.kcl.dbu) for o in outlines]
    area = lambda o: float(np.sum(o[:, 0] * np.roll(o[:, 1], -1) - np.roll(o[:, 0], -1) * o[:, 1]))
    part = lambda solid: kf.kdb.Region([p for p, o in zip(polygons, outlines, strict=True) if (area(o) > 0) == solid])
    c.shapes(c.kcl.layer(*tech.layer(layer))).insert(part(True) - part(False))


def draw_heater(
    c: gf.Component, x0: float, x1: float, y: float, tech: Technology, facing: tuple[float, float] = (90.0, 90.0)
) -> tuple[Plane, Plane]:
    """Draw a heater filament along y from x0 to x1 with a contact block at each end.

    Returns:
        The planes of the two contacts, ``facing`` that way (degrees, along an axis), as wide as the block.
    """
    heater = tech.data["heater"]
    half, block = float(heater["width_um"]) / 2, float(heater["contact_um"])
    draw_box(c, (x0, y - half, x1, y + half), tech.cross_section("heater").layer, tech)
    ends = zip((x0, x1 - block), facing, strict=True)
    first, last = (_draw_contact(c, left, y, block, angle, tech) for left, angle in ends)
    return first, last


def draw_half_ring_heater(
    c: gf.Component, centre: tuple[float, float], radius: float, tech: Technology
) -> tuple[Plane, Plane]:
    """Draw a heater filament along the right half of a circle, with a contact block at each end.

    The blocks lie to the left of the ends and outside of the circle, so that the filament bends away from them.

    Returns:
        The planes of the two contacts: of the lower one, facing down, and of the upper one, facing up.
    """
    heater = tech.data["heater"]
    width, block = float(heater["width_um"]), float(heater["contact_um"])
    (x, y), count = centre, int(np.ceil(np.pi * radius / chord(radius))) + 2
    t = np.linspace(-np.pi / 2, np.pi / 2, count)
    arc = np.stack([x + radius * np.cos(t), y + radius * np.sin(t)], axis=1)
    c.add_polygon(_swept(arc, 0.0, 180.0, width, 0.0), layer=tech.layer(tech.cross_section("heater").layer))
    middle = on_grid(radius + (block - width) / 2)
    ends = ((y - middle, 270.0), (y + middle, 90.0))
    first, last = (_draw_contact(c, x - block, at, block, angle, tech) for at, angle in ends)
    return first, last


def _draw_contact(c: gf.Component, left: float, y: float, block: float, angle: float, tech: Technology) -> Plane:
    """A contact block centred at height y, and its plane that faces ``angle``."""
    for layer in (tech.cross_section("heater").layer, tech.cross_section("metal").layer):
        draw_box(c, (left, y - block / 2, left + block, y + block / 2), layer, tech)
    aside, up = np.round([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))]) * block / 2
    return (left + block / 2 + float(aside), y + float(up), angle, block)


class DrawnArm(NamedTuple):
    """End of an arm's centre line, and the planes of its heater's contacts (none without heater)."""

    end: tuple[float, float]
    contacts: tuple[Plane, ...]


def draw_arm(c: gf.Component, start: tuple[float, float], arm: Arm, tech: Technology, *, segment: str) -> DrawnArm:
    """Draw an interferometer arm that starts at ``start`` towards +x, as one polygon and one segment."""
    radius, turn = tech.cross_section(arm.cross_section).radius, 90.0 if arm.up else -90.0
    bend, back = euler(radius, turn, BEND_P), euler(radius, -turn, BEND_P)
    aside, along = gf.path.straight(arm.aside), gf.path.straight(arm.along)
    path = gf.Path()
    path.append([bend, aside, back, along, back, aside, bend])
    path.move(start)
    _, end = draw_path(c, path, tech, arm.cross_section, segment=segment)
    contacts: tuple[Plane, ...] = ()
    if arm.power_mw is not None:
        left, height = start[0] + 2 * radius, start[1] + (2 * radius + arm.aside) * (1 if arm.up else -1)
        contacts = draw_heater(c, left, left + arm.along, height, tech)
    return DrawnArm((end[0], end[1]), contacts)


def euler(radius: float, angle: float = 90.0, p: float = 0.5) -> gf.Path:
    """Centre line of an Euler bend of effective radius ``radius`` (um), turning ``angle`` degrees, left if positive."""
    # gdsfactory spends npoints on each half of the bend
    count = int(np.ceil(radius * abs(np.deg2rad(angle)) / chord(radius) / 2)) | 1
    return gf.path.euler(radius=radius, angle=angle, p=p, use_eff=True, npoints=max(count, 33))


def polyline(points: Sequence[tuple[float, float]]) -> gf.Path:
    """A smooth centre line given by points, horizontal at both ends."""
    path = gf.Path(np.asarray(points, float))
    path.start_angle = path.end_angle = 0.0
    return path


def s_bend_points(extent: float, offset: float, radius: float) -> list[tuple[float, float]]:
    """Points of two equal arcs from (0, 0) to (extent, offset), horizontal at both ends."""
    angle = np.arcsin(extent / (2 * radius))
    t = np.linspace(0, angle, int(np.ceil(radius * angle / chord(radius))) + 2)
    first = np.stack([radius * np.sin(t), radius * (1 - np.cos(t))], axis=1)
    second = np.array([extent, offset]) - first[::-1]
    return [(float(x), float(y)) for x, y in np.concatenate([first, second[1:]])]


def _swept(points: np.ndarray, start_angle: float, end_angle: float, width: float, offset: float) -> np.ndarray:
    """Outline of a strip along ``points``: mitred, so that its area is width times length, and square at its ends."""
    steps = np.diff(points, axis=0)
    angles = np.arctan2(steps[:, 1], steps[:, 0])
    turn = np.pad((np.diff(angles) + np.pi) % (2 * np.pi) - np.pi, 1)
    middle = np.concatenate([[np.deg2rad(start_angle)], angles[:-1], [np.deg2rad(end_angle)]]) + turn / 2
    normal = np.stack([-np.sin(middle), np.cos(middle)], axis=1) / np.cos(turn / 2)[:, None]
    return np.concatenate([points + (offset + width / 2) * normal, (points + (offset - width / 2) * normal)[::-1]])


def reversed_plane(plane: Plane) -> Plane:
    """The same cut seen from its other side."""
    x, y, angle, width = plane
    return (x, y, (angle + 180.0) % 360.0, width)


def record(c: gf.Component, segments: Segments) -> None:
    """Add segments to what ``c`` knows about itself.

    Raises:
        LayoutError: a name is taken.
    """
    known = dict(c.info["segments"]) if "segments" in c.info else {}
    for name, planes in segments.items():
        if name in known:
            raise LayoutError(
                f"segment '{name}' is recorded twice in one cell", remedy="give each segment its own name"
            )
        known[name] = [[float(v) for v in plane] for plane in planes]
    c.info["segments"] = known


def segments(c: gf.Component) -> Segments:
    """The segments recorded in ``c``, in its own coordinates."""
    recorded = dict(c.info["segments"]) if "segments" in c.info else {}
    return {name: tuple(tuple(plane) for plane in planes) for name, planes in recorded.items()}  # pyright: ignore


def instance_segments(c: gf.Component, instance: gf.ComponentReference, prefix: str) -> Segments:
    """The segments of a placed instance in the coordinates of its parent, names prefixed by ``prefix/``."""
    trans = instance.dcplx_trans
    moved: Segments = {}
    for name, planes in segments(instance.cell).items():  # pyright: ignore
        moved[f"{prefix}/{name}"] = tuple(_moved(trans, plane) for plane in planes)
    return moved


def _moved(trans: kf.kdb.DCplxTrans, plane: Plane) -> Plane:
    x, y, angle, width = plane
    point = trans * kf.kdb.DPoint(x, y)
    turned = trans.angle + (-angle if trans.is_mirror() else angle)
    return (point.x, point.y, turned % 360.0, width)


def port(c: gf.Component, name: str, plane: Plane, tech: Technology, cross_section: str) -> None:
    """Add a port of a cross-section at ``plane``."""
    xs = tech.cross_section(cross_section)
    x, y, angle, width = plane
    c.add_port(
        name,
        center=(x, y),
        orientation=angle,
        width=width,
        layer=tech.layer(xs.layer),
        port_type="electrical" if xs.electrical else "optical",
    )
