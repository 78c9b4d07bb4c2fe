"""Circuits: devices made of devices. The model is the exact S-matrix of the network; the cell is an assembly."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import jax

from picq.device import Device
from picq.errors import SpecError, nearest
from picq.network import Flat, Port, s_parameters, transfer
from picq.plan import Plan
from picq.sdict import SDict

if TYPE_CHECKING:
    import gdsfactory as gf

    from picq.assembly import Assembly
    from picq.technology import Technology

C = TypeVar("C", bound="Circuit")


def _static(default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"kind": "setting", "static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Circuit(Device):
    """Devices, or circuits, connected port to port.

    Attributes:
        instances: devices by name, kept in alphabetical order; a name holds neither ``/`` nor ``,``.
        connections: pairs of ports, each ``"instance,port"``. Light passes without loss or reflection.
        exposed: (external name, ``"instance,port"``) of the circuit's own ports, in their order.
        plan: where the instances lie on the mask and how connections run; the model does not look at it.

    A port that is neither connected nor exposed is dangling: light that leaves there is lost (see ``dangling``).

    Raises:
        SpecError: an instance or port is unknown or used twice, or a name is not allowed.
    """

    name: ClassVar[str] = "circuit"
    instances: dict[str, Device] = dataclasses.field(metadata={"kind": "instances"})
    connections: tuple[tuple[str, str], ...] = _static(())
    exposed: tuple[tuple[str, str], ...] = _static(())
    plan: Plan = _static(Plan())  # noqa: RUF009  frozen

    def __post_init__(self) -> None:
        # a pytree returns its dictionaries sorted: in that order a circuit is the same before and after jit
        object.__setattr__(self, "instances", dict(sorted(self.instances.items())))
        for name in ("connections", "exposed"):
            object.__setattr__(self, name, tuple((str(a), str(b)) for a, b in getattr(self, name)))
        ports = tuple((name, inst.ports) for name, inst in self.instances.items())
        _check(ports, self.connections, self.exposed)

    @property
    def ports(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(name for name, _ in self.exposed)

    @property
    def sites(self) -> tuple[str, ...]:
        """``<leaf instance>/<site>`` of every place that fabrication varies independently."""
        return self.flat().sites

    @property
    def lossless_is_unitary(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether all devices conserve energy and no port is dangling."""
        return all(inst.lossless_is_unitary for inst in self.flat().instances.values()) and not self.dangling()

    def model(self, wl: jax.Array, tech: "Technology") -> SDict:
        """S-parameters between all exposed ports; pairs between which no path exists are left out.

        Args:
            wl: wavelengths in um, any shape.
            tech: the technology; leaves of its mismatch, if it has one, have the shape [len(self.sites)].
        """
        return s_parameters(self.flat(), wl, tech, self.ports)

    def transfer(self, wl: jax.Array, tech: "Technology", inputs: Sequence[str], outputs: Sequence[str]) -> jax.Array:
        """Amplitudes [wl..., input, output] between the named ports; nothing else is computed.

        Raises:
            SpecError: a port is unknown or named twice.
        """
        for names in (inputs, outputs):
            for k, port in enumerate(names):
                if port not in self.ports or port in names[:k]:
                    raise SpecError(
                        f"circuit: port '{port}' is {'named twice' if port in self.ports else 'unknown'}",
                        allowed=", ".join(self.ports),
                        remedy=nearest(port, self.ports),
                    )
        return transfer(self.flat(), wl, tech, inputs, outputs)

    def cell(self, tech: "Technology") -> "gf.Component":
        return self.assembled(tech).component

    def assembled(self, tech: "Technology") -> "Assembly":
        """The mask with what the router did: needs gdsfactory, so it is imported late."""
        from picq.assembly import assemble

        return assemble(self, tech)

    def at_instance(self, name: str, tech: "Technology") -> "Technology":
        """The technology as one instance sees it: its own part of the mismatch."""
        if tech.mismatch is None:
            return tech
        first = 0
        for other, inst in self.instances.items():
            own = slice(first, first + len(inst.sites))
            if other == name:
                return tech.with_mismatch(jax.tree.map(lambda v, own=own: v[own], tech.mismatch))
            first = own.stop
        raise KeyError(name)

    def rebiased(self: C, wl0: float, tech: "Technology", nominal: "Technology", like: C | None = None) -> C:
        """Every instance trimmed at its own place; see ``Device.rebiased``."""
        designed = (self if like is None else like).instances
        trimmed = {
            name: inst.rebiased(wl0, self.at_instance(name, tech), nominal, designed[name])
            for name, inst in self.instances.items()
        }
        return self.replace(instances=trimmed)

    def as_measured(self: C, mask: Mapping[str, tuple[float, float]], tech: "Technology") -> C:
        """Every instance as the mask holds it; segments are named ``<instance>/<segment>``."""
        own: dict[str, dict[str, tuple[float, float]]] = {}
        for segment, found in mask.items():
            name, _, rest = segment.partition("/")
            own.setdefault(name, {})[rest] = found
        return self.replace(
            instances={name: inst.as_measured(own.get(name, {}), tech) for name, inst in self.instances.items()}
        )

    def mask_figures(self: C, measured: C, tech: "Technology") -> dict[str, float]:
        """Those of all instances, ``<instance>.<figure>``."""
        return {
            f"{name}.{figure}": value
            for name, inst in self.instances.items()
            for figure, value in inst.mask_figures(measured.instances[name], tech).items()
        }

    def tracks(self, tech: "Technology") -> tuple[dict[int, Any], ...]:
        """Those of all leaf instances, each in its own coordinates."""
        first, found = 0, []
        for inst in self.flat().instances.values():
            found += [{first + site: points for site, points in group.items()} for group in inst.tracks(tech)]
            first += len(inst.sites)
        return tuple(found)

    def notes(self, tech: "Technology") -> tuple[str, ...]:
        """Those of all instances, each once."""
        return tuple(dict.fromkeys(note for inst in self.instances.values() for note in inst.notes(tech)))

    def paths(self, tech: "Technology") -> dict[str, Any]:
        """Lengths in um by ``<instance>/<segment>``."""
        return {f"{name}/{k}": v for name, inst in self.instances.items() for k, v in inst.paths(tech).items()}

    def snapped(self: C) -> C:
        """The circuit as a mask can hold it: every instance snapped."""
        return self.replace(instances={name: inst.snapped() for name, inst in self.instances.items()})

    def flat(self) -> Flat:
        """Leaf instances ``outer/inner`` with connections and exposed ports resolved down to them."""
        instances: dict[str, Device] = {}
        inner: dict[str, Flat] = {}
        links: list[tuple[Port, Port]] = []
        for name, inst in self.instances.items():
            if isinstance(inst, Circuit):
                inner[name] = inst.flat()
                instances |= {f"{name}/{leaf}": dev for leaf, dev in inner[name].instances.items()}
                links += [((f"{name}/{a}", p), (f"{name}/{b}", q)) for (a, p), (b, q) in inner[name].links]
            else:
                instances[name] = inst

        def leaf(end: str) -> Port:
            name, port = _split(end)
            if name not in inner:
                return name, port
            below, port = inner[name].exposed[port]
            return f"{name}/{below}", port

        links += [(leaf(a), leaf(b)) for a, b in self.connections]
        return Flat(instances, tuple(links), {name: leaf(end) for name, end in self.exposed})

    def dangling(self) -> tuple[str, ...]:
        """Ports ``"leaf instance,port"`` that are neither connected nor exposed."""
        flat = self.flat()
        used = {port for link in flat.links for port in link} | set(flat.exposed.values())
        return tuple(f"{name},{p}" for name, dev in flat.instances.items() for p in dev.ports if (name, p) not in used)

    def without(self: C, pattern: str) -> C:
        """The circuit less the instances whose name matches ``pattern``, for simulation: the plan is dropped.

        Where one exposed port led to the rest of the circuit through removed instances, it now leads there directly:
        without grating couplers, their external names belong to the waveguides behind them.

        Args:
            pattern: shell-style, e.g. ``gc_*``.

        Raises:
            SpecError: nothing matches, or removed instances join more than one exposed port to the rest.
        """
        removed = {name for name in self.instances if fnmatchcase(name, pattern)}
        if not removed:
            raise SpecError(
                f"no instance matches '{pattern}'",
                allowed=", ".join(self.instances),
                remedy=nearest(pattern, self.instances),
            )
        inside = [c for c in self.connections if _split(c[0])[0] in removed and _split(c[1])[0] in removed]
        cluster = _clusters(removed, [(_split(a)[0], _split(b)[0]) for a, b in inside])
        behind: dict[str, list[str]] = {}
        for a, b in self.connections:
            for near, far in ((a, b), (b, a)):
                if _split(near)[0] in removed and _split(far)[0] not in removed:
                    behind.setdefault(cluster[_split(near)[0]], []).append(far)
        names = [cluster[_split(end)[0]] for _, end in self.exposed if _split(end)[0] in removed]
        exposed = []
        for external, end in self.exposed:
            group = cluster.get(_split(end)[0])
            if group is None:
                exposed.append((external, end))
            elif group in behind:
                if len(behind[group]) > 1 or names.count(group) > 1:
                    raise SpecError(
                        f"without '{pattern}' it is not clear where port '{external}' leads",
                        got=", ".join(behind[group]),
                        allowed="one port of the remaining circuit for each exposed port",
                        remedy="remove fewer instances",
                    )
                exposed.append((external, behind[group][0]))
        kept = {name: inst for name, inst in self.instances.items() if name not in removed}
        connections = [c for c in self.connections if all(_split(end)[0] in kept for end in c)]
        return self.replace(instances=kept, connections=tuple(connections), exposed=tuple(exposed), plan=Plan())


