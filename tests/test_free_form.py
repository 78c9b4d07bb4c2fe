"""The way of a free-form device: search, mask, repair, file, circuit."""

import dataclasses
import hashlib
import json

import jax
import jax.numpy as jnp
import klayout.db as kdb
import numpy as np
import pytest
from free_form_spec import SMALL, small

from picq import layout, pdk
from picq.cli import run_command
from picq.components import FreeForm
from picq.errors import LayoutError, SignoffError, SpecError
from picq.inverse.appraise import scattering, series
from picq.inverse.contour import outlines
from picq.inverse.finish import drawn, finish, rules_of
from picq.inverse.job import FreeFormJob
from picq.inverse.objective import score
from picq.inverse.problem import Problem, permittivities
from picq.inverse.repair import violations
from picq.inverse.saved import load_saved
from picq.inverse.search import STARTS, Grid, Point, explore, exploring, recipe, search
from picq.signoff.drc import drc, read_layout
from picq.technology import Process

TECH = pdk.load("soi220")


@pytest.fixture(scope="module")
def problem():
    return Problem.of(small(), TECH)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A straight guide through the region, in the film: designed with no effort, so its answer is known."""
    import yaml

    folder = tmp_path_factory.mktemp("free_form")
    data = {**SMALL, "name": "line", "polarisation": "hz", "wl_um": [1.54, 1.56], "materials": None}
    data["ports"] = {"o1": {"side": "west", "width": 0.4}, "o2": {"side": "east", "width": 0.4}}
    data["targets"] = [{"from": "o1", "to": "o2", "min_db": -1.5}]
    data["search"] = {"steps": [0.04], "effort": 0.6, "starts": 1, "repairs": 4}
    data["region"] = {"size": [0.8, 0.8], "symmetries": ["x", "y"]}
    data["surroundings"] = {"side": 0.6}
    (folder / "line.yaml").write_text(yaml.safe_dump(data))
    code = run_command(["run", str(folder / "line.yaml"), "-o", str(folder / "out"), "--watch"])
    assert code == 0
    return folder


def best_start(problem, stage, tell=lambda *_: None):
    *_, last = explore(problem, stage, Point(STARTS, 0, np.empty(0)), tell)
    return last.latent


def test_search_is_the_same_again_and_from_any_point(problem):
    stage, plan = exploring(problem), recipe(problem)
    first = best_start(problem, stage)
    assert np.array_equal(first, best_start(problem, stage))
    points = [point for point, _ in search(problem, plan, Point(0, 0, first))]
    middle = points[len(points) // 2]
    again = [point for point, _ in search(problem, plan, middle)]
    assert len(again) == len(points) - len(points) // 2 - 1
    assert np.array_equal(again[-1].latent, points[-1].latent)
    assert again[-1].latent.min() >= 0
    assert again[-1].latent.max() <= 1


def test_search_improves_and_other_seeds_differ(problem):
    losses = []
    longer = dataclasses.replace(exploring(problem), iterations=30)
    best_start(problem, longer, lambda n, _, f: losses.append((n, f.loss)))
    first = [loss for n, loss in losses if n == 0]
    assert first[-1] < first[0] - 0.5
    other = Problem.of(small(seed=2), TECH)
    assert not np.array_equal(best_start(problem, exploring(problem)), best_start(other, exploring(other)))


@pytest.mark.parametrize("edge_nm", [0.0, 20.0])
def test_gradient_of_the_search_is_that_of_finite_differences(edge_nm):
    grid = Grid(Problem.of(small(search__edge_nm=edge_nm), TECH), 0.04)
    rng = np.random.default_rng(0)
    latent, way = (
        jnp.asarray(rng.uniform(0.3, 0.7, grid.density.shape)),
        jnp.asarray(rng.normal(size=grid.density.shape)),
    )
    top = grid._tops(None)
    for smooth, beta in ((False, 8.0), (True, 32.0), (True, np.inf)):
        of = lambda x, smooth=smooth, beta=beta: grid.gradient[smooth](x, beta, 0.2, 1e-3, 0.1, top)
        slope = float(jnp.sum(of(latent)[1] * way))
        h = 1e-6
        difference = float(of(latent + h * way)[0][0] - of(latent - h * way)[0][0]) / (2 * h)
        assert slope == pytest.approx(difference, rel=2e-5)


def test_the_score_of_moved_edges_is_that_of_the_worst_of_three_masks():
    """A bar between guides of its own width, its edges 40 nm in, as drawn, and out, through the mask's rasteriser."""
    spec = small(ports__o2__modes=[0], targets__1__to="o2", search__edge_nm=40.0)
    problem = Problem.of(spec, TECH)
    grid = Grid(problem, 0.04)
    latent = np.zeros(grid.density.shape)
    latent[:, 5:15] = 1.0
    stage = dataclasses.replace(recipe(problem)[2], iterations=1)
    found = next(figures.score for _, _, figures in grid.descend(stage, latent))
    guides = [kdb.DBox(-4.0, -0.2, -0.4, 0.2), kdb.DBox(0.4, -0.2, 4.0, 0.2)]

    def masked(edge: float) -> float:
        region = kdb.Region([box.to_itype(0.001) for box in (*guides, kdb.DBox(-0.4, -0.2 - edge, 0.4, 0.2 + edge))])
        return float(score(scattering(problem, region.merged(), 0.04), problem.windows))

    masks = [masked(edge) for edge in (-0.04, 0.0, 0.04)]
    assert min(masks) < masks[1] - 0.05  # it is a worst case that tells
    # rounding of the bar's ends by the filter, and edges of 0.35 instead of 0.29 pixels: of second order in the step
    assert found == pytest.approx(min(masks), abs=0.1 * (masks[1] - min(masks)))


