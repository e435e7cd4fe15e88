"""The distinct terms of the catalogue, and those that a mistyped or unfinished word may stand for.

A term counts as meant where it begins with the word, or where few letters differ from it: the Damerau-Levenshtein
distance (Damerau, CACM 1964). The first letter must be right, as in most search engines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

_PREFIX: Final = 2
"""Shortest word that may be the beginning of a term."""
_ONE_EDIT: Final = 4
"""Shortest word in which one letter may differ."""
_TWO_EDITS: Final = 8
"""Shortest word in which two letters may differ."""
_TERMS: Final = 8
"""Most terms that one word stands for."""
_PREFIX_WEIGHT: Final = 0.8
_EDIT_WEIGHT: Final = 0.5
"""Weight of a term one edit away; of one two edits away, its square."""


class Vocabulary:
    """Terms by their first letter, kept up to date term by term."""

    def __init__(self) -> None:
        self._by_initial: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, term: str) -> None:
        """A term has its first item."""
        self._by_initial[term[0]].add(term)

    def discard(self, term: str) -> None:
        """A term has lost its last item."""
        self._by_initial[term[0]].discard(term)

    def meant(self, word: str, frequency: Callable[[str], int]) -> dict[str, float]:
        """The terms that an unknown word may stand for, with weights from 0 to 1; the closest and most frequent ones."""
        terms = self._by_initial.get(word[0], set())
        weights = _begun(word, terms) or _misspelt(word, terms)
        closest = sorted(weights, key=lambda term: (-weights[term], -frequency(term), term))[:_TERMS]
        return {term: weights[term] for term in closest}


def _begun(word: str, terms: set[str]) -> dict[str, float]:
    if len(word) < _PREFIX:
        return {}
    return {term: _PREFIX_WEIGHT for term in terms if term.startswith(word)}


def _misspelt(word: str, terms: set[str]) -> dict[str, float]:
    edits = (len(word) >= _ONE_EDIT) + (len(word) >= _TWO_EDITS)
    if not edits:
        return {}
    matches = process.extract(word, terms, scorer=OSA.distance, score_cutoff=edits, limit=None)
    return {term: _EDIT_WEIGHT**distance for term, distance, _ in matches}
