"""Densities against closed forms of the filter, areas, finite differences; what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from densities import R, bar, free

from picq.errors import SpecError
from picq.inverse.density import Density, Filtered, margin, refine, smoothed_projection, tanh_projection
from picq.inverse.lengthscale import half_plane

RNG = np.random.default_rng(3)


def field(value, step: float) -> Filtered:
    """Samples with one pixel more on every side, as a filtered density."""
    value = jnp.asarray(value)
    slopes = value[2:, 1:-1] - value[:-2, 1:-1], value[1:-1, 2:] - value[1:-1, :-2]
    return Filtered(value[1:-1, 1:-1], jnp.stack(slopes) / (2 * step))


# filter


def test_constants_stay():
    d = free(around=0.3)
    f = d.filtered(np.full(d.shape, 0.3))
    assert np.allclose(f.value, 0.3, atol=1e-14)
    assert np.allclose(f.gradient, 0, atol=1e-12)


@pytest.mark.parametrize("step", [0.05, 0.04, 0.02, 0.01])
def test_radius_means_the_same_on_every_grid(step):
    """Edges on lines of the grid: the value is that of the continuous filter. Sampled weights would err by 1e-3."""
    _, f = bar(0.4, step)
    x = (np.arange(f.value.shape[0]) + 0.5) * step - 0.8
    depth = lambda at: np.asarray(half_plane(np.clip(at / R, -1, 1)))
    exact = depth(0.2 + x) + depth(0.2 - x) - 1
    assert np.allclose(f.value, exact[:, None], atol=3e-5)


def test_weights_are_those_of_a_cone():
    """One pixel alone. A pixel's mean of the cone differs from its middle by step^2 / 24 times 1 / (r R)."""
    d = free((41, 41), 0.01, R)
    latent = np.zeros(d.shape)
    latent[20, 20] = 1
    x, y = np.mgrid[-20:21, -20:21] * d.step
    r = np.hypot(x, y)
    cone = 3 / np.pi * (d.step / R) ** 2 * np.maximum(0, 1 - r / R)
    smooth = (r > 2 * d.step) & (np.abs(r - R) > d.step)
    bound = 1.5 * 3 / np.pi * (d.step / R) ** 2 * d.step**2 / (24 * 2 * d.step * R)
    assert np.max(np.abs(d.filtered(latent).value - cone)[smooth]) < bound


def test_transpose_is_the_gradient():
    d = free(around=0.5, symmetries=("x",))
    v, w = RNG.random((2, *d.shape))
    flat = lambda latent: d.filtered(latent).value
    _, back = jax.vjp(flat, v)
    assert jnp.vdot(w, flat(v) - flat(0 * v)) == pytest.approx(float(jnp.vdot(back(w)[0], v)), rel=1e-12)


def test_the_outside_is_seen():
    """A guide that goes on outside has no end at the region's border; one that stops there is half as bright."""
    d, f = bar(0.4, 0.02)
    assert np.max(np.abs(f.gradient[1])) < 1e-12
    alone = Density(d.shape, d.step, R, np.zeros(d.surroundings.shape))
    guide = np.zeros(d.shape)
    guide[30:50] = 1
    # 10 nm from the end; two edges act along x, none nearer than the radius
    assert alone.filtered(guide).value[40, 0] == pytest.approx(float(half_plane(0.01 / R)), abs=1e-4)
    assert np.allclose(alone.filtered(guide).value[:, 10], f.value[:, 10], atol=1e-13)


def test_fixed_regions_stay_whatever_is_asked():
    solid, void = np.zeros((2, 24, 20), bool)
    solid[:6], void[18:] = True, True
    d = free(around=0.5, solid=solid, void=void)
    project = jax.jit(lambda latent: d.projected(latent, np.inf))
    for latent in (np.zeros(d.shape), np.ones(d.shape), RNG.random(d.shape)):
        density = project(latent)
        assert np.all(density[1:4] == 1)  # the edges between are at 6 and 18, half solid
        assert np.all(density[-4:-1] == 0)
    felt = jax.jit(jax.grad(lambda latent: jnp.sum(d.projected(latent, 8.0))))(RNG.random(d.shape))
    assert np.array_equal(felt == 0, solid | void)


