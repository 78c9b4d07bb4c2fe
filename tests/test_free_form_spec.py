"""Specifications of free-form devices, their targets and scores; what is refused."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from free_form_spec import small
from scipy.optimize import brentq

from picq import pdk
from picq.errors import SpecError
from picq.inverse.objective import Target, distances, loss, score, windows
from picq.inverse.problem import Problem
from picq.inverse.spec import load_free_form

LAYOUTS = Path(__file__).parents[1] / "layouts" / "inverse"
TECH = pdk.load("soi220")
NAMES = (("o1", 0), ("o2", 0))
WL = np.array([1.27, 1.29])
REFLECTION = Target(("o1", 0), ("o1", 0), high=0.01)
THROUGH = Target(("o1", 0), ("o2", 0), low=0.9)


def powers(reflected, through):
    """S with these powers at both wavelengths."""
    s = np.zeros((2, 2, 2), complex)
    s[:, 0, 0], s[:, 1, 0] = np.sqrt(reflected), 1j * np.sqrt(through)
    return s


@pytest.mark.parametrize(
    ("reflected", "through", "expected"),
    [
        (0.0, 1.0, 1.0),  # the best there is
        (0.0, 0.95, 0.5),  # half the window
        (0.005, 1.0, 0.5),
        (0.01, 1.0, 0.0),
        (0.02, 0.95, -1.0),  # a window outside
        (0.0, 0.8, -1.0),
    ],
)
def test_score_is_the_worst_distance_over_the_window(reflected, through, expected):
    w = windows((REFLECTION, THROUGH), NAMES, WL)
    assert float(score(powers(reflected, through), w)) == pytest.approx(expected, abs=1e-12)


def test_a_window_with_two_bounds_is_best_in_its_middle():
    """The shared beam splitter: half of the power scores 0.5, and no more can be had."""
    low = 10**-0.35
    w = windows((Target(("o1", 0), ("o2", 0), low, 1 - low),), NAMES, WL)
    found = [float(score(powers(0.0, t), w)) for t in (0.45, 0.5, 0.55)]
    assert found[1] == pytest.approx(0.5)
    assert found[0] == pytest.approx((0.45 - low) / (1 - 2 * low))
    assert found[0] == pytest.approx(found[2])


def test_targets_count_at_their_wavelengths_only():
    first = Target(("o1", 0), ("o2", 0), low=0.9, wl=(1.26, 1.28))
    s = powers(0.0, 1.0)
    s[1, 1, 0] = 0
    assert float(score(s, windows((first,), NAMES, WL))) == pytest.approx(1.0)
    assert float(score(s, windows((THROUGH,), NAMES, WL))) == pytest.approx(-9.0)


def test_loss_goes_to_the_compressed_score_and_has_its_slope():
    w = windows((REFLECTION, THROUGH), NAMES, WL)
    s = powers(0.004, 0.93)
    assert float(loss(jnp.asarray(s), w, 1e-3)) == pytest.approx(np.arcsinh(-float(score(s, w))), abs=2e-3)
    for step in (1e-3, 1e-2):  # more light through, less loss
        assert float(loss(powers(0.004, 0.93 + step), w, 0.3)) < float(loss(powers(0.004, 0.93), w, 0.3))
    of = lambda t: loss(jnp.asarray([[[0.05, 0.0], [1.0, 0.0]]] * 2) * jnp.asarray([[1.0, 0.0], [t, 0.0]]), w, 0.2)
    slope = jax.grad(of)(0.97)
    assert float(slope) == pytest.approx(float(of(0.97 + 1e-5) - of(0.97 - 1e-5)) / 2e-5, rel=1e-6)
    assert distances(s, w).shape == (4,)


@pytest.mark.parametrize("name", ["waveguide_bend", "mode_converter", "power_splitter", "beam_splitter"])
def test_shared_problems_have_the_rooms_of_their_public_form(name):
    """Schubert et al.: guides of 720 nm, 400 nm beside (560 nm at the beam splitter), lines 40 nm from the layers."""
    problem = Problem.of(load_free_form(LAYOUTS / f"{name}.yaml"), TECH)
    left, bottom, right, top = problem.box
    room = {"waveguide_bend": (2.72, 2.72), "beam_splitter": (4.64, 3.12), "power_splitter": (3.04, 2.48)}.get(
        name, (3.04, 2.4)
    )
    assert (problem.room.right - problem.room.left, problem.room.top - problem.room.bottom) == pytest.approx(room)
    assert problem.domain(0.01).pml == pytest.approx((0.2, 0.2))
    for port in problem.ports:
        assert port.span == (1.48 if name == "power_splitter" else 1.52)  # 1.52 reaches to the splitter's next guide
        axis, end = {180: (0, left), 0: (0, right), 270: (1, bottom), 90: (1, top)}[port.orientation]
        assert abs(port.centre[axis] - end) == pytest.approx(0.68)
    ceiling = {"beam_splitter": 0.5, "power_splitter": 0.0964}.get(name, 1.0)
    s = np.zeros((6, 4, 4), complex)
    names = [(n, m) for n, p in problem.spec.ports.items() for m in p.modes]
    for target in problem.targets:
        if target.low > 0:
            split = name in ("beam_splitter", "power_splitter")
            s[:, names.index(target.sink), names.index(target.source)] = np.sqrt(0.5) if split else 1
    assert float(score(s, problem.windows)) == pytest.approx(ceiling, abs=1e-4)


def test_every_shipped_specification_can_be_simulated():
    for path in sorted(LAYOUTS.rglob("*.yaml")):
        problem = Problem.of(load_free_form(path), TECH)
        channels = problem.condensed(problem.spec.search.steps[0]).simulation.channels
        assert (channels.n_eff > 1.45).all(), path.name


def test_film_is_the_core_where_no_materials_are_given():
    spec = small(materials=None, polarisation="hz", wl_um=[1.54, 1.56])
    problem = Problem.of(spec, TECH)
    film = np.asarray(TECH.slab_index("strip", problem.wl))
    np.testing.assert_allclose(problem.core, film**2, rtol=1e-12)
    assert 2.8 < film[1] < film[0] < 2.9  # falls with wavelength
    assert problem.permittivity(np.zeros((2, 3))).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets__0": {"from": "o1", "to": "o1"}}, "needs a window"),
        ({"targets__0": {"from": "o1", "to": "o1", "min_db": -1, "max_db": -2}}, "needs a window"),
        ({"targets__0": {"from": "o1", "to": "o1", "least_db": -1}}, "unknown name 'least_db'"),
        ({"ports__o1__at": 0.4}, "is not on the region's west side"),
        ({"ports__o1__side": "left"}, "unknown name 'left'"),
        ({"ports__o1__width": 0.1}, "breaks the rule of the width"),
        ({"rules__width": 0.1}, "finer than the grid can express"),
        ({"materials": {"core": 2.0, "cladding": 2.25}}, "does not guide"),
        ({"search__steps": [0.04, 0.03]}, "not twice as fine"),
        ({"search__edge_nm": 100}, "leave nothing of the narrowest bar"),
        ({"wl_um": [1.29, 1.27]}, "not ascending"),
        ({"wl_um": {"start": 1.2, "points": 3}}, "range of wavelengths"),
        ({"region": {"size": [0.8]}}, "region.size"),
    ],
)  # fmt: skip
def test_entries_that_make_no_sense(changes, message):
    with pytest.raises(SpecError, match=message):
        small(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets__1__to": "o3"}, "no such channel"),
        ({"targets__1__to": "o2@0"}, "no such channel"),
        ({"targets__1__wl_um": [1.5, 1.6]}, "no wavelength of the simulation"),
        ({"ports__o2__modes": [3]}, "guides no mode of order 3"),
        ({"surroundings": {"span": 3.0}}, "in an absorbing layer|outside the domain"),
        ({"region": {"size": [0.81, 0.8]}}, "whole number of pixels|lines of the grid"),
    ],
)  # fmt: skip
def test_what_cannot_be_simulated(changes, message):

    def simulated():
        problem = Problem.of(small(**changes), TECH)
        return problem.windows, problem.condensed(0.04).simulation.channels

    with pytest.raises(SpecError, match=message):
        simulated()


def test_targets_that_contradict_each_other():
    lossy = [{"from": "o1", "to": "o1", "min_db": -1}, {"from": "o1", "to": "o2", "min_db": -1}]
    with pytest.raises(SpecError, match="contradict"):
        _ = Problem.of(small(targets=lossy), TECH).windows
    both = [{"from": "o1", "to": "o2", "min_db": -1}, {"from": "o1", "to": "o2", "max_db": -3}]
    with pytest.raises(SpecError, match="contradict"):
        _ = Problem.of(small(targets=both), TECH).windows


def test_a_filter_that_reaches_beyond_the_room():
    with pytest.raises(SpecError, match="beyond the simulation"):
        Problem.of(small(rules={"width": 0.39, "space": 1.2}, surroundings={"pml_pixels": 5}), TECH).density(0.04)


def test_waves_are_as_long_on_every_grid():
    """The mean wavelength over directions of five points for the Laplacian, from its dispersion relation."""
    problem = Problem.of(small(search__steps=[0.04, 0.02], surroundings={"step": 0.01}), TECH)
    turn = np.linspace(0, np.pi / 2, 91)

    def mean_k(eps: float, step: float, wl: float) -> float:
        def excess(k: float, angle: float) -> float:
            along = np.sin(k * step / 2 * np.array([np.cos(angle), np.sin(angle)])) ** 2
            return 4 / step**2 * along.sum() - eps * (2 * np.pi / wl) ** 2

        return float(np.mean([brentq(excess, 1.0, 2 / step, args=(angle,)) for angle in turn]))

    want = [mean_k(eps, 0.01, wl) for eps, wl in zip(problem.core, problem.wl, strict=True)]
    for step, left in ((0.04, 2e-3), (0.02, 1.3e-4)):  # of fourth order: 16 times less on half the step
        raw = [mean_k(eps, step, wl) for eps, wl in zip(problem.core, problem.wl, strict=True)]
        matched = [mean_k(eps, step, wl) for eps, wl in zip(problem.matched(step).core, problem.wl, strict=True)]
        assert np.abs(np.array(matched) / want - 1).max() < left
        assert np.abs(np.array(raw) / want - 1).min() > 5 * left
    same = problem.matched(0.01)
    np.testing.assert_allclose(same.core, problem.core, rtol=1e-15)
    np.testing.assert_allclose(same.cladding, problem.cladding, rtol=1e-15)


@pytest.mark.parametrize("length_nm", [60, 80, 120, 140, 160])
def test_what_is_fixed_has_the_symmetry_of_the_design(length_nm):
    """Also where its border goes through the middles of pixels, which rounding puts here to one side, there to the
    other: 60 and 140 nm on 20 nm, 120 nm on 40 nm."""
    spec = load_free_form(LAYOUTS / "power_splitter.yaml")
    rules = spec.rules.model_copy(update={"width": length_nm / 1000, "space": length_nm / 1000})
    made = Problem.of(spec.model_copy(update={"rules": rules}), pdk.load("soi220"))
    for step in spec.search.steps:
        solid, void = made.density(step).fixed
        assert solid.any()
        assert np.array_equal(void, void[:, ::-1])
        assert np.array_equal(solid, solid[:, ::-1])
