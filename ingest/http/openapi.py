"""The OpenAPI description of the write API. Routes read raw bodies, so this module declares the schemas of bodies."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Response
from pydantic import BaseModel

from ingest.validation.validate import Policy
from schemas.catalogue import ItemFields, ItemUpsert, UserFields
from schemas.events import MAX_EVENTS, event_schema
from schemas.http.api import ErasureAnswer, ErasureState, EventsAnswer, ItemReceipt, ItemsAnswer, UserReceipt
from schemas.http.described import PATH_ID, problems

PathId = Annotated[str, Path(json_schema_extra=PATH_ID, description="Slashes percent-encoded.")]
_VIEW: Final[dict[str, Any]] = {
    "event_id": "5f0c7a52-8a49-4d5e-9f5c-2a8f7f0c1b11",
    "type": "view",
    "user_id": "ann",
    "item_id": "portal-2",
    "occurred_at": "2026-11-23T10:00:00Z",
    "context": {"device": "phone", "page": "shop"},
}
_SEARCH: Final = {"type": "search", "anonymous_id": "guest-7", "query": "puzzle co-op"}
_RATING: Final = {"type": "rating", "user_id": "ann", "item_id": "portal-2", "value": 4.5}
_ITEM: Final = {
    "title": "Portal 2",
    "categories": ["Puzzle"],
    "tags": ["co-op", "first-person"],
    "price": 9.99,
    "url": "https://shop.example/portal-2",
    "image_url": "https://shop.example/portal-2.jpg",
    "published_at": "2011-04-19T00:00:00Z",
    "attributes": {"developer": "Valve", "platforms": ["PC"]},
}
_USER: Final = {"attributes": {"age": 34, "country": "SE", "postcode": "118 20"}}

_FAULT: Final = {
    "type": "urn:freshet:problem:missing",
    "detail": "item_id is missing: a view is of an item",
    "field": "item_id",
    "index": 1,
}
_RECEIPT: Final = {
    "erasure_id": "5f0c7a528a494d5e",
    "person": "7d1a54127b222502",
    "requested_at": "2026-11-23T10:00:00Z",
    "places": [
        {"place": "signals", "state": "done", "at": "2026-11-23T10:00:01Z", "detail": ""},
        {"place": "log", "state": "expires", "at": "2026-12-23T10:00:00Z", "detail": "retention of the log"},
    ],
    "complete_by": "2026-12-23T10:00:00Z",
    "signature": "9f86d081884c7d65",
}

_ERRORS: Final = problems(413, 415, 429, 503)


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _body(schema: dict[str, Any], examples: dict[str, Any], *media_types: str) -> dict[str, Any]:
    shown = {name: {"value": value} for name, value in examples.items()}
    content = {media: {"schema": schema, "examples": shown} for media in ("application/json", *media_types)}
    return {"requestBody": {"required": True, "content": content}}


def _bulk(object_schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    several = {"type": "array", "minItems": 1, "items": object_schema, "description": f"At most {MAX_EVENTS:,}."}
    body = _body({"oneOf": [object_schema, several]}, examples)
    lines = {"schema": {"type": "string", "description": "An object in each line."}}
    body["requestBody"]["content"]["application/x-ndjson"] = lines
    return body


def _operation(
    operation_id: str,
    tag: str,
    summary: str,
    answers: dict[int | str, dict[str, Any]],
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "operation_id": operation_id,
        "tags": [tag],
        "summary": summary,
        "status_code": 202,
        "responses": {**_ERRORS, **answers},
        "openapi_extra": extra,
        "response_model": None,
    }


def _answer(model: type[BaseModel], description: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"model": model, "description": description, "content": {"application/json": {"example": example}}}


def _answers(model: type[BaseModel], id_field: str, id_: str) -> dict[int | str, dict[str, Any]]:
    accepted = {id_field: id_, "status": "accepted", "offset": "3:4211", "error": None}
    rejected = {id_field: None, "status": "rejected", "offset": None, "error": _FAULT}
    return {
        202: _answer(model, "On the log", {"results": [accepted]}),
        207: _answer(model, "Some are on the log: see each result", {"results": [accepted, rejected]}),
    }


def _receipt(model: type[BaseModel], id_field: str, id_: str) -> dict[int | str, dict[str, Any]]:
    example = {id_field: id_, "offset": "3:4211"}
    return {202: _answer(model, "On the log; visible everywhere within a second", example)}


_PATCH: Final = "application/merge-patch+json"


def events(policy: Policy) -> dict[str, Any]:
    """Keyword arguments of the route of events, with the types and the scale of the site."""
    return _operation(
        "send_events",
        "events",
        "Take one event, an array of them, or NDJSON; gzip allowed; at most 2,000 events and 1 MiB",
        _answers(EventsAnswer, "event_id", _VIEW["event_id"]),
        _bulk(
            event_schema(policy.types, policy.scale, policy.placeholders),
            {"a view": _VIEW, "a search": _SEARCH, "several": [_VIEW, _RATING]},
        ),
    )


_MESSAGES: Final[dict[str, dict[str, Any]]] = {
    "segment": {
        "batch": [
            {
                "type": "track",
                "messageId": "ajs-1",
                "userId": "ann",
                "event": "Product Viewed",
                "properties": {"product_id": "portal-2"},
            }
        ]
    },
    "snowplow": {
        "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data": [
            {"e": "se", "eid": _VIEW["event_id"], "uid": "ann", "se_ca": "shop", "se_ac": "like", "se_la": "portal-2"}
        ],
    },
}


def compat(source: str) -> dict[str, Any]:
    """Keyword arguments of the route of another tracker's calls."""
    return _operation(
        f"take_{source}",
        "events of other trackers",
        f"Take a call of {source.title()}; docs/compat.md says what becomes of each field",
        _answers(EventsAnswer, "event_id", _VIEW["event_id"]),
        _body({"type": "object"}, {"a call": _MESSAGES[source]}),
    )


