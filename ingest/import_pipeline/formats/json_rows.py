"""Reads the objects of a JSON file: one a line, or the members of an array, or Python dictionaries as older data sets have them.

Objects may stand on several lines. An object that holds its rows in a list (``{"products": [...]}``) is read as that list.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

from ingest.import_pipeline.base import RowFaults, SourceLine
from ingest.import_pipeline.formats.lines import lines
from ingest.validation.jsontext import parse

_PYTHON: Final = ("{'", "{u'", '{u"')
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_BETWEEN: Final = " \t,"
_LISTS: Final = frozenset({"products", "items", "events", "entries", "records", "rows", "results", "data"})
"""Members of an object that hold its rows as a list."""
_ID: Final = re.compile(r"(.*_)?id|sku|user|item|.*Id")
"""Members of an object that is a row itself."""
_OBJECT_CHARACTERS: Final = 256 * 2**20
"""Longest object on several lines."""


def json_objects(path: Path, encoding: str, faults: RowFaults) -> Iterator[tuple[SourceLine, dict[str, Any]]]:
    """Each object with the line on which it begins. What is no object is a fault."""
    for number, text in _texts(lines(path, encoding, faults), path.name, faults):
        where = SourceLine(path.name, number)
        try:
            parsed = _python(text) if text.startswith(_PYTHON) else parse(text.encode())
        except ValueError as error:
            faults.note(where, f"is not JSON: {error}", "not-json", text)
            continue
        if isinstance(parsed, dict):
            yield where, parsed
        else:
            faults.note(where, "is not a JSON object", "not-an-object", parsed)


def _python(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"nor a Python dictionary: {error}") from error


def _texts(source: Iterator[str], file: str, faults: RowFaults) -> Iterator[tuple[int, str]]:
    """The lines that are not empty; if the first of them begins an array, the members of arrays."""
    numbered = ((number, line) for number, line in enumerate(source, 1) if line.strip())
    first = next(numbered, None)
    if first is None:
        return
    if not _begins_array(first[1]):
        second = next(numbered, None)
        rest = numbered if second is None else chain([second], numbered)
        if first[1].lstrip().startswith("{") and not (second and second[1].lstrip().startswith("{")):
            yield from _objects_over_lines(chain([first], rest), file, faults)
        else:
            yield first
            yield from rest
        return
    reader, number = _ArrayReader(file, faults), 0
    for number, line in chain([first], numbered):
        if reader.depth or _begins_array(line):
            yield from reader.members(line, number)
        else:
            yield number, line
    if reader.depth:
        faults.note(SourceLine(file, number), "ends before its array is closed", "not-json")


def _objects_over_lines(numbered: Iterator[tuple[int, str]], file: str, faults: RowFaults) -> Iterator[tuple[int, str]]:
    """The objects of lines, each with the line on which it begins; of one that holds its rows in a list, the rows."""
    begun: list[tuple[int, str]] = []
    depth, size = 0, 0
    for number, line in numbered:
        if begun and (size > _OBJECT_CHARACTERS or _begins_anew(begun[-1][1], line)):
            yield from begun  # what is never closed is refused line by line, and swallows nothing
            begun, depth, size = [], 0, 0
        begun.append((number, line))
        size += len(line)
        if not line.startswith(_PYTHON):
            depth += sum(1 if token[0] in "[{" else -1 for token in _TOKEN.finditer(line) if token[0] in "[]{}")
        if depth <= 0:
            yield from _rows_of("\n".join(text for _, text in begun), begun[0][0], file, faults)
            begun, depth, size = [], 0, 0
    yield from begun


def _begins_anew(before: str, line: str) -> bool:
    """True for a line that begins an object where the one before it does not go on."""
    return line.startswith("{") and not before.rstrip().endswith((",", "[", ":"))


def _rows_of(text: str, number: int, file: str, faults: RowFaults) -> Iterator[tuple[int, str]]:
    """The object itself, or the members of the one list that holds its rows."""
    try:
        parsed = parse(text.encode())
    except ValueError:
        parsed = None
    name = _list_name(parsed) if isinstance(parsed, dict) else None
    if name is None:
        yield number, text
        return
    begin, end = _list_span(text, name)
    reader = _ArrayReader(file, faults)
    first = number + text.count("\n", 0, begin)
    for index, line in enumerate(text[begin:end].split("\n"), first):
        yield from reader.members(line, index)


def _list_name(parsed: dict[str, Any]) -> str | None:
    """The member that holds the rows; None for an object that is a row itself, or where there are several."""
    lists = [
        name
        for name, value in parsed.items()
        if name in _LISTS and isinstance(value, list) and all(isinstance(member, dict) for member in value)
    ]
    is_row = any(_ID.fullmatch(name) and not isinstance(value, list | dict) for name, value in parsed.items())
    return lists[0] if len(lists) == 1 and not is_row else None


def _list_span(text: str, name: str) -> tuple[int, int]:
    """Where the list of a member begins and ends in the text of its object."""
    depth, begin, is_next = 0, 0, False
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if is_next and depth == 2:
                begin = token.start()
        elif token[0] in "]}":
            depth -= 1
            if begin and depth == 1:
                return begin, token.end()
        elif depth == 1:
            is_next = token[0][1:-1] == name and text[token.end() : token.end() + 20].lstrip()[:1] == ":"
    return begin, len(text)


def _begins_array(line: str) -> bool:
    return line.lstrip().startswith("[")


class _ArrayReader:
    """Cuts the members out of an array, line by line: an array may be larger than memory."""

    def __init__(self, file: str, faults: RowFaults) -> None:
        self.depth = 0
        """Brackets and braces that are open; 1 between the members."""
        self._file, self._faults = file, faults
        self._begun: list[str] = []
        self._first_line = 0

    def members(self, line: str, number: int) -> Iterator[tuple[int, str]]:
        """The members that end on this line, each with the line on which it begins."""
        position = 0
        for token in _TOKEN.finditer(line):
            if token[0] in "[{":
                self.depth += 1
                if self.depth <= 2:
                    self._between(line[position : token.start()], number)
                    position, self._first_line = token.start() if self.depth == 2 else token.end(), number
            elif token[0] in "]}":
                self.depth -= 1
                if self.depth == 1:
                    yield self._first_line, "\n".join([*self._begun, line[position : token.end()]])
                    self._begun.clear()
                elif self.depth == 0:
                    self._between(line[position : token.start()], number)
                self.depth = max(0, self.depth)
                if self.depth <= 1:
                    position = token.end()
        if self.depth > 1:
            self._begun.append(line[position:])
        else:
            self._between(line[position:], number)

    def _between(self, text: str, number: int) -> None:
        """Counts members that are neither objects nor arrays."""
        for member in filter(None, (member.strip(_BETWEEN) for member in text.split(","))):
            self._faults.note(SourceLine(self._file, number), "is not a JSON object", "not-an-object", member)
