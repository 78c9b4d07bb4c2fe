"""Bounded multi-start optimisation on optax: random starts, descent, recombination, choice by risk.

A search has rounds. Round 0 descends from uniformly random points; no start value of the circuit is ever used. Before
each further round the elite adopts, instance by instance, the best values that any start has found (a greedy search
over blocks), because a design of several instances is good only if all of them are, and the chance that one start gets
all right falls with their number. The next population is the elite and copies of it with one random instance redrawn.

Starts that meet every target on the nominal technology differ widely on real chips: couplers that are several beats
long do the same and drift several times as much (measured, before the temperature drifts: trimmed yields from 28 % to
93 % among 23 such starts). So recombination and the final choice look at the mean risk on sampled, trimmed chips whose
temperature has drifted, and the chosen design may descend on such chips once more (``picq.design.centring``).
Everything follows from one seed.
"""

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from picq.circuit import Circuit
from picq.design.appraisal import as_drawn
from picq.design.centring import Centred, centred
from picq.design.problem import Problem
from picq.design.progress import Progress, Report, silent
from picq.design.result import Checkpoint, Design, changed, fingerprint
from picq.design.variation import Chips
from picq.errors import NumericsError

_FINAL_RATE = 0.05
"""Adam's learning rate falls to this fraction along half a cosine."""


_ELITE = 8
"""How many of the best starts are recombined."""

_LOST = 20.0
"""Risk of a chip without figures (no resonances that one could name): as if it missed a bound by ten scales."""

_OF_A_SOURCE = 4
"""Chips of a pair source that are computed at once: their joint spectra and the gradients of these are large."""

_STREAM = 0x6F7074  # keeps the chips apart from those of the tolerance analysis of the same seed


class Population(NamedTuple):
    """State of a search; arrays over starts.

    Attributes:
        u: unbounded coordinates, [start, variable].
        optimiser: optax's state of each start.
        best_u, best_loss: the best point that each start has seen in this round.
        broken: whether loss or gradient at ``u`` is not finite; such a start stays where it is.
    """

    u: jax.Array
    optimiser: Any
    best_u: jax.Array
    best_loss: jax.Array
    broken: jax.Array


