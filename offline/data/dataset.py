"""Interactions as a matrix, the input of every training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from numpy.typing import NDArray

from models.structures.recommender import Histories
from schemas.errors import NothingToTrain
from schemas.log import topics
from schemas.offline.manifest import DataWindow
from schemas.ports import Archive

GUEST: Final = "\x1f"
"""Prefix of an anonymous user's key in ``user_ids``. No id on the log holds a control character, so no user has such an id."""


@dataclass(frozen=True)
class Interactions:
    """A weight for each user and item that had an interaction."""

    user_ids: tuple[str, ...]
    """Rows, sorted: the user_id of a user, or GUEST and the signal key (``a:…``, ``s:…``) of an anonymous user."""
    item_ids: tuple[str, ...]
    """Columns, sorted."""
    matrix: sp.csr_matrix
    """float32, users × items, weights above 0, sorted indices."""
    window: DataWindow
    offsets: dict[str, int]
    """The end of the archived events that were read, by ``"<log id>/<topic>/<partition>"``."""
    times: NDArray[np.float64] | None = None
    """Time (seconds since 1970) of the newest event of each stored weight, in order of the matrix; None if unknown."""

    def histories(self, rows: NDArray[np.intp]) -> Histories:
        """Returns the interactions of these rows, oldest first."""
        chosen = self.matrix[rows]
        counts = np.diff(chosen.indptr)
        times = np.zeros(chosen.nnz) if self.times is None else self.times[_entry_positions(self.matrix, rows)]
        order = np.lexsort((chosen.indices, times, np.repeat(np.arange(rows.size), counts)))
        user_ids = tuple(self.user_ids[row] for row in rows.tolist())
        items, weights = chosen.indices[order].astype(np.int32), chosen.data[order]
        return Histories(user_ids, chosen.indptr.astype(np.int64), items, weights, times[order])


def is_guest(user_id: str) -> bool:
    """True if a row belongs to an anonymous user. Items are learned from it, but nobody requests its list by user_id."""
    return user_id.startswith(GUEST)


def from_arrow(table: pa.Table, offsets: Mapping[str, int]) -> Interactions:
    """Returns the matrix of a table of interactions, which has the columns of ``run_duckdb``. The order of rows does not matter.

    Raises NothingToTrain if the table is empty.
    """
    if not table.num_rows:
        raise NothingToTrain("the archive holds no interactions to train on; import or send some events first")
    users, rows = _numbered(table["user"], _user_id)
    items, columns = _numbered(table["item"], str)
    # At least the smallest float32 above 0, because a fully decayed interaction has still happened.
    weights = np.maximum(table["weight"].to_numpy().astype(np.float32), np.finfo(np.float32).tiny)
    order = np.lexsort((columns, rows))
    starts = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(users)))))
    matrix = sp.csr_matrix((weights[order], columns[order], starts), shape=(len(users), len(items)))
    times = table["at"].to_numpy().astype(np.float64)[order]
    return Interactions(users, items, matrix, _window(table, len(users), len(items)), dict(offsets), times)


def ends(archive: Archive, topic: str = topics.EVENTS) -> dict[str, int]:
    """Returns the archived end of each partition of a topic, by the keys of ``Interactions.offsets``."""
    reached: dict[str, int] = {}
    for archived in archive.ranges(topic):
        key = f"{archived.log_id}/{topic}/{archived.partition}"
        reached[key] = max(archived.end, reached.get(key, 0))
    return reached


def since(archive: Archive, offsets: Mapping[str, int]) -> int:
    """Returns the number of archived events after these offsets, which a manifest holds."""
    reached, count = dict(offsets), 0
    for archived in archive.ranges(topics.EVENTS):
        key = f"{archived.log_id}/{topics.EVENTS}/{archived.partition}"
        count += max(0, archived.end - max(archived.begin, reached.get(key, 0)))
        reached[key] = max(archived.end, reached.get(key, 0))
    return count


def _entry_positions(matrix: sp.csr_matrix, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Returns the positions of the stored weights of these rows, one row after the other."""
    starts = matrix.indptr[rows]
    counts = matrix.indptr[rows + 1] - starts
    begins = np.cumsum(counts) - counts
    positions: NDArray[np.intp] = np.repeat(starts - begins, counts) + np.arange(int(counts.sum()))
    return positions


def _user_id(key: str) -> str:
    return key[2:] if key.startswith("u:") else GUEST + key


def _numbered(column: pa.ChunkedArray, name: Any) -> tuple[tuple[str, ...], np.ndarray[Any, np.dtype[np.int32]]]:
    """Returns the distinct names of a column, sorted, and for each row the index of its name."""
    coded = pc.dictionary_encode(column).combine_chunks()
    names = [name(key) for key in coded.dictionary.to_pylist()]
    order = sorted(range(len(names)), key=names.__getitem__)
    number = np.empty(len(names), np.int32)
    number[order] = np.arange(len(names), dtype=np.int32)
    return tuple(names[i] for i in order), number[coded.indices.to_numpy()]


def _window(table: pa.Table, users: int, items: int) -> DataWindow:
    first, last = pc.min(table["first_at"]).as_py(), pc.max(table["at"]).as_py()
    return DataWindow(
        interactions=table.num_rows,
        users=users,
        items=items,
        first_at=datetime.fromtimestamp(first, UTC),
        last_at=datetime.fromtimestamp(last, UTC),
    )