# symmetries


@pytest.mark.parametrize(
    ("symmetries", "images"),
    [
        (("x",), [lambda a: a[::-1]]),
        (("y",), [lambda a: a[:, ::-1]]),
        (("x", "y"), [lambda a: a[::-1], lambda a: a[:, ::-1]]),
        (("diagonal",), [lambda a: a.T]),
        (("antidiagonal",), [lambda a: np.rot90(a, 2).T]),
        (("quarter",), [np.rot90, lambda a: a[::-1, ::-1]]),
        (("x", "diagonal"), [np.rot90, lambda a: a.T, lambda a: a[::-1], lambda a: a[:, ::-1]]),
    ],
)
def test_symmetries_are_kept(symmetries, images):
    d = free((20, 20), around=0.4, symmetries=symmetries)
    latent = RNG.random(d.shape)
    density = np.asarray(jax.jit(d.projected)(latent, 16.0))
    for image in images:
        assert np.allclose(image(density), density, atol=1e-12)
    assert np.mean(d.symmetrised(latent)) == pytest.approx(np.mean(latent), rel=1e-13)
    assert np.allclose(d.symmetrised(d.symmetrised(latent)), d.symmetrised(latent), atol=1e-15)


def test_what_is_not_asked_for_is_not_symmetrised():
    d = free((20, 20), symmetries=("x",))
    s = np.asarray(d.symmetrised(RNG.random(d.shape)))
    assert min(np.max(np.abs(s - other)) for other in (s[:, ::-1], s.T, np.rot90(s))) > 0.1


# projections


def test_tanh_projection():
    v = np.linspace(0, 1, 11)
    for eta in (0.3, 0.5):
        p = tanh_projection(v, 12.0, eta)
        assert np.allclose([p[0], p[-1]], [0, 1], atol=1e-15)
        slope = jax.grad(tanh_projection)(eta, 12.0, eta)
        assert slope == pytest.approx(12 / (np.tanh(12 * eta) + np.tanh(12 * (1 - eta))))
    assert np.allclose(tanh_projection(v, 1e-4), v, atol=1e-8)
    assert np.array_equal(tanh_projection(v, np.inf, 0.55), v > 0.55)
    assert np.allclose(tanh_projection(v, 1e4, 0.55), v > 0.55, atol=1e-15)


def test_smoothing_leaves_alone_what_is_smooth():
    """Identity for a linear projection; nothing changes off edges. On an edge projections have no curvature, so what
    smoothing adds, curvature times (pixel times slope)^2, is of third order."""
    project = jax.jit(smoothed_projection)
    wave = lambda h: field(0.5 + 0.4 * jnp.sin(3 * (jnp.arange(-25.3, 26) * h))[:, None] * jnp.ones(4), h)
    f = wave(0.02)
    assert np.allclose(project(f, 0.02, 1e-4), f.value, atol=1e-8)
    added = [
        float(jnp.max(jnp.abs(project(wave(h), h, 4.0) - tanh_projection(wave(h).value, 4.0)))) for h in (0.02, 0.01)
    ]
    assert added[0] > 1e-6
    assert added[0] / added[1] == pytest.approx(8, rel=0.1)
    off = np.abs(f.value - 0.5) > 1.2 * 0.02  # one pixel at the steepest place
    assert np.allclose(project(f, 0.02, 30.0)[off], tanh_projection(f.value, 30.0)[off], atol=1e-15)