class Search:
    """The compiled parts of an optimisation of one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        options = problem.spec.optimise
        self.options = options
        if options.method == "adam":
            schedule = optax.cosine_decay_schedule(options.learning_rate, options.steps, _FINAL_RATE)
            self.optimiser: Any = optax.adam(schedule)
        else:
            self.optimiser = optax.lbfgs()
        self.merits = jax.jit(jax.vmap(self.merit))
        self.chips = Chips(problem.tech, len(problem.measured.sites), problem.spec.seed, _STREAM, problem.places)
        self.together = _OF_A_SOURCE if problem.source else options.chips
        self.key = jax.random.key(problem.spec.seed)

    def bounded(self, u: Any) -> jax.Array:
        """Variables within their bounds: x = lower + (upper - lower) (1 - cos pi u)/2.

        Smooth and periodic, so a start that runs past a bound is reflected instead of stuck on a plateau.
        """
        lower, upper = jnp.asarray(self.problem.lower), jnp.asarray(self.problem.upper)
        return lower + (upper - lower) * (1 - jnp.cos(jnp.pi * u)) / 2

    def unbounded(self, x: np.ndarray) -> np.ndarray:
        """Coordinates of variables; those beyond a bound are put on it."""
        lower, upper = self.problem.lower, self.problem.upper
        return np.arccos(1 - 2 * (np.clip(x, lower, upper) - lower) / (upper - lower)) / np.pi

    def loss(self, u: Any) -> jax.Array:
        """The problem's loss at unbounded coordinates."""
        return self.problem.loss(self.bounded(u))

    def random(self, key: jax.Array, count: int) -> jax.Array:
        """Coordinates of points that are uniform within the bounds, [count, variable]."""
        y = jax.random.uniform(key, (count, len(self.problem.slots)))
        return jnp.arccos(1 - 2 * y) / jnp.pi

    def fresh(self, start: Any) -> Population:
        """A population at the start of a round."""
        u = jnp.asarray(start)
        count = u.shape[0]
        none = jnp.full(count, jnp.inf, float)  # a weak type would have `descend` compiled twice
        return Population(u, jax.vmap(self.optimiser.init)(u), u, none, jnp.zeros(count, bool))

    @partial(jax.jit, static_argnums=0)
    def descend(self, population: Population, steps: int) -> Population:
        """``steps`` steps of every start."""
        adam = self.options.method == "adam"
        value_and_grad: Any = jax.value_and_grad(self.loss) if adam else optax.value_and_grad_from_state(self.loss)

        def one(u: jax.Array, state: Any, best_u: jax.Array, best: jax.Array, broken: jax.Array) -> Population:
            extra = {} if adam else {"state": state}
            value, grad = value_and_grad(u, **extra)
            broken = broken | ~(jnp.isfinite(value) & jnp.isfinite(grad).all())
            better = value < best
            best_u, best = jnp.asarray(jnp.where(better, u, best_u)), jnp.asarray(jnp.where(better, value, best))
            more = {} if adam else {"value": value, "grad": grad, "value_fn": self.loss}
            change, state = self.optimiser.update(grad, state, u, **more)
            return Population(jnp.asarray(jnp.where(broken, u, u + change)), state, best_u, best, broken)

        return jax.lax.fori_loop(0, steps, lambda _, p: jax.vmap(one)(*p), population)

    def merit(self, u: jax.Array) -> jax.Array:
        """What designs are compared by: mean risk on sampled, trimmed chips; the loss where nothing is trimmed."""
        if not self.problem.trims or not self.options.chips:
            return self.loss(u)
        chips = jnp.arange(self.options.chips)
        circuit = self.problem.device(self.bounded(u))
        one = lambda chip: self.on_chip(self.problem.risk_of, circuit, self.chips, chip)
        risks = jax.lax.map(one, chips, batch_size=self.together) if self.problem.source else jax.vmap(one)(chips)
        return jnp.mean(jnp.asarray(jnp.where(jnp.isfinite(risks), risks, _LOST)))

    def on_chip(self, measure: Any, circuit: Circuit, chips: Chips, index: jax.Array) -> jax.Array:
        """``measure`` (``Problem.risk_of``, say) of one of the fabricated chips after trimming; traceable."""
        tech = chips.technology(index)
        return measure(self.problem.trimmed(chips.made(circuit, index), tech)[0], tech, circuit)

    def recombine(self, population: Population, key: jax.Array) -> np.ndarray:
        """Start points of the next round, [start, variable]; see the module's docstring."""
        found = np.asarray(population.best_u)
        merits = np.asarray(self.merits(found))
        elite = []
        for first in np.argsort(merits, kind="stable")[:_ELITE]:
            u, merit = found[first], merits[first]
            for block in self.problem.blocks:
                trials = np.tile(u, (len(found), 1))
                trials[:, block] = found[:, block]
                tried = np.asarray(self.merits(trials))
                best = int(tried.argmin())
                if tried[best] < merit:
                    u, merit = trials[best], tried[best]
            elite.append((float(merit), len(elite), u))
        u = np.stack([entry[-1] for entry in sorted(elite, key=lambda entry: entry[:2])])
        u = u[np.arange(len(found)) % len(elite)]
        which, what = jax.random.split(key)
        redrawn = np.asarray(self.random(what, len(found)))
        blocks = np.asarray(jax.random.randint(which, (len(found),), 0, len(self.problem.blocks)))
        for i in range(len(elite), len(found)):
            block = self.problem.blocks[blocks[i]]
            u[i, block] = redrawn[i, block]
        return u


@lru_cache(maxsize=8)
def _search(problem: Problem) -> Search:
    """Compiled once for each problem."""
    return Search(problem)


