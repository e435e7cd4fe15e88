"""Removes raw events whose type is kept for fewer days: they become tombstones, so that no offset is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from schemas.log import topics
from schemas.log.records import Record
from schemas.ports import LogReader, Rewritable

DAY_MS: Final = 86_400_000.0
IsHeld = Callable[[str, Record], bool]
"""Takes the id of a log and a record. True if that log holds the record and cannot remove it, so it has to stay."""


class _Typed(msgspec.Struct):
    type: str = ""


_DECODER: Final = msgspec.json.Decoder(_Typed)


def expire(
    stores: Sequence[Rewritable], days: Mapping[str, float], now: float, is_held: IsHeld = lambda _, __: False
) -> Counter[str]:
    """Removes the events that the log received more than their type's ``days`` before ``now`` (seconds since 1970).

    Returns the number of removed records by type. It may be called again. Raises OSError, LogUnavailable.
    """
    until = {kind: now * 1_000.0 - kept * DAY_MS for kind, kept in days.items()}
    removed: Counter[str] = Counter()

    def change(log_id: str, record: Record) -> Record:
        kind = _type_of(record)
        if record.timestamp_ms >= until.get(kind, 0.0) or is_held(log_id, record):
            return record
        removed[kind] += 1
        return record._replace(key=b"", value=None)

    names = [f'"{kind}"'.encode() for kind in days]
    for store in stores if days else ():
        store.rewrite(topics.EVENTS, names, change)
    return removed


def held_by(reader: LogReader) -> IsHeld:
    """Returns what the log still holds now. Raises LogUnavailable."""
    current = reader.log_id(topics.EVENTS)
    begins = [reader.bounds(topics.EVENTS, partition)[0] for partition in range(reader.partitions(topics.EVENTS))]

    def is_held(log_id: str, record: Record) -> bool:
        return log_id == current and record.partition < len(begins) and record.offset >= begins[record.partition]

    return is_held


def _type_of(record: Record) -> str:
    try:
        return _DECODER.decode(record.value or b"").type
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
