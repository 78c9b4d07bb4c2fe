"""Edge coupler."""

from typing import Any, ClassVar

import gdsfactory as gf
import jax
import jax.numpy as jnp

from picq import drawing
from picq.device import Device, device, param, setting
from picq.errors import SpecError
from picq.optics.fibre import Tip, fresnel
from picq.optics.material import material
from picq.optics.waveguide import amplitude_db
from picq.sdict import SDict, reciprocal
from picq.technology import Technology


@device
class EdgeCoupler(Device):
    """Linear inverse taper to a tip at the chip's edge; o1 is the waveguide, o2 the fibre.

    ::

           ----___           │ chip's edge
        o1        ----____   │
              ____----    tip_width   o2 (fibre, along the guide)
           ----              │
               length

    Model: power overlap of the tip's mode with the Gaussian of an aligned fibre (the technology's baked tips), Fresnel
    reflection at the facet and at the fibre's end, the taper's loss (the technology's) and propagation loss.
    Not in it: the phase, as the fibre's place is not known to a wavelength; the leak into the substrate; what a taper
    shorter than ``adiabatic_length`` radiates; how thickness and temperature move the overlap.
    """

    name: ClassVar[str] = "edge_coupler"
    ports: ClassVar[tuple[str, ...]] = ("o1", "o2")
    lossless_is_unitary: ClassVar[bool] = False
    tip_width: float = param(default=0.35, lower=0.1, upper=2.0, unit="um", step=0.002, doc="width at the facet")
    length: float = param(default=200.0, lower=20.0, upper=2000.0, unit="um", step=0.001, doc="length of the taper")
    mfd: float = param(default=2.5, lower=2.0, upper=11.0, unit="um", doc="mode field diameter of the fibre")
    gap: str = setting(default="SiO2", doc="material between facet and fibre; SiO2: index-matched")
    cross_section: str = setting(default="strip", doc="cross-section name")

    def model(self, wl: jax.Array, tech: Technology) -> SDict:
        site = tech.at_site(0)
        xs, width, wl = site.cross_section(self.cross_section), self._made(site), jnp.asarray(wl)
        overlap, n_tip = self._tip(site)(width, wl, self.mfd)
        n_gap = material(self.gap).index(wl)
        facet = fresnel(n_tip, n_gap)
        fibre = fresnel(material("SiO2").index(wl), n_gap)
        # taper, facet, then overlap and fibre: a product of passive parts
        inside = amplitude_db(site.data["edge_coupler"]["loss_db"] + xs.loss_db_cm * 1e-4 * self.length)
        outside = jnp.sqrt(overlap * (1 - fibre**2))
        return reciprocal(
            {
                ("o1", "o2"): inside * jnp.sqrt(1 - facet**2) * outside + 0j,
                ("o1", "o1"): inside**2 * facet + 0j,
                ("o2", "o2"): -(outside**2) * facet + 0j,
            }
        )

    def adiabatic_length(self, tech: Technology, wl: Any = 1.55) -> jax.Array:
        """Length, um, at which the tip of the taper is as steep as radiation allows: stay well above it.

        A half width rho may change by rho (n_eff - n_clad)/wl per length: Love et al., IEE Proc. J 138, 343 (1991).
        A linear taper is steepest for its width at the tip.

        Args:
            tech: as the coupler's own place sees it.
            wl: wavelength, um.
        """
        width = self._made(tech)
        _, n_tip = self._tip(tech)(width, wl, self.mfd)
        above = n_tip - material(tech.platform.stack["cladding"]["material"]).index(wl)
        return (tech.cross_section(self.cross_section).width - self.tip_width) * wl / (width * above)

    def cell(self, tech: Technology) -> gf.Component:
        c = gf.Component()
        xs = tech.cross_section(self.cross_section)
        start, end = drawing.draw_taper(c, (0.0, 0.0), self.length, xs.width, self.tip_width, tech, self.cross_section)
        drawing.record(c, {"guide": (start, end)})
        drawing.port(c, "o1", start, tech, self.cross_section)
        c.add_port(
            "o2",
            center=(self.length, 0.0),
            width=self.tip_width,
            orientation=0.0,
            layer=tech.layer(xs.layer),
            port_type="vertical_te",
        )
        return c

    def paths(self, tech: Technology) -> dict[str, Any]:
        return {"guide": self.length}

    def _made(self, tech: Technology) -> Any:
        return self.tip_width + 1e-3 * tech.process.width_nm

    def _tip(self, tech: Technology) -> Tip:
        xs = tech.cross_section(self.cross_section)
        if xs.partial_etch:
            raise SpecError(
                f"edge couplers of {tech.name} are strips, '{self.cross_section}' has a slab that holds the light",
                allowed=", ".join(n for n, x in tech.cross_sections.items() if not (x.electrical or x.partial_etch)),
                remedy="taper to a strip before the edge",
            )
        if tech.tip is None:
            raise SpecError(f"the tips of {tech.name} are not baked", remedy=f"run `picq bake {tech.name}`")
        return tech.tip
