"""A layout under one top cell as the checks see it: layers by name, lengths in um on the file's own database unit."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import klayout.db as kdb

from picq.signoff.report import Finding
from picq.signoff.rules import Rule, RuleDeck

T = TypeVar("T")

TOLERANCE_UM = 0.002  # vertices of curves sit up to half a database unit off on each side of a width or a gap
IGNORE_ANGLE = 80.0  # steeper edges do not face each other; tips are found by their angle
EXACT_RUN_UM = 0.1  # axis-parallel violations at least this long are drawn, not snapped, and get no tolerance
REUSE_FOR_DEEP = 4.0  # hierarchical processing costs about four times as much for each stored vertex


def stored_and_flat_vertices(layout: kdb.Layout, top: kdb.Cell, layers: Iterable[int]) -> tuple[int, int]:
    """Number of polygon vertices below ``top`` as stored and as flattened: their ratio is the reuse."""
    called = {*top.called_cells(), top.cell_index()}
    placed = {top.cell_index(): 1}
    stored = flat = 0
    layers = list(layers)
    for index in layout.each_cell_top_down():
        if index not in called:
            continue
        cell, times = layout.cell(index), placed.get(index, 0)
        own = sum(_num_points(shape) for layer in layers for shape in cell.shapes(layer).each())
        stored += own
        flat += own * times
        for instance in cell.each_inst():
            placed[instance.cell_index] = placed.get(instance.cell_index, 0) + times * instance.size()
    return stored, flat


def _num_points(shape: kdb.Shape) -> int:
    if shape.is_box():
        return 4
    return shape.polygon.num_points() if shape.is_polygon() or shape.is_path() else 0


class Mask:
    """One top cell with the deck's layers, merged once each and processed flat or hierarchically.

    Args:
        layout: the layout; it is only read.
        top: the cell under which everything is checked.
        deck: gives the layers their names.
        deep: hierarchical processing; None chooses it where cells are reused enough to pay.
    """

    def __init__(self, layout: kdb.Layout, top: kdb.Cell, deck: RuleDeck, deep: bool | None = None) -> None:
        self.layout = layout
        self.top = top
        self.deck = deck
        self.dbu = layout.dbu
        self.layer_index = {
            name: index for name, (layer, datatype) in deck.layers.items()
            if (index := layout.find_layer(layer, datatype)) is not None
        }  # fmt: skip
        self.stored, self.flat = stored_and_flat_vertices(layout, top, self.layer_index.values())
        self.deep = self.flat >= REUSE_FOR_DEEP * max(self.stored, 1) if deep is None else deep
        self.tolerance = max(math.ceil(TOLERANCE_UM / self.dbu - 1e-6), 2)
        self._store = kdb.DeepShapeStore()
        self._regions: dict[str, kdb.Region] = {}
        self._kept: dict[str, Any] = {}

    def cells(self) -> Iterator[kdb.Cell]:
        """The top cell and all cells below it, top down."""
        called = {*self.top.called_cells(), self.top.cell_index()}
        for index in self.layout.each_cell_top_down():
            if index in called:
                yield self.layout.cell(index)

    def region(self, name: str) -> kdb.Region:
        """Everything on a layer, merged; empty when the file lacks the layer."""
        if name not in self._regions:
            region = kdb.Region()
            if (index := self.layer_index.get(name)) is not None:
                shapes = self.top.begin_shapes_rec(index)
                region = kdb.Region(shapes, self._store) if self.deep else kdb.Region(shapes)
                region.merge()
            self._regions[name] = region
        return self._regions[name]

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What ``make`` returned the first time, for what several rules ask."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def near(self, name: str, box: kdb.Box) -> kdb.Region:
        """The shapes of a layer that touch a box, flat."""
        index = self.layer_index.get(name)
        return kdb.Region() if index is None else kdb.Region(self.top.begin_shapes_rec_touching(index, box))

    def steps(self, um: float) -> int:
        """A limit in database units: a whole number of them is below it exactly when it is below the limit in um."""
        return math.ceil(um / self.dbu - 1e-6)

    def um(self, steps: float) -> float:
        """Database units as um, without the noise of the product."""
        return round(steps * self.dbu, 7)

    def placements(self, cell: kdb.Cell) -> tuple[kdb.ICplxTrans, int]:
        """Where a cell first stands under the top cell, and how many times it is placed in all."""
        return self.once(f"placements {cell.cell_index()}", lambda: self._placements(cell))

    def _placements(self, cell: kdb.Cell) -> tuple[kdb.ICplxTrans, int]:
        if cell.cell_index() == self.top.cell_index():
            return kdb.ICplxTrans(), 1
        iterator = kdb.RecursiveInstanceIterator(self.layout, self.top)
        iterator.targets = [cell.cell_index()]
        first: kdb.ICplxTrans | None = None
        count = 0
        while not iterator.at_end():
            if first is None:
                first = iterator.trans() * iterator.inst_trans()
            count += 1
            iterator.next()
        return first or kdb.ICplxTrans(), count

    def finding(
        self,
        rule: Rule,
        message: str,
        place: kdb.Box | kdb.Polygon | kdb.EdgePair | None = None,
        *,
        measured: float | None = None,
        limit: float | None = None,
        unit: str = "",
    ) -> Finding:
        """A finding of this rule; the place is in database units under the top cell."""
        outline: kdb.Polygon | None = None
        if isinstance(place, kdb.EdgePair):
            outline = place.polygon(0)
        elif isinstance(place, kdb.Polygon):
            outline = place
        points = () if outline is None else tuple((self.um(p.x), self.um(p.y)) for p in outline.each_point_hull())
        box = place if isinstance(place, kdb.Box) or place is None else place.bbox()
        return Finding(
            check=rule.id,
            severity=rule.severity,
            message=message,
            box=None if box is None else (self.um(box.left), self.um(box.bottom), self.um(box.right), self.um(box.top)),
            polygon=points,
            measured=measured,
            limit=limit,
            unit=unit,
            source=rule.source,
        )
