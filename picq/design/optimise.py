"""Bounded multi-start optimisation on optax: random starts, descent, recombination, choice by risk.

A search has rounds. Round 0 descends from uniformly random points; no start value of the circuit is ever used. Before
each further round the elite adopts, instance by instance, the best values that any start has found (a greedy search
over blocks), because a design of several instances is good only if all of them are, and the chance that one start gets
all right falls with their number. The next population is the elite and copies of it with one random instance redrawn.

Starts that meet every target on the nominal technology differ widely on real chips: couplers that are several beats
long do the same and drift several times as much (measured, before the temperature drifts: trimmed yields from 28 % to
93 % among 23 such starts). So recombination and the final choice look at the mean risk on sampled, trimmed chips whose
temperature has drifted. Everything follows from one seed.
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
from picq.design.problem import Problem
from picq.design.progress import Progress, Report, silent
from picq.design.result import Checkpoint, Design, changed, fingerprint, versions
from picq.design.variation import Chips
from picq.errors import NumericsError

_FINAL_RATE = 0.05
"""Adam's learning rate falls to this fraction along half a cosine."""


_ELITE = 8
"""How many of the best starts are recombined."""

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
        self.key = jax.random.key(problem.spec.seed)

    def bounded(self, u: jax.Array) -> jax.Array:
        """Variables within their bounds: x = lower + (upper - lower) (1 - cos pi u)/2.

        Smooth and periodic, so a start that runs past a bound is reflected instead of stuck on a plateau.
        """
        lower, upper = jnp.asarray(self.problem.lower), jnp.asarray(self.problem.upper)
        return lower + (upper - lower) * (1 - jnp.cos(jnp.pi * u)) / 2

    def loss(self, u: jax.Array) -> jax.Array:
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
        problem, count = self.problem, self.options.chips
        if not problem.trims or not count:
            return self.loss(u)
        circuit = problem.device(self.bounded(u))

        def risk(index: jax.Array) -> jax.Array:
            tech = self.chips.technology(index)
            return problem.risk_of(problem.trimmed(self.chips.made(circuit, index), tech)[0], tech, circuit)

        return jnp.mean(jax.vmap(risk)(jnp.arange(count)))

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
    return _design(search, population, history)


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


def _design(search: Search, population: Population, history: list[float]) -> Design:
    """Rank the starts, as the mask holds them, by the number of missed targets, then by merit."""
    problem = search.problem
    spec = problem.spec
    ranked = []
    merits, losses = (np.asarray(v) for v in (search.merits(population.best_u), population.best_loss))
    for x, merit in zip(np.asarray(search.bounded(population.best_u)), merits, strict=True):
        free = problem.device([float(v) for v in x])
        # only instances with variables move: the others are drawn as the layout made them
        moved = {slot.instance: free.instances[slot.instance].snapped() for slot in problem.slots}
        snapped = free.replace(instances={**free.instances, **moved})
        figures = problem.figures_array(problem.vector(snapped))
        missed = int((~problem.met(problem.worst(figures))).sum())
        ranked.append((missed, float(merit), len(ranked), free, snapped))
    _, merit, chosen, free, snapped = min(ranked, key=lambda entry: entry[:3])
    before = problem.worst(problem.figures_array(problem.vector(free)))
    return replace(
        as_drawn(problem, snapped),
        unsnapped=dict(zip(spec.labels, map(float, before), strict=True)),
        loss=float(losses[chosen]),
        risk=merit if problem.trims and spec.optimise.chips else None,
        starts=spec.optimise.starts,
        landed=sum(entry[0] == 0 for entry in ranked),
        history=tuple(history),
    )


def as_drawn(problem: Problem, circuit: Circuit | None = None) -> Design:
    """A circuit, by default the layout's own values, as a design that no search has found."""
    spec = problem.spec
    circuit = problem.measured if circuit is None else circuit
    table, unmet = _appraisal(problem, problem.vector(circuit))
    parameters: dict[str, dict[str, Any]] = {}
    for slot in problem.slots:
        value = getattr(circuit.instances[slot.instance], slot.parameter)
        parameters.setdefault(slot.instance, {})[slot.parameter] = list(value) if isinstance(value, tuple) else value
    for name, one in circuit.instances.items():  # a free-form device's file is part of the design
        if digest := getattr(one, "sha256", ""):
            parameters.setdefault(name, {})["sha256"] = digest
    return Design(
        name=spec.name,
        technology=problem.tech.name,
        seed=spec.seed,
        digest=spec.digest("design"),
        status="not met" if unmet else "met",
        unmet=unmet,
        parameters=parameters,
        figures=table,
        unsnapped={label: row["worst"] for label, row in table.items()},
        loss=float(jax.jit(problem.loss)(problem.vector(circuit))),
        risk=None,
        starts=0,
        landed=0,
        history=(),
        versions=versions(),
        spec=spec.canonical("design"),
    )


def appraise(problem: Problem, design: Design) -> Design:
    """The design with the figures that it has in the circuit of ``problem`` (routed otherwise, say).

    Raises:
        SpecError: the design belongs to another specification, or its joint spectrum does not lie on the grid.
    """
    table, unmet = _appraisal(problem, problem.vector(design.circuit(problem, whole=False)))
    return replace(design, figures=table, unmet=unmet, status="not met" if unmet else "met")


def _appraisal(problem: Problem, x: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The table of a design's figures, and a sentence for each target that is missed."""
    spec = problem.spec
    problem.check_figures(x)
    figures = np.asarray(problem.figures_array(x))
    worst = problem.worst(figures)
    met = problem.met(worst)
    table, unmet = {}, []
    for i, (label, target) in enumerate(zip(spec.labels, spec.targets, strict=True)):
        figure = target.measure
        values = dict(zip(spec.channels.outputs, map(float, figures[i]), strict=True))
        table[label] = {"unit": figure.unit, "sense": figure.sense, "asked": target.bound, "wanted": target.wanted,
                        "met": bool(met[i]),
                        "worst": float(worst[i]), "channels": values}  # fmt: skip
        if not met[i]:
            unmet.append(f"{label}: {worst[i]:.3g} {figure.unit}, asked {figure.sense} {target.bound:g} {figure.unit}")
    return table, tuple(unmet)
