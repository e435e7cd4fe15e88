"""Reads text files row by row: tables and JSON, plain or gzip, in any encoding. Counts a row that cannot be read as a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from ingest.import_pipeline.base import RowFaults, SourceLine, find_file
from ingest.import_pipeline.formats.columns import CellInvalid, read_id, read_number
from ingest.import_pipeline.formats.dialect import Dialect, records, records_of
from ingest.import_pipeline.formats.json_rows import json_objects
from ingest.import_pipeline.formats.lines import lines, sample_lines
from ingest.import_pipeline.formats.quoting import RecordShape
from ingest.import_pipeline.formats.times import read_time, time_reader
from ingest.validation.jsontext import parse
from schemas.errors import DatasetUnknown, FreshetError

_MAX_LEADING_FAULTS: Final = 1_000
"""A file is refused if it begins with this many malformed rows."""
_HEADER_LINES: Final = 20
_HEADER_BYTES: Final = 1 << 16

T = TypeVar("T")

REFUSED_FIELDS: Final = ("file", "line", "reason", "detail", "row")
"""Fields of a line of a file of refused rows: ``ingest.import_pipeline.refused``."""
_REFUSED_ROW: Final = frozenset(REFUSED_FIELDS)


class TableRow(NamedTuple):
    """One row: the line on which it ends, and its cells by column."""

    source_line: SourceLine
    cells: dict[str, Any]

    @property
    def number(self) -> int:
        """The number of its line, from 1."""
        return self.source_line.line

    def number_in(self, column: str) -> float:
        """The number that a column holds; raises CellInvalid."""
        return self.read(column, read_number)

    def time_in(self, column: str) -> float:
        """The time that a column holds, in seconds since 1970; raises CellInvalid."""
        return self.read(column, read_time)

    def time_as(self, column: str, form: str) -> float:
        """The time in UTC that a column holds in this ``strptime`` form, in seconds since 1970; raises CellInvalid."""
        return self.read(column, _time_reader(form))

    def id_in(self, *columns: str) -> str:
        """The id that the first of these columns holds that is not empty; raises CellInvalid if all are."""
        for column in columns:
            if (id_ := self.read(column, read_id)) is not None:
                return id_
        raise CellInvalid(f"column {' or '.join(columns)}: has no id", "no-id")

    def read(self, column: str, read_cell: Callable[[Any], T]) -> T:
        """What a cell holds by one of the readers of ``columns`` and ``times``; raises CellInvalid with its column."""
        cell = self.cells.get(column)
        try:
            return read_cell(cell)
        except CellInvalid as error:
            raise CellInvalid(f"column {column}: '{str(cell)[:40]}' {error}", error.reason) from error


_time_reader = lru_cache(maxsize=64)(time_reader)


def rows(
    path: Path,
    faults: RowFaults,
    *,
    delimiter: str = ",",
    columns: Sequence[str] | None = None,
    needs: Sequence[str] = (),
    encoding: str = "utf-8",
    quoted: bool = True,
) -> Iterator[TableRow]:
    """The rows of a file. Its first line names the columns unless ``columns`` does. Rows of another length are faults.

    Raises DatasetUnknown if the first line lacks a column of ``needs``, or has it twice.
    """
    dialect = Dialect(encoding, delimiter, '"' if quoted else "")
    if columns is not None:
        return table_rows(path, faults, dialect, columns)
    names = _header(path, dialect)
    for name in needs:
        if names.count(name) != 1:
            fault = f"names the column '{name}' twice" if name in names else f"names no column '{name}'"
            raise DatasetUnknown(f"{path} line 1 {fault}: it has {', '.join(names)[:200]}")
    return table_rows(path, faults, dialect._replace(skip=1), names)


def table_rows(
    path: Path,
    faults: RowFaults,
    dialect: Dialect,
    names: Sequence[str],
    header: Sequence[str] = (),
    shape: RecordShape | None = None,
) -> Iterator[TableRow]:
    """The rows of a table whose form is known. A row of another length, or one that repeats the header, is a fault."""
    return faults.observe(_table_rows(path, faults, dialect, names, header, shape or RecordShape(len(names))))


def _table_rows(
    path: Path, faults: RowFaults, dialect: Dialect, names: Sequence[str], header: Sequence[str], shape: RecordShape
) -> Iterator[TableRow]:
    width, file, to_skip = len(names), path.name, dialect.skip
    for number, cells, remark in records(lines(path, dialect.encoding, faults), dialect, shape):
        if to_skip:
            to_skip -= any(map(str.strip, cells))
        elif len(cells) == width and cells != header:
            if remark:
                faults.mend(remark)
            yield TableRow(SourceLine(file, number), dict(zip(names, cells, strict=True)))
        elif any(map(str.strip, cells)):
            _note_record(faults, SourceLine(file, number), names, cells)


def _note_record(faults: RowFaults, line: SourceLine, names: Sequence[str], cells: Sequence[str]) -> None:
    """Counts a record of another width than the header, or one that is the header again."""
    if len(cells) == len(names):
        faults.note(line, "repeats the header", "header", dict(zip(names, cells, strict=True)))
    else:
        faults.note(line, f"has {len(cells)} columns instead of {len(names)}", "columns", _by_column(names, cells))


def _by_column(names: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """The cells of a row that has too few or too many; what stands beyond the last column is ``extra``."""
    row: dict[str, Any] = dict(zip(names, cells, strict=False))
    return row | {"extra": cells[len(names) :]} if len(cells) > len(names) else row


def _header(path: Path, dialect: Dialect) -> list[str]:
    first = records_of(sample_lines(path, dialect.encoding, _HEADER_LINES, _HEADER_BYTES), dialect)[:1]
    return [name.strip() for cells in first for name in cells]


def header(folder: Path, name: str) -> list[str]:
    """The columns that the first line of a folder's CSV file names; empty if there is no such file."""
    path = find_file(folder, name)
    return _header(path, Dialect()) if path else []


