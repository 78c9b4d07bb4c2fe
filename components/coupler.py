"""Directional coupler."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
from jax.core import Tracer

from picq import drawing
from picq.device import Device, device, param, setting
from picq.errors import SpecError
from picq.optics.coupler import Places, coupled, s_bend, s_bends
from picq.optics.waveguide import amplitude_db, propagate
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
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

    Model: with phi = kappa(gap) length + both ends' F² ∫ kappa(g(s)) ds, through = cos phi, cross = i sin phi, times
    the common phase of one arm (coupled-mode theory of two equal guides; kappa from the supermode splitting). F is what
    one bent guide changes in the coupling to a straight one (``picq.optics.bend.coupling_factor``), of first order in
    1/R; here both bend, and their changes add. The common phase holds the supermodes' mean index, and the bends' index
    rise, junction loss and radiation.

    Checked against SiEPIC's FDTD (Si 500 x 220 nm, gap 0.2 um, R = 5 um): 3-dB length 17.54 um, here 17.5 um.
    """

    name: ClassVar[str] = "coupler"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    length: float = param(default=14.0, lower=0.0, upper=1000.0, unit="um", step=0.001, doc="straight coupling length")
    gap: float = param(default=0.2, lower=0.1, upper=2.0, unit="um", step=0.002, doc="gap between the guides")
    dx: float = param(
        default=12.0, lower=8.0, upper=200.0, unit="um", step=0.001, doc="length of one S-bend along the axis"
    )
    dy: float = param(default=4.0, lower=3.0, upper=20.0, unit="um", step=0.002, doc="pitch of the ports")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        through, cross = self.amplitudes(wl, tech.at_site(0))
        return reciprocal({("o1", "o4"): through, ("o2", "o3"): through, ("o1", "o3"): cross, ("o2", "o4"): cross})

    def amplitudes(self, wl: jax.Array, tech: Technology) -> tuple[jax.Array, jax.Array]:
        """(through, cross) amplitudes, shape [wl]; ``tech`` as the coupler's own place sees it."""
        xs, bend = tech.guide(self.cross_section), tech.bend(self.cross_section)
        offset, radius = self._bend(tech)
        _, bend_length, _ = s_bend(offset, radius)
        gaps, weights = s_bends(self.gap, offset, radius)
        ends, factor = Places(gaps, 2 * weights), bend.coupling_factor(1 / radius) ** 2

        def slow(at: jax.Array) -> tuple[jax.Array, ...]:
            n_eff = tech.n_eff(self.cross_section, at)
            return n_eff, *coupled(tech, self.cross_section, at, self.gap, self.length, ends, factor)

        n_eff, phi, raised = tech.over_wavelengths(self.cross_section, wl, slow)
        arm = propagate(wl, n_eff, self.length + 2 * bend_length, xs.loss_db_cm)
        arm = arm * jnp.exp(2j * jnp.pi * raised / wl) * bend.excess(wl, 2 * bend_length, 1 / radius)
        # an S-bend joins straight-arc, arc-to-opposite-arc (twice the mode shift, four times the loss), arc-straight
        arm = arm * amplitude_db(2 * 6 * bend.mismatch_db(1 / radius))
        return arm * jnp.cos(phi), 1j * arm * jnp.sin(phi)

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        offset, radius = (float(v) for v in self._bend(tech))
        y = self.dy / 2
        for sign, (left, right), segment in ((-1, ("o1", "o4"), "bottom"), (1, ("o2", "o3"), "top")):
            points = drawing.s_bend_points(self.dx, offset, radius)
            inwards = [(x, sign * (y - dy)) for x, dy in points]
            outwards = [(2 * self.dx + self.length - x, v) for x, v in reversed(inwards)]
            path = drawing.polyline([*inwards, *outwards])
            start, end = drawing.draw_path(c, path, tech, self.cross_section, segment=segment)
            drawing.port(c, left, start, tech, self.cross_section)
            drawing.port(c, right, end, tech, self.cross_section)
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        _, bend_length, _ = s_bend(*self._bend(tech))
        arm = self.length + 2 * bend_length
        return {"bottom": arm, "top": arm}

    def _bend(self, tech: Technology) -> tuple[Any, Any]:
        """Sideways offset and arc radius of the S-bends: tan(angle/2) = offset/dx, radius = dx / (2 sin angle).

        Raises:
            SpecError: the guides do not fit between the ports.
        """
        least = tech.cross_section(self.cross_section).width
        if not any(isinstance(v, Tracer) for v in (self.dy, self.gap, least)) and self.dy <= self.gap + least:
            raise SpecError(
                f"{self.name}: the guides do not fit between the ports",
                got=f"dy {self.dy:g} um, gap {self.gap:g} um, guides {least:g} um wide",
                allowed=f"dy > {self.gap + least:g} um",
                remedy="raise dy",
            )
        offset = (self.dy - self.gap - tech.cross_section(self.cross_section).width) / 2
        return offset, (self.dx**2 + offset**2) / (4 * offset)
