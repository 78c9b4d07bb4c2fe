"""Lateral modes, interference sections, tapers and crossings against quadrature, self-imaging and full vectors."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from picq import pdk
from picq.components import Crossing, Mmi2x2, Taper
from picq.errors import SpecError
from picq.optics.fields import overlap, sample
from picq.optics.modes import solve
from picq.optics.multimode import Wall, _overlap, couple, cross, lateral_modes, side_wall, split
from picq.optics.profile import guide
from picq.optics.taper import adiabatic_angle, converted, coupling

K = 2 * np.pi / 1.55
SILICON = Wall(*(jnp.array([v]) for v in (K, 2.849489, 1.0, 9.0, 9.28)))  # near a 220 nm silicon strip's
NITRIDE = Wall(*(jnp.array([v]) for v in (K, 1.883832, 1.0, 1.963, 5.095)))  # near an 800 nm nitride strip's
STRIP = {"thickness": 0.22, "core": "Si", "cladding": "SiO2"}


def field(wall, width, m, x, centre=0.0):
    """A lateral mode as the docstring of ``Lateral`` gives it, on points x, with the wall's weights."""
    mode = lateral_modes(wall, width, m)
    q, g, scale = (float(v[0]) for v in (mode.q, mode.g, mode.scale))
    s = x - centre
    side = np.cos(q * np.clip(s, -width / 2, width / 2) - m * np.pi / 2)
    outside = np.maximum(np.abs(s) - width / 2, 0.0)
    return scale * side * np.exp(-g * outside), np.where(np.abs(s) < width / 2, 1.0, float(wall.r[0]))


@pytest.mark.parametrize("wall", [SILICON, NITRIDE])
def test_modes_fulfil_transverse_resonance_and_are_orthonormal(wall):
    """Midpoint rule with h = 2e-4 um: the weight's jump within a cell costs at most h r F² = 2e-4 · 9 · 0.5 · edge²."""
    x = np.arange(-10, 10, 2e-4) + 1e-4
    modes = lateral_modes(wall.spread, 6.0, np.arange(10))
    psi = np.arctan2(wall.r[0] * modes.g[0], modes.q[0])
    np.testing.assert_allclose(modes.q[0] * 6.0, modes.order * np.pi + 2 * psi, atol=1e-9)
    fields = np.stack([field(wall, 6.0, m, x)[0] for m in range(10)])
    weight = field(wall, 6.0, 0, x)[1]
    np.testing.assert_allclose((fields * weight) @ fields.T * 2e-4, np.eye(10), atol=1e-4)


@pytest.mark.parametrize("wall", [SILICON, NITRIDE])
@pytest.mark.parametrize("centre", [0.0, 1.4])
def test_overlap_with_an_access_guide_is_its_integral(wall, centre):
    x = np.arange(-10, 10, 2e-4) + 1e-4
    modes, access = lateral_modes(wall.spread, 6.0, np.arange(10)), lateral_modes(wall.spread, 1.5, np.zeros(1))
    f, core = field(wall, 1.5, 0, x, centre)
    beside = (np.abs(x) < 3.0) & (core != 1.0)
    counted = f / float(access.scale[0, 0]) * np.where(beside, (1 + float(wall.r[0])) / 2, 1.0)
    for m in range(10):
        body, weight = field(wall, 6.0, m, x)
        assert float(_overlap(wall, modes, access, centre)[0, m]) == pytest.approx(
            np.sum(weight * body * counted) * 2e-4, abs=2e-4
        )


@pytest.mark.parametrize("m", [0, 1, 3, 6])
def test_te0_alone_gives_the_indices_of_higher_modes(soi220, m):
    """The full-vector solution; 1e-4: its mesh (3e-5 at te6) and conversion between te and tm at the walls."""
    mode = lateral_modes(side_wall(soi220, "strip", jnp.array([1.55])), 4.0, m)
    got = float(mode.beta[0]) / K
    assert got == pytest.approx(float(solve(guide(width=4.0, **STRIP), 1.55, f"te{m}").n_eff), abs=1e-4)


