"""Coupler of a ring to a bus that follows it over an angle."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np

from picq import drawing
from picq.device import Device, device, param, setting
from picq.optics.coupler import parting, reach
from picq.optics.unequal import Narrowed, Turn, along, beside, radiation_decay, turn
from picq.optics.waveguide import amplitude_db, propagate
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .taper import Taper

_BENT = 1e-3  # degrees; a bus that turns by less is straight, and has no junctions
_STRAIGHT = 0.5e-3  # um, half a grid step; a bus that turns up by less is drawn straight
_ROUNDING = 0.002  # um that both curved walls of a gap may lose to the mask's grid
_SAGITTA = 0.5e-3  # um, of chords: of shorter ones KLayout's check of spaces reports parts that lie up to 8 nm off


@device
class PulleyCoupler(Device):
    """Bus bent about a ring's centre over ``angle_deg``, and back to the horizontal on both sides.

    ::

           o3                        o4
            │                        │       radius
             ╲                      ╱
        o1 ╌──╮ ╲                ╱ ╭──╌ o2   radius_out
               ╰─╮ ╰──────────╯ ╭─╯
                  ╰────────────╯             gap, bus_width

    Over the angle the bus lies ``gap`` from the ring, on a circle that is longer: a bus as wide as the ring runs ahead
    of it by n d k rad per radian, d their distance, and little crosses. A narrower bus of index n R/(R + d) is
    phase-matched, and coupling adds up along the whole angle: more of it at a larger gap than beside a straight bus.
    Tapers, on straights at both ends, lead from the cross-section's width to the bus's; there are none without
    ``bus_width``.

    Model: coupled-mode equations of two unequal guides (``picq.optics.unequal``). Over the angle kappa and detuning
    are constant; where the guides part, they are integrated in steps, with kappa times F of both bends
    (``picq.optics.bend.coupling_factor``) beside the arcs of the bus, and times F of the ring beside its straights: at
    an angle of 0 that is ``ring_coupler``. The bus's bends are those of the cross-section scaled to its width; at its
    four junctions, two of them between arcs of opposite curvature, it loses what the cross-section's own width would:
    of a narrower one bent modes have 0.2 (nitride 1500 x 800 nm narrowed to 1015 nm) to 1.14 (1000 x 400 nm to 720 nm)
    of that. Where the guides part, no independent solution of the unequal pair was compared.
    """

    name: ClassVar[str] = "pulley_coupler"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    lossless_is_unitary: ClassVar[bool] = False  # what te2 takes in the tapers is lost
    radius: float | None = param(
        default=None, lower=1.0, upper=500.0, unit="um", step=0.001, doc="of the ring; the cross-section's by default"
    )
    gap: float = param(default=0.2, lower=0.05, upper=2.0, unit="um", step=0.002, doc="gap along the angle")
    angle_deg: float = param(default=20.0, lower=0.0, upper=90.0, unit="deg", step=0.01, doc="bus bent about the ring")
    bus_width: float | None = param(
        default=None, lower=0.2, upper=5.0, unit="um", step=0.002, doc="of the bus; the cross-section's by default"
    )
    radius_out: float | None = param(
        default=None, lower=1.0, upper=500.0, unit="um", step=0.001,
        doc="of the bus's arcs back to the horizontal; the cross-section's by default",
    )  # fmt: skip
    taper_length: float = param(
        default=10.0, lower=10.0, upper=500.0, unit="um", step=0.001, doc="between both widths of the bus"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site, name = tech.at_site(0), self.cross_section
        n_ring, n_bus, decay, pair, ahead, raised = self._beside(wl, site)
        xs, bend, bus, lengths = site.guide(name), site.bend(name), self._bus(tech), self.paths(tech)
        radius, radius_bus, radius_out, angle = self._geometry(tech)

        # each guide alone, from an end to the middle
        ring = propagate(wl, n_ring, lengths["ring"] / 2, xs.loss_db_cm)
        ring = ring * bend.excess(wl, np.pi * radius / 2, 1 / radius)
        along_bus = propagate(wl, n_bus, lengths["bus"] / 2, xs.loss_db_cm) * self._taper(wl, tech)
        for r in (radius_bus, radius_out):
            along_bus = along_bus * bus.excess(wl, r * angle / 2, 1 / r, decay)
        along_bus = along_bus * amplitude_db(self._junctions_db(tech))
        # the pair's turn has the detuning that is in these phases too
        both = jnp.exp(2j * jnp.pi * raised / wl)
        along_bus, ring = along_bus * both * jnp.exp(-1j * ahead), ring * both * jnp.exp(1j * ahead)
        cross = 1j * jnp.imag(pair.b) * along_bus * ring
        return reciprocal(
            {
                ("o1", "o2"): along_bus**2 * pair.a,
                ("o3", "o4"): ring**2 * jnp.conj(pair.a),
                ("o1", "o4"): cross,
                ("o2", "o3"): cross,
            }
        )

    def _beside(self, wl: jax.Array, site: Technology) -> tuple[Any, ...]:
        """Six quantities of shape [wl], the first four as they are named in ``model``, then: phase by which the bus
        alone runs ahead of the mean of both from an end to the middle, rad; path that both gain there, um."""
        name, width = self.cross_section, self._width(site)
        bend, bus = site.bend(name), self._bus(site)
        radius, radius_bus, radius_out, angle = self._geometry(site)
        mean_radius = jnp.sqrt(radius * radius_bus)
        ends = parting(
            self.gap, site.guide(name).width, width, radius, radius_out, angle / 2, reach(site, name)
        )  # fmt: skip
        gaps = jnp.concatenate([jnp.asarray(self.gap, float)[None], *(p.gaps for p in ends)])
        weights = jnp.concatenate([jnp.asarray(mean_radius * angle / 2)[None], *(p.weights for p in ends)])
        one_bend = bend.coupling_factor(1 / radius)
        factors = (bus.concentric(1 / radius_bus, 1 / radius), one_bend * bus.coupling_factor(1 / radius_out), one_bend)
        factors = jnp.repeat(jnp.stack(factors), np.array([1, ends[0].gaps.size, ends[1].gaps.size]))

        def slow(at: jax.Array) -> tuple[jax.Array, ...]:
            n_ring, n_bus = site.n_eff(name, at), site.n_eff(name, at, self.bus_width)
            arcs = (n_bus + bus.index_rise(1 / radius_bus)) * radius_bus - (
                n_ring + bend.index_rise(1 / radius)
            ) * radius
            # where the guides part, what the bends do to the phases is within F
            apart = jnp.concatenate(
                [
                    (arcs / mean_radius)[:, None],
                    jnp.repeat((n_bus - n_ring)[:, None], gaps.size - 1, axis=1),
                ],
                axis=1,
            )
            pair = beside(site, name, at, self.bus_width)
            per_index = 2 * jnp.pi / at[:, None] * weights
            kappa, ahead = pair.kappa(gaps) * factors * weights, per_index * apart / 2
            delta = ahead + per_index * pair.apart(gaps)
            end = along(kappa[:, 1:], delta[:, 1:])
            decay = radiation_decay(site, name, at, self.bus_width)
            raised = pair.raised(gaps) @ weights
            return n_ring, n_bus, decay, kappa[:, 0], delta[:, 0], end.a, end.b, jnp.sum(ahead, axis=1), raised

        n_ring, n_bus, decay, kappa, delta, a, b, ahead, raised = site.over_wavelengths(name, wl, slow)
        end = Turn(a, b).unit()
        pair = end.reversed().then(turn(2 * kappa, 2 * delta)).then(end)
        return n_ring, n_bus, decay, pair, ahead, raised

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        path, straight_end, centre = self._drawn_bus(tech)
        planes = drawing.draw_path(c, path, tech, self.cross_section, segment="bus", width=float(self._width(tech)))
        if self.bus_width is not None:
            own = tech.cross_section(self.cross_section).width
            for k, side in enumerate((-1, 1)):
                narrow, wide = drawing.draw_taper(
                    c,
                    (side * straight_end, 0.0),
                    side * self.taper_length,
                    self.bus_width,
                    own,
                    tech,
                    self.cross_section,
                )
                drawing.record(c, {f"taper{k + 1}": (narrow, wide)})
                planes = (*planes[:k], wide, *planes[k + 1 :])
        drawing.port(c, "o1", planes[0], tech, self.cross_section)
        drawing.port(c, "o2", planes[1], tech, self.cross_section)
        half = gf.Path(_arc(np.array([0.0, centre]), self._geometry(tech)[0], -np.pi / 2, np.pi / 2))
        half.start_angle, half.end_angle = -90.0, 90.0
        start, end = drawing.draw_path(c, half, tech, self.cross_section, segment="ring")
        drawing.port(c, "o3", start, tech, self.cross_section)
        drawing.port(c, "o4", end, tech, self.cross_section)
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        radius, radius_bus, radius_out, angle = self._geometry(tech)
        bus = (radius_bus + radius_out) * angle + 2 * radius * (1 - jnp.sin(angle / 2))
        tapers = {} if self.bus_width is None else {"taper1": self.taper_length, "taper2": self.taper_length}
        return {"bus": bus, "ring": np.pi * radius, **tapers}

    def waivers(self, tech: Technology) -> dict[str, str]:
        return {"parallel_run": "ring and bus are meant to couple, and their coupling is computed"}

    def _geometry(self, tech: Technology) -> tuple[Any, Any, Any, Any]:
        """Radii of the ring, of the bus about the ring, of the bus's arcs back, um; the angle, rad."""
        xs = tech.cross_section(self.cross_section)
        radius = xs.radius if self.radius is None else self.radius
        radius_out = xs.radius if self.radius_out is None else self.radius_out
        return radius, radius + xs.width / 2 + self.gap + self._width(tech) / 2, radius_out, jnp.deg2rad(self.angle_deg)

    def _width(self, tech: Technology) -> Any:
        return tech.cross_section(self.cross_section).width if self.bus_width is None else self.bus_width

    def _bus(self, tech: Technology) -> Narrowed:
        return Narrowed(tech.bend(self.cross_section), self._width(tech) / tech.cross_section(self.cross_section).width)

    def _taper(self, wl: jax.Array, tech: Technology) -> Any:
        if self.bus_width is None:
            return 1.0
        taper = Taper(length=self.taper_length, width2=self.bus_width, cross_section=self.cross_section)
        return taper.model(wl, tech)[("o1", "o2")]

    def _junctions_db(self, tech: Technology) -> Any:
        """Of one side: from the straight to the arc, and on to the arc of opposite curvature, where the modes lie apart
        by the sum of both shifts: (u_1 + u_2)² in place of u²."""
        bend, (_, radius_bus, radius_out, _) = tech.bend(self.cross_section), self._geometry(tech)
        inner, outer = 1 / radius_bus, 1 / radius_out
        first, second = bend.mismatch_db(outer), bend.mismatch_db(inner)
        opposite = (inner + outer) ** 2 * (first / outer**2 + second / inner**2) / 2
        return jnp.where(self.angle_deg > _BENT, first + opposite, 0.0)

    def _drawn_bus(self, tech: Technology) -> tuple[gf.Path, float, float]:
        """Centre line of the bus between its tapers, where it ends, and the height of the ring's centre, um.

        Ends and centre lie on the grid. Curved walls are pushed apart by what rounding them to the grid might take from
        the least space, if the gap is no larger than that.
        """
        radius, radius_bus, radius_out, angle = map(float, self._geometry(tech))
        half = angle / 2
        straight_end = drawing.on_grid((radius_bus + radius_out) * np.sin(half) + radius * (1 - np.sin(half)))
        centre = drawing.on_grid(radius_bus - (radius_bus + radius_out) * (1 - np.cos(half)))
        right = np.zeros((1, 2))
        if (radius_bus + radius_out) * (1 - np.cos(half)) > _STRAIGHT:
            layer = tech.cross_section(self.cross_section).layer
            spaces = [r.value_um for r in tech.platform.rules.rules if r.kind == "space" and r.layer == layer]
            radius_bus += max(0.0, max(spaces, default=0.0) + _ROUNDING - self.gap)
            middle = np.array([0.0, centre])
            about = _arc(middle, radius_bus, 0.0, half)
            beyond = middle + (radius_bus + radius_out) * np.array([np.sin(half), -np.cos(half)])
            back = _arc(beyond, -radius_out, half, 0.0)
            along = (back[:, 0] - back[0, 0]) / (back[-1, 0] - back[0, 0])
            back[:, 1] -= along * back[-1, 1]  # what was rounded, and pushed apart
            right = np.concatenate([about, back[1:]])
        right = np.concatenate([right, [[straight_end, 0.0]]])
        path = gf.Path(np.concatenate([(right * (-1, 1))[::-1], right[1:]]))
        path.start_angle = path.end_angle = 0.0
        return path, straight_end, centre


def _arc(centre: np.ndarray, radius: float, start: float, end: float) -> np.ndarray:
    """Points [point, 2] in um at angles (rad) from below the centre, from above it for a negative radius."""
    count = int(np.ceil(abs((end - start) * radius) / np.sqrt(8 * abs(radius) * _SAGITTA))) + 1
    t = np.linspace(start, end, count)
    return centre + radius * np.stack([np.sin(t), -np.cos(t)], axis=1)
