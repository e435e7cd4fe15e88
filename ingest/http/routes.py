"""The write API: events, items and users. A 202 means that the log has it."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from ingest import metrics
from ingest.http import openapi
from ingest.http.body import MERGE_PATCH, read_object, read_things
from ingest.http.limits import RateLimiter
from ingest.validation import validate
from ingest.validation.validate import Accepted, Policy, Rejection
from schemas.errors import LogUnavailable
from schemas.http.problems import ProblemError, as_response, problem_type
from schemas.log import topics
from schemas.log.records import OffsetToken
from schemas.ports import Appended, Clock, LogWriter

_LOG = structlog.get_logger(__name__)


class IngestDependencies(NamedTuple):
    """What the write API is made of.

    ``new_id`` makes the id of an event that has none. ``append_seconds`` is how long a request waits for the log,
    ``retry_seconds`` what Retry-After says when it is in vain; ``limiter`` is None where clients are not limited.
    """

    writer: LogWriter
    clock: Clock
    new_id: Callable[[], str]
    policy: Policy = validate.policy()
    limiter: RateLimiter | None = None
    append_seconds: float = 12.0
    retry_seconds: int = 1


Validated = Accepted | Rejection
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class IngestRoute(APIRoute):
    """Answers ProblemError as problem details and counts requests, in whatever app the router is mounted."""

    def get_route_handler(self) -> Handler:
        """The route's handler, wrapped."""
        # A handler that takes nothing but the request is called as it is: solving its dependencies costs more than it does.
        inner: Handler = super().get_route_handler() if self.dependant.path_params else self.endpoint

        return _counted(self.name, inner)


def _counted(name: str, inner: Handler) -> Handler:
    async def handler(request: Request) -> Response:
        try:
            _refuse_line_end(request)
            response = await inner(request)
        except ProblemError as error:
            response = as_response(error)
        except ClientDisconnect:
            # Nobody is left to hear it; the number is nginx's for a client that hung up.
            response = Response(status_code=499)
        metrics.REQUESTS.labels(name, response.status_code).inc()
        return response

    return handler


def _refuse_line_end(request: Request) -> None:
    """A pattern's ``$`` stands before a last line end too: without this, ``/v1/items/7%0A`` would be item ``7``."""
    if request.scope["path"].endswith("\n"):
        named = next(iter(request.path_params), None)
        raise ProblemError(400, "string-pattern-mismatch", "ends with a control character; no id has one", field=named)


def build_router(parts: IngestDependencies) -> APIRouter:
    """The routes under ``/v1`` that write; reads of the same paths belong to the online API."""
    router = APIRouter(route_class=IngestRoute)
    _add_events(router, parts)
    _add_items(router, parts)
    _add_users(router, parts)
    return router


def events_endpoint(parts: IngestDependencies) -> Handler:
    """What answers ``POST /v1/events``."""
    return _counted("events", _events(parts))


