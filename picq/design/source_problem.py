"""A specification's pair source made computable: from a circuit on a chip to what figures are taken from."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from picq.circuit import Circuit
from picq.cut import opened, tapped
from picq.design.figures import decibel
from picq.errors import PicqError, SpecError
from picq.optics.operating_point import NITRIDE, SILICON, Medium
from picq.optics.resonator import wavelength
from picq.quantum.figures import Analysers, Detection, Drive, check_source, figures
from picq.quantum.joint_spectrum import check_captured
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

    Raises:
        SpecError: an instance or port is unknown or of the wrong kind, the technology's core is not known as a source,
            or analysers follow a continuous pump.
        NumericsError: no rate can be told (``picq.quantum.figures.check_source``).
    """

    def __init__(self, spec: "Spec", tech: Technology, circuit: Circuit) -> None:
        assert spec.source is not None
        self.asked, self._channels, self._spec = spec.source, spec.channels, spec
        asked = self.asked
        named = (asked.signal, asked.idler)
        self.analysers = tuple(name for name in dict.fromkeys(named) if name in circuit.instances)
        pump = asked.pump
        try:
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
            check_source(self.source(circuit, tech), self.drive, self.medium)
        except PicqError as error:
            raise spec.error(
                ("source",), error.what, got=error.got, allowed=error.allowed, remedy=error.remedy
            ) from None

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
            self._tapped(circuit), tech, asked.ring, asked.pump.port, asked.signal, asked.idler, centre, asked.pair
        )

    def results(self, circuit: Circuit, tech: Technology) -> dict[str, jax.Array]:
        """What ``SOURCE_FIGURES`` are taken from, scalars by key."""
        source = self.source(circuit, tech)
        lines = source.lines()
        analysers = self._ways(circuit, tech, lines) if self.analysers else None
        found = figures(source, lines, self.drive, self.detection, self.medium, analysers, self.asked.points)
        comb = self._channels
        grid = [comb.center_thz * 1e3, comb.ghz[-1], comb.ghz[0]][: 3 if len(comb.ghz) > 1 else 1]
        offsets = [1e-9 / (2 * np.pi) * line.omega - ghz for line, ghz in zip(lines[:3], grid, strict=False)]
        if self.analysers:
            slowest = jnp.minimum(lines.signal.kappa, lines.idler.kappa)
            found["bin_overlap"] = jnp.exp(-slowest * self._delay_s(circuit, tech, lines))
        return found | {
            "grid_offset_ghz": jnp.max(jnp.abs(jnp.stack(offsets))),
            "pump_rejection_db": -jnp.max(decibel(source.pump_leak(lines))),
        }

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


def _medium(tech: Technology) -> Medium:
    core = tech.platform.film.core
    name = str(core[0] if isinstance(core, tuple) else core)
    if name not in _MEDIA:
        raise SpecError(
            f"no pair source is known in {name}", allowed=", ".join(_MEDIA), remedy="use another technology"
        )
    return _MEDIA[name]
