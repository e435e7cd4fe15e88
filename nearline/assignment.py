"""The partitions that one worker keeps: each applied in order from its fence on, whatever arrives.

Records are offered as the group's consumer delivers them. What counts is only where a lane stands: an
offset before that is skipped, and where offsets are missing in between (after a lost commit, a store that
went back, a seek that came late) the lane reads them from the log itself. So no rebalance, duplicate or
reordering of the deliveries can lose or double a record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import structlog

from nearline import metrics
from nearline.processor import SIGNALS, Processor, Refuse, processor_for
from schemas.errors import FenceMoved, LogReplaced, LogUnavailable, StoreUnavailable
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.log.records import Record
from schemas.ports import Clock, LogReader, SignalStore

BATCH: Final = 1_000
"""Records that one lane applies before the next has its turn."""
TURN_SECONDS: Final = 0.25
"""A turn ends after this, so that a rebalance never waits long for the thread."""
TICK_SECONDS: Final = 0.1
"""How often a lane without records looks whether something is due."""
FIRST_BACKOFF_SECONDS: Final = 0.05
LAST_BACKOFF_SECONDS: Final = 1.0

Catchup = Callable[[str, int, int, int], Iterator[Record]]
"""Called with topic, partition and ``[begin, end)``: those records from the archive, as many as it has."""

log = structlog.get_logger()


def no_archive(_topic: str, _partition: int, _begin: int, _end: int) -> Iterator[Record]:
    """The Catchup of a worker without an archive."""
    return iter(())


class Parts(NamedTuple):
    """What every lane works with; used on one thread."""

    reader: LogReader
    store: SignalStore
    refuse: Refuse
    catchup: Catchup
    clock: Clock


class Lane:
    """One partition of one topic. ``offer`` may be called from another thread than the rest."""

    def __init__(self, topic: str, partition: int, parts: Parts) -> None:
        self.topic, self.partition, self._parts = topic, partition, parts
        self.log_id: str | None = None
        self.next = 0
        """The next offset to apply; all before it is committed."""
        self.target = 0
        """The log's end as it was when the lane was opened: up to here it reads by itself."""
        self._begin = 0
        self._inbox: deque[Record] = deque()
        self._held: deque[Record] = deque()
        self._archived: Iterator[Record] | None = None
        self._processor: Processor | None = None
        self._backoff, self._not_before = FIRST_BACKOFF_SECONDS, 0.0
        self._doubted = False
        self._turned = 0.0
        self._applied, self._skipped = (metrics.EVENTS.labels(topic, outcome) for outcome in ("applied", "skipped"))

    @property
    def waiting(self) -> int:
        """Records offered and not yet applied."""
        return len(self._inbox) + len(self._held)

    @property
    def opened(self) -> bool:
        """Whether its fences have been read."""
        return self._processor is not None

    def offer(self, record: Record) -> None:
        """Take a delivered record; order and gaps are this lane's business."""
        self._inbox.append(record)

    def doubt(self) -> None:
        """Read the fences again before anything else is applied. For any thread."""
        self._doubted = True

    def turn(self) -> bool:
        """Apply what is due; True where more could be done at once. Raises LogReplaced."""
        now = self._parts.clock()
        if now < self._not_before or (self._idle() and 0.0 <= now - self._turned < TICK_SECONDS):
            return False
        self._turned = now
        try:
            self.open()
            self._advance(now)
        except FenceMoved as moved:
            log.warning("fence_moved", topic=self.topic, partition=self.partition, signal=moved.signal)
            self._start_over("fence_moved")
        except StoreUnavailable as error:
            metrics.STORE_RETRIES.inc()
            self._wait(error, now)
        except LogUnavailable as error:
            self._wait(error, now)
        else:
            self._backoff = FIRST_BACKOFF_SECONDS
        return self._not_before <= now and (self._processor is None or self._behind() or bool(self._held))

    def open(self) -> None:
        """Read the fences, where that is due; raises StoreUnavailable, LogUnavailable, LogReplaced."""
        if self._doubted:
            self._doubted = False
            self._processor = None
        if self._processor is not None:
            return
        log_id = self._parts.reader.log_id(self.topic)
        if self.log_id not in (None, log_id):
            raise LogReplaced(f"the log of {self.topic} was {self.log_id} and is {log_id} now")
        self.log_id = log_id
        fences = {signal: self._parts.store.fence(self.partition, signal) for signal in SIGNALS[self.topic]}
        self._begin, self.target = self._parts.reader.bounds(self.topic, self.partition)
        for signal, fence in fences.items():
            self._forget_another_past(signal, fence, log_id)
        processor = processor_for(self.topic, self.partition, log_id, self._parts.store, self._parts.refuse)
        self.next = processor.resume()
        self._archived = None
        self._processor = processor

    def _forget_another_past(self, signal: str, fence: Fence | None, log_id: str) -> None:
        """Values of another log, or of records that this one has lost, are begun anew."""
        if fence is None or (fence.log_id == log_id and fence.offset < self.target):
            return
        log.warning(
            "signal_rebuilt", topic=self.topic, partition=self.partition, signal=signal, fence=str(fence), log_id=log_id
        )
        metrics.REBUILDS.labels(self.topic).inc()
        self._parts.store.reset(self.partition, signal, fence, Fence(log_id, -1))

    def _advance(self, now: float) -> None:
        assert self._processor is not None
        self._take_in()
        if self._held and self._held[0].offset == self.next:
            self._apply_held(self._processor, now)
        elif self._behind():
            self._apply_missing(self._processor, now)
        else:
            self._processor.tick(now)

    def _take_in(self) -> None:
        """Sort deliveries in: only what goes on from the last one held; the rest is read from the log."""
        skipped = 0
        while self._inbox:
            record = self._inbox.popleft()
            if record.offset < self.next or (self._held and record.offset <= self._held[-1].offset):
                skipped += 1
            else:
                self._held.append(record)
        while self._held and self._held[0].offset < self.next:
            self._held.popleft()
            skipped += 1
        if skipped:
            self._skipped.inc(skipped)

    def _idle(self) -> bool:
        return self.opened and not self._doubted and not self._inbox and not self._held and not self._behind()

    def _behind(self) -> bool:
        return self.next < max(self.target, self._held[0].offset if self._held else 0)

    def _apply_held(self, processor: Processor, now: float) -> None:
        records: list[Record] = []
        for record in islice(self._held, BATCH):
            if record.offset != self.next + len(records):
                break
            records.append(record)
        self._apply(processor, records, now)
        for _ in records:
            self._held.popleft()

    def _apply_missing(self, processor: Processor, now: float) -> None:
        """Apply what was not delivered, up to what was."""
        until = self._held[0].offset if self._held else self.target
        if self.next < self._begin:
            self._apply(processor, self._from_archive(), now)
            return
        found = self._parts.reader.read(self.topic, self.partition, self.next, min(BATCH, until - self.next))
        self._apply(processor, [record for record in found if record.offset < until], now)
        if not found or found[-1].offset >= until:
            self.next = until  # offsets without records: markers of transactions, or compacted away

    def _apply(self, processor: Processor, records: Sequence[Record], now: float) -> None:
        if not records:
            return
        processor.process(records, now)
        self.next = records[-1].offset + 1
        self._applied.inc(len(records))
        if self.topic == topics.EVENTS:
            done = self._parts.clock()
            for record in records:
                metrics.EVENT_TO_SIGNAL.observe(max(0.0, done - record.timestamp_ms / 1_000))

    def _from_archive(self) -> list[Record]:
        """The next records that retention has taken; where the archive ends, reading goes on at the log's begin."""
        if self._archived is None:
            log.warning(
                "behind_retention", topic=self.topic, partition=self.partition, next=self.next, begin=self._begin
            )
            self._archived = self._parts.catchup(self.topic, self.partition, self.next, self._begin)
        records = [record for record in islice(self._archived, BATCH) if record.offset >= self.next]
        metrics.ARCHIVED.labels(self.topic).inc(len(records))
        missing = (records[0].offset if records else self._begin) - self.next
        if missing:
            log.error("records_missing", topic=self.topic, partition=self.partition, first=self.next, count=missing)
            metrics.MISSING.labels(self.topic).inc(missing)
        if not records:
            self.next = self._begin
        return records

    def _start_over(self, reason: str) -> None:
        metrics.RETRIES.labels(reason).inc()
        self._processor = None

    def _wait(self, error: Exception, now: float) -> None:
        log.warning("nearline_waits", topic=self.topic, partition=self.partition, error=str(error))
        self._start_over(type(error).__name__)
        self._not_before = now + self._backoff
        self._backoff = min(2 * self._backoff, LAST_BACKOFF_SECONDS)


