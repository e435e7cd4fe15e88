"""The write API for events, items and users. A 202 means that the log has the records."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import orjson
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Scope as AsgiScope

from ingest import metrics
from ingest.compat import segment, snowplow
from ingest.compat.mapping import Mapping, Unmapped
from ingest.http import openapi
from ingest.http.body import MERGE_PATCH, read_object, read_objects
from ingest.http.openapi import PathId
from ingest.http.privacy import (
    PrivacyDependencies,
    add_erasure_route,
    erasure_request,
    note_request,
    receipt_response,
)
from ingest.http.rejections import Rejections, add_rejections_route
from ingest.http.turns import in_turns
from ingest.validation import validate
from ingest.validation.validate import Accepted, Policy, Rejection
from schemas.access.decision import USER_HEADER
from schemas.access.scopes import ADMIN_ONLY, EVENTS, ITEM_WRITES, USER_WRITES, Scope, needs
from schemas.errors import LogUnavailable
from schemas.events import MAX_EVENTS
from schemas.http.access.callers import principal_of
from schemas.http.access.limits import ClientLimits
from schemas.http.problems import ProblemError, as_response, problem_type
from schemas.http.views import refuse_view
from schemas.log import topics
from schemas.log.records import LogEntry, OffsetToken
from schemas.ports import Appended, Clock, LogWriter

_LOG = structlog.get_logger(__name__)


class IngestDependencies(NamedTuple):
    """The dependencies of the write API."""

    writer: LogWriter
    clock: Clock
    new_id: Callable[[], str]
    """Makes the id of an event that has none."""
    policy: Policy = validate.policy()
    limits: ClientLimits = ClientLimits()
    """How much each client may send."""
    append_seconds: float = 12.0
    """Longest wait of a request for the log."""
    privacy: PrivacyDependencies | None = None
    """None: users cannot be deleted here."""
    rejections: Rejections | None = None
    """Keeps what was refused, for people who look."""
    retry_seconds: int = 1
    """The Retry-After of a request that the log did not confirm."""


Validated = Accepted | Rejection
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class IngestRoute(APIRoute):
    """Turns ProblemError into problem details and counts requests, in any app that mounts the router."""

    def get_route_handler(self) -> Handler:
        """The route's handler, wrapped."""
        # A handler that needs only the request is called directly: FastAPI's dependency solving would cost more than the handler.
        endpoint: Handler = super().get_route_handler() if self.dependant.path_params else self.endpoint

        return _counted(self.name, endpoint)


def _counted(name: str, endpoint: Handler) -> Handler:
    async def handler(request: Request) -> Response:
        try:
            refuse_view(request.scope)
            response = await endpoint(request)
        except ProblemError as error:
            response = as_response(error)
        except ClientDisconnect:
            # The client is gone; 499 is what nginx logs then.
            response = Response(status_code=499)
        metrics.REQUESTS.labels(name, response.status_code).inc()
        return response

    return handler


def build_router(dependencies: IngestDependencies) -> APIRouter:
    """The routes under ``/v1`` that write. The online API serves reads of the same paths."""
    router = APIRouter(route_class=IngestRoute)
    _add_events(router, dependencies)
    _add_compat(router, dependencies)
    _add_items(router, dependencies)
    _add_users(router, dependencies)
    if dependencies.rejections is not None:
        add_rejections_route(router, dependencies.rejections.rows)
    if dependencies.privacy is not None:
        _add_erasures(router, dependencies, dependencies.privacy)
    return router


def events_endpoint(dependencies: IngestDependencies) -> Handler:
    """The handler of ``POST /v1/events``."""
    return needs(EVENTS)(_counted("events", _events(dependencies)))


