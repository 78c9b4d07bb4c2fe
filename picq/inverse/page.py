"""The report of a free-form device: one page that says what was asked, what was drawn, and what the checks found."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from picq.inverse.finish import Finished
from picq.inverse.job import FreeFormJob
from picq.inverse.saved import Saved
from picq.inverse.verify3d import Verification
from picq.signoff.html import document, section
from picq.signoff.html_mask import check
from picq.signoff.markup import figure, number, table
from picq.signoff.plots import address
from picq.signoff.report import Report


def page(
    job: FreeFormJob,
    finished: Finished,
    saved: Saved,
    reports: tuple[Report, ...],
    pictures: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    in_3d: Verification | None,
) -> str:
    """The page as HTML.

    Args:
        job: the specification.
        finished: the design.
        saved: its file.
        reports: of the checks.
        pictures: PNG by file name: ``device.png``, ``spectra.png``.
        manifest: of the bundle.
        in_3d: the same device in three dimensions, if it was computed.
    """
    spec, score = job.spec, finished.score
    met = score >= 0
    passed = all(report.passed for report in reports)
    checked = "; ".join(f"{r.name.upper()} {'passed' if r.passed else 'failed'}" for r in reports)
    checked += "" if passed else ": not signed off"
    space = f"<p>{escape(in_3d.verdict())}.</p>" if in_3d else "<p>Not computed in three dimensions.</p>"
    verdict = (
        f"<p><strong>{checked}</strong>.</p>"
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
    steps = []
    if finished.pixels is not None:
        steps.append(["<td>density, sharp pixels</td>", number(f"{finished.pixels:.4f}"), "<td></td>"])
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
        **({"Drawn mask, SHA-256": manifest["drawn_sha256"]} if "drawn_sha256" in manifest else {}),
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
        ("good" if met and (in_3d is None or in_3d.met) else "mixed") if passed else "bad",
        verdict,
        (
            section(
                "targets", "Targets", targets + picture("spectra.png", "Power between ports; shaded: not allowed.")
            ),
            section("device", "Device", picture("device.png", "The mask, and the size of the field in it.")),
            section("repair", f"From the {'drawing' if finished.pixels is None else 'density'} to the mask", repair),
            section("space", "Three dimensions", _space(in_3d)),
            section("checks", "Checks of the mask", "".join(check(report) for report in reports)),
            section(
                "provenance",
                "Provenance",
                table("The same specification, seed, versions and drawing give the same mask.", [], lines, ()),
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
