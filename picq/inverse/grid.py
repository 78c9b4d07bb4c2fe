"""The uniform grid of a two-dimensional simulation: pixels, absorbing layers, and where boxes lie on it."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from picq.errors import SpecError

_ON_GRID = 1e-6
"""Of a step: how far from a grid line a length may be. Sums of decimal lengths round at 1e-15."""


class Box(NamedTuple):
    """A rectangle, um."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True)
class Domain:
    """A rectangle of square pixels with absorbing layers (PML) inside its outer walls.

    Args:
        size: extent along x and y, layers included, um.
        step: edge of a pixel, um.
        pml: thickness of the layers at both ends of x and of y, um; 0 leaves the bare wall. 20 pixels reflect a guided
            wave by 1e-5 in amplitude, 10 by 2e-4 (``pml``).
        centre: of the rectangle, um.

    Raises:
        SpecError: lengths that are not whole numbers of pixels; layers that leave nothing between them.
    """

    size: tuple[float, float]
    step: float
    pml: tuple[float, float]
    centre: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not self.step > 0:
            raise SpecError("the step of the grid is not positive", got=self.step, remedy="give the pixel's edge in um")
        for axis, name in enumerate("xy"):
            for what, length in (("size", self.size[axis]), ("pml", self.pml[axis])):
                if length < 0 or abs(length / self.step - round(length / self.step)) > _ON_GRID:
                    raise SpecError(
                        f"{what} along {name} is not a whole number of pixels",
                        got=f"{length} um",
                        allowed=f"multiples of {self.step} um, e.g. {abs(round(length / self.step)) * self.step:g}",
                        remedy="change it, or the step",
                    )
            if self.shape[axis] <= 2 * self.pml_cells[axis]:
                raise SpecError(
                    f"the absorbing layers fill the whole domain along {name}",
                    got=f"two of {self.pml[axis]} um in {self.size[axis]} um",
                    remedy="enlarge size or thin the layers",
                )

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Pixels along x and y."""
        return round(self.size[0] / self.step), round(self.size[1] / self.step)

    @cached_property
    def pml_cells(self) -> tuple[int, int]:
        """Pixels of one layer along x and y."""
        return round(self.pml[0] / self.step), round(self.pml[1] / self.step)

    @cached_property
    def interior(self) -> Box:
        """What the layers leave."""
        half = [self.size[axis] / 2 - self.pml[axis] for axis in (0, 1)]
        (x, y), (a, b) = self.centre, half
        return Box(x - a, y - b, x + a, y + b)

    def pixel(self, axis: int, at: float) -> float:
        """Place ``at``, um, in pixels: pixel i reaches from i to i + 1."""
        return (at - self.centre[axis] + self.size[axis] / 2) / self.step

    def place(self, axis: int, pixel: float) -> float:
        """Inverse of ``pixel``, um."""
        return pixel * self.step + self.centre[axis] - self.size[axis] / 2

    def cells(self, box: Box) -> tuple[slice, slice]:
        """The pixels that ``box`` covers.

        Raises:
            SpecError: its sides are not on lines of the grid, or it is empty.
        """
        found = []
        for axis, (low, high) in enumerate(((box.left, box.right), (box.bottom, box.top))):
            ends = [self.pixel(axis, low), self.pixel(axis, high)]
            whole = [round(e) for e in ends]
            if max(abs(e - w) for e, w in zip(ends, whole, strict=True)) > _ON_GRID or whole[0] >= whole[1]:
                raise SpecError(
                    f"the box does not begin and end on lines of the grid along {'xy'[axis]}",
                    got=f"{low} to {high} um",
                    allowed=f"e.g. {self.place(axis, whole[0]):g} to {self.place(axis, max(whole[1], whole[0] + 1)):g}",
                    remedy="move its sides, or change the step",
                )
            found.append(slice(*whole))
        return found[0], found[1]
