"""LVS and the digest of free-form devices, whose files are written here: invented shapes, S of no meaning."""

import numpy as np
import pytest
from klayout import db

from picq import assembly, drawing, layout
from picq.circuit import Circuit
from picq.components import FreeForm, Straight, free_form
from picq.errors import SpecError
from picq.inverse.saved import PortPlace, Saved, load_saved
from picq.optics.table import Variable
from picq.plan import Placement, Plan
from picq.signoff.lvs import lvs
from picq.signoff.mask import canonical

GUIDE, METAL = (3, 0), (41, 0)


def box(left, bottom, right, top):
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def circle(x, y, radius, corners):
    t = 2 * np.pi * np.arange(corners) / corners
    return [*zip(x + radius * np.cos(t), y + radius * np.sin(t), strict=True)]


EDGE = [(-2, 0.25), (-1, 0.6), (2, 1), (2, 0.5), (-0.3, 0.05)]
FORK = [(x, -y) for x, y in EDGE] + EDGE[::-1]
HOLE = circle(-1.0, 0.05, 0.2, 23)[::-1]
COG = [(1.5 + r * np.cos(a), r * np.sin(a)) for r, a in zip([0.25, 0.14] * 9, np.pi * np.arange(18) / 9, strict=True)]
ISLANDS = [circle(0.6, 1.5, 0.3, 31), [(-1.4, -1.7), (-0.3, -1.31), (-0.87, -0.9)], COG]
LEFT, RIGHT = box(-2, -0.25, -0.9, 0.25), [(-0.6, -0.8), (2, -1), (2, -0.5), (0, 0.1), (2, 0.5), (2, 1), (-0.6, 0.9)]
SHAPES = {
    "one piece": [FORK, HOLE],
    "islands": [FORK, HOLE, *ISLANDS],
    "ring": [FORK, box(-0.6, 1.2, 0.6, 2.0), box(-0.3, 1.45, 0.25, 1.8)[::-1]],
    "gap": [LEFT, RIGHT],
    "gap at a port": [box(-1.9, -0.25, -0.9, 0.25), RIGHT],
    "gaps everywhere": [LEFT, box(1.0, 0.5, 2, 1), box(0.3, -1, 2, -0.5), *ISLANDS[:2]],
}


@pytest.fixture
def device(tmp_path, soi220):
    """A device of outlines, um: o1 west, o2 and o3 east, guides 0.5 um wide."""

    def made(outlines, name="invented"):
        ports = {"o1": (-2.0, 0.0, 180.0), "o2": (2.0, 0.75, 0.0), "o3": (2.0, -0.75, 0.0)}
        variables = (Variable("wavelength", 1.5, 1.6), Variable("width", -20.0, 20.0), Variable("index", -0.06, 0.06))
        Saved(
            name, "soi220", "strip", tuple(np.array(o, float) for o in outlines),
            {k: PortPlace(x, y, angle, 0.5, 0) for k, (x, y, angle) in ports.items()},
            variables, np.full((1, 1, 1, 3, 3), 0.3 + 0j), 0.01, True, {}, {}, {},
        ).save(tmp_path / f"{name}.json")  # fmt: skip
        return FreeForm.on(soi220, file=str(tmp_path / f"{name}.json"))

    return made


@pytest.fixture
def compare(tmp_path, soi220):
    """LVS of a chip with a device: two of it, port o1 on o1, the outputs of the first one routed to guides."""

    def found(one, change=None, links=None):
        chip = Circuit(
            {"first": one, "second": one, "a": Straight.on(soi220), "b": Straight.on(soi220)},
            (("first,o2", "a,o1"), ("first,o3", "b,o1"), ("first,o1", "second,o1")),
            (("a", "a,o2"), ("b", "b,o2"), ("c", "second,o2"), ("d", "second,o3")),
            Plan(
                (
                    ("first", Placement(0.0, 0.0, rotation=90.0, mirror=True)),
                    ("a", Placement(60.0, 80.0)),
                    ("b", Placement(-60.0, 80.0, rotation=180.0)),
                )
            ),
        )
        made = chip.assembled(soi220)
        mask = canonical(made.component, "chip")
        if change is not None:
            index = mask.layer(*GUIDE)
            guides = db.Region(mask.top_cell().begin_shapes_rec(index)).merged()
            mask.flatten(mask.top_cell().cell_index(), -1, True)
            mask.top_cell().shapes(index).clear()
            mask.top_cell().shapes(index).insert(change(guides))
        mask.write(str(tmp_path / "mask.gds"))
        segments, lengths = drawing.segments(made.component), assembly.routed(chip, made).paths(soi220)
        drawn = canonical(made.component, "chip")
        if links is not None:
            segments, drawn = links(segments), mask
        return lvs(tmp_path / "mask.gds", drawn, (GUIDE,), METAL, segments, lengths, {})

    return found


def um(left, bottom, right, top):
    return db.Region(db.DBox(left, bottom, right, top).to_itype(0.001))


def asked(report):
    """(what check failed, of which segments), beside the comparison of shapes, which sees every change."""
    return [(f.check, f.message) for f in report.errors if f.check != "shape"]


