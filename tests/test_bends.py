"""Bends: against an independent solution of the bent slab, against reference numbers, and in their limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from picq.errors import NumericsError
from picq.optics import modes
from picq.optics.bend import Bend, _widened, bake_bend, coupling_factor, from_dict
from picq.optics.eigen import energy, magnetic
from picq.optics.fields import match
from picq.optics.profile import Profile, guide
from picq.optics.waveguide import euler_curvature_integral, euler_length_factor

WL, N1, N2, W = 1.55, 2.0, 1.444, 0.7  # a slab, E along its faces
K = 2 * np.pi / WL


def slab(margin=4.0, absorber=3.0):
    """A slab as a cross-section between electric walls: E_y of its mode does not depend on y."""
    x = [-W / 2 - margin, -W / 2, W / 2, W / 2 + margin, W / 2 + margin + absorber]
    return Profile(
        x=jnp.asarray([[v, v] for v in x]),
        y=jnp.asarray([0.0, 1.0]),
        media=((N2,), (N1,), (N2,), (N2,)),
        core=((1, 0),),
        cells_x=(16, 12, 20, 12),
        cells_y=(1,),
        mirror="",
        halved=False,
    )


def straight_slab():
    """Index of the slab's mode by bisection of tan(kappa w/2) = gamma/kappa."""
    low, high = N2, N1
    for _ in range(80):
        n = (low + high) / 2
        kappa, gamma = K * np.sqrt(N1**2 - n**2), K * np.sqrt(n**2 - N2**2)
        low, high = (n, high) if kappa * W / 2 > np.arctan2(gamma, kappa) else (low, n)
    return n


def bent_slab(radius):
    """Complex index of the bent slab: Bessel's equation by ODE integration, matched at the outer face.

    The logarithmic derivative L of E obeys L' = -L² - L/r - (k² n² - nu²/r²); it starts as the growing solution inside
    the bend, and as the outgoing wave on a ray into the complex plane outside, where that wave decays.
    """

    def run(nu, a, b, n, start):
        slope = lambda s, v: (b - a) * (-v * v - v / (a + s * (b - a)) - (K * n) ** 2 + (nu / (a + s * (b - a))) ** 2)
        return solve_ivp(slope, (0, 1), [start], rtol=1e-11, atol=1e-12, method="DOP853").y[0, -1]

    def mismatch(nu):
        inside, far = radius - W / 2 - min(6.0, radius / 2), radius + W / 2 + 60 * np.exp(0.5j)
        left = run(nu, inside, radius - W / 2, N2, np.sqrt((nu / inside) ** 2 - (K * N2) ** 2 + 0j))
        left = run(nu, radius - W / 2, radius + W / 2, N1, left)
        outgoing = 1j * K * N2 * np.sqrt(1 - (nu / (K * N2 * far)) ** 2) - 1 / (2 * far)
        return left - run(nu, far, radius + W / 2, N2, outgoing)

    a = K * radius * straight_slab()
    b = a * (1 + 1e-6) + 1e-9j
    fa, fb = mismatch(a), mismatch(b)
    while abs(b - a) > 1e-13 * abs(b):
        a, b, fa = b, b - fb * (b - a) / (fb - fa), fb
        fb = mismatch(b)
    return b / (K * radius)


@pytest.fixture(scope="module")
def baked():
    return bake_bend(slab(), WL, 9.0, "tm0")


@pytest.fixture
def bend(baked):
    return from_dict(baked)


@pytest.mark.parametrize("radius", [4.0, 9.0])
def test_a_bent_slab_is_that_of_an_independent_solver(radius):
    """Both parts of the index. The extrapolated mesh error of n is below 1e-6; that of Im n, relative, grows with the
    exponent (about 12 nepers at R = 9) and is below 1e-4 here."""
    n = modes.solve(slab(), WL, "tm0", radius=radius, levels=(4, 8)).n_eff
    exact = bent_slab(radius)
    assert complex(n).real == pytest.approx(exact.real, abs=2e-6)
    assert complex(n).imag == pytest.approx(exact.imag, rel=2e-4)


