"""Features of a ranker for a user and candidates. Training and serving both compute them here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Doubles, Floats, Ints
from models.structures.sparse import row_positions

_DAY: Final = 86_400.0


class ItemFeatures(NamedTuple):
    """Data of I items that features use."""

    popularity: Floats
    """(I,) summed weights of interactions."""
    first_at: NDArray[np.float64]
    """(I,) seconds since 1970 of each item's first interaction. 0 if times are unknown."""
    category_starts: NDArray[np.int64]
    """(I + 1,). Item i has ``categories[category_starts[i]:category_starts[i + 1]]``."""
    categories: Ints
    """Numbers of categories."""

    def categories_of(self, items: Ints) -> tuple[NDArray[np.int64], Ints]:
        """Returns the number of categories of each item, and the categories, one item after the other."""
        begins = self.category_starts[items]
        lengths = self.category_starts[items + 1] - begins
        categories: Ints = self.categories[row_positions(begins, lengths)]
        return lengths, categories


class RankingQuery(NamedTuple):
    """The user's history and time of a ranking."""

    items: Ints
    """(L,) distinct item positions of the history."""
    now: float
    """Seconds since 1970. 0 if times are unknown."""


def names(components: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the F features, in order."""
    of_components = (f"{name}: {figure}" for name in components for figure in ("standard score", "log rank"))
    return (
        *of_components,
        "log popularity",
        "log days since the first interaction",
        "log history",
        "shared categories",
    )


def standard_scores(rows: Doubles, components: int) -> Doubles:
    """Returns the columns of standard scores (n, C) of features (n, F)."""
    return rows[:, : 2 * components : 2]


def features(query: RankingQuery, candidates: Ints, standards: Floats, described: ItemFeatures) -> Doubles:
    """Returns features (n, F) of n candidates (positions), from their standard scores (C, n) by component.

    Ranks are among the candidates, 0 for the best. Shared categories are the mean, over the categories of an item, of
    the share of the history with this category.
    """
    ranks = np.argsort(np.argsort(-standards, axis=1, kind="stable"), axis=1, kind="stable")
    of_each = np.stack((standards, np.log1p(ranks)), axis=1).reshape(-1, candidates.size)
    days = np.maximum(0.0, query.now - described.first_at[candidates]) / _DAY
    own = np.full(candidates.size, np.log1p(query.items.size))
    of_item = np.log1p(described.popularity[candidates]), np.log1p(days)
    matrix: Doubles = np.vstack((of_each, *of_item, own, _shared(query.items, candidates, described))).T
    return np.ascontiguousarray(matrix, dtype=np.float64)


def _shared(items: Ints, candidates: Ints, described: ItemFeatures) -> Doubles:
    _, own = described.categories_of(items)
    lengths, theirs = described.categories_of(candidates)
    width = int(described.categories.max(initial=-1)) + 1
    shares = np.bincount(own, minlength=width) / max(1, items.size)
    candidate = np.repeat(np.arange(candidates.size), lengths)
    summed = np.bincount(candidate, weights=shares[theirs], minlength=candidates.size)
    shared: Doubles = summed / np.maximum(1, lengths)
    return shared
