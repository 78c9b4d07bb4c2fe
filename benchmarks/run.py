"""All benchmarks, each in a process of its own, as one Markdown table: ``make bench``."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHES = ("bench_circuit", "bench_mzi", "bench_drc", "bench_start")


def quantity(value: float) -> str:
    """Seconds for a person."""
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.2f} ms" if value >= 1e-4 else f"{value * 1e6:.0f} us"


def line(row: dict) -> str:
    """One row of the table."""
    most = row.get("most", False)
    target = f"{'≤' if most else '≥'} {row['target']:g} ×"
    if row["name"].endswith("GB"):
        return (
            f"| {row['name']} | {row['picq_s']:.2f} GB | | | ≤ {row['peer_s']:g} GB | {'yes' if row['met'] else 'NO'} |"
        )
    cells = (
        row["name"],
        quantity(row["picq_s"]),
        row["peer"],
        quantity(row["peer_s"]),
        f"{row['ratio']:.3g} × (target {target})",
    )
    return f"| {' | '.join(cells)} | {'yes' if row['met'] else 'NO'} |"


def main() -> int:
    """Print the table; 1 when a target is missed."""
    if len(sys.argv) > 1:
        print(json.dumps(importlib.import_module(sys.argv[1]).run(), default=bool))
        return 0
    rows = []
    print("| what | picq | peer | peer's | ratio | met |\n|---|---|---|---|---|---|", flush=True)
    for bench in BENCHES:
        command = [sys.executable, str(HERE / "run.py"), bench]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows += json.loads(done.stdout.splitlines()[-1])
        print("\n".join(line(row) for row in rows[-len(json.loads(done.stdout.splitlines()[-1])) :]), flush=True)
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
