"""Crossing of two guides at right angles, each widened to a multimode section that focuses the light in the middle."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
from jax.core import Tracer

from picq import drawing
from picq.device import Device, device, param, setting
from picq.errors import SpecError
from picq.optics.multimode import CROSS_WIDEST, check_breadth, cross, side_wall
from picq.optics.waveguide import amplitude_db
from picq.sdict import SDict, reciprocal
from picq.technology import Technology

from .taper import Taper

_OUTWARDS = {"o1": (-1, 0), "o2": (0, 1), "o3": (1, 0), "o4": (0, -1)}


@device
class Crossing(Device):
    """Two equal guides that cross.

    ::

                    o2
                   ╱  ╲
                 ┌─┘  └─┐  width_mmi
              ┌──┘      └──┐
        o1 ───│ length_mmi │─── o3
              └──┐      ┌──┘
                 └─┐  ┌─┘
                   ╲  ╱
                    o4

    Model: modal propagation in the section, plane waves of the film across the other section's width
    (``picq.optics.multimode.cross``), linear access tapers; cross-talk, reflection and excess loss are the technology's
    numbers. What is scattered has a phase of a quarter period to what goes through, for which the device is passive.
    """

    name: ClassVar[str] = "crossing"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    lossless_is_unitary: ClassVar[bool] = False  # light that spreads in the middle is radiated
    width_mmi: float = param(default=2.5, lower=0.5, upper=20.0, unit="um", step=0.002, doc="width of the sections")
    length_mmi: float = param(
        default=22.86, lower=1.0, upper=200.0, unit="um", step=0.002, doc="length of the sections"
    )
    width_taper: float = param(
        default=1.7, lower=0.3, upper=10.0, unit="um", step=0.002, doc="width of the access guides"
    )
    length_taper: float = param(
        default=20.0, lower=3.0, upper=500.0, unit="um", step=0.001, doc="length of the access tapers"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        self._check()
        site = tech.at_site(0)
        xs, data = site.cross_section(self.cross_section), site.data["crossing"]
        grow = 1e-3 * site.process.width_nm
        taper = Taper(self.length_taper, None, self.width_taper, self.cross_section)
        access = taper.model(wl, site)[("o1", "o2")]
        wall = side_wall(site, self.cross_section, wl)
        middle = cross(wall, self.length_mmi, self.width_mmi + grow, self.width_taper + grow)
        loss = data["excess_loss_db"] + 1e-4 * xs.loss_db_cm * self.length_mmi
        aside, back = jnp.sqrt(data["crosstalk"]), jnp.sqrt(data["reflection"])
        # S = T through + i (back + aside to both sides): its largest singular value is that of the symmetric excitation
        through = access**2 * middle * amplitude_db(loss) * jnp.sqrt(1 - (back + 2 * aside) ** 2)
        quarter = 1j * through / jnp.abs(through)
        pairs = {("o1", "o3"): through, ("o2", "o4"): through}
        pairs |= dict.fromkeys((("o1", "o2"), ("o2", "o3"), ("o3", "o4"), ("o1", "o4")), aside * quarter)
        return reciprocal(pairs | {(p, p): back * quarter for p in self.ports})

    def cell(self, tech: Technology) -> gf.Component:
        self._check()
        c = gf.Component()
        xs = tech.cross_section(self.cross_section)
        start, end = self.length_mmi / 2, self.length_mmi / 2 + self.length_taper
        for layer, grow in ((xs.layer, 0.0), *((s.layer, s.width - xs.width) for s in xs.sections)):
            half, wide, narrow = ((w + grow) / 2 for w in (self.width_mmi, self.width_taper, xs.width))
            drawing.draw_box(c, (-start, -half, start, half), layer, tech)
            drawing.draw_box(c, (-half, -start, half, start), layer, tech)
            for u, v in _OUTWARDS.values():
                arm = [(start, -wide), (end, -narrow), (end, narrow), (start, wide)]
                c.add_polygon([(u * s - v * t, v * s + u * t) for s, t in arm], layer=tech.layer(layer))
        inner = []
        for (name, (u, v)), angle in zip(_OUTWARDS.items(), (180.0, 90.0, 0.0, 270.0), strict=True):
            narrow = (u * end, v * end, angle, xs.width)
            wide = (u * start, v * start, angle, self.width_taper)
            drawing.port(c, name, narrow, tech, self.cross_section)
            drawing.record(c, {f"taper_{name}": (narrow, drawing.reversed_plane(wide))})
            inner.append(wide)
        drawing.record(c, {"body": tuple(inner)})
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {f"taper_{name}": self.length_taper for name in self.ports}

    def _check(self) -> None:
        """Raise SpecError where concrete sizes make no cross."""
        sizes = (self.width_taper, self.width_mmi, self.length_mmi)
        if any(isinstance(size, Tracer) for size in sizes):
            return
        access, width, length = (float(size) for size in sizes)
        check_breadth(self.name, width, access, CROSS_WIDEST)
        if not access <= width <= length:
            raise SpecError(
                "crossing: the sections are not wider than the access guides and longer than wide",
                got=f"access {access:g}, width {width:g}, length {length:g} um",
                allowed="width_taper <= width_mmi <= length_mmi",
                remedy="change width_taper, width_mmi or length_mmi",
            )
