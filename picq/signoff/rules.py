"""Rule decks: what a foundry demands of a mask, read strictly from ``layers.yaml`` and ``rules.yaml``."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args

import yaml

from picq.errors import SpecError, nearest
from picq.signoff.report import Severity

Scope = Literal["device", "chip"]


@dataclass(frozen=True)
class Kind:
    """What a rule of one kind must say.

    Attributes:
        says: the question in one sentence.
        layers: names of the layers it needs, by role and in order.
        needs: limit fields it cannot do without.
        may: fields it may have.
        scope: ``chip`` for questions that only make sense on a finished chip.
    """

    says: str
    layers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    scope: Scope = "device"


ONE = ("layer",)
KINDS: dict[str, Kind] = {
    # distances, by KLayout
    "width": Kind("no part of a shape is narrower than value_um", ONE, ("value_um",)),
    "space": Kind("no two edges face each other across less than value_um, notches included", ONE, ("value_um",)),
    "notch": Kind("no shape has a notch narrower than value_um", ONE, ("value_um",)),
    "separation": Kind("shapes of two layers keep value_um apart", ("layer", "other"), ("value_um",)),
    "no_overlap": Kind("shapes of two layers do not overlap; they may touch", ("layer", "other")),
    "enclosure": Kind("inner shapes lie inside outer ones by value_um", ("inner", "outer"), ("value_um",)),
    "margin": Kind("where outer runs along inner, it extends value_um over it", ("outer", "inner"), ("value_um",)),
    "overlap": Kind(
        "a shape that crosses an edge of other reaches value_um into it", ("layer", "other"), ("value_um",)
    ),
    "contacts": Kind("each shape overlaps at least count separate shapes of other", ("layer", "other"), ("count",)),
    "narrow_space_length": Kind("a gap below value_um is at most length_um long", ONE, ("value_um", "length_um")),
    "narrow_width_length": Kind("a line below value_um is at most length_um long", ONE, ("value_um", "length_um")),
    "parallel_run": Kind(
        "straight edges nearer than value_um do not face each other over length_um or more",
        ONE,
        ("value_um", "length_um"),
    ),
    # shapes
    "area": Kind("no shape is smaller than value_um2", ONE, ("value_um2",)),
    "acute_angle": Kind("no tip has an interior angle below value_deg", ONE, ("value_deg",)),
    "self_intersection": Kind("no drawn outline crosses itself"),
    "degenerate": Kind("no drawn shape has zero area, no path has zero width"),
    "vertices": Kind("no polygon has more than count vertices", (), ("count",)),
    # waveguides
    "bend_radius": Kind(
        "bends of waveguides up to width_um wide keep value_um on the centre line",
        ONE,
        ("value_um", "width_um"),
        ("inside", "outside"),
    ),
    "facet": Kind("waveguides turn by at most value_deg at one point", ONE, ("value_deg", "width_um")),
    "joint_gap": Kind("no waveguide ends face each other across less than value_um", ONE, ("value_um", "width_um")),
    "joint_offset": Kind("waveguides meet without lateral offset", ONE, ("width_um",)),
    "joint_width": Kind("waveguides meet with equal widths", ONE, ("width_um",)),
    "crossing": Kind("waveguides do not cross outside a crossing device", ONE, ("width_um",)),
    "overlapping_instances": Kind("placed cells do not overlap by more than value_um", ONE, ("value_um",)),
    # the file
    "dbu": Kind("the database unit is value_um", (), ("value_um",)),
    "grid": Kind("every vertex lies on the grid of value_um", (), ("value_um",)),
    "designated_layers": Kind("every layer of the file is a layer of the technology"),
    "no_polygons": Kind("the layer holds texts only", ONE),
    "cell_name": Kind("cell names match pattern and have at most count characters", (), ("pattern", "count")),
    "dangling_reference": Kind("every placed cell is defined"),
    "magnification": Kind("no cell is placed magnified"),
    "duplicate_instances": Kind("no cell is placed twice at the same place"),
    # the finished chip
    "top_cell": Kind("there is one top cell and its name matches pattern", (), ("pattern",), scope="chip"),
    "floorplan_size": Kind("there is one floorplan, of an offered size", ONE, ("sizes_um",), scope="chip"),
    "inside_floorplan": Kind("all shapes lie inside the floorplan", ONE, scope="chip"),
}


@dataclass(frozen=True)
class Rule:
    """One demand on a mask. What ``kind`` asks, and which limits it needs, stands in ``KINDS``.

    Attributes:
        id: name in reports, ``layer.question`` by custom.
        kind: key of ``KINDS``.
        source: where the limit comes from; ``derived`` or ``assumed`` where it is ours.
        layers: names of layers, in the order of the kind's roles.
        severity: ``error`` fails the report.
        value_um: limit, um.
        value_um2: limit of area, um².
        value_deg: limit of angle, degrees.
        length_um: length that goes with ``value_um``, um.
        width_um: wider shapes are bodies of devices, not waveguides, um.
        count: limit of a number.
        pattern: regular expression that a whole name matches.
        sizes_um: offered (width, height), um.
        inside: only where this layer covers the place.
        outside: only where this layer does not cover the place.
        note: how the rule is read, for a person.
    """

    id: str
    kind: str
    source: str
    layers: tuple[str, ...] = ()
    severity: Severity = "error"
    value_um: float = 0.0
    value_um2: float = 0.0
    value_deg: float = 0.0
    length_um: float = 0.0
    width_um: float = 0.0
    count: int = 0
    pattern: str = ""
    sizes_um: tuple[tuple[float, float], ...] = ()
    inside: str = ""
    outside: str = ""
    note: str = ""

    @property
    def layer(self) -> str:
        """Name of the rule's first layer."""
        return self.layers[0]


