"""The parts of a stack, embedded or cluster, opened when first asked for and closed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

from adapters.parquet_archive import ParquetArchive
from deploy.config import Settings
from schemas import site
from schemas.ports import Archive, Documents, Lease, LogReader, LogWriter, ModelStore, RunStore, SignalStore


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


class EmbeddedParts:
    """SQLite files and Parquet in one data folder."""

    def __init__(self, folder: Path, settings: Settings, closing: ExitStack) -> None:
        self._folder, self._settings, self._closing = folder, settings, closing
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def writer(self) -> LogWriter:
        """Appends to ``log.sqlite``."""
        from adapters.sqlite_log import SqliteLogWriter

        writer = SqliteLogWriter(self._folder, partitions=self._settings.partitions)
        self._closing.callback(writer.close)
        return writer

    @cached_property
    def reader(self) -> LogReader:
        """Reads ``log.sqlite``."""
        from adapters.sqlite_log import SqliteLogReader

        reader = SqliteLogReader(self._folder)
        self._closing.callback(reader.close)
        return reader

    @cached_property
    def signals(self) -> SignalStore:
        """``signals.sqlite``."""
        from adapters.sqlite_signals import SqliteSignalStore

        store = SqliteSignalStore(self._folder)
        self._closing.callback(store.close)
        return store

    @cached_property
    def models(self) -> ModelStore:
        """``models.sqlite``."""
        from adapters.sqlite_models import SqliteModelStore

        store = SqliteModelStore(self._folder)
        self._closing.callback(store.close)
        return store

    @cached_property
    def archive(self) -> Archive:
        """``archive/`` in the data folder, or where the settings say."""
        return ParquetArchive(self._settings.archive or self._folder / "archive")

    @cached_property
    def lease(self) -> Lease:
        """Locked files in the data folder."""
        from adapters.file_lease import FileLease

        lease = FileLease(self._folder)
        self._closing.callback(lease.close)
        return lease

    @cached_property
    def runs(self) -> RunStore:
        """``jobs.sqlite``."""
        from adapters.sqlite_jobs import SqliteRuns

        runs = SqliteRuns(self._folder)
        self._closing.callback(runs.close)
        return runs

    @cached_property
    def documents(self) -> Documents:
        """``jobs.sqlite``."""
        from adapters.sqlite_jobs import SqliteDocuments

        documents = SqliteDocuments(self._folder)
        self._closing.callback(documents.close)
        return documents


class ClusterParts:
    """Kafka, Redis and Cassandra at the addresses of the settings; the archive in a folder."""

    def __init__(self, folder: Path, settings: Settings, closing: ExitStack) -> None:
        self._folder, self._settings, self._closing = folder, settings, closing

    @cached_property
    def writer(self) -> LogWriter:
        """Appends to Kafka."""
        from adapters.kafka_log import KafkaLogWriter

        writer = KafkaLogWriter(
            self._settings.kafka, site.topic_prefix(self._settings.prefix), self._settings.partitions
        )
        self._closing.callback(writer.close)
        return writer

    @cached_property
    def reader(self) -> LogReader:
        """Reads Kafka."""
        from adapters.kafka_log import KafkaLogReader

        reader = KafkaLogReader(self._settings.kafka, site.topic_prefix(self._settings.prefix))
        self._closing.callback(reader.close)
        return reader

    @cached_property
    def signals(self) -> SignalStore:
        """Redis."""
        from adapters.redis_signals import RedisSignalStore

        store = RedisSignalStore(self._settings.redis, site.key_prefix(self._settings.prefix))
        self._closing.callback(store.close)
        return store

    @cached_property
    def models(self) -> ModelStore:
        """Cassandra."""
        from adapters.cassandra_models import CassandraModelStore

        store = CassandraModelStore(self._settings.cassandra, site.keyspace(self._settings.prefix))
        self._closing.callback(store.close)
        return store

    @cached_property
    def archive(self) -> Archive:
        """``archive/`` in the data folder, or where the settings say."""
        return ParquetArchive(self._settings.archive or self._folder / "archive")

    @cached_property
    def lease(self) -> Lease:
        """Cassandra."""
        from adapters.cassandra_jobs import CassandraLease

        lease = CassandraLease(self._settings.cassandra, site.keyspace(self._settings.prefix))
        self._closing.callback(lease.close)
        return lease

    @cached_property
    def runs(self) -> RunStore:
        """Cassandra."""
        from adapters.cassandra_jobs import CassandraRuns

        runs = CassandraRuns(self._settings.cassandra, site.keyspace(self._settings.prefix))
        self._closing.callback(runs.close)
        return runs

    @cached_property
    def documents(self) -> Documents:
        """Cassandra."""
        from adapters.cassandra_jobs import CassandraDocuments

        documents = CassandraDocuments(self._settings.cassandra, site.keyspace(self._settings.prefix))
        self._closing.callback(documents.close)
        return documents


@contextmanager
def open_parts(folder: Path, settings: Settings) -> Iterator[Parts]:
    """The parts of the stack that the settings name, closed at the end."""
    kind = ClusterParts if settings.stack == "cluster" else EmbeddedParts
    with ExitStack() as closing:
        yield kind(folder, settings, closing)


def create_cluster(settings: Settings) -> None:
    """Make topics, keyspace and tables where they are missing; raises ServerMissing, ConfigurationInvalid."""
    from adapters.cassandra_models import create_keyspace
    from adapters.kafka_log import create_topics

    create_topics(settings.kafka, site.topic_prefix(settings.prefix), settings.partitions)
    create_keyspace(settings.cassandra, site.keyspace(settings.prefix))
