"""The main job for a free-form device: from a specification to a signed-off cell that chips can use."""

import hashlib
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
from picq.inverse.finish import Finished, Watch, finish, reshape
from picq.inverse.objective import score
from picq.inverse.plots import draw_search
from picq.inverse.problem import Problem
from picq.inverse.saved import Saved
from picq.inverse.search import STARTS, Grid, Point, explore, exploring, recipe, search
from picq.inverse.spec import FreeFormSpec, load_free_form
from picq.signoff.drc import read_layout
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
            checkpoint: file to keep the search in, after every start and every tenth iteration.
            resume: go on from it.
            watch: folder for pictures of every tenth iteration.
            report: is told of every iteration.

        Raises:
            SpecError: ``resume`` without a checkpoint, or with that of another specification.
        """
        plan = recipe(self.problem)
        history: list[tuple[int, float, float]] = []
        point = _loaded(checkpoint, self.spec) if resume else Point(STARTS, 0, np.empty(0))
        if point.stage == STARTS:
            point = self._explored(point, checkpoint, report)
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

    def _explored(self, point: Point, checkpoint: Path | None, report: Listener) -> Point:
        stage = exploring(self.problem)
        done = itertools.count(1 + stage.iterations * point.iteration)
        total = stage.iterations * self.spec.search.starts
        tell = lambda start, _, f: report(Progress("starts", next(done), total, {"start": start + 1, "score": f.score}))
        for now in explore(self.problem, stage, point, tell):
            point = now
            if checkpoint is not None:
                _save(checkpoint, point, self.spec)
        return Point(0, 0, point.latent)

    def finish(self, latent: np.ndarray, report: Listener = silent) -> Finished:
        """Draw, check and repair; see ``picq.inverse.finish``."""
        return finish(self.problem, latent, _told(report))

    def drawn(self, path: Path) -> kdb.Region:
        """The guide's layer of a mask that somebody drew, nm.

        Raises:
            LayoutError: as for ``read_layout``.
            SpecError: nothing is drawn in the region.
        """
        mask, layer = read_layout(path), self.tech.layer(self.tech.cross_section(self.spec.cross_section).layer)
        found, number = kdb.Region(), mask.layer(*layer)
        for cell in mask.top_cells():
            found.insert(cell.begin_shapes_rec(number))
        found = found.transformed(kdb.ICplxTrans(mask.dbu / 0.001)).merged()
        box = self.problem.box
        if (found & kdb.Region(kdb.DBox(*box).to_itype(0.001))).is_empty():
            raise SpecError(
                f"{path.name} has nothing in the region that is designed",
                got=f"{found.count()} polygons on layer {layer[0]}/{layer[1]}",
                allowed=f"polygons within x {box.left:g} to {box.right:g}, y {box.bottom:g} to {box.top:g} um",
                remedy="draw the device about the origin, on the layer of `cross_section`",
            )
        return found

    def reshape(self, region: kdb.Region, report: Listener = silent) -> Finished:
        """Move the walls of a drawn mask; see ``picq.inverse.finish``."""
        return reshape(self.problem, region, _told(report))

    def saved(self, finished: Finished, drawn: Path | None = None) -> Saved:
        """The finished device with its S-parameters over wavelength, width and index.

        Args:
            finished: the design.
            drawn: the mask that it was made of, for its provenance.
        """
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
            {
                "specification": self.spec.model_dump(mode="json"),
                "digest": self.spec.digest(),
                "versions": versions(),
                **({} if drawn is None else {"drawn_sha256": hashlib.sha256(drawn.read_bytes()).hexdigest()}),
            },
        )


def _told(report: Listener) -> Watch:
    return lambda what, done, total, worth: report(Progress(what, done, total, {"score": worth}))


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
