"""The log with its past: records that retention has removed are read from the archive."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from schemas.log.records import Record
from schemas.ports import Archive, LogReader


class WholeLog:
    """A LogReader that begins where the archive begins, if the archive reaches the log without a gap. For one thread."""

    def __init__(self, reader: LogReader, archive: Archive) -> None:
        self._reader, self._archive = reader, archive
        self._archived: Iterator[Record] = iter(())
        self._upcoming: tuple[str, int, int] | None = None
        """Topic, partition and offset of the record after the last one that was read from the archive."""

    def log_id(self, topic: str) -> str:
        """See LogReader."""
        return self._reader.log_id(topic)

    def partitions(self, topic: str) -> int:
        """See LogReader."""
        return self._reader.partitions(topic)

    def ends(self) -> dict[tuple[str, int], int]:
        """See LogReader."""
        return self._reader.ends()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset from which on archive and log hold everything, and the offset after the last."""
        begin, end = self._reader.bounds(topic, partition)
        log_id = self._reader.log_id(topic)
        ranges = [r for r in self._archive.ranges(topic) if r.log_id == log_id and r.partition == partition]
        first = begin
        for archived in sorted(ranges, key=lambda archived: archived.end, reverse=True):
            if archived.end >= first:
                first = min(first, archived.begin)
        return first, end

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """See LogReader. Records of the archive come first, then those of the log."""
        begin, _ = self._reader.bounds(topic, partition)
        if offset < begin:
            records = self._read_archive(topic, partition, offset, begin, limit)
            if records:
                return records
        return self._reader.read(topic, partition, offset, limit)

    def close(self) -> None:
        """See LogReader."""
        self._reader.close()

    def _read_archive(self, topic: str, partition: int, offset: int, begin: int, limit: int) -> list[Record]:
        if self._upcoming != (topic, partition, offset):
            self._archived = self._archive.read(topic, self._reader.log_id(topic), partition, offset, begin)
        records = list(islice(self._archived, limit))
        self._upcoming = (topic, partition, records[-1].offset + 1) if records else None
        return records
