"""Yield of a free-form device over width, thickness and temperature, every sample through the field solver.

A sample is a chip of the technology's variation, as in the tolerance analysis of circuits, with one place: all edges of
device and guides move by half of the change of width, and thickness and temperature change the film's index. Where
``materials`` are given, which belong to no film, only edges move. Each is solved at all wavelengths of the
specification on the finest grid of the search (``fabricated``), in the materials that match it to the grid of the
score; the third dimension, rough edges and slanted walls are not in
it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from picq.design.progress import Progress, silent
from picq.design.progress import Report as Listener
from picq.design.result import versions, write_whole
from picq.design.statistics import PERCENTILES, Yield
from picq.design.variation import QUANTITIES, Chips, Variation, sources
from picq.errors import SpecError
from picq.inverse.fabricated import Copies, Copy
from picq.inverse.finish import GUIDES
from picq.inverse.objective import distances, hardest, named
from picq.inverse.problem import Problem
from picq.inverse.reopened import mask, specification
from picq.inverse.saved import Saved
from picq.technology import Process, Technology

_STREAM = 0x737072  # keeps the samples apart from those of other purposes with the same seed

_ENOUGH = 100
"""Samples from which shares of the variance are given: below, a cubic's three parameters explain too much by chance."""


@dataclass(frozen=True)
class Row:
    """A target over the samples; powers in dB, at the wavelength where each sample is worst.

    Attributes:
        source, sink: channels, e.g. ``o1@0``.
        asked_db: lower and upper bound; None where there is none.
        nominal_db: as drawn.
        percentiles_db: by ``p1``, ``p5`` ….
        alone: yield on this target alone.
    """

    source: str
    sink: str
    asked_db: tuple[float | None, float | None]
    nominal_db: float
    percentiles_db: Mapping[str, float]
    alone: Yield


