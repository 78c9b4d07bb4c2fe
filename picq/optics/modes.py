"""Guided modes of a cross-section: full-vector, anisotropic, differentiable in geometry, wavelength and temperature.

``solve`` returns one mode at two mesh levels whose Richardson combination is the effective index; derivatives of any
order go through it (see ``eigen``), so group index and dispersion are plain derivatives of ``n_eff``.
"""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq.errors import NumericsError, SpecError
from picq.optics.eigen import cells, eigenpair
from picq.optics.material import REFERENCE_K
from picq.optics.mesh import Mesh
from picq.optics.profile import Profile, principal_indices
from picq.optics.slab import slab_index
from picq.optics.unknowns import Cells, Field, Pick, Walls

LEVELS = (3, 5)
"""Default mesh levels of the Richardson pair."""
COARSE = 1e-3
"""Largest estimated error in n_eff that a concrete solution may have."""
_ABSORB = 2.0  # imaginary over real extent of the absorbing layer: exp(-2 k n L) in amplitude for a plane wave
_PS_NM_KM = -1e12 / 299792458.0  # of wl (um) d²n/dwl² (1/um²)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mode:
    """One mode.

    Attributes:
        n_eff: effective index, extrapolated from both levels; complex where the domain absorbs, the imaginary part
            being loss (power loss 4 pi Im(n_eff)/wl per um).
        n_levels: effective index at each level.
        field: the field on the finer mesh.
        mesh: the finer mesh.
        cells: its coefficients.
        wl: wavelength, um.
        curvature: of the guide's axis, 1/um; its centre lies on the left.
        profile: the cross-section.
        name: e.g. ``te0``.
    """

    n_eff: jax.Array
    n_levels: tuple[jax.Array, ...]
    field: Field
    mesh: Mesh
    cells: Cells
    wl: Any
    curvature: Any
    profile: Profile
    name: str = dataclasses.field(metadata={"static": True})

    @property
    def error(self) -> jax.Array:
        """Estimated error of ``n_eff`` from the mesh: a tenth of what the extrapolation moved the finer level.

        The leading term goes with h² and is removed; what is left is of a higher order: on the reference structures
        0.002 to 0.07 of that move (README's table). NaN, not known, where only one level was solved.
        """
        if len(self.n_levels) == 1:
            return jnp.full_like(jnp.real(self.n_eff), jnp.nan)
        return jnp.abs(self.n_eff - self.n_levels[-1]) / 10

    @property
    def walls(self) -> Walls:
        """Ends of the domain that select the mode's symmetry."""
        return _symmetry(self.profile, self.name)[0]


def solve(
    profile: Profile,
    wl: Any,
    mode: str = "te0",
    *,
    temperature_k: Any = REFERENCE_K,
    radius: Any = None,
    levels: tuple[int, ...] = LEVELS,
) -> Mode:
    """One mode of a straight guide or of a bend.

    A bend is solved in the cylindrical metric with an absorbing layer (complex coordinates) in the last column of its
    profile, as the mode nearest to that of the straight guide.

    Args:
        profile: the cross-section.
        wl: wavelength, um, scalar.
        mode: ``te0``, ``te1`` …, ``tm0`` …: polarisation and order by falling index (te: E mainly along x); for a pair
            of guides followed by the parity of the supermode, ``te0even`` or ``te0odd``.
        temperature_k: of all materials.
        radius: of the bend at x = 0, um; None for a straight guide. The profile must be a ``whole`` one.
        levels: two rising mesh levels for an extrapolated index, or one for a plain one, whose error is not known.

    Raises:
        SpecError: the mode's name or the levels are not understood, a material is unknown.
        NumericsError: wavelength outside a material's range, the mode is cut off, the domain too small, or the mesh too
            coarse. Traced values cannot be looked at: n_eff is then NaN where the mode is cut off.
    """
    _symmetry(profile, mode)
    _check_request(profile, wl, radius, levels)
    for medium in {m for column in profile.media for m in column}:  # concrete values are looked at here, outside jit
        principal_indices(medium, wl, temperature_k)
    answer = _solve(profile, wl, temperature_k, radius, mode, tuple(levels))
    _check(answer, temperature_k)
    return answer


