"""Mode solver against EMpy, with the error beside the time; tables of a guide; optionally baking a technology.

EMpy (``pip install ElectroMagneticPython``) is no dependency: without it its rows are left out, with a note on stderr.
Its 10 nm grid is the one at which it reaches 4e-3. It has no gradient: a gradient is three more solutions, one for each
of width, thickness and wavelength (on its fixed grid those of width and thickness are of no use; the time is counted).
Two settings, because they differ much: plain (whole domain, no guess of the index), and the best that we found (a
quarter of the domain by walls of symmetry, a guess just below the answer). femwell and tidy3d run where installed.

``PICQ_BENCH_BAKE=1`` adds ``picq bake soi220`` on two processes, some minutes.
``python benchmarks/bench_modes.py`` prints the table.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from row import row  # noqa: E402

from picq.baking import bake_technology  # noqa: E402
from picq.optics import modes  # noqa: E402
from picq.optics.profile import guide  # noqa: E402
from picq.pdk import folder, load  # noqa: E402
from picq.technology import Process  # noqa: E402

CORE, CLADDING, WIDTH, THICKNESS, WL = 3.476, 1.444, 0.5, 0.22, 1.55
REFERENCE = 2.445382  # n_eff of two independent solvers that agree to 1e-5; tests/test_modes.py
GRADIENT = 4  # solutions for a value and three forward differences
STEP = 0.01  # um, of the peers' grids
REACH = 0.7  # um of cladding in the peers' domains; 1 um changes EMpy's n_eff by 5e-6


def solved(levels: tuple[int, ...]) -> Callable[[], Any]:
    """Value and gradient (width, thickness, wavelength) of n_eff, compiled."""
    n = lambda p: modes.n_eff(guide(width=p[0], thickness=p[1], core=CORE, cladding=CLADDING), p[2], levels=levels)
    compiled = jax.jit(jax.value_and_grad(n))
    point = jnp.array([WIDTH, THICKNESS, WL])
    return lambda: jax.block_until_ready(compiled(point))


def empy(*, quarter: bool) -> float:
    """n_eff by EMpy's vector solver; ``quarter``: of the domain, with walls of symmetry and a guess of the index."""
    from EMpy.modesolvers.FD import VFDModeSolver

    def axis(size: float) -> np.ndarray:
        cells = round((size / 2 + REACH) / STEP)
        return STEP * np.arange(0 if quarter else -cells, cells + 1)

    def eps(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        inside = (np.abs(x) < WIDTH / 2)[:, None] & (np.abs(y) < THICKNESS / 2)[None, :]
        return np.where(inside, CORE**2, CLADDING**2)

    solver = VFDModeSolver(WL, axis(WIDTH), axis(THICKNESS), eps, "0A0A" if quarter else "0000")
    found = solver.solve(1, 1e-8, guess=REFERENCE - 0.045 if quarter else None)
    return float(found.modes[0].neff.real)


def femwell() -> float:
    """n_eff by femwell, second order elements, 50 nm in the core's neighbourhood."""
    from collections import OrderedDict

    import shapely
    from femwell.maxwell.waveguide import compute_modes
    from femwell.mesh import mesh_from_OrderedDict
    from skfem import Basis, ElementTriP0
    from skfem.io import from_meshio

    core = shapely.box(-WIDTH / 2, -THICKNESS / 2, WIDTH / 2, THICKNESS / 2)
    shapes = OrderedDict(core=core, clad=core.buffer(REACH))
    sizes = {"core": {"resolution": 0.02, "distance": 1}, "clad": {"resolution": 0.1, "distance": 1}}
    mesh = from_meshio(mesh_from_OrderedDict(shapes, sizes, default_resolution_max=0.1))
    basis = Basis(mesh, ElementTriP0())
    eps = basis.zeros(dtype=complex)
    for name, index in (("core", CORE), ("clad", CLADDING)):
        eps[basis.get_dofs(elements=name)] = index**2
    return float(np.real(compute_modes(basis, eps, wavelength=WL, num_modes=1, order=2)[0].n_eff))


def tidy3d() -> float:
    """n_eff by tidy3d's local mode solver on a uniform grid."""
    import tidy3d as td
    from tidy3d.plugins.mode import ModeSolver

    core = td.Structure(geometry=td.Box(size=(td.inf, WIDTH, THICKNESS)), medium=td.Medium(permittivity=CORE**2))
    size = (0, WIDTH + 2 * REACH, THICKNESS + 2 * REACH)
    simulation = td.Simulation(
        size=(1, *size[1:]), grid_spec=td.GridSpec.uniform(STEP), structures=[core], run_time=1e-12,
        medium=td.Medium(permittivity=CLADDING**2),
    )  # fmt: skip
    spec = td.ModeSpec(num_modes=1, target_neff=REFERENCE)
    solver = ModeSolver(simulation=simulation, plane=td.Box(size=size), mode_spec=spec, freqs=[td.C_0 / WL])
    return float(solver.solve().n_eff[0, 0])


def median(call: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds of a call; all of these solvers run on one thread."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return float(np.median(times))


def missing(module: str, install: str) -> bool:
    """Whether a peer is not installed, which is said."""
    absent = importlib.util.find_spec(module) is None
    if absent:
        print(f"{module} is not installed ({install}): its rows are left out", file=sys.stderr)
    return absent


def solver_rows() -> list[dict[str, Any]]:
    """Value and gradient of one strip by the default mesh levels, and by a coarse level that is still below 4e-3."""
    ours: dict[str, tuple[str, float]] = {}
    for name, levels in (("fine", modes.LEVELS), ("coarse", (2,))):
        call = solved(levels)
        error = abs(float(call()[0]) - REFERENCE)
        ours[name] = (f"Si 500 x 220 nm, n_eff and gradient, levels {levels}, error {error:.1e}", median(call, 15))
    found = []
    if not missing("EMpy", "pip install ElectroMagneticPython"):
        whole, quarter = (abs(empy(quarter=q) - REFERENCE) for q in (False, True))
        said = "EMpy {}, value and 3 differences, error {:.1e},"
        plain = GRADIENT * median(lambda: empy(quarter=False), 1)
        best = GRADIENT * median(lambda: empy(quarter=True), 5)
        found.append(row(*ours["fine"], said.format("plain", whole), plain, 20))
        found.append(row(*ours["fine"], said.format("at its best", quarter), best, 1))
        found.append(row(*ours["coarse"], said.format("at its best", quarter), best, 5))
    for peer, install in ((femwell, "pip install femwell"), (tidy3d, "pip install tidy3d")):
        if not missing(peer.__name__, install):
            error = abs(peer() - REFERENCE)
            said = f"{peer.__name__}, value and 3 differences, error {error:.1e},"
            found.append(row(*ours["fine"], said, GRADIENT * median(peer, 3), 1))
    return found


def baked_row() -> dict[str, Any]:
    """Index of soi220's strip from its table, with the gradient by wavelength, width, thickness and temperature."""
    tech = load("soi220")

    def n(p: jax.Array) -> jax.Array:
        chip = tech.at(Process(width_nm=p[1], thickness_nm=p[2], temperature_k=p[3]))
        return chip.n_eff("strip", p[0])

    call, point, many = jax.jit(jax.value_and_grad(n)), jnp.array([1.55, 0.0, 0.0, 0.0]), 500
    jax.block_until_ready(call(point))
    t = median(lambda: [jax.block_until_ready(call(point)) for _ in range(many)], 15) / many
    return row("n_eff of soi220's strip from its table, value and 4 derivatives", t, "bound", 50e-6, 1, most=True)


def bake_row() -> dict[str, Any]:
    """Wall time of baking all of soi220 from nothing on two processes, into a temporary folder."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "soi220"
        shutil.copytree(folder("soi220"), copy, ignore=shutil.ignore_patterns("baked"))
        start = time.perf_counter()
        bake_technology(copy, Path(place) / "work", jobs=2, progress=lambda *_: None)
        return row("picq bake soi220, two processes", time.perf_counter() - start, "bound", 300.0, 1, most=True)


def run() -> list[dict[str, Any]]:
    """Measure; see ``row``."""
    found = [*solver_rows(), baked_row()]
    if os.environ.get("PICQ_BENCH_BAKE"):
        found.append(bake_row())
    return found


if __name__ == "__main__":
    for line in run():
        print({k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()})
