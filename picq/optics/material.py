"""Materials: refractive index in closed form, and the constants that solvers of light, heat and RF fields need.

Lengths in um, temperatures in K. The index is a dispersion formula at 20 degrees C plus a linear thermo-optic term.
Every formula is taken to hold at 20 degrees C, although the data of some were taken a few kelvin off (said in
``source``): for Si, 26 degrees C, this is worth 1.1e-3 of index, below the 5e-3 by which published data of silicon
differ (Frey, Leviton & Madison, Proc. SPIE 6273, 62732J (2006)).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from picq.errors import SpecError, nearest
from picq.optics.ranges import check_within, is_within

REFERENCE_K = 293.15
# Where the linear law is used: at 400 K the quadratic term of Si (1.3e-7 per K², Cocorullo et al., as for its dn/dT) is
# 7 % of the linear one.
TEMPERATURE_RANGE_K = (250.0, 400.0)


@dataclass(frozen=True)
class Sellmeier:
    """n² = constant + sum of B wl²/(wl² - C), terms (B, C in um²); without terms a constant index."""

    constant: float
    terms: tuple[tuple[float, float], ...] = ()

    def __call__(self, wl: jax.Array) -> jax.Array:
        """Index at wl in um, of wl's shape."""
        squared = wl**2
        return jnp.sqrt(sum((b * squared / (squared - c) for b, c in self.terms), jnp.full_like(wl, self.constant)))


def standard_air(wl: jax.Array) -> jax.Array:
    """Ciddor's index of standard air (dry, 15 degrees C, 101.325 kPa, 450 ppm CO2), of wl's shape."""
    wavenumber = wl**-2
    return 1 + 0.05792105 / (238.0185 - wavenumber) + 0.00167917 / (57.362 - wavenumber)


_TATIAN_SI = Sellmeier(1.0, ((10.6684293, 0.301516485**2), (0.0030434748, 1.13475115**2), (1.54133408, 1104.0**2)))
_SI_DATA_FROM = 1.357  # um


def silicon(wl: jax.Array) -> jax.Array:
    """Tatian's fit where its data are; below 1.357 um Li's index (293 K), moved up by 3e-3 to meet it there.

    The fit has a pole at 1.135 um and no data near it; Li, J. Phys. Chem. Ref. Data 9, 561 (1980), goes on to 1.2 um:
    n² = eps + g / wl². So differences between the O and the C band are Li's, and no number above 1.357 um is his.
    """
    li = lambda wl: jnp.sqrt(11.651686 + 1.029991 / wl**2)  # eps and g of Li's polynomials in T at 293 K
    edge = jnp.asarray(_SI_DATA_FROM)
    return jnp.where(wl < _SI_DATA_FROM, li(wl) + _TATIAN_SI(edge) - li(edge), _TATIAN_SI(wl))


@dataclass(frozen=True)
class Material:
    """One isotropic material, or a crystal seen along one of its axes. Hashable, so it may be static under jit.

    Attributes:
        name: as in ``MATERIALS``.
        source: of the dispersion formula, with the temperature of its data; empty where there is none.
        thermal_w_mk: thermal conductivity, W/(m K), near 300 K.
        formula: index at ``REFERENCE_K`` of a wavelength in um; None for what only heat and RF solvers meet.
        wl_range: where the formula is valid, um.
        dn_dt_k: thermo-optic coefficient, 1/K, at 1.55 um and ``REFERENCE_K``; taken as constant.
        n2_m2_w: Kerr index near 1.55 um, m²/W, good to a few ten per cent; None where no value is known.
        eps_rf: relative permittivity from about 10 MHz to 100 GHz; None for conductors.
        pockels_pm_v: r33 or r13 of the ray along this axis for a field E along the optic axis, pm/V:
            dn = -n³ r E/2. Zero for all but LiNbO3; the r41 of InP is not carried.
        sources: of the numbers, by attribute name; one without a published measurement behind it says ``assumed``.
    """

    name: str
    source: str
    thermal_w_mk: float
    formula: Callable[[jax.Array], jax.Array] | None = None
    wl_range: tuple[float, float] | None = None
    dn_dt_k: float | None = None
    n2_m2_w: float | None = None
    eps_rf: float | None = None
    pockels_pm_v: float = 0.0
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    def index(self, wl: Any, temperature_k: Any = REFERENCE_K) -> jax.Array:
        """Refractive index: n(wl) at 20 degrees C plus dn/dT times the rest. Differentiable in both; they broadcast.

        Args:
            wl: vacuum wavelength, um.
            temperature_k: temperature, K.

        Raises:
            SpecError: the material has no optical index.
            NumericsError: a concrete wavelength or temperature lies outside the range; traced ones give NaN there.
        """
        if self.formula is None or self.wl_range is None or self.dn_dt_k is None:
            raise SpecError(
                f"material '{self.name}' has no optical index here: it is for heat and RF fields only",
                allowed=", ".join(name for name, m in MATERIALS.items() if m.formula is not None),
                remedy="keep it out of reach of the light, or choose a material that has one",
            )
        remedy = "stay inside the range: the formula does not extrapolate"
        check_within(wl, *self.wl_range, f"wavelength for the index of {self.name}", "um", remedy)
        check_within(temperature_k, *TEMPERATURE_RANGE_K, f"temperature for the index of {self.name}", "K", remedy)
        wl, kelvin = jnp.asarray(wl, float), jnp.asarray(temperature_k, float)
        index = self.formula(wl) + self.dn_dt_k * (kelvin - REFERENCE_K)
        known = is_within(wl, *self.wl_range) & is_within(kelvin, *TEMPERATURE_RANGE_K)
        return jnp.asarray(jnp.where(known, index, jnp.nan))


