"""Figures of merit of a multi-channel filter: what is reported, and the smooth terms by which it is optimised.

A figure has two faces. ``measure`` is what is reported, per channel, on the fine grid; it interpolates between grid
points, so it is differentiable almost everywhere. ``residuals`` are smooth stand-ins at a few frequencies of each
channel; below zero the target is met. The optimiser sees only residuals, the user only measures.

Vocabulary: ITU-T G.671 (2019), sect. 3.2 (insertion loss, adjacent channel isolation, passband).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

FLOOR_DB = -120.0
"""Power ratios are cut off here: light below it is noise of the arithmetic."""


def decibel(power: jax.Array) -> jax.Array:
    """10 log10 of a power ratio, smooth down to FLOOR_DB."""
    return 10 * jnp.log10(power + 10 ** (FLOOR_DB / 10))


@dataclass(frozen=True)
class Comb:
    """Where the channels are, and the fine grid.

    Attributes:
        ghz: grid, ascending, shape [points].
        channels_ghz: shape [channels], ascending.
        spacing_ghz: of the channels.
    """

    ghz: np.ndarray
    channels_ghz: np.ndarray
    spacing_ghz: float

    def band(self, channel: int, half_ghz: float) -> np.ndarray:
        """Weights [samples, points] that take a spectrum to its values in a channel ± half_ghz, ends interpolated."""
        low, high = self.channels_ghz[channel] - half_ghz, self.channels_ghz[channel] + half_ghz
        inside = self.ghz[(self.ghz > low + 1e-6) & (self.ghz < high - 1e-6)]
        return self.interpolation(np.unique([low, *inside, high]))

    def interpolation(self, ghz: np.ndarray) -> np.ndarray:
        """Weights [samples, points] of linear interpolation at ``ghz``."""
        right = np.clip(np.searchsorted(self.ghz, ghz), 1, self.ghz.size - 1)
        weight = (ghz - self.ghz[right - 1]) / (self.ghz[right] - self.ghz[right - 1])
        out = np.zeros((ghz.size, self.ghz.size))
        rows = np.arange(ghz.size)
        out[rows, right], out[rows, right - 1] = weight, 1 - weight
        return out


@dataclass(frozen=True)
class Figure:
    """Base of the figures. Class attributes: ``unit``, ``sense`` (``max``: smaller is better), ``scale``: the change
    of a residual that counts as much as one of another figure, ``graded``: residuals are the figure less its bound.
    """

    unit: ClassVar[str] = "dB"
    sense: ClassVar[Literal["max", "min"]] = "max"
    scale: ClassVar[float] = 1.0
    graded: ClassVar[bool] = True

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """Names of the options that a target may give."""
        return tuple(f.name for f in dataclasses.fields(cls))

    def infeasible(self, bound: float, spacing_ghz: float) -> str:
        """What bounds are possible, when ``bound`` is not; empty otherwise."""
        raise NotImplementedError

    def reach(self, spacing_ghz: float) -> float:
        """Half width in GHz about each channel that the grid has to hold."""
        return 0.0

    def probes(self, bound: float) -> tuple[float, ...]:
        """Offsets from a channel in GHz at which ``residuals`` needs the spectrum."""
        raise NotImplementedError

    def measure(self, db: jax.Array, comb: Comb) -> jax.Array:
        """The figure of each channel, shape [channels], from transmissions ``db`` [channels, points] in dB."""
        raise NotImplementedError

    def residuals(self, db: jax.Array, offsets: np.ndarray, bound: float) -> jax.Array:
        """Smooth excess over the target, in dB, [channels, …].

        Args:
            db: transmission to output k in the band of channel j at each offset, [k, j, offset].
            offsets: GHz, shape [offset]; holds ``probes(bound)``.
            bound: the target.
        """
        raise NotImplementedError


def _at(offsets: np.ndarray, wanted: tuple[float, ...]) -> np.ndarray:
    return np.array([int(np.argmin(np.abs(offsets - w))) for w in wanted])


def _spread(half_ghz: float, count: int) -> tuple[float, ...]:
    return (0.0,) if half_ghz == 0 else tuple(float(v) for v in np.linspace(-half_ghz, half_ghz, count))


def _own(db: jax.Array) -> jax.Array:
    """[channel, offset]: each output in its own band."""
    return jnp.stack([db[k, k] for k in range(db.shape[0])])


@dataclass(frozen=True)
class InsertionLoss(Figure):
    """Largest loss from the input to a channel's output within the channel ± band_ghz; at its centre when 0."""

    scale: ClassVar[float] = 0.33
    band_ghz: float = 0.0

    def infeasible(self, bound: float, spacing_ghz: float) -> str:
        return "" if bound > 0 else "above 0 dB: a passive circuit loses light"

    def reach(self, spacing_ghz: float) -> float:
        return self.band_ghz

    def probes(self, bound: float) -> tuple[float, ...]:
        return _spread(self.band_ghz, 5)

    def measure(self, db: jax.Array, comb: Comb) -> jax.Array:
        return jnp.stack([-(comb.band(k, self.band_ghz) @ db[k]).min() for k in range(db.shape[0])])

    def residuals(self, db: jax.Array, offsets: np.ndarray, bound: float) -> jax.Array:
        return -_own(db)[:, _at(offsets, self.probes(bound))] - bound


