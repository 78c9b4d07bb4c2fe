"""The README's table of gratings: ``python docs/awg_table.py`` draws, checks and measures every one, in ten minutes."""

import gdsfactory as gf
import jax
import jax.numpy as jnp
import numpy as np
from klayout import db

jax.config.update("jax_enable_x64", True)

from picq import drawing, layout, pdk  # noqa: E402
from picq.components import Awg  # noqa: E402
from picq.design.figures import FIGURES, Comb, decibel  # noqa: E402
from picq.signoff.drc import check_layout  # noqa: E402
from picq.signoff.extract import extract  # noqa: E402
from picq.technology import Technology  # noqa: E402

DESIGNS = {
    "8 x 200 GHz": {"outputs": 8},
    "16 x 100 GHz": {"outputs": 16, "spacing_ghz": 100.0},
    "16 x 200 GHz": {"outputs": 16},
    "4 x 20 nm": {"outputs": 4, "spacing_nm": 20.0, "center_thz": 193.1},
    "32 x 100 GHz": {"outputs": 32, "spacing_ghz": 100.0},
    "8 x 200 GHz, horseshoe": {"outputs": 8, "array": "horseshoe"},
}


def written(cell: gf.Component) -> db.Layout:
    """The mask of one device as a layout of its own."""
    target = db.Layout()
    target.dbu = cell.kcl.dbu
    target.create_cell("device").copy_tree(cell.kdb_cell)
    return target


def measured(awg: Awg, tech: Technology, mask: db.Layout, cell: gf.Component) -> dict[str, tuple[float, float]]:
    """(length, width) in um of every section of the arms on a mask."""
    segments = drawing.segments(cell)
    guides = [db.Region(mask.top_cell().begin_shapes_rec(mask.layer(*layer))) for layer in tech.guide_layers]
    got = extract(guides, mask.dbu, segments)
    return {name: tuple(got.guide(name, segments[name])) for name in awg.paths(tech) if name.startswith("arm")}


def row(tech: Technology, name: str, values: dict) -> str:
    """One line of the table."""
    awg = Awg.on(tech, **values)
    cell = layout.build(awg, tech)
    mask = written(cell)
    report = check_layout(mask, tech.platform.rules.for_device(), waivers=layout.waivers(awg, tech, cell))
    found = awg.as_measured(measured(awg, tech, mask, cell), tech)
    error = awg.mask_figures(found, tech)["phase_error_rms_rad"]
    ghz, spacing = 299792.458 / awg.comb.wl, 1e3 * awg.comb.step_thz
    ends = (0.3, 0.05) if awg.spacing_nm else (0.5, 0.125)  # beyond the outer channels, and the band; in spacings
    grid = np.arange(ghz[0] - ends[0] * spacing, ghz[-1] + ends[0] * spacing + 1e-6, spacing / 40)
    comb = Comb(grid, ghz, spacing)
    told = []
    for device in (awg, found):
        power = jax.jit(lambda wl, device=device: jnp.abs(device.transfer(wl, tech)[:, 0, :].T) ** 2)
        spectra = decibel(power(jnp.asarray(299792.458 / grid)))
        figures = [FIGURES["insertion_loss_db"]()]
        figures += [FIGURES[f"{kind}_crosstalk_db"](band_ghz=ends[1] * spacing) for kind in ("adjacent", "nonadjacent")]
        loss, *leaks = (float(figure.measure(spectra, comb).max()) for figure in figures)
        told.append((loss, " / ".join(f"{v:.1f}" for v in leaks)))
    box, clean = cell.dbbox(), "clean" if not report.findings else f"{len(report.findings)} findings"
    size = f"{box.width():.0f} x {box.height():.0f}"
    (loss, own), (_, of_mask) = told
    return (
        f"| {tech.name} {name} | {awg.arms} | {awg.delta_length:.2f} | {size} | {loss:.2f} | {own} | {of_mask} "
        f"| {error:.3f} | {clean} |"
    )


if __name__ == "__main__":
    for technology in ("soi220", "sin400", "sin800"):
        for name, values in DESIGNS.items():
            print(row(pdk.load(technology), name, values), flush=True)
