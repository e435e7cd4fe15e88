"""Finds out how a file is written (encoding, delimiter, quotes, header) from a sample, unless a person says it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from ingest.import_pipeline.base import SourceLine
from ingest.import_pipeline.formats.encoding import detect, known_encoding, label
from ingest.import_pipeline.formats.lines import head, sample_lines
from ingest.import_pipeline.formats.quoting import ANY_SHAPE, QuotedRecords, Record, RecordShape, plain_records
from schemas.errors import ConfigurationInvalid, DatasetUnknown

DELIMITERS: Final[Mapping[str, str]] = {
    "\t": "tab",
    ",": "comma",
    ";": "semicolon",
    "|": "pipe",
    "\x01": "control-A",
    "::": "two colons",
    " ": "blank",
}
"""The delimiters that are recognised, the surest first. Any other can be said."""
_DELIMITERS_BY_NAME: Final = {name: delimiter for delimiter, name in DELIMITERS.items()} | {"\\t": "\t", "space": " "}
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.|\\t)"?', re.IGNORECASE)
"""The first line that names the delimiter for Excel."""
_HEADER_WORD: Final = re.compile(
    r"(user|visitor|customer|client|person|member|account|session|anonymous|reviewer|buyer|u|item|product|article|movie"
    r"|book|song|track|artist|content|page|sku|asin|i|rating|score|stars|value|event|action|type|time|timestamp|date|ts)"
    r"s?[ _-]?(id|name|no|nr|number|code|key|type|at)?(:\w+)?",
    re.IGNORECASE,
)
_IDS: Final = frozenset({"user", "anonymous", "session", "item", "id"})
"""Names of a column map whose cells seldom hold a delimiter."""
_OTHER_DELIMITER: Final = re.compile(r"[\t,;|\x01]")
_SAMPLE_LINES: Final = 1_000
_FORM_LINES: Final = 100
"""Lines by which the delimiter is found."""
_DIGITS: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


class FileOptions(NamedTuple):
    """How a person says that a file is to be read. What is left empty is found out."""

    encoding: str = ""
    delimiter: str = ""
    quote: str | None = None
    """The quote; empty if quotes are characters like any other."""
    header: bool | None = None
    """Whether the first line names the columns."""
    time_format: str = ""
    latest: float | None = None
    """Seconds since 1970 after which a time is refused; None leaves that to validation."""
    decimal_comma: bool = False
    types: Mapping[str, str] = MappingProxyType({})
    """Event types by the words that the file has for them."""


FOUND_OUT: Final = FileOptions()
"""Nothing is said: all is found out."""


class Dialect(NamedTuple):
    """How a table is written."""

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    """Empty if quotes are characters like any other."""
    skip: int = 0
    """Records before the first row: a header, Excel's line ``sep=;``."""

    def __str__(self) -> str:
        name = DELIMITERS.get(self.delimiter, f"delimiter '{self.delimiter}'")
        return f"{name}, {label(self.encoding)}"


class TableForm(NamedTuple):
    """What a sample of a table shows: its dialect, the names of its columns, and its first rows."""

    dialect: Dialect
    names: Sequence[str]
    """The header's names; the numbers from 1 if the columns are mapped by number."""
    header: Sequence[str]
    """The first line as it is, if it names the columns; else empty."""
    doubtful_header: bool
    """True if nobody said that the first line is a header, but it looks like one. It is then no row."""
    rows: Sequence[Sequence[str]]


def said_delimiter(text: str) -> str:
    """Reads a delimiter as a person writes it: itself, or its name such as tab or comma."""
    return _DELIMITERS_BY_NAME.get(text.lower(), text)


def said_quote(text: str) -> str | None:
    """Reads a quote as a person writes it: one character, or none. Empty text says nothing. Raises ConfigurationInvalid."""
    if text.lower() == "none":
        return ""
    if len(text) > 1 or text.isspace():
        raise ConfigurationInvalid(f"'{text}' is not a quote; write one character, or none")
    return text or None


def find_encoding(path: Path, said: str = "") -> str:
    """The encoding that a person named, or that of the file's beginning. Raises DatasetUnknown, ConfigurationInvalid."""
    begin = head(path)
    if said:
        return known_encoding(said)
    encoding = detect(begin)
    if encoding is None:
        raise DatasetUnknown(
            f"{_first_wrong_line(path, begin)} is not UTF-8 text: say what it is with --encoding, "
            "such as cp1252 (Western Europe), cp1251 (Cyrillic), gbk, shift_jis or latin-1"
        )
    return encoding


def _first_wrong_line(path: Path, begin: bytes) -> SourceLine:
    try:
        begin.decode()
    except UnicodeDecodeError as error:
        return SourceLine(path.name, begin.count(b"\n", 0, error.start) + 1)
    return SourceLine(path.name, 1)


def table_form(path: Path, columns: Mapping[str, str], options: FileOptions = FOUND_OUT) -> TableForm:
    """Finds out how a table is written, by its first lines and the columns that a map names.

    Raises DatasetUnknown if the file cannot be read, ConfigurationInvalid if what was said or mapped does not fit it.
    """
    encoding = find_encoding(path, options.encoding)
    lines = sample_lines(path, encoding, _SAMPLE_LINES)
    separator = next((_SEPARATOR_LINE.fullmatch(line) for line in lines if line.strip()), None)
    quote = '"' if options.quote is None else options.quote
    delimiter = options.delimiter or (said_delimiter(separator[1]) if separator else "")
    delimiter = delimiter or find_delimiter(lines, quote, columns)
    dialect = Dialect(encoding, delimiter, quote, skip=int(separator is not None))
    found = records_of(lines, dialect)[dialect.skip :]
    return _with_header(path, dialect, found, columns, options.header)