class Assignment:
    """All lanes of one worker. ``offer`` is for the thread that fetches, ``position`` and ``release`` for the event loop.

    The rest is for the one thread that applies.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._log_ids: dict[str, str] = {}
        self._first = 0

    @property
    def lanes(self) -> list[Lane]:
        """The lanes as they are now."""
        return list(self._lanes.values())

    def offer(self, record: Record) -> Lane | None:
        """Hand a delivered record to its lane; one of a partition that is kept elsewhere is let go."""
        lane = self._lanes.get((record.topic, record.partition))
        if lane is not None:
            lane.offer(record)
        return lane

    def position(self, topic: str, partition: int) -> int | None:
        """All before this offset is committed; None where that is not known."""
        lane = self._lanes.get((topic, partition))
        return lane.next if lane is not None and lane.opened else None

    def assign(self, partitions: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Keep exactly these from now on. Gives the offset from which on each wants records delivered.

        Everything before that the lane reads by itself. A lane that cannot be opened yet is left out: from
        wherever its deliveries begin, it fills in the rest. Raises LogReplaced.
        """
        self._lanes = {place: Lane(*place, self._parts) for place in sorted(partitions)}
        self._show()
        for lane in self.lanes:
            lane.log_id = self._log_ids.get(lane.topic)
            try:
                lane.open()
            except (StoreUnavailable, LogUnavailable, FenceMoved) as error:
                log.warning("lane_opens_later", topic=lane.topic, partition=lane.partition, error=str(error))
                break
            self._log_ids[lane.topic] = lane.log_id or ""
        return {(lane.topic, lane.partition): lane.target for lane in self.lanes if lane.opened}

    def release(self, partitions: set[tuple[str, int]]) -> None:
        """Let go of these; what they have applied is committed, the rest is the next worker's."""
        self._lanes = {place: lane for place, lane in self._lanes.items() if place not in partitions}
        self._show()

    def turn(self) -> bool:
        """One turn for each lane, within TURN_SECONDS; True where more could be done at once. Raises LogReplaced."""
        lanes, until, more = self.lanes, self._parts.clock() + TURN_SECONDS, False
        start = self._first % max(1, len(lanes))
        for number, lane in enumerate(lanes[start:] + lanes[:start]):
            more |= lane.turn()
            if self._parts.clock() > until:
                self._first = start + number + 1
                return True
        return more

    def _show(self) -> None:
        for topic in SIGNALS:
            metrics.PARTITIONS.labels(topic).set(sum(lane.topic == topic for lane in self.lanes))
