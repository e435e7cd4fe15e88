"""Posts a message by HTTP, with Python's own client."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final

from schemas.errors import NotDelivered

_LATER: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
"""Statuses below 500 after which another attempt may succeed."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a message goes to its own address only."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Returns None, so that the 3xx becomes an error."""


_OPENER: Final = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler())


def post(url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> None:
    """Implements ``schemas.ports.Poster``."""
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310 - the operator's own address
    try:
        with _OPENER.open(request, timeout=seconds):
            return
    except urllib.error.HTTPError as error:
        with error:
            final = error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in _LATER
            raise NotDelivered(f"it answered {error.code}", final=final) from error
    except (OSError, HTTPException) as error:
        raise NotDelivered(str(error) or type(error).__name__) from error
    except ValueError as error:
        raise NotDelivered(f"it is no address ({error})", final=True) from error
