"""Arms of an array on the mask: outlines with their sections, each arm in two halves that meet in the middle.

A half is drawn in the frame of its own star coupler (``optics.diffraction``), from the slab on; a device turns the
second one over.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from picq.optics.arm_array import Widths
from picq.outline import Walls, arc

Plane = tuple[float, float, float, float]

_PLAIN = 0.3  # um beside a cut: a straight's own corners may lie 80 nm ahead of each other, where a taper would be felt


class Guide(NamedTuple):
    """One drawn guide.

    Attributes:
        walls: its outline.
        sections: (name, plane at its start, plane at its end), from the star coupler on.
    """

    walls: Walls
    sections: list[tuple[str, Plane, Plane]]


@dataclass
class Marks:
    """Sections of a guide, collected while it is drawn."""

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
class Slant:
    """The start of an arm: aperture, taper, straight, transition; um and rad, lengths as in ``optics.arm_array``.

    Attributes:
        angle: to the vertical, positive to the right.
        radius: of the grating circle.
        taper, slant, step: lengths.
    """

    angle: float
    radius: float
    taper: float
    slant: float
    step: float

    def draw(self, walls: Walls, marks: Marks, widths: Widths) -> tuple[np.ndarray, str]:
        """The last transition's end, and the name of the section that it ends; its own cut is left to what follows."""
        along = np.array([np.sin(self.angle), np.cos(self.angle)])
        places = self.radius + np.cumsum([0.0, self.taper, self.slant - self.step, self.step])
        aperture, narrow, slanted, turned = (r * along for r in places)
        walls.cut(aperture, along, widths.aperture)
        marks.add("", *walls.face(), widths.aperture)
        walls.cut(narrow, along, widths.broad)
        walls.run(narrow + _PLAIN * along, slanted - _PLAIN * along, widths.broad)
        walls.cut(slanted, along, widths.broad)
        marks.add("taper", narrow, along, widths.broad)
        marks.add("slant", slanted, along, widths.broad)
        return turned, "step_slant" if self.step else ""

    def turn(self, walls: Walls, marks: Marks, start: np.ndarray, by: float, radius: float, width: float) -> np.ndarray:
        """The arc behind it, to the left if ``by`` (rad) is positive; its last cut is left to what follows."""
        along = np.array([np.sin(self.angle), np.cos(self.angle)])
        if self.step:
            walls.cut(start, along, width)
            marks.add("step_slant", start, along, width)
        points, tangents = arc(start, np.pi / 2 - self.angle, by, radius)
        walls.curve(points[1:-1], tangents[1:-1], width)
        return points[-1]


@dataclass(frozen=True)
class HorseshoeEnd:
    """Half of an arm of one arc, up to the mirror plane; um and rad.

    Attributes:
        start: up to the arc.
        radius, turn: of the arc.
        end: its end in the mirror plane, on the grid.
    """

    start: Slant
    radius: float
    turn: float
    end: tuple[float, float]

    def draw(self, widths: Widths) -> Guide:
        """The guide."""
        walls, marks = Walls(), Marks()
        turned, _ = self.start.draw(walls, marks, widths)
        self.start.turn(walls, marks, turned, self.turn, self.radius, widths.bend)
        walls.square(self.end, (-1, 0), widths.bend)
        marks.add("arc", np.array(self.end), np.array([-1.0, 0.0]), widths.bend)
        return Guide(walls, marks.sections)


@dataclass(frozen=True)
class ArmEnd:
    """Half of an arm with an upright, up to its level: places in the frame of its star coupler, um.

    Attributes:
        start: up to the arc that leads into the upright.
        bend: radius of arc and bend.
        x, height: of the upright and of the level, on the grid.
        upright: its length.
        turn: 1 where the level runs to the left, -1 to the right.
    """

    start: Slant
    bend: float
    x: float
    upright: float
    height: float
    turn: int

    def draw(self, widths: Widths, euler: tuple[np.ndarray, np.ndarray]) -> Guide:
        """The guide; ``euler``: points and tangents of a bend by 90 degrees to the left that starts at 0 along y."""
        walls, marks, step = Walls(), Marks(), self.start.step
        turned, before = self.start.draw(walls, marks, widths)
        if self.start.angle:
            self.start.turn(walls, marks, turned, self.start.angle, self.bend, widths.bend)
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
        if step:
            end = end + step * aside
            walls.square(tuple(end), tuple(aside.astype(int)), widths.broad)
            marks.add("step_level", end, aside, widths.broad)
        return Guide(walls, marks.sections)

    def _upright(
        self, walls: Walls, marks: Marks, before: str, start: np.ndarray, end: np.ndarray, widths: Widths
    ) -> None:
        """The straight along y with its transitions; ``before`` is the section that ends at its start."""
        step = self.start.step
        up, shift = np.array([0.0, 1.0]), np.array([0.0, step])
        walls.square(tuple(start), (0, 1), widths.bend)
        if before:
            marks.add(before, start, up, widths.bend)
        if step:
            walls.square(tuple(start + shift), (0, 1), widths.broad)
            marks.add("step_upright", start + shift, up, widths.broad)
            walls.square(tuple(end - shift), (0, 1), widths.broad)
            marks.add("upright", end - shift, up, widths.broad)
        walls.square(tuple(end), (0, 1), widths.bend)
        marks.add("step_upright_end" if step else "upright", end, up, widths.bend)
