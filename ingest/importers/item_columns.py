"""Items from the rows of events: a column map may also name columns that describe the item of a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ingest.import_pipeline.base import FileRow, SourceLine
from ingest.import_pipeline.files import TableRow
from ingest.importers.catalogue import MAPPED
from ingest.importers.item_fields import EMPTY, ItemFields

ITEM_COLUMNS: Final = MAPPED[1:]
"""The names of a column map that describe an item: those of a catalogue, without its id."""


class DescribedItem(NamedTuple):
    """What one row says about its item: fields that are not empty, and when it says so."""

    item_id: str
    fields: dict[str, Any]
    time: float
    """Seconds since 1970; 0 in a file without times, where later rows are newer."""


def item_fields(row: TableRow, columns: Mapping[str, str], reader: ItemFields) -> dict[str, Any]:
    """The fields that a row gives its item, without empty ones; raises CellInvalid."""
    fields, attributes = dict[str, Any](), dict[str, Any]()
    for name, column in columns.items():
        cell = row.cells.get(column)
        cell = cell.strip() if isinstance(cell, str) else cell
        if cell not in EMPTY:
            fields |= reader.read(name, TableRow(row.source_line, {column: cell}), column, attributes)
    return fields | ({"attributes": attributes} if attributes else {})


def newest_items(rows: Iterable[tuple[TableRow, DescribedItem]]) -> Iterator[FileRow]:
    """Each item once, with the newest value of each field. Holds all items in memory, but no rows."""
    items: dict[str, _NewestItem] = {}
    for row, described in rows:
        item = items.setdefault(described.item_id, _NewestItem(row.source_line, {}))
        for name, value in described.fields.items():
            if name not in item.fields or described.time >= item.fields[name].time:
                item.fields[name] = _NewestValue(described.time, value)
    for item_id, item in items.items():
        yield FileRow({"item_id": item_id, **{name: newest.value for name, newest in item.fields.items()}}, item.line)


class _NewestValue(NamedTuple):
    time: float
    value: Any


class _NewestItem(NamedTuple):
    line: SourceLine
    """The first line of the item: where a person looks for it."""
    fields: dict[str, _NewestValue]
