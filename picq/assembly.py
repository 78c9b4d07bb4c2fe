"""From a circuit to its mask: placement, routing by gdsfactory, and the routed lengths back into the circuit."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import gdsfactory as gf
import numpy as np
from klayout.db import DBox

from picq import catalogue, drawing, layout
from picq.circuit import Circuit
from picq.errors import LayoutError, nearest
from picq.plan import Bundle, Link, Placement, Plan
from picq.signoff.drc import Waiver
from picq.slabs import join_slabs
from picq.technology import Technology


@dataclass
class Assembly:
    """A drawn circuit.

    Attributes:
        component: the mask.
        routes: (length of straights in um, number of bends, cross-section) of each connection; None: the ports abut.
        inner: the same for instances that are circuits.
        nets: electrical nets by name, each a tuple of contacts (``"instance,port"``, x, y in um).
        unwired: electrical ports that no wire reaches.
        waivers: findings that devices accept within their outlines.
    """

    component: gf.Component
    routes: dict[Link, tuple[float, int, str] | None] = field(default_factory=dict)
    inner: "dict[str, Assembly]" = field(default_factory=dict)
    nets: dict[str, tuple[tuple[str, float, float], ...]] = field(default_factory=dict)
    unwired: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()


def assemble(circuit: Circuit, tech: Technology) -> Assembly:
    """Draw a circuit.

    Raises:
        LayoutError: an instance can be placed neither by the plan nor by a neighbour, or a route finds no way.
    """
    layout.activate(tech)
    plan = circuit.plan
    c = gf.Component()
    made = Assembly(c)
    references = {}
    for name, device in circuit.instances.items():
        if isinstance(device, Circuit):
            made.inner[name] = assemble(device, tech)
        references[name] = c << (made.inner[name].component if name in made.inner else layout.build(device, tech))
        references[name].name = name
    _place(circuit, plan, references)
    for bundle in _bundles(circuit, plan, references, made):
        _route(c, bundle, references, tech, made)
    for wires in plan.wires:
        _wire(c, wires, references)
    for net in _joined(link for wires in plan.wires for link in wires.links):
        made.nets[" to ".join(net)] = tuple((end, *_inside(_port(references, end))) for end in net)
    wired = {end for net in made.nets.values() for end, _, _ in net}
    made.unwired = tuple(
        f"{name},{port.name}"
        for name, reference in references.items()
        for port in reference.ports
        if port.port_type == "electrical" and f"{name},{port.name}" not in wired
    )
    made.waivers = tuple(
        waiver
        for name, reference in references.items()
        for waiver in (
            [_moved(w, reference) for w in made.inner[name].waivers]
            if name in made.inner
            else layout.waivers(circuit.instances[name], tech, reference)
        )
    )
    for name, reference in references.items():
        drawing.record(c, drawing.instance_segments(c, reference, name))
    for name, end in circuit.exposed:
        c.add_port(name, port=_port(references, end))
    join_slabs(c, tech)
    _finish(c, plan, references, tech)
    return made


def _moved(waiver: Waiver, reference: gf.ComponentReference) -> Waiver:
    """A waiver of an inner circuit where that is placed."""
    assert waiver.box is not None
    box = DBox(*waiver.box).transformed(reference.dcplx_trans)
    return replace(waiver, box=(box.left, box.bottom, box.right, box.top))


def routed(circuit: Circuit, made: Assembly) -> Circuit:
    """The circuit with a ``route`` device, of the routed length, in each connection that the router drew."""
    route = catalogue.device("route")
    instances, connections = dict(circuit.instances), []
    for name, device in circuit.instances.items():
        if isinstance(device, Circuit):
            instances[name] = routed(device, made.inner[name])
    for a, b in circuit.connections:
        drawn = made.routes[(a, b)]
        if drawn is None:
            connections.append((a, b))
            continue
        name = route_name(a)
        instances[name] = route(**dict(zip(("length", "bends", "cross_section"), drawn, strict=True)))
        connections += [(a, f"{name},o1"), (f"{name},o2", b)]
    return circuit.replace(instances=instances, connections=tuple(connections))


def route_name(end: str) -> str:
    """Name of the route that starts at ``"instance,port"``."""
    return "route_" + end.replace(",", "_").replace("/", "_")


def _place(circuit: Circuit, plan: Plan, references: dict[str, gf.ComponentReference]) -> None:
    placed = set()
    # a circuit without any placement starts at the origin with its first instance
    for name, where in plan.placements or ((next(iter(references)), Placement(0.0, 0.0)),):
        if name not in references:
            raise LayoutError(f"the plan places '{name}', which is no instance", allowed=", ".join(references))
        reference = references[name]
        if where.mirror:
            reference.mirror_y()
        reference.rotate(where.rotation)
        if where.port is None:
            reference.move((where.x, where.y))
        else:
            reference.move(_port(references, f"{name},{where.port}").center, (where.x, where.y))
        placed.add(name)
    waiting = [n for n in references if n not in placed]
    while waiting:
        done = [n for n in waiting if _attach(n, circuit, references, placed)]
        if not done:
            raise LayoutError(
                f"instances without a place: {', '.join(waiting)}",
                remedy="give them a placement, or connect them to a placed instance",
            )
        placed.update(done)
        waiting = [n for n in waiting if n not in placed]


def _attach(name: str, circuit: Circuit, references: dict[str, gf.ComponentReference], placed: set[str]) -> bool:
    for a, b in circuit.connections:
        for own, other in ((a, b), (b, a)):
            if own.split(",")[0] == name and other.split(",")[0] in placed:
                here, there = _port(references, own), _port(references, other)
                if abs(here.width - there.width) > 5e-4:
                    _check_joint((own, other), here, there)
                references[name].connect(own.split(",")[1], there)
                return True
    return False


def _bundles(
    circuit: Circuit, plan: Plan, references: dict[str, gf.ComponentReference], made: Assembly
) -> Iterator[Bundle]:
    """The plan's bundles, then every other connection whose ports do not touch, alone."""
    planned = {frozenset(link) for bundle in plan.bundles for link in bundle.links}
    for link in (link for bundle in plan.bundles for link in bundle.links):
        if link not in circuit.connections:
            raise LayoutError(f"the plan routes {link[0]} to {link[1]}, which are not connected in this order")
    yield from plan.bundles
    for link in circuit.connections:
        if frozenset(link) in planned:
            continue
        a, b = (_port(references, end) for end in link)
        if abs(a.center[0] - b.center[0]) < 5e-4 and abs(a.center[1] - b.center[1]) < 5e-4:
            _check_joint(link, a, b)
            made.routes[link] = None
        else:
            yield Bundle((link,))


