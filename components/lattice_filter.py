"""Lattice filter: directional couplers and delays in alternation."""

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
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.technology import Technology

from .coupler import Coupler


@device
class LatticeFilter(Device):
    """Cascaded Mach-Zehnder (lattice) filter of N stages: N + 1 couplers, N delays, a heater on each upper arm.

    ::

             ┌═══ heater e1 e2          ┌═══ heater e3 e4
        o2 ──╲╱── delays[0] ──╲╱── delays[1] ──╲╱── o3
        o1 ──╱╲───────────────╱╲───────────────╱╲── o4
            coupler 0        coupler 1        coupler 2

    Model: product of 2×2 transfer matrices, coupler after delay. ``delays[i]`` is the length by which the upper arm
    of stage i exceeds the lower one. A stage's heater warms its lower arm too, by what reaches it
    (``picq.optics.heat``). The analytic counterpart is ``picq.design.lattice``.
    """

    name: ClassVar[str] = "lattice_filter"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    coupler_lengths: tuple[float, ...] = param(
        default=(14.0, 14.0), lower=0.0, upper=1000.0, unit="um", step=0.001, doc="straight length of each coupler"
    )
    delays: tuple[float, ...] = param(
        default=(90.0,), lower=0.0, upper=2000.0, unit="um", step=0.002, doc="upper minus lower arm of each stage"
    )
    powers_mw: tuple[float, ...] = param(
        default=(0.0,), lower=0.0, upper=2000.0, unit="mw", doc="heater power of each stage"
    )
    gap: float = param(default=0.2, lower=0.1, upper=2.0, unit="um", step=0.002, doc="gap of the couplers")
    length_x: float = param(
        default=120.0, lower=60.0, upper=10000.0, unit="um", step=0.001, doc="straight under each heater"
    )
    length_y: float = param(
        default=2.0, lower=0.002, upper=500.0, unit="um", step=0.001, doc="vertical straights, lower arms"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def __post_init__(self) -> None:
        """Check bounds and that the counts agree.

        Raises:
            SpecError: N delays do not come with N + 1 couplers and N heater powers.
        """
        super().__post_init__()
        stages = len(self.delays)
        if len(self.coupler_lengths) != stages + 1 or len(self.powers_mw) != stages:
            raise SpecError(
                "lattice_filter: counts of coupler_lengths, delays and powers_mw do not fit together",
                got=f"{len(self.coupler_lengths)} couplers, {stages} delays, {len(self.powers_mw)} powers",
                allowed="N + 1 couplers, N delays, N powers",
                remedy=f"give {stages + 1} coupler_lengths and {stages} powers_mw for {stages} delays",
            )

    @property
    def sites(self) -> tuple[str, ...]:
        stages = [(f"coupler{i}", f"top{i}", f"bottom{i}") for i in range(len(self.delays))]
        return (*(name for stage in stages for name in stage), f"coupler{len(self.delays)}")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        def coupler(length: Any, site: Any) -> tuple[jax.Array, jax.Array]:
            return self._coupler(length, tech).amplitudes(wl, tech.at_site(site))

        # amplitudes (bottom, top) for light from o1 and from o2; a coupler's matrix is [[t, x], [x, t]]
        sites = 3 * jnp.arange(len(self.coupler_lengths))
        through, cross = jax.vmap(coupler)(jnp.stack(self.coupler_lengths), sites)
        tops, bottoms = self._stages(lambda *arms: _amplitudes(wl, *arms), tech)
        from_o1, from_o2 = (through[0], cross[0]), (cross[0], through[0])
        for top, bottom, t, x in zip(tops, bottoms, through[1:], cross[1:], strict=True):
            from_o1, from_o2 = (
                (b * bottom * t + u * top * x, b * bottom * x + u * top * t) for b, u in (from_o1, from_o2)
            )
        return reciprocal(
            {("o1", "o4"): from_o1[0], ("o1", "o3"): from_o1[1], ("o2", "o4"): from_o2[0], ("o2", "o3"): from_o2[1]}
        )

    def rebiased(
        self, wl0: float, tech: Technology, nominal: Technology, like: "LatticeFilter | None" = None
    ) -> "LatticeFilter":
        wl, limit = jnp.asarray(wl0), bounds(type(self), nominal)["powers_mw"].upper
        cold = self.replace(powers_mw=(0.0,) * len(self.delays))

        def seen(*arms: Any) -> tuple[jax.Array, jax.Array]:
            """(what the arms do to each other, what a mW in the upper one adds to it)."""
            top, bottom = _amplitudes(wl, *arms)
            own, other = (arm.phase_per_mw(wl, place) for arm, place in arms)
            return top * jnp.conj(bottom), own - other

        (wanted, _), (got, per_mw) = (like or self)._stages(seen, nominal), cold._stages(seen, tech)
        return self.replace(powers_mw=tuple(power_to_restore(wanted, got, per_mw, limit)))

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        arms = [
            (self._top(delay, power), self._bottom(delay, power, tech))
            for delay, power in zip(self.delays, self.powers_mw, strict=True)
        ]
        previous = None
        for i, length in enumerate(self.coupler_lengths):
            coupler = c << layout.build(self._coupler(length, tech), tech)
            if previous is None:
                for name in ("o1", "o2"):
                    c.add_port(name, port=coupler.ports[name])
            else:
                (upper, lower), stage = arms[i - 1], i - 1
                top = drawing.draw_arm(c, previous.ports["o3"].center, upper, tech, segment=f"top{stage}")
                drawing.draw_arm(c, previous.ports["o4"].center, lower, tech, segment=f"bottom{stage}")
                coupler.move(coupler.ports["o2"].center, top.end)
                for k, plane in enumerate(top.contacts):
                    drawing.port(c, f"e{2 * stage + k + 1}", plane, tech, "metal")
            drawing.record(c, drawing.instance_segments(c, coupler, f"coupler{i}"))
            previous = coupler
        assert previous is not None
        for name in ("o3", "o4"):
            c.add_port(name, port=previous.ports[name])
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        lengths: dict[str, Any] = {}
        for i, length in enumerate(self.coupler_lengths):
            lengths |= {f"coupler{i}/{k}": v for k, v in self._coupler(length, tech).paths(tech).items()}
        for i, (delay, power) in enumerate(zip(self.delays, self.powers_mw, strict=True)):
            lengths[f"top{i}"] = self._top(delay, power).length(tech)
            lengths[f"bottom{i}"] = self._bottom(delay, power, tech).length(tech)
        return lengths

    def _stages(self, view: Callable[..., Any], tech: Technology) -> Any:
        """``view`` of the upper and of the lower arm, each as (arm, technology at its place), stacked over stages."""

        def one(delay: Any, power: Any, site: Any) -> Any:
            upper = (self._top(delay, power), tech.at_site(site + 1))
            return view(upper, (self._bottom(delay, power, tech), tech.at_site(site + 2)))

        stages = 3 * jnp.arange(len(self.delays))
        return jax.vmap(one)(jnp.stack(self.delays), jnp.stack(self.powers_mw), stages)

    def _coupler(self, length: Any, tech: Technology) -> Coupler:
        return Coupler.on(tech, length=length, gap=self.gap, cross_section=self.cross_section)

    def _top(self, delay: Any, power_mw: Any) -> Arm:
        return Arm(self.cross_section, self.length_x, self.length_y + delay / 2, True, power_mw)

    def _bottom(self, delay: Any, power_mw: Any, tech: Technology) -> Arm:
        radius, top = tech.cross_section(self.cross_section).radius, self._top(delay, power_mw)
        apart = self._coupler(0.0, tech).dy + 4 * radius + top.aside + self.length_y
        return Arm(self.cross_section, self.length_x, self.length_y, False, neighbour=(power_mw, apart))


def _amplitudes(wl: jax.Array, *arms: tuple[Arm, Technology]) -> tuple[jax.Array, ...]:
    return tuple(arm.amplitude(wl, place) for arm, place in arms)
