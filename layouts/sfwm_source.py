"""Pair source: a ring, a filter for its pump, a demultiplexer for its photons, and a time-bin analyser for each.

::

     pads      ▪        ▪ ▪ ▪ ▪ ▪ ▪         ▪ ▪        ▪ ▪ ▪ ▪
                                                       ╭──────────╮
    loop ┐                                          ╭──┤ analyser ├──▶│ s1, s2
    in   │──▶ ring ──▶ pump filter ──▶ demultiplexer┤  ╰──────────╯   │ loop
    loop ┘                                          ╰──┤ analyser ├──▶│ i1, i2
                                                       ╰──────────╯
     pads      ▪                                       ▪ ▪ ▪ ▪
"""

import jax
import jax.numpy as jnp

from picq.circuit import Circuit
from picq.components import GratingCoupler, LatticeFilter, Pad, PumpFilter, RingAllPass, Terminator, TimeBinAnalyser
from picq.plan import Bundle, Placement, Plan
from picq.technology import Technology

CENTER_THZ, OFFSET_GHZ = 193.4, 200.0  # of the pump; of signal and idler from it
PITCH = 127.0  # um, fibre arrays
WEST, EAST = ("loop_w1", "in", "loop_w2"), ("loop_e1", "s1", "s2", "i1", "i2", "loop_e2")  # from top to bottom
ASIDE, PADS = 450.0, 1950.0  # um: analysers and pads from the middle line
CONTACTS = {  # heater contact: (x of its pad, whether it is in the upper row)
    "ring,e1": (1600.0, False), "ring,e2": (1600.0, True),
    **{f"filter,e{k}": (x, True) for k, x in zip(range(1, 7), (2210, 2700, 3390, 3880, 4570, 5060), strict=True)},
    "demux,e1": (5940.0, True), "demux,e2": (6430.0, True),
    **{f"analyser_{a},e{4 - k}": (6960.0 + 310.0 * k, a == "s") for a in "si" for k in (0, 1)},
    **{f"analyser_{a},e{k}": (7190.0 + 490.0 * k, a == "s") for a in "si" for k in (1, 2)},
}  # fmt: skip


