"""Outlines of fields against closed forms; joints with guides; what is refused."""

from collections import Counter

import klayout.db as kdb
import numpy as np
import pytest

from picq.errors import SpecError
from picq.inverse.contour import as_written, joined, layout, on_mask, outline, outlines
from picq.inverse.density import Density, margin
from picq.inverse.grid import Box
from picq.inverse.lengthscale import half_plane

BOX = Box(-0.8, -0.8, 0.8, 0.8)
FINE = 1e-5  # um: snapping that is below what is measured


def centres(step: float, box: Box = BOX, m: int = 3) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(round((box.right - box.left) / step) + 2 * m) - m + 0.5
    y = np.arange(round((box.top - box.bottom) / step) + 2 * m) - m + 0.5
    return np.meshgrid(box.left + x * step, box.bottom + y * step, indexing="ij")


def circle(step: float, radius: float = 0.5) -> np.ndarray:
    """0.5 at ``radius`` about a point off the grid, slope 1 per um inwards."""
    x, y = centres(step)
    return 0.5 + radius - np.hypot(x - 0.0123, y + 0.0071)


def test_a_circle_converges_with_the_square_of_the_step() -> None:
    lack = []
    for step in (0.04, 0.02, 0.01):
        region = outline(circle(step), step, BOX, dbu=FINE, tolerance=0)
        (ring,) = outlines(region, FINE)
        radii = np.hypot(ring[:, 0] - 0.0123, ring[:, 1] + 0.0071)
        # f'' = 1 / r at most, and f' = 1: step^2 / (8 r) on lines of the grid
        assert np.max(np.abs(radii - 0.5)) < step**2 / 4 + 2 * FINE
        lack.append(np.pi * 0.25 - region.area() * FINE**2)
        assert lack[-1] > 0  # chords lie inside
    assert np.log2(lack[0] / lack[1]) == pytest.approx(2, abs=0.1)
    assert np.log2(lack[1] / lack[2]) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("tolerance", [0.0002, 0.0005, 0.002])
def test_simplified_outlines_stay_within_the_tolerance(tolerance: float) -> None:
    whole, simple = (outline(circle(0.01), 0.01, BOX, dbu=FINE, tolerance=t) for t in (0, tolerance))
    steps = round(tolerance / FINE) + 2
    assert (simple - whole.sized(steps)).is_empty()
    assert (whole - simple.sized(steps)).is_empty()
    vertices = [len(outlines(region)[0]) for region in (whole, simple)]
    assert vertices[1] < vertices[0] / 2
    # an inscribed arc of height t lacks 2/3 t along the circumference
    assert 0 < (whole.area() - simple.area()) * FINE**2 < 2 / 3 * tolerance * np.pi * 1.01


@pytest.mark.parametrize("radius", [0.09, 0.15])
@pytest.mark.parametrize("angle", [0.0, 0.2, np.pi / 4, 1.3])
@pytest.mark.parametrize("dbu", [FINE, 0.001])
def test_straight_edges_lie_where_they_are(radius: float, angle: float, dbu: float) -> None:
    place, normal = 0.00371, np.array([np.cos(angle), np.sin(angle)])
    x, y = centres(0.02)
    field = np.asarray(half_plane(np.clip((place - x * normal[0] - y * normal[1]) / radius, -1, 1)))
    points = np.concatenate(outlines(outline(field, 0.02, BOX, dbu=dbu, tolerance=0), dbu))
    points = points[(np.abs(points) < 0.7999).any(axis=1)]  # but for the box's corners
    off = np.abs(points @ normal - place)
    edge = off[off < 0.01]
    assert len(edge) >= 2
    assert edge.max() < 0.0001 + dbu  # half a database unit along x and y, once for the contour and once for the cut


def test_rings_have_holes_and_solid_lies_on_the_left() -> None:
    x, y = centres(0.02)
    r = np.hypot(x, y)
    region = outline(0.55 - np.abs(r - 0.5), 0.02, BOX, level=0.4)
    hull, hole = outlines(region)
    signed = lambda ring: 0.5 * np.sum(ring[:, 0] * np.roll(ring[:, 1], -1) - ring[:, 1] * np.roll(ring[:, 0], -1))
    assert signed(hull) == pytest.approx(np.pi * 0.65**2, rel=2e-3)
    assert signed(hole) == pytest.approx(-np.pi * 0.35**2, rel=4e-3)
    assert region.area() * 1e-6 == pytest.approx(signed(hull) + signed(hole), abs=1e-6)  # KLayout counts whole units


