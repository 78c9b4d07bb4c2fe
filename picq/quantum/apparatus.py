"""What a pair source is operated with: light in its pump's port, and detectors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from picq.errors import SpecError
from picq.quantum.checks import check
from picq.quantum.pump import Gaussian, Pulse, Rectangular, Sech2

Shape = Literal["cw", "gaussian", "sech2", "rectangular"]
SHAPES: dict[str, Callable[[Any], Pulse]] = {"gaussian": Gaussian, "sech2": Sech2, "rectangular": Rectangular}


@dataclass(frozen=True)
class Drive:
    """Light in the pump's port.

    Attributes:
        power_w: mean power.
        shape: ``cw`` or a pulse's.
        fwhm_s: of the pulses' intensity (a rectangular one's duration); unused for ``cw``.
        repetition_hz: of the pulses, or of the pairs of pulses of a time-bin link; unused for ``cw``.
        bins: pulses per period: 2 where time-bin analysers follow.
        detuning_hz: of a laser that follows the pumped resonance, from it.

    Raises:
        SpecError: a concrete number makes no sense, or the shape is unknown.
    """

    power_w: Any
    shape: Shape = "cw"
    fwhm_s: Any = None
    repetition_hz: Any = None
    bins: int = 1
    detuning_hz: Any = 0.0

    def __post_init__(self) -> None:
        """Check concrete numbers."""
        check("pump power", self.power_w, "W", least=0)
        if self.shape == "cw":
            return
        if self.shape not in SHAPES:
            raise SpecError("unknown shape of pump pulses", got=self.shape, allowed=", ".join(("cw", *SHAPES)))
        for what, value, unit in (("width of the pulses", self.fwhm_s, "s"), ("repetition", self.repetition_hz, "Hz")):
            if value is None:
                raise SpecError(f"{what} of a pulsed pump is missing", allowed=f"a number in {unit}")
            check(what, value, unit, above=0)

    @property
    def pulse(self) -> Pulse:
        """One pulse of unit energy."""
        return SHAPES[self.shape](self.fwhm_s)

    @property
    def energy_j(self) -> Any:
        """Of one pulse, J."""
        return self.power_w / (self.repetition_hz * self.bins)


@dataclass(frozen=True)
class Detection:
    """Detectors, alike for both photons.

    Attributes:
        efficiency: 0 … 1.
        dark_hz: dark counts, 1/s.
        jitter_s: standard deviation of one detector's error in time.
        window_s: of coincidence, full width.

    Raises:
        SpecError: a concrete number makes no sense.
    """

    efficiency: Any = 1.0
    dark_hz: Any = 0.0
    jitter_s: Any = 0.0
    window_s: Any = 1e-9

    def __post_init__(self) -> None:
        """Check concrete numbers."""
        check("efficiency of the detectors", self.efficiency, "", least=0, most=1)
        check("dark counts", self.dark_hz, "1/s", least=0)
        check("jitter", self.jitter_s, "s", least=0)
        check("window", self.window_s, "s", above=0)
