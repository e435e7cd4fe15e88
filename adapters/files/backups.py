"""The files of a backup, in a folder or wherever fsspec reaches (``s3://…``, ``gs://…``, ``memory://…``).

``manifest.json`` is written last, then renamed, so a backup without it does not exist. A file is copied to this machine and
compared with its digest before it is used.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from adapters.files.places import naming_failures, open_place
from schemas.backups import BACKUP_FORMAT, Backup, BackupFile
from schemas.errors import BackupInvalid, BackupUnavailable, ConfigurationInvalid

_MANIFEST: Final = "manifest.json"
_PART: Final = 1_048_576


class BackupFiles:
    """Writes and reads one backup. Raises ConfigurationInvalid if fsspec cannot open the address, else BackupUnavailable."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._files, self._root = open_place(url, "a backup")

    def require_empty(self) -> None:
        """Raises ConfigurationInvalid if there is something at the address."""
        with self._translate_errors():
            present = self._files.exists(self._root) and self._files.ls(self._root, detail=False)
        if present:
            raise ConfigurationInvalid(f"{self.name} is not empty: name a new folder or address for each backup")

    def put(self, name: str, path: Path) -> BackupFile:
        """Copies a file of this machine into the backup."""
        target = self._path(name)
        with self._translate_errors():
            self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(path), target)
        return BackupFile(bytes=path.stat().st_size, digest=digest_of(path))

    def publish(self, backup: Backup) -> None:
        """Writes the manifest, after all files."""
        unfinished = self._path(f".{_MANIFEST}.{uuid4().hex}")
        with self._translate_errors():
            self._files.makedirs(self._root, exist_ok=True)
            self._files.pipe_file(unfinished, msgspec.json.format(msgspec.json.encode(backup)))
            self._files.mv(unfinished, self._path(_MANIFEST))

    def manifest(self) -> Backup:
        """Reads the manifest; raises BackupInvalid if there is no complete backup, or one of a later release."""
        try:
            with self._translate_errors():
                backup = msgspec.json.decode(self._files.cat_file(self._path(_MANIFEST)), type=Backup)
        except FileNotFoundError as error:
            raise BackupInvalid(f"there is no complete backup at {self.name}: it has no {_MANIFEST}") from error
        except msgspec.DecodeError as error:
            raise BackupInvalid(f"the manifest of the backup at {self.name} cannot be read: {error}") from error
        if backup.format > BACKUP_FORMAT:
            raise BackupInvalid(f"the backup at {self.name} was written by a later release of Freshet: upgrade first")
        for name in backup.files:
            if name.startswith("/") or ".." in name.split("/"):
                raise BackupInvalid(f"the manifest of the backup at {self.name} names a file outside of it: {name}")
        return backup

    def fetch(self, name: str, expected: BackupFile, path: Path) -> None:
        """Copies a file of the backup to this machine; raises BackupInvalid if it is missing or has another digest."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._translate_errors():
                self._files.get_file(self._path(name), str(path))
        except FileNotFoundError as error:
            raise BackupInvalid(f"the backup at {self.name} lacks the file {name}") from error
        if path.stat().st_size != expected.bytes or digest_of(path) != expected.digest:
            raise BackupInvalid(
                f"{name} in the backup at {self.name} is damaged: it has not the digest that its manifest says"
            )

    def check(self, name: str, expected: BackupFile) -> None:
        """Reads a file of the backup where it is; raises BackupInvalid if it is missing or has another digest."""
        digest = blake2b(digest_size=16)
        try:
            with self._translate_errors(), self._files.open(self._path(name), "rb") as file:
                while part := file.read(_PART):
                    digest.update(part)
        except FileNotFoundError as error:
            raise BackupInvalid(f"the backup at {self.name} lacks the file {name}") from error
        if digest.hexdigest() != expected.digest:
            raise BackupInvalid(
                f"{name} in the backup at {self.name} is damaged: it has not the digest that its manifest says"
            )

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _translate_errors(self) -> AbstractContextManager[None]:
        """Raises every failure of the driver as BackupUnavailable, except a missing file."""
        return naming_failures(self._unavailable, FileNotFoundError, msgspec.DecodeError)

    def _unavailable(self, reason: str) -> BackupUnavailable:
        return BackupUnavailable(
            f"{self.name} cannot be used ({reason}): see that it has room, and that this process may read and write there"
        )


def digest_of(path: Path) -> str:
    """The digest of a file of this machine, as a manifest holds it."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while part := file.read(_PART):
            digest.update(part)
    return digest.hexdigest()
