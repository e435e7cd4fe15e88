"""The fenced processor: folds one partition's records into its signals, each event exactly once.

A commit writes changed values and the new fence in one step, if the fence is still where this processor
left it. Losing that race means that another writer was here: everything in memory is dropped, the fence
is read again, and reading goes on behind it. Nothing here knows Faust, Redis, Kafka or SQLite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from nearline.dead_letters import DeadLetterSink
from schemas.catalogue import Item, Profile, Upsert, decode_item, decode_profile, decode_upsert, encode_view
from schemas.errors import FenceMoved, Undecodable
from schemas.events import LoggedEvent
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.codec import decode_event
from schemas.log.fence import Fence
from schemas.log.records import Record
from schemas.ports import SignalStore
from signals import aggregates, catalogue, users
from signals.counters import HISTORY, AggregateKind, Transition, transition

V = TypeVar("V")
View = TypeVar("View", Item, Profile)

HOT_BYTES: Final = 4 * 1_048_576
"""Values kept decoded in memory a partition and signal, by their packed size: unpacked they take seven times as much.

Whenever half of it has been written, those that are not among what was written are dropped, and all of them where that
alone is more.
"""
MAX_WAITING_TRANSITIONS: Final = 8_000
"""Most transitions that wait for ``aggregates``; at this number they are folded and committed before they are due."""
BACKLOG_BATCH: Final = 500
"""A batch of this many records shows that the partition is behind."""
BACKLOG_DELAY_SECONDS: Final = 5.0
"""How much later ``aggregates`` may be committed while behind. A commit of more events writes fewer counters for each."""

_GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""Multiples of this, less their whole part, fall evenly, however many there are."""

SIGNALS: Final = {
    topics.EVENTS: (Signal.USERS, Signal.AGGREGATES),
    topics.ITEMS: (Signal.ITEMS,),
    topics.USERS: (Signal.PROFILES,),
}
"""The signals that each topic's partitions keep."""


class Processor(Protocol):
    """Keeps one partition of one topic."""

    @property
    def flushed(self) -> bool:
        """Whether every signal has committed all that was applied."""

    def resume(self) -> int:
        """The first offset to read, from the fences; drops all that was in memory."""

    def process(self, records: Sequence[Record], now: float) -> None:
        """Apply consecutive records and commit what is due; raises FenceMoved, StoreUnavailable."""

    def tick(self, now: float) -> None:
        """Commit what has become due without new records."""


class SignalState(Generic[V]):
    """One signal's values of one partition: a cache over the store, what has changed, and the fence."""

    def __init__(
        self,
        store: SignalStore,
        partition: int,
        signal: Signal,
        log_id: str,
        decode: Callable[[str, bytes | None], V],
        encode: Callable[[V], bytes],
    ) -> None:
        self._store, self._partition, self._signal, self._log_id = store, partition, signal, log_id
        self._decode, self._encode = decode, encode
        self._values: dict[str, V] = {}
        self._dirty: dict[str, None] = {}
        self._hot: dict[str, None] = {}
        self._written = 0
        self._fence: Fence | None = None
        self.applied = -1

    @property
    def committed(self) -> int:
        """The offset of the fence as last read or written."""
        return self._fence.offset if self._fence else -1

    def open(self) -> None:
        """Forget what is in memory and read the fence; values that follow another log are removed."""
        self._values.clear()
        self._dirty.clear()
        self._hot.clear()
        self._written = 0
        self._fence = self._store.fence(self._partition, self._signal)
        if self._fence is None or self._fence.log_id != self._log_id:
            fresh = Fence(self._log_id, -1)
            self._store.reset(self._partition, self._signal, self._fence, fresh)
            self._fence = fresh
        self.applied = self.committed

    def fetch(self, keys: Iterable[str]) -> None:
        """Bring these values into memory in one read."""
        # Not a difference of sets, which walks all that is in memory.
        missing = [key for key in keys if key not in self._values]
        if missing:
            found = self._store.load(self._partition, self._signal, missing)
            self._values.update(zip(missing, map(self._decode, missing, found), strict=True))

    def __getitem__(self, key: str) -> V:
        return self._values[key]

    def put(self, key: str, value: V) -> None:
        """Change a value in memory; the next commit writes it."""
        self._values[key] = value
        self._dirty[key] = None

    def change(self, changes: Iterable[tuple[AggregateKind, Mapping[str, Sequence[Any]]]]) -> None:
        """Fold what ``aggregates.changes`` gives into the values that it is of. Where this raises, ``open`` it again."""
        gathered, values = list(changes), self._values
        self.fetch([key for _, changed in gathered for key in changed])
        for kind, changed in gathered:
            for key, by in changed.items():
                values[key] = kind.fold(values[key], by)
            self._dirty.update(dict.fromkeys(changed))

    def commit(self) -> None:
        """Write what has changed together with the fence, in one step."""
        if self.applied == self.committed:
            return
        fence = Fence(self._log_id, self.applied)
        changed = {key: self._encode(self._values[key]) for key in self._dirty}
        self._store.commit(self._partition, self._signal, self._fence, fence, changed)
        self._fence = fence
        self._hot.update(self._dirty)
        self._dirty.clear()
        self._written += sum(map(len, changed.values()))
        if self._written >= HOT_BYTES // 2:
            kept = self._hot if self._written < HOT_BYTES else ()
            self._values = {key: self._values[key] for key in kept}
            self._hot.clear()
            self._written = 0


