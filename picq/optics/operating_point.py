"""A driven ring at its operating power: losses and shifts by its own light, solved together with the light.

Coupled modes; kappa are decay rates of *energy*, U is the energy inside, L the length, A the effective area::

    U = kappa_c P/((kappa(U)/2)² + (detuning - shift(U))²)     P_circ = U v_g/L,  I = P_circ/A,  n_p = U/(hbar w)
    kappa(U) = kappa + v_g (beta I + sigma N)                  pairs: + v_g (2 beta I + sigma N)
    shift(U) = - g0 n_p                                        pairs: - 2 g0 n_p;  g0 = hbar w gamma v_g²/L
               + w (8.8e-22 N + 8.5e-18 N^0.8)/n_g             N in 1/cm³;  N = tau beta I²/(2 hbar w)
               - w (dn/dT)/n_g R_th U (absorbed kappa_i + v_g (beta I + sigma N))

Detunings are the laser's, from the resonance without light (cold) or as it is (hot = cold - shift). Every U asks for
one power, U (...)/kappa_c. At a fixed hot detuning it rises with U: one steady state. At a fixed cold one it may rise,
fall and rise again, and of several states that of least energy is taken, which is reached where power is turned up from
zero. Intervals of U in which bounds say that the balance, or its slope, has no zero are marched over one by one, so
that no state is passed unseen.

Neglected: d n_eff/d n of the core (near 1.1 in silicon strips), spreading of carriers over the cross-section, what heat
and carriers change in the spacing of resonances, and time: silicon may pulsate where a steady state exists.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from scipy.constants import c as _C
from scipy.constants import hbar as _HBAR

from picq.errors import NumericsError, SpecError
from picq.optics.material import material
from picq.optics.root import implicit_root

_GHZ = 2e9 * np.pi  # in rad/s
_FREE = {"dn_dt_k", "detuning"}
_POSITIVE = {"omega", "kappa_c", "kappa", "n_g", "length_um", "a_eff_um2"}
_BISECTIONS = 56  # of the logarithm of U, to rounding
_NARROW = 1e-12  # intervals of U, over U, below which two states are one to rounding


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cavity:
    """A ring without light in it; leaves broadcast.

    Attributes:
        omega: resonance of the pump, rad/s.
        kappa_c: decay rate of the pump's energy into the guide that feeds it, rad/s.
        kappa_i: into all that is lost in the ring, rad/s.
        kappa: in total, rad/s; more than the sum of the two where there is another coupler.
        n_g: group index.
        length_um: of the ring, um.
        gamma_w_m: nonlinear coefficient w n2/(c A_eff), 1/(W m).
        a_eff_um2: effective area, um².
        thermal_k_mw: rise of the ring's temperature with the power absorbed in it, K/mW.
    """

    omega: Any
    kappa_c: Any
    kappa_i: Any
    kappa: Any
    n_g: Any
    length_um: Any
    gamma_w_m: Any
    a_eff_um2: Any
    thermal_k_mw: Any

    @property
    def v_g(self) -> Any:
        """Group velocity, m/s."""
        return _C / self.n_g

    @property
    def g0(self) -> Any:
        """Kerr shift by one photon, rad/s."""
        return _HBAR * self.omega * self.gamma_w_m * self.v_g**2 / (1e-6 * self.length_um)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Medium:
    """What the core does at high power; leaves broadcast.

    Attributes:
        tpa_m_w: two-photon absorption beta, m/W; zero: no carriers, and derivatives by it leave out the holes' shift.
        dn_dt_k: change of the mode's index with temperature, 1/K.
        fca_m2: absorption per pair of carriers, m²: 8.5e-18 + 6.0e-18 cm², Soref & Bennett, IEEE J. Quantum Electron.
            23, 123 (1987), at 1.55 um, as the next two.
        electrons: fall of the index per electron, cm³.
        holes: fall of the index per (holes per cm³)^0.8.
        lifetime_s: of the carriers, s; assumed.
        absorbed: share of ``kappa_i`` that heats the ring, the rest is scattered; assumed.
    """

    tpa_m_w: Any
    dn_dt_k: Any
    fca_m2: Any = 1.45e-21
    electrons: Any = 8.8e-22
    holes: Any = 8.5e-18
    lifetime_s: Any = 1e-9
    absorbed: Any = 0.2


SILICON = Medium(5e-12, material("Si").dn_dt_k)
"""beta: assumed; published z-scans at 1.54 um lie between 4.5e-12 (Tsang et al., Appl. Phys. Lett. 80, 416 (2002)) and
7.9e-12 m/W (Dinu, Quochi & Garcia, ibid. 82, 2954 (2003))."""
NITRIDE = Medium(0.0, material("SiN").dn_dt_k)


class Shifts(NamedTuple):
    """Shifts of a resonance by cause, rad/s: ``kerr`` and ``heat`` to the red, ``carriers`` to the blue."""

    kerr: jax.Array
    carriers: jax.Array
    heat: jax.Array

    @property
    def total(self) -> jax.Array:
        """Their sum, rad/s."""
        return self.kerr + self.carriers + self.heat


class OperatingPoint(NamedTuple):
    """Steady state of a driven ring; arrays of the arguments' common shape, rates and frequencies in rad/s.

    Attributes:
        u_j: energy inside, J.
        photons: of the pump inside.
        p_circ_w: circulating power, W.
        build_up: circulating over incident power; at zero power its limit.
        kappa_pump: decay rate of the pump's energy.
        added_pair: what two-photon and carrier absorption add to the decay rates of signal and idler.
        pump, pair: shifts of the pump's resonance, and of those of signal and idler.
        detuning_hot, detuning_cold: of the laser from the pump's resonance as it is, and without light.
        mismatch: w_s + w_i - 2 w_laser of resonances that lie evenly without light: 2 (pair - pump) - 2 detuning_hot =
            - 2 g0 n_p - 2 detuning_hot; dispersion adds its own. It is the Delta of the rate of pairs.
    """

    u_j: jax.Array
    photons: jax.Array
    p_circ_w: jax.Array
    build_up: jax.Array
    kappa_pump: jax.Array
    added_pair: jax.Array
    pump: Shifts
    pair: Shifts
    detuning_hot: jax.Array
    detuning_cold: jax.Array
    mismatch: jax.Array


def operate(
    cavity: Cavity, medium: Medium, power_w: Any, *, detuning_hot: Any = None, detuning_cold: Any = None
) -> OperatingPoint:
    """The steady state. Smooth in all arguments but where states appear or vanish; they broadcast.

    Args:
        cavity, medium: of the ring.
        power_w: in the guide at the coupler, W.
        detuning_hot: of a laser that is locked to the resonance as it is, rad/s; zero where neither is given.
        detuning_cold: of a laser that stays where it is, from the resonance without light, rad/s. Of several states
            the one of least energy.

    Raises:
        SpecError: a concrete number has the wrong sign or is no number (traced ones give NaN), or both detunings.
    """
    return _point(*_drive(cavity, medium, power_w, detuning_hot, detuning_cold))


def steady_states(cavity: Cavity, medium: Medium, power_w: Any, detuning_cold: Any) -> jax.Array:
    """Number of steady states at a fixed cold detuning, of the arguments' common shape: odd, above one where bistable.

    Two states whose energies agree to 1e-12 may count as none. Arguments and errors as those of ``operate``, but traced
    numbers that are not allowed give 0.
    """
    return _march(_drive(cavity, medium, power_w, None, detuning_cold))[0]


def opo_threshold_w(cavity: Cavity) -> jax.Array:
    """Power above which signal and idler oscillate, W: hbar w kappa³/(8 kappa_c g0).

    Pump on resonance, all three decay alike, neither mismatch nor losses by light.

    Raises:
        SpecError: a concrete number has the wrong sign or is no number.
    """
    _allowed(cavity)
    return _HBAR * cavity.omega * cavity.kappa**3 / jnp.asarray(8 * cavity.kappa_c * cavity.g0)


def bistability_w(cavity: Cavity, medium: Medium) -> jax.Array:
    """Power above which some cold detuning has three steady states, W; exact without two-photon absorption.

    With shift = -q U, y = 2 q U/kappa and d = -2 detuning/kappa the state obeys y (1 + (d - y)²) = F², where F² =
    8 q kappa_c P/kappa³. The slope, 1 + (d - y)(d - 3 y), has zeros from d = sqrt 3 on, the first at y = 2/sqrt 3: F² =
    8 sqrt 3/9. By heat alone it is the thermal bistability of Carmon, Yang & Vahala, Opt. Express 12, 4742 (2004).

    Raises:
        SpecError: a concrete number has the wrong sign or is no number.
    """
    _allowed(cavity, medium)
    kerr = cavity.g0 / (_HBAR * cavity.omega)
    heat = _kelvin_shift(cavity, medium) * medium.absorbed * cavity.kappa_i
    return 3**0.5 / 9 * cavity.kappa**3 / (cavity.kappa_c * jnp.abs(kerr + heat))


def check_operable(
    cavity: Cavity, medium: Medium, power_w: Any, *, detuning_hot: Any = None, detuning_cold: Any = None
) -> None:
    """Refuse what no source of pairs can be computed at. Arguments as those of ``operate``: one ring, concrete numbers.

    Raises:
        SpecError: as ``operate``.
        NumericsError: there are several steady states at this cold detuning; or 2 g0 n_p is not below the decay rate of
            signal and idler, cold that of the pump, which would oscillate if dispersion met the mismatch.
    """
    point = operate(cavity, medium, power_w, detuning_hot=detuning_hot, detuning_cold=detuning_cold)
    given = f"{1e3 * float(power_w):.6g} mW, laser {float(point.detuning_cold) / _GHZ:.6g} GHz from the cold resonance"
    states = 1 if detuning_cold is None else int(steady_states(cavity, medium, power_w, detuning_cold))
    if states != 1:
        raise NumericsError(
            f"the ring is in the bistable region: {states} steady states",
            got=given,
            allowed=f"one; without carriers that is at any detuning up to {1e3 * bistability_w(cavity, medium):.6g} mW",
            remedy="lower the power, tune the laser further away, or lock it to the resonance (detuning_hot)",
        )
    gain, loss = float(2 * cavity.g0 * point.photons), float(cavity.kappa + point.added_pair)
    if gain >= loss:
        raise NumericsError(
            "power above OPO threshold: signal and idler may oscillate",
            got=f"{given}: 2 g0 n_p = 2 pi {gain / _GHZ:.6g} GHz",
            allowed=f"less than the pairs decay by, 2 pi {loss / _GHZ:.6g} GHz; without losses by light and on "
            f"resonance: below {1e3 * opo_threshold_w(cavity):.6g} mW",
            remedy="lower the power, or couple the ring more strongly",
        )


class _Drive(NamedTuple):
    cavity: Cavity
    medium: Medium
    power: Any
    detuning: Any
    feedback: Any  # 1 where shifts change the detuning, 0 where the laser follows them


def _drive(cavity: Cavity, medium: Medium, power: Any, hot: Any, cold: Any) -> _Drive:
    """Arguments as arrays of floats; a traced drive that is not allowed gets a power that is no number."""
    if hot is not None and cold is not None:
        raise SpecError("two detunings are given", allowed="detuning_hot or detuning_cold")
    detuning = next((given for given in (hot, cold) if given is not None), 0.0)
    power = jnp.where(_allowed(cavity, medium, power_w=power, detuning=detuning), power, jnp.nan)
    floats = lambda leaf: jnp.asarray(leaf, float)
    return jax.tree.map(floats, _Drive(cavity, medium, power, detuning, cold is not None))


def _allowed(cavity: Cavity, medium: Medium | None = None, **named: Any) -> Any:
    """Whether all numbers are; concrete ones that are not are an error."""
    named |= vars(cavity)
    named["kappa - kappa_c - kappa_i"] = cavity.kappa - (cavity.kappa_c + cavity.kappa_i) * (1 - 1e-12)  # rounding
    if medium is not None:
        named |= vars(medium)
        named["1 - absorbed"] = 1 - medium.absorbed
    allowed = True
    for name, value in named.items():
        free, positive, xp = name in _FREE, name in _POSITIVE, jnp if isinstance(value, Tracer) else np
        good = xp.isfinite(value) & (free | (value > 0 if positive else value >= 0))
        if xp is np and not np.all(good):
            bound = "" if free else ", above zero" if positive else ", not below zero"
            raise SpecError(f"{name} is out of bounds", got=value, allowed=f"finite{bound}")
        allowed = allowed & good
    return allowed


@jax.jit
def _point(*drive: Any) -> OperatingPoint:
    cavity, medium, _, detuning, feedback = drive = _Drive(*drive)
    u = implicit_root(_balance, _lowest, drive)
    response = _response(u, cavity, medium)
    pump, photons = Shifts(*response[1:]), u / (_HBAR * cavity.omega)
    pair = pump._replace(kerr=2 * pump.kerr)
    hot = detuning - feedback * pump.total
    per_joule = cavity.v_g / (1e-6 * cavity.length_um)
    point = OperatingPoint(
        u_j=u,
        photons=photons,
        p_circ_w=u * per_joule,
        build_up=cavity.kappa_c * per_joule / ((response[0] / 2) ** 2 + hot**2),
        kappa_pump=response[0],
        added_pair=response[0] - cavity.kappa + cavity.v_g * medium.tpa_m_w * _intensity(u, cavity),
        pump=pump,
        pair=pair,
        detuning_hot=hot,
        detuning_cold=hot + pump.total,
        mismatch=2 * (pair.total - pump.total) - 2 * hot,
    )
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, u.shape), point)


def _intensity(u: Any, cavity: Cavity) -> Any:
    return u * cavity.v_g / (1e-6 * cavity.length_um) / (1e-12 * cavity.a_eff_um2)


def _kelvin_shift(cavity: Cavity, medium: Medium) -> Any:
    """Red shift per absorbed power, rad/s/W."""
    return cavity.omega * medium.dn_dt_k / cavity.n_g * 1e3 * cavity.thermal_k_mw


def _response(u: Any, cavity: Cavity, medium: Medium) -> jax.Array:
    """Decay rate of the pump and its three shifts, rad/s: [4, ...]. Each, and its slope, only rises or only falls."""
    intensity = _intensity(u, cavity)
    carriers = medium.lifetime_s * medium.tpa_m_w * intensity**2 / (2 * _HBAR * cavity.omega)
    some = carriers > 0  # else the derivative by u, which vanishes, would be 0 times infinity
    holes = jnp.where(some, jnp.asarray(jnp.where(some, 1e-6 * carriers, 1.0)) ** 0.8, 0.0)
    added = cavity.v_g * (medium.tpa_m_w * intensity + medium.fca_m2 * carriers)
    kerr = -cavity.g0 * u / (_HBAR * cavity.omega)
    blue = cavity.omega / cavity.n_g * (medium.electrons * 1e-6 * carriers + medium.holes * holes)
    heat = -_kelvin_shift(cavity, medium) * u * (medium.absorbed * cavity.kappa_i + added)
    return jnp.stack(jnp.broadcast_arrays(cavity.kappa + added, kerr, blue, heat))


def _balance(u: Any, drive: _Drive) -> jax.Array:
    """Power that U asks for less the power there is, times kappa_c."""
    cavity, medium, power, detuning, feedback = drive
    response = _response(u, cavity, medium)
    return u * (response[0] ** 2 / 4 + (detuning - feedback * response[1:].sum(0)) ** 2) - cavity.kappa_c * power


def _lowest(drive: _Drive) -> jax.Array:
    """The least U that asks for the power there is."""
    _, low, high = _march(drive)

    def halve(_: Any, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        middle = jnp.sqrt(ends[0]) * jnp.sqrt(ends[1])
        short = _balance(middle, drive) < 0
        return jnp.where(short, middle, ends[0]), jnp.where(short, ends[1], middle)

    return jax.lax.fori_loop(0, _BISECTIONS, halve, (low, high))[1]


@jax.jit
def _march(drive: _Drive) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Number of states, and an interval that holds the lowest one and no other."""
    needed = drive.cavity.kappa_c * drive.power
    # on resonance and without losses by light no ring holds more, and none holds less than at the worst of both;
    # without power the start is no number, and there is nothing to march over
    end = 4 * needed / drive.cavity.kappa**2 * (1 + 1e-9)
    end = jnp.broadcast_arrays(end, *jax.tree.leaves(drive))[0]
    start = 0.5 * end * needed / (_bounds(jnp.zeros_like(end), end, drive)[1] + needed)

    def step(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        at, width, count, low, high = state
        to = jnp.minimum(at + width, end)
        least, most, slope_least, slope_most = _bounds(at, to, drive)
        plain = (least > 0) | (most < 0) | (slope_least > 0) | (slope_most < 0) | (width <= _NARROW * to)
        plain &= at < end
        crossed = plain & ((_balance(at, drive) < 0) != (_balance(to, drive) < 0))
        first = crossed & (count == 0)
        return (
            jnp.where(plain, to, at),
            jnp.where(plain, 2 * width, width / 2),
            count + crossed,
            jnp.where(first, at, low),
            jnp.where(first, to, high),
        )

    none = jnp.zeros(end.shape, int)
    found = jax.lax.while_loop(lambda s: jnp.any(s[0] < end), step, (start, end - start, none, end, end))
    return found[2], found[3], found[4]


def _bounds(a: jax.Array, b: jax.Array, drive: _Drive) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Bounds of the balance and of its slope between two U: lower, upper, lower, upper."""
    cavity, medium, power, detuning, feedback = drive
    ends = [jax.jvp(lambda u: _response(u, cavity, medium), (u,), (jnp.ones_like(u),)) for u in (a, b)]
    (low, slope_low), (high, slope_high) = (jax.tree.map(choose, *ends) for choose in (jnp.minimum, jnp.maximum))
    d_least, d_most = detuning - feedback * high[1:].sum(0), detuning - feedback * low[1:].sum(0)
    s_least, s_most = (feedback * slope[1:].sum(0) for slope in (slope_low, slope_high))
    square_most = jnp.maximum(d_least**2, d_most**2)
    square_least = jnp.where(d_least * d_most > 0, jnp.minimum(d_least**2, d_most**2), 0.0)
    turns = jnp.stack([2 * u * d * s for u in (a, b) for d in (d_least, d_most) for s in (s_least, s_most)])
    needed = cavity.kappa_c * power
    return (
        a * (low[0] ** 2 / 4 + square_least) - needed,
        b * (high[0] ** 2 / 4 + square_most) - needed,
        low[0] ** 2 / 4 + square_least + a * low[0] * slope_low[0] / 2 - turns.max(0),
        high[0] ** 2 / 4 + square_most + b * high[0] * slope_high[0] / 2 - turns.min(0),
    )
