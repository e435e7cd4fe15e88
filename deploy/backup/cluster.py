"""Backs up and restores a site on Kafka, Redis and Cassandra, also under traffic.

A backup holds the log up to named offsets, a snapshot of the signals with their fences, every model version with the pointer, and
the documents of jobs. Signals are copied before the log, so the log holds every record that they contain.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final

from adapters.files.backups import BackupFiles
from adapters.kafka.restore import KafkaLogRestorer
from adapters.parquet.archive import ParquetArchive
from adapters.parquet.snapshots import ParquetSnapshots
from deploy.backup.parts import (
    ARCHIVE,
    DATA,
    Show,
    Written,
    put_documents,
    put_earlier_archive,
    put_loose_files,
    put_models,
    rename_ledger,
    restore_documents,
    restore_models,
    writing,
)
from deploy.config import CommandSettings
from deploy.wiring.dependencies import Dependencies, open_dependencies, prepare_stores
from nearline.processor import SIGNALS
from nearline.recovery.whole_log import WholeLog
from nearline.snapshots.recording import RecordingStore
from nearline.snapshots.taking import take_snapshot
from schemas.backups import Backup
from schemas.errors import ConfigurationInvalid, FenceMoved, SnapshotAbandoned, SnapshotUnusable
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.log.reading import records_between
from schemas.log.records import Record
from schemas.ports import LogReader, Replacement, SnapshotStore
from schemas.snapshots import Snapshot

LOGGED: Final = tuple(topic for topic in topics.ALL if topic not in {topics.MODELS, topics.ANSWERS})
"""The topics that a backup holds. Hints of models and decision records are left out."""
LOG: Final = "log/"
SIGNALS_FOLDER: Final = "signals/"
_RECORDS: Final = 50_000
"""Limit of records in one file."""
_BATCH: Final = 10_000
"""Records read at once."""
_ATTEMPTS: Final = 3


def back_up(settings: CommandSettings, place: BackupFiles, now: datetime, show: Show) -> Backup:
    """Writes a backup of the site. Raises BackupUnavailable, and the errors of the log and the stores."""
    with open_dependencies(settings) as dependencies, writing(place, show) as written:
        log_ids = {topic: dependencies.reader.log_id(topic) for topic in LOGGED}
        put_loose_files(written, settings.data)
        root = Path(settings.archive_address.location)
        put_earlier_archive(written, dependencies.archive, root, list(log_ids.values()))
        put_documents(written, dependencies.documents)
        put_models(written, dependencies.models)
        _put_signals(written, dependencies, log_ids, now)
        ends = _put_log(written, dependencies, log_ids)
        backup = Backup(
            stack="cluster",
            created_at=now,
            code_version=version("freshet"),
            site=settings.prefix,
            partitions=dependencies.reader.partitions(topics.EVENTS),
            log_ids=log_ids,
            ends=ends,
            files=written.files,
            notes=written.notes,
        )
        place.publish(backup)
        return backup


def _put_signals(written: Written, dependencies: Dependencies, log_ids: dict[str, str], now: datetime) -> None:
    """Adds a snapshot of each partition: the newest that a worker took, or one of now where nobody commits."""
    local = ParquetSnapshots(str(written.folder / "signals"), "site")
    missing = 0
    for topic in topics.FACTS:
        for partition in range(dependencies.reader.partitions(topic)):
            written.show("copying signals", partition, None)
            snapshot = _copied(dependencies, local, topic, partition, log_ids[topic]) or _taken(
                dependencies, local, topic, partition, log_ids[topic], now.timestamp()
            )
            missing += snapshot is None and dependencies.reader.bounds(topic, partition)[1] > 0
    for path in sorted((written.folder / "signals" / "site").rglob("*")):
        if path.is_file():
            written.put(f"{SIGNALS_FOLDER}{path.relative_to(written.folder / 'signals')}", path, remove=True)
    if missing:
        written.notes.append(
            f"the signals of {missing} partitions are not in it: a restored site folds them from the log "
            "(set FRESHET_SNAPSHOTS, or back up while nothing is folded)"
        )


def _copied(
    dependencies: Dependencies, local: SnapshotStore, topic: str, partition: int, log_id: str
) -> Snapshot | None:
    """Copies the newest snapshot of FRESHET_SNAPSHOTS that is whole; None if there is none."""
    source = dependencies.snapshots
    for snapshot in source.snapshots(topic, partition) if source else ():
        if snapshot.log_id != log_id or source is None:
            continue
        try:
            for signal, file in snapshot.files.items():
                rows = (row for batch in source.values(snapshot, signal) for row in batch.items())
                offset = file.offset
                copied = local.write_values(
                    topic,
                    partition,
                    snapshot.snapshot_id,
                    signal,
                    rows,
                    lambda offset=offset: offset,  # type: ignore[misc]
                )
                snapshot.files[signal] = copied
        except SnapshotUnusable:
            local.delete(topic, partition, snapshot.snapshot_id)
            continue
        local.publish(snapshot)
        return snapshot
    return None


def _taken(
    dependencies: Dependencies, local: SnapshotStore, topic: str, partition: int, log_id: str, now: float
) -> Snapshot | None:
    """Takes a snapshot; None if a worker commits meanwhile, or if there are no values."""
    recording = RecordingStore(dependencies.signals)
    for _ in range(_ATTEMPTS):
        try:
            return take_snapshot(recording, dependencies.signals, local, topic, partition, log_id, now)
        except SnapshotAbandoned:
            continue
    return None


def _put_log(written: Written, dependencies: Dependencies, log_ids: dict[str, str]) -> dict[str, int]:
    """Adds all records of the log and of its archive; returns the offset after the last of each partition."""
    whole = WholeLog(dependencies.reader, dependencies.archive)
    ends: dict[str, int] = {}
    for topic in LOGGED:
        reader: LogReader = whole if topic in topics.FACTS else dependencies.reader
        for partition in range(dependencies.reader.partitions(topic)):
            begin, end = reader.bounds(topic, partition)
            ends[f"{topic}/{partition}"] = end
            if begin:
                written.notes.append(
                    f"partition {partition} of {topic} begins at {begin}: neither log nor archive has more"
                )
            rest = records_between(reader, topic, partition, begin, end, _BATCH)
            while records := list(islice(rest, _RECORDS)):
                _put_records(written, log_ids[topic], records)
    return ends


def _put_records(written: Written, log_id: str, records: list[Record]) -> None:
    root = written.folder / "log"
    ParquetArchive(root).write(log_id, records)
    for path in sorted(root.rglob("*.parquet")):
        written.put(f"{LOG}{path.relative_to(root)}", path, remove=True)


def restore(settings: CommandSettings, backup: Backup, place: BackupFiles, show: Show, *, force: bool) -> list[str]:
    """Writes a backup into the empty topics and stores of a site; returns what there is to say of it.

    Every file is fetched and checked first, so a damaged backup changes nothing. Raises BackupInvalid, BackupUnavailable,
    ConfigurationInvalid, and the errors of the log and the stores.
    """
    if backup.partitions != settings.partitions:
        raise ConfigurationInvalid(
            f"the backup has {backup.partitions} partitions: set FRESHET_PARTITIONS={backup.partitions}"
        )
    with tempfile.TemporaryDirectory(prefix="freshet-restore-") as name:
        folder = Path(name)
        for number, (file_name, file) in enumerate(backup.files.items()):
            show("reading files", number, len(backup.files))
            place.fetch(file_name, file, folder / file_name)
        prepare_stores(settings)  # a store that does not answer is found before anything is changed
        restorer = KafkaLogRestorer(settings.log_address)
        _require_empty(restorer, settings, force=force)
        restorer.create()
        try:
            kept = _restore_log(restorer, backup, folder, show)
        finally:
            restorer.finish()
        with open_dependencies(settings) as dependencies:
            said = _restore_signals(dependencies, folder, kept)
            versions = restore_models(folder, dependencies.models)
            restore_documents(folder, dependencies.documents)
            _restore_data(settings, backup, folder, dependencies.reader)
    return [f"{sum(backup.ends.values()):,} records, {versions} model versions", *said]


def _require_empty(restorer: KafkaLogRestorer, settings: CommandSettings, *, force: bool) -> None:
    """Raise ConfigurationInvalid if the site's topics hold records; with ``force``, remove them."""
    records = restorer.records()
    if records and not force:
        raise ConfigurationInvalid(
            f"the topics of {settings.prefix} hold {records:,} records: restore into a new FRESHET_PREFIX, or "
            "say --force to remove them"
        )
    if records:
        restorer.remove()


