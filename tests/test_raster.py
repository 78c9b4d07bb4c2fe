"""Polygons on the grid against closed forms, KLayout and finite differences; the order of what they smooth."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import klayout.db as kdb
import numpy as np
import pytest
from test_fdfd import CLAD, CORE, WL, mie, slab_index

from picq.errors import SpecError
from picq.inverse.condense import Condensed, scattering_of
from picq.inverse.factor import solve
from picq.inverse.fdfd import Coefficients, Polarisation, assemble, coefficients
from picq.inverse.grid import Box, Domain
from picq.inverse.ports import Port, solve_modes
from picq.inverse.raster import fractions, smoothed
from picq.inverse.simulation import Simulation

BOTH = pytest.mark.parametrize("polarisation", ["ez", "hz"])
STEP, SHAPE, ORIGIN = 0.05, (40, 30), (-1.0, -0.75)


def box(left: float, bottom: float, right: float, top: float) -> np.ndarray:
    return np.array([[left, bottom], [right, bottom], [right, top], [left, top]])


def circle(centre: tuple[float, float], radius: float, count: int) -> np.ndarray:
    """As many corners, of the circle's own area."""
    angle = 2 * np.pi / count
    turns = np.arange(count) * angle
    return np.array(centre) + radius * np.sqrt(angle / np.sin(angle)) * np.stack([np.cos(turns), np.sin(turns)], 1)


def star(seed: int, count: int = 37, centre: tuple[float, float] = (0.03, -0.02)) -> np.ndarray:
    """Corners at random distances of 0.25 to 0.7 um."""
    rng = np.random.default_rng(seed)
    turns = np.sort(rng.random(count)) * 2 * np.pi
    ray = np.stack([np.cos(turns), np.sin(turns)], 1)
    return np.array(centre) + rng.uniform(0.25, 0.7, count)[:, None] * ray


def area(outline: np.ndarray) -> float:
    """Shoelace formula."""
    x, y = outline.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def shares(outlines) -> np.ndarray:
    return np.asarray(fractions(outlines, ORIGIN, STEP, SHAPE))


@pytest.mark.parametrize(
    "outlines",
    [
        [star(0)],
        [star(1), box(-0.05, -0.1, 0.1, 0.05)[::-1]],
        [circle((0.1, -0.05), 0.6, 3000), circle((0.1, -0.05), 0.55, 2999)[::-1], box(0, -0.1, 0.1, 0.1)],
        [circle((0.011, 0.012), 0.004, 500)],  # within one cell
        [
            np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [0, 0], [-0.5, 0.5]])
        ],  # through corners of cells
    ],
    ids=["star", "hole", "rings", "dot", "diagonals"],
)
def test_areas_add_up(outlines):
    found = shares(outlines)
    assert found.sum() * STEP**2 == pytest.approx(sum(map(area, outlines)), abs=1e-13)
    assert found.min() > -1e-13
    assert found.max() < 1 + 1e-13


@pytest.mark.parametrize("sides", [(-0.5, -0.3, 0.45, 0.2), (-0.513, -0.31, 0.468, 0.2), (-3.0, 0.01, 9.0, 0.02)])
def test_rectangles_cell_by_cell(sides):
    """On lines, off lines, and out of the grid on both sides."""

    def overlap(low: float, high: float, axis: int) -> np.ndarray:
        start = ORIGIN[axis] + STEP * np.arange(SHAPE[axis])
        return np.clip(np.minimum(high, start + STEP) - np.maximum(low, start), 0, None) / STEP

    expected = overlap(sides[0], sides[2], 0)[:, None] * overlap(sides[1], sides[3], 1)
    assert np.abs(shares([box(*sides)]) - expected).max() < 1e-12


def test_polygon_and_its_complement_fill_the_plane():
    for hole in (star(2), star(3, 400), box(-0.5, -0.3, 0.45, 0.2)):
        rest = shares([box(-5, -4, 5, 4), hole[::-1]])
        assert np.abs(shares([hole]) + rest - 1).max() < 1e-12