def _split(end: str) -> Port:
    name, _, port = end.partition(",")
    return name, port


def _clusters(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A common representative for names that are joined by pairs."""
    label = {name: name for name in names}
    for a, b in pairs:
        old, new = label[a], label[b]
        label = {name: new if its == old else its for name, its in label.items()}
    return label


@lru_cache(maxsize=512)
def _check(
    ports: tuple[tuple[str, tuple[str, ...]], ...],
    connections: tuple[tuple[str, str], ...],
    exposed: tuple[tuple[str, str], ...],
) -> None:
    """Raise SpecError unless every end exists and is used once. Cached: jit rebuilds circuits at every call."""
    known = dict(ports)
    for name in known:
        if not name or "/" in name or "," in name:
            raise SpecError(
                "an instance's name is not allowed", got=repr(name), allowed="a name with neither '/' nor ','"
            )
    used: dict[str, str] = {}
    uses = [(end, f"connection {a} - {b}") for a, b in connections for end in (a, b)]
    for end, where in uses + [(end, f"exposed port {name}") for name, end in exposed]:
        name, port = _split(end)
        if name not in known:
            raise SpecError(
                f"{where}: there is no instance '{name}'", allowed=", ".join(known), remedy=nearest(name, known)
            )
        if port not in known[name]:
            raise SpecError(
                f"{where}: instance '{name}' has no port '{port}'",
                allowed=", ".join(known[name]),
                remedy=nearest(port, known[name]),
            )
        if end in used:
            raise SpecError(
                f"port {end} is used twice",
                got=f"{used[end]}; {where}",
                remedy="split the light with a device that has a port for each",
            )
        used[end] = where
    names = [name for name, _ in exposed]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"two exposed ports have the name '{name}'", remedy="give each its own name")
