"""Full-vector waveguide modes by finite elements: an oracle that shares no code and no method with picq.

Transverse E on Nedelec triangles of order 2 or 3 (N2, N3), longitudinal E on P2 or P3, as in Lee, Sun and Cendes, IEEE
Trans. MTT 39, 1262 (1991) and Jin, The Finite Element Method in Electromagnetics, ch. 8. For
E = (e_t / beta - i e_z z) exp(i beta s) the problem is A x = -beta^2 B x with

    A = [curl w . h curl e - k0^2 (w . h eps_t e)      0                                      ]
    B = [w . e / h                    w . grad e_z / h                                        ]
        [grad w_z . e / h             grad w_z . grad e_z / h - k0^2 w_z eps_zz e_z / h       ]

where h = 1 in a straight guide and h = 1 + x / radius in a bend (cylindrical metric: eps and mu become h eps, h mu
across and eps / h, mu / h along; e_z is then h E_s; no radiation). Both matrices are symmetric, so that the derivative
of beta^2 is exact from the one solution (Hellmann-Feynman): n_g costs no second solve.

The triangles conform to the bricks, sloped walls included, and shrink towards the dielectric corners, where E is
singular. Lengths in um. Needs scikit-fem.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, eigs, splu
from skfem import Basis, BilinearForm, ElementTriN2, ElementTriN3, ElementTriP2, ElementTriP3, MeshTri
from skfem.helpers import curl, dot, grad

Medium = Callable[[complex], tuple[complex, complex, complex]]  # wavelength -> (eps_xx, eps_yy, eps_zz)


@dataclass(frozen=True)
class Section:
    """A cross-section made of bricks, which are trapezoids where walls slope.

    Args:
        x: interfaces from the left wall to the right wall, (columns + 1,); or (columns + 1, rows + 1), the same at each
            y interface, each wall being straight between two of them.
        y: interfaces from the bottom wall to the top wall, (rows + 1,).
        media: ``media[column][row]``.
        walls: (left, right, bottom, top), each 'electric' (tangential E = 0) or 'magnetic' (tangential H = 0).
    """

    x: Sequence
    y: Sequence[float]
    media: Sequence[Sequence[Medium]]
    walls: tuple[str, str, str, str]

    def lines(self) -> np.ndarray:
        """x of each vertical interface at each y interface, (columns + 1, rows + 1)."""
        x = np.asarray(self.x, float)
        return x if x.ndim == 2 else np.repeat(x[:, None], len(self.y), axis=1)


@dataclass(frozen=True)
class Mode:
    """One solution, its field given at the quadrature points."""

    wl: float
    n_eff: float
    n_g: float
    te_fraction: float  # int |E_x|^2 / int |E_x|^2 + |E_y|^2
    unknowns: int
    e: np.ndarray  # (3, points), up to a common factor; E_z is imaginary
    xy: np.ndarray  # (2, points), um
    dx: np.ndarray  # weights of the points, um^2
    poynting: np.ndarray  # (E x Z0 H*)_z at the points
    column: np.ndarray  # brick of each point
    row: np.ndarray
    eps: np.ndarray  # (3, points)

    def within(self, column: int, row: int) -> np.ndarray:
        """Weights restricted to one brick."""
        return self.dx * ((self.column == column) & (self.row == row))

    def a_eff(self, core: tuple[int, int], images: int) -> float:
        """Effective area (um^2) of the Kerr effect in brick ``core``: gamma = 2 pi n2 / (wl a_eff).

        Vector form of Afshar and Monro, Opt. Express 17, 2298 (2009): 1 / a_eff = int_core n^2 (2 |E|^4 + |E.E|^2) /
        (3 |int (E x Z0 H*)_z|^2). ``images``: how many copies of the section make the guide (2 for a half).
        """
        norm, square = np.sum(np.abs(self.e) ** 2, 0), np.abs(np.sum(self.e**2, 0))
        kerr = np.sum(self.within(*core) * self.eps[0] * (2 * norm**2 + square**2))
        return images * 3 * np.sum(self.dx * self.poynting) ** 2 / kerr

    def centre(self) -> float:
        """Centroid of the power in x (um)."""
        power = self.dx * self.poynting
        return np.sum(power * self.xy[0]) / np.sum(power)


def solve(
    section: Section,
    wl: float = 1.55,
    *,
    guess: float | None = None,
    count: int = 1,
    radius: float = np.inf,
    order: int = 3,
    size: float = 0.08,
    grade: float = 0.5,
    halvings: int = 0,
) -> list[Mode]:
    """The ``count`` modes with n_eff nearest to ``guess``, by descending n_eff.

    Without a guess: nearest to the highest index of the section, which is above every mode, so the lowest-order modes
    that the walls allow. ``order``: 2 for N2 and P2, 3 for N3 and P3. ``size`` and ``grade``: see :func:`triangulate`;
    each of ``halvings`` then quarters every triangle, by which the error of n_eff falls by 16 (order 2) and more (3).
    """
    mesh = triangulate(section, size, grade).refined(halvings)
    column, row = _bricks(section, mesh.p[:, mesh.t].mean(axis=1))
    k0 = 2 * np.pi / wl
    table = [[medium(wl) for medium in rows] for rows in section.media]
    eps = np.array(table, float)[column, row].T  # (3, triangles)
    # eps is analytic: the complex step gives d eps / d wl to the last digit
    slope = np.array([[medium(wl + 1e-30j) for medium in rows] for rows in section.media])
    slope = np.imag(slope + 0j)[column, row].T / 1e-30
    d_k2eps = 2 * k0 * eps - k0 * wl * slope  # d (k0^2 eps) / d k0

    transverse, longitudinal = {2: (ElementTriN2, ElementTriP2), 3: (ElementTriN3, ElementTriP3)}[order]
    t = Basis(mesh, transverse(), intorder=2 * order + 1)  # exact for products of two fields; 1 / h is smooth
    z = Basis(mesh, longitudinal(), intorder=2 * order + 1)
    x = np.asarray(t.global_coordinates())
    h = 1 + x[0] / radius
    eps_q = np.repeat(eps[:, :, None], h.shape[1], axis=2)
    f = {"h": h, "xx": k0**2 * eps_q[0], "yy": k0**2 * eps_q[1], "zz": k0**2 * eps_q[2]}
    a_tt = _A_TT.assemble(t, **f)
    b_tt, b_tz, b_zz = _B_TT.assemble(t, **f), _B_TZ.assemble(z, t, **f), _B_ZZ.assemble(z, **f)
    free = np.ones(t.N + z.N, bool)
    edges = _electric_edges(mesh, section)
    free[t.get_dofs(edges).flatten()] = False
    free[t.N + z.get_dofs(edges).flatten()] = False
    a = sp.block_diag([a_tt, sp.csr_matrix((z.N, z.N))]).tocsc()[free][:, free]
    b = sp.block_array([[b_tt, b_tz], [b_tz.T, b_zz]]).tocsc()[free][:, free]

    beta2, vectors = _eigen(a, b, (k0 * (guess or np.sqrt(eps.max()))) ** 2, count)
    modes = []
    for lam, vector in zip(beta2, vectors.T, strict=True):
        full = np.zeros(free.size)
        full[free] = vector
        e_t, e_z = t.interpolate(full[: t.N]), z.interpolate(full[t.N :])
        et, ez, gz = np.asarray(e_t), np.asarray(e_z), np.asarray(e_z.grad)
        beta, dx = np.sqrt(lam), t.dx
        s_z = np.sum(et * (et + gz), axis=0) / h
        d_t = np.sum(d_k2eps[:2, :, None] * et**2, axis=0) * h
        d_z = d_k2eps[2][:, None] * ez**2 / h
        d_lam = np.sum(dx * (d_t + lam * d_z)) / np.sum(dx * s_z)
        across = np.sum(dx * et**2, axis=(1, 2))
        modes.append(
            Mode(
                wl=wl,
                n_eff=beta / k0,
                n_g=d_lam / (2 * beta),
                te_fraction=across[0] / across.sum(),
                unknowns=int(free.sum()),
                e=_flat(np.concatenate([et / beta, -1j * (ez / h)[None]])),
                xy=_flat(x),
                dx=_flat(dx),
                poynting=_flat(s_z / (beta * k0)),
                column=np.repeat(column, h.shape[1]),
                row=np.repeat(row, h.shape[1]),
                eps=_flat(eps_q),
            )
        )
    return modes


def _flat(q: np.ndarray) -> np.ndarray:
    return q.reshape(*q.shape[:-2], -1)


def splitting(section: Section, wl: float = 1.55, **options) -> tuple[Mode, Mode]:
    """TE supermodes of two equal cores from the right half of the section, cut at x = 0: even, odd in E_x."""
    even = replace(section, walls=("electric", *section.walls[1:]))
    odd = replace(section, walls=("magnetic", *section.walls[1:]))
    # In a square core the even TM supermode, which has the odd TE's symmetry, may lie above it.
    first, second = (
        next(m for m in solve(half, wl, count=2, **options) if m.te_fraction > 0.5) for half in (even, odd)
    )
    return first, second


@BilinearForm
def _A_TT(e, v, w):
    return w.h * (curl(e) * curl(v) - w.xx * e[0] * v[0] - w.yy * e[1] * v[1])


@BilinearForm
def _B_TT(e, v, w):
    return dot(e, v) / w.h


@BilinearForm
def _B_TZ(u, v, w):
    return dot(grad(u), v) / w.h


@BilinearForm
def _B_ZZ(u, v, w):
    return (dot(grad(u), grad(v)) - w.zz * u * v) / w.h


def _eigen(a: sp.csc_matrix, b: sp.csc_matrix, shift: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """beta^2 nearest to ``shift``, descending, and real vectors as columns."""
    factor = splu(
        (a + shift * b).tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True}
    )
    operator = LinearOperator(a.shape, matvec=lambda v: factor.solve(b @ v), dtype=float)
    start = np.random.default_rng(0).standard_normal(a.shape[0])
    values, vectors = eigs(operator, k=count, which="LM", v0=start, tol=1e-12)
    beta2 = shift - 1 / values.real
    order = np.argsort(-beta2)
    beta2, vectors = beta2[order], vectors[:, order]
    turned = vectors * np.exp(-1j * np.angle(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)]))
    residual = a @ turned.real + (b @ turned.real) * beta2
    worst = np.abs(residual).max() / np.abs((b @ turned.real) * beta2).max()
    assert worst < 1e-7, f"the eigenvectors leave a residual of {worst:.1e}"
    return beta2, turned.real


def triangulate(section: Section, size: float, grade: float, smallest: float = 1e-3) -> MeshTri:
    """Triangles that conform to the bricks, of ``size`` at the interfaces.

    At the dielectric corners they are refined until none is larger than ``grade`` times its distance from the corner.
    """
    mesh = MeshTri.init_tensor(_nodes(section.lines().mean(axis=1), size), _nodes(np.asarray(section.y, float), size))
    corners = [_to_um(section, np.array(corner)[:, None]) for corner in _corners(section)]
    for _ in range(40 if corners else 0):
        p = _to_um(section, mesh.p)[:, mesh.t]  # (2, 3, triangles)
        longest = np.linalg.norm(p - np.roll(p, 1, axis=1), axis=0).max(axis=0)
        distance = np.min([np.linalg.norm(p.mean(axis=1) - corner, axis=0) for corner in corners], axis=0)
        large = np.flatnonzero(longest > np.maximum(grade * distance, smallest))
        if not large.size:
            break
        mesh = mesh.refined(large)
    return MeshTri(_to_um(section, mesh.p), mesh.t)


def _to_um(section: Section, p: np.ndarray) -> np.ndarray:
    """Points (2, n) in um from the bricks' own coordinates (column + fraction, row + fraction).

    A triangle lies within one brick, and lines of constant fraction are straight there.
    """
    lines, y = section.lines(), np.asarray(section.y, float)
    column = np.minimum(p[0].astype(int), lines.shape[0] - 2)
    row = np.minimum(p[1].astype(int), y.size - 2)
    s, r = p[0] - column, p[1] - row
    left = (1 - r) * lines[column, row] + r * lines[column, row + 1]
    right = (1 - r) * lines[column + 1, row] + r * lines[column + 1, row + 1]
    return np.array([(1 - s) * left + s * right, (1 - r) * y[row] + r * y[row + 1]])


def _nodes(interfaces: np.ndarray, size: float, growth: float = 0.2, largest: float = 0.4) -> np.ndarray:
    """Nodes as interval + fraction, dense at inner interfaces: size + growth * distance, at most largest."""
    nodes, inner = [], interfaces[1:-1] if interfaces.size > 2 else interfaces
    for k in range(interfaces.size - 1):
        fine = np.linspace(0, 1, 4001)
        at = interfaces[k] + fine * (interfaces[k + 1] - interfaces[k])
        distance = np.abs(at[:, None] - inner).min(axis=1)
        density = 1 / np.minimum(size + growth * distance, largest)
        length = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(at))])
        count = max(2, int(np.ceil(length[-1])))
        nodes.append(k + np.interp(np.linspace(0, length[-1], count + 1)[:-1], length, fine))
    return np.concatenate([*nodes, [interfaces.size - 1.0]])


def _corners(section: Section) -> list[tuple[float, float]]:
    """Points (column, row) inside where the media around are neither the same left and right nor above and below."""
    m = section.media
    columns, rows = len(m), len(m[0])
    found = []
    for i in range(1, columns):
        for j in range(1, rows):
            straight = m[i - 1][j - 1] is m[i - 1][j] and m[i][j - 1] is m[i][j]
            level = m[i - 1][j - 1] is m[i][j - 1] and m[i - 1][j] is m[i][j]
            if not (straight or level):
                found.append((float(i), float(j)))
    return found


def _bricks(section: Section, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of the brick that holds each point of ``p`` (2, points)."""
    lines, y = section.lines(), np.asarray(section.y, float)
    row = np.clip(np.searchsorted(y, p[1]) - 1, 0, y.size - 2)
    r = (p[1] - y[row]) / (y[row + 1] - y[row])
    at = (1 - r) * lines[:, row] + r * lines[:, row + 1]
    return np.sum(p[0] > at[1:-1], axis=0), row


def _electric_edges(mesh: MeshTri, section: Section) -> np.ndarray:
    """Edges on the walls that are 'electric'."""
    assert set(section.walls) <= {"electric", "magnetic"}, f"walls are 'electric' or 'magnetic', got {section.walls}"
    edges = mesh.boundary_facets()
    middle = mesh.p[:, mesh.facets[:, edges]].mean(axis=1)
    x, y = section.lines(), section.y
    on = [middle[0] - x[0, 0], middle[0] - x[-1, 0], middle[1] - y[0], middle[1] - y[-1]]
    chosen = [np.abs(d) < 1e-9 for d, wall in zip(on, section.walls, strict=True) if wall == "electric"]
    return edges[np.any(chosen, axis=0)] if chosen else edges[:0]
