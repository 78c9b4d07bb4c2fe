"""YAML with line numbers, and pydantic's errors told as SpecError: place, given, allowed, nearest spelling."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from picq.errors import SpecError, nearest

Path_ = tuple[str | int, ...]

_SI = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@dataclass(frozen=True)
class Source:
    """What was read: plain data, and where each entry stands.

    Attributes:
        data: plain Python data.
        name: the file's name, for messages.
        folder: the file's folder.
        lines: line number (from 1) by path of the entry.
    """

    data: Any = None
    name: str = "specification"
    folder: Path = Path()
    lines: Mapping[Path_, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Read a YAML file.

        Raises:
            SpecError: it cannot be read, is not YAML, or has a name twice in one mapping.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"cannot read specification '{path}'", got=str(error), remedy="check the path") from None
        loader = yaml.SafeLoader(text)
        lines: dict[Path_, int] = {}
        try:
            node = loader.get_single_node()
            if node is not None:
                _collect(node, (), lines, path.name)
            data = None if node is None else loader.construct_document(node)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{path.name}:{mark.line + 1}" if mark else path.name
            raise SpecError(f"{place}: this is not YAML", got=getattr(error, "problem", None) or str(error)) from None
        finally:
            loader.dispose()
        return cls(data, path.name, path.parent, lines)

    def place(self, path: Path_) -> str:
        """``file:line: path`` of an entry; where it does not stand in the file, the line of what should hold it."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        line = f":{self.lines[known]}" if known in self.lines else ""
        return f"{self.name}{line}: {dotted(path)}" if path else f"{self.name}{line}"


