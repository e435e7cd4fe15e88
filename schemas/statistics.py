"""Statistics for people, as offline publishes them and serving shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from schemas.errors import Undecodable

Kind = Literal["best-rated", "most-viewed", "rising"]
Period = Literal["day", "week", "month", "all"]

KINDS: Final[tuple[Kind, ...]] = ("best-rated", "most-viewed", "rising")
PERIODS: Final[tuple[Period, ...]] = ("day", "week", "month", "all")
EVERY: Final = ""
"""The category that stands for all of them."""
RATINGS: Final = "statistics/ratings"
"""Under which name the model of predicted ratings is published."""
MOST: Final = 100
"""Items of one table."""


class Ranked(msgspec.Struct, frozen=True):
    """An item in its place."""

    item_id: str
    title: str | None
    figures: dict[str, float]
    """What it is ranked by first; then what that is made of."""


class Prior(msgspec.Struct, frozen=True):
    """What a rating's average begins with: so many ratings of the mean."""

    mean: float
    ratings: float


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of statistics over one period, for every category."""

    kind: Kind
    period: Period
    as_of: datetime | None
    """The newest event's time, which periods end at; None where there is none."""
    categories: dict[str, list[Ranked]]
    """The best MOST items of each category, and of EVERY."""
    priors: dict[str, Prior] = {}
    """Of the best rated, by category."""


_DECODER = msgspec.json.Decoder(Statistics)


def document_of(kind: Kind, period: Period) -> str:
    """Under which name a table is published."""
    return f"statistics/{kind}/{period}"


def encode_statistics(statistics: Statistics) -> bytes:
    """The table as JSON."""
    return msgspec.json.encode(statistics)


def decode_statistics(value: bytes) -> Statistics:
    """Read a table; raises Undecodable where it is none."""
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not statistics: {error}") from error
