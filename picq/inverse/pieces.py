"""Sums over the pieces into which the lines of a grid cut edges: areas of cells, walls at nodes, and their slopes.

A closed polygon with its solid on the left covers a cell by the sum, over the pieces of its edges, of a trapezoid in
the piece's own cell and of a whole row to the right of it. What moves is a boundary:

    d(area of a cell) = sum over its pieces of integral(n . v dl),    v linear along an edge

(Reynolds' transport theorem), so derivatives are local and need no crossings. Pieces vary in number with the vertices,
so values and both products with the Jacobian are computed by NumPy behind one JAX primitive that is its own transpose.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

_ON_LINE = 1e-9
"""Of a cell: an edge as near to a line of the grid belongs to the cells on both sides of it, half to each."""


class _Pieces(NamedTuple):
    """Parts of edges between lines of the grid that are not outside of it to the right, above or below."""

    edge: np.ndarray  # number of its edge, [piece]
    start: np.ndarray  # of the edge, [piece, 2]
    run: np.ndarray  # the edge's end less its start, [piece, 2]
    t: np.ndarray  # along the edge, 0 to 1, where the piece starts and ends, [2, piece]
    middle: np.ndarray  # [piece, 2]

    def cells(self, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Column and row of each piece, of which the column may be negative."""
        i, j = np.floor(self.middle + shift).astype(int).T
        return i, j


def _pieces(edges: np.ndarray, shape: tuple[int, int]) -> _Pieces:
    """Of edges [edge, end, 2] in units of cells, for [0, nx] x [0, ny]."""
    start, run = edges[:, 0], edges[:, 1] - edges[:, 0]
    number = np.arange(len(edges))
    owners, places = [number, number], [np.zeros(len(edges)), np.ones(len(edges))]
    for axis, most in enumerate(shape):
        ends = edges[:, :, axis]
        low = np.maximum(np.ceil(ends.min(1)), 0).astype(int)
        high = np.minimum(np.floor(ends.max(1)), most).astype(int)
        count = np.where(run[:, axis] != 0, np.maximum(high - low + 1, 0), 0)
        owner = np.repeat(number, count)
        line = np.arange(owner.size) - np.repeat(np.cumsum(count) - count - low, count)
        owners.append(owner)
        places.append(np.clip((line - start[owner, axis]) / run[owner, axis], 0, 1))
    owner, t = np.concatenate(owners), np.concatenate(places)
    order = np.lexsort((t, owner))
    owner, t = owner[order], t[order]
    middle = start[owner[:-1]] + ((t[:-1] + t[1:]) / 2)[:, None] * run[owner[:-1]]
    keep = (owner[1:] == owner[:-1]) & (t[1:] > t[:-1]) & np.any(run, axis=1)[owner[:-1]]
    keep &= (middle[:, 0] < shape[0] + 1) & (middle[:, 1] > -1) & (middle[:, 1] < shape[1] + 1)
    edge = owner[:-1][keep]
    return _Pieces(edge, start[edge], run[edge], np.array([t[:-1][keep], t[1:][keep]]), middle[keep])


