"""The read API. Handlers are thin: read what is asked, hand it to the service, encode what it gives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from time import perf_counter
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import msgspec
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import Scope

from schemas.answers import Answer, encode_answer
from schemas.http.problems import ProblemError, as_response
from serving import metrics
from serving.http import openapi
from serving.http.parameters import (
    ItemAsk,
    ItemsAsk,
    ListAsk,
    NothingAsk,
    RankAsk,
    RecommendAsk,
    ScoresAsk,
    SessionAsk,
    SimilarAsk,
    TogetherAsk,
    UsersAsk,
    from_body,
    from_query,
    valid_id,
)
from serving.ranking.item_lists import Shelf
from serving.service.service import ServingService
from serving.stores.statistics import StatisticsAsk

P = TypeVar("P", bound=msgspec.Struct)
Handler = Callable[[Request], Awaitable[Any]]
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

_log = structlog.get_logger(__name__)
MAX_BODY_BYTES: Final = 1_048_576
_ENCODE: Final = msgspec.json.Encoder().encode


def build_router(service: ServingService, *, operations: bool = True) -> APIRouter:
    """Every read endpoint; with ``operations`` also health and metrics. The caller starts and stops the service."""
    router = APIRouter()
    handlers = _Handlers(service)
    # Ids may hold slashes: what ends in a word of ours is tried before the bare resource.
    _add_users(router, handlers)
    _add_items(router, handlers)
    _add_shelves(router, handlers)
    _add_statistics(router, handlers)
    if operations:
        _add_operations(router, service)
    return router


def recommendations_endpoint(service: ServingService) -> Endpoint:
    """What answers ``GET /v1/users/{user_id}/recommendations``."""
    return _endpoint("recommendations", _Handlers(service).recommendations)


def recommendations_are_asked(scope: Scope) -> bool:
    """Whether a request is for ``recommendations_endpoint``."""
    if scope["type"] != "http" or scope["method"] != "GET" or not scope.get("raw_path"):
        return False
    path: str = scope["path"]
    return path.startswith("/v1/users/") and path.endswith("/recommendations")


class _Handlers:
    """From a request to a plain value; raises ProblemError."""

    def __init__(self, service: ServingService) -> None:
        self._service = service

    async def recommendations(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/recommendations``, or a user whose id ends like that."""
        user_id, whole = _path_id(request, "/v1/users/", "/recommendations", "user_id")
        if whole:
            return await self._service.user(user_id)
        return await self._service.recommendations(user_id, _query(RecommendAsk, request))

    async def session(self, request: Request) -> Any:
        """``POST /v1/sessions/recommendations``."""
        _query(NothingAsk, request)
        return await self._service.session(from_body(SessionAsk, await _body(request)))

    async def rank(self, request: Request) -> Any:
        """``POST /v1/users/{user_id}/rank``."""
        user_id, _ = _path_id(request, "/v1/users/", "/rank", "user_id")
        _query(NothingAsk, request)
        return await self._service.rank(user_id, from_body(RankAsk, await _body(request)))

    async def because(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/because``, or a user whose id ends like that."""
        user_id, whole = _path_id(request, "/v1/users/", "/because", "user_id")
        if whole:
            return await self._service.user(user_id)
        return await self._service.relations.because(user_id, _query(ItemAsk, request).item_id)

    async def compatibility(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/compatibility``, or a user whose id ends like that."""
        user_id, whole = _path_id(request, "/v1/users/", "/compatibility", "user_id")
        if whole:
            return await self._service.user(user_id)
        return await self._service.relations.compatibility(user_id, _query(ItemAsk, request).item_id)

    async def similar_users(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/similar``, or a user whose id ends like that."""
        user_id, whole = _path_id(request, "/v1/users/", "/similar", "user_id")
        if whole:
            return await self._service.user(user_id)
        return await self._service.relations.similar_users(user_id, _query(UsersAsk, request).count)

    async def scores(self, request: Request) -> Any:
        """``POST /v1/users/{user_id}/scores``."""
        user_id, _ = _path_id(request, "/v1/users/", "/scores", "user_id")
        _query(NothingAsk, request)
        return await self._service.relations.scores(user_id, from_body(ScoresAsk, await _body(request)).item_ids)

    async def user(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}``."""
        _query(NothingAsk, request)
        return await self._service.user(_path_id(request, "/v1/users/", "", "user_id")[0])

    def notifications(self, request: Request) -> AsyncIterator[bytes] | None:
        """``GET /v1/users/{user_id}/notifications``; None for a user whose id ends like that."""
        user_id, whole = _path_id(request, "/v1/users/", "/notifications", "user_id")
        last_event_id = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
        return None if whole else self._service.notifications.open(user_id, last_event_id)

    async def similar(self, request: Request) -> Any:
        """``GET /v1/items/{item_id}/similar``, or an item whose id ends like that."""
        item_id, whole = _path_id(request, "/v1/items/", "/similar", "item_id")
        if whole:
            return self._service.item(item_id)
        return await self._service.similar(item_id, _query(SimilarAsk, request))

    async def together(self, request: Request) -> Any:
        """``GET /v1/items/{item_id}/together``, or an item whose id ends like that."""
        item_id, whole = _path_id(request, "/v1/items/", "/together", "item_id")
        if whole:
            return self._service.item(item_id)
        return await self._service.together(item_id, _query(TogetherAsk, request))

    async def item(self, request: Request) -> Any:
        """``GET /v1/items/{item_id}``."""
        _query(NothingAsk, request)
        return self._service.item(_path_id(request, "/v1/items/", "", "item_id")[0])

    async def items(self, request: Request) -> Any:
        """``GET /v1/items``."""
        return self._service.items(_query(ItemsAsk, request))

    async def statistics(self, request: Request) -> Any:
        """``GET /v1/statistics/{kind}``."""
        return await self._service.statistics.answer(request.path_params["kind"], _query(StatisticsAsk, request))

    def shelf(self, kind: Shelf) -> Handler:
        """``GET /v1/popular`` and its like."""

        async def handle(request: Request) -> Answer:
            return await self._service.shelf(kind, _query(ListAsk, request))

        return handle


def _add_users(router: APIRouter, handlers: _Handlers) -> None:
    router.get(
        "/v1/users/{user_id:path}/recommendations",
        summary="What this user may like next",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_ANSWER, RecommendAsk, "user_id"),
    )(_endpoint("recommendations", handlers.recommendations))
    router.post(
        "/v1/sessions/recommendations",
        summary="What a guest may like next, whose events come along",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented_body(openapi.EXAMPLE_ANSWER, SessionAsk, openapi.EXAMPLE_SESSION_BODY),
    )(_endpoint("session", handlers.session))
    router.post(
        "/v1/users/{user_id:path}/scores",
        summary="Scores of a list that you bring, in its order",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented_body(openapi.EXAMPLE_SCORES, ScoresAsk, openapi.EXAMPLE_LIST_BODY, "user_id"),
    )(_endpoint("scores", handlers.scores))
    router.post(
        "/v1/users/{user_id:path}/rank",
        summary="Rank a list that you bring, best first",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented_body(openapi.EXAMPLE_ANSWER, RankAsk, openapi.EXAMPLE_LIST_BODY, "user_id"),
    )(_endpoint("rank", handlers.rank))
    _add_relations(router, handlers)
    _add_notifications(router, handlers)
    router.get(
        "/v1/users/{user_id:path}",
        summary="The current view of a user",
        tags=["users"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_USER, path="user_id"),
    )(_endpoint("user", handlers.user))


def _add_relations(router: APIRouter, handlers: _Handlers) -> None:
    shown: tuple[tuple[str, str, Handler, dict[str, Any], type[msgspec.Struct]], ...] = (
        ("because", "Which of a user's items led to this one", handlers.because, openapi.EXAMPLE_BECAUSE, ItemAsk),
        (
            "compatibility",
            "How well an item suits a user, and why",
            handlers.compatibility,
            openapi.EXAMPLE_COMPATIBILITY,
            ItemAsk,
        ),
        ("similar", "Who is like a user", handlers.similar_users, openapi.EXAMPLE_USERS, UsersAsk),
    )
    for name, summary, handler, example, ask in shown:
        router.get(
            f"/v1/users/{{user_id:path}}/{name}",
            summary=summary,
            tags=["users"],
            response_model=None,
            **openapi.documented(example, ask, "user_id"),
        )(_endpoint("similar_users" if name == "similar" else name, handler))


def _add_notifications(router: APIRouter, handlers: _Handlers) -> None:
    user = _endpoint("user", handlers.user)

    async def notifications(request: Request) -> Response:
        try:
            stream = handlers.notifications(request)
        except ProblemError as error:
            metrics.REQUESTS.labels("notifications", "invalid").inc()
            return as_response(error)
        if stream is None:
            return await user(request)
        metrics.REQUESTS.labels("notifications", "ok").inc()
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    router.get(
        "/v1/users/{user_id:path}/notifications",
        summary="Says when a new model has changed this user's list (server-sent events)",
        tags=["recommendations"],
        response_model=None,
        **openapi.DOCUMENTED_NOTIFICATIONS,
    )(notifications)


def _add_items(router: APIRouter, handlers: _Handlers) -> None:
    router.get(
        "/v1/items/{item_id:path}/similar",
        summary="What is like an item",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_ANSWER, SimilarAsk, "item_id"),
    )(_endpoint("similar", handlers.similar))
    router.get(
        "/v1/items/{item_id:path}/together",
        summary="What people go on to after an item, or put in a basket with it",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_ANSWER, TogetherAsk, "item_id"),
    )(_endpoint("together", handlers.together))
    router.get(
        "/v1/items",
        summary="The catalogue, or what matches a query",
        tags=["items"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_ITEMS, ItemsAsk),
    )(_endpoint("items", handlers.items))
    router.get(
        "/v1/items/{item_id:path}",
        summary="The current view of an item",
        tags=["items"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_ITEM, path="item_id"),
    )(_endpoint("item", handlers.item))