def circuit(tech: Technology) -> Circuit:
    """The chip before optimisation; the specification says which parameters are free."""
    wl = [299792.458e-3 / (CENTER_THZ + df * 1e-3) for df in (-OFFSET_GHZ, 0.0, OFFSET_GHZ)]
    devices = {
        "ring": RingAllPass.on(tech, radius=105.888, gap=0.36, length=20.0, power_mw=60.0),
        "filter": PumpFilter.on(tech).for_channels(wl[1], OFFSET_GHZ, tech).snapped(),
        "demux": LatticeFilter.on(
            tech, delays=(_delay(wl[2], 4 * OFFSET_GHZ, tech),), coupler_lengths=(68.7, 68.7), powers_mw=(0.0,)
        ),
        **{f"analyser_{a}": _analyser(at, tech) for a, at in (("i", wl[0]), ("s", wl[2]))},
        **{f"gc_{fibre}": GratingCoupler.on(tech) for fibre in (*WEST, *EAST)},
        **{f"pad_{contact.replace(',', '_')}": Pad.on(tech) for contact in CONTACTS},
        **{f"end_{name}": Terminator.on(tech) for name in ("demux", "s", "i")},
    }
    placements = {
        "ring": Placement(1530.0, 0.0),
        "filter": Placement(1800.0, 0.0, port="o1"),
        "demux": Placement(5600.0, 6.0, port="o1"),
        "analyser_s": Placement(7400.0, ASIDE, port="o1"),
        "analyser_i": Placement(7400.0, -ASIDE, mirror=True, port="o1"),
        "end_demux": Placement(5440.0, 212.0, rotation=180.0),
        "end_s": Placement(7240.0, ASIDE + 200.0, rotation=180.0),
        "end_i": Placement(7240.0, -ASIDE - 200.0, rotation=180.0),
        **{f"gc_{f}": Placement(1000.0, PITCH * (1 - k), rotation=180.0) for k, f in enumerate(WEST)},
        **{f"gc_{f}": Placement(10300.0, PITCH * (2.5 - k)) for k, f in enumerate(EAST)},
        **{
            f"pad_{contact.replace(',', '_')}": Placement(x, PADS if top else -PADS, rotation=0.0 if top else 180.0)
            for contact, (x, top) in CONTACTS.items()
        },
    }
    line = (("gc_in,o1", "ring,o1"), ("ring,o2", "filter,o1"), ("filter,o2", "demux,o1"))
    ways = (("demux,o3", "analyser_s,o1"), ("demux,o4", "analyser_i,o1"))
    unused = (("demux,o2", "end_demux,o1"), ("analyser_s,o2", "end_s,o1"), ("analyser_i,o2", "end_i,o1"))
    signal = (("analyser_s,o3", "gc_s1,o1"), ("analyser_s,o4", "gc_s2,o1"))
    idler = (("analyser_i,o4", "gc_i1,o1"), ("analyser_i,o3", "gc_i2,o1"))
    loops = {
        ("gc_loop_w1,o1", "gc_loop_w2,o1"): (1000.0, -1, 127.0),
        ("gc_loop_e1,o1", "gc_loop_e2,o1"): (10300.0, 1, 317.5),
    }
    return Circuit(
        instances=devices,
        connections=(*line, *ways, *unused, *signal, *idler, *loops),
        exposed=tuple((fibre, f"gc_{fibre},o2") for fibre in (*WEST, *EAST)),
        plan=Plan(
            placements=tuple(placements.items()),
            bundles=(
                *(Bundle((link,)) for link in (*line, *ways, *unused)),
                Bundle(signal),
                Bundle(idler),
                *(Bundle((link,), waypoints=_behind(*at)) for link, at in loops.items()),
            ),
            wires=tuple(_wire(contact) for contact in CONTACTS),
            floorplan=(0.0, -2450.0, 11470.0, 2450.0),
            labels=tuple((f"opt_in_TE_1550_device_picq_{fibre}", f"gc_{fibre},o2") for fibre in (*WEST, *EAST)),
            top_cell="Cell0_sfwm_source",
        ),
    )


def _delay(wl: float, fsr_ghz: float, tech: Technology) -> float:
    """Length near c/(n_g FSR) that is a whole number of wavelengths long: light there takes the cross port."""
    n, slope = jax.jvp(lambda at: tech.n_eff("strip", at), (jnp.asarray(wl),), (jnp.ones(()),))
    coarse = 299792.458 / (float(n - wl * slope) * fsr_ghz)
    return round(coarse * float(n) / wl) * wl / float(n)


def _analyser(wl: float, tech: Technology) -> TimeBinAnalyser:
    """Bins 300 ps apart, both arms alike at the combiner."""
    analyser = TimeBinAnalyser.on(tech, delay_um=42000.0, turns=6)
    return analyser.replace(split_power_mw=float(analyser.balanced(wl, tech).split_power_mw))


def _behind(x: float, side: int, half: float) -> tuple[tuple[float, float], ...]:
    """Corners of an alignment loop behind a fibre array that lies to that side of the chip: it crosses nothing."""
    corners = [(x - side * 80.0, half + 75.0), (x - side * 80.0, half + 150.0), (x + side * 500.0, half + 150.0)]
    return (*corners, *((a, -b) for a, b in corners[::-1]))


def _wire(contact: str) -> Bundle:
    link = (contact, f"pad_{contact.replace(',', '_')},e1")
    name, port = contact.split(",")
    if name in ("analyser_s", "analyser_i") and port in ("e3", "e4"):  # between the analysers, west, and outwards
        sign, k = (1 if name == "analyser_s" else -1), int(port[1]) - 3
        lane, column = 270.0 - 40.0 * k, 7310.0 - 60.0 * k
        return Bundle(
            (link,), waypoints=tuple((x, sign * y) for x, y in ((8300.0, lane), (column, lane), (column, 1700.0)))
        )
    return Bundle((link,))