@cache
def described(m: Material, wl: float, temperature_k: float = REFERENCE_K) -> str:
    """A material's index to nine decimals: what says whether a table was made from it."""
    return f"{float(m.index(wl, temperature_k)):.9f}"


def material(name: str) -> Material:
    """The material of that name.

    Raises:
        SpecError: there is none of that name.
    """
    if name not in MATERIALS:
        raise SpecError(f"there is no material '{name}'", allowed=", ".join(MATERIALS), remedy=nearest(name, MATERIALS))
    return MATERIALS[name]


_ELEMENTS = "Ho, Powell & Liley, J. Phys. Chem. Ref. Data 1, 279 (1972), pure bulk at 300 K"
_SZE = "Sze, Physics of Semiconductor Devices, 2nd ed., table of SiO2 and Si3N4 at 300 K"
_ZELMON = "Zelmon, Small & Jundt, JOSA B 14, 3319 (1997), congruent, 21 degrees C"
_WEIS = "Weis & Gaylord, Appl. Phys. A 37, 191 (1985), congruent, clamped (above the piezoelectric resonances)"
_EDWARDS = "Edwards & Lawrence, Opt. Quantum Electron. 16, 373 (1984)"
_LN_THERMAL = "assumed: bulk congruent crystal of makers' data sheets, one value for both axes; films conduct less"

