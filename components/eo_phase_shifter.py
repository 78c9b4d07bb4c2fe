"""Electro-optic phase shifter: a rib of lithium niobate between two electrodes."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import drawing
from picq.device import Device, device, param, setting
from picq.optics.phase_shifter import electro_optic
from picq.optics.waveguide import propagate
from picq.sdict import SDict, reciprocal
from picq.technology import Technology

_INSET = 5.0  # um of guide before and after the electrodes, so that metal of neighbours keeps apart; assumed


@device
class EoPhaseShifter(Device):
    """Pockels phase shifter of one arm: ground and signal, coplanar, the guide midway between them.

    ::

                      e2 (faces up)
            ┌──────────┴──────────┐  electrode_width
            └─────────────────────┘
        o1 ─────────────────────────── o2     gap between the electrodes
            ┌─────────────────────┐
            └──────────┬──────────┘
                      e1 (faces down)
                    length (5 um longer than the electrodes at each end)

    Model: the straight's phase plus (2 pi/wl) dn_eff/dV voltage times the electrodes' length; dn_eff/dV from the
    overlap of the RF field with the light (``picq.optics.electrodes``). ``voltage`` is that of e2 over e1, and a
    positive one raises the index: the optic axis is taken to point from e1 to e2, which the mask cannot know. One
    arm: in a push-pull pair the voltage for pi is half of what one needs. Static, and so up to where the electrodes
    become a transmission line. The absorption of the metal is left out: see the lower bound of ``gap`` in the
    technology.
    """

    name: ClassVar[str] = "eo_phase_shifter"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    length: float = param(default=5000.0, lower=100.0, upper=50000.0, unit="um", step=0.002, doc="length of the guide")
    gap: float = param(default=5.0, lower=2.0, upper=20.0, unit="um", step=0.002, doc="between the electrodes")
    electrode_width: float = param(default=15.0, lower=2.0, upper=200.0, unit="um", step=0.001, doc="of each electrode")
    voltage: float = param(default=0.0, lower=-200.0, upper=200.0, unit="v", doc="of e2 over e1")
    cross_section: str = setting(default="rib", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        wl = jnp.asarray(wl)
        cold = propagate(
            wl, site.n_eff(self.cross_section, wl), self.length, site.cross_section(self.cross_section).loss_db_cm
        )
        change = electro_optic(wl, site, self.cross_section, self.gap, self.electrode_width) * self.voltage
        driven = jnp.exp(2j * jnp.pi * change * (self.length - 2 * _INSET) / wl)
        return reciprocal({("o1", "o2"): cold * driven})

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        start, end = drawing.draw_path(
            c, gf.path.straight(length=self.length), tech, self.cross_section, segment="guide"
        )
        drawing.port(c, "o1", start, tech, self.cross_section)
        drawing.port(c, "o2", end, tech, self.cross_section)
        metal = tech.cross_section("metal")
        inner, outer = self.gap / 2, self.gap / 2 + self.electrode_width
        for name, below, above, angle in (("e1", -outer, -inner, 270.0), ("e2", inner, outer, 90.0)):
            drawing.draw_box(c, (_INSET, below, self.length - _INSET, above), metal.layer, tech)
            edge = below if name == "e1" else above
            drawing.port(c, name, (drawing.on_grid(self.length / 2), edge, angle, metal.width), tech, "metal")
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {"guide": self.length}
