"""A file system in a file, which can be full, and which can lose its power: for root on Linux, else skipped."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN: the file system stops at once."""
_NO_LOG_FLUSH = 2
"""What was not synced is lost, as when the power fails. Blocks that the kernel wrote on its own accord before stay."""


UNMOUNT_ATTEMPTS = 100


class CannotMount(Exception):
    """This machine, or this user, cannot mount a file system in a file."""


class Disk:
    """An ext4 file system of some MiB, mounted on a folder."""

    def __init__(self, folder: Path, mebibytes: int) -> None:
        self._image, self.path = folder / "disk.img", folder / "disk"
        self._filler = self.path / "filler"
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(mebibytes * 2**20)
        _run("mkfs.ext4", "-q", "-m", "0", str(self._image))
        self.mount()

    def mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.path))

    def unmount(self) -> None:
        """Unmount it, once nobody has a file of it open."""
        for _ in range(UNMOUNT_ATTEMPTS):
            with contextlib.suppress(CannotMount):
                return _run("umount", str(self.path))
            time.sleep(0.1)
        return _run("umount", str(self.path))

    def fill(self) -> None:
        """Take all space that is left."""
        with self._filler.open("wb", buffering=0) as filler:
            for size in (2**20, 4_096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(b"\0" * size)

    def refill(self) -> None:
        """Take the space that was freed since."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            filler.write(b"\0" * 2**20)

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)

    def lose_power(self) -> None:
        """Stop the file system as a power cut would. Every later call on it fails; ``unmount`` and ``mount`` bring back what was synced."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(handle)


@contextlib.contextmanager
def mounted(folder: Path, mebibytes: int) -> Iterator[Disk]:
    """A disk for the length of a ``with``; raises CannotMount."""
    disk = Disk(folder, mebibytes)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk.path)], check=False, capture_output=True)


def _run(*command: str) -> None:
    if os.geteuid() != 0 or shutil.which(command[0]) is None:
        raise CannotMount(f"{command[0]} needs root and Linux")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMount(f"{' '.join(command)}: {done.stderr.strip() or os.strerror(errno.EIO)}")
