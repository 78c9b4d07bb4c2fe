"""The only home of gdsfactory's global state: the active Pdk with its cells, and its cell cache."""

import inspect
from collections.abc import Callable
from typing import Any

import gdsfactory as gf
import jax
import jax.numpy as jnp
import kfactory as kf
import numpy as np
from gdsfactory.cross_section import xsection
from gdsfactory.technology import LayerView, LayerViews

from picq import catalogue
from picq.device import Device, bounds, check_available, check_bounds, check_names
from picq.errors import SpecError
from picq.signoff.drc import Waiver
from picq.technology import CrossSection, Process, Technology


def build(device: Device, tech: Technology) -> gf.Component:
    """The device's mask on ``tech``; the same device is drawn once.

    Raises:
        SpecError: the technology does not offer the device, or a value lies outside its bounds.
    """
    check_available(type(device), tech)
    active = activate(tech)
    if catalogue.devices().get(device.name) is type(device):
        return active.cells[device.name](**device.settings())
    check_bounds(device, tech)
    return device.cell(tech)


_STRADDLE = 0.02
"""How far markers of joints reach beyond the cell whose port it is, um: twice what the check draws."""


def waivers(device: Device, tech: Technology, cell: gf.Component | gf.ComponentReference) -> tuple[Waiver, ...]:
    """Findings that a device accepts within its own outline, wherever it is placed, markers of its joints included."""
    box = cell.dbbox().enlarged(_STRADDLE)
    return tuple(
        Waiver(rule.id, reason, box=(box.left, box.bottom, box.right, box.top))
        for kind, reason in device.waivers(tech).items()
        for rule in tech.platform.rules.rules
        if rule.kind == kind
    )


_PDKS: dict[Any, gf.Pdk] = {}


def activate(tech: Technology) -> gf.Pdk:
    """Make the technology's Pdk the active one and return it."""
    wanted = pdk(tech)
    try:
        active = gf.get_active_pdk()
    except ValueError:  # none is
        active = None
    if active is not wanted:
        wanted.activate(force=True)  # gdsfactory takes two Pdks of one name for the same
    return wanted


def pdk(tech: Technology) -> gf.Pdk:
    """The technology as a gdsfactory Pdk: cells, models, cross-sections, layers. One for each set of numbers."""
    nominal = tech.at(Process()).with_mismatch(None)
    leaves, structure = jax.tree.flatten(nominal)
    key = (structure, *(np.asarray(leaf, float).tobytes() for leaf in leaves))
    if key not in _PDKS:
        _PDKS[key] = _made_pdk(nominal)
    return _PDKS[key]


def _made_pdk(tech: Technology) -> gf.Pdk:
    name = tech.name
    kinds = {n: kind for n, kind in catalogue.devices().items() if n not in tech.platform.unavailable}
    sections: dict[str, Any] = {}
    default_names: dict[str, str] = {}
    for xs in tech.cross_sections.values():
        xsection(_cross_section_factory(xs), sections, default_names)
    layers = tech.platform.layers
    infos = {n: kf.kdb.LayerInfo(*pair, n) for n, pair in layers.items()}
    colours = tech.platform.layer_colours
    return gf.Pdk(
        name=name,
        layers=kf.layer.layerenum_from_dict(kf.LayerInfos(**infos), name=name.upper(), layout=gf.kcl.layout),
        layer_views=LayerViews(
            layer_views={n: LayerView(name=n, layer=pair, color=colours[n]) for n, pair in layers.items()}
        ),
        cross_sections=sections,
        cross_section_default_names=default_names,
        cells={n: _cell_function(kind, tech) for n, kind in kinds.items()}
        | {"wire_corner": _own_copy(gf.components.wire_corner)},
        models={n: model_function(kind, tech) for n, kind in kinds.items()},
        bend_points_distance=0.1,
        max_cellname_length=32,
    )


