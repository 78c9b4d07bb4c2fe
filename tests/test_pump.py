"""Pump pulses: their energy, their spectrum as the transform, their widths, chirp and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from picq.quantum import joint_spectrum as js
from picq.quantum import pump, schmidt
from picq.quantum.joint_spectrum import Lorentzian

ONE = Lorentzian(1.0)
SAMPLES = pump.Sampled(np.linspace(-3.0, 4.0, 29), np.exp(-(np.linspace(-3.0, 4.0, 29) ** 2) * (1 + 0.7j)) * (1 + 2j))
PULSES = {
    "gaussian": pump.Gaussian(0.8),
    "chirped": pump.Gaussian(0.8, 0.9, -1.7),
    "sech2": pump.Sech2(0.8),
    "rectangular": pump.Rectangular(1.2),
    "pair": pump.Pair(0.5, 0.8, -0.6 + 0.3j),
    "sampled": SAMPLES,
}


@pytest.mark.parametrize("name", PULSES)
def test_pulse_has_unit_energy_and_its_spectrum_is_its_transform(name):
    """Midpoints of 0.002: exact for what is smooth, (w h)²/24 for edges, h²/12 of the curvature for straight lines. The
    rectangle's spectrum leaves 2/(pi W duration) = 1.8e-3 beyond W = 300, all others less than 1e-6."""
    pulse, h = PULSES[name], 2e-3
    t = np.arange(-6.0, 6.0, h) + h / 2
    field = np.asarray(pulse.field(t))
    assert h * np.sum(np.abs(field) ** 2) == pytest.approx(1.0, abs=1e-5)
    w = np.linspace(-12.0, 9.0, 30)
    np.testing.assert_allclose(pulse.spectrum(w), h * np.exp(1j * np.outer(w, t)) @ field, atol=3e-5)
    wide = np.arange(-300.0, 300.0, 0.1)
    missing = 1 - 0.1 * np.sum(np.abs(pulse.spectrum(wide)) ** 2) / (2 * np.pi)
    assert missing == pytest.approx(2 / (np.pi * 300 * 1.2) if name == "rectangular" else 0.0, abs=1e-5)


@pytest.mark.parametrize(
    ("pulse", "width"),
    [
        (pump.Gaussian(0.7), 0.7),
        (pump.Gaussian(0.7, 1.0, 3.0), 0.7),
        (pump.Sech2(0.7), 0.7),
        (pump.Rectangular(0.7), 0.7),
    ],
)
def test_full_width_at_half_maximum(pulse, width):
    """Counted on steps of 1e-4, at both sides."""
    t = np.arange(-1.0, 1.0, 1e-4)
    intensity = np.abs(pulse.field(t)) ** 2
    assert np.sum(intensity > intensity.max() / 2) * 1e-4 == pytest.approx(width, abs=2e-4)


def test_chirp_is_the_slope_of_the_frequency():
    """exp(-i w t): the frequency is what the phase loses per time; C/T² with T = fwhm/(2 sqrt(ln 2))."""
    pulse, t = pump.Gaussian(0.8, 0.5, 2.0), np.array([-0.1, 0.0, 0.1])
    phase = lambda t: jnp.angle(pulse.field(t))
    frequency = -jax.vmap(jax.grad(phase))(t)
    np.testing.assert_allclose(frequency, 0.5 + 2.0 * 4 * np.log(2) / 0.8**2 * t, atol=1e-12)


def test_pulses_are_pytrees_whose_derivatives_may_be_negative():
    """A narrower pulse is the purer one; the derivative comes back as a pulse, by vmap too."""
    grid = js.time_grid(1.0, 40.0, 100)
    value = lambda pulse: schmidt.purity(js.joint_temporal_amplitude(pulse, grid, ONE, ONE, ONE))
    both = jax.jit(jax.value_and_grad(value))
    slope = both(pump.Gaussian(1.0))[1]
    h = 1e-4  # truncation 1e-9
    assert float(slope.fwhm) < 0
    want = (both(pump.Gaussian(1.0 + h))[0] - both(pump.Gaussian(1.0 - h))[0]) / (2 * h)
    assert float(slope.fwhm) == pytest.approx(float(want), rel=1e-6)
    assert float(slope.detuning) == pytest.approx(0.0, abs=1e-12)
    many = jax.vmap(lambda pulse: pulse.field(0.3))(pump.Gaussian(jnp.array([0.5, 1.0]), jnp.zeros(2), jnp.ones(2)))
    np.testing.assert_allclose(many, [pump.Gaussian(f, 0.0, 1.0).field(0.3) for f in (0.5, 1.0)], rtol=1e-14)


@pytest.mark.parametrize("w", [0.0, 1e4])
def test_sech_has_finite_derivatives(w):
    assert np.isfinite(jax.grad(lambda fwhm: jnp.abs(pump.Sech2(fwhm).spectrum(w)) ** 2)(1.0))
