"""Pictures of a pair source: its line, dispersion, joint spectrum, Schmidt modes, and rates against power.

Each takes what ``curves`` computes as NumPy arrays and returns the bytes of a PNG, the same for the same numbers.
"""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from scipy.interpolate import CubicSpline, RectBivariateSpline

from picq.figure_style import GRIDDED
from picq.quantum.curves import IntegratedDispersion, JointSpectrum, LineFit, Sweep, Transmission, seen
from picq.quantum.figures import Drive
from picq.quantum.source import Lines

_GHZ, _MHZ = 2e9 * np.pi, 2e6 * np.pi  # in rad/s
_SPAN = 8.0  # linewidths to both sides of the pumped resonance
_TIGHT: Any = {"xtol": 1e-12, "ftol": 1e-14, "gtol": 1e-14, "max_nfev": 500}
_PASSES = 1e-2  # a port whose light mostly passes the ring: this share of what it gets goes past the loops
_SHOWN = 2.5  # linewidths to both sides in the picture of a joint spectrum
_DECADES = 3.0  # of the pump's power
_SWEPT = ("pair_rate_hz", "pairs_out_hz", "coincidence_rate_hz", "car")
_LOW_GAIN = 0.1  # pairs per pulse: beyond, light that pairs stimulate counts

# Okabe and Ito's palette: told apart by all, and in print
_BLACK, _RED, _BLUE, _GREEN, _GREY = "#000000", "#D55E00", "#0072B2", "#009E73", "#8a8a8a"


def draw_line(spectra: Transmission, ports: tuple[str, ...], fit: LineFit, lines: Lines) -> bytes:
    """The pumped resonance and its fit, with linewidth and Q of the fit and of the model."""
    best, pump_ghz, wide = seen(spectra), float(lines.pump.omega) / _GHZ, float(lines.pump.kappa) / _MHZ
    q, error = 1e3 * pump_ghz / fit.linewidth_mhz, fit.linewidth_error_mhz
    with mpl.rc_context(GRIDDED):
        canvas, axes = _canvas(6.4, 4.2)
        axes.plot(spectra.ghz, best.power, color=_BLUE, lw=2.2, label=f"model, port {ports[best.port]}")
        axes.plot(spectra.ghz, fit.power, color=_BLACK, lw=1.0, ls=(0, (4, 3)), label="fit")
        for line in (-1, 1) if fit.splitting_mhz else (0,):
            middle = fit.centre_ghz + line * fit.splitting_mhz / 2e3
            low, high = (middle + side * fit.linewidth_mhz / 2e3 for side in (-1, 1))
            axes.axvspan(low, high, color=_BLUE, alpha=0.1, lw=0, label="fitted linewidth" if line < 1 else None)
        axes.set_xlim(float(spectra.ghz[0]), float(spectra.ghz[-1]))
        axes.set_ylim(0, 1.06 * float(best.power.max()))
        axes.set_xlabel(f"frequency from the pumped resonance at {1e-3 * pump_ghz:.4f} THz (GHz)")
        axes.set_ylabel("transmission relative to off resonance" if best.dips else "transmission")
        apart = f" (two lines {fit.splitting_mhz:.4g} MHz apart)" if fit.splitting_mhz else ""
        axes.set_title(
            f"linewidth: fit {fit.linewidth_mhz:.6g} ± {error:.1g} MHz{apart}, model {wide:.6g} MHz\n"
            f"loaded Q: fit {q:.6g} ± {q * error / fit.linewidth_mhz:.1g}, model {1e3 * pump_ghz / wide:.6g}"
        )
        axes.legend(loc="lower right" if best.dips else "upper right")
        return _png(canvas)


