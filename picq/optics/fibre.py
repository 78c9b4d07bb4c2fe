"""Light between a chip and a fibre: phase matching of gratings, overlap of a waveguide's tip with a fibre's mode.

A fibre's mode is a Gaussian whose amplitude falls to 1/e at half the mode field diameter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf

from picq.errors import NumericsError
from picq.optics.eigen import magnetic
from picq.optics.fields import copies, power, poynting
from picq.optics.material import material
from picq.optics.modes import Mode, extrapolated, solve
from picq.optics.profile import Profile, guide, principal_indices
from picq.optics.stack import Stack
from picq.optics.table import Table, Variable, as_dict, from_dict, sample_points

if TYPE_CHECKING:
    from picq.technology import Technology

_DB = 10 / np.log(10)
_LEVELS = (3, 5)  # of the mesh; what they leave of the overlap of a 180 nm silicon tip: 0.0006 to 0.006 dB
_MARGIN = 12.0  # um: a tip's mode is several um wide
_NODES = (8, 4, 10)  # Chebyshev nodes in 1/width, wl, 1/mfd
_CHECKS = 8
_SUBSTRATE = 0.01  # largest share of a tip's power that may lie where the substrate is


def grating_index(stack: Stack, wl: Any, fill: Any, etch: float, thickness: Any, temperature_k: Any) -> jax.Array:
    """Mean effective index of a grating: that of teeth and grooves, weighted with their lengths.

    Chrostowski & Hochberg, Silicon Photonics Design (2015), ch. 5. First order in the contrast: the root mean square,
    the other common choice, is 0.004 higher for a 70 nm etch of 220 nm silicon (2 nm in the peak) and 0.007 for a full
    etch of 400 nm nitride (7 nm).

    Args:
        stack: film and claddings.
        wl: wavelength, um; broadcasts with the rest.
        fill: share of the teeth in a period.
        etch: depth of the grooves, um; from the nominal thickness on they are filled with cladding.
        thickness: of the film, um.
        temperature_k: of all materials.

    Raises:
        NumericsError: a concrete wavelength or temperature lies outside the range of the film's material.
    """
    principal_indices(stack.core, wl, temperature_k)  # concrete values are looked at here, outside jit
    return _grating_index(stack, wl, fill, etch, thickness, temperature_k)


@partial(jax.jit, static_argnames=("stack", "etch"))
def _grating_index(stack: Stack, wl: Any, fill: Any, etch: float, thickness: Any, temperature_k: Any) -> jax.Array:
    teeth = stack.film_index(wl, thickness, temperature_k)
    if etch >= stack.thickness:
        grooves = material(stack.cladding).index(wl, temperature_k)
    else:
        grooves = stack.film_index(wl, thickness - etch, temperature_k)
    return fill * teeth + (1 - fill) * grooves


def phase_mismatch(wl: Any, n_average: Any, period: Any, angle_deg: Any) -> Any:
    """Phase by which the first order of a grating runs away from a tilted fibre's wave, rad per um along the chip.

    2 pi/wl (n_average - sin(angle)) - 2 pi/period, zero at the Bragg condition (Taillaert et al., IEEE J. Quantum
    Electron. 38, 949 (2002), eq. 1). The angle is that in air; Snell's law keeps n sin(angle) in every layer above.
    """
    return 2 * jnp.pi * ((n_average - jnp.sin(jnp.deg2rad(angle_deg))) / wl - 1 / period)


def mismatch_loss_db(mismatch: Any, mfd: Any, angle_deg: Any) -> Any:
    """Loss of a fibre that a grating's beam misses by an angle, dB: 4.34 (mismatch w)²/4, w = mfd/(2 cos(angle)).

    The overlap of two Gaussian beams of one size that are tilted against each other (Joyce & DeLoach, Appl. Opt. 23,
    4187 (1984)). The beam of a uniform grating falls exponentially; at its best strength, where 80 % overlap,
    the half width at 1 dB is mismatch w = 0.963 against 0.960 here.
    """
    return _DB / 4 * (mismatch * mfd / (2 * jnp.cos(jnp.deg2rad(angle_deg)))) ** 2


def bandwidth_1db(wl: Any, n_group: Any, mfd: Any, angle_deg: Any) -> Any:
    """Full width at -1 dB of a grating coupler about its peak, um.

    ``mismatch_loss_db`` = 1 with d(mismatch)/d(wl) = -2 pi (n_group - sin(angle))/wl²; n_group is that of
    ``grating_index``. As in Chrostowski & Hochberg (2015), ch. 5: the fibre's acceptance over the angular
    dispersion, which holds the film's.
    """
    tilt = jnp.deg2rad(angle_deg)
    edge = jnp.sqrt(4 / _DB) * 2 * jnp.cos(tilt) / mfd  # mismatch at 1 dB
    return edge * wl**2 / (jnp.pi * (n_group - jnp.sin(tilt)))


def gaussian_overlap(mode: Mode, mfd: Any) -> jax.Array:
    """Share of a fibre's power that goes on in a mode, the fibre being centred on it; real, of ``mfd``'s shape.

    (∫ g E_x) (∫ g H_y) / (∫ g² ∫ (E x H)_z): the power overlap of Snyder & Love, Optical Waveguide Theory, ch. 20,
    for a fibre mode with E = g along x and H = n g along y, of which the fibre's index n drops out. What the facet
    reflects is left out. g is integrated exactly over each cell, the mode's field is taken at the cell's centre.

    Args:
        mode: te, of a profile whose mirror plane, where it has one, is x = 0.
        mfd: mode field diameter of the fibre, um.
    """
    grid = mode.mesh
    half = jnp.asarray(mfd, float)[..., None] / 2
    primitive = lambda u: jnp.sqrt(jnp.pi) / 2 * half * erf(u / half)
    across = jnp.diff(primitive(jnp.real(grid.x[:, 0])), axis=-1)
    upward = jnp.diff(primitive(grid.y - mode_height(mode)), axis=-1)
    centre = lambda f: (f.e1[:, 1:] + f.e1[:, :-1]) / 2 / grid.width
    integral = lambda f: copies(mode) * jnp.einsum("...i,ij,...j->...", across, centre(f), upward)
    h = mode.n_levels[-1] * integral(magnetic(mode.field))
    return integral(mode.field) * h / (power(mode) * jnp.pi * half[..., 0] ** 2 / 2)


def mode_height(mode: Mode) -> jax.Array:
    """Height of a mode's middle, um: the plane of symmetry, or where there is none the mean height of the power."""
    if mode.profile.halved:
        return mode.profile.y[0]
    flow = poynting(mode)
    return jnp.sum(flow * mode.mesh.centre[1]) / jnp.sum(flow)


