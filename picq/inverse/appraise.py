"""What a drawn free-form device does: S-parameters of its mask, and their series, which a chip's model evaluates."""

import itertools
from dataclasses import dataclass

import klayout.db as kdb
import numpy as np

from picq.errors import SpecError
from picq.inverse.contour import outlines
from picq.inverse.objective import distances, hardest, named
from picq.inverse.problem import Problem
from picq.inverse.saved import PortPlace
from picq.inverse.spec import SIDES
from picq.optics.table import Variable
from picq.technology import Technology

WIDTH_NM = 25.0
"""Half range of the series in the width of edges: five standard deviations of an e-beam process (``soi220``)."""

INDEX = 0.06
"""Half range in the core's index: for a silicon film of 220 nm 10 nm and 50 K in TE, 6 nm and 10 K in TM."""

_WAVELENGTHS = (7, 13, 25)
"""Points in wavelength that are tried, each set with those of the one before."""

_SMALL = 1e-3
"""Last term in wavelength that is no reason for more points."""

_ORDERS = (5, 5)
"""Points in width and index."""

_HAIR = 1e-9
"""By which a passive device is passive at least: between the points where it was looked at too."""

_FAR = 100.0  # um of guide: beyond any grid

_FINER = 100
"""Of the database unit: edges are moved on a grid so much finer."""


@dataclass(frozen=True, eq=False)
class Series:
    """S of a device, see ``saved.Saved``; ``error`` is that of |S|, ``damped`` by what part it was made smaller."""

    variables: tuple[Variable, ...]
    coefficients: np.ndarray
    error: float
    damped: float


def scattering(problem: Problem, region: kdb.Region, step: float, dbu: float = 0.001) -> np.ndarray:
    """S [wl, out, in] of all channels of a mask in database units, guides included, between the region's sides.

    Phases are those between the ends of the guides that are drawn with the device, by the grid's own indices.
    """
    simulation = problem.drawn(outlines(region, dbu), step)
    s, _ = simulation.solve()
    turn = np.exp(-2j * np.pi / problem.wl[:, None] * simulation.channels.n_eff * _lengths(problem))
    return turn[:, :, None] * s * turn[:, None, :]


def _lengths(problem: Problem) -> np.ndarray:
    """From the lines of the channels' ports to the sides of the region, um."""
    left, bottom, right, top = problem.box
    ends = {180: (0, left), 0: (0, right), 270: (1, bottom), 90: (1, top)}
    found = []
    for port in problem.ports:
        axis, end = ends[port.orientation]
        found += [abs(port.centre[axis] - end)] * len(port.modes)
    return np.array(found)


def places(problem: Problem) -> dict[str, PortPlace]:
    """The device's ports: each guide's first mode where the guide meets the region."""
    left, bottom, right, top = problem.box
    found = {}
    for name, port in problem.spec.ports.items():
        x = {"west": left, "east": right}.get(port.side, port.at)
        y = {"south": bottom, "north": top}.get(port.side, port.at)
        found[name] = PortPlace(x, y, float(SIDES[port.side]), port.width, port.modes[0])
    return found


