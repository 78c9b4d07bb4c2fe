"""LVS: planted defects on a written mask are found, and nothing else is."""

import dataclasses

import pytest
from klayout import db

from picq import assembly, drawing, layout, pdk
from picq.circuit import Circuit
from picq.components import BendEuler, Coupler, GratingCoupler, Mmi2x2, Mzi, Pad, Straight, StraightHeater, Terminator
from picq.errors import LayoutError
from picq.plan import Bundle, Placement, Plan
from picq.signoff.drc import drc
from picq.signoff.extract import extract, length_tolerance
from picq.signoff.lvs import lvs
from picq.signoff.mask import canonical, write_mask

GUIDE, METAL, HEATER, ETCH = (3, 0), (41, 0), (39, 0), (6, 0)


@pytest.fixture(scope="module")
def chip(soi220):
    """A coupler with two routed outputs to fibre, a heater on the input, two pads."""
    tech = soi220
    circuit = Circuit(
        instances={
            "heater": StraightHeater.on(tech),
            "split": Coupler.on(tech),
            "a": GratingCoupler.on(tech),
            "b": GratingCoupler.on(tech),
            "spare": Straight.on(tech),
            "p1": Pad.on(tech),
            "p2": Pad.on(tech),
        },
        connections=(
            ("heater,o2", "split,o1"),
            ("split,o2", "spare,o1"),
            ("split,o3", "a,o1"),
            ("split,o4", "b,o1"),
        ),
        exposed=(("in", "heater,o1"), ("a", "a,o2"), ("b", "b,o2")),
        plan=Plan(
            placements=(
                ("heater", Placement(0.0, 0.0)),
                ("split", Placement(200.0, 30.0)),
                ("a", Placement(400.0, 127.0)),
                ("b", Placement(400.0, 0.0)),
                ("p1", Placement(-200.0, 300.0)),
                ("p2", Placement(300.0, 300.0)),
            ),
            wires=(Bundle((("heater,e1", "p1,e1"), ("heater,e2", "p2,e1")), separation=30.0),),
        ),
    )
    made = circuit.assembled(tech)
    return made, assembly.routed(circuit, made), tech


def compare(chip, tmp_path, change=None):
    """LVS of the chip's mask after ``change(layout, guide, metal)``, shapes flattened into the top cell."""
    made, circuit, tech = chip
    drawn = db.Layout()
    drawn.dbu = 0.001
    top = drawn.create_cell("chip")
    source = made.component.kcl.layout
    for index in source.layer_indexes():
        region = db.Region(source.cell(made.component.cell_index()).begin_shapes_rec(index)).merged()
        info = source.get_info(index)
        top.shapes(drawn.layer(info.layer, info.datatype)).insert(region)
    mask = drawn.dup()
    if change is not None:
        regions = {}
        for pair in (GUIDE, METAL):
            index = mask.layer(*pair)
            regions[pair] = db.Region(mask.top_cell().begin_shapes_rec(index)).merged()
        for pair, region in zip((GUIDE, METAL), change(regions[GUIDE], regions[METAL]), strict=True):
            mask.top_cell().shapes(mask.layer(*pair)).clear()
            mask.top_cell().shapes(mask.layer(*pair)).insert(region)
    path = tmp_path / "mask.gds"
    mask.write(str(path))
    lengths = {k: float(v) for k, v in circuit.paths(tech).items()}
    return lvs(path, drawn, (GUIDE,), METAL, drawing.segments(made.component), lengths, made.nets)


def questions(report):
    """What failed, beside the comparison of shapes, which sees every change."""
    assert any(f.check == "shape" for f in report.errors)
    return [f.check for f in report.errors if f.check != "shape"]


def um(left, bottom, right, top):
    return db.Region(db.DBox(left, bottom, right, top).to_itype(0.001))


def test_the_mask_as_drawn_passes(chip, tmp_path):
    report = compare(chip, tmp_path)
    assert report.passed, report.text()
    assert report.figures["lengths_measured"] == len(chip[1].paths(chip[2]))
    assert report.figures["largest_length_error_nm"] < 5