def _restore_log(restorer: KafkaLogRestorer, backup: Backup, folder: Path, show: Show) -> set[tuple[str, int]]:
    """Writes all records; returns the topics and partitions whose offsets are those of the backup."""
    archive, kept = ParquetArchive(folder / LOG), set()
    for topic in LOGGED:
        for partition in range(backup.partitions):
            show(f"writing {topic}", partition, backup.partitions)
            end = backup.ends.get(f"{topic}/{partition}", 0)
            records = archive.read(topic, backup.log_ids.get(topic, ""), partition, 0, end)
            if restorer.write(topic, partition, records):
                kept.add((topic, partition))
    return kept


def _restore_signals(dependencies: Dependencies, folder: Path, kept: set[tuple[str, int]]) -> list[str]:
    """Puts the snapshots in place of the signals, at the same offsets of the new log; returns what there is to say."""
    snapshots = ParquetSnapshots(str(folder / SIGNALS_FOLDER), "site")
    restored, left = 0, 0
    for topic in topics.FACTS:
        log_id = dependencies.reader.log_id(topic)
        for partition in range(dependencies.reader.partitions(topic)):
            found = snapshots.snapshots(topic, partition)
            if found and (topic, partition) in kept and _put_snapshot(dependencies, snapshots, found[0], log_id):
                restored += 1
            else:
                left += dependencies.reader.bounds(topic, partition)[1] > 0
    said = [f"the signals of {restored} partitions are restored at their fences"]
    if left:
        said.append(f"those of {left} partitions are folded from the log by the workers")
    return said


def _put_snapshot(dependencies: Dependencies, snapshots: SnapshotStore, snapshot: Snapshot, log_id: str) -> bool:
    replacements: list[Replacement] = []
    for signal in SIGNALS[snapshot.topic]:
        fence = Fence(log_id, snapshot.files[signal].offset)
        expected = dependencies.signals.fence(snapshot.partition, signal)
        replacements.append(Replacement(signal, expected, fence, snapshots.values(snapshot, signal)))
    if any(r.expected is not None and r.expected.log_id == log_id and r.expected.offset >= 0 for r in replacements):
        return False  # a worker runs, and has begun to fold the restored log
    try:
        dependencies.signals.replace(snapshot.partition, replacements)
    except FenceMoved:
        return False
    return True


def _restore_data(settings: CommandSettings, backup: Backup, folder: Path, reader: LogReader) -> None:
    """Puts ledgers and earlier archives into the data folder, where nothing of the same name is."""
    for source, target in (
        (folder / DATA, settings.data),
        (folder / ARCHIVE, Path(settings.archive_address.location)),
    ):
        for path in _files(source):
            destination = target / path.relative_to(source)
            if not destination.exists():
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, destination)
    rename_ledger(settings.data, backup.log_ids[topics.EVENTS], reader.log_id(topics.EVENTS))


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
