"""Splits by time: what is learned from, and what is held out to be foreseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from offline.dataset import Interactions, from_arrow

NEEDED: Final = 5
"""Items that a user must have before the newest of them is held out."""


@dataclass(frozen=True)
class HoldOut:
    """What users did next. ``rows`` are users of the training matrix ``seen`` (csr, users × items)."""

    seen: sp.csr_matrix
    rows: NDArray[np.intp]
    known: Mapping[int, NDArray[np.intp]]
    """By row, the held-out items that training knows, as columns of ``seen``."""
    unknown: Mapping[int, int]
    """By row, how many held-out items training has never met."""


def newest_of_each(
    table: pa.Table, users: int, needed: int = NEEDED, seed: int = 0
) -> tuple[Interactions, HoldOut] | None:
    """Holds out the item that each of a sample of people came to last; None where nobody has enough.

    ``table`` is as ``from_arrow`` takes it. At most ``users`` people with ``needed`` items or more are sampled;
    all else is for training. An item's time is that of its person's first event with it, equal times go by id.
    """
    last = _last_of_each(table, needed)
    if not last.size:
        return None
    if last.size > users:
        last = np.sort(np.random.default_rng(seed).choice(last, users, replace=False))
    kept = np.ones(table.num_rows, dtype=bool)
    kept[last] = False
    training = from_arrow(table.filter(pa.array(kept)), {})
    return training, _held_out(training, from_arrow(table.take(pa.array(last)), {}))


def _last_of_each(table: pa.Table, needed: int) -> NDArray[np.intp]:
    """Positions in the table of the newest pair of everyone who has enough."""
    place = pa.array(np.arange(table.num_rows))
    by_time = table.select(["user", "item", "first_at"]).append_column("place", place)
    ordered = by_time.sort_by([("user", "ascending"), ("first_at", "ascending"), ("item", "ascending")])
    person = ordered["user"].combine_chunks().dictionary_encode().indices.to_numpy()
    ends = np.flatnonzero(np.r_[person[1:] != person[:-1], True])
    counts = np.diff(np.r_[-1, ends])
    positions: NDArray[np.intp] = ordered["place"].to_numpy()[ends[counts >= needed]]
    return np.sort(positions)


def _held_out(training: Interactions, held: Interactions) -> HoldOut:
    columns = _positions(held.item_ids, training.item_ids)
    rows = _positions(held.user_ids, training.user_ids)
    known: dict[int, NDArray[Any]] = {}
    unknown: dict[int, int] = {}
    for at, row in enumerate(rows.tolist()):
        found = columns[held.matrix.indices[held.matrix.indptr[at] : held.matrix.indptr[at + 1]]]
        known[row], unknown[row] = found[found >= 0], int((found < 0).sum())
    return HoldOut(training.matrix, rows, known, unknown)


def _positions(ids: tuple[str, ...], among: tuple[str, ...]) -> NDArray[np.intp]:
    """Where each id is in another tuple; -1 where it is not."""
    index = {each: position for position, each in enumerate(among)}
    return np.array([index.get(each, -1) for each in ids], dtype=np.intp)
