"""Tapers: how much light a widening guide hands over to its next symmetric mode, by coupled local modes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from picq.optics.multimode import Lateral, Wall, lateral_modes

_PLACES = 17


def coupling(wall: Wall, modes: Lateral) -> jax.Array:
    """C[..., m, n] = (<phi_n|d phi_m/dw> - <phi_m|d phi_n/dw>)/2 of even modes, 1/um: da_m/dw of an amplitude a_n where
    the width w grows, as cosines that are positive in the middle.

    Differentiating the modes' equation at moving walls, where their fields are F_m and F_n:
    C (q_n² - q_m²) = F_m F_n (r v² + r (r - 1) g_m g_n - (r - 1)(q_m² + q_n²)/2). For r = 1 it is that of Snyder &
    Love, Optical Waveguide Theory, ch. 28, but for (beta_m + beta_n)/(2 sqrt(beta_m beta_n)), 1 within a percent.
    Zero where one of the two is cut off: what is lost to radiation there is not in it. Between hard walls it is
    (-1)^(i + j) 2 p_i p_j/(p_j² - p_i²)/w of the i-th and j-th even mode, p = 2 i + 1.

    Args:
        wall: leaves that broadcast with those of the modes.
        modes: even ones, on the last axis.
    """
    at_wall = modes.scale * modes.edge[0] * (-1.0) ** np.arange(len(modes.order))
    (f, f_), (q, q_), (g, g_) = ((x[..., :, None], x[..., None, :]) for x in (at_wall, modes.q, modes.g))
    r, v = wall.spread.r, wall.spread.v
    moved = f * f_ * (r * v**2 + (r - 1) * (r * g * g_ - (q**2 + q_**2) / 2))
    apart = (q_ - q) * (q_ + q)
    return jnp.asarray(jnp.where(apart == 0, 0.0, moved / jnp.where(apart == 0, 1.0, apart)))


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
    modes = _te0_te2(wall.spread, width1 + (width2 - width1) * s)
    c = coupling(wall.spread.spread, modes)[..., 0, 1]
    rate = length * (modes.beta[..., 0] - modes.beta[..., 1])  # of the phase, per step of s
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
    beta = _te0_te2(wall, width).beta
    return width * (beta[..., 0] - beta[..., 1]) / (4 * jnp.pi)


def _te0_te2(wall: Wall, width: Any) -> Lateral:
    """Both modes of a guide on the last axis; the wall's leaves and the width broadcast."""
    return lateral_modes(wall.spread, jnp.stack([jnp.asarray(width, float)] * 2, axis=-1), np.array([0, 2]))
