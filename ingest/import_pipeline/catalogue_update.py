"""Brings the catalogue up to date with a file of items: writes what changed, and hides what the file no longer lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from ingest.import_pipeline.appending import append_all
from ingest.import_pipeline.base import Importer, RowFaults
from ingest.import_pipeline.run import ImportDependencies
from ingest.import_pipeline.valid_events import BATCH
from ingest.validation import validate
from ingest.validation.validate import Rejection
from schemas.catalogue import Item, decode_upsert
from schemas.errors import Undecodable
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import LogReader
from signals.catalogue import fold_item

_READ: Final = 1_000


class CatalogueChange(NamedTuple):
    """Numbers of items: those written because they are new or differ, those left as they are, and those hidden."""

    changed: int
    unchanged: int
    hidden: int

    @property
    def kept(self) -> int:
        """Items of the file that stand in the catalogue now."""
        return self.changed + self.unchanged


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
    Raises LogUnavailable, DatasetUnknown.
    """
    catalogue, now = current_items(reader), validate.utc(dependencies.clock())
    listed: dict[str, None] = {}
    changed = _write(_changed(importer, catalogue, listed, faults, now, report), dependencies)
    vanished = [item_id for item_id, item in catalogue.items() if item_id not in listed and _is_visible(item)]
    hides = full and listed and not faults.count
    hidden = _write((_hidden(item_id, now) for item_id in vanished), dependencies) if hides else 0
    return CatalogueChange(changed, len(listed) - min(changed, len(listed)), hidden)


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
    listed: dict[str, None],
    faults: RowFaults,
    now: datetime,
    report: Callable[[int], None],
) -> Iterator[LogEntry]:
    """The entries of the rows that differ from the catalogue; adds to ``listed`` the id of each valid row."""
    for number, row in enumerate(importer.items(faults), 1):
        if number % BATCH == 0:
            report(number)
        try:
            entry = validate.validate_item(row, now).entry
        except Rejection as error:
            faults.note(getattr(row, "source_line", row.get("item_id")), str(error), error.code, row)
            continue
        item = fold_item(None, decode_upsert(entry.value), -1)
        listed[item.item_id] = None
        if _fields(item) != _fields(catalogue.get(item.item_id)):
            catalogue[item.item_id] = item
            yield entry


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
