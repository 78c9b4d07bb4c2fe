"""Outlines on the grid: widths that were asked for, straights without length, guides joined from two halves."""

import numpy as np
import pytest

from picq.errors import LayoutError
from picq.outline import Walls, arc


def naive_errors(start, end, width):
    """Errors in width, nm, at both ends of a straight whose four corners are rounded each for itself."""
    along = (end - start) / np.hypot(*(end - start))
    normal = np.array([-along[1], along[0]])
    corners = [np.round(1e3 * (p + side * normal * width / 2)) for p in (start, end) for side in (1, -1)]
    return [(corners[i] - corners[i + 1]) @ normal - 1e3 * width for i in (0, 2)]


@pytest.mark.parametrize("width", [0.5, 0.8, 1.0])
def test_straights_have_the_width_that_was_asked_for_however_they_slant(width):
    """200 slants as of arms, up to 0.33 rad off the vertical. Walls are parallel on the grid; measured: 0.022 nm rms,
    and 0.10 nm at worst, near slopes of 1/4 and 1/3 where whole-number vectors lie in rows 1/sqrt(17), 1/sqrt(10) nm
    apart: half of the latter is the bound. Corners rounded each for itself: 0.4 nm rms."""
    rng = np.random.default_rng(1)
    errors, naive = [], []
    for _ in range(200):
        angle, length, start = rng.uniform(-0.33, 0.33), rng.uniform(20, 400), rng.uniform(-200, 200, 2)
        end = start + length * np.array([np.sin(angle), np.cos(angle)])
        walls = Walls()
        walls.run(start, end, width)
        left, right = np.array(walls.left), np.array(walls.right)
        move = left[1] - left[0]
        assert (right[1] - right[0] == move).all()
        apart = left[0] - right[0]
        errors.append((apart[1] * move[0] - apart[0] * move[1]) / np.hypot(*move) - 1e3 * width)
        naive += naive_errors(start, end, width)
        np.testing.assert_allclose((left + right) / 2e3, [start, end], rtol=0, atol=1.5e-3)  # two roundings each
    rms = np.sqrt(np.mean(np.square(errors)))
    assert rms < 0.03
    assert np.abs(errors).max() < 0.5 / np.sqrt(10) + 0.001
    assert np.sqrt(np.mean(np.square(naive))) > 10 * rms


def test_a_straight_without_length_is_refused():
    with pytest.raises(LayoutError, match="no length"):
        Walls().run(np.array([1.0, 2.0]), np.array([1.0002, 2.0]), 0.5)


def half_guide(turn):
    """A slanted straight, an arc and a cut across a horizontal guide; ``turn``: to the left or to the right."""
    walls, slant = Walls(), np.array([0.28, 0.96])
    walls.run(np.zeros(2), 30 * slant, 0.8)
    heading = np.arctan2(slant[1], slant[0])
    points, tangents = arc(30 * slant, heading, np.pi - heading if turn > 0 else -heading, 10.0)
    walls.curve(points[1:-1], tangents[1:-1], 0.8)
    height, side = round(float(points[-1][1]), 3), -1 if turn > 0 else 1
    walls.square((side * 60.0, height), (side, 0), 0.8)
    return walls, height


def enclosed(polygon):
    x, y = polygon.T
    return abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2


@pytest.mark.parametrize("flip", [(-1, 1), (1, -1)])
def test_joined_guides_are_each_others_mirror_images(flip):
    """Corner by corner on the grid, the cut where they meet once, and the outline encloses what both enclose."""
    near, height = half_guide(-1)
    other, level = half_guide(-1 if flip[0] < 0 else 1)
    place = (120.0, height - flip[1] * level)
    whole = near.joined(other, place, flip)
    mirrored = lambda wall: [(120000 + flip[0] * x, round(1e3 * place[1]) + flip[1] * y) for x, y in wall]
    assert whole.left == near.left + mirrored(other.left)[-2::-1]
    assert whole.right == near.right + mirrored(other.right)[-2::-1]
    total = enclosed(near.polygon()) + enclosed(other.polygon())
    assert enclosed(whole.polygon()) == pytest.approx(total, abs=1e-9)
    assert near.left[-1] == mirrored(other.left)[-1]
    assert near.right[-1] == mirrored(other.right)[-1]
