"""The answers of the write API: results of events and upserts, receipts, and problem details."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

KEEP_ALIVE_SECONDS: Final = 75
"""Seconds that a server keeps an idle connection: longer than clients' pools, so that clients close it first."""


class Problem(BaseModel):
    """An error in the form of RFC 9457, with ``field`` and ``index`` if one is at fault."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="Names the kind of problem: urn:freshet:problem:<code>.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request and what to do.")
    field: str | None = Field(None, description="The field at fault, dotted: context.device")
    index: int | None = Field(None, description="Its place in the request, from 0.")


class Fault(BaseModel):
    """The reason why one event or item of a request was rejected."""

    type: str = Field(description="Names the kind of problem: urn:freshet:problem:<code>.")
    detail: str
    field: str | None = None
    index: int


class EventResult(BaseModel):
    """The outcome of one event."""

    event_id: str | None = Field(description="The event's id, made by the collector where the client gave none.")
    status: Literal["accepted", "rejected"]
    offset: str | None = Field(None, description='Where it stands on the log, as "partition:offset"; hand it to after=')
    error: Fault | None = None


class EventsAnswer(BaseModel):
    """The outcome of each event of a request, in its order."""

    results: list[EventResult]


class ItemResult(BaseModel):
    """The outcome of one item of a bulk request."""

    item_id: str | None
    status: Literal["accepted", "rejected"]
    offset: str | None = None
    error: Fault | None = None


class ItemsAnswer(BaseModel):
    """The outcome of each item of a bulk request, in its order."""

    results: list[ItemResult]


class ItemReceipt(BaseModel):
    """An item's change is on the log, at this offset."""

    item_id: str
    offset: str


class UserReceipt(BaseModel):
    """A user's change is on the log, at this offset."""

    user_id: str
    offset: str


class Liveness(BaseModel):
    """The process answers."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["live"]


class Readiness(BaseModel):
    """Whether a process can serve, and what it lacks if not."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["ready", "not ready"]
    missing: list[str] = Field(description="A sentence for each thing that is missing.")
