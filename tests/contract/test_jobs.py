"""What every store of jobs guarantees, embedded and Cassandra."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import LeaseLost, LeaseTaken
from schemas.offline.jobs import Run

AT = datetime(2026, 1, 1, 4, 12, 33, tzinfo=UTC)


def a_run(number, **fields):
    known = {"job": "train", "reason": "asked", "holder": "here", "token": number}
    return Run(**({"run_id": f"r{number:03}", "started_at": AT + timedelta(hours=number)} | known | fields))


def test_a_second_taker_is_told_who_holds_the_lease_and_since_when(open_jobs):
    open_jobs.lease().acquire("train", "pid 7 on ann", AT.timestamp())
    with pytest.raises(LeaseTaken, match=r"'train' runs already: pid 7 on ann, since 2026-01-01 04:12:33 UTC"):
        open_jobs.lease().acquire("train", "pid 8 on bob", AT.timestamp() + 60)


def test_leases_of_other_names_are_free(open_jobs):
    lease = open_jobs.lease()
    lease.acquire("train", "one", 0)
    open_jobs.lease().acquire("statistics", "other", 0)


def test_a_lease_given_back_can_be_taken_under_a_larger_token(open_jobs):
    one, other = open_jobs.lease(), open_jobs.lease()
    first = one.acquire("train", "one", 0)
    one.release("train", first)
    second = other.acquire("train", "other", 1)
    other.release("train", second)
    assert 0 < first < second < one.acquire("train", "one", 2)


def test_who_holds_a_lease_can_be_seen_by_others_and_nobody_after_it_was_given_back(open_jobs):
    one, other = open_jobs.lease(), open_jobs.lease()
    assert other.held("train") is None
    token = one.acquire("train", "one", AT.timestamp())
    assert tuple(other.held("train")) == ("one", AT.timestamp(), token)
    one.release("train", token)
    assert other.held("train") is None


def test_a_held_lease_is_renewed_and_one_given_back_is_not(open_jobs):
    lease = open_jobs.lease()
    token = lease.acquire("train", "one", 0)
    lease.renew("train", token)
    lease.release("train", token)
    with pytest.raises(LeaseLost):
        lease.renew("train", token)


def test_an_old_token_neither_renews_nor_gives_back_what_another_holds(open_jobs):
    one, other = open_jobs.lease(), open_jobs.lease()
    old = one.acquire("train", "one", 0)
    one.release("train", old)
    other.acquire("train", "other", 1)
    one.release("train", old)
    with pytest.raises(LeaseLost):
        one.renew("train", old)
    assert open_jobs.lease().held("train").holder == "other"


def test_closing_gives_back_what_is_held(open_jobs):
    lease = open_jobs.lease()
    lease.acquire("train", "one", 0)
    lease.close()
    open_jobs.lease().acquire("train", "other", 1)


def test_of_many_who_race_one_takes_the_lease(open_jobs):
    def take(number):
        try:
            return lease[number].acquire("train", f"taker {number}", number)
        except LeaseTaken:
            return None

    lease = [open_jobs.lease() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        tokens = list(pool.map(take, range(6)))
    assert len([each for each in tokens if each is not None]) == 1


def test_runs_are_listed_newest_first_and_a_record_is_written_over(open_jobs):
    runs = open_jobs.runs()
    for number in (2, 1, 3):
        runs.put(a_run(number))
    ended = a_run(2, outcome="done", step="write", done=4, total=9, finished_at=AT, message="v1", undelivered=1)
    runs.put(ended)
    assert open_jobs.runs().runs() == [a_run(3), ended, a_run(1)]
    assert [each.run_id for each in runs.runs(limit=2)] == ["r003", "r002"]


def test_old_records_expire(open_jobs):
    runs = open_jobs.runs()
    for number in range(6):
        runs.put(a_run(number))
    assert runs.expire(keep=2) == 4
    assert [each.run_id for each in runs.runs()] == ["r005", "r004"]
    assert runs.expire(keep=2) == 0


def test_where_nothing_ran_there_are_no_runs(open_jobs):
    assert open_jobs.runs().runs() == []


def test_a_document_is_replaced_whole(open_jobs):
    documents = open_jobs.documents()
    assert documents.read("statistics/rising") is None
    documents.write("statistics/rising", bytes(range(256)) * 4_000)
    documents.write("statistics/rising", b"{}")
    documents.write("other", b"")
    assert open_jobs.documents().read("statistics/rising") == b"{}"
    assert open_jobs.documents().read("other") == b""
    assert open_jobs.documents().names() == ["other", "statistics/rising"]
