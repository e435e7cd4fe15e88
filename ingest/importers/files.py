"""Text files row by row, plain or gzip, in any encoding; a line that cannot be read is a fault, not the end."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from ingest.importers.base import Faults
from schemas.errors import DatasetUnknown

_MILLIS: Final = 1e11
_MICROS: Final = 1e14
_NANOS: Final = 1e17


class Row(NamedTuple):
    """One row: the number of the line that it ends on, from 1, and its cells by column."""

    number: int
    cells: dict[str, str]


def opened(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked; raises DatasetUnknown where it cannot be opened."""
    try:
        return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise DatasetUnknown(f"{path} cannot be read: {error.strerror}") from error


def lines(path: Path, encoding: str, faults: Faults) -> Iterator[str]:
    """The file's lines; one that is not in the encoding is a fault and comes as an empty line."""
    with opened(path) as file:
        try:
            for number, line in enumerate(file, 1):
                try:
                    yield line.decode(encoding).removeprefix("\ufeff")
                except UnicodeDecodeError:
                    faults.note(f"{path.name} line {number}", f"is not {encoding} text")
                    yield "\n"
        except (EOFError, zlib.error, OSError) as error:
            raise DatasetUnknown(f"{path} is damaged ({error}); fetch it again") from error


def rows(
    path: Path,
    faults: Faults,
    *,
    delimiter: str = ",",
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
    quoted: bool = True,
) -> Iterator[Row]:
    """The file's rows; its first line names the columns unless they are given. Rows of another length are faults."""
    reader = csv.reader(
        lines(path, encoding, faults),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )
    names = list(columns) if columns is not None else next(reader, [])
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.note(f"{path.name} line {reader.line_num}", str(error))
            continue
        if not cells:
            continue
        if len(cells) != len(names):
            faults.note(f"{path.name} line {reader.line_num}", f"has {len(cells)} columns instead of {len(names)}")
            continue
        yield Row(reader.line_num, dict(zip(names, cells, strict=True)))


def moment(text: str) -> float:
    """Seconds since 1970 of an epoch time (s, ms, µs or ns, told by its size) or an ISO time (UTC where it says none).

    Raises ValueError.
    """
    try:
        number = float(text)
    except ValueError:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    for limit, unit in ((_NANOS, 1e9), (_MICROS, 1e6), (_MILLIS, 1e3)):
        if abs(number) >= limit:
            return number / unit
    return number


def slug(text: str, limit: int = 24) -> str:
    """A name made of lower-case ASCII letters, digits and dashes."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(filter(None, kept.split("-")))[:limit]
