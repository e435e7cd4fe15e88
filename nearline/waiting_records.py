"""The records that were delivered to a partition worker and wait to be applied."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from schemas.log.records import Record

MAX_UNAPPLICABLE: Final = 2_000
"""Limit of records that wait behind a gap or a failure. A full worker would stop the deliveries to all partitions."""


class WaitingRecords:
    """Delivered records in ascending order of offsets. ``offer`` and ``len`` are for any thread, the rest for the worker's."""

    def __init__(self, skipped: Callable[[int], None]) -> None:
        """``skipped`` receives the number of records that are dropped because they are late or repeated."""
        self._offered: deque[Record] = deque()
        self._pending: deque[Record] = deque()
        self._skipped = skipped

    def __len__(self) -> int:
        return len(self._offered) + len(self._pending)

    @property
    def first(self) -> int | None:
        """Offset of the first sorted record; None if there is none."""
        return self._pending[0].offset if self._pending else None

    def offer(self, record: Record) -> None:
        """Take a delivered record. Records may come in any order."""
        self._offered.append(record)

    def sort(self, position: int) -> None:
        """Sort in what was offered. Drop what is late or repeated; the worker reads it from the log if it needs it."""
        skipped = 0
        while self._offered:
            record = self._offered.popleft()
            if record.offset < position or (self._pending and record.offset <= self._pending[-1].offset):
                skipped += 1
            else:
                self._pending.append(record)
        while self._pending and self._pending[0].offset < position:
            self._pending.popleft()
            skipped += 1
        if skipped:
            self._skipped(skipped)

    def consecutive(self, position: int, limit: int) -> list[Record]:
        """Returns the sorted records from a position on, up to the next gap."""
        records: list[Record] = []
        for record in islice(self._pending, limit):
            if record.offset != position + len(records):
                break
            records.append(record)
        return records

    def drop_before(self, position: int) -> None:
        """Drop the sorted records before a position, because they are applied."""
        while self._pending and self._pending[0].offset < position:
            self._pending.popleft()

    def drop_excess(self) -> int:
        """If more than MAX_UNAPPLICABLE wait, drop all. Returns the offset after the last one dropped, or 0."""
        if len(self) <= MAX_UNAPPLICABLE:
            return 0
        end = 0
        for records in (self._pending, self._offered):
            while records:
                end = max(end, records.popleft().offset + 1)
        return end
