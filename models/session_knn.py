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

from models.structures.arrays import Doubles, Floats, Ints, are_rows, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.lists import ScoredList
from models.structures.recommender import Histories
from models.structures.sparse import changes, places
from schemas.errors import ConfigurationInvalid, Undecodable

_FAR: Final = 64
"""Maximum distance from the shared item; farther items vote equally."""
_PLACE_BITS: Final = 8
_ENTRY_BITS: Final = 32
"""Enough to number the items of all neighbours."""
LONGEST_QUERY: Final = 2**_PLACE_BITS
"""Maximum number of items of a current session that count."""

Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Voting:
    """How neighbours are found and vote. Raises ConfigurationInvalid for an invalid value."""

    sample: int = 1_000
    """m: number of newest sessions with a shared item that are compared."""
    neighbours: int = 200
    """k: number of most similar sessions, which vote."""
    last: int = 10
    """Number of newest items of the current session that count."""
    age: float = 1.0
    """An item n places before the newest counts exp(-n / age)."""
    reach: float = 5.0
    """In a neighbour, an item n places after the newest shared one has exp(-(n - 1) / reach) of its vote."""
    before: float = 0.6
    """An item n places before the newest shared one has this share of the vote of one n places after it."""
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
    """A current session: L distinct items, each at its latest place, oldest first, and their weights."""

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

    def grouped(self, held: Ints, lengths: Places, weights: Doubles) -> tuple[Places, Doubles, Places]:
        """The distinct sessions (n,), in any order, among those that hold each of L items, ``lengths`` (L,) of ``held`` (E,).

        With each the sum of its items' ``weights`` (L,), and the place of the last of them.
        """

    def tallied(
        self, items: Ints, lengths: Places, shared: Ints, votes: Doubles, shares: Doubles
    ) -> tuple[Ints, Doubles]:
        """The distinct items (n,), in any order, that neighbours hold, ``lengths`` (N,) of ``items`` (E,), and their votes.

        Of a neighbour's vote (N,) each item has the one of ``shares``, whose middle is the shared item's (N,), by its signed
        distance from that. Items below 0 are left out.
        """


class Sessions(Protocol):
    """Past sessions by number. Each has distinct items, ordered by their latest places."""

    def __len__(self) -> int:
        """Returns the number of sessions S."""

    def frequency(self, item: int) -> int:
        """Returns the number of sessions with this item."""

    def holding(self, item: int) -> Ints:
        """Returns the numbers of sessions with this item: at least the newest m, in any order."""

    def times_of(self, numbers: Places) -> Doubles:
        """Returns the end times of these sessions in seconds since 1970, shape as ``numbers``."""

    def newest(self, numbers: Places, most: int) -> Places:
        """Returns the places in ``numbers`` of the last ended sessions, at most ``most``, the newest last.

        Sessions with equal end times have the same order in every process.
        """

    def items_of(self, numbers: Places) -> tuple[Places, Ints]:
        """Returns the number of items of each session, and the items, one session after the other."""


class _Shared(NamedTuple):
    """Sessions that share an item with a query; all arrays have one shape."""

    numbers: Places
    times: Doubles
    similarities: Doubles
    newest: Places
    """Place in the query of the newest shared item."""
    of: Places
    """Number of the index that has the session."""

    def take(self, places: Places) -> _Shared:
        """Returns the sessions of these places, in this order."""
        parts: Any = (part[places] for part in self)
        return _Shared(*parts)


def query_of(items: Ints, voting: Voting) -> Query:
    """Returns the query of a session, given oldest first. A repeated item stands at its latest place."""
    newest_first = dict.fromkeys(items[::-1].tolist())
    chosen = np.array(list(newest_first)[: voting.last][::-1], dtype=np.int32)
    return Query(chosen, faded(voting.age, chosen.size))


