"""Runs jobs when they are due, one after the other. Each job is a process of its own with low priority."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from deploy.config import CommandSettings
from deploy.wiring.dependencies import Dependencies, open_dependencies
from deploy.wiring.job_logs import job_log
from deploy.wiring.training import jobs_of
from offline import metrics
from offline.config import OfflineSettings
from offline.jobs import drift_job
from offline.jobs.runs import Jobs, lease_of, seen
from offline.jobs.schedule import Due, SchedulePolicy, ScheduleState, due, look
from schemas.background import BackgroundTask
from schemas.configuration.settings import read_settings
from schemas.errors import FreshetError
from schemas.offline.jobs import WELL, Run

LOOK_SECONDS: Final = 10.0
NICE: Final = 10
"""The niceness of a job's process, so that serving has priority; see nice(1)."""
_STOP_SECONDS: Final = 20.0
_LOG_BYTES: Final = 4_000_000
_ENDS: Final = ("done", "skipped", "refused", "failed", "stopped", "lost")

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "archive": ("archive",),
    "train": ("train",),
    "train-incremental": ("train", "--incremental"),
    "drift": ("jobs", "drift"),
    "statistics": ("statistics",),
    "retention": ("retention",),
    "rebuild": ("rebuild", "signals"),
}
"""The arguments of ``freshet`` that run each job."""

_log = structlog.get_logger(__name__)


class JobProcess:
    """Runs one process at a time. Its output goes to ``<folder>/logs/<job>.log``."""

    def __init__(self, folder: Path, stack: str) -> None:
        self._folder, self._stack = folder, stack
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()

    def run(self, job: Due) -> int:
        """Runs a job to its end; returns its exit code, or minus the signal that ended it."""
        output = self.log_of(job.job)
        if output.exists() and output.stat().st_size > _LOG_BYTES:
            output.replace(output.with_suffix(".log.1"))
        with output.open("ab") as log:
            self._process = subprocess.Popen(self._command(job), stdout=log, stderr=log, start_new_session=True)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICE)
            if self._stopping.is_set():
                self._end()
            return self._process.wait()

    def stop(self) -> None:
        """Ends the running process, and every process that starts later."""
        self._stopping.set()
        self._end()

    def log_of(self, job: str) -> Path:
        """The file of a job's output."""
        return job_log(self._folder, job)

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)  # which its record calls stopped
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()

    def _command(self, job: Due) -> list[str]:
        where = ["--data", str(self._folder), "--stack", self._stack, "--reason", job.reason]
        return [sys.executable, "-m", "deploy.commands.cli", *COMMANDS[job.job], *where]


