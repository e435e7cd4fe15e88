import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.evaluation.intervals import differences, holm, intervals

PEOPLE = np.arange(200)


def test_an_interval_holds_the_mean_and_narrows_with_more_people():
    random = np.random.default_rng(1)
    few, many = random.random(50), random.random(5_000)
    (low, high), (lower, higher) = (intervals({"x": each}, np.arange(each.size))["x"] for each in (few, many))
    assert low < few.mean() < high
    assert lower < many.mean() < higher
    assert higher - lower < (high - low) / 5


def test_an_interval_is_that_of_a_normal_mean_where_there_are_many():
    values = np.random.default_rng(2).random(4_000)
    low, high = intervals({"x": values}, np.arange(values.size), draws=2_000)["x"]
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(values.size), rel=0.1)


def test_several_questions_of_one_person_are_not_several_people():
    values = np.random.default_rng(3).random(50)
    alone = intervals({"x": values}, np.arange(50))["x"]
    repeated = intervals({"x": np.repeat(values, 20)}, np.repeat(np.arange(50), 20))["x"]
    assert repeated == pytest.approx(alone)


def test_the_same_draws_give_the_same_interval():
    values = {"x": np.random.default_rng(4).random(100)}
    assert intervals(values, np.arange(100)) == intervals(values, np.arange(100))


def test_a_difference_that_everyone_shows_is_sure_and_one_by_chance_is_not():
    base = np.random.default_rng(5).random(200)
    noise = np.random.default_rng(6).normal(0, 0.1, 200)
    found = differences("m", {"base": base, "better": base + 0.2, "alike": base + noise - noise.mean()}, PEOPLE)
    by_other = {each.other: each for each in found}
    assert {each.name for each in found} == {"better"}
    assert by_other["base"].p < 0.01
    assert by_other["base"].low == pytest.approx(0.2)
    [alike] = differences("m", {"base": base, "alike": base + noise - noise.mean() + 1e-6}, PEOPLE)
    assert alike.p > 0.5
    assert alike.low < 0 < alike.high


def test_equal_algorithms_do_not_differ():
    values = np.ones(200)
    [found] = differences("m", {"one": values, "other": values}, PEOPLE)
    assert (found.difference, found.p) == (0, 1)


def test_one_algorithm_alone_is_compared_with_nothing():
    assert differences("m", {"one": np.ones(3)}, np.arange(3)) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_adjusted_chances_are_never_smaller_keep_their_order_and_stay_below_one(chances):
    adjusted = holm(chances)
    assert all(a >= p and a <= 1 for a, p in zip(adjusted, chances, strict=True))
    assert sorted(adjusted) == [adjusted[i] for i in np.argsort(chances, kind="stable")]


def test_holm_multiplies_the_smallest_by_how_many_there_are():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
