"""Erasure and export over HTTP: asks for an erasure, and says what has become of it."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import msgspec
import structlog
from fastapi import APIRouter, Response

from ingest.http import openapi
from ingest.privacy.erasure import Erasure, Erasures, new_erasure
from ingest.privacy.requests import attributes_entry, forget_entry, subjects_of
from ingest.privacy.secret import SiteSecret
from ingest.validation.validate import utc
from schemas.access.scopes import ADMIN_ONLY, needs
from schemas.erasures import ErasureReceipt
from schemas.errors import FreshetError
from schemas.http.problems import ProblemError, as_response
from schemas.log.records import LogEntry
from schemas.ports import Clock, Documents

_LOG = structlog.get_logger(__name__)
_SECONDS: Final = 5.0
"""Longest wait for the store of receipts."""


class PrivacyDependencies(NamedTuple):
    """Where receipts are, and the secret that signs them."""

    documents: Documents
    secret: SiteSecret
    clock: Clock


class ErasureRequest(NamedTuple):
    """The entries of a request for an erasure, and the erasure before it has reached any place."""

    of_users: LogEntry
    of_events: list[LogEntry]
    erasure: Erasure

    @property
    def receipt(self) -> ErasureReceipt:
        """The receipt of this moment."""
        return self.erasure.receipt


def erasure_request(user_id: str, erasure_id: str, privacy: PrivacyDependencies) -> ErasureRequest:
    """Everything that may be kept under an id, as of a user, of a guest or of a session, is to be erased."""
    now, subjects = utc(privacy.clock()), subjects_of(user_id)
    forgets = [forget_entry(erasure_id, number, subject, now) for number, subject in enumerate(subjects)]
    erasure = new_erasure(erasure_id, privacy.secret.person(subjects[0]), now)
    erasure.sent = [privacy.secret.person(subject) for subject in subjects]
    erasure.receipt = privacy.secret.sign(erasure.receipt)
    return ErasureRequest(attributes_entry(user_id, now), forgets, erasure)


async def note_request(privacy: PrivacyDependencies, asked: ErasureRequest) -> None:
    """Stores the first state, so that it can be read at once. Without the store the erasure's own process does it."""
    try:
        write = asyncio.to_thread(Erasures(privacy.documents).put, asked.erasure)
        await asyncio.wait_for(write, _SECONDS)
    except (FreshetError, TimeoutError) as error:
        _LOG.warning("erasure_not_noted", erasure_id=asked.receipt.erasure_id, reason=str(error))


def build_erasures_router(dependencies: PrivacyDependencies) -> APIRouter:
    """The route that reads receipts, alone."""
    router = APIRouter()
    add_erasure_route(router, dependencies)
    return router


def add_erasure_route(router: APIRouter, dependencies: PrivacyDependencies) -> None:
    """Adds the route that reads receipts."""

    @router.get("/v1/erasures/{erasure_id}", name="erasure", **openapi.GET_ERASURE)
    @needs(ADMIN_ONLY)
    async def get_erasure(erasure_id: str) -> Response:
        try:
            return receipt_response(await _receipt(dependencies, erasure_id), 200)
        except ProblemError as error:
            return as_response(error)


def receipt_response(receipt: ErasureReceipt, status: int, **members: str) -> Response:
    """A receipt as JSON, with further members."""
    body = {**members, **msgspec.to_builtins(receipt)}
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def _receipt(dependencies: PrivacyDependencies, erasure_id: str) -> ErasureReceipt:
    def read() -> Erasure | None:
        erasures = Erasures(dependencies.documents)
        return erasures.find(erasure_id) or erasures.find(dependencies.secret.erasure_id(erasure_id))

    try:
        erasure = await asyncio.wait_for(asyncio.to_thread(read), _SECONDS)
    except (FreshetError, TimeoutError) as error:
        detail = f"receipts cannot be read now ({error}); ask again"
        raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "1"}) from error
    if erasure is None:
        detail = f"There is no erasure '{erasure_id[:64]}'; the answer to DELETE /v1/users/{{id}} names it."
        raise ProblemError(404, "unknown-erasure", detail, field="erasure_id")
    return erasure.receipt
