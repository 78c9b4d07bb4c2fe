"""Joint amplitudes of photon pairs by four-wave mixing in resonators, at low gain.

Fields go as exp(-i w t). All frequencies are angular and count from references of the signal, the idler and the pump
with ws + wi = 2 wp; they and the inverses of times are in one unit, e.g. rad/s or linewidths. Linewidths kappa are
decay rates of energy. With a_p and A the intracavity pump, and S and I the fields inside per field in the bus, which by
reciprocity is also how photons made inside come out (Helt et al., Opt. Lett. 35, 3006 (2010))

    phi(ws, wi) = S(ws) I(wi) B(ws + wi),   B(W) = ∫ a_p(t)² exp(i W t) dt = ∫ A(w) A(W - w) dw/2pi.

Amplitudes are returned times the roots of the weights of their grids, which is what ``schmidt`` takes.

Frequencies serve any circuit, at 1e-5 in the purity. Times serve single resonances, at 1e-6, and are the better check.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq.errors import SpecError
from picq.quantum.pump import Pulse
from picq.quantum.schmidt import product

_GAUSS = 0.5 + 15**0.5 / 10 * np.array([-1, 0, 1])  # three points of Gauss, of order 6


class Grid(NamedTuple):
    """Frequencies of one photon and their quadrature."""

    w: jax.Array  # [n], rising
    weight: jax.Array  # [n]
    centre: Any  # from which the mapping and the tails of resonances count
    reach: Any  # the grid ends at centre ± reach; inf: nowhere


class TimeGrid(NamedTuple):
    """Times of both photons and their quadrature."""

    start: float  # no pump before
    t: np.ndarray  # [n], rising
    weight: np.ndarray  # [n]


class Lorentzian(NamedTuple):
    """A resonance: linewidth in energy, and centre relative to the reference."""

    kappa: Any
    detuning: Any = 0.0

    def response(self, w: Any) -> jax.Array:
        """1/(kappa/2 - i(w - detuning)), of w's shape; times sqrt(kappa_c) the field per field in the bus."""
        return 1 / (self.kappa / 2 - 1j * (jnp.asarray(w) - self.detuning))


@partial(jax.jit, static_argnames=("n",))
def tan_grid(kappa: Any, n: int = 256, centre: Any = 0.0, reach: Any = None) -> Grid:
    """Frequencies centre + (kappa n/16) tan(theta) at n equal steps of theta.

    Steps of 0.2 kappa in the middle resolve a Lorentzian to 1e-7, since the rule of midpoints converges exponentially
    there. All other points go to the tails, where a joint spectrum is a narrow ridge. So a single ring's purity is
    right to 4e-4, 5e-5, 7e-6 at n = 64, 128, 256 for pulses up to 5/kappa; with kappa/2 tan(theta), on which a
    Lorentzian would be flat, to 9e-4 at 256. Points of Gauss gain nothing.

    Args:
        kappa: narrowest linewidth in the spectrum; of a long pulse, rather its own bandwidth.
        n: number of frequencies.
        centre: of the resonance.
        reach: the grid ends at centre ± reach; None: the whole axis.
    """
    reach, width = jnp.inf if reach is None else reach, kappa * n / 16
    last = jnp.arctan(reach / width)
    theta = last * ((2 * jnp.arange(n) + 1) / n - 1)
    weight = width / jnp.cos(theta) ** 2 * 2 * last / n
    return Grid(centre + width * jnp.tan(theta), weight, centre, reach)


def pump_grid(span: float, duration: float) -> np.ndarray:
    """Equally spaced pump frequencies from -span to span, for ``joint_amplitude``.

    Args:
        span: beyond it the intracavity pump is neglected; what it holds there costs its share of the energy.
        duration: of the time window, a quarter of it before the pulse's reference time. 40/kappa and some 6 widths of
            the pulse leave 1e-8.

    Raises:
        SpecError: there would be fewer than 4 or more than 2**16 frequencies.
    """
    count = 2 * span * duration / (2 * np.pi)
    if not 4 <= count <= 2**16:
        raise SpecError(
            "a grid of pump frequencies is too coarse or too fine",
            got=f"{count:.3g} frequencies (2 span x duration/2pi)",
            allowed="4 … 65536",
            remedy="give both in one unit: rad/s with s, or linewidths with their inverses",
        )
    return np.linspace(-span, span, int(np.ceil(count)) + 1)


