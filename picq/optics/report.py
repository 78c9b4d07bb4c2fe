"""Figures of one guide, each with its uncertainty and where it comes from."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from picq.errors import SpecError, nearest
from picq.optics import fields, modes

if TYPE_CHECKING:
    from picq.technology import Technology

_COARSER = (2, 4)  # a second pair of mesh levels: the difference of both answers is the uncertainty


class Figure(NamedTuple):
    """A number that leaves picq."""

    name: str
    value: float
    unit: str
    uncertainty: float
    source: str


_SOLVER: dict[str, tuple[str, Callable[..., Any]]] = {
    "n_eff": ("", modes.n_eff),
    "n_g": ("", modes.n_group),
    "D": ("ps/(nm km)", modes.dispersion),
    "D_slope": ("ps/(nm2 km)", modes.dispersion_slope),
    "a_eff": ("um2", lambda *a, **k: fields.a_eff(modes.solve(*a, **k))),
    "gamma": ("1/(W m)", lambda *a, **k: fields.gamma(modes.solve(*a, **k))),
    "confinement": ("", lambda *a, **k: fields.confinement(modes.solve(*a, **k))),
}
NAMES = tuple(_SOLVER)
"""Figures that a guide has."""


def figures(
    tech: "Technology",
    cross_section: str,
    names: list[str],
    *,
    wl: float,
    mode: str = "te0",
    width: float | None = None,
    solver: bool = False,
) -> list[Figure]:
    """Figures of a guide as the technology draws it.

    Index and group index come from the baked tables unless ``solver``; the rest from the mode solver.

    Raises:
        SpecError: an unknown figure.
        NumericsError: out of range, or no such mode.
    """
    found = []
    for name in names:
        if name not in _SOLVER:
            raise SpecError(f"a guide has no figure '{name}'", allowed=", ".join(NAMES), remedy=nearest(name, NAMES))
        unit, solve = _SOLVER[name]
        errors = {"n_eff": "index", "n_g": "group"}
        xs = tech.guide(cross_section)
        if not solver and name in errors and mode in xs.modes:
            n = lambda v: tech.n_eff(cross_section, v, width, mode)
            value = float(n(wl)) if name == "n_eff" else float(n(wl) - wl * jax.grad(n)(wl))
            bound = dict(xs.modes[mode].errors).get(errors[name], float("nan"))  # pyright: ignore[reportAttributeAccessIssue]
            found.append(Figure(name, value, unit, bound, "table; largest error on points not fitted"))
            continue
        profile = tech.profile(cross_section, width)
        kelvin = tech.point(cross_section).temperature_k
        fine, coarse = (
            float(solve(profile, wl, mode, temperature_k=kelvin, levels=pair)) for pair in (modes.LEVELS, _COARSER)
        )
        found.append(Figure(name, fine, unit, abs(fine - coarse), "mode solver; change from a coarser pair of meshes"))
    return found
