"""The fenced processor: folds the records of one partition into its signals, each event exactly once.

A fence is the stored position of a signal: the offset of the last event that its values contain. Another word for it is
checkpoint. A commit writes the changed values and the new fence in one step. It fails if the stored fence is not the one
that this processor wrote last, because then another writer has committed. The processor then drops its memory, reads the
fence again, and continues after it. No code here depends on Faust, Redis, Kafka or SQLite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from nearline import metrics
from nearline.dead_letters import DeadLetterSink
from nearline.forgets import ForgetSink, no_notice
from nearline.passivation.guests import PassivatedGuests
from nearline.signal_state import SignalState, UserValues, WholeValues
from schemas.catalogue import Item, Profile, Upsert, decode_item, decode_profile, decode_upsert, encode_view
from schemas.erasures import ForgetNotice
from schemas.errors import FenceMoved, Undecodable, ValueCorrupt
from schemas.events import LoggedEvent
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.codec import decode_event
from schemas.log.records import Record
from schemas.ports import SignalStore
from signals import aggregates, catalogue, users
from signals.counters import HISTORY, Transition, transition

View = TypeVar("View", Item, Profile)

MAX_WAITING_TRANSITIONS: Final = 8_000
"""Limit of transitions that wait for ``aggregates``. At this number they are folded and committed at once."""
BACKLOG_BATCH: Final = 500
"""A batch with at least this many records shows that the partition is behind."""
BACKLOG_DELAY_SECONDS: Final = 5.0
"""Extra delay of a commit of ``aggregates`` while the partition is behind.

