"""Pump filter: Mach-Zehnder stages in a row, each passed from its cross port to the next."""

from collections.abc import Callable
from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import drawing, layout
from picq.device import Device, bounds, device, param, setting
from picq.errors import SpecError
from picq.optics.arm import Arm
from picq.optics.phase_shifter import power_to_restore
from picq.optics.waveguide import BEND_P, propagate
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .coupler import Coupler
from .delay_spiral import C_UM_PS
from .mmi import Mmi2x2
from .terminator import Terminator

_ROOM = 10.0  # um between the terminators of two stages


@device
class PumpFilter(Device):
    """Cascade of equal Mach-Zehnder stages; light crosses each, and what a stage rejects ends in its terminator.

    ::

          ▲        ┌═ e1 e2 ═┐                 ┌═ e3 e4 ═┐      ▲ ▲        ┌═ e5 e6 ═┐
          │        │         │      link       │         │      │ │        │         │
          └──────╲╱           ╲╱─────────────╲╱           ╲╱────┘ └──────╲╱           ╲╱──────── o2
        o1 ──────╱╲           ╱╲────┐ ┌──────╱╲           ╱╲─────────────╱╲           ╱╲────┐
                   │         │      │ │        │         │                 │         │      │
                   └─────────┘      ▼ ▼        └─────────┘                 └─────────┘      ▼
                     length_x

    An even number of stages ends on the lower line.

    A stage's upper arm is longer by ``delta_length``. From its cross port come c1 s2 A + s1 c2 B, with c, s through and
    cross of its two couplers and A, B the arms: where the arms are opposite the null is perfect whenever the couplers
    are equal, whatever they share, and only the arms' loss tells them apart. Elsewhere N lossless stages pass
    (4 c² s² cos²(phi/2))^N of the power. :meth:`for_channels` puts the null on the pump and the maxima on signal and
    idler.

    Model: product of 2×2 transfer matrices of ``coupler`` (or ``mmi2x2``) and arms (``picq.optics.arm``), and the
    straights between. A stage's heater warms its lower arm too, by what reaches it (``picq.optics.heat``). What
    terminators return is left out: it goes back towards o1 and o2 (:meth:`notes`).
    """

    name: ClassVar[str] = "pump_filter"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    lossless_is_unitary: ClassVar[bool] = False  # what is rejected is lost
    delta_length: float = param(
        default=90.0, lower=0.0, upper=5000.0, unit="um", step=0.002, doc="upper minus lower arm of each stage"
    )
    powers_mw: tuple[float, ...] = param(
        default=(0.0, 0.0, 0.0), lower=0.0, upper=2000.0, unit="mw", doc="heater power of each stage"
    )
    coupler_length: float = param(
        default=16.1, lower=0.0, upper=1000.0, unit="um", step=0.001, doc="straight length of the couplers"
    )
    gap: float = param(default=0.2, lower=0.1, upper=2.0, unit="um", step=0.002, doc="gap of the couplers")
    length_x: float = param(
        default=120.0, lower=60.0, upper=10000.0, unit="um", step=0.001, doc="straight under each heater"
    )
    length_y: float = param(
        default=2.0, lower=0.002, upper=500.0, unit="um", step=0.001, doc="vertical straights, lower arms"
    )
    stages: int = setting(default=3, doc="number of stages")
    splitter: str = setting(default="coupler", doc="coupler (lossless), or mmi: length and gap do not count")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def __post_init__(self) -> None:
        """Check bounds, the kind of splitter, and that there is a heater for each stage.

        Raises:
            SpecError: stages and heater powers do not agree, or the splitter is none of the two.
        """
        super().__post_init__()
        if self.stages < 1 or len(self.powers_mw) != self.stages:
            raise SpecError(
                "pump_filter: stages and powers_mw do not fit together",
                got=f"{self.stages} stages, {len(self.powers_mw)} powers",
                allowed="one power a stage, one stage or more",
                remedy=f"give {max(self.stages, 1)} powers_mw",
            )
        if self.splitter not in ("coupler", "mmi"):
            raise SpecError("pump_filter.splitter is unknown", got=repr(self.splitter), allowed="coupler, mmi")

    @classmethod
    def on(cls, tech: Technology, **values: Any) -> "PumpFilter":
        if "stages" in values and "powers_mw" not in values:
            values["powers_mw"] = (0.0,) * values["stages"]
        return super().on(tech, **values)

    @property
    def sites(self) -> tuple[str, ...]:
        parts = ("splitter", "top", "bottom", "combiner")
        return tuple(f"{part}{i}" for i in range(self.stages) for part in parts)

    # -- light -----------------------------------------------------------------------------------------------------

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        splitter = self._splitter(tech)

        def shares(site: jax.Array) -> tuple[jax.Array, jax.Array]:
            s = splitter.model(wl, tech.at_site(site))
            return s[("o1", "o4")], s[("o1", "o3")]  # both kinds are symmetric, from side to side too

        first, last = (4 * jnp.arange(self.stages) + i for i in (0, 3))
        bar, cross = (v.reshape(2, self.stages, *v.shape[1:]) for v in jax.vmap(shares)(jnp.concatenate([first, last])))
        upper, lower = self._stages(lambda *arms: tuple(arm.amplitude(wl, place) for arm, place in arms), tech)
        swap = (jnp.arange(self.stages) % 2 == 1).reshape(-1, *[1] * wl.ndim)  # every other one is entered from above
        ahead, across = jnp.where(swap, upper, lower), jnp.where(swap, lower, upper)
        stages = jnp.prod(bar[0] * ahead * cross[1] + cross[0] * across * bar[1], axis=0)
        xs, straights = tech.guide(self.cross_section), self.stages * self.link(tech)
        along = propagate(wl, tech.at_site(0).n_eff(self.cross_section, wl), straights, xs.loss_db_cm)
        return reciprocal({("o1", "o2"): stages * along})

    def for_channels(self, wl_pump: float, offset_ghz: float, tech: Technology) -> "PumpFilter":
        """A copy with a null at the pump and maxima at the channels beside it.

        The free spectral range is twice the offset, so delta_length = c/(2 n_g offset), moved by less than half a
        wavelength to where the arms are opposite: n delta_length = (m + 1/2) wl.

        Args:
            wl_pump: wavelength of the pump, um.
            offset_ghz: of signal and idler from the pump.
            tech: the nominal technology.
        """
        index = lambda wl: tech.n_eff(self.cross_section, wl)
        n, slope = jax.jvp(index, (jnp.asarray(wl_pump, float),), (jnp.ones(()),))
        coarse = 1e3 * C_UM_PS / (2 * (n - wl_pump * slope) * offset_ghz)
        order = jnp.round(n * coarse / wl_pump - 0.5)
        return self.replace(delta_length=float((order + 0.5) * wl_pump / n))

    def rebiased(
        self, wl0: float, tech: Technology, nominal: Technology, like: "PumpFilter | None" = None
    ) -> "PumpFilter":
        """Every stage gets its nominal phase back at ``wl0``: the null, where that is the pump."""
        wl, limit = jnp.asarray(wl0, float), bounds(type(self), nominal)["powers_mw"].upper

        def seen(*arms: Any) -> tuple[jax.Array, jax.Array]:
            """(what the arms do to each other, what a mW in the upper one adds to it)."""
            (top, bottom), (own, other) = zip(
                *((arm.amplitude(wl, place), arm.phase_per_mw(wl, place)) for arm, place in arms), strict=True
            )
            return top * jnp.conj(bottom), own - other

        cold = self.replace(powers_mw=(0.0,) * self.stages)
        (wanted, _), (got, per_mw) = (like or self)._stages(seen, nominal), cold._stages(seen, tech)
        return self.replace(powers_mw=tuple(power_to_restore(wanted, got, per_mw, limit)))

    def _stages(self, view: Callable[..., Any], tech: Technology) -> Any:
        """``view`` of the upper and of the lower arm, each as (arm, technology at its place), stacked over stages."""

        def one(power: Any, stage: jax.Array) -> Any:
            upper, lower = self._arms(power, tech)
            return view((upper, tech.at_site(4 * stage + 1)), (lower, tech.at_site(4 * stage + 2)))

        return jax.vmap(one)(jnp.stack(self.powers_mw), jnp.arange(self.stages))

    # -- geometry --------------------------------------------------------------------------------------------------

    def link(self, tech: Technology) -> Any:
        """Straight between two stages, um, with room for two terminators beside it; half of it leads to each port."""
        return 2 * (tech.guide(self.cross_section).radius + self._terminator(tech).width) + _ROOM

    def _arms(self, power_mw: Any, tech: Technology) -> tuple[Arm, Arm]:
        """(upper, lower)."""
        upper = Arm(self.cross_section, self.length_x, self.length_y + self.delta_length / 2, True, power_mw)
        apart = self._apart(tech) + 4 * tech.guide(self.cross_section).radius + upper.aside + self.length_y
        return upper, Arm(self.cross_section, self.length_x, self.length_y, False, neighbour=(power_mw, apart))

    def _splitter(self, tech: Technology) -> Coupler | Mmi2x2:
        if self.splitter == "mmi":
            return Mmi2x2.on(tech, cross_section=self.cross_section)
        return Coupler.on(tech, length=self.coupler_length, gap=self.gap, cross_section=self.cross_section)

    def _apart(self, tech: Technology) -> Any:
        """Between the ports of a splitter, um."""
        splitter = self._splitter(tech)
        return splitter.pitch if isinstance(splitter, Mmi2x2) else splitter.dy

    def _terminator(self, tech: Technology) -> Terminator:
        return Terminator.on(tech, cross_section=self.cross_section)

    # -- mask ------------------------------------------------------------------------------------------------------

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        splitter, guide = layout.build(self._splitter(tech), tech), self.cross_section
        inlet, outlet = drawing.draw_path(c, self._straight(0, tech), tech, guide, segment="lead0")
        drawing.port(c, "o1", inlet, tech, guide)
        for i, power in enumerate(self.powers_mw):
            first, last = c << splitter, c << splitter
            above = i % 2 == 1  # light comes in there, and leaves on the other side
            entry, unused, exit_, dump = ("o2", "o1", "o4", "o3") if above else ("o1", "o2", "o3", "o4")
            first.move(first.ports[entry].center, outlet[:2])
            upper, lower = self._arms(power, tech)
            top = drawing.draw_arm(c, first.ports["o3"].center, upper, tech, segment=f"top{i}")
            drawing.draw_arm(c, first.ports["o4"].center, lower, tech, segment=f"bottom{i}")
            last.move(last.ports["o2"].center, top.end)
            for part, name in ((first, f"splitter{i}"), (last, f"combiner{i}")):
                drawing.record(c, drawing.instance_segments(c, part, name))
            for k, plane in enumerate(top.contacts):
                drawing.port(c, f"e{2 * i + k + 1}", plane, tech, "metal")
            self._end(c, first.ports[unused], not above, tech, f"unused{i}")
            self._end(c, last.ports[dump], above, tech, f"dump{i}")
            link = self._straight(i + 1, tech)
            link.move(last.ports[exit_].center)
            _, outlet = drawing.draw_path(c, link, tech, guide, segment=f"lead{i + 1}")
        drawing.port(c, "o2", outlet, tech, guide)
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        lengths, splitter = {}, self._splitter(tech).paths(tech)
        for i, power in enumerate(self.powers_mw):
            lengths |= {f"{part}{i}/{k}": v for part in ("splitter", "combiner") for k, v in splitter.items()}
            upper, lower = self._arms(power, tech)
            lengths |= {f"top{i}": upper.length(tech), f"bottom{i}": lower.length(tech)}
        return lengths | {f"lead{i}": self._lead(i, tech) for i in range(self.stages + 1)}

    def notes(self, tech: Technology) -> tuple[str, ...]:
        returned = float(tech.data["terminator"]["reflection"])
        return (
            f"pump_filter: each terminator returns {returned:.1e} of what is rejected (compact.yaml has the source). "
            "That goes back towards the input, and is left out of the model.",
        )

    def _lead(self, i: int, tech: Technology) -> Any:
        """Length of the straight before stage ``i``, um."""
        return self.link(tech) * (0.5 if i in (0, self.stages) else 1.0)

    def _straight(self, i: int, tech: Technology) -> gf.Path:
        return gf.path.straight(drawing.on_grid(self._lead(i, tech)))

    def _end(self, c: gf.Component, port: Any, up: bool, tech: Technology, name: str) -> None:
        """A bend away from the line, and a terminator behind it."""
        right = abs(port.orientation) < 1.0
        turn = 90.0 if up == right else -90.0
        bend = drawing.euler(tech.guide(self.cross_section).radius, turn, BEND_P)
        bend.rotate(0.0 if right else 180.0)
        bend.move(port.center)
        bend.start_angle, bend.end_angle = (0.0 if right else 180.0), (90.0 if up else 270.0)
        drawing.draw_path(c, bend, tech, self.cross_section, segment=name)
        (x0, y0), (x1, y1) = bend.points[0], bend.points[-1]
        for section in tech.guide(self.cross_section).sections:  # a square slab: no slit where it parts from the line's
            half = section.width / 2
            box = (min(x0, x1 - half), min(y0 - half, y1), max(x0, x1 + half), max(y0 + half, y1))
            drawing.draw_box(c, box, section.layer, tech)
        horn = c << layout.build(self._terminator(tech), tech)
        horn.rotate(bend.end_angle)
        horn.move(horn.ports["o1"].center, tuple(bend.points[-1]))
        drawing.record(c, drawing.instance_segments(c, horn, name))
