"""Tolerance of a whole source chip: 1,000 fabricated and trimmed chips at once, against a Python loop over chips.

The loop is what a script does that calls models chip by chip; a second row gives it a compiled function of one chip.
``python benchmarks/bench_source_tolerance.py`` prints the table in some minutes, most of them for the compiler.
"""

import resource
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from row import row  # noqa: E402

from picq.design.tolerance import chips_of, chunk_of, fabricated  # noqa: E402
from picq.job import Job  # noqa: E402

SAMPLES = 1000
LOOPED, COMPILED_LOOPED = 2, 40
SPEC = Path(__file__).parents[1] / "layouts" / "sfwm_source.yaml"


def gigabytes() -> float:
    """Most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def seconds(call: Any) -> float:
    """Of one call."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def run() -> list[dict[str, Any]]:
    """Rows of the table."""
    problem = Job.read(SPEC).problem
    circuit = problem.measured
    chips = chips_of(problem, len(circuit.sites))

    def one(index: Any) -> tuple[Any, ...]:
        """Figures of a chip as fabricated and as trimmed, in the words of a script."""
        tech = chips.technology(index)
        made = chips.made(circuit, index)
        trimmed, _ = problem.trimmed(made, tech)
        return tuple(problem.measure(problem.spectra(chip, tech), chip, tech) for chip in (made, trimmed))

    chunk = chunk_of(problem)
    at_once = lambda first: fabricated(problem, circuit, jnp.arange(first, first + chunk))
    found, _ = at_once(0)
    begun = gigabytes()
    ours = sum(seconds(lambda first=first: at_once(first)) for first in range(0, SAMPLES, chunk))
    ended = gigabytes()

    compiled = jax.jit(one)
    for mine, theirs in zip((found["as_fabricated"], found["trimmed"]), compiled(3), strict=True):
        np.testing.assert_allclose(mine[1][3], theirs, rtol=1e-6, err_msg="not the same chip")
    with_compiler = SAMPLES * np.median([seconds(lambda i=i: compiled(i)) for i in range(COMPILED_LOOPED)])
    plain = SAMPLES * np.mean([seconds(lambda i=i: one(i)) for i in range(LOOPED)])
    name = f"tolerance of a source chip, {SAMPLES} samples"
    return [
        row(name, ours, f"Python loop ({LOOPED} of them)", float(plain), 20),
        row(name, ours, "loop over a compiled chip", float(with_compiler), 1),
        row(f"{name}, most memory, GB", ended, f"after the first {chunk}", begun, 1.1, most=True),
    ]


if __name__ == "__main__":
    from run import line

    for result in run():
        print(line(result))