def test_the_mask_keeps_the_rules_and_is_what_was_scored():
    problem = Problem.of(small(region__size=[1.2, 1.2]), TECH)
    rng = np.random.default_rng(3)
    grid = Grid(problem, 0.04)
    latent = np.clip(0.5 + rng.normal(size=grid.density.shape), 0, 1)
    assert not violations(drawn(grid, latent), rules_of(problem)).passed
    made = finish(problem, latent)
    assert made.report.passed
    assert made.rounds[0].what == "contour"
    assert made.rounds[0].markers
    assert made.rounds[1].what == "contour, walls moved"
    assert not made.rounds[-1].markers
    assert made.score == max(r.score for r in made.rounds if not r.markers)
    s = scattering(problem, made.region, problem.spec.mask_step)
    np.testing.assert_allclose(s, made.s, atol=1e-12)


def test_a_straight_guide_in_the_region_is_a_straight_guide():
    """Its series: lossless, without reflection, of the grid's own phase; wider and of higher index it is slower."""
    spec = small(wl_um=[1.26, 1.3], ports__o2__modes=[0], targets__1__to="o2")
    problem = Problem.of(spec, TECH)
    bar = kdb.Region(kdb.DBox(-4.0, -0.2, 4.0, 0.2).to_itype(0.001))
    found = series(problem, TECH, bar, 0.04)
    middle = np.polynomial.chebyshev.chebvander(0.0, 6)[0]
    s = np.einsum("abcij,a,b,c->ij", found.coefficients, *(middle[:n] for n in found.coefficients.shape[:3]))
    simulation = problem.drawn(outlines(bar), 0.04)
    n = np.interp(1.28, problem.wl, simulation.channels.n_eff[:, 0])
    assert abs(s[0, 0]) < 1e-3
    assert abs(s[1, 0]) == pytest.approx(1.0, abs=1e-3)
    assert np.angle(s[1, 0] / np.exp(2j * np.pi / 1.28 * n * 0.8)) == pytest.approx(0, abs=2e-3)
    assert found.error < 0.05
    assert found.damped < 1e-3


def test_run_leaves_a_bundle_that_a_chip_can_use(bundle):
    out = bundle / "out"
    names = {"device.json", "device.gds", "device.oas", "device.png", "spectra.png", "report.html", "manifest.json"}
    assert names | {"drc.json", "drc.lyrdb", "mask.json"} == {p.name for p in out.iterdir()}
    assert (bundle / "out.work" / "search.png").stat().st_size > 1000
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["reports"]["drc"]["passed"]
    assert manifest["figures"]["rounds"][-1]["markers"] == {}
    saved = load_saved(out / "device.json")
    assert saved.figures["score"] > 0
    written = kdb.Layout()
    written.read(str(out / "device.gds"))
    layer = written.layer(*TECH.layer("waveguide"))
    found = kdb.Region(written.top_cell().begin_shapes_rec(layer)).merged()
    area = sum(0.5 * np.sum(o[:, 0] * np.roll(o[:, 1], -1) - np.roll(o[:, 0], -1) * o[:, 1]) for o in saved.outlines)
    assert found.area() * 1e-6 == pytest.approx(area, abs=1e-6)  # half a square of the grid


