"""A catalogue of items in one file: CSV, TSV, JSON, JSON lines, or a Google Merchant product feed (TSV, RSS, Atom).

The columns are recognised by their usual names; a column map names others. Columns of no known name become attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ingest.import_pipeline.base import FileImporter, FileRow, RowFaults
from ingest.import_pipeline.feed import feed_items
from ingest.import_pipeline.files import TableRow, objects, readable, rows, slug
from ingest.import_pipeline.formats.columns import CellInvalid
from schemas.errors import DatasetUnknown

SUFFIXES: Final = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".xml")
COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "item_id": ("item_id", "id", "product_id", "sku", "article_id"),
    "title": ("title", "name", "product_name"),
    "description": ("description", "summary"),
    "categories": ("categories", "category", "product_type", "genres"),
    "tags": ("tags", "keywords"),
    "price": ("price",),
    "url": ("url", "link", "product_url"),
    "image_url": ("image_url", "image_link", "image"),
    "published_at": ("published_at", "release_date", "created_at"),
    "availability": ("availability",),
    "available_from": ("available_from",),
    "available_until": ("available_until", "expiration_date"),
}
"""By item field, the names of columns that fill it; the first one that a row has counts."""
MAPPED: Final = ("item", *list(COLUMNS)[1:])
"""The names that a column map may use."""
_LISTS: Final = frozenset({"categories", "tags"})
_TIMES: Final = frozenset({"published_at", "available_from", "available_until"})
_SEPARATOR: Final = "|"
_PRICE: Final = re.compile(r"(?:([A-Z]{3})\s*)?(\d{1,15}(?:\.\d{1,6})?)(?:\s*([A-Z]{3}))?")
_AVAILABLE: Final = {
    "in_stock": True,
    "available": True,
    "preorder": True,
    "backorder": True,
    "out_of_stock": False,
    "sold_out": False,
    "discontinued": False,
}


class CatalogueFile(FileImporter):
    """One file of items. ``mapping`` names columns by the names of MAPPED. Raises DatasetUnknown for another ending."""

    def __init__(self, path: Path, mapping: Mapping[str, str] | None = None) -> None:
        if not path.is_file():
            raise DatasetUnknown(f"there is no file {path}; a catalogue is one file")
        if _ending(path) not in SUFFIXES:
            raise DatasetUnknown(f"{path}: a catalogue ends in {', '.join(SUFFIXES)} (or the same with .gz)")
        super().__init__(path.parent)
        self.file = path
        chosen = {"item_id" if name == "item" else name: (column,) for name, column in (mapping or {}).items()}
        self._columns: Mapping[str, Sequence[str]] = {**COLUMNS, **chosen}
        self._used = frozenset(name for names in self._columns.values() for name in names)
        self.dataset = f"items-{slug(path.name)}"

    @property
    def paths(self) -> Sequence[Path]:
        """The file."""
        return [self.file]

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """The rows as items."""
        return (FileRow(item, row.source_line) for row, item in readable(self._rows(faults), self._item, faults))

    def _rows(self, faults: RowFaults) -> Iterator[TableRow]:
        ending = _ending(self.file)
        if ending == ".xml":
            return feed_items(self.file, faults)
        if ending in {".json", ".jsonl", ".ndjson"}:
            return objects(self.file, faults)
        return rows(self.file, faults, delimiter="," if ending == ".csv" else "\t")

    def _item(self, row: TableRow) -> dict[str, Any]:
        cells = {name: cell for name, cell in row.cells.items() if cell not in (None, "", [], {})}
        item: dict[str, Any] = {}
        attributes = {name: cell for name, cell in cells.items() if name not in self._used and name != "attributes"}
        attributes |= cells.get("attributes", {}) if isinstance(cells.get("attributes"), dict) else {}
        for field, names in self._columns.items():
            column = next((name for name in names if name in cells), None)
            if column is not None:
                _fill(item, attributes, field, row, column)
        if "item_id" not in item:
            raise CellInvalid(f"has no id; name its column with --map item=…, or call it one of {_ids()}")
        return item | ({"attributes": attributes} if attributes else {})


def _fill(item: dict[str, Any], attributes: dict[str, Any], field: str, row: TableRow, column: str) -> None:
    """Put one cell into its field of the item; raises CellInvalid."""
    cell = row.cells[column]
    if field == "price":
        item["price"], currency = _price(cell, column)
        if currency:
            attributes.setdefault("currency", currency)
    elif field == "availability":
        item["hidden"] = not _is_available(cell, column)
    elif field in _LISTS:
        item[field] = labels(cell)
    elif field in _TIMES:
        item[field] = datetime.fromtimestamp(row.time_in(column), UTC)
    else:
        item[field] = str(cell) if isinstance(cell, int) and not isinstance(cell, bool) else cell


def labels(cell: Any) -> list[str]:
    """The entries of a list; a text is one entry, or several that ``|`` divides."""
    entries = cell if isinstance(cell, list) else str(cell).split(_SEPARATOR)
    return list(dict.fromkeys(text for entry in entries if (text := str(entry).strip())))


def _price(cell: Any, column: str) -> tuple[float, str]:
    """The amount and the currency (three letters, or empty) of ``9.99``, ``9.99 EUR`` or ``EUR 9.99``; raises CellInvalid."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return float(cell), ""
    match = _PRICE.fullmatch(str(cell).strip())
    if match is None:
        raise CellInvalid(f"column {column}: '{str(cell)[:40]}' is not a price such as 9.99 or 9.99 EUR")
    return float(match[2]), match[1] or match[3] or ""


def _is_available(cell: Any, column: str) -> bool:
    state = "_".join(str(cell).lower().split())
    if state not in _AVAILABLE:
        raise CellInvalid(f"column {column}: '{str(cell)[:40]}' is not one of {', '.join(_AVAILABLE)}")
    return _AVAILABLE[state]


def _ids() -> str:
    return ", ".join(COLUMNS["item_id"])


def _ending(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
