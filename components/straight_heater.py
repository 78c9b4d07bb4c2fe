"""Straight waveguide under a heater."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import drawing
from picq.device import Device, bounds, device, param, setting
from picq.optics.phase_shifter import heated_phase, phase_per_mw, power_to_restore
from picq.optics.waveguide import propagate
from picq.sdict import SDict, reciprocal
from picq.technology import Technology


@device
class StraightHeater(Device):
    """Thermo-optic phase shifter: a filament above a straight waveguide, a contact block at each end.

    ::

        e1 ┌──┐              ┌──┐ e2      (both ports face up)
           │██│══════════════│██│
        o1 ──────────────────────── o2
                  length

    Model: the straight's phase plus (2 pi/wl) dn_eff/dT theta * power, theta from the layers (``picq.optics.heat``).
    """

    name: ClassVar[str] = "straight_heater"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    length: float = param(default=120.0, lower=60.0, upper=10000.0, unit="um", step=0.001, doc="length of the guide")
    power_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="electrical power")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        loss = site.cross_section(self.cross_section).loss_db_cm
        cold = propagate(wl, site.n_eff(self.cross_section, wl), self.length, loss)
        return reciprocal({("o1", "o2"): cold * heated_phase(wl, self.power_mw, site, self.cross_section, self.length)})

    def rebiased(
        self, wl0: float, tech: Technology, nominal: Technology, like: "StraightHeater | None" = None
    ) -> "StraightHeater":
        wl = jnp.asarray(wl0)
        wanted = (like or self).model(wl, nominal)[("o1", "o2")]
        cold = self.replace(power_mw=0.0).model(wl, tech)[("o1", "o2")]
        limit = bounds(type(self), nominal)["power_mw"].upper
        rad_per_mw = phase_per_mw(wl, tech.at_site(0), self.cross_section, self.length)
        return self.replace(power_mw=power_to_restore(wanted, cold, rad_per_mw, limit))

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        path = gf.path.straight(length=self.length)
        start, end = drawing.draw_path(c, path, tech, self.cross_section, segment="guide")
        drawing.port(c, "o1", start, tech, self.cross_section)
        drawing.port(c, "o2", end, tech, self.cross_section)
        left, right = drawing.draw_heater(c, 0.0, self.length, 0.0, tech)
        drawing.port(c, "e1", left, tech, "metal")
        drawing.port(c, "e2", right, tech, "metal")
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {"guide": self.length}
