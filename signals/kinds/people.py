"""``people`` counters: how many different people were at an item, up to PEOPLE, and whether an import named it.

Serving shows an item without item data only once enough people were at it, so that one visitor's invented ids cost nobody
anything. People are distinguished by 16 bits of a hash, salted with the item: enough to count to PEOPLE, too little to find
somebody by. A retracted event still came from a person. An event without ids is nobody's: one visitor could send many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from signals.counters import AggregateKind, Changes, Transition

PEOPLE: Final = 16
"""Limit of the people of an item that are counted, in each partition."""
_HASH_BYTES: Final = 2


class PeopleCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item's people as short hashes, joined, at most PEOPLE."""

    hashes: bytes = b""
    imported: bool = False
    """True if an event of an import is among theirs."""

    @property
    def count(self) -> int:
        """Number of people; PEOPLE for an import, whose people count as they are."""
        return PEOPLE if self.imported else len(self.hashes) // _HASH_BYTES


class _Visit(NamedTuple):
    hash: bytes
    imported: bool


def collect(transitions: Iterable[Transition], changes: Changes) -> None:
    """Adds the person of each interaction to its item. An impression is no interaction: nobody was at the item."""
    for transition in transitions:
        item, event = transition.entry.item if transition.entry else None, transition.event
        if item is not None and (event.imported or not event.unlinked):
            changes[item].append(_Visit(_hash(item, event.subject), event.imported))


def fold(counters: PeopleCounters, changes: Sequence[_Visit]) -> PeopleCounters:
    """Returns the counters after these visits; the same object where they change nothing."""
    hashes, imported = counters.hashes, counters.imported or any(visit.imported for visit in changes)
    for visit in changes:
        if len(hashes) < PEOPLE * _HASH_BYTES and not _holds(hashes, visit.hash):
            hashes += visit.hash
    if hashes == counters.hashes and imported == counters.imported:
        return counters
    return PeopleCounters(hashes, imported)


def merge(counters: Sequence[PeopleCounters], _: Mapping[str, float]) -> int:
    """Returns the number of an item's people. Nobody is in two partitions."""
    return sum(partition.count for partition in counters)


KIND: Final = AggregateKind("people", PeopleCounters(), collect, fold, merge)


def _hash(item: str, subject: str) -> bytes:
    return (crc32(f"{item}\n{subject}".encode()) & 0xFFFF).to_bytes(_HASH_BYTES)


def _holds(hashes: bytes, wanted: bytes) -> bool:
    return any(hashes[begin : begin + _HASH_BYTES] == wanted for begin in range(0, len(hashes), _HASH_BYTES))
