"""Session kNN: items of the recent sessions that are most similar to the current one.

VMIS-kNN of Kersbergen, Sprangers and Schelter, "Serenade", SIGMOD 2022: of the m newest sessions that share an item
with the current one, the k most similar vote for their items. A vote falls with the distance of an item from the
newest shared one, as in STAN (Garg et al., SIGIR 2019). Several indexes are queried as one: the trained
index, and a small ``models.session_tail`` with the newest sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache, cached_property
from typing import Any, ClassVar, Final, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Doubles, Floats, Ints, Longs, are_rows, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.lists import ScoredList
from models.structures.prepared import prepared
from models.structures.recommender import Histories
from models.structures.sparse import changes, row_positions
from schemas.errors import ConfigurationInvalid, Undecodable

_FAR: Final = 64
"""Maximum distance from the shared item; farther items vote equally."""
_POSITION_BITS: Final = 8
_ENTRY_BITS: Final = 32
"""Enough to number the items of all neighbours."""
LONGEST_QUERY: Final = 2**_POSITION_BITS
"""Maximum number of items of a current session that count."""


@dataclass(frozen=True, kw_only=True)
class Voting:
    """Parameters of the search for neighbours and of their votes. Raises ConfigurationInvalid for an invalid value."""

    sample: int = 1_000
    """m: number of newest sessions with a shared item that are compared."""
    neighbours: int = 200
    """k: number of most similar sessions, which vote."""
    last: int = 10
    """Number of newest items of the current session that count."""
    age: float = 1.0
    """An item n positions before the newest counts exp(-n / age)."""
    reach: float = 5.0
    """In a neighbour, an item n positions after the newest shared one has exp(-(n - 1) / reach) of its vote."""
    before: float = 0.6
    """An item n positions before the newest shared one has this share of the vote of one n positions after it."""
    same: float = 4.0
    """The share of the vote that the shared item itself has."""
    rarity: float = 2.0
    """An item in n of S sessions counts ln(1 + S / n) ** rarity in finding neighbours; at 0 all items count alike."""
    lengths: float = 0.25
    """A neighbour of n items has n ** -lengths of its vote: longer sessions say less about each item."""

    def __post_init__(self) -> None:
        if self.sample < 1 or self.neighbours < 1 or not 1 <= self.last <= LONGEST_QUERY:
            raise ConfigurationInvalid(
                f"sample and neighbours of session neighbours must be above 0, last from 1 to {LONGEST_QUERY}"
            )
        if not (self.age > 0 and self.reach > 0 and min(self.before, self.same, self.rarity, self.lengths) >= 0):
            raise ConfigurationInvalid(
                "age and reach of session neighbours must be above 0, before, same, rarity and lengths not below"
            )


class Query(NamedTuple):
    """A current session: L distinct items, each at its latest position, oldest first, and their weights."""

    items: Ints
    """(L,) positions among the indexes' items, L at most LONGEST_QUERY."""
    weights: Floats
    """(L,) above 0."""


class Votes(NamedTuple):
    """Distinct items with votes (n,), and their scores above 0 (n,)."""

    items: Ints
    scores: Floats


class Loops(Protocol):
    """The inner loops of voting: NumPy here, compiled code in serving."""

    def grouped(self, held: Ints, lengths: Longs, weights: Doubles) -> tuple[Longs, Doubles, Longs]:
        """Groups the postings of a query's items by session.

        ``held`` (E,) lists the sessions of each of L items, one item after the other, ``lengths`` (L,) of them each. Returns
        the n distinct sessions in any order. For each, it returns the sum of the ``weights`` (L,) of its items, and the
        query position of the last of them.
        """

    def tallied(
        self, items: Ints, lengths: Longs, shared: Ints, votes: Doubles, shares: Doubles
    ) -> tuple[Ints, Doubles]:
        """Sums the votes of N neighbours by item.

        ``items`` (E,) lists the items of each neighbour, one neighbour after the other, ``lengths`` (N,) of them each. An item
        gets a share of its neighbour's vote, ``votes`` (N,). The share depends on its signed distance from the neighbour's
        shared item, ``shared`` (N,): distance 0 is the middle of ``shares``. Items below 0 are left out. Returns the n
        distinct items in any order, and their votes.
        """