class Schedule:
    """Finds the jobs that are due, and runs them; ``run`` runs a job and returns its exit code."""

    def __init__(
        self,
        dependencies: Dependencies,
        jobs: Jobs,
        policy: SchedulePolicy,
        run: Callable[[Due], int],
        log_of: Callable[[str], Path],
    ) -> None:
        self._dependencies, self._jobs, self._policy, self._run, self._log_of = dependencies, jobs, policy, run, log_of
        self._measured: set[str] = set()
        self._looked = False
        """True once the records of runs have been read. What ended before is no increase of a counter."""
        self._stopped = threading.Event()
        self._task = BackgroundTask("the schedule")
        for job in COMMANDS:
            for outcome in _ENDS:
                metrics.JOB_RUNS.labels(job, outcome)

    def stop(self) -> None:
        """Starts no further jobs."""
        self._stopped.set()

    def look(self) -> None:
        """Looks once, and runs the jobs that are due. A store that does not answer is read again at the next look."""
        with self._task.step():
            self._look()

    def _look(self) -> None:
        try:
            now = self._look_at_state()
            metrics.SCHEDULE_LOOKED_AT.set(now.now)
            for job in due(self._policy, now):
                if self._stopped.is_set() or self._jobs.lease.held(lease_of(job.job)) is not None:
                    continue
                self._begin(job)
        except (FreshetError, OSError) as error:
            _log.warning("schedule_waits", reason=str(error))

    def _begin(self, job: Due) -> None:
        _log.info("job_is_due", job=job.job, cause=job.cause, reason=job.reason)
        metrics.JOBS_DUE.labels(job.job, job.cause).inc()
        began = self._jobs.clock()
        code = self._run(job)
        if code and not self._stopped.is_set():
            self._note_silent_failure(job, began, code)
        self._measure(self._runs())

    def _look_at_state(self) -> ScheduleState:
        runs = self._runs()
        self._measure(runs)
        dependencies = self._dependencies
        now = look(
            dependencies.reader,
            dependencies.archive,
            dependencies.models,
            dependencies.documents,
            runs,
            self._jobs.clock(),
        )
        report = drift_job.last_report(dependencies.documents)
        fresh = report is not None and now.full is not None and report.at.timestamp() > now.full.trained_at
        return replace(now, drift=report.reasons if report is not None and fresh else ())

    def _runs(self) -> list[Run]:
        """All recorded runs. A run that is newly found to be lost is recorded as lost."""
        runs = seen(self._jobs)
        for run in runs:
            if run.outcome == "lost" and run.run_id not in self._measured:
                self._jobs.runs.put(run)
        return runs

    def _note_silent_failure(self, job: Due, began: float, code: int) -> None:
        """Writes a record for a process that failed before it wrote one. Otherwise the job would start again at once."""
        started_at = datetime.fromtimestamp(began, UTC)
        if any(run.job == job.job and run.started_at >= started_at for run in self._jobs.runs.runs()):
            return
        ended = datetime.fromtimestamp(self._jobs.clock(), UTC)
        self._jobs.runs.put(
            Run(
                run_id=f"{started_at:%Y%m%dT%H%M%S%f}-{job.job}-0",
                job=job.job,
                reason=job.reason,
                started_at=started_at,
                finished_at=ended,
                holder="the schedule",
                token=0,
                outcome="failed",
                message=_last_line(self._log_of(job.job)) or f"it ended with exit code {code}",
            )
        )

    def _measure(self, runs: Sequence[Run]) -> None:
        running = {run.job for run in runs if run.outcome == "running"}
        for job in COMMANDS:
            metrics.JOB_RUNNING.labels(job).set(job in running)
        for run in sorted(runs, key=lambda run: run.run_id):
            if run.finished_at is None or run.run_id in self._measured:
                continue
            self._measured.add(run.run_id)
            metrics.JOB_SECONDS.labels(run.job).set((run.finished_at - run.started_at).total_seconds())
            if run.outcome in WELL:
                metrics.JOB_SUCCEEDED_AT.labels(run.job).set(run.finished_at.timestamp())
            if self._looked:
                metrics.JOB_RUNS.labels(run.job, run.outcome).inc()
                metrics.JOB_UNDELIVERED.inc(run.undelivered)
                metrics.JOB_UNEXPORTED.inc(len(run.unexported))
                metrics.EVENTS_EXPIRED.inc(run.expired)
        self._looked = True


@contextmanager
def scheduling(settings: CommandSettings, seconds: float = LOOK_SECONDS) -> Iterator[Schedule]:
    """Looks every ``seconds`` from a thread, until the block ends. A running job is ended then.

    Raises ConfigurationInvalid.
    """
    # The scheduler warns if a look takes longer than the pause. A look that runs a training always does.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    policy = SchedulePolicy.of(read_settings(OfflineSettings))
    with open_dependencies(settings) as dependencies:
        child = JobProcess(settings.data, settings.stack)
        schedule = Schedule(dependencies, jobs_of(dependencies), policy, child.run, child.log_of)
        timer = BackgroundScheduler(timezone=UTC)
        timer.add_job(
            schedule.look, "interval", seconds=seconds, next_run_time=datetime.now(UTC), max_instances=1, coalesce=True
        )
        timer.start()
        try:
            yield schedule
        finally:
            schedule.stop()
            child.stop()
            timer.shutdown(wait=True)


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
