"""Euler bend."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax

from picq import drawing
from picq.device import Device, device, param, setting
from picq.optics.waveguide import BEND_P, euler_length_factor, propagate
from picq.sdict import SDict, reciprocal
from picq.technology import Technology


@device
class BendEuler(Device):
    """Bend whose curvature rises linearly, stays, and falls: clothoid, arc, clothoid.

    ::

                 o2
                 │
                 │  radius
        o1 ──────╯

    ``radius`` is the effective radius: that of the circular bend with the same end points. The smallest radius of
    curvature is smaller (0.71 of it at p = 0.5); a foundry's minimum radius refers to the effective one.

    Model: a straight guide of the same length, times what curvature adds along it: a higher index, radiation
    (``picq.optics.bend``, solved at the cross-section's own width). The curvature is continuous, so no junction loses
    light.
    """

    name: ClassVar[str] = "bend_euler"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    radius: float | None = param(default=None, lower=1.0, upper=1000.0, unit="um", step=0.001, doc="effective radius")
    angle: float = setting(default=90.0, doc="total angle, degrees, counter-clockwise")
    p: float = setting(default=BEND_P, doc="fraction of the angle turned on the clothoids")
    width: float | None = param(
        default=None, lower=0.2, upper=20.0, unit="um", step=0.002, doc="the cross-section's by default"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        xs, bend = site.guide(self.cross_section), site.bend(self.cross_section)
        n_eff = site.n_eff(self.cross_section, wl, self.width)
        straight = propagate(wl, n_eff, self.paths(tech)["guide"], xs.loss_db_cm)
        return reciprocal({("o1", "o2"): straight * bend.euler_excess(wl, self._radius(tech), self.p, self.angle)})

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        path = drawing.euler(self._radius(tech), self.angle, self.p)
        start, end = drawing.draw_path(c, path, tech, self.cross_section, segment="guide", width=self.width)
        drawing.port(c, "o1", start, tech, self.cross_section)
        drawing.port(c, "o2", end, tech, self.cross_section)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {"guide": self._radius(tech) * euler_length_factor(self.p, abs(self.angle))}

    def _radius(self, tech: Technology) -> Any:
        return tech.cross_section(self.cross_section).radius if self.radius is None else self.radius