class Sessions(Protocol):
    """Past sessions by number. Each has distinct items, ordered by their latest positions."""

    def __len__(self) -> int:
        """Returns the number of sessions S."""

    def frequency(self, item: int) -> int:
        """Returns the number of sessions with this item."""

    def holding(self, item: int) -> Ints:
        """Returns the numbers of sessions with this item: at least the newest m, in any order."""

    def times_of(self, numbers: Longs) -> Doubles:
        """Returns the end times of these sessions in seconds since 1970, shape as ``numbers``."""

    def newest(self, numbers: Longs, most: int) -> Longs:
        """Returns the positions in ``numbers`` of the last ended sessions, at most ``most``, the newest last.

        Sessions with equal end times have the same order in every process.
        """

    def items_of(self, numbers: Longs) -> tuple[Longs, Ints]:
        """Returns the number of items of each session, and the items, one session after the other."""


class _Shared(NamedTuple):
    """Sessions that share an item with a query; all arrays have one shape."""

    numbers: Longs
    times: Doubles
    similarities: Doubles
    newest: Longs
    """Place in the query of the newest shared item."""
    of: Longs
    """Number of the index that has the session."""

    def take(self, positions: Longs) -> _Shared:
        """Returns the sessions of these positions, in this order."""
        parts: Any = (part[positions] for part in self)
        return _Shared(*parts)


def query_of(items: Ints, voting: Voting) -> Query:
    """Returns the query of a session, given oldest first. A repeated item stands at its latest position."""
    newest_first = dict.fromkeys(items[::-1].tolist())
    chosen = np.array(list(newest_first)[: voting.last][::-1], dtype=np.int32)
    return Query(chosen, faded(voting.age, chosen.size))


class NumpyLoops:
    """The loops as numpy operations over whole arrays."""

    def grouped(self, held: Ints, lengths: Longs, weights: Doubles) -> tuple[Longs, Doubles, Longs]:
        """See ``Loops``."""
        # One integer sort of session and position groups the sessions, the newest shared item last.
        key = (held.astype(np.int64) << _POSITION_BITS) | np.arange(lengths.size).repeat(lengths)
        key.sort()
        numbers, query_positions = key >> _POSITION_BITS, key & (LONGEST_QUERY - 1)
        begins = changes(numbers).nonzero()[0]
        similarities = np.add.reduceat(weights[query_positions], begins)
        return numbers[begins], similarities, query_positions[np.append(begins[1:], key.size) - 1]

    def tallied(
        self, items: Ints, lengths: Longs, shared: Ints, votes: Doubles, shares: Doubles
    ) -> tuple[Ints, Doubles]:
        """See ``Loops``."""
        position, far = np.arange(items.size), shares.size // 2
        # Items of a session are distinct, so each neighbour has its newest shared item at one position.
        shared_positions = (items == shared.repeat(lengths)).nonzero()[0]
        distance = (position - shared_positions.repeat(lengths)).clip(-far, far)
        parts = votes.repeat(lengths) * shares[distance + far]
        known = items >= 0
        if not known.any():
            return items[:0], parts[:0]
        # An integer sort of item and position is faster than an argsort.
        keys = (items[known].astype(np.int64) << _ENTRY_BITS) | known.nonzero()[0]
        keys.sort()
        entries = keys & (2**_ENTRY_BITS - 1)
        begins = changes(items[entries]).nonzero()[0]
        return items[entries[begins]], np.add.reduceat(parts[entries], begins)


_NUMPY: Final = NumpyLoops()


def votes(indexes: Sequence[Sessions], query: Query, voting: Voting, loops: Loops = _NUMPY) -> Votes:
    """Returns the votes of a session's neighbours, including its own items.

    One index of all sessions would give the same result. Sessions with equal times have the order of the indexes.
    """
    weighted_query = _by_rarity(indexes, query, voting.rarity)
    shared_sessions = [
        _shared(index, number, weighted_query, voting.sample, loops) for number, index in enumerate(indexes)
    ]
    nearest = _nearest(shared_sessions, voting)
    voters = nearest.take(np.argsort(nearest.of, kind="stable"))
    held = [index.items_of(voters.numbers[voters.of == number]) for number, index in enumerate(indexes)]
    lengths, items = (np.concatenate(part) for part in zip(*held, strict=True))
    weights = voters.similarities
    if voting.lengths:
        weights = weights * lengths.astype(np.float64) ** -voting.lengths
    voted, scores = loops.tallied(items, lengths, query.items[voters.newest], weights, _shares(voting))
    above = (scores > 0).nonzero()[0]
    return Votes(voted[above], scores[above].astype(np.float32))


