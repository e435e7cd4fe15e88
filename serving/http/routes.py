"""The read API's routes, each with its handler and its OpenAPI description."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Scope

from schemas.access.scopes import ITEM_READS, READS, READS_OF_USER, USER_READS, AccessRule, needs
from schemas.http.problems import ProblemError, as_response
from serving import metrics
from serving.http import openapi
from serving.http.handlers import Endpoint, Handler, Handlers, endpoint_of
from serving.http.parameters import (
    CatalogueParameters,
    ListParameters,
    RankParameters,
    RecommendationParameters,
    ScoresParameters,
    SessionParameters,
    SimilarParameters,
    SimilarUsersParameters,
    StatisticsParameters,
    TogetherParameters,
    UserItemParameters,
)
from serving.ranking.item_lists import ItemList
from serving.service.service import ServingService


def build_router(service: ServingService) -> APIRouter:
    """All read endpoints. The caller starts and stops the service."""
    router = APIRouter()
    handlers = Handlers(service)
    # Ids may contain slashes, so paths that end in a word of ours are tried before the bare resource.
    _add_users(router, handlers)
    _add_items(router, handlers)
    _add_item_lists(router, handlers)
    _add_statistics(router, handlers)
    return router


def recommendations_endpoint(service: ServingService) -> Endpoint:
    """The endpoint of ``GET /v1/users/{user_id}/recommendations``."""
    return needs(READS_OF_USER)(endpoint_of("recommendations", Handlers(service).recommendations))


def recommendations_are_asked(scope: Scope) -> bool:
    """True if a request is for ``recommendations_endpoint``."""
    if scope["type"] != "http" or scope["method"] != "GET" or not scope.get("raw_path"):
        return False
    path: str = scope["path"]
    return path.startswith("/v1/users/") and path.endswith("/recommendations")


def _add_users(router: APIRouter, handlers: Handlers) -> None:
    router.get(
        "/v1/users/{user_id:path}/recommendations",
        operation_id="recommend_for_user",
        summary="What this user may like next",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented(openapi.ANSWER, RecommendationParameters, "user_id"),
    )(needs(READS_OF_USER)(endpoint_of("recommendations", handlers.recommendations)))
    router.post(
        "/v1/sessions/recommendations",
        operation_id="recommend_for_session",
        summary="What a guest may like next, whose events come along",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented_body(openapi.ANSWER, SessionParameters, openapi.EXAMPLE_SESSION_BODY),
    )(needs(READS)(endpoint_of("session", handlers.session)))
    router.post(
        "/v1/users/{user_id:path}/scores",
        operation_id="score_items",
        summary="Scores of a list that you bring, in its order",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented_body(openapi.SCORES, ScoresParameters, openapi.EXAMPLE_LIST_BODY, "user_id"),
    )(needs(READS_OF_USER)(endpoint_of("scores", handlers.scores)))
    router.post(
        "/v1/users/{user_id:path}/rank",
        operation_id="rank_items",
        summary="Rank a list that you bring, best first",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented_body(openapi.ANSWER, RankParameters, openapi.EXAMPLE_LIST_BODY, "user_id"),
    )(needs(READS_OF_USER)(endpoint_of("rank", handlers.rank)))
    _add_relations(router, handlers)
    _add_notifications(router, handlers)
    router.get(
        "/v1/users/{user_id:path}",
        operation_id="get_user",
        summary="The current view of a user",
        tags=["users"],
        response_model=None,
        **openapi.documented(openapi.USER, path="user_id"),
    )(needs(USER_READS)(endpoint_of("user", handlers.user)))


def _add_relations(router: APIRouter, handlers: Handlers) -> None:
    relations: tuple[tuple[str, str, AccessRule, str, Handler, openapi.Documented, type[msgspec.Struct]], ...] = (
        (
            "because",
            "explain_item",
            READS_OF_USER,
            "Which of a user's items led to this one",
            handlers.because,
            openapi.BECAUSE,
            UserItemParameters,
        ),
        (
            "compatibility",
            "get_compatibility",
            READS_OF_USER,
            "How well an item suits a user, and why",
            handlers.compatibility,
            openapi.COMPATIBILITY,
            UserItemParameters,
        ),
        (
            "similar",
            "list_similar_users",
            USER_READS,
            "Who is like a user",
            handlers.similar_users,
            openapi.USERS,
            SimilarUsersParameters,
        ),
    )
    for name, operation_id, rule, summary, handler, answer, struct in relations:
        router.get(
            f"/v1/users/{{user_id:path}}/{name}",
            operation_id=operation_id,
            summary=summary,
            tags=["users"],
            response_model=None,
            **openapi.documented(answer, struct, "user_id"),
        )(needs(rule)(endpoint_of("similar_users" if name == "similar" else name, handler)))


class _EventStream(StreamingResponse):
    media_type = "text/event-stream"


def _add_notifications(router: APIRouter, handlers: Handlers) -> None:
    user = endpoint_of("user", handlers.user)

    @needs(READS_OF_USER)
    async def notifications(request: Request) -> Response:
        try:
            stream = handlers.notifications(request)
        except ProblemError as error:
            metrics.REQUESTS.labels("notifications", "invalid").inc()
            return as_response(error)
        if stream is None:
            return await user(request)
        metrics.REQUESTS.labels("notifications", "ok").inc()
        return _EventStream(stream, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    router.get(
        "/v1/users/{user_id:path}/notifications",
        operation_id="follow_notifications",
        summary="Says when a new model has changed this user's list (server-sent events)",
        tags=["recommendations"],
        response_model=None,
        response_class=_EventStream,
        **openapi.DOCUMENTED_NOTIFICATIONS,
    )(notifications)


def _add_items(router: APIRouter, handlers: Handlers) -> None:
    router.get(
        "/v1/items/{item_id:path}/similar",
        operation_id="list_similar_items",
        summary="What is like an item",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented(openapi.ANSWER, SimilarParameters, "item_id"),
    )(needs(READS)(endpoint_of("similar", handlers.similar)))
    router.get(
        "/v1/items/{item_id:path}/together",
        operation_id="list_items_together",
        summary="What people go on to after an item, or put in a basket with it",
        tags=["recommendations"],
        response_model=None,
        **openapi.documented(openapi.ANSWER, TogetherParameters, "item_id"),
    )(needs(READS)(endpoint_of("together", handlers.together)))
    router.get(
        "/v1/items",
        operation_id="list_items",
        summary="The catalogue, or what matches a query",
        tags=["items"],
        response_model=None,
        **openapi.documented(openapi.ITEMS, CatalogueParameters),
    )(needs(ITEM_READS)(endpoint_of("items", handlers.items)))
    router.get(
        "/v1/items/{item_id:path}",
        operation_id="get_item",
        summary="The current view of an item",
        tags=["items"],
        response_model=None,
        **openapi.documented(openapi.ITEM, path="item_id"),
    )(needs(ITEM_READS)(endpoint_of("item", handlers.item)))


def _add_item_lists(router: APIRouter, handlers: Handlers) -> None:
    item_lists: tuple[tuple[ItemList, str], ...] = (
        ("popular", "What most people like"),
        ("trending", "What more and more people turn to"),
        ("latest", "The newest items"),
    )
    for kind, summary in item_lists:
        router.get(
            f"/v1/{kind}",
            operation_id=f"list_{kind}",
            summary=summary,
            tags=["recommendations"],
            response_model=None,
            **openapi.documented(openapi.ANSWER, ListParameters),
        )(needs(READS)(endpoint_of(kind, handlers.item_list(kind))))


def _add_statistics(router: APIRouter, handlers: Handlers) -> None:
    router.get(
        "/v1/statistics/{kind}",
        operation_id="get_statistics",
        summary="What is best rated, most viewed or rising: best-rated, most-viewed, rising",
        tags=["statistics"],
        response_model=None,
        **openapi.documented(openapi.STATISTICS, StatisticsParameters, "kind"),
    )(needs(READS)(endpoint_of("statistics", handlers.statistics)))
