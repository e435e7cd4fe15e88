"""The ``users`` signal: one packed value for each user, a bounded memory of the user's events.

The fold reads only the value and the event, so folding a partition again gives the same bytes. Entries are immutable
and carry their offsets. A signal that is behind needs a user's history as of an earlier offset. It finds that history by
these offsets (``history``).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from schemas.events import UNLINK_GUEST, LoggedEvent
from signals import bloom
from signals.bloom import Bloom
from signals.decay import DAY

RECENT: Final = 128
"""Limit of recent interactions, newest last."""
SEEN: Final = 1_000
"""Limit of seen items that are kept by id. The least recently seen item is dropped first, into ``past``."""
TERMS: Final = 20
"""Limit of searches, newest last."""
LINKS: Final = 8
"""Limit of ids of anonymous users that this user was before signing in."""
DEDUPLICATION: Final = 256
"""Limit of event ids remembered, as 8-byte hashes. A repeat of an older event counts again."""
TYPES: Final = 64
"""Limit of distinct event types counted."""
OLDER: Final = 8
"""Limit of older entries that are kept for each type when ``recent`` drops them."""
SHORT_LIVED: Final = frozenset({"view", "click", "dwell", "impression"})
"""Types whose entries are not kept once ``recent`` drops them."""
SEARCHED: Final = 8
"""Limit of items that are kept for one search: those that the user went to after it."""
SEARCH_SECONDS: Final = 1_800.0
"""An interaction is attributed to a search for this long after it, by event time."""
IMPRESSION_OFFSETS: Final = 32
"""Limit of impressions whose offsets are kept."""
DIMENSIONS: Final = ("country", "device")
"""Dimensions of an event's context that its entry keeps."""
GROUPS: Final = ("basket_id", "playlist_id", "collection_id")
"""Properties of an event that name the group of its item."""
GROUPED: Final = frozenset({"cart", "purchase", "bookmark"})
"""Types whose items form a group if they occur in one session."""
LABEL: Final = 32
"""Limit of characters of a context's value. A longer value is left out."""
SESSION_GAP_SECONDS: Final = 1_800.0
"""A longer pause starts a new session if the client does not name its sessions."""
NAMED_SESSION_GAP_SECONDS: Final = DAY
"""A longer pause starts a new session if the client names it.

Such a client knows when sessions end, but some never change the name.
"""

NEGATIVE: Final = frozenset({"dislike", "dismiss", "unlike"})
"""Types of negative feedback. Their entries are linked to no other interaction."""

HASH_BYTES: Final = 8
"""Bytes of the hash of an event id."""
_NOT_INTERACTIONS: Final = frozenset({"search", "identify", "forget", "retract", "impression"})
_RETRACTING: Final = {"unlike": "like"}


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One interaction: its offset on the partition, type, item, time (seconds since 1970), value and hashed event id."""

    offset: int
    type: str
    item: str
    at: float
    value: float | None
    id_hash: bytes
    session: bytes = b""
    """Hash of its session."""
    group: bytes = b""
    """Hash of its basket, playlist or collection; empty if it has none."""
    position: int | None = None
    """Its position in the recommendation that led to it."""
    context: tuple[str, ...] = ()
    """``dimension:value`` for each of DIMENSIONS that the event names."""
    scroll: float | None = None
    """Share of the page that the user scrolled through, 0 to 1."""


class Term(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One search: its offset, text and time (seconds since 1970), and the items that the user went to next, newest last."""

    offset: int
    query: str
    at: float
    items: tuple[str, ...] = ()
    id_hash: bytes = b""


