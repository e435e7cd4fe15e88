"""Folds single values of a signal again, from their own records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nearline.isolation import IsolatingProcessor
from nearline.processor import processor_for
from nearline.recovery.in_memory_store import InMemorySignalStore
from schemas.catalogue import decode_upsert
from schemas.errors import Undecodable
from schemas.keys import Signal
from schemas.log.codec import decode_event
from schemas.log.records import Record


class ValueFold:
    """The fold of some values of ``users``, ``items`` or ``profiles``, which depend on their own records only."""

    def __init__(self, topic: str, partition: int, log_id: str, signal: Signal, ends: Mapping[str, int]) -> None:
        """``ends`` has, for each key, the offset before which its records count."""
        self._partition, self._signal, self._ends = partition, signal, ends
        self._memory = InMemorySignalStore()
        self._processor = IsolatingProcessor(
            processor_for(topic, partition, log_id, self._memory, _leave_out), _leave_out
        )
        self._processor.resume()

    def fold(self, records: Iterable[Record]) -> None:
        """Apply those of the records that change one of the values. Records come in ascending order of offsets."""
        concerned = [record for record in records if record.offset < self._ends.get(_key_of(record, self._signal), 0)]
        while concerned and (again := self._processor.process(concerned, 0.0)) is not None:
            concerned = [record for record in concerned if record.offset >= again]

    def values(self) -> dict[str, bytes | None]:
        """Returns the values as the store would hold them; None for one that is not there."""
        keys = list(self._ends)
        return dict(zip(keys, self._memory.load(self._partition, self._signal, keys), strict=True))


def _key_of(record: Record, signal: Signal) -> str:
    """Returns the key of the value that a record changes; empty if it changes none."""
    if record.value is None:
        return ""
    try:
        if signal == Signal.USERS:
            return decode_event(record.value, record.timestamp_ms).subject
        return decode_upsert(record.value).id
    except Undecodable:
        return ""


def _leave_out(record: Record, reason: str) -> None:
    """Take a record that cannot be applied. Its dead letter was written when it was applied first."""
