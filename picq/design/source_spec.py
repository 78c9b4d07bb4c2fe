"""The part of a specification that tells of a pair source::

    source:
      ring: ring                                   # instance
      pump: {port: in, power_mw: 0.2}              # continuous; or pulses, with the mean power:
      # pump: {port: in, power_mw: 0.2, shape: gaussian, fwhm_ps: 100, repetition_mhz: 250}
      pair: 1                                      # resonances of the photons, counted from the pump's
      signal: analyser_s                           # an exposed port, or a time-bin analyser at whose input it counts
      idler: analyser_i
      detectors: {efficiency: 0.8, dark_hz: 100, jitter_ps: 30, window_ps: 500}
      points: 128                                  # frequencies of each photon in the joint spectrum
      captured_min: 0.99                           # share of the pairs that these have to hold

The pump is the resonance nearest to the comb's centre. The channels' spectra are those of the chip with its ring cut
open: what filters do to light that passes.
"""

from typing import Annotated

from pydantic import Field, model_validator

from picq.design.yaml_source import Section, number, one_of, refuse
from picq.quantum.figures import SHAPES


class Pump(Section):
    """Light in the pump's port; ``power_mw`` is the mean power."""

    port: str
    power_mw: Annotated[float, number("mW", above=0)]
    shape: Annotated[str, one_of(("cw", *SHAPES))] = "cw"
    fwhm_ps: Annotated[float, number("ps", above=0)] | None = None
    repetition_mhz: Annotated[float, number("MHz", above=0)] | None = None
    detuning_mhz: Annotated[float, number("MHz")] = 0.0

    @model_validator(mode="after")
    def _whole(self) -> "Pump":
        given = {name: getattr(self, name) is not None for name in ("fwhm_ps", "repetition_mhz")}
        for name, there in given.items():
            if there == (self.shape == "cw"):
                raise refuse(
                    f"a {'continuous pump has no' if there else 'pulsed pump needs'} {name}",
                    got=getattr(self, name),
                    remedy="leave it out, or give the pump a shape" if there else f"add `{name}:`",
                    at=(name,) if there else (),
                )
        if self.shape != "cw" and self.detuning_mhz:
            raise refuse("pulses are centred on the resonance", got=f"{self.detuning_mhz:g} MHz", at=("detuning_mhz",))
        return self


class Detectors(Section):
    """Alike for both photons; ``jitter_ps`` is the standard deviation of one, ``window_ps`` the full width."""

    efficiency: Annotated[float, number("", above=0, most=1)] = 1.0
    dark_hz: Annotated[float, number("1/s", least=0)] = 0.0
    jitter_ps: Annotated[float, number("ps", least=0)] = 0.0
    window_ps: Annotated[float, number("ps", above=0)] = 1000.0


class SourceSection(Section):
    """See the module's docstring."""

    ring: str
    pump: Pump
    pair: Annotated[int, number("", least=1, most=100, whole=True)] = 1
    signal: str
    idler: str
    detectors: Detectors = Field(default_factory=Detectors)
    points: Annotated[int, number("", least=32, most=2048, whole=True)] = 128
    captured_min: Annotated[float, number("", least=0, most=1)] = 0.99
