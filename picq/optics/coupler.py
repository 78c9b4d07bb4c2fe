"""Two coupled waveguides: power exchange from the supermode splitting, integrated along the bends."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from picq.optics.waveguide import ExpandedIndex

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ExpandedSplitting:
    """Supermode splitting n_e - n_o of two equal waveguides, interpolated in the gap, expanded in the rest.

    ``ln(n_e - n_o) = A(g) + s_w dw + s_t dt + s_wl dwl + c_wl dwl² - (gamma - gamma_0)(g - g0)`` with
    A(g) = a - b g + c exp(-d g) through the reference gaps. The slopes s hold at g0; away from g0 they follow the
    evanescent decay gamma = (2 pi/wl) sqrt(n_eff² - n_clad²), which is computed from the waveguide's own index.

    Attributes:
        fit: (a, b, c, d).
        slopes: (s_w, s_t, s_wl) in 1/um, at g0.
        curvature_wl: c_wl in 1/um².
        gap0, width0: reference gap and width, um.
        n_clad: cladding index.
        waveguide: index model of one waveguide alone.
        gap_range: where A(g) was fitted, um; beyond the upper end it continues exponentially.
    """

    fit: jax.Array
    slopes: jax.Array
    curvature_wl: Any
    gap0: Any
    width0: Any
    n_clad: Any
    waveguide: ExpandedIndex
    gap_range: tuple[float, float] = field(metadata={"static": True})

    def splitting(self, wl: Any, gap: Any, width: Any, thickness: Any) -> jax.Array:
        """n_e - n_o; all arguments in um, broadcast."""
        a, b, c, d = self.fit
        guide = self.waveguide
        gamma = self._decay(wl, width, thickness)
        gamma0 = self._decay(guide.wl0, self.width0, guide.thickness0)
        deviation = (
            self.slopes[0] * (width - self.width0)
            + self.slopes[1] * (thickness - guide.thickness0)
            + self.slopes[2] * (wl - guide.wl0)
            + self.curvature_wl * (wl - guide.wl0) ** 2
        )
        return jnp.exp(a - b * gap + c * jnp.exp(-d * gap) + deviation - (gamma - gamma0) * (gap - self.gap0))

    def kappa(self, wl: Any, gap: Any, width: Any, thickness: Any) -> jax.Array:
        """Coupling in rad/um: kappa = pi (n_e - n_o)/wl; the cross power after L is sin²(kappa L)."""
        return jnp.pi * self.splitting(wl, gap, width, thickness) / wl

    def _decay(self, wl: Any, width: Any, thickness: Any) -> jax.Array:
        n = self.waveguide.n_eff(wl, width, thickness, self.waveguide.temperature0_k)
        return 2 * jnp.pi / wl * jnp.sqrt(n**2 - self.n_clad**2)


def fit_gap(gaps: np.ndarray, splittings: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients (a, b, c, d) of ln(splitting) = a - b g + c exp(-d g), and the largest residual of the logarithm."""
    y = np.log(splittings)

    def residual(p: np.ndarray) -> np.ndarray:
        return p[0] - p[1] * gaps + p[2] * np.exp(-p[3] * gaps) - y

    fit = least_squares(residual, [-2.0, 8.0, 0.5, 15.0], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return fit.x, float(np.abs(residual(fit.x)).max())


def s_bend(offset: Any, radius: Any) -> tuple[Any, Any, Any]:
    """Two equal arcs that displace a waveguide sideways by ``offset`` um.

    Returns:
        (angle of each arc in rad, total length in um, extent along the axis in um). From offset = 2 R (1 - cos a).
    """
    angle = jnp.arccos(1 - offset / (2 * radius))
    return angle, 2 * radius * angle, 2 * radius * jnp.sin(angle)


def s_bend_phase(
    model: ExpandedSplitting, wl: jax.Array, gap: Any, width: Any, thickness: Any, offset: Any, radius: Any
) -> Any:
    """Coupling phase ∫ kappa(g(s)) ds of two S-bends that part symmetrically from ``gap``, in rad, shape [wl].

    g(s) = gap + 2 R (1 - cos(s/R)) on the first arcs and its mirror image on the second, as in coupled-mode theory of
    slowly diverging guides; the integral is by Gauss-Legendre quadrature on each arc.
    """
    angle, _, _ = s_bend(offset, radius)
    theta = angle * (jnp.asarray(_NODES) + 1) / 2
    weight = radius * angle * jnp.asarray(_WEIGHTS) / 2
    near = gap + 2 * radius * (1 - jnp.cos(theta))
    far = gap + 2 * offset - 2 * radius * (1 - jnp.cos(theta))
    wl = jnp.asarray(wl)[..., None]
    kappa = model.kappa(wl, near, width, thickness) + model.kappa(wl, far, width, thickness)
    return jnp.sum(kappa * weight, axis=-1)
