"""One interferometer, over wavelengths and in Monte Carlo, against SAX and against its formula by hand in JAX.

Compared to SAX with a splitter that costs next to nothing, because what is compared is the evaluation of circuits; and
to the formula by hand also with the real ``mmi1x2``, whose own model then takes nearly all the time in every program.

``python benchmarks/bench_mzi.py`` prints the table in about a minute.
"""

import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from row import row  # noqa: E402

from picq.circuit import Circuit  # noqa: E402
from picq.components import Mmi1x2, Straight  # noqa: E402
from picq.device import Device, device, param  # noqa: E402
from picq.optics.waveguide import propagate  # noqa: E402
from picq.pdk import load  # noqa: E402
from picq.sdict import SDict, reciprocal  # noqa: E402
from picq.technology import Process  # noqa: E402

TECH = load("soi220")
CHUNK = 100  # samples of a Monte Carlo that are in memory at once


@device
class Splitter(Device):
    """1×2 splitter whose angle is linear in the wavelength."""

    name: ClassVar[str] = "splitter"
    dispersion: Any = param(default=0.5, lower=0.0, upper=10.0, unit="1")

    @property
    def ports(self) -> tuple[str, ...]:
        return ("o1", "o2", "o3")

    def model(self, wl: jax.Array, tech: Any) -> SDict:
        angle = jnp.pi / 4 * (1 + self.dispersion * (wl - 1.55))
        return reciprocal({("o1", "o2"): jnp.cos(angle) + 0j, ("o1", "o3"): 1j * jnp.sin(angle)})


Power = Callable[[jax.Array, Any, jax.Array], jax.Array]


def interferometer(splitter: Device, top: Any, bottom: Any) -> Circuit:
    """Splitter, two straight arms, combiner."""
    parts = {"a": splitter, "t": Straight(length=top), "b": Straight(length=bottom), "z": splitter}
    links = (("a,o2", "t,o1"), ("a,o3", "b,o1"), ("t,o2", "z,o2"), ("b,o2", "z,o3"))
    return Circuit(parts, links, (("o1", "a,o1"), ("o2", "z,o1")))


def picq_power(splitter: Device) -> Power:
    """|S21|² [wl] for lengths (top, bottom) in um on a chip whose guides are ``width_nm`` too wide."""

    def power(lengths: jax.Array, width_nm: Any, wl: jax.Array) -> jax.Array:
        circuit = interferometer(splitter, lengths[0], lengths[1])
        return jnp.abs(circuit.transfer(wl, TECH.at(Process(width_nm=width_nm)), ["o1"], ["o2"])[:, 0, 0]) ** 2

    return power


def hand_power(splitter: Device) -> Power:
    """The same written down for this interferometer alone."""

    def power(lengths: jax.Array, width_nm: Any, wl: jax.Array) -> jax.Array:
        tech = TECH.at(Process(width_nm=width_nm))
        s = splitter.model(wl, tech)
        n, loss = tech.n_eff("strip", wl), tech.cross_section("strip").loss_db_cm
        top, bottom = propagate(wl, n, lengths[0], loss), propagate(wl, n, lengths[1], loss)
        return jnp.abs(s[("o1", "o2")] ** 2 * top + s[("o1", "o3")] ** 2 * bottom) ** 2

    return power


def sax_power(splitter: Device) -> Power:
    """The same by SAX's klu backend."""
    import sax

    def split(*, wl: Any = 1.55, width_nm: Any = 0.0) -> Any:
        return splitter.model(wl, TECH.at(Process(width_nm=width_nm)))

    def straight(*, wl: Any = 1.55, length: Any = 10.0, width_nm: Any = 0.0) -> Any:
        return Straight(length=length).model(wl, TECH.at(Process(width_nm=width_nm)))

    flat = interferometer(splitter, 1.0, 1.0)
    netlist = {
        "instances": {"a": "split", "t": "straight", "b": "straight", "z": "split"},
        "connections": dict(flat.connections),
        "ports": dict(flat.exposed),
    }
    circuit, _ = sax.circuit(netlist, {"split": split, "straight": straight}, backend="klu")

    def power(lengths: jax.Array, width_nm: Any, wl: jax.Array) -> jax.Array:
        each = {name: {"width_nm": width_nm} for name in "atbz"}
        each["t"]["length"], each["b"]["length"] = lengths[0], lengths[1]
        return jnp.abs(sax.sdict(circuit(wl=wl, **each))[("o1", "o2")]) ** 2

    return power


def spectrum_loss(power: Callable, wl: jax.Array) -> Callable[[jax.Array], Any]:
    """Value and gradient of the distance to a target spectrum."""
    target = 0.5 + 0.5 * jnp.cos(2 * jnp.pi * (wl - 1.55) / 0.02)
    return jax.jit(jax.value_and_grad(lambda lengths: jnp.sum((power(lengths, 0.0, wl) - target) ** 2)))


def monte_carlo(power: Callable, wl: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """Mean power over ``wl`` of every sample of the width, CHUNK samples at a time."""
    one = lambda width_nm: jnp.mean(power(jnp.array([150.0, 100.0]), width_nm, wl))
    return jax.jit(lambda widths: jax.lax.map(one, widths, batch_size=CHUNK))


def alternated(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each call, warm; the calls take turns, so that all see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            jax.block_until_ready(call())
            times[name].append(time.process_time() - start)
    return {name: float(np.median(t)) for name, t in times.items()}


def rows(name: str, calls: dict[str, Callable[[], Any]], repeats: int, against_sax: float) -> list[dict[str, Any]]:
    """SAX / picq is to reach ``against_sax``, picq / hand to stay below 1.3."""
    results = {peer: jax.tree.leaves(call()) for peer, call in calls.items()}
    for found in results.values():
        for a, b in zip(found, results["hand"], strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-8 * float(jnp.abs(b).max()))
    t = alternated(calls, repeats)
    made = [row(name, t["picq"], "by hand", t["hand"], 1.3, most=True)]
    if "sax" in t:
        made.append(row(name, t["picq"], "sax klu", t["sax"], against_sax))
    return made


def run() -> list[dict[str, Any]]:
    """Measure; see ``row``."""
    found = []
    lengths, wl, short = jnp.array([150.0, 100.0]), jnp.linspace(1.5, 1.6, 1001), jnp.linspace(1.52, 1.58, 501)
    widths = jax.random.normal(jax.random.key(1), (1000,)) * 3
    for splitter, peers in ((Splitter(dispersion=0.5), ("picq", "hand", "sax")), (Mmi1x2(), ("picq", "hand"))):
        make = {"picq": picq_power, "hand": hand_power, "sax": sax_power}
        fits = {peer: partial(spectrum_loss(make[peer](splitter), wl), lengths) for peer in peers}
        found += rows(f"MZI of {splitter.name}, 1,001 wavelengths, value and gradient", fits, 201, 5)
        sweeps = {peer: partial(monte_carlo(make[peer](splitter), short), widths) for peer in peers}
        before = peak_gb()
        jax.block_until_ready(sweeps["picq"]())
        grown = peak_gb() - before
        name = f"Monte Carlo of the MZI of {splitter.name}, 1,000 chips x 501 wavelengths"
        found += rows(name, sweeps, 15, 25)
        found.append(row(name + ", growth of memory in GB", grown, "bound", 0.3, 1.0, most=True))
    return found


def peak_gb() -> float:
    """Peak resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    for line in run():
        print({k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()})
