"""The run of a job: holds a lease, records progress and outcome, and sends notices."""

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
from offline.publishing.webhooks import Notice, NoticeKind, Tell, nobody
from schemas.errors import FreshetError, JobStoreUnavailable, LeaseLost, LeaseTaken, ModelRefused, NothingToTrain
from schemas.offline.jobs import Run, RunOutcome
from schemas.ports import Clock, Lease, ModelStore, RunStore

T = TypeVar("T")

KEPT: Final = 200
"""Maximum number of stored runs."""
_PAUSE: Final = 1.0
"""Minimum seconds between two progress writes of one step, and between two attempts to get a further lease."""
_ATTEMPTS: Final = 60
"""Attempts to get a further lease."""
_log = structlog.get_logger()


class Jobs(NamedTuple):
    """Ports that runs use."""

    lease: Lease
    runs: RunStore
    clock: Clock
    tell: Tell = nobody
    """Sends a notice of a model change. Returns the number of failed deliveries."""
    exports: Exports = Exports()
    """Exports versions that became active. A failed export does not affect the version."""


class Running:
    """An active run. It writes its record during the work. Thread-safe."""

    def __init__(self, jobs: Jobs, run: Run, show: Progress = quiet) -> None:
        self._jobs, self._show, self._steady = jobs, show, time.monotonic
        self._lock = threading.Lock()
        self._written = 0.0
        self.run = run
        self.lost: LeaseLost | None = None
        self._put()

    def progress(self, step: str, done: int, total: int) -> None:
        """Records progress. Raises LeaseLost if another run may have taken the lease, so that this run ends."""
        if self.lost is not None:
            raise self.lost
        self._show(step, done, total)
        with self._lock:
            due = step != self.run.step or self._steady() - self._written >= _PAUSE
            self.run = msgspec.structs.replace(self.run, step=step, done=done, total=total)
            if due:
                self._put()

    def say(self, outcome: RunOutcome, message: str) -> None:
        """Sets the outcome of the run. A later failure overrides it."""
        self.run = msgspec.structs.replace(self.run, outcome=outcome, message=message)

    def tell(self, notice: Notice) -> None:
        """Sends a notice. Failed deliveries are counted in the record."""
        missed = self.run.undelivered + self._jobs.tell(notice)
        self.run = msgspec.structs.replace(self.run, undelivered=missed)

    def export(self, store: ModelStore, version: str, before: str | None) -> None:
        """Exports a version. Failures are recorded, and a notice is sent for each."""
        failures = self._jobs.exports.export(store, version)
        self.run = msgspec.structs.replace(self.run, unexported=(*self.run.unexported, *failures))
        for failure in failures:
            self.tell(Notice.of("export.failed", version, before, self._jobs.clock(), failure))

    def note_expired(self, count: int) -> None:
        """Records how many events a retention removed."""
        self.run = msgspec.structs.replace(self.run, expired=count)

    def end(self) -> None:
        """Writes the outcome."""
        with self._lock:
            ended = datetime.fromtimestamp(self._jobs.clock(), UTC)
            outcome = "done" if self.run.outcome == "running" else self.run.outcome
            self.run = msgspec.structs.replace(self.run, finished_at=ended, outcome=outcome)
            self._put()
        _log.info("job_ended", job=self.run.job, outcome=self.run.outcome, message=self.run.message)

    def _put(self) -> None:
        """Writes the record. A failure is only logged, so that the work continues."""
        self._written = self._steady()
        try:
            self._jobs.runs.put(self.run)
        except JobStoreUnavailable as error:
            _log.warning("run_not_recorded", job=self.run.job, reason=str(error))


@contextmanager
def recorded(jobs: Jobs, job: str, reason: str, lease: str | None = None, show: Progress = quiet) -> Iterator[Running]:
    """Runs a job under the lease of its name (or ``lease``, which several jobs may share), and records the run.

    An exception of the block is recorded and raised again. Runs of that lease whose process is gone are marked as
    lost, and old records are removed. Raises LeaseTaken, JobStoreUnavailable.
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


@contextmanager
def leased(jobs: Jobs, name: str, running: Running, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Holds a further lease for a part of a run; waits for it. Raises LeaseTaken if another process keeps it too long."""
    token = _acquired(jobs, name, sleep)
    try:
        with _renewed(jobs.lease, name, token, running):
            yield
    finally:
        jobs.lease.release(name, token)


def _acquired(jobs: Jobs, name: str, sleep: Callable[[float], None]) -> int:
    for _ in range(_ATTEMPTS):
        try:
            return jobs.lease.acquire(name, _holder(), jobs.clock())
        except LeaseTaken:
            sleep(_PAUSE)
    return jobs.lease.acquire(name, _holder(), jobs.clock())


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
    """Runs work that may publish a version, under one shared lease, and sends notices. Raises what ``work`` raises."""
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
"""The lease of every job that creates versions."""


def seen(jobs: Jobs, count: int = KEPT) -> list[Run]:
    """Returns the newest runs, newest first. A running one whose lease nobody holds is shown as lost.

    Raises JobStoreUnavailable.
    """
    doubted = {run.run_id for run in jobs.runs.runs(count) if run.outcome == "running" and not _alive(jobs, run)}
    # Read again: a run that ended meanwhile wrote its outcome before it released the lease.
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
    """Returns the lease of a job."""
    return TRAINING if job in TRAINS else job


TRAINS: Final = frozenset({"train", "train-incremental", "publish"})
"""Jobs that create versions."""


def _begun(jobs: Jobs, job: str, reason: str, token: int) -> Run:
    started_at = datetime.fromtimestamp(jobs.clock(), UTC)
    return Run(
        run_id=f"{started_at:%Y%m%dT%H%M%S%f}-{job}-{token}",
        job=job,
        reason=reason,
        started_at=started_at,
        holder=_holder(),
        token=token,
    )


def _clear(jobs: Jobs, own: Run, lease: str) -> None:
    """Marks runs of a crashed process as lost. The holder of the lease knows that no other run of it is active."""
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


def _outcome_of(error: BaseException) -> tuple[RunOutcome, str]:
    if isinstance(error, ModelRefused):
        return "refused", str(error)
    if isinstance(error, NothingToTrain):
        return "skipped", str(error)
    if isinstance(error, KeyboardInterrupt | GeneratorExit | SystemExit):
        return "stopped", "somebody ended it"
    return "failed", str(error) if isinstance(error, FreshetError) else f"{type(error).__name__}: {error}"


def _failure(error: Exception, before: str | None, now: float) -> Notice:
    kind: NoticeKind = "training.refused" if isinstance(error, ModelRefused) else "training.failed"
    return Notice.of(kind, None, before, now, _outcome_of(error)[1])


def _holder() -> str:
    return f"pid {os.getpid()} on {socket.gethostname()}"
