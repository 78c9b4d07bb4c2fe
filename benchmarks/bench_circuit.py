"""Circuits against SAX: a rectangular mesh of 2×2 interferometers fitted to a unitary, value and gradient.

``python benchmarks/bench_circuit.py`` prints the table; it takes about two minutes, nearly all of it SAX's compilation.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from row import median, row  # noqa: E402

from picq.circuit import Circuit  # noqa: E402
from picq.device import Device, device, param  # noqa: E402
from picq.network import elements  # noqa: E402
from picq.pdk import load  # noqa: E402
from picq.sdict import SDict, reciprocal  # noqa: E402

WL = jnp.array([1.55])


def interferometer(theta: Any, phi: Any) -> SDict:
    """2×2 interferometer of ideal splitters: phase phi on o1, then theta between the arms; shape of ``theta``.

    Source: W. R. Clements et al., Optica 3, 1460 (2016), eq. 1.
    """
    outer, c, s = jnp.exp(1j * phi), jnp.cos(theta), jnp.sin(theta)
    return reciprocal({("o1", "o3"): outer * c, ("o2", "o3"): -s + 0j, ("o1", "o4"): outer * s, ("o2", "o4"): c + 0j})


@device
class Interferometer(Device):
    """The unit of the mesh."""

    name: ClassVar[str] = "interferometer"
    theta: Any = param(default=0.0, lower=-1e3, upper=1e3, unit="1")
    phi: Any = param(default=0.0, lower=-1e3, upper=1e3, unit="1")

    @property
    def ports(self) -> tuple[str, ...]:
        return ("o1", "o2", "o3", "o4")

    def model(self, wl: jax.Array, tech: Any) -> SDict:
        return {pair: jnp.broadcast_to(s, wl.shape) for pair, s in interferometer(self.theta, self.phi).items()}


Wiring = tuple[list[str], tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


def rectangle(modes: int) -> Wiring:
    """Names, connections and exposed ports of Clements' rectangular mesh of modes (modes - 1)/2 units."""
    ends: list[str | None] = [None] * modes
    names, connections, exposed = [], [], []
    for column in range(modes):
        for top in range(column % 2, modes - 1, 2):
            names.append(f"m{len(names):04d}")
            for mode, left, right in ((top, "o1", "o3"), (top + 1, "o2", "o4")):
                before, here = ends[mode], f"{names[-1]},{left}"
                if before is None:
                    exposed.append((f"in{mode}", here))
                else:
                    connections.append((before, here))
                ends[mode] = f"{names[-1]},{right}"
    exposed += [(f"out{mode}", end) for mode, end in enumerate(ends)]
    return names, tuple(connections), tuple(exposed)


def picq_loss(modes: int) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
    """|U - U_target|² of the mesh as a function of theta [unit], phi [unit] and the target."""
    names, connections, exposed = rectangle(modes)
    ins, outs = [f"in{k}" for k in range(modes)], [f"out{k}" for k in range(modes)]
    tech = load("soi220")

    def loss(theta: jax.Array, phi: jax.Array, target: jax.Array) -> jax.Array:
        units = [Interferometer(t, p) for t, p in zip(elements(theta), elements(phi), strict=True)]
        mesh = Circuit(dict(zip(names, units, strict=True)), connections, exposed)
        return jnp.sum(jnp.abs(mesh.transfer(WL, tech, ins, outs)[0] - target) ** 2)

    return loss


def sax_loss(modes: int) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
    """The same loss by SAX's klu backend."""
    import sax

    names, connections, exposed = rectangle(modes)

    def unit(*, wl: Any = 1.55, theta: Any = 0.0, phi: Any = 0.0) -> SDict:
        return {pair: jnp.broadcast_to(s, jnp.shape(wl)) for pair, s in interferometer(theta, phi).items()}

    netlist = {"instances": dict.fromkeys(names, "unit"), "connections": dict(connections), "ports": dict(exposed)}
    circuit, _ = sax.circuit(netlist, {"unit": unit}, backend="klu")

    def loss(theta: jax.Array, phi: jax.Array, target: jax.Array) -> jax.Array:
        values = zip(names, jnp.unstack(theta), jnp.unstack(phi), strict=True)
        s = sax.sdict(circuit(wl=WL, **{name: {"theta": t, "phi": p} for name, t, p in values}))
        found = jnp.stack([jnp.stack([s[(f"in{a}", f"out{b}")][0] for b in range(modes)]) for a in range(modes)])
        return jnp.sum(jnp.abs(found - target) ** 2)

    return loss


def arguments(modes: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """theta, phi and a random unitary target."""
    rng = np.random.default_rng(1)
    theta, phi = rng.uniform(0, np.pi, (2, modes * (modes - 1) // 2))
    target, _ = np.linalg.qr(rng.normal(size=(modes, modes)) + 1j * rng.normal(size=(modes, modes)))
    return jnp.asarray(theta), jnp.asarray(phi), jnp.asarray(target)


def compiled(loss: Callable, modes: int) -> tuple[float, Callable]:
    """CPU seconds to trace, lower and compile value and gradient, and the compiled function."""
    args = arguments(modes)
    start = time.process_time()
    function = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(*args).compile()
    return time.process_time() - start, lambda: function(*args)


def peak_gb() -> float:
    """Peak resident memory of this process, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measured(which: str, modes: int) -> dict[str, float]:
    """Compile and run time, peak memory and loss of a mesh in a process of its own."""
    out = subprocess.run([sys.executable, __file__, which, str(modes)], capture_output=True, text=True, check=True)
    return dict(zip(("compile", "run", "gb", "loss"), map(float, out.stdout.split()), strict=True))


def run() -> list[dict[str, Any]]:
    """Measure; see ``row``."""
    small, large = ([measured("picq", modes) for _ in range(3)] for modes in (16, 32))
    sax = measured("sax", 16)
    np.testing.assert_allclose(small[0]["loss"], sax["loss"], rtol=1e-10)
    compile_16, compile_32, run_16, run_32 = (
        float(np.median([m[key] for m in ms])) for key in ("compile", "run") for ms in (small, large)
    )
    memory = max(m["gb"] for m in large)
    return [
        row("16-mode mesh, gradient, compile", compile_16, "sax klu", sax["compile"], 20),
        row("16-mode mesh, gradient, run", run_16, "sax klu", sax["run"], 3),
        row("32-mode mesh, gradient, compile", compile_32, "picq, 16 modes", compile_16, 1.5, most=True),
        row("32-mode mesh, gradient, run", run_32, "picq, 16 modes", run_16, 10, most=True),
        row("32-mode mesh, peak memory in GB", memory, "bound", 0.6, 1.0, most=True),
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        count = int(sys.argv[2])
        # kept alive by name: the compiled program of klu holds a bare pointer to what its function owns
        loss = {"picq": picq_loss, "sax": sax_loss}[sys.argv[1]](count)
        seconds, function = compiled(loss, count)
        print(seconds, median(function, 101), peak_gb(), float(function()[0]))
    else:
        for row in run():
            print({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()})
