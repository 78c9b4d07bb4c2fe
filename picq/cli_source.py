"""The command about a pair source: its figures in one table, and the pictures that belong to them."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from picq.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping


def source(
    spec: Annotated[Path, typer.Argument(help="specification with a `source:`, a YAML file", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder of figures.json and pictures; build/<name>_source")
    ] = None,
    design: Annotated[
        Path | None, typer.Option("--design", "-d", help="saved design; without it the layout's own values")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON on stdout")] = False,
) -> int:
    """Figures of a specification's pair source, with pictures of its line, dispersion, joint spectrum and rates."""
    from picq.cli_shared import say, show_table
    from picq.design.result import Design, versions, write_whole
    from picq.design.source_view import LINES, PICTURES, view
    from picq.design.spec import load_spec
    from picq.job import Job

    if load_spec(spec).source is None:
        raise SpecError(
            f"'{spec}' asks for no pair source", remedy="add a section `source:`, see picq/design/source_spec.py"
        )
    job = Job.read(spec)
    if design is None:
        problem, circuit = job.problem, job.problem.measured
    else:
        problem, made = job.settled(Design.load(design))
        circuit = made.circuit(problem, whole=False)
    figures, pictures = view(problem, circuit)
    folder = Path("build") / f"{job.spec.name}_source" if out is None else out
    told = {
        "name": job.spec.name,
        "technology": job.tech.name,
        "seed": job.spec.seed,
        "specification_sha256": job.spec.digest(),
        "design_sha256": None if design is None else hashlib.sha256(design.read_bytes()).hexdigest(),
        "versions": versions(),
        "figures": figures,
        "pictures": sorted(pictures),
    }
    text = json.dumps(told, indent=2) + "\n"
    for name in PICTURES:  # none of an earlier specification stays
        if name in pictures:
            write_whole(folder / name, pictures[name])
        else:
            (folder / name).unlink(missing_ok=True)
    write_whole(folder / "figures.json", text.encode())
    if as_json:
        print(text, end="")
    say("lines")
    each = zip(*(figures[line].items() for line in LINES), strict=True)
    show_table(("figure", *LINES, "unit", ""), [_across(*rows) for rows in each])
    if combed := [part for part in figures if part.startswith("pair ")]:
        say("\ncomb")
        each = zip(*(figures[pair].items() for pair in combed), strict=True)
        show_table(("figure", *combed, "unit", ""), [_across(*rows) for rows in each])
    for part in [part for part in figures if part not in (*LINES, *combed)]:
        say(f"\n{part}")
        show_table(("figure", "value", "unit", ""), [_cells(key, row) for key, row in figures[part].items()])
    if missing := [name for name in PICTURES if name not in pictures]:
        say(f"\nwithout {' and '.join(missing)}: a continuous pump has no joint spectrum")
    say(f"\nfigures: {folder / 'figures.json'}; pictures: {', '.join(pictures)}")
    return 0


def _cells(key: str, row: "Mapping[str, Any]") -> tuple[str, str, str, str]:
    sure = "" if "uncertainty" not in row else f" ± {row['uncertainty']:.1g}"
    return key, f"{row['value']:.6g}{sure}", row["unit"], row["about"]


def _across(*rows: tuple[str, "Mapping[str, Any]"]) -> tuple[str, ...]:
    """One row for the same figure of several lines."""
    key, first = rows[0]
    return key, *(f"{row['value']:.7g}" for _, row in rows), first["unit"], first["about"]
