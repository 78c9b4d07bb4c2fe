"""Rings and racetracks with one bus (all-pass) and with two (add-drop), a heater above one half."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq import drawing, layout
from picq.device import bounds, device, param, setting
from picq.errors import SpecError
from picq.optics.phase_shifter import power_to_restore, ring_resistance, thermo_optic
from picq.optics.waveguide import amplitude_db, propagate
from picq.resonator import Resonator
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .pulley_coupler import PulleyCoupler
from .ring_coupler import RingCoupler


@device
class _Ring(Resonator):
    """What both have in common: a lower half beside its bus, and what a heater above the right half does.

    With ``angle_deg`` or ``bus_width`` the (lower) coupler is a ``pulley_coupler``, and the ring no racetrack.
    """

    radius: float | None = param(
        default=None, lower=1.0, upper=500.0, unit="um", step=0.001, doc="of the arcs; the cross-section's by default"
    )
    gap: float = param(default=0.2, lower=0.05, upper=2.0, unit="um", step=0.002, doc="smallest gap to the (lower) bus")
    length: float = param(default=0.0, lower=0.0, upper=1000.0, unit="um", step=0.002, doc="straights of a racetrack")
    angle_deg: float | None = param(
        default=None,
        lower=0.0,
        upper=90.0,
        unit="deg",
        step=0.01,
        doc="(lower) bus bent about the ring; straight by default",
    )
    bus_width: float | None = param(
        default=None,
        lower=0.2,
        upper=5.0,
        unit="um",
        step=0.002,
        doc="of the (lower) bus; the cross-section's by default",
    )
    power_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater power")
    splitting_mhz: float | None = param(
        default=None, lower=0.0, upper=1e5, unit="mhz", doc="of resonances by backscattering; none by default"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def round_trip_um(self, tech: Technology) -> tuple[Any, ...]:
        return (2 * np.pi * self._radius(tech) + 2 * self.length,)

    def rebiased(self, wl0: float, tech: Technology, nominal: Technology, like: Any = None) -> Any:
        """The round trip gets its nominal phase back at ``wl0``."""
        wl = jnp.atleast_1d(jnp.asarray(wl0))
        first, second = self.cuts[0]
        wanted = (like or self).opened(wl, nominal)[(second, first)][0]
        cold = self.replace(power_mw=0.0).opened(wl, tech)[(second, first)][0]
        limit = bounds(type(self), nominal)["power_mw"].upper
        return self.replace(power_mw=power_to_restore(wanted, cold, self.phase_per_mw(wl[0], tech), limit))

    def phase_per_mw(self, wl: Any, tech: Technology) -> jax.Array:
        """Phase of the round trip per mW of heater power, rad/mW, of wl's shape."""
        theta = ring_resistance(tech, self.cross_section, self.round_trip_um(tech)[0])
        return 2 * jnp.pi / jnp.asarray(wl) * thermo_optic(wl, tech.at_site(0), self.cross_section) * theta

    def _radius(self, tech: Technology) -> Any:
        return tech.cross_section(self.cross_section).radius if self.radius is None else self.radius

    def _low(self, tech: Technology) -> RingCoupler | PulleyCoupler:
        """The (lower) coupler.

        Raises:
            SpecError: a racetrack has a bus that follows its arc, or of another width.
        """
        if self.angle_deg is None and self.bus_width is None:
            return self._coupler(self.gap, tech)
        angle: Any = 0.0 if self.angle_deg is None else self.angle_deg
        if isinstance(self.length, Tracer):
            angle = jnp.where(self.length > 0, jnp.nan, angle)  # traced values cannot be refused
        elif self.length > 0:
            raise SpecError(
                f"{self.name}: only beside a ring without straights may a bus be bent, or of another width",
                got=f"length {float(self.length):g} um",
                allowed="length 0 with angle_deg or bus_width",
                remedy="leave out either length, or angle_deg and bus_width",
            )
        radius, width, section = self._radius(tech), self.bus_width, self.cross_section
        return PulleyCoupler(radius=radius, gap=self.gap, angle_deg=angle, bus_width=width, cross_section=section)

    def _draw_low(self, c: gf.Component, tech: Technology) -> gf.ComponentReference:
        """The (lower) coupler, with the ring's middle where ``_draw_heater`` and ``_upper_half`` have it."""
        low = c << layout.build(self._low(tech), tech)
        middle = tech.cross_section(self.cross_section).width + self.gap + self._radius(tech)
        low.move((0.0, drawing.on_grid(middle - low.ports["o4"].center[1])))
        drawing.record(c, drawing.instance_segments(c, low, "coupler"))
        for name in ("o1", "o2"):
            c.add_port(name, port=low.ports[name])
        return low

    def waivers(self, tech: Technology) -> dict[str, str]:
        return self._low(tech).waivers(tech)

    def _coupler(self, gap: Any, tech: Technology) -> RingCoupler:
        return RingCoupler(radius=self._radius(tech), gap=gap, length=self.length, cross_section=self.cross_section)

    def _heated(self, wl: jax.Array, tech: Technology) -> jax.Array:
        return jnp.exp(1j * self.power_mw * self.phase_per_mw(wl, tech))

    def _draw_heater(self, c: gf.Component, tech: Technology) -> None:
        radius, lowest = self._radius(tech), tech.cross_section(self.cross_section).width + self.gap
        planes = drawing.draw_half_ring_heater(c, (self.length / 2, lowest + radius), radius, tech)
        for name, plane in zip(("e1", "e2"), planes, strict=True):
            drawing.port(c, name, plane, tech, "metal")


