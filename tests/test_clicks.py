"""Gaussian states and clicks against sums over photon numbers, closed forms and fifty digits."""

import itertools
import math
from collections import defaultdict
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import unitary_group

from picq.errors import SpecError
from picq.quantum.detection import (
    Detectors,
    car,
    click_probabilities,
    coincidence,
    heralded_g2,
    heralded_g2_of_photons,
    no_click,
)
from picq.quantum.gaussian import GaussianState, join, pairs, scattering, squeezed, thermal, vacuum

UNITARY = unitary_group.rvs(4, random_state=7)
LOSSY = np.diag([0.9, 0.7, 1.0, 0.6]) @ UNITARY @ np.diag([0.8, 1.0, 0.9, 0.95])
HALF = np.array([[1, 1j], [1j, 1]]) / np.sqrt(2)
JOINT = np.array([[0.05, 0.02j], [-0.03, 0.04 + 0.02j]])  # squeezing of two signals with two idlers
STATE = pairs([0.05, 0.02], [0.3, 1.0])
FOUR = Detectors.on(range(4), [0.3, 0.5, 0.9, 0.7], [0.0, 1e-3, 0.02, 0.3])


def close(a, b, **kwargs):
    np.testing.assert_allclose(a.n, b.n, **kwargs)
    np.testing.assert_allclose(a.m, b.m, **kwargs)


def counted(f, s, orders):
    """Probabilities {photon numbers of s's outputs} of exp(sum f a†b†)|0> through s, by powers of creation operators.

    What s loses goes to modes of its own. Pairs beyond ``orders`` are left out."""
    u, r, v = np.linalg.svd(f)
    _, passed, back = np.linalg.svd(s)
    whole = np.vstack([s, np.diag(np.sqrt(np.maximum(1 - passed**2, 0.0))) @ back])
    zero = np.zeros((2, 2))
    twin = np.block([[zero, u @ np.diag(np.tanh(r)) @ v], [zero, zero]])
    form = whole @ twin @ whole.T
    pair = {}
    for j, k in itertools.product(range(8), repeat=2):
        key = tuple(sorted((j, k)))
        pair[key] = pair.get(key, 0) + form[j, k]
    term, out = {(0,) * 8: np.prod(1 / np.cosh(r)) + 0j}, defaultdict(float)
    for order in range(orders + 1):
        for numbers, amplitude in term.items():
            out[numbers[:4]] += abs(amplitude) ** 2 * math.prod(map(math.factorial, numbers))
        grown = defaultdict(complex)
        for numbers, amplitude in term.items():
            for (j, k), value in pair.items():
                new = list(numbers)
                new[j] += 1
                new[k] += 1
                grown[tuple(new)] += amplitude * value / (order + 1)
        term = grown
    return out


def patterns(probabilities, efficiency, dark):
    """Of threshold detectors, one per mode, from photon numbers."""
    out = np.zeros((2,) * len(efficiency))
    for numbers, p in probabilities.items():
        quiet = (1 - np.array(dark)) * (1 - np.array(efficiency)) ** np.array(numbers)
        for pattern in np.ndindex(*out.shape):
            out[pattern] += p * np.prod(np.where(pattern, 1 - quiet, quiet))
    return out


@pytest.mark.parametrize("chip", [np.eye(4), UNITARY, LOSSY])
def test_clicks_are_sums_over_photon_numbers(chip):
    """All four signals and idlers meet: any conjugate in the wrong place shows. Left out: four pairs and more, of
    which there are (n + 3 over 3) terms of tanh²(r)^n; r² sums to 0.0054."""
    state = squeezed(JOINT).through(chip)
    got = click_probabilities(state, FOUR)
    want = patterns(counted(JOINT, chip, 3), FOUR.efficiency, FOUR.dark)
    np.testing.assert_allclose(got, want, atol=2 * np.sum(np.abs(JOINT) ** 2) ** 4)
    assert abs(got - want).max() > 1e-13  # what is left out is seen


def test_moments_are_sums_over_photon_numbers():
    state, numbers = squeezed(JOINT).through(LOSSY), counted(JOINT, LOSSY, 3)
    few = 40 * np.sum(np.abs(JOINT) ** 2) ** 4
    mean = sum(p * np.array(k) for k, p in numbers.items())
    np.testing.assert_allclose(state.photons, mean, atol=few)
    second = sum(p * (np.outer(k, k) - np.diag(k)) for k, p in numbers.items())
    np.testing.assert_allclose(state.g2() * np.outer(mean, mean), second, atol=few)


