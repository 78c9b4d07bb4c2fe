"""All click probabilities of a state on four detectors, with the gradient, against The Walrus's values alone.

thewalrus (``pip install thewalrus``) is no dependency: without it there is no row, with a note on stderr. It knows
neither dark clicks nor efficiencies, so these are left out of the comparison of values (1e-13), not of the time.
``python benchmarks/bench_clicks.py`` prints the table.
"""

import importlib.util
import itertools
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_cpu_enable_async_dispatch", False)  # handing a call of 30 us to a thread costs as much again

from row import median, row  # noqa: E402

from picq.quantum.detection import Detectors, click_probabilities  # noqa: E402
from picq.quantum.gaussian import GaussianState, pairs  # noqa: E402

CHIP = 0.7 * np.exp(2j * np.pi * np.outer(np.arange(4), np.arange(4)) / 4) / 2  # signals and idlers of two sources meet
WEIGHTS = np.cos(np.arange(16.0)).reshape(2, 2, 2, 2)


def walrus(state: GaussianState) -> Callable[[], np.ndarray]:
    """Probabilities of all patterns by thewalrus, from the covariance of (x, p) at hbar = 2."""
    from thewalrus import threshold_detection_prob

    n, m = np.asarray(state.n), np.asarray(state.m)
    cross = m.imag - n.imag
    covariance = np.eye(8) + 2 * np.block([[n.real + m.real, cross], [cross.T, n.real - m.real]])
    patterns = list(itertools.product((0, 1), repeat=4))
    return lambda: np.array([threshold_detection_prob(np.zeros(8), covariance, p) for p in patterns])


def run() -> list[dict[str, Any]]:
    """Rows of the table."""
    if importlib.util.find_spec("thewalrus") is None:
        print("thewalrus is not installed (pip install thewalrus): its row is left out", file=sys.stderr)
        return []
    state, four = pairs([0.05, 0.02], [0.3, 1.0]).through(CHIP), Detectors.on(range(4))

    def weighed(n: jax.Array, m: jax.Array, efficiency: jax.Array, dark: jax.Array) -> jax.Array:
        return jnp.sum(WEIGHTS * click_probabilities(GaussianState(n, m), Detectors(efficiency, dark, four.beams)))

    slope = jax.jit(jax.value_and_grad(weighed, argnums=(0, 1, 2, 3)))
    at = (state.n, state.m, jnp.full(4, 0.9), jnp.full(4, 1e-5))
    peer = walrus(state)
    apart = np.abs(np.asarray(click_probabilities(state, four)).ravel() - peer()).max()
    assert apart < 1e-13, f"not the same probabilities: {apart}"
    ours, theirs = median(lambda: slope(*at), 1000), median(peer, 100)
    name = "16 click probabilities of four detectors, gradient by moments, efficiencies, dark clicks"
    return [row(name, ours, "thewalrus, values", theirs, 20)]


if __name__ == "__main__":
    from run import line

    for found in run():
        print(line(found))
