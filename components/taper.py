"""Linear taper between two widths."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np

from picq import drawing
from picq.device import Device, device, param, setting
from picq.optics.multimode import side_wall
from picq.optics.taper import converted
from picq.optics.waveguide import amplitude_db, propagate
from picq.sdict import SDict, reciprocal
from picq.technology import Technology

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


@device
class Taper(Device):
    """Linear taper.

    ::

                      ___----│
        o1  width1 │--       │ width2  o2
                      ‾‾‾----│
               length

    Model: phase 2 pi/wl ∫ n_eff(w(s)) ds by 8-point Gauss-Legendre quadrature; lost is what te0 hands over to te2 by
    coupled local modes (``picq.optics.taper``), the cross-section's propagation loss, and the technology's taper loss
    for roughness and radiation where te2 is cut off.
    """

    name: ClassVar[str] = "taper"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    lossless_is_unitary: ClassVar[bool] = False  # what te2 takes is lost
    length: float = param(default=20.0, lower=10.0, upper=1000.0, unit="um", step=0.001, doc="length")
    width1: float | None = param(
        default=None, lower=0.2, upper=20.0, unit="um", step=0.002, doc="at o1; the cross-section's by default"
    )
    width2: float = param(default=1.0, lower=0.2, upper=20.0, unit="um", step=0.002, doc="width at o2")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        for width in (self._width1(tech), self.width2):
            site.check_width(self.cross_section, wl, width)  # between them they are traced
        s = (jnp.asarray(_NODES) + 1) / 2
        widths = self._width1(tech) + (self.width2 - self._width1(tech)) * s
        at_widths = jax.vmap(lambda wl, width: site.n_eff(self.cross_section, wl, width), (None, 0), out_axes=-1)
        mean = lambda at: at_widths(at, widths) @ jnp.asarray(_WEIGHTS / 2)
        n = site.over_wavelengths(self.cross_section, wl, mean)
        loss = site.cross_section(self.cross_section).loss_db_cm
        grow = 1e-3 * site.process.width_nm
        wall = side_wall(site, self.cross_section, wl)
        lost = converted(wall, self._width1(tech) + grow, self.width2 + grow, self.length)
        amplitude = amplitude_db(site.data["taper"]["loss_db"]) * jnp.exp(-lost / 2)  # first order, never negative
        return reciprocal({("o1", "o2"): amplitude * propagate(wl, n, self.length, loss)})

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        start, end = drawing.draw_taper(
            c, (0.0, 0.0), self.length, self._width1(tech), self.width2, tech, self.cross_section
        )
        drawing.record(c, {"guide": (start, end)})
        drawing.port(c, "o1", start, tech, self.cross_section)
        drawing.port(c, "o2", end, tech, self.cross_section)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {"guide": self.length}

    def _width1(self, tech: Technology) -> Any:
        return tech.cross_section(self.cross_section).width if self.width1 is None else self.width1
