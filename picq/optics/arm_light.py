"""Light in the arms of a phased array, from the table of their sections and the technology at every arm's own place."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from picq.optics.arm_array import Lengths, Widths
from picq.optics.phase_shifter import thermo_optic
from picq.optics.waveguide import BEND_P, amplitude_db, euler_length_factor

if TYPE_CHECKING:
    from picq.technology import Technology

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)  # along a taper: its index is smooth in width


@dataclass(frozen=True)
class ArmLight:
    """What light of te0 meets in the arms.

    Attributes:
        cross_section: of the guides.
        widths: of them.
        lengths: of straights and arcs.
        taper, step: length of a taper at an aperture, and of a transition between broad guide and bend, um.
        heat_k_um: warmth of each arm times the length over which it has it, K um, [arm]; None: no heaters.
    """

    cross_section: str
    widths: Widths
    lengths: Lengths
    taper: Any
    step: Any
    heat_k_um: Any = None

    def amplitudes(self, wl: jax.Array, tech: "Technology") -> jax.Array:
        """Transmissions [wl, arm], tapers included; ``tech``: mismatch of the arms alone, leaves [arm]."""
        xs, bend = tech.guide(self.cross_section), tech.bend(self.cross_section)
        curvature, parts = self.lengths.curvature, self.lengths
        optical = tech.over_wavelengths(self.cross_section, wl, lambda wl: self.paths(wl, tech))
        loss = 1e-4 * xs.loss_db_cm * self._kinds(tech).sum(0) + parts.arc_ends * bend.mismatch_db(curvature)
        euler = bend.euler_excess(wl, xs.radius, BEND_P, 90.0) ** parts.bends
        wave = jnp.exp(2j * jnp.pi * optical / wl[:, None] - bend.radiated(curvature) * parts.arc / 2)
        return amplitude_db(loss) * wave * euler[:, None]

    def paths(self, wl: jax.Array, tech: "Technology") -> jax.Array:
        """Optical paths [wl, arm], um, but for the Euler bends' curvature, which all arms have alike."""
        rise = tech.bend(self.cross_section).index_rise(self.lengths.curvature)
        paths = jnp.einsum("wka,ka->wa", self._indices(wl, tech), self._kinds(tech)) + rise * self.lengths.arc
        if self.heat_k_um is None:
            return paths
        return paths + thermo_optic(wl, tech, self.cross_section, self.widths.broad)[:, None] * self.heat_k_um

    def _kinds(self, tech: "Technology") -> jax.Array:
        """Lengths [kind, arm]: of broad guide, of bends, of tapers and of transitions, um."""
        parts, alike = self.lengths, jnp.ones_like(self.lengths.arc)
        bends = parts.arc + parts.bends * tech.guide(self.cross_section).radius * euler_length_factor(BEND_P)
        return jnp.stack([parts.broad, bends, 2 * self.taper * alike, parts.steps * self.step * alike])

    def _indices(self, wl: jax.Array, tech: "Technology") -> jax.Array:
        """[wl, kind, arm]: index of broad guide, of bends, and its mean over tapers and transitions; [.., 1] where all
        arms are alike. To first order in what the arms have of their own."""
        widths = self.widths
        nodes, weights = (_NODES + 1) / 2, _WEIGHTS / 2
        spans = ((widths.broad, widths.aperture), (widths.bend, widths.broad))
        every = jnp.stack([widths.broad, widths.bend, *(a + (b - a) * t for a, b in spans for t in nodes)])
        means = np.zeros((4, 2 + 6))
        means[0, 0] = means[1, 1] = 1.0
        means[2, 2:5] = means[3, 5:] = weights

        def kinds(local: Any) -> jax.Array:
            place = chip.at(jax.tree.map(jnp.add, chip.process, local))
            n = jax.vmap(lambda width: place.n_eff(self.cross_section, wl, width), out_axes=-1)(every)
            return n @ means.T

        chip = tech.with_mismatch(None)
        zero = jax.tree.map(jnp.zeros_like, jax.tree.map(lambda v: jnp.asarray(v, float), chip.process))
        if tech.mismatch is None:
            return kinds(zero)[..., None]
        slopes = jax.jacfwd(kinds)(zero)
        moved = jax.tree.map(lambda slope, offset: slope[..., None] * offset, slopes, tech.mismatch)
        return kinds(zero)[..., None] + sum(jax.tree.leaves(moved))
