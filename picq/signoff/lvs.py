"""LVS for light: does the mask connect what the circuit connects, at the lengths that the model used?"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from klayout import db

from picq.signoff.extract import Extraction, Plane, extract, length_tolerance
from picq.signoff.report import Box, Finding, Report

Layer = tuple[int, int]
Segments = Mapping[str, tuple[Plane, ...]]

_MOST_SHAPES = 50  # places a layer that are listed one by one

WIDTH_TOLERANCE_UM = 0.002
"""Edges at a plane may be off by the grid on each side."""

LEAST_UM2 = 1e-3
"""Smaller pieces are slivers of the cuts, and no waveguide."""


def lvs(
    path: Path,
    drawn: db.Layout,
    guides: Sequence[Layer],
    metal: Layer,
    segments: Segments,
    lengths: Mapping[str, float],
    wires: Mapping[str, tuple[tuple[str, float, float], ...]],
    unwired: Sequence[str] = (),
) -> Report:
    """Compare a written mask with the circuit it should hold.

    Args:
        path: GDS or OASIS file.
        drawn: the layout as the design draws it: every layer of the mask has to have its shapes.
        guides: waveguide layers.
        metal: layer of wires and pads.
        segments: planes of every segment of the circuit, um (``picq.drawing.segments``).
        lengths: the length that the model used, um, by segment (``Circuit.paths``).
        wires: electrical nets: name -> contacts (name, x, y in um).
        unwired: electrical ports that no net names; each is a warning.

    Returns:
        Report with one finding for every port that is open, shorted, swapped, offset or of another width, every length
        off by more than its own tolerance, every electrical net that is open or shorted, and every shape that differs
        from the drawing (coupling gaps, heaters, gratings: what area over width cannot tell).

    Raises:
        LayoutError: the file cannot be read.
    """
    from picq.signoff.drc import read_layout

    mask = read_layout(path)
    got = extract([_region(mask, layer) for layer in guides], mask.dbu, segments)
    want = extract([_region(drawn, layer) for layer in guides], drawn.dbu, segments)
    findings = [*_connections(segments, got), *_joints(segments, got, lengths)]
    measured, off = _lengths(segments, got, lengths, mask.dbu)
    findings += [
        *off,
        *_bodies(segments, got, want, lengths),
        *_strangers(got),
        *_nets(wires, _region(mask, metal), mask.dbu),
        *(Finding("net", "warning", f"{end} is connected to nothing") for end in unwired),
        *_shapes(mask, drawn),
    ]
    worst = max(measured, key=lambda row: abs(row["error_nm"]), default=None)
    figures = {
        "segments": len(segments),
        "lengths_measured": len(measured),
        "largest_length_error_nm": round(worst["error_nm"], 3) if worst else 0.0,
        "rms_length_error_nm": round(math.sqrt(sum(r["error_nm"] ** 2 for r in measured) / max(len(measured), 1)), 3),
        "lengths": sorted(measured, key=lambda row: -abs(row["error_nm"])),
    }
    ran = ("connection", "joint", "length", "body", "stranger", "net", "shape")
    return Report("lvs", tuple(findings), figures, ran)


def _region(layout: db.Layout, layer: Layer) -> db.Region:
    index = layout.find_layer(*layer)
    region = db.Region()
    if index is not None:
        for top in layout.top_cells():
            region.insert(top.begin_shapes_rec(index))
    return region


def _connections(segments: Segments, got: Extraction) -> list[Finding]:
    """All planes of a segment lie on one piece of the mask, and that piece has no other planes."""
    findings = []
    owners: dict[int, set[str]] = {}
    for name, faces in got.faces.items():
        for face in faces:
            if face.piece is not None:
                owners.setdefault(face.piece, set()).add(name)
    for name, planes in segments.items():
        faces = got.faces[name]
        for plane, face in zip(planes, faces, strict=True):
            if face.piece is None:
                findings.append(_finding("connection", f"{name}: no waveguide at its end", plane))
        pieces = {face.piece for face in faces if face.piece is not None}
        if len(pieces) > 1:
            ends = sorted({o for piece in pieces for o in owners[piece]} - {name})
            reached = f"; instead they are joined to {', '.join(ends)}" if ends else ""
            findings.append(_finding("connection", f"{name}: its ends are not joined on the mask{reached}", planes[0]))
        elif len(pieces) == 1:
            others = sorted(owners[next(iter(pieces))] - {name})
            if others and name < others[0]:
                message = f"{', '.join([name, *others])} are one piece on the mask, separate in the circuit"
                findings.append(_finding("connection", message, planes[0]))
    return findings


def _joints(segments: Segments, got: Extraction, lengths: Mapping[str, float]) -> list[Finding]:
    """At its ends a guide has the width of its port, centred on it."""
    findings = []
    for name, planes in segments.items():
        if name not in lengths:
            continue
        for plane, face in zip(planes, got.faces[name], strict=True):
            if face.piece is None:
                continue
            width, offset = face.high - face.low, (face.high + face.low) / 2
            if abs(width - plane[3]) > WIDTH_TOLERANCE_UM:
                message = f"{name}: {width:.3f} um wide at its end instead of {plane[3]:.3f} um"
                findings.append(_finding("joint", message, plane, width, plane[3]))
            elif abs(offset) > WIDTH_TOLERANCE_UM / 2:
                message = f"{name}: {1e3 * offset:.1f} nm off its port's axis"
                findings.append(_finding("joint", message, plane, offset, 0.0))
    return findings


def _lengths(
    segments: Segments, got: Extraction, lengths: Mapping[str, float], grid: float
) -> tuple[list[dict], list[Finding]]:
    """Area over width of every two-ended guide against the model's length."""
    rows, findings = [], []
    for name, length in lengths.items():
        if name not in segments:
            findings.append(
                Finding("length", "error", f"{name}: the model has a length that the mask has no segment for")
            )
            continue
        planes, faces = segments[name], got.faces[name]
        if len(planes) != 2 or faces[0].piece is None or faces[0].piece != faces[1].piece:
            continue  # reported as a connection
        width = (planes[0][3] + planes[1][3]) / 2
        measured = got.area(name, planes) / width
        tolerance = length_tolerance(got.polygons[faces[0].piece], width, grid)
        error, guide = measured - float(length), got.guide(name, planes)
        rows.append(
            {
                "segment": name,
                "model_um": round(float(length), 6),
                "mask_um": round(measured, 6),
                "walls_um": round(guide.length, 6),
                "width_um": round(guide.width, 6),
                "error_nm": round(1e3 * error, 3),
                "tolerance_nm": round(1e3 * tolerance, 3),
            }
        )
        if abs(error) > tolerance:
            message = f"{name}: {measured:.4f} um on the mask, {float(length):.4f} um in the model"
            findings.append(_finding("length", message, planes[0], measured, float(length)))
    return rows, findings


