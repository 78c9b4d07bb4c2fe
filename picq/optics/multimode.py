"""Broad guides by their lateral modes: the equivalent side wall, multimode interference, diffraction at a crossing.

Lateral mode m of a broad guide is its film's te mode bouncing between the side walls: n_m² = n_film² - rho (q/k)², with
the lateral wave number q from transverse resonance q W = m pi + 2 psi(q). The phase psi of one reflection is a property
of the wall alone, so te0's own index at two widths gives it for all modes: with tan(psi) = r sqrt(v² - q²)/q, the
quantity (q tan(q w/2))² = r² (v² - q²) of te0 at width w is linear in q². A wall of that form is that of a three-layer
slab (Yariv & Yeh, Photonics, 6th ed., sect. 3.2, TM), whose modes are orthogonal with weight 1 inside and r outside.

Neglected: reflections, higher modes of the film, and conversion between te and tm at the walls. Against full-vector
modes n_m is off by less than 1e-4 on silicon and nitride strips; on ribs of lithium niobate, where te and tm lie close,
by up to 1e-3 where two of them cross (tests/test_multimode.py).
"""

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.errors import SpecError
from picq.optics.profile import principal_indices
from picq.optics.root import implicit_root

if TYPE_CHECKING:
    from picq.technology import Technology

_MODES = 24  # lateral modes of a section: its access guides excite hardly more down to 1/WIDEST of its width
WIDEST = 8.0
"""Largest width of a section of ``split`` and ``couple``, in widths of its access guides."""
_STEPS = 5  # of Newton's method: the hard-wall solution is good to some per cent
_CROSS_MODES = 12
CROSS_WIDEST = 4.5
"""The same of ``cross``: half a per cent of the power, which narrower access guides exceed."""
_ANGLES, _WEIGHTS = np.polynomial.legendre.leggauss(64)  # enough for 120 rad of phase between them


class Wall(NamedTuple):
    """Film and side wall as te light sees them; leaves broadcast with wavelength.

    Attributes:
        k: 2 pi / wl, 1/um.
        n_film: effective index of the film without walls.
        rho: eps_x / eps_z of the film, 1 where it is isotropic.
        r: weight of the field outside, relative to inside.
        v: lateral wave number at which a mode is cut off, 1/um.
    """

    k: Any
    n_film: Any
    rho: Any
    r: Any
    v: Any

    @property
    def depth(self) -> Any:
        """How far, um, light of grazing incidence reaches into the wall."""
        return 1 / (self.r * self.v)

    @property
    def spread(self) -> "Wall":
        """The wall with a new last axis on every leaf that has one, for modes or for places along a guide."""
        return Wall(*(leaf[..., None] if jnp.ndim(leaf) else leaf for leaf in self))


class Lateral(NamedTuple):
    """Lateral modes of one width: cos(q x - m pi/2) inside, exp(-g |x|) outside, times ``scale``.

    Attributes:
        order: m.
        width: um.
        q, g: lateral wave number and decay, 1/um; g = 0 where cut off.
        edge: cos(psi) and sin(psi): the phase at the right wall.
        beta: propagation constant, 1/um.
        scale: of unit norm with the wall's weights, 1/sqrt(um); 0 where the mode is cut off.
    """

    order: Any
    width: Any
    q: Any
    g: Any
    edge: tuple[Any, Any]
    beta: Any
    scale: Any


def side_wall(tech: "Technology", cross_section: str, wl: Any) -> Wall:
    """The equivalent wall of a technology's guide, from te0 at its own width and twice that; leaves of shape [wl].

    Args:
        tech: as one place sees it.
        cross_section: its name.
        wl: wavelengths, um, shape [wl].
    """
    ambient_k = tech.temperature_k + tech.process.temperature_k

    def at(wl: jax.Array) -> Wall:
        k, n_film = 2 * jnp.pi / wl, tech.slab_index(cross_section, wl)
        across, _, along = principal_indices(tech.platform.film.core, wl, ambient_k)
        rho = (across / along) ** 2
        squares, values = [], []
        for drawn in (tech.cross_section(cross_section).width, 2 * tech.cross_section(cross_section).width):
            width = drawn + 1e-3 * tech.process.width_nm
            square = k**2 * (n_film**2 - tech.n_eff(cross_section, wl, drawn) ** 2) / rho
            q = jnp.sqrt(square)
            squares.append(square)
            values.append((q * jnp.tan(q * width / 2)) ** 2)
        r2 = (values[1] - values[0]) / (squares[0] - squares[1])
        return Wall(k, n_film, rho, jnp.sqrt(r2), jnp.sqrt(squares[0] + values[0] / r2))

    return tech.over_wavelengths(cross_section, wl, at)


