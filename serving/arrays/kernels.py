"""Loops over arrays as machine code (Numba), for operations of every request on a few hundred numbers.

For such short arrays the overhead of a NumPy call is greater than its work. Kernels are compiled by ``prepare`` or at
their first call, and cached on disk. They are all in one file, because the cache checks only the file of the kernel that
is called, not those of the functions that it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from models.structures.arrays import Bools, Doubles, Floats, Ints

F = TypeVar("F", bound=Callable[..., Any])
Indices = NDArray[np.int64]
Hashes = NDArray[np.uint32]


def _array(kind: Any, dimensions: int = 1) -> Any:
    # A read-only signature also accepts writable arrays; the reverse would fail.
    return types.Array(kind, dimensions, "C", readonly=True)


_FLOATS: Final = _array(types.float32)
_TABLE: Final = _array(types.float32, 2)
_DOUBLES: Final = _array(types.float64)
_DOUBLE_TABLE: Final = _array(types.float64, 2)
_INTS: Final = _array(types.int32)
_INDICES: Final = _array(types.int64)
_HASHES: Final = _array(types.uint32)
_BOOLS: Final = _array(types.boolean)
_COUNT: Final = types.int64
_NUMBER: Final = types.float64
_CHECKED: Final[Mapping[str, Any]] = {"error_model": "numpy", "boundscheck": True}
"""As NumPy: division by zero is no error, an invalid index is an IndexError. The check makes kernels a quarter slower."""
EXACT: Final = 1e6
"""Scores are compared in millionths."""
_STEEPNESS: Final = np.float32(1_000.0)
"""A copy of the value in ``models.source_weights``; the cache on disk would not notice a change there."""
_LOG_STEEPNESS: Final = np.log(_STEEPNESS + 1)


class _Kernel:
    """A function that is compiled, or read from the cache, when it is first called or by ``prepare``."""

    def __init__(self, function: Callable[..., Any], signatures: Sequence[Any]) -> None:
        self._function, self._signatures = function, list(signatures)

    @cached_property
    def _machine(self) -> Callable[..., Any]:
        try:
            return njit(self._signatures, cache=True, **_CHECKED)(self._function)
        except Exception:  # noqa: BLE001 - a fault of the function itself is raised by the second attempt
            # No folder for the cache is writable, the disk is full, or the cached file is damaged.
            return njit(self._signatures, **_CHECKED)(self._function)

    def prepare(self) -> None:
        """Compile now, if not done yet."""
        _ = self._machine

    def __call__(self, *arguments: Any) -> Any:
        return self._machine(*arguments)


_KERNELS: Final[list[_Kernel]] = []


def prepare() -> None:
    """Compile all kernels: about fifteen seconds without a cache on disk, else one."""
    for kernel in _KERNELS:
        kernel.prepare()


def _compiled(*signatures: Any) -> Callable[[F], F]:
    """A kernel for exactly these argument types, so that a prepared kernel is never compiled again."""

    def compiled(function: F) -> F:
        kernel = _Kernel(function, signatures)
        _KERNELS.append(kernel)
        return cast("F", kernel)

    return compiled


def _helper(function: F) -> F:
    """A function that only kernels call; it is compiled with them."""
    return cast("F", njit(**_CHECKED)(function))


@_helper
def _sink(keys: Any, ties: Any, indices: Any, node: int, size: int) -> None:
    """Sift the entry at ``node`` down in a heap of ``size`` entries, whose top is the last by (key, tie, index)."""
    key, tie, index = keys[node], ties[node], indices[node]
    while True:
        child = 2 * node + 1
        if child >= size:
            break
        if child + 1 < size and _before(
            keys, ties, indices, child, keys[child + 1], ties[child + 1], indices[child + 1]
        ):
            child += 1
        if not _before(keys, ties, indices, child, key, tie, index):
            keys[node], ties[node], indices[node] = keys[child], ties[child], indices[child]
            node = child
        else:
            break
    keys[node], ties[node], indices[node] = key, tie, index


@_helper
def _before(keys: Any, ties: Any, indices: Any, node: int, key: float, tie: Any, index: int) -> bool:
    if keys[node] != key:
        return bool(keys[node] < key)
    if ties[node] != tie:
        return bool(ties[node] < tie)
    return bool(indices[node] < index)


@_helper
def _offer(keys: Any, ties: Any, indices: Any, size: int, key: float, tie: Any, index: int) -> int:
    """Keep the entry if it is among the first so far; returns the number of kept entries, a heap once the arrays are full."""
    count = keys.size
    if size < count:
        keys[size], ties[size], indices[size] = key, tie, index
        size += 1
        if size == count:
            _heap(keys, ties, indices, size)
    elif not _before(keys, ties, indices, 0, key, tie, index):
        keys[0], ties[0], indices[0] = key, tie, index
        _sink(keys, ties, indices, 0, count)
    return size


@_helper
def _heap(keys: Any, ties: Any, indices: Any, size: int) -> None:
    for node in range(size // 2 - 1, -1, -1):
        _sink(keys, ties, indices, node, size)


@_helper
def _sorted(keys: Any, ties: Any, indices: Indices, size: int) -> Indices:
    """The indices of the kept entries, in order."""
    if size < keys.size:
        _heap(keys, ties, indices, size)
    for last in range(size - 1, 0, -1):
        keys[0], keys[last] = keys[last], keys[0]
        ties[0], ties[last] = ties[last], ties[0]
        indices[0], indices[last] = indices[last], indices[0]
        _sink(keys, ties, indices, 0, last)
    return indices[:size]


@_helper
def _slot(table: Any, distinct: Any, value: int) -> int:
    """The slot of a hash table (open addressing) that has this value's number, or is free for it."""
    mask = table.size - 1
    slot = ((value * 2_654_435_761) >> 12) & mask
    while table[slot] >= 0 and distinct[table[slot]] != value:
        slot = (slot + 1) & mask
    return int(slot)


