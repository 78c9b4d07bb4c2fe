"""The canonical mask: the same geometry gives the same bytes, whatever drew it, in whatever order or cache.

KLayout and gdsfactory write cells and shapes in the order in which they were made, and name cells by counters and
settings. Here a fresh layout is filled bottom-up: every cell is named after the hash of its content, identical cells
become one, and cells, shapes and instances are sorted by content. Properties, PCell context and time stamps are left
out: they change with the tools, and metadata makes other readers fail (gdsfactory issue 3083).
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import klayout.db as kdb

from picq.errors import LayoutError
from picq.signoff.atomic import write_file
from picq.signoff.drc import read_layout

if TYPE_CHECKING:
    import gdsfactory as gf

DBU = 0.001
"""Database unit of every mask that is written, um."""

MOST_VERTICES = 4000
"""Larger polygons are split: readers exist that fail above 8,191 points."""

LONGEST_NAME = 32
"""Characters of a cell name that every flow takes (the GDSII manual of 1987)."""

_HASH_DIGITS = 8


@dataclass(frozen=True)
class MaskHashes:
    """What identifies a written mask.

    Attributes:
        gds_sha256: of the bytes of the GDSII file.
        oas_sha256: of the bytes of the OASIS file.
        geometry_sha256: of the merged outlines and the texts of each layer: the same for another hierarchy.
    """

    gds_sha256: str
    oas_sha256: str
    geometry_sha256: str


def write_mask(source: "gf.Component | kdb.Layout", gds: Path, oas: Path, top_cell: str) -> MaskHashes:
    """Write a cell and all below it as canonical GDSII and OASIS files, and read both back.

    Args:
        source: the drawn chip: a gdsfactory component, or a layout with one top cell; database unit 1 nm.
        gds: the GDSII file to write.
        oas: the OASIS file to write.
        top_cell: name of the top cell in the files.

    Raises:
        LayoutError: the cell cannot be written faithfully (see ``canonical``), a file cannot be written, or what was
            read back differs from what was drawn.
    """
    layout = canonical(source, top_cell)
    gds_bytes, oas_bytes = _bytes(layout, "GDS2"), _bytes(layout, "OASIS")
    for path, content in ((gds, gds_bytes), (oas, oas_bytes)):
        write_file(path, content)
        if differences := compare_masks(path, layout):
            raise LayoutError(
                f"{path.name}, read back, is not what was drawn",
                got="; ".join(differences),
                remedy="export again; if it happens again, the disk or KLayout is at fault",
            )
    return MaskHashes(
        hashlib.sha256(gds_bytes).hexdigest(), hashlib.sha256(oas_bytes).hexdigest(), geometry_hash(layout)
    )


def canonical(source: "gf.Component | kdb.Layout", top_cell: str) -> kdb.Layout:
    """A fresh layout with the same geometry and texts as ``source``, whose order and names follow from them alone.

    Boxes and paths become polygons, polygons above 4,000 vertices are split (new vertices lie on the 1 nm grid), cells
    without content are left out.

    Raises:
        LayoutError: the name of the top cell is not allowed, the database unit is not 1 nm, there is nothing to write,
            or a shape has no area.
    """
    if not re.fullmatch(rf"[A-Za-z0-9_]{{1,{LONGEST_NAME}}}", top_cell):
        raise LayoutError(
            "the name of the top cell is not allowed",
            got=repr(top_cell),
            allowed=f"1 to {LONGEST_NAME} letters, digits and _",
            remedy="change top_cell in the layout's plan",
        )
    drawn = _top(source)
    if abs(drawn.layout().dbu - DBU) > 1e-12:
        raise LayoutError("the layout has another grid", got=f"{drawn.layout().dbu:g} um", allowed=f"{DBU:g} um")
    wanted = {drawn.cell_index(), *drawn.called_cells()}
    contents: dict[int, _Content] = {}
    for index in drawn.layout().each_cell_bottom_up():
        if index in wanted:
            contents[index] = _Content.of(drawn.layout().cell(index), contents)
    top = contents[drawn.cell_index()]
    if top.empty:
        raise LayoutError("the mask is empty", got=drawn.name, remedy="draw something before exporting it")
    return _filled(contents, top, top_cell)


def _top(source: "gf.Component | kdb.Layout") -> kdb.Cell:
    if not isinstance(source, kdb.Layout):
        source.insert_vinsts()  # instances at arbitrary angles exist only beside the cell until here
        return source.kdb_cell
    if len(source.top_cells()) != 1:
        names = ", ".join(cell.name for cell in source.top_cells())
        raise LayoutError("the layout has not one top cell", got=names or "none", allowed="exactly one top cell")
    return source.top_cell()


def compare_masks(path: Path, layout: kdb.Layout) -> tuple[str, ...]:
    """Read a mask file and compare it with a layout by geometry; empty when they are the same.

    The exclusive or of each layer has to be empty, and texts, top cell and database unit have to agree.

    Raises:
        LayoutError: the file cannot be read.
    """
    written = read_layout(path)
    found = []
    names = [[cell.name for cell in one.top_cells()] for one in (written, layout)]
    if names[0] != names[1]:
        found.append(f"top cells {', '.join(names[0])} instead of {', '.join(names[1])}")
    if abs(written.dbu - layout.dbu) > 1e-12:
        return (*found, f"database unit {written.dbu:g} um instead of {layout.dbu:g} um")
    for layer in sorted({*_layers(written), *_layers(layout)}):
        difference = _region(written, layer) ^ _region(layout, layer)
        if not difference.is_empty():
            box = difference.bbox().to_dtype(layout.dbu)
            found.append(f"layer {layer[0]}/{layer[1]} differs by {difference.area()} nm² within {box} um")
        if _texts(written, layer) != _texts(layout, layer):
            found.append(f"texts on layer {layer[0]}/{layer[1]} differ")
    return tuple(found)


def geometry_hash(layout: kdb.Layout) -> str:
    """SHA-256 of each layer's merged outlines and texts, flat: it does not see cells, splits and overlaps."""
    digest = hashlib.sha256()
    for layer in sorted(_layers(layout)):
        outlines = sorted(str(polygon) for polygon in _region(layout, layer).merged().each())
        texts = _texts(layout, layer)
        if outlines or texts:
            digest.update("\n".join([f"{layer[0]}/{layer[1]}", *outlines, *texts, ""]).encode())
    return digest.hexdigest()


