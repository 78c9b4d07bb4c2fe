"""Baking: solve a guide's modes over its ranges once, keep Chebyshev tables with the error that was measured.

Each table is one JSON file in the technology's folder ``baked/``, with what it was made from; a key over all of that
tells whether it still belongs to the YAML files. Points are solved in parallel processes and remembered in a work
folder, so that an interrupted run goes on where it stopped.
"""

import hashlib
import json
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.errors import NumericsError, SpecError
from picq.optics import modes
from picq.optics.guided import Point, Ranges, scaled
from picq.optics.material import described, material
from picq.optics.stack import Stack
from picq.optics.table import Table, Variable, as_dict, fit, sample_points, terms

SOLVER = "full-vector edge elements, lumped, Richardson pair; 1"  # the number rises when solutions change
_REACH = {
    "wl/width": 16.1,
    "thickness/wl": 6.9,
    "slab/thickness": 4.6,
    "gap/wl": 13.8,
    "wl": 3.83,
    "temperature_k": 3.83,
}
_REACH_TM = {**_REACH, "thickness/wl": 9.2}  # the film holds them less
_REACH_PAIR = {**_REACH, "wl/width": 6.9, "thickness/wl": 4.6, "wl": 2.3, "temperature_k": 2.3}
_EQUATIONS = 2.4  # for every coefficient of a table
_WIDEST_UM = 12.0  # wider guides are covered by the film's closed form at infinite width
_FILM_POINTS, _CHECK_POINTS = 40, 24
_SEED = 1
TOLERANCE = {"index": 1e-5, "group": 3e-4, "splitting": 1e-2}
"""Largest errors that a table may have on points that were not fitted: n_eff, n_group, relative splitting."""


class Task(NamedTuple):
    """One file of tables.

    Attributes:
        name: e.g. ``strip.te0`` or ``strip.pair``.
        stack: what is solved.
        mode: of a single guide.
        ranges: where.
        margin: of the domain, um.
    """

    name: str
    stack: Stack
    mode: str
    ranges: Ranges
    margin: float

    @property
    def pair(self) -> bool:
        """Whether two guides are solved."""
        return self.ranges.gap is not None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the tables."""
        return ("splitting", "shift") if self.pair else ("index",)

    @property
    def reach(self) -> tuple[float, ...]:
        """Order of each variable's series: terms with sum(k/reach) <= 1."""
        table = _REACH_PAIR if self.pair else _REACH_TM if self.mode.startswith("tm") else _REACH
        return tuple(table[v.name] for v in self.ranges.variables())

    @property
    def levels(self) -> tuple[int, int]:
        """Mesh levels: coarser ones are good to a thousandth of a splitting, since both modes share the error."""
        return (2, 3) if self.pair else modes.LEVELS

    @property
    def points(self) -> int:
        """How many points are solved for the fit."""
        return math.ceil(_EQUATIONS * len(terms(self.reach)) / (1 + len(self.reach)))  # a value and its slopes each

    @property
    def key(self) -> str:
        """Changes whenever the tables would."""
        media, r = sorted(self._media()), self.ranges
        states = [(wl, kelvin) for wl in (r.wl[0], sum(r.wl) / 2, r.wl[1]) for kelvin in r.temperature_k]
        indices = [described(material(m), *state) for m in media for state in states]
        made_of = (SOLVER, self._asdict(), self.levels, self.reach, self.points, media, indices, _SEED)
        return hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]

    def provenance(self, errors: dict[str, float]) -> dict[str, Any]:
        """What stands beside the tables."""
        return {
            "solver": SOLVER,
            "levels": list(self.levels),
            "margin_um": self.margin,
            "materials": {m: material(m).source for m in sorted(self._media())},
            "points_fitted": self.points,
            "points_checked": _CHECK_POINTS,
            "largest_error_on_checked_points": errors,
        }

    def _media(self) -> set[str]:
        core = self.stack.core if isinstance(self.stack.core, tuple) else (self.stack.core,)
        return {str(m) for m in (*core, self.stack.cladding, self.stack.box)}


def bake(
    tasks: list[Task], folder: Path, work: Path, workers: Any, progress: Callable[[str, int, int], None]
) -> list[tuple[Task, dict[str, float]]]:
    """Solve and write every task.

    Args:
        tasks: of one technology, e.g. the ``stale`` ones.
        folder: where the tables go.
        work: where solved points are kept until their table is written.
        workers: of ``pool``.
        progress: called with a task's name, points done, points in all.

    Returns:
        Each task that was baked, with its measured errors.

    Raises:
        NumericsError: a table's error is above ``TOLERANCE``; nothing is written for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    done = []
    for task in tasks:
        errors = _bake_one(task, folder, work, workers, progress)
        done.append((task, errors))
    return done


def stale(tasks: list[Task], folder: Path) -> list[Task]:
    """Those whose file is missing or was made from something else."""
    return [task for task in tasks if key_of(folder / f"{task.name}.json") != task.key]


def key_of(path: Path) -> str:
    """The key in a file of tables; empty where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["key"]
    except FileNotFoundError:
        return ""


