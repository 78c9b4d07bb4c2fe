"""A finished mask's walls moved to where they serve its targets best, widths and spaces kept.

Sequential linear programming: in every round the worst of all targets, at its wavelength, is made as good as it can be
by a field of small shifts of the walls, S and the distances between walls being linear in the shifts (Nocedal and
Wright, Numerical Optimization, ch. 18, with a step that adapts as in ch. 4 and the merit function of sec. 18.5). The
best of a worst case lies where several targets are as bad as each other and many walls as near as they may be: both are
constraints here, neither is a penalty. Every mask on the way is checked by the rules as any other: where one breaks
them it is taken back, and its walls are held there from then on.

A mask may begin with widths and spaces below the rules: what they lack has a price, so its walls are moved apart first,
where cutting and filling (``legal``) would change by a whole width what lacks a few nm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import klayout.db as kdb
import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from picq.inverse.condense import Condensed, scattering_of
from picq.inverse.contour import joined, on_mask, outlines, simplified
from picq.inverse.grid import Box
from picq.inverse.problem import Problem
from picq.inverse.raster import Edges, smoothed
from picq.inverse.repair import FreeFormRules, deck, spots_of, violations
from picq.inverse.shape import moved, refined
from picq.inverse.walls import Walls
from picq.signoff.checks.mask import IGNORE_ANGLE
from picq.signoff.report import Report

_ROUNDS = 80
_FINER = 10
"""Of the database unit: walls move on a grid so much finer and are snapped for the check."""

_DBU = 0.001
_SMOOTH, _STRAIGHT = 5e-4, 1e-4
"""Of the outlines to begin with, and what their vertices are rounded by in every round, um."""

_FIRST, _LEAST, _MOST = 3.0, 0.3, 8.0
"""Largest shift of a round, nm: of the first, below which it ends, and at most."""

_GOOD, _POOR = 0.7, 0.1
"""Parts of the expected gain above which the next step is larger, and below which the round is taken back."""

_ENOUGH = 5e-5
"""Of the score: expected gain below which it ends too."""

_ROUND = 0.7
"""Of the rules: radius below which no wall is bent further. A round end of 0.65 is found to be narrow."""

_FACING, _TURNED = IGNORE_ANGLE - 10.0, IGNORE_ANGLE + 5.0
"""Degrees from antiparallel: walls that face each other by less have to keep the rule; between both they come no
nearer. Edges of a round end turn by some degrees each: what the check just ignores it may see after the next round."""

_IDLE = 1e-3
"""Of the steepest slope: what walls have to gain to be moved at all."""

_DEAR = 10.0
"""Of the steepest slope: price of what distances lack. A wall is two or three shifts wide, which gain less by it."""

_GRACE = 1e-3
"""What distances may lack for nothing, um: the check's tolerance is more."""

_REACH = 0.03
"""Distances that are looked at beyond the rules, um: more than two walls move in a round."""

_TANGENTS = np.exp(2j * np.pi * np.arange(12) / 12)
"""Where a power that has to stay small is bounded from below: at these phases."""


@dataclass(frozen=True, eq=False)
class _Look:
    """A mask and what was found of it."""

    outlines: list[np.ndarray]
    mask: kdb.Region
    report: Report
    amplitude: np.ndarray  # of all windows, of all edges one after the other, [row]
    slope: np.ndarray  # by the vertices, [row, vertex, 2], 1/um


@dataclass(frozen=True, eq=False)
class _State:
    """A mask with all that a linear programme asks of it."""

    look: _Look
    walls: Walls
    targets: "_Targets"
    room: np.ndarray  # what distances of walls and rises of arcs have left, um
    near: sp.csr_array  # by the shifts, [room, shift]

    @property
    def worst(self) -> float:
        return float(self.targets.value.max())

    @property
    def lacking(self) -> float:
        return _lacking(self.room)

    def rank(self) -> tuple[bool, float, float]:
        """Clean ones by their targets, others by what they lack: little is left for cutting and filling."""
        passed = self.look.report.passed
        return passed, 0.0 if passed else -self.lacking, -self.worst


