"""The search for a free-form design: topology on coarse grids, edges on fine ones, widths and spaces throughout.

Adam on the latent density with a falling step. Several grey starts with seeded noise that keeps the symmetries are
descended on the coarsest grid, where that costs little, and the best of them goes on. First the tanh projection,
steeper and steeper, then the subpixel-smoothed one, which ends in the design that is drawn; what is too narrow is
penalised more and more (``lengthscale.violation``). Where the rules' check of the drawn design still finds something,
more width or space is asked for, there alone, and the rest makes up for it. Where the specification gives `edge_nm`,
every loss and score is that of three designs, edges moved inwards, not at all and outwards (Wang, Lazarov and Sigmund,
SMO 43, 767 (2011)), at three times the cost.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from picq.inverse.condense import Condensed
from picq.inverse.density import Density, refine, smoothed_projection, tanh_projection
from picq.inverse.lengthscale import WIDEST, Crests, crests, etched, violation
from picq.inverse.objective import loss, score
from picq.inverse.problem import Problem
from picq.inverse.repair import Weights

_NOISE = 0.1
"""Standard deviation of the grey start: enough to tell seeds apart, too little for structure."""

_WIDE = 0.5
"""Of power: size of the windows of a search that is to heed them all alike."""

MARGIN = 1.2
"""Of the widths that are asked of the density over the rules': tips and dots are narrower than bars of their crest."""


@dataclass(frozen=True)
class Stage:
    """Some iterations on one grid.

    Attributes:
        step: of the grid, um.
        beta: steepness of the projection at begin and end; infinity for edges as drawn.
        smooth: subpixel-smoothed projection instead of tanh.
        iterations: of the optimiser.
        rate: of Adam at the begin; it falls to a tenth along half a cosine.
        temperature: of the soft maximum at begin and end.
        narrow: weight of what is too narrow, at begin and end.
        least: smallest size of a target's window in the loss, at begin and end.
    """

    step: float
    beta: tuple[float, float]
    smooth: bool
    iterations: int
    rate: float
    temperature: tuple[float, float]
    narrow: tuple[float, float]
    least: tuple[float, float] = (0.0, 0.0)


STARTS = -1
"""In place of a stage: among the starts, of which ``iteration`` are done."""


class Point(NamedTuple):
    """Where the search of a plan stands: before ``iteration`` of ``stage``; ``moments`` are leaves of Adam's state."""

    stage: int
    iteration: int
    latent: np.ndarray
    moments: tuple[np.ndarray, ...] = ()


class Figures(NamedTuple):
    """Of the design of one iteration."""

    score: float
    loss: float
    solid: float
    void: float


def recipe(problem: Problem) -> list[Stage]:
    """The stages for a problem's grids."""
    steps, effort = problem.spec.search.steps, problem.spec.search.effort
    count = lambda n: max(5, round(n * effort))
    middle = steps[min(1, len(steps) - 1)]
    drawn = (np.inf, np.inf)
    return [
        Stage(middle, (12.0, 48.0), False, count(80), 0.05, (0.2, 0.1), (0.0, 0.01), (_WIDE, _WIDE)),
        Stage(middle, (48.0, 96.0), True, count(120), 0.03, (0.1, 0.05), (0.01, 0.1), (_WIDE, 0.0)),
        Stage(middle, drawn, True, count(80), 0.004, (0.05, 0.03), (0.1, 0.1)),
        *(Stage(fine, drawn, True, count(30), 0.004, (0.03, 0.02), (0.1, 0.1)) for fine in steps[2:] or steps[-1:]),
    ]


def exploring(problem: Problem) -> Stage:
    """The stage of every start."""
    steps, effort = problem.spec.search.steps, problem.spec.search.effort
    return Stage(steps[0], (6.0, 12.0), False, max(5, round(80 * effort)), 0.1, (0.5, 0.1), (0.0, 0.005))


def repairing(problem: Problem) -> Stage:
    """The stage of one repair."""
    return Stage(problem.spec.search.steps[-1], (np.inf, np.inf), True, 15, 0.005, (0.02, 0.02), (0.3, 0.3))


def start(density: Density, seed: int, number: int) -> np.ndarray:
    """A grey latent density with seeded noise of the filter's length."""
    noise = np.array(density.filtered(np.random.default_rng([seed, number]).random(density.shape)).value)
    inner = noise - noise.mean()
    return np.clip(0.5 + _NOISE * inner / inner.std(), 0, 1)


