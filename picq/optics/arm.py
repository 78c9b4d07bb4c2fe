"""The arms of an interferometer: each up (or down), along, and back, with four equal Euler bends."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from picq.optics.phase_shifter import heated_phase, phase_per_mw, power_to_restore
from picq.optics.waveguide import BEND_P, euler_length_factor, propagate_bent

if TYPE_CHECKING:
    from picq.technology import Technology


@dataclass(frozen=True)
class Arm:
    """Geometry of one arm; both its drawing (``drawing.draw_arm``) and its phase come from here.

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


class Arms(NamedTuple):
    """Two arms that part from parallel axes; the heater of the upper one warms the lower one too."""

    upper: Arm
    lower: Arm

    @classmethod
    def of(
        cls, tech: "Technology", cross_section: str, *, along: Any, aside: Any, longer: Any, apart: Any, power_mw: Any
    ) -> "Arms":
        """Arms of one interferometer.

        Args:
            tech: gives the radius of the bends.
            cross_section: name of the guides.
            along: length of the horizontal straights, um.
            aside: length of each of the lower arm's vertical straights, um.
            longer: upper minus lower arm, um.
            apart: their axes from each other where they begin, um.
            power_mw: heater power.
        """
        upper = Arm(cross_section, along, aside + longer / 2, True, power_mw)
        distance = apart + 4 * tech.cross_section(cross_section).radius + upper.aside + aside
        return cls(upper, Arm(cross_section, along, aside, False, neighbour=(power_mw, distance)))

    def amplitudes(self, wl: jax.Array, tech: "Technology", first_site: int) -> tuple[jax.Array, jax.Array]:
        """Complex transmissions of the upper and of the lower arm, shape [wl] each; their sites follow each other."""
        upper, lower = (arm.amplitude(wl, tech.at_site(first_site + i)) for i, arm in enumerate(self))
        return upper, lower

    def restoring_power(
        self, wl: jax.Array, tech: "Technology", nominal: "Technology", first_site: int, limit_mw: float, aim: "Arms"
    ) -> jax.Array:
        """Least heater power, mW, that makes the phase between the arms on the chip ``tech`` that of ``aim`` on
        ``nominal``.

        Args:
            wl: where, um, scalar.
            tech, nominal: the chip as fabricated and as designed.
            first_site: of the upper arm; the lower one's is the next.
            limit_mw: the heater's.
            aim: the arms as designed, or others.
        """

        def between(arms: Arms, place: "Technology") -> jax.Array:
            upper, lower = arms.amplitudes(wl, place, first_site)
            return upper * jnp.conj(lower)

        assert self.lower.neighbour is not None
        cold = Arms(replace(self.upper, power_mw=0.0), replace(self.lower, neighbour=(0.0, self.lower.neighbour[1])))
        own, other = (arm.phase_per_mw(wl, tech.at_site(first_site + i)) for i, arm in enumerate(cold))
        return power_to_restore(between(aim, nominal), between(cold, tech), own - other, limit_mw)
