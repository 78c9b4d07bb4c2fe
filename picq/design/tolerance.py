"""Tolerance: Monte Carlo over fabrication and temperature, as fabricated and after trimming.

Each sample is a chip: global offsets shared by the chip plus local offsets of every place. A narrow-band silicon filter
misses its channels on nearly every chip as fabricated (1 nm of width moves it by some 70 GHz), so both yields are
reported: with the heaters as designed, and with each stage's heater re-biased on the finished chip within its limit
(``Device.rebiased``: the phase of every stage at the comb's centre is put back). A further descent over the heater
powers gained nothing that 1,000 samples could show (93.7 to 94.2 %, without drift), so it is not done.

Heaters are set once, at the reference temperature. The chip's temperature (``global.temperature_k``) then drifts by its
own sigma, which no trimming takes away; temperature differences between places (``local``) are static and trimmed.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from picq.circuit import Circuit
from picq.design.problem import Problem
from picq.design.progress import Progress, Report, silent
from picq.design.result import npz, versions, write_whole
from picq.design.sensitivity import Sensitivity, sensitivities
from picq.design.statistics import PERCENTILES, SpectrumHistogram, Yield
from picq.design.variation import QUANTITIES, Chips, Variation, sources
from picq.errors import NumericsError

_STREAM = 0x746F6C  # keeps the samples apart from the optimiser's random numbers of the same seed


@dataclass(frozen=True)
class Outcome:
    """How one kind of chips fares.

    Attributes:
        total: yield on all targets.
        by_target: label -> yield on that target alone.
        distributions: label -> mean, std and percentiles of the worst channel, units in the label.
        figures: every sample, [sample, figure, channel].
        bands: percentiles (``PERCENTILES``) of the transmission in dB, [percentile, channel, point].
        lost: chips without some figure of the source (no resonances that one could name). They fail on that target,
            and its distribution is of the other chips.
    """

    total: Yield
    by_target: Mapping[str, Yield]
    distributions: Mapping[str, Mapping[str, float]]
    figures: np.ndarray
    bands: np.ndarray
    lost: int = 0


@dataclass(frozen=True)
class Heaters:
    """How trimmed chips are driven, as far as it has one unit: power of heaters in mW, temperatures at which devices
    are held in K, or by how many GHz the light follows a chip's comb.

    Attributes:
        unit: ``mW``, ``K`` or ``GHz``.
        mean: of each trimmed heater, by name.
        at_limit: fraction of chips on which a heater stands at its limit.
        total_mean, total_p95, total_max: of the sum over the trimmed heaters.
        powers: every sample, [sample, heater].
    """

    unit: str
    mean: Mapping[str, float]
    at_limit: float
    total_mean: float
    total_p95: float
    total_max: float
    powers: np.ndarray

    def __str__(self) -> str:
        """What this takes, for a person."""
        amounts = (
            f"{self.total_mean:.0f} {self.unit} on average, {self.total_p95:.0f} {self.unit} at the 95th percentile"
        )
        if self.unit == "GHz":
            return f"the grid follows each chip's comb, by {float(np.sqrt((self.powers**2).mean())):.0f} GHz rms"
        return f"heaters take {amounts}" if self.unit == "mW" else f"held {amounts} above the reference temperature"


@dataclass(frozen=True)
class Tolerance:
    """Result of a tolerance analysis.

    Attributes:
        name, seed, samples: of the run.
        sigma: standard deviations used: ``global`` and ``local`` by quantity.
        source: where they come from on the whole.
        ghz: the grid of the bands, shape [point].
        channels: names of the outputs.
        as_fabricated: with the heaters as designed.
        trimmed: after re-biasing; None when the specification trims nothing.
        heaters: how trimmed chips are driven, by unit; empty likewise.
        sensitivities: derivatives of the figures at the nominal design.
        sources: where each of ``sigma`` comes from: ``global`` and ``local`` by quantity.
    """

    name: str
    seed: int
    samples: int
    sigma: Mapping[str, Mapping[str, float]]
    source: str
    ghz: np.ndarray
    channels: tuple[str, ...]
    as_fabricated: Outcome
    trimmed: Outcome | None
    heaters: tuple[Heaters, ...]
    sensitivities: tuple[Sensitivity, ...]
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: everything but the arrays."""
        plain = dataclasses.asdict(self)
        del plain["ghz"]
        outcomes = [plain[name] for name in ("as_fabricated", "trimmed") if plain[name] is not None]
        for part, arrays in (
            *((o, ("figures", "bands")) for o in outcomes),
            *((h, ("powers",)) for h in plain["heaters"]),
        ):
            for array in arrays:
                del part[array]
        return {**plain, "confidence": 0.95, "percentiles": list(PERCENTILES), "versions": versions()}

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays: ``ghz``, ``as_fabricated_figures``, ``as_fabricated_bands``, …"""
        found = {"ghz": self.ghz, "percentiles": np.array(PERCENTILES)}
        for name, outcome in (("as_fabricated", self.as_fabricated), ("trimmed", self.trimmed)):
            if outcome is not None:
                found |= {f"{name}_figures": outcome.figures, f"{name}_bands": outcome.bands}
        return found | {f"heater_{heat.unit.lower()}": heat.powers for heat in self.heaters}

    def save(self, path: Path) -> None:
        """Write ``path`` (JSON) and the arrays beside it (.npz), each atomically; equal results give equal bytes."""
        write_whole(Path(path).with_suffix(".npz"), npz(self.arrays()))
        write_whole(Path(path), (json.dumps(self.as_dict(), indent=2, sort_keys=True) + "\n").encode())

    def text(self) -> str:
        """The result for a person."""
        lines = [f"{self.name}: {self.samples} samples, seed {self.seed}; yields with 95 % intervals"]
        lines.append(f"  as fabricated, heaters as designed: {self.as_fabricated.total}")
        if self.trimmed is None:
            lines.append("  after trimming: not asked for (tolerance.trim names no heater)")
            outcome = self.as_fabricated
        else:
            lines.append(f"  after trimming: {self.trimmed.total}; {', '.join(map(str, self.heaters))}")
            drift = self.sigma["global"].get("temperature_k", 0.0)
            lines.append(f"  trimmed once, at the reference temperature; it then drifts by {drift:g} K (one sigma)")
            outcome = self.trimmed
            if self.as_fabricated.total.high < self.trimmed.total.low:
                bare = 100 * self.as_fabricated.total.fraction
                lines.append(
                    f"  without trimming only {bare:.3g} % of chips meet the specification: it has to be trimmed"
                )
        if outcome.lost:
            lines.append(f"  {outcome.lost} chips have no resonances that one could name, and fail")
        for label, spread in outcome.distributions.items():
            lines.append(
                f"  {label}: median {spread['p50']:.3g}, 5 to 95 % {spread['p5']:.3g} … {spread['p95']:.3g}, "
                f"alone {outcome.by_target[label]}"
            )
        return "\n".join(lines)


def tolerance(
    problem: Problem, circuit: Circuit, *, samples: int | None = None, chunk: int | None = None, report: Report = silent
) -> Tolerance:
    """Monte Carlo over the technology's variation.

    Args:
        problem: says what is measured, what may be trimmed, how many samples and the seed.
        circuit: the designed circuit as it is measured: ``design.circuit(problem, whole=False)``.
        samples: instead of the specification's number.
        chunk: samples held in memory at once, by default ``chunk_of``; sample i depends on the seed and i only.
        report: called after every chunk.

    Raises:
        NumericsError: a sampled width leaves its index model's range, or a spectrum (without a source, a figure) is
            not finite; names the sample. Or no chip has a figure.
    """
    spec = problem.spec
    count = spec.tolerance.samples if samples is None else samples
    chunk = chunk or chunk_of(problem)
    variation = Variation.of(problem.tech)
    chips = chips_of(problem, len(circuit.sites))
    _check_ranges(problem, chips, count)
    kinds = ("as_fabricated", "trimmed") if problem.trims else ("as_fabricated",)
    outputs, points = len(spec.channels.outputs), problem.comb.ghz.size
    histograms = {kind: SpectrumHistogram(outputs, points) for kind in kinds}
    figures: dict[str, list[np.ndarray]] = {kind: [] for kind in kinds}
    powers: list[np.ndarray] = []
    passed = dict.fromkeys(kinds, 0)
    for first in range(0, count, chunk):
        size = min(chunk, count - first)
        made, power = fabricated(problem, circuit, jnp.arange(first, first + chunk))
        for kind in kinds:
            db, measured = (np.asarray(array)[:size] for array in made[kind])
            _check_finite(chips, db if problem.source else measured, first)
            histograms[kind].add(db)
            figures[kind].append(measured)
            passed[kind] += int(problem.met(problem.worst(measured)).all(-1).sum())
        powers.append(np.asarray(power)[:size])
        done = first + size
        report(Progress("tolerance", done, count, {f"{kind} yield %": 100 * n / done for kind, n in passed.items()}))
    outcomes = {kind: _outcome(problem, np.concatenate(figures[kind]), histograms[kind]) for kind in kinds}
    part = lambda process: {name: float(getattr(process, name)) for name in QUANTITIES}
    return Tolerance(
        name=spec.name,
        seed=spec.seed,
        samples=count,
        sigma={"global": part(variation.chip), "local": part(variation.local)},
        source=str(problem.tech.platform.variation.get("source", "")),
        ghz=problem.comb.ghz,
        channels=spec.channels.outputs,
        as_fabricated=outcomes["as_fabricated"],
        trimmed=outcomes.get("trimmed"),
        heaters=_heaters(problem, np.concatenate(powers)),
        sensitivities=sensitivities(problem, circuit, variation),
        sources=sources(problem.tech),
    )


def chunk_of(problem: Problem) -> int:
    """Samples that are computed at once.

    A source's joint spectra are large: on two cores, layouts/sfwm_source.yaml took 0.072 s a chip by tens and by
    twenty-fives, with 4.2 and 5.3 GB at most, and no less time by hundreds.
    """
    return 100 if problem.source is None else 10


def chips_of(problem: Problem, sites: int) -> Chips:
    """The chips of a problem's tolerance analysis, for a circuit with that many places."""
    return Chips(problem.tech, sites, problem.spec.seed, _STREAM, problem.places)


