"""Design rule check of a mask against a technology's rule deck, on KLayout's library."""

import itertools
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import klayout.db as kdb
import klayout.rdb as rdb

from picq.errors import LayoutError, SpecError, nearest
from picq.signoff.checks import CHECKS
from picq.signoff.checks.mask import Mask
from picq.signoff.report import Box, Finding, Report
from picq.signoff.rules import Rule, RuleDeck

MOST_PER_RULE = 10_000
FINEST_UM, COARSEST_UM = 1e-5, 0.1  # database units in which limits are whole numbers that KLayout can hold


@dataclass(frozen=True)
class Waiver:
    """Findings that are accepted, and why.

    Attributes:
        check: id of the rule.
        reason: why it is accepted; it is kept in the report.
        box: (left, bottom, right, top) in um: findings inside it are waived.
        cell: name of a cell: findings inside any place where it stands are waived, e.g. of a foundry's own cell.
    """

    check: str
    reason: str
    box: Box | None = None
    cell: str = ""

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise SpecError(f"waiver of {self.check} has no reason", remedy="say why the finding is accepted")
        if (self.box is None) == (not self.cell):
            raise SpecError(f"waiver of {self.check}", got=self, allowed="either a box in um or the name of a cell")


def drc(path: Path | str, deck: RuleDeck, *, lyrdb: Path | str | None = None, waivers: Sequence[Waiver] = ()) -> Report:
    """Check a GDSII or OASIS file, whoever wrote it, read with its own database unit.

    Args:
        path: the file.
        deck: the rules; ``deck.for_device()`` leaves out what is asked of finished chips only.
        lyrdb: where to write the findings for KLayout's marker browser; written whole or not at all.
        waivers: findings to accept.

    Raises:
        LayoutError: the file is missing, empty or damaged, its database unit is implausible, or the marker file cannot
            be written.
        SpecError: a waiver names no rule of the deck or no cell of the file.
    """
    layout = read_layout(path)
    report = check_layout(layout, deck, waivers=waivers)
    if lyrdb is not None:
        write_lyrdb(report, lyrdb, top=layout.top_cells()[0].name, deck=deck)
    return report


def read_layout(path: Path | str) -> kdb.Layout:
    """Read a mask. Raises: LayoutError when it is missing, empty or damaged."""
    path = Path(path)
    if not path.is_file():
        raise LayoutError("no such mask file", got=path, allowed="a GDSII or OASIS file")
    if path.stat().st_size == 0:
        raise LayoutError("the mask file is empty", got=path, allowed="a GDSII or OASIS file")
    options = kdb.LoadLayoutOptions()
    options.warn_level = 0
    layout = kdb.Layout()
    try:
        layout.read(str(path), options)
        names = [cell.name for cell in layout.each_cell()]
    except (RuntimeError, UnicodeDecodeError) as error:  # KLayout's readers raise no other; damaged names are no text
        whole = "an undamaged GDSII or OASIS file"
        raise LayoutError(f"cannot read the mask {path}", got=error, allowed=whole, remedy="export it again") from error
    if not names:
        raise LayoutError("the mask has no cells", got=path, allowed="at least one cell")
    return layout


def check_layout(
    layout: kdb.Layout, deck: RuleDeck, *, waivers: Sequence[Waiver] = (), deep: bool | None = None
) -> Report:
    """Check a layout in memory, under each of its top cells; it is only read.

    Args:
        layout: the layout, in its own database unit.
        deck: the rules.
        waivers: findings to accept.
        deep: hierarchical processing; None chooses it where cells are reused enough to pay. Both find the same.

    Raises:
        LayoutError: the layout has no cells, or a database unit in which limits cannot be expressed.
        SpecError: a waiver names no rule of the deck or no cell of the layout.
    """
    if layout.cells() == 0:
        raise LayoutError("the layout has no cells", allowed="at least one cell")
    if not FINEST_UM <= layout.dbu <= COARSEST_UM:
        units = f"{FINEST_UM:g} to {COARSEST_UM:g} um"
        raise LayoutError(
            "implausible database unit", got=f"{layout.dbu:g} um", allowed=units, remedy="export it again"
        )
    for waiver in waivers:
        deck.rule(waiver.check)
        if waiver.cell and not layout.has_cell(waiver.cell):
            remedy = nearest(waiver.cell, [cell.name for cell in layout.each_cell()])
            raise SpecError(f"waiver of {waiver.check}: no such cell", got=waiver.cell, remedy=remedy)
    masks = [Mask(layout, top, deck, deep) for top in layout.top_cells()]
    findings = sorted(
        (finding for rule in deck.rules for finding in _ask(rule, masks)),
        key=lambda f: (f.check, f.box or (), f.polygon, f.message),
    )
    areas = [(waiver, _waived_area(waiver, masks)) for waiver in waivers]
    waived = [(finding, _waiver_of(finding, areas, layout.dbu)) for finding in findings]
    return Report(
        name="drc",
        findings=tuple(finding for finding, waiver in waived if waiver is None),
        figures={
            "technology": deck.technology,
            "dbu_um": layout.dbu,
            "top_cells": [mask.top.name for mask in masks],
            "stored_vertices": sum(mask.stored for mask in masks),
            "flat_vertices": sum(mask.flat for mask in masks),
            "deep": any(mask.deep for mask in masks),
            "unused_waivers": [w.check for w in waivers if all(w is not used for _, used in waived)],
        },
        ran=tuple(rule.id for rule in deck.rules),
        waived=tuple(
            replace(finding, message=f"{finding.message} (waived: {waiver.reason})", waiver=waiver.reason)
            for finding, waiver in waived
            if waiver is not None
        ),
    )


