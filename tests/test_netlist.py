"""Netlists of gdsfactory: a chip drawn there simulates as it is drawn, or an error says why not."""

import warnings

import gdsfactory as gf
import jax.numpy as jnp
import numpy as np
import pytest

from picq.components import BendEuler, Coupler, Straight
from picq.errors import SpecError
from picq.netlist import circuit_of, from_netlist

WL = jnp.linspace(1.54, 1.56, 5)
ROUND = 1e-11  # rounding of phases of up to 2e3 rad, ten times over


@pytest.fixture(scope="module")
def tech(soi220):
    soi220.pdk().activate()
    return soi220


def routed(across: float, down: float) -> gf.Component:
    """A coupler, and a straight to which its o4 is routed by gdsfactory: two bends."""
    c = gf.Component()
    a, z = c << gf.get_component("coupler", length=6.0), c << gf.get_component("straight", length=5.0)
    x, y = a.ports["o4"].center
    z.move((x + across, y - down))
    gf.routing.route_single(
        c, a.ports["o4"], z.ports["o1"], cross_section="strip", straight="straight", bend="bend_euler"
    )
    for name in ("o1", "o2", "o3"):
        c.add_port(name, port=a.ports[name])
    c.add_port("o4", port=z.ports["o2"])
    return c


def test_a_routed_chip_has_the_lengths_of_its_layout(tech):
    radius = tech.cross_section("strip").radius
    coupler = Coupler(length=6.0).model(WL, tech)["o1", "o4"]
    bend = BendEuler(radius=radius).model(WL, tech)["o1", "o2"]
    line = lambda length: Straight(length=length).model(WL, tech)["o1", "o2"]
    for across, down in ((150.0, 80.0), (150.0, 81.237)):
        circuit = circuit_of(routed(across, down), tech)
        assert sum(isinstance(part, BendEuler) for part in circuit.instances.values()) == 2
        # each bend takes its radius from the runs before and after it; 5 um: the straight behind the route
        expected = coupler * bend**2 * line(across + down - 4 * radius + 5.0)
        np.testing.assert_allclose(circuit.model(WL, tech)["o1", "o4"], expected, rtol=0, atol=ROUND)


def test_digits_beyond_the_third_survive(tech):
    c = gf.Component()
    s = c << gf.get_component("bend_euler", radius=10.0, p=0.12345678)
    c.add_port("o1", port=s.ports["o1"])
    c.add_port("o2", port=s.ports["o2"])
    (bend,) = circuit_of(c, tech).instances.values()
    assert bend.settings()["p"] == 0.12345678


@gf.cell
def half(length: float = 10.0) -> gf.Component:
    c = gf.Component()
    s, t = c << gf.get_component("straight", length=length), c << gf.get_component("coupler")
    t.connect("o1", s.ports["o2"])
    c.add_port("o1", port=s.ports["o1"])
    for name in ("o2", "o3", "o4"):
        c.add_port(name, port=t.ports[name])
    return c


def test_cells_without_a_device_are_entered_and_variants_stay_apart(tech):
    c = gf.Component()
    a, b = c << half(length=11.0), c << half(length=23.0)
    b.connect("o1", a.ports["o4"])
    for name, port in (("o1", a.ports["o1"]), ("o2", b.ports["o4"])):
        c.add_port(name, port=port)
    with pytest.raises(SpecError, match="connected to nothing"):
        circuit_of(c, tech)
    circuit = circuit_of(c, tech, open_ports=["*,o2", "*,o3"])
    lengths = sorted(part.length for part in circuit.flat().instances.values() if isinstance(part, Straight))
    assert lengths == [11.0, 23.0]
    coupler = Coupler.on(tech).model(WL, tech)["o1", "o4"]
    line = Straight(length=34.0).model(WL, tech)["o1", "o2"]
    np.testing.assert_allclose(circuit.model(WL, tech)["o1", "o2"], coupler**2 * line, rtol=0, atol=ROUND)
    by_dictionary = from_netlist(c.get_netlist(recursive=True), tech, open_ports=["*,o2", "*,o3"])
    np.testing.assert_allclose(by_dictionary.model(WL, tech)["o1", "o2"], coupler**2 * line, rtol=0, atol=ROUND)


