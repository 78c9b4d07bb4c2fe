"""Design centring: known optima of yields, chips without figures, and what it is worth to a whole search."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm
from test_optimise import GOOD, spec_of

from picq.cli_shared import show_design
from picq.design.centring import Centred, centred
from picq.design.optimise import optimise
from picq.design.problem import Problem
from picq.design.progress import silent
from picq.design.variation import Chips

CHIPS = 64
DRAWS = ndtri((np.arange(CHIPS) + 0.5) / CHIPS)  # a normal distribution's quantiles: symmetric


def search_of(bounds, count: int = CHIPS, steps: int = 40):
    """A search whose chips are ``bounds(x, draw)``, the excesses over each bound."""
    draws = jnp.asarray(DRAWS[:count])
    return SimpleNamespace(
        options=SimpleNamespace(chips=count, centring=steps),
        problem=SimpleNamespace(excess_of=bounds, device=lambda x: x, retuned=lambda x, start: x, vector=lambda x: x),
        bounded=lambda u: u,
        together=8,
        chips=Chips(None, 0, 0, 0),
        on_chip=lambda measure, u, chips, number: measure(u, draws[number]),
    )


def test_between_two_bounds_the_middle():
    """x + draw/2 within 1 of 0: by symmetry the yield is largest at 0, wherever the climb begins."""
    search = search_of(lambda u, z: jnp.array([u[0] + z / 2 - 1, -u[0] - z / 2 - 1]))
    for start in (0.95, -0.8):
        found = centred(search, np.array([start]), silent)
        assert found.x[0] == pytest.approx(0, abs=1e-4)
        assert found.before < found.after


def test_away_from_the_bound_that_spreads_more():
    """Excesses x - 1 + s z and -x - 1 + t z' of independent draws: phi(a)/s = phi(b)/t at the optimum of
    Phi((1 - x)/S) Phi((1 + x)/T), with S and T the spreads widened by the kernel."""
    rng = np.random.default_rng(3)
    pairs = np.array([(s * a, t * b) for a, b in rng.permuted(np.stack([DRAWS, DRAWS], 1), axis=0)
                      for s in (-0.6, 0.6) for t in (-0.2, 0.2)])  # fmt: skip
    table = jnp.asarray(pairs)
    search = search_of(lambda u, row: jnp.array([u[0] - 1 + row[0], -u[0] - 1 + row[1]]))
    search.options.chips, search.on_chip = len(pairs), lambda measure, u, chips, number: measure(u, table[number])
    found = centred(search, np.array([0.9]), silent).x[0]
    x = np.linspace(-1, 1, 4001)
    widths = 1.06 * pairs.std(axis=0) * len(pairs) ** -0.2
    smooth = (norm.cdf((1 - x - pairs[:, :1]) / widths[0]) * norm.cdf((1 + x - pairs[:, 1:]) / widths[1])).mean(axis=0)
    assert found == pytest.approx(x[smooth.argmax()], abs=1e-3)
    assert found < -0.2


def test_chips_without_figures_neither_pull_nor_pass():
    whole = lambda u, z: jnp.array([u[0] + z / 2 - 1, -u[0] - z / 2 - 1])
    some = search_of(lambda u, z: jnp.where(jnp.abs(z) > 2, jnp.nan, whole(u, z)))
    seen = []
    found = centred(some, np.array([0.7]), lambda now: seen.append(now.figures["smoothed yield %"]))
    assert found.x[0] == pytest.approx(0, abs=1e-4)
    lost = (np.abs(DRAWS) > 2).mean()
    assert lost > 0
    assert max(seen) <= 100 * (1 - lost)
    assert seen == sorted(seen)
    assert len(seen) == 40


def test_one_variable_has_to_follow_another():
    """A resonance that a heater, 200 windows wide, has to keep where a gap moves it: from far away along the valley to
    within 0.1 % of the largest smoothed yield, which is found on a grid of the two."""
    drifts = jnp.asarray(np.random.default_rng(5).permutation(DRAWS))

    def bounds(u, row):
        gap, off = u[0] + row[0] / 2, 200 * (u[1] - 3 * u[0]) + row[1] / 4
        return jnp.array([gap - 1, -gap - 1, off - 1, -off - 1])

    search = search_of(bounds)
    search.on_chip = lambda measure, u, chips, k: measure(u, jnp.stack([jnp.asarray(DRAWS)[k], drifts[k]]))
    found = centred(search, np.array([0.9, 2.7]), silent)
    spreads = np.array([0.5, 0.5, 0.25, 0.25]) * DRAWS.std()
    gap, off = np.meshgrid(np.linspace(-0.3, 0.3, 121), np.linspace(-0.3, 0.3, 121))
    sides = [s * (at[..., None] + k * z) - 1 for at, k, z in ((gap, 0.5, DRAWS), (off, 0.25, drifts)) for s in (1, -1)]
    sure = [norm.cdf(-side / (1.06 * spread * CHIPS**-0.2)) for side, spread in zip(sides, spreads, strict=True)]
    assert found.after == pytest.approx(np.prod(sure, axis=0).mean(axis=-1).max(), rel=1e-3)
    assert found.before < 0.65


def test_where_no_chip_passes_the_climb_ends_where_it_began():
    for nothing in (jnp.nan, 1e6):
        found = centred(search_of(lambda u, z, nothing=nothing: jnp.array([u[0] + nothing])), np.array([0.3]), silent)
        assert found == (np.array([0.3]), 0.0, 0.0)


def test_paired_chips_are_opposite(soi220):
    chips = Chips(soi220, 3, 1, 7, paired=True)
    for number in (0, 4):
        one, other = (chips.offsets(number + k) for k in (0, 1))
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            assert np.array_equal(np.asarray(a), -np.asarray(b))
    assert float(chips.offsets(0)[0].width_nm) != float(chips.offsets(2)[0].width_nm)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_centred_design_is_taken_if_it_meets_what_the_nominal_one_met(monkeypatch, capsys):
    """By what the search does with the point: 0.3 um of coupler away it is still met, half way to a bound it is not."""
    options = {"starts": 2, "steps": 60, "rounds": 0, "chips": 2}
    plain = optimise(Problem(spec_of(GOOD, optimise=options)))
    problem = Problem(spec_of(GOOD, optimise={**options, "centring": 3}))
    assert plain.status == "met"

    def moved(by: float):
        at = lambda search, start: np.asarray(search.bounded(start + np.array([by, 0, 0])))
        to = lambda search, start, report: Centred(at(search, start), 0.25, 0.5)
        monkeypatch.setattr("picq.design.optimise.centred", to)
        return optimise(problem)

    near, far = moved(0.01), moved(0.4)
    lengths = lambda design: np.array(design.parameters["s1"]["coupler_lengths"])
    assert near.status == "met"
    assert 0.05 < np.abs(lengths(near) - lengths(plain))[0] < 0.6  # pi/2 of 30 um times 0.01 at most
    assert lengths(near)[1] == lengths(plain)[1]
    assert near.risk != plain.risk
    assert near.centring == {"before_percent": 25, "after_percent": 50, "taken": True}
    assert far.centring == {**near.centring, "taken": False}
    assert plain.centring is None
    assert (near.landed, near.starts) == (plain.landed, plain.starts)
    assert far.parameters == plain.parameters
    assert (far.loss, far.risk) == (plain.loss, plain.risk)
    nothing = replace(near, centring={"before_percent": 0.0, "after_percent": 0.0, "taken": True})
    for design, told in (
        (near, "25 -> 50 %\n"),
        (far, "50 %; not taken"),
        (nothing, "no chip passes or comes near it"),
    ):
        show_design(design)
        assert told in capsys.readouterr().err
