"""Reading a technology's folder: YAML files and baked tables."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import yaml

from picq.errors import NumericsError, SpecError
from picq.optics import bend
from picq.optics.bake import Task
from picq.optics.fibre import Tip
from picq.optics.guided import Baked, Ranges, Solved
from picq.optics.reductions import read, reductions
from picq.optics.stack import Stack
from picq.optics.table import from_dict
from picq.technology import CrossSection, Pair, Platform, Process, Section, Technology


def load(folder: Path, *, solver: bool = False, bare: bool = False) -> Technology:
    """Read a technology from its folder.

    Args:
        folder: of the technology.
        solver: ask the mode solver itself instead of the baked tables: slow, for comparison.
        bare: leave out bends, heaters, electrodes and tips: what these are baked from.

    Raises:
        SpecError: a file is missing or does not say what it has to, or a table does not belong to the YAML files.
        NumericsError: float64 is off.
    """
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise NumericsError(
            "picq needs float64: in float32 the phase of light is wrong by 0.014 rad per cm",
            remedy='run jax.config.update("jax_enable_x64", True) before anything else, or set JAX_ENABLE_X64=1',
        )
    try:
        return _load(folder, solver, bare)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpecError(
            f"the YAML files of technology '{folder.name}' do not say what they have to",
            got=f"{type(error).__name__}: {error}",
            remedy="compare with those of a technology that comes with picq; CONTRIBUTING.md has the entries",
        ) from error


def _load(folder: Path, solver: bool, bare: bool) -> Technology:
    layers = _read(folder, "layers")
    stack = _read(folder, "stack")
    film = Stack.of(stack)
    platform = Platform(
        name=folder.name,
        folder=folder,
        layers={name: (d["layer"], d["datatype"]) for name, d in layers.items()},
        layer_colours={name: d["colour"] for name, d in layers.items()},
        stack=stack,
        variation=_read(folder, "variation"),
        devices=_read(folder, "devices"),
        film=film,
    )
    solved: dict[str, dict[str, Baked | Solved]] = {
        task.name: (_solved(task) if solver else _baked(folder, task)) for task in tasks(folder)
    }
    sections, couplers = {}, {}
    for name, d in _read(folder, "cross_sections").items():
        modes = {m: solved[f"{name}.{m}"]["index"] for m in d.get("optics", {}).get("modes", ())}
        sections[name] = _cross_section(name, d, modes)
        if f"{name}.pair" in solved:
            couplers[name] = Pair(**solved[f"{name}.pair"])
    data = {
        group: {name: entry["value"] for name, entry in entries.items()}
        for group, entries in _read(folder, "compact").items()
    }
    tech = Technology(
        cross_sections=sections,
        couplers=couplers,
        thickness=film.thickness,
        slab=film.slab,
        temperature_k=film.temperature_k,
        data=data,
        tip=None,
        process=Process(),
        mismatch=None,
        platform=platform,
    )
    return tech if bare else _completed(tech)


def _completed(tech: Technology) -> Technology:
    """With bends, heaters, electrodes and tips."""
    sections, data, tip = dict(tech.cross_sections), dict(tech.data), None
    for name in (r.name for r in reductions(tech)):
        content = {k: v for k, v in read(tech.platform.folder, name).items() if k != "key"}
        guide, _, kind = name.rpartition(".")
        if kind == "bend":
            sections[guide] = dataclasses.replace(sections[guide], bend=bend.from_dict(content))
        elif kind == "tip":
            tip = Tip.of(content)
        else:
            numbers = {xs: {k: v for k, v in d.items() if not isinstance(v, str)} for xs, d in content.items()}
            data[kind] = {**data.get(kind, {}), **numbers}
    return dataclasses.replace(tech, cross_sections=sections, data=data, tip=tip)


def tasks(folder: Path) -> list[Task]:
    """What has to be baked for a technology, from its YAML files."""
    stack = _read(folder, "stack")
    film = Stack.of(stack)
    found = []
    for name, d in _read(folder, "cross_sections").items():
        if "optics" not in d:
            continue
        o = d["optics"]
        around = lambda layer: _tolerance(stack[layer])
        ranges = Ranges(
            width=(0.0, 0.0),
            thickness=around("device"),
            slab=around("slab") if o.get("partial_etch") else None,
            gap=None,
            wl=_interval(o["wl_um"]),
            temperature_k=_interval(o["temperature_k"]),
        )
        margin = float(o["margin_um"])
        found += [
            Task(f"{name}.{mode}", film, mode, ranges._replace(width=_interval(width)), margin)
            for mode, width in o["modes"].items()
        ]
        if "pair" in o:
            changes = {name.removesuffix("_um"): _interval(ends) for name, ends in o["pair"].items()}
            pair = ranges._replace(**changes)
            found.append(Task(f"{name}.pair", film, "te0", pair, margin))
    return found


def _tolerance(layer: Mapping[str, Any]) -> tuple[float, float]:
    """Thickness of a layer, um: nominal and a quarter more than its tolerance to both sides."""
    t, half = layer["thickness_um"], 1.25e-3 * layer["tolerance_nm"]
    return round(t - half, 6), round(t + half, 6)


def _interval(ends: Any) -> tuple[float, float]:
    low, high = ends
    return float(low), float(high)


def _solved(task: Task) -> dict[str, Baked | Solved]:
    make = lambda quantity: Solved(task.ranges, task.stack, task.mode, quantity, task.margin)
    return {name: make(name) for name in task.outputs}


def _baked(folder: Path, task: Task) -> dict[str, Baked | Solved]:
    path = folder / "baked" / f"{task.name}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(
            f"technology '{folder.name}' has no table for {task.name}", remedy=f"run `picq bake {folder.name}`"
        ) from None
    if content["key"] != task.key:
        raise SpecError(
            f"table {task.name} of technology '{folder.name}' was made from other data than its YAML files have now",
            got=f"key {content['key']}",
            allowed=task.key,
            remedy=f"run `picq bake {folder.name}`",
        )
    errors = tuple(content["provenance"]["largest_error_on_checked_points"].items())
    return {name: Baked(from_dict(d), task.ranges, errors) for name, d in content["tables"].items()}


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.yaml"
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise SpecError(f"technology '{folder.name}' has no file {name}.yaml") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{folder.name}/{name}.yaml is not YAML", got=str(error)) from None


def _cross_section(name: str, d: Mapping[str, Any], modes: dict[str, Baked | Solved]) -> CrossSection:
    optics = d.get("optics", {})
    return CrossSection(
        modes=modes,
        loss_db_cm=d.get("loss_db_cm", 0.0),
        bend=None,
        name=name,
        layer=d["layer"],
        width=d["width"],
        radius=d["radius"],
        radius_min=d["radius_min"],
        sections=tuple(Section(**s) for s in d.get("sections", ())),
        partial_etch=bool(optics.get("partial_etch", False)),
        margin=float(optics.get("margin_um", 0.0)),
    )
