"""Content vectors: items as vectors of weighted terms, and a user's taste as the mean of their items' vectors.

Salton, Buckley, "Term-weighting Approaches in Automatic Text Retrieval", 1988 (TF-IDF, lengths of one, cosine); Pazzani,
Billsus, "Content-Based Recommendation Systems", 2007. Terms are extracted here, so that serving can compute the
vector of a new item without a training.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints, are_rows, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.lists import ScoredList
from models.structures.recommender import Histories
from schemas.catalogue import Item
from schemas.errors import Undecodable

_WORD: Final = re.compile(r"[^\W_]{2,}")


def terms_of(item: Item) -> Counter[str]:
    """Returns the term counts of an item: words of its texts, its labels, and its attributes as ``name=value``."""
    words = _WORD.findall(f"{item.title or ''} {item.description or ''}".casefold())
    labels = [f"category:{name}" for name in item.categories] + [f"tag:{name}" for name in item.tags]
    return Counter([*words, *labels, *attribute_terms(item.attributes)])


def attribute_terms(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yields ``name=value`` of each categorical attribute: strings, booleans, integers, and lists of these."""
    for name, value in attributes.items():
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, str | bool | int):
                yield f"{name}={str(element).casefold()}"


@dataclass(frozen=True, eq=False)
class Content:
    """Vectors over T terms of I items, as sparse rows of length one. Zero for an item without terms.

    ``terms`` (T), ``rarities`` (T,) float32; ``indptr`` (I + 1,) int64, ``indices`` (m,) int32, ``values`` (m,) float32.
    """

    kind: ClassVar[str] = "content"

    item_ids: tuple[str, ...]
    terms: tuple[str, ...]
    rarities: Floats
    indptr: NDArray[np.int64]
    indices: Ints
    values: Floats

    def __post_init__(self) -> None:
        entries = (self.values.size,)
        object.__setattr__(self, "rarities", frozen(self.rarities, np.float32, (len(self.terms),)))
        object.__setattr__(self, "indptr", frozen(self.indptr, np.int64, (len(self.item_ids) + 1,)))
        object.__setattr__(self, "indices", frozen(self.indices, np.int32, entries))
        object.__setattr__(self, "values", frozen(self.values, np.float32, entries))
        if not are_rows(self.indptr, self.indices, len(self.terms)):
            raise Undecodable("not a stored model: items' vectors are not rows over its terms")

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {term: column for column, term in enumerate(self.terms)}

    @cached_property
    def _rows(self) -> NDArray[np.intp]:
        """The item of each entry, (m,)."""
        return np.repeat(np.arange(len(self.item_ids)), np.diff(self.indptr))

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self._index.get(item_id)

    def fold_in(self, weights: Mapping[str, float]) -> Floats:
        """Returns the taste (T,) of a user with these interactions, by item id: the weighted mean of the items' vectors.

        Unknown items and weights that are not positive are ignored. An empty profile gives the zero vector.
        """
        known = {i: w for item_id, w in weights.items() if w > 0 and (i := self._index.get(item_id)) is not None}
        return self._taste(np.array(list(known), dtype=np.intp), np.array(list(known.values()), dtype=np.float32))

    def fold_in_item(self, item: Item) -> Floats:
        """Returns the vector (T,) of an item, whether it was in training or not.

        Unknown terms are ignored. Without known terms, it is the zero vector.
        """
        counts = {column: n for term, n in terms_of(item).items() if (column := self._columns.get(term)) is not None}
        columns = np.array(list(counts), dtype=np.intp)
        vector = np.zeros(len(self.terms), dtype=np.float32)
        vector[columns] = weighed(np.array(list(counts.values())), self.rarities[columns])
        normalized: Floats = vector / np.float32(np.linalg.norm(vector) or 1)
        return normalized

    def score(self, vector: Floats) -> Floats:
        """Returns every item's inner product with a taste or item vector (T,), shape (I,)."""
        shares = self.values * vector[self.indices]
        return np.bincount(self._rows, weights=shares, minlength=len(self.item_ids)).astype(np.float32)

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I), from the history alone, by its weights."""
        scores = np.empty((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for row in range(scores.shape[0]):
            scores[row] = self.score(self._taste(*histories.row(row)))
        return scores

    def similar(self, item_id: str, count: int) -> ScoredList:
        """Returns the nearest items by cosine that share a term, without the item itself. Empty if it is unknown."""
        i = self._index.get(item_id)
        if i is None:
            return ScoredList()
        scores = self.score(self._taste(np.array([i]), np.ones(1, dtype=np.float32)))
        scores[i] = 0
        return ScoredList.best(self.item_ids, np.where(scores > 0, scores, np.float32(-np.inf)), count)

    def similar_to(self, item: Item, count: int) -> ScoredList:
        """Returns the same as ``similar`` for an item that was not in training."""
        scores = self.score(self.fold_in_item(item))
        return ScoredList.best(self.item_ids, np.where(scores > 0, scores, np.float32(-np.inf)), count)

    def _taste(self, items: NDArray[Any], weights: Floats) -> Floats:
        taste = np.zeros(len(self.terms), dtype=np.float32)
        for i, share in zip(items.tolist(), (weights / max(float(weights.sum()), 1e-30)).tolist(), strict=True):
            row = slice(self.indptr[i], self.indptr[i + 1])
            taste[self.indices[row]] += np.float32(share) * self.values[row]
        return taste

    def save(self) -> bytes:
        """Returns the model as bytes."""
        rows: dict[str, NDArray[Any]] = {"indptr": self.indptr, "indices": self.indices, "values": self.values}
        names = pack_ids("items", self.item_ids) | pack_ids("terms", self.terms)
        return pack(self.kind, {"rarities": self.rarities} | rows | names)

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        rows = arrays["indptr"], arrays["indices"], arrays["values"]
        return cls(unpack_ids("items", arrays), unpack_ids("terms", arrays), arrays["rarities"], *rows)


def weighed(counts: NDArray[Any], rarities: NDArray[Any]) -> NDArray[Any]:
    """Returns the TF-IDF weights of term counts n: (1 + ln n) · rarity."""
    weights: NDArray[Any] = (1 + np.log(counts)) * rarities
    return weights
