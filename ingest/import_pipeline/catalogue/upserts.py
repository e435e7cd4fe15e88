"""Compares items and users of an import with what the log says last of them, so that only changes are appended."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Protocol

import msgspec

from schemas.catalogue import decode_upsert
from schemas.errors import Undecodable
from schemas.log.reading import records_of
from schemas.log.records import LogEntry
from schemas.ports import LogReader

_BATCH: Final = 5_000
"""Records read at once."""
_encode = msgspec.json.Encoder(order="sorted").encode


class Changes(Protocol):
    """Chooses the entries of a topic that change something."""

    def add(self, entries: Sequence[LogEntry], /) -> list[LogEntry]:
        """Takes entries; returns those that can be appended at once."""

    def changes(self) -> list[LogEntry]:
        """Of the others, those that change something, once all are taken."""


class Upserts:
    """The rows of one import and one topic. Of several rows with the same id, the last one counts.

    A row with a new id can be appended at once. A row that changes one waits until all are read, or each import of a file
    with two rows for one id would write both again.
    """

    def __init__(self, reader: LogReader | None, topic: str) -> None:
        self._reader, self._topic = reader, topic
        self._newest: dict[bytes, bytes] | None = None
        self._waiting: dict[bytes, LogEntry] = {}

    def add(self, entries: Sequence[LogEntry]) -> list[LogEntry]:
        """Takes rows; returns those with new ids."""
        newest = self._on_the_log()
        new = []
        for entry in entries:
            digest, known = _digest(entry.value), newest.get(entry.key)
            if known is None:
                newest[entry.key] = digest
                new.append(entry)
            elif digest != known or entry.key in self._waiting:
                self._waiting[entry.key] = entry
        return new

    def changes(self) -> list[LogEntry]:
        """Of the rows that wait, those that change something."""
        newest = self._on_the_log()
        return [entry for key, entry in self._waiting.items() if newest[key] != _digest(entry.value)]

    def _on_the_log(self) -> dict[bytes, bytes]:
        """By key, a hash of the newest change; reads the log the first time."""
        if self._newest is None:
            records = records_of(self._reader, self._topic, _BATCH) if self._reader else ()
            self._newest = {record.key: _digest(record.value) for record in records}
        return self._newest


def _digest(value: bytes | None) -> bytes:
    """A hash of a change without the time at which it was received."""
    try:
        upsert = decode_upsert(value or b"")
    except Undecodable:
        return b""
    return blake2b(_encode((upsert.op, upsert.fields)), digest_size=8).digest()
