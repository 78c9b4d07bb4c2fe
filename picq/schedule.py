"""Static analysis of a circuit: which waves matter, in which order, and with which loops. No numbers, only indices.

The waves that leave the ports of all instances are the nodes of a directed graph; every S-parameter of an instance is
an arc from the wave that enters it to one that leaves it. Two ways to evaluate the graph are planned here:

- :class:`Elimination`: waves are eliminated one at a time, ``S[u, w] += S[u, v] S[v, w] / (1 - S[v, v])``, in the order
  of least fill. All intermediate numbers are transmissions of parts of the circuit whose other ports are absorbing, so
  a passive circuit keeps them at or below 1 and needs no pivoting. Best for a few hundred products.
- :class:`Sweep`: a few waves are torn so that no loop is left, the rest is swept level by level with tables of equal
  shape, and the loops are closed by a linear system in the torn waves. Its program does not grow with the circuit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

ZERO, ONE = -1, -2  # indices that stand for these numbers among the indices of S-parameters
Port = tuple[int, str]
Arcs = dict[tuple[int, int], list[int]]

# Above this many products an unrolled program compiles longer than it saves.
_UNROLLED_PRODUCTS = 400


class Network(NamedTuple):
    """A circuit without its numbers.

    Attributes:
        groups: for each group of like instances its number of rows and the pairs (in, out) of its S-parameters.
        members: for each instance its group and its row in there.
        links: connected ports, (instance, port).
        inputs, outputs: the ports where light comes in and where it is asked for.
    """

    groups: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]
    members: tuple[tuple[int, int], ...]
    links: tuple[tuple[Port, Port], ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@dataclass(frozen=True, eq=False)
class Elimination:
    """Program of eliminations.

    Attributes:
        arcs: (from, to) -> indices of the S-parameters that add up to it, at the start.
        steps: for each eliminated wave: itself, its predecessors and its successors (itself left out).
        inputs, outputs: names of the end points among the arcs' ends.
    """

    arcs: Arcs
    steps: tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Tables of a level-by-level evaluation; slots hold the waves that are still needed.

    Attributes:
        source: slot from which each term of each slot comes, shape [level, slot, term].
        weight: index of its S-parameter, or ONE (the wave is kept) or ZERO (padding), same shape.
        excitations: how many there are: the inputs, then the torn waves; they start in the first slots.
        torn: final slots of the torn waves.
        outputs: final slots of the outputs, -1 where no light can arrive.
    """

    source: np.ndarray
    weight: np.ndarray
    excitations: int
    torn: tuple[int, ...]
    outputs: tuple[int, ...]


class Schedule(NamedTuple):
    """How to evaluate a network, and which (input, output) pairs can be other than zero."""

    program: Elimination | Sweep
    reachable: tuple[tuple[int, int], ...]


@lru_cache(maxsize=512)
def schedule(network: Network, unrolled_products: int = _UNROLLED_PRODUCTS) -> Schedule:
    """Plan the evaluation of ``network``; cached, so that a circuit rebuilt at every call is analysed once.

    Args:
        network: the circuit without its numbers.
        unrolled_products: largest number of products for which waves are eliminated one by one.
    """
    arcs, inputs, outputs = _arcs(network)
    succ, pred = _neighbours(arcs)
    ahead = [_reach([i], succ) for i in inputs]
    alive = set().union(*ahead) & _reach(outputs, pred) if inputs else set()
    arcs = {(u, v): w for (u, v), w in arcs.items() if u in alive and v in alive}
    reachable = tuple((i, o) for i, seen in enumerate(ahead) for o, wave in enumerate(outputs) if wave in seen)
    steps = _eliminate(arcs, alive - set(inputs) - set(outputs), unrolled_products)
    if steps is not None:
        return Schedule(Elimination(arcs, steps, inputs, outputs), reachable)
    return Schedule(_sweep(arcs, inputs, outputs), reachable)


