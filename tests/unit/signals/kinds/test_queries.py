"""Items that follow a search count once in it, until they are retracted, and the number of words is bounded."""

from __future__ import annotations

import pytest

from signals.decay import value_at
from signals.kinds import queries
from signals.kinds.queries import HALF_LIFE, WORDS, merge_word, query_key, query_words, words_of


def after(state, word):
    now = max(entry.at for value in state.values.values() for entry in value.recent)
    cell = state.cells.get(query_key(word))
    found = merge_word([cell] if cell else [], word)
    return {item: value_at(count, HALF_LIFE, now) for item, count in found.items()}


def search(say, query, seconds=0.0, **fields):
    return say(None, "search", seconds, query=query, event_id=f"search {query} {seconds}", **fields)


def test_words_are_read_without_case_accents_and_plural():
    assert words_of("Rote Schühe, GLASS boxes!") == ["rote", "schuhe", "glass", "boxe"]
    assert query_words("one two two three four five six") == ["one", "two", "three", "four"]
    assert query_words("x" * 500) == ["x" * queries.LONGEST]


def test_an_item_counts_once_a_search_at_each_of_its_words(partition, say):
    state = partition(search(say, "red shoes"), say("a"), say("a", "like"), say("b"))
    assert after(state, "red") == after(state, "shoe") == pytest.approx({"a": 1.0, "b": 1.0})
    for n in range(3):
        state.happen(search(say, "Shoe", user_id=f"u{n}"))
        state.happen(say("a", user_id=f"u{n}"))
    assert after(state, "shoe") == pytest.approx({"a": 4.0, "b": 1.0})
    assert after(state, "red") == pytest.approx({"a": 1.0, "b": 1.0})


@pytest.mark.parametrize(
    "event",
    [{"kind": "dislike"}, {"seconds": 3_000.0}, {"user_id": "bob"}, {"kind": "impression"}],
    ids=["aversion", "much later", "somebody else", "only shown"],
)
def test_what_does_not_follow_from_a_search_counts_for_none(partition, say, event):
    state = partition(say("first"), search(say, "shoe"), say("a", **event))
    assert after(state, "shoe") == {}


def test_what_is_taken_back_counts_no_longer(partition, say):
    state = partition(search(say, "shoe"), say("a", "like"), say("b"), say("b", "view"))
    state.happen(say("a", "unlike"))
    state.happen(say(None, "retract", event_id="b-click-0.0"))
    assert after(state, "shoe") == pytest.approx({"b": 1.0})


def test_a_cell_holds_so_many_words_and_the_stalest_goes_first(partition, say):
    key = query_key("shoe")
    n = 0
    words = ["shoe"]
    while len(words) < WORDS + 2:
        n += 1
        if query_key(f"word{n}x") == key:
            words.append(f"word{n}x")
    state = partition()
    for place, word in enumerate([*words[:WORDS], "shoe", *words[WORDS:]]):
        state.happen(search(say, word, seconds=60.0 * place))
        state.happen(say("a", seconds=60.0 * place))
    assert list(state.cells[key].words) == [*words[3:WORDS], "shoe", *words[WORDS:]]


def test_a_word_keeps_its_strongest_items(partition, say):
    state = partition()
    for n in range(100):
        state.happen(search(say, "shoe", user_id=f"u{n}", seconds=n))
        state.happen(say(f"i{n}", user_id=f"u{n}", seconds=n))
    items = state.cells[query_key("shoe")].words["shoe"]
    assert len(items) <= queries.WIDTH + queries.SLACK
    assert "i99" in items
    assert "i0" not in items
