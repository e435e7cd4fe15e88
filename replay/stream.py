"""A recorded stream of events: a data set in time order, and which of its events are targets.

A target is an event that the system has to predict: just before it, the replay requests a list, and scores the rank of the
event's item in it. Reports count the targets of a system as its questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, NamedTuple

import msgspec

from ingest.import_pipeline.base import FileRow, Importer, RowFaults
from ingest.import_pipeline.hash_set import HashSet
from ingest.import_pipeline.run import Counts, Imported
from ingest.import_pipeline.valid_events import ValidEvents
from ingest.validation.validate import Policy, policy
from schemas.errors import ConfigurationInvalid
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import decode_event
from signals.users import is_interaction

_START: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Time of the first event of a data set without times."""
_ANY_TIME: Final = datetime(9_999, 1, 1, tzinfo=UTC)
"""A time that no event is ahead of."""
_INTERVAL: Final = timedelta(seconds=10)
"""Time between two events of a data set without times."""


class StreamEvent(NamedTuple):
    """One event of a stream."""

    event: LoggedEvent
    at: float
    """Seconds since 1970."""
    may_be_target: bool
    """True if the rules of the data set allow to predict the event, in whichever part of the data set it is."""
    is_target: bool
    """True if the rank of the event's item is scored. The system learns from every event, after it is predicted."""


class ReplayRules(NamedTuple):
    """Rules that choose the events to replay and the targets. The defaults suit any data set."""

    min_value: float | None = None
    """Events with a smaller value are left out."""
    first_interactions: bool = False
    """True: of several events of one user on one item, only the first is replayed."""
    first_target_part: int = 0
    """Number, from 0, of the first part of the data set (a file, a week) that has targets."""
    repeats_are_targets: bool = True
    """False: an event on the same item as the event before it, of the same session, is no target."""
    known_items_only: bool = False
    """True: in the parts that have targets, events on items of no earlier part are left out."""
    k: int = 10
    """Cutoff of the metrics that the command prints."""


REPLAY_RULES: Final = {
    "ml-100k": ReplayRules(min_value=4.0, first_interactions=True),
    "deskdrop": ReplayRules(first_interactions=True, k=20),
    "rsc15": ReplayRules(first_target_part=1, known_items_only=True, k=20),
    "diginetica": ReplayRules(first_target_part=1, repeats_are_targets=False, k=20),
}
"""The published protocols of these data sets; ``docs/replay.md`` names the papers."""


def stream(
    importer: Importer,
    rules: ReplayRules,
    limit: int | None = None,
    *,
    now: datetime = _ANY_TIME,
    allowed: Policy = policy(),  # noqa: B008 - it is a value
    show: Callable[[Imported], None] = lambda _: None,
) -> list[StreamEvent]:
    """Returns the interactions of a data set in time order. Raises ConfigurationInvalid if there are none.

    Events of the same time are ordered by user and item, so that the order of rows in the file does not matter.
    Rows are validated as by an import at the time ``now``; ``show`` is given their counts.
    """
    faults = RowFaults()
    allowed = allowed._replace(types=allowed.types | importer.types)
    valid = ValidEvents(allowed, now, HashSet(), faults)
    recorded = list(_recorded_events(importer, valid, faults))
    events = [event for event in recorded if is_interaction(event.event) and _has_min_value(event.event, rules)]
    counts = Counts(len(recorded), valid.repeated, faults.count)
    left_out = len(recorded) - len(events)
    show(Imported(importer.dataset, {topics.EVENTS: counts}, dict(faults.reasons), faults.examples, left_out))
    if all(event.timed for event in events):
        events.sort(key=_time_subject_item)
    found = list(_stream_events(events, rules))[:limit]
    if not found:
        raise ConfigurationInvalid(f"{importer.dataset} holds no events about items, so there is nothing to replay")
    return found


class _RecordedEvent(NamedTuple):
    event: LoggedEvent
    part: int
    timed: bool


def _recorded_events(importer: Importer, valid: ValidEvents, faults: RowFaults) -> Iterator[_RecordedEvent]:
    """All valid events, in the form that the log holds. Those without times get one after the other."""
    parts = {path.name: number for number, path in enumerate(importer.paths)}
    numbers = count()
    for batch in valid.batches(importer.events(faults)):
        valid.note(batch)
        for row, entry in batch.values():
            timed = row.get("occurred_at") is not None
            received_at = _START + next(numbers) * _INTERVAL
            event = decode_event(entry.value)
            occurred_at = event.occurred_at if timed else received_at
            event = msgspec.structs.replace(event, occurred_at=occurred_at, received_at=received_at)
            yield _RecordedEvent(event, _part(row, parts), timed)


def _time_subject_item(recorded: _RecordedEvent) -> tuple[datetime, str, tuple[int, str]]:
    event = recorded.event
    return event.occurred_at, event.subject, _natural_order(event.item_id or "")


def _has_min_value(event: LoggedEvent, rules: ReplayRules) -> bool:
    return rules.min_value is None or (event.value is not None and event.value >= rules.min_value)


def _part(row: Mapping[str, Any], parts: Mapping[str, int]) -> int:
    """Returns the number of the file that an event is from."""
    return parts[row.source_line.file] if isinstance(row, FileRow) else 0


def _stream_events(recorded: Sequence[_RecordedEvent], rules: ReplayRules) -> Iterator[StreamEvent]:
    pairs: set[tuple[str, str]] = set()
    latest: dict[str, str] = {}
    known: set[str] = set()
    for event, part, _ in recorded:
        item, subject = event.item_id or "", event.subject
        new = (subject, item) not in pairs
        if rules.first_interactions and not new:
            continue
        if rules.known_items_only and part >= rules.first_target_part and item not in known:
            continue
        # The system never shows a seen item to a known user again. A session may go back to an item.
        may_be_target = subject in latest and (new or event.user_id is None)
        may_be_target = may_be_target and (rules.repeats_are_targets or latest[subject] != item)
        is_target = may_be_target and part >= rules.first_target_part
        yield StreamEvent(event, event.occurred_at.timestamp(), may_be_target, is_target)
        pairs.add((subject, item))
        latest[subject] = item
        if part < rules.first_target_part:
            known.add(item)


def _natural_order(text: str) -> tuple[int, str]:
    """Returns a sort key by which ids that are numbers sort by value."""
    return len(text), text
