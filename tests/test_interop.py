"""A technology is an ordinary gdsfactory Pdk, and its models run in SAX."""

import runpy
from pathlib import Path

import gdsfactory as gf
import jax.numpy as jnp
import numpy as np
import pytest

from picq import assembly
from picq.components import DEVICES
from picq.errors import SpecError
from picq.sdict import dense

LAYOUT = Path(__file__).parent.parent / "layouts" / "wdm_demux.py"


@pytest.fixture(scope="module")
def active(soi220):
    """The technology's Pdk, activated."""
    made = soi220.pdk()
    made.activate()
    return made


def test_cells_are_functions_with_the_technology_s_defaults(active, soi220):
    cell = gf.get_component("mzi", delta_length=30)
    assert [p.name for p in cell.ports] == ["o1", "o2", "e1", "e2"]
    assert cell.settings["delta_length"] == 30
    assert gf.get_component("coupler").settings["gap"] == 0.2
    offered = set(DEVICES) - set(soi220.platform.unavailable)
    assert offered <= set(active.cells)
    assert set(active.models) == offered


def test_unknown_settings_are_refused_by_cells_and_models(active):
    with pytest.raises(SpecError, match="did you mean 'delta_length'"):
        active.get_component("mzi", delta_lenght=30)
    with pytest.raises(SpecError, match="did you mean 'delta_length'"):
        active.models["mzi"](wl=1.55, delta_lenght=30)


def test_layers_cross_sections_and_views(active, soi220):
    assert gf.get_layer_tuple("waveguide") == (3, 0)
    strip = gf.get_cross_section("strip")
    assert (strip.width, strip.radius) == (0.5, 10.0)
    assert {s.layer for s in gf.get_cross_section("rib").sections} == {"waveguide", "slab"}
    views = active.layer_views.layer_views
    assert {tuple(v.layer) for v in views.values()} == set(soi220.platform.layers.values())


def test_routes_of_gdsfactory_use_our_cells(active):
    c = gf.Component()
    left, right = c << gf.get_component("straight", length=5), c << gf.get_component("straight", length=5)
    right.move((100, 60))
    route = gf.routing.route_single(c, left.ports["o2"], right.ports["o1"], cross_section="strip")
    assert route.n_bend90 == 2
    components = {i["component"] for i in c.get_netlist()["instances"].values()}
    assert components == {"straight", "bend_euler"}


def test_wires_of_gdsfactory_use_the_metal(active):
    c = gf.Component()
    heater, pad = c << gf.get_component("straight_heater"), c << gf.get_component("pad")
    pad.move((300, 300))
    gf.routing.route_bundle_electrical(c, [heater.ports["e2"]], [pad.ports["e1"]], cross_section="metal")
    assert c.get_region("pad").merged().count() == 2  # one contact is wired, the other is not


def test_demo_chip_in_sax_agrees_with_picq(active, soi220):
    """The drawn chip's netlist, evaluated by SAX with our models, is picq's own S-matrix to 1e-9."""
    sax = pytest.importorskip("sax")
    circuit = runpy.run_path(str(LAYOUT))["circuit"](soi220)
    made = circuit.assembled(soi220)
    own = assembly.routed(circuit, made)
    netlist = made.component.get_netlist(serialization_max_digits=9)
    optical = {
        name: {"component": entry["component"], "settings": entry["settings"]}
        for name, entry in netlist["instances"].items()
        if entry["component"] not in ("pad", "wire_corner") and entry["settings"].get("cross_section") != "metal"
    }
    for entry in optical.values():
        entry["settings"].pop("npoints", None)
    belongs = lambda end: end.split(",")[0] in optical
    nets = [n for n in netlist["nets"] if belongs(n["p1"]) and belongs(n["p2"]) and ",o" in n["p1"]]
    theirs, _ = sax.circuit(
        {
            "instances": optical,
            "connections": {n["p1"]: n["p2"] for n in nets},
            "ports": {name: end for name, end in netlist["ports"].items() if ",o" in end},
        },
        models=active.models,
        backend="klu",
    )
    wl = jnp.linspace(1.546, 1.554, 11)
    s = theirs(wl=wl)
    mine = dense(own.model(wl, soi220), own.ports)
    for i, a in enumerate(own.ports):
        for j, b in enumerate(own.ports):
            np.testing.assert_allclose(np.asarray(s[(a, b)]), mine[:, i, j], atol=1e-9)
    assert float(jnp.abs(mine[:, own.ports.index("in"), own.ports.index("ch1")]).max()) > 0.1