def _ask(rule: Rule, masks: Iterable[Mask]) -> list[Finding]:
    answers = (finding for mask in masks for finding in CHECKS[rule.kind](mask, rule))
    found = list(itertools.islice(answers, MOST_PER_RULE))
    if len(found) == MOST_PER_RULE and next(answers, None) is not None:
        found.append(Finding(rule.id, rule.severity, f"more than {MOST_PER_RULE} findings: the others are not listed"))
    return found


def _waived_area(waiver: Waiver, masks: Iterable[Mask]) -> kdb.Region:
    area = kdb.Region()
    for mask in masks:
        if waiver.box is not None:
            area.insert(kdb.DBox(*waiver.box).to_itype(mask.dbu))
            continue
        cell = mask.layout.cell(waiver.cell)
        if cell.cell_index() == mask.top.cell_index():
            area.insert(cell.bbox())
        iterator = kdb.RecursiveInstanceIterator(mask.layout, mask.top)
        iterator.targets = [cell.cell_index()]
        while not iterator.at_end():
            area.insert(cell.bbox().transformed(iterator.trans() * iterator.inst_trans()))
            iterator.next()
    return area.merged()


def _waiver_of(finding: Finding, areas: Iterable[tuple[Waiver, kdb.Region]], dbu: float) -> Waiver | None:
    if finding.box is None:
        return None
    # grown, since a marker may have no width; the area a step more, so that it covers markers on its edge
    marker = kdb.Region(kdb.DBox(*finding.box).to_itype(dbu).enlarged(1))
    for waiver, area in areas:
        if waiver.check == finding.check and (marker - area.sized(2)).is_empty():
            return waiver
    return None


def write_lyrdb(report: Report, path: Path | str, *, top: str, deck: RuleDeck | None = None) -> None:
    """Write findings for KLayout's marker browser (Tools > Marker Browser): whole or not at all, the same every time.

    Args:
        report: of any check; one category for each question that it asked.
        path: the file.
        top: name of the mask's top cell.
        deck: gives severity and source of each question.

    Raises:
        LayoutError: the file cannot be written.
    """
    path = Path(path)
    database = rdb.ReportDatabase(report.name)
    database.description = f"{report.name} of {top}" + (f" for {deck.technology}" if deck else "")
    database.generator = f"picq {report.name}"
    database.top_cell_name = top
    cell = database.create_cell(top)
    categories = {}
    for check in report.ran:
        category = database.create_category(check)
        if deck:
            category.description = f"{deck.rule(check).severity}; {deck.rule(check).source}"
        categories[check] = category.rdb_id()
    waived = database.tag_id("waived")
    for finding, is_waived in [*((f, False) for f in report.findings), *((f, True) for f in report.waived)]:
        item = database.create_item(cell.rdb_id(), categories[finding.check])
        if is_waived:
            item.add_tag(waived)
        item.comment = finding.message
        if len(finding.polygon) >= 3:
            item.add_value(kdb.DPolygon([kdb.DPoint(x, y) for x, y in finding.polygon], True))
        elif finding.box is not None:
            item.add_value(kdb.DBox(*finding.box))
        item.add_value(finding.message)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".drc-") as folder:
            whole = Path(folder) / "markers.lyrdb"
            database.save(str(whole))
            os.replace(whole, path)
    except (OSError, RuntimeError) as error:
        raise LayoutError("cannot write the marker file", got=path, remedy=str(error)) from error
