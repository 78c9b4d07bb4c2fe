"""The design region by itself: everything around it is eliminated once, onto the pixels that touch it.

With D the region, R the ring of pixels around it and X the rest, the matrix A has no entries between D and X.
Elimination of X leaves, exactly,

    K = [A_DD  A_DR; A_RD  A_RR - A_RX A_XX^-1 A_XR],  v = u_R - A_RX A_XX^-1 u_X,  Z = v' K^-1 v + u_X' A_XX^-1 u_X

(Schur complements: Zhang (ed.), The Schur Complement and Its Applications, ch. 0). All of it falls out of one
factorisation of A bordered by the ports' sources u that eliminates ring and sources last: the trailing block is
[A_RR - ..., v; v', -u_X' A_XX^-1 u_X]. On line only K is factored, as large as the region however long its guides are.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from picq.errors import NumericsError, SpecError
from picq.inverse.factor import ordering, solve, superlu
from picq.inverse.fdfd import Coefficients, assemble, at_wavelength, check_eps, coefficients
from picq.inverse.grid import Box
from picq.inverse.ports import line_of, scattering
from picq.inverse.region import ENDS, around, matrix, pattern, weights
from picq.inverse.simulation import Simulation, in_threads


class Surroundings(NamedTuple):
    """What is left of the outside, at every wavelength."""

    ring: np.ndarray  # Schur complement, [wl, ring, ring]
    source: np.ndarray  # v, [wl, ring, channel]
    direct: np.ndarray  # u_X' A_XX^-1 u_X, [wl, channel, channel]


@dataclass(frozen=True, eq=False)
class Condensed:
    """A simulation of which only the pixels of ``region`` change.

    Args:
        simulation: the whole; what its ``eps`` holds within the region has no influence.
        region: box on lines of the grid.

    Raises:
        SpecError: the region leaves no pixel between itself and an absorbing layer, or meets a port.
    """

    simulation: Simulation
    region: Box

    def __post_init__(self) -> None:
        domain = self.simulation.domain
        for axis, (cells, count, layer) in enumerate(zip(self.cells, domain.shape, domain.pml_cells, strict=True)):
            if cells.start <= layer or cells.stop >= count - layer:
                low, high = (domain.place(axis, p) for p in (layer + 1, count - layer - 1))
                raise SpecError(
                    f"the design region touches the absorbing layer along {'xy'[axis]}",
                    got=f"{domain.place(axis, cells.start):g} to {domain.place(axis, cells.stop):g} um",
                    allowed=f"within {low:g} to {high:g} um",
                    remedy="enlarge the domain or shrink the region",
                )
        for port in self.simulation.ports:
            line = line_of(domain, port)
            ahead, along = (self.cells[axis] for axis in (line.axis, 1 - line.axis))
            beyond = ahead.stop > line.at - 1 if line.outward > 0 else ahead.start < line.at + 2
            beside = along.start <= line.stop and line.start <= along.stop
            if beyond and beside:
                raise SpecError(
                    f"the guide of port {port.name} meets the design region",
                    got=f"line at {port.centre} um, orientation {port.orientation}",
                    allowed="a pixel between line and region, and nothing of the region behind or beside the line",
                    remedy="move the port outwards, or turn it round",
                )

    @cached_property
    def cells(self) -> tuple[slice, slice]:
        """Pixels of the region."""
        return self.simulation.domain.cells(self.region)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels of the region along x and y."""
        return self.cells[0].stop - self.cells[0].start, self.cells[1].stop - self.cells[1].start

    @cached_property
    def surroundings(self) -> Surroundings:
        """The outside eliminated; as long as a solution of the whole, once.

        Raises:
            NumericsError: the factorisation had to leave its order.
        """
        sim, (columns, rows) = self.simulation, self.cells
        ny = sim.domain.shape[1]
        c = jax.tree.map(np.array, sim.coefficients)
        c.point[..., columns, rows] = 0
        c.across_x[..., columns.start : columns.stop + 1, rows] = 0
        c.across_y[..., columns, rows.start : rows.stop + 1] = 0
        if c.corner is not None:
            c.corner[..., columns.start : columns.stop + 1, rows.start : rows.stop + 1] = 0
        i, j = np.ogrid[columns.start - 1 : columns.stop + 1, rows.start - 1 : rows.stop + 1]
        framed = i * ny + j
        ring, inside = framed[around(self.shape)], framed[1:-1, 1:-1].ravel()
        rest = np.setdiff1d(np.arange(np.prod(sim.domain.shape)), np.concatenate([ring, inside]))
        outside = lambda w: assemble(sim.domain, at_wavelength(c, w), float(sim.wl[w]))
        order = np.concatenate([rest[ordering(outside(0)[rest][:, rest])], ring])
        last = ring.size + len(sim.channels.names)

        def eliminate(w: int) -> np.ndarray:
            u = sp.csc_array(sim.channels.source[w][order])
            bordered = sp.block_array([[outside(w)[order][:, order], u], [u.T, None]], format="csc")
            lu = superlu(sp.csc_array(bordered), "NATURAL")
            for place in (lu.perm_r, lu.perm_c):
                if not np.array_equal(place[-last:], np.arange(place.size - last, place.size)):
                    raise NumericsError(
                        "the surroundings of the design region could not be eliminated in order",
                        got=f"another order at {sim.wl[w]:g} um",
                        remedy="make the domain a pixel larger",
                    )
            block = (lu.L[-last:, -last:] @ lu.U[-last:, -last:]).toarray()
            return (block + block.T) / 2

        blocks = np.array(in_threads(eliminate, sim.wl.size))
        n = ring.size
        return Surroundings(blocks[:, :n, :n], blocks[:, :n, n:], -blocks[:, n:, n:])

    @cached_property
    def _kh2(self) -> np.ndarray:
        """(k h)^2, [wl]."""
        return (2 * np.pi / self.simulation.wl * self.simulation.domain.step) ** 2

    def _solve(self, c: Any) -> tuple[np.ndarray, np.ndarray]:
        """S, and F for unit waves on region and ring, [wl, nx + 2, ny + 2, channel]."""
        c, out, ch = jax.tree.map(np.asarray, c), self.surroundings, self.simulation.channels
        p = pattern(self.shape, c.corner is not None)
        inside = p.size - out.ring.shape[-1]

        def at(w: int) -> tuple[np.ndarray, np.ndarray]:
            v = np.zeros((p.size, out.source.shape[-1]), complex)
            v[inside:] = out.source[w]
            k = matrix(p, at_wavelength(c, w), self._kh2[w], out.ring[w])
            x = solve(k, v, self.simulation.backend, ordered=True)
            s, strength = scattering(out.direct[w] + out.source[w].T @ x[inside:], ch.behind[w], ch.turn[w])
            return s, (x @ strength)[p.number]

        s, field = zip(*in_threads(at, self.simulation.wl.size), strict=True)
        return np.array(s), np.array(field)

    def _response(self, c: Coefficients) -> tuple[jax.Array, jax.Array]:
        """``_solve`` for traced coefficients."""
        (nx, ny), wl, n = self.shape, self.simulation.wl.size, len(self.simulation.channels.names)
        shapes = (wl, n, n), (wl, nx + 2, ny + 2, n)
        out = tuple(jax.ShapeDtypeStruct(s, np.dtype(complex)) for s in shapes)
        return jax.pure_callback(self._solve, out, c, vmap_method="sequential")

    def of_pixels(self, eps: Any) -> Coefficients:
        """Coefficients of uniform pixels of the region, shape [nx, ny], in their frame of the simulation's pixels; with
        a first axis of wavelengths if ``eps`` or the simulation's have one.

        Raises:
            SpecError: a concrete ``eps`` of another shape, or not positive.
        """
        sim, (columns, rows) = self.simulation, self.cells
        check_eps(eps, self.shape, "the permittivity of the design region", sim.wl.size)

        def of(eps: Any, around: Any) -> Coefficients:
            left, right = around[columns.start - 1, rows], around[columns.stop, rows]
            below, above = around[columns, rows.start - 1], around[columns, rows.stop]
            return coefficients(eps, sim.polarisation, (left, right, below, above))

        axes = tuple(0 if np.ndim(a) == 3 else None for a in (eps, sim.eps))
        eps, around = jnp.asarray(eps), jnp.asarray(sim.eps)
        return of(eps, around) if axes == (None, None) else jax.vmap(of, axes)(eps, around)

    def scattering(self, eps: Any) -> jax.Array:
        """S-parameters; may be jitted, and differentiated once in either mode, with one factorisation a wavelength.

        Args:
            eps: real relative permittivity of the region's pixels, shape [nx, ny] or [wl, nx, ny].

        Returns:
            S, shape [wl, out, in], as ``Simulation.solve``.
        """
        return scattering_of(self, self.of_pixels(eps))

    def jacobian(self, eps: Any) -> tuple[jax.Array, jax.Array]:
        """S and all its derivatives, with one factorisation a wavelength.

        Args:
            eps: as in ``scattering``.

        Returns:
            S, shape [wl, out, in]; its derivative by the permittivity at the same wavelength, [wl, out, in, nx, ny].
        """
        each = jnp.broadcast_to(jnp.asarray(eps, float), (self.simulation.wl.size, *self.shape))
        c, pull = jax.vjp(self.of_pixels, each)
        s, field = self._response(c)
        # pulled back for all wavelengths at once: each S depends on the permittivity at its own
        outer = lambda f: jnp.einsum("wijp,wijq->pqwij", f, f).reshape(-1, *f.shape[:3]) / 2j
        point = outer(field[:, 1:-1, 1:-1] * jnp.sqrt(-self._kh2 + 0j)[:, None, None, None])
        slopes = Coefficients(point, *(outer(_difference(field, ends)) for ends in ENDS[:2]))
        real, imaginary = (jax.vmap(pull)(jax.tree.map(part, slopes))[0] for part in (jnp.real, jnp.imag))
        slope = (real + 1j * imaginary).reshape(*s.shape[1:], s.shape[0], *self.shape)
        return s, jnp.moveaxis(slope, 2, 0)


def _difference(field: jax.Array, ends: tuple) -> jax.Array:
    """Between the ends of links, [wl, ..., ..., channel]."""
    one, other = ends
    return field[:, *other] - field[:, *one]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def scattering_of(region: Condensed, c: Coefficients) -> jax.Array:
    """S as ``Condensed.scattering``, from coefficients that need not be those of uniform pixels.

    Args:
        region: the condensed simulation.
        c: real coefficients of its pixels and of all lines and corners that touch them, shaped as for [nx, ny] pixels,
            with or without a first axis of wavelengths.
    """
    return region._response(c)[0]


@scattering_of.defjvp
def _(region: Condensed, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """dS_pq = -F_p' dK F_q / 2i for the fields of unit waves; dK is diagonal for points, -(1, -1)'(1, -1) for links."""
    (c,), (dc,) = primals, tangents
    s, field = region._response(c)
    form = lambda f, d: jnp.einsum("wijp,wijq->wpq", f * d[..., None], f) / 2j
    ds = form(field[:, 1:-1, 1:-1], dc.point) * -region._kh2[:, None, None]
    for d, ends in zip(weights(dc), ENDS, strict=False):
        ds += form(_difference(field, ends), d)
    return s, ds