@pytest.mark.parametrize("step", [0.01, 0.02])
@pytest.mark.parametrize("width", [0.45, 0.446, 0.454])
def test_guides_that_go_on_join_flush(step: float, width: float) -> None:
    """A bar through the region, of pixels that its edges cut, is one rectangle with the guides."""
    n, m = round(1.6 / step), margin(0.15, step)
    y = (np.arange(n + 2 * m + 2) - m - 0.5) * step - 0.8
    bar = np.ones((n + 2 * m + 2, 1)) * np.clip((width / 2 - np.abs(y)) / step + 0.5, 0, 1)
    field = Density((n + 2, n + 2), step, 0.15, bar).filtered(bar[m:-m, m:-m]).value
    guides = [Box(-1.1, -width / 2, -0.8, width / 2), Box(0.8, -width / 2, 1.1, width / 2)]
    region = outline(field, step, BOX, guides=guides)
    assert (region ^ kdb.Region(on_mask(Box(-1.1, -width / 2, 1.1, width / 2)))).is_empty()


def test_snapped_to_the_grid_and_cut_at_the_box() -> None:
    region = outline(circle(0.02, radius=1.0), 0.02, BOX, dbu=0.005)
    points = np.concatenate(outlines(region, 0.005)) / 0.005
    assert np.max(np.abs(points - np.round(points))) < 1e-9
    assert region.bbox() == on_mask(BOX, 0.005)


def test_corners_that_touch_are_joined() -> None:
    squares = kdb.Region(kdb.Box(0, 0, 100, 100)) + kdb.Region(kdb.Box(100, 100, 200, 200))
    region = joined(squares, kdb.Box(0, 0, 200, 200))
    assert region.count() == 1
    assert region.area() - 20000 == 2 * 2 * 2  # two quarters of the square of 4 are void
    visits = Counter((p.x, p.y) for polygon in region.each() for p in polygon.each_point_hull())
    assert max(visits.values()) == 1


def test_layout_holds_the_region() -> None:
    region = outline(circle(0.02), 0.02, BOX)
    found = layout(region, (3, 0))
    (cell,) = found.top_cells()
    assert found.dbu == 0.001
    assert (kdb.Region(cell.shapes(found.layer(3, 0))) ^ region).is_empty()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"field": np.ones((80, 80))}, "does not fit around"),
        ({"field": np.ones((86, 84))}, "does not fit around"),
        ({"field": np.ones(86)}, "does not fit around"),
        ({"field": np.full((86, 86), np.nan)}, "not finite"),
        ({"field": np.zeros((86, 86))}, "nothing is solid"),
        ({"box": Box(-0.8, -0.8, 0.8005, 0.8)}, "whole number of pixels"),
        ({"box": Box(-0.8004, -0.8, 0.7996, 0.8)}, "off the mask's grid"),
        ({"guides": [Box(-1.1, -0.2004, -0.8, 0.2)]}, "off the mask's grid"),
        ({"guides": [Box(-0.8, -0.2, -1.1, 0.2)]}, "off the mask's grid"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"step": 0.0}, "step"),
    ],
)
def test_refused(change: dict, message: str) -> None:
    settings = {"field": circle(0.02), "step": 0.02, "box": BOX, **change}
    with pytest.raises(SpecError, match=message):
        outline(**settings)


def test_what_a_mask_file_holds_of_a_hole() -> None:
    """The cut to a hole meets this wall between two points of the grid: a file written and read is another polygon."""
    wall = kdb.Polygon([kdb.Point(-1000, -1000), kdb.Point(-337, 1000), kdb.Point(1000, 1000), kdb.Point(1000, -1000)])
    wall.insert_hole([kdb.Point(*p) for p in ((0, 0), (0, 101), (103, 101), (103, 7))])
    region, frame = kdb.Region(wall), kdb.Box(-1000, -1000, 1000, 1000)
    written = as_written(region, frame)
    assert 0 < (written ^ region).area() < 2000  # um * nm: half a database unit along the wall at most
    assert (as_written(written, frame) ^ written).is_empty()
    file = layout(written, (1, 0)).write_bytes(kdb.SaveLayoutOptions())
    back = kdb.Layout()
    back.read_bytes(file)
    assert (kdb.Region(back.top_cell().begin_shapes_rec(back.layer(1, 0))).merged() ^ written).is_empty()
    beyond = kdb.Region(kdb.Box(900, -200, 3000, 200))  # guides stay as they are
    assert (as_written(region + beyond, frame) & beyond ^ beyond).is_empty()
