"""What everybody does, merged over partitions: counts, trends, and what follows what.

A partition's changed cells are merged beside what is being read, then taken over in one step, so a request sees
the aggregates of one version. Order under forward decay does not depend on ``now``: top lists are made here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self

import numpy as np

from models.structures.arrays import Doubles, Floats, Ints
from schemas.ports import SignalChanges
from serving.arrays.top_k import reciprocal_rank_fusion, top_k
from serving.state.catalogue import Catalogue
from serving.state.context_counts import ContextCounts
from serving.state.covisits import NO_COVISITS, CovisitedItems, CovisitIndex, by_position
from serving.state.exposure import Exposed, Exposure
from serving.state.live_sessions import SESSIONS, LiveSessions
from signals import aggregates, baskets, context, covisits, exposure, popularity, queries, tail
from signals.aggregates import Counters
from signals.baskets import BasketCounters
from signals.covisits import CovisitCounters
from signals.decay import NOTHING
from signals.popularity import HALF_LIVES
from signals.tail import TailChunk

TOP: Final = 2_000
"""Length of the top lists."""


class Rising(NamedTuple):
    """Positions (n,) by decayed counts, greatest first, with log2(1 + count) of each (n,) as of one whole second."""

    items: Ints
    logs: Floats
    second: float


class _Orders(NamedTuple):
    """Top lists of positions, best first."""

    popular: Ints
    trending: Ints
    rising: tuple[Ints, ...]
    """By half-life."""


class Arranged(NamedTuple):
    """Counts with the top lists by them; what ``adopt`` takes over."""

    counts: Doubles
    """(n,)."""
    decayed: Doubles
    """(H, n), in log space."""
    orders: _Orders


class Merged(NamedTuple):
    """Changed cells, merged over all partitions, ready to be taken over; by position."""

    decayed: dict[int, tuple[float, ...]]
    counts: dict[int, float]
    followers: dict[int, tuple[CovisitCounters, ...]]
    """Of every partition that has any; tuples, which the garbage collector soon passes over."""
    companions: dict[int, tuple[BasketCounters, ...]]
    exposed: dict[int, Exposed]
    contexts: dict[int, dict[str, float]]
    tails: dict[int, list[TailChunk]]
    """By partition."""

    @classmethod
    def nothing(cls) -> Self:
        """An empty one, to merge into."""
        return cls({}, {}, {}, {}, {}, {}, {})


class Aggregates:
    """The merged aggregates, by position in the catalogue."""

    def __init__(
        self, catalogue: Catalogue, partitions: int, weights: Mapping[str, float], sessions: int = SESSIONS
    ) -> None:
        self._catalogue, self._weights = catalogue, weights
        # Kinds that have an index of their own. Any other kind is merged when it is read.
        self._indexers: Mapping[str, Callable[[int, str, str, Merged], None]] = {
            popularity.KIND.name: self._index_popularity,
            covisits.KIND.name: self._index_followers,
            baskets.KIND.name: self._index_companions,
            tail.KIND.name: self._index_tail,
            exposure.KIND.name: self._index_exposure,
            context.KIND.name: self._index_context,
            queries.KIND.name: self._forget_searches,
        }
        self.sessions = LiveSessions(catalogue, sessions)
        """The newest sessions of everybody, for session neighbours."""
        self.exposure = Exposure()
        """Clicks over impressions."""
        self.contexts = ContextCounts(catalogue)
        """What trends where and when."""
        self._counters: list[dict[str, Counters]] = [{} for _ in range(partitions)]
        self._followers = CovisitIndex[CovisitCounters](catalogue, attrgetter("followers"))
        self._companions = CovisitIndex[BasketCounters](catalogue, attrgetter("companions"))
        self._decayed = np.full((len(HALF_LIVES), 0), NOTHING)
        self._counts = np.zeros(0)
        self._orders: _Orders | None = None
        self._rising: dict[int, Rising] = {}
        self._sought: dict[str, dict[str, CovisitedItems]] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing has happened to any item."""
        return self.popular.size == 0

    @property
    def trending(self) -> Ints:
        """Positions, most trending first: the half-lives' orders, fused."""
        return self.orders().trending

    @property
    def popular(self) -> Ints:
        """Positions, most popular first, by weighted counts of all time."""
        return self.orders().popular

    def rising(self, half_life: int, now: float) -> Rising:
        """What has the greatest counts by one of HALF_LIVES (its number) at the second of ``now``; worked out once."""
        second, kept = now // 1.0, self._rising.get(half_life)
        if kept is None or kept.second != second:
            items = self.orders().rising[half_life]
            counts = self._decayed[half_life, items] - second / HALF_LIVES[half_life]
            logs = np.log2(1.0 + np.exp2(np.clip(counts, -60.0, 60.0))).astype(np.float32)
            kept = self._rising[half_life] = Rising(items, logs, second)
        return kept

    def orders(self) -> _Orders:
        """The top lists; made now where ``adopt`` was handed none."""
        if self._orders is None:
            self._orders = self._ordered(self._most(self._counts), [self._greatest(each) for each in self._decayed])
        return self._orders

    def count(self, items: Ints) -> Floats:
        """Weighted counts of all time of these items."""
        known = items < self._counts.size
        found = np.zeros(items.size, np.float32)
        found[known] = self._counts[items[known]]
        return found

    def followers(self, at: int) -> CovisitedItems | None:
        """What people went on to after an item."""
        return self._followers.of(at)

    def companions(self, at: int) -> CovisitedItems | None:
        """What goes together with an item in baskets, playlists and collections."""
        return self._companions.of(at)

    def sought(self, word: str) -> CovisitedItems:
        """What people went to after they had searched for a word (of ``signals.queries.query_words``)."""
        key = queries.query_key(word)
        kept = self._sought.setdefault(key, {})
        if word not in kept:
            item_counts = queries.merge_word(self._of_all_partitions(key), word)
            if not item_counts:
                # Anybody may search for anything: what leads nowhere takes no room.
                return NO_COVISITS
            kept[word] = by_position(self._catalogue, item_counts)
        return kept[word]

    def read(self, kind: str, subject: str) -> Any:
        """Returns what the ``merge`` of a kind of aggregate makes of a subject's counters. Nothing is cached.

        It reads any kind except the tail, whose chunks are not kept. Raises KeyError if no module declares the kind.
        """
        declared = aggregates.KINDS[kind]
        return declared.merge(self._of_all_partitions(declared.key(subject)), self._weights)

    def merge(self, partition: int, changes: SignalChanges, into: Merged) -> Iterator[None]:
        """Merge a partition's changed counters into what ``adopt`` takes over, one key a step.

        Requests can be served between steps. Merging the same changes again changes nothing.
        """
        if changes.whole:
            self.sessions.begin_anew(partition)
        return self.merge_counters(partition, self._decoded(partition, changes), into)

    def merge_counters(self, partition: int, changed: Iterable[tuple[str, Counters]], into: Merged) -> Iterator[None]:
        """``merge`` of counters that are decoded already."""
        for key, counters in changed:
            self._counters[partition][key] = counters
            kind, _, subject = key.partition(":")
            if (index := self._indexers.get(kind)) is not None:
                index(partition, key, subject, into)
            yield

    def follow(self, merged: Merged) -> Iterator[None]:
        """Take over the sessions of what was merged, one a step."""
        return self.sessions.follow(merged.tails)

    def arrange(self, merged: Merged) -> Generator[None, None, Arranged | None]:
        """The counts and top lists as they are with what was merged, a list a step; None where no count has changed."""
        if not merged.counts:
            return None
        self._widen()
        counts, decayed = self._counts.copy(), self._decayed.copy()
        _write(merged, counts, decayed)
        yield
        popular, rising = self._most(counts), []
        for each in decayed:
            yield
            rising.append(self._greatest(each))
        return Arranged(counts, decayed, self._ordered(popular, rising))

    def adopt(self, merged: Merged, arranged: Arranged | None = None) -> None:
        """Take over what was merged; without ``arranged`` the next look at ``orders`` makes the top lists anew."""
        self._followers.put(merged.followers)
        self._companions.put(merged.companions)
        self.exposure.put(merged.exposed)
        for at, counts in merged.contexts.items():
            self.contexts.put(at, counts)
        if not merged.counts:
            return
        if arranged is not None:
            self._counts, self._decayed, self._orders = arranged
        else:
            self._widen()
            _write(merged, self._counts, self._decayed)
            self._orders = None
        self._rising.clear()

    def _of_all_partitions(self, key: str) -> list[Any]:
        return [counters for held in self._counters if (counters := held.get(key)) is not None]

    def _decoded(self, partition: int, changes: SignalChanges) -> Iterator[tuple[str, Counters]]:
        """The partition's changed counters; after a whole read those that are gone are empty."""
        keys = dict.fromkeys(key for key in changes.values if aggregates.kind_of(key) in aggregates.KINDS)
        if changes.whole:
            keys = dict.fromkeys(self._counters[partition]) | keys
        return ((key, aggregates.decode(key, changes.values.get(key))) for key in keys)

    def _index_popularity(self, _: int, key: str, item_id: str, merged: Merged) -> None:
        counts = popularity.merge(self._of_all_partitions(key), self._weights)
        position = self._catalogue.ensure(item_id, counts.first)
        merged.decayed[position], merged.counts[position] = counts.decayed, counts.total

    def _index_followers(self, _: int, key: str, item_id: str, merged: Merged) -> None:
        # Summed by position when an item's are asked for, as the companions are.
        merged.followers[self._catalogue.ensure(item_id)] = tuple(self._of_all_partitions(key))

    def _index_companions(self, _: int, key: str, item_id: str, merged: Merged) -> None:
        merged.companions[self._catalogue.ensure(item_id)] = tuple(self._of_all_partitions(key))

    def _index_exposure(self, _: int, key: str, item_id: str, merged: Merged) -> None:
        counts = exposure.merge(self._of_all_partitions(key), self._weights)
        merged.exposed[self._catalogue.ensure(item_id)] = self.exposure.read(counts)

    def _index_context(self, _: int, key: str, item_id: str, merged: Merged) -> None:
        counts = context.merge(self._of_all_partitions(key), self._weights)
        merged.contexts[self._catalogue.ensure(item_id)] = counts

    def _forget_searches(self, _: int, key: str, *__: object) -> None:
        """Searches are merged when somebody searches."""
        self._sought.pop(key, None)

    def _index_tail(self, partition: int, key: str, _: str, merged: Merged) -> None:
        # A chunk is read once: its entries are kept by session.
        chunk = self._counters[partition].pop(key)
        assert isinstance(chunk, TailChunk)
        merged.tails.setdefault(partition, []).append(chunk)

    def _widen(self) -> None:
        missing = len(self._catalogue) - self._counts.size
        if missing > 0:
            # Some room to spare, so that an item at a time does not copy the columns each time.
            missing += 1_024
            self._counts = np.concatenate([self._counts, np.zeros(missing)])
            self._decayed = np.concatenate([self._decayed, np.full((len(HALF_LIVES), missing), NOTHING)], axis=1)

    def _most(self, counts: Doubles) -> Ints:
        return self._greatest(np.where(counts > 0, counts, -np.inf))

    def _greatest(self, counts: Doubles) -> Ints:
        ties = self._catalogue.column("hash")[: counts.size]
        return top_k(counts[: ties.size], TOP, ties).astype(np.int32)

    def _ordered(self, popular: Ints, rising: Sequence[Ints]) -> _Orders:
        return _Orders(popular, reciprocal_rank_fusion(rising, self._catalogue.column("hash"), TOP), tuple(rising))


def _write(merged: Merged, counts: Doubles, decayed: Doubles) -> None:
    """Put the merged counts into their columns."""
    changed = np.fromiter(merged.counts, np.int64, len(merged.counts))
    counts[changed] = np.fromiter(merged.counts.values(), np.float64, changed.size)
    decayed[:, changed] = np.array(list(merged.decayed.values())).T
