"""Following one mode through a sweep of the geometry."""

from collections.abc import Callable, Sequence
from typing import Any

from picq.errors import NumericsError
from picq.optics.fields import match
from picq.optics.modes import Mode, parse, solve
from picq.optics.profile import Profile


def track(
    profile_at: Callable[[float], Profile],
    values: Sequence[float],
    wl: Any,
    mode: str = "te0",
    *,
    rivals: int = 3,
    **options: Any,
) -> list[Mode]:
    """One mode along a sweep of the geometry, followed by the likeness of its field: no swapping at crossings.

    Args:
        profile_at: the cross-section at each value; the mode's order may change along the way.
        values: of the swept parameter, in order; steps small enough that the field changes little from one to the next.
        wl: wavelength, um.
        mode: the mode at the first value.
        rivals: how many modes of each polarisation of the same symmetry are looked at in every step.

    Raises:
        NumericsError: no mode is like the last one (overlap below 0.5): the steps are too coarse, or it is cut off.
    """
    path = [solve(profile_at(values[0]), wl, mode, **options)]
    for value in values[1:]:
        best, likeness = None, 0.0
        for name in _same_symmetry(path[-1], rivals):
            try:
                candidate = solve(profile_at(value), wl, name, **options)
            except NumericsError:  # that rival is cut off here
                continue
            alike = float(match(path[-1], candidate))
            if alike > likeness:
                best, likeness = candidate, alike
        if best is None or likeness < 0.5:
            raise NumericsError(
                f"lost track of mode {mode}",
                got=f"largest likeness {likeness:.2f} at {value:g}",
                allowed="at least 0.5 from one value to the next",
                remedy="sweep in smaller steps, look at more rivals, or stop before the cut-off",
            )
        path.append(best)
    return path


def _same_symmetry(last: Mode, rivals: int) -> list[str]:
    te, order, parity = parse(last.name)
    mirror = last.profile.mirror
    names = []
    for k in range(rivals):
        if mirror == "single":
            same, other = 2 * k + order % 2, 2 * k + (order + 1) % 2
        else:
            same = other = k
        names.append(f"{'te' if te else 'tm'}{same}{parity}")
        flipped = {"even": "odd", "odd": "even", "": ""}[parity]
        if not last.profile.halved:
            names.append(f"{'tm' if te else 'te'}{other}{flipped}")
    return names
