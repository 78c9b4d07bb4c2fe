"""A specification of one ring that makes pairs, and changes of it."""

import dataclasses
from typing import Any

import yaml
from changes import with_changes

from picq.design.spec import Spec, parse_spec
from picq.design.yaml_source import Source

ONE_RING = yaml.safe_load(
    """
name: one_ring
technology: sin800
circuit:
  instances:
    ring: {device: ring_all_pass, parameters: {radius: 114.0, gap: 0.5, power_mw: 40}, place: {x: 0, y: 0}}
  ports: {in: "ring,o1", out: "ring,o2"}
wavelengths: {center_thz: 193.4, span_ghz: 600, step_ghz: 10}
channels: {center_thz: 193.4, spacing_ghz: 400, input: in, outputs: [out]}
source:
  ring: ring
  pump: {port: in, power_mw: 0.05}
  signal: out
  idler: out
  detectors: {efficiency: 0.8, dark_hz: 100, window_ps: 100000}
variables:
  - {parameter: ring.gap, lower: 0.4, upper: 0.8}
targets:
  - {figure: coincidence_rate_hz, maximise: true}
  - {figure: heralding}
  - {figure: q_loaded}
optimise: {starts: 2, steps: 60, rounds: 0, chips: 0, learning_rate: 0.05}
tolerance: {samples: 10, trim: [ring.power_mw]}
"""
)


def changed(data: dict[str, Any], **changes: Any) -> Spec:
    """The specification with other values at paths ``a__b__c``."""
    return parse_spec(Source(data=with_changes(data, changes)))


def warmer(tech, kelvin):
    """A chip."""
    return tech.at(dataclasses.replace(tech.process, temperature_k=kelvin))
