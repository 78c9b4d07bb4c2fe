"""Tables: fit, evaluation, ranges, and that those which come with picq say what the solver says."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from picq import pdk
from picq.errors import NumericsError, SpecError
from picq.optics import bake
from picq.optics.guided import Point, Ranges
from picq.optics.stack import Stack
from picq.optics.table import Variable, as_dict, chebyshev, fit, from_dict, sample_points
from picq.technology import Process
from picq.technology_files import load, tasks

TASKS = [(name, task) for name in pdk.names() for task in tasks(pdk.folder(name))]
VARIABLES = (Variable("a", 0.5, 2.0, reciprocal=True), Variable("b", -1.0, 3.0), Variable("c", 1.0, 1.2))


def smooth(z):
    return jnp.exp(-0.3 / z[0]) * jnp.cos(0.4 * z[1]) / (z[2] + 1)


@pytest.fixture(scope="module")
def table():
    points = sample_points(VARIABLES, 96, 1)
    values, slopes = (np.asarray(jax.vmap(f)(jnp.asarray(points))) for f in (smooth, jax.grad(smooth)))
    return fit(VARIABLES, (7.0, 9.0, 5.0), points, values, slopes)


def test_fit_finds_a_smooth_function_and_its_slopes(table):
    points = jnp.asarray(sample_points(VARIABLES, 20, 2, inside=True))
    f = lambda z: table(*z)
    np.testing.assert_allclose(jax.vmap(f)(points), jax.vmap(smooth)(points), atol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(f))(points), jax.vmap(jax.grad(smooth))(points), atol=2e-5)


def test_values_broadcast(table):
    b = jnp.linspace(-1, 3, 4)[:, None]
    c = jnp.linspace(1, 1.2, 3)
    grid = table(0.7, b, c)
    assert grid.shape == (4, 3)
    for i in range(4):
        for j in range(3):
            assert float(grid[i, j]) == pytest.approx(float(table(0.7, b[i, 0], c[j])), abs=1e-14)


@pytest.mark.parametrize("count", range(1, 19))
def test_chebyshev_polynomials(count):
    x = np.linspace(-1, 1, 11)
    np.testing.assert_allclose(
        chebyshev(jnp.asarray(x), count), np.cos(np.outer(np.arccos(x), np.arange(count))), atol=1e-13
    )


def test_files_keep_a_table(table):
    again = from_dict(json.loads(json.dumps(as_dict(table))))
    assert again.variables == table.variables
    np.testing.assert_allclose(again.coefficients, table.coefficients, rtol=1e-9)


@pytest.mark.parametrize(("name", "task"), TASKS, ids=lambda v: v if isinstance(v, str) else v.name)
def test_tables_say_what_they_were_made_of(name, task):
    content = json.loads((pdk.folder(name) / "baked" / f"{task.name}.json").read_text(encoding="utf-8"))
    assert content["key"] == task.key
    made = content["provenance"]
    assert made["solver"]
    assert set(made["materials"]) >= {task.stack.cladding, task.stack.box}
    for quantity, error in made["largest_error_on_checked_points"].items():
        assert 0 <= error <= bake.TOLERANCE.get(quantity, 1e-3)


def compared(name, task, count):
    """(baked, solved) values and wavelength slopes at random points of a table's ranges."""
    tables, solver = load(pdk.folder(name)), load(pdk.folder(name), solver=True)
    z = sample_points(
        [Variable("unit", 0.0, 1.0)] * 6, count, 7 + len(task.name), inside=True
    )  # not the seed of fit or check
    for u in z:
        r = task.ranges
        between = lambda ends, t: ends[0] + ((4.0 if np.isinf(ends[1]) else ends[1]) - ends[0]) * t
        point = Point(
            *(
                None if ends is None else between(ends, t)
                for ends, t in zip((r.width, r.thickness, r.slab, r.gap, r.temperature_k), u, strict=False)
            )
        )
        wl = between(r.wl, u[5])
        xs, kind = task.name.split(".")
        for tech in (tables, solver):
            model = tech.couplers[xs].splitting if kind == "pair" else tech.cross_sections[xs].modes[kind]
            yield jax.value_and_grad(lambda v, model=model, point=point: model(v, point))(wl), wl


