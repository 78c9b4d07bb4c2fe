"""Arms of a phased array as a table of sections: from star couplers and an increment to the lengths of every arm.

The same table feeds the mask and the light. Arm k = -(N - 1)/2 … (N - 1)/2 leaves its star coupler at theta_k with
sin(theta_k) = k pitch/radius, runs straight, turns into the upright at x_k, and on: see :func:`rectangular` and
:func:`s_shaped`. Lengths count as optical paths in units of the broad guide's index, so that the increment holds with
bends of another width and index in it. All lengths um; differentiable; shapes [2, arm] for the two ends of an arm, the
first star coupler's first.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.errors import SpecError
from picq.optics.diffraction import steps


class Recipe(NamedTuple):
    """What arms are made of.

    Attributes:
        count: of arms.
        radius, pitch: of the star couplers' grating circles.
        taper: length of the tapers at the apertures.
        arm_pitch: distance of neighbouring uprights.
        bend: radius of all bends: arcs out of the slant, Euler bends of 90 degrees.
        step: length of the transition between a broad guide and a bend; 0 where all is of one width.
        increment: by which arms grow, as a length of broad guide.
        offsets: what each arm has on top, [arm].
        arc_ratio: index of an arc over that of the broad guide.
        reserve: least length of straights, beyond transitions.
        apart: least distance between the axes of the two star couplers (rectangular).
    """

    count: int
    radius: Any
    pitch: Any
    taper: Any
    arm_pitch: Any
    bend: Any
    step: Any
    increment: Any
    offsets: Any
    arc_ratio: Any
    reserve: float
    apart: Any


class Arms(NamedTuple):
    """Lengths and places of all arms; places in the frame of each end's own star coupler.

    Attributes:
        angle: theta_k, [arm].
        slant: straight at theta_k behind the taper, transition included, [2, arm].
        arc: from theta_k to the upright, [arm].
        x: of the upright, [2, arm].
        rise: height at which the upright begins, [2, arm].
        upright: its length, transitions included, [2, arm].
        level: length of the horizontal straight, transitions included, [arm].
        height: of the level, in the first star coupler's frame, [arm].
        far: place of the second star coupler in the first one's frame, (x, y).
    """

    angle: jax.Array
    slant: jax.Array
    arc: jax.Array
    x: jax.Array
    rise: jax.Array
    upright: jax.Array
    level: jax.Array
    height: jax.Array
    far: tuple[Any, Any]

    def broad(self, step: Any) -> jax.Array:
        """Length of broad guide in each arm, transitions not counted, [arm]."""
        return self.slant.sum(0) + self.upright.sum(0) + self.level - 8 * step


def rectangular(r: Recipe) -> Arms:
    """Both star couplers face up, and a vertical mirror plane lies on the side of the short arms.

    ::

          ╭──────────────────╮      levels, outer arms on top
          │ ╭──────────────╮ │
          │ │              │ │      uprights: the free length
          ╰╮╰╮            ╭╯╭╯
           ╲ │            │ ╱       slants and arcs
            ▔▔            ▔▔
    """
    k, angle = steps(r.count), _angles(r)
    slant, rise = _fan(r, angle, r.arm_pitch)
    arc, x = r.bend * jnp.abs(angle), r.arm_pitch * k
    free = (r.increment * k + r.offsets) / 2 - slant - r.arc_ratio * arc - x
    upright = free + jnp.max(-free) + 2 * r.step + r.reserve
    mirror = jnp.maximum(r.arm_pitch * (r.count - 1) / 2 + r.bend + r.step + r.reserve, r.apart / 2)
    level = 2 * (x + mirror - r.bend)
    both = lambda leaf: jnp.stack([leaf, leaf])
    height = rise + upright + r.bend
    return Arms(angle, both(slant), arc, both(x), both(rise), both(upright), level, height, (-2 * mirror, 0.0))


def s_shaped(r: Recipe) -> Arms:
    """The second star coupler faces down, to the upper right of the first: for increments of any size.

    ::

                   ▁▁
                  ╱ │
                 ╭╯╭╯
            ╭────╯ │
            │ ╭────╯     lower levels are those of longer arms
           ╭╯╭╯
           ╲ │
            ▔▔

    What the uprights gain at one end they lose at the other; the levels grow because the second fan is broader by about
    the increment an arm. Its uprights are placed so that the increment is exact.

    Raises:
        SpecError: the number of arms is odd: the middle one would have no place where its length is right.
    """
    if r.count % 2:
        raise SpecError(
            "awg: s_shaped arms are even in number", got=r.count, remedy="one more arm, or array: rectangular"
        )
    k, angle = steps(r.count), _angles(r)
    slant, rise = _fan(r, angle, r.arm_pitch)
    arc, x = r.bend * jnp.abs(angle), r.arm_pitch * k
    aside, tangent = 1 - jnp.cos(angle), jnp.tan(jnp.abs(angle) / 2)
    turned = r.bend * jnp.sin(jnp.abs(angle))
    # path length is linear in the second fan's place t = spread k; see the equation of S - rise at both ends
    spent = slant + r.radius + r.taper - rise + 2 * r.arc_ratio * arc - turned - r.bend * tangent * aside
    spread = (k * (r.increment + r.arm_pitch) + r.offsets - spent) / (r.radius / r.pitch * aside + k)
    slant_far, rise_far = _fan(r, angle, spread)
    height = jnp.max(rise + r.arm_pitch * k) + 2 * r.step + r.reserve + r.bend - r.arm_pitch * k
    top = jnp.max(rise_far + height) + 2 * r.step + r.reserve + r.bend
    upright = jnp.stack([height - rise, top - height - rise_far]) - r.bend
    away = jnp.max(x - spread * k) + 2 * (r.bend + r.step) + r.reserve
    level = away + spread * k - x - 2 * r.bend
    return Arms(
        angle, jnp.stack([slant, slant_far]), arc, jnp.stack([x, spread * k]), jnp.stack([rise, rise_far]), upright,
        level, height, (away, top),
    )  # fmt: skip


def least_spacing(arms: Arms) -> tuple[float, float]:
    """Smallest distance, um, of neighbouring uprights and of neighbouring levels; negative where they cross."""
    x, height = np.asarray(arms.x), np.asarray(arms.height)
    sense = 1.0 if height[-1] > height[0] else -1.0
    return float(np.diff(x, axis=1).min()), float((sense * np.diff(height)).min())


def _angles(r: Recipe) -> jax.Array:
    return jnp.arcsin(steps(r.count) * r.pitch / r.radius)


def _fan(r: Recipe, angle: jax.Array, spread: Any) -> tuple[jax.Array, jax.Array]:
    """(slant, height of the arc's end) for uprights at ``spread`` k: the tangents meet spread/pitch radii out."""
    tangent = spread / r.pitch * r.radius
    reach = tangent - r.bend * jnp.tan(jnp.abs(angle) / 2)
    return reach - r.radius - r.taper, reach * jnp.cos(angle) + r.bend * jnp.sin(jnp.abs(angle))
