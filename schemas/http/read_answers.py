"""The answers of the read API beside ``schemas.answers.Answer``: views of items and users, scores, explanations, statistics.

The OpenAPI description is derived from these types, and the answers are encoded from them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from schemas.answers import Reason
from schemas.catalogue import Item
from schemas.json_schema import closed, schema_of
from schemas.offline.statistics import Kind, Period, RatingPrior

Time = Annotated[datetime, msgspec.Meta(tz=True)]
OffsetText = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": r"^[0-9]+:[0-9]+$"})]
"""The user's last applied event as ``"partition:offset"``."""

_ITEM: Final = schema_of(Item)["properties"]
ITEM_VIEW: Final = closed(
    "ItemView",
    {name: schema for name, schema in _ITEM.items() if name != "deleted"},
    required=("item_id", "hidden", "version"),
)
ItemView = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=ITEM_VIEW)]
"""All that is known about an item: its data, and the times of its availability where there are any."""


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the catalogue, or of the matches of a query."""

    items: list[ItemView]
    next_cursor: str | None
    catalogue_version: str


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """The current view of a user: attributes, and what the signals hold."""

    user_id: str
    attributes: dict[str, Any]
    counters: dict[str, int]
    """Events by type."""
    seen: int
    """Number of items that the user has seen."""
    last_at: Time | None
    signals_offset: OffsetText | None
    degraded: list[str]


class AboutUser(msgspec.Struct, frozen=True, kw_only=True):
    """An answer about a user, with the versions that it was computed from."""

    user_id: str
    model_version: str | None
    signals_offset: OffsetText | None
    degraded: list[str]
    generated_at: Time


class ItemScore(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The score of one item. ``predicted_rating`` is there where people rate items."""

    item_id: str
    score: float
    predicted_rating: float | msgspec.UnsetType = msgspec.UNSET


class Scores(AboutUser, frozen=True, kw_only=True):
    """A score for each item of a list, in its order."""

    scores: list[ItemScore]


class Contribution(msgspec.Struct, frozen=True):
    """One of the user's own items with its share in the score of another item, 0 to 1."""

    item_id: str
    share: float


class Because(AboutUser, frozen=True, kw_only=True):
    """The user's items that led to this one, largest share first."""

    item_id: str
    because: list[Contribution]


class Compatibility(Because, frozen=True, kw_only=True):
    """How well an item suits a user, and why. ``percentile`` is its place among visible items, from 0 to 1."""

    score: float
    percentile: float
    reasons: list[Reason]
    predicted_rating: float | msgspec.UnsetType = msgspec.UNSET


class SimilarUser(msgspec.Struct, frozen=True):
    """Another user; ``score`` is the cosine of both users' factors."""

    user_id: str
    score: float


class SimilarUsers(AboutUser, frozen=True, kw_only=True):
    """The users who are most like this one, most similar first."""

    users: list[SimilarUser]


STATISTICS_ROW: Final = closed(
    "StatisticsRow", {"item_id": {"type": "string"}, "title": _ITEM["title"]}, required=("item_id", "title")
) | {"additionalProperties": {"type": "number"}}
StatisticsRow = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=STATISTICS_ROW)]
"""An item of a table: its title, and the figures that rank it, by name."""


class StatisticsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A published table of statistics."""

    kind: Kind
    period: Period
    category: str | None
    as_of: Time | None
    prior: RatingPrior | None
    items: list[StatisticsRow]
