"""The event envelope: a pydantic model at the edge, a compact struct behind it.

``Event`` validates an event from a client. ``LoggedEvent`` is its form on the log, which the folds read.
A field may be added with a default, but never removed or changed in meaning, because old records must stay readable.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.keys import anonymous_key, session_key, unlinked_key, user_key
from schemas.values.ids import PLACEHOLDERS, EventId, Id, without_placeholders
from schemas.values.rating_scale import RatingScale

SCHEMA_VERSION: Final = 1
MAX_EVENTS: Final = 2_000
MAX_BODY_BYTES: Final = 1_048_576
MAX_AHEAD: Final = timedelta(minutes=5)
MAX_CLOCK_ERROR: Final = timedelta(days=1)
"""A record whose ``received_at`` is further ahead of the log's time was not written by a collector."""
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)

ITEM_TYPES: Final = frozenset(
    {"click", "view", "like", "impression", "dwell", "rating", "purchase", "cart", "bookmark", "share", "comment"}
    | {"dislike", "dismiss", "unlike"}
)
"""Types of events on one item. An impression may name several items instead."""

TYPES: Final = ITEM_TYPES | {"search", "identify", "forget", "retract"}
UNLINK_GUEST: Final = "unlink-guest"
"""Type of the event that takes the guest ``anonymous_id`` out of the links of ``user_id``, because the guest was erased.

Only the erasure of people writes it: its hyphen is in no name that a client may send.
"""
ConsentMode = Literal["off", "refuse", "anonymous"]
"""What becomes of an event without consent. ``off``: consent is not looked at. ``refuse``: it is refused. ``anonymous``: it is kept without ids."""
_MAX_CONTEXT: Final = 32
VALUED_TYPES: Final = frozenset({"rating", "dwell"})
DWELL_RANGE: Final = (0.0, 86_400.0)
"""Seconds that one ``dwell`` may take: up to a day."""
SCROLL_RANGE: Final = (0.0, 1.0)
"""Shares of a page that ``properties.scroll`` of a ``dwell`` may name."""

TypeName = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z][a-z0-9_]*$")]
Query = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Scalar = str | int | float | bool | None


def _time_is_text(value: Any) -> Any:
    # pydantic would guess whether a bare number, in quotes or not, means epoch seconds or milliseconds.
    if value is None or isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("must be an RFC 3339 time such as 2026-11-23T10:00:00Z")


def _few_members(value: Any) -> Any:
    # Counted first: pydantic would validate each member, and collect a fault for each.
    if isinstance(value, dict) and len(value) > _MAX_CONTEXT:
        raise ValueError(f"has {len(value):,} members; at most {_MAX_CONTEXT} are taken")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the years 1 to 9999") from error


def _since_1900(value: datetime) -> datetime:
    if value < EARLIEST:
        raise ValueError("is before 1900")
    return value


def _within_64_bits(value: Any) -> Any:
    if value.__class__ is int and not -(2**63) <= value < 2**63:
        raise PydanticCustomError("integer_size", "needs more than 64 bits, which a number here does not have")
    return value


def _whole(value: Any) -> Any:
    # To JSON, 3.0 is an integer.
    return int(value) if value.__class__ is float and value.is_integer() else value


Number = Annotated[float, BeforeValidator(_within_64_bits)]
"""A number. An integer beyond 64 bits is refused, because a float would lose its last digits."""
ZonedTime = Annotated[AwareDatetime, BeforeValidator(_time_is_text), AfterValidator(_in_utc)]
"""An RFC 3339 time with its offset from UTC, converted to UTC."""


