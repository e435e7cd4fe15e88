"""Decides which jobs are due and why: a pure function of the log, the models and the past runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from offline.config import OfflineSettings
from offline.data.archive import plan
from offline.data.dataset import since
from offline.jobs.training_state import FullTraining, chosen_by_hand, full_training, is_full, last_full
from schemas.erasures import rebuilds_due
from schemas.log import topics
from schemas.offline.jobs import Run
from schemas.ports import Archive, Documents, LogReader, ModelStore

Job = Literal["archive", "train", "train-incremental", "drift", "statistics", "retention", "rebuild"]
Cause = Literal["first", "new", "age", "drift", "time"]

FEWEST: Final = 100
"""Minimum number of new events for a training by share."""
RETRY_SECONDS: Final = 60.0
"""Pause after a failure, or after a job that had nothing to do. It doubles each time, up to LONGEST_PAUSE."""
LONGEST_PAUSE: Final = 6 * 3_600.0
SKIPPED_PAUSE: Final = 300.0
"""Longest pause after a job that had nothing to do. It is short, because the next event may give it something."""
INCREMENTAL_SHARE: Final = 0.001
"""New events that are enough for an incremental training, as a share of those that the active version has learned."""
REBUILD_PAUSE: Final = 86_400.0
"""Seconds between two rebuilds of the signals: each folds the whole log."""
INCREMENTAL_PAUSES: Final = 12
"""Pauses between incremental trainings after which any new event is enough."""


@dataclass(frozen=True, kw_only=True)
class SchedulePolicy:
    """Limits at which jobs are due. Times are in seconds."""

    new: int | None = None
    """New events after which a full training is due, whatever their share is. None sets no such number."""
    share: float = 0.1
    """New events after which a full training is due, as a share of the events of the last one."""
    busy: float = 0.1
    """Largest share of the time that trainings of one kind take."""
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
    retention: float | None = None
    """Pause between removals of events whose type is kept for fewer days. None: every type is kept."""

    @classmethod
    def of(cls, settings: OfflineSettings) -> SchedulePolicy:
        """Returns the policy of the settings."""
        return cls(
            new=settings.schedule_new,
            share=settings.schedule_share,
            busy=settings.schedule_busy,
            age=settings.schedule_age_hours * 3_600,
            incremental=settings.schedule_incremental_minutes * 60,
            archive=settings.schedule_archive_minutes * 60,
            drift=settings.schedule_drift_minutes * 60,
            statistics=settings.schedule_statistics_minutes * 60,
            retention=settings.schedule_retention_hours * 3_600 if settings.retention else None,
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
    seconds: float = 0.0
    """Time that its training took; 0 if unknown."""
    by_hand: bool = False
    """True if a person made it active. Then only a person or a full training replaces it."""


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
    """The last full training, whose version may have expired; or the active version if there was none."""
    runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    """Ended runs by job, newest first."""
    rebuilds: int = 0
    """Number of erased people whose records the log has removed since the signals were rebuilt."""
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


def look(
    log: LogReader, archive: Archive, store: ModelStore, documents: Documents, runs: Sequence[Run], now: float
) -> ScheduleState:
    """Reads the current state. Raises LogUnavailable, ModelStoreUnavailable, JobStoreUnavailable."""
    planned, _ = plan(log, archive)
    waiting = sum(
        planned_range.end - planned_range.begin for planned_range in planned if planned_range.topic == topics.EVENTS
    )
    active = _active(store)
    full = _last_full(store, documents) or active
    by_hand = active is not None and active.version == chosen_by_hand(documents)
    return ScheduleState(
        now=now,
        events=since(archive, {}) + waiting,
        unarchived=sum(planned_range.end - planned_range.begin for planned_range in planned),
        active=None if active is None else replace(_state(archive, active, waiting), by_hand=by_hand),
        full=None if full is None else _state(archive, full, waiting),
        runs=_by_job(runs),
        rebuilds=rebuilds_due(documents, now),
    )


def _wanted(policy: SchedulePolicy, seen: ScheduleState) -> Iterator[Due]:
    if seen.unarchived and _rested(seen, "archive", policy.archive):
        yield Due("archive", "time", f"{seen.unarchived:,} records are not archived yet")
    full = _full(policy, seen)
    if full is not None:
        yield full
    elif seen.active is not None and _has_news(policy, seen.active, seen.now) and _incremental_rested(policy, seen):
        yield Due("train-incremental", "new", f"{seen.active.new:,} new events since {seen.active.version}")
    if seen.active is not None and seen.active.new and _rested(seen, "drift", policy.drift):
        yield Due("drift", "time", "time to look whether what happens has changed")
    if seen.events and _rested(seen, "statistics", policy.statistics):
        yield Due("statistics", "time", "time for new statistics")
    if policy.retention is not None and seen.events and _rested(seen, "retention", policy.retention):
        yield Due("retention", "time", "time to remove events whose type is kept for fewer days")
    if seen.rebuilds and _rested(seen, "rebuild", REBUILD_PAUSE):
        yield Due("rebuild", "time", f"the log has removed the records of {seen.rebuilds:,} erased people")


def _full(policy: SchedulePolicy, seen: ScheduleState) -> Due | None:
    """Returns a full training and its reason, if one is due."""
    full = seen.full
    if full is None:
        return Due("train", "first", "there is no model yet") if seen.events else None
    return None if _busy(policy, seen, "train", full) else _full_again(policy, seen, full)


def _full_again(policy: SchedulePolicy, seen: ScheduleState, full: VersionState) -> Due | None:
    if policy.new is not None and full.new >= policy.new:
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


def _has_news(policy: SchedulePolicy, active: VersionState, now: float) -> bool:
    """True if an incremental training may replace the active version, and has enough to learn."""
    age = now - active.trained_at
    if active.by_hand or not active.new or age < policy.incremental:
        return False
    return active.new >= INCREMENTAL_SHARE * active.seen or age >= INCREMENTAL_PAUSES * policy.incremental


def _incremental_rested(policy: SchedulePolicy, seen: ScheduleState) -> bool:
    job: Job = "train-incremental"
    return _rested(seen, job, policy.incremental) and not _busy(policy, seen, job, None)


def _busy(policy: SchedulePolicy, seen: ScheduleState, job: Job, last: VersionState | None) -> bool:
    """True if another training of this kind would make them take more than ``policy.busy`` of the time."""
    run = next((run for run in seen.runs.get(job, ()) if run.outcome in ("done", "refused") and run.finished_at), None)
    if run is not None and run.finished_at is not None:
        began, seconds = run.started_at.timestamp(), (run.finished_at - run.started_at).total_seconds()
    elif last is not None:  # its run has expired
        began, seconds = last.trained_at, last.seconds
    else:
        return False
    return seen.now - began < seconds / policy.busy


def _rested(seen: ScheduleState, job: Job, pause: float) -> bool:
    runs = seen.runs.get(job, ())
    return not runs or seen.now - runs[0].started_at.timestamp() >= pause


def _resting(runs: Sequence[Run], now: float) -> bool:
    """True if the job recently failed, or found nothing to do, and its pause has not ended."""
    failures = next((count for count, run in enumerate(runs) if run.outcome == "done"), len(runs))
    if not failures:
        return False
    longest = SKIPPED_PAUSE if runs[0].outcome == "skipped" else LONGEST_PAUSE
    pause = min(longest, RETRY_SECONDS * 2.0 ** min(failures - 1, 20))
    return now - (runs[0].finished_at or runs[0].started_at).timestamp() < pause


def _by_job(runs: Sequence[Run]) -> dict[str, list[Run]]:
    ended_runs: dict[str, list[Run]] = {}
    for run in sorted(
        (ended for ended in runs if ended.outcome != "running"), key=lambda run: run.run_id, reverse=True
    ):
        ended_runs.setdefault(run.job, []).append(run)
    return ended_runs


def _active(store: ModelStore) -> FullTraining | None:
    active = store.active()
    return None if active is None else full_training(store.manifest(active))


def _last_full(store: ModelStore, documents: Documents) -> FullTraining | None:
    """Returns the last full training: as it was noted, or the one of the newest version if that one was not noted."""
    noted = last_full(documents)
    stored = next((full_training(manifest) for manifest in store.versions() if is_full(manifest)), None)
    found = [training for training in (noted, stored) if training is not None]
    return max(found, key=lambda training: (training.trained_at, training.seconds), default=None)


def _state(archive: Archive, training: FullTraining, waiting: int) -> VersionState:
    archived_since, archived = since(archive, training.offsets), since(archive, {})
    return VersionState(
        version=training.version,
        trained_at=training.trained_at.timestamp(),
        seen=archived - archived_since,
        new=archived_since + waiting,
        seconds=training.seconds,
    )
