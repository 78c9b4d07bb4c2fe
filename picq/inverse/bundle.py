"""The bundle of a free-form device: mask, file for chips, checks, pictures and report; whole, or not at all."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import klayout.db as kdb
import numpy as np

from picq import catalogue, layout
from picq.errors import SignoffError
from picq.inverse.contour import outlines
from picq.inverse.finish import GUIDES, Finished, rules_of
from picq.inverse.job import FreeFormJob
from picq.inverse.objective import named
from picq.inverse.page import page
from picq.inverse.plots import draw_device, draw_spectra
from picq.inverse.repair import deck_of
from picq.inverse.saved import ROUTED, Saved
from picq.inverse.verify3d import Verification
from picq.signoff.atomic import atomic_folder, write_file
from picq.signoff.drc import drc, read_layout, write_lyrdb
from picq.signoff.export import refuse_strangers
from picq.signoff.mask import MaskHashes, canonical, write_mask
from picq.signoff.report import Finding, Report

DEVICE = "device.json"
"""What chips name: the file of the device in its bundle."""


def export(
    job: FreeFormJob,
    finished: Finished,
    saved: Saved,
    folder: Path,
    rejected: Path,
    in_3d: Verification | None = None,
) -> tuple[dict[str, Any], tuple[Report, ...]]:
    """Write the bundle of a device; a folder with files of others is refused.

    The mask is drawn by the device that chips use, written, read back, checked against the rules and compared, polygon
    for polygon, with what was simulated.

    Args:
        job: the specification.
        finished: the design.
        saved: its file.
        folder: new, empty, or an earlier bundle, which is replaced.
        rejected: folder for mask, markers and report of a design that failed a check, which is no bundle.
        in_3d: the same device in three dimensions, if it was computed.

    Returns:
        The manifest, and the reports.

    Raises:
        SignoffError: a check failed; nothing is written but ``rejected``.
        LayoutError: the folder is not ours, or a file cannot be written.
    """
    refuse_strangers(folder)
    with atomic_folder(folder) as new:
        saved.save(new / DEVICE)
        hashes = _mask(job, new)
        reports = _checked(job, finished, new)
        for report in reports:
            write_file(new / f"{report.name}.json", report.json() + "\n")
        write_lyrdb(reports[0], new / "drc.lyrdb", top=_top(job), deck=_deck(job))
        pictures = _pictures(job, finished)
        for name, content in pictures.items():
            write_file(new / name, content)
        manifest = _manifest(job, saved, hashes, reports)
        if in_3d is not None:
            in_3d.save(new / "verification.json")
        write_file(new / "report.html", page(job, finished, saved, reports, pictures, manifest, in_3d))
        _refuse_unless_passed(reports, new, rejected)
        manifest["files"] = {
            path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
            for path in sorted(new.iterdir())
        }
        write_file(new / "manifest.json", json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return manifest, reports


def _refuse_unless_passed(reports: tuple[Report, ...], new: Path, rejected: Path) -> None:
    """Keep what shows why, and nothing that could be taken for a signed-off device."""
    failed = [report for report in reports if not report.passed]
    if not failed:
        return
    with atomic_folder(rejected) as kept:
        for path in new.iterdir():
            if path.name != DEVICE and path.suffix != ".oas":
                shutil.copy(path, kept)
    raise SignoffError(
        f"not exported: {', '.join(report.name for report in failed)} failed",
        got="\n".join(report.text(most=5) for report in failed),
        allowed="reports without an error",
        remedy="loosen the rules, enlarge the region, or give `search` more repairs; "
        f"mask, markers and report: {rejected}",
    )


def _top(job: FreeFormJob) -> str:
    return f"free_form_{job.spec.name}"[:32]


def _deck(job: FreeFormJob) -> Any:
    """The technology's rules for a device with those of the specification for the guide's layer; none that are asked
    of routed waveguides (bends, facets, joints): between its ports a free-form device is no waveguide."""
    guide = job.tech.cross_section(job.spec.cross_section).layer
    deck = deck_of(job.tech.platform.rules.for_device(), guide, rules_of(job.problem))
    kinds = {rule.kind for rule in deck.rules} - set(ROUTED)
    return deck.only(kinds)


def _mask(job: FreeFormJob, new: Path) -> MaskHashes:
    device = catalogue.device("free_form").on(job.tech, file=str(new / DEVICE))
    return write_mask(layout.build(device, job.tech), new / "device.gds", new / "device.oas", _top(job))


def _checked(job: FreeFormJob, finished: Finished, new: Path) -> tuple[Report, ...]:
    """Rules of the mask as written, with its guides; and its polygons against those that were simulated."""
    written = read_layout(new / "device.gds")
    layer = written.layer(*job.tech.layer(job.tech.cross_section(job.spec.cross_section).layer))
    polygons = kdb.Region(written.top_cell().begin_shapes_rec(layer)).merged()
    frame = kdb.Region(kdb.DBox(*job.problem.box).to_itype(0.001))
    away = polygons ^ (finished.region & frame)
    found = (
        (Finding("mask.polygons", "error", f"{away.area() * 1e-6:g} um² of the mask are not what was simulated"),)
        if not away.is_empty()
        else ()
    )
    same = Report("mask", found, {"area_um2": polygons.area() * 1e-6}, ("mask.polygons",))
    whole = new / "with_guides.gds"
    _with_guides(job, polygons, whole)
    report = drc(whole, _deck(job))
    whole.unlink()
    return report, same


def _with_guides(job: FreeFormJob, polygons: kdb.Region, path: Path) -> None:
    """What the rules are asked of: a device meets its guides on a chip, and where they join counts."""
    bars = kdb.Region()
    for guide in job.problem.guides(GUIDES):
        bars.insert(kdb.DBox(*guide).to_itype(0.001))
    drawn = kdb.Layout()
    drawn.dbu = 0.001
    cell = drawn.create_cell(_top(job))
    layer = job.tech.layer(job.tech.cross_section(job.spec.cross_section).layer)
    cell.shapes(drawn.layer(*layer)).insert((polygons + bars).merged())
    canonical(drawn, _top(job)).write(str(path))  # large polygons split, as in every mask


def _pictures(job: FreeFormJob, finished: Finished) -> dict[str, bytes]:
    problem = job.problem
    step = job.spec.search.steps[-1]
    simulation = problem.matched(step).drawn(outlines(finished.region), step)
    _, field = simulation.solve()
    middle = problem.wl.size // 2
    sources = list(dict.fromkeys(t.source for t in problem.targets))
    names = list(simulation.channels.names)
    what = f"|{job.spec.polarisation[0].upper()}| at {1e3 * problem.wl[middle]:.0f} nm, light into"
    shown = [(f"{what} {named(source)}", np.abs(field[middle, names.index(source)])) for source in sources[:2]]
    fine = np.linspace(problem.wl.min(), problem.wl.max(), 41)
    spec = job.spec.model_copy(update={"wl_um": tuple(float(w) for w in fine)})
    dense = type(problem).of(spec, job.tech).matched(step).drawn(outlines(finished.region), step).solve()[0]
    return {
        "device.png": draw_device(problem, finished.region, shown),
        "spectra.png": draw_spectra(problem, fine, dense),
    }


def _manifest(job: FreeFormJob, saved: Saved, hashes: MaskHashes, reports: tuple[Report, ...]) -> dict[str, Any]:
    return {
        "format": "picq bundle 1",
        "name": job.spec.name,
        "technology": job.tech.name,
        "seed": job.spec.seed,
        "specification": job.spec.model_dump(mode="json"),
        "specification_sha256": job.spec.digest(),
        **{key: saved.provenance[key] for key in ("drawn_sha256",) if key in saved.provenance},
        "figures": dict(saved.figures),
        "reports": {report.name: report.summary() for report in reports},
        "mask": {"top_cell": _top(job), **vars(hashes)},
        "versions": saved.provenance["versions"],
    }
