"""What else is solved once per technology: bends, effective areas, heaters, electrodes and tips; each a few numbers
in one JSON file.

They lie beside the tables of ``bake`` and carry a key over the YAML files that they were made from.
"""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from picq.errors import SpecError
from picq.optics.bake import SOLVER
from picq.optics.bend import bake_bend
from picq.optics.electrodes import bake_electrodes
from picq.optics.fibre import bake_tip
from picq.optics.heat import bake_heater
from picq.optics.kerr import bake_kerr
from picq.optics.material import MATERIALS, described

if TYPE_CHECKING:
    from picq.technology import Technology

_VERSION = 1  # rises when solutions change
_FILES = ("stack.yaml", "cross_sections.yaml")
_COMPACT = ("heater", "edge_coupler")  # groups of compact.yaml that are read here


class Reduction(NamedTuple):
    """One file: its name and what makes its content from a technology with tables."""

    name: str
    make: Callable[["Technology"], dict[str, Any]]


def reductions(tech: "Technology") -> list[Reduction]:
    """What a technology has: bends and areas of its guides, heaters, electrodes where the stack has them, tips."""
    guides = [xs for xs in tech.cross_sections.values() if not xs.electrical]
    found = [Reduction(f"{xs.name}.bend", partial(_bend, cross_section=xs.name)) for xs in guides]
    found.append(Reduction("kerr", bake_kerr))
    if "heater" in tech.platform.stack:
        found.append(Reduction("heater", bake_heater))
    if "electrodes" in tech.platform.stack:
        found.append(Reduction("electrode", bake_electrodes))
    if "edge_coupler" in tech.data:
        found.append(Reduction("tip", bake_tip))
    return found


def _bend(tech: "Technology", cross_section: str) -> dict[str, Any]:
    xs = tech.cross_section(cross_section)
    low, high = xs.modes["te0"].ranges.wl
    profile = tech.profile(cross_section, whole=True)
    return bake_bend(profile, (low + high) / 2, xs.radius_min, temperature_k=tech.temperature_k)


def key(folder: Path) -> str:
    """Changes whenever a technology's YAML files change in what they say of optics, or materials, or the solver."""
    digest = hashlib.sha256(f"{_VERSION} {SOLVER}".encode())
    devices = yaml.safe_load((folder / "devices.yaml").read_text(encoding="utf-8"))
    digest.update(repr(devices.get("eo_phase_shifter")).encode())  # its bounds are the ranges of the electrodes
    compact = yaml.safe_load((folder / "compact.yaml").read_text(encoding="utf-8"))
    digest.update(repr([compact.get(group) for group in _COMPACT]).encode())
    for m in MATERIALS.values():
        indices = [described(m, wl) for wl in (1.5, 1.6)] if m.formula else []
        numbers = (m.name, indices, m.dn_dt_k, m.thermal_w_mk, m.eps_rf, m.pockels_pm_v)
        digest.update(repr(numbers).encode())
    for name in _FILES:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            digest.update(line.split("#")[0].rstrip().encode())
    return digest.hexdigest()[:16]


def stale(folder: Path, name: str) -> bool:
    """Whether a reduction is missing or was made from other YAML files."""
    path = folder / "baked" / f"{name}.json"
    return not path.exists() or json.loads(path.read_text(encoding="utf-8")).get("key") != key(folder)


def write(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Keep what a reduction has given."""
    path = folder / "baked" / f"{name}.json"
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps({"key": key(folder), **content}, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def read(folder: Path, name: str) -> dict[str, Any]:
    """The content of a reduction.

    Raises:
        SpecError: it is missing or stale.
    """
    if stale(folder, name):
        raise SpecError(
            f"technology '{folder.name}' has no {name} that belongs to its YAML files",
            remedy=f"run `picq bake {folder.name}`",
        )
    return json.loads((folder / "baked" / f"{name}.json").read_text(encoding="utf-8"))
