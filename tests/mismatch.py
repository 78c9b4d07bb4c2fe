"""Mismatch of sites for tests: what is not named is nominal."""

import jax.numpy as jnp

from picq.design.variation import QUANTITIES
from picq.technology import Process


def at_sites(count: int, **offsets) -> Process:
    """A process with ``count`` values of each quantity: those named, and zero for the others."""
    return Process(**{name: jnp.broadcast_to(offsets.pop(name, 0.0), (count,)) for name in QUANTITIES}, **offsets)