def _bodies(segments: Segments, got: Extraction, want: Extraction, lengths: Mapping[str, float]) -> list[Finding]:
    """Pieces that are no guides (bodies, horns) have the area that the design draws."""
    findings = []
    for name, planes in segments.items():
        if name in lengths or got.faces[name][0].piece is None or want.faces[name][0].piece is None:
            continue
        measured, drawn = got.area(name, planes), want.area(name, planes)
        if abs(measured - drawn) > 1e-3 * drawn:
            message = f"{name}: area {measured:.3f} um² on the mask, {drawn:.3f} um² in the design"
            findings.append(_finding("body", message, planes[0]))
    return findings


def _strangers(got: Extraction) -> list[Finding]:
    """Waveguide on the mask that no segment of the circuit touches."""
    known = {face.piece for faces in got.faces.values() for face in faces}
    return [
        Finding("stranger", "error", "waveguide that the circuit does not know", box=_bounds(polygon))
        for i, polygon in enumerate(got.polygons)
        if i not in known and polygon.area() > LEAST_UM2
    ]


def _shapes(mask: db.Layout, drawn: db.Layout) -> list[Finding]:
    """Places where a layer of the mask differs from the drawing; with another database unit, by more than a step."""
    pairs = {(info.layer, info.datatype) for layout in (mask, drawn) for info in layout.layer_infos()}
    findings = []
    for pair in sorted(pairs):
        difference = _region(mask, pair).transformed(db.ICplxTrans(mask.dbu / drawn.dbu)) ^ _region(drawn, pair)
        if mask.dbu != drawn.dbu:
            difference = difference.sized(-1).sized(1)
        places = [_bounds(polygon.to_dtype(drawn.dbu)) for polygon in difference.merged().each()]
        findings += [
            Finding("shape", "error", f"layer {pair[0]}/{pair[1]} differs from what the design draws", box=box)
            for box in sorted(places)[:_MOST_SHAPES]
        ]
        if len(places) > _MOST_SHAPES:
            message = f"layer {pair[0]}/{pair[1]} differs in {len(places) - _MOST_SHAPES} more places"
            findings.append(Finding("shape", "error", message))
    return findings


def _nets(wires: Mapping[str, tuple[tuple[str, float, float], ...]], metal: db.Region, dbu: float) -> list[Finding]:
    """Each electrical net is one piece of metal, and no piece holds two nets."""
    shapes = db.Shapes()
    for i, polygon in enumerate(metal.merged().each()):
        shapes.insert(db.PolygonWithProperties(polygon, {0: i}))
    findings, owner = [], {}
    for net, contacts in wires.items():
        pieces = set()
        for contact, x, y in contacts:
            point = db.DPoint(x, y).to_itype(dbu)
            hits = [s for s in shapes.each_touching(db.Box(point, point)) if s.polygon.inside(point)]
            box = (x - 1, y - 1, x + 1, y + 1)
            if not hits:
                findings.append(Finding("net", "error", f"{net}: no metal at {contact}", box=box))
                continue
            piece = int(hits[0].property(0))
            pieces.add(piece)
            if owner.setdefault(piece, net) != net:
                findings.append(Finding("net", "error", f"{net} is shorted to {owner[piece]}", box=box))
        if len(pieces) > 1:
            names = ", ".join(contact for contact, _, _ in contacts)
            findings.append(Finding("net", "error", f"{net}: {names} are not joined on the mask"))
    return findings


def _finding(
    check: str, message: str, plane: Plane, measured: float | None = None, limit: float | None = None
) -> Finding:
    x, y, _, width = plane
    box: Box = (x - width, y - width, x + width, y + width)
    return Finding(
        check, "error", message, box=box, measured=measured, limit=limit, unit="um" if limit is not None else ""
    )


def _bounds(polygon: db.DPolygon) -> Box:
    box = polygon.bbox()
    return (box.left, box.bottom, box.right, box.top)
