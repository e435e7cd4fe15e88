"""The embedded stack: collector, nearline loop and online API in one process, on SQLite files in one folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI

from adapters.folder_lock import folder_lock
from adapters.parquet_archive import ParquetArchive
from adapters.sqlite_jobs import SqliteDocuments
from adapters.sqlite_log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite_models import SqliteListReader, SqliteModelStore
from adapters.sqlite_signals import SqliteSignalReader, SqliteSignalStore
from deploy.config import Settings
from deploy.wiring.dependencies import open_parts
from deploy.wiring.training import receive_in
from ingest.config import IngestSettings
from ingest.http.routes import build_router as build_write_router
from ingest.main import parts_of
from nearline.archive_reader import archive_reader
from nearline.dead_letters import LogDeadLetterSink
from nearline.loop import EmbeddedLoop
from offline.config import OfflineSettings
from offline.main import door_of
from offline.publishing.external_models import Kind, Made
from offline.publishing.upload_api import build_router as build_models_router
from schemas.manifest import Manifest
from schemas.ports import LogWriter
from schemas.settings import read_settings
from serving.config import Settings as ServingSettings
from serving.main import create_app as create_serving_app
from serving.service.service import Stores


class Nearline(NamedTuple):
    """The log's writer and the loop that follows it."""

    writer: LogWriter
    loop: EmbeddedLoop

    def missing(self) -> str | None:
        """What the signals still wait for."""
        return None if self.loop.caught_up() else f"signals are {self.loop.lag():,} records behind the log"


@contextmanager
def nearline(folder: Path, partitions: int) -> Iterator[Nearline]:
    """Follow the folder's log in a thread; raises FolderLocked, ConfigurationInvalid, LogUnavailable."""
    with folder_lock(folder), ExitStack() as closing:
        writer = SqliteLogWriter(folder, partitions, on_append=lambda: loop.wake())  # noqa: PLW0108 - the loop is made after its writer
        closing.callback(writer.close)
        reader, store = SqliteLogReader(folder), SqliteSignalStore(folder)
        closing.callback(reader.close)
        closing.callback(store.close)
        archive = archive_reader(ParquetArchive(read_settings(Settings).archive or folder / "archive"), reader)
        loop = EmbeddedLoop(reader, store, LogDeadLetterSink(writer, time.time), time.time, archive=archive)
        stop = threading.Event()
        thread = threading.Thread(target=loop.run, args=(stop,), name="nearline", daemon=True)
        thread.start()
        try:
            yield Nearline(writer, loop)
        finally:
            stop.set()
            loop.wake()
            thread.join()


def create_app(folder: Path, running: Nearline, settings: ServingSettings) -> FastAPI:
    """The application of both APIs and the page, on one origin."""
    stores = Stores(
        signals=SqliteSignalReader(folder),
        lists=SqliteListReader(folder),
        models=SqliteModelStore(folder),
        log=running.writer if settings.decisions else None,
        documents=SqliteDocuments(folder),
    )
    app = create_serving_app(settings, stores, caught_up=running.missing)
    app.title = "Freshet"
    app.include_router(build_write_router(parts_of(read_settings(IngestSettings), running.writer)))
    door = door_of(read_settings(OfflineSettings), partial(_receive, folder))
    if door is not None:
        app.include_router(build_models_router(door))
    return app


def _receive(folder: Path, kind: Kind, made: Made) -> Manifest:
    with open_parts(folder, read_settings(Settings)) as parts:
        return receive_in(parts, kind, made, reason="sent by HTTP")
