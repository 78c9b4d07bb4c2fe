"""Arrayed-waveguide grating."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from picq import layout
from picq.design import awg as design
from picq.device import Device, bounds, check_bounds, device, param, setting
from picq.errors import SpecError
from picq.optics.arm_array import Arms, Recipe, least_spacing, rectangular, s_shaped
from picq.optics.coupler import pairing
from picq.optics.diffraction import Apertures, Mixture, grating_circle, rowland_circle, star, steps
from picq.optics.multimode import image, side_wall
from picq.optics.waveguide import BEND_P, amplitude_db, euler_length_factor
from picq.sdict import SDict, reciprocal
from picq.star_mask import ArmEnd, StarMask, Widths, placed
from picq.technology import Process, Technology

_SHAPES = {"rectangular": rectangular, "s_shaped": s_shaped}


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
    length_taper: float = param(
        default=20.0, lower=5.0, upper=200.0, unit="um", step=0.001, doc="length of the tapers at the apertures"
    )
    offsets: tuple[float, ...] = param(
        default=(), lower=-1.0, upper=1.0, unit="um", step=1e-6, doc="length of broad guide that each arm has on top"
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
    array: str | None = setting(default=None, doc="rectangular or s_shaped; rectangular where it fits")
    pitch_io: float = setting(
        default=3.0, doc="um, of the other apertures: sets the focal length where that is not given"
    )
    port_pitch: float = setting(default=10.0, doc="um, of the ports")
    flat_top: bool = setting(default=False, doc="inputs end in multimode sections: two images side by side")
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
        made = super().on(tech, **values).designed(tech)
        made.check(tech)  # first: it knows better what to do about what follows from the rest
        check_bounds(made, tech)
        return made

    @cached_property
    def comb(self) -> design.Comb:
        """The channels."""
        return design.Comb(max(self.inputs, self.outputs), self.center_thz, self.spacing_ghz, self.spacing_nm)

    def designed(self, tech: Technology) -> "Awg":
        """The device with everything that was left open."""
        xs = tech.guide(self.cross_section)
        self._check_request()
        spacing = 200.0 if self.spacing_ghz is None and self.spacing_nm is None else self.spacing_ghz
        width = xs.width if self.width_arm is None else self.width_arm
        step = 0.0 if abs(width - xs.width) < 1e-9 else self.length_step
        found = self.replace(spacing_ghz=spacing, width_arm=width, length_step=step)
        wl0 = found.comb.wl0
        n = design.indices(self._base(tech), self.cross_section, wl0, width)
        length, order, radius = self.delta_length, self.order, self.focal_length
        if order is None:
            span = 1e3 * found.comb.count * found.comb.step_thz
            fsr = self.fsr_ghz or span * (2.0 if found.comb.count < 16 else 1.5)
            order = design.grating_order(n, found.comb, fsr * 1e-3) if length is None else round(length * n.arm / wl0)
        if length is None:
            length = round(order * wl0 / n.arm, 6)
        if radius is None:
            radius = round(design.focal_length(n, found.comb, length, self.pitch, self.pitch_io), 3)
        width_io = self.width_io
        if width_io is None:
            apart = design.aperture_distance(n, found.comb, length, self.pitch, radius) - self.gap
            width_io = round(min(float(tech.data["awg"]["width_io_um"]), np.floor(apart / 0.002) * 0.002), 3)
        arms = self.arms
        if arms is None:
            arms = len(self.offsets) or design.arm_count(n, wl0, radius, self.pitch, width_io)
        return found.replace(
            order=order, delta_length=length, focal_length=radius, width_io=width_io, arms=arms,
            offsets=self.offsets or (0.0,) * arms,
            fsr_ghz=self.fsr_ghz or round(design.free_spectral_range_ghz(n, length), 3),
        )._with_array(tech)  # fmt: skip

    def _base(self, tech: Technology) -> Technology:
        """The technology that the device was designed on, whatever chip ``tech`` is."""
        return tech.at(Process(temperature_k=self.design_k)).with_mismatch(None)

    @property
    def sites(self) -> tuple[str, ...]:
        return ("input_star", *(f"arm{k}" for k in range(self.arms)), "output_star")

    def tracks(self, tech: Technology) -> tuple[dict[int, Any], ...]:
        table = jax.tree.map(np.asarray, self.table(tech))
        start = float(self.focal_length) * np.stack([np.sin(table.angle), np.cos(table.angle)])
        flip = np.array([-1.0, 1.0] if self.array == "rectangular" else [1.0, -1.0])
        far = np.array([float(v) for v in table.far])
        found = {}
        for k in range(self.arms):
            near = [start[:, k], (table.x[0, k], table.rise[0, k]), (table.x[0, k], table.height[k])]
            top = far[1] + flip[1] * table.height[k] if self.array == "rectangular" else table.height[k]
            beyond = [far + flip * np.array([table.x[1, k], table.rise[1, k]]), far + flip * start[:, k]]
            corners = np.array([*near, (far[0] + flip[0] * table.x[1, k], top), *beyond])
            run = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
            at = (np.arange(_TRACK) + 0.5) / _TRACK * run[-1]
            found[1 + k] = np.stack([np.interp(at, run, column) for column in corners.T], axis=1)
        return (found,)

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
        arms = self._arm_amplitudes(wl, tech)[:, None, None, :]
        through = jnp.sum(one[:, :, None, :] * arms * two[:, None, :, :], axis=-1)
        return through * amplitude_db(2 * here.data["awg"]["junction_loss_db"])

    def _array(self, site: Technology) -> Apertures:
        width = self.pitch - self.gap + 1e-3 * site.process.width_nm
        return grating_circle(self.focal_length, self.pitch, self.arms, width)

    def _ports(self, tech: Technology, side: int, site: Technology) -> Apertures:
        width = self._aperture(side) + 1e-3 * site.process.width_nm
        return rowland_circle(self.focal_length, self._sines(tech, side), width)

    def _aperture(self, side: int) -> Any:
        """Width of the apertures on the ports' side, um."""
        return self.width_horn if self.flat_top and side == 0 else self.width_io

    def _horn(self, site: Technology) -> Mixture | None:
        """Modes at the end of the inputs' multimode sections."""
        if not self.flat_top:
            return None
        grown = 1e-3 * site.process.width_nm
        sizes = (self.length_horn, self.width_horn + grown, self.width_io + grown)
        return lambda wl: image(side_wall(site, self.cross_section, wl), *sizes)

    def _sines(self, tech: Technology, side: int) -> jax.Array:
        """Of the apertures' angles from the pole, ascending with the channels."""
        count = (self.inputs, self.outputs)[side]
        if count == 1:
            return jnp.zeros(1)
        comb = self.comb._replace(count=count)
        if side == 0 and self.outputs > 1 and count % 2 == 0:  # a router's inputs are whole channels off the middle
            comb = comb._replace(center_thz=comb.center_thz - comb.step_thz / 2)
        return design.channel_sines(
            self._base(tech), self.cross_section, self.width_arm, comb, self.order, self.delta_length, self.pitch
        )

    def _held(self, tech: Technology) -> Technology:
        """The technology at the temperature at which the device is held."""
        return tech.at(tech.process + Process(temperature_k=self.setpoint_k))

    def _arm_amplitudes(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """[wl, arm]: what the arms do, tapers included."""
        xs, table = tech.guide(self.cross_section), self.table(tech)
        bend, curvature = tech.bend(self.cross_section), 1 / xs.radius
        optical = tech.over_wavelengths(self.cross_section, wl, lambda wl: self._arm_paths(wl, tech, table))
        loss = 1e-4 * xs.loss_db_cm * self._arm_lengths(tech, table).sum(0) + 4 * bend.mismatch_db(curvature)
        euler = bend.euler_excess(wl, xs.radius, BEND_P, 90.0) ** 2
        wave = jnp.exp(2j * jnp.pi * optical / wl[:, None] - bend.radiated(curvature) * table.arc)
        return amplitude_db(loss) * wave * euler[:, None]

    def _arm_lengths(self, tech: Technology, table: Arms) -> jax.Array:
        """[kind, arm]: um of broad guide, of bends, of tapers and of transitions."""
        alike, step = jnp.ones_like(table.arc), self.length_step
        bends = 2 * table.arc + 2 * self._euler(tech)
        return jnp.stack([table.broad(step), bends, 2 * self.length_taper * alike, 8 * step * alike])

    def _arm_paths(self, wl: jax.Array, tech: Technology, table: Arms) -> jax.Array:
        """[wl, arm]: optical path, um, but for the Euler bends' curvature, which all arms have alike."""
        rise = tech.bend(self.cross_section).index_rise(1 / tech.guide(self.cross_section).radius)
        paths = jnp.einsum("wka,ka->wa", self._indices(wl, tech), self._arm_lengths(tech, table))
        return paths + 2 * rise * table.arc

    def rebiased(self, wl0: float, tech: Technology, nominal: Technology) -> "Awg":
        """The comb back on its grid, either way: by the temperature, and by light that follows (``grid_ghz``)."""
        table, k = self.table(nominal), steps(self.arms)

        def increment(setpoint: Any, wl: Any, chip: Technology) -> jax.Array:
            """By which arms grow in optical path, um, as a straight line through all of them has it."""
            held = self.replace(setpoint_k=setpoint)._held(chip)
            return self._arm_paths(wl[None], held, table)[0] @ (k / (k @ k))

        wl, held = jnp.asarray(wl0, float), jnp.asarray(self.setpoint_k, float)
        wanted, setpoint = increment(held, wl, nominal), held
        ends = bounds(type(self), nominal)["setpoint_k"]
        for _ in range(2):  # nearly linear: the second step is below 0.1 K
            got, slope = jax.jvp(lambda t: increment(t, wl, tech), (setpoint,), (jnp.ones(()),))
            setpoint = jnp.clip(setpoint + (wanted - got) / slope, ends.lower, ends.upper)
        moved = wl
        for _ in range(2):  # the same order: increment/wl is what it was
            got, slope = jax.jvp(lambda v: increment(held, v, tech) / v, (moved,), (jnp.ones(()),))
            moved = moved + (wanted / wl - got) / slope
        ghz = 1e3 * design.C_UM_THZ * (1 / moved - 1 / wl)
        return self.replace(setpoint_k=setpoint, grid_ghz=self.grid_ghz + ghz)

    def _indices(self, wl: jax.Array, tech: Technology) -> jax.Array:
        """[wl, kind, arm]: index of broad guide, of bends, and its mean over tapers and transitions; [.., 1] where all
        arms are alike."""
        widths = self._widths(tech)
        nodes, weights = np.polynomial.legendre.leggauss(3)
        nodes, weights = (nodes + 1) / 2, weights / 2
        spans = ((widths.broad, widths.aperture), (widths.bend, widths.broad))
        every = jnp.stack([widths.broad, widths.bend, *(a + (b - a) * t for a, b in spans for t in nodes)])
        means = np.zeros((4, 2 + 6))
        means[0, 0] = means[1, 1] = 1.0
        means[2, 2:5] = means[3, 5:] = weights

        def kinds(local: Any) -> jax.Array:
            place = chip.at(jax.tree.map(jnp.add, chip.process, local))
            n = jax.vmap(lambda width: place.n_eff(self.cross_section, wl, width), out_axes=-1)(every)
            return n @ means.T

        chip = tech.with_mismatch(None)
        zero = jax.tree.map(jnp.zeros_like, jax.tree.map(lambda v: jnp.asarray(v, float), chip.process))
        if tech.mismatch is None:
            return kinds(zero)[..., None]
        slopes = jax.jacfwd(kinds)(zero)
        local = jax.tree.map(lambda leaf: leaf[1:-1], tech.mismatch)
        moved = jax.tree.map(lambda slope, offset: slope[..., None] * offset, slopes, local)
        return kinds(zero)[..., None] + sum(jax.tree.leaves(moved))

    # -- geometry --------------------------------------------------------------------------------------------------

    def table(self, tech: Technology) -> Arms:
        """Sections of all arms; feeds the model and the mask."""
        return _SHAPES[self.array or "rectangular"](self._recipe(tech))

    def _recipe(self, tech: Technology) -> Recipe:
        base = self._base(tech)
        xs, wl = base.guide(self.cross_section), jnp.asarray(self.comb.wl0)
        bent = base.n_eff(self.cross_section, wl) + base.bend(self.cross_section).index_rise(1 / xs.radius)
        return Recipe(
            self.arms, self.focal_length, self.pitch, self.length_taper, self.arm_pitch, xs.radius, self.length_step,
            self.delta_length, jnp.stack([jnp.asarray(v, float) for v in self.offsets]),
            bent / base.n_eff(self.cross_section, wl, self.width_arm), _RESERVE, self._fan_width(tech),
        )  # fmt: skip

    def _euler(self, tech: Technology) -> float:
        return tech.guide(self.cross_section).radius * euler_length_factor(BEND_P)

    def _widths(self, tech: Technology) -> Widths:
        return Widths(self.pitch - self.gap, self.width_arm, tech.guide(self.cross_section).width)  # pyright: ignore

    def _fan_width(self, tech: Technology) -> Any:
        """Room that a star coupler, or its ports, needs from side to side, um."""
        slab = self.pitch * (self.arms + 2 * self.dummies) + 20.0
        return jnp.maximum(slab, self.port_pitch * max(self.inputs, self.outputs) + 20.0)

    def _with_array(self, tech: Technology) -> "Awg":
        """The device with a shape and a pitch of its arms."""
        xs = tech.guide(self.cross_section)
        step, own = self.length_step, tech.data["awg"]
        sine = self.arms * self.pitch / (2 * self.focal_length)
        least = self.pitch * (1 + (self.length_taper + step + 2 * _RESERVE + xs.radius * sine) / self.focal_length)
        least = max(least, self.width_arm + float(own["space_least_um"]))
        wanted = max(least, self.width_arm + float(own["space_um"]))
        fits = self.delta_length / 2 / (2 + sine)
        array = self.array or ("rectangular" if (self.arm_pitch or least) <= fits else "s_shaped")
        pitch = self.arm_pitch
        if pitch is None:
            pitch = max(least, min(wanted, fits)) if array == "rectangular" else wanted
            pitch = np.floor(pitch / 0.002) * 0.002 if pitch > least else np.ceil(pitch / 0.002) * 0.002
        arms = self.arms
        if array == "s_shaped" and arms % 2:
            arms += 1
        offsets = self.offsets if len(self.offsets) == arms else (*self.offsets, 0.0)
        return self.replace(array=array, arm_pitch=round(float(pitch), 3), arms=arms, offsets=offsets)

    # -- mask ------------------------------------------------------------------------------------------------------

    def cell(self, tech: Technology) -> gf.Component:
        self.check(tech)
        c = gf.Component()
        xs, table = tech.guide(self.cross_section), self.table(tech)
        layer, widths = tech.layer(xs.layer), self._widths(tech)
        level, far = np.round(np.asarray(table.height), 3), (_on_grid(table.far[0]), _on_grid(table.far[1]))
        mirrored = self.array == "rectangular"  # both face up; else the second faces down
        flip = (-1, 1) if mirrored else (1, -1)
        heights = (level, level if mirrored else np.round(far[1] - level, 3))
        turns = (1, 1) if mirrored else (-1, 1)
        points = layout.euler(xs.radius, 90.0, BEND_P).points @ np.array([[0.0, 1.0], [-1.0, 0.0]])
        euler = points, _tangents(points)
        ends = [
            [self._arm_end(table, side, k, float(heights[side][k]), turns[side], xs.radius) for k in range(self.arms)]
            for side in (0, 1)
        ]
        drawn = [[end.draw(widths, euler) for end in half] for half in ends]
        for k, (one, two) in enumerate(zip(*drawn, strict=True)):
            c.add_polygon(one.walls.joined(two.walls, far, flip).polygon(), layer=layer)
            last = placed(two.sections[-1][2], far, flip)
            layout.record(c, {f"arm{k}/in_{n}": (a, b) for n, a, b in one.sections})
            layout.record(
                c, {f"arm{k}/out_{n}": (placed(a, far, flip), placed(b, far, flip)) for n, a, b in two.sections}
            )
            facing = tuple(layout.reversed_plane(plane) for plane in (one.sections[-1][2], last))
            layout.record(c, {f"arm{k}/level": facing})
        for side, (place, signs) in enumerate((((0.0, 0.0), (1, 1)), (far, flip))):
            mask = self._star_mask(tech, side)
            ports = [guide.draw() for guide in mask.port_guides()]
            for outline in mask.shapes([arm.walls for arm in drawn[side]], ports):
                c.add_polygon(np.asarray(place) + np.asarray(signs) * outline, layer=layer)
            inner = [layout.reversed_plane(placed(g.sections[0][1], place, signs)) for g in (*drawn[side], *ports)]
            layout.record(c, {("star_in", "star_out")[side]: tuple(inner)})
            for name, guide in zip(self._side(side), ports, strict=True):
                planes = {
                    f"{name}/{n}": (placed(a, place, signs), placed(b, place, signs)) for n, a, b in guide.sections
                }
                layout.record(c, planes)
                layout.port(c, name, planes[f"{name}/guide"][1], tech, self.cross_section)
        return c

    def _arm_end(self, table: Arms, side: int, k: int, height: float, turn: int, bend: float) -> ArmEnd:
        return ArmEnd(
            angle=float(table.angle[k]), radius=self.focal_length, taper=self.length_taper,
            slant=float(table.slant[side, k]), step=self.length_step, bend=bend, x=_on_grid(table.x[side, k]),
            upright=float(table.upright[side, k]), height=height, turn=turn,
        )  # fmt: skip

    def _star_mask(self, tech: Technology, side: int) -> StarMask:
        xs, widths = tech.guide(self.cross_section), self._widths(tech)
        return StarMask(
            radius=self.focal_length, pitch=self.pitch, arms=self.arms, dummies=self.dummies, aperture=widths.aperture,
            taper=self.length_taper, bend=xs.radius, guide=xs.width, sines=np.asarray(self._sines(tech, side)),
            width_io=self._aperture(side), horn=self.length_horn if self.flat_top and side == 0 else 0.0,
            access=self.width_io, port_pitch=self.port_pitch,
        )  # fmt: skip

    def _side(self, side: int) -> tuple[str, ...]:
        """Ports of one star coupler."""
        return self.ports[: self.inputs] if side == 0 else self.ports[self.inputs :]

    def paths(self, tech: Technology) -> dict[str, Any]:
        table, step = jax.tree.map(np.asarray, self.table(tech)), self.length_step
        lengths: dict[str, Any] = {}
        for k in range(self.arms):
            for side, end in enumerate(("in", "out")):
                own = {
                    "taper": self.length_taper,
                    "slant": table.slant[side, k] - step,
                    "step_slant": step,
                    "arc": table.arc[k],
                    "step_upright": step,
                    "upright": table.upright[side, k] - 2 * step,
                    "step_upright_end": step,
                    "bend": self._euler(tech),
                    "step_level": step,
                }
                if table.angle[k] == 0:
                    del own["arc"]
                lengths |= {f"arm{k}/{end}_{n}": v for n, v in own.items() if step or not n.startswith("step")}
            lengths[f"arm{k}/level"] = table.level[k] - 2 * step
        for side in (0, 1):
            for name, guide in zip(self._side(side), self._star_mask(tech, side).port_guides(), strict=True):
                lengths |= {f"{name}/taper": self.length_taper, f"{name}/guide": guide.length}
        return lengths

    def as_measured(self, mask: Mapping[str, tuple[float, float]], tech: Technology) -> "Awg":
        base, widths = self._base(tech), self._widths(tech)
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
        n = design.indices(self._base(tech), self.cross_section, self.comb.wl0, self.width_arm)
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
        """Power that an arm hands over to its neighbour along uprights and level, dB; an upper bound: it is that of
        guides of the bends' width, all in phase."""
        base = self._base(tech)
        table, wl = jax.tree.map(np.asarray, self.table(base)), jnp.asarray([self.comb.wl0])
        gaps = jnp.asarray(least_spacing(table)) - self.width_arm
        kappa = np.asarray(pairing(base, self.cross_section, wl).kappa(gaps))[0]
        phase = float(kappa @ np.array([table.upright.sum(0).max(), table.level.max()]))
        return float(20 * np.log10(max(phase, 1e-30)))

    def check(self, tech: Technology) -> None:
        """Raise SpecError where concrete geometry is impossible: what fails, by how much, and what relieves it."""
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(self)):
            return
        table, data = jax.tree.map(np.asarray, self.table(tech)), tech.data["awg"]
        aperture, least = self.pitch - self.gap, self.width_arm + float(data["space_least_um"])
        self._demand(
            "apertures of the array against the arms", aperture, self.width_arm, "raise pitch or lower width_arm"
        )
        for side in (0, 1):
            sines = np.asarray(self._sines(tech, side))
            places = self.focal_length * np.sqrt(1 - sines**2) * sines
            self._demand(
                "distance of neighbouring ports' apertures", np.diff(places).min(initial=np.inf),
                self._aperture(side) + self.gap, "raise focal_length (pitch_io) or lower width_io (width_horn)",
            )  # fmt: skip
        relief = "raise arm_pitch, or lower length_taper or pitch"
        self._demand("straights behind the apertures", table.slant.min(), self.length_step + _RESERVE, relief)
        smaller = (
            "raise delta_length (a larger order, a smaller fsr_ghz), or lower arm_pitch, or choose array: s_shaped"
        )
        wider = "raise arm_pitch" if self.array == "s_shaped" else smaller
        for name, distance in zip(("uprights", "levels"), least_spacing(table), strict=True):
            self._demand(
                f"distance of neighbouring {name}",
                distance,
                least,
                "raise arm_pitch" if name == "uprights" and self.array == "rectangular" else wider,
            )

    def _demand(self, what: str, got: Any, least: Any, remedy: str) -> None:
        if not float(got) >= float(least) - 1e-6:
            raise SpecError(
                f"awg: the {what}: {float(least) - float(got):.4g} um too little",
                got=f"{float(got):.4g} um",
                allowed=f"at least {float(least):.4g} um",
                remedy=remedy,
            )

    def _check_request(self) -> None:
        if self.spacing_ghz is not None and self.spacing_nm is not None:
            raise SpecError("awg: the spacing is given twice", got="spacing_ghz and spacing_nm", allowed="one of them")
        if self.array not in (None, *_SHAPES):
            raise SpecError("awg: unknown array", got=repr(self.array), allowed=", ".join(_SHAPES))
        if self.offsets and self.arms is not None and len(self.offsets) != self.arms:
            raise SpecError(
                "awg.offsets are not one for each arm", got=f"{len(self.offsets)} offsets, {self.arms} arms",
                allowed="as many as arms", remedy="leave them out, or give all of them",
            )  # fmt: skip
        for name, least in (("inputs", 1), ("outputs", 1), ("dummies", 0), ("arms", 4), ("order", 1)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise SpecError(
                    f"awg.{name} is no such number", got=repr(value), allowed=f"a whole number from {least} on"
                )


_TRACK = 32  # points along an arm for its mean over a field
_NUDGE = 1e-3  # um, for the slope of the index in width
_RESERVE = 2.0  # um, least straight between bends and transitions


def _on_grid(value: Any) -> float:
    return round(float(value), 3)


def _tangents(points: np.ndarray) -> np.ndarray:
    """Unit tangents of a bend by 90 degrees to the left that starts along y."""
    step = np.diff(points, axis=0)
    angle = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    middle = np.concatenate([[np.pi / 2], (angle[1:] + angle[:-1]) / 2, [np.pi]])
    return np.stack([np.cos(middle), np.sin(middle)], axis=1)
