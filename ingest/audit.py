"""Reads the audit log, and an item's value before a change, from the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from schemas.access.audit import AuditRecord, decode_audit
from schemas.catalogue import Item, decode_upsert
from schemas.errors import ConfigurationInvalid, Undecodable
from schemas.log import topics
from schemas.log.reading import records_between
from schemas.log.records import OffsetToken, Record
from schemas.ports import LogReader
from signals.catalogue import fold_item

_ITEM: Final = "item "


class AuditEntry(NamedTuple):
    """One record of the audit log, and where it stands."""

    token: OffsetToken
    record: AuditRecord


def newest(reader: LogReader, limit: int, actor: str | None = None) -> list[AuditEntry]:
    """The newest records, newest first; with ``actor`` those of one key, account or system user. Raises LogUnavailable."""
    entries = [
        entry
        for partition in range(reader.partitions(topics.AUDIT))
        for entry in _of_partition(reader, partition)
        if actor is None or entry.record.actor == actor
    ]
    return sorted(entries, key=lambda entry: entry.record.at, reverse=True)[:limit]


def tail(reader: LogReader, limit: int) -> list[AuditEntry]:
    """The newest ``limit`` records, newest first. Reads the end of each partition alone. Raises LogUnavailable."""
    entries: list[AuditEntry] = []
    for partition in range(reader.partitions(topics.AUDIT)):
        begin, end = reader.bounds(topics.AUDIT, partition)
        entries += _entries(records_between(reader, topics.AUDIT, partition, max(begin, end - limit), end))
    return sorted(entries, key=lambda entry: entry.record.at, reverse=True)[:limit]


def find(reader: LogReader, token: OffsetToken) -> AuditEntry:
    """The record at a position; raises ConfigurationInvalid if there is none."""
    for record in reader.read(topics.AUDIT, token.partition, token.offset, 1):
        if record.offset == token.offset:
            return AuditEntry(token, decode_audit(record.value or b""))
    raise ConfigurationInvalid(f"there is no audit record at {token}: see `freshet audit list`")


def before_change(reader: LogReader, record: AuditRecord) -> Any:
    """The value before a change: as the record has it, or for an item the changes on the log that came before.

    Reads the partition of the item from its beginning. Raises LogUnavailable.
    """
    if record.before is not None or not record.offset or not record.target.startswith(_ITEM):
        return record.before
    token, item_id = OffsetToken.parse(record.offset), record.target.removeprefix(_ITEM)
    item: Item | None = None
    for earlier in _records(reader, topics.ITEMS, token.partition, token.offset):
        if earlier.key == item_id.encode() and earlier.value is not None:
            item = _folded(item, earlier.value, earlier.offset)
    return None if item is None or item.deleted else msgspec.to_builtins(item)


def _folded(item: Item | None, value: bytes, offset: int) -> Item | None:
    try:
        return fold_item(item, decode_upsert(value), offset)
    except (Undecodable, msgspec.ValidationError):
        # Nearline refuses such a record too.
        return item


def _of_partition(reader: LogReader, partition: int) -> Iterator[AuditEntry]:
    _, end = reader.bounds(topics.AUDIT, partition)
    return _entries(_records(reader, topics.AUDIT, partition, end))


def _entries(records: Iterable[Record]) -> Iterator[AuditEntry]:
    """The records that can be read."""
    for record in records:
        try:
            yield AuditEntry(OffsetToken(record.partition, record.offset), decode_audit(record.value or b""))
        except Undecodable:
            continue


def _records(reader: LogReader, topic: str, partition: int, end: int) -> Iterator[Record]:
    """The records of a partition before offset ``end``."""
    begin, _ = reader.bounds(topic, partition)
    return records_between(reader, topic, partition, begin, end)
