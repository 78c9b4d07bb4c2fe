"""Design variables: elements of parameters of instances, with bounds that the device and the technology allow."""

from dataclasses import dataclass
from typing import Any

from picq.circuit import Circuit
from picq.design.spec import Spec
from picq.device import Bounds, bounds
from picq.errors import nearest
from picq.technology import Technology


@dataclass(frozen=True)
class Slot:
    """One design variable: an element of a parameter of an instance.

    Attributes:
        instance, parameter: names.
        index: element of a tuple parameter, None for a plain one.
        lower, upper: bounds, in ``unit``.
    """

    instance: str
    parameter: str
    index: int | None
    lower: float
    upper: float
    unit: str

    @property
    def name(self) -> str:
        """``instance.parameter[index]``."""
        return f"{self.instance}.{self.parameter}" + ("" if self.index is None else f"[{self.index}]")


def slots(
    spec: Spec,
    tech: Technology,
    circuit: Circuit,
    name: str,
    path: tuple[str | int, ...],
    lower: Any = None,
    upper: Any = None,
) -> tuple[Slot, ...]:
    """The variables that ``instance.parameter`` or one of its elements stands for.

    Args:
        spec: for the place in the file that errors name.
        tech: tightens the device's bounds.
        circuit: has the instance.
        name: ``instance.parameter`` or ``instance.parameter[index]``.
        path: of the entry in the specification.
        lower, upper: bounds, one number or one for each element; the device's own when None.

    Raises:
        SpecError: instance, parameter or element is unknown, or a bound lies outside the device's.
    """
    plain, _, bracket = name.partition("[")
    instance, parameter = plain.rsplit(".", 1)
    index = int(bracket[:-1]) if bracket else None
    place = (*path, "parameter") if lower is not None else path
    if instance not in circuit.instances:
        known = circuit.instances
        raise spec.error(
            place, f"the circuit has no instance '{instance}'", got=name, allowed=", ".join(known),
            remedy=nearest(instance, known),
        )  # fmt: skip
    dev = circuit.instances[instance]
    known = bounds(type(dev), tech) if not isinstance(dev, Circuit) else {}
    if parameter not in known:
        raise spec.error(
            place, f"{dev.name} '{instance}' has no parameter '{parameter}'", got=name,
            allowed=", ".join(known), remedy=nearest(parameter, known),
        )  # fmt: skip
    value = getattr(dev, parameter)
    count = len(value) if isinstance(value, tuple) else None
    if index is not None and (count is None or index >= count):
        raise spec.error(
            place, f"'{instance}.{parameter}' has no element [{index}]", got=name,
            allowed="no index: it is one number" if count is None else f"[0] … [{count - 1}]",
        )  # fmt: skip
    chosen = [index] if count is None or index is not None else list(range(count))
    low = _spread(spec, known[parameter], lower, len(chosen), path, "lower")
    high = _spread(spec, known[parameter], upper, len(chosen), path, "upper")
    unit = known[parameter].unit
    return tuple(
        Slot(instance, parameter, i, least, most, unit) for i, least, most in zip(chosen, low, high, strict=True)
    )


def _spread(spec: Spec, own: Bounds, given: Any, count: int, path: tuple[str | int, ...], end: str) -> list[float]:
    if given is None:
        return [float(getattr(own, end))] * count
    values = [given] * count if isinstance(given, float) else list(given)
    if len(values) != count:
        raise spec.error(
            (*path, end), "the number of bounds does not fit", got=len(values),
            allowed=f"one number, or {count}: one for each element",
        )  # fmt: skip
    for i, value in enumerate(values):
        if not own.lower <= value <= own.upper:
            raise spec.error(
                (*path, end) if isinstance(given, float) else (*path, end, i),
                "the bound lies outside what the device allows",
                got=f"{value:g} {own.unit}",
                allowed=f"{own.lower:g} … {own.upper:g} {own.unit}",
            )
    return [float(v) for v in values]
