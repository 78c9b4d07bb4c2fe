"""What a pair source on a chip delivers: from its ring, pump and detectors to rates, purity and key."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from picq.errors import NumericsError, SpecError
from picq.optics.operating_point import (
    Cavity,
    Medium,
    OperatingPoint,
    check_operable,
    operate,
    opo_threshold_w,
)
from picq.quantum import sfwm
from picq.quantum.apparatus import Detection, Drive
from picq.quantum.comb import (
    Comb,
    Pairs,
    comb_figures,
    continuous_pairs,
    frequency_bins,
    link_figures,
    pulsed_pairs,
)
from picq.quantum.entanglement import Link, time_bin_link, time_slots
from picq.quantum.gaussian import pairs
from picq.quantum.joint_spectrum import captured_fraction
from picq.quantum.lines import Lines
from picq.quantum.neighbourhood import NODES
from picq.quantum.pair_amplitude import JointAmplitude, amplitudes
from picq.quantum.schmidt import purity, schmidt_weights
from picq.quantum.source import PairSource

_MODES = 4  # Schmidt modes that a link's clicks follow; the last takes what is left


@dataclass(frozen=True)
class Analysers:
    """Amplitudes of the short and of the long way through the signal's and the idler's analyser, [port] each."""

    signal: tuple[jax.Array, jax.Array]
    idler: tuple[jax.Array, jax.Array]

    def slots(self) -> tuple[jax.Array, jax.Array]:
        """[port, slot, bin] of both, see ``entanglement.time_slots``."""
        one = jnp.ones(2, complex)
        signal, idler = (time_slots(one, one, jnp.stack(ways, -1)) for ways in (self.signal, self.idler))
        return signal, idler


def figures(
    source: PairSource,
    lines: Lines,
    drive: Drive,
    detection: Detection,
    medium: Medium,
    analysers: Analysers | None = None,
    points: int = 128,
    comb: Comb | None = None,
) -> dict[str, jax.Array]:
    """Figures of a source, scalars; ``picq.design.source_figures`` says what each is, units in the names.

    Args:
        source: ring and chip.
        lines: of the source.
        drive: in the pump's port.
        detection: detectors.
        medium: what the core does at high power.
        analysers: at the source's two ports; only with pulses.
        points: frequencies of each photon in the joint spectrum.
        comb: what is asked of all the source's pairs, besides; its bins' link takes the place of analysers.

    Raises:
        SpecError: analysers behind a continuous pump, or a comb of a source with one pair.
    """
    cavity = source.cavity(lines.pump)
    found = {
        "q_loaded": lines.pump.q,
        "q_intrinsic": lines.pump.q_i,
        "fsr_ghz": 1e-9 / lines.pump.delay_s,
        "linewidth_mhz": 1e-6 * lines.signal.kappa / (2 * jnp.pi),
        "threshold_mw": 1e3 * opo_threshold_w(cavity),
        "pump_thz": 1e-12 * lines.pump.omega / (2 * jnp.pi),
    }
    if drive.shape == "cw":
        if analysers is not None:
            raise SpecError("time-bin analysers behind a continuous pump", remedy="give the pump a pulse shape")
        point = _operated(cavity, drive, medium)
        found |= _continuous(lines, cavity, point, drive, detection)
        if comb is None:
            return found
        return found | _of_all(_continuous_pairs(lines, cavity, point, detection), comb, jnp.ones(1), detection)
    amplitude = source.amplitude(lines, drive.pulse, drive.energy_j, points)
    found |= pulsed(lines, amplitude, drive, detection, analysers)
    if comb is None:
        return found
    weights = jnp.ones(1) if comb.bins is None else temporal_modes(amplitude)
    return found | _of_all(_pulsed_pairs(source, lines, drive, detection, points), comb, weights, detection)


def _of_all(made: Pairs, comb: Comb, weights: jax.Array, detection: Detection) -> dict[str, jax.Array]:
    found = comb_figures(made, comb.filters, detection)
    if comb.bins is None:
        return found
    return found | link_figures(frequency_bins(made, comb, weights, detection), made.trials_hz)


def all_pairs(
    source: PairSource, lines: Lines, drive: Drive, detection: Detection, medium: Medium, points: int = 128
) -> Pairs:
    """What each of the source's pairs makes. Arguments as for ``figures``."""
    if drive.shape != "cw":
        return _pulsed_pairs(source, lines, drive, detection, points)
    cavity = source.cavity(lines.pump)
    return _continuous_pairs(lines, cavity, _operated(cavity, drive, medium), detection)


