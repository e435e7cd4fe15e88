"""The ``users`` signal: one packed value a user, the bounded memory of what that user did.

The fold reads nothing but the value and the event, so that folding a partition again gives the same bytes.
Entries are immutable and carry their offsets, so that a signal that lags behind can ask for a user's
history as it was before any event that it has yet to apply.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from schemas.events import LoggedEvent

RECENT: Final = 128
"""Item interactions kept, newest last."""
SEEN: Final = 1_000
"""Items remembered as seen, least recently touched dropped first."""
TERMS: Final = 20
"""Searches kept, newest last."""
LINKS: Final = 8
"""Guests that became this user."""
DEDUPLICATION: Final = 256
"""Event ids remembered, as 8-byte hashes; a repeat further back than this counts again."""
TYPES: Final = 64
"""Distinct event types counted."""
SESSION_GAP_SECONDS: Final = 1_800.0
"""A pause longer than this starts a new session where the client names none."""

_HASH_BYTES: Final = 8
_NOT_INTERACTIONS: Final = frozenset({"search", "identify", "forget", "retract", "impression"})
_RETRACTING: Final = {"unlike": "like"}


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One interaction: its offset on the partition, type, item, time (seconds since 1970), value, hashed event id."""

    offset: int
    type: str
    item: str
    at: float
    value: float | None
    id_hash: bytes
    session: bytes = b""
    """The hash of the session that it belongs to."""


