"""Technologies: one object per foundry process that feeds both the cells and the models.

A technology is a folder of YAML files and baked tables (``pdk/<name>/``), read by ``technology_files.load``. Names and
drawing data are static (:class:`Platform`); the numbers that light sees are pytree leaves, so a Monte-Carlo sweep is a
``vmap`` over technologies.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from picq.errors import SpecError, nearest
from picq.optics.bend import Bend
from picq.optics.fibre import Tip
from picq.optics.guided import Baked, Point, Solved, interpolation, over_wavelengths
from picq.optics.profile import Profile
from picq.optics.stack import Stack
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
        slab_nm: thickness of the film left beside ribs.
        loss_ln: natural logarithm of the propagation loss over the nominal one.
    """

    width_nm: Any = 0.0
    thickness_nm: Any = 0.0
    gap_nm: Any = 0.0
    temperature_k: Any = 0.0
    slab_nm: Any = 0.0
    loss_ln: Any = 0.0

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
        modes: effective index by mode name (``te0`` …), empty for an electrical cross-section.
        loss_db_cm: propagation loss.
        bend: what curvature does to the light; None for an electrical cross-section.
        name, width, radius, radius_min: drawing data in um; radius is the default of bends.
        sections: further layers drawn along (slab, cladding).
        layer: the layer whose width is ``width`` and whose area LVS measures.
        partial_etch: whether the film's slab is left beside the guide (a rib).
        margin: what the mode solver needs around the guide, um.
    """

    modes: dict[str, Baked | Solved]
    loss_db_cm: Any
    bend: Bend | None
    name: str = field(metadata={"static": True})
    layer: str = field(metadata={"static": True})
    width: float = field(metadata={"static": True})
    radius: float = field(metadata={"static": True})
    radius_min: float = field(metadata={"static": True})
    sections: tuple[Section, ...] = field(metadata={"static": True})
    partial_etch: bool = field(metadata={"static": True})
    margin: float = field(metadata={"static": True})

    @property
    def electrical(self) -> bool:
        """Whether it guides no light."""
        return not self.modes


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pair:
    """Two equal guides side by side.

    Attributes:
        splitting: ln(n_even - n_odd) of the supermodes.
        shift: (n_even + n_odd)/2 less the index of one guide alone.
    """

    splitting: Baked | Solved
    shift: Baked | Solved


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
    film: Stack

    @cached_property
    def rules(self) -> RuleDeck:
        """The technology's DRC deck."""
        return load_deck(self.folder)

    @property
    def default_cross_section(self) -> str:
        """Name of the guide of routes, and of devices that are not told another.

        Raises:
            SpecError: devices.yaml names none.
        """
        name = self.devices.get("every", {}).get("cross_section")
        if name is None:
            raise SpecError(f"{self.name}/devices.yaml names no default guide", remedy="add every: {cross_section: …}")
        return name

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Devices that make no sense on this technology, and why."""
        return self.devices.get("unavailable", {})

    def device_bounds(self, device: str, cross_section: str | None = None) -> dict[str, dict[str, Any]]:
        """Changes that this technology makes to a device's defaults and bounds, by parameter.

        Those of the entry ``<device> on <cross_section>`` take the place of the device's own.
        """
        changes: dict[str, dict[str, Any]] = {}
        for entry in (device, f"{device} on {cross_section}"):
            for name, change in self.devices.get(entry, {}).items():
                if isinstance(change, Mapping):
                    changes[name] = {**changes.get(name, {}), **change}
        return changes

    def device_settings(self, device: str) -> dict[str, Any]:
        """Static settings that this technology chooses for a device."""
        return {k: v for k, v in self.devices.get(device, {}).items() if not isinstance(v, Mapping)}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Technology:
    """A process: cross-sections, couplers and compact data as leaves, names static.

    Attributes:
        cross_sections: by name.
        couplers: coupling of two guides by cross-section name.
        thickness: nominal device-layer thickness, um.
        slab: nominal thickness beside ribs, um; None where there is no partial etch.
        temperature_k: reference temperature.
        data: compact-model numbers by group and name (``heater``, ``grating`` …), units in the names.
        tip: what fibres see of tips at the chip's edge, or None.
        process: this chip's offset from nominal.
        mismatch: offsets per place, leaves of shape [sites] (see ``at_site``), or None.
        platform: names, layers, rules.
    """

    cross_sections: dict[str, CrossSection]
    couplers: dict[str, Pair]
    thickness: Any
    slab: Any
    temperature_k: Any
    data: dict[str, dict[str, Any]]
    tip: Tip | None
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

    def at_site(self, site: Any) -> "Technology":
        """The technology as one site of a device sees it: global plus local offset."""
        if self.mismatch is None:
            return self
        local = jax.tree.map(lambda leaf: leaf[site], self.mismatch)
        return dataclasses.replace(self, process=self.process + local, mismatch=None)

    def lossless(self) -> "Technology":
        """The same technology without propagation, bend and junction loss, and with ideal compact devices."""
        sections = {
            name: dataclasses.replace(xs, loss_db_cm=0.0, bend=xs.bend and xs.bend.lossless())
            for name, xs in self.cross_sections.items()
        }
        data = {
            group: {name: 0.0 if name.endswith(("_db", "_db_cm")) else value for name, value in numbers.items()}
            for group, numbers in self.data.items()
        }
        return dataclasses.replace(self, cross_sections=sections, data=data)

    def cross_section(self, name: str) -> CrossSection:
        """The cross-section of that name, with the propagation loss that it has on this chip.

        Raises:
            SpecError: the technology has none of that name.
        """
        if name not in self.cross_sections:
            raise SpecError(
                f"technology {self.name} has no cross-section '{name}'",
                allowed=", ".join(self.cross_sections),
                remedy=nearest(name, self.cross_sections),
            )
        xs, change = self.cross_sections[name], self.process.loss_ln
        if isinstance(change, float) and change == 0:
            return xs  # drawing needs no arithmetic
        return dataclasses.replace(xs, loss_db_cm=xs.loss_db_cm * jnp.exp(change))

    @property
    def guide_layers(self) -> tuple[Layer, ...]:
        """Layers in which light is guided: those of the optical cross-sections."""
        return tuple(dict.fromkeys(self.layer(x.layer) for x in self.cross_sections.values() if not x.electrical))

    @property
    def metal_layer(self) -> Layer:
        """Layer of wires and pads."""
        return self.layer(self.cross_section("metal").layer)

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

    def n_eff(self, cross_section: str, wl: Any, width: Any = None, mode: str = "te0") -> jax.Array:
        """Effective index on this chip.

        Args:
            cross_section: its name.
            wl: wavelength in um.
            width: drawn width in um; the cross-section's own by default.
            mode: one of those that the technology has solved.

        Raises:
            SpecError: the cross-section guides no light, or the mode is not among those solved.
            NumericsError: a concrete value lies outside the range that was solved; traced ones give NaN there.
        """
        known = self.guide(cross_section).modes
        if mode not in known:
            raise SpecError(
                f"{self.name} has no mode '{mode}' of cross-section '{cross_section}'",
                allowed=", ".join(known),
                remedy="add it to the cross-section's `optics: modes` and run `picq bake`",
            )
        return self._asked(known[mode], cross_section, wl, self.point(cross_section, width))

    def over_wavelengths(self, cross_section: str, wl: Any, evaluate: Callable[[jax.Array], Any]) -> Any:
        """Smooth functions of wavelength at many of them; see ``guided.over_wavelengths``.

        Raises:
            NumericsError: a concrete wavelength lies outside the range that was solved; traced ones give NaN there.
        """
        self.check_width(cross_section, wl)
        return over_wavelengths(evaluate, wl, self.guide(cross_section).modes["te0"].ranges.wl)

    def wavelength_nodes(self, cross_section: str, wl: jax.Array, nodes: int) -> tuple[jax.Array, jax.Array]:
        """The same interpolation in two steps, see ``guided.interpolation``: (wavelengths [n], weights [wl, n])."""
        self.check_width(cross_section, wl)
        return interpolation(wl, self.guide(cross_section).modes["te0"].ranges.wl, nodes)

    def check_width(self, cross_section: str, wl: Any, width: Any = None) -> None:
        """Raise NumericsError where a concrete drawn width (um) or wavelength of te0 lies outside what was solved."""
        ranges = self.guide(cross_section).modes["te0"].ranges
        ranges.check(f"cross-section '{cross_section}' of {self.name}", wl, self.point(cross_section, width))

    def slab_index(self, cross_section: str, wl: Any) -> jax.Array:
        """Effective index (te) of the film without side walls, on this chip: the limit of infinite width."""
        point = self.point(cross_section)
        return self.platform.film.film_index(wl, point.thickness, point.temperature_k)

    def kappa(self, cross_section: str, wl: Any, gap: Any) -> jax.Array:
        """Coupling in rad/um of two guides at a drawn ``gap`` (um), on this chip: pi (n_even - n_odd)/wl.

        Raises:
            NumericsError: a concrete value lies outside the range that was solved; traced ones give NaN there.
        """
        splitting = self.coupler(cross_section).splitting
        log = self._asked(splitting, cross_section, wl, self.point(cross_section, gap=gap))
        return jnp.pi * jnp.exp(log) / wl

    def check_gap(self, cross_section: str, wl: Any, gap: Any) -> None:
        """Raise NumericsError where a concrete drawn gap (um) or wavelength lies outside what was solved."""
        ranges = self.coupler(cross_section).splitting.ranges
        ranges.check(f"cross-section '{cross_section}' of {self.name}", wl, self.point(cross_section, gap=gap))

    def pair_shift(self, cross_section: str, wl: Any, gap: Any) -> jax.Array:
        """Mean index of the supermodes of two guides at a drawn ``gap`` (um) less that of one guide alone."""
        return self._asked(self.coupler(cross_section).shift, cross_section, wl, self.point(cross_section, gap=gap))

    def coupler(self, cross_section: str) -> Pair:
        """The coupling of two guides of that cross-section.

        Raises:
            SpecError: it was not solved.
        """
        if cross_section not in self.couplers:
            raise SpecError(
                f"technology {self.name} has no coupling data for cross-section '{cross_section}'",
                allowed=", ".join(self.couplers),
                remedy="give the cross-section a range of gaps in `optics` and run `picq bake`",
            )
        return self.couplers[cross_section]

    def guide(self, name: str) -> CrossSection:
        """The cross-section of that name, which has to guide light.

        Raises:
            SpecError: there is none, or it guides no light.
        """
        xs = self.cross_section(name)
        if xs.electrical:
            raise SpecError(f"cross-section '{name}' of {self.name} guides no light")
        return xs

    def bend(self, cross_section: str) -> Bend:
        """What curvature does to a guide.

        Raises:
            SpecError: it was not solved.
        """
        bend = self.guide(cross_section).bend
        if bend is None:
            raise SpecError(
                f"technology {self.name} has no bends of cross-section '{cross_section}'",
                remedy=f"run `picq bake {self.name}`",
            )
        return bend

    def point(self, cross_section: str, width: Any = None, gap: Any = None) -> Point:
        """Geometry and temperature of a guide (of two at a drawn ``gap``) as this chip has them, um and K."""
        xs = self.guide(cross_section)
        grown = 1e-3 * self.process.width_nm
        return Point(
            width=(xs.width if width is None else width) + grown,
            thickness=self.thickness + 1e-3 * self.process.thickness_nm,
            slab=self.slab + 1e-3 * self.process.slab_nm if xs.partial_etch else None,
            gap=None if gap is None else gap + 1e-3 * self.process.gap_nm - grown,
            temperature_k=self.temperature_k + self.process.temperature_k,
        )

    def profile(self, cross_section: str, width: Any = None, gap: Any = None, *, whole: bool = False) -> Profile:
        """Cross-section for the mode solver (``optics.modes.solve``) as this chip has it; see ``profile.guide``."""
        p = self.point(cross_section, width, gap)
        margin = self.guide(cross_section).margin
        return self.platform.film.profile(p.width, p.thickness, p.slab, gap=p.gap, whole=whole, margin=margin)

    def _asked(self, quantity: Baked | Solved, cross_section: str, wl: Any, point: Point) -> jax.Array:
        quantity.ranges.check(f"cross-section '{cross_section}' of {self.name}", wl, point)
        return quantity(wl, point)

    def pdk(self) -> "gf.Pdk":
        """An ordinary gdsfactory Pdk with picq's cells, and models for ``sax.circuit``."""
        from picq.layout import pdk

        return pdk(self)