_ALL = (
    Material(
        name="Si",
        source="Salzberg & Villa, JOSA 47, 244 (1957), 26 degrees C; fit of Tatian, Appl. Opt. 23, 4477 (1984); below "
        "1.357 um Li, J. Phys. Chem. Ref. Data 9, 561 (1980), 20 degrees C, moved to meet it",
        formula=silicon,
        wl_range=(1.2, 11.04),
        dn_dt_k=1.86e-4,
        n2_m2_w=4.5e-18,
        thermal_w_mk=148.0,
        eps_rf=11.7,
        sources={
            "dn_dt_k": "Cocorullo, Della Corte & Rendina, Appl. Phys. Lett. 74, 3338 (1999), 1.523 um, 300 K; the "
            "fit of Frey et al. (2006) gives 1.76e-4 at 1.55 um, 293 K",
            "n2_m2_w": "assumed, between z-scans at 1.55 um: 4.84e-18 (Bristow et al., Appl. Phys. Lett. 90, 191104 "
            "(2007)) and 2.5e-18 (Lin et al., ibid. 91, 021111 (2007)), nearer the first",
            "thermal_w_mk": f"{_ELEMENTS}; a 220 nm film conducts less, some heater models assume 90",
            "eps_rf": "Dunlap & Watters, Phys. Rev. 92, 1396 (1953), 11.7 +- 0.2, 500 Hz to 30 MHz, high resistivity",
        },
    ),
    Material(
        name="SiO2",
        source="Malitson, JOSA 55, 1205 (1965), fused silica, 20 degrees C",
        formula=Sellmeier(1.0, ((0.6961663, 0.0684043**2), (0.4079426, 0.1162414**2), (0.8974794, 9.896161**2))),
        wl_range=(0.21, 6.7),
        dn_dt_k=8.2e-6,
        n2_m2_w=2.4e-20,
        thermal_w_mk=1.38,
        eps_rf=3.9,
        sources={
            "dn_dt_k": "Rego, Sensors 23, 6023 (2023): 8.16e-6 to 8.53e-6 for four fused silicas, 1.55 um, 293 K; "
            "PECVD oxide 9.5e-6 (Arbabi & Goddard, Opt. Lett. 38, 3878 (2013))",
            "n2_m2_w": "Flom et al., Appl. Opt. 54, F123 (2015), z-scan: 2.42e-20 at 1.55 um, 2.23e-20 at 1.03 um",
            "thermal_w_mk": "Touloukian et al., Thermophysical Properties of Matter 2 (1970), fused silica, 300 K",
            "eps_rf": _SZE,
        },
    ),
    Material(
        name="SiN",
        source="Luke et al., Opt. Lett. 40, 4823 (2015), LPCVD Si3N4, room temperature",
        formula=Sellmeier(1.0, ((3.0249, 0.1353406**2), (40314.0, 1239.842**2))),
        wl_range=(0.31, 5.504),
        dn_dt_k=2.45e-5,
        n2_m2_w=2.4e-19,
        thermal_w_mk=2.4,
        eps_rf=7.5,
        sources={
            "dn_dt_k": "Arbabi & Goddard, Opt. Lett. 38, 3878 (2013), stoichiometric LPCVD, (2.45 +- 0.09)e-5, 1.55 um",
            "n2_m2_w": "Ikeda, Saperstein, Alic & Fainman, Opt. Express 16, 12987 (2008)",
            "thermal_w_mk": "amorphous LPCVD film across its plane, 1.62 as deposited to 2.42 annealed ('Amorphous "
            "Silicon Nitride Thin Film Withstanding Up to 1700 °C', PubMed 40522273); the annealed value",
            "eps_rf": _SZE,
        },
    ),
    Material(
        name="LiNbO3_e",
        source=f"{_ZELMON}, extraordinary ray (light polarised along the optic axis)",
        formula=Sellmeier(1.0, ((2.9804, 0.02047), (0.5981, 0.0666), (8.9543, 416.08))),
        wl_range=(0.4, 5.0),
        dn_dt_k=3.7e-5,
        n2_m2_w=1.8e-19,
        thermal_w_mk=5.6,
        eps_rf=27.9,
        pockels_pm_v=30.8,
        sources={
            "dn_dt_k": "derivative of the formula of Jundt, Opt. Lett. 22, 1553 (1997), at 1.55 um, 20 degrees C; "
            f"that of {_EDWARDS} gives 3.45e-5",
            "n2_m2_w": "assumed: as Wang et al., Nat. Commun. 10, 978 (2019); measured at 1.064 um: 0.93e-19 (DeSalvo "
            "et al., IEEE J. Quantum Electron. 32, 1324 (1996))",
            "thermal_w_mk": _LN_THERMAL,
            "eps_rf": f"{_WEIS}: eps_33",
            "pockels_pm_v": f"{_WEIS}: r33 at 0.633 um; Chelladurai et al., Nat. Mater. (2025), "
            "10.1038/s41563-025-02158-1, fit 26.9 to thin-film phase shifters from 0.1 to 330 GHz",
        },
    ),
    Material(
        name="LiNbO3_o",
        source=f"{_ZELMON}, ordinary ray (light polarised across the optic axis)",
        formula=Sellmeier(1.0, ((2.6734, 0.01764), (1.2290, 0.05914), (12.614, 474.60))),
        wl_range=(0.4, 5.0),
        dn_dt_k=4.1e-6,
        n2_m2_w=1.8e-19,
        thermal_w_mk=5.6,
        eps_rf=44.0,
        pockels_pm_v=8.6,
        sources={
            "dn_dt_k": f"derivative of the formula of {_EDWARDS}, at 1.55 um, 20 degrees C",
            "n2_m2_w": "assumed: as the extraordinary ray",
            "thermal_w_mk": _LN_THERMAL,
            "eps_rf": f"{_WEIS}: eps_11",
            "pockels_pm_v": f"{_WEIS}: r13 at 0.633 um",
        },
    ),
    Material(
        name="InP",
        source="Pettit & Turner, J. Appl. Phys. 36, 2081 (1965), room temperature; formula of Handbook of Optics, "
        "2nd ed., vol. 2 (1994)",
        formula=Sellmeier(7.255, ((2.316, 0.6263**2), (2.765, 32.935**2))),
        wl_range=(0.95, 10.0),
        dn_dt_k=2.0e-4,
        thermal_w_mk=68.0,
        eps_rf=12.5,
        sources={
            "dn_dt_k": "Gini & Melchior, Proc. IPRM (1996), WP-C 34: 2.3e-4 to 1.9e-4 from 1.2 to 1.6 um; assumed "
            "between at 1.55 um",
            "thermal_w_mk": "Ioffe Institute, NSM archive, InP, 300 K",
            "eps_rf": "Ioffe Institute, NSM archive, InP, static, 300 K",
        },
    ),
    Material(
        name="air",
        source="Ciddor, Appl. Opt. 35, 1566 (1996), standard air, 15 degrees C",
        formula=standard_air,
        wl_range=(0.23, 1.69),
        dn_dt_k=-9.2e-7,
        n2_m2_w=0.0,
        thermal_w_mk=0.026,
        eps_rf=1.0006,
        sources={
            "dn_dt_k": "ideal gas at constant pressure: -(n - 1)/T at 1.55 um, 293.15 K",
            "n2_m2_w": "assumed: below 1e-22, without weight beside any solid",
            "thermal_w_mk": "Kadoya, Matsunaga & Nagashima, J. Phys. Chem. Ref. Data 14, 947 (1985), 300 K, 0.1 MPa",
            "eps_rf": "1.00059 at 20 degrees C, 101 kPa, CRC Handbook of Chemistry and Physics",
        },
    ),
    Material(
        name="TiN",
        source="",
        thermal_w_mk=28.0,
        sources={"thermal_w_mk": "assumed: as the heater model of Jacques et al., Opt. Express 27, 10456 (2019)"},
    ),
    Material(name="Al", source="", thermal_w_mk=237.0, sources={"thermal_w_mk": _ELEMENTS}),
    Material(name="Au", source="", thermal_w_mk=317.0, sources={"thermal_w_mk": _ELEMENTS}),
)

MATERIALS: Mapping[str, Material] = MappingProxyType({m.name: m for m in _ALL})
