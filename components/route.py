"""A routed connection: straights and Euler bends in a row."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax

from picq import drawing
from picq.device import Device, device, param, setting
from picq.optics.waveguide import BEND_P, euler_length_factor, propagate_bent
from picq.sdict import SDict, reciprocal
from picq.technology import Technology


@device
class Route(Device):
    """Straights of a total ``length`` joined by ``bends`` right-angle Euler bends.

    ::

                 ╭───── o2
                 │
        o1 ──────╯

    What a circuit's connections become once the router has drawn them; drawn alone, it is a staircase.

    Model: phase and loss of the straights and of the bends (index raised by c/R²).
    """

    name: ClassVar[str] = "route"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    length: float = param(
        default=100.0, lower=1.0, upper=50000.0, unit="um", step=0.001, doc="total length of the straights"
    )
    bends: int = setting(default=2, doc="number of 90-degree bends")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        length = self.paths(tech)["guide"]
        return reciprocal({("o1", "o2"): propagate_bent(wl, site, self.cross_section, length, self.bends)})

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        radius = tech.cross_section(self.cross_section).radius
        straights = drawing.split_on_grid(self.length, self.bends + 1)
        path = gf.Path()
        path.append(gf.path.straight(straights[0]))
        for i, straight in enumerate(straights[1:]):
            path.append(drawing.euler(radius, 90.0 if i % 2 == 0 else -90.0, BEND_P))
            path.append(gf.path.straight(straight))
        start, end = drawing.draw_path(c, path, tech, self.cross_section, segment="guide")
        drawing.port(c, "o1", start, tech, self.cross_section)
        drawing.port(c, "o2", end, tech, self.cross_section)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        radius = tech.cross_section(self.cross_section).radius
        return {"guide": self.length + self.bends * radius * euler_length_factor(BEND_P)}