def events_are_sent(scope: AsgiScope) -> bool:
    """True if a request is for ``events_endpoint``."""
    return bool(scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/v1/events")


def _events(dependencies: IngestDependencies) -> Handler:
    @needs(EVENTS)
    async def post_events(request: Request) -> Response:
        validator = _event_validator(request, dependencies)
        return await _write_bulk(request, dependencies, topics.EVENTS, "event_id", validator)

    return post_events


def _event_validator(request: Request, dependencies: IngestDependencies) -> Callable[[Any], Accepted]:
    """Validates an event as the site wants it, and as this caller may send it."""
    validator = partial(
        validate.validate_event,
        now=validate.utc(dependencies.clock()),
        new_id=dependencies.new_id,
        allowed=dependencies.policy,
    )
    principal = principal_of(request.scope)
    if principal.speaker is not None:
        validator = partial(_of_own_user, cache(principal.speaks_for), validator)
    if not principal.has(Scope.ADMIN):
        validator = partial(_without_erasure, validator)
    return validator


def _of_own_user(speaks_for: Callable[[str], bool], validator: Callable[[Any], Accepted], raw_object: Any) -> Accepted:
    """Validates an event of a caller who may name only the user of its token; raises Rejection."""
    user_id = raw_object.get("user_id") if isinstance(raw_object, dict) else None
    if isinstance(user_id, str) and not speaks_for(user_id):
        detail = (
            f"with this key, an event that names a user needs a token of that user: send it as '{USER_HEADER}: TOKEN'"
        )
        raise Rejection("user-token", detail, "user_id")
    return validator(raw_object)


def _without_erasure(validator: Callable[[Any], Accepted], raw_object: Any) -> Accepted:
    """Validates an event of a caller who may not erase a user; raises Rejection."""
    accepted = validator(raw_object)
    if accepted.type == "forget":
        raise Rejection("scope", f"a `forget` erases a user, so it needs a key with the scope {Scope.ADMIN}", "type")
    return accepted


def _add_events(router: APIRouter, dependencies: IngestDependencies) -> None:
    router.post("/v1/events", name="events", **openapi.events(dependencies.policy))(_events(dependencies))


def _add_compat(router: APIRouter, dependencies: IngestDependencies) -> None:
    """Adds a route for each source whose calls are mapped to events."""

    def handler_of(events_of: Mapping) -> Callable[..., Coroutine[Any, Any, Response]]:
        @needs(EVENTS)
        async def take(call: str, request: Request) -> Response:
            mapped = events_of(call.rpartition("/")[2], await read_object(request))
            if not mapped:
                raise ProblemError(400, "empty", "the body holds no message")
            if len(mapped) > MAX_EVENTS:
                raise ProblemError(413, "too-many", f"{len(mapped):,} events in one call; send at most {MAX_EVENTS:,}")
            validator = partial(_of_source, _event_validator(request, dependencies))
            return await _write_objects(request, dependencies, topics.EVENTS, "event_id", validator, mapped)

        return take

    for source, events_of in (("segment", segment.events_of), ("snowplow", snowplow.events_of)):
        path = f"/v1/compat/{source}/{{call:path}}"
        router.post(path, name=f"compat_{source}", **openapi.compat(source))(handler_of(events_of))


def _of_source(validator: Callable[[Any], Accepted], mapped: Any) -> Accepted:
    """Validates the event that a message was mapped to; raises Rejection also if there is none."""
    if isinstance(mapped, Unmapped):
        raise Rejection("unmapped", mapped.reason)
    return validator(mapped)


def _add_items(router: APIRouter, dependencies: IngestDependencies) -> None:
    @router.post("/v1/items", name="items", **openapi.ITEMS)
    @needs(ITEM_WRITES)
    async def post_items(request: Request) -> Response:
        validator = partial(validate.validate_item, now=validate.utc(dependencies.clock()))
        return await _write_bulk(request, dependencies, topics.ITEMS, "item_id", validator)

    @router.put("/v1/items/{item_id:path}", name="item", **openapi.PUT_ITEM)
    @needs(ITEM_WRITES)
    async def put_item(item_id: PathId, request: Request) -> Response:
        raw = await read_object(request)
        validator = partial(validate.put_item, item_id, raw, validate.utc(dependencies.clock()))
        return await _write_single(request, dependencies, topics.ITEMS, "item_id", validator)

    @router.patch("/v1/items/{item_id:path}", name="item", **openapi.PATCH_ITEM)
    @needs(ITEM_WRITES)
    async def patch_item(item_id: PathId, request: Request) -> Response:
        raw = await read_object(request, MERGE_PATCH)
        validator = partial(validate.patch_item, item_id, raw, validate.utc(dependencies.clock()))
        return await _write_single(request, dependencies, topics.ITEMS, "item_id", validator)

    @router.delete("/v1/items/{item_id:path}", name="item", **openapi.DELETE_ITEM)
    @needs(ITEM_WRITES)
    async def delete_item(item_id: PathId, request: Request) -> Response:
        validator = partial(validate.delete, item_id, "item_id", validate.utc(dependencies.clock()))
        return await _write_single(request, dependencies, topics.ITEMS, "item_id", validator)


def _add_users(router: APIRouter, dependencies: IngestDependencies) -> None:
    @router.put("/v1/users/{user_id:path}", name="user", **openapi.PUT_USER)
    @needs(USER_WRITES)
    async def put_user(user_id: PathId, request: Request) -> Response:
        raw = await read_object(request)
        validator = partial(validate.put_user, user_id, raw, validate.utc(dependencies.clock()), dependencies.policy)
        return await _write_single(request, dependencies, topics.USERS, "user_id", validator)

    @router.patch("/v1/users/{user_id:path}", name="user", **openapi.PATCH_USER)
    @needs(USER_WRITES)
    async def patch_user(user_id: PathId, request: Request) -> Response:
        raw = await read_object(request, MERGE_PATCH)
        validator = partial(validate.patch_user, user_id, raw, validate.utc(dependencies.clock()), dependencies.policy)
        return await _write_single(request, dependencies, topics.USERS, "user_id", validator)


def _add_erasures(router: APIRouter, dependencies: IngestDependencies, privacy: PrivacyDependencies) -> None:
    add_erasure_route(router, privacy)

    @router.delete("/v1/users/{user_id:path}", name="user", **openapi.DELETE_USER)
    @needs(ADMIN_ONLY)
    async def delete_user(user_id: PathId, request: Request) -> Response:
        dependencies.limits.check(request.scope, 1)
        try:
            validate.check_id(user_id, "user_id")
        except Rejection as error:
            _count(topics.USERS, [error], [])
            raise ProblemError(400, error.code, error.detail, field=error.field) from error
        asked = erasure_request(user_id, dependencies.new_id(), privacy)
        await note_request(privacy, asked)
        (appended,) = await _append_entries(dependencies, topics.USERS, [asked.of_users])
        forgets = await _append_entries(dependencies, topics.EVENTS, asked.of_events)
        failure = next((result for result in (appended, *forgets) if isinstance(result, Exception)), None)
        metrics.UPSERTS.labels("failed" if failure else "accepted", topics.USERS).inc()
        if failure is not None:
            raise _unavailable(dependencies, str(failure)) from failure
        return receipt_response(asked.receipt, 202, user_id=user_id, offset=str(appended))


async def _write_single(
    request: Request, dependencies: IngestDependencies, topic: str, id_field: str, validator: Callable[[], Accepted]
) -> Response:
    dependencies.limits.check(request.scope, 1)
    try:
        accepted = validator()
    except Rejection as error:
        _count(topic, [error], [])
        raise ProblemError(400, error.code, error.detail, field=error.field) from error
    (appended,) = await _append(dependencies, topic, [accepted])
    _count(topic, [accepted], [appended])
    if isinstance(appended, Exception):
        raise _unavailable(dependencies, str(appended)) from appended
    return _json({id_field: accepted.id, "offset": str(appended)}, 202)


def _note_rejections(
    dependencies: IngestDependencies, topic: str, outcomes: Sequence[Validated], raw_objects: Sequence[Any]
) -> None:
    if dependencies.rejections is None:
        return
    for outcome, raw_object in zip(outcomes, raw_objects, strict=True):
        if isinstance(outcome, Rejection):
            dependencies.rejections.note(topic, outcome, raw_object)


async def _write_bulk(
    request: Request, dependencies: IngestDependencies, topic: str, id_field: str, validator: Callable[[Any], Accepted]
) -> Response:
    return await _write_objects(request, dependencies, topic, id_field, validator, await read_objects(request))


async def _write_objects(
    request: Request,
    dependencies: IngestDependencies,
    topic: str,
    id_field: str,
    validator: Callable[[Any], Accepted],
    raw_objects: Sequence[Any],
) -> Response:
    dependencies.limits.check(request.scope, len(raw_objects))
    outcomes = [_outcome(validator, raw_object) async for raw_object in in_turns(raw_objects)]
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    appended = await _append(dependencies, topic, accepted) if accepted else []
    _count(topic, outcomes, appended)
    _note_rejections(dependencies, topic, outcomes, raw_objects)
    results = _results(id_field, raw_objects, outcomes, appended)
    if accepted and all(isinstance(confirmation, Exception) for confirmation in appended):
        raise _unavailable(dependencies, str(appended[0]), results)
    if not accepted:
        raise _none_valid(outcomes, results)
    complete = len(accepted) == len(outcomes) and not any(
        isinstance(confirmation, Exception) for confirmation in appended
    )
    return _json({"results": results}, 202 if complete else 207)


def _outcome(validator: Callable[[Any], Accepted], raw_object: Any) -> Validated:
    try:
        return validator(raw_object)
    except Rejection as error:
        return error


async def _append(dependencies: IngestDependencies, topic: str, accepted: Sequence[Accepted]) -> list[Appended]:
    return await _append_entries(dependencies, topic, [record.entry for record in accepted])


async def _append_entries(dependencies: IngestDependencies, topic: str, entries: Sequence[LogEntry]) -> list[Appended]:
    """The confirmation or failure of each entry. If the log is busy, gone or silent, all fail alike."""
    try:
        with metrics.APPEND_SECONDS.labels(topic).time():
            future = dependencies.writer.append(topic, entries)
            metrics.QUEUE_DEPTH.inc(len(entries))
            future.add_done_callback(lambda _: metrics.QUEUE_DEPTH.dec(len(entries)))
            # A shield: a client that hangs up must not cancel an append that the log may still confirm.
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), dependencies.append_seconds)
    except TimeoutError:
        failure = LogUnavailable(
            f"the log did not confirm within {dependencies.append_seconds:g} s; it may still do so"
        )
    except LogUnavailable as error:
        failure = error
    _LOG.warning("append_failed", topic=topic, records=len(entries), reason=str(failure))
    return [failure] * len(entries)


