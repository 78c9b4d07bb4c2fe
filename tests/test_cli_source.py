"""``picq source``: what its pictures show against the model's own numbers, and the command itself."""

import json

import jax
import numpy as np
import pytest
import yaml

from picq import pdk
from picq.circuit import Circuit
from picq.cli import run_command
from picq.components import RingAddDrop, RingAllPass
from picq.optics.operating_point import NITRIDE
from picq.quantum import curves, plots
from picq.quantum.figures import Detection, Drive
from picq.quantum.source import PairSource

TECH = pdk.load("sin800")
OMEGA = 2 * np.pi * 193.4e12
DETECTION = Detection(0.8, 100.0, 0.0, 1e-7)
CW, PULSES = Drive(5e-5), Drive(5e-5, "gaussian", 2e-10, 1e8)
RING = {"device": "ring_all_pass", "parameters": {"radius": 114.0, "gap": 0.5, "power_mw": 40}}
SPEC = {
    "name": "one_ring",
    "technology": "sin800",
    "circuit": {"instances": {"ring": RING}, "ports": {"in": "ring,o1", "out": "ring,o2"}},
    "wavelengths": {"center_thz": 193.4, "span_ghz": 600, "step_ghz": 10},
    "channels": {"center_thz": 193.4, "spacing_ghz": 400, "input": "in", "outputs": ["out"]},
    "source": {
        "ring": "ring",
        "pump": {"port": "in", "power_mw": 0.05, "shape": "gaussian", "fwhm_ps": 200, "repetition_mhz": 100},
        "signal": "out",
        "idler": "out",
    },
    "variables": [{"parameter": "ring.gap", "lower": 0.4, "upper": 0.8}],
    "targets": [{"figure": "heralding"}],
}


def alone():
    ring = RingAllPass.on(TECH, radius=114.0, gap=0.5)
    return PairSource(Circuit({"ring": ring}, (), (("in", "ring,o1"), ("out", "ring,o2"))), TECH, "ring", "in", "out",
                      "out", OMEGA)  # fmt: skip


@pytest.fixture(scope="module")
def seen():
    """(lines, transmission, dispersion, joint spectrum, rates of both kinds of pump) of one ring, compiled once."""

    @jax.jit
    def look():
        source = alone()
        lines = source.lines()
        amplitude = source.amplitude(lines, PULSES.pulse, PULSES.energy_j, 64)
        return (
            lines,
            curves.transmission(source, lines),
            curves.integrated_dispersion(source, 4),
            curves.joint_spectrum(lines, amplitude),
            curves.sweep(source, lines, CW, DETECTION, NITRIDE),
            curves.sweep(source, lines, PULSES, DETECTION, NITRIDE, amplitude),
        )

    return jax.device_get(look())


def test_the_fitted_linewidth_is_that_of_the_round_trip(seen):
    """An Airy line differs from a Lorentzian by 1/finesse² = 1e-6 of the contrast, the width by L²/48."""
    lines, spectra = seen[0], seen[1]
    best = curves.seen(spectra)
    assert best.dips
    fit = curves.fit_line(spectra.ghz, best.power)
    assert fit.linewidth_mhz == pytest.approx(lines.pump.kappa / (2e6 * np.pi), abs=3 * fit.linewidth_error_mhz)
    assert 0 < fit.linewidth_error_mhz < 1e-5 * fit.linewidth_mhz
    assert fit.centre_ghz == pytest.approx(0, abs=1e-5 * fit.linewidth_mhz * 1e-3)
    escape = float(lines.pump.escape)
    assert best.power.min() == pytest.approx((1 - 2 * escape) ** 2, rel=0.03)  # the bus itself takes 0.4 %


def test_filters_behind_the_ring_are_divided_out(seen):
    spectra = seen[1]
    behind = (1e-6 * (1 + (spectra.ghz - 0.3) ** 4))[:, None]
    filtered = spectra._replace(power=spectra.power * behind, past=spectra.past * behind)
    np.testing.assert_allclose(curves.seen(filtered).power, curves.seen(spectra).power, rtol=1e-9)


@pytest.mark.parametrize("fano", [0.0, 0.4])
@pytest.mark.parametrize("background", [1.0, 0.0])
def test_a_fit_finds_dips_peaks_and_what_lies_between(fano, background):
    f = np.linspace(-1.3, 1.3, 401)
    t = background - (0.6 + 1j * fano) / (1 - 2j * (f - 0.05) / 0.16)
    fit = curves.fit_line(f, 3e-7 * np.abs(t) ** 2)
    assert fit.linewidth_mhz == pytest.approx(160, rel=1e-7)
    assert fit.centre_ghz == pytest.approx(0.05, abs=1e-8)
    assert fit.splitting_mhz == 0


