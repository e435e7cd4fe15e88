"""EASE: item weights of a linear autoencoder. Each item of a history adds to the scores of the other items.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019: column j of the matrix B predicts item j from
all others, so that the scores of a history x are x·B. Unlike a similarity, B is directed and may be negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints, are_rows, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.lists import ScoredList
from models.structures.prepared import prepared
from models.structures.recommender import Histories
from models.structures.sparse import row_positions
from schemas.errors import Undecodable

_AT_ONCE: Final = 1_000_000
"""Number of weights summed in one step of ``score_histories``: about 30 MB of temporary arrays."""


@dataclass(frozen=True, eq=False)
class Ease:
    """Weights between I items as rows of a sparse matrix: row i is what item i adds to the scores of others.

    ``indptr`` (I + 1,) int64, ``indices`` (m,) int32 ascending within a row, ``values`` (m,) float32.
    """

    kind: ClassVar[str] = "ease"

    item_ids: tuple[str, ...]
    indptr: NDArray[np.int64]
    indices: Ints
    values: Floats
    weighted: bool = False
    """True if trained on interaction weights. False: each item of a history counts 1."""

    def __post_init__(self) -> None:
        entries = (self.values.size,)
        object.__setattr__(self, "indptr", frozen(self.indptr, np.int64, (len(self.item_ids) + 1,)))
        object.__setattr__(self, "indices", frozen(self.indices, np.int32, entries))
        object.__setattr__(self, "values", frozen(self.values, np.float32, entries))
        if not _are_ascending_rows(self.indptr, self.indices, len(self.item_ids)):
            raise Undecodable("not a stored model: its weights are not rows over its items")

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    @prepared
    def _lengths(self) -> NDArray[np.int64]:
        return np.diff(self.indptr)

    @prepared
    def whole(self) -> Floats | None:
        """The dense matrix (I, I), or None if some weights were dropped."""
        count = len(self.item_ids)
        return self.values.reshape(count, count) if self.values.size == count * count else None

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self._index.get(item_id)

    def similar(self, item_id: str, count: int) -> ScoredList:
        """Returns the items with the largest weights from this one, without itself. Empty if it is unknown."""
        i = self._index.get(item_id)
        if i is None:
            return ScoredList()
        row = slice(self.indptr[i], self.indptr[i + 1])
        positive = np.where((self.values[row] > 0) & (self.indices[row] != i), self.values[row], np.float32(-np.inf))
        return ScoredList.best([self.item_ids[j] for j in self.indices[row].tolist()], positive, count)

    def score(self, profile: Mapping[str, float]) -> Floats:
        """Returns every item's score, shape (I,): profile weights times the rows of the items. Unknown items are ignored."""
        known = {i: weight for item_id, weight in profile.items() if (i := self._index.get(item_id)) is not None}
        weights = np.array(list(known.values()), dtype=np.float32)
        return self.score_rows(np.array(list(known), dtype=np.intp), weights)

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I), from the history alone."""
        weights = histories.weights if self.weighted else np.ones_like(histories.weights)
        scores = np.empty((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for rows in self._steps(histories):
            own = histories.indptr[rows.start : rows.stop + 1]
            entries = slice(own[0], own[-1])
            scores[rows] = self._summed(own - own[0], histories.items[entries], weights[entries])
        return scores

    def contributions(self, profile: Mapping[str, float], item_id: str) -> dict[str, float]:
        """Returns what each known item of a profile adds to this item's score. The sum is the score. Empty for an unknown item."""
        j = self._index.get(item_id)
        if j is None:
            return {}
        known = (
            (known_id, i, weight)
            for known_id, weight in profile.items()
            if (i := self._index.get(known_id)) is not None
        )
        return {known_id: weight * self._weight(i, j) for known_id, i, weight in known}

    def score_rows(self, items: NDArray[Any], weights: Floats) -> Floats:
        """Returns every item's score, shape (I,), from item positions (n,) and weights (n,)."""
        if self.whole is not None:
            whole: Floats = weights @ self.whole[items]
            return whole
        lengths = self._lengths[items]
        entries = row_positions(self.indptr[items], lengths)
        shares = self.values[entries] * weights.repeat(lengths)
        return np.bincount(self.indices[entries], shares, len(self.item_ids)).astype(np.float32)

    def _weight(self, i: int, j: int) -> float:
        """Returns the weight from item i to item j."""
        begin, end = self.indptr[i : i + 2].tolist()
        position = begin + int(np.searchsorted(self.indices[begin:end], j))
        return float(self.values[position]) if position < end and self.indices[position] == j else 0.0

    def _steps(self, histories: Histories) -> Iterator[slice]:
        """Yields ranges of people with about ``_AT_ONCE`` weights together, at least one person each."""
        ends = np.concatenate(([0], np.cumsum(self._lengths[histories.items])))[histories.indptr]
        start, count = 0, len(histories.user_ids)
        while start < count:
            stop = max(start + 1, int(np.searchsorted(ends, ends[start] + _AT_ONCE, side="right")) - 1)
            yield slice(start, stop)
            start = stop

    def _summed(self, indptr: NDArray[Any], items: NDArray[Any], weights: Floats) -> Floats:
        """Returns scores (n, I) of n histories, given as rows of items and weights."""
        rows, count = indptr.size - 1, len(self.item_ids)
        people = np.repeat(np.arange(rows), np.diff(indptr))
        if self.whole is not None:
            profiles = np.zeros((rows, count), dtype=np.float32)
            profiles[people, items] = weights
            return profiles @ self.whole
        lengths = self._lengths[items]
        entries = row_positions(self.indptr[items], lengths)
        columns = self.indices[entries] + np.repeat(people * count, lengths)
        shares = self.values[entries] * np.repeat(weights, lengths)
        scores: Floats = np.bincount(columns, weights=shares, minlength=rows * count).astype(np.float32)
        return scores.reshape(rows, count)

    def save(self) -> bytes:
        """Returns the model as bytes."""
        arrays: dict[str, NDArray[Any]] = {"indptr": self.indptr, "indices": self.indices, "values": self.values}
        return pack(self.kind, arrays | {"weighted": np.array([self.weighted])} | pack_ids("items", self.item_ids))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        weights = arrays["indptr"], arrays["indices"], arrays["values"]
        return cls(unpack_ids("items", arrays), *weights, bool(arrays["weighted"][0]))


def _are_ascending_rows(indptr: NDArray[np.int64], indices: Ints, count: int) -> bool:
    """True if these are valid rows of distinct ascending positions below ``count``."""
    if not are_rows(indptr, indices, count):
        return False
    begins = np.zeros(indices.size, dtype=bool)
    begins[indptr[:-1][np.diff(indptr) > 0]] = True
    return bool(((np.diff(indices) > 0) | begins[1:]).all())
