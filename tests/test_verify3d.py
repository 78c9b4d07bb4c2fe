"""Free-form devices in three dimensions, as far as no fdtdx is needed: cells, modes of the grid, refusals."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from picq import catalogue
from picq.cli import run_command
from picq.design.yaml_source import Source
from picq.errors import NumericsError, SpecError
from picq.inverse.page import _space
from picq.inverse.saved import Saved
from picq.inverse.scene3d import Space
from picq.inverse.spec import parse_free_form
from picq.inverse.verify3d import estimate, judged, verify
from picq.inverse.yee import grid_modes, waves
from picq.optics.modes import solve

WIDTH, WL = 0.5, 1.55
LAYOUTS = Path(__file__).parents[1] / "layouts"


@pytest.fixture(scope="module")
def soi():
    return catalogue.technology("soi220")


def straight(sides=("west", "east"), width=WIDTH, **entries) -> Saved:
    """A piece of guide as a device, along x or y; a region of 0.4 um."""
    spec = {
        "name": "straight",
        "technology": "soi220",
        "wl_um": [1.53, 1.55, 1.57],
        "region": {"size": [0.4, 1.6] if sides[0] == "west" else [1.6, 0.4]},
        "ports": {f"o{i + 1}": {"side": side, "width": width} for i, side in enumerate(sides)},
        "targets": [{"from": "o1", "to": "o2", "min_db": -0.5}, {"from": "o1", "to": "o1", "max_db": -20}],
        "rules": {"width": 0.2, "space": 0.2},
        "search": {"steps": [0.04]},
    }
    made = parse_free_form(Source(data=spec | entries))
    a, b = (0.2, width / 2) if sides[0] == "west" else (width / 2, 0.2)
    outline = np.array([(-a, -b), (a, -b), (a, b), (-a, b)])
    provenance = {"specification": made.model_dump(mode="json"), "digest": made.digest()}
    film = made.materials is None
    return Saved("straight", made.technology, "strip", (outline,), {}, (), np.zeros(0), 0.0, film, {}, {}, provenance)


def section(saved, tech, step, axis=0):
    """1/eps across the middle of a device, as far as the ports' planes reach."""
    scene = Space.of(saved, tech).scene(step)
    (a, b), (c, d) = scene.planes[0].window
    return np.take(scene.inverse, scene.shape[axis] // 2, axis + 1)[:, a:b, c:d]


@pytest.mark.parametrize("step", [0.05, 0.04, 0.03, 0.025])
def test_index_of_the_grid_is_the_mode_solvers(soi, step):
    """Within 15 h² (um): of this, 10 are Yee's own along the guide, (2 pi / wl)² n³ / 24. Film and guide end within
    cells in four ways; without averaging the film would be up to half a cell too thick, 0.1 in the index."""
    exact = float(solve(soi.profile("strip", WIDTH), WL, "te0", temperature_k=soi.temperature_k).n_eff)
    mode = grid_modes(section(straight(), soi, step), 0, step, 2 * np.pi / WL, (0,), te=True)[0]
    assert mode.theta / step * WL / (2 * np.pi) == pytest.approx(exact, abs=15 * step**2)


@pytest.mark.parametrize("te", [True, False])
def test_guides_along_x_and_y_are_the_same(soi, te):
    omega = 2 * np.pi / WL
    modes = [
        grid_modes(
            section(straight(sides, polarisation="hz" if te else "ez"), soi, 0.04, axis), axis, 0.04, omega, (0,), te=te
        )[0]
        for axis, sides in enumerate((("west", "east"), ("south", "north")))
    ]
    assert modes[0].theta == pytest.approx(modes[1].theta, rel=1e-9)


def test_waves_of_both_directions_and_of_other_modes(soi):
    """A field of te0 both ways and of te1 one way: what was put in comes out, and te1 is not seen as te0."""
    saved = straight(width=1.2)
    te0, te1 = grid_modes(section(saved, soi, 0.04), 0, 0.04, 2 * np.pi / WL, (0, 1), te=True)
    a, b, c = 0.8 + 0.1j, -0.3j, 0.5
    q = lambda mode: np.exp(0.5j * mode.theta)
    unit = lambda mode: np.sqrt(mode.norm * np.cos(mode.theta / 2))
    e = (a + b) * te0.e / unit(te0) + c * te1.e / unit(te1)
    h = (a * q(te0) - b / q(te0)) * te0.h / unit(te0) + c * q(te1) * te1.h / unit(te1)
    assert np.abs(np.array(waves(te0, e, h)) - [a, b]).max() < 1e-7
    assert np.abs(np.array(waves(te1, e, h)) - [c, 0]).max() < 1e-7


def test_power_of_an_amplitude(soi):
    """|a|² is the flux of the grid: Re sum(E x H*) with H half a cell behind, both referred to the same place."""
    mode = grid_modes(section(straight(), soi, 0.04), 0, 0.04, 2 * np.pi / WL, (0,), te=True)[0]
    e, h = mode.e.astype(complex), mode.h * np.exp(0.5j * mode.theta)
    flux = np.sum(e[0] * h[1].conj() - e[1] * h[0].conj()).real
    assert abs(waves(mode, e, h)[0]) ** 2 == pytest.approx(flux, rel=1e-9)


def test_a_mode_that_is_not_there_is_refused(soi):
    with pytest.raises(NumericsError, match="does not guide mode te1"):
        grid_modes(section(straight(width=0.3), soi, 0.04), 0, 0.04, 2 * np.pi / WL, (1,), te=True)


def test_a_plane_that_cuts_its_mode_is_refused(soi):
    cut = section(straight(), soi, 0.04)
    n, m = cut.shape[1:]
    with pytest.raises(NumericsError, match="cuts the mode"):
        grid_modes(cut[:, n // 2 - 8 : n // 2 + 8, m // 2 - 6 : m // 2 + 6], 0, 0.04, 2 * np.pi / WL, (0,), te=True)


@pytest.mark.parametrize("step", [0.05, 0.03])
def test_cells_hold_the_film_and_its_guides(soi, step):
    """Integrals over the height: of eps for Ex in the guide, of 1/eps for Ez; and the guide goes through the walls."""
    space = Space.of(straight(), soi)
    scene = space.scene(step)
    core, oxide = (1 / v for v in (scene.inverse.min(), scene.inverse.max()))
    film = 1 / scene.inverse - oxide
    middle = round(space.domain(step).pixel(1, 0.0))
    assert film[0, 0, middle].sum() * step == pytest.approx(0.22 * (core - oxide), rel=1e-9)
    ez = scene.inverse[2, -1, middle] - 1 / oxide
    assert ez.sum() * step == pytest.approx(0.22 * (1 / core - 1 / oxide), rel=1e-9)
    area = film[0, 0].sum() * step**2  # Ex sees walls along x from the side: means only
    assert area == pytest.approx(0.22 * WIDTH * (core - oxide), rel=1e-9)
    assert np.ptp(scene.inverse, axis=1).max() < 1e-12


def test_ports_stand_in_their_guides(soi):
    scene = Space.of(straight(), soi).scene(0.04)
    west, east = scene.planes
    assert west.source < west.cell < east.cell < east.source
    assert west.cell - west.source == pytest.approx(east.source - east.cell, abs=1)
    assert scene.layer < west.source
    assert east.source < scene.shape[0] - scene.layer
    assert west.window[0][0] + west.window[0][1] == scene.shape[1]  # about the guide


def test_estimate_counts_cells_in_time(soi):
    """16 times as much for half the step, less what the absorbing layers hold, which have as many cells; no light from
    o2 is asked for, so one run a grid."""
    saved = straight()
    coarse, fine = (estimate(Space.of(saved, soi), steps) for steps in ((0.05, 0.04), (0.025, 0.02)))
    assert 8 < fine.cell_steps / coarse.cell_steps < 16
    assert fine.cells == np.prod(Space.of(saved, soi).scene(0.02).shape)
    assert "million cells" in fine.text()


def powers(transmitted, reflected):
    """[step, wl, out, in] of two steps."""
    found = np.zeros((2, 3, 2, 2))
    found[:, :, 1, 0], found[:, :, 0, 0] = np.array(transmitted)[:, None], np.array(reflected)[:, None]
    return found


def test_judgement(soi, tmp_path):
    """Row by row: worst wavelength, error, gap from the plane where nothing is lost, verdicts."""
    saved = straight()
    space = Space.of(saved, soi)
    p = powers((0.93, 0.95), (2e-3, 1e-3))
    p[:, 2, 1, 0] -= 0.05
    found = judged(saved, space, (0.04, 0.02), p, 1e-4)
    through, back = found.rows
    assert through.wl == 1.57
    assert through.space == pytest.approx((0.88, 0.90))
    assert through.error == pytest.approx(0.02 + 1e-4 + 0.001 * 0.9)
    assert through.plane == pytest.approx(1, abs=1e-3)
    assert through.gap == pytest.approx(-0.1, abs=1e-3)
    assert (through.verdict, back.verdict) == ("within the error", "met")  # -0.5 dB: 0.891
    assert replace(through, error=0.001).verdict == "met"
    assert replace(through, space=(0.8, 0.8)).verdict == "missed"
    assert found.most == pytest.approx(0.951)
    found.save(tmp_path / "v.json")
    read = json.loads((tmp_path / "v.json").read_text())
    assert read["rows"][0]["gap"] == through.gap
    assert "o1@0 -> o2@0" in found.text()


def test_the_report_shows_the_gap_with_its_error(soi):
    saved = straight()
    p = powers((0.93, 0.95), (0.0, 1e-3))
    page = _space(judged(saved, Space.of(saved, soi), (0.04, 0.02), p, 1e-4))
    for text in ("3-D, 40 nm (dB)", "−0.22", "−0.32 … −0.13", "none … −26.78"):
        assert text in page
    assert page.count("<tr>") == 3


@pytest.mark.parametrize(
    ("reflected", "told"),
    [(1e-3, "of 2 targets 2 met"), (0.0101, "of 2 targets 1 met, 1 within the error"), (0.05, "1 met, 1 missed")],
)
def test_one_sentence_says_what_is_met_beyond_the_error(soi, reflected, told):
    saved = straight(targets=[{"from": "o1", "to": "o1", "max_db": -20}, {"from": "o1", "to": "o2", "min_db": -1}])
    found = judged(saved, Space.of(saved, soi), (0.04, 0.02), powers((0.9, 0.9), (reflected, reflected)), 1e-3)
    assert told in found.verdict()
    assert found.met is ("2 met" in told)


def test_a_report_says_what_was_not_computed():
    assert "--verify3d" in _space(None)


def test_a_check_that_will_fail_is_refused_before_the_search(tmp_path, capsys):
    """What has no third dimension, and a chip."""
    for name, told in (("inverse/mode_converter.yaml", "third dimension"), ("sfwm_purity.yaml", "--verify3d is for")):
        assert run_command(["run", str(LAYOUTS / name), "-o", str(tmp_path / "out"), "--verify3d"]) == 2
        assert told in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_more_light_out_than_in_is_refused(soi):
    saved = straight()
    space = Space.of(saved, soi)
    with pytest.raises(NumericsError, match="more power comes out"):
        judged(saved, space, (0.04, 0.02), powers((1.02, 1.02), (0.0, 0.0)))


def test_what_has_no_film_is_refused(soi):
    with pytest.raises(SpecError, match="third dimension"):
        Space.of(straight(materials={"core": 12.25, "cladding": 2.25}), soi)


def test_another_technology_is_refused():
    with pytest.raises(SpecError, match="another technology"):
        Space.of(straight(), catalogue.technology("sin800"))


def test_crystals_are_refused():
    with pytest.raises(SpecError, match="isotropic film with vertical walls"):
        Space.of(straight(technology="tfln600", cross_section="rib"), catalogue.technology("tfln600"))


def test_a_file_without_its_specification_is_refused(soi):
    with pytest.raises(SpecError, match="what it was designed for"):
        Space.of(replace(straight(), provenance={}), soi)


@pytest.mark.parametrize("steps", [(0.04,), (0.02, 0.04), (0.04, 0.04), (0.04, -0.02)])
def test_steps_that_give_no_error_are_refused(soi, steps):
    with pytest.raises(SpecError, match="two or more, falling"):
        estimate(Space.of(straight(), soi), steps)


def test_too_many_cells_are_refused(soi, monkeypatch):
    monkeypatch.setattr("picq.inverse.verify3d.require", lambda: None)
    with pytest.raises(SpecError, match="too large for these cells"):
        verify(straight(), soi, (0.01, 0.005))


def test_without_fdtdx_the_remedy_is_told(soi, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "fdtdx" else there(name, *a))
    with pytest.raises(SpecError, match=r"picq\[fdtd3d\]"):
        verify(straight(), soi)
