"""Pictures of the sign-off report: spectra against the specification, distributions, and the mask as written.

Every function returns a ``data:`` address for an ``<img>``, so that a page holds all it shows. The same values give
the same bytes.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from klayout import db, lay
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from picq.design.figures import Crosstalk, CumulativeCrosstalk, InsertionLoss, Passband
from picq.design.problem import Problem
from picq.errors import LayoutError
from picq.signoff.report import Box
from picq.technology import Technology

# Okabe and Ito's palette: told apart by all, and in print
NOMINAL, AS_FABRICATED, TRIMMED, FORBIDDEN = "#000000", "#D55E00", "#0072B2", "#8a8a8a"
CHANNELS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7a5a00", "#444444")

_STYLE: Any = {
    "svg.hashsalt": "picq",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.5,
    "hatch.color": FORBIDDEN,
}


@dataclass(frozen=True)
class Band:
    """Spread of spectra, each array in dB, [channel, point].

    Attributes:
        title: which chips, e.g. ``as fabricated``.
        low, median, high: 5th, 50th and 95th percentile.
        colour: of the band.
    """

    title: str
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray
    colour: str


@dataclass(frozen=True)
class Forbidden:
    """Where the spectrum of output ``channel`` shall not be: low … high in GHz, below or above ``level`` in dB."""

    channel: int
    low: float
    high: float
    level: float
    above: bool


def forbidden(problem: Problem, nominal: np.ndarray) -> tuple[Forbidden, ...]:
    """The targets as regions of a spectrum.

    Crosstalk and passband are defined relative to a channel's own transmission: they are drawn relative to that of the
    nominal design, ``nominal`` [channel, point] in dB.
    """
    comb = problem.comb
    regions = []
    for figure, bound in zip(problem.figures_asked, problem.bounds_asked, strict=True):
        if bound is None:
            continue
        for k, centre in enumerate(comb.channels_ghz):
            if isinstance(figure, InsertionLoss):
                half = max(figure.band_ghz, 0.02 * comb.spacing_ghz)  # a target at one frequency has to be seen, too
                regions.append(Forbidden(k, centre - half, centre + half, -bound, above=False))
            elif isinstance(figure, Crosstalk) and not isinstance(figure, CumulativeCrosstalk):
                own = float((comb.band(k, figure.band_ghz) @ nominal[k]).min())
                for other in comb.channels_ghz[figure.others(k, comb.channels_ghz.size)]:
                    low, high = other - figure.band_ghz, other + figure.band_ghz
                    regions.append(Forbidden(k, low, high, own + bound, above=True))
            elif type(figure) is Passband:
                peak = float((comb.band(k, comb.spacing_ghz / 2) @ nominal[k]).max())
                regions.append(Forbidden(k, centre - bound / 2, centre + bound / 2, peak - figure.drop_db, above=False))
    return tuple(regions)


def overview(problem: Problem, nominal: np.ndarray, mask: np.ndarray | None = None) -> str:
    """The nominal spectra of all outputs in one plot; dotted lines mark the channels.

    ``mask``: the same of the mask as measured, drawn dashed.
    """
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(10.5, 3.2), layout="constrained")
        axes = canvas.subplots()
        for k, output in enumerate(problem.spec.channels.outputs):
            colour = CHANNELS[k % len(CHANNELS)]
            axes.plot(problem.comb.ghz * 1e-3, nominal[k], color=colour, lw=1.4, label=output)
            if mask is not None:
                axes.plot(problem.comb.ghz * 1e-3, mask[k], color=NOMINAL, lw=0.6, ls=(0, (4, 3)))
            axes.axvline(problem.comb.channels_ghz[k] * 1e-3, color=colour, lw=0.8, ls=":")
        _frame(axes, problem)
        axes.set_xlabel("frequency (THz)")
        axes.set_ylabel("transmission (dB)")
        canvas.legend(loc="outside upper center", ncols=min(len(nominal), 8), frameon=False)
        return _svg(canvas)


def spectra(problem: Problem, nominal: np.ndarray, bands: Sequence[Band], regions: Sequence[Forbidden]) -> str:
    """One row an output, one column a band, and the last band's passband enlarged; forbidden regions are hatched."""
    outputs, comb = problem.spec.channels.outputs, problem.comb
    shown = [*bands, bands[-1]]
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(10.5, 0.7 + 2.1 * len(outputs)), layout="constrained")
        widths = [1.0] * len(bands) + [0.62]
        grid = canvas.subplots(len(outputs), len(shown), sharex="col", squeeze=False, width_ratios=widths)
        for k, output in enumerate(outputs):
            for axes, band in zip(grid[k], shown, strict=True):
                enlarged = axes is grid[k, -1]
                # enlarged passbands have a common axis: the distance from their channel
                x = comb.ghz - comb.channels_ghz[k] if enlarged else comb.ghz * 1e-3
                axes.fill_between(x, band.low[k], band.high[k], color=band.colour, alpha=0.28, lw=0)
                axes.plot(x, band.median[k], color=band.colour, lw=1.3)
                axes.plot(x, nominal[k], color=NOMINAL, lw=0.8)
                _frame(axes, problem)
                if enlarged:
                    axes.set_xlim(-comb.spacing_ghz / 2, comb.spacing_ghz / 2)
                    axes.set_ylim(float(nominal.max()) - 4.0, float(nominal.max()) + 0.4)
                own = [region for region in regions if region.channel == k]
                _hatch(axes, own, (lambda f, k=k: f - comb.channels_ghz[k]) if enlarged else (lambda f: f * 1e-3))
            grid[k, 0].set_ylabel(f"{output}\ntransmission (dB)")
        for i, (axes, band) in enumerate(zip(grid[0], shown, strict=True)):
            title = f"{band.title}, passband" if i == len(bands) else band.title
            axes.set_title(title, color=band.colour, fontsize=10, fontweight="bold")
        for axes in grid[-1]:
            axes.set_xlabel("frequency from channel (GHz)" if axes is grid[-1, -1] else "frequency (THz)")
        return _svg(canvas)