@_helper
def _number(table: Any, distinct: Any, value: int, size: int) -> int:
    """The number of a value among ``size`` distinct ones; a new value gets the number ``size``."""
    slot = _slot(table, distinct, value)
    if table[slot] < 0:
        table[slot], distinct[size] = size, value
    return int(table[slot])


@_helper
def _empty_table(count: int) -> Any:
    size = 16
    while size < 2 * count:
        size *= 2
    return np.full(size, np.int32(-1), np.int32)


@_helper
def _floor(keys: Any, size: int, above: float) -> float:
    """A score must exceed this to be offered; one that rounds to the same as the last kept score may precede it."""
    if not 0 < size == keys.size:
        return above
    # A millionth, or the smallest difference of a float64.
    return float(max(above, -(keys[0] + max(1.0, abs(keys[0]) * 2.0**-51)) / EXACT))


@_helper
def _strongest(scores: Any, ties: Hashes, count: int, above: float) -> Indices:
    count = min(max(count, 0), scores.size)
    keys, kept_ties, indices = np.empty(count), np.empty(count, np.uint32), np.empty(count, np.int64)
    size, floor = 0, above if count else np.inf
    for index in range(scores.size):
        score = np.float64(scores[index])
        if floor < score < np.inf:
            size = _offer(keys, kept_ties, indices, size, np.rint(score * -EXACT), ties[index], index)
            floor = _floor(keys, size, above)
    return _sorted(keys, kept_ties, indices, size)


@_compiled((_FLOATS, _HASHES, _COUNT, _NUMBER), (_DOUBLES, _HASHES, _COUNT, _NUMBER))
def top_k(scores: Floats | Doubles, ties: Hashes, count: int, above: float) -> Indices:
    """Indices of the ``count`` greatest finite scores (C,) above ``above``, greatest first.

    Scores are rounded to millionths; equal ones are ordered by ``ties`` (C,), smallest first.
    """
    return _strongest(scores, ties, count, above)


