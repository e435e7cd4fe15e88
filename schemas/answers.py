"""What the online layer answers, and the record it keeps of every answer on the ``answers`` topic."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from schemas.errors import Undecodable

E = TypeVar("E")
_ENCODER = msgspec.json.Encoder()


class Reason(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A source that put an item into an answer, the item that led there, and its share of the score (0 to 1)."""

    source: str
    share: float
    item_id: str | None = None


class AnswerItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One recommended item; ``item`` is the catalogue's view of it, as JSON."""

    item_id: str
    score: float
    reasons: list[Reason]
    item: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Encoded(list[E]):
    """A list of an answer or its record that is encoded once, however often it is given."""

    @cached_property
    def json(self) -> msgspec.Raw:
        """The list as JSON."""
        return msgspec.Raw(_ENCODER.encode(self))


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Recommendations with everything that they were made from."""

    recommendation_id: str
    items: list[AnswerItem]
    model_version: str | None
    signals_offset: str | None
    """The user's last applied event as ``"partition:offset"``; None where there is none."""
    aggregates_version: str
    """The aggregates' fence offsets, partition by partition, joined by dots; ``-`` before the first read."""
    catalogue_version: str
    config_id: str
    variant: str
    degraded: list[str]
    generated_at: datetime
    next_cursor: str | None


class Boost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule: scores of what fulfils a filter expression are multiplied, by less than 1 to move it down."""

    filter: str
    factor: float


class RecommendationRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A request as it was answered: parameters with defaults filled in, the time and the seed."""

    now: float
    """Seconds since 1970, UTC."""
    seed: int = 0
    """0 adds no noise."""
    draw: int = 0
    """The seed of exploration by Thompson sampling; 0 explores nothing."""
    count: int = 20
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    item_id: str | None = None
    exclude: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    diversity: float = 0.0
    shown: bytes = b""
    """CRC-32 (little-endian) of the ids on the pages before this one."""
    context: dict[str, str] = {}
    filter: str = ""
    """An expression that the items fulfil; empty: any."""
    include: tuple[str, ...] = ()
    """Only these items; empty: any."""
    pins: dict[str, int] = {}
    """Items at fixed places, from 1."""
    boosts: tuple[Boost, ...] = ()
    seen: bool = False
    """Whether what was seen may be shown."""
    attributes: dict[str, Any] = {}
    """What the user's attributes were of those that the filters read."""


class SourceOutcome(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What one source did for an answer: ``ok``, ``skipped`` or the way it failed, and how many candidates."""

    outcome: str
    candidates: int = 0


class DecidedItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One item of a recorded answer."""

    item_id: str
    score: float
    reasons: list[Reason] = []
    propensity: float = 1.0
    """How probable it was that the item would be shown; below 1 where it was drawn by exploration."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Enough to make an answer again and to attribute what came of it.

    ``inputs`` holds the packed values that were read for this request, by their keys in the ``users`` signal
    (base64 in JSON); the aggregates, the catalogue and the model are named by their versions. A list that was given
    again within seconds is recorded without what stands in the record of the first answer that had it: see ``same_as``.
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
    """The answer, recorded before under the same key, in whose record the reasons, ``sources`` and ``inputs`` stand."""

    def completed(self, first: Decision) -> Decision:
        """The whole record of a list that was given again, by that of the answer that it names."""
        return msgspec.structs.replace(
            first, recommendation_id=self.recommendation_id, generated_at=self.generated_at, same_as=self.same_as
        )


_DECODER = msgspec.json.Decoder(Decision)


def encode_answer(answer: Answer) -> bytes:
    """The answer as JSON."""
    return _encode(answer)


def encode_decision(decision: Decision) -> bytes:
    """The record as JSON."""
    return _encode(decision)


def _encode(made: Answer | Decision) -> bytes:
    items = made.items
    return _ENCODER.encode(msgspec.structs.replace(made, items=items.json) if isinstance(items, Encoded) else made)


def decode_decision(value: bytes) -> Decision:
    """Read a record from the log; raises Undecodable where it is not one."""
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not a decision record: {error}") from error
