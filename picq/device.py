"""Devices: frozen pytrees whose leaves are the design variables and whose cell and model share them.

A device is a frozen dataclass decorated with :func:`device`. Fields made by :func:`param` are pytree leaves (numbers
that an optimiser may move); fields made by :func:`setting` are static (they change the topology or the drawing).
"""

import dataclasses
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, dataclass_transform

import jax
import numpy as np

from picq.errors import SpecError, nearest
from picq.sdict import SDict

if TYPE_CHECKING:
    import gdsfactory as gf

    from picq.technology import Technology

D = TypeVar("D", bound="Device")


class Bounds(NamedTuple):
    """Default and closed interval of one parameter, and the step in which a mask can hold it (0: continuous)."""

    default: Any
    lower: float
    upper: float
    unit: str
    step: float


def param(*, default: Any, lower: float, upper: float, unit: str, doc: str = "", step: float = 0.0) -> Any:
    """A design variable: a float or a tuple of floats, every element within [lower, upper].

    Args:
        default: value, or tuple of values; None where the technology decides (the cross-section's own width …).
        lower: smallest allowed value, in ``unit``.
        upper: largest allowed value, in ``unit``.
        unit: ``um``, ``mw``, ``1`` …
        doc: one line for listings.
        step: multiples in which the mask can hold the value (um); 0 when no mask shape depends on it.
    """
    meta = {"kind": "param", "bounds": Bounds(default, lower, upper, unit, step), "doc": doc}
    return dataclasses.field(default=default, metadata=meta)


def setting(*, default: Any, doc: str = "") -> Any:
    """A static choice of a device (a cross-section name, a count): part of its structure, not differentiable."""
    return dataclasses.field(default=default, metadata={"kind": "setting", "doc": doc})


@dataclass_transform(frozen_default=True, field_specifiers=(param, setting))
def device(cls: type[D]) -> type[D]:
    """Make ``cls`` a frozen dataclass and a pytree: ``param`` fields are leaves, ``setting`` fields are static."""
    made = dataclasses.dataclass(frozen=True)(cls)
    kinds = {f.name: f.metadata.get("kind") for f in dataclasses.fields(made)}
    unknown = [name for name, kind in kinds.items() if kind not in ("param", "setting")]
    if unknown:
        raise TypeError(f"{cls.__name__}: fields {unknown} are made by neither param() nor setting()")
    return jax.tree_util.register_dataclass(
        made,
        data_fields=[name for name, kind in kinds.items() if kind == "param"],
        meta_fields=[name for name, kind in kinds.items() if kind == "setting"],
    )


