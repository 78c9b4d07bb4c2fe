"""The file of a free-form device: polygons, S-parameters with what changes them, and where both come from.

S is a Chebyshev series in wavelength, in how much wider all edges are drawn or etched, and in how much the index of the
core is off, by which thickness and temperature act; so a chip's model needs no field solver.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from errno import EISDIR
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from picq.design.result import write_whole
from picq.errors import SpecError
from picq.optics.table import Table, Variable

FORMAT = "picq free-form device 1"

ROUTED = ("bend_radius", "facet", "joint_offset", "joint_width")
"""Kinds of rules about routed waveguides, which a free-form device is not between its ports."""


@dataclass(frozen=True, eq=False)
class PortPlace:
    """Where a guide leaves the region: middle of its end, um; direction out of it, degrees; its width, um; its mode."""

    x: float
    y: float
    orientation: float
    width: float
    mode: int


@dataclass(frozen=True, eq=False)
class Saved:
    """A finished free-form device.

    Attributes:
        name, technology, cross_section: of the specification.
        outlines: what is drawn within the region, um [n, 2] each: solid anticlockwise, holes clockwise.
        ports: by name, ``o1`` onwards.
        variables: wavelength (um), change of width (nm) and offset of the core's index; ranges of the series.
        coefficients: of S in Chebyshev polynomials, complex, [wl, width, index, out, in], ports in order.
        error: of |S|, from the next coarser grid and the last orders of the series.
        film: whether the core is the technology's film, which thickness and temperature change.
        rules: ``width``, ``space`` (um) and ``source`` of what the polygons keep.
        figures: what was measured of it.
        provenance: specification, its digest, versions.
    """

    name: str
    technology: str
    cross_section: str
    outlines: tuple[np.ndarray, ...]
    ports: Mapping[str, PortPlace]
    variables: tuple[Variable, ...]
    coefficients: np.ndarray
    error: float
    film: bool
    rules: Mapping[str, Any]
    figures: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Ports of the entries of S, reciprocal ones once."""
        names = list(self.ports)
        return tuple((a, b) for i, a in enumerate(names) for b in names[i:])

    @property
    def te(self) -> bool:
        """Whether H is out of the plane, so that the film has its index for TE."""
        return self.provenance.get("specification", {}).get("polarisation", "hz") == "hz"

    def tables(self, pair: tuple[str, str]) -> tuple[Table, Table]:
        """Real and imaginary part of an entry of S."""
        names = list(self.ports)
        c = self.coefficients[..., names.index(pair[1]), names.index(pair[0])]
        return Table(jnp.asarray(np.real(c)), self.variables), Table(jnp.asarray(np.imag(c)), self.variables)

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_whole(path, json.dumps(self.as_dict(), indent=1, sort_keys=True).encode())

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        rounded = lambda a: [float(f"{v:.9g}") for v in np.ravel(a)]
        return {
            "format": FORMAT,
            "name": self.name,
            "technology": self.technology,
            "cross_section": self.cross_section,
            "outlines_um": [np.round(o, 6).tolist() for o in self.outlines],
            "ports": {name: vars(port) for name, port in self.ports.items()},
            "variables": [v._asdict() for v in self.variables],
            "shape": list(self.coefficients.shape),
            "real": rounded(np.real(self.coefficients)),
            "imaginary": rounded(np.imag(self.coefficients)),
            "error": self.error,
            "film": self.film,
            "rules": dict(self.rules),
            "figures": dict(self.figures),
            "provenance": dict(self.provenance),
        }


def load_saved(path: Path | str) -> Saved:
    """Read the file of a free-form device; read once, as long as it does not change.

    Raises:
        SpecError: it is missing, damaged or of another format.
    """
    path = Path(path)
    try:
        stamp = path.stat().st_mtime_ns
        if not path.is_file():
            raise IsADirectoryError(EISDIR, "this is a folder")
    except OSError as error:
        raise SpecError(
            f"there is no free-form device '{path}'",
            got=error.strerror,
            remedy="design one with `picq run` on a specification with a `region`, and name the file it writes",
        ) from None
    return _read(path, stamp)


@lru_cache(maxsize=64)
def _read(path: Path, _: int) -> Saved:
    try:
        d = json.loads(path.read_text(encoding="utf-8"))
        if d.get("format") != FORMAT:
            raise SpecError(f"'{path}' is no free-form device of this version", got=d.get("format"), allowed=FORMAT)
        return Saved(
            d["name"],
            d["technology"],
            d["cross_section"],
            tuple(np.array(o) for o in d["outlines_um"]),
            {name: PortPlace(**p) for name, p in d["ports"].items()},
            tuple(Variable(**v) for v in d["variables"]),
            (np.array(d["real"]) + 1j * np.array(d["imaginary"])).reshape(d["shape"]),
            d["error"],
            d["film"],
            d["rules"],
            d["figures"],
            d["provenance"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpecError(f"the free-form device '{path}' is damaged", got=error, remedy="design it again") from error


def digest(path: Path | str) -> str:
    """SHA-256 of the file, first 16 digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
