"""What an optimisation returns, saves and resumes from; files appear whole or not at all."""

import hashlib
import io
import json
import os
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from picq.errors import SpecError

if TYPE_CHECKING:
    from picq.circuit import Circuit
    from picq.design.problem import Problem


@dataclass(frozen=True)
class Design:
    """The best device found, and everything needed to trust and repeat it. Plain data: JSON holds all of it.

    Attributes:
        name, technology, seed: from the specification.
        digest: SHA-256 of the specification (without its ``tolerance.samples``), layout script included.
        status: ``met`` or ``not met``.
        unmet: a sentence for each target that is missed: figure, achieved, asked.
        parameters: instance -> parameter -> value as the mask holds it.
        figures: label -> unit, sense, asked, met, worst, channels {output: value}; of the device as the mask holds it.
        unsnapped: label -> worst, before the values were rounded to the mask's steps.
        loss: the smooth loss of the design before rounding.
        risk: mean of ``Problem.risk_of`` over sampled, trimmed chips; None when the specification trims nothing.
        starts, landed: how many random starts there were, and how many of the last population meet all targets.
        history: best loss after each stretch of steps.
        versions: of what computed it.
        spec: the specification as plain data (without its ``tolerance.samples``).
        centring: smoothed yield of the chips that centring climbed on, ``before_percent`` and ``after_percent``, and
            whether its design was ``taken``: not if it misses a target that the nominal design meets. None without it.
    """

    name: str
    technology: str
    seed: int
    digest: str
    status: str
    unmet: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, Any]]
    figures: Mapping[str, Mapping[str, Any]]
    unsnapped: Mapping[str, float]
    loss: float
    risk: float | None
    starts: int
    landed: int
    history: tuple[float, ...]
    versions: Mapping[str, str]
    spec: Mapping[str, Any]
    centring: Mapping[str, Any] | None = None

    @property
    def met(self) -> bool:
        """True when every target is met."""
        return not self.unmet

    def circuit(self, problem: "Problem", *, whole: bool = True) -> "Circuit":
        """The designed circuit.

        Args:
            problem: of the same specification.
            whole: as it goes on the mask; without what figures exclude when False.

        Raises:
            SpecError: the specification is not the one that was designed for.
        """
        if problem.spec.digest("design") != self.digest:
            raise changed("design", self.spec, problem.spec.canonical("design"))
        circuit = problem.whole if whole else problem.measured
        instances = dict(circuit.instances)
        for name, values in self.parameters.items():
            plain = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in values.items()}
            instances[name] = instances[name].replace(**plain)
        return circuit.replace(instances=instances)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write as JSON, atomically; the same design gives the same bytes."""
        write_whole(path, (json.dumps(self.as_dict(), indent=2, sort_keys=True) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> "Design":
        """Read what ``save`` wrote.

        Raises:
            SpecError: the file is missing or no design.
        """
        try:
            plain = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(**{**plain, "unmet": tuple(plain["unmet"]), "history": tuple(plain["history"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SpecError(
                f"'{path}' is not a saved design", got=repr(error), remedy="give the design.json that `optimise` wrote"
            ) from None


def changed(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> SpecError:
    """The error for a file that belongs to another specification; names the entries that differ."""
    then, now = dict(_entries(old)), dict(_entries(new))
    names = [k for k in {**then, **now} if then.get(k) != now.get(k)]
    listed = "; ".join(f"{k}: {then.get(k)} -> {now.get(k)}" for k in names[:5])
    if not names:
        listed = "the technology's or the circuit's numbers differ"
    afresh = "start afresh without --resume" if what == "checkpoint" else "run `optimise` again for this specification"
    return SpecError(
        f"the specification has changed since this {what} was made",
        got=listed + (f"; and {len(names) - 5} more" if len(names) > 5 else ""),
        allowed="the specification that it was made from",
        remedy=f"undo the change, or {afresh}",
    )


def _entries(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [e for k, v in value.items() for e in _entries(v, f"{path}.{k}" if path else str(k))]
    if isinstance(value, (list, tuple)):
        return [e for i, v in enumerate(value) for e in _entries(v, f"{path}[{i}]")]
    return [(path, value)]


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {name: version(name) for name in ("picq", "jax", "optax", "numpy")}
    return {"python": platform.python_version(), **found}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that at any moment it is either absent, old or complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as the content of an .npz file; unlike numpy's own writer it puts no time of day inside."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


@dataclass(frozen=True)
class Checkpoint:
    """An interrupted search.

    Attributes:
        spec: the specification as plain data (without its ``tolerance.samples``).
        fingerprint: hash of the numbers of circuit and technology.
        round, step: where to go on.
        history: best loss after each stretch.
        leaves: arrays of the search's state.
    """

    spec: Mapping[str, Any]
    fingerprint: str
    round: int
    step: int
    history: tuple[float, ...]
    leaves: tuple[np.ndarray, ...]

    def save(self, path: Path) -> None:
        """Write as one .npz, atomically."""
        plain = {k: getattr(self, k) for k in ("spec", "fingerprint", "round", "step", "history")}
        leaves = {f"leaf{i}": leaf for i, leaf in enumerate(self.leaves)}
        write_whole(path, npz({"about": np.array(json.dumps(plain)), **leaves}))

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read what ``save`` wrote.

        Raises:
            SpecError: the file is missing or no checkpoint.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                plain = json.loads(str(file["about"]))
                leaves = tuple(file[f"leaf{i}"] for i in range(len(file.files) - 1))
            return cls(**{**plain, "history": tuple(plain["history"])}, leaves=leaves)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise SpecError(
                f"there is no checkpoint to resume from at '{path}'", got=repr(error), remedy="start without --resume"
            ) from None


def fingerprint(tree: Any) -> str:
    """SHA-256 of the structure and the numbers of a pytree."""
    leaves, structure = jax.tree.flatten(tree)
    digest = hashlib.sha256(str([np.shape(leaf) for leaf in leaves]).encode() + str(structure.num_leaves).encode())
    for leaf in leaves:
        digest.update(np.asarray(leaf, float).tobytes())
    return digest.hexdigest()
