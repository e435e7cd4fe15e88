from dataclasses import replace

import numpy as np
import pytest

from models.popularity import Popularity, board_of
from models.structures.arrays import pack, pack_ids
from schemas.errors import Undecodable


def test_the_most_popular_come_first_and_ties_keep_their_order(popularity):
    assert list(popularity.top(3)) == [("with/slash", 5.0), ("数", 5.0), ("plain", 3.0)]


def test_it_has_no_more_than_it_has(popularity):
    assert len(popularity.top(100)) == 6
    assert len(popularity.top(0)) == 0


def test_an_unknown_item_is_not_popular(popularity):
    assert popularity.score_items(["last", "unheard of", "plain"]).tolist() == [2, 0, 3]


@pytest.fixture
def boards(popularity):
    return replace(
        popularity,
        boards=(board_of(days=7), board_of("age=25"), board_of("age=25", 7)),
        board_indptr=np.array([0, 2, 5, 6]),
        board_items=np.array([0, 5, 0, 1, 2, 5]),
        board_scores=np.array([1, 2, 2, 1, 4, 0.5]),
        categories=("tea", "cups"),
        category_indptr=np.array([0, 2, 5]),
        category_items=np.array([0, 2, 1, 3, 5]),
    )


def test_a_window_a_segment_and_a_category_have_their_own(boards):
    assert list(boards.top(9, days=7)) == [("last", 2.0), ("plain", 1.0)]
    assert list(boards.top(9, segment="age=25")) == [("Überraschung", 4.0), ("plain", 2.0), ("with/slash", 1.0)]
    assert list(boards.top(9, category="cups")) == [("with/slash", 5.0), ("数", 5.0), ("last", 2.0)]


def test_they_can_be_asked_for_together(boards):
    assert list(boards.top(9, segment="age=25", days=7)) == [("last", 0.5)]
    assert list(boards.top(9, category="tea", segment="age=25")) == [("Überraschung", 4.0), ("plain", 2.0)]
    assert list(boards.top(9, category="tea", segment="age=25", days=7)) == []


def test_what_was_not_learned_has_nothing_popular(boards):
    assert len(boards.top(9, days=8)) == len(boards.top(9, segment="age=99")) == len(boards.top(9, category="x")) == 0


def test_boards_are_saved_and_everybodys_scores_stay(boards):
    loaded = Popularity.load(boards.save())
    assert list(loaded.top(9, category="tea", segment="age=25")) == [("Überraschung", 4.0), ("plain", 2.0)]
    assert loaded.score().tolist() == [3, 5, 0, 5, 1, 2]


def test_what_was_stored_before_there_were_boards_is_read(popularity):
    old = pack("popularity", {"scores": popularity.scores, **pack_ids("items", popularity.item_ids)})
    assert Popularity.load(old).save() == popularity.save()


def test_boards_are_of_its_items(boards):
    with pytest.raises(Undecodable):
        replace(boards, board_items=boards.board_items + 1)
