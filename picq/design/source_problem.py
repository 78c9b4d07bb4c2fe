"""A specification's pair source made computable: from a circuit on a chip to what figures are taken from."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from picq.circuit import Circuit
from picq.cut import opened, tapped
from picq.design.figures import decibel
from picq.design.source_figures import SOURCE_FIGURES, SourceFigure
from picq.errors import PicqError, SpecError
from picq.optics.operating_point import NITRIDE, SILICON, Medium
from picq.optics.resonator import wavelength
from picq.quantum.apparatus import Detection, Drive
from picq.quantum.comb import Comb, Filters, FrequencyBins, Pairs
from picq.quantum.figures import Analysers, all_pairs, check_source, figures
from picq.quantum.interference import indistinguishability
from picq.quantum.joint_spectrum import check_captured
from picq.quantum.lines import Lines
from picq.quantum.source import PairSource
from picq.technology import Technology

if TYPE_CHECKING:
    from picq.design.spec import Spec

_MEDIA = {"Si": SILICON, "SiN": NITRIDE}


class SourceProblem:
    """The source of a specification.

    Attributes:
        drive, detection: pump and detectors.
        analysers: instances of the signal's and the idler's time-bin analyser; empty where there are none.

        comb: filters of the comb's pairs, and the two that are frequency bins.
        available: keys of the figures that the source has.

    Raises:
        SpecError: an instance or port is unknown or of the wrong kind, the technology's core is not known as a source,
            analysers follow a continuous pump, there are two links, or a target needs what the source lacks.
        NumericsError: no rate can be told (``picq.quantum.figures.check_source``).
    """

    def __init__(self, spec: "Spec", tech: Technology, circuit: Circuit) -> None:
        assert spec.source is not None
        self.asked, self._channels, self._spec, self._nominal = spec.source, spec.channels, spec, tech
        asked = self.asked
        named = (asked.signal, asked.idler)
        self.analysers = tuple(name for name in dict.fromkeys(named) if name in circuit.instances)
        pump = asked.pump
        with _located(spec):
            self.medium = _medium(tech)
            self.drive = Drive(
                1e-3 * pump.power_mw,
                pump.shape,  # pyright: ignore[reportArgumentType]  checked by its section
                None if pump.fwhm_ps is None else 1e-12 * pump.fwhm_ps,
                None if pump.repetition_mhz is None else 1e6 * pump.repetition_mhz,
                2 if self.analysers else 1,
                1e6 * pump.detuning_mhz,
            )
            wanted = asked.detectors
            self.detection = Detection(
                wanted.efficiency, wanted.dark_hz, 1e-12 * wanted.jitter_ps, 1e-12 * wanted.window_ps
            )
            self._check_names(circuit)
            self.comb = self._comb()
        self.available = frozenset(key for key, kind in SOURCE_FIGURES.items() if not self._lacks(kind))
        self._targets = self._checked_targets()
        with _located(spec):
            check_source(self.source(circuit, tech), self.drive, self.medium)

    def _comb(self) -> Comb:
        of = lambda asked: Filters(asked.crosstalk, asked.transmission)
        asked, link = self.asked, self.asked.link
        if link is None:
            return Comb(of(asked.demultiplexers))
        if self.analysers:
            raise SpecError(
                "a source has one link: time-bin analysers, or frequency bins",
                got="both",
                remedy="leave `link` out, or name ports as `signal` and `idler`",
            )
        first, second = (asked.orders.index(m) for m in link.bins or asked.pairs[:2])
        return Comb(of(asked.demultiplexers), FrequencyBins(first, second, of(link.mixing)))

    def _lacks(self, kind: type[SourceFigure]) -> str:
        """What the source would need to have a figure; empty where it has it."""
        needs = {
            "a pulsed pump": kind.pulsed and self.drive.shape == "cw",
            "a continuous pump": kind.continuous and self.drive.shape != "cw",
            "time-bin analysers, named as `signal` and `idler`": kind.analysed and not self.analysers,
            "time-bin analysers or a `link`": kind.linked and not (self.analysers or self.comb.bins),
            "several `pairs`": kind.combed and not self.asked.pairs,
        }
        return next((what for what, missing in needs.items() if missing), "")

    def _checked_targets(self) -> frozenset[str]:
        """Keys of the figures that targets name."""
        found = [(i, t.measure) for i, t in enumerate(self._spec.targets) if isinstance(t.measure, SourceFigure)]
        for i, figure in found:
            if lacking := self._lacks(type(figure)):
                raise self._spec.error(
                    ("targets", i, "figure"), f"{figure.key}: the source lacks {lacking}", got=figure.key,
                    allowed=", ".join(sorted(self.available)),
                )  # fmt: skip
        return frozenset(figure.key for _, figure in found)

    def _check_names(self, circuit: Circuit) -> None:
        if len(self.analysers) == 1:
            raise SpecError("only one of the photons has an analyser", got=self.analysers[0], remedy="give both one")
        for name in self.analysers:
            if not hasattr(circuit.instances[name], "bins"):
                raise SpecError(
                    f"'{name}' is no time-bin analyser",
                    got=circuit.instances[name].name,
                    allowed="an exposed port, or an instance with two arms of different length",
                )
        if self.analysers and self.drive.shape == "cw":
            raise SpecError("time-bin analysers behind a continuous pump", remedy="give the pump a shape")
        ports = self._tapped(circuit).ports
        for what, port in (("pump", self.asked.pump.port), ("signal", self.asked.signal), ("idler", self.asked.idler)):
            if port not in ports:
                raise SpecError(f"port of the {what} is unknown", got=port, allowed=", ".join(ports))

    def _tapped(self, circuit: Circuit) -> Circuit:
        for name in self.analysers:
            circuit = tapped(circuit, name)
        return circuit

    def passing(self, circuit: Circuit) -> Circuit:
        """The circuit whose channels are measured: its ring cut open, its analysers replaced by ports."""
        return opened(self._tapped(circuit), self.asked.ring)[0]

    def source(self, circuit: Circuit, tech: Technology) -> PairSource:
        """Ring and chip."""
        asked = self.asked
        centre = 2e12 * np.pi * self._channels.center_thz
        return PairSource(
            self._tapped(circuit), tech, asked.ring, asked.pump.port, asked.signal, asked.idler, centre,
            asked.pair, asked.orders[1:],
        )  # fmt: skip

    def results(
        self, circuit: Circuit, tech: Technology, wanted: Collection[str] | None = None, designed: Circuit | None = None
    ) -> dict[str, jax.Array]:
        """What ``SOURCE_FIGURES`` are taken from, scalars by key.

        Args:
            circuit: the chip's.
            tech: the chip.
            wanted: keys that must be there; those that cost more are computed only for them. None: the targets'.
            designed: the circuit of the chip that was made as designed, on the nominal technology; None: ``circuit``.
        """
        wanted = self._targets if wanted is None else wanted
        some = lambda member: any(getattr(SOURCE_FIGURES[key], member) for key in wanted)
        source = self.source(circuit, tech)
        reference = self.source(circuit if designed is None else designed, self._nominal)
        two = some("compared") and (designed is not None or tech is not self._nominal)
        lines, other = source.lines_beside(reference) if two else (source.lines(), None)
        linked = some("linked")
        analysers = self._ways(circuit, tech, lines) if self.analysers and linked else None
        comb = self.comb if some("combed") or (linked and self.comb.bins) else None
        found = figures(source, lines, self.drive, self.detection, self.medium, analysers, self.asked.points, comb)
        if some("compared"):
            chips = None if other is None else (source.emitter(lines), reference.emitter(other))
            pulse, points = self.drive.pulse, self.asked.points
            found["indistinguishability"] = (
                found["purity"] if chips is None else indistinguishability(chips, pulse, points)
            )
        if some("analysed"):
            slowest = jnp.minimum(lines.signal.kappa, lines.idler.kappa)
            found["bin_overlap"] = jnp.exp(-slowest * self._delay_s(circuit, tech, lines))
        grid = self._channels
        ghz = [grid.center_thz * 1e3, grid.ghz[-1], grid.ghz[0]][: 3 if len(grid.ghz) > 1 else 1]
        omegas = [line.omega for line in (lines.pump, lines.signal, lines.idler)]
        offsets = [1e-9 / (2 * np.pi) * omega - at for omega, at in zip(omegas, ghz, strict=False)]
        return found | {
            "grid_offset_ghz": jnp.max(jnp.abs(jnp.stack(offsets))),
            "pump_rejection_db": -jnp.max(decibel(source.pump_leak(lines))),
        }

    def pairs(self, source: PairSource, lines: Lines) -> Pairs:
        """What each pair makes, in the order of ``asked.orders``."""
        return all_pairs(source, lines, self.drive, self.detection, self.medium, self.asked.points)

    def check_captured(self, fraction: Any) -> None:
        """Refuse a joint spectrum of which too little was computed.

        Raises:
            SpecError: ``fraction`` lies below the specification's ``captured_min``, or is no number.
        """
        try:
            check_captured(fraction, self.asked.captured_min)
        except SpecError as error:
            remedy = "raise `points` of the source, or accept less by its `captured_min`"
            raise self._spec.error(
                ("source",), error.what, got=error.got, allowed=error.allowed, remedy=remedy
            ) from None

    def _delay_s(self, circuit: Circuit, tech: Technology, lines: Any) -> jax.Array:
        """The shorter of both analysers' delays."""
        delays = []
        for name, line in ((self.asked.signal, lines.signal), (self.asked.idler, lines.idler)):
            device: Any = circuit.instances[name]
            delays.append(device.delay_ps(wavelength(line.omega), circuit.at_instance(name, tech)))
        return 1e-12 * jnp.minimum(*delays)

    def _ways(self, circuit: Circuit, tech: Technology, lines: Any) -> Analysers:
        def bins(name: str, omega: Any) -> tuple[jax.Array, jax.Array]:
            device: Any = circuit.instances[name]
            found = device.bins(wavelength(omega), circuit.at_instance(name, tech))
            short, long = (jnp.stack([v for (arm, _), v in found.items() if arm == way]) for way in ("short", "long"))
            return short, long

        return Analysers(bins(self.asked.signal, lines.signal.omega), bins(self.asked.idler, lines.idler.omega))


@contextmanager
def _located(spec: "Spec") -> Iterator[None]:
    """Errors name the section."""
    try:
        yield
    except PicqError as error:
        raise spec.error(("source",), error.what, got=error.got, allowed=error.allowed, remedy=error.remedy) from None


def _medium(tech: Technology) -> Medium:
    core = tech.platform.film.core
    name = str(core[0] if isinstance(core, tuple) else core)
    if name not in _MEDIA:
        raise SpecError(
            f"no pair source is known in {name}", allowed=", ".join(_MEDIA), remedy="use another technology"
        )
    return _MEDIA[name]
