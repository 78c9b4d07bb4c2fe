"""Outlines of guides on the mask's grid whose widths are exact however the guides are slanted.

Rounding each corner of a slanted guide changes its width by up to a grid step, and so its phase: 0.28 rad rms for arms
0.5 um wide and 200 um long. Here a straight's two walls are one and the same whole-number vector apart from each other
by another such vector, chosen among the neighbours of the ideal one so that the width is off by 0.01 nm rms, and 0.12
at worst, where a slope is a ratio of small numbers.
"""

from itertools import product

import numpy as np

from picq.errors import LayoutError

GRID_UM = 0.001
_AROUND = np.array(list(product((-1, 0, 1), repeat=4)))  # grid steps about the rounded corners of a cut
_ALONG = 80  # grid steps by which the ends of a straight's walls may lie ahead of each other
_PLACE_COUNTS = 0.7  # an error in place, against one in width, in the choice of a cut
_MOST_CHORDS = 900  # of an arc: a guide of two of them stays below the 4,000 corners that writers of masks take


def chord(radius: float) -> float:
    """Chord, um, whose sagitta c²/8R is a tenth of the 1 nm grid."""
    return float(np.sqrt(8 * radius * 0.1 * GRID_UM))


class Walls:
    """Left and right wall of a guide that is drawn from its start on; whole grid steps. Coordinates in um otherwise."""

    def __init__(self) -> None:
        self.left: list[tuple[int, int]] = []
        self.right: list[tuple[int, int]] = []

    def cut(self, centre: np.ndarray, direction: np.ndarray, width: float) -> None:
        """A pair of corners ``width`` um apart across ``direction`` (unit vector), near to ``centre``."""
        self.curve(np.asarray(centre)[None], np.asarray(direction)[None], width)

    def pair(self, left: np.ndarray, right: np.ndarray) -> None:
        """Two corners, um, as near as the grid has them."""
        self._add(np.round(left / GRID_UM), np.round(right / GRID_UM))

    def run(self, start: np.ndarray, end: np.ndarray, width: float) -> None:
        """A straight between two centres, um: both corners at its end are those at its start moved by one vector."""
        first, last = (np.asarray(p) / GRID_UM for p in (start, end))
        move = np.round(last - first)
        length = float(np.hypot(*move))
        if length == 0:
            raise LayoutError("a straight has no length", got=f"from {start} to {end} um", allowed="at least 1 nm")
        direction, w = move / length, width / GRID_UM
        normal = np.array([-direction[1], direction[0]])
        along = np.arange(-_ALONG, _ALONG + 1)
        trial = np.unique(np.round(normal * w + along[:, None] * direction), axis=0)
        trial = np.concatenate([trial + step for step in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))])
        across = trial @ normal - w
        apart = trial[int(np.argmin(across**2 + 1e-8 * (trial @ direction) ** 2))]
        right = np.round(first - apart / 2)
        move = np.round(last - right - apart / 2)  # so that rounding the start does not count at the end
        self._add(right + apart, right)
        self._add(right + apart + move, right + move)

    def curve(self, points: np.ndarray, directions: np.ndarray, width: float) -> None:
        """A cut at every point of a centre line, um [point, 2], across its unit tangents; ends included."""
        c, w = points[:, None] / GRID_UM, width / GRID_UM
        normals = np.stack([-directions[:, 1], directions[:, 0]], axis=1)[:, None]
        left, right = np.round(c + normals * w / 2) + _AROUND[:, :2], np.round(c - normals * w / 2) + _AROUND[:, 2:]
        across, place = left - right, (left + right) / 2 - c
        error, shear = (across * normals).sum(-1) - w, (across * directions[:, None]).sum(-1)
        best = np.argmin(error**2 + _PLACE_COUNTS**2 * (place**2).sum(-1) + 1e-6 * shear**2, axis=1)
        for i, j in enumerate(best):
            self._add(left[i, j], right[i, j])

    def square(self, centre: tuple[float, float], direction: tuple[int, int], width: float) -> None:
        """A cut across a guide that runs along the grid; centre and half width are on the grid."""
        self.curve(np.array([centre]), np.array([direction], float), width)

    def face(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle (um) of the last pair of corners, and the direction across the line through them."""
        left, right = np.array(self.left[-1]), np.array(self.right[-1])
        across = (left - right) / np.hypot(*(left - right))
        return (left + right) / 2 * GRID_UM, np.array([across[1], -across[0]])

    def polygon(self) -> np.ndarray:
        """The outline, um [corner, 2]."""
        return np.array([*self.left, *self.right[::-1]]) * GRID_UM

    def joined(self, far: "Walls", place: tuple[float, float], flip: tuple[int, int]) -> "Walls":
        """This guide, continued by one that was drawn towards it in a mirrored frame.

        Args:
            far: drawn from its own start to where the two meet.
            place: of the other frame's origin in this one, um, on the grid.
            flip: signs of the other frame's axes, one of them -1.
        """
        whole, origin = Walls(), np.round(np.asarray(place) / GRID_UM)
        whole.left, whole.right = list(self.left), list(self.right)
        for left, right in zip(far.left[::-1], far.right[::-1], strict=True):
            whole._add(origin + np.multiply(flip, left), origin + np.multiply(flip, right))
        return whole

    def _add(self, left: np.ndarray, right: np.ndarray) -> None:
        pair = (int(left[0]), int(left[1])), (int(right[0]), int(right[1]))
        if not self.left or (self.left[-1], self.right[-1]) != pair:
            self.left.append(pair[0])
            self.right.append(pair[1])


def arc(start: np.ndarray, angle: float, turn: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and unit tangents of an arc.

    Args:
        start: its first point, um.
        angle: direction there, rad.
        turn: angle that it turns by, rad, to the left if positive.
        radius: um.
    """
    count = min(max(int(np.ceil(abs(turn) * radius / chord(radius))), 1), _MOST_CHORDS) + 1
    angles = angle + np.linspace(0.0, turn, count)
    side = np.sign(turn) or 1.0
    centre = np.asarray(start) + side * radius * np.array([-np.sin(angle), np.cos(angle)])
    points = centre - side * radius * np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    return points, np.stack([np.cos(angles), np.sin(angles)], axis=1)