def _bake_one(
    task: Task, folder: Path, work: Path, pool: Any, progress: Callable[[str, int, int], None]
) -> dict[str, float]:
    fitted, checked = _points(task)
    wanted = np.concatenate([fitted, checked])
    store = work / f"{task.name}.{task.key}.jsonl"
    solved = _stored(store)
    missing = [i for i in range(len(wanted)) if i not in solved]
    progress(task.name, len(solved), len(wanted))
    with store.open("a", encoding="utf-8") as out:
        for i, values, slopes in pool.imap_unordered(_solve, [(task, i, tuple(wanted[i])) for i in missing]):
            solved[i] = (values, slopes)
            out.write(json.dumps([i, values, slopes]) + "\n")
            out.flush()
            progress(task.name, len(solved), len(wanted))
    values = np.array([solved[i][0] for i in range(len(wanted))])
    slopes = np.array([solved[i][1] for i in range(len(wanted))])
    lost = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if lost.size:
        raise NumericsError(
            f"table {task.name}: the mode is cut off within its ranges",
            got=", ".join(f"{v:.4g}" for v in wanted[lost[0]]) + " (width, thickness, …), the first of such points",
            allowed=f"a guided {task.mode}",
            remedy="narrow the ranges of the cross-section's `optics` in cross_sections.yaml",
        )
    n = len(fitted)
    tables = {}
    for k, name in enumerate(task.outputs):
        points, v, s = _in_scaled_variables(task, fitted, values[:n, k], slopes[:n, k])
        if name == "index" and np.isinf(task.ranges.width[1]):
            points, v, s = (np.concatenate(pair) for pair in zip((points, v, s), _film(task), strict=True))
        tables[name] = fit(task.ranges.variables(), task.reach, points, v, s)
    errors = _errors(task, tables, checked, values[n:], slopes[n:])
    for quantity, error in errors.items():
        if not error <= TOLERANCE.get(quantity, np.inf):  # NaN is not good enough either
            raise NumericsError(
                f"table {task.name} is not good enough: {quantity}",
                got=f"{error:.1e} on {_CHECK_POINTS} points that were not fitted",
                allowed=f"{TOLERANCE[quantity]:g}",
                remedy="narrow the ranges of the cross-section's `optics` in cross_sections.yaml",
            )
    content = {
        "key": task.key,
        "ranges": task.ranges._asdict(),
        "tables": {name: as_dict(table) for name, table in tables.items()},
        "provenance": task.provenance({name: float(f"{error:.2g}") for name, error in errors.items()}),
    }
    path = folder / f"{task.name}.json"
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
    store.unlink()
    return errors