def test_ports_of_different_widths_are_refused_with_the_place(tech):
    c = gf.Component()
    a, b = c << gf.get_component("straight", length=10.0), c << gf.get_component("straight", length=10.0, width=0.6)
    b.connect("o1", a.ports["o2"], allow_width_mismatch=True)
    c.add_port("o1", port=a.ports["o1"])
    c.add_port("o2", port=b.ports["o2"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(SpecError, match=r"widths of 0.5 and 0.6 um meet at \(10, 0\)"):
            circuit_of(c, tech)


def test_three_ports_in_one_place_are_refused(tech):
    c = gf.Component()
    a = c << gf.get_component("straight", length=10.0)
    for length in (20.0, 30.0):
        (c << gf.get_component("straight", length=length)).connect("o1", a.ports["o2"])
    with pytest.raises(SpecError, match="not a circuit"):
        circuit_of(c, tech)


def test_electrical_parts_are_left_out(tech):
    c = gf.Component()
    heater, pad = c << gf.get_component("straight_heater"), c << gf.get_component("pad")
    pad.move((0.0, 400.0))
    for name in ("o1", "o2"):
        c.add_port(name, port=heater.ports[name])
    circuit = circuit_of(c, tech)
    assert [part.name for part in circuit.instances.values()] == ["straight_heater"]
    assert ("o1", "o2") in circuit.model(WL, tech)


def line(component: str = "straight", **settings) -> dict:
    return {
        "instances": {"a": {"component": component, "settings": settings}, "mmi1x2": {"component": "straight"}},
        "nets": [{"p1": "a,o2", "p2": "mmi1x2,o1"}],
        "ports": {"o1": "a,o1", "o2": "mmi1x2,o2"},
    }


def test_the_cell_function_counts_and_not_the_name_of_the_instance(tech):
    circuit = from_netlist(line(length=20), tech)
    assert all(isinstance(part, Straight) for part in circuit.instances.values())
    assert circuit.instances["a"].settings()["length"] == 20.0


def test_what_is_not_understood_is_an_error(tech):
    with pytest.raises(SpecError, match="no device for cell 'strait'") as unknown:
        from_netlist(line("strait"), tech)
    assert "did you mean 'straight'?" in str(unknown.value)
    with pytest.raises(SpecError, match="instance 'a': straight: unknown parameter 'lenght'"):
        from_netlist(line(lenght=20.0), tech)
    with pytest.raises(SpecError, match="no cross-section 'stripe'"):
        from_netlist(line(cross_section="stripe"), tech)
    with pytest.raises(SpecError, match="outside its bounds"):
        from_netlist(line(length=-1.0), tech)
    with pytest.raises(SpecError, match="has no port 'o7'"):
        from_netlist(line() | {"nets": [{"p1": "a,o2", "p2": "mmi1x2,o7"}]}, tech)
    with pytest.raises(SpecError, match="connected to nothing: a,o1"):
        from_netlist(line() | {"ports": {"o2": "mmi1x2,o2"}}, tech)
    counted = {"top": line("coupler_2"), "coupler_2": line()}
    with pytest.raises(SpecError, match="variant of the device 'coupler'"):
        from_netlist(counted, tech)


def test_members_of_arrays_are_instances_of_their_own(tech):
    netlist = {
        "instances": {"a": {"component": "straight", "settings": {"length": 7}, "array": {"columns": 2, "rows": 1}}},
        "nets": [{"p1": "a<0.0>,o2", "p2": "a<1.0>,o1"}],
        "ports": {"o1": "a<0.0>,o1", "o2": "a<1.0>,o2"},
    }
    expected = Straight(length=14.0).model(WL, tech)["o1", "o2"]
    np.testing.assert_allclose(from_netlist(netlist, tech).model(WL, tech)["o1", "o2"], expected, rtol=0, atol=ROUND)


def test_connections_as_a_dictionary_are_read(tech):
    netlist = line(length=20) | {"connections": {"a,o2": "mmi1x2,o1"}}
    del netlist["nets"]
    assert ("o1", "o2") in from_netlist(netlist, tech).model(WL, tech)
