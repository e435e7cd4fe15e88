"""Splits of the interactions: one part for training, and one that is held out to be predicted."""

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
from schemas.manifest import DataWindow

Mask = NDArray[np.bool_]

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
    return training, held_out(training, from_arrow(table.take(pa.array(last)), {}))


def inner(
    interactions: Interactions, *, users: int = 2_000, seed: int = 0, needed: int = NEEDED, share: float = 0.0
) -> tuple[Interactions, HoldOut]:
    """A validation slice of a training part: what parameters and weights are chosen on, so that no test needs to be seen.

    Of a seeded sample of at most ``users`` people with ``needed`` items or more, one item each is held out, or a
    ``share`` of theirs where that is above 0 (rounded up): the newest where times are known (equal times go by id), else
    at random. Raises NothingToTrain where nobody has enough.
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
    """The ``count`` newest interactions of everyone with ``needed`` items or more, in the matrix's order.

    Drawn at random where times are not known. Raises NothingToTrain where nobody has enough.
    """
    matrix = interactions.matrix
    counts = np.diff(matrix.indptr)
    people = np.flatnonzero(counts >= needed)
    if not people.size:
        raise NothingToTrain(f"no one can be held out: nobody has {needed} items or more")
    places = _newest_or_random(interactions, seed)
    held = np.zeros(matrix.nnz, dtype=bool)
    held[places[(matrix.indptr[people][:, None] + np.arange(count)).ravel()]] = True
    return held


def people(interactions: Interactions, share: float, needed: int = NEEDED, seed: int = 0) -> NDArray[np.intp]:
    """A random share of the rows with ``needed`` items or more; raises NothingToTrain where there is none."""
    enough = np.flatnonzero(np.diff(interactions.matrix.indptr) >= needed)
    count = round(share * enough.size)
    if not count:
        raise NothingToTrain(f"no one can be held out: too few people have {needed} items or more")
    drawn: NDArray[np.intp] = np.sort(np.random.default_rng(seed).choice(enough, count, replace=False))
    return drawn


def by_people(
    interactions: Interactions, rows: NDArray[np.intp], shown: float, seed: int = 0
) -> tuple[Interactions, Interactions, HoldOut]:
    """Training without these people; what they show of themselves, over training's items; what they are asked for.

    The newest part of each one's items is asked for, a random part where times are not known.
    """
    matrix = interactions.matrix
    person = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    out = np.isin(person, rows)
    training = chosen(interactions, ~out)
    known = np.isin(np.asarray(interactions.item_ids, dtype=object), np.asarray(training.item_ids, dtype=object))
    counts = np.diff(matrix.indptr)
    asked = np.ceil(counts * (1 - shown)).astype(np.intp)
    places = _newest_or_random(interactions, seed)
    newest = np.zeros(matrix.nnz, dtype=bool)
    newest[places[_within_rows(matrix) < asked[person]]] = True
    visible = over(chosen(interactions, out & ~newest & known[matrix.indices]), training.item_ids)
    return training, visible, held_out(visible, chosen(interactions, out & newest, visible.user_ids))


def over(interactions: Interactions, item_ids: tuple[str, ...]) -> Interactions:
    """The same interactions with these items as columns, which must contain all of theirs and be sorted like them."""
    columns = _positions(interactions.item_ids, item_ids)
    old = interactions.matrix
    parts = old.data, columns[old.indices].astype(np.int32), old.indptr
    return replace(interactions, item_ids=item_ids, matrix=sp.csr_matrix(parts, shape=(old.shape[0], len(item_ids))))


def thinned(interactions: Interactions, share: float, seed: int = 0) -> Interactions:
    """A random share of each person's interactions, one at least; everyone stays."""
    matrix = interactions.matrix
    counts = np.diff(matrix.indptr)
    kept = np.zeros(matrix.nnz, dtype=bool)
    kept[_shuffled(matrix, seed)[_within_rows(matrix) < np.repeat(np.ceil(share * counts), counts)]] = True
    return chosen(interactions, kept)


def rebased(held: HoldOut, training: Interactions, smaller: Interactions) -> HoldOut:
    """The same hold-out seen from a part of its training that has the same people; what that lacks is unknown."""
    columns = _positions(training.item_ids, smaller.item_ids)
    known = {row: columns[items] for row, items in held.known.items()}
    unknown = {row: held.unknown.get(row, 0) + int((items < 0).sum()) for row, items in known.items()}
    return HoldOut(smaller.matrix, held.rows, {row: items[items >= 0] for row, items in known.items()}, unknown)


