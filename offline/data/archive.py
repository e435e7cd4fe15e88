"""Copies new records of the log into the archive, in one process. ``offline.jobs.archive_on_spark`` does it on Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import structlog

from offline.metrics import ARCHIVE_MISSED, ARCHIVED
from schemas.log import topics as names
from schemas.log.records import Record
from schemas.ports import Archive, LogReader

BATCH: Final = 50_000
"""Limit of records in one archived file."""

Progress = Callable[[str, int, int], None]
"""Called with the name of the step, and how much of its work is done, and in all."""

_log = structlog.get_logger()


class Planned(NamedTuple):
    """Records of one partition that are on the log and not yet archived: ``[begin, end)``."""

    topic: str
    log_id: str
    partition: int
    begin: int
    end: int


class Archived(NamedTuple):
    """Result of one run."""

    records: int
    """Number of records that were written."""
    missed: int
    """Number of records that the log had dropped before they were archived."""


def quiet(step: str, done: int, total: int) -> None:
    """Shows no progress."""


def plan(reader: LogReader, archive: Archive, topics: Sequence[str] = names.FACTS) -> tuple[list[Planned], int]:
    """Returns the ranges to archive now, and the number of records that the log lost unarchived. Raises LogUnavailable."""
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
    """Archive the records that the log holds now and the archive does not. Raises LogUnavailable, OSError.

    Continues after the last archived record of the present log. Records that arrive meanwhile are left for the next run.
    """
    planned, missed = plan(reader, archive, topics)
    total, done = sum(planned_range.end - planned_range.begin for planned_range in planned), 0
    for planned_range in planned:
        for records in _batches(reader, planned_range, batch):
            archive.write(planned_range.log_id, records)
            done += len(records)
            ARCHIVED.labels(planned_range.topic).inc(len(records))
            progress(f"archiving {planned_range.topic}", done, total)
    return Archived(done, missed)


def _batches(reader: LogReader, planned: Planned, size: int) -> Iterator[list[Record]]:
    """Yields the planned records in batches of ``size``. A log may return fewer at a time, but small files would be slow."""
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
