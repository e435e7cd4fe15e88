"""The aggregates of all users, merged over partitions: counts, trends and covisits.

Changed counters of a partition are merged aside and then adopted in one step, so a request sees one consistent version.
Order under forward decay does not depend on ``now``, so the top lists are built here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from models.structures.arrays import Doubles, Floats, Ints
from schemas.keys import Signal
from schemas.ports import SignalChanges
from serving.arrays.top_k import reciprocal_rank_fusion, top_k
from serving.state.admission.item_memory import ItemMemory
from serving.state.admission.waiting import Admission, Cell
from serving.state.catalogue import Catalogue
from serving.state.context_counts import ContextCounts
from serving.state.covisits import NO_COVISITS, CovisitedItems, CovisitIndex, by_position
from serving.state.exposure import Exposure
from serving.state.live_sessions import SESSIONS, LiveSessions
from serving.state.merged import Merged
from serving.state.unreadable_keys import UnreadableKeys
from signals import aggregates
from signals.aggregates import Counters
from signals.decay import NOTHING
from signals.kinds import baskets, context, covisits, exposure, people, popularity, queries, tail
from signals.kinds.baskets import BasketCounters
from signals.kinds.covisits import CovisitCounters
from signals.kinds.popularity import HALF_LIVES
from signals.kinds.tail import TailChunk

TOP: Final = 2_000
"""Length of the top lists."""
WAITING_BYTES: Final = 16 * 1_048_576
"""Memory for ids without item data that wait to be admitted."""
_PEOPLE: Final = people.KIND.key("")
_POPULARITY: Final = popularity.KIND.key("")
_OF_ITEMS: Final = frozenset(kind.KIND.name for kind in (popularity, covisits, baskets, exposure, context))
"""Kinds whose counters belong to an item."""


class DecayedTop(NamedTuple):
    """Positions (n,) by decayed counts, greatest first, with log2(1 + count) of each (n,) at one whole second."""

    items: Ints
    logs: Floats
    second: float


class _Orders(NamedTuple):
    """Top lists of positions, best first."""

    popular: Ints
    trending: Ints
    rising: tuple[Ints, ...]
    """By half-life."""


class OrderedCounts(NamedTuple):
    """Counts with their top lists, ready for ``adopt``."""

    counts: Doubles
    """(n,)."""
    decayed: Doubles
    """(H, n), in log space."""
    orders: _Orders


class Aggregates:
    """The merged aggregates, by position in the catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        partitions: int,
        weights: Mapping[str, float],
        sessions: int = SESSIONS,
        *,
        admit_after: int = 1,
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        """``admit_after``: people after whom an id without item data enters the catalogue; ids that wait take ``waiting_bytes``."""
        self._catalogue, self._weights = catalogue, weights
        self._admission = Admission(catalogue, admit_after, waiting_bytes)
        self._known_additions = 0
        self.memory = ItemMemory(catalogue)
        """What the counters of each item take."""
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
        self.unreadable = UnreadableKeys(Signal.AGGREGATES)
        self.sessions = LiveSessions(catalogue, sessions, admits_all=self._admission.open)
        """The newest sessions of all users, for session kNN."""
        self.exposure = Exposure()
        """Clicks over impressions."""
        self.contexts = ContextCounts(catalogue)
        """Counts by country, device and hour."""
        self._counters: list[dict[str, Counters]] = [{} for _ in range(partitions)]
        self._followers = CovisitIndex[CovisitCounters](catalogue, attrgetter("followers"))
        self._companions = CovisitIndex[BasketCounters](catalogue, attrgetter("companions"))
        self._decayed = np.full((len(HALF_LIVES), 0), NOTHING)
        self._counts = np.zeros(0)
        self._orders: _Orders | None = None
        self._rising: dict[int, DecayedTop] = {}
        self._sought: dict[str, dict[str, CovisitedItems]] = {}

    @property
    def empty(self) -> bool:
        """True while no item has a count."""
        return self.popular.size == 0

    @property
    def trending(self) -> Ints:
        """Positions, most trending first: the fused orders of all half-lives."""
        return self.orders().trending

    @property
    def popular(self) -> Ints:
        """Positions, most popular first, by weighted counts of all time."""
        return self.orders().popular

    def decayed_top(self, half_life: int, now: float) -> DecayedTop:
        """The greatest counts with one of HALF_LIVES (its index) at the second of ``now``; cached."""
        second, cached = now // 1.0, self._rising.get(half_life)
        if cached is None or cached.second != second:
            items = self.orders().rising[half_life]
            counts = self._decayed[half_life, items] - second / HALF_LIVES[half_life]
            logs = np.log2(1.0 + np.exp2(np.clip(counts, -60.0, 60.0))).astype(np.float32)
            cached = self._rising[half_life] = DecayedTop(items, logs, second)
        return cached

    def orders(self) -> _Orders:
        """The top lists; built here if ``adopt`` received none."""
        if self._orders is None:
            self._orders = self._ordered(
                self._top_positive(self._counts), [self._top(counts) for counts in self._decayed]
            )
        return self._orders

    def count(self, items: Ints) -> Floats:
        """The weighted all-time counts of these items (n,)."""
        known = items < self._counts.size
        counts = np.zeros(items.size, np.float32)
        counts[known] = self._counts[items[known]]
        return counts

    def followers(self, position: int) -> CovisitedItems | None:
        """The items visited after the item at a position; None if there are none."""
        return self._followers.of(position)

    def companions(self, position: int) -> CovisitedItems | None:
        """The items in the same baskets, playlists and collections; None if there are none."""
        return self._companions.of(position)

    def sought(self, word: str) -> CovisitedItems:
        """The items opened after searches for a word (of ``signals.kinds.queries.query_words``)."""
        key = queries.query_key(word)
        by_word = self._sought.setdefault(key, {})
        if word not in by_word:
            item_counts = queries.merge_word(self._of_all_partitions(key), word)
            if not item_counts:
                # Users may search for any word: one without items is not cached.
                return NO_COVISITS
            by_word[word] = by_position(self._catalogue, item_counts)
        return by_word[word]

    def read(self, kind: str, subject: str) -> Any:
        """The merged value of one kind of aggregate for a subject; not cached.

        It reads any kind except the tail and people, which are not kept. Raises KeyError if no module declares the kind.
        """
        declared = aggregates.KINDS[kind]
        return declared.merge(self._of_all_partitions(declared.key(subject)), self._weights)

    def admit(self, changed: Sequence[tuple[int, SignalChanges]], into: Merged) -> Iterator[None]:
        """Admit items that enough people were at, one key a step, before the changes of all partitions are merged."""
        if self._admission.open:
            return
        for partition, changes in changed:
            if changes.whole:
                self._admission.begin_anew(partition)
            for key, data in changes.values.items():
                if key.startswith(_PEOPLE):
                    if isinstance(counters := self._read(partition, key, data), people.PeopleCounters):
                        self._admission.count(partition, key[len(_PEOPLE) :], counters)
                    yield
                elif changes.whole and key.startswith(_POPULARITY) and _people_key(key) not in changes.values:
                    # Counted by an earlier version, which did not count people.
                    self._admission.admit(key[len(_POPULARITY) :])
        yield from self.release(into)

    def release(self, into: Merged) -> Iterator[None]:
        """Merge the counters that have waited for items which are in the catalogue by now, one key a step."""
        for cell in self._admission.released():
            counters = self._read(cell.partition, cell.key, cell.data)
            yield from self.merge_counters(cell.partition, [(cell.key, counters)], into)

    def merge(self, partition: int, changes: SignalChanges, into: Merged) -> Iterator[None]:
        """Merge a partition's changed counters into ``into``, one key a step; those of items that wait are kept aside.

        Requests can be served between steps. Merging the same changes again changes nothing.
        """
        if changes.whole:
            self.sessions.begin_anew(partition)
            self.unreadable.clear(partition)
        return self.merge_counters(partition, self._decoded(partition, changes), into)

    def merge_counters(
        self, partition: int, changed: Iterable[tuple[str, Counters | None]], into: Merged
    ) -> Iterator[None]:
        """As ``merge``, for decoded counters; None has its step too, or a flood of ids that wait would be one long step."""
        for key, counters in changed:
            if counters is not None:
                self.unreadable.read(partition, key, partial(self._merge_key, partition, key, counters, into))
            yield

    def _merge_key(self, partition: int, key: str, counters: Counters, into: Merged) -> None:
        former, self._counters[partition][key] = self._counters[partition].get(key), counters
        kind, _, subject = key.partition(":")
        if (index := self._indexers.get(kind)) is not None:
            index(partition, key, subject, into)
        if kind in _OF_ITEMS:
            self.memory.replace(subject, former, counters)

    def activity(self, items: Ints) -> Doubles:
        """The decayed counts of these items (n,) with the longest half-life, in log space."""
        activity = np.full(items.size, NOTHING)
        known = items < self._decayed.shape[1]
        activity[known] = self._decayed[-1, items[known]]
        return activity

    def let_go(self, position: int, item_id: str) -> None:
        """Drop the counters of an item that is let go; ``Merged.without`` then drops its counts, and ``forget_sums`` the rest."""
        for kind in _OF_ITEMS:
            key = aggregates.KINDS[kind].key(item_id)
            for counters in self._counters:
                counters.pop(key, None)
        for part in (self._followers, self._companions, self.exposure, self.contexts, self.memory):
            part.let_go(position)

    def forget_sums(self) -> None:
        """Sum covisits and searches again, at their next request, because some items were let go."""
        self._followers.forget_sums()
        self._companions.forget_sums()
        self._sought.clear()

    def apply_tails(self, merged: Merged) -> Iterator[None]:
        """Apply the merged session tails, one chunk or session a step."""
        return self.sessions.apply_tails(merged.tails)

    def arrange(self, merged: Merged) -> Generator[None, None, OrderedCounts | None]:
        """Build the counts and top lists that include the merged counters, one list a step; None if no count has changed."""
        if not merged.counts:
            return None
        self._widen()
        counts, decayed = self._counts.copy(), self._decayed.copy()
        _write(merged, counts, decayed)
        yield
        popular, rising = self._top_positive(counts), []
        for half_life_counts in decayed:
            yield
            rising.append(self._top(half_life_counts))
        return OrderedCounts(counts, decayed, self._ordered(popular, rising))

    def adopt(self, merged: Merged, arranged: OrderedCounts | None = None) -> None:
        """Apply the merged counters; without ``arranged`` the next call of ``orders`` builds the top lists."""
        self._complete_covisits()
        self._followers.put(merged.followers)
        self._companions.put(merged.companions)
        self.exposure.put(merged.exposed)
        for position, counts in merged.contexts.items():
            self.contexts.put(position, counts)
        if not merged.counts:
            return
        if arranged is not None:
            self._counts, self._decayed, self._orders = arranged
        else:
            self._widen()
            _write(merged, self._counts, self._decayed)
            self._orders = None
        self._rising.clear()

    def _complete_covisits(self) -> None:
        """Drop the cached covisits that left out items which have entered the catalogue since."""
        if self._catalogue.additions > self._known_additions:
            self._known_additions = self._catalogue.additions
            self._followers.forget_incomplete()
            self._companions.forget_incomplete()
            self._sought.clear()

    def _of_all_partitions(self, key: str) -> list[Any]:
        return [counters for by_key in self._counters if (counters := by_key.get(key)) is not None]

    def _decoded(self, partition: int, changes: SignalChanges) -> Iterator[tuple[str, Counters | None]]:
        """The partition's changed counters, decoded; after a complete read, missing ones are empty.

        Popularity comes first, because it dates an item's first event. None for items that wait.
        """
        for key in self._keys(partition, changes):
            data = changes.values.get(key)
            waits = data is not None and self._waits(partition, key, data)
            yield key, None if waits else self._read(partition, key, data)

    def _read(self, partition: int, key: str, data: bytes | None) -> Counters | None:
        """The counters; None if they cannot be read, so that the earlier ones stay."""
        return self.unreadable.read(partition, key, lambda: aggregates.decode(key, data))

    def _keys(self, partition: int, changes: SignalChanges) -> Iterator[str]:
        """The changed keys, those of popularity first; found while they are read, because there may be many."""
        missing = [key for key in self._counters[partition] if key not in changes.values] if changes.whole else []
        for of_popularity in (True, False):
            for key in chain(missing, changes.values):
                if key.startswith(_POPULARITY) == of_popularity and _is_kept(aggregates.kind_of(key)):
                    yield key

    def _waits(self, partition: int, key: str, data: bytes) -> bool:
        kind, _, subject = key.partition(":")
        return kind in _OF_ITEMS and self._admission.holds(subject, Cell(partition, key, data))

    def _index_popularity(self, _: int, key: str, item_id: str, merged: Merged) -> None:
        counts = popularity.merge(self._of_all_partitions(key), self._weights)
        position = self._catalogue.ensure(item_id, counts.first)
        merged.decayed[position], merged.counts[position] = counts.decayed, counts.total

    def _index_followers(self, _: int, key: str, item_id: str, merged: Merged) -> None:
        # Summed at the first request for the item, as the companions are.
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
        """Drop the cached word; searches are merged at their next use."""
        self._sought.pop(key, None)

    def _index_tail(self, partition: int, key: str, _: str, merged: Merged) -> None:
        # A chunk is read once: its entries are stored by session.
        chunk = self._counters[partition].pop(key)
        assert isinstance(chunk, TailChunk)
        merged.tails.setdefault(partition, []).append(chunk)

    def _widen(self) -> None:
        missing = len(self._catalogue) - self._counts.size
        if missing > 0:
            # Spare room, so that adding one item does not copy the columns each time.
            missing += 1_024
            self._counts = np.concatenate([self._counts, np.zeros(missing)])
            self._decayed = np.concatenate([self._decayed, np.full((len(HALF_LIVES), missing), NOTHING)], axis=1)

    def _top_positive(self, counts: Doubles) -> Ints:
        return self._top(np.where(counts > 0, counts, -np.inf))

    def _top(self, counts: Doubles) -> Ints:
        ties = self._catalogue.column("hash")[: counts.size]
        return top_k(counts[: ties.size], TOP, ties).astype(np.int32)

    def _ordered(self, popular: Ints, rising: Sequence[Ints]) -> _Orders:
        return _Orders(popular, reciprocal_rank_fusion(rising, self._catalogue.column("hash"), TOP), tuple(rising))


def _people_key(popularity_key: str) -> str:
    return _PEOPLE + popularity_key[len(_POPULARITY) :]


def _is_kept(kind: str) -> bool:
    """True if the counters of a kind are kept. Those of people are counted and let go, those of unknown kinds are not read."""
    return kind in aggregates.KINDS and kind != people.KIND.name


def _write(merged: Merged, counts: Doubles, decayed: Doubles) -> None:
    """Write the merged counts into the columns."""
    changed = np.fromiter(merged.counts, np.int64, len(merged.counts))
    counts[changed] = np.fromiter(merged.counts.values(), np.float64, changed.size)
    decayed[:, changed] = np.array(list(merged.decayed.values())).T