def lateral_modes(wall: Wall, width: Any, order: Any) -> Lateral:
    """Lateral modes of a guide; arguments and the wall's leaves broadcast.

    Cut off, q = v and the scale is zero.
    """
    order, width = np.asarray(order), jnp.asarray(width, float)
    guided = wall.v * width > order * jnp.pi
    u = _half_angle(wall.v, wall.r, width, order.astype(float))
    q = jnp.where(guided, wall.v * 2 * u / (1 + u**2), wall.v)
    cos = (1 - u**2) / (1 + u**2)
    g, safe = jnp.where(guided, wall.v * cos, 0.0), jnp.where(guided, wall.v * cos, 1.0)
    root = jnp.sqrt(q**2 + (wall.r * g) ** 2)
    scale = jnp.where(guided, 1 / jnp.sqrt(width / 2 + wall.r * wall.v**2 / (safe * root**2)), 0.0)
    beta = jnp.sqrt((wall.k * wall.n_film) ** 2 - wall.rho * q**2)
    return Lateral(order, width, q, g, (q / root, wall.r * g / root), beta, scale)


@jax.jit
def _half_angle(v: Any, r: Any, width: Any, order: Any) -> jax.Array:
    """u = tan(t/2) of q = v sin(t), by Newton's method from the hard-wall solution."""
    return implicit_root(_resonance, _by_newton, (v, r, width, order))


def _resonance(u: Any, args: Any) -> jax.Array:
    """v W sin(t) - m pi - 2 atan2(r cos(t), sin(t)), which rises with u; zero at the mode."""
    v, r, width, order = args
    sin, cos = 2 * u / (1 + u**2), (1 - u**2) / (1 + u**2)
    return v * width * sin - order * jnp.pi - 2 * jnp.arctan2(r * cos, sin)


def _by_newton(args: Any) -> jax.Array:
    v, r, width, order = args

    def step(_: Any, u: jax.Array) -> jax.Array:
        value, slope = jax.jvp(lambda u: _resonance(u, args), (u,), (jnp.ones_like(u),))
        return jnp.clip(u - value / slope, 0.0, 1.0)

    sin = jnp.minimum((order + 1) * jnp.pi / (width + 2 / (r * v)) / v, 1.0)
    u = jax.lax.fori_loop(0, _STEPS, step, sin / (1 + jnp.sqrt(1 - sin**2)))
    return jnp.asarray(jnp.where(v * width > order * jnp.pi, u, 0.5))  # cut off: any harmless point


def check_breadth(device: str, width: float, access_width: float, widest: float) -> None:
    """Raise SpecError where a section has more modes than its model counts (``WIDEST``, ``CROSS_WIDEST``)."""
    if width > widest * access_width + 1e-9:
        raise SpecError(
            f"{device}: the section is too broad for its access guides: more modes than the model counts",
            got=f"width_mmi {width:g} um, width_taper {access_width:g} um",
            allowed=f"width_mmi <= {widest:g} width_taper",
            remedy="raise width_taper or lower width_mmi",
        )


