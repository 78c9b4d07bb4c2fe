"""Counting: yields with confidence intervals, and percentiles of many spectra in bounded memory."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

PERCENTILES = (1.0, 5.0, 50.0, 95.0, 99.0)
"""The percentiles that bands and distributions hold."""


@dataclass(frozen=True)
class Yield:
    """How many samples passed.

    Attributes:
        passed, samples: counts.
        fraction: passed / samples.
        low, high: 95 % interval of the true fraction.
    """

    passed: int
    samples: int
    fraction: float
    low: float
    high: float

    @classmethod
    def of(cls, passed: int, samples: int, confidence: float = 0.95) -> "Yield":
        """Wilson's score interval, J. Am. Stat. Assoc. 22, 209 (1927): good down to no pass at all."""
        z = float(norm.ppf(0.5 + confidence / 2))
        p = passed / samples
        centre = (p + z**2 / (2 * samples)) / (1 + z**2 / samples)
        half = z / (1 + z**2 / samples) * np.sqrt(p * (1 - p) / samples + z**2 / (4 * samples**2))
        # rounding must not push the interval off the fraction that was counted
        low, high = max(0.0, min(p, float(centre - half))), min(1.0, max(p, float(centre + half)))
        return cls(passed, samples, p, low, high)

    def __str__(self) -> str:
        return f"{100 * self.fraction:.2f} % ({100 * self.low:.2f} … {100 * self.high:.2f} %)"


class SpectrumHistogram:
    """Counts of transmissions in dB for every channel and grid point; its size does not grow with the samples.

    Percentiles are exact to within one bin, ``step`` dB. Values outside [lowest, highest] count as the ends.
    """

    lowest, highest, step = -80.0, 5.0, 0.05

    def __init__(self, channels: int, points: int) -> None:
        self.shape = (channels, points)
        self.bins = round((self.highest - self.lowest) / self.step)
        self.counts = np.zeros(channels * points * self.bins, np.int64)

    def add(self, db: np.ndarray) -> None:
        """Count spectra [sample, channel, point]."""
        bins = np.clip(((db - self.lowest) / self.step).astype(np.int64), 0, self.bins - 1)
        places = np.arange(db[0].size).reshape(self.shape) * self.bins + bins
        self.counts += np.bincount(places.ravel(), minlength=self.counts.size)

    def percentiles(self, wanted: tuple[float, ...] = PERCENTILES) -> np.ndarray:
        """[percentile, channel, point] in dB, interpolated within a bin."""
        cumulative = np.cumsum(self.counts.reshape(-1, self.bins), axis=1)
        out = []
        for percentile in wanted:
            target = percentile / 100 * cumulative[:, -1:]
            bins = np.minimum((cumulative < target).sum(axis=1), self.bins - 1)
            rows = np.arange(bins.size)
            above = cumulative[rows, bins]
            below = np.where(bins > 0, cumulative[rows, np.maximum(bins - 1, 0)], 0)
            part = (target[:, 0] - below) / np.maximum(above - below, 1)
            out.append((self.lowest + (bins + part) * self.step).reshape(self.shape))
        return np.stack(out)
