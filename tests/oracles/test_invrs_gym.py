"""The shared problems as picq restates them, against the package that defines them: invrs-gym 1.6, pixel by pixel.

Both get the same pixels of 10 nm and have their own places of ports, modes, absorbing layers (ceviche's are one pixel
off), windows and score. Needs ``pip install invrs-gym``, which is no extra of picq: its import downloads tables of
refractive indices that these problems do not use, so a stand-in takes their place.
Not the demultiplexer, of which theirs takes many minutes and much memory.
"""

import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from scipy.ndimage import gaussian_filter

from picq.design.yaml_source import Source
from picq.inverse.job import FreeFormJob
from picq.inverse.objective import score
from picq.inverse.spec import parse_free_form

pytestmark = pytest.mark.oracle
LAYOUTS = Path(__file__).parents[2] / "layouts" / "inverse"
STEP = 0.01  # um, of the public definition
WL = (1.27, 1.29)  # um, the middles of both bands
MIXED = 1e-3
"""Of power. Theirs tells directions apart by E and H half a pixel from each other: some 1e-3 of the amplitude that
returns is taken for the other direction, and a device of random blobs returns a lot."""
ORDER = {"power_splitter": [0, 2, 1]}  # theirs counts the outputs from below


@pytest.fixture(scope="module")
def public():
    """The public package's challenges."""
    tables = ModuleType("refractiveindex2")
    tables.RefractiveIndexMaterial = MagicMock()  # pyright: ignore[reportAttributeAccessIssue]
    had = sys.modules.setdefault("refractiveindex2", tables)
    try:
        pytest.importorskip("invrs_gym")
        from invrs_gym.challenges.ceviche import challenge
    finally:
        if had is tables:
            del sys.modules["refractiveindex2"]
    return challenge


def blobs(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Grey pixels, smooth over 60 nm, mostly near 0 and 1."""
    rough = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 6)
    return 1 / (1 + np.exp(-3 * rough / rough.std()))


@pytest.mark.parametrize("name", ["waveguide_bend", "mode_converter", "power_splitter", "beam_splitter"])
def test_shared_problem(public, name):
    data = yaml.safe_load((LAYOUTS / f"{name}.yaml").read_text(encoding="utf-8")) | {"wl_um": list(WL)}
    problem = FreeFormJob.of(parse_free_form(Source(data=data))).problem
    challenge = getattr(public, name)()
    pixels = blobs(challenge.component.ceviche_model.design_variable_shape, seed=1)
    density = dataclasses.replace(challenge.component.seed_density, array=jnp.asarray(pixels))
    response, _ = challenge.component.response(density, wavelengths_nm=1e3 * np.array(WL))
    theirs = np.asarray(response.s_parameters)[:, 0]
    theirs = theirs[:, ORDER.get(name, slice(None))]
    ours = np.array(problem.condensed(STEP).scattering(problem.permittivity(pixels)))
    assert np.abs(ours[:, :, 0]) ** 2 == pytest.approx(np.abs(theirs) ** 2, abs=MIXED)
    ours[:, :, 0] = theirs
    assert float(score(ours, problem.windows)) == pytest.approx(float(challenge.eval_metric(response)), rel=1e-6)
