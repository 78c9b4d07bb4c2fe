"""A pair source as its circuit has it: lines, fields and ways out of a ring, all from one opened transfer matrix.

Everything outside the ring is part of it: what a filter or a coupler to the fibre takes counts in the pump that arrives
and in the photons that leave.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from picq.circuit import Circuit
from picq.cut import Cuts, opened
from picq.device import Device
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
from picq.quantum.lines import Line, Lines
from picq.quantum.neighbourhood import Neighbourhood, neighbourhood
from picq.quantum.pair_amplitude import REACH, Emitter, JointAmplitude, amplitude, frame
from picq.quantum.pump import Pulse
from picq.resonator import Resonator
from picq.technology import Technology

D = TypeVar("D", bound=Device)


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
        others: further pairs, counted likewise.

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
    others: tuple[int, ...] = ()

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
        """Pump, signals and idlers; NaN where the circuit around the ring turns too fast for its neighbourhoods."""
        orders = (0, *(sign * m for m in (self.pair, *self.others) for sign in (1, -1)))
        near = jax.lax.stop_gradient(self.resonances(orders))
        reach = jnp.minimum(REACH * jnp.max(near.kappa), jnp.pi / jnp.min(near.delay_s))  # half way to the next ones

        def seen(tech: Technology) -> Neighbourhood:
            on = dataclasses.replace(self, tech=tech)
            return neighbourhood(lambda omega: on.parts(omega, (self.pump_port,), self._ends), near.omega, reach)

        # one evaluation for both: what is left of the loss without that of guides is what couplers take
        techs = jax.tree.map(lambda *v: jnp.stack([jnp.asarray(x, float) for x in v]), self.tech, self.tech.lossless())
        both = jax.vmap(seen)(techs)
        around, lossless = (jax.tree.map(lambda leaf, k=k: leaf[k], both) for k in (0, 1))

        def line(k: jax.Array, port: jax.Array, delay_s: jax.Array) -> Line:
            one = settled(lambda w: _mode(around.at(k, w)), jnp.zeros(1), delay_s[None])
            ends = around.at(k, one.omega)
            into = jnp.sum(jnp.abs(ends.enter[0, 0]) ** 2)
            out = jnp.sum(jnp.abs(ends.leave[0, ::2]) ** 2, 0)
            coupled = -2 * jnp.log(jnp.abs(_mode(lossless.at(k, one.omega))))
            rate = one.rate(jnp.stack([into, out[0], out[-1]])[port])
            values = (around.centre[k] + one.omega, one.kappa, rate, (one.loss - coupled) / one.delay_s, one.delay_s)
            return Line(*(jnp.reshape(v, ()) for v in values))

        numbers = np.arange(len(orders))
        ports = np.where(numbers > 0, 2 - numbers % 2, 0)
        found = jax.vmap(line)(jnp.asarray(numbers), jnp.asarray(ports), near.delay_s)
        pump, signal, idler = (jax.tree.map(lambda leaf, k=k: leaf[k], found) for k in range(3))
        signals, idlers = (jax.tree.map(lambda leaf, k=k: leaf[k::2], found) for k in (1, 2))
        return Lines(pump, signal, idler, signals, idlers, around)

    def lines_beside(self, reference: "PairSource") -> tuple[Lines, Lines]:
        """Lines of this source and of another one that was made otherwise, in one evaluation of the circuit.

        Args:
            reference: of the same circuit, with other values of parameters or another technology.
        """
        circuits = [_told(source.circuit) for source in (self, reference)]
        there = self.tech.mismatch
        level = None if there is None else jax.tree.map(jnp.zeros_like, there)
        techs = [self.tech, reference.tech.with_mismatch(reference.tech.mismatch or level)]

        def stacked(*leaves: Any) -> jax.Array:
            return jnp.stack(jnp.broadcast_arrays(*(jnp.asarray(leaf, float) for leaf in leaves)))

        both = jax.vmap(lambda circuit, tech: dataclasses.replace(self, circuit=circuit, tech=tech).lines())(
            jax.tree.map(stacked, *circuits), jax.tree.map(stacked, *techs)
        )
        first, second = (jax.tree.map(lambda leaf, k=k: leaf[k], both) for k in (0, 1))
        return first, second

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

    def emitter(self, lines: Lines) -> Emitter:
        """What joint amplitudes are computed from."""
        return Emitter(lines, self._backscatter(), self._strengths(lines.pump))

    def amplitude(self, lines: Lines, pulse: Pulse, energy_j: Any, points: int = 256) -> JointAmplitude:
        """Joint amplitude of pairs that leave by the two ports, per pulse (``pair_amplitude``).

        Args:
            lines: of this source.
            pulse: in the pump's port, times in s, detunings from the pump's resonance in rad/s.
            energy_j: of a pulse in the port, J.
            points: frequencies of each photon; the pump has eight times as many.
        """
        at = frame(lines, pulse, points)
        return JointAmplitude(amplitude(self.emitter(lines), pulse, energy_j, at), at.signal, at.idler)

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


def _told(device: D) -> D:
    """With a splitting of zero where rings are told none: circuits of drawn and of undrawn rings are then alike."""
    if isinstance(device, Circuit):
        return device.replace(instances={name: _told(inner) for name, inner in device.instances.items()})
    if isinstance(device, Resonator) and device.splitting_mhz is None:
        return device.replace(splitting_mhz=0.0)
    return device


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
