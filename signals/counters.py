"""What all kinds of aggregates share: what they see of an event, and what a kind declares.

An aggregate counts the events of all users of a partition. Its counters are bounded values in the store, each under a
key. A kind is one file, which declares the counters, what an event changes in them, and how the counters of several
partitions merge. ``signals/aggregates.py`` discovers the kinds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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


@dataclass(frozen=True)
class AggregateKind:
    """One kind of aggregate. A module of ``signals`` declares it as ``KIND``."""

    name: str
    """First part of the keys of its counters."""
    empty: msgspec.Struct
    """The counters before the first event."""
    gather: Callable[[Iterable[Transition], Changes], None]
    """``gather(transitions, changes)`` adds what these events change, in order. One call takes many events, for speed."""
    fold: Callable[[Any, Sequence[Any]], Any]
    """``fold(counters, changes)`` returns the counters after these changes, in order. Pure."""
    merge: Callable[[Sequence[Any], Mapping[str, float]], Any]
    """``merge(counters, weights)`` returns what is read of one key: its counters of all partitions that have any, merged.

    ``weights`` says what an event of each type is worth. Pure.
    """

    def key(self, subject: str) -> str:
        """Returns the key of the counters about a subject: an item, a word, a place in a ring."""
        return f"{self.name}:{subject}"

    def decode(self, data: bytes | None) -> Any:
        """Returns the counters that these bytes hold; None holds the empty ones. Raises msgspec.DecodeError."""
        return self.empty if data is None else self._decoder.decode(data)

    @cached_property
    def _decoder(self) -> msgspec.msgpack.Decoder[Any]:
        return msgspec.msgpack.Decoder(type(self.empty))
