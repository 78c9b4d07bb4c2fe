"""The condensed design region against the whole grid, its derivatives against finite differences."""

from dataclasses import replace
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from picq.errors import NumericsError, SpecError
from picq.inverse import condense
from picq.inverse.condense import Condensed, scattering_of
from picq.inverse.factor import Backend
from picq.inverse.fdfd import Polarisation, coefficients
from picq.inverse.grid import Box, Domain
from picq.inverse.ports import Port
from picq.inverse.simulation import Simulation

BOTH = pytest.mark.parametrize("polarisation", ["ez", "hz"])


def bend(polarisation: Polarisation, backend: Backend = "superlu") -> Condensed:
    """A region of 20 x 17 pixels, off the centre, between a guide with two modes from the left and one to the top."""
    domain = Domain((3.2, 3.4), 0.04, (0.4, 0.4), centre=(1.0, -2.0))
    eps = np.full(domain.shape, 2.25)
    eps[domain.cells(Box(-0.6, -2.3, 1.0, -1.9))] = 12.25
    eps[domain.cells(Box(0.92, -2.1, 1.32, -0.3))] = 12.25
    ports = (Port("west", (0.11, -2.1), 180, 2.0, (0, 1)), Port("north", (1.12, -0.99), 90, 2.0, (0,)))
    simulation = Simulation(domain, eps, polarisation, ports, np.array([1.27, 1.29]), backend=backend)
    return Condensed(simulation, Box(0.6, -2.5, 1.4, -1.82))


def design(region: Condensed, seed: int = 0) -> np.ndarray:
    return 2.25 + 10 * np.random.default_rng(seed).random(region.shape)


def whole(region: Condensed, eps: np.ndarray) -> np.ndarray:
    """S on the whole grid."""
    full = region.simulation.eps.copy()
    full[region.cells] = eps
    return replace(region.simulation, eps=full).solve()[0]


@BOTH
def test_condensed_is_the_whole(polarisation):
    region = bend(polarisation)
    for seed in (0, 1):
        eps = design(region, seed)
        s = np.asarray(region.scattering(eps))
        assert np.abs(s[:, 2, 0]).min() > 0.05
        assert np.abs(s - whole(region, eps)).max() < 1e-12
    assert np.array_equal(jax.jit(region.scattering)(eps), s)


@BOTH
def test_dispersive_materials_are_solved_wavelength_by_wavelength(polarisation):
    """With an axis of wavelengths: the same as one simulation each, and so are the derivatives."""
    region = bend(polarisation)
    sim, grow = region.simulation, np.array([1.0, 1.03])[:, None, None]
    both = Condensed(replace(sim, eps=sim.eps * grow), region.region)
    eps = design(region) * grow
    s, slope = both.jacobian(eps)
    direction = jnp.asarray(np.random.default_rng(1).random(eps.shape))
    tangent = jax.jvp(both.scattering, (jnp.asarray(eps),), (direction,))[1]
    for w in (0, 1):
        alone = Condensed(replace(sim, eps=sim.eps * grow[w], wl=sim.wl[w : w + 1]), region.region)
        one, its = alone.jacobian(eps[w])
        assert np.abs(s[w] - one[0]).max() < 1e-12
        assert np.abs(slope[w] - its[0]).max() < 1e-12 * np.abs(its).max()
        assert np.abs(tangent[w] - jnp.einsum("pqij,ij->pq", its[0], direction[w])).max() < 1e-11
    assert np.abs(s[1] - region.scattering(eps[1])[1]).max() > 1e-3
    full = sim.eps * grow
    full[:, region.cells[0], region.cells[1]] = eps
    assert np.abs(replace(sim, eps=full).solve()[0] - s).max() < 1e-12


