"""1×2 and 2×2 multimode-interference couplers: one drawing and one model, two sets of ports."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
from jax.core import Tracer

from picq import drawing
from picq.device import Device, device, param, setting
from picq.errors import SpecError
from picq.optics.multimode import WIDEST, Wall, check_breadth, couple, side_wall, split
from picq.optics.waveguide import amplitude_db
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .taper import Taper


class _Mmi(Device):
    """What both MMIs share. ``_sides`` names the ports on the left and on the right, from bottom to top."""

    lossless_is_unitary: ClassVar[bool] = False  # light that misses the output guides is radiated
    _sides: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]]
    width_mmi: float
    length_mmi: float
    pitch: float
    width_taper: float
    length_taper: float
    cross_section: str

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        self._check()
        site = tech.at_site(0)
        xs = site.cross_section(self.cross_section)
        grow = 1e-3 * site.process.width_nm
        taper = Taper(self.length_taper, None, self.width_taper, self.cross_section)
        access = taper.model(wl, site)[("o1", "o2")]
        loss = site.data["mmi"]["excess_loss_db"] + 1e-4 * xs.loss_db_cm * self.length_mmi
        wall = side_wall(site, self.cross_section, wl)
        body = (self.length_mmi, self.width_mmi + grow, self.pitch, self.width_taper + grow)
        scale = access**2 * amplitude_db(loss)
        return reciprocal({pair: scale * s for pair, s in self._body(wall, *body).items()})

    def cell(self, tech: Technology) -> gf.Component:
        self._check()
        c = gf.Component()
        xs = tech.cross_section(self.cross_section)
        length, half = self.length_mmi, self.width_mmi / 2
        drawing.draw_taper(c, (0.0, 0.0), length, 2 * half, 2 * half, tech, self.cross_section)
        inner = []
        for names, x, towards in ((self._sides[0], 0.0, -1), (self._sides[1], length, 1)):
            for name, y in zip(names, self._centres(names), strict=True):
                run = towards * self.length_taper
                wide, narrow = drawing.draw_taper(c, (x, y), run, self.width_taper, xs.width, tech, self.cross_section)
                drawing.port(c, name, narrow, tech, self.cross_section)
                drawing.record(c, {f"taper_{name}": (narrow, wide)})
                inner.append(drawing.reversed_plane(wide))
        drawing.record(c, {"body": tuple(inner)})
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {f"taper_{name}": self.length_taper for name in self.ports}

    def _body(self, wall: Wall, *size: Any) -> dict[tuple[str, str], jax.Array]:
        """Amplitudes of the section alone; ``size``: length, width, pitch, width of the access guides, as made."""
        raise NotImplementedError

    def _check(self) -> None:
        """Raise SpecError where concrete access guides do not fit to the section."""
        sizes = (self.width_mmi, self.pitch, self.width_taper)
        if any(isinstance(size, Tracer) for size in sizes):
            return
        width, pitch, access = (float(size) for size in sizes)
        check_breadth(self.name, width, access, WIDEST)
        if not access - 1e-9 <= pitch <= width - access + 1e-9:
            raise SpecError(
                f"{self.name}: the access guides do not meet the section side by side",
                got=f"pitch {pitch:g} um of guides {access:g} um wide, section {width:g} um wide",
                allowed=f"{access:g} <= pitch <= {width - access:g} um",
                remedy="change pitch, width_taper or width_mmi",
            )

    def _centres(self, names: tuple[str, ...]) -> tuple[Any, ...]:
        return (0.0,) if len(names) == 1 else (-self.pitch / 2, self.pitch / 2)


@device
class Mmi1x2(_Mmi):
    """1×2 multimode-interference splitter.

    ::

                 ┌────────────┐╲
                 │            │ ╲── o2
        o1 ──────│            │      pitch
                 │            │ ╱── o3
                 └────────────┘╱
                   length_mmi

    Model: modal propagation in the multimode section (``picq.optics.multimode``), linear access tapers, and the
    technology's excess loss for what a lateral model cannot know: scattering at the junctions. No reflections.
    """

    name: ClassVar[str] = "mmi1x2"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3")
    _sides: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = (("o1",), ("o3", "o2"))
    width_mmi: float = param(default=4.2, lower=2.0, upper=40.0, unit="um", step=0.002, doc="width of the section")
    length_mmi: float = param(
        default=15.89, lower=5.0, upper=2000.0, unit="um", step=0.001, doc="length of the section"
    )
    pitch: float = param(default=2.112, lower=1.0, upper=20.0, unit="um", step=0.002, doc="pitch of the outputs")
    width_taper: float = param(
        default=1.5, lower=0.3, upper=10.0, unit="um", step=0.002, doc="width of the access guides"
    )
    length_taper: float = param(
        default=20.0, lower=10.0, upper=500.0, unit="um", step=0.001, doc="length of the access tapers"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def _body(self, wall: Wall, *size: Any) -> dict[tuple[str, str], jax.Array]:
        half = split(wall, *size)
        return {("o1", "o2"): half, ("o1", "o3"): half}


@device
class Mmi2x2(_Mmi):
    """2×2 multimode-interference coupler, paired interference.

    ::

             ╱┌────────────┐╲
        o2 ─╱ │            │ ╲── o3
              │            │      pitch
        o1 ─╲ │            │ ╱── o4
             ╲└────────────┘╱
                length_mmi

    Model: modal propagation in the multimode section (``picq.optics.multimode``), linear access tapers, and the
    technology's excess loss for what a lateral model cannot know: scattering at the junctions. No reflections.
    """

    name: ClassVar[str] = "mmi2x2"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    _sides: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = (("o1", "o2"), ("o4", "o3"))
    width_mmi: float = param(default=6.0, lower=2.0, upper=40.0, unit="um", step=0.002, doc="width of the section")
    length_mmi: float = param(
        default=43.28, lower=5.0, upper=2000.0, unit="um", step=0.001, doc="length of the section"
    )
    pitch: float = param(default=2.01, lower=1.0, upper=20.0, unit="um", step=0.002, doc="pitch of the access guides")
    width_taper: float = param(
        default=1.6, lower=0.3, upper=10.0, unit="um", step=0.002, doc="width of the access guides"
    )
    length_taper: float = param(
        default=20.0, lower=10.0, upper=500.0, unit="um", step=0.001, doc="length of the access tapers"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def _body(self, wall: Wall, *size: Any) -> dict[tuple[str, str], jax.Array]:
        bar, cross = couple(wall, *size)
        return {("o1", "o4"): bar, ("o2", "o3"): bar, ("o1", "o3"): cross, ("o2", "o4"): cross}
