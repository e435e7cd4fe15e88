"""Reading the body of a request within a bound."""

from __future__ import annotations

from collections.abc import AsyncIterable

from schemas.http.problems import ProblemError


async def read_body(chunks: AsyncIterable[bytes], limit: int, advice: str) -> bytes:
    """Returns the whole body and reads no further than ``limit`` bytes; raises ProblemError (413) that says ``advice``."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise ProblemError(413, "too-large", advice)
        parts.append(chunk)
    return b"".join(parts)
