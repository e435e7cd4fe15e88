"""Copies the log into the archive, from where it stopped last time; the single-machine way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import structlog

from offline.metrics import ARCHIVE_MISSED, ARCHIVED
from schemas.log import topics as names
from schemas.log.records import Record
from schemas.ports import Archive, LogReader

BATCH: Final = 50_000
"""Records in one archived file, at most."""

Progress = Callable[[str, int, int], None]
"""Called with the step under way, the records done, and how many there are."""

_log = structlog.get_logger()


class Planned(NamedTuple):
    """Records of one partition that are on the log and not yet archived: ``[begin, end)``."""

    topic: str
    log_id: str
    partition: int
    begin: int
    end: int


class Archived(NamedTuple):
    """What one run did."""

    records: int
    """How many were written."""
    missed: int
    """How many the log had dropped before they were archived."""


def quiet(what: str, done: int, total: int) -> None:
    """Shows no progress."""


def plan(reader: LogReader, archive: Archive, topics: Sequence[str] = names.FACTS) -> tuple[list[Planned], int]:
    """What to archive now, and how many records the log no longer holds; raises LogUnavailable."""
    planned, missed = [], 0
    for topic in topics:
        log_id = reader.log_id(topic)
        ends = {r.partition: r.end for r in archive.ranges(topic) if r.log_id == log_id}
        for partition in range(reader.partitions(topic)):
            first, end = reader.bounds(topic, partition)
            begin = ends.get(partition, 0)
            if max(begin, first) < end:
                missed += _note_missed(topic, partition, begin, first)
                planned.append(Planned(topic, log_id, partition, max(begin, first), end))
    return planned, missed


def archive_log(
    reader: LogReader,
    archive: Archive,
    topics: Sequence[str] = names.FACTS,
    batch: int = BATCH,
    progress: Progress = quiet,
) -> Archived:
    """Archive what the log holds now and the archive does not; raises LogUnavailable, OSError.

    Goes on after what is archived of the very log that is there now. What arrives meanwhile is left for the next run.
    """
    planned, missed = plan(reader, archive, topics)
    total, done = sum(each.end - each.begin for each in planned), 0
    for each in planned:
        for records in _batches(reader, each, batch):
            archive.write(each.log_id, records)
            done += len(records)
            ARCHIVED.labels(each.topic).inc(len(records))
            progress(f"archiving {each.topic}", done, total)
    return Archived(done, missed)


def _batches(reader: LogReader, planned: Planned, size: int) -> Iterator[list[Record]]:
    """The planned records, ``size`` at a time: a log may hand them out in smaller pieces, files should not be so small."""
    batch: list[Record] = []
    offset = planned.begin
    while read := _until(planned.end, reader.read(planned.topic, planned.partition, offset, size - len(batch))):
        offset = read[-1].offset + 1
        batch += read
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _until(end: int, records: list[Record]) -> list[Record]:
    return [record for record in records if record.offset < end]


def _note_missed(topic: str, partition: int, begin: int, first: int) -> int:
    missed = max(0, first - begin)
    if missed:
        ARCHIVE_MISSED.labels(topic).inc(missed)
        _log.warning("records left the log before they were archived", topic=topic, partition=partition, count=missed)
    return missed
