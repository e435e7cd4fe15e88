"""Receives external models: ``POST /v1/models/{neighbours|lists|factors}``, from clients that send the token."""

from __future__ import annotations

import hmac
import io
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from offline.config import OfflineSettings
from offline.publishing.external_models import (
    COLUMNS,
    ExternalModel,
    ExternalModelKind,
    ExternalModelOptions,
    external_model_of,
)
from schemas.access.scopes import PUBLIC, needs
from schemas.errors import (
    FreshetError,
    LeaseTaken,
    ModelRefused,
    PointerMoved,
    PublicationInvalid,
    StoreUnavailable,
)
from schemas.http.access.described import MODELS_TOKEN
from schemas.http.body import JSON, read_body, wrong_content_type
from schemas.http.described import problems
from schemas.http.problems import ProblemError, as_response
from schemas.json_schema import closed, schema_of
from schemas.offline.manifest import Manifest

MAX_BYTES: Final = 256 * 1024 * 1024
"""Maximum size of a body. Larger models are published by `freshet models publish`."""
_TOO_LARGE: Final = f"the body is larger than {MAX_BYTES:,} bytes; use `freshet models publish` for it"
PARQUET: Final = frozenset({"application/vnd.apache.parquet", "application/x-parquet", "application/octet-stream"})
NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

_NOUNS: Final[dict[ExternalModelKind, str]] = {
    "neighbours": "similarities",
    "lists": "lists of users",
    "factors": "factors",
}
_STATUSES: Final = (401, 404, 409, 413, 415, 422, 503)
_INFINITE: Final = 3.4028235677973366e38
"""From here on a number is rounded to infinity in 32 bits."""
_FLOAT: Final = {"type": "number", "exclusiveMinimum": -_INFINITE, "exclusiveMaximum": _INFINITE}
_CELLS: Final[dict[str, dict[str, Any]]] = {
    "string": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[^\x00-\x1f\x7f]+$(?![\s\S])"},
    "float": _FLOAT,
    "list<item: float>": {"type": "array", "items": _FLOAT, "minItems": 1},
}
"""JSON Schema by the type of a column."""
_log = structlog.get_logger()


def _body(kind: ExternalModelKind) -> dict[str, Any]:
    """The OpenAPI description of a body with rows of this kind."""
    row = closed(
        f"RowOf{kind.title()}",
        {name: _cell(name, COLUMNS[kind].field(name)) for name in COLUMNS[kind].names},
        COLUMNS[kind].names,
    )
    rows = {"type": "array", "items": row | {"additionalProperties": True}, "minItems": 1}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": rows},
            "application/x-ndjson": {"schema": {"type": "string", "description": "An object in each line."}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }


def _cell(name: str, column: pa.Field) -> dict[str, Any]:
    return {"enum": ["user", "item"]} if name == "of" else _CELLS[str(column.type)]


Receive = Callable[[ExternalModelKind, ExternalModel], Manifest]
"""Publishes an external model. Blocks."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: the version that was published, and the one that it was made from."""

    version: str
    parent: str | None
    kind: ExternalModelKind
    rows: int
    """Rows of the body."""


_PUBLISHED: Final = {"description": "Published", "content": {"application/json": {"schema": schema_of(Published)}}}


class UploadApi(NamedTuple):
    """Dependencies of the route."""

    token: str
    """Token of the authorization header; never empty."""
    receive: Receive
    making: ExternalModelOptions


def upload_api_of(settings: OfflineSettings, receive: Receive) -> UploadApi | None:
    """The parts of the route as the settings want them; None without a token."""
    token = settings.models_token.get_secret_value()
    making = ExternalModelOptions(
        user_list=settings.list_length, item_list=settings.similar_length, pseudonyms=settings.pseudonyms
    )
    return UploadApi(token, receive, making) if token else None


def build_router(upload_api: UploadApi) -> APIRouter:
    """Returns the router. Errors are answered as RFC 9457 problems."""
    router = APIRouter(tags=["models"])

    for kind in COLUMNS:
        router.post(
            f"/v1/models/{kind}",
            name=f"publish_{kind}",
            operation_id=f"publish_{kind}",
            summary=f"Publish {_NOUNS[kind]} of an external model",
            status_code=201,
            response_model=None,
            responses={201: _PUBLISHED, **problems(*_STATUSES)},
            openapi_extra={"requestBody": _body(kind), "security": MODELS_TOKEN},
        )(_endpoint(upload_api, kind))
    router.post("/v1/models/{kind}", include_in_schema=False)(_endpoint(upload_api))
    return router


