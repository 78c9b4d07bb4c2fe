"""The field solver against closed forms: slab modes, Airy, Mie; conservation laws; what it refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import h1vp, hankel1, jv, jvp

from picq.errors import SpecError
from picq.inverse.factor import solve
from picq.inverse.fdfd import Coefficients, Polarisation, assemble, coefficients
from picq.inverse.grid import Box, Domain
from picq.inverse.ports import Port, solve_modes
from picq.inverse.simulation import Simulation

BOTH = pytest.mark.parametrize("polarisation", ["ez", "hz"])
CORE, CLAD = 12.25, 2.25
WL = 1.28


def guide(step: float, polarisation: Polarisation, length: float = 2.0, centre: float = 0.0) -> Simulation:
    """A straight guide of 400 nm along x with two modes, layers of 20 pixels; the ports are not on the grid."""
    domain = Domain((length + 40 * step, 3.2 + 40 * step), step, (20 * step, 20 * step))
    eps = np.full(domain.shape, CLAD)
    eps[:, domain.cells(Box(0, centre - 0.2, step, centre + 0.2))[1]] = CORE
    x = length / 2 - 0.1
    ports = (
        Port("o1", (-x + 0.013, centre), 180, 3.04 - 2 * abs(centre), (0, 1)),
        Port("o2", (x + 0.007, centre), 0, 3.04 - 2 * abs(centre), (0, 1)),
    )
    return Simulation(domain, eps, polarisation, ports, np.array([1.265, 1.295]))


def turned(sim: Simulation, quarters: int) -> Simulation:
    """The same device rotated anticlockwise about the domain's centre."""
    domain, turn = sim.domain, np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), quarters)
    ports = tuple(
        replace(p, centre=tuple(np.array(p.centre) @ turn), orientation=(p.orientation + 90 * quarters) % 360)
        for p in sim.ports
    )
    grid = replace(domain, size=domain.size[::-1], pml=domain.pml[::-1]) if quarters % 2 else domain
    return replace(sim, domain=grid, eps=np.rot90(sim.eps, quarters), ports=ports)


def scatterer(polarisation: Polarisation, wl: float = WL) -> Simulation:
    """The guide with random pixels in its middle, not symmetric in any way."""
    sim = guide(0.04, polarisation)
    eps = sim.eps.copy()
    inside = sim.domain.cells(Box(-0.6, -0.4, 0.6, 0.8))
    eps[inside] = CLAD + (CORE - CLAD) * np.random.default_rng(1).random(eps[inside].shape)
    return replace(sim, eps=eps, wl=[wl])


def slab_index(polarisation: Polarisation, order: int, wl: float = WL, width: float = 0.4) -> float:
    """n_eff of a symmetric slab: tan or -cot of k_x w / 2, by bracketing (Snyder and Love, ch. 12)."""
    k, weight = 2 * np.pi / wl, 1.0 if polarisation == "ez" else CORE / CLAD

    def mismatch(phase: float) -> float:  # k_x w / 2
        decay = np.sqrt(k**2 * (CORE - CLAD) * width**2 / 4 - phase**2)
        return phase * np.sin(phase - order * np.pi / 2) - weight * decay * np.cos(phase - order * np.pi / 2)

    top = min(k * np.sqrt(CORE - CLAD) * width / 2, (order + 1) * np.pi / 2)
    phase: Any = brentq(mismatch, order * np.pi / 2 + 1e-9, top - 1e-9)
    return float(np.sqrt(CORE - (2 * phase / (k * width)) ** 2))


REST = [pytest.mark.slow, pytest.mark.exhaustive]


@BOTH
@pytest.mark.parametrize(
    "quarters", [0, pytest.param(1, marks=pytest.mark.slow), *(pytest.param(k, marks=REST) for k in (2, 3))]
)
def test_straight_guide_in_every_direction(polarisation, quarters):
    sim = turned(guide(0.04, polarisation), quarters)
    s, _ = sim.solve()
    beta = 2 * np.pi / sim.wl[:, None] * sim.channels.n_eff[:, :2]
    sign = np.array([1, 1])
    # The tail of mode 1 in Hz, exp(-1.3 um / 0.16 um) = 3e-4 at the ends of the line, squared: 1e-7 in power.
    assert np.abs(s[:, 2:, :2] - np.eye(2) * (sign * np.exp(1j * beta * 1.794))[:, None]).max() < 5e-7
    assert np.abs(s[:, :2, :2]).max() < 5e-7
    assert np.abs(s[:, 2, 0] - np.exp(1j * beta[:, 0] * 1.794)).max() < 1e-9


