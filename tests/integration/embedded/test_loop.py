"""The embedded loop: what is on the log counts, at once, exactly once, whatever fails meanwhile."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime

import pytest

from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite.signals import FILE as SIGNALS_FILE
from adapters.sqlite.signals import SqliteSignalStore
from nearline import metrics, partition_worker
from nearline.loop import EmbeddedLoop
from nearline.partition_worker import BATCH_RECORDS
from nearline.processor import SIGNALS
from schemas.catalogue import Upsert, decode_item, decode_profile, encode_upsert
from schemas.errors import LogUnavailable, StoreUnavailable
from schemas.keys import Signal, user_key
from schemas.log.records import LogEntry
from schemas.log.topics import EVENTS, ITEMS, USERS, partition_of
from signals import user_codec, users

ANN = partition_of(b"ann")

FOLLOW_UNTIL_KILLED = """
import sys, threading, time
from pathlib import Path
from adapters.sqlite.log import SqliteLogReader
from adapters.sqlite.signals import SqliteSignalStore
from nearline.loop import EmbeddedLoop
folder = Path(sys.argv[1])
loop = EmbeddedLoop(SqliteLogReader(folder), SqliteSignalStore(folder), lambda *_: None, time.time)
print("ready", flush=True)
loop.run(threading.Event())
"""


class FailingStore(SqliteSignalStore):
    """A store that does not answer its first commits, after or before it has made them."""

    def __init__(self, folder, failures: int, made: bool) -> None:
        super().__init__(folder)
        self.failures, self._made = failures, made

    def commit(self, *arguments) -> None:
        if self.failures:
            self.failures -= 1
            if self._made:
                super().commit(*arguments)
            raise StoreUnavailable("no answer")
        super().commit(*arguments)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(partition_worker, "FIRST_BACKOFF_SECONDS", 0.002)
    monkeypatch.setattr(partition_worker, "LAST_BACKOFF_SECONDS", 0.01)


@pytest.fixture
def append(writer):
    def append(entries, topic=EVENTS):
        return writer.append(topic, entries).result(10)

    return append


@pytest.fixture
def value(tmp_path):
    """A user's value as it stands in the store."""

    def value(user: str) -> users.UserValue:
        store = SqliteSignalStore(tmp_path)
        (data,) = store.load(partition_of(user.encode()), Signal.USERS, [user_key(user)])
        store.close()
        return user_codec.decode(data)

    return value


@pytest.fixture
def settled(tmp_path, until):
    """Waits until every signal of the events has been committed up to the log's end."""

    def settled() -> None:
        reader, store = SqliteLogReader(tmp_path), SqliteSignalStore(tmp_path)
        for (topic, partition), end in reader.ends().items():
            for signal in SIGNALS.get(topic, ()):
                until(lambda p=partition, s=signal, e=end: (f := store.fence(p, s)) is not None and f.offset == e - 1)
        reader.close()
        store.close()

    return settled


def test_what_stood_on_the_log_counts(append, click, running_loop, until, value):
    append([click(i) for i in range(5)])
    with running_loop() as loop:
        until(loop.caught_up)
        assert [entry.item for entry in value("ann").recent] == ["item0", "item1", "item2", "item3", "item4"]


def test_a_woken_loop_does_not_wait_for_its_next_look(append, click, running_loop, until, value):
    append([click(0)])
    with running_loop(poll_seconds=60) as loop:
        until(loop.caught_up)
        append([click(1)])
        loop.wake()
        until(lambda: len(value("ann").recent) == 2, seconds=5)


def test_what_another_process_writes_is_found_without_being_woken(append, click, running_loop, until, value):
    append([click(0)])
    with running_loop() as loop:
        until(loop.caught_up)
        append([click(1)])
        until(lambda: len(value("ann").recent) == 2, seconds=5)


def test_aggregates_follow_within_a_second_and_a_bit_without_new_events(append, click, running_loop, until, settled):
    append([click(0)])
    with running_loop() as loop:
        until(loop.caught_up)
        append([click(1)])
        started = time.monotonic()
        settled()
        assert time.monotonic() - started < 2


def test_a_loop_has_caught_up_only_once_aggregates_are_committed_too(append, click, running_loop, until, tmp_path):
    """More than one batch on a partition, the second within the second that aggregates wait."""
    offsets = append([click(i) for i in range(BATCH_RECORDS + 1)])
    with running_loop() as loop:
        until(loop.caught_up)
        store = SqliteSignalStore(tmp_path)
        assert store.fence(offsets[0].partition, Signal.AGGREGATES).offset == BATCH_RECORDS
        store.close()


def test_items_and_users_become_views(append, running_loop, until, tmp_path):
    def put(key: str, fields: dict) -> LogEntry:
        upsert = Upsert(id=key, op="put", fields=fields, received_at=datetime(2026, 1, 1, tzinfo=UTC))
        return LogEntry(key.encode(), encode_upsert(upsert))

    (item,) = append([put("game", {"title": "Ico"})], ITEMS)
    (person,) = append([put("ann", {"attributes": {"tongue": "de"}})], USERS)
    with running_loop() as loop:
        until(loop.caught_up)
        store = SqliteSignalStore(tmp_path)
        assert decode_item(store.load(item.partition, Signal.ITEMS, ["game"])[0]).title == "Ico"
        assert decode_profile(store.load(person.partition, Signal.PROFILES, ["ann"])[0]).attributes == {"tongue": "de"}
        store.close()


def test_a_restart_goes_on_where_it_stopped(
    append, click, running_loop, until, value, settled, kept_signals, folded_once
):
    append([click(i) for i in range(5)])
    with running_loop() as loop:
        until(loop.caught_up)
    append([click(i) for i in range(5, 9)])
    with running_loop() as loop:
        until(loop.caught_up)
        settled()
    assert [entry.offset for entry in value("ann").recent] == list(range(9))
    assert kept_signals() == folded_once()