def test_resume_goes_on_among_the_starts(tmp_path):
    job, work = FreeFormJob.of(small(search__starts=3)), tmp_path / "search.npz"
    straight_on, told = job.search(), []

    def stop(progress) -> None:
        if progress.figures.get("start") == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.search(work, report=stop)
    with np.load(work) as kept:
        assert (int(kept["stage"]), int(kept["iteration"])) == (STARTS, 2)
    assert np.array_equal(job.search(work, resume=True, report=told.append), straight_on)
    starts = [progress.figures["start"] for progress in told if progress.stage == "starts"]
    assert set(starts) == {3}
    assert told[len(starts) - 1].done == told[0].total


def test_resume_goes_on_from_the_checkpoint_as_if_nothing_had_been(tmp_path):
    job, work = FreeFormJob.of(small()), tmp_path / "search.npz"
    straight_on = job.search()

    def stop(progress) -> None:
        if progress.stage == "search" and progress.done == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.search(work, report=stop)
    with np.load(work) as kept:
        assert (int(kept["stage"]), int(kept["iteration"])) == (1, 2)  # the tenth: 8 of the first stage, 2 of the next
        assert len([name for name in kept if name.startswith("moment")]) >= 3
    assert np.array_equal(job.search(work, resume=True), straight_on)


def test_resume_refuses_what_is_no_checkpoint_of_its_own(bundle, tmp_path):
    spec, work = bundle / "line.yaml", bundle / "out.work" / "search.npz"
    job = FreeFormJob.read(spec)
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name in ("empty.npz", "one.npy"):
        with pytest.raises(SpecError, match="is damaged"):
            job.search(tmp_path / name, resume=True)
    other = bundle / "other.yaml"
    other.write_text(spec.read_text().replace("seed", "#") + "\nseed: 5\n")
    with pytest.raises(SpecError, match="of another specification"):
        FreeFormJob.read(other).search(work, resume=True)
    with pytest.raises(SpecError, match="no checkpoint"):
        job.search(bundle / "none.npz", resume=True)


def drawn_waist(path, layer=(1, 0)):
    """A guide 400 nm wide with a waist of 120 nm where 200 nm are the rule, in a layout of 5 nm."""
    drawn = kdb.Layout()
    drawn.dbu = 0.005
    ring = [(-2, -0.2), (-0.2, -0.2), (-0.1, -0.06), (0.1, -0.06), (0.2, -0.2), (2, -0.2)]
    ring += [(x, -y) for x, y in ring[::-1]]
    shapes = drawn.create_cell("waist").shapes(drawn.layer(*layer))
    shapes.insert(kdb.DPolygon([kdb.DPoint(*p) for p in ring]))
    drawn.write(str(path))


def test_a_drawn_mask_becomes_a_device(bundle, tmp_path, capsys):
    drawn_waist(tmp_path / "waist.gds", TECH.layer("waveguide"))
    command = ["run", str(bundle / "line.yaml"), "-o", str(tmp_path / "out"), "--mask", str(tmp_path / "waist.gds")]
    assert run_command(command) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    first, *_, last = manifest["figures"]["rounds"]
    assert first["what"] == "as drawn"
    assert any("width" in name for name in first["markers"])
    assert first["score"] < 0 < last["score"]
    assert last["markers"] == {}
    saved = load_saved(tmp_path / "out" / "device.json")
    assert saved.provenance["drawn_sha256"] == hashlib.sha256((tmp_path / "waist.gds").read_bytes()).hexdigest()
    assert manifest["drawn_sha256"] == saved.provenance["drawn_sha256"]
    assert manifest["drawn_sha256"] in (tmp_path / "out" / "report.html").read_text()


def test_a_drawn_mask_that_cannot_be_taken_is_refused(bundle, tmp_path):
    job = FreeFormJob.read(bundle / "line.yaml")
    drawn_waist(tmp_path / "other.gds", (77, 0))
    with pytest.raises(SpecError, match="nothing in the region"):
        job.drawn(tmp_path / "other.gds")
    with pytest.raises(LayoutError, match="no such mask"):
        job.drawn(tmp_path / "none.gds")
    command = ["run", str(bundle / "line.yaml"), "-o", str(tmp_path / "out"), "--mask", str(tmp_path / "other.gds")]
    assert run_command([*command, "--resume"]) == 2
    assert not (tmp_path / "out").exists()


