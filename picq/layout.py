"""The only home of gdsfactory's global state: the active Pdk, its cell cache, and drawing with measured segments.

A *segment* is a stretch of waveguide between two or more planes (x, y, outward angle, width). Cells record theirs while
they draw; LVS cuts the written mask at these planes and measures what lies between.
"""

import inspect
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import gdsfactory as gf
import jax
import jax.numpy as jnp
import kfactory as kf
import numpy as np
from gdsfactory.cross_section import xsection
from gdsfactory.technology import LayerView, LayerViews

from picq import catalogue
from picq.device import Device, bounds, check_available, check_bounds, check_names
from picq.errors import LayoutError, SpecError
from picq.optics.arm import Arm
from picq.optics.waveguide import BEND_P
from picq.outline import chord
from picq.signoff.drc import Waiver
from picq.technology import CrossSection, Process, Technology

Plane = tuple[float, float, float, float]
Segments = dict[str, tuple[Plane, ...]]


def build(device: Device, tech: Technology) -> gf.Component:
    """The device's mask on ``tech``; the same device is drawn once.

    Raises:
        SpecError: the technology does not offer the device, or a value lies outside its bounds.
    """
    check_available(type(device), tech)
    active = activate(tech)
    if catalogue.devices().get(device.name) is type(device):
        return active.cells[device.name](**device.settings())
    check_bounds(device, tech)
    return device.cell(tech)


_STRADDLE = 0.02
"""How far markers of joints reach beyond the cell whose port it is, um: twice what the check draws."""


def waivers(device: Device, tech: Technology, cell: gf.Component | gf.ComponentReference) -> tuple[Waiver, ...]:
    """Findings that a device accepts within its own outline, wherever it is placed, markers of its joints included."""
    box = cell.dbbox().enlarged(_STRADDLE)
    return tuple(
        Waiver(rule.id, reason, box=(box.left, box.bottom, box.right, box.top))
        for kind, reason in device.waivers(tech).items()
        for rule in tech.platform.rules.rules
        if rule.kind == kind
    )


_PDKS: dict[Any, gf.Pdk] = {}


def activate(tech: Technology) -> gf.Pdk:
    """Make the technology's Pdk the active one and return it."""
    wanted = pdk(tech)
    try:
        active = gf.get_active_pdk()
    except ValueError:  # none is
        active = None
    if active is not wanted:
        wanted.activate(force=True)  # gdsfactory takes two Pdks of one name for the same
    return wanted


def pdk(tech: Technology) -> gf.Pdk:
    """The technology as a gdsfactory Pdk: cells, models, cross-sections, layers. One for each set of numbers."""
    nominal = tech.at(Process()).with_mismatch(None)
    leaves, structure = jax.tree.flatten(nominal)
    key = (structure, *(np.asarray(leaf, float).tobytes() for leaf in leaves))
    if key not in _PDKS:
        _PDKS[key] = _made_pdk(nominal)
    return _PDKS[key]


def _made_pdk(tech: Technology) -> gf.Pdk:
    name = tech.name
    kinds = {n: kind for n, kind in catalogue.devices().items() if n not in tech.platform.unavailable}
    sections: dict[str, Any] = {}
    default_names: dict[str, str] = {}
    for xs in tech.cross_sections.values():
        xsection(_cross_section_factory(xs), sections, default_names)
    layers = tech.platform.layers
    infos = {n: kf.kdb.LayerInfo(*pair, n) for n, pair in layers.items()}
    colours = tech.platform.layer_colours
    return gf.Pdk(
        name=name,
        layers=kf.layer.layerenum_from_dict(kf.LayerInfos(**infos), name=name.upper(), layout=gf.kcl.layout),
        layer_views=LayerViews(
            layer_views={n: LayerView(name=n, layer=pair, color=colours[n]) for n, pair in layers.items()}
        ),
        cross_sections=sections,
        cross_section_default_names=default_names,
        cells={n: _cell_function(kind, tech) for n, kind in kinds.items()}
        | {"wire_corner": _own_copy(gf.components.wire_corner)},
        models={n: model_function(kind, tech) for n, kind in kinds.items()},
        bend_points_distance=0.1,
        max_cellname_length=32,
    )


