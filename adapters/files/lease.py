"""Leases as locked files of a data folder. A lock ends with its process, so no lease has to expire."""

from __future__ import annotations

import fcntl
import math
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import IO, Final

import msgspec

from schemas.errors import JobStoreUnavailable, LeaseLost, LeaseTaken
from schemas.ports import LeaseRecord

_TRIES: Final = 10
_PAUSE: Final = 0.01
_UNKNOWN: Final = LeaseRecord("unknown", 0.0, 0)


class FileLease:
    """A Lease for the processes of one machine: ``<name>.lease`` in the data folder names the holder, as JSON."""

    seconds: float = math.inf

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._handles: dict[tuple[str, int], IO[bytes]] = {}

    def acquire(self, name: str, holder: str, now: float) -> int:
        """Locks the file and writes the holder into it."""
        with self._lock:
            handle = self._open(name)
            if not _try_lock_repeatedly(handle):
                lease = _read_lease(handle)
                handle.close()
                raise LeaseTaken(name, lease.holder, datetime.fromtimestamp(lease.since, UTC))
            token = _read_lease(handle).token + 1
            _write_lease(handle, LeaseRecord(holder, now, token))
            self._handles[name, token] = handle
            return token

    def renew(self, name: str, token: int) -> None:
        """Raises LeaseLost if this process does not hold the lock; a held lock needs no renewal."""
        if (name, token) not in self._handles:
            raise LeaseLost(f"'{name}' is no longer held by this process; look at `freshet jobs list` and run it again")

    def release(self, name: str, token: int) -> None:
        """Unlocks the file. The token stays in it."""
        with self._lock:
            handle = self._handles.pop((name, token), None)
            if handle is not None:
                handle.close()

    def held(self, name: str) -> LeaseRecord | None:
        """The record in the file if a process has locked it, else None."""
        try:
            with self._path(name).open("r+b") as handle:
                return None if _try_lock(handle) else _read_lease(handle)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable(name, error) from error

    def close(self) -> None:
        """Releases all leases of this process."""
        for name, token in list(self._handles):
            self.release(name, token)

    def _open(self, name: str) -> IO[bytes]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return self._path(name).open("a+b")
        except OSError as error:
            raise self._unavailable(name, error) from error

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lease"

    def _unavailable(self, name: str, error: OSError) -> JobStoreUnavailable:
        return JobStoreUnavailable(f"{self._path(name)} cannot be used ({error.strerror}); see to the folder's rights")


def _try_lock(handle: IO[bytes]) -> bool:
    """Locks the file and returns True, or returns False. Closing the handle unlocks it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try_lock_repeatedly(handle: IO[bytes]) -> bool:
    """Tries for a moment: a process that only reads the record locks the file briefly."""
    for _ in range(_TRIES):
        if _try_lock(handle):
            return True
        time.sleep(_PAUSE)
    return False


def _read_lease(handle: IO[bytes]) -> LeaseRecord:
    handle.seek(0)
    try:
        return msgspec.json.decode(handle.read(), type=LeaseRecord)
    except msgspec.DecodeError:  # the file is new, or another process is writing it
        return _UNKNOWN


def _write_lease(handle: IO[bytes], lease: LeaseRecord) -> None:
    handle.seek(0)
    handle.truncate()
    handle.write(msgspec.json.encode(lease))
    handle.flush()