@pytest.mark.parametrize("name", SHAPES)
def test_a_correct_chip_passes(device, compare, name):
    """Turned and mirrored, and two devices at each other's port."""
    report = compare(device(SHAPES[name]))
    assert report.passed, report.text()


def test_each_piece_is_a_segment_with_its_ports(device, soi220):
    """Ports by what the outlines say; an island's plane lies on its outline and looks away from it."""
    of = lambda name: list(drawing.segments(layout.build(device(SHAPES[name], name), soi220)).values())
    at = lambda planes: {(x, y) for x, y, *_ in planes}
    west, east = {(-2.0, 0.0)}, {(2.0, 0.75), (2.0, -0.75)}
    assert [at(planes) for planes in of("one piece")] == [west | east]
    assert sorted(map(len, map(at, of("gap")))) == [1, 2]
    assert {frozenset(at(p)) for p in of("gap")} == {frozenset(west), frozenset(east)}
    islands = [planes for planes in of("islands") if not at(planes) & west]
    assert len(islands) == 3
    polygons = [db.DPolygon([db.DPoint(*p) for p in outline]) for outline in ISLANDS]
    for ((x, y, angle, _),) in islands:
        out = 0.003 * np.exp(1j * np.deg2rad(angle))
        points = [db.DPoint(x + s * out.real, y + s * out.imag) for s in (-1, 1)]
        assert [any(polygon.inside(point) for polygon in polygons) for point in points] == [True, False]


def test_ports_that_are_swapped_are_found(device, compare):
    """The mask leads o2 to a and o3 to b; the circuit asks for o2 to b and o3 to a. The drawing cannot tell: it is the
    mask."""

    def swapped(segments):
        (first, a), (second, b) = segments["route_first_o2/guide"], segments["route_first_o3/guide"]
        return {**segments, "route_first_o2/guide": (first, b), "route_first_o3/guide": (second, a)}

    report = compare(device(SHAPES["islands"]), links=swapped)
    assert {check for check, _ in asked(report)} == {"connection"}
    text = report.text()
    assert "route_first_o2/guide: its ends are not joined on the mask" in text
    assert "route_first_o3/guide: its ends are not joined on the mask" in text


def test_opens_shorts_and_strangers_are_found(device, compare):
    """The first device lies with x upwards and y to the right: o2 at (0.75, 2), o3 at (-0.75, 2)."""
    one, gap = device(SHAPES["islands"]), device(SHAPES["gap"], "gap")
    (check, message), *_ = asked(compare(one, lambda g: g + um(-0.75, 2.5, 0.75, 2.6)))
    assert check == "connection"
    assert "route_first_o2/guide, route_first_o3/guide are one piece" in message
    (check, message), *_ = asked(compare(one, lambda g: g - um(0.3, 3.0, 1.2, 3.1)))
    assert check == "connection"
    assert "route_first_o2/guide: its ends are not joined" in message
    (check, message), *_ = asked(compare(gap, lambda g: g + um(-0.1, -1.0, 0.1, -0.5)))
    assert check == "connection"
    assert "first/body0, first/body1 are one piece" in message
    (check, message), *_ = asked(compare(one, lambda g: g - um(1.1, 0.2, 1.9, 1.0)))  # the round island
    assert check == "connection"
    assert "first/body" in message
    assert "no waveguide at its end" in message
    (check, _), *others = asked(compare(one, lambda g: g + um(3.0, 0.0, 3.2, 0.2)))
    assert (check, others) == ("stranger", [])
    (check, message), *_ = asked(compare(one, lambda g: g - um(0.5, 1.0, 0.6, 1.1)))
    assert check == "body"
    assert "first/body" in message


def test_a_file_that_changes_is_refused(device, soi220):
    """By what was made before; what is made now takes it as it is."""
    old = device(SHAPES["gap"])
    assert len(old.sha256) == 16
    assert device(SHAPES["gap"]) == old
    assert FreeForm.on(soi220, **old.settings()) == old
    chip = Circuit({"one": old})
    new = device(SHAPES["one piece"])
    assert new.file == old.file
    assert new.sha256 != old.sha256
    for use in (
        lambda: old.saved,
        lambda: old.model(1.55, soi220),
        lambda: layout.build(old, soi220),
        lambda: FreeForm.on(soi220, **old.settings()),
        lambda: chip.assembled(soi220),
    ):
        with pytest.raises(SpecError, match="another one than it was") as told:
            use()
        assert told.value.got == f"sha256 {new.sha256}"
        assert told.value.allowed == old.sha256
    assert len(drawing.segments(layout.build(new, soi220))) == 1


def test_the_digest_is_taken_once(device, soi220, monkeypatch):
    one, taken = device(SHAPES["gap"], "read_once"), []
    monkeypatch.setattr(free_form, "digest", taken.append)
    assert one.saved is load_saved(one.file)
    assert FreeForm.on(soi220, file=one.file) == one
    assert taken == []


def test_gdsfactory_takes_another_file_than_the_default(device, soi220):
    other = device(SHAPES["gap"])
    drawn = soi220.pdk().get_component("free_form", file=other.file)
    assert {port.name for port in drawn.ports} == {"o1", "o2", "o3"}
    assert drawn.dbbox().width() == pytest.approx(4.0)
