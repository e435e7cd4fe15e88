"""In-place inverse of a positive definite matrix that lets other threads run.

SciPy's wrappers of LAPACK hold Python's lock for the whole call. For 50,000 items this is longer than a minute, and the
lease of the training could not be renewed. The same routines, called by address, do not hold the lock.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_lapack

_UPPER: Final = b"U"


def _routine(name: str) -> Callable[..., None]:
    """Returns a LAPACK routine of the form (uplo, n, a, lda, info), by the address that SciPy publishes for Cython."""
    python = ctypes.pythonapi
    python.PyCapsule_GetName.restype, python.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    python.PyCapsule_GetPointer.restype = ctypes.c_void_p
    python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsule: Any = cython_lapack.__pyx_capi__[name]
    address = python.PyCapsule_GetPointer(capsule, python.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5)(address)


_FACTORIZE: Final = _routine("spotrf")
_INVERT: Final = _routine("spotri")


def invert(matrix: NDArray[np.float32]) -> bool:
    """Overwrites the lower triangle of a symmetric matrix (n, n), stored by rows, with that of its inverse.

    Returns False if the matrix is not positive definite; its contents are then invalid.
    """
    assert matrix.flags.c_contiguous
    assert matrix.dtype == np.float32
    # LAPACK reads by columns, so the lower triangle of a matrix by rows is its upper one.
    size, failed = ctypes.c_int(matrix.shape[0]), ctypes.c_int(0)
    for routine in (_FACTORIZE, _INVERT):
        routine(_UPPER, ctypes.byref(size), matrix.ctypes.data, ctypes.byref(size), ctypes.byref(failed))
        if failed.value:
            return False
    return True
