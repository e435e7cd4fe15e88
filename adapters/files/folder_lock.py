"""Allows one nearline writer for each data folder, by a lock file. The lock ends with its process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from schemas.errors import FolderLocked

FILE: Final = "nearline.lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Makes this process the folder's only nearline writer; raises FolderLocked, with the pid of another writer."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise FolderLocked(
                f"{folder} is in use by the process with pid {holder}: stop that one, or choose another folder with --data"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
