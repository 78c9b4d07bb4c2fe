"""The bundle that leaves the house: written whole, only when every check passed, the same bytes for the same inputs."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from picq.circuit import Circuit
from picq.design.grid import C_UM_GHZ
from picq.design.problem import Problem
from picq.design.result import Design
from picq.design.tolerance import Tolerance
from picq.errors import LayoutError, NumericsError, SignoffError
from picq.sdict import touchstone
from picq.signoff.atomic import atomic_folder, write_file
from picq.signoff.drc import write_lyrdb
from picq.signoff.html import page
from picq.signoff.mask import MaskHashes, write_mask
from picq.signoff.report import Report

if TYPE_CHECKING:
    import gdsfactory as gf

CHECKS = ("drc", "lvs")
"""Names of the reports without which nothing is exported."""

_REPRODUCED = 1e-4
"""A saved design's figures come out again to within this many dB or GHz."""


@dataclass(frozen=True)
class TapeOut:
    """One chip and everything that is known about it.

    Attributes:
        problem: specification, technology and the routed circuit (``picq.assembly.routed``).
        design: the result of the optimisation, figures of the routed circuit.
        tolerance: the result of the tolerance analysis.
        circuit: the whole designed and routed circuit, as it is on the mask.
        component: the drawn mask.
        reports: of the checks, ``drc`` and ``lvs`` among them.
        gds_sha256: of the GDSII file that the reports are about (``write_mask`` returns it).
    """

    problem: Problem
    design: Design
    tolerance: Tolerance
    circuit: Circuit
    component: "gf.Component"
    reports: tuple[Report, ...]
    gds_sha256: str


@dataclass(frozen=True)
class Nominal:
    """The designed circuit, with its routes and without what the specification excludes, on the nominal technology.

    Attributes:
        db: transmission to each output, dB, [channel, point].
        figures: worst channel of each figure by label.
    """

    db: np.ndarray
    figures: dict[str, float]


@dataclass(frozen=True)
class Bundle:
    """An exported bundle.

    Attributes:
        folder: where it is.
        manifest: what ``manifest.json`` says: hashes of all files, versions, seed, specification, figures, waivers.
    """

    folder: Path
    manifest: Mapping[str, Any]


def export(tapeout: TapeOut, folder: Path) -> Bundle:
    """Write mask, design, tolerances, marker files, S-parameters, report and manifest into one folder.

    The bundle is built beside ``folder`` and takes its place at the end: an interrupt or a full disk leaves what was
    there before. The design is simulated again, and the mask is read back and compared.

    Args:
        tapeout: what to export.
        folder: new, empty, or an earlier bundle, which is replaced.

    Raises:
        SignoffError: a check failed or is missing, or was made of another mask.
        NumericsError: the saved design's figures do not come out again.
        LayoutError: the mask cannot be written faithfully, or a file cannot be written.
    """
    _refuse_unless_passed(tapeout.reports)
    refuse_strangers(folder)
    nominal = _simulate(tapeout)
    top_cell = tapeout.circuit.plan.top_cell
    with atomic_folder(folder) as new:
        hashes = write_mask(tapeout.component, new / "chip.gds", new / "chip.oas", top_cell)
        if hashes.gds_sha256 != tapeout.gds_sha256:
            raise SignoffError(
                "the checks were made of another mask",
                got=f"chip.gds {hashes.gds_sha256[:12]}…, checked {tapeout.gds_sha256[:12]}…",
                remedy="run drc and lvs again on what is exported",
            )
        for report in tapeout.reports:
            deck = tapeout.problem.tech.platform.rules if report.name == "drc" else None
            write_lyrdb(report, new / f"{report.name}.lyrdb", top=top_cell, deck=deck)
            write_file(new / f"{report.name}.json", report.json() + "\n")
        write_file(new / "design.json", _json(tapeout.design.as_dict()))
        write_file(new / "tolerance.json", _json(tapeout.tolerance.as_dict()))
        write_file(new / "sparameters.ts", _sparameters(tapeout))
        manifest = _manifest(tapeout, hashes)
        write_file(new / "report.html", page(tapeout, nominal, manifest, new / "chip.gds"))
        manifest["files"] = {path.name: _entry(path) for path in sorted(new.iterdir())}
        write_file(new / "manifest.json", _json(manifest))
    return Bundle(folder, manifest)