@pytest.mark.parametrize("wall", [SILICON, NITRIDE])
def test_two_by_two_is_self_imaging(wall):
    """Soldano & Pennings, J. Lightwave Technol. 13, 615 (1995): L_pi = 4 n W_e²/(3 wl); at L_pi/2 the guides at W_e/6
    share the light equally and cross leads bar by 90 degrees. Paraxial: W_e/L_pi squared, 1.5 %, in the lengths."""
    width = 8.0
    effective = width + 2 * float(wall.depth[0])
    beat = 4 * float(wall.n_film[0]) * effective**2 / (3 * 1.55)
    one, two = (float(lateral_modes(wall, width, m).beta[0]) for m in (0, 1))
    assert np.pi / (one - two) == pytest.approx(beat, rel=0.015)
    bar, across = (complex(v[0]) for v in couple(wall, 0.98 * beat / 2, width, effective / 3, 2.1))
    assert abs(across) ** 2 / abs(bar) ** 2 == pytest.approx(1.0, abs=0.07)
    assert np.degrees(np.angle(across / bar)) == pytest.approx(90.0, abs=1.5)
    assert abs(across) ** 2 + abs(bar) ** 2 > 0.97
    half = complex(split(wall, 0.98 * 3 / 8 * beat, width, effective / 2, 2.1)[0])
    assert 0.49 < abs(half) ** 2 < 0.5


@pytest.mark.parametrize("gap", [0.02, 0.1, 0.5])
def test_close_access_guides_make_no_light(gap):
    for length in np.linspace(0.0, 60.0, 7):
        bar, across = couple(NITRIDE, length, 5.0, 1.8 + gap, 1.8)
        assert float(jnp.abs(bar + across)[0]) <= 1.0
        assert float(jnp.abs(bar - across)[0]) <= 1.0


@pytest.mark.slow
@pytest.mark.exhaustive
def test_couple_is_the_overlap_of_full_vector_modes(soi220):
    """2x2 on silicon; 1.5 % of power: overlaps differ by up to 0.003 each, and the solved modes end at te9."""
    body = {m: solve(guide(width=6.0, **STRIP), 1.55, f"te{m}", levels=(3, 6) if m < 7 else (5, 10)) for m in range(10)}
    access = solve(guide(width=1.6, **STRIP), 1.55, "te0", levels=(3, 6))
    got = couple(side_wall(soi220, "strip", jnp.array([1.55])), 43.28, 6.0, 2.01, 1.6)
    amplitude = {m: _amplitude(mode, m, access, 1.005, 6.0) for m, mode in body.items()}
    through = [
        complex(sum(2 * amplitude[m] ** 2 * np.exp(1j * K * 43.28 * float(body[m].n_eff)) for m in orders))
        for orders in (range(0, 10, 2), range(1, 10, 2))
    ]
    bar, across = (through[0] + through[1]) / 2, (through[0] - through[1]) / 2
    assert abs(complex(got[0][0])) ** 2 == pytest.approx(abs(bar) ** 2, abs=0.015)
    assert abs(complex(got[1][0])) ** 2 == pytest.approx(abs(across) ** 2, abs=0.015)
    turn = np.angle(complex(got[1][0] / got[0][0]) * bar / across)
    assert abs(turn) < 0.02


def _amplitude(body, m, access, centre, width):
    """Reciprocal overlap of te_m with an access guide's te0 at ``centre``, on Gauss nodes between the kinks of both."""
    around = centre + 0.8 * np.array([-2, -1, 0, 1, 2])
    kinks = np.unique(np.concatenate([[-width, -width / 2, 0, width / 2, width], around]))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    x = np.concatenate([(a + b) / 2 + (b - a) / 2 * nodes for a, b in pairwise(kinks)])
    dx = np.concatenate([(b - a) / 2 * weights for a, b in pairwise(kinks)])
    y = np.unique(np.concatenate([body.mesh.y, access.mesh.y]))

    def fields(mode, s, even):  # the solved half, continued by its parity
        near, far = (1.0, np.sign(s)) if even else (np.sign(s), 1.0)
        e, h = jax.vmap(lambda v: sample(mode, jnp.abs(s), v))(jnp.asarray((y[1:] + y[:-1]) / 2))
        return [np.asarray(v) for v in (e[0] * near, e[1] * far, h[0] * near, h[1] * far)]

    def flow(a, b):
        return float(np.diff(y) @ (a[0] * b[2] + a[1] * b[3]) @ dx)

    a, b = fields(access, x - centre, True), fields(body, x, m % 2 == 0)
    return (flow(a, b) + flow(b, a)) / 2 / np.sqrt(flow(a, a) * flow(b, b))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1.2, pytest.param(2.5, marks=pytest.mark.exhaustive)])
def test_taper_coupling_is_the_full_vector_overlap(soi220, width):
    """<te2(w)|te0(w + h)> - <te2(w)|te0(w - h)> over 2 h, h = 0.02 um; its truncation and the lateral model: 1.5 %."""
    te2, (a, b) = (
        solve(guide(width=width, **STRIP), 1.55, "te2"),
        (solve(guide(width=width + h, **STRIP), 1.55, "te0") for h in (0.02, -0.02)),
    )
    slope = abs(complex(overlap(te2, a)) - complex(overlap(te2, b))) / 0.04
    c, _ = te0_to_te2(side_wall(soi220, "strip", jnp.array([1.55])), width)
    assert abs(c) == pytest.approx(slope, rel=0.015)


