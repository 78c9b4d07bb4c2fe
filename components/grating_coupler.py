"""Fibre grating coupler."""

from itertools import pairwise
from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import drawing
from picq.device import Device, device, param, setting
from picq.optics.fibre import bandwidth_1db, grating_index, mismatch_loss_db, phase_mismatch
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

    The grooves are a partial etch on a layer of its own or, where the technology's stack names none, gaps of the guide.

    Model: the loss of phase matching between film and tilted fibre (``fibre.phase_mismatch``), which sets peak and
    bandwidth, on top of the technology's loss at the peak. The indices are those of the film on this chip; grooves that
    are gaps of the guide change with its width, the depth of a partial etch is nominal. First-order theory: measured
    peaks lie within some 2 % of it.
    """

    name: ClassVar[str] = "grating_coupler"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    lossless_is_unitary: ClassVar[bool] = False
    period: float = param(default=0.614, lower=0.3, upper=2.0, unit="um", step=0.002, doc="period of the teeth")
    fill: float = param(default=0.5, lower=0.2, upper=0.8, unit="1", doc="unetched part of a period")
    periods: int = setting(default=30, doc="number of teeth")
    width: float = param(default=11.0, lower=5.0, upper=20.0, unit="um", step=0.002, doc="width of the grating")
    taper_length: float = param(
        default=300.0, lower=50.0, upper=1000.0, unit="um", step=0.001, doc="length of the taper"
    )
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        data = site.data["grating_coupler"]
        angle = data["fibre_angle_deg"]
        wl = jnp.asarray(wl)
        mismatch = phase_mismatch(wl, self.average_index(wl, site), self.period, angle)
        back = data["reflection"]
        loss = data["loss_db"] + mismatch_loss_db(mismatch, data["fibre_mfd_um"], angle)
        through = jnp.sqrt(1 - back) * amplitude_db(loss) + 0j
        reflection = jnp.sqrt(back) + 0j * wl
        # opposite signs of the two reflections keep the pair of waves orthogonal: passive at any loss
        return reciprocal({("o1", "o2"): through, ("o1", "o1"): reflection, ("o2", "o2"): -reflection})

    def average_index(self, wl: Any, tech: Technology) -> jax.Array:
        """Mean effective index of the grating; ``tech`` as the coupler's own place sees it."""
        etch, process, fill = tech.platform.stack["grating"], tech.process, self.fill
        if "layer" not in etch:  # teeth are pieces of the guide and grow like it
            fill = fill + 1e-3 * process.width_nm / self.period
        thickness = tech.thickness + 1e-3 * process.thickness_nm
        temperature_k = tech.temperature_k + process.temperature_k
        return grating_index(tech.platform.film, wl, fill, float(etch["etch_um"]), thickness, temperature_k)

    def peak_wl(self, tech: Technology) -> jax.Array:
        """Wavelength of best coupling, um; ``tech`` as the coupler's own place sees it."""

        def mismatch(wl: Any, coupler: "GratingCoupler", tech: Technology) -> Any:
            angle = tech.data["grating_coupler"]["fibre_angle_deg"]
            return phase_mismatch(wl, coupler.average_index(wl, tech), coupler.period, angle)

        def newton(_: Any, wl: Any) -> Any:
            value, slope = jax.jvp(lambda v: mismatch(v, *frozen), (wl,), (jnp.ones_like(wl),))
            return wl - value / slope

        frozen = jax.lax.stop_gradient((self, tech))
        wl = jax.lax.fori_loop(0, 5, newton, jnp.asarray(1.55, float))  # 0.1 um off at first, quadratic
        _, slope = jax.jvp(lambda v: mismatch(v, *frozen), (wl,), (jnp.ones_like(wl),))
        return wl - mismatch(wl, self, tech) / slope  # brings the derivatives

    def bandwidth_1db(self, tech: Technology) -> jax.Array:
        """Full width at -1 dB about the peak, um; ``tech`` as the coupler's own place sees it."""
        data, wl = tech.data["grating_coupler"], self.peak_wl(tech)
        n, slope = jax.jvp(lambda v: self.average_index(v, tech), (wl,), (jnp.ones_like(wl),))
        return bandwidth_1db(wl, n - wl * slope, data["fibre_mfd_um"], data["fibre_angle_deg"])

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        xs = tech.cross_section(self.cross_section)
        length = drawing.on_grid(self.periods * self.period)
        drawing.draw_taper(c, (0.0, 0.0), self.taper_length, xs.width, self.width, tech, self.cross_section)
        start = (0.0, 0.0, 180.0, xs.width)
        drawing.record(c, {"horn": (start,)})
        etch = tech.platform.stack["grating"].get("layer")
        groove = drawing.on_grid((1 - self.fill) * self.period)
        grooves = [self.taper_length + drawing.on_grid(i * self.period) for i in range(self.periods)]
        end = self.taper_length + length + 1.0
        if etch is None:
            for i, (x, following) in enumerate(pairwise([*grooves, end])):
                drawing.draw_taper(
                    c, (x + groove, 0.0), following - x - groove, self.width, self.width, tech, self.cross_section
                )
                drawing.record(c, {f"tooth{i}": ((x + groove, 0.0, 180.0, self.width),)})
        else:
            drawing.draw_taper(c, (grooves[0], 0.0), end - grooves[0], self.width, self.width, tech, self.cross_section)
            reach = self.width / 2 + 0.5  # etch beyond the waveguide's edge
            for x in grooves:
                drawing.draw_box(c, (x, -reach, x + groove, reach), etch, tech)
        drawing.port(c, "o1", start, tech, self.cross_section)
        c.add_port(
            "o2",
            center=(drawing.on_grid(self.taper_length + length / 2), 0.0),
            width=self.width,
            orientation=0.0,
            layer=tech.layer(xs.layer),
            port_type="vertical_te",
        )
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {}
