"""A job's run: one at a time, its progress and its end on record, and those told who want to know."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

import msgspec
import structlog

from offline.data.archive import Progress, quiet
from offline.publishing.export import Exports
from offline.publishing.webhooks import Kind, Notice, Tell, nobody
from schemas.errors import FreshetError, JobStoreUnavailable, LeaseLost, ModelRefused, NothingToTrain
from schemas.jobs import Outcome, Run
from schemas.ports import Clock, Lease, ModelStore, RunStore

T = TypeVar("T")

KEPT: Final = 200
"""Records of runs that are kept."""
_PAUSE: Final = 1.0
"""Seconds between two writes of one step's progress."""
_log = structlog.get_logger()


class Jobs(NamedTuple):
    """What runs are kept in."""

    lease: Lease
    runs: RunStore
    clock: Clock
    tell: Tell = nobody
    """Tells systems what became of the models; returns how many could not be told."""
    exports: Exports = Exports()
    """Copies versions that answer now; they answer all the same where that fails."""


class Running:
    """A run under way; its record is written as it goes on. Safe to call from several threads."""

    def __init__(self, jobs: Jobs, run: Run, show: Progress = quiet) -> None:
        self._jobs, self._show, self._steady = jobs, show, time.monotonic
        self._lock = threading.Lock()
        self._written = 0.0
        self.run = run
        self.lost: LeaseLost | None = None
        self._put()

    def progress(self, step: str, done: int, total: int) -> None:
        """Note how far the run is; raises LeaseLost where another run may have taken over, so that this one ends."""
        if self.lost is not None:
            raise self.lost
        self._show(step, done, total)
        with self._lock:
            due = step != self.run.step or self._steady() - self._written >= _PAUSE
            self.run = msgspec.structs.replace(self.run, step=step, done=done, total=total)
            if due:
                self._put()

    def say(self, outcome: Outcome, message: str) -> None:
        """What came of the run, unless it fails hereafter."""
        self.run = msgspec.structs.replace(self.run, outcome=outcome, message=message)

    def tell(self, notice: Notice) -> None:
        """Tell systems; those that could not be told are counted on the record."""
        missed = self.run.undelivered + self._jobs.tell(notice)
        self.run = msgspec.structs.replace(self.run, undelivered=missed)

    def export(self, store: ModelStore, version: str, before: str | None) -> None:
        """Copy a version to wherever it is to be; what fails is on the record, and told."""
        failures = self._jobs.exports.export(store, version)
        self.run = msgspec.structs.replace(self.run, unexported=(*self.run.unexported, *failures))
        for failure in failures:
            self.tell(Notice.of("export.failed", version, before, self._jobs.clock(), failure))

    def end(self) -> None:
        """Write how it ended."""
        with self._lock:
            ended = datetime.fromtimestamp(self._jobs.clock(), UTC)
            outcome = "done" if self.run.outcome == "running" else self.run.outcome
            self.run = msgspec.structs.replace(self.run, finished_at=ended, outcome=outcome)
            self._put()
        _log.info("job_ended", job=self.run.job, outcome=self.run.outcome, message=self.run.message)

    def _put(self) -> None:
        """A record that cannot be written is no reason to stop the work."""
        self._written = self._steady()
        try:
            self._jobs.runs.put(self.run)
        except JobStoreUnavailable as error:
            _log.warning("run_not_recorded", job=self.run.job, reason=str(error))


@contextmanager
def recorded(jobs: Jobs, job: str, reason: str, lease: str | None = None, show: Progress = quiet) -> Iterator[Running]:
    """Do a job under the lease of its name (or ``lease``, which several jobs may share), and keep its record.

    Whatever ends the block is written down and raised again. Runs of that lease whose process is gone are marked as
    lost, and old records removed. Raises LeaseTaken, JobStoreUnavailable.
    """
    name = lease or job
    token = jobs.lease.acquire(name, _holder(), jobs.clock())
    try:
        running = Running(jobs, _begun(jobs, job, reason, token), show)
        _clear(jobs, running.run, name)
        with _renewed(jobs.lease, name, token, running):
            yield from _until_the_end(running)
    finally:
        jobs.lease.release(name, token)


def _until_the_end(running: Running) -> Iterator[Running]:
    try:
        yield running
    except BaseException as error:
        running.say(*_outcome_of(error))
        raise
    finally:
        running.end()


