"""What is left open in an arrayed-waveguide grating and follows from the rest, and what in it is impossible."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.core import Tracer

from picq.design import awg as design
from picq.design.horseshoe import smallest
from picq.errors import SpecError
from picq.optics.horseshoe import Horseshoe
from picq.technology import Technology

if TYPE_CHECKING:
    from .awg import Awg

ARRAYS = ("rectangular", "horseshoe", "s_shaped")
FLAT_TOPS = ("mmi", "parabolic")
RESERVE_UM = 2.0
"""Least straight between bends and transitions (assumed)."""


def completed(dev: "Awg", tech: Technology) -> "Awg":
    """The device with everything that was left open.

    Raises:
        SpecError: what is given contradicts itself, or is impossible together.
    """
    _check_request(dev)
    xs, own = tech.guide(dev.cross_section), tech.data["awg"]
    spacing = 200.0 if dev.spacing_ghz is None and dev.spacing_nm is None else dev.spacing_ghz
    width = xs.width if dev.width_arm is None else dev.width_arm
    if dev.array == "horseshoe" and abs(width - xs.width) > 1e-9:
        raise SpecError(
            "awg: arms of a horseshoe are all bends, of one width: of two, the comb would be blurred off its middle",
            got=f"width_arm {width:g} um",
            allowed=f"{xs.width:g} um, that of the cross-section",
            remedy="leave width_arm out, or choose array: rectangular or s_shaped",
        )
    step = 0.0 if abs(width - xs.width) < 1e-9 else dev.length_step
    found = dev.replace(spacing_ghz=spacing, width_arm=width, length_step=step)
    n = design.indices(dev.base(tech), dev.cross_section, found.comb.wl0, width)
    asked = design.Grating(
        dev.order, dev.delta_length, dev.focal_length, dev.width_io, dev.arms or len(dev.offsets) or None, dev.fsr_ghz
    )
    grating = asked.completed(n, found.comb, dev.pitch, dev.gap, dev.pitch_io, float(own["width_io_um"]))
    return _arranged(found.replace(**grating._asdict()), tech)


def _arranged(dev: "Awg", tech: Technology) -> "Awg":
    """The device with a shape of its array and the place of every arm."""
    least, pitch, arms = _least_distance(dev, tech), None, dev.arms
    array = dev.array or (
        "s_shaped" if dev.heaters else None
    )  # elsewhere levels are as close as the increment has them
    if array != "horseshoe":
        start = dev.length_taper + dev.length_step + 2 * RESERVE_UM
        wanted = max(least, dev.width_arm + float(tech.data["awg"]["space_um"]))
        bend = tech.guide(dev.cross_section).radius
        fan = design.Fan(arms, dev.pitch, dev.focal_length, start, bend, dev.delta_length, least, wanted)
        array, pitch = fan.arrangement(array, dev.arm_pitch)
        arms += arms % 2 if array == "s_shaped" else 0
    offsets = (*dev.offsets, *(0.0,) * (arms - len(dev.offsets)))
    powers = (dev.powers_mw or (0.0,) * arms) if dev.heaters else ()
    found = dev.replace(array=array, arm_pitch=pitch, arms=arms, offsets=offsets, powers_mw=powers)
    if array != "horseshoe":
        return found
    tilt = None if dev.tilt_deg is None else float(np.deg2rad(dev.tilt_deg))
    given = (tilt, dev.half_span, dev.half_length)
    if None not in given:
        return found
    recipe = found.recipe(tech)
    place = smallest(recipe, least, float(recipe.apart), given)
    return found.replace(
        tilt_deg=float(np.rad2deg(place.tilt)), half_span=place.half_span, half_length=place.half_length
    )


def _least_distance(dev: "Awg", tech: Technology) -> float:
    """Of the axes of neighbouring arms, um, by light that couples over."""
    return dev.width_arm + float(tech.data["awg"]["space_least_um"])


def heater_pitch(tech: Technology) -> Any:
    """Least distance of the axes of neighbouring levels with heaters, um: contacts and the rules' space."""
    layers = {tech.cross_section(name).layer for name in ("heater", "metal")}
    rules = (r for r in tech.platform.rules.rules if r.kind == "space" and layers & set(r.layers))
    return tech.data["heater"]["contact_um"] + max(r.value_um or 0.0 for r in rules)


