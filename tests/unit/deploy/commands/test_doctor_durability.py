"""The doctor's checks of snapshots and archive, each on what it is handed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from deploy.commands.checks import durability
from schemas.errors import SnapshotsUnavailable
from schemas.ports import ArchivedRange


class Log:
    """A log of one partition; each topic holds so many records."""

    def __init__(self, **ends: int) -> None:
        self.ends = {"events": 0, "items": 0, "users": 0, **ends}

    def log_id(self, _topic):
        return "log"

    def partitions(self, _topic):
        return 1

    def bounds(self, topic, _partition):
        return 0, self.ends[topic]


class Snapshots:
    name = "/snapshots"

    def __init__(self, **found) -> None:
        self.found = found

    def snapshots(self, topic, _partition):
        return self.found.get(topic, [])


def snapshot(created_at: float, next_offset: int, log_id: str = "log"):
    return SimpleNamespace(log_id=log_id, created_at=created_at, next_offset=next_offset)


@pytest.mark.parametrize(
    ("found", "state", "says"),
    [
        ([snapshot(900.0, 10)], "ok", "1 at /snapshots"),
        ([snapshot(-9_000.0, 10)], "ok", "recent"),
        ([snapshot(-9_000.0, 9), snapshot(-9_900.0, 5)], "note", "167 minutes old"),
        ([], "note", "1 partitions have none"),
        ([snapshot(900.0, 10, "another log")], "note", "1 partitions have none"),
    ],
)
def test_a_changed_partition_needs_a_recent_snapshot_of_this_log(found, state, says):
    check = durability.snapshots(Log(events=10), Snapshots(events=found), interval=900.0, now=1_000.0)
    assert (check.state, says in check.found) == (state, True)


def test_no_place_for_snapshots_is_a_note_and_a_silent_one_is_broken():
    settings = SimpleNamespace(snapshot_minutes=15.0)
    archive = SimpleNamespace(ranges=lambda _: [])
    without = SimpleNamespace(snapshots=None, reader=Log(), archive=archive)
    [check, _] = durability.of_cluster(without, settings, 0.0)
    assert (check.state, "FRESHET_SNAPSHOTS" in check.advice) == ("note", True)

    def away(*_):
        raise SnapshotsUnavailable("the bucket is away")

    silent = SimpleNamespace(snapshots=SimpleNamespace(name="s3://b", snapshots=away), reader=Log(), archive=archive)
    [check, _] = durability.of_cluster(silent, settings, 0.0)
    assert (check.state, check.found) == ("broken", "the bucket is away")


@pytest.mark.parametrize(("archived", "state"), [([], "note"), ([(0, 10)], "ok"), ([(0, 7)], "ok")])
def test_an_archive_without_any_record_of_the_log_is_a_note(archived, state):
    ranges = [ArchivedRange("log", 0, begin, end) for begin, end in archived]
    archive = SimpleNamespace(ranges=lambda topic: ranges if topic == "events" else [])
    assert durability.archive(Log(events=10), archive).state == state


def test_an_archive_far_behind_is_a_note():
    archive = SimpleNamespace(ranges=lambda topic: [ArchivedRange("log", 0, 0, 5)] if topic == "events" else [])
    check = durability.archive(Log(events=200_005), archive)
    assert (check.state, "200,000" in check.found) == ("note", True)


@pytest.mark.parametrize(
    ("archived", "state", "says"), [(0, "note", "in 1 partitions (0)"), (7, "ok", "after 30 days")]
)
def test_idle_guests_stay_where_the_archive_lacks_the_first_events(archived, state, says):
    archive = SimpleNamespace(complete_end=lambda *_: archived)
    check = durability.idle_guests(Log(events=10), archive, 30)
    assert (check.state, says in check.found) == (state, True)


def test_a_partition_without_events_needs_no_archive():
    assert durability.idle_guests(Log(), SimpleNamespace(complete_end=lambda *_: 0), 30).state == "ok"
