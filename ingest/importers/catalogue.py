"""A catalogue of items in one file: CSV, TSV, JSON, JSON lines, or a Google Merchant product feed (TSV, RSS, Atom).

The columns are recognised by their usual names; a column map names others. Columns of no known name become attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ingest.import_pipeline.base import FileImporter, FileRow, RowFaults
from ingest.import_pipeline.feed import feed_items
from ingest.import_pipeline.files import TableRow, readable, slug
from ingest.import_pipeline.formats.columns import CellInvalid, id_reader
from ingest.import_pipeline.formats.dialect import FOUND_OUT, FileOptions, by_number, table_form
from ingest.import_pipeline.sources import Source, open_source, plain_suffix
from ingest.importers.item_fields import EMPTY, ItemFieldReader
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
_JSON: Final = frozenset({".json", ".jsonl", ".ndjson"})


class CatalogueFile(FileImporter):
    """One file of items. ``mapping`` names columns by the names of MAPPED. Raises DatasetUnknown, ConfigurationInvalid."""

    def __init__(self, path: Path, mapping: Mapping[str, str] | None = None, options: FileOptions = FOUND_OUT) -> None:
        if not path.is_file():
            raise DatasetUnknown(f"there is no file {path}; a catalogue is one file")
        if plain_suffix(path) not in SUFFIXES:
            raise DatasetUnknown(f"{path}: a catalogue ends in {', '.join(SUFFIXES)} (or the same with .gz)")
        super().__init__(path.parent)
        self.file = path
        chosen = {"item_id" if name == "item" else name: (column,) for name, column in (mapping or {}).items()}
        self._columns: Mapping[str, Sequence[str]] = {**COLUMNS, **chosen}
        self._used = frozenset(name for names in self._columns.values() for name in names)
        self._source = None if plain_suffix(path) == ".xml" else self._open(dict(mapping or {}), options)
        self._read_id = id_reader(self._sample("item_id"))
        self._fields = ItemFieldReader(
            self._sample("price"), decimal_comma=options.decimal_comma, time_format=options.time_format
        )
        self.dataset = f"items-{slug(path.name)}"

    @property
    def paths(self) -> Sequence[Path]:
        """The file."""
        return [self.file]

    @property
    def description(self) -> str:  # type: ignore[override]
        """A line that says how the file is read."""
        return f"{self.file.name}: {self._source or 'a product feed'}"

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """The rows as items."""
        rows = self._source.rows(faults) if self._source else feed_items(self.file, faults)
        return (FileRow(item, row.source_line) for row, item in readable(rows, self._item, faults))

    def _open(self, mapping: dict[str, str], options: FileOptions) -> Source:
        if plain_suffix(self.file) in _JSON or (mapping and by_number(mapping)):
            return open_source(self.file, mapping, options)
        # The delimiter is the one that gives most of the usual names.
        names = table_form(self.file, {name: name for name in self._used}, options).names
        usual = {name: name for name in self._used if name in names}
        return open_source(self.file, usual | mapping, options)

    def _sample(self, field: str) -> Sequence[Any]:
        """Cells of the column that fills a field."""
        names = self._source.names if self._source else ()
        column = next((name for name in self._columns[field] if name in names), None)
        return self._source.sample(column) if self._source and column else ()

    def _item(self, row: TableRow) -> dict[str, Any]:
        cells = {name: cell for name, cell in row.cells.items() if cell not in EMPTY}
        attributes = {name: cell for name, cell in cells.items() if name not in self._used and name != "attributes"}
        attributes |= cells["attributes"] if isinstance(cells.get("attributes"), dict) else {}
        item: dict[str, Any] = {}
        for field, names in self._columns.items():
            column = next((name for name in names if name in cells), None)
            if column is not None and field == "item_id":
                item[field] = row.read(column, self._read_id)
            elif column is not None:
                item |= self._fields.read(field, row, column, attributes)
        if item.get("item_id") is None:
            raise CellInvalid(f"has no id; name its column with --map item=…, or call it one of {_ids()}", "no-id")
        return item | ({"attributes": attributes} if attributes else {})


def _ids() -> str:
    return ", ".join(COLUMNS["item_id"])
