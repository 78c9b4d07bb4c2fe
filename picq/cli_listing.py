"""The command that lists what there is: technologies, devices, figures."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from picq import catalogue
from picq.cli_shared import Json, console
from picq.errors import SpecError


def listed(
    what: Annotated[str, typer.Argument(help="technologies, devices or figures")] = "devices",
    as_json: Json = False,
) -> int:
    """List technologies, devices with their parameters, or figures that a specification can ask for."""
    listings: dict[str, Callable[[], dict[str, Any]]] = {
        "technologies": _technologies,
        "devices": _devices,
        "figures": _figures,
    }
    if what not in listings:
        from picq.errors import nearest

        raise SpecError(f"cannot list '{what}'", allowed=", ".join(listings), remedy=nearest(what, listings))
    found = listings[what]()
    if as_json:
        print(json.dumps(found, indent=2))
        return 0
    for name, about in found.items():
        console.print(f"{name}  {about.pop('about')}", markup=False, soft_wrap=True)
        for key, value in about.items():
            console.print(f"    {key}: {value}", markup=False, soft_wrap=True)
    return 0


def _technologies() -> dict[str, Any]:
    readmes = {n: (catalogue.folder(n) / "README.md").read_text(encoding="utf-8") for n in catalogue.technologies()}
    return {n: {"about": text.split("\n\n")[1].strip()} for n, text in readmes.items()}


def _devices() -> dict[str, Any]:
    from picq.device import bounds

    def about(kind: Any) -> dict[str, Any]:
        limits = {n: f"{b.default} ({b.lower:g} … {b.upper:g} {b.unit})" for n, b in bounds(kind).items()}
        return {"about": kind.__doc__.splitlines()[0], **limits}

    return {name: about(kind) for name, kind in catalogue.devices().items()}


def _figures() -> dict[str, Any]:
    from picq.design.figures import FIGURES

    return {n: {"about": (kind.__doc__ or "").splitlines()[0], "unit": kind.unit} for n, kind in FIGURES.items()}
