"""``exp`` cells: how often an item was shown, and what that led to, by place in the list.

An ``impression`` event says what was shown, in order, from its ``position`` on; an interaction that names its
``recommendation_id`` and ``position`` answers it. What is taken back is no answer any longer; what was shown stays.

Read as clicks over expected clicks: a place that is looked at half as often as the first counts half an impression
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
"""First places of the buckets that places are counted by."""
LONGEST: Final = 100
"""Items of one impression that are counted."""
SHOWN: Final = "impression"


class ExposureCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item's decayed counts in log space (HALF_LIFE) by ``type:bucket``; of answers the first TYPES * 8 of these."""

    counts: dict[str, float] = {}


def gather(transitions: Iterable[Transition], changes: Changes) -> None:
    """An impression counts at each item that it shows. An answer counts at its item, until its entry is retracted."""
    for transition in transitions:
        for removed in transition.retracted:
            if removed.position is not None:
                changes[removed.item].append(Retraction(_answer(removed)))
        entry, event = transition.entry, transition.event
        if entry is not None:
            if entry.position is not None and entry.type not in NEGATIVE:
                changes[entry.item].append(_answer(entry))
        elif event.type == SHOWN and transition.offset in transition.shown:
            _show(event, changes)


def fold(cell: ExposureCounters, by: Sequence[tuple[str, float] | Retraction]) -> ExposureCounters:
    """Pairs of ``type:bucket`` and time in half-lives count, those that are gone no longer."""
    counts = cell.counts.copy()
    for each in by:
        if isinstance(each, Retraction):
            take_from(counts, (each.by,))
        elif each[0] in counts or len(counts) < TYPES * len(BEGINS):
            add_to(counts, (each,))
    return ExposureCounters(counts)


def merge(counters: Sequence[ExposureCounters], _: Mapping[str, float]) -> dict[str, float]:
    """Returns one item's decayed counts in log space (HALF_LIFE) by ``type:bucket``."""
    return summed(partition.counts for partition in counters)


KIND: Final = AggregateKind("exp", ExposureCounters(), gather, fold, merge)


def by_bucket(counts: Mapping[str, float], weights: Mapping[str, float], now: float) -> list[float]:
    """What counts are worth at ``now`` (seconds), summed over types by their weights; one figure a bucket of BEGINS."""
    found = [0.0] * len(BEGINS)
    for name, count in counts.items():
        kind, _, bucket = name.partition(":")
        if weight := weights.get(kind, 0.0):
            found[int(bucket)] += weight * value_at(count, HALF_LIFE, now)
    return found


def _show(event: LoggedEvent, changes: Changes) -> None:
    items = event.impression or ([event.item_id] if event.item_id else [])
    at = event.occurred_at.timestamp() / HALF_LIFE
    for place, item in enumerate(items[:LONGEST], start=event.position or 0):
        changes[item].append((_name(SHOWN, place), at))


def _answer(entry: Entry) -> tuple[str, float]:
    return _name(entry.type, entry.position or 0), entry.at / HALF_LIFE


def _name(kind: str, place: int) -> str:
    return f"{kind}:{bisect_right(BEGINS, place) - 1}"
