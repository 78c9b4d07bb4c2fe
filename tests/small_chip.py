"""One small finished chip for the tests of export and report: an interleaver with a floorplan, checked and sampled."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from picq.circuit import Circuit
from picq.components import LatticeFilter
from picq.design.appraisal import as_drawn
from picq.design.problem import Problem
from picq.design.sensitivity import Sensitivity
from picq.design.spec import parse_spec
from picq.design.statistics import PERCENTILES, Yield
from picq.design.tolerance import Heaters, Outcome, Tolerance
from picq.design.yaml_source import Source
from picq.pdk import load
from picq.plan import Placement, Plan
from picq.signoff.export import TapeOut
from picq.signoff.mask import write_mask
from picq.signoff.report import Finding, Report

SPEC = {
    "name": "interleaver",
    "technology": "soi220",
    "seed": 3,
    "circuit": {
        "instances": {"f": {"device": "lattice_filter"}},
        "ports": {"in": "f,o2", "through": "f,o3", "cross": "f,o4"},
    },
    "wavelengths": {"center_thz": 193.4, "span_ghz": 600, "step_ghz": 10},
    "channels": {"center_thz": 193.4, "spacing_ghz": 200, "input": "in", "outputs": ["through", "cross"]},
    "variables": [{"parameter": "f.delays", "lower": 170, "upper": 185}],
    "targets": [
        {"figure": "insertion_loss_db", "max": 37.5},
        {"figure": "adjacent_crosstalk_db", "max": -0.125},
        {"figure": "passband_ghz", "min": 0.625, "drop_db": 1},
    ],
    "tolerance": {"samples": 20, "trim": ["f.powers_mw"]},
}

WARNING = Finding("waveguide.parallel", "warning", "runs <20 um> & 3 um apart", (0.0, 0.0, 2.0, 4.0), source="CS48")
LENGTHS = [{"segment": "f/arm", "model_um": 100.0, "mask_um": 99.9997, "error_nm": -0.3, "tolerance_nm": 2.0}]


@cache
def tapeout() -> TapeOut:
    """The chip, with reports that passed; findings and tolerances are made up: sampling takes long."""
    tech = load("soi220")
    lattice = LatticeFilter.on(tech, coupler_lengths=(15.0, 15.0), delays=(178.6,), powers_mw=(5.0,))
    circuit = Circuit(
        {"f": lattice},
        exposed=(("in", "f,o2"), ("through", "f,o3"), ("cross", "f,o4")),
        plan=Plan(
            placements=(("f", Placement(0.0, 0.0)),),
            floorplan=(-500.0, -500.0, 1000.0, 500.0),
            labels=(("opt_in", "f,o2"),),
            top_cell="Cell0_interleaver",
        ),
    )
    problem = Problem(parse_spec(Source(SPEC)), tech, circuit)
    component = circuit.assembled(tech).component
    with TemporaryDirectory() as folder:
        hashes = write_mask(component, Path(folder) / "a.gds", Path(folder) / "a.oas", circuit.plan.top_cell)
    return TapeOut(
        problem=problem,
        design=as_drawn(problem),
        tolerance=made_up(problem),
        circuit=circuit,
        component=component,
        reports=(drc_report(WARNING), Report("lvs", figures={"lengths": LENGTHS}, ran=("connection", "length"))),
        gds_sha256=hashes.gds_sha256,
    )


def made_up(problem: Problem) -> Tolerance:
    """A tolerance result of the right shapes; samples 1 dB or 1 GHz apart."""
    labels, outputs, points = problem.spec.labels, problem.spec.channels.outputs, problem.comb.ghz.size
    heaters = np.linspace(5.0, 43.0, 20)[:, None]

    def outcome(passed: int, level: float) -> Outcome:
        figures = level + np.arange(20.0)[:, None, None] + np.zeros((20, len(labels), len(outputs)))
        spread = dict.fromkeys(("mean", "std", *(f"p{p:g}" for p in PERCENTILES)), level)
        return Outcome(
            total=Yield.of(passed, 20),
            by_target={label: Yield.of(passed + i, 20) for i, label in enumerate(labels)},
            distributions=dict.fromkeys(labels, spread),
            figures=figures,
            bands=level + np.arange(5.0)[:, None, None] + np.zeros((5, len(outputs), points)),
        )

    return Tolerance(
        name=problem.spec.name,
        seed=problem.spec.seed,
        samples=20,
        sigma={part: {"width_nm": 5.0, "thickness_nm": 3.0} for part in ("global", "local")},
        source="Jhoja et al., Opt. Express 28, 7799 (2020)",
        ghz=problem.comb.ghz,
        channels=outputs,
        as_fabricated=outcome(1, -30.0),
        trimmed=outcome(17, -20.0),
        heaters=(Heaters("mW", {"f.powers_mw[0]": 24.0}, 0.05, 24.0, 41.1, 43.0, heaters),),
        sensitivities=tuple(
            Sensitivity(label, outputs[0], name, 0.25, unit, 0.25, label != labels[2], per_sigma)
            for label in labels
            for name, unit, per_sigma in (("width_nm", "nm", 1.25), ("f.delays[0]", "um", None))
        ),
    )


def drc_report(*findings: Finding, waived: tuple[Finding, ...] = ()) -> Report:
    """A report on rules of soi220, whatever they are called there."""
    rules = tuple(rule.id for rule in load("soi220").platform.rules.rules)
    renamed = [replace(finding, check=rules[0]) for finding in (*findings, *waived)]
    return Report("drc", tuple(renamed[: len(findings)]), ran=rules, waived=tuple(renamed[len(findings) :]))
