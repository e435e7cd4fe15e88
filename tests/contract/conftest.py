"""Every adapter of a port, each behind a fixture of its own kind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import stamina

from models.structures.lists import ScoredList
from schemas.errors import LogUnavailable
from schemas.log.topics import FACTS
from schemas.offline.manifest import Manifest
from schemas.ports import (
    Archive,
    Documents,
    Lease,
    ListReader,
    ListRow,
    LogReader,
    LogWriter,
    ModelStore,
    NonceStore,
    RunStore,
    SignalReader,
    SignalStore,
)

T = TypeVar("T")
PARTITIONS = 4


@dataclass
class OpenLog:
    """Opens writers and readers of one log, and closes what is left at the end of the test."""

    writer: Callable[[], LogWriter]
    reader: Callable[[], LogReader]
    patience: float
    """Seconds within which an append must be settled."""


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.stack)])
def open_log(request: pytest.FixtureRequest, tmp_path: Path, site: str) -> Iterator[OpenLog]:
    with ExitStack() as closing:
        make = {"sqlite": _sqlite_log, "kafka": _kafka_log}[request.param]
        writer, reader, patience = make(request, tmp_path, site)
        yield OpenLog(_closed_with(closing, writer), _closed_with(closing, reader), patience)


def _sqlite_log(request, folder, site):
    from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter

    SqliteLogWriter(folder, PARTITIONS).close()
    return lambda: SqliteLogWriter(folder, PARTITIONS), lambda: SqliteLogReader(folder), 10.0


def _kafka_log(request, folder, site):
    from adapters.kafka.log import KafkaLogReader, KafkaLogWriter, create_topics

    servers = request.getfixturevalue("kafka_servers")
    create_topics(servers, f"{site}.", PARTITIONS)
    _wait_for_leaders(KafkaLogReader(servers, f"{site}."))
    return (
        lambda: KafkaLogWriter(servers, f"{site}.", PARTITIONS),
        lambda: KafkaLogReader(servers, f"{site}."),
        60.0,
    )


@stamina.retry(on=LogUnavailable, timeout=30, wait_initial=0.1, wait_max=0.5)
def _wait_for_leaders(reader: LogReader) -> None:
    """A topic made a moment ago may have no leader yet."""
    for topic in FACTS:
        for partition in range(PARTITIONS):
            reader.bounds(topic, partition)
    reader.close()


@dataclass
class OpenSignals:
    """Opens stores and readers of one set of signals; ``run`` runs a reader's coroutine on one event loop."""

    store: Callable[[], SignalStore]
    reader: Callable[[], SignalReader]
    run: Callable[[Coroutine[Any, Any, T]], T]
    damage: Callable[[int, str, str], None]
    """Puts something foreign in a partition's signal: ``fence``, ``type of fence``, ``value of a``."""


REDIS = {"redis": "redis_url", "redis+sentinel": "redis_sentinels", "redis+cluster": "redis_cluster"}
"""The ways of Redis, and the fixture of each."""


@pytest.fixture(params=["sqlite", *(pytest.param(way, marks=pytest.mark.stack) for way in REDIS)])
def open_signals(request: pytest.FixtureRequest, tmp_path: Path, site: str) -> Iterator[OpenSignals]:
    with asyncio.Runner() as runner, ExitStack() as closing:
        make = _sqlite_signals if request.param == "sqlite" else _redis_signals
        store, open_reader, damage = make(request, tmp_path, site)

        def reader() -> SignalReader:
            opened = open_reader()
            closing.callback(lambda: runner.run(opened.close()))
            return opened

        yield OpenSignals(_closed_with(closing, store), reader, runner.run, damage)


def _sqlite_signals(request, folder, site):
    from adapters.sqlite.signals import SqliteSignalReader, SqliteSignalStore

    statements = {
        "fence": 'UPDATE fences SET "offset" = -7 WHERE partition = ? AND signal = ?',
        "type of fence": "UPDATE fences SET log_id = x'ff00' WHERE partition = ? AND signal = ?",
        "value of a": "UPDATE signal_values SET value = 'text' WHERE partition = ? AND signal = ? AND key = 'a'",
    }

    def damage(partition: int, signal: str, what: str) -> None:
        with closing(sqlite3.connect(folder / "signals.sqlite")) as connection, connection:
            connection.execute(statements[what], (partition, signal))

    return lambda: SqliteSignalStore(folder), lambda: SqliteSignalReader(folder), damage


def _redis_address(request: pytest.FixtureRequest) -> str:
    opened = request.getfixturevalue(REDIS[request.param])
    return opened if isinstance(opened, str) else opened.environment["FRESHET_REDIS"]


def _redis_signals(request, folder, site):

    from adapters.redis.signals import RedisSignalReader, RedisSignalStore
    from schemas.keys import fence_key, values_key

    url = _redis_address(request)

    def damage(partition: int, signal: str, what: str) -> None:
        fence, values = (key(f"{site}:", partition, signal) for key in (fence_key, values_key))
        with closing(RedisSignalStore(url)) as store:
            execute = store._connection.execute
            if what == "type of fence":
                execute("DEL", fence)
                execute("RPUSH", fence, "foreign")
            elif what == "fence":
                execute("SET", fence, b"\xff 12@log")
            else:
                execute("HSET", values, "a", b"")

    return lambda: RedisSignalStore(url, f"{site}:"), lambda: RedisSignalReader(url, f"{site}:"), damage


@dataclass
class OpenModels:
    """Opens stores and readers of one set of model versions; ``run`` runs a reader's coroutine on one event loop."""

    store: Callable[[], ModelStore]
    reader: Callable[[], ListReader]
    run: Callable[[Coroutine[Any, Any, T]], T]


