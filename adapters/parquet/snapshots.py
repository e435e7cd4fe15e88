"""Snapshots of signals as Parquet, in a folder or wherever fsspec reaches (``s3://…``, ``gs://…``, ``memory://…``).

A snapshot is the folder ``<site>/<topic>/p<partition>/<snapshot id>`` with one file for each signal (columns key and
value). ``manifest.json`` is written last, then renamed; it holds the digest of every file. A file is copied to this
machine and compared with its digest before its first row is used.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.files.places import naming_failures, open_place
from schemas.errors import SnapshotsUnavailable, SnapshotUnusable
from schemas.keys import VALUE_FORMAT
from schemas.snapshots import SNAPSHOT_FORMAT, Snapshot, SnapshotFile

SCHEMA: Final = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.binary())])
ROWS: Final = 5_000
"""Limit of rows in one row group."""
GROUP_BYTES: Final = 4 * 1_048_576
"""Size of a row group's values at which the next group begins. One group is in memory at a time."""
_MANIFEST: Final = "manifest.json"
_COPY_BYTES: Final = 1_048_576


class ParquetSnapshots:
    """A SnapshotStore; raises ConfigurationInvalid if fsspec cannot open the address."""

    def __init__(self, url: str, site: str) -> None:
        self.name, self._site = url, site
        self._files, self._root = open_place(url, "snapshots")

    def write_values(
        self,
        topic: str,
        partition: int,
        snapshot_id: str,
        signal: str,
        rows: Iterable[tuple[str, bytes | None]],
        offset: Callable[[], int],
    ) -> SnapshotFile:
        """See SnapshotStore. The file is made on this machine, then copied."""
        name = f"{signal}.parquet"
        with tempfile.TemporaryDirectory(prefix="freshet-snapshot-") as folder:
            local = Path(folder) / name
            count = _write(local, rows)
            folder_name = self._folder(topic, partition, snapshot_id)
            with self._translate_errors():
                self._files.makedirs(folder_name, exist_ok=True)
                self._files.put_file(str(local), f"{folder_name}/{name}")
            return SnapshotFile(
                offset=offset(), name=name, rows=count, bytes=local.stat().st_size, digest=_digest(local)
            )

    def publish(self, snapshot: Snapshot) -> None:
        """See SnapshotStore."""
        folder = self._folder(snapshot.topic, snapshot.partition, snapshot.snapshot_id)
        unfinished = f"{folder}/.manifest.{uuid4().hex}"
        with self._translate_errors():
            self._files.pipe_file(unfinished, msgspec.json.encode(snapshot))
            self._files.mv(unfinished, f"{folder}/{_MANIFEST}")

    def snapshots(self, topic: str, partition: int) -> list[Snapshot]:
        """See SnapshotStore."""
        found = [self._read(topic, partition, snapshot_id) for snapshot_id in self._ids(topic, partition)]
        return sorted((s for s in found if s is not None), key=lambda snapshot: snapshot.snapshot_id, reverse=True)

    def values(self, snapshot: Snapshot, signal: str) -> Iterator[dict[str, bytes | None]]:
        """See SnapshotStore."""
        if snapshot.format > SNAPSHOT_FORMAT or snapshot.value_format > VALUE_FORMAT:
            raise SnapshotUnusable(
                f"snapshot {snapshot.snapshot_id} was written by a later release: upgrade this process"
            )
        file = snapshot.files[signal]
        path = f"{self._folder(snapshot.topic, snapshot.partition, snapshot.snapshot_id)}/{file.name}"
        with tempfile.TemporaryDirectory(prefix="freshet-snapshot-") as folder:
            local = Path(folder) / file.name
            try:
                with self._translate_errors():
                    self._files.get_file(path, str(local))
            except FileNotFoundError as error:
                raise SnapshotUnusable(f"snapshot {snapshot.snapshot_id} lacks {file.name}") from error
            if _digest(local) != file.digest:
                raise SnapshotUnusable(f"{path} has not the digest that its manifest says")
            for batch in pq.ParquetFile(local).iter_batches(batch_size=ROWS):
                yield dict(zip(batch["key"].to_pylist(), batch["value"].to_pylist(), strict=True))

    def delete(self, topic: str, partition: int, snapshot_id: str) -> None:
        """See SnapshotStore."""
        folder = self._folder(topic, partition, snapshot_id)
        with self._translate_errors(), suppress(FileNotFoundError):
            self._files.rm_file(f"{folder}/{_MANIFEST}")
        with self._translate_errors(), suppress(FileNotFoundError):
            self._files.rm(folder, recursive=True)

    def delete_unpublished(self, topic: str, partition: int, before: float) -> None:
        """See SnapshotStore."""
        published = {snapshot.snapshot_id for snapshot in self.snapshots(topic, partition)}
        for snapshot_id in self._ids(topic, partition):
            if snapshot_id not in published and began_at(snapshot_id) < before:
                self.delete(topic, partition, snapshot_id)

    def _ids(self, topic: str, partition: int) -> list[str]:
        folder = self._folder(topic, partition)
        with self._translate_errors():
            self._files.invalidate_cache(folder)
            try:
                paths: list[str] = self._files.ls(folder, detail=False)
            except FileNotFoundError:
                return []
        return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def _read(self, topic: str, partition: int, snapshot_id: str) -> Snapshot | None:
        path = f"{self._folder(topic, partition, snapshot_id)}/{_MANIFEST}"
        try:
            with self._translate_errors():
                return msgspec.json.decode(self._files.cat_file(path), type=Snapshot)
        except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
            return None

    def _folder(self, topic: str, partition: int, snapshot_id: str = "") -> str:
        return f"{self._root}/{self._site}/{topic}/p{partition}/{snapshot_id}".rstrip("/")

    def _translate_errors(self) -> AbstractContextManager[None]:
        """Raises every failure of the driver as SnapshotsUnavailable, except a missing file."""
        return naming_failures(self._unavailable, FileNotFoundError, NotADirectoryError, msgspec.DecodeError)

    def _unavailable(self, reason: str) -> SnapshotsUnavailable:
        return SnapshotsUnavailable(
            f"the snapshots at {self.name} cannot be used ({reason}): see that this process may read and write there"
        )


def began_at(snapshot_id: str) -> float:
    """The time in a snapshot's id, in seconds since 1970; 0 for a folder of another name."""
    digits = snapshot_id.partition("-")[0]
    return int(digits) / 1_000 if digits.isdecimal() else 0.0


def _write(path: Path, rows: Iterable[tuple[str, bytes | None]]) -> int:
    """Writes the rows; returns their number."""
    count = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for group in _groups(rows):
            columns: Any = zip(*group, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
            count += len(group)
    return count


def _groups(rows: Iterable[tuple[str, bytes | None]]) -> Iterator[list[tuple[str, bytes | None]]]:
    group: list[tuple[str, bytes | None]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row[1] or b"")
        if len(group) == ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _digest(path: Path) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while part := file.read(_COPY_BYTES):
            digest.update(part)
    return digest.hexdigest()
