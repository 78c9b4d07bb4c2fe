"""All that is to be seen of a specification's pair source: its figures by part, and the pictures of them."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from picq.circuit import Circuit
from picq.design.problem import Problem
from picq.design.source_figures import SOURCE_FIGURES
from picq.optics.operating_point import Cavity, Medium, OperatingPoint, bistability_w, operate, opo_threshold_w
from picq.optics.resonator import build_up
from picq.quantum import curves, plots
from picq.quantum.comb import Pairs
from picq.quantum.curves import IntegratedDispersion, LineFit
from picq.quantum.lines import Line, Lines

LINES = ("pump", "signal", "idler")
"""Parts of the figures that tell of one resonance."""

PICTURES = ("line.png", "dispersion.png", "power.png", "joint_spectrum.png", "schmidt.png")
"""Names of the pictures; the last two need pulses."""

Figures = dict[str, dict[str, Any]]
"""By name: value, unit, what it is (about), and an uncertainty where there is one."""

_POINTS = 256  # of each photon in a picture: ridges that long pulses draw are narrow
# what ``results`` has besides the figures of a specification
_OTHERS = {
    "pump_thz": ("THz", "The pumped resonance, cold."),
    "captured": ("", "Share of the joint spectrum on its grid."),
}


def view(problem: Problem, circuit: Circuit) -> tuple[dict[str, Figures], dict[str, bytes]]:
    """All figures by part, and the pictures (PNG) by file name.

    Args:
        problem: with a source.
        circuit: as it is measured.
    """
    asked, tech = problem.source, problem.tech
    assert asked is not None
    drive, medium = asked.drive, asked.medium

    @jax.jit
    def look(circuit: Circuit) -> Any:
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
        results = asked.results(circuit, tech, asked.available)
        pairs = asked.pairs(source, lines) if asked.asked.pairs else None
        return results, lines, cavity, point, curves.transmission(source, lines), joint, swept, pairs

    results, lines, cavity, point, spectra, joint, swept, pairs = jax.device_get(look(circuit))
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
    figures |= {name: _line(getattr(lines, name)) for name in LINES}
    if pairs is not None:
        figures |= {f"pair {m}": _pair(pairs, lines, k) for k, m in enumerate(asked.asked.orders)}
    figures["fit"] = _fitted(fit, pump_thz, -10 * np.log10(seen.power.min()) if seen.dips else None)
    figures["ring"] = _ring(lines, cavity, medium, grid)
    if point is not None:
        figures["operating point"] = _operating(point)
    return figures, pictures


def _source(results: Mapping[str, Any]) -> Figures:
    about = {key: (kind.unit, kind.__doc__ or "") for key, kind in SOURCE_FIGURES.items()} | _OTHERS
    return {key: _figure(value, *about[key]) for key, value in results.items()}


def _line(line: Line) -> Figures:
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


def _pair(pairs: Pairs, lines: Lines, k: int) -> Figures:
    """Of one pair of the comb."""
    rate = 2e6 * math.pi
    return {
        "signal_thz": _figure(lines.signals.omega[k] / (1e6 * rate), "THz", "Resonance of the signal."),
        "idler_thz": _figure(lines.idlers.omega[k] / (1e6 * rate), "THz", "Resonance of the idler."),
        "mismatch_mhz": _figure(lines.mismatches[k] / rate, "MHz", "signal + idler - 2 pump, cold, over 2 pi."),
        "pair_rate_hz": _figure(pairs.made_hz[k], "1/s", "Created in the ring."),
        "pairs_out_hz": _figure(pairs.out_hz[k], "1/s", "Both photons arrive at the source's ports."),
        "escape_signal": _figure(pairs.escape_s[k], "", "Chance of the signal to arrive."),
        "escape_idler": _figure(pairs.escape_i[k], "", "Chance of the idler to arrive."),
        "likeness": _figure(abs(pairs.overlap[0, k]), "", "Overlap of its joint amplitude's form with the first's."),
    }


def _fitted(fit: LineFit, pump_thz: float, extinction_db: float | None) -> Figures:
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


def _ring(lines: Lines, cavity: Cavity, medium: Medium, grid: IntegratedDispersion) -> Figures:
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


def _operating(point: OperatingPoint) -> Figures:
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