@pytest.mark.parametrize(("margin", "absorber"), [(3.0, 3.0), (5.0, 3.0), (4.0, 2.0), (4.0, 5.0)])
def test_radiation_does_not_depend_on_margin_or_absorber(margin, absorber):
    solve = lambda profile: modes.solve(profile, WL, "tm0", radius=6.0, levels=(4, 8)).n_eff.imag
    assert float(solve(slab(margin, absorber))) == pytest.approx(float(solve(slab())), rel=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("radius", [6.0, *(pytest.param(r, marks=pytest.mark.exhaustive) for r in (8.0, 20.0))])
def test_baked_bends_against_the_independent_solver(bend, radius):
    """One coarse level, so 2 % in the small difference of indices. Radiation: 10 % from the mesh (measured against the
    extrapolated one), and as much from the line through ln(loss), as its check point says."""
    exact = bent_slab(radius)
    assert float(bend.index_rise(1 / radius)) == pytest.approx(exact.real - straight_slab(), rel=0.02)
    if radius < 10:  # the exact solution is good to 1e-13 of n
        assert float(bend.radiated(1 / radius)) == pytest.approx(2 * K * exact.imag, rel=0.3)


def test_coupling_factor_of_slabs_against_closed_forms():
    """The same integral from the straight slab's analytic mode, and Bessel's equation in the core of the bent one."""
    radius, n, nu = 9.0, straight_slab(), float(bent_slab(9.0).real) * K * 9.0
    kappa, gamma = K * np.sqrt(N1**2 - n**2), K * np.sqrt(n**2 - N2**2)
    core = lambda x: np.cos(kappa * x)
    norm = K * n * (W / 2 + np.sin(kappa * W) / (2 * kappa) + np.cos(kappa * W / 2) ** 2 / gamma)
    bus = lambda x: np.cos(kappa * W / 2) * np.exp(-gamma * (x - W / 2)) / np.sqrt(norm)

    index = lambda r: N1 if abs(r - radius) < W / 2 else N2
    start = radius - W / 2 - 3.0
    rise = lambda r, v: [v[1], -v[1] / r - ((K * index(r)) ** 2 - (nu / r) ** 2) * v[0]]
    grow = np.sqrt((nu / start) ** 2 - (K * N2) ** 2)
    r = np.linspace(start, radius + W / 2 + 1.0, 8001)
    e = solve_ivp(rise, (r[0], r[-1]), [1e-6, 1e-6 * grow], t_eval=r, rtol=1e-9, atol=1e-13, max_step=0.02).y[0]
    e = e / np.sqrt(np.trapezoid(e**2 * nu / r, r))
    inside = np.abs(r - radius) <= W / 2
    rho, e = r[inside], e[inside]

    gap = 0.3
    theta = np.linspace(-0.6, 0.6, 1201)[:, None]
    distance = W + gap + radius - rho * np.cos(theta)
    wave = np.exp(1j * (K * n * rho * np.sin(theta) - nu * theta))
    ring = abs(np.trapezoid(np.trapezoid(bus(distance) * e * wave * rho, rho, axis=1), theta[:, 0]))
    x = rho - radius
    apart = W + gap + (radius + W / 2) * (1 - np.cos(theta))
    parallel = np.trapezoid(bus(apart + x) * core(x) / np.sqrt(norm), x, axis=1)
    plain = np.trapezoid(parallel * radius * np.sqrt(np.cos(theta[:, 0])), theta[:, 0])

    near = _widened(slab(), 4.0)
    solve = lambda radius: modes.solve(near, WL, "tm0", radius=radius, levels=(4,))
    assert coupling_factor(solve(None), solve(radius)) == pytest.approx(ring / plain, abs=3e-3)
    assert ring / plain > 1.03  # it is not a test of 1 = 1


def test_coupling_factor_of_a_large_ring_is_one(bend):
    assert float(bend.coupling_factor(0.0)) == 1.0
    near = _widened(slab(), 4.0)
    straight, bent = (modes.solve(near, WL, "tm0", radius=radius, levels=(2,)) for radius in (None, 1e4))
    assert coupling_factor(straight, bent) == pytest.approx(1.0, abs=1e-3)


def test_mismatch_by_the_discrete_form():
    """The junction's loss from the edge elements' own bilinear form, which involves no interpolation of the fields."""
    near = _widened(slab(), 4.0)
    straight, bent = (modes.solve(near, WL, "tm0", radius=radius, levels=(2,)) for radius in (None, 10.0))

    def flow(e, h):
        c = h.cells
        return h.n_levels[-1] * energy(c.u11, c.u12, c.u22, e.field, magnetic(h.field))

    t = (flow(straight, bent) + flow(bent, straight)) / 2 / jnp.sqrt(flow(straight, straight) * flow(bent, bent))
    assert 1 - float(match(straight, bent)) == pytest.approx(1 - float(abs(t) ** 2), rel=0.02)


def test_errors_are_measured_and_small(baked):
    errors = baked["errors"]
    assert errors["index"] < 1e-3
    assert errors["mismatch"] < 1e-3
    assert errors["coupling"] < 1e-4
    assert errors["radiation"] < 0.2  # of a logarithm


def test_straight_guides_have_no_bend(bend):
    for quantity in (bend.index_rise, bend.mismatch_db, bend.radiated):
        assert float(quantity(0.0)) == 0.0
        assert float(jax.grad(quantity)(0.0)) == 0.0
    assert complex(bend.excess(WL, 10.0, 0.0)) == 1.0


def test_bends_do_not_know_left_from_right(bend):
    for quantity in (bend.index_rise, bend.mismatch_db, bend.radiated, bend.coupling_factor):
        assert float(quantity(-0.1)) == float(quantity(0.1))


def test_tighter_than_solved_is_an_error(bend):
    with pytest.raises(NumericsError, match="tighter"):
        bend.index_rise(1 / 5.0)


def test_lossless_keeps_the_phase(bend):
    amplitude = bend.lossless().excess(WL, 100.0, 1 / 6.5)
    assert abs(complex(amplitude)) == pytest.approx(1.0, abs=1e-15)
    assert jnp.angle(amplitude) == pytest.approx(float(jnp.angle(bend.excess(WL, 100.0, 1 / 6.5))))
    assert float(bend.lossless().mismatch_db(0.1)) == 0.0


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_euler_bend_is_the_integral_along_it(bend, p):
    """Against adaptive quadrature of the curvature, which rises linearly over each clothoid."""
    radius, angle = 15.0, np.pi / 2
    length = radius * euler_length_factor(p)
    top = angle * (1 + p) / length
    clothoid, arc = p * angle / top, (1 - p) * angle / top
    along = lambda f: 2 * quad(lambda s: float(f(top * s / clothoid)), 0, clothoid)[0] + arc * float(f(top))
    got = complex(bend.euler_excess(WL, radius, p, 90.0))
    assert np.angle(got) == pytest.approx(K * along(bend.index_rise), rel=1e-8)
    assert -2 * np.log(abs(got)) == pytest.approx(along(bend.radiated), rel=1e-8)


def test_euler_bend_limits(bend):
    """p = 0 is the circle; with dn = c u² alone the phase is k c ∫ u² ds."""
    circle = bend.excess(WL, np.pi / 2 * 15.0, 1 / 15.0)
    assert complex(bend.euler_excess(WL, 15.0, 0.0, 90.0)) == pytest.approx(complex(circle), abs=1e-12)
    none = jnp.zeros(2)
    plain = Bend(index=jnp.array([0.04]), mismatch=none, radiation=none, coupling=none, radius_min=5.0)
    phase = float(jnp.angle(plain.euler_excess(WL, 10.0, 0.5, 90.0)))
    assert phase == pytest.approx(K * 0.04 * euler_curvature_integral(0.5) / 10.0, rel=1e-10)


def test_gradients_are_finite_differences(bend):
    def f(radius):
        z = bend.euler_excess(WL, radius, 0.5, 90.0) * bend.excess(WL, 20.0, 1 / radius)
        return jnp.angle(z) + jnp.abs(z) + bend.mismatch_db(1 / radius) + bend.coupling_factor(1 / radius)

    h = 1e-3
    numeric = (8 * (f(12 + h) - f(12 - h)) - (f(12 + 2 * h) - f(12 - 2 * h))) / (12 * h)
    assert float(jax.grad(f)(12.0)) == pytest.approx(float(numeric), rel=1e-8)


@pytest.mark.slow
def test_silicon_strip():
    """dn = 0.0354/R² um² of the reference, one level: 1 %. Mismatch: 0.15/R² dB in power; the reference's 0.22/R² is
    the overlap of E_x alone, without H. F: the same integral over the other volume (the ring's tail over the bus's
    core) extrapolates to 1.0762 at R = 5 um, this one to 1.0755."""
    strip = guide(width=0.5, thickness=0.22, core="Si", cladding="SiO2", whole=True)
    bend = from_dict(bake_bend(strip, WL, 5.0))
    assert float(bend.index_rise(0.2)) * 25 == pytest.approx(0.0354, rel=0.01)
    assert float(bend.mismatch_db(0.2)) * 25 == pytest.approx(0.149, rel=0.01)
    assert float(bend.coupling_factor(0.2)) == pytest.approx(1.0757, abs=1e-3)
    assert float(bend.radiated(0.2)) < 1e-12