class Term(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One search: its offset, text and time (seconds since 1970)."""

    offset: int
    query: str
    at: float


class Session(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The current visit: the client's id for it (or none), its start and last event, how many events, and its hash."""

    id: str | None
    started: float
    last: float
    events: int
    hash: bytes = b""
    """Stands for the visit where its person must not be told: in entries, and in the tail of sessions."""


class UserValue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """All that is kept of one user. ``offset`` is that of the last applied event, -1 for none."""

    offset: int = -1
    recent: tuple[Entry, ...] = ()
    session: Session | None = None
    seen: dict[str, float] = {}
    links: tuple[str, ...] = ()
    counters: dict[str, int] = {}
    terms: tuple[Term, ...] = ()
    id_hashes: bytes = b""


EMPTY: Final = UserValue()
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(UserValue)


def encode(value: UserValue) -> bytes:
    """The value packed, the same bytes for the same history."""
    return _ENCODER.encode(value)


def decode(data: bytes | None) -> UserValue:
    """Read a packed value; nothing stored is the empty value."""
    return EMPTY if data is None else _DECODER.decode(data)


def id_hash(event_id: str) -> bytes:
    """The short hash that stands for an event id."""
    return blake2b(event_id.encode(), digest_size=_HASH_BYTES).digest()


def session_hash(event: LoggedEvent, started: float) -> bytes:
    """The short hash of the visit that began with this event at this time: of its person, its id and its start."""
    return id_hash(f"{event.subject}\n{event.session_id or ''}\n{started!r}")


def is_interaction(event: LoggedEvent) -> bool:
    """Whether the event becomes an entry of the user's history."""
    return event.item_id is not None and event.type not in _NOT_INTERACTIONS


def is_duplicate(value: UserValue, event: LoggedEvent) -> bool:
    """Whether this event id has been applied already (a retraction repeats the id it takes back)."""
    return event.type != "retract" and _known(value.id_hashes, id_hash(event.event_id))


def loses_history(event: LoggedEvent) -> bool:
    """Whether applying the event removes entries that a lagging signal may still need."""
    return event.type in {"forget", "retract"} or event.type in _RETRACTING


def taken_back(value: UserValue, event: LoggedEvent) -> tuple[Entry, ...]:
    """The entries that an ``unlike`` or a ``retract`` removes from this history (``forget`` removes the person, not the counts)."""
    if event.type == "retract":
        hashed = id_hash(event.event_id)
        return tuple(entry for entry in value.recent if entry.id_hash == hashed)
    if event.type in _RETRACTING and not is_duplicate(value, event):
        return tuple(e for e in value.recent if e.item == event.item_id and e.type == _RETRACTING[event.type])
    return ()


def fold(value: UserValue, event: LoggedEvent, offset: int) -> UserValue:
    """Apply one event at its offset. Offsets at or before ``value.offset`` must not be handed in."""
    if event.type == "forget":
        return UserValue(offset=offset)
    if event.type == "retract":
        return _retract(value, event, offset)
    if is_duplicate(value, event):
        return msgspec.structs.replace(value, offset=offset)
    return _apply(value, event, offset)


def history(value: UserValue, before: int, limit: int) -> tuple[Entry, ...]:
    """The last ``limit`` entries with an offset before ``before``, newest last: the history as it was then."""
    end = len(value.recent)
    while end and value.recent[end - 1].offset >= before:
        end -= 1
    return value.recent[max(0, end - limit) : end]


def entry_at(value: UserValue, offset: int) -> Entry | None:
    """The entry that the event at this offset became; None where it was a duplicate or no interaction."""
    for entry in reversed(value.recent):
        if entry.offset <= offset:
            return entry if entry.offset == offset else None
    return None


def entries_after(value: UserValue, offset: int) -> int:
    """How many entries stand after an offset."""
    at = len(value.recent)
    while at and value.recent[at - 1].offset > offset:
        at -= 1
    return len(value.recent) - at


def _known(hashes: bytes, wanted: bytes) -> bool:
    at = hashes.find(wanted)
    while at >= 0 and at % _HASH_BYTES:
        at = hashes.find(wanted, at + 1)
    return at >= 0


def _apply(value: UserValue, event: LoggedEvent, offset: int) -> UserValue:
    at = event.occurred_at.timestamp()
    hashed = id_hash(event.event_id)
    recent, seen = value.recent, value.seen
    session = _visit(value.session, event, at)
    if event.type in _RETRACTING:
        gone = taken_back(value, event)
        recent = tuple(entry for entry in recent if entry not in gone)
    if is_interaction(event):
        assert event.item_id is not None
        entry = Entry(offset, event.type, event.item_id, at, event.value, hashed, session.hash)
        recent = (*recent, entry)[-RECENT:]
        seen = _touch(seen, event.item_id, at)
    return UserValue(
        offset=offset,
        recent=recent,
        session=session,
        seen=seen,
        links=_link(value.links, event),
        counters=_count(value.counters, event.type),
        terms=_search(value.terms, event, offset, at),
        id_hashes=(value.id_hashes + hashed)[-DEDUPLICATION * _HASH_BYTES :],
    )


def _retract(value: UserValue, event: LoggedEvent, offset: int) -> UserValue:
    gone = taken_back(value, event)
    recent = tuple(entry for entry in value.recent if entry not in gone)
    unseen = {entry.item for entry in gone} - {entry.item for entry in recent}
    seen = {item: at for item, at in value.seen.items() if item not in unseen}
    return msgspec.structs.replace(value, offset=offset, recent=recent, seen=seen)


def _touch(seen: dict[str, float], item: str, at: float) -> dict[str, float]:
    touched = seen.copy()
    touched.pop(item, None)
    touched[item] = at
    if len(touched) > SEEN:
        del touched[next(iter(touched))]
    return touched


def _visit(session: Session | None, event: LoggedEvent, at: float) -> Session:
    if session is None or session.id != event.session_id or abs(at - session.last) > SESSION_GAP_SECONDS:
        return Session(event.session_id, at, at, 1, session_hash(event, at))
    last = max(at, session.last)
    return Session(session.id, session.started, last, session.events + 1, session.hash)


def _link(links: tuple[str, ...], event: LoggedEvent) -> tuple[str, ...]:
    if event.type != "identify" or event.anonymous_id is None or event.anonymous_id in links:
        return links
    return (*links, event.anonymous_id)[-LINKS:]


def _count(counters: dict[str, int], kind: str) -> dict[str, int]:
    if kind not in counters and len(counters) >= TYPES:
        return counters
    return {**counters, kind: counters.get(kind, 0) + 1}


def _search(terms: tuple[Term, ...], event: LoggedEvent, offset: int, at: float) -> tuple[Term, ...]:
    if event.type != "search" or event.query is None:
        return terms
    return (*terms, Term(offset, event.query, at))[-TERMS:]
