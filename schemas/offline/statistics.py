"""Statistics for people: offline publishes them, and serving shows them."""

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
"""The category that stands for all categories."""
RATINGS: Final = "statistics/ratings"
"""The name under which the model of predicted ratings is published."""
MOST: Final = 100
"""Most items of one table."""


class RankedItem(msgspec.Struct, frozen=True):
    """One item of a ranked table."""

    item_id: str
    title: str | None
    figures: dict[str, float]
    """First the figure that ranks the items, then the figures from which it is computed."""


class RatingPrior(msgspec.Struct, frozen=True):
    """The prior of an average rating: ``ratings`` more ratings of the value ``mean``."""

    mean: float
    ratings: float


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of statistics over one period, for every category."""

    kind: Kind
    period: Period
    as_of: datetime | None
    """The time of the newest event, at which periods end; None if there is no event."""
    categories: dict[str, list[RankedItem]]
    """The best MOST items of each category, and of EVERY."""
    priors: dict[str, RatingPrior] = {}
    """The priors of the best-rated table, by category."""


_DECODER = msgspec.json.Decoder(Statistics)


def document_of(kind: Kind, period: Period) -> str:
    """The name under which a table is published."""
    return f"statistics/{kind}/{period}"


def encode_statistics(statistics: Statistics) -> bytes:
    """The table as JSON."""
    return msgspec.json.encode(statistics)


def decode_statistics(value: bytes) -> Statistics:
    """Reads a table; raises Undecodable if the bytes are not one."""
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not statistics: {error}") from error
