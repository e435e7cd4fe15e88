"""Reads a partition of the log from one offset to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from schemas.log.records import Record
from schemas.ports import LogReader

_BATCH: Final = 500


def records_between(reader: LogReader, topic: str, partition: int, begin: int, end: int) -> Iterator[Record]:
    """The records at offsets ``[begin, end)``, in order, as far as the log has them. Blocks; raises LogUnavailable."""
    offset = begin
    while offset < end and (batch := reader.read(topic, partition, offset, _BATCH)):
        yield from (record for record in batch if record.offset < end)
        offset = batch[-1].offset + 1
