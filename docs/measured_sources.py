"""Published pair sources beside picq's formulas: ``python docs/measured_sources.py`` writes measured_sources.md.

What goes in, and how sure it is, stands in measured_sources.yaml, and so does what the page says. Every input is a
log-normal of its median and factor; all figures of a device see the same samples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
import yaml
from scipy.constants import c as _C

jax.config.update("jax_enable_x64", True)

from picq import pdk  # noqa: E402
from picq.errors import NumericsError  # noqa: E402
from picq.optics import kerr  # noqa: E402
from picq.optics.operating_point import NITRIDE, SILICON, Cavity, Medium, OperatingPoint, operate  # noqa: E402
from picq.quantum import sfwm  # noqa: E402
from picq.quantum.joint_spectrum import (  # noqa: E402
    Lorentzian,
    joint_amplitude,
    joint_temporal_amplitude,
    pump_grid,
    tan_grid,
    time_grid,
)
from picq.quantum.pump import Gaussian  # noqa: E402
from picq.quantum.schmidt import linewidth_ratio_for_purity  # noqa: E402
from picq.quantum.schmidt import purity as schmidt_purity  # noqa: E402

DATA, PAGE = (Path(__file__).with_name(f"measured_sources.{ending}") for ending in ("yaml", "md"))
SAMPLES, SEED = 10_000, 20120924
_WEAK_MW = 1e-6  # at which a rate over the power squared is a brightness
_WL_UM = 1.55  # where technologies are asked

Inputs = Mapping[str, Any]


class Number(NamedTuple):
    """A number of the data: 68 % lies within value/factor … value x factor."""

    value: float
    factor: float
    kind: str
    spread: str
    source: str

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return float(np.log(self.factor))


def _group_index(tech: Any, cross_section: str) -> float:
    index, slope = jax.jvp(lambda wl: tech.n_eff(cross_section, wl), (jnp.asarray(_WL_UM),), (jnp.asarray(1.0),))
    return float(index - _WL_UM * slope)


_TABLES: dict[str, Callable[[Any, str], float]] = {
    "n_g": _group_index,
    "a_eff_um2": lambda tech, xs: float(kerr.effective_area_um2(tech, xs)),
    "n2_m2_w": lambda tech, _: kerr.core_n2(tech),
}


def number(name: str, entry: Mapping[str, Any]) -> Number:
    """An entry of the data; that of kind ``table`` is read from the technology that it names."""
    factor, kind, width, source = (entry[key] for key in ("factor", "kind", "spread", "source"))
    if kind == "table":
        technology, cross_section = entry["table"].split(".")
        value, source = _TABLES[name](pdk.load(technology), cross_section), f"{entry['table']}: {source}"
    else:
        value = float(entry["value"])
    return Number(value, float(factor), kind, width, source)


def numbers(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Number]:
    """Inputs of a device."""
    return {name: number(name, entry) for name, entry in inputs.items()}


def draw(inputs: Mapping[str, Number], device: str) -> dict[str, np.ndarray]:
    """Samples of every input, [SAMPLES] each; they depend on the names of device and input alone."""
    normal = lambda name: np.random.default_rng([SEED, crc32(f"{device}/{name}".encode())]).standard_normal(SAMPLES)
    return {name: n.value * np.exp(n.sigma * normal(name)) for name, n in inputs.items()}


# ---- what picq says; x holds scalars by the names of the data


def kappa(x: Inputs) -> Any:
    """Loaded linewidth, rad/s, from whichever number the source gives."""
    if "linewidth_ghz" in x:
        return 2e9 * jnp.pi * x["linewidth_ghz"]
    omega = 2e6 * jnp.pi * _C / x["wavelength_um"]
    return omega / x["q"] if "q" in x else omega * (1 + x["coupling"]) / x["q_intrinsic"]


def cavity(x: Inputs) -> Cavity:
    """The ring; ``coupling`` is the decay rate by couplers over that by losses. Heat is left out: the laser follows."""
    omega, total = 2e6 * jnp.pi * _C / x["wavelength_um"], kappa(x)
    coupled = total * x["coupling"] / (1 + x["coupling"])
    length_um = 2 * jnp.pi * x["radius_um"] if "radius_um" in x else 1e-3 * _C / (x["n_g"] * x["fsr_ghz"])
    if "gamma_w_m" in x:
        gamma, area = x["gamma_w_m"], 1.0  # no medium that asks for the area has a gamma
    else:
        area = x["a_eff_um2"]
        gamma = omega * x["n2_m2_w"] / (_C * 1e-12 * area)
    return Cavity(
        omega, coupled * x.get("one_guide", 1.0), total - coupled, total, x["n_g"], length_um, gamma, area, 0.0
    )


def medium(x: Inputs, core: str) -> Medium:
    """What the core does at high power."""
    if core == "nitride":
        return NITRIDE
    return replace(SILICON, tpa_m_w=x["tpa_m_w"], lifetime_s=1e-9 * x["lifetime_ns"])


def _steady(x: Inputs, core: str) -> tuple[Cavity, OperatingPoint]:
    leaves, tree = jax.tree.flatten((cavity(x), medium(x, core), 1e-3 * x["power_mw"]))
    ring, inside, power_w = jax.tree.unflatten(tree, jnp.broadcast_arrays(*leaves))  # one shape is one compilation
    return ring, operate(ring, inside, power_w)


def created_hz(x: Inputs, core: str) -> Any:
    """Pairs created per second, the pump held on the resonance as it is; losses by light included, dispersion not."""
    ring, at = _steady(x, core)
    drive, decay = sfwm.drive(ring.gamma_w_m, ring.v_g, at.p_circ_w), ring.kappa + at.added_pair
    return sfwm.pair_rate_hz(drive, decay, decay, at.mismatch)


def leaving_hz(x: Inputs, core: str) -> Any:
    """Pairs of which both photons leave by the pump's guide, per second."""
    ring, at = _steady(x, core)
    return (ring.kappa_c / (ring.kappa + at.added_pair)) ** 2 * created_hz(x, core)