_Block = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Entries of a Jacobian: flat outputs [piece, kind], edges [piece], d output/d edge [piece, kind, end * 2 + axis]."""


class Areas:
    """Covered areas of the cells, [nx, ny]."""

    @staticmethod
    def size(shape: tuple[int, int]) -> tuple[int, ...]:
        return shape

    @staticmethod
    def value(edges: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        (nx, ny), p = shape, _pieces(edges, shape)
        i, j = p.cells()
        rise = (p.t[1] - p.t[0]) * p.run[:, 1]
        share = i + 1 - p.middle[:, 0]
        row, own, right = (j >= 0) & (j < ny), (i >= 0) & (i < nx), i + 1 < nx
        add = lambda at, column, v: np.bincount((column * ny + j)[at], v[at], nx * ny).reshape(shape)
        return add(row & own, i, -rise * share) + np.cumsum(add(row & right, np.maximum(i + 1, 0), -rise), axis=0)

    @staticmethod
    def slopes(edges: np.ndarray, shape: tuple[int, int]) -> Iterator[_Block]:
        p = _pieces(edges, shape)
        flux = np.stack([p.run[:, 1], -p.run[:, 0]], axis=1) * ((p.t[1] - p.t[0]) / 2)[:, None]
        middle = p.t.mean(0)[:, None]
        rates = np.concatenate([flux * (1 - middle), flux * middle], axis=1)[:, None]
        for shift in (-_ON_LINE, _ON_LINE):
            i, j = p.cells(shift)
            inside = (i >= 0) & (i < shape[0]) & (j >= 0) & (j < shape[1])
            yield (i * shape[1] + j)[inside, None], p.edge[inside], rates[inside]


class Walls:
    """Sums over walls at nodes of the grid, [kind, nx + 1, ny + 1], weighted by bilinear hats of one cell to a side.

    Kinds: l n_x, l n_y, l n_x n_x, l n_x n_y, l n_y n_y for length l and outward normal n.
    """

    @staticmethod
    def size(shape: tuple[int, int]) -> tuple[int, ...]:
        return 5, shape[0] + 1, shape[1] + 1

    @staticmethod
    def kinds(run: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of edges [edge, 2]: the sums without weight, [edge, kind], and their slopes, [edge, kind, axis]."""
        x, y = run.T
        length = np.hypot(x, y)
        a, b, zero, one = x / length, y / length, np.zeros(x.shape), np.ones(x.shape)
        value = np.stack([y, -x, y * b, -x * b, x * a])
        along_x = np.stack([zero, -one, -a * b**2, -b + a**2 * b, 2 * a - a**3])
        along_y = np.stack([one, zero, 2 * b - b**3, -a + a * b**2, -b * a**2])
        return value.T, np.stack([along_x.T, along_y.T], axis=-1)

    @staticmethod
    def nodes(p: _Pieces, shape: tuple[int, int], shift: float) -> Iterator[tuple[np.ndarray, ...]]:
        """For each of the four nodes around pieces, with two points of Gauss's rule on each, exact here.

        Yields:
            Which pieces are inside; and of those the node, the points' places along the edge, and the hat there and its
            gradient, both times the rule's weight: [piece], [piece], [2, piece], [2, piece], [2, piece, axis].
        """
        i, j = p.cells(shift)
        inside = (i >= 0) & (i < shape[0]) & (j >= 0) & (j < shape[1])
        corner, length = np.stack([i, j], axis=1)[inside], (p.t[1] - p.t[0])[inside]
        t = p.t.mean(0)[inside] + length * np.array([[-0.5], [0.5]]) / np.sqrt(3)
        x, y = np.moveaxis(p.start[inside] + t[..., None] * p.run[inside] - corner, -1, 0)
        half = length / 2
        for right, up in ((0, 0), (0, 1), (1, 0), (1, 1)):
            wx, wy, sx, sy = x if right else 1 - x, y if up else 1 - y, 2 * right - 1, 2 * up - 1
            slope = np.stack([sx * wy * half, sy * wx * half], axis=-1)
            yield inside, (corner[:, 0] + right) * (shape[1] + 1) + corner[:, 1] + up, t, wx * wy * half, slope

    @staticmethod
    def value(edges: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        p, size = _pieces(edges, shape), (shape[0] + 1) * (shape[1] + 1)
        value, total = Walls.kinds(p.run)[0], np.zeros((5, size))
        for inside, node, _, weight, _ in Walls.nodes(p, shape, 0.0):
            for kind in range(5):
                total[kind] += np.bincount(node, value[inside, kind] * weight.sum(0), size)
        return total.reshape(Walls.size(shape))

    @staticmethod
    def slopes(edges: np.ndarray, shape: tuple[int, int]) -> Iterator[_Block]:
        """Crossings move too, but the weights are continuous there, so that what one piece gains another loses."""
        p, size = _pieces(edges, shape), (shape[0] + 1) * (shape[1] + 1)
        value, slope = Walls.kinds(p.run)
        for shift in (-_ON_LINE, _ON_LINE):
            for inside, node, t, weight, gradient in Walls.nodes(p, shape, shift):
                turn = slope[inside] * (weight.sum(0) / 2)[:, None, None]
                move = [(gradient * s[..., None]).sum(0)[:, None] / 2 * value[inside, :, None] for s in (1 - t, t)]
                yield (
                    node[:, None] + size * np.arange(5),
                    p.edge[inside],
                    np.concatenate([move[0] - turn, move[1] + turn], axis=-1),
                )


Rule = type[Areas] | type[Walls]


def _callback(call: Callable[..., np.ndarray], size: tuple[int, ...], *args: Any) -> jax.Array:
    def numpy(*values: Any) -> np.ndarray:
        values = tuple(map(np.asarray, values))
        finite = all(np.isfinite(v).all() for v in values)
        return np.asarray(call(*values), float) if finite else np.full(size, np.nan)

    return jax.pure_callback(numpy, jax.ShapeDtypeStruct(size, np.dtype(float)), *args, vmap_method="sequential")


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def summed(edges: jax.Array, rule: Rule, shape: tuple[int, int]) -> jax.Array:
    """``rule``'s sums for edges [edge, end, 2] in units of cells; differentiable once, in either mode."""
    return _callback(lambda e: rule.value(e, shape), rule.size(shape), edges)


@summed.defjvp
def _(rule: Rule, shape: tuple[int, int], primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    (edges,), (moved,) = primals, tangents
    return summed(edges, rule, shape), _product.bind(edges, moved, rule=rule, shape=shape, pull=False)


_product = Primitive("raster_product")
"""J v, or with ``pull`` J' w, for vectors with any leading axes; not differentiable in the edges."""


def _product_size(edges: Any, vectors: Any, *, rule: Rule, shape: tuple[int, int], pull: bool) -> tuple[int, ...]:
    size = rule.size(shape)
    return vectors.shape[: -len(size)] + edges.shape if pull else vectors.shape[:-3] + size


@_product.def_impl
def _apply(edges: Any, vectors: Any, *, rule: Rule, shape: tuple[int, int], pull: bool) -> jax.Array:
    size = _product_size(edges, vectors, rule=rule, shape=shape, pull=pull)
    count, outputs = edges.shape[0], int(np.prod(rule.size(shape)))

    def call(edges: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        flat = vectors.reshape(-1, outputs) if pull else vectors.reshape(-1, count, 4)
        found = np.zeros((len(flat), 4 * count if pull else outputs))
        for out, edge, rates in rule.slopes(edges, shape):
            column = 4 * edge[:, None] + np.arange(4)
            for total, v in zip(found, flat, strict=True):
                if pull:
                    part = np.einsum("pk,pkc->pc", v[out], rates)
                    total += np.bincount(column.ravel(), part.ravel(), 4 * count)
                else:
                    part = np.einsum("pc,pkc->pk", v[edge], rates)
                    total += np.bincount(out.ravel(), part.ravel(), outputs)
        return found.reshape(size)

    return _callback(call, size, edges, vectors)


def _product_batched(args: tuple, axes: tuple, **params: Any) -> tuple[jax.Array, int]:
    edges, vectors = (a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(args, axes, strict=True))
    if axes[0] is None:
        return _product.bind(edges, vectors, **params), 0
    if axes[1] is None:
        return jax.lax.map(lambda e: _product.bind(e, vectors, **params), edges), 0
    return jax.lax.map(lambda pair: _product.bind(*pair, **params), (edges, vectors)), 0


def _product_jvp(primals: tuple, tangents: tuple, **params: Any) -> tuple[jax.Array, Any]:
    edges, vectors = primals
    if type(tangents[0]) is not ad.Zero:
        raise NotImplementedError("polygons on a grid can be differentiated once")
    along = ad.instantiate_zeros(tangents[1])
    return _product.bind(edges, vectors, **params), _product.bind(edges, along, **params)


def _product_transposed(cotangent: Any, edges: Any, _: Any, *, pull: bool, **params: Any) -> list:
    return [None, cotangent if type(cotangent) is ad.Zero else _product.bind(edges, cotangent, pull=not pull, **params)]


_product.def_abstract_eval(lambda e, v, **params: ShapedArray(_product_size(e, v, **params), np.dtype(float)))
mlir.register_lowering(_product, mlir.lower_fun(_apply, multiple_results=False))
batching.primitive_batchers[_product] = _product_batched
ad.primitive_jvps[_product] = _product_jvp
ad.primitive_transposes[_product] = _product_transposed
