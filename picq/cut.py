"""Circuits cut open: the loops of a ring, and the way into an instance.

The stand-ins have the places of what they stand for, so that a chip's offsets still belong to the same instances.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from picq.circuit import Circuit
from picq.device import Device
from picq.errors import SpecError, nearest
from picq.resonator import Resonator
from picq.sdict import SDict
from picq.technology import Technology

Cuts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _StandIn(Device):
    inner: Device

    def __post_init__(self) -> None:
        """Nothing to check: what it stands for has checked itself."""

    @property
    def sites(self) -> tuple[str, ...]:
        return self.inner.sites


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Opened(_StandIn):
    """A resonator with its loops cut: the ports of its cuts are ports."""

    name: ClassVar[str] = "opened"
    inner: Resonator

    @property
    def ports(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (*self.inner.ports, *(port for cut in self.inner.cuts for port in cut))

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        return self.inner.opened(wl, tech)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tapped(_StandIn):
    """A device of whose first port all light comes out at ``end`` instead."""

    name: ClassVar[str] = "tapped"

    @property
    def ports(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (*self.inner.ports, "end")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        one = jnp.ones(jnp.shape(wl), complex)
        return {(self.inner.ports[0], "end"): one, ("end", self.inner.ports[0]): one}


def opened(circuit: Circuit, ring: str) -> tuple[Circuit, Cuts]:
    """A circuit with the loops of one instance cut, and the names of the cuts' ports, which it exposes.

    Raises:
        SpecError: there is no such instance, or it is no resonator.
    """
    device = circuit.instances.get(ring)
    if not isinstance(device, Resonator):
        rings = sorted(name for name, inst in circuit.instances.items() if isinstance(inst, Resonator))
        raise SpecError(
            f"'{ring}' is no resonator of the circuit",
            got="nothing of that name" if device is None else device.name,
            allowed=", ".join(rings) or "none: the circuit has no device with a loop",
            remedy=nearest(ring, rings),
        )
    cuts = tuple((f"{ring}.{a}", f"{ring}.{b}") for a, b in device.cuts)
    inner = tuple(port for cut in device.cuts for port in cut)
    names = tuple(port for cut in cuts for port in cut)
    exposed = tuple((name, f"{ring},{port}") for name, port in zip(names, inner, strict=True))
    instances = {**circuit.instances, ring: Opened(device)}
    return circuit.replace(instances=instances, exposed=(*circuit.exposed, *exposed)), cuts


def tapped(circuit: Circuit, instance: str) -> Circuit:
    """A circuit whose light ends at the first port of an instance, where it is exposed by the instance's name.

    Raises:
        SpecError: there is no such instance.
    """
    if instance not in circuit.instances:
        raise SpecError(
            f"the circuit has no instance '{instance}'",
            allowed=", ".join(circuit.instances),
            remedy=nearest(instance, circuit.instances),
        )
    instances = {**circuit.instances, instance: Tapped(circuit.instances[instance])}
    return circuit.replace(instances=instances, exposed=(*circuit.exposed, (instance, f"{instance},end")))
