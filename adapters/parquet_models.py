"""Model versions as Parquet, in a folder or wherever fsspec reaches (``s3://…``, ``gs://…``, ``memory://…``).

``<version>/lists/<kind>.parquet`` (columns key, item_ids, scores; best first), ``<version>/values/<name>``, and last
``<version>/manifest.json``, renamed into its place, with the size of every file. Without that, and without files of
these sizes, a version is not there: half of one is never taken for the whole.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from threading import Lock
from typing import Any, Final, NamedTuple
from uuid import uuid4

import fsspec
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.errors import ConfigurationInvalid, ExportFailed, FreshetError, ModelStoreUnavailable, VersionUnknown
from schemas.manifest import Manifest
from schemas.ports import ListRow

SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("item_ids", pa.list_(pa.string()), nullable=False),
        pa.field("scores", pa.list_(pa.float32()), nullable=False),
    ]
)
ROWS: Final = 1_024
"""Lists of one row group, which is what a read takes in: some 1 MB of lists of 100."""
_OPEN: Final = 4
"""Files of lists that a reader holds open: two kinds of two versions."""
_LOOK_AGAIN_SECONDS: Final = 2.0

Pack = Callable[[Sequence[str], Sequence[float]], bytes]
"""Makes of ids and scores what a list is elsewhere."""


class _Export(msgspec.Struct, frozen=True, kw_only=True):
    manifest: Manifest
    files: dict[str, int]
    """The size of each file in bytes, by its path in the version's folder."""


class ParquetVersions:
    """A VersionTarget; raises ConfigurationInvalid where nothing reaches such an address."""

    def __init__(self, url: str) -> None:
        self._place = _Place(url)
        self.name = url

    def write(
        self, manifest: Manifest, values: Iterable[tuple[str, bytes]], lists: Mapping[str, Iterable[ListRow]]
    ) -> None:
        """Write one version, its manifest last; one that is whole already stays as it is."""
        version = manifest.version
        with self._place.named(ExportFailed):
            if self._place.described(version) is not None:
                return
            files: dict[str, int] = {}
            for name, value in values:
                files[f"values/{name}"] = self._place.put(version, f"values/{name}", value)
            for kind, rows in lists.items():
                files[_list_file(kind)] = self._place.put_rows(version, _list_file(kind), rows)
            self._place.finish(version, msgspec.json.encode(_Export(manifest=manifest, files=files)))

    def delete(self, version: str) -> None:
        """Remove a version, manifest first."""
        with self._place.named(ExportFailed):
            self._place.remove(version)