@dataclass(frozen=True, eq=False)
class Grid:
    """A problem on one grid, everything around the region eliminated."""

    asked: Problem
    step: float

    @cached_property
    def problem(self) -> Problem:
        """In the materials of this grid."""
        return self.asked.matched(self.step)

    @cached_property
    def region(self) -> Condensed:
        """The field solver's."""
        return self.problem.condensed(self.step)

    @cached_property
    def density(self) -> Density:
        """The parametrisation."""
        return self.problem.density(self.step)

    @cached_property
    def gradient(self) -> dict[bool, Callable[..., Any]]:
        """Loss and figures with the loss's slope, for the tanh projection (False) and the smoothed one (True)."""
        return {smooth: self._compiled(smooth) for smooth in (False, True)}

    def _compiled(self, smooth: bool) -> Callable[..., Any]:
        problem, density = self.problem, self.density
        edge_um = 1e-3 * problem.spec.search.edge_nm
        etas = etched(edge_um, density.radius) if edge_um else jnp.array([0.5])

        def value(latent: Any, beta: Any, temperature: Any, weight: Any, least: Any, top: Crests) -> tuple[Any, tuple]:
            filtered = density.filtered(latent)
            project = lambda eta: (
                smoothed_projection(filtered, density.step, beta, eta)
                if smooth
                else tanh_projection(filtered.value, beta, eta)
            )
            fields = [self.region.scattering(problem.permittivity(project(eta))) for eta in etas]
            losses = jnp.stack([loss(s, problem.windows, temperature, least) for s in fields])
            together = temperature * (jax.nn.logsumexp(losses / temperature) - jnp.log(len(fields)))
            solid, void = violation(filtered, project(0.5), top, density.radius)
            narrow = jnp.log(jnp.maximum(solid, 1.0)) + jnp.log(jnp.maximum(void, 1.0))
            worst = jnp.min(jnp.stack([score(s, problem.windows) for s in fields]))
            return together + weight * narrow, (worst, solid, void)

        return jax.jit(jax.value_and_grad(value, has_aux=True))

    def _tops(self, wider: Weights | None) -> Crests:
        rules, radius, nowhere = self.problem.spec.rules, self.density.radius, np.zeros(self.density.shape)
        more = wider or Weights(nowhere, nowhere)
        limit = lambda length: np.minimum(length, WIDEST * radius)
        return crests(
            limit(MARGIN * rules.width * (1 + more.solid)), limit(MARGIN * rules.space * (1 + more.void)), radius
        )

    def descend(
        self,
        stage: Stage,
        latent: np.ndarray,
        moments: tuple[np.ndarray, ...] = (),
        first: int = 0,
        wider: Weights | None = None,
    ) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...], Figures]]:
        """Iterations from number ``first`` on: the design after each, Adam's state, and figures of the one before.

        ``wider`` says by which part widths and spaces have to be larger, [nx, ny] each.
        """
        optimiser = optax.adam(optax.cosine_decay_schedule(stage.rate, stage.iterations, 0.1), b1=0.8, b2=0.95)
        state = optimiser.init(jnp.asarray(latent))
        if moments:
            state = jax.tree.unflatten(jax.tree.structure(state), [jnp.asarray(m) for m in moments])
        top = self._tops(wider)
        for i in range(first, stage.iterations):
            part = i / max(1, stage.iterations - 1)
            between = lambda ends, part=part: ends[0] if ends[0] == ends[1] else ends[0] * (ends[1] / ends[0]) ** part
            weight, least = (ends[0] + part * (ends[1] - ends[0]) for ends in (stage.narrow, stage.least))
            (value, figures), slope = self.gradient[stage.smooth](
                jnp.asarray(latent), between(stage.beta), between(stage.temperature), weight, least, top
            )
            change, state = optimiser.update(slope, state)
            latent = np.clip(latent + np.asarray(change), 0, 1)
            worst, solid, void = map(float, figures)
            leaves = tuple(np.asarray(leaf) for leaf in jax.tree.leaves(state))
            yield latent, leaves, Figures(worst, float(value), solid, void)


def explore(
    problem: Problem, stage: Stage, point: Point, tell: Callable[[int, np.ndarray, Figures], None]
) -> Iterator[Point]:
    """Descend the starts from number ``point.iteration`` on: the best so far after each, latent density of the stage's
    grid, by the score before its last step, which is in ``moments``.

    Every second one is descended with wide windows: it heeds a transmission as much as a crosstalk, and finds its way
    where the narrow windows of crosstalks lead to designs that scatter all light away.

    ``tell`` is called with the number of the start, its density and figures after every iteration.
    """
    grid = Grid(problem, stage.step)
    best = float(point.moments[0]) if point.moments else -np.inf
    for number in range(point.iteration, problem.spec.search.starts):
        latent, worth = start(grid.density, problem.spec.seed, number), -np.inf
        for step in grid.descend(replace(stage, least=(_WIDE, _WIDE)) if number % 2 else stage, latent):
            latent, worth = step[0], step[2].score
            tell(number, latent, step[2])
        best, latent = (worth, latent) if worth > best else (best, point.latent)
        point = Point(STARTS, number + 1, latent, (np.array(best),))
        yield point


def search(problem: Problem, plan: list[Stage], point: Point) -> Iterator[tuple[Point, Figures]]:
    """Descend stage by stage from ``point``; from where an earlier search stood with the same result.

    The density of a point before the first iteration of a stage may be of the grid before.
    """
    latent, first, moments = point.latent, point.iteration, point.moments
    grid = None
    for number, stage in enumerate(plan[point.stage :], start=point.stage):
        if grid is None or stage.step != grid.step:
            grid = Grid(problem, stage.step)
            if latent.shape != tuple(grid.density.shape):
                latent = np.array(refine(latent))
        for i, step in enumerate(grid.descend(stage, latent, moments, first), start=first + 1):
            latent, moments, figures = step
            yield Point(number, i, latent, moments), figures
        first, moments = 0, ()
