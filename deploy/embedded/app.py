"""The embedded stack: collector, nearline loop and online API in one process, on SQLite files in one folder."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from adapters.folder_lock import folder_lock
from adapters.sqlite_log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite_models import SqliteListReader, SqliteModelStore
from adapters.sqlite_signals import SqliteSignalReader, SqliteSignalStore
from ingest.api import build_router as build_write_router
from ingest.config import IngestSettings
from ingest.main import parts_of
from nearline.loop import EmbeddedLoop
from nearline.refuse import LogRefuser
from schemas.ports import LogWriter
from serving.api import build_router as build_read_router
from serving.config import Settings as ServingSettings
from serving.problems import problem
from serving.service import ServingService, Stores
from serving.web.router import build_web_router


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
        loop = EmbeddedLoop(reader, store, LogRefuser(writer, time.time), time.time)
        stop = threading.Event()
        thread = threading.Thread(target=loop.run, args=(stop,), name="nearline", daemon=True)
        thread.start()
        try:
            yield Nearline(writer, loop)
        finally:
            stop.set()
            loop.wake()
            thread.join()


def create_app(folder: Path, running: Nearline) -> FastAPI:
    """The application of both APIs and the page, on one origin."""
    settings = ServingSettings()
    stores = Stores(
        signals=SqliteSignalReader(folder),
        lists=SqliteListReader(folder),
        models=SqliteModelStore(folder),
        log=running.writer if settings.decisions else None,
    )
    service = ServingService(stores, settings, caught_up=running.missing)
    app = FastAPI(title="Freshet", version="1", lifespan=_serving(service, stores))
    app.include_router(build_write_router(parts_of(IngestSettings(), running.writer)))
    app.include_router(build_web_router(service))
    app.include_router(build_read_router(service))
    app.add_exception_handler(HTTPException, _as_problem)
    return app


def _serving(service: ServingService, stores: Stores) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()
        await stores.signals.close()
        await stores.lists.close()
        await run_in_threadpool(stores.models.close)

    return lifespan


async def _as_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "http", str(error.detail))
