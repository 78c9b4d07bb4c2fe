"""The command about a pair source: its figures in one table, and the pictures that belong to them."""

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from picq.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picq.circuit import Circuit
    from picq.design.problem import Problem
    from picq.optics.operating_point import Cavity, Medium, OperatingPoint
    from picq.quantum.curves import IntegratedDispersion, LineFit
    from picq.quantum.source import Line, Lines

_POINTS = 256  # of each photon in a picture: ridges that long pulses draw are narrow

Figures = dict[str, dict[str, Any]]  # by name: value, unit, what it is, and an uncertainty where there is one

_PICTURES = ("line.png", "dispersion.png", "power.png", "joint_spectrum.png", "schmidt.png")  # two need pulses

_LINES = ("pump", "signal", "idler")

# what ``results`` has besides the figures of a specification
_OTHERS = {
    "pump_thz": ("THz", "The pumped resonance, cold."),
    "captured": ("", "Share of the joint spectrum on its grid."),
}


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
    from picq.cli import say, show_table
    from picq.design.result import Design, versions, write_whole
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
    figures, pictures = _looked_at(problem, circuit)
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
    for name in _PICTURES:  # none of an earlier specification stays
        if name in pictures:
            write_whole(folder / name, pictures[name])
        else:
            (folder / name).unlink(missing_ok=True)
    write_whole(folder / "figures.json", text.encode())
    if as_json:
        print(text, end="")
    say("lines")
    each = zip(*(figures[line].items() for line in _LINES), strict=True)
    show_table(("figure", *_LINES, "unit", ""), [_across(*rows) for rows in each])
    for part in [part for part in figures if part not in _LINES]:
        say(f"\n{part}")
        show_table(("figure", "value", "unit", ""), [_cells(key, row) for key, row in figures[part].items()])
    if missing := [name for name in _PICTURES if name not in pictures]:
        say(f"\nwithout {' and '.join(missing)}: a continuous pump has no joint spectrum")
    say(f"\nfigures: {folder / 'figures.json'}; pictures: {', '.join(pictures)}")
    return 0


def _looked_at(problem: "Problem", circuit: "Circuit") -> tuple[dict[str, Figures], dict[str, bytes]]:
    """All figures by part, and the pictures by file name."""
    import jax
    import numpy as np

    from picq.optics.operating_point import operate
    from picq.quantum import curves, plots

    asked, tech = problem.source, problem.tech
    assert asked is not None
    drive, medium = asked.drive, asked.medium

    @jax.jit
    def look(circuit: "Circuit") -> Any:
        source = asked.source(circuit, tech)
        lines = source.lines()
        cavity = source.cavity(lines.pump)
        if drive.shape == "cw":
            amplitude, joint = None, None
            point = operate(cavity, medium, drive.power_w, detuning_hot=2 * np.pi * drive.detuning_hz)
        else:
            amplitude = source.amplitude(lines, drive.pulse, drive.energy_j, max(asked.asked.points, _POINTS))
            joint, point = curves.joint_spectrum(lines, amplitude), None
        swept = curves.sweep(source, lines, drive, asked.detection, medium, amplitude)
        return asked.results(circuit, tech), lines, cavity, point, curves.transmission(source, lines), joint, swept

    results, lines, cavity, point, spectra, joint, swept = jax.device_get(look(circuit))
    ranges = [guide.modes["te0"].ranges.wl for guide in problem.guides]
    within = max(low for low, _ in ranges), min(high for _, high in ranges)
    reach = curves.reach_within(float(results["pump_thz"]), float(results["fsr_ghz"]), within)
    grid = jax.device_get(
        jax.jit(lambda circuit: curves.integrated_dispersion(asked.source(circuit, tech), reach))(circuit)
    )
    source = asked.source(circuit, tech)
    seen = curves.seen(spectra)
    fit = curves.fit_line(spectra.ghz, seen.power, split=bool(source.resonator.splitting_mhz))
    pump_thz = float(results["pump_thz"])
    pictures = {
        "line.png": plots.draw_line(spectra, curves.exits(source), fit, lines),
        "dispersion.png": plots.draw_dispersion(grid),
        "power.png": plots.draw_sweep(swept, drive),
    }
    if joint is not None:
        pictures |= {"joint_spectrum.png": plots.draw_joint_spectrum(joint), "schmidt.png": plots.draw_schmidt(joint)}
    figures = {"source": _source(results)}
    figures |= {name: _line(line) for name, line in lines._asdict().items()}
    figures["fit"] = _fitted(fit, pump_thz, -10 * np.log10(seen.power.min()) if seen.dips else None)
    figures["ring"] = _ring(lines, cavity, medium, grid)
    if point is not None:
        figures["operating point"] = _operating(point)
    return figures, pictures


def _source(results: "Mapping[str, Any]") -> Figures:
    from picq.design.source_figures import SOURCE_FIGURES

    about = {key: (kind.unit, kind.__doc__ or "") for key, kind in SOURCE_FIGURES.items()} | _OTHERS
    return {key: _figure(value, *about[key]) for key, value in results.items()}


