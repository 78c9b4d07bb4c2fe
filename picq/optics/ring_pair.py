"""Two rings beside each other: the gaps along their facing arcs."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from picq.optics.coupler import Places

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def two_rings(gap: Any, width: Any, radius: Any, radius_other: Any, reach: Any) -> Places:
    """Two rings outside of each other; the straight bus of ``coupler.half_ring`` is the limit of a large one.

    Across from each other lie the places at the same height s = R_i sin theta_i above the line through both centres, at
    g = gap + sum_i (R_i + w/2)(1 - cos theta_i); the path is the mean of both, sqrt(R_1 dtheta_1 R_2 dtheta_2) =
    ds / sqrt(cos theta_1 cos theta_2). That leaves out that the walls are slanted towards each other by theta_1 +
    theta_2, of the same order in 1/R as what the factors F of both bends correct (``picq.optics.bend``). The places end
    where the gap has grown by up to twice ``reach`` (``coupler.reach``).

    Args:
        gap: smallest gap, um.
        width: drawn width of the guides, um.
        radius, radius_other: of the rings' centre lines, um.
        reach: see above, um.
    """
    radii = jnp.stack([radius, radius_other])
    # height at which parabolas would be twice the reach further apart, within both circles
    highest = 1 / jnp.sqrt(jnp.sum(1 / radii) / (4 * reach) + jnp.sum(1 / radii**2))
    s = highest * (jnp.asarray(_NODES) + 1) / 2
    cosines = jnp.sqrt(1 - (s / radii[:, None]) ** 2)
    weight = highest * jnp.asarray(_WEIGHTS) / jnp.sqrt(jnp.prod(cosines, axis=0))  # both halves
    return Places(gap + (radii + width / 2) @ (1 - cosines), weight)
