"""Backs up and restores a data folder, also while ``freshet up`` runs on it.

The log is copied last. So no other file can hold something that the copied log lacks: signals, archive and ledgers follow the log.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final
from uuid import uuid4

from adapters.files.backups import BackupFiles
from adapters.files.folder_lock import folder_lock
from adapters.parquet.archive import ParquetArchive
from adapters.sqlite import answers as sqlite_answers
from adapters.sqlite import jobs as sqlite_jobs
from adapters.sqlite import log as sqlite_log
from adapters.sqlite import models as sqlite_models
from adapters.sqlite import signals as sqlite_signals
from adapters.sqlite.backup import check_database, copy_database, log_id_of, make_log_its_own
from adapters.sqlite.log import SqliteLogReader
from deploy.backup.parts import (
    ARCHIVE,
    DATA,
    Show,
    Written,
    put_earlier_archive,
    put_loose_files,
    rename_ledger,
    writing,
)
from deploy.config import CommandSettings
from schemas.backups import Backup
from schemas.errors import ConfigurationInvalid
from schemas.log import topics

DATABASES: Final = (
    sqlite_jobs.FILE,
    sqlite_models.FILE,
    sqlite_answers.FILE,
    sqlite_signals.FILE,
    sqlite_log.FILE,
)
"""In the order in which they are copied."""


def back_up(settings: CommandSettings, place: BackupFiles, now: datetime, show: Show) -> Backup:
    """Writes a backup of the data folder. Raises BackupUnavailable, ConfigurationInvalid."""
    with writing(place, show) as written:
        put_loose_files(written, settings.data)
        root = Path(settings.archive_address.location)
        put_earlier_archive(written, ParquetArchive(root), root, [log_id_of(settings.data)])
        for name in DATABASES:
            _put_database(written, settings.data / name)
        log_id, partitions, ends = _described(written.folder)
        backup = Backup(
            stack="embedded",
            created_at=now,
            code_version=version("freshet"),
            site=settings.prefix,
            partitions=partitions,
            log_ids=dict.fromkeys(topics.ALL, log_id),
            ends=ends,
            files=written.files,
            notes=written.notes,
        )
        place.publish(backup)
        return backup


def restore(settings: CommandSettings, backup: Backup, place: BackupFiles, show: Show, *, force: bool) -> list[str]:
    """Puts a backup in place of the data folder; returns what there is to say of it.

    Every file is fetched and checked in a folder beside it first, so a failure leaves the data folder as it was. Raises
    BackupInvalid, BackupUnavailable, FolderLocked, ConfigurationInvalid.
    """
    data = settings.data.absolute()
    _require_target(data, force=force)
    fetched = data.with_name(f".{data.name}.restoring-{uuid4().hex[:8]}")
    try:
        _fetch(backup, place, fetched, show)
        said = _prepare(fetched, backup)
        _swap(data, fetched, said)
    finally:
        shutil.rmtree(fetched, ignore_errors=True)
    return said


def _put_database(written: Written, path: Path) -> None:
    if path.exists():
        copy = written.folder / path.name
        copy_database(path, copy)
        # The log is read once more, for the manifest.
        written.put(path.name, copy, remove=path.name != sqlite_log.FILE)


def _described(folder: Path) -> tuple[str, int, dict[str, int]]:
    with closing(SqliteLogReader(folder)) as reader:
        ends = {f"{topic}/{partition}": end for (topic, partition), end in reader.ends().items()}
        return reader.log_id(topics.EVENTS), reader.partitions(topics.EVENTS), ends


def _require_target(data: Path, *, force: bool) -> None:
    if data.exists() and not data.is_dir():
        raise ConfigurationInvalid(f"{data} is no folder: name another with --data")
    if data.is_dir() and any(data.iterdir()):
        if not force:
            raise ConfigurationInvalid(
                f"{data} is not empty: name a new folder with --data, or say --force to set what is there aside"
            )
        with folder_lock(data):  # raises FolderLocked where a process runs on it
            pass


def _fetch(backup: Backup, place: BackupFiles, folder: Path, show: Show) -> None:
    for number, (name, file) in enumerate(backup.files.items()):
        show("reading files", number, len(backup.files))
        target = name.removeprefix(DATA)
        place.fetch(name, file, folder / target)
        if name in DATABASES:
            check_database(folder / target)


def _prepare(folder: Path, backup: Backup) -> list[str]:
    old, new = make_log_its_own(folder)
    rename_ledger(folder, old, new)
    records = sum(backup.ends.values())
    said = [f"{records:,} records of {backup.created_at:%Y-%m-%d %H:%M:%S} UTC; the restored log has the id {new}"]
    if any(name.startswith(ARCHIVE) for name in backup.files):
        said.append("the archive of earlier logs is in archive/; the present log is archived anew by the next training")
    return said


def _swap(data: Path, fetched: Path, said: list[str]) -> None:
    if data.is_dir() and any(data.iterdir()):
        aside = data.with_name(f"{data.name}.replaced-{uuid4().hex[:8]}")
        data.rename(aside)
        said.append(f"what was in {data} is in {aside} now; remove it when you no longer need it")
    elif data.is_dir():
        data.rmdir()
    fetched.rename(data)
