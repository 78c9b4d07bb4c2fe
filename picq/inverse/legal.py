"""The nearest shape that keeps the rules: what is narrow cut or widened, gaps filled or widened, where markers are.

Regions are KLayout's, in database units; boxes in um.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import klayout.db as kdb
import numpy as np

from picq.inverse.contour import joined, on_mask
from picq.inverse.grid import Box
from picq.inverse.repair import FreeFormRules, Spot, deck, disc_of, polygons_of, spots_of, violations
from picq.signoff.report import Report

_FINER = 8  # grid of openings, per database unit: rounding would else leave slivers along every curve
_SLIVER = 1.0  # database units: what is thinner comes from snapping
_TAIL = 16  # database units over which what an opening takes away runs out as a sliver
_SLACK = 2  # database units by which repairs exceed a rule, so that snapping does not undo them
_RIDGE = 4  # database units between the erosions whose middles are looked for
_DISCS = 0.5, 0.72, 0.76, 0.8
"""Of the rule: radii with which one place is repaired, one after the other.

Half is right for bars. The check takes edges for facing each other up to 80 degrees from antiparallel, so at a round
end the chord of 90 degrees counts, and must be as wide as the rule: the radius is more than 0.707 of it.
"""


@dataclass(frozen=True, eq=False)
class Legalised:
    """A region after ``legal``, and what was done to it.

    Attributes:
        region: the region.
        near: the neighbourhoods of markers: elsewhere the outline is as it was, but for snapping where it was cut.
        before, after: the check's reports.
        changed_um2: area that was solid and is void, or the reverse.
        rounds: how often markers were looked for and repaired.
    """

    region: kdb.Region
    near: kdb.Region
    before: Report
    after: Report
    changed_um2: float
    rounds: int


Cost = Callable[[kdb.Region], float]
"""What a whole region is worth; less is better."""


def legal(
    region: kdb.Region,
    rules: FreeFormRules,
    box: Box,
    dbu: float = 0.001,
    rounds: int = 12,
    cost: Cost | None = None,
) -> Legalised:
    """A region that obeys ``rules``, changed near its markers and within ``box`` only.

    Each cluster of markers is repaired in four senses, and the one that leaves the fewest findings, then that which
    costs least, or changes the least area where no ``cost`` is given, is kept: what is narrow is cut (all that an
    opening with a disc as wide as the rule takes away) or widened by what it lacks, and a gap is filled (all that a
    closing adds) or widened. Two of these only take away or only add, so that they cannot come back to where they were.
    Islands below the smallest area are dropped; holes below it are filled, though no kind of rule asks for it. Rounds
    go on until nothing is found.

    Args:
        region: merged with what lies around the box, for the largest rule at least.
        rules: the rules.
        box: the design region, um.
        dbu: database unit, um.
        rounds: most of them.
        cost: of a region; asked of every sense that leaves no findings.

    Returns:
        The region; ``after.passed`` tells whether it is legal. What cannot be repaired within the box stays.

    Raises:
        SpecError: the box is not on the mask's grid.
    """
    frame, original = on_mask(box, dbu), joined(region, on_mask(box, dbu))
    asked = deck(rules, dbu)
    report = before = violations(original, rules, dbu)
    region, near, done = original, kdb.Region(), 0
    while True:
        region, holes = _without_pinholes(region, frame, round((rules.area_um2 or 0) / dbu**2))
        near += holes
        spots = spots_of(report, asked, dbu)
        if not spots or done == rounds:
            break
        region, around = _round(region, spots, rules, frame, dbu, done, cost)
        region, near, done = joined(region, frame), (near + around).merged(), done + 1
        report = violations(region, rules, dbu)
    report = violations(region, rules, dbu)
    return Legalised(region, near, before, report, (region ^ original).area() * dbu**2, done)


def clusters_of(spots: list[Spot], most: int) -> kdb.Region:
    """Places to repair: findings nearer to each other than a quarter of the largest rule, database units, together."""
    return polygons_of(spot.grown(most / 8) for spot in spots).merged()


def _without_pinholes(region: kdb.Region, frame: kdb.Box, area: int) -> tuple[kdb.Region, kdb.Region]:
    holes = region.holes().with_area(0, area, False) & kdb.Region(frame)
    return ((region + holes).merged(), holes.sized(_SLACK)) if not holes.is_empty() else (region, holes)


def _round(
    region: kdb.Region,
    spots: list[Spot],
    rules: FreeFormRules,
    frame: kdb.Box,
    dbu: float,
    done: int,
    cost: Cost | None,
) -> tuple[kdb.Region, kdb.Region]:
    """Every cluster of markers repaired once; the region and the neighbourhoods in which it may have changed."""
    most = round(max(rules.width_um, rules.space_um) / dbu)
    clusters = clusters_of(spots, most)
    cut, filled, zones = kdb.Region(), kdb.Region(), kdb.Region()
    for cluster in clusters.each_merged():
        core = kdb.Region(cluster)
        zone = core.sized(round(most * (1 + done / 4)))
        window = zone.bbox().enlarged(2 * most)
        here = ((region & kdb.Region(window)) - cut + filled) & kdb.Region(window)
        others = (clusters & kdb.Region(window)) - core
        rest = ((region - kdb.Region(window)) - cut + filled) - kdb.Region(window)
        worth = None if cost is None else lambda now, rest=rest: cost((now + rest).merged())
        place = _Place(zone, window, others, frame, rules, dbu, 1 + done / 12, worth)
        best = place.repaired(here.merged())
        cut = (cut + (here - best) - (best - here)).merged()
        filled = (filled + (best - here) - (here - best)).merged()
        zones += zone & kdb.Region(frame)
    region = ((region - cut) + filled).merged()
    return (_without_slivers(region) & zones) + (region - zones), zones


@dataclass(frozen=True, eq=False)
class _Place:
    """Where one cluster of markers is repaired; all in database units."""

    zone: kdb.Region  # what may change
    window: kdb.Box  # what is looked at: the zone and what lies within reach of any rule around it
    others: kdb.Region  # other clusters, which have their own turn
    frame: kdb.Box
    rules: FreeFormRules
    dbu: float
    larger: float  # discs than those of the first round
    worth: Cost | None  # of a content of the window

    def repaired(self, here: kdb.Region) -> kdb.Region:
        """The content of the window in that sense which leaves the fewest findings, then is worth most."""
        first = self._mine(here)
        best, score = here, (len(first), np.inf)  # any change is better than none: the next round sees another place
        for widen, fill in itertools.product((False, True), repeat=2):
            now, spots = here, first
            for disc in _DISCS:
                now = self._step(now, spots, disc * self.larger, widen, fill)
                changed = (now ^ here).area()
                if self.worth is None and score <= (0, changed):
                    break  # another sense is better
                spots = self._mine(now)
                value = changed if self.worth is None or spots else self.worth(now)
                if (len(spots), value) < score:
                    best, score = now, (len(spots), value)
                if not spots:
                    break
        return best

    def _mine(self, here: kdb.Region) -> list[Spot]:
        reach, mine = self.zone.bbox(), []
        for spot in spots_of(violations(here, self.rules, self.dbu), deck(self.rules, self.dbu), self.dbu):
            if not spot.marker.bbox().enlarged(1).touches(reach):
                continue
            if spot.kind == "area" and not spot.marker.bbox().inside(self.window.enlarged(-2)):
                continue  # cut by the window
            marker = kdb.Region(spot.grown(1))
            if self.zone.interacting(marker).count() and not self.others.interacting(marker).count():
                mine.append(spot)
        return mine

    def _step(self, here: kdb.Region, spots: list[Spot], disc: float, widen: bool, fill: bool) -> kdb.Region:
        islands = [spot for spot in spots if spot.kind == "area"]
        narrow = [spot for spot in spots if spot.kind in ("width", "acute_angle")]
        gaps = [spot for spot in spots if spot.kind == "space"]
        width, space = (round(disc * um / self.dbu) + _SLACK for um in (self.rules.width_um, self.rules.space_um))
        dropped = here.interacting(polygons_of(spot.grown(1) for spot in islands))
        now = here - dropped.with_area(0, round((self.rules.area_um2 or 0) / self.dbu**2), False)
        now = now + _ridges(now, width, narrow) if widen else _opened(now, width, narrow)
        whole = kdb.Region(self.window)
        now = whole - _opened(whole - now, space, gaps) if fill else now - _ridges(whole - now, space, gaps)
        may = self.zone & kdb.Region(self.frame)
        return joined((_without_slivers(now) & may) + (here - may), self.frame)


def _without_slivers(region: kdb.Region) -> kdb.Region:
    """Whiskers and slits thinner than two database units taken out; corners come back to where they were."""
    return _coarser(_finer(region).sized(-_FINER).sized(2 * _FINER).sized(-_FINER)).merged()


def _opened(part: kdb.Region, radius: int, spots: list[Spot]) -> kdb.Region:
    """``part`` without what an opening with a disc takes away at the spots."""
    if not spots:
        return part
    fine, sliver = _finer(part), round(_SLIVER / 2 * _FINER)
    opened = fine.sized(-radius * _FINER).minkowski_sum(disc_of(radius * _FINER)).merged() & fine
    lost = (fine - opened).sized(-sliver).sized(sliver).merged()
    lost = lost.interacting(_finer(polygons_of(spot.grown(2) for spot in spots)))
    around = _coarser(lost.sized(_TAIL * _FINER)).merged()
    return (part - around) + (_coarser(opened).merged() & around)


def _ridges(part: kdb.Region, radius: int, spots: list[Spot]) -> kdb.Region:
    """Discs as wide as the rule along the middle of what is thin at the spots.

    The middle is Lantuejoul's skeleton: what an opening takes away from each erosion (Serra, Image Analysis and
    Mathematical Morphology, 1982, ch. XI).
    """
    if not spots:
        return kdb.Region()
    near = polygons_of(spot.grown(2) for spot in spots)
    seen = kdb.Region(near.bbox().enlarged(2 * radius))  # all that matters for their middle
    part, middle = _finer(part & seen), kdb.Region()
    for eroded in (part.sized(-by * _FINER) for by in range(0, radius, _RIDGE)):
        thin = round(0.75 * _RIDGE * _FINER)
        middle += eroded - eroded.sized(-thin).sized(thin)
    return _coarser((middle & _finer(near)).minkowski_sum(disc_of(radius * _FINER)).merged())


def _finer(region: kdb.Region) -> kdb.Region:
    return region.transformed(kdb.ICplxTrans(_FINER))


def _coarser(region: kdb.Region) -> kdb.Region:
    return region.transformed(kdb.ICplxTrans(1 / _FINER))
