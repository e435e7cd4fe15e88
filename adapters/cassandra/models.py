"""Model versions in Cassandra; tables in ``schemas/cql/models.cql``.

The pointer and the manifests are in one partition and change by light-weight transactions only. So no version
can be removed while it is made active, and the loser of a race gets an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Final
from zlib import crc32

from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args
from cassandra.query import BatchStatement, BatchType

from adapters.cassandra.ring import FAILURES, Ring, create_keyspace, hosts_and_keyspace
from adapters.registry import Adapter
from schemas.configuration.addresses import Address
from schemas.configuration.server_access import NO_ACCESS, ServerAccess
from schemas.errors import PointerMoved, VersionExists, VersionUnknown
from schemas.offline.manifest import Manifest, decode_manifest, decode_manifests, encode_manifest, without_lists

__all__ = ["CassandraListReader", "CassandraModelStore", "create_keyspace"]

CHUNK_BYTES: Final = 512 * 1024
"""Most bytes in one cell of a value."""
BUCKETS: Final = 256
"""Number of partitions of one kind of list. Ten million lists of 1 KB make partitions of 40 MB."""
ABANDONED_AFTER: Final = timedelta(days=1)
"""Age of a version without a manifest at which the writer of a new version deletes it."""

_CONCURRENCY: Final = 64
_BATCHES_AT_ONCE: Final = 16
_WINDOW: Final = 16_384
_READ_SECONDS: Final = 2.0

_BEGIN: Final = (
    "INSERT INTO versions (shelf, version, begun_at, names, kinds) VALUES ('models', ?, ?, ?, ?) IF NOT EXISTS"
)
_FINISH: Final = "UPDATE versions SET manifest = ? WHERE shelf = 'models' AND version = ? IF manifest = null"
_ACTIVATE: Final = (
    "UPDATE versions SET activated = true, active = ? WHERE shelf = 'models' AND version = ?"
    " IF manifest != null AND active = ?"
)
_HIDE: Final = (
    "UPDATE versions SET manifest = null WHERE shelf = 'models' AND version = ? IF active != ? AND challenger != ?"
)
_HOLD: Final = (
    "UPDATE versions SET held = true, challenger = ? WHERE shelf = 'models' AND version = ? IF manifest != null"
)
_HOLD_NONE: Final = "UPDATE versions SET challenger = null WHERE shelf = 'models' IF challenger != null"
_FORGET: Final = "DELETE FROM versions WHERE shelf = 'models' AND version = ? IF manifest = null"
_ACTIVE: Final = "SELECT DISTINCT active FROM versions WHERE shelf = 'models'"
_CHALLENGER: Final = "SELECT DISTINCT challenger FROM versions WHERE shelf = 'models'"
_MANIFESTS: Final = "SELECT manifest FROM versions WHERE shelf = 'models'"
_MANIFEST: Final = "SELECT manifest FROM versions WHERE shelf = 'models' AND version = ?"
_CONTENTS: Final = "SELECT names, kinds FROM versions WHERE shelf = 'models' AND version = ?"
_BEGUN: Final = "SELECT version, begun_at, manifest FROM versions WHERE shelf = 'models'"
_WRITE_CHUNK: Final = "INSERT INTO model_values (version, name, chunk, chunks, value) VALUES (?, ?, ?, ?, ?)"
_READ_CHUNKS: Final = "SELECT chunks, value FROM model_values WHERE version = ? AND name = ?"
_DELETE_VALUE: Final = "DELETE FROM model_values WHERE version = ? AND name = ?"
_DELETE_CHUNK: Final = "DELETE FROM model_values WHERE version = ? AND name = ? AND chunk = ?"
_DELETE_LIST: Final = "DELETE FROM lists WHERE version = ? AND kind = ? AND bucket = ? AND key = ?"
_SET_MANIFEST: Final = "UPDATE versions SET manifest = ? WHERE shelf = 'models' AND version = ? IF manifest != null"
_WRITE_LIST: Final = "INSERT INTO lists (version, kind, bucket, key, value) VALUES (?, ?, ?, ?, ?)"
_READ_LIST: Final = "SELECT value FROM lists WHERE version = ? AND kind = ? AND bucket = ? AND key = ?"
_READ_BUCKET: Final = "SELECT key, value FROM lists WHERE version = ? AND kind = ? AND bucket = ?"
_DELETE_LISTS: Final = "DELETE FROM lists WHERE version = ? AND kind = ? AND bucket = ?"


class CassandraModelStore:
    """A ModelStore in one keyspace (``create_keyspace`` creates it). Several threads may call it.

    ``hosts`` is ``"host:port"``, several with commas; the connection opens at first use.
    """

    def __init__(self, hosts: str, keyspace: str, *, access: ServerAccess = NO_ACCESS) -> None:
        self._ring = Ring(hosts, keyspace, access)

    def write(
        self,
        manifest: Manifest,
        values: Mapping[str, bytes],
        lists: Mapping[str, Iterator[tuple[str, bytes]]],
    ) -> None:
        """Writes one version, its manifest last. A later write deletes what a crash left."""
        self._clear_abandoned(manifest)
        self._begin(manifest, set(values), set(lists))
        for name, value in values.items():
            self._concurrently(_WRITE_CHUNK, _chunks(manifest.version, name, value), concurrency=8)
        for kind, entries in lists.items():
            self._write_lists(manifest.version, kind, entries)
        if not self._applied(_FINISH, encode_manifest(manifest), manifest.version):
            raise _exists(manifest.version)

    def activate(self, version: str, expected: str | None) -> None:
        """Compares and sets the pointer to the active version."""
        if not self._applied(_ACTIVATE, version, version, expected):
            self.manifest(version)
            raise PointerMoved(expected, self.active())

    def active(self) -> str | None:
        """The active version."""
        rows = self._ring.run(_ACTIVE)
        return rows[0][0] if rows else None

    def hold(self, version: str | None) -> None:
        """Makes a version the challenger; None removes the challenger."""
        if version is None:
            self._applied(_HOLD_NONE)
        elif not self._applied(_HOLD, version, version):
            self.manifest(version)

    def challenger(self) -> str | None:
        """The version that is the challenger."""
        rows = self._ring.run(_CHALLENGER)
        return rows[0][0] if rows else None

    def versions(self) -> list[Manifest]:
        """The manifests of all complete versions, newest first."""
        return decode_manifests(manifest for (manifest,) in self._ring.run(_MANIFESTS) if manifest is not None)

    def manifest(self, version: str) -> Manifest:
        """A version's manifest; raises VersionUnknown."""
        rows = self._ring.run(_MANIFEST, version)
        if not rows or rows[0][0] is None:
            raise VersionUnknown(f"version {version} is not in the store; `freshet models list` shows those that are")
        return decode_manifest(rows[0][0])

    def value(self, version: str, name: str) -> bytes:
        """One stored value, joined from its chunks; raises VersionUnknown."""
        self.manifest(version)
        rows = self._ring.run(_READ_CHUNKS, version, name)
        if not rows or len(rows) != rows[0][0]:
            raise VersionUnknown(f"version {version} with a value '{name}' is not in the store")
        return b"".join(value for _, value in rows)

    def entry(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list."""
        rows = self._ring.run(_READ_LIST, version, kind, bucket_of(key), key)
        return rows[0][0] if rows else None

    def entries(self, version: str, kind: str) -> Iterator[tuple[str, bytes]]:
        """Every list of a kind, by bucket and key."""
        for bucket in range(BUCKETS):
            yield from self._ring.run(_READ_BUCKET, version, kind, bucket)

    def delete(self, version: str) -> None:
        """Removes a version unless it is active or the challenger. A missing version is not an error."""
        contents = self._ring.run(_CONTENTS, version)
        if not self._applied(_HIDE, version, version, version):
            raise PointerMoved(None, version)
        for names, kinds in contents:
            self._delete_contents(version, names or (), kinds or ())
        self._applied(_FORGET, version)

    def erase(self, version: str, kind: str, keys: Sequence[str]) -> int:
        """Removes the lists of these keys. Their bytes leave the files at the next compaction."""
        stored = [key for key in keys if self.entry(version, kind, key) is not None]
        for key in stored:
            self._ring.run(_DELETE_LIST, version, kind, bucket_of(key), key)
        if stored:
            manifest = without_lists(self.manifest(version), kind, len(stored))
            self._applied(_SET_MANIFEST, encode_manifest(manifest), version)
        return len(stored)

    def replace_value(self, version: str, name: str, value: bytes) -> None:
        """Replaces a value, which keeps its number of chunks, or removes the last of them."""
        chunks = self._ring.run(_READ_CHUNKS, version, name)
        if not chunks:
            raise VersionUnknown(f"version {version} with a value '{name}' is not in the store")
        rows = list(_chunks(version, name, value))
        self._concurrently(_WRITE_CHUNK, rows, concurrency=8)
        for chunk in range(len(rows), len(chunks)):
            self._ring.run(_DELETE_CHUNK, version, name, chunk)

    def close(self) -> None:
        """Closes the connection."""
        self._ring.close()

    def _begin(self, manifest: Manifest, names: set[str], kinds: set[str]) -> None:
        begun = self._applied(_BEGIN, manifest.version, manifest.created_at, names, kinds)
        if not begun and self._ring.run(_MANIFEST, manifest.version)[0][0] is not None:
            raise _exists(manifest.version)

    def _clear_abandoned(self, manifest: Manifest) -> None:
        limit = (manifest.created_at - ABANDONED_AFTER).replace(tzinfo=None)
        for version, begun_at, encoded_manifest in self._ring.run(_BEGUN):
            if encoded_manifest is None and version is not None and (begun_at is None or begun_at < limit):
                self.delete(version)

    def _write_lists(self, version: str, kind: str, entries: Iterator[tuple[str, bytes]]) -> None:
        """Writes the rows of a bucket as one batch: a batch in one partition is a single write."""
        statement, session = self._ring.prepared(_WRITE_LIST), self._ring.session()
        while window := list(islice(entries, _WINDOW)):
            batches: dict[int, BatchStatement] = {}
            for key, value in window:
                batch = batches.setdefault(bucket_of(key), BatchStatement(BatchType.UNLOGGED))
                batch.add(statement, (version, kind, bucket_of(key), key, value))
            with self._ring.translate_errors():
                statements = [(batch, None) for batch in batches.values()]
                execute_concurrent(session, statements, concurrency=_BATCHES_AT_ONCE, raise_on_first_error=True)

    def _delete_contents(self, version: str, names: Iterable[str], kinds: Iterable[str]) -> None:
        self._concurrently(_DELETE_VALUE, ((version, name) for name in names), _CONCURRENCY)
        buckets = ((version, kind, bucket) for kind in kinds for bucket in range(BUCKETS))
        self._concurrently(_DELETE_LISTS, buckets, _CONCURRENCY)

    def _applied(self, query: str, *parameters: Any) -> bool:
        return bool(self._ring.run(query, *parameters)[0][0])

    def _concurrently(self, query: str, rows: Iterable[tuple[Any, ...]], concurrency: int) -> None:
        statement, session, remaining = self._ring.prepared(query), self._ring.session(), iter(rows)
        while window := list(islice(remaining, _WINDOW)):
            with self._ring.translate_errors():
                execute_concurrent_with_args(session, statement, window, concurrency, raise_on_first_error=True)


class CassandraListReader:
    """A ListReader on the same keyspace. The first read opens the connection, in a thread."""

    def __init__(
        self, hosts: str, keyspace: str, timeout_seconds: float = _READ_SECONDS, *, access: ServerAccess = NO_ACCESS
    ) -> None:
        self._ring = Ring(hosts, keyspace, access)
        self._timeout = timeout_seconds

    async def read(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list."""
        if not self._ring.is_prepared(_READ_LIST):
            await asyncio.to_thread(self._ring.prepared, _READ_LIST)
        statement, session = self._ring.prepared(_READ_LIST), self._ring.session()
        with self._ring.translate_errors():
            response = session.execute_async(statement, (version, kind, bucket_of(key), key), timeout=self._timeout)
        rows = await self._answer(response)
        return rows[0][0] if rows else None

    async def close(self) -> None:
        """Closes the connection."""
        await asyncio.to_thread(self._ring.close)

    async def _answer(self, response: Any) -> list[tuple[bytes]]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[tuple[bytes]]] = loop.create_future()
        response.add_callbacks(
            lambda rows: loop.call_soon_threadsafe(_settle, answer, rows, None),
            lambda error: loop.call_soon_threadsafe(_settle, answer, [], error),
        )
        try:
            return await answer
        except FAILURES as error:
            raise self._ring.unavailable(error) from error


