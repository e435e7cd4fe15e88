"""Calls Freshet's HTTP API with nothing but the standard library."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

WAIT_SECONDS = 10.0


def call(url: str, method: str = "GET", body: Any = None) -> Any:
    """Returns the JSON answer; raises urllib.error.HTTPError where the status is not 2xx."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def item_ids(answer: Any) -> list[str]:
    """The items of an answer, best first."""
    return [item["item_id"] for item in answer["items"]]


def wait_until(read: Callable[[], Sequence[str]], wanted: Callable[[Sequence[str]], bool]) -> Sequence[str]:
    """Reads a list until it is as wanted; raises TimeoutError after WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not wanted(current := read()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {WAIT_SECONDS:g} s the list is still {', '.join(current)}")
        time.sleep(0.1)
    return current
