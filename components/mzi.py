"""Mach-Zehnder interferometer with multimode splitters."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import layout
from picq.device import Device, bounds, device, param, setting
from picq.optics.arm import Arm
from picq.optics.phase_shifter import power_to_restore
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .mmi import Mmi1x2


@device
class Mzi(Device):
    """1×1 Mach-Zehnder interferometer: 1×2 splitter, two arms, 2×1 combiner, heater on the long arm.

    ::

                  ╭═════════╮ heater e1 e2
                  │         │   length_y + delta_length/2
        o1 ──[1×2]           [2×1]── o2
                  │         │   length_y
                  ╰─────────╯
                    length_x

    Model: splitter and combiner are ``mmi1x2``; each arm is four Euler bends and straights (``picq.optics.arm``); the
    heater warms the lower arm too, by what reaches it (``picq.optics.heat``).
    """

    name: ClassVar[str] = "mzi"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    lossless_is_unitary: ClassVar[bool] = False  # its splitters radiate
    delta_length: float = param(
        default=10.0, lower=0.0, upper=2000.0, unit="um", step=0.002, doc="upper minus lower arm"
    )
    length_x: float = param(
        default=120.0, lower=60.0, upper=10000.0, unit="um", step=0.001, doc="straight under the heater"
    )
    length_y: float = param(
        default=2.0, lower=0.002, upper=1000.0, unit="um", step=0.001, doc="vertical straights, lower arm"
    )
    power_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater power")
    cross_section: str = setting(default="strip", doc="cross-section name")

    @property
    def sites(self) -> tuple[str, ...]:
        return ("splitter", "top", "bottom", "combiner")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        splits = jax.vmap(lambda site: self._mmi(tech).model(wl, tech.at_site(site)))(jnp.array([0, 3]))
        top = jnp.prod(splits[("o1", "o2")], axis=0) * self._top().amplitude(wl, tech.at_site(1))
        bottom = jnp.prod(splits[("o1", "o3")], axis=0) * self._bottom(tech).amplitude(wl, tech.at_site(2))
        return reciprocal({("o1", "o2"): top + bottom})

    def rebiased(self, wl0: float, tech: Technology, nominal: Technology) -> "Mzi":
        wl, cold = jnp.asarray(wl0), self.replace(power_mw=0.0)
        ratios = [
            mzi._top().amplitude(wl, place.at_site(1)) * jnp.conj(mzi._bottom(tech).amplitude(wl, place.at_site(2)))
            for mzi, place in ((self, nominal), (cold, tech))
        ]
        own, other = cold._top().phase_per_mw(wl, tech.at_site(1)), cold._bottom(tech).phase_per_mw(wl, tech.at_site(2))
        limit = bounds(type(self), nominal)["power_mw"].upper
        return self.replace(power_mw=power_to_restore(ratios[0], ratios[1], own - other, limit))

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        mmi = layout.build(self._mmi(tech), tech)
        left, right = c << mmi, c << mmi
        layout.record(c, layout.instance_segments(c, left, "splitter"))
        top = layout.draw_arm(c, left.ports["o2"].center, self._top(), tech, segment="top")
        layout.draw_arm(c, left.ports["o3"].center, self._bottom(tech), tech, segment="bottom")
        right.rotate(180)
        right.mirror_y()
        right.move(right.ports["o2"].center, top.end)
        layout.record(c, layout.instance_segments(c, right, "combiner"))
        c.add_port("o1", port=left.ports["o1"])
        c.add_port("o2", port=right.ports["o1"])
        for name, plane in zip(("e1", "e2"), top.contacts, strict=True):
            layout.port(c, name, plane, tech, "metal")
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        mmi = self._mmi(tech).paths(tech)
        return {
            **{f"splitter/{k}": v for k, v in mmi.items()},
            "top": self._top().length(tech),
            "bottom": self._bottom(tech).length(tech),
            **{f"combiner/{k}": v for k, v in mmi.items()},
        }

    def _mmi(self, tech: Technology) -> Mmi1x2:
        return Mmi1x2.on(tech, cross_section=self.cross_section)

    def _top(self) -> Arm:
        return Arm(self.cross_section, self.length_x, self.length_y + self.delta_length / 2, True, self.power_mw)

    def _bottom(self, tech: Technology) -> Arm:
        radius, top = tech.cross_section(self.cross_section).radius, self._top()
        apart = self._mmi(tech).pitch + 4 * radius + top.aside + self.length_y
        return Arm(self.cross_section, self.length_x, self.length_y, False, neighbour=(self.power_mw, apart))
