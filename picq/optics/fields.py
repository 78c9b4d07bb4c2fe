"""What a mode's field says: power, effective area, nonlinear coefficient, confinement, overlap with another field.

The field is the lowest-order edge element's: E_x is constant along x and linear along y within a cell, and so on.
Wherever two meshes meet, both fields are evaluated at the same points.
"""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from picq.errors import SpecError
from picq.optics.eigen import energy, magnetic
from picq.optics.material import MATERIALS

if TYPE_CHECKING:
    from picq.optics.modes import Mode


def transverse(mode: "Mode") -> tuple[jax.Array, jax.Array, jax.Array]:
    """(E_x, E_y, i E_z) at the cell centres, shape [nx, ny] each, in the units in which ``power`` is given.

    E_z is a quarter period out of phase with the transverse field.
    """
    x, grid = mode.field, mode.mesh
    ex = (x.e1[:, 1:] + x.e1[:, :-1]) / 2 / grid.width
    ey = (x.e2[1:] + x.e2[:-1]) / 2 / grid.height - grid.slant * ex
    beta = 2 * jnp.pi * mode.n_levels[-1] / mode.wl
    ez = beta * (x.q[1:, 1:] + x.q[:-1, 1:] + x.q[1:, :-1] + x.q[:-1, :-1]) / 4
    return ex, ey, ez


def copies(mode: "Mode") -> int:
    """How often the solved part of the cross-section is repeated by its mirrors."""
    return (2 if mode.profile.mirror else 1) * (2 if mode.profile.halved else 1)


def power(mode: "Mode") -> jax.Array:
    """∫ (E x H)_z over the whole cross-section, H in units of E over the impedance of vacuum."""
    return copies(mode) * _poynting_sum(mode)


def _poynting_sum(mode: "Mode") -> jax.Array:
    c = mode.cells
    return mode.n_levels[-1] * energy(c.u11, c.u12, c.u22, mode.field, magnetic(mode.field))


def poynting(mode: "Mode") -> jax.Array:
    """Power through each cell, shape [nx, ny]; sums to ``power`` without the mirrors."""
    e, h = mode.field, magnetic(mode.field)
    c = mode.cells
    along = c.u11 * (e.e1[:, :-1] * h.e1[:, :-1] + e.e1[:, 1:] * h.e1[:, 1:]) / 2
    across = c.u22 * (e.e2[:-1] * h.e2[:-1] + e.e2[1:] * h.e2[1:]) / 2
    mean1, mean2 = (lambda f: (f.e1[:, 1:] + f.e1[:, :-1]) / 2), (lambda f: (f.e2[1:] + f.e2[:-1]) / 2)
    return mode.n_levels[-1] * (along + across + c.u12 * (mean1(e) * mean2(h) + mean2(e) * mean1(h)))


def confinement(mode: "Mode") -> jax.Array:
    """Fraction of the power that flows in the core."""
    flow = poynting(mode)
    return jnp.sum(jnp.where(mode.profile.in_core(mode.mesh), flow, 0.0)) / jnp.sum(flow)


def gamma(mode: "Mode", n2_m2_w: Any = None) -> jax.Array:
    """Nonlinear coefficient of the core, 1/(W m).

    gamma = (2 pi/wl) ∫ n² n2 (2 |e|⁴ + |e.e|²) / (3 |∫ S_z|²), Afshar & Monro, Opt. Express 17, 2298 (2009), eq. 26.

    Args:
        mode: the mode.
        n2_m2_w: Kerr index of the core, m²/W; the material's by default.
    """
    n2 = _kerr_index(mode) if n2_m2_w is None else n2_m2_w
    return 2 * jnp.pi / mode.wl * n2 * 1e18 * _kerr_integral(mode) / power(mode) ** 2


def a_eff(mode: "Mode") -> jax.Array:
    """Effective area in um²: 2 pi n2 / (wl gamma) for a Kerr index of the core alone."""
    return power(mode) ** 2 / _kerr_integral(mode)


def _kerr_integral(mode: "Mode") -> jax.Array:
    ex, ey, ez = transverse(mode)
    t, z = ex**2 + ey**2, ez**2
    k2 = (2 * jnp.pi / mode.wl) ** 2
    eps = mode.cells.node / (k2 * mode.mesh.width * mode.mesh.height)
    density = eps * (2 * (t + z) ** 2 + (t - z) ** 2) / 3 * mode.mesh.width * mode.mesh.height
    return copies(mode) * jnp.sum(mode.profile.in_core(mode.mesh) * density)


