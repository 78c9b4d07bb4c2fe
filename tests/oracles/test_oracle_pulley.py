"""Two guides of unequal width, bent about one centre: their supermodes by finite elements, against coupled modes."""

import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("skfem")

from cases import si, sin, sio2
from fem import Section, solve

from picq.optics.unequal import Narrowed, beside
from picq.pdk import load

pytestmark = pytest.mark.oracle
CORE = {"soi220": si, "sin800": sin, "sin400": sin}
REACH = 2.5  # um


def section(core, thickness, own, width, gap):
    """Upper half of both guides; x = 0 on the axis of the inner one."""
    x = np.cumsum([-REACH - own / 2, REACH, own, gap, width, REACH])
    clad, guide = [sio2, sio2], [core, sio2]
    media = [clad, guide, clad, guide, clad]
    return Section(
        x, [0.0, thickness / 2, thickness / 2 + REACH], media, ("electric", "electric", "magnetic", "electric")
    )


def splitting(tech, name, width, gap, radius):
    """By coupled modes: what the supermodes' indices on the ring's axis differ by; detuning over coupling."""
    wl, gaps, own, bend = jnp.array([1.55]), jnp.array([gap]), tech.cross_section(name).width, tech.bend(name)
    outer = radius + own / 2 + gap + width / 2
    mean, bus, pair = np.sqrt(radius * outer), Narrowed(bend, width / own), beside(tech, name, wl, width)
    inside, outside = tech.n_eff(name, wl) + bend.index_rise(1 / radius), tech.n_eff(name, wl, width)
    outside = outside + bus.index_rise(1 / outer)
    detuned = (outside * outer - inside * radius) / mean + 2 * pair.apart(gaps)[:, 0]
    coupled = 2 * pair.kappa(gaps)[:, 0] * wl / (2 * jnp.pi) * bus.concentric(1 / outer, 1 / radius)
    return float(jnp.hypot(detuned, coupled)[0] * mean / radius), float(detuned[0] / coupled[0])


@pytest.mark.parametrize(
    ("platform", "name", "radius", "gap", "width", "measured"),
    [
        ("soi220", "strip", 10.0, 0.2, 0.425, 0.0010),  # in phase, or nearly so
        ("soi220", "strip", 10.0, 0.1, 0.435, 0.0044),
        ("soi220", "strip", 5.0, 0.2, 0.385, -0.0026),
        ("sin800", "strip", 60.0, 0.5, 1.015, 0.0025),
        ("sin800", "strip", 60.0, 0.35, 1.035, 0.0073),
        ("sin800", "single", 60.0, 0.5, 0.693, 0.0004),
        ("sin400", "strip", 60.0, 0.5, 0.805, 0.0005),
        ("soi220", "strip", 10.0, 0.2, 0.4, 0.0072),  # on both sides of it
        ("soi220", "strip", 10.0, 0.2, 0.45, 0.0050),
        ("sin800", "strip", 60.0, 0.5, 0.95, 0.0084),
        ("sin800", "strip", 60.0, 0.5, 1.08, 0.0004),
        ("sin800", "single", 60.0, 0.5, 0.66, 0.0143),
        ("sin400", "strip", 60.0, 0.5, 0.75, 0.0296),
        ("sin400", "strip", 60.0, 0.5, 0.85, -0.0105),
    ],
)
def test_supermodes_of_a_bent_pair(platform, name, radius, gap, width, measured):
    """Where the guides are in phase that is the coupling. ``measured``: relative error, which is to stay as it is."""
    tech = load(platform)
    guess = float(tech.n_eff(name, 1.55)) + 5e-3
    pair = section(CORE[platform], tech.thickness, tech.cross_section(name).width, width, gap)
    found = [m.n_eff for m in solve(pair, count=4, order=2, radius=radius, guess=guess) if m.te_fraction > 0.5][:2]
    model, detuned = splitting(tech, name, width, gap, radius)
    assert abs(detuned) < 3.0
    assert model / (found[0] - found[1]) - 1 == pytest.approx(measured, abs=2e-3)