@partial(jax.jit, static_argnums=0)
def fabricated(problem: Problem, circuit: Circuit, indices: jax.Array) -> tuple[dict[str, Any], jax.Array]:
    """For each kind (spectra in dB, figures) over samples, and the heater powers of the trimmed ones."""
    chips = chips_of(problem, len(circuit.sites))

    def one(index: jax.Array) -> tuple[dict[str, Any], jax.Array]:
        tech = chips.technology(index)
        rough = chips.made(circuit, index)
        trimmed, powers = problem.trimmed(rough, tech)
        made = {"as_fabricated": rough, **({"trimmed": trimmed} if problem.trims else {})}
        spectra = {kind: problem.spectra(chip, tech) for kind, chip in made.items()}
        return {kind: (db, problem.measure(db, made[kind], tech, circuit)) for kind, db in spectra.items()}, powers

    return jax.vmap(one)(indices)


def _check_ranges(problem: Problem, chips: Chips, count: int) -> None:
    """Refuse samples on which a guide leaves its tables: traced values do not meet the models' own check."""
    chip, local = jax.jit(jax.vmap(chips.offsets))(jnp.arange(count))
    offsets = {
        name: np.asarray(getattr(chip, name))[:, None] + np.pad(np.asarray(getattr(local, name)), ((0, 0), (0, 1)))
        for name in QUANTITIES
    }
    tech = chips.tech
    for xs in problem.guides:
        made_of = {
            "width": xs.width + 1e-3 * offsets["width_nm"],
            "thickness": tech.thickness + 1e-3 * offsets["thickness_nm"],
            "temperature_k": tech.temperature_k + offsets["temperature_k"],
        }
        if xs.partial_etch:
            made_of["slab"] = tech.slab + 1e-3 * offsets["slab_nm"]
        tables = [xs.modes["te0"], *([tech.couplers[xs.name].splitting] if xs.name in tech.couplers else [])]
        for (name, made), table in product(made_of.items(), tables):
            ends = getattr(table.ranges, name)
            if not ends[0] <= made.min() <= made.max() <= ends[1]:
                index = int(np.argmax(np.abs(made - np.mean(made)).max(axis=1)))
                raise NumericsError(
                    f"the {name} of cross-section '{xs.name}' on sampled chips leaves its table, furthest on {index}",
                    got=f"{made.min():.4g} … {made.max():.4g}",
                    allowed="{:g} … {:g}".format(*ends),
                    remedy=f"make the sigma of {name} in the technology's variation.yaml smaller, or widen the range "
                    "in cross_sections.yaml (or the tolerance in stack.yaml) and run `picq bake`",
                )


