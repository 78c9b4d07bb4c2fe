"""Devices: each class is one device whose mask and model are tested to be the same device."""

from .arm_pair import ArmPair
from .awg import Awg
from .bend_euler import BendEuler
from .coupler import Coupler
from .crossing import Crossing
from .delay_spiral import DelaySpiral
from .edge_coupler import EdgeCoupler
from .eo_phase_shifter import EoPhaseShifter
from .free_form import FreeForm
from .grating_coupler import GratingCoupler
from .lattice_filter import LatticeFilter
from .mmi import Mmi1x2, Mmi2x2
from .mzi import Mzi
from .pad import Pad
from .photonic_molecule import PhotonicMolecule
from .pulley_coupler import PulleyCoupler
from .pump_filter import PumpFilter
from .ring import RingAddDrop, RingAllPass
from .ring_coupler import RingCoupler
from .ring_dual_mzi import RingDualMzi
from .route import Route
from .straight import Straight
from .straight_heater import StraightHeater
from .taper import Taper
from .terminator import Terminator
from .time_bin_analyser import TimeBinAnalyser

DEVICES = {
    kind.name: kind
    for kind in (
        Straight,
        BendEuler,
        Taper,
        Coupler,
        RingCoupler,
        PulleyCoupler,
        RingAllPass,
        RingAddDrop,
        RingDualMzi,
        PhotonicMolecule,
        Mmi1x2,
        Mmi2x2,
        Crossing,
        StraightHeater,
        EoPhaseShifter,
        Mzi,
        ArmPair,
        LatticeFilter,
        PumpFilter,
        DelaySpiral,
        TimeBinAnalyser,
        Awg,
        GratingCoupler,
        EdgeCoupler,
        FreeForm,
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
    "PulleyCoupler",
    "RingAllPass",
    "RingAddDrop",
    "RingDualMzi",
    "PhotonicMolecule",
    "Mmi1x2",
    "Mmi2x2",
    "Crossing",
    "StraightHeater",
    "EoPhaseShifter",
    "Mzi",
    "ArmPair",
    "LatticeFilter",
    "PumpFilter",
    "DelaySpiral",
    "TimeBinAnalyser",
    "Awg",
    "GratingCoupler",
    "EdgeCoupler",
    "FreeForm",
    "Terminator",
    "Pad",
    "Route",
]
