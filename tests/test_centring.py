"""Design centring: known optima of yields, chips without figures, and what it is worth to a whole search."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm
from test_optimise import GOOD, spec_of

from picq.design.centring import centred
from picq.design.optimise import optimise
from picq.design.problem import Problem
from picq.design.progress import silent
from picq.design.variation import Chips

CHIPS = 64
DRAWS = ndtri((np.arange(CHIPS) + 0.5) / CHIPS)  # a normal distribution's quantiles: symmetric


def search_of(bounds, count: int = CHIPS, rate: float = 0.2, steps: int = 200):
    """A search whose chips are ``bounds(x, draw)``, the excesses over each bound."""
    draws = jnp.asarray(DRAWS[:count])
    return SimpleNamespace(
        options=SimpleNamespace(chips=count, learning_rate=rate, centring=steps),
        problem=SimpleNamespace(excess_of=bounds),
        together=8,
        chips=Chips(None, 0, 0, 0),
        on_chip=lambda measure, u, chips, number: measure(u, draws[number]),
    )


def test_between_two_bounds_the_middle():
    """x + draw/2 within 1 of 0: by symmetry the yield is largest at 0, wherever the descent begins."""
    search = search_of(lambda u, z: jnp.array([u[0] + z / 2 - 1, -u[0] - z / 2 - 1]))
    for start in (0.95, -0.8):
        # every step counts and the step at the end is small: what is left is the flat top of the yield
        assert centred(search, np.array([start]), silent)[0] == pytest.approx(0, abs=0.02)


def test_away_from_the_bound_that_spreads_more():
    """Excesses x - 1 + s z and -x - 1 + t z' of independent draws: phi(a)/s = phi(b)/t at the optimum of
    Phi((1 - x)/S) Phi((1 + x)/T), with S and T the spreads widened by the kernel."""
    rng = np.random.default_rng(3)
    pairs = np.array([(s * a, t * b) for a, b in rng.permuted(np.stack([DRAWS, DRAWS], 1), axis=0)
                      for s in (-0.6, 0.6) for t in (-0.2, 0.2)])  # fmt: skip
    table = jnp.asarray(pairs)
    search = search_of(lambda u, row: jnp.array([u[0] - 1 + row[0], -u[0] - 1 + row[1]]), rate=1.0)
    search.options.chips, search.on_chip = len(pairs), lambda measure, u, chips, number: measure(u, table[number])
    found = centred(search, np.array([0.9]), silent)[0]
    x = np.linspace(-1, 1, 4001)
    widths = 1.06 * pairs.std(axis=0) * len(pairs) ** -0.2
    smooth = (norm.cdf((1 - x - pairs[:, :1]) / widths[0]) * norm.cdf((1 + x - pairs[:, 1:]) / widths[1])).mean(axis=0)
    assert found == pytest.approx(x[smooth.argmax()], abs=0.02)
    assert found < -0.2


def test_chips_without_figures_neither_pull_nor_pass():
    whole = lambda u, z: jnp.array([u[0] + z / 2 - 1, -u[0] - z / 2 - 1])
    some = search_of(lambda u, z: jnp.where(jnp.abs(z) > 2, jnp.nan, whole(u, z)))
    seen = []
    found = centred(some, np.array([0.7]), lambda now: seen.append(now.figures["smoothed yield %"]))
    assert found[0] == pytest.approx(0, abs=0.02)
    lost = (np.abs(DRAWS) > 2).mean()
    assert lost > 0
    assert max(seen) <= 100 * (1 - lost)
    assert len(seen) == 200


def test_steps_that_leave_the_yield_behind_are_taken_back():
    """A window a hundredth as wide as the first step: nothing has a slope outside of it."""
    search = search_of(lambda u, z: jnp.array([100 * u[0] + z / 2 - 1, -100 * u[0] - z / 2 - 1]), rate=10.0)
    assert centred(search, np.array([0.008]), silent)[0] == pytest.approx(0, abs=2e-4)


def test_paired_chips_are_opposite(soi220):
    chips = Chips(soi220, 3, 1, 7, paired=True)
    for number in (0, 4):
        one, other = (chips.offsets(number + k) for k in (0, 1))
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            assert np.array_equal(np.asarray(a), -np.asarray(b))
    assert float(chips.offsets(0)[0].width_nm) != float(chips.offsets(2)[0].width_nm)


@pytest.mark.slow
def test_a_centred_design_is_taken_if_it_meets_what_the_nominal_one_met(monkeypatch):
    """By what the search does with the point: 0.3 um of coupler away it is still met, half way to a bound it is not."""
    options = {"starts": 2, "steps": 60, "rounds": 0, "chips": 2}
    plain = optimise(Problem(spec_of(GOOD, optimise=options)))
    problem = Problem(spec_of(GOOD, optimise={**options, "centring": 3}))
    assert plain.status == "met"

    def moved(by: float):
        monkeypatch.setattr("picq.design.optimise.centred", lambda search, start, report: start + np.array([by, 0, 0]))
        return optimise(problem)

    near, far = moved(0.01), moved(0.4)
    lengths = lambda design: np.array(design.parameters["s1"]["coupler_lengths"])
    assert near.status == "met"
    assert 0.05 < np.abs(lengths(near) - lengths(plain))[0] < 0.6  # pi/2 of 30 um times 0.01 at most
    assert lengths(near)[1] == lengths(plain)[1]
    assert near.risk != plain.risk
    assert (near.landed, near.starts) == (plain.landed, plain.starts)
    assert far.parameters == plain.parameters
    assert (far.loss, far.risk) == (plain.loss, plain.risk)
