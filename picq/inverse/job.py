"""The main job for a free-form device: from a specification to a signed-off cell that chips can use."""

import io
import itertools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import klayout.db as kdb
import numpy as np

from picq import catalogue
from picq.design.progress import Progress, silent
from picq.design.progress import Report as Listener
from picq.design.result import versions, write_whole
from picq.errors import SpecError
from picq.inverse.appraise import places, scattering, series, worst
from picq.inverse.contour import outlines
from picq.inverse.factor import checked_backend
from picq.inverse.feasible import check
from picq.inverse.finish import Finished, finish
from picq.inverse.objective import score
from picq.inverse.plots import draw_search
from picq.inverse.problem import Problem
from picq.inverse.saved import Saved
from picq.inverse.search import Grid, Point, explore, exploring, recipe, search
from picq.inverse.spec import FreeFormSpec, load_free_form
from picq.technology import Technology

_EVERY = 10
"""Iterations between two checkpoints, and two pictures."""


@dataclass(frozen=True, eq=False)
class FreeFormJob:
    """A free-form specification, understood."""

    spec: FreeFormSpec
    tech: Technology
    problem: Problem

    @classmethod
    def read(cls, path: Path, backend: str = "superlu") -> "FreeFormJob":
        """Read a specification file, and find what cannot be simulated.

        Args:
            path: of the file.
            backend: of the field solver, see ``factor.solve``.

        Raises:
            SpecError: an entry is wrong; names its place in the file. The backend is not there.
        """
        return cls.of(load_free_form(path), backend)

    @classmethod
    def of(cls, spec: FreeFormSpec, backend: str = "superlu") -> "FreeFormJob":
        """The job of a specification, after finding what cannot be simulated.

        Raises:
            SpecError: what ``picq.inverse.feasible`` finds; channels that are not there, contradictory targets.
        """
        tech = catalogue.technology(spec.technology)
        problem = Problem.of(spec, tech, checked_backend(backend))
        _ = problem.windows
        check(problem, tech)
        return cls(spec, tech, problem)

    def search(
        self,
        checkpoint: Path | None = None,
        *,
        resume: bool = False,
        watch: Path | None = None,
        report: Listener = silent,
    ) -> np.ndarray:
        """The latent density of the finest grid; see ``picq.inverse.search``.

        Args:
            checkpoint: file to keep the search in, with every tenth iteration.
            resume: go on from it.
            watch: folder for pictures of every tenth iteration.
            report: is told of every iteration.

        Raises:
            SpecError: ``resume`` without a checkpoint, or with that of another specification.
        """
        plan = recipe(self.problem)
        history: list[tuple[int, float, float]] = []
        point = _loaded(checkpoint, self.spec) if resume else Point(0, 0, self._explore(report))
        total = sum(stage.iterations for stage in plan)
        done = sum(stage.iterations for stage in plan[: point.stage]) + point.iteration
        latent, grid = point.latent, None
        for now, figures in search(self.problem, plan, point):
            latent, done = now.latent, done + 1
            history.append((now.stage, figures.score, figures.solid + figures.void))
            report(Progress("search", done, total, {"score": figures.score}))
            last = done == total
            if checkpoint is not None and (done % _EVERY == 0 or last):
                _save(checkpoint, now, self.spec)
            if watch is not None and (done % _EVERY == 0 or last):
                stage = plan[now.stage]
                grid = grid if grid is not None and grid.step == stage.step else Grid(self.problem, stage.step)
                filled = np.asarray(grid.density.projected(latent, stage.beta[1]))
                s = np.asarray(grid.region.scattering(grid.problem.permittivity(filled)))
                picture = draw_search(self.problem, history, filled, s, f"iteration {done}")
                write_whole(watch / "search.png", picture)
        return latent

    def _explore(self, report: Listener) -> np.ndarray:
        stage, done = exploring(self.problem), itertools.count(1)
        total = stage.iterations * self.spec.search.starts
        tell = lambda start, _, f: report(Progress("starts", next(done), total, {"start": start + 1, "score": f.score}))
        return explore(self.problem, stage, tell)

    def finish(self, latent: np.ndarray, report: Listener = silent) -> Finished:
        """Draw, check and repair; see ``picq.inverse.finish``."""
        told = lambda what, done, total, worth: report(Progress(what, done, total, {"score": worth}))
        return finish(self.problem, latent, told)

    def saved(self, finished: Finished) -> Saved:
        """The finished device with its S-parameters over wavelength, width and index."""
        problem, step = self.problem, self.spec.mask_step
        found = series(problem, self.tech, finished.region, self.spec.search.steps[-1])
        box = kdb.DBox(*problem.box).to_itype(0.001)
        figures = {
            "score": finished.score,
            "score_of_pixels": finished.pixels,
            "rounds": [vars(r) for r in finished.rounds],
            "targets": worst(problem, finished.s),
            "damped": found.damped,
            "score_on_coarser_grid": float(score(scattering(problem, finished.region, 2 * step), problem.windows)),
        }
        return Saved(
            self.spec.name,
            self.spec.technology,
            self.spec.cross_section,
            tuple(outlines(finished.region & kdb.Region(box))),
            places(problem),
            found.variables,
            found.coefficients,
            found.error,
            self.spec.materials is None,
            {"width": self.spec.rules.width, "space": self.spec.rules.space, "source": self.spec.rules.source},
            figures,
            {"specification": self.spec.model_dump(mode="json"), "digest": self.spec.digest(), "versions": versions()},
        )


def _save(path: Path, point: Point, spec: FreeFormSpec) -> None:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"moment{i}": m for i, m in enumerate(point.moments)}
    arrays |= {"stage": point.stage, "iteration": point.iteration, "latent": point.latent, "digest": spec.digest()}
    np.savez(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def _loaded(path: Path | None, spec: FreeFormSpec) -> Point:
    if path is None or not path.is_file():
        raise SpecError("there is no checkpoint to go on from", got=path, remedy="run without --resume")
    try:
        with np.load(path) as d:
            digest = str(d["digest"])
            moments = tuple(d[f"moment{i}"] for i in range(sum(name.startswith("moment") for name in d.files)))
            point = Point(int(d["stage"]), int(d["iteration"]), d["latent"], moments)
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise SpecError(f"the checkpoint {path.name} is damaged", got=error, remedy="run without --resume") from error
    if digest != spec.digest():
        raise SpecError(
            f"the checkpoint {path.name} is of another specification",
            got=digest[:12],
            allowed=spec.digest()[:12],
            remedy="undo the change, or run without --resume",
        )
    return point