def _operated(cavity: Cavity, drive: Drive, medium: Medium) -> OperatingPoint:
    return operate(cavity, medium, drive.power_w, detuning_hot=2 * jnp.pi * drive.detuning_hz)


def _continuous_pairs(lines: Lines, cavity: Cavity, point: OperatingPoint, detection: Detection) -> Pairs:
    coupled = sfwm.drive(cavity.gamma_w_m, cavity.v_g, point.p_circ_w)
    return continuous_pairs(lines, coupled, point.added_pair, point.mismatch, detection)


def _pulsed_pairs(source: PairSource, lines: Lines, drive: Drive, detection: Detection, points: int) -> Pairs:
    psi = amplitudes(source.emitter(lines), drive.pulse, drive.energy_j, points)
    return pulsed_pairs(lines, psi, drive.repetition_hz * drive.bins, detection)


def _continuous(
    lines: Lines, cavity: Cavity, point: OperatingPoint, drive: Drive, detection: Detection
) -> dict[str, jax.Array]:
    kappa_s, kappa_i = (line.kappa + point.added_pair for line in (lines.signal, lines.idler))
    coupled = sfwm.drive(cavity.gamma_w_m, cavity.v_g, point.p_circ_w)
    rate = sfwm.pair_rate_all_orders_hz(coupled, kappa_s, kappa_i, lines.mismatch + point.mismatch)
    escape_s, escape_i = lines.signal.kappa_port / kappa_s, lines.idler.kappa_port / kappa_i
    eta_s, eta_i = escape_s * detection.efficiency, escape_i * detection.efficiency
    held = sfwm.window_fraction(kappa_s, kappa_i, detection.window_s, 2**0.5 * detection.jitter_s)
    dark, window = detection.dark_hz, detection.window_s
    on_chip = rate * escape_s * escape_i
    widths_ghz = 1e-9 * (kappa_s + kappa_i) / (4 * jnp.pi)
    mean = rate * window
    return {
        "pair_rate_hz": rate,
        "pairs_out_hz": on_chip,
        "singles_hz": jnp.minimum(eta_s, eta_i) * rate,
        "coincidence_rate_hz": rate * eta_s * eta_i * held,
        "car": sfwm.coincidence_to_accidental(rate, eta_s, eta_i, dark, dark, window, held),
        "heralding": jnp.minimum(escape_s, escape_i),
        "heralded_g2": sfwm.heralded_g2(mean, jnp.zeros(()), eta_i),
        "brightness_hz_mw2_ghz": on_chip / (1e3 * drive.power_w) ** 2 / widths_ghz,
        "threshold_fraction": drive.power_w / opo_threshold_w(cavity),
    }


