"""Racetrack with two buses, each of which touches it twice: a Mach-Zehnder interferometer couples every bus."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq import drawing, layout
from picq.device import bounds, device, param, setting
from picq.errors import SpecError
from picq.optics.phase_shifter import phase_per_mw, power_to_restore, ring_resistance, thermo_optic
from picq.optics.waveguide import BEND_P, amplitude_db, euler_length_factor, propagate
from picq.outline import arc
from picq.resonator import Resonator
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .ring_coupler import RingCoupler

_BUSES = ("bus", "drop")
_PARTS = ("first", "arm", "side", "second")
_EULER = euler_length_factor(BEND_P)


@device
class RingDualMzi(Resonator):
    """Racetrack between two buses that each touch one of its sides twice, a heater on every bus and on the ring.

    ::

              e5 ╭══════════╮ e6
                 │          │
        o3 ─╮    │          │    ╭─ o4
             ╲  ╱            ╲  ╱          gap_drop
           ╭─────────────────────── e4
          ╱                        ╲╲
         │                         ││      radius
          ╲                        ╱╱
           ╰─────────────────────── e3
             ╱  ╲            ╱  ╲          gap
        o1 ─╯    │          │    ╰─ o2
                 │          │
              e1 ╰══════════╯ e2
                   length_x

    Between its two touching points a bus is longer than the ring's side by ``delta_length``, so that both together are
    an interferometer. With couplers of power coupling k = sin² phi, a passage by a bus takes from the ring

        1 - |t² - k e^{i theta}|² = 4 k (1 - k) cos²(theta/2)

    of the power (two equal couplers; t² = 1 - k, theta the phase of the bus over the ring's side, see ``phases``).
    Where ``delta_length`` is half of a round trip, its default, theta grows by pi from one resonance to the next: with
    theta = 0 at one of them, a bus couples to every second one and not at all to those between. So one bus serves the
    pump, the other one signal and idler, each of its own linewidth, and light of one does not leave through the bus of
    the other: Vernon et al., Opt. Lett. 42, 3638 (2017); Tison et al., Opt. Express 25, 33088 (2017). ``biased`` sets
    the phases.

    Model: four ``ring_coupler``, whose straights are the ring's and whose arcs the buses'; straights, Euler bends and
    two half circles join them. A bus's heater warms both sides of the ring and the other bus too, by what reaches their
    straights (``picq.optics.heat``); what reaches bends is left out. The ring's heater counts in the round trip alone,
    not in theta, although the substrate spreads a part of its heat to the sides, nor does it warm the buses.
    """

    name: ClassVar[str] = "ring_dual_mzi"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    radius: float | None = param(
        default=None, lower=1.0, upper=500.0, unit="um", step=0.001, doc="of the arcs; the cross-section's by default"
    )
    gap: float = param(default=0.2, lower=0.05, upper=2.0, unit="um", step=0.002, doc="smallest gap to the lower bus")
    gap_drop: float = param(default=0.2, lower=0.05, upper=2.0, unit="um", step=0.002, doc="the same, upper bus")
    length: float = param(default=0.0, lower=0.0, upper=1000.0, unit="um", step=0.002, doc="straights of the couplers")
    length_x: float = param(
        default=60.0, lower=60.0, upper=10000.0, unit="um", step=0.002, doc="straights under the buses' heaters"
    )
    delta_length: float | None = param(
        default=None,
        lower=0.0,
        upper=10000.0,
        unit="um",
        step=0.002,
        doc="bus minus ring, between the couplers; half a round trip by default",
    )
    power_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater power, ring")
    power_bus_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater power, lower bus")
    power_drop_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater power, upper bus")
    splitting_mhz: float | None = param(
        default=None, lower=0.0, upper=1e5, unit="mhz", doc="of resonances by backscattering; none by default"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    @property
    def sites(self) -> tuple[str, ...]:
        return (*(f"{bus}_{part}" for bus in _BUSES for part in _PARTS), "right", "left")

    def round_trip_um(self, tech: Technology) -> tuple[Any, ...]:
        radius = self._radius(tech)
        return (2 * np.pi * radius + 2 * (self._pitch(tech) + 2 * radius + self.length),)

    def opened(self, wl: jax.Array, tech: Technology) -> SDict:
        couplers, arm, side, lead, half = self._parts(wl, tech)
        ring, bus, cross = (couplers[pair] for pair in (("o1", "o2"), ("o3", "o4"), ("o1", "o4")))
        # of either bus, shape [bus, wl]; the couplers differ where fabrication does, so entering is not leaving
        by = lead**2 * (bus[:, 0] * arm * bus[:, 1] + cross[:, 0] * side * cross[:, 1])
        enter = lead * (bus[:, 0] * arm * cross[:, 1] + cross[:, 0] * side * ring[:, 1])
        leave = lead * (cross[:, 0] * arm * bus[:, 1] + ring[:, 0] * side * cross[:, 1])
        on = ring[:, 0] * side * ring[:, 1] + cross[:, 0] * arm * cross[:, 1]
        right, left = half[0] * jnp.exp(1j * self.power_mw * self.phase_per_mw(wl, tech)), half[1]
        return reciprocal(
            {
                ("o1", "o2"): by[0],
                ("o4", "o3"): by[1],
                ("o1", "o3"): enter[0] * right * leave[1],
                ("o1", "l1"): enter[0] * right * on[1] * left,
                ("o4", "l1"): enter[1] * left,
                ("l2", "o2"): leave[0],
                ("l2", "o3"): on[0] * right * leave[1],
                ("l2", "l1"): on[0] * right * on[1] * left,
            }
        )

    def phases(self, wl0: Any, tech: Technology) -> jax.Array:
        """Phases at a wavelength (um, scalar) from -pi to pi, rad, shape [3]: theta of the lower and of the upper bus,
        and that of the round trip. At theta = 0 a bus couples most, at pi least."""
        wl = jnp.atleast_1d(jnp.asarray(wl0))
        couplers, arm, side, _, _ = self._parts(wl, tech)
        ring, cross = (jnp.prod(couplers[pair], axis=1) for pair in (("o1", "o2"), ("o1", "o4")))
        first, second = self.cuts[0]
        around = self.opened(wl, tech)[(second, first)]
        return jnp.angle(jnp.concatenate([(-cross * arm / (ring * side))[:, 0], around]))  # two crossings are i²

    def biased(self, wl0: Any, tech: Technology, wanted: Any = (0.0, np.pi, 0.0)) -> "RingDualMzi":
        """Heater powers that make the ``phases`` at ``wl0`` those that are ``wanted``, within the heaters' limits.

        By default the lower bus couples to a resonance at ``wl0`` and the upper one does not; where ``delta_length`` is
        half of a round trip, both have changed places at the next resonances.
        """
        wl, wanted, limits = jnp.asarray(wl0), jnp.asarray(wanted), bounds(type(self), tech)
        cold = self.replace(power_mw=0.0, power_bus_mw=0.0, power_drop_mw=0.0)
        missing = jnp.mod(wanted[:2] - cold.phases(wl, tech)[:2], 2 * jnp.pi)
        arms, sides = cold._warmth(jnp.atleast_1d(wl), tech)
        powers = jnp.linalg.solve((arms - sides)[..., 0], missing)  # every filament warms all four guides
        names = ("power_bus_mw", "power_drop_mw")
        tuned = cold.replace(**{n: jnp.clip(p, 0.0, limits[n].upper) for n, p in zip(names, powers, strict=True)})
        aim, got = jnp.exp(1j * wanted[2]), jnp.exp(1j * tuned.phases(wl, tech)[2])
        power = power_to_restore(aim, got, self.phase_per_mw(wl, tech), limits["power_mw"].upper)
        return tuned.replace(power_mw=power)

    def rebiased(
        self, wl0: float, tech: Technology, nominal: Technology, like: "RingDualMzi | None" = None
    ) -> "RingDualMzi":
        """Both interferometers and the round trip get their nominal phases back at ``wl0``."""
        return self.biased(wl0, tech, (like or self).phases(wl0, nominal))

    def phase_per_mw(self, wl: Any, tech: Technology) -> jax.Array:
        """Phase of the round trip per mW of the ring's own heater, rad/mW, of wl's shape."""
        theta = ring_resistance(tech, self.cross_section, self.round_trip_um(tech)[0])
        return 2 * jnp.pi / jnp.asarray(wl) * thermo_optic(wl, tech.at_site(8), self.cross_section) * theta

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        radius, pitch = self._radius(tech), self._pitch(tech)
        places = (pitch, 2 * radius), (0.0, 2 * radius)  # of the upper bus's couplers, in the order light meets them
        for k, bus in enumerate(_BUSES):
            # the lower half is drawn as an upper one, then turned by half a turn about the ring's middle
            lower = bus == "bus"
            coupler = layout.build(self._coupler((self.gap, self.gap_drop)[k], tech), tech)
            for part, (x, y) in zip(("first", "second"), places, strict=True):
                placed = c << coupler
                if lower:
                    placed.rotate(180)
                placed.move((pitch - x, 2 * radius - y) if lower else (x, y))
                drawing.record(c, drawing.instance_segments(c, placed, f"{bus}/{part}"))
            for part, path in self._upper(k, tech).items():
                path = _half_turn(path, (pitch, 2 * radius)) if lower else path
                _, end = drawing.draw_path(c, path, tech, self.cross_section, segment=f"{bus}/{part}")
                port = {"in": ("o1", "o4"), "out": ("o2", "o3")}.get(part)
                if port is not None:
                    drawing.port(c, port[k], end, tech, self.cross_section)
            start, height, facing = self.length / 2 + radius + self._bend(tech), self._heights(tech)[k], 90.0
            if lower:
                height, facing = -height, 270.0
            else:
                height += 2 * radius
            contacts = drawing.draw_heater(
                c, start, start + self.length_x, drawing.on_grid(height), tech, facing=(facing, facing)
            )
            for name, plane in zip((("e1", "e2"), ("e5", "e6"))[k], contacts, strict=True):
                drawing.port(c, name, plane, tech, "metal")
        end = pitch + radius + self.length / 2
        half = _half_circle((end, 0.0), radius)
        drawing.draw_path(c, half, tech, self.cross_section, segment="right")
        drawing.draw_path(c, _half_turn(half, (pitch, 2 * radius)), tech, self.cross_section, segment="left")
        contacts = drawing.draw_half_ring_heater(c, (end, radius), radius, tech)
        for name, plane in zip(("e3", "e4"), contacts, strict=True):
            drawing.port(c, name, plane, tech, "metal")
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        radius, bend = self._radius(tech), self._bend(tech)
        lengths: dict[str, Any] = {"right": np.pi * radius, "left": np.pi * radius}
        for bus, gap in zip(_BUSES, (self.gap, self.gap_drop), strict=True):
            coupler = self._coupler(gap, tech).paths(tech)
            lengths |= {f"{bus}/{part}/{k}": v for part in ("first", "second") for k, v in coupler.items()}
            lengths |= {f"{bus}/in": bend * _EULER, f"{bus}/out": bend * _EULER}
            lengths |= {f"{bus}/arm": self._arm(tech), f"{bus}/side": 2 * bend + self.length_x}
        return lengths

    def _parts(self, wl: jax.Array, tech: Technology) -> tuple[SDict, jax.Array, jax.Array, jax.Array, jax.Array]:
        """(couplers [bus, first or second, wl]; arms of the buses, sides of the ring, bends at the ends of the buses
        [bus, wl]; right and left half circle, cold [2, wl])."""
        which = lambda gap, site: self._coupler(gap, tech).model(wl, tech.at_site(site))
        gaps = jnp.stack([self.gap, self.gap, self.gap_drop, self.gap_drop])
        couplers = jax.vmap(which)(gaps, jnp.array([0, 3, 4, 7]))
        couplers = {pair: value.reshape(2, 2, -1) for pair, value in couplers.items()}

        radius, bend = self._radius(tech), self._bend(tech)
        loss, curved = tech.guide(self.cross_section).loss_db_cm, tech.bend(self.cross_section)
        lengths = jnp.stack([self._arm(tech), 2 * bend + self.length_x, bend * _EULER, np.pi * radius])

        def straight(length: Any, site: Any) -> jax.Array:
            return propagate(wl, tech.at_site(site).n_eff(self.cross_section, wl), length, loss)

        guides = jax.vmap(straight)(jnp.repeat(lengths, 2), jnp.array([1, 5, 2, 6, 1, 5, 8, 9])).reshape(4, 2, -1)
        turn = curved.euler_excess(wl, bend, BEND_P, 90.0)
        arc = curved.excess(wl, np.pi * radius, 1 / radius) * amplitude_db(2 * curved.mismatch_db(1 / radius))
        powers = jnp.stack([self.power_bus_mw, self.power_drop_mw])
        arms, sides = (jnp.exp(1j * jnp.einsum("bhw,h->bw", each, powers)) for each in self._warmth(wl, tech))
        return couplers, guides[0] * turn**2 * arms, guides[1] * sides, guides[2] * turn, guides[3] * arc

    def _warmth(self, wl: jax.Array, tech: Technology) -> tuple[jax.Array, jax.Array]:
        """Phase per mW of every bus's heater of (the buses' arms, the ring's sides), rad/mW, [bus, heater, wl]."""
        low, high = self._heights(tech)
        apart = 2 * self._radius(tech)
        heaters = jnp.stack([-low, apart + high])
        guides, sites = jnp.concatenate([heaters, jnp.stack([0.0, apart])]), jnp.array([1, 5, 2, 6])

        def one(height: Any, site: Any) -> jax.Array:
            distance = (height - heaters)[:, None]
            return phase_per_mw(wl, tech.at_site(site), self.cross_section, self.length_x, distance)

        phases = jax.vmap(one)(guides, sites)
        return phases[:2], phases[2:]

    def _coupler(self, gap: Any, tech: Technology) -> RingCoupler:
        return RingCoupler(radius=self._radius(tech), gap=gap, length=self.length, cross_section=self.cross_section)

    def _radius(self, tech: Technology) -> Any:
        return tech.cross_section(self.cross_section).radius if self.radius is None else self.radius

    def _bend(self, tech: Technology) -> Any:
        """Radius of the buses' Euler bends."""
        return tech.cross_section(self.cross_section).radius

    def _pitch(self, tech: Technology) -> Any:
        """From the middle of a bus's first coupler to that of its second one."""
        return 2 * self._radius(tech) + self.length + 2 * self._bend(tech) + self.length_x

    def _upright(self, tech: Technology) -> Any:
        """Length of each of the two straights by which a bus leaves the ring.

        Between the middles of the couplers a bus is pi R + length + length_x + two bends and these, the ring as long as
        the pitch.

        Raises:
            SpecError: the bus is longer than that without them.
        """
        bends = (np.pi - 2) * self._radius(tech) + 2 * (_EULER - 1) * self._bend(tech)
        delta = self.round_trip_um(tech)[0] / 2 if self.delta_length is None else self.delta_length
        if not any(isinstance(v, Tracer) for v in (delta, bends)) and delta <= bends:
            raise SpecError(
                f"{self.name}: the bus's bends alone are longer than delta_length",
                got=f"{delta:g} um",
                allowed=f"above {bends:.3f} um at this radius",
                remedy="raise delta_length, or lower the radius",
            )
        return (delta - bends) / 2

    def _arm(self, tech: Technology) -> Any:
        """Length of a bus from one coupler to the other."""
        return 2 * self._upright(tech) + 2 * self._bend(tech) * _EULER + self.length_x

    def _heights(self, tech: Technology) -> tuple[Any, Any]:
        """From the ring's side to the filament beside it, lower and upper."""
        beyond = tech.cross_section(self.cross_section).width + self._radius(tech) + self._upright(tech)
        return tuple(gap + beyond + self._bend(tech) for gap in (self.gap, self.gap_drop))  # pyright: ignore

    def _upper(self, k: int, tech: Technology) -> dict[str, gf.Path]:
        """Centre lines beside the ring's upper side, with the gap of bus ``k``: light comes in from the right."""
        radius, bend, half = self._radius(tech), self._bend(tech), self._radius(tech) + self.length / 2
        top = 2 * radius + tech.cross_section(self.cross_section).width + (self.gap, self.gap_drop)[k] + radius
        up, turn, straight = gf.path.straight(self._upright(tech)), drawing.euler(bend, -90.0, BEND_P), gf.path.straight
        side = straight(2 * bend + self.length_x)
        side.move((half, 2 * radius))
        return {
            "in": _from([turn], (self._pitch(tech) + half, top), 90.0),
            "arm": _from([up, turn, straight(self.length_x), turn, up], (half, top), 90.0),
            "side": side,
            "out": _from([drawing.euler(bend, 90.0, BEND_P)], (-half, top), 90.0),
        }


def _from(pieces: list[gf.Path], start: tuple[float, float], angle: float) -> gf.Path:
    """The pieces in a row, from a point on, in a direction (degrees)."""
    path = gf.Path()
    path.append(pieces)
    end = path.end_angle + angle
    path.rotate(angle)
    path.move(start)
    path.start_angle, path.end_angle = angle, end  # gdsfactory takes them from the chords
    return path


def _half_turn(path: gf.Path, corner: tuple[float, float]) -> gf.Path:
    """The path after half a turn that swaps the origin and ``corner``."""
    turned = gf.Path(np.asarray(corner) - np.asarray(path.points))
    turned.start_angle, turned.end_angle = path.start_angle + 180.0, path.end_angle + 180.0
    return turned


def _half_circle(start: tuple[float, float], radius: float) -> gf.Path:
    """To the left, from a start in the direction of x."""
    path = gf.Path(arc(np.asarray(start), 0.0, np.pi, radius)[0])
    path.start_angle, path.end_angle = 0.0, 180.0
    return path
