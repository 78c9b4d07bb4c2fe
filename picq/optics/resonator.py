"""Resonators: a circuit with its loops cut is smooth in wavelength; closing the cuts is small linear algebra.

A *cut* is a pair of ports that a loop joins. Cut open, a ring is a coupler with a long arm: nothing resonates, and its
S-parameters say everything. Closed again, they give the field in the loop for light that comes in, the way out of light
that is made in the loop, and the resonances, all from one and the same matrix.

Each cut carries two waves: one arrives at its first port and goes on from its second, the other runs the other way.
Matrices are [from, to], as all of picq's S-parameters.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.sdict import SDict, dense

C_UM_HZ = 299792458e6
"""Speed of light, um/s."""

_NEWTON = 4  # steps; the phase is linear in frequency but for dispersion, so that they converge in two or three
Cuts = Sequence[tuple[str, str]]


class Loops(NamedTuple):
    """A circuit whose loops are cut; two waves a cut, in the order of the cuts.

    Attributes:
        through: from port to port past the loops, [..., port in, port out].
        enter: from a port to the wave that arrives at a cut, [..., port in, wave].
        leave: from the wave that goes on from a cut to a port, [..., wave, port out].
        around: from wave to wave, [..., wave, wave].
    """

    through: jax.Array
    enter: jax.Array
    leave: jax.Array
    around: jax.Array


def launches(cuts: Cuts) -> tuple[str, ...]:
    """Ports from which the waves go on, in their order."""
    return tuple(port for first, second in cuts for port in (second, first))


def arrivals(cuts: Cuts) -> tuple[str, ...]:
    """Ports at which the waves arrive, in their order."""
    return tuple(port for cut in cuts for port in cut)


def loops(transfer: jax.Array, cuts: int) -> Loops:
    """Parts of a matrix [..., in, out] whose last inputs are ``launches`` and whose last outputs are ``arrivals``."""
    waves = 2 * cuts
    return Loops(
        through=transfer[..., :-waves, :-waves],
        enter=transfer[..., :-waves, -waves:],
        leave=transfer[..., -waves:, :-waves],
        around=transfer[..., -waves:, -waves:],
    )


def fields(parts: Loops, backscatter: Any = None) -> jax.Array:
    """Amplitudes of the waves that go on from the cuts for unit amplitude at a port, [..., port in, wave].

    Args:
        parts: of the circuit.
        backscatter: amplitude that turns back at every cut (a lossless lumped reflector: i b back and sqrt(1 - b²)
            on), scalar; None where none does. A loop of group delay t has its resonances split by b/(pi t) Hz.
    """
    joint = _joint(parts.around.shape[-1], backscatter)
    return _times_inverse(parts.enter @ joint, parts.around @ joint)


def emission(parts: Loops, backscatter: Any = None) -> jax.Array:
    """Amplitudes at the ports for unit amplitude added to the waves that go on from the cuts, [..., wave, port out]."""
    joint = _joint(parts.around.shape[-1], backscatter)
    waves = jnp.broadcast_to(jnp.eye(parts.around.shape[-1], dtype=complex), parts.around.shape)
    return _times_inverse(waves, parts.around @ joint) @ parts.leave


def closed(opened: SDict, ports: Sequence[str], cuts: Cuts, backscatter: Any = None) -> SDict:
    """S-parameters of a device from those with its loops cut; pairs that no path joins are left out.

    Args:
        opened: between ``ports`` and the ports of ``cuts``, arrays [wl].
        ports: those that stay.
        cuts: pairs of ports to be joined.
        backscatter: see ``fields``.
    """
    names, waves = (*ports, *arrivals(cuts)), len(arrivals(cuts))
    rows = [names.index(p) for p in (*ports, *launches(cuts))]
    parts = loops(dense(opened, names)[..., rows, :], len(cuts))
    total = parts.through + fields(parts, backscatter) @ parts.leave

    there = np.array([[(a, b) in opened for b in names] for a in names])[rows].astype(int)
    enter, leave, around = there[:-waves, -waves:], there[-waves:, :-waves], there[-waves:, -waves:]
    turns = np.eye(waves) if backscatter is None else np.kron(np.eye(len(cuts)), np.ones((2, 2)))
    paths = np.linalg.matrix_power(np.eye(waves) + around @ turns, waves)
    reached = there[:-waves, :-waves] + enter @ turns @ paths @ leave > 0
    return {(a, b): total[..., i, k] for i, a in enumerate(ports) for k, b in enumerate(ports) if reached[i, k]}


def _joint(waves: int, backscatter: Any) -> jax.Array:
    """What a cut does to the waves that arrive, [arriving, going on]."""
    if backscatter is None:
        return jnp.eye(waves, dtype=complex)
    back = jnp.asarray(backscatter, float)
    one = jnp.array([[1.0, 0.0], [0.0, 1.0]]) * jnp.sqrt(1 - back**2) + 1j * back * jnp.array([[0.0, 1.0], [1.0, 0.0]])
    return jnp.kron(jnp.eye(waves // 2), one)


def _times_inverse(rows: jax.Array, around: jax.Array) -> jax.Array:
    """``rows`` (1 - around)^-1; two waves, the common case, in closed form."""
    if around.shape[-1] > 2:
        system = jnp.swapaxes(jnp.eye(around.shape[-1]) - around, -1, -2)
        return jnp.swapaxes(jnp.linalg.solve(system, jnp.swapaxes(rows, -1, -2)), -1, -2)
    a, b, c, d = (around[..., i, k] for i in (0, 1) for k in (0, 1))
    adjugate = jnp.stack([jnp.stack([1 - d, b], -1), jnp.stack([c, 1 - a], -1)], -2)
    return rows @ adjugate / ((1 - a) * (1 - d) - b * c)[..., None, None]


class Resonances(NamedTuple):
    """Resonances of a loop, shape [resonance] each; angular frequencies and rates in rad/s.

    Attributes:
        omega: where the round trip's phase is a multiple of 2 pi.
        kappa: decay rate of the energy, -2 ln|round trip| over its group delay.
        delay_s: group delay of a round trip.
        loss: power lost in a round trip by whatever cause, -2 ln|round trip|.
    """

    omega: jax.Array
    kappa: jax.Array
    delay_s: jax.Array
    loss: jax.Array

    @property
    def fsr_hz(self) -> jax.Array:
        """Local free spectral range, 1/delay."""
        return 1 / self.delay_s

    @property
    def finesse(self) -> jax.Array:
        """Free spectral range over linewidth, both as rates: 2 pi/loss."""
        return 2 * jnp.pi / self.loss

    @property
    def q(self) -> jax.Array:
        """Loaded quality factor omega/kappa."""
        return self.omega / self.kappa

    def rate(self, share: Any) -> jax.Array:
        """Decay rate by a loss that takes ``share`` of the power in every round trip, rad/s: -ln(1 - share)/delay."""
        return -jnp.log1p(-jnp.asarray(share)) / self.delay_s


def wavelength(omega: Any) -> jax.Array:
    """Vacuum wavelength in um of an angular frequency in rad/s."""
    return 2 * jnp.pi * C_UM_HZ / jnp.asarray(omega)


def resonances(round_trip: Callable[[jax.Array], jax.Array], near: Any, orders: Sequence[int] = (0,)) -> Resonances:
    """The resonance nearest to a frequency, and others counted from it.

    Newton's method on the phase of the round trip, whose derivatives are exact; first derivatives of the result with
    respect to what ``round_trip`` closes over follow from the equation at its root.

    Args:
        round_trip: amplitude of a round trip at angular frequencies (rad/s) of shape [n], element by element.
        near: angular frequency, rad/s, scalar.
        orders: number of each wanted resonance, counted upwards in frequency from the nearest one.
    """

    turns = 2 * jnp.pi * jnp.asarray(tuple(orders), float)

    def step(k: Any, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """All go to the nearest resonance first, and from there to their own."""
        value, slope = _sloped(round_trip, state[0])
        delay = jnp.imag(slope)
        return state[0] + (jnp.where(k == _NEWTON, turns, 0.0) - jnp.angle(value)) / delay, delay

    start = jnp.broadcast_to(jax.lax.stop_gradient(jnp.asarray(near, float)), turns.shape)
    return settled(round_trip, *jax.lax.stop_gradient(jax.lax.fori_loop(0, 2 * _NEWTON + 1, step, (start, start))))


def settled(round_trip: Callable[[jax.Array], jax.Array], omega: jax.Array, delay: jax.Array) -> Resonances:
    """Resonances from where they lie and what a round trip takes there, both to Newton's last step: it adds their
    derivative. Shapes [resonance]; rad/s and s, or in other units throughout."""
    omega = omega - jnp.angle(round_trip(omega)) / delay
    value, slope = _sloped(round_trip, omega)
    loss, delay = -2 * jnp.log(jnp.abs(value)), jnp.imag(slope)
    return Resonances(omega, loss / delay, delay, loss)


def _sloped(round_trip: Callable[[jax.Array], jax.Array], omega: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(round trip, its logarithmic derivative): the latter's imaginary part is the group delay."""
    value, change = jax.jvp(round_trip, (omega,), (jnp.ones_like(omega),))
    return value, change / value


