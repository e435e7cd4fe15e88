"""Rows of sparse matrices as plain arrays: ``indptr`` (n + 1,), ``indices`` (m,) and where needed ``values`` (m,)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Ints


class Turned(NamedTuple):
    """The transposed matrix: its rows, the rows of the first that each entry lay in, and where the entry was."""

    indptr: NDArray[np.int64]
    rows: NDArray[np.intp]
    places: NDArray[np.intp]


def places(begins: NDArray[Any], lengths: NDArray[Any]) -> NDArray[np.intp]:
    """Positions of the entries of rows that begin there and are so long, one row after the other."""
    before = np.cumsum(lengths) - lengths
    found: NDArray[np.intp] = np.repeat(begins - before, lengths) + np.arange(int(lengths.sum()))
    return found


def turned(indptr: NDArray[np.int64], indices: Ints, width: int) -> Turned:
    """The matrix by its ``width`` columns, rows ascending in each."""
    order = np.argsort(indices, kind="stable")
    rows = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    begins = np.zeros(width + 1, dtype=np.int64)
    np.cumsum(np.bincount(indices, minlength=width), out=begins[1:])
    return Turned(begins, rows[order], order)


def changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a value differs from the one before it, (m,); the first one always does. ``values`` is not empty."""
    first = np.empty(values.size, dtype=bool)
    first[0] = True
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first
