"""Parametric shapes: closed forms of their outlines, derivatives of S by finite differences, a small optimisation."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import gdsfactory as gf
import jax
import jax.numpy as jnp
import klayout.db as kdb
import numpy as np
import optax
import pytest
from free_form_spec import small
from test_fdfd import CLAD, CORE, WL
from test_raster import area, box

from picq.errors import SpecError
from picq.inverse.condense import Condensed
from picq.inverse.contour import outlines
from picq.inverse.fdfd import Polarisation
from picq.inverse.grid import Box, Domain
from picq.inverse.ports import Port
from picq.inverse.problem import Problem
from picq.inverse.raster import Outlines, fractions
from picq.inverse.shape import (
    ShapeModel,
    control_basis,
    drawn_simulation,
    mmi,
    moved,
    refined,
    taper,
)
from picq.pdk import load

BOTH = pytest.mark.parametrize("polarisation", ["ez", "hz"])


def test_taper_has_the_widths_asked_for():
    for chords in (1, 5):
        walls = np.asarray(taper(2.0, np.array([0.4, 0.7, 0.6, 1.0]), (1.0, -3.0), chords))
        assert len(walls) == 2 * (3 * chords + 1)
        assert np.abs(walls.mean(0) - [2.0, -3.0]).max() < 1e-15
        half = len(walls) // 2
        assert walls[half:][::-1][::chords, 1] + 3 == pytest.approx([0.2, 0.35, 0.3, 0.5])
        assert np.abs(walls[half:][::-1] - walls[:half] * [1, -1] - [0, -6]).max() < 1e-15
    even, linear = (area(np.asarray(taper(2.0, np.linspace(0.4, 1.0, 4), chords=chords))) for chords in (5, 1))
    assert linear == pytest.approx(2.0 * 0.7, rel=1e-14)
    assert even == pytest.approx(linear, rel=1e-14)


def test_multimode_body_is_a_rectangle_with_tapers():
    body = np.asarray(mmi(2.0, 3.0, [0.1], [-0.5, 0.5], 0.6, 0.7, 0.4, (5.0, 1.0)))
    assert body.shape == (16, 2)
    assert area(body) == pytest.approx(2 * 3 + 3 * 0.5 * 0.7, rel=1e-14)
    assert [body[:, 0].min(), body[:, 0].max()] == pytest.approx([5 - 2.2, 5 + 2.2])
    mask = np.asarray(fractions([body], (2.0, -1.0), 0.1, (60, 40))) * 0.01
    rest = [mask[:15, 16:26], mask[45:, 11:19], mask[45:, 21:29]]  # y of 0.6 to 1.6, 0.1 to 0.9, 1.1 to 1.9
    assert [part.sum() for part in rest] == pytest.approx([0.35, 0.35, 0.35], abs=1e-12)
    assert mask[15:45, 10:30].sum() == pytest.approx(6, abs=1e-12)


def test_walls_move_by_what_is_asked():
    """By d everywhere: the area of a polygon grows by perimeter d + sum tan(turn / 2) d^2, of a hole it shrinks so."""
    square = box(0, 0, 2, 1)
    assert np.abs(moved(square, 0.1) - box(-0.1, -0.1, 2.1, 1.1)).max() < 1e-15
    assert np.abs(moved(square[::-1], 0.1) - box(0.1, 0.1, 1.9, 0.9)[::-1]).max() < 1e-15
    triangle = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    d, turns = 0.05, np.pi - np.array([np.pi / 2, np.arctan(4 / 3), np.arctan(3 / 4)])
    assert area(np.asarray(moved(triangle, d))) == pytest.approx(6 + 12 * d + np.tan(turns / 2).sum() * d**2, rel=1e-14)
    fine = refined(triangle, 0.3)
    assert np.hypot(*np.diff(fine, axis=0).T).max() < 0.3 + 1e-12
    assert area(fine) == pytest.approx(6, rel=1e-14)
    assert all(np.abs(fine - corner).sum(1).min() < 1e-15 for corner in triangle)
    basis = control_basis(fine, 1.0)
    assert basis.shape == (len(fine), 12)
    assert np.abs(basis.sum(1) - 1).max() < 1e-12
    held = fine[:, 1] == 0
    freed = control_basis(fine, 1.0, held)
    assert np.abs(freed.sum(1) - ~held).max() < 1e-12
    assert freed.shape[1] < 12
    assert np.array_equal(np.asarray(moved(fine, freed @ np.full(freed.shape[1], 0.1)))[held], fine[held])


def test_cells_become_outlines():
    """Of a gdsfactory cell with an instance in it: a ring drawn in four overlapping boxes, and a triangle."""
    part, c = gf.Component(), gf.Component()
    layer = c.kcl.layer(1, 0)
    part.shapes(layer).insert(kdb.DPolygon([kdb.DPoint(4, 0), kdb.DPoint(5, 0), kdb.DPoint(4, 1)]))
    c.add_ref(part)
    for sides in ((0, 0, 3, 0.25), (0, 0.75, 3, 1), (0, 0, 1, 1), (2, 0, 3, 1)):
        c.shapes(layer).insert(kdb.DBox(*sides))
    drawn = kdb.Region(c.kdb_cell.begin_shapes_rec(layer))
    found = outlines(drawn, c.kcl.dbu)
    assert sorted(map(area, found)) == pytest.approx([-0.5, 0.5, 3.0])
    shares = np.asarray(fractions(found, (0, 0), 0.25, (20, 4)))
    assert shares.sum() * 0.25**2 == pytest.approx(3.0, abs=1e-12)
    assert np.abs(shares[4:8, 1:3]).max() < 1e-12
    assert shares[16:, 0] == pytest.approx([1, 1, 1, 0.5], abs=1e-12)
    scaled = outlines(drawn, 0.005)
    assert [area(o) for o in scaled] == pytest.approx([25 * area(o) for o in found])


@cache
def region(polarisation: Polarisation, half: float, widths: tuple[float, float], outputs: tuple[float, ...]):
    """And the guides around it, which end ``half`` um left and right of the middle, the left one at y = 0."""
    domain = Domain((2 * half + 2.0, 2.8), 0.04, (0.4, 0.4))
    end = half + 0.4
    span = 1.88 if len(outputs) == 1 else 0.88
    right = [Port(f"o{k + 2}", (end, y), 0, span) for k, y in enumerate(outputs)]
    guides = [box(-9, -widths[0] / 2, -half, widths[0] / 2)]
    guides += [box(half, y - widths[1] / 2, 9, y + widths[1] / 2) for y in outputs]
    ports = (Port("o1", (-end, 0), 180, 1.88), *right)
    sim = drawn_simulation(domain, guides, CORE, CLAD, polarisation, ports, WL)
    return Condensed(sim, Box(-half - 0.04, -0.92, half + 0.04, 0.92)), guides


def between(
    polarisation: Polarisation,
    drawn: Callable[..., Outlines],
    half: float = 0.8,
    widths: tuple[float, float] = (0.4, 0.4),
    outputs: tuple[float, ...] = (0.0,),
) -> ShapeModel:
    """Of what is drawn between the guides of ``region``."""
    middle, guides = region(polarisation, half, widths, outputs)
    return ShapeModel(middle, drawn, CORE, CLAD, guides)


def check_derivative(model: ShapeModel, at: np.ndarray, h: float = 3e-6) -> None:
    """Along a random direction, in both modes: h^2 times third derivatives of 1e3, and rounding of 1e-13 / h in S."""
    s, way = jax.jit(model.scattering), np.random.default_rng(0).standard_normal(at.shape)
    assert 0.03 < abs(s(at)[0, 1, 0]) ** 2 < 0.999
    expected = (s(at + h * way) - s(at - h * way)) / (2 * h)
    assert np.abs(expected).max() > 0.1
    _, found = jax.jvp(s, (at,), (way,))
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()
    weight = np.random.default_rng(1).standard_normal(found.shape)
    pull = jax.grad(lambda p: jnp.sum(jnp.real(s(p)) * weight))(at)
    assert float(jnp.sum(pull * way)) == pytest.approx(float(jnp.sum(jnp.real(found) * weight)), rel=1e-10)


@BOTH
def test_derivatives_of_a_taper(polarisation):
    drawn = lambda p: [taper(1.6, jnp.concatenate([jnp.array([0.4]), p, jnp.array([0.4])]), (-0.8, 0.0), 3)]
    check_derivative(between(polarisation, drawn), np.array([0.613, 0.871, 0.537]))


@pytest.mark.slow
@BOTH
def test_derivatives_of_a_multimode_body(polarisation):
    """Its length moves the ends of the tapers, so that the taper's length follows."""

    def drawn(p):
        width, length, offset, port = p
        return [mmi(width, length, [0.0], [-offset, offset], port, 0.8 - length / 2, 0.4)]

    model = between(polarisation, drawn, outputs=(-0.48, 0.48))
    check_derivative(model, np.array([1.531, 0.993, 0.4731, 0.4537]))