@partial(jax.jit, static_argnames=("mode", "levels"))
def _solve(profile: Profile, wl: Any, temperature_k: Any, radius: Any, mode: str, levels: tuple[int, ...]) -> Mode:
    walls, pick = _symmetry(profile, mode)
    if radius is not None:
        straight = _solve(profile, wl, temperature_k, None, mode, levels[:1])
        pick = pick._replace(order=None)
    indices, found = [], None
    for level in levels:
        grid = profile.mesh(level)
        eps = profile.permittivity(grid, wl, temperature_k)
        if radius is None:
            made, start = cells(grid, eps, wl), (2 * jnp.pi / wl) ** 2 * jnp.max(jnp.stack(eps))
        else:
            grid = _absorbing(grid, profile)
            made = cells(grid, eps, wl, stretch=1 + grid.centre[0] / radius)
            start = (2 * jnp.pi / wl * straight.n_levels[0]) ** 2
        lam, x = eigenpair(made, walls, pick, jax.lax.stop_gradient(start))
        indices.append(jnp.sqrt(lam) * wl / (2 * jnp.pi))
        found = (x, grid, made)
    assert found is not None
    curvature, index = (0.0 if radius is None else 1 / radius), extrapolated(indices, levels)
    if radius is None:  # below, light that the domain's walls hold would look like a mode
        index = jnp.asarray(jnp.where(index > _floor(profile, wl, mode, temperature_k), index, jnp.nan))
    return Mode(index, tuple(indices), *found, wl, curvature, profile, mode)


def _absorbing(grid: Mesh, profile: Profile) -> Mesh:
    """The mesh with complex x in its last column: outgoing waves decay there without reflection (perfectly matched)."""
    begin, end = profile.x[-2, 0], profile.x[-1, 0]
    depth = jnp.maximum(jnp.real(grid.x) - begin, 0.0) / (end - begin)
    return dataclasses.replace(grid, x=grid.x + 1j * _ABSORB * (end - begin) * depth**3)


def extrapolated(values: Sequence[jax.Array], levels: Sequence[int]) -> jax.Array:
    """Richardson's limit of values at two levels whose error goes with 1/level²; of one level, that value."""
    if len(levels) == 1:
        return values[0]
    a, b = (float(m) ** 2 for m in levels)
    return (b * values[1] - a * values[0]) / (b - a)


def n_eff(profile: Profile, wl: Any, mode: str = "te0", **options: Any) -> jax.Array:
    """Effective index of ``solve``."""
    return solve(profile, wl, mode, **options).n_eff


def n_group(profile: Profile, wl: Any, mode: str = "te0", **options: Any) -> jax.Array:
    """Group index n - wl dn/dwl, material dispersion included."""
    _look(profile, wl, mode, options)
    n, slope = jax.value_and_grad(lambda v: n_eff(profile, v, mode, **options))(jnp.asarray(wl, float))
    return n - wl * slope


def dispersion(profile: Profile, wl: Any, mode: str = "te0", **options: Any) -> jax.Array:
    """D = -(wl/c) d²n/dwl² in ps/(nm km); Agrawal, Nonlinear Fiber Optics, eq. 1.2.11."""
    _look(profile, wl, mode, options)
    curve = jax.grad(jax.grad(lambda v: n_eff(profile, v, mode, **options)))
    return _PS_NM_KM * wl * curve(jnp.asarray(wl, float))


def dispersion_slope(profile: Profile, wl: Any, mode: str = "te0", **options: Any) -> jax.Array:
    """dD/dwl in ps/(nm² km)."""
    _look(profile, wl, mode, options)
    return 1e-3 * jax.grad(lambda v: dispersion(profile, v, mode, **options))(jnp.asarray(wl, float))


def _look(profile: Profile, wl: Any, mode: str, options: dict[str, Any]) -> None:
    """Let ``solve`` refuse concrete values: within a derivative they are traced."""
    if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((profile, wl))):
        solve(profile, wl, mode, **options)


def parse(mode: str) -> tuple[bool, int, str]:
    """(te or not, order, parity) of a mode's name.

    Raises:
        SpecError: it is not understood.
    """
    parts = re.fullmatch(r"(te|tm)(\d+)(even|odd)?", mode)
    if not parts:
        raise SpecError(
            "unknown mode",
            got=repr(mode),
            allowed="te0, te1 …, tm0 …; of two guides te0even, te0odd …",
            remedy="try te0",
        )
    return parts[1] == "te", int(parts[2]), parts[3] or ""


