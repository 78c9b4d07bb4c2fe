"""Pictures of a free-form device: the mask with the field in it, spectra against the targets, the search so far.

Each returns the bytes of a PNG, the same for the same numbers.
"""

import io
from collections.abc import Sequence
from typing import Any

import klayout.db as kdb
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from picq.figure_style import GRIDDED, STYLE
from picq.inverse.contour import outlines
from picq.inverse.objective import Target, named
from picq.inverse.problem import Problem

# Okabe and Ito's palette: told apart by all, and in print
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7a5a00", "#444444")
_FLOOR_DB = -60.0


def draw_device(problem: Problem, region: kdb.Region, fields: Sequence[tuple[str, np.ndarray]]) -> bytes:
    """The mask alone, and with the size of the field for light from some channels; |F| [nx, ny] of the mask's grid."""
    domain = problem.domain(problem.spec.search.steps[-1])
    room = problem.room
    ends = [domain.place(axis, k) for axis in (0, 1) for k in (0, domain.shape[axis])]
    with mpl.rc_context(STYLE):
        wide = (room.right - room.left) / (room.top - room.bottom)
        # of equal scales, which "constrained" does not know: it cut titles off square regions
        canvas = Canvas(figsize=(3.4 * wide * (1 + len(fields)) + 0.8, 3.9), layout="compressed")
        axes = canvas.subplots(1, 1 + len(fields), squeeze=False)[0]
        _shape(axes[0], region, face="#39424e", edge="none")
        axes[0].set_title("mask")
        for place, (title, field) in zip(axes[1:], fields, strict=True):
            top = np.quantile(field, 0.999)
            place.imshow(field.T, origin="lower", extent=ends, cmap="magma", vmin=0, vmax=top, interpolation="bilinear")
            _shape(place, region, face="none", edge="white")
            place.set_title(title)
        for place in axes:
            left, bottom, right, top = problem.box
            place.plot(
                [left, right, right, left, left], [bottom, bottom, top, top, bottom], lw=0.6, ls=":", color="#8a8a8a"
            )
            place.set_xlim(room.left, room.right)
            place.set_ylim(room.bottom, room.top)
            place.set_aspect("equal")
            place.set_xlabel("x (um)")
        axes[0].set_ylabel("y (um)")
        return _png(canvas)


def _shape(axes: Axes, region: kdb.Region, *, face: str, edge: str) -> None:
    rings = [np.vstack([o, o[:1]]) for o in outlines(region)]
    codes = [[Outline.MOVETO, *[Outline.LINETO] * (len(r) - 2), Outline.CLOSEPOLY] for r in rings]
    axes.add_patch(PathPatch(Outline(np.vstack(rings), np.concatenate(codes)), facecolor=face, edgecolor=edge, lw=0.5))


def draw_spectra(problem: Problem, wl: np.ndarray, s: np.ndarray) -> bytes:
    """Power of all targets' channels at ``wl`` [um] in dB, with what was asked; S [wl, out, in]."""
    with mpl.rc_context(GRIDDED):
        canvas = Canvas(figsize=(6.4, 3.8), layout="constrained")
        axes = canvas.subplots()
        _spectra(axes, problem, wl, s)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="light")
        return _png(canvas)


def _spectra(axes: Axes, problem: Problem, wl: np.ndarray, s: np.ndarray, marker: str = "") -> None:
    names = [(name, order) for name, port in problem.spec.ports.items() for order in port.modes]
    lines = dict.fromkeys((t.source, t.sink) for t in problem.targets)
    for (source, sink), colour in zip(lines, _COLOURS * len(lines), strict=False):
        power = np.abs(s[:, names.index(sink), names.index(source)]) ** 2
        label = f"{_at(source)} to {_at(sink)}"
        axes.plot(1e3 * wl, _db(power), color=colour, lw=1.8, marker=marker, ms=4, label=label)
        for target in problem.targets:
            if (target.source, target.sink) == (source, sink):
                _bounds(axes, target, 1e3 * wl, colour)
    axes.set_xlabel("wavelength (nm)")
    axes.set_ylabel("power (dB)")
    axes.set_ylim(max(_FLOOR_DB, axes.get_ylim()[0]), 1.0)
    axes.margins(x=0)


def _bounds(axes: Axes, target: Target, nm: np.ndarray, colour: str) -> None:
    """Hatched where the power shall not be."""
    left, right = max(nm[0], 1e3 * target.wl[0]), min(nm[-1], 1e3 * target.wl[1])
    for bound, beyond in ((target.low, -1), (target.high, 1)):
        if 0 < bound < 1:
            level = _db(bound)
            axes.plot([left, right], [level, level], color=colour, lw=1.0, ls=(0, (4, 3)))
            axes.fill_between([left, right], level, level + beyond * 2, color=colour, alpha=0.12, lw=0)


def draw_search(
    problem: Problem, history: Sequence[tuple[int, float, float]], filled: np.ndarray, s: np.ndarray, title: str
) -> bytes:
    """Score and what is too narrow over the iterations (stage, score, violation); the density [nx, ny] now, and its
    spectra, S [wl, out, in] at the wavelengths of the search."""
    stage, score, narrow = (np.array(column) for column in zip(*history, strict=True))
    with mpl.rc_context(GRIDDED):
        canvas = Canvas(figsize=(12.0, 3.6), layout="constrained")
        axes, picture, spectra = canvas.subplots(1, 3, width_ratios=(3, 2, 2.6))
        axes.plot(score, color=_COLOURS[0], lw=1.4)
        axes.set_ylim(max(-1.0, float(score.min())), 1.02)
        axes.set_xlabel("iteration")
        axes.set_ylabel("score", color=_COLOURS[0])
        other = axes.twinx()
        other.semilogy(np.maximum(narrow, 1e-4), color=_COLOURS[1], lw=1.0)
        other.set_ylabel("too narrow (met below 1)", color=_COLOURS[1])
        other.grid(visible=False)
        for change in np.flatnonzero(np.diff(stage)) + 1:
            axes.axvline(float(change), color="#8a8a8a", lw=0.6, ls=":")
        picture.imshow(filled.T, origin="lower", cmap="Greys", vmin=0, vmax=1)
        picture.set_title(title)
        picture.set_axis_off()
        _spectra(spectra, problem, problem.wl, s, marker="o")
        spectra.locator_params(axis="x", nbins=4)
        spectra.legend(fontsize=7)
        return _png(canvas)


def _db(power: Any) -> Any:
    return 10 * np.log10(np.maximum(power, 1e-12))


def _at(channel: tuple[str, int]) -> str:
    return named(channel) if channel[1] else channel[0]


def _png(canvas: Canvas) -> bytes:
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()
