"""Divides lines into the cells of records. A quote that is never closed does not swallow the lines after it."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

Record = tuple[int, list[str], str]
"""The number of a record's last line, its cells, and what people should know of how it was read; mostly empty."""

STRAY_QUOTE: Final = "quotes that are not closed were read as text"
SEVERAL_LINES: Final = "records with a text of several lines were read as one"

_STILL_OPEN: Final = "unexpected end of data"
"""The csv module's error for a quote that is open at the end."""
_LOOK_AHEAD: Final = 20
"""If most of so many lines after an open quote look like records, the quote is a stray one."""
_LONGEST_SPAN: Final = 1 << 17
_UNIT_SEPARATOR: Final = "\x1f"


class _OpenQuote(Exception):
    """The record goes on on the next line."""


class _StrayQuote(Exception):
    """A quote is neither closed nor doubled as it should be."""


def _anything(_cells: Sequence[str]) -> bool:
    return True


class RecordShape(NamedTuple):
    """What is known about the records of a file. It distinguishes a stray quote from a text of several lines."""

    width: int = 0
    """Number of columns; 0 if it is not known."""
    single_line: Sequence[int] = ()
    """Columns that never hold a line end: ids, times, numbers."""
    is_sound: Callable[[Sequence[str]], bool] = _anything
    """False for cells that cannot be a record, because its time is none, for example."""


ANY_SHAPE: Final = RecordShape()


def plain_records(lines: Iterator[str], delimiter: str) -> Iterator[Record]:
    """The records of lines in which a quote is a character like any other. An empty line gives no cells."""
    for number, line in enumerate(lines, 1):
        yield number, line.split(delimiter) if line else [], ""


class QuotedRecords:
    """The records of lines in which a quoted cell may hold delimiters and line ends."""

    def __init__(self, lines: Iterator[str], delimiter: str, quote: str, shape: RecordShape) -> None:
        self.shape = shape
        """May be set once the header is read."""
        self._lines, self._delimiter, self._quote = lines, delimiter, quote
        # The csv module knows delimiters of one character only.
        self._character = delimiter if len(delimiter) == 1 else _UNIT_SEPARATOR
        self._between_quoted = f"{quote}{delimiter}{quote}"
        self._returned: deque[str] = deque()
        self._number = 0

    def __iter__(self) -> Iterator[Record]:
        """The records in order. An empty line gives no cells."""
        delimiter, quote, number = self._delimiter, self._quote, 0
        for line in self._lines:
            number += 1
            if quote not in line:
                yield number, line.split(delimiter) if line else [], ""
                continue
            self._number = number
            yield self._quoted(line)
            yield from self._again()
            number = self._number

    def _again(self) -> Iterator[Record]:
        """The records of lines that were looked at because a quote before them seemed to be open."""
        while self._returned:
            line = self._returned.popleft()
            self._number += 1
            if self._quote in line:
                yield self._quoted(line)
            else:
                yield self._number, line.split(self._delimiter) if line else [], ""

    def _next_line(self) -> str | None:
        return self._returned.popleft() if self._returned else next(self._lines, None)

    def _quoted(self, line: str) -> Record:
        if line[0] == line[-1] == self._quote:
            cells = line[1:-1].split(self._between_quoted)
            if line.count(self._quote) == 2 * len(cells):
                # Every cell is quoted and none holds a quote: no need for the csv module.
                return self._number, cells, ""
        return self._irregular(line)

    def _irregular(self, line: str) -> Record:
        try:
            cells = self._parsed(line)
        except _OpenQuote:
            return self._spanning(line)
        except _StrayQuote:
            return self._unquoted(line)
        return self._number, cells if self._has_width(cells) else self._without_blanks(line, cells), ""

    def _parsed(self, text: str, *, skip_blanks: bool = False, strict: bool = True) -> list[str]:
        """The cells of one record; raises _OpenQuote, _StrayQuote."""
        text = text.replace(self._delimiter, self._character)
        reader = csv.reader(
            [text], delimiter=self._character, quotechar=self._quote, strict=strict, skipinitialspace=skip_blanks
        )
        try:
            cells = next(reader)
        except csv.Error as error:
            raise (_OpenQuote if str(error) == _STILL_OPEN else _StrayQuote) from error
        if self._character == self._delimiter:
            return cells
        return [cell.replace(self._character, self._delimiter) for cell in cells]

    def _has_width(self, cells: Sequence[str]) -> bool:
        return self.shape.width in {0, len(cells)}

    def _without_blanks(self, line: str, cells: list[str]) -> list[str]:
        """The cells if a blank between delimiter and quote is no part of them; ``cells`` if that does not fit either."""
        try:
            spaced = self._parsed(line, skip_blanks=True)
        except (_OpenQuote, _StrayQuote):
            return cells
        return spaced if self._has_width(spaced) else cells

    def _spanning(self, line: str) -> Record:
        """The record that begins on this line and ends on a later one; this line alone if its quote is a stray one."""
        span = self._span(line)
        if len(span) > 1:
            cells = self._closed(span)
            if cells is not None and self._is_text(span, cells):
                self._number += len(span) - 1
                return self._number, cells, SEVERAL_LINES
            self._returned.extendleft(reversed(span[1:]))
        return self._unquoted(line)

    def _span(self, line: str) -> list[str]:
        """The lines up to the one that closes the quote, or that shows that it is a stray one."""
        span, size = [line], len(line)
        while size < _LONGEST_SPAN and (following := self._next_line()) is not None:
            span.append(following)
            size += len(following)
            if self._quote in following and self._ends(span):
                break
            if len(span) == _LOOK_AHEAD and self._are_records(span):
                break
        return span

    def _ends(self, span: Sequence[str]) -> bool:
        try:
            self._parsed("\n".join(span))
        except _OpenQuote:
            return False
        except _StrayQuote:
            return True
        return True

    def _closed(self, span: Sequence[str]) -> list[str] | None:
        try:
            return self._parsed("\n".join(span))
        except (_OpenQuote, _StrayQuote):
            return None

    def _is_text(self, span: Sequence[str], cells: Sequence[str]) -> bool:
        """True if these lines are one record with a text of several lines, and not records after a stray quote."""
        if not self._has_width(cells) or any("\n" in cells[column] for column in self.shape.single_line):
            return False
        return not self._are_records(span)

    def _are_records(self, lines: Sequence[str]) -> bool:
        """True if most of these lines look like records of their own: few lines of a text do."""
        if self.shape.width <= 1:
            return False
        return 2 * sum(map(self._is_record, lines)) > len(lines)

    def _is_record(self, line: str) -> bool:
        cells = self._divided(line)
        return len(cells) == self.shape.width and self.shape.is_sound(cells)

    def _unquoted(self, line: str) -> Record:
        """The record of one line with a stray quote: the quote is text where that gives the right number of cells."""
        cells = self._divided(line)
        if not self._has_width(cells):
            with suppress(_StrayQuote):
                cells = self._parsed(line, strict=False)
        return self._number, cells, STRAY_QUOTE

    def _divided(self, line: str) -> list[str]:
        """The cells between delimiters, without the quotes around a whole cell."""
        return [self._bare(cell) for cell in line.split(self._delimiter)]

    def _bare(self, cell: str) -> str:
        quote = self._quote
        if len(cell) > 1 and cell[0] == cell[-1] == quote:
            return cell[1:-1].replace(quote + quote, quote)
        return cell
