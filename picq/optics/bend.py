"""Bends: what curvature does to a guided mode, solved once per cross-section and kept as short fits in the curvature.

Four quantities of a bend of radius R, each from the mode in the cylindrical metric (``modes.solve`` with ``radius``):
the rise of the effective index, the power lost where a straight guide meets an arc, the power that an arc radiates, and
the factor F by which curvature changes the coupling of a ring to a straight bus (``coupling_factor``).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from scipy.interpolate import CubicSpline

from picq.errors import NumericsError
from picq.optics import modes
from picq.optics.fields import copies, match, power, transverse
from picq.optics.material import REFERENCE_K
from picq.optics.profile import Profile
from picq.optics.waveguide import euler_length_factor

SMALLEST = 1 / 1.5
"""Smallest baked radius over the cross-section's least radius: an Euler bend's tightest place is 0.71 of its radius."""
_RADII = (1.0, 1.3, 2.0, 5.0)  # of the fits, over the smallest
_CHECK = 1.6  # of the radius at which they are checked
_DECAYS = (9.0, 12.0, 15.0)  # nepers of radiation at the radii of its fit
_CHECK_DECAY = 18.0
_REACH, _ABSORBER = 4.0, 3.0  # um from the core to the absorbing layer, and its extent
_CELLS = (18, 8)  # at level 1, on each side of the core: next to it, and in the absorbing layer
_LEVEL = 2
_STEPS = 160  # along the arc
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bend:
    """How a cross-section behaves in a bend, against the curvature u = 1/R (1/um).

    Attributes:
        index: c_k of the rise of n_eff, u² (c_0 + c_1 u² + …), um².
        mismatch: m_k of the loss at a straight-arc junction, u² (m_0 + m_1 u² + …), dB um².
        radiation: (a, b) of the power radiated per um of arc, a exp(-b/u): 1/um, 1/um.
        coupling: f_k of F = 1 + f_1 u + f_2 u² + …, um.
        radius_min: the fits hold from this radius upwards, um.
    """

    index: Any
    mismatch: Any
    radiation: Any
    coupling: Any
    radius_min: float = field(metadata={"static": True})

    def index_rise(self, curvature: Any) -> jax.Array:
        """n_eff of the bend minus that of the straight guide; even in the curvature."""
        return self._even(self.index, curvature)

    def mismatch_db(self, curvature: Any) -> jax.Array:
        """Loss in dB where a straight guide meets an arc. Euler bends, of continuous curvature, have no such junction.

        Where two arcs of opposite curvature meet, the modes lie twice as far apart and the loss is four times this.
        """
        return self._even(self.mismatch, curvature)

    def radiated(self, curvature: Any) -> jax.Array:
        """Power radiated per um of arc: a exp(-b R), Marcuse, Bell Syst. Tech. J. 50, 2551 (1971)."""
        u = jnp.abs(self._inside(curvature))
        start, decay = self.radiation
        straight = u == 0
        radius = 1 / (u + straight)  # any finite one for a straight guide, so that its gradient is finite
        return ~straight * start * jnp.exp(-decay * radius)

    def coupling_factor(self, curvature: Any) -> jax.Array:
        """F: coupling phase of a ring and a bus over that of parallel guides of the same gaps (see the function)."""
        u = jnp.abs(self._inside(curvature))
        return 1 + u * jnp.polyval(jnp.asarray(self.coupling)[::-1], u)

    def lossless(self) -> "Bend":
        """The same bend without junction loss and radiation."""
        return dataclasses.replace(self, mismatch=0.0 * jnp.asarray(self.mismatch), radiation=(0.0, self.radiation[1]))

    def excess(self, wl: Any, length: Any, curvature: Any) -> jax.Array:
        """Amplitude along a circular arc over that along a straight guide of the same length, without junctions."""
        return _excess(wl, self.index_rise(curvature) * length, self.radiated(curvature) * length)

    def euler_excess(self, wl: Any, radius: Any, p: float, angle_deg: float) -> jax.Array:
        """The same of an Euler bend: integrals along its curvature, which rises linearly, stays, and falls.

        Args:
            wl: wavelengths, um.
            radius: effective radius, um.
            p: fraction of the angle turned on the clothoids.
            angle_deg: total angle.
        """
        angle = np.deg2rad(abs(angle_deg))
        length = radius * euler_length_factor(p, abs(angle_deg))
        largest = angle * (1 + p) / length  # the angle is ∫ u ds; each clothoid is p angle / largest long
        u = largest * (jnp.asarray(_NODES) + 1) / 2

        def along(f: Any) -> jax.Array:
            return (p * jnp.dot(f(u), jnp.asarray(_WEIGHTS)) + (1 - p) * f(largest)) * angle / largest

        return _excess(wl, along(self.index_rise), along(self.radiated))

    def _even(self, c: Any, curvature: Any) -> jax.Array:
        u2 = self._inside(curvature) ** 2
        return u2 * jnp.polyval(jnp.asarray(c)[::-1], u2)

    def _inside(self, curvature: Any) -> Any:
        if not isinstance(curvature, Tracer) and not np.max(np.abs(curvature)) * self.radius_min <= 1 + 1e-9:
            raise NumericsError(
                "a bend is tighter than its model holds",
                got=f"radius of curvature {1 / np.max(np.abs(curvature)):g} um",
                allowed=f"at least {self.radius_min:g} um",
                remedy="choose a larger radius; an Euler bend's tightest place is 0.71 of its radius at p = 0.5",
            )
        u = jnp.asarray(curvature, float)
        return jnp.where(jnp.abs(u) * self.radius_min <= 1 + 1e-9, u, jnp.nan)  # traced values cannot be refused


def _excess(wl: Any, optical_path: Any, nepers: Any) -> jax.Array:
    return jnp.exp(2j * jnp.pi * optical_path / jnp.asarray(wl) - nepers / 2)


def from_dict(d: Mapping[str, Any]) -> Bend:
    """The bend of ``bake_bend``."""
    arrays = {name: jnp.asarray(d[name], float) for name in ("index", "mismatch", "radiation", "coupling")}
    return Bend(**arrays, radius_min=float(d["radius_min"]))


def bake_bend(
    profile: Profile, wl: float, radius_min: float, mode: str = "te0", *, temperature_k: float = REFERENCE_K
) -> dict[str, Any]:
    """Solve the bends of a cross-section and reduce them to the fits of ``Bend``.

    The index rise and the mismatch are fitted by quadratics in 1/R², F by a cubic in 1/R, through four radii from
    ``SMALLEST`` times ``radius_min`` to five times that. The radiated power is fitted where it is large enough to be
    solved for, at radii that attenuate it by 9 to 15 nepers; beyond, its logarithm is linear in R (Marcuse), and beyond
    all double precision for strong guides. Wavelength: the quantities are corrections, and kept at the one given.

    Args:
        profile: made with ``whole=True``; its margins beside the core are replaced.
        wl: wavelength, um.
        radius_min: least radius of the cross-section's bends, um.
        mode: the guided mode.
        temperature_k: of all materials.

    Returns:
        Plain numbers: ``Bend``'s coefficients, ``radius_min`` (where the fits begin), ``wl``, ``mode``, and ``errors``:
        largest relative error of each quantity at a radius that was not fitted (of ``radiation``: of its logarithm;
        of ``coupling``: of F).

    Raises:
        NumericsError: the mode is cut off, or does not exist in a bend.
    """
    near = _widened(profile, _REACH)
    solve = lambda p, radius: modes.solve(p, wl, mode, temperature_k=temperature_k, radius=radius, levels=(_LEVEL,))
    straight = solve(near, None)

    smallest = SMALLEST * radius_min
    radii = smallest * np.array([*_RADII, _CHECK])
    bends = [solve(near, radius) for radius in radii]
    u = 1 / radii
    rise = np.array([float(jnp.real(bend.n_eff - straight.n_eff)) for bend in bends]) / u**2
    mismatch = np.array([-10 * np.log10(float(match(straight, bend))) for bend in bends]) / u**2
    factor = np.array([coupling_factor(straight, bend) for bend in bends])
    index, index_error = _fitted(u**2, rise)
    mismatches, mismatch_error = _fitted(u**2, mismatch)
    coupling, _ = _fitted(u, (factor - 1) / u)
    at_check = 1 + u[-1] * np.polynomial.polynomial.polyval(u[-1], coupling)

    n, floor = float(straight.n_eff), modes.radiation_index(near, wl, mode, temperature_k)
    decay = 4 * np.pi / wl * n * (np.arccosh(n / floor) - np.sqrt(1 - (floor / n) ** 2))
    radii = np.array([*_DECAYS, _CHECK_DECAY]) / decay
    lost = []
    for radius in radii:
        caustic = radius * (n / floor - 1)  # light that goes around with the mode reaches the claddings' speed here
        index_there = solve(_widened(profile, caustic + 1.5), radius).n_eff
        lost.append(np.log(4 * np.pi / wl * float(jnp.imag(index_there))))
    slope, start = np.polyfit(radii[:-1], lost[:-1], 1)
    errors = {
        "index": index_error,
        "mismatch": mismatch_error,
        "coupling": abs(at_check / factor[-1] - 1),
        "radiation": abs(start + slope * radii[-1] - lost[-1]),
    }
    return {
        "radius_min": smallest,
        "wl": wl,
        "mode": mode,
        "index": index.tolist(),
        "mismatch": mismatches.tolist(),
        "radiation": [float(np.exp(start)), float(-slope)],
        "coupling": coupling.tolist(),
        "errors": {name: float(f"{error:.2g}") for name, error in errors.items()},
    }


def _fitted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Quadratic through all points but the last by least squares, and its relative error at the last one."""
    c = np.polynomial.polynomial.polyfit(x[:-1], y[:-1], 2)
    return c, float(abs(np.polynomial.polynomial.polyval(x[-1], c) / y[-1] - 1))


