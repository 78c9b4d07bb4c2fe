"""What the commands share: options, and how results are shown: to people on stderr, to machines on stdout."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from picq.design.result import Design

console = Console(stderr=True, highlight=False)

SpecFile = Annotated[Path, typer.Argument(help="specification, a YAML file", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON on stdout")]
DesignFile = Annotated[
    Path | None, typer.Option("--design", "-d", help="saved design; without it the layout's own values")
]
Technology = Annotated[str, typer.Option("--technology", "-t", help="technology whose rules apply")]
Lyrdb = Annotated[Path | None, typer.Option(help="write the findings for KLayout's marker browser")]
Resume = Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")]


def loaded(path: Path | None) -> "Design | None":
    from picq.design.result import Design

    return None if path is None else Design.load(path)


def progress() -> Any:
    from picq.design.progress import bar

    return bar()


def hand_over(found: Any, what: str, out: Path | None, as_json: bool) -> int:
    """A result with ``save``, ``as_dict`` and ``text`` to where it was asked for; 0."""
    if out is not None:
        found.save(out)
        say(f"{what}: {out}")
    if as_json:
        print(json.dumps(found.as_dict(), indent=2, sort_keys=True))
    say(found.text())
    return 0


def pin_blas() -> None:
    """One thread for numpy's BLAS, before it is loaded: wavelengths run side by side, and more get in the way."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def show_design(design: "Design") -> None:
    landed = f"{design.landed} of {design.starts} random starts meet every target"
    say(f"design: {design.status}; {landed} (seed {design.seed})")
    if climb := design.centring:
        ends = "smoothed yield {before_percent:g} -> {after_percent:g} %".format_map(climb)
        if climb["after_percent"] == 0:
            ends += "; no chip passes or comes near it: `picq tolerance` shows the target that all miss"
        elif not climb["taken"]:
            ends += "; not taken, for it misses a target that the nominal design meets"
        say(f"centring: {ends}")
    show_figures(design.figures)


def show_figures(figures: "Mapping[str, Mapping[str, Any]]") -> None:
    rows = []
    for label, row in figures.items():
        channels = "  ".join(f"{name} {value:.3g}" for name, value in row["channels"].items())
        met = "yes" if row["met"] else "NO"
        rows.append((label, row["wanted"], f"{row['worst']:.3g} {row['unit']}", channels, met))
    show_table(("figure", "target", "worst", "channels", "met"), rows)


def show_table(headings: "Iterable[str]", rows: "Iterable[Iterable[str]]") -> None:
    """A plain table on stderr."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    console.print(table)