class Device:
    """Base of all devices. Subclasses give ``ports``, ``model``, ``cell`` and ``paths``.

    Class attributes:
        name: the name under which catalogues, specs and gdsfactory know the device.
        ports: names of the optical ports, in order.
        lossless_is_unitary: whether the model conserves energy when all losses of the technology are zero.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]
    lossless_is_unitary: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check concrete values against their bounds; traced values pass unseen.

        Raises:
            SpecError: a value has the wrong type or lies outside its bounds.
        """
        for field in dataclasses.fields(self):
            if field.metadata["kind"] != "param":
                continue
            value, bounds = getattr(self, field.name), field.metadata["bounds"]
            where = f"{self.name}.{field.name}"
            if isinstance(bounds.default, tuple) and isinstance(value, (list, tuple)):
                checked: Any = tuple(_number(v, f"{where}[{i}]", bounds) for i, v in enumerate(value))
            else:
                checked = _number(value, where, bounds)
            object.__setattr__(self, field.name, checked)

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the places in the device that fabrication varies independently (see ``Technology.at_site``)."""
        return ("",)

    def tracks(self, tech: "Technology") -> tuple[dict[int, Any], ...]:
        """Groups of sites that lie along paths side by side: points [point, 2] in um, at equal distances along each
        path and as many on all, by number of the site. None by default."""
        return ()

    def extent(self, tech: "Technology") -> tuple[Any, Any] | None:
        """(width, height) in um of the rectangle around the mask, differentiable; None where it is not known."""
        return None

    def model(self, wl: jax.Array, tech: "Technology") -> SDict:
        """S-parameters {(in, out): complex [wl]} at wavelengths ``wl`` in um."""
        raise NotImplementedError

    def cell(self, tech: "Technology") -> "gf.Component":
        """The mask, as a new gdsfactory component with the same ports as the model."""
        raise NotImplementedError

    def paths(self, tech: "Technology") -> dict[str, Any]:
        """Lengths in um that the model's phase used, by segment; LVS measures the same segments on the mask."""
        raise NotImplementedError

    def as_measured(self: D, mask: Mapping[str, tuple[float, float]], tech: "Technology") -> D:
        """The device as a mask holds it.

        Args:
            mask: (length of the walls, mean width) in um by segment, as LVS measured them; segments may be missing.
            tech: the nominal technology.

        Returns:
            A copy whose model has the mask's lengths and widths; a device that cannot take them is returned as it is.
        """
        return self

    def mask_figures(self: D, measured: D, tech: "Technology") -> dict[str, float]:
        """What ``as_measured`` changed, as figures; units in the names."""
        return {}

    def notes(self, tech: "Technology") -> tuple[str, ...]:
        """Sentences for the report: what the model cannot know, with numbers and sources."""
        return ()

    def about(self, tech: "Technology") -> dict[str, float]:
        """Figures of the device itself on ``tech``, units in the names."""
        return {}

    def waivers(self, tech: "Technology") -> dict[str, str]:
        """Kinds of design rules (``signoff.rules.KINDS``) whose findings within the device are accepted, and why."""
        return {}

    def rebiased(self: D, wl0: float, tech: "Technology", nominal: "Technology", like: D | None = None) -> D:
        """The device as an operator trims it: heaters set so that each stage has its nominal phase at ``wl0``.

        Args:
            wl0: wavelength at which phases are aligned, um.
            tech: the chip as fabricated (process and mismatch).
            nominal: the technology that the device was designed on.
            like: of the same class, with other dimensions: its phases on ``nominal`` are wanted, not the device's own.

        Returns:
            A copy with other heater powers, within their limits; a device without heaters is returned as it is.
        """
        return self

    def replace(self: D, **values: Any) -> D:
        """A copy with some fields changed."""
        check_names(type(self), values)
        return dataclasses.replace(self, **values)

    def settings(self) -> dict[str, Any]:
        """Every field as plain Python values: what a cell is drawn from."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @classmethod
    def on(cls: type[D], tech: "Technology", **values: Any) -> D:
        """The device with the technology's own defaults, and ``values`` on top.

        Raises:
            SpecError: the technology does not offer the device, a name is unknown, or a value lies outside the
                technology's bounds.
        """
        check_available(cls, tech)
        check_names(cls, values)
        own = {f.name for f in dataclasses.fields(cls)}
        shared = {k: v for k, v in tech.platform.device_settings("every").items() if k in own}
        settings = {**shared, **tech.platform.device_settings(cls.name), **values}
        defaults = {name: b.default for name, b in bounds(cls, tech, settings.get("cross_section")).items()}
        chosen = cls(**{**defaults, **settings})
        check_bounds(chosen, tech)
        return chosen

    def snapped(self: D) -> D:
        """The device as a mask can hold it: every parameter with a step, rounded to a multiple of it."""
        values = {}
        for name, b in bounds(type(self)).items():
            if b.step > 0:
                value = getattr(self, name)
                if value is not None:
                    snap = lambda v, step=b.step: round(round(float(v) / step) * step, 9)
                    values[name] = tuple(map(snap, value)) if isinstance(value, tuple) else snap(value)
        return self.replace(**values)


def bounds(kind: type[Device], tech: "Technology | None" = None, cross_section: str | None = None) -> dict[str, Bounds]:
    """Bounds of every parameter of a device class, tightened by the technology where it says so.

    Args:
        kind: the class.
        tech: the technology; None: the class's own bounds.
        cross_section: name of the guide, where the technology has other bounds for it than for its default.
    """
    own = {f.name: f.metadata["bounds"] for f in dataclasses.fields(kind) if f.metadata["kind"] == "param"}
    if tech is None:
        return own
    for name, change in tech.platform.device_bounds(kind.name, cross_section).items():
        if name not in own:
            raise SpecError(
                f"{tech.name}/devices.yaml: unknown parameter '{kind.name}.{name}'",
                allowed=", ".join(own),
                remedy=nearest(name, own),
            )
        own[name] = own[name]._replace(**change)
    return own


def check_available(kind: type[Device], tech: "Technology") -> None:
    """Raise SpecError when the technology says that the device makes no sense on it."""
    reason = tech.platform.unavailable.get(kind.name)
    if reason is not None:
        remedy = "use another technology or another device"
        raise SpecError(f"{kind.name} is not available on {tech.name}: {reason}", remedy=remedy)


def check_bounds(dev: Device, tech: "Technology") -> None:
    """Raise SpecError when a concrete value of ``dev`` lies outside the technology's bounds."""
    for name, b in bounds(type(dev), tech, getattr(dev, "cross_section", None)).items():
        value = getattr(dev, name)
        for i, v in enumerate(value) if isinstance(value, tuple) else ((None, value),):
            _number(v, f"{dev.name}.{name}" + ("" if i is None else f"[{i}]"), b, f" on {tech.name}")


def check_names(kind: type[Device], values: Mapping[str, Any]) -> None:
    """Raise SpecError when ``values`` names a field that the device class does not have."""
    known = [f.name for f in dataclasses.fields(kind)]
    for name in values:
        if name not in known:
            raise SpecError(
                f"{kind.name}: unknown parameter '{name}'", allowed=", ".join(known), remedy=nearest(name, known)
            )


def _number(value: Any, where: str, b: Bounds, place: str = "") -> Any:
    if value is None and b.default is None:
        return None
    if isinstance(value, (str, bool)) or value is None:
        raise SpecError(f"{where} is not a number", got=repr(value), allowed=f"a number in {b.unit}")
    if not isinstance(value, numbers.Real):
        return value
    value = float(value)
    if not np.isfinite(value) or not b.lower - 1e-12 <= value <= b.upper + 1e-12:
        raise SpecError(
            f"{where} is outside its bounds{place}",
            got=f"{value:g} {b.unit}",
            allowed=f"{b.lower:g} … {b.upper:g} {b.unit}",
            remedy=f"choose a value within the bounds (default {b.default} {b.unit})",
        )
    return value