def _cross_section_factory(xs: CrossSection) -> Callable[..., gf.CrossSection]:
    kind, prefix = ("electrical", "e") if xs.electrical else ("optical", "o")

    def factory(width: float = xs.width, radius: float = xs.radius, **kwargs: Any) -> gf.CrossSection:
        return gf.cross_section.cross_section(
            width=width,
            layer=xs.layer,
            radius=radius,
            radius_min=xs.radius_min,
            sections=tuple(
                gf.Section(width=s.width - xs.width + width, offset=s.offset, layer=s.layer, name=s.layer)
                for s in xs.sections
            ),
            port_names=(f"{prefix}1", f"{prefix}2"),
            port_types=(kind, kind),
            **kwargs,
        )

    factory.__name__ = xs.name
    return factory


def _own_copy(cell: Callable[..., gf.Component]) -> Callable[..., gf.Component]:
    """A cell of gdsfactory with a cache of its own: cross-sections of one name differ between technologies."""
    return gf.cell_with_module_name(inspect.unwrap(cell), layout_cache=False)  # pyright: ignore


def _cell_function(kind: type[Device], tech: Technology) -> Callable[..., gf.Component]:
    """``kind`` as a gdsfactory cell: a function of its parameters, with the technology's defaults."""

    def draw(**settings: Any) -> gf.Component:
        chosen = {k: v for k, v in settings.items() if v is not None}
        if "cross_section" in chosen:
            chosen["cross_section"] = _section_name(chosen["cross_section"], tech)
        return kind.on(tech, **chosen).cell(tech)

    defaults = kind.on(tech).settings()
    defaults |= {"sha256": ""} if "sha256" in defaults else {}  # of the default's file, while a caller may give another
    parameters = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=v) for n, v in defaults.items()]
    draw.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    draw.__name__ = draw.__qualname__ = kind.name
    draw.__doc__ = kind.__doc__
    cell: Any = gf.cell(draw, check_instances=kf.conf.CheckInstances.IGNORE, layout_cache=False)  # pyright: ignore[reportCallIssue]

    wire = _own_copy(gf.components.straight) if kind.name == "straight" else None

    def strict(**settings: Any) -> gf.Component:
        section = settings.get("cross_section", defaults.get("cross_section"))
        if wire is not None and tech.cross_section(_section_name(section, tech)).electrical:
            return wire(**settings)  # routers ask for wires by the same name
        check_names(kind, settings)
        return cell(**settings)

    strict.__name__ = strict.__qualname__ = kind.name
    strict.__doc__ = kind.__doc__
    strict.__signature__ = draw.__signature__  # pyright: ignore[reportFunctionMemberAccess]
    return strict


def model_function(kind: type[Device], tech: Technology) -> Callable[..., Any]:
    """``kind`` as a SAX model: ``f(*, wl=..., <parameters>) -> {(in, out): complex}``.

    SAX hands over wavelengths in um; an unknown setting raises SpecError instead of being dropped.
    """

    def model(*, wl: Any = 1.55, **settings: Any) -> Any:
        chosen = {k: v for k, v in settings.items() if v is not None}
        check_names(kind, chosen)
        # static choices may decide about other defaults; numbers may be traced
        static = {k: v for k, v in chosen.items() if k not in numbers}
        made = kind.on(tech, **static) if static else default
        return made.replace(**{k: v for k, v in chosen.items() if k in numbers}).model(jnp.asarray(wl, float), tech)

    default, numbers = kind.on(tech), bounds(kind)
    defaults = default.settings()
    parameters = [inspect.Parameter("wl", inspect.Parameter.KEYWORD_ONLY, default=1.55)]
    parameters += [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=v) for n, v in defaults.items()]
    model.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    model.__name__ = model.__qualname__ = kind.name
    model.__doc__ = kind.__doc__
    return model


def _section_name(spec: Any, tech: Technology) -> str:
    """Our name for whatever gdsfactory hands over as a cross-section."""
    name = spec if isinstance(spec, str) else gf.get_cross_section(spec).name
    if name not in tech.cross_sections:
        raise SpecError(
            f"cells of {tech.name} are drawn in its own cross-sections",
            got=name,
            allowed=", ".join(tech.cross_sections),
            remedy="name one of them; to widen a guide, use the cell's width parameter",
        )
    return name
