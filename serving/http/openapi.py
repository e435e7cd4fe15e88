"""The OpenAPI description of the read API. msgspec reads the parameters, so this module describes them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from schemas.answers import Answer
from schemas.http.described import PATH_ID, problems
from schemas.http.read_answers import (
    ITEM_VIEW,
    Because,
    Compatibility,
    ItemPage,
    Scores,
    SimilarUsers,
    StatisticsAnswer,
    UserView,
)
from schemas.json_schema import schema_of
from schemas.offline.statistics import KINDS
from schemas.values.ids import without_placeholders
from serving.http.parameters import NotificationParameters

_EXAMPLE_ITEM: Final = {
    "item_id": "celeste",
    "score": 1.214,
    "reasons": [
        {"source": "fold_in", "item_id": "hollow-knight", "share": 0.61},
        {"source": "similar", "item_id": "hollow-knight", "share": 0.39},
    ],
    "item": {"title": "Celeste", "categories": ["Platformer"], "tags": ["indie", "pixel art"], "price": 19.99},
}
_MADE_OF: Final = {"model_version": "20261123T100000-als", "signals_offset": "3:4211", "degraded": []}
EXAMPLE_ANSWER: Final[dict[str, Any]] = {
    "recommendation_id": "0f6c2e1d9a4b4c0e8f57d2b61a3c9e70",
    "items": [_EXAMPLE_ITEM],
    **_MADE_OF,
    "aggregates_version": "4210.3977.4102.4211.3866.4019.3950.4077",
    "catalogue_version": "18.22.19.20.17.21.16.20",
    "config_id": "5b1e4f9c02",
    "variant": "default",
    "generated_at": "2026-11-23T10:00:00.000000Z",
    "next_cursor": "q1Z8pA",
}
EXAMPLE_SCORES: Final[dict[str, Any]] = {
    "user_id": "ann",
    "scores": [
        {"item_id": "celeste", "score": 0.84, "predicted_rating": 4.3},
        {"item_id": "portal-2", "score": 0.31, "predicted_rating": 3.6},
    ],
    **_MADE_OF,
    "generated_at": "2026-11-23T10:00:00.000000Z",
}
_BECAUSE: Final = [{"item_id": "hollow-knight", "share": 0.71}, {"item_id": "portal-2", "share": 0.29}]
EXAMPLE_BECAUSE: Final[dict[str, Any]] = {
    "user_id": "ann",
    "item_id": "celeste",
    "because": _BECAUSE,
    **_MADE_OF,
    "generated_at": "2026-11-23T10:00:00.000000Z",
}
EXAMPLE_COMPATIBILITY: Final[dict[str, Any]] = {
    **EXAMPLE_BECAUSE,
    "score": 0.84,
    "predicted_rating": 4.3,
    "percentile": 0.97,
    "reasons": _EXAMPLE_ITEM["reasons"],
}
EXAMPLE_USERS: Final[dict[str, Any]] = {
    "user_id": "ann",
    "users": [{"user_id": "bob", "score": 0.93}],
    **_MADE_OF,
    "generated_at": "2026-11-23T10:00:00.000000Z",
}
EXAMPLE_ITEM: Final[dict[str, Any]] = {"item_id": "celeste", "title": "Celeste", "hidden": False, "version": 18}
EXAMPLE_ITEMS: Final[dict[str, Any]] = {"items": [EXAMPLE_ITEM], "next_cursor": "o50", "catalogue_version": "18.22"}
EXAMPLE_STATISTICS: Final[dict[str, Any]] = {
    "kind": "best-rated",
    "period": "month",
    "category": "Platformer",
    "as_of": "2026-11-24T10:45:02Z",
    "prior": {"mean": 3.6, "ratings": 10.0},
    "items": [{"item_id": "celeste", "title": "Celeste", "average": 4.41, "ratings": 212.0, "mean": 4.45}],
}
EXAMPLE_USER: Final[dict[str, Any]] = {
    "user_id": "ann",
    "attributes": {"country": "SE", "age_group": "30-39"},
    "counters": {"view": 12, "like": 2},
    "seen": 9,
    "last_at": "2026-11-23T09:58:11Z",
    "signals_offset": "3:4211",
    "degraded": [],
}
EXAMPLE_SESSION_BODY: Final[dict[str, Any]] = {"events": [{"type": "view", "item_id": "hollow-knight"}], "count": 10}
EXAMPLE_LIST_BODY: Final[dict[str, Any]] = {"item_ids": ["celeste", "portal-2"]}

CONTEXT: Final[dict[str, Any]] = {
    "name": "context.<name>",
    "in": "query",
    "required": False,
    "style": "form",
    "explode": True,
    "description": "Parameters context.<name>: device, country, page, …; $<name> in filters, and kept on record.",
    "schema": {
        "type": "object",
        "propertyNames": {"pattern": "^context\\.[A-Za-z0-9_.-]{1,64}$"},
        "additionalProperties": {"type": "string"},
    },
}
"""The parameters ``context.<name>``: an object whose members are parameters of their own."""


def parameters(struct: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """The query parameters of a struct, in the form of OpenAPI."""
    schema = msgspec.json.schema(struct, ref_template="{name}")["$defs"][struct.__name__]
    required = schema.get("required", ())
    return [
        CONTEXT
        if name == "context"
        else {"name": name, "in": "query", "required": name in required, **_described(field)}
        for name, field in without_placeholders(schema["properties"]).items()
    ]


class Documented(NamedTuple):
    """What a 200 of a route holds: its schema, which is derived from the type that is encoded, and an example."""

    schema: dict[str, Any]
    example: dict[str, Any]


ANSWER: Final = Documented(schema_of(Answer), EXAMPLE_ANSWER)
SCORES: Final = Documented(schema_of(Scores), EXAMPLE_SCORES)
BECAUSE: Final = Documented(schema_of(Because), EXAMPLE_BECAUSE)
COMPATIBILITY: Final = Documented(schema_of(Compatibility), EXAMPLE_COMPATIBILITY)
USERS: Final = Documented(schema_of(SimilarUsers), EXAMPLE_USERS)
USER: Final = Documented(schema_of(UserView), EXAMPLE_USER)
ITEM: Final = Documented(ITEM_VIEW, EXAMPLE_ITEM)
ITEMS: Final = Documented(schema_of(ItemPage), EXAMPLE_ITEMS)
STATISTICS: Final = Documented(schema_of(StatisticsAnswer), EXAMPLE_STATISTICS)


def documented(
    answer: Documented, struct: type[msgspec.Struct] | None = None, path: str | None = None
) -> dict[str, Any]:
    """Keyword arguments of a route: its answer, the id in its path, its parameters, its problems."""
    all_parameters = [*_path_parameter(path), *(parameters(struct) if struct else [])]
    return {"responses": _responses(answer), "openapi_extra": {"parameters": all_parameters}}


def documented_body(
    answer: Documented, struct: type[msgspec.Struct], example_body: dict[str, Any], path: str | None = None
) -> dict[str, Any]:
    """Keyword arguments of a route that takes a body; ``example_body`` is an example of it."""
    schema = schema_of(struct)
    schema["properties"] = without_placeholders(schema["properties"])
    body = {"required": True, "content": {"application/json": {"schema": schema, "example": example_body}}}
    return {
        "responses": _responses(answer) | problems(415),
        "openapi_extra": {"parameters": _path_parameter(path), "requestBody": body},
    }


_EXAMPLE_STREAM: Final = """retry: 3000
id: 20261124T100000000Z-1c2d3e4f.q83vEjRWeJA

