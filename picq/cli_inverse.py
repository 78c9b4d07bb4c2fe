"""Commands about free-form devices."""

import json
from pathlib import Path
from typing import Annotated

import typer


def run(
    spec: Path,
    out: Path,
    work: Path,
    resume: bool,
    watch: bool,
    in_space: bool,
    backend: str,
    drawn: Path | None,
    as_json: bool,
) -> int:
    """Search and draw, or take what is ``drawn``; repair, check (``in_space``: in three dimensions too) and export a
    free-form device."""
    from picq.cli_shared import progress, say
    from picq.errors import SpecError
    from picq.inverse.bundle import DEVICE, export
    from picq.inverse.job import FreeFormJob
    from picq.inverse.scene3d import Space
    from picq.inverse.verify3d import afforded, verify
    from picq.signoff.export import refuse_strangers

    refuse_strangers(out)
    if drawn is not None and (resume or watch):
        raise SpecError("--mask takes the place of the search", got="--resume or --watch", remedy="leave them out")
    job = FreeFormJob.read(spec, backend)
    pixels = job.problem.density(job.spec.search.steps[-1]).shape
    say(f"{job.spec.name} on {job.tech.name}: {pixels[0]} x {pixels[1]} pixels, seed {job.spec.seed}")
    if in_space:  # refused before the search, not after it
        say(f"three dimensions: {afforded(Space.planned(job.spec, job.tech)).text()}")
    given = None if drawn is None else job.drawn(drawn)
    with progress() as report:
        if given is not None:
            finished = job.reshape(given, report)
        else:
            latent = job.search(work / "search.npz", resume=resume, watch=work if watch else None, report=report)
            finished = job.finish(latent, report)
    for look in finished.rounds:
        markers = ", ".join(f"{name} {count}" for name, count in look.markers.items()) or "clean"
        say(f"{look.what}: score {look.score:.4f}; {markers}")
    saved = job.saved(finished, drawn)
    saved.save(work / DEVICE)
    in_3d = None
    if in_space:
        with progress() as report:
            in_3d = verify(saved, job.tech, report=report)
        say(in_3d.text())
    manifest, reports = export(job, finished, saved, out, work / "rejected", in_3d)
    for report in reports:
        say(report.text())
    if as_json:
        print(json.dumps(manifest, indent=2, sort_keys=True))
    say(f"score of the mask: {finished.score:.4f}")
    met = finished.score >= 0 and (in_3d is None or in_3d.met)
    how = "NOT met" if finished.score < 0 else "not shown to be met in three dimensions"
    missed = "" if met else f"\nthe specification is {how}"
    say(f"report: {out / 'report.html'}\ndevice: {out / DEVICE}\nGDS:    {out / 'device.gds'}{missed}")
    return 0 if met else 1


def verify3d(
    device: Annotated[Path, typer.Argument(help="device.json of a free-form device", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write JSON")] = None,
    steps: Annotated[str, typer.Option(help="cells of two or more grids, um, comma separated")] = "0.04,0.02",
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON on stdout")] = False,
) -> int:
    """Check a free-form device in three dimensions, with the error of the grid; needs the extra `fdtd3d`."""
    from picq import catalogue
    from picq.cli_shared import hand_over, progress, say
    from picq.errors import SpecError
    from picq.inverse.saved import load_saved
    from picq.inverse.scene3d import Space
    from picq.inverse.verify3d import estimate, require, verify

    try:
        grids = tuple(float(step) for step in steps.split(","))
    except ValueError:
        raise SpecError("steps", got=steps, allowed="numbers in um, e.g. 0.04,0.02") from None
    saved = load_saved(device)
    tech = catalogue.technology(saved.technology)
    require()
    say(estimate(Space.of(saved, tech), grids).text())
    with progress() as report:
        found = verify(saved, tech, grids, report)
    hand_over(found, "verification", out, as_json)
    return 0 if found.met else 1


def spread(
    device: Annotated[Path, typer.Argument(help="device.json of a free-form device", show_default=False)],
    samples: Annotated[int, typer.Option(help="fabricated chips")] = 1000,
    seed: Annotated[int, typer.Option(help="of the chips", min=0, max=2**31 - 1)] = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write JSON, every sample included")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON on stdout")] = False,
) -> int:
    """Yield of a free-form device over width, thickness and temperature, every sample through the field solver."""
    from picq.cli_shared import hand_over, pin_blas, progress

    pin_blas()
    from picq import catalogue
    from picq.inverse.saved import load_saved
    from picq.inverse.spread import spread as sample

    saved = load_saved(device)
    with progress() as report:
        found = sample(saved, catalogue.technology(saved.technology), samples, seed, report)
    return hand_over(found, "spread", out, as_json)
