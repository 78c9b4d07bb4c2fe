"""Phase shifters: electrical drive to optical phase."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from picq.technology import Technology


def heated_phase(wl: jax.Array, power_mw: Any, tech: "Technology") -> jax.Array:
    """exp(i pi P / P_pi (wl0/wl)): the thermo-optic index change is proportional to the heater's power.

    P_pi holds at the wl0 of the technology's compact data; at other wavelengths the same index change turns the phase
    by wl0/wl as much.
    """
    heater = tech.data["heater"]
    return jnp.exp(1j * jnp.pi * power_mw / heater["p_pi_mw"] * heater["wl0_um"] / jnp.asarray(wl))


def power_to_restore(wl0: float, wanted: jax.Array, cold: jax.Array, limit_mw: float, tech: "Technology") -> jax.Array:
    """Least heater power that turns the phase of ``cold`` into that of ``wanted``, modulo 2 pi.

    Args:
        wl0: wavelength of both amplitudes, um.
        wanted: complex amplitude of the stage as designed.
        cold: complex amplitude of the stage as fabricated, heater off.
        limit_mw: the heater's power limit; the result is clipped to it.
        tech: gives P_pi.

    Returns:
        Power in mW.
    """
    heater = tech.data["heater"]
    missing = jnp.mod(jnp.angle(wanted * jnp.conj(cold)), 2 * jnp.pi)
    return jnp.clip(missing / jnp.pi * heater["p_pi_mw"] * wl0 / heater["wl0_um"], 0.0, limit_mw)
