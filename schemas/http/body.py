"""Reads the body of a request up to a limit, and refuses content types that any page could send."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Final

from starlette.requests import Request

from schemas.http.problems import ProblemError, printable

JSON: Final = "application/json"


def require_json(request: Request) -> None:
    """Raises ProblemError (415) if the body is not said to be JSON."""
    header = request.headers.get("content-type", "")
    if header.partition(";")[0].strip().lower() != JSON:
        raise wrong_content_type(header, {JSON})


def wrong_content_type(header: str, allowed: Iterable[str]) -> ProblemError:
    """The problem of a content type that is not taken.

    A missing one is not taken either: the form or script of any page could send it, and no browser would ask first.
    """
    given = f"Content-Type {printable(header)} is not taken here" if header else "the Content-Type is missing"
    return ProblemError(415, "content-type", f"{given}; send {', '.join(sorted(allowed))} in UTF-8")


async def read_body(chunks: AsyncIterable[bytes], limit: int, advice: str) -> bytes:
    """Returns the body. If it has more than ``limit`` bytes, stops reading and raises ProblemError (413) with ``advice``."""
    chunks_read: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise ProblemError(413, "too-large", advice)
        chunks_read.append(chunk)
    return b"".join(chunks_read)
