"""S-parameters as a dictionary {(in, out): complex [wl]}: the same structure as SAX, without importing it."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

SDict = dict[tuple[str, str], jax.Array]


def reciprocal(half: Mapping[tuple[str, str], jax.Array]) -> SDict:
    """Complete ``half`` with S[(b, a)] = S[(a, b)]."""
    return {**{(b, a): s for (a, b), s in half.items()}, **half}


def port_names(s: SDict) -> tuple[str, ...]:
    """Sorted names of all ports that ``s`` mentions."""
    return tuple(sorted({p for pair in s for p in pair}))


def dense(s: SDict, ports: Sequence[str] | None = None) -> jax.Array:
    """``s`` as an array [wl..., in, out]; pairs that ``s`` does not hold are zero."""
    ports = port_names(s) if ports is None else ports
    shape = jnp.broadcast_shapes(*(jnp.shape(v) for v in s.values()))
    zero = jnp.zeros(shape, complex)
    rows = [jnp.stack([jnp.broadcast_to(s.get((a, b), zero), shape) for b in ports], axis=-1) for a in ports]
    return jnp.stack(rows, axis=-2)


def power(s: SDict, a: str, b: str) -> jax.Array:
    """|S[(a, b)]|², the power from ``a`` to ``b``."""
    amplitude = s[(a, b)]
    return jnp.real(amplitude) ** 2 + jnp.imag(amplitude) ** 2


def excess(s: SDict) -> float:
    """Largest singular value minus one, over all wavelengths: above 0 the device makes light."""
    return float(np.linalg.norm(np.asarray(dense(s)), ord=2, axis=(-2, -1)).max() - 1)


def reciprocity_error(s: SDict) -> float:
    """max |S - S^T|."""
    m = np.asarray(dense(s))
    return float(np.abs(m - np.swapaxes(m, -1, -2)).max())


def unitarity_error(s: SDict) -> float:
    """max |S^H S - 1|: 0 when every excitation keeps its energy."""
    m = np.asarray(dense(s))
    return float(np.abs(np.swapaxes(m.conj(), -1, -2) @ m - np.eye(m.shape[-1])).max())


def touchstone(s: SDict, wl: np.ndarray, ports: Sequence[str], comments: Sequence[str] = ()) -> str:
    """``s`` as Touchstone 2.0 text, real and imaginary parts, in Hz, ascending frequency.

    Touchstone's S_ij is the wave out of port i for one into port j, so S_ij = s[(ports[j], ports[i])].
    Source: IBIS Open Forum, Touchstone File Format Specification 2.0 (2009). The reference resistance has no meaning
    for optical ports and is written as 50 Ohm because the format asks for it.

    Args:
        s: S-parameters on the wavelengths ``wl``.
        wl: wavelengths in um, shape [wl].
        ports: order of the ports; written as comments too.
        comments: further comment lines.
    """
    hz = 299792458.0 / (np.asarray(wl) * 1e-6)
    order = np.argsort(hz)
    m = np.broadcast_to(np.asarray(dense(s, ports)), (len(hz), len(ports), len(ports)))
    out = [f"! {c}" for c in comments]
    out += [f"! Port[{i + 1}] = {p}" for i, p in enumerate(ports)]
    out += ["[Version] 2.0", "# Hz S RI R 50", f"[Number of Ports] {len(ports)}"]
    if len(ports) == 2:
        out.append("[Two-Port Data Order] 12_21")
    out += [f"[Number of Frequencies] {len(hz)}", "[Network Data]"]
    for k in order:
        for i in range(len(ports)):
            row = " ".join(f"{v.real:.12e} {v.imag:.12e}" for v in m[k, :, i])
            out.append(f"{hz[k]:.9e} {row}" if i == 0 else f"  {row}")
    return "\n".join([*out, "[End]", ""])
