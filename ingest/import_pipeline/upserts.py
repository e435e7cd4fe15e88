"""What the log says last of each item or user, so that an import appends only what changes it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

import msgspec

from schemas.catalogue import decode_upsert
from schemas.errors import Undecodable
from schemas.log.records import LogEntry
from schemas.ports import LogReader

_READ: Final = 5_000
"""Records read at once."""
_encode = msgspec.json.Encoder(order="sorted").encode


class NewestUpserts:
    """A hash of the newest change of each key of a topic; reads the log when it is first asked."""

    def __init__(self, reader: LogReader | None, topic: str) -> None:
        self._reader, self._topic = reader, topic
        self._newest: dict[bytes, bytes] | None = None

    def replace(self, entry: LogEntry) -> bool:
        """Takes an entry as its key's newest change. Returns False if the newest change is the same one."""
        if self._newest is None:
            self._newest = dict(_changes(self._reader, self._topic)) if self._reader else {}
        digest = _digest(entry.value)
        changed = self._newest.get(entry.key) != digest
        self._newest[entry.key] = digest
        return changed


def _changes(reader: LogReader, topic: str) -> Iterator[tuple[bytes, bytes]]:
    for partition in range(reader.partitions(topic)):
        offset, end = reader.bounds(topic, partition)
        while offset < end and (records := reader.read(topic, partition, offset, _READ)):
            offset = records[-1].offset + 1
            yield from ((record.key, _digest(record.value)) for record in records)


def _digest(value: bytes | None) -> bytes:
    """A hash of a change without the time at which it was received."""
    try:
        upsert = decode_upsert(value or b"")
    except Undecodable:
        return b""
    return blake2b(_encode((upsert.op, upsert.fields)), digest_size=8).digest()
