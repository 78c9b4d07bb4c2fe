"""Where formulas and tables hold: values outside are refused, not extrapolated."""

from typing import Any

import numpy as np
from jax.core import Tracer

from picq.errors import NumericsError


def check_within(value: Any, lower: float, upper: float, what: str, unit: str, remedy: str) -> None:
    """Raise NumericsError where a concrete value lies outside [lower, upper] or is no number; traced ones pass.

    Args:
        value: any shape.
        lower, upper: ends of the range; values may miss them by a rounding error of 1e-9.
        what: whose value it is, for the message.
        unit: for the message.
        remedy: what the user can do.
    """
    if any(isinstance(v, Tracer) for v in (value, lower, upper)):
        return
    values = np.asarray(value, float)
    if values.size and not (values.min() >= lower - 1e-9 and values.max() <= upper + 1e-9):  # NaN fails
        raise NumericsError(
            f"{what} lies outside the range that is known",
            got=f"{values.min():g} … {values.max():g} {unit}".rstrip(),
            allowed=f"{lower:g} … {upper:g} {unit}".rstrip(),
            remedy=remedy,
        )