def _add_shelves(router: APIRouter, handlers: _Handlers) -> None:
    shelves: tuple[tuple[Shelf, str], ...] = (
        ("popular", "What most people like"),
        ("trending", "What more and more people turn to"),
        ("latest", "What came last"),
    )
    for kind, summary in shelves:
        router.get(
            f"/v1/{kind}",
            summary=summary,
            tags=["recommendations"],
            response_model=None,
            **openapi.documented(openapi.EXAMPLE_ANSWER, ListAsk),
        )(_endpoint(kind, handlers.shelf(kind)))


def _add_statistics(router: APIRouter, handlers: _Handlers) -> None:
    router.get(
        "/v1/statistics/{kind}",
        summary="What is best rated, most viewed or rising: best-rated, most-viewed, rising",
        tags=["statistics"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_STATISTICS, StatisticsAsk, "kind"),
    )(_endpoint("statistics", handlers.statistics))


def _add_operations(router: APIRouter, service: ServingService) -> None:
    @router.get("/health/live", tags=["operations"], summary="The process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/health/ready", tags=["operations"], summary="What is missing, if anything", response_model=None)
    async def ready() -> Response:
        missing = service.missing()
        body = {"status": "not ready" if missing else "ready", "missing": missing}
        return Response(_ENCODE(body), 503 if missing else 200, media_type="application/json")

    @router.get("/metrics", tags=["operations"], summary="Prometheus text", response_model=None)
    async def prometheus() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _endpoint(route: str, handle: Handler) -> Endpoint:
    """The handler with its answer encoded, its problems answered, and both counted."""
    seconds = metrics.REQUEST_SECONDS.labels(route)
    outcomes = {outcome: metrics.REQUESTS.labels(route, outcome) for outcome in ("ok", "degraded", "invalid", "error")}

    async def endpoint(request: Request) -> Response:
        began, outcome = perf_counter(), "error"
        try:
            answer = await handle(request)
            outcome = "degraded" if _degraded(answer) else "ok"
            body = encode_answer(answer) if isinstance(answer, Answer) else _ENCODE(answer)
            return Response(body, media_type="application/json")
        except ProblemError as error:
            outcome = "invalid"
            return as_response(error)
        except Exception:  # noqa: BLE001 - the edge: an unforeseen fault is still an answer that says what to do
            _log.exception("request_failed", route=route)
            return as_response(
                ProblemError(500, "internal", "Something went wrong here; the log of the process says what. Try again.")
            )
        finally:
            outcomes[outcome].inc()
            seconds.observe(perf_counter() - began)

    return endpoint


def _degraded(answer: Any) -> bool:
    return bool(answer.degraded if isinstance(answer, Answer) else answer.get("degraded"))


def _path_id(request: Request, before: str, after: str, field: str) -> tuple[str, bool]:
    """The id in a path, and whether ``after`` turned out to be part of it (its slash was percent-encoded).

    Read from the undecoded path where the server gives it, so that an encoded slash is never a separator.
    """
    raw: bytes = request.scope.get("raw_path") or b""
    path = raw.decode("latin-1")
    begin = path.find(before)
    if begin < 0:
        return valid_id(request.path_params[field], field), False
    rest = path[begin + len(before) :].partition("?")[0]
    whole = bool(after) and not rest.endswith(after)
    text = unquote(rest if whole or not after else rest[: -len(after)], errors="replace")
    return valid_id(text, field), whole


def _query(kind: type[P], request: Request) -> P:
    return from_query(kind, request.query_params.multi_items())


async def _body(request: Request) -> bytes:
    """The body, read no further than what is allowed; raises ProblemError."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise ProblemError(413, "too-large", f"A body may have {MAX_BODY_BYTES} bytes; send fewer events.")
        parts.append(part)
    return b"".join(parts)
