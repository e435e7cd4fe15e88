"""A file fetched by HTTP, gone on with where an earlier attempt ended."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final

from schemas.errors import NotFetched

_SECONDS: Final = 30.0
_CHUNK: Final = 1 << 18
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")


def fetch(url: str, path: Path, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Path:
    """Fetch ``url`` into ``path``; what is there of an earlier attempt, beside it as ``.part``, is not fetched again.

    ``progress`` gets the bytes so far and in all (0 where the server does not say). Raises NotFetched where there is
    no connection, the server has no such file, or fewer bytes came than were promised.
    """
    part = path.with_name(f"{path.name}.part")
    begun = part.stat().st_size if part.exists() else 0
    try:
        with _asked(url, begun) as answer:
            total = _take(answer, part, begun, progress)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not begun:
            raise NotFetched(f"{url} answers {error.code} {error.reason}: fetch the data set by hand") from error
        # It is whole already, or of another version: the second is found by its checksum or by unpacking it.
        total = begun
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise NotFetched(
            f"{url} cannot be fetched ({reason}): is there internet? Run it again, and it goes on from where it is; "
            "or fetch it by hand and import its folder without --download"
        ) from error
    if total and part.stat().st_size != total:
        raise NotFetched(f"{url} ended after {part.stat().st_size:,} of {total:,} bytes: run it again, and it goes on")
    return part.replace(path)


def _asked(url: str, begun: int) -> HTTPResponse:
    headers = {"User-Agent": "freshet"} | ({"Range": f"bytes={begun}-"} if begun else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - from our own table, or the user's
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310
    return answer


def _take(answer: HTTPResponse, part: Path, begun: int, progress: Callable[[int, int], None]) -> int:
    """Write the body; the size that the whole file should have, or 0."""
    ranged = (
        _RANGE.match(answer.headers.get("Content-Range", "")) if answer.status == HTTPStatus.PARTIAL_CONTENT else None
    )
    # A server that does not know ranges sends it all once more.
    done = begun if ranged and int(ranged[1]) == begun else 0
    total = int(ranged[2]) if ranged else int(answer.headers.get("Content-Length", 0))
    with part.open("ab" if done else "wb") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
    return total
