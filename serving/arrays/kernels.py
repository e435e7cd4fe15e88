"""Loops over arrays as machine code (Numba), for what every answer does over a few hundred numbers.

There each of NumPy's calls takes longer than its work. A kernel knows arrays alone; who calls it says what they mean.
Compiled when first called, unless ``prepare`` was, and kept on disk. All stand in one file: what is kept is known by the
file of the caller, not by those of the functions that it calls.
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
Places = NDArray[np.int64]
Hashes = NDArray[np.uint32]


def _array(kind: Any, dimensions: int = 1) -> Any:
    # A kernel that promises not to write takes writable arrays too; the other way round it would refuse.
    return types.Array(kind, dimensions, "C", readonly=True)


_FLOATS: Final = _array(types.float32)
_TABLE: Final = _array(types.float32, 2)
_DOUBLES: Final = _array(types.float64)
_DOUBLE_TABLE: Final = _array(types.float64, 2)
_INTS: Final = _array(types.int32)
_PLACES: Final = _array(types.int64)
_HASHES: Final = _array(types.uint32)
_BOOLS: Final = _array(types.boolean)
_COUNT: Final = types.int64
_NUMBER: Final = types.float64
_CHECKED: Final[Mapping[str, Any]] = {"error_model": "numpy", "boundscheck": True}
"""As NumPy: division by zero gives no error, a place that is not there is an IndexError. Checking takes a quarter more."""
EXACT: Final = 1e6
"""Scores are compared in millionths."""
_STEEPNESS: Final = np.float32(1_000.0)
"""As in ``models.source_weights``, which is not asked: what is kept on disk would not know that it had changed there."""
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
            # Nothing can be kept beside this file or in the user's cache, the disk is full, or what was kept is damaged.
            return njit(self._signatures, **_CHECKED)(self._function)

    def prepare(self) -> None:
        """Compile now what was not."""
        _ = self._machine

    def __call__(self, *arguments: Any) -> Any:
        return self._machine(*arguments)


_KERNELS: Final[list[_Kernel]] = []


def prepare() -> None:
    """Compile all of them: some fifteen seconds where nothing is kept on disk, else one."""
    for kernel in _KERNELS:
        kernel.prepare()


def _compiled(*signatures: Any) -> Callable[[F], F]:
    """A kernel for these types of arguments alone, so that what was prepared is never compiled once more."""

    def compiled(function: F) -> F:
        kernel = _Kernel(function, signatures)
        _KERNELS.append(kernel)
        return cast("F", kernel)

    return compiled


def _helper(function: F) -> F:
    """For functions that kernels alone call: compiled with them."""
    return cast("F", njit(**_CHECKED)(function))


@_helper
def _sink(keys: Any, ties: Any, places: Any, at: int, size: int) -> None:
    """Let the entry at ``at`` sink to where a heap of ``size`` has it, its last by (key, tie, place) on top."""
    key, tie, place = keys[at], ties[at], places[at]
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and _before(keys, ties, places, below, keys[below + 1], ties[below + 1], places[below + 1]):
            below += 1
        if not _before(keys, ties, places, below, key, tie, place):
            keys[at], ties[at], places[at] = keys[below], ties[below], places[below]
            at = below
        else:
            break
    keys[at], ties[at], places[at] = key, tie, place


@_helper
def _before(keys: Any, ties: Any, places: Any, at: int, key: float, tie: Any, place: int) -> bool:
    if keys[at] != key:
        return bool(keys[at] < key)
    if ties[at] != tie:
        return bool(ties[at] < tie)
    return bool(places[at] < place)


@_helper
def _offer(keys: Any, ties: Any, places: Any, size: int, key: float, tie: Any, place: int) -> int:
    """Keep an entry among the first of those offered so far; gives how many are held, which are a heap once all are."""
    count = keys.size
    if size < count:
        keys[size], ties[size], places[size] = key, tie, place
        size += 1
        if size == count:
            _heap(keys, ties, places, size)
    elif not _before(keys, ties, places, 0, key, tie, place):
        keys[0], ties[0], places[0] = key, tie, place
        _sink(keys, ties, places, 0, count)
    return size


@_helper
def _heap(keys: Any, ties: Any, places: Any, size: int) -> None:
    for at in range(size // 2 - 1, -1, -1):
        _sink(keys, ties, places, at, size)


@_helper
def _sorted(keys: Any, ties: Any, places: Places, size: int) -> Places:
    """The places of what was kept, the first first."""
    if size < keys.size:
        _heap(keys, ties, places, size)
    for last in range(size - 1, 0, -1):
        keys[0], keys[last] = keys[last], keys[0]
        ties[0], ties[last] = ties[last], ties[0]
        places[0], places[last] = places[last], places[0]
        _sink(keys, ties, places, 0, last)
    return places[:size]


@_helper
def _slot(table: Any, distinct: Any, value: int) -> int:
    """Where a table of places among distinct values has this one, or could take it; open addressing."""
    mask = table.size - 1
    at = ((value * 2_654_435_761) >> 12) & mask
    while table[at] >= 0 and distinct[table[at]] != value:
        at = (at + 1) & mask
    return int(at)


@_helper
def _place(table: Any, distinct: Any, value: int, size: int) -> int:
    """The value's place among the ``size`` distinct ones; a new one is put after them, at ``size``."""
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
    """What a score must exceed to be offered: what rounds to the same as the last that is kept may go before it."""
    if not 0 < size == keys.size:
        return above
    # A millionth, or as little as a float64 can tell.
    return float(max(above, -(keys[0] + max(1.0, abs(keys[0]) * 2.0**-51)) / EXACT))