def _points(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Physical points (width, thickness, [slab], [gap], wl, temperature), for the fit and for the check."""
    r = task.ranges
    physical = [Variable("width", r.width[0], min(r.width[1], _WIDEST_UM), True), Variable("thickness", *r.thickness)]
    physical += [Variable("slab", *r.slab)] if r.slab else []
    physical += [Variable("gap", *r.gap)] if r.gap else []
    physical += [Variable("wl", *r.wl), Variable("temperature_k", *r.temperature_k)]
    draw = lambda count, seed, inside: sample_points(physical, count, seed, inside=inside)
    return draw(task.points, _SEED, False), draw(_CHECK_POINTS, _SEED + 1, True)


def _split(task: Task, z: Any) -> tuple[Any, Point]:
    """(wl, point) of a physical point."""
    rest = iter(z)
    width, thickness = next(rest), next(rest)
    slab = next(rest) if task.ranges.slab else None
    gap = next(rest) if task.ranges.gap else None
    wl, temperature_k = rest
    return wl, Point(width, thickness, slab, gap, temperature_k)


def _in_scaled_variables(task: Task, points: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> Any:
    """The same data with points and slopes in the table's variables: slopes go with the inverse of the Jacobian."""

    def change(z: jax.Array) -> jax.Array:
        wl, point = _split(task, z)
        return jnp.stack([jnp.asarray(v) for v in scaled(wl, point)])

    new = np.asarray(jax.vmap(change)(jnp.asarray(points)))
    jacobian = np.asarray(jax.vmap(jax.jacfwd(change))(jnp.asarray(points)))  # [points, new, old]
    moved = np.linalg.solve(jacobian.transpose(0, 2, 1), slopes[..., None])[..., 0]
    return new, values, moved


def _film(task: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The closed form at infinite width, where n_eff is even in 1/width: its slope there is zero."""
    variables = task.ranges.variables()
    r = task.ranges
    physical = [Variable("thickness", *r.thickness), Variable("wl", *r.wl), Variable("temperature_k", *r.temperature_k)]
    z = jnp.asarray(sample_points(physical, _FILM_POINTS, _SEED))
    te = task.mode.startswith("te")

    def film(b: Any, wl: Any, temperature_k: Any) -> jax.Array:
        return task.stack.film_index(wl, b * wl, temperature_k, te=te)

    b = z[:, 0] / z[:, 1]
    values = jax.vmap(film)(b, z[:, 1], z[:, 2])
    d_b, d_wl, d_t = jax.vmap(jax.grad(film, argnums=(0, 1, 2)))(b, z[:, 1], z[:, 2])
    known = {
        "wl/width": (0 * b, 0 * b),
        "thickness/wl": (b, d_b),
        "wl": (z[:, 1], d_wl),
        "temperature_k": (z[:, 2], d_t),
    }
    if r.slab:  # nothing depends on the slab there; its place in the interval does not matter
        a, c = {v.name: v for v in variables}["slab/thickness"].interval
        known["slab/thickness"] = (jnp.linspace(a, c, b.size), 0 * b)
    points, slopes = (np.stack([np.asarray(known[v.name][i]) for v in variables], axis=1) for i in (0, 1))
    return points, np.asarray(values), slopes


def _errors(
    task: Task, tables: dict[str, Table], points: np.ndarray, values: np.ndarray, slopes: np.ndarray
) -> dict[str, float]:
    """Largest differences to the solver on points that were not fitted."""
    errors = {}
    for k, name in enumerate(task.outputs):

        def at(z: jax.Array, table: Table = tables[name]) -> jax.Array:
            return table(*scaled(*_split(task, z)))

        got = np.asarray(jax.vmap(at)(jnp.asarray(points)))
        errors[name] = float(np.abs(got - values[:, k]).max())
        if name == "index":
            wl = points[:, -2]
            slope = np.asarray(jax.vmap(jax.grad(at))(jnp.asarray(points)))[:, -2]
            errors["group"] = float(np.abs(got - values[:, k] - wl * (slope - slopes[:, k, -2])).max())
    return errors


def _stored(path: Path) -> dict[int, tuple[list[float], list[list[float]]]]:
    """Points solved by an earlier run; a line that was cut off is left out."""
    found = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                i, values, slopes = json.loads(line)
                found[i] = (values, slopes)
    return found


@contextmanager
def pool(jobs: int) -> Iterator[Any]:
    """Processes with float64, one thread each.

    Raises:
        SpecError: ``jobs`` is not positive.
    """
    if jobs < 1:
        raise SpecError("the number of processes is not positive", got=str(jobs), allowed=">= 1")
    threads = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    os.environ.update(dict.fromkeys(threads, "1"))  # read by the children when they load their libraries
    try:
        with multiprocessing.get_context("spawn").Pool(jobs, initializer=_start) as pool:
            yield pool
    finally:
        for name, value in threads.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _start() -> None:
    jax.config.update("jax_enable_x64", True)


def _solve(job: tuple[Task, int, tuple[float, ...]]) -> tuple[int, list[float], list[list[float]]]:
    """In a process of the pool: (number of the point, values [outputs], slopes [outputs, variables])."""
    task, i, z = job
    values, slopes = _compiled(task)(jnp.asarray(z))
    return i, np.asarray(values).tolist(), np.asarray(slopes).tolist()


@cache
def _compiled(task: Task) -> Any:
    def outputs(z: jax.Array) -> jax.Array:
        wl, p = _split(task, z)
        make = lambda gap: task.stack.profile(p.width, p.thickness, p.slab, gap=gap, margin=task.margin)
        n = lambda gap, name: modes.n_eff(make(gap), wl, name, temperature_k=p.temperature_k, levels=task.levels)
        if not task.pair:
            return n(None, task.mode)[None]
        even, odd = n(p.gap, task.mode + "even"), n(p.gap, task.mode + "odd")
        return jnp.stack([jnp.log(even - odd), (even + odd) / 2 - n(None, task.mode)])

    def both(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = outputs(z)
        return values, values

    return jax.jit(lambda z: jax.jacrev(both, has_aux=True)(z)[::-1])
