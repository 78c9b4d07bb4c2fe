"""Parabolic horns: the field at the end of a guide that widens as W² = w0² + (W_L² - w0²) z/L, by coupled local modes.

Fed by its fundamental mode, such a horn may end in a field with two peaks, which flattens the passbands of an arrayed-
waveguide grating (Okamoto & Sugita, Electron. Lett. 32, 1661 (1996)). The local modes are those of the equivalent side
wall (multimode.py), and what couples them is how the walls move (taper.py).

In ln W the coupling between hard walls is constant, and so are the beats of paraxial modes along this very shape. Hence
slices of equal ln W, each a rotation between two halves of its phases, so that power is kept to rounding. They cost
1e-3 in the amplitudes up to four times as wide as the access guide and 60 um long, 2e-3 at eight times and 110 um.

Neglected: reflections, the spread of beta in the coupling, (beta_m + beta_n)/(2 sqrt(beta_m beta_n)), up to 0.005, and
light in modes where they are cut off, which radiate. A staircase of guides that radiates puts that at 0.02 of the
amplitude of te2 in silicon, 1 to 3 um wide, 3 um long, at 0.009 with 5 um and 0.002 with 12 um; but at 0.08 in nitride,
1 to 4 um, where te2 does not exist in the access guide. That should guide te2: v w0 > 2 pi.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from picq.optics.multimode import Wall, lateral_modes
from picq.optics.taper import coupling

_SLICES = 128
_SPARE = 4  # modes above those returned, which exchange light with them: 2e-3 at four access widths, 7e-3 at six


@partial(jax.jit, static_argnames=("count",))
def parabolic(wall: Wall, length: Any, width: Any, access_width: Any, count: int = 4) -> jax.Array:
    """Amplitudes [wl, mode] of the first even modes at the end of a horn, as cosines that are positive in the middle,
    without the phase of the fundamental mode: the form of ``multimode.image``.

    Smooth in all arguments but for the cut-offs, whose trace over wavelengths is below 1e-4.

    Args:
        wall: of the guides, leaves of shape [wl].
        length: of the horn, um.
        width: at its end, as made, um; not below that of the access guide.
        access_width: at its start, as made, um, where all light is in the fundamental mode.
        count: of modes.
    """
    wall = Wall(*jnp.broadcast_arrays(*map(jnp.asarray, wall)))
    here, orders = wall.spread.spread, np.arange(0, 2 * (count + _SPARE), 2)  # leaves against [wl, slice, mode]
    edges = access_width * (width / access_width) ** jnp.linspace(0.0, 1.0, _SLICES + 1)[:, None]
    start, end = edges[:-1], edges[1:]
    # a mode takes part from its cut-off on, also within a slice: by whole slices, derivatives would jump
    opening = jnp.clip(orders * jnp.pi / here.v, start, end)
    modes, opened = lateral_modes(here, (opening + end) / 2, orders), end - opening
    turn = coupling(here, modes) * jnp.minimum(opened[..., :, None], opened[..., None, :])
    dz = length * start**2 / jnp.sum(start**2)
    half = jnp.exp(0.5j * (modes.beta - modes.beta[..., :1]) * dz)

    def through(amplitudes: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        half, rotation = one
        return half * jnp.einsum("...mn,...n->...m", rotation, half * amplitudes), None

    first = jnp.zeros((*wall.k.shape, len(orders)), complex).at[..., 0].set(1.0)
    slices = jnp.moveaxis(half, -2, 0), jnp.moveaxis(_rotation(turn), -3, 0)
    return jax.lax.scan(through, first, slices)[0][..., :count]


def _rotation(turn: jax.Array) -> jax.Array:
    """exp of small antisymmetric matrices by Padé's rational function of degree 2, which is orthogonal too."""
    even, odd = jnp.eye(turn.shape[-1]) + turn @ turn / 12, turn / 2
    return jnp.linalg.solve(even - odd, even + odd)
