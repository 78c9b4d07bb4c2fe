"""Specifications of free-form devices, checked, with every error naming its place in the file.

One YAML file that has ``region`` in place of a circuit; all lengths in um, powers in dB::

    name: mode_converter
    technology: soi220                # its guide's layer is drawn on; its film, where `materials` is left out
    polarisation: ez                  # E out of the plane; hz: H
    materials: {core: 12.25, cladding: 2.25}          # relative permittivities
    wl_um: [1.265, 1.27, 1.275, 1.285, 1.29, 1.295]   # or {start, stop, points}
    region: {size: [1.6, 1.6], symmetries: [y]}       # about the origin
    ports:
      o1: {side: west, width: 0.4}                    # at: middle of the guide along the side, 0
      o2: {side: east, width: 0.4, modes: [1]}        # orders, 0 the fundamental one
    targets:
      - {from: o1, to: o1, max_db: -20}
      - {from: o1, to: o2@1, min_db: -0.5}            # wl_um: [first, last] where it is not all of them
    rules: {width: 0.1, space: 0.1}                   # of the mask; area and angle_deg have defaults
    surroundings: {guide: 0.72, side: 0.4, port: 0.04, span: 1.52}
    search: {steps: [0.04, 0.02, 0.01], starts: 8}
    seed: 1
"""

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, PrivateAttr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from picq.design.yaml_source import Section, Source, name_of, number, one_of, refuse, validated
from picq.errors import SpecError
from picq.inverse.density import Symmetry

Length = Annotated[float, number("um", above=0)]
_WAVELENGTH = number("um", above=0)
SIDES = {"east": 0, "north": 90, "west": 180, "south": 270}


class Materials(Section):
    """Relative permittivities of a two-dimensional exercise."""

    core: Annotated[float, number("", least=1)]
    cladding: Annotated[float, number("", least=1)]

    @model_validator(mode="after")
    def _guides(self) -> "Materials":
        if self.core <= self.cladding:
            raise refuse(
                "the core does not guide", got=f"{self.core} in {self.cladding}", allowed="core above cladding"
            )
        return self


class RegionSection(Section):
    """The rectangle that is designed, about the origin."""

    size: tuple[Length, Length]
    symmetries: tuple[Symmetry, ...] = ()


class PortSection(Section):
    """A guide from the region's side outwards. ``at``: its middle along that side; ``modes``: what light may be in."""

    side: Annotated[str, one_of(SIDES)]
    at: Annotated[float, number("um")] = 0.0
    width: Length
    modes: Annotated[tuple[Annotated[int, number("", least=0, whole=True)], ...], Field(min_length=1)] = (0,)


class TargetSection(Section):
    """The power from one channel (``port`` or ``port@order``) to another within a window."""

    model_config = ConfigDict(populate_by_name=True)

    start: str = Field(alias="from")
    to: str
    min_db: Annotated[float, number("dB", below=0)] | None = None
    max_db: Annotated[float, number("dB", below=0)] | None = None
    wl_um: tuple[Length, Length] | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, value: Any) -> Any:  # the base's would not know `from`
        known = ("from", "to", "min_db", "max_db", "wl_um")
        for key in value if isinstance(value, dict) else ():
            if key not in known:
                raise refuse(f"unknown name '{key}'", got=repr(key), allowed=", ".join(known), at=(str(key),))
        return value

    @model_validator(mode="after")
    def _window(self) -> "TargetSection":
        low, high = self.min_db, self.max_db
        if (low is None and high is None) or (low is not None and high is not None and low >= high):
            raise refuse(
                "a target needs a window", got=f"min_db {low}, max_db {high}", allowed="one bound, or min below max"
            )
        return self


class RulesSection(Section):
    """What the mask has to keep. Without ``area`` the square of the width."""

    width: Length
    space: Length
    area: Annotated[float, number("um²", above=0)] | None = None
    angle_deg: Annotated[float, number("degrees", above=0, below=90)] = 60.0
    source: str = "the specification"


class SurroundingsSection(Section):
    """The room of the simulation.

    Attributes:
        guide: from the region's side to the absorbing layer, where there are guides.
        side: the same where there are none.
        port: from the absorbing layer to a port's line.
        span: of a port's line, across its guide.
        pml_pixels: thickness of the absorbing layer.
        step: of the grid on which the finished mask is scored; the finest of the search where nothing is said.
    """

    guide: Length = 0.72
    side: Length = 0.4
    port: Length = 0.04
    span: Length = 1.52
    pml_pixels: Annotated[int, number("", least=5, whole=True)] = 20
    step: Length | None = None


