"""What devices of two arms, with a heater on the upper one, have in common."""

from typing import Any, ClassVar, Self

import jax.numpy as jnp

from picq.device import Device, bounds, device, param, setting
from picq.optics.arm import Arms
from picq.technology import Technology


@device
class TwoArms(Device):
    """Two arms of the same bends side by side; trimming restores the phase between them."""

    upper_site: ClassVar[int]
    delta_length: float = param(
        default=10.0, lower=0.0, upper=2000.0, unit="um", step=0.002, doc="upper minus lower arm"
    )
    length_x: float = param(
        default=120.0, lower=60.0, upper=10000.0, unit="um", step=0.001, doc="straight under the heater"
    )
    length_y: float = param(
        default=2.0, lower=0.002, upper=1000.0, unit="um", step=0.001, doc="vertical straights, lower arm"
    )
    power_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater power")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def apart(self, tech: Technology) -> Any:
        """Axes of the arms where they begin, um."""
        raise NotImplementedError

    def arms(self, tech: Technology) -> Arms:
        """The arms, as ``tech`` bends them."""
        return Arms.of(
            tech,
            self.cross_section,
            along=self.length_x,
            aside=self.length_y,
            longer=self.delta_length,
            apart=self.apart(tech),
            power_mw=self.power_mw,
        )

    def rebiased(self, wl0: float, tech: Technology, nominal: Technology, like: Self | None = None) -> Self:
        limit = bounds(type(self), nominal)["power_mw"].upper
        aim = (like or self).arms(tech)
        power = self.arms(tech).restoring_power(jnp.asarray(wl0), tech, nominal, self.upper_site, limit, aim)
        return self.replace(power_mw=power)