def _check_joint(link: Link, a: gf.Port, b: gf.Port) -> None:
    """Raise LayoutError unless two ports that touch have one width and face each other."""
    if abs(a.width - b.width) > 5e-4:
        raise LayoutError(
            f"{link[0]} and {link[1]} touch with different widths",
            got=f"{a.width:g} um and {b.width:g} um",
            allowed="equal widths: light is scattered at a step that the model does not know",
            remedy="put a taper between them",
        )
    if abs((a.orientation - b.orientation) % 360.0 - 180.0) > 1e-3:
        raise LayoutError(
            f"{link[0]} and {link[1]} touch without facing each other",
            got=f"{a.orientation:g} and {b.orientation:g} degrees",
            allowed="opposite directions",
            remedy="rotate one of them, or move them apart so that a route joins them",
        )


def _joined(links: Iterable[Link]) -> list[tuple[str, ...]]:
    """Links that share an end, as one net each, in order of appearance."""
    nets: list[list[str]] = []
    for link in links:
        touching = [net for net in nets if set(net) & set(link)]
        merged = list(dict.fromkeys([end for net in touching for end in net] + list(link)))
        nets = [net for net in nets if net not in touching] + [merged]
    return [tuple(net) for net in nets]


def _route(
    c: gf.Component, bundle: Bundle, references: dict[str, gf.ComponentReference], tech: Technology, made: Assembly
) -> None:
    starts, ends = ([_port(references, link[i]) for link in bundle.links] for i in (0, 1))
    section = tech.cross_section(bundle.cross_section or tech.platform.default_cross_section).name
    try:
        routes = gf.routing.route_bundle(
            c,
            starts,
            ends,
            cross_section=section,
            separation=bundle.separation,
            start_straight_length=bundle.start,
            end_straight_length=bundle.end,
            waypoints=list(bundle.waypoints) or None,
            on_collision="error",
            raise_on_error=True,
        )
    except (RuntimeError, ValueError) as error:
        raise _no_way(bundle, error) from error
    for link, start, end, drawn in zip(bundle.links, starts, ends, routes, strict=True):
        made.routes[link] = (drawn.length_straights * c.kcl.dbu, drawn.n_bend90, section)
        planes = tuple((p.center[0], p.center[1], (p.orientation + 180.0) % 360.0, p.width) for p in (start, end))
        drawing.record(c, {f"{route_name(link[0])}/guide": planes})


def _wire(c: gf.Component, bundle: Bundle, references: dict[str, gf.ComponentReference]) -> None:
    try:
        gf.routing.route_bundle_electrical(
            c,
            [_port(references, a) for a, _ in bundle.links],
            [_port(references, b) for _, b in bundle.links],
            cross_section="metal",
            separation=bundle.separation,
            waypoints=list(bundle.waypoints) or None,
            start_straight_length=bundle.start,
            end_straight_length=bundle.end,
            on_collision="error",
            raise_on_error=True,
        )
    except (RuntimeError, ValueError) as error:
        raise _no_way(bundle, error) from error


def _no_way(bundle: Bundle, error: Exception) -> LayoutError:
    links = ", ".join(f"{a} to {b}" for a, b in bundle.links)
    return LayoutError(
        f"no way to route {links}",
        got=str(error).splitlines()[0],
        remedy="move the instances apart, give waypoints, or route in another order",
    )


def _finish(c: gf.Component, plan: Plan, references: dict[str, gf.ComponentReference], tech: Technology) -> None:
    if plan.floorplan is not None:
        drawing.draw_box(c, plan.floorplan, "floorplan", tech)
    for text, end in plan.labels:
        c.add_label(text, position=_port(references, end).center, layer=tech.layer("label"))


def _port(references: dict[str, gf.ComponentReference], end: str) -> gf.Port:
    name, _, port = end.partition(",")
    if name not in references:
        raise LayoutError(
            f"the plan names '{end}', but there is no instance '{name}'",
            allowed=", ".join(references),
            remedy=nearest(name, references),
        )
    known = [p.name for p in references[name].ports]
    if port not in known:
        raise LayoutError(
            f"instance '{name}' has no port '{port}' on the mask",
            allowed=", ".join(map(str, known)),
            remedy=nearest(port, map(str, known)),
        )
    return references[name].ports[port]


def _inside(port: gf.Port) -> tuple[float, float]:
    """A point one um inside the metal behind an electrical port."""
    angle = np.deg2rad(port.orientation)
    x, y = port.center
    return (float(x - np.cos(angle)), float(y - np.sin(angle)))
