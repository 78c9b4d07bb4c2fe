"""A routed connection: straights and Euler bends in a row."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax

from picq import layout
from picq.device import Device, device, param, setting
from picq.optics.waveguide import euler_curvature_integral, euler_length_factor, propagate
from picq.sdict import SDict, reciprocal
from picq.technology import Technology

_P = 0.5


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
    length: float = param(
        default=100.0, lower=1.0, upper=50000.0, unit="um", step=0.001, doc="total length of the straights"
    )
    bends: int = setting(default=2, doc="number of 90-degree bends")
    cross_section: str = setting(default="strip", doc="cross-section name")

    @property
    def ports(self) -> tuple[str, ...]:
        return ("o1", "o2")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        xs = site.cross_section(self.cross_section)
        length = self.paths(tech)["guide"]
        curvature = self.bends * euler_curvature_integral(_P) / xs.radius
        n = site.n_eff(self.cross_section, wl) + xs.bend_index_um2 * curvature / length
        return reciprocal({("o1", "o2"): propagate(wl, n, length, xs.loss_db_cm)})

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        radius = tech.cross_section(self.cross_section).radius
        straights = layout.split_on_grid(self.length, self.bends + 1)
        path = gf.Path()
        path.append(gf.path.straight(straights[0]))
        for i, straight in enumerate(straights[1:]):
            path.append(layout.euler(radius, 90.0 if i % 2 == 0 else -90.0, _P))
            path.append(gf.path.straight(straight))
        start, end = layout.draw_path(c, path, tech, self.cross_section, segment="guide")
        layout.port(c, "o1", start, tech, self.cross_section)
        layout.port(c, "o2", end, tech, self.cross_section)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        radius = tech.cross_section(self.cross_section).radius
        return {"guide": self.length + self.bends * radius * euler_length_factor(_P)}
