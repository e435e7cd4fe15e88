"""Pseudonyms at the edge of HTTP: a site with a pepper hands routes the pseudonyms of the ids in an address.

What routes answer in JSON shows the id as the caller gave it. Ids in bodies are replaced by whoever reads the body, with
``pseudonyms_of``.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote, unquote_plus

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.http.views import METHODS
from schemas.values.pseudonyms import ID_FIELDS, Pseudonyms

_USERS: Final = b"/v1/users/"
_API: Final = "/v1/"
_KEY: Final = "freshet.pseudonyms"
Given = dict[str, str]
"""The ids that the caller gave, by pseudonym."""


def pseudonyms_of(scope: Scope) -> Pseudonyms | None:
    """The site's pseudonyms; None if it keeps ids as they are."""
    found: Pseudonyms | None = scope.get(_KEY)
    return found


class PseudonymMiddleware:
    """ASGI middleware inside the check of access and the audit log, which thus records pseudonyms."""

    def __init__(self, app: ASGIApp, pseudonyms: Pseudonyms) -> None:
        self._app, self._pseudonyms = app, pseudonyms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on with pseudonyms in its address, and its answer back with the ids that were given."""
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return
        scope[_KEY] = self._pseudonyms
        # In place: the audit log, outside, reads the same scope.
        given = self._replace_path(scope) | self._replace_query(scope)
        await self._app(scope, receive, _Answer(send, given) if given else send)

    def _replace_path(self, scope: Scope) -> Given:
        path: bytes = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        if not path.startswith(_USERS):
            return {}
        rest = path.removeprefix(_USERS)
        before, _, view = rest.rpartition(b"/")
        raw_id, end = (before, b"/" + view) if before and view in METHODS[b"users"] else (rest, b"")
        id_ = unquote(raw_id.decode("latin-1"))
        if not self._pseudonyms.is_id("user_id", id_):
            return {}
        pseudonym = self._pseudonyms.of(id_)
        scope["raw_path"] = _USERS + pseudonym.encode() + end
        scope["path"] = scope["raw_path"].decode("ascii")
        return {pseudonym: id_}

    def _replace_query(self, scope: Scope) -> Given:
        query: bytes = scope["query_string"]
        if b"_id" not in query and b"%" not in query:
            return {}
        given: Given = {}
        pairs = [self._replaced(pair, given) for pair in query.split(b"&")]
        if given:
            scope["query_string"] = b"&".join(pairs)
        return given

    def _replaced(self, pair: bytes, given: Given) -> bytes:
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = (unquote_plus(part.decode("latin-1")) for part in (raw_name, raw_value))
        if name not in ID_FIELDS or not self._pseudonyms.is_id(name, value):
            return pair
        pseudonym = self._pseudonyms.of(value)
        given[pseudonym] = value
        return f"{name}={pseudonym}".encode()


class _Answer:
    """Sends an answer on. In one of JSON, the ids that were given stand in place of their pseudonyms."""

    def __init__(self, send: Send, given: Given) -> None:
        self._send = send
        self._texts = [(pseudonym.encode(), orjson.dumps(id_)[1:-1]) for pseudonym, id_ in given.items()]
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
            return
        if self._start is not None:
            start, self._start = self._start, None
            message = self._restored(start, message)
            await self._send(start)
        await self._send(message)

    def _restored(self, start: Message, message: Message) -> Message:
        """The body of an answer with the ids that were given. Our routes send JSON in one piece."""
        body: bytes = message.get("body", b"")
        for pseudonym, id_ in self._texts:
            body = body.replace(pseudonym, id_)
        length = b"%d" % len(body)
        if not message.get("more_body", False):
            start["headers"] = [
                (name, length if name == b"content-length" else value) for name, value in start["headers"]
            ]
        return {**message, "body": body}


def _is_json(message: Message) -> bool:
    headers: dict[bytes, Any] = dict(message.get("headers", ()))
    return b"json" in headers.get(b"content-type", b"")
