"""Star couplers on the mask: slab, tapers, arms up to where the two ends meet, and guides fanned out to the ports.

All in the coupler's own frame (``optics.diffraction``), which a device then turns over for its second coupler. Corners
lie on the grid and are shared: the slab's outline runs through the corners of the tapers that end at it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from picq.optics.diffraction import grating_circle, rowland_circle, steps
from picq.outline import GRID_UM, Walls, arc

Plane = tuple[float, float, float, float]

_SHOULDER = 0.8  # um of slab beside the outermost apertures
_SLANT = 0.4  # of a blind end: some 20 degrees, past the acceptance of its guide
_STEEPEST = 2.42  # extent over offset of an S-bend that turns by 45 degrees
_STUB = 2.0  # um, straight before a port


class Guide(NamedTuple):
    """One drawn guide.

    Attributes:
        walls: its outline.
        sections: (name, plane at its start, plane at its end), from the star coupler on.
    """

    walls: Walls
    sections: list[tuple[str, Plane, Plane]]


class Widths(NamedTuple):
    """Widths of guides, um: at the apertures of the array, of broad straights, of bends and ports."""

    aperture: float
    broad: float
    bend: float


@dataclass(frozen=True)
class ArmEnd:
    """Half of an arm, up to its level: places in the frame of its star coupler, um.

    Attributes:
        angle: of the slant to the upright, rad.
        radius: of the grating circle.
        taper, slant, step: lengths, as in ``optics.arm_array.Arms``.
        bend: radius.
        x, height: of the upright and of the level, on the grid.
        upright: its length.
        turn: 1 where the level runs to the left, -1 to the right.
    """

    angle: float
    radius: float
    taper: float
    slant: float
    step: float
    bend: float
    x: float
    upright: float
    height: float
    turn: int

    def draw(self, widths: Widths, euler: tuple[np.ndarray, np.ndarray]) -> Guide:
        """The guide; ``euler``: points and tangents of a bend by 90 degrees to the left that starts at 0 along y."""
        walls, marks = Walls(), _Marks()
        along = np.array([np.sin(self.angle), np.cos(self.angle)])
        places = self.radius + np.cumsum([0.0, self.taper, self.slant - self.step, self.step])
        aperture, narrow, slanted, turned = (r * along for r in places)
        walls.cut(aperture, along, widths.aperture)
        marks.add("", *walls.face(), widths.aperture)
        walls.run(narrow, slanted, widths.broad)
        marks.add("taper", narrow, along, widths.broad)
        marks.add("slant", slanted, along, widths.broad)
        before = "step_slant" if self.step else ""  # what ends where the upright begins
        if self.angle:
            if self.step:
                walls.cut(turned, along, widths.bend)
                marks.add("step_slant", turned, along, widths.bend)
            points, tangents = arc(turned, np.pi / 2 - self.angle, self.angle, self.bend)
            walls.curve(points[1:-1], tangents[1:-1], widths.bend)
            before = "arc"
        aside = np.array([-float(self.turn), 0.0])
        top = np.array([self.x, self.height - self.bend])
        rise = top - [0.0, round(self.upright, 3)]
        end = np.array([self.x - self.turn * self.bend, self.height])
        self._upright(walls, marks, before, rise, top, widths)
        points, tangents = (np.stack([leaf[:, 0] * self.turn, leaf[:, 1]], axis=1) for leaf in euler)
        walls.curve(top + points[1:-1], tangents[1:-1], widths.bend)
        walls.square(tuple(end), tuple(aside.astype(int)), widths.bend)
        marks.add("bend", end, aside, widths.bend)
        if self.step:
            end = end + self.step * aside
            walls.square(tuple(end), tuple(aside.astype(int)), widths.broad)
            marks.add("step_level", end, aside, widths.broad)
        return Guide(walls, marks.sections)

    def _upright(
        self, walls: Walls, marks: "_Marks", before: str, start: np.ndarray, end: np.ndarray, widths: Widths
    ) -> None:
        """The straight along y with its transitions; ``before`` is the section that ends at its start."""
        up, shift = np.array([0.0, 1.0]), np.array([0.0, self.step])
        walls.square(tuple(start), (0, 1), widths.bend)
        if before:
            marks.add(before, start, up, widths.bend)
        if self.step:
            walls.square(tuple(start + shift), (0, 1), widths.broad)
            marks.add("step_upright", start + shift, up, widths.broad)
            walls.square(tuple(end - shift), (0, 1), widths.broad)
            marks.add("upright", end - shift, up, widths.broad)
        walls.square(tuple(end), (0, 1), widths.bend)
        marks.add("step_upright_end" if self.step else "upright", end, up, widths.bend)


@dataclass(frozen=True)
class PortGuide:
    """A guide from an aperture on the Rowland circle down to its port; um and rad.

    Attributes:
        x, y, axis: of the aperture; the axis points into the slab.
        width: of the aperture.
        horn: length of a section as wide as the aperture; 0: none.
        access: width of the taper behind it.
        taper: its length.
        bend: radius of the arc behind the taper.
        guide: width of the port.
        port: its place, on the grid.
        spread: extent along y of the S-bend to the port's column.
    """

    x: float
    y: float
    axis: float
    width: float
    horn: float
    access: float
    taper: float
    bend: float
    guide: float
    port: tuple[float, float]
    spread: float

    @property
    def turned(self) -> tuple[float, float]:
        """Where the guide first runs straight down."""
        outward = self.axis + np.pi
        far = self.horn + self.taper
        start = np.array([self.x, self.y]) + far * np.array([np.cos(outward), np.sin(outward)])
        points, _ = arc(start, outward, -np.pi / 2 - _folded(outward), self.bend)
        return float(points[-1][0]), float(points[-1][1])

    @property
    def length(self) -> float:
        """Of the centre line from the taper to the port, um."""
        outward, (x, y) = self.axis + np.pi, self.turned
        offset = abs(self.port[0] - x)
        angle = 2 * np.arctan2(offset, self.spread)
        bent = self.spread / np.sinc(angle / np.pi) if offset else self.spread
        return float(self.bend * abs(-np.pi / 2 - _folded(outward)) + bent + y - self.spread - self.port[1])

    def draw(self) -> Guide:
        """The guide, from the slab to the port."""
        walls, marks = Walls(), _Marks()
        outward = self.axis + np.pi
        along, down = np.array([np.cos(outward), np.sin(outward)]), np.array([0.0, -1.0])
        start = np.array([self.x, self.y])
        if self.horn:
            walls.cut(start, along, self.width)
            marks.add("", *walls.face(), self.width)
            walls.cut(start + self.horn * along, along, self.width)
        walls.cut(start + self.horn * along, along, self.access)
        if not self.horn:
            marks.add("", *walls.face(), self.width)
        else:
            marks.add("horn", start + self.horn * along, along, self.access)
        narrow = start + (self.horn + self.taper) * along
        walls.cut(narrow, along, self.guide)
        marks.add("taper", narrow, along, self.guide)
        points, tangents = arc(narrow, outward, -np.pi / 2 - _folded(outward), self.bend)
        if len(points) > 2:
            walls.curve(points[1:-1], tangents[1:-1], self.guide)
        turned = np.array(self.turned)
        last, offset = np.array(self.port), self.port[0] - turned[0]
        if abs(offset) > 1e-9:
            radius = (self.spread**2 + offset**2) / (4 * abs(offset))
            angle = 2 * np.arctan2(abs(offset), self.spread)
            sign = float(np.sign(offset))
            one, tangent = arc(turned, -np.pi / 2, sign * angle, radius)
            two, back = arc(one[-1], -np.pi / 2 + sign * angle, -sign * angle, radius)
            walls.curve(one[1:], tangent[1:], self.guide)
            walls.curve(two[1:-1], back[1:-1], self.guide)
        walls.square((last[0], round(float(turned[1]) - self.spread, 3)), (0, -1), self.guide)
        walls.square((last[0], last[1]), (0, -1), self.guide)
        marks.add("guide", last, down, self.guide)
        return Guide(walls, marks.sections)


@dataclass
class _Marks:
    sections: list[tuple[str, Plane, Plane]] = field(default_factory=list)
    last: Plane | None = None

    def add(self, name: str, centre: np.ndarray, along: np.ndarray, width: float) -> None:
        """The section ``name`` ends here; without a name, the first one begins."""
        angle = float(np.degrees(np.arctan2(along[1], along[0])))
        here: Plane = (float(centre[0]), float(centre[1]), angle % 360.0, width)
        if self.last is not None:
            x, y, before, w = self.last
            self.sections.append((name, (x, y, (before + 180.0) % 360.0, w), here))
        self.last = here


@dataclass(frozen=True)
class StarMask:
    """One star coupler; lengths um.

    Attributes:
        radius, pitch: of the grating circle.
        arms, dummies: apertures that lead on, and blind ones on each side of them.
        aperture: width of the array's apertures.
        taper: length of all tapers.
        bend, guide: radius of arcs at the ports, width of the ports.
        sines: of the other apertures, from left to right.
        width_io: of the other apertures.
        horn, access: as in ``PortGuide``.
        port_pitch: distance of the ports.
    """

    radius: float
    pitch: float
    arms: int
    dummies: int
    aperture: float
    taper: float
    bend: float
    guide: float
    sines: np.ndarray
    width_io: float
    horn: float
    access: float
    port_pitch: float

    def port_guides(self) -> list[PortGuide]:
        """From left to right; all ports lie in one line."""
        at = rowland_circle(self.radius, self.sines, self.width_io)
        x, y, axis = (np.broadcast_to(np.asarray(leaf), len(self.sines)) for leaf in at[:3])
        columns = np.round(steps(len(self.sines)) * self.port_pitch, 3)

        def guides(bottom: float, spread: float) -> list[PortGuide]:
            return [
                PortGuide(
                    float(x[i]), float(y[i]), float(axis[i]), self.width_io, self.horn, self.access, self.taper,
                    self.bend, self.guide, (float(columns[i]), bottom), spread,
                )
                for i in range(len(self.sines))
            ]  # fmt: skip

        turned = np.array([guide.turned for guide in guides(0.0, 0.0)])
        aside = float(np.abs(columns - turned[:, 0]).max())
        spread = float(np.ceil(max(_STEEPEST * aside, np.sqrt(max(4 * self.bend * aside - aside**2, 0.0)))))
        return guides(float(np.floor(turned[:, 1].min() - spread - _STUB)), spread)

    def shapes(self, arms: list[Walls], ports: list[Guide]) -> list[np.ndarray]:
        """Slab, blind tapers and guides to the ports, um [corner, 2]: the slab's outline runs through the first corners
        of everything that ends at it, with shoulders beside the outermost."""
        blind = [self._blind(i) for i in range(self.arms + 2 * self.dummies)]
        array = [*blind[: self.dummies], *arms, *blind[self.arms + self.dummies :]]
        outline: list[tuple[float, float]] = []
        for side in (array, [guide.walls for guide in ports[::-1]]):
            outline.append(_beyond(side[0].left[0], side[0].right[0]))
            for walls in side:
                outline += [walls.left[0], walls.right[0]]
            outline.append(_beyond(side[-1].right[0], side[-1].left[0]))
        dummies = blind[: self.dummies] + blind[self.arms + self.dummies :]
        return [np.array(outline) * GRID_UM, *(w.polygon() for w in dummies), *(g.walls.polygon() for g in ports)]

    def _blind(self, i: int) -> Walls:
        """A taper that ends at a slanted face, so that what it takes is not sent back."""
        at = grating_circle(self.radius, self.pitch, self.arms + 2 * self.dummies, self.aperture)
        outward = float(at.axis[i]) + np.pi
        along = np.array([np.cos(outward), np.sin(outward)])
        across, start = np.array([-along[1], along[0]]), np.array([float(at.x[i]), float(at.y[i])])
        end, half = start + self.taper / 2 * along, (self.aperture + self.guide) / 4
        walls = Walls()
        walls.cut(start, along, self.aperture)
        walls.pair(end + half * (across + _SLANT * along), end - half * (across + _SLANT * along))
        return walls


def _beyond(corner: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """The end of the shoulder beside a corner, on the side away from the other; grid steps."""
    step = np.subtract(corner, other)
    x, y = np.round(np.array(corner) + step / np.hypot(*step) * _SHOULDER / GRID_UM)
    return float(x), float(y)


def placed(plane: Plane, place: tuple[float, float], signs: tuple[int, int]) -> Plane:
    """A plane of a star coupler's own frame on the mask: ``place`` of its origin, ``signs`` of its axes."""
    x, y, angle, width = plane
    turned = np.degrees(np.arctan2(signs[1] * np.sin(np.radians(angle)), signs[0] * np.cos(np.radians(angle))))
    return (place[0] + signs[0] * x, place[1] + signs[1] * y, float(turned % 360.0), width)


def _folded(angle: float) -> float:
    """The angle, rad, within (-2 pi, 0]: that of a direction downwards."""
    return (angle % (2 * np.pi)) - 2 * np.pi
