"""The types that all kinds of aggregates share: ``Transition``, their input, and ``AggregateKind``, their declaration.

An aggregate counts the events of all users of a partition. Its counters are bounded values in the store, each under a
key. A kind is one file. It declares the counters, how an event changes them, and how the counters of several
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
"""Limit of the earlier entries of a user in one transition."""


class Transition(NamedTuple):
    """One event of a partition, with the part of its user's value that aggregates read, as of the event's offset."""

    offset: int
    event: LoggedEvent
    entry: Entry | None
    """The entry of the event in its user's history; None if the event is a repeat or no interaction."""
    earlier: tuple[Entry, ...] = ()
    """The user's entries before the event, newest last, at most HISTORY."""
    retracted: tuple[Entry, ...] = ()
    """The entries that the event removed from the user's history."""
    terms: tuple[Term, ...] = ()
    """The user's searches. It may include searches after the event."""
    shown: tuple[int, ...] = ()
    """The offsets of the user's last impressions. It may include impressions after the event."""


def transition(before: UserValue, after: UserValue, event: LoggedEvent, offset: int) -> Transition:
    """Returns the transition of an event, given its user's value before and after the event.

    If the stored value is already ahead of the event, pass the stored value as both.
    """
    entry = entry_at(after, offset)
    # Events without ids share a value, and are of different people.
    earlier = () if event.unlinked else history(after, offset, HISTORY)
    removed = retracted(before, event) if before is not after else ()
    # A transition does not hold the whole value, because thousands of transitions wait at once.
    return Transition(offset, event, entry, earlier, removed, after.terms, after.shown)


class Retraction(NamedTuple):
    """Undoes an earlier change, because a later event retracted it."""

    change: Any


Changes = defaultdict[str, list[Any]]
"""The changes of one kind's counters by subject (an item, a bucket of words), each list in the order of events."""


def collect_entries(transitions: Iterable[Transition], changes: Changes) -> None:
    """Adds the entry of each interaction to the changes of its item, and the retraction of each entry removed."""
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
    collect: Callable[[Iterable[Transition], Changes], None]
    """``collect(transitions, changes)`` appends the changes of these events to ``changes``. One call takes many events, for speed."""
    fold: Callable[[Any, Sequence[Any]], Any]
    """``fold(counters, changes)`` returns the counters after these changes, in order. Pure."""
    merge: Callable[[Sequence[Any], Mapping[str, float]], Any]
    """``merge(counters, weights)`` returns the value that readers get for one key. Pure.

    ``counters`` are those of each partition that has the key. ``weights`` are the weights of event types.
    """

    def key(self, subject: str) -> str:
        """Returns the key of the counters about a subject: an item, a bucket of words, an index in a ring."""
        return f"{self.name}:{subject}"

    def decode(self, data: bytes | None) -> Any:
        """Returns the counters that these bytes hold; None gives the empty ones. Raises msgspec.DecodeError."""
        return self.empty if data is None else self._decoder.decode(data)

    @cached_property
    def _decoder(self) -> msgspec.msgpack.Decoder[Any]:
        return msgspec.msgpack.Decoder(type(self.empty))
