"""``exp`` counters: an item's impressions and the responses to them, by position in the list.

An ``impression`` event names the items shown, in order, from its ``position`` on. A response is an interaction that names
the ``recommendation_id`` and the ``position`` of an impression. A retracted response no longer counts, but its impression
does.

Serving reads clicks over expected clicks: a position examined half as often as the first counts half an impression
(Zhang, Jones, "Comparing click logs and editorial labels for training query rewriting", QLWA at WWW 2007).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from schemas.events import LoggedEvent
from signals.counters import AggregateKind, Changes, Retraction, Transition
from signals.decay import DAY, add_to, summed, take_from, value_at
from signals.users import NEGATIVE, TYPES, Entry

HALF_LIFE: Final = 14 * DAY
BEGINS: Final = (0, 1, 2, 3, 4, 5, 10, 20)
"""First position of each bucket of positions."""
LONGEST: Final = 100
"""Limit of the items of one impression that are counted."""
IMPRESSION: Final = "impression"
"""Event type of an impression, and the type under which it is counted."""


class ExposureCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item's decayed counts in log space (HALF_LIFE) by ``type:bucket``. At most TYPES * 8 names are counted."""

    counts: dict[str, float] = {}


def collect(transitions: Iterable[Transition], changes: Changes) -> None:
    """Adds each impression to the items that it shows, and each response to its item, until it is retracted."""
    for transition in transitions:
        for removed in transition.retracted:
            if removed.position is not None:
                changes[removed.item].append(Retraction(_response(removed)))
        entry, event = transition.entry, transition.event
        if entry is not None:
            if entry.position is not None and entry.type not in NEGATIVE:
                changes[entry.item].append(_response(entry))
        elif event.type == IMPRESSION and transition.offset in transition.shown:
            _show(event, changes)


def fold(counters: ExposureCounters, changes: Sequence[tuple[str, float] | Retraction]) -> ExposureCounters:
    """Returns the counters after pairs of ``type:bucket`` and time in half-lives are added or retracted."""
    counts = counters.counts.copy()
    for change in changes:
        if isinstance(change, Retraction):
            take_from(counts, (change.change,))
        elif change[0] in counts or len(counts) < TYPES * len(BEGINS):
            add_to(counts, (change,))
    return ExposureCounters(counts)


def merge(counters: Sequence[ExposureCounters], _: Mapping[str, float]) -> dict[str, float]:
    """Returns one item's decayed counts in log space (HALF_LIFE) by ``type:bucket``."""
    return summed(partition.counts for partition in counters)


KIND: Final = AggregateKind("exp", ExposureCounters(), collect, fold, merge)


def by_bucket(counts: Mapping[str, float], weights: Mapping[str, float], now: float) -> list[float]:
    """Returns the values of counts at ``now`` (seconds), weighted by type: one sum for each bucket of BEGINS."""
    sums = [0.0] * len(BEGINS)
    for name, count in counts.items():
        type_, _, bucket = name.partition(":")
        if weight := weights.get(type_, 0.0):
            sums[int(bucket)] += weight * value_at(count, HALF_LIFE, now)
    return sums


def _show(event: LoggedEvent, changes: Changes) -> None:
    items = event.impression or ([event.item_id] if event.item_id else [])
    amount = event.occurred_at.timestamp() / HALF_LIFE
    for position, item in enumerate(items[:LONGEST], start=event.position or 0):
        changes[item].append((_name(IMPRESSION, position), amount))


def _response(entry: Entry) -> tuple[str, float]:
    return _name(entry.type, entry.position or 0), entry.at / HALF_LIFE


def _name(type_: str, position: int) -> str:
    return f"{type_}:{bisect_right(BEGINS, position) - 1}"
