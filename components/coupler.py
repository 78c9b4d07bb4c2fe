"""Directional coupler."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import layout
from picq.device import Device, device, param, setting
from picq.optics.coupler import s_bend, s_bend_phase
from picq.optics.waveguide import amplitude_db, propagate
from picq.sdict import SDict, reciprocal
from picq.technology import Technology


@device
class Coupler(Device):
    """Two parallel waveguides, brought together and parted by S-bends of two circular arcs.

    ::

        o2 ──╮              ╭── o3
              ╰────────────╯        gap
              ╭────────────╮
        o1 ──╯    length    ╰── o4      dy between the ports
           dx

    Model: with phi = kappa(gap) length + both ends' ∫ kappa(g(s)) ds, through = cos phi, cross = i sin phi, times the
    common phase of one arm (coupled-mode theory of two equal guides; kappa from the supermode splitting).
    """

    name: ClassVar[str] = "coupler"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    length: float = param(default=14.0, lower=0.0, upper=200.0, unit="um", step=0.001, doc="straight coupling length")
    gap: float = param(default=0.2, lower=0.1, upper=1.0, unit="um", step=0.002, doc="gap between the guides")
    dx: float = param(
        default=12.0, lower=8.0, upper=100.0, unit="um", step=0.001, doc="length of one S-bend along the axis"
    )
    dy: float = param(default=4.0, lower=3.0, upper=6.0, unit="um", step=0.002, doc="pitch of the ports")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        through, cross = self.amplitudes(wl, tech.at_site(0))
        return reciprocal({("o1", "o4"): through, ("o2", "o3"): through, ("o1", "o3"): cross, ("o2", "o4"): cross})

    def amplitudes(self, wl: jax.Array, tech: Technology) -> tuple[jax.Array, jax.Array]:
        """(through, cross) amplitudes, shape [wl]; ``tech`` as the coupler's own place sees it."""
        xs = tech.cross_section(self.cross_section)
        offset, radius = self._bend(tech)
        gap, width, thickness = tech.coupler_geometry(self.cross_section, self.gap)
        phi = tech.kappa(self.cross_section, wl, self.gap) * self.length + 2 * s_bend_phase(
            tech.coupler(self.cross_section), wl, gap, width, thickness, offset, radius
        )
        _, bend_length, _ = s_bend(offset, radius)
        arm = propagate(wl, tech.n_eff(self.cross_section, wl), self.length + 2 * bend_length, xs.loss_db_cm)
        arm = arm * jnp.exp(2j * jnp.pi * xs.bend_index_um2 * 2 * bend_length / (radius**2 * wl))
        # an S-bend joins straight-arc, arc-to-opposite-arc (twice the mode shift, four times the loss), arc-straight
        arm = arm * amplitude_db(2 * 6 * xs.bend_mismatch_db_um2 / radius**2)
        return arm * jnp.cos(phi), 1j * arm * jnp.sin(phi)

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        offset, radius = (float(v) for v in self._bend(tech))
        y = self.dy / 2
        for sign, (left, right), segment in ((-1, ("o1", "o4"), "bottom"), (1, ("o2", "o3"), "top")):
            points = layout.s_bend_points(self.dx, offset, radius)
            inwards = [(x, sign * (y - dy)) for x, dy in points]
            outwards = [(2 * self.dx + self.length - x, v) for x, v in reversed(inwards)]
            path = layout.polyline([*inwards, *outwards])
            start, end = layout.draw_path(c, path, tech, self.cross_section, segment=segment)
            layout.port(c, left, start, tech, self.cross_section)
            layout.port(c, right, end, tech, self.cross_section)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        _, bend_length, _ = s_bend(*self._bend(tech))
        arm = self.length + 2 * bend_length
        return {"bottom": arm, "top": arm}

    def _bend(self, tech: Technology) -> tuple[Any, Any]:
        """Sideways offset and arc radius of the S-bends: tan(angle/2) = offset/dx, radius = dx / (2 sin angle)."""
        offset = (self.dy - self.gap - tech.cross_section(self.cross_section).width) / 2
        return offset, (self.dx**2 + offset**2) / (4 * offset)