@device
class RingAllPass(_Ring):
    """Ring or racetrack beside one bus, with a heater above its right half.

    ::

              ╭── length ──■ e2
             ╱              ╲╲
            │               ││    radius
             ╲              ╱╱
              ╰── length ──■ e1
        o1 ───────────────────────── o2       gap

    Model: ``ring_coupler`` or ``pulley_coupler``, closed by the upper half. Away from resonance the bus goes by; on
    resonance the power through is ((t - a)/(1 - t a))² with t the coupler's amplitude and a that of a round trip
    (Yariv, Electron. Lett. 36, 321 (2000), eq. 10). The heater adds (2 pi/wl) dn_eff/dT theta power to the round trip,
    theta of a filament that follows a ring (``picq.optics.heat``).
    """

    name: ClassVar[str] = "ring_all_pass"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")

    @property
    def sites(self) -> tuple[str, ...]:
        return ("coupler", "arc")

    def opened(self, wl: jax.Array, tech: Technology) -> SDict:
        bus = self._low(tech).model(wl, tech.at_site(0))
        arc = self._arc(wl, tech) * self._heated(wl, tech)
        return reciprocal(
            {
                ("o1", "o2"): bus[("o1", "o2")],
                ("o1", "l1"): bus[("o1", "o4")] * arc,
                ("l2", "o2"): bus[("o3", "o2")],
                ("l2", "l1"): bus[("o3", "o4")] * arc,
            }
        )

    def _arc(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """Amplitude along the upper half."""
        site = tech.at_site(1)
        xs, bend, radius = site.guide(self.cross_section), site.bend(self.cross_section), self._radius(tech)
        half = propagate(wl, site.n_eff(self.cross_section, wl), self.paths(tech)["arc"], xs.loss_db_cm)
        junctions = amplitude_db(jnp.where(self.length > 1e-3, 2 * bend.mismatch_db(1 / radius), 0.0))
        return half * bend.excess(wl, np.pi * radius, 1 / radius) * junctions

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        self._draw_low(c, tech)
        drawing.draw_path(c, self._upper_half(tech), tech, self.cross_section, segment="arc")
        self._draw_heater(c, tech)
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        coupler = self._low(tech).paths(tech)
        return {**{f"coupler/{k}": v for k, v in coupler.items()}, "arc": np.pi * self._radius(tech) + self.length}

    def _upper_half(self, tech: Technology) -> gf.Path:
        """The lower half's centre line, turned by half a turn about the ring's middle."""
        path, radius = self._coupler(self.gap, tech)._ring(tech), self._radius(tech)
        middle = np.array([0.0, tech.cross_section(self.cross_section).width + self.gap + radius])
        upper = gf.Path(2 * middle - np.asarray(path.points))
        upper.start_angle, upper.end_angle = 90.0, 270.0
        return upper


@device
class RingAddDrop(_Ring):
    """Ring or racetrack between two buses, with a heater above its right half.

    ::

        o3 ───────────────────────── o4       gap_drop
              ╭── length ──■ e2
             ╱              ╲╲
            │               ││    radius
             ╲              ╱╱
              ╰── length ──■ e1
        o1 ───────────────────────── o2       gap

    Model: two ``ring_coupler``, each of whose rings is a half; the lower one may be a ``pulley_coupler``. On resonance
    the power from o1 to o3 is a (1 - t1²)(1 - t2²)/(1 - t1 t2 a)² (Yariv, Electron. Lett. 36, 321 (2000)).
    """

    name: ClassVar[str] = "ring_add_drop"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    gap_drop: float = param(
        default=0.2, lower=0.05, upper=2.0, unit="um", step=0.002, doc="smallest gap to the upper bus"
    )

    @property
    def sites(self) -> tuple[str, ...]:
        return ("coupler", "drop")

    def opened(self, wl: jax.Array, tech: Technology) -> SDict:
        low = self._low(tech).model(wl, tech.at_site(0))
        high = self._coupler(self.gap_drop, tech).model(wl, tech.at_site(1))
        warm = self._heated(wl, tech)
        # up the right side, from the lower half's o4 to the upper half's o3, and on to its o4, where the cut is
        up, round_trip = low[("o1", "o4")] * warm, low[("o3", "o4")] * warm
        return reciprocal(
            {
                ("o1", "o2"): low[("o1", "o2")],
                ("o4", "o3"): high[("o1", "o2")],
                ("o1", "o3"): up * high[("o3", "o2")],
                ("o1", "l1"): up * high[("o3", "o4")],
                ("o4", "l1"): high[("o1", "o4")],
                ("l2", "o2"): low[("o3", "o2")],
                ("l2", "o3"): round_trip * high[("o3", "o2")],
                ("l2", "l1"): round_trip * high[("o3", "o4")],
            }
        )

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        low = self._draw_low(c, tech)
        high = c << layout.build(self._coupler(self.gap_drop, tech), tech)
        high.rotate(180)
        high.move(high.ports["o3"].center, low.ports["o4"].center)
        drawing.record(c, drawing.instance_segments(c, high, "drop"))
        for name, port in (("o3", high.ports["o2"]), ("o4", high.ports["o1"])):
            c.add_port(name, port=port)
        self._draw_heater(c, tech)
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        parts = {"coupler": self._low(tech), "drop": self._coupler(self.gap_drop, tech)}
        return {f"{name}/{k}": v for name, part in parts.items() for k, v in part.paths(tech).items()}
