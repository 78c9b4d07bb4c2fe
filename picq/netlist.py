"""Circuits from gdsfactory netlists: a chip drawn in gdsfactory simulates as it is drawn.

Instances become devices by the name of their cell *function*. A cell without a device is entered when the netlist
describes its inside; otherwise it is an error: nothing is dropped or taken as zero silently.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from picq import catalogue
from picq.circuit import Circuit
from picq.device import Device
from picq.errors import SpecError, nearest
from picq.technology import Technology

if TYPE_CHECKING:
    import gdsfactory as gf

Kinds = Mapping[str, type[Device]]


def from_netlist(
    netlist: Mapping[str, Any], tech: Technology, devices: Kinds | None = None, open_ports: Iterable[str] = ()
) -> Circuit:
    """The circuit that a gdsfactory netlist describes; electrical instances, nets and ports are left out.

    ``get_netlist()`` rounds to 3 decimals unless told otherwise; :func:`circuit_of` avoids that and more.

    Args:
        netlist: ``component.get_netlist()``, or the dictionary of netlists of ``get_netlist(recursive=True)``, whose
            first entry is the top and whose others are entered where a cell has no device of its own.
        tech: gives the defaults of what the netlist does not set.
        devices: device class by cell function; all of picq's by default.
        open_ports: patterns (shell-style) of ports ``"instance,port"`` that may stay open; inner instances are
            ``outer/inner``.

    Raises:
        SpecError: a cell has no device, a setting is unknown to its device or out of bounds, or a port is open.
    """
    netlists = {"": netlist} if "instances" in netlist else dict(netlist)
    reader = _Reader(netlists, tech, catalogue.devices() if devices is None else devices, {}, frozenset())
    return _closed(reader.circuit(next(iter(netlists))), open_ports, ())


def circuit_of(
    component: "gf.Component", tech: Technology, devices: Kinds | None = None, open_ports: Iterable[str] = ()
) -> Circuit:
    """The circuit that is drawn in ``component``, with the lengths of its routed waveguides as drawn.

    Settings are read with all their digits. Arguments and errors as :func:`from_netlist`; where ports meet with
    different widths, or more than two ports meet, the error says so.
    """
    from gdsfactory.get_netlist import SmartNamer, function_namer

    functions: dict[str, str] = {}
    dark: set[str] = set()

    def cell_name(cell: Any) -> str:
        # unlike the function's name this is unique, so variants of one cell keep their own sub-netlists
        functions[cell.name] = function_namer(cell)
        if all(port.port_type == "electrical" for port in cell.ports):
            dark.add(cell.name)
        return cell.name

    try:
        netlists = component.get_netlist(
            recursive=True,
            on_dangling_port="ignore",  # reported by _closed
            instance_namer=SmartNamer(function_namer),
            component_namer=cell_name,
            netlist_namer=cell_name,
            serialization_max_digits=9,
        )
    except ValueError as error:
        raise SpecError(f"the layout of '{component.name}' is not a circuit", got=str(error)) from None
    devices = catalogue.devices() if devices is None else devices
    reader = _Reader(netlists, tech, devices, functions, frozenset(dark))
    return _closed(reader.circuit(component.name).snapped(), open_ports, _mismatches(component))


class _Reader:
    """Netlists by name, and what is needed to understand them."""

    def __init__(
        self,
        netlists: Mapping[str, Mapping[str, Any]],
        tech: Technology,
        devices: Kinds,
        functions: Mapping[str, str],
        dark: frozenset[str],
    ) -> None:
        self.netlists, self.tech, self.devices, self.functions, self.dark = netlists, tech, devices, functions, dark

    def circuit(self, name: str) -> Circuit:
        netlist = self.netlists[name]
        links = [(net["p1"], net["p2"]) for net in netlist.get("nets", ())]
        links += list(netlist.get("connections", {}).items())
        ports = dict(netlist.get("ports", {}))
        used = [end for link in links for end in link] + list(ports.values())
        instances: dict[str, Device] = {}
        for instance, written in netlist["instances"].items():
            entry: dict[str, Any] = {"component": written} if isinstance(written, str) else written
            if self._is_electrical(instance, entry, used):
                continue
            made = self._device(instance, entry)
            instances |= dict.fromkeys(_members(instance, entry.get("array")), made)
        connections = [(a, b) for a, b in links if self._optical(a, instances) or self._optical(b, instances)]
        exposed = [(port, end) for port, end in ports.items() if self._optical(end, instances)]
        return Circuit(instances, tuple(connections), tuple(exposed))

    def _device(self, instance: str, entry: Mapping[str, Any]) -> Device:
        component = entry["component"]
        function = self.functions.get(component, component)
        settings = {k: v for k, v in (entry.get("settings") or {}).items() if v is not None}
        if function in self.devices:
            try:
                if "cross_section" in settings:
                    self.tech.cross_section(settings["cross_section"])
                return self.devices[function].on(self.tech, **settings)
            except SpecError as error:
                raise SpecError(
                    f"instance '{instance}': {error.what}", got=error.got, allowed=error.allowed, remedy=error.remedy
                ) from None
        if component in self.netlists:
            base = function.rstrip("0123456789").rstrip("_")
            if not self.functions and base in self.devices:
                raise SpecError(
                    f"instance '{instance}': '{component}' may be a variant of the device '{base}', or not",
                    remedy="read the component itself with picq.netlist.circuit_of, or give the cell another name",
                )
            return self.circuit(component)
        raise SpecError(
            f"instance '{instance}': no device for cell '{function}', and no netlist of its inside",
            allowed=", ".join(self.devices),
            remedy=nearest(function, self.devices)
            or "pass devices={...} with a device class of yours, or a recursive netlist",
        )

    def _is_electrical(self, instance: str, entry: Mapping[str, Any], used: Iterable[str]) -> bool:
        component = entry["component"]
        section = (entry.get("settings") or {}).get("cross_section")
        if isinstance(section, str) and section in self.tech.cross_sections:
            return self.tech.cross_sections[section].electrical
        function = self.functions.get(component, component)
        if function in self.devices:
            return not self.devices[function].ports
        # without the component itself, only gdsfactory's naming of ports tells: e1, e2 … are electrical
        ports = [end.partition(",")[2] for end in used if end.partition(",")[0].partition("<")[0] == instance]
        return component in self.dark or (bool(ports) and all(p[:1] == "e" and p[1:].isdigit() for p in ports))

    @staticmethod
    def _optical(end: str, instances: Mapping[str, Device]) -> bool:
        name, _, port = end.partition(",")
        return name in instances and port in instances[name].ports


def _members(instance: str, array: Mapping[str, Any] | None) -> list[str]:
    """Names of the members of an array instance: ``name<column.row>``."""
    if not array:
        return [instance]
    columns, rows = array.get("columns", array.get("na", 1)), array.get("rows", array.get("nb", 1))
    return [f"{instance}<{a}.{b}>" for a in range(columns) for b in range(rows)]


def _closed(circuit: Circuit, open_ports: Iterable[str], reasons: Iterable[str]) -> Circuit:
    """``circuit``, unless a port is open that may not be."""
    patterns = list(open_ports)
    left = [end for end in circuit.dangling() if not any(fnmatchcase(end, pattern) for pattern in patterns)]
    if left:
        raise SpecError(
            "ports are connected to nothing: " + ", ".join(left),
            got="; ".join(reasons) or None,
            remedy="connect them, expose them as ports of the top cell, end them in a terminator, or name them in "
            "open_ports",
        )
    return circuit


def _mismatches(component: "gf.Component") -> list[str]:
    """Places where optical ports of two instances meet with different widths."""
    met: dict[tuple[int, int], list[float]] = {}
    for instance in component.insts:
        for port in instance.ports:
            if port.port_type == "optical":
                x, y = port.center
                met.setdefault((round(x * 1000), round(y * 1000)), []).append(port.width)
    return [
        f"widths of {' and '.join(f'{w:g}' for w in sorted(set(widths)))} um meet at ({x / 1000:g}, {y / 1000:g})"
        for (x, y), widths in met.items()
        if len(set(widths)) > 1
    ]
