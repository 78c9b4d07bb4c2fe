"""Start of the command line against the import of the drawing library it does without."""

import subprocess
import sys
import time
from statistics import median
from typing import Any

from row import row


def seconds(code: str) -> float:
    """Wall time of a fresh interpreter that runs ``code``."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def run() -> list[dict[str, Any]]:
    """Measure; see ``row``."""
    help_, peer = [], []
    for _ in range(5):  # interleaved: the machine's load changes
        help_.append(seconds("from picq.cli import run_command; run_command(['--help'])"))
        peer.append(seconds("import gdsfactory"))
    return [row("picq --help", median(help_), "import gdsfactory", median(peer), 5.0)]


if __name__ == "__main__":
    print(run())
