"""What must be stored, computed from the acknowledged events and the log alone; pure.

It shares no code with the folds of Freshet, so an error in a fold shows here. ``nearline.recovery.verify`` compares the bytes of all
values with a fold of the log besides. The counts hold for users who only do PLAIN_TYPES: these are never taken back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

PLAIN_TYPES = ("view", "click", "like", "cart", "purchase")
PLAIN = "plain-"
"""Prefix of users and items whose events are counted here."""

Counts = Counter[tuple[str, str]]


class LogEvent(NamedTuple):
    """One event as the log has it; the same id may stand there several times."""

    event_id: str
    user: str
    item: str
    type: str


class Expected(NamedTuple):
    """The counts that must be stored, by subject and type."""

    users: Counts
    items: Counts


class Compared(NamedTuple):
    """The number of events that are lost and of those that count more than once."""

    lost: int
    doubled: int
    examples: tuple[str, ...] = ()


def expected(logged: Iterable[LogEvent]) -> Expected:
    """Returns the counts of the plain users: each id of a user counts once, however often the log has it."""
    distinct = {(event.user, event.event_id): event for event in logged if event.user.startswith(PLAIN)}
    return Expected(
        Counter((event.user, event.type) for event in distinct.values()),
        Counter((event.item, event.type) for event in distinct.values()),
    )


def compare(acknowledged: Iterable[str], logged: Iterable[LogEvent], stored: Expected) -> Compared:
    """Returns the acknowledged events that the log or the signals lack, and the events that the signals count twice."""
    events = list(logged)
    unlogged = set(acknowledged) - {event.event_id for event in events}
    wanted = expected(events)
    missing = [_surplus(wanted.users, stored.users), _surplus(wanted.items, stored.items)]
    surplus = [_surplus(stored.users, wanted.users), _surplus(stored.items, wanted.items)]
    examples = [f"{event_id} is not on the log" for event_id in sorted(unlogged)[:3]]
    examples += [f"{key} misses {count}" for counts in missing for key, count in counts.most_common(3)]
    examples += [f"{key} has {count} too many" for counts in surplus for key, count in counts.most_common(3)]
    # One event stands in both views, so the larger one is the number of events.
    lost = len(unlogged) + max(counts.total() for counts in missing)
    return Compared(lost, max(counts.total() for counts in surplus), tuple(examples))


def _surplus(counts: Mapping[tuple[str, str], int], other: Mapping[tuple[str, str], int]) -> Counts:
    return Counter({key: count - other.get(key, 0) for key, count in counts.items() if count > other.get(key, 0)})
