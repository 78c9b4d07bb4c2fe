"""Receiver front end: a 16-channel arrayed-waveguide grating behind a fibre array, with an alignment loop.

::

    fibre array            the grating's ports face the array; outputs fan out to the fibres without a crossing
    loop ┐
    ch16 │◀───────┐╭─────╮
    …    │◀───────┼┤     │
    ch1  │◀───────┘│ awg │
    in   │────────▶┤     │
    loop ┘         ╰─────╯
"""

from picq.circuit import Circuit
from picq.components import Awg, GratingCoupler
from picq.plan import Bundle, Placement, Plan
from picq.technology import Technology

PITCH = 127.0  # um, fibre array
CHANNELS = tuple(f"ch{k + 1}" for k in range(16))
FIBRES = ("loop_top", *CHANNELS[::-1], "in", "loop_bottom")  # from top to bottom
AWG = (2300.0, -200.0)  # um, its input star coupler
TOP = PITCH * (len(FIBRES) - 1) / 2


def circuit(tech: Technology) -> Circuit:
    """The chip before optimisation; the specification says which parameters are free."""
    awg = Awg.on(tech, outputs=16, center_thz=193.4, spacing_ghz=200.0)
    couplers = {f"gc_{fibre}": GratingCoupler.on(tech) for fibre in FIBRES}
    placements = {f"gc_{f}": Placement(1000.0, TOP - PITCH * i, rotation=180.0) for i, f in enumerate(FIBRES)}
    placements["awg"] = Placement(*AWG, rotation=270.0)
    outputs = tuple((f"awg,o{k + 2}", f"gc_{name},o1") for k, name in enumerate(CHANNELS))
    # behind the array, so that the alignment loop crosses nothing
    corners = ((1050.0, TOP + 39.0), (1050.0, TOP + 70.0), (600.0, TOP + 70.0))
    way = (*corners, *((x, -y) for x, y in corners[::-1]))
    loop, entry = ("gc_loop_top,o1", "gc_loop_bottom,o1"), ("gc_in,o1", "awg,o1")
    column = tuple((2180.0, y) for y in (TOP - PITCH * FIBRES.index("in"), AWG[1]))
    return Circuit(
        instances={"awg": awg, **couplers},
        connections=(entry, *outputs, loop),
        exposed=tuple((fibre, f"gc_{fibre},o2") for fibre in FIBRES),
        plan=Plan(
            placements=tuple(placements.items()),
            bundles=(Bundle(outputs), Bundle((entry,), waypoints=column), Bundle((loop,), waypoints=way)),
            floorplan=(0.0, -2450.0, 5500.0, 2450.0),
            labels=tuple((f"opt_in_TE_1550_device_picq_{fibre}", f"gc_{fibre},o2") for fibre in FIBRES),
            top_cell="Cell0_awg_receiver",
        ),
    )
