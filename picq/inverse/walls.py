"""The walls of a mask as something to be moved: a field of shifts over the region, and what it does to widths.

    shifts on a lattice ─▶ bilinear at every vertex ─▶ along its mitre ─▶ outlines, and distances between walls

All of it is linear in the shifts, for small ones. Lengths in um.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from picq.inverse.density import Symmetry, orbit
from picq.inverse.grid import Box
from picq.inverse.shape import moved

_ON_BORDER = 0.002
"""Distance from the region's border within which vertices stay: guides go on there."""

_ARC = 0.6
"""Half of the arcs whose rise is looked at, in radii."""


class Gaps(NamedTuple):
    """Distances of vertices from the walls that they face, at most one a vertex."""

    vertex: np.ndarray  # [gap]
    distance: np.ndarray  # [gap]
    slope: sp.csr_array  # of the distances by the shifts, [gap, shift]


@dataclass(frozen=True, eq=False)
class Walls:
    """Outlines with their vertices near each other, and a lattice of shifts over ``box``.

    Args:
        outlines: [n, 2] each, solid on the left.
        box: what may move.
        pitch: of the lattice at most; half the shortest width, so that both walls of a bar move by themselves.
        symmetries: of the field of shifts, see ``Density``.
        held: where walls stay.
    """

    outlines: Sequence[np.ndarray]
    box: Box
    pitch: float
    symmetries: tuple[Symmetry, ...] = ()
    held: Sequence[Box] = ()

    @cached_property
    def vertices(self) -> np.ndarray:
        """All of them, [vertex, 2]."""
        return np.concatenate(self.outlines)

    @cached_property
    def mitres(self) -> np.ndarray:
        """By how much a vertex moves when its walls move outwards by one, [vertex, 2]; 0 for those that stay."""
        found = np.concatenate([np.asarray(moved(o, np.ones(len(o)))) - o for o in self.outlines])
        depth = lambda box: np.minimum(self.vertices - box[:2], np.array(box[2:]) - self.vertices).min(axis=1)
        free = depth(self.box) > _ON_BORDER
        for place in self.held:
            free &= depth(place) < 0
        return found * free[:, None]

    @cached_property
    def basis(self) -> sp.csr_array:
        """Bilinear weights of the lattice's shifts at the vertices, [vertex, shift]; images of a node are one shift.

        There are no shifts on the region's border, where what goes on around it stays as it is.
        """
        left, bottom, right, top = self.box
        nx, ny = (int(np.ceil(length / self.pitch - 1e-9)) for length in (right - left, top - bottom))
        along = (self.vertices - (left, bottom)) / (right - left, top - bottom) * (nx, ny)
        first = np.clip(np.floor(along).astype(int), 0, (nx - 1, ny - 1))
        part = np.clip(along - first, 0, 1)
        shift = orbit((nx + 1, ny + 1), self.symmetries).min(axis=0)
        inner = np.pad(np.ones((nx - 1, ny - 1)), 1)
        rows, columns, weights = [], [], []
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            at = first[:, 0] + i, first[:, 1] + j
            rows.append(np.arange(len(along)))
            columns.append(shift[at])
            weights.append(inner[at] * np.abs(1 - i - part[:, 0]) * np.abs(1 - j - part[:, 1]))
        rows, columns, weights = (np.concatenate(each) for each in (rows, columns, weights))
        kept = (weights > 0) & np.any(self.mitres[rows], axis=1)
        _, columns = np.unique(columns[kept], return_inverse=True)
        return sp.csr_array((weights[kept], (rows[kept], columns)), shape=(len(along), columns.max(initial=-1) + 1))

    def moved(self, shifts: np.ndarray) -> list[np.ndarray]:
        """The outlines after shifts [shift] outwards."""
        each = self.vertices + (self.basis @ shifts)[:, None] * self.mitres
        return np.split(each, np.cumsum([len(o) for o in self.outlines])[:-1])

    def pulled(self, slopes: np.ndarray) -> np.ndarray:
        """Derivatives by the shifts [..., shift] from those by the vertices [..., vertex, 2]."""
        return np.sum(slopes * self.mitres, axis=-1) @ self.basis

    @cached_property
    def _edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and last vertex of every edge, and its unit vector; edge i starts at vertex i."""
        starts = np.cumsum([0, *(len(o) for o in self.outlines)])
        after = np.concatenate([np.roll(np.arange(a, b), -1) for a, b in pairwise(starts)])
        run = self.vertices[after] - self.vertices
        return np.arange(len(after)), after, run / np.linalg.norm(run, axis=1, keepdims=True)

    def gaps(self, reach: float, solid: bool, facing: float) -> Gaps:
        """Each vertex's distance from the nearest wall that it faces, through the solid or through the void.

        Walls face each other within ``facing`` degrees of antiparallel.
        """
        first, last, along = self._edges
        middle = (self.vertices[first] + self.vertices[last]) / 2
        longest = np.linalg.norm(self.vertices[last] - self.vertices[first], axis=1).max()
        near = KDTree(middle).query_ball_point(self.vertices, reach + longest / 2)
        vertex = np.repeat(first, [len(n) for n in near])
        edge = np.concatenate([np.array(n, int) for n in near])
        before = np.empty(len(last), int)
        before[last] = first  # the edge that ends at a vertex
        apart = (vertex != edge) & (vertex != last[edge])
        vertex, edge = vertex[apart], edge[apart]
        start, run = self.vertices[edge], self.vertices[last[edge]] - self.vertices[edge]
        part = np.clip(np.sum((self.vertices[vertex] - start) * run, axis=1) / np.sum(run**2, axis=1), 0, 1)
        away = self.vertices[vertex] - start - part[:, None] * run
        distance = np.linalg.norm(away, axis=1)
        unit = away / np.maximum(distance, 1e-12)[:, None]
        outwards = lambda e: np.stack([along[e, 1], -along[e, 0]], axis=1)
        side = 1 if solid else -1
        faces = np.zeros(len(vertex), bool)
        for own in (vertex, before[vertex]):
            antiparallel = np.sum(along[own] * along[edge], axis=1) < -np.cos(np.deg2rad(facing))
            faces |= antiparallel & (side * np.sum(unit * outwards(own), axis=1) > 0)
        faces &= (side * np.sum(unit * outwards(edge), axis=1) < 0) & (distance < reach)
        order = np.flatnonzero(faces)[np.argsort(distance[faces], kind="stable")]
        _, nearest = np.unique(vertex[order], return_index=True)
        chosen = order[nearest]
        one, other, part = vertex[chosen], edge[chosen], part[chosen]
        slope = self._rate(one, 1, unit[chosen]) - self._rate(other, 1 - part, unit[chosen])
        return Gaps(one, distance[chosen], slope - self._rate(last[other], part, unit[chosen]))

    def _rate(self, vertex: np.ndarray, weight: ArrayLike, along: np.ndarray) -> sp.csr_array:
        """Of the places of vertices along unit vectors, by the shifts, [vertex, shift]."""
        rate = weight * np.sum(along * self.mitres[vertex], axis=1)
        return sp.csr_array(sp.diags_array(rate) @ self.basis[vertex])

    def bends(self, solid_radius: float, void_radius: float) -> Gaps:
        """By how much the rise of every arc stays below that of a circle, around solid and around void.

        Tips must not become pointed: no distance of walls tells before it is too late.
        """
        before, after = np.empty((2, len(self.vertices)), int)
        start = 0
        for outline in self.outlines:
            length = np.linalg.norm(np.roll(outline, -1, axis=0) - outline, axis=1)
            at = np.cumsum(length) - length
            around = np.concatenate([at - length.sum(), at, at + length.sum()])
            reach = min(_ARC * min(solid_radius, void_radius), length.sum() / 3)
            for found, off in ((before, -reach), (after, reach)):
                nearest = np.searchsorted((around[1:] + around[:-1]) / 2, at + off)
                found[start : start + len(at)] = start + nearest % len(at)
            start += len(outline)
        chord = self.vertices[after] - self.vertices[before]
        length = np.maximum(np.linalg.norm(chord, axis=1), 1e-12)
        along = chord / length[:, None]
        out = np.stack([along[:, 1], -along[:, 0]], axis=1)
        off = self.vertices - self.vertices[before]
        rise, part = np.sum(off * out, axis=1), np.sum(off * along, axis=1) / length
        side = np.where(rise > 0, 1.0, -1.0)
        radius = np.where(rise > 0, solid_radius, void_radius)
        rest = np.sqrt(np.maximum(radius**2 - length**2 / 4, (0.1 * radius) ** 2))
        vertex = np.arange(len(off))
        fallen = self._rate(before, 1 - part, out) + self._rate(after, part, out) - self._rate(vertex, 1, out)
        longer = self._rate(after, length / (4 * rest), along) - self._rate(before, length / (4 * rest), along)
        slope = sp.diags_array(side) @ fallen + longer
        return Gaps(vertex, radius - rest - side * rise, sp.csr_array(slope))
