"""A saved free-form device as what it was designed as: its specification, and its mask with guides."""

import klayout.db as kdb

from picq.design.yaml_source import Source
from picq.errors import SpecError
from picq.inverse.problem import Problem
from picq.inverse.saved import Saved
from picq.inverse.spec import FreeFormSpec, parse_free_form


def specification(saved: Saved) -> FreeFormSpec:
    """Of the file's provenance, where a target's ``from`` goes by the field's name.

    Raises:
        SpecError: the file does not say it.
    """
    try:
        data = dict(saved.provenance["specification"])
        data["targets"] = [{"from" if k == "start" else k: v for k, v in t.items()} for t in data["targets"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise SpecError(
            f"the device '{saved.name}' does not say what it was designed for",
            got=repr(error),
            remedy="design it again",
        ) from error
    return parse_free_form(Source(data=data))


def mask(saved: Saved, problem: Problem, guides: float, dbu: float = 0.001) -> kdb.Region:
    """Device and ``guides`` um of each guide in database units, merged: walls have no seams where they meet."""
    found = kdb.Region()
    for outline in saved.outlines:  # holes lie in solid: what is covered twice is void
        found ^= kdb.Region(kdb.DPolygon([kdb.DPoint(x, y) for x, y in outline]).to_itype(dbu))
    for guide in problem.guides(guides):
        found.insert(kdb.DBox(*guide).to_itype(dbu))
    return found.merged()
