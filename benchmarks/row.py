"""One line of the table of benchmarks."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


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


def median(call: Callable[[], Any], runs: int = 15) -> float:
    """Seconds of a warm call."""
    jax.block_until_ready(call())
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        jax.block_until_ready(call())
        found.append(time.perf_counter() - start)
    return float(np.median(found))
