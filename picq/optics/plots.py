"""Pictures of mode fields."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from picq.optics.fields import poynting, transverse
from picq.optics.modes import Mode

_REACH_UM = 1.0  # shown around the core
_PARTS = ("Re Ex", "Re Ey", "Im Ez", "power")


def draw_modes(modes: Sequence[Mode], captions: Sequence[str], path: Path) -> None:
    """Ex, Ey, Ez and the power of each mode, one row a mode, as a PNG or whatever the suffix says."""
    figure = Figure(figsize=(13, 3.1 * len(modes)), layout="constrained")
    grid = figure.subplots(len(modes), len(_PARTS), squeeze=False)
    for axes, mode, caption in zip(grid, modes, captions, strict=True):
        parts = [np.real(np.asarray(p)) for p in (*transverse(mode), _density(mode))]
        scale = max(np.abs(p).max() for p in parts[:3])
        for ax, part, name in zip(axes, parts, _PARTS, strict=True):
            x, y, values = _whole(mode, part, name)
            limit = np.abs(values).max() if name == "power" else scale
            colours = {"cmap": "magma", "vmin": 0.0} if name == "power" else {"cmap": "RdBu_r", "vmin": -limit}
            ax.pcolormesh(x, y, values, vmax=limit, shading="flat", rasterized=True, **colours)
            for line_x, line_y in _outline(mode):
                ax.plot(line_x, line_y, color="0.35", lw=0.7)
            _window(ax, mode)
            ax.set_title(name, fontsize=9)
            ax.set_xlabel("x (um)", fontsize=8)
            ax.tick_params(labelsize=7)
        axes[0].set_ylabel(f"{caption}\ny (um)", fontsize=8)
    figure.savefig(path, dpi=130)


def _density(mode: Mode) -> np.ndarray:
    return np.asarray(poynting(mode)) / np.asarray(mode.mesh.width * mode.mesh.height)


def _whole(mode: Mode, part: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mesh lines and cell values of the whole cross-section, unfolded at the mirrors by the parity of the component."""
    x, y = np.real(np.asarray(mode.mesh.x)), np.broadcast_to(np.asarray(mode.mesh.y), mode.mesh.x.shape)
    te = mode.name.startswith("te")
    if mode.profile.mirror:
        digits = "".join(c for c in mode.name if c.isdigit())
        odd = mode.name.endswith("odd") if mode.profile.mirror == "pair" else int(digits) % 2 == 1
        electric = te != odd  # the wall at x = 0: Ey, Ez odd there, Ex even
        sign = 1 if name == "power" or (name == "Re Ex") == electric else -1
        x, y, part = (
            np.concatenate([-x[:0:-1], x]),
            np.concatenate([y[:0:-1], y]),
            np.concatenate([sign * part[::-1], part]),
        )
    if mode.profile.halved:
        middle = y[0, 0]
        electric = not te  # Ex, Ez odd there, Ey even
        sign = 1 if name == "power" or (name == "Re Ey") == electric else -1
        x = np.concatenate([x[:, :0:-1], x], axis=1)
        y = np.concatenate([2 * middle - y[:, :0:-1], y], axis=1)
        part = np.concatenate([sign * part[:, ::-1], part], axis=1)
    return x, y, part


def _outline(mode: Mode) -> list[tuple[list[float], list[float]]]:
    """Every boundary between two media, mirrored as the field is."""
    p = mode.profile
    x, y = np.asarray(p.x), np.asarray(p.y)
    lines = []
    for i, column in enumerate(p.media):
        for j, medium in enumerate(column):
            if i + 1 < len(p.media) and p.media[i + 1][j] != medium:
                lines.append(([x[i + 1, j], x[i + 1, j + 1]], [y[j], y[j + 1]]))
            if j + 1 < len(column) and column[j + 1] != medium:
                lines.append(([x[i, j + 1], x[i + 1, j + 1]], [y[j + 1], y[j + 1]]))
    if p.mirror:
        lines += [([-a for a in u], v) for u, v in lines]
    if p.halved:
        lines += [(u, [2 * y[0] - b for b in v]) for u, v in lines]
    return [([float(a) for a in u], [float(b) for b in v]) for u, v in lines]


def _window(ax: object, mode: Mode) -> None:
    lines = _outline(mode)
    core = {mode.profile.media[i][j] for i, j in mode.profile.core}
    assert core
    vertical = [(u, v) for u, v in lines if abs(v[0] - v[1]) > 1e-9]  # side walls bound the core sideways
    xs = [a for u, _ in vertical for a in u]
    ys = [b for _, v in vertical for b in v]
    ax.set_xlim(min(xs) - _REACH_UM, max(xs) + _REACH_UM)  # pyright: ignore[reportAttributeAccessIssue]
    ax.set_ylim(min(ys) - _REACH_UM, max(ys) + _REACH_UM)  # pyright: ignore[reportAttributeAccessIssue]
    ax.set_aspect("equal")  # pyright: ignore[reportAttributeAccessIssue]
