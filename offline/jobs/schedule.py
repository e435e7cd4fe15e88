"""Decides which jobs are due and why: a pure function of the log, the models and the past runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from offline.config import OfflineSettings
from offline.data.archive import plan
from offline.data.dataset import since
from schemas.errors import VersionUnknown
from schemas.jobs import WELL, Run
from schemas.log import topics
from schemas.manifest import Manifest
from schemas.ports import Archive, LogReader, ModelStore

Job = Literal["archive", "train", "train-incremental", "drift", "statistics"]
Cause = Literal["first", "new", "age", "drift", "time"]

FEWEST: Final = 100
"""Minimum number of new events for a training by share."""
RETRY_SECONDS: Final = 60.0
"""Pause after a failure. It doubles with each further failure, up to LONGEST_PAUSE."""
LONGEST_PAUSE: Final = 6 * 3_600.0


@dataclass(frozen=True, kw_only=True)
class SchedulePolicy:
    """Limits at which jobs are due. Times are in seconds."""

    new: int = 10_000
    """New events after which a full training is due."""
    share: float = 0.1
    """New events after which a full training is due, as a share of the events of the last one."""
    age: float = 86_400.0
    """Time since the last full training after which one is due, if there are new events."""
    incremental: float = 300.0
    """Pause between incremental trainings."""
    archive: float = 600.0
    """Pause between archivings."""
    drift: float = 3_600.0
    """Pause between checks for drift."""
    statistics: float = 3_600.0
    """Pause between computations of the statistics."""

    @classmethod
    def of(cls, settings: OfflineSettings) -> SchedulePolicy:
        """Returns the policy of the settings."""
        return cls(
            new=settings.schedule_new,
            share=settings.schedule_share,
            age=settings.schedule_age_hours * 3_600,
            incremental=settings.schedule_incremental_minutes * 60,
            archive=settings.schedule_archive_minutes * 60,
            drift=settings.schedule_drift_minutes * 60,
            statistics=settings.schedule_statistics_minutes * 60,
        )


@dataclass(frozen=True, kw_only=True)
class VersionState:
    """Facts about a version that the schedule decides by."""

    version: str
    trained_at: float
    """Seconds since 1970."""
    seen: int
    """Number of events that it was trained on."""
    new: int
    """Number of events since then, archived or not."""


@dataclass(frozen=True, kw_only=True)
class ScheduleState:
    """Input of the schedule at one moment."""

    now: float
    events: int = 0
    """Number of events on the log and in the archive."""
    unarchived: int = 0
    """Number of records on the log that are not archived."""
    active: VersionState | None = None
    full: VersionState | None = None
    """Version of the last full training, or the active one if that is unknown."""
    runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    """Ended runs by job, newest first."""
    drift: Sequence[str] = ()
    """Drift reasons of the last check since the last full training began."""


class Due(NamedTuple):
    """A job that is due."""

    job: Job
    cause: Cause
    reason: str


def due(policy: SchedulePolicy, seen: ScheduleState) -> list[Due]:
    """Returns the jobs to run now, in order. A job that failed recently is not repeated before its pause ends."""
    return [job_due for job_due in _wanted(policy, seen) if not _resting(seen.runs.get(job_due.job, ()), seen.now)]


def look(log: LogReader, archive: Archive, store: ModelStore, runs: Sequence[Run], now: float) -> ScheduleState:
    """Reads the current state. Raises LogUnavailable, ModelStoreUnavailable."""
    planned, _ = plan(log, archive)
    waiting = sum(
        planned_range.end - planned_range.begin for planned_range in planned if planned_range.topic == topics.EVENTS
    )
    active, by_job = _active(store), _by_job(runs)
    full = _last_full(store, by_job.get("train", ())) or active
    return ScheduleState(
        now=now,
        events=since(archive, {}) + waiting,
        unarchived=sum(planned_range.end - planned_range.begin for planned_range in planned),
        active=None if active is None else _trained(archive, active, waiting),
        full=None if full is None else _trained(archive, full, waiting),
        runs=by_job,
    )


def _wanted(policy: SchedulePolicy, seen: ScheduleState) -> Iterator[Due]:
    if seen.unarchived and _rested(seen, "archive", policy.archive):
        yield Due("archive", "time", f"{seen.unarchived:,} records are not archived yet")
    full = _full(policy, seen)
    if full is not None:
        yield full
    elif _has_news(policy, seen.active, seen.now) and _rested(seen, "train-incremental", policy.incremental):
        assert seen.active is not None
        yield Due("train-incremental", "new", f"{seen.active.new:,} new events since {seen.active.version}")
    if seen.active is not None and seen.active.new and _rested(seen, "drift", policy.drift):
        yield Due("drift", "time", "time to look whether what happens has changed")
    if seen.events and _rested(seen, "statistics", policy.statistics):
        yield Due("statistics", "time", "time for new statistics")


def _full(policy: SchedulePolicy, seen: ScheduleState) -> Due | None:
    """Returns a full training and its reason, if one is due."""
    full = seen.full
    if full is None:
        return Due("train", "first", "there is no model yet") if seen.events else None
    if full.new >= policy.new:
        return Due("train", "new", f"{full.new:,} new events, of which {policy.new:,} are enough")
    if full.new >= max(FEWEST, policy.share * full.seen):
        share = full.new / max(1, full.seen)
        return Due("train", "new", f"{full.new:,} new events, {share:.0%} of the {full.seen:,} trained on")
    if full.new and seen.drift:
        return Due("train", "drift", "; ".join(seen.drift))
    if full.new and seen.now - full.trained_at >= policy.age:
        hours = (seen.now - full.trained_at) / 3_600
        return Due("train", "age", f"{full.version} is {hours:,.0f} hours old, and {full.new:,} events are new")
    return None


def _has_news(policy: SchedulePolicy, active: VersionState | None, now: float) -> bool:
    return active is not None and active.new > 0 and now - active.trained_at >= policy.incremental


def _rested(seen: ScheduleState, job: Job, pause: float) -> bool:
    runs = seen.runs.get(job, ())
    return not runs or seen.now - runs[0].started_at.timestamp() >= pause


def _resting(runs: Sequence[Run], now: float) -> bool:
    """True if the job failed recently and its pause has not ended."""
    failures = next((count for count, run in enumerate(runs) if run.outcome in WELL), len(runs))
    if not failures:
        return False
    pause = min(LONGEST_PAUSE, RETRY_SECONDS * 2.0 ** min(failures - 1, 20))
    return now - (runs[0].finished_at or runs[0].started_at).timestamp() < pause


def _by_job(runs: Sequence[Run]) -> dict[str, list[Run]]:
    ended_runs: dict[str, list[Run]] = {}
    for run in sorted(
        (ended for ended in runs if ended.outcome != "running"), key=lambda run: run.run_id, reverse=True
    ):
        ended_runs.setdefault(run.job, []).append(run)
    return ended_runs


def _active(store: ModelStore) -> Manifest | None:
    active = store.active()
    return None if active is None else store.manifest(active)


def _last_full(store: ModelStore, runs: Sequence[Run]) -> Manifest | None:
    version = next((run.message for run in runs if run.outcome == "done"), None)
    try:
        return None if version is None else store.manifest(version)
    except VersionUnknown:  # it has expired
        return None


def _trained(archive: Archive, manifest: Manifest, waiting: int) -> VersionState:
    archived_since, archived = since(archive, manifest.offsets), since(archive, {})
    return VersionState(
        version=manifest.version,
        trained_at=manifest.created_at.timestamp(),
        seen=archived - archived_since,
        new=archived_since + waiting,
    )
