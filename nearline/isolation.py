"""Isolates poison: a record at which a fold raises becomes a dead letter, and all other records are applied.

The records of a batch are folded and committed together, so an exception does not say which record raised it. After an
exception the memory is dropped, and the records after the fences are applied again one at a time, each with its own commits.
The record at which that raises again is the poison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import structlog

from nearline.dead_letters import DeadLetterSink
from nearline.passivation.guests import PassivatedGuests
from nearline.processor import Processor
from schemas.log.records import Record

RECORD_FAULTS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""Exceptions that the content of a record can cause. All others, such as OSError and MemoryError, say nothing about a record."""

_LONGEST: Final = 500
"""Limit of characters of an exception in the process's own log."""

_log = structlog.get_logger(__name__)


class IsolatingProcessor:
    """Applies records to a processor. A record at which it raises one of RECORD_FAULTS becomes a dead letter.

    A signal leaves out each record at which its own fold raises. So the values do not depend on how the log is cut into
    batches, and a second fold of the log gives the same values.
    """

    def __init__(self, processor: Processor, dead_letters: DeadLetterSink) -> None:
        self._processor, self._dead_letters = processor, dead_letters
        self._suspect_until = -1
        """Offset up to which records are applied one at a time."""
        self._accused = -1
        """Offset of the record that raised alone once. If it raises again, it is poison, and no passing failure of a store."""
        self._poison: set[int] = set()
        self._applied = -1

    @property
    def flushed(self) -> bool:
        """True if every signal has committed all applied records."""
        return self._processor.flushed

    @property
    def guests(self) -> PassivatedGuests | None:
        """The guests whose values are let go; None if the topic has no guests."""
        return self._processor.guests

    def resume(self) -> int:
        """Drop the memory and read the fences. Returns the first offset to read."""
        position = self._processor.resume()
        self._applied = position - 1
        return position

    def process(self, records: Sequence[Record], now: float) -> int | None:
        """Apply consecutive records. Returns None, or the offset from which they have to be given again."""
        for batch, alone in self._batches(records):
            try:
                self._processor.process(self._without_poison(batch), now)
                if alone:
                    self._processor.flush(now)
            except RECORD_FAULTS as error:
                return self._accuse(batch[0], error) if alone else self._suspect(batch[-1].offset, error)
            self._applied = batch[-1].offset
        return None

    def tick(self, now: float) -> int | None:
        """Make the commits that are due. Returns None, or the offset from which records have to be given again."""
        try:
            self._processor.tick(now)
        except RECORD_FAULTS as error:
            return self._suspect(self._applied, error)
        return None

    def _batches(self, records: Sequence[Record]) -> Iterator[tuple[Sequence[Record], bool]]:
        """Yields the suspects one at a time and then the others together. True says that the record is alone."""
        first = next((n for n, record in enumerate(records) if record.offset > self._suspect_until), len(records))
        for record in records[:first]:
            yield [record], True
        if first < len(records):
            yield records[first:], False

    def _without_poison(self, records: Sequence[Record]) -> Sequence[Record]:
        """Returns the records, with a tombstone in place of each one that is poison."""
        if not self._poison:
            return records
        return [record._replace(value=None) if record.offset in self._poison else record for record in records]

    def _suspect(self, offset: int, error: Exception) -> int:
        _log.warning("fold_raised", suspect_until=offset, error=repr(error)[:_LONGEST])
        self._suspect_until = offset
        return self.resume()

    def _accuse(self, record: Record, error: Exception) -> int:
        if record.offset in self._poison:
            raise error  # Its value was left out, so the record is not the cause.
        if record.offset == self._accused:
            self._dead_letters(record, f"{type(error).__name__}: {error}")
            self._poison.add(record.offset)
        self._accused = record.offset
        return self.resume()
