"""Multimode interference by propagation of the modes of a broad waveguide between sine-shaped walls."""

from typing import Any

import jax
import jax.numpy as jnp

_MODES = 24


def effective_width(wl: Any, width: Any, n_core: Any, n_clad: Any) -> Any:
    """Width of the equivalent hard-walled guide, um, for TE light of a slab (field across the side walls).

    W_e = W + (wl/pi) (n_c/n_r)² (n_r² - n_c²)^-1/2, Soldano & Pennings, J. Lightwave Technol. 13, 615 (1995), eq. 3
    with sigma = 1.
    """
    return width + wl / jnp.pi * (n_clad / n_core) ** 2 / jnp.sqrt(n_core**2 - n_clad**2)


def transmission(
    wl: jax.Array,
    length: Any,
    width: Any,
    n_core: Any,
    n_clad: Any,
    inputs: tuple[Any, ...],
    outputs: tuple[Any, ...],
    access_width: Any,
) -> list[list[jax.Array]]:
    """Amplitudes from each input to each output of a multimode section.

    The access guides carry cosine modes of their own effective width; the section carries sines between hard walls at
    its effective width, with propagation constants beta_v = sqrt(k² n_core² - (pi (v+1)/W_e)²) (the exact form of the
    parabolic expansion in Soldano & Pennings, eq. 5). Projection on orthonormal modes keeps the model passive.

    Args:
        wl: wavelengths, um, shape [wl].
        length, width: of the section, um.
        n_core: slab index, shape [wl] or scalar.
        n_clad: cladding index.
        inputs, outputs: centres of the access guides, um from the axis of the section.
        access_width: drawn width of the access guides, um.

    Returns:
        amplitudes[i][j] from input i to output j, each complex [wl].
    """
    wl = jnp.asarray(wl)[..., None]
    n_core = jnp.asarray(n_core)[..., None]
    wall = effective_width(wl, width, n_core, n_clad)
    access = effective_width(wl, access_width, n_core, n_clad)
    order = jnp.arange(1, _MODES + 1)
    q = jnp.pi * order / wall
    beta2 = (2 * jnp.pi * n_core / wl) ** 2 - q**2
    beta = jnp.sqrt(jnp.maximum(beta2, 1e-12))  # modes beyond cut-off take no part; the floor keeps gradients finite
    phase = (beta2 > 0) * jnp.exp(1j * beta * length)

    def overlap(centre: Any) -> jax.Array:
        return _sine_cosine_overlap(q, wall, access, centre + wall / 2)

    return [[jnp.sum(overlap(i) * phase * overlap(o), axis=-1) for o in outputs] for i in inputs]


def _sine_cosine_overlap(q: Any, wall: Any, access: Any, centre: Any) -> jax.Array:
    """∫ sqrt(2/W) sin(q x) sqrt(2/a) cos(pi (x - c)/a) dx over the access guide |x - c| < a/2.

    By product-to-sum: sin(q c) times the cosine transform of the access mode; the sine part vanishes by symmetry.
    """
    p = jnp.pi / access
    half = access / 2

    def integral(k: Any) -> jax.Array:  # ∫_{-half}^{half} cos(k s)/2 ds
        return half * jnp.sinc(k * half / jnp.pi)

    transform = integral(q - p) + integral(q + p)
    return 2.0 / jnp.sqrt(wall * access) * jnp.sin(q * centre) * transform
