from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_run

from offline.jobs.schedule import (
    LONGEST_PAUSE,
    RETRY_SECONDS,
    SKIPPED_PAUSE,
    SchedulePolicy,
    ScheduleState,
    VersionState,
    due,
)
from schemas.offline.jobs import Run

NOW = datetime(2026, 1, 2, tzinfo=UTC)
POLICY = SchedulePolicy(new=1_000, share=0.1, age=86_400, incremental=300, archive=600, drift=3_600, statistics=3_600)


def seen(**fields):
    return ScheduleState(**({"now": NOW.timestamp(), "events": 5_000} | fields))


def trained(new=0, ago=400.0, events=5_000):
    return VersionState(version="v1", trained_at=NOW.timestamp() - ago, seen=events, new=new)


def a_run(job, ago, outcome="done"):
    at = NOW - timedelta(seconds=ago)
    return Run(
        run_id=f"{at:%Y%m%dT%H%M%S}", job=job, reason="", started_at=at, holder="", token=1,
        finished_at=at, outcome=outcome,
    )  # fmt: skip


def rested(**more):
    """Everything but training was done a moment ago."""
    return {job: [a_run(job, 1)] for job in ("archive", "drift", "statistics")} | more


def jobs(found):
    return [each.job for each in found]


def test_an_empty_shop_has_nothing_to_do():
    assert due(POLICY, ScheduleState(now=0)) == []


def test_the_first_event_is_reason_for_the_first_model():
    [first] = due(POLICY, seen(runs=rested()))
    assert (first.job, first.cause) == ("train", "first")


def test_without_news_nothing_is_trained_however_old_the_model_is():
    assert due(POLICY, seen(active=trained(ago=1e9), full=trained(ago=1e9), runs=rested())) == []


def test_enough_new_events_are_reason_for_a_full_training():
    [each] = due(POLICY, seen(active=trained(1_000), full=trained(1_000, events=10**6), runs=rested()))
    assert (each.job, each.cause) == ("train", "new")
    assert "1,000 new events" in each.reason


def test_a_share_of_new_events_is_reason_for_a_full_training_unless_they_are_a_handful():
    [each] = due(POLICY, seen(active=trained(600), full=trained(600), runs=rested()))
    assert (each.job, each.reason) == ("train", "600 new events, 12% of the 5,000 trained on")
    assert jobs(due(POLICY, seen(active=trained(99), full=trained(99, events=10), runs=rested()))) == [
        "train-incremental"
    ]


def test_an_old_model_and_one_new_event_are_reason_for_a_full_training():
    [each] = due(POLICY, seen(active=trained(1), full=trained(1, ago=90_000), runs=rested()))
    assert (each.job, each.cause) == ("train", "age")
    assert "25 hours old" in each.reason


def test_drift_is_reason_for_a_full_training_and_says_what_has_drifted():
    [each] = due(POLICY, seen(active=trained(1), full=trained(1), drift=["a", "b"], runs=rested()))
    assert each == ("train", "drift", "a; b")


def test_between_full_trainings_news_are_learned_every_few_minutes():
    assert jobs(due(POLICY, seen(active=trained(5, ago=301), full=trained(5, ago=5_000), runs=rested()))) == [
        "train-incremental"
    ]
    assert due(POLICY, seen(active=trained(5, ago=299), full=trained(5, ago=5_000), runs=rested())) == []


def test_an_incremental_training_does_not_put_off_the_full_one():
    just_now = trained(0, ago=10)
    assert jobs(due(POLICY, seen(active=just_now, full=trained(1_200, ago=9_000), runs=rested()))) == ["train"]


def test_archive_drift_and_statistics_come_round_by_time():
    runs = {"archive": [a_run("archive", 601)], "statistics": [a_run("statistics", 3_601)], "drift": []}
    found = due(POLICY, seen(unarchived=3, active=trained(1, ago=10), full=trained(1, ago=10), runs=runs))
    assert jobs(found) == ["archive", "drift", "statistics"]
    assert due(POLICY, seen(unarchived=3, active=trained(ago=10), full=trained(ago=10), runs=rested())) == []


@pytest.mark.parametrize("outcome", ["failed", "refused", "lost", "stopped"])
def test_a_training_that_did_not_end_well_is_tried_again_after_a_pause(outcome):
    def found(ago, failures=1):
        failed = [a_run("train", ago + n, outcome) for n in range(failures)]
        return jobs(due(POLICY, seen(runs=rested(train=[*failed, a_run("train", 9_999)]))))

    assert found(RETRY_SECONDS - 1) == []
    assert found(RETRY_SECONDS) == ["train"]
    assert found(RETRY_SECONDS * 3, failures=3) == []
    assert found(RETRY_SECONDS * 4, failures=3) == ["train"]
    assert found(LONGEST_PAUSE, failures=40) == ["train"]


