"""A device between its ports, solved on the whole grid: S-parameters and fields."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from os import cpu_count
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from picq.errors import SpecError
from picq.inverse.factor import Backend, checked_backend, solve
from picq.inverse.fdfd import Coefficients, Polarisation, assemble, at_wavelength, check_eps, coefficients
from picq.inverse.grid import Domain
from picq.inverse.ports import Port, line_of, scattering, solve_modes

T = TypeVar("T")


class Channels(NamedTuple):
    """All modes of all ports: a channel each, in the order of the ports, then of their modes."""

    names: tuple[tuple[str, int], ...]  # port and order
    source: np.ndarray  # [wl, unknown, channel]
    n_eff: np.ndarray  # [wl, channel]
    behind: np.ndarray  # [wl, channel]
    turn: np.ndarray  # [wl, channel]


@dataclass(frozen=True, eq=False)
class Simulation:
    """What is solved.

    Args:
        domain: the grid.
        eps: relative permittivity of the pixels, shape [nx, ny], or [wl, nx, ny] where materials are dispersive.
        polarisation: 'ez' for E out of the plane, 'hz' for H.
        ports: at least one, names different.
        wl: wavelengths, um, shape [wl].
        smooth: coefficients where those of ``eps`` as uniform pixels are not good enough, with or without a first axis
            of wavelengths.
        backend: of the factorisations, 'superlu' or 'pardiso'.

    Raises:
        SpecError: anything that cannot be solved, with what would be.
    """

    domain: Domain
    eps: np.ndarray
    polarisation: Polarisation
    ports: tuple[Port, ...]
    wl: np.ndarray
    smooth: Coefficients | None = None
    backend: Backend = "superlu"

    def __post_init__(self) -> None:
        if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
            raise SpecError(
                "fields need double precision",
                remedy='run jax.config.update("jax_enable_x64", True) before anything else, or set JAX_ENABLE_X64=1',
            )
        if self.polarisation not in ("ez", "hz"):
            raise SpecError("unknown polarisation", got=self.polarisation, allowed="'ez' or 'hz'")
        object.__setattr__(self, "wl", np.atleast_1d(np.asarray(self.wl, float)))
        object.__setattr__(self, "eps", np.asarray(self.eps))
        if not (self.wl.size and np.all(np.isfinite(self.wl)) and np.all(self.wl > 0)):
            raise SpecError("wavelengths", got=self.wl, allowed="above 0", remedy="give them in um")
        checked_backend(self.backend)
        check_eps(self.eps, self.domain.shape, "the permittivity of the domain", self.wl.size)
        if self.smooth is not None:
            (nx, ny), shapes = self.domain.shape, [np.shape(a)[-2:] for a in self.smooth if a is not None]
            if shapes != [(nx, ny), (nx + 1, ny), (nx, ny + 1), (nx + 1, ny + 1)][: len(shapes)]:
                raise SpecError("coefficients of the wrong shape", got=shapes, allowed=f"those of {nx} x {ny} pixels")
        names = [p.name for p in self.ports]
        if not names or len(set(names)) < len(names):
            raise SpecError("ports", got=names, allowed="at least one, each with a name of its own")
        for port in self.ports:
            line_of(self.domain, port)

    @cached_property
    def coefficients(self) -> Coefficients:
        """Of all pixels, with a first axis of wavelengths where there is dispersion."""
        if self.smooth is not None or self.eps.ndim == 2:
            return self.smooth or coefficients(self.eps, self.polarisation)
        each = [coefficients(eps, self.polarisation) for eps in self.eps]
        return jax.tree.map(lambda *parts: np.stack(parts), *each)

    @cached_property
    def channels(self) -> Channels:
        """The ports' modes and sources at every wavelength."""
        names = tuple((port.name, order) for port in self.ports for order in port.modes)
        at = [at_wavelength(self.coefficients, w) for w in range(self.wl.size)]
        modes = [[solve_modes(self.domain, at[w], p, wl) for p in self.ports] for w, wl in enumerate(self.wl)]
        source = np.zeros((self.wl.size, int(np.prod(self.domain.shape)), len(names)))
        for w, found in enumerate(modes):
            first = 0
            for port, mode in zip(self.ports, found, strict=True):
                last = first + len(port.modes)
                source[w, line_of(self.domain, port).numbers(self.domain.shape), first:last] = mode.source
                first = last
        gather = lambda name: np.array([np.concatenate([getattr(m, name) for m in found]) for found in modes])
        return Channels(names, source, gather("n_eff"), gather("behind"), gather("turn"))

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        """S and the fields.

        Returns:
            S, shape [wl, out, in], channels in the order of ``channels.names``, referred to the ports' places: waves of
            unit power, exp(-i omega t), so a straight guide has exp(+i beta L). And F (E_z or H_z) for one wave of unit
            power into each channel, [wl, channel, nx, ny]; unit power is sum(a phi phi) sin(theta) = 1 on the grid.
        """
        ch = self.channels

        def at(w: int) -> np.ndarray:
            matrix = assemble(self.domain, at_wavelength(self.coefficients, w), float(self.wl[w]))
            return solve(matrix, ch.source[w], self.backend)

        field = np.array(in_threads(at, self.wl.size))
        s, strength = scattering(np.swapaxes(ch.source, 1, 2) @ field, ch.behind, ch.turn)
        field = np.swapaxes(field @ strength, 1, 2)
        return s, field.reshape(*field.shape[:2], *self.domain.shape)


def in_threads(call: Callable[[int], T], count: int) -> list[T]:
    """``call`` of 0 to ``count`` - 1, side by side: the factorisations release Python's lock.

    BLAS that starts threads of its own would get in the way: set OPENBLAS_NUM_THREADS=1.
    """
    workers = min(count, cpu_count() or 1)
    if workers == 1:
        return [call(i) for i in range(count)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(call, range(count)))