@_helper
def _strongest(scores: Any, ties: Hashes, count: int, above: float) -> Places:
    count = min(max(count, 0), scores.size)
    keys, held, places = np.empty(count), np.empty(count, np.uint32), np.empty(count, np.int64)
    size, floor = 0, above if count else np.inf
    for place in range(scores.size):
        score = np.float64(scores[place])
        if floor < score < np.inf:
            size = _offer(keys, held, places, size, np.rint(score * -EXACT), ties[place], place)
            floor = _floor(keys, size, above)
    return _sorted(keys, held, places, size)


@_compiled((_FLOATS, _HASHES, _COUNT, _NUMBER), (_DOUBLES, _HASHES, _COUNT, _NUMBER))
def top_k(scores: Floats | Doubles, ties: Hashes, count: int, above: float) -> Places:
    """Places of the ``count`` greatest finite scores (C,) above ``above``, greatest first.

    Scores are compared in millionths, equal ones by ``ties`` (C,), smallest first.
    """
    return _strongest(scores, ties, count, above)


@_compiled((_FLOATS, _INTS, _BOOLS, _HASHES, _COUNT, _NUMBER))
def best_allowed(scores: Floats, items: Ints, allowed: Bools, ties: Hashes, count: int, above: float) -> Places:
    """``top_k`` of the items (C,) that are allowed; ``allowed`` and ``ties`` are by item."""
    count = min(max(count, 0), scores.size)
    keys, held, places = np.empty(count), np.empty(count, np.uint32), np.empty(count, np.int64)
    size, floor = 0, above if count else np.inf
    for place in range(scores.size):
        score = np.float64(scores[place])
        if floor < score < np.inf and allowed[items[place]]:
            size = _offer(keys, held, places, size, np.rint(score * -EXACT), ties[items[place]], place)
            floor = _floor(keys, size, above)
    return _sorted(keys, held, places, size)


@_compiled((_FLOATS, _COUNT, _NUMBER))
def near_best(scores: Floats, count: int, apart: float) -> Places:
    """Rising places of all scores (C,) that a factor up to ``apart``, not below 1, may bring among the ``count`` greatest."""
    count = min(max(count, 0), scores.size)
    keys, ties, places = np.empty(count), np.zeros(count, np.uint32), np.empty(count, np.int64)
    size, floor = 0, -np.inf if count else np.inf
    for place in range(scores.size):
        score = np.float64(scores[place])
        if floor < score < np.inf:
            size = _offer(keys, ties, places, size, np.rint(score * -EXACT), np.uint32(0), place)
            floor = _floor(keys, size, -np.inf)
    least = floor / apart if floor > 0 else floor * apart
    near, size = np.empty(scores.size, np.int64), 0
    for place in range(scores.size):
        if np.float64(scores[place]) >= least:
            near[size] = place
            size += 1
    return near[:size]


@_compiled((_INTS, _BOOLS, _COUNT))
def first_allowed(items: Ints, allowed: Bools, count: int) -> Places:
    """Places of the first ``count`` allowed among these items (C,), in their order."""
    places = np.empty(min(max(count, 0), items.size), np.int64)
    size = 0
    for place in range(items.size):
        if size == places.size:
            break
        if allowed[items[place]]:
            places[size] = place
            size += 1
    return places[:size]


@_compiled((_INTS,))
def numbered(entries: Ints) -> tuple[Ints, Ints]:
    """The distinct values (C,) of entries (E,) from 0 on, as first met, and which of them each entry is (E,)."""
    distinct, which = np.empty(entries.size, np.int32), np.empty(entries.size, np.int32)
    table, count = _empty_table(entries.size), 0
    for at in range(entries.size):
        which[at] = _place(table, distinct, entries[at], count)
        count = max(count, which[at] + 1)
    return distinct[:count], which


