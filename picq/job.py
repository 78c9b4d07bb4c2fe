"""The main job: from a specification file to a signed-off bundle, in stages that also run alone."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from picq import assembly, catalogue, drawing
from picq.circuit import Circuit
from picq.design.appraisal import appraise, as_drawn
from picq.design.optimise import optimise
from picq.design.problem import Problem
from picq.design.progress import Report as Listener
from picq.design.progress import silent
from picq.design.result import Design
from picq.design.spec import Spec, load_spec
from picq.design.tolerance import Tolerance, tolerance
from picq.signoff.drc import drc
from picq.signoff.export import TapeOut
from picq.signoff.lvs import lvs
from picq.signoff.mask import MaskHashes, canonical, write_mask
from picq.signoff.report import Report
from picq.technology import Technology


@dataclass(frozen=True)
class Job:
    """A specification, understood.

    Attributes:
        spec: what was asked.
        tech: its technology.
        start: the circuit with the layout's own values, not routed.
        problem: the same as an optimisation problem. A circuit with a placement is routed first, so that the loss of
            its routes counts from the beginning.
    """

    spec: Spec
    tech: Technology
    start: Circuit
    problem: Problem

    @classmethod
    def read(cls, path: Path, *, solver: bool = False) -> "Job":
        """Read a specification file.

        Args:
            path: of the file.
            solver: ask the mode solver itself instead of the technology's tables: slow, for comparison.

        Raises:
            SpecError: an entry is wrong; names its place in the file.
            LayoutError: the layout's own circuit cannot be placed or routed.
        """
        spec = load_spec(path)
        problem = Problem(spec, catalogue.technology(spec.technology, solver=True) if solver else None)
        start = problem.whole
        if start.plan.placements:
            problem = Problem(spec, problem.tech, assembly.routed(start, start.assembled(problem.tech)), resolved=True)
        return cls(spec, problem.tech, start, problem)

    def optimise(self, checkpoint: Path | None = None, *, resume: bool = False, report: Listener = silent) -> Design:
        """Search for a design; see ``picq.design.optimise``."""
        return optimise(self.problem, checkpoint=checkpoint, resume=resume, report=report)

    def finish(self, design: Design) -> "Chip":
        """Place and route the designed circuit, and appraise it again with its own routes."""
        designed = design.circuit(self.problem).instances
        circuit = self.start.replace(instances={name: designed[name] for name in self.start.instances})
        made = circuit.assembled(self.tech)
        problem = Problem(self.spec, self.tech, assembly.routed(circuit, made), resolved=True)
        return Chip(problem, appraise(problem, design), made)

    def chip(self, design: Design | None) -> "Chip":
        """The placed and routed chip of a saved design, or of the layout's own values."""
        return self.finish(as_drawn(self.problem) if design is None else design)

    def settled(self, design: Design | None) -> "tuple[Problem, Design]":
        """The design with the figures of its own routes, and the problem with these; a circuit without placement is
        taken with ideal connections."""
        if self.start.plan.placements:
            chip = self.chip(design)
            return chip.problem, chip.design
        return self.problem, as_drawn(self.problem) if design is None else appraise(self.problem, design)


@dataclass(frozen=True)
class Chip:
    """A placed and routed design.

    Attributes:
        problem: with the routed circuit.
        design: figures are those of the routed circuit.
        made: the mask in memory and what the router did.
    """

    problem: Problem
    design: Design
    made: assembly.Assembly

    @cached_property
    def circuit(self) -> Circuit:
        """The designed circuit with its routes, as it is on the mask."""
        return self.problem.whole

    def tolerance(self, *, samples: int | None = None, report: Listener = silent) -> Tolerance:
        """Monte Carlo of the circuit as it is measured; see ``picq.design.tolerance``."""
        return tolerance(self.problem, self.design.circuit(self.problem, whole=False), samples=samples, report=report)

    def write(self, folder: Path) -> tuple[Path, MaskHashes]:
        """Write the mask into a folder as ``chip.gds`` and ``chip.oas``."""
        folder.mkdir(parents=True, exist_ok=True)
        gds = folder / "chip.gds"
        return gds, write_mask(self.made.component, gds, folder / "chip.oas", self.circuit.plan.top_cell)

    def lvs(self, gds: Path) -> Report:
        """Compare a written mask with the circuit, and what light makes of both where devices can tell."""
        tech = self.problem.tech
        report = lvs(
            gds,
            canonical(self.made.component, self.circuit.plan.top_cell),
            tech.guide_layers,
            tech.metal_layer,
            drawing.segments(self.made.component),
            {name: float(length) for name, length in self.circuit.paths(tech).items()},
            self.made.nets,
            self.made.unwired,
        )
        return self._with_light(report)

    def _with_light(self, report: Report) -> Report:
        """The report with figures and spectra of the mask as it was measured, if some device's model can take them."""
        problem, tech = self.problem, self.problem.tech
        found = {row["segment"]: (row["walls_um"], row["width_um"]) for row in report.figures["lengths"]}
        designed = self.design.circuit(problem, whole=False)
        measured = designed.as_measured(found, tech)
        changes = designed.mask_figures(measured, tech)
        if not changes:
            return report
        db = problem.spectra(measured, tech)
        worst = problem.worst(problem.measure(db, measured, tech))
        light = {
            **{name: round(value, 6) for name, value in changes.items()},
            **{label: round(float(value), 4) for label, value in zip(problem.spec.labels, worst, strict=True)},
        }
        return replace(
            report, figures={**report.figures, "mask": light, "mask_spectra_db": np.asarray(db).round(4).tolist()}
        )

    def checked(self, tolerance: Tolerance, work: Path) -> TapeOut:
        """Write the mask into the folder ``work`` and check that file: what ``export`` takes."""
        gds, hashes = self.write(work)
        reports = (drc(gds, self.problem.tech.platform.rules, waivers=self.made.waivers), self.lvs(gds))
        return TapeOut(
            self.problem, self.design, tolerance, self.circuit, self.made.component, reports, hashes.gds_sha256
        )


def spectra_csv(problem: Problem, design: Design) -> str:
    """Transmission from the input to each output in dB, one row a frequency."""
    circuit = design.circuit(problem, whole=False)
    rows = np.column_stack([problem.comb.ghz * 1e-3, np.asarray(problem.spectra(circuit, problem.tech)).T])
    heading = ",".join(["frequency_thz", *(f"{name}_db" for name in problem.spec.channels.outputs)])
    return "\n".join([heading, *(",".join(f"{v:.6f}" for v in row) for row in rows), ""])
