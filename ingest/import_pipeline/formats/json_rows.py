"""Reads the objects of a JSON file: one a line, or the members of an array, or Python dictionaries as older data sets have them."""

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
        yield first
        yield from numbered
        return
    reader, number = _ArrayReader(file, faults), 0
    for number, line in chain([first], numbered):
        if reader.depth or _begins_array(line):
            yield from reader.members(line, number)
        else:
            yield number, line
    if reader.depth:
        faults.note(SourceLine(file, number), "ends before its array is closed", "not-json")


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
