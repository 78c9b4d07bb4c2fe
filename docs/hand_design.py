"""A design swept by hand beside the optimiser's, under tolerance: ``python docs/hand_design.py`` writes hand_design.md.

Of layouts/sfwm_purity.yaml. By hand both gaps are swept in steps of 20 nm with the heaters that the closed form asks
for (``RingDualMzi.biased``), and the design that keeps the furthest from its bounds is taken. Both designs then meet
the same fabricated and trimmed chips. Some ten minutes, most of them for the compiler.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from picq.circuit import Circuit  # noqa: E402
from picq.design.grid import C_UM_GHZ  # noqa: E402
from picq.design.optimise import optimise  # noqa: E402
from picq.design.problem import Problem  # noqa: E402
from picq.design.spec import load_spec  # noqa: E402
from picq.design.statistics import Yield  # noqa: E402
from picq.design.tolerance import chunk_of, fabricated  # noqa: E402

ROOT = Path(__file__).parents[1]
SAMPLES = 300
STEP_UM = 0.02
SHOWN = ("purity", "heralding", "coincidence_rate_hz")


def swept(problem: Problem) -> Circuit:
    """The nominal sweep's best circuit."""
    circuit, ring = problem.measured, problem.measured.instances["ring"]
    wl = C_UM_GHZ / (1e3 * problem.spec.channels.center_thz)
    gaps = [np.arange(slot.lower, slot.upper + 1e-9, STEP_UM) for slot in problem.slots[:2]]
    biased = jax.jit(lambda gap, drop: ring.replace(gap=gap, gap_drop=drop).biased(wl, problem.tech))
    best, margin = circuit, -np.inf
    for gap, drop in np.stack(np.meshgrid(*gaps), axis=-1).reshape(-1, 2):
        powers = biased(gap, drop)
        made = ring.replace(
            gap=round(float(gap), 3),
            gap_drop=round(float(drop), 3),
            **{name: float(getattr(powers, name)) for name in ("power_mw", "power_bus_mw", "power_drop_mw")},
        )
        one = circuit.replace(instances={**circuit.instances, "ring": made})
        found = problem.worst(problem.figures_array(problem.vector(one)))
        purity, heralding = (found[problem.spec.labels.index(name)] for name in ("purity", "heralding"))
        left = min((purity - 0.99) / 0.01, (heralding - 0.9) / 0.1)
        if left > margin:
            best, margin = one, left
    return best


def trimmed(problem: Problem, circuit: Circuit) -> np.ndarray:
    """The worst channel of every figure of every trimmed chip, [sample, figure]; not finite where a chip has none."""
    chunk = chunk_of(problem)
    chunks = (fabricated(problem, circuit, jnp.arange(n, n + chunk))[0]["trimmed"][1] for n in range(0, SAMPLES, chunk))
    return problem.worst(np.concatenate([np.asarray(c) for c in chunks])[:SAMPLES])


def row(name: str, circuit: Circuit, problem: Problem) -> str:
    """Of the table."""
    ring, chips = circuit.instances["ring"], trimmed(problem, circuit)
    nominal = problem.worst(problem.figures_array(problem.vector(circuit)))
    cells = [f"{ring.gap:.3f}, {ring.gap_drop:.3f}"]
    for label in SHOWN:
        i = problem.spec.labels.index(label)
        low, middle, high = np.nanpercentile(chips[:, i], [5, 50, 95])
        cells.append(f"{nominal[i]:.4g}; {middle:.4g} ({low:.4g} … {high:.4g})")
    reached = Yield.of(int(problem.met(chips).all(axis=1).sum()), len(chips))
    return f"| {name} | {' | '.join(cells)} | {reached} | {int((~np.isfinite(chips)).any(axis=1).sum())} |"


def main() -> None:
    problem = Problem(load_spec(ROOT / "layouts" / "sfwm_purity.yaml"), resolved=True)
    designs = {"swept by hand": swept(problem), "optimised": optimise(problem).circuit(problem, whole=False)}
    rows = [row(name, circuit, problem) for name, circuit in designs.items()]
    text = f"""# A design swept by hand, and the optimiser's

`layouts/sfwm_purity.yaml` asks for a purity of 0.99 with a heralding of 0.9 from a ring whose buses are
interferometers. By hand: both gaps in steps of {1e3 * STEP_UM:.0f} nm, heaters by the closed form, the design furthest
from its bounds. Then {SAMPLES} chips of the technology's variation, trimmed, the same for both
(seed {problem.spec.seed}): nominal value; median (5 to 95 %) of the chips. Chips without resonances that one could
name fail. Made by `python docs/hand_design.py`.

| design | gaps, um | purity | heralding | coincidences, 1/s | yield (95 % interval) | without figures |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}
"""
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