def _results(
    id_field: str, raw_objects: Sequence[Any], outcomes: Sequence[Validated], appended: Sequence[Appended]
) -> list[dict[str, Any]]:
    confirmations = iter(appended)
    results = []
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, Rejection):
            error = _fault(outcome.code, outcome.detail, index, outcome.field)
            results.append(_result(id_field, _claimed_id(raw_objects[index], id_field), None, error))
        else:
            confirmation = next(confirmations)
            failed = (
                _fault("unavailable", f"{confirmation}; send it again", index)
                if isinstance(confirmation, Exception)
                else None
            )
            results.append(_result(id_field, outcome.id, None if failed else str(confirmation), failed))
    return results


def _result(id_field: str, id_: str | None, offset: str | None, error: dict[str, Any] | None) -> dict[str, Any]:
    return {id_field: id_, "status": "rejected" if error else "accepted", "offset": offset, "error": error}


def _fault(code: str, detail: str, index: int, field: str | None = None) -> dict[str, Any]:
    return {"type": problem_type(code), "detail": detail, "field": field, "index": index}


def _claimed_id(raw_object: Any, id_field: str) -> str | None:
    claimed = raw_object.get(id_field) if isinstance(raw_object, dict) else None
    if not isinstance(claimed, str):
        return None
    return claimed[:128].encode("utf-8", "replace").decode()