@dataclass(frozen=True)
class RuleDeck:
    """The rules of one technology.

    Attributes:
        technology: name of the technology.
        layers: GDS (layer, datatype) by name.
        rules: what is asked, in the order of the file.
        dbu_um: the database unit that masks of this technology have, um.
    """

    technology: str
    layers: Mapping[str, tuple[int, int]]
    rules: tuple[Rule, ...]
    dbu_um: float = 0.001

    def rule(self, name: str) -> Rule:
        """The rule with this id. Raises: SpecError when there is none."""
        for rule in self.rules:
            if rule.id == name:
                return rule
        names = [rule.id for rule in self.rules]
        raise SpecError(f"no such rule in {self.technology}", got=name, allowed=names, remedy=nearest(name, names))

    def only(self, kinds: Iterable[str]) -> "RuleDeck":
        """The deck with only the rules of these kinds. Raises: SpecError for an unknown kind."""
        chosen = [_known(kind, KINDS, "kind of rule") for kind in kinds]
        return replace(self, rules=tuple(rule for rule in self.rules if rule.kind in chosen))

    def for_device(self) -> "RuleDeck":
        """The deck without what is asked of finished chips only (floorplan, top cell), to check a single device."""
        return replace(self, rules=tuple(rule for rule in self.rules if KINDS[rule.kind].scope == "device"))


def load_deck(folder: Path | str) -> RuleDeck:
    """Read ``layers.yaml`` and ``rules.yaml`` of a technology's folder.

    ``rules.yaml`` has the keys ``dbu_um`` and ``rules``; ``rules`` maps the id of each rule to its fields. A rule
    without a source, with an unknown kind, layer or field, or without a limit that its kind needs, is refused.

    Raises:
        SpecError: a file is missing or cannot be read, or a rule is not understood.
    """
    folder = Path(folder)
    layers = {name: _gds_layer(name, entry, folder) for name, entry in _read(folder / "layers.yaml").items()}
    data = _read(folder / "rules.yaml")
    for key in data:
        _known(key, ("dbu_um", "rules"), f"key in {folder / 'rules.yaml'}")
    rules = data.get("rules")
    if not isinstance(rules, dict) or not rules:
        raise SpecError(f"{folder / 'rules.yaml'} has no rules", got=rules, allowed="rules: {id: {kind: …, source: …}}")
    dbu = data.get("dbu_um")
    if not _is_number(dbu) or dbu <= 0:
        raise SpecError(f"dbu_um in {folder / 'rules.yaml'}", got=dbu, allowed="a positive length in um, e.g. 0.001")
    return RuleDeck(folder.name, layers, tuple(_rule(name, entry, layers) for name, entry in rules.items()), float(dbu))


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise SpecError(f"cannot read {path}", got=error.strerror, remedy="give the folder of a technology") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is not YAML", got=str(error)) from error
    if not isinstance(data, dict):
        raise SpecError(f"{path} holds no mapping", got=type(data).__name__, allowed="name: {…} entries")
    return data


