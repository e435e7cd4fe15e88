"""The answers of the write API: results of events and upserts, receipts, and problem details."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

KEEP_ALIVE_SECONDS: Final = 75
"""Seconds that a server keeps an idle connection: longer than clients' pools, so that clients close it first."""


PROBLEM_PATTERN: Final = "^urn:freshet:problem:[a-z0-9_-]+$"
_OFFSET_PATTERN: Final = "^[0-9]+:[0-9]+$"


class Problem(BaseModel):
    """An error in the form of RFC 9457, with ``field`` and ``index`` if one is at fault."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:freshet:problem:missing",
                    "title": "The request is not valid",
                    "status": 400,
                    "detail": "count must be between 1 and 500",
                    "field": "count",
                }
            ]
        },
    )

    type: str = Field(pattern=PROBLEM_PATTERN, description="Names the kind of problem: urn:freshet:problem:<code>.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request and what to do.")
    field: str | None = Field(None, description="The field at fault, dotted: context.device")
    index: int | None = Field(None, description="Its place in the request, from 0.")


class _Closed(BaseModel):
    """An answer with no other members than its fields."""

    model_config = ConfigDict(extra="forbid")


class Fault(_Closed):
    """The reason why one event or item of a request was rejected."""

    type: str = Field(pattern=PROBLEM_PATTERN, description="Names the kind of problem: urn:freshet:problem:<code>.")
    detail: str
    field: str | None
    index: int


class EventResult(_Closed):
    """The outcome of one event."""

    event_id: str | None = Field(description="The event's id, made by the collector where the client gave none.")
    status: Literal["accepted", "rejected"]
    offset: str | None = Field(
        pattern=_OFFSET_PATTERN, description='Where it stands on the log, as "partition:offset"; hand it to after='
    )
    error: Fault | None


class EventsAnswer(_Closed):
    """The outcome of each event of a request, in its order."""

    results: list[EventResult]


class ItemResult(_Closed):
    """The outcome of one item of a bulk request."""

    item_id: str | None
    status: Literal["accepted", "rejected"]
    offset: str | None = Field(pattern=_OFFSET_PATTERN)
    error: Fault | None


class ItemsAnswer(_Closed):
    """The outcome of each item of a bulk request, in its order."""

    results: list[ItemResult]


class ItemReceipt(_Closed):
    """An item's change is on the log, at this offset."""

    item_id: str
    offset: str = Field(pattern=_OFFSET_PATTERN)


class UserReceipt(_Closed):
    """A user's change is on the log, at this offset."""

    user_id: str
    offset: str = Field(pattern=_OFFSET_PATTERN)


class Liveness(_Closed):
    """The process answers."""

    status: Literal["live"]


class Readiness(_Closed):
    """Whether a process can serve, and what it lacks if not."""

    status: Literal["ready", "not ready"]
    missing: list[str] = Field(description="A sentence for each thing that is missing.")
    warnings: list[str] = Field(description="A sentence for each thing that is wrong, but keeps nobody from serving.")


class ErasedPlaceState(_Closed):
    """One place that holds data of people, and what has become of the person's."""

    place: str
    state: Literal["pending", "done", "expires", "at_next_training", "kept", "failed"]
    at: str | None = Field(description="When the state was reached or is going to end, RFC 3339; null if not known.")
    detail: str = Field(description="What it waits for, or why the last try failed.")


class ErasureState(_Closed):
    """The receipt of an erasure. It names the person by a keyed hash only."""

    erasure_id: str
    person: str
    requested_at: str
    places: list[ErasedPlaceState]
    complete_by: str | None = Field(description="The last of the places' times; null while one is not known.")
    signature: str = Field(description="HMAC-SHA256 over the receipt without its signature.")


class ErasureAnswer(ErasureState):
    """The receipt of an erasure that was asked for now, and where the log holds the end of the user's attributes."""

    user_id: str
    offset: str
