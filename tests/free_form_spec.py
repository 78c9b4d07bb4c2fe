"""A small free-form specification for tests: a mode converter of 0.8 um on coarse grids."""

import yaml
from changes import with_changes

from picq.design.yaml_source import Source
from picq.inverse.spec import FreeFormSpec, parse_free_form

SMALL = yaml.safe_load(
    """
name: small
technology: soi220
polarisation: ez
materials: {core: 12.25, cladding: 2.25}
wl_um: [1.27, 1.29]
region: {size: [0.8, 0.8]}
ports:
  o1: {side: west, width: 0.4}
  o2: {side: east, width: 0.4, modes: [1]}
targets:
  - {from: o1, to: o1, max_db: -20}
  - {from: o1, to: o2, min_db: -0.5}
rules: {width: 0.2, space: 0.2}
search: {steps: [0.04], effort: 0.1, starts: 2, repairs: 1}
"""
)


def small(**changes) -> FreeFormSpec:
    """The specification with entries changed; ``a__b`` is entry b of section a."""
    return parse_free_form(Source(data=with_changes(SMALL, changes)))
