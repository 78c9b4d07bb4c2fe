"""Where formulas and tables hold: values outside are refused, not extrapolated."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq.errors import NumericsError

_SLACK = 1e-9  # by which values may miss the ends: rounding


def is_within(value: Any, lower: float, upper: float) -> jax.Array:
    """Element by element: traced values outside cannot be refused, and become NaN."""
    return (jnp.asarray(value) >= lower - _SLACK) & (jnp.asarray(value) <= upper + _SLACK)


def check_within(value: Any, lower: float, upper: float, what: str, unit: str, remedy: str) -> None:
    """Raise NumericsError where a concrete value lies outside [lower, upper] or is no number; traced ones pass.

    Args:
        value: any shape.
        lower, upper: ends of the range; values may miss them by a rounding error.
        what: whose value it is, for the message.
        unit: for the message.
        remedy: what the user can do.
    """
    if any(isinstance(v, Tracer) for v in (value, lower, upper)):
        return
    values = np.asarray(value, float)
    if values.size and not (values.min() >= lower - _SLACK and values.max() <= upper + _SLACK):  # NaN fails
        raise NumericsError(
            f"{what} lies outside the range that is known",
            got=f"{values.min():g} … {values.max():g} {unit}".rstrip(),
            allowed=f"{lower:g} … {upper:g} {unit}".rstrip(),
            remedy=remedy,
        )
