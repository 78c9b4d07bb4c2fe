"""The command line. What people read goes to stderr, what machines read (``--json``) to stdout.

Exit codes: 0 passed; 1 ran, and a check failed; 2 wrong request; 3 numerics failed; 130 interrupted.
Heavy imports (jax, gdsfactory) are inside the commands that need them.
"""

import errno
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from picq import cli_inverse, cli_listing, cli_masks, cli_optics, cli_source
from picq.cli_shared import (
    DesignFile,
    Json,
    Resume,
    SpecFile,
    console,
    hand_over,
    loaded,
    pin_blas,
    progress,
    say,
    show_design,
    show_figures,
)
from picq.errors import PicqError, SpecError

if TYPE_CHECKING:
    from picq.design.tolerance import Tolerance
    from picq.job import Chip

app = typer.Typer(
    name="picq",
    help="Photonic chips from specification to signed-off GDS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# what a full disk or a wrong path raises; anything else is a defect and shows its traceback
_PLACES = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT,
    errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG,
)  # fmt: skip

# the base of all that click raises for a wrong command line; newer typers carry a copy of click that has no public name
_UsageError: Any = typer.BadParameter.__mro__[2]

_INTERRUPTED = "interrupted; where `run` or `optimise` wrote a checkpoint, --resume goes on from it"


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


app.command("list")(cli_listing.listed)


@app.command()
def run(
    spec: SpecFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the bundle")],
    resume: Resume = False,
    watch: Annotated[bool, typer.Option("--watch", help="of a free-form device: pictures while it runs")] = False,
    verify3d: Annotated[
        bool, typer.Option("--verify3d", help="of a free-form device: in three dimensions too, as `picq verify3d` does")
    ] = False,
    backend: Annotated[
        str, typer.Option("--backend", help="of a free-form device's field solver: superlu, or pardiso with picq[mkl]")
    ] = "superlu",
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="of a free-form device: a mask about the origin whose walls are moved, no search"),
    ] = None,
    as_json: Json = False,
) -> int:
    """The main job: optimise, place and route, sample the tolerances, check, export; or a free-form device."""
    pin_blas()
    from picq.design.yaml_source import Source
    from picq.inverse.spec import is_free_form

    if is_free_form(Source.read(spec)):
        return cli_inverse.run(spec, out, _work(out), resume, watch, verify3d, backend, mask, as_json)
    for name, given in (
        ("--watch", watch),
        ("--verify3d", verify3d),
        ("--backend", backend != "superlu"),
        ("--mask", mask),
    ):
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
    show_design(chip.design)
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

    problem, found = Job.read(Path(spec), solver=solver).settled(loaded(design))
    if out is not None:
        write_whole(out, spectra_csv(problem, found).encode())
        say(f"spectra: {out}")
    if as_json:
        print(json.dumps(found.figures, indent=2, sort_keys=True))
    show_figures(found.figures)
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
    show_design(found)
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

    problem, made = Job.read(spec).settled(loaded(design))
    with progress() as report:
        found = sample(problem, made.circuit(problem, whole=False), samples=samples, report=report)
    return hand_over(found, "tolerance", out, as_json)


app.command()(cli_masks.drc)
app.command()(cli_masks.lvs)


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


app.command()(cli_masks.diff)
app.command()(cli_optics.bake)
app.command()(cli_optics.modes)
app.command()(cli_source.source)
app.command()(cli_inverse.verify3d)
app.command()(cli_inverse.spread)


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
