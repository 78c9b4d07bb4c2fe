"""Float64 for the whole suite, and the technologies that devices are tested on."""

import jax
import pytest

jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="session")
def soi220():
    """The technology soi220."""
    from picq.pdk import load

    return load("soi220")
