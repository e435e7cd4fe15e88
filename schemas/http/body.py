"""Reads the body of a request up to a limit."""

from __future__ import annotations

from collections.abc import AsyncIterable

from schemas.http.problems import ProblemError


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
