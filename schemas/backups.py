"""The manifest of a backup: what it holds, with a digest of every file."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

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
