"""The contract: every device, on every technology, is one and the same device on the mask and in the model."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from klayout import db

from picq import drawing, layout, pdk
from picq.components import DEVICES
from picq.device import bounds
from picq.errors import SpecError
from picq.sdict import dense, excess, reciprocity_error, unitarity_error
from picq.signoff.drc import check_layout
from picq.signoff.extract import extract, length_tolerance
from picq.signoff.lvs import WIDTH_TOLERANCE_UM
from picq.technology import Process

WL = jnp.linspace(1.53, 1.57, 5)
FIRST = "soi220"
TECHS = {name: pdk.load(name) for name in pdk.names()}


def offered(tech, name):
    """Whether the technology has the device; of free-form ones it needs a design of its own."""
    if name in TECHS[tech].platform.unavailable:
        return False
    return "file" not in DEVICES[name]().settings() or bool(DEVICES[name].on(TECHS[tech]).settings()["file"])


CASES = [(tech, name) for tech in TECHS for name in DEVICES if offered(tech, name)]
REFUSED = [(tech, name) for tech in TECHS for name in TECHS[tech].platform.unavailable]
OPTICAL = [(tech, name) for tech, name in CASES if DEVICES[name].ports]


LARGE = {"awg", "ring_dual_mzi", "photonic_molecule", "pump_filter", "delay_spiral", "time_bin_analyser"}


def slow_but_first(tech, *rest, large=1):
    """A case that the fast suite runs on one technology only; large devices, seconds each, ``large`` levels lower."""
    marks = [pytest.mark.slow, pytest.mark.exhaustive][: (tech != FIRST) + large * bool(LARGE & set(rest))]
    return pytest.param(tech, *rest, marks=marks, id="-".join((tech, *rest)))


DRIVEN = [
    slow_but_first(tech, name, parameter, end)
    for tech, name in CASES
    for parameter, b in bounds(DEVICES[name]).items()
    if b.step > 0 or parameter == "fill"
    for end in ("lower", "upper")
]
# gradients and compilation are the same code on every technology: the others are left to `make test-all`
COMPILED = [
    pytest.param(
        tech, name, id=f"{tech}-{name}", marks=() if tech == FIRST else (pytest.mark.slow, pytest.mark.exhaustive)
    )
    for tech, name in OPTICAL
]


def made(tech_name, name):
    """The device at its defaults, with nothing left to the technology, and the technology."""
    tech = pdk.load(tech_name)
    dev = DEVICES[name].on(tech)
    guide = tech.cross_section(tech.platform.default_cross_section)
    own = {"radius": guide.radius, "width": guide.width, "width1": guide.width}
    return dev.replace(**{n: own[n] for n in own if n in bounds(type(dev)) and getattr(dev, n) is None}), tech


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
    xs = tech.cross_section(dev.settings().get("cross_section", tech.platform.default_cross_section))
    for port in cell.ports:
        if port.port_type == "optical":  # as on a chip, the guide goes on behind every port
            for layer, grow in ((xs.layer, 0.0), *((s.layer, s.width - xs.width) for s in xs.sections)):
                half = (port.width + grow) / 2
                stub = db.DPolygon(db.DBox(0, -half, 2, half))
                shapes = top.shapes(target.layer(*tech.layer(layer)))
                shapes.insert(stub.transformed(db.DCplxTrans(1, port.orientation, False, *port.center)))
    return target, cell


def quick(f):
    """Compiled in half the time: most of these tests' is that of the compiler, which is not what they test."""
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True})


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
    s = jax.eval_shape(lambda: dev.model(WL, tech))
    assert {p for pair in s for p in pair} == set(dev.ports)
    assert all(v.shape == WL.shape for v in s.values())


@pytest.mark.parametrize(("tech", "name"), OPTICAL)
def test_reciprocal_passive_and_lossless_unitary_or_at_least_passive(tech, name):
    dev, tech = made(tech, name)
    s, lossless = quick(lambda wl: (dev.model(wl, tech), dev.model(wl, tech.lossless())))(WL)
    assert reciprocity_error(s) < 1e-14
    assert excess(s) < 1e-12
    if dev.lossless_is_unitary:
        assert unitarity_error(lossless) < 1e-12
    else:
        assert excess(lossless) < 1e-12


