"""Evaluation of a circuit: S-parameters of all instances by groups, then their combination by topology.

Trace and compile time grow with the number of device *types*: instances of one type are one ``vmap``, and circuits
beyond a few hundred products are combined by one ``lax.scan`` whose body does not depend on the circuit's size.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from picq.device import Device
from picq.errors import SpecError
from picq.schedule import ONE, ZERO, Elimination, Network, Schedule, Sweep, schedule
from picq.sdict import SDict

if TYPE_CHECKING:
    from picq.technology import Technology

Port = tuple[str, str]
Rows = Sequence[jax.Array] | jax.Array  # [row, wl...]

# Up to so many instances of a type are evaluated one by one: XLA then fuses them with what uses them.
_FEW = 4


class Flat(NamedTuple):
    """A circuit without hierarchy: leaf instances, connected ports and exposed ports {name: port}."""

    instances: dict[str, Device]
    links: tuple[tuple[Port, Port], ...]
    exposed: dict[str, Port]

    @property
    def sites(self) -> tuple[str, ...]:
        """Places that fabrication varies independently, ``<instance>/<site>``."""
        return tuple(f"{name}/{site}" for name, dev in self.instances.items() for site in dev.sites)


def s_parameters(flat: Flat, wl: jax.Array, tech: "Technology", ports: Sequence[str]) -> SDict:
    """S-parameters {(in, out): complex [wl...]} between exposed ports; pairs that no path joins are left out."""
    values, plan = _prepared(flat, wl, tech, ports, ports)
    found = _pairs(values, jnp.shape(wl), plan)
    return {(ports[i], ports[o]): s for (i, o), s in zip(plan.reachable, found, strict=True)}


def transfer(flat: Flat, wl: jax.Array, tech: "Technology", inputs: Sequence[str], outputs: Sequence[str]) -> jax.Array:
    """Amplitudes [wl..., input, output] between exposed ports; nothing that they do not need is computed."""
    values, plan = _prepared(flat, wl, tech, inputs, outputs)
    return _matrix(values, jnp.shape(wl), plan)


def _prepared(
    flat: Flat, wl: jax.Array, tech: "Technology", inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[list[list[Rows]], Schedule]:
    """The S-parameters of all instances by groups, and the plan for their combination."""
    order = {name: i for i, name in enumerate(flat.instances)}
    groups, members, values = _evaluate_groups(flat, jnp.asarray(wl), tech)

    def numbered(port: Port) -> tuple[int, str]:
        return order[port[0]], port[1]

    links = tuple((numbered(a), numbered(b)) for a, b in flat.links)
    ends = (tuple(numbered(flat.exposed[p]) for p in ports) for ports in (inputs, outputs))
    return values, schedule(Network(groups, members, links, *ends))


def _evaluate_groups(flat: Flat, wl: jax.Array, tech: "Technology") -> tuple[Any, Any, list[list[Rows]]]:
    """Groups, members (as in Network) and, for each group and pair, the S-parameters [row, wl...]."""
    devices = list(flat.instances.values())
    kinds: dict[Any, list[int]] = {}
    flattened = [jax.tree_util.tree_flatten(dev) for dev in devices]
    for i, (leaves, structure) in enumerate(flattened):
        kinds.setdefault((structure, tuple(np.shape(leaf) for leaf in leaves)), []).append(i)
    offsets = _site_offsets(flat, tech)
    groups, values = [], []
    members: list[tuple[int, int]] = [(0, 0)] * len(devices)
    for (structure, _), indices in kinds.items():
        mine = None if offsets is None else offsets[indices[0]]
        rows: dict[Any, int] = {}
        for i in indices:
            # like devices on like places are evaluated once
            key = i if mine is not None and mine.size else tuple(_token(leaf) for leaf in flattened[i][0])
            members[i] = (len(groups), rows.setdefault(key, len(rows)))
        first = {members[i][1]: i for i in reversed(indices)}
        chosen = [first[row] for row in range(len(rows))]
        places = None if offsets is None else np.stack([offsets[i] for i in chosen])
        s = _evaluate_group(structure, [flattened[i][0] for i in chosen], places, wl, tech)
        groups.append((len(rows), tuple(s)))
        values.append(list(s.values()))
    return tuple(groups), tuple(members), values


def _evaluate_group(
    structure: Any, rows: list[list[Any]], places: np.ndarray | None, wl: jax.Array, tech: "Technology"
) -> Mapping[tuple[str, str], Rows]:
    """S-parameters [row, wl...] of devices of one structure; what all rows share is not mapped, so computed once."""
    columns = list(zip(*rows, strict=True))
    varied = [k for k, column in enumerate(columns) if len({_token(leaf) for leaf in column}) > 1]
    leaves = [_value(column[0]) for column in columns]

    def one(mapped: list[Any], mismatch: Any) -> dict[tuple[str, str], jax.Array]:
        local = list(leaves)
        for k, leaf in zip(varied, mapped, strict=True):
            local[k] = leaf
        here = tech if mismatch is None else tech.with_mismatch(mismatch)
        return jax.tree_util.tree_unflatten(structure, local).model(wl, here)

    mapped = [_stack(columns[k]) if len(rows) > _FEW else [_value(leaf) for leaf in columns[k]] for k in varied]
    mismatch = None if places is None else jax.tree.map(lambda leaf: leaf[places], tech.mismatch)
    if len(rows) > _FEW:
        return jax.vmap(one)(mapped, mismatch)
    local = [jax.tree.map(lambda leaf, k=k: leaf[k], mismatch) for k in range(len(rows))]
    each = [one([leaf[k] for leaf in mapped], local[k]) for k in range(len(rows))]
    return {pair: [s[pair] for s in each] for pair in each[0]}


class Element:
    """Entry ``index`` of a parameter vector, as a device's parameter (see ``elements``)."""

    def __init__(self, vector: jax.Array, index: int) -> None:
        self.vector, self.index, self.shape = vector, index, ()

    def __jax_array__(self) -> jax.Array:
        return self.vector[self.index]


