"""What a free-form device is asked for: windows of power between ports, the score, and the loss that is descended.

The score is that of the shared problems (ceviche-challenges as scored by invrs-gym 1.6, Apache-2.0 and MIT): the signed
distance of a power from its window over the window's size, the worst of all, sign turned. Above 0 everything is met. A
bound at 0 or 1, which no power can cross, does not count, so a power that has only one bound is best at 1.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from picq.errors import SpecError


def named(channel: tuple[str, int]) -> str:
    """``port@order``, as targets name it."""
    return f"{channel[0]}@{channel[1]}"


@dataclass(frozen=True)
class Target:
    """A window of the power from one channel to another.

    Attributes:
        source, sink: channels, port and order of the mode.
        low, high: power, 0 to 1.
        wl: shortest and longest wavelength at which it is asked, um.
    """

    source: tuple[str, int]
    sink: tuple[str, int]
    low: float = 0.0
    high: float = 1.0
    wl: tuple[float, float] = (0.0, np.inf)

    def __post_init__(self) -> None:
        if not (0 <= self.low < self.high <= 1 and (self.low > 0 or self.high < 1)):
            raise SpecError(
                f"the window of the power from {named(self.source)} to {named(self.sink)}",
                got=f"{self.low:g} to {self.high:g}",
                allowed="a lower bound above 0, or an upper one below 1, the lower one first",
                remedy="give min_db, max_db or both; below 0 dB",
            )

    @property
    def asked_db(self) -> tuple[float | None, float | None]:
        """Both bounds; none where the power itself is the bound."""
        low, high = (None if p in (0.0, 1.0) else float(10 * np.log10(p)) for p in (self.low, self.high))
        return low, high


class Windows(NamedTuple):
    """All targets at all their wavelengths, a row each."""

    place: np.ndarray  # [row, 3]: wavelength, out, in
    low: np.ndarray  # [row]; -inf where no bound counts
    high: np.ndarray
    size: np.ndarray
    target: np.ndarray  # [row]: which target


def windows(targets: tuple[Target, ...], names: tuple[tuple[str, int], ...], wl: np.ndarray) -> Windows:
    """Rows of ``targets`` for S [wl, out, in] of channels ``names``.

    Raises:
        SpecError: a channel that is not there, no wavelength within a target's, or targets that no device can meet
            together.
    """
    place, bounds, index = [], [], []
    for number, t in enumerate(targets):
        for channel in (t.source, t.sink):
            if channel not in names:
                raise SpecError(
                    "a target names a channel that is not there",
                    got=named(channel),
                    allowed=", ".join(map(named, names)),
                )
        chosen = np.flatnonzero((wl >= t.wl[0] - 1e-9) & (wl <= t.wl[1] + 1e-9))
        if not chosen.size:
            raise SpecError(
                "no wavelength of the simulation is among those of the target "
                f"from {named(t.source)} to {named(t.sink)}",
                got=f"{t.wl[0]:g} to {t.wl[1]:g} um",
                allowed=f"of {wl.min():g} to {wl.max():g} um",
            )
        for w in chosen:
            place.append((w, names.index(t.sink), names.index(t.source)))
            bounds.append((t.low if t.low > 0 else -np.inf, t.high if t.high < 1 else np.inf, t.high - t.low))
            index.append(number)
    if not place:
        raise SpecError("there are no targets", remedy="ask for a power between two channels")
    low, high, size = np.array(bounds).T
    found = Windows(np.array(place), low, high, size, np.array(index))
    _check_together(found, names, wl)
    return found


def _check_together(w: Windows, names: tuple[tuple[str, int], ...], wl: np.ndarray) -> None:
    """One power has one value, the same both ways, and a passive device sends out no more than comes in."""
    needed: dict[tuple[int, frozenset[int]], tuple[float, float]] = {}
    for (at, *ends), low, high in zip(w.place.tolist(), w.low, w.high, strict=True):
        least, most = needed.get((at, frozenset(ends)), (0.0, 1.0))
        needed[at, frozenset(ends)] = max(least, low), min(most, high)
    for at, channel in {(at, end) for at, ends in needed for end in ends}:
        mine = {ends: window for (w, ends), window in needed.items() if w == at and channel in ends}
        least = sum(low for low, _ in mine.values())
        empty = [
            " and ".join(named(names[i]) for i in sorted(ends)) for ends, (low, high) in mine.items() if low > high
        ]
        if least > 1 or empty:
            rows = (w.place[:, 0] == at) & (w.place[:, 1:] == channel).any(axis=1)
            which = ", ".join(f"targets[{i}]" for i in np.unique(w.target[rows]))
            few = f"no power left for {empty[0]}, which is the same both ways" if empty else ""
            raise SpecError(
                f"targets contradict each other at {wl[at]:g} um, light from or to {named(names[channel])}: {which}",
                got=few or f"{least:.3f} of the power asked for at least",
                allowed="1 of it together, and one window for each power",
                remedy="loosen one of them, or ask for them at different wavelengths",
            )


def distances(s: Any, w: Windows, least: ArrayLike = 0.0) -> jax.Array:
    """Signed distance of every power from its window over its size, but at least over ``least``; S [wl, out, in].

    Returns:
        [row], negative inside.
    """
    power = jnp.abs(s[tuple(w.place.T)]) ** 2
    return jnp.maximum(w.low - power, power - w.high) / jnp.maximum(w.size, least)


def hardest(far: np.ndarray, w: Windows) -> np.ndarray:
    """For each target the row that is farthest from its window; ``far`` [..., row] to rows [..., target]."""
    rows = []
    for number in range(w.target.max() + 1):
        chosen = np.flatnonzero(w.target == number)
        rows.append(chosen[np.argmax(far[..., chosen], axis=-1)])
    return np.stack(rows, axis=-1)


def score(s: Any, w: Windows) -> jax.Array:
    """The worst of all targets, at least 0 where all are met; S [wl, out, in]."""
    return -jnp.max(distances(s, w))


def loss(s: jax.Array, w: Windows, temperature: ArrayLike, least: ArrayLike = 0.0) -> jax.Array:
    """Soft maximum of the distances over targets and wavelengths, each compressed by asinh.

    temperature * log(mean(exp(asinh(distance) / temperature))): a reflection of 1 is 99 sizes of its window away, and
    would drown the rest. Goes to asinh(-score) as the temperature goes to 0. ``least``, the smallest size of a window,
    says how much a narrow one counts for: with 0, a design that scatters all light away meets many crosstalks, and no
    slope leads out of that.
    """
    each = jnp.arcsinh(distances(s, w, least))
    return temperature * (jax.nn.logsumexp(each / temperature) - np.log(each.size))
