"""Waveguides: propagation along straights and bends."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import fresnel

if TYPE_CHECKING:
    from picq.technology import Technology

BEND_P = 0.5
"""Clothoid fraction of Euler bends where a device does not say otherwise; gdsfactory's default too."""


def propagate(wl: Any, n_eff: Any, length: Any, loss_db_cm: Any) -> jax.Array:
    """Complex amplitude after ``length`` um: phase exp(+2 pi i n_eff L / wl), power loss in dB/cm."""
    amplitude = 10.0 ** (-loss_db_cm * 1e-4 * length / 20.0)
    return amplitude * jnp.exp(2j * jnp.pi * n_eff * length / wl)


def propagate_bent(wl: Any, tech: "Technology", cross_section: str, length: Any, bends: int) -> jax.Array:
    """Complex amplitude of a guide with Euler bends of its default radius, as its place sees ``tech``.

    Args:
        wl: wavelengths, um.
        tech: gives index, loss and bends of the cross-section.
        cross_section: its name.
        length: of the whole centre line, um.
        bends: how many of its turns are bends of 90 degrees.
    """
    xs = tech.guide(cross_section)
    straight = propagate(wl, tech.n_eff(cross_section, wl), length, xs.loss_db_cm)
    return straight * tech.bend(cross_section).euler_excess(wl, xs.radius, BEND_P, 90.0) ** bends


def amplitude_db(loss_db: Any) -> Any:
    """Amplitude factor of a power loss in dB."""
    return 10.0 ** (-loss_db / 20.0)


def euler_length_factor(p: float, angle_deg: float = 90.0) -> float:
    """Length over effective radius of an Euler bend: clothoid, arc, clothoid.

    ``p`` is the fraction of the angle turned on the clothoids; the effective radius is that of the circular arc with
    the same end points (gdsfactory's ``use_eff=True``). Source: Vogelbacher et al., Opt. Express 27, 31394 (2019),
    eqs. 1-4; gdsfactory's documentation of ``path.euler``.
    """
    alpha = np.deg2rad(angle_deg)
    x, y, length, _ = _unit_euler(p, alpha)
    return length * 2 * np.sin(alpha / 2) / np.hypot(x, y)


def euler_curvature_integral(p: float, angle_deg: float = 90.0) -> float:
    """R ∫ kappa² ds of an Euler bend of effective radius R (dimensionless; the angle itself for a circular arc).

    With curvature rising linearly to k over each clothoid of length s, ∫ kappa² ds = 2 k² s/3 + k * (arc angle).
    """
    alpha = np.deg2rad(angle_deg)
    length = euler_length_factor(p, angle_deg)
    _, _, unit_length, unit_integral = _unit_euler(p, alpha)
    return unit_integral * unit_length / length


def _unit_euler(p: float, alpha: float) -> tuple[float, float, float, float]:
    """End point, length and ∫ kappa² ds of an Euler bend with smallest radius 1 and total angle alpha."""
    half = p * alpha / 2  # angle turned on each clothoid
    s = 2 * half  # its length: half = s / 2 for end curvature 1
    root = np.sqrt(np.pi * s)
    fs, fc = fresnel(s / root) if s else (0.0, 0.0)
    x1, y1 = root * fc, root * fs
    arc = alpha - 2 * half
    # to the end of the arc, then the clothoid mirrored
    x2 = x1 + np.sin(half + arc) - np.sin(half)
    y2 = y1 - np.cos(half + arc) + np.cos(half)
    x3 = x2 + x1 * np.cos(alpha) + y1 * np.sin(alpha)
    y3 = y2 + x1 * np.sin(alpha) - y1 * np.cos(alpha)
    return float(x3), float(y3), float(2 * s + arc), float(2 * s / 3 + arc)
