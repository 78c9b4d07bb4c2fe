"""From a density to a mask that keeps the rules: contour, the check's markers, wider where they are, again until clean.

When few markers are left, the rest is cut or filled too (``legal.legal``), and the best mask without any is the result.
Scores are kept of every step: nothing that the repair cost is hidden.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import klayout.db as kdb
import numpy as np

from picq.inverse.appraise import scattering
from picq.inverse.contour import outline
from picq.inverse.legal import legal
from picq.inverse.objective import score
from picq.inverse.problem import Problem
from picq.inverse.repair import FreeFormRules, Weights, deck, violations, weights
from picq.inverse.search import Figures, Grid, repairing
from picq.signoff.report import Report

GUIDES = 3.0
"""Length of the guides that are checked with the device, um: longer than any rule."""

_MORE = 0.1
"""Part by which width or space grows where a marker is, at every round."""

_FEW = 12
"""Markers up to which the last repairs are chosen by what they cost in score; beyond, by the area that they change."""


@dataclass(frozen=True)
class Round:
    """One look at the mask.

    Attributes:
        what: ``contour``, ``repair 1`` …, with ``made legal`` where the rest was cut or filled.
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
        latent: density of the finest grid.
        pixels: score of that density with sharp edges, before it was drawn.
        region: mask with guides, database units.
        report: of the rules.
        rounds: what each look found.
        score: of the mask: the best of those that keep the rules.
        s: of the mask, [wl, out, in], see ``appraise.scattering``.
    """

    latent: np.ndarray
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


def finish(problem: Problem, latent: np.ndarray, watch: Callable[[str, int, Figures], None] | None = None) -> Finished:
    """Draw, check and repair a density of the finest grid.

    Args:
        problem: the problem.
        latent: [nx, ny].
        watch: is called with the name of the round, the iteration and its figures.
    """
    grid, rules = Grid(problem, problem.spec.search.steps[-1]), rules_of(problem)
    asked, length, step = deck(rules), problem.spec.length_scale, problem.spec.mask_step
    wider = Weights(np.zeros(grid.density.shape), np.zeros(grid.density.shape))
    rounds: list[Round] = []

    def look(what: str, region: kdb.Region, report: Report) -> _Mask:
        s = scattering(problem, region, step)
        rounds.append(Round(what, float(score(s, problem.windows)), report.counts()))
        return _Mask(rounds[-1].score, region, report, s)

    def legalised(what: str, mask: _Mask) -> _Mask:
        costly = lambda now: -float(score(scattering(problem, now, 2 * step), problem.windows))
        few = len(mask.report.findings) <= _FEW
        made = legal(mask.region, rules, problem.box, cost=costly if few else None)
        return look(f"{what}, made legal", made.region, made.after)

    region = drawn(grid, latent)
    mask, pixels, best = look("contour", region, violations(region, rules)), sharp(grid, latent), None
    for number in range(1, problem.spec.search.repairs + 1):
        if mask.report.passed:
            break
        found = weights(mask.report, asked, problem.box, grid.density.shape, grid.step, length)
        wider = Weights(*(old + _MORE * new for old, new in zip(wider, found, strict=True)))
        for i, now in enumerate(grid.descend(repairing(problem), latent, wider=wider)):
            latent = now[0]
            if watch:
                watch(f"repair {number}", i, now[2])
        region = drawn(grid, latent)
        mask = look(f"repair {number}", region, violations(region, rules))
        last = number == problem.spec.search.repairs
        if not mask.report.passed and (last or len(mask.report.findings) <= _FEW // 3):
            best = _better(best, legalised(f"repair {number}", mask))
    if not mask.report.passed and best is None:
        best = legalised("contour", mask)
    mask = _better(best, mask)
    return Finished(latent, pixels, mask.region, mask.report, tuple(rounds), mask.score, mask.s)


class _Mask(NamedTuple):
    """A mask with what was found of it."""

    score: float
    region: kdb.Region
    report: Report
    s: np.ndarray


def _better(one: _Mask | None, other: _Mask) -> _Mask:
    """A legal mask before one that is not, then that of the higher score."""
    if one is None:
        return other
    return max((one, other), key=lambda mask: (mask.report.passed, mask.score))


def sharp(grid: Grid, latent: np.ndarray) -> float:
    """Score of a density with edges as sharp as its grid can hold them."""
    s = grid.region.scattering(grid.problem.permittivity(grid.density.projected(latent, np.inf)))
    return float(score(s, grid.problem.windows))
