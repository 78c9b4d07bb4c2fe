"""Analytic design of arrayed-waveguide gratings: from a comb of channels to order, lengths, radius and arms.

Source of the relations: Smit & van Dam, IEEE J. Sel. Top. Quantum Electron. 2, 236 (1996), sect. II, with the grating
equation solved exactly at each channel instead of expanded about the centre, so that the peaks lie on the grid.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.errors import SpecError
from picq.optics.diffraction import captured, film

if TYPE_CHECKING:
    from picq.technology import Technology

C_UM_THZ = 299.792458
"""Speed of light in um THz."""

CAPTURE = 0.99
"""Share of the input's far field, as ``captured`` counts it, that the arms take: adjacent crosstalk below -45 dB; at
0.95 it is -30 dB."""

_MOST_ARMS = 1000


class Comb(NamedTuple):
    """Channels of a demultiplexer, ascending in frequency.

    Attributes:
        count: how many.
        center_thz: middle of the comb; with ``spacing_nm`` the middle in wavelength.
        spacing_ghz: distance in frequency; or
        spacing_nm: distance in wavelength (CWDM); exactly one of the two.
    """

    count: int
    center_thz: float
    spacing_ghz: float | None
    spacing_nm: float | None

    @property
    def wl(self) -> np.ndarray:
        """Wavelengths, um, shape [channel], descending."""
        k = np.arange(self.count) - (self.count - 1) / 2
        if self.spacing_nm is not None:
            return self.wl0 - k * self.spacing_nm * 1e-3
        assert self.spacing_ghz is not None
        return C_UM_THZ / (self.center_thz + k * self.spacing_ghz * 1e-3)

    @property
    def wl0(self) -> float:
        """Central wavelength, um."""
        return C_UM_THZ / self.center_thz

    @property
    def step_thz(self) -> float:
        """Spacing in frequency; at the centre of a comb in wavelength."""
        return self.spacing_ghz * 1e-3 if self.spacing_ghz else self.center_thz * self.spacing_nm * 1e-3 / self.wl0  # pyright: ignore


class Indices(NamedTuple):
    """What a design needs of a technology at the central wavelength.

    Attributes:
        arm, group: effective and group index of the arms.
        slab: of the film.
        depth: how far light reaches beside an aperture, um.
    """

    arm: float
    group: float
    slab: float
    depth: float


def indices(tech: "Technology", cross_section: str, wl0: float, width: float) -> Indices:
    """Indices at ``wl0`` (um) of arms ``width`` um wide; ``tech`` as the device is designed on it."""
    wl = jnp.asarray(wl0)
    n, slope = jax.jvp(lambda wl: tech.n_eff(cross_section, wl, width), (wl,), (jnp.ones_like(wl),))
    slab, depth = film(tech, cross_section, wl)
    return Indices(float(n), float(n - wl0 * slope), float(slab), float(depth))


def grating_order(n: Indices, comb: Comb, fsr_thz: float) -> int:
    """Order of the grating whose free spectral range is nearest to ``fsr_thz``: m = (n/n_g) f/FSR."""
    span = comb.count * comb.step_thz
    if fsr_thz < span * (1 - 1e-9):
        raise SpecError(
            "awg: the free spectral range is smaller than the channels together: orders overlap",
            got=f"{1e3 * fsr_thz:g} GHz, {1e3 * (span - fsr_thz):.4g} GHz less than {comb.count} channels need",
            allowed=f"at least {1e3 * span:g} GHz (equal: a cyclic router)",
            remedy="raise fsr_ghz, or lower channels or the spacing",
        )
    return max(round(n.arm / n.group * comb.center_thz / fsr_thz), 1)


def free_spectral_range_ghz(n: Indices, delta_length: Any) -> Any:
    """c/(n_g dL), the distance of orders at the central frequency."""
    return 1e3 * C_UM_THZ / (n.group * delta_length)


def polarisation_shift_ghz(
    tech: "Technology", cross_section: str, wl0: float, width: float, delta_length: float
) -> float:
    """Distance of the nearest order of tm light from te light, GHz, in the channel at ``wl0``; orders repeat.

    Where n_tm(wl) dL is a whole number of wavelengths, to first order about ``wl0``.
    """
    wl = jnp.asarray(wl0)
    n, slope = jax.jvp(lambda wl: tech.n_eff(cross_section, wl, width, "tm0"), (wl,), (jnp.ones_like(wl),))
    orders = float(n) * delta_length / wl0
    fsr = free_spectral_range_ghz(Indices(float(n), float(n - wl0 * slope), 0.0, 0.0), delta_length)
    return float((round(orders) - orders) * fsr)


def focal_length(n: Indices, comb: Comb, delta_length: float, pitch: float, pitch_io: float) -> float:
    """R = d_o n_s d f/(dL n_g df): channels come out ``pitch_io`` um apart."""
    return pitch_io / aperture_distance(n, comb, delta_length, pitch, 1.0)


def aperture_distance(n: Indices, comb: Comb, delta_length: float, pitch: float, radius: float) -> float:
    """How far apart neighbouring channels come out, um: the inverse of ``focal_length``."""
    return radius * delta_length * n.group * comb.step_thz / (n.slab * pitch * comb.center_thz)


def arm_count(n: Indices, wl0: float, radius: float, pitch: float, width_io: float, capture: float = CAPTURE) -> int:
    """Smallest number of arms that take ``capture`` of the far field of an aperture ``width_io`` um wide."""
    counts = np.arange(4, _MOST_ARMS)
    sines = counts * pitch / (2 * radius)
    enough = captured(2 * np.pi * n.slab / wl0, width_io + 2 * n.depth, np.arcsin(np.minimum(sines, 1.0))) >= capture
    if not enough.any() or sines[np.argmax(enough)] > 0.9:
        raise SpecError(
            "awg: the far field of the input is broader than an array can take",
            got=f"width_io {width_io:g} um, focal_length {radius:.4g} um",
            remedy="raise width_io or focal_length (pitch_io)",
        )
    return int(counts[np.argmax(enough)])


def channel_sines(
    tech: "Technology", cross_section: str, width: Any, comb: Comb, order: int, length: Any, pitch: Any
) -> Any:
    """Sines of the angles at which the channels leave, seen from the pole: n_s d sin(phi) = n dL - m wl, exactly.

    Positive on the side of the longer arms; ``tech`` as the device is designed on it.
    """
    wl = jnp.asarray(comb.wl)
    n, slab = tech.n_eff(cross_section, wl, width), tech.slab_index(cross_section, wl)
    return (n * length - order * wl) / (slab * pitch)


class Grating(NamedTuple):
    """What a grating is; None where it is left open.

    Attributes:
        order: of diffraction.
        delta_length: increment of the arms, um.
        focal_length: radius of the grating circles, um.
        width_io: width of the other apertures, um.
        arms: their number.
        fsr_ghz: free spectral range; None: 2 times the channels, 1.5 times from 16 on.
    """

    order: int | None
    delta_length: float | None
    focal_length: float | None
    width_io: float | None
    arms: int | None
    fsr_ghz: float | None

    def completed(
        self, n: Indices, comb: Comb, pitch: float, gap: float, pitch_io: float, widest_io: float
    ) -> "Grating":
        """The grating with what was left open.

        Args:
            n: of the technology.
            comb: the channels.
            pitch, gap: of the array's apertures, um.
            pitch_io: of the other apertures, um; sets the focal length.
            widest_io: what their width is where it fits, um.

        Raises:
            SpecError: orders overlap, or an array cannot take the input's light.
        """
        order, length, radius, width_io, wl0 = *self[:4], comb.wl0
        if order is None:
            fsr = self.fsr_ghz or 1e3 * comb.count * comb.step_thz * (2.0 if comb.count < 16 else 1.5)
            order = grating_order(n, comb, fsr * 1e-3) if length is None else round(length * n.arm / wl0)
        if length is None:
            length = round(order * wl0 / n.arm, 6)
        if radius is None:
            radius = round(focal_length(n, comb, length, pitch, pitch_io), 3)
        if width_io is None:
            apart = aperture_distance(n, comb, length, pitch, radius) - gap
            width_io = round(min(widest_io, float(np.floor(apart / 0.002) * 0.002)), 3)
        arms = self.arms or arm_count(n, wl0, radius, pitch, width_io)
        fsr = self.fsr_ghz or round(free_spectral_range_ghz(n, length), 3)
        return Grating(order, length, radius, width_io, arms, fsr)


class Fan(NamedTuple):
    """What decides how close arms can lie and of what shape they are; um.

    Attributes:
        arms: their number.
        pitch, focal_length: of the star couplers.
        start: least length of an arm before its bend, taper included.
        bend: least radius.
        increment: by which arms grow.
        least, wanted: distance of the axes of neighbouring arms.
    """

    arms: int
    pitch: float
    focal_length: float
    start: float
    bend: float
    increment: float
    least: float
    wanted: float

    def arrangement(self, array: str | None, arm_pitch: float | None) -> tuple[str, float]:
        """(shape, pitch of the uprights): rectangular where it fits, as far apart as is wanted where that fits."""
        sine = self.arms * self.pitch / (2 * self.focal_length)
        least = max(self.pitch * (1 + (self.start + self.bend * sine) / self.focal_length), self.least)
        wanted = max(least, self.wanted)
        fits = self.increment / 2 / (2 + sine)
        array = array or ("rectangular" if (arm_pitch or least) <= fits else "s_shaped")
        if arm_pitch is not None:
            return array, arm_pitch
        pitch = max(least, min(wanted, fits)) if array == "rectangular" else wanted
        whole = np.floor(pitch / 0.002) if pitch > least else np.ceil(pitch / 0.002)
        return array, round(float(whole) * 0.002, 3)


def demand(what: str, got: Any, least: Any, remedy: str) -> None:
    """Raise SpecError where a length (um) is too small: what fails, by how much, and what relieves it."""
    if not float(got) >= float(least) - 1e-6:
        raise SpecError(
            f"awg: the {what}: {float(least) - float(got):.4g} um too little",
            got=f"{float(got):.4g} um",
            allowed=f"at least {float(least):.4g} um",
            remedy=remedy,
        )


def demand_counts(counts: Sequence[tuple[str, Any, int]]) -> None:
    """Raise SpecError where one of (name, value, least) is no whole number from the least on; None is left open."""
    for name, value, least in counts:
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise SpecError(f"awg.{name} is no such number", got=repr(value), allowed=f"a whole number from {least} on")
