"""The questions of design rule checking: one function a question, by the kind of rule that asks it."""

from collections.abc import Callable, Iterator

from picq.signoff.checks import bends, distances, file, joints, shapes
from picq.signoff.checks.mask import Mask
from picq.signoff.report import Finding
from picq.signoff.rules import Rule

CHECKS: dict[str, Callable[[Mask, Rule], Iterator[Finding]]] = {
    check.__name__: check
    for check in (
        distances.width,
        distances.space,
        distances.notch,
        distances.separation,
        distances.no_overlap,
        distances.enclosure,
        distances.margin,
        distances.overlap,
        distances.contacts,
        distances.narrow_space_length,
        distances.narrow_width_length,
        distances.parallel_run,
        shapes.area,
        shapes.acute_angle,
        shapes.self_intersection,
        shapes.degenerate,
        shapes.vertices,
        bends.bend_radius,
        bends.facet,
        joints.joint_gap,
        joints.joint_offset,
        joints.joint_width,
        joints.crossing,
        joints.overlapping_instances,
        file.dbu,
        file.grid,
        file.designated_layers,
        file.no_polygons,
        file.cell_name,
        file.dangling_reference,
        file.magnification,
        file.duplicate_instances,
        file.top_cell,
        file.floorplan_size,
        file.inside_floorplan,
    )
}
