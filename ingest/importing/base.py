"""What an importer is, and how it tells of rows that it cannot read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from schemas.weights import Weight

MAX_NAMED_FAULTS: Final = 5
"""How many malformed rows are named; the others are only counted."""


class SourceLine(NamedTuple):
    """A line of a file, counted from 1; as text, how it is named to a person."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file} line {self.line}"


ReadProgress = Callable[[str, int, int], None]
"""Told how far a file is read: its name, its bytes so far and in all."""


def ignore_progress(_name: str, _done: int, _total: int) -> None:
    """Nobody watches."""


class RowFaults:
    """What an import notes while it reads: malformed rows, counted and the first few named, and how far a file is."""

    def __init__(self, count: int = 0, watch: ReadProgress = ignore_progress) -> None:
        self.count = count
        self.named: list[str] = []
        self.watch = watch
        self.expected: int | None = None
        """Events in all, once they have all been read."""

    def note(self, where: object, reason: str) -> None:
        """Count a row and keep what is wrong with it, if it is one of the first."""
        self.count += 1
        if len(self.named) < MAX_NAMED_FAULTS:
            self.named.append(f"{where}: {reason}")


class FileRow(dict[str, Any]):
    """An item or event that one line of a file says, with that line's place."""

    __slots__ = ("where",)

    def __init__(self, said: dict[str, Any], where: SourceLine) -> None:
        super().__init__(said)
        self.where = where


class UserRow(NamedTuple):
    """A user as a data set has it."""

    user_id: str
    attributes: dict[str, Any]


class Importer(Protocol):
    """A data set. Its rows come out the same, in the same order, every time: resuming counts on it.

    Rows are what a client would send, so they pass the collector's validation; a file's own faults go to ``faults``.
    Raises DatasetUnknown where a file cannot be read.
    """

    @property
    def dataset(self) -> str:
        """The data set's name, part of every event id."""

    @property
    def types(self) -> frozenset[str]:
        """Types of events beyond the usual ones."""

    @property
    def weights(self) -> Mapping[str, Weight]:
        """What its types of events count in training, where that is not the default."""

    @property
    def paths(self) -> Sequence[Path]:
        """The files that it reads."""

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Items as the bulk call takes them."""

    def users(self, faults: RowFaults) -> Iterator[UserRow]:
        """Users; their attributes are coarsened later."""

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Events in order of time, each with an ``event_id`` that is the same at every import.

        A set without times comes in the order of its files: then each event's time is that of its import, so that
        what stands later in the files counts as newer.
        """


class FileImporter:
    """An importer's usual answers: a folder, no items, no users, no types of its own."""

    dataset = ""
    aliases: tuple[str, ...] = ()
    """Other names under which a user may ask for it."""
    needs: tuple[str, ...] = ()
    """The files by which a folder is recognised."""
    uses: tuple[str, ...] = ()
    """Further files that are read where they are there."""
    order = 100
    """Importers are tried in this order; equal ones by the names of their modules."""
    types: frozenset[str] = frozenset()
    weights: Mapping[str, Weight] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Whether the folder holds every file that this importer needs (packed or not)."""
        return all(found(folder, name) is not None for name in cls.needs)

    @property
    def paths(self) -> Sequence[Path]:
        """The files that it needs, and those that it uses if they are there."""
        return [path for name in (*self.needs, *self.uses) if (path := found(self.folder, name))]

    def path(self, name: str) -> Path | None:
        """A file of the folder, packed or not."""
        return found(self.folder, name)

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - most sets name no items
        """None."""
        return iter(())

    def users(self, faults: RowFaults) -> Iterator[UserRow]:  # noqa: ARG002 - most sets say nothing of users
        """None."""
        return iter(())

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - a catalogue has no events
        """None."""
        return iter(())


def found(folder: Path, name: str) -> Path | None:
    """The file of that name in the folder, or the same packed with gzip."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