@_compiled((_FLOATS, _INTS, _BOOLS, _HASHES, _COUNT, _NUMBER))
def best_allowed(scores: Floats, items: Ints, allowed: Bools, ties: Hashes, count: int, above: float) -> Indices:
    """``top_k`` of the allowed items (C,); ``allowed`` and ``ties`` are indexed by item."""
    count = min(max(count, 0), scores.size)
    keys, kept_ties, indices = np.empty(count), np.empty(count, np.uint32), np.empty(count, np.int64)
    size, floor = 0, above if count else np.inf
    for index in range(scores.size):
        score = np.float64(scores[index])
        if floor < score < np.inf and allowed[items[index]]:
            size = _offer(keys, kept_ties, indices, size, np.rint(score * -EXACT), ties[items[index]], index)
            floor = _floor(keys, size, above)
    return _sorted(keys, kept_ties, indices, size)


@_compiled((_FLOATS, _COUNT, _NUMBER))
def near_best(scores: Floats, count: int, factor: float) -> Indices:
    """Rising indices of the scores (C,) that a factor up to ``factor`` (at least 1) may raise to the ``count`` greatest."""
    count = min(max(count, 0), scores.size)
    keys, ties, indices = np.empty(count), np.zeros(count, np.uint32), np.empty(count, np.int64)
    size, floor = 0, -np.inf if count else np.inf
    for index in range(scores.size):
        score = np.float64(scores[index])
        if floor < score < np.inf:
            size = _offer(keys, ties, indices, size, np.rint(score * -EXACT), np.uint32(0), index)
            floor = _floor(keys, size, -np.inf)
    least = floor / factor if floor > 0 else floor * factor
    near, size = np.empty(scores.size, np.int64), 0
    for index in range(scores.size):
        if np.float64(scores[index]) >= least:
            near[size] = index
            size += 1
    return near[:size]


@_compiled((_INTS, _BOOLS, _COUNT))
def first_allowed(items: Ints, allowed: Bools, count: int) -> Indices:
    """Indices of the first ``count`` allowed ones of these items (C,), in their order."""
    indices = np.empty(min(max(count, 0), items.size), np.int64)
    size = 0
    for index in range(items.size):
        if size == indices.size:
            break
        if allowed[items[index]]:
            indices[size] = index
            size += 1
    return indices[:size]


@_compiled((_INTS,))
def numbered(entries: Ints) -> tuple[Ints, Ints]:
    """The distinct values (C,) of non-negative entries (E,), in order of appearance, and the number of each entry's value (E,)."""
    distinct, numbers = np.empty(entries.size, np.int32), np.empty(entries.size, np.int32)
    table, count = _empty_table(entries.size), 0
    for entry in range(entries.size):
        numbers[entry] = _number(table, distinct, entries[entry], count)
        count = max(count, numbers[entry] + 1)
    return distinct[:count], numbers


@_compiled((_INTS, _FLOATS, _INDICES, _INTS, _FLOATS, _BOOLS, _HASHES, _COUNT))
def sum_by_item(
    items: Ints,
    scores: Floats,
    lengths: Indices,
    seeds: Ints,
    weights: Floats,
    allowed: Bools,
    ties: Hashes,
    count: int,
) -> tuple[Ints, Floats, Ints]:
    """The items of several seeds (C,), the sums of their scores times the seeds' weights, and the seed that adds most to each.

    The first ``lengths[0]`` entries (E,) belong to the first seed, and so on. Only the ``count`` greatest allowed items
    are returned. If several seeds add the same to an item, the last one counts.
    """
    distinct, strongest_seeds = np.empty(items.size, np.int32), np.empty(items.size, np.int32)
    sums, greatest = np.empty(items.size, np.float32), np.empty(items.size, np.float32)
    table, size, entry = _empty_table(items.size), 0, 0
    for index in range(seeds.size):
        for _ in range(lengths[index]):
            item, score = items[entry], scores[entry] * weights[index]
            entry += 1
            if not allowed[item]:
                continue
            number = _number(table, distinct, item, size)
            if number == size:
                sums[number], greatest[number], strongest_seeds[number] = np.float32(0.0), np.float32(-np.inf), -1
                size += 1
            sums[number] += score
            if score >= greatest[number]:
                greatest[number], strongest_seeds[number] = score, seeds[index]
    if size <= count:
        return distinct[:size], sums[:size], strongest_seeds[:size]
    best = _strongest(sums[:size], ties[distinct[:size]], count, -np.inf)
    return distinct[best], sums[best], strongest_seeds[best]


