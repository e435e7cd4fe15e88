from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from adapters.files.lease import FileLease
from adapters.sqlite.jobs import SqliteRuns
from offline.jobs.runs import Jobs, leased, publishing, recorded, seen
from offline.publishing.export import Exports
from schemas.errors import JobStoreUnavailable, LeaseLost, LeaseTaken, ModelRefused, NothingToTrain
from schemas.offline.jobs import Run

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Versions:
    """A model store that only has a pointer."""

    def __init__(self, active=None):
        self.pointer = active

    def active(self):
        return self.pointer


class FakeManifest:
    """What a training returns."""

    def __init__(self, version, reason=None):
        self.version, self.reason = version, reason


@pytest.fixture
def notices():
    return []


@pytest.fixture
def jobs(tmp_path, notices):
    lease, runs = FileLease(tmp_path), SqliteRuns(tmp_path)

    def tell(notice):
        notices.append(notice)
        return 1

    yield Jobs(lease, runs, AT.timestamp, tell)
    lease.close()
    runs.close()


def test_a_run_is_on_record_while_it_runs_and_when_it_has_ended(jobs):
    with recorded(jobs, "archive", "every hour") as running:
        running.progress("archiving events", 3, 9)
        [under_way] = jobs.runs.runs()
        running.say("done", "9 records")
    assert (under_way.outcome, under_way.step, under_way.done, under_way.total) == ("running", "archiving events", 3, 9)
    [ended] = jobs.runs.runs()
    assert (ended.outcome, ended.message, ended.reason) == ("done", "9 records", "every hour")
    assert ended.finished_at == AT


def test_progress_is_shown_as_well(jobs):
    shown = []
    with recorded(jobs, "archive", "asked", show=lambda *step: shown.append(step)) as running:
        running.progress("reading", 1, 2)
    assert shown == [("reading", 1, 2)]


def test_a_second_run_is_told_who_runs_and_another_job_may_run(jobs):
    with recorded(jobs, "train", "asked"):
        with pytest.raises(LeaseTaken, match="'train' runs already: pid"), recorded(jobs, "train", "asked too"):
            pass
        with recorded(jobs, "statistics", "asked"):
            pass
    with recorded(jobs, "train", "asked again"):
        pass