@pytest.mark.parametrize("made", [False, True], ids=["not made", "made, but the answer is lost"])
def test_commits_that_fail_are_made_up_for_exactly(
    append, click, running_loop, settled, tmp_path, kept_signals, folded_once, made
):
    before = metrics.RETRIES.labels("StoreUnavailable")._value.get()
    append([click(i, user) for i in range(20) for user in ("ann", "bob", "cem")])
    with running_loop(store=FailingStore(tmp_path, failures=5, made=made)):
        settled()
    assert kept_signals() == folded_once()
    assert metrics.RETRIES.labels("StoreUnavailable")._value.get() == before + 5


def test_while_the_store_does_not_answer_the_loop_is_not_caught_up(append, click, running_loop, until, tmp_path):
    append([click(i) for i in range(5)])
    store = FailingStore(tmp_path, failures=1_000_000, made=False)
    with running_loop(store=store) as loop:
        until(lambda: store.failures < 999_990)
        assert not loop.caught_up()
        assert loop.lag() == 5
        store.failures = 0
        until(loop.caught_up)
        assert loop.lag() == 0


def test_a_loop_that_has_not_looked_or_has_ended_is_not_caught_up(append, click, running_loop, until, tmp_path):
    append([click(0)])
    loop = EmbeddedLoop(SqliteLogReader(tmp_path), SqliteSignalStore(tmp_path), lambda *_: None, time.time)
    assert not loop.caught_up()
    with running_loop() as ran:
        until(ran.caught_up)
    assert not ran.caught_up()


def test_what_is_no_event_is_refused_and_passed(append, click, running_loop, until, refused, value):
    tokens = append([click(0), LogEntry(b"ann", b"{not json"), click(1)])
    with running_loop() as loop:
        until(loop.caught_up)
    ((topic, offset, reason),) = refused
    assert (topic, offset) == (EVENTS, tokens[1].offset)
    assert reason.startswith("not an event")
    assert len(value("ann").recent) == 2


def test_nothing_is_passed_before_its_refusal_is_confirmed(append, click, until, tmp_path, value):
    append([click(0), LogEntry(b"ann", b"{not json"), click(1)])
    answers = iter([LogUnavailable("no answer"), LogUnavailable("no answer"), None])
    confirmed = []

    def refuse(record, reason):
        if error := next(answers):
            raise error
        confirmed.append(record.offset)

    loop = EmbeddedLoop(SqliteLogReader(tmp_path), SqliteSignalStore(tmp_path), refuse, time.time)
    loop.poll()
    assert (confirmed, loop.lag(), value("ann").recent) == ([], 3, ())
    until(lambda: not loop.poll() and loop.caught_up())
    assert confirmed == [1]
    assert len(value("ann").recent) == 2


def test_signals_of_another_log_are_rebuilt(append, click, running_loop, until, tmp_path, value, settled):
    append([click(i) for i in range(30)])
    with running_loop():
        settled()
    other = tmp_path / "other"
    anew = SqliteLogWriter(other)
    anew.append(EVENTS, [click(i, "ann", item_id="only") for i in range(2)]).result(10)
    anew.close()
    for name in (SIGNALS_FILE, f"{SIGNALS_FILE}-wal"):
        if (tmp_path / name).exists():
            shutil.copy(tmp_path / name, other / name)
    with running_loop(reader=SqliteLogReader(other), store=SqliteSignalStore(other)) as loop:
        until(loop.caught_up)
    store = SqliteSignalStore(other)
    (data,) = store.load(ANN, Signal.USERS, [user_key("ann")])
    assert [entry.item for entry in user_codec.decode(data).recent] == ["only", "only"]
    assert "pop:item0" not in dict(store.scan(ANN, Signal.AGGREGATES))
    store.close()


def test_when_an_older_copy_of_the_log_is_put_back_its_new_records_count(
    tmp_path, click, running_loop, until, settled, kept_signals, folded_once
):
    def write(numbers) -> None:
        writer = SqliteLogWriter(tmp_path)
        writer.append(EVENTS, [click(i) for i in numbers]).result(10)
        writer.close()

    write(range(10))
    shutil.copy(tmp_path / "log.sqlite", tmp_path / "copy")
    write(range(10, 30))
    with running_loop():
        settled()
    shutil.copy(tmp_path / "copy", tmp_path / "log.sqlite")
    write(range(100, 103))
    with running_loop() as loop:
        until(loop.caught_up)
        settled()
    assert kept_signals() == folded_once()


def test_after_ten_times_kill_9_under_traffic_every_value_is_exact(
    tmp_path, click, python, running_loop, settled, kept_signals, folded_once
):
    writer = SqliteLogWriter(tmp_path)
    number = 0
    for _ in range(10):
        follower = python(FOLLOW_UNTIL_KILLED, tmp_path)
        follower.stdout.readline()
        for _ in range(10):
            batch = [click(number + i, f"user{(number + i) % 13}") for i in range(40)]
            writer.append(EVENTS, batch).result(10)
            number += 40
        follower.kill()
        follower.wait()
    writer.close()
    with running_loop():
        settled()
    assert kept_signals() == folded_once()


def test_two_loops_on_one_folder_lose_and_double_nothing(
    tmp_path, append, click, running_loop, settled, kept_signals, folded_once
):
    with running_loop(), running_loop():
        for number in range(0, 600, 20):
            append([click(number + i, f"user{i % 7}") for i in range(20)])
        settled()
    assert kept_signals() == folded_once()
