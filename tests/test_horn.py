"""Parabolic horns against closed forms, the exact solution of an expanding box and a staircase that radiates."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal, expm

from picq.optics import horn
from picq.optics.horn import parabolic
from picq.optics.multimode import Wall, cosine_transform, lateral_modes, side_wall
from picq.optics.taper import coupling

K = 2 * np.pi / 1.55
SILICON = Wall(*(jnp.array([v]) for v in (K, 2.849489, 1.0, 9.0, 9.28)))  # near a 220 nm silicon strip's
NITRIDE = Wall(*(jnp.array([v]) for v in (K, 1.883832, 1.0, 1.963, 5.095)))  # near an 800 nm nitride strip's
PARAXIAL = 1000.0
HARD = Wall(*(jnp.array([v]) for v in (PARAXIAL, 1.0, 1.0, 1.0, 1e5)))
ODD = 2 * np.arange(40) + 1
C01, C12 = 3 / 4, 15 / 8  # of w times the coupling between hard walls


def coupled(wall, width, count):
    return np.asarray(coupling(wall.spread, lateral_modes(wall.spread, width, np.arange(0, 2 * count, 2))))[0]


def local(wall, width, count, x):
    """Even modes on points x, positive in the middle, times the root of the wall's weight: [mode, x]."""
    modes = lateral_modes(wall.spread, width, np.arange(0, 2 * count, 2))
    q, g, scale, edge = (np.asarray(v)[0][:, None] for v in (modes.q, modes.g, modes.scale, modes.edge[0]))
    beyond = (-1.0) ** np.arange(count)[:, None] * edge * np.exp(-g * (np.abs(x) - width / 2))
    inside = np.abs(x) < width / 2
    return scale * np.where(inside, np.cos(q * x), beyond) * np.sqrt(np.where(inside, 1.0, float(wall.r[0])))


@pytest.mark.parametrize("wall", [SILICON, NITRIDE])
def test_coupling_is_what_moving_walls_do_to_the_modes(wall):
    """Differences over ± 4 nm by the midpoint rule, walls between its points. They cost (4 nm q)²/6, q up to 4/um, of
    0.5/um: 2e-5."""
    width, h, step = 4.0, 4e-3, 2e-4
    x = np.arange(0, 8, step) + step / 2
    low, high = (local(wall, width + s, 3, x) for s in (-h, h))
    overlap = 2 * step * low @ high.T  # of m before with n after
    got = coupled(wall, width, 3)
    np.testing.assert_allclose(got, (overlap.T - overlap) / (4 * h), atol=2e-5)
    np.testing.assert_allclose(got, -got.T, atol=1e-15)