@jax.jit
def joint_amplitude(signal: Any, idler: Any, pump: Any, signal_grid: Grid, idler_grid: Grid, pump_w: Any) -> jax.Array:
    """Joint amplitude of any circuit from its responses, times the roots of the weights.

    B is the spectrum of the squared pump as a product of matrices over time: no interpolation, and exact as far as the
    pump lies within ``pump_w`` and its square within the window of 2pi/step that begins a quarter before t = 0.

    Args:
        signal: response at the signal grid's frequencies, complex, [..., ns].
        idler: the same of the idler, [..., ni].
        pump: intracavity pump, A(w) of the pulse times the response, [..., np].
        signal_grid, idler_grid: where the responses were computed.
        pump_w: equally spaced frequencies of the pump, [np].

    Returns:
        Shape [ns, ni]: leading axes broadcast and are summed, as nonlinear sections that add up coherently. In the
        unit of signal x idler x pump² x frequency².

    Raises:
        SpecError: a response does not fit its grid.
    """
    signal, idler, pump, pump_w = (jnp.asarray(x) for x in (signal, idler, pump, pump_w))
    grids = (("signal", signal, signal_grid.w), ("idler", idler, idler_grid.w), ("pump", pump, pump_w))
    for name, response, w in grids:
        if response.shape[-1:] != w.shape:
            raise SpecError(
                f"response of the {name} does not fit its grid",
                got=f"shape {response.shape}",
                allowed=f"[..., {w.shape[0]}]",
                remedy="compute the response at the frequencies of that grid",
            )
    count, step = pump_w.shape[0], pump_w[1] - pump_w[0]
    times = 2 * count  # twice the samples: the square has twice the bandwidth
    dt, start = 2 * jnp.pi / (times * step), -jnp.pi / (2 * step)
    t = start + dt * jnp.arange(times)
    turned = pump * jnp.exp(-1j * step * start * jnp.arange(count))
    field = step / (2 * jnp.pi) * jnp.fft.fft(turned, times) * jnp.exp(-1j * pump_w[0] * t)
    waves = [jnp.exp(1j * grid.w[:, None] * t) for grid in (signal_grid, idler_grid)]
    squared = product(waves[0] * (dt * field**2)[..., None, :], waves[1])
    total = signal_grid.w[:, None] + idler_grid.w
    inside = (total >= 2 * pump_w[0]) & (total <= 2 * pump_w[-1])  # beyond, samples of time repeat the spectrum
    sections = signal[..., :, None] * idler[..., None, :] * squared
    phi = jnp.sum(sections.reshape(-1, *sections.shape[-2:]), 0)
    return jnp.where(inside, phi, 0.0) * jnp.sqrt(signal_grid.weight)[:, None] * jnp.sqrt(idler_grid.weight)


def time_grid(width: float, end: float, n: int = 400, centres: tuple[float, ...] = (0.0,)) -> TimeGrid:
    """Times that are dense around pulses and spread exponentially between and behind them. Concrete numbers only: a
    grid is a choice, and one serves all linewidths of a sweep.

    With n = 400 the purity of a single ring is right to 1e-6 for pulses up to 2/kappa, 3e-6 at 5/kappa.

    Args:
        width: of the pulses, the full width at half maximum; the grid starts six of them before the first centre.
        end: of the grid: 40/kappa of the narrowest linewidth leave nothing.
        n: number of times.
        centres: of the pulses.

    Raises:
        SpecError: a width that is not positive, or an end before the pulses.
    """
    start = min(centres) - 6 * width
    if not (width > 0 and end > max(centres)):
        raise SpecError(
            "a time grid must begin before the pulses and end behind them",
            got=f"pulses of width {width:g} at {', '.join(f'{c:g}' for c in centres)}, end {end:g}",
            allowed="width > 0, end > centres",
        )
    apart = lambda t: (np.asarray(t)[..., None] - np.asarray(centres)) / width
    level = lambda t: np.sum(np.arcsinh(apart(t)), -1)
    wanted = level(start) + (level(end) - level(start)) * (np.arange(n) + 0.5) / n
    low, high = np.full(n, start), np.full(n, end)
    for _ in range(60):
        middle = (low + high) / 2
        above = level(middle) > wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    slope = np.sum(1 / np.hypot(1, apart(low)), -1) / width
    return TimeGrid(start, low, (level(end) - level(start)) / n / slope)


