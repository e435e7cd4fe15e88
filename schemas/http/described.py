"""What all HTTP processes say under ``/docs`` and ``/openapi.json``: problems, ids in paths, texts of monitoring."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from schemas.http.api import Liveness, Problem, Readiness
from schemas.http.problems import MEDIA_TYPE
from schemas.values.ids import ID_PATTERN, MAX_ID

Responses = dict[int | str, dict[str, Any]]

_MEANINGS: Final = {
    400: "Not valid: says which field",
    401: "Without a key, or with one that does not count",
    404: "There is nothing here",
    409: "Busy: see Retry-After",
    413: "Too large",
    415: "Another content type or encoding",
    422: "Well formed, but refused",
    429: "Too many from this client: see Retry-After",
    500: "Failed: the log of the process says why",
    503: "Busy or away: see Retry-After",
}
DESCRIPTION: Final = (
    "Send what visitors do, keep items and users, and read lists. Each error is a problem (RFC 9457). "
    "Ids may hold slashes: percent-encode them in paths."
)
"""What the document says of the whole API."""
LICENCE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
TAGS: Final = {
    "events": "What visitors do.",
    "events of other trackers": "Calls of Segment and Snowplow, mapped to events.",
    "items": "The catalogue.",
    "users": "Attributes of users, what is kept about them, erasure and export.",
    "recommendations": "Lists, scores and ranks.",
    "statistics": "What the whole site does.",
    "models": "Models that are trained elsewhere.",
    "operations": "Health and metrics.",
    "console": "What the console reads and does, for the people who run the site.",
}
"""The groups of operations, each with its meaning."""
FILTER: Final = "freshet-filter"
"""Format of a filter: brackets nest in it, which no pattern can describe. docs/serving.md describes the language."""
BOOST: Final = "freshet-boost"
"""Format of a boost: a factor, a colon and a filter."""
CURSOR: Final = "freshet-cursor"
"""Format of the cursor of a list: the next_cursor of an answer, or nothing."""
OFFSET_TOKEN: Final = "freshet-offset-token"  # noqa: S105 - the name of a format
"""Format of an offset token. Its partition must be one of the log's; their number is a setting."""
PATH_ID: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": MAX_ID, "pattern": ID_PATTERN}
"""JSON Schema of an id in a path."""

_NOT_HTTP: Final[dict[str, Any]] = {"text/plain": {"schema": {"type": "string"}}}
"""Content of a 400 to a request that is not HTTP, or to an address of more than 64 KiB. The server itself answers it."""


def problems(*statuses: int) -> Responses:
    """Returns the responses with these statuses, and those that any request can get (400, 500), each a problem (RFC 9457)."""
    schema = Problem.model_json_schema()
    responses: Responses = {
        status: {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({400, 500, *statuses})
    }
    responses[400]["content"] |= _NOT_HTTP
    return responses


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": model.model_json_schema()}}


PLAIN_TEXT: Final[Responses] = {
    200: {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}},
    **problems(),
}
LIVENESS: Final[Responses] = {200: {"description": "It answers", "content": _json(Liveness)}, **problems()}
READINESS: Final[Responses] = {
    200: {"description": "Ready", "content": _json(Readiness)},
    503: {"description": "Not ready: says what is missing", "content": _json(Readiness)},
    **problems(),
}
