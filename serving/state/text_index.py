"""A small inverted index over what items say of themselves, ranked by BM25.

Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. A term in a title weighs
more than one in a description: weighted term frequencies, as in BM25F.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints
from schemas.catalogue import Item
from serving.arrays import kernels
from serving.arrays.top_k import top_k
from signals.queries import words_of

_K1: Final = 1.2
_B: Final = 0.5
_FIELDS: Final = (("title", 3.0), ("categories", 2.0), ("tags", 2.0), ("description", 1.0))
_KEPT_LISTS: Final = 20_000
_ROOM: Final = 1_024
_TELLING: Final = 12
_POSTINGS: Final = 4_000
"""Entries of the index that are read to find what is like an item: the most telling terms', which are rare."""
DESCRIPTION_WORDS: Final = 120
"""Words of a description that are indexed."""


@lru_cache(maxsize=20_000)
def _label_terms(label: str) -> tuple[str, ...]:
    return tuple(words_of(label))


def item_terms(item: Item) -> dict[str, float]:
    """An item's terms with their weighted frequencies."""
    found: dict[str, float] = {}
    for field, weight in _FIELDS:
        for term in _field_terms(item, field):
            found[term] = found.get(term, 0.0) + weight
    return found


def _field_terms(item: Item, field: str) -> list[str]:
    value = getattr(item, field)
    if not value:
        return []
    if isinstance(value, str):
        words = words_of(value)
        return words[:DESCRIPTION_WORDS] if field == "description" else words
    return [term for label in value for term in _label_terms(label)]


class TextIndex:
    """Terms to items (positions in the catalogue), kept up to date item by item."""

    def __init__(self, ties: Callable[[], NDArray[np.uint32]]) -> None:
        """``ties`` gives, by position, what orders equal matches."""
        self._ties = ties
        self._postings: dict[str, dict[int, float]] = {}
        self._terms: dict[int, dict[str, float]] = {}
        self._lengths: Floats = np.zeros(_ROOM, np.float32)
        self._total = 0.0
        self._arrays: dict[str, tuple[Ints, Floats]] = {}
        self._alike: dict[tuple[int, int], tuple[Ints, Floats]] = {}

    def put(self, at: int, item: Item) -> None:
        """Index an item in place of what stood there."""
        terms = item_terms(item)
        if self._terms.get(at) == terms:
            return
        self.remove(at)
        self._terms[at] = terms
        if at >= self._lengths.size:
            self._lengths = np.concatenate([self._lengths, np.zeros(at, np.float32)])
        self._lengths[at] = length = sum(terms.values())
        self._total += length
        for term, frequency in terms.items():
            self._postings.setdefault(term, {})[at] = frequency
            self._arrays.pop(term, None)

    def remove(self, at: int) -> None:
        """Forget an item."""
        self._alike.clear()
        terms = self._terms.pop(at, {})
        for term in terms:
            postings = self._postings[term]
            del postings[at]
            self._arrays.pop(term, None)
            if not postings:
                del self._postings[term]
        self._total -= sum(terms.values())

    def search(self, query: str, count: int) -> tuple[Ints, Floats]:
        """The best matches, best first: positions (C,) and scores (C,)."""
        return self._best(dict.fromkeys(words_of(query), 1.0), count)

    def alike(self, at: int, count: int) -> tuple[Ints, Floats]:
        """Items that share the most telling terms with this one, itself left out; kept until any text changes."""
        kept = self._alike.get((at, count))
        if kept is None:
            mine = self._terms.get(at, {})
            items, scores = self._best({term: mine[term] for term in self._telling(mine)}, count + 1)
            others = items != at
            if len(self._alike) >= _KEPT_LISTS:
                self._alike.clear()
            kept = self._alike[at, count] = items[others][:count], scores[others][:count]
        return kept

    def _telling(self, mine: Mapping[str, float]) -> Iterator[str]:
        """The terms of an item that tell most, as far as there is room to read their entries."""
        room = _POSTINGS
        for term in sorted(mine, key=lambda term: (-mine[term] * self._rarity(term), term))[:_TELLING]:
            if len(self._postings[term]) <= room:
                room -= len(self._postings[term])
                yield term

    def _rarity(self, term: str) -> float:
        holding = len(self._postings.get(term, ()))
        return math.log1p((len(self._terms) - holding + 0.5) / (holding + 0.5))

    def _best(self, weights: dict[str, float], count: int) -> tuple[Ints, Floats]:
        """Items with any of these terms, best first, by the sum of the terms' BM25 scores times their weights."""
        terms = [term for term in weights if term in self._postings]
        if not terms or count <= 0:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        entries, frequencies = (np.concatenate(part) for part in zip(*map(self._columns, terms), strict=True))
        worth = np.array([weights[term] * self._rarity(term) for term in terms], np.float32)
        norm = _K1 * (1 - _B + _B * self._lengths[entries] / (self._total / len(self._terms)))
        scores = worth.repeat([len(self._postings[term]) for term in terms]) * (_K1 + 1) / (1 + norm / frequencies)
        items, which = kernels.numbered(entries)
        sums = np.bincount(which, scores)
        order = top_k(sums, count, self._ties()[items])
        return items[order], sums[order].astype(np.float32)

    def _columns(self, term: str) -> tuple[Ints, Floats]:
        """A term's items, and how often each has it."""
        kept = self._arrays.get(term)
        if kept is None:
            postings = self._postings[term]
            items = np.fromiter(postings.keys(), np.int32, len(postings))
            frequencies = np.fromiter(postings.values(), np.float32, len(postings))
            kept = self._arrays[term] = (items, frequencies)
        return kept