def draw_dispersion(found: IntegratedDispersion) -> bytes:
    """D_int against the number of the resonance, with half a linewidth to both sides, and D2 m²/2."""
    known = np.isfinite(found.d_int_mhz)
    m, d_int, half = found.m[known], np.asarray(found.d_int_mhz)[known], np.asarray(found.linewidth_mhz)[known] / 2
    scale, unit = (1e3, "GHz") if np.abs(d_int).max() > 2e3 else (1.0, "MHz")
    fine = np.linspace(m[0], m[-1], 200)
    with mpl.rc_context(GRIDDED):
        canvas, axes = _canvas(6.4, 4.0)
        axes.plot(fine, float(found.d2_mhz) * fine**2 / 2 / scale, color=_GREY, lw=1.0, ls="--", label="D$_2$m²/2")
        axes.fill_between(m, (d_int - half) / scale, (d_int + half) / scale, color=_BLUE, alpha=0.2, lw=0,
                          label=f"± half a linewidth ({half[m == 0][0]:.4g} MHz at m = 0)")  # fmt: skip
        axes.plot(m, d_int / scale, "o", color=_BLUE, ms=4, label="resonances")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlabel("number m of the resonance, from the pumped one")
        axes.set_ylabel(f"integrated dispersion D$_\\mathrm{{int}}$/2π ({unit})")
        axes.set_title(f"D$_1$/2π = {float(found.d1_ghz):.4f} GHz,  D$_2$/2π = {float(found.d2_mhz):.4g} MHz")
        room = 0.8 * float(np.ptp(d_int))  # lines much wider than all dispersion fill the picture
        axes.set_ylim(
            max((d_int - half).min(), d_int.min() - room) / scale, min((d_int + half).max(), d_int.max() + room) / scale
        )
        axes.legend(loc="upper center" if found.d2_mhz > 0 else "lower center")
        return _png(canvas)


def draw_joint_spectrum(found: JointSpectrum) -> bytes:
    """The joint spectral intensity with the spectrum of each photon at its side."""
    reach = _SHOWN * float(np.max(found.linewidth_ghz))
    at = np.linspace(-reach, reach, 401)
    signal, idler = np.asarray(found.signal_ghz), np.asarray(found.idler_ghz)
    density = _smooth((signal, idler), np.asarray(found.density), at)
    with mpl.rc_context(GRIDDED):
        canvas = Canvas(figsize=(5.6, 5.6), layout="constrained")
        grid = canvas.subplots(
            2, 2, sharex="col", sharey="row", width_ratios=(4, 1), height_ratios=(1, 4),
            gridspec_kw={"wspace": 0.03, "hspace": 0.03},
        )  # fmt: skip
        above, corner, axes, beside = grid[0, 0], grid[0, 1], grid[1, 0], grid[1, 1]
        corner.set_visible(False)
        shown = axes.pcolormesh(at, at, density.T, shading="nearest", cmap="magma", vmin=0.0)
        axes.grid(visible=False)
        above.plot(at, _smooth((signal,), np.asarray(found.signal), at), color=_BLUE, lw=1.4)
        beside.plot(_smooth((idler,), np.asarray(found.idler), at), at, color=_RED, lw=1.4)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        above.set_ylim(bottom=0)
        beside.set_xlim(left=0)
        axes.set_xlabel("signal, from its resonance (GHz)")
        axes.set_ylabel("idler, from its resonance (GHz)")
        above.set_ylabel("1/GHz")
        beside.set_xlabel("1/GHz")
        canvas.colorbar(shown, ax=grid, label="joint spectral intensity (1/GHz²)", location="right", shrink=0.75)
        canvas.suptitle(
            f"purity {float(found.purity):.4f},  {100 * float(found.captured):.3f} % of the pairs lie on the grid",
            fontsize=9.5,
        )
        return _png(canvas)