@pytest.mark.parametrize("splitting", [0.1, 0.16, 0.5])
def test_a_fit_finds_both_lines_of_backscattering(splitting):
    f = np.linspace(-2, 2, 801)
    t = 1 - 0.3 * sum(1 / (1 - 2j * (f - side * splitting / 2) / 0.16) for side in (-1, 1))
    fit = curves.fit_line(f, np.abs(t) ** 2, split=True)
    assert fit.linewidth_mhz == pytest.approx(160, rel=1e-5)
    assert fit.splitting_mhz == pytest.approx(1e3 * splitting, rel=1e-5)


@pytest.mark.slow
def test_backscattering_and_a_drop_port_in_the_model():
    """The line splits by what the ring was given; behind the drop port it is a peak of the same width."""
    ring = RingAddDrop.on(TECH, radius=114.0).replace(gap=0.5, gap_drop=0.5)
    ports = (("in", "r,o1"), ("drop", "r,o3"))
    lone = lambda **more: PairSource(
        Circuit({"r": ring.replace(**more)}, (), ports), TECH, "r", "in", "drop", "drop", OMEGA
    )

    def look(source):
        lines = source.lines()
        return lines.pump.kappa, curves.transmission(source, lines)

    kappa, spectra = jax.device_get(jax.jit(lambda: look(lone()))())
    best = curves.seen(spectra)
    assert not best.dips
    fit = curves.fit_line(spectra.ghz, best.power)
    assert fit.linewidth_mhz == pytest.approx(kappa / (2e6 * np.pi), rel=1e-5)
    kappa, spectra = jax.device_get(jax.jit(lambda: look(lone(splitting_mhz=400.0)))())
    fit = curves.fit_line(spectra.ghz, curves.seen(spectra).power, split=True)
    assert fit.splitting_mhz == pytest.approx(400, rel=0.01)
    assert fit.linewidth_mhz == pytest.approx(kappa / (2e6 * np.pi), rel=1e-3)


def test_integrated_dispersion_counts_from_the_pumped_resonance(seen):
    lines, grid = seen[0], seen[2]
    assert grid.d_int_mhz[grid.m == 0] == 0
    assert float(grid.d2_mhz) == pytest.approx(float(lines.mismatch) / (2e6 * np.pi), rel=1e-3)  # D2 = s + i - 2 p
    np.testing.assert_allclose(grid.d_int_mhz, grid.d2_mhz * grid.m**2 / 2, atol=0.05 * grid.d2_mhz * 4**2 / 2)
    np.testing.assert_allclose(np.diff(grid.thz) * 1e3, grid.d1_ghz, rtol=1e-3)
    assert grid.linewidth_mhz[4] == pytest.approx(lines.pump.kappa / (2e6 * np.pi), rel=1e-9)


@pytest.mark.parametrize(("range_um", "reach"), [((1.5, 1.6), 10), ((1.54, 1.56), 5), ((1.5499, 1.6), 1)])
def test_resonances_shown_lie_within_the_range_of_wavelengths(range_um, reach):
    """193.4 THz is 1550.12 nm; 1.56 um is 1227 GHz below, 1.54 um is 1270 GHz above."""
    assert curves.reach_within(193.4, 220.0, range_um) == reach


def test_spectra_of_the_photons_integrate_to_one(seen):
    joint = seen[3]
    assert joint.signal @ joint.signal_weight == pytest.approx(1, abs=1e-12)
    assert joint.idler @ joint.idler_weight == pytest.approx(1, abs=1e-12)
    assert joint.signal_weight @ joint.density @ joint.idler_weight == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(joint.density @ joint.idler_weight, joint.signal, rtol=1e-9)
    assert joint.schmidt.sum() == pytest.approx(1, abs=1e-12)
    assert joint.purity == pytest.approx(11 / 12, abs=2e-3)  # kappa T = 0.2
    assert 0.999 < joint.captured <= 1


def test_rates_rise_with_the_square_of_the_power_until_they_do_not(seen):
    for swept, power_mw in ((seen[4], 0.05), (seen[5], 0.05)):
        assert swept.power_mw[0] < power_mw < swept.power_mw[-1]
        assert swept.power_mw[-1] / swept.power_mw[0] == pytest.approx(1e3)
        for rate in (swept.pair_rate_hz, swept.pairs_out_hz, swept.coincidence_rate_hz):
            slope = np.gradient(np.log(rate), np.log(swept.power_mw))
            assert slope[0] == pytest.approx(2, abs=1e-4)
        assert np.all(np.isfinite(swept.car))
    continuous = seen[4]
    assert np.gradient(np.log(continuous.pair_rate_hz), np.log(continuous.power_mw))[-1] > 2.01  # stimulated pairs
    assert np.argmax(continuous.car) not in (0, continuous.car.size - 1)  # dark counts on one side, pairs on the other


