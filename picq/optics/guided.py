"""What devices know of a guide: effective index and coupling as baked tables, or as the solver itself.

Maxwell's equations have no length scale of their own, so tables run in width, thickness, slab and gap measured in
wavelengths, and the wavelength itself enters only through the materials: far fewer terms than in the lengths.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.optics import modes
from picq.optics.ranges import is_within
from picq.optics.stack import Stack
from picq.optics.table import Table, Variable, chebyshev

_NODES = 7  # wavelengths at which a table is evaluated before interpolation; see ``over_wavelengths``


class Point(NamedTuple):
    """Geometry and state of a guide or of two, as fabricated: lengths in um, None where there is no such thing."""

    width: Any
    thickness: Any
    slab: Any
    gap: Any
    temperature_k: Any


class Ranges(NamedTuple):
    """Where a table may be asked: closed intervals in um and K; None where there is no such variable."""

    width: tuple[float, float]
    thickness: tuple[float, float]
    slab: tuple[float, float] | None
    gap: tuple[float, float] | None
    wl: tuple[float, float]
    temperature_k: tuple[float, float]

    def check(self, what: str, wl: Any, point: Point) -> None:
        """Raise NumericsError when a concrete value lies outside."""
        for name, ends in self._asdict().items():
            value = wl if name == "wl" else getattr(point, name)
            if ends is not None:
                Variable(name, *ends).check(value, what)

    def contain(self, wl: Any, point: Point) -> jax.Array:
        """Whether values lie inside, element by element."""
        inside = jnp.asarray(True)
        for name, ends in self._asdict().items():
            if ends is not None:
                value = wl if name == "wl" else getattr(point, name)
                inside &= is_within(value, *ends)
        return inside

    def variables(self) -> tuple[Variable, ...]:
        """The scaled variables: wl/width, thickness/wl, slab/thickness, gap/wl, wl, temperature."""
        (w0, w1), (t0, t1), (l0, l1) = self.width, self.thickness, self.wl
        found = [
            Variable("wl/width", 0.0 if np.isinf(w1) else l0 / w1, l1 / w0),
            Variable("thickness/wl", t0 / l1, t1 / l0),
        ]
        if self.slab:
            found.append(Variable("slab/thickness", self.slab[0] / t1, self.slab[1] / t0))
        if self.gap:
            found.append(Variable("gap/wl", self.gap[0] / l1, self.gap[1] / l0))
        return (*found, Variable("wl", *self.wl), Variable("temperature_k", *self.temperature_k))


def scaled(wl: Any, point: Point) -> tuple[Any, ...]:
    """Arguments of a table in the order of ``Ranges.variables``."""
    values = [wl / jnp.asarray(point.width), point.thickness / wl]
    if point.slab is not None:
        values.append(point.slab / point.thickness)
    if point.gap is not None:
        values.append(point.gap / wl)
    return (*values, wl, point.temperature_k)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Baked:
    """A quantity of a guide (or pair) from a table.

    Attributes:
        table: in scaled variables.
        ranges: static.
        errors: largest errors on points that were not fitted, by quantity, static.
    """

    table: Table
    ranges: Ranges = field(metadata={"static": True})
    errors: tuple[tuple[str, float], ...] = field(default=(), metadata={"static": True})

    @jax.jit
    def __call__(self, wl: Any, point: Point) -> jax.Array:
        """The quantity at wavelengths ``wl`` (um), which broadcast with the point's leaves."""
        wl = jnp.asarray(wl, float)
        evaluate = lambda at: self.table(*scaled(at, point))
        if any(jnp.ndim(v) for v in point if v is not None):
            value = evaluate(wl)
        else:
            value = over_wavelengths(evaluate, wl, self.ranges.wl)
        return jnp.where(self.ranges.contain(wl, point), value, jnp.nan)  # traced values are not extrapolated either


