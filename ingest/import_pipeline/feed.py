"""Reads the items of an XML product feed: RSS 2.0 ``<item>`` or Atom ``<entry>``, with or without the ``g:`` namespace.

Google Merchant Center, "Product data specification".
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NoReturn, cast
from xml.parsers import expat

from ingest.import_pipeline.base import RowFaults, SourceLine
from ingest.import_pipeline.files import TableRow
from schemas.errors import DatasetUnknown

_ITEMS: Final = frozenset({"item", "entry"})
_CHUNK: Final = 65_536
_NAMESPACE_END: Final = "}"


def feed_items(path: Path, faults: RowFaults) -> Iterator[TableRow]:
    """The items of a feed, each with the texts of its elements by local name; a repeated element gives a list.

    Raises DatasetUnknown where the file is not well-formed XML, or declares entities.
    """
    return faults.observe(_feed_items(path, faults))


def _feed_items(path: Path, faults: RowFaults) -> Iterator[TableRow]:
    reader = _FeedReader(path.name)
    total = path.stat().st_size
    with path.open("rb") as raw:
        unpacked = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
        while chunk := _read(unpacked, path):
            reader.feed(chunk)
            faults.watch(path.name, raw.tell(), total)
            yield from reader.taken()
    reader.close()


def _read(file: IO[bytes], path: Path) -> bytes:
    try:
        return file.read(_CHUNK)
    except (EOFError, zlib.error, OSError) as error:
        raise DatasetUnknown(f"{path} is damaged ({error}); fetch it again") from error


class _FeedReader:
    """Collects the items that the parser has completed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parser = expat.ParserCreate(namespace_separator=_NAMESPACE_END)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        # An entity may stand for gigabytes, and no feed needs one.
        self._parser.EntityDeclHandler = self._refuse_entity
        self._complete: list[TableRow] = []
        self._cells: dict[str, Any] | None = None
        self._line = 0
        self._element = ""
        self._depth = 0
        self._texts: list[str] = []

    def feed(self, chunk: bytes) -> None:
        """Parse more of the file."""
        self._parse(chunk, last=False)

    def close(self) -> None:
        """The file has ended."""
        self._parse(b"", last=True)

    def taken(self) -> list[TableRow]:
        """The items that were completed since the last call."""
        complete, self._complete = self._complete, []
        return complete

    def _parse(self, chunk: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            raise DatasetUnknown(
                f"{self._name} line {error.lineno} is not well-formed XML: {expat.ErrorString(error.code)}"
            ) from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(_NAMESPACE_END)[2]
        if self._cells is None:
            if local in _ITEMS:
                self._cells, self._line, self._depth = {}, self._parser.CurrentLineNumber, 0
            return
        self._depth += 1
        if self._depth == 1:
            # Atom writes <link href="…"/>.
            self._element, self._texts = local, [attributes["href"]] if "href" in attributes else []

    def _text(self, text: str) -> None:
        if self._depth == 1:
            self._texts.append(text)

    def _end(self, _name: str) -> None:
        if self._cells is None:
            return
        if self._depth == 0:
            self._complete.append(TableRow(SourceLine(self._name, self._line), self._cells))
            self._cells = None
            return
        if self._depth == 1 and (text := "".join(self._texts).strip()):
            _add(self._cells, self._element, text)
        self._depth -= 1

    def _refuse_entity(self, *_: object) -> NoReturn:
        raise DatasetUnknown(f"{self._name} line {self._parser.CurrentLineNumber} declares an entity: remove it")


def _add(cells: dict[str, Any], name: str, text: str) -> None:
    earlier = cells.get(name)
    if earlier is None:
        cells[name] = text
    elif isinstance(earlier, list):
        earlier.append(text)
    else:
        cells[name] = [earlier, text]