@pytest.fixture(params=["sqlite", pytest.param("cassandra", marks=pytest.mark.stack)])
def open_models(request: pytest.FixtureRequest, tmp_path: Path, site: str) -> Iterator[OpenModels]:
    with asyncio.Runner() as runner, ExitStack() as closing:
        make = {"sqlite": _sqlite_models, "cassandra": _cassandra_models}[request.param]
        store, open_reader = make(request, tmp_path, site)

        def reader() -> ListReader:
            opened = open_reader()
            closing.callback(lambda: runner.run(opened.close()))
            return opened

        yield OpenModels(_closed_with(closing, store), reader, runner.run)


def _sqlite_models(request, folder, site):
    from adapters.sqlite.models import SqliteListReader, SqliteModelStore

    return lambda: SqliteModelStore(folder), lambda: SqliteListReader(folder)


def _cassandra_models(request, folder, site):
    from adapters.cassandra.models import CassandraListReader, CassandraModelStore, create_keyspace

    hosts = request.getfixturevalue("cassandra_hosts")
    create_keyspace(hosts, site)
    return lambda: CassandraModelStore(hosts, site), lambda: CassandraListReader(hosts, site)


@dataclass
class OpenLists:
    """Writes versions with their lists, opens readers of them; ``run`` runs a reader's coroutine."""

    write: Callable[[Manifest, dict[str, bytes], dict[str, dict[str, ScoredList]]], None]
    reader: Callable[[], ListReader]
    run: Callable[[Coroutine[Any, Any, T]], T]


@pytest.fixture(params=["sqlite", "parquet", pytest.param("cassandra", marks=pytest.mark.stack)])
def open_lists(request: pytest.FixtureRequest, tmp_path: Path, site: str) -> Iterator[OpenLists]:
    with asyncio.Runner() as runner, ExitStack() as closing:
        make = {"sqlite": _stored_lists, "parquet": _parquet_lists, "cassandra": _stored_lists}[request.param]
        write, open_reader = make(request, tmp_path, site, closing)

        def reader() -> ListReader:
            opened = open_reader()
            closing.callback(lambda: runner.run(opened.close()))
            return opened

        yield OpenLists(write, reader, runner.run)


def _stored_lists(request, folder, site, closing):
    make = {"sqlite": _sqlite_models, "cassandra": _cassandra_models}[request.param]
    open_store, open_reader = make(request, folder, site)
    store = _closed_with(closing, open_store)()

    def write(manifest, values, lists):
        packed = {kind: ((key, each.save()) for key, each in of_kind.items()) for kind, of_kind in lists.items()}
        store.write(manifest, values, packed)

    return write, open_reader


def _parquet_lists(request, folder, site, closing):
    from adapters.parquet.models import ParquetListReader, ParquetVersions

    target = ParquetVersions(str(folder / "exports"))

    def write(manifest, values, lists):
        rows = {
            kind: (ListRow(key, each.item_ids, each.scores) for key, each in of_kind.items())
            for kind, of_kind in lists.items()
        }
        target.write(manifest, values.items(), rows)

    def pack(item_ids, scores):
        return ScoredList(tuple(item_ids), tuple(scores)).save()

    return write, lambda: ParquetListReader(str(folder / "exports"), pack)


@pytest.fixture(params=["parquet"])
def archive(tmp_path: Path) -> Archive:
    from adapters.parquet.archive import ParquetArchive

    return ParquetArchive(tmp_path / "archive")


def _closed_with(closing: ExitStack, opener: Callable[[], T]) -> Callable[[], T]:
    def opened() -> T:
        part = opener()
        closing.callback(part.close)  # type: ignore[attr-defined]
        return part

    return opened


@dataclass
class OpenJobs:
    """Opens what is kept of jobs, each time as another process would."""

    lease: Callable[[], Lease]
    runs: Callable[[], RunStore]
    documents: Callable[[], Documents]


@pytest.fixture(params=["file", pytest.param("cassandra", marks=pytest.mark.stack)])
def open_jobs(request: pytest.FixtureRequest, tmp_path: Path, site: str) -> Iterator[OpenJobs]:
    with ExitStack() as closing:
        make = {"file": _file_jobs, "cassandra": _cassandra_jobs}[request.param]
        yield OpenJobs(*(_closed_with(closing, each) for each in make(request, tmp_path, site)))


def _file_jobs(request, folder, site):
    from adapters.files.lease import FileLease
    from adapters.sqlite.jobs import SqliteDocuments, SqliteRuns

    return lambda: FileLease(folder), lambda: SqliteRuns(folder), lambda: SqliteDocuments(folder)


def _cassandra_jobs(request, folder, site):
    from adapters.cassandra.jobs import CassandraDocuments, CassandraLease, CassandraRuns
    from adapters.cassandra.models import create_keyspace

    hosts = request.getfixturevalue("cassandra_hosts")
    create_keyspace(hosts, site)
    return (
        lambda: CassandraLease(hosts, site),
        lambda: CassandraRuns(hosts, site),
        lambda: CassandraDocuments(hosts, site),
    )


@pytest.fixture(params=["sqlite", *(pytest.param(way, marks=pytest.mark.stack) for way in REDIS)])
def open_nonces(request: pytest.FixtureRequest, tmp_path: Path, site: str) -> Iterator[Callable[[], NonceStore]]:
    with ExitStack() as closing:
        make = _sqlite_nonces if request.param == "sqlite" else _redis_nonces
        yield _closed_with(closing, make(request, tmp_path, site))


def _sqlite_nonces(request, folder, site):
    from adapters.sqlite.nonces import SqliteNonces

    return lambda: SqliteNonces(folder)


def _redis_nonces(request, folder, site):
    from adapters.redis.nonces import RedisNonces

    url = _redis_address(request)
    return lambda: RedisNonces(url, f"{site}:")
