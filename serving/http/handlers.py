"""The handlers of the read API: each parses a request once, hands it to the service, and encodes the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from time import perf_counter
from typing import Any, Final

import msgspec
import structlog
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from schemas.access.scopes import USER_READS
from schemas.answers import Answer, encode_answer
from schemas.http.access.callers import address_of, require
from schemas.http.cursors import offset_of
from schemas.http.fallback import INTERNAL
from schemas.http.problems import ProblemError, as_response
from schemas.http.views import refuse_view
from schemas.offline.statistics import EVERY
from serving import metrics
from serving.http import parsing
from serving.http.parameters import (
    CatalogueParameters,
    ListParameters,
    NoParameters,
    NotificationParameters,
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
from serving.http.statistics import statistics_answer
from serving.ranking.item_lists import ItemList
from serving.service.service import ServingService

Handler = Callable[[Request], Awaitable[Any]]
"""Turns a request into a plain value; raises ProblemError."""
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

_log = structlog.get_logger(__name__)
_ENCODE: Final = msgspec.json.Encoder().encode


def endpoint_of(route: str, handle: Handler) -> Endpoint:
    """Returns an endpoint that encodes the handler's value or its problem, and counts both."""
    seconds = metrics.REQUEST_SECONDS.labels(route)
    outcomes = {outcome: metrics.REQUESTS.labels(route, outcome) for outcome in ("ok", "degraded", "invalid", "error")}

    async def endpoint(request: Request) -> Response:
        began, outcome = perf_counter(), "error"
        try:
            answer = await handle(request)
            body = encode_answer(answer) if isinstance(answer, Answer) else _ENCODE(answer)
            outcome = "degraded" if getattr(answer, "degraded", None) else "ok"
            return Response(body, media_type="application/json")
        except ProblemError as error:
            outcome = "invalid"
            return as_response(error)
        except ClientDisconnect:
            outcome = "invalid"
            return Response(status_code=499)  # as nginx logs it; nobody reads it
        except Exception:  # noqa: BLE001 - at the edge, an unexpected fault also gets an answer that says what to do
            _log.exception("request_failed", route=route)
            return as_response(ProblemError(500, "internal", INTERNAL))
        finally:
            outcomes[outcome].inc()
            seconds.observe(perf_counter() - began)

    return endpoint


