"""The scale of a site's ratings: its lowest and highest stars, and how many stars a rating is above the middle."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

from schemas.errors import ConfigurationInvalid

_FORM: Final = re.compile(r"\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*\.\.\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*")
_TOPS: Final = (5.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0)
"""Tops of the scales that ``RatingScale.of`` looks for, in ascending order."""
_SHARES: Final = (0.01, 0.25, 0.25, 0.25, 0.25, 0.25)
"""Share of ratings above a top, and up to the next one, that shows the longer scale. Fewer are mistakes.

From 10 on it is large, because most ratings are in the upper half of their scale.
"""
_NEGATIVE_SHARE: Final = 0.01
"""Share of ratings below 0 that shows a scale with a negative half."""
NOTED: Final = "rating-scale"
"""Name of the document in which an import notes the scale of its ratings."""


class RatingScale(NamedTuple):
    """The lowest and the highest rating of a site. In text, ``1..5``."""

    low: float = 0.0
    high: float = 5.0

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``1..5``; raises ConfigurationInvalid for another form."""
        form = _FORM.fullmatch(text)
        low, high = (float(form[1]), float(form[2])) if form else (0.0, 0.0)
        if not low < high:
            raise ConfigurationInvalid(f"'{text}' is not a scale of ratings; write the lowest and the highest: 1..5")
        return cls(low, high)

    @classmethod
    def of(cls, ratings: Iterable[float]) -> Self:
        """Returns the scale of these ratings, from 0 (or from minus the top) to 5, 10, 100 …; a few mistakes do not count."""
        given = [rating for rating in ratings if math.isfinite(rating) and abs(rating) <= _TOPS[-1]]
        top = _top(sorted(map(abs, given)))
        negative = sum(rating < 0 for rating in given) > _NEGATIVE_SHARE * len(given)
        return cls(-top if negative else 0.0, top)

    @property
    def middle(self) -> float:
        """A rating that is neither good nor bad."""
        return (self.low + self.high) / 2

    def holds(self, rating: float) -> bool:
        """True if the rating is on this scale."""
        return self.low <= rating <= self.high

    def stars(self, rating: float) -> float:
        """Returns how far a rating is above the middle, in stars of a scale from 0 to 5."""
        return (rating - (self.low + self.high) / 2) * 5.0 / (self.high - self.low)


DEFAULT_SCALE: Final = RatingScale()


def scale_of(text: str) -> RatingScale:
    """Returns the scale that a setting or a note names; the default scale for an empty text. Raises ConfigurationInvalid."""
    return RatingScale.parse(text) if text else DEFAULT_SCALE


def _top(sizes: Sequence[float]) -> float:
    found = _TOPS[0]
    for top, longer, share in zip(_TOPS[:-1], _TOPS[1:], _SHARES, strict=True):
        below, up_to = bisect_right(sizes, top), bisect_right(sizes, longer)
        if up_to - below > share * up_to:
            found = longer
    return found