def _arcs(network: Network) -> tuple[Arcs, tuple[int, ...], tuple[int, ...]]:
    """Arcs between waves, numbered: inputs first, outputs next, then the waves that leave the ports."""
    n_in, n_out = len(network.inputs), len(network.outputs)
    numbers: dict[Port, int] = {}

    def leaving(port: Port) -> int:
        return numbers.setdefault(port, n_in + n_out + len(numbers))

    enters: dict[Port, int] = {}
    for a, b in network.links:
        enters[a], enters[b] = leaving(b), leaving(a)
    enters |= {port: k for k, port in enumerate(network.inputs)}
    arcs: Arcs = {}
    # an output is the end of an arc of weight 1, so that a wave inside a loop can be looked at
    for k, port in enumerate(network.outputs):
        arcs[(leaving(port), n_in + k)] = [ONE]
    firsts = np.cumsum([0, *(rows * len(pairs) for rows, pairs in network.groups)])
    for i, (group, row) in enumerate(network.members):
        rows, pairs = network.groups[group]
        for k, (p, q) in enumerate(pairs):
            if (i, p) in enters:
                ends = (enters[(i, p)], leaving((i, q)))
                arcs.setdefault(ends, []).append(int(firsts[group]) + k * rows + row)
    return arcs, tuple(range(n_in)), tuple(range(n_in, n_in + n_out))


def _neighbours(arcs: Iterable[tuple[int, int]]) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    succ: dict[int, set[int]] = {}
    pred: dict[int, set[int]] = {}
    for u, v in arcs:
        for w in (u, v):
            succ.setdefault(w, set())
            pred.setdefault(w, set())
        succ[u].add(v)
        pred[v].add(u)
    return succ, pred


def _reach(start: Iterable[int], succ: dict[int, set[int]]) -> set[int]:
    seen, todo = set(start), list(start)
    while todo:
        for v in succ.get(todo.pop(), ()):
            if v not in seen:
                seen.add(v)
                todo.append(v)
    return seen


def _eliminate(arcs: Iterable[tuple[int, int]], inner: set[int], most: int) -> tuple | None:
    """Order in which to eliminate the ``inner`` waves by least fill, or None when it takes over ``most`` products."""
    succ, pred = _neighbours(arcs)
    steps, products = [], 0
    inner = inner & succ.keys()
    if len(inner) > most:
        return None
    while inner:
        # the wave's number breaks ties, so that the program does not depend on the order of sets
        v = min(inner, key=lambda w: (len(pred[w] - {w}) * len(succ[w] - {w}), w))
        inner.remove(v)
        sources, ends = sorted(pred.pop(v) - {v}), sorted(succ.pop(v) - {v})
        products += len(sources) * (1 + len(ends))
        if products > most:
            return None
        steps.append((v, tuple(sources), tuple(ends)))
        for u in sources:
            succ[u] = (succ[u] - {v}) | set(ends)
        for w in ends:
            pred[w] = (pred[w] - {v}) | set(sources)
    return tuple(steps)


def feedback_set(arcs: Iterable[tuple[int, int]]) -> list[int]:
    """A small set of waves that cuts every loop: contractions after Levy and Low, then the largest degree product.

    Source: H. Levy and D. W. Low, A contraction algorithm for finding small cycle cutsets, J. Algorithms 9, 470 (1988).
    """
    torn: list[int] = []
    for loop in _loops(arcs):
        succ, pred = _neighbours(loop)
        while succ:
            v = _removable(succ, pred)
            if v is None:
                v = max(succ, key=lambda w: (len(pred[w]) * len(succ[w]), -w))
                torn.append(v)
                _remove(v, succ, pred, bypass=False)
            elif v in succ[v]:
                torn.append(v)
                _remove(v, succ, pred, bypass=False)
            else:
                _remove(v, succ, pred, bypass=True)
    return sorted(torn)


