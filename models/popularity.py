"""Popularity: summed interactions by item. It is the baseline, and the fallback of recommendations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints, are_rows, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.lists import ScoredList
from models.structures.prepared import prepared
from models.structures.recommender import Histories
from schemas.errors import Undecodable


def board_of(segment: str | None = None, days: float | None = None) -> str:
    """Returns the name of the board of a user segment (``attribute=value``), of the last days, or of both."""
    within = None if days is None else f"last {days:g} days"
    return ", ".join(part for part in (segment, within) if part is not None)


def _no_rows() -> NDArray[np.int64]:
    return np.zeros(1, dtype=np.int64)


def _no_positions() -> Ints:
    return np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Popularity:
    """Scores of I items: ``item_ids`` (I), ``scores`` (I,) float32, summed weights of interactions.

    ``boards`` (B) are named by ``board_of``: row b of a sparse matrix, ``board_indptr`` (B + 1,), ``board_items`` and
    ``board_scores`` (m,), holds its scores above 0. ``categories`` (G) are rows of the items in each,
    ``category_indptr`` (G + 1,) and ``category_items``.
    """

    kind: ClassVar[str] = "popularity"

    item_ids: tuple[str, ...]
    scores: Floats
    boards: tuple[str, ...] = ()
    board_indptr: NDArray[np.int64] = field(default_factory=_no_rows)
    board_items: Ints = field(default_factory=_no_positions)
    board_scores: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    categories: tuple[str, ...] = ()
    category_indptr: NDArray[np.int64] = field(default_factory=_no_rows)
    category_items: Ints = field(default_factory=_no_positions)

    def __post_init__(self) -> None:
        items = len(self.item_ids)
        object.__setattr__(self, "scores", frozen(self.scores, np.float32, (items,)))
        object.__setattr__(self, "board_scores", frozen(self.board_scores, np.float32, (self.board_items.size,)))
        for name, rows in (("board", len(self.boards)), ("category", len(self.categories))):
            indptr = frozen(getattr(self, f"{name}_indptr"), np.int64, (rows + 1,))
            positions = getattr(self, f"{name}_items")
            object.__setattr__(self, f"{name}_indptr", indptr)
            object.__setattr__(self, f"{name}_items", frozen(positions, np.int32, (positions.size,)))
            if not are_rows(indptr, positions, items):
                raise Undecodable(f"not a stored model: the rows of each {name} are not of its items")

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self._index.get(item_id)

    @prepared
    def _boards(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.boards)}

    @prepared
    def _categories(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.categories)}

    def score(self, category: str | None = None, segment: str | None = None, days: float | None = None) -> Floats:
        """Returns every item's score, shape (I,); read-only.

        The score can be limited to a category, a segment (``attribute=value``), and the last days before the newest
        training interaction. All scores are 0 if there is no such board.
        """
        scores = self.scores if segment is None and days is None else self._board(board_of(segment, days))
        return scores if category is None else np.where(self._within(category), scores, np.float32(0))

    def score_histories(self, histories: Histories) -> Floats:
        """Returns the same scores for everyone, shape (n, I)."""
        return np.tile(self.scores, (len(histories.user_ids), 1))

    def score_items(self, item_ids: Iterable[str]) -> Floats:
        """Returns the scores of these items, in order. 0 for an unknown item."""
        positions = (self._index.get(item_id) for item_id in item_ids)
        return np.array([0.0 if i is None else self.scores[i] for i in positions], dtype=np.float32)

    def top(
        self, count: int, category: str | None = None, segment: str | None = None, days: float | None = None
    ) -> ScoredList:
        """Returns the most popular items. With a limit, as in ``score``, only items with interactions there."""
        scores = self.score(category, segment, days)
        if scores is not self.scores:
            scores = np.where(scores > 0, scores, np.float32(-np.inf))
        return ScoredList.best(self.item_ids, scores, count)

    def _board(self, name: str) -> Floats:
        scores = np.zeros(len(self.item_ids), dtype=np.float32)
        row = self._boards.get(name)
        if row is not None:
            entries = slice(self.board_indptr[row], self.board_indptr[row + 1])
            scores[self.board_items[entries]] = self.board_scores[entries]
        return scores

    def _within(self, category: str) -> NDArray[np.bool_]:
        """Returns the mask of the category's items, (I,)."""
        within = np.zeros(len(self.item_ids), dtype=bool)
        row = self._categories.get(category)
        if row is not None:
            within[self.category_items[self.category_indptr[row] : self.category_indptr[row + 1]]] = True
        return within

    def save(self) -> bytes:
        """Returns the model as bytes."""
        rows = ("board_indptr", "board_items", "board_scores", "category_indptr", "category_items")
        arrays: dict[str, NDArray[Any]] = {"scores": self.scores, **{name: getattr(self, name) for name in rows}}
        names = pack_ids("boards", self.boards) | pack_ids("categories", self.categories)
        return pack(self.kind, arrays | names | pack_ids("items", self.item_ids))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        item_ids, scores = unpack_ids("items", arrays), arrays["scores"]
        if "board_indptr" not in arrays:  # stored before there were boards
            return cls(item_ids, scores)
        boards = arrays["board_indptr"], arrays["board_items"], arrays["board_scores"]
        categories = arrays["category_indptr"], arrays["category_items"]
        names = unpack_ids("boards", arrays), unpack_ids("categories", arrays)
        return cls(item_ids, scores, names[0], *boards, names[1], *categories)