def test_another_database_unit_passes(chip, tmp_path):
    made, circuit, tech = chip
    report = compare(chip, tmp_path)
    mask = db.Layout()
    mask.read(str(tmp_path / "mask.gds"))
    mask.scale_and_snap(mask.top_cell(), 1, 2, 1)
    mask.dbu = 0.0005
    mask.write(str(tmp_path / "fine.gds"))
    lengths = {k: float(v) for k, v in circuit.paths(tech).items()}
    drawn = db.Layout()
    drawn.read(str(tmp_path / "mask.gds"))
    fine = lvs(tmp_path / "fine.gds", drawn, (GUIDE,), METAL, drawing.segments(made.component), lengths, made.nets)
    assert fine.passed, fine.text()
    assert fine.figures["segments"] == report.figures["segments"]


def test_a_guide_that_is_10_nm_longer_is_found(chip, tmp_path):
    """A bulge whose area is that of 10 nm of waveguide: 0.005 um²."""
    report = compare(chip, tmp_path, lambda g, m: (g + um(60, 0.25, 60.05, 0.35), m))
    assert questions(report) == ["length"]
    assert "heater/guide" in report.errors[0].message
    assert report.errors[0].measured == pytest.approx(120.01, abs=1e-3)


def test_a_cut_guide_is_found(chip, tmp_path):
    report = compare(chip, tmp_path, lambda g, m: (g - um(60, -1, 60.001, 1), m))
    assert questions(report) == ["connection"]
    assert "heater/guide" in report.errors[0].message


def test_two_guides_in_one_are_found(chip, tmp_path):
    bridge = um(230, 27, 231, 33)  # across the coupler's parallel guides
    report = compare(chip, tmp_path, lambda g, m: (g + bridge, m))
    assert any(f.check == "connection" and "one piece" in f.message for f in report.errors)


def test_swapped_outputs_are_found(chip, tmp_path):
    """The mask sends o3 to b and o4 to a: a topological comparison would call it the same."""
    made, _, _ = chip
    planes = drawing.segments(made.component)
    (x0, top, *_), (x0_, bottom, *_) = planes["route_split_o3/guide"][0], planes["route_split_o4/guide"][0]
    assert x0 == x0_
    erased = um(x0, -5, 399.0, 140)
    ends = [planes[f"{name}/horn"][0][1] for name in ("a", "b")]

    def step(y0, y1, x):
        return (
            um(x0, y0 - 0.25, x + 0.25, y0 + 0.25)
            + um(x - 0.25, min(y0, y1) - 0.25, x + 0.25, max(y0, y1) + 0.25)
            + um(x - 0.25, y1 - 0.25, 400, y1 + 0.25)
        )

    swapped = step(top, ends[1], 300) + step(bottom, ends[0], 280)
    crossing = um(280.25, top - 0.25, 299.75, top + 0.25)  # keep the two ways apart
    report = compare(chip, tmp_path, lambda g, m: (g - erased + (swapped - crossing), m))
    messages = " ".join(f.message for f in report.errors)
    assert "route_split_o3/guide" in messages
    assert not report.passed


def test_a_lateral_offset_and_a_width_mismatch_are_found(chip, tmp_path):
    shifted = lambda g, m: (g - um(118, -1, 121, 1) + um(118, -0.23, 121, 0.27), m)
    report = compare(chip, tmp_path, shifted)
    assert any(f.check == "joint" and "20.0 nm off" in f.message for f in report.errors)
    narrow = lambda g, m: (g - um(118, -1, 121, 1) + um(118, -0.22, 121, 0.22), m)
    report = compare(chip, tmp_path, narrow)
    assert any(f.check == "joint" and "0.440 um wide" in f.message for f in report.errors)


def test_a_missing_device_and_a_stranger_are_found(chip, tmp_path):
    made = chip[0]
    x, y, *_ = drawing.segments(made.component)["a/horn"][0]
    report = compare(chip, tmp_path, lambda g, m: (g - um(x, y - 10, x + 500, y + 10), m))
    assert any("a/horn" in f.message for f in report.errors)
    report = compare(chip, tmp_path, lambda g, m: (g + um(1000, 1000, 1010, 1001), m))
    assert questions(report) == ["stranger"]


def test_a_grating_of_another_size_is_found(chip, tmp_path):
    x, y, *_ = drawing.segments(chip[0].component)["a/horn"][0]
    report = compare(chip, tmp_path, lambda g, m: (g + um(x + 300, y + 5, x + 320, y + 7), m))
    assert questions(report) == ["body"]


def test_open_and_shorted_wires_are_found(chip, tmp_path):
    report = compare(chip, tmp_path, lambda g, m: (g, m - um(-500, 200, 1000, 201)))
    assert set(questions(report)) == {"net"}
    assert len(questions(report)) == 2
    report = compare(chip, tmp_path, lambda g, m: (g, m + um(0, 0, 120, 6)))
    assert any("shorted" in f.message for f in report.errors)