@given(
    new=st.integers(0, 10**6),
    ago=st.floats(0, 1e7),
    events=st.integers(0, 10**7),
    drift=st.booleans(),
    unarchived=st.integers(0, 9),
)
def test_at_most_one_training_is_due_and_never_without_news(new, ago, events, drift, unarchived):
    state = trained(new, ago, events)
    found = due(POLICY, seen(active=state, full=state, drift=["x"] if drift else [], unarchived=unarchived))
    trainings = [each for each in found if each.job.startswith("train")]
    assert len(trainings) <= (new > 0)
    assert all(each.reason for each in found)


def test_a_version_that_a_person_chose_is_not_replaced_by_an_incremental_training():
    chosen = replace(trained(500, ago=9_000), by_hand=True)
    assert due(POLICY, seen(active=chosen, full=trained(99, ago=9_000), runs=rested())) == []
    [full] = due(POLICY, seen(active=chosen, full=trained(600, ago=9_000), runs=rested()))
    assert full.job == "train"


def test_a_training_that_was_skipped_rests():
    def found(ago, skips=1):
        skipped = [a_run("train", ago + n, "skipped") for n in range(skips)]
        return jobs(due(POLICY, seen(runs=rested(train=skipped))))

    assert found(RETRY_SECONDS - 1) == []
    assert found(RETRY_SECONDS) == ["train"]
    assert found(RETRY_SECONDS * 2 - 1, skips=2) == []
    assert found(SKIPPED_PAUSE - 1, skips=40) == []
    assert found(SKIPPED_PAUSE, skips=40) == ["train"]


def test_a_training_of_ten_minutes_is_not_repeated_within_a_hundred():
    def found(ago):
        begun = NOW - timedelta(seconds=ago)
        run = replace_run(a_run("train", ago), finished_at=begun + timedelta(seconds=600))
        return jobs(due(POLICY, seen(active=trained(5_000), full=trained(5_000), runs=rested(train=[run]))))

    assert found(5_999) == ["train-incremental"]
    assert found(6_001) == ["train"]


def test_a_long_training_whose_run_has_expired_rests_all_the_same():
    long_ago = replace(trained(5_000, ago=5_999), seconds=600.0)
    assert jobs(due(POLICY, seen(active=trained(0), full=long_ago, runs=rested()))) == []
    assert jobs(due(POLICY, seen(active=trained(0), full=replace(long_ago, seconds=500.0), runs=rested()))) == ["train"]


def test_without_a_number_only_the_share_of_new_events_counts():
    policy = replace(POLICY, new=None)
    assert jobs(due(policy, seen(active=trained(0), full=trained(10_000, events=10**6), runs=rested()))) == []
    assert jobs(due(policy, seen(active=trained(0), full=trained(100_000, events=10**6), runs=rested()))) == ["train"]


def test_a_handful_of_new_events_among_millions_is_learned_within_the_hour():
    assert due(POLICY, seen(active=trained(5, events=10**6), full=trained(5, events=10**6), runs=rested())) == []
    hour_old = trained(5, ago=3_601, events=10**6)
    assert jobs(due(POLICY, seen(active=hour_old, full=hour_old, runs=rested()))) == ["train-incremental"]


def test_events_expire_once_a_day_where_a_type_has_a_retention():
    policy = replace(POLICY, retention=86_400.0)
    known = seen(active=trained(), full=trained(), runs=rested(retention=[a_run("retention", 86_401)]))
    assert jobs(due(policy, known)) == ["retention"]
    assert jobs(due(policy, replace(known, runs=rested(retention=[a_run("retention", 86_000)])))) == []
    assert jobs(due(POLICY, known)) == []


def test_signals_are_rebuilt_once_a_day_after_the_log_has_removed_the_records_of_erased_people():
    [found] = due(POLICY, seen(active=trained(), full=trained(), rebuilds=2, runs=rested()))
    assert (found.job, found.reason) == ("rebuild", "the log has removed the records of 2 erased people")
    an_hour_ago = rested(rebuild=[a_run("rebuild", 3_600)])
    assert jobs(due(POLICY, seen(active=trained(), full=trained(), rebuilds=1, runs=an_hour_ago))) == []
    yesterday = rested(rebuild=[a_run("rebuild", 90_000)])
    assert jobs(due(POLICY, seen(active=trained(), full=trained(), rebuilds=1, runs=yesterday))) == ["rebuild"]
    assert jobs(due(POLICY, seen(active=trained(), full=trained(), rebuilds=0, runs=yesterday))) == []
