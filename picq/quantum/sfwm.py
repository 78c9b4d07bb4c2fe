"""Photon pairs by spontaneous four-wave mixing in a resonance, pumped by continuous light: rates in closed form.

The limits of high finesse, good to O(1/finesse); ``picq.quantum.source`` has the transfer matrices' own integrals,
which meet them there (tests/test_pair_source.py). Decay rates of energy are kappa, rad/s. A pulsed pump is the business
of ``joint_spectrum``.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr

from picq.quantum.checks import check

HBAR = 1.054571817e-34
"""J s, CODATA 2018, exact."""


def drive(gamma_w_m: Any, group_velocity_m_s: Any, circulating_w: Any) -> jax.Array:
    """Rate G at which the pump couples signal and idler, rad/s: gamma v_g P_circulating.

    Helt, Yang, Liscidini & Sipe, Opt. Lett. 35, 3006 (2010); in the picture of two modes da_s/dt = … + G a_i^dagger.
    """
    return jnp.asarray(gamma_w_m) * group_velocity_m_s * circulating_w


def pair_rate_hz(drive: Any, kappa_s: Any, kappa_i: Any, mismatch: Any = 0.0) -> jax.Array:
    """Pairs created per second, far below threshold: 4 G²/(kappa_s + kappa_i), a Lorentzian in the mismatch.

    With a_s, a_i of a Langevin equation each, the spectral density is G² times the product of their Lorentzians, whose
    integral is a Lorentzian of the sum of both widths; 2 G²/kappa for equal widths.

    Args:
        drive: G, rad/s.
        kappa_s, kappa_i: rad/s.
        mismatch: omega_s + omega_i - 2 omega_p of the resonances and the pump, rad/s.
    """
    width = jnp.asarray(kappa_s) + kappa_i
    return 4 * drive**2 / width / (1 + (2 * mismatch / width) ** 2)


def pair_rate_all_orders_hz(drive: Any, kappa_s: Any, kappa_i: Any, mismatch: Any = 0.0) -> jax.Array:
    """The same at any gain below threshold: what is created also stimulates.

    From d<a_s a_i>/dt = 0 = -((kappa_s + kappa_i)/2 + i mismatch) <a_s a_i> + G (1 + n_s + n_i) and kappa_s n_s =
    kappa_i n_i = R: R = R_0 (1 + R/kappa_s + R/kappa_i), R_0 far below threshold. Infinite at the threshold, which is
    2 G = sqrt(kappa_s kappa_i) without mismatch, and NaN beyond.
    """
    low = pair_rate_hz(drive, kappa_s, kappa_i, mismatch)
    left = 1 - low * (1 / jnp.asarray(kappa_s) + 1 / jnp.asarray(kappa_i))
    return jnp.where(left >= 0, low / left, jnp.nan)


def helt_rate_hz(gamma_w_m: Any, radius_m: Any, q: Any, omega: Any, group_velocity_m_s: Any, power_w: Any) -> jax.Array:
    """Pairs per second in the bus of a critically coupled ring, (gamma 2 pi R)² (Q v_g/(omega pi R))³ v_g/(4 pi R) P².

    Azzini et al., Opt. Lett. 37, 3807 (2012); Helt, Liscidini & Sipe, J. Opt. Soc. Am. B 29, 2199 (2012). It counts
    photons of one colour in the bus, of which half escape: 1/2 of 2 G²/kappa, exactly.
    """
    turn = jnp.pi * jnp.asarray(radius_m)
    built = (q * group_velocity_m_s / (omega * turn)) ** 3
    return (2 * gamma_w_m * turn) ** 2 * built * group_velocity_m_s / (4 * turn) * power_w**2


def spontaneous_over_stimulated(omega: Any, q: Any, seed_w: Any) -> jax.Array:
    """Power of spontaneous over that of stimulated four-wave mixing seeded with ``seed_w``: hbar omega²/(4 Q P).

    Liscidini & Sipe, Phys. Rev. Lett. 111, 193602 (2013): a source's rate from classical light.
    """
    return HBAR * jnp.asarray(omega) ** 2 / (4 * q * seed_w)


def window_fraction(kappa_s: Any, kappa_i: Any, window_s: Any, jitter_s: Any = 0.0) -> jax.Array:
    """Fraction of the pairs whose arrival times differ by no more than half a window.

    The difference of the times of signal and idler is distributed as kappa_s kappa_i/(kappa_s + kappa_i) times
    exp(-kappa_s t) for t > 0 and exp(kappa_i t) for t < 0, convolved with a Gaussian of the detectors' jitter: two
    exponentially modified Gaussians, whose distribution is Phi(t/s) - exp(k² s²/2 - k t) Phi(t/s - k s). A Gaussian
    correlation, as some key-rate tools take, overstates what a window holds.

    Args:
        kappa_s, kappa_i: rad/s.
        window_s: full width, s.
        jitter_s: standard deviation of the difference of both detectors' errors, s; 0: none.

    Raises:
        SpecError: a concrete rate or window is not positive, or the jitter is negative.
    """
    check("kappa_s", kappa_s, "rad/s", above=0)
    check("kappa_i", kappa_i, "rad/s", above=0)
    check("window", window_s, "s", above=0)
    check("jitter", jitter_s, "s", least=0)
    half = jnp.asarray(window_s) / 2
    kappa_s, kappa_i = jnp.asarray(kappa_s), jnp.asarray(kappa_i)

    def held(kappa: jax.Array) -> jax.Array:
        """Of a one-sided exponential."""
        sharp = jitter_s == 0
        s = jnp.asarray(jnp.where(sharp, 1.0, jitter_s))

        def below(t: Any) -> jax.Array:
            z = t / s
            return ndtr(z) - jnp.exp((kappa * s) ** 2 / 2 - kappa * t + log_ndtr(z - kappa * s))

        return jnp.where(sharp, -jnp.expm1(-kappa * half), below(half) - below(-half))

    return (kappa_i * held(kappa_s) + kappa_s * held(kappa_i)) / (kappa_s + kappa_i)


def coincidence_to_accidental(
    pair_rate: Any, efficiency_s: Any, efficiency_i: Any, dark_s_hz: Any, dark_i_hz: Any, window_s: Any, fraction: Any
) -> jax.Array:
    """CAR: true coincidences over accidental ones, eta_s eta_i R f/[(eta_s R + d_s)(eta_i R + d_i) T].

    Largest at eta R = d, where it is eta f/(4 d T) for equal arms.

    Args:
        pair_rate: created pairs R, 1/s.
        efficiency_s, efficiency_i: from creation to click, escape and losses included.
        dark_s_hz, dark_i_hz: dark counts and whatever else is not correlated, 1/s.
        window_s: of coincidence, full width, s.
        fraction: of the pairs in the window, see ``window_fraction``.

    Raises:
        SpecError: a concrete efficiency lies outside 0 … 1, a dark count rate is negative or a window not positive.
    """
    _check_detection(efficiency_s, efficiency_i, dark_s_hz, dark_i_hz)
    check("window", window_s, "s", above=0)
    true = jnp.asarray(pair_rate) * efficiency_s * efficiency_i * fraction
    return true / ((efficiency_s * pair_rate + dark_s_hz) * (efficiency_i * pair_rate + dark_i_hz) * window_s)


def heralded_g2(mean_pairs: Any, purity: Any, heralding_efficiency: Any) -> jax.Array:
    """g²(0) of the signal given a click of the idler, to first order in the mean number of pairs: mu (1 + P)(2 - eta).

    Thermal statistics in 1/P modes; the herald's detector does not tell photon numbers apart and has the efficiency
    eta: Christ & Silberhorn, Phys. Rev. A 85, 023829 (2012). Unheralded it is 1 + P.
    """
    check("heralding efficiency", heralding_efficiency, "", least=0, most=1)
    check("purity", purity, "", least=0, most=1)
    return jnp.asarray(mean_pairs) * (1 + jnp.asarray(purity)) * (2 - jnp.asarray(heralding_efficiency))


def cross_correlation(kappa: Any, pair_rate: Any) -> jax.Array:
    """g²_si(0) under continuous pumping, equal widths, without jitter: 1 + kappa/(2 R)."""
    return 1 + jnp.asarray(kappa) / (2 * jnp.asarray(pair_rate))


def _check_detection(efficiency_s: Any, efficiency_i: Any, dark_s_hz: Any, dark_i_hz: Any) -> None:
    for arm, efficiency, dark in (("signal", efficiency_s, dark_s_hz), ("idler", efficiency_i, dark_i_hz)):
        check(f"efficiency of the {arm}", efficiency, "", least=0, most=1)
        check(f"dark counts of the {arm}", dark, "1/s", least=0)
