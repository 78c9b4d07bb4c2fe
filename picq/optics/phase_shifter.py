"""Phase shifters: electrical drive to optical phase.

Heaters: the power warms the guide by theta P/L, where theta (``thermal_resistance``) comes from the geometry of the
layers (``heat``) and L is the length of the filament; so the phase is (2 pi/wl) dn_eff/dT theta P, and P_pi = wl/(2
dn_eff/dT theta) is a result. The foundry's own figure, ``p_pi_mw`` of compact.yaml, is what it is checked against.
Electrodes: dn_eff per volt comes from the overlap of the RF field and the light (``electrodes``).
"""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from picq.errors import SpecError
from picq.optics.heat import substrate_rise, substrate_rise_ring
from picq.optics.ranges import check_within
from picq.optics.table import Table, Variable

if TYPE_CHECKING:
    from picq.technology import Technology

_FARTHEST = 5000.0  # um: chips are no larger, and less than 1e-3 of the heat gets there
_REMEDY = "stay inside the range: the model does not extrapolate"


def thermal_resistance(
    tech: "Technology",
    cross_section: str,
    length: Any,
    distance: Any = 0.0,
    guide: tuple[Any, Any] | None = None,
) -> jax.Array:
    """Rise of a guide beside a heated one, K um/mW: its integral along the guide over the filament's power. For a guide
    as long as the filament: temperature in K times the filament's length over its power.

    What the layers above the substrate carry counts in proportion to the overlap of guide and filament. That heat
    crosses the filament's ends by a few um only: a guide that goes on gains beyond what it lacks within, so the sum is
    right; one that stops where the filament does is given about sink_um/4L too much of it per end (image sources).
    The overlap has a kink there: the slope to that end of the guide is the mean of both sides.

    Args:
        tech: the technology, with the baked numbers of its heater.
        cross_section: of both guides.
        length: of the filament, um.
        distance: between the centres of the filament and of the guide, um, any shape; 0 for the heated guide itself.
        guide: (start, end) of the guide along its axis, um from the filament's start, each a scalar or of a shape that
            broadcasts against the distance's; None: as long as the filament and beside it.

    Returns:
        Of the shape that distance and the ends of the guide broadcast to.

    Raises:
        SpecError: the technology has no heater above that cross-section.
        NumericsError: a concrete distance lies beyond 5 mm, or a concrete guide ends before it starts.
    """
    solved, squared = _solved(tech, cross_section), jnp.asarray(distance) ** 2
    check_within(jnp.abs(jnp.asarray(distance)), 0.0, _FARTHEST, "distance from a heater", "um", _REMEDY)
    soften, reach = solved["soften_um"], solved["reach_um"]
    u = jnp.sqrt(squared + soften**2) - soften
    series = Table(jnp.asarray(solved["ln_ratio"]), (Variable("distance", 0.0, 1.0),))
    beyond = jnp.maximum(u - reach, 0.0) * jnp.pi / (2 * solved["sink_um"])
    near = solved["near_k_um_mw"] * jnp.exp(series(jnp.minimum(u / reach, 1.0)) - beyond)
    if guide is not None:
        start, end = (jnp.asarray(at) for at in guide)
        check_within(
            end - start, 0.0, math.inf, "length of a guide beside a heater", "um", "give its start, then its end"
        )
        near = near * jnp.maximum(jnp.minimum(end, length) - jnp.maximum(start, 0.0), 0.0) / length
    return near + substrate_rise(
        distance, length, solved["spread_um"], solved["substrate_um"], solved["substrate_w_mk"], guide
    )


def ring_resistance(tech: "Technology", cross_section: str, perimeter: Any) -> jax.Array:
    """Rise of a ring under a filament that follows a part of it, K um/mW: its integral along the ring over the power.

    The layers above the substrate warm what lies under the filament; the substrate warms the whole ring
    (``heat.substrate_rise_ring``). ``perimeter``: of the ring, um.

    Raises:
        SpecError: the technology has no heater above that cross-section.
    """
    solved = _solved(tech, cross_section)
    return solved["near_k_um_mw"] + substrate_rise_ring(
        perimeter, solved["spread_um"], solved["substrate_um"], solved["substrate_w_mk"]
    )


def _solved(tech: "Technology", cross_section: str) -> Any:
    """The baked numbers of the heater above a guide."""
    heater = tech.data.get("heater", {})
    if cross_section not in heater:
        raise SpecError(
            f"technology {tech.name} knows no heater above cross-section '{cross_section}'",
            allowed=", ".join(name for name in tech.cross_sections if name in heater) or None,
            remedy="run `picq bake`, or use another cross-section",
        )
    return heater[cross_section]


def crosstalk(distance: Any, tech: "Technology", cross_section: str, length: Any) -> jax.Array:
    """theta(d)/theta(0): what a neighbour at ``distance`` (um) feels of the warmth of the heated guide."""
    return thermal_resistance(tech, cross_section, length, distance) / thermal_resistance(tech, cross_section, length)


