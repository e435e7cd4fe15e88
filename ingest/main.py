"""The collector as a process of its own: ``python -m ingest.main`` (port 8001)."""

from __future__ import annotations

import socket
import sys
import threading
import time
import uuid

import orjson
import structlog
from fastapi import FastAPI, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.cors import CORSMiddleware
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from adapters import http_server
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.variables import warn_of_variables_without_effect
from ingest.config import IngestSettings
from ingest.http.limits import RateLimiter
from ingest.http.routes import IngestDependencies, build_router, events_are_sent, events_endpoint
from ingest.validation.validate import Policy, policy
from schemas.background import failing
from schemas.errors import FreshetError, LogUnavailable
from schemas.http.described import PLAIN_TEXT, READINESS
from schemas.http.fallback import http_exception_as_problem
from schemas.http.hot_path import HotPathMiddleware
from schemas.http.utf8 import Utf8Middleware
from schemas.log import topics
from schemas.ports import LogReader, LogWriter
from schemas.rating_scale import RatingScale, scale_of
from schemas.settings import read_settings

_LOG = structlog.get_logger(__name__)


def create_app(settings: IngestSettings, writer: LogWriter, reader: LogReader) -> FastAPI:
    """The collector's application over a log. The caller closes the log."""
    app = FastAPI(title="Freshet collector", version="1")
    dependencies = ingest_dependencies(settings, writer)
    app.include_router(build_router(dependencies))
    _add_operations(app, reader)
    app.add_exception_handler(HTTPException, http_exception_as_problem)
    app.add_middleware(HotPathMiddleware, takes=events_are_sent, endpoint=events_endpoint(dependencies))
    app.add_middleware(Utf8Middleware)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Retry-After"],
        )
    return app


def ingest_dependencies(settings: IngestSettings, writer: LogWriter) -> IngestDependencies:
    """The dependencies of the write API, built from the settings; raises ConfigurationInvalid."""
    limiter = RateLimiter(settings.rate_limit, settings.rate_burst, time.monotonic) if settings.rate_limit else None
    return IngestDependencies(
        writer=writer,
        clock=time.time,
        new_id=lambda: str(uuid.uuid4()),
        policy=site_policy(settings),
        limiter=limiter,
        append_seconds=settings.append_seconds,
        retry_seconds=settings.retry_seconds,
    )


def site_policy(settings: IngestSettings, scale: RatingScale | None = None) -> Policy:
    """What the site accepts, also in imports and replays, with ratings on this scale or the setting's.

    Raises ConfigurationInvalid.
    """
    rating_scale = scale or scale_of(settings.rating_scale)
    return policy(settings.event_types, settings.personal_keys, rating_scale, settings.placeholder_ids)


def main() -> None:
    """Serves until it is stopped; a failure to start is one sentence on standard error."""
    try:
        settings = read_settings(IngestSettings)
        warn_of_variables_without_effect(settings.stack)
        with listen(settings) as listening, open_dependencies(settings) as dependencies:
            app = create_app(settings, dependencies.writer, dependencies.reader)
            where = {"host": settings.collector_host, "port": settings.collector_port}
            _LOG.info("collector_starts", **where, log=settings.log_address.scheme)
            http_server.serve(app, listening, settings.log_level)
    except FreshetError as error:
        sys.exit(f"The collector cannot start: {error}")


def listen(settings: IngestSettings) -> socket.socket:
    """The collector's listening socket; raises PortInUse."""
    return http_server.listen(settings.collector_host, settings.collector_port, "set FRESHET_COLLECTOR_PORT")


def _add_operations(app: FastAPI, reader: LogReader) -> None:
    one_at_a_time = threading.Lock()

    def log_answers() -> None:
        with one_at_a_time:
            reader.bounds(topics.EVENTS, 0)

    @app.get("/health/live", tags=["operations"], summary="The process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready", tags=["operations"], summary="The log answers", responses=READINESS)
    async def ready() -> Response:
        try:
            await run_in_threadpool(log_answers)
        except LogUnavailable as error:
            _LOG.warning("not_ready", reason=str(error))
            return _readiness([f"log: {error}"])
        return _readiness(failing())

    @app.get("/metrics", tags=["operations"], summary="Prometheus text", response_class=Response, responses=PLAIN_TEXT)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _readiness(missing: list[str]) -> Response:
    body = orjson.dumps({"status": "not ready" if missing else "ready", "missing": missing})
    return Response(body, 503 if missing else 200, media_type="application/json")


if __name__ == "__main__":
    main()
