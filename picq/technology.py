"""Technologies: one object per foundry process that feeds both the cells and the models.

A technology is a folder of YAML files (``pdk/<name>/``), read by :func:`load`. Names and drawing data are static
(:class:`Platform`); the numbers that light sees are pytree leaves, so a Monte-Carlo sweep is a ``vmap`` over
technologies.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import yaml
from jax.core import Tracer

from picq.errors import NumericsError, SpecError, nearest
from picq.optics.coupler import ExpandedSplitting, fit_gap
from picq.optics.waveguide import ExpandedIndex, hermite_coefficients
from picq.signoff.rules import RuleDeck, load_deck

if TYPE_CHECKING:
    import gdsfactory as gf

Layer = tuple[int, int]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Process:
    """How far a chip, or one place on it, lies from nominal.

    Attributes:
        width_nm: drawn silicon edges move outwards by half of this on each side; gaps close by it.
        thickness_nm: device-layer thickness.
        gap_nm: change of coupler gaps on top of what the width does.
        temperature_k: chip temperature above the technology's reference.
    """

    width_nm: Any = 0.0
    thickness_nm: Any = 0.0
    gap_nm: Any = 0.0
    temperature_k: Any = 0.0

    def __add__(self, other: "Process") -> "Process":
        return jax.tree.map(jnp.add, self, other)


@dataclass(frozen=True)
class Section:
    """What a cross-section draws: one layer at a width and offset about the centre line, um."""

    layer: str
    width: float
    offset: float = 0.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CrossSection:
    """One guide, for the mask and for the light.

    Attributes:
        index: effective-index model, None for an electrical cross-section.
        loss_db_cm: propagation loss.
        bend_index_um2: n_eff rises by this over R² in a bend of radius R.
        bend_mismatch_db_um2: power lost at a straight-to-bend junction, times R².
        name, width, radius, radius_min: drawing data in um; radius is the default of bends.
        sections: further layers drawn along (slab, cladding).
        layer: the layer whose width is ``width`` and whose area LVS measures.
    """

    index: ExpandedIndex | None
    loss_db_cm: Any
    bend_index_um2: Any
    bend_mismatch_db_um2: Any
    name: str = field(metadata={"static": True})
    layer: str = field(metadata={"static": True})
    width: float = field(metadata={"static": True})
    radius: float = field(metadata={"static": True})
    radius_min: float = field(metadata={"static": True})
    sections: tuple[Section, ...] = field(metadata={"static": True})
    electrical: bool = field(metadata={"static": True})


@dataclass(frozen=True, eq=False)
class Platform:
    """The static part of a technology: everything that a jitted model may treat as constant. Compared by identity."""

    name: str
    folder: Path
    layers: Mapping[str, Layer]
    layer_colours: Mapping[str, str]
    stack: Mapping[str, Any]
    variation: Mapping[str, Any]
    devices: Mapping[str, Mapping[str, Any]]

    @cached_property
    def rules(self) -> RuleDeck:
        """The technology's DRC deck."""
        return load_deck(self.folder)

    def device_bounds(self, device: str) -> dict[str, dict[str, Any]]:
        """Changes that this technology makes to a device's defaults and bounds."""
        return {k: dict(v) for k, v in self.devices.get(device, {}).items() if isinstance(v, Mapping)}

    def device_settings(self, device: str) -> dict[str, Any]:
        """Static settings that this technology chooses for a device."""
        return {k: v for k, v in self.devices.get(device, {}).items() if not isinstance(v, Mapping)}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Technology:
    """A process: cross-sections, couplers and compact data as leaves, names static.

    Attributes:
        cross_sections: by name.
        couplers: supermode splitting by cross-section name.
        thickness: nominal device-layer thickness, um.
        temperature_k: reference temperature.
        n_clad: cladding index.
        data: compact-model numbers by group and name (``heater``, ``grating`` …), units in the names.
        process: this chip's offset from nominal.
        mismatch: offsets per place, leaves of shape [sites] (see ``at_site``), or None.
        platform: names, layers, rules.
    """

    cross_sections: dict[str, CrossSection]
    couplers: dict[str, ExpandedSplitting]
    thickness: Any
    temperature_k: Any
    n_clad: Any
    data: dict[str, dict[str, Any]]
    process: Process
    mismatch: Process | None
    platform: Platform = field(metadata={"static": True})

    @property
    def name(self) -> str:
        """The technology's name, e.g. ``soi220``."""
        return self.platform.name

    def at(self, process: Process) -> "Technology":
        """The same technology on a chip that lies ``process`` from nominal."""
        return dataclasses.replace(self, process=process)

    def with_mismatch(self, mismatch: Process | None) -> "Technology":
        """The same technology with local offsets, leaves of shape [sites]."""
        return dataclasses.replace(self, mismatch=mismatch)

    def at_site(self, site: int) -> "Technology":
        """The technology as one site of a device sees it: global plus local offset."""
        if self.mismatch is None:
            return self
        local = jax.tree.map(lambda leaf: leaf[site], self.mismatch)
        return dataclasses.replace(self, process=self.process + local, mismatch=None)

    def lossless(self) -> "Technology":
        """The same technology without propagation, bend and junction loss, and with ideal compact devices."""
        sections = {
            name: dataclasses.replace(xs, loss_db_cm=0.0, bend_mismatch_db_um2=0.0)
            for name, xs in self.cross_sections.items()
        }
        data = {
            group: {name: 0.0 if name.endswith(("_db", "_db_cm")) else value for name, value in numbers.items()}
            for group, numbers in self.data.items()
        }
        return dataclasses.replace(self, cross_sections=sections, data=data)

    def cross_section(self, name: str) -> CrossSection:
        """The cross-section of that name.

        Raises:
            SpecError: the technology has none of that name.
        """
        if name not in self.cross_sections:
            raise SpecError(
                f"technology {self.name} has no cross-section '{name}'",
                allowed=", ".join(self.cross_sections),
                remedy=nearest(name, self.cross_sections),
            )
        return self.cross_sections[name]

    def layer(self, name: str) -> Layer:
        """(layer, datatype) by name.

        Raises:
            SpecError: the technology has no layer of that name.
        """
        if name not in self.platform.layers:
            raise SpecError(
                f"technology {self.name} has no layer '{name}'",
                allowed=", ".join(self.platform.layers),
                remedy=nearest(name, self.platform.layers),
            )
        return self.platform.layers[name]

    def n_eff(self, cross_section: str, wl: Any, width: Any = None) -> jax.Array:
        """Effective index on this chip.

        Args:
            cross_section: its name.
            wl: wavelength in um.
            width: drawn width in um; the cross-section's own by default.

        Raises:
            NumericsError: a concrete wavelength or width lies outside the range of the index model.
        """
        xs = self.cross_section(cross_section)
        if xs.index is None:
            raise SpecError(f"cross-section '{cross_section}' of {self.name} guides no light")
        width = xs.width if width is None else width
        made = width + 1e-3 * self.process.width_nm
        _inside(wl, xs.index.wl_range, f"wavelength of {self.name}.{cross_section}")
        _inside(made, xs.index.width_range, f"width of {self.name}.{cross_section}")
        return xs.index.n_eff(wl, made, *self._film())

    def slab_index(self, cross_section: str, wl: Any) -> jax.Array:
        """Effective index of the film without side walls, on this chip: the limit of infinite width."""
        xs = self.cross_section(cross_section)
        if xs.index is None:
            raise SpecError(f"cross-section '{cross_section}' of {self.name} guides no light")
        return xs.index.n_eff(wl, jnp.inf, *self._film())

    def kappa(self, cross_section: str, wl: Any, gap: Any) -> jax.Array:
        """Coupling in rad/um of two waveguides at a drawn ``gap`` (um), on this chip.

        Raises:
            NumericsError: a concrete gap lies outside the range of the coupling model.
        """
        _inside(gap, self.coupler(cross_section).gap_range, f"gap of {self.name}.{cross_section}")
        return self.coupler(cross_section).kappa(wl, *self.coupler_geometry(cross_section, gap))

    def coupler(self, cross_section: str) -> ExpandedSplitting:
        """The coupling model of two waveguides of that cross-section."""
        if cross_section not in self.couplers:
            raise SpecError(
                f"technology {self.name} has no coupling data for cross-section '{cross_section}'",
                allowed=", ".join(self.couplers),
            )
        return self.couplers[cross_section]

    def coupler_geometry(self, cross_section: str, gap: Any) -> tuple[Any, Any, Any]:
        """(gap, width, thickness) in um as fabricated."""
        made_gap = gap + 1e-3 * (self.process.gap_nm - self.process.width_nm)
        made_width = self.cross_section(cross_section).width + 1e-3 * self.process.width_nm
        return made_gap, made_width, self._film()[0]

    def _film(self) -> tuple[Any, Any]:
        return self.thickness + 1e-3 * self.process.thickness_nm, self.temperature_k + self.process.temperature_k

    def pdk(self) -> "gf.Pdk":
        """An ordinary gdsfactory Pdk with picq's cells, and models for ``sax.circuit``."""
        from picq.layout import pdk

        return pdk(self)


