"""Splits interactions into a training part and a held-out part, which models have to predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from offline.data.dataset import Interactions, from_arrow
from schemas.errors import NothingToTrain
from schemas.offline.manifest import DataWindow

Mask = NDArray[np.bool_]
"""One value for each stored interaction, in order of the matrix."""

NEEDED: Final = 5
"""Minimum number of items of a user whose newest item is held out."""


@dataclass(frozen=True)
class HoldOut:
    """The held-out items of users."""

    seen: sp.csr_matrix
    """Training matrix, users × items."""
    rows: NDArray[np.intp]
    """Rows of ``seen`` that have held-out items."""
    known: Mapping[int, NDArray[np.intp]]
    """The held-out items that are in training, as columns of ``seen``, by row."""
    unknown: Mapping[int, int]
    """The number of held-out items that are not in training, by row."""


def newest_of_each(
    table: pa.Table, users: int, needed: int = NEEDED, seed: int = 0
) -> tuple[Interactions, HoldOut] | None:
    """Holds out the newest item of each user in a sample. Returns None if nobody has enough items.

    ``table`` has the columns of ``from_arrow``. The sample has at most ``users`` users with ``needed`` items or more. All
    other interactions are for training. The time of an item is that of the user's first event on it. Equal times are
    ordered by id.
    """
    last = _last_of_each(table, needed)
    if not last.size:
        return None
    if last.size > users:
        last = np.sort(np.random.default_rng(seed).choice(last, users, replace=False))
    in_training = np.ones(table.num_rows, dtype=bool)
    in_training[last] = False
    training = from_arrow(table.filter(pa.array(in_training)), {})
    return training, held_out(training, from_arrow(table.take(pa.array(last)), {}))


def inner(
    interactions: Interactions, *, users: int = 2_000, seed: int = 0, needed: int = NEEDED, share: float = 0.0
) -> tuple[Interactions, HoldOut]:
    """Returns a validation slice of a training part. Parameters and weights are chosen on it, so the test stays unseen.

    It samples at most ``users`` users with ``needed`` items or more, by the seed. It holds out one item of each, or the
    ``share`` of their items (rounded up) if that is above 0. These are the newest ones (equal times are ordered by id), or
    random ones if times are unknown. Raises NothingToTrain if nobody has enough items.
    """
    random = np.random.default_rng(seed)
    matrix = interactions.matrix
    counts = np.diff(matrix.indptr)
    people = np.flatnonzero(counts >= needed)
    if not people.size:
        raise NothingToTrain(f"no one can be held out for validation: nobody has {needed} items or more")
    if people.size > users:
        people = np.sort(random.choice(people, users, replace=False))
    held = np.zeros(matrix.nnz, dtype=bool)
    if interactions.times is None and not share:
        held[matrix.indptr[people] + random.integers(0, counts[people])] = True
        return apart(interactions, held)
    order = _newest_or_random(interactions, seed)
    wanted = np.zeros(counts.size, dtype=np.int64)
    wanted[people] = np.maximum(1, np.ceil(share * counts[people]))
    held[order[_within_rows(matrix) < np.repeat(wanted, counts)]] = True
    return apart(interactions, held)


def last_of_each(interactions: Interactions, count: int, needed: int = NEEDED, seed: int = 0) -> Mask:
    """Returns the mask of the ``count`` newest interactions of each user with ``needed`` items or more.

    If times are unknown, they are drawn at random. Raises NothingToTrain if nobody has enough items.
    """
    matrix = interactions.matrix
    counts = np.diff(matrix.indptr)
    people = np.flatnonzero(counts >= needed)
    if not people.size:
        raise NothingToTrain(f"no one can be held out: nobody has {needed} items or more")
    order = _newest_or_random(interactions, seed)
    held = np.zeros(matrix.nnz, dtype=bool)
    held[order[(matrix.indptr[people][:, None] + np.arange(count)).ravel()]] = True
    return held


def people(interactions: Interactions, share: float, needed: int = NEEDED, seed: int = 0) -> NDArray[np.intp]:
    """Returns a random share of the rows with ``needed`` items or more. Raises NothingToTrain if it would be empty."""
    enough = np.flatnonzero(np.diff(interactions.matrix.indptr) >= needed)
    count = round(share * enough.size)
    if not count:
        raise NothingToTrain(f"no one can be held out: too few people have {needed} items or more")
    drawn: NDArray[np.intp] = np.sort(np.random.default_rng(seed).choice(enough, count, replace=False))
    return drawn


def by_people(
    interactions: Interactions, rows: NDArray[np.intp], shown: float, seed: int = 0
) -> tuple[Interactions, Interactions, HoldOut]:
    """Splits by users. Returns the training part, the visible items of the test users, and their held-out items.

    These ``rows`` are the test users. They are not in the training part. ``shown`` is the visible share of a user's items.
    The held-out items are the newest ones, or random ones if times are unknown.
    """
    matrix = interactions.matrix
    person = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    out = np.isin(person, rows)
    training = chosen(interactions, ~out)
    known = np.isin(np.asarray(interactions.item_ids, dtype=object), np.asarray(training.item_ids, dtype=object))
    counts = np.diff(matrix.indptr)
    held_counts = np.ceil(counts * (1 - shown)).astype(np.intp)
    order = _newest_or_random(interactions, seed)
    newest = np.zeros(matrix.nnz, dtype=bool)
    newest[order[_within_rows(matrix) < held_counts[person]]] = True
    visible = over(chosen(interactions, out & ~newest & known[matrix.indices]), training.item_ids)
    return training, visible, held_out(visible, chosen(interactions, out & newest, visible.user_ids))


def over(interactions: Interactions, item_ids: tuple[str, ...]) -> Interactions:
    """Returns the interactions with these items as columns. ``item_ids`` is sorted and contains all items of them."""
    columns = _positions(interactions.item_ids, item_ids)
    old = interactions.matrix
    parts = old.data, columns[old.indices].astype(np.int32), old.indptr
    return replace(interactions, item_ids=item_ids, matrix=sp.csr_matrix(parts, shape=(old.shape[0], len(item_ids))))


def thinned(interactions: Interactions, share: float, seed: int = 0) -> Interactions:
    """Returns a random share of each user's interactions, at least one. So no user is lost."""
    matrix = interactions.matrix
    counts = np.diff(matrix.indptr)
    mask = np.zeros(matrix.nnz, dtype=bool)
    mask[_shuffled(matrix, seed)[_within_rows(matrix) < np.repeat(np.ceil(share * counts), counts)]] = True
    return chosen(interactions, mask)