class Handlers:
    """One handler for each call; each raises ProblemError."""

    def __init__(self, service: ServingService) -> None:
        self._service = service

    async def recommendations(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/recommendations``, or a user whose id ends like that."""
        user_id, suffix_in_id = parsing.path_id(request, "/v1/users/", "/recommendations", "user_id")
        if suffix_in_id:
            return await self._user(request, user_id)
        parameters = parsing.query(RecommendationParameters, request)
        if parameters.boost:
            await asyncio.sleep(0)  # parsing a long filter, then ten boosts, would hold the loop for both
        after = parsing.token(parameters.after, self._service.partitions)
        recommendation_request = self._service.request(
            user_id=user_id, **parsing.recommendation_fields(parameters, self._service.placeholders)
        )
        return await self._service.recommend(recommendation_request, after)

    async def session(self, request: Request) -> Any:
        """``POST /v1/sessions/recommendations``."""
        parsing.query(NoParameters, request)
        parameters = await parsing.body(SessionParameters, request)
        parsing.token(parameters.after, self._service.partitions)  # a guest has nothing on the log to wait for
        if parameters.boost:
            await asyncio.sleep(0)
        recommendation_request = self._service.request(
            **parsing.recommendation_fields(parameters, self._service.placeholders)
        )
        return await self._service.recommend_for_session(
            recommendation_request, parsing.session_events(parameters.events)
        )

    async def rank(self, request: Request) -> Any:
        """``POST /v1/users/{user_id}/rank``."""
        user_id, _ = parsing.path_id(request, "/v1/users/", "/rank", "user_id")
        parsing.query(NoParameters, request)
        parameters = await parsing.body(RankParameters, request)
        if parameters.boost:
            await asyncio.sleep(0)
        after = parsing.token(parameters.after, self._service.partitions)
        fields = parsing.recommendation_fields(parameters, self._service.placeholders) | {
            "include": parameters.item_ids,
            "include_seen": True,
        }
        return await self._service.recommend(self._service.request(user_id=user_id, **fields), after, "rank")

    async def because(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/because``, or a user whose id ends like that."""
        user_id, suffix_in_id = parsing.path_id(request, "/v1/users/", "/because", "user_id")
        if suffix_in_id:
            return await self._user(request, user_id)
        return await self._service.explanations.because(user_id, parsing.query(UserItemParameters, request).item_id)

    async def compatibility(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/compatibility``, or a user whose id ends like that."""
        user_id, suffix_in_id = parsing.path_id(request, "/v1/users/", "/compatibility", "user_id")
        if suffix_in_id:
            return await self._user(request, user_id)
        return await self._service.explanations.compatibility(
            user_id, parsing.query(UserItemParameters, request).item_id
        )

    async def similar_users(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}/similar``, or a user whose id ends like that."""
        user_id, suffix_in_id = parsing.path_id(request, "/v1/users/", "/similar", "user_id")
        if suffix_in_id:
            return await self._user(request, user_id)
        return await self._service.explanations.similar_users(
            user_id, parsing.query(SimilarUsersParameters, request).count
        )

    async def scores(self, request: Request) -> Any:
        """``POST /v1/users/{user_id}/scores``."""
        user_id, _ = parsing.path_id(request, "/v1/users/", "/scores", "user_id")
        parsing.query(NoParameters, request)
        parameters = await parsing.body(ScoresParameters, request)
        return await self._service.explanations.scores(user_id, parameters.item_ids)

    async def user(self, request: Request) -> Any:
        """``GET /v1/users/{user_id}``."""
        refuse_view(request.scope)
        parsing.query(NoParameters, request)
        return await self._user(request, parsing.path_id(request, "/v1/users/", "", "user_id")[0])

    async def _user(self, request: Request, user_id: str) -> Any:
        """A user's view. Routes of lists give it too, to a user whose id ends like their path."""
        require(request.scope, USER_READS)
        return await self._service.user(user_id)

    def notifications(self, request: Request) -> AsyncIterator[bytes] | None:
        """``GET /v1/users/{user_id}/notifications``; None for a user whose id ends like that."""
        user_id, suffix_in_id = parsing.path_id(request, "/v1/users/", "/notifications", "user_id")
        parameters = parsing.query(NotificationParameters, request)
        last_event_id = request.headers.get("last-event-id") or parameters.last_event_id
        client = address_of(request.scope)
        return None if suffix_in_id else self._service.notifications.open(user_id, last_event_id, client)

    async def similar(self, request: Request) -> Any:
        """``GET /v1/items/{item_id}/similar``, or an item whose id ends like that."""
        item_id, suffix_in_id = parsing.path_id(request, "/v1/items/", "/similar", "item_id")
        if suffix_in_id:
            return self._service.item(item_id)
        return await self._near("similar", item_id, parsing.query(SimilarParameters, request))

    async def together(self, request: Request) -> Any:
        """``GET /v1/items/{item_id}/together``, or an item whose id ends like that."""
        item_id, suffix_in_id = parsing.path_id(request, "/v1/items/", "/together", "item_id")
        if suffix_in_id:
            return self._service.item(item_id)
        parameters = parsing.query(TogetherParameters, request)
        return await self._near("bought" if parameters.type == "bought" else "together", item_id, parameters)

    async def _near(self, route: str, item_id: str, parameters: SimilarParameters) -> Answer:
        fields = parsing.list_fields(parameters) | {"user_id": parameters.user_id, "item_id": item_id}
        return await self._service.near_item(route, self._service.request(**fields))

    async def item(self, request: Request) -> Any:
        """``GET /v1/items/{item_id}``."""
        parsing.query(NoParameters, request)
        return self._service.item(parsing.path_id(request, "/v1/items/", "", "item_id")[0])

    async def items(self, request: Request) -> Any:
        """``GET /v1/items``."""
        parameters = parsing.query(CatalogueParameters, request)
        await self._service.turn()
        return self._service.items(parameters.query, offset_of(parameters.cursor), parameters.limit)

    async def statistics(self, request: Request) -> Any:
        """``GET /v1/statistics/{kind}``."""
        parameters = parsing.query(StatisticsParameters, request)
        category = parameters.category[0] if parameters.category else EVERY
        reader, kind = self._service.statistics, request.path_params["kind"]
        return await statistics_answer(reader, kind, parameters.period, category, parameters.count)

    def item_list(self, kind: ItemList) -> Handler:
        """``GET /v1/popular``, ``/v1/trending`` or ``/v1/latest``."""

        async def handle(request: Request) -> Answer:
            fields = parsing.list_fields(parsing.query(ListParameters, request))
            return await self._service.item_list(kind, self._service.request(**fields))

        return handle
