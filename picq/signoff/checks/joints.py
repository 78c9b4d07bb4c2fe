"""Where waveguides meet: gaps, offsets, unequal widths, plain crossings and overlapping cells.

On the merged mask a joint without defect leaves no trace. An offset or a change of width leaves a step: a short edge at
right angles between two edges of one direction. Snapping makes steps of up to 2 nm at joints of slanted waveguides, so
only axis-parallel ones are held to the database unit.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import klayout.db as kdb

from picq.signoff.checks.mask import Mask
from picq.signoff.report import Finding
from picq.signoff.rules import Rule

BACKED_UM = 0.5  # this much waveguide stands behind an end and beside a joint; teeth of gratings are shorter
LEAST_WIDTH_UM = 0.1  # of a waveguide
LEAST_SIDE_UM = 0.02  # the first facet of a curve may be this short
STEP_UM = 0.5  # higher steps are shoulders of devices


def joint_gap(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Ends of two waveguides that face each other across a gap."""
    region = mask.region(rule.layer)
    corners = region.corners_edge_pairs(-92.0, -88.0)
    ends = (corners.first_edges() & corners.second_edges()).with_length(
        mask.steps(LEAST_WIDTH_UM), mask.steps(rule.width_um) + 1, False
    )
    for pair in ends.space_check(mask.steps(rule.value_um), False, kdb.Metrics.Projection, 10.0).each():
        if all(_is_backed(mask, rule.layer, end) for end in (pair.first, pair.second)):
            got = mask.um(pair.distance())
            message = f"gap of {got:g} um between two waveguide ends"
            yield mask.finding(rule, message, pair, measured=got, limit=rule.value_um, unit="um")


def _is_backed(mask: Mask, layer: str, end: kdb.Edge) -> bool:
    depth = mask.steps(BACKED_UM)
    quarter = end.d() * 0.25
    behind = kdb.Edges([kdb.Edge(end.p1 + quarter, end.p2 - quarter)]).extended(0, 0, 0, depth, False)
    return (behind - mask.near(layer, behind.bbox())).sized(-1).is_empty()


@dataclass(frozen=True)
class _Joint:
    """A step in a waveguide: where, how far the centre jumps and how much wider it gets, in database units."""

    place: kdb.Box
    offset: float
    widening: float


