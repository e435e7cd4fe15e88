"""Several values of one person read as one: a user and the guests that the user was."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from signals.users import RECENT, SEEN, TERMS, Entry, Session, Term, UserValue


def merge(user: UserValue, guests: Sequence[UserValue]) -> UserValue:
    """The user's value with the guests' histories in it, ordered by time and bounded as ever.

    ``offset``, ``links`` and ``id_hashes`` stay the user's own: the guests' stand on other partitions. An event
    that is in two histories counts once.
    """
    present = [guest for guest in guests if guest.offset >= 0]
    if not present:
        return user
    values = [user, *present]
    return msgspec.structs.replace(
        user,
        recent=_recent(values),
        session=_session(values),
        seen=_seen(values),
        counters=_counters(values),
        terms=_terms(values),
    )


def _recent(values: Sequence[UserValue]) -> tuple[Entry, ...]:
    by_event = {entry.id_hash: entry for value in reversed(values) for entry in value.recent}
    return tuple(sorted(by_event.values(), key=lambda entry: (entry.at, entry.offset, entry.id_hash))[-RECENT:])


def _terms(values: Sequence[UserValue]) -> tuple[Term, ...]:
    terms = (term for value in values for term in value.terms)
    return tuple(sorted(terms, key=lambda term: (term.at, term.offset, term.query))[-TERMS:])


def _session(values: Sequence[UserValue]) -> Session | None:
    sessions = [value.session for value in values if value.session is not None]
    return max(sessions, key=lambda session: session.last, default=None)


def _seen(values: Sequence[UserValue]) -> dict[str, float]:
    merged: dict[str, float] = {}
    for value in values:
        for item, at in value.seen.items():
            merged[item] = max(at, merged.get(item, at))
    newest = sorted(merged.items(), key=lambda pair: (pair[1], pair[0]))[-SEEN:]
    return dict(newest)


def _counters(values: Sequence[UserValue]) -> dict[str, int]:
    merged: dict[str, int] = {}
    for value in values:
        for kind, count in value.counters.items():
            merged[kind] = merged.get(kind, 0) + count
    return merged
