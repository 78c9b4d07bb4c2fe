"""The contract: every device, on every technology, is one and the same device on the mask and in the model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from klayout import db

from picq import layout, pdk
from picq.components import DEVICES
from picq.device import bounds
from picq.errors import LayoutError, SpecError
from picq.sdict import dense, excess, reciprocity_error, unitarity_error
from picq.signoff.drc import check_layout
from picq.signoff.extract import extract, length_tolerance

WL = jnp.linspace(1.53, 1.57, 5)
CASES = [(tech, name) for tech in pdk.names() for name in DEVICES]
OPTICAL = [(tech, name) for tech, name in CASES if DEVICES[name].ports]
DRIVEN = [
    (tech, name, parameter, end)
    for tech, name in CASES
    for parameter, b in bounds(DEVICES[name]).items()
    if b.step > 0 or parameter == "fill"
    for end in ("lower", "upper")
]


def made(tech_name, name):
    """The device at its defaults, with nothing left to the technology, and the technology."""
    tech = pdk.load(tech_name)
    dev = DEVICES[name].on(tech)
    strip = tech.cross_section("strip")
    own = {"radius": strip.radius, "width": strip.width, "width1": strip.width}
    return dev.replace(**{n: own[n] for n in bounds(type(dev)) if getattr(dev, n) is None}), tech


def at_end(tech_name, name, parameter, end):
    """The device with one parameter at one end of its bounds, the rest at their defaults."""
    tech = pdk.load(tech_name)
    b = bounds(DEVICES[name], tech)[parameter]
    value = getattr(b, end)
    default = getattr(DEVICES[name].on(tech), parameter)
    return DEVICES[name].on(tech, **{parameter: (value,) * len(default) if isinstance(default, tuple) else value}), tech


def drawn(dev, tech):
    """The device's mask in a layout of its own."""
    cell = layout.build(dev, tech)
    target = db.Layout()
    target.dbu = 0.001
    top = target.create_cell("device")
    source = cell.kcl.layout
    for index in source.layer_indexes():
        region = db.Region(source.cell(cell.cell_index()).begin_shapes_rec(index))
        if not region.is_empty():
            info = source.get_info(index)
            top.shapes(target.layer(info.layer, info.datatype)).insert(region)
    guides = top.shapes(target.layer(*tech.layer("waveguide")))
    for port in cell.ports:
        if port.port_type == "optical":  # as on a chip, the guide goes on behind every port
            stub = db.DPolygon(db.DBox(0, -port.width / 2, 2, port.width / 2))
            guides.insert(stub.transformed(db.DCplxTrans(1, port.orientation, False, *port.center)))
    return target, cell


def shuffled(s, ports):
    """A real number that feels amplitude and phase of every S-parameter differently."""
    m = dense(s, ports)
    weight = jnp.cos(1.0 + jnp.arange(m.size)).reshape(m.shape)
    return jnp.sum(weight * m.real + weight[::-1] * m.imag)


@pytest.mark.parametrize(("tech", "name"), CASES)
def test_ports_of_cell_are_ports_of_model(tech, name):
    dev, tech = made(tech, name)
    cell = layout.build(dev, tech)
    optical = {p.name for p in cell.ports if p.port_type != "electrical"}
    assert optical == set(dev.ports)
    s = dev.model(WL, tech)
    assert {p for pair in s for p in pair} == set(dev.ports)
    assert all(np.shape(v) == WL.shape for v in s.values())


@pytest.mark.parametrize(("tech", "name"), OPTICAL)
def test_reciprocal_and_passive(tech, name):
    dev, tech = made(tech, name)
    s = dev.model(WL, tech)
    assert reciprocity_error(s) < 1e-14
    assert excess(s) < 1e-12


@pytest.mark.parametrize(("tech", "name"), OPTICAL)
def test_lossless_is_unitary_or_at_least_passive(tech, name):
    dev, tech = made(tech, name)
    s = dev.model(WL, tech.lossless())
    if dev.lossless_is_unitary:
        assert unitarity_error(s) < 1e-12
    else:
        assert excess(s) < 1e-12


@pytest.mark.parametrize(("tech", "name"), OPTICAL)
def test_gradient_is_finite_difference(tech, name):
    """Fourth-order central differences with h = 1e-4 of the value's own scale: truncation below 1e-9 for phases of
    2 pi n/wl h = 1e-3 rad, rounding 1e-16/1e-4 = 1e-12 of the sum; 1e-6 leaves room for long arms."""
    dev, tech = made(tech, name)
    values = {n: getattr(dev, n) for n in bounds(type(dev)) if getattr(dev, n) is not None}

    @jax.jit
    def f(values):
        return shuffled(dev.replace(**values).model(WL, tech), dev.ports)

    slope = jax.jit(jax.grad(f))
    grads = slope(values)
    leaves, treedef = jax.tree.flatten(values)
    for i, (value, grad) in enumerate(zip(leaves, jax.tree.leaves(grads), strict=True)):
        h = 1e-4 * min(abs(value), 1.0) if value else 1e-4
        inward = value + 2 * h  # power 0 is an end of its bounds: differentiate beside it

        def at(v, i=i):
            return float(f(jax.tree.unflatten(treedef, [*leaves[:i], v, *leaves[i + 1 :]])))

        if value == 0:
            moved = slope(jax.tree.unflatten(treedef, [*leaves[:i], inward, *leaves[i + 1 :]]))
            grad, value = jax.tree.leaves(moved)[i], inward
        numeric = (8 * (at(value + h) - at(value - h)) - (at(value + 2 * h) - at(value - 2 * h))) / (12 * h)
        assert float(grad) == pytest.approx(numeric, rel=1e-6, abs=1e-7), list(values)


