"""A simulation of 30 days of the schedule: trainings are neither forgotten nor repeated without need, at any rate of events."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from offline.jobs.schedule import Due, SchedulePolicy, ScheduleState, VersionState, due
from schemas.offline.jobs import Run

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOK_SECONDS, DAY, DAYS = 60.0, 86_400.0, 30
KEPT_RUNS = 200


def reading(events: int) -> float:
    """Returns the seconds of a full training: ten minutes for 20 million events in one process, above them on a cluster."""
    return 30e-6 * min(events, 20_000_000) + 3e-6 * max(0, events - 20_000_000)


class Simulation:
    """A site with events at a constant rate. The time that a training takes grows with the events that it reads."""

    def __init__(self, events_per_second: float) -> None:
        self.rate, self.now = events_per_second, 0.0
        self.active: VersionState | None = None
        self.full: VersionState | None = None
        self.runs: list[Run] = []
        self.begun: list[tuple[str, float, float]] = []
        """Each job, its begin and how long it took, in seconds."""

    def run(self) -> None:
        while self.now < DAYS * DAY:
            for job in due(SchedulePolicy(), self.state()):
                self.do(job)
            self.now += LOOK_SECONDS

    def state(self) -> ScheduleState:
        events, by_job = int(self.rate * self.now), {}
        for run in reversed(self.runs):
            by_job.setdefault(run.job, []).append(run)
        return ScheduleState(
            now=self.timestamp(),
            events=events,
            unarchived=1,
            active=self.since(self.active, events),
            full=self.since(self.full, events),
            runs=by_job,
        )

    def since(self, version: VersionState | None, events: int) -> VersionState | None:
        if version is None:
            return None
        return VersionState(
            version=version.version,
            trained_at=version.trained_at,
            seen=version.seen,
            new=events - version.seen,
            seconds=version.seconds,
        )

    def timestamp(self) -> float:
        return START.timestamp() + self.now

    def do(self, job: Due) -> None:
        events, began = int(self.rate * self.now), self.now
        seconds = {"train": 10.0 + reading(events), "train-incremental": 5.0 + reading(events) / 6}.get(job.job, 1.0)
        version = VersionState(version="v", trained_at=self.timestamp(), seen=events, new=0, seconds=seconds)
        if job.job == "train":
            self.full = version
        if job.job.startswith("train"):
            self.active = version
        self.now += seconds
        at = START + timedelta(seconds=began)
        run = Run(
            run_id=f"{at:%Y%m%dT%H%M%S%f}", job=job.job, reason=job.reason, started_at=at, holder="", token=1,
            finished_at=at + timedelta(seconds=seconds), outcome="done",
        )  # fmt: skip
        self.runs = [*self.runs, run][-KEPT_RUNS:]
        self.begun.append((job.job, began, seconds))

    def a_day(self, job: str) -> list[int]:
        """Returns how many runs of a job began on each day."""
        counts = Counter(int(began // DAY) for name, began, _ in self.begun if name == job)
        return [counts[day] for day in range(DAYS)]

    def busy(self, job: str) -> float:
        """Returns the share of the time that a job took."""
        return sum(seconds for name, _, seconds in self.begun if name == job) / self.now


RATES = [0.1, 5.0, 20.0, 1_000.0]


@pytest.fixture(scope="module", params=RATES, ids=lambda rate: f"{rate:g} a second")
def month(request) -> Simulation:
    simulation = Simulation(request.param)
    simulation.run()
    return simulation


def test_full_trainings_are_frequent_while_data_grows_fast_and_daily_later(month):
    fulls = month.a_day("train")
    assert 15 <= fulls[0] <= 60
    assert all(1 <= count <= 10 for count in fulls[1:7])
    assert all(1 <= count <= 2 for count in fulls[7:])


def test_incremental_trainings_are_minutes_apart_at_first_and_never_cease(month):
    incrementals = month.a_day("train-incremental")
    assert 60 <= incrementals[0] <= 288
    assert all(5 <= count <= 288 for count in incrementals)


def test_no_kind_of_training_takes_more_than_its_share_of_the_time(month):
    assert month.busy("train") <= 0.1
    assert month.busy("train-incremental") <= 0.1
