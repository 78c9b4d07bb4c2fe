"""Where a horseshoe array is smallest: a scan over what is free in it."""

import jax
import numpy as np

from picq.errors import SpecError
from picq.optics.arm_array import Recipe
from picq.optics.horseshoe import Place, horseshoe

_TILTS_DEG = np.arange(0.0, 61.0, 4.0)
_SPANS = 60  # distances of the mirror plane
_LENGTHS = 5  # between the shortest and the longest that are possible


def smallest(r: Recipe, least: float, apart: float, given: tuple[float | None, float | None, float | None]) -> Place:
    """The place of least area where no arc is tighter than ``r.bend`` and no two arms are closer than ``least``.

    Args:
        r: what the arms are made of; concrete numbers.
        least: distance of the axes of neighbouring arms, um.
        apart: least distance of the two star couplers' axes, um.
        given: (tilt in rad, half_span, half_length in um) where they are not free, else None.

    Raises:
        SpecError: none is possible.
    """
    bend, ratio = float(r.bend), float(r.arc_ratio(1 / r.bend))
    k = np.arange(r.count) - (r.count - 1) / 2
    growth = (float(r.increment) * k + np.asarray(r.offsets)) / 2
    start, straight = float(r.radius + r.taper), float(r.step) + r.reserve
    found = []
    for tilt in _TILTS_DEG * np.pi / 180 if given[0] is None else [given[0]]:
        psi = np.pi / 2 + np.asarray(r.angles) - tilt
        cos, turned = np.cos(psi), np.sin(psi) - ratio * psi * np.cos(psi)
        if psi.min() <= 0 or psi.max() >= np.pi or turned.min() <= 0:
            continue
        # where the tightest arc has the least radius, the scan begins
        first = max(apart / 2, float(np.max(bend * turned + (start + straight + ratio * bend * psi) * cos)))
        spans = first + (bend + start) * np.linspace(0.0, 3.0, _SPANS) ** 2 if given[1] is None else [given[1]]
        for span in spans:
            # radii and straights are linear in the half length: (low, high) of it from all arms
            room = span - (start + growth) * cos - bend * turned
            above = straight - growth + ratio * psi * (span - (start + growth) * cos) / turned
            slope = 1 + ratio * psi * cos / turned
            ahead, back = cos > 1e-9, cos < -1e-9
            low = max(np.max(above / slope), np.max(room[back] / cos[back], initial=-np.inf))
            high = np.min(room[ahead] / cos[ahead], initial=np.inf)
            halves = np.linspace(low, min(high, 3 * low), _LENGTHS + 2)[1:-1]
            for half in halves if given[2] is None else [given[2]]:
                radius = (span - (start + half + growth) * cos) / turned
                if not low < half < high:
                    continue
                slant = half + growth - ratio * radius * psi
                height = (start + slant) * np.sin(psi) + radius * (1 - cos)
                aside = radius - (start + slant) * cos - radius * np.sin(psi)  # how far an arm reaches to the right
                if np.diff(height).min() >= least:
                    area = 2 * (span + np.max(np.where(cos < 0, aside, 0.0))) * height.max()
                    found.append((area, Place(tilt, round(float(span), 3), round(float(half), 3))))
    for _, place in sorted(found, key=lambda candidate: candidate[0]):
        table = jax.tree.map(np.asarray, horseshoe(r, place))
        possible = table.radius.min() >= bend and table.slant.min() >= straight
        if possible and table.distances()["arcs"] >= least:
            return place
    raise SpecError(
        "awg: no horseshoe keeps its arcs and its arms as far apart as they have to be",
        got=f"increment {float(r.increment):.4g} um, {r.count} arms",
        allowed=f"arms at least {least:g} um apart, radii of at least {bend:g} um",
        remedy="raise delta_length (a larger order, a smaller fsr_ghz), or choose array: rectangular or s_shaped",
    )