@pytest.mark.parametrize(("tech", "name"), COMPILED)
def test_gradient_is_finite_difference(tech, name):
    """Fourth-order central differences with h = 1e-4 of the value's own scale: truncation below 1e-9 for phases of
    2 pi n/wl h = 1e-3 rad, rounding 1e-16/1e-4 = 1e-12 of the sum; 1e-6 leaves room for long arms. Where a parameter
    moves many lengths at once, h is smaller, so that h times the slope stays below 1e-3."""
    dev, tech = made(tech, name)
    values = {n: getattr(dev, n) for n in bounds(type(dev)) if getattr(dev, n) is not None}

    both = quick(jax.value_and_grad(lambda values: shuffled(dev.replace(**values).model(WL, tech), dev.ports)))
    grads = both(values)[1]
    leaves, treedef = jax.tree.flatten(values)
    for i, (value, grad) in enumerate(zip(leaves, jax.tree.leaves(grads), strict=True)):
        h = (1e-4 * min(abs(value), 1.0) if value else 1e-4) / max(1.0, abs(float(grad)) / 10)
        inward = value + 2 * h  # power 0 is an end of its bounds: differentiate beside it

        def at(v, i=i):
            return float(both(jax.tree.unflatten(treedef, [*leaves[:i], v, *leaves[i + 1 :]]))[0])

        if value == 0:
            moved = both(jax.tree.unflatten(treedef, [*leaves[:i], inward, *leaves[i + 1 :]]))[1]
            grad, value = jax.tree.leaves(moved)[i], inward
        numeric = (8 * (at(value + h) - at(value - h)) - (at(value + 2 * h) - at(value - 2 * h))) / (12 * h)
        assert float(grad) == pytest.approx(numeric, rel=1e-6, abs=1e-7), list(values)


@pytest.mark.parametrize(("tech", "name"), COMPILED)
def test_jit_is_eager_and_vmap_is_loop(tech, name):
    dev, tech = made(tech, name)
    jitted = jax.jit(lambda d: dense(d.model(WL, tech), dev.ports))
    np.testing.assert_allclose(jitted(dev), dense(dev.model(WL, tech), dev.ports), atol=1e-11)  # 1e-16 of 1e4 rad
    if not jax.tree.leaves(dev):  # nothing to vary but the chip
        over = jax.jit(lambda nm: dense(dev.model(WL, tech.at(Process(width_nm=nm))), dev.ports))
        for nm, one in zip((-3.0, 4.0), jax.vmap(over)(jnp.array([-3.0, 4.0])), strict=True):
            np.testing.assert_allclose(one, over(nm), atol=1e-11)
        return
    stacked = jax.tree.map(lambda v: jnp.stack([jnp.asarray(v), jnp.asarray(v) * 1.001]), dev)
    batch = quick(jax.vmap(jitted))(stacked)
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
    guides = [db.Region(mask.top_cell().begin_shapes_rec(mask.layer(*layer))) for layer in tech.guide_layers]
    segments = drawing.segments(cell)
    got = extract(guides, mask.dbu, segments)
    lengths = dev.paths(tech)
    assert set(lengths) <= set(segments)
    for segment, length in lengths.items():
        planes, faces = segments[segment], got.faces[segment]
        assert None not in {f.piece for f in faces}, segment
        assert len({f.piece for f in faces}) == 1, segment
        for plane, face in zip(planes, faces, strict=True):  # as LVS asks of joints
            assert face.high - face.low == pytest.approx(plane[3], abs=WIDTH_TOLERANCE_UM), segment
            assert abs(face.high + face.low) / 2 < WIDTH_TOLERANCE_UM / 2, segment
        width = (planes[0][3] + planes[1][3]) / 2
        tolerance = length_tolerance(got.polygons[faces[0].piece], width, mask.dbu)
        # four sigma of the corners of a taper, whose sides slant along all its length: 4 / sqrt(12) nm a um of width
        assert tolerance < 0.02 + 1.2e-3 * float(length) / width
        assert got.area(segment, planes) / width == pytest.approx(float(length), abs=tolerance), segment
    report = check_layout(mask, tech.platform.rules.for_device(), waivers=layout.waivers(dev, tech, cell))
    assert not report.findings, report.text()


