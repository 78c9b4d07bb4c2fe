"""The mode solver against values of two independent solvers, closed forms, scale invariance and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from picq.errors import NumericsError, SpecError
from picq.optics import fields, modes
from picq.optics.profile import guide
from picq.optics.slab import slab_index
from picq.optics.tracking import track

LN = ("LiNbO3_e", "LiNbO3_o", "LiNbO3_o")  # x-cut
SI = {"core": "Si", "cladding": "SiO2"}
FIXED = {"core": 3.476, "cladding": 1.444}
SIN = {"core": "SiN", "cladding": "SiO2", "margin": 4.0}
FIXED_SIN = {"core": 1.9963, "cladding": 1.444, "margin": 4.0}
RIB = {"thickness": 0.6, "slab": 0.3, "core": LN, "margin": 5.0}
AIR = {"cladding": 1.0, "box": "SiO2"}

# n_eff, n_g at 1.55 um of two full-vector solvers (finite difference with extrapolation; N2 x P2 finite elements) that
# agree to 1e-5. The rows of 0.6 to 1.0 um silicon are the N3 x P3 finite elements of tests/oracles, converged to 1e-6.
REFERENCE = {
    "si500": ({"width": 0.5, "thickness": 0.22, **FIXED}, "te0", 2.445382, 4.0535),
    "si500 dispersive": ({"width": 0.5, "thickness": 0.22, **SI}, "te0", 2.44723, 4.1962),
    "si500 tm": ({"width": 0.5, "thickness": 0.22, **FIXED}, "tm0", 1.77027, 3.647),
    "si600": ({"width": 0.6, "thickness": 0.22, **SI}, "te0", 2.568801, 4.05577),
    "si800": ({"width": 0.8, "thickness": 0.22, **SI}, "te0", 2.690684, 3.90637),
    "si1000": ({"width": 1.0, "thickness": 0.22, **SI}, "te0", 2.747410, 3.83553),
    "sin800": ({"width": 0.8, "thickness": 0.8, **FIXED_SIN}, "te0", 1.72936, 2.10862),
    "sin800 dispersive": ({"width": 0.8, "thickness": 0.8, **SIN}, "te0", 1.72935, 2.15131),
    "sin1500": ({"width": 1.5, "thickness": 0.8, **FIXED_SIN}, "te0", 1.82863, 2.08092),
    "sin1500 dispersive": ({"width": 1.5, "thickness": 0.8, **SIN}, "te0", 1.82861, 2.12483),
    "sin1000x400": ({"width": 1.0, "thickness": 0.4, **SIN}, "te0", 1.63795, 2.05576),
    "tfln 1.0 oxide": ({"width": 1.0, **RIB, "cladding": "SiO2"}, "te0", 1.89544, 2.26417),
    "tfln 1.0 air": ({"width": 1.0, **RIB, **AIR}, "te0", 1.87203, 2.29571),
    "tfln 1.2 oxide": ({"width": 1.2, **RIB, "cladding": "SiO2"}, "te0", 1.91167, 2.26388),
    "tfln 1.2 air": ({"width": 1.2, **RIB, **AIR}, "te0", 1.89221, 2.29078),
}


FAST = ("si500", "sin1500 dispersive", "tfln 1.2 air")  # the rest takes its compilations, and is slow
REST = [pytest.mark.slow, pytest.mark.exhaustive]  # of the same code


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=REST) for n in REFERENCE])
def test_reference_table(name):
    """2e-5 is the reference's own tolerance; n_g at half the last digits that it gives or 5e-4."""
    geometry, mode, n_eff, n_group = REFERENCE[name]
    profile = guide(**geometry)
    found = modes.solve(profile, 1.55, mode)
    assert float(found.n_eff) == pytest.approx(n_eff, abs=2e-5)
    assert float(modes.n_group(profile, 1.55, mode)) == pytest.approx(n_group, abs=5e-4)
    assert abs(float(found.n_eff) - n_eff) < max(float(found.error), 1e-5)  # the estimate is honest


@pytest.mark.parametrize(
    "name", ["si500", *(pytest.param(n, marks=REST) for n in ("si500 tm", "sin1500", "tfln 1.0 air"))]
)
def test_converges_with_second_order(name):
    geometry, mode, *_ = REFERENCE[name]
    n = [float(modes.n_eff(guide(**geometry), 1.55, mode, levels=(level,))) for level in (2, 4, 8)]
    assert np.log2((n[1] - n[0]) / (n[2] - n[1])) > 1.8