def _inside(value: Any, allowed: tuple[float, float], what: str) -> None:
    if isinstance(value, Tracer):
        return
    values = np.asarray(value, float)
    if values.size and (values.min() < allowed[0] - 1e-12 or values.max() > allowed[1] + 1e-12):
        raise NumericsError(
            f"{what} lies outside the range of its index model",
            got=f"{values.min():g} … {values.max():g} um",
            allowed=f"{allowed[0]:g} … {allowed[1]:g} um",
            remedy="stay inside the range: the model does not extrapolate",
        )


def load(folder: Path) -> Technology:
    """Read a technology from its folder of YAML files.

    Raises:
        SpecError: a file is missing or does not say what it has to.
        NumericsError: float64 is off.
    """
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise NumericsError(
            "picq needs float64: in float32 the phase of light is wrong by 0.014 rad per cm",
            remedy='run jax.config.update("jax_enable_x64", True) before anything else, or set JAX_ENABLE_X64=1',
        )
    layers = _read(folder, "layers")
    stack = _read(folder, "stack")
    platform = Platform(
        name=folder.name,
        folder=folder,
        layers={name: (d["layer"], d["datatype"]) for name, d in layers.items()},
        layer_colours={name: d["colour"] for name, d in layers.items()},
        stack=stack,
        variation=_read(folder, "variation"),
        devices=_read(folder, "devices"),
    )
    n_clad = _read(folder, "materials")[stack["cladding"]["material"]]["n"]
    reference = {"thickness0": stack["device"]["thickness_um"], "temperature0_k": stack["temperature_k"]}
    sections, couplers = {}, {}
    for name, d in _read(folder, "cross_sections").items():
        sections[name] = _cross_section(name, d, reference)
        if "coupling" in d:
            couplers[name] = _splitting(d["coupling"], sections[name], n_clad)
    data = {
        group: {name: entry["value"] for name, entry in entries.items()}
        for group, entries in _read(folder, "compact").items()
    }
    return Technology(
        cross_sections=sections,
        couplers=couplers,
        thickness=reference["thickness0"],
        temperature_k=reference["temperature0_k"],
        n_clad=n_clad,
        data=data,
        process=Process(),
        mismatch=None,
        platform=platform,
    )


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.yaml"
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise SpecError(f"technology '{folder.name}' has no file {name}.yaml") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{folder.name}/{name}.yaml is not YAML", got=str(error)) from None


