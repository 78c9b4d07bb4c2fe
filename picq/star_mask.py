"""Star couplers on the mask: slab, blind tapers, and guides fanned out to the ports.

All in the coupler's own frame (``optics.diffraction``), in which it may lean to the left, and which a device turns over
for its second coupler. Corners lie on the grid and are shared: the slab's outline runs through the corners of the
tapers that end at it.
"""

from dataclasses import dataclass

import numpy as np

from picq.arm_mask import Guide, Marks
from picq.optics.diffraction import Apertures, grating_circle, rowland_circle, steps
from picq.outline import GRID_UM, Walls, arc

_SHOULDER = 0.8  # um of slab beside the outermost apertures
_SLANT = 0.4  # of a blind end: some 20 degrees, past the acceptance of its guide
_STEEPEST = 2.42  # extent over offset of an S-bend that turns by 45 degrees
_STUB = 2.0  # um, straight before a port
_PARABOLA = 33  # widths of a parabolic horn: chords stay within the grid


@dataclass(frozen=True)
class PortGuide:
    """A guide from an aperture on the Rowland circle down to its port; um and rad.

    Attributes:
        x, y, axis: of the aperture; the axis points into the slab.
        width: of the aperture.
        horn: length of a section as wide as the aperture, or that becomes so; 0: none.
        parabolic: whether it widens from the taper on, in width as the square root of the length.
        access: width of the taper behind it.
        taper: its length.
        bend: radius of the arc behind the taper.
        guide: width of the port.
        port: its place, on the grid.
        fan: height at which the S-bend to the port's column begins.
        spread: its extent along y.
    """

    x: float
    y: float
    axis: float
    width: float
    horn: float
    parabolic: bool
    access: float
    taper: float
    bend: float
    guide: float
    port: tuple[float, float]
    fan: float
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
        walls, marks = Walls(), Marks()
        outward = self.axis + np.pi
        along, down = np.array([np.cos(outward), np.sin(outward)]), np.array([0.0, -1.0])
        start = np.array([self.x, self.y])
        if self.horn:
            walls.cut(start, along, self.width)
            marks.add("", *walls.face(), self.width)
            if self.parabolic:
                for width in np.linspace(self.width, self.access, _PARABOLA)[1:-1]:
                    left = (self.width**2 - width**2) / (self.width**2 - self.access**2) * self.horn
                    walls.cut(start + left * along, along, width)
            else:
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
        walls.curve(points[1:], tangents[1:], self.guide)
        turned = np.array(self.turned)
        last, offset = np.array(self.port), self.port[0] - turned[0]
        if abs(offset) > 1e-9:
            radius = (self.spread**2 + offset**2) / (4 * abs(offset))
            angle = 2 * np.arctan2(abs(offset), self.spread)
            sign = float(np.sign(offset))
            one, tangent = arc(np.array([turned[0], self.fan]), -np.pi / 2, sign * angle, radius)
            two, back = arc(one[-1], -np.pi / 2 + sign * angle, -sign * angle, radius)
            walls.curve(one, tangent, self.guide)
            walls.curve(two[1:-1], back[1:-1], self.guide)
        walls.square((last[0], round(self.fan - self.spread, 3)), (0, -1), self.guide)
        walls.square((last[0], last[1]), (0, -1), self.guide)
        marks.add("guide", last, down, self.guide)
        return Guide(walls, marks.sections)


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
        horn, parabolic, access: as in ``PortGuide``.
        port_pitch: distance of the ports.
        tilt: by which the coupler leans to the left, rad.
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
    parabolic: bool
    access: float
    port_pitch: float
    tilt: float

    def port_guides(self) -> list[PortGuide]:
        """From left to right; all ports lie in one line."""
        at = self._leaning(rowland_circle(self.radius, [*self.sines, 0.0], self.width_io))
        x, y, axis = (np.asarray(leaf) for leaf in at[:3])

        def guides(columns: np.ndarray, bottom: float, fan: float, spread: float) -> list[PortGuide]:
            return [
                PortGuide(
                    float(x[i]), float(y[i]), float(axis[i]), self.width_io, self.horn, self.parabolic,
                    self.access, self.taper, self.bend, self.guide, (float(column), bottom), fan, spread,
                )
                for i, column in enumerate(columns)
            ]  # fmt: skip

        turned = np.array([guide.turned for guide in guides(x, 0.0, 0.0, 0.0)])
        columns = np.round(np.round(turned[-1, 0], 3) + steps(len(self.sines)) * self.port_pitch, 3)
        aside, fan = float(np.abs(columns - turned[:-1, 0]).max()), float(turned[:, 1].min())
        spread = float(np.ceil(max(_STEEPEST * aside, np.sqrt(max(4 * self.bend * aside - aside**2, 0.0)))))
        return guides(columns, float(np.floor(fan - spread - _STUB)), fan, spread)

    def _leaning(self, at: Apertures) -> Apertures:
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        x, y = np.asarray(at.x), np.asarray(at.y)
        return Apertures(x * cos - y * sin, x * sin + y * cos, np.asarray(at.axis) + self.tilt, at.width)

    def shapes(self, arms: list[Walls], ports: list[Guide]) -> list[np.ndarray]:
        """Slab, blind tapers and guides to the ports, um [corner, 2]: the slab's outline runs through the first corners
        of everything that ends at it, with shoulders beside the outermost."""
        count = self.arms + 2 * self.dummies
        at = self._leaning(grating_circle(self.radius, self.pitch, count, self.aperture))
        blind = [self._blind(*(float(leaf[i]) for leaf in at[:3])) for i in range(count)]
        array = [*blind[: self.dummies], *arms, *blind[self.arms + self.dummies :]]
        outline: list[tuple[float, float]] = []
        for side in (array, [guide.walls for guide in ports[::-1]]):
            outline.append(_beyond(side[0].left[0], side[0].right[0]))
            for walls in side:
                outline += [walls.left[0], walls.right[0]]
            outline.append(_beyond(side[-1].right[0], side[-1].left[0]))
        dummies = blind[: self.dummies] + blind[self.arms + self.dummies :]
        return [np.array(outline) * GRID_UM, *(w.polygon() for w in dummies), *(g.walls.polygon() for g in ports)]

    def _blind(self, x: float, y: float, axis: float) -> Walls:
        """A taper that ends at a slanted face, so that what it takes is not sent back."""
        outward = axis + np.pi
        along = np.array([np.cos(outward), np.sin(outward)])
        across, start = np.array([-along[1], along[0]]), np.array([x, y])
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


def _folded(angle: float) -> float:
    """The angle, rad, within (-2 pi, 0]: that of a direction downwards."""
    return (angle % (2 * np.pi)) - 2 * np.pi