def _check_finite(chips: Chips, values: np.ndarray, first: int) -> None:
    """Of spectra or figures [sample, ., .]. A chip may be without a source's figures, never without a spectrum."""
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=(1, 2)))
    if wrong.size:
        index = first + int(wrong[0])
        chip, _ = chips.offsets(index)
        raise NumericsError(
            f"sample {index} is not finite",
            got=", ".join(f"{name} {float(getattr(chip, name)):.4g}" for name in QUANTITIES),
            remedy="the technology's variation leaves the range of its models",
        )


def _outcome(problem: Problem, figures: np.ndarray, histogram: SpectrumHistogram) -> Outcome:
    worst = problem.worst(figures)
    met, there = problem.met(worst), np.isfinite(worst)
    labels = problem.spec.labels
    for label, column in zip(labels, there.T, strict=True):
        if not column.any():
            raise NumericsError(
                f"no chip has the figure {label}",
                got=f"{len(worst)} samples without resonances that one could name",
                remedy="look at the nominal design (`picq source`), or at the technology's variation",
            )
    return Outcome(
        total=Yield.of(int(met.all(axis=1).sum()), len(met)),
        by_target={label: Yield.of(int(met[:, i].sum()), len(met)) for i, label in enumerate(labels)},
        distributions={label: _spread(worst[there[:, i], i]) for i, label in enumerate(labels)},
        figures=figures,
        bands=histogram.percentiles(),
        lost=int((~there).any(axis=1).sum()),
    )


def _spread(values: np.ndarray) -> dict[str, float]:
    named = {f"p{p:g}": float(v) for p, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0, **named}


def _heaters(problem: Problem, powers: np.ndarray) -> tuple[Heaters, ...]:
    found = []
    for unit, shown in (("mw", "mW"), ("k", "K"), ("ghz", "GHz")):
        mine = [i for i, slot in enumerate(problem.trims) if slot.unit == unit]
        if not mine:
            continue
        slots, own = [problem.trims[i] for i in mine], powers[:, mine]
        total, at_limit = own.sum(axis=1), own >= np.array([slot.upper for slot in slots]) - 1e-9
        if unit != "mw":
            at_limit |= own <= np.array([slot.lower for slot in slots]) + 1e-9
        mean = dict(zip([slot.name for slot in slots], map(float, own.mean(axis=0)), strict=True))
        ends = (float(total.mean()), float(np.percentile(total, 95)), float(total.max()))
        found.append(Heaters(shown, mean, float(at_limit.any(axis=1).mean()), *ends, own))
    return tuple(found)
