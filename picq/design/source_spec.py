"""The part of a specification that tells of a pair source::

    source:
      ring: ring                                   # instance
      pump: {port: in, power_mw: 0.2}              # continuous; or pulses, with the mean power:
      # pump: {port: in, power_mw: 0.2, shape: gaussian, fwhm_ps: 100, repetition_mhz: 250}
      pair: 1                                      # resonances of the photons, counted from the pump's
      pairs: 3                                     # a comb: as many pairs from the first one on, or a list of them
      signal: analyser_s                           # an exposed port, or a time-bin analyser at whose input it counts
      idler: analyser_i
      detectors: {efficiency: 0.8, dark_hz: 100, jitter_ps: 30, window_ps: 500}
      demultiplexers: {crosstalk_db: -30, loss_db: 1}   # for figures of the comb and of frequency bins
      link: {kind: frequency_bins, bins: [1, 2], mixing: {crosstalk_db: -25, loss_db: 3}}
      points: 128                                  # frequencies of each photon in the joint spectrum
      captured_min: 0.99                           # share of the pairs that these have to hold

The pump is the resonance nearest to the comb's centre. The channels' spectra are those of the chip with its ring cut
open: what filters do to light that passes.

Figures are those of ``pair``, but for the comb's (``comb_…``) and a link's (visibility, chsh, qber, key_rate_hz). Time
bins are a link by themselves: analysers on the chip are named as ``signal`` and ``idler``. Frequency bins are two pairs
of the comb, and their analysers are not on the chip: ``demultiplexers`` tell resonances apart, ``mixing`` is the whole
measurement where both bins interfere half and half (modulators and filters). ``crosstalk_db`` is the share of every
other resonance's light in an output; it does not interfere. Detectors count per window behind a continuous pump, and
once a pulse behind a pulsed one.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from picq.design.yaml_source import Section, number, one_of, refuse
from picq.quantum.apparatus import SHAPES

_NUMBER = number("", least=1, most=100, whole=True)


def _pairs(value: Any) -> tuple[int, ...]:
    """A number of pairs, or their numbers."""
    check: Any = _NUMBER.func
    found = [check(v) for v in value] if isinstance(value, (list, tuple)) else range(1, check(value) + 1)
    if len(found) < 2 or len(set(found)) < len(found):
        raise refuse("a comb has two or more different pairs", got=value, remedy="write `pairs: 3` or `pairs: [1, 2]`")
    return tuple(found)


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


class Filtering(Section):
    """``crosstalk_db``: light of every other resonance in an output over what it has; none by default."""

    crosstalk_db: Annotated[float, number("dB", least=-200, below=0)] | None = None
    loss_db: Annotated[float, number("dB", least=0)] = 0.0

    @property
    def crosstalk(self) -> float:
        """As a share of power."""
        return 0.0 if self.crosstalk_db is None else 10 ** (self.crosstalk_db / 10)

    @property
    def transmission(self) -> float:
        """As a share of power."""
        return 10 ** (-self.loss_db / 10)


class Link(Section):
    """Entanglement between signal and idler; ``bins`` are the numbers of two pairs, the comb's first two by default."""

    kind: Annotated[str, one_of(("frequency_bins",))]
    bins: Annotated[tuple[int, int], BeforeValidator(_pairs)] | None = None
    mixing: Filtering = Filtering()


class SourceSection(Section):
    """See the module's docstring."""

    ring: str
    pump: Pump
    pair: Annotated[int, number("", least=1, most=100, whole=True)] = 1
    pairs: Annotated[tuple[int, ...], BeforeValidator(_pairs)] = ()
    signal: str
    idler: str
    detectors: Detectors = Field(default_factory=Detectors)
    demultiplexers: Filtering = Filtering()
    link: Link | None = None
    points: Annotated[int, number("", least=32, most=2048, whole=True)] = 128
    captured_min: Annotated[float, number("", least=0, most=1)] = 0.99

    @model_validator(mode="after")
    def _comb(self) -> "SourceSection":
        pairs, link = self.pairs, self.link
        if pairs and self.pair not in pairs:
            raise refuse("the figures' pair is none of the comb's", got=self.pair, allowed=pairs, at=("pair",))
        if link is not None and not pairs:
            raise refuse("frequency bins are pairs of a comb", remedy="add `pairs: 2`", at=("link",))
        if link is not None and not set(link.bins or ()) <= set(pairs):
            raise refuse("a bin is none of the comb's pairs", got=link.bins, allowed=pairs, at=("link", "bins"))
        filters = [(("demultiplexers",), self.demultiplexers), *([(("link", "mixing"), link.mixing)] if link else [])]
        for path, one in filters:
            if one.crosstalk * (len(pairs) - 1) > 1:
                raise refuse(
                    "more light would leak than there is",
                    got=f"{one.crosstalk_db:g} dB to each output of {len(pairs)} pairs",
                    allowed="less than all of it",
                    at=(*path, "crosstalk_db"),
                )
        return self

    @property
    def orders(self) -> tuple[int, ...]:
        """Numbers of all pairs, that of the figures first."""
        return (self.pair, *(m for m in self.pairs if m != self.pair))
