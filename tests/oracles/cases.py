"""Materials, and cross-sections on which the finite elements and picq's own solver are compared."""

from dataclasses import dataclass

import numpy as np
from fem import Medium, Section


def constant(index: float) -> Medium:
    """Isotropic medium without dispersion."""
    return lambda wl: (index**2,) * 3


def _sellmeier(wl: complex, constant: float, *terms: tuple[float, float]) -> complex:
    return constant + sum(b * wl**2 / (wl**2 - c) for b, c in terms)


def si(wl: complex) -> tuple[complex, complex, complex]:
    """Silicon, Salzberg and Villa 1957 in the fit of Tatian 1984."""
    n2 = _sellmeier(wl, 1, (10.6684293, 0.301516485**2), (0.0030434748, 1.13475115**2), (1.54133408, 1104**2))
    return n2, n2, n2


def sio2(wl: complex) -> tuple[complex, complex, complex]:
    """Fused silica, Malitson 1965."""
    n2 = _sellmeier(wl, 1, (0.6961663, 0.0684043**2), (0.4079426, 0.1162414**2), (0.8974794, 9.896161**2))
    return n2, n2, n2


def sin(wl: complex) -> tuple[complex, complex, complex]:
    """LPCVD silicon nitride, Luke et al. 2015."""
    n2 = _sellmeier(wl, 1, (3.0249, 0.1353406**2), (40314, 1239.842**2))
    return n2, n2, n2


def ln_x_cut(wl: complex) -> tuple[complex, complex, complex]:
    """Congruent lithium niobate, Zelmon 1997; optic axis along x, across the guide."""
    e = _sellmeier(wl, 1, (2.9804, 0.02047), (0.5981, 0.0666), (8.9543, 416.08))
    o = _sellmeier(wl, 1, (2.6734, 0.01764), (1.2290, 0.05914), (12.614, 474.60))
    return e, o, o


def air(wl: complex) -> tuple[complex, complex, complex]:
    return 1, 1, 1


@dataclass(frozen=True)
class Case:
    """The mode of highest n_eff that the walls of ``section`` allow; ``guess`` is needed far below the core's index."""

    section: Section
    te: bool
    n_eff: float
    n_g: float
    radius: float = np.inf
    guess: float | None = None


def ridge(
    core: Medium,
    width: float,
    etch: float,
    slab: float = 0.0,
    *,
    over: Medium = sio2,
    under: Medium = sio2,
    angle: float = 90.0,
    width_at: float = 0.5,
    left: str = "electric",
    reach: float = 3.0,
) -> Section:
    """Right half of a strip (slab = 0) or rib, its axis of symmetry at x = 0, the bottom of ``core`` at y = 0 (um).

    ``angle``: of the side wall to the horizontal (degrees); ``width_at``: where on the wall ``width`` is measured, its
    foot being 0, its top 1. ``left``: 'electric' for E_x even in x (TE0, TM1), 'magnetic' for E_x odd (TM0, TE1).
    ``reach``: distance of the other walls.
    """
    slope = etch / np.tan(np.radians(angle))
    foot, top = width / 2 + width_at * slope, width / 2 - (1 - width_at) * slope
    y = [-reach, *([0.0, slab] if slab else [0.0]), slab + etch, slab + etch + reach]
    edge = [*[foot] * (len(y) - 2), top, top]
    x = [[0.0] * len(y), edge, [width / 2 + reach] * len(y)]
    middle = [core] if slab else []
    media = [[under, *middle, core, over], [under, *middle, over, over]]
    return Section(x, y, media, (left, "electric", "electric", "electric"))


def pair(core: Medium, width: float, height: float, gap: float, left: str = "electric", reach: float = 3.0) -> Section:
    """Right half of two strips in oxide, the gap's centre at x = 0; ``left`` 'electric' for the even TE supermode."""
    x = [0.0, gap / 2, gap / 2 + width, gap / 2 + width + reach]
    media = [[sio2] * 3, [sio2, core, sio2], [sio2] * 3]
    return Section(x, [-reach, 0.0, height, height + reach], media, (left, "electric", "electric", "electric"))


def bend(core: Medium, width: float, height: float, *, cladding: Medium = sio2, reach: float = 2.0) -> Section:
    """Upper half of a strip, whole in x (the centre of the bend is at x = -radius), y = 0 at half height."""
    x = [-width / 2 - reach, -width / 2, width / 2, width / 2 + reach]
    media = [[cladding, cladding], [core, cladding], [cladding, cladding]]
    return Section(x, [0.0, height / 2, height / 2 + reach], media, ("electric", "electric", "magnetic", "electric"))


# Wavelength 1.55 um, dispersive materials. By N3 x P3 elements with size 0.06 and grade 0.35, where finer ones
# change n_eff by less than 3e-7, and so do walls further out. The tip's n_g is good to 3e-5 (walls at 8 um).
CASES = {
    "si_strip_80deg_te0": Case(ridge(si, 0.5, 0.22, angle=80), True, 2.447144, 4.19385),
    "si_strip_80deg_tm0": Case(ridge(si, 0.5, 0.22, angle=80, left="magnetic"), False, 1.771481, 3.75176),
    "sin_1000x400_85deg_te0": Case(ridge(sin, 1.0, 0.4, angle=85, reach=4), True, 1.637921, 2.05566),
    "si_rib_450_slab_100_te0": Case(ridge(si, 0.45, 0.12, 0.1), True, 2.546223, 3.86024),
    "tfln_rib_1200_60deg_air_te0": Case(
        ridge(ln_x_cut, 1.2, 0.3, 0.3, over=air, angle=60, width_at=1), True, 1.907570, 2.28453
    ),
    "si_strip_air_top_te0": Case(ridge(si, 0.5, 0.22, over=air), True, 2.386325, 4.37154),
    "si_strip_air_top_tm0": Case(ridge(si, 0.5, 0.22, over=air, left="magnetic"), False, 1.581738, 3.49896),
    "si_pair_gap_100_even": Case(pair(si, 0.5, 0.22, 0.1), True, 2.481926, 4.01364),
    "si_pair_gap_100_odd": Case(pair(si, 0.5, 0.22, 0.1, "magnetic"), True, 2.429144, 4.28252),
    "si_pair_gap_200_even": Case(pair(si, 0.5, 0.22, 0.2), True, 2.458567, 4.11732),
    "si_pair_gap_200_odd": Case(pair(si, 0.5, 0.22, 0.2, "magnetic"), True, 2.438182, 4.25476),
    "si_pair_gap_300_even": Case(pair(si, 0.5, 0.22, 0.3), True, 2.451629, 4.15857),
    "si_pair_gap_300_odd": Case(pair(si, 0.5, 0.22, 0.3, "magnetic"), True, 2.443168, 4.22966),
    "si_800_te1": Case(ridge(si, 0.8, 0.22, left="magnetic"), True, 2.170220, 4.61246),
    "si_tip_160_te0": Case(ridge(si, 0.16, 0.22, reach=8), True, 1.448944, 1.53901, guess=1.47),
    "si_bend_5_te0": Case(bend(si, 0.5, 0.22), True, 2.448632, 4.19906, radius=5.0),
    "si_bend_10_te0": Case(bend(si, 0.5, 0.22), True, 2.447575, 4.19690, radius=10.0),
}
