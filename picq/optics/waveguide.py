"""Waveguides: effective index as a smooth function of geometry, propagation, bends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import fresnel

if TYPE_CHECKING:
    from picq.technology import Technology

BEND_P = 0.5
"""Clothoid fraction of Euler bends where a device does not say otherwise; gdsfactory's default too."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ExpandedIndex:
    """Effective index of one guided mode, interpolated in width and expanded to first order in the rest.

    ``n(w, t, wl, T) = N(u) + (N(u) - G(u)) (wl - wl0)/wl0 + H(u) (t - t0) + dn_dT (T - T0)``, with u = 1/w: N matches
    value and slope at each reference width, G the group index, H the thickness slope. The group index is constant in
    wl. A table baked by a mode solver can take this class's place: what picq calls is ``n_eff`` and the two ranges.

    Attributes:
        index: coefficients of N, ascending powers of u (um).
        group: coefficients of G.
        thickness_slope: coefficients of H (1/um).
        dn_dtemperature_k: dn_eff/dT, 1/K.
        wl0, thickness0, temperature0_k: the expansion point: um, um, K.
        wl_range, width_range: where the expansion holds, um.
    """

    index: jax.Array
    group: jax.Array
    thickness_slope: jax.Array
    dn_dtemperature_k: Any
    wl0: Any
    thickness0: Any
    temperature0_k: Any
    wl_range: tuple[float, float] = field(metadata={"static": True})
    width_range: tuple[float, float] = field(metadata={"static": True})

    def n_eff(self, wl: Any, width: Any, thickness: Any, temperature_k: Any) -> jax.Array:
        """Effective index; wl, width, thickness in um, temperature in K; the arguments broadcast."""
        u = 1.0 / jnp.asarray(width)
        n = jnp.polyval(self.index[::-1], u)
        slope_wl = (n - jnp.polyval(self.group[::-1], u)) / self.wl0
        slope_t = jnp.polyval(self.thickness_slope[::-1], u)
        return (
            n
            + slope_wl * (jnp.asarray(wl) - self.wl0)
            + slope_t * (thickness - self.thickness0)
            + self.dn_dtemperature_k * (temperature_k - self.temperature0_k)
        )


def hermite_coefficients(nodes: Sequence[tuple[float, float, float | None]]) -> np.ndarray:
    """Ascending coefficients of the polynomial of least degree through (x, value, slope or None) nodes."""
    count = sum(1 if slope is None else 2 for _, _, slope in nodes)
    rows, values = [], []
    for x, value, slope in nodes:
        rows.append([x**k for k in range(count)])
        values.append(value)
        if slope is not None:
            rows.append([k * x ** max(k - 1, 0) for k in range(count)])
            values.append(slope)
    return np.linalg.solve(np.array(rows, float), np.array(values, float))


def propagate(wl: Any, n_eff: Any, length: Any, loss_db_cm: Any) -> jax.Array:
    """Complex amplitude after ``length`` um: phase exp(+2 pi i n_eff L / wl), power loss in dB/cm."""
    amplitude = 10.0 ** (-loss_db_cm * 1e-4 * length / 20.0)
    return amplitude * jnp.exp(2j * jnp.pi * n_eff * length / wl)


def propagate_bent(
    wl: Any, tech: "Technology", cross_section: str, length: Any, curvature: Any, width: Any = None
) -> jax.Array:
    """Complex amplitude of a guide with bends, as its place sees ``tech``: n_eff rises by c/R² along them.

    Args:
        wl: wavelengths, um.
        tech: gives index, loss and c of the cross-section.
        cross_section: its name.
        length: of the whole centre line, um.
        curvature: ∫ ds/R² along it, 1/um.
        width: drawn width, um; the cross-section's own by default.
    """
    xs = tech.cross_section(cross_section)
    n_eff = tech.n_eff(cross_section, wl, width) + xs.bend_index_um2 * curvature / length
    return propagate(wl, n_eff, length, xs.loss_db_cm)


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
