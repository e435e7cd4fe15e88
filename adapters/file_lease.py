"""Leases as locked files of a data folder: the lock dies with its process, so nothing has to expire."""

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
from schemas.ports import Held

_TRIES: Final = 10
_PAUSE: Final = 0.01
_UNKNOWN: Final = Held("unknown", 0.0, 0)


class FileLease:
    """A Lease for the processes of one machine: ``<name>.lease`` in the data folder holds who has it, as JSON."""

    seconds: float = math.inf

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._handles: dict[tuple[str, int], IO[bytes]] = {}

    def acquire(self, name: str, holder: str, now: float) -> int:
        """Take the lock and write down who has it."""
        with self._lock:
            handle = self._open(name)
            if not _locked_soon(handle):
                found = _read(handle)
                handle.close()
                raise LeaseTaken(name, found.holder, datetime.fromtimestamp(found.since, UTC))
            token = _read(handle).token + 1
            _write(handle, Held(holder, now, token))
            self._handles[name, token] = handle
            return token

    def renew(self, name: str, token: int) -> None:
        """Nothing is to be done while the file is locked here; raises LeaseLost where it is not."""
        if (name, token) not in self._handles:
            raise LeaseLost(f"'{name}' is no longer held by this process; look at `freshet jobs list` and run it again")

    def release(self, name: str, token: int) -> None:
        """Unlock; the token stays in the file."""
        with self._lock:
            handle = self._handles.pop((name, token), None)
            if handle is not None:
                handle.close()

    def held(self, name: str) -> Held | None:
        """What stands in the file, while somebody has locked it."""
        try:
            with self._path(name).open("r+b") as handle:
                return None if _locked(handle) else _read(handle)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable(name, error) from error

    def close(self) -> None:
        """Unlock everything."""
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


def _locked(handle: IO[bytes]) -> bool:
    """Whether the file could be locked; the lock goes with the handle."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _locked_soon(handle: IO[bytes]) -> bool:
    """Somebody who only looks who holds the lease has the file locked for a moment."""
    for _ in range(_TRIES):
        if _locked(handle):
            return True
        time.sleep(_PAUSE)
    return False


def _read(handle: IO[bytes]) -> Held:
    handle.seek(0)
    try:
        return msgspec.json.decode(handle.read(), type=Held)
    except msgspec.DecodeError:  # new, or written at this moment
        return _UNKNOWN


def _write(handle: IO[bytes], held: Held) -> None:
    handle.seek(0)
    handle.truncate()
    handle.write(msgspec.json.encode(held))
    handle.flush()
