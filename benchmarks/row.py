"""One line of the table of benchmarks."""

from typing import Any


def row(name: str, ours: float, peer: str, theirs: float, target: float, *, most: bool = False) -> dict[str, Any]:
    """A comparison.

    Args:
        name: what was measured; ends in ``GB`` when the numbers are memory instead of seconds.
        ours: picq's number.
        peer: against whom or what.
        theirs: the peer's number.
        target: what the ratio theirs/ours has to reach; with ``most``, what ours/theirs must not pass.
        most: whether the target is an upper bound.
    """
    ratio = ours / theirs if most else theirs / ours
    return {
        "name": name,
        "picq": ours,
        "peer": peer,
        "theirs": theirs,
        "ratio": ratio,
        "target": f"{'≤' if most else '≥'} {target:g}",
        "met": ratio <= target if most else ratio >= target,
    }
