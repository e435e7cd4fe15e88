"""Archiving as a Spark job: executors read Kafka's partitions in parallel and write the same files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import structlog

from offline.data.archive import BATCH, Archived, Planned, Progress, plan, quiet
from offline.metrics import ARCHIVED
from schemas.log import topics as names
from schemas.log.records import Record
from schemas.ports import Archive, LogReader

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROUND: Final = 20 * BATCH
"""Maximum number of records of one Spark task, so that progress is visible and a lost task costs little."""

_COLUMNS: Final = ("partition", "offset", "timestamp_ms", "key", "value")
_WRITTEN: Final = pa.schema([("records", pa.int64())])

_log = structlog.get_logger()


def archive_log_with_spark(
    session: SparkSession,
    connection: Mapping[str, str],
    prefix: str,
    reader: LogReader,
    archive: Archive,
    topics: Sequence[str] = names.FACTS,
    batch: int = BATCH,
    progress: Progress = quiet,
) -> Archived:
    """Does what ``archive_log`` does, by Spark from Kafka. Raises LogUnavailable, and Spark's errors if a task fails.

    ``connection`` has the options by which Spark connects to Kafka. ``reader`` gives the ranges of the log. ``archive`` is pickled and must be reachable by executors. A new run continues
    after the files of an interrupted one.
    """
    planned, missed = plan(reader, archive, topics)
    total, done = sum(planned_range.end - planned_range.begin for planned_range in planned), 0
    for topic in topics:
        for ranges in _rounds([planned_range for planned_range in planned if planned_range.topic == topic]):
            frame = _read(session, connection, names.topic_name(topic, prefix), ranges)
            written = _write(frame, archive, topic, ranges[0].log_id, batch)
            ARCHIVED.labels(topic).inc(written)
            done += written
            progress(f"archiving {topic}", done, total)
    _log.info("archived", records=done, missed=missed, engine="spark")
    return Archived(done, missed)


def _rounds(planned: Sequence[Planned]) -> Iterator[list[Planned]]:
    """Splits the ranges into rounds of at most ROUND records for each partition."""
    remaining = list(planned)
    while remaining:
        yield [
            planned_range._replace(end=min(planned_range.end, planned_range.begin + ROUND))
            for planned_range in remaining
        ]
        remaining = [
            planned_range._replace(begin=planned_range.begin + ROUND)
            for planned_range in remaining
            if planned_range.begin + ROUND < planned_range.end
        ]


def _read(session: SparkSession, connection: Mapping[str, str], name: str, ranges: Sequence[Planned]) -> DataFrame:
    options = {
        **connection,
        "assign": json.dumps({name: [planned_range.partition for planned_range in ranges]}),
        "startingOffsets": json.dumps(
            {name: {str(planned_range.partition): planned_range.begin for planned_range in ranges}}
        ),
        "endingOffsets": json.dumps(
            {name: {str(planned_range.partition): planned_range.end for planned_range in ranges}}
        ),
    }
    columns = ["partition", "offset", "unix_millis(timestamp) AS timestamp_ms", "key", "value"]
    return session.read.format("kafka").options(**options).load().selectExpr(*columns)


def _write(frame: DataFrame, archive: Archive, topic: str, log_id: str, batch: int) -> int:
    """Writes in each task the partition that it reads. Returns the number of written records."""
    write = partial(_write_task, partial(archive.write, log_id), topic, batch)
    rows = frame.mapInArrow(write, "records BIGINT").collect()
    return sum(row.records for row in rows)


def _write_task(
    write: Callable[[Sequence[Record]], None], topic: str, size: int, read: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for records in _batches((record for rows in read for record in _records(topic, rows)), size):
        write(records)
        yield pa.RecordBatch.from_pydict({"records": [len(records)]}, schema=_WRITTEN)


def _records(topic: str, rows: pa.RecordBatch) -> Iterator[Record]:
    columns: Mapping[str, list[object]] = rows.to_pydict()
    for partition, offset, timestamp_ms, key, value in zip(*(columns[name] for name in _COLUMNS), strict=True):
        # A missing key is read as empty, as KafkaLogReader does.
        yield Record(topic, partition, offset, timestamp_ms, key or b"", value)


def _batches(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    """Yields batches of up to ``size`` records of one partition."""
    batch: list[Record] = []
    for record in records:
        if len(batch) == size or (batch and batch[0].partition != record.partition):
            yield batch
            batch = []
        batch.append(record)
    if batch:
        yield batch
