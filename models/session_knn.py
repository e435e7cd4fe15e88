"""Session neighbours: what people went on to in the recent sessions that are most like this one.

VMIS-kNN of Kersbergen, Sprangers and Schelter, "Serenade", SIGMOD 2022: of the m newest sessions that share an item
with the evolving one, the k most similar vote for their items. A vote falls with the distance of an item from the
newest shared one, as in STAN (Garg et al., SIGIR 2019). Several indexes are asked as if they were one, so that
sessions of this minute stand in a small ``models.session_tail`` beside the index of last night.
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
"""Places: an item this far from the shared one or farther votes alike."""
_PLACE_BITS: Final = 8
_ENTRY_BITS: Final = 32
"""Enough to number the items of all neighbours."""
LONGEST_QUERY: Final = 2**_PLACE_BITS
"""Items of an evolving session that can count."""

Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Voting:
    """How neighbours are found and heard; raises ConfigurationInvalid where a value cannot work."""

    sample: int = 1_000
    """m: the newest sessions with a shared item that are looked at."""
    neighbours: int = 200
    """k: the most similar of those, which vote."""
    last: int = 10
    """Newest items of the evolving session that count."""
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
    """A neighbour of n items has n ** -lengths of its vote: longer sessions say less of each item."""

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
    """An evolving session: L distinct items, each at its latest place, oldest first, and how much each counts."""

    items: Ints
    """(L,) positions among the indexes' items, L at most LONGEST_QUERY."""
    weights: Floats
    """(L,) above 0."""


class Votes(NamedTuple):
    """Items that neighbours voted for, each once, with scores above 0, both (n,)."""

    items: Ints
    scores: Floats


class Loops(Protocol):
    """What voting does over many entries: NumPy's here, machine code where answers are made."""

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
    """Past sessions by number: each its distinct items, ordered by their latest places."""

    def __len__(self) -> int:
        """S, how many there are."""

    def frequency(self, item: int) -> int:
        """How many of them have this item."""

    def holding(self, item: int) -> Ints:
        """Numbers of sessions with this item: at least the newest m of them, in any order."""

    def times_of(self, numbers: Places) -> Doubles:
        """When these sessions ended: seconds since 1970, shape as ``numbers``."""

    def newest(self, numbers: Places, most: int) -> Places:
        """Where in ``numbers`` the sessions stand that ended last, at most so many, the newest last.

        Sessions that ended at once stand in an order that is the same in every process.
        """

    def items_of(self, numbers: Places) -> tuple[Places, Ints]:
        """How many items each of these sessions has, and their items, one session after the other."""


class _Shared(NamedTuple):
    """Sessions that share an item with a query, all of one shape."""

    numbers: Places
    times: Doubles
    similarities: Doubles
    newest: Places
    """Place in the query of the newest shared item."""
    of: Places
    """Which index a session is in."""

    def at(self, places: Places) -> _Shared:
        """These of them, in this order."""
        parts: Any = (part[places] for part in self)
        return _Shared(*parts)


def query_of(items: Ints, voting: Voting) -> Query:
    """The newest items of a session, given oldest first; of an item that comes again the latest place counts."""
    newest_first = dict.fromkeys(items[::-1].tolist())
    chosen = np.array(list(newest_first)[: voting.last][::-1], dtype=np.int32)
    return Query(chosen, faded(voting.age, chosen.size))


class NumpyLoops:
    """The loops as passes over whole arrays."""

    def grouped(self, held: Ints, lengths: Places, weights: Doubles) -> tuple[Places, Doubles, Places]:
        """See ``Loops``."""
        # One sort of whole numbers made of session and place groups the sessions, the newest shared item last.
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
        # Items of a session are distinct, so that each neighbour holds its newest shared one at one place.
        at = (items == shared.repeat(lengths)).nonzero()[0]
        distance = (place - at.repeat(lengths)).clip(-far, far)
        parts = votes.repeat(lengths) * shares[distance + far]
        known = items >= 0
        if not known.any():
            return items[:0], parts[:0]
        # A sort of whole numbers made of item and place is faster than one that tells the places.
        keys = (items[known].astype(np.int64) << _ENTRY_BITS) | known.nonzero()[0]
        keys.sort()
        entries = keys & (2**_ENTRY_BITS - 1)
        begins = changes(items[entries]).nonzero()[0]
        return items[entries[begins]], np.add.reduceat(parts[entries], begins)


_NUMPY: Final = NumpyLoops()


def votes(indexes: Sequence[Sessions], query: Query, voting: Voting, loops: Loops = _NUMPY) -> Votes:
    """What the neighbours of a session vote for, the session's own items included.

    Exact over several indexes: as one index of all their sessions would answer, equal times in the indexes' order.
    """
    asked = _by_rarity(indexes, query, voting.rarity)
    found = [_shared(index, at, asked, voting.sample, loops) for at, index in enumerate(indexes)]
    nearest = _nearest(found, voting)
    heard = nearest.at(np.argsort(nearest.of, kind="stable"))
    held = [index.items_of(heard.numbers[heard.of == at]) for at, index in enumerate(indexes)]
    lengths, items = (np.concatenate(part) for part in zip(*held, strict=True))
    weights = heard.similarities
    if voting.lengths:
        weights = weights * lengths.astype(np.float64) ** -voting.lengths
    voted, scores = loops.tallied(items, lengths, query.items[heard.newest], weights, _shares(voting))
    above = (scores > 0).nonzero()[0]
    return Votes(voted[above], scores[above].astype(np.float32))


