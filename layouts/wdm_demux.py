"""1×4 demultiplexer on a 200 GHz grid: a binary tree of three flat-top lattice filters, heaters, pads, fibre array.

::

    fibre array                              pads
    loop ┐                       s2a    s1    s2b
    ch   │◀──┐                    │      │     │
    ch   │◀──┴── s2a (westwards) ◀┐      │     │       s1 runs east, s2a and s2b fold back west, so that
    in   │─────▶ s1 (eastwards) ──┤──────┘     │       every output ends beside the array
    ch   │◀──┬── s2b (westwards) ◀┘────────────┘
    ch   │◀──┘
    loop ┘
"""

from picq.circuit import Circuit
from picq.components import GratingCoupler, LatticeFilter, Pad, Terminator
from picq.plan import Bundle, Placement, Plan
from picq.technology import Technology

PITCH = 127.0  # um, fibre array
PAD_PITCH = 300.0  # um, packaging template
FIBRES = ("loop_top", "ch1", "ch3", "in", "ch4", "ch2", "loop_bottom")  # from top to bottom
DELAYS = {"s1": (178.6, 357.2), "s2a": (89.3, 178.6), "s2b": (89.3, 178.6)}  # um, c/(n_g FSR) times 1 and 2


def circuit(tech: Technology) -> Circuit:
    """The chip before optimisation; the specification says which parameters are free."""
    filters = {
        name: LatticeFilter.on(tech, coupler_lengths=(15.0, 15.0, 15.0), delays=delays, powers_mw=(0.0, 0.0))
        for name, delays in DELAYS.items()
    }
    contacts = (
        [("s2a", k) for k in (4, 3, 2, 1)] + [("s1", k) for k in (1, 2, 3, 4)] + [("s2b", k) for k in (4, 3, 2, 1)]
    )
    couplers = {f"gc_{fibre}": GratingCoupler.on(tech) for fibre in FIBRES}
    pads = {f"pad{i + 1}": Pad.on(tech) for i in range(len(contacts))}
    ends = {f"end_{name}": Terminator.on(tech) for name in filters}
    placements = {f"gc_{f}": Placement(1000.0, PITCH * (3 - i), rotation=180.0) for i, f in enumerate(FIBRES)}
    placements |= {
        "s1": Placement(1200.0, -2.0),
        # by their outputs: whatever length the couplers get, the ways to the array stay as they are
        "s2a": Placement(1270.0, 402.0, rotation=180.0, mirror=True, port="o3"),
        "s2b": Placement(1270.0, -402.0, rotation=180.0, mirror=True, port="o4"),
    }
    placements |= {
        "end_s1": Placement(1140.0, -40.0, rotation=180.0),
        "end_s2a": Placement(1900.0, 440.0),
        "end_s2b": Placement(1900.0, -440.0),
    }
    placements |= {p: Placement(1250.0 + PAD_PITCH * i, 1600.0) for i, p in enumerate(pads)}
    # behind the array, so that the alignment loop crosses nothing
    loop = tuple((x, s * y) for s in (1, -1) for x, y in ((1050.0, 420.0), (1050.0, 451.0), (600.0, 451.0))[::s])
    unused = (("s1,o1", "end_s1,o1"), ("s2a,o2", "end_s2a,o1"), ("s2b,o1", "end_s2b,o1"))
    columns = {  # of the ways down to the array: the inner port turns first
        ("s2a,o3", "gc_ch1,o1"): ((1205.0, 350.0), (1205.0, 300.0)),
        ("s2a,o4", "gc_ch3,o1"): ((1235.0, 350.0), (1235.0, 300.0)),
        ("s2b,o3", "gc_ch4,o1"): ((1235.0, -350.0), (1235.0, -300.0)),
        ("s2b,o4", "gc_ch2,o1"): ((1205.0, -350.0), (1205.0, -300.0)),
        ("gc_loop_top,o1", "gc_loop_bottom,o1"): loop,
    }
    wires = tuple((f"{name},e{k}", f"pad{i + 1},e1") for i, (name, k) in enumerate(contacts))
    return Circuit(
        instances={**filters, **couplers, **pads, **ends},
        connections=(
            ("gc_in,o1", "s1,o2"),
            ("s1,o3", "s2a,o1"),
            ("s1,o4", "s2b,o2"),
            *columns,
            *unused,
        ),
        exposed=tuple((fibre, f"gc_{fibre},o2") for fibre in FIBRES),
        plan=Plan(
            placements=tuple(placements.items()),
            bundles=tuple(Bundle((link,), waypoints=way) for link, way in columns.items()),
            wires=(
                Bundle(wires[:4], separation=30.0, start=400.0),
                *_lanes(wires[4:8], lane=346.0, column=1980.0, shelf=790.0),
                *_lanes(wires[8:], lane=-85.0, column=2100.0, shelf=670.0),
            ),
            floorplan=(0.0, -2000.0, 5500.0, 2900.0),
            labels=tuple((f"opt_in_TE_1550_device_picq_{fibre}", f"gc_{fibre},o2") for fibre in FIBRES),
            top_cell="Cell0_wdm_demux",
        ),
    )


def _lanes(wires: tuple[tuple[str, str], ...], lane: float, column: float, shelf: float) -> tuple[Bundle, ...]:
    """Wires that run east between two filters, north past them, and east again to their pads, nested 30 um apart."""
    return tuple(
        Bundle(
            (wire,),
            waypoints=(
                (1930.0, lane - 30.0 * i),
                (column + 30.0 * i, lane - 30.0 * i),
                (column + 30.0 * i, shelf - 30.0 * i),
                (2250.0, shelf - 30.0 * i),
            ),
        )
        for i, wire in enumerate(wires)
    )
