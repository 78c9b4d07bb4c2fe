"""Arms of one arc each: straight out of a tilted star coupler, around to a vertical mirror plane, and back.

::

         ╭─────╮
        ╱ ╭───╮ ╲       arcs, each of its own radius
       ╱ ╱     ╲ ╲      slants
       ▔▔       ▔▔      star couplers, leaning towards each other

Source: Smit & van Dam, IEEE J. Sel. Top. Quantum Electron. 2, 236 (1996), fig. 3: with the angle psi between an arm's
start and the horizontal and the half length l as broad guide, the two conditions

    (R_f + S) cos psi + R sin psi = D          the arc ends level, in the mirror plane
    S + rho(1/R) R psi = l                     the length is right

give the radius R and the straight S of every arm; R_f includes the taper, and rho is the index of the arc over that of
the broad guide, which makes the increment exact where arcs are narrower than straights.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.optics.arm_array import Lengths, Recipe
from picq.optics.diffraction import steps

_ROUNDS = 6  # each gains a factor of some (rise of the index)/(index), below 1e-2
_SAMPLES = 48  # of a half arm, for distances


class Place(NamedTuple):
    """What is free in a horseshoe.

    Attributes:
        tilt: by which the star couplers lean towards the mirror plane, rad.
        half_span: from a star coupler's focus to the mirror plane, um.
        half_length: of the array's middle from the end of the taper to the mirror plane, as broad guide, um.
    """

    tilt: Any
    half_span: Any
    half_length: Any


class Horseshoe(NamedTuple):
    """Lengths and places of all arms, um and rad, [arm]; the second half is the mirror image of the first.

    Attributes:
        angle: of the slant to the vertical, positive to the right.
        slant: straight behind the taper, transition included.
        arc: half of it, up to the mirror plane.
        radius: of the arc.
        height: in the mirror plane.
        far: place of the second star coupler in the first one's frame, (x, y).
        start: from the focus to the end of the taper.
    """

    angle: jax.Array
    slant: jax.Array
    arc: jax.Array
    radius: jax.Array
    height: jax.Array
    far: tuple[Any, Any]
    start: Any

    def lengths(self, r: Recipe) -> Lengths:
        """What light passes."""
        return Lengths(2 * self.slant - 2 * r.step, 2 * self.arc, 1 / self.radius, 2, 0, 2)

    def sections(self, k: int, r: Recipe, euler: float) -> dict[str, Any]:
        """Lengths of arm k by section; ``euler`` is not used."""
        own = {"taper": r.taper, "slant": self.slant[k] - r.step, "step_slant": r.step, "arc": self.arc[k]}
        ends = [(end, n, v) for end in ("in", "out") for n, v in own.items()]
        return {f"{end}_{n}": v for end, n, v in ends if r.step or not n.startswith("step")}

    def corners(self, k: int, r: Recipe, flip: tuple[int, int]) -> np.ndarray:
        """Arm k's way as a polygon, um [corner, 2]; ``flip``: signs of the second star coupler's axes."""
        half = self.half()[k]
        mirrored = np.array([float(v) for v in self.far]) + np.array(flip) * half[::-1]
        return np.concatenate([half, mirrored[1:]])

    def half(self) -> np.ndarray:
        """Points along every arm from the taper's end to the mirror plane, um [arm, point, 2]."""
        angle, slant, arc, radius = (np.asarray(v)[:, None] for v in (self.angle, self.slant, self.arc, self.radius))
        along, side = np.stack([np.sin(angle), np.cos(angle)], -1), np.stack([-np.cos(angle), np.sin(angle)], -1)
        straight = np.linspace(0.0, 1.0, _SAMPLES // 2)[None, :, None] * slant[..., None] * along
        turned = (np.arange(1, _SAMPLES + 1) / _SAMPLES)[None] * arc / radius
        bent = radius[..., None] * (np.sin(turned)[..., None] * along + (1 - np.cos(turned))[..., None] * side)
        return float(self.start) * along + np.concatenate([straight, straight[:, -1:] + bent], axis=1)

    def extent(self, flip: tuple[int, int]) -> tuple[Any, Any]:
        """(width, height) of the rectangle around the axes of all arms and the star couplers' lower ends, um."""
        straight, psi = self.start + self.slant, jnp.pi / 2 + self.angle
        turned = jnp.where(self.angle > 0, self.radius * (1 - jnp.sin(psi)), 0.0)  # on, before it turns back
        aside = jnp.max(straight * jnp.sin(self.angle) + turned)
        return jnp.maximum(aside, 0.0) * 2 - self.far[0], jnp.max(self.height)

    def distances(self) -> dict[str, float]:
        """Smallest distance, um, of the axes of neighbouring arcs; negative where they cross in the mirror plane.
        Slants diverge, from as far apart as the star coupler has them."""
        half = self.half()
        inner, outer = half[:-1], half[1:, -_SAMPLES:]
        ahead, behind = inner[:, 1:], inner[:, :-1]
        way = ahead - behind
        point = outer[:, :, None] - behind[:, None]  # [pair, point, segment, 2]
        t = np.clip((point * way[:, None]).sum(-1) / (way**2).sum(-1)[:, None], 0.0, 1.0)
        apart = np.hypot(*np.moveaxis(point - t[..., None] * way[:, None], -1, 0)).min(axis=(1, 2))
        return {"arcs": float((np.sign(np.diff(np.asarray(self.height))) * apart).min())}

    def together(self) -> dict[str, float]:
        """Longest stretch, um, along which neighbours run side by side."""
        return {"arcs": float(2 * self.arc.max())}


def horseshoe(r: Recipe, place: Place) -> Horseshoe:
    """The table of a horseshoe; radii and straights come out as the two conditions have them, possible or not."""
    k, angle = steps(r.count), r.angles - place.tilt
    psi, start = jnp.pi / 2 + angle, r.radius + r.taper
    half = place.half_length + (r.increment * k + r.offsets) / 2
    excess = place.half_span - (start + half) * jnp.cos(psi)
    ratio: Any = r.arc_ratio(0.0)
    for _ in range(_ROUNDS):
        radius = excess / (jnp.sin(psi) - ratio * psi * jnp.cos(psi))
        ratio = r.arc_ratio(1 / jnp.maximum(radius, r.bend))  # tighter ones are refused anyhow
    slant = half - ratio * radius * psi
    height = (start + slant) * jnp.sin(psi) + radius * (1 - jnp.cos(psi))
    return Horseshoe(angle, slant, radius * psi, radius, height, (-2 * place.half_span, 0.0), start)
