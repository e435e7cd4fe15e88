"""Cross-origin requests (CORS): which pages may read answers, by the origins of keys and of the settings."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.types import Message, Send

from schemas.access.decision import USER_HEADER
from schemas.http.access.guard import EVERY_ORIGIN
from schemas.http.problems import ProblemError, as_response, printable

_HEADERS: Final = f"Authorization, Content-Encoding, Content-Type, Last-Event-ID, {USER_HEADER}"
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"})
_EXPOSED: Final = "Retry-After"
_MAX_AGE_SECONDS: Final = 600


def allowed_origin(origin: str, origins: frozenset[str]) -> str | None:
    """The value of Access-Control-Allow-Origin; None if pages of this origin may not read answers.

    Cookies never count across origins, so no answer allows credentials.
    """
    if origin in origins:
        return origin
    return EVERY_ORIGIN if EVERY_ORIGIN in origins else None


def preflight(origin: str, method: str, origins: frozenset[str]) -> Response:
    """Answers the question of a browser whether a page may send a request."""
    allowed = allowed_origin(origin, origins) if method in _METHODS else None
    if allowed is None:
        detail = (
            f"pages of {printable(origin)} may not send {printable(method)} here: make a key with `--origin`, or list the"
            " origin in FRESHET_CORS_ORIGINS"
        )
        return as_response(ProblemError(403, "origin", detail, headers={"Vary": "Origin"}))
    headers = {
        "Access-Control-Allow-Origin": allowed,
        "Access-Control-Allow-Methods": method,
        "Access-Control-Allow-Headers": _HEADERS,
        "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
        "Vary": "Origin, Access-Control-Request-Method",
    }
    return Response(status_code=204, headers=headers)


def readable_by(origin: str, origins: frozenset[str], send: Send) -> Send:
    """A ``send`` that lets pages of this origin read the answer, if they may."""
    allowed = allowed_origin(origin, origins)
    headers = [(b"vary", b"Origin")]
    if allowed is not None:
        headers.append((b"access-control-allow-origin", allowed.encode("latin-1")))
        headers.append((b"access-control-expose-headers", _EXPOSED.encode()))

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return send_with_headers