class Dispersion(NamedTuple):
    """Taylor series of the resonance grid, omega_m = omega_0 + D1 m + D2 m²/2 + …, and the rest D_int.

    Attributes:
        d1, d2: rad/s.
        integrated: omega_m - omega_0 - D1 m, rad/s, of every resonance given.
    """

    d1: jax.Array
    d2: jax.Array
    integrated: jax.Array


def dispersion(omega: jax.Array, orders: Sequence[int]) -> Dispersion:
    """D1, D2 and the integrated dispersion from resonances of ``orders``, which hold -1, 0 and 1.

    D1 and D2 are the central differences at order 0: D2 = -v_g D1² beta_2 (Fujii & Tanabe, Nanophotonics 9, 1087
    (2020), eq. 4), up to fourth-order dispersion.
    """
    at = {order: k for k, order in enumerate(orders)}
    below, here, above = (omega[at[order]] for order in (-1, 0, 1))
    d1 = (above - below) / 2
    return Dispersion(d1, above - 2 * here + below, omega - here - d1 * jnp.asarray(orders, float))


def build_up(coupling: Any, kappa: Any, delay_s: Any) -> jax.Array:
    """Circulating over incident power on resonance in the limit of high finesse, 4 kappa_c/(kappa² delay).

    The transfer matrix gives (1 - t²)/(1 - t a)², which differs by O(1/finesse²).
    """
    return 4 * jnp.asarray(coupling) / (jnp.asarray(kappa) ** 2 * delay_s)
