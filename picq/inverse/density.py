"""Free-form designs: from a latent density to material, as topology optimisation has it.

    latent in [0, 1] ─▶ symmetries, fixed regions ─▶ amid what is drawn around ─▶ conic filter ─▶ projection ─▶ density

The filter gives edges a length scale, the projection makes them sharp: where the filtered field crosses the level eta
there is an edge. Moving the level moves all edges, as etching does (``lengthscale.etched``).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from picq.errors import SpecError

Symmetry = Literal["x", "y", "diagonal", "antidiagonal", "quarter"]

_IMAGES = {
    "x": lambda a: a[::-1],
    "y": lambda a: a[:, ::-1],
    "diagonal": lambda a: a.T,
    "antidiagonal": lambda a: a[::-1, ::-1].T,
    "quarter": np.rot90,
}
_SQUARE = ("diagonal", "antidiagonal", "quarter")

_SUBPIXELS = 16
"""Points a pixel and axis at which the cone is summed: the weights are then good to 1e-4 of the largest."""

_SMOOTHING = 0.9173
"""Radius of the subpixel smoothing, pixels: first zero of j_2 over 2 pi, see ``smoothed_projection``."""

_FLAT = 1e-8
"""Change of the filtered field per pixel below which no edge is looked for: rounding, 1e-16, must not give a normal."""


class Filtered(NamedTuple):
    """A filtered density on the pixels of the design region."""

    value: jax.Array  # [nx, ny]
    gradient: jax.Array  # [2, nx, ny], 1/um; central differences, over the region's border too


def margin(radius: float, step: float) -> int:
    """Pixels around a region that its filter and the gradient of the filtered field see; arguments in um."""
    return int(np.floor(radius / step + 0.5)) + 1


def orbit(shape: tuple[int, int], symmetries: tuple[Symmetry, ...]) -> np.ndarray:
    """Numbers of the pixels in all images of a region, [image, nx, ny]: the group of its symmetries."""
    images = [np.arange(np.prod(shape)).reshape(shape)]
    for image in images:  # grows on the way
        for symmetry in symmetries:
            turned = _IMAGES[symmetry](image)
            if not any(np.array_equal(turned, known) for known in images):
                images.append(turned)
    return np.array(images)


@dataclass(frozen=True, eq=False)
class Density:
    """A design region and how its latent density becomes material.

    Args:
        shape: pixels along x and y.
        step: edge of a pixel, um.
        radius: of the conic filter, um; at least one step.
        surroundings: what is drawn there and around it, 1 solid, 0 void, with the region in the middle: shape
            [nx + 2m, ny + 2m] with any m from ``margin`` on. Values within the region have no influence.
        symmetries: that the design keeps, about the region's centre: 'x' is the mirror x -> -x, 'y' y -> -y,
            'diagonal' x <-> y, 'antidiagonal' (x, y) -> (-y, -x), 'quarter' a turn by 90 degrees.
        solid, void: pixels whose latent is 1 or 0 whatever is asked, boolean, shape [nx, ny]. They are filtered like
            all others, so straight edges stay and corners become round; what must be exact belongs to the surroundings.

    Raises:
        SpecError: anything that cannot be, with the remedy.
    """

    shape: tuple[int, int]
    step: float
    radius: float
    surroundings: np.ndarray
    symmetries: tuple[Symmetry, ...] = ()
    solid: np.ndarray | None = None
    void: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1 or not self.step > 0:
            raise SpecError("the design region", got=f"{self.shape} pixels of {self.step} um", allowed="above 0")
        if not self.step <= self.radius < np.inf:
            raise SpecError(
                "the filter is smaller than a pixel",
                got=f"radius {self.radius} um",
                allowed=f"from the step of {self.step} um",
                remedy="refine the grid, or filter with a larger radius; 1.5 times the length scale is usual",
            )
        around, (nx, ny) = np.array(self.surroundings, float), self.shape
        need = margin(self.radius, self.step)
        m = (around.shape[0] - nx) // 2 if around.ndim else 0
        if m < need or around.shape != (nx + 2 * m, ny + 2 * m):
            raise SpecError(
                "the surroundings do not fit around the design region",
                got=f"shape {around.shape}",
                allowed=f"{(nx + 2 * need, ny + 2 * need)}, or larger by the same number of pixels on all four sides",
                remedy=f"cut {need} pixels more than the region on every side, as margin(radius, step) says",
            )
        if not (np.all(around >= 0) and np.all(around <= 1)):
            raise SpecError("the surroundings", allowed="0 for void to 1 for solid", remedy="scale the permittivity")
        around[m:-m, m:-m] = 0
        object.__setattr__(self, "surroundings", around)
        for name, mask in zip(("solid", "void"), self.fixed, strict=True):
            if mask.shape != tuple(self.shape) or mask.dtype != bool:
                got = f"{mask.dtype}, shape {mask.shape}"
                raise SpecError(f"the mask {name!r}", got=got, allowed=f"booleans, shape {self.shape}")
        if np.any(self.fixed[0] & self.fixed[1]):
            raise SpecError("pixels are to be both solid and void", remedy="let the masks not overlap")
        self._check_symmetries()

    def _check_symmetries(self) -> None:
        for symmetry in self.symmetries:
            if symmetry not in _IMAGES:
                raise SpecError("unknown symmetry", got=symmetry, allowed=", ".join(map(repr, _IMAGES)))
            if symmetry in _SQUARE and self.shape[0] != self.shape[1]:
                raise SpecError(
                    f"the symmetry {symmetry!r} needs a square",
                    got=f"{self.shape} pixels",
                    remedy="make the region square, or use 'x' and 'y' only",
                )
            parts = zip(("surroundings", "solid", "void"), (self.surroundings, *self.fixed), strict=True)
            for name, part in parts:
                if not np.allclose(_IMAGES[symmetry](part), part, atol=1e-9):
                    raise SpecError(
                        f"{name!r} has not the symmetry {symmetry!r}, so the design cannot have it",
                        remedy="drop the symmetry, or draw what is fixed symmetrically",
                    )

    @cached_property
    def fixed(self) -> tuple[np.ndarray, np.ndarray]:
        """Masks of what is fixed as solid and as void, [nx, ny]."""
        none = np.zeros(self.shape, bool)
        return np.asarray(none if self.solid is None else self.solid), np.asarray(
            none if self.void is None else self.void
        )

    @cached_property
    def _orbit(self) -> np.ndarray:
        return orbit(self.shape, self.symmetries)

    @cached_property
    def _transfer(self) -> np.ndarray:
        """Fourier transform of the cone 1 - r / radius, of sum one.

        A weight is the cone's integral over a pixel: so the value at a pixel's centre is that of the continuous filter
        applied to uniform pixels, and the radius means the same on any grid.
        """
        reach = margin(self.radius, self.step) - 1
        fine = (np.arange((2 * reach + 1) * _SUBPIXELS) + 0.5) / _SUBPIXELS - reach - 0.5
        cone = np.maximum(0, 1 - self.step / self.radius * np.hypot(fine[:, None], fine))
        weights = cone.reshape(2 * reach + 1, _SUBPIXELS, -1, _SUBPIXELS).sum((1, 3))
        kernel = np.zeros(self.surroundings.shape)
        kernel[: 2 * reach + 1, : 2 * reach + 1] = weights / weights.sum()
        return np.fft.rfft2(np.roll(kernel, (-reach, -reach), (0, 1))).real

    def symmetrised(self, latent: ArrayLike) -> jax.Array:
        """Mean of all images of ``latent`` [nx, ny] under the symmetries.

        Raises:
            SpecError: its shape is not that of the region; values outside 0 to 1.
        """
        if np.shape(latent) != tuple(self.shape):
            raise SpecError("the latent density has another shape", got=np.shape(latent), allowed=self.shape)
        if not isinstance(latent, Tracer) and not (np.min(latent) >= 0 and np.max(latent) <= 1):
            raise SpecError(
                "the latent density",
                got=f"{np.min(latent):g} to {np.max(latent):g}",
                allowed="0 to 1",
                remedy="clip it after every step of the optimiser",
            )
        return jnp.mean(jnp.ravel(jnp.asarray(latent, float))[self._orbit], axis=0)

    def filtered(self, latent: ArrayLike) -> Filtered:
        """``latent`` [nx, ny] symmetrised, fixed where it is, set in its frame and filtered; see ``bordered``."""
        near = self.bordered(latent)
        slopes = near[2:, 1:-1] - near[:-2, 1:-1], near[1:-1, 2:] - near[1:-1, :-2]
        return Filtered(near[1:-1, 1:-1], jnp.stack(slopes) / (2 * self.step))

    def bordered(self, latent: ArrayLike) -> jax.Array:
        """The filtered field with one pixel more on all sides, [nx + 2, ny + 2].

        The linear hat of Bruns and Tortorelli, CMAME 190, 3443 (2001): weights 1 - r / radius, normalised.

        Raises:
            SpecError: as for ``symmetrised``.
        """
        solid, void = self.fixed
        drawn = jnp.where(solid, 1.0, jnp.where(void, 0.0, self.symmetrised(latent)))
        m = (self.surroundings.shape[0] - self.shape[0]) // 2
        whole = jnp.asarray(self.surroundings).at[m:-m, m:-m].set(drawn)
        # The transform is periodic, but what wraps around does not reach further than the margin less one.
        blurred = jnp.fft.irfft2(jnp.fft.rfft2(whole) * self._transfer, whole.shape)
        return blurred[m - 1 : 1 - m, m - 1 : 1 - m]

    def projected(self, latent: ArrayLike, beta: ArrayLike, eta: ArrayLike = 0.5) -> jax.Array:
        """Density of ``latent`` [nx, ny] by ``smoothed_projection``, [..., nx, ny] for levels ``eta`` of shape [...].

        Several levels share one filter: ``lengthscale.etched`` gives those of a robust design.

        Raises:
            SpecError: as for ``symmetrised`` and ``tanh_projection``.
        """
        check_projection(beta, eta)
        levels = jnp.asarray(eta)[..., None, None]  # under jit traced from here on, so checked before
        return smoothed_projection(self.filtered(latent), self.step, beta, levels)

    def refined(self) -> "Density":
        """The same region in pixels of half the step; its latent is ``refine(latent)``."""
        twice = lambda a: np.kron(a, np.ones((2, 2), a.dtype))
        solid, void = self.fixed
        return replace(
            self,
            shape=(2 * self.shape[0], 2 * self.shape[1]),
            step=self.step / 2,
            surroundings=twice(self.surroundings),
            solid=twice(solid),
            void=twice(void),
        )


def refine(latent: ArrayLike) -> jax.Array:
    """``latent`` [nx, ny] on pixels of half the step, [2 nx, 2 ny]: bilinear between centres, level beyond the last.

    Children have 3/4 of their parent and 1/4 of the nearest neighbour along each axis. So the total area stays, and
    bounds and symmetries do.
    """

    def along_x(a: jax.Array) -> jax.Array:
        wide = jnp.concatenate([a[:1], a, a[-1:]])
        pairs = jnp.stack([0.75 * a + 0.25 * wide[:-2], 0.75 * a + 0.25 * wide[2:]], axis=1)
        return pairs.reshape(2 * a.shape[0], a.shape[1])

    return along_x(along_x(jnp.asarray(latent)).T).T


def tanh_projection(value: ArrayLike, beta: ArrayLike, eta: ArrayLike = 0.5) -> jax.Array:
    """Filtered density ``value`` pushed towards 0 and 1: Wang, Lazarov and Sigmund, SMO 43, 767 (2011).

    Args:
        value: 0 to 1, any shape.
        beta: steepness, above 0; infinity makes a step, which has no derivative.
        eta: level that becomes the edge, between 0 and 1; broadcast.

    Raises:
        SpecError: beta or eta outside.
    """
    check_projection(beta, eta)
    value = jnp.asarray(value)
    step = jnp.where(value > eta, 1.0, jnp.where(value < eta, 0.0, 0.5))
    b = jnp.where(jnp.isinf(beta), 1.0, beta)
    low = jnp.tanh(b * eta)
    return jnp.where(jnp.isinf(beta), step, (low + jnp.tanh(b * (value - eta))) / (low + jnp.tanh(b * (1 - eta))))


def smoothed_projection(filtered: Filtered, step: float, beta: ArrayLike, eta: ArrayLike = 0.5) -> jax.Array:
    """Subpixel-smoothed projection SSP1: Hammond et al., Opt. Express 33, 33620 (2025), with the polynomial F_2.

    The edge lies d = (eta - value) / |gradient| from a pixel's centre. Where it is nearer than the smoothing radius R,
    the pixel is F filled, F = 1/2 - 15/16 x + 5/8 x^3 - 3/16 x^5 with x = d / R, between the projections of the fields
    in the filled and in the empty part, value + R |gradient| F(-x) and value - R |gradient| F(x). So at beta = inf the
    density is F, and its derivative that of a moving edge.

    F is the half plane smoothed by 15/16 (1 - x^2)^2 across its edge and sampled at pixels' centres. The area of the
    samples of an edge along the grid is that of the edge plus harmonics of its place s, the first being
    15 j_2(k R) / (k R)^2 sin(k s) / (pi k), k = 2 pi / step. With the authors' R = 0.55 pixels it is 12 % of a pixel,
    and edges stick where its slope is 0.1, in the middle between centres; with R = 0.917, where j_2 vanishes, the
    second is left, 0.1 %, and 0.6 % along the diagonal. The width of the smoothing, R / sqrt(7), is then 0.35 pixels,
    that of a pixel itself 0.29.

    Args:
        filtered: field and gradient.
        step: edge of a pixel, um.
        beta: steepness, above 0, infinity included.
        eta: level of the edge, between 0 and 1; broadcast.

    Returns:
        Density, shape [nx, ny]. Derivatives are finite but for edges that meet: where the field is eta and flat.

    Raises:
        SpecError: beta or eta outside.
    """
    check_projection(beta, eta)
    value = filtered.value
    slope2 = jnp.sum(filtered.gradient**2, axis=0)
    steep = slope2 > (_FLAT / step) ** 2
    reach = _SMOOTHING * step * jnp.sqrt(jnp.where(steep, slope2, 1.0))
    near = steep & (jnp.abs(eta - value) < reach)
    x = jnp.where(near, (eta - value) / reach, 0.0)
    fill = 0.5 - x * (15 / 16 - x**2 * (5 / 8 - 3 / 16 * x**2))
    empty_part = tanh_projection(value - reach * fill, beta, eta)
    filled_part = tanh_projection(value + reach * (1 - fill), beta, eta)  # F(-x) = 1 - F(x)
    return jnp.where(near, (1 - fill) * empty_part + fill * filled_part, tanh_projection(value, beta, eta))


def check_projection(beta: ArrayLike, eta: ArrayLike) -> None:
    """Refuses what ``tanh_projection`` cannot have, where it is concrete."""
    if not isinstance(beta, Tracer) and not np.all(np.asarray(beta) > 0):
        raise SpecError("the steepness beta of a projection", got=beta, allowed="above 0, inf for a step")
    if not isinstance(eta, Tracer) and not np.all((np.asarray(eta) > 0) & (np.asarray(eta) < 1)):
        raise SpecError("the level eta of a projection", got=eta, allowed="between 0 and 1")