def _bright(rate: Callable[[Inputs, str], Any]) -> Callable[[Inputs, str], Any]:
    per_ghz = lambda x: kappa(x) / (2e9 * jnp.pi)
    return lambda x, core: rate({**x, "power_mw": _WEAK_MW}, core) / _WEAK_MW**2 / per_ghz(x)


def slope(x: Inputs, core: str, high_mw: float) -> Any:
    """ln(rate over rate)/ln(power over power) of created pairs between ``power_mw`` and ``high_mw``."""
    rates = [created_hz({**x, "power_mw": power}, core) for power in (x["power_mw"], high_mw)]
    return jnp.log(rates[1] / rates[0]) / jnp.log(high_mw / x["power_mw"])


class Curves(NamedTuple):
    """Of one resonance for pump, signal and idler, against the pulse's width times kappa; logarithms, [n] each."""

    width: np.ndarray
    purity: np.ndarray
    jsi_purity: np.ndarray  # of the root of the joint intensity, which is what is measured without phases
    energy: np.ndarray  # ∫∫|f|² of ``joint_temporal_amplitude`` in units of the linewidth


@jax.jit
def one_resonance(width: Any, times: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Purity, that of the root of the joint intensity, and ∫∫|f|²; unit linewidths, a Gaussian of that width."""
    pulse, line, grid, pump_w = Gaussian(width), Lorentzian(1.0), tan_grid(1.0, 96), pump_grid(40.0, 60.0)
    f = joint_temporal_amplitude(pulse, times, line, line, line)
    photon, pump = line.response(grid.w), pulse.spectrum(pump_w) * line.response(pump_w)
    seen = jnp.abs(joint_amplitude(photon, photon, pump, grid, grid, pump_w))
    return schmidt_purity(f), schmidt_purity(seen), jnp.sum(jnp.abs(f) ** 2)


@cache
def curves() -> Curves:
    """At widths from 0.004/kappa to 5/kappa; Gaussian pulses."""
    widths = np.geomspace(0.004, 5, 57)
    found = np.array([one_resonance(w, time_grid(w, 45.0, 240)) for w in widths])
    return Curves(np.log(widths), *np.log(found).T)


def curve(x: Inputs, which: str) -> Any:
    """One of the curves at a device's pulse and linewidth."""
    known, at = curves(), jnp.log(1e-12 * x["pulse_ps"] * kappa(x))
    return jnp.exp(jnp.interp(at, known.width, getattr(known, which), left=jnp.nan, right=jnp.nan))


def pairs_per_pulse(x: Inputs, core: str) -> Any:
    """Mean number created, (gamma v_g² U kappa_c/(L kappa²))² ∫∫|f|² in units of kappa; no losses by light.

    f is the first-order amplitude with the drive gamma v_g P_circ(t), P_circ = v_g |a_p|²/L, of a pulse of energy U.
    """
    del core
    ring = cavity(x)
    energy = 1e-9 * x["power_mw"] * x["share"] / x["repetition_mhz"]
    strength = ring.gamma_w_m * ring.v_g**2 * energy * ring.kappa_c / (1e-6 * ring.length_um * ring.kappa**2)
    return strength**2 * curve(x, "energy")


def pulsed_car(x: Inputs, core: str) -> Any:
    """CAR in gates of one pulse each, from the reported pairs per pulse and coincidences: 1/mu less dark counts."""
    del core
    gates, pairs = 1e6 * x["repetition_mhz"], x["reported_pairs"]
    efficiency, dark = jnp.sqrt(x["coincidences_hz"] / (pairs * gates)), x["dark_per_gate"] * gates
    return sfwm.coincidence_to_accidental(pairs * gates, efficiency, efficiency, dark, dark, 1 / gates, 1.0)


class Figure(NamedTuple):
    """A figure that papers report: its heading, picq's value of it, and the digits worth showing."""

    label: str
    of: Callable[[Inputs, str], Any]
    digits: int = 2


FIGURES = {
    "created_hz": Figure("created pairs, 1/s", created_hz),
    "leaving_hz": Figure("pairs in the guide, 1/s", leaving_hz),
    "brightness": Figure("created pairs, 1/(s mW² GHz)", _bright(created_hz)),
    "leaving_brightness": Figure("pairs in the guide, 1/(s mW² GHz)", _bright(leaving_hz)),
    "pairs_per_pulse": Figure("created pairs per pulse", pairs_per_pulse),
    "jsi_purity": Figure("purity of the root of the JSI", lambda x, _: curve(x, "jsi_purity"), 3),
    "purity": Figure("purity", lambda x, _: curve(x, "purity"), 3),
    "pulsed_car": Figure("CAR at the reported pairs per pulse", pulsed_car),
}

# ---- how sure it is


def spread(of: Callable[[Inputs], Any], samples: Inputs) -> np.ndarray:
    """A figure of every sample, [SAMPLES]: picq's functions broadcast.

    Raises:
        NumericsError: one is no number.
    """
    found = np.broadcast_to(np.asarray(of(samples)), (SAMPLES,))
    if not np.all(np.isfinite(found)):
        raise NumericsError("a sample of the inputs has no figure", got=f"{np.sum(~np.isfinite(found))} samples")
    return found


def shares(found: np.ndarray, samples: Inputs) -> dict[str, float]:
    """Share of each input in the variance of a figure's logarithm: their squared correlation.

    The inputs are independent, so that the shares of a power law add up to one.
    """
    log = np.log(found)
    varied = {name: np.log(values) for name, values in samples.items() if np.ptp(values) > 0}
    return {name: float(np.corrcoef(log, values)[0, 1]) ** 2 for name, values in varied.items()}


def quantiles(values: np.ndarray) -> tuple[float, float, float]:
    """Median, 16 % and 84 %."""
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return float(middle), float(low), float(high)


def verdict(ratio: np.ndarray) -> str:
    """``within`` where one lies between 16 and 84 % of predicted over reported, the reported one sampled as well."""
    _, low, high = quantiles(ratio)
    return "within" if low <= 1 <= high else "miss"


class Row(NamedTuple):
    """One figure of one device: samples of picq's value and of that over the reported one, both [SAMPLES]."""

    device: str
    label: str
    digits: int  # that the page shows
    reported: Number
    predicted: np.ndarray
    ratio: np.ndarray
    shares: dict[str, float]
    note: str


def data() -> dict[str, Any]:
    """What the YAML file says."""
    return yaml.safe_load(DATA.read_text(encoding="utf-8"))


def row(device: str, figure: Figure, entry: Mapping[str, Any], core: str, samples: Inputs) -> Row:
    """A reported figure beside picq's."""
    reported = number(entry["figure"], entry)
    told = draw({entry["figure"]: reported}, f"reported by {device}")[entry["figure"]]
    found = spread(lambda x: figure.of(x, core), samples)
    note = entry.get("note", "")
    return Row(device, figure.label, figure.digits, reported, found, found / told, shares(found, samples), note)


def rows(of: Mapping[str, Any]) -> list[Row]:
    """All figures of one device of the data."""
    samples = draw(numbers(of["inputs"]), of["name"])
    return [row(of["name"], FIGURES[e["figure"]], e, of["core"], samples) for e in of["figures"]]


def slope_rows(of: Mapping[str, Any]) -> list[Row]:
    """Slope of a rate without absorption by light, and with it at each carrier lifetime."""
    samples, high = draw(numbers(of["inputs"]), of["name"]), float(of["high_mw"]["value"])
    cases = {"without absorption by light": {"tpa_m_w": np.zeros(SAMPLES)}}
    cases |= {f"carriers live {ns:g} ns": {"lifetime_ns": np.full(SAMPLES, float(ns))} for ns in of["lifetimes_ns"]}
    figures = {label: Figure(label, lambda x, core: slope(x, core, high), 4) for label in cases}
    return [row(of["name"], figures[k], of["figure"], of["core"], {**samples, **fixed}) for k, fixed in cases.items()]


# ---- the page


def _number(value: float, digits: int = 2) -> str:
    if value != 0 and not 1e-2 <= abs(value) < 1e4:
        return f"{value:.{digits - 1}e}"
    return np.format_float_positional(value, digits, unique=False, fractional=False).rstrip(".")


def _interval(values: np.ndarray, digits: int = 2) -> str:
    middle, low, high = (_number(v, digits) for v in quantiles(values))
    return f"{middle} ({low} … {high})"


def _mostly(found: Mapping[str, float]) -> str:
    """The two inputs that make most of the width."""
    largest = sorted(found.items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{name} {100 * part:.0f} %" for name, part in largest if part >= 0.1)


_FIGURES = ("device", "figure", "picq", "reported", "picq/reported", "width from", "verdict")


def _table(heads: Sequence[str]) -> str:
    return f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"


def _line(head: str, one: Row) -> str:
    told = verdict(one.ratio)
    shown = (
        _interval(one.predicted, one.digits),
        f"{_number(one.reported.value, 3)} ×/÷ {one.reported.factor:g}",
        _interval(one.ratio, one.digits),
        _mostly(one.shares),
        f"{told}: {one.note}" if told == "miss" and one.note else told,
    )
    return f"| {head} | {' | '.join(shown)} |\n"


def page() -> str:
    """The whole page."""
    known = data()
    said, of = known["prose"], known["slope"]
    lines = [said["head"].format(samples=SAMPLES, seed=SEED), _table(_FIGURES)]
    for device in known["devices"]:
        lines += [_line(f"{one.device} | {one.label}", one) for one in rows(device)]
    lines += [said["slope"], _table(_FIGURES[1:])] + [_line(one.label, one) for one in slope_rows(of)]
    lines += [said["missing"], _table(("device", "reported", "ratio needed", "missing", "read in"))]
    for one in known["not_predicted"]:
        ratio = f"{float(linewidth_ratio_for_purity(one['purity'])):.2g}" if "purity" in one else ""
        lines.append(f"| {one['name']} | {one['reported']} | {ratio} | {one['missing']} | {one['source']} |\n")
    lines.append(said["inputs"])
    for device in known["devices"]:
        lines += [f"\n**{device['name']}**\n", _table(("input", "value", "factor", "kind", "factor's", "source"))]
        every = numbers(device["inputs"])
        every |= {f"reported {e['figure']}": number(e["figure"], e) for e in device["figures"]}
        for name, n in every.items():
            lines.append(f"| {name} | {_number(n.value, 3)} | {n.factor:g} | {n.kind} | {n.spread} | {n.source} |\n")
    lines.append("\n## Texts read\n\n")
    return "".join(lines + [f"- {key}: {text}\n" for key, text in known["texts"].items()])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
