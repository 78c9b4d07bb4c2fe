"""Fibre grating coupler."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import layout
from picq.device import Device, device, param, setting
from picq.optics.waveguide import amplitude_db
from picq.sdict import SDict, reciprocal
from picq.technology import Technology


@device
class GratingCoupler(Device):
    """Straight-line grating with a linear taper; o1 is the waveguide, o2 the fibre.

    ::

                       ___---┌┬┬┬┬┬┬┐
        o1 ──────------      │││││││││  width     o2 (fibre, above the grating)
                       ‾‾‾---└┴┴┴┴┴┴┘
              taper_length    periods × period

    Model: Gaussian in wavelength. Peak by first-order phase matching n_avg(wl) - sin(angle) = wl/period, with n_avg the
    fill-weighted mean of the slab indices of full and etched silicon (Taillaert et al., IEEE JQE 38, 949 (2002),
    eq. 1); peak loss, bandwidth and reflection are the technology's data.
    """

    name: ClassVar[str] = "grating_coupler"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    lossless_is_unitary: ClassVar[bool] = False
    period: float = param(default=0.614, lower=0.56, upper=0.7, unit="um", step=0.002, doc="period of the teeth")
    fill: float = param(default=0.5, lower=0.45, upper=0.55, unit="1", doc="unetched part of a period")
    periods: int = setting(default=30, doc="number of teeth")
    width: float = param(default=11.0, lower=8.0, upper=14.0, unit="um", step=0.002, doc="width of the grating")
    taper_length: float = param(
        default=300.0, lower=100.0, upper=500.0, unit="um", step=0.001, doc="length of the taper"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        data = site.data["grating_coupler"]
        detuning = (jnp.asarray(wl) - self.peak_wl(site)) / (data["bandwidth_1db_um"] / 2)
        back = data["reflection"]
        through = jnp.sqrt(1 - back) * amplitude_db(data["loss_db"] + detuning**2) + 0j
        reflection = jnp.sqrt(back) + 0j * jnp.asarray(wl)
        # opposite signs of the two reflections keep the pair of waves orthogonal: passive at any loss
        return reciprocal({("o1", "o2"): through, ("o1", "o1"): reflection, ("o2", "o2"): -reflection})

    def peak_wl(self, tech: Technology) -> Any:
        """Wavelength of best coupling, um; ``tech`` as the coupler's own place sees it."""
        data = tech.data["grating_coupler"]

        def average(name: str) -> Any:
            return self.fill * data[f"{name}_full"] + (1 - self.fill) * data[f"{name}_etched"]

        wl0 = data["wl0_um"]
        n = (
            average("n")
            + 1e-3 * tech.process.thickness_nm * average("dn_dthickness")
            + tech.process.temperature_k * data["dn_dtemperature_k"]
        )
        slope = (average("n") - average("n_group")) / wl0
        tilt = jnp.sin(jnp.deg2rad(data["fibre_angle_deg"]))
        return (n - slope * wl0 - tilt) / (1 / self.period - slope)

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        xs = tech.cross_section(self.cross_section)
        length = layout.on_grid(self.periods * self.period)
        layout.draw_taper(c, (0.0, 0.0), self.taper_length, xs.width, self.width, tech, self.cross_section)
        end = self.taper_length + length + 1.0
        layout.draw_box(c, (self.taper_length, -self.width / 2, end, self.width / 2), "waveguide", tech)
        reach = self.width / 2 + 0.5  # etch beyond the waveguide's edge
        groove = layout.on_grid((1 - self.fill) * self.period)
        for i in range(self.periods):
            x = self.taper_length + layout.on_grid(i * self.period)
            layout.draw_box(c, (x, -reach, x + groove, reach), "grating_etch", tech)
        start = (0.0, 0.0, 180.0, xs.width)
        layout.record(c, {"horn": (start,)})
        layout.port(c, "o1", start, tech, self.cross_section)
        c.add_port(
            "o2",
            center=(layout.on_grid(self.taper_length + length / 2), 0.0),
            width=self.width,
            orientation=0.0,
            layer=tech.layer("waveguide"),
            port_type="vertical_te",
        )
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {}
