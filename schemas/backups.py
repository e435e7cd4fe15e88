"""The manifest of a backup: what it holds, with a digest of every file."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal

import msgspec

from schemas.errors import Undecodable

BACKUP_FORMAT: Final = 1
"""Version of a backup's layout. A reader refuses a backup of a larger version."""


class BackupFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a backup."""

    bytes: int
    digest: str
    """BLAKE2b of the file, 32 hexadecimal digits."""


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """One backup. It exists once its manifest is written."""

    format: int = BACKUP_FORMAT
    stack: Literal["embedded", "cluster"]
    created_at: datetime
    code_version: str
    site: str
    partitions: int
    log_ids: dict[str, str]
    """The log's id by topic."""
    ends: dict[str, int]
    """The offset after the last record of each ``"<topic>/<partition>"``."""
    files: dict[str, BackupFile]
    """The files by their names, which may have slashes."""
    notes: list[str] = []
    """What the backup lacks, one sentence each."""


BACKUPS: Final = "backups"
"""The document that lists the backups that were made, for the receipts of erasures."""
_MOST_NOTED: Final = 1_000
_USER_INFO: Final = re.compile(r"(?<=://)[^/@]*@")


class NotedBackup(msgspec.Struct, frozen=True, kw_only=True):
    """Where a backup was made, and when it began."""

    place: str
    created_at: datetime


_NOTED: Final = msgspec.json.Decoder(list[NotedBackup])


def decode_noted(value: bytes | None) -> list[NotedBackup]:
    """The backups that were noted, the newest last; None are none. Raises Undecodable."""
    try:
        return [] if value is None else _NOTED.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not a list of backups: {error}") from error


def encode_noted(noted: list[NotedBackup], place: str, created_at: datetime) -> bytes:
    """The noted backups and another one, once each, without the user and password of its address."""
    new = NotedBackup(place=_USER_INFO.sub("", place), created_at=created_at)
    return msgspec.json.encode([*(backup for backup in noted if backup != new), new][-_MOST_NOTED:])
