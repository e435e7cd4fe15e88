"""What the kinds of aggregate cells have in common: what they see of an event, and how they change.

A cell counts over all users of a partition. A kind of cell is one file: a bounded value, what an event changes,
and how cells of several partitions are merged. ``signals/aggregates.py`` finds the kinds by themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from schemas.events import LoggedEvent
from signals.users import Entry, Term, UserValue, entry_at, history, retracted

HISTORY: Final = 32
"""How many of a user's earlier entries a change may look at."""


class Transition(NamedTuple):
    """One event of a partition, with what its user's value said of it at its offset."""

    offset: int
    event: LoggedEvent
    entry: Entry | None
    """What it became in its user's history; None for a repeat, and for what is no interaction."""
    earlier: tuple[Entry, ...] = ()
    """The user's entries before it, newest last, at most HISTORY."""
    retracted: tuple[Entry, ...] = ()
    """The entries that it removed from the user's history."""
    terms: tuple[Term, ...] = ()
    """The user's searches, perhaps with later ones too."""
    shown: tuple[int, ...] = ()
    """The offsets of the user's last impressions, likewise."""


def transition(before: UserValue, after: UserValue, event: LoggedEvent, offset: int) -> Transition:
    """An event, given its user's value before and after it; where the value is ahead of it, both are that value."""
    entry, earlier = entry_at(after, offset), history(after, offset, HISTORY)
    removed = retracted(before, event) if before is not after else ()
    # Not the whole value: thousands of these wait at once.
    return Transition(offset, event, entry, earlier, removed, after.terms, after.shown)


class Retraction(NamedTuple):
    """A change that a later event retracts."""

    by: Any


Changes = defaultdict[str, list[Any]]
"""By what a cell is about, what changes it, in order."""


def gather_entries(transitions: Iterable[Transition], changes: Changes) -> None:
    """The entry of an interaction changes the counter of its item, until the entry is retracted."""
    for transition in transitions:
        for entry in transition.retracted:
            changes[entry.item].append(Retraction(entry))
        if transition.entry is not None:
            changes[transition.entry.item].append(transition.entry)


class AggregateKind(NamedTuple):
    """One kind of cell; a cell's key is the kind's name, a colon, and what the cell is about."""

    name: str
    empty: msgspec.Struct
    gather: Callable[[Iterable[Transition], Changes], None]
    """Adds what events, in order, change: many at once, because what is done for every event is what a worker costs."""
    fold: Callable[[Any, Sequence[Any]], Any]
    """``fold(cell, [by, …])``, pure, is the cell after these changes of it, in order: many cost one copy."""

    def key(self, about: str) -> str:
        """The key of the cell of this kind about something."""
        return f"{self.name}:{about}"
