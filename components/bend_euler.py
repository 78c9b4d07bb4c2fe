"""Euler bend."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax

from picq import layout
from picq.device import Device, device, param, setting
from picq.optics.waveguide import BEND_P, euler_curvature_integral, euler_length_factor, propagate_bent
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

    Model: S[o1, o2] = exp(2 pi i (n_eff L + c ∫ kappa² ds) / wl): the index of a bend rises by c/R².
    """

    name: ClassVar[str] = "bend_euler"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    radius: float | None = param(default=None, lower=1.0, upper=1000.0, unit="um", step=0.001, doc="effective radius")
    angle: float = setting(default=90.0, doc="total angle, degrees, counter-clockwise")
    p: float = setting(default=BEND_P, doc="fraction of the angle turned on the clothoids")
    width: float | None = param(
        default=None, lower=0.44, upper=10.0, unit="um", step=0.002, doc="the cross-section's by default"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        curvature = euler_curvature_integral(self.p, abs(self.angle)) / self._radius(tech)
        length = self.paths(tech)["guide"]
        return reciprocal({("o1", "o2"): propagate_bent(wl, site, self.cross_section, length, curvature, self.width)})

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        path = layout.euler(self._radius(tech), self.angle, self.p)
        start, end = layout.draw_path(c, path, tech, self.cross_section, segment="guide", width=self.width)
        layout.port(c, "o1", start, tech, self.cross_section)
        layout.port(c, "o2", end, tech, self.cross_section)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {"guide": self._radius(tech) * euler_length_factor(self.p, abs(self.angle))}

    def _radius(self, tech: Technology) -> Any:
        return tech.cross_section(self.cross_section).radius if self.radius is None else self.radius
