"""From a density to a mask that keeps the rules.

The contour's walls are moved apart to where the rules are kept and the targets are served best (``polish.polished``):
most of what it lacks are some nm. What is left is cut or filled (``legal.legal``), and the walls are moved again. Where
that costs score, the density is made wider where the contour's markers were, and its contour goes the same way. Scores
are kept of every step: nothing that the repair cost is hidden. A mask that somebody drew goes the same way from there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import klayout.db as kdb
import numpy as np

from picq.inverse.appraise import scattering
from picq.inverse.contour import as_written, on_mask, outline
from picq.inverse.legal import clusters_of, legal
from picq.inverse.objective import score
from picq.inverse.polish import polished
from picq.inverse.problem import Problem
from picq.inverse.repair import FreeFormRules, Weights, deck, spots_of, violations, weights
from picq.inverse.search import Grid, repairing
from picq.signoff.report import Report

GUIDES = 3.0
"""Length of the guides that are checked with the device, um: longer than any rule."""

Watch = Callable[[str, int, int, float], None]
"""Told of the name of a round, the iteration, of how many, and the score."""

_DBU = 0.001

_MORE = 0.1
"""Part by which width or space grows where a marker is, at every round."""

_SOME = 8
"""Places with markers up to which the way to cut or fill is chosen by what it costs in score; beyond, by the area that
it changes."""

_FURTHER = 0.1
"""Part of what a legal mask lacks of its targets that moving its walls once more has to bring to be done again."""

_VAIN = 2
"""Rounds of repair in a row that give no better mask: the end."""

_COST = 0.005
"""Part of the contour's score that repair may take: a legal mask that keeps the rest is the end."""


@dataclass(frozen=True)
class Round:
    """One look at the mask.

    Attributes:
        what: ``contour``, ``repair 1`` …, or ``as drawn``; then what was done to that mask: ``walls moved``, ``made
            legal``.
        score: of the mask's polygons.
        markers: findings by rule.
    """

    what: str
    score: float
    markers: dict[str, int]


@dataclass(frozen=True, eq=False)
class Finished:
    """A design as it is drawn.

    Attributes:
        pixels: score of the search's density with sharp edges, before it was drawn; none of a mask that was given.
        region: mask with guides, database units.
        report: of the rules.
        rounds: what each look found.
        score: of the mask: the best of those that keep the rules.
        s: of the mask, [wl, out, in], see ``appraise.scattering``.
    """

    pixels: float | None
    region: kdb.Region
    report: Report
    rounds: tuple[Round, ...]
    score: float
    s: np.ndarray


def rules_of(problem: Problem) -> FreeFormRules:
    """The rules of a specification."""
    r = problem.spec.rules
    return FreeFormRules(r.width, r.space, r.area, r.angle_deg, r.source)


def drawn(grid: Grid, latent: np.ndarray) -> kdb.Region:
    """The mask of a latent density, guides included."""
    problem = grid.problem
    field = np.asarray(grid.density.bordered(latent))
    return outline(field, grid.step, problem.box, guides=problem.guides(GUIDES))


def finish(problem: Problem, latent: np.ndarray, watch: Watch = lambda *_: None) -> Finished:
    """Draw, check and repair a density of the finest grid.

    Args:
        problem: the problem.
        latent: [nx, ny].
        watch: is told how the rounds go.
    """
    bench = _Bench(problem, watch)
    grid, length = Grid(problem, bench.step), problem.spec.length_scale
    wider = Weights(np.zeros(grid.density.shape), np.zeros(grid.density.shape))
    pixels, number, vain = sharp(grid, latent), 0, 0
    mask = bench.look("contour", drawn(grid, latent))
    enough = mask.score - _COST * abs(mask.score)
    best = _better(mask, bench.settled(mask))
    while not (best.report.passed and best.score >= enough) and not mask.report.passed:
        if number == problem.spec.search.repairs or vain == _VAIN:
            break
        number += 1
        found = weights(mask.report, bench.deck, problem.box, grid.density.shape, grid.step, length)
        wider = Weights(*(old + _MORE * new for old, new in zip(wider, found, strict=True)))
        stage = repairing(problem)
        for i, now in enumerate(grid.descend(stage, latent, wider=wider), start=1):
            latent = now[0]
            watch(f"repair {number}", i, stage.iterations, now[2].score)
        mask = bench.look(f"repair {number}", drawn(grid, latent))
        before, best = best, _better(best, bench.settled(mask))
        vain = vain + 1 if best is before else 0
    return bench.finished(best, pixels)


