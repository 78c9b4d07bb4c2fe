"""Delay line of an exact length, wound up."""

from collections.abc import Callable
from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq import drawing
from picq.device import Device, device, param, setting
from picq.errors import SpecError
from picq.optics.waveguide import BEND_P, propagate_bent
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.spiral import Spiral
from picq.technology import Technology

C_UM_PS = 299.792458  # speed of light, um/ps


@device
class DelaySpiral(Device):
    """Delay line: two rectangular spirals, one inside the other, so that both ends lie on one line outside.

    ::

           ┌───────────────────┐
           │ ┌───────────────┐ │
           │ │     ┌─────┐   │ │     turns: 1
           │ │     │     │   │ │     pitch between neighbours
           │ └─────┘     │   │ │     core: straight of the innermost levels
           └─────────────┘   │ │
        o1 ──────────────────┘ └── o2

    All uprights take the free length alike (``picq.spiral``), so the ports stay where they are, and the mask has
    ``length`` within 1 nm. More turns wind the same length into a smaller square, up to ``spiral(tech).most_turns()``.

    Model: a guide of ``length`` with 8 turns + 4 Euler bends of the cross-section's radius. What neighbouring guides do
    to each other is left out: the smallest pitch of a technology is its recommended distance.
    """

    name: ClassVar[str] = "delay_spiral"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    length: float = param(
        default=2000.0, lower=50.0, upper=1e6, unit="um", step=0.001, doc="of the centre line, from port to port"
    )
    pitch: float = param(
        default=5.5, lower=1.0, upper=200.0, unit="um", step=0.001, doc="of neighbouring guides, axis to axis"
    )
    core: float = param(
        default=10.0, lower=1.0, upper=5000.0, unit="um", step=0.001, doc="straight of the innermost levels"
    )
    turns: int = setting(default=2, doc="of each of the two spirals")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def __post_init__(self) -> None:
        """Check bounds, and that there is a turn.

        Raises:
            SpecError: turns is not a whole number from 1 on.
        """
        super().__post_init__()
        if isinstance(self.turns, bool) or not isinstance(self.turns, int) or self.turns < 1:
            raise SpecError(
                f"{self.name}.turns is not a number of turns",
                got=repr(self.turns),
                allowed="a whole number from 1 on",
                remedy="set turns to 1, and raise it while the length allows",
            )

    def spiral(self, tech: Technology) -> Spiral:
        """The geometry.

        Raises:
            SpecError: a concrete length is too short for the turns.
        """
        radius = tech.guide(self.cross_section).radius
        found = Spiral(radius, self.turns, self.pitch, self.core, self.length)
        if not any(isinstance(v, Tracer) for v in found):
            found.check(self.name)
        return found

    def extent(self, tech: Technology) -> tuple[Any, Any]:
        """Slabs included."""
        xs, spiral = tech.guide(self.cross_section), self.spiral(tech)
        broad = max((xs.width, *(section.width for section in xs.sections)))
        return spiral.span + broad / 2, spiral.height + broad  # the right end is a port

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        return reciprocal({("o1", "o2"): self.amplitude(wl, tech.at_site(0))})

    def amplitude(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """Complex transmission, of wl's shape; ``tech`` as the spiral's own place sees it."""
        return propagate_bent(wl, tech, self.cross_section, self.length, self.spiral(tech).bends)

    def delay_ps(self, wl: Any, tech: Technology) -> jax.Array:
        """Group delay, of wl's shape (um)."""
        return group_delay_ps(lambda at: self.amplitude(at, tech.at_site(0)), wl)

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        radius, planes = float(tech.guide(self.cross_section).radius), []
        for i, section in enumerate(self.spiral(tech).sections()):
            path = _centre_line(section.corners, radius)
            planes += drawing.draw_path(c, path, tech, self.cross_section, segment=f"part{i}")
        drawing.port(c, "o1", planes[0], tech, self.cross_section)
        drawing.port(c, "o2", planes[-1], tech, self.cross_section)
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        *lengths, _ = (section.length for section in self.spiral(tech).sections())
        lengths.append(float(self.length) - sum(lengths))  # what the model used in all; the mask has it within 1 nm
        return {f"part{i}": length for i, length in enumerate(lengths)}

    def about(self, tech: Technology) -> dict[str, float]:
        wl, (width, height) = jnp.asarray(1.55), self.extent(tech)
        return {
            "group_delay_ps": float(self.delay_ps(wl, tech)),
            "loss_db": float(-20 * jnp.log10(jnp.abs(self.amplitude(wl, tech.at_site(0))))),
            "area_mm2": float(1e-6 * width * height),
        }


def group_delay_ps(wave: Callable[[jax.Array], jax.Array], wl: Any) -> jax.Array:
    """d(phase)/d(omega) in ps of the amplitude ``wave``(wl) ~ exp(+i phase), of wl's shape, um."""
    wl = jnp.asarray(wl, float)
    amplitude, slope = jax.jvp(wave, (wl,), (jnp.ones_like(wl),))
    return -jnp.imag(slope / amplitude) * wl**2 / (2 * jnp.pi * C_UM_PS)


def _centre_line(corners: np.ndarray, radius: float) -> gf.Path:
    """The path through ``corners``, each of them an Euler bend; um."""
    steps = np.diff(corners, axis=0)
    lengths = np.abs(steps).sum(axis=1)
    angles = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    ends = radius * np.array([1.0, *[2.0] * (len(steps) - 2), 1.0])
    path, before = gf.Path(), angles[0]
    for straight, angle in zip(lengths - ends, angles, strict=True):
        if angle != before:
            path.append(drawing.euler(radius, (angle - before + 180.0) % 360.0 - 180.0, BEND_P))
        if straight > 1e-6:
            path.append(gf.path.straight(drawing.on_grid(straight)))
        before = angle
    path.rotate(angles[0])
    path.move(tuple(corners[0]))
    path.start_angle, path.end_angle = float(angles[0]), float(angles[-1])  # it had guessed them from the last chord
    return path