SLOPES = {  # parameter: (value, step); of n_eff by every number that shapes it
    "width": (0.5, 1e-3),
    "thickness": (0.22, 1e-3),
    "slab": (0.1, 1e-3),
    "sidewall_deg": (80.0, 0.1),
    "gap": (0.2, 1e-3),
    "wl": (1.55, 1e-3),
    "temperature_k": (293.15, 1.0),
}


def of_parameter(name):
    """n_eff of a silicon rib, or of a pair of strips for the gap, as a function of one parameter; coarse mesh."""

    def n(value):
        given = {k: v for k, (v, _) in SLOPES.items()} | {name: value}
        geometry = {k: given[k] for k in ("width", "thickness", "slab", "sidewall_deg")}
        if name == "gap":
            geometry = {"width": 0.5, "thickness": 0.22, "gap": value}
        return modes.n_eff(
            guide(**geometry, **SI), given["wl"], "te0even" if name == "gap" else "te0",
            temperature_k=given["temperature_k"], levels=(2,),
        )  # fmt: skip

    return n


@pytest.mark.parametrize("name", SLOPES)
def test_gradient_is_the_central_difference(name):
    """Fourth-order differences: truncation of order 1e-9 at these steps, rounding 1e-12 of n over the step."""
    n, (x, h) = jax.jit(of_parameter(name)), SLOPES[name]
    numeric = (8 * (n(x + h) - n(x - h)) - (n(x + 2 * h) - n(x - 2 * h))) / (12 * h)
    assert float(jax.grad(n)(x)) == pytest.approx(float(numeric), rel=1e-6)
    assert float(jax.jvp(n, (x,), (1.0,))[1]) == pytest.approx(float(numeric), rel=1e-6)


def test_second_derivatives_are_exact():
    n = lambda p: modes.n_eff(guide(width=p[0], thickness=p[1], **SI), p[2], levels=(1,))
    slope = jax.jit(jax.grad(n))
    p, h = jnp.array([0.5, 0.22, 1.55]), 1e-4
    hessian = jax.jit(jax.hessian(n))(p)
    for i in range(3):
        step = jnp.zeros(3).at[i].set(h)
        numeric = (8 * (slope(p + step) - slope(p - step)) - (slope(p + 2 * step) - slope(p - 2 * step))) / (12 * h)
        np.testing.assert_allclose(hessian[i], numeric, rtol=1e-6)


def test_gradient_of_a_field_figure():
    area = jax.jit(lambda w: fields.a_eff(modes.solve(guide(width=w, thickness=0.22, **SI), 1.55, levels=(1,))))
    h = 1e-3
    numeric = (8 * (area(0.5 + h) - area(0.5 - h)) - (area(0.5 + 2 * h) - area(0.5 - 2 * h))) / (12 * h)
    assert float(jax.grad(area)(0.5)) == pytest.approx(float(numeric), rel=1e-6)


def test_lengths_scale_with_the_wavelength():
    """Without dispersion Maxwell's equations have no scale: (s w, s t, s wl) has the same index."""
    n = lambda s: modes.n_eff(guide(width=0.5 * s, thickness=0.22 * s, margin=3.0 * s, **FIXED), 1.55 * s, levels=(2,))
    assert float(n(1.7)) == pytest.approx(float(n(1.0)), abs=1e-11)


@pytest.mark.parametrize(("mode", "te"), [("te0", True), ("tm0", False)])
@pytest.mark.parametrize("core", ["Si", LN], ids=["isotropic", "x-cut"])
def test_a_broad_guide_is_a_film(mode, te, core):
    """Lateral quantisation lowers n² by (wl/2w)² at most: 6.5e-4 of the index at 12 um (less, the walls are soft)."""
    thickness = 0.22 if core == "Si" else 0.6
    indices = [n if isinstance(n, tuple) else (n, n, n) for n in (_indices(core), _indices("SiO2"))]
    film = float(slab_index(1.55, thickness, indices[0], indices[1], indices[1], te=te))
    broad = float(modes.n_eff(guide(width=12.0, thickness=thickness, core=core, cladding="SiO2"), 1.55, mode))
    assert film - (1.55 / 24) ** 2 / (2 * film) < broad < film + 2e-5


def _indices(medium):
    from picq.optics.profile import principal_indices

    return tuple(float(v) for v in principal_indices(medium, 1.55, 293.15))


@pytest.mark.parametrize(
    ("thickness", "core", "n_eff", "n_group"),
    [(0.22, "Si", 2.849489, 3.70669), (0.8, "SiN", 1.883832, 2.08066), (0.4, "SiN", 1.743632, 2.02327)],
)
def test_film_against_the_analytic_values(thickness, core, n_eff, n_group):
    from picq.optics.profile import principal_indices

    def n(wl):
        film, oxide = (principal_indices(m, wl, 293.15) for m in (core, "SiO2"))
        return slab_index(wl, thickness, film, oxide, oxide)

    value, slope = jax.value_and_grad(n)(1.55)
    assert float(value) == pytest.approx(n_eff, abs=1e-6)
    assert float(value - 1.55 * slope) == pytest.approx(n_group, abs=1e-5)


