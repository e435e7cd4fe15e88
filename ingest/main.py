"""The collector as a process of its own: ``python -m ingest.main`` (port 8001)."""

from __future__ import annotations

import socket
import sys
import threading
import time
import uuid
from functools import partial

import structlog
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from adapters.http import server as http_server
from adapters.http.application import HotPath, Missing, build_application
from adapters.registry import adapter
from deploy.wiring.access import open_access
from deploy.wiring.dependencies import open_dependencies, prepare_log
from deploy.wiring.erasing import erasing
from deploy.wiring.pseudonyms import require_pepper
from deploy.wiring.server_wait import Shutdown, say_while_waiting
from deploy.wiring.variables import warn_of_variables_without_effect
from ingest.config import IngestSettings
from ingest.http.privacy import PrivacyDependencies
from ingest.http.rejections import Rejections
from ingest.http.routes import IngestDependencies, build_router, events_are_sent, events_endpoint
from ingest.privacy.secret import site_secret
from ingest.validation.validate import Policy, policy
from schemas.background import failing
from schemas.clock_skew import CLOCK_SKEW
from schemas.configuration.settings import read_settings
from schemas.errors import FreshetError, LogUnavailable
from schemas.http.access.guard import Access
from schemas.http.access.limits import client_limits
from schemas.log import topics
from schemas.ports import Documents, LogReader, LogWriter
from schemas.values.rating_scale import RatingScale, scale_of

_LOG = structlog.get_logger(__name__)


def create_app(
    settings: IngestSettings,
    writer: LogWriter,
    reader: LogReader,
    access: Access | None = None,
    documents: Documents | None = None,
) -> FastAPI:
    """The collector's application over a log. The caller closes the log, and the documents where receipts are.

    Without ``access`` everybody may call.
    """
    address = settings.models_address
    dependencies = ingest_dependencies(settings, writer, documents or adapter(address).documents(address))
    return build_application(
        "Freshet collector",
        [build_router(dependencies)],
        _missing(reader),
        access=access,
        hot_paths=[hot_path(dependencies)],
        docs=settings.docs,
        pseudonyms=settings.pseudonyms,
    )


def hot_path(dependencies: IngestDependencies) -> HotPath:
    """The route of events, which is served before FastAPI looks for one."""
    return HotPath(events_are_sent, events_endpoint(dependencies))


def ingest_dependencies(settings: IngestSettings, writer: LogWriter, documents: Documents) -> IngestDependencies:
    """The dependencies of the write API, built from the settings; raises ConfigurationInvalid."""
    by_address, by_key = (settings.rate_limit, settings.rate_burst), (settings.key_rate_limit, settings.key_rate_burst)
    return IngestDependencies(
        writer=writer,
        clock=CLOCK_SKEW.corrected(time.time),
        new_id=lambda: str(uuid.uuid4()),
        policy=site_policy(settings),
        limits=client_limits(by_address, by_key, time.monotonic),
        append_seconds=settings.append_seconds,
        privacy=PrivacyDependencies(
            documents, site_secret(settings.receipt_secret.get_secret_value(), settings.data), time.time
        ),
        rejections=Rejections(time.time),
        retry_seconds=settings.retry_seconds,
    )


def site_policy(settings: IngestSettings, scale: RatingScale | None = None) -> Policy:
    """What the site accepts, also in imports and replays, with ratings on this scale or the setting's.

    Raises ConfigurationInvalid.
    """
    rating_scale = scale or scale_of(settings.rating_scale)
    allowed = policy(settings.event_types, settings.personal_keys, rating_scale, settings.placeholder_ids)
    return allowed._replace(consent=settings.consent, pseudonyms=settings.pseudonyms)


def main() -> None:
    """Serves until it is stopped; a failure to start is one sentence on standard error."""
    try:
        settings = read_settings(IngestSettings)
        warn_of_variables_without_effect(settings.stack)
        with listen(settings) as listening, open_dependencies(settings) as dependencies:
            shutdown = Shutdown()
            say_while_waiting(partial(prepare_log, settings), "the collector", shutdown)
            require_pepper(settings, "the collector", shutdown)
            # Opened first: it makes the log of a new folder, which holds the keys.
            writer = dependencies.writer
            with (
                open_access(settings, settings.collector_host) as access,
                shutdown.ending(),
                erasing(settings, time.time),
            ):
                app = create_app(settings, writer, dependencies.reader, access, dependencies.documents)
                where = {"host": settings.collector_host, "port": settings.collector_port}
                _LOG.info("collector_starts", **where, log=settings.log_address.scheme)
                proxies = settings.trusted_proxies
                http_server.serve(app, listening, settings.log_level, connections=settings, trusted_proxies=proxies)
    except FreshetError as error:
        sys.exit(f"The collector cannot start: {error}")


def listen(settings: IngestSettings) -> socket.socket:
    """The collector's listening socket; raises PortInUse."""
    return http_server.listen(settings.collector_host, settings.collector_port, "set FRESHET_COLLECTOR_PORT")


def _missing(reader: LogReader) -> Missing:
    one_at_a_time = threading.Lock()

    def log_answers() -> None:
        with one_at_a_time:
            reader.bounds(topics.EVENTS, 0)

    async def missing() -> list[str]:
        try:
            await run_in_threadpool(log_answers)
        except LogUnavailable as error:
            _LOG.warning("not_ready", reason=str(error))
            return [f"log: {error}"]
        return failing()

    return missing


if __name__ == "__main__":
    main()
