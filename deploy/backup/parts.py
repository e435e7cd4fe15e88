"""The parts that backups of both stacks have: loose files of the data folder, model versions, documents, older archives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.files.backups import BackupFiles
from ingest.import_pipeline.ledger import FOLDER as LEDGERS
from schemas.backups import BackupFile
from schemas.errors import VersionExists
from schemas.log import topics
from schemas.offline.manifest import Manifest, decode_manifest, encode_manifest
from schemas.ports import Archive, Documents, ModelStore

Show = Callable[[str, int, int | None], None]
"""Called with the step, how much of it is done, and in all."""

DATA: Final = "data/"
"""Where a backup keeps loose files of the data folder."""
ARCHIVE: Final = "archive/"
"""Where a backup keeps archived records of earlier logs."""
MODELS: Final = "models/"
DOCUMENTS: Final = "documents.msgpack"
POINTER: Final = "models/pointer.json"

_ENTRIES: Final = pa.schema(
    [pa.field("key", pa.string(), nullable=False), pa.field("value", pa.binary(), nullable=False)]
)
_ROWS: Final = 1_000
_LEFT_OUT: Final = frozenset({"logs", "archive", "snapshots", "worker", "snapshot"})
"""Folders of a data folder that are derived, or are of no use elsewhere."""
_LEFT_OUT_ENDINGS: Final = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal", ".lock", ".pid")


class Written:
    """The files of a backup that is being written, and a folder for the one that is being made."""

    def __init__(self, place: BackupFiles, folder: Path, show: Show) -> None:
        self.place, self.folder, self.show = place, folder, show
        self.files: dict[str, BackupFile] = {}
        self.notes: list[str] = []

    def put(self, name: str, path: Path, *, remove: bool = False) -> None:
        """Adds a file. ``remove``: it was made for this backup alone."""
        self.show("writing files", len(self.files), None)
        self.files[name] = self.place.put(name, path)
        if remove:
            path.unlink()

    def put_bytes(self, name: str, value: bytes) -> None:
        """Adds a small file."""
        path = self.folder / "value"
        path.write_bytes(value)
        self.put(name, path, remove=True)


@contextmanager
def writing(place: BackupFiles, show: Show) -> Iterator[Written]:
    """A backup to write; its folder is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="freshet-backup-") as folder:
        yield Written(place, Path(folder), show)


def put_loose_files(written: Written, data: Path) -> None:
    """Adds the ledgers of imports, refused rows and whatever else a site keeps in its data folder."""
    for path in loose_files(data):
        written.put(f"{DATA}{path.relative_to(data)}", path)


def loose_files(data: Path) -> list[Path]:
    """The files of a data folder that are no database, lock, log or derived file."""
    return [
        path
        for path in sorted(data.rglob("*"))
        if path.is_file() and not path.name.endswith(_LEFT_OUT_ENDINGS) and path.name != "lock"
        if not any(_is_left_out(part) for part in path.relative_to(data).parts)
    ]


def _is_left_out(part: str) -> bool:
    return part.startswith((".", "worker-")) or part in _LEFT_OUT


def rename_ledger(data: Path, old_log: str, new_log: str) -> None:
    """Lets the ledger of the backed-up log be that of the restored one: both hold the same imported rows."""
    old, new = (data / LEDGERS / blake2b(log.encode(), digest_size=8).hexdigest() for log in (old_log, new_log))
    if old.is_dir() and not new.exists():
        old.rename(new)


def put_earlier_archive(written: Written, archive: Archive, root: Path, log_ids: Sequence[str]) -> None:
    """Adds the archived records of logs that are no more. Those of the present log are in the backup as the log."""
    for topic in topics.FACTS:
        present = {archived.log_id for archived in archive.ranges(topic)} & set(log_ids)
        names = {_short(log_id) for log_id in present}
        for path in map(Path, archive.files(topic)):
            if path.name.partition("-")[0] not in names:
                written.put(f"{ARCHIVE}{path.relative_to(root)}", path)


def _short(log_id: str) -> str:
    """The beginning of the names of a log's archived files."""
    return blake2b(log_id.encode(), digest_size=8).hexdigest()


def put_models(written: Written, store: ModelStore) -> None:
    """Adds every version, then the pointer, so that the pointer names a version that the backup has."""
    pointer = {"active": store.active(), "challenger": store.challenger()}
    versions = list(reversed(store.versions()))
    for manifest in versions:
        _put_version(written, store, manifest)
    known = {manifest.version for manifest in versions}
    kept = {name: version for name, version in pointer.items() if version in known}
    written.put_bytes(POINTER, msgspec.json.encode(kept))


def _put_version(written: Written, store: ModelStore, manifest: Manifest) -> None:
    folder = f"{MODELS}{manifest.version}"
    values = ((name, store.value(manifest.version, name)) for name in manifest.values)
    written.put(f"{folder}/values.parquet", _write_entries(written.folder / "entries", values), remove=True)
    for kind in manifest.lists:
        entries = store.entries(manifest.version, kind)
        written.put(f"{folder}/lists-{kind}.parquet", _write_entries(written.folder / "entries", entries), remove=True)
    written.put_bytes(f"{folder}/manifest.json", encode_manifest(manifest))


def restore_models(folder: Path, store: ModelStore) -> int:
    """Writes the versions that the store lacks, and sets the pointer; returns the number of versions."""
    manifests = sorted((folder / MODELS).glob("*/manifest.json"))
    for path in manifests:
        manifest = decode_manifest(path.read_bytes())
        values = dict(_read_entries(path.parent / "values.parquet"))
        lists = {kind: _read_entries(path.parent / f"lists-{kind}.parquet") for kind in manifest.lists}
        try:
            store.write(manifest, values, lists)
        except VersionExists:
            continue
    pointer: dict[str, Any] = msgspec.json.decode((folder / POINTER).read_bytes())
    active = store.active()
    if pointer.get("active") and pointer["active"] != active:
        store.activate(pointer["active"], active)
    if pointer.get("challenger"):
        store.hold(pointer["challenger"])
    return len(manifests)


def put_documents(written: Written, documents: Documents) -> None:
    """Adds the documents of jobs: statistics, the scale of ratings, noted weights."""
    held = {name: documents.read(name) for name in documents.names()}
    written.put_bytes(DOCUMENTS, msgspec.msgpack.encode(held))


def restore_documents(folder: Path, documents: Documents) -> None:
    """Writes the documents of a backup."""
    held: dict[str, bytes | None] = msgspec.msgpack.decode((folder / DOCUMENTS).read_bytes())
    for name, value in held.items():
        if value is not None:
            documents.write(name, value)


def _write_entries(path: Path, entries: Iterable[tuple[str, bytes]]) -> Path:
    with pq.ParquetWriter(path, _ENTRIES, compression="zstd") as writer:
        keys: list[str] = []
        values: list[bytes] = []
        for key, value in entries:
            keys.append(key)
            values.append(value)
            if len(keys) == _ROWS:
                _write_group(writer, keys, values)
                keys, values = [], []
        if keys:
            _write_group(writer, keys, values)
    return path


def _write_group(writer: pq.ParquetWriter, keys: list[str], values: list[bytes]) -> None:
    arrays = [pa.array(column, field.type) for column, field in zip((keys, values), _ENTRIES, strict=True)]
    writer.write_table(pa.Table.from_arrays(arrays, schema=_ENTRIES))


def _read_entries(path: Path) -> Iterator[tuple[str, bytes]]:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_ROWS):
        yield from zip(batch["key"].to_pylist(), batch["value"].to_pylist(), strict=True)
