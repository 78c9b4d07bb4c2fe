"""The two arms of an interferometer, between a splitter and a combiner that are devices of their own."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax

from picq import drawing
from picq.device import device, param
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .two_arms import TwoArms


@device
class ArmPair(TwoArms):
    """Two arms, a heater on the upper one.

    ::

               ╭══ e1 e2 ══╮      length_y + delta_length/2
               │           │
        o2 ────╯           ╰──── o3
        o1 ────╮           ╭──── o4   pitch below o2
               │           │
               ╰───────────╯      length_y
                  length_x

    Its ends stay where they are whatever ``delta_length`` becomes, so that the mask has the delay as the model has it.
    Model: each arm is four Euler bends and straights (``picq.optics.arm``); the heater warms the lower arm too, by what
    reaches it (``picq.optics.heat``). What couples between the arms where they part is left out; a technology's least
    pitch keeps it small. Trimming restores the phase between the arms, which is all that their interferometer sees.
    """

    name: ClassVar[str] = "arm_pair"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    upper_site: ClassVar[int] = 0
    pitch: float = param(default=2.0, lower=0.5, upper=20.0, unit="um", step=0.002, doc="o1 from o2, axis to axis")

    @property
    def sites(self) -> tuple[str, ...]:
        return ("top", "bottom")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        top, bottom = self.arms(tech).amplitudes(wl, tech, 0)
        return reciprocal({("o2", "o3"): top, ("o1", "o4"): bottom})

    def cell(self, tech: Technology) -> gf.Component:
        c, (upper, lower) = gf.Component(), self.arms(tech)
        half, width = self.pitch / 2, tech.cross_section(self.cross_section).width
        top = drawing.draw_arm(c, (0.0, half), upper, tech, segment="top")
        bottom = drawing.draw_arm(c, (0.0, -half), lower, tech, segment="bottom")
        for name, at, facing in (
            ("o1", (0.0, -half), 180.0),
            ("o2", (0.0, half), 180.0),
            ("o3", top.end, 0.0),
            ("o4", bottom.end, 0.0),
        ):
            drawing.port(c, name, (*at, facing, width), tech, self.cross_section)
        for name, plane in zip(("e1", "e2"), top.contacts, strict=True):
            drawing.port(c, name, plane, tech, "metal")
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        upper, lower = self.arms(tech)
        return {"top": upper.length(tech), "bottom": lower.length(tech)}

    def length(self, tech: Technology) -> Any:
        """From o1 to o4 along x, um."""
        return self.length_x + 4 * tech.cross_section(self.cross_section).radius

    def apart(self, tech: Technology) -> Any:
        return self.pitch
