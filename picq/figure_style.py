"""How picq's pictures look, for Matplotlib's ``rc_context``."""

from typing import Any

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
}

GRIDDED: Any = {**STYLE, "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.6}
"""The same with a grid, for curves."""