ITEMS: Final = _operation(
    "put_items",
    "items",
    "Put many items: an array, or NDJSON",
    _answers(ItemsAnswer, "item_id", "portal-2"),
    _bulk(_schema(ItemUpsert), {"several": [{"item_id": "portal-2", **_ITEM}]}),
)
PUT_ITEM: Final = _operation(
    "put_item",
    "items",
    "Put an item: replaces all its fields",
    _receipt(ItemReceipt, "item_id", "portal-2"),
    _body(_schema(ItemFields), {"a game": _ITEM}),
)
PATCH_ITEM: Final = _operation(
    "patch_item",
    "items",
    "Change an item by a merge patch (RFC 7396): null removes",
    _receipt(ItemReceipt, "item_id", "portal-2"),
    _body(_schema(ItemFields), {"a new price": {"price": 4.99}, "hide": {"hidden": True}}, _PATCH),
)
DELETE_ITEM: Final = _operation("delete_item", "items", "Delete an item", _receipt(ItemReceipt, "item_id", "portal-2"))
PUT_USER: Final = _operation(
    "put_user",
    "users",
    "Put a user's attributes; ages and places are generalized before the log, names and addresses are left out",
    _receipt(UserReceipt, "user_id", "ann"),
    _body(_schema(UserFields), {"a user": _USER}),
)
PATCH_USER: Final = _operation(
    "patch_user",
    "users",
    "Change a user's attributes by a merge patch (RFC 7396): null removes",
    _receipt(UserReceipt, "user_id", "ann"),
    _body(_schema(UserFields), {"a move": {"attributes": {"country": "NO", "postcode": None}}}, _PATCH),
)
_ERASURE: Final[dict[int | str, dict[str, Any]]] = {
    202: _answer(
        ErasureAnswer,
        "On the log; the places are reached one after the other",
        {**_RECEIPT, "user_id": "ann", "offset": "3:4211"},
    )
}
DELETE_USER: Final = _operation(
    "erase_user", "users", "Erase everything that is kept about a user, a guest or a session", _ERASURE
)
GET_ERASURE: Final[dict[str, Any]] = {
    "operation_id": "get_erasure",
    "tags": ["users"],
    "summary": "What has become of an erasure: each place with its state and time",
    "response_model": None,
    "responses": {
        **problems(404, 503),
        200: _answer(ErasureState, "The receipt as it is now", _RECEIPT),
    },
}
EXPORT_USER: Final[dict[str, Any]] = {
    "operation_id": "export_user",
    "tags": ["users"],
    "summary": "All that is held on a user, as JSON Lines in a zip; one export at a time",
    "response_model": None,
    "response_class": Response,
    "responses": {
        **problems(429, 503),
        200: {
            "description": "README.txt says what each file holds, and what is not included. Without its end, the zip is not whole",
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
}
