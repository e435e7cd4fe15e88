"""Model versions as Parquet, in a folder or wherever fsspec reaches (``s3://…``, ``gs://…``, ``memory://…``).

A version has ``<version>/lists/<kind>.parquet`` (columns key, item_ids, scores; best first) and
``<version>/values/<name>``. ``<version>/manifest.json`` is written last, then renamed; it holds the size of every file.
A version exists only if its manifest and all files of these sizes exist. So an incomplete version is never read.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import islice
from threading import Lock
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.files.places import naming_failures, open_place
from schemas.errors import ExportFailed, FreshetError, ModelStoreUnavailable, VersionUnknown
from schemas.offline.manifest import Manifest
from schemas.ports import ListRow

SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("item_ids", pa.list_(pa.string()), nullable=False),
        pa.field("scores", pa.list_(pa.float32()), nullable=False),
    ]
)
ROWS: Final = 1_024
"""Number of lists in one row group. A read loads one group: about 1 MB if lists have 100 items."""
_OPEN: Final = 4
"""Number of list files that a reader keeps open: two kinds of two versions."""
_RETRY_SECONDS: Final = 2.0

Pack = Callable[[Sequence[str], Sequence[float]], bytes]
"""Encodes item ids and scores as the other stores encode a list."""


class _Export(msgspec.Struct, frozen=True, kw_only=True):
    manifest: Manifest
    files: dict[str, int]
    """The size of each file in bytes, by its path in the version's folder."""


class ParquetVersions:
    """A VersionTarget; raises ConfigurationInvalid if fsspec cannot open the address."""

    def __init__(self, url: str) -> None:
        self._storage = _Storage(url)
        self.name = url

    def write(
        self, manifest: Manifest, values: Iterable[tuple[str, bytes]], lists: Mapping[str, Iterable[ListRow]]
    ) -> None:
        """Writes one version, its manifest last. A complete version stays as it is."""
        version = manifest.version
        with self._storage.translate_errors(ExportFailed):
            if self._storage.read_export(version) is not None:
                return
            files: dict[str, int] = {}
            for name, value in values:
                files[f"values/{name}"] = self._storage.write_file(version, f"values/{name}", value)
            for kind, rows in lists.items():
                files[_list_file(kind)] = self._storage.write_rows(version, _list_file(kind), rows)
            self._storage.finish(version, msgspec.json.encode(_Export(manifest=manifest, files=files)))

    def delete(self, version: str) -> None:
        """Removes a version, its manifest first."""
        with self._storage.translate_errors(ExportFailed):
            self._storage.remove(version)