@_compiled((_INTS, _FLOATS, _PLACES, _INTS, _FLOATS, _BOOLS, _HASHES, _COUNT))
def sum_by_item(
    items: Ints,
    scores: Floats,
    lengths: Places,
    anchors: Ints,
    weights: Floats,
    allowed: Bools,
    ties: Hashes,
    count: int,
) -> tuple[Ints, Floats, Ints]:
    """Items that several anchors lead to (C,), their scores times the anchors' weights summed, and the strongest anchor.

    The first ``lengths[0]`` of the entries (E,) are the first anchor's, and so on. Items that are not allowed are left
    out, and all but the ``count`` greatest; of anchors that give an item as much the last is the strongest.
    """
    distinct, leading = np.empty(items.size, np.int32), np.empty(items.size, np.int32)
    sums, most = np.empty(items.size, np.float32), np.empty(items.size, np.float32)
    table, size, entry = _empty_table(items.size), 0, 0
    for anchor in range(anchors.size):
        for _ in range(lengths[anchor]):
            item, score = items[entry], scores[entry] * weights[anchor]
            entry += 1
            if not allowed[item]:
                continue
            at = _place(table, distinct, item, size)
            if at == size:
                sums[at], most[at], leading[at] = np.float32(0.0), np.float32(-np.inf), -1
                size += 1
            sums[at] += score
            if score >= most[at]:
                most[at], leading[at] = score, anchors[anchor]
    if size <= count:
        return distinct[:size], sums[:size], leading[:size]
    best = _strongest(sums[:size], ties[distinct[:size]], count, -np.inf)
    return distinct[best], sums[best], leading[best]


@_compiled((_FLOATS, _PLACES, _TABLE))
def weighed(scores: Floats, lengths: Places, weights: Floats) -> Floats:
    """What each score (E,) adds by its source's weights (S, 4) of the curves of ``models.source_weights.curves``."""
    added = np.empty(scores.size, np.float32)
    entry = 0
    for source in range(lengths.size):
        linear, root, logarithm, cube = weights[source]
        for at in range(entry, entry + lengths[source]):
            score = scores[at]
            total = linear * score
            if root:
                total += root * np.sqrt(score)
            if logarithm:
                total += logarithm * (np.log(score * _STEEPNESS + np.float32(1.0)) / _LOG_STEEPNESS)
            if cube:
                total += cube * (score * score * score)
            added[at] = total
        entry += lengths[source]
    return added


@_compiled((_HASHES, _INTS, types.uint64, _NUMBER))
def noise(hashes: Hashes, items: Ints, seed: int, spread: float) -> Floats:
    """Factors from 1 - ``spread`` to 1 + ``spread`` for these items (C,): the same for the same hash and seed everywhere.

    Drawn by SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    """
    factors = np.empty(items.size, np.float32)
    for at in range(items.size):
        x = (np.uint64(hashes[items[at]]) + seed) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
        drawn = np.float32(x >> np.uint64(40)) / np.float32(2**23) - np.float32(1.0)
        factors[at] = np.float32(1.0) + np.float32(spread) * drawn
    return factors


@_compiled((_FLOATS, _INTS, _PLACES, _PLACES, _COUNT))
def table(added: Floats, columns: Ints, lengths: Places, among: Places, count: int) -> tuple[Floats, Ints]:
    """What each source adds to some (K,) of ``count`` candidates, 0 where nothing, and at which of its places (S, K), or -1.

    ``added`` and the candidates ``columns`` are by proposal (E,), of which ``lengths`` (S,) are each source's.
    """
    found = np.zeros((lengths.size, among.size), np.float32)
    places = np.full((lengths.size, among.size), np.int32(-1), np.int32)
    wanted = np.full(count, np.int32(-1), np.int32)
    for at in range(among.size):
        wanted[among[at]] = at
    entry = 0
    for source in range(lengths.size):
        for place in range(lengths[source]):
            at = wanted[columns[entry]]
            if at >= 0:
                found[source, at], places[source, at] = added[entry], place
            entry += 1
    return found, places


