"""Lattice filters on paper: z-transform analysis and synthesis, and flat-top designs in closed form.

Couplers (coupling angle theta, cross power sin² theta) and delays alternate; a delay d multiplies the upper arm by
z^-d with z = exp(-2 pi i f / FSR) at the time convention exp(+i 2 pi n L / wl). Writing the upper amplitude as i t
makes every coupler a rotation, so real angles give real polynomials:
(b, t) -> (b cos theta - t sin theta, b sin theta + t cos theta).

This is a check on what the optimiser finds, never its start. Source: Jinguji & Kawachi, J. Lightwave Technol. 13, 73
(1995).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from picq.errors import NumericsError


@dataclass(frozen=True)
class Lattice:
    """An ideal lattice filter.

    Attributes:
        angles: coupling angle of each coupler in rad, N + 1 of them; a negative one stands for half a wave more delay
            before and after its coupler.
        delays: delay of each stage in units of the first free spectral range's, N of them.
    """

    angles: tuple[float, ...]
    delays: tuple[int, ...]

    @property
    def couplings(self) -> tuple[float, ...]:
        """Cross power of each coupler."""
        return tuple(float(np.sin(a) ** 2) for a in self.angles)

    def polynomials(self) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (bar, cross) of z^0, z^-1, … for light from the lower input, each [1 + sum of delays]."""
        bar, cross = np.zeros(1 + sum(self.delays)), np.zeros(1 + sum(self.delays))
        bar[0], cross[0] = np.cos(self.angles[0]), np.sin(self.angles[0])
        for delay, angle in zip(self.delays, self.angles[1:], strict=True):
            cross = np.roll(cross, delay)  # the last ``delay`` coefficients are still zero
            bar, cross = bar * np.cos(angle) - cross * np.sin(angle), bar * np.sin(angle) + cross * np.cos(angle)
        return bar, cross

    def power(self, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Power transmissions (bar, cross) at frequencies in units of the free spectral range of the first stage."""
        z = np.exp(2j * np.pi * np.asarray(frequency))
        bar, cross = (np.abs(np.polynomial.polynomial.polyval(z, c)) ** 2 for c in self.polynomials())
        return bar, cross


MAXIMALLY_FLAT = Lattice((np.pi / 4, -np.pi / 3, np.pi / 12), (1, 2))
"""Delays 1 and 2, cross powers 1/2, 3/4, (2 - √3)/4: the leak at the band's centre rises with the fourth power only.

Its polynomials are Daubechies' four-tap filters over √2 (Comm. Pure Appl. Math. 41, 909 (1988), N = 2): the pair of
four taps that is power complementary with itself shifted by half a free spectral range and has a double zero.
"""


HORST = Lattice((np.pi / 4, -float(np.arcsin(np.sqrt(0.71))), float(np.arcsin(np.sqrt(0.08)))), (1, 2))
"""The published flat-top interleaver of Horst et al., Opt. Express 21, 11652 (2013): couplers 0.5, 0.29, 0.08.

Here 0.29 is the power that stays in its guide at the second coupler; with 0.29 crossing, the passbands are not flat.
"""


def flat_top(half_band: float) -> Lattice:
    """The lattice of delays 1 and 2 with the least leak over a band about the channel's centre: it ripples equally.

    A first coupler of one half makes both outputs alike; the other two angles come from a simplex search that begins
    at the maximally flat design.

    Args:
        half_band: half width of the band in units of the first free spectral range, below 1/4.
    """
    f = np.linspace(0.0, half_band, 101)

    def lattice(angles: np.ndarray) -> Lattice:
        return Lattice((np.pi / 4, -float(angles[0]), float(angles[1])), (1, 2))

    def worst_db(angles: np.ndarray) -> float:
        return float(10 * np.log10(np.minimum(*lattice(angles).power(f)).max()))

    options = {"xatol": 1e-7, "fatol": 1e-6}
    return lattice(minimize(worst_db, np.array([np.pi / 3, np.pi / 12]), method="Nelder-Mead", options=options).x)


def synthesise(bar: np.ndarray, cross: np.ndarray) -> Lattice:
    """The lattice of equal delays that has these polynomials: couplers are peeled off from the output side.

    The last coupler's angle is the one whose removal takes the highest power out of ``bar``; power complementarity
    takes the constant term out of ``cross`` by itself. Jinguji & Kawachi, eqs. 16-22, real coefficients.

    Args:
        bar, cross: real coefficients of z^0, z^-1, …, shape [stages + 1].

    Raises:
        NumericsError: the polynomials are not power complementary, so no lossless filter has them.
    """
    bar, cross = np.asarray(bar, float), np.asarray(cross, float)
    total = np.convolve(bar, bar[::-1]) + np.convolve(cross, cross[::-1])
    ideal = np.zeros_like(total)
    ideal[bar.size - 1] = 1.0
    if (error := float(np.abs(total - ideal).max())) > 1e-9:
        raise NumericsError(
            "the two polynomials are not power complementary",
            got=f"|bar|² + |cross|² differs from 1 by up to {error:.2g}",
            allowed="|bar|² + |cross|² = 1 at all frequencies",
            remedy="scale the wanted response to 1 and complete it by spectral factorisation",
        )
    angles = []
    while bar.size > 1:
        angle = float(np.arctan2(-bar[-1], cross[-1]))
        angles.append(angle)
        bar, cross = bar * np.cos(angle) + cross * np.sin(angle), cross * np.cos(angle) - bar * np.sin(angle)
        bar, cross = bar[:-1], cross[1:]
    angles.append(float(np.arctan2(cross[0], bar[0])))
    return Lattice(tuple(reversed(angles)), (1,) * (len(angles) - 1))
