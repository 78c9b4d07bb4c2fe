"""The layers of a process as the mode solver sees them: from the numbers of a technology to a cross-section."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from picq.errors import SpecError
from picq.optics.material import material
from picq.optics.profile import Medium, Profile, guide, principal_indices
from picq.optics.slab import slab_index

_CRYSTALS = {("LiNbO3", "x"): ("LiNbO3_e", "LiNbO3_o", "LiNbO3_o")}  # x-cut, guide along y: the optic axis lies across


@dataclass(frozen=True)
class Stack:
    """Film, claddings and side walls of a technology; hashable, so a static argument of jitted functions.

    Attributes:
        core: medium of the film.
        cladding, box: media above and below.
        thickness: nominal thickness of the film, um.
        slab: nominal thickness left beside a rib, um; None where the technology has no partial etch for guides.
        sidewall_deg: angle of the side walls to the horizontal.
        temperature_k: reference temperature.
    """

    core: Medium
    cladding: str
    box: str
    thickness: float
    slab: float | None
    sidewall_deg: float
    temperature_k: float

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Stack":
        """From the entries of stack.yaml.

        Raises:
            SpecError: a material is unknown, or a crystal's cut.
        """
        device = data["device"]
        name, cut = device["material"], device.get("cut")
        if cut is not None and (name, cut) not in _CRYSTALS:
            known = ", ".join(f"{c} of {n}" for n, c in _CRYSTALS)
            raise SpecError("stack.yaml: unknown cut of the device layer", got=f"{cut} of {name}", allowed=known)
        core: Medium = _CRYSTALS[name, cut] if cut is not None else name
        for medium in (
            *(core if isinstance(core, tuple) else (core,)),
            data["cladding"]["material"],
            data["box"]["material"],
        ):
            material(str(medium))
        return cls(
            core=core,
            cladding=data["cladding"]["material"],
            box=data["box"]["material"],
            thickness=float(device["thickness_um"]),
            slab=float(data["slab"]["thickness_um"]) if "slab" in data else None,
            sidewall_deg=float(data.get("sidewall_deg", 90.0)),
            temperature_k=float(data["temperature_k"]),
        )

    def profile(
        self, width: Any, thickness: Any, slab: Any = None, *, gap: Any = None, whole: bool = False, margin: float = 3.0
    ) -> Profile:
        """Cross-section of one guide, or of two at a ``gap``.

        Args:
            width: at the top of the core, um, which is what the mask draws.
            thickness: of the film, um.
            slab: left beside the core, um; None for a strip.
            gap: between two guides, at the top, um.
            whole, margin: see ``profile.guide``.
        """
        spread = 0.0
        if self.sidewall_deg != 90.0:  # from the top to half the etched height, both sides
            spread = (thickness - (0.0 if slab is None else slab)) / jnp.tan(jnp.deg2rad(self.sidewall_deg))
        return guide(
            width=width + spread,
            thickness=thickness,
            core=self.core,
            cladding=self.cladding,
            box=self.box,
            slab=slab,
            sidewall_deg=self.sidewall_deg,
            gap=None if gap is None else gap - spread,
            whole=whole,
            margin=margin,
        )

    def film_index(self, wl: Any, thickness: Any, temperature_k: Any, *, te: bool = True) -> Any:
        """Effective index of the film without side walls."""
        media = (self.core, self.box, self.cladding)
        return slab_index(wl, thickness, *(principal_indices(m, wl, temperature_k) for m in media), te=te)
