"""All S-parameters and their full Jacobian of a mode converter, against ceviche's value and gradient of one number.

The device is the mode converter of ceviche-challenges (Schubert et al., ACS Photonics 9, 2327 (2022)): E out of the
plane, 1.6 x 1.6 um between guides of 400 nm, permittivity 12.25 in 2.25, six wavelengths from 1265 to 1295 nm, random
pixels. ceviche (``pip install ceviche``) is no dependency: without it there is no row, with a note on stderr. Both give
the same (tests/oracles/test_ceviche.py: to 1e-9). CPU seconds, BLAS on one thread. PICQ_BENCH_10NM=1 adds the grid of
10 nm, which takes minutes.
"""

import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

from row import row  # noqa: E402

from picq.inverse.condense import Condensed  # noqa: E402
from picq.inverse.grid import Box, Domain  # noqa: E402
from picq.inverse.ports import Port  # noqa: E402
from picq.inverse.simulation import Simulation  # noqa: E402

HALF = 0.8  # um, of the design region


def mode_converter(step: float) -> Condensed:
    """The shared problem on a grid of ``step`` um, its layers 0.8 um thick."""
    domain = Domain((4.64, 4.0), step, (0.8, 0.8))
    eps = np.full(domain.shape, 2.25)
    eps[:, domain.cells(Box(-HALF, -0.2, HALF, 0.2))[1]] = 12.25
    ports = (Port("in", (-1.5, 0.0), 180, 2.4, (0,)), Port("out", (1.5, 0.0), 0, 2.4, (1,)))
    simulation = Simulation(domain, eps, "ez", ports, np.linspace(1.265, 1.295, 6))
    return Condensed(simulation, Box(-HALF, -HALF, HALF, HALF))


def ceviche_loss(device: Condensed) -> Callable[[np.ndarray], Any]:
    """Mean power out of both ports, weighed 1 and 2, for autograd: one simulation a wavelength, set up beforehand.

    ceviche's layers lie one pixel further up along x and y.
    """
    import autograd.numpy as npa
    from ceviche import fdfd_ez
    from ceviche.constants import C_0, MU_0

    sim, ch = device.simulation, device.simulation.channels
    pixels, shape = round(sim.domain.pml[0] / sim.domain.step), sim.domain.shape
    shifted = lambda a: np.roll(a.reshape(shape), 1, (0, 1))
    around, mask = shifted(sim.eps), np.zeros(shape, int)
    place = shifted(
        np.pad(
            np.arange(1, device.shape[0] * device.shape[1] + 1).reshape(device.shape),
            [(c.start, n - c.stop) for c, n in zip(device.cells, shape, strict=True)],
        )
    )
    mask = place > 0
    omegas = [2 * np.pi * C_0 / (wl * 1e-6) for wl in sim.wl]
    solvers = [fdfd_ez(o, sim.domain.step * 1e-6, around, [pixels, pixels]) for o in omegas]
    sources = [[shifted(ch.source[w, :, q]) for q in (0, 1)] for w in range(sim.wl.size)]

    def loss(eps: Any) -> Any:
        full = npa.where(mask, npa.concatenate([npa.zeros(1), npa.ravel(eps)])[place], around)
        total = 0.0
        for w, solver in enumerate(solvers):
            solver.eps_r = full
            field = solver.solve(sources[w][0])[2]  # -i omega mu0 / h^2 times ours, which is for exp(-i omega t)
            scale = 1j / (omegas[w] * MU_0 * (sim.domain.step * 1e-6) ** 2)
            for q, weight in ((0, 1.0), (1, 2.0)):
                z = npa.sum(sources[w][q] * field) * scale
                total = total + weight * npa.abs(2j * npa.conj(z) - (q == 0)) ** 2
        return total / len(solvers)

    return loss


def cpu_median(call: Callable[[], Any], runs: int) -> float:
    """CPU seconds of a warm call, all threads."""
    jax.block_until_ready(call())
    found = []
    for _ in range(runs):
        start = time.process_time()
        jax.block_until_ready(call())
        found.append(time.process_time() - start)
    return float(np.median(found))


def one(step: float, target: float, runs: int) -> dict[str, Any]:
    """A row for the grid of ``step`` um."""
    from autograd import value_and_grad

    device = mode_converter(step)
    eps = 2.25 + 10 * np.random.default_rng(0).random(device.shape)
    jacobian, peer = jax.jit(device.jacobian), value_and_grad(ceviche_loss(device))
    s, slope = map(np.asarray, jacobian(eps))
    value, gradient = peer(eps)
    weights = np.array([1.0, 2.0]) / len(s)
    apart = np.abs(value - np.sum(np.abs(s[:, :, 0]) ** 2 * weights)) / value
    ours = 2 * np.real(np.einsum("wq,wqij,q->ij", s[:, :, 0].conj(), slope[:, :, 0], weights))
    apart = max(apart, np.abs(gradient - ours).max() / np.abs(ours).max())
    assert apart < 3e-4, f"not the same device: {apart}"  # the layers' reflection, 1e-5, is in ceviche's overlaps
    mine, theirs = cpu_median(lambda: jacobian(eps), 3 * runs), cpu_median(lambda: peer(eps), runs)
    name = f"mode converter, {step * 1e3:g} nm grid, 6 wavelengths: S and full Jacobian"
    return row(name, mine, "ceviche, value and gradient", theirs, target)


def run() -> list[dict[str, Any]]:
    """Rows of the table."""
    if importlib.util.find_spec("ceviche") is None:
        print("ceviche is not installed (pip install ceviche): its rows are left out", file=sys.stderr)
        return []
    warnings.filterwarnings("ignore", module="ceviche")
    rows = [one(0.04, 25, 5)]
    if os.environ.get("PICQ_BENCH_10NM"):
        rows.append(one(0.01, 15, 1))
    return rows


if __name__ == "__main__":
    from run import line

    for found in run():
        print(line(found))
