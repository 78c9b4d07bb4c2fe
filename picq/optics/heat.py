"""Heat of a filament above a waveguide: how warm the guide becomes, and its neighbours.

The layers above the substrate carry the heat down within a few um, so theirs is a two-dimensional solution over a
sink at the bottom of the buried oxide (``near``); the substrate then spreads it over hundreds of um, in closed form
(``substrate_rise``). The air above counts as insulating: convection of 10 W/(m² K) from 10 um carries 1e-4 W/(m K),
the oxide below a filament about 3. Left out: heat that contacts and wires carry off along the filament.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from picq.optics.material import material
from picq.optics.mesh import Mesh, mesh
from picq.optics.modes import extrapolated
from picq.optics.potential import in_order, potential
from picq.optics.stack import Stack

if TYPE_CHECKING:
    from picq.technology import Technology

LEVELS = (2, 4)
"""Mesh levels of the Richardson pair."""
REACH = 5.0
"""Distance, in heights above the sink, up to which ``near`` is fitted: 4e-4 of it is left there, exp(-pi REACH/2)."""
DEGREE = 24
"""Of the series of ln(near) in the distance."""
_UNIT = 1e3  # K um/mW in one K m/W
_CELLS = 8  # of a brick at level 1
_MEANS = 6  # of the arithmetic-geometric mean: double precision down to arguments of 1e-4
_IMAGES = 40  # of the substrate's alternating series, its end smoothed twice: error of third order in 1/40


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class HeaterStack:
    """A filament centred above a guide; lengths in um, thermal conductivities in W/(m K).

    ::

                 ▒▒▒▒▒▒ filament           under a cover, or bare on the cladding with air beside it
        ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
                                     height
                  ______
        __slab___| core |___slab__   film
        ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
                   box
        ============================ sink, or substrate

    Attributes:
        core, film: width of the guide and thickness of its film.
        slab, slab_width: film left beside it and its whole width; None for a strip.
        box: thickness of the oxide below.
        height: from the top of the film to the filament.
        filament, metal: its width and thickness.
        cover: cladding above the filament; None where it lies bare.
        k_core, k_cladding, k_box, k_metal, k_substrate, k_air: conductivities.
        substrate: its thickness; its lower side is held at the chip's temperature.
    """

    core: Any
    film: Any
    slab: Any
    slab_width: Any
    box: Any
    height: Any
    filament: Any
    metal: Any
    cover: Any
    k_core: Any
    k_cladding: Any
    k_box: Any
    k_metal: Any
    k_substrate: Any
    substrate: Any
    k_air: Any = field(default_factory=lambda: material("air").thermal_w_mk)

    @classmethod
    def of(cls, tech: "Technology", cross_section: str) -> "HeaterStack":
        """The nominal heater of a technology above one of its guides; claddings count as flat."""
        data, stack, xs = tech.platform.stack, Stack.of(tech.platform.stack), tech.cross_section(cross_section)
        heater = data["heater"]
        beside = [s.width for s in xs.sections if s.layer == "slab"]
        film, above = stack.thickness, float(data["cladding"]["thickness_um"])
        cover = above - heater["height_um"] - heater["thickness_um"]
        core = stack.core[1] if isinstance(stack.core, tuple) else stack.core
        conductivity = lambda name: material(str(name)).thermal_w_mk
        return cls(
            core=xs.width,
            film=film,
            slab=stack.slab if beside else None,
            slab_width=beside[0] if beside else None,
            box=float(data["box"]["thickness_um"]),
            height=float(heater["height_um"]),
            filament=float(tech.data["heater"]["width_um"]),
            metal=float(heater["thickness_um"]),
            cover=cover if cover > 0 else None,
            k_core=conductivity(core),
            k_cladding=conductivity(stack.cladding),
            k_box=conductivity(stack.box),
            k_metal=conductivity(heater["material"]),
            k_substrate=conductivity(data["substrate"]["material"]),
            substrate=float(tech.data["heater"]["substrate_um"]),
        )

    @property
    def sink_height(self) -> Any:
        """From the sink to the lower side of the filament, um: the thickness that sets how far the heat goes."""
        return self.box + self.film + self.height

    @property
    def spread(self) -> Any:
        """Heights of filament and guide above the substrate, um: over how much its surface averages
        (``substrate_rise``)."""
        return self.sink_height + self.box + self.film / 2


def near(stack: HeaterStack, distance: Any, levels: tuple[int, ...] = LEVELS) -> jax.Array:
    """Rise of a guide at lateral distances, K um/mW (K per mW of heat in each um of filament), over a sink below the
    box.

    The mean over the guide's core. The heated guide's own film is in the solution; that of the neighbour is not, which
    is exact in the limit of a thin core, and for a rib by as much as its slab spreads the heat.

    Args:
        stack: the layers.
        distance: between the filament's centre and the guide's, um, shape [n].
        levels: two mesh levels for an extrapolated value, or one.

    Returns:
        Shape [n].
    """
    return extrapolated([_near(stack, jnp.abs(jnp.asarray(distance, float)), level) for level in levels], levels)


@partial(jax.jit, static_argnames=("level",))
def _near(stack: HeaterStack, distance: jax.Array, level: int) -> jax.Array:
    grid, c, inside = heater_mesh(stack, level)
    sink = np.zeros(grid.x.shape, bool)
    sink[:, 0] = True
    phi = potential(grid, (c, c), sink, 0.0, jnp.where(inside, _UNIT / (stack.filament * stack.metal), 0.0))
    rows = jnp.where((grid.y >= 0) & (grid.y <= stack.film + 1e-9), 1.0, 0.0)  # nodes of the film, trapezoids between
    pairs = rows[1:] * rows[:-1] * jnp.diff(grid.y)
    along = (phi[:, 1:] + phi[:, :-1]) @ pairs / 2 / jnp.sum(pairs)
    x = grid.x[:, 0]
    total = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.diff(x) * (along[1:] + along[:-1]) / 2)])
    integral = lambda at: jnp.sign(at) * _hermite(jnp.abs(at), x, total, along)
    return (integral(distance + stack.core / 2) - integral(distance - stack.core / 2)) / stack.core


def _hermite(at: jax.Array, x: jax.Array, values: jax.Array, slopes: jax.Array) -> jax.Array:
    """The piecewise cubic with these values and slopes: an integral between nodes without kinks."""
    i = jnp.clip(jnp.searchsorted(x, at) - 1, 0, x.size - 2)
    h = x[i + 1] - x[i]
    t = (at - x[i]) / h
    rise = values[i + 1] - values[i]
    a, b = h * slopes[i] - rise, rise - h * slopes[i + 1]
    return values[i] + t * rise + t * (1 - t) * (a * (1 - t) + b * t)


def heater_mesh(stack: HeaterStack, level: int) -> tuple[Mesh, jax.Array, jax.Array]:
    """(mesh of the right half, conductivity of each cell, which cells are filament)."""
    bare = stack.cover is None
    film = [] if stack.slab is None else [stack.slab]
    rows = [-stack.box, 0.0, *film, stack.film, stack.film + stack.height, stack.film + stack.height + stack.metal]
    rows += [] if bare else [rows[-1] + stack.cover]
    sides = [stack.core / 2, stack.filament / 2] + ([] if stack.slab is None else [stack.slab_width / 2])
    end = (REACH + 2) * stack.sink_height + stack.core
    edges = in_order(0.0, *sides, stack.sink_height, end)
    y = in_order(*rows)
    counts = [_CELLS * level] * (len(rows) - 1)
    columns = [_CELLS * level // 2] * (len(edges) - 2) + [3 * _CELLS * level]
    outer = (False, True, False, False)
    grid = mesh(jnp.tile(edges[:, None], (1, len(rows))), y, tuple(columns), tuple(counts), outer)
    x, h = grid.centre
    inside = (h > rows[-2 if bare else -3]) & (h < rows[-1 if bare else -2])
    c = jnp.where(h < 0, stack.k_box, stack.k_cladding)
    c = jnp.where((h > 0) & (h < stack.film) & (x < stack.core / 2), stack.k_core, c)
    if stack.slab is not None:
        c = jnp.where((h > 0) & (h < stack.slab) & (x < stack.slab_width / 2), stack.k_core, c)
    c = jnp.where(inside, stack.k_air, c) if bare else c
    inside = inside & (x < stack.filament / 2)
    return grid, jnp.where(inside, stack.k_metal, c), inside


def substrate_rise(
    distance: Any, length: Any, spread: Any, thickness: Any, k_substrate: Any, guide: tuple[Any, Any] | None = None
) -> jax.Array:
    """Rise of a guide that a heated strip parallel to it causes through the substrate, K um/mW: its integral along the
    guide over the strip's power, so for a guide as long as the strip the mean rise times the length over the power.

    Integral of the half-space solution 1/(2 pi k r) (Carslaw & Jaeger, Conduction of Heat in Solids, 2nd ed., chap. 10)
    of a line of ``length`` L, with images for the substrate's lower side, which is held at the chip's temperature. Over
    a guide from a to b: (F(b) - F(a) - F(b - L) + F(a - L))/(2 pi k L), F(u) = u asinh(u/r) - sqrt(u² + r²) + r.
    r is taken as sqrt(distance² + spread²): for a filament and a guide at heights h and y above a conductor, both in
    one medium, the substrate's surface averages log r with weight (h + y)/(x² + (h + y)²)/pi, which is exactly that.
    In the limit of long lines and no spread: ln(coth(pi d/4t))/(pi k).

    Args:
        distance: lateral, um, any shape; the other lengths broadcast against it.
        length: of the strip, um.
        spread: see ``HeaterStack.spread``, um.
        thickness: of the substrate, um.
        k_substrate: its conductivity, W/(m K).
        guide: (start, end) of the guide along its axis, um from the strip's start; None: as long as the strip and
            beside it.

    Returns:
        Of the shape that distance, length and the ends of the guide broadcast to.
    """
    n = jnp.arange(_IMAGES + 1)
    squared = jnp.asarray(distance)[..., None] ** 2 + jnp.asarray(spread) ** 2
    r = jnp.sqrt(squared + (2 * n * thickness) ** 2)
    # F(u)/u; with F(0) = 0, or what is left of far images would be lost in their r
    ratio = lambda u: jnp.arcsinh(u / r) - u / (jnp.sqrt(r**2 + u**2) + r)
    along = jnp.asarray(length)[..., None]
    if guide is None:
        each = ratio(along)
    else:
        start, end = (jnp.asarray(at)[..., None] for at in guide)
        ends = ((1, end), (-1, start), (-1, end - along), (1, start - along))
        each = sum(sign * u * ratio(u) for sign, u in ends) / (2 * along)
    return _UNIT * each @ _image_weights(n) / (jnp.pi * k_substrate)


def substrate_rise_ring(perimeter: Any, spread: Any, thickness: Any, k_substrate: Any) -> jax.Array:
    """The same of a filament that follows a part of a ring, for the whole ring: K um/mW, of perimeter's shape.

    Every place of the filament sees the ring at chords 2 R sin(angle/2), whatever its own place, so that the filament's
    length does not matter: ∫ 1/(2 pi k r) around the ring is 2 R K(m)/(pi k sqrt(4 R² + r²)) with m = 4 R²/(4 R² + r²),
    r as in ``substrate_rise``, and K the complete elliptic integral (DLMF 19.2.8), from the arithmetic-geometric mean.

    Args:
        perimeter: of the ring, um; of a racetrack it is taken as that of a circle.
        spread, thickness, k_substrate: as in ``substrate_rise``.
    """
    n = jnp.arange(_IMAGES + 1)
    r2 = jnp.asarray(spread) ** 2 + (2 * n * thickness) ** 2
    across = (jnp.asarray(perimeter)[..., None] / jnp.pi) ** 2
    mean, root = jnp.ones_like(across + r2), jnp.sqrt(r2 / (across + r2))
    for _ in range(_MEANS):
        mean, root = (mean + root) / 2, jnp.sqrt(mean * root)
    each = jnp.sqrt(across / (across + r2)) / mean  # (2/pi) K and the chord's factor
    return _UNIT * each @ _image_weights(n) / (2 * k_substrate)


def _image_weights(n: jax.Array) -> jax.Array:
    """Of the alternating series of images in the substrate's lower side."""
    return jnp.where(n % 2, -2.0, 2.0).at[0].set(1.0).at[-2].multiply(0.75).at[-1].multiply(0.25)