def bucket_of(key: str) -> int:
    """The partition of a kind of list that holds this key."""
    return crc32(key.encode()) % BUCKETS


def _settle(answer: asyncio.Future[list[tuple[bytes]]], rows: list[tuple[bytes]], error: Exception | None) -> None:
    if answer.done():  # the caller has cancelled
        return
    if error is None:
        answer.set_result(rows)
    else:
        answer.set_exception(error)


def _chunks(version: str, name: str, value: bytes) -> Iterator[tuple[Any, ...]]:
    starts = range(0, max(1, len(value)), CHUNK_BYTES)
    for chunk, start in enumerate(starts):
        yield version, name, chunk, len(starts), value[start : start + CHUNK_BYTES]


def _exists(version: str) -> VersionExists:
    return VersionExists(f"version {version} is already in the store, and versions never change")


def _prepare(address: Address) -> None:
    create_keyspace(*hosts_and_keyspace(address), address.durability, address.access)


ADAPTER: Final = Adapter(
    ("cassandra",),
    model_store=lambda address: CassandraModelStore(*hosts_and_keyspace(address), access=address.access),
    list_reader=lambda address: CassandraListReader(*hosts_and_keyspace(address), access=address.access),
    prepare=_prepare,
)
"""Models at ``cassandra://host:port,host:port``, or ``.../keyspace`` for another keyspace than the site's."""
