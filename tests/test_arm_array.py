"""Arms with uprights: lengths and places from geometry alone, for any recipe."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picq.optics.arm_array import Recipe, rectangular, s_shaped

SHAPES = {"rectangular": (rectangular, 13, (-1, 1)), "s_shaped": (s_shaped, 12, (1, -1))}
recipes = st.fixed_dictionaries(
    {
        "radius": st.floats(60, 400),
        "pitch": st.floats(1.5, 3.0),
        "taper": st.floats(5, 40),
        "arm_pitch": st.floats(5.0, 10.0),
        "bend": st.floats(5, 60),
        "step": st.sampled_from([0.0, 5.0]),
        "increment": st.floats(25, 120),
        "arc_ratio": st.floats(0.9, 1.1),
        "level": st.sampled_from([0.0, 150.0]),
        "level_pitch": st.floats(5.0, 30.0),
        "apart": st.sampled_from([0.0, 500.0]),
        "seed": st.integers(0, 99),
    }
)


def made(shape, values):
    build, count, flip = SHAPES[shape]
    offsets = jnp.asarray(np.random.default_rng(values["seed"]).uniform(-1, 1, count))
    own = {k: v for k, v in values.items() if k != "seed"}
    ratio = own.pop("arc_ratio")
    r = Recipe(count=count, offsets=offsets, reserve=2.0, arc_ratio=lambda curvature: ratio, **own)
    return r, jax.tree.map(np.asarray, build(r)), flip


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(values=recipes)
def test_paths_grow_by_the_increment_and_the_offsets(shape, values):
    """Lengths from places alone: aperture, (x, rise), height and the second star coupler's place; 1e-9 um: rounding."""
    r, arms, flip = made(shape, values)
    far = np.array(arms.far)
    angle = np.arcsin((np.arange(r.count) - (r.count - 1) / 2) * r.pitch / r.radius)
    path = 2 * values["arc_ratio"] * r.bend * np.abs(angle)
    height = arms.height, (arms.height - far[1]) * flip[1]
    for side in (0, 1):
        chord = 2 * r.bend * np.sin(angle / 2)  # of the arc, signed, along half the angle
        start = np.abs(chord) * np.array([np.sin(angle / 2), np.cos(angle / 2)])
        begin = np.stack([arms.x[side], arms.rise[side]]) - start
        path += np.hypot(*begin) - r.radius - r.taper + height[side] - r.bend - arms.rise[side]
    turn = 1 if shape == "s_shaped" else -1
    ends = arms.x[0] + turn * r.bend, far[0] + flip[0] * arms.x[1] - turn * r.bend
    path += turn * (ends[1] - ends[0])
    expected = r.increment * np.arange(r.count) + np.asarray(r.offsets)
    np.testing.assert_allclose(path - path[0], expected - expected[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(values=recipes)
def test_arms_close_between_the_star_couplers(shape, values):
    """Walked with the table's lengths from both apertures: arc, upright and level are met, and met again half-way."""
    r, arms, flip = made(shape, values)
    far, ends = np.array(arms.far), []
    theta = np.arcsin((np.arange(r.count) - (r.count - 1) / 2) * r.pitch / r.radius)
    np.testing.assert_allclose(arms.angle, theta, rtol=0, atol=1e-14)
    np.testing.assert_allclose(arms.arc, r.bend * np.abs(theta), rtol=0, atol=1e-12)
    place = (0j, complex(far[0], far[1]))
    for side in (0, 1):
        at = (r.radius + r.taper + arms.slant[side]) * np.exp(1j * (np.pi / 2 - theta))
        sense = np.sign(theta)  # the centre of the arc lies to the left of a path that leans to the right
        centre = at + 1j * sense * r.bend * np.exp(1j * (np.pi / 2 - theta))
        at = np.where(theta == 0, at, centre + sense * r.bend)
        np.testing.assert_allclose(at, arms.x[side] + 1j * arms.rise[side], rtol=0, atol=1e-9)
        turn = 1 if side == 0 and shape == "s_shaped" else -1
        at = at + 1j * (arms.upright[side] + r.bend) + turn * r.bend
        mapped = at if side == 0 else place[1] + flip[0] * at.real + 1j * flip[1] * at.imag
        ends.append(mapped)
    np.testing.assert_allclose(ends[0].imag, arms.height, rtol=0, atol=1e-9)
    forward = 1 if shape == "s_shaped" else -1
    np.testing.assert_allclose(ends[0] + forward * arms.level, ends[1], rtol=0, atol=1e-9)
    least = 2 * r.step + r.reserve - 1e-9
    assert arms.upright.min() >= least
    assert arms.level.min() >= max(least, 2 * r.step + r.level - 1e-9)
    if shape == "rectangular":
        assert -far[0] >= r.apart
