"""Solution of complex symmetric sparse systems: by SciPy's SuperLU always, by MKL PARDISO where it is installed."""

from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from picq.errors import SpecError

Backend = Literal["superlu", "pardiso"]


def superlu(matrix: sp.csc_array, order: str = "MMD_AT_PLUS_A") -> Any:
    """LU factors with the pivots on the diagonal, which keeps the fill that a symmetric ordering promises.

    Symmetric mode of Li, ACM Trans. Math. Softw. 31, 302 (2005), section 3.3. That nothing is pivoted costs no digits
    in these matrices: their rows are of one size, and what they let through the absorbing layers keeps them regular.
    """
    return splu(matrix, permc_spec=order, diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def ordering(matrix: sp.csc_array) -> np.ndarray:
    """Order of elimination by minimum degree, for all matrices of this one's pattern."""
    return np.argsort(superlu(matrix).perm_c)


def solve(matrix: sp.csc_array, b: np.ndarray, backend: Backend = "superlu", *, ordered: bool = False) -> np.ndarray:
    """x with ``matrix`` x = b, shape [n, columns].

    Args:
        matrix: complex symmetric, diagonal included.
        b: shape [n, columns].
        backend: 'superlu' or 'pardiso'.
        ordered: the unknowns are in an order of little fill already; PARDISO finds its own all the same.
    """
    if backend == "pardiso":
        from picq.inverse import pardiso

        return pardiso.solve(matrix, b)
    return superlu(matrix, "NATURAL" if ordered else "MMD_AT_PLUS_A").solve(b.astype(complex))


def checked_backend(backend: str) -> Backend:
    """``backend``, if it is there.

    Raises:
        SpecError: unknown, or not installed.
    """
    if backend not in ("superlu", "pardiso"):
        raise SpecError("unknown backend of the field solver", got=backend, allowed="'superlu' or 'pardiso'")
    if backend == "pardiso":
        from picq.inverse import pardiso

        pardiso.library()
    return backend  # pyright: ignore[reportReturnType]
