"""A circuit's figures beside its targets: a design that a search found, that the layout holds, or that was routed."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from picq.circuit import Circuit
from picq.design.problem import Problem
from picq.design.result import Design, versions


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
