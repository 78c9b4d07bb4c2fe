"""Analyser of time bins: an unbalanced Mach-Zehnder interferometer behind a tunable splitter."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import drawing, layout
from picq.device import Device, bounds, device, param, setting
from picq.optics.arm import Arm
from picq.optics.phase_shifter import power_to_restore
from picq.sdict import SDict, reciprocal
from picq.slabs import join_slabs
from picq.spiral import Spiral
from picq.technology import Technology

from .delay_spiral import DelaySpiral, group_delay_ps
from .mmi import Mmi2x2

_STEPS = 4  # of Newton's method in ``balanced``; it starts within a few per cent and is exact after three


@device
class TimeBinAnalyser(Device):
    """Tunable splitter, a delay spiral and a short arm, 2×2 combiner: what encodes and what measures time bins.

    ::

              ┌══ e1 e2 ══┐          ┌─────────┐
              │           │          │ spiral  │
              │           │          │ ┌────┐  │
        o2 ─╲╱             ╲╱────────┘         └───╲╱── o3
        o1 ─╱╲             ╱╲                      ╱╲── o4
              │           │  │                    │
              └───────────┘  └══ e3      e4 ══════┘     short arm
                 length_x

    ``delay_um`` is the length by which the spiral, from one multimode coupler to the other, exceeds the short arm. The
    splitter is a balanced Mach-Zehnder interferometer: without power all light from o1 takes the long arm, with a phase
    of pi all of it takes the short one (to the imbalance of its couplers); in between the arms can be balanced
    against the loss of the delay (:meth:`balanced`).

    Model: product of ``mmi2x2``, ``picq.optics.arm`` and ``delay_spiral``. The splitter's heater warms its lower arm
    too, by what reaches it (``picq.optics.heat``). Left out is what reaches the spiral from the short arm's heater, 4
    to 8 % of the phase per mW at default sizes (the same formulas, summed over its legs): a calibration finds it.
    """

    name: ClassVar[str] = "time_bin_analyser"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2", "o3", "o4")
    lossless_is_unitary: ClassVar[bool] = False  # its couplers radiate
    delay_um: float = param(
        default=1500.0, lower=50.0, upper=1e6, unit="um", step=0.001, doc="long minus short arm, as length of guide"
    )
    split_power_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater of the splitter")
    phase_power_mw: float = param(default=0.0, lower=0.0, upper=2000.0, unit="mw", doc="heater of the short arm")
    length_x: float = param(
        default=120.0, lower=60.0, upper=10000.0, unit="um", step=0.001, doc="straight under the splitter's heater"
    )
    length_y: float = param(
        default=2.0, lower=0.002, upper=500.0, unit="um", step=0.001, doc="vertical straights but the spiral's"
    )
    pitch: float = param(default=5.5, lower=1.0, upper=200.0, unit="um", step=0.001, doc="of the spiral")
    core: float = param(
        default=20.0, lower=1.0, upper=5000.0, unit="um", step=0.001, doc="straight of the spiral's innermost levels"
    )
    turns: int = setting(default=2, doc="of the spiral")
    cross_section: str = setting(default="strip", doc="cross-section name")

    @property
    def sites(self) -> tuple[str, ...]:
        return ("splitter_in", "top", "bottom", "splitter_out", "long", "short", "combiner")

    # -- light -----------------------------------------------------------------------------------------------------

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        through = jnp.sum(self._bins(wl, tech), axis=1)
        return reciprocal({(a, b): through[i, k] for i, a in enumerate(_LEFT) for k, b in enumerate(_RIGHT)})

    def bins(self, wl: Any, tech: Technology, source: str = "o1") -> dict[tuple[str, str], jax.Array]:
        """Amplitudes through each arm alone, {("short" or "long", "o3" or "o4"): complex, of wl's shape}.

        A pulse shorter than the delay leaves as two, with these amplitudes; their sum is what ``model`` gives.

        Args:
            wl: wavelengths, um.
            tech: the technology.
            source: the port where light enters, ``o1`` or ``o2``.
        """
        found = self._bins(jnp.asarray(wl, float), tech)[_LEFT.index(source)]
        return {(arm, port): found[j, k] for j, arm in enumerate(_ARMS) for k, port in enumerate(_RIGHT)}

    def delay_ps(self, wl: Any, tech: Technology) -> jax.Array:
        """Group delay of the long arm less that of the short one, of wl's shape (um)."""

        def ratio(at: jax.Array) -> jax.Array:
            short, long = self._arms(at, tech)
            return long / short

        return group_delay_ps(ratio, wl)

    def balanced(self, wl0: float, tech: Technology) -> "TimeBinAnalyser":
        """A copy whose splitter sends so much more light into the long arm that both arrive alike at the combiner.

        With equal couplers of equal shares cross and bar of the splitter are cos and sin of half its phase; Newton's
        method does what is left.
        """
        wl = jnp.atleast_1d(jnp.asarray(wl0, float))
        couplers, (short, long) = self._couplers(wl, tech), self._arms(wl, tech)

        def excess(power: Any) -> jax.Array:
            to_short, to_long = self.replace(split_power_mw=power)._split(couplers, wl, tech)[0]
            return jnp.log(jnp.abs(to_long * long / (to_short * short)))[0]

        power = 2 * jnp.arctan(jnp.abs(long / short)[0]) / self._split_per_mw(wl[0], tech)

        def step(_: Any, power: jax.Array) -> jax.Array:
            value, slope = jax.jvp(excess, (power,), (jnp.ones_like(power),))
            return power - value / slope

        return self.replace(split_power_mw=jax.lax.fori_loop(0, _STEPS, step, power))

    def rebiased(
        self, wl0: float, tech: Technology, nominal: Technology, like: "TimeBinAnalyser | None" = None
    ) -> "TimeBinAnalyser":
        """Splitter and interferometer each get their nominal phase back at ``wl0``."""
        wl, limits = jnp.asarray(wl0, float), bounds(type(self), nominal)
        cold = self.replace(split_power_mw=0.0, phase_power_mw=0.0)
        phases = []
        for dev, place in ((like or self, nominal), (cold, tech)):
            (bottom, top), (short, long) = dev._splitter_arms(wl, place), dev._arms(wl, place)
            phases.append((top * jnp.conj(bottom), short * jnp.conj(long)))
        per_mw = (cold._split_per_mw(wl, tech), cold._short(tech).phase_per_mw(wl, tech.at_site(5)))
        names = ("split_power_mw", "phase_power_mw")
        powers = {
            name: power_to_restore(wanted, got, slope, limits[name].upper)
            for name, wanted, got, slope in zip(names, *phases, per_mw, strict=True)
        }
        return self.replace(**powers)

    def _bins(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """Amplitudes [input, arm, output, wl…], each from bottom to top; the arms are short, long."""
        couplers = self._couplers(wl, tech)
        split = self._split(couplers, wl, tech)
        return jnp.einsum("ij...,j...,jk...->ijk...", split, self._arms(wl, tech), couplers[2])

    def _split(self, couplers: jax.Array, wl: jax.Array, tech: Technology) -> jax.Array:
        """The splitter, [input, arm, wl…]."""
        return jnp.einsum("ij...,j...,jk...->ik...", couplers[0], self._splitter_arms(wl, tech), couplers[1])

    def _couplers(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """The three multimode couplers, [coupler, left, right, wl…], each from bottom to top."""
        mmi = self._mmi(tech)

        def one(site: jax.Array) -> jax.Array:
            s = mmi.model(wl, tech.at_site(site))
            return jnp.stack([jnp.stack([s[(a, b)] for b in _RIGHT]) for a in _LEFT])

        return jax.vmap(one)(jnp.array([0, 3, 6]))

    def _splitter_arms(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """(bottom, top) of the splitter, [2, wl…]."""
        bottom, top = self._bottom(tech), self._top()
        return jnp.stack([bottom.amplitude(wl, tech.at_site(2)), top.amplitude(wl, tech.at_site(1))])

    def _arms(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """(short, long), [2, wl…]."""
        short, long = self._short(tech), self.spiral(tech)
        return jnp.stack([short.amplitude(wl, tech.at_site(5)), long.amplitude(wl, tech.at_site(4))])

    def _split_per_mw(self, wl: Any, tech: Technology) -> jax.Array:
        """Phase that a mW gives the splitter, rad."""
        own, other = self._top().phase_per_mw(wl, tech.at_site(1)), self._bottom(tech).phase_per_mw(wl, tech.at_site(2))
        return own - other

    # -- geometry --------------------------------------------------------------------------------------------------

    def spiral(self, tech: Technology) -> DelaySpiral:
        """The long arm."""
        length = self.delay_um + self._short(tech).length(tech)
        return DelaySpiral(length, self.pitch, self.core, self.turns, self.cross_section)

    def _short(self, tech: Technology) -> Arm:
        """As wide as the spiral, whatever the delay: a spiral's ports stay where they are."""
        radius = tech.guide(self.cross_section).radius
        along = Spiral(radius, self.turns, self.pitch, self.core, 0.0).span - 4 * radius
        return Arm(self.cross_section, along, self.length_y, False, self.phase_power_mw)

    def _top(self) -> Arm:
        return Arm(self.cross_section, self.length_x, self.length_y, True, self.split_power_mw)

    def _bottom(self, tech: Technology) -> Arm:
        apart = self._mmi(tech).pitch + 4 * tech.guide(self.cross_section).radius + 2 * self.length_y
        return Arm(self.cross_section, self.length_x, self.length_y, False, neighbour=(self.split_power_mw, apart))

    def _mmi(self, tech: Technology) -> Mmi2x2:
        return Mmi2x2.on(tech, cross_section=self.cross_section)

    # -- mask ------------------------------------------------------------------------------------------------------

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        mmi = layout.build(self._mmi(tech), tech)
        first, second, combiner = (c << mmi for _ in range(3))
        spiral = c << layout.build(self.spiral(tech), tech)
        top = drawing.draw_arm(c, first.ports["o3"].center, self._top(), tech, segment="top")
        drawing.draw_arm(c, first.ports["o4"].center, self._bottom(tech), tech, segment="bottom")
        second.move(second.ports["o2"].center, top.end)
        spiral.move(spiral.ports["o1"].center, second.ports["o3"].center)
        short = drawing.draw_arm(c, second.ports["o4"].center, self._short(tech), tech, segment="short")
        combiner.move(combiner.ports["o1"].center, short.end)
        parts = {"splitter_in": first, "splitter_out": second, "long": spiral, "combiner": combiner}
        for name, part in parts.items():
            drawing.record(c, drawing.instance_segments(c, part, name))
        for name, part in zip(self.ports, (first, first, combiner, combiner), strict=True):
            c.add_port(name, port=part.ports[name])
        below = tuple((x, y - width, 270.0, width) for x, y, _, width in short.contacts)  # away from the spiral
        for i, plane in enumerate((*top.contacts, *below)):
            drawing.port(c, f"e{i + 1}", plane, tech, "metal")
        join_slabs(c, tech)
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        mmi, spiral = self._mmi(tech).paths(tech), self.spiral(tech).paths(tech)
        parts = {"splitter_in": mmi, "splitter_out": mmi, "long": spiral, "combiner": mmi}
        arms = {"top": self._top(), "bottom": self._bottom(tech), "short": self._short(tech)}
        return {f"{part}/{k}": v for part, lengths in parts.items() for k, v in lengths.items()} | {
            name: arm.length(tech) for name, arm in arms.items()
        }

    def about(self, tech: Technology) -> dict[str, float]:
        return {"group_delay_ps": float(self.delay_ps(1.55, tech))}


_LEFT, _RIGHT, _ARMS = ("o1", "o2"), ("o4", "o3"), ("short", "long")  # from bottom to top
