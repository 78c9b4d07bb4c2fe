"""How fast each figure changes with each process quantity and each design variable, by exact derivatives."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from picq.circuit import Circuit
from picq.design.problem import Problem
from picq.design.variation import QUANTITIES, Variation
from picq.technology import Process

_STEP = 1e-4
"""Step of the check by central differences, in units of each parameter's scale."""


@dataclass(frozen=True)
class Sensitivity:
    """Derivative of a figure's worst channel.

    Attributes:
        figure: label of the figure.
        channel: the channel that is worst at the nominal design.
        parameter: process quantity or design variable.
        per_unit: derivative in the figure's unit per ``unit`` of the parameter.
        unit: nm, K, um …
        by_difference: the same by central differences.
        agrees: whether both are equal within 1e-4 of the figure's largest derivative per scale; they may not be where
            a maximum over a band sits in a corner.
        per_sigma: derivative times the parameter's global standard deviation; None for design variables.
    """

    figure: str
    channel: str
    parameter: str
    per_unit: float
    unit: str
    by_difference: float
    agrees: bool
    per_sigma: float | None


def sensitivities(problem: Problem, circuit: Circuit, variation: Variation) -> tuple[Sensitivity, ...]:
    """Derivatives of every figure at ``circuit`` on the nominal technology.

    Forward-mode differentiation through interpolation and maxima; a maximum over a band moves with its largest sample.
    Every derivative is compared with a central difference.
    """
    quantities = len(QUANTITIES)
    nominal = np.concatenate([np.zeros(quantities), np.asarray(problem.vector(circuit))])
    sigma = np.array([float(getattr(variation.chip, name)) for name in QUANTITIES])
    scale = np.concatenate([np.where(sigma > 0, sigma, 1.0), 1e-2 * (problem.upper - problem.lower)])
    value, exact = (np.asarray(array) for array in _with_derivatives(problem, circuit, nominal))
    steps = np.diag(_STEP * scale)
    either = [np.asarray(_figures_at(problem, circuit, nominal + side * steps)) for side in (1, -1)]
    difference = np.moveaxis(either[0] - either[1], 0, -1) / (2 * _STEP * scale)
    names = [*QUANTITIES, *(slot.name for slot in problem.slots)]
    units = [*QUANTITIES.values(), *(slot.unit for slot in problem.slots)]
    found = []
    for i, (label, figure) in enumerate(zip(problem.spec.labels, problem.figures_asked, strict=True)):
        k = int(value[i].argmax() if figure.sense == "max" else value[i].argmin())
        allowed = 1e-4 * np.abs(exact[i, k] * scale).max() + 1e-9
        for p, name in enumerate(names):
            found.append(
                Sensitivity(
                    figure=label,
                    channel=problem.spec.channels.outputs[k],
                    parameter=name,
                    per_unit=float(exact[i, k, p]),
                    unit=units[p],
                    by_difference=float(difference[i, k, p]),
                    agrees=bool(abs(exact[i, k, p] - difference[i, k, p]) * scale[p] <= allowed),
                    per_sigma=float(exact[i, k, p] * sigma[p]) if p < quantities else None,
                )
            )
    return tuple(found)


def _figures(problem: Problem, circuit: Circuit, theta: Any) -> jax.Array:
    quantities = len(QUANTITIES)
    tech = problem.tech.at(Process(*(theta[i] for i in range(quantities))))
    moved = problem.device(theta[quantities:], circuit)
    return problem.measure(problem.spectra(moved, tech), moved, tech)


@partial(jax.jit, static_argnums=0)
def _with_derivatives(problem: Problem, circuit: Circuit, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Figures [figure, channel] and their derivatives [figure, channel, parameter]."""
    figures = lambda t: (_figures(problem, circuit, t),) * 2
    exact, value = jax.jacfwd(figures, has_aux=True)(theta)
    return value, exact


@partial(jax.jit, static_argnums=0)
def _figures_at(problem: Problem, circuit: Circuit, thetas: jax.Array) -> jax.Array:
    """Figures [theta, figure, channel]."""
    return jax.lax.map(lambda theta: _figures(problem, circuit, theta), thetas)