class Session(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The current session: its id from the client, the times of its first and last event, and its number of events."""

    id: str | None
    started: float
    last: float
    events: int
    hash: bytes = b""
    """Identifies the session without naming its user: in entries, and in the tail of sessions."""


class UserValue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The memory of one user."""

    offset: int = -1
    """Offset of the last applied event; -1 for none."""
    recent: tuple[Entry, ...] = ()
    session: Session | None = None
    seen: dict[str, float] = {}
    links: tuple[str, ...] = ()
    counters: dict[str, int] = {}
    terms: tuple[Term, ...] = ()
    id_hashes: bytes = b""
    older: dict[str, tuple[Entry, ...]] = {}
    """Older entries by type, which ``recent`` has dropped."""
    past: Bloom = Bloom()
    """Items that ``seen`` has dropped."""
    visits: int = 0
    """Number of sessions."""
    shown: tuple[int, ...] = ()
    """Offsets of the last impressions, without repeats."""


EMPTY: Final = UserValue()


def id_hash(event_id: str) -> bytes:
    """Returns the short hash of an event id."""
    return blake2b(event_id.encode(), digest_size=HASH_BYTES).digest()


def session_hash(event: LoggedEvent, started: float) -> bytes:
    """Returns the short hash of the session that began with this event: of its user, its id and its start (seconds)."""
    return id_hash(f"{event.subject}\n{event.session_id or ''}\n{started!r}")


def longest_pause(session: Session) -> float:
    """Returns the seconds without an event after which a session is over."""
    return SESSION_GAP_SECONDS if session.id is None else NAMED_SESSION_GAP_SECONDS


def is_interaction(event: LoggedEvent) -> bool:
    """True if the event becomes an entry of the user's history."""
    return event.item_id is not None and event.type not in _NOT_INTERACTIONS


def is_duplicate(value: UserValue, event: LoggedEvent) -> bool:
    """True if this event id was applied before. A retraction is no duplicate, though it repeats an id."""
    return event.type != "retract" and _known(value.id_hashes, id_hash(event.event_id))


def removes_history(event: LoggedEvent) -> bool:
    """True if the event removes entries from the history. A signal that is behind may still need them."""
    return event.type in {"forget", "retract"} or event.type in _RETRACTING


def remembered(value: UserValue) -> tuple[Entry, ...]:
    """Returns the older entries of all types, then the recent ones. Both are in ascending order of time."""
    older = [entry for entries in value.older.values() for entry in entries]
    return (*sorted(older, key=lambda entry: (entry.at, entry.offset)), *value.recent) if older else value.recent


def searched(terms: tuple[Term, ...], entry: Entry) -> Term | None:
    """Returns the search that an interaction is attributed to: the last one before it, within SEARCH_SECONDS."""
    for term in reversed(terms):
        if term.offset < entry.offset:
            return term if abs(entry.at - term.at) <= SEARCH_SECONDS else None
    return None


def retracted(value: UserValue, event: LoggedEvent) -> tuple[Entry, ...]:
    """Returns the entries that an ``unlike`` or a ``retract`` removes from this history.

    Empty for a ``forget``: it removes the user's value, but retracts no counts.
    """
    if event.type == "retract":
        hashed = id_hash(event.event_id)
        return tuple(entry for entry in remembered(value) if entry.id_hash == hashed)
    if event.type in _RETRACTING and not is_duplicate(value, event):
        removed_type = _RETRACTING[event.type]
        return tuple(entry for entry in remembered(value) if entry.item == event.item_id and entry.type == removed_type)
    return ()


def fold(value: UserValue, event: LoggedEvent, offset: int) -> UserValue:
    """Returns the value after one event. The event's offset must be greater than ``value.offset``."""
    if event.type == "forget":
        return UserValue(offset=offset)
    if event.type == UNLINK_GUEST:
        links = tuple(link for link in value.links if link != event.anonymous_id)
        return msgspec.structs.replace(value, offset=offset, links=links)
    if event.type == "retract":
        return _retract(value, event, offset)
    if is_duplicate(value, event):
        return msgspec.structs.replace(value, offset=offset)
    return _apply_unlinked(value, event, offset) if event.unlinked else _apply(value, event, offset)


def history(value: UserValue, before: int, limit: int) -> tuple[Entry, ...]:
    """Returns the last ``limit`` entries before an offset, newest last."""
    end = len(value.recent)
    while end and value.recent[end - 1].offset >= before:
        end -= 1
    return value.recent[max(0, end - limit) : end]


def entry_at(value: UserValue, offset: int) -> Entry | None:
    """Returns the entry of the event at this offset; None if the event is a duplicate or no interaction."""
    for entry in reversed(value.recent):
        if entry.offset <= offset:
            return entry if entry.offset == offset else None
    return None


def will_drop_unread(value: UserValue, offset: int, history: int) -> bool:
    """True if the next event may make the value drop entries that a signal has not read yet.

    The signal has applied events up to ``offset``. For each event it reads the ``history`` entries before it.
    """
    return (
        (len(value.recent) > RECENT - history and value.recent[history - RECENT - 1].offset > offset)
        or (len(value.terms) == TERMS and value.terms[0].offset > offset)
        or (len(value.shown) == IMPRESSION_OFFSETS and value.shown[0] > offset)
    )


def _known(hashes: bytes, wanted: bytes) -> bool:
    begin = hashes.find(wanted)
    while begin >= 0 and begin % HASH_BYTES:
        begin = hashes.find(wanted, begin + 1)
    return begin >= 0


def _apply(value: UserValue, event: LoggedEvent, offset: int) -> UserValue:
    time = event.occurred_at.timestamp()
    hashed = id_hash(event.event_id)
    session = _visit(value.session, event, time)
    if event.type in _RETRACTING:
        value = _without(value, retracted(value, event))
    recent, older, seen, past, terms = value.recent, value.older, value.seen, value.past, value.terms
    if is_interaction(event):
        entry = _entry(event, offset, time, hashed, session)
        recent, older = push(recent, older, (entry,))
        seen, past = touch(seen, past, (entry,))
        terms = _gone_to(terms, entry)
    return UserValue(
        offset=offset,
        recent=recent,
        session=session,
        seen=seen,
        links=_link(value.links, event),
        counters=_count(value.counters, event.type),
        terms=_search(terms, event, offset, time, hashed),
        id_hashes=(value.id_hashes + hashed)[-DEDUPLICATION * HASH_BYTES :],
        older=older,
        past=past,
        visits=value.visits + (session.events == 1),
        shown=(*value.shown, offset)[-IMPRESSION_OFFSETS:] if event.type == "impression" else value.shown,
    )


def _apply_unlinked(value: UserValue, event: LoggedEvent, offset: int) -> UserValue:
    """Keeps what aggregates read of the event, and the hash of its id. What would say something about a person is left out."""
    return msgspec.structs.replace(_apply(value, event, offset), seen={}, past=Bloom(), older={}, terms=(), links=())


def _entry(event: LoggedEvent, offset: int, time: float, hashed: bytes, session: Session) -> Entry:
    assert event.item_id is not None
    if not (event.properties or event.context or event.recommendation_id or event.type in GROUPED):
        return Entry(offset, event.type, event.item_id, time, event.value, hashed, session.hash)
    position = event.position if event.recommendation_id is not None else None
    group, scroll = _group(event, session), _scroll(event)
    return Entry(
        offset,
        event.type,
        event.item_id,
        time,
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
        if event.properties and isinstance(group := event.properties.get(name), str):
            return id_hash(f"{name}\n{group}")
    return session.hash if event.type in GROUPED else b""


def _context(event: LoggedEvent) -> tuple[str, ...]:
    context = event.context or {}
    labels = ((name, context.get(name)) for name in DIMENSIONS)
    return tuple([f"{name}:{label}" for name, label in labels if isinstance(label, str) and 0 < len(label) <= LABEL])


def _scroll(event: LoggedEvent) -> float | None:
    share = event.properties.get("scroll") if event.properties else None
    return min(1.0, max(0.0, float(share))) if isinstance(share, int | float) else None


def _retract(value: UserValue, event: LoggedEvent, offset: int) -> UserValue:
    hashed, removed = id_hash(event.event_id), retracted(value, event)
    remaining = _without(value, removed)
    unseen = {entry.item for entry in removed} - {entry.item for entry in remembered(remaining)}
    seen = {item: time for item, time in value.seen.items() if item not in unseen}
    terms = tuple(term for term in value.terms if term.id_hash != hashed)
    return msgspec.structs.replace(remaining, offset=offset, seen=seen, terms=terms)


def _without(value: UserValue, removed: tuple[Entry, ...]) -> UserValue:
    if not removed:
        return value
    recent = tuple(entry for entry in value.recent if entry not in removed)
    remaining = {type_: tuple(e for e in entries if e not in removed) for type_, entries in value.older.items()}
    older = {type_: entries for type_, entries in remaining.items() if entries}
    return msgspec.structs.replace(value, recent=recent, older=older)


def push(
    recent: tuple[Entry, ...], older: dict[str, tuple[Entry, ...]], entries: Sequence[Entry]
) -> tuple[tuple[Entry, ...], dict[str, tuple[Entry, ...]]]:
    """Returns ``recent`` and ``older`` with these new entries, which are in order."""
    pushed = (*recent, *entries)
    for oldest in pushed[:-RECENT]:
        if oldest.type not in SHORT_LIVED and (oldest.type in older or len(older) < TYPES):
            older = {**older, oldest.type: (*older.get(oldest.type, ()), oldest)[-OLDER:]}
    return pushed[-RECENT:], older


def touch(seen: dict[str, float], past: Bloom, entries: Sequence[Entry]) -> tuple[dict[str, float], Bloom]:
    """Returns ``seen`` and ``past`` with the items of these new entries, which are in order."""
    touched = seen.copy()
    for entry in entries:
        touched.pop(entry.item, None)
        touched[entry.item] = entry.at
        if len(touched) > SEEN:
            oldest = next(iter(touched))
            del touched[oldest]
            past = bloom.add(past, oldest)
    return touched, past


def _visit(session: Session | None, event: LoggedEvent, time: float) -> Session:
    if session is None or session.id != event.session_id or abs(time - session.last) > longest_pause(session):
        return Session(event.session_id, time, time, 1, session_hash(event, time))
    last = max(time, session.last)
    return Session(session.id, session.started, last, session.events + 1, session.hash)


def _link(links: tuple[str, ...], event: LoggedEvent) -> tuple[str, ...]:
    if event.type != "identify" or event.anonymous_id is None or event.anonymous_id in links:
        return links
    return (*links, event.anonymous_id)[-LINKS:]


def _count(counters: dict[str, int], type_: str) -> dict[str, int]:
    if type_ not in counters and len(counters) >= TYPES:
        return counters
    return {**counters, type_: counters.get(type_, 0) + 1}


def _search(terms: tuple[Term, ...], event: LoggedEvent, offset: int, time: float, hashed: bytes) -> tuple[Term, ...]:
    if event.type != "search" or event.query is None:
        return terms
    return (*terms, Term(offset, event.query, time, (), hashed))[-TERMS:]


def _gone_to(terms: tuple[Term, ...], entry: Entry) -> tuple[Term, ...]:
    """Returns the searches. If the entry is attributed to the last one, its item is added to that search."""
    term = searched(terms, entry) if entry.type not in NEGATIVE else None
    if term is None or entry.item in term.items:
        return terms
    return (*terms[:-1], msgspec.structs.replace(term, items=(*term.items, entry.item)[-SEARCHED:]))
