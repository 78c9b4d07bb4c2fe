"""What a specification asks that cannot be done: found before the search, which would be lost, and not after it."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from picq.errors import SpecError
from picq.inverse.appraise import check_ports
from picq.inverse.density import Symmetry
from picq.inverse.finish import GUIDES
from picq.inverse.lengthscale import NARROWEST
from picq.inverse.objective import Target, named, windows
from picq.inverse.problem import Problem
from picq.inverse.search import MARGIN
from picq.inverse.spec import FreeFormSpec
from picq.technology import Technology

_WHOLE = 1e-6
"""Of a step: how far from a whole number of them a length may be."""

_DBU = 0.001  # um

_IMAGES: dict[Symmetry, dict[str, tuple[str, int]]] = {
    "x": {"east": ("west", 1), "west": ("east", 1), "north": ("north", -1), "south": ("south", -1)},
    "y": {"east": ("east", -1), "west": ("west", -1), "north": ("south", 1), "south": ("north", 1)},
    "diagonal": {"east": ("north", 1), "north": ("east", 1), "west": ("south", 1), "south": ("west", 1)},
    "antidiagonal": {"east": ("south", -1), "south": ("east", -1), "west": ("north", -1), "north": ("west", -1)},
    "quarter": {"east": ("north", -1), "north": ("west", 1), "west": ("south", -1), "south": ("east", 1)},
}
"""Where a port's side goes, and the sign of its place along it; see ``density.Density``."""


def check(problem: Problem, tech: Technology) -> None:
    """Refuse what no grid, no mask or no device can do.

    Raises:
        SpecError: names the entry, and what is allowed.
    """
    spec = problem.spec
    tech.cross_section(spec.cross_section)
    if len(spec.wl_um) < 2:
        raise _refused(spec, ("wl_um",), "a device needs a range of wavelengths", spec.wl_um, "two or more")
    _check_grids(problem)
    _check_room(problem)
    _check_mask(spec)
    images = _images(spec)
    for step in spec.search.steps:
        _ = problem.density(step)
    _ = problem.condensed(spec.search.steps[0]).simulation.channels  # ports guide what they should
    check_ports(problem, tech)
    _check_targets(problem, images)


def _check_grids(problem: Problem) -> None:
    """All lengths are whole numbers of the pixels that are ever used."""
    spec, s = problem.spec, problem.spec.surroundings
    taken = {port.side for port in spec.ports.values()}
    lengths: list[tuple[tuple[str | int, ...], float]]
    lengths = [(("region", "size", axis), length) for axis, length in enumerate(spec.region.size)]
    lengths.append((("surroundings", "guide"), s.guide))
    if len(taken) < 4:
        lengths.append((("surroundings", "side"), s.side))
    for at, length in lengths:
        for step in {*spec.search.steps, spec.mask_step}:
            if _off(length, step):
                allowed = f"a multiple of {step:g} um, e.g. {max(1, round(length / step)) * step:g}"
                raise _refused(spec, at, "this is not a whole number of pixels", f"{length:g} um", allowed)
    left, bottom, right, top = problem.room
    for length, step in itertools.product(
        (right - left, top - bottom), {2 * spec.search.steps[-1], 2 * spec.mask_step}
    ):
        if _off(length, step):
            raise _refused(
                spec,
                ("region", "size"),
                "region and surroundings together are not a whole number of pixels of twice the finest step, on which "
                "errors are estimated",
                f"{length:g} um",
                f"multiples of {step:g} um",
            )


def _check_room(problem: Problem) -> None:
    """Ports' lines are between region and absorbing layer, within the room, and see one guide each."""
    spec, s = problem.spec, problem.spec.surroundings
    coarsest, finest = spec.search.steps[0], max(spec.search.steps[-1], spec.mask_step)
    longest = GUIDES - s.pml_pixels * 2 * finest
    if not s.port + 2 * coarsest <= s.guide <= longest:
        raise _refused(
            spec,
            ("surroundings", "guide"),
            "from the region's side to the absorbing layer",
            f"{s.guide:g} um",
            f"{s.port + 2 * coarsest:g} um, two pixels beyond `surroundings.port`, to {longest:g} um",
        )
    room = problem.room
    for name, port in spec.ports.items():
        low, high = (room.bottom, room.top) if port.side in ("west", "east") else (room.left, room.right)
        most = 2 * min(port.at - low, high - port.at)
        if s.span > most + spec.search.steps[-1]:
            remedy = "shorten it, or enlarge `surroundings.side`"
            what = f"the line of port {name} reaches into the absorbing layer"
            raise _refused(spec, ("surroundings", "span"), what, f"{s.span:g} um", f"up to {most:g} um", remedy)
        for other, beside in spec.ports.items():
            most = 2 * (abs(port.at - beside.at) - beside.width / 2)
            if other != name and beside.side == port.side and s.span > most + _WHOLE:
                remedy = "shorten it, or move the ports apart"
                what = f"the line of port {name} reaches to the guide of port {other}, whose light it would count"
                allowed = f"up to {max(most, 0):g} um"
                raise _refused(spec, ("surroundings", "span"), what, f"{s.span:g} um", allowed, remedy)


