"""A pulse through a device in three dimensions: fdtdx steps the fields of Yee's grid, ``yee`` finds the waves in them.

fdtdx injects the pulse, absorbs what leaves, and records phasors of the bare fields at the ports' planes. Its own mode
overlaps are not used: those of ``yee`` are exact on the grid, and tell the waves of both directions apart.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np

from picq.errors import NumericsError, SpecError
from picq.inverse.yee import GridMode, grid_modes, waves

COURANT = 0.99 / np.sqrt(3)
"""c dt / h: fdtdx's own factor of the limit in three dimensions."""

_C_UM_S = 299792458e6
_WIDTH = 0.1
"""Least spectral width (standard deviation over centre) of the pulse: short beside a crossing of a device, and without
light at low frequencies, which no absorbing layer takes."""

_BEGIN = 12.0
"""Pulse in its own standard deviations: fdtdx starts it at -6."""


class Plane(NamedTuple):
    """A port: a plane across a straight guide, in cells.

    Attributes:
        name: of the port.
        axis: along the guide, 0 (x) or 1 (y).
        outward: +1 or -1, the direction out of the device along the axis.
        cell: of the plane.
        source: of the plane from which its light comes, further out.
        window: first and last + 1 along both other axes, in their order.
        orders: of the modes.
        te: whether these have E mainly in the plane of the chip.
    """

    name: str
    axis: int
    outward: int
    cell: int
    source: int
    window: tuple[tuple[int, int], tuple[int, int]]
    orders: tuple[int, ...]
    te: bool


@dataclass(frozen=True, eq=False)
class Scene:
    """What is simulated.

    Attributes:
        step: edge of a cubic cell, um.
        shape: cells along x, y and z.
        inverse: 1/eps at the places of Ex, Ey and Ez, [3, nx, ny, nz]; E_x is at (i + 1/2, j, k) and so on.
        layer: cells of the absorbing layer, which is part of the grid.
        planes: the ports.
        wl: wavelengths at which fields are wanted, um.
    """

    step: float
    shape: tuple[int, int, int]
    inverse: np.ndarray
    layer: int
    planes: tuple[Plane, ...]
    wl: tuple[float, ...]

    @property
    def dt(self) -> float:
        """Time step as length, um."""
        return COURANT * self.step

    @property
    def centre(self) -> float:
        """The pulse's wavelength, um: of the middle frequency."""
        return 2 / (1 / min(self.wl) + 1 / max(self.wl))

    @property
    def width(self) -> float:
        """Standard deviation of the pulse's spectrum, 1/um."""
        return max(_WIDTH / self.centre, 1 / min(self.wl) - 1 / max(self.wl))

    @property
    def crossing(self) -> int:
        """Steps in which light crosses the diagonal of the floor plan once, with the group index of a silicon guide."""
        return int(np.ceil(np.hypot(*self.shape[:2]) * 4.3 / COURANT))

    @property
    def first(self) -> int:
        """Steps until the pulse has entered and crossed."""
        return int(np.ceil(_BEGIN / (2 * np.pi * self.width) / self.dt)) + self.crossing

    @cached_property
    def modes(self) -> tuple[tuple[tuple[GridMode, ...], ...], ...]:
        """Of the planes: [wl][plane][order].

        Raises:
            NumericsError: there is no such mode, or its plane cuts it.
        """
        return tuple(tuple(self._solved(plane, wl) for plane in self.planes) for wl in self.wl)

    def _solved(self, plane: Plane, wl: float) -> tuple[GridMode, ...]:
        (a, b), (c, d) = plane.window
        cut = np.take(self.inverse, plane.cell, plane.axis + 1)[:, a:b, c:d]
        omega = 2 * np.sin(np.pi / wl * self.dt) / self.dt
        return grid_modes(cut, plane.axis, self.step, omega, plane.orders, te=plane.te, name=f"port {plane.name}")


class Driven(NamedTuple):
    """Waves of one pulse.

    Attributes:
        out, into: amplitudes of the channels (ports and their orders), away from and towards the device, [wl, channel].
        change: the largest change of a power, over that sent in, in the last crossing.
        steps: in time.
    """

    out: np.ndarray
    into: np.ndarray
    change: float
    steps: int


def installed() -> bool:
    """Whether fdtdx is there."""
    return importlib.util.find_spec("fdtdx") is not None


def require() -> None:
    """Refuse where fdtdx is not installed.

    Raises:
        SpecError: it is not.
    """
    if not installed():
        raise SpecError(
            "fields in three dimensions need fdtdx, which is not installed", remedy='pip install "picq[fdtd3d]"'
        )


def drive(
    scene: Scene, source: int, order: int, settle: float, most: int, watch: Callable[[int, float], None] | None = None
) -> Driven:
    """A pulse in one mode of port number ``source``, until no power changes by more than ``settle`` in a crossing.

    Args:
        scene: what is simulated.
        source: number of the port.
        order: of the mode.
        settle: over the power sent in.
        most: crossings after the first one.
        watch: is told steps and change after every crossing.

    Raises:
        SpecError: fdtdx is not installed.
        NumericsError: fields are not finite.
    """
    require()
    with jax.enable_x64(False):  # pyright: ignore[reportAttributeAccessIssue]
        return _drive(scene, source, order, settle, most, watch)


