"""Sparse solution of the eigenproblem of ``eigen`` with NumPy and SciPy: what runs behind its callbacks."""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from picq.optics.unknowns import Cells, Field, Pick, Walls

_SEED = 0  # of the start vector of the Lanczos iteration: results do not depend on what ran before


@lru_cache(maxsize=64)
def free_unknowns(nx: int, ny: int, walls: Walls) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which unknowns are free: those tangential to an electric wall are zero."""
    e1, e2, q = np.ones((nx, ny + 1), bool), np.ones((nx + 1, ny), bool), np.ones((nx + 1, ny + 1), bool)
    for electric, index in ((walls.left, 0), (walls.right, -1)):
        if electric:
            e2[index] = q[index] = False
    for electric, index in ((walls.bottom, 0), (walls.top, -1)):
        if electric:
            e1[:, index] = q[:, index] = False
    return e1, e2, q


class _Pattern(NamedTuple):
    """Where the 8 x 8 matrices of the cells go in the sparse matrices of the free unknowns."""

    gather: sp.csr_array  # from [nx ny 64] local entries to the nonzeros
    indices: np.ndarray
    indptr: np.ndarray
    free: np.ndarray
    size: int


@lru_cache(maxsize=16)
def _pattern(nx: int, ny: int, walls: Walls) -> _Pattern:
    e1 = np.arange(nx * (ny + 1)).reshape(nx, ny + 1)
    e2 = e1.size + np.arange((nx + 1) * ny).reshape(nx + 1, ny)
    q = e1.size + e2.size + np.arange((nx + 1) * (ny + 1)).reshape(nx + 1, ny + 1)
    corners = [q[:-1, :-1], q[1:, :-1], q[:-1, 1:], q[1:, 1:]]
    local = np.stack([e1[:, :-1], e1[:, 1:], e2[:-1], e2[1:], *corners], axis=-1).reshape(-1, 8)
    kept = np.concatenate([k.ravel() for k in free_unknowns(nx, ny, walls)])
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    size = int(kept.sum())
    rows = number[np.repeat(local, 8, axis=1)].ravel()
    columns = number[np.tile(local, (1, 8))].ravel()
    inside = np.flatnonzero((rows >= 0) & (columns >= 0))
    keys, inverse = np.unique(columns[inside].astype(np.int64) * size + rows[inside], return_inverse=True)
    gather = sp.csr_array((np.ones(inside.size), (inverse, inside)), shape=(keys.size, rows.size))
    indptr = np.searchsorted(keys, np.arange(size + 1, dtype=np.int64) * size)
    return _Pattern(gather, (keys % size).astype(np.int32), indptr.astype(np.int32), np.flatnonzero(kept), size)


_CURL = np.array([1.0, -1.0, -1.0, 1.0])
_GRADIENT = np.array([[-1, 1, 0, 0], [0, 0, -1, 1], [-1, 0, 1, 0], [0, -1, 0, 1]], float)


def _matrices(c: Cells, walls: Walls) -> tuple[sp.csc_array, sp.csc_array]:
    """K and M on the free unknowns."""
    nx, ny = c.face.shape
    pattern = _pattern(nx, ny, walls)

    def edges(m11: np.ndarray, m12: np.ndarray, m22: np.ndarray) -> np.ndarray:
        t = np.zeros((nx * ny, 4, 4), m11.dtype)
        t[:, 0, 0] = t[:, 1, 1] = m11.ravel() / 2
        t[:, 2, 2] = t[:, 3, 3] = m22.ravel() / 2
        t[:, :2, 2:] = t[:, 2:, :2] = m12.reshape(-1, 1, 1) / 4
        return t

    k = np.zeros((nx * ny, 8, 8), c.face.dtype)
    m = np.zeros_like(k)
    k[:, :4, :4] = edges(c.e11, c.e12, c.e22) - c.face.reshape(-1, 1, 1) * np.outer(_CURL, _CURL)
    u = edges(c.u11, c.u12, c.u22)
    m[:, :4, :4] = u
    m[:, :4, 4:] = u @ _GRADIENT
    m[:, 4:, :4] = m[:, :4, 4:].transpose(0, 2, 1)
    m[:, 4:, 4:] = _GRADIENT.T @ m[:, :4, 4:]
    m[:, range(4, 8), range(4, 8)] -= c.node.reshape(-1, 1) / 4
    make = lambda local: sp.csc_array(
        (pattern.gather @ local.ravel(), pattern.indices, pattern.indptr), shape=(pattern.size, pattern.size)
    )
    return make(k), make(m)


def _factor(matrix: sp.csc_array) -> Any:
    return sla.splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True})


def solve(c: Cells, start: Any, *, walls: Walls, pick: Pick) -> tuple[np.ndarray, Field]:
    c = Cells(*map(np.asarray, c))
    nx, ny = c.face.shape
    k, m = _matrices(c, walls)
    free = _pattern(nx, ny, walls).free
    sigma = float(np.real(start))
    lu = _factor((k - sigma * m).tocsc())
    operator = sla.LinearOperator((free.size, free.size), matvec=lambda v: lu.solve(m @ v), dtype=k.dtype)  # pyright: ignore[reportCallIssue]
    v0 = np.random.default_rng(_SEED).standard_normal(free.size).astype(k.dtype)
    rank, field = pick.order or 0, None
    for count in (rank + 1, 2 * rank + 2, 4 * rank + 8):  # more only where other polarisations stand between
        values, vectors = sla.eigs(operator, k=count, which="LM", v0=v0, tol=1e-13)  # pyright: ignore
        lam = sigma + 1 / values
        found = []
        for i in np.argsort(-lam.real if pick.order is not None else np.abs(lam - sigma)):
            x = _normalised(vectors[:, i], m, np.isrealobj(c.face))
            full = np.zeros(nx * (ny + 1) + (nx + 1) * ny + (nx + 1) * (ny + 1), x.dtype)
            full[free] = x
            field = _unpack(full, nx, ny)
            if _is_te(c, field) == pick.te:
                found.append((lam[i] if np.iscomplexobj(c.face) else lam[i].real, field))
        if len(found) > rank:
            return found[rank]
    return np.asarray(np.nan, c.face.dtype), jax.tree.map(lambda a: np.full_like(a, np.nan), field)


def _normalised(x: np.ndarray, m: sp.csc_array, real: bool) -> np.ndarray:
    """x'Mx = 1 with the largest component positive; the phase of ARPACK's vector is arbitrary."""
    largest = x[np.argmax(np.abs(x))]
    x = x / largest
    x = np.real(x) if real else x
    return x / np.sqrt(x @ (m @ x) + (0 if real else 0j))


def _unpack(full: np.ndarray, nx: int, ny: int) -> Field:
    a, b = nx * (ny + 1), nx * (ny + 1) + (nx + 1) * ny
    return Field(full[:a].reshape(nx, ny + 1), full[a:b].reshape(nx + 1, ny), full[b:].reshape(nx + 1, ny + 1))


def _is_te(c: Cells, f: Field) -> bool:
    lower = np.sum(np.abs(c.e11) * (np.abs(f.e1[:, 1:]) ** 2 + np.abs(f.e1[:, :-1]) ** 2))
    return bool(lower > np.sum(np.abs(c.e22) * (np.abs(f.e2[1:]) ** 2 + np.abs(f.e2[:-1]) ** 2)))


def bordered(c: Cells, lam: Any, x: Field, b: tuple[Field, Any], *, walls: Walls) -> tuple[Field, np.ndarray]:
    c, x = Cells(*map(np.asarray, c)), Field(*map(np.asarray, x))
    nx, ny = c.face.shape
    k, m = _matrices(c, walls)
    free = _pattern(nx, ny, walls).free
    flat = lambda f: np.concatenate([np.asarray(a).ravel() for a in f])[free]
    border = -(m @ flat(x))
    column = sp.csc_array(border[:, None])
    matrix = sp.block_array([[k - np.asarray(lam) * m, column], [column.T, None]]).tocsc()
    z = sla.splu(matrix, permc_spec="MMD_AT_PLUS_A").solve(np.concatenate([flat(b[0]), [np.asarray(b[1])]]))
    full = np.zeros(sum(np.asarray(a).size for a in x), z.dtype)
    full[free] = z[:-1]
    return _unpack(full, nx, ny), z[-1]