def test_jobs_can_share_a_lease(jobs):
    with recorded(jobs, "train", "asked"), pytest.raises(LeaseTaken), recorded(jobs, "incremental", "", lease="train"):
        pass


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ModelRefused("it smells"), "refused"),
        (NothingToTrain("the log is empty"), "skipped"),
        (ValueError("x"), "failed"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_how_a_run_ended_is_on_record_and_the_lease_is_free(jobs, error, outcome):
    with pytest.raises(type(error)), recorded(jobs, "train", "asked"):
        raise error
    assert jobs.runs.runs()[0].outcome == outcome
    assert jobs.lease.held("train") is None


def test_a_run_whose_process_is_gone_is_marked_as_lost_by_the_next(jobs):
    for run_id, job in (("a", "train-incremental"), ("b", "statistics")):
        jobs.runs.put(Run(run_id=run_id, job=job, reason="", started_at=AT, holder="", token=1, step="training"))
    assert {run.outcome for run in seen(jobs)} == {"lost"}
    assert {run.outcome for run in jobs.runs.runs()} == {"running"}
    with recorded(jobs, "train", "asked"):
        assert {run.job: run.outcome for run in seen(jobs)}["train"] == "running"
    outcomes = {run.job: run.outcome for run in jobs.runs.runs()}
    assert outcomes == {"train": "done", "train-incremental": "lost", "statistics": "running"}


def test_a_run_that_lost_its_lease_ends_at_its_next_step(jobs, monkeypatch):
    renewed = threading.Event()

    def renew(*_):
        renewed.set()
        raise LeaseLost("it stood still")

    monkeypatch.setattr(jobs.lease, "renew", renew)
    monkeypatch.setattr(jobs.lease, "seconds", 0.01)

    def work(progress):
        assert renewed.wait(10)
        while True:
            progress("training", 0, 1)

    with pytest.raises(LeaseLost):
        publishing(jobs, Versions("v1"), "train", "asked", work)
    assert jobs.runs.runs()[0].outcome == "failed"


def test_a_record_that_cannot_be_written_stops_no_work(jobs, monkeypatch):
    def put(_):
        raise JobStoreUnavailable("it is full")

    monkeypatch.setattr(jobs.runs, "put", put)
    with recorded(jobs, "train", "asked") as running:
        running.progress("training", 1, 2)


def test_a_version_that_became_active_is_announced_with_the_one_before(jobs, notices):
    store = Versions("v1")

    def work(progress):
        progress("training", 1, 1)
        store.pointer = "v2"
        return FakeManifest("v2")

    assert publishing(jobs, store, "train", "asked", work).version == "v2"
    [notice] = notices
    assert (notice.type, notice.version, notice.previous, notice.at) == ("model.published", "v2", "v1", AT)
    [run] = jobs.runs.runs()
    assert (run.outcome, run.message, run.undelivered) == ("done", "v2", 1)


def test_a_version_that_cannot_be_exported_answers_all_the_same_and_the_record_and_the_notice_say_so(jobs, notices):
    store, full = Versions("v1"), "v2 is not exported to there: the disk is full"
    exports = Exports()
    exports.export = lambda *_: [full]

    def work(_):
        store.pointer = "v2"
        return FakeManifest("v2")

    assert publishing(jobs._replace(exports=exports), store, "train", "asked", work).version == "v2"
    assert [(notice.type, notice.version, notice.message) for notice in notices] == [
        ("model.published", "v2", ""),
        ("export.failed", "v2", full),
    ]
    [run] = jobs.runs.runs()
    assert (run.outcome, run.message, run.unexported) == ("done", "v2", (full,))


def test_a_version_held_ready_beside_the_champion_is_announced_to_nobody(jobs, notices):
    publishing(jobs, Versions("v1"), "train", "asked", lambda _: FakeManifest("v2"))
    assert notices == []
    assert jobs.runs.runs()[0].message == "v2"


def test_nothing_new_is_a_skipped_run_and_announced_to_nobody(jobs, notices):
    publishing(jobs, Versions("v1"), "train", "asked", lambda _: FakeManifest("v1", "nothing has happened"))
    assert notices == []
    assert (jobs.runs.runs()[0].outcome, jobs.runs.runs()[0].message) == ("skipped", "nothing has happened")


@pytest.mark.parametrize(
    ("error", "kind"), [(ModelRefused("it smells"), "training.refused"), (OSError("disk"), "training.failed")]
)
def test_a_failure_is_announced_with_its_reason_and_the_version_that_still_answers(jobs, notices, error, kind):
    def work(_):
        raise error

    with pytest.raises(type(error)):
        publishing(jobs, Versions("v1"), "train", "asked", work)
    [notice] = notices
    assert (notice.type, notice.version, notice.previous) == (kind, None, "v1")
    assert str(error) in notice.message


def test_an_empty_log_is_no_failure_to_announce(jobs, notices):
    def work(_):
        raise NothingToTrain("the log is empty")

    with pytest.raises(NothingToTrain):
        publishing(jobs, Versions(), "train", "asked", work)
    assert notices == []


def test_a_part_of_a_run_waits_for_a_further_lease_and_gives_it_back(jobs):
    other = jobs.lease.acquire("erasures", "an erasure", AT.timestamp())
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            jobs.lease.release("erasures", other)

    with recorded(jobs, "retention", "asked") as running:
        with leased(jobs, "erasures", running, sleep):
            assert jobs.lease.held("erasures") is not None
        assert jobs.lease.held("erasures") is None
    assert len(pauses) == 3


def test_a_part_of_a_run_gives_up_where_another_process_keeps_the_lease(jobs):
    jobs.lease.acquire("erasures", "an erasure", AT.timestamp())
    with (
        pytest.raises(LeaseTaken),
        recorded(jobs, "retention", "asked") as running,
        leased(jobs, "erasures", running, lambda _: None),
    ):
        pass
    [run] = jobs.runs.runs()
    assert run.outcome == "failed"


def test_a_run_records_how_many_events_expired(jobs):
    with recorded(jobs, "retention", "asked") as running:
        running.note_expired(7)
    [run] = jobs.runs.runs()
    assert run.expired == 7
