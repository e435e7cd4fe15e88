"""Answers of the online API, and the decision record of each answer on the ``answers`` topic.

Records stay readable for as long as they are kept. So a field that was renamed keeps its first name in JSON (``name=``).
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Final, TypeVar

import msgspec

from schemas.catalogue import SHOWN_FIELDS, Item
from schemas.json_schema import closed, schema_of

E = TypeVar("E")
_ENCODER = msgspec.json.Encoder()


class Reason(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A candidate source that proposed an item, its share of the item's score (0 to 1), and the seed item that it started from."""

    source: str
    share: float
    item_id: str | None = None


SHOWN_ITEM: Final = closed(
    "ShownItem", {name: schema_of(Item)["properties"][name] for name in SHOWN_FIELDS}, required=()
)
ShownItem = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=SHOWN_ITEM)]
"""The catalogue's view of an item in a list, as JSON; fields without a value are left out."""


class AnswerItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One recommended item; ``item`` is the catalogue's view of it, as JSON."""

    item_id: str
    score: float
    reasons: list[Reason]
    item: ShownItem | msgspec.UnsetType = msgspec.UNSET


class Encoded(list[E]):
    """A list that remembers its JSON, because the same list is sent in many answers."""

    @cached_property
    def json(self) -> msgspec.Raw:
        """The list as JSON."""
        return msgspec.Raw(_ENCODER.encode(self))


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Recommended items, with the versions of the signals, catalogue, model and configuration that produced them."""

    recommendation_id: str
    items: list[AnswerItem]
    model_version: str | None
    signals_offset: str | None
    """The user's last applied event as ``"partition:offset"``; None if there is none."""
    aggregates_version: str
    """The aggregates' fence offsets, partition by partition, joined by dots; ``-`` before the first read."""
    catalogue_version: str
    config_id: str
    variant: str
    degraded: list[str]
    generated_at: Annotated[datetime, msgspec.Meta(tz=True)]
    next_cursor: str | None


class Boost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A business rule that multiplies the scores of items that match ``filter`` by ``factor``. A factor below 1 lowers them."""

    filter: str
    factor: float


class RecommendationRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A parsed request: all parameters with their defaults, the time, and the random seeds."""

    now: float
    """Seconds since 1970, UTC."""
    random_seed: int = msgspec.field(default=0, name="seed")
    """Seed of the noise on scores, from the parameter ``seed``; 0 adds no noise."""
    exploration_seed: int = msgspec.field(default=0, name="draw")
    """Random seed of Thompson sampling; 0 explores nothing."""
    count: int = 20
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    item_id: str | None = None
    exclude: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    diversity: float = 0.0
    shown_hashes: bytes = msgspec.field(default=b"", name="shown")
    """For each item on earlier pages the CRC-32 of its id, four bytes (little-endian), concatenated."""
    context: dict[str, str] = {}
    filter: str = ""
    """A filter expression that the items match; empty: any item."""
    include: tuple[str, ...] = ()
    """Only these items may be recommended; empty: any item."""
    pins: dict[str, int] = {}
    """Items at fixed positions of the list, counted from 1."""
    boosts: tuple[Boost, ...] = ()
    include_seen: bool = msgspec.field(default=False, name="seen")
    """True: items that the user has seen may be recommended."""
    attributes: dict[str, Any] = {}
    """The attributes of the user that filters and models read."""


class SourceOutcome(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The outcome of one candidate source for an answer: ``ok``, ``skipped`` or its failure, and its number of candidates."""

    outcome: str
    candidates: int = 0


class DecidedItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One item of a recorded answer."""

    item_id: str
    score: float
    reasons: list[Reason] = []
    propensity: float = 1.0
    """Probability that this item was shown; below 1 if exploration chose it."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The decision record of an answer: enough to make the answer again, and to attribute later events to it.

    ``inputs`` holds the packed user values that the request read, by their keys in the ``users`` signal (base64 in JSON).
    The versions name the aggregates, the catalogue and the model. If an answer repeats a cached list, its record
    leaves out reasons, ``sources`` and ``inputs``. The record that ``same_as`` names has them.
    """

    recommendation_id: str
    route: str
    generated_at: datetime
    request: RecommendationRequest = msgspec.field(name="asked")
    items: list[DecidedItem]
    model_version: str | None = None
    signals_offset: str | None = None
    aggregates_version: str
    catalogue_version: str
    config_id: str
    variant: str
    degraded: list[str] = []
    sources: dict[str, SourceOutcome] = {}
    inputs: dict[str, bytes] = {}
    next_cursor: str | None = None
    same_as: str | None = None
    """``recommendation_id`` of the first answer with this list; None for a complete record."""

    def completed(self, first: Decision) -> Decision:
        """The complete record: takes the fields that this one lacks from ``first``, the record that ``same_as`` names."""
        return msgspec.structs.replace(
            first, recommendation_id=self.recommendation_id, generated_at=self.generated_at, same_as=self.same_as
        )


def encode_answer(answer: Answer) -> bytes:
    """The answer as JSON."""
    items = answer.items
    return _ENCODER.encode(msgspec.structs.replace(answer, items=items.json) if isinstance(items, Encoded) else answer)
