"""Walls that are moved for the targets: known answers, rules that bind, and the planes of the linear programme."""

import klayout.db as kdb
import numpy as np
import pytest
from free_form_spec import small

from picq import pdk
from picq.inverse.appraise import scattering
from picq.inverse.finish import rules_of
from picq.inverse.objective import score
from picq.inverse.polish import _FINER, _Models, _shifts, _solid, _Targets, polished
from picq.inverse.problem import Problem
from picq.inverse.repair import violations
from picq.signoff.checks.mask import IGNORE_ANGLE

STEP = 0.04


def problem(**changes) -> Problem:
    asked = {"region__size": [1.2, 0.8], "ports__o2__modes": [0], "targets__1__to": "o2"}
    return Problem.of(small(**(asked | changes)), pdk.load("soi220"))


def region(*boxes: tuple[float, float, float, float]) -> kdb.Region:
    return kdb.Region([kdb.DBox(*box).to_itype(0.001) for box in boxes]).merged()


def worth(of: Problem, mask: kdb.Region) -> float:
    return float(score(scattering(of, mask, STEP), of.windows))


def mask_corners(mask: kdb.Region) -> list[tuple[float, float]]:
    """Anticlockwise, um."""
    return [(p.x * 0.001, p.y * 0.001) for p in mask[0].each_point_hull()][::-1]


def quiet(*_) -> None:
    pass


GUIDE = (-4.0, -0.2, 4.0, 0.2)
PINCHED = (-4.0, -0.2, -0.3, 0.2), (-0.3, -0.15, 0.3, 0.15), (0.3, -0.2, 4.0, 0.2)


def test_a_pinched_guide_conducts_again():
    asked = problem()
    pinched = region(*PINCHED)
    found = polished(asked, pinched, rules_of(asked), STEP, quiet)
    before, after, straight = (worth(asked, mask) for mask in (pinched, found, region(GUIDE)))
    assert before < 0.75
    assert after > straight - 0.05 * (straight - before)
    assert violations(found, rules_of(asked)).passed


def test_what_is_narrower_than_the_rules_is_moved_apart():
    """A neck of 130 nm where 200 are asked for, and light that wants it to be 400: both are met."""
    asked = problem()
    neck, rules = region((-4.0, -0.2, -0.3, 0.2), (-0.3, -0.065, 0.3, 0.065), (0.3, -0.2, 4.0, 0.2)), rules_of(asked)
    assert not violations(neck, rules).passed
    found = polished(asked, neck, rules, STEP, quiet)
    assert violations(found, rules).passed
    assert worth(asked, found) > worth(asked, neck) + 0.05


def test_what_two_masks_lack_is_compared_by_the_same_places():
    """Half a notch by itself lacks nothing that counts until a finding elsewhere has brought its place up; a mask that
    is clean lacks nothing for that."""
    asked = problem()
    kinked = region((-4.0, -0.2, 4.0, 0.2), (-0.25, 0.2, -0.15, 0.28), (0.15, 0.2, 0.25, 0.28))
    models = _Models(asked, region(GUIDE), rules_of(asked), STEP)
    models.found.clear()
    first = models.at(_finer(kinked))
    assert not first.look.report.passed
    places, models.found = models.found, []
    alone = models.of(first.look)
    models.found = places
    assert models.of(first.look).lacking == first.lacking
    assert first.lacking > alone.lacking
    clean = models.at(_finer(region(GUIDE)))
    assert clean.look.report.passed
    assert clean.lacking == 0


def test_walls_that_do_not_move_are_the_same_mask():
    """Round ends that are narrow or not by how they are cut into edges would else be found after every move: the next
    mask is drawn from the same vertices."""
    asked = problem()
    blobs = region(GUIDE).sized(3) + kdb.Region(kdb.Polygon.ellipse(kdb.Box(-333, 230, 219, 391), 64))
    models = _Models(asked, region(GUIDE), rules_of(asked), STEP)
    here = models.at(_finer(blobs.merged()))
    for _ in range(3):
        there = models.at(_solid(here.walls.moved(np.zeros(here.walls.basis.shape[1]))))
        assert (there.look.mask ^ here.look.mask).is_empty()
        here = there


def test_guides_stay_where_walls_go_straight_on_into_them():
    """The outline of a straight guide has no corner at the region's border, and what moves within moves it there."""
    asked, mask = problem(), region((-4.01, -0.2, 4.03, 0.2))
    here = _Models(asked, mask, rules_of(asked), STEP).at(_solid([np.array([*mask_corners(mask)])]))
    shifts = np.random.default_rng(1).uniform(-0.01, 0.01, here.targets.planes()[0].shape[1])
    moved = _solid(here.walls.moved(shifts)).transformed(kdb.ICplxTrans(1 / _FINER))
    frame = kdb.Region(kdb.DBox(*asked.box).to_itype(0.001))
    assert ((moved - frame) ^ (mask - frame)).is_empty()
    assert not (moved ^ mask).is_empty()


def test_a_corner_on_the_border_is_one_vertex():
    """7000 of 0.1 nm are 0.7000000000000001 um: an edge that ends there crosses the border at 0.7 once more."""
    asked = problem(region__size=[1.2, 1.4])
    wedge = kdb.Polygon([kdb.Point(*at) for at in ((-200, 100), (0, 100), (100, 700), (-50, 900))])
    mask = (region(GUIDE) + kdb.Region(wedge)).merged()
    rings = _Models(asked, region(GUIDE), rules_of(asked), STEP).at(_finer(mask)).look.outlines
    assert any(np.isclose(ring[:, 1], 0.7).any() for ring in rings)
    for ring in rings:
        assert np.linalg.norm(np.roll(ring, -1, axis=0) - ring, axis=1).min() > 0