def test_device_from_the_file(bundle):
    dev = FreeForm.on(TECH, file=str(bundle / "out" / "device.json"))
    assert dev.ports == ("o1", "o2")
    wl = jnp.linspace(1.541, 1.559, 5)
    s = dev.model(wl, TECH)
    assert np.array_equal(s["o1", "o2"], s["o2", "o1"])
    power = np.abs(s["o1", "o2"]) ** 2 + np.abs(s["o1", "o1"]) ** 2
    assert (power < 1 + 1e-3).all()
    assert (np.abs(s["o1", "o2"]) ** 2 > 10**-0.15).all()
    np.testing.assert_allclose(jax.jit(lambda wl: dev.model(wl, TECH)["o1", "o2"])(wl), s["o1", "o2"], atol=1e-14)
    cell = layout.build(dev, TECH)
    assert {p.name: (tuple(p.center), p.orientation, p.width) for p in cell.ports} == {
        "o1": ((-0.4, 0.0), 180.0, 0.4),
        "o2": ((0.4, 0.0), 0.0, 0.4),
    }


def test_width_thickness_and_temperature_act_as_in_the_solver(bundle):
    """The series' changes against two solutions each on the mask's grid. Edges move by 5 nm each way: over less, the
    grid's own slope has kinks of some per cent where walls pass its lines."""
    dev = FreeForm.on(TECH, file=str(bundle / "out" / "device.json"))
    job = FreeFormJob.read(bundle / "line.yaml")
    region = kdb.Region()
    for o in dev.saved.outlines:
        region.insert(kdb.DPolygon([kdb.DPoint(*p) for p in o]).to_itype(0.001))
    for guide in job.problem.guides(3.0):
        region.insert(kdb.DBox(*guide).to_itype(0.001))
    region.merge()
    fine = region.transformed(kdb.ICplxTrans(100))  # grids of 1 nm would round edges as they move
    of = lambda by_nm: scattering(job.problem, fine.sized(100 * by_nm), job.spec.mask_step, 1e-5)[0, 1, 0]
    solved = of(5) - of(-5)  # edges by 5 nm: widths by 10 nm
    at = lambda nm: dev.model(jnp.asarray(job.problem.wl[0]), TECH.at(Process(width_nm=nm)))["o1", "o2"]
    assert abs((at(10.0) - at(-10.0)) - solved) < 0.01 * abs(solved)

    def solved_at(**process: float) -> complex:
        materials = permittivities(job.spec, TECH.at(Process(**process)), job.problem.wl)
        return scattering(Problem(job.spec, *materials), region, job.spec.mask_step)[0, 1, 0]

    of_model = lambda **p: dev.model(jnp.asarray(job.problem.wl[0]), TECH.at(Process(**p)))["o1", "o2"]
    for name, by in (("thickness_nm", 3.0), ("temperature_k", 20.0)):
        change = solved_at(**{name: by}) - solved_at(**{name: -by})
        # the oxide's own index moves with the temperature, by 1/20 of silicon's, and the series knows the core's only
        slack = 0.01 if name == "thickness_nm" else 0.06
        assert abs(of_model(**{name: by}) - of_model(**{name: -by}) - change) < slack * abs(change), name


def test_thickness_acts_by_the_index_of_the_devices_polarisation(bundle, tmp_path):
    """The same series, once for H and once for E out of the plane: a film's TM index moves 2.5 times as fast."""
    data = json.loads((bundle / "out" / "device.json").read_text())
    data["provenance"]["specification"]["polarisation"] = "ez"
    (tmp_path / "tm.json").write_text(json.dumps(data))
    wl, film, phases = jnp.asarray(1.55), TECH.platform.film, []
    for file in (bundle / "out" / "device.json", tmp_path / "tm.json"):
        dev = FreeForm.on(TECH, file=str(file))
        s = [dev.model(wl, TECH.at(Process(thickness_nm=nm)))["o1", "o2"] for nm in (-0.5, 0.5)]
        phases.append(float(jnp.angle(s[1] / s[0])))
    slope = lambda te: float(film.film_index(wl, 0.2205, 300.0, te=te) - film.film_index(wl, 0.2195, 300.0, te=te))
    assert phases[1] / phases[0] == pytest.approx(slope(False) / slope(True), rel=0.02)
    assert phases[1] / phases[0] > 2


