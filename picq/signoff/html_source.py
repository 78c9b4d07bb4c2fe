"""Section of the sign-off report about a pair source: its figures as designed, and pictures of its light."""

from html import escape
from typing import TYPE_CHECKING

from picq.design.source_view import LINES, view
from picq.signoff.markup import figure, named, number, table
from picq.signoff.plots import address

if TYPE_CHECKING:
    from picq.signoff.export import TapeOut

_SHOWN = {
    "line.png": "The pumped resonance, and what a fit makes of it.",
    "dispersion.png": "Integrated dispersion: how far resonances lie from an equal grid.",
    "joint_spectrum.png": "Joint spectral intensity of signal and idler with the spectra of each.",
    "schmidt.png": "Schmidt weights: shares of the pairs' independent modes; one alone would be pure.",
    "power.png": "Rates and true over accidental coincidences against the pump's power.",
}


def content(tapeout: "TapeOut") -> str:
    """What the section holds; empty where the specification has no source."""
    problem = tapeout.problem
    if problem.source is None:
        return ""
    figures, pictures = view(problem, tapeout.design.circuit(problem, whole=False))
    lines = [figures[line] for line in LINES]
    across = table(
        "The three resonances, nominal design.",
        ["", "", *LINES],
        [
            [
                f"<td>{escape(named(key))}</td>",
                f'<td class="small">{escape(row["about"])}</td>',
                *(number(f"{line[key]['value']:.7g}") for line in lines),
            ]
            for key, row in lines[0].items()
        ],
        range(2, 5),
    )
    parts = [part for part in figures if part not in LINES]
    rows = [
        [
            f"<td>{escape(part)}</td><td>{escape(named(key))}</td>",
            number(f"{row['value']:.5g}" + (f" ± {row['uncertainty']:.1g}" if "uncertainty" in row else "")),
            f'<td class="small">{escape(row["about"])}</td>',
        ]
        for part in parts
        for key, row in figures[part].items()
    ]
    rest = table("All other figures, nominal design.", ["", "Figure", "Value", ""], rows, range(2, 3))
    drawn = "".join(
        figure(address("image/png", pictures[name]), caption, caption)
        for name, caption in _SHOWN.items()
        if name in pictures
    )
    return drawn + across + rest
