"""Star couplers: light that spreads in a slab from apertures to apertures, by exact distances.

One coupler lies in a frame of its own. The array's apertures lie on the grating circle of radius R about the origin, at
R (sin theta, cos theta); the other side's on the Rowland circle of diameter R, which touches the first at the pole
(0, R) and passes through the origin (Rowland; Smit & van Dam, IEEE J. Sel. Top. Quantum Electron. 2, 236 (1996)).

Scalar and without reflections: each aperture receives for itself what the plane waves of its own mode overlap with, so
what neighbouring apertures do to each other, and what scatters at the blunt ends between them, is not in it. Nor is the
curvature of wave fronts within an aperture: up to 0.04 rad, smooth and symmetric over the array.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.optics.multimode import cosine_transform
from picq.optics.profile import principal_indices

if TYPE_CHECKING:
    from picq.technology import Technology

_ANGLES = 4001  # of the far field's integral: its error is below 1e-6


class Apertures(NamedTuple):
    """Guides that end at a slab; leaves broadcast to [aperture].

    Attributes:
        x, y: centres, um.
        axis: direction in which light enters the slab, rad.
        width: as made, um.
    """

    x: Any
    y: Any
    axis: Any
    width: Any


Mixture = Callable[[jax.Array], jax.Array]
"""Amplitudes of the even modes of an aperture at wavelengths [wl], um: complex [wl, mode], of unit norm at most, and
without the phase that all have in common: they have to turn slowly with wavelength."""


def grating_circle(radius: Any, pitch: Any, count: int, width: Any) -> Apertures:
    """``count`` apertures at constant projected pitch, sin(theta_k) = k pitch/radius, axes through the origin.

    5 dB less adjacent crosstalk than constant pitch along the arc; k = -(count - 1)/2 … (count - 1)/2 along x.
    """
    sine = steps(count) * pitch / radius
    cosine = jnp.sqrt(1 - sine**2)
    return Apertures(radius * sine, radius * cosine, jnp.arctan2(-cosine, -sine), width)


def rowland_circle(radius: Any, sines: Any, width: Any) -> Apertures:
    """Apertures on the Rowland circle at the sines of their angles seen from the pole, axes through the pole."""
    sine = jnp.asarray(sines, float)
    cosine = jnp.sqrt(1 - sine**2)
    return Apertures(radius * cosine * sine, radius * sine**2, jnp.arctan2(cosine, -sine), width)


def steps(count: int) -> np.ndarray:
    """-(count - 1)/2 … (count - 1)/2."""
    return np.arange(count) - (count - 1) / 2


class Star(NamedTuple):
    """What a star coupler does between two sets of apertures, as far as it turns slowly with wavelength.

    Attributes:
        weights: of the nodes in every wavelength, [wl, node].
        fields: amplitudes at the nodes, [node, one, other].
        phase: what all have in common, exp(i k_s mean distance), [wl].
    """

    weights: jax.Array
    fields: jax.Array
    phase: jax.Array

    def amplitudes(self) -> jax.Array:
        """[wl, one, other]."""
        return jnp.tensordot(self.weights, self.fields, 1) * self.phase[:, None, None]

    def gathered(self, arriving: jax.Array) -> jax.Array:
        """What amplitudes [wl, input, other] at the second set become at the first, [wl, input, one].

        Sums over the array at every node first: the whole matrix at all wavelengths would be a hundred times as large
        as what goes in and out. By real matrices, which processors multiply faster than complex ones.
        """
        nodes, ones, others = self.fields.shape
        sums = self.fields.reshape(nodes * ones, others).T
        flat = arriving.reshape(-1, others)
        product = (
            flat.real @ sums.real - flat.imag @ sums.imag + 1j * (flat.real @ sums.imag + flat.imag @ sums.real)
        ).reshape(*arriving.shape[:2], nodes, ones)
        return jnp.sum(product * self.weights[:, None, :, None], axis=2) * self.phase[:, None, None]


def star(
    tech: "Technology", cross_section: str, wl: jax.Array, one: Apertures, other: Apertures, mix: Mixture | None = None
) -> Star:
    """Amplitudes between two sets of apertures across the technology's film.

    sqrt(n_s/(wl r)) F(k_s sin a) F(k_s sin b) sqrt(cos a cos b) exp(i (k_s r - pi/4)): the field of a two-dimensional
    source at the distance r (Goodman, Introduction to Fourier Optics, sect. 3.5, in two dimensions), with the exact
    distance in the phase and the aperture functions F at the angles a, b of the line that joins the two centres. All
    but the phase of the mean distance turns slowly with wavelength and is taken from a few: a phase that turns by ± a
    over the solved wavelengths leaves an error of J_nodes(a) (Bessel), and a is some 0.17 for each aperture of ``one``.

    Args:
        tech: as the coupler's own place sees it.
        cross_section: of the guides.
        wl: wavelengths, um, shape [wl].
        one, other: the two sides, the array second.
        mix: modes of the apertures ``one``; None: their fundamental modes.
    """
    dx, dy = other.x - _column(one.x), other.y - _column(one.y)
    # not hypot: its derivative, compiled by jax 0.9, is wrong (tests/test_diffraction.py)
    distance, line = jnp.sqrt(dx**2 + dy**2), jnp.arctan2(dy, dx)
    here, there = line - _column(one.axis), line + jnp.pi - other.axis
    common = jnp.mean(distance)
    at, weights = tech.wavelength_nodes(cross_section, wl, 8 + int(np.ceil(0.45 * max(jnp.size(one.x), 1))))
    index, depth = film(tech, cross_section, at)
    k, depth = (2 * jnp.pi * index / at)[:, None, None], depth[:, None, None]
    sent = aperture_function(k * jnp.sin(here), _column(one.width) + 2 * depth, mix and mix(at)[:, None, None, :])
    got = aperture_function(k * jnp.sin(there), other.width + 2 * depth)
    spread = jnp.sqrt(_facing(here) * _facing(there) / distance * k / (2 * jnp.pi))
    fields = spread * sent * got * jnp.exp(1j * (k * (distance - common) - jnp.pi / 4))
    return Star(weights, fields, jnp.exp(2j * jnp.pi * (weights @ index) / wl * common))


def _facing(angle: jax.Array) -> jax.Array:
    """cos, but a hair above zero for what faces away: no light, and no NaN."""
    return jnp.maximum(jnp.cos(angle), 1e-12)


def film(tech: "Technology", cross_section: str, wl: Any) -> tuple[jax.Array, jax.Array]:
    """(index of the film's te mode, depth to which light reaches into the cladding beside an aperture in um)."""
    index = tech.slab_index(cross_section, wl)
    ambient_k = tech.temperature_k + tech.process.temperature_k
    beside = principal_indices(tech.platform.film.cladding, wl, ambient_k)[0]
    return index, wl / (2 * jnp.pi * jnp.sqrt(index**2 - beside**2))


def aperture_function(q: Any, width: Any, amplitudes: Any = None) -> jax.Array:
    """F(q) = ∫ f(s) exp(i q s) ds of a field of unit norm in an aperture, sqrt(um).

    Args:
        q: transverse wave number, 1/um.
        width: between the nodes of the mode's cosine: that of the guide plus the depth on both sides, um.
        amplitudes: of the even modes, last axis [mode]; None: the fundamental mode alone.
    """
    if amplitudes is None:  # one sine instead of two: most of the time of a star coupler
        u = q * width / jnp.pi
        u = jnp.where(u < 0, -u, u)  # even; unlike abs(), with all its derivatives at 0
        return jnp.sqrt(2 * width) * jnp.sinc((1 - u) / 2) / (1 + u)
    q, width = jnp.asarray(q)[..., None], jnp.asarray(width)[..., None]
    orders = 2 * np.arange(amplitudes.shape[-1]) + 1
    return jnp.sum(amplitudes * jnp.sqrt(2 / width) * cosine_transform(orders * jnp.pi / width, q, width), axis=-1)


def captured(k: float, width: float, half_angle: np.ndarray) -> np.ndarray:
    """Share of ∫|F(k sin theta)|² dtheta within ± ``half_angle`` (rad); concrete numbers only.

    By convention without the obliquity: 0.99 of this is 0.992 of the power.

    Args:
        k: in the slab, 1/um.
        width: as in ``aperture_function``, um.
        half_angle: any shape.
    """
    angle = np.linspace(0.0, np.pi / 2, _ANGLES)
    power = np.asarray(aperture_function(k * np.sin(angle), width)) ** 2
    total = np.concatenate([[0.0], np.cumsum((power[1:] + power[:-1]) / 2)])
    return np.interp(half_angle, angle, total / total[-1])


def _column(values: Any) -> Any:
    return jnp.asarray(values)[..., None]
