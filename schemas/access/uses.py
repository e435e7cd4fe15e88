"""When keys were last used, to the hour: records of the topic ``key-uses``."""

from __future__ import annotations

from typing import Final

import msgspec

from schemas.log import topics
from schemas.log.reading import records_between
from schemas.log.records import LogEntry
from schemas.ports import LogReader

HOUR_SECONDS: Final = 3_600


class KeyUse(msgspec.Struct, frozen=True, tag="use"):
    """A key was used in this hour, counted since 1970."""

    id: str
    hour: int


_DECODER: Final = msgspec.json.Decoder(KeyUse)


def use_entry(use: KeyUse) -> LogEntry:
    """The record of a use."""
    return LogEntry(use.id.encode(), msgspec.json.encode(use))


def last_uses(reader: LogReader) -> dict[str, int]:
    """The hour of the last use of each key that the topic names. Blocks; raises LogUnavailable."""
    hours: dict[str, int] = {}
    for partition in range(reader.partitions(topics.KEY_USES)):
        begin, end = reader.bounds(topics.KEY_USES, partition)
        for record in records_between(reader, topics.KEY_USES, partition, begin, end):
            use = _decoded(record.value)
            if use is not None:
                hours[use.id] = max(use.hour, hours.get(use.id, 0))
    return hours


def _decoded(value: bytes | None) -> KeyUse | None:
    try:
        return _DECODER.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
