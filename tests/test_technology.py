"""Index and coupling models against the checked reference values, and the seams of the technology."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from mismatch import at_sites

from picq import pdk
from picq.errors import NumericsError, SpecError
from picq.optics.waveguide import euler_curvature_integral, euler_length_factor
from picq.technology import Process

# width: n_eff, n_g, dn/dw of a 220 nm strip in oxide, Si Tatian, SiO2 Malitson, 1.55 um (two full-vector solvers; from
# 0.6 um the finite elements of tests/oracles)
STRIP = {
    0.5: (2.44723, 4.1962, 1.5825),
    0.6: (2.568801, 4.05577, 0.925),
    0.8: (2.690684, 3.90637, 0.393),
    1.0: (2.747410, 3.83553, 0.202),
}
SPLITTING = {0.10: 0.052798, 0.15: 0.032199, 0.20: 0.020391, 0.25: 0.013096, 0.30: 0.008464}
SPLITTING_WL = {1.500: 0.015806, 1.525: 0.017975, 1.550: 0.020391, 1.575: 0.023075, 1.600: 0.026051}


@pytest.mark.parametrize("width", STRIP)
def test_strip_index_group_index_and_slope(soi220, width):
    """2e-5 of the solvers' agreement and 1e-5 of the table."""
    n = lambda wl, w: soi220.n_eff("strip", wl, w)
    n_eff, n_g, slope = STRIP[width]
    assert float(n(1.55, width)) == pytest.approx(n_eff, abs=3e-5)
    assert float(n(1.55, width) - 1.55 * jax.grad(n)(1.55, width)) == pytest.approx(n_g, abs=5e-4)
    assert float(jax.grad(n, 1)(1.55, width)) == pytest.approx(slope, abs=1e-3)


def test_thickness_slope(soi220):
    n = lambda nm: soi220.at(Process(thickness_nm=nm)).n_eff("strip", 1.55)
    assert float(jax.grad(n)(0.0)) * 1e3 == pytest.approx(3.7143, abs=2e-3)


def test_temperature_moves_a_resonance_by_74_pm_per_kelvin(soi220):
    """Perturbation: dn_eff/dT = sum over the materials of (dn_eff/dn) dn/dT; silicon alone has dn_eff/dn = 1.05 in
    such a strip (more than its share of the power: slow light), so 1.86e-4 of bulk silicon becomes 2.0e-4; 70 to
    80 pm/K are published for such rings."""
    n = lambda wl, kelvin: soi220.at(Process(temperature_k=kelvin)).n_eff("strip", wl)
    n_g = float(n(1.55, 0.0) - 1.55 * jax.grad(n)(1.55, 0.0))
    assert 70 < 1.55 * float(jax.grad(n, 1)(1.55, 0.0)) / n_g * 1e6 < 80


@pytest.mark.parametrize("gap", SPLITTING)
def test_coupling_against_the_solved_gaps(soi220, gap):
    """1 % is the reference's own comparison with FDTD; the table is good to 2e-3, coarse meshes to 1e-3."""
    kappa = float(soi220.kappa("strip", 1.55, gap))
    assert kappa == pytest.approx(np.pi * SPLITTING[gap] / 1.55, rel=3e-3)


@pytest.mark.parametrize("wl", SPLITTING_WL)
def test_coupling_against_the_solved_wavelengths(soi220, wl):
    assert float(soi220.kappa("strip", wl, 0.2)) == pytest.approx(np.pi * SPLITTING_WL[wl] / wl, rel=3e-3)


def test_coupling_slopes(soi220):
    log = lambda width_nm, gap: jnp.log(soi220.at(Process(width_nm=width_nm)).kappa("strip", 1.55, gap))
    assert float(jax.grad(log, 1)(0.0, 0.2)) == pytest.approx(-8.95, abs=0.05)
    # a wider line closes the gap: d ln kappa = -8.27 dw + 8.95 dw
    assert float(jax.grad(log)(0.0, 0.2)) * 1e3 == pytest.approx(-8.27 + 8.95, abs=0.06)


