"""Resonances of a source as its ports see them."""

from typing import NamedTuple

import jax

from picq.quantum.neighbourhood import Neighbourhood


class Line(NamedTuple):
    """One resonance as a port sees it, scalars, or several, [line]; rates in rad/s.

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
    """The resonances of a source, and its opened circuit around them: centres are pump, signal, idler, and signal and
    idler of every further pair.

    Attributes:
        pump, signal, idler: one line each.
        signals, idlers: of all pairs, [pair]; the first is ``signal`` and ``idler``.
        around: the opened circuit.
    """

    pump: Line
    signal: Line
    idler: Line
    signals: Line
    idlers: Line
    around: Neighbourhood

    @property
    def mismatch(self) -> jax.Array:
        """omega_s + omega_i - 2 omega_p without light, rad/s: D_int of both together."""
        return self.signal.omega + self.idler.omega - 2 * self.pump.omega

    @property
    def mismatches(self) -> jax.Array:
        """The same of all pairs, [pair]."""
        return self.signals.omega + self.idlers.omega - 2 * self.pump.omega