def test_pictures_are_the_same_for_the_same_numbers(seen):
    lines, spectra, grid, joint, continuous, pulsed = seen
    fit = curves.fit_line(spectra.ghz, curves.seen(spectra).power)
    first = plots.draw_line(spectra, ("out",), fit, lines)
    assert first == plots.draw_line(spectra, ("out",), fit, lines)
    others = [
        plots.draw_dispersion(grid), plots.draw_joint_spectrum(joint), plots.draw_schmidt(joint),
        plots.draw_sweep(continuous, CW), plots.draw_sweep(pulsed, PULSES),
    ]  # fmt: skip
    assert all(png.startswith(b"\x89PNG\r\n") for png in (first, *others))


def test_a_specification_without_a_source_is_refused(tmp_path, capsys):
    path = tmp_path / "spec.yaml"
    path.write_text(
        yaml.safe_dump(
            {k: v for k, v in SPEC.items() if k != "source"} | {"targets": [{"figure": "insertion_loss_db"}]}
        )
    )
    assert run_command(["source", str(path), "-o", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "no pair source" in err
    assert "remedy: add a section `source:`" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_writes_figures_and_pictures(tmp_path, capsys):
    """First pulses, then continuous light into the same folder: what pulses alone have goes away."""
    spec, out = tmp_path / "spec.yaml", tmp_path / "out"
    spec.write_text(yaml.safe_dump(SPEC))
    assert run_command(["source", str(spec), "-o", str(out), "--json"]) == 0
    told, err = capsys.readouterr()
    found = json.loads(told)
    assert (out / "figures.json").read_text() == told
    assert {p.name for p in out.iterdir()} == {"figures.json", *found["pictures"]}
    assert len(found["pictures"]) == 5
    figures = found["figures"]
    assert all(set(row) >= {"value", "unit", "about"} for part in figures.values() for row in part.values())
    assert figures["source"]["q_loaded"]["value"] == figures["pump"]["q_loaded"]["value"]
    q = [1 / figures["pump"][f"q_{of}"]["value"] for of in ("loaded", "intrinsic", "coupling")]
    assert q[0] == pytest.approx(q[1] + q[2], rel=1e-9)
    fitted = figures["fit"]["q_loaded"]
    assert fitted["value"] == pytest.approx(figures["pump"]["q_loaded"]["value"], abs=3 * fitted["uncertainty"])
    assert figures["source"]["purity"]["unit"] == ""
    assert "operating point" not in figures
    assert "q_coupling" in err

    continuous = SPEC | {"source": SPEC["source"] | {"pump": {"port": "in", "power_mw": 0.05}}}
    spec.write_text(yaml.safe_dump(continuous))
    assert run_command(["source", str(spec), "-o", str(out), "--json"]) == 0
    told, err = capsys.readouterr()
    figures = json.loads(told)["figures"]
    assert {p.name for p in out.iterdir()} == {"figures.json", "line.png", "dispersion.png", "power.png"}
    assert "continuous pump has no joint spectrum" in err
    point = {key: row["value"] for key, row in figures["operating point"].items()}
    shifts = sum(point[f"shift_pump_{cause}_mhz"] for cause in ("kerr", "carriers", "heat"))
    assert point["detuning_cold_mhz"] == pytest.approx(shifts, rel=1e-9)
    assert point["build_up"] == pytest.approx(figures["ring"]["build_up"]["value"], rel=1e-6)
    assert figures["source"]["threshold_fraction"]["value"] == pytest.approx(
        0.05 / figures["ring"]["threshold_mw"]["value"]
    )


@pytest.mark.slow
@pytest.mark.exhaustive
def test_figures_of_a_saved_design_are_its_own(tmp_path, capsys):
    """A design with another gap has another Q."""
    from picq.design.appraisal import as_drawn
    from picq.job import Job

    spec, saved = tmp_path / "spec.yaml", tmp_path / "design.json"
    spec.write_text(yaml.safe_dump(SPEC))
    problem = Job.read(spec).problem
    as_drawn(problem, problem.device(np.array([0.6]))).save(saved)
    q = []
    for more in ([], ["-d", str(saved)]):
        assert run_command(["source", str(spec), "-o", str(tmp_path / "out"), "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["design_sha256"] is None) == (not more)
        q.append(found["figures"]["pump"]["q_loaded"]["value"])
    assert q[1] > 1.3 * q[0]
