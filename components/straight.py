"""Straight waveguide."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax

from picq import drawing
from picq.device import Device, device, param, setting
from picq.optics.waveguide import propagate
from picq.sdict import SDict, reciprocal
from picq.technology import Technology


@device
class Straight(Device):
    """Straight waveguide.

    ::

        o1 ────────────── o2
               length

    Model: S[o1, o2] = exp(2 pi i n_eff L / wl) with the cross-section's loss.
    """

    name: ClassVar[str] = "straight"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    length: float = param(default=10.0, lower=0.01, upper=20000.0, unit="um", step=0.001, doc="length")
    width: float | None = param(
        default=None, lower=0.2, upper=20.0, unit="um", step=0.002, doc="the cross-section's by default"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        n = site.n_eff(self.cross_section, wl, self.width)
        return reciprocal(
            {("o1", "o2"): propagate(wl, n, self.length, site.cross_section(self.cross_section).loss_db_cm)}
        )

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        path = gf.path.straight(length=self.length)
        start, end = drawing.draw_path(c, path, tech, self.cross_section, segment="guide", width=self.width)
        drawing.port(c, "o1", start, tech, self.cross_section)
        drawing.port(c, "o2", end, tech, self.cross_section)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {"guide": self.length}