def _none_valid(outcomes: Sequence[Validated], results: list[dict[str, Any]]) -> ProblemError:
    rejection = outcomes[0]
    assert isinstance(rejection, Rejection)
    detail = rejection.detail if len(outcomes) == 1 else f"none of the {len(outcomes)} is valid; the first: {rejection}"
    return ProblemError(400, rejection.code, detail, field=rejection.field, index=0, results=results)


def _unavailable(
    dependencies: IngestDependencies, reason: str, results: list[dict[str, Any]] | None = None
) -> ProblemError:
    detail = f"{reason}; send it again, with the ids in results where there are any, and nothing counts twice"
    headers = {"Retry-After": str(dependencies.retry_seconds)}
    return ProblemError(503, "unavailable", detail, headers=headers, results=results)


def _count(topic: str, outcomes: Sequence[Validated], appended: Sequence[Appended]) -> None:
    confirmations = iter(appended)
    tally: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        if isinstance(outcome, Rejection):
            tally["rejected", "unknown"] += 1
            metrics.REJECTED.labels(outcome.code).inc()
        else:
            tally["accepted" if isinstance(next(confirmations), OffsetToken) else "failed", outcome.type] += 1
    for (result, kind), count in tally.items():
        if topic == topics.EVENTS:
            metrics.EVENTS.labels(result, kind).inc(count)
        else:
            metrics.UPSERTS.labels(result, topic).inc(count)


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
