"""Two coupled waveguides: power exchange from the supermode splitting, integrated along guides that part."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from picq.technology import Technology

_STEP = 0.1  # um, over which the decay at the largest solved gap is taken
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_STEPS = 16  # of each piece along guides that part, a power of two

OverGaps = Callable[[jax.Array], jax.Array]
"""A quantity of a pair of guides at gaps (um) of shape [nodes]: shape [wl, nodes]."""


class Places(NamedTuple):
    """Gaps along two guides, um, and the lengths for which they stand: ∫ f(g(s)) ds = f(gaps) @ weights."""

    gaps: jax.Array
    weights: jax.Array


class Pairing(NamedTuple):
    """What two guides side by side do to each other, at any gap from the smallest solved one to infinity; beyond
    ``reach`` they fall exponentially.

    Attributes:
        kappa: coupling, rad/um; the cross power after L is sin²(kappa L).
        shift: rise of the supermodes' mean index over that of one guide alone.
    """

    kappa: OverGaps
    shift: OverGaps


def reach(tech: "Technology", cross_section: str) -> Any:
    """Drawn gap, um, up to which a pair was solved, as its place sees ``tech``."""
    solved = tech.coupler(cross_section).splitting.ranges.gap
    assert solved is not None  # those of a pair
    return solved[1] - 1e-3 * (tech.process.gap_nm - tech.process.width_nm)


def pairing(tech: "Technology", cross_section: str, wl: Any) -> Pairing:
    """The pair of guides of a cross-section at drawn gaps, as their place sees ``tech``.

    Beyond the solved gaps kappa goes on as the exponential that it has become there; the shift, of second order in the
    overlap, is below the error of its table (3e-5) and taken as zero.
    """
    end = reach(tech, cross_section)

    def over(quantity: Any, gaps: jax.Array) -> jax.Array:
        tech.check_gap(cross_section, wl, gaps)  # as seen from here; within vmap they are traced
        return jax.vmap(lambda gap: quantity(cross_section, wl, gap), out_axes=-1)(gaps)

    def kappa(gaps: jax.Array) -> jax.Array:
        values = over(tech.kappa, jnp.concatenate([jnp.minimum(gaps, end), jnp.stack([end - _STEP, end + 0.0])]))
        decay = values[..., -1:] / values[..., -2:-1]
        return values[..., :-2] * decay ** (jnp.maximum(gaps - end, 0.0) / _STEP)

    def shift(gaps: jax.Array) -> jax.Array:
        return (gaps < end) * over(tech.pair_shift, jnp.minimum(gaps, end))

    return Pairing(kappa, shift)


def s_bend(offset: Any, radius: Any) -> tuple[Any, Any, Any]:
    """Two equal arcs that displace a waveguide sideways by ``offset`` um.

    Returns:
        (angle of each arc in rad, total length in um, extent along the axis in um). From offset = 2 R (1 - cos a).
    """
    angle = jnp.arccos(1 - offset / (2 * radius))
    return angle, 2 * radius * angle, 2 * radius * jnp.sin(angle)


def s_bends(gap: Any, offset: Any, radius: Any) -> Places:
    """Two S-bends that part symmetrically from ``gap``, all lengths in um.

    g(s) = gap + 2 R (1 - cos(s/R)) on the first arcs and its mirror image on the second, as in coupled-mode theory of
    slowly diverging guides; places and weights are those of Gauss-Legendre quadrature on each arc.
    """
    angle, _, _ = s_bend(offset, radius)
    theta = angle * (jnp.asarray(_NODES) + 1) / 2
    weight = radius * angle * jnp.asarray(_WEIGHTS) / 2
    opened = 2 * radius * (1 - jnp.cos(theta))
    return Places(jnp.concatenate([gap + opened, gap + 2 * offset - opened]), jnp.concatenate([weight, weight]))


def half_ring(gap: Any, width: Any, radius: Any, reach: Any) -> Places:
    """A straight bus and a half ring beside it.

    g = gap + (R + w/2)(1 - cos theta) with ds = R sqrt(cos theta) dtheta; the root is the mean path of the two guides
    on their way through dtheta. The places end where the gap has grown by twice ``reach`` (the function): kappa is
    below 1e-6 of its start there.

    Args:
        gap: smallest gap, um.
        width: drawn width of the guides, um.
        radius: of the ring's centre line, um.
        reach: see above, um.
    """
    outer = radius + width / 2
    largest = jnp.arccos(1 - jnp.minimum(2 * reach / outer, 1.0 - 1e-9))
    theta = largest * (jnp.asarray(_NODES) + 1) / 2
    weight = largest * jnp.asarray(_WEIGHTS) * radius * jnp.sqrt(jnp.cos(theta))  # both halves
    return Places(gap + outer * (1 - jnp.cos(theta)), weight)


def parting(
    gap: Any, width: Any, width_bus: Any, radius: Any, radius_bus: Any, angle: Any, reach: Any, steps: int = _STEPS
) -> tuple[Places, Places]:
    """A ring and a bus that parts from it: an arc that curves away from the ring by ``angle``, then straight on.

    Across from each other lie the places at the same height s above the line through both centres at the start, as in
    ``ring_pair.two_rings``: g = gap + (R + w/2)(1 - cos theta) + (R_b + w_b/2)(1 - cos theta_b) with sin theta = s/R
    and sin theta_b = s/R_b, up to ``angle``; behind it the bus goes on along its slope. The path is the mean of both
    guides', ds/sqrt(cos theta cos theta_b). ``angle`` = 0 is one half of ``half_ring``.

    Args:
        gap: at the start, um.
        width, width_bus: drawn, um.
        radius, radius_bus: of the centre lines, um.
        angle: by which the bus turns back, rad.
        reach: drawn gap up to which pairs were solved (``reach``), um; the places end where a straight bus would be
            twice that further away.
        steps: of each piece, with two Gauss-Legendre points each.

    Returns:
        Places beside the bus's arc, and beside its straight, in their order from the start.
    """
    end = 1 / jnp.sqrt(1 / (4 * reach * radius) + 1 / radius**2)
    turned = jnp.minimum(radius_bus * jnp.sin(angle), end)
    t = ((np.arange(steps)[:, None] + 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3)) / steps).reshape(-1)

    def places(start: Any, stop: Any, opened: Any, cos_bus: Any) -> Places:
        s = start + (stop - start) * t
        cos = jnp.sqrt(1 - (s / radius) ** 2)
        weight = (stop - start) / (2 * steps) / jnp.sqrt(cos * cos_bus(s))
        return Places(gap + (radius + width / 2) * (1 - cos) + opened(s), weight)

    on_arc = lambda s: jnp.sqrt(1 - (s / radius_bus) ** 2)
    on_slope = lambda s: jnp.cos(angle) + 0.0 * s
    arc_opened = lambda s: (radius_bus + width_bus / 2) * (1 - on_arc(s))
    slope = lambda s: jnp.maximum(s - radius_bus * jnp.sin(angle), 0.0) * jnp.tan(angle)
    straight_opened = lambda s: (radius_bus + width_bus / 2) * (1 - jnp.cos(angle)) + slope(s)
    return places(0.0, turned, arc_opened, on_arc), places(turned, end, straight_opened, on_slope)


def coupled(
    tech: "Technology", cross_section: str, wl: Any, gap: Any, length: Any, bent: Places, factor: Any
) -> tuple[jax.Array, jax.Array]:
    """(coupling phase, optical path that the pair gains in um) of a straight piece and the bends at its ends.

    Args:
        tech: as the coupler's own place sees it.
        cross_section: of both guides.
        wl: wavelengths, um, shape [wl].
        gap, length: of the straight piece, drawn, um.
        bent: all bends.
        factor: what curvature changes in the bends' coupling (``picq.optics.bend.coupling_factor``).

    Returns:
        ∫ kappa ds in rad, and ∫ shift ds; shape [wl].
    """
    pair = pairing(tech, cross_section, wl)
    gaps = jnp.concatenate([jnp.asarray(gap, float)[None], bent.gaps])
    straight = jnp.asarray(length, float)[None]
    phase = pair.kappa(gaps) @ jnp.concatenate([straight, factor * bent.weights])
    return phase, pair.shift(gaps) @ jnp.concatenate([straight, bent.weights])