def test_index_convention():
    """n[j, k] = <a_k† a_j>: light of amplitudes c in thermal noise has n = c c†, m of squeezing follows c cᵀ."""
    one = GaussianState(jnp.array([[0.3 + 0j]]), jnp.array([[0.2j]]))
    c = np.array([[0.6], [0.3j], [0.2 - 0.4j]])
    out = one.through(c)
    np.testing.assert_allclose(out.n, 0.3 * c @ c.conj().T, atol=1e-16)
    np.testing.assert_allclose(out.m, 0.2j * c @ c.T, atol=1e-16)


def test_a_unitary_keeps_photons_and_loss_commutes():
    assert float(STATE.through(UNITARY).photons.sum()) == pytest.approx(0.14, abs=1e-15)
    loss = np.sqrt(0.3) * np.eye(4)
    close(STATE.through(UNITARY).through(loss), STATE.through(loss).through(UNITARY), atol=1e-16)
    close(STATE.through(UNITARY).through(LOSSY), STATE.through(LOSSY @ UNITARY), atol=1e-15)
    lossy = STATE.through(np.diag(np.sqrt(FOUR.efficiency)))
    want = click_probabilities(lossy, Detectors.on(range(4), 1.0, FOUR.dark))
    np.testing.assert_allclose(click_probabilities(STATE, FOUR), want, atol=1e-15)


def test_a_rectangular_chip_has_vacuum_and_losses():
    full = np.eye(4)[:, [0, 2]] * 0.9
    close(pairs([0.1]).through(UNITARY @ full), join(pairs([0.1]), vacuum(2)).through(
        UNITARY @ np.eye(4)[:, [0, 2, 1, 3]] @ np.diag([0.9, 0.9, 1, 1])), atol=1e-16)  # fmt: skip
    kept = STATE.through(UNITARY[:2])
    np.testing.assert_allclose(kept.n, STATE.through(UNITARY).n[:2, :2], atol=1e-16)


def test_squeezers_by_matrix_and_by_pairs():
    r, phase = np.array([0.1, 0.4]), np.array([0.3, -2.0])
    close(squeezed(np.diag(r * np.exp(1j * phase))), pairs(np.sinh(r) ** 2, phase), atol=1e-14)
    u, v = unitary_group.rvs(2, random_state=1), unitary_group.rvs(2, random_state=2)
    mixed = squeezed(u @ np.diag(r) @ v.T)
    zero = np.zeros((2, 2))
    close(mixed, pairs(np.sinh(r) ** 2).through(np.block([[u, zero], [zero, v]])), atol=1e-14)
    slope = jax.grad(lambda r: click_probabilities(squeezed(r * jnp.eye(2)), FOUR)[0, 0, 0, 0])
    assert float(slope(0.0)) == 0.0


def test_scattering_keeps_wavelengths_apart():
    """[wl, input, output] of a circuit, S[(in, out)], on two wavelengths."""
    transfer = np.stack([LOSSY[:2, :3].T, LOSSY[2:, 1:].T])
    s = np.asarray(scattering(transfer))
    np.testing.assert_array_equal(s[:2, :3], LOSSY[:2, :3])
    np.testing.assert_array_equal(s[2:, 3:], LOSSY[2:, 1:])
    assert not s[:2, 3:].any()
    assert not s[2:, :3].any()


@pytest.mark.slow
def test_schmidt_modes_pass_alike():
    """Each of three Schmidt modes alone through the chip: probabilities of silence multiply."""
    weights, chip = np.array([0.6, 0.3, 0.1]), LOSSY[:3, [0, 2]]
    beams = [(0, 1, 2), (3, 4, 5), (6, 7, 8)]
    efficiency = [0.5, 0.6, 0.7]
    together = pairs(0.4 * weights).through(chip, each=3)
    detectors = Detectors.on(beams, efficiency, 0.01)
    for which in ((1,), (0, 1, 2)):
        alone = [no_click(pairs([0.4 * w]).through(chip), Detectors.on(range(3), efficiency), *which) for w in weights]
        want = math.prod(map(float, alone)) * 0.99 ** len(which)
        assert float(no_click(together, detectors, *which)) == pytest.approx(want, abs=1e-15)
    g2 = pairs(0.4 * weights).g2([(0, 1, 2), (3, 4, 5)])
    assert float(g2[0, 0]) == pytest.approx(1 + np.sum(weights**2), abs=1e-14)


