"""The parts of a stack, embedded or cluster, opened when first asked for and closed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from adapters.parquet_archive import ParquetArchive
from deploy.config import Settings
from schemas import site
from schemas.ports import Archive, Documents, Lease, LogReader, LogWriter, ModelStore, RunStore, SignalStore


class _Closeable(Protocol):
    def close(self) -> None: ...


Part = TypeVar("Part", bound=_Closeable)


class Parts(Protocol):
    """What every command works on."""

    @property
    def writer(self) -> LogWriter:
        """Appends to the log."""

    @property
    def reader(self) -> LogReader:
        """Reads the log."""

    @property
    def signals(self) -> SignalStore:
        """The signal store."""

    @property
    def models(self) -> ModelStore:
        """The model store."""

    @property
    def archive(self) -> Archive:
        """The Parquet archive."""

    @property
    def lease(self) -> Lease:
        """Who does a job."""

    @property
    def runs(self) -> RunStore:
        """The records of jobs' runs."""

    @property
    def documents(self) -> Documents:
        """What jobs leave for others to read."""


class _Opened:
    """What is opened, and the archive, which is in a folder everywhere."""

    def __init__(self, folder: Path, settings: Settings, parts: ExitStack) -> None:
        self._folder, self._settings, self._parts = folder, settings, parts

    @cached_property
    def archive(self) -> Archive:
        """``archive/`` in the data folder, or where the settings say."""
        return ParquetArchive(self._settings.archive or self._folder / "archive")

    def _closed(self, part: Part) -> Part:
        """The part, to be closed with all others."""
        return self._parts.enter_context(closing(part))


class EmbeddedParts(_Opened):
    """SQLite files and Parquet in one data folder."""

    def __init__(self, folder: Path, settings: Settings, parts: ExitStack) -> None:
        super().__init__(folder, settings, parts)
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def writer(self) -> LogWriter:
        """Appends to ``log.sqlite``."""
        from adapters.sqlite_log import SqliteLogWriter

        return self._closed(SqliteLogWriter(self._folder, partitions=self._settings.partitions))

    @cached_property
    def reader(self) -> LogReader:
        """Reads ``log.sqlite``."""
        from adapters.sqlite_log import SqliteLogReader

        return self._closed(SqliteLogReader(self._folder))

    @cached_property
    def signals(self) -> SignalStore:
        """``signals.sqlite``."""
        from adapters.sqlite_signals import SqliteSignalStore

        return self._closed(SqliteSignalStore(self._folder))

    @cached_property
    def models(self) -> ModelStore:
        """``models.sqlite``."""
        from adapters.sqlite_models import SqliteModelStore

        return self._closed(SqliteModelStore(self._folder))

    @cached_property
    def lease(self) -> Lease:
        """Locked files in the data folder."""
        from adapters.file_lease import FileLease

        return self._closed(FileLease(self._folder))

    @cached_property
    def runs(self) -> RunStore:
        """``jobs.sqlite``."""
        from adapters.sqlite_jobs import SqliteRuns

        return self._closed(SqliteRuns(self._folder))

    @cached_property
    def documents(self) -> Documents:
        """``jobs.sqlite``."""
        from adapters.sqlite_jobs import SqliteDocuments

        return self._closed(SqliteDocuments(self._folder))


class ClusterParts(_Opened):
    """Kafka, Redis and Cassandra at the addresses of the settings; the archive in a folder."""

    @cached_property
    def writer(self) -> LogWriter:
        """Appends to Kafka."""
        from adapters.kafka_log import KafkaLogWriter

        return self._closed(
            KafkaLogWriter(self._settings.kafka, site.topic_prefix(self._settings.prefix), self._settings.partitions)
        )

    @cached_property
    def reader(self) -> LogReader:
        """Reads Kafka."""
        from adapters.kafka_log import KafkaLogReader

        return self._closed(KafkaLogReader(self._settings.kafka, site.topic_prefix(self._settings.prefix)))

    @cached_property
    def signals(self) -> SignalStore:
        """Redis."""
        from adapters.redis_signals import RedisSignalStore

        return self._closed(RedisSignalStore(self._settings.redis, site.key_prefix(self._settings.prefix)))

    @cached_property
    def models(self) -> ModelStore:
        """Cassandra."""
        from adapters.cassandra_models import CassandraModelStore

        return self._closed(CassandraModelStore(self._settings.cassandra, site.keyspace(self._settings.prefix)))

    @cached_property
    def lease(self) -> Lease:
        """Cassandra."""
        from adapters.cassandra_jobs import CassandraLease

        return self._closed(CassandraLease(self._settings.cassandra, site.keyspace(self._settings.prefix)))

    @cached_property
    def runs(self) -> RunStore:
        """Cassandra."""
        from adapters.cassandra_jobs import CassandraRuns

        return self._closed(CassandraRuns(self._settings.cassandra, site.keyspace(self._settings.prefix)))

    @cached_property
    def documents(self) -> Documents:
        """Cassandra."""
        from adapters.cassandra_jobs import CassandraDocuments

        return self._closed(CassandraDocuments(self._settings.cassandra, site.keyspace(self._settings.prefix)))


@contextmanager
def open_parts(folder: Path, settings: Settings) -> Iterator[Parts]:
    """The parts of the stack that the settings name, closed at the end."""
    kind = ClusterParts if settings.stack == "cluster" else EmbeddedParts
    with ExitStack() as parts:
        yield kind(folder, settings, parts)


def create_cluster(settings: Settings) -> None:
    """Make topics, keyspace and tables where they are missing; raises ServerMissing, ConfigurationInvalid."""
    from adapters.cassandra_models import create_keyspace
    from adapters.kafka_log import create_topics

    create_topics(settings.kafka, site.topic_prefix(settings.prefix), settings.partitions)
    create_keyspace(settings.cassandra, site.keyspace(settings.prefix))
