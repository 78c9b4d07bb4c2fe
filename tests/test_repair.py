"""Free-form rules: planted violations are found, placed on the pixels and repaired, and nothing else is touched."""

import math
from pathlib import Path

import klayout.db as kdb
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import picq
from picq.errors import SpecError
from picq.inverse.contour import on_mask, outline
from picq.inverse.density import Density, margin
from picq.inverse.grid import Box
from picq.inverse.legal import legal
from picq.inverse.repair import FreeFormRules, deck, deck_of, target, violations, weights
from picq.signoff.rules import load_deck

BOX = Box(0.0, 0.0, 1.6, 1.6)
RULES = FreeFormRules(0.1, 0.1)
GUIDE = kdb.Box(-300, 600, 0, 1000)


def disc(x: int, y: int, radius: int) -> kdb.Region:
    angles = 2 * np.pi * np.arange(96) / 96
    corners = np.round(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=-1)).astype(int)
    return kdb.Region(kdb.Polygon([kdb.Point(a, b) for a, b in corners.tolist()]))


def bar(*sides: int) -> kdb.Region:
    return kdb.Region(kdb.Box(*sides))


PLANTED = {
    "two discs 60 nm apart": (disc(400, 800, 250) + disc(960, 800, 250), {"space"}),
    "a neck of 70 nm": (disc(400, 800, 250) + disc(1200, 800, 250) + bar(400, 765, 1200, 835), {"width"}),
    "an island": (disc(400, 800, 250) + bar(1000, 1000, 1100, 1090), {"area", "width"}),
    "a pinhole": (disc(800, 800, 400) - disc(800, 800, 30), {"space"}),
    "a wedge between a disc and a guide": (bar(-300, 600, 650, 1000) + disc(700, 1200, 265), {"space"}),
    "a tip": (
        kdb.Region(kdb.Polygon([kdb.Point(*p) for p in ((200, 200), (200, 700), (1100, 450))])),
        {"width", "acute_angle"},
    ),
}  # fmt: skip


def raw_findings(region: kdb.Region, rules: FreeFormRules) -> list[object]:
    """The same questions, asked of KLayout directly: distances with 2 nm for snapping, blunt corners left out."""

    def blunt(pair: kdb.EdgePair) -> bool:
        if pair.first.p1 != pair.second.p2 and pair.first.p2 != pair.second.p1:
            return False
        a, b = pair.first.d(), pair.second.d()
        cosine = -(a.x * b.x + a.y * b.y) / (a.length() * b.length())
        return math.degrees(math.acos(max(-1.0, min(1.0, cosine)))) >= 45

    region = region.merged()
    width = region.width_check(round(rules.width_um * 1000) - 2, False, kdb.Metrics.Euclidian, 80)
    space = region.space_check(round(rules.space_um * 1000) - 2, False, kdb.Metrics.Euclidian, 80)

    def through_solid(pair: kdb.EdgePair) -> bool:
        ends = [(a, b) for a in (pair.first.p1, pair.first.p2) for b in (pair.second.p1, pair.second.p2)]
        a, b = min(ends, key=lambda two: two[0].distance(two[1]))
        middle = kdb.Point((a.x + b.x) // 2, (a.y + b.y) // 2)
        between = kdb.Region(pair.polygon(0))
        if (between & region).area() > 0.1 * between.area():  # as the sign-off's check has it
            return True
        return not (kdb.Region(kdb.Box(middle, middle).enlarged(2)) & region).is_empty()

    pairs = [pair for pairs in (width, space) for pair in pairs.each() if not blunt(pair)]
    gaps = {str(pair) for pair in space.each() if through_solid(pair)}  # a jog that sees the shape's own far side
    pairs = [pair for pair in pairs if str(pair) not in gaps]
    small = [polygon for polygon in region.each() if polygon.area() < (rules.area_um2 or 0) * 1e6]
    sharp = region.corners_edge_pairs(-180.0, rules.angle_deg - 180.0, True, False).with_length_both(10, None, False)
    return [*pairs, *small, *sharp.each()]


def kinds(region: kdb.Region) -> set[str]:
    return {check.removeprefix("free_form.") for check in violations(region, RULES).counts()}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_violations_are_repaired_where_they_are(name: str) -> None:
    region, expected = PLANTED[name]
    region = region.merged()
    assert kinds(region) == expected
    done = legal(region, RULES, BOX)
    assert done.after.passed
    assert done.before.findings
    assert raw_findings(region, RULES)
    assert raw_findings(done.region, RULES) == []
    changed = done.region ^ region
    assert done.changed_um2 == pytest.approx(changed.area() * 1e-6)
    assert 0 < done.changed_um2 < 0.04
    # elsewhere the outline is as it was, but for snapping
    assert (changed - done.near).sized(-1).is_empty()
    markers = kdb.Region()
    for finding in done.before.findings:
        markers.insert(kdb.DBox(*(finding.box or ())).to_itype(0.001))
    assert (done.near - markers.sized(350)).is_empty()
    assert (changed - kdb.Region(on_mask(BOX))).is_empty()


@pytest.mark.slow
@pytest.mark.parametrize(("radius", "rule"), [(0.09, 0.08), (0.12, 0.08), (0.12, 0.1), (0.15, 0.1)])
@pytest.mark.parametrize("seed", [1, 2])
def test_random_fields_become_legal(radius: float, rule: float, seed: int) -> None:
    step, n, m = 0.01, 160, margin(radius, 0.01)
    around = np.zeros((n + 2 * m + 2, n + 2 * m + 2))
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(n, n)), 10)
    around[: m + 1, m + 61 : m + 101] = 1
    around[m + 1 : -m - 1, m + 1 : -m - 1] = noise > 0
    field = Density((n + 2, n + 2), step, radius, around).filtered(around[m:-m, m:-m]).value
    region, rules = outline(field, step, BOX, guides=[Box(-0.3, 0.6, 0.0, 1.0)]), FreeFormRules(rule, rule)
    done = legal(region, rules, BOX)
    assert done.before.findings
    assert done.after.passed
    assert raw_findings(done.region, rules) == []
    assert ((done.region ^ region) - done.near).sized(-1).is_empty()
    assert done.changed_um2 < 0.05 * 1.6**2  # of the box
    assert (done.region & kdb.Region(GUIDE) ^ kdb.Region(GUIDE)).is_empty()