def clipped(outline: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Area within a box: Sutherland and Hodgman, Commun. ACM 17, 32 (1974); edges along the box cancel in the area."""
    for axis, sign, limit in ((0, 1, low[0]), (1, 1, low[1]), (0, -1, -high[0]), (1, -1, -high[1])):
        kept = []
        for a, b in zip(outline, np.roll(outline, -1, 0), strict=True):
            da, db = sign * a[axis] - limit, sign * b[axis] - limit
            kept += [a] if da >= 0 else []
            kept += [a + (b - a) * da / (da - db)] if da * db < 0 else []
        outline = np.array(kept).reshape(-1, 2)
    return area(outline - low)


@pytest.mark.parametrize("seed", [9, 10])
def test_cells_against_clipping(seed):
    """The second star has its corners on corners of cells and on lines between them."""
    outline = star(seed)
    if seed == 10:
        outline = np.round(outline / STEP) * STEP
    found, corner = shares([outline, circle((0.03, -0.02), 0.1, 50)[::-1]]), np.array(ORIGIN)
    for i in range(0, SHAPE[0], 2):
        for j in range(i % 3, SHAPE[1], 3):
            low = corner + STEP * np.array([i, j])
            solid, hole = (clipped(o, low, low + STEP) for o in (outline, circle((0.03, -0.02), 0.1, 50)))
            assert found[i, j] == pytest.approx((solid - hole) / STEP**2, abs=1e-12)


def test_cells_against_klayout():
    """Corners on KLayout's grid of 1e-8 um; where edges cross lines it rounds, 1e-8 um of a wall of 0.1 um or so."""
    dbu = 1e-8
    outlines = [np.round(o / dbu) * dbu for o in (star(4), circle((0.0, 0.0), 0.2, 60)[::-1])]
    solid = kdb.Region()
    for outline in outlines:
        corners = [kdb.Point(*map(int, p)) for p in np.round(outline / dbu)]
        part = kdb.Region(kdb.Polygon(corners))
        solid = solid + part if area(outline) > 0 else solid - part
    found = shares(outlines)
    for i in range(5, 35):
        for j in range(0, 30, 3):
            low = [round((ORIGIN[k] + STEP * n) / dbu) for k, n in enumerate((i, j))]
            cell = kdb.Region(kdb.Box(*low, *(n + round(STEP / dbu) for n in low)))
            assert found[i, j] == pytest.approx((cell & solid).area() * (dbu / STEP) ** 2, abs=2e-6)


def slope(f: Callable, at: np.ndarray, way: np.ndarray, h: float) -> jax.Array:
    """Of f along ``way``, to fourth order."""
    one, two = (f(at + k * h * way) - f(at - k * h * way) for k in (1, 2))
    return (8 * one - two) / (12 * h)


def weighed(f: Callable[..., Coefficients], seed: int = 0) -> Callable:
    """A random linear form of coefficients."""

    def form(vertices) -> jax.Array:
        parts, rng = jax.tree.leaves(f(vertices)), np.random.default_rng(seed)
        return sum((jnp.sum(p * rng.standard_normal(p.shape)) for p in parts), jnp.zeros(()))

    return jax.jit(form)


DOMAIN = Domain((2.0, 1.6), 0.04, (0.4, 0.4))


@BOTH
def test_derivatives_of_coefficients(polarisation):
    """No corner of this star moves over a line, where second derivatives jump; h^4 and 1e-16 / h are below 1e-9."""
    start, rng = star(5, 21), np.random.default_rng(1)
    way = rng.standard_normal(start.shape)
    form = weighed(lambda v: smoothed([v, circle((0.03, -0.02), 0.1, 7)[::-1]], DOMAIN, CORE, CLAD, polarisation))
    expected = float(slope(form, start, way, 1e-6))
    gradient = jax.grad(form)(start)
    assert jnp.sum(gradient * way) == pytest.approx(expected, rel=1e-7)
    assert np.abs(jax.jit(jax.grad(form))(start) - gradient).max() < 1e-12 * np.abs(gradient).max()
    assert jax.jvp(form, (start,), (way,))[1] == pytest.approx(expected, rel=1e-7)
    assert jax.jit(lambda v: jax.jvp(form, (v,), (way,))[1])(start) == pytest.approx(expected, rel=1e-7)


def test_all_ways_of_differentiating_agree():
    total = lambda v: jnp.sum(fractions([v], ORIGIN, STEP, SHAPE)[:, ::3], axis=1)
    at = jnp.stack([star(6, 9), star(7, 9)])
    forward, backward = jax.jacfwd(total)(at[0]), jax.jacrev(total)(at[0])
    assert np.abs(forward).max() > 0.01
    assert np.abs(forward - backward).max() < 1e-13
    assert np.abs(jax.vmap(jax.jacfwd(total))(at)[0] - forward).max() < 1e-13
    assert np.abs(jax.jit(jax.vmap(jax.jacrev(total)))(at)[1] - jax.jacrev(total)(at[1])).max() < 1e-13
    with pytest.raises(NotImplementedError, match="once"):
        jax.hessian(lambda v: jnp.sum(total(v) ** 2))(at[0])


def test_gradient_of_the_whole_area_is_the_shoelace_s():
    for outline in (star(8), box(-0.5, -0.3, 0.45, 0.2), circle((0.0, 0.0), 0.6, 900)):
        found = jax.grad(lambda v: jnp.sum(fractions([v], ORIGIN, STEP, SHAPE)) * STEP**2)(outline)
        x, y = (np.roll(outline, -1, 0) - np.roll(outline, 1, 0)).T
        assert np.abs(found - np.stack([y, -x], 1) / 2).max() < 1e-14


@BOTH
def test_derivative_of_walls_on_lines_is_the_mean_of_both_sides(polarisation):
    """That is what a symmetric difference of a function with a kink is."""
    form = weighed(lambda v: smoothed([v], DOMAIN, CORE, CLAD, polarisation))
    for start, way in ((box(-9, -0.2, 9, 0.2), (0.0, 1.0)), (box(-0.4, -9, 0.4, 9), (1.0, 0.0))):
        for ways in (np.array(way) + 0 * start, np.array(way) * np.sign(start)):
            expected = float(form(start + 1e-6 * ways) - form(start - 1e-6 * ways)) / 2e-6
            assert jax.jvp(form, (start,), (ways,))[1] == pytest.approx(expected, rel=1e-6)
    corners = jax.grad(form)(box(-0.4, -0.2, 0.4, 0.2))
    assert np.isfinite(corners).all()
    assert np.abs(corners).min() > 0


def test_smoothing_of_pixels_is_that_of_the_pixels():
    """Along lines of the grid; a_xy is not 0 where a polygon has its corners."""
    tee = np.array([[-0.4, -0.4], [0.4, -0.4], [0.4, 0.4], [0.0, 0.4], [0.0, 0.0], [-0.4, 0.0]])
    eps = np.full(DOMAIN.shape, CLAD)
    for part in (Box(-0.4, -0.4, 0.4, 0.0), Box(0.0, 0.0, 0.4, 0.4)):
        eps[DOMAIN.cells(part)] = CORE
    for polarisation in ("ez", "hz"):
        found = smoothed([tee], DOMAIN, CORE, CLAD, polarisation)
        for one, other in zip(found, coefficients(eps, polarisation), strict=True):
            if other is not None:
                assert np.abs(one - other).max() < 1e-11
    corner = np.asarray(found.corner).copy()
    for x, y in tee:
        at = round(DOMAIN.pixel(0, x)), round(DOMAIN.pixel(1, y))
        assert abs(corner[at]) > 0.01
        corner[at] = 0
    assert np.abs(corner).max() < 1e-11


def test_tensor_of_a_slanted_wall():
    """Its own normal everywhere, with the shares of the cells about each place."""
    n = np.array([np.cos(0.7), np.sin(0.7)])
    along = np.array([-n[1], n[0]])
    wall = np.array([0.013 * n + 9 * along, -9 * n + 9 * along, -9 * n - 9 * along, 0.013 * n - 9 * along])
    c, (nx, ny), h = smoothed([wall], DOMAIN, CORE, CLAD, "hz"), DOMAIN.shape, DOMAIN.step
    for found, (a, b), size in (
        (c.across_x, (0.5, 0), (nx + 1, ny)),
        (c.across_y, (0, 0.5), (nx, ny + 1)),
        (c.corner, (0.5, 0.5), (nx + 1, ny + 1)),
    ):
        f = fractions([wall], (-1.0 - a * h, -0.8 - b * h), h, size)
        mean, inverse = 1 / (f * CORE + (1 - f) * CLAD), f / CORE + (1 - f) / CLAD
        expected = np.eye(2) * mean[..., None, None] + np.outer(n, n) * (inverse - mean)[..., None, None]
        entry = {(0.5, 0): expected[..., 1, 1], (0, 0.5): expected[..., 0, 0], (0.5, 0.5): -expected[..., 0, 1]}[a, b]
        assert np.abs(found - entry).max() < 1e-10


def test_bar_narrower_than_a_pixel_has_the_tensor_of_a_layer():
    """Both walls in one row of cells: 1/eps of the mean along the bar, mean of 1/eps across; the normals cancel."""
    c = smoothed([box(-9, 0.035, 9, 0.045)], DOMAIN, CORE, CLAD, "hz")
    share = np.array([0.005, 0.005]) / 0.04
    assert np.asarray(c.across_x)[10, 20:22] == pytest.approx(share / CORE + (1 - share) / CLAD, abs=1e-12)
    assert np.asarray(c.across_y)[10, 21] == pytest.approx(1 / (0.25 * CORE + 0.75 * CLAD), abs=1e-12)
    assert np.abs(c.corner).max() < 1e-12


@pytest.mark.parametrize("line", [0.2, 0.22])
def test_coefficients_are_continuous_where_a_corner_crosses_a_line(line):
    """Of pixels, or between them: what changes goes with the distance."""

    def change(d: float) -> float:
        ends = [smoothed([box(-0.31, -0.17, line + s, line + s)], DOMAIN, CORE, CLAD, "hz") for s in (-d, d)]
        return max(float(jnp.abs(a - b).max()) for a, b in zip(*ends, strict=True))

    changes = np.array([change(d) for d in (1e-3, 1e-4, 1e-5)])
    assert np.all(changes < 20 * (1 / CLAD - 1 / CORE) * np.array([1e-3, 1e-4, 1e-5]) / DOMAIN.step), changes


def test_common_edges_hardly_count():
    """Two halves of a bar are the bar, but for 1 % of the tensor where its walls meet the seam."""
    whole = smoothed([box(-0.7, -0.19, 0.7, 0.21)], DOMAIN, CORE, CLAD, "hz")
    halves = smoothed([box(-0.7, -0.19, 0.01, 0.21), box(0.01, -0.19, 0.7, 0.21)], DOMAIN, CORE, CLAD, "hz")
    for one, other in zip(whole, halves, strict=True):
        assert np.abs(one - other).max() < 0.01 * (1 / CLAD - 1 / CORE)


def crossing(polarisation: Polarisation) -> Condensed:
    """A guide of 0.4 um through a region of 0.96 x 0.8 um."""
    domain = Domain((3.2, 2.4), 0.04, (0.4, 0.4))
    ports = (Port("o1", (-0.9, 0), 180, 1.6), Port("o2", (0.9, 0), 0, 1.6))
    eps = np.full(domain.shape, CLAD)
    eps[:, domain.cells(Box(0, -0.2, 0.04, 0.2))[1]] = CORE
    return Condensed(Simulation(domain, eps, polarisation, ports, np.array([WL])), Box(-0.48, -0.4, 0.48, 0.4))


@BOTH
def test_derivatives_of_s(polarisation):
    region = crossing(polarisation)
    body = np.array(
        [[-0.48, -0.2], [-0.11, -0.31], [0.03, -0.27], [0.48, -0.2], [0.48, 0.2], [0.11, 0.33], [-0.48, 0.2]]
    )
    arms = [box(-3, -0.2, -0.48, 0.2), box(0.48, -0.2, 3, 0.2)]
    s = lambda v: scattering_of(
        region, smoothed([v, *arms], region.simulation.domain, CORE, CLAD, polarisation, region.cells)
    )
    assert 0.3 < abs(s(body)[0, 1, 0]) ** 2 < 0.99
    way = np.zeros_like(body)
    way[[1, 2, 5]] = np.random.default_rng(3).standard_normal((3, 2))
    expected = slope(s, body, way, 3e-5)
    assert np.abs(jax.jvp(s, (body,), (way,))[1] - expected).max() < 1e-6 * np.abs(expected).max()
    pull = jax.jit(jax.grad(lambda v: jnp.abs(s(v)[0, 1, 0]) ** 2))(body)
    power = float(slope(lambda v: jnp.abs(s(v)[0, 1, 0]) ** 2, body, way, 3e-5))
    assert jnp.sum(pull * way) == pytest.approx(power, rel=1e-6)


@BOTH
def test_walls_off_lines_converge_with_the_second_order(polarisation):
    """A slab whose walls lie a quarter of a pixel outside of lines, at any step; pixels put them on the lines."""
    errors = []
    for step in (0.02, 0.01, 0.005):
        width, domain = 0.4 + step / 2, Domain((16 * step, 3.2), step, (4 * step, 0.0))
        stairs = np.full(domain.shape, CLAD)
        stairs[:, domain.cells(Box(0, -0.2, step, 0.2))[1]] = CORE
        smooth = smoothed([box(-9, -width / 2, 9, width / 2)], domain, CORE, CLAD, polarisation)
        both = jax.tree.map(np.asarray, smooth), coefficients(stairs, polarisation)
        n, other = (solve_modes(domain, c, Port("o1", (0, 0), 180, 3.2), WL).n_eff[0] for c in both)
        errors.append([n - slab_index(polarisation, 0, WL, width), n - other])
    rates = np.log2(np.abs(errors[:-1]) / np.abs(errors[1:]))
    assert rates[:, 0] == pytest.approx([2, 2], abs=0.1), errors
    assert rates[:, 1] == pytest.approx([1, 1], abs=0.2), errors


def scattered(c: Coefficients, domain: Domain, polarisation: Polarisation, wl: float = 1.2) -> float:
    """Width, um, of what scatters in vacuum in the domain's middle: a plane wave along x, flux through a square."""
    (nx, ny), step = domain.shape, domain.step
    theta = 2 * np.arcsin(np.pi / wl * step)
    wave = np.repeat(np.exp(1j * theta * np.arange(nx)), ny)[:, None]
    matrix, empty = (assemble(domain, k, wl) for k in (c, coefficients(np.ones(domain.shape), polarisation)))
    f = solve(matrix, -((matrix - empty) @ wave)).reshape(nx, ny)
    low, high = round(0.7 / step), nx - round(0.7 / step)
    flux_x = np.imag(f[:-1].conj() * f[1:])[:, low:high].sum(1)
    flux_y = np.imag(f[:, :-1].conj() * f[:, 1:])[low:high].sum(0)
    power = flux_x[high - 1] - flux_x[low - 1] + flux_y[high - 1] - flux_y[low - 1]
    return power * step / np.sin(theta)


@BOTH
def test_cylinder_converges_to_mie_with_the_second_order(polarisation):
    """Wherever it lies on the grid, which moves the error of a staircase by more than the smoothed one's size."""
    exact, errors, stairs = 0.8 * mie(polarisation, 1.5, 2 * np.pi / 1.2 * 0.4), [], []
    for step in (0.05, 0.025):
        domain = Domain((2.4, 2.4), step, (0.6, 0.6))
        for centre in ((0.013, 0.007), (0.02, 0.0)):
            smooth = smoothed([circle(centre, 0.4, 400)], domain, 2.25, 1.0, polarisation)
            errors.append(scattered(jax.tree.map(np.asarray, smooth), domain, polarisation) / exact - 1)
            x, y = ((np.arange(n) + 0.5 - n / 2) * step - c for n, c in zip(domain.shape, centre, strict=True))
            eps = np.where(np.hypot(x[:, None], y) < 0.4, 2.25, 1.0)
            stairs.append(scattered(coefficients(eps, polarisation), domain, polarisation) / exact - 1)
    assert np.log2(np.abs(errors[:2]) / np.abs(errors[2:])) == pytest.approx([2, 2], abs=0.2), errors
    assert abs(errors[3] - errors[2]) < 0.05 * abs(stairs[3] - stairs[2])


def test_polygons_that_cannot_be():
    good = star(0)
    for outlines, match in (
        ([good, good[:2]], "outline 1 is no polygon"),
        ([good.ravel()], "outline 0 is no polygon"),
        ([good, np.full((4, 2), np.nan)], "outline 1 is not finite"),
        ([good, good], "overlap"),
        ([good[::-1]], "wrong way round"),
    ):
        with pytest.raises(SpecError, match=match) as caught:
            shares(outlines)
        assert caught.value.remedy or caught.value.allowed
    for eps in ({"inside": 0.0}, {"outside": -1.0}, {"inside": np.nan}, {"inside": np.ones(3)}):
        with pytest.raises(SpecError, match=f"permittivity {next(iter(eps))}") as caught:
            smoothed([good], DOMAIN, polarisation="ez", **{"inside": CORE, "outside": CLAD, **eps})
        assert caught.value.remedy
    with pytest.raises(SpecError, match="polarisation"):
        smoothed([good], DOMAIN, CORE, CLAD, "te")  # pyright: ignore
    assert not shares([]).any()
    assert np.isnan(jax.jit(lambda v: fractions([v], ORIGIN, STEP, SHAPE))(np.full((4, 2), np.nan))).all()
