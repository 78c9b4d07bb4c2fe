"""Sections of the sign-off report about light: specification, yield, spectra, distributions, sensitivities, heaters."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from picq.design.grid import C_UM_GHZ
from picq.design.problem import Problem
from picq.design.statistics import PERCENTILES
from picq.design.tolerance import Heaters
from picq.resonator import Resonator
from picq.signoff import plots
from picq.signoff.markup import figure, named, number, table, title, value

if TYPE_CHECKING:
    from picq.signoff.export import Nominal, TapeOut

MOST_VARIABLES = 8


def verdict(tapeout: "TapeOut") -> tuple[str, str]:
    """Class for the colour, and the sentences of the verdict."""
    names = " and ".join(report.name.upper() for report in tapeout.reports)
    waived = sum(len(report.waived) for report in tapeout.reports)
    by_waiver = f", with {waived} waived finding{'' if waived == 1 else 's'}" if waived else ""
    lines = [f"<strong>{escape(names)} passed</strong>{by_waiver}."]
    unmet = tapeout.design.unmet
    lines.append(
        f"The nominal design misses its specification: {escape('; '.join(unmet))}."
        if unmet
        else "The nominal design meets every target of its specification."
    )
    result = tapeout.tolerance
    trimmed = "" if result.trimmed is None else f"; <strong>{result.trimmed.total}</strong> after trimming"
    bare = f"<strong>{result.as_fabricated.total}</strong> as fabricated"
    lines.append(f"Yield on all targets, with 95 % interval: {bare}{trimmed}.")
    if lost := (result.trimmed or result.as_fabricated).lost:
        lines.append(f"{lost} of {result.samples} chips have no resonances that one could name, and fail.")
    return "mixed" if unmet or waived else "good", "".join(f"<p>{line}</p>" for line in lines)


def specification(tapeout: "TapeOut") -> str:
    problem, result = tapeout.problem, tapeout.tolerance
    outcomes = [result.as_fabricated, *([] if result.trimmed is None else [result.trimmed])]
    heads = ["Figure", "Target", "Nominal design", "Verdict", "Yield as fabricated", "Yield after trimming"]
    rows = []
    for label, target in zip(problem.spec.labels, problem.spec.targets, strict=True):
        designed, unit = tapeout.design.figures[label], target.measure.unit
        verdict = "met" if designed["met"] else "missed"
        mark = "<td></td>" if target.bound is None else f'<td class="{verdict}">{verdict}</td>'
        rows.append(
            [
                f"<td>{escape(title(target))}</td>",
                number(target.wanted or "none"),
                number(f"{value(designed['worst'], target)} {unit}"),
                mark,
                *(number("" if target.bound is None else str(outcome.by_target[label])) for outcome in outcomes),
            ]
        )
    all_targets = [f'<td class="n"><strong>{outcome.total}</strong></td>' for outcome in outcomes]
    rows.append(["<td><strong>all targets together</strong></td>", "<td></td><td></td><td></td>", *all_targets])
    patterns = ", ".join(problem.spec.excluding)
    excluded = f" ({patterns})" if patterns else ""
    caption = (
        "Worst channel of each figure. Nominal design: with its routes, lengths on the mask's grid, without what the "
        f"specification excludes{excluded}. Yields: {result.samples} simulated chips, seed {result.seed}; 95 % Wilson "
        "intervals in brackets."
    )
    return table(escape(caption), heads[: 4 + len(outcomes)], rows, numeric=(1, 2, 4, 5)) + _trimming(tapeout)


def _trimming(tapeout: "TapeOut") -> str:
    """What yields, and why trimming decides it, in plain words."""
    result = tapeout.tolerance
    if result.trimmed is None:
        return "<p>The specification names no heaters to trim: only the yield as fabricated is known.</p>"
    bare, trimmed, ways = result.as_fabricated.total, result.trimmed.total, result.heaters
    # what moves by a grid or a temperature is no guide
    drift = _drift(tapeout.problem) if {way.unit for way in ways} == {"mW"} else None
    sigma = result.sigma["global"]["width_nm"]
    why = "" if drift is None else (
        f" On this technology one nanometre of waveguide width moves the whole spectrum by {drift:.0f} GHz, and the "
        f"width of a chip is uncertain by {sigma:g} nm (one standard deviation), against channels that are "
        f"{tapeout.problem.spec.channels.spacing_ghz:g} GHz apart."
    )  # fmt: skip
    told = (
        f"{100 * bare.fraction:.1f} % of chips meet the specification as fabricated, "
        f"{100 * trimmed.fraction:.1f} % after trimming."
    )
    if bare.high < trimmed.low and bare.fraction < 0.1:
        told = f"<strong>Without trimming this circuit hardly yields: {told}</strong>"
    what, takes = " and ".join(map(_what, ways)), "; ".join(map(str, ways))
    return (
        f"<p>{told}{why} Trimmed means: on each finished chip {what} set once, at the reference temperature, "
        "so that every stage has its designed phase again, within the limits; the temperature then drifts by its own "
        f"sigma{_kelvin(result.sigma)}. This takes: {takes}. A user has to plan for the drivers, and for a calibration "
        "of every chip.</p>"
    )


def _what(heat: Heaters) -> str:
    told = {
        "mW": "the heaters are",
        "K": "the temperature at which a device is held is",
        "GHz": "the channels' grid is",
    }
    return told[heat.unit]


def _kelvin(sigma: Mapping[str, Mapping[str, float]]) -> str:
    known = sigma["global"].get("temperature_k")
    return "" if known is None else f", {known:g} K"


def _drift(problem: Problem) -> float | None:
    """GHz by which the spectrum moves per nm of width, from dn/dw and the group index; None for several guides."""
    tech, ghz = problem.tech, problem.spec.channels.center_thz * 1e3
    settings = (v for dev in problem.measured.flat().instances.values() for v in dev.settings().values())
    names = {v for v in settings if isinstance(v, str) and v in tech.cross_sections}
    guides = [tech.cross_sections[name] for name in names if not tech.cross_sections[name].electrical]
    if len(guides) != 1:
        return None
    (guide,), wl = guides, C_UM_GHZ / ghz
    index = jax.jit(jax.value_and_grad(lambda wl, width: tech.n_eff(guide.name, wl, width), argnums=(0, 1)))
    n_eff, (by_wl, by_width) = index(wl, guide.width)
    return float(1e-3 * ghz * by_width / (n_eff - wl * by_wl))


def spectra(tapeout: "TapeOut", nominal: "Nominal") -> str:
    problem, result = tapeout.problem, tapeout.tolerance
    regions = plots.forbidden(problem, nominal.db)
    low, middle, high = (PERCENTILES.index(p) for p in (5.0, 50.0, 95.0))
    bands = [
        plots.Band(title, outcome.bands[low], outcome.bands[middle], outcome.bands[high], colour)
        for title, outcome, colour in (
            ("as fabricated", result.as_fabricated, plots.AS_FABRICATED),
            ("after trimming", result.trimmed, plots.TRIMMED),
        )
        if outcome is not None
    ]
    names = ", ".join(problem.spec.channels.outputs)
    first = figure(
        plots.overview(problem, nominal.db),
        f"Nominal transmission in dB against frequency for the outputs {names}.",
        "Nominal design with its routes, from the input to each output, without what the specification excludes.",
    )
    second = figure(
        plots.spectra(problem, nominal.db, bands, regions),
        f"Transmission of each output, one row each, with 5 to 95 % bands {' and '.join(b.title for b in bands)}, and "
        "hatched regions that the specification forbids.",
        f"Shaded: 5th to 95th percentile of {result.samples} chips at each frequency; coloured line: median; thin "
        "black line: nominal design. Hatched: where the specification does not allow the spectrum, that is below the "
        "floors of insertion loss and passband in the own channel, and above the ceiling of crosstalk in the others. "
        "Crosstalk and passband are relative to the transmission of the own channel, here that of the nominal design.",
    )
    return first + second


def notes(tapeout: "TapeOut") -> str:
    """What the devices' models cannot know, in their own words."""
    told = tapeout.circuit.notes(tapeout.problem.tech)
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in told)}</ul>" if told else ""


