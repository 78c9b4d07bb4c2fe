"""A pair source as its circuit has it: lines, fields and ways out of a ring, all from one opened transfer matrix.

Everything outside the ring is part of it: what a filter or a coupler to the fibre takes counts in the pump that arrives
and in the photons that leave.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from picq.circuit import Circuit
from picq.cut import Cuts, opened
from picq.errors import NumericsError
from picq.optics import kerr
from picq.optics.operating_point import Cavity
from picq.optics.phase_shifter import ring_resistance
from picq.optics.resonator import (
    C_UM_HZ,
    Dispersion,
    Loops,
    Resonances,
    arrivals,
    dispersion,
    emission,
    fields,
    launches,
    loops,
    resonances,
    settled,
    wavelength,
)
from picq.quantum.joint_spectrum import Grid, joint_amplitude, tan_grid
from picq.quantum.neighbourhood import Neighbourhood, neighbourhood
from picq.quantum.pump import Pulse
from picq.resonator import Resonator
from picq.technology import Technology

_REACH = 200.0  # linewidths to both sides; ``joint_spectrum.captured_fraction`` tells what is beyond
_RIDGE = 5.0  # over its width a pulse draws the joint spectrum into a ridge narrower than a line
_DECAYS, _WIDTHS = 40.0, 6.0  # of the pump's window in time: decay times of the ring, and widths of the pulse
_PUMP_SAMPLES = (
    8  # pump's frequencies over a photon's; of 128 they hold its spectrum up to 80 linewidths from its centre
)


class Line(NamedTuple):
    """One resonance as a port sees it, scalars; rates in rad/s.

    Attributes:
        omega: angular frequency, rad/s.
        kappa: decay rate of the energy in all.
        kappa_port: part of it that leaves by the port (or would, were the light to go backwards: the pump's port).
        kappa_i: part that is lost in the ring.
        delay_s: group delay of a round trip.
    """

    omega: jax.Array
    kappa: jax.Array
    kappa_port: jax.Array
    kappa_i: jax.Array
    delay_s: jax.Array

    @property
    def escape(self) -> jax.Array:
        """Chance that light in the ring leaves by the port."""
        return self.kappa_port / self.kappa

    @property
    def q(self) -> jax.Array:
        """Loaded quality factor."""
        return self.omega / self.kappa

    @property
    def q_i(self) -> jax.Array:
        """Quality factor by the losses in the ring alone."""
        return self.omega / self.kappa_i


class Lines(NamedTuple):
    """The three resonances of a source, and its opened circuit around them."""

    pump: Line
    signal: Line
    idler: Line
    around: Neighbourhood

    @property
    def mismatch(self) -> jax.Array:
        """omega_s + omega_i - 2 omega_p without light, rad/s: D_int of both together."""
        return self.signal.omega + self.idler.omega - 2 * self.pump.omega


@dataclass(frozen=True)
class PairSource:
    """A circuit with a ring that makes pairs.

    Attributes:
        circuit: with the ring, closed.
        tech: the chip.
        ring: name of the instance.
        pump_port, signal_port, idler_port: exposed ports; the last two may be one.
        pump_omega: the resonance nearest to this angular frequency is pumped, rad/s.
        pair: the photons' resonances are this many above (signal) and below (idler) the pump's.

    Raises:
        SpecError: the instance is no resonator, or a port is unknown.
    """

    circuit: Circuit
    tech: Technology
    ring: str
    pump_port: str
    signal_port: str
    idler_port: str
    pump_omega: Any
    pair: int = 1

    @cached_property
    def _opened(self) -> tuple[Circuit, Cuts]:
        return opened(self.circuit, self.ring)

    @property
    def resonator(self) -> Resonator:
        """The ring."""
        device = self.circuit.instances[self.ring]
        assert isinstance(device, Resonator)
        return device

    @cached_property
    def _place(self) -> Technology:
        """The technology as the ring's own place sees it."""
        return self.circuit.at_instance(self.ring, self.tech)

    def parts(self, omega: Any, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Loops:
        """The opened circuit between ports of the chip at angular frequencies omega (rad/s), shape [n]."""
        circuit, cuts = self._opened
        matrix = circuit.transfer(wavelength(omega), self.tech, (*inputs, *launches(cuts)), (*outputs, *arrivals(cuts)))
        return loops(matrix, len(cuts))

    @property
    def _ends(self) -> tuple[str, ...]:
        """Ports of the photons, the signal's first."""
        return tuple(dict.fromkeys((self.signal_port, self.idler_port)))

    def _backscatter(self) -> Any:
        return self.resonator.backscatter(wavelength(self.pump_omega), self._place)

    def round_trip(self, omega: jax.Array) -> jax.Array:
        """Amplitude of a round trip, forwards, shape [n]; of several loops that of the mode nearest to resonance."""
        return _mode(self.parts(omega))

    def resonances(self, orders: Sequence[int]) -> Resonances:
        """Of the ring as it is coupled, counted from the one that is pumped."""
        return resonances(self.round_trip, self.pump_omega, orders)

    def dispersion(self, reach: int) -> tuple[Resonances, Dispersion]:
        """Resonances -reach … reach and their dispersion."""
        orders = range(-reach, reach + 1)
        found = self.resonances(orders)
        return found, dispersion(found.omega, orders)

    def lines(self) -> Lines:
        """Pump, signal and idler; NaN where the circuit around the ring turns too fast for its neighbourhoods."""
        near = jax.lax.stop_gradient(self.resonances((0, self.pair, -self.pair)))
        reach = jnp.minimum(_REACH * jnp.max(near.kappa), jnp.pi / jnp.min(near.delay_s))  # half way to the next ones

        def seen(tech: Technology) -> Neighbourhood:
            on = dataclasses.replace(self, tech=tech)
            return neighbourhood(lambda omega: on.parts(omega, (self.pump_port,), self._ends), near.omega, reach)

        # one evaluation for both: what is left of the loss without that of guides is what couplers take
        techs = jax.tree.map(lambda *v: jnp.stack([jnp.asarray(x, float) for x in v]), self.tech, self.tech.lossless())
        both = jax.vmap(seen)(techs)
        around, lossless = (jax.tree.map(lambda leaf, k=k: leaf[k], both) for k in (0, 1))

        def line(k: int) -> Line:
            one = settled(lambda w: _mode(around.at(k, w)), jnp.zeros(1), near.delay_s[k : k + 1])
            ends = around.at(k, one.omega)
            into = jnp.sum(jnp.abs(ends.enter[0, 0]) ** 2)
            out = jnp.sum(jnp.abs(ends.leave[0, ::2]) ** 2, 0)
            coupled = -2 * jnp.log(jnp.abs(_mode(lossless.at(k, one.omega))))
            rate = one.rate((into, out[0], out[-1])[k])
            values = (around.centre[k] + one.omega, one.kappa, rate, (one.loss - coupled) / one.delay_s, one.delay_s)
            return Line(*(jnp.reshape(v, ()) for v in values))

        return Lines(line(0), line(1), line(2), around)

    def pump_leak(self, lines: Lines) -> jax.Array:
        """Power at the photons' ports over that in the pump's port, at the pumped resonance, [port]."""
        parts = lines.around.at(0, lines.pump.omega[None] - lines.around.centre[0])
        amplitude = parts.through + fields(parts, self._backscatter()) @ parts.leave
        return jnp.abs(amplitude[0, 0]) ** 2

    def cavity(self, pump: Line) -> Cavity:
        """What the nonlinear steady state needs of the ring."""
        xs, length = self.resonator.cross_section, sum(self.resonator.round_trip_um(self._place))
        wl = wavelength(pump.omega)
        area = kerr.effective_area_um2(self._place, xs)
        theta = ring_resistance(self._place, xs, length) / length
        return Cavity(
            omega=pump.omega,
            kappa_c=pump.kappa_port,
            kappa_i=pump.kappa_i,
            kappa=pump.kappa,
            n_g=pump.delay_s * C_UM_HZ / length,
            length_um=length,
            gamma_w_m=kerr.gamma(self._place, xs, wl),
            a_eff_um2=area,
            thermal_k_mw=theta,
        )

    def amplitude(self, lines: Lines, pulse: Pulse, energy_j: Any, points: int = 256) -> "JointAmplitude":
        """Joint amplitude of pairs that leave by the two ports, per pulse, from the circuit's own transfer matrices.

        psi = gamma L E S(ws) I(wi) B(ws + wi), summed over loops and senses; S and I are the ways out, B the spectrum
        of the squared field in the ring (``joint_spectrum``), of a pulse of unit energy in the port. The asymptotic
        fields of Liscidini, Helt & Sipe, Phys. Rev. A 85, 013833 (2012), with the field taken as constant along a loop,
        which is exact to O(1/finesse); |psi|² dws dwi/4 pi² is a number of pairs.

        Args:
            lines: of this source.
            pulse: in the pump's port, times in s, detunings from the pump's resonance in rad/s.
            energy_j: of a pulse in the port, J.
            points: frequencies of each photon; the pump has eight times as many.
        """
        back, around = self._backscatter(), lines.around
        kappa = jnp.minimum(lines.signal.kappa, lines.idler.kappa)
        ridge = jnp.minimum(kappa, _RIDGE / pulse.width)
        reach = jnp.minimum(_REACH * kappa, jnp.pi / lines.pump.delay_s)
        # references: the lines of the photons, and of the pump their mean
        centre, aside = (lines.signal.omega + lines.idler.omega) / 2, lines.mismatch / 2
        starts = jnp.stack([centre, lines.signal.omega, lines.idler.omega]) - around.centre
        rooms = around.reach - jnp.abs(starts)
        grids = [tan_grid(ridge, points, reach=jnp.minimum(reach, room)) for room in rooms[1:]]
        window = _DECAYS / lines.pump.kappa + _WIDTHS * pulse.width
        count = _PUMP_SAMPLES * points
        pump_w = jnp.minimum(jnp.pi * count / window, rooms[0]) * jnp.linspace(-1, 1, count)
        inside = fields(around.at(0, starts[0] + pump_w), back)[..., 0, :]
        ways = [emission(around.at(k, starts[k] + grids[k - 1].w), back)[..., port] for k, port in ((1, 0), (2, -1))]
        pumped = inside * pulse.spectrum(pump_w + aside)[:, None]
        strength = energy_j * self._strengths(lines.pump) / (2 * jnp.pi)
        psi = joint_amplitude((strength * ways[0]).T, ways[1].T, pumped.T, *grids, pump_w)
        return JointAmplitude(psi, *grids)

    def spectral_rate(self, lines: Lines, power_w: Any, omega: jax.Array) -> jax.Array:
        """Pairs per second and per Hz of signal frequency that leave by the two ports, far below threshold.

        Continuous pump on resonance; |gamma L P E² S(w) I(2 w_p - w)|², all from the circuit's transfer matrices.

        Args:
            lines: of this source.
            power_w: in the pump's port, W.
            omega: of the signal, rad/s, shape [n].
        """
        back, ends = self._backscatter(), self._ends
        inside = fields(self.parts(lines.pump.omega[None], (self.pump_port,)), back)[0, 0]
        signal = emission(self.parts(omega, (), ends), back)[..., 0]
        idler = emission(self.parts(2 * lines.pump.omega - omega, (), ends), back)[..., -1]
        return jnp.abs(signal * idler @ (power_w * self._strengths(lines.pump) * inside**2)) ** 2

    def _strengths(self, pump: Line) -> jax.Array:
        """gamma L of the loop of every wave, 1/W, shape [wave]."""
        lengths = jnp.repeat(
            1e-6 * jnp.stack([jnp.asarray(v, float) for v in self.resonator.round_trip_um(self._place)]), 2
        )
        return kerr.gamma(self._place, self.resonator.cross_section, wavelength(pump.omega)) * lengths


class JointAmplitude(NamedTuple):
    """psi of a pulse's pairs times the roots of the quadrature's weights, [ns, ni]: sum |psi|² is a number of pairs."""

    psi: jax.Array
    signal: Grid
    idler: Grid

    @property
    def pairs(self) -> jax.Array:
        """Mean number of pairs per pulse at the two ports."""
        return jnp.sum(jnp.abs(self.psi) ** 2)


def _mode(parts: Loops) -> jax.Array:
    """Amplitude of a round trip, forwards; of two coupled loops that of the mode nearest to resonance, [...].

    Raises:
        NumericsError: there are more than two loops.
    """
    around = parts.around[..., ::2, ::2]
    if around.shape[-1] == 1:
        return around[..., 0, 0]
    if around.shape[-1] != 2:
        raise NumericsError("resonances of more than two coupled loops", got=around.shape[-1], allowed="1 or 2")
    middle = (around[..., 0, 0] + around[..., 1, 1]) / 2
    root = jnp.sqrt(((around[..., 0, 0] - around[..., 1, 1]) / 2) ** 2 + around[..., 0, 1] * around[..., 1, 0])
    upper, lower = middle + root, middle - root
    return jnp.where(jnp.abs(jnp.angle(upper)) <= jnp.abs(jnp.angle(lower)), upper, lower)
