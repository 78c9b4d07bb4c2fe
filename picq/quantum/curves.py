"""What a physicist looks at in a pair source, as arrays: its line and a fit of it, dispersion, joint spectrum, rates.

What computes from a ``PairSource`` is traceable; what fits takes NumPy arrays (``jax.device_get``).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import curve_fit

from picq.errors import NumericsError
from picq.optics.operating_point import Medium, opo_threshold_w
from picq.optics.resonator import C_UM_HZ, wavelength
from picq.quantum.figures import Detection, Drive, figures, pulsed
from picq.quantum.joint_spectrum import captured_fraction, marginals
from picq.quantum.schmidt import schmidt_weights
from picq.quantum.source import JointAmplitude, Lines, PairSource

_GHZ, _MHZ = 2e9 * np.pi, 2e6 * np.pi  # in rad/s
_SPAN = 8.0  # linewidths to both sides of the pumped resonance
_TIGHT: Any = {"xtol": 1e-12, "ftol": 1e-14, "gtol": 1e-14, "max_nfev": 500}
_PASSES = 1e-2  # a port whose light mostly passes the ring: this share of what it gets goes past the loops
_SHOWN = 2.5  # linewidths to both sides in the picture of a joint spectrum
_DECADES = 3.0  # of the pump's power
_SWEPT = ("pair_rate_hz", "pairs_out_hz", "coincidence_rate_hz", "car")
_LOW_GAIN = 0.1  # pairs per pulse: beyond, light that pairs stimulate counts


class Transmission(NamedTuple):
    """Spectra around the pumped resonance, from the pump's port to all others (``exits``).

    Attributes:
        ghz: from the resonance, [n].
        power: transmission of the chip, [n, port].
        past: the same with the ring's loops cut open, [n, port]: what the rest of the chip does.
    """

    ghz: jax.Array
    power: jax.Array
    past: jax.Array


class LineFit(NamedTuple):
    """A line fitted to a spectrum without noise; ± is what the spectrum's deviation from the form makes uncertain.

    Attributes:
        centre_ghz: on the spectrum's axis.
        linewidth_mhz, linewidth_error_mhz: full width at half maximum, kappa/2 pi, and its standard error.
        splitting_mhz: of the two lines; zero where one was asked for.
        power: the fit, [n].
    """

    centre_ghz: float
    linewidth_mhz: float
    linewidth_error_mhz: float
    splitting_mhz: float
    power: np.ndarray


class Seen(NamedTuple):
    """What the port sees of the line that sees most of it.

    Attributes:
        port: position among ``exits``.
        power: transmission, [n]; where the port is behind the bus, with what the rest of the chip does divided out and
            relative to that off resonance.
        dips: whether it is behind the bus.
    """

    port: int
    power: np.ndarray
    dips: bool


class IntegratedDispersion(NamedTuple):
    """D_int = omega_m - omega_0 - D1 m over 2 pi, and the linewidths, of the resonances m, [resonance] each."""

    m: np.ndarray
    thz: jax.Array
    d_int_mhz: jax.Array
    linewidth_mhz: jax.Array
    d1_ghz: jax.Array
    d2_mhz: jax.Array


class JointSpectrum(NamedTuple):
    """Joint spectral intensity, normalised; frequencies in GHz from the resonances of signal [ns] and idler [ni].

    Attributes:
        signal_ghz, idler_ghz: frequencies.
        signal_weight, idler_weight: of the quadrature, GHz.
        density: per GHz², [ns, ni].
        signal, idler: spectra of each photon, per GHz.
        linewidth_ghz: of signal and idler, [2].
        captured: share that lies on the grid.
        schmidt: weights by falling size, their sum is 1.
    """

    signal_ghz: jax.Array
    idler_ghz: jax.Array
    signal_weight: jax.Array
    idler_weight: jax.Array
    density: jax.Array
    signal: jax.Array
    idler: jax.Array
    linewidth_ghz: jax.Array
    captured: jax.Array
    schmidt: jax.Array

    @property
    def purity(self) -> Any:
        """Of a heralded photon: the sum of the squared Schmidt weights."""
        return (self.schmidt**2).sum()


class Sweep(NamedTuple):
    """Rates against the pump's mean power, [n]; NaN above threshold.

    Attributes:
        power_mw: rising.
        pair_rate_hz, pairs_out_hz, coincidence_rate_hz, car: as in ``picq.design.source_figures``.
        limit_mw: threshold of parametric oscillation; of a pulsed pump, where a pulse makes 0.1 pairs.
    """

    power_mw: jax.Array
    pair_rate_hz: jax.Array
    pairs_out_hz: jax.Array
    coincidence_rate_hz: jax.Array
    car: jax.Array
    limit_mw: jax.Array


def exits(source: PairSource) -> tuple[str, ...]:
    """All ports but the pump's."""
    return tuple(port for port in source.circuit.ports if port != source.pump_port)


