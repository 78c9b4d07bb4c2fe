"""Photonic molecule: two coupled rings, the first of them beside a bus."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np

from picq import drawing, layout
from picq.device import bounds, device, param, setting
from picq.optics.coupler import coupled, reach
from picq.optics.phase_shifter import power_to_restore, ring_resistance, thermo_optic
from picq.optics.ring_pair import two_rings
from picq.optics.waveguide import propagate
from picq.outline import arc
from picq.resonator import Resonator
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .ring_coupler import RingCoupler


@device
class PhotonicMolecule(Resonator):
    """Ring beside a bus, an auxiliary ring above it, a heater on the outer half of each.

    ::

               ╭═════════╮
              ╱           ╲
        e3 ■ │             │ ■ e4     radius_aux
              ╲           ╱
               ╰─────────╯            gap_rings
              ╭───────────╮
             ╱             ╲
        e1 ■│               │■ e2     radius
             ╲             ╱
              ╰═══════════╯           gap
        o1 ─────────────────────── o2

    Where both rings are resonant, each resonance becomes two: a round trip of two equal rings has the phases
    theta ± phi, with sin phi the amplitude that crosses between them, so that they lie phi/pi free spectral ranges
    apart. Where the circumferences differ, only those resonances of the first ring split that meet one of the other
    (Vernier): so single resonances are taken out of the comb. Published as a source of pure photon pairs in silicon,
    arXiv:2303.17258.

    Model: ``ring_coupler`` for the bus. Between the rings phi = F(R_1) F(R_2) ∫ kappa(g(s)) ds along their facing arcs
    (``picq.optics.ring_pair``): F is what one bent guide changes in the coupling to a straight one
    (``picq.optics.bend.coupling_factor``), of first order in 1/R; both bend, away from each other, and their changes
    add. Heaters warm their own ring, as a filament that follows a ring does (``picq.optics.heat``); what reaches the
    other ring is left out. ``splitting_mhz`` is that of the first ring; the same amplitude turns back in the other.
    """

    name: ClassVar[str] = "photonic_molecule"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    # light that goes anticlockwise in the first ring goes clockwise in the other, and arrives at l1 and l3
    cuts: ClassVar[tuple[tuple[str, str], ...]] = (("l1", "l2"), ("l3", "l4"))
    radius: float = param(default=20.0, lower=1.0, upper=500.0, unit="um", step=0.001, doc="of the ring at the bus")
    radius_aux: float = param(default=18.0, lower=1.0, upper=500.0, unit="um", step=0.001, doc="of the auxiliary ring")
    gap: float = param(default=0.2, lower=0.05, upper=2.0, unit="um", step=0.002, doc="smallest gap to the bus")
    gap_rings: float = param(default=0.2, lower=0.05, upper=4.0, unit="um", step=0.002, doc="between the rings")
    power_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater power, ring at the bus")
    power_aux_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater power, auxiliary ring")
    splitting_mhz: float | None = param(
        default=None, lower=0.0, upper=1e5, unit="mhz", doc="of resonances by backscattering; none by default"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    @property
    def sites(self) -> tuple[str, ...]:
        return ("coupler", "pair", "arc")

    def round_trip_um(self, tech: Technology) -> tuple[Any, ...]:
        return 2 * np.pi * self.radius, 2 * np.pi * self.radius_aux

    def opened(self, wl: jax.Array, tech: Technology) -> SDict:
        bus = self._coupler().model(wl, tech.at_site(0))
        lower, upper, cross = self._pair(wl, tech.at_site(1))
        # the filament over the lower half is half before the bus and half behind it
        half = jnp.exp(0.5j * self.power_mw * self.phase_per_mw(wl, tech)[0])
        out, enter, around = bus[("o3", "o2")] * half, bus[("o1", "o4")] * half, bus[("o3", "o4")] * half**2
        outer = self._outer(wl, tech.at_site(2)) * jnp.exp(1j * self.power_aux_mw * self.phase_per_mw(wl, tech)[1])
        return reciprocal(
            {
                ("o1", "o2"): bus[("o1", "o2")],
                ("o1", "l1"): enter * lower,
                ("o1", "l3"): enter * cross * outer,
                ("l2", "o2"): out,
                ("l2", "l1"): around * lower,
                ("l2", "l3"): around * cross * outer,
                ("l4", "l1"): cross,
                ("l4", "l3"): upper * outer,
            }
        )

    def rebiased(
        self, wl0: float, tech: Technology, nominal: Technology, like: "PhotonicMolecule | None" = None
    ) -> "PhotonicMolecule":
        """Both round trips get their nominal phases back at ``wl0``."""
        wl, cold = jnp.atleast_1d(jnp.asarray(wl0)), self.replace(power_mw=0.0, power_aux_mw=0.0)
        wanted, got, limits = (like or self).opened(wl, nominal), cold.opened(wl, tech), bounds(type(self), nominal)
        values = {}
        for k, ((first, second), name) in enumerate(zip(self.cuts, ("power_mw", "power_aux_mw"), strict=True)):
            per_mw, pair = self.phase_per_mw(wl[0], tech)[k], (second, first)
            values[name] = power_to_restore(wanted[pair][0], got[pair][0], per_mw, limits[name].upper)
        return self.replace(**values)

    def phase_per_mw(self, wl: Any, tech: Technology) -> tuple[jax.Array, jax.Array]:
        """Phase of each ring's round trip per mW of its own heater, rad/mW, of wl's shape."""
        first, aux = (
            2 * jnp.pi / jnp.asarray(wl) * thermo_optic(wl, tech.at_site(site), self.cross_section)
            * ring_resistance(tech, self.cross_section, perimeter)
            for site, perimeter in zip((0, 2), self.round_trip_um(tech), strict=True)
        )  # fmt: skip
        return first, aux

    def _pair(self, wl: jax.Array, site: Technology) -> tuple[jax.Array, jax.Array, jax.Array]:
        """(along the first ring's upper half, along the other's lower half, from one to the other), shape [wl]."""
        xs, bend, radii = site.guide(self.cross_section), site.bend(self.cross_section), (self.radius, self.radius_aux)
        arcs = two_rings(self.gap_rings, xs.width, *radii, reach(site, self.cross_section))

        def slow(at: jax.Array) -> tuple[jax.Array, ...]:
            n_eff = site.n_eff(self.cross_section, at)
            factor = bend.coupling_factor(1 / self.radius) * bend.coupling_factor(1 / self.radius_aux)
            return n_eff, *coupled(site, self.cross_section, at, self.gap_rings, 0.0, arcs, factor)

        n_eff, phi, raised = site.over_wavelengths(self.cross_section, wl, slow)
        beside = jnp.exp(2j * jnp.pi * raised / wl)
        first, aux = (
            propagate(wl, n_eff, np.pi * r / 2, xs.loss_db_cm) * bend.excess(wl, np.pi * r / 2, 1 / r) for r in radii
        )
        on, over = beside * jnp.cos(phi), 1j * beside * jnp.sin(phi)
        return on * first**2, on * aux**2, over * first * aux

    def _outer(self, wl: jax.Array, site: Technology) -> jax.Array:
        """Amplitude along the auxiliary ring's upper half."""
        xs, bend, half = site.guide(self.cross_section), site.bend(self.cross_section), np.pi * self.radius_aux
        n_eff = site.n_eff(self.cross_section, wl)
        return propagate(wl, n_eff, half, xs.loss_db_cm) * bend.excess(wl, half, 1 / self.radius_aux)

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        coupler = c << layout.build(self._coupler(), tech)
        drawing.record(c, drawing.instance_segments(c, coupler, "coupler"))
        for name in ("o1", "o2"):
            c.add_port(name, port=coupler.ports[name])
        width = tech.cross_section(self.cross_section).width
        centre = width + self.gap + self.radius
        above = drawing.on_grid(centre + self.radius + width + self.gap_rings + self.radius_aux)
        halves = (
            ("inner", centre, self.radius, 0.0),
            ("facing", above, self.radius_aux, 180.0),
            ("outer", above, self.radius_aux, 0.0),
        )
        for name, y, radius, turn in halves:
            drawing.draw_path(c, _half_circle(y, radius, turn), tech, self.cross_section, segment=name)
        heaters = (("e1", "e2"), centre, self.radius, -90), (("e4", "e3"), above, self.radius_aux, 90)
        for names, y, radius, turn in heaters:
            heater = gf.Component()
            for name, plane in zip(names, drawing.draw_half_ring_heater(heater, (0.0, 0.0), radius, tech), strict=True):
                drawing.port(heater, name, plane, tech, "metal")
            placed = c << heater
            placed.rotate(turn)
            placed.move((0.0, y))
            c.add_ports(placed.ports)
            placed.flatten()
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        coupler, half = self._coupler().paths(tech), np.pi * self.radius_aux
        rings = {"inner": np.pi * self.radius, "facing": half, "outer": half}
        return {**{f"coupler/{k}": v for k, v in coupler.items()}, **rings}

    def _coupler(self) -> RingCoupler:
        return RingCoupler(radius=self.radius, gap=self.gap, cross_section=self.cross_section)


def _half_circle(y: float, radius: float, turn: float) -> gf.Path:
    """About (0, y), anticlockwise, from the right side on after a turn (degrees) of its own."""
    angle = np.deg2rad(turn)
    start = np.array([radius * np.cos(angle), y + radius * np.sin(angle)])
    path = gf.Path(arc(start, angle + np.pi / 2, np.pi, radius)[0])
    path.start_angle, path.end_angle = (turn + 90.0) % 360.0, (turn + 270.0) % 360.0
    return path
