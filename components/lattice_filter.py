"""Lattice filter: directional couplers and delays in alternation."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import layout
from picq.device import Device, bounds, device, param, setting
from picq.errors import SpecError
from picq.optics.arm import Arm
from picq.optics.phase_shifter import power_to_restore
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .coupler import Coupler


@device
class LatticeFilter(Device):
    """Cascaded Mach-Zehnder (lattice) filter of N stages: N + 1 couplers, N delays, a heater on each upper arm.

    ::

             ┌═══ heater e1 e2          ┌═══ heater e3 e4
        o2 ──╲╱── delays[0] ──╲╱── delays[1] ──╲╱── o3
        o1 ──╱╲───────────────╱╲───────────────╱╲── o4
            coupler 0        coupler 1        coupler 2

    Model: product of 2×2 transfer matrices, coupler after delay. ``delays[i]`` is the length by which the upper arm
    of stage i exceeds the lower one. A stage's heater warms its lower arm too, by what reaches it
    (``picq.optics.heat``). The analytic counterpart is ``picq.design.lattice``.
    """

    name: ClassVar[str] = "lattice_filter"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    coupler_lengths: tuple[float, ...] = param(
        default=(14.0, 14.0), lower=0.0, upper=1000.0, unit="um", step=0.001, doc="straight length of each coupler"
    )
    delays: tuple[float, ...] = param(
        default=(90.0,), lower=0.0, upper=2000.0, unit="um", step=0.002, doc="upper minus lower arm of each stage"
    )
    powers_mw: tuple[float, ...] = param(
        default=(0.0,), lower=0.0, upper=2000.0, unit="mw", doc="heater power of each stage"
    )
    gap: float = param(default=0.2, lower=0.1, upper=2.0, unit="um", step=0.002, doc="gap of the couplers")
    length_x: float = param(
        default=120.0, lower=60.0, upper=10000.0, unit="um", step=0.001, doc="straight under each heater"
    )
    length_y: float = param(
        default=2.0, lower=0.002, upper=500.0, unit="um", step=0.001, doc="vertical straights, lower arms"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def __post_init__(self) -> None:
        """Check bounds and that the counts agree.

        Raises:
            SpecError: N delays do not come with N + 1 couplers and N heater powers.
        """
        super().__post_init__()
        stages = len(self.delays)
        if len(self.coupler_lengths) != stages + 1 or len(self.powers_mw) != stages:
            raise SpecError(
                "lattice_filter: counts of coupler_lengths, delays and powers_mw do not fit together",
                got=f"{len(self.coupler_lengths)} couplers, {stages} delays, {len(self.powers_mw)} powers",
                allowed="N + 1 couplers, N delays, N powers",
                remedy=f"give {stages + 1} coupler_lengths and {stages} powers_mw for {stages} delays",
            )

    @property
    def sites(self) -> tuple[str, ...]:
        stages = [(f"coupler{i}", f"top{i}", f"bottom{i}") for i in range(len(self.delays))]
        return (*(name for stage in stages for name in stage), f"coupler{len(self.delays)}")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        # amplitudes (bottom, top) for light from o1 and from o2; a coupler's matrix is [[t, x], [x, t]]
        through, cross = self._coupler(0, tech).amplitudes(wl, tech.at_site(0))
        from_o1, from_o2 = (through, cross), (cross, through)
        for i in range(len(self.delays)):
            top = self._top(i).amplitude(wl, tech.at_site(3 * i + 1))
            bottom = self._bottom(i, tech).amplitude(wl, tech.at_site(3 * i + 2))
            through, cross = self._coupler(i + 1, tech).amplitudes(wl, tech.at_site(3 * i + 3))
            from_o1, from_o2 = (
                (b * bottom * through + t * top * cross, b * bottom * cross + t * top * through)
                for b, t in (from_o1, from_o2)
            )
        return reciprocal(
            {("o1", "o4"): from_o1[0], ("o1", "o3"): from_o1[1], ("o2", "o4"): from_o2[0], ("o2", "o3"): from_o2[1]}
        )

    def rebiased(self, wl0: float, tech: Technology, nominal: Technology) -> "LatticeFilter":
        wl, limit = jnp.asarray(wl0), bounds(type(self), nominal)["powers_mw"].upper
        cold = self.replace(powers_mw=(0.0,) * len(self.delays))
        powers = []
        for i in range(len(self.delays)):
            wanted, got = (
                f._top(i).amplitude(wl, place.at_site(3 * i + 1))
                * jnp.conj(f._bottom(i, tech).amplitude(wl, place.at_site(3 * i + 2)))
                for f, place in ((self, nominal), (cold, tech))
            )
            own = cold._top(i).phase_per_mw(wl, tech.at_site(3 * i + 1))
            other = cold._bottom(i, tech).phase_per_mw(wl, tech.at_site(3 * i + 2))
            powers.append(power_to_restore(wanted, got, own - other, limit))
        return self.replace(powers_mw=tuple(powers))

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        previous = None
        for i in range(len(self.coupler_lengths)):
            coupler = c << layout.build(self._coupler(i, tech), tech)
            if previous is None:
                for name in ("o1", "o2"):
                    c.add_port(name, port=coupler.ports[name])
            else:
                stage = i - 1
                top = layout.draw_arm(c, previous.ports["o3"].center, self._top(stage), tech, segment=f"top{stage}")
                layout.draw_arm(
                    c, previous.ports["o4"].center, self._bottom(stage, tech), tech, segment=f"bottom{stage}"
                )
                coupler.move(coupler.ports["o2"].center, top.end)
                for k, plane in enumerate(top.contacts):
                    layout.port(c, f"e{2 * stage + k + 1}", plane, tech, "metal")
            layout.record(c, layout.instance_segments(c, coupler, f"coupler{i}"))
            previous = coupler
        assert previous is not None
        for name in ("o3", "o4"):
            c.add_port(name, port=previous.ports[name])
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        lengths: dict[str, Any] = {}
        for i in range(len(self.coupler_lengths)):
            lengths |= {f"coupler{i}/{k}": v for k, v in self._coupler(i, tech).paths(tech).items()}
        for i in range(len(self.delays)):
            lengths |= {f"top{i}": self._top(i).length(tech), f"bottom{i}": self._bottom(i, tech).length(tech)}
        return lengths

    def _coupler(self, i: int, tech: Technology) -> Coupler:
        return Coupler.on(tech, length=self.coupler_lengths[i], gap=self.gap, cross_section=self.cross_section)

    def _top(self, i: int) -> Arm:
        aside = self.length_y + self.delays[i] / 2
        return Arm(self.cross_section, self.length_x, aside, True, self.powers_mw[i])

    def _bottom(self, i: int, tech: Technology) -> Arm:
        radius, top = tech.cross_section(self.cross_section).radius, self._top(i)
        apart = self._coupler(i, tech).dy + 4 * radius + top.aside + self.length_y
        return Arm(self.cross_section, self.length_x, self.length_y, False, neighbour=(self.powers_mw[i], apart))