@_compiled((_TABLE, _INTS, _NUMBER))
def largest_shares(added: Floats, chosen: Ints, least: float) -> tuple[Ints, Ints, Doubles]:
    """Of the columns ``chosen`` (K,) of a table (S, C), the shares of their sums that reach ``least``, by column, falling.

    Gives by share the row, the place among the chosen, and the share in ten-thousandths; equal ones by row.
    """
    rows, columns = np.empty(added.shape[0] * chosen.size, np.int32), np.empty(added.shape[0] * chosen.size, np.int32)
    shares, size = np.empty(added.shape[0] * chosen.size), 0
    for place in range(chosen.size):
        whole = np.float32(0.0)
        for row in range(added.shape[0]):
            whole += added[row, chosen[place]]
        begin = size
        for row in range(added.shape[0]):
            share = added[row, chosen[place]] / whole
            if not share >= np.float32(least):
                continue
            at = size
            while at > begin and shares[at - 1] < share:
                rows[at], shares[at] = rows[at - 1], shares[at - 1]
                at -= 1
            rows[at], shares[at], columns[size] = row, share, place
            size += 1
    for at in range(size):
        shares[at] = np.rint(shares[at] * 1e4) / 1e4
    return rows[:size], columns[:size], shares[:size]


@_compiled((_DOUBLE_TABLE, _DOUBLES, _DOUBLES, _INTS, _NUMBER, _NUMBER, _NUMBER, _NUMBER))
def click_through(
    shown: Doubles,
    answered: Doubles,
    examined: Doubles,
    items: Ints,
    worth: float,
    average: float,
    prior: float,
    most: float,
) -> Floats:
    """Answers over expected impressions of these items (n,) as a multiple of ``average``, to which few are drawn.

    ``shown`` (I, B) are impressions by bucket of places, ``examined`` (B,) how often each is looked at, ``answered``
    (I,); counts are worth ``worth``. From 1 / ``most`` to ``most``; 1 where fewer than ``prior`` impressions are expected.
    """
    relative = np.ones(items.size, np.float32)
    for place in range(items.size):
        at = items[place]
        if at >= answered.size:
            continue
        expected = 0.0
        for bucket in range(examined.size):
            expected += shown[at, bucket] * examined[bucket]
        expected *= worth
        if expected >= prior:
            rate = (worth * answered[at] + prior * average) / (expected + prior)
            relative[place] = np.float32(min(max(rate / average, 1.0 / most), most))
    return relative


@_compiled((_PLACES, _INTS, _FLOATS, _PLACES, _FLOATS))
def summed_rows(indptr: Places, indices: Ints, values: Floats, rows: Places, weights: Floats) -> tuple[Ints, Floats]:
    """The columns (C,) of some weighed rows of a square sparse matrix, and the sums of what stands there; rows may repeat."""
    width = indptr.size - 1
    sums, met = np.zeros(width), np.zeros(width, np.bool_)
    columns, size = np.empty(width, np.int32), 0
    for place in range(rows.size):
        weight = weights[place]
        for entry in range(indptr[rows[place]], indptr[rows[place] + 1]):
            column = indices[entry]
            if not met[column]:
                met[column], columns[size] = True, column
                size += 1
            sums[column] += values[entry] * weight
    return columns[:size].copy(), sums[columns[:size]].astype(np.float32)


@_compiled((_PLACES, _INTS, _FLOATS, _PLACES, _FLOATS, _INTS))
def weighed_columns(
    indptr: Places, indices: Ints, values: Floats, rows: Places, weights: Floats, among: Ints
) -> Floats:
    """Some weighed rows (n,) of a sparse matrix at distinct columns ``among`` (C,), shape (n, C)."""
    slots = _empty_table(among.size)
    for place in range(among.size):
        slots[_slot(slots, among, among[place])] = place
    found = np.zeros((rows.size, among.size), np.float32)
    for place in range(rows.size):
        for entry in range(indptr[rows[place]], indptr[rows[place] + 1]):
            at = slots[_slot(slots, among, indices[entry])]
            if at >= 0:
                found[place, at] = values[entry] * weights[place]
    return found


@_compiled((_INTS, _PLACES, _DOUBLES))
def grouped(held: Ints, lengths: Places, weights: Doubles) -> tuple[Places, Doubles, Places]:
    """See ``models.session_knn.Loops``."""
    numbers, newest = np.empty(held.size, np.int64), np.empty(held.size, np.int64)
    sums, table, size, entry = np.zeros(held.size), _empty_table(held.size), 0, 0
    for place in range(lengths.size):
        for _ in range(lengths[place]):
            at = _place(table, numbers, held[entry], size)
            size = max(size, at + 1)
            sums[at] += weights[place]
            newest[at] = place
            entry += 1
    return numbers[:size], sums[:size], newest[:size]


@_compiled((_INTS, _PLACES, _INTS, _DOUBLES, _DOUBLES))
def tallied(items: Ints, lengths: Places, shared: Ints, votes: Doubles, shares: Doubles) -> tuple[Ints, Doubles]:
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
            at = _place(table, distinct, items[entry], size)
            size = max(size, at + 1)
            sums[at] += votes[neighbour] * shares[min(max(entry - middle, -far), far) + far]
        begin = end
    return distinct[:size], sums[:size]
