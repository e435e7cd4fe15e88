"""Items from the rows of events: a column map may also name columns that describe the item of a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ingest.import_pipeline.base import FileRow, SourceLine
from ingest.import_pipeline.files import TableRow
from ingest.importers.catalogue import MAPPED
from ingest.importers.item_fields import EMPTY, ItemFieldReader

ITEM_COLUMNS: Final = MAPPED[1:]
"""The names of a column map that describe an item: those of a catalogue, without its id."""


class DescribedItem(NamedTuple):
    """What one row says about its item: fields that are not empty, and when it says so."""

    item_id: str
    fields: dict[str, Any]
    time: float
    """Seconds since 1970; 0 in a file without times, where later rows are newer."""
    cells: dict[str, tuple[str, Any]]
    """By field, the column and the cell that it was read from."""


def described_item(
    row: TableRow, item_id: str, time: float, columns: Mapping[str, str], reader: ItemFieldReader
) -> DescribedItem:
    """What a row says about its item, without empty cells; raises CellInvalid."""
    described, attributes = DescribedItem(item_id, {}, time, {}), dict[str, Any]()
    for name, column in columns.items():
        cell = row.cells.get(column)
        cell = cell.strip() if isinstance(cell, str) else cell
        if cell not in EMPTY:
            for field, value in reader.read(
                name, TableRow(row.source_line, {column: cell}), column, attributes
            ).items():
                described.fields[field], described.cells[field] = value, (column, cell)
    described.fields.update({"attributes": attributes} if attributes else {})
    return described


def newest_items(rows: Iterable[tuple[TableRow, DescribedItem]]) -> Iterator[FileRow]:
    """Each item once, with the newest value of each field. Holds all items in memory, but no rows."""
    items: dict[str, _NewestItem] = {}
    for row, described in rows:
        item = items.setdefault(described.item_id, _NewestItem(row.source_line, {}))
        for name, value in described.fields.items():
            if name not in item.fields or described.time >= item.fields[name].time:
                item.fields[name] = _NewestValue(described.time, value, described.cells.get(name))
    for item_id, item in items.items():
        fields = {name: newest.value for name, newest in item.fields.items()}
        cells = dict(newest.cell for newest in item.fields.values() if newest.cell is not None)
        yield FileRow({"item_id": item_id, **fields}, item.line, cells)


class _NewestValue(NamedTuple):
    time: float
    value: Any
    cell: tuple[str, Any] | None
    """The column and the cell that it was read from."""


class _NewestItem(NamedTuple):
    line: SourceLine
    """The first line of the item: where a person looks for it."""
    fields: dict[str, _NewestValue]