def reshape(problem: Problem, region: kdb.Region, watch: Watch = lambda *_: None) -> Finished:
    """Shape mode: move the walls of a mask that somebody drew to where they serve the targets best by the rules.

    Args:
        problem: the problem.
        region: mask about the origin, database units; what is beyond the region is replaced by the guides.
        watch: is told how the rounds go.
    """
    bench = _Bench(problem, watch)
    mask = bench.look("as drawn", region)
    return bench.finished(_better(mask, bench.settled(mask)), None)


class _Mask(NamedTuple):
    """A mask with what was found of it."""

    what: str
    score: float
    region: kdb.Region
    report: Report
    s: np.ndarray


class _Bench:
    """Where masks of a problem are looked at, moved and mended; keeps what every look found."""

    def __init__(self, problem: Problem, watch: Watch) -> None:
        self.problem, self.watch = problem, watch
        self.rules, self.step = rules_of(problem), problem.spec.search.steps[-1]
        self.deck = deck(self.rules)
        self.rounds: list[Round] = []
        self.bars = kdb.Region()
        for guide in problem.guides(GUIDES):
            self.bars.insert(on_mask(guide, _DBU))

    def look(self, what: str, region: kdb.Region, on: float | None = None) -> _Mask:
        """Rules and score of a mask, on a grid of ``on`` um or the finest of the search."""
        frame, on = on_mask(self.problem.box, _DBU), on or self.step
        inner = as_written(region, frame) & kdb.Region(frame)
        region = (inner + self.bars).merged()  # as a chip has it: guides and nothing else beyond
        report = violations(region, self.rules)
        s = scattering(self.problem.matched(on), region, on)
        self.rounds.append(Round(what, float(score(s, self.problem.windows)), report.counts()))
        return _Mask(what, self.rounds[-1].score, region, report, s)

    def settled(self, mask: _Mask) -> _Mask:
        """Its walls moved; where that leaves findings, cut and filled, and moved again."""
        apart = self._wallwise(mask)
        if apart.report.passed:
            return apart
        whole = self._legalised(apart)
        return _better(whole, self._wallwise(whole)) if whole.report.passed else _better(apart, whole)

    def finished(self, mask: _Mask, pixels: float | None) -> Finished:
        """Walls moved on while targets are missed and that brings them nearer: every time begins with large steps and
        no wall held. With the score on the grid that the specification asks for."""
        gained = np.inf
        while mask.report.passed and mask.score < 0 and gained > _FURTHER * -mask.score:
            before, mask = mask.score, _better(mask, self._wallwise(mask))
            gained = mask.score - before
        if (fine := self.problem.spec.mask_step) != self.step:
            mask = self.look(f"the same on {fine:g} um", mask.region, on=fine)
        return Finished(pixels, mask.region, mask.report, tuple(self.rounds), mask.score, mask.s)

    def _wallwise(self, mask: _Mask) -> _Mask:
        told = partial(self.watch, "walls")
        region = polished(self.problem.matched(self.step), mask.region, self.rules, self.step, told)
        return self.look(f"{mask.what}, walls moved", region)

    def _legalised(self, mask: _Mask) -> _Mask:
        problem, coarse, length = self.problem, 2 * self.step, self.problem.spec.length_scale
        costly = lambda now: -float(score(scattering(problem.matched(coarse), now, coarse), problem.windows))
        places = clusters_of(spots_of(mask.report, self.deck, _DBU), round(length / _DBU)).count()
        made = legal(mask.region, self.rules, problem.box, cost=costly if places <= _SOME else None)
        return self.look(f"{mask.what}, made legal", made.region)


def _better(one: _Mask, other: _Mask) -> _Mask:
    """A legal mask before one that is not, then that of the higher score."""
    return max((one, other), key=lambda mask: (mask.report.passed, mask.score))


def sharp(grid: Grid, latent: np.ndarray) -> float:
    """Score of a density with edges as sharp as its grid can hold them."""
    s = grid.region.scattering(grid.problem.permittivity(grid.density.projected(latent, np.inf)))
    return float(score(s, grid.problem.windows))
