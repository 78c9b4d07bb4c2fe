"""The sign-off report as one self-contained HTML page, for the engineer who signs and the foundry that asks.

All text that comes from a specification, a device or a check is escaped; pictures are ``data:`` addresses.
"""

from collections.abc import Mapping
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
    parts = {
        "title": escape(spec.name),
        "subtitle": escape(
            f"{len(spec.channels.outputs)} channels, {spec.channels.spacing_ghz:g} GHz apart, around "
            f"{spec.channels.center_thz:g} THz, on {tapeout.problem.tech.name}. Sign-off report of the mask chip.gds."
        ),
        "verdict_class": kind,
        "verdict": verdict,
        "specification": html_results.specification(tapeout),
        "spectra": html_results.spectra(tapeout, nominal) + html_results.notes(tapeout),
        "source": html_source.section(tapeout),
        "distributions": html_results.distributions(tapeout, nominal),
        "sensitivities": html_results.sensitivities(tapeout),
        "heaters": html_results.heaters(tapeout),
        "layout": html_mask.layout(tapeout, gds),
        "checks": "".join(html_mask.check(report) for report in tapeout.reports),
        "lengths": html_mask.lengths(tapeout.reports) + html_mask.light(tapeout, nominal),
        "provenance": html_mask.provenance(tapeout, manifest) + html_mask.assumptions(tapeout),
    }
    template = files("picq.signoff").joinpath("report_template.html").read_text(encoding="utf-8")
    return Template(template).substitute(parts)