@dataclass(frozen=True)
class Crosstalk(Figure):
    """Leak into a channel's output, over ± band_ghz of the other channels, relative to its own weakest light there.

    ``max over f in band(j) of T_k(f) / min over f in band(k) of T_k(f)``, the worst of the channels j that count.
    """

    scale: ClassVar[float] = 3.0
    neighbours: ClassVar[int | None] = None
    band_ghz: float = 25.0

    def infeasible(self, bound: float, spacing_ghz: float) -> str:
        return f"{FLOOR_DB:g} … 0 dB" if not FLOOR_DB < bound < 0 else ""

    def reach(self, spacing_ghz: float) -> float:
        return self.band_ghz

    def probes(self, bound: float) -> tuple[float, ...]:
        return _spread(self.band_ghz, 5)

    def others(self, k: int, count: int) -> list[int]:
        """Channels whose light counts as crosstalk in the output of channel k."""
        return [j for j in range(count) if j != k and (self.neighbours is None or abs(j - k) <= self.neighbours)]

    def measure(self, db: jax.Array, comb: Comb) -> jax.Array:
        worst = []
        for k in range(db.shape[0]):
            own = (comb.band(k, self.band_ghz) @ db[k]).min()
            leaks = [(comb.band(j, self.band_ghz) @ db[k]).max() for j in self.others(k, db.shape[0])]
            worst.append(jnp.stack(leaks).max() - own if leaks else jnp.asarray(FLOOR_DB))
        return jnp.stack(worst)

    def residuals(self, db: jax.Array, offsets: np.ndarray, bound: float) -> jax.Array:
        at = _at(offsets, self.probes(bound))
        pairs = [(k, j) for k in range(db.shape[0]) for j in self.others(k, db.shape[0])]
        if not pairs:
            return jnp.zeros((0, len(at)))
        return jnp.stack([db[k, j, at] - db[k, k, at] for k, j in pairs]) - bound


@dataclass(frozen=True)
class AdjacentCrosstalk(Crosstalk):
    """The same from the two neighbouring channels only (the negative of G.671's adjacent channel isolation)."""

    neighbours: ClassVar[int | None] = 1


@dataclass(frozen=True)
class NonAdjacentCrosstalk(Crosstalk):
    """The same from all channels but the two neighbouring ones (G.671's non-adjacent channel isolation)."""

    def others(self, k: int, count: int) -> list[int]:
        return [j for j in range(count) if abs(j - k) > 1]


