"""Any CSV, TSV or JSON file with a map of its columns: ``user=userId,item=movieId,type=view,time=timestamp``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from ingest.import_pipeline.base import FileImporter, RowFaults
from ingest.import_pipeline.files import TableRow, readable, slug
from ingest.import_pipeline.formats.columns import CellInvalid, id_reader, number_reader
from ingest.import_pipeline.formats.dialect import FOUND_OUT, FileOptions
from ingest.import_pipeline.formats.times import time_reader
from ingest.import_pipeline.ordering import DatedEvent, events_by_time, events_in_order
from ingest.import_pipeline.sources import open_source, plain_suffix
from ingest.importers.item_columns import ITEM_COLUMNS, DescribedItem, described_item, newest_items
from ingest.importers.item_fields import ItemFieldReader
from schemas.errors import ConfigurationInvalid, DatasetUnknown

SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
SAMPLED_ROWS: Final = 20_000
"""Rows from which the scale of ratings is recognised."""
FIELDS: Final = {
    "user": "user_id",
    "anonymous": "anonymous_id",
    "session": "session_id",
    "item": "item_id",
    "type": "type",
    "value": "value",
    "query": "query",
    "time": "time",
    "id": "event_id",
}
"""The names of a column map, and the event field that each fills."""
_NAMES: Final = frozenset({"user_id", "anonymous_id", "session_id", "item_id", "event_id"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNPRINTABLE: Final = "\ufffd"
_TRIMMED: Final = "ids were read without blanks around them, or .0 at their end"


def parse_map(text: str, fields: Collection[str] = (*FIELDS, *ITEM_COLUMNS)) -> dict[str, str]:
    """Reads ``user=a,item=b``; raises ConfigurationInvalid for another form, or for a name that is not in ``fields``."""
    mapping: dict[str, str] = {}
    for assignment in filter(None, (assignment.strip() for assignment in text.split(","))):
        name, equals, column = (side.strip() for side in assignment.partition("="))
        if not equals or not column or name not in fields:
            raise ConfigurationInvalid(
                f"'{assignment}' is no part of a column map; write {_example()} with any of {', '.join(fields)}"
            )
        mapping[name] = column
    return mapping


def parse_types(text: str) -> dict[str, str]:
    """Reads ``pv=view,fav=bookmark``: the words of a file, and their event types. Raises ConfigurationInvalid."""
    types: dict[str, str] = {}
    for assignment in filter(None, (assignment.strip() for assignment in text.split(","))):
        word, equals, name = (side.strip() for side in assignment.partition("="))
        if not equals or not word or not name:
            raise ConfigurationInvalid(f"'{assignment}' maps no event type; write --types pv=view,fav=bookmark")
        types[word] = name
    return types


class _Column(NamedTuple):
    """A mapped column: the event field that it fills, its name, and how its cells are read."""

    field: str
    name: str
    read: Callable[[Any], Any]
    is_id: bool


class Mapped(FileImporter):
    """Imports one file, or the only CSV, TSV or JSON file of a folder. Raises DatasetUnknown, ConfigurationInvalid."""

    merges_items = True

    def __init__(self, path: Path, mapping: Mapping[str, str], options: FileOptions = FOUND_OUT) -> None:
        self.file = _file(path)
        super().__init__(self.file.parent)
        self._mapping, self._options = dict(mapping), options
        self._check_map()
        self._source = open_source(
            self.file, {name: column for name, column in mapping.items() if name != "type"}, options
        )
        self._columns = [self._column(name) for name in mapping if name in FIELDS.keys() - {"type", "time"}]
        self._item_columns = {name: column for name, column in mapping.items() if name in ITEM_COLUMNS}
        self._read_time = time_reader(options.time_format, options.latest)
        digest = blake2b(f"{self.file.name}{sorted(mapping.items())}".encode(), digest_size=4).hexdigest()
        self.dataset = f"{slug(self.file.name.partition('.')[0])}-{digest}"

    @property
    def paths(self) -> Sequence[Path]:
        """The file."""
        return [self.file]

    @property
    def types(self) -> frozenset[str]:  # type: ignore[override]
        """The type that the map gives to all rows, if it names one."""
        return frozenset(filter(None, [self._constant_type()]))

    def ratings(self) -> Iterator[float]:
        """Ratings of the first SAMPLED_ROWS rows."""
        if "value" not in self._mapping:
            return
        sample = islice(self._rows(RowFaults()), SAMPLED_ROWS)
        for _, event in readable(sample, self._event_maker(RowFaults()), RowFaults()):
            if event["type"] == "rating" and "value" in event:
                yield event["value"]

    @property
    def description(self) -> str:  # type: ignore[override]
        """A line that says how the file is read, with its first row."""
        row = next(self._rows(RowFaults()), None)
        first = f"; {len(self._used())} columns used; first row read as {self._described(row)}" if row else ""
        line = f"{self.file.name}: {self._source}{first}"
        return "".join(char if char.isprintable() else _UNPRINTABLE for char in line)

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """The items of the rows, if columns describe them: each once, with its newest values that are not empty."""
        if not self._item_columns:
            return iter(())
        # Rows that cannot be read are counted once, as events.
        rows = self._rows(RowFaults(faults.watch))
        return newest_items(readable(rows, self._item_reader(), faults))

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """The file's rows as events; in the order of the file if no time is mapped."""
        rows = self._rows(faults)
        event_of = self._event_maker(faults)
        if "time" not in self._mapping:
            return events_in_order(rows, event_of, faults)
        column, read_time = self._mapping["time"], self._read_time

        def dated(row: TableRow) -> DatedEvent:
            return row.read(column, read_time), event_of(row)

        return events_by_time(rows, dated, faults)

    def _rows(self, faults: RowFaults) -> Iterator[TableRow]:
        single_line = [
            column for name, column in self._mapping.items() if name in FIELDS and name not in {"type", "query"}
        ]
        return self._source.rows(faults, self._is_sound, single_line)

    def _event_maker(self, faults: RowFaults) -> Callable[[TableRow], dict[str, Any]]:
        """Returns the function that makes an event of a row. It is called for each row, so it looks up nothing twice."""
        columns, type_of = self._columns, self._type_reader()

        def event_of(row: TableRow) -> dict[str, Any]:
            cells, event = row.cells, dict[str, Any]()
            for field, column, read, is_id in columns:
                cell = cells.get(column)
                if cell or cell == 0:
                    value = row.read(column, read)
                    if value is not None:
                        event[field] = value
                        if is_id and value is not cell and isinstance(cell, str):
                            faults.mend(_TRIMMED)
            event["type"] = type_of(cells)
            return event

        return event_of

    def _item_reader(self) -> Callable[[TableRow], DescribedItem | None]:
        """Returns the function that reads the item of a row; None for a row that describes none, or is no event."""
        [read_id] = [column.read for column in self._columns if column.field == "item_id"]
        item_column, time_column, columns = self._mapping["item"], self._mapping.get("time"), self._item_columns
        prices = self._source.sample(columns["price"]) if "price" in columns else ()
        reader = ItemFieldReader(prices, decimal_comma=self._options.decimal_comma)

        def item_of(row: TableRow) -> DescribedItem | None:
            try:
                item_id = row.read(item_column, read_id)
                time = row.read(time_column, self._read_time) if time_column else 0.0
            except CellInvalid:
                return None
            if not item_id:
                return None
            described = described_item(row, item_id, time, columns, reader)
            return described if described.fields else None

        return item_of

    def _type_reader(self) -> Callable[[Mapping[str, Any]], str]:
        """Returns the function that says the type of an event by the cells of its row."""
        column, types = self._mapping.get("type", ""), self._options.types
        default = self._constant_type() or ("rating" if "value" in self._mapping else "view")
        if column not in self._source.names:
            return lambda _: default

        def type_of(cells: Mapping[str, Any]) -> str:
            word = str(cells.get(column) or "").strip()
            # A word without a Latin letter is kept, so that a refusal can say it.
            return types.get(word) or _type_name(word) or word or default

        return type_of

    def _constant_type(self) -> str | None:
        column = self._mapping.get("type")
        return _type_name(column) if column is not None and column not in self._source.names else None

    def _column(self, name: str) -> _Column:
        field, column = FIELDS[name], self._mapping[name]
        sample = self._source.sample(column)
        if field in _NAMES:
            return _Column(field, column, id_reader(sample), is_id=True)
        if field == "value":
            read = number_reader(sample, decimal_comma=self._options.decimal_comma)
            return _Column(field, column, read, is_id=False)
        return _Column(field, column, lambda cell: cell, is_id=False)

    def _is_sound(self, cells: Mapping[str, str]) -> bool:
        """False for cells that are no row: a number or a time is none, or an id has a quote."""
        quote, time = self._options.quote or '"', cells.get(self._mapping.get("time", ""))
        try:
            if time:
                self._read_time(time)
            for _, column, read, is_id in self._columns:
                if cells[column] and read(cells[column]) and is_id and quote in cells[column]:
                    return False
        except CellInvalid:
            return False
        return True

    def _used(self) -> list[str]:
        return [name for name, column in self._mapping.items() if column in self._source.names]

    def _described(self, row: TableRow) -> str:
        try:
            event = self._event_maker(RowFaults())(row)
            time = self._described_time(row)
        except CellInvalid as error:
            return f"no event: {error}"
        return (
            ", ".join(f"{name} {event[FIELDS[name]]}" for name in FIELDS if FIELDS[name] in event and name != "id")
            + f" at {time}"
        )

    def _described_time(self, row: TableRow) -> str:
        if "time" not in self._mapping:
            return "the time of the import"
        seconds = row.read(self._mapping["time"], self._read_time)
        return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")

    def _check_map(self) -> None:
        if not self._mapping.keys() & {"user", "anonymous", "session"}:
            raise ConfigurationInvalid(
                f"the column map must name who it was: user=, anonymous= or session=; write {_example()}"
            )
        described = next((name for name in self._mapping if name in ITEM_COLUMNS), None)
        if described and "item" not in self._mapping:
            raise ConfigurationInvalid(f"{described}= describes an item, but the column map names no item=")
        if self._options.time_format and "time" not in self._mapping:
            raise ConfigurationInvalid("--time-format says how a time is written, but --map names no column of times")


def _type_name(text: str) -> str:
    return slug(text, 32).replace("-", "_")


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise DatasetUnknown(f"there is no {path}")
    files = [file for file in sorted(path.iterdir()) if plain_suffix(file) in SUFFIXES]
    if len(files) != 1:
        raise DatasetUnknown(f"{path}: name one file that ends in {', '.join(SUFFIXES)} (or the same with .gz)")
    return files[0]


def _example() -> str:
    return "--map user=userId,item=itemId,type=view,time=timestamp"
