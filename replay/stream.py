"""A recorded stream of events: a data set in time order, and which of its events are asked for before they happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from ingest.importing.base import Importer, RowFaults
from schemas.errors import ConfigurationInvalid
from schemas.events import Event, LoggedEvent, accept
from signals.users import is_interaction

_FIRST: Final = datetime(2020, 1, 1, tzinfo=UTC)
_PACE: Final = timedelta(seconds=10)
"""Between two events of a data set without times."""


class StreamEvent(NamedTuple):
    """One event of a stream."""

    event: LoggedEvent
    at: float
    """Seconds since 1970."""
    request: bool
    """Whether it can be foreseen: the list may be asked for before it."""
    counts: bool
    """Whether it is scored; what does not count is only learned from."""


class ReplayRules(NamedTuple):
    """Which events of a data set are played, and which are asked for. The defaults suit any data set."""

    least_value: float | None = None
    """Events with a smaller value are not played."""
    first_pairs: bool = False
    """A person's later events on the same item are not played."""
    first_asked: int = 0
    """The number, from 0, of the first part of the data set (a file, a week) that is asked for."""
    same_again: bool = True
    """Whether the very item that a session was at last is asked for."""
    known_only: bool = False
    """Whether items that no earlier part of the data set had are left out where it is asked."""
    k: int = 10


REPLAY_RULES: Final = {
    "ml-100k": ReplayRules(least_value=4.0, first_pairs=True),
    "deskdrop": ReplayRules(first_pairs=True, k=20),
    "rsc15": ReplayRules(first_asked=1, known_only=True, k=20),
    "diginetica": ReplayRules(first_asked=1, same_again=False, k=20),
}
"""The published ways of asking these data sets; see their papers and ``docs/replay.md``."""


def stream(importer: Importer, rules: ReplayRules, limit: int | None = None) -> list[StreamEvent]:
    """The interactions of a data set in time order; raises ConfigurationInvalid where there are none.

    Events of the same time go by person and item, so that their order does not depend on the file's.
    """
    moments = list(_asked(_ordered(importer, rules), rules))[:limit]
    if not moments:
        raise ConfigurationInvalid(f"{importer.dataset} holds no events about items, so there is nothing to replay")
    return moments


class _RecordedEvent(NamedTuple):
    event: LoggedEvent
    part: int
    timed: bool


def _ordered(importer: Importer, rules: ReplayRules) -> list[_RecordedEvent]:
    played = [
        each
        for number, raw in enumerate(importer.events(RowFaults()))
        if _wanted(raw, rules) and (each := _played(raw, number)) is not None
    ]
    if all(each.timed for each in played):
        played.sort(key=lambda each: (each.event.occurred_at, each.event.subject, _natural(each.event.item_id or "")))
    return played


def _played(raw: Mapping[str, Any], number: int) -> _RecordedEvent | None:
    event = Event.model_validate(raw)
    logged = accept(event, event.event_id or str(number), _FIRST + number * _PACE)
    return (
        _RecordedEvent(logged, _part(logged.event_id), event.occurred_at is not None)
        if is_interaction(logged)
        else None
    )


def _wanted(raw: Mapping[str, Any], rules: ReplayRules) -> bool:
    return rules.least_value is None or (raw.get("value") is not None and raw["value"] >= rules.least_value)


def _part(event_id: str) -> int:
    """Which file of a data set an event is of, as its importer names events: ``rsc15-test-7``, ``diginetica-3-7``."""
    name = event_id.split("-")[-2] if event_id.count("-") >= 2 else ""
    return int(name) if name.isdecimal() else int(name == "test")


def _asked(played: Sequence[_RecordedEvent], rules: ReplayRules) -> Iterator[StreamEvent]:
    met: set[tuple[str, str]] = set()
    latest: dict[str, str] = {}
    known: set[str] = set()
    for event, part, _ in played:
        item, subject = event.item_id or "", event.subject
        new = (subject, item) not in met
        if rules.first_pairs and not new:
            continue
        if rules.known_only and part >= rules.first_asked and item not in known:
            continue
        # A person who is known is not shown again what they saw; a session may go back.
        request = subject in latest and (new or event.user_id is None) and (rules.same_again or latest[subject] != item)
        yield StreamEvent(event, event.occurred_at.timestamp(), request, request and part >= rules.first_asked)
        met.add((subject, item))
        latest[subject] = item
        if part < rules.first_asked:
            known.add(item)


def _natural(text: str) -> tuple[int, str]:
    """Numbers in their order, whatever their length."""
    return len(text), text