A commit of many events writes fewer counters for each event.
"""

_GOLDEN_RATIO: Final = (math.sqrt(5) - 1) / 2
"""The fractional parts of its multiples are spread evenly over 0 to 1, for any number of multiples."""

SIGNALS: Final = {
    topics.EVENTS: (Signal.USERS, Signal.AGGREGATES),
    topics.ITEMS: (Signal.ITEMS,),
    topics.USERS: (Signal.PROFILES,),
}
"""The signals that are folded from each topic."""


class Processor(Protocol):
    """Folds one partition of one topic."""

    @property
    def flushed(self) -> bool:
        """True if every signal has committed all applied records."""

    @property
    def guests(self) -> PassivatedGuests | None:
        """The guests whose values are let go; None if the topic has no guests."""

    def resume(self) -> int:
        """Drop the memory and read the fences. Returns the first offset to read."""

    def process(self, records: Sequence[Record], now: float) -> None:
        """Apply consecutive records, and make the commits that are due. Raises FenceMoved, StoreUnavailable, GuestsReturned."""

    def tick(self, now: float) -> None:
        """Make the commits that are due, without new records."""

    def flush(self, now: float) -> None:
        """Commit all applied records to every signal, due or not."""


class EventProcessor:
    """Folds a partition of the events topic into ``users`` (every batch) and ``aggregates`` (when due).

    ``users`` is committed first, because the next answer to a user depends on it. Transitions wait in memory until a commit
    of ``aggregates`` is due.
    """

    def __init__(
        self,
        partition: int,
        log_id: str,
        store: SignalStore,
        dead_letters: DeadLetterSink,
        flush_seconds: float = 1.0,
        forgets: ForgetSink = no_notice,
        *,
        in_parts: bool = False,
    ) -> None:
        self._packing = UserValues(in_parts=in_parts)
        self._users = SignalState(store, partition, Signal.USERS, log_id, self._packing)
        self._counters = SignalState(
            store, partition, Signal.AGGREGATES, log_id, WholeValues(aggregates.decode, aggregates.encode)
        )
        self.guests = PassivatedGuests(
            partition, self._users, lambda: min(self._users.committed, self._counters.committed)
        )
        self._waiting: list[Transition] = []
        self._store, self._partition, self._log_id = store, partition, log_id
        self._dead_letters, self._forgets = dead_letters, forgets
        self._flush_seconds = flush_seconds
        # Each partition flushes at its own phase of a second. If all flushed at once, they would delay events of users.
        self._flush_phase = flush_seconds * (partition * _GOLDEN_RATIO % 1.0)
        self._due = 0.0

    @property
    def flushed(self) -> bool:
        """True if ``aggregates`` has committed all applied events. It is committed after ``users``."""
        return self._counters.applied == self._counters.committed

    def resume(self) -> int:
        """Drop the memory and read both fences. Returns the offset after the fence that is further behind."""
        self._users.open()
        self._counters.open()
        self.guests.open()
        self._waiting.clear()
        return min(self._users.applied, self._counters.applied) + 1

    def process(self, records: Sequence[Record], now: float) -> None:
        """Fold consecutive records and commit ``users``, then ``aggregates`` if due.

        If ``users`` will drop entries that ``aggregates`` has not read, ``aggregates`` is committed first.
        """
        refused: list[tuple[Record, Undecodable]] = []
        events = [(record.offset, event) for record in records if (event := self._decoded(record, refused)) is not None]
        self._fetch_users({event.subject for _, event in events})
        for record, error in refused:
            self._dead_letters(record, str(error))
        flush_early = False
        for offset, event in events:
            before, after = self._apply(event, offset)
            flush_early |= self._needs_early_flush(event, after)
            if offset > self._counters.applied:
                self._waiting.append(transition(before, after, event, offset))
        for state in (self._users, self._counters):
            state.applied = max(state.applied, records[-1].offset if records else -1)
        if flush_early:
            self.flush(now)
        passivated = self.guests.stage() if self._users.applied > self._users.committed else 0
        self._users.commit()
        metrics.PASSIVATED.inc(passivated)
        if len(self._waiting) >= MAX_WAITING_TRANSITIONS or self._is_due(
            now, BACKLOG_DELAY_SECONDS if len(records) >= BACKLOG_BATCH else 0.0
        ):
            self.flush(now)

    def tick(self, now: float) -> None:
        """Flush ``aggregates`` if a commit is due, or if many events wait, because the worker is idle now."""
        if self._is_due(now) or len(self._waiting) >= BACKLOG_BATCH:
            self.flush(now)

    def _is_due(self, now: float, delay: float = 0.0) -> bool:
        # If the clock was set back, a commit is due too.
        return not self._due - self._flush_seconds <= now < self._due + delay

    def _decoded(self, record: Record, refused: list[tuple[Record, Undecodable]]) -> LoggedEvent | None:
        if record.value is None or record.offset <= min(self._users.applied, self._counters.applied):
            return None
        try:
            return decode_event(record.value, record.timestamp_ms)
        except Undecodable as error:
            # If the fence of users is past the record, its dead letter was written before.
            if record.offset > self._users.applied:
                refused.append((record, error))
            return None

    def _fetch_users(self, subjects: set[str]) -> None:
        """Read the values of these users. If values are past the fence, raises FenceMoved where another writer wrote them.

        Where the fence has not moved, nobody can have committed them, and it raises ValueCorrupt.
        """
        self._users.fetch(subjects)
        self.guests.activate(subjects)
        ahead = [subject for subject in subjects if self._users[subject].offset > self._users.applied]
        if not ahead:
            return
        fence = self._store.fence(self._partition, Signal.USERS)
        if fence is None or fence.offset != self._users.committed or self._users.applied != self._users.committed:
            raise FenceMoved(self._partition, Signal.USERS, fence)
        raise ValueCorrupt(self._partition, Signal.USERS, sorted(ahead), f"it is ahead of the fence {fence.offset}")

    def _apply(self, event: LoggedEvent, offset: int) -> tuple[users.UserValue, users.UserValue]:
        before = self._users[event.subject]
        if offset <= self._users.applied:
            return before, before
        after = users.fold(before, event, offset)
        if event.type == "forget":
            self._forgets(self._notice(before, event, offset))
        self._users.put(event.subject, after)
        if users.removes_history(event):
            self._packing.shorten(event.subject)
        self._users.applied = offset
        return before, after

    def _notice(self, before: users.UserValue, event: LoggedEvent, offset: int) -> ForgetNotice:
        return ForgetNotice(
            event_id=event.event_id,
            subject=event.subject,
            links=before.links,
            log_id=self._log_id,
            partition=self._partition,
            offset=offset,
            at=event.received_at,
        )

    def _needs_early_flush(self, event: LoggedEvent, after: users.UserValue) -> bool:
        """True if ``users`` will drop entries that ``aggregates`` has not read. Then ``aggregates`` is committed first."""
        return users.removes_history(event) or users.will_drop_unread(after, self._counters.committed, HISTORY)

    def flush(self, now: float) -> None:
        """Fold the waiting transitions and commit ``aggregates``. ``process`` has committed ``users``."""
        self._counters.change(aggregates.changes(self._waiting))
        self._waiting.clear()
        self._counters.commit()
        seconds = self._flush_seconds
        self._due = now + seconds - (now - self._flush_phase) % seconds if seconds else now


class UpsertProcessor(Generic[View]):
    """Folds a partition of the items or users topic into views: the current items, or attributes of users."""

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
        self._views: SignalState[View | None] = SignalState(
            store, partition, signal, log_id, WholeValues(self._read, self._written)
        )
        self.guests = None
        self._dead_letters = dead_letters
        self._decode: Callable[[bytes], View] = decode
        self._fold: Callable[[View | None, Upsert, int], View] = fold

    def _read(self, _: str, data: bytes | None) -> View | None:
        return None if data is None else self._decode(data)

    @staticmethod
    def _written(view: View | None) -> bytes | None:
        """The stored view; None removes it. A user whose attributes are deleted leaves no id behind."""
        assert view is not None
        return None if isinstance(view, Profile) and view.deleted else encode_view(view)

    @property
    def flushed(self) -> bool:
        """Always true, because ``process`` commits all records of a batch."""
        return True

    def resume(self) -> int:
        """Drop the memory and read the fence. Returns the first offset to read."""
        self._views.open()
        return self._views.applied + 1

    def process(self, records: Sequence[Record], now: float) -> None:  # noqa: ARG002 - the port's signature
        """Apply consecutive upserts, then commit."""
        for record in records:
            if record.offset > self._views.applied:
                self._apply(record)
                self._views.applied = record.offset
        self._views.commit()

    def tick(self, now: float) -> None:
        """Do nothing, because ``process`` commits each batch."""

    def flush(self, now: float) -> None:
        """Do nothing, because ``process`` commits each batch."""

    def _apply(self, record: Record) -> None:
        if record.value is None:
            return
        try:
            upsert = decode_upsert(record.value)
            self._views.fetch({upsert.id})
            self._views.put(upsert.id, self._fold(self._views[upsert.id], upsert, record.offset))
        except (Undecodable, msgspec.ValidationError) as error:
            self._dead_letters(record, str(error))


def processor_for(
    topic: str,
    partition: int,
    log_id: str,
    store: SignalStore,
    dead_letters: DeadLetterSink,
    forgets: ForgetSink = no_notice,
    *,
    in_parts: bool = False,
) -> Processor:
    """Returns the processor of one partition of a topic of facts. Raises KeyError for any other topic.

    ``in_parts``: whether large values of users are stored in two parts.
    """
    if topic == topics.EVENTS:
        return EventProcessor(partition, log_id, store, dead_letters, forgets=forgets, in_parts=in_parts)
    if topic == topics.ITEMS:
        return UpsertProcessor(partition, log_id, store, dead_letters, Signal.ITEMS, decode_item, catalogue.fold_item)
    if topic == topics.USERS:
        return UpsertProcessor(
            partition, log_id, store, dead_letters, Signal.PROFILES, decode_profile, catalogue.fold_profile
        )
    raise KeyError(topic)