class ParquetListReader:
    """A ListReader on such a folder, for one event loop; ``pack`` encodes a row as a list.

    A version's keys are held in memory (about 20 MB for a million). Threads read lists, one row group at a time.
    Opening a version takes longer than a request may take, so the first requests get no list.
    """

    def __init__(self, url: str, pack: Pack) -> None:
        self._storage, self._pack = _Storage(url), pack
        self._opening: dict[tuple[str, str], tuple[float, asyncio.Future[_Lists]]] = {}

    async def read(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list; raises VersionUnknown if the folder has no complete version of this name."""
        lists = await asyncio.shield(self._opened(version, kind))
        return await asyncio.to_thread(self._read, lists, key)

    async def close(self) -> None:
        """Closes the files."""
        for _, opening in self._opening.values():
            with suppress(FreshetError):
                (await opening).close()
        self._opening.clear()

    def _opened(self, version: str, kind: str) -> asyncio.Future[_Lists]:
        """The file, opened once for all callers. After a failure, opening is retried only after a pause."""
        loop = asyncio.get_running_loop()
        begun, opening = self._opening.get((version, kind), (0.0, None))
        failed = opening is not None and opening.done() and opening.exception() is not None
        if opening is not None and not (failed and loop.time() - begun > _RETRY_SECONDS):
            return opening
        opening = loop.run_in_executor(None, self._open, version, kind)
        opening.add_done_callback(_retrieve_failure)
        self._opening.pop((version, kind), None)
        self._opening[version, kind] = loop.time(), opening
        for oldest in list(self._opening)[:-_OPEN]:  # the file closes with its last reader
            del self._opening[oldest]
        return opening

    def _open(self, version: str, kind: str) -> _Lists:
        with self._storage.translate_errors(ModelStoreUnavailable):
            export = self._storage.read_export(version) if version else None
            if export is None or _list_file(kind) not in export.files:
                raise VersionUnknown(f"{self._storage.url} has no version {version} with lists of {kind}")
            return self._storage.lists(version, _list_file(kind))

    def _read(self, lists: _Lists, key: str) -> bytes | None:
        with self._storage.translate_errors(ModelStoreUnavailable):
            row = lists.row(key)
        return None if row is None else self._pack(row.item_ids, row.scores)


class _Lists(NamedTuple):
    """An open file of lists: its keys (n,), their order by key, and the first row of each row group."""

    file: pq.ParquetFile
    keys: pa.Array
    order: np.ndarray[Any, np.dtype[np.uint64]]
    begins: np.ndarray[Any, np.dtype[np.int64]]
    lock: Lock

    def row(self, key: str) -> ListRow | None:
        """The row of a key; None if it has none."""
        rank = bisect_left(range(len(self.order)), key, key=lambda index: self.keys[int(self.order[index])].as_py())
        if rank == len(self.order) or self.keys[row := int(self.order[rank])].as_py() != key:
            return None
        group = int(np.searchsorted(self.begins, row, "right")) - 1
        with self.lock:  # a Parquet file has one read position
            table = self.file.read_row_group(group, columns=["item_ids", "scores"])
        record = table.slice(row - int(self.begins[group]), 1).to_pylist()[0]
        return ListRow(key, record["item_ids"], record["scores"])

    def close(self) -> None:
        """Closes the file."""
        self.file.close(force=True)


class _Storage:
    """Reads and writes files at an address of fsspec."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, self._root = open_place(url, "model versions")

    def translate_errors(self, kind: type[FreshetError]) -> AbstractContextManager[None]:
        """Raises every failure of the driver as an error of this kind."""
        return naming_failures(lambda reason: kind(f"{self.url} cannot be used: {reason}"))

    def read_export(self, version: str) -> _Export | None:
        """The version's manifest and file sizes; None unless every file exists and has its size."""
        try:
            export = msgspec.json.decode(self._files.cat_file(self._path(version, "manifest.json")), type=_Export)
            self._files.invalidate_cache(self._path(version, ""))
            sizes = {name: self._files.info(self._path(version, name))["size"] for name in export.files}
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return export if sizes == export.files else None

    def write_file(self, version: str, name: str, value: bytes) -> int:
        """Writes a file; returns its size."""
        self._files.makedirs(self._path(version, name).rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(self._path(version, name), value)
        return len(value)

    def write_rows(self, version: str, name: str, rows: Iterable[ListRow]) -> int:
        """Writes a file of lists, one row group at a time; returns its size."""
        path, remaining = self._path(version, name), iter(rows)
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        with self._files.open(path, "wb") as file, pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            while group := list(islice(remaining, ROWS)):
                columns = zip(*group, strict=True)
                arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
                writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), row_group_size=ROWS)
        self._files.invalidate_cache(path)
        return int(self._files.info(path)["size"])

    def finish(self, version: str, manifest: bytes) -> None:
        """Writes the manifest under another name, then renames it."""
        unfinished = f".manifest.{uuid4().hex}"
        self.write_file(version, unfinished, manifest)
        self._files.mv(self._path(version, unfinished), self._path(version, "manifest.json"))

    def remove(self, version: str) -> None:
        """Removes a version's files."""
        with suppress(FileNotFoundError):
            self._files.rm_file(self._path(version, "manifest.json"))
        with suppress(FileNotFoundError):
            self._files.rm(self._path(version, ""), recursive=True)

    def lists(self, version: str, name: str) -> _Lists:
        """Opens a file of lists."""
        file = pq.ParquetFile(self._files.open(self._path(version, name), "rb"))
        keys = file.read(columns=["key"])["key"].combine_chunks()
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        begins = np.cumsum([0, *groups])[:-1]
        return _Lists(file, keys, pc.sort_indices(keys).to_numpy(), begins, Lock())

    def _path(self, version: str, name: str) -> str:
        return f"{self._root}/{version}/{name}".rstrip("/")


def _list_file(kind: str) -> str:
    return f"lists/{kind}.parquet"


def _retrieve_failure(opening: asyncio.Future[_Lists]) -> None:
    """Retrieves the failure, so that asyncio does not log it when nobody waits for it any more."""
    if not opening.cancelled():
        opening.exception()
