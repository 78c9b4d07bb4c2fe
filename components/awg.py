"""Arrayed-waveguide grating."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np

from picq.array_mask import ArrayMask
from picq.design import awg as design
from picq.device import Device, bounds, check_bounds, device, param, setting
from picq.optics.arm_array import Arms, Recipe, Widths, rectangular, s_shaped
from picq.optics.arm_light import ArmLight
from picq.optics.coupler import pairing
from picq.optics.diffraction import Apertures, Mixture, grating_circle, rowland_circle, star, steps
from picq.optics.horn import parabolic
from picq.optics.horseshoe import Horseshoe, Place, horseshoe
from picq.optics.multimode import image, side_wall
from picq.optics.phase_shifter import thermal_resistance, thermo_optic
from picq.optics.waveguide import BEND_P, amplitude_db, euler_length_factor
from picq.sdict import SDict, reciprocal
from picq.star_mask import StarMask
from picq.technology import Process, Technology

from . import awg_design


@device
class Awg(Device):
    """Arrayed-waveguide grating: two star couplers, arms that grow by one increment each, guides fanned out to ports.

    ::

          ╭───────────────────╮
          │ ╭───────────────╮ │
          │ │     arms      │ │
           ╲│               │╱
           ▔▔▔             ▔▔▔   star couplers
          ││││               │
          o9 … o2            o1         o2, o3, o4, o5, o6, o7, o8, o9: channels, ascending in frequency

    Ports are numbered inputs first. What is not given follows from the comb and the technology (``design.awg``): order,
    increment, focal length, number and pitch of arms. An N×N device is a router; cyclic when ``fsr_ghz`` is N spacings.

    Model: star couplers by exact distances between isolated apertures (``optics.diffraction``), arms from the table of
    sections from which they are drawn (``optics.arm_array``): broad straights, narrow bends, tapers, with dispersion,
    loss and temperature of each. What happens where guides meet the slab is the technology's ``junction_loss_db``. Of
    fabrication's local variation an arm sees its mean, to first order.

    A heater on every arm (``heaters``) warms the levels: its own, and by what reaches them those of the others; what it
    does to uprights and star couplers, alike for neighbours, is left out. Its contacts, e1 and e2 of the first arm and
    so on, face along the levels.
    """

    name: ClassVar[str] = "awg"
    lossless_is_unitary: ClassVar[bool] = False  # other orders of diffraction, and what misses the array
    delta_length: Any = param(
        default=None, lower=2.0, upper=1000.0, unit="um", doc="increment of the arms, as broad guide"
    )
    focal_length: Any = param(default=None, lower=20.0, upper=5000.0, unit="um", doc="radius of the grating circles")
    pitch: float = param(default=2.0, lower=1.0, upper=10.0, unit="um", step=0.002, doc="of the array's apertures")
    gap: float = param(default=0.2, lower=0.1, upper=2.0, unit="um", step=0.002, doc="between the array's apertures")
    width_io: Any = param(default=None, lower=0.5, upper=10.0, unit="um", step=0.002, doc="of the other apertures")
    width_horn: float = param(
        default=4.0, lower=1.0, upper=20.0, unit="um", step=0.002, doc="of the inputs' sections, with flat_top"
    )
    length_horn: float = param(
        default=12.0, lower=1.0, upper=100.0, unit="um", step=0.001, doc="of the inputs' sections, with flat_top"
    )
    width_arm: Any = param(default=None, lower=0.3, upper=10.0, unit="um", step=0.002, doc="of the arms' straights")
    arm_pitch: Any = param(default=None, lower=1.0, upper=100.0, unit="um", step=0.002, doc="of the arms' uprights")
    tilt_deg: Any = param(
        default=None, lower=0.0, upper=60.0, unit="deg", doc="by which a horseshoe's star couplers lean together"
    )
    half_span: Any = param(
        default=None, lower=20.0, upper=20000.0, unit="um", doc="from a horseshoe's star coupler to its mirror plane"
    )
    half_length: Any = param(
        default=None, lower=20.0, upper=20000.0, unit="um", doc="half of a horseshoe's middle arm, as broad guide"
    )
    length_taper: float = param(
        default=20.0, lower=5.0, upper=200.0, unit="um", step=0.001, doc="length of the tapers at the apertures"
    )
    offsets: tuple[float, ...] = param(
        default=(), lower=-1.0, upper=1.0, unit="um", step=1e-6, doc="length of broad guide that each arm has on top"
    )
    length_heater: float = param(
        default=100.0, lower=60.0, upper=1000.0, unit="um", step=0.001, doc="of the filament on each arm, with heaters"
    )
    powers_mw: tuple[float, ...] = param(
        default=(), lower=0.0, upper=2000.0, unit="mw", doc="heater power of each arm, with heaters"
    )
    setpoint_k: float = param(
        default=0.0, lower=-20.0, upper=80.0, unit="k", doc="temperature at which it is held, above the reference"
    )
    grid_ghz: float = param(
        default=0.0, lower=-3000.0, upper=3000.0, unit="ghz", doc="by which light follows the chip's comb: no geometry"
    )
    inputs: int = setting(default=1, doc="number of inputs")
    outputs: int = setting(default=8, doc="number of outputs")
    center_thz: float = setting(default=193.414, doc="middle of the comb")
    spacing_ghz: float | None = setting(default=None, doc="of the channels (200 when nothing is given)")
    spacing_nm: float | None = setting(default=None, doc="of the channels, in its place")
    fsr_ghz: float | None = setting(default=None, doc="free spectral range; 2 times the channels, 1.5 from 16 on")
    order: Any = setting(default=None, doc="of the grating; in place of fsr_ghz")
    arms: Any = setting(default=None, doc="number of arms; so many that they take 99 % of the light")
    array: str | None = setting(default=None, doc="rectangular, s_shaped or horseshoe; rectangular where it fits")
    pitch_io: float = setting(
        default=3.0, doc="um, of the other apertures: sets the focal length where that is not given"
    )
    port_pitch: float = setting(default=10.0, doc="um, of the ports")
    flat_top: str | None = setting(default=None, doc="mmi or parabolic: inputs end in sections with two humps of light")
    heaters: bool = setting(default=False, doc="one on each arm, to trim its phase")
    dummies: int = setting(default=3, doc="blind apertures on each side of the array")
    length_step: float = setting(
        default=5.0, doc="um, of a transition between broad straight and bend; 0: all is alike"
    )
    design_k: float = setting(default=0.0, doc="the same as it is designed for: setpoint_k where that is not given")
    cross_section: str = setting(default="strip", doc="cross-section name")

    @property
    def ports(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(f"o{i + 1}" for i in range(self.inputs + self.outputs))

    @classmethod
    def on(cls, tech: Technology, **values: Any) -> "Awg":
        values = {**({"setpoint_k": values["design_k"]} if "design_k" in values else {}), **values}
        made = super().on(tech, **values)
        if made.array == "horseshoe" and "width_arm" not in values:  # not the technology's: that is for straights
            made = made.replace(width_arm=None)
        made = awg_design.completed(made, tech)
        awg_design.check(made, tech)  # first: it knows better what to do about what follows from the rest
        check_bounds(made, tech)
        return made

    @cached_property
    def comb(self) -> design.Comb:
        """The channels."""
        return design.Comb(max(self.inputs, self.outputs), self.center_thz, self.spacing_ghz, self.spacing_nm)

    def base(self, tech: Technology) -> Technology:
        """The technology that the device was designed on, whatever chip ``tech`` is."""
        return tech.at(Process(temperature_k=self.design_k)).with_mismatch(None)

    @property
    def sites(self) -> tuple[str, ...]:
        return ("input_star", *(f"arm{k}" for k in range(self.arms)), "output_star")

    def tracks(self, tech: Technology) -> tuple[dict[int, Any], ...]:
        recipe, table = self.recipe(tech), jax.tree.map(np.asarray, self.table(tech))
        found = {}
        for k in range(self.arms):
            corners = table.corners(k, recipe, self.flip)
            run = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
            at = (np.arange(_TRACK) + 0.5) / _TRACK * run[-1]
            found[1 + k] = np.stack([np.interp(at, run, column) for column in corners.T], axis=1)
        return (found,)

    def extent(self, tech: Technology) -> tuple[Any, Any]:
        """Without the fan-out to the ports."""
        return self.table(tech).extent(self.flip)

    # -- light -----------------------------------------------------------------------------------------------------

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        wl = jnp.asarray(wl, float)
        t = self.transfer(wl.reshape(-1), tech)
        ports = self.ports
        return reciprocal(
            {
                (ports[i], ports[self.inputs + o]): t[:, i, o].reshape(wl.shape)
                for i in range(self.inputs)
                for o in range(self.outputs)
            }
        )

    def transfer(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """Amplitudes [wl, input, output] at wavelengths of shape [wl], um."""
        wl = wl / (1 + wl * self.grid_ghz * 1e-3 / design.C_UM_THZ)
        tech = self._held(tech)
        here, there = tech.at_site(0), tech.at_site(self.arms + 1)
        one = star(here, self.cross_section, wl, self._ports(tech, 0, here), self._array(here), self._horn(here))
        two = star(there, self.cross_section, wl, self._ports(tech, 1, there), self._array(there))
        through = two.gathered(one.amplitudes() * self._arm_amplitudes(wl, tech)[:, None, :])
        return through * amplitude_db(2 * here.data["awg"]["junction_loss_db"])

    def _array(self, site: Technology) -> Apertures:
        width = self.pitch - self.gap + 1e-3 * site.process.width_nm
        return grating_circle(self.focal_length, self.pitch, self.arms, width)

    def _ports(self, tech: Technology, side: int, site: Technology) -> Apertures:
        width = self.aperture(side) + 1e-3 * site.process.width_nm
        return rowland_circle(self.focal_length, self.sines(tech, side), width)

    def aperture(self, side: int) -> Any:
        """Width of the apertures on the ports' side, um."""
        return self.width_horn if self.flat_top and side == 0 else self.width_io

    def _horn(self, site: Technology) -> Mixture | None:
        """Modes at the end of the inputs' sections."""
        if not self.flat_top:
            return None
        grown = 1e-3 * site.process.width_nm
        sizes = (self.length_horn, self.width_horn + grown, self.width_io + grown)
        field = parabolic if self.flat_top == "parabolic" else image
        return lambda wl: field(side_wall(site, self.cross_section, wl), *sizes)

    def sines(self, tech: Technology, side: int) -> jax.Array:
        """Of the apertures' angles from the pole, ascending with the channels."""
        count = (self.inputs, self.outputs)[side]
        if count == 1:
            return jnp.zeros(1)
        comb = self.comb._replace(count=count)
        if side == 0 and self.outputs > 1 and count % 2 == 0:  # a router's inputs are whole channels off the middle
            comb = comb._replace(center_thz=comb.center_thz - comb.step_thz / 2)
        return design.channel_sines(
            self.base(tech), self.cross_section, self.width_arm, comb, self.order, self.delta_length, self.pitch
        )

    def _held(self, tech: Technology) -> Technology:
        """The technology at the temperature at which the device is held."""
        return tech.at(tech.process + Process(temperature_k=self.setpoint_k))

    def _light(self, tech: Technology) -> ArmLight:
        """What light meets in the arms, for ``_arm_place``."""
        recipe, table = self.recipe(tech), self.table(tech)
        heat = self._heat(tech) @ jnp.stack(self.powers_mw) if self.heaters else None
        return ArmLight(
            self.cross_section, self._widths(tech), table.lengths(recipe), self.length_taper, self.length_step, heat
        )

    def _arm_place(self, tech: Technology) -> Technology:
        """The technology with the arms' own mismatch alone."""
        own = tech.mismatch and jax.tree.map(lambda leaf: leaf[1:-1], tech.mismatch)
        return tech.with_mismatch(own)

    def _arm_amplitudes(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """[wl, arm]: what the arms do, tapers included."""
        return self._light(tech).amplitudes(wl, self._arm_place(tech))

    def _arm_paths(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """[wl, arm]: their optical paths, um."""
        return self._light(tech).paths(wl, self._arm_place(tech))

    def _heat(self, tech: Technology) -> jax.Array:
        """Warmth of arm i times the length over which it has it, per power in the heater of arm j, K um/mW [i, j]: that
        of the levels."""
        recipe, table = self.recipe(tech), self.table(tech)
        assert isinstance(table, Arms)
        ends = table.level_ends(recipe, self.flip)
        along = ends[:, None, :] - self._filaments(ends)[None, :, None]
        apart = table.height[:, None] - table.height[None, :]
        return thermal_resistance(
            tech, self.cross_section, self.length_heater, apart, (along[..., 0], along[..., 1])
        )  # fmt: skip

    def _filaments(self, ends: Any) -> Any:
        """Where they begin on levels with these ends, um [arm]: one above the other, or as a staircase."""
        return ends[:, 0] if self.array == "s_shaped" else ends.mean(1) - self.length_heater / 2

    def rebiased(self, wl0: float, tech: Technology, nominal: Technology, like: "Awg | None" = None) -> "Awg":
        """The comb back on its grid, either way: by the temperature, and by light that follows (``grid_ghz``); heaters
        take away what a straight line through the arms' errors leaves of them, and no more."""
        k, wl = steps(self.arms), jnp.asarray(wl0, float)

        def paths(setpoint: Any, wl: Any, chip: Technology) -> jax.Array:
            held = self.replace(setpoint_k=setpoint)
            return held._arm_paths(wl[None], held._held(chip))[0]

        designed, held = like or self, jnp.asarray(self.setpoint_k, float)
        wanted, setpoint = designed._arm_paths(wl[None], designed._held(nominal))[0], held
        slope_of = lambda paths: paths @ (k / (k @ k))
        ends = bounds(type(self), nominal)["setpoint_k"]
        for _ in range(2):  # nearly linear: the second step is below 0.1 K
            got, slope = jax.jvp(lambda t: slope_of(paths(t, wl, tech)), (setpoint,), (jnp.ones(()),))
            setpoint = jnp.clip(setpoint + (slope_of(wanted) - got) / slope, ends.lower, ends.upper)
        moved = wl
        for _ in range(2):  # the same order: increment/wl is what it was
            got, slope = jax.jvp(lambda v: slope_of(paths(held, v, tech)) / v, (moved,), (jnp.ones(()),))
            moved = moved + (slope_of(wanted) / wl - got) / slope
        ghz = 1e3 * design.C_UM_THZ * (1 / moved - 1 / wl)
        found = self.replace(setpoint_k=setpoint, grid_ghz=self.grid_ghz + ghz)
        return found._heated(wanted - paths(held, wl, tech), wl, tech, nominal) if self.heaters else found

    def _heated(self, missing: jax.Array, wl: jax.Array, tech: Technology, nominal: Technology) -> "Awg":
        """The device with the least powers that give every arm the optical path (um, [arm]) that it misses, but for
        what a straight line through them takes and what all have in common."""
        k = steps(self.arms)
        rest = missing - jnp.mean(missing) - k * (missing @ (k / (k @ k)))
        rest = rest - wl * jnp.round(rest / wl)
        per_mw = thermo_optic(wl, self._held(tech), self.cross_section, self.width_arm) * self._heat(tech)
        more, alike = jnp.linalg.solve(per_mw, jnp.stack([rest, jnp.ones_like(rest)], axis=1)).T
        powers = jnp.stack(self.powers_mw) + more
        limit = bounds(type(self), nominal)["powers_mw"].upper
        return self.replace(powers_mw=tuple(jnp.clip(powers + alike * jnp.max(-powers / alike), 0.0, limit)))

    # -- geometry --------------------------------------------------------------------------------------------------

    def table(self, tech: Technology) -> Arms | Horseshoe:
        """Sections of all arms; feeds the model and the mask."""
        recipe = self.recipe(tech)
        if self.array == "horseshoe":
            return horseshoe(recipe, Place(jnp.deg2rad(self.tilt_deg), self.half_span, self.half_length))
        return (s_shaped if self.array == "s_shaped" else rectangular)(recipe)

    def recipe(self, tech: Technology) -> Recipe:
        base = self.base(tech)
        xs, wl, bend = base.guide(self.cross_section), jnp.asarray(self.comb.wl0), base.bend(self.cross_section)
        straight, broad = (base.n_eff(self.cross_section, wl, width) for width in (None, self.width_arm))
        level_pitch, level = self.arm_pitch, 0.0
        if self.heaters:
            level_pitch, level = jnp.maximum(self.arm_pitch, awg_design.heater_pitch(tech)), self.length_heater
        return Recipe(
            self.arms, self.focal_length, self.pitch, self.length_taper, self.arm_pitch, xs.radius, self.length_step,
            self.delta_length, jnp.stack([jnp.asarray(v, float) for v in self.offsets]),
            lambda curvature: (straight + bend.index_rise(curvature)) / broad,
            awg_design.RESERVE_UM, level, level_pitch, self.fan_width(),
        )  # fmt: skip

    @property
    def flip(self) -> tuple[int, int]:
        """Signs of the second star coupler's axes: it faces up, turned over, or down."""
        return (1, -1) if self.array == "s_shaped" else (-1, 1)

    def _widths(self, tech: Technology) -> Widths:
        return Widths(self.pitch - self.gap, self.width_arm, tech.guide(self.cross_section).width)

    def fan_width(self) -> Any:
        """Room that a star coupler, or its ports, needs from side to side, um."""
        slab = self.pitch * (self.arms + 2 * self.dummies) + 20.0
        return jnp.maximum(slab, self.port_pitch * max(self.inputs, self.outputs) + 20.0)

    # -- mask ------------------------------------------------------------------------------------------------------

    def cell(self, tech: Technology) -> gf.Component:
        awg_design.check(self, tech)
        c = gf.Component()
        recipe, table = self.recipe(tech), jax.tree.map(np.asarray, self.table(tech))
        filaments = None
        if self.heaters:
            left = self._filaments(table.level_ends(recipe, self.flip))
            filaments = np.stack([left, left + self.length_heater], axis=1)
        ArrayMask(
            table, self.flip, self._widths(tech), self.length_taper, self.length_step, self.focal_length,
            tuple(self._star_mask(tech, side) for side in (0, 1)), tuple(self._side(side) for side in (0, 1)),
            self.cross_section, filaments,
        ).draw(c, tech)  # fmt: skip
        return c

    def _star_mask(self, tech: Technology, side: int) -> StarMask:
        xs, widths = tech.guide(self.cross_section), self._widths(tech)
        horned = bool(self.flat_top) and side == 0
        return StarMask(
            radius=self.focal_length, pitch=self.pitch, arms=self.arms, dummies=self.dummies, aperture=widths.aperture,
            taper=self.length_taper, bend=xs.radius, guide=xs.width, sines=np.asarray(self.sines(tech, side)),
            width_io=self.aperture(side), horn=self.length_horn if horned else 0.0,
            parabolic=self.flat_top == "parabolic", access=self.width_io, port_pitch=self.port_pitch,
            tilt=np.deg2rad(self.tilt_deg or 0.0),
        )  # fmt: skip

    def _side(self, side: int) -> tuple[str, ...]:
        """Ports of one star coupler."""
        return self.ports[: self.inputs] if side == 0 else self.ports[self.inputs :]

    def paths(self, tech: Technology) -> dict[str, Any]:
        recipe, table = self.recipe(tech), jax.tree.map(np.asarray, self.table(tech))
        euler = tech.guide(self.cross_section).radius * euler_length_factor(BEND_P)
        lengths: dict[str, Any] = {}
        for k in range(self.arms):
            lengths |= {f"arm{k}/{name}": v for name, v in table.sections(k, recipe, euler).items()}
        for side in (0, 1):
            for name, guide in zip(self._side(side), self._star_mask(tech, side).port_guides(), strict=True):
                lengths |= {f"{name}/taper": self.length_taper, f"{name}/guide": guide.length}
        return lengths

    def as_measured(self, mask: Mapping[str, tuple[float, float]], tech: Technology) -> "Awg":
        base, widths = self.base(tech), self._widths(tech)
        means = {
            "taper": (widths.aperture + widths.broad) / 2, "slant": widths.broad, "upright": widths.broad,
            "level": widths.broad, "arc": widths.bend, "bend": widths.bend,
        }  # fmt: skip
        n = lambda width: float(base.n_eff(self.cross_section, jnp.asarray(self.comb.wl0), width))
        step = (widths.broad + widths.bend) / 2
        known = {w: (n(w), (n(w + _NUDGE) - n(w - _NUDGE)) / (2 * _NUDGE)) for w in {*means.values(), step}}
        errors = np.zeros(self.arms)
        for segment, drawn in self.paths(tech).items():
            if segment in mask and segment.startswith("arm"):
                arm, _, name = segment.partition("/")
                width = means.get(name.split("_", 1)[-1], step)
                (index, slope), (length, got) = known[width], mask[segment]
                errors[int(arm[3:])] += index * (length - float(drawn)) + slope * (got - width) * length
        ends = bounds(type(self))["offsets"]  # beyond them the mask is another one, which LVS says
        found = np.clip(np.asarray(self.offsets) + errors / known[widths.broad][0], ends.lower, ends.upper)
        return self.replace(offsets=tuple(map(float, found)))

    def mask_figures(self, measured: "Awg", tech: Technology) -> dict[str, float]:
        n = design.indices(self.base(tech), self.cross_section, self.comb.wl0, self.width_arm)
        error = np.asarray(measured.offsets) - np.asarray(self.offsets)
        slope, middle = np.polyfit(steps(self.arms), error, 1)
        rest = 2 * np.pi * n.arm / self.comb.wl0 * (error - middle - slope * steps(self.arms))
        shift = -1e3 * self.center_thz * slope * n.arm / (n.group * self.delta_length)
        return {"phase_error_rms_rad": float(np.sqrt(np.mean(rest**2))), "comb_shift_ghz": float(shift)}

    def notes(self, tech: Technology) -> tuple[str, ...]:
        data = tech.data["awg"]
        loss, sigma = float(data["junction_loss_db"]), float(data["junction_loss_uncertainty_db"])
        return (
            f"awg: {2 * loss:.2f} ± {2 * sigma:.2f} dB of the insertion loss stand for the two junctions of arms and "
            "slab, which a scalar model of isolated apertures cannot know (compact.yaml has the source; adiabatic or "
            "shallow-etched junctions lose less than the model by up to 1.8 dB). Neighbouring apertures do not act on "
            "each other in the model.",
        )

    def about(self, tech: Technology) -> dict[str, float]:
        wl, middle = jnp.asarray([self.comb.wl0]), (self.inputs // 2, self.outputs // 2)
        held = self._held(tech)
        n = design.indices(held, self.cross_section, self.comb.wl0, self.width_arm)
        wave = lambda wl: self.transfer(wl, tech)[0, middle[0], middle[1]]
        t, slope = jax.jvp(wave, (wl,), (jnp.ones(1),))
        delay = -jnp.imag(slope / t) * wl[0] ** 2 / (2 * jnp.pi * design.C_UM_THZ)  # d(phase)/d(omega), ps
        found = {
            "order": float(self.order),
            "delta_length_um": self.delta_length,
            "focal_length_um": self.focal_length,
            "arms": float(self.arms),
            "free_spectral_range_ghz": design.free_spectral_range_ghz(n, self.delta_length),
            "group_delay_ps": float(delay),
            "arm_coupling_db": self.arm_coupling_db(tech),
        }
        if "tm0" in tech.guide(self.cross_section).modes:
            shift = design.polarisation_shift_ghz(
                held, self.cross_section, self.comb.wl0, self.width_arm, self.delta_length
            )
            found["polarisation_shift_ghz"] = shift
        return found

    def waivers(self, tech: Technology) -> dict[str, str]:
        coupling = self.arm_coupling_db(tech)
        return {"parallel_run": f"arms of one array: neighbours couple by {coupling:.0f} dB at most (computed)"}

    def arm_coupling_db(self, tech: Technology) -> float:
        """Power that an arm hands over to its neighbour, dB; an upper bound: it is that of guides of the bends' width,
        at their smallest distance all along and all in phase."""
        base = self.base(tech)
        table, wl = jax.tree.map(np.asarray, self.table(base)), jnp.asarray([self.comb.wl0])
        stretches = table.together()
        gaps = jnp.asarray([table.distances()[name] - self.width_arm for name in stretches])
        kappa = np.asarray(pairing(base, self.cross_section, wl).kappa(gaps))[0]
        return float(20 * np.log10(max(float(kappa @ np.array(list(stretches.values()))), 1e-30)))


_TRACK = 32  # points along an arm for its mean over a field
_NUDGE = 1e-3  # um, for the slope of the index in width