def transmission(source: PairSource, lines: Lines, points: int = 801) -> Transmission:
    """Spectra eight linewidths (and the splitting by backscattering) to both sides of the pumped resonance."""
    splitting = source.resonator.splitting_mhz
    reach = _SPAN * lines.pump.kappa + _MHZ * (0.0 if splitting is None else splitting)
    omega = lines.pump.omega + reach * jnp.linspace(-1, 1, points)
    ends = ((source.pump_port,), exits(source))
    closed = source.circuit.transfer(wavelength(omega), source.tech, *ends)[:, 0]
    past = source.parts(omega, *ends).through[:, 0]
    return Transmission((omega - lines.pump.omega) / _GHZ, jnp.abs(closed) ** 2, jnp.abs(past) ** 2)


def seen(spectra: Transmission) -> Seen:
    """The port at which the transmission changes most; filters behind the ring are divided out.

    Raises:
        NumericsError: no port sees the ring.
    """
    power, past = np.asarray(spectra.power), np.asarray(spectra.past)
    port = int(np.argmax(np.ptp(power, axis=0)))
    own, open_ = power[:, port], past[:, port]
    if not np.ptp(own) > 0:
        raise NumericsError("no port sees the pumped resonance", got="constant spectra", remedy="expose a port behind")
    dips = bool(open_.max() > _PASSES * own.max())
    if dips:
        own = own / open_
        own = own / own[[0, -1]].mean()
    return Seen(port, own, dips)


def fit_line(ghz: np.ndarray, power: np.ndarray, *, split: bool = False) -> LineFit:
    """Fit |b + a S|², S = 1/(1 - i x) with x = 2 (f - centre)/linewidth: a dip, a peak or what lies between (Fano).

    Args:
        ghz: frequencies, [n].
        power: transmission, [n].
        split: S is the mean of two such lines, as backscattering makes it.

    Raises:
        NumericsError: the spectrum shows no such line.
    """
    scale, start_ghz, span_ghz = float(np.max(power)), float(ghz[0]), float(np.ptp(ghz))
    x, y = (np.asarray(ghz) - start_ghz) / span_ghz, np.asarray(power) / scale

    def basis(f: np.ndarray, centre: float, width: float, apart: float) -> np.ndarray:
        at, half = 2 * (f - centre) / width, apart / width
        s = (1 / (1 - 1j * (at - half)) + 1 / (1 - 1j * (at + half))) / 2
        # |b + a S|² is linear in these; of a single line |S|² = Re S
        return np.stack([np.ones_like(f), s.real, s.imag, *([np.abs(s) ** 2] if split else [])])

    def form(f: np.ndarray, centre: float, width: float, *rest: float) -> np.ndarray:
        apart, linear = (rest[0], rest[1:]) if split else (0.0, rest)
        return np.asarray(linear) @ basis(f, centre, width, apart)

    change = np.abs(y - (y[0] + y[-1]) / 2)
    strong = change > change.max() / 2
    centre, width = float(x[strong].mean()), float(strong.mean())
    best = None
    for apart in (0.3 * width, 0.7 * width, width) if split else (0.0,):
        first = max(width - apart, 0.1 * width)
        linear = np.linalg.lstsq(basis(x, centre, first, apart).T, y, rcond=None)[0]
        start = (centre, first, *([apart] if split else []), *linear)
        try:
            # trf: its steps for derivatives do not vanish where a parameter is near zero
            found, covariance = curve_fit(form, x, y, start, method="trf", jac="3-point", **_TIGHT)
        except RuntimeError:  # scipy's word for too many steps
            continue
        misfit = float(np.sum((form(x, *found) - y) ** 2))
        if best is None or misfit < best[0]:
            best = misfit, found, covariance
    if best is None or not np.all(np.isfinite(best[2])):
        raise NumericsError("no Lorentzian fits the pumped resonance", remedy="look at the spectrum: lines may overlap")
    _, found, covariance = best
    return LineFit(
        centre_ghz=start_ghz + span_ghz * float(found[0]),
        linewidth_mhz=1e3 * span_ghz * abs(float(found[1])),
        linewidth_error_mhz=1e3 * span_ghz * float(np.sqrt(covariance[1, 1])),
        splitting_mhz=1e3 * span_ghz * abs(float(found[2])) if split else 0.0,
        power=scale * form(x, *found),
    )


