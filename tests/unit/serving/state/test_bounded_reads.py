"""Reads of the catalogue whose cost no request can multiply: categories, searches, pages."""

from __future__ import annotations

import numpy as np
import pytest

from serving.service.item_views import browse
from serving.state import text_index
from serving.state.catalogue import Catalogue

NOW = 1_795_428_000.0


@pytest.fixture
def catalogue(describe):
    made = Catalogue()
    for number in range(60):
        made.put(describe(number, title=f"common word{number}", hidden=number % 10 == 3))
    return made


def test_a_category_is_looked_up_once_however_often_it_is_named(catalogue, monkeypatch):
    read, fromiter = [], np.fromiter

    def counted(values, *rest):
        read.append(len(values))
        return fromiter(values, *rest)

    monkeypatch.setattr(np, "fromiter", counted)
    chosen = catalogue.in_categories(["Racing", "racing", "RACING"] * 20)
    assert chosen.sum() == 10
    assert read == [10]
    catalogue.in_categories(["racing"])
    assert read == [10]


def test_a_category_follows_its_items(catalogue, describe):
    before = catalogue.in_categories(["racing"]).nonzero()[0].tolist()
    catalogue.put(describe(1, categories=("puzzle",)))
    catalogue.put(describe(2, categories=("racing",)))
    assert catalogue.in_categories(["racing"]).nonzero()[0].tolist() == sorted({*before, 2} - {1})


def test_a_search_reads_the_rarest_words_and_a_bounded_number_of_postings(catalogue, monkeypatch):
    read, columns = [], catalogue.text._columns

    def counted(term):
        read.append(term)
        return columns(term)

    monkeypatch.setattr(catalogue.text, "_columns", counted)
    monkeypatch.setattr(text_index, "_SEARCHED_POSTINGS", 5)
    found, _ = catalogue.text.search("common word7 word8 puzzle", 10)
    assert set(read) == {"word7", "word8"}
    assert {catalogue.ids[position] for position in found.tolist()} == {"item-7", "item-8"}
    read.clear()
    assert catalogue.text.search("common", 10)[0].size == 10
    assert read == ["common"]


@pytest.mark.parametrize("query", [None, "common"])
def test_pages_hold_each_visible_item_once_and_the_last_says_so(catalogue, query):
    catalogue.ensure("only seen")
    pages, start, is_more = [], 0, True
    while is_more:
        page, is_more = browse(catalogue, query, NOW, start, 20)
        pages.append(len(page))
        start += 20
    assert pages == [20, 20, 14]
    assert browse(catalogue, query, NOW, 54, 20) == ([], False)
    whole, _ = browse(catalogue, query, NOW, 0, 500)
    assert len({item.item_id for item in whole}) == 54
    assert not any(item.hidden for item in whole)
