"""The potential of div(c grad phi) = -q in a cross-section, differentiable in its geometry and its coefficients.

One equation for heat (phi in K, c in W/(m K), q in W/m² per unit of length²) and for slow electric fields (phi in V,
c the relative permittivity). The potential lives on the nodes of a mesh, its differences along the edges are the
field, and the coefficients are lumped on the edges of each cell (the finite-integration scheme, as in ``eigen``):
second order, and what flows out of the fixed nodes is what the sources feed in, to rounding.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from picq.optics.eigen import Field, energy
from picq.optics.mesh import Mesh


def potential(grid: Mesh, c: tuple[Any, Any], fixed: Any, values: Any = 0.0, source: Any = 0.0) -> jax.Array:
    """The potential at the nodes; nothing flows through the ends of the domain except where they are fixed.

    Args:
        grid: the mesh; its lines of constant first index may slant.
        c: coefficient along x and along y in each cell, positive, shape [nx, ny] each.
        fixed: which nodes have a given potential, boolean, shape [nx + 1, ny + 1]; at least one.
        values: the potential of these nodes, broadcast to that shape; not looked at elsewhere.
        source: q in each cell, broadcast to [nx, ny].

    Returns:
        phi, shape [nx + 1, ny + 1].
    """
    metric = _metric(grid, c)
    fixed = jnp.asarray(fixed)
    given = jnp.where(fixed, jnp.broadcast_to(jnp.asarray(values, float), fixed.shape), 0.0)
    force = jnp.where(fixed, 0.0, _shared(grid, source) - _rows(metric, given))

    def apply(u: jax.Array) -> jax.Array:
        return jnp.where(fixed, u, _rows(metric, jnp.where(fixed, 0.0, u)))

    def solve(_: Any, b: jax.Array) -> jax.Array:
        out = jax.ShapeDtypeStruct(b.shape, b.dtype)
        return jax.pure_callback(_solve, out, metric, fixed, b, vmap_method="sequential")

    return given + jax.lax.custom_linear_solve(apply, force, solve, transpose_solve=solve, symmetric=True)


def outflow(grid: Mesh, c: tuple[Any, Any], phi: jax.Array, source: Any = 0.0) -> jax.Array:
    """What leaves the domain at each node, shape [nx + 1, ny + 1]: minus the charge on a conductor, heat into a sink.

    Zero to rounding at nodes that are not fixed; per unit of length along z, times a length for c in units of 1/length.
    """
    return _shared(grid, source) - _rows(_metric(grid, c), phi)


def descent(grid: Mesh, phi: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(-dphi/dx, -dphi/dy) at the cell centres, shape [nx, ny] each, per um: the electric field, in V/um."""
    along, up = jnp.diff(phi, axis=0), jnp.diff(phi, axis=1)
    x = (along[:, 1:] + along[:, :-1]) / 2 / grid.width
    y = (up[1:] + up[:-1]) / 2 / grid.height - grid.slant * x
    return -x, -y


def in_order(*edges: Any) -> jax.Array:
    """Interfaces in rising order, each at least 1 nm after the one before: where two coincide a thin brick lies
    between.

    So the number of bricks does not depend on the geometry, and a mesh through them stays differentiable in it.
    """
    x = jnp.sort(jnp.stack([jnp.asarray(v, float) for v in edges]))
    for i in range(1, x.size):
        x = x.at[i].set(jnp.maximum(x[i], x[i - 1] + 1e-3))
    return x


def _metric(grid: Mesh, c: tuple[Any, Any]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """c in covariant components of the mesh lines, as ``eigen.cells`` has them for eps."""
    a, h, b = grid.width, grid.height, grid.slant
    return (c[0] + b**2 * c[1]) * h / a, -b * c[1] * jnp.ones_like(a), c[1] * a / h


def _rows(metric: tuple[jax.Array, jax.Array, jax.Array], phi: jax.Array) -> jax.Array:
    """Minus what the field of ``phi`` carries out of each node."""
    edges = lambda u: Field(jnp.diff(u, axis=0), jnp.diff(u, axis=1), u)
    form = lambda v: energy(*metric, edges(v), edges(phi))
    return jax.linear_transpose(form, phi)(jnp.ones((), phi.dtype))[0]


def _shared(grid: Mesh, source: Any) -> jax.Array:
    """The source of each cell, a quarter to each of its corners."""
    q = jnp.asarray(source) * grid.width * grid.height / 4
    return sum(jnp.pad(q, ((i, 1 - i), (j, 1 - j))) for i in (0, 1) for j in (0, 1))  # pyright: ignore[reportReturnType]


_GRADIENT = np.array([[-1, 1, 0, 0], [0, 0, -1, 1], [-1, 0, 1, 0], [0, -1, 0, 1]], float)  # corners to edges of a cell


def _solve(metric: Any, fixed: Any, b: Any) -> np.ndarray:
    """NumPy and SciPy, behind the callback."""
    m11, m12, m22 = (np.asarray(m).ravel() for m in metric)
    fixed, b = np.asarray(fixed), np.asarray(b)
    edges = np.zeros((m11.size, 4, 4))
    edges[:, 0, 0] = edges[:, 1, 1] = m11 / 2
    edges[:, 2, 2] = edges[:, 3, 3] = m22 / 2
    edges[:, :2, 2:] = edges[:, 2:, :2] = m12[:, None, None] / 4
    local = _GRADIENT.T @ edges @ _GRADIENT
    node = np.arange(fixed.size).reshape(fixed.shape)
    corners = np.stack([node[:-1, :-1], node[1:, :-1], node[:-1, 1:], node[1:, 1:]], axis=-1).reshape(-1, 4)
    rows, columns = np.repeat(corners, 4, axis=1).ravel(), np.tile(corners, (1, 4)).ravel()
    free = np.flatnonzero(~fixed.ravel())
    matrix = sp.coo_array((local.ravel(), (rows, columns)), shape=(fixed.size, fixed.size)).tocsc()[free][:, free]
    lu = sla.splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    out = b.ravel().copy()
    out[free] = lu.solve(b.ravel()[free])
    return out.reshape(fixed.shape)
