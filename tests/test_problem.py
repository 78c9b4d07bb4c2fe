"""Problems: names and bounds against the circuit, figures against closed forms, gradients against differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from test_spec import GOOD

from picq.design.figures import FIGURES, Comb, decibel
from picq.design.problem import Problem
from picq.design.spec import load_spec, parse_spec
from picq.design.yaml_source import Source
from picq.errors import SpecError


def spec_of(**changes):
    return parse_spec(Source({**yaml.safe_load(GOOD), **changes}))


@pytest.fixture(scope="module")
def problem():
    return Problem(spec_of())


# -- figures on spectra with known answers ---------------------------------------------------------------------------

SPACING = 100.0


def triangle(slope_db_ghz: float = 0.1):
    """Three channels whose transmission falls linearly in dB from 0.5 dB loss at the channel."""
    comb = Comb(np.arange(-150.0, 150.1, 7.0), np.array([-SPACING, 0.0, SPACING]), SPACING)
    return jnp.stack([-0.5 - slope_db_ghz * np.abs(comb.ghz - f) for f in comb.channels_ghz]), comb


def test_figures_of_triangles():
    """Linear in dB, so band edges and crossings are exact; peaks lie between grid points, off by up to a step."""
    db, comb = triangle()
    measure = lambda name, **options: np.asarray(FIGURES[name](**options).measure(db, comb))
    peak_error = 0.1 * 3.5
    assert measure("insertion_loss_db") == pytest.approx([0.5] * 3, abs=peak_error)
    assert measure("insertion_loss_db", band_ghz=20.0) == pytest.approx([2.5] * 3, abs=1e-9)
    # own band: -2.5 dB at its edge; neighbours' bands begin 80 GHz away: -8.5 dB
    assert measure("adjacent_crosstalk_db", band_ghz=20.0) == pytest.approx([-6.0] * 3, abs=1e-9)
    assert measure("crosstalk_db", band_ghz=20.0) == pytest.approx([-6.0] * 3, abs=1e-9)
    # half width (drop + what the grid cut off the peak) / slope
    assert measure("passband_ghz", drop_db=1.0) == pytest.approx([20.0] * 3, abs=2 * peak_error / 0.1)
    assert measure("offset_ghz") == pytest.approx([0.0] * 3, abs=1e-9)
    assert measure("ripple_db", band_ghz=20.0) == pytest.approx([2.0] * 3, abs=peak_error)


def test_crosstalk_of_near_far_and_all_channels():
    """Neighbours leak -6 dB, those two channels away -16 dB, and powers add up, each channel at its worst frequency."""
    db, comb = triangle()
    measure = lambda name, **options: np.asarray(FIGURES[name](**options).measure(db, comb))
    far, none = 0.1 * 100 + 6.0, -120.0
    assert measure("nonadjacent_crosstalk_db", band_ghz=20.0) == pytest.approx([-far, none, -far], abs=1e-9)
    ends, middle = 10 * np.log10(10**-0.6 + 10**-1.6), 10 * np.log10(2 * 10**-0.6)
    assert measure("cumulative_crosstalk_db", band_ghz=20.0) == pytest.approx([ends, middle, ends], abs=1e-9)


def test_nonuniformity_is_measured_from_the_best_channel():
    db, comb = triangle(0.0)
    db = db - jnp.array([0.0, 1.0, 0.25])[:, None]
    assert np.asarray(FIGURES["nonuniformity_db"]().measure(db, comb)) == pytest.approx([0.0, 1.0, 0.25], abs=1e-12)


@pytest.mark.parametrize("name", ["nonadjacent_crosstalk_db", "cumulative_crosstalk_db", "nonuniformity_db"])
def test_residuals_of_new_figures_vanish_at_the_bound(name):
    """At what is measured the largest residual is zero, where the probes hold the extreme frequencies of each band."""
    rng = np.random.default_rng(1)
    levels = rng.uniform(-30, -10, (4, 4)) + 30 * np.eye(4)  # flat within every band
    comb = Comb(np.arange(-200.0, 201.0, 5.0), np.array([-150.0, -50.0, 50.0, 150.0]), 100.0)
    band = np.clip(np.floor((comb.ghz + 200.0) / 100.0), 0, 3).astype(int)
    db = jnp.asarray(levels[:, band])
    figure = FIGURES[name]()
    bound = float(np.max(figure.measure(db, comb)))
    offsets = np.array(sorted(set(figure.probes(bound))))
    residuals = figure.residuals(jnp.asarray(levels)[:, :, None] * jnp.ones(offsets.size), offsets, bound)
    assert float(residuals.max()) == pytest.approx(0.0, abs=1e-9)


def test_passband_is_zero_when_the_channel_lies_in_a_notch():
    comb = Comb(np.linspace(-50, 50, 101), np.array([0.0]), SPACING)
    db = -jnp.where(jnp.abs(comb.ghz) < 5, 10.0, 0.0)[None]
    assert float(FIGURES["passband_ghz"]().measure(db, comb)[0]) == 0.0
    assert float(FIGURES["offset_ghz"]().measure(db, comb)[0]) == SPACING / 2


def test_passband_derivative():
    """The width of a triangle is 2 drop/slope, its derivative -2 drop/slope²."""
    comb = Comb(np.linspace(-50, 50, 101), np.array([0.0]), SPACING)
    width = lambda slope: FIGURES["passband_ghz"]().measure(-slope * jnp.abs(comb.ghz)[None], comb)[0]
    assert float(jax.grad(width)(0.11)) == pytest.approx(-2 / 0.11**2, rel=1e-9)


@pytest.mark.parametrize("middle", [-7.0, -4.5, 0.0, 4.5, 7.0])
def test_offset_residuals_have_the_sign_of_the_excess(middle):
    """On a symmetric passband, pointed or flat, some residual is above zero just when the offset is above its bound."""
    figure, bound = FIGURES["offset_ghz"](), 5.0
    probes = np.array(figure.probes(bound))
    assert np.abs(probes).max() <= figure.reach(4 * bound)
    assert figure.infeasible(SPACING / 4, SPACING) == ""
    assert "25 GHz" in figure.infeasible(SPACING / 4 + 1, SPACING)
    comb = Comb(np.linspace(-50, 50, 201), np.array([0.0]), SPACING)
    for power in (1, 4):
        shape = lambda ghz, power=power: -(jnp.abs((ghz - middle) / 10) ** power)
        assert float(figure.measure(shape(comb.ghz)[None], comb)[0]) == pytest.approx(abs(middle), abs=0.01)
        excess = figure.residuals(shape(probes)[None, None], probes, bound)
        assert bool((excess > 0).any()) == (abs(middle) > bound)


def test_decibel_has_a_floor():
    assert float(decibel(jnp.asarray(0.0))) == -120


# -- the problem -----------------------------------------------------------------------------------------------------


def test_variables_round_trip(problem):
    x = np.linspace(1, 3, len(problem.slots))
    assert np.array_equal(problem.vector(problem.device(x)), x)
    assert [s.name for s in problem.slots] == ["s1.coupler_lengths[0]", "s1.coupler_lengths[1]", "s1.delays[0]"]


def test_gradient_of_the_loss(problem):
    """Central differences D(h) = g + a h² + …, so |D(h) - g| is a third of |D(2h) - D(h)| plus rounding eps |f| / h."""
    x = jnp.asarray([12.0, 9.0, 178.31])
    loss = jax.jit(problem.loss)
    gradient = np.asarray(jax.jit(jax.grad(problem.loss))(x))
    h = 1e-4
    for i in range(x.size):
        difference = lambda step, i=i: float(loss(x.at[i].add(step)) - loss(x.at[i].add(-step))) / (2 * step)
        once, twice = difference(h), difference(2 * h)
        rounding = 1e3 * np.finfo(float).eps * float(loss(x)) / h  # phases of 1e3 rad lose three digits
        assert abs(once - gradient[i]) < abs(twice - once) + rounding


def test_figures_do_not_depend_on_excluded_couplers(problem):
    """A grating coupler in front, excluded, changes nothing."""
    circuit = yaml.safe_load(GOOD)["circuit"]
    circuit["instances"]["gc_in"] = {"device": "grating_coupler"}
    circuit["connections"] = [["gc_in,o1", "s1,o1"]]
    circuit["ports"] |= {"in": "gc_in,o2"}
    coupled = Problem(spec_of(circuit=circuit, excluding=["gc_*"]))
    x = [12.0, 9.0, 178.3]
    assert "gc_in" in coupled.whole.instances
    for label, value in problem.figures(x).items():
        assert np.array_equal(value, coupled.figures(x)[label])


def variables(*entries):
    return {"variables": [dict(zip(("parameter", "lower", "upper"), e, strict=True)) for e in entries]}


CIRCUIT = yaml.safe_load(GOOD)["circuit"]


def instance(**entry):
    return {"circuit": {**CIRCUIT, "instances": {"s1": entry}}}


WRONG = {
    "technology": ({"technology": "soi222"}, "technology", "'soi222'", "did you mean 'soi220'"),
    "device": (instance(device="latice_filter"),
               "circuit.instances.s1.device", "'latice_filter'", "did you mean 'lattice_filter'"),
    "device parameter": (instance(device="lattice_filter", parameters={"gapp": 0.2}),
                         "circuit.instances.s1.parameters", "gapp", "did you mean 'gap'"),
    "device value": (instance(device="lattice_filter", parameters={"gap": 5}),
                     "lattice_filter.gap is outside", "5 um", "0.1 … 2 um"),
    "circuit port": ({"circuit": {**CIRCUIT, "ports": {"in": "s1,o9", "ch1": "s1,o3", "ch2": "s1,o4"}}},
                     "circuit", "o9", "o1, o2, o3, o4"),
    "channel port": ({"channels": {**yaml.safe_load(GOOD)["channels"], "outputs": ["ch1", "ch3"]}},
                     "channels.outputs[1]", "'ch3'", "did you mean 'ch2'"),
    "instance": (variables(("s2.delays", 0, 9)), "variables[0].parameter", "'s2'", "did you mean 's1'"),
    "parameter": (variables(("s1.delay", 0, 9)), "variables[0].parameter", "'delay'", "did you mean 'delays'"),
    "element": (variables(("s1.delays[3]", 0, 9)), "variables[0].parameter", "[3]", "[0] … [0]"),
    "count": (variables(("s1.coupler_lengths", [0, 0, 0], [9, 9, 9])), "variables[0].lower", "3", "2: one for each"),
    "bounds": (variables(("s1.coupler_lengths", 0, 70)), "variables[0].upper", "70 um", "0 … 60 um"),
    "bound in a list": (variables(("s1.coupler_lengths", 0, [50, 70])), "variables[0].upper[1]", "70 um", "0 … 60 um"),
    "trim": ({"tolerance": {"trim": ["s1.delays"]}}, "tolerance.trim", "no heater power", "mw"),
    "excluding": ({"excluding": ["gc_*"]}, "excluding[0]", "gc_*", "s1"),
    "range": ({"wavelengths": {"start_um": 1.45, "stop_um": 1.58, "points": 20001}},
              "wavelengths", "1.45", "1.5 … 1.6 um"),
    "aliasing": ({"wavelengths": {"center_thz": 193.4, "span_ghz": 1600, "step_ghz": 400}},
                 "wavelengths", "400 GHz", "make step_ghz smaller"),
    "layout": ({"layout": "nowhere.py", "circuit": None}, "layout", "nowhere.py", "allowed"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_names_and_values_are_told(case):
    changes, *parts = WRONG[case]
    with pytest.raises(SpecError) as told:
        Problem(spec_of(**changes))
    for part in parts:
        assert part in str(told.value)


def test_an_area_that_no_device_knows_is_refused():
    with pytest.raises(SpecError, match="knows its area"):
        Problem(spec_of(targets=[{"figure": "area_mm2", "max": 0.1}]))


def test_area_is_that_of_all_rectangles():
    """Two devices of 100 um by 200 and by 300 um."""
    area = FIGURES["area_mm2"]()
    assert float(area.of([(100.0, 200.0), (100.0, 300.0)])) == pytest.approx(0.05, abs=1e-15)
    assert area.infeasible(0.0, 200.0)
    assert not area.infeasible(0.04, 200.0)


def test_needed_step_is_enough():
    """The step that the aliasing error names is accepted."""
    grid = {"center_thz": 193.4, "span_ghz": 1600, "step_ghz": 400}
    with pytest.raises(SpecError) as told:
        Problem(spec_of(wavelengths=grid))
    step = float(str(told.value.allowed).split()[-2])
    steps = int(np.ceil(1600 / step)) + 1
    Problem(spec_of(wavelengths={**grid, "step_ghz": 1600 / steps}))


def test_layout_script(tmp_path):
    """A script beside the specification; one without circuit() is refused."""
    entry = "layout: chip.py\n"
    text = GOOD[: GOOD.index("circuit:")] + entry + GOOD[GOOD.index("wavelengths:") :]
    (tmp_path / "chip.yaml").write_text(text)
    (tmp_path / "chip.py").write_text("x = 1\n")
    spec = load_spec(tmp_path / "chip.yaml")
    with pytest.raises(SpecError, match=r"does not define circuit"):
        Problem(spec)
    (tmp_path / "chip.py").write_text(
        "from picq.circuit import Circuit\n"
        "from picq.components import LatticeFilter\n"
        "def circuit(tech):\n"
        "    ports = (('in', 's1,o1'), ('ch1', 's1,o3'), ('ch2', 's1,o4'))\n"
        "    return Circuit({'s1': LatticeFilter.on(tech)}, (), ports)\n"
    )
    assert Problem(spec).measured.ports == ("in", "ch1", "ch2")
    before = spec.digest()
    (tmp_path / "chip.py").write_text((tmp_path / "chip.py").read_text() + "# changed\n")
    assert load_spec(tmp_path / "chip.yaml").digest() != before


def test_loss_is_high_where_targets_are_missed(problem):
    """Around a known interleaver (two 3 dB couplers) the loss falls as the figures improve."""
    delays = np.linspace(177.5, 179.5, 201)
    x = np.array([[1.0, 1.0, 178.5], *([13.9, 13.9, delay] for delay in delays)])
    losses = np.asarray(jax.jit(jax.vmap(problem.loss))(x))
    bad, good = x[0], x[losses.argmin()]
    assert losses.min() < losses[0]
    assert problem.figures(good)["insertion_loss_db"].max() < problem.figures(bad)["insertion_loss_db"].max()