def distributions(tapeout: "TapeOut", nominal: "Nominal") -> str:
    problem, result = tapeout.problem, tapeout.tolerance
    kinds = {"as fabricated": (result.as_fabricated, plots.AS_FABRICATED)}
    if result.trimmed is not None:
        kinds["after trimming"] = (result.trimmed, plots.TRIMMED)
    worst = {kind: np.asarray(problem.worst(jnp.asarray(outcome.figures))) for kind, (outcome, _) in kinds.items()}
    panels = [
        plots.Histogram(
            f"{title(target)} ({target.measure.unit})",
            {kind: values[:, i] for kind, values in worst.items()},
            nominal.figures[label],
            target.bound,
        )
        for i, (label, target) in enumerate(zip(problem.spec.labels, problem.spec.targets, strict=True))
    ]
    picture = figure(
        plots.histograms(panels, {kind: colour for kind, (_, colour) in kinds.items()}),
        "Histograms of every figure over the simulated chips, with target and nominal value.",
        "Worst channel of each chip. The outermost half per cent at either end is counted in the last bars.",
    )
    rows = []
    for label, target in zip(problem.spec.labels, problem.spec.targets, strict=True):
        for kind, (outcome, _) in kinds.items():
            spread = outcome.distributions[label]
            values = [spread[key] for key in ("mean", "std", "p5", "p50", "p95")]
            head = f"{title(target)} ({target.measure.unit})"
            rows.append([f"<td>{escape(head)}</td><td>{kind}</td>", *(number(value(v, target)) for v in values)])
    heads = ["Figure", "Chips", "Mean", "Std. dev.", "5 %", "Median", "95 %"]
    return picture + table("The same in numbers.", heads, rows, numeric=range(2, 7))


