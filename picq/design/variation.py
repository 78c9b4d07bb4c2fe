"""How chips of one technology differ: what is shared by a chip and what every place has of its own.

Each process quantity is normal: one value per chip (``global`` in the technology's variation.yaml) plus one per place
(``local``). Places are the ``sites`` of the circuit, independent of each other: the local sigma stands for the mismatch
of places at the distance of one circuit's parts; larger-scale variation over a chip is part of ``global``.

Places that lie along paths side by side (``Device.tracks``: arms of an array) see the mean of a field over their own
path instead. Its covariance is ``sigma² exp(-d/length_um)`` summed over the ``fields`` of variation.yaml, averaged over
all pairs of points of two paths; a field that is rougher than the points are apart leaves each path a variance of
sigma² 2 length_um/L by itself, k0 dn/dw sigma sqrt(2 length_um L) in phase. What all paths of a device have in common
is part of ``global`` and taken out.

Rings differ in what their walls turn back (``roughened``).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.circuit import Circuit
from picq.device import Device
from picq.errors import SpecError, nearest
from picq.resonator import Resonator
from picq.technology import Process, Technology

QUANTITIES = {
    "width_nm": "nm",
    "thickness_nm": "nm",
    "gap_nm": "nm",
    "temperature_k": "K",
    "slab_nm": "nm",
    "loss_ln": "",
}
"""Names and units of the process quantities, in the order of ``Process``."""

_FIRST_DRAW = 5
"""Quantities of the first draw. Those that came later have one of their own: a seed's chips stay what they were."""


def sources(tech: Technology) -> dict[str, dict[str, str]]:
    """Where each sigma comes from: ``global`` and ``local``, by quantity, in the words of variation.yaml."""
    data = tech.platform.variation
    found = {part: data.get(part) or {} for part in ("global", "local")}
    return {part: {k: str(v.get("source", "")) for k, v in entries.items()} for part, entries in found.items()}


class Block(NamedTuple):
    """Places that do not vary independently of each other.

    Attributes:
        places: their numbers among the sites of the circuit.
        factors: by quantity, the matrix [place, place] that takes independent normal numbers to offsets.
    """

    places: np.ndarray
    factors: Mapping[str, np.ndarray]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Variation:
    """Standard deviations.

    Attributes:
        chip: of what a chip shares.
        local: of what each place adds.
    """

    chip: Process
    local: Process

    @classmethod
    def of(cls, tech: Technology) -> "Variation":
        """The variation of a technology.

        Raises:
            SpecError: its variation.yaml names an unknown quantity or a sigma that is no number at or above zero.
        """
        data = tech.platform.variation
        return cls(*(_sigmas(tech.name, part, data.get(part, {})) for part in ("global", "local")))

    def sample(self, key: jax.Array, sites: int, blocks: tuple[Block, ...] = ()) -> tuple[Process, Process]:
        """One chip: (global offset with scalar leaves, local offsets with leaves [sites])."""
        counts = (_FIRST_DRAW, len(QUANTITIES) - _FIRST_DRAW)
        draws = [
            jax.random.normal(k, (n, 1 + sites)) for k, n in zip((key, jax.random.fold_in(key, 1)), counts, strict=True)
        ]
        z = jnp.concatenate(draws)
        chip = Process(*(s * z[i, 0] for i, s in enumerate(_values(self.chip))))
        local = [s * z[i, 1:] for i, s in enumerate(_values(self.local))]
        for block in blocks:
            for i, quantity in enumerate(QUANTITIES):
                if quantity in block.factors:
                    drawn = jnp.asarray(block.factors[quantity]) @ z[i, 1 + block.places]
                    local[i] = local[i].at[block.places].set(drawn)
        return chip, Process(*local)


def roughened(circuit: Circuit, tech: Technology, key: jax.Array) -> Circuit:
    """The circuit with the splitting of every ring that is told none drawn, where the technology has statistics of it.

    Waves turned back by many small steps of the walls add up to a complex normal amplitude, so the power turned back is
    distributed exponentially (Morichetti et al., Appl. Phys. Lett. 96, 081112 (2010)). Its mean grows with length:
    ``backscatter: power_cm`` of variation.yaml, 1/cm.

    Raises:
        SpecError: the entry of variation.yaml is no number at or above zero.
    """
    if "backscatter" not in tech.platform.variation:
        return circuit
    entry = tech.platform.variation["backscatter"]
    per_cm = _not_negative(f"{tech.name}/variation.yaml: backscatter.power_cm", entry, "power_cm", "1/cm")

    def drawn(device: Device, key: jax.Array) -> Device:
        if isinstance(device, Circuit):
            return roughened(device, tech, key)
        if not isinstance(device, Resonator) or device.splitting_mhz is not None:
            return device
        return device.turning_back(per_cm * jax.random.exponential(key), tech)

    keys = enumerate(circuit.instances.items())
    return circuit.replace(instances={name: drawn(dev, jax.random.fold_in(key, i)) for i, (name, dev) in keys})


