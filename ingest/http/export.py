"""Export of what is held on a user, over HTTP: the zip is made in a thread of its own, a chunk whenever one can be sent."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ingest.http import openapi
from ingest.http.openapi import PathId
from ingest.privacy.export.stores import Check, ExportStores
from ingest.privacy.export.zipped import export_chunks
from ingest.validation.validate import Rejection, check_id
from schemas.access.audit import AuditRecord, user_label
from schemas.access.scopes import ADMIN_ONLY, needs
from schemas.errors import ExportStopped, FreshetError
from schemas.http.access.audit import AuditLog
from schemas.http.access.callers import address_of, principal_of
from schemas.http.problems import ProblemError, as_response
from schemas.ports import Clock

_LOG = structlog.get_logger(__name__)
_BUSY_SECONDS: Final = 30
"""What Retry-After says while another export runs."""
_HEADERS: Final = {"Content-Disposition": 'attachment; filename="export.zip"', "Cache-Control": "no-store"}
ChunksOf = Callable[[Check], Iterator[bytes]]


class ExportDependencies(NamedTuple):
    """What an export reads, and the audit log that records it."""

    open_stores: Callable[[], AbstractContextManager[ExportStores]]
    audit: AuditLog | None
    clock: Clock
    seconds: float
    """Longest time of an export."""


def build_export_router(dependencies: ExportDependencies) -> APIRouter:
    """The route of exports. One export at a time runs in a process."""
    router, slot = APIRouter(), threading.Lock()

    @router.get("/v1/users/{user_id:path}/export", name="export", **openapi.EXPORT_USER)
    @needs(ADMIN_ONLY)
    async def export_user(user_id: PathId, request: Request) -> Response:
        try:
            _check_id(user_id)
            export = _begin(dependencies, user_id, slot)
            first = await _first_chunk(export)
        except ProblemError as error:
            return as_response(error)
        try:
            await _record(dependencies, user_id, request)
        except BaseException:
            export.close()
            raise
        return _ExportResponse(export, first, dependencies.seconds)

    return router


class RunningExport:
    """An export whose stores and zip belong to one thread."""

    def __init__(self, chunks_of: ChunksOf, seconds: float, release: Callable[[], None]) -> None:
        """``release`` is called once the thread has closed everything."""
        self._release = release
        self._stopped, self._is_closed = threading.Event(), False
        self._deadline = time.monotonic() + seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="export")
        self._chunks = chunks_of(self.check)

    def check(self) -> None:
        """Raises ExportStopped if nobody reads the export any more, or its time is over."""
        if self._stopped.is_set():
            raise ExportStopped("the client has gone away")
        if time.monotonic() > self._deadline:
            raise ExportStopped("it took too long: raise FRESHET_USER_EXPORT_MINUTES")

    async def chunk(self) -> bytes:
        """The next chunk; empty at the end. Raises FreshetError, OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, next, self._chunks, b"")

    def close(self) -> None:
        """Stops the thread at its next batch of records. Returns at once; it may be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stopped.set()
        self._thread.submit(self._finish)
        self._thread.shutdown(wait=False)

    def _finish(self) -> None:
        try:
            close: Callable[[], None] = getattr(self._chunks, "close", lambda: None)
            close()
        except (FreshetError, OSError) as error:
            _LOG.warning("export_not_closed", reason=str(error))
        finally:
            self._release()


class _ExportResponse(StreamingResponse):
    """Sends the chunks of an export. What fails on the way ends the connection, so that a cut zip is not taken for whole."""

    media_type = "application/zip"

    def __init__(self, export: RunningExport, first: bytes, seconds: float) -> None:
        super().__init__(_rest(export, first), headers=_HEADERS)
        self._export, self._seconds = export, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ends with the export's time at the latest, also if the client reads nothing."""
        try:
            async with asyncio.timeout(self._seconds):
                await super().__call__(scope, receive, send)
        finally:
            self._export.close()


async def _rest(export: RunningExport, first: bytes) -> AsyncIterator[bytes]:
    chunk = first
    while chunk:
        yield chunk
        try:
            chunk = await export.chunk()
        except (FreshetError, OSError) as error:
            _LOG.warning("export_broken", reason=str(error))
            # Starlette takes an OSError for a client that has gone away.
            raise ExportStopped(f"the export has broken off: {error}") from error


def _check_id(user_id: str) -> None:
    try:
        check_id(user_id, "user_id")
    except Rejection as error:
        raise ProblemError(400, error.code, error.detail, field=error.field) from error


def _begin(dependencies: ExportDependencies, user_id: str, slot: threading.Lock) -> RunningExport:
    if not slot.acquire(blocking=False):
        detail = "another export runs in this process: one at a time may; ask again when it has ended"
        raise ProblemError(429, "export-runs", detail, headers={"Retry-After": str(_BUSY_SECONDS)})

    def chunks_of(check: Check) -> Iterator[bytes]:
        return export_chunks(dependencies.open_stores, user_id, dependencies.clock, check)

    return RunningExport(chunks_of, dependencies.seconds, slot.release)


async def _first_chunk(export: RunningExport) -> bytes:
    try:
        return await export.chunk()
    except BaseException as error:
        export.close()
        if not isinstance(error, FreshetError | OSError):
            raise
        detail = f"what is held cannot be read now ({error}); ask again"
        raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "5"}) from error


async def _record(dependencies: ExportDependencies, user_id: str, request: Request) -> None:
    """An export changes nothing, but who took all that is known of a person is on record."""
    if dependencies.audit is None:
        return
    principal = principal_of(request.scope)
    await dependencies.audit(
        AuditRecord(
            at=dependencies.clock(),
            actor_kind=principal.kind,
            actor=principal.who,
            action="export user",
            target=user_label(user_id),
            address=address_of(request.scope),
        )
    )
