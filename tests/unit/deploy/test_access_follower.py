"""Following keys in a process: from the log, and from the file when the log is dead."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable

import pytest

from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from deploy.access.follower import AccessFollower
from deploy.access.known_keys import KnownKeys, known_keys_file
from ingest.access import append_access
from schemas.access import keys
from schemas.access.scopes import Scope
from schemas.configuration.addresses import Address
from schemas.errors import LogUnavailable, TopicMissing

KEY = keys.make_key(bytes(keys.ENTROPY_BYTES), [Scope.ADMIN], 0.0)


@pytest.fixture
def writer(tmp_path):
    writer = SqliteLogWriter(tmp_path)
    yield writer
    writer.close()


@pytest.fixture
def following(tmp_path):
    started = []

    def follow(open_reader: Callable, **options) -> AccessFollower:
        follower = AccessFollower(
            open_reader, KnownKeys(tmp_path / "access.json"), time.time, poll_seconds=0.02, **options
        )
        started.append(follower)
        follower.start(5.0)
        return follower

    yield follow
    for follower in started:
        follower.stop()


def dead():
    raise LogUnavailable("nothing answers")


def eventually(holds: Callable[[], bool], seconds: float = 2.0) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


def test_a_key_counts_soon_after_it_is_made_and_no_longer_soon_after_it_is_revoked(tmp_path, writer, following):
    follower = following(lambda: SqliteLogReader(tmp_path))
    assert follower.view.is_known
    assert follower.missing() == follower.warnings() == []
    append_access(writer, [keys.key_entry(KEY.record)])
    assert eventually(lambda: follower.view.find(KEY.text) is not None)
    append_access(writer, [keys.key_entry(keys.revoke(KEY.record, 1.0))])
    assert eventually(lambda: not follower.view.keys[KEY.record.id].is_live(2.0))


def test_a_process_that_starts_while_the_log_is_dead_knows_the_keys_of_before(tmp_path, writer, following):
    append_access(writer, [keys.key_entry(KEY.record)])
    following(lambda: SqliteLogReader(tmp_path)).stop()
    follower = following(dead)
    assert follower.view.find(KEY.text) == KEY.record
    assert follower.missing() == []
    assert "not read since this process started" in follower.warnings()[0]
    assert "nothing answers" in follower.warnings()[0]


def test_without_log_and_file_nothing_is_known_and_readiness_says_so(following):
    follower = following(dead)
    assert not follower.view.is_known
    assert "every request is refused" in follower.missing()[0]


def test_only_the_owner_can_read_the_file_and_the_key_is_not_in_it(tmp_path, writer, following):
    append_access(writer, [keys.key_entry(KEY.record)])
    following(lambda: SqliteLogReader(tmp_path))
    path = tmp_path / "access.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEY.record.id in path.read_text()
    assert KEY.text not in path.read_text()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".access")] == []


def test_a_damaged_file_counts_as_none(tmp_path, following):
    (tmp_path / "access.json").write_bytes(b'{"keys": 7')
    assert not following(dead).view.is_known


def test_a_file_that_cannot_be_written_is_said_and_keys_are_followed_all_the_same(tmp_path, writer):
    (tmp_path / "in-the-way").write_text("a file, not a folder")
    known_keys = KnownKeys(tmp_path / "in-the-way" / "access.json")
    follower = AccessFollower(lambda: SqliteLogReader(tmp_path), known_keys, time.time, poll_seconds=0.02)
    follower.start(5.0)
    assert follower.view.is_known
    assert "cannot be written" in follower.warnings()[0]
    follower.stop()


def test_a_log_without_the_topic_gets_it(tmp_path, writer, following):
    made = []

    def open_reader():
        if not made:
            raise TopicMissing("no topic")
        return SqliteLogReader(tmp_path)

    follower = following(open_reader, prepare=lambda: made.append(True))
    assert eventually(lambda: follower.view.is_known)


def test_another_log_or_site_has_another_file(tmp_path):
    log = Address("kafka", "one:9092")
    paths = {
        known_keys_file(tmp_path, other) for other in (log, log._replace(location="two:9092"), log._replace(site="b"))
    }
    assert len(paths) == 3
