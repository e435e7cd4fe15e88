"""Any CSV, TSV or JSONL file with a map of its columns: ``user=userId,item=movieId,type=view,time=timestamp``."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ingest.import_pipeline.base import FileImporter, RowFaults
from ingest.import_pipeline.files import TableRow, first_row, lines, objects, readable, rows, slug
from ingest.import_pipeline.ordering import DatedEvent, events_by_time, events_in_order
from schemas.errors import ConfigurationInvalid, DatasetUnknown

SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson")
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
_NAMES: Final = ("user_id", "anonymous_id", "session_id", "item_id", "event_id")
_EMPTY: Final = (None, "")


def parse_map(text: str, fields: Collection[str] = FIELDS.keys()) -> dict[str, str]:
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


class Mapped(FileImporter):
    """Imports one file, or the only CSV, TSV or JSONL file of a folder. Raises DatasetUnknown, ConfigurationInvalid."""

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        self.file = _file(path)
        super().__init__(self.file.parent)
        self._mapping = dict(mapping)
        self._filled = [(FIELDS[name], column) for name, column in mapping.items() if name != "time"]
        self._json = _plain(self.file).suffix in {".jsonl", ".ndjson"}
        self._numbered = not self._json and all(column.isdecimal() for column in self._columns().values())
        self._delimiter = "" if self._json else _delimiter(self.file)
        self._names = self._read_names()
        self._check()
        digest = blake2b(f"{self.file.name}{sorted(mapping.items())}".encode(), digest_size=4).hexdigest()
        self.dataset = f"{slug(_plain(self.file).stem)}-{digest}"

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
        for _, event in readable(sample, self._event, RowFaults()):
            if event["type"] == "rating" and "value" in event:
                yield event["value"]

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """The file's rows as events; in the order of the file if no time is mapped."""
        if "time" in self._mapping:
            return events_by_time(self._rows(faults), self._timed, faults)
        return events_in_order(self._rows(faults), self._event, faults)

    def _timed(self, row: TableRow) -> DatedEvent:
        return row.time_in(self._mapping["time"]), self._event(row)

    def _event(self, row: TableRow) -> dict[str, Any]:
        cells = row.cells
        event = {field: cells[column] for field, column in self._filled if cells.get(column) not in _EMPTY}
        event["type"] = self._type(event)
        if "value" in event:
            event["value"] = row.number_in(self._mapping["value"])
        for name in _NAMES:
            if isinstance(event.get(name), int | float):
                event[name] = str(event[name])
        return event

    def _type(self, event: Mapping[str, Any]) -> str:
        default = "rating" if "value" in self._mapping else "view"
        name = event.get("type") or self._constant_type() or default
        return _type_name(str(name))

    def _constant_type(self) -> str | None:
        column = self._mapping.get("type")
        return _type_name(column) if column is not None and column not in self._names else None

    def _columns(self) -> dict[str, str]:
        return {name: column for name, column in self._mapping.items() if name != "type"}

    def _read_names(self) -> Sequence[str]:
        """The names of the columns: from the header or the first object, or numbers from 1."""
        if self._json:
            first_object = next((row.cells for row in self._rows(RowFaults())), {})
            return list(first_object)
        header = first_row(csv.reader(lines(self.file, "utf-8", RowFaults()), delimiter=self._delimiter), self.file)
        return [str(n) for n in range(1, len(header) + 1)] if self._numbered else header

    def _check(self) -> None:
        if not self._mapping.keys() & {"user", "anonymous", "session"}:
            raise ConfigurationInvalid(
                f"the column map must name who it was: user=, anonymous= or session=; write {_example()}"
            )
        # A JSON object may lack optional fields, so the first line does not show all columns.
        missing_columns = (
            [] if self._json else [column for column in self._columns().values() if column not in self._names]
        )
        if missing_columns:
            raise ConfigurationInvalid(
                f"{self.file.name} has no column '{missing_columns[0]}'; it has {', '.join(self._names)}"
            )

    def _rows(self, faults: RowFaults) -> Iterator[TableRow]:
        if self._json:
            return objects(self.file, faults)
        return rows(self.file, faults, delimiter=self._delimiter, columns=self._names if self._numbered else None)


def _type_name(text: str) -> str:
    return slug(text, 32).replace("-", "_")


def _file(path: Path) -> Path:
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = [file for file in sorted(path.iterdir()) if _plain(file).suffix in SUFFIXES]
    else:
        raise DatasetUnknown(f"there is no {path}")
    if len(files) != 1 or _plain(files[0]).suffix not in (*SUFFIXES, ".txt"):
        raise DatasetUnknown(f"{path}: name one file that ends in {', '.join(SUFFIXES)} (or the same with .gz)")
    return files[0]


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == ".gz" else path


def _delimiter(path: Path) -> str:
    if _plain(path).suffix == ".tsv":
        return "\t"
    sample = "".join(islice(lines(path, "utf-8", RowFaults()), 5))
    try:
        return csv.Sniffer().sniff(sample, ",;\t| ").delimiter
    except csv.Error:
        return ","


def _example() -> str:
    return "--map user=userId,item=itemId,type=view,time=timestamp"