@BOTH
def test_region_that_parts_its_surroundings(polarisation):
    """Between bare walls, two pixels from each: what is eliminated falls into two."""
    domain = Domain((3.2, 0.56), 0.04, (0.4, 0.0))
    eps = np.full(domain.shape, 2.25)
    eps[:, 2:-2] = 12.25
    ports = (Port("o1", (-1.1, 0), 180, 0.56), Port("o2", (1.1, 0), 0, 0.56))
    region = Condensed(Simulation(domain, eps, polarisation, ports, np.array([1.3])), Box(-0.4, -0.24, 0.4, 0.24))
    assert np.abs(region.scattering(design(region)) - whole(region, design(region))).max() < 1e-12


@BOTH
def test_what_the_region_held_before_does_not_matter(polarisation):
    region = bend(polarisation)
    eps = region.simulation.eps.copy()
    eps[region.cells] = design(region, 5)
    other = Condensed(replace(region.simulation, eps=eps), region.region)
    assert np.abs(region.scattering(design(region)) - other.scattering(design(region))).max() < 1e-13


@BOTH
def test_jacobian_against_finite_differences(polarisation):
    """Central differences of the whole grid, step 1e-3 in eps: 1e-6 of the third derivative."""
    region, at = bend(polarisation), np.s_[:]
    eps = design(region)
    s, jacobian = region.jacobian(eps)
    assert np.abs(s - whole(region, eps)).max() < 1e-12
    for pixel in ((0, 0), (19, 16), (0, 9), (19, 3), (7, 0), (11, 16), (10, 8)):  # corners, sides, middle
        step = np.zeros_like(eps)
        step[pixel] = 1e-3
        slope = (whole(region, eps + step) - whole(region, eps - step)) / 2e-3
        assert np.abs(jacobian[(at, at, at, *pixel)] - slope).max() < 1e-6 * np.abs(jacobian).max()


@BOTH
def test_derivatives_agree_in_both_modes(polarisation):
    region = bend(polarisation)
    eps = jnp.asarray(design(region))
    way = jnp.asarray(np.random.default_rng(3).standard_normal(region.shape))
    _, jacobian = jax.jit(region.jacobian)(eps)
    along = np.einsum("wpqij,ij->wpq", jacobian, way)
    _, tangent = jax.jvp(region.scattering, (eps,), (way,))
    assert np.abs(tangent - along).max() < 1e-13
    ends = [whole(region, np.asarray(eps + t * way)) for t in (-1e-3, -5e-4, 5e-4, 1e-3)]
    slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / 6e-3  # rounds at 1e-10
    assert np.abs(tangent - slope).max() < 1e-7 * np.abs(slope).max()

    loss = lambda e: jnp.sum(jnp.abs(region.scattering(e)[:, 2, 0]) ** 2) + jnp.sum(jnp.imag(region.scattering(e)))
    s = region.scattering(eps)
    pull = 2 * np.real(np.conj(s[:, 2, 0, None, None]) * jacobian[:, 2, 0]).sum(0) + np.imag(jacobian).sum((0, 1, 2))
    assert np.abs(jax.jit(jax.grad(loss))(eps) - pull).max() < 1e-13 * np.abs(jacobian).max() * s.size


def test_one_factorisation_a_wavelength(monkeypatch):
    region = bend("ez")
    eps, count = design(region), [0]
    region.scattering(eps)

    def counted(*args, **kwargs):
        count[0] += 1
        return solve(*args, **kwargs)

    solve = condense.solve
    monkeypatch.setattr(condense, "solve", counted)
    region.jacobian(eps)
    assert count[0] == 2
    jax.value_and_grad(lambda e: jnp.abs(region.scattering(e)[0, 2, 0]))(jnp.asarray(eps))
    assert count[0] == 4


def test_many_designs_at_once():
    region = bend("ez")
    eps = jnp.stack([design(region, 0), design(region, 1)])
    assert np.array_equal(jax.vmap(region.scattering)(eps), [region.scattering(e) for e in eps])


