"""The canonical mask: bytes follow from geometry alone, and what is read back is what was drawn."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import gdsfactory as gf
import klayout.db as kdb
import pytest

from picq import layout
from picq.components import LatticeFilter, Straight
from picq.errors import LayoutError
from picq.signoff.mask import LONGEST_NAME, MOST_VERTICES, canonical, compare_masks, geometry_hash, write_mask


@pytest.fixture
def write(tmp_path):
    """Write a cell; gives (hashes, bytes of the GDSII file, bytes of the OASIS file)."""

    def write(source, name="Cell0_test"):
        gds, oas = tmp_path / "chip.gds", tmp_path / "chip.oas"
        hashes = write_mask(source, gds, oas, name)
        return hashes, gds.read_bytes(), oas.read_bytes()

    return write


def chip(tech, order=("lattice", "long", "short"), length=123.456):
    """A filter and two guides in fixed places, drawn in the given order."""
    parts = {
        "lattice": (LatticeFilter.on(tech, coupler_lengths=(15.0, 15.0), delays=(178.6,)), (0.0, 0.0)),
        "long": (Straight.on(tech, length=length), (-400.0, 300.0)),
        "short": (Straight.on(tech, length=12.0), (-400.0, 350.0)),
    }
    layout.pdk(tech).activate()
    c = gf.Component()
    for name in order:
        reference = c << layout.build(parts[name][0], tech)
        reference.move(parts[name][1])
    c.add_label("opt_in_TE_1550", position=(-400.0, 300.0), layer=tech.layer("label"))
    return c


def a_layout(*shapes, layer=(3, 0), dbu=0.001):
    drawn = kdb.Layout()
    drawn.dbu = dbu
    cell = drawn.create_cell("drawn")
    for shape in shapes:
        cell.shapes(drawn.layer(*layer)).insert(shape)
    return drawn


def test_build_order_and_cache_do_not_change_a_byte(soi220, write):
    first = write(chip(soi220))
    assert write(chip(soi220)) == first  # all cells cached
    assert write(chip(soi220, ("short", "lattice", "long"))) == first
    gf.clear_cache()
    for length in (7.0, 12.0):  # other cells come first and take the counters
        layout.build(Straight.on(soi220, length=length), soi220)
    assert write(chip(soi220, ("long", "short", "lattice"))) == first
    assert write(chip(soi220, length=123.457))[0] != first[0]


def test_another_process_writes_the_same_bytes(soi220, tmp_path, write):
    script = (
        "import jax, sys; jax.config.update('jax_enable_x64', True); sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from test_mask import chip; from picq.pdk import load\n"
        "from picq.signoff.mask import write_mask\n"
        "folder = Path(sys.argv[2])\n"
        "drawn = chip(load('soi220'), ('short', 'long', 'lattice'))\n"
        "write_mask(drawn, folder / 'a.gds', folder / 'a.oas', 'Cell0_test')"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "12345"})
    _, gds, oas = write(chip(soi220))
    assert (tmp_path / "a.gds").read_bytes() == gds
    assert (tmp_path / "a.oas").read_bytes() == oas


def test_hierarchy_is_kept_and_identical_cells_become_one(write):
    drawn = kdb.Layout()
    top = drawn.create_cell("Unnamed_17")
    for name in ("ring_b_R10", "ring_R10$1", "ring_a_R10"):
        cell = drawn.create_cell(name)
        cell.shapes(drawn.layer(3, 0)).insert(kdb.Box(0, 0, 5000, 500))
        top.insert(kdb.CellInstArray(cell.cell_index(), kdb.Trans(1000 * len(name), 0)))
    top.insert(kdb.CellInstArray(drawn.create_cell("nothing").cell_index(), kdb.Trans()))
    made = canonical(drawn, "Cell0_test")
    names = sorted(cell.name for cell in made.each_cell())
    assert [name.rsplit("_", 1)[0] for name in names] == ["Cell0", "ring"]
    assert sum(1 for _ in made.top_cell().each_inst()) == 3
    assert geometry_hash(made) == geometry_hash(drawn)


def test_names_and_polygons_keep_the_limits(write, tmp_path):
    x = range(0, 5 * MOST_VERTICES)
    comb = kdb.Polygon([kdb.Point(10 * i, 500 + i % 2) for i in x] + [kdb.Point(10 * i, 0) for i in (x[-1], 0)])
    drawn = a_layout(comb)
    cell = drawn.top_cell()
    cell.name = "a_very_long_name_of_words_that_goes_on_and_on_and_on"
    top = drawn.create_cell("top")
    top.insert(kdb.CellInstArray(cell.cell_index(), kdb.Trans()))
    write(drawn)
    for suffix in ("gds", "oas"):
        written = kdb.Layout()
        written.read(str(tmp_path / f"chip.{suffix}"))
        assert all(len(c.name) <= LONGEST_NAME for c in written.each_cell())
        shapes = [s for c in written.each_cell() for i in written.layer_indexes() for s in c.shapes(i).each()]
        counts = [shape.polygon.num_points() for shape in shapes]
        assert len(counts) >= 5
        assert max(counts) <= MOST_VERTICES
        assert kdb.Region(written.top_cell().begin_shapes_rec(written.layer(3, 0))).merged().area() == comb.area()


def test_no_metadata_no_time_no_context(soi220, write):
    _, gds, _ = write(chip(soi220))
    for forbidden in (b"kfactory", b"gdsfactory", b"KLAYOUT", b"$$$", b"lattice_filter_CL"):
        assert forbidden not in gds
    position, kinds = 0, set()
    while position < len(gds):
        length, kind = int.from_bytes(gds[position : position + 2]), gds[position + 2]
        if kind in (0x01, 0x05):  # BGNLIB, BGNSTR: the times of change and access
            assert set(gds[position + 4 : position + length]) == {0}
        kinds.add(kind)
        position += length
        if kind == 0x04:  # ENDLIB
            break
    assert kinds.isdisjoint({0x2B, 0x2C})  # PROPATTR, PROPVALUE


def test_a_moved_vertex_is_seen(tmp_path, write):
    points = [kdb.Point(0, 0), kdb.Point(0, 500), kdb.Point(9000, 500), kdb.Point(9000, 0)]
    moved = [*points[:2], kdb.Point(9000, 501), points[3]]
    drawn = canonical(a_layout(kdb.Polygon(points)), "Cell0_test")
    write(a_layout(kdb.Polygon(moved)))
    (told,) = compare_masks(tmp_path / "chip.gds", drawn)
    assert "layer 3/0 differs" in told
    assert compare_masks(tmp_path / "chip.oas", drawn)
    write(a_layout(kdb.Polygon(points)))
    assert compare_masks(tmp_path / "chip.gds", drawn) == ()
    assert compare_masks(tmp_path / "chip.oas", drawn) == ()


def test_texts_layers_and_top_cell_are_compared(tmp_path, write):
    box, text = kdb.Box(0, 0, 1000, 500), kdb.Text("in", kdb.Trans(0, 0))
    write(a_layout(box, text))
    there = tmp_path / "chip.gds"
    assert compare_masks(there, canonical(a_layout(box, text), "Cell0_test")) == ()
    assert compare_masks(there, canonical(a_layout(box, kdb.Text("out", kdb.Trans(0, 0))), "Cell0_test"))
    assert compare_masks(there, canonical(a_layout(box, kdb.Text("in", kdb.Trans(1, 0))), "Cell0_test"))
    assert compare_masks(there, canonical(a_layout(box, text, layer=(3, 1)), "Cell0_test"))
    assert compare_masks(there, canonical(a_layout(box, text), "Cell0_other"))
    (told,) = compare_masks(there, a_layout(box, text, dbu=0.005))[-1:]
    assert "database unit" in told


def test_mirrors_angles_and_arrays_survive(write, tmp_path):
    drawn = a_layout(kdb.Polygon([kdb.Point(0, 0), kdb.Point(100, 900), kdb.Point(2000, 0)]))
    cell, top = drawn.top_cell(), drawn.create_cell("top")
    top.insert(kdb.DCellInstArray(cell.cell_index(), kdb.DCplxTrans(1.0, 33.3, True, 5.0, 7.0)))
    turned, step = kdb.Trans(2, True, 50, 9000), (kdb.Vector(3000, 0), kdb.Vector(0, 2000))
    top.insert(kdb.CellInstArray(cell.cell_index(), turned, *step, 4, 3))
    hashes, _, _ = write(drawn)
    written = kdb.Layout()
    written.read(str(tmp_path / "chip.gds"))
    assert sum(1 for _ in written.top_cell().each_inst()) == 2
    assert hashes.geometry_sha256 == geometry_hash(written)
    flat = written.dup()
    flat.flatten(flat.top_cell().cell_index(), -1, True)
    assert geometry_hash(flat) == hashes.geometry_sha256


@pytest.mark.parametrize(
    ("make", "name", "told"),
    [
        (lambda: a_layout(kdb.Box(0, 0, 10, 10)), "Cell0 test", "name of the top cell"),
        (lambda: a_layout(kdb.Box(0, 0, 10, 10)), "C" * 33, "name of the top cell"),
        (lambda: a_layout(kdb.Box(0, 0, 10, 10), dbu=0.005), "Cell0_a", "another grid"),
        (lambda: a_layout(), "Cell0_a", "empty"),
        (lambda: a_layout(kdb.Path([kdb.Point(0, 0), kdb.Point(9, 0)], 0)), "Cell0_a", "no area"),
        (lambda: a_layout(kdb.Edge(0, 0, 9, 9)), "Cell0_a", "no area"),
    ],
)
def test_what_a_mask_cannot_hold_is_refused(make, name, told):
    with pytest.raises(LayoutError, match=told):
        canonical(make(), name)


def test_every_cell_of_a_long_list_has_its_own_name(write, tmp_path):
    drawn = kdb.Layout()
    top = drawn.create_cell("top")
    for i in range(300):
        cell = drawn.create_cell(f"straight_L{i}")
        cell.shapes(drawn.layer(3, 0)).insert(kdb.Box(0, 0, 1000 + i, 500))
        top.insert(kdb.CellInstArray(cell.cell_index(), kdb.Trans(0, 1000 * i)))
    made = canonical(drawn, "Cell0_test")
    names = [cell.name for cell in made.each_cell()]
    assert len(set(names)) == len(names) == 301
    digests = [name for name in names if name != "Cell0_test"]
    assert all(a < b for a, b in pairwise(digests))  # sorted by the hash of the content