def tip_overlap(profile: Profile, wl: Any, mfd: Any, *, levels: tuple[int, ...] = _LEVELS, **options: Any) -> jax.Array:
    """Power overlap of a waveguide's te0 mode with a fibre's, extrapolated from two mesh levels; of ``mfd``'s shape.

    Args:
        profile: of the tip, with a margin of some 10 um.
        wl: wavelength, um, scalar.
        mfd: mode field diameter, um.
        levels: one or two mesh levels.
        options: of ``modes.solve``.

    Raises:
        NumericsError: as ``modes.solve``: the tip is cut off, the margin too small.
    """
    return jnp.exp(_log_overlap(_tip_modes(profile, wl, levels, **options), mfd, levels))


def _tip_modes(profile: Profile, wl: Any, levels: tuple[int, ...], **options: Any) -> list[Mode]:
    return [solve(profile, wl, "te0", levels=(level,), **options) for level in levels]


def _log_overlap(modes: Sequence[Mode], mfd: Any, levels: tuple[int, ...]) -> jax.Array:
    return extrapolated([jnp.log(gaussian_overlap(mode, mfd)) for mode in modes], levels)


def tip_profile(tech: "Technology", width: Any, *, margin: float = _MARGIN) -> Profile:
    """Cross-section of a strip of that width (um, as made, at its top) with the air above the cladding.

    The box goes on without end: a substrate below would drain the mode, which has no index then.
    """
    stack, data = tech.platform.film, tech.platform.stack
    thickness = tech.thickness + 1e-3 * tech.process.thickness_nm
    upright = stack.sidewall_deg == 90.0
    return guide(
        width=width if upright else width + thickness / jnp.tan(jnp.deg2rad(stack.sidewall_deg)),
        thickness=thickness,
        core=stack.core,
        cladding=[(stack.cladding, float(data["cladding"]["thickness_um"])), ("air", None)],
        box=stack.box,
        sidewall_deg=stack.sidewall_deg,
        margin=margin,
    )


