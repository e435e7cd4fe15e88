"""The online API as a process of its own, on the stores of its settings: ``python -m serving.main`` (port 8000)."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import structlog
from fastapi import APIRouter, FastAPI, Response
from fastapi.concurrency import run_in_threadpool
from msgspec import ValidationError
from threadpoolctl import threadpool_limits

from adapters.http import server as http_server
from adapters.http.application import HotPath, build_application
from deploy.wiring.access import open_access
from deploy.wiring.accounts import account_router
from deploy.wiring.console import cluster_sources
from deploy.wiring.dependencies import prepare_online
from deploy.wiring.online import open_facts, open_stores
from deploy.wiring.pseudonyms import require_pepper
from deploy.wiring.receipts import receipts_router
from deploy.wiring.server_wait import Shutdown, say_while_waiting
from deploy.wiring.user_export import user_export_router
from deploy.wiring.variables import warn_of_variables_without_effect
from schemas.access.scopes import PUBLIC, needs
from schemas.configuration.settings import read_settings
from schemas.errors import ConfigurationInvalid, FreshetError
from schemas.http.access.guard import Access
from schemas.http.access.limits import ClientLimits, client_limits
from schemas.http.problems import ProblemError, as_response
from serving.config import Settings
from serving.console.figures import FigureHistory
from serving.console.recent import RecentLog
from serving.console.routes import ConsoleParts, build_console_router
from serving.console.samples import FigureSampling
from serving.console.shell import build_no_shell_router, build_shell_router
from serving.console.sources import ConsoleSources
from serving.http.routes import build_router, recommendations_are_asked, recommendations_endpoint
from serving.service.service import ServingService, Stores
from serving.service.time_and_ids import TimeAndIds
from serving.web.router import build_web_router

_log = structlog.get_logger(__name__)


def create_app(
    settings: Settings,
    stores: Stores,
    time_and_ids: TimeAndIds | None = None,
    lag_reason: Callable[[], str | None] = lambda: None,
    *,
    routers: Sequence[APIRouter] = (),
    views: Sequence[APIRouter] = (),
    hot_paths: Sequence[HotPath] = (),
    access: Access | None = None,
    console: ConsoleSources | None = None,
) -> FastAPI:
    """The application and the page over these stores; it closes them when it stops.

    ``lag_reason`` returns why the signals are still behind; None once they have caught up. ``routers`` and ``hot_paths`` are served beside its own.
    ``views`` come before them: their paths end in a word of ours, and an id of its own routes may hold slashes.
    ``console``: what the console reads besides; without it, its calls are not there.
    Without ``access`` everybody may call. Raises ConfigurationInvalid; a store that is away is no reason not to start.
    """
    try:
        service = ServingService(stores, settings, time_and_ids, lag_reason)
    except ValidationError as error:
        raise ConfigurationInvalid(f"FRESHET_RANKING cannot be used: {error}") from error

    async def missing() -> list[str]:
        return service.missing()

    shell = build_shell_router() if settings.console else build_no_shell_router()
    history = FigureHistory()
    service.upkeep.append(FigureSampling(history, time.time, console.measured if console else dict))
    views = [*views, *([_console(service, history, console), *console.routers] if console else [])]
    app = build_application(
        "Freshet online API",
        [_page(settings, service), shell, *views, build_router(service), *routers],
        missing,
        access=access,
        hot_paths=[*hot_paths, HotPath(recommendations_are_asked, recommendations_endpoint(service))],
        docs=settings.docs,
        pseudonyms=settings.pseudonyms,
        lifespan=_running(service, stores),
    )
    app.state.service = service
    return app


def _page(settings: Settings, service: ServingService) -> APIRouter:
    if settings.page:
        return build_web_router(
            service,
            events_url=settings.events_url,
            currency=settings.currency,
            lists_users=settings.page_users,
            pseudonyms=settings.pseudonyms,
        )
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", _page_is_off)
    return router


def _console(service: ServingService, history: FigureHistory, sources: ConsoleSources) -> APIRouter:
    recent = RecentLog(sources.open_log, time.time)
    return build_console_router(ConsoleParts(service, history, recent, time.time, sources.unmeasured))


def main() -> None:
    """Serve until stopped; a failure to start is one sentence on standard error."""
    try:
        settings = read_settings(Settings)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_level(settings.log_level)))
        warn_of_variables_without_effect(settings.stack)
        listening, shutdown = http_server.listen(settings.host, settings.port, "set FRESHET_PORT"), Shutdown()
        require_pepper(settings, "the online API", shutdown)
        say_while_waiting(partial(prepare_online, settings), "the online API", shutdown)
        with (
            open_access(settings, settings.host, read_limits(settings)) as access,
            cluster_sources(settings) as console,
            shutdown.ending(),
        ):
            routers = [account_router(settings, access), receipts_router(settings)]
            views = [user_export_router(settings, access)]
            app = create_app(settings, _stores(settings), access=access, routers=routers, views=views, console=console)
            _log.info("online_api_starts", host=settings.host, port=settings.port, stack=settings.stack)
            stop_streams = app.state.service.notifications.close
            http_server.serve(
                app, listening, settings.log_level, stop_streams, settings, trusted_proxies=settings.trusted_proxies
            )
    except FreshetError as error:
        sys.exit(f"The online API cannot start: {error}")


def _stores(settings: Settings) -> Stores:
    """The stores; in a cluster with the log, because other processes fold it, and this one has to measure how far they are."""
    stores = open_stores(settings)
    return stores._replace(facts=open_facts(settings)) if settings.stack == "cluster" else stores


def _level(name: str) -> int:
    return logging.getLevelNamesMapping().get(name.upper(), logging.INFO)


def _running(service: ServingService, stores: Stores) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # One request's products are small: more threads of BLAS would only get into each other's way.
        with threadpool_limits(limits=1, user_api="blas"):
            await service.start()
            yield
            await service.stop()
        await stores.signals.close()
        await stores.close_lists()
        await run_in_threadpool(stores.models.close)
        for part in (stores.log, stores.documents, stores.facts):
            if part is not None:
                await run_in_threadpool(part.close)

    return lifespan


def read_limits(settings: Settings) -> ClientLimits:
    """How often clients may read."""
    by_address, by_key = (settings.read_limit, settings.read_burst), (settings.key_read_limit, settings.key_read_burst)
    return client_limits(by_address, by_key, time.monotonic)


@needs(PUBLIC)
async def _page_is_off() -> Response:
    detail = "The page is off. Switch it on with FRESHET_PAGE=true, or start `freshet up --page`."
    return as_response(ProblemError(404, "switched-off", detail))


if __name__ == "__main__":
    main()