def objects(path: Path, faults: RowFaults, encoding: str = "utf-8") -> Iterator[TableRow]:
    """The objects of a file of JSON: one a line, an array, or Python dictionaries as some older data sets have them."""
    return faults.observe(_objects(path, faults, encoding))


def _objects(path: Path, faults: RowFaults, encoding: str) -> Iterator[TableRow]:
    for line, parsed in json_objects(path, encoding, faults):
        # A line that an earlier import refused and wrote to a file holds the row itself.
        cells = parsed["row"] if parsed.keys() == _REFUSED_ROW else parsed
        if isinstance(cells, dict):
            yield TableRow(line, cells)
        else:
            faults.note(line, "is not a JSON object", "not-an-object", cells)


def holds_refused_rows(path: Path) -> bool:
    """True for a file of rows that an import refused, by its first line."""
    with suppress(FreshetError, ValueError):
        first = parse(next(iter(sample_lines(path, "utf-8", 1)), "").encode())
        return isinstance(first, dict) and first.keys() == _REFUSED_ROW
    return False


def readable(
    source: Iterable[TableRow], make: Callable[[TableRow], T | None], faults: RowFaults
) -> Iterator[tuple[TableRow, T]]:
    """Each row with the result of ``make``, without rows for which it returns None; CellInvalid is a fault.

    Raises DatasetUnknown if none of the first rows can be read: then the file is not of the recognised data set.
    """
    any_readable, earlier_faults = False, faults.count
    for row in source:
        try:
            result = make(row)
        except CellInvalid as error:
            faults.note(row.source_line, str(error), error.reason, row.cells)
            if not any_readable and faults.count - earlier_faults >= _MAX_LEADING_FAULTS:
                break
            continue
        any_readable = True
        if result is not None:
            yield row, result
    if not any_readable and faults.count > earlier_faults:
        raise DatasetUnknown(f"no row can be read, so this is not the file that it is taken for; {faults.examples[0]}")


@lru_cache(maxsize=1_024)
def slug(text: str, limit: int = 24) -> str:
    """A name made of lower-case ASCII letters, digits and dashes."""
    dashed = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(filter(None, dashed.split("-")))[:limit]
