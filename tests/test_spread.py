"""Fabricated free-form devices: copies against whole solutions and drawings of their own, yields against known ones."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest

from picq import catalogue, pdk
from picq.cli import run_command
from picq.components import FreeForm
from picq.design.yaml_source import Source
from picq.errors import SpecError
from picq.inverse.appraise import scattering
from picq.inverse.fabricated import Copies, Copy, _axes
from picq.inverse.finish import GUIDES
from picq.inverse.objective import score
from picq.inverse.problem import Problem, permittivities
from picq.inverse.reopened import mask
from picq.inverse.saved import Saved, load_saved
from picq.inverse.spec import parse_free_form
from picq.inverse.spread import _explained, spread
from picq.technology import Process

GAP, WIDTH, STEP = 0.12, 0.4, 0.04
SPEC = {
    "name": "broken",
    "technology": "soi220",
    "wl_um": [1.54, 1.56],
    "region": {"size": [0.8, 0.8]},
    "ports": {"o1": {"side": "west", "width": WIDTH}, "o2": {"side": "east", "width": WIDTH}},
    "targets": [{"from": "o1", "to": "o2", "min_db": -0.8}],
    "rules": {"width": 0.2, "space": 0.2},
    "search": {"steps": [STEP]},
}


def broken(**entries) -> Saved:
    """A guide with a gap in the middle of its region: the wider its edges, the narrower the gap, the more goes over."""
    spec = parse_free_form(Source(data=SPEC | entries))
    bar = np.array([(GAP / 2, -WIDTH / 2), (0.4, -WIDTH / 2), (0.4, WIDTH / 2), (GAP / 2, WIDTH / 2)])
    provenance = {"specification": spec.model_dump(mode="json"), "digest": spec.digest()}
    film = spec.materials is None
    return Saved("broken", "soi220", "strip", (bar, -bar), {}, (), np.zeros(0), 0.0, film, {}, {}, provenance)


def problem_of(saved: Saved, tech) -> Problem:
    data = saved.provenance["specification"]
    targets = [{"from" if k == "start" else k: v for k, v in t.items()} for t in data["targets"]]
    return Problem.of(parse_free_form(Source(data=data | {"targets": targets})), tech)


def by_hand(problem: Problem, width_nm: float) -> np.ndarray:
    """S of ``broken`` with its four moved walls as numbers, without any polygon of the mask."""
    end, side = GAP / 2 - width_nm / 2000, WIDTH / 2 + width_nm / 2000
    bar = np.array([(end, -side), (5.0, -side), (5.0, side), (end, side)])
    return problem.drawn((bar, -bar), STEP).solve()[0]


def with_variation(tech, **sigmas):
    """The technology with these standard deviations of chips and no others."""
    variation = {"global": {k: {"sigma": v} for k, v in sigmas.items()}, "local": {}}
    return dataclasses.replace(tech, platform=dataclasses.replace(tech.platform, variation=variation))


@pytest.fixture(scope="module")
def soi():
    return pdk.load("soi220")


@pytest.mark.parametrize(("polarisation", "width"), [("hz", 0.4), ("ez", 0.43)])
def test_copies_are_what_the_whole_grid_says(soi, polarisation, width):
    """3 points in width, 4 in index leave 2 (phi / 2)^n / n! of the phase phi that the half range adds to 1.4 um of
    guide (dn of 0.02 and 0.03), 6e-5 and 4e-6; phases alone may be off three times as much, as the grid's guide follows
    its width less smoothly than light does. With guides left as drawn |S| would be off by a hundred times as much."""
    ports = {name: {**port, "width": width} for name, port in SPEC["ports"].items()}
    device = broken(polarisation=polarisation, ports=ports)
    block = np.array([(-0.1, 0.28), (0.1, 0.28), (0.1, 0.4), (-0.1, 0.4)])  # on the border: it grows out of the region
    problem = problem_of(device, soi)
    region = mask(dataclasses.replace(device, outlines=(*device.outlines, block)), problem, GUIDES)
    copies, rng = Copies(problem, region, STEP), np.random.default_rng(0)

    def copy(width, thickness, kelvin):
        chip = soi.at(Process(thickness_nm=thickness, temperature_k=kelvin))
        return Copy(width, *permittivities(problem.spec, chip, problem.wl))

    made = [copy(*rng.uniform([0.1, -8, -3], [9.9, 8, 3])) for _ in range(24)] + [copy(-5.0, 2.0, 0.0)]
    heard = []
    found = copies.solved(made, heard.append)
    assert len(heard) == len(made)
    assert found.checked == 2  # one piece with many copies, and one of a single copy, solved as a whole
    assert found.error < 1e-4
    whole = np.array([copies.whole(made[i]) for i in (5, 11, 24)])
    assert np.abs(np.abs(found.s[[5, 11, 24]]) - np.abs(whole)).max() < 1e-4
    assert np.abs(found.s[[5, 11, 24]] - whole).max() < 3e-4
    assert np.array_equal(found.s[24], whole[2])
    axes = _axes([copies._place(Copy(0.0, problem.core, problem.cladding))])
    left = copies._inside(axes, copies._outside(axes), [copies._drawn(made[5])], [copies._place(made[5])], 0)
    assert np.abs(np.abs(left) - np.abs(whole[0])).max() > 2e-3


def test_moved_mask_is_the_device_drawn_wider(soi):
    """Walls as numbers; the mask's grid of 0.01 nm moves them by 1e-5 of the pixel."""
    problem = problem_of(broken(), soi)
    copies = Copies(problem, mask(broken(), problem, GUIDES), STEP)
    for width in (-7.0, 0.0, 12.0):
        s = copies.whole(Copy(width, problem.core, problem.cladding))
        assert np.abs(s - by_hand(problem, width)).max() < 1e-4


