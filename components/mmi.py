"""1×2 and 2×2 multimode-interference couplers: one drawing and one model, two sets of ports."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax

from picq import layout
from picq.device import Device, device, param, setting
from picq.optics.multimode import transmission
from picq.optics.waveguide import amplitude_db
from picq.sdict import SDict, reciprocal
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
        site = tech.at_site(0)
        taper = Taper(self.length_taper, None, self.width_taper, self.cross_section)
        access = taper.model(wl, site)[("o1", "o2")]
        index = site.slab_index(self.cross_section, wl)
        body = transmission(
            wl,
            self.length_mmi,
            self.width_mmi + 1e-3 * site.process.width_nm,
            index,
            site.n_clad,
            self._centres(self._sides[0]),
            self._centres(self._sides[1]),
            self.width_taper + 1e-3 * site.process.width_nm,
        )
        scale = access**2 * amplitude_db(site.data["mmi"]["excess_loss_db"])
        left, right = self._sides
        return reciprocal({(a, b): scale * body[i][j] for i, a in enumerate(left) for j, b in enumerate(right)})

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        xs = tech.cross_section(self.cross_section)
        length, half = self.length_mmi, self.width_mmi / 2
        layout.draw_taper(c, (0.0, 0.0), length, 2 * half, 2 * half, tech, self.cross_section)
        inner = []
        for names, x, towards in ((self._sides[0], 0.0, -1), (self._sides[1], length, 1)):
            for name, y in zip(names, self._centres(names), strict=True):
                run = towards * self.length_taper
                wide, narrow = layout.draw_taper(c, (x, y), run, self.width_taper, xs.width, tech, self.cross_section)
                layout.port(c, name, narrow, tech, self.cross_section)
                layout.record(c, {f"taper_{name}": (narrow, wide)})
                inner.append(layout.reversed_plane(wide))
        layout.record(c, {"body": tuple(inner)})
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {f"taper_{name}": self.length_taper for name in self.ports}

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

    Model: modal propagation in the multimode section, linear access tapers; see ``picq.optics.multimode``.
    """

    name: ClassVar[str] = "mmi1x2"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3")
    _sides: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = (("o1",), ("o3", "o2"))
    width_mmi: float = param(default=6.0, lower=4.8, upper=12.0, unit="um", step=0.002, doc="width of the section")
    length_mmi: float = param(default=32.7, lower=5.0, upper=200.0, unit="um", step=0.001, doc="length of the section")
    pitch: float = param(default=3.04, lower=2.2, upper=4.2, unit="um", step=0.002, doc="pitch of the outputs")
    width_taper: float = param(
        default=1.5, lower=0.6, upper=1.8, unit="um", step=0.002, doc="width of the access guides"
    )
    length_taper: float = param(
        default=20.0, lower=10.0, upper=100.0, unit="um", step=0.001, doc="length of the access tapers"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")


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

    Model: modal propagation in the multimode section, linear access tapers; see ``picq.optics.multimode``.
    """

    name: ClassVar[str] = "mmi2x2"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    _sides: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = (("o1", "o2"), ("o4", "o3"))
    width_mmi: float = param(default=6.0, lower=4.8, upper=12.0, unit="um", step=0.002, doc="width of the section")
    length_mmi: float = param(default=44.0, lower=5.0, upper=200.0, unit="um", step=0.001, doc="length of the section")
    pitch: float = param(default=2.02, lower=1.8, upper=4.2, unit="um", step=0.002, doc="pitch of the access guides")
    width_taper: float = param(
        default=1.5, lower=0.6, upper=1.8, unit="um", step=0.002, doc="width of the access guides"
    )
    length_taper: float = param(
        default=20.0, lower=10.0, upper=100.0, unit="um", step=0.001, doc="length of the access tapers"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")
