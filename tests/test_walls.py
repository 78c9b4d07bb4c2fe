"""Walls that move: distances and bends against closed forms, their slopes against finite differences."""

import numpy as np
import pytest
from test_raster import area, box

from picq.inverse.grid import Box
from picq.inverse.shape import refined
from picq.inverse.walls import Walls

REGION = Box(-1.0, -1.0, 1.0, 1.0)


def circle(radius: float, n: int = 120) -> np.ndarray:
    """Anticlockwise; clockwise for a negative radius, as holes are."""
    angles = 2 * np.pi * np.arange(n) / n * np.sign(radius)
    return abs(radius) * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def walls(*outlines: np.ndarray, **more) -> Walls:
    return Walls(list(outlines), REGION, 0.1, **more)


def shifted(before: Walls, shifts: np.ndarray) -> Walls:
    return Walls(before.moved(shifts), REGION, 0.1, before.symmetries)


def test_a_field_of_one_moves_walls_by_one_and_none_on_the_border():
    ring = walls(circle(0.5), circle(-0.3))
    even = np.ones(ring.basis.shape[1])
    grown = ring.moved(0.01 * even)
    for outline, radius in zip(grown, (0.51, 0.29), strict=True):
        assert np.hypot(*outline.T) == pytest.approx(radius, abs=2e-5)  # mitres at 3 degrees
    bar = walls(refined(box(-1.5, -0.2, 1.5, 0.2), 0.05))
    moved = np.concatenate(bar.moved(np.full(bar.basis.shape[1], 0.01))) - bar.vertices
    x = bar.vertices[:, 0]
    sides = np.abs(np.abs(bar.vertices[:, 1]) - 0.2) < 1e-9
    want = 0.01 * np.clip((1 - np.abs(x)) / 0.1, 0, 1)  # falls to none at the border over one pitch
    assert np.abs(np.hypot(*moved.T) - want)[sides].max() < 1e-9


def test_symmetric_fields_keep_outlines_symmetric():
    one = walls(circle(0.5), symmetries=("y",))
    shifts = np.random.default_rng(0).normal(size=one.basis.shape[1])
    radii = np.hypot(*one.moved(1e-3 * shifts)[0].T)
    assert radii[1:] == pytest.approx(radii[1:][::-1], abs=1e-9)
    assert np.ptp(radii) > 1e-3
    assert one.basis.shape[1] < walls(circle(0.5)).basis.shape[1]


def test_what_is_held_stays():
    held = walls(circle(0.5), held=[Box(0.0, -1.0, 1.0, 1.0)])
    moved = np.hypot(*(held.moved(np.full(held.basis.shape[1], 0.01))[0] - held.outlines[0]).T)
    right = held.vertices[:, 0] >= 0
    assert not moved[right].any()
    assert moved[~right & (held.vertices[:, 0] < -0.1)] == pytest.approx(0.01, rel=1e-3)


def test_distances_are_those_of_bars_and_rings():
    bars = walls(refined(box(-0.8, -0.2, 0.8, 0.0), 0.05), refined(box(-0.8, 0.15, 0.8, 0.4), 0.05))
    solid, void = bars.gaps(0.3, True, 70.0), bars.gaps(0.3, False, 70.0)
    assert sorted({round(d, 9) for d in solid.distance}) == [0.2, 0.25]
    assert {round(d, 9) for d in void.distance} == {0.15}
    assert np.abs(np.abs(bars.vertices[void.vertex, 1] - 0.075) - 0.075).max() < 1e-12  # walls of the gap only
    ring = walls(circle(0.5), circle(-0.3))
    assert ring.gaps(0.3, True, 70.0).distance == pytest.approx(0.2, abs=5e-4)
    # across the hole, the nearest wall that faces within 70 degrees is where the circle has turned by 110
    across = ring.gaps(0.7, False, 70.0)
    assert across.distance == pytest.approx(0.6 * np.sin(np.deg2rad(55)), rel=0.03)
    assert set(across.vertex) == set(range(120, 240))


def test_bends_have_room_up_to_the_radius():
    for radius, room in ((0.2, True), (0.06, False)):
        bends = walls(circle(radius, 1200), circle(-radius / 2)).bends(0.1, 0.05)
        rise = lambda r, chord: r - np.sqrt(r**2 - chord**2 / 4)
        solid = bends.distance[:1200]
        assert np.all(solid > 0) == room
        chord = 2 * radius * np.sin(0.03 / radius)  # arcs of 0.6 of the smaller radius to both sides
        assert solid == pytest.approx(rise(0.1, chord) - rise(radius, chord), rel=0.05)
    both = walls(circle(0.2), circle(-0.04)).bends(0.1, 0.05).distance
    assert both[:120].min() > 0  # the hole is bent too much
    assert both[120:].max() < 0


@pytest.mark.parametrize("what", ["solid", "void", "bends"])
def test_slopes_are_those_of_finite_differences(what):
    rng = np.random.default_rng(1)
    angles = 2 * np.pi * np.arange(100) / 100
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    wave = lambda r, k, p: (r + 0.02 * np.cos(k * angles + p))[:, None] * unit
    begun = walls(wave(0.6, 3, 0.3), wave(0.35, 4, 1.0)[::-1])
    of = lambda w: w.bends(0.1, 0.1) if what == "bends" else w.gaps(0.8, what == "solid", 60.0)
    way = rng.normal(size=begun.basis.shape[1])
    h = 1e-6
    here, plus, minus = of(begun), of(shifted(begun, h * way)), of(shifted(begun, -h * way))
    want = (plus.distance - minus.distance) / (2 * h)
    assert np.array_equal(plus.vertex, here.vertex)
    assert np.array_equal(minus.vertex, here.vertex)
    assert here.slope @ way == pytest.approx(want, abs=1e-5 * np.abs(way).max())


def test_pulled_slopes_are_those_of_the_chain_rule():
    one = walls(circle(0.5))
    way = np.random.default_rng(2).normal(size=one.basis.shape[1])
    h, weights = 1e-6, np.array([0.3, -0.8])
    centre = lambda outline: area(outline) + outline.sum(axis=0) @ weights
    slopes = np.zeros((1, *one.vertices.shape))
    for place in np.ndindex(one.vertices.shape):
        unit = np.zeros(one.vertices.shape)
        unit[place] = h
        slopes[0][place] = (centre(one.vertices + unit) - centre(one.vertices - unit)) / (2 * h)
    want = (centre(one.moved(h * way)[0]) - centre(one.moved(-h * way)[0])) / (2 * h)
    assert (one.pulled(slopes) @ way)[0] == pytest.approx(want, rel=1e-6)