def _frame(axes: Axes, problem: Problem) -> None:
    axes.set_xlim(problem.comb.ghz[0] * 1e-3, problem.comb.ghz[-1] * 1e-3)
    axes.set_ylim(-45, 2)
    axes.ticklabel_format(axis="x", useOffset=False)


def _hatch(axes: Axes, regions: Sequence[Forbidden], x: Callable[[float], float]) -> None:
    """Hatch the union of regions: over each stretch of frequencies the strictest level counts."""
    for above in (False, True):
        side = [region for region in regions if region.above == above]
        marks = sorted({mark for region in side for mark in (region.low, region.high)})
        for low, high in pairwise(marks):
            levels = [r.level for r in side if r.low <= low and high <= r.high]
            if not levels:
                continue
            level = min(levels) if above else max(levels)
            far = 200.0 if above else -200.0  # beyond the axes, which clip
            corner, size = (x(low), min(level, far)), (x(high) - x(low), abs(far - level))
            axes.add_patch(Rectangle(corner, *size, fill=False, hatch="/////", edgecolor=FORBIDDEN, lw=0))
            axes.plot([x(low), x(high)], [level, level], color=FORBIDDEN, lw=1.4, solid_capstyle="butt")


@dataclass(frozen=True)
class Histogram:
    """Distribution of one figure over sampled chips.

    Attributes:
        title: name and unit.
        samples: by kind of chip: values, [chip]; not finite where a chip has none.
        nominal: value of the nominal design.
        bound: the target, None when there is none.
    """

    title: str
    samples: Mapping[str, np.ndarray]
    nominal: float
    bound: float | None


def histograms(figures: Sequence[Histogram], colours: Mapping[str, str]) -> str:
    """One row a figure, one column a kind of chips, each with its own axis; target dashed, nominal design dotted."""
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(10.5, 0.4 + 1.9 * len(figures)), layout="constrained")
        grid = canvas.subplots(len(figures), len(colours), squeeze=False)
        for row, figure in zip(grid, figures, strict=True):
            for axes, (kind, colour) in zip(row, colours.items(), strict=True):
                _histogram(axes, figure, figure.samples[kind], colour)
            row[0].set_ylabel("chips (%)")
        for axes, (kind, colour) in zip(grid[0], colours.items(), strict=True):
            axes.set_title(kind, color=colour, fontsize=10, fontweight="bold")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        return _svg(canvas)


def _histogram(axes: Axes, figure: Histogram, samples: np.ndarray, colour: str) -> None:
    known = [figure.nominal] + ([] if figure.bound is None else [figure.bound])
    there = samples[np.isfinite(samples)]
    low, high = np.percentile(there, [0.5, 99.5])
    low, high = min(low, *known), max(high, *known)
    margin = 0.03 * (high - low) or 1.0
    edges = np.linspace(low - margin, high + margin, 51)
    weights = np.full(there.shape, 100.0 / samples.size)
    axes.hist(np.clip(there, edges[0], edges[-1]), edges, weights=weights, color=colour, alpha=0.65)
    if figure.bound is not None:
        axes.axvline(figure.bound, color=NOMINAL, lw=1.2, ls="--", label="target")
    axes.axvline(figure.nominal, color=NOMINAL, lw=1.2, ls=":", label="nominal design")
    axes.set_xlabel(figure.title)


def mask_picture(gds: Path, tech: Technology, box: Box | None = None, width: int = 1600) -> str:
    """A mask file drawn by KLayout on white, in the technology's colours, with a scale bar.

    Args:
        gds: the mask file.
        tech: gives names and colours of the layers.
        box: (left, bottom, right, top) in um; the whole mask by default.
        width: of the picture, pixels.

    Raises:
        LayoutError: the file cannot be read or drawn.
    """
    view = lay.LayoutView()
    for name, value in _VIEW.items():
        view.set_config(name, value)
    try:
        view.load_layout(str(gds))
    except RuntimeError as error:
        raise LayoutError("cannot draw the mask", got=str(error), remedy="check the mask file") from error
    view.max_hier()
    view.clear_layers()
    for name, (layer, datatype) in tech.platform.layers.items():
        style = lay.LayerProperties()
        style.source_layer, style.source_datatype = layer, datatype
        style.fill_color = style.frame_color = int(tech.platform.layer_colours[name].removeprefix("#"), 16)
        style.dither_pattern = _HOLLOW if name == "floorplan" else _SOLID
        view.insert_layer(view.end_layers(), style)
    area = view.active_cellview().cell.dbbox() if box is None else db.DBox(*box)
    # the ruler stands in the lower margin
    view.zoom_box(area.enlarged(0.03 * area.width(), 0.05 * area.height()))
    height = round(width * min(max(area.height() / area.width(), 0.3), 1.2))
    return address("image/png", view.get_pixels_with_options(width, height).to_png_data())


_SOLID, _HOLLOW = 0, 1  # KLayout's dither patterns
_VIEW = {
    "background-color": "#ffffff",
    "grid-visible": "true",  # for its ruler; the grid itself is drawn in no style
    "grid-show-ruler": "true",
    "grid-color": "#333333",
    "grid-axis-color": "#ffffff",
    "grid-style0": "invisible",
    "grid-style1": "invisible",
    "grid-style2": "invisible",
    "text-visible": "false",
    "cell-box-visible": "false",
}


def _svg(canvas: Canvas) -> str:
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return address("image/svg+xml", buffer.getvalue())


def address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