@pytest.mark.parametrize(("angle", "harmonic"), [(0.0, 0.0014), (45.0, 0.0061), (20.0, 0.0014)])
def test_area_of_a_half_plane_follows_its_edge(angle, harmonic):
    """At beta = inf, through pixels, up to the first harmonic that is left, in pixels.

    Along the grid it is the second, k R = 11.53, along the diagonal the first, k R = 8.15: j_2 as in the docstring.
    Those behind it add a third to slopes.
    """
    step, n = 0.02, 120
    x, y = np.mgrid[-1 : n + 1, -1 : n + 1] * step - (n - 1) * step / 2
    across = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    cut_cone = lambda r: np.clip((0.7 - r) / 0.3, 0, 1)  # so that the edge's ends add no error
    window = cut_cone(np.hypot(x, y))[1:-1, 1:-1]

    @jax.jit
    @jax.value_and_grad
    def area(s):
        return jnp.sum(window * smoothed_projection(field(0.5 + (s - across) / 0.5, step), step, jnp.inf)) * step**2

    places = np.linspace(0, 1.5 * step, 13)
    moved, slope = np.array([area(s) for s in places]).T
    along = np.linspace(-0.7, 0.7, 7001)
    chord = np.array([np.trapezoid(cut_cone(np.hypot(s, along)), along) for s in places])
    exact = np.concatenate([[0], np.cumsum(chord[1:] + chord[:-1]) / 2 * (places[1] - places[0])])
    assert np.allclose(moved - moved[0], exact, atol=2.2 * harmonic * chord[0] * step)  # from trough to peak
    waves = 4 * np.pi if angle == 0 else 2 * np.pi * np.sqrt(2)
    assert np.allclose(slope, chord, atol=1.35 * waves * harmonic * chord[0])
    for s in places[::4]:
        assert area(s)[1] == pytest.approx(float(area(s + 1e-6)[0] - area(s - 1e-6)[0]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("step", [0.04, 0.02, 0.01])
def test_area_of_a_disc_is_of_second_order(step):
    """The smoothing widens a disc's area by pi times its variance (0.917 step)^2 / 7, wherever the centre lies."""
    n, a = round(1.2 / step), 0.4
    x, y = np.mgrid[-1 : n + 1, -1 : n + 1] * step - (n - 1) * step / 2

    @jax.jit
    @jax.value_and_grad
    def area(a, centre):
        r = jnp.hypot(x - centre[0], y - centre[1])
        return jnp.sum(smoothed_projection(field(0.5 + (a - r) / 0.5, step), step, jnp.inf)) * step**2

    widened = np.pi * (a**2 + 0.917**2 * step**2 / 7)
    for centre in RNG.random((6, 2)) * step:
        value, slope = area(a, centre)
        assert value == pytest.approx(widened, abs=0.4 * np.pi * step**2)
        assert slope == pytest.approx(2 * np.pi * a, rel=0.02)


@pytest.mark.parametrize("beta", [8.0, np.inf])
def test_gradient_of_a_design(beta):
    d = free((20, 20), around=0.5, symmetries=("y",))
    latent, along = 0.1 + 0.8 * RNG.random(d.shape), RNG.standard_normal(d.shape)
    weight = RNG.random(d.shape)
    score = lambda latent: jnp.sum(weight * d.projected(latent, beta) ** 2)
    slope = jax.jit(jax.grad(score))(latent)
    assert np.all(np.isfinite(slope))
    difference = (score(latent + 1e-7 * along) - score(latent - 1e-7 * along)) / 2e-7
    assert jnp.vdot(slope, along) == pytest.approx(float(difference), rel=1e-5)


def test_rounding_is_not_an_edge():
    """A flat field at the level is the usual start; the last digit of its values must not become a normal."""
    noise = np.random.default_rng(0).integers(-2, 3, (12, 12)) * 2.0**-53
    for beta in (8.0, jnp.inf):
        project = lambda shift, beta=beta: smoothed_projection(field(0.5 + noise + shift, 0.02), 0.02, beta)
        slope = jax.jit(jax.jacfwd(project))(0.0)
        assert np.allclose(slope, 8 / (2 * np.tanh(4)) if beta == 8 else 0, rtol=1e-12)


# refinement


def test_refinement_keeps_areas_lines_bounds_and_symmetries():
    latent = RNG.random((7, 5))
    fine = np.asarray(jax.jit(refine)(latent))
    assert fine.shape == (14, 10)
    assert np.mean(fine) == pytest.approx(np.mean(latent), rel=1e-14)
    assert latent.min() <= fine.min()
    assert fine.max() <= latent.max()
    assert np.allclose(refine(latent[::-1]), fine[::-1], atol=1e-15)
    assert np.allclose(refine(latent.T), fine.T, atol=1e-15)
    place = lambda n, h: (np.arange(n) + 0.5) * h
    plane = lambda nx, ny, h: 0.1 + 0.3 * place(nx, h)[:, None] + 0.2 * place(ny, h)
    assert np.allclose(refine(plane(7, 5, 0.2))[1:-1, 1:-1], plane(14, 10, 0.1)[1:-1, 1:-1], atol=1e-14)


def test_a_refined_region_is_the_same_region():
    """The filtered fields differ by second order in the step."""
    solid = np.zeros((12, 12), bool)
    solid[4:8, 4:8] = True
    m = margin(0.2, 0.05)
    outside = np.zeros((12 + 2 * m, 12 + 2 * m))
    outside[:, m + 4 : m + 8] = 1
    d = Density((12, 12), 0.05, 0.2, outside, ("y",), solid)
    x, y = (np.mgrid[:12, :12] + 0.5) / 12
    latent, changes = 0.5 + 0.4 * np.sin(5 * x) * np.cos(3 * y), []
    for _ in range(2):
        fine, finer = d.refined(), np.asarray(refine(latent))
        means = jax.jit(fine.filtered)(finer).value.reshape(d.shape[0], 2, d.shape[1], 2).mean((1, 3))
        changes.append(np.max(np.abs(means - jax.jit(d.filtered)(latent).value)))
        d, latent = fine, finer
    assert changes[0] < 0.02
    assert changes[0] / changes[1] == pytest.approx(4, rel=0.4)


# refusals


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: free(radius=0.01), "smaller than a pixel"),
        (lambda: free(shape=(0, 3)), "design region"),
        (lambda: free(symmetries=("diagonal",)), "needs a square"),
        (lambda: free(symmetries=("quarter",)), "needs a square"),
        (lambda: free(symmetries=("z",)), "unknown symmetry"),
        (lambda: Density((8, 8), 0.02, 0.09, np.zeros((8, 8))), r"\(20, 20\)"),
        (lambda: Density((8, 8), 0.02, 0.09, np.zeros((20, 22))), "do not fit"),
        (lambda: Density((8, 8), 0.02, 0.09, np.array(0.0)), "do not fit"),
        (lambda: free(around=12.25), "0 for void to 1 for solid"),
        (lambda: free(solid=np.zeros((3, 3), bool)), "mask 'solid'"),
        (lambda: free(void=np.zeros((24, 20))), "mask 'void'"),
        (lambda: free(solid=np.ones((24, 20), bool), void=np.ones((24, 20), bool)), "both solid and void"),
        (lambda: free(solid=np.arange(480).reshape(24, 20) < 20, symmetries=("x",)), "'solid' has not the symmetry"),
        (lambda: free().filtered(np.zeros((3, 3))), "another shape"),
        (lambda: free().filtered(np.full((24, 20), 1.1)), "0 to 1"),
        (lambda: free().filtered(np.full((24, 20), np.nan)), "0 to 1"),
        (lambda: free().projected(np.zeros((24, 20)), 0.0), "beta"),
        (lambda: free().projected(np.zeros((24, 20)), 8.0, np.array([0.5, 1.0])), "eta"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(SpecError, match=words):
        make()


def test_surroundings_without_the_symmetry_are_refused():
    m = margin(0.09, 0.02)
    around = np.zeros((20 + 2 * m, 20 + 2 * m))
    around[:m, m + 8 : m + 12] = 1  # one guide from the left
    assert Density((20, 20), 0.02, 0.09, around, ("y",)).shape == (20, 20)
    with pytest.raises(SpecError, match="'surroundings' has not the symmetry 'x'"):
        Density((20, 20), 0.02, 0.09, around, ("x", "y"))