def check(dev: "Awg", tech: Technology) -> None:
    """Raise SpecError where concrete geometry is impossible: what fails, by how much, and what relieves it."""
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(dev)):
        return
    table = jax.tree.map(np.asarray, dev.table(tech))
    design.demand(
        "apertures of the array against the arms", dev.pitch - dev.gap, dev.width_arm, "raise pitch or lower width_arm"
    )
    if dev.flat_top:
        design.demand(
            "width of the horns against that of their guides", dev.width_horn, dev.width_io, "raise width_horn"
        )
    for side in (0, 1):
        sines = np.asarray(dev.sines(tech, side))
        apart = np.diff(dev.focal_length * np.sqrt(1 - sines**2) * sines).min(initial=np.inf)
        wider = "raise focal_length (pitch_io) or lower width_io (width_horn)"
        design.demand("distance of neighbouring ports' apertures", apart, dev.aperture(side) + dev.gap, wider)
    if isinstance(table, Horseshoe):
        least = tech.guide(dev.cross_section).radius
        design.demand("radius of the arcs", table.radius.min(), least, "raise half_span or lower half_length")
        design.demand("distance of the star couplers", 2 * dev.half_span, dev.fan_width(), "raise half_span")
        relief: dict[str, str] = dict.fromkeys(("slants", "arcs"), "raise half_span or half_length, or leave both open")
    else:
        smaller = "raise delta_length (a larger order, a smaller fsr_ghz), or lower arm_pitch, or choose s_shaped"
        relief = {
            "slants": "raise arm_pitch, or lower length_taper or pitch",
            "uprights": "raise arm_pitch",
            "levels": "raise arm_pitch" if dev.array == "s_shaped" else smaller,
        }
    least = dev.length_step + RESERVE_UM
    design.demand("straights behind the apertures", table.slant.min(), least, relief["slants"])
    for name, distance in table.distances().items():
        least = heater_pitch(tech) if dev.heaters and name == "levels" else _least_distance(dev, tech)
        design.demand(f"distance of neighbouring {name}", distance, least, relief[name])


def _check_request(dev: "Awg") -> None:
    """Raise SpecError where what is given contradicts itself."""
    if dev.spacing_ghz is not None and dev.spacing_nm is not None:
        raise SpecError("awg: the spacing is given twice", got="spacing_ghz and spacing_nm", allowed="one of them")
    for name, allowed in (("array", ARRAYS), ("flat_top", FLAT_TOPS)):
        value = getattr(dev, name)
        if value is not None and value not in allowed:
            raise SpecError(f"awg: unknown {name}", got=repr(value), allowed=", ".join(allowed))
    counts = (("inputs", 1), ("outputs", 1), ("dummies", 0), ("arms", 4), ("order", 1))
    design.demand_counts([(name, getattr(dev, name), least) for name, least in counts])
    for name in ("offsets", "powers_mw"):
        given = len(getattr(dev, name))
        if given and dev.arms is not None and given != dev.arms:
            raise SpecError(
                f"awg.{name} are not one for each arm",
                got=f"{given} {name}, {dev.arms} arms",
                allowed="as many as arms",
                remedy="leave them out, or give all of them",
            )
    is_horseshoe = dev.array == "horseshoe"
    for name in ("arm_pitch",) if is_horseshoe else ("tilt_deg", "half_span", "half_length"):
        if getattr(dev, name) is not None:
            others = "arrays with uprights" if is_horseshoe else "array: horseshoe"
            given = f"{getattr(dev, name):g}, array: {dev.array}"
            raise SpecError(f"awg.{name} is for {others}", got=given, allowed="nothing", remedy="leave it out")
    if dev.heaters and is_horseshoe:
        raise SpecError(
            "awg: a horseshoe has no straights for heaters",
            got="heaters: true",
            allowed="array: s_shaped or rectangular",
            remedy="choose array: s_shaped or rectangular, or heaters: false",
        )
    if dev.powers_mw and not dev.heaters:
        given = f"{len(dev.powers_mw)} powers"
        raise SpecError(
            "awg.powers_mw are for arms with heaters", got=given, allowed="nothing", remedy="give heaters: true"
        )