def _loops(arcs: Iterable[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """The arcs within each strongly connected component that has a loop."""
    ends = np.array(list(arcs)).reshape(-1, 2)
    if not len(ends):
        return []
    count = int(ends.max()) + 1
    graph = csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, label = connected_components(graph, directed=True, connection="strong")
    loops: dict[int, list[tuple[int, int]]] = {}
    for u, v in ends.tolist():
        if label[u] == label[v]:
            loops.setdefault(int(label[u]), []).append((u, v))
    return list(loops.values())


def _removable(succ: dict[int, set[int]], pred: dict[int, set[int]]) -> int | None:
    return next((v for v in succ if v in succ[v] or len(succ[v]) < 2 or len(pred[v]) < 2), None)


def _remove(v: int, succ: dict[int, set[int]], pred: dict[int, set[int]], *, bypass: bool) -> None:
    sources, ends = pred.pop(v) - {v}, succ.pop(v) - {v}
    for u in sources:
        succ[u] = (succ[u] - {v}) | (ends if bypass else set())
    for w in ends:
        pred[w] = (pred[w] - {v}) | (sources if bypass else set())


def _sweep(arcs: Arcs, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Sweep:
    """Tables of the level-by-level evaluation: every wave holds a slot from its level to its last use."""
    ends = {v: u for u, v in arcs if v in outputs}
    arcs = {(u, v): w for (u, v), w in arcs.items() if v not in ends}
    torn = feedback_set(arcs)
    # a torn wave is an excitation under its own number; the value that the sweep finds for it is a wave of its own
    fresh = 1 + max((max(pair) for pair in arcs), default=0)
    value = {t: fresh + k for k, t in enumerate(torn)}
    terms: dict[int, list[tuple[int, int]]] = {}
    for (u, v), weights in arcs.items():
        terms.setdefault(value.get(v, v), []).extend((u, w) for w in weights)
    level = _levels(terms)
    depth = max(level.values(), default=0)
    last = dict.fromkeys((*inputs, *torn), 0)
    for v, sources in terms.items():
        for u, _ in sources:
            last[u] = max(last.get(u, 0), level[v])
    results = [value.get(u, u) for u in ends.values()] + list(value.values())
    last |= dict.fromkeys(results, depth + 1)

    slot = {u: k for k, u in enumerate((*inputs, *torn))}
    live, slots = set(slot), len(slot)
    rows: list[list[tuple[int, list[tuple[int, int]]]]] = []
    by_level: list[list[int]] = [[] for _ in range(depth + 1)]
    for v in sorted(terms):
        by_level[level[v]].append(v)
    for now in range(1, depth + 1):
        live = {u for u in live if last.get(u, 0) > now}
        row = [(slot[u], [(slot[u], ONE)]) for u in sorted(live)]
        free = sorted(set(range(slots)) - {slot[u] for u in live}, reverse=True)
        for v in by_level[now]:
            if not free:
                free, slots = [slots], slots + 1
            sources = [(slot[u], w) for u, w in terms[v]]
            row.append((free.pop(), sources))
        slot |= dict(zip(by_level[now], (s for s, _ in row[len(live) :]), strict=True))
        live |= set(by_level[now])
        rows.append(row)

    most = max((len(sources) for row in rows for _, sources in row), default=1)
    source = np.zeros((depth, slots, most), np.int32)
    weight = np.full((depth, slots, most), ZERO, np.int32)
    for k, row in enumerate(rows):
        for s, sources in row:
            for t, (origin, w) in enumerate(sources):
                source[k, s, t], weight[k, s, t] = origin, w
    return Sweep(
        source=source,
        weight=weight,
        excitations=len(inputs) + len(torn),
        torn=tuple(slot[value[t]] for t in torn),
        outputs=tuple(slot[value.get(ends[o], ends[o])] if o in ends else -1 for o in outputs),
    )


def _levels(terms: dict[int, list[tuple[int, int]]]) -> dict[int, int]:
    """Longest distance of every wave from the excitations, in a graph without loops."""
    succ, pred = _neighbours((u, v) for v, sources in terms.items() for u, _ in sources)
    waiting = {v: len(p) for v, p in pred.items()}
    level = {v: 0 for v, count in waiting.items() if not count}
    ready = list(level)
    while ready:
        u = ready.pop()
        for v in succ[u]:
            level[v] = max(level.get(v, 0), level[u] + 1)
            waiting[v] -= 1
            if not waiting[v]:
                ready.append(v)
    return level
