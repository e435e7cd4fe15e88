"""Reads from the archive the records that retention has removed from the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.log.records import Record
from schemas.ports import Archive, LogReader

ArchiveReader = Callable[[str, int, int, int], Iterator[Record]]
"""Takes a topic, a partition and offsets ``[begin, end)``; yields the archive's records of that range, in order."""


def archive_reader(archive: Archive, log: LogReader) -> ArchiveReader:
    """Returns an ArchiveReader for the log that is followed now. It yields no records of another log."""

    def read(topic: str, partition: int, begin: int, end: int) -> Iterator[Record]:
        return archive.read(topic, log.log_id(topic), partition, begin, end)

    return read


def no_archive(_topic: str, _partition: int, _begin: int, _end: int) -> Iterator[Record]:
    """The ArchiveReader of a worker without an archive: it yields no records."""
    return iter(())
