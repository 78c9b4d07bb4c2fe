"""Pump pulses: complex envelopes a(t) of unit energy, and their spectra A(w) = ∫ a(t) exp(i w t) dt.

Frequencies w are angular and count from the pump's reference, times from the pulse's, in one unit: rad/s and s, or a
linewidth and its inverse. So ∫|a|² dt = ∫|A|² dw/2pi = 1, and a pulse of energy U has the field sqrt(U) a(t). Full
widths at half maximum are those of the intensity in time. A continuous wave has no finite energy and no pulse here: it
has rates instead, and a joint spectrum on the line ws + wi = 2 wp alone.
"""

import abc
import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq.errors import SpecError

_GAUSSIAN = 2 * np.sqrt(np.log(2))  # full width at half maximum over T of |a|² = exp(-t²/T²)
_SECH2 = 2 * np.arccosh(np.sqrt(2))  # the same for sech²(t/T)


class Pulse(abc.ABC):
    """A frozen pytree; its leaves, the numbers that shape the pulse, are checked where a pulse is made by hand."""

    @property
    @abc.abstractmethod
    def width(self) -> Any:
        """Time that the pulse takes, to within a factor of two."""

    @abc.abstractmethod
    def field(self, t: Any) -> jax.Array:
        """a(t), of t's shape; its square is a power: per unit of time."""

    @abc.abstractmethod
    def spectrum(self, w: Any) -> jax.Array:
        """A(w), of w's shape; its square is an energy per unit of w/2pi."""


P = TypeVar("P", bound=Pulse)


@dataclass_transform(frozen_default=True)
def _pulse(cls: type[P]) -> type[P]:
    """A frozen dataclass and a pytree, which JAX rebuilds unchecked: its leaves may also be derivatives."""
    made: Any = dataclasses.dataclass(frozen=True)(cls)
    names = [field.name for field in dataclasses.fields(made)]

    def rebuild(_: None, leaves: Any) -> Any:
        pulse = object.__new__(made)
        for name, leaf in zip(names, leaves, strict=True):
            object.__setattr__(pulse, name, leaf)
        return pulse

    jax.tree_util.register_pytree_node(made, lambda pulse: ([getattr(pulse, n) for n in names], None), rebuild)
    return made


@_pulse
class Gaussian(Pulse):
    """|a|² = exp(-t²/T²)/(sqrt(pi) T), with a linear chirp.

    Args:
        fwhm: of the intensity, 2 sqrt(ln 2) T.
        detuning: of the carrier from the reference.
        chirp: C of exp(-(1 + i C) t²/2T²): the frequency rises by C/T² per unit of time for C > 0, and the spectrum is
            sqrt(1 + C²) times as wide as without.

    Raises:
        SpecError: a concrete width is not positive.
    """

    fwhm: Any
    detuning: Any = 0.0
    chirp: Any = 0.0

    def __post_init__(self) -> None:
        _check_positive(self.fwhm, "width of a Gaussian pulse")

    @property
    def width(self) -> Any:
        return self.fwhm

    def field(self, t: Any) -> jax.Array:
        u = jnp.asarray(t) * _GAUSSIAN / self.fwhm
        peak = jnp.sqrt(_GAUSSIAN / (jnp.sqrt(jnp.pi) * self.fwhm))
        return peak * jnp.exp(-(1 + 1j * self.chirp) * u**2 / 2 - 1j * self.detuning * jnp.asarray(t))

    def spectrum(self, w: Any) -> jax.Array:
        width, stretch = self.fwhm / _GAUSSIAN, 1 + 1j * self.chirp
        peak = jnp.sqrt(2 * jnp.sqrt(jnp.pi) * width / stretch)
        return peak * jnp.exp(-(((jnp.asarray(w) - self.detuning) * width) ** 2) / (2 * stretch))


@_pulse
class Sech2(Pulse):
    """|a|² = sech²(t/T)/2T, as mode-locked lasers give.

    Args:
        fwhm: of the intensity, 2 arcosh(sqrt 2) T.

    Raises:
        SpecError: a concrete width is not positive.
    """

    fwhm: Any

    def __post_init__(self) -> None:
        _check_positive(self.fwhm, "width of a sech² pulse")

    @property
    def width(self) -> Any:
        return self.fwhm

    def field(self, t: Any) -> jax.Array:
        width = self.fwhm / _SECH2
        return _sech(jnp.asarray(t) / width) / jnp.sqrt(2 * width) + 0j

    def spectrum(self, w: Any) -> jax.Array:
        width = self.fwhm / _SECH2
        return jnp.pi * jnp.sqrt(width / 2) * _sech(jnp.pi * width * jnp.asarray(w) / 2) + 0j


@_pulse
class Rectangular(Pulse):
    """Constant for |t| < duration/2. Derivatives by the duration are those of the spectrum: a(t) has edges.

    Args:
        duration: full, which is also the width at half maximum.

    Raises:
        SpecError: a concrete duration is not positive.
    """

    duration: Any

    def __post_init__(self) -> None:
        _check_positive(self.duration, "duration of a rectangular pulse")

    @property
    def width(self) -> Any:
        return self.duration

    def field(self, t: Any) -> jax.Array:
        return jnp.where(jnp.abs(jnp.asarray(t)) < self.duration / 2, 1 / jnp.sqrt(self.duration), 0.0) + 0j

    def spectrum(self, w: Any) -> jax.Array:
        return jnp.sqrt(self.duration) * jnp.sinc(jnp.asarray(w) * self.duration / (2 * jnp.pi)) + 0j


