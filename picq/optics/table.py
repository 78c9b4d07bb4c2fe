"""Chebyshev tables: smooth functions of a few variables, fitted to values and gradients, never extrapolated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import qmc

from picq.optics.ranges import check_within, is_within


class Variable(NamedTuple):
    """One argument of a table and where it may lie; ``reciprocal`` when the series runs in its inverse."""

    name: str
    lower: float
    upper: float
    reciprocal: bool = False

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of what the series runs in."""
        return (1 / self.upper, 1 / self.lower) if self.reciprocal else (self.lower, self.upper)

    def scaled(self, value: Any) -> jax.Array:
        """The argument mapped onto [-1, 1]."""
        a, b = self.interval
        u = 1 / jnp.asarray(value) if self.reciprocal else jnp.asarray(value)
        return (2 * u - (a + b)) / (b - a)

    def check(self, value: Any, what: str) -> None:
        """Raise NumericsError when a concrete value lies outside; traced ones pass."""
        remedy = "widen the range in cross_sections.yaml and run `picq bake`: tables are not extrapolated"
        check_within(value, self.lower, self.upper, f"{self.name} of {what}", "", f"stay inside the range, or {remedy}")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Table:
    """A tensor of Chebyshev coefficients, one axis per variable.

    Attributes:
        coefficients: shape [degree + 1 of each variable].
        variables: static, in the order of the arguments.
    """

    coefficients: jax.Array
    variables: tuple[Variable, ...] = field(metadata={"static": True})

    def __call__(self, *values: Any) -> jax.Array:
        """The series at the values, which broadcast; scalars are summed first, so that arrays cost least."""
        values = tuple(jnp.asarray(v) for v in values)
        dim = max(v.ndim for v in values)
        order = sorted(range(len(values)), key=lambda i: values[i].ndim)
        c = jnp.transpose(jnp.asarray(self.coefficients), order)
        leading = 0  # axes of c that belong to the values' common shape
        for i in order:
            basis = chebyshev(self.variables[i].scaled(values[i]), self.coefficients.shape[i])
            if values[i].ndim == 0:
                c = jnp.tensordot(basis, c, 1)
                continue
            basis = basis.reshape((1,) * (dim - values[i].ndim) + basis.shape)
            if not leading:
                c, leading = jnp.tensordot(basis, c, 1), dim
            else:
                c = jnp.einsum("...k,...kr->...r", basis, c.reshape(*c.shape[: dim + 1], -1)).reshape(
                    jnp.broadcast_shapes(basis.shape[:-1], c.shape[:dim]) + c.shape[dim + 1 :]
                )
        return c

    def inside(self, *values: Any) -> jax.Array:
        """Where the values lie in their variables' ranges."""
        found = jnp.asarray(True)
        for variable, value in zip(self.variables, values, strict=True):
            found &= is_within(value, variable.lower, variable.upper)
        return found

    def check(self, what: str, *values: Any) -> None:
        """Raise NumericsError when a concrete value lies outside its variable's range."""
        for variable, value in zip(self.variables, values, strict=True):
            variable.check(value, what)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def chebyshev(x: jax.Array, count: int) -> jax.Array:
    """T_0 … T_{count - 1} of x in [-1, 1] along a new last axis, as cos(k arccos x): few operations to compile.

    The derivative is the series of T_k' in the same polynomials, which holds at the ends too, where that formula fails.
    """
    return jnp.cos(jnp.arange(count) * jnp.arccos(jnp.clip(x, -1.0, 1.0))[..., None])