@jax.jit
def split(wall: Wall, length: Any, width: Any, pitch: Any, access_width: Any) -> jax.Array:
    """Amplitude from one central access guide to each of two, ``pitch`` apart, across a multimode section; shape [wl].

    Args:
        wall: of the guides, leaves of shape [wl].
        length, width: of the section, um.
        pitch: distance of the two centres, um; the access guides lie within the section.
        access_width: of each access guide, um.
    """
    modes, access = _section(wall, width, access_width, range(0, _MODES, 2))
    one, two = _single(wall, modes, access), _pair(wall, modes, access, pitch / 2, 1.0)
    return jnp.sum(one * two * jnp.exp(1j * modes.beta * length), axis=-1) / jnp.sqrt(2.0)


@partial(jax.jit, static_argnames=("count",))
def image(wall: Wall, length: Any, width: Any, access_width: Any, count: int = 6) -> jax.Array:
    """Amplitudes [wl, mode] of the first even modes at the end of a section behind one central access guide, as cosines
    that are positive in the middle, without the phase of the fundamental mode.

    Args:
        wall: of the guides, leaves of shape [wl].
        length, width: of the section, um.
        access_width: of the access guide, um.
        count: of modes.
    """
    modes, access = _section(wall, width, access_width, range(0, 2 * count, 2))
    signs = jnp.where(modes.order % 4 == 0, 1.0, -1.0)  # cos(q x - m pi/2) in the middle
    return signs * _single(wall, modes, access) * jnp.exp(1j * (modes.beta - modes.beta[..., :1]) * length)


@jax.jit
def couple(wall: Wall, length: Any, width: Any, pitch: Any, access_width: Any) -> tuple[jax.Array, jax.Array]:
    """(bar, cross) amplitudes of a section with two access guides on each side, arguments as of ``split``.

    The even and the odd supermode of the access guides go through on their own; projecting orthonormal fields on
    orthonormal modes keeps the device passive (Bessel's inequality) however close the guides are.
    """
    through = []
    for parity, sign in ((0, 1.0), (1, -1.0)):
        modes, access = _section(wall, width, access_width, range(parity, _MODES, 2))
        two = _pair(wall, modes, access, pitch / 2, sign)
        through.append(jnp.sum(two**2 * jnp.exp(1j * modes.beta * length), axis=-1))
    return (through[0] + through[1]) / 2, (through[0] - through[1]) / 2


@jax.jit
def cross(wall: Wall, length: Any, width: Any, access_width: Any) -> jax.Array:
    """Amplitude straight on through two equal sections that cross at right angles in their middle; shape [wl].

    The symmetric modes that a central access guide excites interfere along the section, cross the other section's width
    without walls, and interfere again. Without walls the light is a spectrum of plane waves of the film (Goodman,
    Fourier Optics, sect. 3.10); there the section's modes count as cosines between hard walls at its effective width.
    What would not propagate is lost.

    Args:
        wall: of the guides, leaves of shape [wl].
        length, width: of each whole section, um.
        access_width: of the access guides, um.
    """
    modes, access = _section(wall, width, access_width, range(0, _CROSS_MODES, 2))
    signs = jnp.where(modes.order % 4 == 0, 1.0, -1.0)  # cos(q x - m pi/2) in the middle
    start = signs * _single(wall, modes, access) * jnp.exp(1j * modes.beta * (length - width) / 2)
    hard = (width + 2 * wall.depth)[..., None, None]
    q = (modes.order + 1)[:, None] * jnp.pi / hard
    theta, weight = (jnp.asarray(_ANGLES) + 1) * jnp.pi / 4, jnp.asarray(_WEIGHTS) * jnp.pi / 4
    top = (wall.k * wall.n_film / jnp.sqrt(wall.rho))[..., None]
    s = (top * jnp.sin(theta))[..., None, :]
    spectrum = jnp.sqrt(2 / hard) * cosine_transform(q, s, hard)  # [wl, mode, angle]
    amplitude = jnp.sum(start[..., None] * spectrum, axis=-2)
    onward = jnp.exp(1j * (wall.k * wall.n_film * width)[..., None] * jnp.cos(theta))
    return jnp.sum(amplitude**2 * onward * jnp.cos(theta) * weight * top, axis=-1) / jnp.pi


