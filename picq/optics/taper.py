"""Tapers: how much light a widening guide hands over to its next symmetric mode, by coupled local modes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from picq.optics.multimode import Lateral, Wall, lateral_modes

_PLACES = 17


def coupling(wall: Wall, width: Any) -> tuple[jax.Array, jax.Array]:
    """(C, beta_0 - beta_2) of te0 and te2 of a guide: C = (<phi_2|d phi_0/dw> - <phi_0|d phi_2/dw>)/2, both in 1/um.

    Differentiating the modes' equation at moving walls, where their fields are F_0 and F_2:
    C (q_2² - q_0²) = F_0 F_2 (r v² + r (r - 1) g_0 g_2 - (r - 1)(q_0² + q_2²)/2). For r = 1 it is that of Snyder &
    Love, Optical Waveguide Theory, ch. 28, but for (beta_0 + beta_2)/(2 sqrt(beta_0 beta_2)), 1 within a percent.
    Zero where te2 is cut off: what te0 loses to radiation there is not in it.
    """
    low, high = _te0_te2(wall, width)
    product = low.scale * low.edge[0] * high.scale * high.edge[0]
    moved = wall.r * wall.v**2 + (wall.r - 1) * (wall.r * low.g * high.g - (low.q**2 + high.q**2) / 2)
    return product * moved / (high.q**2 - low.q**2), low.beta - high.beta


@jax.jit
def converted(wall: Wall, width1: Any, width2: Any, length: Any) -> jax.Array:
    """Fraction of te0's power that a linear taper hands over to te2, shape [wl].

    |∫ C(w) exp(i Phi) dw|² with Phi = ∫ (beta_0 - beta_2) dz, to first order in the coupling (Snyder & Love, ch. 28;
    Milton & Burns, IEEE J. Quantum Electron. 13, 828 (1977)). Filon's rule: C/(dPhi/dw) is linear in Phi between
    places, so the cost does not grow with the length; the fraction falls as 1/length², with the beats of both ends.
    First order: right while the fraction is small; at 0.1 and above it says that the taper is too short, not how much
    it loses. Up to ten times as wide the places are close enough for 2 % of the fraction, at forty times 8 %.

    Args:
        wall: of the guide, leaves of shape [wl].
        width1, width2: at the ends, as made, um.
        length: um.
    """
    s = jnp.linspace(0.0, 1.0, _PLACES)
    c, difference = coupling(wall.spread, width1 + (width2 - width1) * s)
    rate = length * difference  # of the phase, per step of s
    slope = c * (width2 - width1) / rate
    step = (rate[..., 1:] + rate[..., :-1]) / 2 * (s[1] - s[0])
    phase = jnp.concatenate([jnp.zeros_like(step[..., :1]), jnp.cumsum(step, axis=-1)], axis=-1)
    wave = jnp.exp(1j * phase)
    ends = slope[..., -1] * wave[..., -1] - slope[..., 0] * wave[..., 0]
    bends = jnp.sum(jnp.diff(slope, axis=-1) / step * jnp.diff(wave, axis=-1), axis=-1)
    amplitude = -1j * ends + bends
    return amplitude.real**2 + amplitude.imag**2


def adiabatic_angle(wall: Wall, width: Any) -> jax.Array:
    """Largest slope of a side wall, rad, at which a taper of that width is adiabatic: w (beta_0 - beta_2)/(4 pi).

    The wall may move by its distance from the axis within a beat length of te0 and te2 (Snyder & Love, ch. 19); where
    te2 is cut off, the beat is that with light at the cut-off.
    """
    low, high = _te0_te2(wall, width)
    return width * (low.beta - high.beta) / (4 * jnp.pi)


def _te0_te2(wall: Wall, width: Any) -> tuple[Lateral, Lateral]:
    """Both modes of a guide; the wall's leaves and the width broadcast."""
    both = lateral_modes(wall.spread, jnp.stack([jnp.asarray(width, float)] * 2, axis=-1), np.array([0, 2]))
    return jax.tree.map(lambda leaf: leaf[..., 0], both), jax.tree.map(lambda leaf: leaf[..., 1], both)