def optimise(
    problem: Problem,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    every: int = 50,
    report: Report = silent,
) -> Design:
    """Search for a device that meets the targets. The same problem gives the same bits, resumed or not.

    Args:
        problem: what to solve; ``problem.spec.optimise`` says how.
        checkpoint: file that holds the state after every stretch of steps; interrupt at any time.
        resume: go on from ``checkpoint``.
        every: steps between checkpoints and reports.
        report: called after every stretch.

    Raises:
        SpecError: nothing to resume from, or it belongs to another specification, technology or circuit.
        NumericsError: loss or gradient is not finite somewhere; names the parameters.
    """
    search, options = _search(problem), problem.spec.optimise
    mark = fingerprint((problem.measured, problem.tech))
    population = search.fresh(search.random(jax.random.fold_in(search.key, 0), options.starts))
    first, step, history = 0, 0, []
    if resume:
        if checkpoint is None:
            raise TypeError("resume needs a checkpoint")
        saved = Checkpoint.load(checkpoint)
        if saved.spec != problem.spec.canonical("design") or saved.fingerprint != mark:
            raise changed("checkpoint", saved.spec, problem.spec.canonical("design"))
        leaves = [jnp.asarray(leaf) for leaf in saved.leaves]
        population = jax.tree.unflatten(jax.tree.structure(population), leaves)
        first, step, history = saved.round, saved.step, list(saved.history)
    for turn in range(first, options.rounds + 1):
        if turn > first:
            population = search.fresh(search.recombine(population, jax.random.fold_in(search.key, turn)))
            step = 0
        while step < options.steps:
            stretch = min(every, options.steps - step)
            population = search.descend(population, stretch)
            _check_finite(search, population)
            step += stretch
            history.append(float(np.min(population.best_loss)))
            if checkpoint is not None:
                leaves = tuple(np.asarray(leaf) for leaf in jax.tree.leaves(population))
                plain = problem.spec.canonical("design")
                Checkpoint(plain, mark, turn, step, tuple(history), leaves).save(checkpoint)
            best = int(np.argmin(population.best_loss))
            x = np.asarray(search.bounded(population.best_u))[best]
            worst = problem.worst(problem.figures_array(x))
            figures = dict(zip(problem.spec.labels, map(float, worst), strict=True))
            done = turn * options.steps + step
            report(Progress("optimise", done, (options.rounds + 1) * options.steps, {"loss": history[-1], **figures}))
    points = np.asarray(population.best_u)
    candidates, climb = Candidate.ranked(search, points, np.asarray(population.best_loss)), None
    if options.centring:
        climb = centred(search, points[candidates[0].number], report)
        rows = np.tile(search.unbounded(climb.x), (len(points), 1))  # as many as were compiled for
        more = Candidate.ranked(search, rows, np.full(len(points), search.loss(rows[0])), first=len(points))[:1]
        # of yields, not of merits: the worst bound of most chips may be one that no geometry moves
        candidates = more + candidates if more[0].missed <= candidates[0].missed else candidates
    return _design(search, candidates, history, climb)


def _check_finite(search: Search, population: Population) -> None:
    broken = np.flatnonzero(np.asarray(population.broken))
    if broken.size:
        x = np.asarray(search.bounded(population.u))[broken[0]]
        names = [slot.name for slot in search.problem.slots]
        raise NumericsError(
            "the loss or its gradient is not finite",
            got=", ".join(f"{n} = {float(v):.6g}" for n, v in zip(names, x, strict=True)),
            remedy="narrow the bounds of `variables` around where the models hold",
        )


class Candidate(NamedTuple):
    """A point of the search as the mask holds it; the best comes first.

    Attributes:
        missed: number of missed targets.
        merit: ``Search.merit``.
        number: of the point.
        loss: of the nominal design, before snapping.
        free, snapped: the circuit before and after snapping.
    """

    missed: int
    merit: float
    number: int
    loss: float
    free: Circuit
    snapped: Circuit

    @classmethod
    def ranked(cls, search: Search, points: np.ndarray, losses: np.ndarray, first: int = 0) -> "list[Candidate]":
        """Of points in unbounded coordinates, [point, variable], numbered from ``first``."""
        problem = search.problem
        found = []
        inside = np.asarray(search.bounded(jnp.asarray(points)))
        for x, merit, loss in zip(inside, search.merits(points), losses, strict=True):
            free = problem.device([float(v) for v in x])
            # only instances with variables move: the others are drawn as the layout made them
            moved = {slot.instance: free.instances[slot.instance].snapped() for slot in problem.slots}
            snapped = free.replace(instances={**free.instances, **moved})
            figures = problem.figures_array(problem.vector(snapped))
            missed = int((~problem.met(problem.worst(figures))).sum())
            found.append(cls(missed, float(merit), first + len(found), float(loss), free, snapped))
        return sorted(found, key=lambda candidate: candidate[:3])


def _design(search: Search, candidates: list[Candidate], history: list[float], climb: Centred | None) -> Design:
    """The first of the candidates."""
    problem, chosen = search.problem, candidates[0]
    percent = lambda share: round(100 * share, 2)
    spec = problem.spec
    before = problem.worst(problem.figures_array(problem.vector(chosen.free)))
    return replace(
        as_drawn(problem, chosen.snapped),
        unsnapped=dict(zip(spec.labels, map(float, before), strict=True)),
        loss=chosen.loss,
        risk=chosen.merit if problem.trims and spec.optimise.chips else None,
        starts=spec.optimise.starts,
        landed=sum(c.missed == 0 for c in candidates if c.number < spec.optimise.starts),
        history=tuple(history),
        centring=climb
        and {
            "before_percent": percent(climb.before),
            "after_percent": percent(climb.after),
            "taken": chosen.number >= spec.optimise.starts,
        },
    )
