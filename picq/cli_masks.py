"""Commands about a mask: its rules, its circuit, another mask."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from picq import catalogue
from picq.cli_shared import DesignFile, Json, Lyrdb, SpecFile, Technology, loaded, say

if TYPE_CHECKING:
    from picq.signoff.report import Report


def drc(
    gds: Annotated[Path, typer.Argument(help="GDSII or OASIS file, whoever wrote it", show_default=False)],
    technology: Technology,
    lyrdb: Lyrdb = None,
    as_json: Json = False,
) -> int:
    """Check a mask against a technology's design rules."""
    from picq.signoff.drc import drc as check
    from picq.signoff.rules import load_deck

    return _verdict(check(gds, load_deck(catalogue.folder(technology)), lyrdb=lyrdb), as_json)


def lvs(
    gds: Annotated[Path, typer.Argument(help="the mask", show_default=False)],
    spec: SpecFile,
    design: DesignFile = None,
    lyrdb: Lyrdb = None,
    as_json: Json = False,
) -> int:
    """Compare a mask with the circuit: connections, ports, optical lengths, wires."""
    from picq.job import Job
    from picq.signoff.drc import write_lyrdb

    report = Job.read(spec).chip(loaded(design)).lvs(gds)
    if lyrdb is not None:
        write_lyrdb(report, lyrdb, top=gds.stem)
    return _verdict(report, as_json)


def diff(
    first: Annotated[Path, typer.Argument(help="a mask", show_default=False)],
    second: Annotated[Path, typer.Argument(help="another mask", show_default=False)],
    as_json: Json = False,
) -> int:
    """Compare the geometry of two masks, layer by layer."""
    from picq.signoff.drc import read_layout
    from picq.signoff.mask import compare_masks

    differences = compare_masks(first, read_layout(second))
    if as_json:
        print(json.dumps(differences))
    say("\n".join(differences) if differences else "the same geometry")
    return 1 if differences else 0


def _verdict(report: "Report", as_json: bool) -> int:
    if as_json:
        print(report.json())
    say(report.text())
    return 0 if report.passed else 1
