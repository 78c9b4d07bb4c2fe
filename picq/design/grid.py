"""Where a specification looks: the wavelength grid and the comb of channels."""

from typing import Annotated, Any

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from picq.design.yaml_source import Section, number, refuse

C_UM_GHZ = 299792.458
"""Speed of light in um GHz: wavelength (um) = C_UM_GHZ / frequency (GHz)."""

_MOST_POINTS = 20001


class FrequencyGrid(Section):
    """Equidistant frequencies, centre ± span/2."""

    center_thz: Annotated[float, number("THz", above=100, below=1000)]
    span_ghz: Annotated[float, number("GHz", above=0)]
    step_ghz: Annotated[float, number("GHz", above=0)]

    @model_validator(mode="after")
    def _divides(self) -> "FrequencyGrid":
        steps = self.span_ghz / self.step_ghz
        if abs(steps - round(steps)) > 1e-6 or not 2 <= steps < _MOST_POINTS:
            raise refuse(
                "the span is not a whole number of steps, or of too few or too many",
                got=f"span {self.span_ghz:g} GHz, step {self.step_ghz:g} GHz",
                allowed=f"2 … {_MOST_POINTS - 1} whole steps",
                remedy=f"for instance step_ghz: {self.span_ghz / min(max(round(steps), 2), _MOST_POINTS - 1):g}",
            )
        return self

    @property
    def ghz(self) -> np.ndarray:
        """Frequencies in GHz, ascending, shape [points]."""
        half = round(self.span_ghz / self.step_ghz) * self.step_ghz / 2
        return self.center_thz * 1e3 + np.linspace(-half, half, round(self.span_ghz / self.step_ghz) + 1)


class WavelengthGrid(Section):
    """Equidistant wavelengths from start to stop."""

    start_um: Annotated[float, number("um", above=0.3, below=3)]
    stop_um: Annotated[float, number("um", above=0.3, below=3)]
    points: Annotated[int, number("", above=2, most=_MOST_POINTS, whole=True)]

    @model_validator(mode="after")
    def _ordered(self) -> "WavelengthGrid":
        if self.start_um >= self.stop_um:
            raise refuse(
                "start_um is not below stop_um", got=f"{self.start_um:g} … {self.stop_um:g} um", remedy="swap them"
            )
        return self

    @property
    def ghz(self) -> np.ndarray:
        """Frequencies in GHz, ascending, shape [points]."""
        return C_UM_GHZ / np.linspace(self.stop_um, self.start_um, self.points)


def _grid_kind(value: Any) -> str:
    names = set(value) if isinstance(value, dict) else set()
    return "<wavelengths>" if names & {"start_um", "stop_um", "points"} else "<frequencies>"


class Channels(Section):
    """A comb of channels: ``outputs[k]`` belongs to centre + (k - (K - 1)/2) spacing."""

    center_thz: Annotated[float, number("THz", above=100, below=1000)]
    spacing_ghz: Annotated[float, number("GHz", above=0)]
    input: str
    outputs: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct(self) -> "Channels":
        twice = [p for p in self.outputs if self.outputs.count(p) > 1 or p == self.input]
        if twice:
            raise refuse("a port is named twice", got=twice[0], allowed="distinct ports", at=("outputs",))
        return self

    @property
    def ghz(self) -> np.ndarray:
        """Channel frequencies in GHz, shape [channels]."""
        count = len(self.outputs)
        return self.center_thz * 1e3 + (np.arange(count) - (count - 1) / 2) * self.spacing_ghz


Wavelengths = Annotated[
    Annotated[FrequencyGrid, Tag("<frequencies>")] | Annotated[WavelengthGrid, Tag("<wavelengths>")],
    Discriminator(_grid_kind),
]
"""Either form; which one is seen from the names that are given."""
