"""Reads from the archive what the log holds no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.log.records import Record
from schemas.ports import Archive, LogReader

ArchiveReader = Callable[[str, int, int, int], Iterator[Record]]
"""Called with topic, partition and ``[begin, end)``; gives the records of that range that the archive has, in order."""


def archive_reader(archive: Archive, log: LogReader) -> ArchiveReader:
    """Read an archive's records of the log that is followed now; of another log there are none."""

    def read(topic: str, partition: int, begin: int, end: int) -> Iterator[Record]:
        return archive.read(topic, log.log_id(topic), partition, begin, end)

    return read


def no_archive(_topic: str, _partition: int, _begin: int, _end: int) -> Iterator[Record]:
    """The ArchiveReader of a worker without an archive: no records."""
    return iter(())
