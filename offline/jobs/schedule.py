"""Which job is due, and why: a pure decision over what is seen of the log, the models and the runs so far."""

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
"""New events below which their share of the whole is no reason yet."""
RETRY_SECONDS: Final = 60.0
"""Pause after a failure; doubled with each further one, up to LONGEST_PAUSE."""
LONGEST_PAUSE: Final = 6 * 3_600.0


@dataclass(frozen=True, kw_only=True)
class SchedulePolicy:
    """When jobs are due; times in seconds."""

    new: int = 10_000
    share: float = 0.1
    age: float = 86_400.0
    incremental: float = 300.0
    archive: float = 600.0
    drift: float = 3_600.0
    statistics: float = 3_600.0

    @classmethod
    def of(cls, settings: OfflineSettings) -> SchedulePolicy:
        """What the settings say."""
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
class Trained:
    """A version as the schedule sees it."""

    version: str
    at: float
    """Seconds since 1970."""
    seen: int
    """Events that it was trained on."""
    new: int
    """Events since, archived or not."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is at one moment."""

    now: float
    events: int = 0
    """Events on the log and in the archive."""
    unarchived: int = 0
    """Records on the log that the archive does not have."""
    active: Trained | None = None
    full: Trained | None = None
    """The version of the last full training; the active one where that is not known."""
    runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    """Ended runs by job, newest first."""
    drift: Sequence[str] = ()
    """Why to train again, by the last look for drift since the last full training began."""


class Due(NamedTuple):
    """A job that is to run now."""

    job: Job
    cause: Cause
    reason: str


def due(policy: SchedulePolicy, seen: Seen) -> list[Due]:
    """The jobs to run now, in this order; those that failed a moment ago rest first."""
    return [each for each in _wanted(policy, seen) if not _resting(seen.runs.get(each.job, ()), seen.now)]


def look(log: LogReader, archive: Archive, store: ModelStore, runs: Sequence[Run], now: float) -> Seen:
    """What there is now; raises LogUnavailable, ModelStoreUnavailable."""
    planned, _ = plan(log, archive)
    waiting = sum(each.end - each.begin for each in planned if each.topic == topics.EVENTS)
    active, by_job = _active(store), _by_job(runs)
    full = _last_full(store, by_job.get("train", ())) or active
    return Seen(
        now=now,
        events=since(archive, {}) + waiting,
        unarchived=sum(each.end - each.begin for each in planned),
        active=None if active is None else _trained(archive, active, waiting),
        full=None if full is None else _trained(archive, full, waiting),
        runs=by_job,
    )


def _wanted(policy: SchedulePolicy, seen: Seen) -> Iterator[Due]:
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


def _full(policy: SchedulePolicy, seen: Seen) -> Due | None:
    """Why to train on everything, if there is a reason."""
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
    if full.new and seen.now - full.at >= policy.age:
        hours = (seen.now - full.at) / 3_600
        return Due("train", "age", f"{full.version} is {hours:,.0f} hours old, and {full.new:,} events are new")
    return None


def _has_news(policy: SchedulePolicy, active: Trained | None, now: float) -> bool:
    return active is not None and active.new > 0 and now - active.at >= policy.incremental


def _rested(seen: Seen, job: Job, pause: float) -> bool:
    runs = seen.runs.get(job, ())
    return not runs or seen.now - runs[0].started_at.timestamp() >= pause


def _resting(runs: Sequence[Run], now: float) -> bool:
    """Whether the job has failed so lately that it is not tried again yet."""
    failures = next((count for count, run in enumerate(runs) if run.outcome in WELL), len(runs))
    if not failures:
        return False
    pause = min(LONGEST_PAUSE, RETRY_SECONDS * 2.0 ** min(failures - 1, 20))
    return now - (runs[0].finished_at or runs[0].started_at).timestamp() < pause


def _by_job(runs: Sequence[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in sorted((each for each in runs if each.outcome != "running"), key=lambda run: run.run_id, reverse=True):
        found.setdefault(run.job, []).append(run)
    return found


def _active(store: ModelStore) -> Manifest | None:
    active = store.active()
    return None if active is None else store.manifest(active)


def _last_full(store: ModelStore, runs: Sequence[Run]) -> Manifest | None:
    version = next((run.message for run in runs if run.outcome == "done"), None)
    try:
        return None if version is None else store.manifest(version)
    except VersionUnknown:  # it has expired
        return None


def _trained(archive: Archive, manifest: Manifest, waiting: int) -> Trained:
    archived_since, every = since(archive, manifest.offsets), since(archive, {})
    return Trained(
        version=manifest.version,
        at=manifest.created_at.timestamp(),
        seen=every - archived_since,
        new=archived_since + waiting,
    )
