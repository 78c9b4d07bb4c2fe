"""Mach-Zehnder interferometer with multimode splitters."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import drawing, layout
from picq.device import device
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .mmi import Mmi1x2
from .two_arms import TwoArms


@device
class Mzi(TwoArms):
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
    upper_site: ClassVar[int] = 1

    @property
    def sites(self) -> tuple[str, ...]:
        return ("splitter", "top", "bottom", "combiner")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        splits = jax.vmap(lambda site: self._mmi(tech).model(wl, tech.at_site(site)))(jnp.array([0, 3]))
        upper, lower = self.arms(tech).amplitudes(wl, tech, 1)
        top = jnp.prod(splits[("o1", "o2")], axis=0) * upper
        bottom = jnp.prod(splits[("o1", "o3")], axis=0) * lower
        return reciprocal({("o1", "o2"): top + bottom})

    def cell(self, tech: Technology) -> gf.Component:
        c, arms = gf.Component(), self.arms(tech)
        mmi = layout.build(self._mmi(tech), tech)
        left, right = c << mmi, c << mmi
        drawing.record(c, drawing.instance_segments(c, left, "splitter"))
        top = drawing.draw_arm(c, left.ports["o2"].center, arms.upper, tech, segment="top")
        drawing.draw_arm(c, left.ports["o3"].center, arms.lower, tech, segment="bottom")
        right.rotate(180)
        right.mirror_y()
        right.move(right.ports["o2"].center, top.end)
        drawing.record(c, drawing.instance_segments(c, right, "combiner"))
        c.add_port("o1", port=left.ports["o1"])
        c.add_port("o2", port=right.ports["o1"])
        for name, plane in zip(("e1", "e2"), top.contacts, strict=True):
            drawing.port(c, name, plane, tech, "metal")
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        mmi, arms = self._mmi(tech).paths(tech), self.arms(tech)
        return {
            **{f"splitter/{k}": v for k, v in mmi.items()},
            "top": arms.upper.length(tech),
            "bottom": arms.lower.length(tech),
            **{f"combiner/{k}": v for k, v in mmi.items()},
        }

    def _mmi(self, tech: Technology) -> Mmi1x2:
        return Mmi1x2.on(tech, cross_section=self.cross_section)

    def apart(self, tech: Technology) -> Any:
        return self._mmi(tech).pitch