def sensitivities(tapeout: "TapeOut") -> str:
    problem, result = tapeout.problem, tapeout.tolerance
    targets = dict(zip(problem.spec.labels, problem.spec.targets, strict=True))
    slopes = {(s.figure, s.parameter): s for s in result.sensitivities}
    first = next(iter(targets))
    process = [s.parameter for s in result.sensitivities if s.figure == first and s.per_sigma is not None]
    variables = [s.parameter for s in result.sensitivities if s.figure == first and s.per_sigma is None]
    weight = lambda name: max(abs(slopes[k, name].per_unit) / t.measure.scale for k, t in targets.items())
    chosen = sorted(variables, key=weight, reverse=True)[:MOST_VARIABLES]

    def row(name: str, shown: str) -> list[str]:
        cells = [slopes[label, name] for label in targets]
        values = [number(f"{s.per_unit + 0.0:+.3g}" + ("" if s.agrees else " *")) for s in cells]
        return [f"<td>{shown}</td>", number(f"per {cells[0].unit}"), *values]

    heads = [f"{title(target)} ({target.measure.unit})" for target in targets.values()]
    numeric = range(1, 2 + len(targets))
    shared = table(
        "Slope of each figure's worst channel at the nominal design, by what a whole chip shares. Slopes hold for "
        "small changes only: the spread of the figures and the yields come from sampling, not from slopes.",
        ["Process", "Slope", *heads],
        [row(name, escape(named(name))) for name in process],
        numeric,
    )
    sampled = table(
        "What was sampled: standard deviations of normal distributions; global is shared by a chip, local is drawn for "
        f"every place. On the whole from {escape(result.source)}.",
        ["Process", "", "Std. dev.", "Source"],
        [
            [
                f"<td>{escape(named(name))}</td>",
                f"<td>{part}</td>",
                number(f"{result.sigma[part].get(name, 0.0):g} {slopes[first, name].unit}"),
                f'<td class="small">{escape(result.sources.get(part, {}).get(name, ""))}</td>',
            ]
            for name in process
            for part in ("global", "local")
        ]
        + _fields(problem)
        + _backscatter(problem),
        range(2, 3),
    )
    designed = table(
        f"The {len(chosen)} design variables, of {len(variables)}, that move a figure most; all are in tolerance.json.",
        ["Variable", "Slope", *heads],
        [row(name, f"<code>{escape(name)}</code>") for name in chosen],
        numeric,
    )
    stars = any(not s.agrees for s in result.sensitivities)
    note = "The worst wavelength changes here: exact derivative and central difference differ."
    return shared + designed + (f'<p class="small">* {note}</p>' if stars else "") + sampled


