"""Arms of a phased array as a table of sections: from star couplers and an increment to the lengths of every arm.

The same table feeds the mask and the light. Arm k = -(N - 1)/2 … (N - 1)/2 leaves its star coupler at theta_k with
sin(theta_k) = k pitch/radius and runs straight; then it turns into an upright at x_k (:func:`rectangular`,
:func:`s_shaped`) or into one arc of its own radius (``optics.horseshoe``). Lengths count as optical paths in units of
the broad guide's index, so that the increment holds with bends of another width and index in it. All lengths um;
differentiable; shapes [2, arm] for the two ends of an arm, the first star coupler's first.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.errors import SpecError
from picq.optics.diffraction import steps


class Widths(NamedTuple):
    """Widths of guides, um: at the apertures of the array, of broad straights, of bends and ports."""

    aperture: Any
    broad: Any
    bend: Any


class Recipe(NamedTuple):
    """What arms are made of.

    Attributes:
        count: of arms.
        radius, pitch: of the star couplers' grating circles.
        taper: length of the tapers at the apertures.
        arm_pitch: distance of neighbouring uprights; None where there are none.
        bend: least radius: that of arcs out of the slant and of Euler bends of 90 degrees.
        step: length of the transition between a broad guide and a bend; 0 where all is of one width.
        increment: by which arms grow, as a length of broad guide.
        offsets: what each arm has on top, [arm].
        arc_ratio: index of an arc over that of the broad guide, of its curvature in 1/um.
        reserve: least length of straights, beyond transitions.
        level: the same of levels, which may carry heaters.
        level_pitch: distance of neighbouring levels (s_shaped).
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
    arc_ratio: Callable[[Any], Any]
    reserve: float
    level: Any
    level_pitch: Any
    apart: Any

    @property
    def angles(self) -> jax.Array:
        """theta_k, [arm]."""
        return jnp.arcsin(steps(self.count) * self.pitch / self.radius)


class Lengths(NamedTuple):
    """What light passes in each arm besides its two tapers.

    Attributes:
        broad: straights, um, [arm].
        arc: circular arcs, um, [arm].
        curvature: of the arcs, 1/um; one, or [arm].
        arc_ends: how often a straight guide meets an arc.
        bends: number of Euler bends by 90 degrees.
        steps: number of transitions between broad guide and bend.
    """

    broad: jax.Array
    arc: jax.Array
    curvature: Any
    arc_ends: int
    bends: int
    steps: int


