"""How a model becomes bytes: named arrays in an uncompressed ``.npz`` without pickle, ids as UTF-8 and offsets.

Equal arrays give equal bytes, so that a version can be compared with what it was built from.
"""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import Undecodable

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Arrays = Mapping[str, NDArray[Any]]

_FORMAT: Final = "format"
_GROUP: Final = 64
"""Columns of which ``best_rows`` first takes the maximum."""


def pack(kind: str, arrays: Arrays) -> bytes:
    """Named arrays, and what kind of model they make, as bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{_FORMAT: _text(kind)}, **arrays)
    return buffer.getvalue()


def unpack(kind: str, data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays that ``pack`` wrote; raises Undecodable where the bytes are not of this kind of model."""
    with _stored(data) as stored:
        arrays = {name: stored[name] for name in stored.files}
    found = arrays.pop(_FORMAT, _text("")).tobytes().decode()
    if found != kind:
        raise Undecodable(f"not a stored model of the kind '{kind}' but '{found}'")
    return arrays


def kind_of(data: bytes) -> str:
    """Which kind of model the bytes are; raises Undecodable where they are none."""
    with _stored(data) as stored:
        return bytes(stored[_FORMAT].tobytes()).decode()


@contextmanager
def _stored(data: bytes) -> Iterator[Any]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            yield stored
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise Undecodable(f"not a stored model: {error}") from error


def pack_ids(name: str, ids: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Ids as two arrays: their UTF-8 bytes one after the other (uint8), and n + 1 offsets into them (int64)."""
    encoded = [each.encode() for each in ids]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    return {f"{name}_utf8": np.frombuffer(b"".join(encoded), dtype=np.uint8), f"{name}_offsets": offsets}


def unpack_ids(name: str, arrays: Arrays) -> tuple[str, ...]:
    """The ids that ``pack_ids`` wrote."""
    data = arrays[f"{name}_utf8"].tobytes()
    offsets = arrays[f"{name}_offsets"].tolist()
    return tuple(data[begin:end].decode() for begin, end in itertools.pairwise(offsets))


def frozen(array: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """The array as it is kept: contiguous, of this type, read-only; raises Undecodable on any other shape."""
    kept = np.ascontiguousarray(array, dtype=dtype)
    if kept.shape != shape:
        raise Undecodable(f"not a stored model: an array is of shape {kept.shape}, not {shape}")
    kept = kept.view()
    kept.flags.writeable = False
    return kept


def are_rows(indptr: NDArray[np.int64], positions: Ints, count: int) -> bool:
    """Whether these are the rows of a sparse matrix: row r has ``positions[indptr[r]:indptr[r + 1]]``, below ``count``."""
    if indptr[0] != 0 or indptr[-1] != positions.size or (np.diff(indptr) < 0).any():
        return False
    return not positions.size or (int(positions.min()) >= 0 and int(positions.max()) < count)


def best(scores: Floats, count: int) -> NDArray[np.intp]:
    """Positions of the ``count`` greatest finite scores, greatest first, ties by position."""
    found = best_rows(scores[None, :], count)
    return found.positions[0, : found.lengths[0]]


class Best(NamedTuple):
    """The best of each of n rows: positions (n, count), and how many of a row's are valid (n,)."""

    positions: NDArray[np.intp]
    lengths: NDArray[np.intp]


def best_rows(scores: Floats, count: int) -> Best:
    """``best`` of every row of ``scores`` (n, I) at once; a row with fewer finite scores has fewer valid positions.

    The columns are dealt into groups of which each gives its maximum; the ``count``-th greatest maximum is a floor
    that at least ``count`` scores reach, so that two cheap passes leave few to sort.
    """
    rows, width = scores.shape
    count = min(count, width)
    if count <= 0 or not rows:
        return Best(np.empty((rows, 0), dtype=np.intp), np.zeros(rows, dtype=np.intp))
    row, column = np.divmod(np.flatnonzero(scores >= score_thresholds(scores, count)[:, None]), width)
    value = scores[row, column]
    finite = np.isfinite(value)
    row, column, value = row[finite], column[finite], value[finite]
    order = np.lexsort((column, -value, row))
    row, column = row[order], column[order]
    begins = np.searchsorted(row, np.arange(rows + 1))
    place = np.arange(row.size) - begins[row]
    positions = np.zeros((rows, count), dtype=np.intp)
    kept = place < count
    positions[row[kept], place[kept]] = column[kept]
    return Best(positions, np.minimum(np.diff(begins), count))


def score_thresholds(scores: NDArray[Any], count: int) -> NDArray[Any]:
    """For each row of ``scores`` (n, I) a score that at least ``count`` of it reach, near the ``count``-th greatest (n,)."""
    rows, width = scores.shape
    tops, groups = scores, width // _GROUP
    if groups >= 2 * count:
        # Columns of one group lie apart, so that the maximum runs along contiguous memory.
        tops = scores[:, : groups * _GROUP].reshape(rows, _GROUP, groups).max(axis=1)
    at = tops.shape[1] - count
    found: NDArray[Any] = np.partition(tops, at, axis=1)[:, at]
    return found


def _text(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)
