"""What the kinds of aggregate cells have in common: what they see of an event, and how they change.

A cell counts over all users of a partition. A kind of cell is one file: a bounded value, what an event changes,
and how cells of several partitions are merged. ``signals/aggregates.py`` lists the kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from schemas.events import LoggedEvent
from signals.users import EMPTY, Entry, UserValue, entry_at, history, taken_back

HISTORY: Final = 32
"""How many of a user's earlier entries a change may look at."""


class Observed(NamedTuple):
    """One event of a partition, with what its user's value said of it at its offset."""

    offset: int
    event: LoggedEvent
    entry: Entry | None
    """What it became in its user's history; None for a repeat, and for what is no interaction."""
    earlier: tuple[Entry, ...] = ()
    """The user's entries before it, newest last, at most HISTORY."""
    taken_back: tuple[Entry, ...] = ()
    """The entries that it removed from the user's history."""
    after: UserValue = EMPTY
    """The user's value with it, and perhaps with later events too."""


def observed(before: UserValue, after: UserValue, event: LoggedEvent, offset: int) -> Observed:
    """An event, given its user's value before and after it; where the value is ahead of it, both are that value."""
    entry, earlier = entry_at(after, offset), history(after, offset, HISTORY)
    return Observed(offset, event, entry, earlier, taken_back(before, event) if before is not after else (), after)


Fold = Callable[[Any, Sequence[Any]], Any]
"""``fold(cell, [by, …])``, pure, is the cell after these changes of it, in order: many cost one copy."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """What an event does to one cell."""

    key: str
    fold: Fold
    by: Any


def by_cell(changes: Iterable[Change]) -> dict[str, list[tuple[Fold, list[Any]]]]:
    """The changes of each cell, in order; those of one fold that follow each other together."""
    runs: dict[str, list[tuple[Fold, list[Any]]]] = {}
    for change in changes:
        run = runs.get(change.key)
        if run is None:
            runs[change.key] = [(change.fold, [change.by])]
        elif run[-1][0] is change.fold:
            run[-1][1].append(change.by)
        else:
            run.append((change.fold, [change.by]))
    return runs


class Kind(NamedTuple):
    """One kind of cell; a cell's key is the kind's name, a colon, and what the cell is about."""

    name: str
    empty: msgspec.Struct
    changes: Callable[[Observed], Iterable[Change]]
    """The cells that an event changes, and how, in order."""
