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
from signals import bloom
from signals.bloom import Bloom
from signals.decay import DAY

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
KEPT: Final = 8
"""Entries kept a type where newer ones of other types have pushed them out of the recent ones."""
FLEETING: Final = frozenset({"view", "click", "dwell", "impression"})
"""Types of which nothing is kept beyond the recent entries."""
SEARCHED: Final = 8
"""Items remembered that were gone to after one search."""
SEARCH_SECONDS: Final = 1_800.0
"""An interaction follows from the search before it for this long, by event time."""
SHOWN: Final = 32
"""Impressions remembered by their offsets."""
DIMENSIONS: Final = ("country", "device")
"""What an entry keeps of its event's context."""
GROUPS: Final = ("basket_id", "playlist_id", "collection_id")
"""Properties that say what an item was put together with."""
GROUPED: Final = frozenset({"cart", "purchase", "bookmark"})
"""Types whose items belong together where they come in one session."""
LABEL: Final = 32
"""Longest value of a context that is kept; a longer one is none."""
SESSION_GAP_SECONDS: Final = 1_800.0
"""A pause longer than this starts a new session where the client names none,"""
NAMED_SESSION_GAP_SECONDS: Final = DAY
"""and where it names the same one: whoever names sessions knows when they end, but may never change a name."""

NEGATIVE: Final = frozenset({"dislike", "dismiss", "unlike"})
"""Types of aversion: nothing leads to or from them."""

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
    group: bytes = b""
    """The hash of the basket, playlist or collection that it belongs to; empty for none."""
    position: int | None = None
    """Its place in the answer that led to it."""
    context: tuple[str, ...] = ()
    """``dimension:value`` for those of DIMENSIONS that the event names."""
    scroll: float | None = None
    """The share of the page that was scrolled through, 0 to 1."""


