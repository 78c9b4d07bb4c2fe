"""Figures of a pair source as targets of a specification; what they are is computed in ``picq.quantum.figures``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from picq.design.figures import Comb, Figure


@dataclass(frozen=True)
class SourceFigure(Figure):
    """A figure that the ring, its pump and the detectors have together; the same for every channel.

    Class attributes:
        key: in the results of ``picq.quantum.figures``.
        logarithmic: whether targets are compared by ratio; ``scale`` is then one of natural logarithms.
        limits: between which targets make sense, open.
        pulsed: whether only a pulsed pump has it.
        continuous: whether only a continuous pump has it.
        analysed: whether only time-bin analysers have it.
        linked: whether only a link has it.
        combed: whether only a comb of several pairs has it.
        compared: whether it is of two chips.
    """

    key: ClassVar[str]
    logarithmic: ClassVar[bool] = False
    limits: ClassVar[tuple[float, float]] = (0.0, np.inf)
    pulsed: ClassVar[bool] = False
    continuous: ClassVar[bool] = False
    analysed: ClassVar[bool] = False
    linked: ClassVar[bool] = False
    combed: ClassVar[bool] = False
    compared: ClassVar[bool] = False

    def infeasible(self, bound: float, spacing_ghz: float) -> str:
        low, high = self.limits
        if low < bound < high:
            return ""
        return f"above {low:g}" + ("" if np.isinf(high) else f" and below {high:g}") + f" {self.unit}".rstrip()

    def probes(self, bound: float) -> tuple[float, ...]:
        return ()

    def measure(self, db: jax.Array, comb: Comb) -> jax.Array:
        raise NotImplementedError  # needs the source, not spectra: see ``of``

    def residuals(self, db: jax.Array, offsets: np.ndarray, bound: float) -> jax.Array:
        raise NotImplementedError  # as ``measure``: see ``excess``

    def of(self, found: Mapping[str, Any]) -> jax.Array:
        """The figure among a source's results."""
        return jnp.asarray(found[self.key], float)

    def excess(self, found: Mapping[str, Any], bound: float) -> jax.Array:
        """By how much the target is missed, below zero where it is met."""
        value = self.of(found)
        beyond = jnp.log(value / bound) if self.logarithmic else value - bound
        return beyond if self.sense == "max" else -beyond


def _figure(key: str, unit: str, sense: Literal["max", "min"], doc: str, **members: Any) -> type[SourceFigure]:
    """A figure compared by ratio, a tenth weighing as much as another's scale; ``members`` say otherwise."""
    usual = {"scale": 0.1, "logarithmic": True, "__doc__": doc, "key": key, "unit": unit, "sense": sense}
    return dataclass(frozen=True)(type(f"Source_{key}", (SourceFigure,), usual | members))


_SHARE: dict[str, Any] = {"logarithmic": False, "limits": (0.0, 1.0)}
_LINK: dict[str, Any] = {"linked": True}
_COMB: dict[str, Any] = {"combed": True}
_PLAIN: dict[str, Any] = {"logarithmic": False}

_KINDS = (
    _figure("pair_rate_hz", "1/s", "min", "Pairs created in the ring."),
    _figure("pairs_out_hz", "1/s", "min", "Pairs of which both photons arrive at the source's two ports."),
    _figure("singles_hz", "1/s", "min", "Clicks of the weaker arm by photons of pairs."),
    _figure("coincidence_rate_hz", "1/s", "min", "True coincidences counted, with detectors and window."),
    _figure("car", "", "min", "True over accidental coincidences."),
    _figure("brightness_hz_mw2_ghz", "1/(s mW² GHz)", "min", "pairs_out_hz per pump power squared and linewidth.",
            continuous=True),
    _figure("heralding", "", "min", "Chance to arrive if the partner has; worse arm.", **_SHARE, scale=0.02),
    _figure("purity", "", "min", "Of a heralded photon, from the joint spectrum.", **_SHARE, scale=0.003, pulsed=True),
    _figure("pairs_per_pulse", "", "min", "Mean number of pairs that one pulse creates.", pulsed=True),
    _figure("heralded_g2", "", "max", "g²(0) of a heralded photon."),
    _figure("threshold_fraction", "", "max", "Pump over threshold of parametric oscillation.", limits=(0.0, 1.0),
            continuous=True),
    _figure("threshold_mw", "mW", "min", "Threshold of parametric oscillation, cold."),
    _figure("q_loaded", "", "min", "Loaded quality factor of the pumped resonance."),
    _figure("q_intrinsic", "", "min", "The same by the ring's own losses."),
    _figure("linewidth_mhz", "MHz", "min", "Of the signal's resonance, full width at half maximum."),
    _figure("fsr_ghz", "GHz", "min", "Free spectral range at the pump."),
    _figure("grid_offset_ghz", "GHz", "max", "Of pump and photons from the grid; the largest.", **_PLAIN, scale=0.3),
    _figure("pump_rejection_db", "dB", "min", "Pump over its leak to the photons; worse arm.", **_PLAIN, scale=3.0),
    _figure("visibility", "", "min", "Of a link's fringe of raw coincidences.", **_SHARE, **_LINK, scale=0.01),
    _figure("chsh", "", "min", "Bell's S.", **_PLAIN, **_LINK, scale=0.03, limits=(0.0, 2 * 2**0.5)),
    _figure("qber", "", "max", "Error rate, mean of both bases.", **_PLAIN, **_LINK, scale=0.005, limits=(0.0, 0.5)),
    _figure("bin_overlap", "", "max", "Photons still in the ring when the next bin begins; not in the link's figures.",
            pulsed=True, analysed=True, limits=(0.0, 1.0)),
    _figure("key_rate_hz", "1/s", "min", "Secret bits per second of BBM92, asymptotic.", **_LINK),
    _figure("comb_rate_hz", "1/s", "min", "pairs_out_hz of all pairs of the comb together.", **_COMB),
    _figure("comb_uniformity_db", "dB", "max", "The strongest pair's rate over the weakest's.", **_PLAIN, **_COMB,
            scale=0.33),
    _figure("comb_car", "", "min", "Raw coincidences of a pair over those of unlike pairs; the worst of all.", **_COMB),
    _figure("indistinguishability", "", "min", "Interference of heralded signals of this chip and of one as designed.",
            **_SHARE, scale=0.01, pulsed=True, compared=True),
)  # fmt: skip

SOURCE_FIGURES: Mapping[str, type[SourceFigure]] = {kind.key: kind for kind in _KINDS}
"""By the name that a specification uses, which is their key."""