def publishing(
    jobs: Jobs, store: ModelStore, job: str, reason: str, work: Callable[[Progress], T], show: Progress = quiet
) -> T:
    """Run what may publish a version, one at a time, and tell systems what came of it; raises what ``work`` raises."""
    with recorded(jobs, job, reason, TRAINING, show) as running:
        before, stored = store.active(), jobs.exports.stored(store)
        try:
            result = work(running.progress)
        except NothingToTrain:
            raise
        except Exception as error:
            running.tell(_failure(error, before, jobs.clock()))
            raise
        after = store.active()
        if after is not None and after != before:
            running.tell(Notice.of("model.published", after, before, jobs.clock()))
            running.export(store, after, before)
            jobs.exports.forget(store, stored)
        skipped = getattr(result, "reason", None)
        running.say("skipped" if skipped else "done", str(skipped or getattr(result, "version", "")))
    return result


TRAINING: Final = "train"
"""The lease of every job that makes versions."""


def seen(jobs: Jobs, count: int = KEPT) -> list[Run]:
    """The newest runs, newest first; one that says it runs while nobody holds its lease is lost.

    Raises JobStoreUnavailable.
    """
    doubted = {run.run_id for run in jobs.runs.runs(count) if run.outcome == "running" and not _alive(jobs, run)}
    # Read again: a run that ended meanwhile wrote its end before it gave back the lease.
    return [_lost(run, jobs.clock()) if run.run_id in doubted else run for run in jobs.runs.runs(count)]


def _alive(jobs: Jobs, run: Run) -> bool:
    held = jobs.lease.held(lease_of(run.job))
    return held is not None and held.token == run.token


def _lost(run: Run, now: float) -> Run:
    if run.outcome != "running":
        return run
    message = f"its process was gone at '{run.step}'; the next run goes on where the archive ends"
    return msgspec.structs.replace(run, outcome="lost", finished_at=datetime.fromtimestamp(now, UTC), message=message)


def lease_of(job: str) -> str:
    """The lease that a job runs under."""
    return TRAINING if job in TRAINS else job


TRAINS: Final = frozenset({"train", "train-incremental", "publish"})
"""Jobs that make versions."""


def _begun(jobs: Jobs, job: str, reason: str, token: int) -> Run:
    at = datetime.fromtimestamp(jobs.clock(), UTC)
    return Run(
        run_id=f"{at:%Y%m%dT%H%M%S%f}-{job}-{token}",
        job=job,
        reason=reason,
        started_at=at,
        holder=_holder(),
        token=token,
    )


def _clear(jobs: Jobs, own: Run, lease: str) -> None:
    """Mark what a crash left behind; whoever holds the lease knows that no other run of it lives."""
    try:
        for run in jobs.runs.runs(KEPT):
            if run.outcome == "running" and run.run_id != own.run_id and lease_of(run.job) == lease:
                jobs.runs.put(_lost(run, jobs.clock()))
        jobs.runs.expire(KEPT)
    except JobStoreUnavailable as error:
        _log.warning("old_runs_not_cleared", reason=str(error))


@contextmanager
def _renewed(lease: Lease, name: str, token: int, running: Running) -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(lease, name, token, running, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _renew(lease: Lease, name: str, token: int, running: Running, ended: threading.Event) -> None:
    pause = min(lease.seconds / 4, 60.0)
    while not ended.wait(pause):
        try:
            lease.renew(name, token)
        except LeaseLost as error:
            running.lost = error
            return
        except JobStoreUnavailable as error:  # the next try may be in time
            _log.warning("lease_not_renewed", job=name, reason=str(error))


def _outcome_of(error: BaseException) -> tuple[Outcome, str]:
    if isinstance(error, ModelRefused):
        return "refused", str(error)
    if isinstance(error, NothingToTrain):
        return "skipped", str(error)
    if isinstance(error, KeyboardInterrupt | GeneratorExit | SystemExit):
        return "stopped", "somebody ended it"
    return "failed", str(error) if isinstance(error, FreshetError) else f"{type(error).__name__}: {error}"


def _failure(error: Exception, before: str | None, at: float) -> Notice:
    kind: Kind = "training.refused" if isinstance(error, ModelRefused) else "training.failed"
    return Notice.of(kind, None, before, at, _outcome_of(error)[1])


def _holder() -> str:
    return f"pid {os.getpid()} on {socket.gethostname()}"
