"""Reads request bodies within bounds: unpacks them and parses them into objects."""

from __future__ import annotations

import re
import zlib
from typing import Any, Final

from fastapi import Request

from ingest.http.turns import in_turns
from ingest.validation.jsontext import Broken, containers, json_kind, parse
from schemas.events import MAX_BODY_BYTES, MAX_EVENTS
from schemas.http.access.callers import may_be_plain_text
from schemas.http.body import read_body, wrong_content_type
from schemas.http.problems import ProblemError, printable

JSON: Final = "application/json"
PLAIN_TEXT: Final = "text/plain"
"""The content type of beacons, which hold JSON."""
MERGE_PATCH: Final = "application/merge-patch+json"
NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_TOO_LARGE: Final = f"the body is larger than {MAX_BODY_BYTES:,} bytes (unpacked); send it in parts"
_GZIP: Final = frozenset({"gzip", "x-gzip"})
MAX_CONTAINERS: Final = 50_000
"""Most objects and lists in one body: parsing holds the loop, and takes the longer the more there are."""
_TOO_NESTED: Final = f"holds more than {MAX_CONTAINERS:,} objects and lists"
_BLANK_LINES: Final = re.compile(rb"\n\s*\n")
_GZIP_WINDOW: Final = 31
_GZIP_PIECE: Final = 4_096
MAX_MEMBERS: Final = MAX_EVENTS
"""Most members of a gzip body: a client that packs each event by itself needs no more."""


async def read_objects(request: Request) -> list[Any]:
    """The objects of a bulk request: one object, an array, or one object on each line. A line that is not JSON is Broken.

    Raises ProblemError: 400 if not JSON or empty, 413 if too many or too large, 415 for another content type or encoding.
    """
    media_type = _media_type(request, {JSON, *NDJSON})
    body = await _unpacked_body(request)
    members = await _lines(body) if media_type in NDJSON else _members(_parsed(body))
    if len(members) > MAX_EVENTS:
        raise _too_many(len(members))
    if not members:
        raise ProblemError(
            400, "empty", "the body holds nothing to take; send one JSON object, an array of them, or NDJSON"
        )
    return members


async def read_object(request: Request, *also: str) -> dict[str, Any]:
    """The JSON object of a request; ``also`` are content types accepted besides JSON. Raises ProblemError."""
    _media_type(request, {JSON, *also})
    parsed = _parsed(await _unpacked_body(request))
    if not isinstance(parsed, dict):
        raise ProblemError(400, "not-an-object", f"the body must be a JSON object, not {json_kind(parsed)}")
    return parsed


def _media_type(request: Request, allowed: set[str]) -> str:
    header = request.headers.get("content-type", "")
    media_type, charset = _content_type(header)
    if media_type == PLAIN_TEXT and may_be_plain_text(request.scope):
        media_type = JSON
    if media_type not in allowed or charset not in {"", "utf-8", "utf8"}:
        raise wrong_content_type(header, allowed)
    return media_type


def _content_type(header: str) -> tuple[str, str]:
    """Returns the media type and the charset of a Content-Type; other parameters, such as a version, say nothing here."""
    media_type, *parameters = (part.strip() for part in header.lower().split(";"))
    pairs = (part.partition("=") for part in parameters)
    charset = next((value.strip().strip("\"'") for name, _, value in pairs if name.strip() == "charset"), "")
    return media_type, charset


async def _unpacked_body(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {*_GZIP, "identity", ""}:
        detail = f"Content-Encoding {printable(encoding)} is not taken; send gzip or nothing"
        raise ProblemError(415, "content-encoding", detail, headers={"Accept-Encoding": "gzip"})
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 9 or int(declared) > MAX_BODY_BYTES):
        raise _too_large()
    body = await read_body(request.stream(), MAX_BODY_BYTES, _TOO_LARGE)
    return gunzip(body, MAX_BODY_BYTES) if encoding in _GZIP else body


def _too_large() -> ProblemError:
    return ProblemError(413, "too-large", _TOO_LARGE)


def gunzip(data: bytes, limit: int) -> bytes:
    """Unpacks gzip, also with several members, and never holds more than ``limit`` bytes. Raises ProblemError (400, 413)."""
    unpacked, size, begin, members = [], 0, 0, 0
    while begin < len(data):
        members += 1
        if members > MAX_MEMBERS:
            raise ProblemError(413, "too-many", f"the gzip has more than {MAX_MEMBERS:,} members; send one")
        parts, begin = _member(data, begin, limit - size)
        unpacked += parts
        size += sum(map(len, parts))
    return b"".join(unpacked)


def _member(data: bytes, begin: int, limit: int) -> tuple[list[bytes], int]:
    """The unpacked parts of the member that begins here, and where the next one begins; at most ``limit`` bytes."""
    unpacking, parts = zlib.decompressobj(wbits=_GZIP_WINDOW), list[bytes]()
    # In pieces, because zlib copies what follows a member: of the whole body it would do so for each member.
    for piece_begin in range(begin, len(data), _GZIP_PIECE):
        piece = data[piece_begin : piece_begin + _GZIP_PIECE]
        try:
            parts.append(unpacking.decompress(piece, limit + 1))
        except zlib.error as error:
            raise ProblemError(400, "gzip", "the body is not the gzip that Content-Encoding promises") from error
        limit -= len(parts[-1])
        if limit < 0:
            raise _too_large()
        if unpacking.eof:
            return parts, piece_begin + len(piece) - len(unpacking.unused_data)
    raise ProblemError(400, "gzip", "the body's gzip ends too early; send it whole")


def _members(parsed: Any) -> list[Any]:
    if isinstance(parsed, list):
        return parsed
    if isinstance(parsed, dict):
        return [parsed]
    raise ProblemError(
        400, "not-an-object", f"the body must be a JSON object or an array of them, not {json_kind(parsed)}"
    )


async def _lines(body: bytes) -> list[Any]:
    text = _BLANK_LINES.sub(b"\n", body).strip()
    # Lines are counted before they are split and parsed, so that a flood of short lines costs nothing.
    count = text.count(b"\n") + 1
    if count > MAX_EVENTS:
        raise _too_many(count)
    return [_line(line) async for line in in_turns(text.split(b"\n") if text else [])]


def _too_many(count: int) -> ProblemError:
    return ProblemError(413, "too-many", f"{count:,} in one request; send at most {MAX_EVENTS:,}")


def _line(line: bytes) -> Any:
    if containers(line, MAX_CONTAINERS) > MAX_CONTAINERS:
        return Broken(_TOO_NESTED)
    try:
        return parse(line)
    except ValueError as error:
        return Broken(str(error))


def _parsed(body: bytes) -> Any:
    if not body.strip():
        raise ProblemError(400, "empty", "the body is empty; send JSON")
    if containers(body, MAX_CONTAINERS) > MAX_CONTAINERS:
        raise ProblemError(413, "too-many", f"the body {_TOO_NESTED}; send it in parts")
    try:
        return parse(body)
    except ValueError as error:
        raise ProblemError(400, "not-json", f"the body is not JSON: {error}") from error