@dataclass(frozen=True, eq=False)
class Spread:
    """A free-form device as fabricated.

    Attributes:
        name, technology, digest: of the device and its specification.
        seed, samples: of the chips.
        film: whether thickness and temperature act.
        sigma: standard deviations by quantity, ``global`` and ``local``.
        sources: where each comes from, likewise.
        nominal: score as drawn.
        total: yield, score at least 0.
        percentiles: of the score, by ``p1``, ``p5`` ….
        rows: the targets.
        explained: share of the score's variance that a cubic in one quantity explains; empty below 100 samples.
        error, checked: of |S|, the largest on so many samples that were solved on the whole grid too; none if all were.
        scores: [sample].
        offsets: by quantity, nm and K, [sample].
        versions: of what computed it.
    """

    name: str
    technology: str
    digest: str
    seed: int
    samples: int
    film: bool
    sigma: Mapping[str, Mapping[str, float]]
    sources: Mapping[str, Mapping[str, str]]
    nominal: float
    total: Yield
    percentiles: Mapping[str, float]
    rows: tuple[Row, ...]
    explained: Mapping[str, float]
    error: float
    checked: int
    scores: np.ndarray
    offsets: Mapping[str, np.ndarray]
    versions: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        offsets = {name: np.round(v, 6).tolist() for name, v in self.offsets.items()}
        rows = [asdict(row) for row in self.rows]
        return plain | {
            "total": asdict(self.total), "rows": rows, "scores": np.round(self.scores, 9).tolist(), "offsets": offsets,
            "confidence": 0.95,
        }  # fmt: skip

    def text(self) -> str:
        """The result for a person."""
        both = lambda q: float(np.hypot(self.sigma["global"][q], self.sigma["local"][q]))
        varied = ", ".join(f"{q.rsplit('_', 1)[0]} {both(q):.3g} {QUANTITIES[q]}" for q in self.offsets)
        lines = [
            f"{self.name}: {self.samples} samples of {self.technology}, seed {self.seed}; yields with 95 % intervals"
        ]
        lines.append(f"  one sigma: {varied}" + ("" if self.film else "; given permittivities: only edges move"))
        lines.append(f"  yield: {self.total}")
        p = self.percentiles
        lines.append(
            f"  score: as drawn {self.nominal:.4f}, median {p['p50']:.4f}, 5 to 95 % {p['p5']:.4f} … {p['p95']:.4f}"
        )
        for row in self.rows:
            p, (low, high) = row.percentiles_db, row.asked_db
            asked = " ".join(f"{sign} {v:.3g}" for sign, v in (("≥", low), ("≤", high)) if v is not None)
            lines.append(
                f"  {row.source} -> {row.sink}, {asked} dB: as drawn {row.nominal_db:.2f}, median {p['p50']:.2f}, "
                f"5 to 95 % {p['p5']:.2f} … {p['p95']:.2f}, alone {row.alone}"
            )
        if self.explained:
            parts = ", ".join(f"{q.rsplit('_', 1)[0]} {100 * v:.0f} %" for q, v in self.explained.items())
            lines.append(f"  of the score's variance: {parts}")
        how = (
            f"|S| right to {self.error:.1g} on {self.checked} samples solved as a whole"
            if self.checked
            else "every sample solved as a whole"
        )
        return "\n".join([*lines, f"  in two dimensions, guides and device on the finest grid of the search; {how}"])

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all; equal results give equal bytes."""
        write_whole(path, (json.dumps(self.as_dict(), indent=1, sort_keys=True) + "\n").encode())


def spread(saved: Saved, tech: Technology, samples: int = 1000, seed: int = 1, report: Listener = silent) -> Spread:
    """Monte Carlo of one device.

    Args:
        saved: the device.
        tech: its technology.
        samples: chips; chip i depends on the seed and i only.
        seed: of the chips.
        report: is told of every few samples.

    Raises:
        SpecError: no samples; another technology than the device's; a device that does not say what it was designed
            for; a guide that on a sampled chip no longer guides its mode.
    """
    if samples < 1:
        raise SpecError("samples", got=samples, allowed="1 or more")
    if tech.name != saved.technology:
        raise SpecError("the device is of another technology", got=tech.name, allowed=saved.technology)
    spec = specification(saved)
    problem = Problem.of(spec, tech)
    step, w = spec.search.steps[-1], problem.windows
    copies = Copies(problem.matched(step), mask(saved, problem, GUIDES), step)
    offsets = _offsets(tech, problem, samples, seed)
    made = [_copy(problem, tech, {q: float(v[i]) for q, v in offsets.items()}) for i in range(samples)]
    scores: list[float] = []

    def told(s: np.ndarray) -> None:
        scores.append(-float(distances(s, w).max()))
        report(Progress("samples", len(scores), samples, {"yield %": 100 * float(np.mean(np.array(scores) >= 0))}))

    found = copies.solved(made, told)
    drawn = copies.whole(_copy(problem, tech, {}))
    far = np.array([distances(s, w) for s in (drawn, *found.s)])
    power = np.array([np.abs(s[tuple(w.place.T)]) ** 2 for s in (drawn, *found.s)])
    nominal, *score = -far.max(axis=1)
    score = np.array(score)
    variation = Variation.of(tech)
    sigma = {"global": variation.chip, "local": variation.local}
    return Spread(
        saved.name,
        saved.technology,
        str(saved.provenance.get("digest", "")),
        seed,
        samples,
        spec.materials is None,
        {part: {q: float(getattr(p, q)) for q in offsets} for part, p in sigma.items()},
        {part: {q: v for q, v in each.items() if q in offsets} for part, each in sources(tech).items()},
        float(nominal),
        Yield.of(int((score >= 0).sum()), samples),
        _percentiles(score),
        _rows(problem, far, power),
        {q: _explained(v, score) for q, v in offsets.items()} if samples >= _ENOUGH else {},
        found.error,
        found.checked,
        score,
        offsets,
        versions(),
    )


def _offsets(tech: Technology, problem: Problem, samples: int, seed: int) -> dict[str, np.ndarray]:
    """Of each chip and its place together, by the quantities that act."""
    spec, names = problem.spec, ["width_nm"]
    if spec.materials is None:
        names += ["thickness_nm", "temperature_k"]
        names += ["slab_nm"] if tech.guide(spec.cross_section).partial_etch else []
    chip, local = jax.jit(jax.vmap(Chips(tech, 1, seed, _STREAM).offsets))(jnp.arange(samples))
    return {name: np.asarray(getattr(chip, name) + getattr(local, name)[:, 0]) for name in names}


def _copy(problem: Problem, tech: Technology, offsets: Mapping[str, float]) -> Copy:
    """A chip's device."""
    made = problem.at(tech.at(Process(**offsets))).matched(problem.spec.search.steps[-1])
    return Copy(offsets.get("width_nm", 0.0), made.core, made.cladding)


def _rows(problem: Problem, far: np.ndarray, power: np.ndarray) -> tuple[Row, ...]:
    """The targets; first row of ``far`` and ``power`` [1 + sample, row] is the nominal device."""
    worst = hardest(far, problem.windows)
    far, power = (np.take_along_axis(v, worst, axis=1) for v in (far, power))
    db = 10 * np.log10(np.maximum(power, 1e-12))
    return tuple(
        Row(
            named(target.source),
            named(target.sink),
            target.asked_db,
            float(db[0, i]),
            _percentiles(db[1:, i]),
            Yield.of(int((far[1:, i] <= 0).sum()), len(far) - 1),
        )
        for i, target in enumerate(problem.targets)
    )


def _percentiles(values: np.ndarray) -> dict[str, float]:
    return {f"p{p:g}": float(v) for p, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}


def _explained(x: np.ndarray, y: np.ndarray) -> float:
    """Share of the variance of ``y`` that the best cubic in ``x`` explains; 0 where nothing varies.

    The first-order index of Sobol, Math. Comput. Simul. 55, 271 (2001), as far as a cubic is the conditional mean.
    """
    if not np.ptp(x) or not np.ptp(y):
        return 0.0
    return float(np.var(np.polynomial.Chebyshev.fit(x, y, 3)(x)) / np.var(y))