def rebased(held: HoldOut, training: Interactions, smaller: Interactions) -> HoldOut:
    """Returns the hold-out for a smaller training part with the same users. Items that it lacks become unknown."""
    columns = _positions(training.item_ids, smaller.item_ids)
    known = {row: columns[items] for row, items in held.known.items()}
    unknown = {row: held.unknown.get(row, 0) + int((items < 0).sum()) for row, items in known.items()}
    return HoldOut(smaller.matrix, held.rows, {row: items[items >= 0] for row, items in known.items()}, unknown)


def _within_rows(matrix: sp.csr_matrix) -> NDArray[np.int64]:
    """Returns, for each stored interaction, its index within its row, (m,)."""
    starts = np.repeat(matrix.indptr[:-1].astype(np.int64), np.diff(matrix.indptr))
    indices: NDArray[np.int64] = np.arange(matrix.nnz, dtype=np.int64) - starts
    return indices


def _shuffled(matrix: sp.csr_matrix, seed: int) -> NDArray[np.intp]:
    """Returns the positions of the stored interactions, row after row, in random order within a row."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order: NDArray[np.intp] = np.lexsort((np.random.default_rng(seed).random(matrix.nnz), rows))
    return order


def apart(interactions: Interactions, held: Mask) -> tuple[Interactions, HoldOut]:
    """Splits by a mask of held-out interactions. Returns the training part and the hold-out of its users.

    The training part has only users and items that keep an interaction. Raises NothingToTrain if it is empty.
    """
    training = chosen(interactions, ~held)
    return training, held_out(training, chosen(interactions, held, training.user_ids))


def chosen(interactions: Interactions, mask: Mask, among: tuple[str, ...] | None = None) -> Interactions:
    """Returns the interactions of a mask, without users and items that have none.

    ``among`` limits them to these users. Raises NothingToTrain if none is left.
    """
    matrix = interactions.matrix
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    if among is not None:
        known = set(among)
        mask = mask & np.array([user_id in known for user_id in interactions.user_ids], dtype=bool)[rows]
    if not mask.any():
        raise NothingToTrain("nothing is left to train on or to ask for after the split: the data is too small for it")
    users, new_rows = np.unique(rows[mask], return_inverse=True)
    items, new_columns = np.unique(matrix.indices[mask], return_inverse=True)
    starts = np.concatenate(([0], np.cumsum(np.bincount(new_rows, minlength=users.size))))
    smaller = sp.csr_matrix((matrix.data[mask], new_columns.astype(np.int32), starts), shape=(users.size, items.size))
    times = None if interactions.times is None else interactions.times[mask]
    return Interactions(
        tuple(interactions.user_ids[row] for row in users.tolist()),
        tuple(interactions.item_ids[column] for column in items.tolist()),
        smaller,
        _window(smaller, times),
        interactions.offsets,
        times,
    )


def _newest_first(interactions: Interactions) -> NDArray[np.intp]:
    """Returns the positions of the stored interactions, row after row, newest first within a row."""
    matrix = interactions.matrix
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    times = np.zeros(matrix.nnz) if interactions.times is None else interactions.times
    order: NDArray[np.intp] = np.lexsort((-matrix.indices, -times, rows))
    return order


def _newest_or_random(interactions: Interactions, seed: int) -> NDArray[np.intp]:
    """Returns the positions of the stored interactions, row after row: newest first, or in random order if times are unknown."""
    known = interactions.times is not None
    return _newest_first(interactions) if known else _shuffled(interactions.matrix, seed)


def _window(matrix: sp.csr_matrix, times: NDArray[np.float64] | None) -> DataWindow:
    users, items = matrix.shape
    bounds = (None, None) if times is None else (float(times.min()), float(times.max()))
    first, last = (None if bound is None else datetime.fromtimestamp(bound, UTC) for bound in bounds)
    return DataWindow(interactions=int(matrix.nnz), users=users, items=items, first_at=first, last_at=last)


def _last_of_each(table: pa.Table, needed: int) -> NDArray[np.intp]:
    """Returns, for each user with enough items, the row of the table that holds the newest one. Rows are ascending."""
    row_numbers = pa.array(np.arange(table.num_rows))
    by_time = table.select(["user", "item", "first_at"]).append_column("row", row_numbers)
    ordered = by_time.sort_by([("user", "ascending"), ("first_at", "ascending"), ("item", "ascending")])
    person = ordered["user"].combine_chunks().dictionary_encode().indices.to_numpy()
    ends = np.flatnonzero(np.r_[person[1:] != person[:-1], True])
    counts = np.diff(np.r_[-1, ends])
    rows: NDArray[np.intp] = ordered["row"].to_numpy()[ends[counts >= needed]]
    return np.sort(rows)


def held_out(training: Interactions, held: Interactions) -> HoldOut:
    """Returns the hold-out of the users of the training part: their items in ``held``."""
    columns = _positions(held.item_ids, training.item_ids)
    rows = _positions(held.user_ids, training.user_ids)
    known: dict[int, NDArray[Any]] = {}
    unknown: dict[int, int] = {}
    for held_row in np.flatnonzero(rows >= 0).tolist():
        row = int(rows[held_row])
        items = columns[held.matrix.indices[held.matrix.indptr[held_row] : held.matrix.indptr[held_row + 1]]]
        known[row], unknown[row] = items[items >= 0], int((items < 0).sum())
    return HoldOut(training.matrix, rows[rows >= 0], known, unknown)


def _positions(ids: tuple[str, ...], among: tuple[str, ...]) -> NDArray[np.intp]:
    """Returns the position of each id in ``among``, or -1."""
    index = {known_id: position for position, known_id in enumerate(among)}
    return np.array([index.get(wanted_id, -1) for wanted_id in ids], dtype=np.intp)
