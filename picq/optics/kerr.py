"""Kerr nonlinearity of guides: the effective area, solved once per cross-section, and gamma from it."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from picq.errors import SpecError
from picq.optics import modes
from picq.optics.fields import a_eff
from picq.optics.material import MATERIALS

if TYPE_CHECKING:
    from picq.technology import Technology

_STEP_UM = 0.02  # of the differences that give the slopes


def gamma(tech: "Technology", cross_section: str, wl: Any) -> jax.Array:
    """Nonlinear coefficient of a guide on this chip, 1/(W m), of wl's shape: 2 pi n2/(wl A_eff).

    n2 is the core material's. Its uncertainty, some ten per cent (``picq.optics.material``), is the largest.

    Raises:
        SpecError: the effective area was not solved, or no n2 of the core is known.
    """
    area = 1e-12 * effective_area_um2(tech, cross_section)
    return 2 * jnp.pi * core_n2(tech) / (1e-6 * jnp.asarray(wl) * area)


def effective_area_um2(tech: "Technology", cross_section: str) -> jax.Array:
    """Of te0 of a guide on this chip, at the middle of the solved band, um².

    Afshar & Monro, Opt. Express 17, 2298 (2009), eq. 26, with the slopes against width and thickness of the logarithm.

    Raises:
        SpecError: it was not solved.
    """
    solved = tech.data.get("kerr", {}).get(cross_section)
    if solved is None:
        raise SpecError(
            f"technology {tech.name} knows no effective area of cross-section '{cross_section}'",
            allowed=", ".join(tech.data.get("kerr", {})) or None,
            remedy=f"run `picq bake {tech.name}`",
        )
    moved = solved["dln_dwidth_per_um"] * 1e-3 * tech.process.width_nm
    moved = moved + solved["dln_dthickness_per_um"] * 1e-3 * tech.process.thickness_nm
    return solved["a_eff_um2"] * jnp.exp(moved)


def core_n2(tech: "Technology") -> float:
    """Kerr index of the core, m²/W.

    Raises:
        SpecError: none is known.
    """
    core = tech.platform.film.core
    name = str(core[0] if isinstance(core, tuple) else core)
    n2 = MATERIALS[name].n2_m2_w if name in MATERIALS else None
    if n2 is None:
        raise SpecError(f"no Kerr index is known for {name}", allowed="a core with n2_m2_w in picq.optics.material")
    return n2


def bake_kerr(tech: "Technology") -> dict[str, Any]:
    """{cross_section: ``a_eff_um2`` and the slopes of its logarithm against width and thickness, per um} of te0, at
    the middle of the solved wavelengths and the technology's temperature; the slopes from central differences."""
    found = {}
    for name, xs in tech.cross_sections.items():
        if xs.electrical:
            continue
        wl, p = sum(xs.modes["te0"].ranges.wl) / 2, tech.point(name)

        def area(wider: float, thicker: float, p: Any = p, wl: float = wl, margin: float = xs.margin) -> float:
            profile = tech.platform.film.profile(p.width + wider, p.thickness + thicker, p.slab, margin=margin)
            return float(a_eff(modes.solve(profile, wl, "te0", temperature_k=p.temperature_k)))

        h, nominal = _STEP_UM, area(0.0, 0.0)
        found[name] = {
            "a_eff_um2": float(f"{nominal:.6g}"),
            "dln_dwidth_per_um": float(f"{(area(h, 0.0) - area(-h, 0.0)) / (2 * h * nominal):.4g}"),
            "dln_dthickness_per_um": float(f"{(area(0.0, h) - area(0.0, -h)) / (2 * h * nominal):.4g}"),
        }
    return found
