"""Tolerance: first-order closed forms of an interferometer, known binomials, bits that do not depend on chunks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from scipy.stats import binomtest
from test_optimise import TREE

from picq.circuit import Circuit
from picq.components import RingAllPass, Straight
from picq.design.optimise import optimise
from picq.design.problem import Problem
from picq.design.sensitivity import sensitivities
from picq.design.spec import parse_spec
from picq.design.statistics import SpectrumHistogram, Yield
from picq.design.tolerance import _STREAM, _check_finite, _outcome, tolerance
from picq.design.variation import QUANTITIES, Chips, Variation, sources
from picq.design.yaml_source import Source
from picq.errors import NumericsError, SpecError
from picq.technology import Process

GHZ0 = 193.4e3
N, N_GROUP, N_W, N_T, N_TEMP = 2.447233, 4.1961, 1.5824, 3.7143, 2.004e-4  # strip, 500 × 220 nm, pdk/soi220
SIGMA = {"width_nm": 0.04, "thickness_nm": 0.02, "gap_nm": 0.0, "temperature_k": 0.2}


def mzi(bound_ghz: float, trim: bool = False, samples: int = 400):
    """An interferometer with a bright fringe at the channel, about 400 GHz from the next."""
    wl0 = 299792.458 / GHZ0
    n0 = N + (N - N_GROUP) * (wl0 - 1.55) / 1.55
    length = round(178.6 * n0 / wl0) * wl0 / n0
    return parse_spec(
        Source(
            {
                "name": "mzi",
                "technology": "soi220",
                "circuit": {
                    "instances": {"m": {"device": "mzi", "parameters": {"delta_length": length}}},
                    "ports": {"in": "m,o1", "out": "m,o2"},
                },
                "wavelengths": {"center_thz": 193.4, "span_ghz": 400, "step_ghz": 10},
                "channels": {"center_thz": 193.4, "spacing_ghz": 400, "input": "in", "outputs": ["out"]},
                "variables": [{"parameter": "m.delta_length", "lower": 170, "upper": 190}],
                "targets": [{"figure": "offset_ghz", "max": bound_ghz, "drop_db": 1.0}],
                "tolerance": {"samples": samples, "trim": ["m.power_mw"] if trim else []},
            }
        )
    )


@pytest.fixture(scope="module")
def quiet(soi220):
    """The technology with small global variation and nothing local, so that first order holds."""
    variation = {"global": {k: {"sigma": v} for k, v in SIGMA.items()}, "local": {}}
    return dataclasses.replace(soi220, platform=dataclasses.replace(soi220.platform, variation=variation))


def first_order_sigma_ghz() -> float:
    """df = f dn/n_g: at constant order the fringe moves with the index of the longer arm."""
    parts = (N_W * 1e-3 * SIGMA["width_nm"], N_T * 1e-3 * SIGMA["thickness_nm"], N_TEMP * SIGMA["temperature_k"])
    return GHZ0 * float(np.sqrt(sum(p**2 for p in parts))) / N_GROUP


@pytest.fixture(scope="module")
def drifted(quiet):
    problem = Problem(mzi(first_order_sigma_ghz(), trim=True), tech=quiet)
    return problem, tolerance(problem, problem.measured)


def test_drift_of_every_chip_is_first_order(drifted):
    """|offset| of chip i = f |n_w w + n_t t + n_T T|/n_g; second order and interpolation: 0.25 GHz + 1 %."""
    problem, result = drifted
    chips = Chips(problem.tech, len(problem.measured.sites), problem.spec.seed, _STREAM)
    offsets = [chips.offsets(i)[0] for i in range(50)]
    drift = [N_W * 1e-3 * o.width_nm + N_T * 1e-3 * o.thickness_nm + N_TEMP * o.temperature_k for o in offsets]
    expected = np.abs(np.array(drift, float)) * GHZ0 / N_GROUP
    assert result.as_fabricated.figures[:50, 0, 0] == pytest.approx(expected, abs=0.25, rel=0.01)


def test_yield_is_the_normal_distributions(drifted):
    """|x| < sigma on 68.27 %; four standard errors of the count."""
    _, result = drifted
    p = 0.6827
    assert abs(result.as_fabricated.total.fraction - p) < 4 * np.sqrt(p * (1 - p) / 400)
    rms = np.sqrt(np.mean(result.as_fabricated.figures**2))
    assert rms == pytest.approx(first_order_sigma_ghz(), rel=4 / np.sqrt(2 * 400))


def with_variation(tech, **parts):
    """The technology with these standard deviations and no others."""
    variation = {part: {k: {"sigma": v} for k, v in sigmas.items()} for part, sigmas in parts.items()}
    return dataclasses.replace(tech, platform=dataclasses.replace(tech.platform, variation=variation))


def test_trimming_puts_the_fringe_back_but_for_the_drift(drifted):
    """The stage's phase is restored at the channel at the reference temperature; then the temperature drifts.

    Left beside the drift is the unresolved slope, far below 1 GHz.
    """
    problem, result = drifted
    assert result.trimmed is not None
    (heat,) = result.heaters
    chips = Chips(problem.tech, len(problem.measured.sites), problem.spec.seed, _STREAM)
    drift = np.abs(np.array([chips.offsets(i)[0].temperature_k for i in range(50)])) * N_TEMP * GHZ0 / N_GROUP
    assert drift.max() > 3
    assert result.trimmed.figures[:50, 0, 0] == pytest.approx(drift, abs=0.5)
    assert "drifts by 0.2 K" in result.text()
    assert "without trimming only" in result.text()
    assert heat.powers.min() >= 0
    assert heat.powers.max() <= 60 * 1.0001  # 2 pi at 30 mW per pi, at 1.55 um


@pytest.mark.slow
@pytest.mark.exhaustive
def test_drift_of_the_temperature_is_not_trimmed_away(soi220):
    """With nothing but drift a trimmed chip is the fabricated one; gradients are static and trimmed."""
    tech = with_variation(soi220, **{"global": {"temperature_k": 1.0}})
    problem = Problem(mzi(5.0, trim=True), tech=tech)
    result = tolerance(problem, problem.measured, samples=40)
    assert result.trimmed is not None
    assert result.trimmed.figures == pytest.approx(result.as_fabricated.figures, abs=1e-6)
    assert result.trimmed.total.fraction < 0.8  # 5 GHz are 0.6 sigma
    problem = Problem(mzi(5.0, trim=True), tech=with_variation(soi220, local={"temperature_k": 1.0}))
    result = tolerance(problem, problem.measured, samples=40)
    assert result.trimmed is not None
    assert result.as_fabricated.total.fraction < 1
    assert result.trimmed.total.fraction == 1


def test_widths_outside_the_index_model_are_told(soi220):
    problem = Problem(mzi(5.0), tech=with_variation(soi220, **{"global": {"width_nm": 40.0}}))
    with pytest.raises(NumericsError, match="'strip'") as told:
        tolerance(problem, problem.measured, samples=40)
    assert "0.36 … 0.58" in str(told.value)


def test_every_sigma_has_its_own_source(soi220):
    found = sources(soi220)
    assert "MONTECARLO" in found["global"]["width_nm"]
    for part in ("global", "local"):
        assert set(found[part]) == set(QUANTITIES)
        assert found[part]["gap_nm"].startswith("assumed")
        assert found[part]["temperature_k"].startswith("assumed")
    assert "drift after trimming" in found["global"]["temperature_k"]


def test_sensitivities_agree_with_differences_and_with_first_order(drifted):
    """On a detuned interferometer, where |offset| is smooth, it moves as the fringe does."""
    problem, _ = drifted
    circuit = problem.device([problem.vector(problem.measured)[0] + 0.02])
    found = {s.parameter: s for s in sensitivities(problem, circuit, Variation.of(problem.tech))}
    assert set(found) == {*QUANTITIES, "m.delta_length"}
    assert all(s.agrees for s in found.values())
    per_nm = GHZ0 / N_GROUP * 1e-3
    assert abs(found["width_nm"].per_unit) == pytest.approx(N_W * per_nm, rel=0.01)
    assert abs(found["thickness_nm"].per_unit) == pytest.approx(N_T * per_nm, rel=0.01)
    assert abs(found["temperature_k"].per_unit) == pytest.approx(N_TEMP * GHZ0 / N_GROUP, rel=0.01)
    assert found["gap_nm"].per_unit == pytest.approx(0, abs=1e-9)
    # at constant index the fringe's order fixes L n(f), so df/dL = f n/(n_g L)
    length = float(problem.vector(circuit)[0])
    assert abs(found["m.delta_length"].per_unit) == pytest.approx(GHZ0 * N / (N_GROUP * length), rel=0.01)
    assert found["width_nm"].per_sigma == pytest.approx(found["width_nm"].per_unit * SIGMA["width_nm"])


def test_chunks_do_not_change_a_bit(drifted, tmp_path):
    problem, whole = drifted
    again = tolerance(problem, problem.measured, chunk=64)
    for name, array in whole.arrays().items():
        assert np.array_equal(array, again.arrays()[name]), name
    whole.save(tmp_path / "a.json")
    again.save(tmp_path / "b.json")
    for suffix in (".json", ".npz"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_fewer_samples_are_the_first_of_more(drifted):
    problem, whole = drifted
    few = tolerance(problem, problem.measured, samples=30)
    assert np.array_equal(few.as_fabricated.figures, whole.as_fabricated.figures[:30])


def test_samples_have_the_sigmas_of_the_technology(soi220):
    variation = Variation.of(soi220)
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(3), i))(np.arange(4000))
    chip, local = jax.vmap(lambda key: variation.sample(key, 5))(keys)
    for name in QUANTITIES:
        assert np.std(getattr(chip, name)) == pytest.approx(getattr(variation.chip, name), rel=4 / np.sqrt(8000))
        drawn = np.asarray(getattr(local, name))
        assert drawn.shape == (4000, 5)
        assert np.std(drawn) == pytest.approx(getattr(variation.local, name), rel=4 / np.sqrt(40000))
        assert np.abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 5 / np.sqrt(4000)


def test_rings_turn_back_as_many_small_steps_of_their_walls_would(soi220):
    """The power is distributed exponentially: its mean and its standard deviation are equal, and the splitting is that
    which the device's model makes of it. A ring that is told its splitting keeps it."""
    told = RingAllPass.on(soi220, splitting_mhz=70.0)
    chip = Circuit({"a": RingAllPass.on(soi220), "b": told}, (), (("in", "a,o1"),))
    chips = Chips(soi220, 4, 1, 0)
    wl = jnp.array([1.55])

    def turned(index):
        ring = chips.made(chip, index).instances["a"]
        return ring.backscatter(wl, soi220) ** 2

    power = np.asarray(jax.vmap(turned)(jnp.arange(4000)))
    per_cm = soi220.platform.variation["backscatter"]["power_cm"]
    assert power.mean() == pytest.approx(per_cm * 1e-4 * 2 * np.pi * 10.0, rel=4 / np.sqrt(4000))
    assert power.std() == pytest.approx(power.mean(), rel=8 / np.sqrt(4000))
    assert chips.made(chip, 0).instances["b"] is told