def elements(vector: jax.Array) -> tuple[Element, ...]:
    """The entries of a parameter vector [n], one for each of n devices of a circuit.

    For circuits with hundreds of tuned devices inside a jitted function: like ``jnp.unstack(vector)``, but the entries
    are never cut apart, so the compiled program does not grow with n. Not for passing through ``jit`` itself.
    """
    return tuple(Element(vector, k) for k in range(vector.shape[0]))


def _token(leaf: Any) -> Any:
    """Equal for leaves that are known to be equal without looking into arrays."""
    if isinstance(leaf, Element):
        return id(leaf.vector), leaf.index
    return leaf if isinstance(leaf, (bool, int, float, complex)) else id(leaf)


def _stack(column: tuple[Any, ...]) -> Any:
    if all(isinstance(leaf, (int, float)) for leaf in column):
        return np.array(column)
    if all(isinstance(leaf, Element) and leaf.vector is column[0].vector for leaf in column):
        indices = np.array([leaf.index for leaf in column])
        vector = column[0].vector
        return vector if np.array_equal(indices, np.arange(vector.shape[0])) else vector[indices]
    return _stack_traced(tuple(_value(leaf) for leaf in column))


def _value(leaf: Any) -> Any:
    return leaf.__jax_array__() if isinstance(leaf, Element) else leaf


@jax.custom_jvp
def _stack_traced(column: tuple[Any, ...]) -> jax.Array:
    return _stack_jitted(column)