def test_euler_bend_limits():
    """p -> 0 is the circle: length pi/2 R and R∫kappa² ds = pi/2."""
    assert euler_length_factor(1e-9) == pytest.approx(np.pi / 2, abs=1e-6)
    assert euler_curvature_integral(1e-9) == pytest.approx(np.pi / 2, abs=1e-6)
    # full clothoid of 90 degrees: kappa rises to k over s = pi/(2k)... R∫kappa² = 2 k² s/3 * R with R = length/1.67991
    length = euler_length_factor(1.0)
    assert euler_curvature_integral(1.0) == pytest.approx((np.pi / length) ** 2 * length / 3, rel=1e-9)


def test_outside_the_range_is_an_error(soi220):
    with pytest.raises(NumericsError, match="wl of cross-section 'strip'"):
        soi220.n_eff("strip", 1.2)
    with pytest.raises(NumericsError, match="width of cross-section 'strip'"):
        soi220.n_eff("strip", 1.55, 0.3)
    with pytest.raises(NumericsError, match="thickness"):
        soi220.at(Process(thickness_nm=30.0)).n_eff("strip", 1.55)
    with pytest.raises(NumericsError, match="gap"):
        soi220.kappa("strip", 1.55, 0.02)
    with pytest.raises(SpecError, match="no mode 'te7'"):
        soi220.n_eff("strip", 1.55, mode="te7")


def test_traced_values_outside_the_range_are_nan(soi220):
    n = jax.jit(lambda w: soi220.n_eff("strip", 1.55, w))
    assert np.isnan(float(n(0.3)))
    assert float(n(0.5)) == float(soi220.n_eff("strip", 1.55, 0.5))


def test_unknown_names_propose_the_nearest(soi220):
    with pytest.raises(SpecError, match="did you mean 'soi220'"):
        pdk.load("soi22")
    with pytest.raises(SpecError, match="did you mean 'strip'"):
        soi220.cross_section("stripe")
    with pytest.raises(SpecError, match="did you mean 'heater'"):
        soi220.layer("heatr")


def test_float32_is_refused():
    from picq.technology_files import load

    with (
        jax.enable_x64(False) if hasattr(jax, "enable_x64") else jax.experimental.disable_x64(),
        pytest.raises(NumericsError, match="float64"),
    ):
        load(pdk.folder("soi220"))


def test_monte_carlo_is_a_vmap_over_technologies(soi220):
    widths = jnp.linspace(-5, 5, 7)
    batch = jax.vmap(lambda w: soi220.at(Process(width_nm=w)).n_eff("strip", 1.55))(widths)
    loop = [float(soi220.at(Process(width_nm=float(w))).n_eff("strip", 1.55)) for w in widths]
    np.testing.assert_allclose(batch, loop, rtol=1e-14)
    np.testing.assert_allclose(np.gradient(batch, widths), 1.5825e-3, rtol=0.05)  # curvature over ± 5 nm


def test_local_offsets_add_to_global_ones(soi220):
    local = at_sites(2, width_nm=jnp.array([0.0, 2.0]))
    tech = soi220.at(Process(width_nm=1.0)).with_mismatch(local)
    assert float(tech.at_site(1).process.width_nm) == 3.0
    assert tech.at_site(1).mismatch is None


@pytest.mark.parametrize("name", pdk.names())
def test_every_number_has_a_source(name):
    """Data files: an entry with a value has a source beside it; the others carry their source as a comment."""
    folder = pdk.folder(name)
    for group in yaml.safe_load((folder / "compact.yaml").read_text(encoding="utf-8")).values():
        for entry in group.values():
            assert entry["source"]
    for scope in ("global", "local"):
        for entry in yaml.safe_load((folder / "variation.yaml").read_text(encoding="utf-8"))[scope].values():
            assert entry["source"]
    for line in (folder / "cross_sections.yaml").read_text(encoding="utf-8").splitlines():
        if any(line.strip().startswith(k) for k in ("loss_db_cm:", "radius:", "radius_min:", "bend_", "width:")):
            assert "#" in line, line