def bake_tip(tech: "Technology", *, mfd: tuple[float, float] = (2.0, 11.0)) -> dict[str, Any]:
    """Tables of a strip's tip on a nominal chip: what ``<technology>/baked/tip.json`` holds.

    The tip's widths are those of the technology's ``edge_coupler`` data. ``overlap`` is the logarithm of the power
    overlap in 1/width, wl, 1/mfd; ``index`` is n_eff in 1/width, wl. Interpolated at Chebyshev nodes, compared with the
    solver at points that are no nodes.

    Raises:
        NumericsError: more than 1 % of some tip's power lies below the box, or a mode is cut off.
    """
    data = tech.data["edge_coupler"]
    wl = tech.guide(tech.platform.default_cross_section).modes["te0"].ranges.wl
    width = (float(data["tip_least_um"]), float(data["tip_most_um"]))
    variables = (Variable("width", *width, True), Variable("wl", *wl), Variable("mfd", *mfd, True))
    depth = float(tech.platform.stack["box"]["thickness_um"])

    @jax.jit
    def at(w: Any, wl: Any, mfd: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        modes = _tip_modes(tip_profile(tech, w), wl, _LEVELS, temperature_k=tech.temperature_k)
        fine = modes[-1]
        flow = poynting(fine)
        below = jnp.sum(jnp.where(fine.mesh.centre[1] < -depth, flow, 0.0)) / jnp.sum(flow)
        return _log_overlap(modes, mfd, _LEVELS), extrapolated([m.n_eff for m in modes], _LEVELS), below

    nodes = [_nodes(v, n) for v, n in zip(variables, _NODES, strict=True)]
    solved = [[at(w, v, nodes[2]) for v in nodes[1]] for w in nodes[0]]
    logs, indices, below = (np.array([[np.asarray(cell[k]) for cell in row] for row in solved]) for k in range(3))
    worst = float(at(width[0], wl[1], nodes[2])[2])
    if not (np.isfinite(logs).all() and max(worst, below.max()) <= _SUBSTRATE):
        raise NumericsError(
            f"the thinnest tip of {tech.name} reaches into the substrate or is cut off",
            got=f"{worst:.2g} of its power below the box at width {width[0]:g} um",
            allowed=f"{_SUBSTRATE:g}",
            remedy="raise edge_coupler.tip_least_um in compact.yaml",
        )
    overlap, index = _interpolated(variables, logs), _interpolated(variables[:2], indices)
    errors = []
    for z in sample_points(variables, _CHECKS, 1, inside=True):
        point = tuple(float(v) for v in z)
        log, n, _ = at(*point)
        errors.append((abs(float(overlap(*point) - log)) * _DB, abs(float(index(*point[:2]) - n))))
    return {
        "tables": {"overlap": as_dict(overlap), "index": as_dict(index)},
        "provenance": {
            "solver": "full-vector edge elements, lumped, overlap and index extrapolated from two meshes",
            "levels": list(_LEVELS),
            "margin_um": _MARGIN,
            "nodes": list(_NODES),
            "points_checked": _CHECKS,
            "largest_error_on_checked_points": dict(
                zip(("overlap_db", "index"), (float(f"{e:.2g}") for e in np.max(errors, axis=0)), strict=True)
            ),
            "largest_share_below_the_box": float(f"{max(worst, below.max()):.2g}"),
        },
    }


def _nodes(variable: Variable, count: int) -> np.ndarray:
    a, b = variable.interval
    u = (a + b) / 2 + (b - a) / 2 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    return 1 / u if variable.reciprocal else u


def _interpolated(variables: Sequence[Variable], values: np.ndarray) -> Table:
    """The table through values at ``_nodes``, by the discrete cosine transform along each axis."""
    for axis, count in enumerate(values.shape):
        k = np.arange(count)
        transform = np.cos(np.outer(k, np.pi * (k + 0.5) / count)) * 2 / count
        transform[0] /= 2
        values = np.moveaxis(np.tensordot(transform, values, (1, axis)), 0, axis)
    return Table(jnp.asarray(values), tuple(variables))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tip:
    """Baked numbers of a technology's tips.

    Attributes:
        overlap: log of the power overlap; of width (um, as made), wl and mfd.
        index: n_eff; of width and wl.
    """

    overlap: Table
    index: Table

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Tip":
        """From what ``bake_tip`` returns."""
        return cls(*(from_dict(content["tables"][name]) for name in ("overlap", "index")))

    def __call__(self, width: Any, wl: Any, mfd: Any) -> tuple[jax.Array, jax.Array]:
        """(power overlap, n_eff) of a tip; the arguments broadcast.

        Raises:
            NumericsError: a concrete value lies outside the range that was solved; traced ones give NaN there.
        """
        self.overlap.check("a tip", width, wl, mfd)
        inside = self.overlap.inside(width, wl, mfd)
        found = jnp.exp(self.overlap(width, wl, mfd)), self.index(width, wl)
        overlap, index = (jnp.asarray(jnp.where(inside, v, jnp.nan)) for v in found)
        return overlap, index


def fresnel(n1: Any, n2: Any) -> Any:
    """Amplitude reflected between two indices at normal incidence, seen from the first."""
    return (n1 - n2) / (n1 + n2)