class ParquetListReader:
    """A ListReader on such a folder, for one event loop; ``pack`` makes a list of a row.

    A version's keys are held in memory (some 20 MB for a million) and lists are read a row group at a time, in
    threads. Opening takes longer than a request may: the first ones go without.
    """

    def __init__(self, url: str, pack: Pack) -> None:
        self._place, self._pack = _Place(url), pack
        self._opening: dict[tuple[str, str], tuple[float, asyncio.Future[_Lists]]] = {}

    async def read(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list; raises VersionUnknown where no such version is whole here."""
        lists = await asyncio.shield(self._opened(version, kind))
        return await asyncio.to_thread(self._read, lists, key)

    async def close(self) -> None:
        """Let go of the files."""
        for _, opening in self._opening.values():
            with suppress(FreshetError):
                (await opening).close()
        self._opening.clear()

    def _opened(self, version: str, kind: str) -> asyncio.Future[_Lists]:
        """The file being opened, once for all who ask; a failure is not tried again for a while."""
        loop = asyncio.get_running_loop()
        begun, opening = self._opening.get((version, kind), (0.0, None))
        failed = opening is not None and opening.done() and opening.exception() is not None
        if opening is not None and not (failed and loop.time() - begun > _LOOK_AGAIN_SECONDS):
            return opening
        opening = loop.run_in_executor(None, self._open, version, kind)
        opening.add_done_callback(_looked_at)
        self._opening.pop((version, kind), None)
        self._opening[version, kind] = loop.time(), opening
        for oldest in list(self._opening)[:-_OPEN]:  # the file closes with its last reader
            del self._opening[oldest]
        return opening

    def _open(self, version: str, kind: str) -> _Lists:
        with self._place.named(ModelStoreUnavailable):
            export = self._place.described(version) if version else None
            if export is None or _list_file(kind) not in export.files:
                raise VersionUnknown(f"{self._place.url} has no version {version} with lists of {kind}")
            return self._place.lists(version, _list_file(kind))

    def _read(self, lists: _Lists, key: str) -> bytes | None:
        with self._place.named(ModelStoreUnavailable):
            found = lists.row(key)
        return None if found is None else self._pack(found.item_ids, found.scores)


class _Lists(NamedTuple):
    """An open file of lists: its keys (n,), their order by key, and where each row group begins."""

    file: pq.ParquetFile
    keys: pa.Array
    order: np.ndarray[Any, np.dtype[np.uint64]]
    begins: np.ndarray[Any, np.dtype[np.int64]]
    lock: Lock

    def row(self, key: str) -> ListRow | None:
        """A key's row; None where it has none."""
        at = bisect_left(range(len(self.order)), key, key=lambda place: self.keys[int(self.order[place])].as_py())
        if at == len(self.order) or self.keys[row := int(self.order[at])].as_py() != key:
            return None
        group = int(np.searchsorted(self.begins, row, "right")) - 1
        with self.lock:  # a Parquet file has one place that it reads from
            table = self.file.read_row_group(group, columns=["item_ids", "scores"])
        found = table.slice(row - int(self.begins[group]), 1).to_pylist()[0]
        return ListRow(key, found["item_ids"], found["scores"])

    def close(self) -> None:
        """Let go of the file."""
        self.file.close(force=True)


class _Place:
    """An address of fsspec's, and what is done there."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ConfigurationInvalid(f"'{url}' is no place for model versions: {error}") from error
        self._root = root.rstrip("/")

    @contextmanager
    def named(self, kind: type[FreshetError]) -> Iterator[None]:
        """Every failure of the driver as this one."""
        try:
            yield
        except FreshetError:
            raise
        except Exception as error:  # drivers of fsspec have errors of their own, which have no common base
            raise kind(f"{self.url} cannot be used: {error or type(error).__name__}") from error

    def described(self, version: str) -> _Export | None:
        """What the manifest says, where every file is there in its size."""
        try:
            export = msgspec.json.decode(self._files.cat_file(self._path(version, "manifest.json")), type=_Export)
            self._files.invalidate_cache(self._path(version, ""))
            sizes = {name: self._files.info(self._path(version, name))["size"] for name in export.files}
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return export if sizes == export.files else None

    def put(self, version: str, name: str, value: bytes) -> int:
        """Write a file; returns its size."""
        self._files.makedirs(self._path(version, name).rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(self._path(version, name), value)
        return len(value)

    def put_rows(self, version: str, name: str, rows: Iterable[ListRow]) -> int:
        """Write a file of lists, a row group at a time; returns its size."""
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
        """Put the manifest in its place, whole."""
        unfinished = f".manifest.{uuid4().hex}"
        self.put(version, unfinished, manifest)
        self._files.mv(self._path(version, unfinished), self._path(version, "manifest.json"))

    def remove(self, version: str) -> None:
        """Remove a version's files."""
        with suppress(FileNotFoundError):
            self._files.rm_file(self._path(version, "manifest.json"))
        with suppress(FileNotFoundError):
            self._files.rm(self._path(version, ""), recursive=True)

    def lists(self, version: str, name: str) -> _Lists:
        """Open a file of lists."""
        file = pq.ParquetFile(self._files.open(self._path(version, name), "rb"))
        keys = file.read(columns=["key"])["key"].combine_chunks()
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        begins = np.cumsum([0, *groups])[:-1]
        return _Lists(file, keys, pc.sort_indices(keys).to_numpy(), begins, Lock())

    def _path(self, version: str, name: str) -> str:
        return f"{self._root}/{version}/{name}".rstrip("/")


def _list_file(kind: str) -> str:
    return f"lists/{kind}.parquet"


def _looked_at(opening: asyncio.Future[_Lists]) -> None:
    """A failure that nobody waits for any more is none that asyncio need complain of."""
    if not opening.cancelled():
        opening.exception()
