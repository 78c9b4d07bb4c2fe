"""An arrayed-waveguide grating on the mask: arms as one polygon each, two star couplers, heaters."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from picq import drawing
from picq.arm_mask import ArmEnd, Guide, HorseshoeEnd, Plane, Slant
from picq.drawing import on_grid
from picq.optics.arm_array import Arms, Widths
from picq.optics.horseshoe import Horseshoe
from picq.optics.waveguide import BEND_P
from picq.star_mask import StarMask
from picq.technology import Technology

if TYPE_CHECKING:
    import gdsfactory as gf


@dataclass(frozen=True)
class ArrayMask:
    """What is drawn; um.

    Attributes:
        table: of the arms, concrete numbers.
        flip: signs of the second star coupler's axes.
        widths: of the guides.
        taper, step: length of a taper at an aperture, and of a transition between broad guide and bend.
        radius: of the grating circles.
        stars: the two star couplers.
        names: ports of each.
        cross_section: of the guides.
        filaments: (left, right) end of the heater on every level, [arm, 2]; None: no heaters.
    """

    table: Arms | Horseshoe
    flip: tuple[int, int]
    widths: Widths
    taper: float
    step: float
    radius: float
    stars: tuple[StarMask, ...]
    names: tuple[tuple[str, ...], ...]
    cross_section: str
    filaments: np.ndarray | None

    def draw(self, c: "gf.Component", tech: Technology) -> None:
        """Draw into ``c``: shapes, segments ``arm<k>/in_*``, ``arm<k>/level``, ``arm<k>/out_*`` and ports."""
        layer, flip = tech.layer(tech.guide(self.cross_section).layer), self.flip
        far = (on_grid(self.table.far[0]), on_grid(self.table.far[1]))
        halves, segments = self._halves(tech), {}  # recorded at once: kfactory checks all that a cell knows each time
        for k, (one, two) in enumerate(zip(*halves, strict=True)):
            c.add_polygon(one.walls.joined(two.walls, far, flip).polygon(), layer=layer)
            sections = [(n, _placed(a, far, flip), _placed(b, far, flip)) for n, a, b in two.sections]
            segments |= {f"arm{k}/in_{n}": (a, b) for n, a, b in one.sections}
            segments |= {f"arm{k}/out_{n}": (a, b) for n, a, b in sections}
            if isinstance(self.table, Arms):
                facing = (drawing.reversed_plane(plane) for plane in (one.sections[-1][2], sections[-1][2]))
                segments[f"arm{k}/level"] = tuple(facing)
        for side, (place, signs) in enumerate((((0.0, 0.0), (1, 1)), (far, flip))):
            ports = [guide.draw() for guide in self.stars[side].port_guides()]
            for outline in self.stars[side].shapes([arm.walls for arm in halves[side]], ports):
                c.add_polygon(np.asarray(place) + np.asarray(signs) * outline, layer=layer)
            inner = [drawing.reversed_plane(_placed(g.sections[0][1], place, signs)) for g in (*halves[side], *ports)]
            segments[("star_in", "star_out")[side]] = tuple(inner)
            for name, guide in zip(self.names[side], ports, strict=True):
                sections = [(n, _placed(a, place, signs), _placed(b, place, signs)) for n, a, b in guide.sections]
                segments |= {f"{name}/{n}": (a, b) for n, a, b in sections}
                drawing.port(c, name, sections[-1][2], tech, self.cross_section)
        drawing.record(c, segments)
        if self.filaments is not None:
            self._draw_heaters(c, tech)

    def _halves(self, tech: Technology) -> list[list[Guide]]:
        """Both halves of every arm, drawn up to where they meet."""
        table, bend = self.table, tech.guide(self.cross_section).radius
        arms, level = range(len(table.angle)), np.round(table.height, 3)

        def start(slant: Any, k: int) -> Slant:
            return Slant(float(table.angle[k]), self.radius, self.taper, float(slant), self.step)

        if isinstance(table, Horseshoe):
            middle = on_grid(float(table.far[0]) / 2)
            turns = table.arc / table.radius
            half = [
                HorseshoeEnd(
                    start(table.slant[k], k), float(table.radius[k]), float(turns[k]), (middle, float(level[k]))
                ).draw(self.widths)
                for k in arms
            ]
            return [half, half]
        points = drawing.euler(bend, 90.0, BEND_P).points @ np.array([[0.0, 1.0], [-1.0, 0.0]])
        euler = points, _tangents(points)
        turned_over = self.flip[1] < 0
        heights = (level, np.round(on_grid(table.far[1]) - level, 3) if turned_over else level)
        return [
            [
                ArmEnd(
                    start(table.slant[side, k], k), bend, on_grid(table.x[side, k]), float(table.upright[side, k]),
                    float(heights[side][k]), -1 if turned_over and side == 0 else 1,
                ).draw(self.widths, euler)
                for k in arms
            ]
            for side in (0, 1)
        ]  # fmt: skip

    def _draw_heaters(self, c: "gf.Component", tech: Technology) -> None:
        """A filament on every level, contacts e1, e2 … two an arm; they face along it, where nothing is in the way."""
        assert self.filaments is not None
        for k, ((left, right), height) in enumerate(zip(self.filaments, self.table.height, strict=True)):
            start = on_grid(left)
            planes = drawing.draw_heater(c, start, start + on_grid(right - left), on_grid(height), tech, (180.0, 0.0))
            for i, plane in enumerate(planes):
                drawing.port(c, f"e{2 * k + i + 1}", plane, tech, "metal")


def _placed(plane: Plane, place: tuple[float, float], signs: tuple[int, int]) -> Plane:
    """A plane of a star coupler's own frame on the mask: ``place`` of its origin, ``signs`` of its axes."""
    x, y, angle, width = plane
    turned = np.degrees(np.arctan2(signs[1] * np.sin(np.radians(angle)), signs[0] * np.cos(np.radians(angle))))
    return (place[0] + signs[0] * x, place[1] + signs[1] * y, float(turned % 360.0), width)


def _tangents(points: np.ndarray) -> np.ndarray:
    """Unit tangents of a bend by 90 degrees to the left that starts along y."""
    step = np.diff(points, axis=0)
    angle = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    middle = np.concatenate([[np.pi / 2], (angle[1:] + angle[:-1]) / 2, [np.pi]])
    return np.stack([np.cos(middle), np.sin(middle)], axis=1)