@dataclass(frozen=True)
class CumulativeCrosstalk(Crosstalk):
    """The sum of what all other channels leak into a channel's output, each at its worst over ± band_ghz, relative to
    the output's own weakest light there."""

    def measure(self, db: jax.Array, comb: Comb) -> jax.Array:
        sums = []
        for k in range(db.shape[0]):
            own = (comb.band(k, self.band_ghz) @ db[k]).min()
            leaks = [(comb.band(j, self.band_ghz) @ db[k]).max() for j in self.others(k, db.shape[0])]
            sums.append(_sum_db(jnp.stack(leaks), 0) - own if leaks else jnp.asarray(FLOOR_DB))
        return jnp.stack(sums)

    def residuals(self, db: jax.Array, offsets: np.ndarray, bound: float) -> jax.Array:
        at, count = _at(offsets, self.probes(bound)), db.shape[0]
        if count < 2:
            return jnp.zeros((0, len(at)))
        own = _own(db)[:, at].min(axis=1)
        others = [jnp.stack([db[k, j, at].max() for j in self.others(k, count)]) for k in range(count)]
        return _sum_db(jnp.stack(others), 1) - own - bound


def _sum_db(db: jax.Array, axis: int) -> jax.Array:
    return 10 * jnp.log10(jnp.sum(10 ** (db / 10), axis=axis))


@dataclass(frozen=True)
class NonUniformity(Figure):
    """How much more a channel loses at its centre than the best one."""

    scale: ClassVar[float] = 0.33

    def infeasible(self, bound: float, spacing_ghz: float) -> str:
        return "" if bound > 0 else "above 0 dB"

    def probes(self, bound: float) -> tuple[float, ...]:
        return (0.0,)

    def measure(self, db: jax.Array, comb: Comb) -> jax.Array:
        centres = jnp.stack([(comb.band(k, 0.0) @ db[k]).min() for k in range(db.shape[0])])
        return centres.max() - centres

    def residuals(self, db: jax.Array, offsets: np.ndarray, bound: float) -> jax.Array:
        own = _own(db)[:, _at(offsets, self.probes(bound))]
        return own.max() - own - bound


@dataclass(frozen=True)
class Passband(Figure):
    """Contiguous width about a channel's frequency within which the transmission is within drop_db of its peak.

    The peak is that within half a channel spacing; 0 when the channel's own frequency lies below it by more than
    drop_db. Between grid points the crossing is interpolated linearly in dB.
    """

    unit: ClassVar[str] = "GHz"
    sense: ClassVar[Literal["max", "min"]] = "min"
    graded: ClassVar[bool] = False
    drop_db: float = 1.0

    def infeasible(self, bound: float, spacing_ghz: float) -> str:
        return "" if 0 < bound < spacing_ghz else f"above 0 and below spacing_ghz, {spacing_ghz:g} GHz"

    def reach(self, spacing_ghz: float) -> float:
        return spacing_ghz / 2

    def probes(self, bound: float) -> tuple[float, ...]:
        return _spread(bound / 2, 7)

    def edges(self, db: jax.Array, comb: Comb, channel: int) -> tuple[jax.Array, jax.Array]:
        """(left, right): distances in GHz from the channel to where its transmission has dropped."""
        spectrum = db[channel]
        limit = (comb.band(channel, comb.spacing_ghz / 2) @ spectrum).max() - self.drop_db
        centre = comb.channels_ghz[channel]
        here = (comb.interpolation(np.array([centre])) @ spectrum)[0]
        right, left = comb.ghz > centre + 1e-6, comb.ghz < centre - 1e-6
        out = []
        for chosen, order in ((left, -1), (right, 1)):
            x = np.concatenate([[0.0], np.abs(comb.ghz[chosen] - centre)[::order]])
            y = jnp.concatenate([here[None], spectrum[chosen][::order]])
            out.append(_first_crossing(x, y, limit))
        return out[0], out[1]

    def measure(self, db: jax.Array, comb: Comb) -> jax.Array:
        edges = [self.edges(db, comb, k) for k in range(db.shape[0])]
        return jnp.stack([left + right for left, right in edges])

    def residuals(self, db: jax.Array, offsets: np.ndarray, bound: float) -> jax.Array:
        own = _own(db)[:, _at(offsets, self.probes(bound))]
        return own.max(axis=1, keepdims=True) - own - self.drop_db