: still here

event: recommendations
id: 20261124T104500000Z-5a6b7c8d.vMzd7g8QEjQ
data: {"model_version":"20261124T104500000Z-5a6b7c8d","changed":2,"generated_at":"2026-11-24T10:45:02Z"}

"""


_EXAMPLES: Final = {"user_id": "ann", "item_id": "celeste", "kind": "best-rated"}


def _path_parameter(name: str | None) -> list[dict[str, Any]]:
    if name is None:
        return []
    schema = {"type": "string", "enum": list(KINDS)} if name == "kind" else PATH_ID
    parameter = {"name": name, "in": "path", "required": True, "schema": schema, "example": _EXAMPLES[name]}
    return [parameter | {"description": "Slashes percent-encoded."}]


def _responses(answer: Documented) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": answer.schema, "example": answer.example}}
    return {200: {"description": "The answer", "content": content}, **problems(404, 413, 503)}


def _described(field: dict[str, Any]) -> dict[str, Any]:
    # A query has no null: a parameter that is not sent is one.
    option: dict[str, Any] = next((option for option in field.get("anyOf", ()) if option.get("type") != "null"), {})
    schema = {
        name: value for name, value in {**field, **option}.items() if name not in {"anyOf", "description", "default"}
    }
    default = {} if field.get("default") is None else {"default": field["default"]}
    return {"schema": schema | default, "description": option.get("description", field.get("description", ""))}


DOCUMENTED_NOTIFICATIONS: Final[dict[str, Any]] = {
    "responses": {
        200: {
            "description": "Stays open; comments keep it alive. An event for each version that really changes the list.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE_STREAM}},
        },
        **problems(404, 429, 503),
    },
    "openapi_extra": {
        "parameters": [
            *_path_parameter("user_id"),
            *parameters(NotificationParameters),
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "Browsers send it when they reconnect. A change meanwhile is then sent at once.",
            },
        ]
    },
}
"""Keyword arguments of the route of notifications."""
