"""Numbers of sources and detectors that make no sense are refused by name."""

from typing import Any

import numpy as np
from jax.core import Tracer

from picq.errors import SpecError


def check(
    what: str, value: Any, unit: str, *, above: float | None = None, least: float | None = None, most: float = np.inf
) -> None:
    """Raise SpecError where a concrete value is no number or lies outside an interval; traced values pass unseen.

    Args:
        what: name of the parameter.
        value: any shape.
        unit: for the message.
        above: open lower end.
        least: closed lower end.
        most: closed upper end.
    """
    if isinstance(value, Tracer):
        return
    values = np.asarray(value, float)
    inside = np.isfinite(values) & (values <= most)
    if above is not None:
        inside &= values > above
    if least is not None:
        inside &= values >= least
    if not inside.all():
        low = f"above {above:g}" if above is not None else f"at least {least:g}"
        raise SpecError(
            f"{what} is impossible",
            got=f"{np.ravel(values)[~np.ravel(inside)][0]:g} {unit}".rstrip(),
            allowed=(low if np.isinf(most) else f"{low}, at most {most:g}") + f" {unit}".rstrip(),
            remedy="check the value and its unit",
        )