def over_wavelengths(evaluate: Callable[[jax.Array], Any], wl: Any, ends: tuple[float, float]) -> Any:
    """Smooth functions of wavelength at many of them, from their values at a few Chebyshev nodes of ``ends``.

    An index or a coupling at fixed geometry is analytic in wl over a range of a few per cent of it: with seven nodes
    the interpolation error is below 1e-9 (tests/test_bake.py), and a wavelength costs no more than a short series.

    Args:
        evaluate: from wavelengths of shape [n] to an array of shape [n, …], or a tree of such.
        wl: wavelengths, um; up to seven, or a scalar, go to ``evaluate`` as they are.
        ends: of the interval in which the functions are smooth, um; NaN outside.
    """
    wl = jnp.asarray(wl, float)
    if wl.ndim != 1 or wl.size <= _NODES:
        return evaluate(wl)
    at, weights = interpolation(wl, ends, _NODES)
    return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), evaluate(at))


def interpolation(wl: jax.Array, ends: tuple[float, float], nodes: int) -> tuple[jax.Array, jax.Array]:
    """(Chebyshev nodes [n] of ``ends``, weights [wl, n] of values there), both in um; NaN outside. Functions that turn
    want more nodes."""
    k = np.arange(nodes)
    angles = np.pi * (k + 0.5) / nodes
    a, b = ends
    transform = np.cos(np.outer(k, angles)) * 2 / nodes  # values at the nodes to coefficients
    transform[0] /= 2
    series = chebyshev((2 * wl - (a + b)) / (b - a), nodes) @ transform
    weights = jnp.where(is_within(wl, a, b)[:, None], series, jnp.nan)
    return jnp.asarray((a + b) / 2 + (b - a) / 2 * np.cos(angles)), jnp.asarray(weights)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Solved:
    """The same quantity from the mode solver, for comparison: slow, and as exact as its mesh.

    Attributes:
        stack, mode, margin, levels: static; what to solve. ``mode`` is a single guide's, e.g. ``te0``.
        quantity: ``index``, or of a pair ``splitting`` (its logarithm) or ``shift``.
    """

    ranges: Ranges = field(metadata={"static": True})
    stack: Stack = field(metadata={"static": True})
    mode: str = field(metadata={"static": True})
    quantity: str = field(metadata={"static": True})
    margin: float = field(metadata={"static": True})
    levels: tuple[int, ...] = field(default=modes.LEVELS, metadata={"static": True})

    def __call__(self, wl: Any, point: Point) -> jax.Array:
        """The quantity at wavelengths ``wl`` (um), which broadcast with the point's leaves."""
        wl = jnp.asarray(wl, float)
        if wl.ndim == 1 and wl.size > _NODES and not any(jnp.ndim(v) for v in point if v is not None):
            return over_wavelengths(lambda at: self(at, point), wl, self.ranges.wl)
        leaves = jnp.broadcast_arrays(jnp.asarray(wl, float), *(jnp.asarray(v, float) for v in point if v is not None))
        shape, flat = leaves[0].shape, [leaf.reshape(-1) for leaf in leaves]

        def one(values: list[jax.Array]) -> jax.Array:
            wl, *rest = values
            given = iter(rest)
            return self.at(wl, Point(*(None if v is None else next(given) for v in point)))

        return jax.lax.map(one, flat).reshape(shape)

    def at(self, wl: Any, point: Point) -> jax.Array:
        """The quantity at one wavelength and one point."""
        solve = lambda profile, name: modes.n_eff(
            profile, wl, name, temperature_k=point.temperature_k, levels=self.levels
        )
        profile = lambda gap: self.stack.profile(point.width, point.thickness, point.slab, gap=gap, margin=self.margin)
        if self.quantity == "index":
            return solve(profile(None), self.mode)
        even, odd = solve(profile(point.gap), self.mode + "even"), solve(profile(point.gap), self.mode + "odd")
        if self.quantity == "splitting":
            return jnp.log(even - odd)
        return (even + odd) / 2 - solve(profile(None), self.mode)
