"""Parameters and bodies of requests, as OpenAPI documents them. Only this package uses them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from schemas.events import event_schema
from schemas.http.described import BOOST, CURSOR, FILTER, OFFSET_TOKEN
from schemas.offline.statistics import MOST, Period
from schemas.values.ids import ID_PATTERN, MAX_ID, NO_CONTROL
from serving.filtering.expressions import MAX_LENGTH

ParameterId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID, pattern=ID_PATTERN)]
CategoryName = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=NO_CONTROL + r"(?![\s\S])")]
Count = Annotated[int, msgspec.Meta(ge=1, le=500, description="How many items.")]
PIN_PATTERN: Final = r"^[\s\S]+:(?:[1-9][0-9]{0,2}|1000)$(?![\s\S])"
"""An item's id and its place in the list, from 1 to 1,000."""
FACTOR_PATTERN: Final = r"[0-9]{1,6}(?:\.[0-9]{1,6})?"
MAX_SESSION_EVENTS: Final = 200
MAX_SCORED: Final = 1_000
_MAX_SEED: Final = 2**32 - 1


class ListParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters that every list of recommendations takes."""

    count: Count = 20
    category: Annotated[
        tuple[ParameterId, ...], msgspec.Meta(max_length=64, description="Only items in any of these.")
    ] = ()
    filter: Annotated[
        str,
        msgspec.Meta(
            description='Only items that fulfil it: genres has "RPG" and price < $max',
            extra_json_schema={"format": FILTER, "maxLength": MAX_LENGTH},
        ),
    ] = ""
    context: Annotated[
        dict[str, str],
        msgspec.Meta(description="context.<name>: device, country, page, …; $<name> in filters, and kept on record."),
    ] = {}


class RecommendationParameters(ListParameters, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/users/{user_id}/recommendations``."""

    after: (
        Annotated[
            str,
            msgspec.Meta(
                description="Offset token of an event that the answer must know.",
                extra_json_schema={"format": OFFSET_TOKEN},
            ),
        ]
        | None
    ) = None
    anonymous_id: Annotated[ParameterId, msgspec.Meta(description="The guest that this user was.")] | None = None
    session_id: Annotated[ParameterId, msgspec.Meta(description="The visit that is going on.")] | None = None
    exclude: Annotated[tuple[ParameterId, ...], msgspec.Meta(max_length=500, description="Items to leave out.")] = ()
    diversity: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="0: by score alone; 1: as unlike each other as can be.")
    ] = 0.0
    cursor: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=8_192,
                description="next_cursor of the page before.",
                extra_json_schema={"format": CURSOR},
            ),
        ]
        | None
    ) = None
    include: Annotated[
        tuple[ParameterId, ...], msgspec.Meta(max_length=1_000, description="Rank these items alone.")
    ] = ()
    pin: Annotated[
        tuple[Annotated[str, msgspec.Meta(extra_json_schema={"pattern": PIN_PATTERN})], ...],
        msgspec.Meta(
            max_length=50, description="item:place, from 1: an item that stands at this place, come what may."
        ),
    ] = ()
    boost: Annotated[
        tuple[Annotated[str, msgspec.Meta(extra_json_schema={"format": BOOST})], ...],
        msgspec.Meta(max_length=10, description='factor:filter, as 1.5:genres has "RPG": multiplies scores.'),
    ] = ()
    seed: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=_MAX_SEED,
            description="Random seed: adds a little noise to scores. The same seed gives the same list.",
        ),
    ] = 0


SessionEvent = Annotated[
    dict[str, Any], msgspec.Meta(extra_json_schema=event_schema(needs_id=False) | {"title": "SessionEvent"})
]
"""An event; without an id of a user, a guest or a session it belongs to this session."""


class SessionParameters(RecommendationParameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/sessions/recommendations``."""

    events: Annotated[list[SessionEvent], msgspec.Meta(max_length=MAX_SESSION_EVENTS)]


class RankParameters(RecommendationParameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/users/{user_id}/rank``."""

    item_ids: Annotated[
        tuple[ParameterId, ...], msgspec.Meta(min_length=1, max_length=500, description="The list to order.")
    ]
    count: Count = 500


class SimilarParameters(ListParameters, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/items/{item_id}/similar``."""

    user_id: Annotated[ParameterId, msgspec.Meta(description="Leave out what this user has seen.")] | None = None


class TogetherParameters(SimilarParameters, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/items/{item_id}/together``."""

    type: Annotated[
        Literal["viewed", "bought"],
        msgspec.Meta(description="What people went on to, or what they put in the same basket."),
    ] = "viewed"


class ScoresParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/users/{user_id}/scores``."""

    item_ids: Annotated[list[ParameterId], msgspec.Meta(min_length=1, max_length=MAX_SCORED)]


class NoParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a call that takes none."""


class UserItemParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of calls about a user and an item."""

    item_id: Annotated[ParameterId, msgspec.Meta(description="The item in question.", examples=["celeste"])]


class SimilarUsersParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/users/{user_id}/similar``."""

    count: Count = 20


class NotificationParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/users/{user_id}/notifications``."""

    last_event_id: (
        Annotated[str, msgspec.Meta(max_length=512, description="The same as the header Last-Event-ID.")] | None
    ) = None


class CatalogueParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/items``."""

    query: Annotated[str, msgspec.Meta(max_length=512, description="Words to look for.")] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    cursor: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=64,
                description="next_cursor of the page before.",
                extra_json_schema={"pattern": r"^o[0-9]{1,10}$"},
            ),
        ]
        | None
    ) = None


class StatisticsParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/statistics/{kind}``."""

    period: Annotated[Period, msgspec.Meta(description="Counted back from the newest event that was counted.")] = (
        "month"
    )
    category: Annotated[tuple[str, ...], msgspec.Meta(max_length=1, description="One category; all without it.")] = ()
    count: Annotated[int, msgspec.Meta(ge=1, le=MOST, description="How many items.")] = 20
