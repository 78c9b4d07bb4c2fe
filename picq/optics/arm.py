"""The arm of an interferometer: up (or down), along, and back, with four equal Euler bends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax

from picq.optics.phase_shifter import heated_phase, phase_per_mw
from picq.optics.waveguide import BEND_P, euler_length_factor, propagate_bent

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
        neighbour: (heater power in mW, distance in um) of a parallel arm whose heat reaches this one, or None.
    """

    cross_section: str
    along: Any
    aside: Any
    up: bool
    power_mw: Any = None
    neighbour: tuple[Any, Any] | None = None

    def length(self, tech: "Technology") -> Any:
        """Length of the centre line, um: 2 aside + along + 4 bends."""
        radius = tech.cross_section(self.cross_section).radius
        return 2 * self.aside + self.along + 4 * radius * euler_length_factor(BEND_P)

    def amplitude(self, wl: jax.Array, tech: "Technology") -> jax.Array:
        """Complex transmission, shape [wl], as the arm's own place sees ``tech``.

        Heat counts where the straight runs along the filament; what reaches the bends is left out.
        """
        amplitude = propagate_bent(wl, tech, self.cross_section, self.length(tech), 4)
        for power, distance in ((self.power_mw, 0.0), *((self.neighbour,) if self.neighbour else ())):
            if power is not None:
                amplitude = amplitude * heated_phase(wl, power, tech, self.cross_section, self.along, distance)
        return amplitude

    def phase_per_mw(self, wl: Any, tech: "Technology") -> jax.Array:
        """Phase of this arm, rad, per mW of its own heater, or of its neighbour's where it has none."""
        distance = self.neighbour[1] if self.power_mw is None and self.neighbour else 0.0
        return phase_per_mw(wl, tech, self.cross_section, self.along, distance)
