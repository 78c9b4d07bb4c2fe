"""An arrayed-waveguide grating: forward, gradient and tolerance against the same sum in vectorised NumPy; its drawing.

90 wavelengths x 8 channels x 53 arms. ``python benchmarks/bench_awg.py`` prints the table in about a minute.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from row import median, row  # noqa: E402

from picq import layout  # noqa: E402
from picq.components import Awg  # noqa: E402
from picq.design.variation import Chips, blocks_of  # noqa: E402
from picq.optics.diffraction import steps  # noqa: E402
from picq.pdk import load  # noqa: E402

TECH = load("soi220")
WL = np.linspace(1.544, 1.556, 90)
SAMPLES, CHUNK = 256, 16


def by_hand(awg: Awg, index: np.ndarray, arm: np.ndarray) -> Callable[[], np.ndarray]:
    """The same amplitudes in NumPy: star couplers by exact distances, arms of one width."""
    k, radius = steps(awg.arms), awg.focal_length
    sine = k * awg.pitch / radius
    x, y = radius * sine, radius * np.sqrt(1 - sine**2)
    axis = np.arctan2(-y, -x)
    out = np.asarray(awg.sines(TECH, 1))
    aside = np.sqrt(1 - out**2)
    one = (np.zeros(1), np.zeros(1), np.full(1, np.pi / 2))
    other = (radius * aside * out, radius * out**2, np.arctan2(aside, -out))

    def field(q: np.ndarray, width: float) -> np.ndarray:
        p, half = np.pi / width, width / 2
        return np.sqrt(2 / width) * half * (np.sinc((q - p) * half / np.pi) + np.sinc((q + p) * half / np.pi))

    def star(ends: tuple[np.ndarray, ...]) -> np.ndarray:
        dx, dy = x - ends[0][:, None], y - ends[1][:, None]
        distance, line = np.hypot(dx, dy), np.arctan2(dy, dx)
        here, there = line - ends[2][:, None], line + np.pi - axis
        wave = (2 * np.pi * index / WL)[:, None, None]
        spread = np.sqrt(wave / (2 * np.pi) * np.cos(here) * np.cos(there) / distance)
        both = field(wave * np.sin(here), awg.width_io + 0.2) * field(wave * np.sin(there), awg.pitch - awg.gap + 0.2)
        return spread * both * np.exp(1j * (wave * distance - np.pi / 4))

    def amplitudes() -> np.ndarray:
        phases = np.exp(2j * np.pi * (arm / WL)[:, None] * k * awg.delta_length)
        return np.einsum("wk,wok->wo", star(one)[:, 0] * phases, star(other))

    return amplitudes


def run() -> list[dict[str, Any]]:
    """Rows of the table."""
    awg, wl = Awg.on(TECH), jnp.asarray(WL)
    power = lambda awg, tech: jnp.abs(awg.transfer(wl, tech)[:, 0, :]) ** 2
    forward = jax.jit(lambda awg: power(awg, TECH))
    slope = jax.jit(jax.value_and_grad(lambda awg: jnp.sum(power(awg, TECH) ** 2)))
    chips = Chips(TECH, len(awg.sites), 1, 0, blocks_of(TECH, awg))
    sampled = jax.jit(jax.vmap(lambda index: power(awg, chips.technology(index))))
    leaves = len(jax.tree.leaves(awg))

    def tolerance() -> None:
        for first in range(0, SAMPLES, CHUNK):
            jax.block_until_ready(sampled(jnp.arange(first, first + CHUNK)))

    numpy = by_hand(awg, np.asarray(TECH.slab_index("strip", wl)), np.asarray(TECH.n_eff("strip", wl, awg.width_arm)))
    peak = np.abs(numpy()) ** 2
    assert abs(10 * np.log10(peak.max() / np.asarray(forward(awg)).max())) < 0.5, "not the same device"
    ours, theirs = median(lambda: forward(awg)), median(numpy)
    both, many = median(lambda: slope(awg)), median(tolerance, 3)
    drawn = []
    for width in (2.0, 1.998, 1.996):  # the same device is drawn once
        start = time.perf_counter()
        layout.build(Awg.on(TECH, outputs=16, width_io=width), TECH)
        drawn.append(time.perf_counter() - start)
    size = f"AWG, 90 wavelengths x 8 channels x {awg.arms} arms"
    return [
        row(f"{size}, forward", ours, "vectorised numpy", theirs, 1),
        row(
            f"{size}, value and gradient of {leaves} parameters", both, "vectorised numpy, value", theirs, 3, most=True
        ),
        row(f"{size}, value and gradient of {leaves} parameters", both, "picq's own forward", ours, 3, most=True),
        row(f"{size}, {SAMPLES} chips", many, "vectorised numpy, one", theirs, 150, most=True),
        row(f"{size}, {SAMPLES} chips", many, "picq's own forward", ours, 150, most=True),
        row("AWG 16x200 GHz, designed and drawn", float(np.median(drawn)), "bound", 5.0, 1, most=True),
    ]


if __name__ == "__main__":
    from run import line

    for found in run():
        print(line(found))
