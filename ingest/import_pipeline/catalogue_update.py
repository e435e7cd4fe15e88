"""Hides the items that a full catalogue file no longer lists."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from ingest.import_pipeline.appending import append_all
from ingest.import_pipeline.base import Importer, RowFaults
from ingest.import_pipeline.run import ImportDependencies, Imported
from ingest.validation import validate
from schemas.catalogue import Item, decode_upsert
from schemas.errors import Undecodable
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import LogReader
from signals.catalogue import fold_item

_READ: Final = 1_000
_BATCH: Final = 2_000


def hide_unlisted(importer: Importer, imported: Imported, dependencies: ImportDependencies, reader: LogReader) -> int:
    """Hides every visible item that the file does not list; returns their number. Raises LogUnavailable, DatasetUnknown.

    If a row was refused, or the file has no row, nothing is hidden: the refused row may be that of a listed item.
    """
    if imported.total.refused or imported.error is not None or imported.in_vain:
        return 0
    listed = {row["item_id"] for row in importer.items(RowFaults())}
    unlisted = [
        item_id for item_id, item in current_items(reader).items() if _is_visible(item) and item_id not in listed
    ]
    now = validate.utc(dependencies.clock())
    entries: Iterator[LogEntry] = (validate.patch_item(item_id, {"hidden": True}, now).entry for item_id in unlisted)
    while batch := list(islice(entries, _BATCH)):
        append_all(dependencies.writer, dependencies.sleep, topics.ITEMS, batch)
    return len(unlisted)


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
    try:
        upsert = decode_upsert(value or b"")
        catalogue[upsert.id] = fold_item(catalogue.get(upsert.id), upsert, offset)
    except (Undecodable, msgspec.ValidationError):
        # The worker has put this record among the dead letters.
        return


def _is_visible(item: Item) -> bool:
    return not (item.hidden or item.deleted)