@pytest.mark.parametrize("mu", [1e-6, 1e-3, 0.1, 20.0])
def test_one_squeezer_in_closed_form(mu):
    """Generating function of the geometric distribution: 1/(1 + mu (1 - (1 - a)(1 - b)))."""
    a, b, da, db = 0.3, 0.6, 1e-3, 0.02
    detectors = Detectors.on([0, 1], [a, b], [da, db])
    p = np.asarray(click_probabilities(pairs([mu]), detectors))
    none = lambda x: 1 / (1 + mu * x)
    both = (1 - da) * (1 - db) * none(a + b - a * b)
    assert p[0, 0] == pytest.approx(both, rel=1e-14)
    assert p.sum(1)[0] == pytest.approx((1 - da) * none(a), rel=1e-14)
    assert float(coincidence(pairs([mu]), detectors, 1)) == pytest.approx(1 - (1 - db) * none(b), rel=1e-12)
    assert float(no_click(pairs([mu]), detectors)) == pytest.approx(both, rel=1e-14)
    want = 1 - (1 - da) * none(a) - (1 - db) * none(b) + both
    assert p[1, 1] == pytest.approx(want, abs=1e-15)
    clean = np.asarray(click_probabilities(pairs([mu]), Detectors.on([0, 1], [a, b])))[1, 1]
    c = a + b - a * b
    want = mu * a * b * (1 + 2 * mu + mu**2 * c) / ((1 + mu * a) * (1 + mu * b) * (1 + mu * c))
    assert clean == pytest.approx(want, rel=1e-13)


def test_thermal_light():
    """One arm is thermal; 1 + mean/eta; a thermal beam splits into g2 = 2 everywhere."""
    p = click_probabilities(thermal([0.7]), Detectors.on([0], 0.4))
    np.testing.assert_allclose(p, [1 / 1.28, 0.28 / 1.28], rtol=1e-14)
    close(pairs([0.7]).through(np.array([[1.0, 0.0]])), thermal([0.7]), atol=1e-16)
    np.testing.assert_allclose(thermal([0.7, 0.7]).through(HALF).g2(), [[2, 1], [1, 2]], atol=1e-14)
    np.testing.assert_allclose(thermal([0.7]).through(HALF[:, :1]).g2(), np.full((2, 2), 2.0), atol=1e-14)


@pytest.mark.parametrize("mu", [1e-4, 0.01, 1.0])
def test_correlations_of_a_squeezer(mu):
    np.testing.assert_allclose(pairs([mu]).g2(), [[2, 2 + 1 / mu], [2 + 1 / mu, 2]], rtol=1e-13)


def test_heralded_g2():
    """<n (n - 1)>/<n>² of the geometric distribution from one on is 2 mu/(1 + mu); mu (1 + P)(2 - eta) at small mu. Two
    weak detectors behind a splitter see the photons' own value but for eta/2 of higher numbers."""
    perfect = heralded_g2_of_photons(pairs([1e-3]), Detectors.on([0]), (1,))
    assert float(perfect) == pytest.approx(2e-3 / 1.001, rel=1e-12)
    assert float(perfect) == pytest.approx(1.998e-3, abs=5e-7)
    weights, mu, eta = np.array([0.7, 0.2, 0.1]), 1e-4, 0.3
    few = heralded_g2_of_photons(pairs(mu * weights), Detectors.on([(0, 1, 2)], eta), (3, 4, 5))
    assert float(few) == pytest.approx(mu * (1 + np.sum(weights**2)) * (2 - eta), rel=5 * mu)
    split = pairs([0.05]).through(np.block([[np.eye(1), np.zeros((1, 1))], [np.zeros((2, 1)), HALF[:, :1]]]))
    detectors = Detectors.on(range(3), [0.4, 1e-4, 1e-4], [0.003, 0.0, 0.0])
    want = float(heralded_g2_of_photons(pairs([0.05]), Detectors.on([0], 0.4, 0.003), (1,)))
    assert float(heralded_g2(split, detectors, 0, 1, 2)) == pytest.approx(want, rel=3e-4)


