"""Requests outside of what the optical models hold: refused where they can be seen, NaN where they are traced."""

import shutil

import jax
import jax.numpy as jnp
import pytest

from picq import pdk
from picq.baking import bake_technology
from picq.components import Coupler, Crossing, Mmi1x2, RingCoupler, Taper
from picq.errors import NumericsError, SpecError
from picq.optics import fields, modes
from picq.optics.material import material
from picq.optics.phase_shifter import electro_optic
from picq.optics.profile import guide
from picq.technology_files import load

OXIDE = {"core": "Si", "cladding": "SiO2"}
MANY = jnp.linspace(1.1, 1.19, 12)


def strip(width=0.5, **options):
    return guide(**{"width": width, "thickness": 0.22, **OXIDE, **options})


@pytest.mark.parametrize("figure", [modes.n_eff, modes.n_group, modes.dispersion, modes.dispersion_slope])
def test_derivatives_refuse_what_the_index_refuses(figure):
    with pytest.raises(NumericsError, match="wavelength for the index of Si"):
        figure(strip(), 1.15)
    with pytest.raises(NumericsError, match=r"te1 at .* is cut off"):
        figure(strip(0.3), 1.55, "te1")


def test_a_traced_mode_that_is_cut_off_is_nan():
    """What a solution finds there is light between the walls of the domain."""
    index = jax.jit(lambda w: modes.n_eff(strip(w), 1.55, "te1", levels=(2,)))
    assert jnp.isnan(index(0.3))
    assert jnp.isfinite(index(0.7))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"slab": 0.22}, "as thick as its film"),
        ({"slab": 0.1, "sidewall_deg": 45.0, "gap": 0.1}, "feet of two cores meet"),
        ({"cladding": [("SiO2", 0.1)]}, "outermost layer of the cladding"),
        ({"cladding": [("SiO2", -0.1), ("air", None)]}, "thickness of a layer of the cladding"),
        ({"cladding": "Si"}, "the medium that surrounds it"),
        ({"gap": -0.1}, "gap of a waveguide's cross-section"),
    ],
)
def test_impossible_cross_sections(options, said):
    with pytest.raises((SpecError, NumericsError), match=said):
        strip(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"radius": 0.2}, "beyond its centre"),
        ({"radius": -5.0}, "beyond its centre"),
        ({"levels": (2, 2)}, "levels of the mesh"),
        ({"levels": (0, 1)}, "levels of the mesh"),
        ({"wl": 0.0}, "not one positive number"),
        ({"wl": jnp.array([1.5, 1.6])}, "not one positive number"),
    ],
)
def test_impossible_solutions(options, said):
    with pytest.raises((SpecError, NumericsError), match=said):
        modes.solve(strip(whole=True), **{"wl": 1.55, **options})


def test_modes_of_opposite_parity_do_not_overlap():
    te0, te1 = (modes.solve(strip(0.8), 1.55, name, levels=(2,)) for name in ("te0", "te1"))
    assert abs(fields.overlap(te0, te1)) == 0
    assert abs(fields.overlap(te0, te0)) == pytest.approx(1)


def test_the_error_of_a_single_mesh_is_not_known():
    assert jnp.isnan(modes.solve(strip(), 1.55, levels=(2,)).error)


def test_traced_values_outside_become_nan(soi220):
    assert jnp.isnan(jax.jit(material("Si").index)(1.0))
    assert jnp.isnan(jax.jit(soi220.bend("strip").index_rise)(1.0))
    assert jnp.isnan(jax.jit(lambda w: soi220.tip(w, 1.55, 3.0)[1])(5.0))
    tfln = pdk.load("tfln600")
    assert jnp.isnan(jax.jit(lambda gap: electro_optic(1.55, tfln, "rib", gap, 20.0))(50.0))
    ring = jax.jit(lambda r: RingCoupler(radius=r).model(jnp.array([1.55]), soi220)[("o1", "o2")])
    assert jnp.isnan(ring(1.5)).all()
    assert jnp.isfinite(ring(6.0)).all()


@pytest.mark.parametrize("device", [Coupler(), RingCoupler(), Taper(), Mmi1x2(), Crossing()])
def test_devices_refuse_wavelengths_however_many(device, soi220):
    with pytest.raises(NumericsError, match="wl of cross-section 'strip'"):
        device.model(MANY, soi220)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (Coupler(dy=3.0, gap=2.0), None),  # on sin800, whose guides are 1.5 um wide
        (Taper(width2=0.25), "width of cross-section 'strip'"),
        (Mmi1x2(width_mmi=12.0, width_taper=1.4), "too broad for its access guides"),
        (Crossing(width_mmi=6.0, width_taper=1.2), "too broad for its access guides"),
    ],
)
def test_devices_refuse_geometry_outside_of_their_models(device, said, soi220):
    if said is None:
        said, soi220 = "do not fit between the ports", pdk.load("sin800")
    with pytest.raises((SpecError, NumericsError), match=said):
        device.model(jnp.array([1.55]), soi220)


def copied(tmp_path):
    place = tmp_path / "soi220"
    shutil.copytree(pdk.folder("soi220"), place)
    return place


def test_a_refused_bake_leaves_the_tables(tmp_path):
    place = copied(tmp_path)
    before = sorted(path.name for path in (place / "baked").iterdir())
    with pytest.raises(SpecError, match="number of processes"):
        bake_technology(place, tmp_path / "work", jobs=0, force=True, progress=lambda *_: None)
    assert sorted(path.name for path in (place / "baked").iterdir()) == before
    load(place)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("stack.yaml", "thickness_um: 0.220", "thickness: 0.220"),
        ("cross_sections.yaml", "wl_um: [1.5, 1.6]", "wl_um: 1.5"),
        ("cross_sections.yaml", "pair: {gap_um: [0.1, 1.2]", "pair: {gab_um: [0.1, 1.2]"),
    ],
)
def test_yaml_that_does_not_say_what_it_has_to(tmp_path, name, old, new):
    place = copied(tmp_path)
    path = place / name
    assert old in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(SpecError, match="do not say what they have to"):
        load(place)