@jax.jit
def joint_temporal_amplitude(
    pulse: Pulse, grid: TimeGrid, pump: Lorentzian, signal: Lorentzian, idler: Lorentzian
) -> jax.Array:
    """f(t1, t2) = ∫ a_p(t)² exp(-(t1 - t) s1 - (t2 - t) s2) dt up to min(t1, t2), times the roots of the weights.

    s = kappa/2 + i detuning of signal and idler; a_p' = -(kappa_p/2 + i detuning_p) a_p + a. The Fourier transform in
    both times is phi of the ``response`` of the same resonances. Nothing is truncated but the end of the grid. On the
    diagonal -weight a_p²/12 is added, which cancels the error that the kink there makes in sums over either time: the
    purity then converges with the third power of n.

    Args:
        pulse: that drives the pump's resonance; a smooth one, edges between the times cost accuracy.
        grid: of both times.
        pump, signal, idler: the resonances.

    Returns:
        Shape [n, n], by signal and idler times.
    """
    rates = [r.kappa / 2 + 1j * r.detuning for r in (pump, signal, idler)]
    steps = jnp.diff(jnp.asarray(grid.t), prepend=grid.start)
    nodes = (grid.t - steps)[:, None] + steps[:, None] * _GAUSS
    field, within = _driven(rates[0], steps, pulse.field(nodes))
    made, _ = _driven(rates[1] + rates[2], steps, within**2)
    later = jnp.asarray(grid.t)[:, None] - grid.t
    decay = jnp.exp(jnp.where(later > 0, -rates[1] * later, rates[2] * later))
    f = jnp.where(later > 0, made[None, :], made[:, None]) * decay
    root = jnp.sqrt(grid.weight)
    return root[:, None] * f * root - jnp.diag(grid.weight**2 * field**2 / 12)


def _driven(rate: Any, steps: jax.Array, drive: jax.Array) -> tuple[jax.Array, jax.Array]:
    """y' = -rate y + drive from rest: y at the ends of the steps [n], and at Gauss's points within [n, 3].

    Args:
        rate: complex.
        steps: lengths, [n].
        drive: at Gauss's points of each step, [n, 3].
    """
    at, over = steps[:, None] * _GAUSS, np.array([1, 2, 3])
    powers = np.vander(_GAUSS, 3, increasing=True)
    inner = np.linalg.solve(powers.T, (powers * _GAUSS[:, None] / over).T)  # integrals of the polynomial through three
    whole = np.linalg.solve(powers.T, 1 / over)
    grown = steps[:, None] * jnp.exp(rate * at) * drive
    fade = jnp.exp(-rate * steps)

    def step(y: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        y = one[0] * (y + one[1])
        return y, y

    rest = jnp.zeros((), complex)
    end = jax.lax.scan(step, rest, (fade, grown @ jnp.asarray(whole)))[1]
    before = jnp.concatenate([rest[None], end[:-1]])
    return end, jnp.exp(-rate * at) * (before[:, None] + grown @ inner)


def marginals(f: Any, signal_grid: Grid, idler_grid: Grid) -> tuple[jax.Array, jax.Array]:
    """Spectra of signal [ns] and idler [ni] as probability densities per unit of w, from a joint amplitude [ns, ni]."""
    intensity = jnp.abs(jnp.asarray(f)) ** 2
    shares = intensity / jnp.sum(intensity)
    return jnp.sum(shares, 1) / signal_grid.weight, jnp.sum(shares, 0) / idler_grid.weight


def captured_fraction(f: Any, signal_grid: Grid, idler_grid: Grid) -> jax.Array:
    """Estimated share of the joint intensity that lies on truncated grids, from the spectra at their ends.

    Beyond these each spectrum is taken to fall with the inverse square of the distance from the centre, as a resonance
    does. That is right for separable pairs. Where the pump is narrower than the grids, spectra fall with the fourth
    power and the same pairs are missing on both axes: what is missing is then overstated, three to four times in rings.
    """
    kept = []
    for grid, density in zip((signal_grid, idler_grid), marginals(f, signal_grid, idler_grid), strict=True):
        tails = density * (grid.w - grid.centre) ** 2 / grid.reach
        kept.append(1 / (1 + tails[0] + tails[-1]))
    return kept[0] * kept[1]


def check_captured(fraction: Any, allowed: float = 0.99) -> None:
    """Refuse a joint spectrum of which too much lies outside its grids; traced fractions pass.

    Args:
        fraction: from ``captured_fraction``.
        allowed: smallest fraction.

    Raises:
        SpecError: a concrete fraction is smaller.
    """
    if not isinstance(fraction, Tracer) and not np.all(np.asarray(fraction) >= allowed):  # NaN fails
        raise SpecError(
            "the grids miss part of the joint spectrum",
            got=f"{100 * float(np.min(fraction)):.3g} % of it lies on them",
            allowed=f"at least {100 * allowed:g} %",
            remedy="widen their reach, or accept a smaller fraction on purpose",
        )
