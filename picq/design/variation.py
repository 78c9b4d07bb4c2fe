"""How chips of one technology differ: what is shared by a chip and what every place has of its own.

Each process quantity is normal: one value per chip (``global`` in the technology's variation.yaml) plus one per place
(``local``), independent of each other. Places are the ``sites`` of the circuit. The local sigma stands for the mismatch
of places at the distance of one circuit's parts; larger-scale variation over a chip is part of ``global``.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp

from picq.errors import SpecError, nearest
from picq.technology import Process, Technology

QUANTITIES = {"width_nm": "nm", "thickness_nm": "nm", "gap_nm": "nm", "temperature_k": "K", "slab_nm": "nm"}
"""Names and units of the process quantities, in the order of ``Process``."""


def sources(tech: Technology) -> dict[str, dict[str, str]]:
    """Where each sigma comes from: ``global`` and ``local``, by quantity, in the words of variation.yaml."""
    data = tech.platform.variation
    found = {part: data.get(part) or {} for part in ("global", "local")}
    return {part: {k: str(v.get("source", "")) for k, v in entries.items()} for part, entries in found.items()}


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

    def sample(self, key: jax.Array, sites: int) -> tuple[Process, Process]:
        """One chip: (global offset with scalar leaves, local offsets with leaves [sites])."""
        # one draw for all: every call of the generator is compiled anew
        z = jax.random.normal(key, (len(QUANTITIES), 1 + sites))
        chip = Process(*(s * z[i, 0] for i, s in enumerate(_values(self.chip))))
        return chip, Process(*(s * z[i, 1:] for i, s in enumerate(_values(self.local))))


@dataclass(frozen=True, eq=False)
class Chips:
    """Fabricated chips by number: chip i depends on the seed, the stream and i only.

    Attributes:
        tech: the nominal technology.
        sites: how many places the circuit has.
        seed: of all chips.
        stream: keeps the chips of different purposes apart.
    """

    tech: Technology
    sites: int
    seed: int
    stream: int

    def offsets(self, index: Any) -> tuple[Process, Process]:
        """Global and local offsets of one chip; ``index`` may be traced."""
        return Variation.of(self.tech).sample(jax.random.fold_in(self._key, index), self.sites)

    @cached_property
    def _key(self) -> jax.Array:
        with jax.ensure_compile_time_eval():
            return jax.random.fold_in(jax.random.key(self.seed), self.stream)

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
        sigma = entry.get("sigma") if isinstance(entry, Mapping) else None
        if isinstance(sigma, bool) or not isinstance(sigma, (int, float)) or not 0 <= sigma < float("inf"):
            allowed = f"a number >= 0 in {QUANTITIES[quantity]}"
            raise SpecError(f"{where}.sigma is wrong", got=repr(sigma), allowed=allowed)
        sigmas[quantity] = float(sigma)
    return Process(**sigmas)