def _widened(profile: Profile, reach: float) -> Profile:
    """The profile with room for absorbing layers ``reach`` um from the core on both sides: its mesh is symmetric.

    On a lopsided mesh a straight guide's mode lies beside the axis by an error of the mesh, which would look like an
    index that changes in proportion to 1/R.
    """
    x = np.asarray(profile.x)
    far = max(x[-3].max(), -x[1].min()) + reach
    ends = [np.full(x.shape[1], v) for v in (-far - _ABSORBER, -far, far, far + _ABSORBER)]
    side, outer = _CELLS
    return dataclasses.replace(
        profile,
        x=jnp.asarray(np.stack([*ends[:2], *x[1:-2], *ends[2:]])),
        media=(profile.media[0], *profile.media),
        core=tuple((i + 1, j) for i, j in profile.core),
        cells_x=(outer, side, *profile.cells_x[1:-2], side, outer),
    )


def coupling_factor(straight: modes.Mode, bend: modes.Mode) -> float:
    """F(R): phase by which a ring of radius R couples to a straight bus, over that of parallel guides of the same gaps.

    To first order in the overlap the coupling is the reciprocity integral of the bus's field E over the ring's core
    (Snyder & Love, Optical Waveguide Theory, ch. 29, with the bent mode's field in place of the straight one's),

        phi_ring = (k/2) |∫∫ (eps - eps_clad) E_bus(X, y) . E_bend(x, y)* exp(i beta Z - i nu theta) (R + x) dA dtheta|

    with X = d + R - (R + x) cos theta, Z = (R + x) sin theta, nu = k n_bend R, unit power in both modes, and d from
    axis to axis. It holds the outward shift of the mode, its detuning, and that the bus's phase fronts are flat across
    a core that bends, which takes back a part of what the shift gains. Over ∫ kappa(g(theta)) R sqrt(cos theta) dtheta,
    with g = g0 + (R + w/2)(1 - cos theta) and kappa(g) the same integral over a straight core, it is F: 1 at
    R -> infinity, and nearly the same for all gaps (it is taken at 1.5 decay lengths): from 0.8 to 3 it moves by 0.3 %
    on silicon at R = 5 um and on nitride at 30 um, 0.5 % on a lithium niobate rib at 60 um. The supermodes' kappa,
    exact where guides are close and parallel, is therefore used: phi = F ∫ kappa(g) R sqrt(cos theta) dtheta.
    """
    radius, profile = 1 / float(bend.curvature), bend.profile
    k = 2 * np.pi / float(bend.wl)
    grid = straight.mesh
    x = np.real(np.asarray(grid.centre[0]))
    eps = [np.asarray(e) for e in profile.permittivity(grid, bend.wl, REFERENCE_K)]
    contrast = [e - e[:1] for e in eps]
    core = np.abs(contrast[0]) > 1e-9
    cut = np.ix_(core.any(axis=1), core.any(axis=0))
    contrast = [c[cut] for c in contrast]
    area, inner = np.real(np.asarray(grid.width * grid.height))[cut], x[cut]
    bus, ring = _unit(straight), _unit(bend)
    parallel, bent = [f[cut] for f in bus], [f[cut] for f in ring]

    # the bus's tail, continued between the cells of the left side: smooth once its own decay is taken out
    left = np.flatnonzero(np.asarray(grid.column) == 1)[::-1]
    rows = np.flatnonzero(core.any(axis=0))
    n = float(np.real(straight.n_eff))
    gamma = k * np.sqrt(n**2 - modes.radiation_index(profile, float(bend.wl), bend.name) ** 2)
    tails = []
    for f, mirrored in zip(bus, (1.0, -1.0, -1.0), strict=True):  # E_x even, E_y and E_z odd, or all opposite
        flat = mirrored * f[np.ix_(left, rows)] * np.exp(-gamma * x[np.ix_(left, rows)])
        tails.append([CubicSpline(-x[left, row], flat[:, j]) for j, row in enumerate(rows)])

    def tail(distance: np.ndarray) -> list[np.ndarray]:
        """Components of the bus's field at a distance from its axis, shape [..., cells, rows]."""
        fall = np.exp(-gamma * distance)
        return [np.stack([f(distance[..., j]) for j, f in enumerate(c)], axis=-1) * fall for c in tails]

    half = float(np.mean(profile.x[-3] - profile.x[2])) / 2
    gap = 1.5 / gamma
    axis = 2 * half + gap + radius
    reach = -x[left[-1], rows[0]] - (2 * half + gap) - half
    largest = np.arccos(max(1 - reach / (radius + half), np.cos(1.2)))
    node, weight = np.polynomial.legendre.leggauss(_STEPS)
    theta, weight = largest * node, largest * weight

    rho = radius + inner
    cos, sin = np.cos(theta)[:, None, None], np.sin(theta)[:, None, None]
    e_x, e_y, e_z = tail(axis - rho * cos)
    r, v, t = bent
    dots = contrast[0] * e_x * np.conj(-r * cos + t * sin) + contrast[1] * e_y * np.conj(v)
    dots = dots + contrast[2] * e_z * np.conj(r * sin + t * cos)
    waves = np.exp(1j * k * (n * rho * sin - float(np.real(bend.n_eff)) * radius * theta[:, None, None]))
    curved = abs(np.sum(weight[:, None, None] * dots * waves * area * rho))

    apart = 2 * half + gap + (radius + half) * (1 - np.cos(theta))
    e_x, e_y, e_z = tail(apart[:, None, None] - inner)
    r, v, t = parallel
    dots = contrast[0] * e_x * -r + contrast[1] * e_y * v + contrast[2] * e_z * np.conj(t)
    kappa = np.sum(dots * area, axis=(1, 2))
    return float(curved / abs(np.sum(weight * kappa * radius * np.sqrt(np.cos(theta)))))


def _unit(mode: modes.Mode) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(E_x, E_y, E_z) at the cell centres at unit power; physical components also in a bend."""
    e_x, e_y, i_e_z = (np.asarray(f) for f in transverse(mode))
    stretch = 1 + np.real(np.asarray(mode.mesh.centre[0])) * float(mode.curvature)
    root = np.sqrt(complex(power(mode)) / copies(mode))
    return e_x / root, e_y / root, -1j * i_e_z / stretch / root
