"""Sparse rows as plain arrays: ``indptr`` (n + 1,), ``indices`` (m,) and optional ``values`` (m,)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Ints


class Transposed(NamedTuple):
    """A transposed matrix: its ``indptr``, the original row of each entry, and the original position of each entry."""

    indptr: NDArray[np.int64]
    rows: NDArray[np.intp]
    positions: NDArray[np.intp]


def row_positions(begins: NDArray[Any], lengths: NDArray[Any]) -> NDArray[np.intp]:
    """Returns the entry positions of rows with these begins and lengths, one row after the other."""
    before = np.cumsum(lengths) - lengths
    positions: NDArray[np.intp] = np.repeat(begins - before, lengths) + np.arange(int(lengths.sum()))
    return positions


def transposed(indptr: NDArray[np.int64], indices: Ints, width: int) -> Transposed:
    """Returns the matrix by its ``width`` columns, rows ascending in each."""
    order = np.argsort(indices, kind="stable")
    rows = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    begins = np.zeros(width + 1, dtype=np.int64)
    np.cumsum(np.bincount(indices, minlength=width), out=begins[1:])
    return Transposed(begins, rows[order], order)


def changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Returns the mask (m,) of values that differ from the one before. The first is True. ``values`` is not empty."""
    first = np.empty(values.size, dtype=bool)
    first[0] = True
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first