Layer = tuple[int, int]


@dataclass(frozen=True)
class _Content:
    """A cell as sorted text and objects; two cells with the same ``digest`` are the same."""

    base: str
    digest: str
    polygons: tuple[tuple[Layer, kdb.Polygon], ...]
    texts: tuple[tuple[Layer, kdb.Text], ...]
    instances: tuple[tuple[str, kdb.CellInstArray], ...]  # digest of the child, placement

    @property
    def empty(self) -> bool:
        return not (self.polygons or self.texts or self.instances)

    @staticmethod
    def of(cell: kdb.Cell, below: "dict[int, _Content]") -> "_Content":
        polygons, texts = [], []
        for index in cell.layout().layer_indexes():
            info = cell.layout().get_info(index)
            layer = (info.layer, info.datatype)
            for shape in cell.shapes(index).each():
                if shape.is_text():
                    texts.append((layer, shape.text))
                else:
                    polygons += [(layer, polygon) for polygon in _polygons(shape, cell, layer)]
        polygons.sort(key=lambda item: (item[0], str(item[1])))
        texts.sort(key=lambda item: (item[0], str(item[1])))
        instances = [
            (below[instance.cell_index].digest, instance.cell_inst)
            for instance in cell.each_inst()
            if not below[instance.cell_index].empty
        ]
        instances.sort(key=lambda item: (item[0], _placement(item[1])))
        lines = [f"polygon {layer} {polygon}" for layer, polygon in polygons]
        lines += [f"text {layer} {text}" for layer, text in texts]
        lines += [f"cell {child} {_placement(placed)}" for child, placed in instances]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return _Content(_basename(cell.name), digest, tuple(polygons), tuple(texts), tuple(instances))