def test_loss_varies_by_its_logarithm(soi220):
    chip = soi220.at(Process(loss_ln=np.log(1.5)))
    guide = Straight(length=1e4)
    db = [-20 * np.log10(abs(complex(guide.model(jnp.array([1.55]), t)[("o1", "o2")][0]))) for t in (soi220, chip)]
    assert db[1] / db[0] == pytest.approx(1.5, rel=1e-9)


def test_wrong_variation_is_told(soi220):
    bad = {"global": {"widht_nm": {"sigma": 1.0}}}
    tech = dataclasses.replace(soi220, platform=dataclasses.replace(soi220.platform, variation=bad))
    with pytest.raises(SpecError, match="did you mean 'width_nm'"):
        Variation.of(tech)
    bad = {"local": {"gap_nm": {"sigma": -1.0}}}
    tech = dataclasses.replace(soi220, platform=dataclasses.replace(soi220.platform, variation=bad))
    with pytest.raises(SpecError, match=r"local\.gap_nm"):
        Variation.of(tech)


@pytest.mark.parametrize(("passed", "samples"), [(0, 10), (10, 10), (3, 17), (1999, 2000), (1, 2000)])
def test_wilson_interval(passed, samples):
    oracle = binomtest(passed, samples).proportion_ci(0.95, method="wilson")
    mine = Yield.of(passed, samples)
    assert (mine.low, mine.high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)
    assert mine.low <= mine.fraction <= mine.high