def te0_to_te2(wall, width):
    """(coupling, difference of the propagation constants), 1/um, of the two modes."""
    modes = lateral_modes(wall.spread, width, np.array([0, 2]))
    return float(coupling(wall.spread, modes)[0, 0, 1]), float(modes.beta[0, 0] - modes.beta[0, 1])


@pytest.mark.parametrize("length", [6.0, 20.0, 80.0])
def test_taper_converts_what_the_coupled_equations_say(length):
    """Two local modes, both amplitudes: da_2/dz = C w' a_0 e^(i Phi); second order is below 1 %, 17 places cost 5 %."""
    low, high = 2.0, 3.0

    def rates(z, state):
        c, difference = te0_to_te2(NITRIDE, low + (high - low) * z / length)
        a0, a2, phase = state
        c = c * (high - low) / length
        return [-c * a2 * np.exp(-1j * phase), c * a0 * np.exp(1j * phase), difference]

    final = solve_ivp(rates, (0, length), [1.0 + 0j, 0j, 0j], rtol=1e-6, atol=1e-9).y[1, -1]
    assert float(converted(NITRIDE, low, high, length)[0]) == pytest.approx(abs(final) ** 2, rel=0.06, abs=1e-6)


def test_long_tapers_lose_as_the_inverse_square_of_their_length():
    """Averaged over the beats of both ends; a taper that does not widen loses nothing."""
    mean = lambda start: float(np.mean([converted(SILICON, 1.5, 3.0, start + d)[0] for d in np.arange(0, 12, 0.5)]))
    assert mean(400.0) / mean(100.0) == pytest.approx((106 / 406) ** 2, rel=0.1)
    assert float(converted(SILICON, 1.5, 1.5, 20.0)[0]) == 0.0
    assert 5 < np.degrees(float(adiabatic_angle(SILICON, 2.0)[0])) < 10


@pytest.mark.parametrize("wall", [SILICON, NITRIDE])
def test_crossing_of_wide_guides_is_free_diffraction(wall):
    """te0 alone over its own width, by a fast Fourier transform of the field: cosine between the effective walls."""
    width, n = 4.0, 2**15
    hard = width + 2 * float(wall.depth[0])
    x = (np.arange(n) - n / 2) * 200.0 / n
    f = np.where(np.abs(x) < hard / 2, np.cos(np.pi * x / hard), 0.0)
    s, top = 2 * np.pi * np.fft.fftfreq(n, 200.0 / n), K * float(wall.n_film[0])
    onward = np.where(np.abs(s) < top, np.exp(1j * width * np.sqrt(np.maximum(top**2 - s**2, 0.0))), 0.0)
    want = np.sum(f * np.fft.ifft(onward * np.fft.fft(f))) / np.sum(f * f)
    got = complex(cross(wall, width, width, width)[0])
    assert abs(got) ** 2 == pytest.approx(abs(want) ** 2, abs=2e-3)  # 2e-3: other modes at the junction
    assert np.angle(got / want) == pytest.approx(0.0, abs=5e-3)


@pytest.mark.parametrize("tech", ["soi220", "sin400", "sin800", "tfln600"])
def test_default_crossing_focuses(tech):
    """The image in the middle: less is lost than te0 of that width would lose; no light is made at any phase."""
    tech = pdk.load(tech)
    dev, wl = Crossing.on(tech), jnp.linspace(1.53, 1.57, 5)
    wall = side_wall(tech, dev.cross_section, wl)
    focused = jnp.abs(cross(wall, dev.length_mmi, dev.width_mmi, dev.width_taper)) ** 2
    plain = jnp.abs(cross(wall, dev.width_mmi, dev.width_mmi, dev.width_mmi)) ** 2
    assert float(jnp.max((1 - focused) / (1 - plain))) < 0.4


def test_what_is_no_such_device_is_refused(soi220):
    wl = jnp.array([1.55])
    with pytest.raises(SpecError, match="side by side"):
        Mmi2x2(pitch=1.2).model(wl, soi220)
    with pytest.raises(SpecError, match="width_taper <= width_mmi"):
        Crossing(width_taper=3.0).cell(soi220)


@pytest.mark.slow
def test_longer_tapers_are_better(soi220):
    def loss(length):
        s = Taper(length, None, 3.0).model(jnp.array([1.55]), soi220.lossless())
        return float(1 - jnp.abs(s[("o1", "o2")][0]) ** 2)

    assert loss(100.0) < loss(30.0) < loss(10.0) < 0.05
