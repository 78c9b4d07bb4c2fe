"""The physical side of a circuit as plain data: placements, routing hints, floorplan, labels."""

from dataclasses import dataclass

Link = tuple[str, str]


@dataclass(frozen=True)
class Placement:
    """Where an instance lies.

    Attributes:
        x, y: place of the instance's origin, or of ``port`` if that is given, um.
        rotation: counter-clockwise degrees, after the mirror.
        mirror: about the x axis.
        port: the port that stays at (x, y) when the device changes its size.
    """

    x: float
    y: float
    rotation: float = 0.0
    mirror: bool = False
    port: str | None = None


@dataclass(frozen=True)
class Bundle:
    """Connections that are routed together.

    Attributes:
        links: pairs of ports ``"instance,port"``, in the order in which they lie side by side.
        waypoints: points (um) that the first route passes, none to leave the way to the router.
        separation: distance of neighbouring centre lines, um.
        start, end: straight length before the first and after the last bend, um.
        cross_section: of the routes; None: the technology's default.
    """

    links: tuple[Link, ...]
    waypoints: tuple[tuple[float, float], ...] = ()
    separation: float = 10.0
    start: float = 0.0
    end: float = 0.0
    cross_section: str | None = None


@dataclass(frozen=True)
class Plan:
    """The physical side of a circuit.

    Attributes:
        placements: by instance; an instance without one is put port to port with a placed neighbour.
        bundles: connections with routing hints; the others are routed one by one.
        wires: bundles of electrical connections.
        floorplan: (left, bottom, right, top) of the chip's outline, um.
        labels: (text, ``"instance,port"``): text objects for automated test, at the port.
        top_cell: name of the cell that is written.
    """

    placements: tuple[tuple[str, Placement], ...] = ()
    bundles: tuple[Bundle, ...] = ()
    wires: tuple[Bundle, ...] = ()
    floorplan: tuple[float, float, float, float] | None = None
    labels: tuple[tuple[str, str], ...] = ()
    top_cell: str = "Cell0_chip"
