"""Specifications that differ in some entries."""

import copy
from collections.abc import Mapping
from typing import Any


def with_changes(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of plain data with other values at paths ``a__b__0``, numbers in lists."""
    data = copy.deepcopy(dict(data))
    for path, value in changes.items():
        place: Any = data
        *way, last = (int(part) if part.isdigit() else part for part in path.split("__"))
        for part in way:
            place = place[part]
        place[last] = value
    return data