def _polygons(shape: kdb.Shape, cell: kdb.Cell, layer: Layer) -> Iterator[kdb.Polygon]:
    """A shape as polygons without holes, of at most MOST_VERTICES vertices."""
    polygon = shape.polygon  # None for edges and other shapes that a mask cannot hold
    if polygon is None or polygon.area() == 0:
        raise LayoutError(
            f"a shape on layer {layer[0]}/{layer[1]} of cell {cell.name} has no area",
            got=str(shape),
            remedy="remove it: a mask writer drops it or fails on it",
        )
    whole = polygon.resolved_holes().compress(False) if polygon.holes() else polygon.compress(False)
    waiting = [whole]
    while waiting:
        part = waiting.pop()
        if part.num_points() > MOST_VERTICES:
            waiting += part.split()
        else:
            yield part


def _placement(placed: kdb.CellInstArray) -> str:
    t = placed.cplx_trans
    array = f" {placed.na}*{placed.a} {placed.nb}*{placed.b}" if placed.is_regular_array() else ""
    # as text of a fixed length: the last bits of an angle come from trigonometry
    return f"{t.is_mirror()} {t.angle % 360.0:.9f} {t.mag:.9f} {t.disp}{array}"


def _basename(name: str) -> str:
    """The leading words of a cell's name, up to where settings, counters and hashes begin: ``bend_euler_R10`` …"""
    first, *others = re.findall(r"[A-Za-z0-9]+", name) or ["cell"]
    words = [first]
    for word in others:
        if not re.fullmatch(r"[a-z]{1,16}", word):
            break
        words.append(word)
    return "_".join(words)[: LONGEST_NAME - _HASH_DIGITS - 1]


def _filled(contents: dict[int, _Content], top: _Content, top_cell: str) -> kdb.Layout:
    """A layout with each content once, in an order that depends on the contents alone."""
    base: dict[str, str] = {}
    distinct: dict[str, _Content] = {}
    for content in contents.values():
        if not content.empty:
            # cells of different names and equal content become one: it takes the first name in the alphabet
            base[content.digest] = min(content.base, base.get(content.digest, content.base))
            distinct[content.digest] = content
    layout = kdb.Layout()
    layout.dbu = DBU
    used = {layer for content in distinct.values() for layer, _ in (*content.polygons, *content.texts)}
    layers = {layer: layout.layer(*layer) for layer in sorted(used)}
    cells: dict[str, kdb.Cell] = {}
    for digest in sorted(distinct):
        name = top_cell if digest == top.digest else f"{base[digest]}_{digest[:_HASH_DIGITS]}"
        cells[digest] = layout.create_cell(name)
    for digest, content in sorted(distinct.items()):
        cell = cells[digest]
        for layer, polygon in content.polygons:
            cell.shapes(layers[layer]).insert(polygon)
        for layer, text in content.texts:
            cell.shapes(layers[layer]).insert(text)
        for child, placed in content.instances:
            copy = placed.dup()
            copy.cell_index = cells[child].cell_index()
            cell.insert(copy)
    return layout


def _bytes(layout: kdb.Layout, form: str) -> bytes:
    options = kdb.SaveLayoutOptions()
    options.format = form
    options.write_context_info = False
    if form == "GDS2":
        options.gds2_write_timestamps = False
        options.gds2_write_cell_properties = False
        options.gds2_write_file_properties = False
        options.gds2_max_vertex_count = MOST_VERTICES
        options.gds2_max_cellname_length = LONGEST_NAME
    else:
        options.oasis_write_std_properties = False
    return layout.write_bytes(options)


def _layers(layout: kdb.Layout) -> dict[Layer, int]:
    infos = ((layout.get_info(index), index) for index in layout.layer_indexes())
    return {(info.layer, info.datatype): index for info, index in infos}


def _region(layout: kdb.Layout, layer: Layer) -> kdb.Region:
    region = kdb.Region()
    for shapes in _flat(layout, layer):
        region += kdb.Region(shapes)
    return region


def _texts(layout: kdb.Layout, layer: Layer) -> list[str]:
    found = (text for shapes in _flat(layout, layer) for text in kdb.Texts(shapes).each())
    return sorted(f"{text.string} {text.trans}" for text in found)


def _flat(layout: kdb.Layout, layer: Layer) -> list[kdb.RecursiveShapeIterator]:
    index = _layers(layout).get(layer)
    return [] if index is None else [top.begin_shapes_rec(index) for top in layout.top_cells()]