def _line(line: "Line") -> Figures:
    rate = 2e6 * math.pi
    return {
        "frequency_thz": _figure(line.omega / (1e6 * rate), "THz", "Without light in the ring."),
        "linewidth_mhz": _figure(line.kappa / rate, "MHz", "Decay rate of the energy over 2 pi."),
        "q_loaded": _figure(line.q, "", "By all losses."),
        "q_intrinsic": _figure(line.q_i, "", "By the losses in the ring."),
        "q_coupling": _figure(line.omega / (line.kappa - line.kappa_i), "", "By all that couples to the ring."),
        "escape": _figure(line.escape, "", "Share of the light in the ring that goes to the port (pump: back to it)."),
        "finesse": _figure(2 * math.pi / (line.kappa * line.delay_s), "", "Free spectral range over linewidth."),
        "fsr_ghz": _figure(1e-9 / line.delay_s, "GHz", "Local free spectral range."),
    }


def _fitted(fit: "LineFit", pump_thz: float, extinction_db: float | None) -> Figures:
    q, share = 1e6 * pump_thz / fit.linewidth_mhz, fit.linewidth_error_mhz / fit.linewidth_mhz
    about = "As fitted to the spectrum; ± is its deviation from the form."
    found = {
        "linewidth_mhz": _figure(fit.linewidth_mhz, "MHz", about, fit.linewidth_error_mhz),
        "q_loaded": _figure(q, "", about, share * q),
    }
    if fit.splitting_mhz:
        found["splitting_mhz"] = _figure(fit.splitting_mhz, "MHz", "Of the two lines that backscattering makes.")
    if extinction_db is not None:
        found["extinction_db"] = _figure(extinction_db, "dB", "Transmission off resonance over that on resonance.")
    return found


def _ring(lines: "Lines", cavity: "Cavity", medium: "Medium", grid: "IntegratedDispersion") -> Figures:
    from picq.optics.operating_point import bistability_w, opo_threshold_w
    from picq.optics.resonator import build_up

    pump = lines.pump
    return {
        "d1_ghz": _figure(grid.d1_ghz, "GHz", "D1 over 2 pi, at the pumped resonance."),
        "d2_mhz": _figure(grid.d2_mhz, "MHz", "D2 over 2 pi; positive: anomalous."),
        "mismatch_mhz": _figure(lines.mismatch / (2e6 * math.pi), "MHz", "signal + idler - 2 pump, cold, over 2 pi."),
        "build_up": _figure(
            build_up(pump.kappa_port, pump.kappa, pump.delay_s), "", "Circulating over incident, cold."
        ),
        "n_g": _figure(cavity.n_g, "", "Group index, round trip."),
        "length_um": _figure(cavity.length_um, "um", "Of the round trip."),
        "gamma_w_m": _figure(cavity.gamma_w_m, "1/(W m)", "Nonlinear coefficient."),
        "a_eff_um2": _figure(cavity.a_eff_um2, "um²", "Effective area."),
        "thermal_k_mw": _figure(cavity.thermal_k_mw, "K/mW", "Warmth by power absorbed in the ring."),
        "bistability_mw": _figure(1e3 * bistability_w(cavity, medium), "mW", "Above, a fixed laser may be bistable."),
        "threshold_mw": _figure(1e3 * opo_threshold_w(cavity), "mW", "Of parametric oscillation, cold."),
    }


def _operating(point: "OperatingPoint") -> Figures:
    rate = 2e6 * math.pi
    shifts = {
        f"shift_{line}_{cause}_mhz": _figure(shift / rate, "MHz", f"Of the {whose}, by {cause}.")
        for line, whose, by in (("pump", "pumped resonance", point.pump), ("pair", "photons' resonances", point.pair))
        for cause, shift in by._asdict().items()
    }
    return {
        "energy_pj": _figure(1e12 * point.u_j, "pJ", "In the ring."),
        "photons": _figure(point.photons, "", "Of the pump in the ring."),
        "circulating_mw": _figure(1e3 * point.p_circ_w, "mW", "Power in the ring."),
        "build_up": _figure(point.build_up, "", "Circulating over incident power."),
        "linewidth_mhz": _figure(point.kappa_pump / rate, "MHz", "Of the pump, with losses by its light."),
        "added_pair_mhz": _figure(point.added_pair / rate, "MHz", "By light, to the photons' linewidths."),
        **shifts,
        "detuning_hot_mhz": _figure(point.detuning_hot / rate, "MHz", "Laser from the resonance as it is."),
        "detuning_cold_mhz": _figure(point.detuning_cold / rate, "MHz", "Laser from the cold resonance."),
    }


def _figure(value: Any, unit: str, about: str, uncertainty: float | None = None) -> dict[str, Any]:
    more = {} if uncertainty is None else {"uncertainty": uncertainty}
    return {"value": float(value), "unit": unit, "about": about, **more}


def _cells(key: str, row: "Mapping[str, Any]") -> tuple[str, str, str, str]:
    sure = "" if "uncertainty" not in row else f" ± {row['uncertainty']:.1g}"
    return key, f"{row['value']:.6g}{sure}", row["unit"], row["about"]


def _across(*rows: tuple[str, "Mapping[str, Any]"]) -> tuple[str, ...]:
    """One row for the same figure of several lines."""
    key, first = rows[0]
    return key, *(f"{row['value']:.7g}" for _, row in rows), first["unit"], first["about"]
