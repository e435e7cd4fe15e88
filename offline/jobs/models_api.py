"""The calls on model versions and jobs: what there is, promote, roll back, and train now."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from offline.jobs.runs import Jobs, seen
from offline.jobs.training_state import ChosenVersion, note_chosen
from offline.publishing import publish
from offline.publishing.webhooks import Notice, NoticeKind
from schemas.access.scopes import ADMIN_ONLY, METRICS, needs
from schemas.errors import JobUnknown
from schemas.http.body import read_body, require_json
from schemas.http.described import problems
from schemas.http.fallback import json_response
from schemas.http.problems import ProblemError
from schemas.json_schema import schema_of
from schemas.offline.jobs import Run
from schemas.offline.manifest import Manifest
from schemas.ports import Documents, LogWriter, ModelStore

_RUNS: Final = 50
_BODY_BYTES: Final = 4_096
_LOG_BYTES: Final = 20_000


class ModelParts(NamedTuple):
    """The stores that a call uses."""

    models: ModelStore
    open_log: Callable[[], LogWriter]
    """Opens the log, for the hints of a change."""
    documents: Documents
    jobs: Jobs


class ModelsApi(NamedTuple):
    """What the routes use."""

    open_parts: Callable[[], AbstractContextManager[ModelParts]]
    train: Callable[[str], None]
    """Starts a process that trains, with the reason that its record names. Raises LeaseTaken."""
    log_of: Callable[[str], Path]
    """The log file of a job on this machine."""


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """All versions, newest first."""

    active: str | None
    challenger: str | None
    versions: list[Manifest]


class ActiveVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The version that answers from now on, and the one before."""

    active: str
    previous: str | None


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version to make active."""

    version: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """The newest runs of jobs, newest first."""

    runs: list[Run]


class JobLog(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a job's log on this machine."""

    job: str
    text: str


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A training was started; ``GET /v1/jobs`` shows its progress."""

    job: str


def build_models_api_router(api: ModelsApi) -> APIRouter:
    """The routes under ``/v1/models`` and ``/v1/jobs``. Viewers read, admins change."""
    router = APIRouter()
    _add_versions(router, api)
    _add_jobs(router, api)
    return router


def _add_versions(router: APIRouter, api: ModelsApi) -> None:
    @router.get("/v1/models", **_described("list_models", "Model versions, and which one answers", Versions))
    @needs(METRICS)
    async def versions() -> Response:
        return json_response(await run_in_threadpool(_versions, api))

    body = {"required": True, "content": {"application/json": {"schema": schema_of(Wanted)}}}

    @router.put(
        "/v1/models/active",
        **_described("promote_model", "Make a version the active one", ActiveVersion, {"requestBody": body}),
    )
    @needs(ADMIN_ONLY)
    async def promote(request: Request) -> Response:
        wanted = await _wanted(request)
        return json_response(await run_in_threadpool(_promote, api, wanted.version))

    @router.post(
        "/v1/models/rollback",
        **_described("roll_back_model", "Go back to the version before the active one", ActiveVersion),
    )
    @needs(ADMIN_ONLY)
    async def rollback() -> Response:
        return json_response(await run_in_threadpool(_rollback, api))


def _add_jobs(router: APIRouter, api: ModelsApi) -> None:
    @router.get("/v1/jobs", **_described("list_jobs", "The newest runs of jobs, with their progress", Runs))
    @needs(METRICS)
    async def jobs() -> Response:
        return json_response(await run_in_threadpool(_runs, api))

    @router.get("/v1/jobs/{job}/log", **_described("get_job_log", "The end of a job's log on this machine", JobLog))
    @needs(ADMIN_ONLY)
    async def log(job: str) -> Response:
        return json_response(await run_in_threadpool(_log, api, job))

    @router.post(
        "/v1/trainings", **_described("train_model", "Train now, in a process of its own", Started, status=202)
    )
    @needs(ADMIN_ONLY)
    async def train() -> Response:
        await run_in_threadpool(api.train, "asked for over HTTP")
        return json_response(Started(job="train"), 202)


async def _wanted(request: Request) -> Wanted:
    require_json(request)
    body = await read_body(request.stream(), _BODY_BYTES, f"this body may have {_BODY_BYTES} bytes")
    try:
        return msgspec.json.decode(body, type=Wanted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, "invalid", f"send the version: {error}", field="version") from error


def _versions(api: ModelsApi) -> Versions:
    with api.open_parts() as parts:
        models = parts.models
        return Versions(active=models.active(), challenger=models.challenger(), versions=models.versions())


def _promote(api: ModelsApi, version: str) -> ActiveVersion:
    with api.open_parts() as parts:
        previous = parts.models.active()
        manifest = publish.promote(parts.models, parts.open_log(), version, parts.jobs.clock())
        return _noted(parts, manifest, previous, rolled_back=False)


def _rollback(api: ModelsApi) -> ActiveVersion:
    with api.open_parts() as parts:
        previous = parts.models.active()
        manifest = publish.rollback(parts.models, parts.open_log(), parts.jobs.clock())
        return _noted(parts, manifest, previous, rolled_back=True)


def _noted(parts: ModelParts, manifest: Manifest, previous: str | None, *, rolled_back: bool) -> ActiveVersion:
    """Remembers who chose the version for the schedule, and tells the webhooks."""
    now = parts.jobs.clock()
    at = datetime.fromtimestamp(now, UTC)
    how: Literal["promoted", "rolled_back"] = "rolled_back" if rolled_back else "promoted"
    note_chosen(parts.documents, ChosenVersion(version=manifest.version, how=how, at=at))
    kind: NoticeKind = "model.rolled_back" if rolled_back else "model.promoted"
    parts.jobs.tell(Notice.of(kind, manifest.version, previous, now))
    return ActiveVersion(active=manifest.version, previous=previous)


def _runs(api: ModelsApi) -> Runs:
    with api.open_parts() as parts:
        return Runs(runs=seen(parts.jobs, _RUNS))


def _log(api: ModelsApi, job: str) -> JobLog:
    if job not in JOBS:
        raise JobUnknown(f"there is no job {job}: {', '.join(sorted(JOBS))}")
    file = api.log_of(job)
    if not file.is_file():
        return JobLog(job=job, text="")
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _LOG_BYTES))
        return JobLog(job=job, text=opened.read(_LOG_BYTES).decode("utf-8", "replace"))


JOBS: Final = frozenset({"archive", "train", "train-incremental", "drift", "statistics", "retention", "rebuild"})
"""Jobs that write a log."""


def _described(
    operation_id: str,
    summary: str,
    answer: type[msgspec.Struct],
    extra: dict[str, Any] | None = None,
    status: int = 200,
) -> dict[str, Any]:
    response = {"description": summary, "content": {"application/json": {"schema": schema_of(answer)}}}
    return {
        "tags": ["console"],
        "operation_id": operation_id,
        "summary": summary,
        "status_code": status,
        "response_model": None,
        "responses": {status: response, **problems(404, 409, 413, 415, 503)},
        "openapi_extra": extra,
    }