def check(name, task, count):
    found = list(compared(name, task, count))
    for ((baked, slope), wl), ((solved, exact), _) in zip(found[::2], found[1::2], strict=True):
        if task.pair:
            assert float(jnp.exp(baked - solved)) == pytest.approx(1, abs=0.01)
        else:
            assert float(baked) == pytest.approx(float(solved), abs=1e-5)
            assert float(baked - wl * slope) == pytest.approx(float(solved - wl * exact), abs=3e-4)


def test_table_against_solver():
    check(*next(pair for pair in TASKS if pair[0] == "soi220" and pair[1].name == "strip.te0"), 1)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "task"), TASKS, ids=lambda v: v if isinstance(v, str) else v.name)
def test_every_table_against_solver(name, task):
    check(name, task, 1 if task.pair else 2)


@pytest.mark.parametrize("xs", ["strip", "rib"])
def test_many_wavelengths_are_interpolated(xs):
    """Seven nodes over the solved band: 1e-9 of the index, and of the coupling relative to itself."""
    tech = pdk.load("soi220").at(Process(width_nm=7.0, thickness_nm=-3.0))
    wl = jnp.linspace(1.5, 1.6, 41)
    one_by_one = lambda f: jnp.stack([f(w) for w in wl])
    index = lambda wl: tech.n_eff(xs, wl)
    np.testing.assert_allclose(index(wl), one_by_one(index), rtol=0, atol=1e-9)
    kappa = lambda wl: tech.kappa(xs, wl, 0.25)
    np.testing.assert_allclose(kappa(wl), one_by_one(kappa), rtol=1e-9)


def test_outside_the_solved_band_there_is_no_number():
    traced = jax.jit(pdk.load("soi220").n_eff, static_argnums=0)("strip", jnp.linspace(1.48, 1.62, 15))
    inside = np.abs(np.linspace(1.48, 1.62, 15) - 1.55) < 0.05 + 1e-9
    assert np.array_equal(np.isfinite(traced), inside)


def test_a_table_of_other_data_is_refused(tmp_path):
    folder = tmp_path / "soi220"
    folder.mkdir()
    for path in pdk.folder("soi220").glob("*.yaml"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(SpecError, match="picq bake soi220"):
        load(folder)
    (folder / "baked").symlink_to(pdk.folder("soi220") / "baked")
    load(folder)
    stack = folder / "stack.yaml"
    stack.write_text(
        stack.read_text(encoding="utf-8").replace("thickness_um: 0.220", "thickness_um: 0.230"), encoding="utf-8"
    )
    with pytest.raises(SpecError, match="other data"):
        load(folder)


TINY = bake.Task(
    "tiny.te0",
    Stack("SiN", "SiO2", "SiO2", 0.8, None, 90.0, 293.15),
    "te0",
    Ranges((1.2, 1.3), (0.79, 0.81), None, None, (1.54, 1.56), (290.0, 300.0)),
    3.0,
)


@pytest.mark.slow
def test_an_interrupted_bake_goes_on_where_it_stopped(tmp_path):
    seen = []

    def until(limit):
        def progress(name, done, total):
            seen.append(done)
            if done == limit:
                raise KeyboardInterrupt

        return progress

    def tiny(progress):
        with bake.pool(2) as workers:
            return bake.bake([TINY], tmp_path / "baked", tmp_path / "work", workers, progress)

    with pytest.raises(KeyboardInterrupt):
        tiny(until(20))
    assert not list((tmp_path / "baked").iterdir())
    seen.clear()
    ((task, errors),) = tiny(until(-1))
    assert seen[0] == 20
    assert errors["index"] < 1e-7
    assert not list((tmp_path / "work").iterdir())
    assert bake.key_of(tmp_path / "baked" / "tiny.te0.json") == task.key
    assert bake.stale([TINY], tmp_path / "baked") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", ["not good enough", pytest.param("cut off within its ranges", marks=pytest.mark.exhaustive)]
)
def test_a_table_that_is_not_good_enough_is_not_written(tmp_path, monkeypatch, fault):
    task = TINY
    if fault == "not good enough":
        monkeypatch.setitem(bake.TOLERANCE, "index", 1e-12)
    else:
        task = TINY._replace(ranges=TINY.ranges._replace(width=(0.25, 20.0), thickness=(0.3, 0.9)), margin=1.0)
    with pytest.raises(NumericsError, match=fault), bake.pool(2) as workers:
        bake.bake([task], tmp_path / "baked", tmp_path / "work", workers, lambda *_: None)
    assert not list((tmp_path / "baked").iterdir())
