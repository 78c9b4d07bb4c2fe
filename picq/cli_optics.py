"""Commands about guides: bake tables, look at modes, ask one guide or one device for its figures."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from picq.errors import SpecError

if TYPE_CHECKING:
    from picq.technology import Technology

Wavelength = Annotated[float, typer.Option("--wl", help="wavelength, um")]


def bake(
    technology: Annotated[str, typer.Argument(help="technology, e.g. soi220", show_default=False)],
    jobs: Annotated[int | None, typer.Option(help="processes; all cores by default")] = None,
    force: Annotated[bool, typer.Option(help="solve again what is up to date")] = False,
    work: Annotated[
        Path, typer.Option(help="where solved points wait for their table, so that a run can be resumed")
    ] = Path("build/bake"),
) -> int:
    """Solve the technology's guides and write the tables that its devices use; up to date ones are left alone."""
    from picq import catalogue
    from picq.baking import bake_technology
    from picq.cli_shared import progress, say
    from picq.design.progress import Progress

    with progress() as report:
        made = bake_technology(
            catalogue.folder(technology), work / technology, jobs=jobs, force=force,
            progress=lambda name, done, total: report(Progress(name, done, total)),
        )  # fmt: skip
    for name, errors in made.items():
        say(f"{name}: " + ", ".join(f"{what} {error:.1e}" for what, error in errors.items()))
    say(f"{len(made)} files written, with the largest errors on points that were not fitted; the rest was up to date")
    return 0


def modes(
    technology: Annotated[str, typer.Argument(help="technology", show_default=False)],
    cross_section: Annotated[str, typer.Argument(help="one of its guides", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="picture; the suffix tells its kind")],
    mode: Annotated[str, typer.Option(help="modes, comma separated; with --gap te0even,te0odd")] = "te0,tm0",
    wl: Wavelength = 1.55,
    width: Annotated[float | None, typer.Option(help="drawn width, um")] = None,
    gap: Annotated[float | None, typer.Option(help="gap to a second guide, um")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the indices as JSON on stdout")] = False,
) -> int:
    """Draw the fields of a guide's modes and print their indices."""
    from picq import catalogue
    from picq.cli_shared import say
    from picq.optics import fields
    from picq.optics.modes import n_group, solve
    from picq.optics.plots import draw_modes

    tech = catalogue.technology(technology)
    profile = tech.profile(cross_section, width, gap)
    kelvin = tech.point(cross_section).temperature_k
    names = [name.strip() for name in mode.split(",")]
    found = [solve(profile, wl, name, temperature_k=kelvin) for name in names]
    rows = {
        m.name: {
            "n_eff": float(m.n_eff),
            "n_eff_error": float(m.error),
            "n_g": float(n_group(profile, wl, m.name, temperature_k=kelvin)),
            "a_eff_um2": float(fields.a_eff(m)),
            "confinement": float(fields.confinement(m)),
        }
        for m in found
    }
    captions = [
        f"{technology} {cross_section} {name}\nn_eff {r['n_eff']:.5f}  n_g {r['n_g']:.4f}" for name, r in rows.items()
    ]
    draw_modes(found, captions, out)
    if as_json:
        print(json.dumps(rows, indent=2))
    for name, r in rows.items():
        say(f"{name}: n_eff {r['n_eff']:.6f} ± {r['n_eff_error']:.1e}, n_g {r['n_g']:.4f}, "
            f"A_eff {r['a_eff_um2']:.4f} um2, {r['confinement']:.1%} of the power in the core")  # fmt: skip
    say(f"fields: {out}")
    return 0


def simulate_part(
    name: str, technology: str, figure: str, wl: float, mode: str, parameters: list[str], solver: bool, as_json: bool
) -> int:
    """Figures of one guide, or S-parameters of one device, at one wavelength."""
    from picq import catalogue

    tech = catalogue.technology(technology, solver=solver)
    optical = [n for n, xs in tech.cross_sections.items() if not xs.electrical]
    if name in optical:
        return _guide(tech, name, figure, wl, mode, parameters, solver, as_json)
    if name in catalogue.devices():
        return _device(tech, name, wl, parameters, as_json)
    from picq.errors import nearest

    known = [*optical, *catalogue.devices()]
    raise SpecError(
        f"'{name}' is neither a specification file nor a guide of {technology} nor a device",
        allowed=", ".join(known),
        remedy=nearest(name, known),
    )


def _guide(
    tech: "Technology", name: str, figure: str, wl: float, mode: str, parameters: list[str], solver: bool, as_json: bool
) -> int:
    from picq.cli_shared import show_table
    from picq.optics.report import figures

    given = _numbers(parameters)
    if set(given) - {"width"}:
        raise SpecError("a guide has one parameter", got=", ".join(given), allowed="width=… in um")
    found = figures(
        tech, name, [f.strip() for f in figure.split(",")], wl=wl, mode=mode, width=given.get("width"), solver=solver
    )
    if as_json:
        print(json.dumps({f.name: f._asdict() for f in found}, indent=2))
    rows = [(f.name, f"{f.value:.6g}", f.unit, f"{f.uncertainty:.1g}", f.source) for f in found]
    show_table(("figure", "value", "unit", "±", "from"), rows)
    return 0


def _device(tech: "Technology", name: str, wl: float, parameters: list[str], as_json: bool) -> int:
    import jax.numpy as jnp
    import numpy as np

    from picq import catalogue
    from picq.cli_shared import show_table
    from picq.device import bounds

    kind = catalogue.device(name)
    device = kind.on(tech, **_whole(_numbers(parameters), set(bounds(kind))))
    s = {k: complex(v[0]) for k, v in device.model(jnp.asarray([wl]), tech).items()}
    if as_json:
        print(json.dumps({f"{a},{b}": {"re": v.real, "im": v.imag} for (a, b), v in s.items()}, indent=2))
    rows = [
        (a, b, f"{10 * np.log10(abs(v) ** 2):.3f}" if v else "-inf", f"{np.degrees(np.angle(v)):.2f}")
        for (a, b), v in s.items()
    ]
    show_table(("in", "out", "dB", "phase (degrees)"), rows)
    if about := device.about(tech):
        show_table(("figure", "value"), [(k, f"{v:.6g}") for k, v in about.items()])
    return 0


def _whole(values: dict[str, Any], numbers: set[str]) -> dict[str, Any]:
    """Counts (whole numbers that are no design variables) as integers."""
    return {k: int(v) if k not in numbers and v.is_integer() else v for k, v in values.items()}


def _numbers(parameters: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for text in parameters:
        key, sign, value = text.partition("=")
        try:
            if not sign:
                raise ValueError
            values[key.strip()] = float(value)
        except ValueError:
            raise SpecError(
                f"cannot read the parameter '{text}'", allowed="name=number", remedy="e.g. -p width=0.5"
            ) from None
    return values