@_pulse
class Pair(Pulse):
    """Two equal Gaussians at 0 and ``delay``, the second one ``ratio`` times the first.

    With ratio = -exp(-kappa delay/2) and pulses much shorter than 1/kappa the second one empties a resonance of that
    linewidth, so that pairs are made during the delay only: less of their correlation remains (Christensen et al., Opt.
    Lett. 43, 859 (2018)).

    Args:
        fwhm: of the intensity of either.
        delay: between their centres.
        ratio: of the amplitudes, complex.

    Raises:
        SpecError: a concrete width or delay is not positive.
    """

    fwhm: Any
    delay: Any
    ratio: Any

    def __post_init__(self) -> None:
        _check_positive(self.fwhm, "width of a pair of pulses")
        _check_positive(self.delay, "delay of a pair of pulses")

    @property
    def width(self) -> Any:
        return self.delay + self.fwhm

    def field(self, t: Any) -> jax.Array:
        one = Gaussian(self.fwhm)
        return self._scale() * (one.field(t) + self.ratio * one.field(jnp.asarray(t) - self.delay))

    def spectrum(self, w: Any) -> jax.Array:
        return self._scale() * Gaussian(self.fwhm).spectrum(w) * (1 + self.ratio * jnp.exp(1j * w * self.delay))

    def _scale(self) -> jax.Array:
        overlap = jnp.exp(-((self.delay * _GAUSSIAN / self.fwhm) ** 2) / 4)
        ratio = jnp.asarray(self.ratio)
        return 1 / jnp.sqrt(1 + jnp.abs(ratio) ** 2 + 2 * jnp.real(ratio) * overlap)


@_pulse
class Sampled(Pulse):
    """Straight lines between samples, and down to zero within one step outside; scaled to unit energy.

    Args:
        times: equally spaced and rising, shape [n], n > 1.
        samples: complex field at these, in any scale, shape [n].

    Raises:
        SpecError: shapes differ, concrete times are not equally spaced, or concrete samples hold no energy.
    """

    times: Any
    samples: Any

    def __post_init__(self) -> None:
        if not isinstance(self.times, Tracer):
            steps = np.diff(np.asarray(self.times))
            if not (steps.size and steps.min() > 0 and np.ptp(steps) < 1e-6 * steps.max()):  # NaN fails
                raise SpecError(
                    "times of a sampled pulse are not equally spaced and rising",
                    got=f"steps of {steps.min():g} … {steps.max():g}" if steps.size else "fewer than two times",
                    remedy="resample the pulse on equal steps",
                )
        if not isinstance(self.samples, Tracer):
            if np.shape(self.samples) != np.shape(self.times):
                raise SpecError(
                    "a sampled pulse has not one sample for each time",
                    got=f"{np.shape(self.samples)} samples at {np.shape(self.times)} times",
                    allowed="equal shapes",
                )
            if not 0 < np.sum(np.abs(np.asarray(self.samples)) ** 2) < np.inf:
                raise SpecError("a sampled pulse holds no energy", allowed="finite samples, not all zero")

    @property
    def width(self) -> Any:
        return self.times[-1] - self.times[0]

    def field(self, t: Any) -> jax.Array:
        step, samples = self._normal()
        x = (jnp.asarray(t)[..., None] - self.times) / step
        return jnp.maximum(1 - jnp.abs(x), 0.0) @ samples

    def spectrum(self, w: Any) -> jax.Array:
        step, samples = self._normal()
        w = jnp.asarray(w)
        return step * jnp.sinc(w * step / (2 * jnp.pi)) ** 2 * (jnp.exp(1j * w[..., None] * self.times) @ samples)

    def _normal(self) -> tuple[jax.Array, jax.Array]:
        """Step, and samples such that ∫|a|² dt = 1 for the straight lines between them, of which 2/3 and 1/6 are the
        overlaps of triangles."""
        times, samples = jnp.asarray(self.times), jnp.asarray(self.samples) + 0j
        step = times[1] - times[0]
        own = 2 / 3 * jnp.sum(jnp.abs(samples) ** 2)
        energy = step * (own + jnp.sum(jnp.real(samples[1:] * jnp.conj(samples[:-1]))) / 3)
        return step, samples / jnp.sqrt(energy)


def _sech(x: jax.Array) -> jax.Array:
    """Without overflow, which would make NaN of the derivative."""
    decay = jnp.exp(-jnp.abs(x))
    return 2 * decay / (1 + decay**2)


def _check_positive(value: Any, what: str) -> None:
    if not isinstance(value, Tracer) and not np.all((np.asarray(value) > 0) & np.isfinite(value)):
        raise SpecError(f"{what} is not positive", got=value, allowed="> 0, finite", remedy="give a positive time")
