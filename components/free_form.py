"""A device whose shape was found by inverse design, from the file that the design left."""

import math
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
from klayout import db

from picq import catalogue, drawing
from picq.device import Device, device, setting
from picq.errors import SpecError
from picq.inverse.saved import ROUTED, Saved, digest, load_saved
from picq.sdict import SDict, reciprocal
from picq.signoff.extract import Plane, extract
from picq.signoff.lvs import LEAST_UM2
from picq.technology import Technology


@device
class FreeForm(Device):
    """Polygons between guides, and the S-parameters that the field solver found for them.

    ::

              ┌──────────┐
        o1 ───│ ▓▒░▓▓░▒▓ │─── o2
              │ ▒▓▓░▒▓▓░ │─── o3
              └──────────┘

    Model: a series in wavelength, width and index of the core (``picq.inverse.saved``), computed in two dimensions with
    the film's effective index; the temperature and the thickness act through that index. Light that leaves by modes
    which are not the ports' first, or sideways, is lost. Out of the series' range nothing is known: concrete
    wavelengths are refused, traced values become NaN.
    """

    name: ClassVar[str] = "free_form"
    lossless_is_unitary: ClassVar[bool] = False  # shapes scatter
    file: str = setting(
        default="", doc="file of the design; a relative path is looked for in the technology's folder too"
    )
    sha256: str = setting(default="", doc="first digits of the file's SHA-256; those of the file as it is by default")

    @property
    def saved(self) -> Saved:
        """The design.

        Raises:
            SpecError: the file is missing or damaged, or another one than ``sha256`` says.
        """
        if not self.file:
            remedy = "`picq run` on a specification with a `region` writes one"
            raise SpecError("free_form has no file", allowed="file: of a design", remedy=remedy)
        path = Path(self.file)
        found = load_saved(path)
        if self.sha256 and not (now := _digest_of(path)).startswith(self.sha256[:16]):
            raise SpecError(
                f"the free-form device '{self.file}' is another one than it was",
                got=f"sha256 {now}",
                allowed=self.sha256,
                remedy='give the new digits if the change is meant, or sha256: "" to take the file as it is',
            )
        return found

    @classmethod
    def on(cls, tech: Technology, **values: Any) -> "FreeForm":
        """As ``Device.on``, with the file found, its digest taken (a device goes on with no other design than it began
        with), and the technology compared with the design's."""
        made = super().on(tech, **values)
        if not made.file:  # gdsfactory asks for the defaults of all cells
            return made
        if not Path(made.file).exists() and (inside := catalogue.folder(tech.name) / made.file).exists():
            made = made.replace(file=str(inside))
        if made.saved.technology != tech.name:
            raise SpecError(
                f"the free-form device '{made.file}' is not for this technology",
                got=tech.name,
                allowed=made.saved.technology,
                remedy="design it again on this one",
            )
        return made if made.sha256 else made.replace(sha256=_digest_of(Path(made.file)))

    @property
    def ports(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(self.saved.ports)

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        saved, site = self.saved, tech.at_site(0)
        wl = jnp.asarray(wl)
        width, index = site.process.width_nm, self._index_offset(wl, site) if saved.film else jnp.zeros(())
        where = (wl, jnp.asarray(width), index)
        made: SDict = {}
        for pair in saved.pairs:
            real, imaginary = saved.tables(pair)
            real.check(f"free_form '{saved.name}'", *where)
            value = jnp.where(real.inside(*where), real(*where) + 1j * imaginary(*where), jnp.nan)
            made[pair] = value
        return reciprocal(made)

    def _index_offset(self, wl: jax.Array, site: Technology) -> jax.Array:
        """How far the film's index is from that of the nominal chip."""
        film, nominal = site.platform.film, site.at(type(site.process)())
        there, here = (t.point(self.saved.cross_section) for t in (site, nominal))
        # the film's index is that of the chip itself: ribs differ in the slab too, which acts as the film does
        of = lambda p: film.film_index(wl, p.thickness, p.temperature_k, te=self.saved.te)
        return of(there) - of(here)

    def cell(self, tech: Technology) -> gf.Component:
        saved, c = self.saved, gf.Component()
        guide = tech.cross_section(saved.cross_section).layer
        drawing.draw_outlines(c, saved.outlines, guide, tech)
        planes = {name: (p.x, p.y, p.orientation, p.width) for name, p in saved.ports.items()}
        for name, plane in planes.items():
            drawing.port(c, name, plane, tech, saved.cross_section)
        drawn = db.Region(c.kdb_cell.begin_shapes_rec(c.kcl.layer(*tech.layer(guide))))
        drawing.record(c, _bodies(drawn, c.kcl.dbu, planes))
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {}

    def waivers(self, tech: Technology) -> dict[str, str]:
        return dict.fromkeys(
            ROUTED, "between its ends a free-form device is no routed guide: the field solver has its shape"
        )

    def notes(self, tech: Technology) -> tuple[str, ...]:
        saved = self.saved
        told = "nothing checks that what it meets carries that mode."
        higher = [
            f"free_form '{saved.name}': {name} is mode {p.mode}; {told}" for name, p in saved.ports.items() if p.mode
        ]
        return (
            *higher,
            f"free_form '{saved.name}': S-parameters of two dimensions, there good to {saved.error:.1g}; "
            "what the third dimension changes is for `picq verify3d`.",
        )


def _digest_of(path: Path) -> str:
    """``digest`` of a file; taken once, as long as the file does not change."""
    return _digest(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, _: int) -> str:
    return digest(path)


def _bodies(drawn: db.Region, dbu: float, ports: dict[str, Plane]) -> drawing.Segments:
    """A segment for each piece of what is drawn: light may cross gaps, while LVS asks which solid touches which plane.

    A piece that no port touches gets a plane on its longest side.
    """
    got = extract([drawn], dbu, {name: (plane,) for name, plane in ports.items()})
    found: drawing.Segments = {}
    for i, polygon in enumerate(got.polygons):
        planes = tuple(plane for name, plane in ports.items() if got.faces[name][0].piece == i)
        if planes or polygon.area() > LEAST_UM2:
            found[f"body{len(found)}"] = planes or (_side(polygon),)
    return found


def _side(polygon: db.DPolygon) -> Plane:
    """A plane on a polygon's longest side, facing outwards; KLayout's outlines have the solid to their right.

    As narrow as can be: the cut at a plane reaches beyond it, by less than any neck is wide.
    """
    side = max(polygon.each_edge(), key=lambda edge: edge.length())
    middle, along = side.bbox().center(), side.d()
    return (middle.x, middle.y, math.degrees(math.atan2(along.x, -along.y)) % 360.0, 0.001)