def _symmetry(profile: Profile, mode: str) -> tuple[Walls, Pick]:
    """The walls that select the mode's class, and its number in that class.

    E_x of te0 is even about the middle, so E_y and E_z are odd and vanish there: an electric wall. E_y of tm0 is even.
    """
    te, order, parity = parse(mode)
    if (profile.mirror == "pair") != bool(parity):
        wanted = "a parity, e.g. te0even" if profile.mirror == "pair" else "no parity, e.g. te0"
        raise SpecError(f"mode '{mode}' does not fit this cross-section", allowed=wanted, remedy="change the name")
    if profile.mirror == "single":
        left, order = te == (order % 2 == 0), order // 2
    elif profile.mirror == "pair":
        left = te == (parity == "even")
    else:
        left = True
    bottom = (not te) if profile.halved else True
    return Walls(left, True, bottom, True), Pick(te, order)


def _check_request(profile: Profile, wl: Any, radius: Any, levels: tuple[int, ...]) -> None:
    """Refuse what can be seen before anything is solved."""
    if len(levels) not in (1, 2) or any(m < 1 for m in levels) or list(levels) != sorted(set(levels)):
        raise SpecError(
            "levels of the mesh are not understood", got=str(levels), allowed="one level, or two that rise; from 1"
        )
    if radius is not None and profile.mirror:
        raise SpecError("a bend has no mid-plane", remedy="make the profile with whole=True")
    if not isinstance(wl, Tracer) and not (np.ndim(wl) == 0 and float(wl) > 0):
        raise NumericsError("the wavelength is not one positive number", got=str(wl), remedy="vmap over many")
    if radius is not None and not any(isinstance(v, Tracer) for v in (radius, profile.x)):
        inwards = -float(jnp.min(profile.x[min(i for i, _ in profile.core)]))  # the cladding may: no field gets there
        if not float(radius) > max(inwards, 0.0):
            raise NumericsError(
                "the core of a bend reaches beyond its centre",
                got=f"radius {float(radius):g} um",
                allowed=f"more than {max(inwards, 0.0):g} um",
                remedy="choose a larger radius, positive: the centre lies on the left",
            )


def _check(mode: Mode, temperature_k: Any) -> None:
    """Refuse what concrete values show to be no guided mode, or one that the mesh does not resolve."""
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(mode)):
        return
    floor = radiation_index(mode.profile, mode.wl, mode.name, temperature_k)
    n, last = float(jnp.real(mode.n_eff)), float(jnp.real(mode.n_levels[-1]))
    what = f"mode {mode.name} at {float(mode.wl):g} um"
    if not n > floor + 1e-6:
        raise NumericsError(
            f"{what} is cut off",
            got="no such mode" if np.isnan(last) else f"n_eff {last:.5f}",
            allowed=f"more than {floor:.5f}, the index of what surrounds the core",
            remedy="choose a wider or thicker core, a shorter wavelength, or a lower mode",
        )
    if float(mode.error) > COARSE:
        raise NumericsError(
            f"the mesh is too coarse for {what}",
            got=f"estimated error {float(mode.error):.1e} in n_eff, levels change it by {10 * float(mode.error):.1e}",
            allowed=f"{COARSE:g}",
            remedy="raise `levels`",
        )
    e = mode.field.e1
    strength = jnp.abs(e[:, 1:] / mode.mesh.width)
    edge = 0.0 if mode.curvature else float(jnp.max(strength[-1]) / jnp.max(strength))
    if edge > 3e-3:
        raise NumericsError(
            f"the domain is too small for {what}",
            got=f"the field at its end is {edge:.1e} of the largest",
            allowed="3e-3",
            remedy="raise the profile's `margin`; near cut-off the field reaches far",
        )


def radiation_index(profile: Profile, wl: Any, mode: str, temperature_k: Any = REFERENCE_K) -> float:
    """Index below which light leaves the core: of the claddings, or of the film left beside it."""
    return float(_floor(profile, wl, mode, temperature_k))


def _floor(profile: Profile, wl: Any, mode: str, temperature_k: Any) -> jax.Array:
    te = parse(mode)[0]
    core, beside = {profile.media[i][j] for i, j in profile.core}, profile.media[-1]
    outer = [m for m in (beside[0], beside[-1]) if m not in core]
    floors = [jnp.asarray(n, float) for m in outer for n in principal_indices(m, wl, temperature_k)]
    for j, medium in enumerate(beside):
        if medium in core:
            indices = [principal_indices(m, wl, temperature_k) for m in (medium, beside[j - 1], beside[j + 1])]
            floors.append(slab_index(wl, profile.y[j + 1] - profile.y[j], *indices, te=te))
    return jnp.max(jnp.stack(floors))