def test_yield_is_the_share_of_widths_beyond_the_root(soi):
    """Only edges move, and what goes over the gap rises with them: the yield is a count of normal numbers."""
    given = broken(materials={"core": 8.0, "cladding": 2.085})
    problem = problem_of(given, soi)
    of = lambda width: float(score(by_hand(problem, width), problem.windows))
    root = float(brentq(of, -20.0, 20.0, xtol=0.01))
    assert abs(root) < 10
    found = spread(given, with_variation(soi, width_nm=5.0, thickness_nm=50.0), samples=60, seed=1)
    assert list(found.offsets) == ["width_nm"]
    widths = found.offsets["width_nm"]
    assert np.abs(widths - root).min() > 0.05
    assert found.total.passed == int((widths > root).sum())
    assert 0 < found.total.passed < 60
    interval = binomtest(found.total.passed, 60).proportion_ci(0.95, method="wilson")
    assert (found.total.low, found.total.high) == pytest.approx((interval.low, interval.high))
    assert found.rows[0].alone == found.total
    assert np.std(widths) == pytest.approx(5.0, rel=4 / np.sqrt(2 * 60))
    # the worst power is monotonic too, so its median is the power at the median of the widths, between two samples
    near = [10 * np.log10((np.abs(by_hand(problem, w)[:, 1, 0]) ** 2).min()) for w in np.sort(widths)[29:31]]
    assert min(near) - 1e-3 < found.rows[0].percentiles_db["p50"] < max(near) + 1e-3


def test_yields_are_of_the_device_that_was_scored(soi):
    """Scored on a grid half as fine as the search's: in materials matched to it, as the search."""
    device = broken(surroundings={"step": STEP / 2})
    problem, none = problem_of(device, soi), with_variation(soi, width_nm=0.0)
    scored = lambda of, step: float(score(scattering(of, mask(device, of, GUIDES), step), of.windows))
    fine, found = scored(problem, STEP / 2), spread(device, none, 1).nominal
    assert found == pytest.approx(scored(problem.matched(STEP), STEP), abs=1e-9)
    assert abs(found - fine) < 0.6 * abs(scored(problem, STEP) - fine)


def test_nothing_varies(soi):
    found = spread(broken(), with_variation(soi), samples=20)
    problem = problem_of(broken(), soi)
    nominal = float(score(by_hand(problem, 0.0), problem.windows))
    assert found.nominal == pytest.approx(nominal, abs=1e-12)
    assert np.abs(found.scores - nominal).max() < 1e-10
    assert found.total.passed == 20 * (nominal >= 0)


def test_samples_are_the_seeds(soi):
    first, other, more = (spread(broken(), soi, n, seed) for n, seed in ((2, 1), (2, 2), (3, 1)))
    assert not np.array_equal(first.scores, other.scores)
    for name, values in first.offsets.items():
        assert np.array_equal(values, more.offsets[name][:2])
    assert np.array_equal(first.scores, more.scores[:2])
    assert first.checked == 0  # so few are solved as a whole
    assert list(first.offsets) == ["width_nm", "thickness_nm", "temperature_k"]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_shipped_splitter_is_what_its_file_says(soi):
    """The series of the file was made by another way; its error, and what it was damped by, are in the file."""
    path = catalogue.folder("soi220") / "free_form" / "splitter.json"
    saved = load_saved(path)
    problem, process = problem_of(saved, soi), Process(width_nm=6.0, thickness_nm=-3.0, temperature_k=2.0)
    copies = Copies(problem, mask(saved, problem, GUIDES), problem.spec.search.steps[-1])
    s = copies.whole(Copy(6.0, *permittivities(problem.spec, soi.at(process), problem.wl)))
    model = FreeForm.on(soi, file=str(path)).model(jnp.asarray(problem.wl), soi.at(process))
    for i, name in enumerate(("o1", "o2", "o3")):
        assert np.abs(np.abs(model["o1", name]) - np.abs(s[:, i, 0])).max() < saved.error + saved.figures["damped"]


def test_shares_of_the_variance():
    """y = 2 a + b for independent normal a, b: 0.8 and 0.2, of N samples to 2 (1 - R²) sqrt(R² / N) one sigma."""
    a, b = np.random.default_rng(1).normal(size=(2, 4000))
    for x, share in ((a, 0.8), (b, 0.2)):
        assert _explained(x, 2 * a + b) == pytest.approx(share, abs=8 * (1 - share) * np.sqrt(share / 4000))
    assert _explained(a, a**3) == pytest.approx(1.0)
    assert _explained(np.zeros(9), b[:9]) == 0


def test_command(soi, tmp_path, capsys):
    device, out = tmp_path / "device.json", tmp_path / "spread.json"
    broken().save(device)
    assert run_command(["spread", str(device), "--samples", "3", "--seed", "5", "-o", str(out), "--json"]) == 0
    told = capsys.readouterr()
    plain = json.loads(out.read_text())
    assert json.loads(told.out) == plain
    assert "yields with 95 % intervals" in told.err
    assert plain["samples"] == len(plain["scores"]) == 3
    assert plain["sources"]["global"]["width_nm"]
    assert plain["total"]["passed"] == sum(value >= 0 for value in plain["scores"])
    device.write_text(device.read_text()[:500])
    assert run_command(["spread", str(device)]) == 2
    assert "damaged" in capsys.readouterr().err


def test_refusals(soi):
    with pytest.raises(SpecError, match="samples"):
        spread(broken(), soi, samples=0)
    with pytest.raises(SpecError, match="another technology"):
        spread(broken(), pdk.load("sin800"), samples=1)
    with pytest.raises(SpecError, match="does not say what it was designed for"):
        spread(dataclasses.replace(broken(), provenance={}), soi, samples=1)