def test_film_beyond_cut_off_has_the_index_of_the_cladding():
    """An asymmetric film has no tm mode below a finite thickness."""
    n = lambda t: slab_index(1.55, t, (2.0,) * 3, (1.444,) * 3, (1.0,) * 3, te=False)
    assert float(n(0.05)) == pytest.approx(1.444)
    assert np.isfinite(jax.grad(n)(0.05))
    assert float(n(0.5)) > 1.6


@pytest.mark.slow
def test_dispersion():
    """D is the slope of n_g: D = (1/c) dn_g/dwl. SiEPIC's published compact model of the same strip (n'' = -0.0927 /um²
    from a commercial solver, other silicon data) gives 479 ps/(nm km)."""
    profile = guide(width=0.5, thickness=0.22, **SI)
    d = float(modes.dispersion(profile, 1.55, levels=(2,)))
    g = jax.jit(lambda wl: modes.n_group(profile, wl, levels=(2,)))
    h = 2e-3
    slope = (8 * (g(1.55 + h) - g(1.55 - h)) - (g(1.55 + 2 * h) - g(1.55 - 2 * h))) / (12 * h)
    assert d == pytest.approx(1e12 / 299792458.0 * float(slope), rel=1e-6)
    assert float(modes.dispersion(profile, 1.55, levels=(2, 4))) == pytest.approx(479, rel=0.03)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_dispersion_slope_is_the_slope_of_dispersion():
    profile = guide(width=0.5, thickness=0.22, **SI)
    d = jax.jit(lambda wl: modes.dispersion(profile, wl, levels=(1,)))
    h = 2e-3
    numeric = (8 * (d(1.55 + h) - d(1.55 - h)) - (d(1.55 + 2 * h) - d(1.55 - 2 * h))) / (12 * h)
    assert float(modes.dispersion_slope(profile, 1.55, levels=(1,))) == pytest.approx(1e-3 * float(numeric), rel=1e-6)


@pytest.mark.parametrize(
    ("geometry", "n2", "gamma", "area"),
    [
        ({"width": 0.5, "thickness": 0.22, **FIXED}, 4.5e-18, 199.2, 0.0916),
        ({"width": 1.5, "thickness": 0.8, **SIN}, 2.4e-19, 1.0645, 0.914),
        ({"width": 0.8, "thickness": 0.8, **SIN}, 2.4e-19, 1.392, 0.699),
    ],
)
def test_nonlinear_coefficient(geometry, n2, gamma, area):
    """The reference is converged to 1e-3; ours is extrapolated from two levels like the index."""
    found = [modes.solve(guide(**geometry), 1.55, levels=(level,)) for level in (3, 5)]
    assert float(modes.extrapolated([fields.gamma(m, n2) for m in found], (3, 5))) == pytest.approx(gamma, rel=1e-3)
    assert float(modes.extrapolated([fields.a_eff(m) for m in found], (3, 5))) == pytest.approx(area, rel=1e-3)


@pytest.mark.parametrize(("gap", "splitting"), [(0.10, 0.052798), (0.20, 0.020391), (0.30, 0.008464)])
def test_supermodes_of_two_guides(gap, splitting):
    """The finite elements of tests/oracles give 3e-4 less than this reference."""
    pair = guide(width=0.5, thickness=0.22, gap=gap, **SI)
    found = float(modes.n_eff(pair, 1.55, "te0even") - modes.n_eff(pair, 1.55, "te0odd"))
    assert found == pytest.approx(splitting, rel=1e-3)


def test_bend():
    """dn = 0.0354/R² um² of the reference (0.0352 by the finite elements of tests/oracles); no radiation at 5 um."""
    whole = guide(width=0.5, thickness=0.22, whole=True, **FIXED)
    straight = modes.solve(whole, 1.55)
    bent = modes.solve(whole, 1.55, radius=5.0)
    assert float(jnp.real(bent.n_eff) - straight.n_eff) * 25 == pytest.approx(0.0354, rel=0.02)
    assert abs(float(jnp.imag(bent.n_eff))) < 1e-9
    assert float(jnp.real(fields.centroid(bent))) * 5e3 == pytest.approx(36.0, rel=0.05)  # nm um, of the power