def reach_within(pump_thz: float, fsr_ghz: float, wl_um: tuple[float, float], most: int = 10) -> int:
    """How many resonances on each side of the pump's lie between two wavelengths, at least 1 and at most ``most``."""
    room_ghz = min(pump_thz - 1e-12 * C_UM_HZ / wl_um[1], 1e-12 * C_UM_HZ / wl_um[0] - pump_thz) * 1e3
    return int(np.clip(room_ghz / fsr_ghz, 1, most))


def integrated_dispersion(source: PairSource, reach: int) -> IntegratedDispersion:
    """Of the resonances -``reach`` … ``reach``; D1 and D2 are the central differences at the pump's."""
    found, grid = source.dispersion(reach)
    return IntegratedDispersion(
        m=np.arange(-reach, reach + 1),
        thz=1e-3 * found.omega / _GHZ,
        d_int_mhz=grid.integrated / _MHZ,
        linewidth_mhz=found.kappa / _MHZ,
        d1_ghz=grid.d1 / _GHZ,
        d2_mhz=grid.d2 / _MHZ,
    )


def joint_spectrum(lines: Lines, amplitude: JointAmplitude) -> JointSpectrum:
    """Of a pulse's pairs."""
    psi, *grids = amplitude
    spectra = marginals(psi, *grids)
    shares = jnp.abs(psi) ** 2 / amplitude.pairs
    return JointSpectrum(
        signal_ghz=grids[0].w / _GHZ,
        idler_ghz=grids[1].w / _GHZ,
        signal_weight=grids[0].weight / _GHZ,
        idler_weight=grids[1].weight / _GHZ,
        density=shares / (grids[0].weight[:, None] * grids[1].weight) * _GHZ**2,
        signal=spectra[0] * _GHZ,
        idler=spectra[1] * _GHZ,
        linewidth_ghz=jnp.stack([lines.signal.kappa, lines.idler.kappa]) / _GHZ,
        captured=captured_fraction(psi, *grids),
        schmidt=schmidt_weights(psi),
    )


def sweep(
    source: PairSource,
    lines: Lines,
    drive: Drive,
    detection: Detection,
    medium: Medium,
    amplitude: JointAmplitude | None = None,
    points: int = 91,
) -> Sweep:
    """Rates over three decades of the pump's power around that of ``drive``, up to threshold.

    A pulsed pump has ``amplitude``, which belongs to ``drive``; its gain is taken as low, and its powers end where a
    pulse makes one pair.
    """
    here = jnp.asarray(drive.power_w, float)
    if amplitude is None:
        end = limit = opo_threshold_w(source.cavity(lines.pump))
    else:
        limit = here * jnp.sqrt(_LOW_GAIN * lines.signal.escape * lines.idler.escape / amplitude.pairs)
        end = limit / _LOW_GAIN**0.5
    last = jnp.maximum(jnp.minimum(10 ** (_DECADES / 2) * here, end), 10**0.1 * here)
    powers = last * 10 ** jnp.linspace(-_DECADES, 0.0, points)

    def at(power: jax.Array) -> dict[str, jax.Array]:
        driven = dataclasses.replace(drive, power_w=power)
        if amplitude is None:
            found = figures(source, lines, driven, detection, medium)
        else:
            found = pulsed(lines, amplitude._replace(psi=amplitude.psi * (power / here)), driven, detection)
        return {key: found[key] for key in _SWEPT}

    return Sweep(1e3 * powers, **jax.vmap(at)(powers), limit_mw=1e3 * limit)


# -- drawing ----------------------------------------------------------------------------------------------------------
