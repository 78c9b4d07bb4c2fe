"""What a file and a finished chip must be: grid, layers, names, references, top cell, floorplan."""

import re
from collections.abc import Iterator
from dataclasses import replace

import klayout.db as kdb

from picq.signoff.checks.mask import Mask
from picq.signoff.report import Finding
from picq.signoff.rules import Rule


def _whole(ratio: float) -> bool:
    return round(ratio) >= 1 and abs(ratio - round(ratio)) < 1e-6


def dbu(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """A database unit other than the foundry's; a warning where the foundry's grid fits it, see ``grid``."""
    if abs(mask.dbu / rule.value_um - 1) < 1e-9:
        return
    why = "coarser than" if mask.dbu > rule.value_um else "finer than"
    fits = _whole(mask.dbu / rule.value_um) or _whole(rule.value_um / mask.dbu)
    message = f"database unit {mask.dbu:g} um is {why if fits else 'no multiple or part of'} {rule.value_um:g} um"
    found = mask.finding(rule, message, measured=mask.dbu, limit=rule.value_um, unit="um")
    yield replace(found, severity="warning") if fits else found


def grid(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Vertices off the grid; all of them are on it when the database unit is a multiple of the grid."""
    if _whole(mask.dbu / rule.value_um) or not _whole(rule.value_um / mask.dbu):
        return
    pitch = round(rule.value_um / mask.dbu)
    for name in mask.layer_index:
        for pair in mask.region(name).grid_check(pitch, pitch).each():
            at = pair.first.p1
            where = f"vertex of {name} at ({mask.um(at.x):g}, {mask.um(at.y):g}) um"
            yield mask.finding(rule, f"{where} off the grid of {rule.value_um:g} um", kdb.Box(at, at))


def designated_layers(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Layers that hold shapes or texts and are not the technology's."""
    known = set(mask.deck.layers.values())
    for index in mask.layout.layer_indexes():
        info = mask.layout.get_info(index)
        if (info.layer, info.datatype) not in known and not (box := mask.top.bbox(index)).empty():
            name = f"{info.layer}/{info.datatype}" if info.is_named() is False else info.name
            yield mask.finding(rule, f"layer {name} is not a layer of {mask.deck.technology}", box)


def no_polygons(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Polygons, boxes or paths on a layer for texts."""
    for polygon in mask.region(rule.layer).each_merged():
        yield mask.finding(rule, f"drawn shape on the text layer {rule.layer}", polygon)


def cell_name(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Cell names that some flows cannot take."""
    for cell in mask.cells():
        if len(cell.name) > rule.count:
            message = f"cell name {cell.name} has {len(cell.name)} characters, at most {rule.count}"
            yield mask.finding(rule, message, measured=len(cell.name), limit=rule.count)
        if not re.fullmatch(rule.pattern, cell.name):
            yield mask.finding(rule, f"cell name {cell.name} does not match {rule.pattern}")


def dangling_reference(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Placed cells that the file does not define."""
    for cell in mask.cells():
        if cell.is_ghost_cell() and cell.is_empty():
            yield mask.finding(rule, f"cell {cell.name} is placed and not defined")


def magnification(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Magnified placements: they scale widths and radii, and come off the grid."""
    for cell in mask.cells():
        for instance in cell.each_inst():
            if abs(instance.cplx_trans.mag - 1) > 1e-9:
                at, _ = mask.placements(cell)
                message = f"cell {instance.cell.name} in {cell.name} is magnified by {instance.cplx_trans.mag:g}"
                place = instance.bbox().transformed(at)
                yield mask.finding(rule, message, place, measured=instance.cplx_trans.mag, limit=1.0)


def duplicate_instances(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Cells placed twice with the same transformation."""
    for cell in mask.cells():
        seen: set[str] = set()
        for instance in cell.each_inst():
            if (key := f"{instance.cell_index} {instance.cell_inst}") in seen:
                at, _ = mask.placements(cell)
                message = f"cell {instance.cell.name} is placed twice at the same place in {cell.name}"
                yield mask.finding(rule, message, instance.bbox().transformed(at))
            seen.add(key)


def top_cell(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """More than one top cell, or another name than the foundry asks for."""
    tops = [cell.name for cell in mask.layout.top_cells()]
    if len(tops) > 1 and mask.top.name == tops[0]:
        yield mask.finding(rule, f"{len(tops)} top cells: {', '.join(tops)}", measured=len(tops), limit=1)
    if not re.fullmatch(rule.pattern, mask.top.name):
        yield mask.finding(rule, f"top cell {mask.top.name} does not match {rule.pattern}", mask.top.bbox())


def floorplan_size(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """No floorplan, several, or one of a size that is not offered."""
    outlines = list(mask.region(rule.layer).each_merged())
    offered = " or ".join(f"{w:g} x {h:g}" for w, h in rule.sizes_um)
    if len(outlines) != 1:
        message = f"{len(outlines)} floorplans on layer {rule.layer}; one of {offered} um is needed"
        yield mask.finding(rule, message, measured=len(outlines), limit=1)
    for outline in outlines:
        box = outline.bbox()
        size = (mask.um(box.width()), mask.um(box.height()))
        fits = any(abs(size[0] - w) < mask.dbu / 2 and abs(size[1] - h) < mask.dbu / 2 for w, h in rule.sizes_um)
        if not (outline.is_box() and fits):
            yield mask.finding(rule, f"floorplan of {size[0]:g} x {size[1]:g} um, offered: {offered} um", outline)


def inside_floorplan(mask: Mask, rule: Rule) -> Iterator[Finding]:
    """Shapes that leave the floorplan or lie outside it."""
    floorplan = mask.region(rule.layer)
    if floorplan.is_empty():
        return  # floorplan_size says so
    whole = floorplan.bbox() if floorplan.is_box() else kdb.Box()
    for name, index in mask.layer_index.items():
        if name == rule.layer or mask.top.bbox(index).inside(whole):
            continue
        region = mask.region(name)
        for polygon in (region - floorplan).each_merged():
            straddles = not (kdb.Region(polygon).interacting(floorplan)).is_empty()
            yield mask.finding(rule, f"{name} {'straddles' if straddles else 'outside'} the floorplan", polygon)