def test_car():
    """True coincidences over accidentals, eta² mu/(eta mu + d)², plus one; largest, eta/4d, where eta mu = d."""
    eta, d = 0.1, 1e-5
    measured = lambda mu: float(car(pairs([mu]), Detectors.on([0, 1], eta, d), 0, 1))
    for mu in (1e-5, 1e-4, 1e-3):
        assert measured(mu) == pytest.approx(1 + eta**2 * mu / (eta * mu + d) ** 2, rel=2 * mu + d)
    assert measured(1e-4) == pytest.approx(1 + eta / (4 * d), rel=3e-4)
    assert measured(1e-4) > max(measured(0.8e-4), measured(1.25e-4))
    assert float(car(thermal([0.1, 0.2]), Detectors.on([0, 1]), 0, 1)) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("mu", [1e-6, 1e-2, 10.0])
def test_patterns_are_probabilities(mu):
    p = np.asarray(click_probabilities(pairs([mu, 2 * mu]).through(LOSSY), FOUR))
    assert p.sum() == pytest.approx(1.0, abs=1e-14)
    assert p.min() >= -1e-14
    order = (2, 0, 3, 1)
    shuffled = click_probabilities(pairs([mu, 2 * mu]).through(LOSSY[list(order)]), Detectors.on(
        range(4), FOUR.efficiency[np.array(order)], FOUR.dark[np.array(order)]))  # fmt: skip
    np.testing.assert_allclose(shuffled, p.transpose(order), atol=1e-15)
    swapped = click_probabilities(pairs([mu, 2 * mu]).through(LOSSY), FOUR.only(*order))
    np.testing.assert_allclose(swapped, p.transpose(order), atol=1e-15)
    np.testing.assert_allclose(coincidence(pairs([mu, 2 * mu]).through(LOSSY), FOUR, 3, 1), p[:, 1, :, 1].sum())


def test_independent_parts_multiply():
    a, b = pairs([0.1]), thermal([0.3, 0.4])
    p = click_probabilities(join(a, b), FOUR)
    want = np.multiply.outer(click_probabilities(a, FOUR.only(0, 1)), click_probabilities(
        b, Detectors.on([0, 1], FOUR.efficiency[2:], FOUR.dark[2:])))  # fmt: skip
    np.testing.assert_allclose(p, want, atol=1e-15)


def digits(state, efficiency, dark):
    """Inclusion and exclusion with determinants of fifty digits."""
    with localcontext() as context:
        context.prec = 50
        exact = lambda a: [[Decimal(float(v)) for v in row] for row in np.asarray(a)]
        nr, ni, mr, mi = map(exact, (state.n.real, state.n.imag, state.m.real, state.m.imag))
        size = range(state.modes)
        g = [[nr[j][k] + mr[j][k] for k in size] + [mi[j][k] - ni[j][k] for k in size] for j in size]
        g += [[mi[k][j] - ni[k][j] for k in size] + [nr[j][k] - mr[j][k] for k in size] for j in size]

        def silent(which):
            matrix = [
                [Decimal(j == k) + Decimal(efficiency) * which[j % len(which)] * v for k, v in enumerate(row)]
                for j, row in enumerate(g)
            ]
            out = Decimal(1)
            for k, pivot in enumerate(matrix):
                out *= pivot[k]
                for row in matrix[k + 1 :]:
                    ratio = row[k] / pivot[k]
                    row[:] = [a - ratio * b for a, b in zip(row, pivot, strict=True)]
            return (1 - Decimal(dark)) ** sum(which) / out.sqrt()

        f = {which: silent(which) for which in itertools.product((0, 1), repeat=state.modes)}
        out = np.zeros((2,) * state.modes)
        for pattern in f:
            parts = itertools.product(*[(0, 1) if click else (1,) for click in pattern])
            out[pattern] = sum((-1) ** sum(s for s, c in zip(t, pattern, strict=True) if c) * f[t] for t in parts)
        return out


@pytest.mark.parametrize(("mu", "eta", "dark"), [(1e-6, 1.0, 0.0), (1e-4, 0.1, 1e-6), (0.1, 0.5, 0.0), (1e3, 1.0, 0.0)])
def test_small_probabilities_keep_their_digits(mu, eta, dark):
    """Errors are of the order of 1e-16 of the probability that any clicks, where plain sums have 1e-16 of one."""
    state = pairs([mu, 2 * mu], [0.3, 1.0]).through(0.99 * UNITARY)
    got, want = np.asarray(click_probabilities(state, Detectors.on(range(4), eta, dark))), digits(state, eta, dark)
    error = abs(got - want)
    error[0, 0, 0, 0] = 0.0
    assert error.max() < 4e-16 * (1 - want[0, 0, 0, 0])
    twos = [p for p in np.ndindex(2, 2, 2, 2) if sum(p) == 2]
    assert max(error[p] / want[p] for p in twos) < 1e-12


