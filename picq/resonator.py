"""Devices with loops: the model is that of the opened device, closed again."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from picq.device import Device
from picq.optics.resonator import C_UM_HZ, closed, wavelength
from picq.sdict import SDict
from picq.technology import Technology


class Resonator(Device):
    """Base of devices with loops. Subclasses give ``opened`` and ``round_trip_um`` in place of ``model``.

    Class attributes:
        cuts: pairs of ports that the loops join, oriented so that light of one sense of circulation arrives at the
            first port of each.

    A field ``splitting_mhz`` is what backscattering splits every resonance by; None: no light turns back.
    """

    cuts: ClassVar[tuple[tuple[str, str], ...]] = (("l1", "l2"),)
    cross_section: Any
    splitting_mhz: Any

    def opened(self, wl: jax.Array, tech: Technology) -> SDict:
        """S-parameters with the loops cut, between ``ports`` and the ports of ``cuts``: {(in, out): complex [wl]}."""
        raise NotImplementedError

    def round_trip_um(self, tech: Technology) -> tuple[Any, ...]:
        """Length of the loop that each cut opens, um."""
        raise NotImplementedError

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        return closed(self.opened(wl, tech), self.ports, self.cuts, self.backscatter(wl, tech))

    def backscatter(self, wl: Any, tech: Technology) -> jax.Array | None:
        """Amplitude that turns back in a round trip of the first loop: pi splitting L n_g/c."""
        if self.splitting_mhz is None:
            return None
        return jnp.pi * 1e6 * self.splitting_mhz * self._delay_s(wl, tech)

    def turning_back(self, per_cm: Any, tech: Technology) -> Any:
        """The device with the ``splitting_mhz`` of a first loop of which this power turns back per cm: the inverse of
        ``backscatter``."""
        ends = tech.guide(self.cross_section).modes["te0"].ranges.wl
        power = 1e-4 * self.round_trip_um(tech)[0] * per_cm
        return self.replace(splitting_mhz=jnp.sqrt(power) / (jnp.pi * 1e6 * self._delay_s(sum(ends) / 2, tech)))

    def _delay_s(self, wl: Any, tech: Technology) -> jax.Array:
        """Group delay of the first loop in the middle of wavelengths, as its guide has it."""
        middle = jnp.mean(jnp.asarray(wl))
        n, slope = jax.jvp(lambda at: tech.at_site(0).n_eff(self.cross_section, at), (middle,), (jnp.ones(()),))
        return self.round_trip_um(tech)[0] * (n - middle * slope) / C_UM_HZ

    def round_trip(self, omega: jax.Array, tech: Technology) -> jax.Array:
        """Amplitude of a round trip of a device with one loop, at angular frequencies omega (rad/s), shape [n]."""
        first, second = self.cuts[0]
        return self.opened(wavelength(omega), tech)[(second, first)]