@dataclass(frozen=True, eq=False)
class _Targets:
    """Amplitudes of the windows, of all edges one after the other, and their slopes by the shifts."""

    low: np.ndarray  # [row], as in ``Windows``
    high: np.ndarray
    size: np.ndarray
    amplitude: np.ndarray  # [row], complex
    slope: np.ndarray  # [row, shift], 1/um

    def of(self, shifts: np.ndarray) -> np.ndarray:
        """Distances from the windows if amplitudes were linear, [row]."""
        power = np.abs(self.amplitude + self.slope @ shifts) ** 2
        return np.maximum(self.low - power, power - self.high) / self.size

    @cached_property
    def value(self) -> np.ndarray:
        return self.of(np.zeros(self.slope.shape[1]))

    def planes(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances from the windows as planes: slopes [plane, shift] and values without shifts [plane].

        A power is convex in its amplitude, so its tangents are below it: one for a lower bound, where it is, and more
        for an upper one, on the circle that it has to stay in, since a reflection near zero has no slope that says so.
        """
        slopes, values = [], []
        circle = np.sqrt(np.maximum(self.high + self.size * self.value.max(), 0))
        for sign, bound in ((-1, self.low), (1, self.high)):
            rows = np.flatnonzero(np.isfinite(bound))
            a, scale = self.amplitude[rows], sign / self.size[rows]
            touching = [a] if sign < 0 else [a, *(circle[rows] * phase for phase in _TANGENTS)]
            for b in touching:
                slopes.append((2 * scale * b.conj())[:, None] * self.slope[rows])
                values.append(scale * (np.real(2 * b.conj() * a) - np.abs(b) ** 2 - bound[rows]))
        return np.real(np.concatenate(slopes)), np.concatenate(values)


def polished(
    problem: Problem,
    region: kdb.Region,
    rules: FreeFormRules,
    step: float,
    watch: Callable[[int, int, float], None],
) -> kdb.Region:
    """The best mask on the way from ``region``, which is the result where none is better; of masks that are not clean
    the one that lacks least.

    Args:
        problem: says what is best.
        region: mask with guides, database units.
        rules: the rules.
        step: of the grid, um.
        watch: is told the number of the round, of how many, and the score.
    """
    models = _Models(problem, region, rules, step)
    here = models.at(_solid([simplified(ring, _SMOOTH) for ring in outlines(region, _DBU)]))
    if not here.look.report.passed and violations(region, rules).passed:  # what was clean is not made otherwise
        here = models.at(_solid(outlines(region, _DBU)))
    best = here
    most = 1e-3 * _FIRST
    for number in range(1, _ROUNDS + 1):
        shifts, expected, dear = _shifts(here, most)
        there = models.at(_solid(here.walls.moved(shifts)))
        taken_back = here.look.report.passed and not there.look.report.passed
        held = taken_back and models.hold(there)
        here = models.of(here.look)
        gained = here.worst - there.worst + dear * (here.lacking - there.lacking)
        if taken_back:
            most = most if held else most / 2
        elif gained < _POOR * expected:
            most /= 2
        else:
            here = there
            most = min(1.5 * most, 1e-3 * _MOST) if gained > _GOOD * expected else most
            best = max((best, here), key=_State.rank)
        watch(number, _ROUNDS, -here.worst)
        if most < 1e-3 * _LEAST or expected < _ENOUGH:
            break
    return best.look.mask


class _Models:
    """The field solver around a mask's region and the rules, for any walls in it."""

    def __init__(self, problem: Problem, region: kdb.Region, rules: FreeFormRules, step: float) -> None:
        self.problem, self.rules = problem, rules
        self.held: list[Box] = []  # where walls stay
        self.found: list[Box] = []  # where what is only kept elsewhere has to be reached
        edge_um = 1e-3 * problem.spec.search.edge_nm
        self.edges = (-edge_um, 0.0, edge_um) if edge_um else (0.0,)
        self.around = Condensed(problem.drawn(outlines(region), step), problem.box)

    def at(self, region: kdb.Region) -> _State:
        """A mask in finer units. What is checked are the outlines whose walls move next, vertex by vertex: a round end
        that is found to be narrow or not by how it is cut into edges was found after every move else."""
        rings = [simplified(ring, _STRAIGHT) for ring in outlines(region, _DBU / _FINER)]
        rings = [_with_crossings(ring, self.problem.box) for ring in rings if len(ring) > 2]
        rings = [refined(ring, self.problem.spec.length_scale / 5) for ring in rings]
        rings = [_apart(np.round(ring / _DBU * _FINER) / _FINER * _DBU) for ring in rings]
        drawn = _solid(rings).transformed(kdb.ICplxTrans(1 / _FINER))
        mask = joined(drawn, on_mask(self.problem.box, _DBU))
        report = violations(mask, self.rules)
        self.found += _places(report, self.rules)
        return self.of(_Look(rings, mask, report, *self._amplitudes(rings)))

    def of(self, look: _Look) -> _State:
        """The mask by all that was found so far, held where that is due: masks are compared by the same places."""
        spec, w = self.problem.spec, self.problem.windows
        walls = Walls(look.outlines, self.problem.box, spec.length_scale / 2, spec.region.symmetries, self.held)
        low, high, size = (np.tile(each, len(self.edges)) for each in (w.low, w.high, w.size))
        targets = _Targets(low, high, size, look.amplitude, walls.pulled(look.slope))
        return _State(look, walls, targets, *self._rooms(walls, [] if look.report.passed else self.found))

    def hold(self, broken: _State) -> bool:
        """Walls stay where rules were found to be broken; whether any of them moved until now."""
        new = [place for place in _places(broken.look.report, self.rules) if place not in self.held]
        self.held = [*self.held, *new]
        return bool(new)

    def _rooms(self, walls: Walls, found: list[Box]) -> tuple[np.ndarray, sp.csr_array]:
        width, space = self.rules.width_um, self.rules.space_um
        gaps = lambda facing: [
            (walls.gaps(limit + _REACH, solid, facing), limit) for limit, solid in ((width, True), (space, False))
        ]
        kept = [*gaps(_TURNED), (walls.bends(_ROUND * width, _ROUND * space), 0.0)]
        asked = gaps(_FACING)
        room = [gap.distance - limit for gap, limit in asked]
        for gap, limit in kept:
            x, y = walls.vertices[gap.vertex].T
            there = [(x > b.left) & (x < b.right) & (y > b.bottom) & (y < b.top) for b in found]
            less = gap.distance - limit
            room.append(np.where(np.any(there, axis=0), less, np.maximum(less, 0)) if there else np.maximum(less, 0))
        return np.concatenate(room), sp.csr_array(sp.vstack([gap.slope for gap, _ in (*asked, *kept)]))

    def _amplitudes(self, rings: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Of all windows, for all edges that are asked for: [row], and slopes by the vertices, [row, vertex, 2]."""
        found = [self._moved(rings, edge) for edge in self.edges]
        return np.concatenate([value for value, _ in found]), np.concatenate([slope for _, slope in found])

    def _moved(self, rings: list[np.ndarray], edge: float) -> tuple[np.ndarray, np.ndarray]:
        drawn = [np.asarray(moved(ring, edge)) for ring in rings] if edge else rings
        value, slope = (np.asarray(each) for each in self._look(Edges.of(drawn).ends))
        begun, by_ring = 0, []
        for ring in rings:
            start, end = np.moveaxis(slope[:, begun : begun + len(ring)], 2, 0)
            by_vertex = start + np.roll(end, 1, axis=1)
            if edge:
                pull = jax.vmap(jax.vjp(partial(moved, offsets=edge), ring)[1])
                by_vertex = np.asarray(pull(jnp.asarray(by_vertex))[0])
            by_ring.append(by_vertex)
            begun += len(ring)
        rows, slopes = value.size // 2, np.concatenate(by_ring, axis=1)
        complex_ = lambda both: both[:rows] + 1j * both[rows:]
        return complex_(value), complex_(slopes)

    @cached_property
    def _look(self) -> Callable[[np.ndarray], tuple[jax.Array, jax.Array]]:
        """From the ends of all edges, um, to all windows' amplitudes, real parts and then imaginary ones, [part], and
        their slopes, [part, edge, end, axis]. Compiled for as many edges as ``Edges`` has, not for every outline."""
        problem, around = self.problem, self.around
        domain, polarisation = around.simulation.domain, problem.spec.polarisation

        def parts(ends: jax.Array) -> jax.Array:
            one = lambda core, cladding: smoothed(Edges(ends), domain, core, cladding, polarisation, around.cells)
            each = jax.vmap(one)(jnp.asarray(problem.core), jnp.asarray(problem.cladding))
            found = scattering_of(around, each)[tuple(problem.windows.place.T)]
            return jnp.concatenate([found.real, found.imag])

        def both(ends: jax.Array) -> tuple[jax.Array, jax.Array]:
            value, pull = jax.vjp(parts, ends)
            return value, jax.vmap(pull)(jnp.eye(value.size))[0]

        return jax.jit(both)


def _with_crossings(ring: np.ndarray, box: Box) -> np.ndarray:
    """An outline with a vertex wherever it crosses the lines of the region's border: vertices stay there, and so does
    every guide beyond, also where a wall goes straight on into it."""
    starts, ends, points = ring, np.roll(ring, -1, axis=0), []
    for a, b in zip(starts, ends, strict=True):
        lines = [(line - a[axis]) / (b - a)[axis] for axis in (0, 1) if b[axis] != a[axis] for line in box[axis::2]]
        points += [a, *(a + t * (b - a) for t in sorted(t for t in lines if 0 < t < 1))]
    return np.array(points)


def _apart(ring: np.ndarray) -> np.ndarray:
    """Without vertices where the one before is: a wall that crosses the border beside a corner has two there."""
    return ring[np.any(ring != np.roll(ring, 1, axis=0), axis=1)]


def _solid(rings: list[np.ndarray]) -> kdb.Region:
    """What is inside, in finer units; holes are rings inside others."""
    region = kdb.Region()
    for ring in rings:
        points = np.round(ring / _DBU * _FINER).astype(int)
        region ^= kdb.Region(kdb.Polygon([kdb.Point(x, y) for x, y in points.tolist()]))
    return region.merged()


def _places(report: Report, rules: FreeFormRules) -> list[Box]:
    """Around the findings, um."""
    boxes = (spot.grown(_REACH / _DBU).bbox().to_dtype(_DBU) for spot in spots_of(report, deck(rules), _DBU))
    return [Box(box.left, box.bottom, box.right, box.top) for box in boxes]


def _lacking(room: np.ndarray) -> float:
    return float(np.maximum(-room - _GRACE, 0).sum())


def _shifts(here: _State, most: float) -> tuple[np.ndarray, float, float]:
    """The field of shifts that gains most, none larger than ``most`` um; the gain if all were linear; what a um that
    distances lack costs."""
    planes, values = here.targets.planes()
    if not planes.shape[1]:  # all walls are held, or lie on the border
        return np.zeros(0), 0.0, _DEAR
    steepest = np.abs(planes[values > values.max() - 1e-9]).max()
    dear, count, rooms = _DEAR * steepest, planes.shape[1], here.room.size
    slope, near = sp.csr_array(planes), here.near
    # shifts outwards, shifts inwards, the worst distance, what is lacking
    table = sp.block_array(
        [
            [slope, -slope, sp.csr_array(-np.ones((values.size, 1))), None],
            [-near, near, None, -sp.eye_array(rooms)],
        ],
        format="csr",
    )
    price = np.concatenate([np.full(2 * count, _IDLE * steepest), [1.0], np.full(rooms, dear)])
    bounds = [(0, most)] * (2 * count) + [(None, None)] + [(0, None)] * rooms
    answer = linprog(price, table, np.concatenate([-values, here.room]), bounds=bounds, method="highs")
    shifts = answer.x[:count] - answer.x[count : 2 * count]
    worst, lacking = here.targets.of(shifts).max(), _lacking(here.room + near @ shifts)
    return shifts, float(here.worst - worst + dear * (here.lacking - lacking)), dear