@BOTH
@pytest.mark.parametrize("order", [0, 1])
def test_modes_converge_to_the_slab(polarisation, order):
    error = []
    for step in (0.04, 0.02, 0.01):
        sim = guide(step, polarisation)
        port = replace(sim.ports[0], modes=(order,))
        n = solve_modes(sim.domain, sim.coefficients, port, WL).n_eff[0]
        error.append(n - slab_index(polarisation, order))
    rates = np.log2(np.abs(np.array(error[:-1]) / error[1:]))
    assert rates == pytest.approx([2, 2], abs=0.15), error


def airy(n: float, d: float, wl: float) -> tuple[complex, complex]:
    """r of E, t of a slab of index n in vacuum at normal incidence (Born and Wolf, section 1.6.4)."""
    r, turn = (1 - n) / (1 + n), np.exp(2j * np.pi * n * d / wl)
    below = 1 - r**2 * turn**2
    return r * (1 - turn**2) / below, (1 - r**2) * turn / below


@BOTH
def test_slab_at_normal_incidence(polarisation):
    """One row of pixels between walls dF/dn = 0. Faces of the slab lie on lines of the grid: second order."""
    n, d, wl = 2.0, 0.4, 1.1
    k, errors = 2 * np.pi / wl, []
    for step in (0.02, 0.01, 0.005):
        domain = Domain((3.2, step), step, (0.8, 0.0))
        eps = np.ones(domain.shape)
        eps[domain.cells(Box(-d / 2, -step / 2, d / 2, step / 2))] = n**2
        c = coefficients(eps, polarisation)
        c.across_y[:] = 0
        q = np.exp(1j * 2 * np.arcsin(k * step / 2))
        source = np.zeros((domain.shape[0], 1))
        at = round(1.0 / step)  # pixels from the wall to the source, at x = -0.6 um + step / 2
        source[at] = 1
        f = solve(assemble(domain, c, wl), source)[:, 0]
        back = (f[at] * q - f[at + 1]) / (q - 1 / q)
        sent = f[at] - back
        out = f[-1 - at]
        r, t = airy(n, d, wl)
        sign = 1 if polarisation == "ez" else -1
        way = 1.2 - step - d  # in vacuum, there and back or right through
        errors.append([back / sent - sign * r * np.exp(1j * k * way), out / sent - t * np.exp(1j * k * way)])
    rates = np.log2(np.abs(np.array(errors[:-1])) / np.abs(errors[1:]))
    assert rates == pytest.approx(np.full((2, 2), 2.0), abs=0.1), errors
    assert np.abs(errors[-1]).max() < 2e-3


def mie(polarisation: Polarisation, n: float, x: float) -> float:
    """Scattering efficiency of a cylinder, x = k a (Bohren and Huffman, eqs. 8.30, 8.32, 8.36)."""
    m = np.arange(30)
    one, other = (1.0, n) if polarisation == "ez" else (n, 1.0)
    above = one * jvp(m, x) * jv(m, n * x) - other * jv(m, x) * jvp(m, n * x)
    below = one * h1vp(m, x) * jv(m, n * x) - other * hankel1(m, x) * jvp(m, n * x)
    b = np.abs(above / below) ** 2
    return 2 / x * (b[0] + 2 * b[1:].sum())


