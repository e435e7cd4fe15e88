"""The calls on dead letters: list, read, and replay, with mended bytes where they are given."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from ingest import dead_letters
from ingest.dead_letters import Letter
from ingest.http.body import read_object
from ingest.validation.validate import Policy
from schemas.access.scopes import LETTERS, needs
from schemas.http.described import problems
from schemas.http.fallback import json_response
from schemas.http.problems import ProblemError
from schemas.json_schema import schema_of
from schemas.log.records import TOKEN_PATTERN, OffsetToken
from schemas.ports import Clock, LogReader, LogWriter

MOST: Final = 200
PathToken = Annotated[
    str,
    Path(
        json_schema_extra={"pattern": TOKEN_PATTERN}, description="Its position on the topic of dead letters: `3:17`."
    ),
]


class LetterParts(NamedTuple):
    """The log, and what the site accepts."""

    reader: LogReader
    open_writer: Callable[[], LogWriter]
    policy: Policy


class LettersApi(NamedTuple):
    """What the routes use. The log is opened for each call."""

    open_parts: Callable[[], AbstractContextManager[LetterParts]]
    clock: Clock


class LetterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter, in short."""

    token: Annotated[str, msgspec.Meta(description="Its position on the topic of dead letters.")]
    topic: str
    record: Annotated[str, msgspec.Meta(description="The position of the refused record on its topic.")]
    refused_by: str
    reason: str
    at: float
    replayed_to: Annotated[str | None, msgspec.Meta(description="Its new position; null while it is open.")]


class LetterRows(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters, oldest first in each partition."""

    letters: list[LetterRow]
    more: Annotated[bool, msgspec.Meta(description=f"True if there are more than {MOST}.")]


class LetterView(LetterRow, frozen=True, kw_only=True):
    """A dead letter with its bytes."""

    text: Annotated[str, msgspec.Meta(description="The refused bytes as text; what is not UTF-8 is replaced.")]
    base64: str
    cut_from: Annotated[int | None, msgspec.Meta(description="The size of the record, if only its beginning is kept.")]


class ReplayedLetter(msgspec.Struct, frozen=True, kw_only=True):
    """Where a replayed letter stands now."""

    topic: str
    offset: str
    again: Annotated[bool, msgspec.Meta(description="True if it had been replayed before; nothing was written now.")]


def build_letters_router(api: LettersApi) -> APIRouter:
    """The routes under ``/v1/dead-letters``."""
    router = APIRouter()

    @router.get("/v1/dead-letters", **_described("list_dead_letters", "Dead letters that wait, or all", LetterRows))
    @needs(LETTERS)
    async def list_letters(resolved: Annotated[bool, Query()] = False) -> Response:
        return json_response(await run_in_threadpool(_rows, api, resolved=resolved))

    @router.get(
        "/v1/dead-letters/{token}", **_described("get_dead_letter", "One dead letter with its bytes", LetterView)
    )
    @needs(LETTERS)
    async def show_letter(token: PathToken) -> Response:
        return json_response(await run_in_threadpool(_view, api, OffsetToken.parse(token)))

    @router.post(
        "/v1/dead-letters/{token}/replay",
        **_described("replay_dead_letter", "Put a letter back on its topic", ReplayedLetter, _BODY),
    )
    @needs(LETTERS)
    async def replay_letter(token: PathToken, request: Request) -> Response:
        mended = (await read_object(request)).get("mended")
        if mended is not None and not isinstance(mended, str):
            raise ProblemError(400, "mended", "mended is the whole record as text", field="mended")
        return json_response(await run_in_threadpool(_replay, api, OffsetToken.parse(token), mended))

    return router


def _rows(api: LettersApi, *, resolved: bool) -> LetterRows:
    with api.open_parts() as parts:
        letters = list(islice(dead_letters.letters(parts.reader, resolved=resolved), MOST + 1))
    return LetterRows(letters=[LetterRow(**_shown(letter)) for letter in letters[:MOST]], more=len(letters) > MOST)


def _view(api: LettersApi, token: OffsetToken) -> LetterView:
    with api.open_parts() as parts:
        letter = dead_letters.find(parts.reader, token)
    original = letter.letter.original()
    return LetterView(
        **_shown(letter),
        text=original.decode("utf-8", "replace"),
        base64=base64.b64encode(original).decode(),
        cut_from=letter.letter.cut_from,
    )


def _replay(api: LettersApi, token: OffsetToken, mended: str | None) -> ReplayedLetter:
    with api.open_parts() as parts:
        letter = dead_letters.find(parts.reader, token)
        now, value = datetime.fromtimestamp(api.clock(), UTC), None if mended is None else mended.encode()
        replayed = dead_letters.replay(letter, parts.open_writer(), now, parts.policy, value)
    return ReplayedLetter(topic=replayed.topic, offset=str(replayed.token), again=replayed.again)


def _shown(letter: Letter) -> dict[str, Any]:
    record = letter.letter
    return {
        "token": str(letter.token),
        "topic": record.topic,
        "record": f"{record.partition}:{record.offset}",
        "refused_by": record.refused_by,
        "reason": record.reason,
        "at": record.at.timestamp(),
        "replayed_to": None if letter.resolution is None else letter.resolution.token,
    }


_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"mended": {"type": "string", "description": "Replaces the original bytes."}},
                },
                "example": {},
            }
        },
    }
}


def _described(
    operation_id: str, summary: str, answer: type[msgspec.Struct], extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    response = {"description": summary, "content": {"application/json": {"schema": schema_of(answer)}}}
    statuses = (404, 413, 415, 422, 503) if extra else (404, 503)
    return {
        "tags": ["console"],
        "operation_id": operation_id,
        "summary": summary,
        "response_model": None,
        "responses": {200: response, **problems(*statuses)},
        "openapi_extra": extra,
    }
