"""What can go wrong in a call."""

from __future__ import annotations

from typing import Any, Final

_PREFIX: Final = "urn:freshet:problem:"


class FreshetError(Exception):
    """Any error of this client."""


class Unreachable(FreshetError):
    """No answer came: no connection, a broken one, or a time-out."""


class QueueFull(FreshetError):
    """The queue of events has no room for one more. The event was not taken."""


class Closed(FreshetError):
    """The queue of events was closed. The event was not taken."""


class Problem(FreshetError):
    """The site refused a call, as problem details (RFC 9457) say."""

    def __init__(self, status: int, body: dict[str, Any], retry_after: float | None = None) -> None:
        self.status, self.body, self.retry_after = status, body, retry_after
        self.code: str = str(body.get("type", "")).removeprefix(_PREFIX)
        """The kind of problem, such as ``not-json``."""
        self.detail: str = str(body.get("detail") or body.get("title") or f"the answer has the status {status}")
        self.field: str | None = body.get("field")
        """The field at fault, dotted; None if no single one is."""
        self.index: int | None = body.get("index")
        """The place in the request, from 0, of what is at fault."""
        where = f" ({self.field})" if self.field else ""
        super().__init__(f"{status}: {self.detail}{where}")


class NotAllowed(Problem):
    """The key is missing, does not count, or lacks the scope (401, 403)."""


class NotFound(Problem):
    """There is no such thing (404)."""


class Busy(Problem):
    """Too many calls, or the site cannot serve this now (429, 503). ``retry_after`` says when to come again, in seconds."""


_OF_STATUS: Final[dict[int, type[Problem]]] = {401: NotAllowed, 403: NotAllowed, 404: NotFound, 429: Busy, 503: Busy}


def problem_of(status: int, body: Any, retry_after: str | None = None) -> Problem:
    """Returns the error of an answer; ``body`` is its JSON, or anything else if it had none."""
    seconds = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    return _OF_STATUS.get(status, Problem)(status, body if isinstance(body, dict) else {}, seconds)