def thermo_optic(wl: Any, tech: "Technology", cross_section: str, width: Any = None) -> jax.Array:
    """dn_eff/dT of a guide on this chip, 1/K, of wl's shape; ``width``: drawn, um, the cross-section's by default."""

    def warmer(kelvin: Any) -> jax.Array:
        process = dataclasses.replace(tech.process, temperature_k=tech.process.temperature_k + kelvin)
        return tech.at(process).n_eff(cross_section, jnp.asarray(wl), width)

    return jax.jvp(warmer, (0.0,), (1.0,))[1]


def phase_per_mw(wl: Any, tech: "Technology", cross_section: str, length: Any, distance: Any = 0.0) -> jax.Array:
    """Phase in rad per mW of heater power, of a guide under the filament or beside it; see ``thermal_resistance``."""
    theta = thermal_resistance(tech, cross_section, length, distance)
    return 2 * jnp.pi / jnp.asarray(wl) * thermo_optic(wl, tech, cross_section) * theta


def p_pi_mw(wl: Any, tech: "Technology", cross_section: str, length: Any) -> jax.Array:
    """Power in mW for a phase of pi. Nearly independent of the length: only the substrate's part knows it."""
    return jnp.pi / phase_per_mw(wl, tech, cross_section, length)


def heated_phase(
    wl: jax.Array, power_mw: Any, tech: "Technology", cross_section: str, length: Any, distance: Any = 0.0
) -> jax.Array:
    """exp(i phase) of a guide under or beside a heater of that power; see ``phase_per_mw``."""
    return jnp.exp(1j * power_mw * phase_per_mw(wl, tech, cross_section, length, distance))


def phase_matrix(wl: Any, tech: "Technology", cross_section: str, length: Any, heaters: Any, guides: Any) -> jax.Array:
    """Phase of every guide per mW of every heater, rad/mW; times the powers it gives the phases.

    All of them are parallel, of one cross-section and one length, and side by side.

    Args:
        wl: wavelength, um, scalar.
        tech: the technology.
        cross_section: of the guides.
        length: of the filaments, um.
        heaters: positions of the filaments across the guides, um, shape [heaters].
        guides: positions of the guides, um, shape [guides].

    Returns:
        Shape [guides, heaters].
    """
    distance = jnp.asarray(guides)[:, None] - jnp.asarray(heaters)[None, :]
    return phase_per_mw(wl, tech, cross_section, length, distance)


def electro_optic(wl: Any, tech: "Technology", cross_section: str, gap: Any, electrode_width: Any) -> jax.Array:
    """dn_eff per volt of a guide midway between two electrodes, 1/V, of wl's shape; of the nominal process.

    The half-wave voltage of one arm is wl/(2 dn/dV L); of a push-pull pair half of that.

    Args:
        wl: wavelength, um.
        tech: the technology, with the baked numbers of its electrodes.
        cross_section: of the guide.
        gap: between the electrodes, um, scalar.
        electrode_width: of each electrode, um, scalar.

    Raises:
        SpecError: the technology has no electrodes beside that cross-section.
        NumericsError: a concrete value lies outside what was solved.
    """
    solved = tech.data.get("electrode", {}).get(cross_section)
    if solved is None:
        raise SpecError(
            f"technology {tech.name} knows no electrodes beside cross-section '{cross_section}'",
            allowed=", ".join(tech.data.get("electrode", {})) or None,
            remedy="use a technology with a Pockels effect; run `picq bake` after changing its stack",
        )
    names = ("gap of the electrodes", "width of the electrodes", "wavelength")
    ends = ((float(solved[key][0]), float(solved[key][1])) for key in ("gap_um", "width_um", "wl_um"))
    variables = tuple(Variable(n, *e, reciprocal=n == names[1]) for n, e in zip(names, ends, strict=True))
    table, at = Table(jnp.asarray(solved["reduced"]), variables), (gap, electrode_width, wl)
    table.check("the electro-optic model", *at)
    return jnp.asarray(jnp.where(table.inside(*at), table(*at) / gap, jnp.nan))


def power_to_restore(wanted: jax.Array, cold: jax.Array, rad_per_mw: Any, limit_mw: float) -> jax.Array:
    """Least heater power that turns the phase of ``cold`` into that of ``wanted``, modulo 2 pi, in mW.

    Args:
        wanted: complex amplitude of the stage as designed.
        cold: complex amplitude of the stage as fabricated, heater off.
        rad_per_mw: what a mW adds to its phase, at the wavelength of both amplitudes; for an interferometer the heated
            arm's phase less that of the other one.
        limit_mw: the heater's power limit; the result is clipped to it.
    """
    missing = jnp.mod(jnp.angle(wanted * jnp.conj(cold)), 2 * jnp.pi)
    return jnp.clip(missing / rad_per_mw, 0.0, limit_mw)