def records(lines: Iterator[str], dialect: Dialect, shape: RecordShape = ANY_SHAPE) -> Iterator[Record]:
    """The records of a file's lines."""
    if not dialect.quote:
        return plain_records(lines, dialect.delimiter)
    return iter(QuotedRecords(lines, dialect.delimiter, dialect.quote, shape))


def records_of(lines: Sequence[str], dialect: Dialect) -> list[list[str]]:
    """The records of a sample, without empty ones."""
    return [cells for _, cells, _ in records(iter(lines), dialect) if any(cell.strip() for cell in cells)]


def find_delimiter(lines: Sequence[str], quote: str, columns: Mapping[str, str]) -> str:
    """The delimiter by which a sample has the columns of a map, by their names in the header or by their numbers."""
    divided = {
        delimiter: records_of(lines[:_FORM_LINES], Dialect(delimiter=delimiter, quote=quote))
        for delimiter in DELIMITERS
    }
    score = _fit_by_number if by_number(columns) else _fit_by_name
    # max() keeps the first of equal ones, and DELIMITERS begins with the surest.
    return max(DELIMITERS, key=lambda delimiter: score(divided[delimiter], columns))


def by_number(columns: Mapping[str, str]) -> bool:
    """True if a map names all columns by numbers."""
    return all(column.isdecimal() for column in columns.values())


def _fit_by_name(found: Sequence[Sequence[str]], columns: Mapping[str, str]) -> tuple[int, int]:
    """How many of the columns the first record names, then how many columns it has."""
    names = {cell.strip() for cell in found[0]} if found else set[str]()
    return len(names.intersection(columns.values())), len(names)


def _fit_by_number(found: Sequence[Sequence[str]], columns: Mapping[str, str]) -> tuple[float, int]:
    """The share of records that have the usual width and whose ids hold no other delimiter; if there are none, the width."""
    if not found:
        return 0.0, 0
    width = Counter(map(len, found)).most_common(1)[0][0]
    if width < max([2, *map(int, columns.values())]):
        return 0.0, width
    ids = [int(column) - 1 for name, column in columns.items() if name in _IDS and int(column)]
    fitting = [cells for cells in found if len(cells) == width]
    clean = [cells for cells in fitting if not any(_OTHER_DELIMITER.search(cells[place]) for place in ids)]
    return (len(fitting) + len(clean)) / len(found), 0


def _with_header(
    path: Path, dialect: Dialect, found: Sequence[Sequence[str]], columns: Mapping[str, str], said: bool | None
) -> TableForm:
    first = [cell.strip() for cell in found[0]] if found else []
    if not by_number(columns):
        if said is False:
            raise ConfigurationInvalid("a file without a header has its columns mapped by number: --map user=1,item=2")
        _check_doubled(path, first, columns)
        return TableForm(dialect._replace(skip=dialect.skip + 1), first, found[0] if found else [], False, found[1:])
    if said is None and _counts_up(first):
        raise ConfigurationInvalid(
            f"{path.name} begins with {', '.join(first[:4])}: say --header if these are names of columns, or --no-header if it is a row"
        )
    doubtful = said is None and looks_like_header(found, columns)
    names = [str(number) for number in range(1, len(first) + 1)]
    if said and set(columns.values()) <= set(first):
        _check_doubled(path, first, columns)
        names = first
    if said or doubtful:
        return TableForm(dialect._replace(skip=dialect.skip + 1), names, found[0] if found else [], doubtful, found[1:])
    return TableForm(dialect, names, [], False, found)


def _check_doubled(path: Path, names: Sequence[str], columns: Mapping[str, str]) -> None:
    doubled = next((column for column in columns.values() if names.count(column) > 1), None)
    if doubled is not None:
        places = " and ".join(str(number) for number, name in enumerate(names, 1) if name == doubled)
        raise ConfigurationInvalid(
            f"{path.name} line 1 names the column '{doubled}' more than once (columns {places}): "
            "map all columns by number and say --header"
        )


def _counts_up(first: Sequence[str]) -> bool:
    """True for 0, 1, 2 or 1, 2, 3: names that some programs give to columns, or a row."""
    return len(first) > 2 and any(first == [str(n) for n in range(begin, begin + len(first))] for begin in (0, 1))


def looks_like_header(found: Sequence[Sequence[str]], columns: Mapping[str, str]) -> bool:
    """True if each mapped cell of the first record looks like the name of a column."""
    places = [int(column) - 1 for column in columns.values()]
    return bool(found and places) and all(_is_name(found, place) for place in places)


def _is_name(found: Sequence[Sequence[str]], place: int) -> bool:
    column = [cells[place].strip() for cells in found if 0 <= place < len(cells)]
    if not column or not column[0] or _DIGITS.fullmatch(column[0]):
        return False
    return bool(_HEADER_WORD.fullmatch(column[0])) or (len(column) > 1 and all(map(_DIGITS.fullmatch, column[1:])))
