"""Technologies: one data-only folder each. ``names()`` lists them, ``load(name)`` reads one."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from picq.errors import SpecError, nearest

if TYPE_CHECKING:
    from picq.technology import Technology

_HERE = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of the technologies that come with picq."""
    return tuple(sorted(p.parent.name for p in _HERE.glob("*/layers.yaml")))


def folder(name: str) -> Path:
    """The folder of a technology's data files.

    Raises:
        SpecError: there is no technology of that name.
    """
    if name not in names():
        raise SpecError(
            f"unknown technology '{name}'", got=repr(name), allowed=", ".join(names()), remedy=nearest(name, names())
        )
    return _HERE / name


@cache
def load(name: str, *, solver: bool = False) -> "Technology":
    """The technology of that name, e.g. ``soi220``; with ``solver`` the mode solver stands in for the baked tables.

    Raises:
        SpecError: there is no technology of that name.
        NumericsError: JAX runs in float32.
    """
    path = folder(name)
    from picq.technology_files import load as read

    return read(path, solver=solver)
