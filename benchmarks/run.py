"""All benchmarks, each in a process of its own, as one Markdown table: ``make bench``."""

import importlib
import json
import subprocess
import sys

BENCHES = (
    "bench_circuit",
    "bench_mzi",
    "bench_awg",
    "bench_modes",
    "bench_joint_spectrum",
    "bench_source_tolerance",
    "bench_clicks",
    "bench_fdfd",
    "bench_drc",
    "bench_start",
)


def quantity(value: float, name: str) -> str:
    """Seconds, or memory, for a person."""
    if name.endswith("GB"):
        return f"{value:.3g} GB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def line(row: dict) -> str:
    """One row of the table."""
    ours, theirs = (quantity(row[key], row["name"]) for key in ("picq", "theirs"))
    met = "yes" if row["met"] else "NO"
    return f"| {row['name']} | {ours} | {row['peer']} {theirs} | {row['ratio']:.3g} | {row['target']} | {met} |"


def main() -> int:
    """Print the table; 1 when a target is missed."""
    if len(sys.argv) > 1:
        print(json.dumps(importlib.import_module(sys.argv[1]).run(), default=bool))
        return 0
    met = True
    print("| what | picq | against | ratio | target | met |\n|---|---|---|---|---|---|", flush=True)
    for bench in BENCHES:
        done = subprocess.run([sys.executable, __file__, bench], check=True, stdout=subprocess.PIPE, text=True)
        for row in json.loads(done.stdout.splitlines()[-1]):
            print(line(row), flush=True)
            met = met and row["met"]
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
