"""Devices: each class is one device whose mask and model are tested to be the same device."""

from .awg import Awg
from .bend_euler import BendEuler
from .coupler import Coupler
from .crossing import Crossing
from .edge_coupler import EdgeCoupler
from .eo_phase_shifter import EoPhaseShifter
from .grating_coupler import GratingCoupler
from .lattice_filter import LatticeFilter
from .mmi import Mmi1x2, Mmi2x2
from .mzi import Mzi
from .pad import Pad
from .ring_coupler import RingCoupler
from .route import Route
from .straight import Straight
from .straight_heater import StraightHeater
from .taper import Taper
from .terminator import Terminator

DEVICES = {
    kind.name: kind
    for kind in (
        Straight,
        BendEuler,
        Taper,
        Coupler,
        RingCoupler,
        Mmi1x2,
        Mmi2x2,
        Crossing,
        StraightHeater,
        EoPhaseShifter,
        Mzi,
        LatticeFilter,
        Awg,
        GratingCoupler,
        EdgeCoupler,
        Terminator,
        Pad,
        Route,
    )
}

__all__ = [  # noqa: RUF022  in the order of DEVICES
    "DEVICES",
    "Straight",
    "BendEuler",
    "Taper",
    "Coupler",
    "RingCoupler",
    "Mmi1x2",
    "Mmi2x2",
    "Crossing",
    "StraightHeater",
    "EoPhaseShifter",
    "Mzi",
    "LatticeFilter",
    "Awg",
    "GratingCoupler",
    "EdgeCoupler",
    "Terminator",
    "Pad",
    "Route",
]
