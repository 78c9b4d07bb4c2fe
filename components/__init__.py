"""Devices: each class is one device whose mask and model are tested to be the same device."""

from .bend_euler import BendEuler
from .coupler import Coupler
from .grating_coupler import GratingCoupler
from .lattice_filter import LatticeFilter
from .mmi import Mmi1x2, Mmi2x2
from .mzi import Mzi
from .pad import Pad
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
        Mmi1x2,
        Mmi2x2,
        StraightHeater,
        Mzi,
        LatticeFilter,
        GratingCoupler,
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
    "Mmi1x2",
    "Mmi2x2",
    "StraightHeater",
    "Mzi",
    "LatticeFilter",
    "GratingCoupler",
    "Terminator",
    "Pad",
    "Route",
]
