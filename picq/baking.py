"""The whole of `picq bake`: the tables of a technology's guides, then what is solved once on top of them."""

import os
from collections.abc import Callable
from pathlib import Path

from picq.optics import bake, reductions
from picq.technology_files import load, tasks

Progress = Callable[[str, int, int], None]


def bake_technology(
    folder: Path, work: Path, *, jobs: int | None = None, force: bool = False, progress: Progress
) -> dict[str, dict[str, float]]:
    """Solve and write whatever is missing or stale.

    Args:
        folder: of the technology.
        work: where solved points wait for their table, so that an interrupted run goes on.
        jobs: processes; all cores by default.
        force: solve again what is up to date.
        progress: called with a name, how much of it is done, how much there is.

    Returns:
        Measured errors by name of what was written.

    Raises:
        SpecError: the YAML files are wrong.
        NumericsError: a result is not good enough.
    """
    jobs = os.cpu_count() or 1 if jobs is None else jobs
    tables = tasks(folder) if force else bake.stale(tasks(folder), folder / "baked")
    if force:
        for path in work.glob("*.jsonl"):
            path.unlink()
    every = reductions.reductions(load(folder, bare=True, solver=True))
    names = [r.name for r in every if force or reductions.stale(folder, r.name)]
    if not tables and not names:
        return {}
    found = {}
    with bake.pool(jobs) as workers:
        reduced = workers.imap_unordered(_reduce, [(folder, name) for name in names])  # they need no table
        for task, errors in bake.bake(tables, folder / "baked", work, workers, progress):
            found[task.name] = errors
        for n, (name, content) in enumerate(reduced):
            reductions.write(folder, name, content)
            found[name] = content.get("errors", {})
            progress("reductions", n + 1, len(names))
    return found


def _reduce(job: tuple[Path, str]) -> tuple[str, dict]:
    """In a process of the pool."""
    folder, wanted = job
    tech = load(folder, bare=True, solver=True)
    (chosen,) = [r for r in reductions.reductions(tech) if r.name == wanted]
    return wanted, chosen.make(tech)