def _known(name: str, names: Iterable[str], what: str) -> str:
    if name not in (names := tuple(names)):
        raise SpecError(f"unknown {what}", got=name, allowed=", ".join(names), remedy=nearest(name, names))
    return name


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _gds_layer(name: str, entry: Any, folder: Path) -> tuple[int, int]:
    numbers = (entry.get("layer"), entry.get("datatype")) if isinstance(entry, dict) else (None, None)
    if not all(type(n) is int and n >= 0 for n in numbers):
        raise SpecError(
            f"layer {name} in {folder / 'layers.yaml'}", got=entry, allowed="{layer: integer, datatype: integer}"
        )
    return numbers  # pyright: ignore[reportReturnType]


NUMBERS = ("value_um", "value_um2", "value_deg", "length_um", "width_um", "count")


def _rule(name: str, entry: Any, layers: Mapping[str, tuple[int, int]]) -> Rule:
    if not isinstance(entry, dict):
        raise SpecError(f"rule {name}", got=entry, allowed="a mapping with kind and source")
    known = tuple(f.name for f in fields(Rule) if f.name != "id")
    for key in entry:
        _known(key, known, f"field of rule {name}")
    for key in ("kind", "source"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise SpecError(f"rule {name} has no {key}", got=entry.get(key), remedy=f"say {key}: … in rules.yaml")
    kind = KINDS[_known(entry["kind"], KINDS, f"kind of rule {name}")]
    named = entry.get("layers", [])
    if not isinstance(named, list) or len(named) != len(kind.layers):
        raise SpecError(f"layers of rule {name}", got=named, allowed=f"a list of: {', '.join(kind.layers) or 'none'}")
    for layer in [*named, *(entry[key] for key in ("inside", "outside") if key in entry)]:
        _known(layer, layers, f"layer in rule {name}")
    if missing := [key for key in kind.needs if key not in entry]:
        raise SpecError(f"rule {name} of kind {entry['kind']} lacks {', '.join(missing)}", remedy=kind.says)
    allowed = {"kind", "source", "layers", "severity", "note", *kind.needs, *kind.may}
    for key in entry:
        _known(key, allowed, f"field for a rule of kind {entry['kind']} ({name})")
    for key in NUMBERS:
        if key in entry and (not _is_number(entry[key]) or entry[key] <= 0):
            raise SpecError(f"{key} of rule {name}", got=entry[key], allowed="a positive number")
    severity = _known(entry.get("severity", "error"), get_args(Severity), f"severity of rule {name}")
    if "pattern" in entry:
        try:
            re.compile(entry["pattern"])
        except (re.error, TypeError) as error:
            raise SpecError(f"pattern of rule {name}", got=entry["pattern"], allowed="a regular expression") from error
    sizes = entry.get("sizes_um", [])
    if "sizes_um" in entry and not (sizes and all(len(s) == 2 and all(_is_number(x) for x in s) for s in sizes)):
        raise SpecError(f"sizes_um of rule {name}", got=sizes, allowed="a list of [width, height] in um")
    return Rule(
        **{
            **entry,
            "id": name,
            "layers": tuple(named),
            "severity": severity,
            "sizes_um": tuple((float(w), float(h)) for w, h in sizes),
        }
    )
