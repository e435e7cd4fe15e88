"""The port of importers, the base class of file importers, and the count of rows that are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from schemas.errors import FreshetError
from schemas.values.weights import Weight

MAX_NAMED_FAULTS: Final = 5
"""Most refused rows that are described; the others are only counted."""


class SourceLine(NamedTuple):
    """A line of a file, counted from 1. Its text is what people read."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file} line {self.line}"


ReadProgress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes read so far, and its size."""


def ignore_progress(_name: str, _bytes_read: int, _total: int) -> None:
    """Does nothing."""


class TooManyRefused(FreshetError):
    """More rows were refused than ``--max-errors`` allows."""


class RefusedRow(NamedTuple):
    """A row that does not reach the log: where it stands, why, and its content as far as it could be read."""

    where: object
    reason: str
    """One of a few codes, by which refused rows are counted."""
    detail: str
    row: Any
    cells: Mapping[str, Any] = MappingProxyType({})
    """Cells of other rows, by column, that were read in place of its own."""


def ignore_refused(_refused: RefusedRow) -> None:
    """Does nothing."""


class RowFaults:
    """Counts refused rows by reason and describes the first few; passes on the progress of reading."""

    def __init__(
        self,
        watch: ReadProgress = ignore_progress,
        refuse: Callable[[RefusedRow], None] = ignore_refused,
        max_count: int | None = None,
    ) -> None:
        self.reasons: Counter[str] = Counter()
        self.examples: list[str] = []
        self.mended: Counter[str] = Counter()
        """Cells that were read only after a correction, by a sentence on it."""
        self.watch = watch
        self.expected: int | None = None
        """Number of all events; None until they have been read."""
        self.left_out = 0
        """Rows that a filter removed; they are no faults."""
        self._refuse, self._max_count = refuse, max_count

    @property
    def count(self) -> int:
        """Number of refused rows."""
        return self.reasons.total()

    def note(
        self,
        where: object,
        detail: str,
        reason: str = "malformed",
        row: Any = None,
        cells: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Counts a refused row under its reason, and describes it if it is one of the first.

        ``cells`` are those of other rows that were read in place of its own. Raises TooManyRefused if there are more than are allowed.
        """
        self.reasons[reason] += 1
        if len(self.examples) < MAX_NAMED_FAULTS:
            self.examples.append(f"{where}: {detail}")
        self._refuse(RefusedRow(where, reason, detail, row, cells))
        if self._max_count is not None and self.count > self._max_count:
            raise TooManyRefused(f"more than {self._max_count:,} rows were refused, so the import ended early")

    def mend(self, what: str) -> None:
        """Counts a cell that was read only after a correction; ``what`` is its sentence."""
        self.mended[what] += 1

    def observe(self, rows: Iterator[Any]) -> Iterator[Any]:
        """Passed every reader's ``TableRow``s; returns them. A subclass looks at them."""
        return rows


class FileRow(dict[str, Any]):
    """An item or event that was read from one line of a file, with that line."""

    __slots__ = ("cells", "source_line")

    def __init__(
        self, fields: dict[str, Any], source_line: SourceLine, cells: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """``cells`` are those of other rows, by column, that it was read from."""
        super().__init__(fields)
        self.source_line, self.cells = source_line, cells


class UserRow(NamedTuple):
    """A user of a data set."""

    user_id: str
    attributes: dict[str, Any]


class Importer(Protocol):
    """A data set.

    Rows are what a client would send; they pass the collector's validation. Malformed lines go to ``faults``.
    Raises DatasetUnknown if a file cannot be read.
    """

    @property
    def dataset(self) -> str:
        """The data set's name."""

    @property
    def description(self) -> str:
        """A line for people that says how its file is read; empty if its form is known beforehand."""

    @property
    def merges_items(self) -> bool:
        """True if its items change what is known about them, False if they replace it."""

    @property
    def types(self) -> frozenset[str]:
        """Event types that are not built in."""

    @property
    def weights(self) -> Mapping[str, Weight]:
        """Training weights of its event types, where they differ from the default."""

    @property
    def paths(self) -> Sequence[Path]:
        """The files that it reads."""

    def ratings(self) -> Iterator[float]:
        """Ratings of the first rows, by which their scale is recognised. Raises DatasetUnknown."""

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Items, as for ``POST /v1/items``."""

    def users(self, faults: RowFaults) -> Iterator[UserRow]:
        """Users; validation generalizes their attributes."""

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Events in order of time. The import makes an ``event_id`` of the content of an event that has none.

        A data set without times is read in the order of its files. Each event then gets the time of its import, so
        that later rows count as newer.
        """


class PublishedFiles(NamedTuple):
    """The addresses of a data set's files, and of an MD5 sum if one is published. ``{category}`` stands for a category."""

    urls: tuple[str, ...]
    md5: str = ""


class FileImporter:
    """The base of importers of a folder: no items, no users, no types of its own."""

    dataset = ""
    description = ""
    aliases: tuple[str, ...] = ()
    """Other names of the data set, for the command line."""
    needs: tuple[str, ...] = ()
    """The files that a folder must have to be recognised."""
    uses: tuple[str, ...] = ()
    """Further files that are read if they exist."""
    published: Mapping[str, PublishedFiles] = {}
    """Its data sets that can be downloaded without an account or a consent, by name."""
    merges_items = False
    order = 100
    """The order in which importers are tried. Equal orders follow the names of the modules."""
    types: frozenset[str] = frozenset()
    weights: Mapping[str, Weight] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """True if the folder holds every file that this importer needs, packed or not."""
        return all(find_file(folder, name) is not None for name in cls.needs)

    @property
    def paths(self) -> Sequence[Path]:
        """The files that it needs, and those of ``uses`` that exist."""
        return [path for name in (*self.needs, *self.uses) if (path := find_file(self.folder, name))]

    def path(self, name: str) -> Path | None:
        """A file of the folder, packed or not; None if it does not exist."""
        return find_file(self.folder, name)

    def ratings(self) -> Iterator[float]:
        """Yields nothing: the ratings of published data sets are on the default scale, up to five stars."""
        return iter(())

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - most sets name no items
        """Yields nothing."""
        return iter(())

    def users(self, faults: RowFaults) -> Iterator[UserRow]:  # noqa: ARG002 - most sets say nothing of users
        """Yields nothing."""
        return iter(())

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - a catalogue has no events
        """Yields nothing."""
        return iter(())


def find_file(folder: Path, name: str) -> Path | None:
    """The file of this name in the folder, or its ``.gz``; None if neither exists."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