def _first_crossing(x: np.ndarray, y: jax.Array, limit: jax.Array) -> jax.Array:
    """Smallest x at which the polygon (x, y) falls below ``limit``: 0 if it starts there, the end if it never does."""
    below = y < limit
    i = jnp.clip(jnp.argmax(below), 1, x.size - 1)
    at = jnp.asarray(x)
    drop = y[i] - y[i - 1]
    crossing = at[i - 1] + (limit - y[i - 1]) / jnp.where(drop == 0, 1.0, drop) * (at[i] - at[i - 1])
    return jnp.asarray(jnp.where(below[0], 0.0, jnp.where(below.any(), crossing, at[-1])))


@dataclass(frozen=True)
class Offset(Passband):
    """Distance in GHz of the passband's middle (at -drop_db) from its channel; half a spacing when there is none."""

    sense: ClassVar[Literal["max", "min"]] = "max"
    scale: ClassVar[float] = 1.0

    def infeasible(self, bound: float, spacing_ghz: float) -> str:
        # residuals probe at twice the bound, which has to lie within reach
        quarter = spacing_ghz / 4
        return "" if 0 < bound <= quarter else f"above 0 and at most a quarter of spacing_ghz, {quarter:g} GHz"

    def probes(self, bound: float) -> tuple[float, ...]:
        return (-2 * bound, 0.0, 2 * bound)

    def measure(self, db: jax.Array, comb: Comb) -> jax.Array:
        out = []
        for k in range(db.shape[0]):
            left, right = self.edges(db, comb, k)
            out.append(jnp.where(left + right > 0, jnp.abs(right - left) / 2, comb.spacing_ghz / 2))
        return jnp.stack(out)

    def residuals(self, db: jax.Array, offsets: np.ndarray, bound: float) -> jax.Array:
        # Let a passband be symmetric and fall away from its middle m. 0 and 2 bound lie to both sides of bound, equally
        # far, and the one nearer to m transmits more: T(2 bound) <= T(0) just when m <= bound. Likewise on the left.
        own = _own(db)[:, _at(offsets, self.probes(bound))]
        return own[:, ::2] - own[:, 1:2]


@dataclass(frozen=True)
class Ripple(Figure):
    """Largest minus smallest transmission within a channel ± band_ghz."""

    scale: ClassVar[float] = 0.33
    band_ghz: float = 25.0

    def infeasible(self, bound: float, spacing_ghz: float) -> str:
        return "" if bound > 0 else "above 0 dB"

    def reach(self, spacing_ghz: float) -> float:
        return self.band_ghz

    def probes(self, bound: float) -> tuple[float, ...]:
        return _spread(self.band_ghz, 5)

    def measure(self, db: jax.Array, comb: Comb) -> jax.Array:
        bands = [comb.band(k, self.band_ghz) @ db[k] for k in range(db.shape[0])]
        return jnp.stack([b.max() - b.min() for b in bands])

    def residuals(self, db: jax.Array, offsets: np.ndarray, bound: float) -> jax.Array:
        own = _own(db)[:, _at(offsets, self.probes(bound))]
        return own.max(axis=1, keepdims=True) - own - bound


@dataclass(frozen=True)
class Area(Figure):
    """Rectangles around the devices that know theirs (``Device.extent``), summed; the same for every channel."""

    unit: ClassVar[str] = "mm²"
    scale: ClassVar[float] = 0.02

    def infeasible(self, bound: float, spacing_ghz: float) -> str:
        return "" if bound > 0 else "above 0 mm²"

    def probes(self, bound: float) -> tuple[float, ...]:
        return ()

    def of(self, extents: list[tuple[Any, Any]]) -> jax.Array:
        """The figure, of (width, height) of the devices in um."""
        return 1e-6 * jnp.sum(jnp.stack([jnp.asarray(width * height, float) for width, height in extents]))


FIGURES: Mapping[str, type[Figure]] = {
    "insertion_loss_db": InsertionLoss,
    "adjacent_crosstalk_db": AdjacentCrosstalk,
    "nonadjacent_crosstalk_db": NonAdjacentCrosstalk,
    "crosstalk_db": Crosstalk,
    "cumulative_crosstalk_db": CumulativeCrosstalk,
    "nonuniformity_db": NonUniformity,
    "passband_ghz": Passband,
    "offset_ghz": Offset,
    "ripple_db": Ripple,
    "area_mm2": Area,
}
"""All figures, by the name that a specification uses."""