def other_cross_sections():
    """Devices on every optical cross-section but the default one."""
    for name, kind in DEVICES.items():
        if "cross_section" not in kind().settings():
            continue
        for tech in TECHS.values():
            if name in tech.platform.unavailable:
                continue
            default = kind.on(tech).cross_section
            for xs in tech.cross_sections.values():
                if name == "edge_coupler" and xs.partial_etch:  # refused, see below
                    continue
                if not xs.electrical and xs.name != default:
                    yield slow_but_first(tech.name, name, xs.name, large=2)  # their parts are tried there


@pytest.mark.parametrize(("tech", "name", "cross_section"), [*other_cross_sections()])
def test_on_other_cross_sections(tech, name, cross_section):
    tech = pdk.load(tech)
    values = {"radius": tech.cross_section(cross_section).radius} if "radius" in bounds(DEVICES[name]) else {}
    dev = DEVICES[name].on(tech, cross_section=cross_section, **values)
    s = dev.model(WL, tech)
    assert reciprocity_error(s) < 1e-14
    assert excess(s) < 1e-12
    check_mask(dev, tech)


@pytest.mark.parametrize(("tech", "name"), REFUSED)
def test_a_device_that_makes_no_sense_is_refused_with_the_reason(tech, name):
    tech = TECHS[tech]
    reason = tech.platform.unavailable[name]
    with pytest.raises(SpecError, match=re.escape(reason)):
        DEVICES[name].on(tech)
    with pytest.raises(SpecError, match=re.escape(reason)):
        layout.build(DEVICES[name](), tech)
    assert name not in tech.pdk().cells
    assert name not in tech.pdk().models


def test_only_known_devices_are_unavailable_and_some_device_is():
    assert REFUSED
    assert {name for _, name in REFUSED} <= set(DEVICES)


@pytest.mark.parametrize("tech", TECHS.values(), ids=TECHS)
def test_every_entry_of_a_technology_names_a_device_and_its_fields(tech):
    for entry, values in tech.platform.devices.items():
        if entry in ("every", "unavailable"):
            continue
        name, _, section = entry.partition(" on ")
        assert name in DEVICES, entry
        assert not section or not tech.cross_section(section).electrical, entry
        assert set(values) <= set(DEVICES[name]().settings()), entry


def test_a_device_that_a_guide_does_not_carry_is_refused(soi220):
    bare = dataclasses.replace(soi220, couplers={})
    with pytest.raises(SpecError, match="no coupling data"):
        DEVICES["coupler"].on(bare).model(WL, bare)
    with pytest.raises(SpecError, match="slab that holds the light"):
        DEVICES["edge_coupler"].on(soi220, cross_section="rib").model(WL, soi220)


@pytest.mark.parametrize("name", DEVICES)
def test_docstring_draws_the_ports(name):
    kind = DEVICES[name]
    assert "::" in kind.__doc__
    tech = next(tech for label, tech in TECHS.items() if offered(label, name))
    for port in layout.build(kind.on(tech), tech).ports:
        assert port.name in kind.__doc__


@pytest.mark.parametrize("name", DEVICES)
def test_value_outside_bounds_is_refused(name):
    for parameter, b in bounds(DEVICES[name]).items():
        value = b.upper + 1.0
        with pytest.raises(SpecError, match=rf"{name}\.{parameter}") as caught:
            DEVICES[name](**{parameter: (value,) * max(len(b.default), 1) if isinstance(b.default, tuple) else value})
        assert f"{b.upper:g}" in str(caught.value)


def test_unknown_parameter_gets_the_nearest_spelling(soi220):
    with pytest.raises(SpecError, match="did you mean 'length'"):
        DEVICES["straight"].on(soi220, lenght=3.0)


def test_lattice_filter_counts_must_agree(soi220):
    with pytest.raises(SpecError, match="coupler_lengths"):
        DEVICES["lattice_filter"].on(soi220, delays=(1.0, 2.0))
