"""Brings the catalogue up to date with a file of items: writes what changed, and hides what the file no longer lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from ingest.import_pipeline.appending import append_all
from ingest.import_pipeline.base import Importer, RowFaults, TooManyRefused
from ingest.import_pipeline.run import ImportDependencies
from ingest.import_pipeline.valid_events import BATCH, refuse
from ingest.validation import validate
from ingest.validation.validate import Rejection
from schemas.catalogue import Item, decode_upsert
from schemas.errors import DatasetUnknown, FreshetError, Undecodable
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import LogReader
from signals.catalogue import fold_item

_READ: Final = 1_000


class CatalogueChange(NamedTuple):
    """Numbers of rows that were written because they are new or differ, and of those that say nothing new; items hidden."""

    changed: int
    unchanged: int
    hidden: int
    error: FreshetError | None = None
    """What ended the reading early."""


def update_catalogue(
    importer: Importer,
    dependencies: ImportDependencies,
    reader: LogReader,
    faults: RowFaults,
    *,
    full: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> CatalogueChange:
    """Writes the items of a file that are new or differ from the catalogue; the last row of an item counts.

    ``full`` says that the file lists everything: items that it does not list are hidden. Where a row was refused, or no
    row was kept, nothing is hidden, because the item of that row would be. ``report`` receives the number of rows read.
    A file that is damaged, or has too many refused rows, ends it: see ``CatalogueChange.error``. Raises LogUnavailable.
    """
    catalogue, now = current_items(reader), validate.utc(dependencies.clock())
    read = _Read()
    changed = _write(_changed(importer, catalogue, read, faults, now, report), dependencies)
    vanished = [item_id for item_id, item in catalogue.items() if item_id not in read.rows and _is_visible(item)]
    hides = full and read.rows and not faults.count and read.error is None
    hidden = _write((_hidden(item_id, now) for item_id in vanished), dependencies) if hides else 0
    return CatalogueChange(changed, read.rows.total() - changed, hidden, read.error)


@dataclass
class _Read:
    """The number of valid rows by item, and what ended the reading early."""

    rows: Counter[str] = field(default_factory=Counter)
    error: FreshetError | None = None


def current_items(reader: LogReader) -> dict[str, Item]:
    """The current view of all items, folded from the log."""
    catalogue: dict[str, Item] = {}
    for partition in range(reader.partitions(topics.ITEMS)):
        offset, end = reader.bounds(topics.ITEMS, partition)
        while offset < end and (records := reader.read(topics.ITEMS, partition, offset, _READ)):
            for record in records:
                _fold(catalogue, record.value, record.offset)
            offset = records[-1].offset + 1
    return catalogue


def _fold(catalogue: dict[str, Item], value: bytes | None, offset: int) -> None:
    if value is None:
        return
    try:
        upsert = decode_upsert(value)
        catalogue[upsert.id] = fold_item(catalogue.get(upsert.id), upsert, offset)
    except (Undecodable, msgspec.ValidationError):
        # The worker has put this record among the dead letters.
        return


def _changed(
    importer: Importer,
    catalogue: dict[str, Item],
    read: _Read,
    faults: RowFaults,
    now: datetime,
    report: Callable[[int], None],
) -> Iterator[LogEntry]:
    """The entries of the rows that differ from the catalogue; counts valid rows in ``read``."""
    try:
        for entry in _valid_items(importer, faults, now, report):
            item = fold_item(None, decode_upsert(entry.value), -1)
            read.rows[item.item_id] += 1
            if _fields(item) != _fields(catalogue.get(item.item_id)):
                catalogue[item.item_id] = item
                yield entry
    except (DatasetUnknown, TooManyRefused) as error:
        read.error = error


def _valid_items(
    importer: Importer, faults: RowFaults, now: datetime, report: Callable[[int], None]
) -> Iterator[LogEntry]:
    for number, row in enumerate(importer.items(faults), 1):
        if number % BATCH == 0:
            report(number)
        try:
            yield validate.validate_item(row, now).entry
        except Rejection as error:
            refuse(faults, "item", row, error)


def _fields(item: Item | None) -> Item | None:
    """The item without what the log adds; None for one that is not there."""
    return None if item is None or item.deleted else msgspec.structs.replace(item, version=-1, first_at=None)


def _is_visible(item: Item) -> bool:
    return not (item.hidden or item.deleted)


def _hidden(item_id: str, now: datetime) -> LogEntry:
    return validate.patch_item(item_id, {"hidden": True}, now).entry


def _write(entries: Iterator[LogEntry], dependencies: ImportDependencies) -> int:
    """Appends the entries in batches; returns their number."""
    written = 0
    while batch := list(islice(entries, BATCH)):
        append_all(dependencies.writer, dependencies.sleep, topics.ITEMS, batch)
        written += len(batch)
    return written
