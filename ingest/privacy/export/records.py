"""Reads a topic from its beginning: what only the archive still has, then the log, in batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from ingest.privacy.export.stores import Check
from schemas.log.reading import records_between
from schemas.log.records import Record
from schemas.log.topics import partition_of
from schemas.ports import Archive, LogReader

BATCH: Final = 250
"""Records that are read at once. Some are large, and none of them can be given up half-way."""


class HeldRecord(NamedTuple):
    """A record, and the id of the log that it was written to."""

    log_id: str
    record: Record


class RecordScan:
    """Scans the partitions in which records with certain keys stand."""

    def __init__(self, reader: LogReader, archive: Archive, check: Check) -> None:
        self._reader, self._archive, self._check = reader, archive, check

    def records(self, topic: str, keys: Collection[bytes]) -> Iterator[HeldRecord]:
        """The records of every partition that may hold one of these keys: of earlier logs first, each partition in order."""
        yield from self._of_earlier_logs(topic)
        count = self._reader.partitions(topic)
        for partition in sorted({partition_of(key, count) for key in keys}):
            yield from self._of_partition(topic, partition)

    def _of_earlier_logs(self, topic: str) -> Iterator[HeldRecord]:
        """All of them: another log may have had another number of partitions."""
        log_id = self._reader.log_id(topic)
        earlier = {(found.log_id, found.partition) for found in self._archive.ranges(topic) if found.log_id != log_id}
        for other_id, partition in sorted(earlier):
            ends = [found.end for found in self._archive.ranges(topic) if found[:2] == (other_id, partition)]
            yield from self._archived(topic, other_id, partition, max(ends, default=0))

    def _of_partition(self, topic: str, partition: int) -> Iterator[HeldRecord]:
        log_id = self._reader.log_id(topic)
        # The end is read first: what comes later is not waited for.
        begin, end = self._reader.bounds(topic, partition)
        yield from self._archived(topic, log_id, partition, begin)
        records = records_between(self._reader, topic, partition, begin, end, BATCH)
        for record in checked(records, self._check):
            yield HeldRecord(log_id, record)

    def _archived(self, topic: str, log_id: str, partition: int, end: int) -> Iterator[HeldRecord]:
        records = self._archive.read(topic, log_id, partition, 0, end) if end else ()
        for record in checked(records, self._check):
            yield HeldRecord(log_id, record)


def checked(records: Iterable[Record], check: Check) -> Iterator[Record]:
    """The records, with a check before each BATCH of them is read."""
    check()
    for number, record in enumerate(records, 1):
        yield record
        if number % BATCH == 0:
            check()
