"""What the kinds of aggregate cells have in common: what they see of an event, and how they change.

A cell counts over all users of a partition. A kind of cell is one file: a bounded value, what an event changes,
and how cells of several partitions are merged. ``signals/aggregates.py`` lists the kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import msgspec

from schemas.events import LoggedEvent
from signals.users import Entry

HISTORY: Final = 32
"""How many of a user's earlier entries a change may look at."""
NEGATIVE: Final = frozenset({"dislike", "dismiss", "unlike"})
"""Types that link nothing."""


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


class Change(msgspec.Struct, frozen=True, gc=False):
    """What an event does to one cell: ``fold(cell, by)``, pure, is the cell as it is from now on."""

    key: str
    fold: Callable[[Any, Any], msgspec.Struct]
    by: Any

    def on(self, cell: msgspec.Struct) -> msgspec.Struct:
        """The cell changed."""
        return self.fold(cell, self.by)


class Kind(NamedTuple):
    """One kind of cell; a cell's key is the kind's name, a colon, and what the cell is about."""

    name: str
    empty: msgspec.Struct
    changes: Callable[[Observed], Iterable[Change]]
    """The cells that an event changes, and how, in order."""
