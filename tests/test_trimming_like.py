"""Devices that an operator gives the phases of one with other dimensions: there and back again."""

from pathlib import Path

import jax
import numpy as np
import pytest

from picq import catalogue
from picq.design.grid import C_UM_GHZ
from picq.design.problem import Problem
from picq.design.spec import parse_spec
from picq.design.yaml_source import Source
from picq.device import bounds

WL0 = 1.55
CASES = {
    "straight_heater": ({"power_mw": 3.0}, {"length": 131.0}),
    "mzi": ({"power_mw": 3.0}, {"delta_length": 12.34}),
    "ring_all_pass": ({"radius": 20.0, "power_mw": 3.0}, {"radius": 20.3, "gap": 0.25}),
    "ring_add_drop": ({"radius": 20.0, "power_mw": 3.0}, {"radius": 20.3, "gap_drop": 0.25}),
    "ring_dual_mzi": (
        {"radius": 20.0, "power_mw": 3.0, "power_bus_mw": 4.0, "power_drop_mw": 5.0},
        {"radius": 20.3, "gap": 0.25},
    ),
    "photonic_molecule": ({"power_mw": 2.0, "power_aux_mw": 5.0}, {"radius": 20.3, "gap": 0.25}),
    "lattice_filter": ({"powers_mw": (3.0,)}, {"delays": (95.4,)}),
    "pump_filter": ({"powers_mw": (3.0, 4.0, 5.0)}, {"delta_length": 93.2}),
    "time_bin_analyser": ({"split_power_mw": 3.0, "phase_power_mw": 4.0}, {"delay_um": 2000.1}),
    "awg": ({"setpoint_k": 1.5}, {"delta_length": 24.19}),
}


def heat(device) -> dict:
    """What an operator sets."""
    units = {n: b.unit for n, b in bounds(type(device)).items()}
    return {
        name: np.asarray(getattr(device, name), float) for name, unit in units.items() if unit in ("mw", "k", "ghz")
    }


@pytest.mark.parametrize("name", CASES)
def test_phases_of_another_device(soi220, name):
    """Its own powers come back when the first device is given the phases of the other one: both had the same."""
    powers, changed = CASES[name]
    one = catalogue.device(name).on(soi220, **powers)
    other = one.replace(**changed)
    tune = jax.jit(lambda device, like: device.rebiased(WL0, soi220, soi220, like))
    tuned, alone = tune(other, one), tune(other, other)
    back, least = tune(one, tuned), tune(one, one)
    for field, value in heat(back).items():
        np.testing.assert_allclose(value, heat(least)[field], atol=2e-3 if name == "awg" else 1e-8, err_msg=field)
    assert any(np.abs(value - heat(alone)[field]).max() > 1e-3 for field, value in heat(tuned).items() if value.size)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_heaters_follow_a_geometry_but_for_what_is_asked_of_them():
    """A longer ring of layouts/sfwm_purity.yaml leaves the phases where they were, 1 mW moves one by its worth."""
    source = Source.read(Path(__file__).parents[1] / "layouts" / "sfwm_purity.yaml")
    source.data["variables"][0] = {"parameter": "ring.length", "lower": 20, "upper": 40}
    problem = Problem(parse_spec(source), resolved=True)
    start, x = problem.measured, problem.vector(problem.measured) + np.array([1.23, -0.05, 1.0, 0.0, 0.0])
    wl0 = C_UM_GHZ / (1e3 * problem.spec.channels.center_thz)
    ring = start.instances["ring"]
    moved = jax.jit(lambda x: problem.retuned(x, start))(x).instances["ring"]
    assert (float(moved.length), float(moved.gap_drop)) == pytest.approx(x[:2])
    per_mw = float(ring.phase_per_mw(wl0, problem.tech))
    turned = np.array(moved.phases(wl0, problem.tech) - ring.phases(wl0, problem.tech)) - [0, 0, per_mw]
    np.testing.assert_allclose(np.exp(1j * turned), 1, atol=1e-9)
    kept = moved.replace(power_mw=ring.power_mw)
    assert abs(np.exp(1j * float(kept.phases(wl0, problem.tech)[2] - ring.phases(wl0, problem.tech)[2])) - 1) > 0.1