def _refuse_unless_passed(reports: Sequence[Report]) -> None:
    names = [report.name for report in reports]
    if missing := [name for name in CHECKS if name not in names]:
        raise SignoffError(
            f"not exported: {', '.join(missing)} was not run", allowed=", ".join(CHECKS), remedy="run it on the mask"
        )
    if failed := [report for report in reports if not report.passed]:
        told = "\n".join(report.text(most=5) for report in failed)
        raise SignoffError(
            f"not exported: {', '.join(report.name for report in failed)} failed",
            got=told,
            allowed="reports without an error",
            remedy="correct the layout, or waive the finding with a reason",
        )


def refuse_strangers(folder: Path) -> None:
    """Refuse to replace a folder with files that no earlier export wrote."""
    if folder.exists() and not folder.is_dir():
        raise LayoutError("the bundle would replace a file", got=folder.name, remedy="name a folder")
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    try:
        known = {"manifest.json", *json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, TypeError, KeyError):  # no manifest of ours
        known = set()
    if strangers := sorted(found - known):
        raise LayoutError(
            f"the folder {folder.name} holds files that are no part of a bundle and would be lost",
            got=", ".join(strangers[:5]),
            allowed="a new or empty folder, or an earlier bundle",
            remedy="export to another folder",
        )


def _simulate(tapeout: TapeOut) -> Nominal:
    """Nominal spectra and figures of the saved design, which have to come out again."""
    problem, design = tapeout.problem, tapeout.design

    @jax.jit
    def simulate(circuit: Circuit) -> tuple[jax.Array, jax.Array]:
        db = problem.spectra(circuit, problem.tech)
        return db, problem.measure(db, circuit, problem.tech)

    db, again = simulate(design.circuit(problem, whole=False))
    for row, label in zip(np.asarray(again), problem.spec.labels, strict=True):
        saved = np.array([design.figures[label]["channels"][output] for output in problem.spec.channels.outputs])
        if not np.allclose(row, saved, rtol=_REPRODUCED, atol=_REPRODUCED):
            raise NumericsError(
                f"{label} of the saved design does not come out again",
                got=f"{row}, saved {saved}",
                remedy="the design comes from other versions or another technology: optimise again",
            )
    worst = problem.worst(again)
    return Nominal(np.asarray(db), dict(zip(problem.spec.labels, map(float, worst), strict=True)))


def _sparameters(tapeout: TapeOut) -> str:
    problem, circuit = tapeout.problem, tapeout.circuit
    wl = C_UM_GHZ / problem.comb.ghz
    s = jax.jit(lambda wl: circuit.model(wl, problem.tech))(wl)
    comments = (
        f"{problem.spec.name}: nominal circuit as on the mask, at its external ports, on {problem.tech.name}",
        f"specification {problem.spec.digest()}, seed {problem.spec.seed}",
        "optical ports; the frequency is that of the light; phase exp(+1j 2 pi n_eff L / wavelength)",
    )
    return touchstone(s, wl, circuit.ports, comments)


def _manifest(tapeout: TapeOut, hashes: MaskHashes) -> dict[str, Any]:
    """Everything but the hashes of the files. No times and no paths: they would differ where nothing differs."""
    problem, design = tapeout.problem, tapeout.design
    waived = [report for report in tapeout.reports if report.waived]
    outcomes = {"as_fabricated": tapeout.tolerance.as_fabricated, "trimmed": tapeout.tolerance.trimmed}
    return {
        "format": "picq bundle 1",
        "name": problem.spec.name,
        "technology": problem.tech.name,
        "seed": problem.spec.seed,
        "verdict": "passed by waivers" if any(f.severity == "error" for r in waived for f in r.waived) else "passed",
        "waivers": [waiver for report in waived for waiver in report.waivers()],
        "specification": problem.spec.canonical(),
        "specification_sha256": problem.spec.digest(),
        "design": {"status": design.status, "unmet": list(design.unmet), "sha256": _sha256(_json(design.as_dict()))},
        "figures": {label: dict(figure) for label, figure in design.figures.items()},
        "yield": {kind: vars(outcome.total) for kind, outcome in outcomes.items() if outcome is not None},
        "reports": {report.name: report.summary() for report in tapeout.reports},
        "mask": {"top_cell": tapeout.circuit.plan.top_cell, **vars(hashes)},
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    packages = ("picq", "gdsfactory", "kfactory", "klayout", "jax", "optax", "numpy", "matplotlib")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _json(plain: Mapping[str, Any]) -> str:
    return json.dumps(plain, indent=2, sort_keys=True) + "\n"


def _entry(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