@chebyshev.defjvp
def _chebyshev_jvp(count: int, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    values = chebyshev(x, count)
    slopes = np.zeros((count, count))  # T_k' = 2 k (T_{k-1} + T_{k-3} + …), of T_0 half
    for k in range(1, count):
        slopes[k - 1 :: -2, k] = 2 * k
    slopes[0] /= 2
    return values, values @ slopes * dx[..., None]


def sample_points(variables: Sequence[Variable], count: int, seed: int, *, inside: bool = False) -> np.ndarray:
    """Quasi-random points, shape [count, variables]: dense towards the ends for fitting, uniform ``inside`` for checks.

    Scrambled Sobol points; those for fitting are mapped by (1 - cos(pi s))/2, the density of Chebyshev nodes, for which
    least squares is stable.
    """
    sequence = qmc.Sobol(len(variables), seed=seed)  # pyright: ignore[reportCallIssue]  older SciPys know no `rng`
    s = sequence.random_base2(int(np.ceil(np.log2(count))))[:count]
    s = s if inside else (1 - np.cos(np.pi * s)) / 2
    columns = []
    for variable, unit in zip(variables, s.T, strict=True):
        a, b = variable.interval
        u = a + (b - a) * unit
        columns.append(1 / u if variable.reciprocal else u)
    return np.stack(columns, axis=1)


def terms(reach: Sequence[float]) -> list[tuple[int, ...]]:
    """Orders of the terms of a series: sum(order/reach) <= 1. Of products of high orders a smooth function has little.

    Args:
        reach: largest order of each variable alone; need not be whole.
    """
    every = product(*(range(int(r) + 1) for r in reach))
    return [k for k in every if sum(i / r for i, r in zip(k, reach, strict=True)) <= 1]


def fit(
    variables: Sequence[Variable], reach: Sequence[float], points: np.ndarray, values: np.ndarray, slopes: np.ndarray
) -> Table:
    """The table that fits values and slopes best.

    Each point gives 1 + len(variables) equations; a slope counts in units of its variable's half range.

    Args:
        variables: of the table.
        reach: see ``terms``, which are fitted.
        points: shape [points, variables].
        values: shape [points].
        slopes: derivatives with respect to the variables, shape [points, variables].
    """
    degrees = [int(r) for r in reach]
    powers = terms(reach)
    scaled = np.stack([np.asarray(v.scaled(x)) for v, x in zip(variables, points.T, strict=True)], axis=1)
    basis, derivative = zip(*(_numpy_chebyshev(scaled[:, i], d) for i, d in enumerate(degrees)), strict=True)
    column = lambda k, moved: np.prod([(derivative if i == moved else basis)[i][:, n] for i, n in enumerate(k)], axis=0)
    rows = [np.stack([column(k, None) for k in powers], axis=1)]
    targets = [values]
    for i, variable in enumerate(variables):
        a, b = variable.interval
        unit = (b - a) / 2 * (-(points[:, i] ** 2) if variable.reciprocal else 1.0)  # d value / d scaled
        rows.append(np.stack([column(k, i) for k in powers], axis=1))
        targets.append(slopes[:, i] * unit)
    solution, *_ = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)
    tensor = np.zeros([d + 1 for d in degrees])
    for k, value in zip(powers, solution, strict=True):
        tensor[k] = value
    return Table(jnp.asarray(tensor), tuple(variables))


def _numpy_chebyshev(x: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.polynomial.chebyshev.chebvander(x, degree)
    slopes = np.stack(
        [
            np.polynomial.chebyshev.chebval(x, np.polynomial.chebyshev.chebder(np.eye(degree + 1)[k]))
            for k in range(degree + 1)
        ],
        axis=1,
    )
    return values, slopes


def as_dict(table: Table) -> dict[str, Any]:
    """Plain data for a file: of the coefficients those that are not zero, by their orders."""
    found = np.asarray(table.coefficients)
    orders = np.argwhere(found)
    return {
        "variables": [v._asdict() for v in table.variables],
        "shape": list(found.shape),
        "terms": {" ".join(map(str, k)): float(f"{found[tuple(k)]:.10g}") for k in orders},
    }


def from_dict(d: Mapping[str, Any]) -> Table:
    """The table of ``as_dict``."""
    coefficients = np.zeros(d["shape"])
    for orders, value in d["terms"].items():
        coefficients[tuple(map(int, orders.split()))] = value
    return Table(jnp.asarray(coefficients), tuple(Variable(**v) for v in d["variables"]))
