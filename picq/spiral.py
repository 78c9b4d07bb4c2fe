"""A delay line wound up: two rectangular spirals, one inside the other, joined by an S in the middle.

One table of corners feeds the length, the rectangle around it, and the mask.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from picq.errors import SpecError
from picq.optics.waveguide import BEND_P, euler_length_factor
from picq.outline import GRID_UM


class Section(NamedTuple):
    """A part of the spiral with two bends: corners [4, 2] of its centre line, um, and its length."""

    corners: np.ndarray
    length: float


class Spiral(NamedTuple):
    """A spiral of k ``turns`` each way; lengths in um.

    ::

           ┌───────────────────┐
           │ ┌───────────────┐ │     k = 1. From the middle up and out, clockwise: levels at heights a, a + 2p …
           │ │     ┌─────┐   │ │     to a + 2kp; into the middle: the same, turned by half a turn; p: pitch
           │ │     │     │   │ │
           │ └─────┘     │   │ │
           └─────────────┘   │ │
        o1 ──────────────────┘ └── o2

    Innermost levels end b = 2 radius + core from the middle. Heights are counted from there; a, half of the upright in
    the middle, takes the free length. Corners are Euler bends of ``radius``, each (2 - f) radius shorter than the
    corner, f = ``euler_length_factor``. Adding up the legs,

        length = (8k + 4) (a - (2 - f) radius) + (8k + 2) b + (16k² + 4k - 1) p + radius

    Attributes:
        radius: effective one of the bends.
        turns: k, from 1 on.
        pitch: of neighbouring guides, axis to axis.
        core: straight between the bends of an innermost level.
        length: of the centre line, ports included.
    """

    radius: Any
    turns: int
    pitch: Any
    core: Any
    length: Any

    @property
    def bends(self) -> int:
        """Number of bends of 90 degrees."""
        return 8 * self.turns + 4

    @property
    def half_upright(self) -> Any:
        """a: half of the upright in the middle, corner to corner."""
        return self.radius + (self.length - self.least_length()) / self.bends

    @property
    def span(self) -> Any:
        """From port to port; the length does not change it."""
        return 2 * self._half_level + (4 * self.turns - 1) * self.pitch + self.radius

    @property
    def height(self) -> Any:
        """From the lowest level, that of the ports, to the highest one."""
        return 2 * self.half_upright + 4 * self.turns * self.pitch

    def least_length(self) -> Any:
        """The length with no straight in the upright in the middle: a = radius."""
        k = self.turns
        straight = (8 * k + 2) * self._half_level + (16 * k**2 + 4 * k - 1) * self.pitch + self.radius
        return self.bends * (self.radius - self._saved) + straight

    def most_turns(self) -> int:
        """The largest number of turns into which the length fits; 0 where it is too short for one."""
        turns = 0
        while self._replace(turns=turns + 1).least_length() <= self.length:
            turns += 1
        return turns

    def check(self, name: str) -> None:
        """Raise SpecError, in the name of a device, where the concrete length is too short for the turns."""
        least = float(self.least_length())
        if self.length < least - 1e-9:
            most = self.most_turns()
            raise SpecError(
                f"{name}: the length does not fill {self.turns} turn{'s' * (self.turns > 1)}",
                got=f"{float(self.length):g} um at pitch {float(self.pitch):g} um, core {float(self.core):g} um",
                allowed=f"at least {least:.1f} um of spiral",
                remedy=f"set turns to {most} or less, or lengthen the delay" if most else "lengthen the delay",
            )

    def sections(self) -> list[Section]:
        """What a mask holds, from o1 at (0, 0) on: corners on the grid, cut in the middle of levels.

        The grid leaves up to (8k + 4) steps of the length; the outermost level takes them by lying higher, where it is
        free to, so that ports stay where they are. What remains, up to a step, is below what a mask can show.
        """
        corners = self._corners()
        cuts = [tuple(corners[0])]
        for (x0, y0), (x1, _) in zip(corners[2:-2:2], corners[3:-1:2], strict=True):
            cuts.append((round((x0 + x1) / 2, 3), y0))
        cuts.append(tuple(corners[-1]))
        found = []
        for i, (start, end) in enumerate(pairwise(cuts)):
            points = np.array([start, *corners[2 * i + 1 : 2 * i + 3], end])
            legs = np.abs(np.diff(points, axis=0)).sum()
            found.append(Section(points, float(legs - 2 * self._saved)))
        return found

    @property
    def _half_level(self) -> Any:
        return 2 * self.radius + self.core

    @property
    def _saved(self) -> Any:
        """By which a bend is shorter than its corner."""
        return (2 - euler_length_factor(BEND_P)) * self.radius

    def _corners(self) -> np.ndarray:
        """Ports and corners on the grid, [bends + 2, 2], from o1 at (0, 0) on."""
        k, p, b = self.turns, float(self.pitch), float(self._half_level)
        ideal = float(self.half_upright)
        a = np.floor(ideal / GRID_UM + 1e-6) * GRID_UM
        out = [(0.0, a)]
        for j in range(1, k + 1):
            near, far = (2 * j - 2) * p, (2 * j - 1) * p
            out += [(b + near, a + near), (b + near, -a - far), (-b - far, -a - far), (-b - far, a + far + p)]
        left, bottom = -b - (2 * k - 1) * p, -a - 2 * k * p
        into = [(left, bottom), *((-x, -y) for x, y in reversed(out))]
        right = b + 2 * k * p
        out += [(right, -bottom), (right, bottom), (right + float(self.radius), bottom)]
        lift = np.round((ideal - a) * self.bends / 2 / GRID_UM) * GRID_UM
        corners = np.array([*into, *out])
        corners[-4:-2, 1] += lift
        return np.round(corners - corners[0], 3)