def joint_offset(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Joints of two waveguides that are laterally offset."""
    for joint in mask.once(f"joints {rule.layer} {rule.width_um}", lambda: list(_joints(mask, rule))):
        if joint.offset > 0:
            got = mask.um(joint.offset)
            message = f"waveguides meet with a lateral offset of {got:g} um"
            yield mask.finding(rule, message, joint.place, measured=got, limit=0.0, unit="um")


def joint_width(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Joints of two waveguides of different widths."""
    for joint in mask.once(f"joints {rule.layer} {rule.width_um}", lambda: list(_joints(mask, rule))):
        if joint.widening > 0:
            got = mask.um(joint.widening)
            message = f"waveguides meet with widths that differ by {got:g} um"
            yield mask.finding(rule, message, joint.place, measured=got, limit=0.0, unit="um")


def _joints(mask: Mask, rule: Rule) -> Iterator[_Joint]:
    steps = _steps(mask, rule.layer)
    tile = mask.steps(BACKED_UM)
    tiles: dict[tuple[int, int], list[_Step]] = {}
    for step in steps:
        tiles.setdefault((step.middle.x // tile, step.middle.y // tile), []).append(step)
    seen: list[kdb.Box] = []
    for step in steps:
        if max(step.before.length(), step.after.length()) < tile or not _is_alone(step, tiles, tile):
            continue
        if (joint := _joint(mask, rule, step)) is not None:
            if not any(joint.place.touches(box) for box in seen[-64:]):
                yield joint
            seen.append(joint.place)


@dataclass(frozen=True)
class _Step:
    before: kdb.Edge
    rise: kdb.Edge
    after: kdb.Edge

    @property
    def middle(self) -> kdb.Point:
        return self.rise.bbox().center()

    @property
    def along(self) -> tuple[float, float]:
        longer = max(self.before, self.after, key=lambda edge: edge.length())
        return longer.dx() / longer.length(), longer.dy() / longer.length()


def _steps(mask: Mask, layer: str) -> list[_Step]:
    """Short edges between a convex and a concave corner, each beside an edge no shorter."""
    region = mask.region(layer)
    most, side = mask.steps(STEP_UM), mask.steps(LEAST_SIDE_UM)
    convex, concave = (
        list(region.corners_edge_pairs(low, high).with_length(0, most, False).with_length(side, None, False).each())
        for low, high in ((-105.0, -75.0), (75.0, 105.0))
    )
    found = []
    for ends, starts in ((convex, concave), (concave, convex)):
        leaving = {_key(pair.first): pair for pair in starts}
        for pair in ends:
            if (then := leaving.get(_key(pair.second))) is not None:
                step = _Step(pair.first, pair.second, then.second)
                tall, beside = step.rise.length(), min(step.before.length(), step.after.length())
                slanted = step.along[0] != 0 and step.along[1] != 0
                drawn = tall > mask.tolerance if slanted else True
                if drawn and tall < most and beside >= max(side, tall):
                    found.append(step)
    found.sort(key=lambda step: (step.middle.x, step.middle.y))
    return found


def _key(edge: kdb.Edge) -> tuple[int, int, int, int]:
    return edge.x1, edge.y1, edge.x2, edge.y2


def _is_alone(step: _Step, tiles: dict[tuple[int, int], list[_Step]], tile: int) -> bool:
    """No other step follows within the backing length on the same side: corrugated gratings are no joints."""
    ux, uy = step.along
    column, row = step.middle.x // tile, step.middle.y // tile
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            for other in tiles.get((column + dx, row + dy), []):
                x, y = other.middle.x - step.middle.x, other.middle.y - step.middle.y
                if tile / 50 < abs(x * ux + y * uy) < tile and abs(x * uy - y * ux) < tile / 5:
                    return False
    return True


def _joint(mask: Mask, rule: Rule, step: _Step) -> _Joint | None:
    """Cut the mask across on both sides of a step; None when one side is no waveguide."""
    ux, uy = step.along
    reach = mask.steps(rule.width_um) + mask.steps(STEP_UM)
    back = mask.steps(LEAST_SIDE_UM) // 2
    near = mask.near(rule.layer, kdb.Box(step.middle, step.middle).enlarged(reach + back))
    sides = []
    for corner, shift in ((step.rise.p1, -back), (step.rise.p2, back)):
        x, y = corner.x + shift * ux, corner.y + shift * uy
        # material lies on the right of an outline
        cut = kdb.Edge(round(x - 5 * uy), round(y + 5 * ux), round(x + reach * uy), round(y - reach * ux))
        pieces = sorted((kdb.Edges([cut]) & near).each(), key=lambda piece: math.dist((x, y), (piece.p1.x, piece.p1.y)))
        if not pieces or not mask.steps(LEAST_WIDTH_UM) <= pieces[0].length() <= mask.steps(rule.width_um):
            return None
        sides.append(pieces[0])
    before, after = sides
    near_step = (after.p1.x - before.p1.x) * uy - (after.p1.y - before.p1.y) * ux
    far_step = (after.p2.x - before.p2.x) * uy - (after.p2.y - before.p2.y) * ux
    slack = 0.5 if ux == 0 or uy == 0 else mask.tolerance
    offset = abs(near_step + far_step) / 2 if near_step * far_step > 0 else 0.0
    widening = abs(far_step - near_step)
    place = before.bbox() + after.bbox()
    return _Joint(place, offset if offset > slack else 0.0, widening if widening > slack else 0.0)


def crossing(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Two plain waveguides across each other: four concave corners at the crossing of two pairs of parallel edges."""
    widest = mask.steps(rule.width_um)
    region = mask.region(rule.layer)
    concave = region.corners_edge_pairs(15.0, 165.0).with_length_both(mask.steps(BACKED_UM), None, False)
    corners = sorted(concave.each(), key=lambda pair: (pair.first.p2.x, pair.first.p2.y))
    for i, first in enumerate(corners):
        around = [first]
        for other in corners[i + 1 :]:
            if other.first.p2.x - first.first.p2.x > 2 * widest:
                break
            if abs(other.first.p2.y - first.first.p2.y) <= 2 * widest:
                around.append(other)
        if len(around) == 4 and _is_plain_crossing(around, widest):
            patch = kdb.Polygon([pair.first.p2 for pair in around]).bbox()
            yield mask.finding(rule, "two waveguides cross without a crossing device", patch)


def _is_plain_crossing(corners: Sequence[kdb.EdgePair], widest: int) -> bool:
    x = sum(pair.first.p2.x for pair in corners) / 4
    y = sum(pair.first.p2.y for pair in corners) / 4
    # clockwise, as outlines run: the arm between two corners leaves along the first one's outgoing edge
    ring = sorted(corners, key=lambda pair: -math.atan2(pair.first.p2.y - y, pair.first.p2.x - x))
    for this, following in zip(ring, ring[1:] + ring[:1], strict=True):
        out, back = this.second.d(), following.first.d()
        skew = abs(math.atan2(out.x * back.y - out.y * back.x, -(out.x * back.x + out.y * back.y)))
        if skew > math.radians(1) or this.first.p2.distance(following.first.p2) > 2 * widest:
            return False
    return True


def overlapping_instances(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Placed cells of one parent whose waveguides overlap; cells that abut do not."""
    index = mask.layer_index.get(rule.layer)
    if index is None:
        return
    shrink = mask.steps(rule.value_um) // 2
    for cell in mask.cells():
        for i, (first, box) in enumerate(placed := _placed(cell, index)):
            for k in range(i + 1, len(placed)):
                other, other_box = placed[k]
                if other_box.left >= box.right:
                    break
                common = box & other_box
                if common.width() <= 2 * shrink or common.height() <= 2 * shrink:
                    continue
                shapes = (_shapes_of(instance, index, common) for instance in (first, other))
                both = kdb.Region.__and__(*shapes).sized(-shrink)
                if not both.is_empty():
                    at, _ = mask.placements(cell)
                    message = f"cells {first.cell.name} and {other.cell.name} overlap in {cell.name}"
                    yield mask.finding(rule, message, both.sized(shrink).bbox().transformed(at))


def _placed(cell: kdb.Cell, layer: int) -> list[tuple[kdb.Instance, kdb.Box]]:
    placed = [(instance, instance.bbox(layer)) for instance in cell.each_inst()]
    return sorted(((i, box) for i, box in placed if not box.empty()), key=lambda item: (item[1].left, item[1].bottom))


def _shapes_of(instance: kdb.Instance, layer: int, box: kdb.Box) -> kdb.Region:
    shapes = kdb.Region()
    for trans in instance.cell_inst.each_cplx_trans():
        local = box.transformed(trans.inverted()).enlarged(1)
        shapes += kdb.Region(instance.cell.begin_shapes_rec_touching(layer, local)).transformed(trans)
    return shapes