@pytest.mark.parametrize("corners", [False, True])
def test_coefficients_that_are_not_of_pixels(corners):
    """Hz with inverse permittivities of its own on the lines, and a whole tensor: value, and slope in each of them."""
    region = bend("hz")
    start, rng = region.of_pixels(design(region)), np.random.default_rng(4)
    (nx, ny), (columns, rows) = region.shape, region.cells
    corner = rng.uniform(-0.1, 0.1, (nx + 1, ny + 1)) if corners else None
    c = jax.tree.map(lambda a: np.asarray(a) * rng.uniform(0.8, 1.2, a.shape), start)._replace(corner=corner)
    way = jax.tree.map(lambda a: rng.standard_normal(a.shape), c)
    _, tangent = jax.jvp(lambda c: scattering_of(region, c), (c,), (way,))
    ends = [
        scattering_of(region, jax.tree.map(lambda a, b, t=t: a + t * b, c, way)) for t in (-2e-5, -1e-5, 1e-5, 2e-5)
    ]
    slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / 12e-5
    assert np.abs(tangent - slope).max() < 1e-7 * np.abs(slope).max()

    sim = region.simulation
    full = jax.tree.map(np.array, coefficients(sim.eps, "hz"))
    full.point[columns, rows] = c.point
    full.across_x[columns.start : columns.stop + 1, rows] = c.across_x
    full.across_y[columns, rows.start : rows.stop + 1] = c.across_y
    if corners:
        everywhere = np.zeros([n + 1 for n in sim.domain.shape])
        everywhere[columns.start : columns.stop + 1, rows.start : rows.stop + 1] = corner
        everywhere[40, 20] = 0.05  # one outside too
        full = full._replace(corner=everywhere)
        region = Condensed(replace(sim, smooth=full), region.region)
    assert np.abs(scattering_of(region, c) - replace(sim, smooth=full).solve()[0]).max() < 1e-12


@pytest.mark.skipif(not list(metadata.distributions(name="mkl")), reason="mkl is not installed")
@BOTH
def test_pardiso_solves_the_same(polarisation):
    region, other = bend(polarisation), bend(polarisation, "pardiso")
    eps = design(region)
    s, jacobian = other.jacobian(eps)
    assert np.abs(s - region.jacobian(eps)[0]).max() < 1e-11
    assert np.abs(jacobian - region.jacobian(eps)[1]).max() < 1e-11 * np.abs(jacobian).max()
    assert np.abs(s - other.simulation.solve()[0]).max() > 0.01  # which holds another design


def test_regions_that_cannot_be():
    sim = bend("ez").simulation
    for box, match in (
        (Box(-0.2, -2.5, 0.6, -1.82), "touches the absorbing layer along x"),
        (Box(0.6, -2.5, 1.4, -0.7), "touches the absorbing layer along y"),
        (Box(0.12, -2.5, 1.4, -1.82), "port west meets"),
        (Box(0.6, -2.5, 1.4, -1.02), "port north meets"),
        (Box(0.61, -2.5, 1.4, -1.82), "lines of the grid"),
        (Box(1.4, -2.5, 0.6, -1.82), "lines of the grid"),
    ):
        with pytest.raises(SpecError, match=match) as caught:
            _ = Condensed(sim, box).cells
        assert caught.value.remedy
    Condensed(sim, Box(0.16, -2.5, 1.4, -1.82))  # a pixel between line and region is enough
    with pytest.raises(SpecError, match="shape"):
        bend("ez").scattering(np.ones((3, 3)))
    with pytest.raises(SpecError, match="not positive"):
        bend("ez").scattering(jnp.zeros(bend("ez").shape))


def test_lost_order_of_elimination_is_said(monkeypatch):
    region = bend("ez")

    class Pivoted:
        def __init__(self, matrix, *_):
            self.perm_c = np.arange(matrix.shape[0])
            self.perm_r = self.perm_c[::-1]

    monkeypatch.setattr(condense, "superlu", Pivoted)
    with pytest.raises(NumericsError, match="in order"):
        _ = region.surroundings
