"""What a pair source on a chip delivers: from its ring, pump and detectors to rates, purity and key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from picq.errors import NumericsError, SpecError
from picq.optics.operating_point import Cavity, Medium, check_operable, operate, opo_threshold_w
from picq.quantum import sfwm
from picq.quantum.checks import check
from picq.quantum.entanglement import Link, key_rate, time_bin_link, time_slots
from picq.quantum.gaussian import pairs
from picq.quantum.joint_spectrum import captured_fraction
from picq.quantum.neighbourhood import NODES
from picq.quantum.pump import Gaussian, Pulse, Rectangular, Sech2
from picq.quantum.schmidt import purity, schmidt_weights
from picq.quantum.source import JointAmplitude, Lines, PairSource

Shape = Literal["cw", "gaussian", "sech2", "rectangular"]
SHAPES: dict[str, Callable[[Any], Pulse]] = {"gaussian": Gaussian, "sech2": Sech2, "rectangular": Rectangular}

_MODES = 4  # Schmidt modes that a link's clicks follow; the last takes what is left


@dataclass(frozen=True)
class Drive:
    """Light in the pump's port.

    Attributes:
        power_w: mean power.
        shape: ``cw`` or a pulse's.
        fwhm_s: of the pulses' intensity (a rectangular one's duration); unused for ``cw``.
        repetition_hz: of the pulses, or of the pairs of pulses of a time-bin link; unused for ``cw``.
        bins: pulses per period: 2 where time-bin analysers follow.
        detuning_hz: of a laser that follows the pumped resonance, from it.

    Raises:
        SpecError: a concrete number makes no sense, or the shape is unknown.
    """

    power_w: Any
    shape: Shape = "cw"
    fwhm_s: Any = None
    repetition_hz: Any = None
    bins: int = 1
    detuning_hz: Any = 0.0

    def __post_init__(self) -> None:
        """Check concrete numbers."""
        check("pump power", self.power_w, "W", least=0)
        if self.shape == "cw":
            return
        if self.shape not in SHAPES:
            raise SpecError("unknown shape of pump pulses", got=self.shape, allowed=", ".join(("cw", *SHAPES)))
        for what, value, unit in (("width of the pulses", self.fwhm_s, "s"), ("repetition", self.repetition_hz, "Hz")):
            if value is None:
                raise SpecError(f"{what} of a pulsed pump is missing", allowed=f"a number in {unit}")
            check(what, value, unit, above=0)

    @property
    def pulse(self) -> Pulse:
        """One pulse of unit energy."""
        return SHAPES[self.shape](self.fwhm_s)

    @property
    def energy_j(self) -> Any:
        """Of one pulse, J."""
        return self.power_w / (self.repetition_hz * self.bins)


@dataclass(frozen=True)
class Detection:
    """Detectors, alike for both photons.

    Attributes:
        efficiency: 0 … 1.
        dark_hz: dark counts, 1/s.
        jitter_s: standard deviation of one detector's error in time.
        window_s: of coincidence, full width.

    Raises:
        SpecError: a concrete number makes no sense.
    """

    efficiency: Any = 1.0
    dark_hz: Any = 0.0
    jitter_s: Any = 0.0
    window_s: Any = 1e-9

    def __post_init__(self) -> None:
        """Check concrete numbers."""
        check("efficiency of the detectors", self.efficiency, "", least=0, most=1)
        check("dark counts", self.dark_hz, "1/s", least=0)
        check("jitter", self.jitter_s, "s", least=0)
        check("window", self.window_s, "s", above=0)


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

    Raises:
        SpecError: analysers behind a continuous pump.
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
        return found | _continuous(lines, cavity, drive, detection, medium)
    amplitude = source.amplitude(lines, drive.pulse, drive.energy_j, points)
    return found | pulsed(lines, amplitude, drive, detection, analysers)


def _continuous(
    lines: Lines, cavity: Cavity, drive: Drive, detection: Detection, medium: Medium
) -> dict[str, jax.Array]:
    point = operate(cavity, medium, drive.power_w, detuning_hot=2 * jnp.pi * drive.detuning_hz)
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
    return found | {
        "visibility": link.visibility,
        "chsh": link.chsh,
        "qber": link.qber,
        "key_rate_hz": drive.repetition_hz * key_rate(link.gain_bins, link.qber_bins, link.qber_phase),
    }


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
    weights = schmidt_weights(amplitude.psi)
    weights = jnp.concatenate([weights[: _MODES - 1], jnp.sum(weights[_MODES - 1 :])[None]])
    state = pairs(made * jnp.tile(weights, 2))
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