class SearchSection(Section):
    """How to search; see ``picq.inverse.search``.

    Attributes:
        steps: of the grids, um, each half of the one before.
        starts: grey designs that are tried on the coarsest grid.
        effort: factor of the iterations.
        repairs: rounds of repair at most.
        edge_nm: by how much edges may move in- or outwards with the targets still asked for; 0 asks for them as drawn.
    """

    steps: Annotated[tuple[Length, ...], Field(min_length=1)] = (0.04, 0.02, 0.01)
    starts: Annotated[int, number("", least=1, most=1000, whole=True)] = 8
    effort: Annotated[float, number("", above=0)] = 1.0
    repairs: Annotated[int, number("", least=0, whole=True)] = 10
    edge_nm: Annotated[float, number("nm", least=0)] = 0.0

    @field_validator("steps")
    @classmethod
    def _halving(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for before, after in pairwise(value):
            if abs(before / after - 2) > 1e-9:
                raise refuse(
                    "a grid is not twice as fine as the one before", got=value, allowed="e.g. [0.04, 0.02, 0.01]"
                )
        return value


class FreeFormSpec(Section):
    """A whole specification; see the module's docstring for the file format."""

    name: Annotated[str, name_of("a device: letters, digits and _")]
    technology: str
    cross_section: str = "strip"
    polarisation: Literal["ez", "hz"] = "hz"
    materials: Materials | None = None
    wl_um: Annotated[tuple[Length, ...], Field(min_length=1)]
    region: RegionSection
    ports: Annotated[dict[str, PortSection], Field(min_length=1)]
    targets: Annotated[tuple[TargetSection, ...], Field(min_length=1)]
    rules: RulesSection
    surroundings: SurroundingsSection = SurroundingsSection()
    search: SearchSection = SearchSection()
    seed: Annotated[int, number("", least=0, most=2**31 - 1, whole=True)] = 1
    _source: Source = PrivateAttr(default_factory=Source)

    @field_validator("wl_um", mode="before")
    @classmethod
    def _range(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if set(value) != {"start", "stop", "points"}:
            raise refuse("a range of wavelengths", got=", ".join(map(str, value)), allowed="{start, stop, points}")
        kinds = {"start": _WAVELENGTH, "stop": _WAVELENGTH, "points": number("", least=2, most=1000, whole=True)}
        checked = {}
        for key, kind in kinds.items():
            try:
                checked[key] = kind.func(value[key])  # pyright: ignore[reportCallIssue]
            except PydanticCustomError as error:
                raise refuse(**{**(error.context or {}), "at": (key,)}) from None
        return tuple(map(float, np.linspace(checked["start"], checked["stop"], int(checked["points"]))))

    @model_validator(mode="after")
    def _consistent(self) -> "FreeFormSpec":
        if sorted(set(self.wl_um)) != list(self.wl_um):
            raise refuse("wavelengths are not ascending", got=self.wl_um, allowed="each once", at=("wl_um",))
        for name, port in self.ports.items():
            length = self.region.size[1 if port.side in ("east", "west") else 0]
            if abs(port.at) + port.width / 2 > length / 2:
                raise refuse(
                    f"the guide of port {name} is not on the region's {port.side} side",
                    got=f"{port.at - port.width / 2:g} to {port.at + port.width / 2:g} um",
                    allowed=f"within ± {length / 2:g} um",
                    remedy="move the port, or enlarge the region",
                    at=("ports", name, "at"),
                )
            if port.width < self.rules.width:
                raise refuse(
                    f"the guide of port {name} breaks the rule of the width",
                    got=f"{port.width} um",
                    allowed=f"from {self.rules.width} um",
                    at=("ports", name, "width"),
                )
        finest = self.search.steps[-1]
        if min(self.rules.width, self.rules.space) < 4 * finest:
            raise refuse(
                "the rules are finer than the grid can express",
                got=f"{min(self.rules.width, self.rules.space)} um on pixels of {finest} um",
                allowed=f"from {4 * finest:g} um",
                remedy="add finer steps to `search`, or loosen the rules",
                at=("rules",),
            )
        if 2e-3 * self.search.edge_nm >= min(self.rules.width, self.rules.space):
            raise refuse(
                "edges that move so far leave nothing of the narrowest bar or gap",
                got=f"{self.search.edge_nm:g} nm on either side",
                allowed=f"below {500 * min(self.rules.width, self.rules.space):g} nm, half of the narrowest rule",
                at=("search", "edge_nm"),
            )
        return self

    @property
    def mask_step(self) -> float:
        """Of the grid on which the finished mask is scored, um."""
        return self.surroundings.step or self.search.steps[-1]

    @property
    def length_scale(self) -> float:
        """The larger of the smallest width and space, um: of the filter."""
        return max(self.rules.width, self.rules.space)

    def place(self, at: tuple[str | int, ...]) -> str:
        """File, line and path of an entry."""
        return self._source.place(at)

    def channel(self, text: str, at: tuple[str | int, ...]) -> tuple[str, int]:
        """Port and order of ``port`` (its first mode) or ``port@order``.

        Raises:
            SpecError: there is none.
        """
        name, _, order = text.partition("@")
        if name in self.ports:
            modes = self.ports[name].modes
            if not order:
                return name, modes[0]
            if order.isdigit() and int(order) in modes:
                return name, int(order)
        known = ", ".join(f"{n}@{m}" for n, p in self.ports.items() for m in p.modes)
        raise SpecError(f"{self.place(at)}: no such channel", got=text, allowed=known)

    def digest(self) -> str:
        """SHA-256 of all that it says; comments and order of the YAML do not count."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def load_free_form(path: Path) -> FreeFormSpec:
    """Read and check the specification of a free-form device.

    Raises:
        SpecError: the file is missing or not YAML, or an entry is wrong; names file, line and path of the entry.
    """
    return parse_free_form(Source.read(Path(path)))


def parse_free_form(source: Source) -> FreeFormSpec:
    """Check a specification that was read already (or written in Python: ``Source(data={...})``)."""
    spec = validated(FreeFormSpec, source)
    spec._source = source
    return spec


def is_free_form(source: Source) -> bool:
    """Whether a specification is one of a free-form device."""
    return isinstance(source.data, dict) and "region" in source.data