def test_a_place_is_held_once():
    asked = problem()
    models = _Models(asked, region(GUIDE), rules_of(asked), STEP)
    thin = models.at(_finer(region((-4.0, -0.2, -0.3, 0.2), (-0.3, -0.065, 0.3, 0.065), (0.3, -0.2, 4.0, 0.2))))
    assert models.hold(thin)
    assert not models.hold(thin)
    wall = models.of(thin.look).walls
    inside = (np.abs(wall.vertices[:, 0]) < 0.29) & (np.abs(wall.vertices[:, 1]) < 0.07)
    assert inside.any()
    assert not wall.mitres[inside].any()


def _finer(mask: kdb.Region) -> kdb.Region:
    return mask.transformed(kdb.ICplxTrans(_FINER))


@pytest.mark.slow
def test_what_light_wants_narrower_than_the_rules_is_wide_enough_first():
    """The same neck where light shall not pass: it has to become worse before it is clean."""
    asked = problem(targets=[{"from": "o1", "to": "o2", "max_db": -3}])
    neck, rules = region((-4.0, -0.2, -0.3, 0.2), (-0.3, -0.065, 0.3, 0.065), (0.3, -0.2, 4.0, 0.2)), rules_of(asked)
    found = polished(asked, neck, rules, STEP, quiet)
    assert not violations(neck, rules).passed
    assert violations(found, rules).passed


@pytest.mark.slow
def test_a_rule_binds_where_the_targets_want_less():
    """A thin guide that shall let no light through: it becomes a grating, in places as narrow as it may."""
    asked = problem(targets=[{"from": "o1", "to": "o2", "max_db": -3}])
    begun, rules = region((-4.0, -0.2, -0.6, 0.2), (-0.6, -0.13, 0.6, 0.13), (0.6, -0.2, 4.0, 0.2)), rules_of(asked)
    found = polished(asked, begun, rules, STEP, quiet)
    assert worth(asked, found) > worth(asked, begun) + 0.05
    assert violations(found, rules).passed
    assert not found.width_check(205, False, kdb.Metrics.Euclidian, IGNORE_ANGLE).is_empty()  # nm, of 200


def test_nothing_is_taken_that_is_no_better():
    asked = problem()
    straight = region(GUIDE)
    found = polished(asked, straight, rules_of(asked), STEP, quiet)
    assert worth(asked, found) >= worth(asked, straight) - 1e-4
    assert (found ^ straight).area() < 0.005 * straight.area()


def test_slopes_of_the_amplitudes_are_those_of_finite_differences():
    asked = problem(search__edge_nm=10)
    models = _Models(asked, region(GUIDE), rules_of(asked), STEP)
    begun = region((-4.0, -0.2, -0.55, 0.2), (-0.55, -0.13, 0.55, 0.27), (0.55, -0.2, 4.0, 0.2))
    here = models.at(begun.transformed(kdb.ICplxTrans(10)))
    way = np.random.default_rng(0).normal(size=here.targets.slope.shape[1])
    h = 3e-7
    plus, minus = (models._amplitudes(here.walls.moved(sign * h * way))[0] for sign in (1, -1))
    assert here.targets.slope @ way == pytest.approx((plus - minus) / (2 * h), rel=1e-5)


def test_planes_touch_the_distances_and_stay_on_their_side():
    rng = np.random.default_rng(0)
    complex_ = lambda *shape: rng.normal(size=shape) + 1j * rng.normal(size=shape)
    low, high = np.array([-np.inf, -np.inf, 0.8]), np.array([0.01, 0.1, np.inf])
    targets = _Targets(low, high, np.array([0.01, 0.1, 0.2]), 0.3 * complex_(3), complex_(3, 4))
    slopes, values = targets.planes()
    assert values.max() == pytest.approx(targets.value.max(), rel=1e-12)  # touched where we are
    upper = np.repeat([True, False], [values.size - 1, 1]) if values[-1] != values[0] else None
    lower_plane = np.flatnonzero(np.isclose(values, targets.value[2]))
    assert lower_plane.size == 1
    upper = np.setdiff1d(np.arange(values.size), lower_plane)
    for shifts in 0.3 * rng.normal(size=(200, 4)):
        found, true = slopes @ shifts + values, targets.of(shifts)
        assert found[upper].max() <= true[:2].max() + 1e-12  # a power is above its tangents
        assert found[lower_plane[0]] >= true[2] - 1e-12
    # on the circle that the worst target asks for, the tangents leave a polygon of twelve sides
    h = 1e-7
    unit = np.eye(4)[0]
    assert slopes[lower_plane[0]] @ unit == pytest.approx((targets.of(h * unit)[2] - targets.value[2]) / h, rel=1e-5)


def test_a_programme_keeps_to_its_step_and_expects_what_linear_amplitudes_give():
    asked = problem()
    models = _Models(asked, region(GUIDE), rules_of(asked), STEP)
    begun = region((-4.0, -0.2, -0.6, 0.2), (-0.6, -0.15, 0.6, 0.15), (0.6, -0.2, 4.0, 0.2))  # off the grid's lines
    here = models.at(begun.transformed(kdb.ICplxTrans(10)))
    gains = []
    for most in (0.001, 0.002, 0.004):
        shifts, expected, _ = _shifts(here, most)
        assert np.abs(shifts).max() <= most * (1 + 1e-9)
        gains.append(expected)
    assert gains[0] > 0
    assert gains == sorted(gains)
    shifts, expected, _ = _shifts(here, 0.0005)
    power = np.abs(models._amplitudes(here.walls.moved(shifts))[0]) ** 2
    w = asked.windows
    true = (np.maximum(w.low - power, power - w.high) / w.size).max()
    assert here.worst - true == pytest.approx(expected, rel=0.1)