def disc(domain: Domain, radius: float, eps: float, polarisation: Polarisation, tensor: bool) -> Coefficients:
    """Smoothed coefficients of a disc in vacuum: of the normal part of D, the mean of 1/eps; of the rest, 1 / mean eps.

    Means over squares about the places of the coefficients; the normal is radial. Without ``tensor``, a_xy is left out.
    """

    def places(shift_x: float, shift_y: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Share of the disc in each square, and the normal."""
        x, y = (
            (np.arange(n + round(2 * shift)) + 0.5 - n / 2 - shift) * domain.step
            for n, shift in zip(domain.shape, (shift_x, shift_y), strict=True)
        )
        nodes, weights = np.polynomial.legendre.leggauss(40)
        chord = np.sqrt(np.maximum(radius**2 - (x[:, None] + nodes * domain.step / 2) ** 2, 0))[..., None]
        low, high = y - domain.step / 2, y + domain.step / 2
        inside = np.maximum(np.minimum(high, chord) - np.maximum(low, -chord), 0) / domain.step
        distance = np.hypot(x[:, None], y) + 1e-9
        return np.einsum("pqr,q->pr", inside, weights / 2), x[:, None] / distance, y / distance

    along, mean = (lambda f: 1 - f + f / eps), (lambda f: 1 / (1 - f + f * eps))
    if polarisation == "ez":
        return coefficients(1 / mean(places(0, 0)[0]), "ez")
    (fx, _, ny), (fy, nx, _), (f, cx, cy) = places(0.5, 0), places(0, 0.5), places(0.5, 0.5)
    return Coefficients(
        point=np.ones(domain.shape),
        across_x=ny**2 * along(fx) + (1 - ny**2) * mean(fx),
        across_y=nx**2 * along(fy) + (1 - nx**2) * mean(fy),
        corner=-cx * cy * (along(f) - mean(f)) if tensor else None,
    )


def mie_error(step: float, n: float, radius: float, polarisation: Polarisation, tensor: bool, wl: float = 1.2) -> float:
    """Relative, of the scattered power of a plane wave (the grid's own, exact along x), measured through a square."""
    domain = Domain((2.4, 2.4), step, (0.6, 0.6))
    nx, ny = domain.shape
    theta = 2 * np.arcsin(np.pi / wl * step)
    wave = np.repeat(np.exp(1j * theta * np.arange(nx)), ny)[:, None]
    matrix = assemble(domain, disc(domain, radius, n**2, polarisation, tensor), wl)
    empty = assemble(domain, coefficients(np.ones(domain.shape), polarisation), wl)
    f = solve(matrix, -((matrix - empty) @ wave)).reshape(nx, ny)
    low, high = round(0.7 / step), nx - round(0.7 / step)
    flux_x = np.imag(f[:-1].conj() * f[1:])[:, low:high].sum(1)
    flux_y = np.imag(f[:, :-1].conj() * f[:, 1:])[low:high].sum(0)
    power = flux_x[high - 1] - flux_x[low - 1] + flux_y[high - 1] - flux_y[low - 1]
    return power * step / np.sin(theta) / (2 * radius) / mie(polarisation, n, 2 * np.pi / wl * radius) - 1


@pytest.mark.slow
@pytest.mark.parametrize(("polarisation", "tensor"), [("ez", False), ("hz", True)])
def test_cylinder_against_mie(polarisation, tensor):
    errors = [mie_error(step, 1.5, 0.45, polarisation, tensor) for step in (0.05, 0.025, 0.0125)]
    rates = np.log2(np.abs(np.array(errors[:-1])) / np.abs(errors[1:]))
    assert rates == pytest.approx([2, 2], abs=0.25), errors
    assert abs(errors[-1]) < 2e-3


def test_smoothing_hz_without_the_whole_tensor_is_of_first_order():
    """Kottke et al. (2008), section V. At n = 2 the tensor is worth a factor of ten and more."""
    part = [mie_error(step, 2.0, 0.4, "hz", False) for step in (0.05, 0.025)]
    assert np.log2(part[0] / part[1]) == pytest.approx(1, abs=0.2)
    assert abs(mie_error(0.025, 2.0, 0.4, "hz", True)) < 0.1 * part[1]


def closed(polarisation: Polarisation) -> Simulation:
    """A guide with random pixels between walls so near that nothing but the modes of the ports propagates."""
    domain = Domain((4.8, 0.56), 0.04, (0.8, 0.0))
    eps = np.full(domain.shape, CLAD)
    eps[:, domain.cells(Box(0, -0.2, 0.04, 0.2))[1]] = CORE
    inside = domain.cells(Box(-0.4, -0.28, 0.4, 0.28))
    eps[inside] = CLAD + (CORE - CLAD) * np.random.default_rng(0).random(eps[inside].shape)
    ports = (Port("o1", (-1.5, 0), 180, 0.56, (0, 1)), Port("o2", (1.5, 0), 0, 0.56, (0, 1)))
    return Simulation(domain, eps, polarisation, ports, np.array([1.3, 1.33]))


@BOTH
def test_waves_in_a_closed_guide_keep_their_energy(polarisation):
    """S is unitary.

    The next mode tunnels to the layers, 2 um away, with n_eff = 0.6i or more: exp(-2 k n 2 um) = 1e-5 of its power.
    """
    s, _ = closed(polarisation).solve()
    assert np.abs(s[:, 0, 0]).min() > 0.03  # it does scatter
    assert np.abs(np.swapaxes(s.conj(), 1, 2) @ s - np.eye(4)).max() < 1e-5
    assert np.abs(s - np.swapaxes(s, 1, 2)).max() < 1e-11


def test_what_a_lossy_device_absorbs_is_missing():
    """Poynting's theorem on the grid: a unit wave leaves (k h)^2 sum Im(eps) |F|^2 behind."""
    sim = closed("ez")
    loss = np.zeros(sim.domain.shape)
    loss[55:65, 4:9] = 0.5
    s, field = replace(sim, eps=sim.eps + 1j * loss).solve()
    absorbed = (2 * np.pi / sim.wl[:, None] * 0.04) ** 2 * np.sum(loss * np.abs(field) ** 2, axis=(2, 3))
    assert absorbed.min() > 0.1
    assert np.abs(1 - np.sum(np.abs(s) ** 2, axis=1) - absorbed).max() < 1e-5


@BOTH
def test_open_device_is_reciprocal_and_radiates_what_is_missing(polarisation):
    """Incoming 1 = guided out + what passes the rest of a box about the device; the box's whole flux is zero."""
    sim = scatterer(polarisation)
    s, field = sim.solve()
    assert np.abs(s - np.swapaxes(s, 1, 2)).max() < 1e-11
    c, f = sim.coefficients, field[0, 0]
    flux_x = np.imag(f[:-1].conj() * f[1:]) * c.across_x[1:-1]
    flux_y = np.imag(f[:, :-1].conj() * f[:, 1:]) * c.across_y[:, 1:-1]
    x0, x1, y0, y1 = 24, 66, 21, 99
    left, right = flux_x[x0, y0 + 1 : y1 + 1].sum(), flux_x[x1, y0 + 1 : y1 + 1].sum()
    sides = flux_y[x0 + 1 : x1 + 1, y1].sum() - flux_y[x0 + 1 : x1 + 1, y0].sum()
    assert abs(right - left + sides) < 1e-11
    guided = (np.abs(s[0, :, 0]) ** 2).reshape(2, 2).sum(1)
    assert 0.1 < guided.sum() < 0.95
    assert 1 - guided[0] >= left > 0  # what goes left without a guide
    assert right >= guided[1] > 0


@BOTH
def test_rotation_leaves_s_alone(polarisation):
    """Modes of order 1 change sign with the direction of their line, which is all that may change."""
    sim = scatterer(polarisation)
    s, _ = sim.solve()
    for quarters in (1, 2, 3):
        other, _ = turned(sim, quarters).solve()
        assert np.abs(np.abs(other) - np.abs(s)).max() < 1e-11
        odd = np.array([1, -1, 1, -1]) if quarters in (1, 2) else np.ones(4)
        assert np.abs(other * odd[:, None] * odd - s).max() < 1e-11


@BOTH
@pytest.mark.parametrize(("cells", "most"), [(10, 3e-4), (20, 2e-5)])
def test_layers_swallow_what_a_point_radiates(polarisation, cells, most):
    """Against a domain that is 30 pixels larger all around."""
    step = 0.04
    near, far = (Domain((n * step, n * step), step, (cells * step, cells * step)) for n in (60, 120))
    fields = []
    for domain in (near, far):
        n = domain.shape[0]
        source = np.zeros((n, n))
        source[n // 2 - 4, n // 2 + 6] = 1
        c = coefficients(np.full((n, n), CLAD), polarisation)
        f = solve(assemble(domain, c, WL), source.reshape(-1, 1)).reshape(n, n)
        fields.append(f[n // 2 - 10 : n // 2 + 10, n // 2 - 10 : n // 2 + 10])
    assert np.abs(fields[0] - fields[1]).max() < most * np.abs(fields[1]).max()


@BOTH
@pytest.mark.parametrize("cells", [10, 20])
def test_reflection_of_the_layers_is_not_in_s(polarisation, cells):
    """What the ports compute on their guide is what two columns of the whole field show, and S does not have it."""
    sim = guide(0.04, polarisation)
    sim = replace(sim, domain=replace(sim.domain, pml=(cells * 0.04, 0.8)), wl=[WL])
    ch, (nx, ny) = sim.channels, sim.domain.shape
    raw = solve(assemble(sim.domain, sim.coefficients, WL), ch.source[0, :, :1]).reshape(nx, ny)
    unit = sim.solve()[1][0, 0]
    overlap = ch.source[0, :, 2].reshape(nx, ny)
    at = np.flatnonzero(overlap.any(1))[0]
    q = np.exp(2j * np.pi / WL * 0.04 * ch.n_eff[0, 2])

    def reflected(field: np.ndarray) -> complex:
        """Of mode 0 on the line of port o2, from the line and the one before it."""
        here, before = (np.sum(field[i] * overlap[at]) for i in (at, at - 1))
        return (before - here / q) / (here * q - before)

    assert reflected(raw) == pytest.approx(ch.behind[0, 2], rel=1e-6)
    assert abs(reflected(unit)) < 1e-10 < 1e-6 < abs(ch.behind[0, 2]) < {10: 3e-4, 20: 2e-5}[cells]


def refused(match: str, **change) -> None:
    with pytest.raises(SpecError, match=match) as caught:
        _ = replace(guide(0.04, "ez"), **change).channels
    assert caught.value.remedy or caught.value.allowed


def test_ports_that_cannot_be():
    o1 = guide(0.04, "ez").ports[0]
    refused("outside the domain", ports=(replace(o1, centre=(-9.0, 0.0)),))
    refused("absorbing layer", ports=(replace(o1, centre=(-1.2, 0.0)),))
    refused("absorbing layer", ports=(replace(o1, span=4.0),))
    refused("guides no mode of order 2", ports=(replace(o1, modes=(2,)),))
    refused("guides no mode of order 1 at 3", wl=[1.2, 3.0])
    refused("guides no mode of order 0", ports=(replace(o1, centre=(-0.5, 1.0), span=0.8),))
    refused("too coarse", eps=100 * guide(0.04, "ez").eps)
    refused("orientation", ports=(replace(o1, orientation=45),))
    refused("modes", ports=(replace(o1, modes=(0, 0)),))
    refused("name of its own", ports=(o1, o1))
    refused("bare wall", domain=replace(guide(0.04, "ez").domain, pml=(0.0, 0.8)))
    eps = guide(0.04, "ez").eps.copy()
    eps[5] *= 1.01
    refused("not a straight", eps=eps)
    refused("not a straight", eps=guide(0.04, "ez").eps + 0.01j)


def test_other_requests_that_cannot_be():
    refused("wavelengths", wl=[])
    refused("wavelengths", wl=[-1.0])
    refused("polarisation", polarisation="te")
    refused("shape", eps=np.ones((3, 3)))
    refused("not positive", eps=-guide(0.04, "ez").eps)
    refused("backend", backend="umfpack")
    for arguments, match in (
        (((1.0, 1.0), 0.03, (0.0, 0.0)), "whole number"),
        (((1.0, 1.0), 0.04, (0.1, 0.0)), "whole number"),
        (((1.0, 1.0), 0.04, (0.52, 0.0)), "fill the whole"),
        (((1.0, 1.0), 0.0, (0.0, 0.0)), "not positive"),
    ):
        with pytest.raises(SpecError, match=match):
            Domain(*arguments)
    with pytest.raises(SpecError, match="lines of the grid"):
        Domain((1.0, 1.0), 0.04, (0.0, 0.0)).cells(Box(-0.1, -0.11, 0.1, 0.1))


def test_missing_mkl_is_said(monkeypatch):
    from importlib import metadata

    from picq.inverse import pardiso

    def nothing(name):
        raise metadata.PackageNotFoundError(name)

    pardiso.library.cache_clear()
    monkeypatch.setattr(pardiso.metadata, "files", nothing)
    refused("mkl is not installed", backend="pardiso")
    pardiso.library.cache_clear()