def test_length_of_a_polygonal_arc_is_within_its_derived_tolerance():
    """An arc of R = 10 um, 0.5 um wide, drawn with 0.1 um chords on a 1 nm grid, against its exact length."""
    import numpy as np

    angles = np.linspace(0, np.pi / 2, 158)
    ring = [
        (r * np.sin(a), r * (1 - np.cos(a)) + (10 - r) - 0.0)
        for r, order in ((9.75, 1), (10.25, -1))
        for a in angles[::order]
    ]
    outline = db.DPolygon([db.DPoint(x, y) for x, y in ring])
    region = db.Region(outline.to_itype(0.001))
    planes = {"arc": ((0.0, 0.0, 180.0, 0.5), (10.0, 10.0, 90.0, 0.5))}
    got = extract([region], 0.001, planes)
    exact = 10 * np.pi / 2
    tolerance = length_tolerance(got.polygons[0], 0.5, 0.001)
    assert abs(got.area("arc", planes["arc"]) / 0.5 - exact) < tolerance < 0.006


@pytest.mark.parametrize("layer", [HEATER, ETCH])
def test_a_missing_heater_or_grating_is_found(chip, tmp_path, layer):
    """Layers that hold no waveguide count as well."""
    made, circuit, tech = chip
    compare(chip, tmp_path)
    drawn, mask = db.Layout(), db.Layout()
    drawn.read(str(tmp_path / "mask.gds"))
    mask.read(str(tmp_path / "mask.gds"))
    mask.clear_layer(mask.layer(*layer))
    mask.write(str(tmp_path / "bare.gds"))
    lengths = {k: float(v) for k, v in circuit.paths(tech).items()}
    report = lvs(tmp_path / "bare.gds", drawn, (GUIDE,), METAL, drawing.segments(made.component), lengths, made.nets)
    assert {f.check for f in report.errors} == {"shape"}
    assert f"{layer[0]}/0" in report.errors[0].message


def test_a_coupling_gap_that_is_2_nm_wider_is_found(chip, tmp_path):
    """Both guides keep width and length, and are 1 nm further apart each: 2 % of kappa."""
    made, circuit, tech = chip
    wider = circuit.instances["split"].replace(gap=0.202)
    region = db.Region(layout.build(wider, tech).dup().kdb_cell.begin_shapes_rec(made.component.kcl.layer(*GUIDE)))
    moved = region.transformed(db.Trans(200_000, 30_000))
    narrow = db.Region(
        layout.build(circuit.instances["split"], tech).kdb_cell.begin_shapes_rec(made.component.kcl.layer(*GUIDE))
    ).transformed(db.Trans(200_000, 30_000))
    report = compare(chip, tmp_path, lambda g, m: (g - narrow + moved, m))
    assert any(f.check == "shape" and "3/0" in f.message for f in report.errors)


def test_unwired_heaters_are_named(chip, soi220):
    assert chip[0].unwired == ()
    bare = Circuit(instances={"h": StraightHeater.on(soi220)}).assembled(soi220)
    assert bare.unwired == ("h,e1", "h,e2")


def test_a_shared_ground_is_one_net():
    links = [("h1,e1", "p1,e1"), ("h1,e2", "g,e1"), ("h2,e2", "g,e1"), ("h2,e1", "p2,e1")]
    assert assembly._joined(links) == [("h1,e1", "p1,e1"), ("h1,e2", "g,e1", "h2,e2"), ("h2,e1", "p2,e1")]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (Straight(), Straight(width=0.6), "different widths"),
        (Straight(), Straight(), "without facing"),
    ],
)
def test_ports_that_touch_wrongly_are_refused(soi220, first, second, said):
    circuit = Circuit(
        instances={"a": first, "b": second},
        connections=(("a,o2", "b,o1"),),
        plan=Plan(
            placements=(("a", Placement(0, 0)), ("b", Placement(10.0, 0, rotation=90.0 if said[0] == "w" else 0)))
        ),
    )
    with pytest.raises(LayoutError, match=said):
        circuit.assembled(soi220)


def test_a_plan_that_names_no_instance_is_refused(soi220):
    circuit = Circuit(instances={"a": Straight()}, plan=Plan(labels=(("text", "nope,o1"),)))
    with pytest.raises(LayoutError, match="nope"):
        circuit.assembled(soi220)