@_compiled((_FLOATS, _INDICES, _TABLE))
def weighed(scores: Floats, lengths: Indices, weights: Floats) -> Floats:
    """The weighted sum of the curves of each score (E,), by its source's weights (S, 4); see ``models.source_weights.curves``."""
    added = np.empty(scores.size, np.float32)
    entry = 0
    for source in range(lengths.size):
        linear, root, logarithm, cube = weights[source]
        for proposal in range(entry, entry + lengths[source]):
            score = scores[proposal]
            total = linear * score
            if root:
                total += root * np.sqrt(score)
            if logarithm:
                total += logarithm * (np.log(score * _STEEPNESS + np.float32(1.0)) / _LOG_STEEPNESS)
            if cube:
                total += cube * (score * score * score)
            added[proposal] = total
        entry += lengths[source]
    return added


@_compiled((_HASHES, _INTS, types.uint64, _NUMBER))
def noise(hashes: Hashes, items: Ints, seed: int, spread: float) -> Floats:
    """Factors from 1 - ``spread`` to 1 + ``spread`` for these items (C,), which depend only on hash and seed.

    The generator is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    """
    factors = np.empty(items.size, np.float32)
    for index in range(items.size):
        x = (np.uint64(hashes[items[index]]) + seed) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
        drawn = np.float32(x >> np.uint64(40)) / np.float32(2**23) - np.float32(1.0)
        factors[index] = np.float32(1.0) + np.float32(spread) * drawn
    return factors


@_compiled((_FLOATS, _INTS, _INDICES, _INDICES, _COUNT))
def table(added: Floats, columns: Ints, lengths: Indices, selected: Indices, count: int) -> tuple[Floats, Ints]:
    """The values of ``selected`` (K,) of ``count`` candidates by source (S, K), or 0, and their indices in the source, or -1.

    ``added`` (E,) are values by proposal, ``columns`` (E,) their candidates, ``lengths`` (S,) the proposals of each source.
    """
    values = np.zeros((lengths.size, selected.size), np.float32)
    indices = np.full((lengths.size, selected.size), np.int32(-1), np.int32)
    column_of = np.full(count, np.int32(-1), np.int32)
    for column in range(selected.size):
        column_of[selected[column]] = column
    entry = 0
    for source in range(lengths.size):
        for index in range(lengths[source]):
            column = column_of[columns[entry]]
            if column >= 0:
                values[source, column], indices[source, column] = added[entry], index
            entry += 1
    return values, indices


@_compiled((_TABLE, _INTS, _NUMBER))
def largest_shares(added: Floats, chosen: Ints, smallest: float) -> tuple[Ints, Ints, Doubles]:
    """The shares, at least ``smallest``, of the rows in the sums of the columns ``chosen`` (K,) of a table (S, C).

    Returns rows, columns (indices into ``chosen``) and shares, rounded to ten-thousandths: by column, greatest share
    first, equal ones by row.
    """
    rows, columns = np.empty(added.shape[0] * chosen.size, np.int32), np.empty(added.shape[0] * chosen.size, np.int32)
    shares, size = np.empty(added.shape[0] * chosen.size), 0
    for column in range(chosen.size):
        whole = np.float32(0.0)
        for row in range(added.shape[0]):
            whole += added[row, chosen[column]]
        begin = size
        for row in range(added.shape[0]):
            share = added[row, chosen[column]] / whole
            if not share >= np.float32(smallest):
                continue
            slot = size
            while slot > begin and shares[slot - 1] < share:
                rows[slot], shares[slot] = rows[slot - 1], shares[slot - 1]
                slot -= 1
            rows[slot], shares[slot], columns[size] = row, share, column
            size += 1
    for slot in range(size):
        shares[slot] = np.rint(shares[slot] * 1e4) / 1e4
    return rows[:size], columns[:size], shares[:size]


