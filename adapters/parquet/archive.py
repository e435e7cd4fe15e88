"""The archive as Parquet files in one folder.

A file is named ``topic=<t>/received=<date>/<log>-p<partition>-<begin>-<end>.parquet``. ``log`` is a short hash of the
log's id; the column ``log_id`` holds the full id. ``[begin, end)`` are offsets. The date comes from the log's own time.
A file is complete or absent: it is written under another name, synced and then renamed.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from hashlib import blake2b
from itertools import accumulate, groupby
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.registry import Adapter
from schemas.configuration.addresses import Address
from schemas.errors import ArchiveDamaged
from schemas.log.records import Record
from schemas.ports import ArchivedRange, Change, Rewritable

SCHEMA: Final = pa.schema(
    [
        pa.field("log_id", pa.string(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp_ms", pa.int64(), nullable=False),
        pa.field("key", pa.binary(), nullable=False),
        pa.field("value", pa.binary()),
    ]
)
"""``timestamp_ms`` is the time at which the log accepted the record, in milliseconds since 1970."""

_NAME: Final = re.compile(r"^([0-9a-f]{16})-p(\d+)-(\d+)-(\d+)\.parquet$")
_DAY_MS: Final = 86_400_000
_UNFINISHED_SECONDS: Final = 3_600.0
"""Age at which a file that was not finished belongs to a process that is gone."""


class _ArchiveFile(NamedTuple):
    """The parts of one file's name. Sorts by log, partition and begin, the longest range first."""

    log: str
    partition: int
    begin: int
    minus_end: int
    path: Path

    @property
    def end(self) -> int:
        return -self.minus_end

    @property
    def day(self) -> date:
        """The day on which its records were received."""
        return date.fromisoformat(self.path.parent.name.partition("=")[2])