def dotted(path: Path_) -> str:
    """``('targets', 0, 'max')`` as ``targets[0].max``."""
    return re.sub(r"^\.", "", "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path))


def _collect(node: yaml.Node, path: Path_, lines: dict[Path_, int], name: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _collect(item, (*path, i), lines, name)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            entry = (*path, str(key.value))
            if entry in lines:
                raise SpecError(
                    f"{name}:{key.start_mark.line + 1}: {dotted(entry)}: the name stands twice",
                    got=f"first on line {lines[entry]}",
                    remedy="keep one of them",
                )
            lines[entry] = key.start_mark.line + 1
            _collect(value, entry, lines, name)


class Section(BaseModel):
    """A mapping of a specification; unknown names are refused with the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            for key in value:
                if key not in cls.model_fields:
                    raise refuse(
                        f"unknown name '{key}'",
                        got=repr(key),
                        allowed=", ".join(cls.model_fields),
                        remedy=nearest(str(key), cls.model_fields),
                        at=(str(key),),
                    )
        return value


S = TypeVar("S", bound=Section)


def refuse(what: str, *, got: Any = None, allowed: Any = None, remedy: str = "", at: Path_ = ()) -> PydanticCustomError:
    """An error for a pydantic validator to raise; ``at`` is added to the path of what is validated."""
    return PydanticCustomError(
        "refused", "{what}", {"what": what, "got": got, "allowed": allowed, "remedy": remedy, "at": at}
    )


def number(
    unit: str,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    whole: bool = False,
) -> BeforeValidator:
    """A finite number in ``unit``: ``above`` and ``below`` are open ends, ``least`` and ``most`` closed ones."""
    ends = [(above, ">"), (least, ">="), (below, "<"), (most, "<=")]
    limits = " and ".join(f"{sign} {end:g}" for end, sign in ends if end is not None)
    kind = "a whole number" if whole else "a number"
    allowed = " ".join(word for word in (kind, limits, unit and f"in {unit}") if word)

    def check(value: Any) -> Any:
        if isinstance(value, str):
            # YAML 1.1 reads 1e3 as text
            if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value.strip()):
                raise refuse("this is not a number", got=repr(value), allowed=allowed, remedy=_converted(value, unit))
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise refuse("this is not a number", got=repr(value), allowed=allowed)
        out = (
            abs(value) == float("inf")
            or value != value
            or (above is not None and value <= above)
            or (least is not None and value < least)
            or (below is not None and value >= below)
            or (most is not None and value > most)
            or (whole and value != int(value))
        )
        if out:
            raise refuse("the number is outside what is allowed", got=f"{value:g} {unit}".strip(), allowed=allowed)
        return int(value) if whole else float(value)

    return BeforeValidator(check)


def numbers(unit: str) -> BeforeValidator:
    """One finite number in ``unit`` or a list of them."""
    one = number(unit).func

    def check(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return one(value)  # pyright: ignore[reportCallIssue]
        checked = []
        for i, item in enumerate(value):
            try:
                checked.append(one(item))  # pyright: ignore[reportCallIssue]
            except PydanticCustomError as error:
                raise refuse(**{**(error.context or {}), "at": (i,)}) from None
        return tuple(checked)

    return BeforeValidator(check)


def _converted(text: str, unit: str) -> str:
    """What to write instead of a number with a unit."""
    found = re.fullmatch(r"\s*([+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*([a-zA-Zµ]+)\s*", text)
    if found is None:
        return "write a bare number"
    value, given = found.groups()
    for own in _SI:
        base = unit.removeprefix(own)
        if not base or not unit.startswith(own):
            continue
        for prefix in _SI:
            if given[: len(prefix)] == prefix and given[len(prefix) :].lower() == base.lower():
                return f"write {float(value) * _SI[prefix] / _SI[own]:g}: the number is in {unit}"
    return f"write a bare number in {unit}" if unit else "write a bare number"


def one_of(names: Iterable[str]) -> AfterValidator:
    """One of some names."""
    known = tuple(names)

    def check(value: str) -> str:
        if value not in known:
            what = f"unknown name '{value}'"
            raise refuse(what, got=repr(value), allowed=", ".join(known), remedy=nearest(value, known))
        return value

    return AfterValidator(check)


def name_of(what: str) -> AfterValidator:
    """An identifier."""

    def check(value: str) -> str:
        if not re.fullmatch(r"[A-Za-z]\w*", value):
            raise refuse("this is not a name", got=repr(value), allowed=f"a name of {what}, beginning with a letter")
        return value

    return AfterValidator(check)


def validated(kind: type[S], source: Source) -> S:
    """A whole specification of what was read.

    Raises:
        SpecError: it is no mapping, or an entry is wrong; names file, line and path of the entry.
    """
    if not isinstance(source.data, dict):
        raise SpecError(
            f"{source.name}: a specification is a mapping",
            got=type(source.data).__name__,
            allowed="entries `name: value`",
            remedy="begin with `name: my_chip`",
        )
    try:
        return kind.model_validate(source.data)
    except ValidationError as error:
        raise translate(error, source) from None


def translate(error: ValidationError, source: Source) -> SpecError:
    """The first problem in full; the others by place and sentence."""
    told: list[tuple[str, Any, Any, str]] = []
    for item in error.errors():
        # tags of unions (in brackets by convention) stand in pydantic's path but not in the file
        loc = tuple(p for p in item["loc"] if not str(p).startswith("<"))
        context = item.get("ctx", {})
        if item["type"] == "refused":
            place = source.place((*loc, *context["at"]))
            entry = (f"{place}: {context['what']}", context["got"], context["allowed"], context["remedy"])
        elif item["type"] == "missing":
            entry = (f"{source.place(loc)}: this is missing", None, None, f"add `{loc[-1]}:`")
        else:
            allowed = re.sub(r"^Input should be ", "", item["msg"])
            entry = (f"{source.place(loc)}: the value does not fit", repr(item["input"]), allowed, "")
        if entry not in told:
            told.append(entry)
    (what, got, allowed, remedy), others = told[0], told[1:]
    if others:
        listed = "".join(f"\n  also {line[0]}" for line in others)
        remedy = f"{remedy or 'correct it'}{listed}"
    return SpecError(what, got=got, allowed=allowed, remedy=remedy)
