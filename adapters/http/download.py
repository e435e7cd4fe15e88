"""Downloads a file by HTTP and continues where an earlier attempt ended."""

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


def fetch(url: str, path: Path, progress: Callable[[int, int], None] = lambda _received, _total: None) -> Path:
    """Downloads ``url`` into ``path``. An earlier attempt left its bytes in ``<path>.part``; they are not fetched again.

    ``progress`` gets the bytes received and the total (0 if the server does not state it). Raises NotFetched if there is
    no connection, the server has no such file, or fewer bytes arrive than the server announced.
    """
    part_path = path.with_name(f"{path.name}.part")
    begun = part_path.stat().st_size if part_path.exists() else 0
    try:
        with _request(url, begun) as answer:
            total = _write_body(answer, part_path, begun, progress)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not begun:
            raise NotFetched(f"{url} answers {error.code} {error.reason}: fetch the data set by hand") from error
        # The file is complete, or it belongs to another version. The checksum or the unpacking finds the second case.
        total = begun
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise NotFetched(
            f"{url} cannot be fetched ({reason}): is there internet? Run it again, and it goes on from where it is; "
            "or fetch it by hand and import its folder without --download"
        ) from error
    if total and part_path.stat().st_size != total:
        raise NotFetched(
            f"{url} ended after {part_path.stat().st_size:,} of {total:,} bytes: run it again, and it goes on"
        )
    return part_path.replace(path)


def _request(url: str, begun: int) -> HTTPResponse:
    headers = {"User-Agent": "freshet"} | ({"Range": f"bytes={begun}-"} if begun else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - from our own table, or the user's
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310
    return answer


def _write_body(answer: HTTPResponse, part_path: Path, begun: int, progress: Callable[[int, int], None]) -> int:
    """Writes the body; returns the size that the complete file should have, or 0."""
    ranged = (
        _RANGE.match(answer.headers.get("Content-Range", "")) if answer.status == HTTPStatus.PARTIAL_CONTENT else None
    )
    # A server that does not support ranges sends the whole file again.
    received = begun if ranged and int(ranged[1]) == begun else 0
    total = int(ranged[2]) if ranged else int(answer.headers.get("Content-Length", 0))
    with part_path.open("ab" if received else "wb") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            received += len(chunk)
            progress(received, total)
    return total
