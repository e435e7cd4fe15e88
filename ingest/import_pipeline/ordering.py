"""Sorts any number of events by time: it merges sorted runs from disk (external merge sort)."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import itemgetter
from typing import IO, Any, Final

import msgspec

from ingest.import_pipeline.base import FileRow, RowFaults, SourceLine
from ingest.import_pipeline.files import TableRow, readable

DatedEvent = tuple[float, dict[str, Any]]
"""Seconds since 1970, and the event without its time."""
SortableEvent = tuple[float, int, str, dict[str, Any]]
"""Seconds since 1970, the line's number and its file, and the event without its time."""

RUN: Final = 100_000
"""Number of events that are sorted in memory at once."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KEY: Final = itemgetter(0, 1)


def events_by_time(
    rows: Iterable[TableRow], make: Callable[[TableRow], DatedEvent | None], faults: RowFaults
) -> Iterator[FileRow]:
    """The events that ``make`` returns for the rows, in order of time. A CellInvalid counts as a fault of the row."""
    dated_rows = readable(rows, make, faults)
    return by_time(
        ((time, row.source_line.line, row.source_line.file, event) for row, (time, event) in dated_rows), faults
    )


def events_in_order(
    rows: Iterable[TableRow], make: Callable[[TableRow], dict[str, Any] | None], faults: RowFaults
) -> Iterator[FileRow]:
    """The events that ``make`` returns for rows without times, in the order of the file."""
    return (FileRow(event, row.source_line) for row, event in readable(rows, make, faults))


def by_time(events: Iterable[SortableEvent], faults: RowFaults, run: int = RUN) -> Iterator[FileRow]:
    """The events with their ``occurred_at``, by time and then by row. Holds ``run`` of them in memory."""
    source = iter(events)
    first_run = sorted(islice(source, run), key=_KEY)
    with ExitStack() as stack:
        runs: list[Iterable[SortableEvent]] = [first_run]
        count = len(first_run)
        if count == run:
            # Only data sets that do not fit into one run use the disk.
            while chunk := sorted(islice(source, run), key=_KEY):
                runs.append(_read_run(_spill(chunk, stack)))
                count += len(chunk)
        faults.expected = count
        for time, number, file, event in heapq.merge(*runs, key=_KEY):
            event["occurred_at"] = _time(time)
            yield FileRow(event, SourceLine(file, number))


def _time(seconds: float) -> datetime | None:
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        # Validation refuses this time, and names the field.
        return datetime.min.replace(tzinfo=UTC)


def _spill(chunk: list[SortableEvent], stack: ExitStack) -> IO[bytes]:
    file = tempfile.TemporaryFile(prefix="freshet-import-")  # noqa: SIM115 - the stack closes it
    stack.enter_context(file)
    file.writelines(msgspec.json.encode(event) + b"\n" for event in chunk)
    file.seek(0)
    return file


def _read_run(file: IO[bytes]) -> Iterator[SortableEvent]:
    decoder = msgspec.json.Decoder(SortableEvent)
    return map(decoder.decode, file)
