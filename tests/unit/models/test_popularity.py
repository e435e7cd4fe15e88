def test_the_most_popular_come_first_and_ties_keep_their_order(popularity):
    assert list(popularity.top(3)) == [("with/slash", 5.0), ("数", 5.0), ("plain", 3.0)]


def test_it_has_no_more_than_it_has(popularity):
    assert len(popularity.top(100)) == 6
    assert len(popularity.top(0)) == 0


def test_an_unknown_item_is_not_popular(popularity):
    assert popularity.score_items(["last", "unheard of", "plain"]).tolist() == [2, 0, 3]