def _kerr_index(mode: "Mode") -> float:
    column, row = mode.profile.core[0]
    medium = mode.profile.media[column][row]
    name = medium[0] if isinstance(medium, tuple) else medium
    n2 = MATERIALS[name].n2_m2_w if isinstance(name, str) else None
    if n2 is None:
        raise SpecError(
            f"no Kerr index is known for {medium}", allowed="a material with n2, or `n2_m2_w`", remedy="give n2_m2_w"
        )
    return n2


def centroid(mode: "Mode") -> jax.Array:
    """Mean x of the power, um: how far a bend pushes the mode outwards."""
    flow = poynting(mode)
    return jnp.sum(flow * mode.mesh.centre[0]) / jnp.sum(flow)


def overlap(a: "Mode", b: "Mode") -> jax.Array:
    """Amplitude with which one mode goes on as another across a junction, complex scalar, 1 for equal modes.

    t = (∫ E_a x H_b + ∫ E_b x H_a) / (2 sqrt(P_a P_b)), without complex conjugation: the reciprocal form, Snyder &
    Love, Optical Waveguide Theory, sect. 11-13. All integrals by the midpoint rule on the cells that both meshes cut.

    Raises:
        SpecError: the modes belong to different symmetries.
    """
    if (a.profile.mirror, a.profile.halved) != (b.profile.mirror, b.profile.halved):
        raise SpecError("modes of different symmetry do not overlap on one mesh", remedy="make both profiles alike")
    if a.walls != b.walls:
        return jnp.zeros((), complex)  # opposite parity about a plane that both profiles have
    y = _joined(a.mesh.y, b.mesh.y)

    def row(middle: jax.Array) -> jax.Array:
        x = _joined(jnp.real(_line(a, middle)), jnp.real(_line(b, middle)))
        (ea, ha), (eb, hb) = (sample(m, (x[1:] + x[:-1]) / 2, middle) for m in (a, b))
        flow = lambda e, h: jnp.sum(jnp.diff(x) * (e[0] * h[0] + e[1] * h[1]))
        return jnp.stack([flow(ea, hb) + flow(eb, ha), 2 * flow(ea, ha), 2 * flow(eb, hb)])

    cross, own_a, own_b = jnp.diff(y) @ jax.vmap(row)((y[1:] + y[:-1]) / 2)
    return cross / jnp.sqrt(own_a * own_b + 0j)


def match(a: "Mode", b: "Mode") -> jax.Array:
    """|overlap|²: the power that stays at a junction."""
    return jnp.abs(overlap(a, b)) ** 2


def sample(mode: "Mode", x: jax.Array, y: Any) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    """((E_x, E_y), (H_y, -H_x)) at points of one height, shape [points] each; zero outside the mesh."""
    grid = mode.mesh
    j = jnp.clip(jnp.searchsorted(grid.y, y) - 1, 0, grid.y.size - 2)
    line = _line(mode, y)
    i = jnp.clip(jnp.searchsorted(jnp.real(line), x) - 1, 0, line.size - 2)
    t = (y - grid.y[j]) / (grid.y[j + 1] - grid.y[j])
    width = line[i + 1] - line[i]
    s = (x - jnp.real(line[i])) / jnp.real(width)
    inside = (x >= jnp.real(line[0])) & (x <= jnp.real(line[-1])) & (y >= grid.y[0]) & (y <= grid.y[-1])

    def vector(f: Any, scale: Any) -> tuple[jax.Array, jax.Array]:
        along = ((1 - t) * f.e1[i, j] + t * f.e1[i, j + 1]) / width
        up = ((1 - s) * f.e2[i, j] + s * f.e2[i + 1, j]) / (grid.y[j + 1] - grid.y[j]) - grid.slant[i, j] * along
        return inside * along * scale, inside * up * scale

    return vector(mode.field, 1.0), vector(magnetic(mode.field), mode.n_levels[-1] / (1 + x * mode.curvature))


def _line(mode: "Mode", y: Any) -> jax.Array:
    """x of the mesh lines at height y, shape [nx + 1]."""
    grid = mode.mesh
    j = jnp.clip(jnp.searchsorted(grid.y, y) - 1, 0, grid.y.size - 2)
    t = jnp.clip((y - grid.y[j]) / (grid.y[j + 1] - grid.y[j]), 0.0, 1.0)
    return (1 - t) * grid.x[:, j] + t * grid.x[:, j + 1]


def _joined(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.sort(jnp.concatenate([a, b]))
