"""How long a finished mask's walls are moved: steps whose answers are known stand for the polishing."""

import klayout.db as kdb
import numpy as np
import pytest
from free_form_spec import small

from picq import pdk
from picq.inverse.finish import _Bench, _Mask
from picq.inverse.problem import Problem
from picq.inverse.repair import violations

CLEAN = kdb.Region(kdb.Box(-4000, -200, 4000, 200))
NARROW = kdb.Region(kdb.Box(-4000, -20, 4000, 20))


@pytest.mark.parametrize(
    ("scores", "kept", "looks"),
    [
        ([-1.0, -0.5, -0.1, 0.2, 0.9], 0.2, 3),  # until the targets are met
        ([-1.0, -0.5, -0.48, 0.2], -0.48, 2),  # until it brings less than a tenth of what is lacking
        ([-1.0, -1.2, 0.2], -1.0, 1),  # never for a worse mask
        ([0.1, 0.9], 0.1, 0),
    ],
)
def test_walls_move_on_while_that_brings_missed_targets_nearer(monkeypatch, scores, kept, looks):
    bench = _Bench(Problem.of(small(), pdk.load("soi220")), lambda *_: None)
    masks = [_Mask(str(k), score, CLEAN, violations(CLEAN, bench.rules), np.empty(0)) for k, score in enumerate(scores)]
    seen = []

    def wallwise(mask):
        seen.append(mask.what)
        return masks[len(seen)]

    monkeypatch.setattr(bench, "_wallwise", wallwise)
    assert bench.finished(masks[0], None).score == kept
    assert len(seen) == looks


def test_walls_of_a_mask_with_findings_do_not_move_on(monkeypatch):
    """It is refused as it is: what it scores counts for nothing."""
    bench = _Bench(Problem.of(small(), pdk.load("soi220")), lambda *_: None)
    broken = _Mask("narrow", -1.0, NARROW, violations(NARROW, bench.rules), np.empty(0))
    monkeypatch.setattr(bench, "_wallwise", lambda _: pytest.fail("moved"))
    assert not bench.finished(broken, None).report.passed