def draw_schmidt(found: JointSpectrum, most: int = 12) -> bytes:
    """The largest Schmidt weights."""
    weights = np.asarray(found.schmidt)[:most]
    weights = weights[weights > 1e-12]  # rounding beyond
    purity = float(found.purity)
    with mpl.rc_context(GRIDDED):
        canvas, axes = _canvas(6.4, 3.8)
        bars = axes.bar(np.arange(1, weights.size + 1), weights, color=_BLUE, width=0.7)
        axes.bar_label(bars, [f"{w:.2g}" for w in weights], fontsize=7, padding=2)
        axes.set_yscale("log")
        axes.set_ylim(weights[-1] / 3, 3)
        axes.set_xticks(np.arange(1, weights.size + 1))
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("Schmidt mode")
        axes.set_ylabel("Schmidt weight")
        axes.set_title(f"Schmidt number K = {1 / purity:.4f},  purity {purity:.4f}")
        return _png(canvas)


def draw_sweep(found: Sweep, drive: Drive) -> bytes:
    """Rates and coincidences over accidentals against the pump's power."""
    power, here, limit = np.asarray(found.power_mw), 1e3 * float(drive.power_w), float(found.limit_mw)
    continuous = drive.shape == "cw"
    rates = (
        (found.pair_rate_hz, _BLUE, "made in the ring"),
        (found.pairs_out_hz, _GREEN, "out of both ports"),
        (found.coincidence_rate_hz, _RED, "coincidences counted"),
    )
    with mpl.rc_context(GRIDDED):
        canvas = Canvas(figsize=(6.4, 6.0), layout="constrained")
        upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for rate, colour, label in rates:
            upper.loglog(power, _finite(rate), color=colour, lw=1.6, label=label)
        first = np.asarray(found.pair_rate_hz)[0]
        # above the rates, where it hides none
        upper.loglog(power, 2.5 * first * (power / power[0]) ** 2, color=_GREY, lw=0.9, ls="--", label="slope 2")
        lower.loglog(power, _finite(found.car), color=_BLACK, lw=1.6)
        for axes in (upper, lower):
            axes.axvline(here, color=_BLACK, lw=0.9, ls=":", label=f"operating power, {here:.4g} mW")
            if power[0] < limit <= 1.001 * power[-1]:
                label = (
                    f"threshold if phases match, {limit:.4g} mW"
                    if continuous
                    else f"{_LOW_GAIN:g} pairs per pulse, {limit:.4g} mW"
                )
                axes.axvline(limit, color=_GREY, lw=1.2, ls="-.", label=label)
        for axes, values in ((upper, found.coincidence_rate_hz), (lower, found.car)):
            at = np.exp(np.interp(np.log(here), np.log(power), np.log(np.asarray(values))))
            axes.plot(here, at, "o", color=_RED if axes is upper else _BLACK, ms=5)
        upper.set_ylabel("rate (pairs/s)")
        lower.set_ylabel("coincidences over accidentals")
        lower.set_xlabel("power in the pump's port (mW)" if continuous else "mean power in the pump's port (mW)")
        lower.set_xlim(power[0], power[-1] * 1.15)
        upper.legend(loc="upper left", fontsize=8)
        upper.set_title("continuous pump" if continuous else f"{drive.shape} pulses of {1e12 * drive.fwhm_s:g} ps "
                        f"at {1e-6 * drive.repetition_hz * drive.bins:g} MHz")  # fmt: skip
        return _png(canvas)


def _canvas(width: float, height: float) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(width, height), layout="constrained")
    return canvas, canvas.subplots()


def _finite(values: Any) -> np.ndarray:
    values = np.asarray(values, float)
    return np.where(np.isfinite(values), values, np.nan)


def _smooth(axes: tuple[np.ndarray, ...], values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values on a grid of one or two axes, interpolated at ``at`` on each: a grid has few points in a line's middle."""
    if len(axes) == 1:
        return np.maximum(CubicSpline(axes[0], values)(at), 0.0)
    x, y = axes
    return np.maximum(RectBivariateSpline(x, y, values)(at, at), 0.0)


def _png(canvas: Canvas) -> bytes:
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()
