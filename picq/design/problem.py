"""From a specification to numbers: design variables, a smooth loss, and the figures that are reported."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from picq import catalogue
from picq.circuit import Circuit
from picq.design.figures import Area, Comb, Figure, decibel
from picq.design.grid import C_UM_GHZ
from picq.design.netlist import circuit_of, located
from picq.design.source_figures import SourceFigure
from picq.design.source_problem import SourceProblem
from picq.design.spec import Spec
from picq.design.variables import Slot, slots
from picq.design.variation import Block, blocks_of
from picq.errors import SpecError, nearest
from picq.technology import CrossSection, Technology

_MARGIN = 1.0
"""The loss still pulls where a target is just met: by this many of a figure's scale."""

_PULL = 0.2
"""Slope of the loss along an aim, per scale of its figure. A bound pushes back with a slope of up to 1 per scale: the
two meet on its good side while the aim gains up to three times what the bound loses."""

_STEEPEST = 0.5
"""Largest change of a power transmission (0 … 1) from one grid point to the next that counts as resolved."""


class Problem:
    """A specification made computable.

    Attributes:
        spec: what was asked.
        tech: the nominal technology.
        whole: the circuit with its start values, as it goes on the mask.
        measured: the same without the instances that ``spec.excluding`` takes out.
        slots: the design variables, in the order of the vector ``x``, shape [variables].
        comb: channels and grid.

    Raises:
        SpecError: a name is unknown, a bound lies outside the device's, the grid does not resolve the spectra or
            leaves the technology's range.
    """

    def __init__(
        self, spec: Spec, tech: Technology | None = None, circuit: Circuit | None = None, *, resolved: bool = False
    ) -> None:
        """``resolved``: the grid was found fine enough for this circuit with other routes."""
        self.spec = spec
        try:
            self.tech = catalogue.technology(spec.technology) if tech is None else tech
        except SpecError as error:
            raise located(spec, ("technology",), error) from None
        self.whole = circuit_of(spec, self.tech) if circuit is None else circuit
        self.measured = self.whole
        for i, pattern in enumerate(spec.excluding):
            try:
                self.measured = self.measured.without(pattern)
            except SpecError as error:
                raise located(spec, ("excluding", i), error) from None
        self.source = None if spec.source is None else SourceProblem(spec, self.tech, self.measured)
        known = (self.measured if self.source is None else self.source.passing(self.measured)).ports
        for path, port in (
            (("channels", "input"), spec.channels.input),
            *((("channels", "outputs", i), p) for i, p in enumerate(spec.channels.outputs)),
        ):
            if port not in known:
                raise spec.error(
                    path, f"the circuit has no port '{port}'", allowed=", ".join(known), remedy=nearest(port, known)
                )
        self.slots = tuple(
            slot
            for i, v in enumerate(spec.variables)
            for slot in slots(spec, self.tech, self.measured, v.parameter, ("variables", i), v.lower, v.upper)
        )
        self.trims = tuple(
            slot
            for i, name in enumerate(spec.tolerance.trim)
            for slot in slots(spec, self.tech, self.measured, name, ("tolerance", "trim", i))
        )
        for slot in self.trims:
            if slot.unit not in ("mw", "k", "ghz"):
                raise spec.error(
                    ("tolerance", "trim"), f"'{slot.name}' is no heater power, temperature or shift of the grid",
                    got=f"in {slot.unit}", allowed="parameters in mw, k or ghz",
                )  # fmt: skip
        if {"k", "ghz"} <= {slot.unit for slot in self.trims}:
            raise spec.error(
                ("tolerance", "trim"), "a comb is put back twice", got="by a temperature and by light that follows",
                allowed="one of them, and heaters besides",
            )  # fmt: skip
        self.comb = Comb(spec.wavelengths.ghz, spec.channels.ghz, spec.channels.spacing_ghz)
        self.figures_asked: tuple[Figure, ...] = tuple(t.measure for t in spec.targets)
        self.bounds_asked = tuple(t.bound for t in spec.targets)
        for i, figure in enumerate(self.figures_asked):
            if isinstance(figure, SourceFigure) and figure.analysed and not (self.source and self.source.analysers):
                raise spec.error(
                    ("targets", i, "figure"), "only a source with time-bin analysers has it", got=figure.key,
                    remedy="name the analysers as `signal` and `idler` of the source",
                )  # fmt: skip
            if isinstance(figure, Area) and not self._extents(self.measured):
                raise spec.error(
                    ("targets", i, "figure"), "no device of this circuit knows its area",
                    got=", ".join(sorted({device.name for device in self.measured.flat().instances.values()})),
                    remedy="leave the target out",
                )  # fmt: skip
        self._check_range()
        if not resolved:
            self._check_aliasing()

    # -- variables ------------------------------------------------------------------------------------------------

    @cached_property
    def lower(self) -> np.ndarray:
        """Lower bounds, shape [variables]."""
        return np.array([s.lower for s in self.slots])

    @cached_property
    def upper(self) -> np.ndarray:
        """Upper bounds, shape [variables]."""
        return np.array([s.upper for s in self.slots])

    @cached_property
    def places(self) -> tuple[Block, ...]:
        """Places of the measured circuit that vary together."""
        return blocks_of(self.tech, self.measured)

    @cached_property
    def blocks(self) -> tuple[np.ndarray, ...]:
        """Positions in ``x`` of the variables of each instance."""
        names = [s.instance for s in self.slots]
        return tuple(np.flatnonzero([n == name for n in names]) for name in dict.fromkeys(names))

    def device(self, x: Any, circuit: Circuit | None = None, slots: tuple[Slot, ...] | None = None) -> Circuit:
        """``circuit`` (the measured one by default) with ``x`` in place of the variables ``slots``."""
        circuit = self.measured if circuit is None else circuit
        changed: dict[str, dict[str, Any]] = {}
        for value, slot in zip(x, self.slots if slots is None else slots, strict=True):
            parameters = changed.setdefault(slot.instance, {})
            if slot.index is None:
                parameters[slot.parameter] = value
            else:
                old = parameters.get(slot.parameter, getattr(circuit.instances[slot.instance], slot.parameter))
                parameters[slot.parameter] = (*old[: slot.index], value, *old[slot.index + 1 :])
        instances = {name: circuit.instances[name].replace(**values) for name, values in changed.items()}
        return circuit.replace(instances={**circuit.instances, **instances})

    def vector(self, circuit: Circuit, slots: tuple[Slot, ...] | None = None) -> Any:
        """The values of the variables in ``circuit``: the inverse of ``device``."""
        out = []
        for slot in self.slots if slots is None else slots:
            value = getattr(circuit.instances[slot.instance], slot.parameter)
            out.append(value if slot.index is None else value[slot.index])
        # plain numbers need no compiler
        plain = all(isinstance(v, float) for v in out)
        return np.array(out) if plain else jnp.stack([jnp.asarray(v, float) for v in out])

    # -- spectra, figures, loss -----------------------------------------------------------------------------------

    def power(self, circuit: Circuit, tech: Technology, ghz: Any) -> jax.Array:
        """Power transmission from the input to each output, [channel, …shape of ghz]."""
        channels = self.spec.channels
        circuit = circuit if self.source is None else self.source.passing(circuit)
        amplitude = circuit.transfer(C_UM_GHZ / jnp.asarray(ghz), tech, (channels.input,), channels.outputs)
        return jnp.moveaxis(jnp.real(amplitude) ** 2 + jnp.imag(amplitude) ** 2, -1, 0)[..., 0]

    def spectra(self, circuit: Circuit, tech: Technology) -> jax.Array:
        """Transmissions in dB on the fine grid, [channel, point]."""
        return decibel(self.power(circuit, tech, self.comb.ghz))

    def measure(self, db: jax.Array, circuit: Circuit, tech: Technology, designed: Circuit | None = None) -> jax.Array:
        """Figures of a circuit with these spectra in dB on its chip, [figure, channel], as ``spec.labels``.

        ``designed`` is the circuit of a chip made as designed, for figures of two chips; None: ``circuit``.
        """
        return self._measured(db, circuit, self._found(circuit, tech, designed))

    def _measured(self, db: jax.Array, circuit: Circuit, found: Mapping[str, Any]) -> jax.Array:
        extents = self._extents(circuit)

        def figure_of(figure: Figure) -> jax.Array:
            if isinstance(figure, Area):
                return jnp.broadcast_to(figure.of(extents), db.shape[:1])
            if isinstance(figure, SourceFigure):
                return jnp.broadcast_to(figure.of(found), db.shape[:1])
            return figure.measure(db, self.comb)

        return jnp.stack([figure_of(figure) for figure in self.figures_asked])

    def _found(self, circuit: Circuit, tech: Technology, designed: Circuit | None = None) -> Mapping[str, Any]:
        """Results of the source where a figure is taken from them."""
        asked = any(isinstance(figure, SourceFigure) for figure in self.figures_asked)
        return self.source.results(circuit, tech, designed=designed) if self.source and asked else {}

    def _extents(self, circuit: Circuit) -> list[tuple[Any, Any]]:
        """Of the devices that know theirs, as they were designed."""
        found = (device.extent(self.tech) for device in circuit.flat().instances.values())
        return [extent for extent in found if extent is not None]

    def worst(self, figures: Any) -> np.ndarray:
        """The worst channel of each figure, [..., figure], from [..., figure, channel]."""
        values = np.asarray(figures)
        picks = [np.max if figure.sense == "max" else np.min for figure in self.figures_asked]
        return np.stack([pick(values[..., i, :], axis=-1) for i, pick in enumerate(picks)], axis=-1)

    def met(self, worst: Any) -> np.ndarray:
        """Which targets are met, [..., figure]: those without a bound always, none whose figure is not finite."""
        worst = np.asarray(worst)
        out = np.isfinite(worst)
        for i, (figure, bound) in enumerate(zip(self.figures_asked, self.bounds_asked, strict=True)):
            if bound is not None:
                out[..., i] &= worst[..., i] <= bound if figure.sense == "max" else worst[..., i] >= bound
        return out

    @cached_property
    def _wanted(self) -> tuple[tuple[Figure, float, bool], ...]:
        """(figure, bound, whether it is an aim) of everything that the loss sees; an aim counts from zero."""
        bounds = [(t.measure, t.bound, False) for t in self.spec.targets if t.bound is not None]
        aims = [(t.measure, _start(t.measure), True) for t in self.spec.targets if t.aimed]
        return (*bounds, *aims)

    @cached_property
    def _offsets(self) -> np.ndarray:
        probes = {round(p, 6) for figure, bound, _ in self._wanted for p in figure.probes(bound)}
        return np.array(sorted(probes or {0.0}))

    def _residuals(
        self, circuit: Circuit, tech: Technology, designed: Circuit | None = None
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """(of each bound, of each aim) the residuals in units of its figure's scale, flat."""
        ghz = self.comb.channels_ghz[:, None] + self._offsets
        db = decibel(self.power(circuit, tech, ghz))
        found = self._found(circuit, tech, designed)

        def of(figure: Figure, bound: float) -> jax.Array:
            if isinstance(figure, Area):
                return figure.of(self._extents(circuit)) - bound
            if isinstance(figure, SourceFigure):
                return figure.excess(found, bound)
            return figure.residuals(db, self._offsets, bound)

        parts: tuple[list[jax.Array], list[jax.Array]] = [], []
        for figure, bound, aimed in self._wanted:
            residuals = (of(figure, bound) / figure.scale).ravel()
            if residuals.size:
                parts[aimed].append(residuals)
        return parts

    def loss_of(self, circuit: Circuit, tech: Technology) -> jax.Array:
        """The smooth loss: for each bound, the mean of softplus(residual/scale + margin) over what it probes; for each
        aim, the mean of its residuals times a pull."""
        bounds, aims = self._residuals(circuit, tech)
        terms = [jnp.mean(jax.nn.softplus(r + _MARGIN)) for r in bounds] + [_PULL * jnp.mean(r) for r in aims]
        return jnp.sum(jnp.stack(terms)) if terms else jnp.zeros(())

    def risk_of(self, circuit: Circuit, tech: Technology, designed: Circuit | None = None) -> jax.Array:
        """How badly a chip fails: softplus(2 (largest residual/scale + 1/2)); far below 1 on a chip that passes. Aims
        pull as they do in the loss.

        Its mean over chips follows the fraction that fails (measured over 32 designs: correlation 0.91), while the
        loss follows the margin of the nominal design and says little about yield.
        """
        bounds, aims = self._residuals(circuit, tech, designed)
        pull = sum((_PULL * jnp.mean(r) for r in aims), jnp.zeros(()))
        return pull + (jax.nn.softplus(2 * (jnp.concatenate(bounds).max() + 0.5)) if bounds else 0.0)

    def excess_of(self, circuit: Circuit, tech: Technology, designed: Circuit | None = None) -> jax.Array:
        """By how much a chip misses each bound at its worst, in units of the figure's scale, [bound]."""
        return jnp.array([r.max() for r in self._residuals(circuit, tech, designed)[0]])

    def trimmed(self, circuit: Circuit, tech: Technology) -> tuple[Circuit, jax.Array]:
        """The circuit as an operator trims it on a chip, and the powers of the trimmed heaters, [trim].

        Only heaters that ``tolerance.trim`` names move; each stage gets its nominal phase back at the comb's centre.
        They are set once, at the reference temperature: the chip's ``process.temperature_k`` is drift thereafter and
        is not seen here. What a place has of its own (``mismatch``) is static and is trimmed away.
        """
        wl0 = C_UM_GHZ / (self.spec.channels.center_thz * 1e3)
        settled = dataclasses.replace(tech.process, temperature_k=self.tech.process.temperature_k)
        powers = self.vector(circuit.rebiased(wl0, tech.at(settled), self.tech), self.trims)
        return (self.device(powers, circuit, self.trims) if self.trims else circuit), powers

    def retuned(self, x: Any, start: Circuit) -> Circuit:
        """The circuit of ``x`` with its heaters where an operator has them: a variable that is also trimmed is the
        power that the stage would have in ``start``, and stands for the phase that this gives there, whatever the
        other variables are. Traceable."""
        trimmed = [slot.name for slot in self.trims]
        heaters = [slot.name in trimmed for slot in self.slots]
        if not any(heaters):
            return self.device(x)
        tuned, rest = (
            tuple(s for s, h in zip(self.slots, heaters, strict=True) if h == which) for which in (True, False)
        )
        of = lambda slots: [x[self.slots.index(slot)] for slot in slots]
        wl0 = C_UM_GHZ / (self.spec.channels.center_thz * 1e3)
        like, moved = self.device(of(tuned), start, tuned), self.device(of(rest), start, rest)
        return self.device(self.vector(moved.rebiased(wl0, self.tech, self.tech, like), tuned), moved, tuned)

    def loss(self, x: Any) -> jax.Array:
        """The loss of a design on the nominal technology; traceable."""
        return self.loss_of(self.device(x), self.tech)

    @cached_property
    def _figures_of_x(self) -> Any:
        """From x to the figures and, of a source with pulses, the share of the joint spectrum on its grid."""

        def look(x: Any) -> tuple[jax.Array, jax.Array | None]:
            circuit = self.device(x)
            found = self._found(circuit, self.tech)
            return self._measured(self.spectra(circuit, self.tech), circuit, found), found.get("captured")

        return jax.jit(look)

    def figures_array(self, x: Any) -> jax.Array:
        """Reported figures of a design on the nominal technology, [figure, channel]."""
        return self._figures_of_x(jnp.asarray(x))[0]

    def check_figures(self, x: Any) -> None:
        """Refuse a design whose figures nobody should rely on.

        Raises:
            SpecError: its joint spectrum does not lie on the grid.
        """
        captured = self._figures_of_x(jnp.asarray(x))[1]
        if self.source and captured is not None:
            self.source.check_captured(captured)

    def figures(self, x: Any) -> Mapping[str, np.ndarray]:
        """Reported figures of a design by label, each [channel]."""
        return dict(zip(self.spec.labels, np.asarray(self.figures_array(x)), strict=True))

    # -- checks ---------------------------------------------------------------------------------------------------

    @cached_property
    def guides(self) -> tuple[CrossSection, ...]:
        """The cross-sections with light in them, by name."""
        named = {v for dev in self.measured.flat().instances.values() for v in dev.settings().values()
                 if isinstance(v, str) and v in self.tech.cross_sections}  # fmt: skip
        return tuple(self.tech.cross_sections[v] for v in sorted(named) if not self.tech.cross_sections[v].electrical)

    def _check_range(self) -> None:
        wl = np.sort(C_UM_GHZ / self.comb.ghz[[0, -1]])
        for name, ends in ((xs.name, xs.modes["te0"].ranges.wl) for xs in self.guides):
            if not (ends[0] <= wl[0] and wl[1] <= ends[1]):
                low, high = (C_UM_GHZ / v * 1e-3 for v in reversed(ends))
                raise self.spec.error(
                    ("wavelengths",),
                    f"the grid leaves the range in which {self.tech.name} knows cross-section '{name}'",
                    got=f"{wl[0]:.4f} … {wl[1]:.4f} um",
                    allowed=f"{ends[0]:g} … {ends[1]:g} um ({low:.3f} … {high:.3f} THz)",
                )

    def _check_aliasing(self) -> None:
        """Refuse a grid whose steps are too coarse for the spectra.

        The exact slope of the power transmissions is taken at random designs and random frequencies, so that a step
        of a whole free spectral range is not mistaken for a flat spectrum.
        """
        draw = np.random.default_rng(self.spec.seed)
        x = self.lower + draw.random((4, len(self.slots))) * (self.upper - self.lower)
        step = float(np.diff(self.comb.ghz).max())
        ghz = draw.uniform(self.comb.ghz[0], self.comb.ghz[-1], 64)

        def slope(x: jax.Array) -> jax.Array:
            power = lambda f: self.power(self.device(x), self.tech, f)
            return jax.jvp(power, (jnp.asarray(ghz),), (jnp.ones_like(ghz),))[1]

        steepest = float(jnp.abs(jax.jit(jax.vmap(slope))(jnp.asarray(x))).max())
        if steepest * step > _STEEPEST:
            raise self.spec.error(
                ("wavelengths",),
                "the grid is too coarse for the spectra of this circuit (it aliases their free spectral range)",
                got=f"steps of {step:g} GHz; the transmission changes by up to {steepest:.2g} per GHz",
                allowed=f"steps of at most {_STEEPEST / steepest:.2g} GHz",
                remedy="make step_ghz smaller (or points larger)",
            )


def _start(figure: Figure) -> float:
    """From which an aim counts."""
    return 1.0 if isinstance(figure, SourceFigure) and figure.logarithmic else 0.0
