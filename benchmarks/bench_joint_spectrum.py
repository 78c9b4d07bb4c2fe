"""The purity of a pair source and its gradient by 12 numbers, against NumPy: transfer matrices, convolution, SVD.

256 x 256 frequencies. ``python benchmarks/bench_joint_spectrum.py`` prints the table in a few seconds.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from row import median, row  # noqa: E402

from picq.quantum.joint_spectrum import joint_amplitude, pump_grid, tan_grid  # noqa: E402
from picq.quantum.pump import Gaussian  # noqa: E402
from picq.quantum.schmidt import purity  # noqa: E402

# in round trips and their inverses; pump, signal, idler: through-coupling, loss, detuning
RINGS = [0.970, 0.996, 0.003, 0.985, 0.990, -0.004, 0.982, 0.993, 0.002]
# and the pulse: width, detuning, chirp
POINT = np.array([*RINGS, 25.0, 0.002, 0.3])
LINEWIDTH = -2 * np.log(0.982 * 0.993)
GRID = tan_grid(LINEWIDTH, 256, reach=np.pi)
PUMP_W = pump_grid(0.6, 1200.0)


def enhancement(w: Any, through: Any, loss: Any, detuning: Any, xp: Any) -> Any:
    """Field in a ring per field in the bus, by its transfer matrix."""
    return 1j * xp.sqrt(1 - through**2) / (1 - through * loss * xp.exp(1j * (w - detuning)))


def ours(x: jax.Array) -> jax.Array:
    """The purity."""
    rings = [enhancement(w, *x[3 * k : 3 * k + 3], jnp) for k, w in enumerate((PUMP_W, GRID.w, GRID.w))]
    return purity(joint_amplitude(rings[1], rings[2], Gaussian(*x[9:]).spectrum(PUMP_W) * rings[0], GRID, GRID, PUMP_W))


def by_hand() -> Callable[[np.ndarray], float]:
    """The same in NumPy, as it is usually done: the convolution by FFT, padded 16 times, read between its points."""
    w, root, count = np.asarray(GRID.w), np.sqrt(np.asarray(GRID.weight)), len(PUMP_W)
    total, early, late = w[:, None] + w, count // 2, 2 * count - count // 2  # times before the pulse, and after
    sums = 2 * PUMP_W[0] + np.arange(32 * count) * (PUMP_W[1] - PUMP_W[0]) / 16

    def value(x: np.ndarray) -> float:
        rings = [enhancement(w, *x[3 * k : 3 * k + 3], np) for k, w in enumerate((PUMP_W, w, w))]
        u = ((PUMP_W - x[10]) * x[9]) ** 2 / (8 * np.log(2))
        pump = np.exp(-u / (1 + 1j * x[11])) * rings[0]
        squared = np.fft.fft(pump, 2 * count) ** 2
        made = np.fft.ifft(np.r_[squared[:late], np.zeros(30 * count), squared[-early:]])
        pairs = np.interp(total, sums, made.real, 0, 0) + 1j * np.interp(total, sums, made.imag, 0, 0)
        f = (root * rings[1])[:, None] * pairs * (root * rings[2])
        weights = np.linalg.svd(f, compute_uv=False) ** 2
        return float(np.sum(weights**2) / np.sum(weights) ** 2)

    return value


def run() -> list[dict[str, Any]]:
    """Rows of the table."""
    value, slope, hand = jax.jit(ours), jax.jit(jax.value_and_grad(ours)), by_hand()
    assert abs(float(value(POINT)) - hand(POINT)) < 1e-4, "not the same source"
    both, theirs = median(lambda: slope(POINT)), median(lambda: hand(POINT))
    moved = np.vstack([POINT, POINT + 1e-6 * np.eye(len(POINT))])
    differences = median(lambda: [hand(x) for x in moved], 3)
    size = f"purity of pairs, {len(GRID.w)}² frequencies"
    return [
        row(
            f"{size}, value and gradient of {len(POINT)} parameters",
            both,
            "numpy with SVD, value",
            theirs,
            6,
            most=True,
        ),
        row(f"{size}, value and gradient of {len(POINT)} parameters", both, "numpy, 13 differences", differences, 3),
    ]


if __name__ == "__main__":
    from run import line

    for found in run():
        print(line(found))
