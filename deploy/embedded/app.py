"""The embedded stack: collector, nearline loop and online API in one process, on SQLite files in one folder by default."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

from fastapi import FastAPI

from adapters.files.folder_lock import folder_lock
from adapters.registry import adapter
from deploy.config import settings_of_tier
from deploy.wiring.accounts import account_router
from deploy.wiring.console import embedded_sources
from deploy.wiring.dependencies import Dependencies, open_dependencies
from deploy.wiring.erasing import erasing
from deploy.wiring.online import open_stores
from deploy.wiring.rating_scale import with_noted_scale
from deploy.wiring.training import receive_in
from deploy.wiring.user_export import user_export_router
from ingest.config import IngestSettings
from ingest.http.routes import build_router as build_write_router
from ingest.main import hot_path, ingest_dependencies
from nearline.dead_letters import LogDeadLetterSink
from nearline.forgets import LogForgetSink
from nearline.loop import EmbeddedLoop
from nearline.passivation.guest_records import GuestRecords
from nearline.passivation.passivator import Passivation
from nearline.recovery.archive_reader import archive_reader
from nearline.recovery.refolding import Refolding
from nearline.snapshots.recording import RecordingStore
from nearline.snapshots.recovery import SnapshotRecovery
from nearline.snapshots.taking import SnapshotPolicy, SnapshotTaker
from offline.config import OfflineSettings
from offline.publishing.external_models import ExternalModel, ExternalModelKind
from offline.publishing.upload_api import build_router as build_models_router
from offline.publishing.upload_api import upload_api_of
from schemas.configuration.settings import SharedSettings, read_settings
from schemas.http.access.guard import Access
from schemas.log.records import LogEntry
from schemas.offline.manifest import Manifest
from schemas.ports import Appended, LogWriter
from serving.config import Settings as ServingSettings
from serving.main import create_app as create_serving_app


class Nearline(NamedTuple):
    """The log's writer, and the loop that folds the log."""

    writer: LogWriter
    loop: EmbeddedLoop

    def missing(self) -> str | None:
        """The reason why signals are not up to date; None if they are."""
        return None if self.loop.caught_up() else f"signals are {self.loop.lag():,} records behind the log"


class _WakingWriter:
    """A LogWriter that calls ``wake`` whenever the results of entries are known."""

    def __init__(self, writer: LogWriter, wake: Callable[[], None]) -> None:
        self._writer, self._wake = writer, wake

    def append(self, topic: str, entries: Sequence[LogEntry]) -> Future[list[Appended]]:
        """See LogWriter."""
        appended = self._writer.append(topic, entries)
        appended.add_done_callback(lambda _: self._wake())
        return appended

    def close(self) -> None:
        """See LogWriter."""
        self._writer.close()


@contextmanager
def nearline(settings: SharedSettings) -> Iterator[Nearline]:
    """Follow the log in a thread; raises FolderLocked, ConfigurationInvalid, LogUnavailable."""
    with folder_lock(settings.data), open_dependencies(settings) as dependencies:
        writer = _WakingWriter(dependencies.writer, lambda: loop.wake())  # noqa: PLW0108 - the loop is made after its writer
        reader, dead_letters = dependencies.reader, LogDeadLetterSink(writer, time.time)
        archive = archive_reader(dependencies.archive, reader)
        store, recovery = RecordingStore(dependencies.signals), _recovery(settings)
        forgets = LogForgetSink(writer)
        records = GuestRecords(dependencies.archive, lambda: Dependencies(settings, ExitStack()).reader)
        loop = EmbeddedLoop(
            reader,
            store,
            dead_letters,
            time.time,
            archive=archive,
            recovery=recovery,
            forgets=forgets,
            in_parts=settings.values_in_parts,
            passivation=Passivation(records, settings.idle_guest_days),
        )
        stop = threading.Event()
        thread = threading.Thread(target=loop.run, args=(stop,), name="nearline", daemon=True)
        thread.start()
        taker = _snapshot_taker(settings, loop, store)
        try:
            with erasing(settings_of_tier(IngestSettings, settings), time.time, partial(_refold, settings, loop)):
                yield Nearline(writer, loop)
        finally:
            if taker is not None:
                taker.stop()
            stop.set()
            loop.wake()
            thread.join()


def _refold(settings: SharedSettings, loop: EmbeddedLoop, partition: int) -> None:
    """Folds the aggregates of a partition again, for the most part beside the loop, through connections of its own."""
    with open_dependencies(settings) as opened:
        archive = archive_reader(opened.archive, opened.reader)
        refolding = Refolding(partition, opened.reader, archive, opened.signals)
        if refolding.approach():
            loop.refold(refolding, partition)


def _recovery(settings: SharedSettings) -> SnapshotRecovery | None:
    opened = Dependencies(settings, ExitStack())
    if opened.snapshots is None:
        return None
    archive = archive_reader(opened.archive, opened.reader)
    return SnapshotRecovery(opened.snapshots, lambda: Dependencies(settings, ExitStack()).signals, archive)


def _snapshot_taker(settings: SharedSettings, loop: EmbeddedLoop, store: RecordingStore) -> SnapshotTaker | None:
    """Takes snapshots in a thread, through a connection of its own, where the settings name a place for them."""
    opened = Dependencies(settings, ExitStack())
    if opened.snapshots is None:
        return None
    policy = SnapshotPolicy.of(settings)
    taker = SnapshotTaker(lambda: loop.workers, store, opened.signals, opened.snapshots, policy, time.time)
    taker.start()
    return taker


def create_app(running: Nearline, settings: ServingSettings, access: Access | None = None) -> FastAPI:
    """The application of both APIs and the page, on one origin, over the stores that the settings name.

    Without ``access`` everybody may call.
    """
    with open_dependencies(settings) as dependencies:
        settings = with_noted_scale(settings, dependencies.documents)
    ingest_settings = settings_of_tier(IngestSettings, settings)
    documents = adapter(settings.models_address).documents(settings.models_address)
    write_api = ingest_dependencies(ingest_settings, running.writer, documents)
    upload_api = upload_api_of(read_settings(OfflineSettings), partial(_receive, settings))
    app = create_serving_app(
        settings,
        open_stores(settings),
        lag_reason=running.missing,
        routers=[
            build_write_router(write_api),
            *([build_models_router(upload_api)] if upload_api else []),
            *([account_router(settings, access)] if access else []),
        ],
        views=[user_export_router(settings, access)],
        hot_paths=[hot_path(write_api)],
        access=access,
        console=embedded_sources(settings),
    )
    app.title = "Freshet"
    return app


def _receive(settings: SharedSettings, kind: ExternalModelKind, model: ExternalModel) -> Manifest:
    with open_dependencies(settings) as dependencies:
        return receive_in(dependencies, kind, model, reason="sent by HTTP")
