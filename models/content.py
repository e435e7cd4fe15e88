"""What items say of themselves, as vectors of weighted terms, and a person's taste as the mean of theirs.

Salton, Buckley, "Term-weighting Approaches in Automatic Text Retrieval", 1988 (TF-IDF, lengths of one, cosine); Pazzani,
Billsus, "Content-Based Recommendation Systems", 2007. Terms are found here, so that serving places a new item without
a training.
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
    """How often an item says each term: words of its texts, its labels, and its attributes as ``name=value``."""
    words = _WORD.findall(f"{item.title or ''} {item.description or ''}".casefold())
    labels = [f"category:{each}" for each in item.categories] + [f"tag:{each}" for each in item.tags]
    return Counter([*words, *labels, *attribute_terms(item.attributes)])


def attribute_terms(attributes: Mapping[str, Any]) -> Iterator[str]:
    """``name=value`` of each attribute of few values: texts, yes or no, whole numbers, and lists of those."""
    for name, value in attributes.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str | bool | int):
                yield f"{name}={str(each).casefold()}"


@dataclass(frozen=True, eq=False)
class Content:
    """Vectors over T terms of I items, as rows of a sparse matrix of length one each; zero where nothing is said.

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
        return {term: at for at, term in enumerate(self.terms)}

    @cached_property
    def _rows(self) -> NDArray[np.intp]:
        """The item of each entry, (m,)."""
        return np.repeat(np.arange(len(self.item_ids)), np.diff(self.indptr))

    def index_of(self, item_id: str) -> int | None:
        """The item's position, or None where it is not known."""
        return self._index.get(item_id)

    def fold_in(self, weights: Mapping[str, float]) -> Floats:
        """The taste (T,) of whoever has these interactions, by item id: the weighted mean of their items' vectors.

        Unknown items and weights that are not positive count nothing. Nobody's taste is the zero vector.
        """
        known = {i: w for item_id, w in weights.items() if w > 0 and (i := self._index.get(item_id)) is not None}
        return self._taste(np.array(list(known), dtype=np.intp), np.array(list(known.values()), dtype=np.float32))

    def fold_in_item(self, item: Item) -> Floats:
        """The vector (T,) of an item by what it says of itself, whether it was there at training or not.

        Terms that were not there are not known; with none that are, it is the zero vector.
        """
        counts = {at: n for term, n in terms_of(item).items() if (at := self._columns.get(term)) is not None}
        columns = np.array(list(counts), dtype=np.intp)
        vector = np.zeros(len(self.terms), dtype=np.float32)
        vector[columns] = weighed(np.array(list(counts.values())), self.rarities[columns])
        placed: Floats = vector / np.float32(np.linalg.norm(vector) or 1)
        return placed

    def score(self, vector: Floats) -> Floats:
        """Every item's score for a taste or another item's vector (T,), shape (I,): the product of the two."""
        shares = self.values * vector[self.indices]
        return np.bincount(self._rows, weights=shares, minlength=len(self.item_ids)).astype(np.float32)

    def score_histories(self, histories: Histories) -> Floats:
        """Every item's score for each person, shape (n, I), from the history alone, by its weights."""
        scores = np.empty((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for row in range(scores.shape[0]):
            scores[row] = self.score(self._taste(*histories.row(row)))
        return scores

    def similar(self, item_id: str, count: int) -> ScoredList:
        """The items nearest by cosine that share a term, without itself; none where it is not known."""
        i = self._index.get(item_id)
        if i is None:
            return ScoredList()
        scores = self.score(self._taste(np.array([i]), np.ones(1, dtype=np.float32)))
        scores[i] = 0
        return ScoredList.best(self.item_ids, np.where(scores > 0, scores, np.float32(-np.inf)), count)

    def similar_to(self, item: Item, count: int) -> ScoredList:
        """As ``similar``, for an item that was not there at training."""
        scores = self.score(self.fold_in_item(item))
        return ScoredList.best(self.item_ids, np.where(scores > 0, scores, np.float32(-np.inf)), count)

    def _taste(self, items: NDArray[Any], weights: Floats) -> Floats:
        taste = np.zeros(len(self.terms), dtype=np.float32)
        for i, share in zip(items.tolist(), (weights / max(float(weights.sum()), 1e-30)).tolist(), strict=True):
            row = slice(self.indptr[i], self.indptr[i + 1])
            taste[self.indices[row]] += np.float32(share) * self.values[row]
        return taste

    def save(self) -> bytes:
        """The model as bytes."""
        rows: dict[str, NDArray[Any]] = {"indptr": self.indptr, "indices": self.indices, "values": self.values}
        names = pack_ids("items", self.item_ids) | pack_ids("terms", self.terms)
        return pack(self.kind, {"rarities": self.rarities} | rows | names)

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what ``save`` wrote; raises Undecodable."""
        arrays = unpack(cls.kind, data)
        rows = arrays["indptr"], arrays["indices"], arrays["values"]
        return cls(unpack_ids("items", arrays), unpack_ids("terms", arrays), arrays["rarities"], *rows)


def weighed(counts: NDArray[Any], rarities: NDArray[Any]) -> NDArray[Any]:
    """How much terms count that are said so often: (1 + ln n) · rarity."""
    weights: NDArray[Any] = (1 + np.log(counts)) * rarities
    return weights
