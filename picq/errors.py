"""The errors that picq raises on purpose: each says what is wrong, what was given, what is allowed and the remedy."""

import difflib
from collections.abc import Iterable


class PicqError(Exception):
    """Base of every error that picq raises on purpose.

    Args:
        what: what is wrong, naming the parameter or place.
        got: what was given.
        allowed: what would have been accepted.
        remedy: what the user can do next.
    """

    exit_code = 2

    def __init__(self, what: str, *, got: object = None, allowed: object = None, remedy: str = "") -> None:
        self.what = what
        self.got = got
        self.allowed = allowed
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what]
        if self.got is not None:
            lines.append(f"got: {self.got}")
        if self.allowed is not None:
            lines.append(f"allowed: {self.allowed}")
        if self.remedy:
            lines.append(f"remedy: {self.remedy}")
        return "\n  ".join(lines)


class SpecError(PicqError):
    """What the user asked for cannot be understood: unknown name, value outside bounds, wrong type or unit."""


class LayoutError(PicqError):
    """A mask cannot be drawn, read or written."""


class NumericsError(PicqError):
    """A computation left the ground on which its result can be trusted."""

    exit_code = 3


class SignoffError(PicqError):
    """A check failed, so the export was refused."""

    exit_code = 1


def nearest(name: str, names: Iterable[str]) -> str:
    """A remedy sentence that proposes the closest spelling, or the empty string."""
    close = difflib.get_close_matches(str(name), [str(n) for n in names], n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else ""
