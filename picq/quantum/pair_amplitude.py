"""Joint amplitudes of a source's pairs, from the neighbourhoods of its resonances.

psi = gamma L E S(ws) I(wi) B(ws + wi), summed over loops and senses; S and I are the ways out, B the spectrum of the
squared field in the ring (``joint_spectrum``), of a pulse of unit energy in the port. The asymptotic fields of
Liscidini, Helt & Sipe, Phys. Rev. A 85, 013833 (2012), with the field taken as constant along a loop, which is exact to
O(1/finesse); |psi|² dws dwi/4 pi² is a number of pairs.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from picq.optics.resonator import emission, fields
from picq.quantum.joint_spectrum import Grid, joint_amplitude, tan_grid
from picq.quantum.lines import Lines
from picq.quantum.pump import Pulse

REACH = 200.0
"""Linewidths to both sides; ``joint_spectrum.captured_fraction`` tells what is beyond."""

_RIDGE = 5.0  # over its width a pulse draws the joint spectrum into a ridge narrower than a line
_DECAYS, _WIDTHS = 40.0, 6.0  # of the pump's window in time: decay times of the ring, and widths of the pulse
_PUMP_SAMPLES = (
    8  # pump's frequencies over a photon's; of 128 they hold its spectrum up to 80 linewidths from its centre
)


class Emitter(NamedTuple):
    """What pairs come from.

    Attributes:
        lines: resonances and the opened circuit around them.
        backscatter: amplitude that turns back at every cut, scalar; None where none does.
        strengths: gamma L of the loop of every wave, 1/W, [wave].
    """

    lines: Lines
    backscatter: Any
    strengths: jax.Array


class JointAmplitude(NamedTuple):
    """psi of a pulse's pairs times the roots of the quadrature's weights, [ns, ni]: sum |psi|² is a number of pairs."""

    psi: jax.Array
    signal: Grid
    idler: Grid

    @property
    def pairs(self) -> jax.Array:
        """Mean number of pairs per pulse at the two ports."""
        return jnp.sum(jnp.abs(self.psi) ** 2)


class Frame(NamedTuple):
    """Where a joint amplitude is computed.

    Attributes:
        starts: references of pump, signal and idler from the centres of their neighbourhoods, rad/s, [3]; those of
            signal and idler add up to twice the pump's.
        signal, idler: frequencies from the references.
        pump_w: the same of the pump, equally spaced, [np].
    """

    starts: jax.Array
    signal: Grid
    idler: Grid
    pump_w: jax.Array


def frame(lines: Lines, pulse: Pulse, points: int) -> Frame:
    """Frequencies of the photons of the first pair counted from their lines, and of the pump from the mean of both.

    Args:
        lines: of the source.
        pulse: in the pump's port.
        points: frequencies of each photon; the pump has eight times as many.
    """
    around, kappa = lines.around, jnp.minimum(lines.signal.kappa, lines.idler.kappa)
    ridge = jnp.minimum(kappa, _RIDGE / pulse.width)
    reach = jnp.minimum(REACH * kappa, jnp.pi / lines.pump.delay_s)
    centre = (lines.signal.omega + lines.idler.omega) / 2
    starts = jnp.stack([centre, lines.signal.omega, lines.idler.omega]) - around.centre[:3]
    rooms = around.reach - jnp.abs(starts)
    signal, idler = (tan_grid(ridge, points, reach=jnp.minimum(reach, room)) for room in rooms[1:])
    return Frame(starts, signal, idler, _pump_w(lines, pulse, points, rooms[0]))


def amplitude(emitter: Emitter, pulse: Pulse, energy_j: Any, at: Frame) -> jax.Array:
    """psi of the first pair times the roots of the weights, [ns, ni].

    Args:
        emitter: the source.
        pulse: in the pump's port, times in s, detunings from the pump's resonance in rad/s.
        energy_j: of a pulse in the port, J.
        at: frequencies.
    """
    return _psi(emitter, pulse, energy_j, at, (1, 2))


def amplitudes(emitter: Emitter, pulse: Pulse, energy_j: Any, points: int) -> jax.Array:
    """The same of all pairs, [pair, ns, ni], on frequencies that a shift of all signals, and of all idlers the other
    way, brings together: that is how bins are mixed. Their references add up to twice the pump's resonance, half of
    the mismatch from each line.

    Args:
        emitter, pulse, energy_j: as of ``amplitude``.
        points: frequencies of each photon.
    """
    lines, around = emitter.lines, emitter.lines.around
    kappa = jnp.minimum(jnp.min(lines.signals.kappa), jnp.min(lines.idlers.kappa))
    at = jnp.stack([lines.signals.omega, lines.idlers.omega]) - lines.mismatches / 2
    starts = at - jnp.stack([around.centre[1::2], around.centre[2::2]])
    start = lines.pump.omega - around.centre[0]
    room = around.reach - jnp.max(jnp.abs(starts))
    reach = jnp.minimum(jnp.minimum(REACH * kappa, jnp.pi / lines.pump.delay_s), room)
    grid = tan_grid(jnp.minimum(kappa, _RIDGE / pulse.width), points, reach=reach)
    pump_w = _pump_w(lines, pulse, points, around.reach - jnp.abs(start))

    def one(of: tuple[jax.Array, jax.Array]) -> jax.Array:
        k, starts = of
        of_pair = Frame(jnp.concatenate([start[None], starts]), grid, grid, pump_w)
        return _psi(emitter, pulse, energy_j, of_pair, (2 * k + 1, 2 * k + 2))

    return jax.lax.map(one, (jnp.arange(starts.shape[1]), starts.T))  # large matrices side by side take longer


def _pump_w(lines: Lines, pulse: Pulse, points: int, room: Any) -> jax.Array:
    window = _DECAYS / lines.pump.kappa + _WIDTHS * pulse.width
    count = _PUMP_SAMPLES * points
    return jnp.minimum(jnp.pi * count / window, room) * jnp.linspace(-1, 1, count)


def _psi(emitter: Emitter, pulse: Pulse, energy_j: Any, at: Frame, which: tuple[Any, Any]) -> jax.Array:
    """``which``: numbers of the signal's and the idler's neighbourhood."""
    (lines, back, strengths), around = emitter, emitter.lines.around
    inside = fields(around.at(0, at.starts[0] + at.pump_w), back)[..., 0, :]
    detuned = at.starts[0] + (around.centre[0] - lines.pump.omega)
    pumped = inside * pulse.spectrum(at.pump_w + detuned)[:, None]
    grids = at.signal, at.idler
    ways = [
        emission(around.at(k, start + grid.w), back)[..., port]
        for k, start, grid, port in zip(which, at.starts[1:], grids, (0, -1), strict=True)
    ]
    strength = energy_j * strengths / (2 * jnp.pi)
    return joint_amplitude((strength * ways[0]).T, ways[1].T, pumped.T, *grids, at.pump_w)
