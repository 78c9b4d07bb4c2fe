"""Waveguide terminator."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import drawing
from picq.device import Device, device, param, setting
from picq.sdict import SDict
from picq.technology import Technology


@device
class Terminator(Device):
    """Horn into a slab with slanted end faces, where light leaves the chip's plane: ends an unused port.

    ::

                 ___--┌───╲
        o1 ──----     │    ╲
             ‾‾‾‾‾‾--‾│    ╱
                      └───╱
              length

    (A tip that tapers out would need lines below the minimum width of DUV platforms.)

    Model: a constant reflection, the technology's data.
    """

    name: ClassVar[str] = "terminator"
    ports: ClassVar[tuple[str, ...]] = ("o1",)
    lossless_is_unitary: ClassVar[bool] = False
    length: float = param(default=30.0, lower=10.0, upper=500.0, unit="um", step=0.001, doc="length of the horn")
    width: float = param(default=5.0, lower=2.0, upper=20.0, unit="um", step=0.002, doc="width of the horn's end")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        return {("o1", "o1"): jnp.sqrt(tech.data["terminator"]["reflection"]) + 0j * jnp.asarray(wl)}

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        xs = tech.cross_section(self.cross_section)
        drawing.draw_taper(c, (0.0, 0.0), self.length, xs.width, self.width, tech, self.cross_section)
        x, y = self.length, self.width
        roof = [(x, -y), (x + y, -y), (x + 1.4 * y, 0.0), (x + y, y), (x, y)]
        c.add_polygon([(drawing.on_grid(a), drawing.on_grid(b)) for a, b in roof], layer=tech.layer(xs.layer))
        for s in xs.sections:
            margin = (s.width - xs.width) / 2
            drawing.draw_box(c, (0.0, -y - margin, drawing.on_grid(x + 1.4 * y) + margin, y + margin), s.layer, tech)
        start = (0.0, 0.0, 180.0, xs.width)
        drawing.record(c, {"horn": (start,)})
        drawing.port(c, "o1", start, tech, self.cross_section)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {}
