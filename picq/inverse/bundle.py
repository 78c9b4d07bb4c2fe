"""The bundle of a free-form device: mask, file for chips, checks, pictures and report; whole, or not at all."""

import hashlib
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import klayout.db as kdb
import numpy as np

from picq import catalogue, layout
from picq.errors import SignoffError
from picq.inverse.contour import outlines
from picq.inverse.finish import GUIDES, Finished, rules_of
from picq.inverse.job import FreeFormJob
from picq.inverse.plots import draw_device, draw_spectra
from picq.inverse.repair import deck_of
from picq.inverse.saved import ROUTED, Saved
from picq.inverse.verify3d import Verification
from picq.signoff.atomic import atomic_folder, write_file
from picq.signoff.drc import drc, read_layout, write_lyrdb
from picq.signoff.export import refuse_strangers
from picq.signoff.html import document, section
from picq.signoff.html_mask import check
from picq.signoff.markup import figure, number, table
from picq.signoff.mask import MaskHashes, write_mask
from picq.signoff.plots import address
from picq.signoff.report import Finding, Report

DEVICE = "device.json"
"""What chips name: the file of the device in its bundle."""


def export(
    job: FreeFormJob, finished: Finished, saved: Saved, folder: Path, in_3d: Verification | None = None
) -> tuple[dict[str, Any], tuple[Report, ...]]:
    """Write the bundle of a device; a folder with files of others is refused.

    The mask is drawn by the device that chips use, written, read back, checked against the rules and compared, polygon
    for polygon, with what was simulated.

    Args:
        job: the specification.
        finished: the design.
        saved: its file.
        folder: new, empty, or an earlier bundle, which is replaced.
        in_3d: the same device in three dimensions, if it was computed.

    Returns:
        The manifest, and the reports.

    Raises:
        SignoffError: a check failed; nothing is written.
        LayoutError: the folder is not ours, or a file cannot be written.
    """
    refuse_strangers(folder)
    with atomic_folder(folder) as new:
        saved.save(new / DEVICE)
        hashes = _mask(job, new)
        reports = _checked(job, finished, new)
        for report in reports:
            write_file(new / f"{report.name}.json", report.json() + "\n")
        if failed := [report for report in reports if not report.passed]:
            raise SignoffError(
                f"not exported: {', '.join(report.name for report in failed)} failed",
                got="\n".join(report.text(most=5) for report in failed),
                allowed="reports without an error",
                remedy="loosen the rules, enlarge the region, or give `search` more repairs",
            )
        write_lyrdb(reports[0], new / "drc.lyrdb", top=_top(job), deck=_deck(job))
        pictures = _pictures(job, finished)
        for name, content in pictures.items():
            write_file(new / name, content)
        manifest = _manifest(job, saved, hashes, reports)
        if in_3d is not None:
            in_3d.save(new / "verification.json")
        write_file(new / "report.html", _page(job, finished, saved, reports, pictures, manifest, in_3d))
        manifest["files"] = {
            path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
            for path in sorted(new.iterdir())
        }
        write_file(new / "manifest.json", json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return manifest, reports


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
    drawn.write(str(path))


def _pictures(job: FreeFormJob, finished: Finished) -> dict[str, bytes]:
    problem = job.problem
    step = job.spec.search.steps[-1]
    simulation = problem.matched(step).drawn(outlines(finished.region), step)
    _, field = simulation.solve()
    middle = problem.wl.size // 2
    sources = list(dict.fromkeys(t.source for t in problem.targets))
    names = list(simulation.channels.names)
    what = f"|{job.spec.polarisation[0].upper()}| at {1e3 * problem.wl[middle]:.0f} nm, light into"
    shown = [
        (f"{what} {port}@{order}", np.abs(field[middle, names.index((port, order))])) for port, order in sources[:2]
    ]
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
        "figures": dict(saved.figures),
        "reports": {report.name: report.summary() for report in reports},
        "mask": {"top_cell": _top(job), **vars(hashes)},
        "versions": saved.provenance["versions"],
    }


