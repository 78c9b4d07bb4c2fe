"""docs/awg.png from a bundle of layouts/awg_receiver.yaml: ``python docs/awg_picture.py build/awg docs/awg.png``."""

import base64
import io
import json
import sys
from pathlib import Path

import jax
import matplotlib.image as image
import numpy as np
from matplotlib.figure import Figure

jax.config.update("jax_enable_x64", True)

from picq.design.result import Design  # noqa: E402
from picq.design.statistics import PERCENTILES  # noqa: E402
from picq.job import Job  # noqa: E402
from picq.signoff.plots import CHANNELS, mask_picture  # noqa: E402

bundle, target = Path(sys.argv[1]), Path(sys.argv[2])
job = Job.read(Path(__file__).parent.parent / "layouts" / "awg_receiver.yaml")
chip = job.finish(Design.load(bundle / "design.json"))
problem = chip.problem
nominal = np.asarray(problem.spectra(chip.design.circuit(problem, whole=False), problem.tech))
mask = np.array(json.loads((bundle / "lvs.json").read_text())["figures"]["mask_spectra_db"])
bands = chip.tolerance().trimmed.bands
low, high = (bands[PERCENTILES.index(p)] for p in (5.0, 95.0))
reach = chip.made.component.insts["awg"].dbbox()
box = (reach.left - 15, reach.bottom - 15, reach.right + 15, reach.top + 15)
address = mask_picture(bundle / "chip.gds", job.tech, box)

canvas = Figure(figsize=(13, 8.6), layout="constrained")
picture, spectrum = canvas.subplots(2, 1, height_ratios=(1.25, 1))
pixels = image.imread(io.BytesIO(base64.b64decode(address.partition(",")[2])))
picture.imshow(pixels, interpolation="lanczos")
picture.set_axis_off()
thz = problem.comb.ghz * 1e-3
for k in range(len(nominal)):
    colour = CHANNELS[k % len(CHANNELS)]
    spectrum.fill_between(thz, low[k], high[k], color=colour, alpha=0.13, lw=0)
    spectrum.plot(thz, nominal[k], color=colour, lw=1.5)
    spectrum.plot(thz, mask[k], color="black", lw=0.7, ls=(0, (4, 3)))
spectrum.plot([], [], color="gray", lw=1.5, label="design")
spectrum.plot([], [], color="black", lw=0.7, ls=(0, (4, 3)), label="as measured on the mask")
spectrum.fill_between([], [], [], color="gray", alpha=0.3, lw=0, label="5 to 95 % of chips, on their own comb")
spectrum.set(xlim=(thz[0], thz[-1]), ylim=(-65, 0), xlabel="frequency (THz)", ylabel="transmission (dB)")
spectrum.legend(loc="lower center", ncols=3, frameon=True)
spectrum.grid(color="#e4e4e4", lw=0.6)
canvas.savefig(target, dpi=95)