def _cross_section(name: str, d: Mapping[str, Any], reference: Mapping[str, float]) -> CrossSection:
    index = None
    if "index" in d:
        i = d["index"]
        points = [(0.0 if p["width"] == "slab" else 1 / p["width"], p) for p in i["points"]]
        slope = lambda u, p: 0.0 if u == 0 else -p["dn_dwidth"] / u**2  # dn/du = -w² dn/dw; flat at u = 0
        flat = lambda u: 0.0 if u == 0 else None
        index = ExpandedIndex(
            index=jnp.asarray(hermite_coefficients([(u, p["n_eff"], slope(u, p)) for u, p in points])),
            group=jnp.asarray(hermite_coefficients([(u, p["n_group"], flat(u)) for u, p in points])),
            thickness_slope=jnp.asarray(hermite_coefficients([(u, p["dn_dthickness"], flat(u)) for u, p in points])),
            dn_dtemperature_k=i["dn_dtemperature_k"],
            wl0=i["wl0"],
            wl_range=tuple(i["wl_range"]),
            width_range=tuple(i["width_range"]),
            **reference,
        )
    return CrossSection(
        index=index,
        loss_db_cm=d.get("loss_db_cm", 0.0),
        bend_index_um2=d.get("bend_index_um2", 0.0),
        bend_mismatch_db_um2=d.get("bend_mismatch_db_um2", 0.0),
        name=name,
        layer=d["layer"],
        width=d["width"],
        radius=d["radius"],
        radius_min=d["radius_min"],
        sections=tuple(Section(**s) for s in d.get("sections", ())),
        electrical=index is None,
    )


def _splitting(d: Mapping[str, Any], xs: CrossSection, n_clad: float) -> ExpandedSplitting:
    gaps, splittings = np.array(d["gaps"]), np.array(d["splittings"])
    fit, _ = fit_gap(gaps, splittings)
    assert xs.index is not None
    return ExpandedSplitting(
        fit=jnp.asarray(fit),
        slopes=jnp.asarray([d["dln_dwidth"], d["dln_dthickness"], d["dln_dwl"]]),
        curvature_wl=d["d2ln_dwl2"] / 2,
        gap0=d["gap0"],
        width0=d["width0"],
        n_clad=n_clad,
        waveguide=xs.index,
        gap_range=(float(gaps[0]), float(gaps[-1])),
    )
