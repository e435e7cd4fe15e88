"""Hides the items that a full catalogue file no longer lists."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from ingest.import_pipeline.appending import append_all
from ingest.import_pipeline.base import Importer, RowFaults
from ingest.import_pipeline.catalogue.item_patches import current_items
from ingest.import_pipeline.run import ImportDependencies, Imported
from ingest.validation import validate
from schemas.catalogue import Item
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import LogReader

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


def _is_visible(item: Item) -> bool:
    return not (item.hidden or item.deleted)
