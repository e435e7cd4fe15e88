"""Opens what the console reads: the log, its answers, and what other processes of a cluster measure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

from fastapi import APIRouter

from deploy.config import settings_of_tier
from deploy.processes.schedule import JobProcess
from deploy.wiring.dependencies import Dependencies, open_dependencies
from deploy.wiring.job_logs import job_log
from deploy.wiring.training import jobs_of
from ingest.config import IngestSettings
from ingest.http.access_api import AccessApi, AccessParts, build_access_api_router
from ingest.http.letters import LetterParts, LettersApi, build_letters_router
from ingest.main import site_policy
from offline.jobs.models_api import ModelParts, ModelsApi, build_models_api_router
from offline.jobs.runs import lease_of
from offline.jobs.schedule import Due
from schemas.configuration.settings import SharedSettings
from schemas.errors import FreshetError, LeaseTaken
from schemas.ports import LogReader, SignalStore
from serving.console.log_progress import LogProgress
from serving.console.recent import LogParts
from serving.console.sources import ConsoleSources

_TRAIN: Final = "train"
Open = Callable[[], AbstractContextManager[Dependencies]]
_OF_WORKERS: Final = ("freshness_p50", "freshness_p99", "rejected_per_second")
"""Figures that a cluster's collectors and workers measure; Prometheus reads them there."""


def embedded_sources(settings: SharedSettings) -> ConsoleSources:
    """The sources of a process that runs every tier. Files are opened for each call, which takes a millisecond."""
    open_: Open = partial(open_dependencies, settings)
    return ConsoleSources(partial(_open_log, open_), routers=_routers(settings, open_))


@contextmanager
def cluster_sources(settings: SharedSettings) -> Iterator[ConsoleSources]:
    """The sources of the online API of a cluster, whose connections stay open until the end."""
    held = HeldDependencies(settings)
    progress = LogProgress(partial(_open_both, held.open))
    progress.start()
    try:
        routers = _routers(settings, held.open)
        yield ConsoleSources(partial(_open_log, held.open), progress, _OF_WORKERS, routers)
    finally:
        progress.stop()
        held.close()


class HeldDependencies:
    """Dependencies that stay open between calls, one call at a time. After an error they are opened anew."""

    def __init__(self, settings: SharedSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: ExitStack | None = None
        self._dependencies: Dependencies | None = None

    @contextmanager
    def open(self) -> Iterator[Dependencies]:
        """The dependencies, for one call. Raises what opening raises."""
        with self._lock:
            if self._dependencies is None:
                self._opened = ExitStack()
                self._dependencies = Dependencies(self._settings, self._opened)
            try:
                yield self._dependencies
            except FreshetError:
                self._close()
                raise

    def close(self) -> None:
        """Closes what is open."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        opened, self._opened, self._dependencies = self._opened, None, None
        if opened is not None:
            opened.close()


def _routers(settings: SharedSettings, open_: Open) -> tuple[APIRouter, ...]:
    """The calls of other tiers that the console uses, over the stores that ``open_`` opens."""
    log_of, start = partial(job_log, settings.data), partial(_start_training, settings, open_)
    letters = LettersApi(partial(_open_letters, settings, open_), time.time)
    return (
        build_letters_router(letters),
        build_access_api_router(AccessApi(partial(_open_access_log, open_), time.time)),
        build_models_api_router(ModelsApi(partial(_open_models, open_), start, log_of)),
    )


@contextmanager
def _open_letters(settings: SharedSettings, open_: Open) -> Iterator[LetterParts]:
    # The log has pseudonyms already, and they would get pseudonyms of their own.
    policy = site_policy(settings_of_tier(IngestSettings, settings))._replace(pseudonyms=None)
    with open_() as dependencies:
        yield LetterParts(dependencies.reader, lambda: dependencies.writer, policy)


@contextmanager
def _open_access_log(open_: Open) -> Iterator[AccessParts]:
    with open_() as opened:
        yield AccessParts(opened.reader, lambda: opened.writer)


@contextmanager
def _open_models(open_: Open) -> Iterator[ModelParts]:
    with open_() as opened:
        yield ModelParts(opened.models, lambda: opened.writer, opened.documents, jobs_of(opened))


def _start_training(settings: SharedSettings, open_: Open, reason: str) -> None:
    """Starts a process that trains. Raises LeaseTaken if one does already."""
    with open_() as opened:
        held = jobs_of(opened).lease.held(lease_of(_TRAIN))
    if held is not None:
        raise LeaseTaken(_TRAIN, held.holder, datetime.fromtimestamp(held.since, UTC))
    process = JobProcess(settings.data, settings.stack)
    threading.Thread(target=process.run, args=(Due(_TRAIN, "time", reason),), name="training", daemon=True).start()


@contextmanager
def _open_log(open_: Open) -> Iterator[LogParts]:
    with open_() as dependencies:
        yield LogParts(dependencies.reader, dependencies.answers)


@contextmanager
def _open_both(open_: Open) -> Iterator[tuple[LogReader, SignalStore]]:
    with open_() as dependencies:
        yield dependencies.reader, dependencies.signals
