"""Two guides of different width side by side, straight or bent about one centre: coupling, detuning, exchange of power.

Coupled-mode equations of (first, second) with amplitudes A ~ exp(+i beta s), common phase taken out:

    dA/ds = i H A,   H = [[delta, kappa], [kappa, -delta]],   2 delta = beta_1 - beta_2

(Snyder & Love, Optical Waveguide Theory, ch. 29). Their solution over any stretch is a ``Turn`` in SU(2).
"""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.optics.bend import Bend
from picq.optics.coupler import OverGaps, pairing
from picq.optics.profile import principal_indices

if TYPE_CHECKING:
    from picq.technology import Technology

_CUBE = 3.0  # power of the width with which a bend moves a mode; see ``Narrowed``
_PARALLEL = 1.65  # see ``Narrowed.concentric``
_SMALL = 1e-12  # squared angle of a turn below which its series are exact


class Beside(NamedTuple):
    """What a guide of another width and one of the cross-section's own do to each other; see ``coupler.Pairing``.

    Attributes:
        kappa: coupling, rad/um.
        raised: rise of both indices by the other guide, their mean.
        apart: half of what the other guide's index rises more than the own one's.
    """

    kappa: OverGaps
    raised: OverGaps
    apart: OverGaps


def beside(tech: "Technology", cross_section: str, wl: Any, width: Any) -> Beside:
    """A guide of ``width`` beside one of the cross-section's own width.

    kappa_12 = sqrt(kappa_11 kappa_22), each of two equal guides: a tail falls by the mean of both decays between the
    cores where both have one propagation constant. Each index rises by as much as beside its like.

    Against finite elements of the whole cross-section, the difference of the supermodes' indices,
    sqrt((n_1 - n_2 + shift_1 - shift_2)² + (2 kappa_12/k)²), is

    - straight, where the detuning is of the order of the coupling: 0.1 to 0.6 % too large; where it is six times the
      coupling and more, 0.2 to 1.4 % (silicon at 0.2 um, nitride 800 nm thick at 0.5 um), and 5 % at half these gaps.
      There the guides hardly exchange power, and mostly the phase of a long pair is wrong;
    - concentric, at 0.5 um of gap on nitride 400 nm thick with the detuning 0.8 of the coupling: 3 % too large for a
      narrower bus, 1 % too small for a broader one; on the other guides within 1.5 % up to three times the coupling;
    - concentric and phase-matched by the bend: see ``Narrowed.concentric``.

    Args:
        tech: as the place of both sees it.
        cross_section: of both, but for the width.
        wl: wavelengths, um, shape [wl].
        width: drawn, um; None for two equal guides.
    """
    own = pairing(tech, cross_section, wl)
    if width is None:
        return Beside(own.kappa, own.shift, lambda gaps: jnp.zeros(()))
    other = pairing(_widened(tech, cross_section, width), cross_section, wl)
    return Beside(
        lambda gaps: jnp.sqrt(own.kappa(gaps) * other.kappa(gaps)),
        lambda gaps: (other.shift(gaps) + own.shift(gaps)) / 2,
        lambda gaps: (other.shift(gaps) - own.shift(gaps)) / 2,
    )


def _widened(tech: "Technology", cross_section: str, width: Any) -> "Technology":
    """The technology with another width of a cross-section; not to be passed through ``jit``, widths being static."""
    other = dataclasses.replace(tech.cross_section(cross_section), width=width)
    return dataclasses.replace(tech, cross_sections={**tech.cross_sections, cross_section: other})


class Narrowed(NamedTuple):
    """A bend of a guide of another width than the cross-section's, scaled from the fits at that width.

    Curvature moves a mode sideways by about the cube of its width: by the fourth power of an effective width that is
    larger than the core. Against bent modes of the whole cross-section, over those of its own width:

    - F - 1: nitride 1500 x 800 nm narrowed to 1015 nm 0.35, the cube 0.31; 1000 x 400 nm to 720 nm 0.44, the cube 0.37.
    - c of the index' rise c/R²: nitride 1500 x 800 nm narrowed to 1174 and 1015 nm 0.47 and 0.33, the cubes 0.48 and
      0.31. Where light reaches far out of a narrow core c stays: silicon 500 x 220 nm narrowed to 425 nm 0.77, the cube
      0.61; 1000 x 400 nm to 720 nm 1.03, the cube 0.37. There c/R² itself is at most 2 % of the coupling where bends
      have twice their least radius.

    Attributes:
        bend: of the cross-section's own width.
        ratio: width over the cross-section's own.
    """

    bend: Bend
    ratio: Any

    def index_rise(self, curvature: Any) -> jax.Array:
        """n_eff of the bend minus that of the straight guide."""
        return self.bend.index_rise(curvature) * self.ratio**_CUBE

    def coupling_factor(self, curvature: Any) -> jax.Array:
        """F of ``Bend.coupling_factor`` for a guide that bends away from its neighbour."""
        return self.bend.coupling_factor(curvature * self.ratio**_CUBE)

    def concentric(self, curvature: Any, curvature_own: Any) -> jax.Array:
        """Coupling over that of straight guides for this guide bent around one of the cross-section's own width.

        (F(inner)/F(outer))^1.65: the inner mode moves towards the other guide, the outer one away from it. F of a
        ring and a straight bus holds besides that the bus's phase fronts are flat, which takes back some of it; here
        they turn with the ring, so the power is above 1. Its value was fitted to kappa of guides that the bend brings
        in phase, by finite elements of the whole bent cross-section: silicon 500 x 220 nm at R = 5, 10, 20 um (1.074,
        1.027, 1.009 at a gap of 0.2 um) and nitride 1500 x 800 nm at 60 and 114 um (1.087, 1.034 at 0.5 um), all within
        0.3 %. Not fitted: 0.4 % on silicon at 0.1 um, 0.7 % on nitride 1500 x 800 nm at 0.35 um, 0.05 % on nitride
        800 x 800 nm and 1000 x 400 nm at 60 um and 0.5 um (tests/oracles/test_oracle_pulley.py).
        """
        return (self.bend.coupling_factor(curvature_own) / self.coupling_factor(curvature)) ** _PARALLEL

    def excess(self, wl: Any, length: Any, curvature: Any, decay: Any) -> jax.Array:
        """As ``Bend.excess``; ``decay``: of the radiation with the radius over the own width's (``radiation_decay``).

        Only the exponent of a exp(-b R) is scaled; a is that of the own width, twice what bent modes of nitride
        narrowed as above have.
        """
        lost = self.bend.radiated(curvature / decay) * length
        return jnp.exp(2j * jnp.pi * self.index_rise(curvature) * length / jnp.asarray(wl) - lost / 2)


