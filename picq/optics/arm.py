"""The arm of an interferometer: up (or down), along, and back, with four equal Euler bends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax

from picq.optics.phase_shifter import heated_phase
from picq.optics.waveguide import BEND_P, euler_curvature_integral, euler_length_factor, propagate_bent

if TYPE_CHECKING:
    from picq.technology import Technology


@dataclass(frozen=True)
class Arm:
    """Geometry of one arm; both its drawing (``layout.draw_arm``) and its phase come from here.

    Attributes:
        cross_section: name of the guide.
        along: length of the horizontal straight, um.
        aside: length of each of the two vertical straights, um.
        up: whether the arm leaves its axis upwards.
        power_mw: heater power, or None when the arm carries no heater.
    """

    cross_section: str
    along: Any
    aside: Any
    up: bool
    power_mw: Any = None

    def length(self, tech: "Technology") -> Any:
        """Length of the centre line, um: 2 aside + along + 4 bends."""
        radius = tech.cross_section(self.cross_section).radius
        return 2 * self.aside + self.along + 4 * radius * euler_length_factor(BEND_P)

    def amplitude(self, wl: jax.Array, tech: "Technology") -> jax.Array:
        """Complex transmission, shape [wl], as the arm's own place sees ``tech``."""
        curvature = 4 * euler_curvature_integral(BEND_P) / tech.cross_section(self.cross_section).radius
        amplitude = propagate_bent(wl, tech, self.cross_section, self.length(tech), curvature)
        return amplitude if self.power_mw is None else amplitude * heated_phase(wl, self.power_mw, tech)
