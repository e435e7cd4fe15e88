"""Finds a text in everything that a Freshet has stored, whatever it is packed in."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from schemas.decision_codec import decode_decision
from schemas.errors import FreshetError
from schemas.log import topics
from schemas.log.records import Record
from tests.e2e.systems import ClusterSystem, System


def settings_of(system: System) -> CommandSettings:
    """The settings with which a command of the test reaches the system's log and stores."""
    if isinstance(system, ClusterSystem):
        return system.settings.model_copy(update={"stack": "cluster", "data": system.folder})
    return CommandSettings(data=system.folder)


def files_with(folder: Path, text: str) -> list[str]:
    """The files under a folder that hold a text: as bytes, in a row of SQLite, or in a cell of Parquet."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [str(path.relative_to(folder)) for path in files if _holds(path, text)]


def _holds(path: Path, text: str) -> bool:
    try:
        if text.encode() in path.read_bytes():
            return True
    except FileNotFoundError:  # written anew meanwhile
        return False
    if path.suffix == ".parquet":
        return text in repr(pq.ParquetFile(path).read().to_pydict())
    return path.suffix == ".sqlite" and any(_mentions(cell, text) for cell in _cells(path))


def _cells(path: Path) -> Iterator[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                yield from row


def records_with(system: System, text: str) -> list[str]:
    """Where records that the log can read hold a text, decision records unpacked; ``topic/partition/offset``."""
    found = []
    with open_dependencies(settings_of(system)) as opened:
        for topic in topics.ALL:
            readers = opened.answers if topic == topics.ANSWERS else [opened.reader]
            found += [
                f"{topic}/{record.partition}/{record.offset}"
                for reader in readers
                for record in _records(reader, topic)
                if _mentions(record.key, text) or _mentions(record.value, text)
            ]
    return found


def _records(reader: Any, topic: str) -> Iterator[Record]:
    for partition in range(reader.partitions(topic)):
        offset, end = reader.bounds(topic, partition)
        while offset < end and (records := reader.read(topic, partition, offset, 1_000)):
            yield from records
            offset = records[-1].offset + 1


def values_with(system: System, text: str) -> list[str]:
    """Where a cluster's Redis and Cassandra hold a text, models unpacked."""
    assert isinstance(system, ClusterSystem)
    return [*_redis_keys(system, text), *_cassandra_rows(system, text), *_models(system, text)]


def _redis_keys(system: ClusterSystem, text: str) -> Iterator[str]:
    import redis

    reads = {b"string": "GET", b"hash": "HGETALL", b"list": "LRANGE", b"set": "SMEMBERS", b"zset": "ZRANGE"}
    with closing(redis.Redis.from_url(system.settings.redis)) as client:
        for key in client.scan_iter(f"{system.settings.prefix}*", count=1_000):
            read = reads.get(kind := client.type(key))
            bounds = (0, -1) if kind in {b"list", b"zset"} else ()
            value = client.execute_command(read, key, *bounds) if read else client.dump(key)
            if text in repr(key) or text in repr(value):
                yield f"redis/{key.decode(errors='replace')}"


def _cassandra_rows(system: ClusterSystem, text: str) -> Iterator[str]:
    from cassandra.cluster import Cluster

    host, _, port = system.settings.cassandra.partition("/")[0].partition(":")
    with Cluster([host], port=int(port or 9042)) as cluster:
        session = cluster.connect()
        keyspaces = [name for name in cluster.metadata.keyspaces if system.settings.prefix in name]
        assert keyspaces, "the site has a keyspace"
        for keyspace in keyspaces:
            for table in cluster.metadata.keyspaces[keyspace].tables:
                rows = session.execute(f"SELECT * FROM {keyspace}.{table}", timeout=60)
                yield from (f"cassandra/{table}" for row in rows if any(_mentions(cell, text) for cell in row))


def _models(system: System, text: str) -> Iterator[str]:
    with open_dependencies(settings_of(system)) as opened:
        for manifest in opened.models.versions():
            for name in manifest.values:
                if _mentions(opened.models.value(manifest.version, name), text):
                    yield f"models/{manifest.version}/{name}"


def _mentions(cell: Any, text: str) -> bool:
    if isinstance(cell, str):
        return text in cell
    if not isinstance(cell, bytes):
        return text in repr(cell)
    return text.encode() in cell or text in _unpacked(cell)


def _unpacked(data: bytes) -> str:
    """What a decision record or a stored model holds, as text; empty for other bytes."""
    if data.startswith(b"PK"):
        with suppress(ValueError, OSError), np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return "".join(stored[name].tobytes().decode("utf-8", "ignore") for name in islice(stored.files, 100))
    with suppress(FreshetError):
        return repr(decode_decision(data))
    return ""


def kafka_files_with(system: ClusterSystem, folder: Path, text: str) -> list[str]:
    """The files of the site's topics under Kafka's data folder that hold a text; batches may be compressed."""
    topics_of_site = (path for path in folder.glob(f"{system.settings.prefix}.*") if path.is_dir())
    return [str(path.name) for path in topics_of_site if files_with(path, text)]
