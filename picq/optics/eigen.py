"""The eigenproblem of a waveguide mode, differentiable to any order.

Unknowns are x = (e1, e2, q): the circulation of E along the horizontal and the vertical edges of the mesh, and q at its
nodes with E_z = -i beta q. With the lowest-order edge elements of Lee, Sun & Cendes, IEEE Trans. Microw. Theory Tech.
39, 1262 (1991), mass matrices lumped on the edges (the finite-integration scheme), the modes of exp(i beta z) solve

    K x = beta² M x,   K = k² [eps] - C' [1/mu_z] C on e,   M = [(e + G q)' [1/mu_t] (e + G q)] - k² [eps_z] on q,

both symmetric, sparse, and linear in the coefficients of the cells. So beta² has the derivative x'(dK - beta² dM)x at
x'Mx = 1 with no adjoint solution, for any parametrisation of the cells; the derivative of the field is one solution of
the bordered system. Both are written as rules of a ``custom_jvp`` that refer to itself, so they nest.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from picq.optics import sparse
from picq.optics.mesh import Mesh
from picq.optics.unknowns import Cells, Field, Pick, Walls


def cells(mesh: Mesh, eps: tuple[Any, Any, Any], wl: Any, stretch: Any = 1.0) -> Cells:
    """Coefficients of a mesh filled with a diagonal permittivity.

    The lines of the mesh are coordinates; their metric makes tensors of eps and mu (transformation optics), which is
    all that side walls, bends (``stretch`` = 1 + x/R, the cylindrical metric) and absorbing layers (complex x) need.

    Args:
        mesh: its nodes.
        eps: relative permittivity along x, y, z in each cell, shape [nx, ny].
        wl: wavelength, um.
        stretch: length along z in units of that at x = 0, per cell.
    """
    a, h, b = mesh.width, mesh.height, mesh.slant
    k2 = (2 * jnp.pi / wl) ** 2
    one = jnp.ones_like(a)
    return Cells(
        e11=k2 * (eps[0] + b**2 * eps[1]) * h / a * stretch,
        e12=-k2 * b * eps[1] * stretch,
        e22=k2 * eps[1] * a / h * stretch,
        face=stretch / (a * h),
        u11=(1 + b**2) * h / a / stretch,
        u12=-b * one / stretch,
        u22=a / h / stretch,
        node=k2 * eps[2] * a * h / stretch,
    )


def energy(m11: jax.Array, m12: jax.Array, m22: jax.Array, u: Field, v: Field) -> jax.Array:
    """u' [m] v of the edge components, with the masses lumped on the edges of each cell."""
    lower, upper, left, right = (
        (lambda f: f.e1[:, :-1]),
        (lambda f: f.e1[:, 1:]),
        (lambda f: f.e2[:-1]),
        (lambda f: f.e2[1:]),
    )
    horizontal = lambda f: (lower(f) + upper(f)) / 2
    vertical = lambda f: (left(f) + right(f)) / 2
    diagonal = m11 * (lower(u) * lower(v) + upper(u) * upper(v)) + m22 * (left(u) * left(v) + right(u) * right(v))
    cross = m12 * (horizontal(u) * vertical(v) + vertical(u) * horizontal(v))
    return jnp.sum(diagonal / 2 + cross)


def magnetic(x: Field) -> Field:
    """e + G q: (H_y, -H_x) k/beta as circulations along the edges."""
    return Field(x.e1 + jnp.diff(x.q, axis=0), x.e2 + jnp.diff(x.q, axis=1), x.q)


def form_k(c: Cells, u: Field, v: Field) -> jax.Array:
    """u' K v."""
    curl = lambda f: jnp.diff(f.e2, axis=0) - jnp.diff(f.e1, axis=1)
    return energy(c.e11, c.e12, c.e22, u, v) - jnp.sum(c.face * curl(u) * curl(v))


def form_m(c: Cells, u: Field, v: Field) -> jax.Array:
    """u' M v."""
    corners = sum(
        jnp.sum(
            c.node
            / 4
            * u.q[i : u.q.shape[0] - 1 + i, j : u.q.shape[1] - 1 + j]
            * v.q[i : v.q.shape[0] - 1 + i, j : v.q.shape[1] - 1 + j]
        )
        for i in (0, 1)
        for j in (0, 1)
    )
    return energy(c.u11, c.u12, c.u22, magnetic(u), magnetic(v)) - corners


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def eigenpair(c: Cells, walls: Walls, pick: Pick, start: jax.Array) -> tuple[jax.Array, Field]:
    """One mode: (beta² in 1/um², field with x'Mx = 1); NaN where there is no such mode.

    Args:
        c: the cells; real, or complex with absorbing layers.
        walls: ends of the domain.
        pick: which mode.
        start: beta² above all of the wanted ones, e.g. k² times the largest permittivity; or the value to be near to.
    """
    nx, ny = c.face.shape
    shape = partial(jax.ShapeDtypeStruct, dtype=c.face.dtype)
    out = (shape(()), Field(shape((nx, ny + 1)), shape((nx + 1, ny)), shape((nx + 1, ny + 1))))
    return jax.pure_callback(partial(sparse.solve, walls=walls, pick=pick), out, c, start, vmap_method="sequential")


@eigenpair.defjvp
def _eigenpair_jvp(walls: Walls, pick: Pick, primals: Any, tangents: Any) -> Any:
    c, start = primals
    dc = tangents[0]
    lam, x = eigenpair(c, walls, pick, start)
    residual = lambda u: form_k(dc, u, x) - lam * form_m(dc, u, x)
    dlam = residual(x)
    force = _masked(_dual(lambda u: residual(u) - dlam * form_m(c, u, x), x), walls)
    norm = form_m(dc, x, x) / 2
    dx, _ = bordered_solve(c, lam, x, walls, jax.tree.map(jnp.negative, force), norm)
    return (lam, x), (dlam, dx)


def bordered_solve(
    c: Cells, lam: jax.Array, x: Field, walls: Walls, force: Field, norm: Any
) -> tuple[Field, jax.Array]:
    """(y, mu) with (K - lam M) y - mu M x = force and -x'M y = norm: regular although K - lam M is singular."""

    def apply(z: tuple[Field, jax.Array]) -> tuple[Field, jax.Array]:
        y, mu = z
        rows = _dual(lambda u: form_k(c, u, y) - lam * form_m(c, u, y) - mu * form_m(c, u, x), x)
        return _masked(rows, walls), -form_m(c, x, y)

    def solve(_: Any, b: tuple[Field, jax.Array]) -> tuple[Field, jax.Array]:
        out = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), b)
        return jax.pure_callback(partial(sparse.bordered, walls=walls), out, c, lam, x, b, vmap_method="sequential")

    rhs = (force, jnp.asarray(norm, lam.dtype))
    return jax.lax.custom_linear_solve(apply, rhs, solve, transpose_solve=solve, symmetric=True)


def _dual(form: Any, like: Field) -> Field:
    """The vector r with r'u = form(u) for a linear form, without complex conjugation."""
    return jax.linear_transpose(form, like)(jnp.ones((), like.q.dtype))[0]


def _masked(f: Field, walls: Walls) -> Field:
    keep = sparse.free_unknowns(f.e1.shape[0], f.e2.shape[1], walls)
    return Field(*(jnp.where(k, a, 0) for k, a in zip(keep, f, strict=True)))
