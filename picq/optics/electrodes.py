"""Electro-optic shift of a lithium niobate guide between two coplanar electrodes, from geometry.

x-cut film, guide along the crystal's y axis: the optic axis (3) lies along our x, from one electrode to the other.
The RF field E_x makes d(1/eps)_ii = r_i3 E_x (Pockels; Yariv & Yeh, Photonics, 6th ed., sect. 9.1), so d(eps)_xx =
-n_e⁴ r33 E_x and d(eps)_yy = d(eps)_zz = -n_o⁴ r13 E_x, and first-order perturbation of the mode (Snyder & Love,
Optical Waveguide Theory, chap. 18, for diagonal tensors) gives

    dn_eff = ∫ (d(eps)_xx |e_x|² + d(eps)_yy |e_y|² + d(eps)_zz |e_z|²) dA / (2 ∫ (e x h)_z dA),

with h in units of e over the impedance of vacuum and the integral over the lithium niobate. Left out: r51, which
couples e_x and e_y through the vertical RF field, and r22, which an x-cut guide along y does not see in first order.
The RF field is the static one (``potential``), so the shift holds up to where the electrodes become a transmission
line.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from picq.errors import SpecError
from picq.optics.fields import copies, power, sample, transverse
from picq.optics.material import REFERENCE_K, material
from picq.optics.mesh import Mesh, mesh
from picq.optics.modes import Mode, extrapolated, solve
from picq.optics.potential import descent, in_order, potential
from picq.optics.profile import Profile
from picq.optics.stack import Stack

if TYPE_CHECKING:
    from picq.technology import Technology

LEVELS = (2, 4)
GOLD = (0.52, 10.7)  # index of Au at 1.55 um: Johnson & Christy, Phys. Rev. B 6, 4370 (1972), interpolated
_CELLS = 6  # of a brick at level 1
_NODES = (7, 4, 3)  # of gap, 1/width and wavelength: dn_eff/dV times the gap is nearly constant
_POINTS = 100  # on each face of the metal
_DB_CM = 1e5 / np.log(10)  # in 1/um of power
_AIR, _SUBSTRATE = 40.0, 40.0  # um of air and silicon in the domain: the field of a gap reaches a few gaps far
_REACH = 5.0  # gaps beyond the outer edges of the electrodes


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ElectrodeStack:
    """A rib of lithium niobate midway between two electrodes; lengths in um, relative permittivities at RF.

    ::

        █████████  gap   █████████ metal, width
             height ______
        __slab_____/ rib  \\_____slab___          film
        ~~~~~~~~~~~~~~ box ~~~~~~~~~~~~~
        =========== substrate ==========

    Attributes:
        profile: cross-section of the guide (right half, mirrored), the film being its core.
        slab_width: whole width of the slab.
        box, cladding: thickness of the oxide below the film and above it.
        height: from the top of the film to the lower side of the electrodes; negative: they stand in the etched part.
        metal: thickness of the electrodes.
        eps_film: permittivity of the film along x and y.
        pockels_pm_v: r33 and r13.
        eps_box, eps_cladding, eps_substrate: of the rest.
    """

    profile: Profile
    slab_width: Any
    box: Any
    cladding: Any
    height: float = field(metadata={"static": True})
    metal: Any
    eps_film: tuple[Any, Any]
    pockels_pm_v: tuple[Any, Any]
    eps_box: Any
    eps_cladding: Any
    eps_substrate: Any
    eps_air: Any = 1.0

    @classmethod
    def of(cls, tech: "Technology", cross_section: str) -> "ElectrodeStack":
        """The nominal electrodes of a technology.

        Raises:
            SpecError: it has no electrodes, or no Pockels effect, or the guide has no slab.
        """
        data, stack, xs = tech.platform.stack, Stack.of(tech.platform.stack), tech.cross_section(cross_section)
        beside = [s.width for s in xs.sections if s.layer == "slab"]
        if "electrodes" not in data or not isinstance(stack.core, tuple) or not beside:
            raise SpecError(
                f"technology {tech.name} has no electro-optic guide '{cross_section}'",
                allowed="a rib of a crystal with a Pockels effect, and `electrodes` in stack.yaml",
                remedy="use a technology of thin-film lithium niobate",
            )
        eps = lambda name: material(str(name)).eps_rf
        return cls(
            profile=stack.profile(xs.width, stack.thickness, stack.slab),
            slab_width=beside[0],
            box=float(data["box"]["thickness_um"]),
            cladding=float(data["cladding"]["thickness_um"]),
            height=float(data["electrodes"]["height_um"]),
            metal=float(data["electrodes"]["thickness_um"]),
            eps_film=(eps(stack.core[0]), eps(stack.core[1])),
            pockels_pm_v=(material(str(stack.core[0])).pockels_pm_v, material(str(stack.core[1])).pockels_pm_v),
            eps_box=eps(stack.box),
            eps_cladding=eps(stack.cladding),
            eps_substrate=eps(data["substrate"]["material"]),
        )


def rf_field(stack: ElectrodeStack, gap: Any, width: Any, level: int) -> tuple[Mesh, jax.Array]:
    """(mesh of the right half, E_x in each cell, 1/um, per volt of the right electrode over the left one).

    Where the right electrode is positive the field points against x: ``shift`` then counts an optic axis along x, and
    the index rises. The left half is the mirror image: the mid-plane lies at half the voltage.
    """
    grid, c, low, high = _rf_mesh(stack, gap, width, level)
    between = lambda v, a, b: (v > a - 1e-6) & (v < b + 1e-6)
    metal = between(grid.x, gap / 2, gap / 2 + width) & between(grid.y, low, high)
    middle = np.zeros(metal.shape, bool)
    middle[0] = True
    phi = potential(grid, c, metal | middle, jnp.where(middle, 0.0, 0.5))
    return grid, descent(grid, phi)[0]


def _rf_mesh(
    stack: ElectrodeStack, gap: Any, width: Any, level: int
) -> tuple[Mesh, tuple[jax.Array, jax.Array], Any, Any]:
    p = stack.profile
    foot, film, top = p.y[2], p.y[3], p.y[3] + stack.cladding
    low = film + stack.height
    high = low + stack.metal
    y = in_order(-stack.box - _SUBSTRATE, -stack.box, 0.0, foot, film, low, high, top, top + _AIR)
    slope = (p.x[1, 3] - p.x[1, 2]) / (film - foot)
    rib = p.x[1, 2] + slope * (jnp.clip(y, foot, film) - foot)
    outside = in_order(stack.slab_width / 2, gap / 2, gap / 2 + width, gap / 2 + width + _REACH * gap)
    lines = [jnp.zeros_like(y), rib, *(jnp.full_like(y, 1.0) * x for x in outside)]
    counts_x = [_CELLS * level, 2 * _CELLS * level] + [_CELLS * level] * (len(lines) - 3)
    grid = mesh(jnp.stack(lines), y, tuple(counts_x), (_CELLS * level,) * (y.size - 1), (False, True, True, True))
    x, h = grid.centre
    column = np.asarray(grid.column)[:, None]
    in_film = (h > 0) & (h < film) & ((column == 0) | ((h < foot) & (x < stack.slab_width / 2)))
    around = jnp.where(h < -stack.box, stack.eps_substrate, stack.eps_box)
    around = jnp.where(h > 0, jnp.where(h < top, stack.eps_cladding, stack.eps_air), around)
    eps_x, eps_y = (jnp.where(in_film, eps, around) for eps in stack.eps_film)
    return grid, (eps_x, eps_y), low, high


def shift(mode: Mode, grid: Mesh, rf: jax.Array, pockels_pm_v: tuple[Any, Any]) -> jax.Array:
    """dn_eff per volt, 1/V; the equation at the head of this file.

    Args:
        mode: of the guide.
        grid, rf: from ``rf_field``.
        pockels_pm_v: r33 and r13, pm/V.
    """
    ex, ey, ez = transverse(mode)
    x, y = mode.mesh.centre
    film = mode.profile.permittivity(mode.mesh, mode.wl, REFERENCE_K)
    ridge = np.asarray(mode.mesh.column)[:, None] == 0
    row = np.asarray(mode.mesh.row)[None, :]
    field_ridge, field_slab = _sampled(grid, rf, np.asarray(grid.column) == 0, x, y), _sampled(grid, rf, None, x, y)
    drive = -jnp.where(row == 1, field_slab, jnp.where((row == 2) & ridge, field_ridge, 0.0))
    change = film[0] ** 2 * pockels_pm_v[0] * ex**2 + pockels_pm_v[1] * (film[1] ** 2 * ey**2 + film[2] ** 2 * ez**2)
    area = mode.mesh.width * mode.mesh.height
    return 1e-6 * copies(mode) * jnp.sum(area * change * drive) / (2 * power(mode))


def _sampled(grid: Mesh, values: jax.Array, columns: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """Cell values of ``grid`` at points, linear between cell centres, of some of its columns alone.

    E_x is continuous across the levels; across a side wall it is not, hence the choice of columns.
    """
    keep = slice(None) if columns is None else np.flatnonzero(columns)
    centres, levels = grid.centre[0][keep], grid.centre[1][0]
    at_rows = jax.vmap(lambda c, v: jnp.interp(x.ravel(), c, v), in_axes=1)(centres, values[keep])
    j = jnp.clip(jnp.searchsorted(levels, y.ravel()) - 1, 0, levels.size - 2)
    t = (y.ravel() - levels[j]) / (levels[j + 1] - levels[j])
    points = jnp.arange(x.size)
    return ((1 - t) * at_rows[j, points] + t * at_rows[j + 1, points]).reshape(x.shape)


def metal_loss_db_cm(stack: ElectrodeStack, mode: Mode, gap: Any) -> jax.Array:
    """Estimate of what gold electrodes absorb of the mode, dB/cm.

    The surface resistance of the metal times the tangential magnetic field at its side and lower face, taken as twice
    that of the mode without metal (the image in a good conductor): alpha = R_s ∫|2 h_t|² dl / ∫(e x h)_z dA with R_s
    = Re 1/(n + ik) in units of the impedance of vacuum. Edges are not rounded off: good to a factor of about 3.
    """
    p, grid = mode.profile, mode.mesh
    low, end = p.y[3] + stack.height, jnp.real(grid.x[-1, 0])
    along = (jnp.arange(_POINTS) + 0.5) / _POINTS
    curl = (jnp.diff(mode.field.e2, axis=0) - jnp.diff(mode.field.e1, axis=1)) / (grid.width * grid.height)

    def tangential(x: jax.Array, y: jax.Array, side: bool) -> jax.Array:
        up, across = sample(mode, x[None], y)[1]
        i = jnp.clip(jnp.searchsorted(grid.x[:, -1], x) - 1, 0, curl.shape[0] - 1)
        j = jnp.clip(jnp.searchsorted(grid.y, y) - 1, 0, curl.shape[1] - 1)
        hz = curl[i, j] * mode.wl / (2 * jnp.pi) * ((x < end) & (y < grid.y[-1]))
        return (up if side else across)[0] ** 2 + hz**2

    side = jax.vmap(lambda t: tangential(jnp.asarray(gap / 2), low + stack.metal * t, True))(along)
    width = jnp.maximum(end - gap / 2, 0.0)
    below = jax.vmap(lambda t: tangential(gap / 2 + width * t, jnp.asarray(low), False))(along)
    resistance = GOLD[0] / (GOLD[0] ** 2 + GOLD[1] ** 2)
    faces = 2 * (jnp.mean(side) * stack.metal + jnp.mean(below) * width)
    return _DB_CM * resistance * 4 * faces / power(mode)


def bake_electrodes(tech: "Technology", levels: tuple[int, ...] = LEVELS) -> dict[str, Any]:
    """What ``phase_shifter.electro_optic`` needs, for each guide of a technology between its electrodes.

    Gap and width of the electrodes run over the bounds that devices.yaml gives ``eo_phase_shifter``.

    Returns:
        {cross_section: entry}, empty where there are no electrodes; each entry of plain numbers with
        ``reduced``: Chebyshev coefficients of gap dn_eff/dV, um/V, in gap, 1/width and wavelength, nested lists;
        ``gap_um``, ``width_um``, ``wl_um``: their ranges;
        ``error``: relative change from the finer level to the extrapolated value, the largest;
        ``fit_error``: largest relative error at a point that was not fitted;
        ``metal_loss_db_cm``: ``metal_loss_db_cm`` at the smallest gap and the longest wavelength;
        ``source``: in words.
    """
    if "electrodes" not in tech.platform.stack:
        return {}
    bounds = tech.platform.device_bounds("eo_phase_shifter")
    gaps, widths = ((bounds[n]["lower"], bounds[n]["upper"]) for n in ("gap", "electrode_width"))
    names = [n for n, xs in tech.cross_sections.items() if any(s.layer == "slab" for s in xs.sections)]
    ranges = lambda name: (gaps, (1 / widths[1], 1 / widths[0]), tech.guide(name).modes["te0"].ranges.wl)
    return {n: _baked(ElectrodeStack.of(tech, n), ranges(n), levels) for n in names}


def _baked(stack: ElectrodeStack, ranges: tuple[tuple[float, float], ...], levels: tuple[int, ...]) -> dict[str, Any]:
    nodes = [(a + b) / 2 + (b - a) / 2 * chebyshev.chebpts1(n) for (a, b), n in zip(ranges, _NODES, strict=True)]
    inside = [np.array([a + 0.37 * (b - a)]) for a, b in ranges]
    values, errors = _reduced(stack, nodes, levels)
    held, _ = _reduced(stack, inside, levels)
    series = values
    for axis, n in enumerate(_NODES):
        inverse = np.linalg.inv(chebyshev.chebvander(chebyshev.chebpts1(n), n - 1))
        series = np.moveaxis(np.tensordot(inverse, series, (1, axis)), 0, axis)
    at = 2 * 0.37 - 1
    plain = lambda v: float(f"{v:.8g}")
    worst = solve(stack.profile, ranges[2][1], levels=levels[-1:])
    return {
        "reduced": [[[plain(c) for c in row] for row in block] for block in series],
        "gap_um": list(ranges[0]),
        "width_um": [plain(1 / ranges[1][1]), plain(1 / ranges[1][0])],
        "wl_um": list(ranges[2]),
        "error": plain(np.max(errors)),
        "fit_error": plain(abs(chebyshev.chebval3d(at, at, at, series) / held[0, 0, 0] - 1)),
        "metal_loss_db_cm": plain(metal_loss_db_cm(stack, worst, ranges[0][0])),
        "source": f"solved: picq.optics.electrodes, mesh levels {levels}, materials of picq.optics.material",
    }


def _reduced(stack: ElectrodeStack, nodes: list[np.ndarray], levels: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(gap dn/dV at the nodes of gap, 1/width, wl, shape [gaps, widths, wls], relative change by the extrapolation)."""
    field, overlap = jax.jit(rf_field, static_argnames="level"), jax.jit(shift)
    by_level = []
    for level in levels:
        modes = [solve(stack.profile, wl, levels=(level,)) for wl in nodes[2]]
        fields = [[field(stack, g, 1 / u, level=level) for u in nodes[1]] for g in nodes[0]]
        by_level.append(
            np.array(
                [
                    [[g * float(overlap(m, *f, stack.pockels_pm_v)) for m in modes] for f in row]
                    for g, row in zip(nodes[0], fields, strict=True)
                ]
            )
        )
    best = np.asarray(extrapolated([jnp.asarray(v) for v in by_level], levels))
    return best, np.abs(by_level[-1] / best - 1)