def _fields(problem: Problem) -> list[list[str]]:
    """Rows on what places along paths side by side see; none where a circuit has no such places."""
    fields = problem.tech.platform.variation.get("fields", {}) if problem.places else {}
    return [
        [
            f"<td>{escape(named(name))}</td>",
            "<td>field along arms</td>",
            number(f"{entry['sigma']:g} over {entry['length_um']:g} um"),
            f'<td class="small">{escape(entry["source"])}</td>',
        ]
        for name, entries in fields.items()
        for entry in entries
    ]


def _backscatter(problem: Problem) -> list[list[str]]:
    """A row on what walls turn back, where a circuit has rings and the technology statistics."""
    entry = problem.tech.platform.variation.get("backscatter")
    rings = any(isinstance(device, Resonator) for device in problem.measured.flat().instances.values())
    if entry is None or not rings:
        return []
    mean = number(f"mean {entry['power_cm']:g} /cm, exponential")
    return [
        ["<td>power turned back</td><td>every ring</td>", mean, f'<td class="small">{escape(entry["source"])}</td>']
    ]


def heaters(tapeout: "TapeOut") -> str:
    if not tapeout.tolerance.heaters:
        return "<p>The specification names no heaters to trim.</p>"
    return "".join(_driven(tapeout.problem, tapeout, heat) for heat in tapeout.tolerance.heaters)


def _driven(problem: Problem, tapeout: "TapeOut", heat: Heaters) -> str:
    """What is trimmed in one unit."""
    designed = np.asarray(problem.vector(tapeout.design.circuit(problem, whole=False), problem.trims))
    mine = [i for i, slot in enumerate(problem.trims) if slot.name in heat.mean]
    rows = [
        [
            f"<td><code>{escape(problem.trims[i].name)}</code></td>",
            number(f"{designed[i]:.1f}"),
            *_spread(powers),
            number(f"{problem.trims[i].upper:g}"),
        ]
        for i, powers in zip(mine, heat.powers.T, strict=True)
    ]
    total = number(f"{designed[mine].sum():.1f}")
    rows.append(["<td><strong>sum</strong></td>", total, *_spread(heat.powers.sum(axis=1)), "<td></td>"])
    heads = ["Heater", "Designed", "Mean", "Median", "95 %", "Largest", "Limit"]
    kinds = {"mW": "Electrical power", "K": "Temperature above the reference", "GHz": "Shift of the grid"}
    caption = f"{kinds[heat.unit]} in {heat.unit} over the simulated chips, after trimming."
    return (
        table(caption, heads, rows, numeric=range(1, 7))
        + f"<p>On {100 * heat.at_limit:.1f} % of chips at least one of them stands at its limit.</p>"
    )


def _spread(values: np.ndarray) -> list[str]:
    shown = (values.mean(), *np.percentile(values, [50, 95]), values.max())
    return [number(f"{v:.1f}") for v in shown]