@pytest.mark.slow
@BOTH
def test_derivatives_of_a_moved_cell(polarisation):
    """A bar of a layout with a hole in it: walls of both in few pieces, ends held."""
    bar = kdb.Region(kdb.DBox(-0.8, -0.26, 0.8, 0.25).to_itype(0.001))
    bar -= kdb.Region(kdb.DBox(-0.07, -0.09, 0.11, 0.07).to_itype(0.001))
    hull, hole = (refined(o, 0.097) for o in outlines(bar))
    outer = control_basis(hull, 0.4, np.abs(hull[:, 0]) > 0.79)
    inner = control_basis(hole, 0.3)
    drawn = lambda p: [moved(hull, outer @ p[: outer.shape[1]]), moved(hole, inner @ p[outer.shape[1] :])]
    at = np.random.default_rng(2).uniform(-0.02, 0.02, outer.shape[1] + inner.shape[1])
    check_derivative(between(polarisation, drawn), at)


@BOTH
def test_model_is_the_whole_simulation(polarisation):
    drawn = lambda p: [taper(1.6, jnp.concatenate([jnp.array([0.4]), p, jnp.array([0.4])]), (-0.8, 0.0), 3)]
    model, at = between(polarisation, drawn), np.array([0.613, 0.871, 0.537])
    sim = model.region.simulation
    whole = drawn_simulation(
        sim.domain, [*drawn(at), *model.fixed], CORE, CLAD, polarisation, sim.ports, sim.wl, sim.backend
    )
    assert np.abs(model.scattering(at) - whole.solve()[0]).max() < 1e-11
    assert np.abs(replace(model, fixed=()).scattering(at) - whole.solve()[0]).max() > 1e-6  # the guides' last pixels


