"""Length scales of filtered densities: half planes, bars and gaps against closed forms; what is too narrow is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from densities import R, bar, free
from scipy.integrate import quad
from scipy.optimize import brentq

from picq.errors import SpecError
from picq.inverse.density import Filtered, margin, smoothed_projection
from picq.inverse.lengthscale import crest, crests, etched, half_plane, level, violation

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("u", [-1.0, -0.3, 0.0, 1e-12, 0.5, 0.999])
def test_filtered_half_plane_is_the_cone_in_circles(u):
    def arc(r):  # share of a circle about the point that lies within the half plane
        return 1 - np.arccos(np.clip(u / r, -1, 1)) / np.pi

    expected = quad(lambda r: 6 * r * (1 - r) * arc(r), 0, 1, points=[abs(u)] if 0 < abs(u) < 1 else None)[0]
    assert half_plane(u) == pytest.approx(expected, abs=1e-9)


def test_slope_of_the_half_plane():
    slope = lambda u: 3 / np.pi * quad(lambda v: 2 * (1 - np.hypot(u, v)), 0, np.sqrt(1 - u**2))[0]
    for u in (-0.4, 0.0, 0.7):
        assert jax.grad(half_plane)(u) == pytest.approx(slope(u), abs=1e-9)


@pytest.mark.parametrize("bias", [0.01, 0.03, 0.06, 0.1])
def test_bars_shrink_and_grow_by_the_etch_bias(bias):
    """Two edges, each wrong by less than 4 % of a pixel: the central difference takes slopes over two pixels."""
    step = 0.01
    d, _ = bar(0.6, step)
    m = margin(R, step)
    latent = np.repeat(d.surroundings[m:-m, :1], 20, 1)  # the bar itself
    fields = jax.jit(lambda b: d.projected(latent, np.inf, etched(b, R)))(bias)
    widths = np.asarray(jnp.sum(fields, axis=1)[:, 0]) * step
    assert np.allclose(widths, 0.6 + np.array([-2, 0, 2]) * bias, atol=0.08 * step)
    grow = jax.jit(jax.grad(lambda b: jnp.sum(d.projected(latent, jnp.inf, level(b, R))[:, 0]) * step))
    assert grow(bias) == pytest.approx(2, rel=0.03)


def test_levels_are_symmetric_and_ordered():
    eroded, nominal, dilated = etched(0.04, R)
    assert eroded > nominal == 0.5 > dilated
    assert eroded + dilated == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("length", [0.05, 0.1, 0.15, 0.22])
def test_crest_is_that_of_the_bar_of_this_width(length):
    step = 0.005
    width = lambda latent: float(jnp.sum(smoothed_projection(bar(latent, step)[1], step, np.inf)[:, 0])) * step
    latent = float(brentq(lambda w: width(w) - length, 0.0885, 0.3, xtol=1e-5))  # pyright: ignore[reportArgumentType]
    top = float(jnp.max(bar(latent, step)[1].value))
    assert crest(length, R) == pytest.approx(top, abs=3e-3)  # the highest centre lies half a pixel off the crest


def test_crest_at_the_radius():
    assert crest(R, R) == pytest.approx(2 * float(half_plane(0.5)) - 1)
    assert crest(R * (1 - 1e-7), R) == pytest.approx(crest(R, R), abs=1e-6)
    assert crest(1e-9, R) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("length", [0.1, 0.15, 0.2])
def test_narrow_bars_and_gaps_are_found(length, invert):
    """Violated below the length, met from 4 % above on; the level of one dimension would let bars of 0.94 pass."""
    step = 0.01

    def at(latent):
        _, f = bar(latent, step, invert=invert)
        density = smoothed_projection(f, step, np.inf)
        found = violation(f, density, crests(length, length, R), R)
        width = float(jnp.sum(1 - density if invert else density)) * step / 20
        return width / length, float(found.void if invert else found.solid)

    narrow = 0.091 if length < R else 0.9 * length
    for latent in np.linspace(narrow, 1.6 * length, 12):
        width, found = at(latent)
        if width < 1:
            assert found > 3
        elif width > 1.04:
            assert found < 0.1
    assert at(narrow)[0] < 1
    assert at(narrow)[1] > 100


def test_solid_and_void_are_each_other_inverted():
    d = free(around=0.5)
    f = d.filtered(RNG.random(d.shape))
    density = smoothed_projection(f, d.step, 32.0)
    one = violation(f, density, crests(0.08, 0.08, d.radius), d.radius)
    other = violation(Filtered(1 - f.value, -f.gradient), 1 - density, crests(0.08, 0.08, d.radius), d.radius)
    assert one.solid == pytest.approx(float(other.void), rel=1e-12)
    assert one.solid > 1
    assert one.solid != pytest.approx(float(one.void), rel=1e-3)


def test_gradient_of_the_violation():
    d = free((20, 20), around=0.5)
    latent, along = 0.1 + 0.8 * RNG.random(d.shape), RNG.standard_normal(d.shape)

    def score(latent):
        f = d.filtered(latent)
        return jnp.log(sum(violation(f, smoothed_projection(f, d.step, 32.0), crests(0.08, 0.08, d.radius), d.radius)))

    slope = jnp.vdot(jax.jit(jax.grad(score))(latent), along)
    assert slope == pytest.approx(float(score(latent + 1e-6 * along) - score(latent - 1e-6 * along)) / 2e-6, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: level(R, R), "etch bias"),
        (lambda: etched(-0.2, R), "etch bias"),
        (lambda: crests(0.03, 0.1, R), "0.0375 to 0.225 um"),
        (lambda: violation(bar(0.4, 0.02)[1], np.zeros((3, 3)), crests(0.1, 0.1, R), R), "differ"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(SpecError, match=words):
        make()