class NumpyLoops:
    """The loops as numpy operations over whole arrays."""

    def grouped(self, held: Ints, lengths: Places, weights: Doubles) -> tuple[Places, Doubles, Places]:
        """See ``Loops``."""
        # One integer sort of session and place groups the sessions, the newest shared item last.
        key = (held.astype(np.int64) << _PLACE_BITS) | np.arange(lengths.size).repeat(lengths)
        key.sort()
        numbers, at_place = key >> _PLACE_BITS, key & (LONGEST_QUERY - 1)
        begins = changes(numbers).nonzero()[0]
        similarities = np.add.reduceat(weights[at_place], begins)
        return numbers[begins], similarities, at_place[np.append(begins[1:], key.size) - 1]

    def tallied(
        self, items: Ints, lengths: Places, shared: Ints, votes: Doubles, shares: Doubles
    ) -> tuple[Ints, Doubles]:
        """See ``Loops``."""
        place, far = np.arange(items.size), shares.size // 2
        # Items of a session are distinct, so each neighbour has its newest shared item at one place.
        shared_places = (items == shared.repeat(lengths)).nonzero()[0]
        distance = (place - shared_places.repeat(lengths)).clip(-far, far)
        parts = votes.repeat(lengths) * shares[distance + far]
        known = items >= 0
        if not known.any():
            return items[:0], parts[:0]
        # An integer sort of item and place is faster than an argsort.
        keys = (items[known].astype(np.int64) << _ENTRY_BITS) | known.nonzero()[0]
        keys.sort()
        entries = keys & (2**_ENTRY_BITS - 1)
        begins = changes(items[entries]).nonzero()[0]
        return items[entries[begins]], np.add.reduceat(parts[entries], begins)


_NUMPY: Final = NumpyLoops()


def votes(indexes: Sequence[Sessions], query: Query, voting: Voting, loops: Loops = _NUMPY) -> Votes:
    """Returns the votes of a session's neighbours, including its own items.

    The result equals that of one index of all sessions, with equal times in the order of the indexes.
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
    every = (
        _Shared(*(np.concatenate(part) for part in zip(*shared_sessions, strict=True)))
        if len(shared_sessions) > 1
        else shared_sessions[0]
    )
    newest_first = np.argsort(every.times, kind="stable")[: -voting.sample - 1 : -1]
    similarities = every.similarities[newest_first]
    best = newest_first[np.argsort(-similarities, kind="stable")[: voting.neighbours]]
    return every.take(best)


@cache
def _shares(voting: Voting) -> Doubles:
    """Returns an item's share of a vote by its signed distance from the shared item, from -_FAR to _FAR."""
    after = np.exp(-np.arange(_FAR) / voting.reach)
    return np.concatenate((voting.before * after[::-1], [voting.same], after))


@cache
def faded(age: float, length: int) -> Floats:
    """Returns weights of a session's items, oldest first: exp(-n / age) for the item n places before the newest."""
    weights = np.exp(-np.arange(length)[::-1] / age).astype(np.float32)
    weights.flags.writeable = False
    return weights


@dataclass(frozen=True, eq=False)
class SessionKnn:
    """An index of S sessions over I items, sessions numbered from the oldest to the newest.

    Session s has the distinct items ``items[indptr[s]:indptr[s + 1]]``, ordered by their latest places, and ended at
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
        """Returns the index of sessions, given oldest first, each with distinct items ordered by their latest places."""
        session = np.repeat(np.arange(times.size), np.diff(indptr))
        order = np.lexsort((-session, items))
        counts = np.bincount(items, minlength=len(item_ids))
        place = np.arange(items.size) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = np.concatenate(([0], np.cumsum(np.minimum(counts, voting.sample))))
        postings = session[order][place < voting.sample]
        return cls(item_ids, indptr, items, times, starts, postings.astype(np.int32), voting)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    @cached_property
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

    def times_of(self, numbers: Places) -> Doubles:
        """See ``Sessions``."""
        return self.times[numbers]

    def newest(self, numbers: Places, most: int) -> Places:
        """See ``Sessions``. Numbers ascend with time."""
        return np.argsort(numbers)[-most:]

    def items_of(self, numbers: Places) -> tuple[Places, Ints]:
        """See ``Sessions``."""
        begins = self.indptr[numbers]
        lengths = self.indptr[numbers + 1] - begins
        return lengths, self.items[places(begins, lengths)]

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

    def times_of(self, numbers: Places) -> Doubles:
        """See ``Sessions``."""
        return self.sessions.times_of(numbers)

    def newest(self, numbers: Places, most: int) -> Places:
        """See ``Sessions``."""
        return self.sessions.newest(numbers, most)

    def items_of(self, numbers: Places) -> tuple[Places, Ints]:
        """See ``Sessions``."""
        lengths, items = self.sessions.items_of(numbers)
        outer: Ints = self.outer[items]
        return lengths, outer
