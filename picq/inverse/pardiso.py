"""MKL PARDISO for complex symmetric systems, by ctypes on the shared library of the ``mkl`` wheel.

Interface and numbers of parameters: Intel oneAPI Math Kernel Library, Developer Reference for C, 'oneMKL PARDISO
Parameters in Tabular Form'.
"""

import ctypes
from functools import lru_cache
from importlib import metadata

import numpy as np
import scipy.sparse as sp

from picq.errors import NumericsError, SpecError

_SEQUENTIAL = 1  # one thread: wavelengths run side by side instead
_COMPLEX_SYMMETRIC = 6
_ALL, _RELEASE = 13, -1  # phases: analysis, factorisation and solution; freeing of all memory
_METIS, _PERTURBATION, _BUNCH_KAUFMAN = 2, 8, 1  # the defaults for symmetric indefinite matrices


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The library, set to one thread.

    Raises:
        SpecError: the wheel is not installed, or its library does not load.
    """
    remedy = "pip install 'picq[mkl]' (Linux and Windows on x86-64), or choose the backend superlu"
    try:
        found = [f for f in metadata.files("mkl") or () if "mkl_rt" in f.name and f.suffix != ".lib"]
    except metadata.PackageNotFoundError:
        raise SpecError("mkl is not installed", remedy=remedy) from None
    try:
        lib = ctypes.CDLL(str(found[0].locate()))
    except (IndexError, OSError) as failure:
        raise SpecError("the library of mkl does not load", got=str(failure), remedy=remedy) from None
    lib.MKL_Set_Threading_Layer(_SEQUENTIAL)
    return lib


def solve(matrix: sp.csc_array, b: np.ndarray) -> np.ndarray:
    """x with ``matrix`` x = b, shape [n, columns].

    Args:
        matrix: complex symmetric, its diagonal without gaps.
        b: shape [n, columns].

    Raises:
        SpecError: mkl is not there.
        NumericsError: PARDISO gave up.
    """
    lib = library()
    upper = sp.csc_array(sp.tril(matrix))  # columns of the lower half are rows of the upper one
    upper.sort_indices()
    values = upper.data.astype(complex)
    starts, columns = upper.indptr.astype(np.int32), upper.indices.astype(np.int32)
    rhs = np.asfortranarray(b, complex)
    x = np.empty_like(rhs)
    state, iparm = np.zeros(64, np.int64), np.zeros(64, np.int32)
    iparm[[0, 1, 9, 20, 34]] = 1, _METIS, _PERTURBATION, _BUNCH_KAUFMAN, 1  # iparm[0]: not the defaults; [34]: from 0
    pointer = lambda a: a.ctypes.data_as(ctypes.c_void_p)
    number = lambda n: ctypes.byref(ctypes.c_int32(n))
    error = ctypes.c_int32(0)

    def phase(which: int) -> int:
        one, size, count = number(1), number(rhs.shape[0]), number(rhs.shape[1])
        system = (pointer(values), pointer(starts), pointer(columns), None, count, pointer(iparm), number(0))
        lib.pardiso(
            pointer(state), one, one, number(_COMPLEX_SYMMETRIC), number(which), size, *system, pointer(rhs),
            pointer(x), ctypes.byref(error),
        )  # fmt: skip
        return error.value

    failed = phase(_ALL)
    phase(_RELEASE)
    if failed:
        raise NumericsError("PARDISO could not solve", got=f"error {failed}", remedy="choose backend 'superlu'")
    return x