def events_are_sent(scope: Scope) -> bool:
    """Whether a request is for ``events_endpoint``."""
    return bool(scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/v1/events")


def _events(parts: IngestDependencies) -> Handler:
    async def post_events(request: Request) -> Response:
        take = partial(
            validate.validate_event, now=validate.utc(parts.clock()), new_id=parts.new_id, allowed=parts.policy
        )
        return await _bulk(request, parts, topics.EVENTS, "event_id", take)

    return post_events


def _add_events(router: APIRouter, parts: IngestDependencies) -> None:
    router.post("/v1/events", name="events", **openapi.EVENTS)(_events(parts))


def _add_items(router: APIRouter, parts: IngestDependencies) -> None:
    @router.post("/v1/items", name="items", **openapi.ITEMS)
    async def post_items(request: Request) -> Response:
        take = partial(validate.validate_item, now=validate.utc(parts.clock()))
        return await _bulk(request, parts, topics.ITEMS, "item_id", take)

    @router.put("/v1/items/{item_id:path}", name="item", **openapi.PUT_ITEM)
    async def put_item(item_id: str, request: Request) -> Response:
        raw = await read_object(request)
        take = partial(validate.put_item, item_id, raw, validate.utc(parts.clock()))
        return await _one(request, parts, topics.ITEMS, "item_id", take)

    @router.patch("/v1/items/{item_id:path}", name="item", **openapi.PATCH_ITEM)
    async def patch_item(item_id: str, request: Request) -> Response:
        raw = await read_object(request, MERGE_PATCH)
        take = partial(validate.patch_item, item_id, raw, validate.utc(parts.clock()))
        return await _one(request, parts, topics.ITEMS, "item_id", take)

    @router.delete("/v1/items/{item_id:path}", name="item", **openapi.DELETE_ITEM)
    async def delete_item(item_id: str, request: Request) -> Response:
        take = partial(validate.delete, item_id, "item_id", validate.utc(parts.clock()))
        return await _one(request, parts, topics.ITEMS, "item_id", take)


def _add_users(router: APIRouter, parts: IngestDependencies) -> None:
    @router.put("/v1/users/{user_id:path}", name="user", **openapi.PUT_USER)
    async def put_user(user_id: str, request: Request) -> Response:
        raw = await read_object(request)
        take = partial(validate.put_user, user_id, raw, validate.utc(parts.clock()), parts.policy)
        return await _one(request, parts, topics.USERS, "user_id", take)

    @router.patch("/v1/users/{user_id:path}", name="user", **openapi.PATCH_USER)
    async def patch_user(user_id: str, request: Request) -> Response:
        raw = await read_object(request, MERGE_PATCH)
        take = partial(validate.patch_user, user_id, raw, validate.utc(parts.clock()), parts.policy)
        return await _one(request, parts, topics.USERS, "user_id", take)

    @router.delete("/v1/users/{user_id:path}", name="user", **openapi.DELETE_USER)
    async def delete_user(user_id: str, request: Request) -> Response:
        take = partial(validate.delete, user_id, "user_id", validate.utc(parts.clock()))
        return await _one(request, parts, topics.USERS, "user_id", take)


async def _one(
    request: Request, parts: IngestDependencies, topic: str, id_field: str, take: Callable[[], Accepted]
) -> Response:
    _limit(request, parts, 1)
    try:
        taken = take()
    except Rejection as error:
        _count(topic, [error], [])
        raise ProblemError(400, error.code, error.detail, field=error.field) from error
    (appended,) = await _append(parts, topic, [taken])
    _count(topic, [taken], [appended])
    if isinstance(appended, Exception):
        raise _unavailable(parts, str(appended)) from appended
    return _json({id_field: taken.id, "offset": str(appended)}, 202)


async def _bulk(
    request: Request, parts: IngestDependencies, topic: str, id_field: str, take: Callable[[Any], Accepted]
) -> Response:
    things = await read_things(request)
    _limit(request, parts, len(things))
    outcomes = [_outcome(take, thing) for thing in things]
    taken = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    appended = await _append(parts, topic, taken) if taken else []
    _count(topic, outcomes, appended)
    results = _results(id_field, things, outcomes, appended)
    if taken and all(isinstance(each, Exception) for each in appended):
        raise _unavailable(parts, str(appended[0]), results)
    if not taken:
        raise _none_valid(outcomes, results)
    whole = len(taken) == len(outcomes) and not any(isinstance(each, Exception) for each in appended)
    return _json({"results": results}, 202 if whole else 207)


def _limit(request: Request, parts: IngestDependencies, cost: int) -> None:
    if parts.limiter is None:
        return
    seconds = parts.limiter.wait(request.client.host if request.client else "", cost)
    if seconds > 0:
        headers = {"Retry-After": str(math.ceil(seconds))}
        raise ProblemError(429, "rate", f"too much from this client; wait {seconds:.1f} s", headers=headers)


def _outcome(take: Callable[[Any], Accepted], thing: Any) -> Validated:
    try:
        return take(thing)
    except Rejection as error:
        return error


async def _append(parts: IngestDependencies, topic: str, taken: Sequence[Accepted]) -> list[Appended]:
    """Each entry's fate. A log that is busy, gone or silent is the same fate for all."""
    try:
        with metrics.APPEND_SECONDS.labels(topic).time():
            future = parts.writer.append(topic, [each.entry for each in taken])
            metrics.QUEUE_DEPTH.inc(len(taken))
            future.add_done_callback(lambda _: metrics.QUEUE_DEPTH.dec(len(taken)))
            # Shielded: a request that goes away must not cancel what the log is about to confirm.
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), parts.append_seconds)
    except TimeoutError:
        failure = LogUnavailable(f"the log did not confirm within {parts.append_seconds:g} s; it may still do so")
    except LogUnavailable as error:
        failure = error
    _LOG.warning("append_failed", topic=topic, records=len(taken), reason=str(failure))
    return [failure] * len(taken)


def _results(
    id_field: str, things: Sequence[Any], outcomes: Sequence[Validated], appended: Sequence[Appended]
) -> list[dict[str, Any]]:
    fates = iter(appended)
    results = []
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, Rejection):
            error = _fault(outcome.code, outcome.detail, index, outcome.field)
            results.append(_result(id_field, _claimed_id(things[index], id_field), None, error))
        else:
            fate = next(fates)
            failed = _fault("unavailable", f"{fate}; send it again", index) if isinstance(fate, Exception) else None
            results.append(_result(id_field, outcome.id, None if failed else str(fate), failed))
    return results


def _result(id_field: str, id_: str | None, offset: str | None, error: dict[str, Any] | None) -> dict[str, Any]:
    return {id_field: id_, "status": "rejected" if error else "accepted", "offset": offset, "error": error}


def _fault(code: str, detail: str, index: int, field: str | None = None) -> dict[str, Any]:
    return {"type": problem_type(code), "detail": detail, "field": field, "index": index}


def _claimed_id(thing: Any, id_field: str) -> str | None:
    claimed = thing.get(id_field) if isinstance(thing, dict) else None
    if not isinstance(claimed, str):
        return None
    return claimed[:128].encode("utf-8", "replace").decode()


def _none_valid(outcomes: Sequence[Validated], results: list[dict[str, Any]]) -> ProblemError:
    first = outcomes[0]
    assert isinstance(first, Rejection)
    detail = first.detail if len(outcomes) == 1 else f"none of the {len(outcomes)} is valid; the first: {first}"
    return ProblemError(400, first.code, detail, field=first.field, index=0, results=results)


def _unavailable(parts: IngestDependencies, reason: str, results: list[dict[str, Any]] | None = None) -> ProblemError:
    detail = f"{reason}; send it again, with the ids in results where there are any, and nothing counts twice"
    headers = {"Retry-After": str(parts.retry_seconds)}
    return ProblemError(503, "unavailable", detail, headers=headers, results=results)


def _count(topic: str, outcomes: Sequence[Validated], appended: Sequence[Appended]) -> None:
    fates = iter(appended)
    tally: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        if isinstance(outcome, Rejection):
            tally["rejected", "unknown"] += 1
            metrics.REJECTED.labels(outcome.code).inc()
        else:
            tally["accepted" if isinstance(next(fates), OffsetToken) else "failed", outcome.type] += 1
    for (what, kind), count in tally.items():
        if topic == topics.EVENTS:
            metrics.EVENTS.labels(what, kind).inc(count)
        else:
            metrics.UPSERTS.labels(what, topic).inc(count)


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