def _drive(
    scene: Scene, source: int, order: int, settle: float, most: int, watch: Callable[[int, float], None] | None
) -> Driven:
    from fdtdx.fdtd.fdtd import custom_fdtd_forward  # pyright: ignore[reportMissingImports]

    plane = scene.planes[source]
    last = scene.first + most * scene.crossing
    arrays, objects, config = _placed(scene, plane, order, last)
    key = jax.random.PRNGKey(0)

    @jax.jit
    def advance(arrays: Any, start: Any, end: Any) -> Any:
        return custom_fdtd_forward(arrays, objects, config, key, False, True, start, end, show_progress=False)[1]

    lead = sum(len(p.orders) for p in scene.planes[:source]) + plane.orders.index(order)
    done, change, before = 0, np.inf, None
    out = into = np.zeros(0)
    while change > settle and done < last:
        end = scene.first if not done else done + scene.crossing
        arrays = advance(arrays, jax.numpy.asarray(done), jax.numpy.asarray(end))
        done = end
        out, into = _waves(scene, arrays.detector_states)
        powers = np.abs(out) ** 2 / np.abs(into[:, lead, None]) ** 2
        if not np.isfinite(powers).all():
            raise NumericsError("the fields in time are not finite", remedy="report this: the step in time is stable")
        if before is not None:
            change = float(np.abs(powers - before).max())
        before = powers
        if watch:
            watch(done, change)
    return Driven(out, into, change, done)


def _placed(scene: Scene, plane: Plane, order: int, steps: int) -> tuple[Any, Any, Any]:
    """fdtdx's arrays, objects and configuration."""
    import fdtdx  # pyright: ignore[reportMissingImports]

    um, backend = 1e-6, "gpu" if jax.default_backend() == "gpu" else "cpu"
    config = fdtdx.SimulationConfig(
        time=steps * scene.dt / _C_UM_S, grid=fdtdx.UniformGrid(spacing=scene.step * um), backend=backend
    )
    volume = fdtdx.SimulationVolume(partial_grid_shape=scene.shape, name="volume")
    sides = {f"thickness_grid_{end}{axis}": scene.layer for end in ("min", "max") for axis in "xyz"}
    walls, constraints = fdtdx.boundary_objects_from_config(fdtdx.BoundaryConfig(**sides), volume)
    carrier = fdtdx.WaveCharacter(wavelength=scene.centre * um)
    pulse = fdtdx.GaussianPulseProfile(
        center_wave=carrier, spectral_width=fdtdx.WaveCharacter(frequency=scene.width * _C_UM_S)
    )

    def put(thing: Any, plane: Plane, cell: int) -> Any:
        spans = list(plane.window)
        spans.insert(plane.axis, (cell, cell + 1))
        low, high = zip(*spans, strict=True)
        constraints.append(thing.set_grid_coordinates((0, 1, 2) * 2, ("-",) * 3 + ("+",) * 3, low + high))
        return thing

    light = fdtdx.ModePlaneSource(
        name="source",
        wave_character=carrier,
        temporal_profile=pulse,
        direction="-" if plane.outward > 0 else "+",
        mode_index=order,
        filter_pol="te" if plane.te else "tm",
    )
    things = [volume, *walls.values(), put(light, plane, plane.source)]
    for p in scene.planes:
        monitor = fdtdx.PhasorDetector(
            name=p.name,
            wave_characters=tuple(fdtdx.WaveCharacter(wavelength=wl * um) for wl in scene.wl),
            exact_interpolation=False,
            scaling_mode="pulse",
            dft_subsample="auto",
            plot=False,
        )
        things.append(put(monitor, p, p.cell))
    objects, arrays, _, config, _ = fdtdx.place_objects(things, config, constraints)
    arrays = arrays.aset("inv_permittivities", jax.numpy.asarray(scene.inverse, jax.numpy.float32))
    seen = {"inv_permittivities": arrays.inv_permittivities, "inv_permeabilities": arrays.inv_permeabilities}
    made = [o.apply(key=jax.random.PRNGKey(0), **seen) if o is objects["source"] else o for o in objects.object_list]
    return arrays, fdtdx.ObjectContainer(object_list=made, volume_idx=objects.volume_idx), config


def _waves(scene: Scene, states: Any) -> tuple[np.ndarray, np.ndarray]:
    """Amplitudes away from and towards the device, [wl, channel]; H was recorded half a step in time after E."""
    out, into = [], []
    for number, wl in enumerate(scene.wl):
        found = []
        for plane, modes in zip(scene.planes, scene.modes[number], strict=True):
            field = np.take(np.asarray(states[plane.name]["phasor"])[0, number], 0, plane.axis + 1)
            u, v = (plane.axis + 1) % 3, (plane.axis + 2) % 3
            field = field.transpose(0, 2, 1) if u > v else field
            h = field[[3 + u, 3 + v]] * np.exp(1j * np.pi / wl * scene.dt)
            found += [waves(mode, field[[u, v]], h)[:: plane.outward] for mode in modes]
        out.append([pair[0] for pair in found])
        into.append([pair[1] for pair in found])
    return np.array(out), np.array(into)
