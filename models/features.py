"""What a ranker is told of a person and some items; the one place where it is computed, offline and online."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Doubles, Floats, Ints
from models.structures.sparse import places

_DAY: Final = 86_400.0


class ItemFeatures(NamedTuple):
    """What is known of I items."""

    popularity: Floats
    """(I,) summed weights of interactions."""
    first_at: NDArray[np.float64]
    """(I,) seconds since 1970 of each item's first interaction; 0 where times are not known."""
    category_starts: NDArray[np.int64]
    """(I + 1,): item i is of ``categories[category_starts[i]:category_starts[i + 1]]``."""
    categories: Ints
    """Numbers of categories."""

    def categories_of(self, items: Ints) -> tuple[NDArray[np.int64], Ints]:
        """How many categories each of these items is of, and which, one item after the other."""
        begins = self.category_starts[items]
        lengths = self.category_starts[items + 1] - begins
        found: Ints = self.categories[places(begins, lengths)]
        return lengths, found


class RankingQuery(NamedTuple):
    """Who asks."""

    items: Ints
    """(L,) positions of the items of the history, each once."""
    now: float
    """Seconds since 1970; 0 where times are not known."""


def names(components: Sequence[str]) -> tuple[str, ...]:
    """What each of the F features is, in their order."""
    of_each = (f"{name}: {what}" for name in components for what in ("standard score", "log rank"))
    return (*of_each, "log popularity", "log days since the first interaction", "log history", "shared categories")


def standard_scores(rows: Doubles, components: int) -> Doubles:
    """The components' standard scores among features (n, F), (n, C)."""
    return rows[:, : 2 * components : 2]


def features(asked: RankingQuery, candidates: Ints, standards: Floats, described: ItemFeatures) -> Doubles:
    """Features (n, F) of n candidates (positions), given each component's standard scores of them, (C, n).

    Ranks are those among the candidates, 0 for the best; shared categories are the mean, over an item's categories,
    of the share of the history that is of it.
    """
    ranks = np.argsort(np.argsort(-standards, axis=1, kind="stable"), axis=1, kind="stable")
    of_each = np.stack((standards, np.log1p(ranks)), axis=1).reshape(-1, candidates.size)
    days = np.maximum(0.0, asked.now - described.first_at[candidates]) / _DAY
    own = np.full(candidates.size, np.log1p(asked.items.size))
    of_item = np.log1p(described.popularity[candidates]), np.log1p(days)
    found: Doubles = np.vstack((of_each, *of_item, own, _shared(asked.items, candidates, described))).T
    return np.ascontiguousarray(found, dtype=np.float64)


def _shared(items: Ints, candidates: Ints, described: ItemFeatures) -> Doubles:
    _, own = described.categories_of(items)
    lengths, theirs = described.categories_of(candidates)
    width = int(described.categories.max(initial=-1)) + 1
    shares = np.bincount(own, minlength=width) / max(1, items.size)
    candidate = np.repeat(np.arange(candidates.size), lengths)
    summed = np.bincount(candidate, weights=shares[theirs], minlength=candidates.size)
    shared: Doubles = summed / np.maximum(1, lengths)
    return shared