def _by_rarity(indexes: Sequence[Sessions], query: Query, rarity: float) -> Query:
    """The query whose items count the more, the fewer sessions have them."""
    if not rarity:
        return query
    frequencies = [sum(index.frequency(item) for index in indexes) for item in query.items.tolist()]
    rarities = np.log1p(sum(map(len, indexes)) / np.maximum(1.0, frequencies)) ** rarity
    return query._replace(weights=(query.weights * rarities).astype(np.float32))


def _shared(index: Sessions, at: int, query: Query, sample: int, loops: Loops) -> _Shared:
    """The newest sessions of one index that share an item, oldest first."""
    holding = [index.holding(item) for item in query.items.tolist()]
    held = np.concatenate([*holding, np.empty(0, dtype=np.int32)])
    if not held.size:
        nothing = np.empty(0, dtype=np.int64)
        return _Shared(nothing, np.empty(0), np.empty(0), nothing, nothing)
    lengths = np.array([each.size for each in holding], np.int64)
    numbers, similarities, newest = loops.grouped(held, lengths, query.weights.astype(np.float64))
    everywhere = _Shared(numbers, index.times_of(numbers), similarities, newest, np.full(numbers.size, at))
    return everywhere.at(index.newest(numbers, sample))


def _nearest(found: Sequence[_Shared], voting: Voting) -> _Shared:
    """The most similar of the newest over all indexes, best first; of equally similar ones the newest."""
    every = _Shared(*(np.concatenate(part) for part in zip(*found, strict=True))) if len(found) > 1 else found[0]
    newest_first = np.argsort(every.times, kind="stable")[: -voting.sample - 1 : -1]
    similarities = every.similarities[newest_first]
    best = newest_first[np.argsort(-similarities, kind="stable")[: voting.neighbours]]
    return every.at(best)


@cache
def _shares(voting: Voting) -> Doubles:
    """Of a neighbour's vote, the share of an item by its signed distance from the shared one, from -_FAR to _FAR."""
    after = np.exp(-np.arange(_FAR) / voting.reach)
    return np.concatenate((voting.before * after[::-1], [voting.same], after))


@cache
def faded(age: float, length: int) -> Floats:
    """Weights of a session's items, oldest first: exp(-n / age) for the one n places before the newest."""
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
        """The index of sessions given oldest first, each its distinct items ordered by their latest places."""
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
        """The item's position, or None where it is not known."""
        return self._index.get(item_id)

    def __len__(self) -> int:
        return self.times.size

    def frequency(self, item: int) -> int:
        """See ``Sessions``."""
        return int(self._frequencies[item]) if item < len(self.item_ids) else 0

    def holding(self, item: int) -> Ints:
        """See ``Sessions``; none for a position beyond the index's items."""
        if item >= len(self.item_ids):
            return self.postings[:0]
        return self.postings[self.starts[item] : self.starts[item + 1]]

    def times_of(self, numbers: Places) -> Doubles:
        """See ``Sessions``."""
        return self.times[numbers]

    def newest(self, numbers: Places, most: int) -> Places:
        """See ``Sessions``; they are numbered from the oldest to the newest."""
        return np.argsort(numbers)[-most:]

    def items_of(self, numbers: Places) -> tuple[Places, Ints]:
        """See ``Sessions``."""
        begins = self.indptr[numbers]
        lengths = self.indptr[numbers + 1] - begins
        return lengths, self.items[places(begins, lengths)]

    def score_histories(self, histories: Histories) -> Floats:
        """Every item's score for each person, shape (n, I), from the newest items of the history alone."""
        scores = np.zeros((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for row in range(scores.shape[0]):
            found = votes((self,), query_of(histories.row(row)[0], self.voting), self.voting)
            scores[row, found.items] = found.scores
        return scores

    def similar(self, item_id: str, count: int) -> ScoredList:
        """What neighbours of a session of this one item vote for, without itself; none where it is not known."""
        i = self._index.get(item_id)
        if i is None:
            return ScoredList()
        found = votes((self,), query_of(np.array([i], dtype=np.int32), self.voting), self.voting)
        others = found.items != i
        return ScoredList.best([self.item_ids[j] for j in found.items[others].tolist()], found.scores[others], count)

    def save(self) -> bytes:
        """The model as bytes."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self)[1:-1]}
        voting = np.array(astuple(self.voting), dtype=np.float64)
        return pack(self.kind, arrays | {"voting": voting} | pack_ids("items", self.item_ids))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what ``save`` wrote; raises Undecodable."""
        arrays = unpack(cls.kind, data)
        values = arrays["voting"].tolist()
        read = {
            each.name: (int(v) if each.type == "int" else v) for each, v in zip(fields(Voting), values, strict=True)
        }
        parts: dict[str, Any] = {each.name: arrays[each.name] for each in fields(cls)[1:-1]}
        return cls(unpack_ids("items", arrays), **parts, voting=Voting(**read))


@dataclass(frozen=True, eq=False)
class Renumbered:
    """Sessions whose items go by other numbers outside, such as positions in a catalogue."""

    sessions: Sessions
    outer: Ints
    """By inner number; -1 for an item that is not there outside, which gets no votes."""
    inner: Ints
    """By outer number; -1 for an item that no session has."""

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
