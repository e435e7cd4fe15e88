"""Transitions of one user, as the aggregates get them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from schemas.events import LoggedEvent
from signals import aggregates, users
from signals.aggregates import Counters
from signals.counters import transition

TODAY = datetime(2026, 11, 23, tzinfo=UTC)


def an_event(item: str | None = "a", kind: str = "click", seconds: float = 0.0, **fields) -> LoggedEvent:
    at = TODAY + timedelta(seconds=seconds)
    given = {"event_id": f"{item}-{kind}-{seconds}", "user_id": "ann"} | fields
    return LoggedEvent(type=kind, item_id=item, occurred_at=at, received_at=TODAY, **given)


class Partition:
    """Cells as the events of a partition leave them, each read and written anew where ``stored``."""

    def __init__(self, *events: LoggedEvent, stored: bool = False) -> None:
        self.cells: dict[str, Counters] = {}
        self.values: dict[str, users.UserValue] = {}
        self.offset = 0
        self.stored = stored
        for each in events:
            self.happen(each)

    def happen(self, event: LoggedEvent) -> dict[str, Counters]:
        """Fold one event; gives the cells that changed."""
        before = self.values.get(event.subject, users.EMPTY)
        after = self.values[event.subject] = users.fold(before, event, self.offset)
        changed = aggregates.fold(self.cells, [transition(before, after, event, self.offset)])
        self.cells.update(changed)
        if self.stored:
            self.cells = {key: aggregates.decode(key, aggregates.encode(cell)) for key, cell in self.cells.items()}
        self.offset += 1
        return changed

    def bytes(self) -> dict[str, bytes]:
        """Every cell as it is stored."""
        return {key: aggregates.encode(cell) for key, cell in self.cells.items()}

    def of(self, kind: str) -> dict[str, Counters]:
        """The cells of one kind, by what they are about."""
        return {key.partition(":")[2]: cell for key, cell in self.cells.items() if key.startswith(f"{kind}:")}


@pytest.fixture(scope="session")
def partition() -> type[Partition]:
    return Partition


@pytest.fixture(scope="session")
def say() -> Callable[..., LoggedEvent]:
    return an_event