def test_cells_are_drawn_by_the_technology_that_is_given(soi220):
    """A changed technology is not silently replaced by the catalogue's."""
    strip = dataclasses.replace(soi220.cross_section("strip"), radius=20.0)
    other = dataclasses.replace(soi220, cross_sections={**soi220.cross_sections, "strip": strip})
    assert layout.build(BendEuler(), other).dxmax == pytest.approx(20.25)
    assert layout.build(BendEuler(), soi220).dxmax == pytest.approx(10.25)


@pytest.mark.parametrize("name", pdk.names())
def test_a_routed_chip_of_every_technology_is_clean(name, tmp_path):
    """Routes in the technology's own guide leave a splitter side by side, closer than their slabs are wide."""
    tech = pdk.load(name)
    reach = 6 * tech.cross_section(tech.platform.default_cross_section).radius
    circuit = Circuit(
        instances={
            "split": (Mmi2x2 if "coupler" in tech.platform.unavailable else Coupler).on(tech),
            "filter": Mzi.on(tech),
            "plain": Straight.on(tech),
            "end": Terminator.on(tech),
            "p1": Pad.on(tech),
            "p2": Pad.on(tech),
        },
        connections=(("split,o3", "filter,o1"), ("split,o4", "plain,o1"), ("split,o2", "end,o1")),
        exposed=(("in", "split,o1"), ("a", "filter,o2"), ("b", "plain,o2")),
        plan=Plan(
            placements=(
                ("split", Placement(0.0, 0.0)),
                ("filter", Placement(reach, reach)),
                ("plain", Placement(reach, -reach)),
                ("p1", Placement(reach - 100.0, 3 * reach)),
                ("p2", Placement(reach + 1200.0, 3 * reach)),
            ),
            wires=(Bundle((("filter,e1", "p1,e1"),)), Bundle((("filter,e2", "p2,e1"),))),
            top_cell="Cell0_small",
        ),
    )
    if "grating_coupler" not in tech.platform.unavailable:
        circuit = circuit.replace(
            instances={**circuit.instances, "fibre": GratingCoupler.on(tech)},
            connections=(*circuit.connections, ("plain,o2", "fibre,o1")),
            exposed=(*circuit.exposed[:2], ("b", "fibre,o2")),
        )
    made = circuit.assembled(tech)
    whole = assembly.routed(circuit, made)
    gds = tmp_path / "chip.gds"
    write_mask(made.component, gds, tmp_path / "chip.oas", "Cell0_small")
    rules = drc(gds, tech.platform.rules.for_device())
    assert not rules.findings, rules.text()
    lengths = {k: float(v) for k, v in whole.paths(tech).items()}
    drawn = canonical(made.component, "Cell0_small")
    segments = drawing.segments(made.component)
    report = lvs(gds, drawn, tech.guide_layers, tech.metal_layer, segments, lengths, made.nets, made.unwired)
    assert not report.findings, report.text()
    assert report.figures["lengths_measured"] == len(lengths) > 10


def test_wires_lie_on_the_metal_of_the_technology_that_is_active():
    """Cross-sections of one name differ between technologies, so no cell of one may be taken for another's."""
    for name in pdk.names():
        tech = pdk.load(name)
        cells = layout.activate(tech).cells
        for cell in (cells["straight"](cross_section="metal"), cells["wire_corner"](cross_section="metal")):
            layers = {(i.layer, i.datatype) for i in cell.kcl.layer_infos() if not cell.bbox(cell.kcl.layer(i)).empty()}
            assert layers == {tech.metal_layer}


def test_guides_that_cross_on_two_layers_are_two_guides():
    across, along = um(0, -0.25, 20, 0.25), um(9.75, -10, 10.25, 10)
    planes = {
        "across": ((0.0, 0.0, 180.0, 0.5), (20.0, 0.0, 0.0, 0.5)),
        "along": ((10.0, -10.0, 270.0, 0.5), (10.0, 10.0, 90.0, 0.5)),
    }
    apart = extract([across, along], 0.001, planes)
    pieces = {name: {face.piece for face in faces} for name, faces in apart.faces.items()}
    assert all(len(own) == 1 for own in pieces.values())
    assert pieces["across"] != pieces["along"]
    assert apart.area("across", planes["across"]) == pytest.approx(10.0, abs=1e-9)
    joined = extract([across + along], 0.001, planes)
    assert joined.faces["across"][0].piece == joined.faces["along"][0].piece
