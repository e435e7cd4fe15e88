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
from schemas.statistics import EVERY
from serving import metrics
from serving.http import openapi
from serving.http.parameters import (
    CatalogueParameters,
    ListParameters,
    NoParameters,
    RankParameters,
    RecommendationParameters,
    ScoresParameters,
    SessionParameters,
    SimilarParameters,
    SimilarUsersParameters,
    StatisticsParameters,
    TogetherParameters,
    UserItemParameters,
    from_body,
    from_query,
    list_fields,
    recommendation_fields,
    session_events,
    token,
    valid_id,
)
from serving.http.statistics import statistics_answer
from serving.ranking.item_lists import ItemList
from serving.service.cursors import offset_of
from serving.service.service import ServingService

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
    _add_item_lists(router, handlers)
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
        parameters = _query(RecommendationParameters, request)
        after = token(parameters.after, self._service.partitions)
        asked = self._service.request(user_id=user_id, **recommendation_fields(parameters))
        return await self._service.recommend(asked, after)

    async def session(self, request: Request) -> Any:
        """``POST /v1/sessions/recommendations``."""
        _query(NoParameters, request)
        parameters = from_body(SessionParameters, await _body(request))
        asked = self._service.request(**recommendation_fields(parameters))
        return await self._service.recommend_for_session(asked, session_events(parameters.events))

    async def rank(self, request: Request) -> Any:
        """``POST /v1/users/{user_id}/rank``."""
        user_id, _ = _path_id(request, "/v1/users/", "/rank", "user_id")
        _query(NoParameters, request)
        parameters = from_body(RankParameters, await _body(request))
        after = token(parameters.after, self._service.partitions)
        fields = recommendation_fields(parameters) | {"include": parameters.item_ids, "seen": True}
        return await self._service.recommend(self._service.request(user_id=user_id, **fields), after, "rank")

    async def because(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/because``, or a user whose id ends like that."""
        user_id, whole = _path_id(request, "/v1/users/", "/because", "user_id")
        if whole:
            return await self._service.user(user_id)
        return await self._service.explanations.because(user_id, _query(UserItemParameters, request).item_id)

    async def compatibility(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/compatibility``, or a user whose id ends like that."""
        user_id, whole = _path_id(request, "/v1/users/", "/compatibility", "user_id")
        if whole:
            return await self._service.user(user_id)
        return await self._service.explanations.compatibility(user_id, _query(UserItemParameters, request).item_id)

    async def similar_users(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/similar``, or a user whose id ends like that."""
        user_id, whole = _path_id(request, "/v1/users/", "/similar", "user_id")
        if whole:
            return await self._service.user(user_id)
        return await self._service.explanations.similar_users(user_id, _query(SimilarUsersParameters, request).count)

    async def scores(self, request: Request) -> Any:
        """``POST /v1/users/{user_id}/scores``."""
        user_id, _ = _path_id(request, "/v1/users/", "/scores", "user_id")
        _query(NoParameters, request)
        return await self._service.explanations.scores(
            user_id, from_body(ScoresParameters, await _body(request)).item_ids
        )

    async def user(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}``."""
        _query(NoParameters, request)
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
        return await self._near("similar", item_id, _query(SimilarParameters, request))

    async def together(self, request: Request) -> Any:
        """``GET /v1/items/{item_id}/together``, or an item whose id ends like that."""
        item_id, whole = _path_id(request, "/v1/items/", "/together", "item_id")
        if whole:
            return self._service.item(item_id)
        parameters = _query(TogetherParameters, request)
        return await self._near("bought" if parameters.type == "bought" else "together", item_id, parameters)

    async def _near(self, route: str, item_id: str, parameters: SimilarParameters) -> Answer:
        fields = list_fields(parameters) | {"user_id": parameters.user_id, "item_id": item_id}
        return await self._service.near_item(route, self._service.request(**fields))

    async def item(self, request: Request) -> Any:
        """``GET /v1/items/{item_id}``."""
        _query(NoParameters, request)
        return self._service.item(_path_id(request, "/v1/items/", "", "item_id")[0])

    async def items(self, request: Request) -> Any:
        """``GET /v1/items``."""
        parameters = _query(CatalogueParameters, request)
        return self._service.items(parameters.query, offset_of(parameters.cursor), parameters.limit)

    async def statistics(self, request: Request) -> Any:
        """``GET /v1/statistics/{kind}``."""
        parameters = _query(StatisticsParameters, request)
        category = parameters.category[0] if parameters.category else EVERY
        reader, kind = self._service.statistics, request.path_params["kind"]
        return await statistics_answer(reader, kind, parameters.period, category, parameters.count)

    def item_list(self, kind: ItemList) -> Handler:
        """``GET /v1/popular`` and its like."""

        async def handle(request: Request) -> Answer:
            fields = list_fields(_query(ListParameters, request))
            return await self._service.item_list(kind, self._service.request(**fields))

        return handle


def _add_users(router: APIRouter, handlers: _Handlers) -> None:
    router.get(
        "/v1/users/{user_id:path}/recommendations",
        summary="What this user may like next",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_ANSWER, RecommendationParameters, "user_id"),
    )(_endpoint("recommendations", handlers.recommendations))
    router.post(
        "/v1/sessions/recommendations",
        summary="What a guest may like next, whose events come along",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented_body(openapi.EXAMPLE_ANSWER, SessionParameters, openapi.EXAMPLE_SESSION_BODY),
    )(_endpoint("session", handlers.session))
    router.post(
        "/v1/users/{user_id:path}/scores",
        summary="Scores of a list that you bring, in its order",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented_body(openapi.EXAMPLE_SCORES, ScoresParameters, openapi.EXAMPLE_LIST_BODY, "user_id"),
    )(_endpoint("scores", handlers.scores))
    router.post(
        "/v1/users/{user_id:path}/rank",
        summary="Rank a list that you bring, best first",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented_body(openapi.EXAMPLE_ANSWER, RankParameters, openapi.EXAMPLE_LIST_BODY, "user_id"),
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
        (
            "because",
            "Which of a user's items led to this one",
            handlers.because,
            openapi.EXAMPLE_BECAUSE,
            UserItemParameters,
        ),
        (
            "compatibility",
            "How well an item suits a user, and why",
            handlers.compatibility,
            openapi.EXAMPLE_COMPATIBILITY,
            UserItemParameters,
        ),
        ("similar", "Who is like a user", handlers.similar_users, openapi.EXAMPLE_USERS, SimilarUsersParameters),
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
        **openapi.documented(openapi.EXAMPLE_ANSWER, SimilarParameters, "item_id"),
    )(_endpoint("similar", handlers.similar))
    router.get(
        "/v1/items/{item_id:path}/together",
        summary="What people go on to after an item, or put in a basket with it",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_ANSWER, TogetherParameters, "item_id"),
    )(_endpoint("together", handlers.together))
    router.get(
        "/v1/items",
        summary="The catalogue, or what matches a query",
        tags=["items"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_ITEMS, CatalogueParameters),
    )(_endpoint("items", handlers.items))
    router.get(
        "/v1/items/{item_id:path}",
        summary="The current view of an item",
        tags=["items"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_ITEM, path="item_id"),
    )(_endpoint("item", handlers.item))


def _add_item_lists(router: APIRouter, handlers: _Handlers) -> None:
    item_lists: tuple[tuple[ItemList, str], ...] = (
        ("popular", "What most people like"),
        ("trending", "What more and more people turn to"),
        ("latest", "What came last"),
    )
    for kind, summary in item_lists:
        router.get(
            f"/v1/{kind}",
            summary=summary,
            tags=["recommendations"],
            response_model=None,
            **openapi.documented(openapi.EXAMPLE_ANSWER, ListParameters),
        )(_endpoint(kind, handlers.item_list(kind)))


def _add_statistics(router: APIRouter, handlers: _Handlers) -> None:
    router.get(
        "/v1/statistics/{kind}",
        summary="What is best rated, most viewed or rising: best-rated, most-viewed, rising",
        tags=["statistics"],
        response_model=None,
        **openapi.documented(openapi.EXAMPLE_STATISTICS, StatisticsParameters, "kind"),
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
