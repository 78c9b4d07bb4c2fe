"""Devices and technologies by name: the only module that looks below the engine.

Imports are late on purpose, so that naming a technology does not load every device.
"""

from typing import TYPE_CHECKING

from picq.errors import SpecError, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from picq.device import Device
    from picq.technology import Technology


def devices() -> dict[str, "type[Device]"]:
    """All device classes by name."""
    from picq.components import DEVICES  # pyright: ignore[reportMissingImports]

    return dict(DEVICES)


def device(name: str) -> "type[Device]":
    """The device class of that name.

    Raises:
        SpecError: there is none; says the nearest spelling.
    """
    known = devices()
    if name not in known:
        raise SpecError(
            f"unknown device '{name}'", got=repr(name), allowed=", ".join(known), remedy=nearest(name, known)
        )
    return known[name]


def technologies() -> tuple[str, ...]:
    """Names of all technologies."""
    from picq.pdk import names  # pyright: ignore[reportMissingImports]

    return names()


def folder(technology: str) -> "Path":
    """The folder of a technology's data files.

    Raises:
        SpecError: there is none; says the nearest spelling.
    """
    from picq.pdk import folder as place  # pyright: ignore[reportMissingImports]

    return place(technology)


def technology(name: str, *, solver: bool = False) -> "Technology":
    """The technology of that name; with ``solver`` its guides are solved anew instead of read from tables.

    Raises:
        SpecError: there is none; says the nearest spelling.
    """
    from picq.pdk import load  # pyright: ignore[reportMissingImports]

    return load(name, solver=solver)
