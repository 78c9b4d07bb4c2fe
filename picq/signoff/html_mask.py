"""Sections of the sign-off report about the mask: pictures, findings, measured lengths, provenance."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import klayout.db as kdb
import numpy as np
import yaml

from picq.signoff import plots
from picq.signoff.drc import read_layout
from picq.signoff.markup import figure, named, number, table
from picq.signoff.report import Box, Finding, Report

if TYPE_CHECKING:
    from picq.signoff.export import Nominal, TapeOut

MOST_FINDINGS = 100
"""Findings of one report that are listed; the marker file has all."""

MOST_LENGTHS = 10


def layout(tapeout: "TapeOut", gds: Path) -> str:
    tech = tapeout.problem.tech
    mask = read_layout(gds)
    used = {(info.layer, info.datatype) for info in mask.layer_infos()}
    key = "".join(
        f'<span><span class="swatch" style="background:{escape(tech.platform.layer_colours[name])}"></span>'
        f"{escape(name)} {pair[0]}/{pair[1]}</span> "
        for name, pair in tech.platform.layers.items()
        if pair in used and name != "label"
    )
    guides = {tech.layer(xs.layer) for xs in tech.cross_sections.values() if not xs.electrical}
    light = kdb.DBox()
    for layer in guides & used:
        light += mask.top_cell().dbbox(mask.find_layer(*layer))
    whole = mask.top_cell().dbbox()
    size = f"{whole.width() / 1000:.3f} mm × {whole.height() / 1000:.3f} mm"
    first = figure(
        plots.mask_picture(gds, tech),
        f"Picture of the whole mask, {size}.",
        f"The whole chip, {size}, drawn from chip.gds.",
        framed=True,
    )
    box: Box = (light.left, light.bottom, light.right, light.top)
    second = figure(
        plots.mask_picture(gds, tech, box),
        "Picture of the part of the mask that guides light.",
        f"The optical circuit, x {light.left:.0f} … {light.right:.0f} um, y {light.bottom:.0f} … {light.top:.0f} um.",
        framed=True,
    )
    return f'<p class="key">{key}</p>{first}{second}'


def check(report: Report) -> str:
    verdict, kind = ("passed", "met") if report.passed else ("failed", "missed")
    counts = (
        f"{len(report.ran)} questions asked, {len(report.errors)} errors, "
        f"{len(report.findings) - len(report.errors)} warnings, {len(report.waived)} waived"
    )
    parts = [
        f'<h3>{escape(report.name.upper())}: <span class="{kind}">{verdict}</span></h3>',
        f"<p>{counts}. Markers for KLayout's browser: <code>{escape(report.name)}.lyrdb</code>.</p>",
    ]
    plain = {named(k): v for k, v in report.figures.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    if plain:
        listed = "; ".join(f"{k}: {v:g}" for k, v in plain.items())
        parts.append(f'<p class="small">{escape(listed)}</p>')
    rows = [_finding(f, f.severity) for f in report.findings] + [_finding(f, "waived") for f in report.waived]
    if rows:
        shown = f", the first {MOST_FINDINGS} of {len(rows)}" if len(rows) > MOST_FINDINGS else ""
        heads = ["Severity", "Rule", "Place (um)", "Finding", "Source"]
        parts.append(table(f"Findings{shown}.", heads, rows[:MOST_FINDINGS], numeric=(2,)))
    else:
        parts.append("<p>Nothing found.</p>")
    asked = ", ".join(f"<code>{escape(name)}</code>" for name in report.ran)
    return "".join(parts) + f'<p class="small">Asked: {asked}.</p>'


def _finding(finding: Finding, severity: str) -> list[str]:
    left, bottom, right, top = finding.box or (0.0, 0.0, 0.0, 0.0)
    place = "" if finding.box is None else f"({(left + right) / 2:.3f}, {(bottom + top) / 2:.3f})"
    texts = (finding.check, finding.message, finding.source)
    check, message, source = (f"<td>{escape(text)}</td>" for text in texts)
    return [f"<td>{severity}</td>", check, number(place), message, source]


def light(tapeout: "TapeOut", nominal: "Nominal") -> str:
    """Spectra and figures of the mask as LVS measured it; nothing where no device can take its lengths."""
    found = next((report.figures for report in tapeout.reports if "mask" in report.figures), None)
    if found is None:
        return ""
    problem = tapeout.problem
    picture = figure(
        plots.overview(problem, nominal.db, np.asarray(found["mask_spectra_db"])),
        "Transmission in dB against frequency for all outputs, of the design and of the mask.",
        "Coloured: design. Dashed: the same with length and width of every arm as measured on the written mask.",
    )
    units = dict(zip(problem.spec.labels, (t.measure.unit for t in problem.spec.targets), strict=True))
    rows = [
        [
            f"<td>{escape(name)}</td>",
            number(f"{nominal.figures[name]:.3f}"),
            number(f"{value:.3f}"),
            number(units[name]),
        ]
        if name in units
        else [f"<td>{escape(name)}</td>", "<td></td>", number(f"{value:g}"), "<td></td>"]
        for name, value in found["mask"].items()
    ]
    heads = ["Figure (worst channel)", "Design", "Mask", "Unit"]
    return picture + table("What the mask's grid costs.", heads, rows, numeric=(1, 2, 3))


def lengths(reports: Iterable[Report]) -> str:
    found = [row for report in reports for row in report.figures.get("lengths", ())]
    if not found:
        return "<p>No lengths were measured.</p>"
    rows = [
        [
            f"<td><code>{escape(row['segment'])}</code></td>",
            number(f"{row['model_um']:.4f}"),
            number(f"{row['mask_um']:.4f}"),
            number(f"{row['error_nm']:+.2f}"),
            number(f"{row['tolerance_nm']:.2f}"),
        ]
        for row in found[:MOST_LENGTHS]
    ]
    caption = (
        "Length of each waveguide, area over width on chip.gds, against the length that the model's phase used: the "
        f"worst {len(rows)} of {len(found)}. The tolerance is what rounding to the grid can do to that outline."
    )
    heads = ["Segment", "Model (um)", "Mask (um)", "Difference (nm)", "Tolerance (nm)"]
    return table(caption, heads, rows, numeric=range(1, 5))


def provenance(tapeout: "TapeOut", manifest: Mapping[str, Any]) -> str:
    mask = manifest["mask"]
    entries = {
        "Specification, SHA-256": manifest["specification_sha256"],
        "Design, SHA-256 of design.json": manifest["design"]["sha256"],
        "chip.gds, SHA-256": mask["gds_sha256"],
        "chip.oas, SHA-256": mask["oas_sha256"],
        "Geometry, SHA-256 of merged outlines": mask["geometry_sha256"],
        "Top cell": mask["top_cell"],
        "Technology": manifest["technology"],
        "Seed": manifest["seed"],
        "Exported with": ", ".join(f"{name} {number}" for name, number in manifest["versions"].items()),
        "Optimised with": ", ".join(f"{name} {number}" for name, number in tapeout.design.versions.items()),
        "Variation from": tapeout.tolerance.source,
    }
    rows = [
        [f'<th scope="row">{escape(name)}</th>', f"<td><code>{escape(str(value))}</code></td>"]
        for name, value in entries.items()
    ]
    sources = sorted({rule.source for rule in tapeout.problem.tech.platform.rules.rules})
    listed = "".join(f"<li>{escape(source)}</li>" for source in sources)
    waivers = "".join(
        f"<li>{escape(w['check'])} ({w['severity']}), {w['count']} times: {escape(w['reason'])}</li>"
        for w in manifest["waivers"]
    )
    caption = "The same specification, seed and versions give the same files, byte for byte."
    return (
        table(caption, [], rows, numeric=())
        + (f"<h3>Waivers</h3><ul>{waivers}</ul>" if waivers else "")
        + f"<h3>Sources of the design rules</h3><ul class='small'>{listed}</ul>"
    )


def assumptions(tapeout: "TapeOut") -> str:
    """Which numbers of the technology rest on no measurement or publication, and what is not modelled."""
    problem = tapeout.problem
    folder = problem.tech.platform.folder
    compact = yaml.safe_load((folder / "compact.yaml").read_text(encoding="utf-8"))
    rows = [
        [
            f"<td><code>{escape(f'{group}.{name}')}</code></td>",
            number(f"{entry['value']:g}"),
            f"<td>{escape(entry['source'])}</td>",
        ]
        for group, entries in compact.items()
        for name, entry in entries.items()
        if "assumed" in entry["source"]
    ]
    losses = ", ".join(f"{xs.name} {float(xs.loss_db_cm):g} dB/cm" for xs in problem.guides)
    caption = "Numbers of compact.yaml that are assumed, whether this circuit uses them or not; units in the names."
    return (
        f"<h3>Assumed numbers</h3>{table(caption, ['Number', 'Value', 'Source'], rows, numeric=(1,))}"
        f"<p>Propagation loss ({escape(losses)}) and other values marked as assumed stand in "
        f"<code>{escape(folder.name)}/cross_sections.yaml</code>; assumed standard deviations are named with the "
        "sensitivities. Heat that a heater gives to another device is not modelled (within a device it is).</p>"
    )
