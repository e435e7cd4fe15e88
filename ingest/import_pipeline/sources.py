"""A file whose form is found out: a table or JSON, with the names of its columns and a sample of their cells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

from ingest.import_pipeline.base import RowFaults, SourceLine
from ingest.import_pipeline.files import TableRow, objects, table_rows
from ingest.import_pipeline.formats.dialect import FOUND_OUT, FileOptions, find_encoding, table_form
from ingest.import_pipeline.formats.encoding import label
from ingest.import_pipeline.formats.lines import sample_lines
from ingest.import_pipeline.formats.quoting import RecordShape
from schemas.errors import ConfigurationInvalid

_JSON: Final = frozenset({".json", ".jsonl", ".ndjson"})
_SAMPLE_OBJECTS: Final = 1_000
_NAMED_COLUMNS: Final = 20

CellsTest = Callable[[Mapping[str, str]], bool]
"""False for cells by column that cannot be a row."""


def any_cells(_cells: Mapping[str, str]) -> bool:
    """True: nothing is known of the cells."""
    return True


class Source(Protocol):
    """A file of rows. Its text is a line for people that says how the file is read."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the columns, as far as a sample shows them."""

    @property
    def has_all_names(self) -> bool:
        """False if rows behind the sample may have columns that it does not have."""

    def sample(self, column: str) -> Sequence[Any]:
        """The cells of a column in the first rows."""

    def rows(
        self, faults: RowFaults, is_sound: CellsTest = any_cells, single_line: Collection[str] = ()
    ) -> Iterator[TableRow]:
        """All rows. Cells of the columns ``single_line`` never hold a line end: by this stray quotes are recognised."""


def open_source(path: Path, columns: Mapping[str, str], options: FileOptions = FOUND_OUT) -> Source:
    """Finds out how a file is written; ``columns`` are those that a map names.

    Raises DatasetUnknown if the file cannot be read, ConfigurationInvalid if it lacks a mapped column or an option does not fit.
    """
    source = JsonSource(path, options) if _is_json(path) else TableSource(path, columns, options)
    missing = next((column for column in columns.values() if column not in source.names), None)
    if missing is not None and source.has_all_names:
        names = ", ".join(source.names[:_NAMED_COLUMNS])
        raise ConfigurationInvalid(f"{path.name} has no column '{missing}'; it has {names} (read as {source})")
    return source


def plain_suffix(path: Path) -> str:
    """The ending of a file's name, without that of gzip."""
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def _is_json(path: Path) -> bool:
    if plain_suffix(path) in {".csv", ".tsv"}:
        return False
    first = next((line for line in sample_lines(path, "utf-8", 10, 4_096) if line.strip()), "")
    return plain_suffix(path) in _JSON or first.lstrip().startswith(("{", "[{"))


class TableSource:
    """A table of delimited cells."""

    has_all_names = True

    def __init__(self, path: Path, columns: Mapping[str, str], options: FileOptions) -> None:
        self._path = path
        self._form = table_form(path, columns, options)
        self.names = self._form.names

    def sample(self, column: str) -> Sequence[str]:
        """The cells of a column in the first rows."""
        place = self.names.index(column)
        return [cells[place] for cells in self._form.rows if len(cells) == len(self.names)]

    def rows(
        self, faults: RowFaults, is_sound: CellsTest = any_cells, single_line: Collection[str] = ()
    ) -> Iterator[TableRow]:
        """All rows; a first line that looks like a header, but was not said to be one, is a fault."""
        form, names = self._form, self.names
        if form.doubtful_header:
            text = ", ".join(form.header)[:80]
            faults.note(
                SourceLine(self._path.name, 1),
                f"looks like a header ({text}): say --no-header if it is a row, or --header",
                "header",
                dict(zip(names, form.header, strict=True)),
            )
        places = [names.index(column) for column in single_line]

        def is_record(cells: Sequence[str]) -> bool:
            return is_sound(dict(zip(names, cells, strict=True)))

        shape = RecordShape(len(names), places, is_record)
        return table_rows(self._path, faults, form.dialect, names, form.header, shape)

    def __str__(self) -> str:
        header = f"header: {', '.join(self._form.header[:_NAMED_COLUMNS])}" if self._form.header else "no header"
        return f"{self._form.dialect}, {header}"


class JsonSource:
    """JSON objects: one a line, or in an array."""

    def __init__(self, path: Path, options: FileOptions) -> None:
        self._path, self._encoding = path, find_encoding(path, options.encoding)
        self._sample = [row.cells for row in islice(objects(path, RowFaults(), self._encoding), _SAMPLE_OBJECTS)]
        self.names = list(dict.fromkeys(name for cells in self._sample for name in cells))
        # Objects may leave out what is optional.
        self.has_all_names = 0 < len(self._sample) < _SAMPLE_OBJECTS

    def sample(self, column: str) -> Sequence[Any]:
        """The values of a member in the first objects."""
        return [cells[column] for cells in self._sample if column in cells]

    def rows(
        self,
        faults: RowFaults,
        is_sound: CellsTest = any_cells,  # noqa: ARG002 - JSON has no stray quotes
        single_line: Collection[str] = (),  # noqa: ARG002
    ) -> Iterator[TableRow]:
        """All objects."""
        return objects(self._path, faults, self._encoding)

    def __str__(self) -> str:
        return f"JSON, {label(self._encoding)}, members: {', '.join(self.names[:_NAMED_COLUMNS])}"