def bake_heater(tech: "Technology", levels: tuple[int, ...] = LEVELS) -> dict[str, Any]:
    """What ``phase_shifter`` needs of the heater above each guide of a technology, solved from its stack.

    Returns:
        {cross_section: entry} of plain numbers, each entry with
        ``near_k_um_mw``: ``near`` at distance 0;
        ``ln_ratio``: Chebyshev coefficients of ln(near(d)/near(0)) in u = sqrt(d² + a²) - a, mapped from [0, reach_um];
        ``reach_um``, ``soften_um``: end of u, and a; beyond, ln(near) falls by pi/(2 sink_um) per um;
        ``sink_um``, ``spread_um``: heights of ``HeaterStack``;
        ``substrate_um``, ``substrate_w_mk``: thickness and conductivity of the substrate;
        ``error``: relative change of near(0) from the finer level to the extrapolated value;
        ``fit_error``: largest error of the series in units of near(0), at distances that were not fitted;
        ``source``: in words.
    """
    names = [name for name, xs in tech.cross_sections.items() if not xs.electrical]
    return {name: _baked(HeaterStack.of(tech, name), levels) for name in names}


def _baked(stack: HeaterStack, levels: tuple[int, ...]) -> dict[str, Any]:
    height = float(stack.sink_height)
    soften, reach = height / 4, REACH * height
    distances = lambda u: np.sqrt((u + soften) ** 2 - soften**2)
    fitted = reach * (1 + chebyshev.chebpts1(4 * DEGREE)) / 2
    checked = reach * np.linspace(0, 1, 101)
    values = np.asarray(near(stack, np.concatenate([[0.0], distances(fitted), distances(checked)]), levels))
    fine = float(near(stack, np.zeros(1), levels[-1:])[0])
    ratio = values[1:] / values[0]
    series = chebyshev.chebfit(2 * fitted / reach - 1, np.log(ratio[: fitted.size]), DEGREE)
    series[0] -= chebyshev.chebval(-1.0, series)  # the heated guide itself: exactly near(0)
    off = np.exp(chebyshev.chebval(2 * checked / reach - 1, series)) - ratio[fitted.size :]
    plain = lambda v: float(f"{v:.8g}")
    return {
        "near_k_um_mw": plain(values[0]),
        "ln_ratio": [plain(c) for c in series],
        "reach_um": plain(reach),
        "soften_um": plain(soften),
        "sink_um": plain(height),
        "spread_um": plain(stack.spread),
        "substrate_um": plain(stack.substrate),
        "substrate_w_mk": plain(stack.k_substrate),
        "error": plain(abs(values[0] - fine) / values[0]),
        "fit_error": plain(np.max(np.abs(off))),
        "source": f"solved: picq.optics.heat, mesh levels {levels}, conductivities of picq.optics.material",
    }