@_compiled((_DOUBLE_TABLE, _DOUBLES, _DOUBLES, _INTS, _NUMBER, _NUMBER, _NUMBER, _NUMBER))
def click_through(
    shown: Doubles,
    answered: Doubles,
    examined: Doubles,
    items: Ints,
    decay: float,
    average: float,
    prior: float,
    limit: float,
) -> Floats:
    """Answers over expected impressions of these items (n,), divided by ``average`` and shrunk to it by ``prior``.

    ``shown`` (I, B) are impressions by bucket of ranks, ``examined`` (B,) the examination of each bucket, ``answered``
    (I,) the answers; counts are multiplied by ``decay``. The result is between 1 / ``limit`` and ``limit``, and 1 for
    items with fewer than ``prior`` expected impressions.
    """
    relative = np.ones(items.size, np.float32)
    for index in range(items.size):
        item = items[index]
        if item >= answered.size:
            continue
        expected = 0.0
        for bucket in range(examined.size):
            expected += shown[item, bucket] * examined[bucket]
        expected *= decay
        if expected >= prior:
            rate = (decay * answered[item] + prior * average) / (expected + prior)
            relative[index] = np.float32(min(max(rate / average, 1.0 / limit), limit))
    return relative


@_compiled((_INDICES, _INTS, _FLOATS, _INDICES, _FLOATS))
def summed_rows(indptr: Indices, indices: Ints, values: Floats, rows: Indices, weights: Floats) -> tuple[Ints, Floats]:
    """The columns (C,) of the weighted rows of a square sparse matrix, and the sums of their values; rows may repeat."""
    width = indptr.size - 1
    sums, met = np.zeros(width), np.zeros(width, np.bool_)
    columns, size = np.empty(width, np.int32), 0
    for index in range(rows.size):
        weight = weights[index]
        for entry in range(indptr[rows[index]], indptr[rows[index] + 1]):
            column = indices[entry]
            if not met[column]:
                met[column], columns[size] = True, column
                size += 1
            sums[column] += values[entry] * weight
    return columns[:size].copy(), sums[columns[:size]].astype(np.float32)


@_compiled((_INDICES, _INTS, _FLOATS, _INDICES, _FLOATS, _INTS))
def weighed_columns(
    indptr: Indices, indices: Ints, values: Floats, rows: Indices, weights: Floats, selected: Ints
) -> Floats:
    """The weighted rows (n,) of a sparse matrix at the distinct columns ``selected`` (C,), shape (n, C)."""
    slots = _empty_table(selected.size)
    for index in range(selected.size):
        slots[_slot(slots, selected, selected[index])] = index
    weighted = np.zeros((rows.size, selected.size), np.float32)
    for index in range(rows.size):
        for entry in range(indptr[rows[index]], indptr[rows[index] + 1]):
            column = slots[_slot(slots, selected, indices[entry])]
            if column >= 0:
                weighted[index, column] = values[entry] * weights[index]
    return weighted


@_compiled((_INTS, _INDICES, _DOUBLES))
def grouped(sessions: Ints, lengths: Indices, weights: Doubles) -> tuple[Indices, Doubles, Indices]:
    """See ``models.session_knn.Loops``."""
    numbers, newest = np.empty(sessions.size, np.int64), np.empty(sessions.size, np.int64)
    sums, table, size, entry = np.zeros(sessions.size), _empty_table(sessions.size), 0, 0
    for index in range(lengths.size):
        for _ in range(lengths[index]):
            number = _number(table, numbers, sessions[entry], size)
            size = max(size, number + 1)
            sums[number] += weights[index]
            newest[number] = index
            entry += 1
    return numbers[:size], sums[:size], newest[:size]


@_compiled((_INTS, _INDICES, _INTS, _DOUBLES, _DOUBLES))
def tallied(items: Ints, lengths: Indices, shared: Ints, votes: Doubles, shares: Doubles) -> tuple[Ints, Doubles]:
    """See ``models.session_knn.Loops``."""
    distinct, sums = np.empty(items.size, np.int32), np.zeros(items.size)
    table, size, begin, far = _empty_table(items.size), 0, 0, shares.size // 2
    for neighbour in range(lengths.size):
        end, middle = begin + lengths[neighbour], begin
        while items[middle] != shared[neighbour]:
            middle += 1
        for entry in range(begin, end):
            if items[entry] < 0:
                continue
            number = _number(table, distinct, items[entry], size)
            size = max(size, number + 1)
            sums[number] += votes[neighbour] * shares[min(max(entry - middle, -far), far) + far]
        begin = end
    return distinct[:size], sums[:size]