class ParquetArchive:
    """Implements ``schemas.ports.Archive``. It can be pickled, so Spark's executors write through it too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log_ids: dict[str, str] = {}

    def write(self, log_id: str, records: Sequence[Record]) -> None:
        """Archives consecutive records of one partition, in one file for each day; raises OSError."""
        for begin, end, day, day_records in _by_day(records):
            folder = self._folder / f"topic={day_records[0].topic}" / f"received={day}"
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{_short(log_id)}-p{day_records[0].partition}-{begin}-{end}.parquet"
            _write_whole(_table(log_id, day_records), folder / name)

    def ranges(self, topic: str) -> list[ArchivedRange]:
        """The archived ranges, ordered by log, partition and offset; a range within another is left out."""
        files = self._files(topic)
        return sorted(ArchivedRange(self._log_id(f), f.partition, f.begin, f.end) for f in files)

    def read(
        self, topic: str, log_id: str, partition: int, begin: int, end: int, keys: Collection[bytes] | None = None
    ) -> Iterator[Record]:
        """See Archive. With ``keys``, only the column of keys is read of a row group without a record of one of them."""
        upcoming = begin
        for file in self._partition_files(topic, log_id, partition):
            if file.begin < end and file.end > upcoming:
                for record in _readable(file, _records(file.path) if keys is None else _records_of(file.path, keys)):
                    if upcoming <= record.offset < end:
                        yield record
                        upcoming = record.offset + 1

    def complete_end(self, topic: str, log_id: str, partition: int, day: date | None = None) -> int:
        """See Archive. The names of folders and files say it, so no file is read."""
        end = 0
        for file in self._partition_files(topic, log_id, partition):
            if file.begin > end or (day is not None and file.day >= day):
                break
            end = max(end, file.end)
        return end

    def files(self, topic: str) -> list[str]:
        """Paths of the topic's files in a fixed order; a range within another is left out.

        Ranges of two concurrent writers can still overlap in part, so a reader may get a record twice.
        """
        return [str(file.path) for file in self._files(topic)]

    def find(self, topic: str, texts: Sequence[bytes]) -> Iterator[tuple[str, Record]]:
        """See Rewritable. Reads files that others cover too, so a record may come twice."""
        for path in self._every_path(topic):
            for log_id, record in _rows(path):
                if _mentions(record, texts):
                    yield log_id, record

    def rewrite(self, topic: str, texts: Sequence[bytes], change: Change) -> int:
        """See Rewritable. Each file is replaced by a whole one of the same name, so that a crash leaves one of the two."""
        self._remove_unfinished(topic)
        return sum(_rewrite_file(path, texts, change) for path in self._every_path(topic))

    def _every_path(self, topic: str) -> list[Path]:
        paths = (self._folder / f"topic={topic}").glob("received=*/*.parquet")
        return sorted(path for path in paths if _parse(path) is not None)

    def _remove_unfinished(self, topic: str) -> None:
        """Removes what a crash left of a file that was being written: no name ever leads to it."""
        limit = time.time() - _UNFINISHED_SECONDS
        for path in (self._folder / f"topic={topic}").glob("received=*/.*.parquet.*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    path.unlink()

    def _files(self, topic: str) -> list[_ArchiveFile]:
        paths = (self._folder / f"topic={topic}").glob("received=*/*.parquet")
        return list(_uncovered(sorted(file for path in paths if (file := _parse(path)) is not None)))

    def _partition_files(self, topic: str, log_id: str, partition: int) -> list[_ArchiveFile]:
        paths = (self._folder / f"topic={topic}").glob(f"received=*/{_short(log_id)}-p{partition}-*.parquet")
        return list(_uncovered(sorted(file for path in paths if (file := _parse(path)) is not None)))

    def _log_id(self, file: _ArchiveFile) -> str:
        if file.log not in self._log_ids:
            column = pq.ParquetFile(file.path).read_row_group(0, columns=["log_id"])["log_id"]
            self._log_ids[file.log] = column[0].as_py()
        return self._log_ids[file.log]


def _short(log_id: str) -> str:
    return blake2b(log_id.encode(), digest_size=8).hexdigest()


def _parse(path: Path) -> _ArchiveFile | None:
    match = _NAME.match(path.name)
    if match is None:
        return None
    log, partition, begin, end = match.groups()
    return _ArchiveFile(log, int(partition), int(begin), -int(end), path)


def _uncovered(files: Iterable[_ArchiveFile]) -> Iterator[_ArchiveFile]:
    """The files of a sorted sequence, without those whose whole range an earlier file covers."""
    for _, group in groupby(files, key=lambda file: (file.log, file.partition)):
        reached = -1
        for file in group:
            if file.end > reached:
                yield file
                reached = file.end


def _by_day(records: Sequence[Record]) -> Iterator[tuple[int, int, str, list[Record]]]:
    """For each day: the begin and end offset, the day and its records. The ranges join without gaps.

    The day never goes back. Otherwise producers' clocks that disagree would scatter a batch over many files.
    """
    days = accumulate((record.timestamp_ms // _DAY_MS for record in records), max)
    grouped = groupby(zip(days, records, strict=True), key=lambda pair: pair[0])
    daily = [(day, [record for _, record in group]) for day, group in grouped]
    begins = [day_records[0].offset for _, day_records in daily]
    ends = [*begins[1:], records[-1].offset + 1] if daily else []
    for (day, day_records), begin, end in zip(daily, begins, ends, strict=True):
        yield begin, end, datetime.fromtimestamp(day * _DAY_MS / 1_000, UTC).date().isoformat(), day_records


def _table(log_id: str, records: Sequence[Record]) -> pa.Table:
    columns = list(zip(*records, strict=True))
    logs = pa.repeat(pa.scalar(log_id, pa.string()), len(records))
    arrays = [pa.array(column, field.type) for column, field in zip(columns, list(SCHEMA)[1:], strict=True)]
    return pa.Table.from_arrays([logs, *arrays], schema=SCHEMA)


def _write_whole(table: pa.Table, path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with unfinished.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rewrite_file(path: Path, texts: Sequence[bytes], change: Change) -> int:
    """Rewrites one file if ``change`` changes a record of it; returns the number of such records."""
    file = pq.ParquetFile(path)
    if not any(_may_mention(batch, texts) for batch in file.iter_batches(columns=["key", "value"])):
        return 0
    before = list(_rows(path))
    after = [change(log_id, record) if _mentions(record, texts) else record for log_id, record in before]
    changed = sum(new != old for new, (_, old) in zip(after, before, strict=True))
    if changed:
        _write_whole(_table(before[0][0], after), path)
    return changed


def _may_mention(batch: pa.RecordBatch, texts: Sequence[bytes]) -> bool:
    columns = (batch.column("key"), batch.column("value"))
    return not texts or any(pc.any(pc.match_substring(column, text)).as_py() for column in columns for text in texts)


def _mentions(record: Record, texts: Sequence[bytes]) -> bool:
    return not texts or any(text in record.key or text in (record.value or b"") for text in texts)


def _rows(path: Path) -> Iterator[tuple[str, Record]]:
    log_id = pq.ParquetFile(path).read_row_group(0, columns=["log_id"])["log_id"][0].as_py()
    for record in _records(path):
        yield log_id, record


def _readable(file: _ArchiveFile, records: Iterator[Record]) -> Iterator[Record]:
    """The records of a file. Raises ArchiveDamaged if Parquet cannot decode it, and OSError if the disk does not give it."""
    try:
        yield from records
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ArchiveDamaged(file.path, file.begin, file.end, str(error).split("\n", 1)[0]) from error


def _records(path: Path) -> Iterator[Record]:
    columns = SCHEMA.names[1:]
    # Unlike read_table, ParquetFile adds no columns from the folder's name.
    for batch in pq.ParquetFile(path).iter_batches(columns=columns):
        yield from map(Record, *(batch.column(name).to_pylist() for name in columns))


def _records_of(path: Path, keys: Collection[bytes]) -> Iterator[Record]:
    """Yields the records of these keys. A row group without one of them is not read, except for its keys."""
    columns, wanted = SCHEMA.names[1:], pa.array(sorted(keys), pa.binary())
    file = pq.ParquetFile(path)
    for number in range(file.num_row_groups):
        mask = pc.is_in(file.read_row_group(number, columns=["key"])["key"], wanted)
        if pc.any(mask).as_py():
            table = file.read_row_group(number, columns=columns).filter(mask)
            yield from map(Record, *(table[name].to_pylist() for name in columns))


def _rewritable(address: Address) -> list[Rewritable]:
    return [ParquetArchive(Path(address.location))]


ADAPTER: Final = Adapter(
    ("file",), archive=lambda address: ParquetArchive(Path(address.location)), rewritable=_rewritable
)
"""The archive at ``file://folder``."""
