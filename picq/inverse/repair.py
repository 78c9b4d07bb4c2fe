"""Design rules of free-form regions: what violates them, and where that is on the pixels.

Regions are KLayout's, in database units; boxes and steps in um. What is asked and how it is measured is the sign-off's
own check (``picq.signoff.drc``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import klayout.db as kdb
import numpy as np

from picq.errors import SpecError
from picq.inverse.contour import layout, on_mask
from picq.inverse.grid import Box
from picq.signoff.drc import check_layout
from picq.signoff.report import Report
from picq.signoff.rules import Rule, RuleDeck

SOLID, VOID = ("width", "area", "acute_angle"), ("space", "notch")
"""Kinds of rules that solid or void breaks by being too small."""

_LAYER = "free_form"
_CORNERS = 16  # of a disc that a marker is grown by: 2 % of its radius
_RINGS = 8  # steps of the slope of the weights


@dataclass(frozen=True)
class FreeFormRules:
    """The rules that a free-form region is held to.

    Args:
        width_um, space_um: narrowest solid and gap, notches included, um.
        area_um2: smallest island, um²; None is the square of the width.
        angle_deg: most pointed tip, degrees. Below 45 degrees a tip breaks the width, and a notch the space, anyway.
        source: where the limits come from.

    Raises:
        SpecError: limits that are not positive, angles of 90 degrees or more.
    """

    width_um: float
    space_um: float
    area_um2: float | None = None
    angle_deg: float = 60.0
    source: str = "assumed"

    def __post_init__(self) -> None:
        if self.area_um2 is None:
            object.__setattr__(self, "area_um2", round(self.width_um**2, 12))
        for name in ("width_um", "space_um", "area_um2", "angle_deg"):
            if not 0 < getattr(self, name) < np.inf:
                raise SpecError(f"the rule {name}", got=getattr(self, name), allowed="above 0")
        if self.angle_deg >= 90:
            remedy = "rectangles are legal: stay below"
            raise SpecError("the rule angle_deg", got=self.angle_deg, allowed="below 90 degrees", remedy=remedy)

    def rules(self, layer: str) -> tuple[Rule, ...]:
        """Width, space, area and acute angle of ``layer``."""
        rule = lambda kind, **limit: Rule(f"{layer}.{kind}", kind, self.source, (layer,), **limit)
        return (
            rule("width", value_um=self.width_um),
            rule("space", value_um=self.space_um),
            rule("area", value_um2=self.area_um2),
            rule("acute_angle", value_deg=self.angle_deg),
        )


def deck(rules: FreeFormRules, dbu: float = 0.001) -> RuleDeck:
    """A deck of these rules only, on a layer ``free_form`` (1/0)."""
    return RuleDeck("free_form", {_LAYER: (1, 0)}, rules.rules(_LAYER), dbu)


def deck_of(technology: RuleDeck, layer: str, rules: FreeFormRules) -> RuleDeck:
    """The deck of a technology with ``rules`` for width, space, notch, area and acute angle of ``layer``.

    Raises:
        SpecError: the technology has no such layer.
    """
    if layer not in technology.layers:
        raise SpecError(f"no such layer in {technology.technology}", got=layer, allowed=", ".join(technology.layers))
    kept = [rule for rule in technology.rules if rule.layers != (layer,) or rule.kind not in (*SOLID, *VOID)]
    return replace(technology, rules=(*kept, *rules.rules(layer)))


def violations(region: kdb.Region, rules: FreeFormRules, dbu: float = 0.001) -> Report:
    """What ``check_layout`` finds against ``rules``."""
    asked = deck(rules, dbu)
    return check_layout(layout(region, asked.layers[_LAYER], dbu), asked, deep=False)


# markers on pixels


class Weights(NamedTuple):
    """Where solid and where void is too small, 0 to 1, each [nx, ny]."""

    solid: np.ndarray
    void: np.ndarray


def weights(
    report: Report, asked: RuleDeck, box: Box, shape: tuple[int, int], step: float, reach: float, dbu: float = 0.001
) -> Weights:
    """Maps for local penalties: 1 up to ``reach`` from a marker, then straight down to 0 at twice that.

    Args:
        report: of the check; findings of other kinds than ``SOLID`` and ``VOID`` have no place in the maps.
        asked: its deck, which tells the kinds.
        box: the design region, um.
        shape: pixels along x and y.
        step: edge of a pixel, um.
        reach: um.
        dbu: database unit, um.

    Raises:
        SpecError: a reach that is not positive; pixels as for ``target``.
    """
    if not reach > 0:
        raise SpecError("the reach of the weights", got=f"{reach} um", allowed="above 0")
    spots = spots_of(report, asked, dbu)

    def near(kinds: tuple[str, ...]) -> np.ndarray:
        chosen = [spot for spot in spots if spot.kind in kinds]
        rings = reach / dbu * (1 + (np.arange(_RINGS) + 0.5) / _RINGS)
        covered = [target(polygons_of(s.grown(by) for s in chosen), box, shape, step, dbu) for by in rings]
        return np.mean(covered, axis=0)

    return Weights(near(SOLID), near(VOID))


def target(region: kdb.Region, box: Box, shape: tuple[int, int], step: float, dbu: float = 0.001) -> np.ndarray:
    """Share of each pixel that ``region`` covers, [nx, ny], exact: what an optimiser shall come near to.

    Raises:
        SpecError: pixels that do not fill the box, or are not on the mask's grid.
    """
    frame, pixel = on_mask(box, dbu), round(step / dbu)
    if abs(pixel - step / dbu) > 1e-6 or (shape[0] * pixel, shape[1] * pixel) != (frame.width(), frame.height()):
        raise SpecError("the pixels do not fill the box", got=f"{shape} of {step} um", allowed=f"{tuple(box)} um")
    covered = region.merged().rasterize(frame.p1, kdb.Vector(pixel, pixel), *shape)
    return np.array(covered, float).T / pixel**2


class Spot(NamedTuple):
    """A finding, in database units."""

    kind: str
    marker: kdb.Polygon | kdb.Edge

    def grown(self, by: float) -> kdb.Polygon:
        """All points nearer than ``by``."""
        if isinstance(self.marker, kdb.Edge) and self.marker.is_degenerate():
            return disc_of(by).moved(self.marker.p1 - kdb.Point())
        return disc_of(by).minkowski_sum(self.marker, True)  # pyright: ignore[reportArgumentType]


@lru_cache(512)
def disc_of(radius: float) -> kdb.Polygon:
    """Around the circle, so that what is grown is grown enough."""
    angles = 2 * np.pi * (np.arange(_CORNERS) + 0.5) / _CORNERS
    corners = np.round(radius / np.cos(np.pi / _CORNERS) * np.array([np.cos(angles), np.sin(angles)])).astype(int)
    return kdb.Polygon([kdb.Point(x, y) for x, y in corners.T.tolist()])


def spots_of(report: Report, asked: RuleDeck, dbu: float) -> list[Spot]:
    found = []
    for finding in report.findings:
        rule = asked.rule(finding.check)
        if rule.kind not in (*SOLID, *VOID) or finding.box is None:
            continue
        box = kdb.DBox(*finding.box).to_itype(dbu)
        marker = kdb.DPolygon([kdb.DPoint(x, y) for x, y in finding.polygon]).to_itype(dbu)
        if rule.kind == "acute_angle":  # its box is drawn around the tip
            marker = kdb.Edge(box.center(), box.center())
        elif marker.area() == 0:
            marker = kdb.Polygon(box) if box.area() else kdb.Edge(box.p1, box.p2)
        found.append(Spot(rule.kind, marker))
    return found


def polygons_of(polygons: Iterable[kdb.Polygon]) -> kdb.Region:
    region = kdb.Region()
    for polygon in polygons:
        region.insert(polygon)
    return region.merged()