class Arms(NamedTuple):
    """Lengths and places of arms with uprights; places in the frame of each end's own star coupler.

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

    def lengths(self, r: Recipe) -> Lengths:
        """What light passes."""
        broad = self.slant.sum(0) + self.upright.sum(0) + self.level - 8 * r.step
        return Lengths(broad, 2 * self.arc, 1 / r.bend, 4, 2, 8)

    def sections(self, k: int, r: Recipe, euler: float) -> dict[str, Any]:
        """Lengths of arm k by section; ``euler``: that of a bend by 90 degrees."""
        found: dict[str, Any] = {}
        for side, end in enumerate(("in", "out")):
            own = {
                "taper": r.taper, "slant": self.slant[side, k] - r.step, "step_slant": r.step, "arc": self.arc[k],
                "step_upright": r.step, "upright": self.upright[side, k] - 2 * r.step, "step_upright_end": r.step,
                "bend": euler, "step_level": r.step,
            }  # fmt: skip
            if self.angle[k] == 0:
                del own["arc"]
            found |= {f"{end}_{n}": v for n, v in own.items() if r.step or not n.startswith("step")}
        return found | {"level": self.level[k] - 2 * r.step}

    def corners(self, k: int, r: Recipe, flip: tuple[int, int]) -> np.ndarray:
        """Arm k's way as a polygon, um [corner, 2]; ``flip``: signs of the second star coupler's axes."""
        far, signs = np.array([float(v) for v in self.far]), np.array(flip)
        start = float(r.radius) * np.array([np.sin(self.angle[k]), np.cos(self.angle[k])])
        near = [start, (self.x[0, k], self.rise[0, k]), (self.x[0, k], self.height[k])]
        beyond = [far + signs * np.array([self.x[1, k], self.rise[1, k]]), far + signs * start]
        return np.array([*near, (far[0] + signs[0] * self.x[1, k], self.height[k]), *beyond], float)

    def level_ends(self, r: Recipe, flip: tuple[int, int]) -> jax.Array:
        """Where the broad parts of the levels begin and end along x, ascending, um [arm, 2]; ``flip`` as above."""
        columns = jnp.stack([self.x[0], self.far[0] + flip[0] * self.x[1]], axis=1)
        return jnp.sort(columns, axis=1) + (r.bend + r.step) * jnp.array([1.0, -1.0])

    def extent(self, flip: tuple[int, int]) -> tuple[Any, Any]:
        """(width, height) of the rectangle around the axes of all arms and the star couplers' lower ends, um."""
        far, top = self.far[0] + flip[0] * self.x[1], jnp.maximum(jnp.max(self.height), self.far[1])
        return jnp.maximum(self.x[0].max(), far.max()) - jnp.minimum(self.x[0].min(), far.min()), top

    def distances(self) -> dict[str, float]:
        """Smallest distance, um, of neighbouring uprights and of neighbouring levels; negative where they cross."""
        x, height = np.asarray(self.x), np.asarray(self.height)
        sense = 1.0 if height[-1] > height[0] else -1.0
        return {"uprights": float(np.diff(x, axis=1).min()), "levels": float((sense * np.diff(height)).min())}

    def together(self) -> dict[str, float]:
        """Longest stretches, um, along which neighbours run at these distances."""
        return {"uprights": float(self.upright.sum(0).max()), "levels": float(self.level.max())}


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
    k, angle = steps(r.count), r.angles
    slant, rise = _fan(r, angle, r.arm_pitch)
    arc, x = r.bend * jnp.abs(angle), r.arm_pitch * k
    free = (r.increment * k + r.offsets) / 2 - slant - r.arc_ratio(1 / r.bend) * arc - x
    upright = free + jnp.max(-free) + 2 * r.step + r.reserve
    shortest = r.step + jnp.maximum(r.reserve, r.level / 2)
    mirror = jnp.maximum(r.arm_pitch * (r.count - 1) / 2 + r.bend + shortest, r.apart / 2)
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
    k, angle = steps(r.count), r.angles
    slant, rise = _fan(r, angle, r.arm_pitch)
    arc, x = r.bend * jnp.abs(angle), r.arm_pitch * k
    aside, tangent = 1 - jnp.cos(angle), jnp.tan(jnp.abs(angle) / 2)
    turned = r.bend * jnp.sin(jnp.abs(angle))
    # path length is linear in the second fan's place t = spread k; see the equation of S - rise at both ends
    arcs = 2 * r.arc_ratio(1 / r.bend) * arc
    spent = slant + r.radius + r.taper - rise + arcs - turned - r.bend * tangent * aside
    spread = (k * (r.increment + r.arm_pitch) + r.offsets - spent) / (r.radius / r.pitch * aside + k)
    slant_far, rise_far = _fan(r, angle, spread)
    height = jnp.max(rise + r.level_pitch * k) + 2 * r.step + r.reserve + r.bend - r.level_pitch * k
    top = jnp.max(rise_far + height) + 2 * r.step + r.reserve + r.bend
    upright = jnp.stack([height - rise, top - height - rise_far]) - r.bend
    away = jnp.max(x - spread * k) + 2 * (r.bend + r.step) + jnp.maximum(r.reserve, r.level)
    level = away + spread * k - x - 2 * r.bend
    return Arms(
        angle, jnp.stack([slant, slant_far]), arc, jnp.stack([x, spread * k]), jnp.stack([rise, rise_far]), upright,
        level, height, (away, top),
    )  # fmt: skip


def _fan(r: Recipe, angle: jax.Array, spread: Any) -> tuple[jax.Array, jax.Array]:
    """(slant, height of the arc's end) for uprights at ``spread`` k: the tangents meet spread/pitch radii out."""
    tangent = spread / r.pitch * r.radius
    reach = tangent - r.bend * jnp.tan(jnp.abs(angle) / 2)
    return reach - r.radius - r.taper, reach * jnp.cos(angle) + r.bend * jnp.sin(jnp.abs(angle))