class Event(BaseModel):
    """One action of a visitor, in the form in which a frontend sends it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_strip_whitespace=False)

    event_id: EventId | None = Field(None, description="Made by the client; the idempotency key. Made here if missing.")
    type: TypeName = Field(description="What happened: click, search, view, like, …")
    user_id: Id | None = Field(None, description="A known user.")
    anonymous_id: Id | None = Field(None, description="A guest, stable over visits.")
    session_id: Id | None = Field(None, description="One visit.")
    item_id: Id | None = Field(None, description="The item it happened to.")
    value: Number | None = Field(
        None,
        strict=True,
        description="Stars of a rating, on the scale of the site; seconds of a dwell, from 0 to 86,400.",
    )
    query: Query | None = Field(None, description="What was searched for.")
    occurred_at: Annotated[ZonedTime, AfterValidator(_since_1900)] | None = Field(
        None, description="Client clock, RFC 3339; any past time, at most 5 minutes ahead. Time of receipt if missing."
    )
    recommendation_id: Id | None = Field(None, description="The answer that led here.")
    position: (
        Annotated[
            int,
            BeforeValidator(_whole),
            Field(ge=0, le=10_000, strict=True),
            WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 10_000}),
        ]
        | None
    ) = Field(None, description="Place in that answer, from 0.")
    impression: Annotated[list[Id], Field(max_length=500)] | None = Field(None, description="Item ids that were shown.")
    context: Annotated[dict[str, Scalar], Field(max_length=_MAX_CONTEXT), BeforeValidator(_few_members)] | None = Field(
        None, description="Device, country, page, …"
    )
    properties: Annotated[dict[str, Any], Field(max_length=64)] | None = Field(
        None, description="Anything else worth keeping."
    )
    schema_version: Annotated[int, BeforeValidator(_whole)] = Field(
        SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION, strict=True, description="Version of this envelope; 1 so far."
    )

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        if not (self.user_id or self.anonymous_id or self.session_id):
            raise ValueError("one of user_id, anonymous_id and session_id is needed")
        if self.type == "search" and not self.query:
            raise ValueError("a search needs a query")
        if self.type == "impression" and not (self.impression or self.item_id):
            raise ValueError("an impression needs impression or item_id")
        if self.type in ITEM_TYPES and self.type != "impression" and not self.item_id:
            raise ValueError(f"a {self.type} needs an item_id")
        if self.type in VALUED_TYPES and self.value is None:
            raise ValueError(f"a {self.type} needs a value")
        if self.type == "identify" and not (self.user_id and self.anonymous_id):
            raise ValueError("identify needs user_id and anonymous_id")
        if self.type == "retract" and not self.event_id:
            raise ValueError("retract needs the event_id that it takes back")
        return self


_IDS: Final = ("user_id", "anonymous_id", "session_id")


def event_schema(
    types: Iterable[str] = (),
    scale: RatingScale | None = None,
    placeholders: Iterable[str] = PLACEHOLDERS,
    *,
    needs_id: bool = True,
) -> dict[str, Any]:
    """Returns the JSON Schema of an event, with what its type needs.

    With ``types`` only these are allowed; with ``scale`` values are in their ranges. Without ``needs_id`` it may lack all ids
    of its subject, and they may be placeholders.
    """
    schema = Event.model_json_schema()
    fields = schema["properties"]
    if needs_id:
        schema["properties"] = fields = without_placeholders(fields, placeholders)
    if types:
        fields["type"] = {"enum": sorted(types), "description": fields["type"]["description"]}
    rules = [
        _needs({"search"}, "query"),
        _needs(ITEM_TYPES - {"impression"}, "item_id"),
        _needs({"identify"}, "user_id", "anonymous_id"),
        _needs({"retract"}, "event_id"),
        _if_type({"impression"}, {"anyOf": [_has("impression", type="array", minItems=1), _has("item_id")]}),
        _if_type({"dwell"}, _has("value", type="number", **_bounds(DWELL_RANGE if scale else None))),
        _if_type({"rating"}, _has("value", type="number", **_bounds(scale))),
    ]
    return schema | {"allOf": [*rules, *([{"anyOf": [_has(name) for name in _IDS]}] if needs_id else [])]}


def _bounds(bounds: tuple[float, float] | None) -> dict[str, float]:
    return {} if bounds is None else {"minimum": bounds[0], "maximum": bounds[1]}


def _needs(types: Iterable[str], *names: str) -> dict[str, Any]:
    needed = [_has(name) for name in names]
    return _if_type(types, needed[0] if len(needed) == 1 else {"allOf": needed})


def _has(name: str, **rules: Any) -> dict[str, Any]:
    return {"required": [name], "properties": {name: rules or {"type": "string"}}}


def _if_type(types: Iterable[str], then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"required": ["type"], "properties": {"type": {"enum": sorted(types)}}}, "then": then}


def range_fault(event: Event, scale: RatingScale) -> tuple[str, str] | None:
    """Returns the field of an event whose number is out of its range, and the range in words; None if there is none."""
    value, kind = event.value, event.type
    if value is not None and kind == "rating" and not scale.holds(value):
        return "value", f"a rating of {value:g} is not on the scale of this site, {scale} (FRESHET_RATING_SCALE)"
    if value is not None and kind == "dwell" and not DWELL_RANGE[0] <= value <= DWELL_RANGE[1]:
        return "value", f"a dwell takes 0 to {DWELL_RANGE[1]:,.0f} seconds (a day), not {value:g}"
    scroll = (event.properties or {}).get("scroll") if kind == "dwell" else None
    if scroll.__class__ in {int, float} and not SCROLL_RANGE[0] <= scroll <= SCROLL_RANGE[1]:
        return "properties.scroll", f"the share of the page that was seen is 0 to 1, not {scroll:g}"
    return None


_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Bounded = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class LoggedEvent(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """An accepted event on the log, which the folds read. Unknown fields are ignored."""

    event_id: _Bounded
    type: _Bounded
    user_id: _Bounded | None = None
    anonymous_id: _Bounded | None = None
    session_id: _Bounded | None = None
    item_id: _Bounded | None = None
    value: float | None = None
    query: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    occurred_at: _Time
    received_at: _Time
    recommendation_id: str | None = None
    position: int | None = None
    impression: list[str] | None = None
    context: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    imported: bool = False
    """True if an import of a data set wrote it, not a client."""
    unlinked: bool = False
    """True if the collector kept it without ids, because its person has not consented. Its session holds this event alone."""
    schema_version: int = SCHEMA_VERSION

    @property
    def partition_key(self) -> str:
        """``user_id``, else ``anonymous_id``, else ``session_id``."""
        return self.user_id or self.anonymous_id or self.session_id or ""

    @property
    def subject(self) -> str:
        """The key of the value that this event changes in the ``users`` signal."""
        if self.unlinked:
            return unlinked_key(self.partition_key)
        if self.user_id:
            return user_key(self.user_id)
        if self.anonymous_id:
            return anonymous_key(self.anonymous_id)
        return session_key(self.session_id or "")


def accept(event: Event, event_id: str, received_at: datetime, *, imported: bool = False) -> LoggedEvent:
    """The record of an event that the collector accepts, with its id and its times in UTC."""
    occurred = (event.occurred_at or received_at).astimezone(UTC)
    fields = event.model_dump(exclude_none=True, exclude={"event_id", "occurred_at", "schema_version"})
    return LoggedEvent(
        event_id=event_id,
        occurred_at=occurred,
        received_at=received_at,
        imported=imported,
        schema_version=SCHEMA_VERSION,
        **fields,
    )