def _by_rarity(indexes: Sequence[Sessions], query: Query, rarity: float) -> Query:
    """Returns the query with weights multiplied by item rarity."""
    if not rarity:
        return query
    frequencies = [sum(index.frequency(item) for index in indexes) for item in query.items.tolist()]
    rarities = np.log1p(sum(map(len, indexes)) / np.maximum(1.0, frequencies)) ** rarity
    return query._replace(weights=(query.weights * rarities).astype(np.float32))


def _shared(index: Sessions, number: int, query: Query, sample: int, loops: Loops) -> _Shared:
    """Returns the newest sessions of one index that share an item, oldest first."""
    holding = [index.holding(item) for item in query.items.tolist()]
    held = np.concatenate([*holding, np.empty(0, dtype=np.int32)])
    if not held.size:
        nothing = np.empty(0, dtype=np.int64)
        return _Shared(nothing, np.empty(0), np.empty(0), nothing, nothing)
    lengths = np.array([posting.size for posting in holding], np.int64)
    numbers, similarities, newest = loops.grouped(held, lengths, query.weights.astype(np.float64))
    everywhere = _Shared(numbers, index.times_of(numbers), similarities, newest, np.full(numbers.size, number))
    return everywhere.take(index.newest(numbers, sample))


def _nearest(shared_sessions: Sequence[_Shared], voting: Voting) -> _Shared:
    """Returns the most similar of the newest sessions over all indexes, best first, ties by newest."""
    all_shared = (
        _Shared(*(np.concatenate(part) for part in zip(*shared_sessions, strict=True)))
        if len(shared_sessions) > 1
        else shared_sessions[0]
    )
    newest_first = np.argsort(all_shared.times, kind="stable")[: -voting.sample - 1 : -1]
    similarities = all_shared.similarities[newest_first]
    best = newest_first[np.argsort(-similarities, kind="stable")[: voting.neighbours]]
    return all_shared.take(best)


@cache
def _shares(voting: Voting) -> Doubles:
    """Returns an item's share of a vote by its signed distance from the shared item, from -_FAR to _FAR."""
    after = np.exp(-np.arange(_FAR) / voting.reach)
    return np.concatenate((voting.before * after[::-1], [voting.same], after))


@cache
def faded(age: float, length: int) -> Floats:
    """Returns weights of a session's items, oldest first: exp(-n / age) for the item n positions before the newest."""
    weights = np.exp(-np.arange(length)[::-1] / age).astype(np.float32)
    weights.flags.writeable = False
    return weights


