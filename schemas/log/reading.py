"""Reads the log: a partition from one offset to another, or a whole topic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from schemas.log.records import Record
from schemas.ports import LogReader

_BATCH: Final = 500


def records_between(
    reader: LogReader, topic: str, partition: int, begin: int, end: int, batch_size: int = _BATCH
) -> Iterator[Record]:
    """The records at offsets ``[begin, end)``, in order, as far as the log has them. Blocks; raises LogUnavailable."""
    offset = begin
    while offset < end and (batch := reader.read(topic, partition, offset, batch_size)):
        yield from (record for record in batch if record.offset < end)
        offset = batch[-1].offset + 1


def records_of(reader: LogReader, topic: str, batch_size: int = _BATCH) -> Iterator[Record]:
    """The records that a topic has now, in order within each partition. Blocks; raises LogUnavailable."""
    for partition in range(reader.partitions(topic)):
        yield from records_between(reader, topic, partition, *reader.bounds(topic, partition), batch_size)