def radiation_decay(tech: "Technology", cross_section: str, wl: Any, width: Any) -> jax.Array:
    """b of the radiation a exp(-b R) of a bend at ``width`` over b at the cross-section's own width, shape [wl].

    b = 2 k n (acosh(n/n_0) - sqrt(1 - (n_0/n)²)) with n_0 the index outside: the light's decay on its way from the
    guide to the radius where it has the speed of light there (Marcuse, Bell Syst. Tech. J. 50, 2551 (1971), exact in
    place of his expansion). Against bent modes: nitride 1500 x 800 nm narrowed to 1015 nm 0.807, solved 0.842;
    1000 x 400 nm to 720 nm 0.583, solved 0.588.
    """
    point, film = tech.point(cross_section), tech.platform.film
    around = [n for m in (film.cladding, film.box) for n in principal_indices(m, wl, point.temperature_k)]
    floor = jnp.max(jnp.stack([jnp.asarray(n, float) + 0.0 * wl for n in around]), axis=0)
    if point.slab is not None:
        floor = film.film_index(wl, point.slab, point.temperature_k)

    def decay(n: Any) -> Any:
        return n * (jnp.arccosh(n / floor) - jnp.sqrt(1 - (floor / n) ** 2))

    return decay(tech.n_eff(cross_section, wl, width)) / decay(tech.n_eff(cross_section, wl))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Turn:
    """What a stretch does to the amplitudes (first, second): the matrix [[a, b], [-b*, a*]] of determinant 1."""

    a: Any
    b: Any

    def then(self, after: "Turn") -> "Turn":
        """This stretch and ``after`` it another one."""
        return Turn(after.a * self.a - after.b * jnp.conj(self.b), after.a * self.b + after.b * jnp.conj(self.a))

    def reversed(self) -> "Turn":
        """The same stretch from its end to its start: the transpose."""
        return Turn(self.a, -jnp.conj(self.b))

    def unit(self) -> "Turn":
        """With determinant 1 again, after an interpolation."""
        norm = jnp.sqrt(jnp.abs(self.a) ** 2 + jnp.abs(self.b) ** 2)
        return Turn(self.a / norm, self.b / norm)


def turn(kappa: Any, delta: Any, aside: Any = 0.0) -> Turn:
    """exp(i (kappa s_x + aside s_y + delta s_z)) with the Pauli matrices; all in rad, any shapes that broadcast."""
    square: Any = kappa**2 + delta**2 + aside**2
    tiny: Any = square < _SMALL
    moved: Any = jnp.where(tiny, 1.0, square)
    angle: Any = jnp.sqrt(moved)
    cos: Any = jnp.where(tiny, 1 - square / 2, jnp.cos(angle))
    sinc: Any = jnp.where(tiny, 1 - square / 6, jnp.sin(angle) / angle)
    return Turn(cos + 1j * sinc * delta, sinc * (1j * kappa + aside))


def along(kappa: Any, delta: Any) -> Turn:
    """Ordered product over steps along guides whose coupling and detuning vary.

    The Magnus series to the fourth order in each step's length (Iserles & Nørsett, Phil. Trans. R. Soc. A 357, 983
    (1999)), from H at both of its Gauss-Legendre points; exactly unitary.

    Args:
        kappa, delta: times the points' quadrature weights, rad, two points a step and a power of two of steps, shape
            [wl, 2 steps] in the order of the light's way.
    """
    k1, k2, d1, d2 = (f[..., i::2] for f in (kappa, delta) for i in (0, 1))
    parts = turn(k1 + k2, d1 + d2, -2 / np.sqrt(3) * (d2 * k1 - k2 * d1))
    while parts.a.shape[-1] > 1:
        early, late = (jax.tree.map(lambda f, i=i: f[..., i::2], parts) for i in (0, 1))
        parts = early.then(late)
    return jax.tree.map(lambda f: f[..., 0], parts)
