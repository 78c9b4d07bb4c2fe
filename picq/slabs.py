"""Slabs of rib guides: where two part, the slit between them is filled up to a width that the mask can hold."""

from typing import TYPE_CHECKING

from klayout import db

from picq.technology import Technology

if TYPE_CHECKING:
    import gdsfactory as gf

_REACH = 4.2
"""Of the least space. KLayout cuts the end of a slit of angle 2a flat, 2 reach (cos a - sin a) wide: at 80 degrees,
where edges stop to face each other, that is still the least space."""

_ROUNDING = 2  # grid steps on each side: what is thinner is the rounding of slanted edges, not a slit
_LEAST = 20  # grid steps on each side: smaller fillings are corners of a little less than 90 degrees
_OVERLAP = 300  # grid steps by which a filling reaches into the slabs, so that its pointed end is not lost


def join_slabs(c: "gf.Component", tech: Technology) -> None:
    """Fill pointed and narrow gaps of the slab layers in ``c`` and below it.

    Slabs are several times wider than the pitch at which guides leave a coupler or run side by side, so the slabs of
    parting guides leave a pointed slit. It is closed morphologically: the outline grows by 4.2 times the layer's least
    space and shrinks by as much, and what that adds is drawn into ``c``. Straight ends at ports stay where they are.
    """
    for name, space in _least_spaces(tech).items():
        layer = c.kcl.layer(*tech.layer(name))
        slabs = db.Region(c.kdb_cell.begin_shapes_rec(layer)).merged()
        if slabs.is_empty():
            continue
        reach = round(_REACH * space / c.kcl.dbu)
        closed = slabs.sized(reach).sized(-reach)
        added = closed - slabs
        slits = added.interacting(added.sized(-_LEAST)).sized(-_ROUNDING)
        c.kdb_cell.shapes(layer).insert(slits.sized(_ROUNDING + _OVERLAP) & (closed + slabs))


def _least_spaces(tech: Technology) -> dict[str, float]:
    """The largest space or notch, um, that a rule demands of each layer that some guide has beside its own."""
    layers = {section.layer for xs in tech.cross_sections.values() for section in xs.sections}
    spaces: dict[str, float] = {}
    for rule in tech.platform.rules.rules if layers else ():
        if rule.kind in ("space", "notch") and rule.layer in layers:
            spaces[rule.layer] = max(rule.value_um, spaces.get(rule.layer, 0.0))
    return spaces
