"""A small inverted index over the texts of items, ranked by BM25.

Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. A term in a title has a
greater weight than one in a description: weighted term frequencies, as in BM25F.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints
from schemas.catalogue import Item
from serving.arrays import kernels
from serving.arrays.top_k import top_k
from serving.sized_cache import MIB, SizedCache
from serving.state.vocabulary import Vocabulary
from signals.kinds.queries import words_of

_K1: Final = 1.2
_B: Final = 0.5
_FIELDS: Final = (("title", 3.0), ("categories", 2.0), ("tags", 2.0), ("description", 1.0))
_CACHED_BYTES: Final = 64 * MIB
_LIST_BYTES: Final = 500
"""A list of similar items without its values."""
_ROOM: Final = 1_024
_DISTINCTIVE: Final = 12
"""Terms of an item that are compared with those of other items."""
_POSTINGS: Final = 4_000
"""Postings that are read to find items similar to one item; distinctive terms are rare."""
_UNKNOWN_WORDS: Final = 3
"""Unknown words of a query that are compared with the vocabulary; the others are left out, because each takes milliseconds."""
_SEARCHED_POSTINGS: Final = 200_000
"""Postings that one search reads; words beyond them are the most common ones, which say the least."""
DESCRIPTION_WORDS: Final = 120
"""Number of words of a description that are indexed."""


@lru_cache(maxsize=20_000)
def _label_terms(label: str) -> tuple[str, ...]:
    return tuple(words_of(label))


def item_terms(item: Item) -> dict[str, float]:
    """The weighted frequencies of an item's terms."""
    frequencies: dict[str, float] = {}
    for field, weight in _FIELDS:
        for term in _field_terms(item, field):
            frequencies[term] = frequencies.get(term, 0.0) + weight
    return frequencies


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
        """``ties`` returns, by position, the hashes that order equal scores."""
        self._ties = ties
        self._postings: dict[str, dict[int, float]] = {}
        self._vocabulary = Vocabulary()
        self._terms: dict[int, dict[str, float]] = {}
        self._lengths: Floats = np.zeros(_ROOM, np.float32)
        self._total = 0.0
        self._arrays: dict[str, tuple[Ints, Floats]] = {}
        self._alike = SizedCache[tuple[int, int], tuple[Ints, Floats]](_CACHED_BYTES)

    def put(self, position: int, item: Item) -> None:
        """Index an item; replaces the earlier text at this position."""
        terms = item_terms(item)
        if self._terms.get(position) == terms:
            return
        self.remove(position)
        self._terms[position] = terms
        if position >= self._lengths.size:
            self._lengths = np.concatenate([self._lengths, np.zeros(position, np.float32)])
        self._lengths[position] = length = sum(terms.values())
        self._total += length
        for term, frequency in terms.items():
            if term not in self._postings:
                self._postings[term] = {}
                self._vocabulary.add(term)
            self._postings[term][position] = frequency
            self._arrays.pop(term, None)

    def remove(self, position: int) -> None:
        """Remove an item from the index."""
        self._alike.clear()
        terms = self._terms.pop(position, {})
        for term in terms:
            postings = self._postings[term]
            del postings[position]
            self._arrays.pop(term, None)
            if not postings:
                del self._postings[term]
                self._vocabulary.discard(term)
        self._total -= sum(terms.values())

    def search(self, query: str, count: int) -> tuple[Ints, Floats]:
        """The best matches, best first: positions (C,) and scores (C,); a word may be unfinished or mistyped."""
        meant = self._meant_terms(words_of(query))
        return self._best({term: meant[term] for term in self._rarest(meant)}, count)

    def alike(self, position: int, count: int) -> tuple[Ints, Floats]:
        """The items that share distinctive terms with this one, best first, without itself; cached until any text changes."""
        cached = self._alike.get((position, count))
        if cached is None:
            own_terms = self._terms.get(position, {})
            items, scores = self._best({term: own_terms[term] for term in self._distinctive(own_terms)}, count + 1)
            others = items != position
            cached = items[others][:count], scores[others][:count]
            self._alike.put((position, count), cached, _LIST_BYTES + cached[0].nbytes + cached[1].nbytes)
        return cached

    def _meant_terms(self, words: Sequence[str]) -> dict[str, float]:
        """The weights of the terms that the words of a query stand for; a known word stands for itself."""
        weights = {word: 1.0 for word in words if word in self._postings}
        unknown = (word for word in dict.fromkeys(words) if word not in self._postings)
        for word in islice(unknown, _UNKNOWN_WORDS):
            for term, weight in self._vocabulary.meant(word, self._count).items():
                weights[term] = max(weight, weights.get(term, 0.0))
        return weights

    def _rarest(self, terms: Iterable[str]) -> Iterator[str]:
        """The rarest of these terms, as long as their postings fit into ``_SEARCHED_POSTINGS``; always one of them."""
        room = _SEARCHED_POSTINGS
        for number, term in enumerate(sorted(terms, key=lambda term: (self._count(term), term))):
            room -= self._count(term)
            if number and room < 0:
                break
            yield term

    def _count(self, term: str) -> int:
        """The number of items with a term."""
        return len(self._postings[term])

    def _distinctive(self, frequencies: Mapping[str, float]) -> Iterator[str]:
        """The most distinctive terms of an item, as long as their postings fit into ``_POSTINGS``."""
        room = _POSTINGS
        for term in sorted(frequencies, key=lambda term: (-frequencies[term] * self._rarity(term), term))[
            :_DISTINCTIVE
        ]:
            if len(self._postings[term]) <= room:
                room -= len(self._postings[term])
                yield term

    def _rarity(self, term: str) -> float:
        containing = len(self._postings.get(term, ()))
        return math.log1p((len(self._terms) - containing + 0.5) / (containing + 0.5))

    def _best(self, weights: dict[str, float], count: int) -> tuple[Ints, Floats]:
        """The items with any of these terms, best first, by the weighted sum of the terms' BM25 scores."""
        terms = [term for term in weights if term in self._postings]
        if not terms or count <= 0:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        entries, frequencies = (np.concatenate(part) for part in zip(*map(self._columns, terms), strict=True))
        term_weights = np.array([weights[term] * self._rarity(term) for term in terms], np.float32)
        norm = _K1 * (1 - _B + _B * self._lengths[entries] / (self._total / len(self._terms)))
        scores = (
            term_weights.repeat([len(self._postings[term]) for term in terms]) * (_K1 + 1) / (1 + norm / frequencies)
        )
        items, numbers = kernels.numbered(entries)
        sums = np.bincount(numbers, scores)
        order = top_k(sums, count, self._ties()[items])
        return items[order], sums[order].astype(np.float32)

    def _columns(self, term: str) -> tuple[Ints, Floats]:
        """The items that contain a term, and its frequency in each."""
        cached = self._arrays.get(term)
        if cached is None:
            postings = self._postings[term]
            items = np.fromiter(postings.keys(), np.int32, len(postings))
            frequencies = np.fromiter(postings.values(), np.float32, len(postings))
            cached = self._arrays[term] = (items, frequencies)
        return cached