@pytest.mark.parametrize(("tech", "name"), OPTICAL)
def test_jit_is_eager_and_vmap_is_loop(tech, name):
    dev, tech = made(tech, name)
    jitted = jax.jit(lambda d: dense(d.model(WL, tech), dev.ports))
    np.testing.assert_allclose(jitted(dev), dense(dev.model(WL, tech), dev.ports), atol=1e-11)  # 1e-16 of 1e4 rad
    stacked = jax.tree.map(lambda v: jnp.stack([jnp.asarray(v), jnp.asarray(v) * 1.001]), dev)
    batch = jax.jit(jax.vmap(jitted))(stacked)
    for k, scale in enumerate((1.0, 1.001)):
        one = jax.tree.map(lambda v, scale=scale: jnp.asarray(v) * scale, dev)
        np.testing.assert_allclose(batch[k], jitted(one), atol=1e-11)


@pytest.mark.parametrize(("tech", "name", "parameter", "end"), DRIVEN)
def test_at_both_ends_lengths_are_those_of_the_mask_and_drc_is_clean(tech, name, parameter, end):
    check_mask(*at_end(tech, name, parameter, end))


@pytest.mark.parametrize(("tech", "name"), CASES)
def test_at_defaults_lengths_are_those_of_the_mask_and_drc_is_clean(tech, name):
    check_mask(*made(tech, name))


def check_mask(dev, tech):
    mask, cell = drawn(dev, tech)
    guide = db.Region(mask.top_cell().begin_shapes_rec(mask.layer(*tech.layer("waveguide"))))
    segments = layout.segments(cell)
    got = extract(guide, mask.dbu, segments)
    lengths = dev.paths(tech)
    assert set(lengths) <= set(segments)
    for segment, length in lengths.items():
        planes, faces = segments[segment], got.faces[segment]
        assert None not in {f.piece for f in faces}, segment
        assert len({f.piece for f in faces}) == 1, segment
        width = (planes[0][3] + planes[1][3]) / 2
        tolerance = length_tolerance(got.polygons[faces[0].piece], width, mask.dbu)
        assert tolerance < 0.02 + 2e-3 * float(length)  # 2e-3: the long slanted sides of tapers
        assert got.area(segment, planes) / width == pytest.approx(float(length), abs=tolerance), segment
    report = check_layout(mask, tech.platform.rules.for_device())
    assert report.passed, report.text()


def other_cross_sections():
    """Devices on every optical cross-section but the default one; couplers only where the technology has data."""
    for name, kind in DEVICES.items():
        for tech in map(pdk.load, pdk.names()):
            for xs in tech.cross_sections.values():
                default = kind().settings().get("cross_section", xs.name)
                refused = name in ("coupler", "lattice_filter") and xs.name not in tech.couplers
                refused |= name == "mzi" and bool(xs.sections)
                if not xs.electrical and xs.name != default and not refused:
                    yield pytest.param(tech.name, name, xs.name, id=f"{tech.name}-{name}-{xs.name}")


@pytest.mark.parametrize(("tech", "name", "cross_section"), other_cross_sections())
def test_on_other_cross_sections(tech, name, cross_section):
    tech = pdk.load(tech)
    values = {"radius": tech.cross_section(cross_section).radius} if "radius" in bounds(DEVICES[name]) else {}
    dev = DEVICES[name].on(tech, cross_section=cross_section, **values)
    s = dev.model(WL, tech)
    assert reciprocity_error(s) < 1e-14
    assert excess(s) < 1e-12
    check_mask(dev, tech)


def test_a_device_that_a_cross_section_does_not_carry_is_refused(soi220):
    with pytest.raises(LayoutError, match="without slab"):
        layout.build(DEVICES["mzi"].on(soi220, cross_section="rib"), soi220)
    with pytest.raises(SpecError, match="no coupling data"):
        DEVICES["coupler"].on(soi220, cross_section="rib").model(WL, soi220)


@pytest.mark.parametrize("name", DEVICES)
def test_docstring_draws_the_ports(name):
    kind = DEVICES[name]
    assert "::" in kind.__doc__
    for port in layout.build(kind.on(pdk.load("soi220")), pdk.load("soi220")).ports:
        assert port.name in kind.__doc__


@pytest.mark.parametrize("name", DEVICES)
def test_value_outside_bounds_is_refused(name):
    for parameter, b in bounds(DEVICES[name]).items():
        value = b.upper + 1.0
        with pytest.raises(SpecError, match=rf"{name}\.{parameter}") as caught:
            DEVICES[name](**{parameter: (value,) * len(b.default) if isinstance(b.default, tuple) else value})
        assert f"{b.upper:g}" in str(caught.value)


def test_unknown_parameter_gets_the_nearest_spelling(soi220):
    with pytest.raises(SpecError, match="did you mean 'length'"):
        DEVICES["straight"].on(soi220, lenght=3.0)


def test_lattice_filter_counts_must_agree(soi220):
    with pytest.raises(SpecError, match="coupler_lengths"):
        DEVICES["lattice_filter"].on(soi220, delays=(1.0, 2.0))
