"""Quantum and classical light of one fibre, parted: an interleaver, then Mach-Zehnder notches of free-form splitters.

::

     pads                   ▪ ▪          ▪ ▪
    loop ┐                  │ │          │ │
    cl   │◀─────────────────│─│────── clean (westwards) ◀─┐    each notch: 1×2 splitter, two arms, the splitter
    in   │────▶ split (eastwards) ────────────────────────┤    mirrored as 2×1 combiner; nothing but `split`
    qu   │◀─── notch2 (westwards) ◀── notch1 (westwards) ◀┘    sees both kinds of light at full power
    loop ┘       │ │                   │ │
     pads        ▪ ▪                   ▪ ▪
"""

from picq.circuit import Circuit
from picq.components import ArmPair, FreeForm, GratingCoupler, LatticeFilter, Pad, Terminator
from picq.device import Device
from picq.plan import Bundle, Placement, Plan
from picq.technology import Technology

PITCH = 127.0  # um, fibre array
FIBRES = ("loop_top", "classical", "in", "quantum", "loop_bottom")  # from top to bottom
TOP = PITCH * (len(FIBRES) - 1) / 2
PAD_PITCH, PADS = 300.0, 1000.0  # um: packaging template; pads from the middle line
LEVEL, EAST = 250.0, 2000.0  # um: notches from the middle line, and where the first of each line begins
DELAY = 89.3  # um, c/(n_g FSR) of 800 GHz: the channels lie half of it apart
NOTCHES = {  # (where its input lies, um, and whether it is in the lower line)
    "clean": (EAST, False),
    "notch1": (EAST, True),
    "notch2": (EAST - 240.0, True),
}
CONTACTS = {  # (pads of a row from west to east, whether it is the lower one)
    "north": (("split,e1", "split,e2", "clean_arms,e2", "clean_arms,e1"), False),
    "south": (("notch2_arms,e2", "notch2_arms,e1", "notch1_arms,e2", "notch1_arms,e1"), True),
}


def circuit(tech: Technology) -> Circuit:
    """The chip before optimisation; the specification says which parameters are free."""
    devices = {
        "split": LatticeFilter.on(tech, coupler_lengths=(15.0, 15.0), delays=(DELAY,), powers_mw=(0.0,)),
        "end_split": Terminator.on(tech),
        **{f"gc_{fibre}": GratingCoupler.on(tech) for fibre in FIBRES},
        **{_pad(contact): Pad.on(tech) for row, _ in CONTACTS.values() for contact in row},
    }
    placements = {
        "split": Placement(1300.0, 0.0, port="o2"),
        "end_split": Placement(1240.0, -40.0, rotation=180.0),
        **{f"gc_{f}": Placement(1000.0, TOP - PITCH * i, rotation=180.0) for i, f in enumerate(FIBRES)},
        **{
            _pad(contact): Placement(1200.0 + PAD_PITCH * i, -PADS if low else PADS, rotation=180.0 if low else 0.0)
            for row, low in CONTACTS.values()
            for i, contact in enumerate(row)
        },
    }
    links: list[tuple[str, str]] = []
    for name, (x, low) in NOTCHES.items():
        made, where, joints = _notch(name, x, low, tech)
        devices, placements, links = {**devices, **made}, {**placements, **where}, [*links, *joints]
    # between the lines apart and around their ends, then down to the array in one column: nothing crosses
    turn = ((1620.0, 50.0), (1620.0, 100.0), (EAST + 50.0, 100.0), (EAST + 50.0, LEVEL - 50.0))
    column = ((1200.0, LEVEL - 50.0), (1200.0, PITCH + 50.0))
    ways = {
        ("split,o3", "clean_splitter,o1"): turn,
        ("split,o4", "notch1_splitter,o1"): tuple((x, -y) for x, y in turn),
        ("clean_combiner,o1", "gc_classical,o1"): column,
        ("notch2_combiner,o1", "gc_quantum,o1"): tuple((x, -y) for x, y in column),
        # behind the array
        ("gc_loop_top,o1", "gc_loop_bottom,o1"): tuple(
            (x, s * (TOP + y)) for s in (1, -1) for x, y in ((1050.0, 39.0), (1050.0, 70.0), (600.0, 70.0))[::s]
        ),
    }
    routes = (("gc_in,o1", "split,o2"), ("split,o1", "end_split,o1"), ("notch1_combiner,o1", "notch2_splitter,o1"))
    return Circuit(
        instances=devices,
        connections=(*routes, *links, *ways),
        exposed=tuple((fibre, f"gc_{fibre},o2") for fibre in FIBRES),
        plan=Plan(
            placements=tuple(placements.items()),
            bundles=tuple(Bundle((link,), waypoints=way) for link, way in ways.items()),
            wires=tuple(
                Bundle(tuple((contact, f"{_pad(contact)},e1") for contact in row), separation=30.0)
                for row, _ in CONTACTS.values()
            ),
            floorplan=(0.0, -2450.0, 5500.0, 2450.0),
            labels=tuple((f"opt_in_TE_1550_device_picq_{fibre}", f"gc_{fibre},o2") for fibre in FIBRES),
            top_cell="Cell0_mzi_filter",
        ),
    )


def _pad(contact: str) -> str:
    return f"pad_{contact.replace(',', '_')}"


def _notch(
    name: str, x: float, low: bool, tech: Technology
) -> tuple[dict[str, Device], dict[str, Placement], tuple[tuple[str, str], ...]]:
    """(devices, their places, how they touch) of a notch that runs west from x; its heater faces away from the middle
    line of the chip."""
    splitter = FreeForm.on(tech)
    o1, o2, o3 = (splitter.saved.ports[port] for port in ("o1", "o2", "o3"))
    arms = ArmPair.on(tech, delta_length=DELAY, pitch=o2.y - o3.y)
    y, inner = -LEVEL if low else LEVEL, x - (o2.x - o1.x)
    devices = {f"{name}_splitter": splitter, f"{name}_arms": arms, f"{name}_combiner": splitter}
    places = {
        f"{name}_splitter": Placement(x, y, rotation=180.0, mirror=not low, port="o1"),
        f"{name}_arms": Placement(inner, y, rotation=180.0, mirror=not low),
        f"{name}_combiner": Placement(inner - arms.length(tech) - (o2.x - o1.x), y, mirror=low, port="o1"),
    }
    joints = (
        ("splitter,o2", "arms,o2"),
        ("splitter,o3", "arms,o1"),
        ("arms,o3", "combiner,o2"),
        ("arms,o4", "combiner,o3"),
    )
    return devices, places, tuple((f"{name}_{a}", f"{name}_{b}") for a, b in joints)
