"""Fields, modes, S and gradients of the field solver against ceviche 0.1.3 on the same grid.

ceviche's waves are exp(+i omega t), so everything is conjugated. Its layers lie one pixel further up along x and y than
picq's, with the same profile: it is given the permittivity moved by that pixel. What it does differently beyond (its
domain is periodic behind the layers) is exp(-30) of the field.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it compares strings by identity
    ceviche = pytest.importorskip("ceviche")
    from ceviche.modes import get_modes

import autograd.numpy as npa
from autograd import jacobian

from picq.inverse.condense import Condensed
from picq.inverse.factor import solve
from picq.inverse.fdfd import Polarisation, assemble, coefficients
from picq.inverse.grid import Box, Domain
from picq.inverse.pml import stretch
from picq.inverse.ports import Port, scattering, solve_modes
from picq.inverse.simulation import Simulation

pytestmark = pytest.mark.oracle

STEP, CELLS, WL = 0.04, 20, 1.28
OMEGA = 2 * np.pi * ceviche.constants.C_0 / (WL * 1e-6)
INSIDE = Box(-0.8, -0.8, 0.8, 0.8)


def device(polarisation: Polarisation) -> Simulation:
    """The 40 nm mode converter of ceviche-challenges with random pixels, all modes at both ports."""
    domain = Domain((4.64, 4.0), STEP, (CELLS * STEP, CELLS * STEP))
    eps = np.full(domain.shape, 2.25)
    eps[:, domain.cells(Box(-0.2, -0.2, 0.2, 0.2))[1]] = 12.25
    eps[domain.cells(INSIDE)] = 2.25 + 10 * np.random.default_rng(0).random((40, 40))
    ports = (Port("o1", (-1.5, 0.0), 180, 2.4, (0, 1)), Port("o2", (1.5, 0.0), 0, 2.4, (0, 1)))
    return Simulation(domain, eps, polarisation, ports, np.array([WL]))


def up(a: np.ndarray) -> np.ndarray:
    """Moved by a pixel along both axes."""
    return np.roll(a, 1, (0, 1))


def test_ez_on_the_same_grid():
    sim = device("ez")
    ch, shape = sim.channels, sim.domain.shape
    ours = solve(assemble(sim.domain, sim.coefficients, WL), ch.source[0]).T.reshape(-1, *shape)
    theirs = ceviche.fdfd_ez(OMEGA, STEP * 1e-6, up(sim.eps), [CELLS, CELLS])
    scale = -1j * OMEGA * ceviche.constants.MU_0 * (STEP * 1e-6) ** 2
    fields = [theirs.solve(up(ch.source[0, :, p].reshape(shape)))[2] for p in range(4)]
    fields = np.array([np.roll(f, -1, (0, 1)) for f in fields])
    fields = (fields / scale).conj()
    within = np.s_[:, CELLS:-CELLS, CELLS:-CELLS]
    assert np.abs(fields - ours)[within].max() < 1e-9 * np.abs(ours).max()
    z = ch.source[0].T @ fields.reshape(4, -1).T
    assert np.abs(scattering(z, ch.behind[0], ch.turn[0])[0] - sim.solve()[0][0]).max() < 1e-9


def test_jacobian_of_ez():
    """Of the overlaps of one wave, by autograd through ceviche's own adjoint."""
    sim = device("ez")
    ch, shape = sim.channels, sim.domain.shape
    vars(sim)["channels"] = ch._replace(behind=0 * ch.behind)  # ceviche's overlaps have what the layers reflect
    region = Condensed(sim, INSIDE)
    eps = sim.eps[region.cells]
    slope = np.asarray(region.jacobian(eps)[1])
    (left, right), (low, high) = ((c.start + 1, c.stop + 1) for c in region.cells)
    theirs = ceviche.fdfd_ez(OMEGA, STEP * 1e-6, up(sim.eps), [CELLS, CELLS])
    scale = -1j * OMEGA * ceviche.constants.MU_0 * (STEP * 1e-6) ** 2
    sources = [up(ch.source[0, :, p].reshape(shape)) for p in range(4)]
    around = up(sim.eps)

    def overlap(inner, part):
        rows = npa.concatenate([around[left:right, :low], inner, around[left:right, high:]], axis=1)
        theirs.eps_r = npa.concatenate([around[:left], rows, around[right:]], axis=0)
        return part(npa.sum(sources[2] * theirs.solve(sources[0])[2]) / scale)

    dz = jacobian(lambda e: overlap(e, npa.real))(eps) - 1j * jacobian(lambda e: overlap(e, npa.imag))(eps)
    turn = ch.turn[0, 2] * ch.turn[0, 0]
    assert np.abs(2j * turn * dz - slope[0, 2, 0]).max() < 1e-9 * np.abs(dz).max()


def test_hz_on_the_same_grid(monkeypatch):
    """Matrix, layers and ports; not where the permittivity is taken, which ceviche has inconsistent by a pixel.

    E_y between H(i) and H(i + 1) sees the pixels i - 1 and i, which puts H(i) into pixel i - 1; E_x of the same H sees
    column i. So picq is given the coefficients of the lines as ceviche takes them. ceviche's H lies half a pixel off
    its layers, so it is given picq's; and eps less the 1e-5 that it adds.
    """

    def same(direction: str, omega: float, step: float, count: int, cells: int) -> np.ndarray:
        middle, line = stretch(count, cells, step * 1e6, WL)
        return np.conj(line[:-1] if direction == "f" else np.roll(middle, 1))

    monkeypatch.setattr(ceviche.derivatives, "create_sfactor", same)
    sim = device("hz")
    c = coefficients(sim.eps, "hz")
    moved = c._replace(across_x=np.roll(c.across_x, -1, 1), across_y=np.roll(c.across_y, -1, 0))
    sim = replace(sim, smooth=moved)
    ch, shape = sim.channels, sim.domain.shape
    ours = solve(assemble(sim.domain, sim.coefficients, WL), ch.source[0]).T.reshape(-1, *shape)
    theirs = ceviche.fdfd_hz(OMEGA, STEP * 1e-6, sim.eps - 1e-5, [CELLS, CELLS])
    scale = 1j * OMEGA * ceviche.constants.EPSILON_0 * (STEP * 1e-6) ** 2
    fields = [theirs.solve(up(ch.source[0, :, p].reshape(shape)))[2] for p in range(4)]
    fields = np.array([np.roll(f, -1, (0, 1)) for f in fields])
    fields = (fields / scale).conj()
    within = np.s_[:, CELLS:-CELLS, CELLS:-CELLS]
    assert np.abs(fields - ours)[within].max() < 1e-9 * np.abs(ours).max()
    z = ch.source[0].T @ fields.reshape(4, -1).T
    assert np.abs(scattering(z, ch.behind[0], ch.turn[0])[0] - sim.solve()[0][0]).max() < 1e-9


def test_modes_of_ez():
    """Its n_eff is of a fine grid along the guide; its line is periodic, so profiles differ by tails at its ends.

    These are 5e-6 of the field in mode 1, and squared in n_eff.
    """
    sim = device("ez")
    line = sim.eps[0, CELLS:-CELLS]
    squares, profiles = get_modes(line, OMEGA, STEP * 1e-6, 0, m=2)
    order = np.argsort(-squares.real)
    mode = solve_modes(sim.domain, sim.coefficients, sim.ports[0], WL)
    half = np.pi / WL * STEP
    assert np.sin(half * mode.n_eff) / half == pytest.approx(np.sqrt(squares.real[order]), rel=1e-9)
    assert np.abs(np.abs(profiles[:, order]) - np.abs(mode.profile)).max() < 1e-5
