"""A mistyped or unfinished word finds the items of the term that was meant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Item
from serving.state.text_index import TextIndex
from serving.state.vocabulary import Vocabulary

TITLES = ("Cyberpunk adventure", "Portal puzzle", "Portuguese for beginners", "Chair", "Cyber café")


@pytest.fixture
def index() -> TextIndex:
    made = TextIndex(lambda: np.arange(len(TITLES), dtype=np.uint32))
    for position, title in enumerate(TITLES):
        made.put(position, Item(item_id=str(position), title=title))
    return made


def titles(index, query):
    return [TITLES[position] for position in index.search(query, 10)[0].tolist()]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("portl", "Portal puzzle"),
        ("protal", "Portal puzzle"),
        ("cyberpnuk", "Cyberpunk adventure"),
        ("cybrpnk adventure", "Cyberpunk adventure"),
        ("advent", "Cyberpunk adventure"),
        ("puz", "Portal puzzle"),
        ("chiar", "Chair"),
    ],
)
def test_one_wrong_letter_or_an_unfinished_word_finds_what_was_meant(index, query, first):
    assert titles(index, query)[0] == first


def test_a_known_word_means_itself_alone(index):
    assert titles(index, "cyber") == ["Cyber café"]


@pytest.mark.parametrize("query", ["c", "xyzzy", "chr", "ortal", "", "?!"])
def test_a_word_that_is_like_no_term_finds_nothing(index, query):
    assert titles(index, query) == []


def test_a_term_without_items_is_forgotten(index):
    index.remove(3)
    assert titles(index, "chiar") == []


def distance(a: str, b: str) -> int:
    """The restricted Damerau-Levenshtein distance, written out."""
    rows = [[i + j if 0 in (i, j) else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


words = st.text("abc", min_size=1, max_size=10)


@given(st.sets(words, max_size=30), words)
def test_the_terms_meant_are_those_with_the_beginning_or_else_the_near_ones(terms, word):
    vocabulary = Vocabulary()
    for term in terms:
        vocabulary.add(term)
    begun = {term for term in terms if len(word) >= 2 and term.startswith(word)}
    edits = (len(word) >= 4) + (len(word) >= 8)
    near = {term for term in terms if term[0] == word[0] and edits and distance(word, term) <= edits}
    meant = vocabulary.meant(word, lambda _: 1)
    expected = begun or near
    assert meant.keys() <= expected
    assert len(meant) == min(8, len(expected))
    assert all(0 < weight <= 1 for weight in meant.values())