def test_coupling_between_hard_walls():
    """The cosines' own integral; 2 depth/w = 1e-5 of it is the wall's."""
    width, h, n = 2.0, 1e-4, 2000
    x = (np.arange(n) + 0.5) / n * (width - h) / 2  # the midpoint rule, exact but for the strip h of zero fields
    low, high = (np.sqrt(2 / w) * np.cos(ODD[:4, None] * np.pi / w * x) for w in (width - h, width + h))
    overlap = low @ high.T * (width - h) / n
    got = coupled(HARD, width, 4)
    np.testing.assert_allclose(got, (overlap.T - overlap) / (4 * h), atol=1e-3)
    p, q = ODD[:4, None], ODD[:4]
    want = (-1.0) ** ((p - q) // 2) * 2 * p * q / np.where(p == q, 1, q**2 - p**2) / width * (p != q)
    np.testing.assert_allclose(got, want, rtol=4e-5)


@pytest.mark.parametrize("length", [0.0, 5.0, 50.0])
def test_power_is_kept(length):
    """An end of 3 um guides five even modes: nothing goes to spare ones."""
    assert float(jnp.linalg.norm(parabolic(SILICON, length, 3.0, 1.0, 5))) == pytest.approx(1.0, abs=1e-12)
    assert float(jnp.linalg.norm(parabolic(SILICON, length, 12.0, 1.0))) <= 1 + 1e-12


def test_rotation_is_the_exponential():
    """Padé's error is A^5/720, and 0.1 is more than any slice turns."""
    turn = 0.1 * np.array([[0.0, 1.0, -0.5], [-1.0, 0.0, 0.7], [0.5, -0.7, 0.0]])
    np.testing.assert_allclose(horn._rotation(jnp.asarray(turn)), expm(turn), atol=0.15**5 / 720)


@pytest.mark.parametrize("length", [4000.0, 8000.0, 16000.0])
def test_long_horns_are_adiabatic(length):
    """First order between hard walls: a_1 = i C/D (exp(-i D u) - 1) with u = ln(W/w0), and beats of D per unit of u
    that grow with the length. Second order turns mode 1 by C_12² u/(2 D), and mixes it with mode 2 by C_12/(2 D)."""
    low, high = 2.0, 6.0
    u, beat = np.log(high / low), 8 * np.pi**2 * length / PARAXIAL / (high**2 - low**2)
    got = np.asarray(parabolic(HARD, length, high, low))[0]
    first = 1j * C01 / beat * (np.exp(-1j * beat * u) - 1)
    assert abs(got[1] - first) < 2 * C01 / beat * (C12**2 * u + C12) / (2 * beat)
    assert abs(got[0]) ** 2 > 1 - 1.1 * (2 * C01 / beat) ** 2


@pytest.mark.parametrize("high", [3.0, 6.0])
def test_short_horns_are_butt_joints(high):
    """The two cosines' overlaps. What lies above the counted modes is not there, and at most that is missing."""
    want = np.asarray(2 / np.sqrt(2 * high) * cosine_transform(np.pi / 2, ODD * np.pi / high, 2.0))
    for count in (4, 8, 12):
        got = np.asarray(parabolic(HARD, 1e-6, high, 2.0, count))[0]
        np.testing.assert_allclose(got, want[:count], atol=float(np.linalg.norm(want[count + horn._SPARE :])))


@pytest.mark.parametrize("length", [200.0, 700.0, 2000.0, 5000.0])
def test_horn_is_the_expanding_box(length):
    """Exact where paraxial: over x/w, less a lens, the box rests in a constant inverted parabola (Berry & Klein,
    J. Phys. A 17, 1805 (1984)). On a grid, without local modes. 2e-3: what 128 slices and 20 modes leave."""
    low, high, n = 2.0, 6.0, 1500
    c = (high**2 - low**2) / (2 * length)
    xi = (np.arange(n) + 0.5) / (2 * n)
    stiff = 1 / (2 * PARAXIAL) * (2 * n) ** 2
    diagonal = stiff * np.r_[1.0, np.full(n - 2, 2.0), 3.0] - PARAXIAL / 2 * (c * xi) ** 2
    energy, states = eigh_tridiagonal(diagonal, np.full(n - 1, -stiff))
    lens, modes = np.exp(0.5j * PARAXIAL * c * xi**2), np.sqrt(2) * np.cos(ODD[:4, None] * np.pi * xi)
    s = np.log(high / low) / c
    end = lens * (states @ (np.exp(-1j * energy * s) * (states.T @ (modes[0] / lens))))
    want = modes @ end / n * np.exp(0.5j * np.pi**2 / PARAXIAL * s)
    np.testing.assert_allclose(np.asarray(parabolic(HARD, length, high, low, 16))[0, :4], want, atol=2e-3)


def staircase(wall, length, width, access_width, cell):
    """Amplitudes of the first four modes, and the norm of all that is guided, by steps of guides in a wide box.

    Finite volumes; the root of the weight times the field is continuous at steps. What radiates is absorbed aside."""
    k, n_film, _, r, v = (float(leaf[0]) for leaf in wall)
    x = (np.arange(round(5.0 / cell)) + 0.5) * cell
    absorb = 3 * np.clip((x - 3.5) / 1.5, 0, 1) ** 2
    walls = np.arange(round(access_width / 2 / cell), round(width / 2 / cell) + 1)
    squares = np.clip((2 * cell * np.r_[walls[0], walls[1:] - 0.5, walls[-1]]) ** 2, access_width**2, width**2)
    steps = length * np.diff(squares) / (width**2 - access_width**2)
    field = None
    for at, dz in zip(walls, steps, strict=True):
        inside = np.arange(len(x)) < at
        eta = np.where(inside, 1.0, r)
        flow = 2 * eta[1:] * eta[:-1] / (eta[1:] + eta[:-1]) / cell**2
        main = (np.r_[flow, 2 * r / cell**2] + np.r_[0.0, flow]) / eta + np.where(inside, 0.0, v**2)
        side = -flow / np.sqrt(eta[1:] * eta[:-1])
        squared, modes = eigh_tridiagonal(main, side)
        modes = modes * np.sign(modes[0])
        field = modes[:, 0] if field is None else field
        betas = np.sqrt((k * n_film) ** 2 - squared + 0j)
        amplitudes = modes.T @ field * np.exp(1j * (betas - betas[0]) * dz)
        field = modes @ amplitudes * np.exp(-absorb * dz)
    return amplitudes[:4], np.linalg.norm(amplitudes[squared < v**2])


@pytest.mark.parametrize(
    ("wall", "low", "high", "length"), [(SILICON, 1.0, 3.0, 5.0), (SILICON, 1.5, 4.0, 8.0), (NITRIDE, 2.6, 6.0, 10.0)]
)
def test_horn_is_a_staircase_that_radiates(wall, low, high, length):
    """The same walls on a grid, with all that radiates. The horn lacks what is lost, and what is caught again: of the
    same order in all modes together, but of second order in te2, which couples little to what radiates; grid: 1e-3."""
    want, guided = staircase(wall, length, high, low, 0.05 if wall is NITRIDE else 0.025)
    got = np.asarray(parabolic(wall, length, high, low))[0]
    lost = np.sqrt(1 - guided**2)
    assert lost < 0.1 < abs(want[1])
    assert np.linalg.norm(got - want) < lost
    assert abs(got[1] - want[1]) < 2 * lost**2 + 1e-3


@pytest.mark.parametrize("argument", [1, 2, 3])
def test_derivatives_are_differences(argument):
    """h = 1e-5 um: truncation 1e-10 of curvatures of some 1/um², rounding 1e-11."""
    sizes = [SILICON, 5.0, 3.0, 1.0]

    def value(x):
        a = parabolic(*sizes[:argument], x, *sizes[argument + 1 :])[0]
        return jnp.stack([a.real, a.imag])

    h = 1e-5
    want = (value(sizes[argument] + h) - value(sizes[argument] - h)) / (2 * h)
    np.testing.assert_allclose(jax.jacrev(value)(sizes[argument]), want, atol=1e-6)


def test_derivatives_do_not_jump_where_a_slice_holds_a_cut_off():
    """Cut-offs wander through the slices; d|a_1|/dw0 bends by 50/um³ at most, within 5 nm by 1.3e-3."""
    slope = jax.vmap(jax.grad(lambda low: jnp.abs(parabolic(SILICON, 5.0, 3.0, low)[0, 1])))(jnp.linspace(0.9, 1.1, 41))
    assert float(jnp.max(jnp.abs(jnp.diff(slope, 2)))) < 1.3e-3


def test_derivative_by_the_wall_and_at_equal_widths():
    value = lambda v, width: jnp.abs(parabolic(SILICON._replace(v=v), 5.0, width, 1.0)[0, 1])
    v, h = SILICON.v, 1e-5
    want = (value(v + h, 3.0) - value(v - h, 3.0)) / (2 * h)
    assert float(jax.grad(value)(v, 3.0)[0]) == pytest.approx(float(want), abs=1e-6)
    straight = lambda width: jnp.abs(parabolic(SILICON, 5.0, width, 1.0)[0, 0])
    assert float(straight(1.0)) == pytest.approx(1.0, abs=1e-12)
    assert np.isfinite(float(jax.grad(straight)(1.0)))


@pytest.mark.parametrize("length", [5.0, 20.0])
def test_slices_and_modes_converge(soi220, monkeypatch, length):
    """Errors fall as the inverse square of the number of slices, and are below 5e-4 with those used."""
    wall = side_wall(soi220, "strip", jnp.array([1.53, 1.57]))

    def at(slices, spare):
        monkeypatch.setattr(horn, "_SLICES", slices)
        monkeypatch.setattr(horn, "_SPARE", spare)
        return jax.jit(partial(parabolic.__wrapped__, count=4))(wall, length, 3.0, 1.0)

    used = parabolic(wall, length, 3.0, 1.0)
    fine = at(1024, 4)
    coarse, usual = (float(jnp.linalg.norm(a - fine)) for a in (at(64, 4), used))
    assert usual < 5e-4
    assert coarse / usual == pytest.approx(4.0, rel=0.15)
    np.testing.assert_allclose(at(128, 8), used, atol=1e-12)


def test_field_has_two_peaks(soi220):
    """The curvature of the intensity in the middle is positive at some length, and negative for an adiabatic horn."""
    wall, q = side_wall(soi220, "strip", jnp.array([1.55])), ODD[:4] * np.pi / 3.0

    def curvature(length):
        a = np.asarray(parabolic(wall, length, 3.0, 1.0))[0]
        return -2 * np.real(np.conj(a.sum()) * (a @ q**2))

    assert max(curvature(length) for length in np.arange(3.0, 13.0)) > 0
    assert curvature(60.0) < 0
