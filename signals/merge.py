"""Merges a user's value with the values of the anonymous users that the user was before signing in."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from signals import bloom
from signals.bloom import Bloom
from signals.users import OLDER, RECENT, SEEN, SHORT_LIVED, TERMS, Entry, Session, Term, UserValue, remembered


def merge(user: UserValue, anonymous: Sequence[UserValue]) -> UserValue:
    """Returns the user's value with the histories of the anonymous users, in order of time and within the same bounds.

    ``offset``, ``links``, ``id_hashes`` and ``shown`` stay the user's own, because those of anonymous users belong to
    other partitions. An event that is in two histories counts once.
    """
    present = [value for value in anonymous if value.offset >= 0]
    if not present:
        return user
    values = [user, *present]
    entries = _entries(values)
    seen, past = _seen(values)
    return msgspec.structs.replace(
        user,
        recent=entries[-RECENT:],
        older=_older(entries[:-RECENT]),
        session=_session(values),
        seen=seen,
        past=past,
        visits=sum(value.visits for value in values),
        counters=_counters(values),
        terms=_terms(values),
    )


def _entries(values: Sequence[UserValue]) -> tuple[Entry, ...]:
    by_event = {entry.id_hash: entry for value in reversed(values) for entry in remembered(value)}
    return tuple(sorted(by_event.values(), key=lambda entry: (entry.at, entry.offset, entry.id_hash)))


def _older(entries: Sequence[Entry]) -> dict[str, tuple[Entry, ...]]:
    by_type: dict[str, tuple[Entry, ...]] = {}
    for entry in entries:
        if entry.type not in SHORT_LIVED:
            by_type[entry.type] = (*by_type.get(entry.type, ()), entry)[-OLDER:]
    return by_type


def _terms(values: Sequence[UserValue]) -> tuple[Term, ...]:
    terms = (term for value in values for term in value.terms)
    return tuple(sorted(terms, key=lambda term: (term.at, term.offset, term.query))[-TERMS:])


def _session(values: Sequence[UserValue]) -> Session | None:
    sessions = [value.session for value in values if value.session is not None]
    return max(sessions, key=lambda session: session.last, default=None)


def _seen(values: Sequence[UserValue]) -> tuple[dict[str, float], Bloom]:
    merged: dict[str, float] = {}
    for value in values:
        for item, seen_at in value.seen.items():
            merged[item] = max(seen_at, merged.get(item, seen_at))
    ordered = sorted(merged.items(), key=lambda pair: (pair[1], pair[0]))
    past = bloom.union([value.past for value in values])
    for item, _ in ordered[:-SEEN]:
        past = bloom.add(past, item)
    return dict(ordered[-SEEN:]), past


def _counters(values: Sequence[UserValue]) -> dict[str, int]:
    merged: dict[str, int] = {}
    for value in values:
        for type_, count in value.counters.items():
            merged[type_] = merged.get(type_, 0) + count
    return merged
