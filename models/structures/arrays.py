"""Models as bytes: named arrays in an uncompressed ``.npz`` without pickle, ids as UTF-8 and offsets.

Equal arrays give equal bytes, so that versions can be compared.
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
Longs = NDArray[np.int64]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Arrays = Mapping[str, NDArray[Any]]

_FORMAT: Final = "format"
_GROUP: Final = 64
"""Number of columns in a group of ``score_thresholds``."""


def pack(kind: str, arrays: Arrays) -> bytes:
    """Returns named arrays and the kind of the model as bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{_FORMAT: _text(kind)}, **arrays)
    return buffer.getvalue()


def unpack(kind: str, data: bytes) -> dict[str, NDArray[Any]]:
    """Returns the arrays of ``pack``. Raises Undecodable if the bytes are not of this kind of model."""
    with _stored(data) as stored:
        arrays = {name: stored[name] for name in stored.files}
    stored_kind = arrays.pop(_FORMAT, _text("")).tobytes().decode()
    if stored_kind != kind:
        raise Undecodable(f"not a stored model of the kind '{kind}' but '{stored_kind}'")
    return arrays


def kind_of(data: bytes) -> str:
    """Returns the kind of a stored model. Raises Undecodable if the bytes are no model."""
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
    """Returns n ids as two arrays: their joined UTF-8 bytes (uint8), and n + 1 offsets into them (int64)."""
    encoded = [text.encode() for text in ids]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return {f"{name}_utf8": np.frombuffer(b"".join(encoded), dtype=np.uint8), f"{name}_offsets": offsets}


def unpack_ids(name: str, arrays: Arrays) -> tuple[str, ...]:
    """Returns the ids of ``pack_ids``."""
    data = arrays[f"{name}_utf8"].tobytes()
    offsets = arrays[f"{name}_offsets"].tolist()
    return tuple(data[begin:end].decode() for begin, end in itertools.pairwise(offsets))


def frozen(array: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """Returns the array contiguous, of this type, read-only. Raises Undecodable for another shape."""
    stored = np.ascontiguousarray(array, dtype=dtype)
    if stored.shape != shape:
        raise Undecodable(f"not a stored model: an array is of shape {stored.shape}, not {shape}")
    stored = stored.view()
    stored.flags.writeable = False
    return stored


def are_rows(indptr: NDArray[np.int64], positions: Ints, count: int) -> bool:
    """True if these are valid sparse rows: row r has ``positions[indptr[r]:indptr[r + 1]]``, all below ``count``."""
    if indptr[0] != 0 or indptr[-1] != positions.size or (np.diff(indptr) < 0).any():
        return False
    return not positions.size or (int(positions.min()) >= 0 and int(positions.max()) < count)


def best(scores: Floats, count: int) -> NDArray[np.intp]:
    """Returns the positions of the ``count`` largest finite scores, descending, ties by position."""
    top = best_rows(scores[None, :], count)
    return top.positions[0, : top.lengths[0]]


class Best(NamedTuple):
    """The best of each of n rows: positions (n, count), and the number of valid ones (n,)."""

    positions: NDArray[np.intp]
    lengths: NDArray[np.intp]


def best_rows(scores: Floats, count: int) -> Best:
    """Returns ``best`` of every row of ``scores`` (n, I). A row with fewer finite scores has fewer valid positions.

    Columns are split into groups. At least ``count`` scores reach the ``count``-th largest group maximum, so that two
    cheap passes leave few scores to sort.
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
    rank = np.arange(row.size) - begins[row]
    positions = np.zeros((rows, count), dtype=np.intp)
    fits = rank < count
    positions[row[fits], rank[fits]] = column[fits]
    return Best(positions, np.minimum(np.diff(begins), count))


def score_thresholds(scores: NDArray[Any], count: int) -> NDArray[Any]:
    """Returns for each row of ``scores`` (n, I) a threshold (n,) near the ``count``-th largest, reached by at least ``count``."""
    rows, width = scores.shape
    tops, groups = scores, width // _GROUP
    if groups >= 2 * count:
        # Columns of one group are strided, so that the maximum runs over contiguous memory.
        tops = scores[:, : groups * _GROUP].reshape(rows, _GROUP, groups).max(axis=1)
    rank = tops.shape[1] - count
    thresholds: NDArray[Any] = np.partition(tops, rank, axis=1)[:, rank]
    return thresholds


def _text(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)
