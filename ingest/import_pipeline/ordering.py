"""Sorts any number of events by time: sorted runs on disk are merged (external merge sort)."""

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
"""Events sorted in memory at once."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KEY: Final = itemgetter(0, 1)


def events_by_time(
    rows: Iterable[TableRow], make: Callable[[TableRow], DatedEvent | None], faults: RowFaults
) -> Iterator[FileRow]:
    """The events that ``make`` returns for the rows, in order of time; CellInvalid makes a row a fault."""
    made = readable(rows, make, faults)
    return by_time(((time, row.place.line, row.place.file, event) for row, (time, event) in made), faults)


def events_in_order(
    rows: Iterable[TableRow], make: Callable[[TableRow], dict[str, Any] | None], faults: RowFaults
) -> Iterator[FileRow]:
    """The events that ``make`` returns for rows without times, in the order of the file."""
    return (FileRow(event, row.place) for row, event in readable(rows, make, faults))


def by_time(events: Iterable[SortableEvent], faults: RowFaults, run: int = RUN) -> Iterator[FileRow]:
    """The events with their ``occurred_at``, by time and then by row; holds ``run`` of them in memory."""
    source = iter(events)
    first = sorted(islice(source, run), key=_KEY)
    with ExitStack() as stack:
        runs: list[Iterable[SortableEvent]] = [first]
        count = len(first)
        if count == run:
            # Only sets that outgrow memory pay for the disk.
            while chunk := sorted(islice(source, run), key=_KEY):
                runs.append(_read(_spilled(chunk, stack)))
                count += len(chunk)
        faults.expected = count
        for time, number, file, event in heapq.merge(*runs, key=_KEY):
            event["occurred_at"] = _time(time)
            yield FileRow(event, SourceLine(file, number))


def _time(seconds: float) -> datetime | None:
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        # Validation refuses it by name.
        return datetime.min.replace(tzinfo=UTC)


def _spilled(chunk: list[SortableEvent], stack: ExitStack) -> IO[bytes]:
    file = tempfile.TemporaryFile(prefix="freshet-import-")  # noqa: SIM115 - the stack closes it
    stack.enter_context(file)
    file.writelines(msgspec.json.encode(event) + b"\n" for event in chunk)
    file.seek(0)
    return file


def _read(file: IO[bytes]) -> Iterator[SortableEvent]:
    decoder = msgspec.json.Decoder(SortableEvent)
    return map(decoder.decode, file)