def knobs(x):
    """A state and its detectors from nine numbers, and a sum over patterns with weights of either sign."""
    state = pairs(x[:2], x[2:4]).through(jnp.asarray(LOSSY) * jnp.exp(1j * x[4]) @ jnp.diag(jnp.exp(1j * x[:4])))
    p = click_probabilities(state, Detectors.on([(0, 3), 1, 2], x[5:8], x[8:9]))
    return jnp.sum(p * np.cos(np.arange(8.0)).reshape(2, 2, 2)) + jnp.log(p[1, 1, 1])


POINT = jnp.array([0.05, 0.3, 0.4, 1.0, 0.2, 0.3, 0.5, 0.8, 0.01])


def test_derivatives_are_differences():
    """Central differences of 1e-5: 2e-11 of third derivatives up to 2/mu³ (of the logarithm), rounding 1e-11."""
    value, slope = jax.jit(knobs), jax.jit(jax.grad(knobs))
    steps = 1e-5 * np.eye(len(POINT))
    want = [(value(POINT + s) - value(POINT - s)) / 2e-5 for s in steps]
    np.testing.assert_allclose(slope(POINT), want, atol=1e-6)


@pytest.mark.slow
def test_second_derivatives_are_differences():
    slope, bend = jax.jit(jax.grad(knobs)), jax.jit(jax.hessian(knobs))
    steps = 1e-5 * np.eye(len(POINT))
    want = [(slope(POINT + s) - slope(POINT - s)) / 2e-5 for s in steps]
    np.testing.assert_allclose(bend(POINT), want, atol=1e-4)


def test_perfect_and_blind_detectors_have_derivatives():
    for edge in (0.0, 1.0):
        f = lambda x: click_probabilities(STATE, Detectors.on(range(4), x[0], x[1]))[1, 0, 1, 0]
        slope = jax.grad(f)(jnp.array([edge, edge]))
        assert np.isfinite(slope).all()


@pytest.mark.slow
def test_compiled_mapped_and_stacked_are_the_same():
    mus = jnp.array([[0.1, 0.2], [0.3, 0.05], [0.01, 0.02]])
    one = lambda mu: click_probabilities(pairs(mu).through(LOSSY), FOUR)
    loop = np.stack([one(mu) for mu in mus])
    np.testing.assert_allclose(jax.vmap(one)(mus), loop, atol=1e-16)
    np.testing.assert_allclose(one(mus), loop, atol=1e-16)
    with jax.disable_jit():
        eager = click_probabilities(pairs(mus[0]).through(LOSSY), FOUR.only(2))
    np.testing.assert_allclose(eager, loop[0].sum((0, 1, 3)), atol=1e-15)
    each = np.array([[0.1] * 4, [0.9] * 4])
    many = click_probabilities(STATE, Detectors.on(range(4), each, 1e-3))
    np.testing.assert_allclose(many[1], click_probabilities(STATE, Detectors.on(range(4), 0.9, 1e-3)), atol=1e-16)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Detectors.on([0], 1.1),
        lambda: Detectors.on([0], -0.1),
        lambda: Detectors.on([0], 0.5, 2.0),
        lambda: Detectors.on([0], 0.5, float("nan")),
        lambda: Detectors.on([0, 1, 2], [0.1, 0.2]),
        lambda: Detectors.on([0, (1, 0)]),
        lambda: Detectors.on([-1]),
        lambda: Detectors.on(range(9)),
        lambda: click_probabilities(STATE, Detectors.on([4])),
        lambda: pairs([-0.1]),
        lambda: STATE.through(np.eye(3)),
        lambda: STATE.through(1.01 * np.eye(4)),
    ],
)
def test_refusals(call):
    with pytest.raises(SpecError, match="got:"):
        call()


def test_traced_values_outside_become_nan():
    p = jax.jit(lambda eta: click_probabilities(STATE, Detectors.on(range(4), eta)))(1.1)
    assert np.isnan(p).all()
