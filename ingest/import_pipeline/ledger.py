"""The ledger of imports: remembers, in the data folder, which rows of files the log holds."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from ingest.import_pipeline.hash_set import HASH, Hashes, HashSet, contained

FOLDER: Final = "imported"
"""Name of the ledgers' folder in the data folder."""
RUN: Final = 1 << 22
"""Hashes in a file: 32 MiB."""
_JOURNAL: Final = "journal"
_FINISHED: Final = "finished.json"
_MAX_FINISHED: Final = 1_000
_LOG = structlog.get_logger(__name__)


class RowLedger(Protocol):
    """Which rows have been appended. ``HashSet`` is one that forgets."""

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """A mask of the rows that have been appended."""

    def add(self, hashes: Hashes) -> None:
        """Notes rows that have been appended; returns once they are stored."""


@contextmanager
def open_ledger(data: Path, log_id: str, max_mib: int) -> Iterator[FileLedger]:
    """The ledger of a log in a data folder, for one import at a time: waits for another one to end."""
    folder = data / FOLDER / blake2b(log_id.encode(), digest_size=8).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        _lock(handle)
        with (folder / _JOURNAL).open("a+b") as journal:
            yield FileLedger(folder, journal, max(1, (max_mib << 20) // (RUN * HASH.itemsize)))


def _lock(handle: IO[str]) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _LOG.warning("import_waits", reason="another import into this data folder has not ended")
        fcntl.flock(handle, fcntl.LOCK_EX)


class FileLedger:
    """The newest hashes in a journal, the others in sorted files that are mapped into memory.

    Beyond ``max_files`` the oldest file is forgotten. By chance, a new row has the hash of one of n rows with a
    probability of n / 2**64.
    """

    def __init__(self, folder: Path, journal: IO[bytes], max_files: int, run: int = RUN) -> None:
        self._folder, self._journal, self._max_files, self._run = folder, journal, max_files, run
        self._files = sorted(folder.glob("*.hashes"))
        self._runs: list[Hashes] = [_mapped(path) for path in self._files]
        self._newest = HashSet()
        self._newest.add(np.unique(_whole_hashes(journal)))

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """A mask of the rows that have been appended."""
        return self._newest.contains(hashes) | contained(self._runs, hashes)

    def add(self, hashes: Hashes) -> None:
        """Notes rows that have been appended, and syncs: a later import must not append them again."""
        self._journal.write(hashes.astype(HASH).tobytes())
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self._newest.add(hashes)
        if len(self._newest) >= self._run:
            self._close_journal()

    def finished(self, fingerprint: str) -> dict[str, int] | None:
        """By topic, the rows of a data set that was appended as a whole; None if it was not."""
        return self._finished().get(fingerprint)

    def finish(self, fingerprint: str, rows: dict[str, int]) -> None:
        """Notes that a data set was appended as a whole."""
        newest = list((self._finished() | {fingerprint: rows}).items())[-_MAX_FINISHED:]
        _write(self._folder / _FINISHED, msgspec.json.encode(dict(newest)))

    def _finished(self) -> dict[str, dict[str, int]]:
        try:
            return msgspec.json.decode((self._folder / _FINISHED).read_bytes(), type=dict[str, dict[str, int]])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}

    def _close_journal(self) -> None:
        """Makes a sorted file of the journal, which then begins anew."""
        number = int(self._files[-1].stem) + 1 if self._files else 1
        path = self._folder / f"{number:08}.hashes"
        _write(path, self._newest.to_sorted().tobytes())
        self._journal.truncate(0)
        self._newest = HashSet()
        self._files.append(path)
        self._runs.append(_mapped(path))
        for old in self._files[: -self._max_files]:
            old.unlink()
        self._files, self._runs = self._files[-self._max_files :], self._runs[-self._max_files :]


def _whole_hashes(journal: IO[bytes]) -> Hashes:
    """The hashes of the journal. A kill may have cut the last one; it is removed."""
    journal.seek(0)
    content = journal.read()
    whole = len(content) // HASH.itemsize * HASH.itemsize
    journal.truncate(whole)
    return np.frombuffer(content[:whole], HASH)


def _mapped(path: Path) -> Hashes:
    return np.memmap(path, HASH, "r")


def _write(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".tmp")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