def test_legal_regions_stay() -> None:
    region = (kdb.Region(GUIDE) + bar(0, 600, 1600, 1000) + disc(500, 200, 150)).merged()
    done = legal(region, RULES, BOX)
    assert (done.region ^ region).is_empty()
    assert (done.rounds, done.changed_um2) == (0, 0.0)


def test_small_holes_are_filled_though_their_width_is_legal() -> None:
    hole = bar(750, 750, 850, 845)
    done = legal(disc(800, 800, 400) - hole, FreeFormRules(0.09, 0.09, area_um2=0.01), BOX)
    assert done.region.holes().is_empty()
    assert done.changed_um2 == pytest.approx(0.0095)


def test_what_lies_outside_the_box_is_left_alone() -> None:
    outside = bar(-300, 600, -240, 1000)  # 60 nm wide
    done = legal(outside + disc(800, 800, 300), RULES, BOX, rounds=2)
    assert not done.after.passed
    assert (done.region & outside ^ outside).is_empty()


# rules


def test_rules_take_the_place_of_those_of_the_layer() -> None:
    soi = load_deck(Path(picq.__file__).parents[1] / "pdk" / "soi220")
    changed = deck_of(soi, "waveguide", RULES)
    asked = {rule.kind: rule for rule in changed.rules if rule.layers == ("waveguide",)}
    assert (asked["width"].value_um, asked["space"].value_um) == (0.1, 0.1)
    assert asked["area"].value_um2 == pytest.approx(0.01)
    assert asked["acute_angle"].value_deg == 60
    others = lambda d: [r for r in d.rules if r.layers != ("waveguide",)]
    assert others(changed) == others(soi)
    assert asked["facet"] == soi.rule("waveguide.facet")
    names = [rule.id for rule in changed.rules]
    assert len(names) == len(set(names))
    with pytest.raises(SpecError, match="no such layer"):
        deck_of(soi, "silicon", RULES)


@pytest.mark.parametrize("limits", [{"width_um": 0.0}, {"space_um": np.nan}, {"area_um2": -1.0}, {"angle_deg": 90.0}])
def test_rules_refused(limits: dict) -> None:
    with pytest.raises(SpecError, match="the rule"):
        FreeFormRules(**{"width_um": 0.1, "space_um": 0.1, **limits})


# pixels


def test_weights_lie_around_the_markers() -> None:
    region = bar(200, 200, 270, 600) + bar(1000, 1000, 1200, 1400) + bar(1260, 1000, 1460, 1400)
    maps = weights(violations(region, RULES), deck(RULES), BOX, (160, 160), 0.01, reach=0.05)
    x, y = np.meshgrid(*[(np.arange(160) + 0.5) * 0.01] * 2, indexing="ij")

    def distance(left: float, bottom: float, right: float, top: float) -> np.ndarray:
        return np.hypot(np.maximum(0, np.abs(x - (left + right) / 2) - (right - left) / 2),
                        np.maximum(0, np.abs(y - (bottom + top) / 2) - (top - bottom) / 2))  # fmt: skip

    for got, box in ((maps.solid, (0.2, 0.2, 0.27, 0.6)), (maps.void, (1.2, 1.0, 1.26, 1.4))):
        # slope 1 / reach: a pixel and the steps of the rings blur it by a tenth
        expected = np.clip(2 - distance(*box) / 0.05, 0, 1)
        assert np.max(np.abs(got - expected)) < 0.15
        assert np.all(got[distance(*box) < 0.04] == pytest.approx(1))
        assert np.all(got[distance(*box) > 0.115] == 0)
    nothing = weights(violations(disc(800, 800, 400), RULES), deck(RULES), BOX, (160, 160), 0.01, reach=0.05)
    assert not np.any(nothing.solid)
    assert not np.any(nothing.void)


def test_targets_are_exact_shares() -> None:
    ramp = kdb.Region(kdb.Polygon([kdb.Point(*p) for p in ((0, 0), (40, 0), (40, 40))]))
    got = target(ramp + bar(5, 60, 25, 70), Box(0, 0, 0.04, 0.08), (2, 4), 0.02)
    assert got == pytest.approx(np.array([[0.5, 0, 0, 0.375], [1, 0.5, 0, 0.125]]))
    round_one = target(disc(800, 800, 400), BOX, (80, 80), 0.02)
    assert np.sum(round_one) * 0.02**2 == pytest.approx(disc(800, 800, 400).area() * 1e-6)
    with pytest.raises(SpecError, match="do not fill"):
        target(ramp, BOX, (80, 81), 0.02)