def _cross_section_factory(xs: CrossSection) -> Callable[..., gf.CrossSection]:
    kind, prefix = ("electrical", "e") if xs.electrical else ("optical", "o")

    def factory(width: float = xs.width, radius: float = xs.radius, **kwargs: Any) -> gf.CrossSection:
        return gf.cross_section.cross_section(
            width=width,
            layer=xs.layer,
            radius=radius,
            radius_min=xs.radius_min,
            sections=tuple(
                gf.Section(width=s.width - xs.width + width, offset=s.offset, layer=s.layer, name=s.layer)
                for s in xs.sections
            ),
            port_names=(f"{prefix}1", f"{prefix}2"),
            port_types=(kind, kind),
            **kwargs,
        )

    factory.__name__ = xs.name
    return factory


def _own_copy(cell: Callable[..., gf.Component]) -> Callable[..., gf.Component]:
    """A cell of gdsfactory with a cache of its own: cross-sections of one name differ between technologies."""
    return gf.cell_with_module_name(inspect.unwrap(cell), layout_cache=False)  # pyright: ignore


def _cell_function(kind: type[Device], tech: Technology) -> Callable[..., gf.Component]:
    """``kind`` as a gdsfactory cell: a function of its parameters, with the technology's defaults."""

    def draw(**settings: Any) -> gf.Component:
        chosen = {k: v for k, v in settings.items() if v is not None}
        if "cross_section" in chosen:
            chosen["cross_section"] = _section_name(chosen["cross_section"], tech)
        return kind.on(tech, **chosen).cell(tech)

    defaults = kind.on(tech).settings()
    defaults |= {"sha256": ""} if "sha256" in defaults else {}  # of the default's file, while a caller may give another
    parameters = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=v) for n, v in defaults.items()]
    draw.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    draw.__name__ = draw.__qualname__ = kind.name
    draw.__doc__ = kind.__doc__
    cell: Any = gf.cell(draw, check_instances=kf.conf.CheckInstances.IGNORE, layout_cache=False)  # pyright: ignore[reportCallIssue]

    wire = _own_copy(gf.components.straight) if kind.name == "straight" else None

    def strict(**settings: Any) -> gf.Component:
        section = settings.get("cross_section", defaults.get("cross_section"))
        if wire is not None and tech.cross_section(_section_name(section, tech)).electrical:
            return wire(**settings)  # routers ask for wires by the same name
        check_names(kind, settings)
        return cell(**settings)

    strict.__name__ = strict.__qualname__ = kind.name
    strict.__doc__ = kind.__doc__
    strict.__signature__ = draw.__signature__  # pyright: ignore[reportFunctionMemberAccess]
    return strict


def model_function(kind: type[Device], tech: Technology) -> Callable[..., Any]:
    """``kind`` as a SAX model: ``f(*, wl=..., <parameters>) -> {(in, out): complex}``.

    SAX hands over wavelengths in um; an unknown setting raises SpecError instead of being dropped.
    """

    def model(*, wl: Any = 1.55, **settings: Any) -> Any:
        chosen = {k: v for k, v in settings.items() if v is not None}
        check_names(kind, chosen)
        # static choices may decide about other defaults; numbers may be traced
        static = {k: v for k, v in chosen.items() if k not in numbers}
        made = kind.on(tech, **static) if static else default
        return made.replace(**{k: v for k, v in chosen.items() if k in numbers}).model(jnp.asarray(wl, float), tech)

    default, numbers = kind.on(tech), bounds(kind)
    defaults = default.settings()
    parameters = [inspect.Parameter("wl", inspect.Parameter.KEYWORD_ONLY, default=1.55)]
    parameters += [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=v) for n, v in defaults.items()]
    model.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    model.__name__ = model.__qualname__ = kind.name
    model.__doc__ = kind.__doc__
    return model


def _section_name(spec: Any, tech: Technology) -> str:
    """Our name for whatever gdsfactory hands over as a cross-section."""
    name = spec if isinstance(spec, str) else gf.get_cross_section(spec).name
    if name not in tech.cross_sections:
        raise SpecError(
            f"cells of {tech.name} are drawn in its own cross-sections",
            got=name,
            allowed=", ".join(tech.cross_sections),
            remedy="name one of them; to widen a guide, use the cell's width parameter",
        )
    return name


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
