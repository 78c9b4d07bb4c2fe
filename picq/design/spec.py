"""Specifications: what the user wrote, checked, with every error naming its place in the file.

A specification is one YAML file. All names carry their unit; unknown names are refused::

    name: wdm_demux
    technology: soi220
    seed: 1
    layout: wdm_demux.py          # beside this file; defines circuit(tech) -> Circuit. Or inline:
    # circuit:
    #   instances: {s1: {device: lattice_filter, parameters: {delays: [178.5, 357.0]}, place: {x: 0, y: 0}}}
    #   connections: [["s1,o3", "s2,o1"]]
    #   ports: {in: "s1,o1"}
    #   floorplan: [-1000, -2000, 4500, 2900]
    wavelengths: {center_thz: 193.4, span_ghz: 1000, step_ghz: 5}     # or {start_um, stop_um, points}
    channels: {center_thz: 193.4, spacing_ghz: 200, input: in, outputs: [ch1, ch2]}   # ascending frequency
    # source: …                   # a ring that makes photon pairs, see picq.design.source_spec
    excluding: ["gc_*"]           # instances that figures do not count
    variables:                    # instance.parameter, or one element of it: s1.delays[0]
      - {parameter: s1.coupler_lengths, lower: 0, upper: 60}
      - {parameter: s1.delays, lower: [177.5, 355.8], upper: [179.5, 357.8]}
    targets:                      # names: picq.design.figures, source_figures; without max or min only reported
      - {figure: insertion_loss_db, max: 1.0}
    optimise: {method: adam, starts: 32, steps: 200, learning_rate: 0.03, rounds: 1, chips: 16}
    tolerance: {samples: 2000, trim: [s1.powers_mw]}
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)

from picq.design.figures import FIGURES, Crosstalk, Figure
from picq.design.grid import Channels, Wavelengths
from picq.design.source_figures import SOURCE_FIGURES, SourceFigure
from picq.design.source_spec import SourceSection
from picq.design.yaml_source import Section, Source, name_of, number, numbers, one_of, refuse, validated
from picq.errors import SpecError

_FIGURES: dict[str, type[Figure]] = {**FIGURES, **SOURCE_FIGURES}


class Place(Section):
    """Where an instance lies; see ``picq.plan.Placement``."""

    x: Annotated[float, number("um")]
    y: Annotated[float, number("um")]
    rotation: Annotated[float, number("degrees")] = 0.0
    mirror: bool = False


class Instance(Section):
    """One device of an inline circuit; without a place it is put port to port with a placed neighbour."""

    device: str
    parameters: dict[str, Any] = {}
    place: Place | None = None


class InlineCircuit(Section):
    """A netlist: ports are written ``instance,port``. ``floorplan`` is (left, bottom, right, top) of the chip, um."""

    instances: Annotated[dict[str, Instance], Field(min_length=1)]
    connections: tuple[tuple[str, str], ...] = ()
    ports: Annotated[dict[str, str], Field(min_length=1)]
    floorplan: tuple[float, float, float, float] | None = None


def _parameter(value: str) -> str:
    if not re.fullmatch(r"[^\s/,.]+\.\w+(\[\d+\])?", value):
        raise refuse(
            "this names no parameter",
            got=repr(value),
            allowed="instance.parameter or instance.parameter[index]",
            remedy="for instance s1.delays or s1.delays[0]",
        )
    return value


ParameterName = Annotated[str, AfterValidator(_parameter)]
Limits = Annotated[Any, numbers("the parameter's unit")]  # float or tuple of floats


class Variable(Section):
    """A design variable; a tuple parameter takes one bound for all elements or a list."""

    parameter: ParameterName
    lower: Limits
    upper: Limits

    @model_validator(mode="after")
    def _ordered(self) -> "Variable":
        lower, upper = np.atleast_1d(self.lower), np.atleast_1d(self.upper)
        if lower.size != upper.size and 1 not in (lower.size, upper.size):
            got = f"{lower.size} and {upper.size}"
            raise refuse("lower and upper differ in length", got=got, allowed="equal lengths")
        if np.any(lower >= upper):
            raise refuse(
                f"lower is not below upper for {self.parameter}",
                got=f"lower {self.lower}, upper {self.upper}",
                allowed="lower < upper",
                remedy="leave a parameter that shall not move out of `variables`",
            )
        return self


class Target(Section):
    """A figure and what it has to reach, or that it shall be as good as the others' bounds let it become; ``band_ghz``
    and ``drop_db`` go to the figures that have them."""

    figure: Annotated[str, one_of(_FIGURES)]
    max: Annotated[float, number("the figure's unit")] | None = None
    min: Annotated[float, number("the figure's unit")] | None = None
    maximise: bool = False
    minimise: bool = False
    band_ghz: Annotated[float, number("GHz", least=0)] | None = None
    drop_db: Annotated[float, number("dB", above=0)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Target":
        kind = _FIGURES[self.figure]
        if getattr(self, "min" if kind.sense == "max" else "max") is not None:
            raise refuse(
                f"{self.figure} is bounded from the other side",
                got="min" if kind.sense == "max" else "max",
                allowed=kind.sense,
                remedy=f"write {kind.sense}: …",
            )
        better, worse = ("minimise", "maximise") if kind.sense == "max" else ("maximise", "minimise")
        if getattr(self, worse):
            raise refuse(f"{self.figure} is better the other way", got=worse, allowed=better, at=(worse,))
        if self.aimed and not kind.graded:
            raise refuse(
                f"{self.figure} says only whether a bound is met: it cannot be improved step by step",
                got=better, allowed=kind.sense, remedy=f"write {kind.sense}: …", at=(better,),
            )  # fmt: skip
        for option in ("band_ghz", "drop_db"):
            if getattr(self, option) is not None and option not in kind.options():
                raise refuse(
                    f"{self.figure} has no {option}",
                    got=getattr(self, option),
                    allowed=", ".join(kind.options()) or "no options",
                    at=(option,),
                )
        return self

    @property
    def bound(self) -> float | None:
        """The value to reach, None for a figure that is only reported."""
        return self.max if self.max is not None else self.min

    @property
    def aimed(self) -> bool:
        """Whether the figure shall be as good as possible."""
        return self.maximise or self.minimise

    @property
    def wanted(self) -> str:
        """What is asked for, for a person; empty of a figure that is only reported."""
        unit = self.measure.unit
        bound = "" if self.bound is None else f"{'≤' if self.max is not None else '≥'} {self.bound:g} {unit}".rstrip()
        aim = "maximise" if self.maximise else "minimise" if self.minimise else ""
        return ", ".join(part for part in (bound, aim) if part)

    @property
    def measure(self) -> Figure:
        """The figure with its options."""
        kind = _FIGURES[self.figure]
        return kind(**{name: getattr(self, name) for name in kind.options() if getattr(self, name) is not None})


class OptimiseOptions(Section):
    """How to search; see ``picq.design.optimise``.

    Attributes:
        method: ``adam`` or ``lbfgs`` (which finds its own step lengths and does not read learning_rate).
        starts: random start points, descended side by side.
        steps: of descent in each round.
        learning_rate: at the start of a round, in bounded coordinates (1 is the distance between the bounds).
        rounds: of recombination after the first descent.
        chips: fabricated chips on which designs are compared when ``tolerance.trim`` names heaters; 0: none.
        centring: steps of a last descent of the best design on these chips; see ``picq.design.centring``.
    """

    method: Annotated[str, one_of(("adam", "lbfgs"))] = "adam"
    starts: Annotated[int, number("", least=1, most=10000, whole=True)] = 32
    steps: Annotated[int, number("", least=1, most=100000, whole=True)] = 200
    learning_rate: Annotated[float, number("", above=0, most=10)] = 0.03
    rounds: Annotated[int, number("", least=0, most=100, whole=True)] = 1
    chips: Annotated[int, number("", least=0, most=1000, whole=True)] = 16
    centring: Annotated[int, number("", least=0, most=100000, whole=True)] = 0


class ToleranceOptions(Section):
    """How to sample. ``trim`` names what may be set anew on a finished chip: heater powers, temperatures of
    devices, or shifts of the grid (light that follows the chip's comb)."""

    samples: Annotated[int, number("", least=10, most=10_000_000, whole=True)] = 2000
    trim: tuple[ParameterName, ...] = ()


class Spec(Section):
    """A whole specification; see the module's docstring for the file format."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: Annotated[str, name_of("a chip: letters, digits and _")]
    technology: str
    seed: Annotated[int, number("", least=0, most=2**31 - 1, whole=True)] = 0
    layout: str | None = None
    circuit: InlineCircuit | None = None
    wavelengths: Wavelengths
    channels: Channels
    source: SourceSection | None = None
    excluding: tuple[str, ...] = ()
    variables: Annotated[tuple[Variable, ...], Field(min_length=1)]
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    optimise: OptimiseOptions = OptimiseOptions()
    tolerance: ToleranceOptions = ToleranceOptions()
    _source: Source = PrivateAttr(default_factory=Source)

    @model_validator(mode="after")
    def _consistent(self) -> "Spec":
        if (self.layout is None) == (self.circuit is None):
            raise refuse(
                "a specification has either `layout` or `circuit`",
                got="neither" if self.layout is None else "both",
                remedy="name the layout script beside the specification, or write the netlist inline",
            )
        names = [v.parameter for v in self.variables]
        for i, name in enumerate(names):
            if any(name.split("[")[0] == n or name == n.split("[")[0] or name == n for n in names[:i]):
                raise refuse("the parameter is a variable twice", got=name, at=("variables", i, "parameter"))
        options = self.optimise
        if options.centring and not (options.chips and self.tolerance.trim):
            raise refuse(
                "designs are centred on fabricated, trimmed chips, and there are none",
                got=f"centring {options.centring}, chips {options.chips}, {len(self.tolerance.trim)} in tolerance.trim",
                remedy="set `optimise.chips` and name in `tolerance.trim` what is set anew on a chip, or leave it out",
                at=("optimise", "centring"),
            )
        self._check_targets()
        return self

    def _check_targets(self) -> None:
        grid, channels = self.wavelengths.ghz, self.channels
        seen: list[tuple[str, Figure]] = []
        for i, target in enumerate(self.targets):
            figure = target.measure
            if (target.figure, figure) in seen:
                raise refuse("the figure is a target twice", got=target.figure, at=("targets", i, "figure"))
            seen.append((target.figure, figure))
            if isinstance(figure, Crosstalk):
                least = next(n for n in range(2, 4) if figure.others(0, n))
                if len(channels.outputs) < least:
                    raise refuse(
                        f"{target.figure}: no channel's output has another channel to be compared with",
                        got=f"{len(channels.outputs)} in channels.outputs",
                        allowed=f"{least} outputs or more",
                        remedy="name the outputs of the other channels too, or leave the target out",
                        at=("targets", i, "figure"),
                    )
            if isinstance(figure, SourceFigure) and (reason := self._lacks(figure)):
                raise refuse(f"{target.figure}: {reason}", got=target.figure, at=("targets", i, "figure"))
            if target.bound is not None and (reason := figure.infeasible(target.bound, channels.spacing_ghz)):
                raise refuse(
                    f"{target.figure}: the target is infeasible",
                    got=f"{target.figure.rsplit('_', 1)[0]} {figure.sense} {target.bound:g} {figure.unit}",
                    allowed=reason,
                    at=("targets", i, figure.sense),
                )
            reach = figure.reach(channels.spacing_ghz)
            if reach > channels.spacing_ghz / 2 + 1e-9 and len(channels.outputs) > 1:
                raise refuse(
                    f"{target.figure}: the bands of neighbouring channels overlap",
                    got=f"± {reach:g} GHz",
                    allowed=f"at most ± {channels.spacing_ghz / 2:g} GHz (half of spacing_ghz)",
                    at=("targets", i, "band_ghz"),
                )
            if channels.ghz[0] - reach < grid[0] - 1e-6 or channels.ghz[-1] + reach > grid[-1] + 1e-6:
                raise refuse(
                    "the channels' bands do not lie within the wavelength grid",
                    got=f"bands of {target.figure} {channels.ghz[0] - reach:g} … {channels.ghz[-1] + reach:g} GHz",
                    allowed=f"{grid[0]:g} … {grid[-1]:g} GHz, the grid of `wavelengths`",
                    remedy="widen `wavelengths` or move `channels`",
                    at=("channels",),
                )

    def _lacks(self, figure: SourceFigure) -> str:
        """Why the specification's source does not have a figure."""
        if self.source is None:
            return "the specification has no `source`"
        if figure.pulsed and self.source.pump.shape == "cw":
            return "only a pulsed pump has it"
        return ""

    @property
    def labels(self) -> tuple[str, ...]:
        """One name per target: the figure's, with its options where a figure occurs more than once."""
        names = [t.figure for t in self.targets]
        return tuple(
            n if names.count(n) == 1 else f"{n}({', '.join(f'{k}={v:g}' for k, v in vars(t.measure).items())})"
            for n, t in zip(names, self.targets, strict=True)
        )

    @property
    def layout_path(self) -> Path | None:
        """The layout script, beside the specification."""
        return None if self.layout is None else self._source.folder / self.layout

    def error(self, path: tuple[str | int, ...], what: str, **details: Any) -> SpecError:
        """A SpecError that names ``path`` in the file."""
        return SpecError(f"{self._source.place(path)}: {what}", **details)

    def canonical(self, part: Literal["all", "design"] = "all") -> dict[str, Any]:
        """Plain data that two equal specifications share; ``design`` leaves out the number of samples."""
        plain = self.model_dump(mode="json", exclude=None if part == "all" else {"tolerance": {"samples"}})
        if (script := self.layout_path) is not None:
            plain["layout_sha256"] = hashlib.sha256(script.read_bytes()).hexdigest() if script.is_file() else None
        return plain

    def digest(self, part: Literal["all", "design"] = "all") -> str:
        """SHA-256 of ``canonical(part)``: the layout script's text counts, comments and order of the YAML do not."""
        return hashlib.sha256(json.dumps(self.canonical(part), sort_keys=True).encode()).hexdigest()


def load_spec(path: Path) -> Spec:
    """Read and check a specification.

    Raises:
        SpecError: the file is missing or not YAML, or an entry is wrong; names file, line and path of the entry.
    """
    return parse_spec(Source.read(Path(path)))


def parse_spec(source: Source) -> Spec:
    """Check a specification that was read already (or written in Python: ``Source(data={...})``)."""
    spec = validated(Spec, source)
    spec._source = source
    return spec
