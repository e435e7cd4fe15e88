from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationInvalid
from schemas.values.rating_scale import RatingScale, scale_of


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ([], "0..5"),
        ([0.5, 5.0, 3.5], "0..5"),
        ([3, 8], "0..10"),
        ([0] * 60 + [5, 8, 10, 7], "0..10"),
        ([1, 2, 3, 4, 5, 5, 4, 4, 3, 2, 5, 1_000], "0..5"),
        ([4.0] * 999 + [7.0], "0..5"),
        ([4.0, 5.0, 1e308, float("inf"), float("nan")], "0..5"),
        ([85, 40, 99, 8], "0..100"),
        ([500.0, 700.0], "0..1000"),
        ([-9.5, 9.5, 3.0], "-10..10"),
    ],
)
def test_the_scale_is_seen_in_the_ratings_and_a_mistake_among_many_does_not_change_it(ratings, scale):
    assert str(RatingScale.of(ratings)) == scale


@given(st.sampled_from([5.0, 10.0, 100.0]), st.data())
def test_one_value_never_makes_a_scale_longer(top, data):
    ratings = [top, top / 2 + 1] * 60
    wild = data.draw(st.floats(min_value=top))
    assert RatingScale.of([*ratings, wild]) == RatingScale.of(ratings) == RatingScale(0.0, top)


@pytest.mark.parametrize("text", ["1..5", "0..10", "-10..10", "0.5..5"])
def test_a_scale_is_read_as_it_is_written(text):
    assert str(RatingScale.parse(text)) == text


@pytest.mark.parametrize("text", ["5", "5..1", "1..1", "a..b", "1...5", "1-5", "1..inf", "1..nan"])
def test_what_is_no_scale_is_refused_with_an_example(text):
    with pytest.raises(ConfigurationInvalid, match=r"1\.\.5"):
        RatingScale.parse(text)


def test_the_middle_follows_the_scale():
    assert (scale_of("").middle, scale_of("1..5").middle, scale_of("0..10").middle) == (2.5, 3.0, 5.0)
    assert [RatingScale(0, 10).stars(rating) for rating in (0, 3, 5, 10)] == [-2.5, -1.0, 0.0, 2.5]