def _endpoint(upload_api: UploadApi, kind: str | None = None) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    @needs(PUBLIC)  # it checks the token itself
    async def post_models(request: Request) -> Response:
        try:
            return await _published(upload_api, kind or request.path_params["kind"], request)
        except ProblemError as problem:
            return as_response(problem)

    return post_models


async def _published(upload_api: UploadApi, kind: str, request: Request) -> Response:
    _require_token(upload_api.token, request.headers.get("authorization", ""))
    known = next((known_kind for known_kind in COLUMNS if known_kind == kind), None)
    if known is None:
        raise ProblemError(404, "unknown-kind", f"there is no kind '{kind}'; send {', '.join(COLUMNS)}", field="kind")
    header = request.headers.get("content-type", "")
    media_type = header.partition(";")[0].strip().lower()
    if media_type not in {JSON, *NDJSON, *PARQUET}:
        raise wrong_content_type(header, (JSON, *NDJSON, *PARQUET))
    body = await read_body(request.stream(), MAX_BYTES, _TOO_LARGE)
    manifest, rows = await run_in_threadpool(_receive, upload_api, known, media_type, body)
    answer = Published(version=manifest.version, parent=manifest.parent, kind=known, rows=rows)
    return Response(msgspec.json.encode(answer), 201, media_type="application/json")


def _require_token(token: str, given: str) -> None:
    if not hmac.compare_digest(f"Bearer {token}".encode(), given.encode("utf-8", "replace")):
        raise ProblemError(
            401,
            "token",
            "send the token of FRESHET_MODELS_TOKEN as 'Authorization: Bearer TOKEN'",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _receive(upload_api: UploadApi, kind: ExternalModelKind, media_type: str, body: bytes) -> tuple[Manifest, int]:
    try:
        model = external_model_of(kind, read_table(kind, media_type, body), upload_api.making)
        return upload_api.receive(kind, model), model.rows
    except FreshetError as error:
        _log.warning("models_not_published", kind=kind, reason=str(error))
        raise _problem(error) from error


def _problem(error: FreshetError) -> ProblemError:
    if isinstance(error, PublicationInvalid):
        return ProblemError(400, "invalid", str(error), field=error.field, index=error.row)
    if isinstance(error, ModelRefused):
        return ProblemError(422, "refused", str(error))
    if isinstance(error, PointerMoved | LeaseTaken):
        return ProblemError(409, "busy", str(error), headers={"Retry-After": "60"})
    if isinstance(error, StoreUnavailable):
        return ProblemError(503, "unavailable", str(error), headers={"Retry-After": "5"})
    return ProblemError(500, "failed", str(error))


def read_table(kind: ExternalModelKind, media_type: str, body: bytes) -> pa.Table:
    """Returns the rows of a body: Parquet, a JSON array of objects, or one object per line. Raises PublicationInvalid."""
    if media_type in PARQUET:
        return read_parquet(io.BytesIO(body))
    try:
        rows = _lines(body) if media_type in NDJSON else msgspec.json.decode(body, type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise PublicationInvalid(f"the body is no JSON array of objects: {error}") from error
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS[kind].names}
    return pa.table({name: _column(name, values, COLUMNS[kind].field(name).type) for name, values in columns.items()})


def read_parquet(source: Any) -> pa.Table:
    """Returns the table of a Parquet file or buffer. Raises PublicationInvalid for another format."""
    try:
        return pq.ParquetFile(source).read()
    except (pa.ArrowException, OSError) as error:
        raise PublicationInvalid(f"it cannot be read as Parquet: {error}") from error


def _lines(body: bytes) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text for text in body.split(b"\n") if text.strip()):
        try:
            rows.append(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.DecodeError as error:
            raise PublicationInvalid(f"row {number}: the line is no JSON object: {error}", row=number) from error
    return rows


def _column(name: str, values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        # Arrow reads true as 1.
        column = None if any(map(_has_truth, values)) else pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        column = None
    if column is None:
        row = next(row for row, value in enumerate(values) if _has_truth(value) or not _fits(value, kind))
        detail = f"row {row}: {name} must be {kind}, but is {str(values[row])[:80]!r}"
        raise PublicationInvalid(detail, field=name, row=row)
    return column


def _has_truth(value: Any) -> bool:
    """True for true and false, and for a list with one of them."""
    return value.__class__ is bool or (value.__class__ is list and any(member.__class__ is bool for member in value))


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        pa.scalar(value, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return False
    return True
