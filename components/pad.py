"""Bond pad."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax

from picq import drawing
from picq.device import Device, device, param
from picq.sdict import SDict
from picq.technology import Technology


@device
class Pad(Device):
    """Bond pad; its electrical port e1 is in the middle of the lower edge. No optical ports.

    ::

        ┌────────┐
        │        │  height
        └───e1───┘
          width
    """

    name: ClassVar[str] = "pad"
    ports: ClassVar[tuple[str, ...]] = ()
    width: float = param(default=150.0, lower=50.0, upper=300.0, unit="um", step=0.002, doc="width")
    height: float = param(default=200.0, lower=50.0, upper=300.0, unit="um", step=0.002, doc="height")

    @property
    def sites(self) -> tuple[str, ...]:
        return ()

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        return {}

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        drawing.draw_box(
            c, (-self.width / 2, 0.0, self.width / 2, self.height), tech.cross_section("metal").layer, tech
        )
        drawing.port(c, "e1", (0.0, 0.0, 270.0, tech.cross_section("metal").width), tech, "metal")
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {}