def blocks_of(tech: Technology, circuit: Device) -> tuple[Block, ...]:
    """The groups of places of a circuit that lie along paths side by side."""
    fields = tech.platform.variation.get("fields", {})
    found = []
    for tracks in circuit.tracks(tech):
        paths = [np.asarray(points, float) for points in tracks.values()]
        factors = {q: _factor(paths, entries) for q, entries in fields.items()}
        found.append(Block(np.array(list(tracks)), factors))
    return tuple(found)


def _factor(paths: list[np.ndarray], fields: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """A with A A^T = covariance of the means over paths (points [point, 2] at equal distances), less what is common."""
    points, count = np.stack(paths), len(paths)
    lengths = np.hypot(*np.moveaxis(np.diff(points, axis=1), -1, 0)).sum(axis=1)
    spacing = lengths.min() / points.shape[1]
    covariance = np.zeros((count, count))
    for entry in fields:
        sigma, reach = float(entry["sigma"]), float(entry["length_um"])
        if reach < spacing:  # independent along and between the paths
            covariance += np.diag(sigma**2 * 2 * reach / lengths)
            continue
        for k in range(count):
            away = np.hypot(*np.moveaxis(points[k][None, :, None] - points[:, None], -1, 0))
            covariance[k] += sigma**2 * np.exp(-away / reach).mean(axis=(1, 2))
    centre = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(centre @ (covariance + covariance.T) / 2 @ centre)
    return vectors * np.sqrt(np.maximum(values, 0.0))


@dataclass(frozen=True, eq=False)
class Chips:
    """Fabricated chips by number: chip i depends on the seed, the stream and i only.

    Attributes:
        tech: the nominal technology.
        sites: how many places the circuit has.
        seed: of all chips.
        stream: keeps the chips of different purposes apart.
        blocks: places that vary together.
        paired: chips 2 k and 2 k + 1 have opposite offsets (antithetic variates), so that few chips have no mean of
            their own.
    """

    tech: Technology
    sites: int
    seed: int
    stream: int
    blocks: tuple[Block, ...] = ()
    paired: bool = False

    def offsets(self, index: Any) -> tuple[Process, Process]:
        """Global and local offsets of one chip; ``index`` may be traced."""
        drawn = lambda number: Variation.of(self.tech).sample(
            jax.random.fold_in(self._key, number), self.sites, self.blocks
        )
        if not self.paired:
            return drawn(index)
        return jax.tree.map(lambda offset: (1.0 - 2.0 * (index % 2)) * offset, drawn(index // 2))

    @cached_property
    def _key(self) -> jax.Array:
        with jax.ensure_compile_time_eval():
            return jax.random.fold_in(jax.random.key(self.seed), self.stream)

    def made(self, circuit: Circuit, index: Any) -> Circuit:
        """The circuit with what the walls of its rings turn back on one chip; see ``roughened``."""
        return roughened(circuit, self.tech, jax.random.fold_in(jax.random.fold_in(self._key, index), 2))

    def technology(self, index: Any) -> Technology:
        """The technology as one chip and its places have it."""
        chip, local = self.offsets(index)
        return self.tech.at(jax.tree.map(jnp.asarray, chip)).with_mismatch(local)


def _values(process: Process) -> list[Any]:
    return [getattr(process, f.name) for f in dataclasses.fields(process)]


def _sigmas(name: str, part: str, entries: Mapping[str, Any]) -> Process:
    sigmas = dict.fromkeys(QUANTITIES, 0.0)
    for quantity, entry in entries.items():
        where = f"{name}/variation.yaml: {part}.{quantity}"
        if quantity not in QUANTITIES:
            raise SpecError(
                f"{where}: unknown quantity", allowed=", ".join(QUANTITIES), remedy=nearest(quantity, QUANTITIES)
            )
        sigmas[quantity] = _not_negative(f"{where}.sigma", entry, "sigma", QUANTITIES[quantity])
    return Process(**sigmas)


def _not_negative(where: str, entry: Any, name: str, unit: str) -> float:
    value = entry.get(name) if isinstance(entry, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise SpecError(f"{where} is wrong", got=repr(value), allowed=f"a number >= 0 in {unit}".removesuffix(" in "))
    return float(value)
