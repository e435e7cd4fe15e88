"""A recorded stream of events: a data set in time order, and which of its events are queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from ingest.import_pipeline.base import Importer, RowFaults
from schemas.errors import ConfigurationInvalid
from schemas.events import Event, LoggedEvent, accept
from signals.users import is_interaction

_START: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Time of the first event of a data set without times."""
_INTERVAL: Final = timedelta(seconds=10)
"""Time between two events of a data set without times."""


class StreamEvent(NamedTuple):
    """One event of a stream."""

    event: LoggedEvent
    at: float
    """Seconds since 1970."""
    predictable: bool
    """True if a list requested just before the event may hold its item."""
    scored: bool
    """True if the event is a query, whose rank is scored. The system learns from the other events only."""


class ReplayRules(NamedTuple):
    """Which events of a data set are replayed, and which are queries. The defaults suit any data set."""

    least_value: float | None = None
    """Events with a smaller value are left out."""
    first_pairs: bool = False
    """True: of the events of one user on one item, only the first is replayed."""
    first_scored: int = 0
    """Number, from 0, of the first part of the data set (a file, a week) whose events are queries."""
    same_again: bool = True
    """False: an event on the item that the session was at just before is no query."""
    known_only: bool = False
    """True: in the scored parts, events on items that no earlier part has are left out."""
    k: int = 10
    """The cutoff of the metrics that are shown."""


REPLAY_RULES: Final = {
    "ml-100k": ReplayRules(least_value=4.0, first_pairs=True),
    "deskdrop": ReplayRules(first_pairs=True, k=20),
    "rsc15": ReplayRules(first_scored=1, known_only=True, k=20),
    "diginetica": ReplayRules(first_scored=1, same_again=False, k=20),
}
"""The published protocols of these data sets; ``docs/replay.md`` names the papers."""


def stream(importer: Importer, rules: ReplayRules, limit: int | None = None) -> list[StreamEvent]:
    """The interactions of a data set in time order; raises ConfigurationInvalid where there are none.

    Events of the same time are ordered by user and item, so that the order of the file does not matter.
    """
    events = list(_stream_events(_recorded_events(importer, rules), rules))[:limit]
    if not events:
        raise ConfigurationInvalid(f"{importer.dataset} holds no events about items, so there is nothing to replay")
    return events


class _RecordedEvent(NamedTuple):
    event: LoggedEvent
    part: int
    timed: bool


def _recorded_events(importer: Importer, rules: ReplayRules) -> list[_RecordedEvent]:
    recorded = [
        event
        for number, raw in enumerate(importer.events(RowFaults()))
        if _has_least_value(raw, rules) and (event := _recorded(raw, number)) is not None
    ]
    if all(event.timed for event in recorded):
        recorded.sort(key=_time_subject_item)
    return recorded


def _time_subject_item(recorded: _RecordedEvent) -> tuple[datetime, str, tuple[int, str]]:
    event = recorded.event
    return event.occurred_at, event.subject, _natural_order(event.item_id or "")


def _recorded(raw: Mapping[str, Any], number: int) -> _RecordedEvent | None:
    """The event as the log would have it; None if it is no interaction."""
    event = Event.model_validate(raw)
    logged = accept(event, event.event_id or str(number), _START + number * _INTERVAL)
    if not is_interaction(logged):
        return None
    return _RecordedEvent(logged, _part(logged.event_id), event.occurred_at is not None)


def _has_least_value(raw: Mapping[str, Any], rules: ReplayRules) -> bool:
    return rules.least_value is None or (raw.get("value") is not None and raw["value"] >= rules.least_value)


def _part(event_id: str) -> int:
    """The file of a data set that an event is from, by the importer's event ids: ``rsc15-test-7``, ``diginetica-3-7``."""
    name = event_id.split("-")[-2] if event_id.count("-") >= 2 else ""
    return int(name) if name.isdecimal() else int(name == "test")


def _stream_events(recorded: Sequence[_RecordedEvent], rules: ReplayRules) -> Iterator[StreamEvent]:
    pairs: set[tuple[str, str]] = set()
    latest: dict[str, str] = {}
    known: set[str] = set()
    for event, part, _ in recorded:
        item, subject = event.item_id or "", event.subject
        new = (subject, item) not in pairs
        if rules.first_pairs and not new:
            continue
        if rules.known_only and part >= rules.first_scored and item not in known:
            continue
        # A known user is not shown seen items again; a session may go back to an item.
        predictable = subject in latest and (new or event.user_id is None)
        predictable = predictable and (rules.same_again or latest[subject] != item)
        yield StreamEvent(event, event.occurred_at.timestamp(), predictable, predictable and part >= rules.first_scored)
        pairs.add((subject, item))
        latest[subject] = item
        if part < rules.first_scored:
            known.add(item)


def _natural_order(text: str) -> tuple[int, str]:
    """Sorts numbers by their value, whatever their length."""
    return len(text), text