def test_histogram_percentiles():
    """Within a bin of numpy's, however the samples are split."""
    db = np.random.default_rng(0).normal(-20, 5, (3000, 2, 3))
    histogram = SpectrumHistogram(2, 3)
    for part in np.split(db, [7, 1000, 1900]):
        histogram.add(part)
    wanted = np.percentile(db, [5, 50, 95], axis=0)
    assert np.abs(histogram.percentiles((5.0, 50.0, 95.0)) - wanted).max() < histogram.step


@pytest.mark.slow
@pytest.mark.exhaustive
def test_demultiplexer_needs_trimming():
    """Without trimming a narrow-band silicon filter hardly yields; with it most chips do, 76 % under a drift of 1 K."""
    problem = Problem(parse_spec(Source(yaml.safe_load(TREE))))
    result = tolerance(problem, optimise(problem).circuit(problem, whole=False))
    assert result.trimmed is not None
    assert result.as_fabricated.total.high < 0.02
    assert result.trimmed.total.low > 0.65
    assert all(s.agrees for s in result.sensitivities)


def test_chips_without_figures_fail_and_are_counted(quiet):
    """A source's chip may have no resonances that one could name: no reason to stop, nor to count it as good."""
    problem = Problem(mzi(5.0), quiet)
    values = np.r_[np.linspace(1, 4, 7), [np.nan, 9.0, np.nan]]
    histogram = SpectrumHistogram(1, problem.comb.ghz.size)
    histogram.add(np.zeros((10, 1, problem.comb.ghz.size)))
    found = _outcome(problem, values[:, None, None], histogram)
    assert (found.lost, found.total.passed, found.total.samples) == (2, 7, 10)
    spread = found.distributions["offset_ghz"]
    assert spread["mean"] == pytest.approx((17.5 + 9) / 8)
    assert spread["p50"] == pytest.approx(2.75)
    assert all(np.isfinite(list(spread.values())))
    with pytest.raises(NumericsError, match="no chip has the figure offset_ghz"):
        _outcome(problem, np.full((10, 1, 1), np.nan), histogram)
    chips = Chips(problem.tech, 0, 1, _STREAM)
    with pytest.raises(NumericsError, match="sample 107 is not finite"):
        _check_finite(chips, values[:, None, None], 100)
