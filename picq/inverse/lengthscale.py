"""Lengths and levels of a filtered density: etching, and how narrow a bar may be.

A straight edge, filtered by the cone of radius R, is the curve ``half_plane``; a bar is the difference of two. So a
level of the filtered field means a place, and the crest of a bar its width. These are the exact relations in two
dimensions. Those in use (Qian and Sigmund, CMAME 253, 237 (2013)) are for the hat in one dimension, 1 - |x| / R, which
is also narrower: a bar as wide as R has a crest of 0.750 there and of 0.780 here.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from scipy.optimize import brentq

from picq.errors import SpecError
from picq.inverse.density import Filtered

_DECAY = 64.0
"""c / R^2, from Arrieta, Romano and Johnson, arXiv:2507.16108, sec. 4.1."""

_TOLERANCE = 1e-8
"""epsilon: mean violation that is none; from the same section."""

_SAME = 1e-9
"""Lengths that differ by rounding, um."""

_DIGITS = 4
"""To which lengths of maps are rounded, um: each has its crest solved for once."""

NARROWEST, WIDEST = 0.25, 1.5
"""Of the radius: lengths for which the constraints behave, from the same paper."""


class Violation(NamedTuple):
    """How far bars (solid) and gaps (void) are below the length: met up to 1."""

    solid: jax.Array
    void: jax.Array


class Crests(NamedTuple):
    """How high bars and gaps rise that are just wide enough; numbers, or one for each pixel [nx, ny]."""

    solid: ArrayLike
    void: ArrayLike


def half_plane(u: ArrayLike) -> jax.Array:
    """The filtered half plane at a depth of ``u`` radii within it, any shape, -1 <= u <= 1; 1/2 on its edge.

    Integral of the cone's integral along the edge, 3 / pi (sqrt(1 - u^2) - u^2 acosh(1 / u)):
    1/2 + (2 u sqrt(1 - u^2) + asin u - u^3 acosh(1 / u)) / pi.
    """
    u = jnp.asarray(u, float)
    size = jnp.where(jnp.abs(u) > 1e-9, jnp.abs(u), 0.5)  # u^3 log |u| vanishes at 0, in value and slope
    root = jnp.sqrt(1 - u**2)
    return 0.5 + (2 * u * root + jnp.arcsin(u) - u**3 * jnp.log((1 + root) / size)) / jnp.pi


def level(bias: ArrayLike, radius: float) -> jax.Array:
    """Level at which straight edges lie ``bias`` outside of where they are at 1/2.

    Etching as a change of the level alone: Wang, Lazarov and Sigmund, SMO 43, 767 (2011). Levels of 1/2 -+ 1/4, which
    are usual, are a bias of 0.283 radius. Exact where features and gaps are wider than radius + |bias|; on curved
    edges the bias is wrong by order (radius / radius of curvature).

    Args:
        bias: um, positive where features grow. May be traced: the derivative is that of the edges' places.
        radius: of the filter, um.

    Raises:
        SpecError: a bias that is not smaller than the radius.
    """
    if not isinstance(bias, Tracer) and not np.all(np.abs(bias) < radius):
        raise SpecError(
            "the etch bias is beyond the reach of the filter",
            got=f"{bias} um",
            allowed=f"below the radius of {radius} um",
            remedy="filter with a larger radius",
        )
    return half_plane(-jnp.asarray(bias) / radius)


def etched(bias: ArrayLike, radius: float) -> jax.Array:
    """Levels of a robust design's three fields, [3]: eroded, nominal, dilated, edges ``bias`` inwards, there, outwards.

    Wang, Lazarov and Sigmund, SMO 43, 767 (2011), where the levels are given instead of the bias. Both in um.

    Raises:
        SpecError: as for ``level``.
    """
    return level(jnp.array([-1.0, 0.0, 1.0]) * bias, radius)


@lru_cache
def crest(length: float, radius: float) -> float:
    """Largest value of a filtered bar that is ``length`` wide at the level 1/2; both in um.

    Of all latent densities a bar of ones rises highest for its width: a lower crest means a bar that is too narrow.
    """

    def bar(width: float, at: float) -> float:
        depths = np.minimum(1.0, (width / 2 + np.array([at, -at])) / radius)
        with jax.ensure_compile_time_eval():  # numbers, also while a caller is traced
            return float(jnp.sum(half_plane(depths))) - 1

    if length >= radius:
        return bar(length, 0.0)
    # Both edges act on each other: the bar of ones is wider than its image at 1/2.
    latent = brentq(lambda width: bar(width, length / 2) - 0.5, 0.0, 1.01 * radius)
    return bar(float(latent), 0.0)  # pyright: ignore[reportArgumentType]


def crests(width: ArrayLike, space: ArrayLike, radius: float) -> Crests:
    """Crests of bars of ``width`` and gaps of ``space``, um: numbers, or maps with one for each pixel.

    Raises:
        SpecError: a length outside 0.25 to 1.5 radii.
    """
    low, high = (factor * radius for factor in (NARROWEST, WIDEST))
    found = []
    for length in (np.asarray(width, float), np.asarray(space, float)):
        if not (length.min() >= low - _SAME and length.max() <= high + _SAME):
            raise SpecError(
                "the filter cannot tell bars of this width",
                got=f"{length.min():g} to {length.max():g} um",
                allowed=f"{low:g} to {high:g} um, 0.25 to 1.5 radii of the filter",
                remedy=f"change the length, or filter with a radius of {length.max()} um or somewhat more",
            )
        lengths, where = np.unique(np.round(length, _DIGITS), return_inverse=True)
        found.append(np.array([crest(each, radius) for each in lengths.tolist()])[where].reshape(length.shape))
    return Crests(*found)


def violation(filtered: Filtered, density: ArrayLike, top: Crests, radius: float) -> Violation:
    """Geometric constraints: how much of the design is in bars or gaps that do not rise to ``top``.

    Zhou, Lazarov, Wang and Sigmund, CMAME 293, 266 (2015): the mean over all pixels of
    density exp(-c |gradient|^2) min(0, value - eta_e)^2, which sees the crests of bars only, and of the same with solid
    and void exchanged. c = 64 R^2, and the result is divided by epsilon = 1e-8: Arrieta, Romano and Johnson,
    arXiv:2507.16108, eqs. 7 and 10; but eta_e is ``crest``, in place of their eqs. 9 and 12 of one dimension.
    What crosses 1 is a bar somewhat wider than the crest's: 1 to 3 % from 2/3 of the radius on, 13 % at 1/3. Dots and
    tips have lower crests than bars of their width, so they must be larger.

    Args:
        filtered: field and gradient, [nx, ny].
        density: its projection, [nx, ny].
        top: of ``crests``.
        radius: of the filter, um.

    Raises:
        SpecError: shapes that differ.
    """
    if np.shape(density) != np.shape(filtered.value):
        raise SpecError("density and filtered field differ", got=np.shape(density), allowed=np.shape(filtered.value))
    density = jnp.asarray(density)
    still = jnp.exp(-_DECAY * radius**2 * jnp.sum(filtered.gradient**2, axis=0)) / _TOLERANCE
    lack = lambda value, top: jnp.minimum(0.0, value - top) ** 2
    return Violation(
        jnp.mean(density * still * lack(filtered.value, top.solid)),
        jnp.mean((1 - density) * still * lack(1 - filtered.value, top.void)),
    )
