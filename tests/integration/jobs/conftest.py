"""A folder with a log of some hundred people's likes, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from adapters.sqlite.log import SqliteLogWriter
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def happen(tmp_path):
    """Appends likes: each person likes items of a group of ten; ``tag`` keeps event ids apart."""

    def happen(people=120, each=20, tag="a", partitions=8):
        writer = SqliteLogWriter(tmp_path, partitions)
        entries = [
            _like(f"u{n:03}", f"i{(n % 4) * 10 + k % 10:02}", f"{tag}{n}-{k}")
            for n in range(people)
            for k in range(each)
        ]
        assert all(not isinstance(token, Exception) for token in writer.append(topics.EVENTS, entries).result(30))
        writer.close()

    return happen


def _like(user, item, event_id):
    at = BEGAN + timedelta(seconds=len(event_id))
    event = LoggedEvent(event_id=event_id, type="like", user_id=user, item_id=item, occurred_at=at, received_at=at)
    return LogEntry(user.encode(), encode_event(event))
