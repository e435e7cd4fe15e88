"""The newest events, items and users that validation refused, in the memory of the process that refused them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Request, Response

from ingest.validation.validate import Rejection
from schemas.access.scopes import ADMIN_ONLY, needs
from schemas.http.described import problems
from schemas.http.fallback import json_response
from schemas.json_schema import schema_of
from schemas.ports import Clock

KEPT: Final = 200
_LONGEST: Final = 1_000


class RejectedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One refused object: when, what was wrong, and the beginning of it as JSON."""

    at: float
    topic: str
    code: str
    field: str | None
    detail: str
    value: str


class RejectedRows(msgspec.Struct, frozen=True, kw_only=True):
    """The newest refused objects, newest first."""

    rejected: Annotated[list[RejectedRow], msgspec.Meta(max_length=KEPT)]


class Rejections:
    """Keeps the newest rejections. They stay in memory: what was refused is kept nowhere else."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: deque[RejectedRow] = deque(maxlen=KEPT)

    def note(self, topic: str, rejection: Rejection, raw: Any) -> None:
        """Keeps a rejection with the beginning of the refused object."""
        row = RejectedRow(
            at=self._clock(),
            topic=topic,
            code=rejection.code,
            field=rejection.field,
            detail=rejection.detail[:_LONGEST],
            value=_beginning(raw),
        )
        self._rows.appendleft(row)

    def rows(self) -> RejectedRows:
        """What is kept."""
        return RejectedRows(rejected=list(self._rows))


def _beginning(raw: Any) -> str:
    # Written out in full first, but a request has a limit of size, and most are never refused.
    return repr(raw)[:_LONGEST].encode("utf-8", "replace").decode()


def add_rejections_route(router: APIRouter, rejections: Callable[[], RejectedRows]) -> None:
    """Adds the route of the newest rejections; for admins, because they hold what anybody sent."""
    summary = "The newest events, items and users that this process refused"
    response = {"description": summary, "content": {"application/json": {"schema": schema_of(RejectedRows)}}}

    @router.get(
        "/v1/events/rejected",
        tags=["console"],
        operation_id="list_rejected_events",
        summary=summary,
        response_model=None,
        responses={200: response, **problems()},
    )
    @needs(ADMIN_ONLY)
    async def rejected(_: Request) -> Response:
        return json_response(rejections())