def _check_mask(spec: FreeFormSpec) -> None:
    """Region and guides lie on the mask's grid; width and space are of one order."""
    half = [((("region", "size"), "side", length / 2)) for length in spec.region.size]
    for name, port in spec.ports.items():
        half += [(("ports", name), "wall", port.at + sign * port.width / 2) for sign in (-1, 1)]
    for at, what, place in half:
        if _off(place, _DBU):
            got, allowed = f"a {what} at {place:g} um", f"multiples of {_DBU:g} um: half a width is one, too"
            raise _refused(spec, at, "this is off the mask's grid", got, allowed)
    rules = spec.rules
    least = NARROWEST * Problem.FILTER * spec.length_scale / MARGIN
    if min(rules.width, rules.space) < least:
        raise _refused(
            spec,
            ("rules",),
            "one filter cannot tell bars and gaps so different",
            f"width {rules.width:g} um, space {rules.space:g} um",
            f"the smaller one from {least:.3g} um",
            "raise the smaller one",
        )


def _images(spec: FreeFormSpec) -> list[dict[str, str]]:
    """For each symmetry, which port goes where."""
    places = {(port.side, round(port.at, 9)): name for name, port in spec.ports.items()}
    found = []
    for i, symmetry in enumerate(spec.region.symmetries):
        goes: dict[str, str] = {}
        for name, port in spec.ports.items():
            side, sign = _IMAGES[symmetry][port.side]
            image = places.get((side, round(sign * port.at, 9) + 0.0))
            if image is None or spec.ports[image].width != port.width:
                raise _refused(
                    spec,
                    ("region", "symmetries", i),
                    f"the ports have not the symmetry '{symmetry}'",
                    f"no guide like that of port {name} at {sign * port.at:g} um of the {side} side",
                    "each port with its image",
                    "leave the symmetry out, or move the ports",
                )
            goes[name] = image
        found.append(goes)
    return found


def _check_targets(problem: Problem, images: list[dict[str, str]]) -> None:
    """No targets contradict those that a symmetric device meets with them."""
    spec = problem.spec
    for (i, target), goes in itertools.product(enumerate(problem.targets), images):
        (a, m), (b, n) = target.source, target.sink
        if goes[a] == a and goes[b] == b and (m - n) % 2 and target.low > 0:
            raise _refused(
                spec,
                ("targets", i),
                "the region's symmetry keeps even and odd modes apart",
                f"power from {named(target.source)} to {named(target.sink)}",
                "modes of the same parity",
                "leave the symmetry out",
            )
    everywhere = list(_orbit(problem.targets, spec, images))
    if len(everywhere) > len(problem.targets):
        names = tuple((name, order) for name, port in spec.ports.items() for order in port.modes)
        try:
            windows(tuple(everywhere), names, problem.wl)
        except SpecError as error:
            place = spec.place(("region", "symmetries"))
            what = f"{place}: of a symmetric device, {error.what}"
            raise SpecError(what, got=error.got, allowed=error.allowed, remedy=error.remedy) from error


def _orbit(targets: Iterable[Target], spec: FreeFormSpec, images: list[dict[str, str]]) -> Iterable[Target]:
    """The targets and all their images whose channels are there."""
    found = dict.fromkeys(targets)
    todo = list(found)
    for target in todo:  # grows on the way
        for goes in images:
            ends = [(goes[name], order) for name, order in (target.source, target.sink)]
            image = replace(target, source=ends[0], sink=ends[1])
            if all(order in spec.ports[name].modes for name, order in ends) and image not in found:
                found[image] = None
                todo.append(image)
    return found


def _off(length: float, step: float) -> bool:
    return bool(abs(length / step - np.round(length / step)) > _WHOLE)


def _refused(
    spec: FreeFormSpec, at: tuple[str | int, ...], what: str, got: object, allowed: str, remedy: str = ""
) -> SpecError:
    return SpecError(f"{spec.place(at)}: {what}", got=got, allowed=allowed, remedy=remedy)
