"""Films without side walls: the closed-form limit of an infinitely wide guide."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from picq.optics.root import implicit_root

Indices = tuple[Any, Any, Any]
_STEPS = 60  # of bisection: the bracket shrinks below the spacing of doubles


@partial(jax.jit, static_argnames=("te",))
def slab_index(wl: Any, thickness: Any, film: Indices, below: Indices, above: Indices, *, te: bool = True) -> jax.Array:
    """Effective index of the fundamental mode of a three-layer film, propagating along z, with E along x (te) or y.

    k_y t = atan(r_b g_b / k_y) + atan(r_a g_a / k_y), with k_y² = k² (n_f² - n²), g² = k² (n² - n_c²) and r = 1 for te;
    for tm the fields obey n²/eps_y + (k_y/k)²/eps_z = 1 and r = eps_z,film / eps_z,cladding (Yariv & Yeh, Photonics,
    6th ed., sect. 3.2, with a diagonal tensor). Differentiable.

    Args:
        wl: wavelength, um; broadcasts with the rest.
        thickness: of the film, um.
        film, below, above: refractive indices along x, y, z.
        te: polarisation.

    Returns:
        The index; where the mode is cut off, that of the denser cladding.
    """

    def phase(n2: jax.Array, args: Any) -> jax.Array:
        """Rises with n²; zero at the mode."""
        wl, thickness, (fx, fy, fz), claddings = args
        if te:
            ky = jnp.sqrt(fx**2 - n2)
            sides = [(1.0, jnp.sqrt(jnp.maximum(n2 - c[0] ** 2, 0.0))) for c in claddings]
        else:
            ky = fz * jnp.sqrt(1 - n2 / fy**2)
            sides = [(fz**2 / c[2] ** 2, c[2] * jnp.sqrt(jnp.maximum(n2 / c[1] ** 2 - 1, 0.0))) for c in claddings]
        return sum(jnp.arctan2(r * g, ky) for r, g in sides) - ky * thickness * 2 * jnp.pi / wl

    def ends(args: Any) -> tuple[jax.Array, jax.Array]:
        """n² between which the mode lies: that of the denser cladding, and the film's."""
        _, _, (fx, fy, _), claddings = args
        shape = jnp.broadcast_shapes(*(jnp.shape(leaf) for leaf in jax.tree.leaves(args)))
        floor = jnp.maximum(*(c[0] if te else c[1] for c in claddings))
        return jnp.broadcast_to(floor**2, shape), jnp.broadcast_to((fx if te else fy) ** 2, shape)

    def find(args: Any) -> jax.Array:
        def halve(_: Any, bracket: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            low, high = bracket
            middle = (low + high) / 2
            above_root = phase(middle, args) > 0
            return jnp.where(above_root, low, middle), jnp.where(above_root, middle, high)

        low, high = floor, top = ends(args)
        low, high = jax.lax.fori_loop(0, _STEPS, halve, (low, high))
        cut_off = phase(floor, args) >= 0  # any harmless point does there
        return jnp.asarray(jnp.where(cut_off, floor + top, low + high)) / 2

    args = jax.tree.map(lambda v: jnp.asarray(v, float), (wl, thickness, film, (below, above)))
    floor, _ = ends(args)
    guided = phase(floor, args) < 0  # the phase rises: a root lies above
    return jnp.sqrt(jnp.asarray(jnp.where(guided, implicit_root(phase, find, args), floor)))