class EventProcessor:
    """Folds a partition of the events topic into ``users`` (every batch) and ``aggregates`` (when due).

    What ``aggregates`` learn waits until they are due: a person's own next answer must not wait for them.
    """

    def __init__(
        self, partition: int, log_id: str, store: SignalStore, dead_letters: DeadLetterSink, flush_seconds: float = 1.0
    ) -> None:
        self._users: SignalState[users.UserValue] = SignalState(
            store, partition, Signal.USERS, log_id, lambda _, data: users.decode(data), users.encode
        )
        self._cells: SignalState[aggregates.Counters] = SignalState(
            store, partition, Signal.AGGREGATES, log_id, aggregates.decode, aggregates.encode
        )
        self._waiting: list[Transition] = []
        self._store, self._partition = store, partition
        self._dead_letters = dead_letters
        self._flush_seconds = flush_seconds
        # Each partition has its own moment of every second, or all of them would hold up people's own events at once.
        self._moment = flush_seconds * (partition * _GOLDEN % 1.0)
        self._due = 0.0

    @property
    def flushed(self) -> bool:
        """Whether ``aggregates``, which follow ``users``, are committed too."""
        return self._cells.applied == self._cells.committed

    def resume(self) -> int:
        """Read both fences; the older one decides where to read from."""
        self._users.open()
        self._cells.open()
        self._waiting.clear()
        return min(self._users.applied, self._cells.applied) + 1

    def process(self, records: Sequence[Record], now: float) -> None:
        """Fold consecutive records, then commit; ``aggregates`` first where ``users`` would lose what it needs."""
        events = [(record.offset, event) for record in records if (event := self._decoded(record)) is not None]
        self._fetch_users({event.subject for _, event in events})
        outrun = False
        for offset, event in events:
            before, after = self._apply(event, offset)
            outrun |= self._outruns(event, after)
            if offset > self._cells.applied:
                self._waiting.append(transition(before, after, event, offset))
        for state in (self._users, self._cells):
            state.applied = max(state.applied, records[-1].offset if records else -1)
        if outrun:
            self._flush(now)
        self._users.commit()
        if len(self._waiting) >= MAX_WAITING_TRANSITIONS or self._is_due(
            now, BACKLOG_DELAY_SECONDS if len(records) >= BACKLOG_BATCH else 0.0
        ):
            self._flush(now)

    def tick(self, now: float) -> None:
        """Flush ``aggregates`` when it is due, and at once where many events wait: nothing else is to be done."""
        if self._is_due(now) or len(self._waiting) >= BACKLOG_BATCH:
            self._flush(now)

    def _is_due(self, now: float, patience: float = 0.0) -> bool:
        # A clock that was set back makes it due too.
        return not self._due - self._flush_seconds <= now < self._due + patience

    def _decoded(self, record: Record) -> LoggedEvent | None:
        if record.offset <= min(self._users.applied, self._cells.applied):
            return None
        try:
            return decode_event(record.value, record.timestamp_ms)
        except Undecodable as error:
            # Behind the fence of users it has been refused before.
            if record.offset > self._users.applied:
                self._dead_letters(record, str(error))
            return None

    def _fetch_users(self, subjects: set[str]) -> None:
        """Bring these users in. One past the fence is another writer's, from which ``aggregates`` would learn wrongly."""
        self._users.fetch(subjects)
        if any(self._users[subject].offset > self._users.applied for subject in subjects):
            raise FenceMoved(self._partition, Signal.USERS, self._store.fence(self._partition, Signal.USERS))

    def _apply(self, event: LoggedEvent, offset: int) -> tuple[users.UserValue, users.UserValue]:
        before = self._users[event.subject]
        if offset <= self._users.applied:
            return before, before
        after = users.fold(before, event, offset)
        self._users.put(event.subject, after)
        self._users.applied = offset
        return before, after

    def _outruns(self, event: LoggedEvent, after: users.UserValue) -> bool:
        """Whether ``aggregates`` must be committed before ``users``, which is about to drop entries."""
        return users.loses_history(event) or users.outruns(after, self._cells.committed, HISTORY)

    def _flush(self, now: float) -> None:
        self._cells.change(aggregates.changes(self._waiting))
        self._waiting.clear()
        self._cells.commit()
        seconds = self._flush_seconds
        self._due = now + seconds - (now - self._moment) % seconds if seconds else now


