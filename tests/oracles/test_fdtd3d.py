"""Devices in three dimensions, their fields stepped by fdtdx 0.6.3: a straight guide, and a bend both ways."""

import numpy as np
import pytest

pytest.importorskip("fdtdx")

from picq import catalogue
from picq.design.yaml_source import Source
from picq.inverse.fdtd import drive
from picq.inverse.saved import Saved
from picq.inverse.scene3d import Space
from picq.inverse.spec import parse_free_form
from picq.inverse.verify3d import verify
from picq.optics.modes import solve

pytestmark = pytest.mark.oracle

WIDTH = 0.5


@pytest.fixture(scope="module")
def soi():
    return catalogue.technology("soi220")


def saved(outline, size, sides, **entries) -> Saved:
    """A device with guides o1 and o2 on two sides, light from o1."""
    spec = {
        "name": "device",
        "technology": "soi220",
        "wl_um": [1.53, 1.55, 1.57],
        "region": {"size": size},
        "ports": {f"o{i + 1}": {"side": side, "width": WIDTH} for i, side in enumerate(sides)},
        "targets": [{"from": "o1", "to": "o2", "min_db": -0.2}, {"from": "o1", "to": "o1", "max_db": -20}],
        "rules": {"width": 0.2, "space": 0.2},
        "search": {"steps": [0.04]},
    }
    made = parse_free_form(Source(data=spec | entries))
    provenance = {"specification": made.model_dump(mode="json"), "digest": made.digest()}
    return Saved("device", "soi220", "strip", (outline,), {}, (), np.zeros(0), 0.0, True, {}, {}, provenance)


def test_straight_guide(soi):
    """All power arrives, none returns, with the phase of the grid's mode; which is the mode solver's within the mesh.

    15 h² of the index: as in tests/test_verify3d.py.
    """
    step = 0.05
    space = Space.of(
        saved(np.array([(-0.2, -0.25), (0.2, -0.25), (0.2, 0.25), (-0.2, 0.25)]), [0.4, 1.6], ("west", "east")), soi
    )
    scene = space.scene(step)
    found = drive(scene, 0, 0, 1e-4, 10)
    s = found.out / found.into[:, :1]
    assert np.abs(np.abs(s[:, 1]) ** 2 - 1).max() < 1e-4
    assert np.abs(s[:, 0]).max() ** 2 < 1e-6
    cells = scene.planes[1].cell - scene.planes[0].cell
    for wl, modes, phase in zip(scene.wl, scene.modes, np.angle(s[:, 1]), strict=True):
        theta = modes[0][0].theta
        away = np.angle(np.exp(1j * (phase - theta * cells)))
        assert abs(away) < 1e-3
        n_eff = (theta + away / cells) / step * wl / (2 * np.pi)
        exact = float(solve(soi.profile("strip", WIDTH), wl, "te0", temperature_k=soi.temperature_k).n_eff)
        assert n_eff == pytest.approx(exact, abs=15 * step**2)


def test_bend(soi):
    """From west to north on an arc of 0.8 um and back, sources and planes across both axes: reciprocal, up to what
    radiation adds to powers (0.1 % each); radiates, as in two dimensions; reflects little. Coarse cells."""
    turn = np.linspace(0, np.pi / 2, 40)
    arc = lambda r: np.stack([-0.8 + r * np.sin(turn), 0.8 - r * np.cos(turn)], axis=1)
    ring = np.concatenate([arc(1.05), arc(0.55)[::-1]])
    targets = [{"from": a, "to": b, "min_db": -0.2} for a, b in (("o1", "o2"), ("o2", "o1"))]
    found = verify(saved(ring, [1.6, 1.6], ("west", "north"), targets=targets), soi, (0.1, 0.08))
    forth, back = found.powers[:, 1, 0], found.powers[:, 0, 1]
    assert np.abs(forth / back - 1).max() < 0.002
    assert found.powers[:, 0, 0].max() < 1e-3
    for row in found.rows:
        assert abs(row.gap) < 0.15  # the effective index alone is not that far off
        assert row.verdict == "missed"
    assert 0.5 < found.most < 0.9