def test_a_chip_takes_the_device_by_its_file(bundle):
    from picq.circuit import Circuit

    dev = FreeForm.on(TECH, file=str(bundle / "out" / "device.json"))
    chip = Circuit({"a": dev, "b": dev}, (("a,o2", "b,o1"),), (("o1", "a,o1"), ("o2", "b,o2")))
    wl = jnp.asarray([1.55])
    s, one = chip.model(wl, TECH), dev.model(wl, TECH)
    expected = one["o1", "o2"] ** 2 / (1 - one["o1", "o1"] * one["o2", "o2"])
    np.testing.assert_allclose(s["o1", "o2"], expected, rtol=1e-3)


def test_a_port_of_a_higher_mode_is_told(bundle, tmp_path):
    file = bundle / "out" / "device.json"
    data = json.loads(file.read_text())
    data["ports"]["o2"]["mode"] = 1
    (tmp_path / "higher.json").write_text(json.dumps(data))
    assert len(FreeForm.on(TECH, file=str(file)).notes(TECH)) == 1
    assert "o2 is mode 1" in FreeForm.on(TECH, file=str(tmp_path / "higher.json")).notes(TECH)[0]


def test_files_that_are_none(bundle, tmp_path):
    out = bundle / "out" / "device.json"
    with pytest.raises(SpecError, match="has no file"):
        _ = FreeForm().saved
    with pytest.raises(SpecError, match="there is no free-form device"):
        FreeForm.on(TECH, file="nowhere.json")
    with pytest.raises(SpecError, match=r"there is no free-form device.*\n.*this is a folder"):
        FreeForm.on(TECH, file=str(out.parent))
    with pytest.raises(SpecError, match="not for this technology"):
        FreeForm.on(pdk.load("sin800"), file=str(out))
    with pytest.raises(SpecError, match="another one than it was"):
        _ = FreeForm(file=str(out), sha256="0" * 16).saved
    damaged = tmp_path / "damaged.json"
    damaged.write_text(out.read_text()[:1000])
    with pytest.raises(SpecError, match="damaged"):
        FreeForm(file=str(damaged)).model(jnp.asarray(1.55), TECH)


def test_a_mask_that_breaks_the_rules_is_not_exported(bundle, tmp_path, monkeypatch):
    from picq.inverse import bundle as bundles

    job = FreeFormJob.read(bundle / "line.yaml")
    latent = np.load(bundle / "out.work" / "search.npz")["latent"]
    finished = job.finish(latent)
    saved = load_saved(bundle / "out" / "device.json")
    thin = [np.array([[0.0, 0.3], [0.05, 0.3], [0.05, 0.39], [0.0, 0.39]])]
    broken = dataclasses.replace(saved, outlines=(*saved.outlines, *thin))
    with pytest.raises(SignoffError, match=r"not what was simulated|width"):
        bundles.export(job, finished, broken, tmp_path / "out", tmp_path / "rejected")
    assert not (tmp_path / "out").exists()
    kept = {path.name for path in (tmp_path / "rejected").iterdir()}
    assert {"device.gds", "drc.lyrdb", "report.html"} <= kept
    assert not kept & {"manifest.json", "device.json"}
    report = (tmp_path / "rejected" / "report.html").read_text()
    assert "not signed off" in report
    assert "DRC failed" in report


def test_long_outlines_are_checked_as_they_are_written(bundle, tmp_path):
    """With its guides too, a polygon of more vertices than a mask's may have is split, and is the same shape."""
    from picq.inverse.bundle import _deck, _with_guides

    job = FreeFormJob.read(bundle / "line.yaml")
    teeth = 1500
    comb = [kdb.Point(0, 0)]
    for i in range(teeth):
        comb += [kdb.Point(400 * i + dx, dy) for dx, dy in ((0, 800), (200, 800), (200, 400), (400, 400))]
    comb.append(kdb.Point(400 * teeth, 0))
    drawn_comb = kdb.Region(kdb.Polygon(comb)).moved(0, 5000)
    assert max(polygon.num_points() for polygon in drawn_comb.each()) > 4000
    path = tmp_path / "with_guides.gds"
    _with_guides(job, drawn_comb, path)
    report = drc(path, _deck(job))
    assert "file.vertices" in report.ran
    assert not [finding for finding in report.findings if finding.check == "file.vertices"], report.text(most=3)
    layout_ = read_layout(path)
    layer = layout_.layer(*job.tech.layer(job.tech.cross_section(job.spec.cross_section).layer))
    written = kdb.Region(layout_.top_cell().begin_shapes_rec(layer)).merged()
    assert (drawn_comb - written).is_empty()
    assert (written & kdb.Region(drawn_comb.bbox())).area() == drawn_comb.area()
