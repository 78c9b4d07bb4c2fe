"""Coupler of a ring to a straight bus."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np

from picq import drawing
from picq.device import Device, device, param, setting
from picq.optics.coupler import coupled, half_ring, reach
from picq.optics.waveguide import amplitude_db, propagate
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

_SAGITTA = 0.1e-3  # um: of the ring's chords, a tenth of the 1 nm grid


@device
class RingCoupler(Device):
    """Straight bus beside the lower half of a ring, or of a racetrack with a straight of ``length``.

    ::

          o3                 o4
           │                 │
           │                 │     radius
            ╲               ╱
              ╰── length ──╯
        o1 ───────────────────── o2      gap

    Model: with phi = F ∫ kappa(g(theta)) R sqrt(cos theta) dtheta + kappa(gap) length and F what the bent mode changes
    (``picq.optics.bend.coupling_factor``), through = cos phi and cross = i sin phi, times the phase of the bus or the
    ring, and of half of each for the light that crosses. A racetrack's straight costs two straight-arc junctions; at o3
    and o4 the arc is taken to go on.

    Checked against SiEPIC's FDTD of half rings (Si 500 x 220 nm, cross power at 1.55 um; tests/test_couplers.py), which
    has the kappa of two parallel straights 3 % lower (6 % in power) than the supermodes:

    ======  ======  ======  ======  ======= =======
    gap     .20     .15     .10     .10     .05     um
    radius  18      10      10      5       5       um
    FDTD    .0219   .0299   .0761   .0414   .1190
    F = 1   -1.7 %  -3.7 %  -5.1 %  -14.0 % -14.9 %
    model   +2.4 %  +3.6 %  +2.0 %  -0.6 %  -2.0 %
    ======  ======  ======  ======  ======= =======
    """

    name: ClassVar[str] = "ring_coupler"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    radius: float | None = param(
        default=None, lower=1.0, upper=500.0, unit="um", step=0.001, doc="of the ring; the cross-section's by default"
    )
    gap: float = param(default=0.2, lower=0.05, upper=2.0, unit="um", step=0.002, doc="smallest gap")
    length: float = param(default=0.0, lower=0.0, upper=1000.0, unit="um", step=0.002, doc="straight part of the ring")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        xs, bend = site.guide(self.cross_section), site.bend(self.cross_section)
        radius = self._radius(tech)
        curvature = 1 / radius
        arc = half_ring(self.gap, xs.width, radius, reach(site, self.cross_section))

        def slow(at: jax.Array) -> tuple[jax.Array, ...]:
            n_eff = site.n_eff(self.cross_section, at)
            factor = bend.coupling_factor(curvature)
            return n_eff, *coupled(site, self.cross_section, at, self.gap, self.length, arc, factor)

        n_eff, phi, raised = site.over_wavelengths(self.cross_section, wl, slow)
        beside = jnp.exp(2j * jnp.pi * raised / wl)

        lengths = self.paths(tech)
        ring = propagate(wl, n_eff, lengths["ring"] / 2, xs.loss_db_cm)
        ring = ring * bend.excess(wl, np.pi * radius / 2, curvature)
        # a straight shorter than the mask can hold is none, and has no junctions
        ring = ring * amplitude_db(jnp.where(self.length > 1e-3, bend.mismatch_db(curvature), 0.0))
        half_bus = propagate(wl, n_eff, lengths["bus"] / 2, xs.loss_db_cm)
        cross = 1j * jnp.sin(phi) * half_bus * ring * beside
        return reciprocal(
            {
                ("o1", "o2"): half_bus**2 * beside * jnp.cos(phi),
                ("o3", "o4"): ring**2 * beside * jnp.cos(phi),
                ("o1", "o4"): cross,
                ("o2", "o3"): cross,
            }
        )

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        half = self._radius(tech) + self.length / 2
        bus = gf.path.straight(2 * half)
        bus.move((-half, 0.0))
        start, end = drawing.draw_path(c, bus, tech, self.cross_section, segment="bus")
        drawing.port(c, "o1", start, tech, self.cross_section)
        drawing.port(c, "o2", end, tech, self.cross_section)
        start, end = drawing.draw_path(c, self._ring(tech), tech, self.cross_section, segment="ring")
        drawing.port(c, "o3", start, tech, self.cross_section)
        drawing.port(c, "o4", end, tech, self.cross_section)
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        radius = self._radius(tech)
        return {"bus": 2 * radius + self.length, "ring": np.pi * radius + self.length}

    def _radius(self, tech: Technology) -> Any:
        return tech.cross_section(self.cross_section).radius if self.radius is None else self.radius

    def _ring(self, tech: Technology) -> gf.Path:
        """Centre line: down from o3, along the bus, up to o4."""
        radius, lowest = self._radius(tech), tech.cross_section(self.cross_section).width + self.gap
        chord = np.sqrt(8 * radius * _SAGITTA)
        t = np.linspace(0, np.pi / 2, int(np.ceil(np.pi / 2 * radius / chord)) + 2)
        right = np.stack([self.length / 2 + radius * np.sin(t), lowest + radius * (1 - np.cos(t))], axis=1)
        left = right[::-1] * (-1, 1)
        path = gf.Path(np.concatenate([left, right if self.length > 0 else right[1:]]))
        path.start_angle, path.end_angle = -90.0, 90.0
        return path