def _page(
    job: FreeFormJob,
    finished: Finished,
    saved: Saved,
    reports: tuple[Report, ...],
    pictures: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    in_3d: Verification | None,
) -> str:
    spec, score = job.spec, finished.score
    met = score >= 0
    space = f"<p>{escape(in_3d.verdict())}.</p>" if in_3d else "<p>Not computed in three dimensions.</p>"
    verdict = (
        f"<p><strong>{' and '.join(r.name.upper() for r in reports)} passed</strong>.</p>"
        f"<p>Score of the drawn polygons {score:.4f}: in two dimensions "
        f"{'every target is met' if met else 'a target is missed'}.</p>{space}"
    )
    shape = "E out of the plane" if spec.polarisation == "ez" else "H out of the plane"
    of = (
        "the technology's film" if spec.materials is None else f"{spec.materials.core:g} in {spec.materials.cladding:g}"
    )
    subtitle = (
        f"Free-form device of {spec.region.size[0]:g} x {spec.region.size[1]:g} um on {job.tech.name}, two-dimensional "
        f"design ({shape}, {of}), {1e3 * min(spec.wl_um):g} to {1e3 * max(spec.wl_um):g} nm."
    )
    rows = [
        [
            f"<td>{escape(t['from'])} to {escape(t['to'])}</td>",
            number(_window(t["asked_db"])),
            number(f"{t['worst_db']:.3f}"),
            number(f"{1e3 * t['at_um']:.0f}"),
            f'<td class="{"met" if t["met"] else "missed"}">{"met" if t["met"] else "missed"}</td>',
        ]
        for t in saved.figures["targets"]
    ]
    targets = table(
        "Power between ports, the worst wavelength.",
        ["Light", "Asked (dB)", "Worst (dB)", "at (nm)", ""],
        rows,
        (1, 2, 3),
    )
    steps = [["<td>density, sharp pixels</td>", number(f"{finished.pixels:.4f}"), "<td></td>"]]
    for r in finished.rounds:
        told = ", ".join(f"{name} {count}" for name, count in r.markers.items()) or "none"
        steps.append([f"<td>{escape(r.what)}</td>", number(f"{r.score:.4f}"), f"<td>{escape(told)}</td>"])
    coarse = saved.figures["score_on_coarser_grid"]
    repair = table(
        "Score before and after drawing and repair, simulated on the mask's polygons, and what the rules' check found.",
        ["Step", "Score", "Markers"],
        steps,
        (1,),
    ) + (
        f"<p>Rules: width {spec.rules.width:g} um, space {spec.rules.space:g} um ({escape(spec.rules.source)}). On a "
        f"grid twice as coarse the same polygons score {coarse:.4f}; |S| of the file is good to {saved.error:.1g} in "
        "two dimensions.</p>"
    )
    entries = {
        "Specification, SHA-256": manifest["specification_sha256"],
        "device.gds, SHA-256": manifest["mask"]["gds_sha256"],
        "Geometry, SHA-256": manifest["mask"]["geometry_sha256"],
        "Seed": manifest["seed"],
        "Versions": ", ".join(f"{k} {v}" for k, v in manifest["versions"].items()),
    }
    lines = [
        [f'<th scope="row">{escape(k)}</th>', f"<td><code>{escape(str(v))}</code></td>"] for k, v in entries.items()
    ]
    picture = lambda name, alt: figure(address("image/png", pictures[name]), alt, alt)
    return document(
        spec.name,
        subtitle,
        "good" if met and (in_3d is None or in_3d.met) else "mixed",
        verdict,
        (
            section(
                "targets", "Targets", targets + picture("spectra.png", "Power between ports; shaded: not allowed.")
            ),
            section("device", "Device", picture("device.png", "The mask, and the size of the field in it.")),
            section("repair", "From the density to the mask", repair),
            section("space", "Three dimensions", _space(in_3d)),
            section("checks", "Checks of the mask", "".join(check(report) for report in reports)),
            section(
                "provenance",
                "Provenance",
                table("The same specification, seed and versions give the same mask.", [], lines, ()),
            ),
        ),
    )


def _space(found: Verification | None) -> str:
    """The targets in three dimensions beside the plane's."""
    if found is None:
        return (
            "<p>Not computed: what light does out of the plane is in none of the numbers above. "
            "<code>picq run --verify3d</code> puts it here, <code>picq verify3d</code> tells it of a finished device."
            "</p>"
        )
    db = lambda power: f"{10 * np.log10(power):.2f}" if power > 1e-9 else "none"
    rows = [
        [
            f"<td>{escape(r.source)} to {escape(r.sink)}</td>",
            number(f"{1e3 * r.wl:.0f}"),
            number(db(r.plane)),
            *(number(db(power)) for power in r.space),
            number(f"{db(r.space[-1] - r.error)} … {db(r.space[-1] + r.error)}"),
            number(f"{10 * np.log10(max(r.space[-1], 1e-9) / max(r.plane, 1e-9)):+.2f}"),
            f'<td class="{"met" if r.verdict == "met" else "missed"}">{r.verdict}</td>',
        ]
        for r in found.rows
    ]
    cells = [f"3-D, {1e3 * step:g} nm (dB)" for step in found.steps]
    heads = ["Light", "at (nm)", "2-D (dB)", *cells, "with the grid's error (dB)", "3-D against 2-D (dB)", ""]
    told = table(
        "Power between ports at each target's worst wavelength in three dimensions.",
        heads,
        rows,
        range(1, len(heads) - 1),
    )
    return told + (
        f"<p>The grid's error is the whole change from the coarser one. At most {found.most:.4f} of the power leaves "
        "by the ports' modes. The circuit's model is that of two dimensions.</p>"
    )


def _window(asked: list[float | None]) -> str:
    low, high = asked
    parts = [f"≥ {low:g}" if low is not None else "", f"≤ {high:g}" if high is not None else ""]
    return ", ".join(p for p in parts if p)