def test_model_of_a_specification_has_its_materials_and_guides():
    """A film, whose index changes with the wavelength."""
    guide = {"side": "east", "width": 0.6}
    spec = small(polarisation="hz", materials=None, wl_um=[1.3, 1.4], ports__o2=guide, targets__1__to="o2")
    problem = Problem.of(spec, load("soi220"))
    drawn = lambda w: [taper(0.8, w, (-0.4, 0.0))]
    model, at = ShapeModel.of(problem, 0.04, drawn), jnp.array([0.4, 0.57, 0.6])
    whole = problem.matched(0.04).drawn([*map(np.asarray, drawn(at)), *model.fixed], 0.04)
    assert np.abs(model.scattering(at) - whole.solve()[0]).max() < 1e-11
    jitted = jax.jit(model.scattering)
    _, found = jax.jvp(jitted, (at,), (jnp.array([0.0, 1.0, 0.0]),))
    far = (jitted(at.at[1].add(1e-5)) - jitted(at.at[1].add(-1e-5))) / 2e-5
    assert np.abs(found - far).max() < 1e-5 * np.abs(far).max()


@BOTH
def test_taper_that_is_straight_transmits_everything(polarisation):
    for widths in ((0.4, 0.4), (0.43, 0.43)):  # on lines of the grid, and off them
        model = between(polarisation, lambda w: [taper(1.6, w, (-0.8, 0.0))], widths=widths)
        s = model.scattering(np.array([widths[0]] * 3))[0]
        assert abs(s[1, 0]) ** 2 == pytest.approx(1, abs=1e-6)  # off lines, seams count with 1 % in two pixels a wall
        assert abs(s[0, 0]) ** 2 < 1e-7


@BOTH
def test_taper_is_improved(polarisation):
    """1.2 um from 0.4 to 1.2 um: the loss of the linear taper at least halves in 15 steps."""
    ends = jnp.array([0.4]), jnp.array([1.2])
    drawn = lambda w: [taper(1.2, jnp.concatenate([ends[0], w, ends[1]]), (-0.6, 0.0), 4)]
    model = between(polarisation, drawn, 0.6, (0.4, 1.2))
    loss = jax.jit(jax.value_and_grad(lambda w: 1 - jnp.abs(model.scattering(w)[0, 1, 0]) ** 2))
    w, adam, seen = jnp.linspace(0.4, 1.2, 6)[1:-1], optax.adam(0.02), []
    state = adam.init(w)
    for _ in range(15):
        value, slopes = loss(w)
        seen.append(float(value))
        step, state = adam.update(slopes, state)
        w = jnp.asarray(optax.apply_updates(w, step))
    assert 0.01 < seen[0] < 0.3, seen
    assert min(seen) > 0
    assert seen[-1] < 0.5 * seen[0], seen


def test_shapes_that_cannot_be():
    good = (2.0, 3.0, [0.0], [-0.5, 0.5], 0.6, 0.7, 0.4)
    for call, match in (
        (lambda: taper(1.0, np.array([0.4])), "widths of a taper"),
        (lambda: taper(1.0, np.array([0.4, -0.1])), "widths"),
        (lambda: taper(0.0, np.array([0.4, 0.5])), "length"),
        (lambda: mmi(*good[:3], [-0.2, 0.2], *good[4:]), "on the right do not fit"),
        (lambda: mmi(*good[:2], [0.8], *good[3:]), "on the left do not fit"),
        (lambda: mmi(*good[:6], np.nan), "guide_width"),
        (lambda: refined(np.zeros((2, 2)), 0.1), "outline"),
        (lambda: refined(box(0, 0, 1, 1), 0.0), "spacing"),
        (lambda: control_basis(box(0, 0, 1, 1), -1.0), "spacing"),
    ):
        with pytest.raises(SpecError, match=match) as caught:
            call()
        assert caught.value.remedy
    model = between("ez", lambda w: [taper(1.6, w, (-0.7, 0.0))])
    with pytest.raises(SpecError, match="overlap"):
        model.scattering(np.array([0.4, 0.4]))
