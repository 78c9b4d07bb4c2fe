"""The command line. What people read goes to stderr, what machines read (``--json``) to stdout.

Exit codes: 0 passed; 1 ran, and a check failed; 2 wrong request; 3 numerics failed; 130 interrupted.
Heavy imports (jax, gdsfactory) are inside the commands that need them.
"""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from picq import cli_inverse, cli_optics, cli_source
from picq.errors import PicqError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from picq.design.result import Design
    from picq.design.tolerance import Tolerance
    from picq.job import Chip
    from picq.signoff.report import Report

app = typer.Typer(
    name="picq",
    help="Photonic chips from specification to signed-off GDS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(stderr=True, highlight=False)

# what a full disk or a wrong path raises; anything else is a defect and shows its traceback
_PLACES = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT,
    errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG,
)  # fmt: skip

# the base of all that click raises for a wrong command line; newer typers carry a copy of click that has no public name
_UsageError: Any = typer.BadParameter.__mro__[2]

_INTERRUPTED = "interrupted; where `run` or `optimise` wrote a checkpoint, --resume goes on from it"

SpecFile = Annotated[Path, typer.Argument(help="specification, a YAML file", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON on stdout")]
DesignFile = Annotated[
    Path | None, typer.Option("--design", "-d", help="saved design; without it the layout's own values")
]
Technology = Annotated[str, typer.Option("--technology", "-t", help="technology whose rules apply")]
Lyrdb = Annotated[Path | None, typer.Option(help="write the findings for KLayout's marker browser")]
Resume = Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
) -> None:
    """Options of all commands; ``--debug`` itself is read by ``run_command``, which catches the errors."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run_command(arguments))


def run_command(arguments: list[str] | None = None) -> int:
    """Run the command line; errors become a message on stderr and an exit code."""
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # read when jax is first imported
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments  # accepted anywhere on the line
    try:
        code = app(["--debug"] * debug + [a for a in arguments if a != "--debug"], standalone_mode=False)
        return code if isinstance(code, int) else 0
    except PicqError as error:
        return _complain(error, error.exit_code, debug)
    except _UsageError as error:
        return _complain(error.format_message(), 2, debug)
    except (KeyboardInterrupt, EOFError):
        return _complain(_INTERRUPTED, 130, debug)
    except typer.Abort:
        return _complain(_INTERRUPTED, 130, debug)
    except OSError as error:
        if error.errno not in _PLACES:
            raise
        remedy = "free some space or choose another place; nothing was half written"
        return _complain(f"{error.strerror}: {error.filename}\n  remedy: {remedy}", 2, debug)


def _complain(message: object, code: int, debug: bool) -> int:
    if debug:
        console.print_exception(show_locals=False)
    console.print(f"error: {message}", style="bold red" if console.is_terminal else None, markup=False, soft_wrap=True)
    return code


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="technologies, devices or figures")] = "devices",
    as_json: Json = False,
) -> int:
    """List technologies, devices with their parameters, or figures that a specification can ask for."""
    listings: dict[str, Callable[[], dict[str, Any]]] = {
        "technologies": _technologies,
        "devices": _devices,
        "figures": _figures,
    }
    if what not in listings:
        from picq.errors import nearest

        raise SpecError(f"cannot list '{what}'", allowed=", ".join(listings), remedy=nearest(what, listings))
    found = listings[what]()
    if as_json:
        print(json.dumps(found, indent=2))
        return 0
    for name, about in found.items():
        console.print(f"{name}  {about.pop('about')}", markup=False, soft_wrap=True)
        for key, value in about.items():
            console.print(f"    {key}: {value}", markup=False, soft_wrap=True)
    return 0


def _technologies() -> dict[str, Any]:
    from picq.pdk import folder, names  # pyright: ignore[reportMissingImports]

    readmes = {n: (folder(n) / "README.md").read_text(encoding="utf-8") for n in names()}
    return {n: {"about": text.split("\n\n")[1].strip()} for n, text in readmes.items()}


def _devices() -> dict[str, Any]:
    from picq import catalogue
    from picq.device import bounds

    def about(kind: Any) -> dict[str, Any]:
        limits = {n: f"{b.default} ({b.lower:g} … {b.upper:g} {b.unit})" for n, b in bounds(kind).items()}
        return {"about": kind.__doc__.splitlines()[0], **limits}

    return {name: about(kind) for name, kind in catalogue.devices().items()}


def _figures() -> dict[str, Any]:
    from picq.design.figures import FIGURES

    return {n: {"about": (kind.__doc__ or "").splitlines()[0], "unit": kind.unit} for n, kind in FIGURES.items()}


@app.command()
def run(
    spec: SpecFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the bundle")],
    resume: Resume = False,
    watch: Annotated[bool, typer.Option("--watch", help="of a free-form device: pictures while it runs")] = False,
    verify3d: Annotated[
        bool, typer.Option("--verify3d", help="of a free-form device: in three dimensions too, as `picq verify3d` does")
    ] = False,
    as_json: Json = False,
) -> int:
    """The main job: optimise, place and route, sample the tolerances, check, export; or a free-form device."""
    from picq.design.yaml_source import Source
    from picq.inverse.spec import is_free_form

    if is_free_form(Source.read(spec)):
        return cli_inverse.run(spec, out, _work(out), resume, watch, verify3d, as_json)
    for name, given in (("--watch", watch), ("--verify3d", verify3d)):
        if given:
            raise SpecError(f"{name} is for free-form devices", got=spec.name, remedy="leave it out")
    from picq.job import Job
    from picq.signoff.export import refuse_strangers

    refuse_strangers(out)
    job = Job.read(spec)
    say(f"{job.spec.name} on {job.tech.name}: {len(job.problem.slots)} free parameters, seed {job.spec.seed}")
    with progress() as report:
        design = job.optimise(_work(out) / "checkpoint.npz", resume=resume, report=report)
    design.save(_work(out) / "design.json")
    chip = job.finish(design)
    _show_design(chip.design)
    with progress() as report:
        tolerance = chip.tolerance(report=report)
    say(tolerance.text())
    return _export(chip, tolerance, out, as_json)


@app.command()
def simulate(
    spec: Annotated[str, typer.Argument(help="specification file; or a guide or device, with -t", show_default=False)],
    design: DesignFile = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write the spectra as CSV, in dB")] = None,
    technology: Annotated[str | None, typer.Option("--technology", "-t", help="of a single guide or device")] = None,
    figure: Annotated[str, typer.Option("--figure", help="of a guide, comma separated")] = "n_eff,n_g",
    wl: cli_optics.Wavelength = 1.55,
    mode: Annotated[str, typer.Option(help="of a guide")] = "te0",
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="name=number, repeatable")] = None,
    solver: Annotated[bool, typer.Option(help="ask the mode solver itself, not the baked tables (slow)")] = False,
    as_json: Json = False,
) -> int:
    """Figures of the nominal circuit against the targets; or of one guide or device (strip -t soi220 --figure n_g)."""
    if technology is not None:
        return cli_optics.simulate_part(spec, technology, figure, wl, mode, parameter or [], solver, as_json)
    from picq.design.result import write_whole
    from picq.job import Job, spectra_csv

    problem, found = Job.read(Path(spec), solver=solver).settled(_loaded(design))
    if out is not None:
        write_whole(out, spectra_csv(problem, found).encode())
        say(f"spectra: {out}")
    if as_json:
        print(json.dumps(found.figures, indent=2, sort_keys=True))
    _show_figures(found.figures)
    return 0 if all(row["met"] for row in found.figures.values()) else 1


@app.command()
def optimise(
    spec: SpecFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="file of the design")] = Path("design.json"),
    resume: Resume = False,
    as_json: Json = False,
) -> int:
    """Search for parameters that meet the targets; a checkpoint beside the design allows --resume."""
    from picq.job import Job

    with progress() as report:
        found = Job.read(spec).optimise(out.with_suffix(".checkpoint.npz"), resume=resume, report=report)
    found.save(out)
    _show_design(found)
    say(f"design: {out}")
    if as_json:
        print(json.dumps(found.as_dict(), indent=2, sort_keys=True))
    return 0 if found.met else 1


app.command("optimize", hidden=True)(optimise)


@app.command()
def tolerance(
    spec: SpecFile,
    design: DesignFile = None,
    samples: Annotated[int | None, typer.Option(help="instead of the specification's number", min=10)] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write JSON, and arrays beside it")] = None,
    as_json: Json = False,
) -> int:
    """Monte Carlo over fabrication and temperature: yields as fabricated and after trimming, sensitivities."""
    from picq.design.tolerance import tolerance as sample
    from picq.job import Job

    problem, made = Job.read(spec).settled(_loaded(design))
    with progress() as report:
        found = sample(problem, made.circuit(problem, whole=False), samples=samples, report=report)
    return hand_over(found, "tolerance", out, as_json)


@app.command()
def drc(
    gds: Annotated[Path, typer.Argument(help="GDSII or OASIS file, whoever wrote it", show_default=False)],
    technology: Technology,
    lyrdb: Lyrdb = None,
    as_json: Json = False,
) -> int:
    """Check a mask against a technology's design rules."""
    from picq.pdk import folder  # pyright: ignore[reportMissingImports]
    from picq.signoff.drc import drc as check
    from picq.signoff.rules import load_deck

    return _verdict(check(gds, load_deck(folder(technology)), lyrdb=lyrdb), as_json)


@app.command()
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

    report = Job.read(spec).chip(_loaded(design)).lvs(gds)
    if lyrdb is not None:
        write_lyrdb(report, lyrdb, top=gds.stem)
    return _verdict(report, as_json)


@app.command()
def export(
    spec: SpecFile,
    design: Annotated[Path, typer.Option("--design", "-d", help="saved design", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the bundle")],
    samples: Annotated[int | None, typer.Option(help="of the tolerance analysis", min=10)] = None,
    as_json: Json = False,
) -> int:
    """Draw, check and export a saved design."""
    from picq.design.result import Design
    from picq.job import Job
    from picq.signoff.export import refuse_strangers

    refuse_strangers(out)
    chip = Job.read(spec).finish(Design.load(design))
    with progress() as report:
        found = chip.tolerance(samples=samples, report=report)
    return _export(chip, found, out, as_json)


app.command()(cli_optics.bake)
app.command()(cli_optics.modes)
app.command()(cli_source.source)
app.command()(cli_inverse.verify3d)
app.command()(cli_inverse.spread)


@app.command()
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


def _export(chip: "Chip", found: "Tolerance", out: Path, as_json: bool) -> int:
    from picq.signoff.export import export as write

    tapeout = chip.checked(found, _work(out))
    for report in tapeout.reports:
        say(report.text())
    bundle = write(tapeout, out)
    if as_json:
        print(json.dumps(bundle.manifest, indent=2, sort_keys=True))
    missed = "" if chip.design.met else "\nthe specification is NOT met: " + "; ".join(chip.design.unmet)
    say(f"report: {out / 'report.html'}\nGDS:    {out / 'chip.gds'}{missed}")
    return 0 if chip.design.met else 1


def _work(out: Path) -> Path:
    """Where a run keeps its checkpoint, design and unchecked mask: beside the bundle, which is replaced as a whole."""
    return out.parent / f"{out.name}.work"


def _loaded(path: Path | None) -> "Design | None":
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


def say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _show_design(design: "Design") -> None:
    landed = f"{design.landed} of {design.starts} random starts meet every target"
    say(f"design: {design.status}; {landed} (seed {design.seed})")
    if climb := design.centring:
        ends = "smoothed yield {before_percent:g} -> {after_percent:g} %".format_map(climb)
        if climb["after_percent"] == 0:
            ends += "; no chip passes or comes near it: `picq tolerance` shows the target that all miss"
        elif not climb["taken"]:
            ends += "; not taken, for it misses a target that the nominal design meets"
        say(f"centring: {ends}")
    _show_figures(design.figures)


def _show_figures(figures: "Mapping[str, Mapping[str, Any]]") -> None:
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


def _verdict(report: "Report", as_json: bool) -> int:
    if as_json:
        print(report.json())
    say(report.text())
    return 0 if report.passed else 1