@pytest.mark.slow
def test_bend_radiates_the_more_the_tighter():
    whole = guide(width=0.5, thickness=0.22, whole=True, **FIXED)
    loss = [float(jnp.imag(modes.solve(whole, 1.55, radius=r, levels=(2, 3)).n_eff)) for r in (1.5, 2.0, 2.5)]
    assert loss[0] > 3 * loss[1] > 9 * loss[2] > 0


def test_modes_are_orthogonal_and_normalised():
    profile = guide(width=1.2, thickness=0.22, **FIXED)
    first, third = (modes.solve(profile, 1.55, name, levels=(4,)) for name in ("te0", "te2"))
    assert float(fields.match(first, first)) == pytest.approx(1, abs=1e-12)
    assert float(fields.match(first, third)) < 1e-5
    assert float(jnp.sum(fields.poynting(first)) * fields.copies(first)) == pytest.approx(
        float(fields.power(first)), rel=1e-12
    )


@pytest.mark.slow
def test_overlap_of_different_widths_is_reciprocal_and_differentiable():
    def step(w):
        a = modes.solve(guide(width=0.5, thickness=0.22, **FIXED), 1.55, levels=(1,))
        b = modes.solve(guide(width=w, thickness=0.22, **FIXED), 1.55, levels=(1,))
        return fields.match(a, b), fields.match(b, a)

    ab, ba = step(0.6)
    assert float(ab) == pytest.approx(float(ba), abs=1e-12)
    assert 0.98 < float(ab) < 1.0
    f, h = (lambda w: step(w)[0]), 1e-4
    assert float(jax.grad(f)(0.6)) == pytest.approx(float(f(0.6 + h) - f(0.6 - h)) / (2 * h), rel=1e-4)


@pytest.mark.slow
def test_tracking_follows_a_mode_through_a_crossing():
    """In a core that is wider than high the mode with two lobes side by side comes second, in a narrow one the mode
    with two lobes above each other: they cross where width equals height."""

    def profile(width):  # the claddings differ by nothing that matters, so that the film's mid-plane is no mirror
        return guide(width=width, thickness=1.2, core=(2.0, 1.7, 1.7), cladding=1.444, box=1.4441, whole=True)

    path = track(profile, [0.9, 1.1, 1.3, 1.5, 1.7, 1.9], 1.55, "te1", levels=(1,))
    assert path[0].name == "te1"
    assert path[-1].name == "te2"
    n = [float(m.n_eff) for m in path]
    rival = float(modes.n_eff(profile(1.9), 1.55, "te1", levels=(1,)))
    assert rival > n[-1] > n[0]


STRIP = guide(width=0.5, thickness=0.22, **SI)
FLAT = guide(width=6.0, thickness=0.22, core=3.476, cladding=1.0)
PAIR = guide(width=0.5, thickness=0.22, gap=0.2, **SI)
NARROW = guide(width=0.25, thickness=0.22, **SI)
TIP = guide(width=0.16, thickness=0.22, margin=2.0, **SI)
UNKNOWN = guide(width=0.5, thickness=0.22, core="Sillicon", cladding="SiO2")
WRONG = {
    "cut off": (lambda: modes.solve(NARROW, 1.55, "te1"), NumericsError, "cut off"),
    "small domain": (lambda: modes.solve(TIP, 1.55), NumericsError, "margin"),
    "coarse": (lambda: modes.solve(FLAT, 1.55, "tm0", levels=(1, 2)), NumericsError, "too coarse"),
    "negative gap": (lambda: guide(width=0.5, thickness=0.22, gap=-0.1, **SI), NumericsError, "gap"),
    "no width": (lambda: guide(width=0.0, thickness=0.22, **SI), NumericsError, "width"),
    "walls meet": (lambda: guide(width=0.1, thickness=0.8, sidewall_deg=75.0, **SI), NumericsError, "side walls"),
    "wavelength": (lambda: modes.solve(STRIP, 0.8), NumericsError, "wavelength"),
    "material": (lambda: modes.solve(UNKNOWN, 1.55), SpecError, "Si"),
    "name": (lambda: modes.solve(STRIP, 1.55, "hybrid"), SpecError, "te0"),
    "parity": (lambda: modes.solve(PAIR, 1.55, "te0"), SpecError, "te0even"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_says_what_is_wrong(case):
    act, kind, word = WRONG[case]
    with pytest.raises(kind, match=word) as caught:
        act()
    assert "allowed" in str(caught.value) or "remedy" in str(caught.value)


def test_a_traced_mode_that_does_not_exist_is_nan():
    n = jax.jit(
        lambda w: modes.n_eff(guide(width=w, thickness=0.05, core=1.5, cladding=1.45), 1.55, "te4", levels=(1,))
    )
    assert not float(n(0.3)) > 1.45
