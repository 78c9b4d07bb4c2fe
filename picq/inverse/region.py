"""The matrix of a condensed design region: its fixed pattern, and its entries from the region's coefficients."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from picq.inverse.factor import ordering
from picq.inverse.fdfd import Coefficients

ENDS = (
    (np.s_[:-1, 1:-1], np.s_[1:, 1:-1]),  # lines between neighbours along x
    (np.s_[1:-1, :-1], np.s_[1:-1, 1:]),  # along y
    (np.s_[:-1, :-1], np.s_[1:, 1:]),  # corners, rising diagonal
    (np.s_[1:, :-1], np.s_[:-1, 1:]),  # falling diagonal
)
"""Both ends of the links that touch a region, in an array of region and ring."""


class Pattern(NamedTuple):
    """Where coefficients go in the compressed columns. The unknowns are in an order of little fill, the ring last."""

    number: np.ndarray  # of the pixels of region and ring
    indptr: np.ndarray
    indices: np.ndarray
    links: list[tuple[np.ndarray, np.ndarray]]  # entries of the links in the order of ENDS, and their mirror images
    middle: np.ndarray  # diagonal entries, in order of the unknowns
    ring: np.ndarray  # entries of the ring's block, flat

    @property
    def size(self) -> int:
        """Unknowns."""
        return self.indptr.size - 1


def weights(c: Coefficients) -> list[Any]:
    """Of the links, in the order of ``ENDS``; without those of corners where there are none."""
    along = [c.across_x, c.across_y]
    return along if c.corner is None else [*along, c.corner / 2, -c.corner / 2]


def around(shape: tuple[int, int]) -> np.ndarray:
    """Which of [nx + 2, ny + 2] pixels are the ring around [nx, ny] of them."""
    ring = np.ones((shape[0] + 2, shape[1] + 2), bool)
    ring[1:-1, 1:-1] = False
    return ring


@lru_cache(maxsize=8)
def pattern(shape: tuple[int, int], corners: bool) -> Pattern:
    """The pattern for a region of ``shape`` pixels, whose ring is a full block.

    Args:
        shape: pixels along x and y.
        corners: whether the coefficients have corners.
    """
    inside, ring = shape[0] * shape[1], around(shape)
    number, size = np.zeros(ring.shape, int), ring.size
    number[ring] = np.arange(inside, size)
    number[1:-1, 1:-1] = np.arange(inside).reshape(shape)
    kinds = ENDS if corners else ENDS[:2]
    rows, columns = (np.concatenate([number[pair[side]].ravel() for pair in kinds]) for side in (0, 1))
    both = np.concatenate([rows, columns]), np.concatenate([columns, rows])
    grid = sp.coo_array((np.ones(both[0].size), both), shape=(size, size)).tocsc()[:inside, :inside]
    number[1:-1, 1:-1] = np.argsort(ordering(grid + 10 * sp.eye_array(inside, format="csc"))).reshape(shape)

    own, last = np.arange(size), np.arange(inside, size)
    groups = [(number[one], number[other]) for pair in kinds for one, other in (pair, pair[::-1])]
    groups += [(own, own), (np.repeat(last, last.size), np.tile(last, last.size))]
    keys = np.concatenate([column.ravel() * size + row.ravel() for row, column in groups])
    unique, entry = np.unique(keys, return_inverse=True)
    parts = np.split(entry, np.cumsum([row.size for row, _ in groups])[:-1])
    links = list(zip(parts[:-2:2], parts[1:-2:2], strict=True))
    indptr = np.searchsorted(unique, np.arange(size + 1) * size).astype(np.int32)
    return Pattern(number, indptr, (unique % size).astype(np.int32), links, parts[-2], parts[-1])


def matrix(p: Pattern, c: Coefficients, kh2: float, ring: np.ndarray) -> sp.csc_array:
    """K of the region; outside the absorbing layers, so without stretch.

    Args:
        p: pattern, with corners if ``c`` has them.
        c: coefficients of the region's pixels and of the lines and corners that touch them.
        kh2: (k h)^2.
        ring: Schur complement of the surroundings, [ring, ring].
    """
    data, middle = np.zeros(p.indices.size, complex), np.zeros(p.number.shape, complex)
    data[p.ring] = ring.ravel()
    middle[1:-1, 1:-1] = kh2 * c.point
    for weight, (one, other), entries in zip(weights(c), ENDS, p.links, strict=False):
        for entry in entries:
            data[entry] += weight.ravel()
        middle[one] -= weight
        middle[other] -= weight
    own = np.empty(p.size, complex)
    own[p.number] = middle
    data[p.middle] += own
    return sp.csc_array((data, p.indices, p.indptr), shape=(p.size, p.size))
