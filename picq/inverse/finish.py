"""From a density to a mask that keeps the rules.

The contour's walls are moved apart to where the rules are kept and the targets are served best (``polish.polished``):
most of what it lacks are some nm. What is left is cut or filled (``legal.legal``), and the walls are moved again. Where
that costs score, the density is made wider where the contour's markers were, and its contour goes the same way. Scores
are kept of every step: nothing that the repair cost is hidden.
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

_VAIN = 2
"""Rounds of repair in a row that give no better mask: the end."""

_COST = 0.005
"""Part of the contour's score that repair may take: a legal mask that keeps the rest is the end."""


@dataclass(frozen=True)
class Round:
    """One look at the mask.

    Attributes:
        what: ``contour`` or ``repair 1`` …; then what was done to that mask: ``walls moved``, ``made legal``.
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
        pixels: score of the search's density with sharp edges, before it was drawn.
        region: mask with guides, database units.
        report: of the rules.
        rounds: what each look found.
        score: of the mask: the best of those that keep the rules.
        s: of the mask, [wl, out, in], see ``appraise.scattering``.
    """

    pixels: float
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
    grid, rules = Grid(problem, problem.spec.search.steps[-1]), rules_of(problem)
    asked, length, step = deck(rules), problem.spec.length_scale, problem.spec.search.steps[-1]
    wider = Weights(np.zeros(grid.density.shape), np.zeros(grid.density.shape))
    rounds: list[Round] = []
    bars = kdb.Region()
    for guide in problem.guides(GUIDES):
        bars.insert(on_mask(guide, _DBU))

    def look(what: str, region: kdb.Region, on: float = step) -> _Mask:
        frame = on_mask(problem.box, _DBU)
        inner = as_written(region, frame) & kdb.Region(frame)
        region = (inner + bars).merged()  # as a chip has it: guides and nothing else beyond
        report = violations(region, rules)
        s = scattering(problem.matched(on), region, on)
        rounds.append(Round(what, float(score(s, problem.windows)), report.counts()))
        return _Mask(what, rounds[-1].score, region, report, s)

    def wallwise(mask: _Mask) -> _Mask:
        region = polished(problem.matched(step), mask.region, rules, step, partial(watch, "walls"))
        return look(f"{mask.what}, walls moved", region)

    def legalised(mask: _Mask) -> _Mask:
        costly = lambda now: -float(score(scattering(problem.matched(2 * step), now, 2 * step), problem.windows))
        places = clusters_of(spots_of(mask.report, asked, _DBU), round(length / _DBU)).count()
        made = legal(mask.region, rules, problem.box, cost=costly if places <= _SOME else None)
        return look(f"{mask.what}, made legal", made.region)

    def settled(mask: _Mask) -> _Mask:
        apart = wallwise(mask)
        if apart.report.passed:
            return apart
        whole = legalised(apart)
        return _better(whole, wallwise(whole)) if whole.report.passed else _better(apart, whole)

    pixels, number, vain = sharp(grid, latent), 0, 0
    mask = look("contour", drawn(grid, latent))
    enough = mask.score - _COST * abs(mask.score)
    best = _better(mask, settled(mask))
    while not (best.report.passed and best.score >= enough) and not mask.report.passed:
        if number == problem.spec.search.repairs or vain == _VAIN:
            break
        number += 1
        found = weights(mask.report, asked, problem.box, grid.density.shape, grid.step, length)
        wider = Weights(*(old + _MORE * new for old, new in zip(wider, found, strict=True)))
        stage = repairing(problem)
        for i, now in enumerate(grid.descend(stage, latent, wider=wider), start=1):
            latent = now[0]
            watch(f"repair {number}", i, stage.iterations, now[2].score)
        mask = look(f"repair {number}", drawn(grid, latent))
        before, best = best, _better(best, settled(mask))
        vain = vain + 1 if best is before else 0
    mask = best
    if (fine := problem.spec.mask_step) != step:
        mask = look(f"the same on {fine:g} um", mask.region, on=fine)
    return Finished(pixels, mask.region, mask.report, tuple(rounds), mask.score, mask.s)


class _Mask(NamedTuple):
    """A mask with what was found of it."""

    what: str
    score: float
    region: kdb.Region
    report: Report
    s: np.ndarray


def _better(one: _Mask, other: _Mask) -> _Mask:
    """A legal mask before one that is not, then that of the higher score."""
    return max((one, other), key=lambda mask: (mask.report.passed, mask.score))


def sharp(grid: Grid, latent: np.ndarray) -> float:
    """Score of a density with edges as sharp as its grid can hold them."""
    s = grid.region.scattering(grid.problem.permittivity(grid.density.projected(latent, np.inf)))
    return float(score(s, grid.problem.windows))