class Term(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One search: its offset, text, time (seconds since 1970), and the items gone to after it, newest last."""

    offset: int
    query: str
    at: float
    items: tuple[str, ...] = ()
    id_hash: bytes = b""


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
    kept: dict[str, tuple[Entry, ...]] = {}
    """By type, entries that are no longer among the recent ones."""
    past: Bloom = Bloom()
    """Items that are no longer in ``seen``."""
    visits: int = 0
    """Sessions begun."""
    shown: tuple[int, ...] = ()
    """Offsets of the last impressions that were not repeats."""


class Head(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Of a UserValue, its offset and its links; what lies between stays packed."""

    offset: int = -1
    recent: msgspec.Raw = msgspec.Raw()
    session: msgspec.Raw = msgspec.Raw()
    seen: msgspec.Raw = msgspec.Raw()
    links: tuple[str, ...] = ()


EMPTY: Final = UserValue()
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(UserValue)
_HEAD_DECODER: Final = msgspec.msgpack.Decoder(Head)


def encode(value: UserValue) -> bytes:
    """The value packed, the same bytes for the same history."""
    return _ENCODER.encode(value)


def decode(data: bytes | None) -> UserValue:
    """Read a packed value; nothing stored is the empty value."""
    return EMPTY if data is None else _DECODER.decode(data)


def head(data: bytes) -> Head:
    """Read only the head of a packed value: a sixth of the work."""
    return _HEAD_DECODER.decode(data)


def id_hash(event_id: str) -> bytes:
    """The short hash that stands for an event id."""
    return blake2b(event_id.encode(), digest_size=_HASH_BYTES).digest()


def session_hash(event: LoggedEvent, started: float) -> bytes:
    """The short hash of the visit that began with this event at this time: of its person, its id and its start."""
    return id_hash(f"{event.subject}\n{event.session_id or ''}\n{started!r}")


def longest_pause(session: Session) -> float:
    """Seconds without an event after which a session is over."""
    return SESSION_GAP_SECONDS if session.id is None else NAMED_SESSION_GAP_SECONDS


def is_interaction(event: LoggedEvent) -> bool:
    """Whether the event becomes an entry of the user's history."""
    return event.item_id is not None and event.type not in _NOT_INTERACTIONS


def is_duplicate(value: UserValue, event: LoggedEvent) -> bool:
    """Whether this event id has been applied already (a retraction repeats the id it takes back)."""
    return event.type != "retract" and _known(value.id_hashes, id_hash(event.event_id))


def loses_history(event: LoggedEvent) -> bool:
    """Whether applying the event removes entries that a lagging signal may still need."""
    return event.type in {"forget", "retract"} or event.type in _RETRACTING


def remembered(value: UserValue) -> tuple[Entry, ...]:
    """The recent entries and before them those that are kept by type, newest last."""
    kept = [entry for entries in value.kept.values() for entry in entries]
    return (*sorted(kept, key=lambda entry: (entry.at, entry.offset)), *value.recent) if kept else value.recent


def searched(terms: tuple[Term, ...], entry: Entry) -> Term | None:
    """The search that an interaction follows from: the last one before it, if that is not too long ago."""
    for term in reversed(terms):
        if term.offset < entry.offset:
            return term if abs(entry.at - term.at) <= SEARCH_SECONDS else None
    return None


def retracted(value: UserValue, event: LoggedEvent) -> tuple[Entry, ...]:
    """The entries that an ``unlike`` or a ``retract`` removes from this history (``forget`` removes the person, not the counts)."""
    if event.type == "retract":
        hashed = id_hash(event.event_id)
        return tuple(entry for entry in remembered(value) if entry.id_hash == hashed)
    if event.type in _RETRACTING and not is_duplicate(value, event):
        kind = _RETRACTING[event.type]
        return tuple(entry for entry in remembered(value) if entry.item == event.item_id and entry.type == kind)
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


def outruns(value: UserValue, offset: int, history: int) -> bool:
    """Whether a signal that has applied all up to an offset may soon miss something of what came after it.

    ``history`` is how many earlier entries it wants to see of each.
    """
    return (
        (len(value.recent) > RECENT - history and value.recent[history - RECENT - 1].offset > offset)
        or (len(value.terms) == TERMS and value.terms[0].offset > offset)
        or (len(value.shown) == SHOWN and value.shown[0] > offset)
    )


def _known(hashes: bytes, wanted: bytes) -> bool:
    at = hashes.find(wanted)
    while at >= 0 and at % _HASH_BYTES:
        at = hashes.find(wanted, at + 1)
    return at >= 0


def _apply(value: UserValue, event: LoggedEvent, offset: int) -> UserValue:
    at = event.occurred_at.timestamp()
    hashed = id_hash(event.event_id)
    session = _visit(value.session, event, at)
    if event.type in _RETRACTING:
        value = _without(value, retracted(value, event))
    recent, kept, seen, past, terms = value.recent, value.kept, value.seen, value.past, value.terms
    if is_interaction(event):
        entry = _entry(event, offset, at, hashed, session)
        recent, kept = _push(recent, kept, entry)
        seen, past = _touch(seen, past, entry.item, at)
        terms = _gone_to(terms, entry)
    return UserValue(
        offset=offset,
        recent=recent,
        session=session,
        seen=seen,
        links=_link(value.links, event),
        counters=_count(value.counters, event.type),
        terms=_search(terms, event, offset, at, hashed),
        id_hashes=(value.id_hashes + hashed)[-DEDUPLICATION * _HASH_BYTES :],
        kept=kept,
        past=past,
        visits=value.visits + (session.events == 1),
        shown=(*value.shown, offset)[-SHOWN:] if event.type == "impression" else value.shown,
    )


def _entry(event: LoggedEvent, offset: int, at: float, hashed: bytes, session: Session) -> Entry:
    assert event.item_id is not None
    if not (event.properties or event.context or event.recommendation_id or event.type in GROUPED):
        return Entry(offset, event.type, event.item_id, at, event.value, hashed, session.hash)
    position = event.position if event.recommendation_id is not None else None
    group, scroll = _group(event, session), _scroll(event)
    return Entry(
        offset,
        event.type,
        event.item_id,
        at,
        event.value,
        hashed,
        session.hash,
        group,
        position,
        _context(event),
        scroll,
    )


def _group(event: LoggedEvent, session: Session) -> bytes:
    for name in GROUPS:
        if event.properties and isinstance(named := event.properties.get(name), str):
            return id_hash(f"{name}\n{named}")
    return session.hash if event.type in GROUPED else b""


def _context(event: LoggedEvent) -> tuple[str, ...]:
    given = event.context or {}
    named = ((name, given.get(name)) for name in DIMENSIONS)
    return tuple([f"{name}:{label}" for name, label in named if isinstance(label, str) and 0 < len(label) <= LABEL])


def _scroll(event: LoggedEvent) -> float | None:
    share = event.properties.get("scroll") if event.properties else None
    return min(1.0, max(0.0, float(share))) if isinstance(share, int | float) else None


def _retract(value: UserValue, event: LoggedEvent, offset: int) -> UserValue:
    hashed, gone = id_hash(event.event_id), retracted(value, event)
    left = _without(value, gone)
    unseen = {entry.item for entry in gone} - {entry.item for entry in remembered(left)}
    seen = {item: at for item, at in value.seen.items() if item not in unseen}
    terms = tuple(term for term in value.terms if term.id_hash != hashed)
    return msgspec.structs.replace(left, offset=offset, seen=seen, terms=terms)


def _without(value: UserValue, gone: tuple[Entry, ...]) -> UserValue:
    if not gone:
        return value
    recent = tuple(entry for entry in value.recent if entry not in gone)
    kept = {kind: left for kind, held in value.kept.items() if (left := tuple(e for e in held if e not in gone))}
    return msgspec.structs.replace(value, recent=recent, kept=kept)


def _push(
    recent: tuple[Entry, ...], kept: dict[str, tuple[Entry, ...]], entry: Entry
) -> tuple[tuple[Entry, ...], dict[str, tuple[Entry, ...]]]:
    if len(recent) < RECENT:
        return (*recent, entry), kept
    old = recent[0]
    if old.type not in FLEETING and (old.type in kept or len(kept) < TYPES):
        kept = {**kept, old.type: (*kept.get(old.type, ()), old)[-KEPT:]}
    return (*recent[1:], entry), kept


def _touch(seen: dict[str, float], past: Bloom, item: str, at: float) -> tuple[dict[str, float], Bloom]:
    touched = seen.copy()
    touched.pop(item, None)
    touched[item] = at
    if len(touched) > SEEN:
        oldest = next(iter(touched))
        del touched[oldest]
        past = bloom.add(past, oldest)
    return touched, past


def _visit(session: Session | None, event: LoggedEvent, at: float) -> Session:
    if session is None or session.id != event.session_id or abs(at - session.last) > longest_pause(session):
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


def _search(terms: tuple[Term, ...], event: LoggedEvent, offset: int, at: float, hashed: bytes) -> tuple[Term, ...]:
    if event.type != "search" or event.query is None:
        return terms
    return (*terms, Term(offset, event.query, at, (), hashed))[-TERMS:]


def _gone_to(terms: tuple[Term, ...], entry: Entry) -> tuple[Term, ...]:
    """The searches, the last one with the item that was gone to after it."""
    term = searched(terms, entry) if entry.type not in NEGATIVE else None
    if term is None or entry.item in term.items:
        return terms
    return (*terms[:-1], msgspec.structs.replace(term, items=(*term.items, entry.item)[-SEARCHED:]))
