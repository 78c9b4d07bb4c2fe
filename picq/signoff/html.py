"""The sign-off report as one self-contained HTML page, for the engineer who signs and the foundry that asks.

All text that comes from a specification, a device or a check is escaped; pictures are ``data:`` addresses.
"""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from picq.signoff import html_mask, html_results, html_source

if TYPE_CHECKING:
    from picq.signoff.export import Nominal, TapeOut


def page(tapeout: "TapeOut", nominal: "Nominal", manifest: Mapping[str, Any], gds: Path) -> str:
    """The page.

    Args:
        tapeout: what is exported.
        nominal: simulated spectra and figures.
        manifest: what ``manifest.json`` will say, but for the hashes of the files.
        gds: the mask as written; the pictures are drawn from it.
    """
    spec = tapeout.problem.spec
    kind, verdict = html_results.verdict(tapeout)
    subtitle = (
        f"{len(spec.channels.outputs)} channels, {spec.channels.spacing_ghz:g} GHz apart, around "
        f"{spec.channels.center_thz:g} THz, on {tapeout.problem.tech.name}. Sign-off report of the mask chip.gds."
    )
    spectra = html_results.spectra(tapeout, nominal) + html_results.notes(tapeout)
    checks = "".join(html_mask.check(report) for report in tapeout.reports)
    lengths = html_mask.lengths(tapeout.reports) + html_mask.light(tapeout, nominal)
    provenance = html_mask.provenance(tapeout, manifest) + html_mask.assumptions(tapeout)
    sections = (
        section("specification", "Specification and yield", html_results.specification(tapeout)),
        section("spectra", "Spectra against the specification", spectra),
        section("source", "Pair source", html_source.content(tapeout)),
        section("distributions", "Distribution of the figures", html_results.distributions(tapeout, nominal)),
        section("sensitivities", "What the figures depend on", html_results.sensitivities(tapeout)),
        section("heaters", "Trimming", html_results.heaters(tapeout)),
        section("layout", "Layout", html_mask.layout(tapeout, gds)),
        section("checks", "Checks of the mask", checks),
        section("lengths", "Optical lengths, mask against model", lengths),
        section("provenance", "Provenance", provenance),
    )
    return document(spec.name, subtitle, kind, verdict, sections)


def section(name: str, heading: str, content: str) -> str:
    """A section under its heading; empty where there is no content. All but ``heading`` is HTML."""
    if not content:
        return ""
    return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(heading)}</h2>\n{content}\n</section>'


def document(title: str, subtitle: str, kind: str, verdict: str, sections: Sequence[str]) -> str:
    """The whole page.

    Args:
        title, subtitle: text.
        kind: of the verdict: ``good``, ``mixed`` or ``bad``.
        verdict, sections: HTML.
    """
    template = files("picq.signoff").joinpath("report_template.html").read_text(encoding="utf-8")
    parts = {"title": escape(title), "subtitle": escape(subtitle), "verdict_class": kind, "verdict": verdict}
    return Template(template).substitute(parts, sections="\n".join(s for s in sections if s))
