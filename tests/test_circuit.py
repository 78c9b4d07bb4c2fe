"""Circuits: construction, hierarchy, and the transformations of JAX."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mismatch import at_sites

from picq import network
from picq.circuit import Circuit
from picq.components import Mmi1x2, Straight, Terminator
from picq.device import Device, device, param
from picq.errors import SpecError
from picq.network import elements
from picq.schedule import Sweep, schedule
from picq.sdict import SDict, reciprocal
from picq.technology import Process

WL = jnp.linspace(1.54, 1.56, 7)
ROUND = 1e-11  # rounding of phases of up to 2e3 rad, ten times over


@device
class Tap(Device):
    """Coupler of a fixed angle: quick to evaluate, and its ports are those of ``coupler``."""

    name: ClassVar[str] = "tap"
    angle: float = param(default=0.8, lower=0.0, upper=3.0, unit="1")

    @property
    def ports(self) -> tuple[str, ...]:
        return ("o1", "o2", "o3", "o4")

    def model(self, wl: jax.Array, tech: Any) -> SDict:
        angle = self.angle + 0.01 * tech.at_site(0).process.width_nm + 0.0 * wl
        through, cross = jnp.cos(angle) + 0j, 1j * jnp.sin(angle)
        return reciprocal({("o1", "o4"): through, ("o2", "o3"): through, ("o1", "o3"): cross, ("o2", "o4"): cross})


def mzi(top: Any = 130.0, bottom: Any = 100.0) -> Circuit:
    parts = {"a": Tap(), "t": Straight(length=top), "b": Straight(length=bottom), "z": Tap(angle=0.7)}
    links = (("a,o3", "t,o1"), ("a,o4", "b,o1"), ("t,o2", "z,o2"), ("b,o2", "z,o1"))
    return Circuit(parts, links, (("o1", "a,o1"), ("o2", "z,o4"), ("o3", "a,o2"), ("o4", "z,o3")))


def ring(length: Any = 200.0, angle: Any = 0.5) -> Circuit:
    parts = {"c": Tap(angle=angle), "r": Straight(length=length)}
    return Circuit(parts, (("c,o3", "r,o1"), ("r,o2", "c,o2")), (("o1", "c,o1"), ("o2", "c,o4")))


def filters(top: Any = 130.0, length: Any = 200.0) -> Circuit:
    """Two levels of hierarchy, a loop, and one type of device at both levels."""
    parts = {"m": mzi(top), "r": ring(length), "s": Straight(length=37.0)}
    return Circuit(parts, (("m,o2", "s,o1"), ("s,o2", "r,o1")), (("in", "m,o1"), ("out", "r,o2")))


def power(circuit: Circuit, tech: Any) -> jax.Array:
    return jnp.sum(jnp.abs(circuit.transfer(WL, tech, circuit.ports[:1], circuit.ports[1:2])) ** 2)


def swept(net: Any) -> Any:
    plan = schedule(net, -1)
    assert isinstance(plan.program, Sweep)
    return plan


# construction


@pytest.mark.parametrize(
    ("links", "exposed", "says"),
    [
        ((("a,o2", "tt,o1"),), (), "there is no instance 'tt'"),
        ((("a,o2", "t,o3"),), (), "has no port 'o3'"),
        ((("a,o2", "t,o1"), ("a,o2", "t,o2")), (), "a,o2 is used twice"),
        ((("t,o1", "t,o1"),), (), "used twice"),
        ((("a,o2", "t,o1"),), (("x", "t,o1"),), "used twice"),
        ((), (("x", "t,o1"), ("x", "t,o2")), "two exposed ports"),
    ],
)
def test_wrong_connections_are_refused(links, exposed, says):
    with pytest.raises(SpecError, match=says):
        Circuit({"a": Mmi1x2(), "t": Straight()}, links, exposed)


def test_names_that_paths_need_are_refused():
    for name in ("a/b", "a,b", ""):
        with pytest.raises(SpecError, match="name is not allowed"):
            Circuit({name: Straight()})


def test_the_nearest_spelling_is_proposed():
    with pytest.raises(SpecError, match="did you mean 'combiner'"):
        Circuit({"combiner": Straight()}, (), (("x", "combinner,o1"),))


def test_unknown_ports_are_refused(soi220):
    with pytest.raises(SpecError, match="'o5' is unknown"):
        mzi().transfer(WL, soi220, ["o1"], ["o5"])
    with pytest.raises(SpecError, match="named twice"):
        mzi().transfer(WL, soi220, ["o1", "o1"], ["o2"])


def test_dangling_ports_are_listed_and_absorb(soi220):
    assert mzi().dangling() == ()
    assert filters().dangling() == ("m/a,o2", "m/z,o3")
    tap = Circuit({"c": Tap(), "in": ring()}, (("in,o2", "c,o1"),), (("o1", "in,o1"), ("o2", "c,o4")))
    assert tap.dangling() == ("c,o2", "c,o3")
    assert not tap.lossless_is_unitary
    assert ring().lossless_is_unitary


def test_without_moves_external_names_to_what_lies_behind(soi220):
    parts = {"core": mzi(), "gc_w": Straight(length=50.0), "gc_e": Straight(length=60.0), "gc_e2": Straight(length=1.0)}
    links = (("gc_w,o1", "core,o1"), ("core,o2", "gc_e,o1"), ("gc_e,o2", "gc_e2,o1"))
    chip = Circuit(parts, links, (("west", "gc_w,o2"), ("east", "gc_e2,o2")))
    bare = chip.without("gc_*")
    assert bare.ports == ("west", "east")
    assert list(bare.instances) == ["core"]
    expected = mzi().model(WL, soi220)["o1", "o2"]
    np.testing.assert_allclose(bare.model(WL, soi220)["west", "east"], expected, rtol=0, atol=ROUND)
    with pytest.raises(SpecError, match="no instance matches"):
        chip.without("grating*")


def test_without_refuses_what_is_ambiguous_and_lets_terminators_go():
    chip = Circuit(
        {"c": Tap(), "t": Terminator(), "s": Straight()},
        (("c,o3", "t,o1"), ("c,o4", "s,o1")),
        (("x", "c,o1"), ("y", "s,o2")),
    )
    assert chip.without("t").ports == ("x", "y")
    with pytest.raises(SpecError, match="not clear where port"):
        Circuit(
            {"m": Mmi1x2(), "a": Straight(), "b": Straight()}, (("m,o2", "a,o1"), ("m,o3", "b,o1")), (("x", "m,o1"),)
        ).without("m")


# hierarchy


def test_nested_is_the_same_as_flat(soi220):
    nested = filters()
    flat = nested.flat()
    parts = {name.replace("/", "_"): dev for name, dev in flat.instances.items()}
    join = lambda port: f"{port[0].replace('/', '_')},{port[1]}"
    levelled = Circuit(
        parts, tuple((join(a), join(b)) for a, b in flat.links), tuple((n, join(p)) for n, p in flat.exposed.items())
    )
    s, t = nested.model(WL, soi220), levelled.model(WL, soi220)
    assert s.keys() == t.keys()
    for pair in s:
        np.testing.assert_allclose(s[pair], t[pair], rtol=0, atol=ROUND)
    by_parts = mzi().model(WL, soi220)["o1", "o2"] * ring().model(WL, soi220)["o1", "o2"]
    line = Straight(length=37.0).model(WL, soi220)["o1", "o2"]
    np.testing.assert_allclose(s["in", "out"], by_parts * line, rtol=0, atol=ROUND)


def test_order_of_instances_and_connections_does_not_matter(soi220):
    c = filters()
    turned = Circuit(dict(reversed(c.instances.items())), tuple((b, a) for a, b in reversed(c.connections)), c.exposed)
    assert turned.sites == c.sites
    np.testing.assert_allclose(
        turned.model(WL, soi220)["in", "out"], c.model(WL, soi220)["in", "out"], rtol=0, atol=ROUND
    )


def test_paths_and_sites_name_the_instances(soi220):
    lines = Circuit({"x": Straight(length=3.0), "y": Straight(length=4.0)})
    assert Circuit({"l": lines}).paths(soi220) == {"l/x/guide": 3.0, "l/y/guide": 4.0}
    assert set(mzi().sites) == {"a/", "b/", "t/", "z/"}
    assert {name.rpartition("/")[0] for name in filters().sites} == set(filters().flat().instances)


# transformations


@pytest.mark.parametrize("way", ["chosen", "swept"])
def test_jit_and_eager_agree_and_scalars_of_wavelength_work(soi220, way, monkeypatch):
    if way == "swept":
        monkeypatch.setattr(network, "schedule", swept)
    c = filters()
    eager = c.transfer(WL, soi220, ["in"], ["out"])
    jitted = jax.jit(lambda c, wl: c.transfer(wl, soi220, ["in"], ["out"]))
    np.testing.assert_allclose(jitted(c, WL), eager, rtol=0, atol=ROUND)
    assert jitted(c, WL[2]).shape == (1, 1)
    np.testing.assert_allclose(jitted(c, WL[2]), eager[2], rtol=0, atol=ROUND)
    assert jitted(c, WL.reshape(1, 7)).shape == (1, 7, 1, 1)


def test_eliminated_and_swept_agree_with_gradients(soi220, monkeypatch):
    function = lambda x: power(filters(x[0], x[1]), soi220)
    x = jnp.array([131.0, 199.0])
    value, slope = jax.jit(jax.value_and_grad(function))(x)
    monkeypatch.setattr(network, "schedule", swept)
    again, slope_again = jax.jit(jax.value_and_grad(lambda x: function(x)))(x)
    np.testing.assert_allclose(again, value, rtol=1e-11)
    np.testing.assert_allclose(slope_again, slope, rtol=1e-9)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(lambda x: function(x)))(x), slope, rtol=1e-9)


@pytest.mark.parametrize("way", ["chosen", "swept"])
def test_gradient_is_the_difference_quotient(soi220, way, monkeypatch):
    if way == "swept":
        monkeypatch.setattr(network, "schedule", swept)
    function = jax.jit(lambda x: power(filters(x[0], x[1]), soi220.at(Process(width_nm=x[2]))))
    x, step = jnp.array([131.0, 199.0, 1.0]), 1e-4
    slopes = [(function(x.at[k].add(step)) - function(x.at[k].add(-step))) / (2 * step) for k in range(3)]
    # central differences: third derivatives (below 1e3 here) times step², and rounding 1e-12/step
    slope = jax.jit(jax.grad(function))(x)
    np.testing.assert_allclose(slope, slopes, rtol=0, atol=1e-5)
    assert np.all(np.abs(np.array(slopes)) > 1e-3)


@pytest.mark.parametrize("way", ["chosen", "swept"])
def test_vmap_is_a_loop(soi220, way, monkeypatch):
    if way == "swept":
        monkeypatch.setattr(network, "schedule", swept)
    tops, widths = jnp.array([130.0, 131.5, 133.0]), jnp.array([0.0, 2.0, -3.0])
    function = lambda top, width: filters(top).transfer(WL, soi220.at(Process(width_nm=width)), ["in"], ["out"])
    looped = jnp.stack([function(t, w) for t, w in zip(tops, widths, strict=True)])
    np.testing.assert_allclose(jax.vmap(function)(tops, widths), looped, rtol=0, atol=ROUND)


def test_vmap_over_the_leaves_of_a_circuit(soi220):
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), filters(130.0), filters(140.0, 210.0))
    both = jax.vmap(lambda c: c.transfer(WL, soi220, ["in"], ["out"]))(stack)
    np.testing.assert_allclose(both[1], filters(140.0, 210.0).transfer(WL, soi220, ["in"], ["out"]), rtol=0, atol=ROUND)


def test_each_site_sees_its_own_mismatch(soi220):
    c = mzi()
    offsets = jnp.array([1.0, -2.0, 3.0, 0.5])  # of a, b, t, z in nm
    found = c.model(WL, soi220.with_mismatch(at_sites(4, width_nm=offsets)))["o1", "o2"]
    on = {name: soi220.at(Process(width_nm=offsets[k])) for k, name in enumerate("abtz")}
    a, z = (c.instances[k].model(WL, on[k]) for k in "az")
    t, b = (c.instances[k].model(WL, on[k])["o1", "o2"] for k in "tb")
    expected = a["o1", "o3"] * t * z["o2", "o4"] + a["o1", "o4"] * b * z["o1", "o4"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUND)
    nominal = c.model(WL, soi220)["o1", "o2"]
    assert float(jnp.abs(found - nominal).max()) > 1e-2
    with pytest.raises(SpecError, match="mismatch does not fit"):
        c.model(WL, soi220.with_mismatch(at_sites(3)))


def test_zero_mismatch_changes_nothing_and_equal_devices_are_evaluated_once(soi220):
    calls = []

    @device
    class Counted(Device):
        name: ClassVar[str] = "counted"
        length: float = param(default=1.0, lower=0.0, upper=10.0, unit="um")

        @property
        def ports(self):
            return ("o1", "o2")

        def model(self, wl, tech):
            calls.append(jnp.shape(self.length))
            return {("o1", "o2"): jnp.exp(1j * wl * self.length)}

    c = Circuit({"a": Counted(), "b": Counted()}, (("a,o2", "b,o1"),), (("o1", "a,o1"), ("o2", "b,o2")))
    s = c.model(WL, soi220)
    assert calls == [()]
    again = c.model(WL, soi220.with_mismatch(at_sites(2)))
    np.testing.assert_allclose(again["o1", "o2"], s["o1", "o2"], rtol=0, atol=1e-14)
    np.testing.assert_allclose(s["o1", "o2"], jnp.exp(2j * WL), rtol=0, atol=1e-14)


def test_the_analysis_of_a_circuit_rebuilt_at_every_call_is_reused(soi220):
    power(filters(130.0), soi220)
    before = schedule.cache_info()
    power(filters(131.0), soi220)
    assert schedule.cache_info().misses == before.misses
    assert schedule.cache_info().hits == before.hits + 1


def test_elements_of_a_vector_are_its_entries(soi220):
    def chain(lengths):
        parts = {f"s{k}": Straight(length=length) for k, length in enumerate(lengths)}
        links = tuple((f"s{k},o2", f"s{k + 1},o1") for k in range(len(lengths) - 1))
        return Circuit(parts, links, (("o1", "s0,o1"), ("o2", f"s{len(lengths) - 1},o2")))

    vector = jnp.array([10.0, 20.0, 35.0])
    plain = jax.grad(lambda v: jnp.real(chain(jnp.unstack(v)).transfer(WL[0], soi220, ["o1"], ["o2"])[0, 0]))
    quick = jax.grad(lambda v: jnp.real(chain(elements(v)).transfer(WL[0], soi220, ["o1"], ["o2"])[0, 0]))
    some = jax.grad(lambda v: jnp.real(chain([elements(v)[1], 5.0]).transfer(WL[0], soi220, ["o1"], ["o2"])[0, 0]))
    np.testing.assert_allclose(jax.jit(quick)(vector), plain(vector), rtol=0, atol=ROUND)
    assert np.count_nonzero(some(vector)) == 1


def test_the_program_does_not_grow_with_the_circuit(soi220):
    def size(count):
        def function(v):
            parts = {f"c{k:03d}": Tap(angle=length) for k, length in enumerate(elements(v))}
            links = [(f"c{k:03d},o{4 - p}", f"c{k + 1:03d},o{1 + p}") for k in range(count - 1) for p in (0, 1)]
            ends = (
                ("o1", "c000,o1"),
                ("o2", "c000,o2"),
                ("o3", f"c{count - 1:03d},o3"),
                ("o4", f"c{count - 1:03d},o4"),
            )
            return jnp.sum(jnp.abs(Circuit(parts, tuple(links), ends).transfer(WL, soi220, ["o1"], ["o4"])) ** 2)

        return jax.jit(jax.grad(function)).lower(jnp.linspace(0.5, 0.6, count)).as_text().count("\n")

    assert size(400) <= 1.02 * size(200)