@dataclass(frozen=True, eq=False)
class SessionKnn:
    """An index of S sessions over I items, sessions numbered from the oldest to the newest.

    Session s has the distinct items ``items[indptr[s]:indptr[s + 1]]``, ordered by their latest positions, and ended at
    ``times[s]`` (seconds since 1970). Item i is in the sessions ``postings[starts[i]:starts[i + 1]]``, newest first,
    at most ``voting.sample`` of them.
    """

    kind: ClassVar[str] = "session-knn"

    item_ids: tuple[str, ...]
    indptr: NDArray[np.int64]
    """(S + 1,)."""
    items: Ints
    times: Doubles
    """(S,) ascending."""
    starts: NDArray[np.int64]
    """(I + 1,)."""
    postings: Ints
    voting: Voting = Voting()

    def __post_init__(self) -> None:
        sessions, entries = self.times.size, (self.items.size,)
        object.__setattr__(self, "indptr", frozen(self.indptr, np.int64, (sessions + 1,)))
        object.__setattr__(self, "items", frozen(self.items, np.int32, entries))
        object.__setattr__(self, "times", frozen(self.times, np.float64, (sessions,)))
        object.__setattr__(self, "starts", frozen(self.starts, np.int64, (len(self.item_ids) + 1,)))
        object.__setattr__(self, "postings", frozen(self.postings, np.int32, (self.postings.size,)))
        if not (
            are_rows(self.indptr, self.items, len(self.item_ids)) and are_rows(self.starts, self.postings, sessions)
        ):
            raise Undecodable("not a stored model: its sessions are not rows over its items")

    @classmethod
    def of(
        cls, item_ids: tuple[str, ...], indptr: NDArray[np.int64], items: Ints, times: Doubles, voting: Voting
    ) -> Self:
        """Returns the index of sessions, given oldest first, each with distinct items ordered by their latest positions."""
        session = np.repeat(np.arange(times.size), np.diff(indptr))
        order = np.lexsort((-session, items))
        counts = np.bincount(items, minlength=len(item_ids))
        position = np.arange(items.size) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = np.concatenate(([0], np.cumsum(np.minimum(counts, voting.sample))))
        postings = session[order][position < voting.sample]
        return cls(item_ids, indptr, items, times, starts, postings.astype(np.int32), voting)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    @prepared
    def _frequencies(self) -> NDArray[np.intp]:
        return np.bincount(self.items, minlength=len(self.item_ids))

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self._index.get(item_id)

    def __len__(self) -> int:
        return self.times.size

    def frequency(self, item: int) -> int:
        """See ``Sessions``."""
        return int(self._frequencies[item]) if item < len(self.item_ids) else 0

    def holding(self, item: int) -> Ints:
        """See ``Sessions``. Empty for a position beyond the items of the index."""
        if item >= len(self.item_ids):
            return self.postings[:0]
        return self.postings[self.starts[item] : self.starts[item + 1]]

    def times_of(self, numbers: Longs) -> Doubles:
        """See ``Sessions``."""
        return self.times[numbers]

    def newest(self, numbers: Longs, most: int) -> Longs:
        """See ``Sessions``. Numbers ascend with time."""
        return np.argsort(numbers)[-most:]

    def items_of(self, numbers: Longs) -> tuple[Longs, Ints]:
        """See ``Sessions``."""
        begins = self.indptr[numbers]
        lengths = self.indptr[numbers + 1] - begins
        return lengths, self.items[row_positions(begins, lengths)]

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I), from the newest items of the history alone."""
        scores = np.zeros((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for row in range(scores.shape[0]):
            voted = votes((self,), query_of(histories.row(row)[0], self.voting), self.voting)
            scores[row, voted.items] = voted.scores
        return scores

    def similar(self, item_id: str, count: int) -> ScoredList:
        """Returns the votes for a session of this one item, without itself. Empty if it is unknown."""
        i = self._index.get(item_id)
        if i is None:
            return ScoredList()
        voted = votes((self,), query_of(np.array([i], dtype=np.int32), self.voting), self.voting)
        others = voted.items != i
        return ScoredList.best([self.item_ids[j] for j in voted.items[others].tolist()], voted.scores[others], count)

    def save(self) -> bytes:
        """Returns the model as bytes."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)[1:-1]}
        voting = np.array(astuple(self.voting), dtype=np.float64)
        return pack(self.kind, arrays | {"voting": voting} | pack_ids("items", self.item_ids))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        values = arrays["voting"].tolist()
        read = {
            field.name: (int(v) if field.type == "int" else v) for field, v in zip(fields(Voting), values, strict=True)
        }
        parts: dict[str, Any] = {field.name: arrays[field.name] for field in fields(cls)[1:-1]}
        return cls(unpack_ids("items", arrays), **parts, voting=Voting(**read))


@dataclass(frozen=True, eq=False)
class Renumbered:
    """Sessions with items renumbered, for example by their positions in a catalogue."""

    sessions: Sessions
    outer: Ints
    """Outer number by inner number. -1 for an item without one, which gets no votes."""
    inner: Ints
    """Inner number by outer number. -1 for an item that no session has."""

    def __len__(self) -> int:
        return len(self.sessions)

    def frequency(self, item: int) -> int:
        """See ``Sessions``."""
        inner = self._inner(item)
        return self.sessions.frequency(inner) if inner >= 0 else 0

    def holding(self, item: int) -> Ints:
        """See ``Sessions``."""
        inner = self._inner(item)
        return self.sessions.holding(inner) if inner >= 0 else np.empty(0, dtype=np.int32)

    def _inner(self, item: int) -> int:
        return int(self.inner[item]) if item < self.inner.size else -1

    def times_of(self, numbers: Longs) -> Doubles:
        """See ``Sessions``."""
        return self.sessions.times_of(numbers)

    def newest(self, numbers: Longs, most: int) -> Longs:
        """See ``Sessions``."""
        return self.sessions.newest(numbers, most)

    def items_of(self, numbers: Longs) -> tuple[Longs, Ints]:
        """See ``Sessions``."""
        lengths, items = self.sessions.items_of(numbers)
        outer: Ints = self.outer[items]
        return lengths, outer
