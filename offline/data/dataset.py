"""Interactions as a matrix: what every training reads."""

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
from schemas.manifest import DataWindow
from schemas.ports import Archive

GUEST: Final = "\x1f"
"""Before a guest's signal key in ``user_ids``. No id on the log holds a control character, so no user has such a name."""


@dataclass(frozen=True)
class Interactions:
    """Who had to do with what, and how much."""

    user_ids: tuple[str, ...]
    """Rows, sorted: a known user's plain user_id; a guest's signal key (``a:…``, ``s:…``) after GUEST."""
    item_ids: tuple[str, ...]
    """Columns, sorted."""
    matrix: sp.csr_matrix
    """float32, users × items, weights above 0, sorted indices."""
    window: DataWindow
    offsets: dict[str, int]
    """The archived end of each ``"<log id>/<topic>/<partition>"`` it was read from."""
    times: NDArray[np.float64] | None = None
    """Seconds since 1970 of each stored weight's latest event, in the matrix's order; None where nothing is known."""

    def histories(self, rows: NDArray[np.intp]) -> Histories:
        """What these people had to do with, oldest first."""
        chosen = self.matrix[rows]
        counts = np.diff(chosen.indptr)
        times = np.zeros(chosen.nnz) if self.times is None else self.times[_places(self.matrix, rows)]
        order = np.lexsort((chosen.indices, times, np.repeat(np.arange(rows.size), counts)))
        user_ids = tuple(self.user_ids[row] for row in rows.tolist())
        items, weights = chosen.indices[order].astype(np.int32), chosen.data[order]
        return Histories(user_ids, chosen.indptr.astype(np.int64), items, weights, times[order])


def is_guest(user_id: str) -> bool:
    """Whether a row is a guest's: good for learning about items, but nobody asks for its list by user_id."""
    return user_id.startswith(GUEST)


def from_arrow(table: pa.Table, offsets: Mapping[str, int]) -> Interactions:
    """The matrix of a table of interactions (columns as of ``run_duckdb``), the same whatever the rows' order.

    Raises NothingToTrain where there are none.
    """
    if not table.num_rows:
        raise NothingToTrain("the archive holds no interactions to train on; import or send some events first")
    users, rows = _numbered(table["user"], _user_id)
    items, columns = _numbered(table["item"], str)
    # The smallest float32 above 0: what has decayed to nothing has still happened.
    weights = np.maximum(table["weight"].to_numpy().astype(np.float32), np.finfo(np.float32).tiny)
    order = np.lexsort((columns, rows))
    starts = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(users)))))
    matrix = sp.csr_matrix((weights[order], columns[order], starts), shape=(len(users), len(items)))
    times = table["at"].to_numpy().astype(np.float64)[order]
    return Interactions(users, items, matrix, _window(table, len(users), len(items)), dict(offsets), times)


def ends(archive: Archive, topic: str = topics.EVENTS) -> dict[str, int]:
    """How far the topic is archived, as ``Interactions.offsets`` and manifests say it."""
    reached: dict[str, int] = {}
    for found in archive.ranges(topic):
        key = f"{found.log_id}/{topic}/{found.partition}"
        reached[key] = max(found.end, reached.get(key, 0))
    return reached


def since(archive: Archive, offsets: Mapping[str, int]) -> int:
    """How many archived events lie after these offsets (a manifest's)."""
    reached, count = dict(offsets), 0
    for found in archive.ranges(topics.EVENTS):
        key = f"{found.log_id}/{topics.EVENTS}/{found.partition}"
        count += max(0, found.end - max(found.begin, reached.get(key, 0)))
        reached[key] = max(found.end, reached.get(key, 0))
    return count


def _places(matrix: sp.csr_matrix, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where these rows' stored weights are, one row after the other."""
    starts = matrix.indptr[rows]
    counts = matrix.indptr[rows + 1] - starts
    begins = np.cumsum(counts) - counts
    places: NDArray[np.intp] = np.repeat(starts - begins, counts) + np.arange(int(counts.sum()))
    return places


def _user_id(key: str) -> str:
    return key[2:] if key.startswith("u:") else GUEST + key


def _numbered(column: pa.ChunkedArray, name: Any) -> tuple[tuple[str, ...], np.ndarray[Any, np.dtype[np.int32]]]:
    """The column's names, sorted, and each row's number among them."""
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
