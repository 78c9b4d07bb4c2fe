"""What a free-form device does in three dimensions, beside what two dimensions said of it.

The search and the chip's model see a plane with the film's effective index. In three dimensions light also leaves that
plane, and modes are those of the guides. How far the grid is off is estimated from a coarser one: as the whole change
between them, which is the error of the finer one if that falls with the step and the steps are 2 to 1; the third of it,
which second order would allow, holds for straight walls only (``scene3d``).
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from picq.design.progress import Progress, silent
from picq.design.progress import Report as Listener
from picq.design.result import versions, write_whole
from picq.errors import NumericsError, SpecError
from picq.inverse.fdtd import Scene, drive, installed, require
from picq.inverse.objective import distances, hardest, named
from picq.inverse.saved import Saved
from picq.inverse.scene3d import Space
from picq.technology import Technology

STEPS = (0.04, 0.02)
"""Cells, um: of the estimate and of the result."""

_PURE = 0.001
"""Of a power: what radiation, cut off by the ends of the ports' planes, may change in it. A straight silicon guide
transmits 1 within 1e-4 (``tests/oracles``); devices radiate more."""

_SETTLED = 5e-4  # of the power sent in: change in the last crossing at which the fields are left to themselves
_CROSSINGS = 30
_RATE = 4.5e7  # cells times steps in a second of one CPU core, measured: 4e7 to 8e7
_MOST = 4e11  # of them without an accelerator: two and a half hours
_BYTES = 450  # a cell, measured
_BASE_GIB = 1.2  # of Python with its libraries
_MOST_GIB = 16.0


@dataclass(frozen=True)
class Estimate:
    """What a verification takes.

    Attributes:
        cells: of the finest grid.
        cell_steps: of all runs, with two crossings of the device after the pulse.
        gib: memory.
        minutes: on one CPU core.
    """

    cells: int
    cell_steps: float
    gib: float
    minutes: float

    def text(self) -> str:
        """A line."""
        time = f"{self.minutes:.1f} minutes" if self.minutes < 100 else f"{self.minutes / 60:.1f} hours"
        return f"{self.cells / 1e6:.1f} million cells, {self.gib:.1f} GiB, about {time} on one CPU core"


@dataclass(frozen=True)
class Row:
    """A target at its worst wavelength in three dimensions; powers.

    Attributes:
        source, sink: channels, e.g. ``o1@0``.
        low, high: asked.
        wl: um.
        plane: in two dimensions.
        space: in three, for each step.
        error: of the last one: its change from the coarser grid, of the fields' last crossing, and 0.1 % of itself.
    """

    source: str
    sink: str
    low: float
    high: float
    wl: float
    plane: float
    space: tuple[float, ...]
    error: float

    @property
    def gap(self) -> float:
        """From two to three dimensions."""
        return self.space[-1] - self.plane

    @property
    def verdict(self) -> str:
        """``met`` or ``missed``, or ``within the error`` where the estimate does not tell."""
        low, high = max(self.space[-1] - self.error, 0.0), min(self.space[-1] + self.error, 1.0)
        if low >= self.low and high <= self.high:
            return "met"
        return "missed" if high < self.low or low > self.high else "within the error"


@dataclass(frozen=True)
class Verification:
    """A device in three dimensions.

    Attributes:
        name, technology, digest: of the device and its specification.
        steps: cells, um.
        rows: the targets.
        wl: wavelengths, um.
        channels: names in the order of ``powers``.
        powers: from each channel in ``sources``, on the finest grid, [wl, out, source].
        sources: channels that light was sent into.
        most: largest sum of the powers that come out.
        versions: of what computed it.
    """

    name: str
    technology: str
    digest: str
    steps: tuple[float, ...]
    rows: tuple[Row, ...]
    wl: tuple[float, ...]
    channels: tuple[str, ...]
    powers: np.ndarray
    sources: tuple[str, ...]
    most: float
    versions: Mapping[str, str]

    @property
    def met(self) -> bool:
        """Whether all targets are, beyond the error."""
        return all(row.verdict == "met" for row in self.rows)

    def verdict(self) -> str:
        """A sentence."""
        told = [row.verdict for row in self.rows]
        parts = (f"{told.count(what)} {what}" for what in ("met", "within the error", "missed") if what in told)
        return f"In three dimensions, of {len(told)} targets {', '.join(parts)}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        rows = [dataclasses.asdict(r) | {"gap": r.gap, "verdict": r.verdict} for r in self.rows]
        return plain | {"rows": rows, "powers": np.round(self.powers, 6).tolist(), "versions": dict(self.versions)}

    def text(self) -> str:
        """A table."""
        db = lambda p: f"{10 * np.log10(max(p, 1e-12)):7.2f}"
        cells = "".join(f"{f'3-D {1e3 * s:g} nm':>12}" for s in self.steps)
        lines = [f"{self.name}, powers in dB", f"{'':16}{'um':>8}{'2-D':>9}{cells}{'± (linear)':>12}"]
        for r in self.rows:
            values = "".join(f"{db(p):>12}" for p in r.space)
            arrow = f"{r.source} -> {r.sink}"
            lines.append(f"{arrow:16}{r.wl:8.4f}{db(r.plane):>9}{values}{r.error:12.4f}  {r.verdict}")
        return "\n".join([*lines, f"at most {self.most:.4f} of the power leaves by the ports' modes"])

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_whole(path, (json.dumps(self.as_dict(), indent=1, sort_keys=True) + "\n").encode())


def estimate(space: Space, steps: tuple[float, ...] = STEPS) -> Estimate:
    """What ``verify`` will take; computes nothing.

    Raises:
        SpecError: steps that are not two or more falling lengths.
    """
    _check(steps)
    scenes = [space.empty(step) for step in steps]
    cells = [float(np.prod(s.shape)) for s in scenes]
    runs = len(_sources(space))
    total = sum(n * (s.first + 2 * s.crossing) for n, s in zip(cells, scenes, strict=True)) * runs
    return Estimate(int(max(cells)), total, _BASE_GIB + max(cells) * _BYTES / 2**30, total / _RATE / 60)


def afforded(space: Space, steps: tuple[float, ...] = STEPS) -> Estimate:
    """What ``verify`` will take, where it will not refuse.

    Raises:
        SpecError: fdtdx is not installed; too many cells; as for ``estimate``.
    """
    require()
    cost = estimate(space, steps)
    if cost.gib > _MOST_GIB or (jax.default_backend() == "cpu" and cost.cell_steps > _MOST):
        raise SpecError(
            "the device is too large for these cells",
            got=f"{cost.text()}, with {len(steps)} grids down to {steps[-1]} um",
            allowed=f"{_MOST_GIB:g} GiB, and {_MOST / _RATE / 3600:.1f} hours without an accelerator",
            remedy=f"give coarser steps, e.g. {1.25 * steps[0]:g} and {1.5 * steps[-1]:g}",
        )
    return cost


def verify(saved: Saved, tech: Technology, steps: tuple[float, ...] = STEPS, report: Listener = silent) -> Verification:
    """Powers between the ports' modes in three dimensions.

    Args:
        saved: the device.
        tech: its technology.
        steps: cells, um, falling: the last gives the result, the one before its error.
        report: is told of every crossing of the device by light.

    Raises:
        SpecError: fdtdx is not installed; a device of bare permittivities, of another technology, of a crystal or with
            slanted walls; too many cells.
        NumericsError: fields that do not settle, modes that are not guided, more light out than in.
    """
    space = Space.of(saved, tech)
    afforded(space, steps)
    powers, change = [], 0.0
    for step in steps:
        found, last = _powers(space, space.scene(step), report)
        powers.append(found)
        change = max(change, last)
    return judged(saved, space, steps, np.array(powers), change)


def _check(steps: tuple[float, ...]) -> None:
    if len(steps) < 2 or min(steps) <= 0 or sorted(set(steps), reverse=True) != list(steps):
        raise SpecError(
            "steps for three dimensions", got=steps, allowed="two or more, falling, um", remedy="e.g. 0.04 and 0.02"
        )


def _channels(space: Space) -> list[tuple[str, int]]:
    return [(name, order) for name, port in space.problem.spec.ports.items() for order in port.modes]


def _sources(space: Space) -> list[tuple[str, int]]:
    """Channels that light comes from in some target."""
    return list(dict.fromkeys(target.source for target in space.problem.targets))


def _powers(space: Space, scene: Scene, report: Listener) -> tuple[np.ndarray, float]:
    """Powers [wl, out, in] on one grid, 0 from channels that are no sources, and their last change."""
    names, ports = _channels(space), list(space.problem.spec.ports)
    found, change = np.zeros((space.problem.wl.size, len(names), len(names))), 0.0
    for name, order in _sources(space):

        def watch(done: int, last: float, name: str = name, order: int = order) -> None:
            stage = f"3-D, {1e3 * scene.step:g} nm cells, from {named((name, order))}"
            report(Progress(stage, done, max(done, scene.first + 2 * scene.crossing), {"change": last}))

        waves = drive(scene, ports.index(name), order, _SETTLED, _CROSSINGS, watch)
        if waves.change > _SETTLED:
            raise NumericsError(
                "the light does not leave the device",
                got=f"powers still change by {waves.change:.1e} after {_CROSSINGS} crossings",
                allowed=f"{_SETTLED:g}",
                remedy="it resonates: look for lines finer than the asked wavelengths in its spectra",
            )
        column = names.index((name, order))
        found[:, :, column] = np.abs(waves.out) ** 2 / np.abs(waves.into[:, column, None]) ** 2
        change = max(change, waves.change)
    return found, change


def judged(
    saved: Saved, space: Space, steps: tuple[float, ...], powers: np.ndarray, change: float = 0.0
) -> Verification:
    """The targets' rows.

    Args:
        saved: the device.
        space: the same, as built.
        steps: cells, um.
        powers: on each grid, [step, wl, out, in].
        change: of them in the last crossing.

    Raises:
        NumericsError: more power comes out than goes in, beyond the estimated error.
    """
    problem, names, sources = space.problem, _channels(space), _sources(space)
    columns = [names.index(s) for s in sources]
    off = np.abs(powers[-1] - powers[-2]) + change
    sums = powers[-1][:, :, columns].sum(1)
    allowed = 1 + off[:, :, columns].sum(1) + _PURE
    if (sums > allowed).any():
        raise NumericsError(
            "more power comes out than goes in",
            got=f"{sums.max():.4f} of it",
            allowed=f"{float(allowed.flat[np.argmax(sums)]):.4f}, with the estimated error",
            remedy="use finer steps, or enlarge `surroundings.span`",
        )
    flat = np.abs(problem.drawn(space.outlines, problem.spec.mask_step).solve()[0]) ** 2
    w, rows = problem.windows, []
    far = np.asarray(distances(np.sqrt(powers[-1]), w))
    for target, row in zip(problem.targets, hardest(far, w), strict=True):
        at = tuple(w.place[row])
        error = float(off[at]) + _PURE * float(powers[-1][at])
        space_values = tuple(float(p[at]) for p in powers)
        ends = named(target.source), named(target.sink)
        rows.append(Row(*ends, target.low, target.high, float(problem.wl[at[0]]), float(flat[at]), space_values, error))
    return Verification(
        saved.name,
        saved.technology,
        str(saved.provenance.get("digest", "")),
        tuple(steps),
        tuple(rows),
        tuple(float(v) for v in problem.wl),
        tuple(map(named, names)),
        powers[-1][:, :, columns],
        tuple(map(named, sources)),
        float(sums.max()),
        versions() | ({"fdtdx": version("fdtdx")} if installed() else {}),
    )