def series(problem: Problem, tech: Technology, region: kdb.Region, step: float) -> Series:
    """S over wavelength, width and index, on the Chebyshev points with the ends; in wavelength as many as it takes.

    All of S is made smaller by what it would gain. The error is the largest of the last orders in the three variables,
    and of a third of the change from a grid twice as coarse, which is what is left of an error of second order.

    Raises:
        SpecError: one wavelength only.
    """
    lower, upper = problem.wl.min(), problem.wl.max()
    if lower == upper:
        raise SpecError("a device needs a range of wavelengths", got=f"{lower:g} um", remedy="give two or more `wl_um`")
    variables = (
        Variable("wavelength", float(lower), float(upper)),
        Variable("change of width (nm)", -WIDTH_NM, WIDTH_NM),
        Variable("change of the core's index", -INDEX, INDEX),
    )
    finest = step
    first = np.cumsum([0, *(len(p.modes) for p in problem.ports[:-1])])

    def at(wl: np.ndarray, width_nm: float, index: float, step: float) -> np.ndarray:
        moved = problem.at(tech, index, wl)
        moved = moved if step > finest else moved.matched(step)  # the coarser grid tells the error as it is
        found = scattering(moved, grown(region, width_nm), step, 0.001 / _FINER)
        return found[np.ix_(np.arange(wl.size), first, first)]

    for number in _WAVELENGTHS:
        wl = _points(variables[0], number)
        nominal = at(wl, 0.0, 0.0, step)
        if np.abs(_expanded(nominal, 0)[-1]).max() <= _SMALL:
            break
    widths, indices = (_points(v, n) for v, n in zip(variables[1:], _ORDERS, strict=True))
    coefficients = np.empty((wl.size, *_ORDERS, first.size, first.size), complex)
    for (j, width), (k, index) in itertools.product(enumerate(widths), enumerate(indices)):
        coefficients[:, j, k] = at(wl, width, index, step)
    for axis in range(3):
        coefficients = _expanded(coefficients, axis)
    last = max(np.abs(np.take(coefficients, -1, axis)).max() for axis in range(3))
    coarse = at(wl, 0.0, 0.0, 2 * step)
    error = max(float(last), float(np.abs(np.abs(nominal) - np.abs(coarse)).max()) / 3)
    excess = _excess(coefficients)
    return Series(variables, coefficients / (1 + excess), error, excess)


def check_ports(problem: Problem, tech: Technology) -> None:
    """Refuse ports that lose a mode, or see another guide, where the series ends in width and index.

    Raises:
        SpecError: names the port.
    """
    guides = kdb.Region()
    for guide in problem.guides(_FAR):
        guides.insert(kdb.DBox(*guide).to_itype(0.001))
    for sign in (-1, 1):
        moved = problem.at(tech, sign * INDEX)
        walls = outlines(grown(guides, sign * WIDTH_NM), 0.001 / _FINER)
        _ = moved.drawn(walls, problem.spec.search.steps[-1]).channels


def _points(v: Variable, number: int) -> np.ndarray:
    """Chebyshev points of a variable's range, with the ends, ascending."""
    return (v.lower + v.upper) / 2 - (v.upper - v.lower) / 2 * np.cos(np.pi * np.arange(number) / (number - 1))


def _expanded(values: np.ndarray, axis: int) -> np.ndarray:
    """Coefficients of the Chebyshev series along an axis of values at ``_points``."""
    n = values.shape[axis]
    basis = np.polynomial.chebyshev.chebvander(-np.cos(np.pi * np.arange(n) / (n - 1)), n - 1)
    return np.moveaxis(np.tensordot(np.linalg.inv(basis), values, (1, axis)), 0, axis)


def _excess(coefficients: np.ndarray) -> float:
    """By what part the largest singular value of the series exceeds 1, on twice as many points as it has orders.

    Grids and series conserve energy to their error only; a chip with loops must not gain from that.
    """
    s = coefficients
    for axis, n in enumerate(coefficients.shape[:3]):
        basis = np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, 2 * n + 1), n - 1)
        s = np.moveaxis(np.tensordot(basis, s, (1, axis)), 0, axis)
    return max(0.0, float(np.linalg.norm(s, 2, axis=(-2, -1)).max()) - 1) + _HAIR


def grown(region: kdb.Region, width_nm: float) -> kdb.Region:
    """All edges moved outwards by half of ``width_nm``, in finer units."""
    fine = region.transformed(kdb.ICplxTrans(_FINER))
    return fine.sized(round(width_nm / 2 * _FINER)).merged()


def worst(problem: Problem, s: np.ndarray) -> list[dict]:
    """For each target what was asked and the worst that it got, powers in dB."""
    w, rows = problem.windows, []
    far = np.asarray(distances(s, w))
    power = np.abs(s[tuple(w.place.T)]) ** 2
    for target, at in zip(problem.targets, hardest(far, w), strict=True):
        rows.append(
            {
                "from": named(target.source),
                "to": named(target.sink),
                "asked_db": [None if v is None else round(v, 3) for v in target.asked_db],
                "worst_db": round(float(10 * np.log10(max(power[at], 1e-12))), 4),
                "at_um": float(problem.wl[w.place[at, 0]]),
                "met": bool(far[at] <= 0),
            }
        )
    return rows