def _within_rows(matrix: sp.csr_matrix) -> NDArray[np.int64]:
    """(m,) how many stored interactions of the same row come before each."""
    starts = np.repeat(matrix.indptr[:-1].astype(np.int64), np.diff(matrix.indptr))
    places: NDArray[np.int64] = np.arange(matrix.nnz, dtype=np.int64) - starts
    return places


def _shuffled(matrix: sp.csr_matrix, seed: int) -> NDArray[np.intp]:
    """Places of stored interactions, each person's in random order; rows stay where they are."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order: NDArray[np.intp] = np.lexsort((np.random.default_rng(seed).random(matrix.nnz), rows))
    return order


def apart(interactions: Interactions, held: Mask) -> tuple[Interactions, HoldOut]:
    """The interactions without those that are held, and what the people left in training came to among the held.

    ``held`` is in the matrix's order. Users and items without anything left are not in the training part. Raises
    NothingToTrain where that is nothing.
    """
    training = chosen(interactions, ~held)
    return training, held_out(training, chosen(interactions, held, training.user_ids))


def chosen(interactions: Interactions, kept: Mask, among: tuple[str, ...] | None = None) -> Interactions:
    """Only these interactions (and of these users, where ``among`` names them), without users and items that are empty.

    ``kept`` is in the matrix's order. Raises NothingToTrain where nothing is left.
    """
    matrix = interactions.matrix
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    if among is not None:
        known = set(among)
        kept = kept & np.array([user_id in known for user_id in interactions.user_ids], dtype=bool)[rows]
    if not kept.any():
        raise NothingToTrain("nothing is left to train on or to ask for after the split: the data is too small for it")
    users, new_rows = np.unique(rows[kept], return_inverse=True)
    items, new_columns = np.unique(matrix.indices[kept], return_inverse=True)
    starts = np.concatenate(([0], np.cumsum(np.bincount(new_rows, minlength=users.size))))
    smaller = sp.csr_matrix((matrix.data[kept], new_columns.astype(np.int32), starts), shape=(users.size, items.size))
    times = None if interactions.times is None else interactions.times[kept]
    return Interactions(
        tuple(interactions.user_ids[row] for row in users.tolist()),
        tuple(interactions.item_ids[column] for column in items.tolist()),
        smaller,
        _window(smaller, times),
        interactions.offsets,
        times,
    )


def _newest_first(interactions: Interactions) -> NDArray[np.intp]:
    """Places of stored interactions, each person's newest first; rows stay where they are."""
    matrix = interactions.matrix
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    times = np.zeros(matrix.nnz) if interactions.times is None else interactions.times
    order: NDArray[np.intp] = np.lexsort((-matrix.indices, -times, rows))
    return order


def _newest_or_random(interactions: Interactions, seed: int) -> NDArray[np.intp]:
    """Places of stored interactions, each person's newest first, in random order where times are not known."""
    known = interactions.times is not None
    return _newest_first(interactions) if known else _shuffled(interactions.matrix, seed)


def _window(matrix: sp.csr_matrix, times: NDArray[np.float64] | None) -> DataWindow:
    users, items = matrix.shape
    bounds = (None, None) if times is None else (float(times.min()), float(times.max()))
    first, last = (None if bound is None else datetime.fromtimestamp(bound, UTC) for bound in bounds)
    return DataWindow(interactions=int(matrix.nnz), users=users, items=items, first_at=first, last_at=last)


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


def held_out(training: Interactions, held: Interactions) -> HoldOut:
    """What people of the training part (and nobody else) came to in ``held``."""
    columns = _positions(held.item_ids, training.item_ids)
    rows = _positions(held.user_ids, training.user_ids)
    known: dict[int, NDArray[Any]] = {}
    unknown: dict[int, int] = {}
    for at in np.flatnonzero(rows >= 0).tolist():
        row = int(rows[at])
        found = columns[held.matrix.indices[held.matrix.indptr[at] : held.matrix.indptr[at + 1]]]
        known[row], unknown[row] = found[found >= 0], int((found < 0).sum())
    return HoldOut(training.matrix, rows[rows >= 0], known, unknown)


def _positions(ids: tuple[str, ...], among: tuple[str, ...]) -> NDArray[np.intp]:
    """Where each id is in another tuple; -1 where it is not."""
    index = {each: position for position, each in enumerate(among)}
    return np.array([index.get(each, -1) for each in ids], dtype=np.intp)
