"""The archive as a Spark job leaves the files that a single process leaves, and goes on where either stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import stamina

from adapters.kafka.access import spark_options
from adapters.parquet.archive import ParquetArchive
from offline.data.archive import Archived, archive_log
from offline.jobs.archive_on_spark import archive_log_with_spark
from schemas.configuration.server_access import NO_ACCESS
from schemas.errors import LogUnavailable
from schemas.log.records import LogEntry
from schemas.log.topics import ALL, FACTS

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(900)]

PARTITIONS = 4


@pytest.fixture
def kafka(kafka_servers, site):
    """A writer and a reader of topics of this test's own."""
    from adapters.kafka.log import KafkaLogReader, KafkaLogWriter, create_topics

    create_topics(kafka_servers, f"{site}.", PARTITIONS)
    writer, reader = KafkaLogWriter(kafka_servers, f"{site}.", PARTITIONS), KafkaLogReader(kafka_servers, f"{site}.")
    _wait_for_leaders(reader)
    yield writer, reader
    writer.close()
    reader.close()


@stamina.retry(on=LogUnavailable, timeout=30, wait_initial=0.1, wait_max=0.5)
def _wait_for_leaders(reader):
    for topic in ALL:
        for partition in range(PARTITIONS):
            reader.bounds(topic, partition)


def append(writer, topic, count, first=0):
    entries = [LogEntry(f"user {i % 50}".encode(), f'{{"ü": {i}}}'.encode() + b"\xff") for i in range(first, count)]
    assert not [fate for fate in writer.append(topic, entries).result(60) if isinstance(fate, Exception)]


def contents(archive, topic):
    """Every file's name, and every record."""
    names = [str(Path(path).relative_to(Path(path).parents[2])) for path in archive.files(topic)]
    found = [record for r in archive.ranges(topic) for record in archive.read(topic, *r)]
    return names, found


def test_spark_writes_the_same_files_and_records(spark, kafka, kafka_servers, site, tmp_path):
    writer, reader = kafka
    single, by_spark = ParquetArchive(tmp_path / "single"), ParquetArchive(tmp_path / "spark")

    def copy_both():
        one = archive_log(reader, single, batch=700)
        return one, archive_log_with_spark(
            spark, spark_options(kafka_servers, NO_ACCESS), f"{site}.", reader, by_spark, batch=700
        )

    append(writer, "events", 5_000)
    append(writer, "items", 100)
    assert copy_both() == (Archived(5_100, 0), Archived(5_100, 0))
    append(writer, "events", 6_000, first=5_000)
    assert copy_both() == (Archived(1_000, 0), Archived(1_000, 0))
    assert copy_both() == (Archived(0, 0), Archived(0, 0))
    for topic in FACTS:
        assert contents(single, topic) == contents(by_spark, topic)
    assert len(contents(by_spark, "events")[1]) == 6_000


def test_a_job_goes_on_after_what_another_left(spark, kafka, kafka_servers, site, tmp_path):
    writer, reader = kafka
    archive, told = ParquetArchive(tmp_path), []
    append(writer, "events", 1_000)
    archive_log(reader, archive)
    append(writer, "events", 1_500, first=1_000)
    done = archive_log_with_spark(
        spark,
        spark_options(kafka_servers, NO_ACCESS),
        f"{site}.",
        reader,
        archive,
        progress=lambda *said: told.append(said),
    )
    assert done == Archived(500, 0)
    assert told[-1] == ("archiving events", 500, 500)
    assert len(contents(archive, "events")[1]) == 1_500
