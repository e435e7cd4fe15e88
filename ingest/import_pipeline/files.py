"""Reads text files row by row, plain or gzip, in any encoding. Counts a line that cannot be read as a fault."""

from __future__ import annotations

import ast
import csv
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeVar, cast

from ingest.import_pipeline.base import RowFaults, SourceLine, find_file
from ingest.validation.jsontext import parse
from schemas.errors import DatasetUnknown

_MILLIS: Final = 1e11
_MICROS: Final = 1e14
_NANOS: Final = 1e17
_MAX_LEADING_FAULTS: Final = 1_000
"""A file is refused if it begins with this many malformed rows."""
_PROGRESS_LINES: Final = 8_192
"""Lines between two reports of progress."""

_PYTHON: Final = ("{'", "{u'", '{u"')

T = TypeVar("T")

REFUSED_FIELDS: Final = ("file", "line", "reason", "detail", "row")
"""Fields of a line of a file of refused rows: ``ingest.import_pipeline.refused``."""


class CellInvalid(ValueError):
    """A cell has the wrong form; the text names its column. Rows are counted by ``reason``."""

    def __init__(self, detail: str, reason: str = "malformed") -> None:
        super().__init__(detail)
        self.reason = reason


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
        return self._converted(column, float, "a number", "not-a-number")

    def time_in(self, column: str) -> float:
        """The time that a column holds, in seconds since 1970; raises CellInvalid."""
        return self._converted(column, parse_timestamp, "a time: epoch seconds or ms, or ISO", "not-a-time")

    def time_as(self, column: str, form: str) -> float:
        """The time in UTC that a column holds in this ``strptime`` form, in seconds since 1970; raises CellInvalid."""
        return self._converted(
            column, lambda text: datetime.strptime(text, form).replace(tzinfo=UTC).timestamp(), "a time", "not-a-time"
        )

    def _converted(self, column: str, convert: Callable[[Any], T], expected: str, reason: str) -> T:
        text = self.cells.get(column)
        try:
            return convert(text)
        except (ValueError, TypeError, OverflowError) as error:
            raise CellInvalid(f"column {column}: '{str(text)[:40]}' is not {expected}", reason) from error


def lines(path: Path, encoding: str, faults: RowFaults) -> Iterator[str]:
    """The lines of a file; a line that is not in the encoding is a fault and is returned empty."""
    with _opened(path, faults) as file:
        try:
            for number, line in enumerate(file, 1):
                try:
                    yield line.decode(encoding).removeprefix("\ufeff")
                except UnicodeDecodeError:
                    row = line.decode(encoding, "backslashreplace")
                    faults.note(SourceLine(path.name, number), f"is not {encoding} text", "encoding", row)
                    yield "\n"
        except (EOFError, zlib.error, OSError) as error:
            raise DatasetUnknown(f"{path} is damaged ({error}); fetch it again") from error


@contextmanager
def _opened(path: Path, faults: RowFaults) -> Iterator[Iterable[bytes]]:
    """The lines of a file as bytes, unpacked; reports progress. Raises DatasetUnknown if it cannot be opened."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise DatasetUnknown(f"{path} cannot be read: {error.strerror}") from error
    with raw:
        packed = path.suffix == ".gz"
        unpacked = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
        yield _watched(unpacked, raw, path, faults)


def _watched(unpacked: IO[bytes], raw: IO[bytes], path: Path, faults: RowFaults) -> Iterator[bytes]:
    total = path.stat().st_size
    for number, line in enumerate(unpacked):
        if number % _PROGRESS_LINES == 0:
            faults.watch(path.name, raw.tell(), total)
        yield line
    faults.watch(path.name, total, total)


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

    ``delimiter`` may have several characters if nothing is quoted. Raises DatasetUnknown if the first line lacks a
    column of ``needs``.
    """
    text = lines(path, encoding, faults)
    if len(delimiter) > 1:
        # The csv module knows delimiters of one character only.
        text = (line.replace(delimiter, "\x1f") for line in text)
    reader = csv.reader(
        text,
        delimiter=delimiter if len(delimiter) == 1 else "\x1f",
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )
    names = list(columns) if columns is not None else first_row(reader, path)
    missing_columns = [name for name in needs if name not in names]
    if missing_columns:
        raise DatasetUnknown(f"{path} line 1 names no column '{missing_columns[0]}': it has {', '.join(names)[:200]}")
    return faults.observe(_rows(reader, names, path.name, faults))


def _rows(reader: Any, names: Sequence[str], file: str, faults: RowFaults) -> Iterator[TableRow]:
    width = len(names)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.note(SourceLine(file, reader.line_num), str(error), "not-csv")
            continue
        if len(cells) == width:
            yield TableRow(SourceLine(file, reader.line_num), dict(zip(names, cells, strict=True)))
        elif cells:
            line = SourceLine(file, reader.line_num)
            faults.note(line, f"has {len(cells)} columns instead of {width}", "columns", _by_column(names, cells))


def _by_column(names: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """The cells of a row that has too few or too many; what stands beyond the last column is ``extra``."""
    row: dict[str, Any] = dict(zip(names, cells, strict=False))
    return row | {"extra": cells[len(names) :]} if len(cells) > len(names) else row


def header(folder: Path, name: str) -> list[str]:
    """The columns that the first line of a folder's CSV file names; empty if there is no such file."""
    path = find_file(folder, name)
    return first_row(csv.reader(lines(path, "utf-8", RowFaults())), path) if path else []


def first_row(reader: Iterator[list[str]], path: Path) -> list[str]:
    """The first row of a file, empty if it has none. Raises DatasetUnknown if it cannot be read."""
    try:
        return next(reader, [])
    except csv.Error as error:
        raise DatasetUnknown(f"{path} line 1 cannot be read: {error}") from error


def objects(path: Path, faults: RowFaults) -> Iterator[TableRow]:
    """The objects of a file of JSON lines, or of Python dictionaries as some older data sets have them."""
    return faults.observe(_objects(path, faults))


def _objects(path: Path, faults: RowFaults) -> Iterator[TableRow]:
    for number, line in enumerate(lines(path, "utf-8", faults), 1):
        if not line.strip():
            continue
        try:
            parsed = _python(line) if line.startswith(_PYTHON) else parse(line.encode())
        except ValueError as error:
            faults.note(SourceLine(path.name, number), f"is not JSON: {error}", "not-json", line.rstrip("\r\n"))
            continue
        if isinstance(parsed, dict) and parsed.keys() == set(REFUSED_FIELDS):
            # The line is one that an earlier import refused and wrote to a file.
            parsed = parsed["row"]
        if isinstance(parsed, dict):
            yield TableRow(SourceLine(path.name, number), parsed)
        else:
            faults.note(SourceLine(path.name, number), "is not a JSON object", "not-an-object", parsed)


def _python(line: str) -> Any:
    try:
        return ast.literal_eval(line)
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"nor a Python dictionary: {error}") from error


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


def parse_timestamp(text: str) -> float:
    """Seconds since 1970 of an epoch time (s, ms, µs or ns, by its size) or an ISO time (UTC if it has no offset).

    Raises ValueError.
    """
    try:
        number = float(text)
    except ValueError:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    for limit, unit in ((_NANOS, 1e9), (_MICROS, 1e6), (_MILLIS, 1e3)):
        if abs(number) >= limit:
            return number / unit
    return number


@lru_cache(maxsize=1_024)
def slug(text: str, limit: int = 24) -> str:
    """A name made of lower-case ASCII letters, digits and dashes."""
    dashed = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(filter(None, dashed.split("-")))[:limit]