@_stack_traced.defjvp  # linear: said here, so that JAX does not work it out leaf by leaf
def _(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    return _stack_jitted(*primals), _stack_jitted(*tangents)


@jax.jit
def _stack_jitted(column: tuple[Any, ...]) -> jax.Array:
    return jnp.stack(column)


def _site_offsets(flat: Flat, tech: "Technology") -> list[np.ndarray] | None:
    """For each instance the positions of its sites in ``tech.mismatch``, None without mismatch."""
    if tech.mismatch is None:
        return None
    counts = [len(dev.sites) for dev in flat.instances.values()]
    ends = np.cumsum([0, *counts])
    for leaf in jax.tree.leaves(tech.mismatch):
        if np.shape(leaf)[:1] != (int(ends[-1]),):
            raise SpecError(
                "the technology's mismatch does not fit the circuit",
                got=f"a leaf of shape {np.shape(leaf)}",
                allowed=f"shape ({int(ends[-1])},): one value for each entry of circuit.sites",
                remedy="draw the local offsets for circuit.sites",
            )
    return [np.arange(ends[k], ends[k + 1]) for k in range(len(counts))]


@partial(jax.jit, static_argnames=("shape", "plan"), inline=True)
def _pairs(values: list[list[Rows]], shape: tuple[int, ...], plan: Schedule) -> list[jax.Array]:
    """S-parameters of the reachable pairs, each of ``shape``."""
    program = plan.program
    if isinstance(program, Sweep):
        s = _sweep(values, shape, program)
        return [s[o, i] for i, o in plan.reachable]
    s = _eliminate(values, program)
    return [jnp.broadcast_to(s[(program.inputs[i], program.outputs[o])], shape) for i, o in plan.reachable]


@partial(jax.jit, static_argnames=("shape", "plan"), inline=True)
def _matrix(values: list[list[Rows]], shape: tuple[int, ...], plan: Schedule) -> jax.Array:
    """S-parameters [wl..., input, output]."""
    program = plan.program
    if isinstance(program, Sweep):
        return jnp.moveaxis(_sweep(values, shape, program), (1, 0), (-2, -1))
    s, zero = _eliminate(values, program), jnp.zeros(shape, complex)
    rows = [[jnp.broadcast_to(s.get((a, b), zero), shape) for b in program.outputs] for a in program.inputs]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def _eliminate(values: list[list[Rows]], program: Elimination) -> dict[tuple[int, int], jax.Array]:
    weights = [s[row] for group in values for s in group for row in range(len(s))]
    s: dict[tuple[int, int], Any] = {
        ends: sum((weights[k] for k in terms[1:]), start=1.0 if terms[0] == ONE else weights[terms[0]])
        for ends, terms in program.arcs.items()
    }
    for v, sources, ends in program.steps:
        onwards = {w: s.pop((v, w)) for w in ends}
        loop = s.pop((v, v), None)
        for u in sources:
            arriving = s.pop((u, v)) if loop is None else s.pop((u, v)) / (1 - loop)
            for w in ends:
                through = arriving * onwards[w]
                s[(u, w)] = s[(u, w)] + through if (u, w) in s else through
    return s


def _sweep(values: list[list[Rows]], shape: tuple[int, ...], program: Sweep) -> jax.Array:
    """S-parameters [output, input, wl...]."""
    zero, one = jnp.zeros((1, *shape), complex), jnp.ones((1, *shape), complex)
    known = [jnp.broadcast_to(s, (len(s), *shape)) for group in values for s in map(_rows, group)]
    weights = jax.lax.optimization_barrier(jnp.concatenate([*known, one, zero]))
    assert (ZERO, ONE) == (-1, -2)
    # complex products as real and imaginary planes: XLA vectorises these
    planes = (weights.real[program.weight], weights.imag[program.weight])
    slots, columns = program.source.shape[1], program.excitations
    start = jnp.broadcast_to(
        jnp.eye(slots, columns).reshape(slots, columns, *(1 for _ in shape)), (slots, columns, *shape)
    )

    def level(state: tuple[jax.Array, jax.Array], table: tuple[jax.Array, jax.Array, jax.Array]) -> Any:
        (xr, xi), (wr, wi, source) = state, table
        wr, wi = wr[:, :, None], wi[:, :, None]
        xr, xi = xr[source], xi[source]
        return (jnp.sum(wr * xr - wi * xi, axis=1), jnp.sum(wr * xi + wi * xr, axis=1)), None

    (re, im), _ = jax.lax.scan(level, (start, jnp.zeros_like(start)), (*planes, jnp.asarray(program.source)))
    end = re + 1j * im
    out = jnp.concatenate([end, jnp.zeros_like(end[:1])])[np.array(program.outputs)]  # -1: no light arrives
    if not program.torn:
        return out
    return _close_loops(out, end[np.array(program.torn)])


def _rows(s: Rows) -> jax.Array:
    return s if isinstance(s, jax.Array) else jnp.stack(jnp.broadcast_arrays(*s))


def _close_loops(out: jax.Array, torn: jax.Array) -> jax.Array:
    """``out`` [output, excitation, wl...] with the torn waves, [torn, excitation, wl...], at their own values."""
    count = torn.shape[0]
    inputs = out.shape[1] - count
    torn = jnp.moveaxis(torn, (0, 1), (-2, -1))
    direct, feedback = torn[..., :inputs], torn[..., inputs:]
    waves = direct / (1 - feedback) if count == 1 else jnp.linalg.solve(jnp.eye(count) - feedback, direct)
    return out[:, :inputs] + jnp.einsum("ot...,...ti->oi...", out[:, inputs:], waves)
