"""Opens what the console reads: the log, its answers, and what other processes of a cluster measure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Final

from deploy.wiring.dependencies import Dependencies, open_dependencies
from schemas.configuration.settings import SharedSettings
from schemas.errors import FreshetError
from schemas.ports import LogReader, SignalStore
from serving.console.log_progress import LogProgress
from serving.console.recent import LogParts
from serving.console.sources import ConsoleSources

Open = Callable[[], AbstractContextManager[Dependencies]]
_OF_WORKERS: Final = ("freshness_p50", "freshness_p99", "rejected_per_second")
"""Figures that a cluster's collectors and workers measure; Prometheus reads them there."""


def embedded_sources(settings: SharedSettings) -> ConsoleSources:
    """The sources of a process that runs every tier. Files are opened for each call, which takes a millisecond."""
    return ConsoleSources(partial(_open_log, partial(open_dependencies, settings)))


@contextmanager
def cluster_sources(settings: SharedSettings) -> Iterator[ConsoleSources]:
    """The sources of the online API of a cluster, whose connections stay open until the end."""
    held = HeldDependencies(settings)
    progress = LogProgress(partial(_open_both, held.open))
    progress.start()
    try:
        yield ConsoleSources(partial(_open_log, held.open), progress, _OF_WORKERS)
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


@contextmanager
def _open_log(open_: Open) -> Iterator[LogParts]:
    with open_() as dependencies:
        yield LogParts(dependencies.reader, dependencies.answers)


@contextmanager
def _open_both(open_: Open) -> Iterator[tuple[LogReader, SignalStore]]:
    with open_() as dependencies:
        yield dependencies.reader, dependencies.signals
