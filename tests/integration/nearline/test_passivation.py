"""Values of idle guests are let go, and come back as if they had never been away."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from nearline import signal_state
from nearline.cluster.assignment import Assignment
from nearline.partition_worker import WorkerDependencies
from nearline.passivation.guest_records import GuestRecords
from nearline.passivation.passivator import Passivation
from nearline.processor import processor_for
from nearline.recovery.in_memory_store import InMemorySignalStore
from nearline.recovery.rebuild import rebuild
from nearline.recovery.verify import verify
from schemas.errors import ArchiveDamaged, StoreUnavailable
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import Record
from schemas.values.passivated import is_bucket_key
from signals import user_codec

START = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = (topics.EVENTS, 0)
IDLE_DAYS = 30


class ListArchive:
    """The archive of partition 0 of the events, up to an offset."""

    def __init__(self, log) -> None:
        self.log, self.end, self.away, self.reads = log, 0, False, []
        self.damaged = None

    def complete_end(self, topic, log_id, partition, day=None):
        records = self._records(0, self.end)
        if day is None:
            return self.end
        at_days = [datetime.fromtimestamp(record.timestamp_ms / 1_000, UTC).date() for record in records]
        return next((number for number, at in enumerate(at_days) if at >= day), self.end)

    def read(self, topic, log_id, partition, begin, end, keys=None):
        if self.away:
            raise OSError("the archive is away")
        self.reads.append(keys)
        return self._read(begin, min(end, self.end), keys)

    def _read(self, begin, end, keys):
        for record in self._records(begin, end):
            if self.damaged and self.damaged[0] <= record.offset < self.damaged[1]:
                raise ArchiveDamaged("events.parquet", *self.damaged, "magic bytes")
            if keys is None or record.key in keys:
                yield record

    def _records(self, begin, end):
        return self.log.records.get(PLACE, [])[begin:end]


class Site:
    """A worker of partition 0 of the events over the log and the store of ``hands``. A test says which day it is."""

    def __init__(self, hands, idle_days: int = IDLE_DAYS) -> None:
        self.hands, self.archive, self.idle_days, self.day = hands, ListArchive(hands.log), idle_days, 0
        self.start()

    def start(self) -> None:
        """Starts a worker, as a process does that replaces an earlier one."""
        records = GuestRecords(self.archive, lambda: self.hands.log)
        self.assignment = Assignment(
            WorkerDependencies(
                self.hands.log,
                self.hands.store,
                self.hands.refuse,
                self.hands.read_archive,
                self.hands.time,
                passivation=Passivation(records, self.idle_days),
            )
        )
        self.assignment.assign({PLACE})

    def add(self, type_: str, item: str | None = "item1", key: bytes | None = None, **fields) -> int:
        """Puts an event on the log. Returns its offset."""
        records = self.hands.log.records.setdefault(PLACE, [])
        at = START + timedelta(days=self.day, seconds=len(records))
        fields = {"event_id": f"e{len(records)}", **fields}
        event = LoggedEvent(type=type_, item_id=item, occurred_at=at, received_at=at, **fields)
        own = (event.user_id or event.anonymous_id or event.session_id or "").encode()
        record = Record(*PLACE, len(records), int(at.timestamp() * 1_000), key or own, encode_event(event))
        records.append(record)
        return record.offset

    def archive_all(self) -> None:
        self.archive.end = len(self.hands.log.records.get(PLACE, []))

    def settle(self) -> None:
        """Polls until the log is applied and the values were looked through. Guests come back in a thread."""
        until, quiet = time.monotonic() + 20.0, 0
        while quiet < 8:
            assert time.monotonic() < until, "the worker has not caught up"
            self.hands.now += 2.0
            for worker in self.assignment.workers:
                worker.target = self.hands.log.bounds(*PLACE)[1]
            self.assignment.poll()
            quiet = quiet + 1 if all(worker.caught_up() for worker in self.assignment.workers) else 0
            if not quiet:
                time.sleep(0.0005)

    def pass_days(self, days: int) -> None:
        """Lets days pass on the log: what was archived, and what a busy user does on the last of them."""
        self.archive_all()
        self.day += days
        for _ in range(2):  # the values are looked through after the first, and let go with the second
            self.add("view", user_id="busy")
            self.settle()

    def values(self) -> dict[str, bytes]:
        return {key: value for key, value in self.hands.store.scan(0, "users") if not is_bucket_key(key)}

    def let_go(self) -> set[str]:
        return self.folded()["users"].keys() - self.values().keys()

    def folded(self) -> dict[str, dict[str, bytes]]:
        """Every value as one fold of the log gives it, without letting anybody go."""
        store = InMemorySignalStore()
        processor = processor_for(topics.EVENTS, 0, self.hands.log.id, store, lambda *_: None)
        processor.resume()
        processor.process(self.hands.log.records.get(PLACE, []), 0.0)
        processor.flush(0.0)
        return {signal: dict(store.scan(0, signal)) for signal in ("users", "aggregates")}

    def stored(self) -> dict[str, dict[str, bytes]]:
        """Every stored value, with the buckets of guests who are away."""
        stored = {signal: dict(self.hands.store.scan(0, signal)) for signal in ("users", "aggregates")}
        return {**stored, "users": {key: user_codec.whole(data) for key, data in stored["users"].items()}}

    def equal(self) -> bool:
        return verify(self.hands.log, self.hands.store, [topics.EVENTS]).equal


@pytest.fixture
def site(hands) -> Site:
    """A site with a user, a guest and a session without a user."""
    site = Site(hands)
    site.add("like", user_id="ann")
    site.add("like", anonymous_id="gus")
    site.add("search", None, anonymous_id="gus", query="boots")
    site.add("view", "item2", session_id="s1")
    site.settle()
    return site


def test_values_of_idle_guests_and_sessions_are_let_go_and_those_of_users_stay(site):
    site.pass_days(IDLE_DAYS + 1)
    assert site.let_go() == {"a:gus", "s:s1"}
    assert site.equal()


def test_a_guest_with_an_event_within_the_days_stays(site):
    site.pass_days(IDLE_DAYS - 5)
    site.add("view", "item3", anonymous_id="gus")
    site.settle()
    site.pass_days(10)
    assert site.let_go() == {"s:s1"}


def test_a_guest_who_returns_has_the_value_that_would_have_been_there(site):
    site.pass_days(IDLE_DAYS + 1)
    site.add("view", "item3", anonymous_id="gus")
    site.add("view", "item4", anonymous_id="gus")
    site.settle()
    assert site.let_go() == {"s:s1"}
    site.add("view", "item5", session_id="s1")
    site.settle()
    assert site.stored() == site.folded()
    assert site.archive.reads == [{b"gus"}, {b"s1"}]


def test_a_guest_whose_value_was_stored_in_two_parts_returns_whole(site, monkeypatch):
    monkeypatch.setattr(signal_state, "TAIL_FROM_BYTES", 1)
    for item in ("item4", "item5", "item6"):
        site.add("view", item, anonymous_id="gus")
        site.settle()
    site.pass_days(IDLE_DAYS + 1)
    assert site.let_go() == {"a:gus", "s:s1"}
    for item in ("item7", "item8"):
        site.add("view", item, anonymous_id="gus")
        site.add("view", item, session_id="s1")
        site.settle()
    assert site.stored() == site.folded()
    site.start()  # what is stored is read by a worker without memory
    site.add("view", "item9", anonymous_id="gus")
    site.settle()
    assert site.stored() == site.folded()


def test_all_guests_of_one_batch_come_back_with_one_pass(site):
    site.pass_days(IDLE_DAYS + 1)
    site.add("view", "item3", anonymous_id="gus")
    site.add("view", "item5", session_id="s1")
    site.settle()
    assert site.archive.reads == [{b"gus", b"s1"}]
    assert site.stored() == site.folded()


def test_an_event_between_the_look_and_the_commit_keeps_the_value(site):
    site.archive_all()
    site.day += IDLE_DAYS + 1
    site.add("view", user_id="busy")
    site.settle()
    site.add("view", "item3", anonymous_id="gus")
    site.settle()
    assert site.let_go() == {"s:s1"}
    assert site.archive.reads == []


def test_nobody_is_let_go_whom_the_aggregates_have_not_counted(hands):
    site, commit = Site(hands), hands.store.commit
    site.add("like", anonymous_id="gus")
    site.settle()

    def without_aggregates(partition, signal, *rest):
        if signal == "aggregates":
            raise StoreUnavailable("away")
        commit(partition, signal, *rest)

    hands.store.commit = without_aggregates
    site.add("view", "item3", anonymous_id="gus")
    site.archive_all()
    for _ in range(2):
        site.day += IDLE_DAYS + 1
        site.add("view", user_id="busy")
        for worker in site.assignment.workers:
            worker.target = hands.log.bounds(*PLACE)[1]
        for _ in range(20):
            hands.now += 2.0
            site.assignment.poll()
    assert hands.applied() > hands.applied("aggregates")
    assert site.let_go() == set()
    hands.store.commit = commit
    site.settle()
    assert site.stored() == site.folded()


def test_nothing_is_let_go_by_default(hands):
    site = Site(hands, idle_days=0)
    site.add("like", anonymous_id="gus")
    site.settle()
    site.pass_days(400)
    assert site.let_go() == set()


def test_guests_come_back_after_the_setting_was_turned_off(site):
    site.pass_days(IDLE_DAYS + 1)
    site.idle_days = 0
    site.start()
    site.add("view", "item3", anonymous_id="gus")
    site.add("view", "item5", session_id="s1")
    site.settle()
    assert site.stored() == site.folded()


def test_nothing_is_let_go_that_is_not_in_the_archive(site):
    site.archive.end = 2
    site.day += IDLE_DAYS + 1
    for _ in range(2):
        site.add("view", user_id="busy")
        site.settle()
    assert site.let_go() == set()  # the newest record of gus is not archived


def test_a_log_without_an_archive_keeps_every_guest_and_says_why(site, capsys):
    assert "freshet archive" not in capsys.readouterr().out
    site.day += IDLE_DAYS + 1
    site.add("view", user_id="busy")
    site.settle()
    assert site.let_go() == set()
    assert "freshet archive" in capsys.readouterr().out


def test_records_that_left_the_archive_are_read_from_the_log(site):
    site.pass_days(IDLE_DAYS + 1)
    site.archive.end = 1
    site.add("view", "item3", anonymous_id="gus")
    site.add("view", "item5", session_id="s1")
    site.settle()
    assert site.stored() == site.folded()


def test_a_producer_whose_keys_are_not_ids_costs_a_second_pass(hands):
    site = Site(hands)
    site.add("like", anonymous_id="gus", key=b"elsewhere")
    site.add("view", "item2", anonymous_id="gus")
    site.settle()
    site.pass_days(IDLE_DAYS + 1)
    site.add("view", "item3", anonymous_id="gus")
    site.settle()
    assert site.stored() == site.folded()
    assert site.archive.reads == [{b"gus"}, None]


def test_an_archive_that_is_away_makes_the_partition_wait_and_loses_nothing(site):
    site.pass_days(IDLE_DAYS + 1)
    site.archive.away = True
    site.add("view", "item3", anonymous_id="gus")
    site.add("view", "item3", user_id="ann")
    for worker in site.assignment.workers:
        worker.target += 2
    for _ in range(50):
        site.hands.now += 2.0
        site.assignment.poll()
        time.sleep(0.001)
    assert site.let_go() == {"a:gus", "s:s1"}
    site.archive.away = False
    site.add("view", "item5", session_id="s1")
    site.settle()
    assert site.stored() == site.folded()


@pytest.mark.parametrize("damaged", [(0, 1), (1, 3), (0, 10_000)])
def test_the_records_of_a_damaged_file_of_the_archive_are_read_from_the_log(site, damaged):
    site.pass_days(IDLE_DAYS + 1)
    site.archive.damaged = damaged
    counted = REGISTRY.get_sample_value("freshet_archive_damaged_total")
    site.add("view", "item3", anonymous_id="gus")
    site.add("view", "item5", session_id="s1")
    site.settle()
    assert site.stored() == site.folded()
    assert REGISTRY.get_sample_value("freshet_archive_damaged_total") > counted


def test_a_guest_comes_back_with_what_is_left_if_archive_and_log_have_lost_records(site, capsys):
    site.pass_days(IDLE_DAYS + 1)
    site.archive.damaged = (0, site.archive.end - 1)
    site.hands.log.begin[PLACE] = site.archive.end - 1
    site.add("view", "item3", anonymous_id="gus")
    site.settle()
    value = user_codec.decode(site.values()["a:gus"])
    assert [entry.item for entry in value.recent] == ["item3"]
    output = capsys.readouterr().out
    assert "events.parquet is damaged" in output
    assert "returned_guests_differ" in output


def test_a_worker_that_dies_while_a_guest_comes_back_leaves_it_to_the_next(site):
    site.pass_days(IDLE_DAYS + 1)
    site.add("view", "item3", anonymous_id="gus")
    site.add("view", "item5", session_id="s1")
    for worker in site.assignment.workers:
        worker.target += 2
    site.hands.now += 2.0
    site.assignment.poll()
    assert site.let_go() == {"a:gus", "s:s1"}
    site.start()
    site.settle()
    assert site.stored() == site.folded()


def test_a_guest_who_is_forgotten_while_away_does_not_come_back(site):
    site.pass_days(IDLE_DAYS + 1)
    site.add("forget", None, anonymous_id="gus")
    site.settle()
    assert not any(b"gus" in value for value in site.values().values())
    site.add("view", "item9", anonymous_id="gus")
    site.add("view", "item5", session_id="s1")
    site.settle()
    assert site.stored() == site.folded()
    assert b"boots" not in site.values()["a:gus"]


def test_a_zombie_cannot_let_go_what_its_successor_has_taken_over(site):
    site.archive_all()
    site.day += IDLE_DAYS + 1
    site.add("view", user_id="busy")
    site.settle()
    zombie = site.assignment  # it has marked gus, and sleeps
    site.start()
    site.add("view", "item3", anonymous_id="gus")
    site.settle()
    site.add("view", user_id="busy")
    site.settle()
    site.assignment = zombie
    site.settle()
    assert site.equal()
    site.add("view", "item4", anonymous_id="gus")
    site.add("view", "item4", session_id="s1")
    site.settle()
    assert site.stored() == site.folded()


def test_a_bucket_that_cannot_be_read_brings_everybody_back(site):
    site.pass_days(IDLE_DAYS + 1)
    fence = site.hands.store.fence(0, "users")
    [name, *_] = filter(is_bucket_key, site.stored()["users"])
    site.hands.store.commit(0, "users", fence, fence, {name: b"\xc1"})
    site.idle_days = 0
    site.start()
    site.add("view", "item3", anonymous_id="gus")
    site.settle()
    assert site.stored() == site.folded()


def test_verify_names_a_guest_of_whom_another_value_was_let_go(site):
    site.pass_days(IDLE_DAYS + 1)
    fence = site.hands.store.fence(0, "users")
    [name, *_] = filter(is_bucket_key, site.stored()["users"])
    site.hands.store.commit(0, "users", fence, fence, {name: None})
    [check, _] = verify(site.hands.log, site.hands.store, [topics.EVENTS]).checks
    assert set(check.differing) <= {"a:gus", "s:s1"}
    assert check.differences == 1


def test_verify_counts_the_guests_who_are_away(site):
    site.pass_days(IDLE_DAYS + 1)
    report = verify(site.hands.log, site.hands.store, [topics.EVENTS])
    assert (report.equal, report.passivated) == (True, 2)


def test_a_rebuild_mends_what_differs_and_brings_nobody_back(site):
    site.pass_days(IDLE_DAYS + 1)
    before = site.stored()
    fence = site.hands.store.fence(0, "users")
    site.hands.store.commit(0, "users", fence, fence, {"u:ann": b"tampered"})
    assert next(one.replaced for one in rebuild(site.hands.log, site.hands.store))
    site.start()
    site.settle()
    assert site.let_go() == {"a:gus", "s:s1"}
    assert site.values() == {key: value for key, value in before["users"].items() if not is_bucket_key(key)}
    site.add("view", "item3", anonymous_id="gus")
    site.add("view", "item3", session_id="s1")
    site.settle()
    assert site.stored() == site.folded()


def test_a_rebuild_brings_a_guest_back_whose_events_have_expired(site):
    site.pass_days(IDLE_DAYS + 1)
    records = site.hands.log.records[PLACE]
    records[1] = records[1]._replace(key=b"", value=None)  # the like of gus, as retention by type leaves it
    assert not site.equal()
    assert next(one.replaced for one in rebuild(site.hands.log, site.hands.store))
    site.start()
    site.settle()
    assert site.let_go() == {"s:s1"}
    assert site.equal()


GUESTS = [f"guest{number}" for number in range(5)]
ACTS = ["view", "like", "unlike", "search", "impression", "forget", "retract", "identify", "user", "session"]
step = st.tuples(st.sampled_from(GUESTS), st.sampled_from(ACTS), st.integers(1, 4))
between = st.sampled_from(["", "", "settle", "days", "days", "crash", "archive", "foreign"])


def act(site: Site, guest: str, what: str, number: int, key: bytes | None) -> None:
    item, known = f"item{number}", {"anonymous_id": guest}
    if what == "search":
        site.add("search", None, key, query=f"query {number}", **known)
    elif what == "impression":
        site.add("impression", None, key, impression=[item, "item1"], **known)
    elif what == "retract":
        site.add(
            "retract", None, key, **known | {"event_id": f"e{max(0, len(site.hands.log.records[PLACE]) - number)}"}
        )
    elif what == "forget":
        site.add("forget", None, key, **known)
    elif what == "identify":
        site.add("identify", None, key, user_id=f"user{number}", **known)
    elif what == "user":
        site.add("like", item, key, user_id=f"user{number}")
    elif what == "session":
        site.add("view", item, key, session_id=f"session {guest}")
    else:
        site.add(what, item, key, **known)


@settings(max_examples=60)
@given(st.lists(st.tuples(step, between), min_size=1, max_size=40), st.booleans())
def test_with_and_without_letting_go_every_value_is_equal_after_the_return(new_hands, steps, all_in_parts):
    with pytest.MonkeyPatch.context() as patch:
        if all_in_parts:
            patch.setattr(signal_state, "TAIL_FROM_BYTES", 1)
        _leave_and_return(Site(new_hands()), steps)


def _leave_and_return(site: Site, steps) -> None:
    for (guest, what, number), then in steps:
        site.hands.log.records.setdefault(PLACE, [])
        act(site, guest, what, number, b"foreign" if then == "foreign" else None)
        if then == "days":
            site.pass_days(IDLE_DAYS + 1)
        elif then == "archive":
            site.archive_all()
        elif then == "crash":
            site.start()
        elif then == "settle":
            site.settle()
    site.settle()
    assert site.equal()
    for guest in GUESTS:
        site.add("view", "item1", anonymous_id=guest)
        site.add("view", "item1", session_id=f"session {guest}")
    site.settle()
    assert site.stored() == site.folded()
    assert site.hands.refused == []