class UpsertProcessor(Generic[View]):
    """Keeps the catalogue's or the users' view of a partition of their topic."""

    def __init__(
        self,
        partition: int,
        log_id: str,
        store: SignalStore,
        dead_letters: DeadLetterSink,
        signal: Signal,
        decode: Callable[[bytes], View],
        fold: Callable[[View | None, Upsert, int], View],
    ) -> None:
        self._views: SignalState[View | None] = SignalState(store, partition, signal, log_id, self._read, self._written)
        self._dead_letters = dead_letters
        self._decode: Callable[[bytes], View] = decode
        self._fold: Callable[[View | None, Upsert, int], View] = fold

    def _read(self, _: str, data: bytes | None) -> View | None:
        return None if data is None else self._decode(data)

    @staticmethod
    def _written(view: View | None) -> bytes:
        assert view is not None
        return encode_view(view)

    @property
    def flushed(self) -> bool:
        """Always: each batch is committed whole."""
        return True

    def resume(self) -> int:
        """Read the fence."""
        self._views.open()
        return self._views.applied + 1

    def process(self, records: Sequence[Record], now: float) -> None:  # noqa: ARG002 - the port's signature
        """Apply consecutive upserts and commit."""
        for record in records:
            if record.offset > self._views.applied:
                self._apply(record)
                self._views.applied = record.offset
        self._views.commit()

    def tick(self, now: float) -> None:
        """Nothing is ever left to commit."""

    def _apply(self, record: Record) -> None:
        try:
            upsert = decode_upsert(record.value)
            self._views.fetch({upsert.id})
            self._views.put(upsert.id, self._fold(self._views[upsert.id], upsert, record.offset))
        except (Undecodable, msgspec.ValidationError) as error:
            self._dead_letters(record, str(error))


def processor_for(
    topic: str, partition: int, log_id: str, store: SignalStore, dead_letters: DeadLetterSink
) -> Processor:
    """The processor of one partition of a topic of facts; raises KeyError for any other topic."""
    if topic == topics.EVENTS:
        return EventProcessor(partition, log_id, store, dead_letters)
    if topic == topics.ITEMS:
        return UpsertProcessor(partition, log_id, store, dead_letters, Signal.ITEMS, decode_item, catalogue.fold_item)
    if topic == topics.USERS:
        return UpsertProcessor(
            partition, log_id, store, dead_letters, Signal.PROFILES, decode_profile, catalogue.fold_profile
        )
    raise KeyError(topic)
