"""Score of free-form devices against the width and space that their masks keep: docs/free_form_pareto.yaml and .png.

``python docs/free_form_pareto.py [NAME LENGTH_NM]...`` runs the given points, or all that the file lacks, each once
with the specification's seed, and draws all points that the file has. A run takes some ten minutes of CPU time; its
search is kept in build/pareto and gone on with.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import matplotlib as mpl
import yaml
from matplotlib.figure import Figure

from picq.design.yaml_source import Source
from picq.figure_style import GRIDDED
from picq.inverse.job import FreeFormJob
from picq.inverse.spec import parse_free_form

HERE = Path(__file__).parent
TABLE = HERE / "free_form_pareto.yaml"
WORK = HERE.parent / "build" / "pareto"
PROBLEMS = {"waveguide_bend": 1.0, "mode_converter": 1.0, "power_splitter": 0.0964}  # ceilings of the score
LENGTHS_NM = (60, 80, 100, 120, 140, 160)
PUBLISHED = {"mode_converter": {60: 0.9095, 80: 0.854, 100: 0.762, 120: 0.672}}
"""Best of invrs-io/leaderboard at the length that its own measure of pixels gives; not free of findings."""


def measured(name: str, length_nm: int) -> dict:
    """One run: score of the drawn polygons, findings left."""
    text = (HERE.parent / "layouts" / "inverse" / f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    data["rules"] = {"width": length_nm / 1000, "space": length_nm / 1000}
    job, kept = FreeFormJob.of(parse_free_form(Source(data=data))), WORK / f"{name}_{length_nm}.npz"
    WORK.mkdir(parents=True, exist_ok=True)
    finished = job.finish(job.search(kept, resume=kept.exists()))
    return {
        "score": round(finished.score, 4),
        "contour": round(finished.rounds[0].score, 4),
        "findings": len(finished.report.findings),
    }


def draw(table: dict) -> None:
    """The picture; points with findings are hollow.

    The line is what is known to be possible: a mask keeps every shorter length too.
    """
    with mpl.rc_context(GRIDDED):
        figure = Figure(figsize=(9.0, 3.0), layout="constrained", dpi=110)
        for axes, (name, ceiling) in zip(figure.subplots(1, len(PROBLEMS)), PROBLEMS.items(), strict=True):
            points = sorted(table.get(name, {}).items())
            axes.axhline(ceiling, color="#999999", linewidth=0.8, linestyle="--")
            clean = [(n, p["score"]) for n, p in points if not p["findings"]]
            best = [max(score for m, score in clean if m >= n) for n, _ in clean]
            axes.plot([n for n, _ in clean], best, color="#0072B2", linewidth=1)
            for n, p in points:
                axes.plot(n, p["score"], "o", color="#0072B2", fillstyle="none" if p["findings"] else "full")
            if name in PUBLISHED:
                axes.plot(*zip(*PUBLISHED[name].items(), strict=True), "s", color="#D55E00", markersize=4)
                axes.annotate("published, by pixels", (57, 0.5), color="#D55E00", fontsize=8)
            axes.set_title(name.replace("_", " "))
            axes.set_xlabel("width = space without findings (nm)")
            axes.set_xlim(50, 170)
            axes.margins(y=0.12)
            axes.annotate("the most there can be", (168, ceiling), fontsize=8, color="#777777", ha="right", va="bottom")
        figure.axes[0].set_ylabel("score of the polygons")
        figure.savefig(HERE / "free_form_pareto.png")


def main(asked: list[str]) -> None:
    """Run what is asked, and keep each point as soon as it is there."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    points = list(zip(asked[::2], map(int, asked[1::2]), strict=True))
    points = points or [(p, n) for n in LENGTHS_NM for p in PROBLEMS if n not in table.get(p, {})]
    for name, length in points:
        table.setdefault(name, {})[length] = found = measured(name, length)
        print(name, length, found, flush=True)
        TABLE.write_text(yaml.safe_dump(table), encoding="utf-8")
    draw(table)


if __name__ == "__main__":
    main(sys.argv[1:])