def _section(wall: Wall, width: Any, access_width: Any, orders: range) -> tuple[Lateral, Lateral]:
    """The section's modes, and the access guide's te0; leaves [wl, modes] and [wl, 1]."""
    widths = jnp.stack([jnp.asarray(width, float)] * len(orders) + [jnp.asarray(access_width, float)])
    both = lateral_modes(wall.spread, widths, np.array([*orders, 0]))
    return jax.tree.map(lambda leaf: leaf[..., :-1], both), jax.tree.map(lambda leaf: leaf[..., -1:], both)


def cosine_transform(q: Any, p: Any, width: Any) -> jax.Array:
    """∫ cos(q x) cos(p x) dx over |x| < width/2."""
    half = width / 2
    return half * (jnp.sinc((q - p) * half / jnp.pi) + jnp.sinc((q + p) * half / jnp.pi))


def _overlap(wall: Wall, modes: Lateral, access: Lateral, centre: Any) -> jax.Array:
    """∫ weight phi_m f dx of the section's modes and an access guide's te0 of unit height around ``centre``.

    A junction joins two weights. The reciprocal overlap takes their mean, so within the section, beside the access
    guide, its field counts (1 + r)/2 times; it is then normed as it counts, which keeps the projection passive.
    """
    q, g, p, h, r = modes.q, modes.g, access.q, access.g, wall.spread.r
    half, turn = access.width / 2, np.exp(-0.5j * np.pi * modes.order)
    fade_right = jnp.exp(-h * (modes.width / 2 - centre - half))
    fade_left = jnp.exp(-h * (modes.width / 2 + centre - half)) * (-1.0) ** modes.order
    middle, aside = jnp.exp(1j * q * centre) * turn, jnp.exp(1j * q * half)
    wall_wave = modes.edge[0] + 1j * modes.edge[1]
    inside = middle.real * cosine_transform(q, p, access.width)
    above = (middle * aside - fade_right * wall_wave) / (h - 1j * q)
    below = (middle * aside.conj() - fade_left * wall_wave.conj()) / (h + 1j * q)
    outside = r * modes.edge[0] * (fade_right + fade_left) / (g + h)
    return modes.scale * (inside + access.edge[0] * ((1 + r) / 2 * (above.real + below.real) + outside))


def _norm(wall: Wall, width: Any, access: Lateral, centre: Any, sign: Any) -> jax.Array:
    """∫ weight f (f + sign f') dx of an access guide's te0 of unit height and its mirror image f' at -centre."""
    p, h, a, r, edge = access.q, access.g, access.width, wall.spread.r, access.edge[0]
    beside = (1 + r) / 2

    def tail(reach: Any) -> Any:
        rest = jnp.exp(-2 * h * reach)
        return edge**2 / (2 * h) * ((1 - rest) * beside**2 + rest * r)

    right, left = width / 2 - centre - a / 2, width / 2 + centre - a / 2
    own = a / 2 + edge * access.edge[1] / p + tail(right) + tail(left)
    core = 2 / (p**2 + h**2) * (h * edge * jnp.sinh(h * a / 2) + p * access.edge[1] * jnp.cosh(h * a / 2))
    between = (beside * edge) ** 2 * jnp.exp(-h * (2 * centre - a)) * (2 * centre - a)
    other = 2 * beside * edge * core * jnp.exp(-h * (2 * centre - a / 2)) + between
    return own + sign * (other + 2 * jnp.exp(-2 * h * centre) * tail(right))


def _single(wall: Wall, modes: Lateral, access: Lateral) -> jax.Array:
    """Amplitudes of the section's modes in the te0, of unit norm, of one access guide in the middle."""
    return _overlap(wall, modes, access, 0.0) / jnp.sqrt(_norm(wall, modes.width, access, 0.0, 0.0))


def _pair(wall: Wall, modes: Lateral, access: Lateral, centre: Any, sign: float) -> jax.Array:
    """Amplitudes of the section's modes in the access guides' supermode of that sign, of unit norm."""
    norm = _norm(wall, modes.width, access, centre, sign)
    return jnp.sqrt(2.0) * _overlap(wall, modes, access, centre) / jnp.sqrt(norm)
