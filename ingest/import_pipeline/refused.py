"""Writes the rows that an import refuses to a file, from which they can be mended and imported again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from ingest.import_pipeline.base import Importer, RefusedRow, RowFaults, SourceLine
from ingest.import_pipeline.files import REFUSED_FIELDS, TableRow
from schemas.errors import FreshetError

FOLDER: Final = "refused"
"""Name of the folder of such files in the data folder."""
MAX_ROWS: Final = 100_000
"""Most rows that are written; the others are only counted."""


class RefusedFile:
    """One JSON object a line: ``file``, ``line``, ``reason``, ``detail`` and ``row``.

    A ``row`` holds the cells by column as they were read, or the text where it could not be read. An import reads such
    a file as if its rows were the lines: ``ingest.import_pipeline.files.objects``.
    """

    def __init__(self, data: Path, name: str, *, keeps_rows: bool = True) -> None:
        """Without ``keeps_rows``, ``row`` and ``detail`` are null: they may hold ids of people."""
        self._keeps_rows = keeps_rows
        self.path = data / FOLDER / f"{name}.jsonl"
        self.rows = 0
        self._file: IO[bytes] | None = None
        self._without_cells: dict[SourceLine, RefusedRow] = {}

    def add(self, refused: RefusedRow) -> None:
        """Writes a row; one that came without its content is completed by ``close``."""
        if self.rows + len(self._without_cells) >= MAX_ROWS:
            return
        if self._keeps_rows and refused.row is None and isinstance(refused.where, SourceLine):
            same = self._without_cells.get(refused.where, refused)
            self._without_cells[refused.where] = same._replace(cells={**same.cells, **refused.cells})
        else:
            self._write(refused, refused.row)

    def close(self, importer: Importer) -> Path | None:
        """Reads the data set again for the cells of rows that validation refused, and puts the file in its place.

        An earlier file of this name is replaced, or removed if nothing was refused: None is returned then.
        """
        if self._without_cells:
            self._complete(importer)
        if self._file is None:
            self.path.unlink(missing_ok=True)
            return None
        self._file.close()
        self._beside.replace(self.path)
        return self.path

    @property
    def _beside(self) -> Path:
        return self.path.with_suffix(".tmp")

    def _complete(self, importer: Importer) -> None:
        finder = _CellFinder(self)
        # What was not found has been counted; an end of reading was reported the first time.
        with suppress(FreshetError):
            for read in (importer.items, importer.users, importer.events):
                _exhaust(read(finder), self._without_cells)
        for refused in self._without_cells.values():
            self._write(refused, None)

    def take(self, row: TableRow) -> None:
        """Writes this row if it is one of those that are looked for."""
        if refused := self._without_cells.pop(row.source_line, None):
            self._write(refused, {**row.cells, **refused.cells})

    def _write(self, refused: RefusedRow, row: Any) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._beside.open("wb")
        file, line = refused.where if isinstance(refused.where, SourceLine) else (None, None)
        values = (file, line, refused.reason, *((refused.detail, row) if self._keeps_rows else (None, None)))
        self._file.write(_json(dict(zip(REFUSED_FIELDS, values, strict=True))) + b"\n")
        self.rows += 1


class _CellFinder(RowFaults):
    """Shows every row that is read to the file of refused rows."""

    def __init__(self, file: RefusedFile) -> None:
        super().__init__()
        self._refused_file = file

    def observe(self, rows: Iterator[TableRow]) -> Iterator[TableRow]:
        for row in rows:
            self._refused_file.take(row)
            yield row


def _exhaust(rows: Iterable[object], wanted: dict[SourceLine, RefusedRow]) -> None:
    if wanted:
        for _ in rows:
            pass


def _json(fields: dict[str, Any]) -> bytes:
    try:
        return json.dumps(fields, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair can only be written escaped.
        return json.dumps(fields, default=str).encode()