def pulsed(
    lines: Lines, amplitude: JointAmplitude, drive: Drive, detection: Detection, analysers: Analysers | None = None
) -> dict[str, jax.Array]:
    """The same of a pulsed pump, per period of the pump where they are no rates; the gain is taken as low.

    Args:
        lines: of the source.
        amplitude: of one pulse.
        drive, detection, analysers: as for ``figures``.
    """
    escape_s, escape_i = lines.signal.escape, lines.idler.escape
    made = amplitude.pairs / (escape_s * escape_i)
    one = purity(amplitude.psi)
    eta_s, eta_i = escape_s * detection.efficiency, escape_i * detection.efficiency
    held = sfwm.window_fraction(lines.signal.kappa, lines.idler.kappa, detection.window_s, 2**0.5 * detection.jitter_s)
    dark = detection.dark_hz * detection.window_s
    pulses = drive.repetition_hz * drive.bins
    rate = pulses * made
    true = made * eta_s * eta_i * held
    found = {
        "pair_rate_hz": rate,
        "pairs_out_hz": pulses * amplitude.pairs,
        "singles_hz": jnp.minimum(eta_s, eta_i) * rate,
        "coincidence_rate_hz": pulses * true,
        "car": true / ((eta_s * made + dark) * (eta_i * made + dark)),
        "heralding": jnp.minimum(escape_s, escape_i),
        "pairs_per_pulse": made,
        "purity": one,
        "heralded_g2": sfwm.heralded_g2(made, one, eta_i),
        "captured": captured_fraction(amplitude.psi, amplitude.signal, amplitude.idler),
    }
    if analysers is None:
        return found
    link = time_bin(made, amplitude, (escape_s, escape_i), detection, analysers)
    return found | link_figures(link, drive.repetition_hz)


def temporal_modes(amplitude: JointAmplitude) -> jax.Array:
    """Schmidt weights as clicks follow them, [mode]: the largest, and all others as one."""
    weights = schmidt_weights(amplitude.psi)
    return jnp.concatenate([weights[: _MODES - 1], jnp.sum(weights[_MODES - 1 :])[None]])


def time_bin(
    made: Any, amplitude: JointAmplitude, escape: tuple[Any, Any], detection: Detection, analysers: Analysers
) -> Link:
    """The link of two pulses' pairs behind analysers, all orders of pairs, losses and dark counts.

    Args:
        made: mean pairs that one pulse creates.
        amplitude: of one pulse; its Schmidt modes are those of each bin.
        escape: chance of signal and idler to get to their analyser.
        detection: detectors.
        analysers: behind the source's ports.
    """
    state = pairs(made * jnp.tile(temporal_modes(amplitude), 2))
    ways = (slots * jnp.sqrt(eta) for slots, eta in zip(analysers.slots(), escape, strict=True))
    dark = -jnp.expm1(-jnp.asarray(detection.dark_hz) * detection.window_s)
    alice, bob = ways
    return time_bin_link(state, alice, bob, detection.efficiency, dark, each=_MODES)


def check_source(source: PairSource, drive: Drive, medium: Medium) -> None:
    """Refuse a source of which no rate can be told.

    Raises:
        NumericsError: light takes too long around the ring for the resonances' neighbourhoods, or a continuous pump
            lies outside its resonance, above threshold or is not stable (``operating_point.check_operable``).
    """
    cavity = jax.device_get(jax.jit(lambda: source.cavity(source.lines().pump))())
    if not np.isfinite(cavity.kappa):
        raise NumericsError(
            "no resonances are found: they lie outside the guides' tables, or light between the ring and the ports "
            "takes too long to follow it from 200 linewidths (at most half an FSR) below a resonance to as much above",
            allowed=f"delays up to {NODES / np.pi:.0f} over that range in Hz",
            remedy="choose a nearer `pair`; name an analyser with its delay as `signal` or `idler` instead of a port",
        )
    if drive.shape != "cw":
        return
    width_hz = cavity.kappa / (2 * np.pi)
    if isinstance(drive.detuning_hz, float) and abs(drive.detuning_hz) > width_hz:
        raise NumericsError(
            "the pump lies outside its resonance",
            got=f"detuning {1e-6 * drive.detuning_hz:g} MHz",
            allowed=f"at most the linewidth, {1e-6 * width_hz:.4g} MHz: there the ring holds a fifth of the power",
            remedy="tune the laser, or leave `detuning_mhz` out: it then follows the resonance",
        )
    check_operable(cavity, medium, drive.power_w, detuning_hot=2 * jnp.pi * drive.detuning_hz)
